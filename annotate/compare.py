"""The same sample of texts under several prompts."""

from dataclasses import dataclass, field, replace
from itertools import combinations

from ..files import write_json
from .job import Job
from .normalise import NEUTRAL, normalise_labels
from .output import check_rows_output, store_path
from .runner import ask_pending, prepare
from .store import Store

__all__ = ["Answers", "agreement", "collect", "compare", "lines"]


@dataclass
class Answers:
    """What one prompt made of the sample.

    Args:
        prompt (`str`): Its id, `name/version`.
        labels (`dict[str, list[str]]`): Normalised descriptors of each text that has an answer.
        statuses (`dict[str, int]`)
        cost (`float`, *optional*): US dollars for the whole sample, earlier runs included.
    """

    prompt: str
    labels: dict = field(default_factory=dict)
    statuses: dict = field(default_factory=dict)
    cost: float | None = None

    def figures(self):
        """`dict`: texts, distinct terms, terms a text, share of neutral, refusals, invalid answers, cost."""
        texts = max(1, len(self.labels))
        asked = max(1, sum(self.statuses.values()))
        return {
            "prompt": self.prompt,
            "texts": len(self.labels),
            "distinct_terms": len({term for labels in self.labels.values() for term in labels}),
            "terms_a_text": round(sum(map(len, self.labels.values())) / texts, 3),
            "neutral_share": round(sum(labels == [NEUTRAL] for labels in self.labels.values()) / texts, 4),
            "refused_share": round(self.statuses.get("refused", 0) / asked, 4),
            "invalid_share": round(self.statuses.get("invalid", 0) / asked, 4),
            "cost": None if self.cost is None else round(self.cost, 6),
        }


def agreement(first, second):
    """How far two prompts agree on the texts that both answered.

    Args:
        first, second (`dict[str, list[str]]`): Descriptors by text.

    Returns:
        `dict`: `texts`; `jaccard`, the mean over texts of shared terms among all terms (0 to 1); `overlap`, the
            share of texts with a term in common; `neutral`, the share on which both say neutral or neither does.
            Figures are `None` where no text is shared.

    Example:

    ```python
    >>> agreement({"a": ["joy", "relief"]}, {"a": ["joy"]})
    {'texts': 1, 'jaccard': 0.5, 'overlap': 1.0, 'neutral': 1.0}

    ```
    """
    shared = [(set(first[text]), set(second[text])) for text in first if text in second]
    if not shared:
        return {"texts": 0, "jaccard": None, "overlap": None, "neutral": None}
    total = len(shared)
    return {
        "texts": total,
        "jaccard": round(sum(len(a & b) / len(a | b) for a, b in shared) / total, 4),
        "overlap": round(sum(bool(a & b) for a, b in shared) / total, 4),
        "neutral": round(sum((a == {NEUTRAL}) == (b == {NEUTRAL}) for a, b in shared) / total, 4),
    }


def compare(rows, prompts, settings, output, *, store=None):
    """Ask for a sample under each prompt, and write the comparison.

    Args:
        rows (`list[TextRow]`): The sample.
        prompts (`list[str]`): Names or paths.
        settings (`Settings`)
        output (`str` or `Path`): The JSON file.
        store (`str` or `Path`, *optional*): `output` with `.sqlite` appended by default.

    Returns:
        `dict`: `prompts`, a list of `Answers.figures`; `agreement`, a list of `agreement` with the two `prompts`;
            `stopped`, why it ended early, or `None`.
    """
    path = store_path(output, store)
    check_rows_output(output, path)
    chosen = [replace(settings, prompt=name) for name in prompts]
    if settings.labels:  # they are for the closed prompts among them
        chosen = [
            one if prepare(replace(one, labels=None)).prompt.closed else replace(one, labels=None) for one in chosen
        ]
    tasks = [prepare(one) for one in chosen]
    if len({task.prompt.id + task.prompt.digest for task in tasks}) < len(tasks):
        raise ValueError("prompts: one is named twice")
    settings.read_key()
    answers, stopped = [], None
    with Store(path) as opened:
        for one, task in zip(chosen, tasks, strict=True):
            job = Job(task, [(row.id, row.text) for row in rows], one, opened)
            stopped = stopped or ask_pending(job).stopped
            answers.append(collect(job, rows))
    result = {
        "model": settings.model,
        "sample": len(rows),
        "prompts": [one.figures() for one in answers],
        "agreement": [
            {"prompts": [one.prompt, other.prompt], **agreement(one.labels, other.labels)}
            for one, other in combinations(answers, 2)
        ],
        "stopped": stopped,
    }
    write_json(output, result)
    return result


def collect(job, rows):
    """`Answers`: what a job has stored for rows."""
    answers = Answers(job.task.prompt.id)
    for row in rows:
        found = job.found(row)
        status = found.status if found else "pending"
        answers.statuses[status] = answers.statuses.get(status, 0) + 1
        if status == "ok":
            answers.labels[row.text] = normalise_labels(job.task.fields(found.value)["labels"])
    if job.price is not None:
        answers.cost = job.store.usage(job.settings.model, job.identity["prompt"])["cost"]
    return answers


def lines(result):
    """`list[str]`: a comparison for people."""
    columns = "".join(f"{name:>9}" for name in ("neutral", "refused", "invalid"))
    table = [f"{'prompt':<18}{'texts':>7}{'distinct':>10}{'a text':>8}{columns}{'cost':>10}"]
    for one in result["prompts"]:
        cost = "unknown" if one["cost"] is None else f"${one['cost']:.4f}"
        table.append(
            f"{one['prompt']:<18}{one['texts']:>7,}{one['distinct_terms']:>10,}{one['terms_a_text']:>8.2f}"
            f"{one['neutral_share']:>9.1%}{one['refused_share']:>9.1%}{one['invalid_share']:>9.1%}{cost:>10}"
        )
    table += ["", f"{'agreement':<38}{'jaccard':>9}{'overlap':>9}{'neutral':>9}"]
    for one in result["agreement"]:
        figures = [
            f"{one[name]:>9.3f}" if one["texts"] else f"{'none':>9}" for name in ("jaccard", "overlap", "neutral")
        ]
        table.append(f"{' and '.join(one['prompts']):<38}" + "".join(figures))
    return table + ([f"stopped early: {result['stopped']}"] if result["stopped"] else [])
