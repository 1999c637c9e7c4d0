"""The multi-positive sigmoid contrastive loss, on one process or several."""

import math

import torch
import torch.distributed as dist
from torch.nn import functional as F

__all__ = ["gather_labels", "logit_of_rate", "multi_positive_sigmoid_loss"]


def multi_positive_sigmoid_loss(logits, targets, mask=None):
    r"""
    Binary cross-entropy over all (text, label) pairs, summed over labels and averaged over texts.

    This is SigLIP's sigmoid loss (Zhai et al. 2023, arXiv 2303.15343) with several positives a text, as in
    arXiv 2505.18040. The sum over labels keeps a rare positive's pull independent of the number of negatives.

    Args:
        logits (`torch.Tensor` of shape `(batch, labels)`): Scaled and biased similarities.
        targets (`torch.Tensor` of shape `(batch, labels)`): 1 for positives, 0 for negatives, between for soft ones.
        mask (`torch.BoolTensor` of shape `(batch, labels)`, *optional*): True where a pair counts. Near-synonyms of
            a text's descriptors, which are neither positive nor negative, are left out by False.

    Returns:
        `torch.Tensor`: a scalar in fp32.

    Example:

    ```python
    >>> import torch
    >>> from emodistill.loss_emodistill import multi_positive_sigmoid_loss

    >>> logits = torch.zeros(2, 3)
    >>> targets = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    >>> round(multi_positive_sigmoid_loss(logits, targets).item(), 4)  # 3 labels x log 2
    2.0794

    ```
    """
    pairs = F.binary_cross_entropy_with_logits(logits.float(), targets.float(), reduction="none")
    if mask is not None:
        pairs = pairs * mask
    return pairs.sum(dim=-1).mean()


def logit_of_rate(rate):
    """The logit of a positive rate strictly between 0 and 1: the bias at which an untrained model is calibrated.

    ```python
    >>> from emodistill.loss_emodistill import logit_of_rate
    >>> round(logit_of_rate(0.02), 3)
    -3.892

    ```
    """
    if not 0.0 < rate < 1.0:
        raise ValueError(f"rate must lie strictly between 0 and 1, not {rate}")
    return math.log(rate / (1.0 - rate))


class _GatherRows(torch.autograd.Function):
    """Concatenate equally shaped rows of every process; the gradient of all processes flows back to their owner.

    `torch.distributed.all_gather` has no gradient, and its differentiable form needs collectives that not every
    CPU backend offers; a sum over processes is available everywhere.
    """

    @staticmethod
    def forward(ctx, rows):
        ctx.rows = rows.shape[0]
        gathered = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
        dist.all_gather(gathered, rows.contiguous())
        return torch.cat(gathered)

    @staticmethod
    def backward(ctx, gradient):
        gradient = gradient.contiguous()
        dist.all_reduce(gradient)
        start = dist.get_rank() * ctx.rows
        return gradient[start : start + ctx.rows]


def gather_labels(label_ids, label_embeds):
    r"""
    The distinct labels of all processes, with their embeddings, the same on each process.

    A label that several processes hold counts once; its gradient goes to the first that holds it. Where only
    one process runs, this only sorts.

    Args:
        label_ids (`torch.LongTensor` of shape `(labels,)`): Distinct vocabulary ids of this process's labels.
        label_embeds (`torch.Tensor` of shape `(labels, d)`): Their embeddings.

    Returns:
        `tuple(torch.LongTensor, torch.Tensor)`: ids of shape `(all_labels,)` in ascending order and embeddings of
        shape `(all_labels, d)`.

    Example:

    ```python
    >>> import torch
    >>> from emodistill.loss_emodistill import gather_labels

    >>> ids, embeds = gather_labels(torch.tensor([7, 2]), torch.tensor([[0.7, 0.0], [0.2, 0.0]]))
    >>> ids.tolist(), embeds.shape
    ([2, 7], torch.Size([2, 2]))

    ```
    """
    if dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        size = torch.tensor([len(label_ids)], device=label_ids.device)
        dist.all_reduce(size, op=dist.ReduceOp.MAX)
        missing = int(size) - len(label_ids)
        # Processes hold different numbers of labels: pad to the largest, with an id that no label has.
        padded_ids = F.pad(label_ids, (0, missing), value=-1)
        gathered_ids = [torch.empty_like(padded_ids) for _ in range(dist.get_world_size())]
        dist.all_gather(gathered_ids, padded_ids)
        label_ids = torch.cat(gathered_ids)
        label_embeds = _GatherRows.apply(F.pad(label_embeds, (0, 0, 0, missing)))
    order = torch.sort(label_ids, stable=True).indices  # stable: of equal ids the first process's comes first
    ordered = label_ids[order]
    first = torch.ones_like(ordered, dtype=torch.bool)
    first[1:] = ordered[1:] != ordered[:-1]
    keep = first & (ordered >= 0)
    return ordered[keep], label_embeds[order[keep]]
