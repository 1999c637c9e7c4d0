"""How decision constants are chosen: every source in equal parts."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from emodistill.decision_emodistill import DecisionConstants, EmbeddedLabels, LabelStatistics
from emodistill.training import deciding
from emodistill.training.deciding import MIN_SOURCE, _most_centred, _quality, _sources, choose_decision
from emodistill.training.targets import Lexicon

CONSTANTS = DecisionConstants(version=2, multi_label_competition=0.4)


def source_texts():
    """Two sources of texts near six labels, which are not equally common in them; the labels' statistics."""
    generator = torch.Generator().manual_seed(3)
    unit = torch.nn.functional.normalize(torch.randn(6, 16, generator=generator), dim=-1)
    often = torch.tensor([[6.0, 4, 3, 1, 1, 1], [1.0, 1, 1, 3, 4, 6]])
    draws = [torch.multinomial(chances, MIN_SOURCE, replacement=True, generator=generator) for chances in often]
    places = torch.cat(draws)
    noise = torch.randn(len(places), 16, generator=generator) * 0.5
    texts = torch.nn.functional.normalize(unit[places] + noise, dim=-1)
    targets = torch.nn.functional.one_hot(places, 6).bool()
    statistics = LabelStatistics(background=(texts.mean(dim=0), torch.cov(texts.T)))
    return texts, targets, ["forum"] * MIN_SOURCE + ["diary"] * MIN_SOURCE, unit, statistics


def test_a_source_counts_no_more_for_being_larger():
    texts, targets, sources, unit, statistics = source_texts()
    forum = [place for place, name in enumerate(sources) if name == "forum"]
    larger = list(range(len(sources))) + forum * 5

    def quality(places):
        cases = [(EmbeddedLabels(list("abcdef"), unit), targets[places])]
        groups = _sources([sources[place] for place in places], cases)
        return _quality(texts[places], cases, groups, statistics, CONSTANTS)

    once, repeated = quality(list(range(len(sources)))), quality(larger)
    assert once.shape == (2,) and torch.allclose(once, repeated, atol=1e-6)
    pooled = _quality(
        texts[larger], [(EmbeddedLabels(list("abcdef"), unit), targets[larger])], [], statistics, CONSTANTS
    )
    assert abs(pooled.mean() - once.mean()) > 1e-3  # all texts together lean to the larger one


def test_sources_that_are_too_small_are_not_told_apart():
    cases = [(None, torch.ones(2 * MIN_SOURCE + 1, 2, dtype=torch.bool))]
    assert _sources(["forum"] * MIN_SOURCE + ["diary"] * (MIN_SOURCE - 1), cases) == []
    forum, diary = _sources(["forum", "diary"] * MIN_SOURCE + [None], cases)
    assert {tuple(forum.tolist()), tuple(diary.tolist())} == {
        tuple(range(0, 2 * MIN_SOURCE, 2)), tuple(range(1, 2 * MIN_SOURCE, 2))
    }  # fmt: skip


def test_of_what_does_as_well_the_most_centred_is_taken():
    kinds = [replace(CONSTANTS, label_centering=share) for share in (0.0, 0.4, 0.8)]
    level = [torch.tensor([0.50, 0.40, 0.60]), torch.tensor([0.48, 0.41, 0.60]), torch.tensor([0.40, 0.30, 0.50])]
    assert _most_centred(kinds, level).label_centering == 0.4
    kinds.append(replace(kinds[1], label_scaling=0.5))  # centred as much, and a little better
    assert _most_centred(kinds, [*level, level[1] + 0.005]).label_scaling == 0.5


def test_a_source_that_lacks_the_words_is_not_judged():
    _, targets, sources, _, _ = source_texts()
    targets = torch.cat([targets, targets])
    targets[:MIN_SOURCE, 1:] = False  # the forum has one of the words alone: nothing to tell apart
    sources = [*sources, *["plays"] * 2 * MIN_SOURCE]
    assert [len(places) for places in _sources(sources, [(None, targets)])] == [MIN_SOURCE, 2 * MIN_SOURCE]
    assert _sources(sources[: 2 * MIN_SOURCE], [(None, targets[: 2 * MIN_SOURCE])]) == []


@pytest.fixture
def choose(tiny_model, tokenizer, monkeypatch):
    """`choose(texts, targets, sources, unit, background, sets=4)`: constants of a model whose labels are `unit`."""

    def run(texts, targets, sources, unit, background, sets=4):
        words = ["joy", "anger", "fear", "sad", "calm", "pride"]
        labels = [[word for word, holds in zip(words, row, strict=True) if holds] for row in targets.tolist()]
        rows = [{"text": "", "labels": read, "source": name} for read, name in zip(labels, sources, strict=True)]
        validator = SimpleNamespace(rows=rows, lexicon=Lexicon({}, {}, set()), closed=[], tokenizer=tokenizer)
        model = tiny_model(projection_dim=16)
        model.set_background(background)
        monkeypatch.setattr(deciding, "encode_labels", lambda *_: unit)
        return choose_decision(model, validator, texts, background, sets=sets)

    return run


def test_where_a_single_source_can_be_judged_all_are_judged_together(choose):
    texts, targets, sources, unit, _ = source_texts()
    targets[:MIN_SOURCE] = targets.new_tensor([True] + [False] * 5)  # nothing to tell apart in the forum
    assert 0.0 <= choose(texts, targets, sources, unit, texts)["label_centering"] <= 1.0


@pytest.mark.parametrize(("another", "skewness"), [(False, 0.0), (True, 10.0)])
def test_a_background_of_nearly_one_text_gives_constants_that_can_be_saved(choose, another, skewness):
    texts, targets, sources, unit, _ = source_texts()
    background = texts[:1].repeat(2000, 1)
    if another:  # near all labels alike
        background[0] = torch.nn.functional.normalize(unit.sum(dim=0), dim=-1)
    found = choose(texts, targets, sources, unit, background, sets=2)
    assert DecisionConstants(**found).multi_label_skewness == skewness


def test_a_single_label_set_is_enough(choose):
    texts, targets, _, unit, _ = source_texts()
    found = choose(texts, targets, ["forum"] * len(texts), unit, texts, sets=1)
    assert DecisionConstants(**found).version == 2
