"""Answers of models that do not keep to the format: what is clear is read, what is not is turned down."""

import json

import pytest

from emodistill.annotate import load_prompt
from emodistill.annotate.annotation_tasks import DescriptorTask, task_for
from emodistill.annotate.found_json import find_json
from emodistill.annotate.normalise import normalise_labels

RICH = DescriptorTask(load_prompt("rich"))
PAIR = ["joy", "relief"]
SCORED = [{"label": "joy", "score": 0.9}, {"label": "relief", "score": 0.4}, {"label": "fear", "score": 0.0}]

CLEAR = {
    "comments": '{\n  // the labels\n  "labels": ["joy", /* main */ "relief"]  # two\n}',
    "an address beside": '{"labels": ["joy", "relief",], "see": "http://a.b/c"}',
    "bare words": "{labels: [joy, relief]}",
    "bare words, Python's constants": "{'labels': ['joy', 'relief'], 'sure': True, 'note': None,}",
    "JSON's constants and a comma": '{"labels": ["joy", "relief",], "sure": true,}',
    "another list first": '{reasons: ["so glad", "at last", "thanks"], labels: ["joy", "relief"]}',
    "no number": '{"labels": ["joy", "relief"], "score": NaN}',
    "a name twice": '{"labels": ["fear"], "labels": ["joy", "relief"]}',
    "JSON in JSON in JSON": json.dumps(json.dumps(json.dumps({"labels": PAIR}))),
    "JSON in a field": json.dumps({"answer": json.dumps({"labels": PAIR})}),
    "a list in a string": json.dumps({"labels": json.dumps(PAIR)}),
    "the inside of a string": '{\\"labels\\": [\\"joy\\", \\"relief\\"]}',
    "entities": "{&quot;labels&quot;: [&quot;joy&quot;, &quot;relief&quot;]}",
    "no braces": '"labels": ["joy", "relief"]',
    "one brace too many": '{"labels": ["joy", "relief"]}}',
    "twice as many braces": '{{"labels": ["joy", "relief"]}}',
    "quotation marks of a word processor": "{\u201clabels\u201d: [\u201cjoy\u201d, \u201crelief\u201d]}",
    "spaces that nobody sees": '\u200b{\u00a0"labels":\u00a0["joy", "relief"]}',
    "a fence of another name": "```json5\n{labels: ['joy', 'relief'],}\n```",
    "several fences": '```json\n{"labels": ["fear"]}\n```\nNo:\n```JSON\n{"labels": ["joy", "relief"]}\n```\nBye',
    "tildes": '~~~json\r\n{"labels": ["joy", "relief"]}\r\n~~~',
    "JSON lines": '{"label": "joy"}\n{"label": "relief"}',
    "objects": '[{"label": "joy"}, {"label": "relief"}]',
    "objects with scores": json.dumps({"labels": SCORED}),
    "objects with reasons": '{"labels": [{"emotion": "joy", "why": "he says so"}, {"emotion": "relief", "why": "x"}]}',
    "pairs with scores": '{"labels": [["joy", 0.9], ["relief", 0.4], ["fear", 0]]}',
    "verdicts": '{"labels": {"joy": true, "fear": false, "relief": true}}',
    "numbered fields": '{"labels": {"label1": "joy", "label2": "relief"}}',
    "a list in a list": '{"labels": [["joy", "relief"]]}',
    "wrapped": '{"status": "ok", "result": {"labels": ["joy", "relief"]}}',
    "a call": '{"name": "answer", "arguments": {"labels": ["joy", "relief"]}}',
    "a call in tags": '<tool_call>\n{"name": "f", "parameters": {"labels": ["joy", "relief"]}}\n</tool_call>',
    "another name": '{"reasoning": "glad", "emotionLabels": ["joy", "relief"]}',
    "another name, spelt out": '{"Emotional Descriptors": ["joy", "relief"]}',
    "a name that says nothing": '{"whatever": ["joy", "relief"]}',
    "nothing under the right name": '{"labels": null, "emotions": ["joy", "relief"]}',
    "one each": '{"primary_emotion": "joy", "secondary_emotion": "relief"}',
    "commas in a string": '{"labels": ["joy, relief"]}',
    "lines in a string": '{"labels": "- joy\\n- relief"}',
    "marked up": '{"labels": ["**joy**", "2. #relief \U0001f60c"]}',
    "empty entries": '{"labels": ["joy", null, "", "relief"]}',
    "XML": '<?xml version="1.0"?>\n<labels>\n<label>joy</label>\n<label>relief</label>\n</labels>',
    "an element": "<reason>glad to be done</reason><answer>joy, relief</answer>",
    "a page": "<ul><li>joy</li><li>relief</li></ul>",
    "YAML": "---\nlabels:\n  - joy\n  - relief\n...",
    "YAML in a line": "labels: [joy, relief]",
    "TOML": 'labels = ["joy", "relief"]',
    "a tuple": "('joy', 'relief')",
    "slash": "joy/relief",
    "other separators": "joy \u00b7 relief",
    "an arrow": "joy \u2192 relief",
    "a comma of another script": "joy\u3001relief",
    "a tab": "joy\trelief",
    "hashtags": "#joy #relief",
    "emoji": "\U0001f60a joy, \U0001f60c\ufe0f relief",
    "other quotation marks": "\u00abjoy\u00bb, \u00abrelief\u00bb",
    "bullets of all kinds": "\u2023 joy\n\u25e6 relief",
    "numbers of all kinds": "(1) joy\n2: relief",
    "numbers in a line": "1. joy 2. relief",
    "letters": "a) joy\nb) relief",
    "bold": "1. **joy**\n2. **relief**",
    "bold introduction": "**Labels:** joy, relief",
    "heading": "## Emotion labels\n- joy\n- relief",
    "bare heading": "label\njoy\nrelief",
    "introduced in words": "The text expresses the following emotions: joy, relief.",
    "introduced without a colon": "The emotions are joy, relief.",
    "courtesy": "Sure!\njoy, relief",
    "courtesy in a line": "Sure! joy, relief",
    "thoughts, then an answer": "Thought: he is glad.\nFinal answer: joy, relief",
    "the text again": "Text: I am glad\nLabels: joy, relief",
    "one a line": "Primary emotion: joy\nSecondary emotion: relief",
    "a remark below": "- joy\n- relief\n\nLet me know if you need anything else",
    "boxed": "So it is $\\boxed{\\text{joy}, \\text{relief}}$.",
    "terminal colours": "\x1b[1mjoy\x1b[0m, relief",
    "thoughts after it": "joy, relief<think>was I right?</think>",
    "thoughts with an attribute": '<think time="3">hm</think>joy, relief',
    "thoughts in other words": "<rationale>glad, sad</rationale>\njoy, relief",
    "channels": "<|channel|>final <|constrain|>text<|message|>joy, relief<|return|>",
    "channels whose marks are gone": "analysisHe is glad.assistantfinaljoy, relief",
    "thoughts of another family": "<|START_THINKING|>a<|END_THINKING|><|START_RESPONSE|>joy, relief<|END_RESPONSE|>",
    "marks of turns": "<|im_start|>assistant\njoy, relief<|im_end|>",
    "marks of other turns": "[/INST] joy, relief<end_of_turn></s>",
    "wide marks": "<\uff5cAssistant\uff5c>joy, relief<\uff5cend\u2581of\u2581sentence\uff5c>",
    "a role": "assistant\n\njoy, relief",
}


@pytest.mark.parametrize("content", CLEAR.values(), ids=CLEAR)
def test_what_is_clear_is_read_at_once(content):
    for structured in (True, False):
        (outcome,) = RICH.parse(content, ["I am glad"], structured)
        assert outcome.status == "ok", outcome.reason
        assert normalise_labels(outcome.value) == PAIR


UNCLEAR = {
    "a comma forgotten": '{"labels": ["joy" "relief"]}',
    "cut off": '{"labels": ["joy", "rel',
    "cut off after another list": '{"reasons": ["so glad", "thanks"], "labels": ["joy", "rel',
    "scores": '{"labels": {"joy": 0.9, "fear": 0.1}}',
    "scores in words": "joy: 0.9, fear: 0.1",
    "percentages": "joy 90%, fear 10%",
    "boxes": "- [x] joy\n- [ ] fear",
    "crossed out": "~~fear~~, joy",
    "a cross": "\u274c fear, joy",
    "verdicts in words": "- joy: clearly\n- fear: not expressed at all",
    "two answers": '[{"labels": ["joy"]}, {"labels": ["fear"]}]',
    "a sentence": "The text expresses joy and relief",
    "nothing": "None",
    "not applicable": '{"labels": ["N/A"]}',
    "yes": "Yes.",
    "emoji alone": "\U0001f60a, \U0001f60c",
    "an unknown element": "<summary>glad at last</summary> joy",
    "a tag of Python": "{labels: !!python/object/apply:os.system ['true']}",
    "an alias": "{a: &x [joy, relief], labels: [*x, *x]}",
    "no labels but dates": "{labels: 2026-01-01}",
    "thoughts without an end": '<think>He is glad. {"labels": ["joy"',
}


@pytest.mark.parametrize("content", UNCLEAR.values(), ids=UNCLEAR)
def test_what_leaves_room_for_two_readings_is_asked_again(content):
    (outcome,) = RICH.parse(content, ["I am glad"], True)
    assert outcome.status == "invalid" and outcome.reason, outcome.value


@pytest.mark.parametrize(
    "content",
    ["I can't help.", '{"labels": ["I\'m sorry, I can\'t assist with that"]}', '{"error": "I cannot help with this"}'],
)
def test_refusals_of_every_form_are_not_paid_for_again(content):
    assert RICH.parse(content, ["x"], True)[0].status == "refused"
    assert RICH.parse("I can't stand it", ["x"], True)[0].status != "refused"


@pytest.mark.parametrize(
    "content",
    [
        '{"answers": {"2": ["fear"], "1": ["joy"]}}',
        '{"1": ["joy"], "2": ["fear"]}',
        '{"results": [{"id": 1, "labels": ["joy"]}, {"id": 2, "labels": "fear"}]}',
        '[{"number": "#2", "labels": ["fear"]}, {"number": "Text 1", "labels": ["joy"]}]',
        '{"answers": [{"number": 0, "labels": ["joy"]}, {"number": 1, "labels": ["fear"]}]}',
        "{answers: [{number: 1, labels: [joy]}, {number: 2, labels: [fear],}]} // done",
        "**1:** joy\n**2:** fear",
        "Here you are:\n(1) joy\n(2) fear",
        "Text 1: joy\nText 2: fear",
    ],
)
def test_answers_to_several_texts_however_they_are_numbered(content):
    assert [one.value for one in RICH.parse(content, ["x", "y"], True)] == [["joy"], ["fear"]]


def test_ratings_in_any_wrapping():
    task = task_for(load_prompt("rated"))
    numbers = '"valence": 7, "arousal": 5.5, "dominance": 5'
    for content in (
        f'{{"result": {{"labels": "joy, relief", {numbers}}}}}',
        "{labels: [joy, relief], valence: 7, arousal: 5.5, dominance: 5,}",
    ):
        (outcome,) = task.parse(content, ["x"], True)
        assert outcome.value == {"labels": PAIR, "valence": 7.0, "arousal": 5.5, "dominance": 5.0}, outcome.reason


@pytest.mark.parametrize(
    "text", ["{" * 20_000 + "a: b", "[a, " * 5_000, "```\n" * 20_000, "<think>" * 20_000, "#" * 50_000, "((" * 20_000]
)
def test_no_length_of_nonsense_takes_long(text):
    assert find_json(text) is None
    assert RICH.parse(text, ["x"], True)[0].status == "invalid"
