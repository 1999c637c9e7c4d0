"""The rules of decision, version 1: labels extended over a vocabulary, scores standardised over a background.

Tensors of torch and arrays of NumPy go the same way; only what is said of tensors below is said of both.

A label's cosine similarity has its own habitual level and spread: general words are near everything. Both follow
from the background, the mean μ and covariance Σ of the embeddings of unlabelled training texts, without storing a
text: over the background a label embedding l has mean similarity μ·l and standard deviation √(lᵀΣl).
"""

import math
from dataclasses import dataclass
from statistics import NormalDist

from .arrays_emodistill import at_least, joined, normalised, root, sigmoid, single, softmax
from .constants_emodistill import DecisionConstants

__all__ = [
    "LabelMoments", "background_of_labels", "extend_labels", "label_moments", "multi_label_cut", "multi_label_cuts",
    "multi_label_scores", "single_label_scores", "standardise", "word_shares",
]  # fmt: skip


def background_of_labels(label_embeds, background):
    """
    Mean and deviation of labels' similarities over the background.

    Args:
        label_embeds (`torch.Tensor` of shape `(labels, d)`): Label embeddings.
        background (`tuple(torch.Tensor, torch.Tensor)`): Mean `(d,)` and covariance `(d, d)`.

    Returns:
        `tuple(torch.Tensor, torch.Tensor)`: mean and standard deviation, each of shape `(labels,)`.
    """
    labels = single(label_embeds)
    mean, covariance = (single(part, like=labels) for part in background)
    variance = ((labels @ covariance) * labels).sum(-1)
    return labels @ mean, root(at_least(variance, 1e-12))


def extend_labels(label_embeds, reference, background, constants):
    """
    Labels of a set, extended over the emotions that have no label of their own in it.

    Whoever may choose among five labels calls worry fear and contempt anger; among twenty-eight, most words keep to
    themselves. So each word of a reference vocabulary is shared out among the labels of the set, by a softmax of its
    positive correlations with them over the background, in which it may also go to none of them; and a label's
    direction becomes the mean of its own and those of its words, weighted by shares and correlations. The fewer
    labels, the more words each has to stand for. A label counts for `label_own_words` words, and never for less than
    all of its words together.

    Args:
        label_embeds (`torch.Tensor` of shape `(labels, d)`): Label embeddings, L2-normalised.
        reference (`tuple(torch.Tensor, torch.Tensor)` or `None`): Label embeddings of the vocabulary's words and the
            directions to move in for each, both `(words, d)` and L2-normalised; without them labels stay as they are.
        background (`tuple(torch.Tensor, torch.Tensor)` or `None`): Mean `(d,)` and covariance `(d, d)`.
        constants ([`DecisionConstants`]): Own words, sharpness and nearness.

    Returns:
        `torch.Tensor` of shape `(labels, d)`: L2-normalised, fp32. A single label, which shares with none, stays as
        it is.

    Example:

    ```python
    >>> import torch
    >>> from emodistill.decision_emodistill import DecisionConstants, extend_labels

    >>> labels = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> words = torch.tensor([[0.8, 0.6]])  # nearer to the first label, so the second is hardly moved by it
    >>> extend_labels(labels, (words, words), (torch.zeros(2), torch.eye(2)), DecisionConstants(label_own_words=1.0))
    tensor([[0.9660, 0.2585],
            [0.0539, 0.9985]])

    ```
    """
    labels = single(label_embeds)
    if reference is None or background is None or len(labels) < 2:
        return labels
    directions = single(reference[1], like=labels)
    shares = word_shares(labels, reference, background, constants)
    own = at_least(shares.sum(1), constants.label_own_words)[:, None]
    return normalised(own * labels + shares @ directions)


def word_shares(label_embeds, reference, background, constants):
    """
    How the words of a reference vocabulary are shared out among the labels of a set, see [`extend_labels`].

    Args:
        label_embeds (`torch.Tensor` of shape `(labels, d)`): Label embeddings, L2-normalised.
        reference (`tuple(torch.Tensor, torch.Tensor)`): Label embeddings and directions of the words.
        background (`tuple(torch.Tensor, torch.Tensor)`): Mean `(d,)` and covariance `(d, d)`.
        constants ([`DecisionConstants`]): Sharpness and nearness.

    Returns:
        `torch.Tensor` of shape `(labels, words)`: shares times correlations.
    """
    labels = single(label_embeds)
    words = single(reference[0], like=labels)
    _, label_deviation = background_of_labels(labels, background)
    _, word_deviation = background_of_labels(words, background)
    covariance = single(background[1], like=labels)
    correlation = labels @ (covariance @ words.T) / (label_deviation[:, None] * word_deviation)
    correlation = at_least(correlation, 0.0)
    none = 0.0 * correlation[:1] + constants.word_nearness
    return softmax(constants.word_sharpness * joined([correlation, none]), 0)[:-1] * correlation


@dataclass(frozen=True, eq=False)
class LabelMoments:
    """
    What scores are standardised by, of a label set over a background.

    Args:
        mean (`torch.Tensor` of shape `(labels,)`): Of each label's similarities.
        deviation (`torch.Tensor` of shape `(labels,)`): Their standard deviation.
        competing (`torch.Tensor` of shape `(labels,)`, *optional*): The standard deviation of each label's
            standardised score less its share of the set's mean; `None` where labels do not compete.
    """

    mean: object
    deviation: object
    competing: object = None


def label_moments(label_embeds, background, competition=0.0):
    """
    Mean and deviations of a label set over the background, by which [`standardise`] goes.

    Args:
        label_embeds (`torch.Tensor` of shape `(labels, d)`): Label embeddings.
        background (`tuple(torch.Tensor, torch.Tensor)`): Mean `(d,)` and covariance `(d, d)`.
        competition (`float`, *optional*, defaults to 0.0): As in [`standardise`].

    Returns:
        [`LabelMoments`]
    """
    mean, deviation = background_of_labels(label_embeds, background)
    if not competition:
        return LabelMoments(mean, deviation)
    # Standardised scores have variance 1, so a difference's follows from their covariances with the mean over the set:
    # one product with the covariance for the whole set, not one a label.
    directions = single(label_embeds) / deviation[:, None]
    common = directions.mean(0)
    spread = single(background[1], like=common) @ common
    variance = 1.0 - 2.0 * competition * (directions @ spread) + competition**2 * (common @ spread)
    return LabelMoments(mean, deviation, root(at_least(variance, 1e-12)))


def standardise(similarities, label_embeds, background, competition=0.0, moments=None):
    r"""
    Similarities in standard deviations above each label's background mean.

    With competition w, labels share what they have in common: w times the mean over the set is taken off each score,
    and the differences are standardised again. A text that is merely emotional raises all labels of a set alike; what
    tells them apart is what stands out. The deviation of a difference follows from the covariance as well, because
    each is a linear function of the text embedding.

    Args:
        similarities (`torch.Tensor` of shape `(batch, labels)`): Cosine similarities.
        label_embeds (`torch.Tensor` of shape `(labels, d)`): Label embeddings.
        background (`tuple(torch.Tensor, torch.Tensor)`): Mean `(d,)` and covariance `(d, d)`.
        competition (`float`, *optional*, defaults to 0.0): The share w, at least 0 and below 1.
        moments ([`LabelMoments`], *optional*): Those of these labels, background and competition, where known.

    Returns:
        `torch.Tensor` of shape `(batch, labels)`, fp32.

    Example:

    ```python
    >>> import torch
    >>> from emodistill.decision_emodistill import standardise

    >>> label = torch.tensor([[1.0, 0.0]])
    >>> background = torch.tensor([0.1, 0.0]), torch.eye(2) * 0.04
    >>> round(standardise(torch.tensor([[0.5]]), label, background).item(), 4)  # (0.5 - 0.1) / 0.2
    2.0

    ```
    """
    moments = moments or label_moments(label_embeds, background, competition)
    standardised = (single(similarities) - moments.mean) / moments.deviation
    if not competition:
        return standardised
    return (standardised - competition * standardised.mean(-1)[..., None]) / moments.competing


def multi_label_cut(labels, expected_labels, skewness=0.0, largest_share=DecisionConstants.largest_share):
    """
    Deviations above its background mean from which one label of a set is predicted.

    People who label a text choose one label or two, from five as from twenty-eight: the more labels share a text,
    the rarer is each. With an expected number c of labels a text, one of k labels holds for a share c / k of the
    texts, and the cut is the point of the scores' distribution that this share exceeds: of a normal distribution,
    corrected for skewness by the first term of the Cornish-Fisher expansion. Emotions are rare and then clear, so
    that scores have a long upper tail, and a rare label's cut lies higher than a normal distribution would put it.

    Args:
        labels (`int`): Size k of the label set.
        expected_labels (`float`): The expected number c.
        skewness (`float`, *optional*, defaults to 0.0): Skewness of standardised scores over the background.
        largest_share (`float`, *optional*): The share of texts that no label is taken to exceed.

    Returns:
        `float`: the cut, in standard deviations.

    Example:

    ```python
    >>> from emodistill.decision_emodistill import multi_label_cut

    >>> [round(multi_label_cut(labels, 1.4), 2) for labels in (5, 11, 28)]
    [0.58, 1.14, 1.64]
    >>> [round(multi_label_cut(labels, 1.4, skewness=0.6), 2) for labels in (5, 11, 28)]
    [0.52, 1.17, 1.82]

    ```
    """
    share = min(expected_labels / labels, largest_share)
    if not 0.0 < share < 1.0:  # of all texts, or of too few for a number
        return -math.inf if share >= 1.0 else math.inf
    point = -NormalDist().inv_cdf(share)
    return point + skewness * (point**2 - 1.0) / 6.0


def multi_label_cuts(
    labels, expected_labels, skewness=0.0, neutral=None, largest_share=DecisionConstants.largest_share
):
    """
    The cut of each label of a set: [`multi_label_cut`] for all, unless one of them is neutral.

    `neutral` is not one emotion among k, the rarer the finer they are told apart: it stands against all of them
    together. So it is taken to hold for the largest share of texts, or for half of the expected labels where these are
    fewer than twice that, and the others share the expected labels that it leaves. In a set of which every label is
    held to be as common as that, or by itself, it is a label like any other.

    Args:
        labels (`int`): Size k of the label set.
        expected_labels (`float`): The expected number c of labels a text.
        skewness (`float`, *optional*, defaults to 0.0): Skewness of standardised scores over the background.
        neutral (`int`, *optional*): Place of the label `neutral` in the set.
        largest_share (`float`, *optional*): As in [`multi_label_cut`].

    Returns:
        `list[float]`: one for each label, in standard deviations.

    Example:

    ```python
    >>> from emodistill.decision_emodistill import multi_label_cuts

    >>> [round(cut, 2) for cut in multi_label_cuts(3, 1.3, neutral=2)]
    [0.52, 0.52, 0.52]
    >>> [round(cut, 2) for cut in multi_label_cuts(28, 1.3, neutral=27)[-2:]]
    [1.79, 0.52]

    ```
    """
    if neutral is None or labels == 1:
        return [multi_label_cut(labels, expected_labels, skewness, largest_share)] * labels
    share = min(largest_share, expected_labels / 2)
    cuts = [multi_label_cut(labels - 1, expected_labels - share, skewness, largest_share)] * labels
    cuts[neutral] = multi_label_cut(1, share, skewness, largest_share)
    return cuts


def multi_label_scores(similarities, label_embeds, background, constants, neutral=None, moments=None):
    """
    Probability of each label; 0.5 is the decision, and several labels may hold, or none.

    Args:
        similarities (`torch.Tensor` of shape `(batch, labels)`): Cosine similarities.
        label_embeds (`torch.Tensor` of shape `(labels, d)`): Label embeddings.
        background (`tuple(torch.Tensor, torch.Tensor)`): Mean `(d,)` and covariance `(d, d)`.
        constants ([`DecisionConstants`]): Those of `multi_label_` and the expected labels.
        neutral (`int`, *optional*): Place of the label `neutral` in the set, see [`multi_label_cuts`].
        moments ([`LabelMoments`], *optional*): Those of the set with its competition, where known.

    Returns:
        `torch.Tensor` of shape `(batch, labels)`, between 0 and 1. A score depends on the size of the label set and,
        with competition, on the other labels in it.

    Example:

    ```python
    >>> import torch
    >>> from emodistill.decision_emodistill import DecisionConstants, multi_label_scores

    >>> label = torch.tensor([[1.0, 0.0]])
    >>> background = torch.tensor([0.1, 0.0]), torch.eye(2) * 0.04
    >>> constants = DecisionConstants(expected_labels=0.0228, multi_label_slope=1.0)  # one text in 44
    >>> multi_label_scores(torch.tensor([[0.5]]), label, background, constants)  # 2 deviations up: at the cut
    tensor([[0.5002]])

    ```
    """
    cuts = multi_label_cuts(
        len(label_embeds), constants.expected_labels, constants.multi_label_skewness, neutral, constants.largest_share
    )
    standardised = standardise(similarities, label_embeds, background, constants.multi_label_competition, moments)
    return sigmoid(constants.multi_label_slope * (standardised - single(cuts, like=standardised)))


def single_label_scores(similarities, label_embeds, background, constants, neutral=None, moments=None):
    """
    Probability of each label given that exactly one holds: a softmax over the label set.

    `neutral` starts with a lead: as far as its cut would lie below those of the others if several labels could hold
    and one were expected, see [`multi_label_cuts`].

    Args:
        similarities (`torch.Tensor` of shape `(batch, labels)`): Cosine similarities.
        label_embeds (`torch.Tensor` of shape `(labels, d)`): Label embeddings.
        background (`tuple` or `None`): Mean and covariance; without them the raw similarities compete.
        constants ([`DecisionConstants`]): Centering, scaling and temperature; for `neutral` also the skewness.
        neutral (`int`, *optional*): Place of the label `neutral` in the set; without a background it has no lead.
        moments ([`LabelMoments`], *optional*): Those of the set, where known.

    Returns:
        `torch.Tensor` of shape `(batch, labels)`; rows add up to 1.

    Example:

    ```python
    >>> import torch
    >>> from emodistill.decision_emodistill import DecisionConstants, single_label_scores

    >>> constants = DecisionConstants(single_label_temperature=0.1)
    >>> single_label_scores(torch.tensor([[0.5, 0.4]]), torch.eye(2), None, constants)
    tensor([[0.7311, 0.2689]])

    ```
    """
    scores = single(similarities)
    relative = constants.single_label_centering or constants.single_label_scaling or neutral is not None
    if background is not None and relative:
        moments = moments or label_moments(label_embeds, background)
        mean, deviation = moments.mean, moments.deviation
        scores = scores - constants.single_label_centering * mean
        if neutral is not None:
            cuts = multi_label_cuts(len(mean), 1.0, constants.multi_label_skewness, neutral, constants.largest_share)
            scores[:, neutral] += (max(cuts) - cuts[neutral]) * deviation[neutral]
        # Deviations relative to the set's own level, so that the temperature keeps its meaning.
        scores = scores / (deviation / deviation.mean()) ** constants.single_label_scaling
    return softmax(scores / constants.single_label_temperature, -1)
