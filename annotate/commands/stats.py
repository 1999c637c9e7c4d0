"""`emodistill annotate stats`: look at the vocabulary of a descriptor data set."""

from pathlib import Path

from ...command_line import check_heeded
from ...files import check_output, write_json
from ..data_card import provenance, write_card
from ..output import store_path
from ..vocabulary import DescriptorVocabulary, plot, read_data_set
from .flags import make_parser

__all__ = ["main"]


def main(argv):
    """Print the figures; plot, JSON and card on request. Returns the exit status."""
    parser = make_parser("stats", "Print and plot the vocabulary of a descriptor data set, and write its card.")
    parser.add_argument("data", metavar="FILE", help="JSON lines with labels, such as emodistill annotate writes")
    parser.add_argument(
        "--plot", metavar="FILE", help="frequency curve, top terms and coverage, as .png, .svg or .pdf"
    )
    parser.add_argument("--json", metavar="FILE", help="the figures and the whole vocabulary with its counts")
    parser.add_argument("--card", metavar="FILE", help="a data set card, such as README.md")
    parser.add_argument("--name", help="of the data set, for the card (default: the file's name)")
    parser.add_argument("--licence", help="for the card, an identifier such as cc-by-4.0")
    parser.add_argument("--language", default="en", help="of the texts, for the card (default: en)")
    parser.add_argument("--store", metavar="FILE", help="the run's store, for the card (default: FILE.sqlite)")
    parser.add_argument("--merge-variants", action="store_true", help="count spelling variants as one term")
    parser.add_argument("--top", type=int, default=20, metavar="N", help="terms to print (default: 20)")
    args = parser.parse_args(argv)
    check_heeded(parser, args, dict.fromkeys(("name", "licence", "language", "store"), "card"))
    if args.top < 1:
        raise ValueError(f"--top: must be 1 or more, not {args.top}")
    for name in ("plot", "json", "card"):
        if (path := getattr(args, name)) is not None:
            check_output(path, f"--{name}", inputs=[args.data, args.store])
    vocabulary = DescriptorVocabulary.of(read_data_set(args.data), args.merge_variants)
    print("\n".join(vocabulary.lines(args.top)))
    if args.plot:
        plot(vocabulary, args.plot)
    if args.json:
        figures = {**vocabulary.facts, "coverage": vocabulary.coverage, "counts": vocabulary.counts}
        write_json(args.json, figures)
    if args.card:
        runs, asked = provenance(store_path(args.data, args.store))
        name = args.name or Path(args.data).stem
        write_card(
            args.card, vocabulary, name=name, licence=args.licence, runs=runs, asked=asked, language=args.language
        )
    return 0
