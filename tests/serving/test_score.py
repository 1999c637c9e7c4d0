"""`emodistill score` as someone runs it."""

import contextlib
import csv
import functools
import json
import os
import signal
import threading
import time

import forkserver
import pyarrow
import pyarrow.parquet
import pytest

from emodistill import cli
from emodistill.serving.arguments import read_labels_argument
from emodistill.serving.error_rates import measure_rates
from emodistill.serving.report import KnownErrors
from emodistill.serving.run import ScoringProgress

LABELS = "joy,anger,fear"


@pytest.fixture
def score(checkpoint, capsys):
    """`score(*arguments)`: exit status and what it said."""

    def run(*arguments):
        status = cli.main(["score", *map(str, arguments), "--model", str(checkpoint), "--device", "cpu"])
        return status, capsys.readouterr().err

    return run


def test_a_table_of_which_no_row_can_be_read_is_no_success(score, tmp_path):
    path = tmp_path / "lists.json"
    path.write_text('[["i am happy", "joy"], ["rage", "anger"]]')
    status, said = score(path, "--labels", LABELS, "--output", tmp_path / "out.jsonl")
    assert status == 1 and "no row of 2 could be scored" in said and "a JSON object is expected" in said
    assert len((tmp_path / "out.jsonl").read_text().splitlines()) == 2


@pytest.fixture
def table(tmp_path):
    """A CSV file with whatever tables hold."""
    path = tmp_path / "table.csv"
    lines = ["id,text,when,region", "a,i am happy,2024-01-03,north", 'b,"she, my love, cried",2024-02-03,south']
    lines += ["c,,2024-02-04,south", "d,=1+1,2024-03-03,", "e,i am happy,never,north"]
    path.write_bytes("\n".join(lines).encode() + b"\nf,caf\xe9,2024-03-03,north\n")
    return path


def read(path):
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_a_csv_file_in_and_out(score, table, tmp_path):
    status, said = score(
        table, "--labels", LABELS, "--output", tmp_path / "out.csv", "--id-column", "id", "--keep", "region",
        "--dimensions", "--multi-label",
    )  # fmt: skip
    assert status == 0 and "6 rows" in said and "rows with an error" in said and "a second" in said
    rows = read(tmp_path / "out.csv")
    assert list(rows[0])[:4] == ["row", "id", "text", "region"] and list(rows[0])[-1] == "error"
    assert [row["id"] for row in rows] == list("abcdef") and rows[1]["text"] == "she, my love, cried"
    assert rows[3]["text"] == "'=1+1"  # no spreadsheet runs it
    assert rows[0]["joy"] == rows[4]["joy"] and "utf-8" in rows[5]["error"] and rows[5]["joy"] == ""
    assert not (tmp_path / "out.csv.parts").exists()
    status, said = score(table, "--labels", LABELS, "--output", tmp_path / "out.csv")
    assert status == 2 and "is there already" in said


def test_a_folder_of_parquet_files_and_a_page(score, table, tmp_path):
    arguments = (table, "--labels", LABELS, "--output", tmp_path / "out", "--shard-rows", 2, "--no-text")
    page = ("--report", "--group-by", "region", "--time-column", "when", "--error-rates", "none")
    assert score(*arguments, *page)[0] == 0
    found = pyarrow.parquet.read_table(tmp_path / "out")
    assert found.column_names == ["row", "joy", "anger", "fear", "predicted", "error"] and found.num_rows == 6
    assert found.schema.field("joy").type == pyarrow.float32()
    html = (tmp_path / "out" / "_report.html").read_text()
    assert "By region" in html and "2024-01" in html and "1 row without a date" in html
    status, said = score(*arguments, *page)  # only the page
    assert status == 0 and "going on after 3 shards" in said


def test_long_texts_and_foreign_ones_are_told(score, tmp_path):
    path = tmp_path / "texts.jsonl"
    texts = ["i am happy", "rain and i cried " * 200, "", "Je suis très triste", "Estoy muy triste hoy"]
    path.write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    for kind, options in (("jsonl", ()), ("csv", ("--max-windows", "5")), ("parquet", ())):
        output = tmp_path / f"out.{kind}"
        status, said = score(path, "--labels", LABELS, "--output", output, "--windows", *options)
        assert status == 0 and "too long to be read in full: 1 " in said
        assert said.count("emodistill score: the model reads English") == 1
        if kind == "parquet":
            found = pyarrow.parquet.read_table(output).to_pylist()
        else:
            found = read(output) if kind == "csv" else list(map(json.loads, output.read_text().splitlines()))
        assert list(found[0])[-3:] == ["windows_read", "windows_total", "error"]
        assert int(found[1]["windows_read"]) == (5 if options else 16) < int(found[1]["windows_total"])
        assert all(found[place]["windows_read"] in (None, "") for place in (0, 2, 3))
    status, said = score(
        path, "--labels", LABELS, "--output", tmp_path / "all.csv", "--max-windows", "all", "--windows"
    )
    assert (
        status == 0 and "too long" not in said and not any(row["windows_read"] for row in read(tmp_path / "all.csv"))
    )
    assert score(path, "--labels", LABELS, "--output", tmp_path / "no.csv", "--max-windows", 0)[0] == 2


def test_joined_files_hold_what_folders_hold(score, table, tmp_path):
    for kind in ("parquet", "jsonl", "csv"):
        score(table, "--labels", LABELS, "--output", tmp_path / f"one.{kind}", "--shard-rows", 2)
        score(table, "--labels", LABELS, "--output", tmp_path / kind, "--shard-rows", 2, "--format", kind)
        parts = sorted((tmp_path / kind).glob("part-*"))
        assert len(parts) == 3
        if kind == "parquet":
            joined = pyarrow.parquet.read_table(tmp_path / "one.parquet")
            assert joined.equals(pyarrow.concat_tables(map(pyarrow.parquet.read_table, parts)))
        elif kind == "jsonl":
            assert (tmp_path / "one.jsonl").read_text() == "".join(part.read_text() for part in parts)
        else:
            assert read(tmp_path / "one.csv") == [row for part in parts for row in read(part)]


def test_carried_numbers_stay_as_they_are(score, tmp_path):
    values = [1e-9, 1234567.123456789, 0.1, 5.0]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps({"text": "i cried", "p": p}) + "\n" for p in values))
    score(tmp_path / "in.jsonl", "--labels", LABELS, "--output", tmp_path / "out.csv", "--keep", "p")
    assert [float(row["p"]) for row in read(tmp_path / "out.csv")] == values
    assert read(tmp_path / "out.csv")[3]["p"] == "5"


def test_labels_from_a_column_and_from_files(score, tmp_path, shared_classify):
    lines = [{"text": "i am happy", "emotions": ["joy", "fear"]}, {"text": "no", "emotions": None}]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    score(tmp_path / "in.jsonl", "--labels-column", "emotions", "--output", tmp_path / "own.jsonl")
    first, second = map(json.loads, (tmp_path / "own.jsonl").read_text().splitlines())
    assert set(first["labels"]) == {"joy", "fear"} and second["scores"] is None and "labels" in second["error"]
    from emodistill.serving.label_bank import LabelBank

    LabelBank.build(shared_classify, LABELS).save(tmp_path / "bank.safetensors")
    (tmp_path / "labels.json").write_text(json.dumps({"joy": "joy", "anger": ["anger"], "fear": "fear"}))
    (tmp_path / "labels.txt").write_text("joy\nanger\n\nfear\n")
    found = set()
    for name in ("bank.safetensors", "labels.json", "labels.txt"):
        status, said = score(tmp_path / "in.jsonl", "--labels", tmp_path / name, "--output", tmp_path / "x.jsonl")
        assert status == 0, said
        found.add((tmp_path / "x.jsonl").read_bytes())
        (tmp_path / "x.jsonl").unlink()
    assert len(found) == 1


def test_thresholds_reach_the_pipeline(score, table, tmp_path):
    for threshold in ("auto", "none", "0.999"):
        score(
            table, "--labels", LABELS, "--output", tmp_path / f"{threshold}.jsonl", "--multi-label",
            "--threshold", threshold,
        )  # fmt: skip
    found = {
        name: json.loads((tmp_path / f"{name}.jsonl").read_text().splitlines()[0])["predicted"]
        for name in ("auto", "none", "0.999")
    }
    assert found["none"] == [] and found["0.999"] == ["neutral"] and found["auto"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ([], "give --labels"),
        (["--labels", LABELS, "--labels-column", "x"], "not both"),
        (["--labels", LABELS, "--text-column", "txt"], "no column 'txt'.*the columns are"),
        (["--labels", LABELS, "--keep", "nothing"], "no column 'nothing'"),
        (["--labels", "joy,joy"], "more than once"),
        (["--labels", "joy"], "give --multi-label to decide"),
        (["--labels", "none.txt"], "--labels none.txt: no such file"),
        (["--labels", __file__], "is a file, and labels are read from .json, .txt and label banks only"),
        (["--labels", LABELS, "--labels-per-text", "2"], "--labels-per-text is for --multi-label"),
        (["--dimensions", "--label-template", "a {}"], "--label-template is for --labels"),
        (["--labels", LABELS, "--threshold", "2"], "between 0 and 1"),
        (["--labels", LABELS, "--limit", "0"], "--limit must be at least 1"),
        (["--labels", LABELS, "--limit", "9" * 30], "--limit must be at most 2,147,483,647"),
        (["--labels", LABELS, "--limit=--"], "--limit needs a value"),
        (["--labels", LABELS, "--group-by", "region"], "add --report"),
        (["--labels", "joy,region", "--keep", "region"], "--prefix"),
        (["--labels", LABELS, "--dimensions", "warmth"], "warmth"),
    ],
)
def test_mistakes_get_one_sentence(score, table, tmp_path, arguments, sentence, capsys):
    import re

    status, said = score(table, "--output", tmp_path / "out", *arguments)
    said = said.strip().splitlines()[-1]
    assert status == 2 and re.search(sentence, said) and "Traceback" not in said
    assert not list(tmp_path.glob("out/part*"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("joy\nfear\n".encode("utf-16"), None),
        (b'["joy", "fear"]', None),
        ("joie\népouvante\n".encode("latin-1"), "line 2: not utf-8 text"),
        (b'{"joy": "delight", "joy": "glee"}', "labels holds 'joy' more than once"),
        (b'{"joy": ', "is no JSON"),
        (b'"joy"', "must hold a list of labels"),
    ],
)
def test_files_of_labels(tmp_path, content, words):
    path = tmp_path / ("labels.json" if content[:1] in b'[{"' else "labels.txt")
    path.write_bytes(content)
    if words is None:
        assert read_labels_argument(str(path)) == ["joy", "fear"]
        return
    with pytest.raises(ValueError, match=words):
        read_labels_argument(str(path))


def test_a_page_replaces_nothing_that_is_read(score, table, tmp_path):
    (tmp_path / "labels.txt").write_text("joy\nfear\n")
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    (tmp_path / "link.html").hardlink_to(table)
    labels = ("--labels", tmp_path / "labels.txt", "--output", tmp_path / "out.csv", "--error-rates", "none")
    for source, page in ((table, "table.csv"), ("t*.csv", "table.csv"), (table, "link.html"), (table, "labels.txt")):
        status, said = score(tmp_path / source, *labels, "--report", tmp_path / page)
        assert status == 2 and "is what is read, and would be lost; name another file" in said
    status, said = score(table, *labels, "--report", tmp_path / "out.csv")
    assert status == 2 and "--report and --output both name" in said
    assert all(path.read_bytes() == content for path, content in before.items())


def test_what_does_not_fit_is_told_before_rows_are_scored_and_is_no_run_to_go_on_with(score, table, tmp_path):
    arguments = (table, "--output", tmp_path / "out", "--labels")
    for more, words in (
        (("--labelled", table, "--labelled-column", "region"), "no text with one of the labels"),
        (("--labelled", tmp_path / "none.csv"), "no such file"),
        (("--error-rates", table), "error rates need label"),
    ):
        status, said = score(*arguments, LABELS, "--report", *more)
        assert status == 2 and words in said and not (tmp_path / "out").exists()
    assert score(*arguments, "joy,region", "--keep", "region")[0] == 2
    (tmp_path / "labels.json").write_text("{")
    assert score(table, "--output", tmp_path / "one.csv", "--labels", tmp_path / "labels.json")[0] == 2
    assert not list(tmp_path.glob("o*"))  # neither a folder nor the parts of a file
    assert score(*arguments, LABELS, "--keep", "region,region")[0] == 0
    assert pyarrow.parquet.read_table(tmp_path / "out").column_names[:4] == ["row", "text", "region", "joy"]


def test_places_that_do_not_fit(score, table, tmp_path):
    for output, sentence in (
        (tmp_path, "lies within the input folder"),
        (tmp_path / "x" / "out", "lies within the input folder"),
    ):
        status, said = score(tmp_path, "--labels", LABELS, "--output", output)
        assert status == 2 and sentence in said
    assert score(tmp_path / "none.csv", "--labels", LABELS, "--output", tmp_path / "o")[0] == 2
    status, said = score(table, "--labels", LABELS, "--output", tmp_path / "o.csv", "--format", "parquet")
    assert status == 2 and "does not fit" in said


def test_another_run_is_told_apart(score, table, tmp_path):
    arguments = ("--labels", LABELS, "--output", tmp_path / "out", "--format", "csv")
    assert score(table, *arguments)[0] == 0
    status, said = score(table, *arguments, "--batch-size", 8)
    assert status == 2 and "--batch-size, 32 and not 8" in said
    table.write_bytes(table.read_bytes() + b"g,more,2024-01-01,west\n")
    status, said = score(table, *arguments)
    assert status == 2 and "another input" in said


def test_error_rates_for_the_page(score, table, tmp_path):
    rates = tmp_path / "rates.csv"
    rates.write_text(
        "label,true_positive_rate,false_positive_rate,positives,negatives\nJoy,0.8,0.1,200,800\nshame,0.5,0.1,20,80\n"
    )
    arguments = (table, "--labels", LABELS, "--output")
    status, said = score(*arguments, tmp_path / "a", "--report", tmp_path / "a.html", "--error-rates", rates)
    assert status == 0 and "measuring" not in said
    assert "given in rates.csv" in (tmp_path / "a.html").read_text()
    rates.write_text("label,true_positive_rate,false_positive_rate,positives,negatives\njoy,1.8,0.1,200,800\n")
    status, said = score(*arguments, tmp_path / "b", "--report", "--error-rates", rates)
    assert status == 2 and "rates.csv, line 2" in said and "between 0 and 1" in said
    labelled = tmp_path / "labelled.csv"
    labelled.write_text('text,mood\ni am happy,"joy, fear"\nmy dog,Joy\nshe cried,sad\n')
    given = ("--labelled", labelled, "--labelled-column", "mood")
    status, said = score(*arguments, tmp_path / "c", "--report", tmp_path / "c.html", *given)
    assert status == 0 and "measuring error rates for the page on 3 labelled texts\n" in said
    assert "3 labelled texts given for this" in (tmp_path / "c.html").read_text()


def test_the_held_out_texts_are_counted_before_they_are_read(score, table, tmp_path, monkeypatch):
    totals = []

    class Progress(ScoringProgress):
        def __init__(self, total, *more):
            totals.append(total)
            super().__init__(total, *more)

    texts = [f"i am happy, and she cried for the {number}th time" for number in range(7)]
    held_out = functools.partial(measure_rates, texts=texts, truths=[["joy"]] * 7)
    monkeypatch.setattr("emodistill.serving.score.ScoringProgress", Progress)
    monkeypatch.setattr(
        "emodistill.serving.error_rates.rates_from_held_out",
        lambda scorer, progress: KnownErrors(held_out(scorer, progress=progress), "seven texts"),
    )
    status, said = score(table, "--labels", LABELS, "--output", tmp_path / "a", "--report")
    assert status == 0 and totals == [7]
    assert "measuring error rates for the page on 7 held-out texts; --error-rates none leaves that out\n" in said
    assert "seven texts" in (tmp_path / "a" / "_report.html").read_text()


def test_a_table_for_the_page_is_read_once(score, table, tmp_path):
    """What comes through a pipe is there only once."""
    pipe = tmp_path / "labelled.csv"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=("text,labels\ni am happy,joy\nshe cried,sad\n",))
    writer.start()
    arguments = ("--labels", LABELS, "--output", tmp_path / "a", "--report", tmp_path / "a.html", "--labelled", pipe)
    status, said = score(table, *arguments)
    writer.join()
    assert status == 0 and "2 labelled texts given for this" in (tmp_path / "a.html").read_text(), said


def many(tmp_path, count=120):
    path = tmp_path / "many.jsonl"
    texts = [f"my dog number {number % 50} is happy" for number in range(count)]
    path.write_text("".join(json.dumps({"text": text, "n": n}) + "\n" for n, text in enumerate(texts)))
    return path


def arguments(checkpoint, source, output, *more):
    chosen = [
        "score", source, "--labels", LABELS, "--output", output, "--model", checkpoint, "--device", "cpu",
        "--shard-rows", 6, "--threads", 1, "--keep", "n", *more,
    ]  # fmt: skip
    return list(map(str, chosen))


def parts(folder):
    return {path.name: path.read_bytes() for path in folder.glob("part-*")}


def until(condition, seconds=300):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


@pytest.mark.slow
def test_killed_runs_end_as_if_they_had_not_been(checkpoint, tmp_path):
    """Killed wherever it is, several times over: no row lost, none twice, every byte the same."""
    source = many(tmp_path)
    whole = forkserver.command(arguments(checkpoint, source, tmp_path / "whole"))
    assert whole.wait(300) == 0, whole.stderr
    kills = 0
    for more in (1, 4, 9):
        process = forkserver.command(arguments(checkpoint, source, tmp_path / "killed"))

        def enough(goal=more, process=process):
            return process.poll() is not None or len(parts(tmp_path / "killed")) >= goal

        until(enough)
        process.send_signal(signal.SIGKILL)
        kills += process.wait(30) == -signal.SIGKILL
    assert kills >= 2
    process = forkserver.command(arguments(checkpoint, source, tmp_path / "killed"))
    assert process.wait(300) == 0, process.stderr
    assert "going on after" in process.stderr
    assert parts(tmp_path / "killed") == parts(tmp_path / "whole") and len(parts(tmp_path / "whole")) == 20
    rows = pyarrow.parquet.read_table(tmp_path / "killed").to_pylist()
    assert [row["n"] for row in rows] == list(range(120)) == [row["row"] for row in rows]
    with contextlib.suppress(FileNotFoundError):  # what a kill left half written is tidied away, or not read
        assert not list((tmp_path / "killed").glob("*.tmp"))


@pytest.mark.slow
def test_two_processes_share_a_run(checkpoint, tmp_path):
    """As `accelerate launch --num_processes 2` starts them."""
    source = many(tmp_path)
    one = forkserver.command(arguments(checkpoint, source, tmp_path / "one"))
    two = forkserver.group(
        arguments(checkpoint, source, tmp_path / "two", "--report", "--error-rates", "none"), processes=2
    )
    assert one.wait(300) == 0, one.stderr
    for process in two:
        assert process.wait(300) == 0, process.stderr
    assert parts(tmp_path / "two") == parts(tmp_path / "one") and len(parts(tmp_path / "two")) == 20
    assert (tmp_path / "two" / "_report.html").exists()
    assert sum("120 rows" in process.stderr for process in two) >= 1


def test_standard_input(checkpoint, tmp_path, monkeypatch):
    import io
    import sys

    class Standard:
        buffer = io.BytesIO(b"i am happy\nmy dog\n")

    monkeypatch.setattr(sys, "stdin", Standard())
    output = tmp_path / "out.jsonl"
    assert cli.main(arguments(checkpoint, "-", output)[:-2]) == 0
    assert [json.loads(line)["text"] for line in output.read_text().splitlines()] == ["i am happy", "my dog"]
