"""The page's functions, without a browser."""

import csv
import io
import itertools
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
from emodistill.demo import drawing, proxies, scoring, serve, uploads
from emodistill.descriptors.formats import FileRow

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
    assert split("half \ud83d") == ("half \ufffd",)
    assert split("joy|anger\r\nfear") == ("joy", "anger", "fear")


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
        ("my dog", 10**400, "number from 0 to 1"),
    ],
)
def test_text_and_threshold_that_do_not_fit(classify, text, threshold, message):
    with pytest.raises(scoring.Mistake, match=message):
        scoring.score_text(classify, text, "joy", True, threshold)


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("self-pity, self pity", "^Labels holds 'self-pity' and 'self pity', which are the same label.$"),
        ("caf\xe9, cafe\u0301", "which are the same label"),
        ("joy, \u200b", "^Labels holds an empty label.$"),
        ("joy, \ud83d", "an empty label"),
    ],
)
def test_labels_that_the_pipeline_refuses_are_told(classify, labels, message, multi_label):
    table = uploads.UploadedTable(["text"], [["my dog"]])
    for call in (
        lambda: scoring.score_text(classify, "my dog", labels, multi_label, 0.5),
        lambda: scoring.explain_text(classify, "my dog", labels, multi_label),
        lambda: uploads.score_table(classify, table, "text", labels, multi_label, 0.5),
    ):
        with pytest.raises(scoring.Mistake, match=message):
            call()


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
    assert "half \ufffd" in drawing.draw_notice("half \ud83d")
    html = drawing.draw_table(uploads.UploadedTable(["<h>"], [["<script>"], ["b"]]), rows=1)
    assert "<script>" not in html and "&lt;h&gt;" in html and "b</td>" not in html


# CSV files


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return str(path)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_a_file_is_read(tmp_path, delimiter):
    content = f'\ufeffid{delimiter}Text\r\n1{delimiter}"two\nlines{delimiter} one"\r\n\r\n2{delimiter}café\r\n'
    table = uploads.read_table(write(tmp_path / "a.csv", content))
    assert table.header == ["id", "Text"] and table.rows == [["1", f"two\nlines{delimiter} one"], ["2", "café"]]
    assert uploads.guess_text_column(table) == "Text" and table.delimiter == delimiter


@pytest.mark.parametrize(
    ("name", "content", "rows"),
    [
        ("a.csv", "text,label,,,\nhello,joy,,,\n", [["hello", "joy"]]),  # as Excel writes empty columns
        ("a.csv", "sep=;\nid;text\n1;hello\n", [["1", "hello"]]),
        ("a.csv", "id,text\n1,café\n".encode("utf-16"), [["1", "café"]]),
        ("a.tsv", 'id\ttext\n1\t"Oh no\n2\tfine\n', [["1", '"Oh no'], ["2", "fine"]]),
        ("a.jsonl", '{"text": "a", "n": 1}\n{"text": null, "n": [2]}\n', [["a", "1"], ["", "[2]"]]),
        ("a.json", '[{"text": "a"}, {"more": true}]', [["a", ""], ["", "true"]]),
        ("a.txt", "one\n\ntwo\n", [["one"], ["two"]]),
        ("a.jsonl", '{"text": "half \\ud83d", "n": ["\\udc00"]}\n', [["half \ufffd", '["\ufffd"]']]),
    ],
)
def test_the_packages_reader_reads_it(name, content, rows, tmp_path):
    table = uploads.read_table(write(tmp_path / name, content))
    assert table.rows == rows and table.problems == {}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "is empty"),
        (" \n\n", "The file is empty"),
        ("text\n", "no row under it"),
        ("text,text\na,b\n", "two columns have the same name"),
        (b"PK\x03\x04\0\0", "is an Excel workbook"),
        ("text\n" + "a\n" * 5001, "more than 5,000 rows"),
        ("text\n" + "a" * 5_000_001, "5.0 MB; the page takes 5 MB"),
        (",".join(f"c{n}" for n in range(1001)) + "\n" + "," * 1000 + "x\n", "1,001 columns; the page takes 1,000"),
        (",".join(f"c{n}" for n in range(300_000)) + "\n" + "x," * 299_999 + "x\n", "columns; the page takes 1,000"),
        ("a\n" + "x," * 1_000_000 + "\n", "No row of the file can be read"),
        ("id,text\n1,caf\xe9\n".encode("latin-1"), "No row of the file can be read; line 2"),
    ],
)
def test_a_file_that_does_not_fit(tmp_path, content, message):
    with pytest.raises(uploads.Mistake, match=re.escape(message)) as caught:
        uploads.read_table(write(tmp_path / "a.csv", content))
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize("name", ["a.parquet", "a.csv.gz", "a.xlsx", "a"])
def test_a_file_of_another_kind_is_told(name, tmp_path):
    with pytest.raises(uploads.Mistake, match="none of them by its name"):
        uploads.read_table(write(tmp_path / name, "text\nhello\n"))


def test_columns_are_counted_as_rows_come():
    """A JSON file may bring new ones with every row."""
    rows = (FileRow("a", "row", number, {f"c{number}": 1}) for number in itertools.count())
    with pytest.raises(uploads.Mistake, match="1,001 columns"):
        uploads._limited(rows)


def test_a_bad_row_costs_no_other(classify, tmp_path):
    content = b'id,text\n1,a,b\n2,my dog\n3,"we lost\n' + b"4,caf\xe9\n"
    table = uploads.read_table(write(tmp_path / "a.csv", content))
    assert len(table.problems) >= 2 and "line 2: 3 fields where 2 are expected" in table.problems[0]
    scored, without = uploads.score_table(classify, table, "text", "joy, anger", True, 0.5)
    assert scored.header[-1] == "error" and without == len(table.problems)
    by_id = {row[0]: row for row in scored.rows}
    assert by_id["2"][-1] == "" and float(by_id["2"][3]) > 0 and by_id["1"][3] == "" and "line 2" in by_id["1"][-1]


def test_the_text_column_is_guessed():
    guess = uploads.guess_text_column
    assert guess(uploads.UploadedTable(["long", "tweet"], [["a very long text", "ok"]])) == "tweet"
    no_letter_in_text = uploads.UploadedTable(["text", "what"], [["12", "I am"], ["", "He is"]])
    assert guess(no_letter_in_text) == "what"
    with pytest.raises(uploads.Mistake, match="No column"):
        guess(uploads.UploadedTable(["id", "text"], [["1", ""], ["2", "3.5"]]))


def test_a_file_is_scored_and_written(classify, tmp_path):
    rows = [[str(number), "my dog cried" if number % 3 else " ", "x;y"] for number in range(300)]
    table, steps = uploads.UploadedTable(["predicted", "said", "joy"], rows, ";"), []
    scored, without = uploads.score_table(
        classify, table, "said", "joy, anger", True, 0.0, lambda done, rows: steps.append((done, rows))
    )
    assert without == 100 and steps == [(128, 200), (200, 200)]
    path = str(tmp_path / "out.csv")
    assert uploads.write_table(scored, path) is None
    with open(path, encoding="utf-8-sig", newline="") as file:
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
    [
        (None, "joy, fear", "Choose the column"),
        ("a", "joy, fear", "empty in every row"),
        ("a", "joy", "joy alone"),
        ("b", "", "no labels"),
    ],
)
def test_a_file_that_cannot_be_scored(classify, column, labels, message):
    with pytest.raises(uploads.Mistake, match=message):
        uploads.score_table(classify, uploads.UploadedTable(["a", "b"], [["", "my dog"]]), column, labels, False, 0.0)


def test_formulas_are_neutralised_unless_they_are_wanted(tmp_path):
    cells = ["=1+1", "+1", "-cmd|x", "@SUM(A1)", "\t=1", "-0.5", "fine", "＝1", ""]
    table = uploads.UploadedTable(["=text", *map(str, range(8))], [cells])
    note = uploads.write_table(table, str(tmp_path / "out.csv"))
    assert note.startswith("6 cells begin like a formula and got an apostrophe")
    content = (tmp_path / "out.csv").read_text(encoding="utf-8-sig")
    header, row = list(csv.reader(io.StringIO(content)))
    assert header[0] == "'=text" and [cell for cell in row if cell[:1] == "'"] == [
        "'=1+1", "'-cmd|x", "'@SUM(A1)", "'\t=1", "'＝1"
    ]  # fmt: skip
    assert (tmp_path / "out.csv").read_bytes().startswith(b"\xef\xbb\xbf")
    assert uploads.write_table(table, str(tmp_path / "raw.csv"), formulas=True) is None
    assert "'" not in (tmp_path / "raw.csv").read_text(encoding="utf-8-sig")


@pytest.mark.parametrize("delimiter", "=@+-")
def test_a_row_begins_no_formula_by_its_delimiter(tmp_path, delimiter):
    content = f"sep={delimiter}\nid{delimiter}text\n{delimiter}cmd|' /C calc'!A0\n"
    table = uploads.read_table(write(tmp_path / "a.csv", content))
    assert table.header == ["id", "text"] and table.rows == [["", "cmd|' /C calc'!A0"]]
    uploads.write_table(table, str(tmp_path / "out.csv"))
    assert (tmp_path / "out.csv").read_text(encoding="utf-8-sig").splitlines()[1][0] == ","


def test_too_many_results_are_told(classify):
    table = uploads.UploadedTable(["text"], [["my dog"]] * 5000)
    with pytest.raises(uploads.Mistake, match="5,000 rows and 101 labels are too much"):
        uploads.score_table(classify, table, "text", ", ".join(f"l{n}" for n in range(101)), True, 0.5)


def test_wide_tables_are_shown_in_part():
    table = uploads.UploadedTable([f"c{n}" for n in range(1000)], [["x"] * 1000])
    html = drawing.draw_table(table)
    assert html.count("<th ") == 40 and "c0<" in html and "c999<" in html and "c500<" not in html


# Several checkpoints, and words that tell


def test_models_are_loaded_when_they_are_chosen(monkeypatch):
    loaded = []
    monkeypatch.setattr(scoring, "load_classifier", lambda place: loaded.append(place) or place.upper())
    models = scoring.Models({"small": "a", "base": "b"})
    assert models.names == ["small", "base"] and loaded == ["a"]
    assert (models.get(), models.get("small"), models.get("base"), models.get("base")) == ("A", "A", "B", "B")
    assert loaded == ["a", "b"]
    with pytest.raises(scoring.Mistake, match="Choose one of the models"):
        models.get("other")


def test_the_packages_models_that_are_there_are_offered(monkeypatch):
    def path(name):
        if name == "base" and missing:
            raise FileNotFoundError(name)
        return f"/{name}"

    monkeypatch.setattr(serve, "checkpoint_path", path)
    missing = True
    assert serve.own_models() == {"small": "/small"}
    missing = False
    assert list(serve.own_models()) == ["small", "base"] and serve.own_models("base") == {"base": "/base"}
    monkeypatch.setenv("EMODISTILL_MODEL", "a/one, b/two")
    assert scoring.published_models() == {"one": "a/one", "two": "b/two"}
    monkeypatch.setenv("EMODISTILL_MODEL", " ")
    assert scoring.published_models() == {"emodistill-minilm-l6": None}


def test_words_that_tell_are_marked(classify):
    explanation = scoring.explain_text(classify, "my <dog> cried & won", "joy, anger", True, "joy")
    html = drawing.draw_words(explanation)
    tree = ElementTree.fromstring(html)
    marks = [mark.text for mark in tree.iter("mark")]
    assert marks == [word.text for word in sorted(explanation.telling(), key=lambda word: word.start)]
    assert "".join(tree.itertext()).endswith("my <dog> cried & won") and "Words for" in html
    assert scoring.explain_text(classify, "dog " * 200, "joy", True) is None
    with pytest.raises(scoring.Mistake, match="no text"):
        scoring.explain_text(classify, " ", "joy", True)


# Proxies


@pytest.mark.parametrize(
    ("given", "usable"),
    [
        (
            {"NO_PROXY": "[::1], example.org ,[fe80::1]:80"},
            {"NO_PROXY": "::1,example.org,fe80::1,127.0.0.1,localhost"},
        ),
        ({"https_proxy": "proxy:3128"}, {"https_proxy": "http://proxy:3128", "no_proxy": "127.0.0.1,localhost,::1"}),
        ({"HTTP_PROXY": "http://me:pw@[::1]:1/"}, {"HTTP_PROXY": "http://me:pw@[::1]:1/"}),
        ({"ALL_PROXY": "  "}, {}),
        ({"HOME": "/me"}, {"HOME": "/me"}),
    ],
)
def test_proxies_become_usable(given, usable):
    expected = {"no_proxy": "127.0.0.1,localhost,::1"} if "NO_PROXY" not in given else {}
    assert proxies.usable_proxies(given) == expected | usable


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ALL_PROXY", "socks4://h:1"), ("all_proxy", "foo://h"), ("https_proxy", "http://"), ("HTTP_PROXY", "http://h:x"),
        ("HTTP_PROXY", "http://h:99999"), ("https_proxy", "http://me:s3cret@"), ("https_proxy", "http://a b"),
    ],
)  # fmt: skip
def test_an_impossible_proxy_is_named(name, value):
    with pytest.raises(ValueError, match=f"^{name} ") as caught:
        proxies.usable_proxies({name: value})
    assert "s3cret" not in str(caught.value)


def test_a_socks_proxy_needs_its_package(monkeypatch):
    monkeypatch.setattr(proxies, "_has_socks", lambda: False)
    with pytest.raises(ValueError, match="ALL_PROXY names a SOCKS proxy"):
        proxies.usable_proxies({"ALL_PROXY": "socks://127.0.0.1:1080"})
    monkeypatch.setattr(proxies, "_has_socks", lambda: True)
    assert proxies.usable_proxies({"ALL_PROXY": "socks://h:1"})["ALL_PROXY"] == "socks5://h:1"
    everything = {name.upper(): "socks://h" for name in proxies.PROXIES} | {"A": "b"}
    assert proxies.without_proxies(everything) == {"A": "b"}


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
