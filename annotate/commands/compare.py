"""`emodistill annotate compare`: the same sample of texts under several prompts."""

import random
import sys

from ...files import check_output
from ..compare import compare, lines
from ..runner import text_rows
from .flags import add_fields, add_input, add_output, make_parser, reading, settings_from

__all__ = ["main"]


def main(argv):
    """Run `emodistill annotate compare`. Returns the exit status."""
    parser = make_parser(
        "compare",
        "Ask for a sample of the texts under several prompts, and report for each: distinct terms, terms a text, "
        "share of neutral, refusals and cost, and how far the prompts agree.",
    )
    add_input(parser)
    add_output(parser, "the comparison, as JSON")
    parser.add_argument("--prompts", nargs="+", required=True, metavar="NAME", help="two or more names or .toml files")
    parser.add_argument("--sample", type=int, default=200, metavar="N", help="texts, drawn at random (default: 200)")
    parser.add_argument("--sample-seed", type=int, default=0, metavar="N", help="another seed, another sample")
    add_fields(parser, leave_out=("prompt", "texts_per_request"))
    args = parser.parse_args(argv)
    if args.sample < 1:
        raise ValueError("--sample: must be 1 or more")
    settings = settings_from(args)
    check_output(args.output, "--output", inputs=[args.input])
    rows = text_rows(args.input, settings.quiet, **reading(args))
    rows = [row for row in {row.text: row for row in rows}.values() if row.text]
    sample = random.Random(args.sample_seed).sample(rows, min(args.sample, len(rows)))
    result = compare(sample, args.prompts, settings, args.output, store=args.store)
    print("\n".join(lines(result)))
    if result["stopped"]:
        print("run the same command again to go on", file=sys.stderr)
    return 1 if result["stopped"] else 0
