"""`emodistill annotate lexicon`: valence, arousal, dominance and implied plain words of each descriptor."""

import sys
from pathlib import Path

from ..descriptors.lexicon import COLUMNS, read_lexicon, write_lexicon
from .cli import LIMITS, MODEL, finish, make_parser, settings_from, show_estimate
from .job import Job
from .output import check_output
from .runner import ask_pending, prepare, store_path
from .store import Store
from .tasks import LexiconTask
from .vocabulary import read_counts


def rate(descriptors, output, settings, *, store=None, known=None, on_estimate=None):
    """Ask a teacher to rate descriptors, and write the lexicon.

    Args:
        descriptors (`Iterable[str]`): in normal form.
        output (`str` or `Path`): the TSV file.
        settings (`Settings`): its prompt is one for the task `lexicon`.
        store (`str` or `Path`, *optional*): `output` with `.sqlite` appended by default.
        known (`dict`, *optional*): entries as `read_lexicon` gives them; they are written and not asked.
        on_estimate (`Callable`, *optional*): told what the run will take.

    Returns:
        `Report`: its statuses count the descriptors that were not known.
    """
    known = dict(known or {})
    path = store_path(output, store)
    check_output(output, path)
    asked = [term for term in dict.fromkeys(descriptors) if term not in known]
    task = LexiconTask(prepare(settings, "lexicon"))
    settings.read_key()
    with Store(path) as opened:
        job = Job(task, [(term, term) for term in asked], settings, opened)
        if on_estimate is not None:
            on_estimate(job.estimate())
        report = ask_pending(job)
        found = {term: job.rows.get(job.key(term)) for term in asked}
    statuses = [row.status if row else "pending" for row in found.values()]
    report.statuses = {status: statuses.count(status) for status in sorted(set(statuses))}
    rated = {term: row.value for term, row in found.items() if row is not None and row.status == "ok"}
    write_lexicon(output, {**known, **rated})
    return report


def main(argv):
    """Run `emodistill annotate lexicon`. Returns the exit status."""
    parser = make_parser(
        "lexicon",
        "Rate each distinct descriptor on valence, arousal and dominance (1 to 9) and name the plain words it "
        "implies.",
        model=MODEL,
        limits=LIMITS,
    )
    about = "a descriptor data set (.jsonl), or one descriptor a line (.txt)"
    parser.add_argument("--input", required=True, metavar="FILE", help=about)
    parser.add_argument("--output", required=True, metavar="FILE", help="tab-separated: " + ", ".join(COLUMNS))
    parser.add_argument(
        "--store", metavar="FILE", help="everything asked and answered (default: the output's .sqlite)"
    )
    parser.add_argument("--known", metavar="FILE", help="a lexicon whose entries are taken over and not asked")
    parser.add_argument(
        "--min-count", type=int, default=1, metavar="N", help="leave out rarer descriptors (default: 1)"
    )
    parser.add_argument("--prompt", default="lexicon", metavar="NAME", help="a prompt for ratings (default: lexicon)")
    parser.add_argument("--descriptors-per-request", type=int, default=20, metavar="N", help="(default: 20)")
    parser.add_argument("--merge-variants", action="store_true", help="rate spelling variants as one descriptor")
    args = parser.parse_args(argv)
    args.labels, args.texts_per_request = None, args.descriptors_per_request
    settings = settings_from(args)
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
    return finish(report, settings.quiet)
