"""From scores to what users get: thresholds, dictionaries, and tables of them. Without torch."""

import collections.abc
import numbers

import numpy as np

from .decision_emodistill import select_labels
from .labels_emodistill import NEUTRAL, neutral_place

__all__ = [
    "add_labels", "blank_scores", "null_result", "predicted_labels", "read_thresholds", "to_frame", "uses_auto",
]  # fmt: skip


VALUES_AT_ONCE = 2**16  # scores that are sorted together: they stay in the processor's cache


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
        blank (`Collection[int]`, *optional*): Places of texts that are blank.
    """
    predicted = predicted_labels(scores, names, thresholds, multi_label, blank)
    known, keep = _as_array(names), min(top_k or len(names), len(names))
    rows = max(1, VALUES_AT_ONCE // len(names))
    for start in range(0, len(results), rows):
        order = _best_first(scores[start : start + rows])[:, :keep]
        best = known[order].tolist()
        values = np.take_along_axis(scores[start : start + rows], order, axis=1).tolist()
        for index, result in enumerate(results[start : start + rows]):
            result["labels"], result["scores"] = best[index], values[index]
            result["predicted"] = predicted[start + index]


def _as_array(names):
    return np.array([*names, None], dtype=object)[:-1]  # one label that is a sequence stays one


def _best_first(scores):
    """Places of each text's labels, best first; of equal ones that which is named first."""
    if scores.dtype != np.float32:
        return np.argsort(-scores, axis=1, kind="stable")
    # Whole numbers in the order of the scores, with the place behind: they sort many times as fast, and all differ.
    bits = (scores + np.float32(0.0)).view(np.uint32)  # without negative zeros
    falling = np.where(bits >> 31, bits, ~bits & np.uint32(0x7FFFFFFF)).astype(np.uint64)
    keys = (falling << np.uint64(32)) | np.arange(scores.shape[1], dtype=np.uint64)
    keys.sort(axis=1)
    return (keys & np.uint64(0xFFFFFFFF)).astype(np.intp)


def predicted_labels(scores, names, thresholds, multi_label, blank=()):
    """
    The labels that are predicted of each text, best first.

    Args:
        scores (`numpy.ndarray` of shape `(texts, labels)`): The scores.
        names (`Sequence[str]`): The labels.
        thresholds (`list[float]` or `None`): A threshold for each label; `None` predicts nothing.
        multi_label (`bool`): Whether any number of labels may hold, or the best one at most.
        blank (`Collection[int]`, *optional*): Places of texts that are blank.

    Returns:
        `list[list[str]]`: neutral where nothing passes and the set has no such label.

    Example:

    ```python
    >>> import numpy as np
    >>> from emodistill.results_emodistill import predicted_labels

    >>> predicted_labels(np.array([[0.6, 0.9], [0.1, 0.2]]), ["joy", "fear"], [0.5, 0.5], multi_label=True)
    [['fear', 'joy'], ['neutral']]

    ```
    """
    if thresholds is None:  # scores only
        return [[] for _ in scores]
    neutral, known = _neutral(names), _as_array(names)
    passes = select_labels(scores, thresholds)
    if multi_label:
        texts, places = np.nonzero(passes)
        order = np.lexsort((places, -scores[texts, places], texts))
        best, ends = known[places[order]].tolist(), np.cumsum(passes.sum(axis=1)).tolist()
        found = [best[start:end] for start, end in zip([0, *ends], ends, strict=False)]
    else:
        highest = scores.argmax(axis=1)
        passes = passes[np.arange(len(scores)), highest].tolist()
        found = [[name] if one else [] for name, one in zip(known[highest].tolist(), passes, strict=True)]
    nothing = [] if neutral in names else [neutral]
    found = [labels or list(nothing) for labels in found]
    for index in blank:
        held = [name for name, score in zip(names, scores[index], strict=True) if multi_label and score == 1.0]
        found[index] = held or [neutral]
    return found


def null_result(reason, with_labels, dimensions=(), with_windows=False):
    """
    What stands in for the result of a text that could not be read.

    Args:
        reason (`str`): Why.
        with_labels (`bool`): Whether labels were asked for.
        dimensions (`Iterable[str]`, *optional*): Names of the dimensions that were asked for.
        with_windows (`bool`, *optional*, defaults to `False`): Whether windows were asked for.

    Returns:
        `dict`: as for other texts, of nulls, with the reason as `error`.
    """
    result = {"sequence": None}
    if with_labels:
        result |= {"labels": None, "scores": None, "predicted": None}
    if dimensions:
        result["dimensions"] = dict.fromkeys(dimensions)
    return {**result, **({"windows": None} if with_windows else {}), "error": reason}


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
