"""Rules of decision, version 2: one threshold for a label set, and one order of its labels.

A text's labels are compared on one scale, whether one of them is to be chosen or any number: the best label is the
same. What version 1 standardised away in the multi-label case, how common each label is, stays to the share that
`label_centering` leaves: a label's level over the background is what the teacher's frequencies have taught the model.
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

from .arrays_emodistill import at_least, highest, highest_other, root, sigmoid, single, softmax, with_column
from .rules_emodistill import background_of_labels, word_shares

__all__ = ["SetThreshold", "set_margins", "set_scores", "set_threshold"]

RAREST = 1e-3  # share of texts below which no label's prior is taken
SMALLEST_SHARE = 1e-12  # of texts that a label is expected for, whatever a user asks
HALVINGS = 50


@dataclass(frozen=True, eq=False)
class SetThreshold:
    """
    What a label set's margins follow from, without any text.

    Args:
        units (`torch.Tensor` of shape `(labels,)`): By what each label's similarities are divided: the mean deviation
            of the set's over the background, moved towards the label's own by `label_scaling`.
        offsets (`torch.Tensor` of shape `(labels,)`): What is added to similarities in these units.
        thresholds (`torch.Tensor` of shape `(labels,)`): What margins are counted from; one value but for neutral.
    """

    units: object
    offsets: object
    thresholds: object


def set_threshold(label_set, labels, statistics, constants, background):
    """
    The threshold at which the labels of a set are given as often over the background as annotators give them.

    Of each label's score over the background mean and deviation are known, and the skewness of all; so the threshold
    follows at which the labels together pass `expected_labels` times a text. `neutral` is one label against all others
    together: it passes for `neutral_share` of the texts, and the others share what it leaves.

    Args:
        label_set ([`EmbeddedLabels`]): Names, and where neutral is.
        labels (`torch.Tensor` of shape `(labels, d)`): Its extended directions.
        statistics ([`LabelStatistics`]): Reference vocabulary and its priors.
        constants ([`DecisionConstants`]): Of version 2.
        background (`tuple(torch.Tensor, torch.Tensor)`): Mean `(d,)` and covariance `(d, d)`.

    Returns:
        [`SetThreshold`]
    """
    mean, deviation = background_of_labels(labels, background)
    units = deviation.mean() * (deviation / deviation.mean()) ** constants.label_scaling
    offsets = -constants.label_centering * mean / units + constants.prior_weight * _priors(
        label_set, statistics, constants, mean
    )
    level = mean / units + offsets
    competing = labels / units[:, None]
    if constants.multi_label_competition and len(labels) > 1:
        level = level - constants.multi_label_competition * level.mean()
        competing = competing - constants.multi_label_competition * competing.mean(0)
    covariance = single(background[1], like=labels)
    spread = root(at_least(((competing @ covariance) * competing).sum(-1), 1e-12))
    thresholds = _thresholds(level.tolist(), spread.tolist(), label_set.neutral, constants)
    return SetThreshold(units, offsets, single(thresholds, like=labels))


def _priors(label_set, statistics, constants, like):
    """Logarithm of how common the words that each label stands for are, less its mean over the set; 0 if unknown."""
    if statistics.reference_priors is None or statistics.reference is None or statistics.background is None:
        return 0.0 * like
    priors = single(statistics.reference_priors, like=like)
    shares = word_shares(label_set.embeds, statistics.reference, statistics.background, constants)
    logs = [math.log(max(share, RAREST)) for share in (single(shares, like=like) @ priors).tolist()]
    return single([value - sum(logs) / len(logs) for value in logs], like=like)


def _thresholds(level, spread, neutral, constants):
    """One threshold for all labels but neutral, whose own follows from its share."""
    others = [place for place in range(len(level)) if place != neutral or len(level) == 1]
    expected = constants.expected_labels
    own = None
    if len(others) < len(level):
        share = min(constants.neutral_share, expected / 2)
        own = level[neutral] + spread[neutral] * _point(share, constants.multi_label_skewness)
        expected -= share
    expected = min(expected, constants.largest_share * len(others))
    low = min(level[place] - 8 * spread[place] for place in others)
    high = max(level[place] + 12 * spread[place] for place in others)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        given = sum(
            _share_above((middle - level[place]) / spread[place], constants.multi_label_skewness) for place in others
        )
        low, high = (middle, high) if given > expected else (low, middle)
    return [own if place == neutral and own is not None else low for place in range(len(level))]


def _point(share, skewness):
    """Deviations above the mean that a share of texts exceeds (Cornish-Fisher, first term)."""
    point = -NormalDist().inv_cdf(max(share, SMALLEST_SHARE))
    return point + skewness * (point**2 - 1.0) / 6.0


def _share_above(deviations, skewness):
    """Share of texts above so many deviations: the inverse of [`_point`], on the branch where it rises."""
    if abs(skewness) < 1e-6:
        point = deviations
    else:
        inside = 1.0 + (2.0 * skewness / 3.0) * (deviations + skewness / 6.0)
        if inside <= 0.0:  # beyond the turn of the parabola, far in the short tail
            return 1.0 if skewness > 0 else 0.0
        point = (math.sqrt(inside) - 1.0) / (skewness / 3.0)
    return 0.5 * math.erfc(point / math.sqrt(2.0))


def set_margins(similarities, threshold, constants, neutral=None):
    """
    How far each label of a text is above the set's threshold, in deviations over the background.

    Labels share what they have in common: `multi_label_competition` times the mean over the set is taken off each.
    Where another label passes, `rival_weight` times the margin of the strongest is taken off, too: people name what
    stands out, one label or two, however emotional a text is. A text on which no other label passes is neutral, as far
    as they fall short.

    Args:
        similarities (`torch.Tensor` of shape `(batch, labels)`): To the extended labels.
        threshold ([`SetThreshold`]): Of the set.
        constants ([`DecisionConstants`]): Of version 2.
        neutral (`int`, *optional*): Place of the label `neutral`.

    Returns:
        `torch.Tensor` of shape `(batch, labels)`: positive for labels that hold.
    """
    scores = single(similarities) / threshold.units + threshold.offsets
    labels = scores.shape[-1]
    if labels > 1:
        scores = scores - constants.multi_label_competition * scores.mean(-1)[..., None]
    margins = scores - threshold.thresholds
    if labels == 1:
        return margins
    others = [place for place in range(labels) if place != neutral]
    if constants.rival_weight and len(others) > 1:
        rivals = at_least(highest_other(margins[..., others]), 0.0)
        margins[..., others] = margins[..., others] - constants.rival_weight * rivals
    if neutral is None:
        return margins
    return with_column(margins, neutral, -highest(margins[..., others]))


def set_scores(similarities, threshold, constants, multi_label, neutral=None):
    """
    Probabilities from margins: of each label by itself, or given that exactly one holds.

    Args:
        similarities (`torch.Tensor` of shape `(batch, labels)`): To the extended labels.
        threshold ([`SetThreshold`]): Of the set.
        constants ([`DecisionConstants`]): Of version 2.
        multi_label (`bool`): Whether any number of labels may hold.
        neutral (`int`, *optional*): Place of the label `neutral`.

    Returns:
        `torch.Tensor` of shape `(batch, labels)`: between 0 and 1; rows add up to 1 where one label holds. Labels
        have the same order in both.
    """
    margins = set_margins(similarities, threshold, constants, neutral)
    if multi_label:
        return sigmoid(constants.multi_label_slope * margins)
    return softmax(margins / constants.single_label_temperature, -1)
