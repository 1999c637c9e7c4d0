"""Shares that are corrected come out right where the truth is known."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from emodistill.serving.quantify import ErrorRates, adjusted_shares, mean_interval, share_interval, unfit_labels


@settings(deadline=None)
@given(st.integers(1, 5000), st.data())
def test_share_intervals_are_wilsons(total, data):
    hits = data.draw(st.integers(0, total))
    share, low, high = share_interval(hits, total)
    known = binomtest(hits, total).proportion_ci(method="wilson")
    assert share == hits / total and low <= share <= high
    assert low == pytest.approx(known.low, abs=1e-6) and high == pytest.approx(known.high, abs=1e-6)


def test_intervals_of_nothing():
    assert all(map(math.isnan, share_interval(0, 0))) and all(map(math.isnan, mean_interval(0, 0.0, 0.0)))
    assert adjusted_shares({"joy": (0, 0)}, {"joy": ErrorRates(9, 10, 1, 10)}) == {}


def test_adjusted_counts_cover_the_truth_and_plain_ones_do_not():
    generator = np.random.default_rng(3)
    true, t, f, rows, known, runs = 0.04, 0.6, 0.05, 20_000, 400, 120
    covered = plain_covered = 0
    errors = []
    for _ in range(runs):
        hits = generator.binomial(rows, true * t + (1 - true) * f)
        rates = ErrorRates(generator.binomial(known, t), known, generator.binomial(3 * known, f), 3 * known)
        share, low, high = adjusted_shares({"joy": (hits, rows)}, {"joy": rates})["joy"]
        covered += low <= true <= high
        plain_covered += share_interval(hits, rows)[1] <= true <= share_interval(hits, rows)[2]
        errors.append(share - true)
    assert 0.9 <= covered / runs <= 1.0 and plain_covered == 0
    assert abs(np.mean(errors)) < 0.004


@pytest.mark.parametrize(
    "rates",
    [
        ErrorRates(5, 8, 10, 1000),  # too few texts with the label
        ErrorRates(300, 400, 6, 8),  # too few without
        ErrorRates(40, 100, 380, 1000),  # hardly better than chance
        ErrorRates(10, 100, 900, 1000),  # worse
    ],
)
def test_labels_that_cannot_be_corrected_are_left_out(rates):
    assert not rates.usable and adjusted_shares({"joy": (10, 100)}, {"joy": rates}) == {}


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(0, 1000))
def test_corrected_shares_lie_between_0_and_1(joy, anger):
    rates = {"joy": ErrorRates(80, 100, 50, 500), "anger": ErrorRates(60, 100, 20, 500)}
    for exclusive in (False, True):
        found = adjusted_shares({"joy": (joy, 1000), "anger": (anger, 1000)}, rates, exclusive)
        for share, low, high in found.values():
            assert 0.0 <= low <= share <= high <= 1.0
        total = sum(share for share, _, _ in found.values())
        assert not exclusive or total == 0.0 or total == pytest.approx(1.0)


def test_rates_that_cannot_hold_are_told():
    """Fewer predictions than false alarms alone, or more than there are hits: by more than chance."""
    rates = {"joy": ErrorRates(600, 1000, 200, 1000)}
    assert unfit_labels({"joy": (50, 1000)}, rates) == ["joy"] == unfit_labels({"joy": (900, 1000)}, rates)
    for hits, total in ((190, 1000), (610, 1000), (0, 5), (4, 5), (300, 1000)):
        assert unfit_labels({"joy": (hits, total)}, rates) == []
    assert unfit_labels({"joy": (0, 0), "fear": (0, 9)}, rates) == []


def test_means():
    values = np.random.default_rng(0).normal(5, 1, 400)
    mean, low, high = mean_interval(400, values.sum(), (values**2).sum())
    half = 1.959964 * values.std(ddof=1) / 20
    assert (mean, low, high) == pytest.approx((values.mean(), values.mean() - half, values.mean() + half))
