"""Strings to embeddings: windows over long texts, batches of like length, several wordings of a label."""

import contextlib
import warnings

import torch
from torch.nn import functional as F

from .normalisation_emodistill import spell_emoji
from .tokenizing_emodistill import (
    MAX_WINDOWS,
    TOKENIZER_LOCK,
    TOKENS_AT_ONCE,
    WINDOW_OVERLAP,
    TokenizedTexts,
    batches_of_like_length,
    forget_settings,
    tokenize_texts,
)

__all__ = [
    "MAX_WINDOWS",
    "WINDOW_OVERLAP",
    "TokenizedTexts",
    "embed_tokenized",
    "embed_windows",
    "encode_labels",
    "encode_texts",
    "evaluating",
    "forget_settings",
    "longest_label",
    "mean_of_windows",
    "tokenize_texts",
]

ENDLESS = 100_000  # tokens; what transformers puts for "not known" is above


@contextlib.contextmanager
def evaluating(model):
    """Dropout off while a model that is still in training is asked for scores."""
    training = model.training
    if training:
        model.eval()
    try:
        yield
    finally:
        if training:
            model.train()


@torch.no_grad()
def embed_windows(model, tokenized, batch_size=32, autocast=False, progress=None):
    """
    Embeddings of the windows of tokenised texts, see [`embed_tokenized`].

    Returns:
        `torch.Tensor` of shape `(windows, d)`: L2-normalised, fp32, on the model's device.
    """
    device, windows = model.device, tokenized.windows
    batches = batches_of_like_length(windows, batch_size, TOKENS_AT_ONCE if device.type == "cpu" else None)
    embeds = torch.empty(len(windows), model.config.projection_dim, dtype=torch.float32, device=device)
    for chosen in progress(batches) if progress else batches:
        input_ids, mask = _pad([windows[index] for index in chosen], tokenized.pad_token_id, device)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=autocast):
            features = model.get_text_features(input_ids, mask)
        embeds[torch.tensor(chosen, device=device)] = features.float()
    return embeds


def mean_of_windows(tokenized, embeds):
    """
    Embeddings of texts: of each the mean of its windows, weighted by their tokens.

    Args:
        tokenized ([`TokenizedTexts`]): The texts.
        embeds (`torch.Tensor` of shape `(windows, d)`): Embeddings of their windows.

    Returns:
        `torch.Tensor` of shape `(texts, d)`: L2-normalised.
    """
    if len(tokenized.windows) == tokenized.texts:
        return embeds
    weights = torch.tensor([len(window) for window in tokenized.windows], dtype=torch.float32, device=embeds.device)
    summed = torch.zeros(tokenized.texts, embeds.shape[1], dtype=torch.float32, device=embeds.device)
    summed.index_add_(0, torch.tensor(tokenized.owners, device=embeds.device), embeds * weights[:, None])
    return F.normalize(summed, dim=-1)


def embed_tokenized(model, tokenized, batch_size=32, autocast=False, progress=None):
    """
    Embeddings of tokenised texts; see [`encode_texts`], which does both.

    Args:
        model ([`EmoDistillModel`]): The model; it is not switched to evaluation here.
        tokenized ([`TokenizedTexts`]): The texts.
        batch_size (`int`, *optional*, defaults to 32): Windows in a batch; batches hold windows of like length.
        autocast (`bool`, *optional*, defaults to `False`): Whether to compute in bf16.
        progress (`Callable`, *optional*): Wraps the iterator of batches, `tqdm` for instance.

    Returns:
        `torch.Tensor` of shape `(texts, d)`: L2-normalised, fp32, on the model's device.
    """
    return mean_of_windows(tokenized, embed_windows(model, tokenized, batch_size, autocast, progress))


def encode_texts(
    model, tokenizer, texts, batch_size=32, autocast=False, progress=None, max_windows=MAX_WINDOWS, normalise=None
):
    """
    Embed texts; one longer than a window becomes the average of its windows, weighted by their tokens.

    Args:
        model ([`EmoDistillModel`]): The model; it is not switched to evaluation here.
        tokenizer (`PreTrainedTokenizerBase`): Its tokenizer.
        texts (`list[str]` or `str`): The texts; a string is one text.
        batch_size (`int`, *optional*, defaults to 32): Windows in a batch; batches hold windows of like length.
        autocast (`bool`, *optional*, defaults to `False`): Whether to compute in bf16, for training's validation.
        progress (`Callable`, *optional*): Wraps the iterator of batches, `tqdm` for instance.
        max_windows (`int`, *optional*, defaults to 16): Windows of one text that are read; `None` for all.
        normalise (`bool`, *optional*): Whether texts are normalised; by default as the configuration says.

    Returns:
        `torch.Tensor` of shape `(texts, d)`: L2-normalised, fp32, on the model's device.

    Example:

    ```python
    >>> from transformers import AutoTokenizer
    >>> from emodistill import DEFAULT_CHECKPOINT, EmoDistillModel
    >>> from emodistill.encoding_emodistill import encode_texts

    >>> model = EmoDistillModel.from_pretrained(DEFAULT_CHECKPOINT)
    >>> encode_texts(model, AutoTokenizer.from_pretrained(DEFAULT_CHECKPOINT), ["What a day!"]).shape
    torch.Size([1, 384])

    ```
    """
    tokenized = tokenize_texts(tokenizer, model.config, texts, max_windows, normalise)
    return embed_tokenized(model, tokenized, batch_size, autocast, progress)


def _pad(windows, pad_token_id, device):
    """Token ids and attention mask of windows, padded to the longest."""
    length = max(map(len, windows))
    ids = torch.tensor([window + [pad_token_id] * (length - len(window)) for window in windows])
    lengths = torch.tensor([len(window) for window in windows])
    mask = torch.arange(length)[None, :] < lengths[:, None]
    return ids.to(device), mask.long().to(device)


@torch.no_grad()
def encode_labels(model, tokenizer, wordings, batch_size=256):
    """
    Embed labels; several wordings of one label are averaged after normalisation.

    Args:
        model ([`EmoDistillModel`]): The model, in evaluation mode for results that repeat.
        tokenizer (`PreTrainedTokenizerBase`): Its tokenizer.
        wordings (`list[str]` or `list[list[str]]`): A label's wording, or several.
        batch_size (`int`, *optional*, defaults to 256): Wordings in a batch.

    Returns:
        `torch.Tensor` of shape `(labels, d)`: L2-normalised, fp32, on the model's device.

    Example:

    ```python
    >>> from transformers import AutoTokenizer
    >>> from emodistill import DEFAULT_CHECKPOINT, EmoDistillModel
    >>> from emodistill.encoding_emodistill import encode_labels

    >>> model = EmoDistillModel.from_pretrained(DEFAULT_CHECKPOINT)
    >>> encode_labels(model, AutoTokenizer.from_pretrained(DEFAULT_CHECKPOINT), ["relief", ["joy", "delight"]]).shape
    torch.Size([2, 384])

    ```
    """
    wordings = [wordings] if isinstance(wordings, str) else wordings
    groups = [[group] if isinstance(group, str) else list(group) for group in wordings]
    flat = [wording for group in groups for wording in group]
    if model.config.spell_emoji or model.config.normalise_texts:
        flat = [spell_emoji(wording) for wording in flat]  # as texts are
    device, limit = model.device, longest_label(model, tokenizer)
    parts = []
    for start in range(0, len(flat), batch_size):
        with TOKENIZER_LOCK:
            encoded = tokenizer(
                flat[start : start + batch_size],
                padding=True,
                truncation=True,
                max_length=limit,
                return_tensors="pt",
            ).to(device)
            forget_settings(tokenizer)
        if encoded["input_ids"].shape[1] == limit:
            _warn_of_cut_labels(tokenizer, flat[start : start + batch_size], limit)
        parts.append(model.get_label_features(encoded["input_ids"], encoded["attention_mask"]).float())
    embeds = torch.cat(parts)
    owners = torch.tensor([index for index, group in enumerate(groups) for _ in group], device=device)
    summed = torch.zeros_like(embeds[: len(groups)]).index_add_(0, owners, embeds)
    return F.normalize(summed, dim=-1)


def longest_label(model, tokenizer):
    """
    Tokens of a label that are read: as many as its encoder takes, or more if the configuration says so.

    Args:
        model ([`EmoDistillModel`]): The model.
        tokenizer (`PreTrainedTokenizerBase`): Its tokenizer.

    Returns:
        `int`
    """
    positions = model.config.label_config.to_dict().get("max_position_embeddings")
    table = getattr(getattr(model.label_encoder, "embeddings", None), "position_embeddings", None)
    if positions and table is not None and getattr(table, "padding_idx", None) is not None:
        positions -= table.padding_idx + 1  # RoBERTa and MPNet count from behind the padding
    limit = positions or tokenizer.model_max_length  # which is endless where it is not known
    return limit if limit < ENDLESS else model.config.label_max_length


def _warn_of_cut_labels(tokenizer, wordings, limit):
    for wording in wordings:
        with TOKENIZER_LOCK:
            length = len(tokenizer(wording, verbose=False)["input_ids"])
        if length > limit:
            warnings.warn(
                f"the label {_short(wording)!r} has more than {limit} tokens, which is all that the encoder reads",
                stacklevel=2,
            )


def _short(text, most=60):
    return text if len(text) <= most else text[: most - 1] + "…"
