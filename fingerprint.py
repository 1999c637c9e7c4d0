"""Digests of files, and of what embeddings were made of: whoever keeps these must know when they no longer hold."""

import hashlib
import json

__all__ = ["embedding_fingerprint", "file_digest"]

# Not what embeddings depend on: where a configuration came from, how scores are decided, what training alone uses.
IDLE = (
    "_name_or_path", "transformers_version", "decision", "dtype", "auto_map", "architectures", "custom_pipelines",
    "reference_words",
)  # fmt: skip


def file_digest(path):
    """`str`: SHA-256 of a file, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def embedding_fingerprint(model, tokenizer, *parts):
    """
    A digest of a model's parameters and buffers, its shape, its vocabulary and whatever else changes its embeddings.

    Args:
        model ([`EmoDistillModel`]): The model.
        tokenizer (`PreTrainedTokenizerBase`): Its tokenizer.
        parts (`str`): Further text, such as a precision that is computed in by autocast.

    Returns:
        `str`: a SHA-256 in hexadecimal digits; the same wherever the checkpoint lies.

    Example:

    ```python
    >>> import emodistill
    >>> from emodistill.fingerprint import embedding_fingerprint
    >>> from transformers import AutoTokenizer

    >>> folder = emodistill.DEFAULT_CHECKPOINT
    >>> model, tokenizer = emodistill.EmoDistillModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
    >>> embedding_fingerprint(model, tokenizer) == embedding_fingerprint(model, tokenizer, "bf16")
    False

    ```
    """
    digest = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().flatten().float().numpy().tobytes())
    shape = json.dumps(_kept(model.config.to_dict()), sort_keys=True, default=str)
    for part in (shape, str(model.dtype), str(sorted(tokenizer.get_vocab().items())), *parts):
        digest.update(part.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()


def _kept(value):
    if not isinstance(value, dict):
        return value
    return {key: _kept(item) for key, item in value.items() if key not in IDLE and "dropout" not in str(key)}
