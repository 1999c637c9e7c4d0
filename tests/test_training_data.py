"""How descriptors become targets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emodistill.training.data import Lexicon, weigh_labels

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
