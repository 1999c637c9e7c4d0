import collections
import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emodistill.calls_emodistill import EmotionCalls
from emodistill.inputs_emodistill import (
    FEWEST_AT_ONCE,
    is_blank,
    one_ahead,
    read_ahead,
    read_inputs,
    sequence_of,
    without_surrogates,
)
from emodistill.language_emodistill import foreign_language


@pytest.mark.parametrize(
    "text", ["", " ", "\u200b", "\u200d\ufe0f", "\ufeff \u2060", "\u3164", "\u2800", "\x00", "\u00ad", "\ufffd"]
)
def test_what_shows_nothing_is_blank(text):
    assert is_blank(text)


@pytest.mark.parametrize("text", [".", "a\u200b", "0", "\U0001f600", "\u00e9", "é", "\u4f60"])
def test_what_shows_something_is_not(text):
    assert not is_blank(text)


@given(st.text(alphabet=st.characters(), max_size=20) | st.text(alphabet="\ud83d\ude00\udce9a", max_size=8))
def test_every_text_can_be_written_afterwards(text):
    clean = without_surrogates(text)
    clean.encode("utf-8")
    assert clean == text or any(0xD800 <= ord(character) < 0xE000 for character in text)


MISSING = [None, float("nan"), math.nan]


@pytest.mark.parametrize("value", MISSING)
def test_missing_values_are_called_missing(value):
    assert read_inputs(["a", value]).problems == {1: f"inputs must be strings, but text 1 is missing ({value})"}


def test_missing_values_of_pandas_too():
    import pandas

    column = pandas.Series(["a", None, "b"], dtype="string")
    assert "text 1 is missing" in read_inputs(sequence_of(column)).problems[1]
    frame = pandas.DataFrame({"text": ["a", float("nan")]})
    assert "text 1 is missing (nan)" in read_inputs(sequence_of(frame["text"])).problems[1]
    assert read_inputs([pandas.NaT, pandas.NA]).problems.keys() == {0, 1}


def test_rows_bring_labels_of_their_own():
    read = read_inputs([{"text": "a", "labels": "joy, fear"}, "b", {"text": "c"}, {"text": None, "labels": []}])
    assert read.texts == ["a", "b", "c", ""] and read.label_sets == {0: "joy, fear"} and set(read.problems) == {3}
    told = read_inputs([{"text": "a", "label": 3}], first=7).problems[0]
    assert told.startswith("inputs must be strings, but text 7 is dict with the keys text, label")


def test_whatever_holds_texts_in_order_is_a_list():
    import numpy
    import pandas

    texts = ["a", "b"]
    for given_ in (
        tuple(texts), collections.deque(texts), dict.fromkeys(texts), {1: "a", 2: "b"}.values(), numpy.array(texts),
        pandas.Series(texts), pandas.Index(texts),
    ):  # fmt: skip
        expected = given_ if isinstance(given_, dict) else texts
        assert sequence_of(given_) == expected
    assert sequence_of(dict.fromkeys(texts).keys()) == texts
    table = pandas.DataFrame({"text": texts})
    assert sequence_of(table) is table and sequence_of("a") == "a" and sequence_of({"a", "b"}) == {"a", "b"}


def test_what_a_stream_gave_before_it_failed_is_kept():
    def failing():
        yield from range(5)
        raise KeyError("the disk went away")

    got = []
    with pytest.raises(KeyError, match="the disk went away"):
        for run in read_ahead(failing(), 2):
            got.extend(run)
    assert got == [0, 1, 2, 3, 4]


@given(st.integers(0, 1500), st.integers(1, 7), st.integers(1, 100), st.booleans())
def test_runs_are_the_stream(number, batch_size, batches, at_once):
    runs = list(read_ahead(iter(range(number)), batch_size, batches, at_once))
    assert [value for run in runs for value in run] == list(range(number))
    most = batch_size * batches
    assert all(0 < len(run) <= (max(most, FEWEST_AT_ONCE) if at_once else most) for run in runs)
    if number and not at_once:
        assert len(runs[0]) <= batch_size
    if at_once:  # as few as can be
        assert len(runs) == -(-number // max(most, FEWEST_AT_ONCE))


@given(st.integers(0, 6), st.booleans())
def test_one_ahead_gives_all_and_then_what_was_raised(number, fails):
    def values():
        yield from range(number)
        if fails:
            raise KeyError("the disk went away")

    got = []
    with pytest.raises(KeyError) if fails else contextlib.nullcontext():
        for value in one_ahead(values()):
            got.append(value)
    assert got == list(range(number))


FOREIGN = {
    "Spanish": "Estoy muy triste hoy", "French": "Je suis très triste", "German": "Ich bin so traurig",
    "Italian": "Sono molto triste oggi", "Portuguese": "Estou muito triste", "Dutch": "Ik ben heel erg verdrietig",
    "Polish": "Jestem bardzo smutny", "Turkish": "Bugün çok mutsuzum", "Swedish": "Jag är så ledsen",
    "Cyrillic script": "Мне очень грустно", "Chinese script": "我很难过", "Japanese script": "とてもかなしいです",
    "Arabic script": "أنا حزين جدا", "Hangul script": "오늘 너무 슬퍼요", "Devanagari script": "मैं बहुत दुखी हूँ",
    "Greek script": "Είμαι πολύ λυπημένος", "Hebrew script": "אני מאוד עצוב",
}  # fmt: skip
ENGLISH = [
    "I am so sad", "my dog is lost", "lol", "", "😂😂😂", "The die is cast, he has a hat", "no way", "text 3", "anger",
    "Ça ne va pas du tout: I miss her every day — and I'd give anything to hear her voice.", "RIP Juan de la Cruz",
    "que sera sera is my favorite song", "ಠ_ಠ", "¯\\_(ツ)_/¯ whatever", "He said 'je ne sais pas' and left",
    "Los Angeles here I come", "Des Moines, Las Vegas, El Paso", "what is 数学", "Carpe diem", "ok was in LA", "42",
    "A la carte menu, al dente pasta", "got no job no money no hope", "u r so cute", "OMG yaaas queen",
]  # fmt: skip


@pytest.mark.parametrize("language", FOREIGN)
def test_clearly_foreign_texts(language):
    assert foreign_language(FOREIGN[language]) == language


@pytest.mark.parametrize("text", ENGLISH)
def test_english_and_what_may_be_is_left_alone(text):
    assert foreign_language(text) is None


@pytest.mark.parametrize("period", range(2, 7))
def test_rows_that_are_translations_at_regular_places_are_told_of(period):
    for rows in (2, 300, 500, 900, 2000):  # of many rows only some are looked at
        with pytest.warns(UserWarning, match="a text looks like German"):
            EmotionCalls()._tell_language([*["I am so sad"] * (period - 1), FOREIGN["German"]] * rows)
