"""Metrics against cases worked out by hand."""

import math

import numpy as np
import pytest

from emodistill.benchmarks.metrics import METRICS, metric_path
from emodistill.benchmarks.metrics.measures import (
    calibration_measures,
    multi_label_measures,
    regression_measures,
    reliability_bins,
    single_label_measures,
)

TRUTH = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0], [0, 0, 0]])
GUESS = np.array([[1, 1, 0], [1, 0, 0], [1, 1, 0], [0, 0, 0]])


def test_multi_label_by_hand():
    result = multi_label_measures(TRUTH, GUESS)
    # label 0: 2 hits, 3 predicted, 2 true -> 4/5; label 1: 1 hit, 2 predicted, 2 true -> 1/2; label 2: absent -> 0
    assert result["per_label_f1"] == pytest.approx([0.8, 0.5, 0.0])
    assert result["macro_f1"] == pytest.approx(1.3 / 3)
    assert result["micro_f1"] == pytest.approx(2 * 3 / (5 + 4))
    assert result["jaccard"] == pytest.approx((1 / 2 + 1 / 2 + 1 / 2 + 1) / 4)
    assert result["labels_without_positives"] == 1


def test_nothing_predicted():
    result = multi_label_measures(TRUTH, np.zeros_like(TRUTH))
    assert (result["macro_f1"], result["micro_f1"], result["jaccard"]) == (0.0, 0.0, 0.25)
    nothing = multi_label_measures(np.zeros_like(TRUTH), np.zeros_like(TRUTH))
    assert (nothing["macro_f1"], nothing["micro_f1"], nothing["jaccard"]) == (0.0, 0.0, 1.0)


def test_ranking_by_hand():
    scores = np.array([[0.9, 0.8, 0.1], [0.3, 0.9, 0.1], [0.6, 0.2, 0.1], [0.1, 0.1, 0.1]])
    result = multi_label_measures(TRUTH, scores=scores)
    # label 0: positives 0.9, 0.3 against 0.6, 0.1: 3 of 4 pairs; label 1: 0.9, 0.2 against 0.8, 0.1: 3 of 4
    assert result["per_label_roc_auc"][:2] == pytest.approx([0.75, 0.75])
    assert math.isnan(result["per_label_roc_auc"][2]) and result["macro_roc_auc"] == pytest.approx(0.75)
    assert result["per_label_average_precision"][:2] == pytest.approx([(1 + 2 / 3) / 2, (1 + 2 / 3) / 2])
    # text 1: rank 1; text 2: labels at ranks 1 and 2; text 3: rank 2 -> 1/2; text 4 has no label and is left out
    assert result["lrap"] == pytest.approx((1 + 1 + 0.5) / 3)
    assert "macro_f1" not in result


def test_constant_scores_and_ties_are_chance():
    result = multi_label_measures(TRUTH, scores=np.full(TRUTH.shape, 0.5))
    assert result["macro_roc_auc"] == pytest.approx(0.5)
    tied = multi_label_measures([[1], [0], [0]], scores=[[0.7], [0.7], [0.1]])
    assert tied["per_label_roc_auc"] == pytest.approx([0.75])  # one tie counts half


def test_one_label_only():
    result = multi_label_measures([[1], [0], [1]], [[1], [1], [0]])
    assert result["per_label_f1"] == pytest.approx([0.5])


def test_no_labelled_text_has_no_ranking():
    result = multi_label_measures(np.zeros((2, 2), int), scores=np.ones((2, 2)))
    assert math.isnan(result["lrap"]) and math.isnan(result["macro_roc_auc"])


@pytest.mark.parametrize("bad", [np.zeros((3, 3)), np.zeros(4)])
def test_shapes_must_agree(bad):
    with pytest.raises(ValueError, match="predictions"):
        multi_label_measures(TRUTH, bad)


def test_single_label_by_hand():
    result = single_label_measures([0, 0, 1, 1], [0, 1, 1, 1], 3)
    assert result["per_label_f1"] == pytest.approx([2 / 3, 0.8, 0.0])
    assert result["macro_f1"] == pytest.approx((2 / 3 + 0.8) / 3)
    assert result["accuracy"] == 0.75
    assert result["confusion"] == [[1, 1, 0], [0, 2, 0], [0, 0, 0]]
    with pytest.raises(ValueError, match="predictions"):
        single_label_measures([0, 1], [0], 2)


def test_regression_by_hand():
    result = regression_measures([1, 2, 3, 4], [2, 4, 6, 8])
    assert result["pearson"] == pytest.approx(1) and result["spearman"] == pytest.approx(1)
    # covariance 2.5, variances 1.25 and 5, means 2.5 and 5
    assert result["ccc"] == pytest.approx(2 * 2.5 / (1.25 + 5 + 6.25))
    assert result["mae"] == pytest.approx(2.5) and result["mae_linear"] == pytest.approx(0, abs=1e-12)
    bent = regression_measures([1, 2, 3, 4], [1, 2, 3, 100])
    assert bent["spearman"] == pytest.approx(1) and bent["pearson"] < 0.9


def test_regression_constant_predictions_have_no_correlation():
    result = regression_measures([1, 2, 3], [5, 5, 5])
    assert math.isnan(result["pearson"]) and math.isnan(result["spearman"])
    assert result["ccc"] == 0 and result["mae_linear"] == pytest.approx(2 / 3)
    assert math.isnan(regression_measures([2, 2], [2, 2])["ccc"])


def test_regression_ties():
    assert regression_measures([1, 1, 2, 2], [1, 2, 1, 2])["spearman"] == pytest.approx(0)


def test_calibration_by_hand():
    truth, probability = [1, 0, 1, 1], [0.9, 0.9, 0.3, 0.3]
    result = calibration_measures(truth, probability, bins=10)
    # bin 0.9: mean 0.9, half right; bin 0.3: mean 0.3, all right
    assert result["ece"] == pytest.approx(0.5 * 0.4 + 0.5 * 0.7)
    assert result["brier"] == pytest.approx((0.01 + 0.81 + 0.49 + 0.49) / 4)
    assert result["brier_of_base_rate"] == pytest.approx(0.1875)
    table = reliability_bins([0, 1], [0.0, 1.0], bins=2)
    assert table["count"] == [1, 1] and table["frequency"] == [0.0, 1.0]
    with pytest.raises(ValueError, match="outside 0 to 1"):
        calibration_measures([1], [1.2])


@pytest.fixture(scope="module")
def load(tmp_path_factory):
    evaluate = pytest.importorskip("evaluate")
    monkeypatch = pytest.MonkeyPatch()
    monkeypatch.setenv("HF_EVALUATE_OFFLINE", "1")
    cache = tmp_path_factory.mktemp("evaluate")
    yield lambda name: evaluate.load(metric_path(name), cache_dir=str(cache), experiment_id=name)
    monkeypatch.undo()


def test_every_metric_loads_offline(load):
    multi = load("emotion_multi_label").compute(
        predictions=GUESS.tolist(), references=TRUTH.tolist(), scores=GUESS.tolist()
    )
    assert multi["macro_f1"] == pytest.approx(1.3 / 3) and "macro_roc_auc" in multi
    single = load("emotion_single_label").compute(predictions=[0, 1, 1, 1], references=[0, 0, 1, 1])
    assert single["accuracy"] == 0.75 and len(single["confusion"]) == 2
    regression = load("emotion_regression").compute(predictions=[2, 4, 6, 8], references=[1, 2, 3, 4])
    assert regression["pearson"] == pytest.approx(1)
    calibration = load("emotion_calibration").compute(
        predictions=[[0.9, 0.9], [0.3, 0.3]], references=[[1, 0], [1, 1]], bins=10
    )
    assert calibration["ece"] == pytest.approx(0.55)


def test_metric_path_is_strict():
    assert len(METRICS) == 4
    with pytest.raises(ValueError, match="no metric 'f1'"):
        metric_path("f1")
