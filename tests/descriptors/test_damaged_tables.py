"""Damaged rows cost no other, and damaged files are told."""

import json

import numpy as np
import pytest
from table_files import texts_of, write

from emodistill.descriptors.tables import iter_rows, iter_texts, read_texts


def test_damaged_rows_are_handed_on_with_the_reason(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(
        b'text,n\nfine,1\ncaf\xe9,2\n"left open,3\nnext,4\ntoo,many,5\nfew\n"a "b" c",6\n,7\n  ,8\nlast,9\n'
    )
    rows = list(iter_texts(path))
    assert [(int(row.place.split()[-1]), row.text, (row.error or "")[:24]) for row in rows] == [
        (2, "fine", ""),
        (3, "caf\ufffd", "not utf-8 text; save it "),
        (4, '"left open', "a quotation mark is left"),
        (5, "next", ""),
        (6, "too", "3 fields where 2 are exp"),
        (7, "few", "1 fields where 2 are exp"),
        (8, '"a "b" c"', "a quotation mark is left"),
        (9, "", "the text is blank"),
        (10, "", "the text is blank"),
        (11, "last", ""),
    ]
    path.write_bytes(b'text,n\n"left open,3\nnext,4\nlast,9\n')
    rows = list(iter_texts(path))
    assert [row.text for row in rows] == ['"left open', "next", "last"]
    assert "a quotation mark is left open" in rows[0].error and rows[1].error is rows[2].error is None


def test_a_quotation_mark_left_open_in_a_large_file(tmp_path, monkeypatch):
    from emodistill.descriptors import delimited

    monkeypatch.setattr(delimited, "LONGEST_ROW", 1000)
    path = write(tmp_path / "a.csv", 'text,n\n"left open,3\n' + "next,4\n" * 500)
    rows = list(iter_texts(path))
    assert len(rows) == 501 and "is left open" in rows[0].error and {row.error for row in rows[1:]} == {None}


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("{", "not valid JSON"),
        ("[1]", "a JSON object is expected"),
        ('{"text": null}', "there is no text (null)"),
        ('{"text": NaN}', "there is no text (null)"),
        ('{"text": 7}', "'text' is int, not text"),
        ('{"text": ["a"]}', "'text' is list, not text"),
        ('{"text": {"a": 1}}', "'text' is dict, not text"),
        ('{"body": "a"}', "no 'text'; it has body"),
        ("{}", "no 'text'; it has nothing"),
        ('{"text": " \\u200b\\u00a0"}', "the text is blank"),
        ("[" * 100_000, "nested too deeply"),
        ("null", "a JSON object is expected"),
    ],
)
def test_damaged_lines_of_json(tmp_path, line, error):
    path = write(tmp_path / "a.jsonl", '{"text": "a"}\n' + line + '\n"b"\n')
    first, damaged, last = iter_texts(path)
    assert (first.text, last.text, first.error, last.error) == ("a", "b", None, None)
    assert error in damaged.error and damaged.place == f"{path}, line 2"
    if "blank" not in error and "null" not in error:
        with pytest.raises(ValueError, match=r"a\.jsonl, line 2: ") as caught:
            read_texts(path)
        assert "\n" not in str(caught.value) and len(str(caught.value)) < 500


def test_the_first_row_may_be_the_damaged_one(tmp_path):
    path = write(tmp_path / "a.jsonl", '{\n{"text": "a", "day": 1}\n')
    assert [(row.text, bool(row.error), row.extra) for row in iter_texts(path, keep=["day"])] == [
        ("", True, {"day": None}),
        ("a", False, {"day": 1}),
    ]


def test_bytes_in_parquet(tmp_path):
    import pyarrow
    import pyarrow.parquet

    offsets = pyarrow.py_buffer(np.array([0, 1, 3, 4], np.int32))
    damaged = pyarrow.Array.from_buffers(pyarrow.string(), 3, [None, offsets, pyarrow.py_buffer(b"a\xe9bc")])
    pyarrow.parquet.write_table(pyarrow.table({"text": damaged}), tmp_path / "a.parquet")
    pyarrow.parquet.write_table(pyarrow.table({"raw": [b"x", b"y", b"\xff"]}), tmp_path / "b.parquet")
    assert [(text, bool(error)) for text, error in texts_of(tmp_path / "a.parquet")] == [
        ("a", False),
        ("\ufffdb", True),
        ("c", False),
    ]
    assert [(text, bool(error)) for text, error in texts_of(tmp_path / "b.parquet", text_column="raw")] == [
        ("x", False),
        ("y", False),
        ("\ufffd", True),
    ]


@pytest.mark.parametrize("cut", [0.3, 0.8, 0.98])
def test_a_damaged_parquet_file(tmp_path, cut):
    import pyarrow
    import pyarrow.parquet

    path = tmp_path / "a.parquet"
    pyarrow.parquet.write_table(pyarrow.table({"text": [str(n) * 50 for n in range(3000)]}), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * cut)])
    with pytest.raises(ValueError, match=r"a\.parquet"):
        read_texts(path)
    middle = int(len(content) * cut / 2)
    path.write_bytes(content[:middle] + bytes(200) + content[middle + 200 :])
    with pytest.raises(ValueError, match=r"a\.parquet"):
        read_texts(path)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.csv", b"", "empty"),
        ("a.csv", b"\xef\xbb\xbf", "empty"),
        ("a.jsonl", b"", "empty"),
        ("a.json", b"", "empty"),
        ("a.txt", b"", "empty"),
        ("a.parquet", b"", "Parquet"),
        ("a.csv", b"PK\x03\x04\x14\x00", "Excel workbook"),
        ("a.csv", b"\x1f\x8b\x08", "gzip"),
        ("a.csv", "\u0442\u0435\u043a\u0441\u0442\n\u0434\u0430\n".encode("utf-16-le"), "utf-16-le"),
        ("a.csv", b"caf\xe9\nhi\n", "line 1: not utf-8 text"),
        ("a.csv", b'"text\nhi\n', "line 1: a quotation mark is left open"),
        ("a.json", b"{", "line 1: not valid JSON"),
        ("a.json", b'[{"text": "a"},\n{"text"]', "line 2: not valid JSON"),
        ("a.json", b'[{"text": "a"}\n{"text": "b"}]', "comma"),
        ("a.json", b'[{"text": "a"}', "comma or the end"),
        ("a.json", b"7", "list of objects"),
        ("a.json", b'{"rows": 3, "x": [1]}', "list of objects"),
        ("a.xlsx", b"PK", "unknown kind"),
        ("a.gz", b"PK", "unknown kind"),
    ],
)
def test_files_that_cannot_be_read_at_all(tmp_path, name, content, words):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ValueError) as error:
        read_texts(path)
    assert words in str(error.value) and name in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize(
    "content",
    [
        '[{"text": "a", "n": 1}, {"text": "b", "n": 2}]',
        '[\n  {\n    "text": "a",\n    "n": 1\n  },\n  {\n    "text": "b",\n    "n": 2\n  }\n]\n',
        '{"text": "a", "n": 1}\n{"text": "b", "n": 2}\n',
        '{"data": [{"text": "a", "n": 1}, {"text": "b", "n": 2}]}',
        '{"text": {"0": "a", "1": "b"}, "n": {"0": 1, "1": 2}}',
        '{"text": ["a", "b"],\n "n": [1, 2]}',
    ],
)
def test_ways_to_write_json(tmp_path, content):
    path = write(tmp_path / "a.json", content)
    assert [row.values for row in iter_rows(path)] == [{"text": "a", "n": 1}, {"text": "b", "n": 2}]


def test_a_long_list_in_one_line_of_json(tmp_path):
    records = [{"text": "x" * (number * 37 % 5000), "n": -number} for number in range(300)] + [{"text": "y" * 200_000}]
    path = write(tmp_path / "a.json", json.dumps(records))
    assert [row.values for row in iter_rows(path)] == records
    assert [row.values for row in iter_rows(write(tmp_path / "b.json", "[]"))] == []
