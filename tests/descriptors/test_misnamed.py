"""Files whose content is another format than their name says."""

import io
import json
import re
import types

import pytest

from emodistill.descriptors.tables import iter_rows

ROWS = [{"text": f"So glad, the {n}th time", "labels": ["joy"]} for n in range(3)]
ONE_A_LINE = "\n".join(map(json.dumps, ROWS))
LIST, INDENTED = json.dumps(ROWS), json.dumps(ROWS, indent=2)
OBJECTS = "\n".join(json.dumps(row, indent=2) for row in ROWS)
COMMAS = 'text,labels\n"So glad, again",joy\nOh no,fear\n'


def written(path, text):
    path.write_text(text, encoding="utf-8", newline="")
    return path


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.jsonl", INDENTED, "it is a JSON list; give it the suffix .json"),
        ("a.jsonl", "\n" + LIST, "it is a JSON list; give it the suffix .json"),
        ("a.jsonl", "[" + ",\n".join(map(json.dumps, ROWS)) + "]", "it is a JSON list; give it the suffix .json"),
        ("a.jsonl", "[\n" + json.dumps(ROWS[0]) + "\n]", "it is a JSON list; give it the suffix .json"),
        (
            "a.jsonl",
            OBJECTS,
            "it is JSON over many lines, not an object a line; write it so (jq -c . does), or, if it is",
        ),
        ("a.jsonl", json.dumps({"data": ROWS}, indent=1), "one object for all rows, give it the suffix .json"),
        (
            "a.json",
            OBJECTS,
            "it is JSON objects over many lines, one after the other; make them a list, or one a line",
        ),
        *((f"a.{kind}", ONE_A_LINE, "it is JSON; give it the suffix .jsonl") for kind in ("csv", "tsv", "txt")),
        *((f"a.{kind}", LIST, "it is JSON; give it the suffix .json") for kind in ("csv", "tsv", "txt")),
        *((f"a.{kind}", INDENTED, "it is JSON; give it the suffix .json") for kind in ("csv", "tsv")),
        *((f"a.{kind}", OBJECTS, "it is JSON; give it the suffix .json") for kind in ("csv", "tsv")),
        ("a.tsv", COMMAS, "it is a table whose fields are separated by ',', not by tabs; give it the suffix .csv"),
        (
            "a.tab",
            "a;b\n1;2\n",
            "it is a table whose fields are separated by ';', not by tabs; give it the suffix .csv",
        ),
    ],
)
def test_a_file_that_is_another_format_than_its_name_says_what_to_do(tmp_path, name, content, words):
    path = written(tmp_path / name, content)
    with pytest.raises(ValueError, match=re.escape(words)) as caught:
        list(iter_rows(path))
    assert str(caught.value).startswith(f"{path}: it is ")


@pytest.mark.parametrize(
    ("name", "content", "texts"),
    [
        ("a.json", ONE_A_LINE, [row["text"] for row in ROWS]),
        ("a.jsonl", '{\n{"text": "a"}\n', [None, "a"]),
        ("a.jsonl", '{"text": "a\n so"}\n{"text": "b"}\n', [None, None, "b"]),
        ("a.jsonl", '[{"text": "a"}]\n{"text": "b"}\n', [None, "b"]),
        ("a.jsonl", "{'text': 'a'}\n{'text': 'b'}\n", [None, None]),
        ("a.tsv", "text\nSo glad, again\nOh no, never\n", ["So glad, again", "Oh no, never"]),
        ("a.tsv", "text,long\ttext\na, b\tc, d\n", ["c, d"]),
        ("a.txt", "[\n{\n", ["[", "{"]),
    ],
)
def test_rows_like_another_format_do_not_make_a_file_one(tmp_path, name, content, texts):
    assert [row.values.get("text") for row in iter_rows(written(tmp_path / name, content))] == texts


@pytest.mark.parametrize(
    ("content", "texts"),
    [
        *((content, [row["text"] for row in ROWS]) for content in (ONE_A_LINE, LIST, INDENTED)),
        ("[a]\n{", ["[a]", "{"]),
    ],
)
def test_standard_input_is_told_by_how_it_begins(monkeypatch, content, texts):
    monkeypatch.setattr("sys.stdin", types.SimpleNamespace(buffer=io.BytesIO(content.encode())))
    assert [row.values["text"] for row in iter_rows("-")] == texts


def test_standard_input_has_no_suffix_to_be_given(monkeypatch):
    monkeypatch.setattr("sys.stdin", types.SimpleNamespace(buffer=io.BytesIO(OBJECTS.encode())))
    with pytest.raises(
        ValueError, match=r"standard input: it is JSON over many lines.*save it to a file with the suffix"
    ):
        list(iter_rows("-"))
