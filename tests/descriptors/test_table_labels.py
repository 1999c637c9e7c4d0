"""Labels as tables hold them."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from table_files import write

from emodistill.descriptors.labels import read_labels
from emodistill.descriptors.tables import iter_texts, read_texts


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (["joy", " pride "], ["joy", "pride"]),
        (("joy",), ["joy"]),
        (np.array(["joy", "pride"]), ["joy", "pride"]),
        ("joy", ["joy"]),
        ("joy, pride", ["joy", "pride"]),
        ("joy,pride,", ["joy", "pride"]),
        ("joy; pride", ["joy", "pride"]),
        ("joy|pride", ["joy", "pride"]),
        ('["joy", "pride"]', ["joy", "pride"]),
        ("['joy', 'pride']", ["joy", "pride"]),
        ("['joy' 'pride']", ["joy", "pride"]),
        ("['joy'\n 'pride']", ["joy", "pride"]),
        ("('joy', 'pride')", ["joy", "pride"]),
        ("{'joy'}", ["joy"]),
        ("[joy, pride]", ["joy", "pride"]),
        ("['it\\'s fine', \"don't\"]", ["it's fine", "don't"]),
        ("['joy, of a kind', 'pride']", ["joy, of a kind", "pride"]),
        ("in the 2nd place", ["in the 2nd place"]),
    ],
)
def test_labels(value, expected):
    assert read_labels(value) == expected


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "no labels (null)"),
        (float("nan"), "no labels (null)"),
        ([], "no labels (an empty list)"),
        ("", "no labels"),
        ("[]", "no labels"),
        (" , ", "no labels"),
        (["joy", None], "null"),
        (["joy", float("nan")], "null"),
        (["joy", ["pride"]], "list"),
        ([True], "bool"),
        ({"joy": 0.9}, "dict"),
        (3, "a number"),
        ([0, 2], "a number"),
        ("3", "a number"),
        ("2,5", "a number"),
        ("[2, 5]", "a number"),
        ("['joy'", "cut off"),
        ("'pride']", "bracket"),
        ("['joy', pride]", "cannot be read"),
        ("{'joy': 0.9}", "cannot be read"),
        ("array(['joy'], dtype=object)", "notation"),
        ("[['joy']]", "cannot be read"),
        ("[None]", "cannot be read"),
    ],
)
def test_labels_that_are_none(value, words):
    with pytest.raises(ValueError) as error:
        read_labels(value)
    assert words in str(error.value)


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), min_size=1, max_size=5))
def test_lists_written_as_text_come_back(labels):
    try:
        expected = read_labels(labels)
    except ValueError:  # numbers, or nothing that shows
        return
    for written in (repr(labels), json.dumps(labels), json.dumps(labels, ensure_ascii=False)):
        assert read_labels(written) == expected


def test_a_row_without_labels_is_named(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"text": "a", "labels": ["joy"]}\n{"text": "b", "labels": []}\n')
    with pytest.raises(ValueError, match=r"a\.jsonl, line 2: column 'labels': there are no labels \(an empty list\)"):
        read_texts(path, labels_column="labels")
    path = write(tmp_path / "a.csv", "text,labels\na,joy\nb,\"['joy'\"\n")
    with pytest.raises(ValueError, match=r"a\.csv, line 3: column 'labels': .*cut off"):
        read_texts(path, labels_column="labels")


def test_numbers_of_classes_get_their_names(tmp_path):
    import datasets

    names = ["joy", "anger"]
    features = datasets.Features(
        text=datasets.Value("string"), one=datasets.ClassLabel(names=names), many=[datasets.ClassLabel(names=names)]
    )
    data = datasets.Dataset.from_dict({"text": ["a", "b"], "one": [1, -1], "many": [[0, 1], []]}, features=features)
    data.to_parquet(tmp_path / "a.parquet")
    for source in (data, tmp_path / "a.parquet"):
        rows = list(iter_texts(source, labels_column="one"))
        assert rows[0].labels == ["anger"] and "a number" in rows[1].error
        rows = list(iter_texts(source, labels_column="many"))
        assert rows[0].labels == ["joy", "anger"] and "empty list" in rows[1].error
