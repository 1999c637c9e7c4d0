"""The descriptors of a data set: reading them, counting them, and how far they reach."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from ..descriptors.formats import format_of
from ..descriptors.tables import iter_rows
from .normalise import NEUTRAL, VariantMap, normalise_labels
from .prompts import load_prompt

__all__ = ["DescriptorVocabulary", "plot", "read_counts", "read_data_set"]


def read_data_set(path):
    """The rows of a descriptor data set.

    Args:
        path (`str` or `Path`): JSON lines, or another table, with `labels` and, where there are such fields,
            `status`, `source`, `text`.

    Returns:
        `list[dict]`

    Raises:
        `ValueError`: for a line that is none; the sentence names it.
    """
    rows = []
    unnamed = Path(path).is_file() and format_of(path) is None
    for row in iter_rows(path, split="all", kind="jsonl" if unnamed else None):
        labels = row.values.get("labels")
        if row.error:
            raise ValueError(f"{row.place}: {row.error}")
        if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
            raise ValueError(f"{row.place}: no 'labels', a list of strings; is it a descriptor data set?")
        rows.append(row.values)
    if not rows:
        raise ValueError(f"{path}: there are no rows")
    return rows


def read_counts(path, merge_variants=False):
    """How often each descriptor occurs, normalised.

    Args:
        path (`str` or `Path`): A descriptor data set, or a text file with one descriptor a line.
        merge_variants (`bool`): Use one spelling for variants.

    Returns:
        `Counter[str]`
    """
    if Path(path).suffix.lower() == ".txt":
        lists = [[line] for line in Path(path).read_text("utf-8-sig").splitlines() if line.strip()]
    else:
        lists = [row["labels"] for row in read_data_set(path) if row.get("status", "ok") == "ok"]
    variants = VariantMap.of(lists) if merge_variants else None
    return Counter(term for labels in lists for term in normalise_labels(labels, variants))


@dataclass(frozen=True)
class DescriptorVocabulary:
    """What a descriptor data set says.

    Args:
        rows (`int`): Of all statuses.
        texts (`int`): With the status `ok`, or with no status field.
        statuses (`dict[str, int]`): Rows by status; empty where the rows have none.
        sources (`dict[str, int]`): Texts by source.
        counts (`dict[str, int]`): Texts by descriptor, the most frequent first.
        assignments (`int`): Descriptors of all texts.
        neutral (`int`): Texts that are neutral.
        coverage (`dict[str, dict]`): For each of GoEmotions' 28 labels, `exact`: texts with that descriptor, and
            `within`: texts with a descriptor that has it as one of its words.
    """

    rows: int
    texts: int
    statuses: dict
    sources: dict
    counts: dict
    assignments: int
    neutral: int
    coverage: dict

    @classmethod
    def of(cls, rows, merge_variants=False):
        """The vocabulary of rows as `read_data_set` gives them."""
        statuses = Counter(row["status"] for row in rows if "status" in row)
        answered = [row for row in rows if row.get("status", "ok") == "ok"]
        variants = VariantMap.of(row["labels"] for row in answered) if merge_variants else None
        lists = [normalise_labels(row["labels"], variants) for row in answered]
        counts = Counter(term for labels in lists for term in labels)
        return cls(
            rows=len(rows),
            texts=len(answered),
            statuses=dict(statuses.most_common()),
            sources=dict(Counter(str(row.get("source", "")) for row in answered).most_common()),
            counts=dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))),
            assignments=sum(counts.values()),
            neutral=sum(labels == [NEUTRAL] for labels in lists),
            coverage=_coverage(lists),
        )

    @property
    def facts(self):
        """`dict`: the figures without the vocabulary itself."""
        once = sum(count == 1 for count in self.counts.values())
        return {
            "rows": self.rows,
            "texts": self.texts,
            "distinct": len(self.counts),
            "terms_a_text": round(self.assignments / max(1, self.texts), 3),
            "neutral_share": round(self.neutral / max(1, self.texts), 4),
            "used_once": once,
            "phrases": sum(" " in term for term in self.counts),
            "half_of_all_uses": _terms_for(self.counts.values(), self.assignments / 2),
            "goemotions_covered": sum(one["exact"] > 0 for one in self.coverage.values()),
        }

    def lines(self, top=20):
        """`list[str]`: for people."""
        facts = self.facts
        lines = [
            f"rows:              {self.rows:,}" + _listed(self.statuses),
            f"texts:             {self.texts:,}" + _listed(self.sources),
            f"distinct terms:    {facts['distinct']:,} ({facts['used_once']:,} used once, {facts['phrases']:,} "
            "phrases)",
            f"terms a text:      {facts['terms_a_text']:.2f}",
            f"neutral:           {facts['neutral_share']:.1%}",
            f"half of all uses:  the {facts['half_of_all_uses']:,} most frequent terms",
            "most frequent:     " + ", ".join(f"{t} {n:,}" for t, n in list(self.counts.items())[:top]),
        ]
        missing = [label for label, one in self.coverage.items() if not one["exact"]]
        lines.append(f"GoEmotions labels: {facts['goemotions_covered']} of {len(self.coverage)} occur as they stand")
        if missing:
            inside = [f"{label} ({self.coverage[label]['within']:,} within phrases)" for label in missing]
            lines.append("  not as such:     " + ", ".join(inside))
        return lines


def _listed(counts):
    return f" ({', '.join(f'{name} {n:,}' for name, n in counts.items() if name)})" if any(counts) else ""


def _terms_for(counts, wanted):
    reached = 0
    for number, count in enumerate(sorted(counts, reverse=True), 1):
        reached += count
        if reached >= wanted:
            return number
    return 0


def _coverage(lists):
    exact, within = Counter(), Counter()
    for labels in lists:
        exact.update(labels)
        within.update({word for label in labels for word in label.replace("-", " ").split()} | set(labels))
    labels = load_prompt("closed").labels
    return {label: {"exact": exact[label], "within": within[label]} for label in labels}


def plot(vocabulary, path):
    """Draw the frequency curve, the most frequent terms and the coverage of GoEmotions' labels.

    Args:
        vocabulary (`DescriptorVocabulary`)
        path (`str` or `Path`): `.png`, `.svg` or `.pdf`.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise ImportError("plots need matplotlib: pip install 'emodistill[annotate]'") from None
    figure = Figure(figsize=(15, 6.5), layout="constrained")
    curve, top, coverage = figure.subplots(1, 3, width_ratios=[1.15, 1, 1])
    counts = list(vocabulary.counts.values())
    curve.loglog(range(1, len(counts) + 1), counts, color="#1f5f8b", linewidth=2)
    curve.set(xlabel="rank of the term", ylabel="texts with the term", title=f"{len(counts):,} distinct terms")
    curve.grid(True, which="major", alpha=0.3)
    terms = list(vocabulary.counts.items())[:28][::-1]
    top.barh([term for term, _ in terms], [count for _, count in terms], color="#1f5f8b")
    top.set(xlabel="texts", title="the most frequent terms")
    labels = list(vocabulary.coverage.items())[::-1]
    names = [name for name, _ in labels]
    coverage.barh(names, [one["within"] for _, one in labels], color="#c9d9e6", label="within a phrase")
    coverage.barh(names, [one["exact"] for _, one in labels], color="#1f5f8b", label="as it stands")
    coverage.set(xlabel="texts", title="GoEmotions' 28 labels among the terms")
    coverage.legend(loc="lower right", frameon=False)
    for axes in (top, coverage):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(axis="y", labelsize=8.5)
    try:
        figure.savefig(path, dpi=110)
    except ValueError as error:  # an ending that matplotlib has no writer for
        raise ValueError(f"plot: {path}: {error}") from None
