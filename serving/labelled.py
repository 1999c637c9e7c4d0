"""Labelled texts as users give them, checked, as the targets that [`adapt`] fits to."""

import numbers
import re
from collections.abc import Iterable, Mapping, Set

import numpy as np

from ..inputs_emodistill import is_table, sequence_of
from ..options_emodistill import names_in

__all__ = ["check_count", "entries", "positions", "targets_of"]

FEWEST, MOST = 4, 5000


def check_count(texts):
    """`ValueError` for a number of labelled texts that is too small or too large to adapt to."""
    if not FEWEST <= texts <= MOST:
        do = "label some more" if texts < FEWEST else "train a model on so many"
        raise ValueError(f"adapt takes {FEWEST} to {MOST} labelled texts, not {texts}: {do}")


def entries(values, argument):
    """A list with an entry for each text, of whatever holds them in order."""
    if is_table(values):
        raise ValueError(f'{argument} is {type(values).__name__}; name its column, for instance table["{argument}"]')
    if isinstance(values, str | bytes | Mapping | Set) or not isinstance(values, Iterable):
        raise ValueError(f"{argument} must be a list with an entry for each text, not {values!r}")
    return list(sequence_of(values))


def targets_of(labels, names, multi_label):
    """
    Labels as targets.

    Args:
        labels (`list`): For each text its label, or a list of labels.
        names (`list[str]`, `str` or `dict`, *optional*): The label set; what occurs, sorted, by default.
        multi_label (`bool`, *optional*): Whether any number may hold; by default whether any text has not just one.

    Returns:
        `tuple`: names; targets `(texts, labels)`; the options of a call; `"multi_label"` or `"single_label"`.

    Raises:
        `ValueError`: naming the text whose labels are none, or not in the set.
    """
    rows = [_labels_of(number, entry) for number, entry in enumerate(labels)]
    if names is None:
        if joined := next((name for row in rows for name in row if re.search("[,;|]", name)), None):
            raise ValueError(f"labels hold {joined!r}: give a list for a text with several labels, or the label set")
        names = sorted({name for row in rows for name in row})
    from ..labels_emodistill import LabelSet

    label_set = LabelSet.parse(names)
    known = {name: place for place, name in enumerate(label_set.names)}
    if multi_label is None:
        multi_label = any(len(row) != 1 for row in rows)
    targets = np.zeros((len(rows), len(known)))
    for number, row in enumerate(rows):
        if unknown := [name for name in row if name not in known]:
            raise ValueError(f"text {number} has the label {unknown[0]!r}, which is not among {', '.join(known)}")
        if not multi_label and len(row) != 1:
            raise ValueError(f"text {number} has {len(row)} labels, and without multi_label each text has exactly one")
        targets[number, [known[name] for name in row]] = 1.0
    wordings = {name: list(texts) for name, texts in zip(label_set.names, label_set.wordings, strict=True)}
    kind = "multi_label" if multi_label else "single_label"
    return label_set.names, targets, {"labels": wordings, "multi_label": bool(multi_label)}, kind


def _labels_of(number, entry):
    """The labels of one text."""
    if isinstance(entry, str):
        return [entry]
    if isinstance(entry, bytes | Mapping) or not isinstance(entry, Iterable):
        missing = "; give [] where no label holds, or leave the text out" if entry is None or entry != entry else ""
        raise ValueError(f"labels of text {number} must be a label or a list of labels, not {entry!r}{missing}")
    entry = list(entry)
    if wrong := [label for label in entry if not isinstance(label, str)]:
        raise ValueError(f"labels of text {number} must hold strings, not {wrong[0]!r}")
    return entry


def positions(labels, names):
    """
    Positions on dimensions as targets.

    Args:
        labels (`list[dict[str, float]]`): For each text its positions, on any scale.
        names (`list[str]`, `str` or `dict`, *optional*): A call's `dimensions`; those that occur by default.

    Returns:
        `tuple`: names; targets `(texts, dimensions)`; the options of a call.

    Raises:
        `ValueError`: naming the text that lacks a number, or the dimension on which all are alike.
    """
    if not all(isinstance(entry, Mapping) for entry in labels):
        raise ValueError("with dimensions, labels must hold a dictionary of positions for each text")
    found = list(dict.fromkeys(name for entry in labels for name in entry))
    dimensions = names if names is not None else found
    if isinstance(dimensions, str):
        dimensions = names_in(dimensions)
    names = tuple(dimensions)
    targets = np.zeros((len(labels), len(names)))
    for number, entry in enumerate(labels):
        for place, name in enumerate(names):
            value = entry.get(name)
            if isinstance(value, bool) or not isinstance(value, numbers.Real) or not np.isfinite(value):
                raise ValueError(f"text {number} needs a number for {name!r}, not {value!r}")
            targets[number, place] = value
    if not names:
        raise ValueError("labels hold no dimension: give a dictionary such as {'valence': 6.5} for each text")
    if same := [name for place, name in enumerate(names) if np.ptp(targets[:, place]) == 0]:
        raise ValueError(f"all texts have the same position on {same[0]!r}, from which nothing can be learnt")
    return names, targets, {"dimensions": dimensions if isinstance(dimensions, Mapping) else list(names)}
