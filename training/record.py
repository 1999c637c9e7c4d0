"""What a run was made from: digests of its inputs, and the `training.json` that a finished checkpoint carries."""

import hashlib
import importlib.metadata
import json
import os
import platform
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from ..fingerprint import file_digest
from ..version import __version__
from .encoders import lexicon_path, located, teacher_names

__all__ = [
    "INPUTS", "Record", "changed_inputs", "checkpoint_digest", "files_digest", "input_digests", "now", "rows_digest",
    "settings", "start_digests",
]  # fmt: skip

# What a run learns from, in words, by the names of its digests
INPUTS = {
    "data": "the texts of data",
    "lexicon": "the lexicon",
    "start": "the checkpoint or encoder to start from",
    "label_space": "the label space",
    "teachers": "the teachers",
}
# Arguments that change neither weights nor decisions
VOLATILE = ("save_steps", "output_dir")
PACKAGES = ("emodistill", "torch", "transformers", "accelerate", "datasets", "tokenizers", "safetensors", "numpy")
MOST_SOURCES = 100


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


def checkpoint_digest(name, fetch=False):
    """
    SHA-256 of a checkpoint's weights: of its `model.safetensors`, or of all its safetensors files in order.

    Args:
        name (`str`): A folder, or a Hub id.
        fetch (`bool`, *optional*, defaults to `False`): Whether a Hub id's weights are fetched where the local cache
            lacks them, for a run that needs them at once.

    Returns:
        `str` or `None`: in hexadecimal digits; `None` where no weights are found.
    """
    if os.path.isdir(name):
        files = sorted(Path(name).glob("*.safetensors"))
    else:
        found = _hub_weights(name, fetch)
        files = [Path(found)] if found else []
    digest = hashlib.sha256()
    for file in files:
        with open(file, "rb") as opened:
            while block := opened.read(1 << 20):
                digest.update(block)
    return digest.hexdigest() if files else None


def _hub_weights(name, fetch):
    """Where the weights of a Hub id lie here, or `None`."""
    from transformers.utils import cached_file

    try:
        return cached_file(
            name, "model.safetensors", local_files_only=not fetch, _raise_exceptions_for_missing_entries=False
        )
    except (OSError, ValueError):  # no Hub id, or not to be reached: whatever loads the weights says so
        return None


def changed_inputs(before, now):
    """
    The inputs that two sets of digests tell apart; one that either does not know says nothing.

    Args:
        before, now (`dict[str, str]`): As [`input_digests`].

    Returns:
        `list[str]`: their names.

    Example:

    ```python
    >>> from emodistill.training.record import changed_inputs

    >>> changed_inputs({"data": "1", "start": None}, {"data": "2", "start": "3"})
    ['data']

    ```
    """
    return [name for name in now if None not in (before.get(name), now[name]) and before[name] != now[name]]


def files_digest(*paths):
    """
    SHA-256 of files as they lie: of a file, or of all visible files of a folder with their names.

    Quicker than reading rows, and stricter: a row that is only written otherwise counts as changed.

    Args:
        paths (`str`): Files and folders; `None` and what is not there, a Hub id for instance, count by name.

    Returns:
        `str`: in hexadecimal digits.
    """
    digest = hashlib.sha256()
    for path in dict.fromkeys(paths):
        root = Path(path) if path and os.path.exists(path) else None
        if root is None:
            digest.update(f"{path}\0".encode())
            continue
        files = [root] if root.is_file() else sorted(file for file in root.rglob("*") if file.is_file())
        for file in files:
            name = file.relative_to(root) if file != root else Path(file.name)
            if any(part.startswith(".") for part in name.parts):
                continue
            digest.update(f"{name.as_posix()}\0".encode() + bytes.fromhex(file_digest(file)))
    return digest.hexdigest()


def input_digests(groups, train, validation, lexicon):
    """
    A digest of each thing that a run learns from.

    Args:
        groups (`tuple`): Model, data and run arguments, which name them.
        train, validation (`list[dict]`): Rows.
        lexicon ([`Lexicon`]): Its ratings, implied words and held-out descriptors.

    Returns:
        `dict[str, str]`: for [`~training.folder.claim_inputs`].
    """
    inputs = {"data": rows_digest(train, validation), "lexicon": rows_digest(vars(lexicon))}
    return inputs | start_digests(groups, fetch=True)


def start_digests(groups, fetch=False):
    """The part of [`input_digests`] that other runs made: what training starts from, and its teachers."""
    model, data_args = located(groups[0]), groups[1]
    digests = {"start": checkpoint_digest(model.init or model.text_encoder, fetch)}
    if model.label_space:
        digests["label_space"] = checkpoint_digest(model.label_space, fetch)
    if data_args.teachers:
        teachers = [checkpoint_digest(name, fetch) for name in teacher_names(data_args.teachers)]
        digests["teachers"] = None if None in teachers else rows_digest(teachers)
    return digests


class Record:
    """
    What a run was made from; with its outcome, the `training.json` of its checkpoint.

    Args:
        groups (`tuple`): Model, data and run arguments.
        train, validation (`list[dict]`): Rows.
        lexicon ([`Lexicon`]): Of the run.
    """

    def __init__(self, groups, train, validation, lexicon):
        self.groups = groups
        self.inputs = input_digests(groups, train, validation, lexicon)
        _, data_args, _ = groups
        self.data = {
            "path": data_args.data,
            "digest": self.inputs["data"],
            "rows": {"train": len(train), "validation": len(validation)},
            "sources": dict(sorted(Counter(row.get("source") or "" for row in train).items())),
            "files": files_digest(data_args.data, lexicon_path(data_args.lexicon)),
        }
        if len(self.data["sources"]) > MOST_SOURCES:  # a column of names or addresses, say
            self.data["sources"] = {}

    def finished(self, progress, metrics, accelerator):
        """
        Args:
            progress ([`TrainingProgress`]): Where the run stands.
            metrics (`dict[str, float]`): Of the final checkpoint.
            accelerator (`Accelerator`): Of the run.

        Returns:
            `dict`: the content of `training.json`.
        """
        model_args, _, _ = self.groups
        parent = {"name": model_args.init, "digest": self.inputs["start"]} if model_args.init else None
        return {
            "arguments": settings(self.groups),
            "data": self.data,
            "parent": parent,
            "encoder": model_args.text_encoder,
            "inputs": self.inputs,
            "versions": {name: _version(name) for name in PACKAGES} | {"python": platform.python_version()},
            "hardware": {
                "device": _device(accelerator.device),
                "processes": accelerator.num_processes,
                "mixed_precision": accelerator.mixed_precision,
            },
            "started": progress.started,
            "finished": now(),
            "seconds": round(progress.seconds),
            "steps": progress.step,
            "metrics": metrics,
        }


def settings(groups):
    """`dict`: all arguments that decide about weights or decisions, with what Accelerate's launcher decides."""
    # Progress counts batches of each process, so another number of processes cannot go on from it.
    values = {"processes": int(os.environ.get("WORLD_SIZE", "1"))}
    values["gradient_accumulation_steps"] = int(os.environ.get("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "1"))
    for group in groups:
        values |= {name: value for name, value in asdict(group).items() if name not in VOLATILE}
    return values


def now():
    """The time, UTC, in whole seconds, as ISO 8601 writes it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def _device(device):
    if device.type != "cuda":
        return device.type
    import torch

    return torch.cuda.get_device_name(device)


def _version(package):
    if package == "emodistill":
        return __version__
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None
