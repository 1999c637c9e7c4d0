"""How descriptors become targets."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from emodistill.training.data import DescriptorBatches, Vocabulary
from emodistill.training.objective import confusable_labels
from emodistill.training.targets import Lexicon, felt_rating, text_weights, weigh_labels

LEXICON = Lexicon({}, {"glee": ["joy", "delight"], "bliss": ["joy", "calm"], "rage": ["anger"]}, set())
SHARES = st.floats(0.01, 1)
LABELS = st.lists(st.sampled_from(["glee", "bliss", "rage", "joy", "neutral"]), max_size=5)


def test_less_salient_descriptors_and_what_they_imply_count_less():
    weights = weigh_labels(["glee", "rage"], LEXICON, 0.5, 0.5, salience_decay=0.8)
    assert weights == pytest.approx({"glee": 1.0, "joy": 0.5, "delight": 0.25, "rage": 0.8, "anger": 0.4})


def test_descriptors_that_agree_imply_a_word_more():
    apart = weigh_labels(["glee", "bliss"], LEXICON, 0.5, 0.5)
    together = weigh_labels(["glee", "bliss"], LEXICON, 0.5, 0.5, implied_agreement=True)
    assert apart["joy"] == 0.5 and together["joy"] == 0.75  # 1 - 0.5 * 0.5
    assert {word: weight for word, weight in together.items() if word != "joy"} == {
        word: weight for word, weight in apart.items() if word != "joy"
    }


@given(LABELS, SHARES, SHARES, LABELS, LABELS, SHARES, SHARES, st.booleans())
def test_weights_are_shares_and_no_view_takes_from_another(
    labels, implied, decay, closed, plain, rated, salience, agreement
):
    weights = weigh_labels(labels, LEXICON, implied, decay, closed, plain, rated, salience, agreement)
    assert all(0.0 < weight <= 1.0 for weight in weights.values())
    assert all(weights[label] == 1.0 for label in [*labels[:1], *closed])
    assert all(weights[label] >= rated for label in plain)
    more = weigh_labels(labels, LEXICON, implied, decay, closed, plain, rated, 1.0, True)
    assert weights.keys() == more.keys() and all(weights[label] <= more[label] + 1e-12 for label in weights)


@given(st.lists(st.dictionaries(st.sampled_from(["joy", "envy", "wry glee"]), SHARES), max_size=40), st.floats(0, 1))
def test_texts_count_one_on_average_and_those_of_rarer_words_more(weights, balance):
    values = text_weights(weights, {"joy", "envy"}, balance)
    assert len(values) == len(weights) and all(value > 0 for value in values)
    known = [value for value, labels in zip(values, weights, strict=True) if labels.keys() & {"joy", "envy"}]
    assert not known or sum(known) / len(known) == pytest.approx(1.0)
    assert all(value == 1.0 for value, labels in zip(values, weights, strict=True) if not labels.keys() - {"wry glee"})
    if balance == 0:
        assert values == pytest.approx([1.0] * len(values))


def test_at_full_balance_a_text_counts_in_inverse_proportion_to_its_words_targets():
    texts = [{"joy": 1.0}] * 300 + [{"envy": 0.5}] * 100
    values = text_weights(texts, {"joy", "envy"}, 1.0)
    assert values[-1] == pytest.approx(6 * values[0])  # 300 against 50


POINTS = st.floats(1, 9)


@given(POINTS, POINTS, POINTS, POINTS, st.floats(0, 10))
def test_felt_arousal_stays_on_its_scale_and_keeps_to_order(valence, arousal, other, dominance, share):
    felt = felt_rating((valence, arousal, dominance), share)
    assert (felt[0], felt[2]) == (valence, dominance) and arousal <= felt[1] <= 9.0
    assert felt_rating((valence, arousal, dominance), 0.0) == pytest.approx((valence, arousal, dominance))
    assert felt_rating((10.0 - valence, arousal, dominance), share)[1] == pytest.approx(felt[1])  # of either sign
    assert felt_rating((5.0, arousal, dominance), share)[1] == arousal
    if other > arousal:
        assert felt_rating((valence, other, dominance), share)[1] >= felt[1]


EMBEDS = torch.nn.functional.normalize(torch.tensor([[4.0, 0.0], [4.0, 0.1], [3.0, 2.0], [0.0, 4.0]]), dim=-1)


def test_confusable_labels_are_the_nearest_beyond_near_synonyms():
    assert confusable_labels(EMBEDS, 0.9, 1).tolist() == [[2], [2], [1], [2]]
    assert confusable_labels(EMBEDS, 1.1, 1).tolist() == [[1], [0], [1], [2]]  # never a label itself
    assert confusable_labels(EMBEDS, 1.1, 9).shape == (4, 3)


def test_hard_negatives_join_their_positives_batch(tokenizer):
    vocabulary = Vocabulary(["anger", "fury", "joy", "sadness"], tokenizer, 8)
    item = {"index": 0, "input_ids": [2, 3], "weights": {"joy": 1.0}, "text_weight": 2.0, "rating": (5.0,) * 3}
    plain = DescriptorBatches(vocabulary, 0)([item])
    hard = DescriptorBatches(vocabulary, 0, hard_negatives=torch.tensor([[1], [0], [3], [2]]))([item])
    assert plain["label_ids"].tolist() == [2] and hard["label_ids"].tolist() == [2, 3]
    assert hard["targets"].tolist() == plain["targets"].tolist() == [[0.0, 0.0, 1.0, 0.0]]
    assert hard["text_weights"].tolist() == [2.0]
