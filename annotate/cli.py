"""`emodistill annotate`: the command line of this room."""

import argparse
import importlib
import json
import sys

from .job import Job
from .prompts import list_prompts
from .runner import annotate, prepare, read_rows, store_path
from .settings import Settings
from .store import Store
from .tasks import DescriptorTask

# subcommand: (module, one line for --help); each has `main(argv) -> int`
SUBCOMMANDS = {
    "compare": (".compare", "ask a sample of the texts under several prompts and compare the answers"),
    "stats": (".stats", "print and plot the vocabulary of a descriptor data set, write its card"),
    "lexicon": (".lexicon", "rate each descriptor on valence, arousal and dominance"),
    "write": (".written", "let the teacher write texts of given genres, with descriptors"),
    "batch": (".batch_cli", "the same through OpenAI's Batch API, at half the price"),
}

DOLLARS = {"type": float, "metavar": "DOLLARS"}
SECONDS = {"type": float, "metavar": "SECONDS"}
NAME = {"metavar": "NAME"}

# option: (help, further arguments of argparse); its destination is the name of the parameter that it sets
INPUT = {
    "--input": (
        ".csv, .tsv, .jsonl, .parquet, .txt (one text a line), or the id of a data set on the Hub",
        {"required": True, "metavar": "SOURCE"},
    ),
    "--text-column": ("column of the text (default: text)", NAME),
    "--id-column": ("column of the id (default: id, or the row's number)", NAME),
    "--source-name": ("source of the rows (default: the column source, or the input's name)", NAME),
    "--keep": ("columns to carry into the output", {"nargs": "+", "default": [], **NAME}),
    "--no-header": (
        "a CSV or TSV file without column names; its columns are then 1, 2, ...",
        {"dest": "header", "action": "store_false"},
    ),
    "--quotes": (
        "whether fields are quoted (default: in CSV yes, in TSV no)",
        {"action": argparse.BooleanOptionalAction, "default": None},
    ),
    "--encoding": ("of text files (default: UTF-8)", {"default": "utf-8-sig", **NAME}),
    "--split": ("of a Hub data set (default: train)", {"default": "train", **NAME}),
    "--config": ("of a Hub data set", NAME),
}
OUTPUT = {
    "--output": ("JSON lines: id, source, text, labels, status", {"required": True, "metavar": "FILE"}),
    "--store": ("everything asked and answered (default: the output's name with .sqlite)", {"metavar": "FILE"}),
    "--all": (
        "write rows that are not ok as well, with raw labels and reasons",
        {"dest": "every", "action": "store_true"},
    ),
    "--merge-variants": ("one spelling for variants such as humour and humor", {"action": "store_true"}),
}
PROMPT = {
    "--prompt": (
        "a prompt's name or a .toml file (default: rich; see --list-prompts)",
        {"default": "rich", **NAME},
    ),
    "--labels": ("the closed list, for --prompt closed", {"metavar": "A,B,..."}),
    "--texts-per-request": (
        "several texts in one request: cheaper, and read less carefully (default: 1)",
        {"type": int, "default": 1, "metavar": "N"},
    ),
}
MODEL = {
    "--model": ("its name at the server, such as gpt-4o", {"required": True, **NAME}),
    "--base-url": ("an OpenAI-compatible server (default: OpenAI's, or OPENAI_BASE_URL)", {"metavar": "URL"}),
    "--key-variable": (
        "environment variable with the key (default: OPENAI_API_KEY); keys are read from nowhere else",
        {"default": "OPENAI_API_KEY", **NAME},
    ),
    "--temperature": ("sampling temperature (default: the server's)", {"type": float}),
    "--top-p": ("nucleus sampling (default: the server's)", {"type": float}),
    "--seed": ("for servers that sample reproducibly", {"type": int}),
    "--max-tokens": (
        "longest answer; 0 for no limit (default: 1024, and 100 for each further text of a request)",
        {"type": int, "metavar": "N"},
    ),
    "--param": (
        "a further field of the request, such as reasoning_effort=low; may be repeated",
        {"action": "append", "default": [], "metavar": "NAME=JSON"},
    ),
    "--format": (
        "json: structured outputs; text: separated by commas; auto (default): json until the server refuses it",
        {"dest": "reply_format", "choices": ("auto", "json", "text"), "default": "auto"},
    ),
}
LIMITS = {
    "--concurrency": ("requests in flight (default: %(default)s)", {"type": int, "default": 16}),
    "--rpm": ("requests a minute", {"dest": "requests_per_minute", "type": float, "metavar": "N"}),
    "--tpm": ("tokens a minute", {"dest": "tokens_per_minute", "type": float, "metavar": "N"}),
    "--max-cost": ("cap on the cost of all runs on the store", DOLLARS),
    "--price-in": ("for a million prompt tokens", DOLLARS),
    "--price-out": ("for a million completion tokens", DOLLARS),
    "--max-asks": (
        "answers to one text to wait for while they are invalid (default: 3)",
        {"type": int, "default": 3},
    ),
    "--max-retries": ("of one request after faults (default: %(default)s)", {"type": int, "default": 8}),
    "--backoff": (
        "first wait before a retry, doubled for each further one (default: %(default)s)",
        {"default": 0.5, **SECONDS},
    ),
    "--max-wait": ("longest Retry-After to wait for (default: %(default)s)", {"default": 300.0, **SECONDS}),
    "--timeout": ("of one request (default: %(default)s)", {"default": 120.0, **SECONDS}),
    "--limit": ("ask for at most N texts in this run", {"type": int, "metavar": "N"}),
    "--retry": (
        "final statuses to ask again (errors always are)",
        {"nargs": "+", "default": [], "choices": ("refused", "invalid")},
    ),
    "--quiet": ("no estimate, no progress", {"action": "store_true"}),
}
_READING = (
    "text_column",
    "id_column",
    "source_name",
    "keep",
    "header",
    "quotes",
    "encoding",
    "split",
    "config",
)
_SETTINGS = (
    "model",
    "base_url",
    "key_variable",
    "temperature",
    "top_p",
    "seed",
    "max_tokens",
    "reply_format",
    "concurrency",
    "requests_per_minute",
    "tokens_per_minute",
    "max_cost",
    "price_in",
    "price_out",
    "max_asks",
    "max_retries",
    "backoff",
    "max_wait",
    "timeout",
    "limit",
    "quiet",
)


def make_parser(name, description, epilog=None, **groups):
    """A parser with groups of options.

    Args:
        name (`str`): the subcommand, empty for none.
        description, epilog (`str`): for `--help`.
        **groups (`dict`): title and table of options, such as `INPUT`.
    """
    prog = f"emodistill annotate {name}".strip()
    parser = argparse.ArgumentParser(prog=prog, allow_abbrev=False, description=description, epilog=epilog)
    for title, table in groups.items():
        group = parser.add_argument_group(title)
        for flag, (about, more) in table.items():
            group.add_argument(flag, help=about, **more)
    return parser


def reading(args):
    """The options of `INPUT` as arguments of `read_texts`."""
    return {name: getattr(args, name) for name in _READING}


def settings_from(args, **more):
    """`Settings` from the options of `MODEL`, `LIMITS` and, where the command has it, `PROMPT`."""
    extra = {}
    for param in args.param:
        name, mark, value = param.partition("=")
        if not mark or not name:
            raise ValueError(f"--param: {param!r} is not NAME=JSON")
        try:
            extra[name] = json.loads(value)
        except json.JSONDecodeError:  # a bare word is a string
            extra[name] = value
    chosen = {name: getattr(args, name) for name in _SETTINGS}
    if hasattr(args, "prompt"):
        chosen.update(prompt=args.prompt, texts_per_request=args.texts_per_request)
        chosen["labels"] = args.labels.split(",") if args.labels else None
    return Settings(**{**chosen, **more}, retry=tuple(args.retry), extra=extra)


def build_parser():
    also = "; ".join(f"emodistill annotate {name}: {about}" for name, (_, about) in SUBCOMMANDS.items())
    parser = make_parser(
        "",
        "Ask a language model for free-form emotion descriptors of texts, through an OpenAI-compatible API. What "
        "is stored is not asked again: run the same command to go on after any interruption.",
        f"also: {also}",
        input=INPUT,
        output=OUTPUT,
        prompt=PROMPT,
        model=MODEL,
        limits=LIMITS,
    )
    about = "estimate cost and time; no key, no network, no download"
    parser.add_argument("--dry-run", action="store_true", help=about)
    parser.add_argument("--list-prompts", action=ListPrompts, nargs=0, help="show the prompts and exit")
    return parser


class ListPrompts(argparse.Action):
    def __call__(self, parser, namespace, values, option_string=None):
        for prompt in list_prompts():
            print(f"{prompt.id:<16} {prompt.task:<12} {prompt.description}")
        parser.exit()


def main(argv=None):
    """Run `emodistill annotate`.

    Args:
        argv (`list[str]`, *optional*): the arguments after `annotate`.

    Returns:
        `int`: 0 when every text has its final row, 1 when some are left to the next run, 130 after an
            interruption.

    Raises:
        `ValueError`, `OSError`, `ImportError`: a user's mistake, in one sentence.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    if argv and argv[0] in SUBCOMMANDS:
        return importlib.import_module(SUBCOMMANDS[argv[0]][0], package=__package__).main(argv[1:])
    args = build_parser().parse_args(argv)
    settings = settings_from(args)
    if args.dry_run:
        return dry_run(args, settings)
    report = annotate(
        args.input,
        args.output,
        settings,
        store=args.store,
        every=args.every,
        merge_variants=args.merge_variants,
        on_estimate=None if settings.quiet else show_estimate,
        **reading(args),
    )
    return finish(report, settings.quiet)


def dry_run(args, settings):
    """Print the estimate; an existing store is looked into, none is made."""
    task = DescriptorTask(prepare(settings))
    rows = read_rows(args.input, **reading(args), local_only=True)
    path = store_path(args.output, args.store)
    with Store(path if path.exists() else ":memory:") as store:
        job = Job(task, [(row.id, row.text) for row in rows], settings, store)
        print(f"input:  {len(rows):,} rows, {len(job.unique):,} different texts, {len(job.rows):,} of them stored")
        print("\n".join(job.estimate().lines()))
    return 0


def show_estimate(estimate):
    if estimate.texts:
        print("\n".join(estimate.lines()), file=sys.stderr, flush=True)


def finish(report, quiet=False):
    """Print what a run did and give its exit status."""
    if not quiet or report.stopped:
        print("\n".join(report.lines()), file=sys.stderr)
    if report.interrupted:
        return 130
    unfinished = report.statuses.get("pending", 0) + report.statuses.get("error", 0)
    if unfinished and not quiet:
        print(f"{unfinished:,} rows are left: run the same command again to go on", file=sys.stderr)
    return 1 if report.stopped or unfinished else 0


if __name__ == "__main__":
    sys.exit(main())
