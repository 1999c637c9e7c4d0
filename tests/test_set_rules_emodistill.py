"""Version 2 of the rules: one threshold for a set, one order of its labels."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emodistill.decision_emodistill import DecisionConstants, EmbeddedLabels, LabelStatistics, score_labels
from emodistill.set_rules_emodistill import set_margins
from emodistill.training.deciding import label_sets, plain_readings
from emodistill.training.targets import Lexicon

CONSTANTS = DecisionConstants(
    version=2, multi_label_competition=0.4, label_centering=0.4, single_label_temperature=0.5
)


def draws(seed, labels, texts=40, d=12, words=9):
    generator = torch.Generator().manual_seed(seed)

    def unit(*shape):
        return torch.nn.functional.normalize(torch.randn(*shape, generator=generator), dim=-1)

    embeds = unit(400, d) + 0.4 * unit(1, d)
    background = embeds.mean(dim=0), torch.cov(embeds.T)
    reference = unit(words, d), unit(words, d)
    priors = torch.rand(words, generator=generator)
    statistics = LabelStatistics(background, reference, priors)
    return unit(texts, d), unit(labels, d), statistics


CHOSEN = ("label_centering", "label_scaling", "prior_weight", "rival_weight")
SETS = st.tuples(
    st.integers(0, 10**6), st.integers(1, 30), st.booleans(),
    st.fixed_dictionaries({name: st.floats(0, 1) for name in CHOSEN}),
)  # fmt: skip


@settings(deadline=None, max_examples=60)
@given(SETS, st.floats(0.2, 4))
def test_the_best_label_is_the_same_for_one_and_for_several(case, per_text):
    seed, number, has_neutral, chosen = case
    texts, embeds, statistics = draws(seed, number)
    names = [f"label {place}" for place in range(number)]
    names[-1] = "neutral" if has_neutral else names[-1]
    constants = replace(CONSTANTS, **chosen)
    labels = EmbeddedLabels(names, embeds)
    several = score_labels(texts, labels, statistics, constants, multi_label=True, labels_per_text=per_text)
    one = score_labels(texts, labels, statistics, constants, labels_per_text=per_text)
    assert torch.allclose(one.sum(dim=1), torch.ones(len(texts)), atol=1e-5)
    assert ((several >= 0) & (several <= 1)).all()
    at_best = several.gather(1, one.argmax(dim=1, keepdim=True)).squeeze(1)
    assert torch.allclose(at_best, several.max(dim=1).values, atol=1e-5)
    if has_neutral and number > 1:
        assert (several.max(dim=1).values >= 0.5 - 1e-6).all()  # neutral where nothing else is


@settings(deadline=None, max_examples=40)
@given(SETS)
def test_arrays_and_tensors_are_scored_alike(case):
    seed, number, has_neutral, chosen = case
    texts, embeds, statistics = draws(seed, number)
    names = [f"label {place}" for place in range(number)]
    names[0] = "neutral" if has_neutral else names[0]
    constants = replace(CONSTANTS, **chosen)
    arrays = LabelStatistics(
        *(tuple(part.numpy() for part in parts) for parts in (statistics.background, statistics.reference)),
        statistics.reference_priors.numpy(),
    )
    for multi_label in (True, False):
        expected = score_labels(texts, EmbeddedLabels(names, embeds), statistics, constants, multi_label)
        found = score_labels(texts.numpy(), EmbeddedLabels(names, embeds.numpy()), arrays, constants, multi_label)
        assert isinstance(found, np.ndarray) and np.allclose(found, expected.numpy(), atol=2e-4)


@pytest.mark.parametrize(("per_text", "scaling"), [(0.5, 0.0), (1.0, 0.0), (2.0, 0.0), (1.0, 0.5), (1.0, 1.0)])
def test_a_normal_background_is_given_as_many_labels_as_expected(per_text, scaling):
    generator = torch.Generator().manual_seed(3)
    texts = torch.randn(60_000, 16, generator=generator) / 4
    labels = torch.nn.functional.normalize(torch.randn(9, 16, generator=generator), dim=-1)
    statistics = LabelStatistics((texts.mean(dim=0), torch.cov(texts.T)))
    label_set = EmbeddedLabels([str(place) for place in range(9)], labels)
    constants = replace(CONSTANTS, label_scaling=scaling)
    scores = score_labels(texts, label_set, statistics, constants, multi_label=True, labels_per_text=per_text)
    assert (scores >= 0.5).sum(dim=1).float().mean().item() == pytest.approx(per_text, rel=0.05)


@pytest.mark.parametrize("per_text", [1e-300, 1e-17, 1e-9])
def test_hardly_any_label_a_text_may_be_asked_for(per_text):
    texts, embeds, statistics = draws(2, 3)
    labels = EmbeddedLabels(["a", "b", "neutral"], embeds)
    scores = score_labels(texts, labels, statistics, CONSTANTS, multi_label=True, labels_per_text=per_text)
    assert (scores[:, :2] < 0.5).all() and (scores[:, 2] >= 0.5).all()


def test_labels_that_vary_more_are_scaled_down():
    """Two labels alike but for their spread over the background: unscaled the wide one wins, scaled they are level."""
    statistics = LabelStatistics((torch.zeros(2), torch.diag(torch.tensor([0.04, 0.01]))))
    text, labels = torch.tensor([[0.2, 0.1]]), EmbeddedLabels(["wide", "narrow"], torch.eye(2))
    constants = replace(CONSTANTS, multi_label_competition=0.0, label_centering=0.0)
    plain, half, level = (
        score_labels(text, labels, statistics, replace(constants, label_scaling=power))[0] for power in (0.0, 0.5, 1.0)
    )
    assert plain[0] > half[0] > level[0] and level.tolist() == pytest.approx([0.5, 0.5])


def test_labels_yield_to_the_strongest_that_holds_and_neutral_is_no_rival():
    statistics = LabelStatistics((torch.zeros(3), torch.eye(3) * 0.01))
    constants = replace(CONSTANTS, multi_label_competition=0.0, label_centering=0.0)
    labels = EmbeddedLabels(["joy", "pride", "neutral"], torch.eye(3))
    threshold = labels.threshold(statistics, constants, statistics.background)
    at = threshold.thresholds * threshold.units + threshold.units * torch.tensor(
        [[2.0, 0.5, -3.0], [2.0, 0.1, 5.0], [-1.0, -0.5, -3.0]]
    )
    plain, yielded = (
        set_margins(at, threshold, replace(constants, rival_weight=weight), labels.neutral) for weight in (0.0, 0.1)
    )
    assert plain[:, :2].flatten().tolist() == pytest.approx([2.0, 0.5, 2.0, 0.1, -1.0, -0.5], abs=1e-4)
    assert yielded[:, :2].flatten().tolist() == pytest.approx([1.95, 0.3, 1.99, -0.1, -1.0, -0.5], abs=1e-4)
    assert yielded[:, 2].tolist() == pytest.approx([-1.95, 5.0, 0.5], abs=1e-4)


def test_more_labels_a_text_take_none_away():
    texts, embeds, statistics = draws(5, 8)
    labels = EmbeddedLabels([str(place) for place in range(8)], embeds)
    few, many = (
        score_labels(texts, labels, statistics, CONSTANTS, multi_label=True, labels_per_text=number) >= 0.5
        for number in (0.8, 2.0)
    )
    assert (many | ~few).all() and many.sum() > few.sum()


def test_a_label_of_commoner_words_is_given_more_often_where_priors_count():
    texts, embeds, statistics = draws(7, 6, texts=300)
    labels = EmbeddedLabels([str(place) for place in range(6)], embeds)
    constants, priors = replace(CONSTANTS, prior_weight=0.3), torch.full((6,), 0.01)
    known = replace(statistics, reference=(embeds, embeds))
    for place in range(6):  # each label is a word of the vocabulary itself
        plain, raised = (
            score_labels(texts, labels, replace(known, reference_priors=values), constants, multi_label=True)
            for values in (priors, priors.index_fill(0, torch.tensor(place), 0.5))
        )
        assert (raised[:, place] >= 0.5).sum() >= (plain[:, place] >= 0.5).sum()


def test_plain_words_of_texts_that_people_wrote():
    lexicon = Lexicon({}, {"glee": ["joy", "delight"], "dread": ["fear"]}, {"delight"})
    rows = [{"labels": ["glee"], "source": "reddit"}, {"labels": ["fear", "neutral"], "source": "tweets"},
            {"labels": ["dread"], "source": "written"}]  # fmt: skip
    places, words, targets = plain_readings(rows, lexicon)
    assert places == [0, 1] and sorted(words) == ["fear", "joy"]
    assert targets[:, words.index("joy")].tolist() == [True, False]
    assert all(len(set(columns)) == len(columns) == 2 for columns in label_sets(targets, 5))


@settings(deadline=None, max_examples=30)
@given(st.randoms(use_true_random=False))
def test_a_set_that_was_scored_before_is_scored_as_if_anew(chooser):
    """Whatever constants it was scored with: what it keeps is taken only where it holds."""
    texts, embeds, statistics = draws(chooser.randrange(10**6), 5)
    names = ["a", "b", "c", "d", "neutral"]
    kept = EmbeddedLabels(names, embeds)
    ranges = {
        "multi_label_slope": (0.5, 4), "single_label_temperature": (0.1, 2), "expected_labels": (0.5, 3),
        "label_centering": (0, 1), "label_scaling": (0, 1), "multi_label_skewness": (-1, 1),
        "word_nearness": (0.1, 0.8), "rival_weight": (0, 1),
    }  # fmt: skip
    constants = replace(CONSTANTS, prior_weight=0.2)
    for _ in range(6):
        name = chooser.choice(sorted(ranges))
        constants = replace(constants, **{name: chooser.uniform(*ranges[name])})
        several = chooser.random() < 0.5
        found = score_labels(texts, kept, statistics, constants, multi_label=several)
        anew = score_labels(texts, EmbeddedLabels(names, embeds), statistics, constants, multi_label=several)
        assert torch.equal(found, anew)


def test_what_scales_margins_leaves_a_sets_threshold():
    _, embeds, statistics = draws(1, 4)
    labels = EmbeddedLabels(list("abcd"), embeds)
    first = labels.threshold(statistics, CONSTANTS, statistics.background)
    for changes, same in (({"multi_label_slope": 9.0}, True), ({"single_label_temperature": 2.0}, True),
                          ({"expected_labels": 3.0}, False)):  # fmt: skip
        found = labels.threshold(statistics, replace(CONSTANTS, **changes), statistics.background)
        assert (found is first) == same
