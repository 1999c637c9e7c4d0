"""Texts to token ids: windows over long texts, spread over those that are far too long. Without torch."""

import re
from dataclasses import dataclass, field

from .locks_emodistill import lock_over_forks
from .normalisation_emodistill import plain_texts

__all__ = [
    "MAX_WINDOWS", "TOKENIZER_LOCK", "TOKENS_AT_ONCE", "WINDOW_OVERLAP", "TokenizedTexts", "batches_of_like_length",
    "forget_settings", "tokenize_texts",
]  # fmt: skip

# A fast tokenizer keeps the last call's truncation and padding, so two threads must not be in it at once.
TOKENIZER_LOCK = lock_over_forks()
MAX_WINDOWS = 16  # of one text: some 1,500 words; what lies beyond is sampled, so that no text blocks a server
LONGEST_TOKEN = 20  # characters; a piece of so many for each token of a window fills it
FAR_TOO_LONG = 4  # times what is read: from here on a text is not even tokenised in full
TOKENS_AT_ONCE = 512  # in a batch on a processor; measured, see docs/speed.md
CUT_WORD = re.compile(r"\A\S*\s+(?=\S)")  # what a piece that was cut out of a text may begin with
WINDOW_OVERLAP = 32  # tokens that neighbouring windows of a long text share, so that no clause is only cut


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
        shares.append((len(parts), 1.0 if parts[0] is text else len(text) / sum(map(len, parts))))
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
    # Not `tokenizer(...)`, which makes a dictionary of lists for every text: half of the time of tokenising.
    backend = tokenizer.backend_tokenizer
    encode = backend.encode_batch if with_parts else getattr(backend, "encode_batch_fast", backend.encode_batch)
    with TOKENIZER_LOCK:
        backend.no_padding()
        backend.enable_truncation(max_length, stride=min(WINDOW_OVERLAP, max_length // 4))
        encoded = encode(texts)
        forget_settings(tokenizer)
    windows, owners, parts = [], [], []
    for place, encoding in enumerate(encoded):
        for window in (encoding, *encoding.overflowing):
            windows.append(window.ids)
            owners.append(place)
            if with_parts:
                spans = [span for span in window.offsets if span[0] < span[1]]
                parts.append(texts[place][spans[0][0] : spans[-1][1]] if spans else "")
    return windows, owners, parts


def batches_of_like_length(windows, batch_size, most_tokens=None):
    """
    Windows in batches, the shortest first, so that little is padded.

    Args:
        windows (`list[list[int]]`): Token ids.
        batch_size (`int`): Windows in a batch at most.
        most_tokens (`int`, *optional*): Tokens in a batch at most, padding included, where there is more than one
            window in it: on a processor a batch is faster while what is computed of it stays in the cache.

    Returns:
        `list[list[int]]`: for each batch the places of its windows.

    Example:

    ```python
    >>> from emodistill.tokenizing_emodistill import batches_of_like_length

    >>> batches_of_like_length([[1, 2, 3], [1], [1, 2]], batch_size=2)
    [[1, 2], [0]]

    ```
    """
    batches = []
    for place in sorted(range(len(windows)), key=lambda place: len(windows[place])):
        grown = (len(batches[-1]) + 1) * len(windows[place]) if batches else 0
        if not batches or len(batches[-1]) >= batch_size or (most_tokens and grown > most_tokens):
            batches.append([])
        batches[-1].append(place)
    return batches


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
    starts = [last // 2]
    if max_windows > 1:
        starts = [round(last * number / (max_windows - 1)) for number in range(max_windows)]
    return [CUT_WORD.sub("", text[start : start + size]) if start else text[:size] for start in starts]


def _spread(windows, most):
    """At most so many, evenly spread, the first and last among them."""
    if most is None or len(windows) <= most:
        return windows
    if most == 1:
        return [windows[len(windows) // 2]]
    return [windows[round(place * (len(windows) - 1) / (most - 1))] for place in range(most)]
