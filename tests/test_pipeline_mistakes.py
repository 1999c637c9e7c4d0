"""Calls that the pipeline refuses: one sentence that names the argument or the text."""

import re

import datasets
import pytest
from transformers import pipeline

from emodistill.pipeline_emodistill import LabelSet

LABELS = ["joy", "anger", "relief", "fear"]
TEXTS = ["my dog is lost", "we laughed all day, so happy", "i"]
ERRORS = {
    "labels is missing": {},
    "labels is empty": {"labels": []},
    "labels is empty: give at least one": {"labels": ""},
    "labels holds 'joy' more than once": {"labels": ["joy", "anger", " joy"]},
    "labels holds 'Anger' and 'anger', which are the same label": {"labels": ["Anger", "anger"]},
    "labels holds 'no hope' and 'No_Hope', which are": {"labels": ["no hope", "No_Hope"], "multi_label": True},
    "labels holds one label, 'joy', which would score 1.0 for any text: give multi_label=True": {"labels": ["joy"]},
    "labels is empty: give at": {"labels": ","},
    "labels holds an empty l": {"labels": ["joy", "\u200b\ufeff"]},
    "multi_label must be True or False, not 'yes'": {"labels": LABELS, "multi_label": "yes"},
    "labels_per_text must be a number above 0, not 0": {"labels": LABELS, "labels_per_text": 0},
    "labels_per_text must be a number above 0, not nan": {"labels": LABELS, "labels_per_text": float("nan")},
    "labels_per_text is for multi_label=True, and goes": {"labels": LABELS, "labels_per_text": 2},
    "without it: give multi_label=True too": {"labels": LABELS, "labels_per_text": 2, "multi_label": False},
    "max_windows must be a positive integer or None, not 0": {"labels": LABELS, "max_windows": 0},
    'errors must be "raise" or "null", not \'ignore\'': {"labels": LABELS, "errors": "ignore"},
    "labels holds an empty label": {"labels": "joy,,anger"},
    "labels holds an empty": {"labels": ["joy", "  "]},
    "labels must hold strings, not 3": {"labels": ["joy", 3]},
    "labels must be a list, a comma-separated string or a dict": {"labels": 7},
    "labels must be one set for all texts": {"labels": [["joy"], ["anger"]]},
    r"labels\['joy'\] must be a description or a list": {"labels": {"joy": []}},
    r"labels\['joy'\] holds an empty label": {"labels": {"joy": ["delight", " "]}},
    "labels or its alias candidate_labels, not both": {"labels": LABELS, "candidate_labels": LABELS},
    "label_template or its alias": {"labels": LABELS, "label_template": "{}", "hypothesis_template": "{}"},
    "label_template must hold {}": {"labels": LABELS, "label_template": "feeling"},
    "label_template must hold {} where": {"labels": LABELS, "label_template": 5},
    "threshold names 'love', which is not among the labels": {"labels": LABELS, "threshold": {"love": 0.5}},
    "threshold must lie between 0 and 1, not 1.5": {"labels": LABELS, "threshold": 1.5},
    "threshold must lie between 0 and 1, not nan": {"labels": LABELS, "threshold": float("nan")},
    "threshold must lie between 0 and 1, not True": {"labels": LABELS, "threshold": True},
    "threshold must be": {"labels": LABELS, "threshold": "high"},
    "threshold must lie between 0 and 1, not 'x'": {"labels": LABELS, "threshold": {"joy": "x"}},
    "top_k must be a positive integer": {"labels": LABELS, "top_k": 0},
    "batch_size must be a positive integer": {"labels": LABELS, "batch_size": 0},
    "dimensions names 'warmth', which is not built in": {"dimensions": "warmth"},
    r"dimensions\['warmth'\] must be a pair": {"dimensions": {"warmth": ["love"]}},
    r"dimensions\['warmth'\] has the same labels at both ends": {"dimensions": {"warmth": ("joy", ["joy"])}},
    r"dimensions\['warmth'\] holds an empty": {"dimensions": {"warmth": ("love", [""])}},
    "dimensions must be": {"dimensions": 3},
    "unknown argument treshold": {"labels": LABELS, "treshold": 0.5},
}


@pytest.mark.parametrize("message", ERRORS)
def test_bad_arguments_are_named(classify, message):
    pattern = message if "\\" in message else re.escape(message)
    with pytest.raises(ValueError, match=pattern) as error:
        classify(["joy"], **ERRORS[message])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("text", [None, 3, b"joy", ["joy", None], [3], [["joy"]], {"texts": "joy"}, {"joy"}])
def test_texts_must_be_strings(classify, text):
    with pytest.raises(ValueError, match=r"inputs must be strings, but text \d is"):
        classify(text, labels=LABELS)


def test_a_bad_text_is_told_by_its_number(classify):
    with pytest.raises(ValueError, match="text 5 is int"):
        classify(["joy"] * 5 + [7], labels=LABELS, batch_size=2)
    results = classify((text for text in ["joy", "fear", 7]), labels=LABELS)
    next(results), next(results)
    with pytest.raises(ValueError, match="text 2 is int"):
        next(results)


def test_a_whole_table_is_refused_with_a_hint(classify):
    with pytest.raises(ValueError, match="name the column of texts"):
        classify(datasets.Dataset.from_dict({"text": TEXTS}), labels=LABELS)


def test_bad_arguments_are_told_at_construction(checkpoint):
    for options in ({"labels": []}, {"labels": LABELS, "top_k": -1}, {"labels": LABELS, "label_template": "x"}):
        with pytest.raises(ValueError, match=r"labels is empty|top_k must be|label_template must"):
            pipeline("zero-shot-emotion", model=str(checkpoint), device="cpu", **options)


def test_a_generator_call_tells_bad_arguments_at_once(classify):
    with pytest.raises(ValueError, match="threshold names"):
        classify((text for text in TEXTS), labels=LABELS, threshold={"love": 0.5})


def test_label_sets_are_parsed_alone():
    assert LabelSet.parse(" joy , deep relief") == LabelSet(("joy", "deep relief"), (("joy",), ("deep relief",)))
