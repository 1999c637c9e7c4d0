"""One call for whatever scores texts: a checkpoint with torch, an exported folder without."""

import importlib.util
import os

from ..options_emodistill import read_threads

__all__ = ["load", "load_export", "load_quietly", "require_modules"]


def require_modules(*names):
    """
    See that modules of an extra are installed, before the work that ends in them.

    Args:
        names (`str`): Of top-level modules.

    Raises:
        `ModuleNotFoundError`: as importing the first one that is missing would.
    """
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def load(name=None, backend=None, threads=None, **options):
    """
    A classifier of emotions from a checkpoint or an export.

    Args:
        name (`str` or `os.PathLike`, *optional*): What `emodistill export` wrote, which runs without torch; or a
            checkpoint: `"small"` (the default), `"base"`, a folder or a Hub id.
        backend (`str`, *optional*): `"onnx"` or `"torch"`, to be told if the folder is of the other kind.
        threads (`int`, *optional*): Threads of the model, its own choice by default; those of torch hold for the
            whole process.
        options: Arguments of every call, `labels` for instance, and `device`; for exports also `providers`, for
            checkpoints those of `transformers.pipeline`.

    Returns:
        [`OnnxEmotionClassifier`] or [`ZeroShotEmotionPipeline`]: they are called alike.

    Raises:
        `ValueError`: for another backend than the folder's.
        `FileNotFoundError`: if there is no such folder.

    Example:

    ```python
    >>> import emodistill

    >>> classify = emodistill.load("small", labels=["joy", "anger", "relief"])
    >>> classify("How dare you lie to me again!")["predicted"]
    ['anger']

    ```
    """
    if backend not in (None, "onnx", "torch"):
        raise ValueError(f'backend must be "onnx" or "torch", not {backend!r}')
    if (exported := load_export(name, backend, threads=threads, **options)) is not None:
        return exported
    if backend == "onnx":
        raise ValueError(f"{name or 'the default checkpoint'} is no exported model: emodistill export writes one")
    from transformers import pipeline

    from .. import TASK
    from ..loading import model_path

    _use_threads(threads)
    return pipeline(TASK, model=model_path(name), **options)


def load_quietly(name=None, device=None, threads=None, local_rank=None):
    """
    As [`load`] for commands, the page and workers: without progress bars, and with mistakes told in one sentence.

    Args:
        name, threads: As for [`load`].
        device (`str` or `int`, *optional*): Where to; the first accelerator by default.
        local_rank (`int`, *optional*): Which this is of a machine's processes, where each takes another accelerator.

    Returns:
        [`OnnxEmotionClassifier`], for which neither torch nor transformers is imported, or
        [`ZeroShotEmotionPipeline`].

    Raises:
        `ValueError`: for a device that is not there and for a damaged checkpoint.
        `OSError`: if there is no such checkpoint.
    """
    if (exported := load_export(name, device=device, threads=threads)) is not None:
        return exported
    import torch
    from transformers.utils import logging

    from .. import TASK, load_checkpoint
    from ..pipeline_emodistill import ZeroShotEmotionPipeline

    logging.disable_progress_bar()
    if device is None and local_rank is not None and torch.accelerator.is_available():
        device = f"{torch.accelerator.current_accelerator().type}:{local_rank % torch.accelerator.device_count()}"
    device = _available(device)
    _use_threads(threads)
    model, tokenizer = load_checkpoint(name)
    return ZeroShotEmotionPipeline(model=model, tokenizer=tokenizer, task=TASK, device=device)


def _use_threads(threads):
    if (threads := read_threads(threads)) is not None:
        import torch

        torch.set_num_threads(threads)


def _available(device):
    import torch

    device = "cpu" if device == -1 else device  # as pipelines of transformers write it
    try:
        torch.zeros(1, device=device)
    except (AssertionError, RuntimeError):  # torch's own words name neither the argument nor a way out
        raise ValueError(f"device {device} is not available on this machine; cpu always is") from None
    return device


def load_export(name, backend=None, **options):
    """
    The classifier of an exported folder, without torch.

    Args:
        name (`str` or `os.PathLike` or `None`): Whatever may be one.
        backend (`str`, *optional*): As for [`load`].
        options: As for [`OnnxEmotionClassifier`].

    Returns:
        [`OnnxEmotionClassifier`] or `None`: `None` where it is a checkpoint or its name.

    Raises:
        `ValueError`: for an export where torch was asked for.
    """
    from .onnx import OnnxEmotionClassifier, is_export

    if name is None or not os.path.isdir(name) or not is_export(name):
        return None
    if backend == "torch":
        raise ValueError(f"{name} was exported to ONNX: load the checkpoint it was made from with torch")
    return OnnxEmotionClassifier(name, **options)
