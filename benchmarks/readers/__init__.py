"""Readers for the public emotion sets that the benchmarks measure on; files first, the Hub only when asked.

A new set is one file here: a module with `SPEC`, a `BenchmarkSpec`, and `read(path, spec, split)`, which gives texts,
targets, ids and the number of rows the split has in the file; where the Hub serves the set in other columns than its
labels' names, also `read_hub(table, spec, split)`. Everything else (finding files, warning about sizes, leaving out
blank texts) happens once, here.
"""

import importlib
import pkgutil
import warnings
from pathlib import Path

import numpy as np

from .equity import EquitySentence, read_equity_corpus
from .parsing import DamagedFile
from .records import DIMENSIONS, MULTI_LABEL, SINGLE_LABEL, BenchmarkData, BenchmarkSpec

__all__ = [
    "BENCHMARKS",
    "DIMENSIONS",
    "MULTI_LABEL",
    "SINGLE_LABEL",
    "BenchmarkData",
    "BenchmarkSpec",
    "DamagedFile",
    "EquitySentence",
    "MissingBenchmark",
    "find_split",
    "load_benchmark",
    "load_from_hub",
    "present_splits",
    "read_equity_corpus",
]

TASKS = (MULTI_LABEL, SINGLE_LABEL, DIMENSIONS)


def _list_readers():
    """Every module of this folder that reads a set, by the set's name: multi-label sets first, then by name."""
    modules = (importlib.import_module(f".{found.name}", __name__) for found in pkgutil.iter_modules(__path__))
    readers = [module for module in modules if hasattr(module, "SPEC")]
    readers.sort(key=lambda module: (TASKS.index(module.SPEC.task), module.SPEC.name))
    return {module.SPEC.name: module for module in readers}


READERS = _list_readers()
# name: (specification, reader)
BENCHMARKS = {name: (module.SPEC, module.read) for name, module in READERS.items()}
HUB_SPLITS = {"dev": "validation"}


class MissingBenchmark(FileNotFoundError):
    """A benchmark whose files are not in the data directory; the message says what to get and from where."""

    def __init__(self, spec, data_dir):
        names = sorted({names[0] for names in spec.files.values()})
        super().__init__(
            f"{spec.name}: not in {Path(data_dir) / spec.folder}; put {', '.join(names)} there, from {spec.download}."
        )


def get_benchmark(name):
    """Specification and reader of a benchmark, `ValueError` for an unknown name."""
    if name not in BENCHMARKS:
        raise ValueError(f"benchmarks: no benchmark {name!r}; choose from {', '.join(BENCHMARKS)}.")
    return BENCHMARKS[name]


def find_split(name, split, data_dir):
    """The file of one split, or `None`."""
    spec, _ = get_benchmark(name)
    if split not in spec.files:
        raise ValueError(f"{name}: no split {split!r}; it has {', '.join(spec.files)}.")
    folder = Path(data_dir) / spec.folder
    for pattern in spec.files[split]:
        for path in sorted(folder.glob(pattern)):
            return path
    return None


def present_splits(name, data_dir):
    """Names of the splits whose files are there (for a set in one file: that hold rows)."""
    spec, reader = get_benchmark(name)
    found = {split: find_split(name, split, data_dir) for split in spec.files}
    one_file = len(set(found.values())) == 1 and len(found) > 1
    return [
        split
        for split, path in found.items()
        if path is not None and (not one_file or len(reader(path, spec, split)[0]))
    ]


def load_benchmark(name, data_dir, split=None, limit=None):
    """Read one split of a benchmark from files.

    Args:
        name (`str`): A key of `BENCHMARKS`.
        data_dir (`str` or `Path`): The directory with one folder a set.
        split (`str`, *optional*): A split; by default the first present one of the set's evaluation splits.
        limit (`int`, *optional*): Take the first rows only; the result is marked as limited.

    Returns:
        `BenchmarkData`: texts and targets.

    Raises:
        MissingBenchmark: the files are not there.
        DamagedFile: a file is not in its format; names file and line.
        ValueError: an unknown name or split.

    Example:

    ```python
    >>> from emodistill.benchmarks.readers import load_benchmark

    >>> data = load_benchmark("goemotions", "DATA", split="dev")  # doctest: +SKIP
    >>> len(data), data.targets.shape  # doctest: +SKIP
    (5426, (5426, 28))

    ```
    """
    spec, reader = get_benchmark(name)
    if split is None:
        present = present_splits(name, data_dir)
        split = next((candidate for candidate in spec.evaluation_splits if candidate in present), None)
    path = find_split(name, split, data_dir) if split else None
    if path is None:
        raise MissingBenchmark(spec, data_dir)
    texts, targets, ids, rows = reader(path, spec, split)
    if not texts:
        raise MissingBenchmark(spec, data_dir) if rows == 0 else DamagedFile(path, 1, "no usable text.")
    expected = spec.split_sizes.get(split)
    if rows is not None and expected is not None and rows != expected:
        warnings.warn(f"{path}: {rows} rows in {split}, {expected} are published.", stacklevel=2)
    return assemble(spec, split, texts, targets, ids).limit(limit)


def assemble(spec, split, texts, targets, ids):
    """`BenchmarkData` without the rows that hold no text at all."""
    kept = [position for position, text in enumerate(texts) if text.strip()]
    left_out = len(texts) - len(kept)
    if left_out:
        texts, ids, targets = [texts[i] for i in kept], [ids[i] for i in kept], np.asarray(targets)[kept]
    return BenchmarkData(spec, split, list(texts), np.asarray(targets), list(ids), left_out)


def load_from_hub(name, split=None, limit=None):
    """Download one split from the Hub (only ever called because the user asked for it) and read it.

    Args:
        name (`str`): A benchmark with a `hub_id`.
        split (`str`, *optional*): By default the set's first evaluation split.
        limit (`int`, *optional*): Take the first rows only.

    Returns:
        `BenchmarkData`: the same as `load_benchmark` gives for the files.

    Raises:
        ValueError: the Hub does not serve the set without a script.
    """
    spec, _ = get_benchmark(name)
    if spec.hub_id is None:
        raise ValueError(f"{name}: the Hub does not serve it without a script; get it from {spec.download}.")
    import datasets  # costs seconds

    split = split or spec.evaluation_splits[0]
    table = datasets.load_dataset(spec.hub_id, spec.hub_config, split=HUB_SPLITS.get(split, split))
    read = getattr(READERS[name], "read_hub", _read_hub)
    texts, targets, ids, _ = read(table, spec, split)
    return assemble(spec, split, texts, targets, ids).limit(limit)


def _read_hub(table, spec, split):
    """A set whose columns on the Hub are `text` and `label`, or `text` and one of each label."""
    texts = [str(text) for text in table["text"]]
    if spec.task == SINGLE_LABEL:
        order = [spec.labels.index(label) for label in table.features["label"].names]
        targets = np.array([order[label] for label in table["label"]])
    else:
        targets = np.array([table[label] for label in spec.labels], dtype=np.int8).T
    ids = [str(value) for value in (table["id"] if "id" in table.column_names else range(len(texts)))]
    return texts, targets, ids, len(texts)
