"""The command line of `emodistill score`."""

import argparse
import json
from pathlib import Path

from ..command_line import CommandParser, check_heeded
from ..descriptors.text_files import TextFile
from ..files import check_output
from ..predict import read_max_windows
from .columns import FORMATS
from .load import require_modules
from .rows import SHARD_ROWS

__all__ = ["lasting", "parse_score_arguments", "read_labels_argument"]

LARGEST = 2**31 - 1  # of anything that is counted
# What does not change the rows that are written, and so may differ when a run goes on.
IDLE = {
    "input",
    "output",
    "model",
    "device",
    "threads",
    "report",
    "error_rates",
    "labelled",
    "labelled_column",
    "quiet",
}


def _parser():
    parser = CommandParser(
        prog="emodistill score",
        description="Score every row of a table of texts. A stopped run goes on when it is started again.",
    )
    parser.add_argument(
        "input", help="CSV, TSV, JSONL, JSON, Parquet or text file, a folder or pattern of them, a Hub data set, or -"
    )
    parser.add_argument(
        "--output", required=True, help="a new folder, or a new file that ends in .parquet, .csv or .jsonl"
    )
    what = parser.add_argument_group("what is scored")
    what.add_argument(
        "--labels", help="labels, separated by commas; or a file: .json, .txt with a label a line, or a label bank"
    )
    what.add_argument("--labels-column", help="column with labels of its own for each text")
    what.add_argument("--multi-label", action="store_true", help="decide each label by itself")
    what.add_argument("--threshold", default="auto", help='"auto", "none", or a number between 0 and 1')
    what.add_argument(
        "--labels-per-text", type=float, help="with --multi-label: how many labels a text has on average"
    )
    what.add_argument("--label-template", help="a sentence with {} for the label")
    what.add_argument("--dimensions", nargs="?", const=True, help="built-in dimensions (all without a value)")
    what.add_argument(
        "--max-windows", default="16", help='parts of a long text that are read, spread evenly over it, or "all"'
    )
    table = parser.add_argument_group("the table")
    table.add_argument("--text-column", help="column of texts; text by default")
    table.add_argument("--id-column", help="column to carry over as id")
    table.add_argument("--keep", default="", metavar="COLUMNS", help="columns to carry over, separated by commas")
    table.add_argument("--no-text", action="store_true", help="leave the texts out of the output")
    table.add_argument("--split", help="part of a Hub data set or folder")
    table.add_argument("--config", help="configuration of a Hub data set or folder")
    table.add_argument("--encoding", help="of text files; UTF-8 by default")
    table.add_argument("--delimiter", help="between the fields of a CSV file; found out by default")
    table.add_argument(
        "--quotes", action=argparse.BooleanOptionalAction, help="whether fields may be quoted; yes in CSV, no in TSV"
    )
    table.add_argument("--limit", type=int, help="score the first rows only")
    out = parser.add_argument_group("the output")
    out.add_argument("--format", choices=FORMATS, help="parquet by default, or as --output ends")
    out.add_argument("--prefix", default="", help="put before the names of label and dimension columns")
    out.add_argument(
        "--windows", action="store_true", help="add how many parts of a long text were read, and of how many"
    )
    out.add_argument("--report", nargs="?", const=True, metavar="FILE", help="write a page with shares of labels")
    out.add_argument("--group-by", metavar="COLUMN", help="on the page: by the values of a column")
    out.add_argument("--time-column", metavar="COLUMN", help="on the page: over time")
    out.add_argument("--labelled", metavar="FILE", help="for the page: texts like these with their labels")
    out.add_argument("--labelled-column", default="labels", metavar="COLUMN", help="the column of labels in it")
    out.add_argument("--error-rates", metavar="FILE", help='for the page: a table of error rates, or "none"')
    how = parser.add_argument_group("how")
    how.add_argument("--model", help="small, base, folder or Hub id of a checkpoint, or an export")
    how.add_argument("--device", help="cpu, cuda:0, ...; the first accelerator by default")
    how.add_argument("--batch-size", type=int, default=32, help="texts in a batch")
    how.add_argument("--shard-rows", type=int, default=SHARD_ROWS, help="rows written, and lost by a kill, together")
    how.add_argument("--threads", type=int, help="threads of the model; its own choice by default")
    how.add_argument("--quiet", action="store_true", help="no progress and no summary")
    return parser


def parse_score_arguments(argv=None):
    """
    Arguments of `emodistill score`, checked as far as that goes without reading anything.

    Args:
        argv (`list[str]`, *optional*): The arguments.

    Returns:
        `argparse.Namespace`

    Raises:
        `ValueError`: in one sentence that names the argument.
    """
    parser = _parser()
    args = parser.parse_args(argv)
    check_heeded(parser, args, {"labelled_column": "labelled", "labels_per_text": "multi_label"})
    args.keep = tuple(dict.fromkeys(name.strip() for name in args.keep.split(",") if name.strip()))
    if args.labels is None and args.labels_column is None and args.dimensions is None:
        raise ValueError("give --labels joy,anger,..., --labels-column or --dimensions")
    if args.labels_column is None:
        check_heeded(parser, args, dict.fromkeys(("multi_label", "threshold", "label_template"), "labels"))
    if args.labels is not None and args.labels_column is not None:
        raise ValueError("give --labels or --labels-column, not both")
    for name in ("limit", "batch_size", "shard_rows", "threads"):
        value = getattr(args, name)
        if value is not None and not 1 <= value <= LARGEST:
            bound = "at least 1" if value < 1 else f"at most {LARGEST:,}"
            raise ValueError(f"--{name.replace('_', '-')} must be {bound}, not {value}")
    if (args.group_by or args.time_column or args.labelled or args.error_rates) and args.report is None:
        raise ValueError("--group-by, --time-column, --labelled and --error-rates are for the page: add --report")
    if args.labelled and args.error_rates:
        raise ValueError("give --labelled or --error-rates, not both")
    if (args.labelled or args.error_rates not in (None, "none")) and args.labels is None:
        raise ValueError("shares are corrected only where all texts have the same --labels")
    args.max_windows = read_max_windows(args.max_windows)
    if args.max_windows is not None and args.max_windows < 1:
        raise ValueError(f'--max-windows must be "all" or at least 1, not {args.max_windows}')
    suffix = Path(args.output).suffix.lower().lstrip(".")
    args.one_file = suffix in FORMATS
    if args.one_file and args.format not in (None, suffix):
        raise ValueError(f"--format {args.format} does not fit --output {args.output}")
    args.format = args.format or (suffix if args.one_file else "parquet")
    if args.format == "parquet":
        require_modules("pyarrow")
    _check_places(args)
    return args


def _check_places(args):
    check_output(args.output, "--output", folder=not args.one_file)
    if args.report not in (None, True):
        check_output(args.report, "--report", inputs=[args.input, args.labels, args.labelled, args.error_rates])
    output, source = Path(args.output).resolve(), Path(args.input).resolve()
    if args.report not in (None, True) and Path(args.report).resolve() == output:
        raise ValueError(f"--report and --output both name {args.output}; name another file for the page")
    if args.input not in ("-", "") and source.is_dir() and (output == source or source in output.parents):
        raise ValueError(f"--output {args.output} lies within the input folder; name a place outside it")


def read_labels_argument(value):
    """
    Labels as the pipeline takes them, from the command line or the file that it names.

    Args:
        value (`str` or `None`): Labels separated by commas, or a `.json`, `.txt` or `.safetensors` file.

    Returns:
        `list`, `dict`, `str`, [`LabelBank`] or `None`

    Raises:
        `ValueError`: for a file that holds no labels.
        `OSError`: for one that cannot be read.
    """
    if value is None or "," in value or not (suffix := Path(value).suffix.lower()):
        return value
    if suffix not in (".json", ".txt", ".safetensors"):
        if Path(value).is_file():
            raise ValueError(f"--labels {value} is a file, and labels are read from .json, .txt and label banks only")
        return value
    if not Path(value).exists():
        raise FileNotFoundError(f"--labels {value}: no such file")
    if suffix == ".safetensors":
        from .label_bank import LabelBank

        return LabelBank.load(value)
    lines = _lines(value)
    if suffix == ".txt":
        return [line.strip() for line in lines if line.strip()]
    try:
        labels = json.loads("".join(lines), object_pairs_hook=_each_once)
    except json.JSONDecodeError as error:
        raise ValueError(f"--labels {value} is no JSON: {error}") from None
    if not isinstance(labels, list | dict):
        raise ValueError(f"--labels {value} must hold a list of labels or {{label: wordings}}")
    return labels


def _lines(path):
    """The lines of a file of labels, which may be in any encoding that its mark names."""
    with TextFile(path, str(path), None, empty=True) as file:
        for number, line in file:
            text, error = file.decoded(line)
            if error:
                raise ValueError(f"{path}, line {number}: {error}")
            yield text


def _each_once(pairs):
    """A JSON object in which no label stands twice, where the last one alone would count."""
    names = [name for name, _ in pairs]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise ValueError(f"labels holds {twice!r} more than once")
    return dict(pairs)


def lasting(args, labels):
    """`dict`: The arguments by which rows are what they are; another run with others is another run."""
    kept = {name: value for name, value in vars(args).items() if name not in IDLE}
    if args.report is None:  # a page may be asked for later; what it tells apart may not
        kept.pop("group_by"), kept.pop("time_column")
    if absent := getattr(labels, "absent", None):  # of a label bank, whose wordings do not tell
        kept["absent"] = absent
    return {**kept, "labels": dict(labels) if hasattr(labels, "items") else labels}
