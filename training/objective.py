"""What training minimises: the contrastive loss over all processes' labels, near-synonyms, teachers, dimensions."""

import torch

from ..loss_emodistill import gather_labels
from ..modeling_emodistill import DIMENSION_HALF_RANGE, DIMENSION_MIDDLE

__all__ = ["Objective", "copy_loss", "group_loss", "near_synonyms", "positive_rate"]


def near_synonyms(embeds, threshold):
    """`(labels, labels)` booleans: pairs whose cosine in the starting label encoder exceeds the threshold.

    Args:
        embeds (`torch.Tensor` of shape `(labels, d)`): Its embeddings, L2-normalised.
        threshold (`float`): The cosine.
    """
    return (embeds @ embeds.T) > threshold


def group_loss(logits, targets, groups, mask=None):
    """
    How hard a contrast finds it to choose between the descriptors of its group: cross-entropy over these alone.

    The sigmoid of each pair says whether a label holds; what turns a contrast shows only beside its mates, which share
    most of its words. So each row's scores compete in a softmax over all descriptors of its group.

    Args:
        logits (`torch.Tensor` of shape `(batch, labels)`): Scaled and biased similarities.
        targets (`torch.Tensor` of shape `(batch, labels)`): Weights of each text's own labels, the choice it should
            make in proportion; those of at least a half are descriptors.
        groups (`torch.LongTensor` of shape `(batch,)`): The group of each row; -1 for none.
        mask (`torch.BoolTensor` of shape `(batch, labels)`, *optional*): False for pairs that do not count.

    Returns:
        `torch.Tensor`: the mean over rows with a mate in the batch whose descriptors differ; 0 where there is none.

    Example:

    ```python
    >>> import torch
    >>> from emodistill.training.objective import group_loss

    >>> targets, groups = torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]), torch.tensor([4, 4])
    >>> round(group_loss(torch.zeros(2, 3), targets, groups).item(), 4)  # one of two: log 2
    0.6931

    ```
    """
    held = targets >= 0.5
    mates = (groups[:, None] == groups) & (groups >= 0)[:, None]
    choices = (mates.float() @ held.float()) > 0
    if mask is not None:
        choices &= mask | held
    rows = (choices.sum(dim=1) > (choices & held).sum(dim=1)) & held.any(dim=1)
    if not rows.any():
        return logits.sum() * 0.0  # a graph all the same, as distributed training needs
    choices = choices[rows]
    wanted = targets[rows] * choices
    wanted = wanted / wanted.sum(dim=1, keepdim=True).clamp(min=1e-6)
    shares = torch.log_softmax(logits[rows].float().masked_fill(~choices, -torch.inf), dim=1)
    return -(wanted * shares.masked_fill(~choices, 0.0)).sum(dim=1).mean()


def copy_loss(text_embeds, originals):
    """One less the mean cosine of each text and its copy in the batch; 0 where there is none.

    Args:
        text_embeds (`torch.Tensor` of shape `(batch, d)`): L2-normalised.
        originals (`torch.LongTensor` of shape `(batch,)`): For a copy the row of its original; -1 for all others.
    """
    copies = originals >= 0
    if not copies.any():
        return text_embeds.sum() * 0.0
    embeds = text_embeds.float()
    return (1.0 - (embeds[copies] * embeds[originals[copies]]).sum(dim=1)).mean()


class Objective:
    """
    The training loss of one batch: contrastive over texts and labels of all processes, plus dimensions.

    Args:
        network ([`EmoDistillModel`]): The unwrapped model, owner of temperature and bias.
        synonyms (`torch.BoolTensor` of shape `(labels, labels)`, *optional*): Pairs to leave out.
        label_ratings (`torch.Tensor` of shape `(labels, 3)`): The lexicon's ratings, `nan` where unknown.
        dimension_weight (`float`): Weight of the dimension head's loss.
        teachers ([`Teachers`], *optional*): Soft targets in place of the batch's own, or beside them.
        group_weight (`float`): Weight of [`group_loss`].
        consistency_weight (`float`): Weight of one less the cosine of a text and its copy about somebody else.
        embedding_weight (`float`): Weight of one less the cosine to the teachers' mean embedding.
        descriptors_share (`float`): Share of a text's own descriptors beside the teachers, who have the rest; a text
            without any learns from the teachers alone.
    """

    def __init__(
        self, network, synonyms, label_ratings, dimension_weight, teachers=None, group_weight=0.0,
        consistency_weight=0.0, embedding_weight=0.0, descriptors_share=0.0,
    ):  # fmt: skip
        self.group_weight, self.consistency_weight = group_weight, consistency_weight
        self.embedding_weight, self.descriptors_share = embedding_weight, descriptors_share
        self.network = network
        self.synonyms = synonyms
        self.label_ratings = label_ratings
        self.dimension_weight = dimension_weight
        self.teachers = teachers

    def __call__(self, output, batch):
        ids, label_embeds = gather_labels(batch["label_ids"], output.label_embeds)
        targets = batch["targets"][:, ids]
        counts = None  # which pairs do: all but near-synonyms of a text's own labels
        if self.synonyms is not None:
            positive = targets > 0
            some = positive.any(dim=0)  # the batch's own labels, few beside the further negatives
            near = positive[:, some].float() @ self.synonyms[ids[some]][:, ids].float() > 0
            counts = positive | ~near
        if self.teachers is None:
            logits, loss = self.network.contrastive_loss(output.text_embeds, label_embeds, targets, counts)
        else:  # of near-synonyms they decide, who leave nothing out
            own = self.descriptors_share * (targets > 0).any(dim=1, keepdim=True).to(targets.dtype)
            known = own if counts is None else own * counts
            wanted = torch.lerp(self.teachers(batch["rows"], ids).to(targets.dtype), targets, known)
            logits, loss = self.network.contrastive_loss(output.text_embeds, label_embeds, wanted, None)
        if self.group_weight:  # by what was written of each, for teachers take some for their mates
            loss = loss + self.group_weight * group_loss(logits, targets, batch["groups"], counts)
        if self.consistency_weight:
            loss = loss + self.consistency_weight * copy_loss(output.text_embeds, batch["originals"])
        if self.embedding_weight:
            away = 1.0 - (output.text_embeds.float() * self.teachers.embeds(batch["rows"])).sum(dim=1)
            loss = loss + self.embedding_weight * (away * (1.0 - own.squeeze(1))).mean()
        if self.network.dimension_head is None:
            return loss
        # Labels have ratings too: the same axes must order both towers, or opposites end up as neighbours. With a
        # weight of 0 the term stays, because a parameter without gradient breaks distributed training.
        dimensions = self._error(output.text_embeds, batch["ratings"])
        dimensions = dimensions + self._error(output.label_embeds, self.label_ratings[batch["label_ids"]])
        return loss + self.dimension_weight * dimensions

    def _error(self, embeds, ratings):
        targets = (ratings - DIMENSION_MIDDLE) / DIMENSION_HALF_RANGE
        known = ~targets.isnan()
        predicted = self.network.dimension_head(embeds).float()
        return ((predicted - targets.nan_to_num()) ** 2 * known).sum() / known.sum().clamp(min=1)


def positive_rate(loader, batches=20):
    """Share of positives among the (text, label) pairs of the first batches: the bias starts at its logit."""
    positives = pairs = 0.0
    for _, batch in zip(range(batches), loader, strict=False):
        targets = batch["targets"][:, batch["label_ids"]]
        positives, pairs = positives + targets.sum().item(), pairs + targets.numel()
    return positives / pairs
