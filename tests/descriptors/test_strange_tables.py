"""Tables as they come out of other programs, half damaged or misnamed, and cells that are no labels."""

import bz2
import gzip
import json
import lzma
import time

import pytest
from table_files import write

from emodistill.descriptors.labels import clean_labels, read_labels
from emodistill.descriptors.rows import check_row, load_rows
from emodistill.descriptors.tables import iter_rows, iter_texts, read_texts

CSV = 'text,labels\n"I am glad, really",joy\n"Oh no",fear\n'
ROWS = [("I am glad, really", ["joy"]), ("Oh no", ["fear"])]


def read(path):
    return [(row.text, row.labels) for row in read_texts(path, labels_column="labels")]


# ---- one cell


@pytest.mark.parametrize(
    ("cell", "labels"),
    [
        ("joy; fear", ["joy", "fear"]),
        ("joy|fear", ["joy", "fear"]),
        ("joy\nfear", ["joy", "fear"]),  # Alt-Enter
        ("joy\tfear", ["joy", "fear"]),
        ("joy\u3001fear\uff0cawe", ["joy", "fear", "awe"]),
        ("joy\u060c fear", ["joy", "fear"]),
        ("'joy','fear'", ["joy", "fear"]),
        ("\u201cjoy\u201d, \u00abfear\u00bb", ["joy", "fear"]),
        ("- joy\n- fear", ["joy", "fear"]),
        ("1. joy 2", ["joy 2"]),
        ("1) joy, 2) fear", ["joy", "fear"]),
        ("\u2022 joy \u2022 fear", ["joy", "fear"]),
        ("#joy #fear", ["joy", "fear"]),
        ("joy<br>fear<BR />awe", ["joy", "fear", "awe"]),
        ("joy/relief", ["joy/relief"]),
        ("joy & fear", ["joy & fear"]),
        ("non-anger", ["non-anger"]),
        ("none", ["none"]),  # what label sets call `neutral`
        ("\U0001f600", ["\U0001f600"]),
        ("jo\0y, \u200bfear\u200d", ["joy", "fear"]),
        ("moving   on", ["moving on"]),
        ("['joy\nful', 'fear']", ["joy ful", "fear"]),
        (r"['a\xzz', 'fear']", [r"a\xzz", "fear"]),  # a backslash that begins no escape of Python's
        ("['jo\0y', 'fear']", ["joy", "fear"]),
        (["joy \ud83d"], ["joy \ufffd"]),
        (["joy, or nearly"], ["joy, or nearly"]),  # a list is taken as it is
    ],
)
def test_cells_as_programs_and_people_write_them(cell, labels):
    assert read_labels(cell) == labels


@pytest.mark.parametrize(
    ("cell", "words"),
    [
        *((word, "says that there is none") for word in ("nan", "NaN", "NULL", "<NA>", "N/A", "#N/A", "NaT", "NA")),
        ("joy, nan", "'nan' says that there is none"),
        (["joy", "null"], "'null' says that there is none"),
        *((number, "is a number") for number in (".5", "1e3", "inf", "50%", "\u00bd", "1 0 0 1", "10/10", "1_000")),
        *((truth, "is a truth value") for truth in ("True", "false")),
        ("joy:0.8,fear:0.2", "'joy:0.8' holds a number; write the name alone: 'joy'"),
        (["fear = 20%"], "write the name alone: 'fear'"),
        ("''", "an empty list"),
        ("\u200b, \u2060", "an empty list"),
    ],
)
def test_cells_that_name_no_emotion_are_refused(cell, words):
    with pytest.raises(ValueError) as error:
        read_labels(cell)
    assert words in str(error.value)


def test_one_label_in_two_forms_is_trained_as_one(tmp_path):
    path = write(tmp_path / "a.jsonl", json.dumps({"text": "hm", "labels": ["Joy", "cafe\u0301", "joy", "caf\u00e9"]}))
    assert load_rows(str(path), "train")[0]["labels"] == ["joy", "caf\u00e9"] == clean_labels(["JOY", "cafe\u0301"])


def test_half_an_emoji_does_not_stop_a_training(tmp_path):
    record = {"id": "a\ud83d", "text": "ok \ud83d", "labels": ["joy \ud83d"], "source": "b\ud83d"}
    (row,) = load_rows(str(write(tmp_path / "a.jsonl", json.dumps(record))), "train")
    assert (row["text"], row["labels"]) == ("ok \ufffd", ["joy \ufffd"])
    stored = check_row(next(iter_rows(write(tmp_path / "b.jsonl", json.dumps(record | {"text": "ok"})))))
    assert (stored["id"], stored["source"], stored["labels"]) == ("a\ufffd", "b\ufffd", ["joy \ufffd"])


# ---- one file


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "utf-32"])
def test_wide_encodings_with_and_without_a_mark(tmp_path, encoding):
    assert read(write(tmp_path / "a.csv", CSV.encode(encoding))) == ROWS
    lines = "".join(json.dumps({"text": text, "labels": labels}) + "\n" for text, labels in ROWS)
    assert read(write(tmp_path / "a.jsonl", lines.encode(encoding))) == ROWS


@pytest.mark.parametrize("encoding", ["hex", "undefined", "no such", "a\0b"])
def test_an_encoding_that_is_none_of_text(tmp_path, encoding):
    with pytest.raises(ValueError, match=r"encoding: .* is no encoding of text"):
        list(iter_rows(write(tmp_path / "a.csv", CSV), encoding=encoding))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (gzip.compress(CSV.encode()), "it is gzip; give it the suffix .gz"),
        (bz2.compress(CSV.encode()), "it is bzip2; give it the suffix .bz2"),
        (lzma.compress(CSV.encode()), "it is xz; give it the suffix .xz"),
        (b"\x28\xb5\x2f\xfd\x04\x00\x99\x88", "Zstandard"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12\n", "git lfs pull"),
    ],
    ids=["gzip", "bzip2", "xz", "zstandard", "lfs"],  # bytes hold the time: processes must call the tests alike
)
@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_another_format_under_a_wrong_name_is_named(tmp_path, name, content, words):
    path = write(tmp_path / name, content)
    with pytest.raises(ValueError) as error:
        read_texts(path)
    assert str(path) in str(error.value) and words in str(error.value)


def test_a_parquet_file_that_is_cut_off_or_none(tmp_path):
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.table({"text": ["a"]}), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match=r"b\.parquet: a Parquet file that is cut off or damaged \("):
        read_texts(write(tmp_path / "b.parquet", (tmp_path / "a.parquet").read_bytes()[:-50]))
    with pytest.raises(ValueError, match=r"c\.parquet: not a Parquet file \("):
        read_texts(write(tmp_path / "c.parquet", CSV))


def test_a_compressed_parquet_file(tmp_path):
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.table({"text": [text for text, _ in ROWS], "labels": [labels for _, labels in ROWS]})
    pyarrow.parquet.write_table(table, tmp_path / "a.parquet")
    content = (tmp_path / "a.parquet").read_bytes()
    assert read(write(tmp_path / "a.parquet.gz", gzip.compress(content))) == ROWS
    with pytest.raises(ValueError, match=r"b\.parquet\.gz: cut off or damaged"):
        read_texts(write(tmp_path / "b.parquet.gz", gzip.compress(content)[:-20]))


def test_a_header_with_characters_that_nobody_sees(tmp_path):
    assert read(write(tmp_path / "a.csv", "\u200bte\0xt\u200e,labels\u00a0\n" + "Oh no,fear\n" * 9)) == ROWS[1:] * 9


@pytest.mark.parametrize("first", ["Oh no", "Oh, no, no,fear", '"Oh no,fear'])
def test_a_damaged_first_row_costs_no_other(tmp_path, first):
    rows = list(iter_texts(write(tmp_path / "a.csv", f"text,labels\n{first}\nGreat,joy\n"), labels_column="labels"))
    assert "line 2" in rows[0].place and rows[0].error
    assert [(row.text, row.labels, row.error) for row in rows[1:]] == [("Great", ["joy"], None)]


# ---- JSON


def test_what_follows_a_json_list_is_told(tmp_path):
    path = write(tmp_path / "a.json", '[{"text": "one"}]\n[{"text": "two"}]\n')
    first, second = iter_texts(path)
    assert first.text == "one" and "the list ends before it" in second.error
    assert [row.text for row in iter_texts(write(tmp_path / "b.json", '[{"text": "one"}]\n \n'))] == ["one"]


def test_a_list_in_one_long_line_is_read_in_a_moment(tmp_path):
    records = [{"text": f"text {number}\n", "x": [1, {"y": "\u2028"}]} for number in range(60_000)]
    path = write(tmp_path / "a.json", json.dumps(records, ensure_ascii=False))
    start = time.process_time()
    rows = [row.values for row in iter_rows(path)]
    assert time.process_time() - start < 3.0  # half a second as it is; ten times that when each row moved the rest
    assert rows == records


@pytest.mark.parametrize(("value", "told"), [("9" * 5000, "Exceeds the limit"), ("[" * 100_000, "nested too deeply")])
def test_an_error_in_a_json_object_names_its_file(tmp_path, value, told):
    path = write(tmp_path / "a.json", f'{{"text": ["a"],\n"x": [{value}]}}')
    with pytest.raises(ValueError, match=rf"a\.json: not valid JSON \({told}"):
        list(iter_rows(path))


def test_an_error_in_a_json_list_names_its_line(tmp_path):
    good = "\n".join('{"text": "a"},' for _ in range(20_000))
    path = write(tmp_path / "a.json", f"[{good}\n{{'text': 1}}]")
    with pytest.raises(ValueError, match=r"a\.json, line 20001: not valid JSON \(Expecting property name"):
        list(iter_rows(path))
    path = write(tmp_path / "b.json", f'[{good}\n{{"text": "b"}} {{"text": "c"}}]')
    with pytest.raises(ValueError, match=r"b\.json, line 20001: not valid JSON \(a comma or the end"):
        list(iter_rows(path))
    path = write(tmp_path / "c.json", f'[{good}\n{{"text": "b", "x": {"9" * 5000}}}]')
    with pytest.raises(ValueError, match=r"c\.json, line 20001: not valid JSON \(Exceeds the limit"):
        list(iter_rows(path))
    path = write(tmp_path / "d.json", "[" + " " * 65_530 + "123456789]")  # cut where the file is read in pieces
    assert [(row.values, row.error[:13]) for row in iter_rows(path)] == [({}, "a JSON object")]


PANDAS = {
    "split": {"columns": ["text", "labels"], "index": [0, 1], "data": [list(row) for row in ROWS]},
    "index": {str(n): {"text": text, "labels": labels} for n, (text, labels) in enumerate(ROWS)},
    "columns": {"text": dict(enumerate(t for t, _ in ROWS)), "labels": dict(enumerate(x for _, x in ROWS))},
    "table": {
        "schema": {"fields": []},
        "data": [{"index": 0, "text": text, "labels": labels} for text, labels in ROWS],
    },
}


@pytest.mark.parametrize("table", PANDAS.values(), ids=PANDAS)
def test_every_form_of_json_that_pandas_writes(tmp_path, table):
    assert read(write(tmp_path / "a.json", json.dumps(table))) == ROWS


def test_what_python_has_no_value_for_costs_its_cell_alone(tmp_path):
    import pyarrow
    from pyarrow import parquet

    columns = {
        "text": pyarrow.array([text.encode() for text, _ in ROWS]),  # as writers of old noted strings
        "labels": pyarrow.array([labels for _, labels in ROWS]),
        "day": pyarrow.array([2**31 - 1] * 2, pyarrow.date32()),
        "took": pyarrow.array([2**62] * 2, pyarrow.duration("ms")),
        "at": pyarrow.array([1] * 2, pyarrow.timestamp("s", "Mars/Base")),
        "bytes": pyarrow.array([b"\xff"] * 2),
    }
    table = pyarrow.table(columns)
    parquet.write_table(table, tmp_path / "a.parquet")
    for source in (tmp_path / "a.parquet", table, table.to_batches()[0]):
        assert read(source) == ROWS
        assert [(row["text"], row["labels"]) for row in load_rows(source, "train")] == ROWS
        row = read_texts(source, keep="all")[0]
        assert row.extra["took"] == str(2**62) and "2147483647" in row.extra["day"] and json.dumps(row.extra)


def test_names_of_columns_as_spreadsheets_write_them_and_the_end_that_dos_puts(tmp_path):
    path = write(tmp_path / "a.csv", CSV.replace("text,labels", " Text,Labels ") + "\x1a")
    assert [(row["text"], row["labels"]) for row in load_rows(path, "train")] == ROWS
