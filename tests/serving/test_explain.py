"""Explanations: parts, sums, interactions, known telling words, and how they are shown."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transformers import pipeline

import emodistill
from emodistill import cli
from emodistill.serving.explain import LEVELS, Explanation, Part, _without, parts_of

LABELS = ["joy", "anger", "sadness", "fear", "relief"]


def spans(text, level):
    return [text[start:end] for name, start, end in parts_of(text) if name == level]


@pytest.fixture(scope="module")
def trained():
    return pipeline(emodistill.TASK, model=emodistill.DEFAULT_CHECKPOINT, device="cpu", labels=LABELS)


def test_words_keep_apostrophes_and_emoji_and_leave_commas():
    text = "I don't know, it's well-made :) but 😂😂 ... why?! See https://a.b/c,d"
    assert spans(text, "word") == [
        "I", "don't", "know", "it's", "well-made", ":)", "but", "😂😂", "why", "?!", "See", "https://a.b/c,d",
    ]  # fmt: skip


def test_sentences_and_phrases():
    text = "I lost my keys. Then I found them, thank god! What a day (really)\nand so on"
    assert spans(text, "sentence") == [
        "I lost my keys.", "Then I found them, thank god!", "What a day (really)", "and so on",
    ]  # fmt: skip
    assert spans(text, "phrase")[1:4] == ["Then I found them,", "thank god!", "What a day"]


def test_levels_that_repeat_another_are_left_out():
    assert {level for level, _, _ in parts_of("We laughed.")} == {"word"}
    assert {level for level, _, _ in parts_of("We laughed. I cried.")} == {"word", "sentence"}
    assert {level for level, _, _ in parts_of("We laughed, I cried.", ["phrase"])} == {"phrase"}


@given(st.lists(st.sampled_from([*"ab ,.!?\n😂'-:()", " and ", "I am"]), max_size=40).map("".join))
def test_parts_lie_within_the_text_in_order_and_do_not_overlap(text):
    for level in LEVELS:
        found = [(start, end) for name, start, end in parts_of(text) if name == level]
        assert all(0 <= start < end <= len(text) for start, end in found)
        assert all(text[start:end].strip() == text[start:end] for start, end in found)
        assert all(first[1] <= second[0] for first, second in itertools.pairwise(found))
        for start, end in found:
            assert len(_without(text, start, end)) <= len(text) - (end - start)


def test_a_part_left_out_leaves_one_space():
    assert _without("so happy to", 3, 8) == "so to"
    assert _without("happy!", 0, 5) == "!"
    assert _without("happy", 0, 5) == ""


@pytest.mark.parametrize("multi_label", [False, True])
@pytest.mark.parametrize(
    ("text", "label", "word"),
    [
        ("We were so happy to see the old dog on the train.", "joy", "happy"),
        ("I am terrified of the exam that is on Tuesday morning.", "fear", "terrified"),
        ("She was furious about the letter from the bank.", "anger", "furious"),
        ("The house has been full of grief since the end of the week.", "sadness", "grief"),
    ],
)
def test_known_telling_words_come_first(trained, text, label, word, multi_label):
    """Of what tells for a label; whose feeling it is may tell as much against it: "She" is not the writer."""
    why = trained.explain(text, label, multi_label=multi_label)
    strongest = max(why.telling(), key=lambda part: part.contribution)
    assert strongest.text == word and strongest.contribution > 1.0
    assert f"*{word}*" in str(why)


def test_figures_are_scores_that_the_pipeline_gives(trained):
    text = "The train was late and I hate it. My dog is kind."
    why = trained.explain(text, "anger", multi_label=True, levels=("word", "sentence"))
    words = why.level("word")
    texts = [text, "The train was late and I it. My dog is kind.", "My dog is kind."]
    scores = [dict(zip(row["labels"], row["scores"], strict=True)) for row in trained(texts, multi_label=True)]
    assert why.score == pytest.approx(scores[0]["anger"], abs=1e-5)
    assert next(word for word in words if word.text == "hate").without == pytest.approx(scores[1]["anger"], abs=1e-4)
    assert why.level("sentence")[0].without == pytest.approx(scores[2]["anger"], abs=1e-4)


def test_a_dimension_is_explained_in_its_points(trained):
    why = trained.explain("We were so happy to see the old dog.", dimension="valence")
    assert why.kind == "dimension" and 1 <= why.score <= 9
    strongest = why.telling()[0]
    assert strongest.text == "happy"
    assert strongest.contribution == pytest.approx(why.score - strongest.without)
    own = trained.explain("what a happy day", dimension="mood", dimensions={"mood": ("joy", "sadness")}, labels=None)
    assert own.telling()[0].text == "happy"


@pytest.mark.parametrize("how_read", [{"normalise": True}, {"normalise": False}, {"max_windows": 1}])
def test_a_text_is_explained_as_it_is_read(classify, how_read):
    text = "sooooo &amp; happy. " + "my dog " * 40 + "so sad " * 40
    result = classify(text, labels=["joy", "anger"], **how_read)
    why = classify.explain(text, labels=["joy", "anger"], levels="sentence", **how_read)
    assert why.score == pytest.approx(result["scores"][0], abs=1e-5)


def test_sums_and_interactions(classify):
    why = classify.explain("my dog cried, the cat laughed. we won", "joy", labels=["joy", "anger"], multi_label=True)
    assert why.total() + why.interaction() == pytest.approx(why.whole)
    for part in (*why.level("phrase"), *why.level("sentence")):
        within = sum(word.contribution for word in why.level("word") if part.start <= word.start < part.end)
        assert why.interaction(part) == pytest.approx(part.contribution - within)
    assert json.loads(json.dumps(why.to_dict()))["parts"][0]["text"] == "my"


def test_the_best_label_is_explained_by_default_and_one_word_is_weighed_against_the_baseline(classify):
    [result] = classify(["joy"], labels=["joy", "anger"])
    why = classify.explain("joy", labels=["joy", "anger"])
    assert why.target == result["labels"][0]
    assert why.parts[0].without == why.baseline and why.interaction() == pytest.approx(0.0)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"text": " ", "label": "joy", "labels": ["joy"]}, "not blank"),
        ({"text": "\u200b", "label": "joy", "labels": ["joy"]}, "not blank"),
        ({"text": ["my dog"], "label": "joy", "labels": ["joy"]}, "one text at a time"),
        ({"text": "my dog", "label": "pride", "labels": ["joy", "fear"]}, "'pride' is not among 'fear', 'joy'"),
        ({"text": "my dog", "label": "joy"}, "labels"),
        ({"text": "my dog", "label": "joy", "dimension": "valence", "labels": ["joy"]}, "not both"),
        ({"text": "my dog", "dimension": "warmth"}, "warmth"),
        ({"text": "my dog", "labels": ["joy"], "levels": ["letter"]}, "levels must be some of word"),
    ],
)
def test_mistakes_are_told_in_a_sentence(classify, arguments, words):
    with pytest.raises(ValueError, match=words):
        classify.explain(**arguments)


def made_up(text="so <b>happy & sad", **changes):
    parts = (Part("word", "so", 0, 2, 0.5, 0.01), Part("word", "happy", 6, 11, 0.3, 1.5),
             Part("word", "sad", 14, 17, 0.9, -0.9))  # fmt: skip
    return Explanation(**{"text": text, "target": "joy", "kind": "label", "score": 0.7, "baseline": 0.2,
                          "parts": parts, **changes})  # fmt: skip


def test_marks_in_text_terminal_and_notebook():
    why = made_up()
    assert why.marked().splitlines()[0] == "so <b>*happy* & ~sad~"
    assert "\x1b[" in why.marked(colour=True) and "*" not in why.marked(colour=True).splitlines()[0]
    page = why._repr_html_()
    assert "&lt;b&gt;" in page and "<b>happy" not in page and "&amp;" in page
    assert page.count("<span") == 5 and "without it joy is 0.30" in page


def test_without_a_baseline_nothing_is_said_of_the_whole():
    why = made_up(baseline=None)
    assert why.whole is None and why.interaction() is None
    assert "interactions" not in str(why) and "Whole text" not in why._repr_html_()


def test_predict_explains(checkpoint, capsys):
    common = ["predict", "--model", str(checkpoint), "--device", "cpu", "--labels", "joy,anger", "--explain"]
    assert cli.main([*common, "my dog is sad", ""]) == 0
    output = capsys.readouterr().out
    assert "log-odds" in output and "\x1b[" not in output
    assert cli.main([*common, "--json", "my dog is sad", ""]) == 0
    first, blank = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert first["explanations"][0]["target"] == first["predicted"][0] and blank["explanations"] == []
    assert cli.main([*common[:5], "--dimensions", "valence", "--explain", "my dog"]) == 0
    assert "points" in capsys.readouterr().out
