"""The publishable folder: a checkpoint with everything that loads it where this package is absent."""

import json
import re
import shutil
from pathlib import Path

from .. import files
from ..eight_bit_emodistill import is_eight_bit
from ..fingerprint import file_digest
from . import reference
from .leaks import as_json

__all__ = [
    "REFERENCE", "TOKENIZER", "build_folder", "code_files", "foreign_links", "is_published",
    "own_outputs", "read_config", "read_text", "safetensors_header", "tree", "weight_files",
]  # fmt: skip

REFERENCE = "reference.json"
WEIGHTS, WEIGHTS_INDEX = "model.safetensors", "model.safetensors.index.json"
TOKENIZER = (
    "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.txt",
    "vocab.json", "merges.txt", "tokenizer.model", "spiece.model", "sentencepiece.bpe.model", "chat_template.jinja",
)  # fmt: skip


def code_files():
    """The package's files that a Hub copy needs: the modules it names, and all that these import.

    Returns:
        `list[Path]`: sorted by name.

    Example:

    ```python
    >>> from emodistill.hub.folder import code_files

    >>> "modeling_emodistill.py" in [path.name for path in code_files()]
    True

    ```
    """
    from transformers.dynamic_module_utils import get_relative_import_files

    from .. import configuration_emodistill, modeling_emodistill, pipeline_emodistill

    found = set()
    for module in (configuration_emodistill, modeling_emodistill, pipeline_emodistill):
        found |= {Path(module.__file__), *map(Path, get_relative_import_files(module.__file__))}
    return sorted(found, key=lambda path: path.name)


def is_plain_name(name):
    """Whether a name is that of a file in the folder itself: no path, no way out, nothing hidden."""
    return isinstance(name, str) and re.fullmatch(r"[\w-][\w.-]*", name) is not None


def weight_files(folder):
    """Names of a folder's weight files: one, or an index and its parts.

    Raises:
        `ValueError`: where there are none in the safetensors format, or the index is damaged or names what is no file
            of the folder.
    """
    folder = Path(folder)
    if (folder / WEIGHTS).is_file():
        return [WEIGHTS]
    if not (folder / WEIGHTS_INDEX).is_file():
        raise ValueError(
            f"{folder} has no {WEIGHTS}: give the folder of a trained checkpoint in the safetensors format"
        )
    try:
        index = as_json(read_text(folder / WEIGHTS_INDEX))
    except ValueError as error:
        raise ValueError(f"{WEIGHTS_INDEX} is not JSON ({error})") from None
    parts = index.get("weight_map") if isinstance(index, dict) else None
    if not isinstance(parts, dict) or not parts:
        raise ValueError(f"{WEIGHTS_INDEX} has no weight_map from tensors to files")
    for name in parts.values():
        if not is_plain_name(name) or not name.endswith(".safetensors"):
            raise ValueError(f"{WEIGHTS_INDEX} names {str(name)[:200]!r}, which is no safetensors file of this folder")
    return [WEIGHTS_INDEX, *sorted(set(parts.values()))]


def safetensors_header(path):
    """What a weight file says of its tensors, checked against its size; no tensor is read.

    Args:
        path (`str` or `Path`)

    Returns:
        `dict[str, dict]`: `shape` and `dtype` of each tensor, and the notes under `__metadata__`, if any.

    Raises:
        `ValueError`: where the file is damaged, or none of this format.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(path), framework="pt") as file:
            header = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
            found = {name: {"shape": part.get_shape(), "dtype": part.get_dtype()} for name, part in header.items()}
            notes = file.metadata()
    except (SafetensorError, OSError, ValueError, OverflowError) as error:
        raise ValueError(f"it is no whole safetensors file ({str(error).splitlines()[0]})") from None
    return found | ({"__metadata__": notes} if notes else {})


def foreign_links(folder):
    """Names of links in a folder that lead out of it, to a folder or to nothing.

    A copy that the Hub's client keeps is made of links into its own store of files, which are in order.

    Args:
        folder (`str` or `Path`)

    Returns:
        `list[str]`: sorted.
    """
    folder = Path(folder).resolve()
    homes = [folder, folder.parent.parent / "blobs"] if folder.parent.name == "snapshots" else [folder]
    return sorted(
        path.relative_to(folder).as_posix() for path in _below(folder) if path.is_symlink() and _leads_out(path, homes)
    )


def _leads_out(path, homes):
    try:
        target = path.resolve()
        return not target.is_file() or not any(target.is_relative_to(home) for home in homes)
    except (OSError, RuntimeError):  # links that lead in a circle
        return True


def _below(folder):
    """All paths below a folder; links to folders are not followed.

    Raises:
        `ValueError`: where they are nested deeper than anybody's files.
    """
    try:
        return list(folder.rglob("*"))
    except RecursionError:
        raise ValueError(f"{folder} holds folders in folders without end") from None


def is_published(folder):
    """Whether a folder names its own code, as a Hub copy does and a checkpoint beside the package does not."""
    return "auto_map" in read_config(folder)


def read_config(folder):
    """A checkpoint's `config.json`.

    Raises:
        `ValueError`: where there is none, or it is not that of an emodistill model.
    """
    path = Path(folder) / "config.json"
    if not path.is_file():
        raise ValueError(f"{folder} has no config.json: give the folder of a trained checkpoint")
    try:
        config = as_json(read_text(path))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error})") from None
    if not isinstance(config, dict) or config.get("model_type") != "emodistill":
        raise ValueError(f"{path} is not the configuration of an emodistill model")
    return config


def read_text(path):
    """The text of a UTF-8 file.

    Raises:
        `ValueError`: where it is none.
    """
    try:
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text") from None


def tree(folder):
    """What lies below a folder and is no folder, `dict[str, Path]` by its path in the repository, sorted."""
    folder = Path(folder)
    paths = [path for path in _below(folder) if not path.is_dir()]
    names = {path.relative_to(folder).as_posix(): path for path in paths}
    return {name: names[name] for name in sorted(names) if not name.startswith((".cache/", ".git/"))}


def build_folder(checkpoint, folder, card):
    """Write the publishable folder of a checkpoint.

    Args:
        checkpoint (`str` or `Path`): Folder of a trained checkpoint, with code or without.
        folder (`str` or `Path`): An empty folder to fill.
        card (`str`): The text of README.md.

    Returns:
        `Path`: the folder.

    Raises:
        `ValueError`: where the checkpoint lacks a file.
    """
    from ..configuration_emodistill import EmoDistillConfig

    checkpoint, folder = Path(checkpoint), Path(folder)
    read_config(checkpoint)
    links = set(foreign_links(checkpoint))
    folder.mkdir(parents=True, exist_ok=True)
    packed = is_eight_bit(checkpoint)
    weights = sorted(path.name for path in checkpoint.glob("*.eight-bit.*")) if packed else weight_files(checkpoint)
    present = [name for name in TOKENIZER if (checkpoint / name).is_file()]
    if "tokenizer_config.json" not in present:
        raise ValueError(f"{checkpoint} has no tokenizer_config.json: a checkpoint without its tokenizer is of no use")
    for name in [*weights, *present]:
        if name in links:
            raise ValueError(f"{checkpoint / name} is a link out of the checkpoint: put the file itself there")
        if not (checkpoint / name).is_file():
            raise ValueError(f"{checkpoint} has no {name}, which its {WEIGHTS_INDEX} names")
    for name in present if packed else [*weights, *present]:
        shutil.copyfile(checkpoint / name, folder / name)
    _without_paths(folder / "tokenizer_config.json")
    config = _unpack(checkpoint, folder) if packed else EmoDistillConfig.from_pretrained(checkpoint)
    config.auto_map = {
        "AutoConfig": "configuration_emodistill.EmoDistillConfig",
        "AutoModel": "modeling_emodistill.EmoDistillModel",
    }
    config.save_pretrained(folder)
    for path in code_files():
        shutil.copyfile(path, folder / path.name)
    files.write_text(folder / "README.md", card)
    _write_reference(folder)
    return folder


def _unpack(checkpoint, folder):
    """Write the weights in half precision, as everybody's libraries read them; returns the configuration."""
    import torch

    from ..loading import load_checkpoint

    model, _ = load_checkpoint(checkpoint)
    model = model.to(torch.float16)
    model.save_pretrained(folder)
    for path in [*folder.glob("*.py"), folder / "config.json"]:
        path.unlink(missing_ok=True)  # written below as for every checkpoint
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    return model.config


def own_outputs(folder, texts=reference.TEXTS, labels=reference.LABELS):
    """What the package here gives for a checkpoint's weights, in fp32; see `reference.outputs`."""
    import torch
    from transformers import AutoTokenizer

    from .. import EmoDistillModel, ZeroShotEmotionPipeline

    model = EmoDistillModel.from_pretrained(folder, dtype=torch.float32)
    # Not AutoModel, and no code of the folder's: its weights and its tokenizer's data alone.
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    return reference.outputs(ZeroShotEmotionPipeline(model=model, tokenizer=tokenizer, device="cpu"), texts, labels)


def _write_reference(folder):
    import torch
    import transformers

    from .. import __version__

    # README.md may be edited on the Hub, and this file cannot hold its own digest.
    own = {name: path for name, path in tree(folder).items() if name not in ("README.md", REFERENCE)}
    content = {
        "texts": reference.TEXTS,
        "labels": reference.LABELS,
        "precision": "fp32 on a CPU; `emodistill verify` asks for agreement to 1e-5",
        "versions": {"emodistill": __version__, "torch": torch.__version__, "transformers": transformers.__version__},
        "sha256": {name: file_digest(path) for name, path in own.items()},
        "outputs": own_outputs(folder),
    }
    files.write_text(folder / REFERENCE, json.dumps(content, ensure_ascii=False) + "\n")


def _without_paths(path):
    """Take out where the tokenizer lay on the machine that saved it."""
    try:
        content = as_json(read_text(path))
    except ValueError as error:
        raise ValueError(f"{path.name} is not JSON ({error})") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path.name} is no JSON object")
    kept = {key: value for key, value in content.items() if not (isinstance(value, str) and Path(value).is_absolute())}
    if kept != content:
        files.write_text(path, json.dumps(kept, indent=2, ensure_ascii=False) + "\n")
