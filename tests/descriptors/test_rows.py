"""Rows as they are trained on."""

import json

import pytest
from table_files import write

from emodistill.descriptors.rows import load_rows

ROWS = [
    {"id": "1", "text": " Finally home. ", "labels": ["relief", "joy"], "status": "ok"},
    {"id": "2", "text": "NA", "labels": ["neutral"], "status": None},
    {"id": "3", "text": "Refused.", "labels": [], "status": "refused"},
]


def test_the_same_rows_from_every_table(tmp_path):
    write(tmp_path / "a.jsonl", "".join(json.dumps(row) + "\n" for row in ROWS))
    write(tmp_path / "a.json", json.dumps(ROWS))
    write(tmp_path / "a.csv", 'id,text,labels,status\n1, Finally home. ,"relief, joy",ok\n2,NA,neutral,ok\n')
    write(tmp_path / "b.csv", 'id;text;labels\n1; Finally home. ;"[\'relief\', \'joy\']"\n2;NA;"[""neutral""]"\n')
    write(tmp_path / "a.tsv", 'id\ttext\tlabels\n1\t Finally home. \t["relief", "joy"]\n2\tNA\tneutral\n')
    for name in ("a.jsonl", "a.json", "a.csv", "b.csv", "a.tsv"):
        rows = load_rows(tmp_path / name, "train")
        assert [(row["id"], row["text"], row["labels"]) for row in rows] == [
            ("1", " Finally home. ", ["relief", "joy"]),
            ("2", "NA", ["neutral"]),
        ], name
        assert load_rows(tmp_path / name, "validation") is None


def test_a_tsv_keeps_its_quotation_marks_and_its_rows(tmp_path):
    path = write(tmp_path / "a.tsv", 'text\tlabels\n"Oh no\tfear\nfine\tjoy\n"What\tanger\nlast"\tjoy\n')
    assert [row["text"] for row in load_rows(path, "train")] == ['"Oh no', "fine", '"What', 'last"']


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("a.jsonl", '{"text": "a", "labels": ["joy"]}\n{"text": null, "labels": ["joy"]}\n', "line 2: `text` must"),
        ("a.jsonl", '{"text": " ", "labels": ["joy"]}\n', "line 1: `text` must"),
        ("a.jsonl", '{"text": 3, "labels": ["joy"]}\n', "line 1: `text` must"),
        ("a.jsonl", '{"body": "a", "labels": ["joy"]}\n', "line 1: a row needs `text` and `labels`"),
        ("a.jsonl", '{"text": "a", "label": ["joy"]}\n', "line 1: a row needs `text` and `labels`"),
        ("a.jsonl", '{"text": "a", "labels": null}\n', "line 1: there are no labels (null)"),
        ("a.jsonl", '{"text": "a", "labels": []}\n', "line 1: there are no labels (an empty list)"),
        ("a.jsonl", '{"text": "a", "labels": [2]}\n', "line 1: the label 2 is a number"),
        ("a.jsonl", '{"text": "a"\n', "line 1: not valid JSON"),
        ("a.csv", "text,labels\na,\"['joy'\"\n", "line 2: the labels \"['joy'\" begin like a list"),
        ("a.csv", "text,labels\na,joy,pride\n", "line 2: 3 fields where 2"),
        ("a.csv", "text,labels\na,3\n", "line 2: the label '3' is a number"),
        ("a.csv", "", "it is empty"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, name, content, said):
    path = write(tmp_path / name, content)
    with pytest.raises(ValueError) as error:
        load_rows(path, "train")
    assert said in str(error.value) and str(path) in str(error.value) and "\n" not in str(error.value)


BAD = {
    '{"text": null, "labels": ["joy"]}': "`text` must be",
    '{"text": 3, "labels": ["joy"]}': "`text` must be",
    '{"text": "b", "labels": []}': "an empty list",
    '{"text": "b"}': "it has text",
    '{"labels": ["joy"]}': "this one has labels",
    '{"text": "b': "not valid JSON",
    '{"text": "b", "labels": [2]}': "is a number",
    '{"text": "b", "labels": ["joy", null]}': "one of the labels is null",
    '{"text": "caf\udce9", "labels": ["joy"]}': "not utf-8 text",
}


@pytest.mark.parametrize(("line", "said"), BAD.items())
def test_one_bad_row_does_not_cost_the_others(tmp_path, line, said):
    told, path, good = [], tmp_path / "a.jsonl", '{"text": "a", "labels": ["joy"]}\n'
    path.write_bytes((good + line + "\n" + good).encode("utf-8", "surrogateescape"))
    assert [row["text"] for row in load_rows(path, "train", say=told.append)] == ["a", "a"]
    assert f"{path}, line 2: " in told[0] and said in told[0] and told[1:] == ["1 of 3 rows is left out"]
    with pytest.raises(ValueError, match=r"line 2: "):
        load_rows(path, "train")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ("a,joy\n" * 15 + "b,\n" * 2, "line 17: there are no labels (an empty list); write neutral where nothing is "
         "expressed; 2 of 17 rows cannot be used: mend them, or take them out"),
        ("a,\n" * 3, "3 of 3 rows cannot be used"),
        ('"a,joy\nb,joy\nc,joy\n', "line 2: a quotation mark is left open"),  # it swallows the others
        ('"a,joy\nb,joy"\nc,joy\n', "line 2: 1 fields where 2 are expected"),
        ("a,joy\n" * 20 + "b,\"['joy'\"\n", "line 22: the labels \"['joy'\" begin like a list"),
    ],
)  # fmt: skip
def test_many_bad_rows_and_faults_of_the_table_are_refused(tmp_path, rows, said):
    with pytest.raises(ValueError) as error:
        load_rows(write(tmp_path / "a.csv", "text,labels\n" + rows), "train", say=print)
    assert said in str(error.value)


def test_a_column_that_the_first_row_lacks_is_told_at_once(tmp_path):
    lines = '{"text": "a", "label": "joy"}\n' * 3
    with pytest.raises(ValueError, match=r"line 1: a row needs `text` and `labels`; it has text, label$"):
        load_rows(write(tmp_path / "a.jsonl", lines), "train", say=print)


def test_an_encoding_that_is_not_utf_8(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes("text,labels\nfine,joy\ncafé,joy\n".encode("cp1252"))
    with pytest.raises(ValueError, match=r"a\.csv, line 3: not utf-8 text; .*cp1252"):
        load_rows(path, "train")


def test_texts_that_nobody_has_read(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"text": "a"}\n{"text": "b", "labels": []}\n')
    assert [row["labels"] for row in load_rows(path, "train", labels=False)] == [[], []]


def test_a_missing_data_set_is_told_at_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    for name in ("data/descriptors", "./x", "x.jsonl"):
        with pytest.raises(FileNotFoundError, match="no such file or folder"):
            load_rows(name, "train")
