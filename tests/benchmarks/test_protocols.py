"""Protocols and the bootstrap on arrays."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emodistill.benchmarks import protocols, resampling
from emodistill.benchmarks.metrics.measures import multi_label_measures, regression_measures


def made_up(texts=400, labels=4, seed=0, signal=1.5):
    generator = np.random.default_rng(seed)
    references = (generator.random((texts, labels)) < [0.4, 0.3, 0.2, 0.1][:labels]).astype(int)
    levels = np.linspace(-1, 1, labels)  # every label has its own habitual level
    return references, references * signal + generator.normal(size=references.shape) + levels


def test_f1_at_thresholds_is_the_metric():
    references, scores = made_up()
    for threshold, row in zip(
        [-1.0, 0.3, 9.0], protocols.f1_at_thresholds(references, scores, [-1, 0.3, 9]), strict=True
    ):
        expected = multi_label_measures(references, scores >= threshold)["per_label_f1"]
        assert row == pytest.approx(expected)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000))
def test_no_single_threshold_beats_the_calibrated_one(seed):
    generator = np.random.default_rng(seed)
    references = generator.integers(0, 2, (12, 2))
    scores = generator.integers(0, 6, (12, 2)) / 5  # many ties
    best = protocols.calibrate_global_threshold(references, scores)
    reached = protocols.f1_at_thresholds(references, scores, [best]).mean()
    for threshold in np.append(np.unique(scores), 2.0):
        assert protocols.f1_at_thresholds(references, scores, [threshold]).mean() <= reached + 1e-9


def test_per_label_thresholds_are_the_upper_reference():
    references, scores = made_up()
    one = scores >= protocols.calibrate_global_threshold(references, scores)
    many = scores >= protocols.calibrate_label_thresholds(references, scores)
    f1 = [multi_label_measures(references, decision)["macro_f1"] for decision in (one, many)]
    assert f1[1] > f1[0] + 0.05  # the labels' levels differ by construction


def test_label_without_positives_is_never_predicted():
    scores = np.array([[0.1, 0.9], [0.8, 0.3]])
    thresholds = protocols.calibrate_label_thresholds([[0, 0], [1, 0]], scores)
    assert (scores >= thresholds).tolist() == [[False, False], [True, False]]


def test_offsets_undo_a_label_that_swallows_the_others():
    generator = np.random.default_rng(1)
    truth = generator.integers(0, 3, 300)
    scores = np.eye(3)[truth] + generator.normal(0, 0.3, (300, 3)) + [0, 0, 1.0]
    offsets = protocols.calibrate_label_offsets(truth, scores)
    before = (scores.argmax(axis=1) == truth).mean()
    after = ((scores + offsets).argmax(axis=1) == truth).mean()
    assert before < 0.75 and after > 0.9


def test_threshold_curve_spans_all_and_nothing():
    references, scores = made_up()
    curve = protocols.threshold_curve(references, scores, points=10)
    assert curve["predicted"][0] == 4 and curve["predicted"][-1] == pytest.approx(1 / 400)
    assert len(curve["macro_f1"]) == 10 and curve["threshold"] == sorted(curve["threshold"])


def test_rank_correlations():
    table = {
        "strict": {"a": 0.5, "b": 0.4, "c": 0.3},
        "paper": {"a": 0.6, "b": 0.5, "c": 0.1},
        "transductive": {"a": 0.1, "b": 0.5, "c": 0.6},
        "per-label": {"a": 0.1, "b": 0.5},
    }
    pairs = {(row["first"], row["second"]): row["spearman"] for row in protocols.rank_correlations(table)}
    assert pairs == {
        ("strict", "paper"): pytest.approx(1),
        ("strict", "transductive"): pytest.approx(-1),
        ("paper", "transductive"): pytest.approx(-1),
    }
    assert math.isnan(
        protocols.rank_correlations({"x": dict.fromkeys("abc", 1), "y": {"a": 1, "b": 2, "c": 3}})[0]["kendall"]
    )


def test_replicates_equal_the_metric_on_the_resampled_texts():
    references, scores = made_up(texts=60)
    predictions = (scores > 0.5).astype(int)
    weights = resampling.bootstrap_weights(60, replicates=5, seed=3)
    assert weights.sum(axis=1).tolist() == [60] * 5
    f1 = resampling.f1_replicates(references, predictions, weights)
    micro = resampling.micro_f1_replicates(references, predictions, weights)
    auc = resampling.auc_replicates(references, np.round(scores, 1), weights)
    pearson = resampling.pearson_replicates(scores[:, 0], scores[:, 1], weights)
    for row, weight in enumerate(weights):
        drawn = np.repeat(np.arange(60), weight.astype(int))
        expected = multi_label_measures(references[drawn], predictions[drawn], np.round(scores, 1)[drawn])
        assert f1[row] == pytest.approx(expected["per_label_f1"], abs=1e-5)
        assert micro[row] == pytest.approx(expected["micro_f1"], abs=1e-5)
        assert auc[row] == pytest.approx(expected["per_label_roc_auc"], abs=1e-5)
        assert pearson[row] == pytest.approx(regression_measures(*scores[drawn, :2].T)["pearson"], abs=1e-5)


def test_interval_covers_the_truth_about_as_often_as_it_says():
    covered = 0
    for seed in range(200):
        values = np.random.default_rng(seed).random(150) < 0.3
        found = resampling.interval(resampling.mean_replicates(values, resampling.bootstrap_weights(150, 300, seed)))
        covered += found["low"] <= 0.3 <= found["high"]
    assert 0.88 <= covered / 200 <= 0.99


def test_undefined_replicates_are_left_out():
    assert math.isnan(resampling.interval([float("nan")])["low"])
    assert resampling.interval([float("nan"), 1.0, 1.0]) == {"low": 1.0, "high": 1.0}
    constant = resampling.pearson_replicates(np.full(30, 0.1), np.arange(30), resampling.bootstrap_weights(30, 4))
    assert np.isnan(constant).all()


def test_paired_bootstrap_sees_a_small_steady_gain_that_intervals_hide():
    generator = np.random.default_rng(0)
    hard = generator.random(500)
    first, second = hard < 0.60, hard < 0.55  # right on the same texts, and on 5 in 100 more
    weights = resampling.bootstrap_weights(500, 500)
    one, two = (resampling.mean_replicates(right, weights) for right in (first, second))
    result = resampling.paired_difference(first.mean(), second.mean(), one, two)
    assert result["low"] > 0 and result["p_value"] < 0.05
    assert resampling.interval(one)["low"] < resampling.interval(two)["high"]
    same = resampling.paired_difference(0.5, 0.5, one, one)
    assert same["difference"] == 0 and same["p_value"] == 1
