"""One call for whatever scores texts: a checkpoint with torch, an exported folder without."""

import os

__all__ = ["load"]


def load(name=None, backend=None, **options):
    """
    A classifier of emotions from a checkpoint or an export.

    Args:
        name (`str` or `os.PathLike`, *optional*): What `emodistill export` wrote, which runs without torch; or a
            checkpoint: `"small"` (the default), `"base"`, a folder or a Hub id.
        backend (`str`, *optional*): `"onnx"` or `"torch"`, to be told if the folder is of the other kind.
        options: Arguments of every call, `labels` for instance; for exports also `threads` and `providers`, for
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
    from .onnx import OnnxEmotionClassifier, is_export

    if backend not in (None, "onnx", "torch"):
        raise ValueError(f'backend must be "onnx" or "torch", not {backend!r}')
    if name is not None and os.path.isdir(name) and is_export(name):
        if backend == "torch":
            raise ValueError(f"{name} was exported to ONNX: load the checkpoint it was made from with torch")
        return OnnxEmotionClassifier(name, **options)
    if backend == "onnx":
        raise ValueError(f"{name or 'the default checkpoint'} is no exported model: emodistill export writes one")
    from transformers import pipeline

    from .. import TASK, checkpoint_path

    return pipeline(TASK, model=checkpoint_path(name), **options)
