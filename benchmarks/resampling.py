"""Bootstrap intervals and paired comparisons, resampling texts.

Every replicate is a vector of multinomial weights over the texts (Efron 1979), so that all replicates of a measure
are a few matrix products. Two systems measured on the same texts share their weights: that is the paired
bootstrap.
"""

import numpy as np

__all__ = [
    "auc_replicates", "bootstrap_weights", "f1_replicates", "interval", "mean_replicates", "micro_f1_replicates",
    "moments_replicates", "paired_difference", "pearson_replicates",
]  # fmt: skip

CONFIDENCE = 0.95


def bootstrap_weights(texts, replicates=1000, seed=0):
    """How often each text stands in each replicate.

    Args:
        texts (`int`): Number of texts.
        replicates (`int`): Number of replicates.
        seed (`int`): The same seed gives the same replicates, which pairs two systems.

    Returns:
        `np.ndarray` of shape `(replicates, texts)`, float32; each row adds up to `texts`.
    """
    counts = np.random.default_rng(seed).multinomial(texts, np.full(texts, 1 / texts), size=replicates)
    return counts.astype(np.float32)


def f1_replicates(references, predictions, weights):
    """Per-label F1 of each replicate.

    Args:
        references: `(texts, labels)` of 0 and 1.
        predictions: `(texts, labels)` of 0 and 1.
        weights: `(replicates, texts)`.

    Returns:
        `np.ndarray` of shape `(replicates, labels)`; 0 for a label neither present nor predicted.
    """
    references, predictions = np.asarray(references, np.float32), np.asarray(predictions, np.float32)
    marks = weights @ (references + predictions)
    return np.divide(2 * (weights @ (references * predictions)), marks, out=np.zeros_like(marks), where=marks > 0)


def micro_f1_replicates(references, predictions, weights):
    """Micro-F1 of each replicate, `(replicates,)`."""
    references, predictions = np.asarray(references, np.float32), np.asarray(predictions, np.float32)
    marks = weights @ (references + predictions).sum(axis=1)
    hits = weights @ (references * predictions).sum(axis=1)
    return np.divide(2 * hits, marks, out=np.zeros_like(marks), where=marks > 0)


def mean_replicates(values, weights):
    """The mean of a per-text value (accuracy, Jaccard index) in each replicate, `(replicates,)`."""
    return weights @ np.asarray(values, np.float32) / weights.sum(axis=1)


def auc_replicates(references, scores, weights):
    """ROC-AUC of each label and replicate, ties counted half.

    Args:
        references: `(texts, labels)` of 0 and 1.
        scores: `(texts, labels)`.
        weights: `(replicates, texts)`.

    Returns:
        `np.ndarray` of shape `(replicates, labels)`; `nan` where a replicate holds one class only.
    """
    references, scores = np.asarray(references), np.asarray(scores)
    result = np.full((len(weights), references.shape[1]), np.nan)
    for label in range(references.shape[1]):
        order = np.argsort(scores[:, label], kind="stable")
        ordered, truth = scores[order, label], references[order, label].astype(np.float32)
        ends = np.flatnonzero(np.append(np.diff(ordered) != 0, True))  # last place of each group of ties
        negative = np.cumsum(weights[:, order] * (1 - truth), axis=1)[:, ends]
        positive = np.cumsum(weights[:, order] * truth, axis=1)[:, ends]
        in_group = np.diff(positive, axis=1, prepend=0)
        below = np.concatenate([np.zeros((len(weights), 1)), negative[:, :-1]], axis=1)
        wins = (in_group * (below + negative) / 2).sum(axis=1)
        pairs = positive[:, -1] * negative[:, -1]
        np.divide(wins, pairs, out=result[:, label], where=pairs > 0)
    return result


def moments_replicates(references, predictions, weights):
    """Means, variances and covariance of two variables in each replicate."""
    # Centring first keeps single precision exact enough.
    x = np.asarray(references, np.float64) - np.mean(references)
    y = np.asarray(predictions, np.float64) - np.mean(predictions)
    total = weights.sum(axis=1, dtype=np.float64)
    mean_x, mean_y, xx, yy, xy = (weights.astype(np.float64) @ np.stack([x, y, x * x, y * y, x * y], 1)).T / total
    return mean_x, mean_y, xx - mean_x**2, yy - mean_y**2, xy - mean_x * mean_y


def pearson_replicates(references, predictions, weights):
    """Pearson correlation in each replicate, `(replicates,)`; `nan` where a variable is constant."""
    _, _, variance_x, variance_y, covariance = moments_replicates(references, predictions, weights)
    spread = np.sqrt(np.maximum(variance_x, 0) * np.maximum(variance_y, 0))
    # Rounding leaves a tiny variance in a constant.
    return np.divide(covariance, spread, out=np.full_like(spread, np.nan), where=spread > 1e-12)


def interval(replicates, confidence=CONFIDENCE):
    """Percentile interval over replicates.

    Args:
        replicates: `(replicates,)`; undefined ones are left out.
        confidence (`float`): Coverage.

    Returns:
        `dict` with `low` and `high`, `nan` where no replicate is defined.
    """
    defined = np.asarray(replicates, dtype=float)
    defined = defined[~np.isnan(defined)]
    if not defined.size:
        return {"low": float("nan"), "high": float("nan")}
    tail = (1 - confidence) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return {"low": float(low), "high": float(high)}


def paired_difference(first, second, first_replicates, second_replicates, confidence=CONFIDENCE):
    """The difference of one measure between two systems on the same texts.

    Args:
        first, second (`float`): The measure of each.
        first_replicates, second_replicates: `(replicates,)`, made with the same weights.
        confidence (`float`): Coverage of the interval.

    Returns:
        `dict`: `difference` (first less second), `low`, `high`, and `p_value` (two-sided, the share of replicates
        beyond zero, never below 1 / (replicates + 1)).
    """
    differences = np.asarray(first_replicates, float) - np.asarray(second_replicates, float)
    differences = differences[~np.isnan(differences)]
    if not differences.size:
        undefined = float("nan")
        return {"difference": float(first - second), "low": undefined, "high": undefined, "p_value": undefined}
    beyond = min((differences <= 0).sum(), (differences >= 0).sum()) + 1
    return {
        "difference": float(first - second),
        **interval(differences, confidence),
        "p_value": float(min(1.0, 2 * beyond / (len(differences) + 1))),
    }
