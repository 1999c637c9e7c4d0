"""Tables of texts as the world writes them."""

import contextlib
import csv
import io
import json
import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from table_files import rows_of, write

from emodistill.descriptors.formats import read_file
from emodistill.descriptors.tables import is_empty_text, iter_rows, iter_texts, read_texts

TEXTS = [
    "I am so glad",
    'she said "no, never" again',
    "deux\u2028lignes \u00e9t\u00e9",
    "tab? comma, semicolon; pipe|",
    "",
]


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


def test_files_put_one_after_the_other_keep_no_byte_order_marks(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(
        b'\xef\xbb\xbf\xef\xbb\xbftext,n\n"a, b",1\n\xef\xbb\xbf"c, d",2\n\xef\xbb\xbfe \xef\xbb\xbf f,3\n'
    )
    assert [text for _, text in rows_of(path)] == ["a, b", "c, d", "e \ufeff f"]


def test_a_zero_byte_costs_its_row_at_most(tmp_path):
    lines = b"fine,1\n" * 40
    (tmp_path / "a.csv").write_bytes(b"text,n\n" + lines + b"a\0b,2\n" + lines)
    texts = [row.text for row in iter_texts(tmp_path / "a.csv")]
    assert len(texts) == 81 and texts[40] == "a\0b" and set(texts) == {"fine", "a\0b"}
    line = b'{"text": "fine"}\n' * 40
    (tmp_path / "a.jsonl").write_bytes(line + b'{"text": "a\0b"}\n' + line)
    rows = list(iter_texts(tmp_path / "a.jsonl"))
    assert len(rows) == 81 and "line 41" in rows[40].place and "not valid JSON" in rows[40].error
    assert {row.error for row in rows[:40] + rows[41:]} == {None}


def test_a_carriage_return_within_a_field(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"text,n\r\na\rb,1\r\nfine,2\r\n")
    first, second = iter_texts(tmp_path / "a.csv")
    assert "a carriage return stands within a field" in first.error and second.text == "fine"


def test_parquet_with_two_columns_of_one_name_is_refused(tmp_path):
    import pyarrow
    import pyarrow.parquet

    columns = [pyarrow.array(["a"]), pyarrow.array(["b"])]
    pyarrow.parquet.write_table(pyarrow.Table.from_arrays(columns, names=["text", "text"]), tmp_path / "a.parquet")
    with pytest.raises(ValueError, match="same name"):
        read_texts(tmp_path / "a.parquet")


CELLS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1).filter(
    lambda text: not is_empty_text(text)
)


@given(st.lists(CELLS, min_size=1, max_size=5))
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


def test_a_tab_as_a_shell_hands_it_on(tmp_path):
    path = write(tmp_path / "a.csv", "text,so\tmore\nhello\t1\n")
    assert [r.text for r in read_texts(path, text_column="text,so", delimiter="\\t")] == ["hello"]


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


def test_a_pipe_without_a_suffix_is_read_as_standard_input_is(tmp_path):
    pipe = tmp_path / "63"  # as a shell's <(...) has it
    os.mkfifo(pipe)
    for content, text in (('{"text": "a"}\n', "a"), ("b\n", "b")):
        writer = threading.Thread(target=pipe.write_text, args=[content])
        writer.start()
        assert [row.text for row in read_texts(pipe)] == [text]
        writer.join()


def test_a_missing_file_is_not_taken_for_a_hub_id(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_texts(tmp_path / "nothing.csv")
    with pytest.raises(FileNotFoundError):
        read_texts("nothing.csv")


def test_a_hub_id_downloads_nothing_where_that_is_asked(monkeypatch):
    import socket

    monkeypatch.setattr(socket, "getaddrinfo", lambda *_: pytest.fail("something is asked"))
    with pytest.raises(ValueError, match=r"nobody/nothing.*nothing is downloaded here") as error:
        read_texts("nobody/nothing-of-the-kind", local_only=True)
    assert "\n" not in str(error.value)


def test_the_hub_is_asked_once(monkeypatch):
    """A name that stands for nothing costs no minute of retries, with a network or without."""
    import httpx
    import huggingface_hub
    from huggingface_hub.errors import RepositoryNotFoundError

    response = httpx.Response(404, request=httpx.Request("GET", "https://hub.invalid"))
    for fault, said in (
        (RepositoryNotFoundError("no", response=response), "the Hub has no data set of this name"),
        (httpx.ConnectError("no route"), "not in the local cache, and the Hub cannot be reached"),
    ):
        asked = []

        def answer(self, name, fault=fault, asked=asked, **_):
            asked.append(name)
            raise fault

        monkeypatch.setattr(huggingface_hub.HfApi, "dataset_info", answer)
        with pytest.raises(ValueError, match=said):
            read_texts("nobody/nothing-of-the-kind")
        assert asked == ["nobody/nothing-of-the-kind"]


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


# ---- what spreadsheets and other programs write


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("text;label\nwell, well;joy\nno;fear\n", [["well, well", "joy"], ["no", "fear"]]),
        ("sep=;\ntext;label\na, b, c;joy\n", [["a, b, c", "joy"]]),
        ('"sep=|"\r\ntext|label\r\na;b;c|joy\r\n', [["a;b;c", "joy"]]),
        ("sep=\t\ntext\tlabel\na,b\tjoy\n", [["a,b", "joy"]]),
        ("\ufeffsep=,\ntext,label\na;b;c;d,joy\n", [["a;b;c;d", "joy"]]),
        ("\ufefftext,label,,,\nfine,joy,,,\nno,fear,,,\n", [["fine", "joy"], ["no", "fear"]]),
        ("text,label,,\nfine,joy\nno,fear,,,,,\n,,,\n", [["fine", "joy"], ["no", "fear"]]),
        ("text\nI like it; that is, you\n", [["I like it; that is, you"]]) ,
        ('text\n"I like it; that is, you"\n', [["I like it; that is, you"]]),
        ("text,label\r\rno,fear\r", [["no", "fear"]]),
        ('text,label\n"two\nlines",joy\n', [["two\nlines", "joy"]]),
        ('text,label\n"two\r\nlines",joy\r\n', [["two\r\nlines", "joy"]]),
    ],
)  # fmt: skip
def test_spreadsheets(tmp_path, content, expected):
    path = write(tmp_path / "a.csv", content)
    if content.startswith("text\nI like"):  # one column, not quoted: a comma in it is a second field, and that is said
        assert [row.error for row in iter_rows(path)] == [None] or "fields" in next(iter_rows(path)).error
        return
    assert [list(row.values.values()) for row in iter_rows(path)] == expected


def test_an_unnamed_column_with_values_gets_a_number(tmp_path):
    """As pandas writes its index."""
    path = write(tmp_path / "a.csv", ",text\n0,one\n1,two\n")
    assert [row.values for row in iter_rows(path)] == [
        {"column 1": "0", "text": "one"},
        {"column 1": "1", "text": "two"},
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "json", "txt"])
def test_byte_order_marks(tmp_path, kind, encoding):
    texts = ["été", "日本", "😀 \u2028 !"]
    content = {
        "csv": "text\n" + "\n".join(texts),
        "tsv": "text\tn\n" + "".join(f"{text}\t1\n" for text in texts),
        "jsonl": "\n".join(json.dumps({"text": text}) for text in texts),
        "json": json.dumps([{"text": text} for text in texts], ensure_ascii=False),
        "txt": "\n".join(texts),
    }[kind]
    path = write(tmp_path / f"a.{kind}", content, encoding)
    assert [row.text for row in read_texts(path)] == texts
    if encoding == "utf-8-sig":
        assert [row.text for row in read_texts(path, encoding="utf-8")] == texts


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz"])
def test_compressed_files_and_cut_off_ones(tmp_path, suffix):
    from emodistill.descriptors.text_files import COMPRESSED

    path = tmp_path / f"a.jsonl{suffix}"
    with COMPRESSED[suffix](path, "wt") as file:
        file.write('{{"text": "a", "x": "{}"}}\n'.format("".join(map(str, range(9999)))))
        file.write('{"text": "b"}\n')
    assert [(row.id, row.text) for row in read_texts(path)] == [("a-1", "a"), ("a-2", "b")]
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ValueError, match="cut off or damaged"):
        read_texts(path)


@pytest.mark.parametrize("name", ["a [1].csv", "a*.csv", "with blank.csv", "[ ]/x?.csv", "{a}.csv", "$HOME~.csv"])
def test_odd_names(tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    write(path, "text\nhi\n")
    write(tmp_path / "a 2.csv", "text\nno\n")
    assert [row.text for row in read_texts(path)] == ["hi"]
    assert [row.text for row in read_texts(str(path))] == ["hi"]
    if path.parent != tmp_path:
        assert [row.text for row in read_texts(path.parent)] == ["hi"]


def test_a_pattern_names_several_files(tmp_path):
    for number in (2, 1):
        write(tmp_path / f"part-{number}.csv", f"text\nfrom {number}\n")
    rows = read_texts(str(tmp_path / "part-*.csv"))
    assert [row.text for row in rows] == ["from 1", "from 2"] and rows[1].place.endswith("part-2.csv, line 2")
    with pytest.raises(FileNotFoundError):
        read_texts(str(tmp_path / "none-*.csv"))


# ---- TSV: quotation marks are part of the text


def test_a_quotation_mark_begins_a_tsv_field(tmp_path):
    path = write(tmp_path / "a.tsv", 'text\tlabels\n"Oh no\tfear\nfine\tjoy\n"He" said\tneutral\nno "\tanger\n')
    assert [(row.text, row.labels) for row in read_texts(path, labels_column="labels")] == [
        ('"Oh no', ["fear"]),
        ("fine", ["joy"]),
        ('"He" said', ["neutral"]),
        ('no "', ["anger"]),
    ]
    quoted = write(tmp_path / "b.tsv", 'text\tlabels\n"a\tb"\tjoy\n')
    assert "--quotes" in next(iter_rows(quoted)).error
    assert [row.text for row in read_texts(quoted, quotes=True)] == ["a\tb"]


# ---- streams and objects


class Stdin:
    def __init__(self, content):
        self.buffer = io.BytesIO(content)


@pytest.mark.parametrize(
    ("content", "options", "expected"),
    [
        (b"one, two\n\nthree\n", {}, ["one, two", "three"]),
        (b'{"text": "a"}\n{"text": "b"}\n', {}, ["a", "b"]),
        (b"text,n\na,1\n", {"kind": "csv"}, ["a"]),
        (b"caf\xe9\n", {"encoding": "latin-1"}, ["caf\u00e9"]),
    ],
)
def test_standard_input(monkeypatch, content, options, expected):
    monkeypatch.setattr("sys.stdin", Stdin(content))
    rows = read_texts("-", **options)
    assert [row.text for row in rows] == expected and rows[0].id == "stdin-1"
    assert rows[0].place.startswith("standard input, line")


def test_rows_are_read_as_they_are_needed(tmp_path):
    """A million rows are not held: of an endless pipe the first come back."""
    read, write_end = os.pipe()
    thread = threading.Thread(target=endless, args=(write_end,))
    thread.start()
    with open(read, "rb") as file:
        rows = read_file(file, "csv")
        assert [next(rows).values["text"] for _ in range(3000)] == ["fine"] * 3000
    thread.join(10)
    assert not thread.is_alive()


def endless(descriptor):
    with contextlib.suppress(BrokenPipeError), open(descriptor, "wb") as file:
        file.write(b"text,n\n")
        while True:
            file.write(b"fine,1\n" * 1000)


def test_frames_and_series_with_missing_values():
    import pandas
    import pyarrow

    for series in (
        pandas.Series(["a", None, float("nan")]),
        pandas.Series(["a", pandas.NA, pandas.NA], dtype="string"),
    ):
        assert [row.text for row in read_texts(series)] == ["a", "", ""]
        assert [bool(row.error) for row in iter_texts(pandas.DataFrame({"text": series}))] == [False, True, True]
    assert [row.text for row in read_texts(pyarrow.table({"text": ["a", None]}))] == ["a", ""]
    with pytest.raises(ValueError, match="same name"):
        read_texts(pandas.DataFrame([["a", "b"]], columns=["text", "text"]))
    with pytest.raises(ValueError, match="int is no table"):
        read_texts(7)
    assert [(row.text, row.error) for row in iter_texts(["a", 3])] == [
        ("a", None),
        ("", "it is int, where a text or a mapping is expected"),
    ]


def test_columns_are_found_and_guessed_at_in_the_message(tmp_path):
    path = write(tmp_path / "a.csv", "Text,Label\nhi,joy\n")
    assert read_texts(path)[0].text == "hi"
    with pytest.raises(ValueError, match=r"no column 'label' \(did you mean 'Label'\?\); the columns are Text, Label"):
        read_texts(path, labels_column="label")
    assert read_texts(path, keep="all")[0].extra == {"Label": "joy"}


@given(
    st.lists(
        st.tuples(
            *[st.text(st.characters(exclude_categories=["Cs", "Cc"])).filter(lambda text: not is_empty_text(text))] * 2
        ),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from([",", ";", "\t", "|"]),
    st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
    st.booleans(),
)
def test_what_is_written_is_read(tmp_path_factory, rows, delimiter, encoding, sep):
    """Whatever the texts hold: the delimiter is found or said, and no cell changes."""
    path = tmp_path_factory.mktemp("written") / "a.csv"
    with open(path, "w", newline="", encoding=encoding) as file:
        if sep:
            file.write(f"sep={delimiter}\r\n")
        csv.writer(file, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([["text", "note"], *rows])
    assert [tuple(row.values.values()) for row in iter_rows(path)] == rows
    path = path.with_suffix(".jsonl")
    write(path, "".join(json.dumps({"text": text, "note": note}) + "\n" for text, note in rows), encoding)
    assert [tuple(row.values.values()) for row in iter_rows(path)] == rows
