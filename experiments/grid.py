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
        ValueError: an unknown key, no cells, two cells of one name.
    """
    path = find_grid(name)
    grid = read_yaml(path)
    if unknown := set(grid) - GRID_KEYS:
        raise ValueError(
            f"{path}: unknown key {', '.join(sorted(unknown))}; known are {', '.join(sorted(GRID_KEYS))}."
        )
    if not grid.get("cells"):
        raise ValueError(f"{path}: no cells.")
    base = path.parent / grid.get("base", DEFAULT_BASE)
    if not base.is_file():
        base = presets_dir().parent.parent / "configs" / grid.get("base", DEFAULT_BASE)
    seeds = grid.get("seeds") or [None]
    cells = []
    for cell in grid["cells"]:
        if unknown := set(cell) - CELL_KEYS:
            raise ValueError(f"{path}: unknown key {', '.join(sorted(unknown))} in cell {cell.get('name')}.")
        if not cell.get("name"):
            raise ValueError(f"{path}: a cell has no name.")
        for seed in seeds:
            extra = {} if seed is None else {"seed": seed}
            name = cell["name"] if len(seeds) == 1 else f"{cell['name']} seed {seed}"
            train = {**(grid.get("train") or {}), **(cell.get("train") or {}), **extra}
            cells.append({**cell, "name": str(name), "group": str(cell["name"]), "train": train})
    names = [cell["name"] for cell in cells]
    if len(set(names)) < len(names):
        raise ValueError(f"{path}: two cells have one name.")
    evaluate = grid.get("evaluate") or list(DEFAULT_EVALUATION)
    return {**grid, "path": path, "base": read_yaml(base), "evaluate": evaluate, "cells": cells}


def safe_name(name):
    """A file name from a cell's name."""
    return "".join(character if character.isalnum() or character in "-_=." else "-" for character in name)


def list_cells(grid):
    """Print what a grid would train."""
    print(f"{grid.get('title', grid['path'].stem)} ({grid['path']})")
    for cell in grid["cells"]:
        details = {**cell["train"], **({"descriptors": cell["descriptors"]} if cell.get("descriptors") else {})}
        print(f"  {cell['name']}: {json.dumps(details)}")
