"""Strings to embeddings: windows over long texts, batches of like length, several wordings of a label."""

import contextlib
import threading
from dataclasses import dataclass

import torch
from torch.nn import functional as F

from .normalisation_emodistill import plain_texts

__all__ = [
    "WINDOW_OVERLAP",
    "TokenizedTexts",
    "embed_tokenized",
    "encode_labels",
    "encode_texts",
    "evaluating",
    "tokenize_texts",
]

# A fast tokenizer keeps the last call's truncation and padding, so two threads must not be in it at once.
TOKENIZER_LOCK = threading.Lock()
WINDOW_OVERLAP = 32  # tokens that neighbouring windows of a long text share, so that no clause is only cut


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


@dataclass(frozen=True)
class TokenizedTexts:
    """
    Texts as token ids, ready for the text tower.

    Args:
        windows (`list[list[int]]`): Token ids; a long text has several windows.
        owners (`list[int]`): For each window the place of its text.
        texts (`int`): Number of texts.
        pad_token_id (`int`): What shorter windows are padded with.
    """

    windows: list
    owners: list
    texts: int
    pad_token_id: int


def tokenize_texts(tokenizer, config, texts):
    """
    Token ids of texts; no model is needed, so one thread may do this while another embeds.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): The model's tokenizer.
        config ([`EmoDistillConfig`]): Gives the length of a window and how texts are normalised.
        texts (`list[str]`): The texts.

    Returns:
        [`TokenizedTexts`]

    Example:

    ```python
    >>> from transformers import AutoTokenizer
    >>> from emodistill import DEFAULT_CHECKPOINT, EmoDistillConfig
    >>> from emodistill.encoding_emodistill import tokenize_texts

    >>> tokenizer = AutoTokenizer.from_pretrained(DEFAULT_CHECKPOINT)
    >>> config = EmoDistillConfig.from_pretrained(DEFAULT_CHECKPOINT)
    >>> tokenize_texts(tokenizer, config, ["What a day!", "long " * 200]).owners
    [0, 1, 1]

    ```
    """
    if not texts:
        return TokenizedTexts([], [], 0, tokenizer.pad_token_id)
    max_length = config.text_max_length
    texts = plain_texts(config, texts)
    with TOKENIZER_LOCK:
        encoded = tokenizer(
            list(texts),
            truncation=True,
            max_length=max_length,
            stride=min(WINDOW_OVERLAP, max_length // 4),
            return_overflowing_tokens=True,
            return_attention_mask=False,
            return_token_type_ids=False,
        )
    return TokenizedTexts(
        encoded["input_ids"], encoded["overflow_to_sample_mapping"], len(texts), tokenizer.pad_token_id
    )


@torch.no_grad()
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
    device, d, windows = model.device, model.config.projection_dim, tokenized.windows
    order = sorted(range(len(windows)), key=lambda index: len(windows[index]))
    starts = range(0, len(order), batch_size)
    embeds = torch.empty(len(windows), d, dtype=torch.float32, device=device)
    for start in progress(starts) if progress else starts:
        chosen = order[start : start + batch_size]
        input_ids, mask = _pad([windows[index] for index in chosen], tokenized.pad_token_id, device)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=autocast):
            features = model.get_text_features(input_ids, mask)
        embeds[torch.tensor(chosen, device=device)] = features.float()
    if len(windows) == tokenized.texts:
        return embeds
    weights = torch.tensor([len(window) for window in windows], dtype=torch.float32, device=device)
    summed = torch.zeros(tokenized.texts, d, dtype=torch.float32, device=device)
    summed.index_add_(0, torch.tensor(tokenized.owners, device=device), embeds * weights[:, None])
    return F.normalize(summed, dim=-1)


def encode_texts(model, tokenizer, texts, batch_size=32, autocast=False, progress=None):
    """
    Embed texts; one longer than a window becomes the average of its windows, weighted by their tokens.

    Args:
        model ([`EmoDistillModel`]): The model; it is not switched to evaluation here.
        tokenizer (`PreTrainedTokenizerBase`): Its tokenizer.
        texts (`list[str]`): The texts.
        batch_size (`int`, *optional*, defaults to 32): Windows in a batch; batches hold windows of like length.
        autocast (`bool`, *optional*, defaults to `False`): Whether to compute in bf16, for training's validation.
        progress (`Callable`, *optional*): Wraps the iterator of batches, `tqdm` for instance.

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
    return embed_tokenized(model, tokenize_texts(tokenizer, model.config, texts), batch_size, autocast, progress)


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
    groups = [[group] if isinstance(group, str) else list(group) for group in wordings]
    flat = [wording for group in groups for wording in group]
    device = model.device
    parts = []
    for start in range(0, len(flat), batch_size):
        with TOKENIZER_LOCK:
            encoded = tokenizer(
                flat[start : start + batch_size],
                padding=True,
                truncation=True,
                max_length=model.config.label_max_length,
                return_tensors="pt",
            ).to(device)
        parts.append(model.get_label_features(encoded["input_ids"], encoded["attention_mask"]).float())
    embeds = torch.cat(parts)
    owners = torch.tensor([index for index, group in enumerate(groups) for _ in group], device=device)
    summed = torch.zeros_like(embeds[: len(groups)]).index_add_(0, owners, embeds)
    return F.normalize(summed, dim=-1)
