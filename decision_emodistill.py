"""From similarities to decisions: standardised scores, probabilities, labels and dimensions. Torch only.

A label's cosine similarity has its own habitual level and spread: general words are near everything. Both follow
from the background, the mean μ and covariance Σ of the embeddings of unlabelled training texts, without storing a
text: over the background a label embedding l has mean similarity μ·l and standard deviation √(lᵀΣl).
"""

import re
from dataclasses import dataclass

import torch

__all__ = [
    "LARGEST_SHARE",
    "NEUTRAL",
    "NEUTRAL_NAMES",
    "DecisionConstants",
    "dimension_scores",
    "extend_labels",
    "multi_label_cut",
    "multi_label_cuts",
    "multi_label_scores",
    "neutral_place",
    "neutral_wording",
    "select_labels",
    "single_label_scores",
    "standardise",
]


# How sharply a word of the reference vocabulary goes to its best label, in a softmax of correlations over the label
# set; 5 and 20 do the same on development sets. In that softmax a set competes with none of its labels at NEAR, so
# that a word which correlates less with each of them goes to none.
SHARPNESS, NEAR = 10.0, 0.4

# Even a single label is not taken to be true of more than this share of texts. It is also the share of `neutral`, for
# which it was kept with GoEmotions in sight (docs/experiments.md).
LARGEST_SHARE = 0.3

# The label that says that a text expresses none of the others, and what else label sets call it. An encoder does not
# read a negation: "no emotion" lies nearer to emotional texts than to others. So these are embedded as NEUTRAL.
NEUTRAL = "neutral"
NEUTRAL_NAMES = (NEUTRAL, "no emotion", "no emotions", "none")


@dataclass(frozen=True)
class DecisionConstants:
    r"""
    Constants of the decision rules, chosen on held-out source texts (`choose_decision` in `training/validation.py`).

    Args:
        expected_labels (`float`): How many labels of a set a text is expected to have; sets the cut, see
            [`multi_label_cut`].
        multi_label_slope (`float`): Steepness of that probability, per standard deviation.
        multi_label_competition (`float`): How much of the set's mean standardised score is taken off each label's, see
            [`standardise`]; 0 for labels that do not compete.
        multi_label_skewness (`float`): Skewness of standardised scores over the background; moves the cut, see
            [`multi_label_cut`].
        label_own_words (`float`): For how many words of the reference vocabulary a label itself counts, see
            [`extend_labels`]; only for checkpoints that have a reference vocabulary.
        single_label_centering (`float`): Share of a label's background mean taken off before labels compete; 0 for
            raw similarities, 1 for centred ones.
        single_label_scaling (`float`): Power of the background deviation by which similarities are divided; 0 for
            none, 1 for standardised ones.
        single_label_temperature (`float`): Temperature of the softmax over the label set.
    """

    expected_labels: float = 1.4
    multi_label_slope: float = 2.0
    multi_label_competition: float = 0.0
    multi_label_skewness: float = 0.0
    label_own_words: float = 10.0
    single_label_centering: float = 0.0
    single_label_scaling: float = 0.0
    single_label_temperature: float = 0.05


def background_of_labels(label_embeds, background):
    """
    Mean and deviation of labels' similarities over the background.

    Args:
        label_embeds (`torch.Tensor` of shape `(labels, d)`): Label embeddings.
        background (`tuple(torch.Tensor, torch.Tensor)`): Mean `(d,)` and covariance `(d, d)`.

    Returns:
        `tuple(torch.Tensor, torch.Tensor)`: mean and standard deviation, each of shape `(labels,)`.
    """
    mean, covariance = (part.to(label_embeds.device, torch.float32) for part in background)
    labels = label_embeds.float()
    variance = ((labels @ covariance) * labels).sum(dim=-1)
    return labels @ mean, variance.clamp(min=1e-12).sqrt()


def extend_labels(label_embeds, reference, background, own_words):
    """
    Labels of a set, extended over the emotions that have no label of their own in it.

    Whoever may choose among five labels calls worry fear and contempt anger; among twenty-eight, most words keep to
    themselves. So each word of a reference vocabulary is shared out among the labels of the set, by a softmax of its
    positive correlations with them over the background, in which it may also go to none of them; and a label's
    direction becomes the mean of its own and those of its words, weighted by shares and correlations. The fewer
    labels, the more words each has to stand for. A label counts for `own_words` words, and never for less than all
    of its words together.

    Args:
        label_embeds (`torch.Tensor` of shape `(labels, d)`): Label embeddings, L2-normalised.
        reference (`tuple(torch.Tensor, torch.Tensor)` or `None`): Label embeddings of the vocabulary's words and the
            directions to move in for each, both `(words, d)` and L2-normalised; without them labels stay as they are.
        background (`tuple(torch.Tensor, torch.Tensor)` or `None`): Mean `(d,)` and covariance `(d, d)`.
        own_words (`float`): The weight of a label itself, above 0.

    Returns:
        `torch.Tensor` of shape `(labels, d)`: L2-normalised, fp32. A single label, which shares with none, stays as
        it is.

    Raises:
        `ValueError`: if `own_words` is not above 0.

    Example:

    ```python
    >>> import torch
    >>> from emodistill.decision_emodistill import extend_labels

    >>> labels = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    >>> words = torch.tensor([[0.8, 0.6]])  # nearer to the first label, so the second is hardly moved by it
    >>> extend_labels(labels, (words, words), (torch.zeros(2), torch.eye(2)), own_words=1.0)
    tensor([[0.9660, 0.2585],
            [0.0539, 0.9985]])

    ```
    """
    if own_words <= 0.0:
        raise ValueError(f"label_own_words must be above 0, not {own_words}")
    labels = label_embeds.float()
    if reference is None or background is None or len(labels) < 2:
        return labels
    words, directions = (part.to(labels.device, torch.float32) for part in reference)
    _, label_deviation = background_of_labels(labels, background)
    _, word_deviation = background_of_labels(words, background)
    covariance = background[1].to(labels.device, torch.float32)
    correlation = labels @ (covariance @ words.T) / (label_deviation[:, None] * word_deviation)
    correlation = correlation.clamp(min=0.0)
    none = torch.full_like(correlation[:1], NEAR)
    shares = torch.softmax(SHARPNESS * torch.cat([correlation, none]), dim=0)[:-1] * correlation
    own = shares.sum(dim=1, keepdim=True).clamp(min=own_words)
    return torch.nn.functional.normalize(own * labels + shares @ directions, dim=-1)


def standardise(similarities, label_embeds, background, competition=0.0):
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
    mean, deviation = background_of_labels(label_embeds, background)
    standardised = (similarities.float() - mean) / deviation
    if not competition:
        return standardised
    # Standardised scores have variance 1, so a difference's follows from their covariances with the mean over the set:
    # one product with the covariance for the whole set, not one a label.
    directions = label_embeds.float() / deviation[:, None]
    common = directions.mean(dim=0)
    spread = background[1].to(common.device, torch.float32) @ common
    variance = 1.0 - 2.0 * competition * (directions @ spread) + competition**2 * (common @ spread)
    differences = standardised - competition * standardised.mean(dim=-1, keepdim=True)
    return differences / variance.clamp(min=1e-12).sqrt()


def multi_label_cut(labels, expected_labels, skewness=0.0):
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
    share = min(expected_labels / labels, LARGEST_SHARE)
    point = torch.special.ndtri(torch.tensor(1.0 - share, dtype=torch.float64)).item()
    return point + skewness * (point**2 - 1.0) / 6.0


def neutral_place(names):
    """
    The place of the label in a set that says that none of the others holds.

    Args:
        names (`Sequence[str]`): The labels as a user names them; capitals, underscores and hyphens do not matter.

    Returns:
        `int` or `None`: The place of `neutral`, else of `no emotion`, `no emotions` or `none`; `None` where the set
        has no such label.

    Example:

    ```python
    >>> from emodistill.decision_emodistill import neutral_place

    >>> neutral_place(["joy", "Neutral"]), neutral_place(["no_emotion", "joy"]), neutral_place(["joy", "anger"])
    (1, 0, None)

    ```
    """
    plain = [re.sub(r"[\s_-]+", " ", name.strip()).casefold() for name in names]
    return next((plain.index(known) for known in NEUTRAL_NAMES if known in plain), None)


def neutral_wording(names):
    """
    The labels of a set with [`NEUTRAL`] for the one at [`neutral_place`], which is what to embed.

    Args:
        names (`Sequence[str]`): The labels as a user names them.

    Returns:
        `list[str]`

    Example:

    ```python
    >>> from emodistill.decision_emodistill import neutral_wording

    >>> neutral_wording(["joy", "None"])
    ['joy', 'neutral']

    ```
    """
    place = neutral_place(names)
    return [NEUTRAL if index == place else name for index, name in enumerate(names)]


def multi_label_cuts(labels, expected_labels, skewness=0.0, neutral=None):
    """
    The cut of each label of a set: [`multi_label_cut`] for all, unless one of them is neutral.

    `neutral` is not one emotion among k, the rarer the finer they are told apart: it stands against all of them
    together. So it is taken to hold for [`LARGEST_SHARE`] of texts, or for half of the expected labels where these are
    fewer than twice that, and the others share the expected labels that it leaves. In a set of which every label is
    held to be as common as that, or by itself, it is a label like any other.

    Args:
        labels (`int`): Size k of the label set.
        expected_labels (`float`): The expected number c of labels a text.
        skewness (`float`, *optional*, defaults to 0.0): Skewness of standardised scores over the background.
        neutral (`int`, *optional*): Place of the label `neutral` in the set.

    Returns:
        `torch.Tensor` of shape `(labels,)`: in standard deviations.

    Example:

    ```python
    >>> from emodistill.decision_emodistill import multi_label_cuts

    >>> multi_label_cuts(3, 1.3, neutral=2)
    tensor([0.5244, 0.5244, 0.5244])
    >>> multi_label_cuts(28, 1.3, neutral=27)[-2:]
    tensor([1.7862, 0.5244])

    ```
    """
    if neutral is None or labels == 1:
        return torch.full((labels,), multi_label_cut(labels, expected_labels, skewness))
    share = min(LARGEST_SHARE, expected_labels / 2)
    cuts = torch.full((labels,), multi_label_cut(labels - 1, expected_labels - share, skewness))
    cuts[neutral] = multi_label_cut(1, share, skewness)
    return cuts


def multi_label_scores(similarities, label_embeds, background, constants, neutral=None):
    """
    Probability of each label; 0.5 is the decision, and several labels may hold, or none.

    Args:
        similarities (`torch.Tensor` of shape `(batch, labels)`): Cosine similarities.
        label_embeds (`torch.Tensor` of shape `(labels, d)`): Label embeddings.
        background (`tuple(torch.Tensor, torch.Tensor)`): Mean `(d,)` and covariance `(d, d)`.
        constants ([`DecisionConstants`]): Those of `multi_label_` and the expected labels.
        neutral (`int`, *optional*): Place of the label `neutral` in the set, see [`multi_label_cuts`].

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
    cuts = multi_label_cuts(len(label_embeds), constants.expected_labels, constants.multi_label_skewness, neutral)
    standardised = standardise(similarities, label_embeds, background, constants.multi_label_competition)
    return torch.sigmoid(constants.multi_label_slope * (standardised - cuts.to(standardised.device)))


def single_label_scores(similarities, label_embeds, background, constants, neutral=None):
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
    scores = similarities.float()
    relative = constants.single_label_centering or constants.single_label_scaling or neutral is not None
    if background is not None and relative:
        mean, deviation = background_of_labels(label_embeds, background)
        scores = scores - constants.single_label_centering * mean
        if neutral is not None:
            cuts = multi_label_cuts(len(mean), 1.0, constants.multi_label_skewness, neutral)
            scores[:, neutral] += (cuts.max() - cuts[neutral]) * deviation[neutral]
        # Deviations relative to the set's own level, so that the temperature keeps its meaning.
        scores = scores / (deviation / deviation.mean()) ** constants.single_label_scaling
    return torch.softmax(scores / constants.single_label_temperature, dim=-1)


def dimension_scores(text_embeds, high_embeds, low_embeds):
    """
    Position between two opposing sets of labels: mean similarity to one less mean similarity to the other.

    Args:
        text_embeds (`torch.Tensor` of shape `(batch, d)`): Text embeddings.
        high_embeds (`torch.Tensor` of shape `(labels, d)`): Labels of the upper pole.
        low_embeds (`torch.Tensor` of shape `(labels, d)`): Labels of the lower pole.

    Returns:
        `torch.Tensor` of shape `(batch,)`: between -2 and 2; positive is nearer to the upper pole.

    Example:

    ```python
    >>> import torch
    >>> from emodistill.decision_emodistill import dimension_scores

    >>> dimension_scores(torch.tensor([[0.6, 0.8]]), torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 1.0]]))
    tensor([-0.2000])

    ```
    """
    axis = high_embeds.float().mean(dim=0) - low_embeds.float().mean(dim=0)
    return text_embeds.float() @ axis


def select_labels(scores, thresholds):
    """
    Which labels reach their threshold.

    Args:
        scores (`torch.Tensor` of shape `(batch, labels)`): The labels' scores.
        thresholds (`list[float]` or `torch.Tensor` of shape `(labels,)`): Their thresholds.

    Returns:
        `torch.BoolTensor` of shape `(batch, labels)`: a row without any is left so: there is no fallback to the
        best label.

    Example:

    ```python
    >>> import torch
    >>> from emodistill.decision_emodistill import select_labels

    >>> select_labels(torch.tensor([[0.6, 0.2], [0.1, 0.3]]), [0.5, 0.5]).tolist()
    [[True, False], [False, False]]

    ```
    """
    return scores >= torch.as_tensor(thresholds, dtype=torch.float64, device=scores.device)
