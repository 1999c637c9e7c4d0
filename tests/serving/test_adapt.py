"""Adaptation: what it gains where there is something to gain, and that it harms nothing where there is not."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import emodistill
from emodistill import cli
from emodistill.serving import corrections
from emodistill.serving.adapt import Adaptation, fit

TEXTS = ["my dog is lost", "we won", "a happy day", "the cat cried", "so sad", "we laughed", "the rain", "my birthday"]


def world(seed, texts=120, labels=4, d=16, bias=0.0, hidden=0.0, noise=0.3):
    """Embeddings, zero-shot log-odds, and targets that differ from them by an offset and by a hidden direction."""
    random = np.random.default_rng(seed)
    embeds = random.standard_normal((texts, d)) / np.sqrt(d)
    directions, other = random.standard_normal((2, labels, d)) * 3
    values = embeds @ directions.T - 1.0
    truth = values + bias + hidden * embeds @ other.T + noise * random.standard_normal((texts, labels))
    return embeds, values, (truth > 0).astype(float)


def split(parts, place):
    return [part[:place] for part in parts], [part[place:] for part in parts]


@pytest.mark.parametrize("hidden", [0.0, 1.5])
def test_what_is_off_is_put_right_on_other_texts(hidden):
    learnt, kept = split(world(1, texts=900, bias=1.5, hidden=hidden), 300)
    own = fit("multi_label", list("abcd"), learnt[1], learnt[0], learnt[2])
    before = corrections.text_losses("multi_label", kept[1], kept[2]).mean()
    scores = own.scores(1 / (1 + np.exp(-kept[1])), kept[0])
    right, start = ((scores > 0.5) == kept[2]).mean(), ((kept[1] > 0) == kept[2]).mean()
    assert right > start + 0.03 and before > 0
    assert own.report["loss_adapted"] < own.report["loss_zero_shot"]
    assert (own.report["direction_ridge"] is not None) == bool(hidden)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6), texts=st.integers(8, 60))
def test_labels_drawn_by_lot_change_no_direction_often(seed, texts):
    """Nothing is to be learnt from chance: left-out loss must not fall below the start's by more than noise."""
    random = np.random.default_rng(seed)
    embeds, values, _ = world(seed, texts=texts)
    own = fit("multi_label", list("abcd"), values, embeds, (random.random(values.shape) < 0.3).astype(float))
    assert own.report["loss_adapted"] <= own.report["loss_zero_shot"]


def test_right_scores_stay_as_they_are():
    embeds, values, targets = world(5, texts=40, noise=0.0)
    own = fit("multi_label", list("abcd"), 4 * values, embeds, targets)
    decided = own.scores(1 / (1 + np.exp(-4 * values)), embeds) > 0.5
    assert (decided == (values > 0)).mean() > 0.95


@pytest.mark.parametrize("kind", ["multi_label", "single_label", "dimensions"])
def test_left_out_losses_are_those_of_fits_without_the_text(kind):
    """The strengths are chosen by formulas for leave-one-out; here it is done in earnest."""
    embeds, values, targets = world(3, texts=30, labels=3, bias=0.7)
    if kind == "single_label":
        targets = np.eye(3)[(values + 0.7 * np.arange(3)).argmax(axis=1)]
        values = values - np.log(np.exp(values).sum(axis=1, keepdims=True))
    if kind == "dimensions":
        targets = 2.0 * values + 1.0 + 0.1 * embeds[:, :3]

    def fitted(v, t):
        if kind == "dimensions":
            return corrections._least_squares(v, t)[:3]
        return (corrections._logistic if kind == "multi_label" else corrections._softmax)(v, t, 3.0)

    _, _, inner = fitted(values, targets)
    for left in range(0, 30, 7):
        rest = np.arange(30) != left
        slopes, offsets, _ = fitted(values[rest], targets[rest])
        # What a dimension's slope is shrunk towards follows from the spreads of all texts, of which one is left out.
        near = 0.15 if kind == "dimensions" else 0.06
        assert inner[left] == pytest.approx(values[left] * slopes + offsets, abs=near)


def test_a_slope_never_turns_a_score_round():
    embeds, values, targets = world(2)
    slopes, _, _ = corrections._logistic(values, 1.0 - targets, ridge=0.3)
    assert (slopes >= 0).all() and embeds.any()


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10**6), factor=st.sampled_from([0.5, 1.0, -2.0]))
def test_a_dozen_texts_do_not_turn_a_dimension_round(seed, factor):
    """Positions that agree with the raters' as far as real ones do; scales that run the other way are learnt."""
    random = np.random.default_rng(seed)
    embeds, values, _ = world(seed, texts=300, labels=3)
    truth = factor * (values - values.mean(axis=0)) / values.std(axis=0) + 3.0
    truth = truth + abs(factor) * random.standard_normal(truth.shape)
    learnt, kept = split((embeds, values, truth), 24 if factor > 0 else 200)
    own = fit("dimensions", list("abc"), learnt[1], learnt[0], learnt[2])
    corrected = own.corrected(kept[1], kept[0])
    for place in range(3):
        after, before = (np.corrcoef(found[:, place], kept[2][:, place])[0, 1] for found in (corrected, kept[1]))
        assert after > abs(before) - 0.1


@pytest.mark.parametrize("options", [
    {"labels": [["joy"], ["anger"], ["joy", "fear"], [], ["fear"], ["joy"], [], ["anger"]]},
    {"labels": ["joy", "fear", "joy", "fear", "fear", "joy", "fear", "joy"]},
    {"labels": [{"valence": x, "mood": 1 - x} for x in (0.1, 1, 0.9, 0, 0.2, 1, 0.5, 0.8)], "dimensions": True,
     "names": {"valence": None, "mood": ("joy", "sad")}},
    {"labels": [{"valence": x, "arousal": 1 - x} for x in (0.1, 1, 0.9, 0, 0.2, 1, 0.5, 0.8)], "dimensions": True,
     "names": "valence, arousal,"},
])  # fmt: skip
def test_it_goes_through_the_pipeline_and_a_file(classify, tmp_path, options):
    own = emodistill.adapt(classify, TEXTS, **options)
    own.save(tmp_path / "own.json")
    loaded = Adaptation.load(tmp_path / "own.json")
    assert loaded.kind == own.kind and loaded.names == own.names
    first, second = (classify([*TEXTS, ""], adaptation=each) for each in (own, str(tmp_path / "own.json")))
    for ours, theirs in zip(first, second, strict=True):
        if own.kind == "dimensions":
            assert list(ours["dimensions"]) == list(own.names) and len(own.names) == 2
            assert ours["dimensions"] == pytest.approx(theirs["dimensions"], abs=1e-4)
            assert -2 < ours["dimensions"]["valence"] < 3  # on the scale of the examples
        else:
            assert set(ours["labels"]) == set(own.names)
            assert ours["scores"] == pytest.approx(theirs["scores"], abs=1e-4)
    if own.kind == "single_label":
        assert sum(first[0]["scores"]) == pytest.approx(1.0, abs=1e-5)


def test_the_order_of_labels_in_a_call_does_not_matter(classify):
    labels = ["joy", "fear", "joy", "fear", "fear", "joy", "fear", "joy"]
    own = emodistill.adapt(classify, TEXTS, labels)
    first, second = (classify(TEXTS, labels=names, adaptation=own) for names in (["fear", "joy"], ["joy", "fear"]))
    for ours, theirs in zip(first, second, strict=True):
        assert dict(zip(ours["labels"], ours["scores"], strict=True)) == pytest.approx(
            dict(zip(theirs["labels"], theirs["scores"], strict=True)), abs=1e-5
        )


@pytest.mark.parametrize(("arguments", "words"), [
    ({"texts": TEXTS, "labels": ["joy"]}, "one length"),
    ({"texts": TEXTS[:2], "labels": ["joy", "fear"]}, "4 to 5000 labelled texts, not 2"),
    ({"texts": TEXTS, "labels": ["joy"] * 8, "names": ["fear"]}, "text 0 has the label 'joy'"),
    ({"texts": TEXTS, "labels": [["joy", "fear"]] * 8, "multi_label": False}, "exactly one"),
    ({"texts": TEXTS, "labels": ["joy"] * 8, "dimensions": True}, "dictionary of positions"),
    ({"texts": TEXTS, "labels": [{"valence": "high"}] * 8, "dimensions": True}, "needs a number for 'valence'"),
])  # fmt: skip
def test_mistakes_are_told_in_a_sentence(classify, arguments, words):
    with pytest.raises(ValueError, match=words):
        emodistill.adapt(classify, **arguments)


def test_an_adaptation_is_for_its_labels_alone(classify, tmp_path):
    own = emodistill.adapt(classify, TEXTS, ["joy", "fear"] * 4)
    with pytest.raises(ValueError, match="was made for the labels fear, joy"):
        classify("my dog", labels=["joy", "pride"], adaptation=own)
    with pytest.raises(ValueError, match="multi_label=False"):
        classify("my dog", multi_label=True, adaptation=own)
    (tmp_path / "other.json").write_text(json.dumps({"format": "something"}))
    with pytest.raises(ValueError, match="is no adaptation"):
        classify("my dog", adaptation=tmp_path / "other.json")


def test_the_command_writes_what_a_call_takes(checkpoint, classify, tmp_path, capsys):
    table = tmp_path / "own.csv"
    rows = [*zip(TEXTS, ["joy", "anger", '"joy, anger"', "joy", "anger", "joy", "anger", "joy"], strict=True)]
    lines = [f"{text},{label},{len(text)}" for text, label in rows]
    table.write_text("\n".join(["text,feeling,valence", *lines, ",joy,3", "ow,joy,low", ""]))
    common = ["adapt", str(table), "--model", str(checkpoint), "--output", str(tmp_path / "own.json")]
    assert cli.main([*common, "--labels-column", "feeling"]) == 0
    told = capsys.readouterr()
    assert "multi_label for anger, joy, from 9 texts" in told.out
    assert "left out" in told.err and "Loading" not in told.err
    assert classify("my dog", adaptation=tmp_path / "own.json")["predicted"]
    assert cli.main([*common, "--dimensions", " valence,", "--quotes", "--encoding", "cp1252"]) == 0
    told = capsys.readouterr()
    assert "line 11: a number is needed in column 'valence', not 'low'; the row is left out" in told.err
    assert cli.main([*common, "--dimensions", ""]) == 2
    assert "column" in capsys.readouterr().err
    assert cli.main(common) == 2
    assert "give --labels-column COLUMN, or --dimensions" in capsys.readouterr().err
    assert cli.main([*common, "--labels-column", "feeling", "--dimensions", "valence"]) == 2
    assert "not both" in capsys.readouterr().err
    assert cli.main([*common, "--labels-column", "mood"]) == 2
    assert "mood" in capsys.readouterr().err


DAMAGES = {
    "slopes without numbers": {"slopes": [float("nan"), 1.0]},
    "offsets beyond numbers": {"offsets": [float("inf"), 0.0]},
    "a centre without numbers": {"centre": [float("nan")] * 4},
    "fewer slopes": {"slopes": [1.0]},
    "slopes in a table": {"slopes": [[1.0, 1.0]]},
    "one name for two": {"names": ["joy", "joy"]},
    "names that are numbers": {"names": [1, 2]},
    "no names": {"names": []},
    "another kind": {"kind": "both"},
    "a centre of nothing": {"centre": 1.0},
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_file_is_told_and_gives_no_numbers(tmp_path, damage):
    made = Adaptation("multi_label", ("joy", "anger"), np.ones(2), np.zeros(2), np.zeros((2, 4)), np.zeros(4), {})
    made.save(tmp_path / "mine.json")
    assert Adaptation.load(tmp_path / "mine.json").names == ("joy", "anger")
    content = json.loads((tmp_path / "mine.json").read_text())
    for text in (json.dumps(content | damage), "[" * 100_000):
        (tmp_path / "mine.json").write_text(text)
        with pytest.raises(ValueError, match="is no adaptation that emodistill adapt wrote"):
            Adaptation.load(tmp_path / "mine.json")
