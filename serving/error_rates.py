"""How often the classifier errs: measured on texts whose labels are known, or given as a table."""

import os
from itertools import chain
from pathlib import Path

from ..descriptors.tables import iter_rows, iter_texts
from .quantify import ErrorRates
from .report import KnownErrors
from .rows import Row, Shard

__all__ = ["measure_rates", "rates_from_held_out", "rates_from_labelled", "read_labelled", "read_rates"]

# The descriptor data set lies beside the package in a clone; its validation texts no model was trained on.
DESCRIPTORS = Path(__file__).resolve().parents[1] / "data" / "descriptors"
COLUMNS = ("label", "true_positive_rate", "false_positive_rate", "positives", "negatives")


def measure_rates(scorer, texts, truths, progress=None):
    """
    Error rates of a scorer's decisions.

    Args:
        scorer ([`TextScorer`]): With one label set for all.
        texts (`list[str]`): Texts.
        truths (`list[Collection[str]]`): For each the labels that hold; capitals do not matter.
        progress (`Callable[[Shard], Callable]`, *optional*): As in [`score_shards`].

    Returns:
        `dict[str, ErrorRates]`: for each of the scorer's labels.
    """
    if not texts:
        return {}
    shard = Shard(0, [Row(number, text) for number, text in enumerate(texts)])
    scored = scorer.score(scorer.prepare(shard), progress(shard) if progress else None)
    predicted = [set(labels) for labels in scored.predicted]
    truths = [{label.strip().casefold() for label in labels} for labels in truths]
    rates = {}
    for name in scorer.names:
        true = [name.casefold() in labels for labels in truths]
        hits = [name in labels for labels in predicted]
        rates[name] = ErrorRates(
            hits=sum(t and h for t, h in zip(true, hits, strict=True)),
            positives=sum(true),
            false_alarms=sum(h and not t for t, h in zip(true, hits, strict=True)),
            negatives=len(true) - sum(true),
        )
    return rates


def read_labelled(path, names, text_column=None, labels_column="labels", **reading):
    """
    Texts with the labels that hold, from a table.

    Args:
        path (`str`): A table of texts, as [`iter_texts`] reads it.
        names (`Sequence[str]`): The labels that are scored.
        text_column, labels_column (`str`, *optional*): Its columns.

    Returns:
        `list[TextRow]`: the rows that have labels.

    Raises:
        `ValueError`: if it has no labelled text, or none of the labels stands in it.
    """
    found = iter_texts(path, text_column=text_column, labels_column=labels_column, **reading)
    rows = [row for row in found if row.error is None and row.labels]
    wanted = {name.casefold() for name in names}
    if not any(label.strip().casefold() in wanted for row in rows for label in row.labels):
        raise ValueError(f"{path} has no text with one of the labels {', '.join(list(names)[:8])}")
    return rows


def rates_from_labelled(scorer, rows, path, progress=None):
    """
    Error rates on a user's own labelled texts: the best there are, if they are drawn from those that are scored.

    Args:
        scorer ([`TextScorer`]): The scorer.
        rows (`list[TextRow]`): As [`read_labelled`] gives them.
        path (`str`): The table that they come from, for the page.
        progress (`Callable`, *optional*): As in [`measure_rates`].

    Returns:
        [`KnownErrors`]
    """
    rates = measure_rates(scorer, [row.text for row in rows], [row.labels for row in rows], progress)
    name = os.path.basename(os.path.normpath(path))
    return KnownErrors(rates, f"Error rates were measured on {len(rows):,} labelled texts given for this ({name}).")


def rates_from_held_out(scorer, folder=DESCRIPTORS, progress=None):
    """
    Error rates on the held-out source texts of the descriptor data set, where it is there.

    A label holds for a text if the teacher read it in the text or a descriptor that the teacher read implies it.

    Args:
        scorer ([`TextScorer`]): The scorer.
        folder (`str` or `Path`, *optional*): The data set; the one of a clone of the repository by default.
        progress (`Callable`, *optional*): As in [`measure_rates`].

    Returns:
        [`KnownErrors`] or `None`: `None` where the data set is not there.
    """
    if not Path(folder, "README.md").is_file():
        return None
    splits = ("train", "validation")
    lexicon = chain.from_iterable(iter_rows(folder, config="lexicon", split=split) for split in splits)
    implies = {row.values["descriptor"]: row.values["implies"] or () for row in lexicon}
    texts, truths = [], []
    for row in iter_rows(folder, config="default", split="validation"):
        labels = row.values.get("labels") or ()
        texts.append(row.values["text"])
        truths.append({*labels, *(word for label in labels for word in implies.get(label, ()))})
    rates = measure_rates(scorer, texts, truths, progress)
    return KnownErrors(
        rates,
        f"Error rates were measured on {len(texts):,} held-out texts of the data set that the model learned from: a "
        "label holds there if a large language model read it, or something that implies it, in the text. These are "
        "not your texts, and no person labelled them.",
    )


def read_rates(path, names):
    """
    Error rates from a table (CSV, JSONL, Parquet) with a row a label.

    Args:
        path (`str`): Columns `label`, `true_positive_rate`, `false_positive_rate`, `positives` and `negatives` (the
            numbers of texts behind each rate).
        names (`Sequence[str]`): The labels that are scored; others in the table are passed over.

    Returns:
        [`KnownErrors`]

    Raises:
        `ValueError`: naming the row and what is wrong with it.
    """
    rates, by_name = {}, {name.casefold(): name for name in names}
    for row in iter_rows(path):
        if missing := [column for column in COLUMNS if row.values.get(column) in (None, "")]:
            raise ValueError(f"{row.place}: no {', '.join(missing)}; error rates need {', '.join(COLUMNS)}")
        try:
            values = [float(row.values[column]) for column in COLUMNS[1:]]
        except (TypeError, ValueError):
            raise ValueError(f"{row.place}: {', '.join(COLUMNS[1:])} must be numbers") from None
        true, false, positives, negatives = values
        if not (0 <= true <= 1 and 0 <= false <= 1 and positives > 0 and negatives > 0):
            raise ValueError(f"{row.place}: rates must lie between 0 and 1, and the numbers of texts above 0")
        if (name := by_name.get(str(row.values["label"]).strip().casefold())) is not None:
            rates[name] = ErrorRates(true * positives, positives, false * negatives, negatives)
    if not rates:
        raise ValueError(f"{path} has no row for one of the labels {', '.join(list(names)[:8])}")
    return KnownErrors(rates, f"Error rates were given in {os.path.basename(path)}.")
