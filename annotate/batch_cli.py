"""`emodistill annotate batch`: the command line of batch mode."""

import sys

from .batch import BatchOptions, annotate_batch, batch_estimate
from .cli import INPUT, LIMITS, MODEL, OUTPUT, PROMPT, finish, make_parser, reading, settings_from, show_estimate
from .job import Job
from .runner import prepare, read_rows, store_path
from .store import Store
from .tasks import DescriptorTask

BATCH = {
    "--no-wait": (
        "submit, collect what is ready, and return; run the same command again later",
        {"dest": "wait", "action": "store_false"},
    ),
    "--poll": ("seconds between looks at the batches (default: 60)", {"type": float, "default": 60.0}),
    "--max-requests": ("requests of one batch (default: 50000)", {"type": int, "default": 50_000, "metavar": "N"}),
    "--max-enqueued-tokens": (
        "prompt tokens that the account may have in the queue (see its limits page)",
        {"type": int, "metavar": "N"},
    ),
    "--rounds": ("batches to put a failing request into, in one run (default: 3)", {"type": int, "default": 3}),
}


def main(argv):
    """Run `emodistill annotate batch`. Returns the exit status."""
    parser = make_parser(
        "batch",
        "Annotate through OpenAI's Batch API: half the price, answers within a day. Stop and start at any time: "
        "the "
        "same command goes on with the batches that are on their way.",
        input=INPUT,
        output=OUTPUT,
        prompt=PROMPT,
        batch=BATCH,
        model=MODEL,
        limits={name: LIMITS[name] for name in LIMITS if name not in ("--concurrency", "--rpm", "--tpm")},
    )
    about = "estimate the cost; no key, no network, no download"
    parser.add_argument("--dry-run", action="store_true", help=about)
    parser.set_defaults(concurrency=1, requests_per_minute=None, tokens_per_minute=None)
    args = parser.parse_args(argv)
    settings = settings_from(args)
    options = BatchOptions(
        max_requests=args.max_requests,
        max_enqueued_tokens=args.max_enqueued_tokens,
        poll=args.poll,
        wait=args.wait,
        rounds=args.rounds,
    )
    if args.dry_run:
        rows = read_rows(args.input, **reading(args), local_only=True)
        path = store_path(args.output, args.store)
        with Store(path if path.exists() else ":memory:") as store:
            job = Job(DescriptorTask(prepare(settings)), [(row.id, row.text) for row in rows], settings, store)
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
    return finish(report, settings.quiet)
