"""Calls with arguments and texts of kinds that somebody passes sooner or later."""

import collections
import enum
import gzip
import io
import json
import sys

import numpy
import pandas
import pyarrow
import pytest
from transformers import pipeline

import emodistill
from emodistill.labels_emodistill import LabelSet, absent_feeling, neutral_place
from emodistill.predict import main as predict

TEXTS = ["my dog", "rage", "happy day", "sad cat", "rain", "i laughed", "she cried", "late"]
LABELS = ["joy", "fear"] * 4


# ---- labels


@pytest.mark.parametrize(
    "labels",
    [
        numpy.array("joy,fear"), pyarrow.array(["joy", "fear"]), pyarrow.chunked_array([["joy"], ["fear"]]),
        pandas.Series(["joy", "fear"], index=[7, 8]), pandas.Categorical(["joy", "fear"]), "joy; fear", "joy|fear",
        "joy\nfear\n", "['joy' 'fear']", '["joy" "fear"]', iter(["joy", "fear"]), {"joy": 1, "fear": 2}.keys(),
        list(enum.StrEnum("Label", ["joy", "fear"])),
    ],
)  # fmt: skip
def test_whatever_holds_labels(labels):
    assert LabelSet.parse(labels).names == ("joy", "fear")


def test_a_set_of_labels_has_one_order():
    assert LabelSet.parse({"joy", "fear", "awe"}).names == ("awe", "fear", "joy")


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (pandas.DataFrame({"label": ["joy", "fear"]}), "labels is DataFrame; name its column"),
        (pyarrow.table({"label": ["joy"]}), "labels is Table; name its column"),
        (numpy.array([["joy", "fear"]]), "one set for all texts"),
        (pandas.Series(["joy", None]), "must hold strings"),
        (pyarrow.array([1, 2]), "must hold strings, not 1"),
        (b"joy,fear", "must be a list"),
        ([""], "holds an empty label"),
        ([None], "must hold strings, not None"),
        ([1, 2], "must hold strings, not 1"),
        ({"joy": []}, r"labels\['joy'\] must be a description"),
    ],
)
def test_what_holds_no_labels(labels, words):
    with pytest.raises(ValueError, match=words):
        LabelSet.parse(labels)


@pytest.mark.parametrize(
    "pair",
    [
        ("joy", "joy\u200f"), ("joy", "jo\u200dy"), ("joy", "j\u034foy"), ("joy", "\uff4a\uff4f\uff59"),
        ("caf\u00e9", "cafe\u0301"), ("\u2764", "\u2764\ufe0f"), ("joy", "\u202ejoy\u202c"),
    ],
)  # fmt: skip
def test_labels_that_look_alike_are_the_same(pair):
    with pytest.raises(ValueError, match="which are the same label"):
        LabelSet.parse(pair)


def test_full_width_letters_are_read_as_letters():
    label_set = LabelSet.parse(["\uff4a\uff4f\uff59", "fear"])
    assert (label_set.names, label_set.wordings) == (("\uff4a\uff4f\uff59", "fear"), (("joy",), ("fear",)))
    assert neutral_place(["joy", "\uff2eeutral"]) == neutral_place(["joy", "no\u200b emotion"]) == 1


@pytest.mark.parametrize(
    ("label", "feeling"),
    [
        ("never happy", "happy"), ("isn't sad", "sad"), ("isn\u2019t sad", "sad"), ("is not sad", "sad"),
        ("un-happy", "happy"), ("not at all angry", "angry"), ("does not feel guilty", "guilty"),
        ("doesn't feel guilty", "guilty"), ("zero anger", "anger"), ("devoid of hope", "hope"), ("!joy", "joy"),
        ("not\u200b angry", "angry"), ("\uff4eot angry", "angry"), ("no feeling of joy", "feeling of joy"),
        ("never not happy", None), ("never mind", None), ("never-ending love", None), ("can't wait", None),
        ("don't care", None), ("unhappy", None), ("uncertain", None), ("is happy", None), ("never", None),
    ],
)  # fmt: skip
def test_ways_to_say_that_a_feeling_is_absent(label, feeling):
    assert absent_feeling(label) == feeling


# ---- texts


@pytest.mark.parametrize(
    ("texts", "words"),
    [
        (set(TEXTS), "is set; it has no order, so give a list"),
        (frozenset(TEXTS), "is frozenset"),
        (pandas.DataFrame({"text": TEXTS}), "is DataFrame; name the column"),
        (pyarrow.table({"text": TEXTS}), "is Table; name the column"),
        ({"a": "my dog"}, "is dict with the keys a"),
        (b"my dog", "is bytes"),
    ],
)
def test_what_holds_no_texts_is_refused_whatever_becomes_of_single_ones(classify, texts, words):
    for call in (classify, lambda given: classify(given, errors="null"), classify.encode_texts):
        with pytest.raises(ValueError, match=words):
            call(texts)


def test_what_is_embedded_is_what_is_scored(classify):
    expected = classify.encode_texts(TEXTS[:2])
    holders = (
        tuple(TEXTS[:2]), iter(TEXTS[:2]), numpy.array(TEXTS[:2]), collections.deque(TEXTS[:2]),
        pandas.Series(TEXTS[:2]), [{"text": text} for text in TEXTS[:2]],
    )  # fmt: skip
    for holder in holders:
        assert (classify.encode_texts(holder) == expected).all()
    assert classify.encode_texts({"text": "my dog"}).shape == classify.encode_texts("my dog").shape == (1, 24)
    for nothing in (None, 5, float("nan")):
        with pytest.raises(ValueError, match="text 0 is"):
            classify.encode_texts(nothing)


@pytest.mark.parametrize("size", [0, -1, "8", True, 1.5, float("nan"), [2]])
def test_a_batch_of_no_number(classify, size):
    for call in (classify, classify.encode_texts):
        for texts in (TEXTS, TEXTS[0], []) if call is classify else (TEXTS,):
            with pytest.raises(ValueError, match="batch_size must be a positive integer"):
                call(texts, batch_size=size)
    with pytest.raises(ValueError, match="batch_size must be a positive integer"):
        pipeline("zero-shot-emotion", classify.model, tokenizer=classify.tokenizer, batch_size=size)


def test_a_batch_size_of_numpy(classify):
    results = [classify(TEXTS, labels="joy,fear", batch_size=size) for size in (numpy.int64(2), 2)]
    assert results[0] == results[1]


# ---- adaptation


@pytest.mark.parametrize(
    "labels",
    [iter(LABELS), numpy.array(LABELS), pandas.Series(LABELS, index=range(9, 17)), pyarrow.array(LABELS),
     [(label,) for label in LABELS], [{label} for label in LABELS]],
)  # fmt: skip
def test_whatever_holds_the_labels_of_texts(classify, labels):
    own = emodistill.adapt(classify, iter([{"text": text} for text in TEXTS]), labels)
    assert own.names == ("fear", "joy") and own.kind == "single_label"


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"labels": [None, *LABELS[1:]]}, "labels of text 0 must be a label or a list of labels, not None; give"),
        ({"labels": [*LABELS[1:], float("nan")]}, "labels of text 7 .* not nan; give"),
        ({"labels": [0, 1] * 4}, "labels of text 0 .* not 0"),
        ({"labels": [True, False] * 4}, "not True"),
        ({"labels": [[["joy"]]] * 8}, r"labels of text 0 must hold strings, not \['joy'\]"),
        ({"labels": numpy.eye(8)}, "must hold strings"),
        ({"labels": [{"joy": 1}] * 8}, "labels of text 0 must be a label"),
        ({"labels": ["joy, fear"] * 8}, "hold 'joy, fear': give a list"),
        ({"labels": "joyfearx"}, "labels must be a list with an entry for each text"),
        ({"labels": pandas.DataFrame({"label": LABELS})}, "labels is DataFrame; name its column"),
        ({"texts": "my texts"}, "texts must be a list with an entry for each text"),
        ({"texts": pandas.DataFrame({"text": TEXTS})}, "texts is DataFrame; name its column"),
        ({"texts": [None, *TEXTS[1:]]}, "text 0 is missing"),
        ({"texts": TEXTS[:2], "labels": LABELS[:2]}, "not 2: label some more"),
        ({"multi_label": "yes"}, "multi_label must be True, False or None"),
        ({"batch_size": 0}, "batch_size must be"),
        ({"labels": [{}] * 8, "dimensions": True}, "labels hold no dimension"),
        ({"labels": [{"valence": 5}] * 8, "dimensions": True}, "same position on 'valence'"),
    ],
)
def test_labels_that_cannot_be_learnt_from(classify, change, words):
    with pytest.raises(ValueError, match=words):
        emodistill.adapt(classify, **({"texts": TEXTS, "labels": LABELS} | change))


def test_positions_of_numpy_and_a_model_that_is_none(classify):
    positions = [{"valence": kind(number)} for number in range(4) for kind in (numpy.float32, numpy.int64)]
    assert emodistill.adapt(classify, TEXTS, positions, dimensions=True).names == ("valence",)
    with pytest.raises(ValueError, match=r"classify must be what emodistill.load gives, not 'small'"):
        emodistill.adapt("small", TEXTS, LABELS)
    for wrong in (0, {}, 1.5):  # a number would be read as an open file
        with pytest.raises(ValueError, match=r"adaptation must be what emodistill.adapt gives, or its file"):
            classify("my dog", adaptation=wrong)


# ---- models


def test_folders_that_hold_no_model(checkpoint, tmp_path):
    (tmp_path / "other").mkdir()
    with pytest.raises(FileNotFoundError, match=r"the folder .*other holds no model, for it has no config\.json"):
        emodistill.load(tmp_path / "other")
    (tmp_path / "other" / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(ValueError, match=r"holds no emodistill model: model_type in its config.json is 'bert'"):
        emodistill.load(tmp_path / "other")
    for name in checkpoint.iterdir():
        if not name.name.startswith("model"):
            (tmp_path / "other" / name.name).write_bytes(name.read_bytes())
    with pytest.raises(ValueError, match=r"^Error no file named model.safetensors[^\n]*$"):
        emodistill.load(tmp_path / "other")
    with pytest.raises(ValueError, match="a model is named by small, base"):
        emodistill.load(5)


# ---- standard input of predict


def piped(monkeypatch, content, checkpoint, capsys):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content), encoding="utf-8"))
    predict(["-", "--labels", "joy,fear", "--model", str(checkpoint), "--json"])
    out, err = capsys.readouterr()
    return [json.loads(line)["sequence"] for line in out.splitlines()], err


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-8-sig", "utf-32"])
def test_lines_as_other_shells_pipe_them(monkeypatch, checkpoint, capsys, encoding):
    content = "my dog\r\n\r\nwe laughed\r\n".encode(encoding)
    assert piped(monkeypatch, content, checkpoint, capsys)[0] == ["my dog", "", "we laughed"]


def test_what_is_piped_and_is_no_text(monkeypatch, checkpoint, capsys):
    with pytest.raises(ValueError, match="standard input: it is gzip; save it to a file with the suffix"):
        piped(monkeypatch, gzip.compress(b"my dog\n"), checkpoint, capsys)
    texts, told = piped(monkeypatch, b'{"text": "my dog"}\n', checkpoint, capsys)
    assert texts == ['{"text": "my dog"}'] and "emodistill score reads tables" in told
    assert piped(monkeypatch, b"", checkpoint, capsys)[0] == []
