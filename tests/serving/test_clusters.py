"""Ray Data and Spark, each on this machine: the same scores as the pipeline's."""

import pickle
import shutil

import numpy as np
import pytest

from emodistill.serving.batches import BatchScorer
from emodistill.serving.ray_data import RayScorer

TEXTS = ["i am so happy", "she cried", None, "my dog", ""] * 4
LABELS = ["joy", "anger", "fear"]


@pytest.fixture(scope="module")
def expected(shared_classify):
    known = [text for text in TEXTS if text is not None]
    results = iter(shared_classify(known, labels=LABELS, multi_label=True))
    return [None if text is None else next(results) for text in TEXTS]


def check(rows, expected):
    for row, result in zip(rows, expected, strict=True):
        if result is None:
            assert row["error"] and row["predicted"] is None
            continue
        assert row["error"] is None and list(row["predicted"]) == result["predicted"]
        for label, score in zip(result["labels"], result["scores"], strict=True):
            assert row[label] == pytest.approx(score, abs=1e-5)


def test_batches_are_the_pipelines(checkpoint, expected):
    scorer = BatchScorer(LABELS, model=str(checkpoint), device="cpu", multi_label=True)
    columns = pickle.loads(pickle.dumps(scorer)).columns(TEXTS)
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    assert list(columns) == scorer.names == [*LABELS, "predicted", "error"]
    check(rows, expected)
    assert "int, not text" in scorer.columns([7])["error"][0]


def test_no_column_of_a_batch_is_lost_to_the_scores(checkpoint):
    score = RayScorer(LABELS, model=str(checkpoint), device="cpu", prefix="is_")
    texts = np.array(TEXTS[:1], dtype=object)
    assert list(score({"text": texts, "joy": texts})) == ["text", "joy", *score._batches.names]
    for name in ("is_joy", "error"):
        with pytest.raises(ValueError, match=f"the table has '{name}' already"):
            score({"text": texts, name: texts})
    with pytest.raises(ValueError, match="text_column is 'text'; the columns are words"):
        score({"words": texts})


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ray(checkpoint, expected, monkeypatch):
    ray = pytest.importorskip("ray", reason="ray is not installed: pip install 'emodistill[ray]'")
    pytest.importorskip("ray.data")
    monkeypatch.setenv("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        data = ray.data.from_items([{"n": n, "text": text} for n, text in enumerate(TEXTS)])
        scored = data.map_batches(
            RayScorer,
            fn_constructor_kwargs={"labels": LABELS, "model": str(checkpoint), "device": "cpu", "multi_label": True},
            batch_size=7,
            compute=ray.data.ActorPoolStrategy(size=1),
        )
        rows = sorted(scored.take_all(), key=lambda row: row["n"])
    finally:
        ray.shutdown()
    assert [row["n"] for row in rows] == list(range(len(TEXTS)))
    check(rows, expected)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_spark(checkpoint, expected, monkeypatch):
    sql = pytest.importorskip("pyspark.sql", reason="pyspark is not installed: pip install 'emodistill[spark]'")
    if shutil.which("java") is None:
        pytest.skip("there is no Java here, which Spark needs: apt-get install openjdk-17-jre-headless")
    import sys

    from emodistill.serving.spark import SparkScorer

    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    builder = sql.SparkSession.builder.master("local[1]").config("spark.ui.enabled", "false")
    session = builder.config("spark.driver.host", "127.0.0.1").getOrCreate()
    try:
        frame = session.createDataFrame(list(enumerate(TEXTS)), "n int, text string")
        score = SparkScorer(LABELS, model=str(checkpoint), device="cpu", multi_label=True)
        rows = [row.asDict() for row in frame.mapInPandas(score, score.schema(frame)).orderBy("n").collect()]
        with pytest.raises(ValueError, match="'joy' already"):
            score.schema(frame.withColumn("joy", frame.n))
    finally:
        session.stop()
    assert [row["n"] for row in rows] == list(range(len(TEXTS)))
    check(rows, expected)
