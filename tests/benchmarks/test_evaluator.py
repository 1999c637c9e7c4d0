"""The `evaluate.Evaluator` for the pipeline."""

import pytest

import emodistill  # noqa: F401  registers the task
from emodistill.benchmarks.metrics.measures import multi_label_measures, single_label_measures


@pytest.fixture(scope="module")
def evaluator():
    pytest.importorskip("evaluate")
    from emodistill.benchmarks.evaluator import ZeroShotEmotionEvaluator

    return ZeroShotEmotionEvaluator()


@pytest.fixture(scope="module")
def pipe(checkpoint):
    from transformers import pipeline

    return pipeline("zero-shot-emotion", model=checkpoint)


def dataset(**columns):
    from datasets import Dataset

    return Dataset.from_dict(columns)


TEXTS = ["we won the cake", "rain again", "the dog went home", "late train"]
LABELS = ["joy", "anger", "grief"]


def test_multi_label_equals_the_pipeline(evaluator, pipe):
    data = dataset(text=TEXTS, label=[["joy"], [], ["joy", "grief"], ["anger"]])
    result = evaluator.compute(pipe, data, labels=LABELS)
    outputs = pipe(TEXTS, labels=LABELS, multi_label=True)
    predictions = [[int(label in output["predicted"]) for label in LABELS] for output in outputs]
    scores = [[output["scores"][output["labels"].index(label)] for label in LABELS] for output in outputs]
    expected = multi_label_measures([[1, 0, 0], [0, 0, 0], [1, 0, 1], [0, 1, 0]], predictions, scores)
    assert result["macro_f1"] == pytest.approx(expected["macro_f1"])
    assert result["macro_roc_auc"] == pytest.approx(expected["macro_roc_auc"])
    assert result["total_time_in_seconds"] > 0
    rows = dataset(text=TEXTS, label=[[1, 0, 0], [0, 0, 0], [1, 0, 1], [0, 1, 0]])
    assert evaluator.compute(pipe, rows, labels=LABELS)["macro_f1"] == result["macro_f1"]


def test_single_label_from_a_path(evaluator, pipe, checkpoint):
    data = dataset(sentence=TEXTS, emotion=["joy", "anger", "grief", "anger"])
    columns = {"input_column": "sentence", "label_column": "emotion"}
    result = evaluator.compute(checkpoint, data, labels=LABELS, multi_label=False, **columns)
    best = [LABELS.index(output["labels"][0]) for output in pipe(TEXTS, labels=LABELS)]
    assert result["macro_f1"] == pytest.approx(single_label_measures([0, 1, 2, 1], best, 3)["macro_f1"])


def test_mistakes_are_told(evaluator, pipe):
    data = dataset(text=TEXTS, label=["joy", "anger", "glee", "anger"])
    with pytest.raises(ValueError, match="'glee' is none of the 3 labels"):
        evaluator.compute(pipe, data, labels=LABELS)
    with pytest.raises(ValueError, match="labels: name"):
        evaluator.compute(pipe, data)
    with pytest.raises(ValueError, match="strategy"):
        evaluator.compute(pipe, data, labels=LABELS, strategy="bootstrap")
    with pytest.raises(ValueError, match="task zero-shot-emotion"):
        evaluator.prepare_pipeline(lambda texts: texts)
