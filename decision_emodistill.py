"""From embeddings and names to decisions: the one way in which texts are scored against labels.

[`score_labels`] joins the pieces: the rules themselves are in `rules_emodistill.py`, one version of them for each
`version` of the constants, so that a checkpoint is decided by the rules it was saved with.
"""

from dataclasses import dataclass, replace

import numpy as np

from .arrays_emodistill import sigmoid, single
from .constants_emodistill import DecisionConstants
from .labels_emodistill import NEUTRAL, NEUTRAL_NAMES, neutral_place, neutral_wording
from .rules_emodistill import (
    background_of_labels,
    extend_labels,
    label_moments,
    multi_label_cut,
    multi_label_cuts,
    multi_label_scores,
    single_label_scores,
    standardise,
)
from .set_rules_emodistill import set_scores, set_threshold

__all__ = [
    "NEUTRAL",
    "NEUTRAL_NAMES",
    "DecisionConstants",
    "EmbeddedLabels",
    "LabelStatistics",
    "background_of_labels",
    "dimension_scores",
    "extend_labels",
    "multi_label_cut",
    "multi_label_cuts",
    "multi_label_scores",
    "neutral_place",
    "neutral_wording",
    "score_labels",
    "select_labels",
    "single_label_scores",
    "standardise",
]


SAME = 1.0 - 1e-6  # cosine from which two labels are one to the model


@dataclass(frozen=True, eq=False)
class LabelStatistics:
    r"""
    What a checkpoint knows of texts and labels in general; see `EmoDistillModel.statistics`.

    Args:
        background (`tuple(torch.Tensor, torch.Tensor)`, *optional*): Mean `(d,)` and covariance `(d, d)` of the
            embeddings of unlabelled texts.
        reference (`tuple(torch.Tensor, torch.Tensor)`, *optional*): Embeddings of the words of a reference vocabulary
            and the directions in which they move a label, both `(words, d)`.
        reference_priors (`torch.Tensor` of shape `(words,)`, *optional*): How common each of these words is among
            texts, between 0 and 1; checkpoints whose rules have version 1 have none.
        logit (`tuple(float, float)`, *optional*): Scale and bias of the loss's own sigmoid, which stands in for the
            multi-label rule where there is no background.
    """

    background: tuple | None = None
    reference: tuple | None = None
    reference_priors: object = None
    logit: tuple | None = None


class EmbeddedLabels:
    """
    A label set as the rules take it: what users call its labels, and their embeddings.

    Args:
        names (`Sequence[str]`): The labels as a user names them; a label called `neutral` is found by its name.
        embeds (`torch.Tensor` of shape `(labels, d)`): L2-normalised embeddings of their wordings, see
            [`neutral_wording`].

    What the rules make of a set without any text (the extended labels, their moments over the background) is kept
    with it for the statistics and constants it was last asked for.
    """

    def __init__(self, names, embeds):
        if len(names) != len(embeds):
            raise ValueError(f"names and embeds must be of one length, not {len(names)} and {len(embeds)}")
        self.names = tuple(names)
        self.embeds = embeds
        self.neutral = neutral_place(self.names)
        self._compared = False
        self._extended = self._moments = (None, None, None)  # replaced as a whole: threads may share a set
        self._threshold = (None, None)

    def __len__(self):
        return len(self.names)

    def extended(self, statistics, constants):
        """
        The set's directions, to which texts are compared.

        Args:
            statistics ([`LabelStatistics`]): The checkpoint's.
            constants ([`DecisionConstants`]): The checkpoint's.

        Returns:
            `torch.Tensor` of shape `(labels, d)`: L2-normalised, fp32; see [`extend_labels`].
        """
        known_statistics, known_constants, labels = self._extended
        if known_statistics is not statistics or not _alike(known_constants, constants):
            extend, _ = RULES[constants.version]
            labels = extend(self.embeds, statistics.reference, statistics.background, constants)
            self._extended = (statistics, constants, labels)
        return labels

    def threshold(self, statistics, constants, background):
        """[`SetThreshold`] of the set, see [`set_threshold`]."""
        labels = self.extended(statistics, constants)
        key, threshold = self._threshold
        if key is None or key[0] is not labels or key[1] is not background or not _alike(key[2], constants):
            threshold = set_threshold(self, labels, statistics, constants, background)
            self._threshold = ((labels, background, constants), threshold)
        return threshold

    def look_alikes(self):
        """
        Pairs of labels that have the same embedding, when first asked; `[]` after that.

        Returns:
            `list[tuple[str, str]]`
        """
        if self._compared:
            return []
        self._compared = True
        embeds = np.asarray(single(self.embeds))
        pairs = np.argwhere(np.triu(embeds @ embeds.T > SAME, k=1))
        return [(self.names[one], self.names[other]) for one, other in pairs.tolist()]

    def moments(self, labels, background, competition):
        """[`LabelMoments`] of the set's extended labels over a background; `None` without one."""
        if background is None:
            return None
        known, known_competition, moments = self._moments
        if known is None or known[0] is not labels or known[1] is not background or known_competition != competition:
            moments = label_moments(labels, background, competition)
            self._moments = ((labels, background), competition, moments)
        return moments


def _alike(known, constants):
    """Whether a set's directions and threshold are the same by both: what scales margins has no part in them."""
    if known == constants:
        return True
    scales = {name: getattr(known, name) for name in ("multi_label_slope", "single_label_temperature")}
    return replace(constants, **scales) == known


def score_labels(
    text_embeds, label_set, statistics, constants, multi_label=False, labels_per_text=None, background=None
):
    """
    Scores of texts for each label of a set: the one way from embeddings and names to probabilities.

    Args:
        text_embeds (`torch.Tensor` of shape `(batch, d)`): L2-normalised text embeddings.
        label_set ([`EmbeddedLabels`]): The labels' names and embeddings.
        statistics ([`LabelStatistics`]): The checkpoint's background and reference vocabulary.
        constants ([`DecisionConstants`]): The checkpoint's constants; their `version` chooses the rules.
        multi_label (`bool`, *optional*, defaults to `False`): Whether any number of labels may hold (0.5 is the
            decision), or exactly one (rows add up to 1).
        labels_per_text (`float`, *optional*): How many labels an annotator would give on average, in place of the
            learnt `expected_labels`.
        background (`tuple(torch.Tensor, torch.Tensor)`, *optional*): Mean and covariance of other texts to standardise
            over; labels are still extended by the checkpoint's own.

    Returns:
        `torch.Tensor` of shape `(batch, labels)`: between 0 and 1.

    Raises:
        `ValueError`: for `multi_label` without a background or the loss's own sigmoid.

    Example:

    ```python
    >>> import torch
    >>> from emodistill.decision_emodistill import DecisionConstants, EmbeddedLabels, LabelStatistics, score_labels

    >>> labels = EmbeddedLabels(["joy", "fear"], torch.eye(2))
    >>> statistics = LabelStatistics(background=(torch.tensor([0.1, 0.1]), torch.eye(2) * 0.04))
    >>> score_labels(torch.tensor([[0.8, 0.6]]), labels, statistics, DecisionConstants(), multi_label=True)
    tensor([[0.9974, 0.9811]])

    ```
    """
    if labels_per_text is not None:
        constants = replace(constants, expected_labels=labels_per_text)
    background = statistics.background if background is None else background
    _, score = RULES[constants.version]
    similarities = single(text_embeds) @ label_set.extended(statistics, constants).T
    return score(similarities, label_set, statistics, constants, multi_label, background)


def _score_version_1(similarities, label_set, statistics, constants, multi_label, background):
    """Single labels compete as they are, several are standardised: each as its function says."""
    labels = label_set.extended(statistics, constants)
    moments = label_set.moments(labels, background, constants.multi_label_competition if multi_label else 0.0)
    if not multi_label:
        return single_label_scores(similarities, labels, background, constants, label_set.neutral, moments)
    if background is not None:
        return multi_label_scores(similarities, labels, background, constants, label_set.neutral, moments)
    if statistics.logit is None:
        raise ValueError("multi-label scores need a background: statistics has none, and no logit either")
    scale, bias = statistics.logit  # the loss's own sigmoid: a probability among in-batch labels
    return sigmoid(similarities * scale + bias)


def _score_version_2(similarities, label_set, statistics, constants, multi_label, background):
    """One threshold for the set; without a background as version 1."""
    if background is None:
        return _score_version_1(similarities, label_set, statistics, constants, multi_label, background)
    threshold = label_set.threshold(statistics, constants, background)
    return set_scores(similarities, threshold, constants, multi_label, label_set.neutral)


# For each version of the constants, how labels are extended and how similarities to them become scores.
RULES = {1: (extend_labels, _score_version_1), 2: (extend_labels, _score_version_2)}


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
    return single(text_embeds) @ (single(high_embeds).mean(0) - single(low_embeds).mean(0))


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
    if isinstance(scores, np.ndarray):
        return scores >= np.asarray(thresholds, dtype=np.float64)
    import torch

    return scores >= torch.as_tensor(thresholds, dtype=torch.float64, device=scores.device)
