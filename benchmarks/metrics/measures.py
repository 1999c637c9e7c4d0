"""Measures of emotion predictions on arrays, built on scikit-learn and SciPy.

A measure that is not defined (a correlation with a constant, the ROC-AUC of a label without positives) is `nan`,
never a made-up number; averages over labels leave such labels out and say how many there were.
"""

import warnings

import numpy as np
from scipy import stats
from sklearn import metrics

__all__ = [
    "calibration_measures", "concordance", "defined_mean", "multi_label_measures", "per_label_ranking",
    "regression_measures", "reliability_bins", "single_label_measures", "two_dimensional",
]  # fmt: skip


def defined_mean(values):
    """The mean of the defined values, `nan` if there is none."""
    values = np.asarray(values, dtype=float)
    values = values[~np.isnan(values)]
    return float(values.mean()) if values.size else float("nan")


def two_dimensional(name, values, dtype):
    values = np.asarray(values, dtype=dtype)
    if values.ndim != 2 or not values.size:
        raise ValueError(f"{name}: expected a non-empty table of texts by labels, got shape {values.shape}.")
    return values


def per_label_ranking(references, scores):
    """ROC-AUC and average precision of each label, `nan` where a label has one class only."""
    auc, precision = [], []
    for truth, score in zip(references.T, scores.T, strict=True):
        mixed = 0 < truth.sum() < len(truth)
        auc.append(metrics.roc_auc_score(truth, score) if mixed else float("nan"))
        precision.append(metrics.average_precision_score(truth, score) if truth.any() else float("nan"))
    return np.array(auc), np.array(precision)


def multi_label_measures(references, predictions=None, scores=None):
    """Decisions and rankings over several labels a text.

    Args:
        references: `(texts, labels)` of 0 and 1.
        predictions (*optional*): `(texts, labels)` of 0 and 1; without them no F1 or Jaccard index is given.
        scores (*optional*): `(texts, labels)`, higher is more likely; without them no ranking measure is given.

    Returns:
        `dict`: `macro_f1` (mean over all labels; a label neither predicted nor present counts 0), `micro_f1`,
        `per_label_f1`, `jaccard` (mean over texts; 1 where truth and prediction are both empty, as in
        SemEval-2018),
        `lrap` (label ranking average precision over texts with a label), `macro_roc_auc`,
        `macro_average_precision`, their per-label lists, and `labels_without_positives`.

    Example:

    ```python
    >>> from emodistill.benchmarks.metrics.measures import multi_label_measures

    >>> multi_label_measures([[1, 0], [0, 1]], [[1, 0], [1, 1]])["per_label_f1"]
    [0.6666666666666666, 1.0]

    ```
    """
    references = two_dimensional("references", references, np.int64)
    result = {"labels_without_positives": int((references.sum(axis=0) == 0).sum())}
    if predictions is not None:
        predictions = two_dimensional("predictions", predictions, np.int64)
        if predictions.shape != references.shape:
            raise ValueError(f"predictions: shape {predictions.shape}, references have {references.shape}.")
        per_label = metrics.f1_score(references, predictions, average=None, zero_division=0.0)
        per_label = np.atleast_1d(per_label) if references.shape[1] > 1 else per_label[-1:]
        both_empty = (references.sum(axis=1) + predictions.sum(axis=1)) == 0
        union = np.maximum(((references + predictions) > 0).sum(axis=1), 1)
        jaccard = np.where(both_empty, 1.0, (references * predictions).sum(axis=1) / union)
        hits, marks = (references * predictions).sum(), references.sum() + predictions.sum()
        result |= {
            "macro_f1": float(per_label.mean()),
            "micro_f1": float(2 * hits / marks) if marks else 0.0,
            "per_label_f1": per_label.tolist(),
            "jaccard": float(jaccard.mean()),
        }
    if scores is not None:
        scores = two_dimensional("scores", scores, np.float64)
        if scores.shape != references.shape:
            raise ValueError(f"scores: shape {scores.shape}, references have {references.shape}.")
        auc, precision = per_label_ranking(references, scores)
        labelled = references.any(axis=1)
        ranking = metrics.label_ranking_average_precision_score
        result |= {
            "lrap": float(ranking(references[labelled], scores[labelled])) if labelled.any() else float("nan"),
            "macro_roc_auc": defined_mean(auc),
            "macro_average_precision": defined_mean(precision),
            "per_label_roc_auc": auc.tolist(),
            "per_label_average_precision": precision.tolist(),
        }
    return result


def single_label_measures(references, predictions, labels):
    """Decisions for one label a text.

    Args:
        references: `(texts,)` label indices.
        predictions: `(texts,)` label indices.
        labels (`int`): Number of labels; all of them count in the macro average.

    Returns:
        `dict`: `macro_f1`, `accuracy`, `per_label_f1` and `confusion` (rows are the truth).
    """
    references, predictions = np.asarray(references, dtype=np.int64), np.asarray(predictions, dtype=np.int64)
    if references.ndim != 1 or references.shape != predictions.shape or not references.size:
        raise ValueError(
            f"predictions: expected {references.shape} label indices as in references, got {predictions.shape}."
        )
    order = list(range(labels))
    per_label = metrics.f1_score(references, predictions, labels=order, average=None, zero_division=0.0)
    return {
        "macro_f1": float(per_label.mean()),
        "accuracy": float((references == predictions).mean()),
        "per_label_f1": per_label.tolist(),
        "confusion": metrics.confusion_matrix(references, predictions, labels=order).tolist(),
    }


def concordance(references, predictions):
    """Lin's concordance correlation coefficient (1989), `nan` where both are constant."""
    covariance = ((references - references.mean()) * (predictions - predictions.mean())).mean()
    spread = references.var() + predictions.var() + (references.mean() - predictions.mean()) ** 2
    return float(2 * covariance / spread) if spread > 0 else float("nan")


def regression_measures(references, predictions):
    """Agreement of predicted with human ratings on one dimension.

    Args:
        references: `(texts,)` human ratings.
        predictions: `(texts,)` predicted values; their scale matters to `ccc` and `mae` alone.

    Returns:
        `dict`: `pearson`, `spearman`, `ccc` (Lin), `mae`, and `mae_linear`: the mean absolute error after the
        least-squares line from predictions to references (fitted on the same data, hence a little optimistic).
        Correlations with a constant are `nan`.
    """
    references, predictions = np.asarray(references, dtype=float), np.asarray(predictions, dtype=float)
    if references.ndim != 1 or references.shape != predictions.shape or references.size < 2:
        raise ValueError(f"predictions: expected {references.shape} values, at least 2, got {predictions.shape}.")
    constant = np.ptp(references) == 0 or np.ptp(predictions) == 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", stats.NearConstantInputWarning)
        pearson = float("nan") if constant else float(stats.pearsonr(references, predictions).statistic)
        spearman = float("nan") if constant else float(stats.spearmanr(references, predictions).statistic)
    if np.ptp(predictions) == 0:
        mapped = np.full_like(references, references.mean())
    else:
        line = stats.linregress(predictions, references)
        mapped = line.slope * predictions + line.intercept
    return {
        "pearson": pearson,
        "spearman": spearman,
        "ccc": concordance(references, predictions),
        "mae": float(np.abs(references - predictions).mean()),
        "mae_linear": float(np.abs(references - mapped).mean()),
    }


def reliability_bins(references, probabilities, bins=15):
    """Equal-width bins of predicted probability with the observed frequency in each.

    Args:
        references: 0 and 1, any shape.
        probabilities: Predicted probabilities, the same shape.
        bins (`int`): Number of bins over 0 to 1; a value on an edge belongs to the upper bin.

    Returns:
        `dict` of lists: `count`, `confidence` (mean probability) and `frequency` (share of ones), `nan` where
        empty.
    """
    references = np.asarray(references, dtype=float).ravel()
    probabilities = np.asarray(probabilities, dtype=float).ravel()
    if references.shape != probabilities.shape or not references.size:
        raise ValueError(f"probabilities: shape {probabilities.shape}, references have {references.shape}.")
    if probabilities.min() < 0 or probabilities.max() > 1 or np.isnan(probabilities).any():
        raise ValueError("probabilities: values outside 0 to 1.")
    place = np.minimum((probabilities * bins).astype(int), bins - 1)
    count = np.bincount(place, minlength=bins)
    divisor = np.where(count > 0, count, np.nan)
    return {
        "count": count.tolist(),
        "confidence": (np.bincount(place, probabilities, bins) / divisor).tolist(),
        "frequency": (np.bincount(place, references, bins) / divisor).tolist(),
    }


def calibration_measures(references, probabilities, bins=15):
    """Whether a probability of 0.7 is right seven times in ten.

    Args:
        references: 0 and 1, any shape (for single-label decisions: whether the chosen label was right).
        probabilities: Predicted probabilities, the same shape.
        bins (`int`): Bins of the expected calibration error (Guo et al. 2017).

    Returns:
        `dict`: `ece`, `brier`, and `brier_of_base_rate`, what predicting the base rate everywhere would score.
    """
    table = reliability_bins(references, probabilities, bins)
    truth, probability = np.ravel(references).astype(float), np.ravel(probabilities).astype(float)
    count = np.array(table["count"])
    gaps = np.abs(np.array(table["confidence"]) - np.array(table["frequency"]))
    return {
        "ece": float(np.nansum(gaps * count) / count.sum()),
        "brier": float(((probability - truth) ** 2).mean()),
        "brier_of_base_rate": float(truth.mean() * (1 - truth.mean())),
    }
