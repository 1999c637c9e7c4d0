"""The publishable folder: a checkpoint with everything that loads it where this package is absent."""

import hashlib
import json
import shutil
from pathlib import Path

from . import reference

__all__ = ["REFERENCE", "build_folder", "code_files", "is_published", "tree"]

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


def weight_files(folder):
    """Names of a folder's weight files: one, or an index and its parts.

    Raises:
        `ValueError`: where there are none in the safetensors format.
    """
    folder = Path(folder)
    if (folder / WEIGHTS).is_file():
        return [WEIGHTS]
    if (folder / WEIGHTS_INDEX).is_file():
        index = json.loads((folder / WEIGHTS_INDEX).read_text(encoding="utf-8"))
        return [WEIGHTS_INDEX, *sorted(set(index["weight_map"].values()))]
    raise ValueError(f"{folder} has no {WEIGHTS}: give the folder of a trained checkpoint in the safetensors format")


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
        config = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error})") from None
    if not isinstance(config, dict) or config.get("model_type") != "emodistill":
        raise ValueError(f"{path} is not the configuration of an emodistill model")
    return config


def tree(folder):
    """The files below a folder, `dict[str, Path]` by their path in the repository, sorted."""
    folder = Path(folder)
    paths = [path for path in folder.rglob("*") if path.is_file()]
    names = {path.relative_to(folder).as_posix(): path for path in paths}
    return {name: names[name] for name in sorted(names) if not name.startswith((".cache/", ".git/"))}


def sha256(path):
    """SHA-256 of a file, as the Hub shows it."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def build_folder(checkpoint, folder, card):
    """Write the publishable folder of a checkpoint.

    Args:
        checkpoint (`str` or `Path`): folder of a trained checkpoint, with code or without.
        folder (`str` or `Path`): an empty folder to fill.
        card (`str`): the text of README.md.

    Returns:
        `Path`: the folder.

    Raises:
        `ValueError`: where the checkpoint lacks a file.
    """
    from ..configuration_emodistill import EmoDistillConfig

    checkpoint, folder = Path(checkpoint), Path(folder)
    read_config(checkpoint)
    folder.mkdir(parents=True, exist_ok=True)
    for name in weight_files(checkpoint):
        if not (checkpoint / name).is_file():
            raise ValueError(f"{checkpoint} has no {name}, which its {WEIGHTS_INDEX} names")
        shutil.copyfile(checkpoint / name, folder / name)
    present = [name for name in TOKENIZER if (checkpoint / name).is_file()]
    if "tokenizer_config.json" not in present:
        raise ValueError(f"{checkpoint} has no tokenizer_config.json: a checkpoint without its tokenizer is of no use")
    for name in present:
        shutil.copyfile(checkpoint / name, folder / name)
    _without_paths(folder / "tokenizer_config.json")
    config = EmoDistillConfig.from_pretrained(checkpoint)
    config.auto_map = {
        "AutoConfig": "configuration_emodistill.EmoDistillConfig",
        "AutoModel": "modeling_emodistill.EmoDistillModel",
    }
    config.save_pretrained(folder)
    for path in code_files():
        shutil.copyfile(path, folder / path.name)
    (folder / "README.md").write_text(card, encoding="utf-8")
    _write_reference(folder)
    return folder


def own_outputs(folder):
    """What the package here gives for a checkpoint's weights on the fixed texts, in fp32; see `reference.outputs`."""
    import torch
    from transformers import AutoTokenizer

    from .. import EmoDistillModel, ZeroShotEmotionPipeline

    model = EmoDistillModel.from_pretrained(folder, dtype=torch.float32)
    return reference.outputs(
        ZeroShotEmotionPipeline(model=model, tokenizer=AutoTokenizer.from_pretrained(folder), device="cpu")
    )


def _write_reference(folder):
    import torch
    import transformers

    from .. import __version__

    content = {
        "texts": reference.TEXTS,
        "labels": reference.LABELS,
        "precision": "fp32 on a CPU; `emodistill verify` asks for agreement to 1e-5",
        "versions": {"emodistill": __version__, "torch": torch.__version__, "transformers": transformers.__version__},
        # README.md may be edited on the Hub, and this file cannot hold its own digest.
        "sha256": {name: sha256(path) for name, path in tree(folder).items() if name not in ("README.md", REFERENCE)},
        "outputs": own_outputs(folder),
    }
    (folder / REFERENCE).write_text(json.dumps(content, ensure_ascii=False) + "\n", encoding="utf-8")


def _without_paths(path):
    """Take out where the tokenizer lay on the machine that saved it."""
    content = json.loads(path.read_text(encoding="utf-8"))
    kept = {key: value for key, value in content.items() if not (isinstance(value, str) and Path(value).is_absolute())}
    if kept != content:
        path.write_text(json.dumps(kept, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
