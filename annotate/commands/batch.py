"""`emodistill annotate batch`: the command line of batch mode."""

import dataclasses
import sys

from ..batch import BatchOptions, annotate_batch, batch_estimate
from ..job import Job
from ..output import store_path
from ..runner import prepare, text_rows
from ..store import Store
from .flags import add_fields, add_input, add_output, end_command, make_parser, reading, settings_from, show_estimate

__all__ = ["main"]


def main(argv):
    """Run `emodistill annotate batch`. Returns the exit status."""
    parser = make_parser(
        "batch",
        "Annotate through OpenAI's Batch API: half the price, answers within a day. Stop and start at any time: the "
        "same command goes on with the batches that are on their way.",
    )
    add_input(parser)
    add_output(parser, "JSON lines: id, source, text, labels, status", rows=True)
    add_fields(parser, BatchOptions)
    add_fields(parser, leave_out=("concurrency", "requests_per_minute", "tokens_per_minute", "max_failures"))
    about = "estimate the cost; no key, no network, no download"
    parser.add_argument("--dry-run", action="store_true", help=about)
    args = parser.parse_args(argv)
    settings = settings_from(args)
    options = BatchOptions(**{field.name: getattr(args, field.name) for field in dataclasses.fields(BatchOptions)})
    if args.dry_run:
        rows = text_rows(args.input, settings.quiet, **reading(args), local_only=True)
        path = store_path(args.output, args.store)
        with Store(path if path.exists() else ":memory:") as store:
            job = Job(prepare(settings), [(row.id, row.text) for row in rows], settings, store)
            print("\n".join(batch_estimate(job).lines()))
        return 0
    report = annotate_batch(
        args.input,
        args.output,
        settings,
        options,
        store=args.store,
        every=args.every,
        merge_variants=args.merge_variants,
        on_estimate=None if settings.quiet else show_estimate,
        say=(lambda line: None) if settings.quiet else (lambda line: print(line, file=sys.stderr, flush=True)),
        **reading(args),
    )
    return end_command(report, settings.quiet)
