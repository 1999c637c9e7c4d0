import csv
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emodistill.annotate import read_texts

TEXTS = [
    "I am so glad",
    'she said "no, never" again',
    "deux\u2028lignes \u00e9t\u00e9",
    "tab? comma, semicolon; pipe|",
    "",
]


def write(path, text, encoding="utf-8"):
    path.write_text(text, encoding=encoding, newline="")
    return path


def rows_of(path, **options):
    return [(row.id, row.text) for row in read_texts(path, **options)]


def test_every_kind_of_file_gives_the_same_rows(tmp_path):
    records = [{"id": f"r{n}", "text": text} for n, text in enumerate(TEXTS)]
    with open(tmp_path / "a.csv", "w", newline="", encoding="utf-8-sig") as file:
        writer = csv.DictWriter(file, ["id", "text"])
        writer.writeheader()
        writer.writerows(records)
    write(tmp_path / "a.tsv", "id\ttext\r\n" + "".join(f"{r['id']}\t{r['text']}\r\n" for r in records))
    write(tmp_path / "a.jsonl", "".join(json.dumps(r, ensure_ascii=False) + "\n" for r in records))
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(records), tmp_path / "a.parquet")
    expected = [(r["id"], r["text"]) for r in records]
    for name in ("a.csv", "a.tsv", "a.jsonl", "a.parquet"):
        assert rows_of(tmp_path / name) == expected, name


@given(st.lists(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), min_size=1, max_size=5))
def test_a_csv_cell_comes_back_as_it_was_written(tmp_path_factory, texts):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["text"], *([text] for text in texts)])
    assert [row.text for row in read_texts(path)] == [text.strip() for text in texts]


def test_columns_are_chosen_by_name_and_carried(tmp_path):
    path = write(tmp_path / "a.csv", "key,body,genre\n7,hello,letter\n8,oh no,diary\n")
    rows = read_texts(path, text_column="body", id_column="key", source_name="mine", keep=["genre"])
    assert [(r.id, r.source, r.text, r.extra) for r in rows] == [
        ("7", "mine", "hello", {"genre": "letter"}),
        ("8", "mine", "oh no", {"genre": "diary"}),
    ]


def test_a_headless_tsv_has_numbered_columns_and_unpaired_quotes(tmp_path):
    path = write(tmp_path / "train.tsv", 'He said "so what\t27\tabc\nfine by me\t4\tdef\n')
    rows = read_texts(path, header=False, text_column="1", id_column="3")
    assert [(r.id, r.text) for r in rows] == [("abc", 'He said "so what'), ("def", "fine by me")]


def test_rows_without_ids_are_numbered_and_sources_come_from_the_column(tmp_path):
    path = write(tmp_path / "mix.jsonl", '{"text": "a", "source": "x"}\n\n{"text": "b"}\n')
    assert [(r.id, r.source) for r in read_texts(path)] == [("x-1", "x"), ("mix-2", "mix")]


@pytest.mark.parametrize(
    ("name", "content", "options", "words"),
    [
        ("a.csv", "body\nhi\n", {}, ["line 2", "'text'", "body"]),
        ("a.csv", "text\nhi\n", {"text_column": "tweet"}, ["'tweet'", "text"]),
        ("a.csv", "id,text\n1,a\n1,b\n", {}, ["line 3", "'1'", "line 2"]),
        ("a.csv", "text,n\na,1,2\n", {}, ["line 2", "3 fields", "2"]),
        ("a.csv", 'text\n"open\n', {}, ["line", "--no-quotes"]),
        ("a.tsv", "text\tn\na\n", {}, ["line 2", "--quotes"]),
        ("a.csv", "text,text\na,b\n", {}, ["same name"]),
        ("a.jsonl", '{"text": "a"}\n{"text": \n', {}, ["line 2", "JSON"]),
        ("a.jsonl", '["a"]\n', {}, ["line 1", "object"]),
        ("a.jsonl", '{"text": 7}\n', {}, ["line 1", "int"]),
        ("a.csv", "text\n", {}, ["no rows"]),
        ("a.csv", "text\na\n", {"keep": ["genre"]}, ["'genre'"]),
        ("a.csv", "text\na\n", {"encoding": "klingon"}, ["klingon"]),
        ("a.xlsx", "x", {}, ["a.xlsx", ".csv"]),
        ("a.parquet", "not parquet at all", {}, ["a.parquet", "Parquet"]),
    ],
)
def test_bad_input_is_told_with_its_place(tmp_path, name, content, options, words):
    with pytest.raises(ValueError) as error:
        read_texts(write(tmp_path / name, content), **options)
    assert all(word in str(error.value) for word in words), str(error.value)
    assert "\n" not in str(error.value)


def test_a_wrong_encoding_names_the_line(tmp_path):
    path = write(tmp_path / "a.csv", "text\nplain\ncafé\n", "latin-1")
    with pytest.raises(ValueError, match="line 3"):
        read_texts(path)
    assert read_texts(path, encoding="latin-1")[1].text == "café"


def test_a_missing_file_is_not_taken_for_a_hub_id(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_texts(tmp_path / "nothing.csv")
    with pytest.raises(FileNotFoundError):
        read_texts("nothing.csv")


def test_a_hub_id_downloads_nothing_where_that_is_asked(monkeypatch):
    import os

    monkeypatch.setitem(os.environ, "HF_HUB_OFFLINE", "1")
    monkeypatch.setitem(os.environ, "HF_DATASETS_OFFLINE", "1")
    with pytest.raises(ValueError, match="nobody/nothing") as error:
        read_texts("nobody/nothing-of-the-kind", local_only=True)
    assert "\n" not in str(error.value)


def test_half_an_emoji_is_replaced(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"text": "so sad \\ud83d"}\n')
    (row,) = read_texts(path)
    assert row.text == "so sad \ufffd" and row.text.encode()


def test_values_that_json_lacks_are_carried_as_text():
    import datetime

    import pandas

    frame = pandas.DataFrame(
        {"text": ["a", None], "day": [datetime.date(2026, 1, 2)] * 2, "score": [1.5, float("nan")]}
    )
    rows = read_texts(frame, keep=["day", "score"])
    assert [row.text for row in rows] == ["a", ""]
    assert [row.extra for row in rows] == [{"day": "2026-01-02", "score": 1.5}, {"day": "2026-01-02", "score": None}]
    assert json.dumps([row.extra for row in rows])


def test_python_objects():
    import datasets
    import pandas

    records = {"id": ["a", "b"], "text": ["one", "two"]}
    expected = [("a", "one"), ("b", "two")]
    for source in (datasets.Dataset.from_dict(records), pandas.DataFrame(records)):
        assert [(row.id, row.text) for row in read_texts(source)] == expected
    assert [row.id for row in read_texts(["x", "y"])] == ["text-1", "text-2"]
    with pytest.raises(ValueError, match="split"):
        read_texts(datasets.DatasetDict(train=datasets.Dataset.from_dict(records)))
    with pytest.raises(ValueError, match="row 1"):
        read_texts([3])
