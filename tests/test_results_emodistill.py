"""Scores to labels: best first whatever the ties, and predictions that are what a loop over labels would give."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from emodistill.results_emodistill import add_labels, predicted_labels
from emodistill.tokenizing_emodistill import batches_of_like_length

SCORES = st.sampled_from([0.0, -0.0, 1e-30, 0.25, 0.5, 0.5000001, 1.0, -0.5, 3.0]) | st.floats(-4, 4, width=32)


@given(
    arrays.arrays(np.float32, st.tuples(st.integers(1, 4), st.integers(1, 40)), elements=SCORES),
    st.none() | st.integers(1, 50),
)
@example(np.zeros((2, 3), dtype=np.float32), None)
@example(np.array([[0.0, -0.0, 0.0]], dtype=np.float32), 2)
def test_best_first_and_of_equal_ones_the_first_named(scores, top_k):
    names = [f"label {place}" for place in range(scores.shape[1])]
    results = [{} for _ in scores]
    add_labels(results, scores, names, None, multi_label=True, top_k=top_k)
    for row, result in zip(scores.tolist(), results, strict=True):
        order = sorted(range(len(names)), key=lambda place: -row[place])[:top_k]
        assert result["labels"] == [names[place] for place in order]
        assert result["scores"] == [row[place] for place in order]
        assert result["predicted"] == []


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@given(st.data())
def test_predictions_are_those_of_a_loop(dtype, data):
    names = data.draw(
        st.sampled_from([["joy", "fear", "neutral"], ["joy", "fear"], ["joy", "fear", "calm", "No Emotion"]])
    )
    shape = (data.draw(st.integers(1, 5)), len(names))
    scores = data.draw(arrays.arrays(dtype, shape, elements=st.sampled_from([0.0, 0.2, 0.5, 0.7, 1.0])))
    thresholds = data.draw(st.lists(st.sampled_from([0.0, 0.5, 0.6, 1.0]), min_size=len(names), max_size=len(names)))
    multi_label, blank = data.draw(st.booleans()), data.draw(st.sets(st.integers(0, len(scores) - 1)))
    neutral = next((name for name in names if name.lower() in ("neutral", "no emotion")), "neutral")
    for index, labels in enumerate(predicted_labels(scores, names, thresholds, multi_label, blank)):
        order = sorted(range(len(names)), key=lambda place: -scores[index, place])
        if index in blank:
            expected = [names[place] for place in order if multi_label and scores[index, place] == 1.0] or [neutral]
        else:
            order = order if multi_label else order[:1]
            expected = [names[place] for place in order if scores[index, place] >= thresholds[place]]
            expected = expected or ([] if neutral in names else [neutral])
        assert labels == expected


@given(
    st.lists(st.integers(1, 30), max_size=40), st.integers(1, 10), st.none() | st.integers(1, 100),
)  # fmt: skip
def test_batches_hold_every_window_once_within_their_bounds(lengths, batch_size, most_tokens):
    windows = [[1] * length for length in lengths]
    batches = batches_of_like_length(windows, batch_size, most_tokens)
    assert sorted(place for batch in batches for place in batch) == list(range(len(windows)))
    longest = [[lengths[place] for place in batch] for batch in batches]
    assert [length for batch in longest for length in batch] == sorted(lengths)
    for batch in longest:
        assert len(batch) <= batch_size
        assert most_tokens is None or len(batch) == 1 or len(batch) * max(batch) <= most_tokens
