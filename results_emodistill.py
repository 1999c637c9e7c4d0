"""From scores to what users get: thresholds, dictionaries, and tables of them. Without torch."""

import collections.abc
import numbers

import numpy as np

from .decision_emodistill import select_labels
from .labels_emodistill import NEUTRAL, neutral_place

__all__ = ["add_labels", "blank_scores", "null_result", "read_thresholds", "to_frame", "uses_auto"]


def uses_auto(threshold, names):
    """Whether any of the labels is decided by the checkpoint's own cut."""
    if isinstance(threshold, collections.abc.Mapping):
        return not set(names) <= set(threshold)
    return isinstance(threshold, str) and threshold == "auto"


def read_thresholds(threshold, names, multi_label, all_of_them=True):
    """
    A threshold for each label.

    Args:
        threshold (`"auto"`, `float`, `dict[str, float]` or `None`): As the pipeline takes it.
        names (`Sequence[str]`): The labels.
        multi_label (`bool`): Whether each label is decided for itself.
        all_of_them (`bool`, *optional*, defaults to `True`): Whether a dict may name no other label, as where texts
            have sets of their own.

    Returns:
        `list[float]` or `None`: `None` for scores only.

    Raises:
        `ValueError`: naming what is wrong.

    Example:

    ```python
    >>> from emodistill.results_emodistill import read_thresholds

    >>> read_thresholds({"joy": 0.3}, ["joy", "fear"], multi_label=True)
    [0.3, 0.5]

    ```
    """
    if threshold is None:
        return None
    auto = 0.5 if multi_label else 0.0  # in single-label mode the best label needs no certain score
    if isinstance(threshold, str):
        if threshold != "auto":
            raise ValueError(f'threshold must be "auto", a number, a dict or None, not {threshold!r}')
        return [auto] * len(names)
    if isinstance(threshold, collections.abc.Mapping):
        unknown = sorted(str(name) for name in set(threshold) - set(names))
        if unknown and all_of_them:
            raise ValueError(f"threshold names {', '.join(map(repr, unknown))}, which is not among the labels")
        return [_probability(threshold.get(name, auto)) for name in names]
    return [_probability(threshold)] * len(names)


def _probability(value):
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0.0 <= value <= 1.0:
        raise ValueError(f"threshold must lie between 0 and 1, not {value!r}")
    return float(value)


def _neutral(names):
    """The set's own word for neutral, however it is capitalised, or ours."""
    place = neutral_place(names)
    return NEUTRAL if place is None else names[place]


def blank_scores(label_set, multi_label):
    """
    A blank text expresses nothing: all on neutral if the set has it, else nothing, or no preference.

    Args:
        label_set ([`LabelSet`]): The labels; what names the absence of a feeling holds.
        multi_label (`bool`): Whether any number of labels may hold.

    Returns:
        `list[float]`: a score for each label.
    """
    names, neutral = label_set.names, _neutral(label_set.names)
    if multi_label and label_set.absent:
        absent = [feeling is not None and neutral_place([feeling]) is None for feeling in label_set.absent]
        return [float(name == neutral or is_absent) for name, is_absent in zip(names, absent, strict=True)]
    if neutral in names or multi_label:
        return [float(name == neutral) for name in names]
    return [1.0 / len(names)] * len(names)


def add_labels(results, scores, names, thresholds, multi_label, top_k=None, blank=()):
    """
    Fill in `labels`, `scores` and `predicted`, of all texts at once: a thousand labels must cost little.

    Args:
        results (`list[dict]`): One for each text, changed in place.
        scores (`numpy.ndarray` of shape `(texts, labels)`): The scores.
        names (`Sequence[str]`): The labels.
        thresholds (`list[float]` or `None`): A threshold for each label; `None` predicts nothing.
        multi_label (`bool`): Whether any number of labels may hold.
        top_k (`int`, *optional*): Keep this many of `labels` and `scores`.
        blank (`Container[int]`, *optional*): Places of texts that are blank.
    """
    order = np.argsort(-scores, axis=1, kind="stable")
    keep = min(top_k or len(names), len(names))
    all_names = np.array([*names, None], dtype=object)[:-1]  # one label that is a sequence stays one
    best = all_names[order[:, :keep]].tolist()
    values = np.take_along_axis(scores, order[:, :keep], axis=1).tolist()
    if thresholds is not None:
        chosen = np.take_along_axis(select_labels(scores, thresholds), order, axis=1)
        if not multi_label:
            chosen[:, 1:] = False
    neutral = _neutral(names)
    for index, result in enumerate(results):
        result["labels"], result["scores"] = best[index], values[index]
        if thresholds is None:  # scores only
            result["predicted"] = []
        elif index in blank:
            held = [names[place] for place in order[index] if multi_label and scores[index, place] == 1.0]
            result["predicted"] = held or [neutral]
        else:
            passed = all_names[order[index][chosen[index]]].tolist()
            result["predicted"] = passed if passed or neutral in names else [neutral]


def null_result(reason, with_labels, dimensions=()):
    """
    What stands in for the result of a text that could not be read.

    Args:
        reason (`str`): Why.
        with_labels (`bool`): Whether labels were asked for.
        dimensions (`Iterable[str]`, *optional*): Names of the dimensions that were asked for.

    Returns:
        `dict`: as for other texts, of nulls, with the reason as `error`.
    """
    result = {"sequence": None}
    if with_labels:
        result |= {"labels": None, "scores": None, "predicted": None}
    if dimensions:
        result["dimensions"] = dict.fromkeys(dimensions)
    return {**result, "error": reason}


def to_frame(results, names=(), index=None):
    """
    Results as a table: one row a text, one column a label.

    Args:
        results (`list[dict]`): What the pipeline gives for texts, with all labels.
        names (`Sequence[str]`, *optional*): The labels in the order of the columns; others follow.
        index (`pandas.Index`, *optional*): Of the table.

    Returns:
        `pandas.DataFrame`: `text`, a column for each label with its score, `predicted` (a list), a column for each
        dimension; where texts have label sets of their own, scores of other labels are missing. `error` where a text
        could not be read, `windows_read` and `windows_total` where one was too long to be read in full.

    Raises:
        `ImportError`: without pandas.
        `ValueError`: for a label that has the name of another column.
    """
    try:
        import pandas
    except ImportError:
        raise ImportError("to_frame needs pandas: pip install pandas") from None
    labels = dict.fromkeys([*names, *(name for result in results for name in result.get("labels") or ())])
    dimensions = dict.fromkeys(name for result in results for name in result.get("dimensions") or ())
    columns = {"text": [result["sequence"] for result in results]}
    by_label = [dict(zip(result.get("labels") or (), result.get("scores") or (), strict=True)) for result in results]
    parts = [
        {name: [row.get(name, np.nan) for row in by_label] for name in labels},
        {"predicted": [result.get("predicted") for result in results]} if labels else {},
        {name: [_of(result.get("dimensions"), name) for result in results] for name in dimensions},
    ]
    for extra in ("windows_read", "windows_total", "error"):
        if any(extra in result for result in results):
            parts.append({extra: [result.get(extra) for result in results]})
    for part in parts:
        if clash := [name for name in part if name in columns]:
            raise ValueError(f"a table cannot have two columns called {clash[0]!r}: name the label otherwise")
        columns |= part
    return pandas.DataFrame(columns, index=index)


def _of(values, name):
    value = None if values is None else values.get(name)
    return np.nan if value is None else value
