"""`emodistill annotate`, `emodistill annotate run`: descriptors of texts."""

from ...durations import counted
from ..job import Job
from ..output import store_path
from ..runner import annotate, prepare, text_rows
from ..store import Store
from . import SUBCOMMANDS
from .flags import (
    ListPrompts,
    add_fields,
    add_input,
    add_output,
    end_command,
    make_parser,
    reading,
    settings_from,
    show_estimate,
)

__all__ = ["build_parser", "main", "read"]


def build_parser(name, description, epilog=None, prompt="rich"):
    """The parser of a command that reads texts; `prompt` is its default."""
    parser = make_parser(name, description, epilog)
    add_input(parser)
    add_output(parser, "JSON lines: id, source, text, labels, status", rows=True)
    add_fields(parser, prompt=prompt)
    about = "estimate cost and time; no key, no network, no download"
    parser.add_argument("--dry-run", action="store_true", help=about)
    parser.add_argument("--list-prompts", action=ListPrompts, nargs=0, help="show the prompts and exit")
    return parser


def main(argv):
    """Run `emodistill annotate run`. Returns the exit status."""
    others = "; ".join(f"emodistill annotate {name}: {about}" for name, about in SUBCOMMANDS.items() if name != "run")
    return read(
        build_parser(
            "",
            "Ask a language model for free-form emotion descriptors of texts, through an OpenAI-compatible API. What "
            "is stored is not asked again: run the same command to go on after any interruption.",
            f"also: {others}",
        ).parse_args(argv)
    )


def read(args):
    """Carry out a command of `build_parser`. Returns the exit status."""
    settings = settings_from(args)
    if args.dry_run:
        return _dry_run(args, settings)
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
    return end_command(report, settings.quiet)


def _dry_run(args, settings):
    """Print the estimate; an existing store is looked into, none is made."""
    task = prepare(settings)
    rows = text_rows(args.input, settings.quiet, **reading(args), local_only=True)
    path = store_path(args.output, args.store)
    with Store(path if path.exists() else ":memory:") as store:
        job = Job(task, [(row.id, row.text) for row in rows], settings, store)
        texts = counted(len(job.unique), "different text")
        print(f"input:  {counted(len(rows), 'row')}, {texts}, {len(job.rows):,} of them stored")
        print("\n".join(job.estimate().lines()))
    return 0
