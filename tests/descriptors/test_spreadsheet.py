"""CSV that opens in a spreadsheet as what it is: text and numbers."""

import csv

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emodistill.descriptors.spreadsheet import neutralise, writing_csv
from emodistill.descriptors.tables import is_empty_text, iter_rows


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("=cmd|' /C calc'!A0", "'=cmd|' /C calc'!A0"),
        ("+1 (555) 0100", "'+1 (555) 0100"),
        ("-2+3", "'-2+3"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("\t=1", "'\t=1"),
        ("\r=1", "'\r=1"),
        ("\n=1", "'\n=1"),
        (" =1", "' =1"),
        ("\u200b\ufeff=1", "'\u200b\ufeff=1"),
        (" -5", " -5"),
        ("＝1+1", "'＝1+1"),
        ("- not again", "'- not again"),
        ("-", "'-"),
        ("-0.25", "-0.25"),
        ("+3", "+3"),
        ("-1e-5", "-1e-5"),
        ("-0,5", "-0,5"),
        ("-.5", "-.5"),
        ("I = me", "I = me"),
        ("", ""),
        (-0.25, -0.25),
        (None, None),
    ],
)
def test_formulas(cell, expected):
    assert neutralise(cell) == expected


def test_a_file_for_excel(tmp_path):
    path = tmp_path / "a.csv"
    with writing_csv(path, ["text", "=1", "joy"]) as table:
        table.write(["été; =1", "=1+1", -0.25])
        table.write(["\ud83d", None, "-0.5"])
    assert table.changed == 2 and table.note.startswith("2 cells begin like a formula")
    content = path.read_bytes()
    assert content.startswith(b"\xef\xbb\xbftext,'=1,joy\r\n") and "été".encode() in content
    assert [list(row.values.values()) for row in iter_rows(path)] == [
        ["été; =1", "'=1+1", "-0.25"],
        ["\\ud83d", "", "-0.5"],
    ]
    with writing_csv(path, ["text"], formulas=True, mark=False, delimiter=";") as table:
        table.write(["=1"])
    assert path.read_bytes() == b"text\r\n=1\r\n" and table.note is None
    with pytest.raises(ZeroDivisionError), writing_csv(path, ["text"]):
        1 / 0  # noqa: B018
    assert path.read_bytes() == b"text\r\n=1\r\n"


@given(st.lists(st.tuples(*[st.text(st.characters(exclude_categories=["Cs"]))] * 2), max_size=5))
def test_no_cell_begins_a_formula_and_nothing_else_changes(tmp_path_factory, rows):
    path = tmp_path_factory.mktemp("csv") / "a.csv"
    with writing_csv(path, ["text", "note"]) as table:
        for row in rows:
            table.write(row)
    with open(path, encoding="utf-8-sig", newline="") as file:
        read = [tuple(row) for row in csv.reader(file)][1:]
    assert [tuple(cell.removeprefix("'") for cell in row) for row in read] == [
        tuple(cell.removeprefix("'") for cell in row) for row in rows
    ]
    assert not [cell for row in read for cell in row if cell[:1] in set("=@\t\r\n")]
    with writing_csv(path, ["text", "note"], formulas=True) as table:
        for row in rows:
            table.write(row)
    assert [tuple(row.values.values()) for row in iter_rows(path, delimiter=",")] == [
        row for row in rows if not all(map(str.isspace, filter(None, row)))
    ]
    assert is_empty_text("") and table.changed == 0
