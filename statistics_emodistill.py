"""What a model keeps for the rules of decision: the background of its embeddings, and its reference vocabulary."""

import torch
from torch import nn

from .constants_emodistill import DecisionConstants
from .decision_emodistill import LabelStatistics
from .rules_emodistill import extend_labels

__all__ = ["StatisticsMixin"]


class StatisticsMixin:
    """The buffers of [`EmoDistillModel`] that no step of training changes: set once it is trained, saved with it."""

    def _register_statistics(self, config):
        d = config.projection_dim
        # Mean and covariance (times d, so that half precision keeps it) of the embeddings of unlabelled background
        # texts, and their number; the decision rules standardise by them. Persistent, so that loading fills them.
        self.register_buffer("background_mean", torch.zeros(d))
        self.register_buffer("background_covariance", torch.zeros(d, d))
        self.register_buffer("background_count", torch.zeros(()))
        # Over these plain words the labels of a set are extended; see `extend_labels`.
        words = len(config.reference_words)
        self.register_buffer("reference_embeds", torch.zeros(words, d) if words else None)
        self.register_buffer("reference_directions", torch.zeros(words, d) if words else None)
        priors = torch.zeros(words) if words and config.reference_priors else None
        self.register_buffer("reference_priors", priors)  # older checkpoints have none

    def _init_statistics(self):
        """Zeros, until they are loaded or set."""
        background = (self.background_mean, self.background_covariance, self.background_count)
        for buffer in (*background, self.reference_embeds, self.reference_directions, self.reference_priors):
            if buffer is not None:
                nn.init.zeros_(buffer)

    def set_background(self, text_embeds):
        """
        Keep mean and covariance of the embeddings of unlabelled texts, against which scores are standardised.

        Args:
            text_embeds (`torch.Tensor` of shape `(texts, d)`): At least two embeddings.
        """
        if len(text_embeds) < 2:
            raise ValueError(f"the background needs at least two texts, not {len(text_embeds)}")
        embeds = text_embeds.double()
        self.background_mean.copy_(embeds.mean(dim=0))
        self.background_covariance.copy_(torch.cov(embeds.T) * embeds.shape[1])
        self.background_count.fill_(min(len(embeds), 2**15))  # only whether there is one matters; fp16 ends at 65504

    @property
    def background(self):
        """`tuple(torch.Tensor, torch.Tensor)` or `None`: mean `(d,)` and covariance `(d, d)` in fp32, if set."""
        if not self.background_count.item():
            return None
        return self.background_mean.float(), self.background_covariance.float() / self.config.projection_dim

    def set_reference(self, words, embeds=None, directions=None, priors=None):
        """
        Keep the reference vocabulary, over which the labels of a set are extended.

        Args:
            words (`list[str]`): Plain emotion words; an empty list takes the vocabulary away, and labels then stay as
                they are.
            embeds (`torch.Tensor` of shape `(words, d)`): Their label embeddings, L2-normalised.
            directions (`torch.Tensor` of shape `(words, d)`, *optional*): What each adds to a label that stands for
                it, L2-normalised; the embeddings by default.
            priors (`torch.Tensor` of shape `(words,)`, *optional*): How common each is among texts, from 0 to 1.

        Raises:
            `ValueError`: if embeddings or directions are not one row of `projection_dim` numbers for each word, or
                priors not one number for each.
        """
        shape = (len(words), self.config.projection_dim)
        parts = {"embeds": embeds, "directions": embeds if directions is None else directions}
        for name, values in parts.items():
            if words and (values is None or tuple(values.shape) != shape):
                raise ValueError(f"{name} must have shape {shape}, one row for each of the words")
            kept = values.detach().to(self.background_mean, copy=True) if words else None
            setattr(self, f"reference_{name}", kept)
        if priors is not None and tuple(priors.shape) != (len(words),):
            raise ValueError(f"priors must have shape {(len(words),)}, one number for each of the words")
        has_priors = priors is not None and len(words) > 0
        self.reference_priors = priors.detach().to(self.background_mean, copy=True) if has_priors else None
        self.config.reference_words, self.config.reference_priors = list(words), has_priors

    @property
    def reference(self):
        """`tuple(torch.Tensor, torch.Tensor)` or `None`: embeddings and directions `(words, d)` in fp32, if set."""
        if self.reference_embeds is None:
            return None
        return self.reference_embeds.float(), self.reference_directions.float()

    @property
    def statistics(self):
        """[`LabelStatistics`]: background, reference vocabulary and the loss's own sigmoid, in fp32 on the CPU."""

        def kept(parts):
            return None if parts is None else tuple(part.detach().float().cpu() for part in parts)

        priors = self.reference_priors
        return LabelStatistics(
            background=kept(self.background),
            reference=kept(self.reference),
            reference_priors=None if priors is None else priors.float().cpu(),
            logit=kept((self.logit_scale.detach().cpu().float().exp(), self.logit_bias)),
        )

    def extend_labels(self, label_embeds):
        """
        A label set as version 1 of the decision rules sees it, see [`~rules_emodistill.extend_labels`].

        Args:
            label_embeds (`torch.Tensor` of shape `(labels, d)`): Embeddings of the whole set.

        Returns:
            `torch.Tensor` of shape `(labels, d)`: L2-normalised, fp32; unchanged without a reference vocabulary.
        """
        constants = DecisionConstants.from_config(self.config)
        return extend_labels(label_embeds, self.reference, self.background, constants)
