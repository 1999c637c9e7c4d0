"""How descriptors become targets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emodistill.training.targets import Lexicon, felt_rating, weigh_labels

LEXICON = Lexicon({}, {"glee": ["joy", "delight"], "bliss": ["joy", "calm"], "rage": ["anger"]}, set())
SHARES = st.floats(0.01, 1)
LABELS = st.lists(st.sampled_from(["glee", "bliss", "rage", "joy", "neutral"]), max_size=5)


def test_less_salient_descriptors_and_what_they_imply_count_less():
    weights = weigh_labels(["glee", "rage"], LEXICON, 0.5, 0.5, salience_decay=0.8)
    assert weights == pytest.approx({"glee": 1.0, "joy": 0.5, "delight": 0.25, "rage": 0.8, "anger": 0.4})


@given(LABELS, SHARES, SHARES, LABELS, LABELS, SHARES, SHARES)
def test_weights_are_shares_and_no_view_takes_from_another(labels, implied, decay, closed, plain, rated, salience):
    weights = weigh_labels(labels, LEXICON, implied, decay, closed, plain, rated, salience)
    assert all(0.0 < weight <= 1.0 for weight in weights.values())
    assert all(weights[label] == 1.0 for label in [*labels[:1], *closed])
    assert all(weights[label] >= rated for label in plain)
    more = weigh_labels(labels, LEXICON, implied, decay, closed, plain, rated, 1.0)
    assert weights.keys() == more.keys() and all(weights[label] <= more[label] + 1e-12 for label in weights)


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
