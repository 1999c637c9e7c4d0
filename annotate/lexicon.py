"""A lexicon: valence, arousal, dominance and implied plain words of each descriptor."""

from ..descriptors.lexicon import COLUMNS, read_lexicon, write_lexicon
from .job import Job
from .output import check_rows_output, store_path
from .runner import ask_pending, prepare
from .store import Store

__all__ = ["COLUMNS", "rate", "read_lexicon", "write_lexicon"]


def rate(descriptors, output, settings, *, store=None, known=None, on_estimate=None):
    """Ask a teacher to rate descriptors, and write the lexicon.

    Args:
        descriptors (`Iterable[str]`): In normal form.
        output (`str` or `Path`): The TSV file.
        settings (`Settings`): Its prompt is one for the task `lexicon`.
        store (`str` or `Path`, *optional*): `output` with `.sqlite` appended by default.
        known (`dict`, *optional*): Entries as `read_lexicon` gives them; they are written and not asked.
        on_estimate (`Callable`, *optional*): Told what the run will take.

    Returns:
        `Report`: its statuses count the descriptors that were not known.
    """
    known = dict(known or {})
    path = store_path(output, store)
    check_rows_output(output, path)
    asked = [term for term in dict.fromkeys(descriptors) if term not in known]
    task = prepare(settings, ("lexicon",))
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
