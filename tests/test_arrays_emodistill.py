"""The rules of decision give the same for tensors and for arrays: one code, two libraries."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emodistill.arrays_emodistill import at_least, normalised, sigmoid, single, softmax
from emodistill.constants_emodistill import LATEST_VERSION, DecisionConstants
from emodistill.decision_emodistill import (
    EmbeddedLabels,
    LabelStatistics,
    dimension_scores,
    score_labels,
    select_labels,
)

D = 12
NAMES = ["joy", "anger", "fear", "relief", "neutral", "pride", "awe", "grief", "love", "shame", "envy", "calm"]


def unit(random, *shape):
    values = random.standard_normal(shape).astype(np.float32)
    return values / np.linalg.norm(values, axis=-1, keepdims=True)


def made_up(seed, labels, words, background):
    """Arrays of a made-up checkpoint, label set and batch."""
    random = np.random.default_rng(seed)
    texts = unit(random, 300, D)
    return {
        "texts": unit(random, 9, D),
        "embeds": unit(random, labels, D),
        "background": (texts.mean(axis=0), np.cov(texts.T).astype(np.float32)) if background else None,
        "reference": (unit(random, words, D), unit(random, words, D)) if words else None,
        "priors": random.uniform(0.001, 0.2, words).astype(np.float32) if words else None,
    }


def scores(parts, names, constants, convert, **options):
    def tuple_of(values):
        return None if values is None else tuple(map(convert, values))

    statistics = LabelStatistics(
        background=tuple_of(parts["background"]),
        reference=tuple_of(parts["reference"]),
        reference_priors=None if parts["priors"] is None else convert(parts["priors"]),
        logit=(10.0, -4.0),
    )
    labels = EmbeddedLabels(names, convert(parts["embeds"]))
    return score_labels(convert(parts["texts"]), labels, statistics, constants, **options)


constants = st.builds(
    DecisionConstants,
    expected_labels=st.floats(0.05, 5.0),
    multi_label_slope=st.floats(0.5, 4.0),
    multi_label_competition=st.one_of(st.just(0.0), st.floats(0.05, 0.9)),
    multi_label_skewness=st.floats(-1.0, 1.0),
    label_own_words=st.floats(0.5, 20.0),
    single_label_centering=st.floats(0.0, 1.0),
    single_label_scaling=st.floats(0.0, 1.0),
    single_label_temperature=st.floats(0.05, 1.0),
    version=st.integers(1, LATEST_VERSION),
)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    names=st.lists(st.sampled_from(NAMES), min_size=1, unique=True),
    words=st.sampled_from([0, 1, 40]),
    background=st.booleans(),
    constants=constants,
    multi_label=st.booleans(),
    per_text=st.sampled_from([None, 0.5, 2.0]),
)
def test_arrays_score_as_tensors_do(seed, names, words, background, constants, multi_label, per_text):
    parts = made_up(seed, len(names), words, background)
    options = {"multi_label": multi_label, "labels_per_text": per_text}
    of_arrays = scores(parts, names, constants, np.asarray, **options)
    of_tensors = scores(parts, names, constants, torch.from_numpy, **options)
    assert isinstance(of_arrays, np.ndarray) and of_arrays.dtype == np.float32
    assert np.abs(of_arrays - of_tensors.numpy()).max() < 2e-5
    thresholds = [0.5] * len(names)
    clear = np.abs(of_arrays - 0.5) > 1e-4
    same = select_labels(of_arrays, thresholds) == select_labels(of_tensors, thresholds).numpy()
    assert same[clear].all()


def test_dimensions_of_arrays_are_those_of_tensors():
    random = np.random.default_rng(0)
    parts = [unit(random, rows, D) for rows in (5, 3, 2)]
    assert dimension_scores(*parts) == pytest.approx(dimension_scores(*map(torch.from_numpy, parts)).numpy(), abs=1e-6)


def test_array_functions_at_their_edges():
    values = np.array([[-1000.0, 0.0, 1000.0]], dtype=np.float32)
    with np.errstate(all="raise", under="ignore"):
        assert sigmoid(values).tolist() == [[0.0, 0.5, 1.0]]
        assert softmax(values, -1).tolist() == [[0.0, 0.0, 1.0]]
    assert sigmoid(values).dtype == np.float32
    assert normalised(np.zeros((1, 3), np.float32)).tolist() == [[0.0, 0.0, 0.0]]
    assert at_least(values, 0.5).tolist() == [[0.5, 0.5, 1000.0]]


def test_single_takes_either_to_the_other():
    tensor, array = torch.tensor([1.5], dtype=torch.float64), np.array([1.5])
    assert single(array, like=tensor).dtype == torch.float32 and single(tensor, like=array).dtype == np.float32
    assert single([1, 2], like=tensor).tolist() == [1.0, 2.0]
    half = torch.tensor([1.0], dtype=torch.float16)
    assert single(array, like=half).dtype == torch.float32
