"""The dual encoder: a text tower with a Q-Former, a label tower, one shared space."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F
from transformers import AutoConfig, PreTrainedModel
from transformers.utils import ModelOutput

from .configuration_emodistill import EmoDistillConfig, set_dropout
from .loss_emodistill import multi_positive_sigmoid_loss
from .statistics_emodistill import StatisticsMixin
from .towers_emodistill import (
    EmoDistillQFormer,
    check_tokens,
    embedding_name,
    encoder_from,
    layers_of,
    mean_of_tokens,
    runs_of_like_length,
)
from .weights_emodistill import (
    UNREADABLE,
    DamagedCheckpointError,
    check_loaded,
    check_types,
    encoder_weights,
    loads_on_cpu,
    quiet_loading,
    stored_state,
)

__all__ = [
    "DIMENSION_HALF_RANGE", "DIMENSION_MIDDLE", "EmoDistillModel", "EmoDistillOutput", "EmoDistillPreTrainedModel",
    "EmoDistillQFormer",
]  # fmt: skip

# The dimension head's output 0 is the middle of the lexicon's 1 to 9 scale, and 1 its upper end.
DIMENSION_MIDDLE, DIMENSION_HALF_RANGE = 5.0, 4.0


@dataclass
class EmoDistillOutput(ModelOutput):
    """
    Output of [`EmoDistillModel`].

    Args:
        loss (`torch.Tensor` of shape `(1,)`, *optional*): The contrastive loss, given `targets`.
        logits (`torch.Tensor` of shape `(batch, labels)`, *optional*): Scaled and biased similarities, fp32; given
            labels.
        text_embeds (`torch.Tensor` of shape `(batch, d)`): L2-normalised text embeddings.
        label_embeds (`torch.Tensor` of shape `(labels, d)`, *optional*): L2-normalised label embeddings, given labels.
        dimensions (`torch.Tensor` of shape `(batch, dimensions)`): Valence, arousal and dominance, 1 to 9.
    """

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    text_embeds: torch.Tensor | None = None
    label_embeds: torch.Tensor | None = None
    dimensions: torch.Tensor | None = None


class EmoDistillPreTrainedModel(PreTrainedModel):
    """Weight initialisation and loading common to the package's models."""

    config_class = EmoDistillConfig
    base_model_prefix = "emodistill"
    main_input_name = "input_ids"
    input_modalities = ("text",)
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True

    @torch.no_grad()
    def _init_weights(self, module):
        """Give every parameter of our own a value; the nested encoders know how to initialise theirs."""
        std = getattr(self.config.text_config, "initializer_range", 0.02)
        if isinstance(module, nn.Linear | nn.Embedding):
            nn.init.normal_(module.weight, std=std)
            if getattr(module, "bias", None) is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.LayerNorm):
            nn.init.ones_(module.weight)
            nn.init.zeros_(module.bias)
        elif isinstance(module, EmoDistillQFormer):
            nn.init.normal_(module.queries, std=1.0)
            if self.config.pooling == "both":  # added to mean pooling: start from the pretrained encoder's own space
                nn.init.zeros_(module.output.weight)
        elif isinstance(module, EmoDistillModel):
            # From the identity (of the first d dimensions), alike in both towers: aligned before any training.
            nn.init.eye_(module.text_projection.weight)
            nn.init.eye_(module.label_projection.weight)
            nn.init.constant_(module.logit_scale, self.config.logit_scale_init)
            module.logit_scale.log_()
            nn.init.constant_(module.logit_bias, self.config.logit_bias_init)
            module._init_statistics()

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path, *args, dtype=None, **kwargs):
        """As `PreTrainedModel.from_pretrained`, but in fp32 on a CPU unless `dtype` names another precision.

        Half precision is for the file: on a CPU it is slow and inexact. A `device_map` that names an accelerator
        keeps the precision of the file. A checkpoint that is damaged (weights that are missing, of another shape or no
        numbers, a background that is none) is refused with a `ValueError` of one sentence.
        """
        dtype = dtype if dtype is not None else kwargs.pop("torch_dtype", None)
        if dtype in (None, "auto"):
            dtype = torch.float32 if loads_on_cpu(kwargs.get("device_map")) else "auto"
        with_info = kwargs.pop("output_loading_info", False)
        model, info = cls._loaded(pretrained_model_name_or_path, *args, dtype=dtype, **kwargs)
        if model.config.freeze_label_encoder:
            model.freeze_label_encoder()
        return (model, info) if with_info else model

    @classmethod
    def _loaded(cls, name, *args, **kwargs):
        """Model and loading information, checked to be whole."""
        keeps_mismatches = kwargs.get("ignore_mismatched_sizes", False)
        kwargs |= {"output_loading_info": True, "ignore_mismatched_sizes": True}
        state = stored_state(name)
        try:
            with quiet_loading():
                if state is None:
                    check_types(name)
                    model, info = super().from_pretrained(name, *args, **kwargs)
                else:
                    config = kwargs.pop("config", None) or cls.config_class.from_pretrained(name)
                    model, info = super().from_pretrained(None, *args, config=config, state_dict=state, **kwargs)
        except UNREADABLE as error:
            raise DamagedCheckpointError(
                f"the checkpoint {name} is damaged: its weights cannot be read ({error})"
            ) from error
        check_loaded(model, info | ({"mismatched_keys": []} if keeps_mismatches else {}), name)
        return model, info


class EmoDistillModel(StatisticsMixin, EmoDistillPreTrainedModel):
    r"""
    Scores texts against any labels: two encoders, a head each, and cosine similarity in a shared space.

    Args:
        config ([`EmoDistillConfig`]): The configuration. Encoders are built from it with random weights; use
            [`~EmoDistillModel.from_encoders`] to start from pretrained encoders.

    Reference: Niu and Mower Provost 2025, arXiv 2505.18040.

    Example:

    ```python
    >>> import torch
    >>> from emodistill import EmoDistillConfig, EmoDistillModel

    >>> encoder = {"model_type": "bert", "vocab_size": 100, "hidden_size": 32, "num_hidden_layers": 1,
    ...            "num_attention_heads": 2, "intermediate_size": 64}
    >>> model = EmoDistillModel(EmoDistillConfig(encoder, projection_dim=16, num_qformer_heads=2)).eval()
    >>> texts = torch.tensor([[2, 5, 6, 3], [2, 7, 3, 0]])
    >>> labels = torch.tensor([[2, 9, 3], [2, 8, 3], [2, 4, 3]])
    >>> model(input_ids=texts, attention_mask=texts.ne(0), label_input_ids=labels).logits.shape
    torch.Size([2, 3])

    ```
    """

    def __init__(self, config):
        super().__init__(config)
        d = config.projection_dim
        self.text_encoder = encoder_from(config.text_config)
        self.label_encoder = encoder_from(config.label_config)
        self.qformer = EmoDistillQFormer(config) if config.pooling != "mean" else None
        self.text_projection = nn.Linear(config.text_config.hidden_size, d, bias=False)
        self.label_projection = nn.Linear(config.label_config.hidden_size, d, bias=False)
        names = config.dimension_names  # empty where no ratings were there to learn them from
        self.dimension_head = nn.Linear(d, len(names)) if names else None
        self.logit_scale = nn.Parameter(torch.empty(()))
        self.logit_bias = nn.Parameter(torch.empty(()))
        self._register_statistics(config)
        if config.tie_word_embeddings:
            self._tied_weights_keys = {
                f"label_encoder.{embedding_name(self.label_encoder)}": (
                    f"text_encoder.{embedding_name(self.text_encoder)}"
                )
            }
        self.post_init()

    @classmethod
    def from_encoders(cls, text_encoder, label_encoder=None, attention_dropout=None, dropout=None, **kwargs):
        """
        A new model on pretrained encoders, with fresh heads.

        Args:
            text_encoder (`str`): Folder or Hub id of the text tower's encoder.
            label_encoder (`str`, *optional*): The label tower's; the text tower's by default.
            attention_dropout (`float`, *optional*): Replaces the encoders' own.
            dropout (`float`, *optional*): Replaces the text encoder's own, of states and attention.
            kwargs: Further arguments of [`EmoDistillConfig`].

        Returns:
            [`EmoDistillModel`]: in fp32.

        Raises:
            `ValueError`: if the encoders' vocabularies differ, for one tokenizer serves both towers; or if an
                encoder's weights are not whole.
        """
        from transformers import AutoTokenizer

        label_encoder = label_encoder or text_encoder
        if str(label_encoder) != str(text_encoder):
            vocabularies = [AutoTokenizer.from_pretrained(name).get_vocab() for name in (text_encoder, label_encoder)]
            if vocabularies[0] != vocabularies[1]:
                raise ValueError(
                    f"text_encoder {text_encoder} and label_encoder {label_encoder} have different vocabularies; "
                    "choose two encoders with the same tokenizer"
                )
        configs = [AutoConfig.from_pretrained(name) for name in (text_encoder, label_encoder)]
        for config in configs:
            set_dropout(config, attention_dropout)
        set_dropout(configs[0], dropout, dropout)
        model = cls(EmoDistillConfig(text_config=configs[0], label_config=configs[1], **kwargs)).float()
        for tower, name in ((model.text_encoder, text_encoder), (model.label_encoder, label_encoder)):
            tower.load_state_dict(encoder_weights(name, tower))
        model.tie_weights()
        if model.config.freeze_label_encoder:
            model.freeze_label_encoder()
        return model

    def freeze_lower_layers(self, text_layers=0, label_layers=0):
        """
        Take the lowest layers of the towers out of training, with their embeddings; training gets faster, and the
        encoders keep more of what they know.

        Args:
            text_layers (`int`): How many layers of the text encoder; 0 trains all of it, embeddings included.
            label_layers (`int`): How many layers of the label encoder.

        Raises:
            `ValueError`: if an encoder has fewer layers, or no list of layers is found in it.
        """
        towers = ((self.text_encoder, text_layers, "text"), (self.label_encoder, label_layers, "label"))
        for encoder, number, name in towers:
            if not number:
                continue
            layers = layers_of(encoder)
            if not 0 <= number <= len(layers):
                raise ValueError(f"freeze_{name}_layers must lie between 0 and {len(layers)}, not {number}")
            encoder.requires_grad_(False)
            for layer in layers[number:]:
                layer.requires_grad_(True)

    def freeze_label_encoder(self):
        """Take the label encoder out of training; with tied embeddings, the shared matrix too."""
        self.config.freeze_label_encoder = True  # so that `train()` and a saved checkpoint know
        self.label_encoder.requires_grad_(False)
        self.label_encoder.eval()

    @property
    def label_encoder_is_frozen(self):
        """`bool`: whether no parameter of the label encoder is trained, so that its output may be cached."""
        return not any(parameter.requires_grad for parameter in self.label_encoder.parameters())

    def train(self, mode=True):
        """Switch to training, except a frozen label encoder: its output must not depend on dropout."""
        super().train(mode)
        if self.config.freeze_label_encoder:
            self.label_encoder.eval()
        return self

    def get_text_features(self, input_ids, attention_mask=None, **kwargs):
        """
        Embed texts.

        Args:
            input_ids (`torch.LongTensor` of shape `(batch, length)`): Token ids.
            attention_mask (`torch.Tensor` of shape `(batch, length)`, *optional*): 1 for tokens, 0 for padding.

        Returns:
            `torch.Tensor` of shape `(batch, d)`: L2-normalised embeddings.
        """
        check_tokens(input_ids)
        return F.normalize(self.text_projection(self.get_text_states(input_ids, attention_mask, **kwargs)), dim=-1)

    def get_text_states(self, input_ids, attention_mask=None, **kwargs):
        """
        Text encoder output, pooled, before the projection.

        Args:
            input_ids (`torch.LongTensor` of shape `(batch, length)`): Token ids.
            attention_mask (`torch.Tensor` of shape `(batch, length)`, *optional*): 1 for tokens, 0 for padding.

        Returns:
            `torch.Tensor` of shape `(batch, hidden)`.
        """
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        tokens = self.text_encoder(input_ids=input_ids, attention_mask=attention_mask, **kwargs).last_hidden_state
        if self.config.pooling == "qformer":
            pooled = self.qformer(tokens, attention_mask)
        else:
            pooled = mean_of_tokens(tokens, attention_mask)
            if self.qformer is not None:
                pooled = pooled + self.qformer(tokens, attention_mask)
        return pooled

    def get_label_states(self, input_ids, attention_mask=None):
        """
        Label encoder output before the projection: what may be cached while the label encoder is frozen.

        Args:
            input_ids (`torch.LongTensor` of shape `(labels, length)`): Token ids.
            attention_mask (`torch.Tensor` of shape `(labels, length)`, *optional*): 1 for tokens, 0 for padding.

        Returns:
            `torch.Tensor` of shape `(labels, hidden)`: mean-pooled states.
        """
        if attention_mask is None:
            attention_mask = torch.ones_like(input_ids)
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.label_encoder_is_frozen):
            # Most labels are a word, a few are phrases: padding all to the longest would double a training step.
            lengths, order = attention_mask.sum(dim=1).sort(stable=True)
            runs = [(len(order), attention_mask.shape[1])]
            if (attention_mask[:, 1:] <= attention_mask[:, :-1]).all():  # padded on the right, where it may be cut
                runs = runs_of_like_length(lengths.tolist()) or runs
            states = []
            for part, (_, longest) in zip(order.split([size for size, _ in runs]), runs, strict=True):
                ids, mask = input_ids[part, :longest], attention_mask[part, :longest]
                tokens = self.label_encoder(input_ids=ids, attention_mask=mask).last_hidden_state
                states.append(mean_of_tokens(tokens, mask))
            return torch.cat(states)[order.argsort()]

    def get_label_features(self, input_ids=None, attention_mask=None, label_states=None, token_type_ids=None):
        """
        Embed labels.

        Args:
            input_ids (`torch.LongTensor` of shape `(labels, length)`, *optional*): Token ids.
            attention_mask (`torch.Tensor` of shape `(labels, length)`, *optional*): 1 for tokens, 0 for padding.
            label_states (`torch.Tensor` of shape `(labels, hidden)`, *optional*): Cached output of
                [`~EmoDistillModel.get_label_states`], in place of `input_ids`.
            token_type_ids (`torch.Tensor` of shape `(labels, length)`, *optional*): Taken so that a tokenizer's whole
                output may be given, and not used: a label is one segment.

        Returns:
            `torch.Tensor` of shape `(labels, d)`: L2-normalised embeddings.
        """
        if (input_ids is None) == (label_states is None):
            raise ValueError("give either input_ids or label_states")
        if label_states is None:
            check_tokens(input_ids)
            label_states = self.get_label_states(input_ids, attention_mask)
        return F.normalize(self.label_projection(label_states), dim=-1)

    def get_dimensions(self, text_embeds):
        """
        Valence, arousal and dominance (`config.dimension_names`) of embedded texts.

        Args:
            text_embeds (`torch.Tensor` of shape `(batch, d)`): Output of [`~EmoDistillModel.get_text_features`].

        Returns:
            `torch.Tensor` of shape `(batch, dimensions)`: on the 1 to 9 scale, 5 in the middle.
        """
        if self.dimension_head is None:
            raise ValueError("this checkpoint has no built-in dimensions: it was trained without a lexicon of ratings")
        return DIMENSION_MIDDLE + DIMENSION_HALF_RANGE * self.dimension_head(text_embeds)

    def get_logits(self, text_embeds, label_embeds):
        """Scaled and biased cosine similarities, `(batch, labels)`, in fp32 whatever the embeddings' precision."""
        with torch.autocast(text_embeds.device.type, enabled=False):
            similarities = text_embeds.float() @ label_embeds.float().T
            return similarities * self.logit_scale.float().exp() + self.logit_bias.float()

    def forward(
        self,
        input_ids,
        attention_mask=None,
        label_input_ids=None,
        label_attention_mask=None,
        label_states=None,
        targets=None,
        target_mask=None,
        return_dict=True,
        **kwargs,
    ):
        """
        Embed texts and labels and score every pair; without labels, embed texts.

        Args:
            input_ids (`torch.LongTensor` of shape `(batch, length)`): Token ids of the texts.
            attention_mask (`torch.Tensor` of shape `(batch, length)`, *optional*): Their mask.
            label_input_ids (`torch.LongTensor` of shape `(labels, length)`, *optional*): Token ids of the labels.
            label_attention_mask (`torch.Tensor` of shape `(labels, length)`, *optional*): Their mask.
            label_states (`torch.Tensor` of shape `(labels, hidden)`, *optional*): Cached label encoder output.
            targets (`torch.Tensor` of shape `(batch, labels)`, *optional*): 0/1 or soft targets, for a loss.
            target_mask (`torch.BoolTensor` of shape `(batch, labels)`, *optional*): Pairs that count.
            return_dict (`bool`, *optional*, defaults to `True`): Whether to return an output object or a tuple.

        Returns:
            [`EmoDistillOutput`] or `tuple`.
        """
        text_embeds = self.get_text_features(input_ids, attention_mask, **kwargs)
        label_embeds = logits = loss = None
        if label_input_ids is not None or label_states is not None:
            label_embeds = self.get_label_features(label_input_ids, label_attention_mask, label_states)
            if targets is None:
                logits = self.get_logits(text_embeds, label_embeds)
            else:
                logits, loss = self.contrastive_loss(text_embeds, label_embeds, targets, target_mask)
        elif targets is not None:
            raise ValueError("targets need labels: give label_input_ids or label_states")
        output = EmoDistillOutput(
            loss=loss,
            logits=logits,
            text_embeds=text_embeds,
            label_embeds=label_embeds,
            dimensions=None if self.dimension_head is None else self.get_dimensions(text_embeds),
        )
        return output if return_dict else output.to_tuple()

    def contrastive_loss(self, text_embeds, label_embeds, targets, target_mask=None):
        """
        What training minimises of texts and labels, see [`multi_positive_sigmoid_loss`].

        Args:
            text_embeds (`torch.Tensor` of shape `(batch, d)`): Text embeddings.
            label_embeds (`torch.Tensor` of shape `(labels, d)`): Label embeddings.
            targets (`torch.Tensor` of shape `(batch, labels)`): 0/1 or soft targets.
            target_mask (`torch.BoolTensor` of shape `(batch, labels)`, *optional*): Pairs that count.

        Returns:
            `tuple(torch.Tensor, torch.Tensor)`: logits `(batch, labels)` and the loss, a scalar.
        """
        logits = self.get_logits(text_embeds, label_embeds)
        return logits, multi_positive_sigmoid_loss(logits, targets, target_mask)
