"""`emodistill annotate lexicon`: valence, arousal, dominance and implied plain words of each descriptor."""

import sys
from pathlib import Path

from ...files import check_output
from ..lexicon import COLUMNS, rate, read_lexicon
from ..vocabulary import read_counts
from .flags import add_fields, add_output, end_command, make_parser, settings_from, show_estimate

__all__ = ["main"]


def main(argv):
    """Run `emodistill annotate lexicon`. Returns the exit status."""
    parser = make_parser(
        "lexicon",
        "Rate each distinct descriptor on valence, arousal and dominance (1 to 9) and name the plain words it "
        "implies.",
    )
    about = "a descriptor data set (.jsonl), or one descriptor a line (.txt)"
    parser.add_argument("--input", required=True, metavar="FILE", help=about)
    add_output(parser, "tab-separated: " + ", ".join(COLUMNS))
    parser.add_argument("--known", metavar="FILE", help="a lexicon whose entries are taken over and not asked")
    about = "leave out rarer descriptors (default: 1)"
    parser.add_argument("--min-count", type=int, default=1, metavar="N", help=about)
    about = "(default: 20)"
    parser.add_argument(
        "--descriptors-per-request", dest="texts_per_request", type=int, default=20, metavar="N", help=about
    )
    about = "rate spelling variants as one descriptor"
    parser.add_argument("--merge-variants", action="store_true", help=about)
    add_fields(parser, leave_out=("texts_per_request", "labels"), prompt="lexicon")
    args = parser.parse_args(argv)
    settings = settings_from(args)
    check_output(args.output, "--output", inputs=[args.input])
    if not Path(args.input).exists():
        raise FileNotFoundError(f"{args.input}: no such file")
    counts = read_counts(args.input, args.merge_variants)
    terms = sorted(term for term, count in counts.items() if count >= args.min_count)
    if not terms:
        raise ValueError(f"{args.input}: no descriptor occurs {args.min_count} times or more")
    known = read_lexicon(args.known) if args.known else None
    print(f"{len(terms):,} distinct descriptors", file=sys.stderr)
    show = None if settings.quiet else show_estimate
    report = rate(terms, args.output, settings, store=args.store, known=known, on_estimate=show)
    return end_command(report, settings.quiet)
