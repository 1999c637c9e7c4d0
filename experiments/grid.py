"""A grid of variants as a YAML file:

title: Dimension of the shared space
base: minilm-l6/1-first.yaml      # training configuration, relative to the grid or to the package's configs/
train: {epochs: 2}                # training arguments of every cell, over those of the base
seeds: [13]
evaluate: [goemotions:dev, semeval2025-eng:train, emobank:train]
measure_labels: [amusement, pride]          # optional: macro-F1 on just these labels
plot: {x: projection_dim, log: true}        # optional: a training argument on the x axis
cells:
  - name: d=384
    train: {projection_dim: 384}
    descriptors: {format: first}            # optional, see descriptor_variants.build_variant
"""

import json
from pathlib import Path

from ..training.config_files import read_yaml

__all__ = ["find_grid", "list_cells", "load_grid", "presets_dir", "safe_name"]

DEFAULT_BASE = "minilm-l6/1-first.yaml"
DEFAULT_EVALUATION = ("goemotions:dev", "semeval2025-eng:train", "emobank:train")
GRID_KEYS = {"title", "base", "train", "seeds", "evaluate", "measure_labels", "plot", "cells", "note"}
CELL_KEYS = {"name", "train", "descriptors", "measure_labels", "x", "series"}


def _is_mapping(value):
    return isinstance(value, dict) and all(isinstance(key, str) for key in value)


def _is_list_of(kind):
    return lambda value: isinstance(value, list) and all(type(part) is kind for part in value)


MAPPING = _is_mapping, "`name: value`"
LABELS = _is_list_of(str), "a list of labels"
WORDS = (lambda value: isinstance(value, str)), "words (in quotes where it looks like a number)"
# What a value of each key must be; one that is left out or null is as if the key were not there
GRID_KINDS = {
    "title": WORDS,
    "note": WORDS,
    "base": WORDS,
    "train": MAPPING,
    "seeds": (_is_list_of(int), "a list of whole numbers"),
    "evaluate": (_is_list_of(str), "a list of benchmarks, `[goemotions:dev]` for instance"),
    "measure_labels": LABELS,
    "plot": MAPPING,
    "cells": (lambda value: isinstance(value, list), "a list of cells"),
}
CELL_KINDS = {
    "train": MAPPING,
    "descriptors": MAPPING,
    "measure_labels": LABELS,
    "x": (lambda value: type(value) in (int, float), "a number"),
    "series": WORDS,
}
DESCRIPTOR_KINDS = {
    "drop": LABELS,
    "vocabulary": (lambda value: type(value) is int and value > 0, "a whole number of at least 1"),
}


def presets_dir():
    """Where the grids that come with the package lie."""
    return Path(__file__).resolve().parent / "grids"


def find_grid(name):
    """The path of a grid: a file, or the name of one that comes with the package."""
    path = Path(name)
    if path.is_file():
        return path
    preset = presets_dir() / f"{name}.yaml"
    if preset.is_file():
        return preset
    known = ", ".join(sorted(path.stem for path in presets_dir().glob("*.yaml")))
    raise ValueError(f"grid: no file {name}, and no preset of that name; presets: {known}.")


def load_grid(name):
    """Read and check a grid.

    Args:
        name (`str`): A file or a preset.

    Returns:
        `dict`: the grid with `path`, `base` (a mapping), `evaluate` and `cells` (one a seed, with unique names).

    Raises:
        ValueError: an unknown key, a value of another kind, no cells, two cells of one name or file.
    """
    path = find_grid(name)
    grid = read_yaml(path)
    if unknown := set(grid) - GRID_KEYS:
        raise ValueError(
            f"{path}: unknown key {', '.join(sorted(map(str, unknown)))}; known are {', '.join(sorted(GRID_KEYS))}."
        )
    _check_kinds(grid, GRID_KINDS, path)
    if not grid.get("cells"):
        raise ValueError(f"{path}: no cells.")
    named = grid.get("base") or DEFAULT_BASE
    base = path.parent / named
    if not base.is_file():
        base = presets_dir().parent.parent / "configs" / named
    seeds = grid.get("seeds") or [None]
    cells = []
    for number, cell in enumerate(grid["cells"], start=1):
        _check_cell(cell, f"{path}: cell {number}")
        for seed in seeds:
            extra = {} if seed is None else {"seed": seed}
            name = cell["name"] if len(seeds) == 1 else f"{cell['name']} seed {seed}"
            train = {**(grid.get("train") or {}), **(cell.get("train") or {}), **extra}
            cells.append({**cell, "name": str(name), "group": str(cell["name"]), "train": train})
    _check_names([cell["name"] for cell in cells], path)
    evaluate = grid.get("evaluate") or list(DEFAULT_EVALUATION)
    return {**grid, "path": path, "base": read_yaml(base), "evaluate": evaluate, "cells": cells}


def _check_cell(cell, place):
    if not isinstance(cell, dict):
        raise ValueError(f"{place} must hold `name: value`, a name and perhaps train, not {cell!r}.")
    if unknown := set(cell) - CELL_KEYS:
        raise ValueError(f"{place}: unknown key {', '.join(sorted(map(str, unknown)))} in cell {cell.get('name')}.")
    if cell.get("name") in (None, "") or isinstance(cell["name"], dict | list):
        raise ValueError(f"{place} has no name.")
    place = f"{place} ({cell['name']})"
    _check_kinds(cell, CELL_KINDS, place)
    _check_kinds(cell.get("descriptors") or {}, DESCRIPTOR_KINDS, f"{place}: descriptors")


def _check_kinds(values, kinds, place):
    """Raise `ValueError` unless what is given of `kinds` is of that kind."""
    for key, (fits, expected) in kinds.items():
        if values.get(key) is not None and not fits(values[key]):
            raise ValueError(f"{place}: {key} must be {expected}, not {values[key]!r}.")


def _check_names(names, path):
    """Raise `ValueError` where two cells would write one file; some systems do not tell capitals apart."""
    known = {}
    for name in names:
        file = safe_name(name).lower()
        if name == known.get(file):
            raise ValueError(f"{path}: two cells have one name, {name}.")
        if file in known:
            raise ValueError(f"{path}: cells {known[file]} and {name} would both be {file}.json; rename one.")
        known[file] = name


def safe_name(name):
    """A file name from a cell's name."""
    return "".join(character if character.isalnum() or character in "-_=." else "-" for character in name)


def list_cells(grid):
    """Print what a grid would train."""
    print(f"{grid.get('title', grid['path'].stem)} ({grid['path']})")
    for cell in grid["cells"]:
        details = {**cell["train"], **({"descriptors": cell["descriptors"]} if cell.get("descriptors") else {})}
        print(f"  {cell['name']}: {json.dumps(details)}")
