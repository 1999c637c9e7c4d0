"""`emodistill annotate write`: texts that the teacher composes."""

from pathlib import Path

from ..written import write_texts
from .flags import ListPrompts, add_fields, add_output, end_command, make_parser, settings_from, show_estimate

__all__ = ["main"]


def main(argv):
    """Run `emodistill annotate write`. Returns the exit status."""
    parser = make_parser(
        "write",
        "Let the teacher write texts, each with its descriptors. The prompt says how: written (texts of named "
        "genres), specification (of a drawn genre, feeling, topic and constraint) or contrasts (groups of two to five "
        "texts that differ in what turns the feeling, with ratings).",
    )
    parser.add_argument("--genres", nargs="+", default=[], metavar="GENRE", help="such as 'customer review' diary")
    parser.add_argument("--genres-file", metavar="FILE", help="one genre a line")
    about = "themes of contrasts (default: all of the prompt's)"
    parser.add_argument("--themes", nargs="+", default=[], metavar="THEME", help=about)
    about = "texts of each genre, texts by specification, or groups of each theme (default: 100)"
    parser.add_argument("--count", type=int, default=100, metavar="N", help=about)
    about = "texts, or groups, in one request (default: 10 texts, 5 groups)"
    parser.add_argument("--texts-per-request", dest="size", type=int, metavar="N", help=about)
    parser.add_argument("--draw-seed", type=int, default=0, metavar="N", help="draw other specifications or seeds")
    parser.add_argument("--list-prompts", action=ListPrompts, nargs=0, help="show the prompts and exit")
    add_output(parser, "JSON lines, as annotate writes them")
    add_fields(parser, leave_out=("texts_per_request", "labels"), prompt="written")
    args = parser.parse_args(argv)
    genres = args.genres + (_lines(args.genres_file) if args.genres_file else [])
    settings = settings_from(args)
    report = write_texts(
        args.count,
        args.output,
        settings,
        genres=genres,
        themes=args.themes,
        size=args.size,
        seed=args.draw_seed,
        store=args.store,
        on_estimate=None if settings.quiet else show_estimate,
    )
    return end_command(report, settings.quiet)


def _lines(path):
    try:
        return Path(path).read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise ValueError(f"--genres-file: {path} is not UTF-8") from None
