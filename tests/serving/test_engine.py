"""What is written for a text is what the pipeline says of it."""

import csv
import io
import json
import threading
import types

import numpy as np
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emodistill.serving import run
from emodistill.serving.columns import Layout
from emodistill.serving.engine import TextScorer, score_shards
from emodistill.serving.rows import Row, Shard, cut_shards

LABELS = ["joy", "anger", "fear"]


def records(folder):
    return [json.loads(line) for path in folder.shard_paths() for line in path.read_text().splitlines()]


def test_scores_are_the_pipelines(shared_classify, score_rows, rows):
    _, folder = score_rows(rows, shard_rows=4)
    found = records(folder)
    texts = [row.text for row in rows if row.text is not None]
    expected = shared_classify(texts, labels=LABELS, multi_label=True, dimensions=True)
    assert [record["row"] for record in found] == list(range(len(rows)))
    for record, result in zip(found, expected, strict=False):
        for label, score in zip(result["labels"], result["scores"], strict=True):
            assert record[label] == pytest.approx(score, abs=2e-6)
        for name, value in result["dimensions"].items():
            assert record[name] == pytest.approx(value, abs=1e-5)
        assert record["predicted"] == result["predicted"]
        assert record["error"] is None
    assert found[-1] | {"row": 0, "error": 0} == dict.fromkeys(found[-1], None) | {"row": 0, "error": 0}
    assert found[-1]["error"] == "there is no text"


def test_equal_texts_are_read_once_a_shard(scorer, score_rows, rows, monkeypatch):
    seen = []
    tokenize = scorer.classify.tokenize_texts
    monkeypatch.setattr(
        scorer.classify, "tokenize_texts", lambda texts, **how: seen.extend(texts) or tokenize(texts, **how)
    )
    outcome, _ = score_rows(rows)
    assert sorted(seen) == sorted({row.text for row in rows if row.text is not None})
    assert outcome.tally.distinct == len(seen)


def test_a_shard_is_scored_alike_whatever_else_is_scored(scorer, rows):
    alone = scorer.score(scorer.prepare(Shard(0, rows[:3])))
    again = scorer.score(scorer.prepare(Shard(9, rows[:3])))
    assert np.array_equal(alone.scores, again.scores)


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_formats_hold_the_same(score_rows, rows, kind, tmp_path):
    rows[1].kept = {"n": 3}
    layout = Layout(tuple(LABELS), False, False, ("valence", "arousal", "dominance"), ("n",))
    _, folder = score_rows(rows, tmp_path / kind, kind, layout=layout)
    (path,) = folder.shard_paths()
    if kind == "parquet":
        found = pyarrow.parquet.read_table(path).to_pylist()
        assert found[1]["n"] == 3 and found[0]["n"] is None
        predicted = [row["predicted"] for row in found]
    elif kind == "jsonl":
        found = records(folder)
        predicted = [row["predicted"] for row in found]
    else:
        found = list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"))))
        assert found[-1]["error"] == "there is no text" and found[-1]["joy"] == ""
        predicted = [row["predicted"].split("|") if row["predicted"] else None for row in found]
    _, reference = score_rows(rows, tmp_path / "reference", layout=layout)
    for row, labels, expected in zip(found, predicted, records(reference), strict=True):
        assert labels == expected["predicted"]
        for label in LABELS:
            value = float(row[label]) if row[label] not in ("", None) else None
            assert value == (None if expected[label] is None else pytest.approx(expected[label], abs=2e-6))


def test_parquet_shards_have_one_schema_whatever_later_rows_hold(score_rows, tmp_path):
    layout = Layout(tuple(LABELS), False, False, ("valence", "arousal", "dominance"), ("n", "m"))
    rows = [Row(0, "a", kept={"n": 1, "m": {"x": 1}}), Row(1, "b", kept={"n": None, "m": None})]
    rows += [Row(2, "c", kept={"n": "seven", "m": [1, 2]}), Row(3, "d", kept={"n": 4, "m": "text"})]
    _, folder = score_rows(rows, kind="parquet", layout=layout, shard_rows=2)
    schemas = {str(pyarrow.parquet.read_schema(path)) for path in folder.shard_paths()}
    assert len(schemas) == 1
    found = pyarrow.parquet.read_table(folder.path).to_pylist()  # as pandas, polars and DuckDB read a folder
    assert [row["n"] for row in found] == [1, None, None, 4]
    assert [row["m"] for row in found] == ['{"x": 1}', None, "[1, 2]", "text"]
    assert "'n'" in found[2]["error"] and found[2]["joy"] is not None  # the value is lost, the row is not


def test_rows_with_labels_of_their_own(shared_classify, score_rows):
    scorer = TextScorer(shared_classify, own_labels=True)
    rows = [
        Row(0, "i am happy", labels=("joy", "fear")),
        Row(1, "i am happy", labels=("anger", "sadness", "joy")),
        Row(2, "i am happy", labels=("joy", "joy")),
        Row(3, "i am happy", labels=()),
    ]
    outcome, folder = score_rows(rows, scorer=scorer, layout=Layout(own_labels=True))
    found = records(folder)
    for record, row in zip(found[:2], rows, strict=False):
        result = shared_classify(row.text, labels=list(row.labels))
        assert record["labels"] == result["labels"] and record["predicted"] == result["predicted"][0]
        assert record["scores"] == pytest.approx(result["scores"], abs=2e-6)
    assert "more than once" in found[2]["error"] and found[3]["error"] == "no labels"
    assert outcome.tally.total["labels"]["joy"][1] == 2 and outcome.tally.total["labels"]["fear"][1] == 1


def test_two_columns_of_one_name_are_refused():
    with pytest.raises(ValueError, match=r"'text'.*--prefix"):
        Layout(labels=("joy", "text"))
    assert Layout(labels=("joy", "text"), prefix="score_").names[2:4] == ["score_joy", "score_text"]


@settings(deadline=None)
@given(st.lists(st.text(max_size=30), max_size=40), st.integers(1, 7), st.integers(1, 60))
def test_shards_are_cut_by_the_rows_alone(texts, most_rows, most_bytes):
    shards = list(cut_shards((Row(n, text) for n, text in enumerate(texts)), most_rows, most_bytes))
    assert [row.text for shard in shards for row in shard.rows] == texts
    assert [shard.number for shard in shards] == list(range(len(shards)))
    for shard in shards:
        assert 1 <= len(shard.rows) <= most_rows
        assert sum(len(row.text) for row in shard.rows[:-1]) < most_bytes


def test_rows_rate_and_remaining_time_are_told(monkeypatch):
    """Ten rows a second: of a hundred, twenty are there from an earlier run, and four batches of five are scored."""
    clock = iter([0.0, *(time for second in (0.5, 1.0, 1.5, 2.0) for time in (second, second))])
    monkeypatch.setattr(run, "time", types.SimpleNamespace(monotonic=lambda: next(clock, 2.0)))
    monkeypatch.setattr(run, "LOG_SECONDS", 0)
    shown = io.StringIO()
    progress = run.ScoringProgress(100, quiet=False, share=run.Share(), stream=shown)
    progress.skip(20)
    shard = Shard(1, [Row(number, "a") for number in range(20, 40)])
    for batch in progress.of_shard(shard)([[0], [1], [2], [3]]):
        assert len(batch) == 1
    assert shown.getvalue().splitlines()[-1] == "40 rows, 10 a second, about 6 s left"
    silent = io.StringIO()
    run.ScoringProgress(100, quiet=True, share=run.Share(), stream=silent)._add(5)
    assert not silent.getvalue()


def test_a_run_that_ends_early_waits_for_no_more_rows(scorer, monkeypatch):
    """Ctrl-C, or a full disk, while the pipe that gives the rows stays open."""
    ended, waited = threading.Event(), []

    def shards():
        yield Shard(0, [Row(0, "a")])
        waited.append(ended.wait(30))

    def read(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(scorer, "read", read)
    with pytest.raises(KeyboardInterrupt):
        score_shards(scorer, shards(), print)
    assert not waited
    ended.set()
