import pytest
from hypothesis import given
from hypothesis import strategies as st

from emodistill.labels_emodistill import LabelSet, absent_feeling


@pytest.mark.parametrize(
    "label, feeling",
    [
        ("not angry", "angry"),
        ("Not Angry", "Angry"),
        ("not_angry", "angry"),
        ("no anger", "anger"),
        ("no-anger", "anger"),
        ("non-anger", "anger"),
        ("without any fear", "fear"),
        ("lack of joy", "joy"),
        ("absence of hope", "hope"),
        ("free of guilt", "guilt"),
        ("stress-free", "stress"),
        ("anger free", "anger"),
        ("not a bad mood", "bad mood"),
        ("not neutral", "neutral"),
        ("angry", None),
        ("notable", None),
        ("nonchalance", None),
        ("nothing", None),
        ("no emotion", None),
        ("none", None),
        ("No_Emotions", None),
        ("no longer sad", None),
        ("no problem", None),
        ("not only sad", None),
        ("carefree", None),
        ("care-free", None),
        ("free", None),
        ("feeling free", None),
        ("not not angry", None),
        ("joy", None),
    ],
)
def test_negations(label, feeling):
    assert absent_feeling(label) == feeling


def test_a_trailing_comma_is_no_label():
    assert LabelSet.parse("joy, fear,").names == ("joy", "fear")
    assert LabelSet.parse("joy, fear, \n").names == ("joy", "fear")
    with pytest.raises(ValueError, match="holds an empty label"):
        LabelSet.parse("joy,,fear")
    with pytest.raises(ValueError, match="holds an empty label"):
        LabelSet.parse("joy,,")


@pytest.mark.parametrize(
    "pair", [("Anger", "anger"), ("no_hope", "No Hope"), ("\ufb01ne", "fine"), ("Stra\u00dfe", "STRASSE")]
)
def test_labels_that_differ_in_writing_alone_are_refused(pair):
    with pytest.raises(ValueError, match="which are the same label"):
        LabelSet.parse(pair)
    with pytest.raises(ValueError, match="which are the same label"):
        LabelSet.parse(dict.fromkeys(pair, "a description"))


def test_a_lone_surrogate_in_a_label_is_replaced():
    assert LabelSet.parse(["joy \ud83d", "\ud83d\ude00"]).names == ("joy \ufffd", "\U0001f600")


def test_absent_feelings_are_scored_as_the_rest():
    label_set = LabelSet.parse(["angry", "not angry", "no_fear", "joy"])
    feelings, places = label_set.complemented()
    assert feelings.names == ("angry", "joy", "fear") and places == [0, 0, 2, 1]
    feelings, places = LabelSet.parse("joy, not neutral", template="full of {}").complemented()
    assert feelings.wordings == (("full of joy",), ("full of neutral",)) and places == [0, 1]
    described = LabelSet.parse({"not angry": "calm", "joy": ["delight", "no sorrow"]})
    assert not described.absent and described.complemented()[0] is described
    assert described.misread(True) == ["no sorrow"]
    assert label_set.misread(True) == [] and label_set.misread(False) == ["not angry", "no_fear"]


@given(st.lists(st.text(max_size=12), max_size=6))
def test_any_list_of_strings_parses_or_is_told_in_one_sentence(labels):
    try:
        label_set = LabelSet.parse(labels)
    except ValueError as error:
        assert str(error).startswith("labels ") and "\n" not in str(error)
        return
    assert len(label_set.names) == len(labels) == len(label_set.wordings)
    feelings, places = label_set.complemented()
    assert len(places) == len(labels) and max(places) < len(feelings.names)


@pytest.mark.parametrize(
    ("labels", "names"),
    [
        ('["joy", "fear, or worry"]', ("joy", "fear, or worry")),
        ("['joy', 'fear']", ("joy", "fear")),
        (r"""["it's", 'caf\xe9 "noir"', "so\/so", "\u00e9\ud83d\ude00"]""", ("it's", 'café "noir"', "so/so", "é😀")),
        ('["joy\nful", "fear"]', ("joy\nful", "fear")),
        (r"['50\50', 'a\xzz', 'a\N{x}', 'a\U00110000']", (r"50\50", r"a\xzz", r"a\N{x}", r"a\U00110000")),
        ("[joy], fear", ("[joy]", "fear")),
        ("[]", ("[]",)),
        ("[1, 2]", ("[1", "2]")),
    ],
)
def test_a_list_written_as_text_is_a_list(labels, names):
    assert LabelSet.parse(labels).names == names


@pytest.mark.parametrize("unseen", ["\u200b", "\u00ad", "\ufeff", "\u2060"])
def test_labels_that_differ_in_what_nobody_sees_are_the_same(unseen):
    with pytest.raises(ValueError, match="the same label"):
        LabelSet.parse(["joy", f"jo{unseen}y"])
    family = ("\U0001f468\u200d\U0001f469", "\U0001f468\U0001f469")  # a joiner makes one emoji of two
    assert LabelSet.parse(family).names == family
