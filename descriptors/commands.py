"""`emodistill build-data` and `emodistill describe-data`."""

import argparse
import os

from ..command_line import CommandParser
from ..files import check_output
from .inputs import DataInputs

__all__ = ["build", "describe"]

DESCRIPTION = """Build a descriptor data set: annotated texts in, Parquet configurations with fixed splits out.

Only --descriptors (or --extend) is needed. A row has `text` and `labels` (descriptors, most salient first) and, if you
like, `id`, `source`, `genre`, `selection`, ratings (`valence`, `arousal`, `dominance`, 1 to 9), `group` and `theme`;
of rows with a `status` only `ok` ones are taken, so what `emodistill annotate` writes can be given as it is. Wherever
a file is named, the folder of a built data set will do: its configuration of that kind is read.
"""
DETAILS = """Texts that occur in an evaluation file, or share eight consecutive words with one, are dropped, and so are
repeated texts; case, punctuation and white space do not count. Nothing is drawn at random: every choice follows from a
hash of the text or of the descriptor, so a rebuild, or one with more texts, gives each text the same split as long as
the held-out descriptors stay (--held-out).

Evaluation files: the first line is taken for a header if one of its cells, split at a tab, comma, semicolon or bar, is
text, tweet, sentence, utterance, anonymized message or sit. A tab-separated file without a header (GoEmotions) has the
text first. Quoting is off in tab-separated files. JSON lines and Parquet have a `text`.
"""


def _parser():
    parser = CommandParser(
        prog="emodistill build-data",
        description=DESCRIPTION,
        epilog=DETAILS,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    several = {"metavar": "FILE", "nargs": "+", "action": "extend", "default": []}
    parser.add_argument("--descriptors", help="annotated texts", **several)
    parser.add_argument("--readings", help="annotated texts with ratings; these join `rated`", **several)
    parser.add_argument("--contrasts", help="annotated texts in groups, with `group` and `theme`", **several)
    parser.add_argument("--closed", metavar="FILE", help="labels from GoEmotions' 28 names, by id")
    parser.add_argument("--rated", metavar="FILE", help="plain words and ratings of the texts, by id")
    parser.add_argument("--lexicon", help="ratings and implied words of the descriptors (TSV)", **several)
    parser.add_argument("--unread", help="texts without labels: the configuration `unread`", **several)
    parser.add_argument("--exclude", help="evaluation files to keep out", **several)
    parser.add_argument("--held-out", metavar="FILE", help="a data set whose held-out descriptors stay held out")
    about = "a data set to build on: its texts, readings, lexicon and held-out descriptors are taken first"
    parser.add_argument("--extend", metavar="FOLDER", help=about)
    parser.add_argument("--without", help="sources to leave out", **(several | {"metavar": "SOURCE"}))
    parser.add_argument("--output", metavar="FOLDER", required=True, help="the data set's folder")
    return parser


def build(argv=None):
    """
    Run `emodistill build-data`.

    Args:
        argv (`list[str]`, *optional*): The arguments after the command.

    Returns:
        `int`: the exit status.
    """
    arguments = vars(_parser().parse_args(argv))
    output = arguments.pop("output")
    check_output(output, "--output", folder=True)
    inputs = {name: tuple(value) if isinstance(value, list) else value for name, value in arguments.items()}
    from .build import build_data  # with pyarrow, which --help does not wait for

    print("\n".join(build_data(output, DataInputs(**inputs)).lines()))
    return 0


def describe(argv=None):
    """
    Run `emodistill describe-data`.

    Args:
        argv (`list[str]`, *optional*): The arguments after the command.

    Returns:
        `int`: the exit status.
    """
    parser = CommandParser(
        prog="emodistill describe-data",
        description="Print the statistics of a built descriptor data set as Markdown, as its card shows them.",
        allow_abbrev=False,
    )
    parser.add_argument("folder", help="what `emodistill build-data` wrote, such as data/descriptors")
    folder = parser.parse_args(argv).folder
    if not os.path.isdir(folder):
        raise ValueError(f"{folder}: no such folder")
    from .describe import describe_data

    print(describe_data(folder))
    return 0
