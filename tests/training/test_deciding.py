"""How decision constants are chosen: every source in equal parts."""

from dataclasses import replace
from types import SimpleNamespace

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
        return _quality(texts[places], cases, _sources([sources[place] for place in places]), statistics, CONSTANTS)

    once, repeated = quality(list(range(len(sources)))), quality(larger)
    assert once.shape == (2,) and torch.allclose(once, repeated, atol=1e-6)
    pooled = _quality(
        texts[larger], [(EmbeddedLabels(list("abcdef"), unit), targets[larger])], [], statistics, CONSTANTS
    )
    assert abs(pooled.mean() - once.mean()) > 1e-3  # all texts together lean to the larger one


def test_sources_that_are_too_small_are_not_told_apart():
    assert _sources(["forum"] * MIN_SOURCE + ["diary"] * (MIN_SOURCE - 1)) == []
    forum, diary = _sources(["forum", "diary"] * MIN_SOURCE + [None])
    assert {tuple(forum.tolist()), tuple(diary.tolist())} == {
        tuple(range(0, 2 * MIN_SOURCE, 2)), tuple(range(1, 2 * MIN_SOURCE, 2))
    }  # fmt: skip


def test_of_what_does_as_well_the_most_centred_is_taken():
    kinds = [replace(CONSTANTS, label_centering=share) for share in (0.0, 0.4, 0.8)]
    level = [torch.tensor([0.50, 0.40, 0.60]), torch.tensor([0.48, 0.41, 0.60]), torch.tensor([0.40, 0.30, 0.50])]
    assert _most_centred(kinds, level).label_centering == 0.4


def test_words_that_a_source_lacks_are_not_judged_there():
    texts, targets, sources, unit, statistics = source_texts()
    targets = targets.clone()
    targets[:MIN_SOURCE, 1:] = False  # the forum has one of the words alone: nothing to tell apart
    cases = [(EmbeddedLabels(list("abcdef"), unit), targets)]
    assert _quality(texts, cases, _sources(sources), statistics, CONSTANTS).shape == (1,)


def test_where_a_single_source_can_be_judged_all_are_judged_together(tiny_model, tokenizer, monkeypatch):
    texts, targets, sources, unit, _ = source_texts()
    words = ["joy", "anger", "fear", "sad", "calm", "pride"]
    labels = [[words[place]] for place in targets.int().argmax(dim=1).tolist()]
    labels[:MIN_SOURCE] = [["joy"]] * MIN_SOURCE  # nothing to tell apart in the forum
    rows = [{"text": "", "labels": read, "source": name} for read, name in zip(labels, sources, strict=True)]
    validator = SimpleNamespace(rows=rows, lexicon=Lexicon({}, {}, set()), closed=[], tokenizer=tokenizer)
    model = tiny_model(projection_dim=16)
    model.set_background(texts)
    monkeypatch.setattr(deciding, "encode_labels", lambda *_: unit)
    found = choose_decision(model, validator, texts, texts, sets=4)
    assert 0.0 <= found["label_centering"] <= 1.0
