"""What training takes of a user's own table: columns by other meanings, empty cells, splits that are not there."""

import json
from types import SimpleNamespace

import pytest
import torch

from emodistill.training.arguments import DataArguments
from emodistill.training.building import _drawn, _finishing_rows, _with_views, load_data
from emodistill.training.data import (
    DescriptorBatches,
    DescriptorDataset,
    LabelVocabulary,
    load_training_rows,
    with_copies,
)
from emodistill.training.finishing import refit_dimensions
from emodistill.training.targets import Lexicon
from emodistill.training.validation import Validator

NOTHING_KNOWN = Lexicon({}, {}, set())


@pytest.fixture
def table(tmp_path):
    """`table(rows, name)`: the file of such rows."""

    def write(rows, name="mine.jsonl"):
        (tmp_path / name).write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
        return str(tmp_path / name)

    return write


@pytest.fixture
def splits(tmp_path, table):
    """`splits(train=rows, ...)`: the folder of a data set with such splits."""

    def write(**content):
        for name, rows in content.items():
            table(rows, f"{name}.jsonl")
        return str(tmp_path)

    return write


def some(number, labels=("joy", "anger"), **more):
    return [{"text": f"text {place}", "labels": [labels[place % len(labels)]]} | more for place in range(number)]


def test_columns_named_as_what_training_adds_are_left_alone(table, tokenizer):
    own = {"rating": 4, "closed": "no", "plain": "yes", "copy_of": 0, "weights": 2.5}
    rows = load_training_rows(table(some(4, **own)), "train")
    assert rows == load_training_rows(table(some(4)), "train")
    dataset = DescriptorDataset(rows, tokenizer, NOTHING_KNOWN, 24)
    assert dataset.labels() == {"joy", "anger"} and dataset.originals == [-1] * 4


@pytest.mark.parametrize("empty", ["", " ", float("nan"), None])
def test_an_empty_cell_is_no_group(table, tokenizer, empty):
    rows = load_training_rows(table([*some(8, group=empty), *some(2, group=7)]), "train")
    dataset = DescriptorDataset(rows, tokenizer, NOTHING_KNOWN, 24)
    assert dataset.groups == [-1] * 8 + [0, 0] and len(dataset.units()) == 9
    assert len(_drawn(rows, 5, seed=1)) == 5


def test_names_are_words_whatever_a_table_makes_of_them(table):
    rows = load_training_rows(table(some(1, source=3, id=7, group=["a", 1], selection=float("nan"))), "train")
    assert [rows[0][name] for name in ("source", "id", "group", "selection")] == ["3", "7", "['a', 1]", None]


def test_texts_that_nobody_read_have_labels_to_be_judged_by(tokenizer):
    rows = [{"text": f"text {place}", "labels": []} for place in range(3)]
    dataset = DescriptorDataset(rows, tokenizer, NOTHING_KNOWN, 24)
    vocabulary = LabelVocabulary(["anger", "calm", "fear", "joy"], tokenizer, 12)
    batch = DescriptorBatches(vocabulary, tokenizer.pad_token_id)([dataset[place] for place in range(3)])
    assert len(batch["label_ids"]) == 3 and not batch["targets"].any()
    assert vocabulary.tokens(batch["label_ids"])[1].any()


def test_labels_that_a_lexicon_does_not_know_leave_the_head_as_it_is(tiny_model):
    model = tiny_model()
    before = model.dimension_head.weight.clone()
    refit_dimensions(model, torch.randn(5, model.config.projection_dim), torch.full((5, 3), torch.nan), [""] * 5)
    assert torch.equal(model.dimension_head.weight, before)


def test_descriptors_that_are_trained_on_are_not_held_out(splits):
    labels = ("adjustment", "joy")  # the shipped lexicon holds the first one out
    lexicon = load_data_of(splits(train=some(6, labels), validation=some(4, labels)))[2]
    assert lexicon.held_out and "adjustment" not in lexicon.held_out


def load_data_of(path, **more):
    return load_data(DataArguments(data=path, **({"lexicon": "default"} | more)), seed=1)


def test_a_data_set_without_texts_to_train_on_is_one_sentence(splits):
    with pytest.raises(ValueError, match="has no split `train`"):
        load_data_of(splits(validation=some(4), test=some(4)))


def test_few_held_out_texts_and_neutral_ones_are_measured(tiny_model, tokenizer):
    model, background = tiny_model(), ["a day", "a dog", "the sun"]
    rows = [{"text": "a day", "labels": ["neutral"]}, {"text": "a dog", "labels": ["neutral"]}]
    validator = Validator(rows, NOTHING_KNOWN, tokenizer, background)
    assert validator(model) == {"retrieval_map": 1.0, "plain_f1": 0.0, "selection": 0.5}
    one = validator.sampled(1)
    assert len(one.rows) == 1 and one.background == ["a day", "the sun"]
    alike = Validator(rows, NOTHING_KNOWN, tokenizer, ["a day", "a dog", "a day", "the sun"]).sampled(1)
    assert alike.background == ["a day", "a day", "a dog"]
    alike(model)
    assert model.background[1].any()


def test_words_to_validate_on_are_the_same_in_each_process():
    """Of like frequent words those of earlier texts, by their letters, however a set happens to be in order."""
    rows = [{"text": f"text {number}", "labels": [f"feeling {number}"]} for number in range(20)]
    implies = {row["labels"][0]: [f"word {number} {place}" for place in range(5)] for number, row in enumerate(rows)}
    validator = Validator(rows, Lexicon({}, implies, {"word 0 3"}), None, [])
    expected = [word for feeling, words in implies.items() for word in sorted([feeling, *words]) if word != "word 0 3"]
    assert validator.plain_words == expected[: len(validator.plain_words)] and len(validator.plain_words) == 60


def test_a_background_has_two_texts_at_least(tokenizer):
    rows = some(6)
    dataset = DescriptorDataset(rows, tokenizer, NOTHING_KNOWN, 24)
    arguments = SimpleNamespace(background_texts=1, data="mine.csv")
    assert len(_finishing_rows(arguments, rows, dataset)[0]) == 2
    with pytest.raises(ValueError, match=r"a background needs two texts, and data mine.csv gives 1"):
        _finishing_rows(arguments, rows[:1], dataset)
    with pytest.raises(ValueError, match=r"texts that differ, and the 2 that data mine.csv gives for it are all the"):
        same = [row | {"text": "a day" + "\u200b" * place} for place, row in enumerate(rows)]
        _finishing_rows(arguments, same, DescriptorDataset(same, tokenizer, NOTHING_KNOWN, 24))


@pytest.mark.parametrize(("share", "copies"), [(0.0, 0), (0.1, 3), (0.15, 5), (0.4, 12), (0.7, 21), (1.0, 30)])
def test_a_share_of_the_texts_is_copied(share, copies):
    rows = [{"text": f"my friend cried on day {place}", "labels": ["sad"]} for place in range(30)]
    assert len(with_copies(rows, share)) == 30 + copies


def viewed(monkeypatch, view, texts=20, say=None, **which):
    """The training rows of `texts` texts, whose second reading is `view`."""
    monkeypatch.setattr("emodistill.training.building.read_view", lambda *_: {row["id"]: row for row in view})
    rows = [row | {"id": str(place)} for place, row in enumerate(some(texts))]
    return _with_views(DataArguments(data="mine", **which), rows, [], say)


def test_ratings_are_read_as_a_table_writes_them(monkeypatch):
    words = {"labels": [], "valence": "5", "arousal": "4.5", "dominance": "5"}
    view = [words | {"id": str(place)} for place in range(18)] + [{"id": "18", "labels": ["joy"]}]
    said = []
    rows = viewed(monkeypatch, [*view, words | {"id": "19", "valence": None}], say=said.append, rated_config="rated")
    assert [row.get("rating") for row in rows] == [(5.0, 4.5, 5.0)] * 18 + [None] * 2 and rows[18]["plain"] == ["joy"]
    assert said[0].startswith("rated_config rated, id 19: valence must be a number from 1 to 9, not None")


def test_views_that_say_nothing_are_one_sentence(monkeypatch):
    with pytest.raises(ValueError, match="rated_config rated rates no text of data mine"):
        viewed(monkeypatch, [{"id": "1", "labels": ["joy"]}], rated_config="rated")
    with pytest.raises(ValueError, match="closed_config closed labels no training text"):
        viewed(monkeypatch, [], closed_config="closed", labels_from="closed")


def test_fewer_texts_than_any_group_has_cannot_be_drawn():
    with pytest.raises(ValueError, match=r"^1 text cannot be drawn: groups"):
        _drawn(some(4, group="a"), 1, seed=1)
