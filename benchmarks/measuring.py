"""One system on one benchmark: from scores to measures with intervals, protocol by protocol.

Each function gives a dictionary ready for JSON and, apart, the bootstrap replicates of its primary measure, which
the paired comparison of two systems needs. The primary measures: macro-F1, and the mean Pearson correlation over
dimensions.
"""

import numpy as np

from ..decision_emodistill import neutral_place
from . import protocols, resampling
from .metrics.measures import (
    calibration_measures,
    multi_label_measures,
    regression_measures,
    reliability_bins,
    single_label_measures,
)

__all__ = [
    "decide_multi_label", "measure_dimensions", "measure_multi_label", "measure_reference", "measure_single_label",
    "ranking", "reference_scores",
]  # fmt: skip

SUMMARY = ("macro_f1", "micro_f1", "jaccard")


def decide_multi_label(scores, calibration_targets):
    """The 0/1 predictions of each protocol that these scores allow, with the thresholds used.

    Args:
        scores (`LabelScores`): The scores.
        calibration_targets: `(calibration texts, labels)`, or `None`.

    Returns:
        `dict[str, tuple]`: protocol to predictions `(texts, labels)` and the threshold or thresholds.
    """
    decisions = {}
    if scores.strict is not None:
        decisions[protocols.STRICT] = (scores.strict >= 0.5, 0.5)
    if scores.calibration is not None and calibration_targets is not None:
        one = protocols.calibrate_global_threshold(calibration_targets, scores.calibration)
        many = protocols.calibrate_label_thresholds(calibration_targets, scores.calibration)
        decisions[protocols.PAPER] = (scores.similarities >= one, one)
        decisions[protocols.PER_LABEL] = (scores.similarities >= many, many.tolist())
    if scores.transductive is not None:
        decisions[protocols.TRANSDUCTIVE] = (scores.transductive >= 0.5, 0.5)
    return decisions


def measure_multi_label(targets, labels, scores, calibration_targets, weights):
    """A multi-label benchmark.

    Args:
        targets: `(texts, labels)` of 0 and 1.
        labels (`tuple[str]`): Label names.
        scores (`LabelScores`): One system's scores.
        calibration_targets: `(calibration texts, labels)`, or `None`.
        weights: `(replicates, texts)` of `resampling.bootstrap_weights`.

    Returns:
        `tuple(dict, dict)`: the result, and protocol to replicates of macro-F1.
    """
    replicates, by_protocol = {}, {}
    for protocol, (predictions, threshold) in decide_multi_label(scores, calibration_targets).items():
        measures = multi_label_measures(targets, predictions)
        per_label = resampling.f1_replicates(targets, predictions, weights)
        replicates[protocol] = per_label.mean(axis=1)
        entry = {name: measures[name] for name in SUMMARY}
        neutral = neutral_place(labels)
        if neutral is not None:
            kept = [index for index in range(len(labels)) if index != neutral]
            entry["macro_f1_without_neutral"] = float(np.mean([measures["per_label_f1"][i] for i in kept]))
        by_protocol[protocol] = entry | {
            "macro_f1_interval": resampling.interval(replicates[protocol]),
            "micro_f1_interval": resampling.interval(resampling.micro_f1_replicates(targets, predictions, weights)),
            "per_label_f1": measures["per_label_f1"],
            "per_label_f1_interval": [resampling.interval(column) for column in per_label.T],
            "predicted_per_text": float(np.sum(predictions) / len(predictions)),
            "threshold": threshold,
        }
        probabilities = {protocols.STRICT: scores.strict, protocols.TRANSDUCTIVE: scores.transductive}.get(protocol)
        if probabilities is not None:
            by_protocol[protocol]["calibration"] = calibration_measures(targets, probabilities)
            by_protocol[protocol]["reliability"] = reliability_bins(targets, probabilities)
    result = {"protocols": by_protocol, "ranking": ranking(targets, scores, weights)}
    result["threshold_curves"] = {"similarity": protocols.threshold_curve(targets, scores.similarities)}
    if scores.standardised is not None:
        result["threshold_curves"]["deviations"] = protocols.threshold_curve(targets, scores.standardised)
    return result, replicates


def ranking(targets, scores, weights):
    """Measures that need no threshold, by the strict scores, which are what a user gets, or by raw similarity."""
    ranked = scores.similarities if scores.strict is None else scores.strict
    by_label = multi_label_measures(targets, scores=ranked)
    # A few hundred replicates are enough for an interval, and ranking is the costly one.
    replicates = resampling.auc_replicates(targets, ranked, weights[:300])
    with np.errstate(invalid="ignore"):
        defined = replicates[:, ~np.isnan(replicates).all(axis=0)]
    mean = np.nanmean(defined, axis=1) if defined.size else np.array([np.nan])
    return {
        "macro_roc_auc": by_label["macro_roc_auc"],
        "macro_roc_auc_interval": resampling.interval(mean),
        "macro_average_precision": by_label["macro_average_precision"],
        "per_label_roc_auc": by_label["per_label_roc_auc"],
        "per_label_average_precision": by_label["per_label_average_precision"],
        "lrap": by_label["lrap"],
        "labels_without_positives": by_label["labels_without_positives"],
    }


def measure_single_label(targets, labels, scores, calibration_targets, weights):
    """A single-label benchmark; arguments and result as for `measure_multi_label`."""
    choices = {}
    if scores.strict is not None:
        choices[protocols.STRICT] = scores.strict.argmax(axis=1)
    choices[protocols.PAPER] = scores.similarities.argmax(axis=1)
    if scores.calibration is not None and calibration_targets is not None:
        offsets = protocols.calibrate_label_offsets(calibration_targets, scores.calibration)
        choices[protocols.PER_LABEL] = (scores.similarities + offsets).argmax(axis=1)
    if scores.transductive is not None:
        choices[protocols.TRANSDUCTIVE] = scores.transductive.argmax(axis=1)
    probabilities = {protocols.STRICT: scores.strict, protocols.TRANSDUCTIVE: scores.transductive}
    identity = np.eye(len(labels), dtype=np.int8)
    by_protocol, replicates = {}, {}
    for protocol, choice in choices.items():
        measures = single_label_measures(targets, choice, len(labels))
        per_label = resampling.f1_replicates(identity[targets], identity[choice], weights)
        right = choice == targets
        replicates[protocol] = per_label.mean(axis=1)
        by_protocol[protocol] = measures | {
            "macro_f1_interval": resampling.interval(replicates[protocol]),
            "accuracy_interval": resampling.interval(resampling.mean_replicates(right, weights)),
            "per_label_f1_interval": [resampling.interval(column) for column in per_label.T],
        }
        table = probabilities.get(protocol)
        if table is not None:
            sums_to_one = np.allclose(table.sum(axis=1), 1, atol=1e-3)
            confidence = table.max(axis=1) if sums_to_one else table.max(axis=1) / table.sum(axis=1).clip(1e-9)
            by_protocol[protocol]["calibration"] = calibration_measures(right, np.clip(confidence, 0, 1))
            by_protocol[protocol]["reliability"] = reliability_bins(right, np.clip(confidence, 0, 1))
    return {"protocols": by_protocol}, replicates


def measure_dimensions(targets, dimensions, readouts, weights):
    """A dimensional benchmark; nothing is calibrated, so every readout is `strict`.

    Args:
        targets: `(texts, dimensions)` ratings.
        dimensions (`tuple[str]`): Their names.
        readouts (`dict[str, np.ndarray]`): `(texts, dimensions)` predictions by readout.
        weights: `(replicates, texts)`.

    Returns:
        `tuple(dict, dict)`: the result, and `strict` to replicates of the mean Pearson correlation of the first
        readout (the head of a trained checkpoint).
    """
    result, replicates = {}, {}
    for readout, predictions in readouts.items():
        columns, drawn = {}, []
        for index, dimension in enumerate(dimensions):
            truth, guess = targets[:, index], predictions[:, index]
            drawn.append(resampling.pearson_replicates(truth, guess, weights))
            columns[dimension] = regression_measures(truth, guess) | {
                "pearson_interval": resampling.interval(drawn[-1])
            }
        result[readout] = {
            "dimensions": columns,
            "mean_pearson": float(np.mean([column["pearson"] for column in columns.values()])),
        }
        replicates.setdefault(protocols.STRICT, np.mean(drawn, axis=0))
    return {"readouts": result}, replicates


def reference_scores(task, targets, labels, seed=0):
    """Predictions that ignore the text: the target's own label frequencies, told as such in every table.

    Args:
        task (`str`): The benchmark's task.
        targets: The benchmark's targets.
        labels (`tuple[str]`): Label or dimension names.
        seed (`int`): Seed of the random rows.

    Returns:
        `dict[str, np.ndarray]`: name to predictions: 0/1 rows, label indices, or constant and random values.
    """
    generator = np.random.default_rng(seed)
    if task == "multi-label":
        frequency = targets.mean(axis=0)
        majority = np.zeros_like(targets)
        majority[:, frequency.argmax()] = 1
        return {
            "majority": majority,
            "random": (generator.random(targets.shape) < frequency).astype(targets.dtype),
            "every label": np.ones_like(targets),
        }
    if task == "single-label":
        frequency = np.bincount(targets, minlength=len(labels)) / len(targets)
        return {
            "majority": np.full_like(targets, frequency.argmax()),
            "random": generator.choice(len(labels), size=len(targets), p=frequency),
        }
    return {
        "majority": np.repeat(targets.mean(axis=0, keepdims=True), len(targets), axis=0),
        "random": generator.permuted(targets, axis=0),
    }


def measure_reference(task, targets, labels, predictions, weights):
    """Measures of a reference row of `reference_scores`, a `dict`."""
    if task == "multi-label":
        per_label = resampling.f1_replicates(targets, predictions, weights)
        measures = multi_label_measures(targets, predictions)
        return {name: measures[name] for name in SUMMARY} | {
            "macro_f1_interval": resampling.interval(per_label.mean(axis=1)),
            "predicted_per_text": float(predictions.sum() / len(predictions)),
        }
    if task == "single-label":
        measures = single_label_measures(targets, predictions, len(labels))
        identity = np.eye(len(labels), dtype=np.int8)
        per_label = resampling.f1_replicates(identity[targets], identity[predictions], weights)
        return {
            "macro_f1": measures["macro_f1"],
            "accuracy": measures["accuracy"],
            "macro_f1_interval": resampling.interval(per_label.mean(axis=1)),
        }
    return measure_dimensions(targets, labels, {"constant": predictions}, weights)[0]["readouts"]["constant"]
