import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emodistill.decision_emodistill import (
    DecisionConstants,
    EmbeddedLabels,
    LabelStatistics,
    background_of_labels,
    dimension_scores,
    extend_labels,
    multi_label_cut,
    multi_label_cuts,
    multi_label_scores,
    neutral_place,
    neutral_wording,
    score_labels,
    select_labels,
    single_label_scores,
    standardise,
)

WIDTH = 12
CONSTANTS = st.builds(
    DecisionConstants,
    expected_labels=st.floats(0.01, 4),
    multi_label_slope=st.floats(0.1, 5),
    multi_label_competition=st.floats(0, 0.9),
    multi_label_skewness=st.floats(0, 1.5),
    single_label_centering=st.floats(0, 1),
    single_label_scaling=st.floats(0, 1),
    single_label_temperature=st.floats(0.01, 1),
)
SEEDS = st.integers(min_value=0, max_value=2**31)
RULES = pytest.mark.parametrize("rule", [multi_label_scores, single_label_scores])


def unit(generator, *shape):
    return torch.nn.functional.normalize(torch.randn(*shape, generator=generator), dim=-1)


def own_words(number):
    return DecisionConstants(label_own_words=number)


def world(seed, texts=6, labels=5):
    """Random similarities, label embeddings and a background of real vectors."""
    generator = torch.Generator().manual_seed(seed)
    label_embeds = unit(generator, labels, WIDTH)
    vectors = unit(generator, 300, WIDTH)
    background = vectors.mean(dim=0), torch.cov(vectors.T)
    return unit(generator, texts, WIDTH) @ label_embeds.T, label_embeds, background


@RULES
@given(seed=SEEDS, constants=CONSTANTS, neutral=st.none() | st.integers(0, 4))
@settings(deadline=None)
def test_order_of_labels_and_the_rest_of_the_batch_change_nothing(rule, seed, constants, neutral):
    similarities, labels, background = world(seed)
    generator = torch.Generator().manual_seed(seed)
    order = torch.randperm(len(labels), generator=generator)
    scores = rule(similarities, labels, background, constants, neutral)
    moved = None if neutral is None else order.tolist().index(neutral)
    shuffled = rule(similarities[:, order], labels[order], background, constants, moved)
    torch.testing.assert_close(shuffled, scores[:, order], atol=1e-4, rtol=0)
    alone = torch.cat([rule(row[None], labels, background, constants, neutral) for row in similarities])
    torch.testing.assert_close(alone, scores, atol=1e-4, rtol=0)


@given(seed=SEEDS, constants=CONSTANTS)
@settings(deadline=None)
def test_without_competition_a_multi_label_score_depends_on_the_size_of_the_set_alone(seed, constants):
    similarities, labels, background = world(seed)
    constants = replace(constants, multi_label_competition=0.0)
    scores = multi_label_scores(similarities, labels, background, constants)
    for index in range(len(labels)):
        same = [index] * len(labels)
        alike = multi_label_scores(similarities[:, same], labels[same], background, constants)
        torch.testing.assert_close(alike, scores[:, same], atol=1e-4, rtol=0)


@given(expected=st.floats(0.01, 5), size=st.integers(1, 200), skewness=st.floats(0, 1.5))
def test_the_cut_rises_with_the_set_and_falls_with_the_expected_labels(expected, size, skewness):
    cut = multi_label_cut(size, expected, skewness)
    assert multi_label_cut(size + 1, expected, skewness) >= cut >= multi_label_cut(size, expected + 0.1, skewness)
    assert cut >= multi_label_cut(1, 1.0, skewness) > 0.3  # no label is taken to hold for more than three in ten


@given(expected=st.floats(0.01, 5), size=st.integers(2, 200), skewness=st.floats(0, 1.5), data=st.data())
def test_neutral_is_never_rarer_than_another_label_however_many_there_are(expected, size, skewness, data):
    neutral = data.draw(st.integers(0, size - 1))
    cuts = torch.tensor(multi_label_cuts(size, expected, skewness, neutral))
    others = torch.cat([cuts[:neutral], cuts[neutral + 1 :]])
    assert (others == others[0]).all() and cuts[neutral] <= others[0]
    of_a_larger_set = torch.tensor(multi_label_cuts(size + 1, expected, skewness, neutral))
    assert cuts[neutral] == of_a_larger_set[neutral]
    assert multi_label_cuts(size, expected, skewness) == [multi_label_cut(size, expected, skewness)] * size


def test_neutral_is_found_by_its_name():
    assert neutral_place(("joy", "NEUTRAL", "fear")) == 1
    assert neutral_place(("joy", "neutrality")) is None and neutral_place(()) is None
    assert neutral_place(("No_Emotion", "joy")) == 0 and neutral_place(("joy", "no-emotions", "none")) == 1
    assert neutral_place(("none", "joy", "neutral")) == 2  # the name that means nothing else
    assert neutral_wording(("none", "joy", "Neutral")) == ["none", "joy", "neutral"]
    assert neutral_wording(("joy", "No Emotion")) == ["joy", "neutral"] and neutral_wording(()) == []


@pytest.mark.parametrize("neutral", [None, 3])
def test_over_a_normal_background_the_expected_number_of_labels_is_predicted(neutral):
    generator = torch.Generator().manual_seed(4)
    vectors, labels = torch.randn(20_000, WIDTH, generator=generator), unit(generator, 12, WIDTH)
    background = vectors.mean(dim=0), torch.cov(vectors.T)
    constants = DecisionConstants(expected_labels=1.6)
    scores = multi_label_scores(vectors @ labels.T, labels, background, constants, neutral)
    assert (scores >= 0.5).sum(dim=1).float().mean().item() == pytest.approx(1.6, abs=0.05)
    if neutral is not None:
        assert (scores[:, neutral] >= 0.5).float().mean().item() == pytest.approx(0.3, abs=0.01)


@given(seed=SEEDS, constants=CONSTANTS, neutral=st.integers(0, 4))
@settings(deadline=None)
def test_neutral_has_a_lead_among_single_labels_and_the_others_keep_their_odds(seed, constants, neutral):
    similarities, labels, background = world(seed)
    without = single_label_scores(similarities, labels, background, constants).double()
    scores = single_label_scores(similarities, labels, background, constants, neutral).double()
    assert (scores[:, neutral] >= without[:, neutral] - 1e-6).all()
    others = [place for place in range(5) if place != neutral]
    left, right = scores[:, others], without[:, others]
    shares = right / right.sum(dim=1, keepdim=True) * left.sum(dim=1, keepdim=True)
    torch.testing.assert_close(left, shares, atol=1e-4, rtol=0)


def test_neutrals_lead_is_the_distance_of_its_cut_in_deviations():
    similarities, labels, background = world(3)
    constants = DecisionConstants(multi_label_skewness=0.5, single_label_temperature=0.2)
    cuts = multi_label_cuts(5, 1.0, 0.5, neutral=2)
    assert cuts[2] < cuts[0]
    _, deviation = background_of_labels(labels, background)
    without, scores = (single_label_scores(similarities, labels, background, constants, place) for place in (None, 2))
    moved = (scores[:, 2] / scores[:, 0]).log() - (without[:, 2] / without[:, 0]).log()
    torch.testing.assert_close(moved, ((cuts[0] - cuts[2]) * deviation[2] / 0.2).expand(len(moved)), atol=1e-4, rtol=0)


@pytest.mark.parametrize("share", [0.02, 0.05, 0.2])
def test_the_cut_of_skewed_scores_is_exceeded_by_the_share_that_it_stands_for(share):
    """A gamma distribution of shape 10 has skewness 2 / √10 = 0.63, about what emotions show."""
    generator = torch.Generator().manual_seed(3)
    scores = torch.empty(10, 200_000, dtype=torch.float64).exponential_(generator=generator).sum(dim=0)
    scores = (scores - scores.mean()) / scores.std()
    corrected, plain = (multi_label_cut(100, share * 100, skewness) for skewness in (0.63, 0.0))
    assert (scores >= corrected).double().mean().item() == pytest.approx(share, rel=0.06)
    assert abs((scores >= plain).double().mean().item() - share) > abs((scores >= corrected).double().mean() - share)


@given(seed=SEEDS, competition=st.floats(0.01, 0.9))
@settings(deadline=None)
def test_competing_scores_are_standardised_differences_to_the_set(seed, competition):
    """The closed form against the background's vectors themselves."""
    generator = torch.Generator().manual_seed(seed)
    vectors, labels = unit(generator, 400, WIDTH), unit(generator, 7, WIDTH)
    background = vectors.mean(dim=0), torch.cov(vectors.T)
    alone = standardise(vectors @ labels.T, labels, background)
    differences = alone - competition * alone.mean(dim=1, keepdim=True)
    expected = (differences - differences.mean(dim=0)) / differences.std(dim=0)
    competing = standardise(vectors @ labels.T, labels, background, competition)
    torch.testing.assert_close(competing, expected, atol=2e-3, rtol=2e-3)


def test_a_label_by_itself_has_nothing_to_compete_with():
    similarities, labels, background = world(5, labels=1)
    torch.testing.assert_close(
        standardise(similarities, labels, background, 0.4), standardise(similarities, labels, background)
    )


NAMES = ("joy", "anger", "Neutral", "fear", "relief")


@given(seed=SEEDS, constants=CONSTANTS, multi_label=st.booleans())
@settings(deadline=None)
def test_score_labels_joins_the_pieces(seed, constants, multi_label):
    """Extended labels, cosine, the rule, with `neutral` found by its name; kept pieces change nothing."""
    generator = torch.Generator().manual_seed(seed)
    _, labels, background = world(seed)
    texts, statistics = unit(generator, 6, WIDTH), LabelStatistics(background, vocabulary(seed))
    label_set = EmbeddedLabels(NAMES, labels)
    extended = extend_labels(labels, statistics.reference, background, constants)
    rule = multi_label_scores if multi_label else single_label_scores
    expected = rule(texts @ extended.T, extended, background, constants, 2)
    for _ in range(2):
        assert torch.equal(score_labels(texts, label_set, statistics, constants, multi_label), expected)
    other = replace(constants, label_own_words=constants.label_own_words + 1.0)
    fresh = score_labels(texts, EmbeddedLabels(NAMES, labels), statistics, other, multi_label)
    assert torch.equal(score_labels(texts, label_set, statistics, other, multi_label), fresh)


def test_labels_per_text_stands_in_for_the_learnt_number():
    _, labels, background = world(4)
    texts, statistics = unit(torch.Generator().manual_seed(4), 6, WIDTH), LabelStatistics(background)
    label_set, constants = EmbeddedLabels(NAMES, labels), DecisionConstants()
    few, learnt, many = (score_labels(texts, label_set, statistics, constants, True, n) for n in (0.2, 0.6, 1.2))
    assert (few < learnt).all() and (learnt <= many).all() and (learnt[:, [0, 1, 3, 4]] < many[:, [0, 1, 3, 4]]).all()
    expected = score_labels(texts, label_set, statistics, replace(constants, expected_labels=1.2), True)
    assert torch.equal(many, expected)
    assert torch.equal(
        score_labels(texts, label_set, statistics, constants, True),
        score_labels(texts, label_set, statistics, constants, True, labels_per_text=constants.expected_labels),
    )


def test_another_background_standardises_and_the_checkpoints_own_extends():
    _, labels, background = world(6)
    _, _, other = world(7)
    texts, constants = unit(torch.Generator().manual_seed(6), 6, WIDTH), DecisionConstants()
    statistics = LabelStatistics(background, vocabulary(6))
    extended = extend_labels(labels, statistics.reference, background, constants)
    expected = multi_label_scores(texts @ extended.T, extended, other, constants, 2)
    label_set = EmbeddedLabels(NAMES, labels)
    assert torch.equal(score_labels(texts, label_set, statistics, constants, True, background=other), expected)


def test_without_a_background_the_losss_own_sigmoid_stands_in():
    _, labels, _ = world(8)
    texts, label_set = unit(torch.Generator().manual_seed(8), 6, WIDTH), EmbeddedLabels(NAMES, labels)
    scores = score_labels(texts, label_set, LabelStatistics(logit=(10.0, -4.0)), DecisionConstants(), True)
    torch.testing.assert_close(scores, torch.sigmoid(texts @ labels.T * 10.0 - 4.0))
    with pytest.raises(ValueError, match="need a background"):
        score_labels(texts, label_set, LabelStatistics(), DecisionConstants(), True)
    with pytest.raises(ValueError, match="must be of one length, not 2 and 5"):
        EmbeddedLabels(["joy", "fear"], labels)


def vocabulary(seed, words=20):
    generator = torch.Generator().manual_seed(seed + 1)
    return unit(generator, words, WIDTH), unit(generator, words, WIDTH)


@given(seed=SEEDS, own=st.floats(0.1, 50))
@settings(deadline=None)
def test_extended_labels_are_unit_vectors_whatever_their_order(seed, own):
    _, labels, background = world(seed)
    reference = vocabulary(seed)
    extended = extend_labels(labels, reference, background, own_words(own))
    torch.testing.assert_close(extended.norm(dim=1), torch.ones(len(labels)), atol=1e-4, rtol=0)
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    shuffled = extend_labels(labels[order], reference, background, own_words(own))
    torch.testing.assert_close(shuffled, extended[order], atol=1e-4, rtol=0)


@given(seed=SEEDS)
@settings(deadline=None)
def test_a_label_turns_by_at_most_45_degrees(seed):
    """Words that correlate with a label and move in their own direction turn it by at most 45 degrees."""
    _, labels, _ = world(seed)
    words, _ = vocabulary(seed)
    extended = extend_labels(labels, (words, words), (torch.zeros(WIDTH), torch.eye(WIDTH)), own_words(0.01))
    assert ((extended * labels).sum(dim=1) > 0.5**0.5 - 1e-4).all()


def test_labels_stay_as_they_are_alone_or_without_a_vocabulary_or_background():
    _, labels, background = world(1)
    reference = vocabulary(1)
    for same in (
        extend_labels(labels[:1], reference, background, own_words(10.0)),
        extend_labels(labels, None, background, own_words(10.0))[:1],
        extend_labels(labels, reference, None, own_words(10.0))[:1],
    ):
        assert torch.equal(same, labels[:1])


def test_a_word_near_none_of_the_labels_goes_to_none():
    axes = torch.eye(WIDTH)
    background = torch.zeros(WIDTH), torch.eye(WIDTH)
    far = torch.nn.functional.normalize(axes[2:3] + 0.2 * axes[:1], dim=1)  # correlates by 0.2
    near = torch.nn.functional.normalize(axes[2:3] + 2.0 * axes[:1], dim=1)  # by 0.9
    moved = [
        1 - extend_labels(axes[:2], (word, word), background, own_words(1.0))[0, 0].item() for word in (far, near)
    ]
    assert moved[0] < 2e-3 < 0.02 < moved[1]


def test_a_word_goes_to_the_nearest_label_and_the_more_labels_the_less_to_each():
    axes = torch.eye(WIDTH)
    background = torch.zeros(WIDTH), torch.eye(WIDTH)
    words = torch.nn.functional.normalize(axes[:6] + 0.5 * axes[0], dim=1)
    moved = [1 - (extend_labels(axes[:k], (words, words), background, own_words(2.0))[0, 0]).item() for k in (2, 4, 6)]
    assert moved[0] > moved[1] > moved[2] > 0
    extended = extend_labels(axes[:2], (words[1:2], words[1:2]), background, own_words(1.0))
    near, far = 1 - extended[1, 1], 1 - extended[0, 0]
    assert near > 5 * far


@given(seed=SEEDS, constants=CONSTANTS)
@settings(deadline=None)
def test_one_half_is_the_cut(seed, constants):
    similarities, labels, background = world(seed)
    constants = replace(constants, multi_label_competition=0.0)
    standardised = standardise(similarities, labels, background)
    scores = multi_label_scores(similarities, labels, background, constants)
    assert ((scores >= 0) & (scores <= 1)).all()
    cut = multi_label_cut(len(labels), constants.expected_labels, constants.multi_label_skewness)
    clear = (standardised - cut).abs() > 1e-3
    assert torch.equal((scores >= 0.5)[clear], (standardised >= cut)[clear])
    mean, deviation = background_of_labels(labels, background)
    at_the_cut = (mean + cut * deviation)[None]
    halves = multi_label_scores(at_the_cut, labels, background, constants)
    torch.testing.assert_close(halves, torch.full_like(halves, 0.5), atol=1e-4, rtol=0)


@given(seed=SEEDS)
@settings(deadline=None)
def test_background_statistics_are_those_of_the_similarities_themselves(seed):
    generator = torch.Generator().manual_seed(seed)
    vectors, labels = unit(generator, 400, WIDTH), unit(generator, 7, WIDTH)
    mean, deviation = background_of_labels(labels, (vectors.mean(dim=0), torch.cov(vectors.T)))
    similarities = vectors @ labels.T
    torch.testing.assert_close(mean, similarities.mean(dim=0), atol=1e-5, rtol=0)
    torch.testing.assert_close(deviation, similarities.std(dim=0), atol=1e-5, rtol=1e-4)
    standardised = standardise(similarities, labels, (vectors.mean(dim=0), torch.cov(vectors.T)))
    torch.testing.assert_close(standardised.mean(dim=0), torch.zeros(7), atol=1e-4, rtol=0)
    torch.testing.assert_close(standardised.std(dim=0), torch.ones(7), atol=1e-3, rtol=0)


def test_a_background_without_spread_gives_no_nan():
    labels = torch.eye(2)
    scores = multi_label_scores(torch.eye(2), labels, (torch.zeros(2), torch.zeros(2, 2)), DecisionConstants())
    assert scores.isfinite().all()


def test_the_models_background_is_what_the_rules_expect(tiny_model):
    model = tiny_model(background=False)
    generator = torch.Generator().manual_seed(1)
    vectors, labels = unit(generator, 500, 24), unit(generator, 3, 24)
    model.set_background(vectors)
    mean, deviation = background_of_labels(labels, model.background)
    torch.testing.assert_close(mean, (vectors @ labels.T).mean(dim=0), atol=1e-5, rtol=0)
    torch.testing.assert_close(deviation, (vectors @ labels.T).std(dim=0), atol=1e-5, rtol=1e-4)


@given(seed=SEEDS, constants=CONSTANTS, with_background=st.booleans())
@settings(deadline=None)
def test_single_label_scores_add_up_to_one(seed, constants, with_background):
    similarities, labels, background = world(seed)
    scores = single_label_scores(similarities, labels, background if with_background else None, constants)
    torch.testing.assert_close(scores.sum(dim=1), torch.ones(len(scores)))
    assert (scores >= 0).all()


def test_single_label_by_hand():
    similarities = torch.tensor([[0.5, 0.4]])
    raw = single_label_scores(similarities, torch.eye(2), None, DecisionConstants(single_label_temperature=0.1))
    assert raw[0, 0].item() == pytest.approx(1 / (1 + math.exp(-1)), rel=1e-5)
    # Means 0.3 and 0.1, deviations 0.3 and 0.1 (0.2 on average): ((0.5-0.3)/1.5, (0.4-0.1)/0.5) = (0.1333, 0.6)
    background = torch.tensor([0.3, 0.1]), torch.diag(torch.tensor([0.09, 0.01]))
    constants = DecisionConstants(single_label_centering=1.0, single_label_scaling=1.0, single_label_temperature=0.1)
    scores = single_label_scores(similarities, torch.eye(2), background, constants)
    assert scores[0, 1].item() == pytest.approx(1 / (1 + math.exp((0.1333333 - 0.6) / 0.1)), rel=1e-4)


@given(st.lists(st.tuples(st.floats(0, 1, width=32), st.floats(0, 1)), min_size=1, max_size=8))
@settings(deadline=None)
def test_selection_is_by_threshold_alone_without_a_fallback(pairs):
    scores = torch.tensor([[score for score, _ in pairs]])
    chosen = select_labels(scores, [least for _, least in pairs])
    assert chosen.tolist() == [[score >= least for score, least in pairs]]
    assert not select_labels(scores, [2.0] * len(pairs)).any()


def test_selection_refuses_thresholds_that_do_not_match():
    with pytest.raises(RuntimeError):
        select_labels(torch.rand(2, 3), [0.5, 0.5])


@given(seed=SEEDS)
@settings(deadline=None)
def test_dimensions_point_to_the_upper_pole_and_turn_with_the_poles(seed):
    generator = torch.Generator().manual_seed(seed)
    high, low, texts = unit(generator, 3, WIDTH), unit(generator, 2, WIDTH), unit(generator, 5, WIDTH)
    values = dimension_scores(texts, high, low)
    expected = (texts @ high.T).mean(dim=1) - (texts @ low.T).mean(dim=1)
    torch.testing.assert_close(values, expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(dimension_scores(texts, low, high), -values, atol=1e-5, rtol=0)
    assert dimension_scores(high[:1], high[:1], -high[:1]).item() == pytest.approx(2.0, abs=1e-4)
    assert (values.abs() <= 2).all()


@RULES
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_scored_in_fp32(rule, dtype):
    similarities, labels, background = world(0)
    similarities, labels = similarities.to(dtype), labels.to(dtype)
    scores = rule(similarities, labels, background, DecisionConstants())
    assert scores.dtype == torch.float32
    torch.testing.assert_close(scores, rule(similarities.float(), labels.float(), background, DecisionConstants()))
