"""Where a checkpoint comes from, read from the `training.json` that training leaves in it."""

import math
import re
from pathlib import Path

from ..loading import CHECKPOINTS
from .folder import read_text
from .leaks import as_json

__all__ = ["TRAINING", "facts_of_training", "read_training"]

TRAINING = "training.json"
PUBLISHER = "emodistill"  # under whose name the package's own checkpoints stand on the Hub
ENCODERS = {
    "all-minilm-l6-v2": "sentence-transformers/all-MiniLM-L6-v2",
    "all-mpnet-base-v2": "sentence-transformers/all-mpnet-base-v2",
}
DEEPEST = 10  # stages that are followed back
SHOWN_METRICS = 12
SHOWN_SOURCES = 20


def read_training(checkpoint):
    """What training wrote about itself.

    Args:
        checkpoint (`str` or `Path`): Folder of a checkpoint.

    Returns:
        `dict`: `arguments`, `data`, `parent`, `encoder`, `versions`, `started`, `finished`, `seconds`, `steps` and
        `metrics`, as far as they are there and of the right kind; nothing where the folder has no such file.

    Raises:
        `ValueError`: where the file is damaged.
    """
    path = Path(checkpoint) / TRAINING
    if not path.is_file():
        return {}
    try:
        content = as_json(read_text(path))
    except ValueError as error:
        raise ValueError(f"{path} is not JSON ({error})") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} is no JSON object")
    kinds = {"arguments": dict, "data": dict, "parent": dict, "versions": dict, "metrics": dict, "hardware": dict}
    kinds |= dict.fromkeys(("encoder", "started", "finished"), str) | dict.fromkeys(("seconds", "steps"), int | float)
    return {key: value for key, value in content.items() if isinstance(value, kinds.get(key, ()))}


def facts_of_training(checkpoint):
    """What a card says of a checkpoint's making where nobody wrote it down.

    Args:
        checkpoint (`str` or `Path`): Folder of a checkpoint.

    Returns:
        `dict`: `base_model`, `datasets`, `how` and `teacher`, see `load_facts`, as far as they are known, and
        `relation`, how the base model became this one.

    Raises:
        `ValueError`: where `training.json` is damaged.
    """
    record = read_training(checkpoint)
    if not record:
        return {}
    data = record.get("data", {})
    facts = {"how": _how(record, data), "teacher": _teacher(data)}
    if base := base_model(checkpoint):
        facts |= {"base_model": base, "relation": "finetune"}
    if hub_id := _hub_id(data.get("path")):
        facts["datasets"] = [hub_id]
    return facts


def base_model(checkpoint):
    """The published model that a checkpoint goes back to: its start, the start of that, or their pretrained encoder.

    Args:
        checkpoint (`str` or `Path`): Folder of a checkpoint.

    Returns:
        `str` or `None`: a Hub id.
    """
    seen = set()
    for _ in range(DEEPEST):
        folder = Path(checkpoint).resolve()
        if folder in seen:
            return None
        seen.add(folder)
        try:
            record = read_training(folder)
        except ValueError:
            return None
        parent = record.get("parent", {}).get("name")
        if isinstance(parent, str) and (found := _published(parent)):
            return found
        if isinstance(parent, str) and Path(parent).is_dir():
            checkpoint = parent
            continue
        return None if parent else _published(record.get("encoder"))
    return None


def _published(name):
    """The Hub id of a model by the name that a run gave it, or `None` for a folder of one machine."""
    if not isinstance(name, str) or not name.strip():
        return None
    last = Path(name).name
    if name in CHECKPOINTS or last in CHECKPOINTS.values():
        return f"{PUBLISHER}/{CHECKPOINTS.get(name, last)}"
    return ENCODERS.get(last.lower()) or _hub_id(name)


def _hub_id(name):
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", name):
        return None
    return None if Path(name).exists() or Path(name.split("/")[0]).is_dir() else name


def _plain(value):
    """A value as a card may show it: of a path of one machine only the end, in one line and without markup."""
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list):
        return ", ".join(map(_plain, value[:SHOWN_SOURCES]))
    text = " ".join(str(value).split())
    if re.match(r"(?:/|~|[A-Za-z]:[\\/]|\.{1,2}[\\/])", text):
        text = re.split(r"[\\/]", text.rstrip("\\/"))[-1]
    return re.sub(r"([`|<>\[\]*])", r"\\\1", text[:200])


def _short(digest):
    return (
        f" (SHA-256 {digest[:12]}...)" if isinstance(digest, str) and re.fullmatch(r"[0-9a-f]{16,64}", digest) else ""
    )


def _count(value):
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else "an unknown number of"


def _how(record, data):
    parent, rows = record.get("parent", {}), data.get("rows")
    rows = rows if isinstance(rows, dict) else {}
    start = parent.get("name") or record.get("encoder")
    before = "the checkpoint" if parent.get("name") else "the pretrained encoder"
    sentences = [f"Trained from {before} {_plain(start)}{_short(parent.get('digest'))}" if start else "Trained"]
    sentences[0] += f" on {_count(rows.get('train'))} texts of {_plain(data.get('path') or 'a data set')}"
    sentences[0] += f"{_short(data.get('digest'))}, {_count(rows.get('validation'))} more for validation."
    if time := _time(record):
        sentences.append(time)
    parts = [" ".join(sentences)]
    sources = data.get("sources")
    if isinstance(sources, dict) and sources and set(sources) != {""}:
        most = sorted(sources.items(), key=lambda item: -item[1] if isinstance(item[1], int) else 0)
        told = [f"{_plain(name) or 'without a source'} {_count(number)}" for name, number in most[:SHOWN_SOURCES]]
        parts.append("Training texts by source: " + ", ".join(told) + ".")
    if arguments := record.get("arguments"):
        parts.append(_arguments(arguments))
    if metrics := _metrics(record.get("metrics", {})):
        parts.append(metrics)
    return "\n\n".join(parts)


def _time(record):
    said = []
    if isinstance(steps := record.get("steps"), int | float):
        said.append(f"{steps:,.0f} steps")
    if isinstance(seconds := record.get("seconds"), int | float) and math.isfinite(seconds):
        said.append(f"in {seconds / 60:.0f} minutes" if seconds >= 90 else f"in {seconds:.0f} seconds")
    if device := record.get("hardware", {}).get("device"):
        said.append(f"on {_plain(device)}")
    versions = record.get("versions", {})
    named = [
        f"{name} {_plain(versions[name])}" for name in ("emodistill", "torch", "transformers") if versions.get(name)
    ]
    text = ", ".join([" ".join(said), " and ".join(filter(None, [", ".join(named[:-1]), *named[-1:]]))])
    finished = record.get("finished")
    return f"{text.strip(', ')}{f'; finished {_plain(finished)[:10]}' if finished else ''}.".capitalize()


def _arguments(arguments):
    shown = {name: value for name, value in sorted(arguments.items()) if not isinstance(value, dict)}
    rows = [f"| {_plain(name)} | {_plain(value)} |" for name, value in shown.items() if value not in (None, "", [])]
    table = "\n".join(["| argument | value |", "|---|---|", *rows])
    return f"<details><summary>All arguments of the run</summary>\n\n{table}\n\n</details>"


def _metrics(metrics):
    numbers = {
        name: value
        for name, value in metrics.items()
        if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    }
    if not numbers:
        return ""
    told = ", ".join(f"{_plain(name)} {value:.4g}" for name, value in list(numbers.items())[:SHOWN_METRICS])
    return f"On its own validation texts, which say nothing about other models: {told}."


def _teacher(data):
    name = _plain(data.get("path") or "not named")
    return f"The labels stand in the data set {name}. Who or what wrote them, and under which licences, its card says."
