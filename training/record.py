"""What a run was made from: digests of its inputs, and the `training.json` that a finished checkpoint carries."""

import hashlib
import json
import os
from pathlib import Path

__all__ = ["checkpoint_digest", "input_digests", "rows_digest"]


def rows_digest(*parts):
    """
    SHA-256 of anything JSON can hold; numbers, texts and lists count, the order of a dictionary's keys does not.

    Example:

    ```python
    >>> from emodistill.training.record import rows_digest

    >>> rows_digest({"a": 1, "b": 2}) == rows_digest({"b": 2, "a": 1}) != rows_digest({"a": 2, "b": 1})
    True

    ```
    """
    digest = hashlib.sha256()
    for part in parts:
        for row in part if isinstance(part, list) else [part]:
            digest.update(json.dumps(row, sort_keys=True, default=_plain).encode() + b"\n")
        digest.update(b"\0")
    return digest.hexdigest()


def _plain(value):
    return sorted(value) if isinstance(value, set | frozenset) else str(value)


def checkpoint_digest(name):
    """
    SHA-256 of a checkpoint's weights: of its `model.safetensors`, or of all its safetensors files in order.

    Args:
        name (`str`): A folder, or a Hub id whose files are in the local cache.

    Returns:
        `str` or `None`: in hexadecimal digits; `None` where no weights are found.
    """
    if os.path.isdir(name):
        files = sorted(Path(name).glob("*.safetensors"))
    else:
        from huggingface_hub import try_to_load_from_cache

        try:
            found = try_to_load_from_cache(name, "model.safetensors")
        except ValueError:  # no Hub id either
            found = None
        files = [Path(found)] if isinstance(found, str) else []
    digest = hashlib.sha256()
    for file in files:
        with open(file, "rb") as opened:
            while block := opened.read(1 << 20):
                digest.update(block)
    return digest.hexdigest() if files else None


def input_digests(model_args, data_args, train, validation, lexicon):
    """
    A digest of each thing that a run learns from.

    Args:
        model_args ([`ModelArguments`]), data_args ([`DataArguments`]): Name them.
        train, validation (`list[dict]`): Rows.
        lexicon ([`Lexicon`]): Its ratings, implied words and held-out descriptors.

    Returns:
        `dict[str, str]`: for [`~training.folder.claim_inputs`].
    """
    inputs = {
        "data": rows_digest(train, validation),
        "lexicon": rows_digest(vars(lexicon)),
        "start": checkpoint_digest(model_args.init or model_args.text_encoder),
    }
    if data_args.teachers:
        from .arguments import teacher_names

        inputs["teachers"] = rows_digest([checkpoint_digest(name) for name in teacher_names(data_args.teachers)])
    return inputs
