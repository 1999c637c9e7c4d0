"""`emodistill annotate`: one file a subcommand, each with `main(argv) -> int`."""

import importlib
import sys

__all__ = ["SUBCOMMANDS", "main"]

# subcommand: one line for --help; each is a module of this folder
SUBCOMMANDS = {
    "run": "ask for descriptors of texts; the word run may be left out",
    "batch": "the same through OpenAI's Batch API, at half the price",
    "rate": "read texts with ratings: descriptors, and valence, arousal, dominance of the text",
    "lexicon": "rate each descriptor on valence, arousal and dominance",
    "write": "let the teacher write texts: by genre, by specification, or as minimal contrasts",
    "compare": "ask a sample of the texts under several prompts and compare the answers",
    "stats": "print and plot the vocabulary of a descriptor data set, write its card",
}


def main(argv=None):
    """Run `emodistill annotate`.

    Args:
        argv (`list[str]`, *optional*): The arguments after `annotate`.

    Returns:
        `int`: 0 when every text has its final row, 1 when some are left to the next run, 130 after an
            interruption.

    Raises:
        `ValueError`, `OSError`, `ImportError`: a user's mistake, in one sentence.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    name = argv.pop(0) if argv and not argv[0].startswith("-") else "run"
    if name not in SUBCOMMANDS:
        raise ValueError(f"no command {name!r}; choose from {', '.join(SUBCOMMANDS)}, and give texts by --input")
    return importlib.import_module(f".{name}", package=__package__).main(argv)
