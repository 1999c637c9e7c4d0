"""The page's functions, without a browser."""

import csv
import re
import socket
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml

import emodistill
from emodistill import cli
from emodistill.benchmarks.readers import BENCHMARKS
from emodistill.demo import drawing, scoring, serve, tables

ROOT = Path(emodistill.__file__).resolve().parent


def split(text):
    return tuple(scoring.parse_labels(text))


def test_presets_are_the_benchmarks_own_sets():
    by_name = {re.sub(r" \(\d+\)", "", name): split(labels) for name, labels in scoring.PRESETS.items()}
    assert by_name["GoEmotions"] == BENCHMARKS["goemotions"][0].labels
    assert by_name["SemEval-2018"] == BENCHMARKS["semeval2018"][0].labels
    assert by_name["SemEval-2025"] == BENCHMARKS["semeval2025-eng"][0].labels
    assert by_name["ISEAR"] == BENCHMARKS["isear"][0].labels
    assert set(by_name["Ekman"]) == set(BENCHMARKS["goemotions-ekman"][0].labels) - {"neutral"}
    assert {"trust", "anticipation"} <= set(by_name["Plutchik"])
    for name, labels in scoring.PRESETS.items():
        assert f"({len(split(labels))})" in name


def test_labels_are_split_at_commas_semicolons_and_line_ends():
    assert split(" joy, moving  on;anger\n\nfear,") == ("joy", "moving on", "anger", "fear")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("", "no labels"),
        (None, "no labels"),
        (" , ;\n", "no labels"),
        ("joy, anger, Joy, ANGER", "more than once: joy, anger"),
        (", ".join(map(str, range(201))), "201 labels; the page takes 200"),
        ("joy, " + "x" * 201, "201 characters; 200 is the most"),
    ],
)
def test_labels_that_do_not_fit(labels, message):
    with pytest.raises(scoring.Mistake, match=message):
        scoring.parse_labels(labels)


@pytest.mark.parametrize(
    ("text", "threshold", "message"),
    [
        ("", 0.5, "no text"),
        (" \n", 0.5, "no text"),
        (None, 0.5, "no text"),
        ("x" * 10_001, 0.5, "10,001 characters"),
        ("my dog", None, "number from 0 to 1"),
        ("my dog", "much", "number from 0 to 1"),
        ("my dog", 1.1, "number from 0 to 1"),
        ("my dog", float("nan"), "number from 0 to 1"),
    ],
)
def test_text_and_threshold_that_do_not_fit(classify, text, threshold, message):
    with pytest.raises(scoring.Mistake, match=message):
        scoring.score_text(classify, text, "joy", True, threshold)


@pytest.mark.parametrize("multi_label", [False, True])
def test_the_page_shows_what_the_pipeline_says(classify, multi_label):
    threshold = scoring.DEFAULT_THRESHOLDS[multi_label]
    shown = scoring.score_text(classify, "my dog cried", "joy, anger\nrelief", multi_label, threshold)
    expected = classify("my dog cried", labels=["joy", "anger", "relief"], multi_label=multi_label, dimensions=True)
    assert shown == expected


def test_a_checkpoint_without_dimensions(classify):
    classify.model.config.dimension_names = []
    result = scoring.score_text(classify, "my dog", "joy, anger", False, 0.0)
    assert "dimensions" not in result
    assert "no built-in dimensions" in drawing.draw_result(result, False, 0.0)


# Drawing


RESULT = {
    "labels": ["joy", "<b>&anger", "fear"],
    "scores": [0.7, 0.2, 0.1],
    "predicted": ["joy"],
    "dimensions": {"valence": 9.0, "arousal": 1.0, "dominance": 5.0},
}


def test_bars_plane_and_words():
    html = drawing.draw_result(RESULT, False, 0.25)
    tree = ElementTree.fromstring(html)
    names = [span.text for span in tree.iter("span") if span.get("class") == "ed-name"]
    assert names == ["✓ joy", "<b>&anger", "fear"]
    assert [bar.get("style") for bar in tree.iter("i")] == ["width:70.0%", "width:20.0%", "width:10.0%"]
    assert len(re.findall(r"<b style=.left:calc\(25.0% - 1px\)", html)) == 3
    (svg,) = (element for element in tree.iter() if element.tag == "svg")
    assert svg.get("role") == "img" and svg.get("aria-label").startswith("Valence 9.0 and arousal 1.0")
    (point,), (frame,) = list(svg.iter("circle")), list(svg.iter("rect"))
    left, top, size = (float(frame.get(name)) for name in ("x", "y", "width"))
    assert float(point.get("cx")) == left + size and float(point.get("cy")) == top + size  # right, and down
    assert "dominance" in html and "add up to 1" in html


def test_no_label_reaches_the_threshold():
    html = drawing.draw_result(RESULT | {"predicted": ["neutral"]}, True, 0.9)
    assert "No label reaches the threshold: <strong>neutral</strong>" in html and "ed-on" not in html
    html = drawing.draw_result(RESULT | {"predicted": []}, True, 0.9)
    assert "No label reaches the threshold." in html and "Any number of labels may hold" in html


def test_many_labels_fold_away():
    labels = [f"label {number}" for number in range(40)]
    html = drawing.draw_result({"labels": labels, "scores": [0.0] * 40, "predicted": []}, True, 0.5)
    assert html.count("<li") == 40 and "12 more labels" in html


def test_notices_and_tables_are_escaped():
    assert "&lt;i&gt;" in drawing.draw_notice("<i>") and 'role="alert"' in drawing.draw_notice("x")
    html = drawing.draw_table(tables.Table(["<h>"], [["<script>"], ["b"]]), rows=1)
    assert "<script>" not in html and "&lt;h&gt;" in html and "b</td>" not in html


# CSV files


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_file_is_read(tmp_path, delimiter):
    content = f'\ufeffid{delimiter}Text\r\n1{delimiter}"two\nlines{delimiter} one"\r\n\r\n2{delimiter}café\r\n'
    table = tables.read_table(write(tmp_path / "a.csv", content))
    assert table.header == ["id", "Text"] and table.rows == [["1", f"two\nlines{delimiter} one"], ["2", "café"]]
    assert tables.guess_text_column(table) == "Text"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        (" \n\n", "is empty"),
        ("text\n", "no row under it"),
        ("id,text\n1,café\n".encode("latin-1"), "not UTF-8: line 2 "),
        ("text\nhello\n".encode("utf-16"), "may be UTF-16"),
        (b"PK\x03\x04\0\0", "no CSV file at all"),
        ("id,text\n1,a,b\n", "Line 2 has 3 fields, but the header has 2"),
        ('id,text\n1,"a\nb"\n2\n', "Line 4 has 1 fields"),
        ("text,text\na,b\n", "column twice: 'text'"),
        ("text\n" + "a\n" * 5001, "5,001 rows; the page takes 5,000"),
        ("text\n" + "a" * 5_000_001, "5.0 MB; the page takes 5 MB"),
    ],
)
def test_a_file_that_does_not_fit(tmp_path, content, message):
    with pytest.raises(tables.Mistake, match=re.escape(message)):
        tables.read_table(write(tmp_path / "a.csv", content))


def test_the_text_column_is_guessed():
    guess = tables.guess_text_column
    assert guess(tables.Table(["long", "tweet"], [["a very long text", "ok"]])) == "tweet"
    assert guess(tables.Table(["text", "what"], [["12", "I am"], ["", "He is"]])) == "what"  # no letter in `text`
    with pytest.raises(tables.Mistake, match="No column"):
        guess(tables.Table(["id", "text"], [["1", ""], ["2", "3.5"]]))


def test_a_file_is_scored_and_written(classify, tmp_path):
    rows = [[str(number), "my dog cried" if number % 3 else " ", "x;y"] for number in range(300)]
    table, steps = tables.Table(["predicted", "said", "joy"], rows, ";"), []
    scored, without = tables.score_table(
        classify, table, "said", "joy, anger", True, 0.0, lambda done, rows: steps.append((done, rows))
    )
    assert without == 100 and steps == [(128, 200), (200, 200)]
    path = str(tmp_path / "out.csv")
    tables.write_table(scored, path)
    with open(path, encoding="utf-8", newline="") as file:
        read = list(csv.DictReader(file, delimiter=";"))
    assert list(read[0]) == [
        "predicted", "said", "joy", "emodistill predicted", "score: joy", "score: anger",
        "valence", "arousal", "dominance",
    ]  # fmt: skip
    expected = classify("my dog cried", labels=["joy", "anger"], multi_label=True, threshold=0.0, dimensions=True)
    assert read[1]["emodistill predicted"] == "|".join(expected["predicted"]) and len(expected["predicted"]) == 2
    for label, score in zip(expected["labels"], expected["scores"], strict=True):
        assert float(read[1][f"score: {label}"]) == pytest.approx(score, abs=1e-4)
    assert float(read[1]["valence"]) == pytest.approx(expected["dimensions"]["valence"], abs=1e-4)
    assert read[0]["joy"] == "x;y" and read[0]["score: joy"] == read[0]["emodistill predicted"] == ""
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


@pytest.mark.parametrize(
    ("column", "labels", "message"),
    [(None, "joy", "Choose the column"), ("a", "joy", "empty in every row"), ("b", "", "no labels")],
)
def test_a_file_that_cannot_be_scored(classify, column, labels, message):
    with pytest.raises(tables.Mistake, match=message):
        tables.score_table(classify, tables.Table(["a", "b"], [["", "my dog"]]), column, labels, False, 0.0)


# The command


def test_a_port_that_is_taken_is_one_sentence(capsys):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert cli.main(["demo", "--port", str(port)]) == 2
    error = capsys.readouterr().err
    assert error == f"emodistill demo: port {port} on 127.0.0.1 is taken; choose another one with --port\n"
    assert serve.free_port("127.0.0.1", port) == port and serve.free_port("127.0.0.1", 0) > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "70000"], "between 0 and 65535, not 70000"),
        (["--host", "192.0.2.1"], "--host 192.0.2.1 is no address of this machine"),
        (["--host", "no such host"], "is no address of this machine"),
        (["--port", "0", "--model", "./nowhere"], "./nowhere is no folder here"),
    ],
)
def test_arguments_that_do_not_fit(capsys, arguments, message):
    assert cli.main(["demo", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and message in error


def test_without_gradio_the_extra_is_named(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "gradio", None)
    monkeypatch.delitem(sys.modules, "emodistill.demo.app", raising=False)
    assert cli.main(["demo", "--port", "0"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1 and "pip install 'emodistill[demo]'" in error


# The Space's files


def test_the_space_names_tested_versions():
    pins = set((ROOT / "constraints.txt").read_text().split())
    requirements = (ROOT / "demo" / "requirements.txt").read_text().split()
    assert set(requirements) <= pins and len(requirements) == len(set(requirements))
    _, header, body = (ROOT / "demo" / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    metadata = yaml.safe_load(header)
    assert f"gradio=={metadata['sdk_version']}" in requirements and metadata["sdk"] == "gradio"
    assert (ROOT / "demo" / metadata["app_file"]).is_file() and len(metadata["short_description"]) <= 60
    assert metadata["models"] == [scoring.PUBLISHED] and scoring.PUBLISHED in body
    assert f"python_requires = >={metadata['python_version']}" in (ROOT / "setup.cfg").read_text()
