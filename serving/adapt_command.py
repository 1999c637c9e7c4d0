"""`emodistill adapt`: a table of labelled texts to an adaptation."""

import argparse
import math
import sys

from ..command_line import CommandParser, check_heeded
from ..files import check_output
from ..options_emodistill import names_in
from .arguments import read_labels_argument

__all__ = ["main"]

READING = ("encoding", "delimiter", "quotes")  # options of the reader, as `emodistill score` has them


def _parser():
    parser = CommandParser(
        prog="emodistill adapt",
        description="Fit scores and label directions to 20 to 500 labelled texts; the encoder is not trained.",
    )
    parser.add_argument("table", help="CSV, TSV, JSONL, JSON or Parquet file, folder, Hub id, or - for standard input")
    parser.add_argument("--labels-column", help="column of labels; several in one cell are separated by commas")
    parser.add_argument("--dimensions", help="columns of positions in place of labels, separated by commas")
    parser.add_argument("--text-column", help="column of texts; found by its name by default")
    parser.add_argument("--labels", help="the label set, or a file of it; what the column holds by default")
    parser.add_argument("--multi-label", action="store_true", help="any number of labels may hold")
    parser.add_argument("--model", help="small, base, a folder, an export or a Hub id; the default one by default")
    parser.add_argument("--output", default="adaptation.json", help="the file to write (default: adaptation.json)")
    parser.add_argument("--encoding", help="of text files; UTF-8 by default")
    parser.add_argument("--delimiter", help="between the fields of a CSV file; found out by default")
    about = "whether fields may be quoted; yes in CSV, no in TSV"
    parser.add_argument("--quotes", action=argparse.BooleanOptionalAction, help=about)
    parser.add_argument("--batch-size", type=int, default=32, help="texts in a batch")
    return parser


def _arguments(argv):
    parser = _parser()
    args = parser.parse_args(argv)
    if args.labels_column is None and args.dimensions is None:
        raise ValueError("give --labels-column COLUMN, or --dimensions valence,arousal for columns of positions")
    if args.labels_column is not None and args.dimensions is not None:
        raise ValueError("give --labels-column or --dimensions, not both")
    check_heeded(parser, args, {"labels": "labels_column", "multi_label": "labels_column"})
    if args.batch_size < 1:
        raise ValueError(f"--batch-size must be at least 1, not {args.batch_size}")
    check_output(args.output, "--output", inputs=[args.table])
    return args


def _number(value, column):
    try:
        number = float(value)
        if math.isfinite(number):
            return number
    except (TypeError, ValueError):
        pass
    raise ValueError(f"a number is needed in column {column!r}, not {value!r}")


def main(argv=None):
    """Adapt as the command line says.

    Args:
        argv (`list[str]`, *optional*): The arguments after `adapt`.

    Returns:
        `int`: 0.

    Raises:
        `ValueError`: for arguments or rows that do not fit.
    """
    args = _arguments(argv)
    from .labelled import check_count

    names = read_labels_argument(args.labels)
    texts, cells = _read(args)
    check_count(len(texts))
    from .adapt import adapt
    from .load import load_quietly

    classify = load_quietly(args.model)
    if args.dimensions is not None:
        own = adapt(classify, texts, cells, dimensions=True, batch_size=args.batch_size)
    else:
        several = True if args.multi_label else None
        own = adapt(classify, texts, cells, names=names, multi_label=several, batch_size=args.batch_size)
    own.save(args.output)
    report = own.report
    directions = "kept as they are" if report["direction_ridge"] is None else "corrected"
    print(
        f"{args.output}: {own.kind} for {', '.join(own.names)}, from {report['texts']} texts; left-out loss "
        f"{report['loss_zero_shot']} before, {report['loss_adapted']} after; label directions {directions}"
    )
    return 0


def _read(args):
    """Texts, and for each its labels or positions; rows that are no use are told and left out."""
    from ..descriptors.left_out import LeftOut
    from ..descriptors.tables import iter_texts

    columns = [] if args.dimensions is None else names_in(args.dimensions)
    rows = iter_texts(
        args.table,
        text_column=args.text_column,
        labels_column=args.labels_column,
        keep=columns,
        **{name: getattr(args, name) for name in READING},
    )
    texts, cells, bad = [], [], LeftOut(lambda line: print(f"emodistill adapt: {line}", file=sys.stderr), True)
    for row in rows:
        error = row.error
        if error is None:
            try:
                cell = {name: _number(row.extra[name], name) for name in columns} if columns else row.labels
            except ValueError as fault:
                error = str(fault)
        if error:
            bad.add(row.place, error, row.of_table)
        else:
            texts.append(row.text)
            cells.append(cell)
    bad.settle(len(texts) + bad.count)
    return texts, cells
