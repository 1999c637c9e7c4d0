"""Where rows come from: a file, a folder, standard input, a data set of the Hub, or a Python object."""

import contextlib
import glob
import os
import re
from collections.abc import Mapping
from pathlib import Path

from .formats import FORMATS, FileRow, batch_rows, format_of, read_file, with_class_names
from .labels import is_missing

__all__ = ["NoSuchConfig", "NoSuchSplit", "iter_rows", "name_of"]

_HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]*(/[\w.-]+)?$")
# How names of files say which split they hold, as the Hub reads them.
_SPLIT_WORDS = {"train": "train|training", "validation": "validation|valid|val|dev", "test": "test|testing|eval"}
_TABLES = {"csv", "tsv", "jsonl", "parquet"}  # formats of which a folder may be full
TIMEOUT = 10  # seconds for a first answer of the Hub


class NoSuchSplit(ValueError):
    """The source has other splits than the one that was asked for."""


class NoSuchConfig(ValueError):
    """The source has other configurations than the one that was asked for."""


def name_of(source):
    """
    A word for a source, for ids and for the column `source`.

    Args:
        source: What [`iter_rows`] takes.

    Example:

    ```python
    >>> name_of("reviews/march.csv.gz"), name_of("owner/reviews"), name_of(["a text"])
    ('march', 'reviews', 'text')

    ```
    """
    if not isinstance(source, str | os.PathLike):
        return "text"
    if str(source) == "-":
        return "stdin"
    path = Path(os.path.abspath(source))
    return Path(path.stem).stem if format_of(path) and not FORMATS.get(path.suffix.lower()) else path.stem


def iter_rows(source, *, split=None, config=None, local_only=False, kind=None, **reading):
    """
    The rows of anything that holds a table, in a stream of constant memory.

    Args:
        source: A path: CSV, TSV, JSON, JSONL, Parquet, `.txt` with a text a line, each perhaps compressed (`.gz`,
            `.bz2`, `.xz`); a folder of such files, or one with a data set card; a pattern (`march-*.csv`) where no
            file has that name; `"-"` for standard input; the id of a data set on the Hub. Or a Python object: a
            `datasets.Dataset`, a pandas or polars frame or series, an Arrow table, an iterable of strings or mappings.
        split (`str`, *optional*): Which part of a folder or Hub data set, or `"all"`; by default `train` of a Hub
            data set and of a folder with a card, and all of any other folder.
        config (`str`, *optional*): Which configuration of it.
        local_only (`bool`, *optional*, defaults to `False`): Download nothing.
        kind (`str`, *optional*): The format of a file whose name does not tell, or of standard input: `csv`, `tsv`,
            `jsonl`, `json`, `lines`, `parquet`.
        **reading: `header`, `quotes`, `delimiter`, `encoding` of [`read_file`].

    Yields:
        [`FileRow`]: with file and line; rows that could not be read have an `error`.

    Raises:
        [`NoSuchSplit`]: where there are other splits.
        `ValueError`, `OSError`, `ImportError`: where the source as a whole cannot be read.

    Example:

    ```python
    >>> [row.place for row in iter_rows(["I am so glad", "oh no"])]
    ['input, row 1', 'input, row 2']

    ```
    """
    if not isinstance(source, str | os.PathLike):
        _check_whole("the object is one table", split, config)
        yield from _objects(source)
        return
    if str(source) == "":  # as an empty variable of a shell leaves it: to Path it is the folder that we are in
        raise ValueError("the name of the input is empty")
    path = Path(source)
    if str(source) == "-":
        _check_whole("standard input is one table", split, config)
        yield from read_file("-", kind, **reading)
    elif path.is_dir():
        for file in _folder(path, split, config):
            yield from read_file(file, kind, **reading)
    elif path.exists():
        if kind is None and format_of(path) is None and not _is_pipe(path):
            raise ValueError(f"{path}: unknown kind of file; use {', '.join(sorted(FORMATS))}")
        _check_whole(f"{path} is one file", split, config)
        yield from read_file(path, kind, **reading)
    elif glob.has_magic(str(source)) and (files := sorted(glob.glob(str(source), recursive=True))):
        _check_whole(f"{path} names files", split, config)
        for file in files:
            yield from read_file(file, kind, **reading)
    elif _HUB_ID.match(str(source)) and format_of(path) is None and not _is_local(str(source)):
        yield from _hub(str(source), split or "train", config, local_only)
    else:
        raise FileNotFoundError(f"{path}: no such file or folder")


def _check_whole(what, split, config):
    """Parts are asked of a folder or Hub data set; whatever else there is is read whole."""
    if split not in (None, "train", "all"):
        raise NoSuchSplit(f"{what}, so it has no split {split!r}")
    if config is not None:
        raise ValueError(f"{what}, so it has no configuration {config!r}")


def _is_pipe(path):
    """Whether it is read as standard input is: a pipe, a device, or what the shell gave us by another name."""
    return not path.is_file() or os.path.abspath(path).startswith(("/dev/", "/proc/"))


def _is_local(name):
    """Whether a name that fits a data set's id is rather a path whose last part is missing."""
    return "/" in name and os.path.isdir(name.partition("/")[0])


# ---- folders


def _folder(folder, split, config):
    """The files of a folder, by its card or by their names."""
    if configs := _card_configs(folder / "README.md"):
        return _by_card(folder, configs, split or "train", config)
    if (folder / "state.json").is_file() or (folder / "dataset_dict.json").is_file():
        raise ValueError(f"{folder} was written by `save_to_disk`; give it as an object: datasets.load_from_disk(...)")
    if config is not None:
        folder = folder / config
        if not folder.is_dir():
            raise NoSuchConfig(f"{folder.parent} has no configuration {config!r}")
    found = [path for path in sorted(folder.rglob("*")) if path.is_file() and not _aside(path, folder)]
    found = [path for path in found if format_of(path) in _TABLES]
    kinds = sorted({format_of(path) for path in found})
    if not found:
        raise ValueError(f"{folder}: no file in it is a table ({', '.join(sorted(_TABLES))})")
    if len(kinds) > 1:
        raise ValueError(
            f"{folder} holds files of several kinds ({', '.join(kinds)}); name one, or a pattern of names"
        )
    if split in (None, "all"):
        return found
    by_split = {}
    for path in found:
        by_split.setdefault(_split_in(path.relative_to(folder)), []).append(path)
    if set(by_split) == {None}:
        by_split = {"train": found}
    if split not in by_split:
        there = ", ".join(sorted(name for name in by_split if name))
        raise NoSuchSplit(f"{folder} has no split {split!r}; there are: {there}")
    return by_split[split]


def _aside(path, folder):
    return any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)


def _split_in(path):
    for split, words in _SPLIT_WORDS.items():
        if re.search(rf"(^|[^a-z])({words})([^a-z]|$)", path.as_posix().lower()):
            return split
    return None


def _card_configs(card):
    """The configurations that a data set card declares, as a list of mappings."""
    try:
        text = card.read_text(encoding="utf-8-sig", errors="replace")
    except OSError:
        return []
    match = re.match(r"---\s*\n(.*?)\n---", text, re.DOTALL)
    if match is None:
        return []
    import yaml

    try:
        content = yaml.safe_load(match[1])
    except (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"{card}: its head is not valid YAML ({_first_line(error)})") from None
    configs = content.get("configs") if isinstance(content, dict) else None
    if not isinstance(configs, list | None):
        raise ValueError(f"{card}: `configs` in its head must be a list of configurations with their `data_files`")
    return [part for part in configs or () if isinstance(part, dict) and part.get("data_files")]


def _by_card(folder, configs, split, config):
    named = {str(part.get("config_name", "default")): part for part in configs}
    if config is None:
        first = [name for name, part in named.items() if part.get("default")] or ["default"]
        config = first[0] if first[0] in named else next(iter(named)) if len(named) == 1 else None
    if config not in named:
        what = f"no configuration {config!r}" if config else "several configurations, so name one"
        raise NoSuchConfig(f"{folder} has {what}; there are: {', '.join(sorted(named))}")
    part = named[config]
    patterns = _patterns(part["data_files"])
    if split == "all":
        patterns["all"] = [pattern for patterns_of_split in patterns.values() for pattern in patterns_of_split]
    elif split not in patterns:
        raise NoSuchSplit(f"{folder} has no split {split!r} in {config!r}; there are: {', '.join(patterns)}")
    base = folder / str(part.get("data_dir") or "")
    found = []
    for pattern in patterns[split]:
        if os.path.isabs(pattern) or os.path.relpath(base / pattern, folder).startswith(".."):
            raise ValueError(f"{folder / 'README.md'} names {pattern}, which lies outside its folder")
        try:
            matches = [base / pattern] if (base / pattern).is_file() else sorted(base.glob(pattern))
        except (ValueError, IndexError):  # `a/***.csv`, say
            raise ValueError(f"{folder / 'README.md'} names {pattern!r}, which is no pattern of files") from None
        if not matches:
            raise FileNotFoundError(f"{base / pattern} is missing, which the card of {folder} names")
        found += [path for path in matches if path.is_file()]
    return found


def _patterns(files):
    """The patterns of each split, from the ways in which a card may write them."""

    def listed(value):
        return [str(item) for item in value] if isinstance(value, list) else [str(value)]

    if isinstance(files, dict):
        return {str(split): listed(value) for split, value in files.items()}
    if isinstance(files, list) and all(isinstance(item, dict) for item in files):
        return {str(item.get("split", "train")): listed(item.get("path")) for item in files}
    return {"train": listed(files)}


# ---- the Hub


def _hub(name, split, config, local_only):
    try:
        import datasets
    except ImportError:
        raise ImportError(f"{name!r} is no file, and a Hub data set needs datasets: pip install datasets") from None
    offline = local_only or not _reachable(name)
    try:
        options = {"download_config": datasets.DownloadConfig(local_files_only=offline)}
        with _offline(datasets) if offline else contextlib.nullcontext():
            data = datasets.load_dataset(name, config, split=None if split == "all" else split, **options)
    except Exception as error:  # the library's errors are many: all mean that there is nothing to read
        why = _first_line(error)
        if "Unknown split" in str(error):
            raise NoSuchSplit(f"the data set {name!r} has no split {split!r}: {why}") from None
        if why.startswith("BuilderConfig"):
            raise NoSuchConfig(f"the data set {name!r} has no configuration {config!r}: {why}") from None
        if offline:
            why = "it is not in the local cache, and " + (
                "nothing is downloaded here" if local_only else "the Hub cannot be reached"
            )
        raise ValueError(f"{name!r} is no file, and as a data set of the Hub it cannot be read: {why}") from None
    for part in data.values() if split == "all" else [data]:
        yield from _objects(part, name)


def _reachable(name):
    """Ask the Hub once, so that a name that stands for nothing costs no minute of retries."""
    import huggingface_hub
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError

    try:
        huggingface_hub.HfApi().dataset_info(name, timeout=TIMEOUT)
    except (RepositoryNotFoundError, HFValidationError):
        where = f"{name!r} is no file or folder here, and the Hub has no data set of this name"
        raise ValueError(f"{where} (or a private one: log in)") from None
    except Exception:  # no network, no answer, offline by choice
        return False
    return True


@contextlib.contextmanager
def _offline(datasets):
    """Have the libraries look into their cache alone; they read their environment variable only once."""
    import huggingface_hub

    before = datasets.config.HF_HUB_OFFLINE, huggingface_hub.constants.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = huggingface_hub.constants.HF_HUB_OFFLINE = True
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE, huggingface_hub.constants.HF_HUB_OFFLINE = before


def _first_line(error):
    return (str(error).strip() or type(error).__name__).split("\n")[0]


# ---- Python objects


def _objects(source, name="input"):
    if isinstance(source, Mapping):
        known = ", ".join(map(str, source))
        raise ValueError(f"a mapping is no table; if it holds splits, choose one of them: {known}")
    if hasattr(source, "to_batches") or hasattr(source, "to_struct_array"):  # an Arrow table, or a batch of one
        batches = source.to_batches(1024) if hasattr(source, "to_batches") else [source]
        rows = (row for batch in batches for row in batch_rows(batch))
        yield from (FileRow(name, "row", number, values, error) for number, (values, error) in enumerate(rows, 1))
        return
    names = _feature_names(getattr(source, "features", None))
    for number, record in enumerate(_records(source), 1):
        if isinstance(record, Mapping):
            yield FileRow(name, "row", number, with_class_names(dict(record), names))
        elif isinstance(record, str | bytes) or is_missing(record):
            yield FileRow(name, "row", number, {"text": record})
        else:
            fault = f"it is {type(record).__name__}, where a text or a mapping is expected"
            yield FileRow(name, "row", number, {}, fault)


def _records(source):
    if hasattr(source, "iter_rows") and hasattr(source, "columns"):  # polars
        return source.iter_rows(named=True)
    if hasattr(source, "to_dict") and hasattr(source, "columns"):  # pandas
        columns = list(map(str, source.columns))
        if len(set(columns)) < len(columns):
            raise ValueError("two columns of the frame have the same name")
        return (dict(zip(columns, cells, strict=True)) for cells in source.itertuples(index=False, name=None))
    if isinstance(source, str | bytes) or not hasattr(source, "__iter__"):
        raise ValueError(f"{type(source).__name__} is no table: a path, a frame or an iterable of texts is expected")
    return source


def _feature_names(features):
    """The names of classes, where the features of a `datasets.Dataset` have any."""
    found = {}
    for column, feature in dict(features or {}).items():
        inner = getattr(feature, "feature", feature)
        if isinstance(feature, list) and len(feature) == 1:
            inner = feature[0]
        if getattr(inner, "names", None) and hasattr(inner, "int2str"):
            found[column] = inner.names
    return found
