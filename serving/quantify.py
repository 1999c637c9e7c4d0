"""From counts of predictions to shares of labels: intervals, and correction for a classifier's known errors.

A classifier that finds 60 of 100 joyful texts and calls 5 of 100 others joyful predicts joy for 10.5 % of texts of
which 10 % are joyful, and for 5 % where nobody is. With its true and false positive rates t and f, measured on texts
whose labels are known, the share that it predicts is p t + (1 - p) f, so that p = (predicted - f) / (t - f): the
adjusted count (Forman 2008, Quantifying counts and costs via classification, Data Mining and Knowledge Discovery 17).
"""

from dataclasses import asdict, dataclass

import numpy as np

__all__ = ["ErrorRates", "adjusted_shares", "mean_interval", "share_interval", "unfit_labels"]

DRAWS = 4000
LEVEL = 95.0  # per cent
# A label is corrected only where the classifier tells it apart on known texts: below this difference of rates, at
# the lower end of its interval, an adjusted count is noise divided by noise.
LEAST_DIFFERENCE = 0.1
FEWEST = 10  # known texts with the label, and without it


@dataclass(frozen=True)
class ErrorRates:
    """
    How often a classifier is right about one label, on texts whose labels are known.

    Args:
        hits (`float`): Texts with the label for which it is predicted.
        positives (`float`): Texts with the label.
        false_alarms (`float`): Texts without it for which it is predicted.
        negatives (`float`): Texts without it.
    """

    hits: float
    positives: float
    false_alarms: float
    negatives: float

    @property
    def true_positive_rate(self):
        return self.hits / self.positives if self.positives else float("nan")

    @property
    def false_positive_rate(self):
        return self.false_alarms / self.negatives if self.negatives else float("nan")

    def draw(self, generator, draws=DRAWS):
        """Rates that the counts leave possible: draws from their posterior under Jeffreys' prior."""
        hits = generator.beta(self.hits + 0.5, self.positives - self.hits + 0.5, draws)
        alarms = generator.beta(self.false_alarms + 0.5, self.negatives - self.false_alarms + 0.5, draws)
        return hits, alarms

    @property
    def usable(self):
        """`bool`: whether they tell the label apart well enough to correct by them."""
        if self.positives < FEWEST or self.negatives < FEWEST:
            return False
        hits, alarms = self.draw(np.random.default_rng(0))
        return bool(np.percentile(hits - alarms, (100 - LEVEL) / 2) >= LEAST_DIFFERENCE)

    def to_dict(self):
        return {
            "true_positive_rate": self.true_positive_rate,
            "false_positive_rate": self.false_positive_rate,
            **asdict(self),
        }


def share_interval(hits, total):
    """
    A share with its 95 % interval (Wilson 1927).

    Args:
        hits (`int`): Rows with the label.
        total (`int`): Rows.

    Returns:
        `tuple[float, float, float]`: share, lower and upper end; `nan` three times without rows.

    Example:

    ```python
    >>> from emodistill.serving.quantify import share_interval

    >>> [round(value, 3) for value in share_interval(5, 50)]
    [0.1, 0.043, 0.214]

    ```
    """
    if not total:
        return (float("nan"),) * 3
    z, share = 1.959964, hits / total
    middle = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z / (1 + z * z / total) * (share * (1 - share) / total + z * z / (4 * total * total)) ** 0.5
    return share, max(0.0, min(share, middle - half)), min(1.0, max(share, middle + half))


def mean_interval(count, total, squares):
    """
    A mean with its 95 % interval.

    Args:
        count (`int`): Values.
        total, squares (`float`): Their sum and the sum of their squares.

    Returns:
        `tuple[float, float, float]`: mean, lower and upper end; `nan` three times without values.
    """
    if not count:
        return (float("nan"),) * 3
    mean = total / count
    variance = max(0.0, squares / count - mean * mean) * count / max(1, count - 1)
    half = 1.959964 * (variance / count) ** 0.5
    return mean, mean - half, mean + half


def adjusted_shares(counts, rates, exclusive=False, seed=0):
    """
    Shares of labels, corrected for known error rates.

    Args:
        counts (`dict[str, tuple[int, int]]`): For each label in how many rows it was predicted, and of how many.
        rates (`dict[str, ErrorRates]`): For each label that can be corrected, its rates.
        exclusive (`bool`, *optional*, defaults to `False`): Whether exactly one label holds. Where all labels are
            corrected, their shares are then scaled to add up to 1.
        seed (`int`, *optional*, defaults to 0): Seed of the draws behind the intervals.

    Returns:
        `dict[str, tuple[float, float, float]]`: share, lower and upper end of the 95 % interval, in which both the
        number of rows and the number of texts behind the rates are counted; labels without usable rates are left out.

    Example:

    ```python
    >>> from emodistill.serving.quantify import ErrorRates, adjusted_shares

    >>> rates = {"joy": ErrorRates(hits=600, positives=1000, false_alarms=50, negatives=1000)}
    >>> share, low, high = adjusted_shares({"joy": (1050, 10_000)}, rates)["joy"]
    >>> round(share, 2), round(low, 2), round(high, 2)
    (0.1, 0.07, 0.13)

    ```
    """
    usable = [label for label, (_, total) in counts.items() if total and label in rates and rates[label].usable]
    if not usable:
        return {}
    generator = np.random.default_rng(seed)
    points, draws = [], []
    for label in usable:
        hits, total = counts[label]
        observed = generator.beta(hits + 0.5, total - hits + 0.5, DRAWS)
        known = rates[label]
        points.append(_adjusted(hits / total, known.true_positive_rate, known.false_positive_rate))
        draws.append(_adjusted(observed, *known.draw(generator)))
    points, draws = np.array(points), np.array(draws)
    if exclusive and len(usable) == len(counts) and points.sum() > 0:
        points, draws = points / points.sum(), draws / np.maximum(draws.sum(axis=0), 1e-9)
    low, high = np.percentile(draws, [(100 - LEVEL) / 2, (100 + LEVEL) / 2], axis=1)
    low, high = np.minimum(low, points), np.maximum(high, points)
    return {label: (float(points[i]), float(low[i]), float(high[i])) for i, label in enumerate(usable)}


def unfit_labels(counts, rates, seed=0):
    """
    Labels whose predictions the error rates cannot explain, whatever the share: those texts are of another kind.

    A label that is predicted for 5 % of texts, with a false positive rate of 20 %, would have a share below 0. Cut to
    0, it would look certain.

    Args:
        counts, rates, seed: As for [`adjusted_shares`].

    Returns:
        `list[str]`: labels whose whole 95 % interval lies below 0 or above 1.

    Example:

    ```python
    >>> from emodistill.serving.quantify import ErrorRates, unfit_labels

    >>> unfit_labels({"joy": (50, 1000)}, {"joy": ErrorRates(600, 1000, 200, 1000)})
    ['joy']

    ```
    """
    generator, found = np.random.default_rng(seed), []
    for label, (hits, total) in counts.items():
        if total and label in rates and rates[label].usable:
            observed = generator.beta(hits + 0.5, total - hits + 0.5, DRAWS)
            draws = _uncut(observed, *rates[label].draw(generator))
            low, high = np.percentile(draws, [(100 - LEVEL) / 2, (100 + LEVEL) / 2])
            if high < 0.0 or low > 1.0:
                found.append(label)
    return found


def _uncut(observed, true_positive_rate, false_positive_rate):
    return (observed - false_positive_rate) / np.maximum(true_positive_rate - false_positive_rate, 0.02)


def _adjusted(observed, true_positive_rate, false_positive_rate):
    return np.clip(_uncut(observed, true_positive_rate, false_positive_rate), 0.0, 1.0)
