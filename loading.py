"""Checkpoints by name: the package's own models, folders and Hub ids, found and loaded in one place."""

import functools
import os
import re

__all__ = [
    "CHECKPOINTS", "ask_no_hub_for_names", "checkpoint_path", "default_path", "first_line", "load_checkpoint",
    "model_path", "own_path", "read_tokenizer", "resolve_names",
]  # fmt: skip

# The package's own models, and their folders below `checkpoints/`.
CHECKPOINTS = {"small": "emodistill-minilm-l6", "base": "emodistill-mpnet-base"}
DEFAULT = "small"
HUB_ID = re.compile(r"[\w-][\w.-]*/[\w-][\w.-]*")  # owner/name
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "checkpoints")


def default_path():
    """The folder of the default checkpoint, whether it is there or not."""
    return os.path.join(FOLDER, CHECKPOINTS[DEFAULT])


def checkpoint_path(name=None):
    """
    Where a checkpoint lies, by the name that a user gives it.

    Args:
        name (`str` or `os.PathLike`, *optional*): `"small"` (the default) or `"base"`, a folder, or a Hub id
            (`owner/name`). A folder called `small` or `base` in the working folder is that folder.

    Returns:
        `str`: a folder, or a Hub id as it is.

    Raises:
        `FileNotFoundError`: for a folder that is not there, and for a model of the package's that did not come with
            this installation.

    Example:

    ```python
    >>> import os
    >>> from emodistill import checkpoint_path

    >>> os.path.basename(checkpoint_path("small"))
    'emodistill-minilm-l6'
    >>> checkpoint_path("./nowhere")
    Traceback (most recent call last):
    FileNotFoundError: ./nowhere is no folder here: give small, base, a checkpoint's folder or a Hub id (owner/name)

    ```
    """
    if not isinstance(name, str | os.PathLike | None):
        raise ValueError(f"a model is named by {_choices()}; not by {name!r}")
    name = os.fspath(DEFAULT if name is None else name)
    if os.path.isdir(name):
        if not os.path.isfile(os.path.join(name, "config.json")):
            final = os.path.join(name, "final")  # of a training's folder
            advice = final if os.path.isdir(final) else f"{_choices()}{_unless_on_the_hub(name)}"
            raise FileNotFoundError(f"the folder {name} holds no model, for it has no config.json: give {advice}")
        return name
    if name in CHECKPOINTS:
        return _own(name)
    # What begins with a folder that is here is meant as a path.
    if os.path.exists(name) or not HUB_ID.fullmatch(name) or os.path.isdir(name.partition("/")[0]):
        what = "is a file, no folder" if os.path.exists(name) else "is no folder here"
        raise FileNotFoundError(f"{name or 'an empty name'} {what}: give {_choices()}{_unless_on_the_hub(name)}")
    return name


def _choices():
    return f"{', '.join(CHECKPOINTS)}, a checkpoint's folder or a Hub id (owner/name)"


def _unless_on_the_hub(name):
    """What to do where a folder here stands before a repository that may have been meant."""
    return f"; if {name} on the Hub is meant, run this in another folder" if HUB_ID.fullmatch(name) else ""


def _own(name):
    folder = os.path.join(FOLDER, CHECKPOINTS[name])
    if not os.path.isfile(os.path.join(folder, "config.json")):
        raise FileNotFoundError(
            f"the model {name!r} ({CHECKPOINTS[name]}) did not come with this installation, which brings "
            f"{DEFAULT!r} alone: clone the repository (git clone --depth 1) and give its folder "
            f"checkpoints/{CHECKPOINTS[name]}, or install from the clone with pip install -e ."
        )
    return folder


def model_path(name=None):
    """
    [`checkpoint_path`] of a checkpoint, and of nothing else that has a `config.json`.

    Args:
        name (`str` or `os.PathLike`, *optional*): As in [`checkpoint_path`].

    Returns:
        `str`: what `transformers.pipeline` takes, whose own answer to another model is a page of tracebacks.

    Raises:
        `OSError`, `ValueError`: as [`load_checkpoint`].
    """
    from .configuration_emodistill import EmoDistillConfig

    path = checkpoint_path(name)
    values = _config_values(EmoDistillConfig, path)
    kind = values.get("model_type")
    if kind == f"{EmoDistillConfig.model_type}-onnx":
        raise ValueError(
            f"{path} is an export, which predict, score, adapt, evaluate, audit and demo run; this needs the "
            "checkpoint it was made of"
        )
    if kind != EmoDistillConfig.model_type:
        raise ValueError(f"{path} holds no emodistill model: model_type in its config.json is {kind!r}")
    return path


def load_checkpoint(name=None, **kwargs):
    """
    A model and its tokenizer: the one way in which the package loads a checkpoint.

    Args:
        name (`str` or `os.PathLike`, *optional*): As in [`checkpoint_path`].
        kwargs: Passed on to [`~EmoDistillModel.from_pretrained`].

    Returns:
        `tuple(EmoDistillModel, PreTrainedTokenizerBase)`: the model in evaluation mode, in fp32 on a CPU.

    Raises:
        `OSError`: if there is no such checkpoint, or a file of it cannot be read.
        `ValueError`: in one sentence, if it is damaged or no emodistill checkpoint.

    Example:

    ```python
    >>> from emodistill import load_checkpoint

    >>> model, tokenizer = load_checkpoint("small")
    >>> model.config.dimension_names
    ['valence', 'arousal', 'dominance']

    ```
    """
    from .modeling_emodistill import EmoDistillModel

    path = model_path(name)
    try:
        model = EmoDistillModel.from_pretrained(path, **kwargs).eval()
    except Exception as error:  # a value of another kind than a library expects raises whatever that was at
        if isinstance(error, OSError):
            _raise_plainly(path, error)
        if isinstance(error, ImportError | MemoryError) or type(error).__name__ == "DamagedCheckpointError":
            raise
        if isinstance(error, ValueError) and "\n" not in str(error).strip():
            raise
        raise ValueError(
            f"the checkpoint {path} cannot be loaded ({type(error).__name__}: {first_line(error)})"
        ) from error
    return model, read_tokenizer(path, model.config.text_config.vocab_size)


def read_tokenizer(path, size, what="checkpoint"):
    """
    The tokenizer of a checkpoint or an encoder, checked to fit it.

    Args:
        path (`str`): Folder or Hub id.
        size (`int`): Word embeddings that the encoder has.
        what (`str`, *optional*, defaults to `"checkpoint"`): What it is, for the sentence.

    Returns:
        `PreTrainedTokenizerBase`

    Raises:
        `OSError`: if it is not there.
        `ValueError`: in one sentence, if it is damaged or another encoder's.
    """
    from transformers import AutoTokenizer

    damaged = f"the {what} {path} is damaged"
    if not os.path.isdir(path):
        damaged += ", or did not come whole from the Hub (then run it again)"
    try:
        tokenizer = AutoTokenizer.from_pretrained(path)
    except Exception as error:  # a damaged tokenizer.json raises whatever its reader was at
        if isinstance(error, OSError):
            _raise_plainly(path, error)
        raise ValueError(f"{damaged}: its tokenizer cannot be read ({first_line(error)})") from error
    # Without its vocabulary a tokenizer is made all the same, of special tokens alone, and knows no word.
    known = len(tokenizer)
    if known > size or 2 * known < size:
        raise ValueError(f"{damaged}: its tokenizer has {known} tokens and the encoder {size}")
    if tokenizer.pad_token is None:
        raise ValueError(f"{damaged}: its tokenizer has no padding token (tokenizer_config.json)")
    return tokenizer


def _config_values(config, path):
    """What `config.json` of a checkpoint holds, `dict`."""
    try:
        values, _ = config.get_config_dict(path)
        values = values | {}  # a list is no configuration
    except OSError as error:
        _raise_plainly(path, error)
    except Exception as error:  # no object, nested too deeply, a number too long: whatever its reader was at
        raise ValueError(
            f"the checkpoint {path} is damaged: its config.json cannot be read ({first_line(error)})"
        ) from error
    return values


def _raise_plainly(path, error):
    """Raise an `OSError` again: what is not had from the Hub, transformers tells of in several lines of advice."""
    if os.path.isdir(path):
        raise error
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    raise OSError(f"{path} was not loaded from the Hub: {' '.join(lines[:2])}") from error


def first_line(error):
    """`str`: the first line of what an error says, or its kind where it says nothing."""
    return (str(error) or type(error).__name__).strip().splitlines()[0]


def _hollow(path, damage):
    """
    A model without weights that says what is wrong with its checkpoint, which our pipeline then raises.

    `transformers.pipeline` answers an error of `from_pretrained` with a page of tracebacks.
    """
    import torch

    from .configuration_emodistill import EmoDistillConfig
    from .modeling_emodistill import EmoDistillModel

    with torch.device("meta"):
        model = EmoDistillModel(EmoDistillConfig.from_pretrained(path))
    model.damage = damage
    return model


def resolve_names(*classes):
    """
    Let `from_pretrained` of these classes take the package's names, so that `pipeline(..., model="base")` does.

    `transformers.pipeline` hands a name on to the Auto classes, each of which would ask the Hub for it. What is not
    one of the names, or is a folder here, goes through untouched.

    Args:
        classes (`type`): Classes with `from_pretrained`.
    """
    for cls in classes:
        original = cls.from_pretrained.__func__
        if not hasattr(original, "resolves_names"):
            cls.from_pretrained = classmethod(_resolving(original))


def ask_no_hub_for_names(module):
    """
    Before any class, `pipeline` asks the Hub which commit a name stands for and for adapters: ours have neither.

    Args:
        module (`module`): `transformers.pipelines`.
    """
    for name in ("resolve_revision", "find_adapter_config_file"):
        original = getattr(module, name, None)
        if original is not None and not hasattr(original, "resolves_names"):
            setattr(module, name, _unasked(original))


def _is_ours(name):
    return isinstance(name, str) and name in CHECKPOINTS and not os.path.isdir(name)


def own_path(name):
    """The folder of the package's own model where that is meant (`small`, `base`); any other name as it is."""
    return _own(name) if _is_ours(name) else name


def _unasked(original):
    @functools.wraps(original)
    def unasked(name, *args, **kwargs):
        return None if _is_ours(name) else original(name, *args, **kwargs)

    unasked.resolves_names = True
    return unasked


def _resolving(original):
    @functools.wraps(original)
    def from_pretrained(cls, pretrained_model_name_or_path, *args, **kwargs):
        name = pretrained_model_name_or_path
        path = own_path(name)
        task = kwargs.get("_from_pipeline")
        try:
            return original(cls, path, *args, **kwargs)
        except (ValueError, OSError) as error:
            lost = isinstance(error, OSError) and "no file named" in str(error)  # a download that was cut off
            if task is None or not (lost or type(error).__name__ == "DamagedCheckpointError"):
                raise
            return _hollow(path, str(error))

    from_pretrained.resolves_names = True
    return from_pretrained
