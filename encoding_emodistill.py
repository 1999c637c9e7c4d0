"""Strings to embeddings: windows over long texts, batches of like length, several wordings of a label."""

import contextlib
import threading
import warnings
from dataclasses import dataclass, field

import torch
from torch.nn import functional as F

from .normalisation_emodistill import plain_texts, spell_emoji

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

# A fast tokenizer keeps the last call's truncation and padding, so two threads must not be in it at once.
TOKENIZER_LOCK = threading.Lock()
MAX_WINDOWS = 16  # of one text: some 1,500 words; what lies beyond is sampled, so that no text blocks a server
LONGEST_TOKEN = 20  # characters; a piece of so many for each token of a window fills it
FAR_TOO_LONG = 4  # times what is read: from here on a text is not even tokenised in full
ENDLESS = 100_000  # tokens; what transformers puts for "not known" is above
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
        plain (`list[str]`): The texts as they are read.
        totals (`list[int]`): For each text how many windows it has in all, of which at most `max_windows` are read;
            estimated for a text of more than a hundred thousand characters.
        parts (`list[str]`): For each window its part of the text, where that was asked for.
    """

    windows: list
    owners: list
    texts: int
    pad_token_id: int
    plain: list = field(default_factory=list)
    totals: list = field(default_factory=list)
    parts: list = field(default_factory=list)


def tokenize_texts(tokenizer, config, texts, max_windows=MAX_WINDOWS, normalise=None, with_parts=False):
    """
    Token ids of texts; no model is needed, so one thread may do this while another embeds.

    Args:
        tokenizer (`PreTrainedTokenizerBase`): The model's tokenizer.
        config ([`EmoDistillConfig`]): Gives the length of a window and how texts are normalised.
        texts (`list[str]`): The texts.
        max_windows (`int`, *optional*, defaults to 16): Windows of one text that are read, spread evenly over it;
            `None` for all.
        normalise (`bool`, *optional*): Whether texts are normalised; by default as the configuration says.
        with_parts (`bool`, *optional*, defaults to `False`): Whether to tell the part of the text in each window.

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
    texts = [texts] if isinstance(texts, str) else list(texts)
    if not texts:
        return TokenizedTexts([], [], 0, tokenizer.pad_token_id)
    pieces, shares = [], []  # of a huge text some pieces are read, of any other all
    for text in texts:
        parts = _pieces(text, config.text_max_length, max_windows)
        pieces.extend(parts)
        shares.append((len(parts), 1.0 if len(parts) == 1 else len(text) / sum(map(len, parts))))
    plain = plain_texts(config, pieces, normalise)
    windows, owners, parts = _windows(tokenizer, plain, config.text_max_length, with_parts)
    if len(windows) == len(pieces) == len(texts):  # one window each, as nearly always
        return TokenizedTexts(windows, owners, len(texts), tokenizer.pad_token_id, plain, [1] * len(texts), parts)
    groups = [[] for _ in pieces]
    for place, owner in enumerate(owners):
        groups[owner].append(place)
    kept, owners, totals, whole, start = [], [], [], [], 0
    for place, (number, share) in enumerate(shares):
        mine = [window for group in groups[start : start + number] for window in group]
        chosen = _spread(mine, max_windows)
        kept.extend(chosen)
        owners.extend([place] * len(chosen))
        totals.append(round(len(mine) * share))
        whole.append(" ".join(plain[start : start + number]))
        start += number
    windows, parts = ([values[window] for window in kept] if values else [] for values in (windows, parts))
    return TokenizedTexts(windows, owners, len(texts), tokenizer.pad_token_id, whole, totals, parts)


def _windows(tokenizer, texts, max_length, with_parts):
    with TOKENIZER_LOCK:
        encoded = tokenizer(
            texts,
            truncation=True,
            max_length=max_length,
            stride=min(WINDOW_OVERLAP, max_length // 4),
            return_overflowing_tokens=True,
            return_attention_mask=False,
            return_token_type_ids=False,
            return_offsets_mapping=with_parts,
        )
        forget_settings(tokenizer)
    windows, owners, parts = encoded["input_ids"], encoded["overflow_to_sample_mapping"], []
    if with_parts:
        spans = [[span for span in window if span[0] < span[1]] for window in encoded["offset_mapping"]]
        pairs = zip(owners, spans, strict=True)
        parts = [texts[owner][span[0][0] : span[-1][1]] if span else "" for owner, span in pairs]
    return windows, owners, parts


def forget_settings(tokenizer):
    """A fast tokenizer keeps how it was last called, and would be pickled otherwise after a call than before."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is not None:
        backend.no_truncation()
        backend.no_padding()


def _pieces(text, max_length, max_windows):
    """The text, or, of one that is far longer than what will be read of it, pieces spread evenly over it."""
    size = LONGEST_TOKEN * max_length
    if max_windows is None or len(text) <= FAR_TOO_LONG * size * max_windows:
        return [text]
    last = len(text) - size
    starts = [round(last * number / max(1, max_windows - 1)) for number in range(max_windows)]
    # A piece begins after a blank, where there is one.
    return [text[start : start + size].partition(" ")[2] or text[start : start + size] for start in starts]


def _spread(windows, most):
    """At most so many, evenly spread, the first and last among them."""
    if most is None or len(windows) <= most:
        return windows
    if most == 1:
        return [windows[len(windows) // 2]]
    return [windows[round(place * (len(windows) - 1) / (most - 1))] for place in range(most)]


@torch.no_grad()
def embed_windows(model, tokenized, batch_size=32, autocast=False, progress=None):
    """
    Embeddings of the windows of tokenised texts, see [`embed_tokenized`].

    Returns:
        `torch.Tensor` of shape `(windows, d)`: L2-normalised, fp32, on the model's device.
    """
    device, windows = model.device, tokenized.windows
    order = sorted(range(len(windows)), key=lambda index: len(windows[index]))
    starts = range(0, len(order), batch_size)
    embeds = torch.empty(len(windows), model.config.projection_dim, dtype=torch.float32, device=device)
    for start in progress(starts) if progress else starts:
        chosen = order[start : start + batch_size]
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
