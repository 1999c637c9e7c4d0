import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emodistill.annotate import VariantMap, list_prompts, load_prompt, normalise, normalise_labels
from emodistill.annotate.annotation_tasks import DescriptorTask, LexiconTask
from emodistill.annotate.replies import is_refusal, read_descriptors_json, read_descriptors_text, read_ratings

RICH = load_prompt("rich")
CLOSED = load_prompt("closed")
WORD = st.text("abcdefghijklmnopqrstuvwxyzéß-'", min_size=1, max_size=10).filter(lambda w: normalise(w) == w)
# Words that introduce an answer, join its last item or say that there is none are no descriptors.
FRAME = re.compile(
    "and|are|is|labels?|emotions?|descriptors?|answers?|output|assistant|model|none|no|yes|sure|certainly|absolutely|"
    "understood|okay|unknown|undefined|nothing|nil|na|the|this|here|it|i"
)
WORD = WORD.filter(lambda word: not FRAME.fullmatch(word))
TERM = st.lists(WORD, min_size=1, max_size=3).map(" ".join).filter(lambda t: normalise(t) == t and t.count("-") < 2)


def labels_of(outcomes):
    return [(one.status, one.value) for one in outcomes]


@given(st.lists(st.lists(TERM, min_size=1, max_size=6), min_size=1, max_size=5))
def test_both_formats_carry_any_list_of_descriptors(lists):
    for structured in (True, False):
        if structured:
            answers = [{"number": n, "labels": labels} for n, labels in enumerate(lists, 1)]
            content = json.dumps({"answers": answers} if len(lists) > 1 else {"labels": lists[0]})
            outcomes = read_descriptors_json(content, len(lists), RICH)
        else:
            lines = [", ".join(labels) for labels in lists]
            numbered = "\n".join(f"{n}: {line}" for n, line in enumerate(lines, 1))
            outcomes = read_descriptors_text(numbered if len(lists) > 1 else lines[0], len(lists), RICH)
        assert labels_of(outcomes) == [("ok", labels) for labels in lists]


@given(st.text(max_size=200), st.integers(1, 4), st.booleans())
def test_no_reply_whatever_breaks_the_reader(content, count, structured):
    outcomes = DescriptorTask(RICH).parse(content, ["x"] * count, structured)
    assert len(outcomes) == count
    for one in outcomes:
        assert one.status in ("ok", "invalid", "refused")
        assert (one.value is None) == (one.status != "ok") and (one.reason is None) == (one.status == "ok")


@given(st.recursive(st.none() | st.booleans() | st.floats() | st.text(), lambda x: st.lists(x) | st.dictionaries(
    st.sampled_from(["answers", "labels", "number", "valence", "implies"]) | st.text(), x)))  # fmt: skip
def test_no_json_whatever_breaks_the_reader(value):
    for task in (DescriptorTask(RICH), DescriptorTask(CLOSED), LexiconTask(load_prompt("lexicon"))):
        for count in (1, 2):
            assert len(task.parse(json.dumps(value), ["x"] * count, True)) == count


@pytest.mark.parametrize(
    ("content", "status", "value"),
    [
        ('{"labels": ["Joy", "quiet relief"]}', "ok", ["Joy", "quiet relief"]),
        ('```json\n{"labels": ["joy"]}\n```', "ok", ["joy"]),
        ('["joy", "pride"]', "ok", ["joy", "pride"]),
        ('<think>Hmm, {sad}?</think>\n{"labels": ["sadness"]}', "ok", ["sadness"]),
        ("joy, quiet relief.", "ok", ["joy", "quiet relief"]),
        ("- joy\n- quiet relief\n", "ok", ["joy", "quiet relief"]),
        ("1. joy\n2. quiet relief", "ok", ["joy", "quiet relief"]),
        ("sorry, ashamed", "ok", ["sorry", "ashamed"]),
        ("tristesse profonde, 悲しみ", "ok", ["tristesse profonde", "悲しみ"]),
        ('{"labels": []}', "invalid", None),
        ('{"labels": ["joy", 3]}', "invalid", None),
        ('{"labels": ["joy"', "invalid", None),
        ('{"emotions": ["joy"]}', "ok", ["joy"]),
        ('{"Labels": ["joy"], "confidence": 0.9}', "ok", ["joy"]),
        ('{"answer": {"labels": ["joy"]}}', "ok", ["joy"]),
        ('{"labels": "joy; quiet relief"}', "ok", ["joy", "quiet relief"]),
        ('{"labels": [{"label": "joy"}, {"label": "pride"}]}', "ok", ["joy", "pride"]),
        ('{"reasoning": "glad"}', "invalid", None),
        ('{"labels": {"joy": 0.9}}', "invalid", None),
        ("{'labels': ['joy', \"writer's block\"]}", "ok", ["joy", "writer's block"]),
        ("Sure: {'labels': ['joy'],} there", "ok", ["joy"]),
        ('{"labels": ["joy", "pride",],}', "ok", ["joy", "pride"]),
        ("{\u201clabels\u201d: [\u201cjoy\u201d]}", "ok", ["joy"]),
        ('{"labels": ["joy\n"]}', "ok", ["joy"]),
        (json.dumps('{"labels": ["joy"]}'), "ok", ["joy"]),
        ("joy; pride", "ok", ["joy", "pride"]),
        ("{'joy', 'pride'}", "invalid", None),
        ("{'labels': ['joy', b'pride', 1j]}", "invalid", None),
        ("true", "invalid", None),
        ("null", "invalid", None),
        ("7.5", "invalid", None),
        ("", "invalid", None),
        ("...", "invalid", None),
        ("The writer seems to feel a great deal of joy here", "invalid", None),
        ("joy (strong), relief", "invalid", None),
        ("a, b, c, d, e, f, g, h, i, j, k", "invalid", None),
        ("I'm sorry, but I can't help with that request.", "refused", None),
        ("I cannot assist with analysing this text, as it contains hate.", "refused", None),
    ],
)
def test_replies(content, status, value):
    (outcome,) = DescriptorTask(RICH).parse(content, ["x"], True)
    assert (outcome.status, outcome.value) == (status, value), outcome.reason


@pytest.mark.parametrize(
    "content",
    [
        '{"answers": [{"number": 1, "labels": ["joy"]}]}',
        '{"answers": [{"number": 1, "labels": ["joy"]}, {"number": 1, "labels": ["fear"]}]}',
        '{"answers": [{"number": 1, "labels": ["joy"]}, {"number": 3, "labels": ["fear"]}]}',
        '{"labels": ["joy"]}',
        "1: joy",
        "1: joy\n2: fear\n3: anger",
        "joy\nfear",
    ],
)
def test_a_wrong_number_of_items_is_invalid_for_all(content):
    assert [one.status for one in DescriptorTask(RICH).parse(content, ["x", "y"], True)] == ["invalid"] * 2


def test_answers_out_of_order_go_to_their_texts_and_one_bad_item_spoils_only_itself():
    answers = [{"number": 2, "labels": ["fear"]}, {"number": 1, "labels": ["one two three four five six 7"]}]
    content = json.dumps({"answers": answers})
    first, second = read_descriptors_json(content, 2, RICH)
    assert first.status == "invalid" and second.value == ["fear"]


def test_a_closed_list_admits_its_labels_only():
    assert DescriptorTask(CLOSED).parse('{"labels": ["Joy"]}', ["x"], True)[0].status == "ok"
    outcome = DescriptorTask(CLOSED).parse('{"labels": ["glee"]}', ["x"], True)[0]
    assert outcome.status == "invalid" and "glee" in outcome.reason
    other = CLOSED.with_labels(["hygge", "saudade"])
    enum = DescriptorTask(other).response_format(1)["json_schema"]["schema"]["properties"]["labels"]["items"]["enum"]
    assert enum == ["hygge", "saudade"] and "hygge, saudade" in other.rendered() and other.digest != CLOSED.digest
    assert "neutral" not in other.rendered() and "{" not in other.rendered()


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"valence": 9.5}, "valence"),
        ({"arousal": "5"}, "arousal"),
        ({"dominance": None}, "dominance"),
        ({"valence": True}, "valence"),
        ({"implies": "joy"}, "implies"),
        ({"implies": []}, "implies"),
        ({"implies": ["joy, fear"]}, "implies"),
        ({}, None),
    ],
)
def test_ratings_are_checked(change, fault):
    answer = {
        "number": 1,
        "valence": 7.25,
        "arousal": 3,
        "dominance": 9,
        "implies": ["Joy", "joy", "calm"],
        **change,
    }
    (outcome,) = read_ratings(json.dumps({"answers": [answer]}), 1, None)
    if fault:
        assert outcome.status == "invalid" and fault in outcome.reason
    else:
        assert outcome.value == {"valence": 7.2, "arousal": 3.0, "dominance": 9.0, "implies": ["joy", "calm"]}


@given(st.text(max_size=40))
def test_normalising_twice_changes_nothing(term):
    assert normalise(normalise(term)) == normalise(term)


@given(st.lists(TERM, max_size=6))
def test_normalised_labels_keep_order_and_lose_duplicates(labels):
    kept = normalise_labels(labels + labels)
    assert len(set(kept)) == len(kept) and kept == [k for k in dict.fromkeys(labels) if k in kept]


def test_neutral_stands_alone_or_not_at_all():
    assert normalise_labels(["Neutral."]) == ["neutral"]
    assert normalise_labels(["neutral", "mild interest"]) == ["mild interest"]
    assert normalise_labels(["“Self—doubt”", "self-doubt", "  ", "I’m fine"]) == ["self-doubt", "i'm fine"]


@pytest.mark.parametrize(
    ("forms", "chosen"),
    [
        (("humour", "humor"), "humour"),
        (("self-doubt", "self doubt", "selfdoubt"), "self-doubt"),
        (("agonised", "agonized"), "agonised"),
        (("grey mood", "gray mood"), "grey mood"),
        (("defence", "defense"), "defence"),
    ],
)
def test_spelling_variants_merge_to_the_most_frequent(forms, chosen):
    variants = VariantMap({form: 9 - n for n, form in enumerate(forms)})
    assert {variants.get(form) for form in forms} == {chosen}
    assert normalise_labels(forms, variants) == [chosen]


def test_different_words_are_not_merged():
    words = [
        "shame",
        "shamed",
        "joy",
        "joyful",
        "anger",
        "angst",
        "tense",
        "tender",
        "resent",
        "present",
        "awe",
        "wise",
    ]
    assert VariantMap(dict.fromkeys(words, 1)).merged == {}


def test_every_prompt_loads_and_renders():
    prompts = list_prompts()
    assert {p.name for p in prompts} >= {
        "paper",
        "rich",
        "nouns",
        "adjectives",
        "closed",
        "few-shot",
        "written",
        "lexicon",
    }
    for prompt in prompts:
        assert prompt.version and prompt.description and "{" not in prompt.rendered()
    assert len({prompt.digest for prompt in prompts}) == len(prompts)


def test_few_shot_examples_are_turns_in_the_format_asked_for():
    task = DescriptorTask(load_prompt("few-shot"))
    for structured in (True, False):
        for count in (1, 3):
            turns = task.messages(["x"] * count, structured)[1:-1]
            shown = turns[0]["content"].count("{") or 1
            for user, assistant in zip(turns[::2], turns[1::2], strict=True):
                assert (user["role"], assistant["role"]) == ("user", "assistant")
                outcomes = task.parse(assistant["content"], ["x"] * shown, structured)
                assert all(one.status == "ok" for one in outcomes), outcomes


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name = ", ["TOML"]),
        ('name = "a"\nversion = "1"\ntask = "descriptors"', ["system"]),
        ('name = "a"\nversion = "1"\ntask = "poems"\nsystem = "x"', ["poems"]),
        ('name = "a"\nversion = "1"\ntask = "descriptors"\nsystem = "x"\ncolour = 1', ["colour"]),
        ('name = "a"\nversion = "1"\ntask = "descriptors"\nsystem = "x"\nclosed = true', ["closed"]),
        ('name = "a"\nversion = "1"\ntask = "descriptors"\nsystem = "x"\nmost = 0', ["most"]),
        ('name = "a"\nversion = "1"\ntask = "descriptors"\nsystem = "x"\nexamples = [{text = "t"}]', ["example"]),
    ],
)
def test_a_bad_prompt_file_is_told(tmp_path, text, words):
    path = tmp_path / "mine.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(ValueError) as error:
        load_prompt(str(path))
    assert all(word in str(error.value) for word in ["mine.toml", *words])


def test_a_prompt_of_ones_own_and_its_digest(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\nversion = "1"\ntask = "descriptors"\nsystem = "Feelings?"', "utf-8")
    first = load_prompt(str(path), "descriptors")
    path.write_text('name = "mine"\nversion = "1"\ntask = "descriptors"\nsystem = "Feelings, please?"', "utf-8")
    assert first.id == "mine/1" and load_prompt(str(path)).digest != first.digest
    with pytest.raises(ValueError, match="lexicon"):
        load_prompt(str(path), "lexicon")
    with pytest.raises(ValueError, match="no prompt 'richest'"):
        load_prompt("richest")


def test_refusals_are_sentences():
    assert is_refusal("As an AI, I am unable to rate this.") and not is_refusal("unable to cope, helpless")


@pytest.mark.parametrize(
    "label",
    ["jo\u200by", "\u202ejoy\u202c", "joy\u2060", "\ufeffjoy", "j\u00adoy", "joy\U000e0041", "\u3164joy", "joy\x00"],
)
def test_what_nobody_sees_is_taken_out_of_labels(label):
    assert normalise(label) == "joy" and normalise_labels([label, "joy"]) == ["joy"]
    assert DescriptorTask(CLOSED).parse(json.dumps({"labels": [label]}), ["x"], True)[0].status == "ok"
