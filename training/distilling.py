"""Soft targets from trained checkpoints: what several students agree on teaches the next one."""

import contextlib
import math
import os

import torch

from ..encoding_emodistill import encode_labels, encode_texts
from ..files import write_bytes
from ..fingerprint import embedding_fingerprint
from ..loading import load_checkpoint
from ..modeling_emodistill import EmoDistillModel
from ..weights_emodistill import UNREADABLE
from .encoders import teacher_names

__all__ = ["Teachers", "load_teachers"]


class Teachers:
    """
    Mean logits of several checkpoints on the training texts, as probabilities.

    A dual encoder's logit is a product of two embeddings, so the mean over checkpoints is one as well: of their
    embeddings side by side. Nothing is stored for a pair of a text and a label.

    Args:
        text_embeds (`torch.Tensor` of shape `(texts, checkpoints * d)`): Scaled so that products are mean logits.
        label_embeds (`torch.Tensor` of shape `(labels, checkpoints * d)`): Labels of the vocabulary.
        bias (`float`): Mean bias.
        checkpoints (`int`, *optional*, defaults to 1): How many there are.

    Example:

    ```python
    >>> import torch
    >>> from emodistill.training.distilling import Teachers

    >>> teachers = Teachers(torch.tensor([[2.0, 0.0], [0.0, 2.0]]), torch.tensor([[1.0, 0.0]]), bias=-2.0)
    >>> teachers(torch.tensor([0, 1]), torch.tensor([0]))
    tensor([[0.5000],
            [0.1192]])

    ```
    """

    def __init__(self, text_embeds, label_embeds, bias, checkpoints=1):
        self.text_embeds, self.label_embeds, self.bias = text_embeds, label_embeds, bias
        self.checkpoints = checkpoints

    def embeds(self, rows):
        """Mean embeddings `(batch, d)` of texts, L2-normalised: for a student that shares the label space."""
        parts = self.text_embeds[rows].chunk(self.checkpoints, dim=1)
        return torch.nn.functional.normalize(sum(parts), dim=-1)

    def __call__(self, rows, ids):
        """
        Args:
            rows (`torch.LongTensor` of shape `(batch,)`): Places of texts.
            ids (`torch.LongTensor` of shape `(labels,)`): Places of labels in the vocabulary.

        Returns:
            `torch.Tensor` of shape `(batch, labels)`: probabilities, fp32.
        """
        return torch.sigmoid(self.text_embeds[rows].float() @ self.label_embeds[ids].float().T + self.bias)


def load_teachers(folders, texts, labels, cache_dir, device, autocast=False, say=print, width=None):
    """
    Read teachers and embed all texts and labels with each, once: a run that goes on finds them in its own folder.

    Args:
        folders (`str`): Checkpoints, separated by commas: folders or Hub ids.
        texts (`list[str]`): The training texts.
        labels (`list[str]`): The vocabulary.
        cache_dir (`str`): Where embeddings are kept.
        device (`torch.device`): Where they are computed, and live.
        autocast (`bool`): Whether to compute in bf16.
        say (`Callable`): Told of each teacher.
        width (`int`, *optional*): Dimension that their embeddings must have, where a student learns these too.

    Returns:
        [`Teachers`]: on that device.

    Raises:
        `ValueError`: if no checkpoint is named, or one is neither a folder nor a Hub id, or of another dimension.
    """
    names = teacher_names(folders)
    parts = []
    for number, name in enumerate(names, start=1):
        say(f"teacher {number} of {len(names)}: {name}")
        if width and (own := EmoDistillModel.config_class.from_pretrained(name).projection_dim) != width:
            raise ValueError(
                f"embedding_weight needs teachers of the model's dimension, {width}; {name} has {own}: leave it out"
            )
        parts.append(_embed(name, texts, labels, cache_dir, device, autocast))
    factors = [math.sqrt(part["scale"].item() / len(parts)) for part in parts]
    text_embeds, label_embeds = (
        torch.cat([part[key].float() * factor for part, factor in zip(parts, factors, strict=True)], dim=1).to(device)
        for key in ("texts", "labels")
    )
    return Teachers(text_embeds, label_embeds, sum(part["bias"].item() for part in parts) / len(parts), len(parts))


def _embed(name, texts, labels, cache_dir, device, autocast):
    """Embeddings, inverse temperature and bias of one teacher, from the run's folder if they are there."""
    from safetensors.torch import load_file, save

    model, tokenizer = load_checkpoint(name)
    digest = embedding_fingerprint(model, tokenizer, repr((texts, labels, autocast)))
    path = os.path.join(cache_dir, f"teacher-{digest[:16]}.safetensors")
    if os.path.isfile(path):
        with contextlib.suppress(*UNREADABLE):  # damaged: made anew
            return load_file(path)
    model.to(device).eval()
    part = {
        "texts": encode_texts(model, tokenizer, texts, batch_size=64, autocast=autocast).half().cpu(),
        "labels": encode_labels(model, tokenizer, labels).half().cpu(),
        "scale": model.logit_scale.detach().float().exp().cpu(),
        "bias": model.logit_bias.detach().float().cpu(),
    }
    write_bytes(path, save(part))
    return part
