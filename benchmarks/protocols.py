"""The rules under which a decision may be made, named in every table.

| protocol | what the decision may see of the target |
|---|---|
| `strict` | nothing: neither its labels nor its texts |
| `paper` | one global threshold, calibrated on labels of the target's calibration split (arXiv 2505.18040) |
| `per-label` | one threshold a label, calibrated on the same split: an upper reference, not zero-shot |
| `transductive` | the unlabelled target texts as the background, no label |

For one label a text, `paper` is the highest similarity (nothing is calibrated) and `per-label` adds one calibrated
offset a label.
"""

import numpy as np
from scipy import stats

__all__ = [
    "calibrate_global_threshold", "calibrate_label_offsets", "calibrate_label_thresholds", "candidate_thresholds",
    "f1_at_thresholds", "rank_correlations", "threshold_curve",
]  # fmt: skip

STRICT = "strict"
PAPER = "paper"
PER_LABEL = "per-label"
TRANSDUCTIVE = "transductive"
PROTOCOLS = {
    STRICT: "no target labels or texts",
    PAPER: "one global threshold, calibrated on the target's labelled calibration split",
    PER_LABEL: "one threshold a label, calibrated on the same split: an upper reference",
    TRANSDUCTIVE: "the unlabelled target texts are the background",
}


def f1_at_thresholds(references, scores, thresholds):
    """Per-label F1 when labels at or above a threshold are predicted.

    Args:
        references: `(texts, labels)` of 0 and 1.
        scores: `(texts, labels)`.
        thresholds: `(thresholds,)`, any order.

    Returns:
        `np.ndarray` of shape `(thresholds, labels)`.
    """
    references, scores = np.asarray(references), np.asarray(scores)
    result = np.zeros((len(thresholds), scores.shape[1]))
    for label in range(scores.shape[1]):
        order = np.argsort(scores[:, label])
        ordered = scores[order, label]
        hits_above = np.append(np.cumsum(references[order, label][::-1])[::-1], 0)
        first = np.searchsorted(ordered, thresholds, side="left")
        marks = (len(ordered) - first) + references[:, label].sum()
        np.divide(2.0 * hits_above[first], marks, out=result[:, label], where=marks > 0)
    return result


def candidate_thresholds(scores, count=400):
    """Thresholds between the values that occur, spread by their quantiles."""
    values = np.unique(np.quantile(np.asarray(scores).ravel(), np.linspace(0, 1, count)))
    middles = (values[1:] + values[:-1]) / 2
    return np.concatenate([values[:1], middles, [np.nextafter(values[-1], np.inf)]])


def calibrate_global_threshold(references, scores):
    """The threshold with the highest macro-F1; of equally good ones, the middle one.

    Args:
        references: `(texts, labels)` of 0 and 1, of the calibration split.
        scores: `(texts, labels)`.

    Returns:
        `float`: predict every label at or above it.
    """
    thresholds = candidate_thresholds(scores)
    macro = f1_at_thresholds(references, scores, thresholds).mean(axis=1)
    best = np.flatnonzero(macro >= macro.max() - 1e-12)
    return float(thresholds[best[len(best) // 2]])


def calibrate_label_thresholds(references, scores):
    """One threshold a label, each with the highest F1 of its label on the calibration split.

    A label without positives there gets a threshold above every score: nothing speaks for predicting it.
    """
    references, scores = np.asarray(references), np.asarray(scores)
    thresholds = []
    for label in range(scores.shape[1]):
        if not references[:, label].any():
            thresholds.append(np.nextafter(scores[:, label].max(), np.inf))
        else:
            thresholds.append(calibrate_global_threshold(references[:, [label]], scores[:, [label]]))
    return np.array(thresholds)


def calibrate_label_offsets(references, scores, rounds=5):
    """Offsets, one a label, that raise the macro-F1 of the highest score on the calibration split.

    Coordinate ascent from zero: each label's offset in turn is the best of a grid scaled to the scores' spread.

    Args:
        references: `(texts,)` label indices.
        scores: `(texts, labels)`.
        rounds (`int`): Passes over the labels; stops early when nothing changes.

    Returns:
        `np.ndarray` of shape `(labels,)`, to be added to the scores.
    """
    references, scores = np.asarray(references), np.asarray(scores, dtype=float)
    labels = scores.shape[1]
    truth = np.eye(labels)[references]
    grid = np.linspace(-2, 2, 41) * scores.std()
    offsets = np.zeros(labels)

    def macro_f1(candidate):
        guess = np.eye(labels)[(scores + candidate).argmax(axis=1)]
        marks = truth.sum(axis=0) + guess.sum(axis=0)
        return float(np.mean(2 * (truth * guess).sum(axis=0) / np.maximum(marks, 1)))

    best = macro_f1(offsets)
    for _ in range(rounds):
        before = best
        for label in range(labels):
            for step in grid:
                candidate = offsets.copy()
                candidate[label] = step
                value = macro_f1(candidate)
                if value > best:
                    best, offsets = value, candidate
        if best == before:
            break
    return offsets


def threshold_curve(references, scores, points=60):
    """Macro-F1 against the threshold, over the whole range of the scores.

    Returns:
        `dict` of lists: `threshold`, `macro_f1` and `predicted` (mean labels predicted a text), ascending.
    """
    scores = np.asarray(scores, dtype=float)
    thresholds = np.linspace(scores.min(), scores.max(), points)
    ordered = np.sort(scores.ravel())
    predicted = (ordered.size - np.searchsorted(ordered, thresholds, side="left")) / len(scores)
    return {
        "threshold": thresholds.tolist(),
        "macro_f1": f1_at_thresholds(references, scores, thresholds).mean(axis=1).tolist(),
        "predicted": predicted.tolist(),
    }


def rank_correlations(scores):
    """Do two protocols order the models alike?

    Args:
        scores (`dict[str, dict[str, float]]`): For each protocol, the measure of each model.

    Returns:
        `list[dict]`: for each pair of protocols with at least three models in common: `first`, `second`, `models`,
        `spearman` and `kendall` (`nan` where all models tie).
    """
    result, names = [], list(scores)
    for position, first in enumerate(names):
        for second in names[position + 1 :]:
            shared = [model for model in scores[first] if model in scores[second]]
            if len(shared) < 3:
                continue
            one, two = ([scores[name][model] for model in shared] for name in (first, second))
            constant = len(set(one)) == 1 or len(set(two)) == 1
            result.append(
                {
                    "first": first,
                    "second": second,
                    "models": len(shared),
                    "spearman": float("nan") if constant else float(stats.spearmanr(one, two).statistic),
                    "kendall": float("nan") if constant else float(stats.kendalltau(one, two).statistic),
                }
            )
    return result
