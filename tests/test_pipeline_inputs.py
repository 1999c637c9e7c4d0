"""What users hand to the pipeline: rows, tables, bad values, odd characters, long texts; and what it tells them."""

import json
import pickle
import re
import warnings

import pytest
import torch
from transformers import pipeline

from emodistill.encoding_emodistill import encode_labels, encode_texts, longest_label, tokenize_texts

LABELS = ["joy", "anger", "relief", "fear"]
TEXTS = ["my dog is lost", "we laughed all day, so happy", "i", "the train was late and it rained " * 8, "joy."]


def scores_of(result):
    return dict(zip(result["labels"], result["scores"], strict=True))


def same(result, other, tolerance=1e-5):
    mine, theirs = scores_of(result), scores_of(other)
    return result["sequence"] == other["sequence"] and mine == pytest.approx(theirs, abs=tolerance)


# Label sets of their own


@pytest.mark.parametrize("multi_label", [False, True])
def test_each_text_may_bring_its_labels(classify, multi_label):
    sets = [["joy", "fear"], "calm, rage, pride", {"good": ["joy", "love"], "bad": "fear"}, ["joy", "fear"]]
    rows = [{"text": text, "labels": labels} for text, labels in zip(TEXTS, sets, strict=False)]
    options = {"multi_label": multi_label, "label_template": "a person feels {}"}
    expected = [classify(row["text"], labels=row["labels"], **options) for row in rows]
    for given in (rows, tuple(rows), (row for row in rows)):
        results = list(classify(given, **options))
        assert all(same(one, other) for one, other in zip(results, expected, strict=True))
    assert same(classify(rows[1], **options), expected[1])


def test_rows_without_labels_take_those_of_the_call(classify):
    rows = [
        {"text": TEXTS[0], "labels": ["love", "pride"]},
        TEXTS[1],
        {"text": TEXTS[2]},
        {"text": "", "labels": None},
    ]
    own, *others = classify(rows, labels=LABELS)
    assert set(own["labels"]) == {"love", "pride"} and all(set(one["labels"]) == set(LABELS) for one in others)
    assert others[2]["predicted"] == ["neutral"]
    with pytest.raises(ValueError, match="labels is missing"):
        classify(rows)
    with pytest.raises(ValueError, match="labels is missing"):
        classify({"text": "joy"})


def test_labels_of_rows_are_embedded_together_and_once(classify):
    calls = []
    classify.model.label_encoder.register_forward_hook(lambda *_: calls.append(1))
    rows = [{"text": f"text {n}", "labels": [f"word {n % 7}", f"word {n % 5 + 7}"]} for n in range(60)]
    assert len(classify(rows, batch_size=8)) == 60
    first = len(calls)
    classify(rows[::-1])
    assert first == 1 and len(calls) == 1


def test_bad_labels_of_a_row_are_told_by_its_number_before_anything_is_computed(classify, monkeypatch):
    monkeypatch.setattr(type(classify), "_forward", lambda *args, **kwargs: pytest.fail("a text was embedded"))
    for labels, message in (
        (["joy", "joy"], "labels of text 2 holds 'joy' more than once"),
        ([], "labels of text 2 is empty"),
        (["joy"], "labels of text 2 holds one label, 'joy', which would score 1.0"),
        (3, "labels of text 2 must be a list"),
        (iter(LABELS), "labels of text 2 is list_iterator, which can be read only once: give a list"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            classify(["a", "b", {"text": "c", "labels": labels}], labels=LABELS)


def test_dimensions_are_read_more_than_once(classify):
    names = ["valence", "arousal"]
    results = classify(["a", "b"], dimensions=iter(names))
    assert all(list(result["dimensions"]) == names for result in results)
    with pytest.raises(ValueError, match=r"dimensions\['mood'\] is map, which can be read only once"):
        classify("a", dimensions={"mood": (map(str, ["joy"]), "fear")})


# Bad texts


def test_a_list_is_checked_before_it_is_computed(classify, monkeypatch):
    monkeypatch.setattr(type(classify), "_forward", lambda *args, **kwargs: pytest.fail("a text was embedded"))
    with pytest.raises(ValueError, match=r"text 3000 is missing \(None\)"):
        classify(["joy"] * 3000 + [None], labels=LABELS)


def test_bad_rows_become_nulls_on_request(classify):
    given = ["my dog", None, 7, {"text": "joy", "labels": ["joy"]}, {"txt": "x"}, "", float("nan")]
    expected = classify(["my dog", ""], labels=LABELS, dimensions=True)
    for texts in (given, iter(given)):
        results = list(classify(texts, labels=LABELS, dimensions=True, errors="null"))
        assert [result["error"] is None for result in results] == [True, False, False, False, False, True, False]
        for place, one in zip((0, 5), expected, strict=True):
            assert results[place] == one | {"error": None} | {
                name: pytest.approx(one[name], abs=1e-6) for name in ("scores", "dimensions")
            }  # of other batches, so but for rounding
        assert list(results[1]) == list(results[0])  # one shape for all
        assert results[1]["labels"] is None and results[1]["dimensions"]["valence"] is None
        assert "text 2 is int" in results[2]["error"] and "multi_label=True" in results[3]["error"]
        assert "text 6 is missing (nan)" in results[6]["error"]
        json.dumps(results, allow_nan=False)
    assert "text 0 is missing" in classify(None, labels=LABELS, errors="null")["error"]


@pytest.mark.parametrize("stream", [False, True])
def test_a_bad_row_costs_no_other_where_windows_are_asked_for(classify, stream):
    rows = [{"text": None, "labels": LABELS}, {"text": "my dog", "labels": LABELS}]
    for given in (rows, rows[:1]):
        results = list(classify(iter(given), errors="null", return_windows=True, stream=stream))
        assert results[0]["labels"] is results[0]["windows"] is None and "text 0 is missing" in results[0]["error"]
        assert list(results[0]) == list(results[-1])  # one shape for all
        assert [result["windows"][0]["text"] for result in results[1:]] == ["my dog"] * (len(given) - 1)


def test_embeddings_are_of_texts_as_a_call_reads_them(checkpoint):
    classify = pipeline("zero-shot-emotion", checkpoint, normalise=True, max_windows=1)
    texts = ["sooooo &amp; happy", "my dog " * 40 + "so sad " * 40]
    plain = classify.encode_texts(texts, normalise=False, max_windows=None)
    assert not torch.allclose(classify.encode_texts(texts), plain, atol=1e-3)
    everything = pipeline("zero-shot-emotion", checkpoint, max_windows=None, normalise=False)
    torch.testing.assert_close(everything.encode_texts(texts), plain)
    with pytest.raises(ValueError, match="max_windows must be"):
        classify.encode_texts(texts, max_windows=0)


def test_a_table_is_refused_with_a_hint(classify):
    import pandas

    for table in (pandas.DataFrame({"text": TEXTS}), {"train": TEXTS}):
        with pytest.raises(ValueError, match="name the column of texts"):
            classify(table, labels=LABELS)


def test_results_before_a_streams_failure_are_kept(classify):
    def failing():
        yield from TEXTS
        raise OSError("the disk went away")

    results = classify(failing(), labels=LABELS)
    assert [next(results)["sequence"] for _ in TEXTS] == TEXTS
    with pytest.raises(OSError, match="the disk went away"):
        next(results)


# Characters


def test_bad_characters_are_replaced(classify):
    result = classify("caf\udce9 \ud83d\ude00", labels=LABELS)
    assert result["sequence"] == "caf\ufffd \U0001f600"
    json.dumps(result, ensure_ascii=False).encode()
    assert len(classify(["a\udcff", "b"] * 40, labels=["j\udce9", "joy"])) == 80


@pytest.mark.parametrize("text", ["\u200b\u200d", "\ufeff", "\u00ad \u2060", "\x00\x07", "\u3164"])
def test_what_shows_nothing_is_neutral(classify, text):
    assert classify(text, labels=LABELS)["predicted"] == ["neutral"]
    assert classify(text, labels=[*LABELS, "neutral"], multi_label=True)["scores"][0] == 1.0


def test_one_string_is_one_text(classify, tiny_model, tokenizer):
    assert torch.equal(classify.encode_texts("my dog"), classify.encode_texts(["my dog"]))
    model = tiny_model()
    assert torch.equal(encode_texts(model, tokenizer, "my dog"), encode_texts(model, tokenizer, ["my dog"]))
    assert torch.equal(encode_labels(model, tokenizer, "joy"), encode_labels(model, tokenizer, ["joy"]))


def test_emoji_labels_are_spelled_as_texts_are(tiny_model, tokenizer):
    model = tiny_model(spell_emoji=True)
    pair = encode_labels(model, tokenizer, ["\U0001f62d", "loudly crying face"])
    assert torch.equal(pair[0], pair[1])
    other = encode_labels(model, tokenizer, ["\U0001f602"])
    assert not torch.allclose(pair[0], other[0])


# Labels


def test_none_switches_what_the_constructor_named_off(checkpoint):
    classify = pipeline(
        "zero-shot-emotion", model=str(checkpoint), device="cpu", labels=LABELS, top_k=2, dimensions=True,
        label_template="a person feels {}", threshold=0.0, multi_label=True,
    )  # fmt: skip
    assert list(classify("my dog", labels=None)) == ["sequence", "dimensions"]
    assert list(classify("my dog", candidate_labels=None)) == ["sequence", "dimensions"]
    assert "dimensions" not in classify("my dog", dimensions=None)
    assert len(classify("my dog", top_k=None)["labels"]) == 4
    assert sum(classify("my dog", multi_label=None, top_k=None)["scores"]) == pytest.approx(1.0)
    plain = classify("my dog", label_template=None)
    assert scores_of(plain) != scores_of(classify("my dog"))
    with pytest.raises(ValueError, match="labels is missing"):
        classify("my dog", labels=None, dimensions=None)


def test_a_negated_label_is_the_rest_of_its_feeling(classify):
    plain = classify(TEXTS, labels=["angry", "joy", "fear"], multi_label=True)
    results = classify(TEXTS, labels=["not angry", "joy", "angry", "fear-free"], multi_label=True)
    for result, other in zip(results, plain, strict=True):
        mine, theirs = scores_of(result), scores_of(other)
        assert mine["not angry"] == pytest.approx(1 - theirs["angry"], abs=1e-6)
        assert mine["fear-free"] == pytest.approx(1 - theirs["fear"], abs=1e-6)
        assert mine["angry"] == pytest.approx(theirs["angry"], abs=1e-6)
        assert result["predicted"] == ([n for n in result["labels"] if mine[n] >= 0.5] or ["neutral"])
    blank = classify("", labels=["not angry", "joy"], multi_label=True)
    assert scores_of(blank) == {"not angry": 1.0, "joy": 0.0} and blank["predicted"] == ["not angry"]


def warnings_of(call):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            call()
    return [str(warning.message) for warning in caught]


def test_elsewhere_a_negation_is_warned_of_once(classify):
    assert not warnings_of(lambda: classify(TEXTS, labels=["not angry", "joy"], multi_label=True))
    for options, told in (
        ({"labels": ["not angry", "joy"]}, "labels holds 'not angry'"),
        ({"labels": {"calm": "no anger", "joy": "joy"}, "multi_label": True}, "labels holds 'no anger'"),
        ({"dimensions": {"temper": ("angry", "not so angry")}}, "dimensions['temper'] holds 'not so angry'"),
    ):
        [message] = warnings_of(lambda options=options: classify(TEXTS, **options))
        assert told in message


def test_labels_that_are_one_to_the_model_are_told_once(tiny_model, tokenizer):
    classify = pipeline("zero-shot-emotion", model=tiny_model(spell_emoji=True), tokenizer=tokenizer, device="cpu")
    labels = ["\U0001f602", "\U0001f602\U0001f602", "joy"]
    [message] = warnings_of(lambda: classify(TEXTS, labels=labels))
    assert "labels '\U0001f602' and '\U0001f602\U0001f602' have the same embedding" in message


def test_many_labels_that_are_one_to_the_model_are_few_words(classify):
    said = warnings_of(lambda: classify(TEXTS, labels=[chr(0x3B1 + n) for n in range(16)]))
    assert len(said) == 4 and "more pairs of labels" in said[-1]


def test_warnings_that_are_remembered_have_a_bound(classify, monkeypatch):
    monkeypatch.setattr("emodistill.telling_emodistill.MOST_TOLD", 3)
    rows = [{"text": "my dog", "labels": [f"not {word}", "joy"]} for word in ("sad", "angry", "calm", "proud", "late")]
    assert len(warnings_of(lambda: classify(rows))) == 3 == len(classify._already_told)
    assert not warnings_of(lambda: classify(rows))


def test_a_label_is_read_as_far_as_its_encoder_can(classify):
    assert classify.model.config.label_max_length == 12 and longest_label(classify.model, classify.tokenizer) == 64
    start = "i was very happy and so was my dog and the cat "
    pair = classify.encode_labels([start + "on a late train", start + "in the sun"])
    assert not torch.allclose(pair[0], pair[1])
    [message] = warnings_of(lambda: classify("joy", labels=["joy", "rain " * 70]))
    assert "has more than 64 tokens" in message


def test_labels_per_text(classify):
    few, learnt, many = (
        [scores_of(one) for one in classify(TEXTS, labels=LABELS, multi_label=True, labels_per_text=number)]
        for number in (0.2, None, 1.2)
    )
    for low, middle, high in zip(few, learnt, many, strict=True):
        assert all(low[name] < middle[name] <= high[name] for name in LABELS)


def test_labels_per_text_of_a_constructor_is_for_calls_that_decide_each_label(checkpoint):
    classify = pipeline("zero-shot-emotion", model=str(checkpoint), labels=LABELS, labels_per_text=2)
    assert not warnings_of(lambda: [classify(TEXTS, multi_label=True), classify(TEXTS, multi_label=False)])
    assert not warnings_of(lambda: classify(TEXTS, labels=None, dimensions=True))
    [message] = warnings_of(lambda: [classify(TEXTS), classify(TEXTS)])
    assert "labels_per_text is for multi_label=True" in message


# Language


def test_a_text_in_another_language_is_told_once(classify):
    texts = ["my dog is lost", "Je suis très triste", "Estoy muy triste hoy"]
    [message] = warnings_of(lambda: classify(texts, labels=LABELS))
    assert "a text looks like French ('Je suis très triste')" in message
    assert not warnings_of(lambda: classify("Je suis très triste", labels=LABELS))


def test_a_model_of_several_languages_tells_nothing(tiny_model, tokenizer):
    classify = pipeline("zero-shot-emotion", model=tiny_model(language=None), tokenizer=tokenizer, device="cpu")
    assert not warnings_of(lambda: classify("Je suis très triste", labels=LABELS))


# Pickles


def test_use_changes_no_pickle(classify):
    from datasets.fingerprint import Hasher

    before, digest = pickle.dumps(classify), Hasher.hash(classify)
    classify(TEXTS, labels=LABELS)
    classify([{"text": "joy", "labels": ["joy", "fear"]}, "Je suis très triste"], labels=LABELS, multi_label=True)
    list(classify(iter(TEXTS), labels=LABELS, dimensions=True))
    assert pickle.dumps(classify) == before and Hasher.hash(classify) == digest
    assert pickle.loads(before)("my dog", labels=LABELS) == classify("my dog", labels=LABELS)


def test_a_map_over_a_data_set_finds_its_cache(classify, tmp_path):
    from datasets import Dataset

    Dataset.from_dict({"text": TEXTS}).save_to_disk(tmp_path / "texts")
    table = Dataset.load_from_disk(tmp_path / "texts")

    def label(row):
        return {"best": classify(row["text"], labels=LABELS)["labels"][0]}

    first = table.map(label)
    assert first.cache_files and table.map(label).cache_files == first.cache_files


# Tables, progress, long texts


def test_a_table_has_a_column_a_label(classify):
    import pandas

    column = pandas.Series(TEXTS, index=[f"row {n}" for n in range(5)])
    frame = classify.to_frame(column, labels=LABELS, dimensions="valence", multi_label=True)
    results = classify(TEXTS, labels=LABELS, dimensions="valence", multi_label=True)
    assert list(frame.columns) == ["text", *LABELS, "predicted", "valence"] and list(frame.index) == list(column.index)
    for row, result in zip(frame.to_dict("records"), results, strict=True):
        assert {name: row[name] for name in LABELS} == pytest.approx(scores_of(result))
        assert row["text"] == result["sequence"] and row["predicted"] == result["predicted"]
    rows = [{"text": "joy", "labels": ["love", "rage"]}, None, "fear"]
    frame = classify.to_frame(rows, labels=LABELS, errors="null")
    assert list(frame.columns) == ["text", *LABELS, "love", "rage", "predicted", "error"]
    assert frame["love"].isna().tolist() == [False, True, True] and frame["joy"].isna().tolist() == [True, True, False]
    assert list(classify.to_frame("my dog", labels=iter(LABELS)).columns) == ["text", *LABELS, "predicted"]
    assert classify.to_frame("my dog", labels=LABELS, top_k=1)[LABELS].notna().all(axis=None)
    with pytest.raises(ValueError, match="two columns called 'text'"):
        classify.to_frame(TEXTS, labels=["text", "joy"])


def test_progress_counts_texts(classify, capsys):
    results = classify(TEXTS * 7, labels=LABELS, batch_size=4, progress=True)
    assert len(results) == 35 and "35/35" in capsys.readouterr().err
    assert len(list(classify(iter(TEXTS), labels=LABELS, progress=True))) == 5
    assert "5text" in capsys.readouterr().err.replace(" ", "")


LONG = " ".join(f"{word} and i cried" for word in ["rain", "sun", "cat", "dog", "train"] * 30)


def test_of_a_long_text_windows_spread_over_it_are_read(classify):
    total = len(tokenize_texts(classify.tokenizer, classify.model.config, [LONG], max_windows=None).windows)
    assert total > 20
    result = classify(LONG, labels=LABELS)
    assert result["windows_read"] == 16 and result["windows_total"] == total
    whole = classify([LONG, "joy"], labels=LABELS, max_windows=None)
    assert all("windows_read" not in one for one in whole)
    few = tokenize_texts(classify.tokenizer, classify.model.config, [LONG, "joy"], max_windows=3)
    every = tokenize_texts(classify.tokenizer, classify.model.config, [LONG], max_windows=None)
    assert few.owners == [0, 0, 0, 1] and few.totals == [total, 1]
    assert few.windows[0] == every.windows[0] and few.windows[2] == every.windows[-1]
    assert len(tokenize_texts(classify.tokenizer, classify.model.config, [LONG], max_windows=1).windows) == 1


@pytest.mark.parametrize("blank", [" ", "\n", "\t"])
def test_a_text_that_is_far_too_long_is_read_from_its_first_word_and_in_whole_windows(classify, blank):
    words = ["joy", *["sad"] * 2500, "a ", *["day"] * 1000, "a ", *["won"] * 2500]
    text, config = blank.join(words), classify.model.config
    middle = tokenize_texts(classify.tokenizer, config, [text], max_windows=1)
    assert "day day" in classify.tokenizer.decode(middle.windows[0]) and 200 < middle.totals[0] < 600
    read = tokenize_texts(classify.tokenizer, config, [text], max_windows=3)
    assert classify.tokenizer.decode(read.windows[0]).startswith("[CLS] joy sad")
    assert [len(window) for window in read.windows[:2]] == [config.text_max_length] * 2


def test_a_huge_text_costs_no_more_than_a_long_one(classify, monkeypatch):
    seen = []
    original = type(classify.tokenizer).__call__
    monkeypatch.setattr(
        type(classify.tokenizer), "__call__",
        lambda self, texts, *a, **k: seen.append(sum(map(len, texts))) or original(self, texts, *a, **k),
    )  # fmt: skip
    huge = "i cried all day. " * 200_000
    result = classify(["joy", huge], labels=LABELS)[1]
    assert result["windows_read"] == 16 and 20_000 < result["windows_total"] < 200_000
    assert max(seen) < 50_000


def test_windows_are_given_on_request(classify):
    texts = ["joy", LONG, ""]
    plain = classify(texts, labels=LABELS, dimensions=True)
    results = classify(texts, labels=LABELS, dimensions=True, return_windows=True)
    assert [len(result["windows"]) for result in results] == [1, 16, 1]
    for result, other in zip(results, plain, strict=True):
        assert {k: v for k, v in result.items() if k != "windows"} == other
    window = results[1]["windows"][0]
    assert LONG.startswith(window["text"]) and list(window) == ["text", "labels", "scores", "predicted", "dimensions"]
    assert same({"sequence": "", **window}, {**classify(window["text"], labels=LABELS), "sequence": ""})
    assert results[2]["windows"][0]["predicted"] == ["neutral"]


def test_normalisation_may_be_asked_for(classify):
    text, plain = "<b>my dog</b> cried @anna https://t.co/x", "my dog cried @user http"
    given, normalised = (classify(text, labels=LABELS, normalise=switch) for switch in (None, True))
    assert scores_of(normalised) == pytest.approx(scores_of(classify(plain, labels=LABELS)), abs=1e-6)
    assert scores_of(given) != scores_of(normalised) and normalised["sequence"] == text
    assert classify("<br>", labels=LABELS, normalise=True)["predicted"] == ["neutral"]


def test_no_number_is_never_given_out(classify):
    classify.model.text_projection.weight.data.fill_(float("nan"))
    with pytest.raises(ValueError, match=r"no numbers \(NaN\): its weights are damaged"):
        classify("my dog", labels=LABELS)
    with pytest.raises(ValueError, match=r"no numbers \(NaN\): its weights are damaged"):
        classify("my dog", dimensions=True)
