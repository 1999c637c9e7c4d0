"""Trains and measures a grid of variants: one JSON a cell, resumable, with a table and pictures.

A grid is a YAML file:

    title: Dimension of the shared space
    base: minilm.yaml                 # training configuration, relative to the grid or to the package's configs/
    train: {epochs: 2}                # training arguments of every cell, over those of the base
    seeds: [13]
    evaluate: [goemotions:dev, semeval2025-eng:train, emobank:train]
    measure_labels: [amusement, pride]          # optional: macro-F1 on just these labels
    plot: {x: projection_dim, log: true}        # optional: a training argument on the x axis
    cells:
      - name: d=384
        train: {projection_dim: 384}
        descriptors: {format: first}            # optional, see descriptor_variants.build_variant

A finished cell is kept with a digest of everything it was made from: the same command goes on where it stopped, and
a changed cell is trained again.
"""

import hashlib
import json
import shutil
import statistics
import time
from pathlib import Path

from . import descriptor_variants, protocols, resampling
from .readers import DIMENSIONS, load_benchmark
from .report import html_page, image_tag, write_atomically, write_json
from .suite import measure_system, parse_selection, primary_value, wants_calibration
from .systems import load_checkpoint
from .tables import Table, number, with_interval

DEFAULT_EVALUATION = ("goemotions:dev", "semeval2025-eng:train", "emobank:train")
GRID_KEYS = {"title", "base", "train", "seeds", "evaluate", "measure_labels", "plot", "cells", "note"}
CELL_KEYS = {"name", "train", "descriptors", "measure_labels", "x", "series"}


def presets_dir():
    """Where the grids that come with the package lie."""
    return Path(__file__).resolve().parent.parent / "configs" / "ablations"


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


def read_yaml(path):
    """A YAML mapping; `ValueError` names the file otherwise."""
    import yaml

    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except yaml.YAMLError as error:
        raise ValueError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path}: a mapping of names to values is expected.")
    return content


def load_grid(name):
    """Read and check a grid.

    Args:
        name (`str`): a file or a preset.

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
    base = path.parent / grid.get("base", "minilm.yaml")
    if not base.is_file():
        base = presets_dir().parent / grid.get("base", "minilm.yaml")
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


def digest_of(*parts):
    """A short digest of JSON-able parts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def train_cell(cell, grid, options, work):
    """Train one cell; returns the checkpoint folder.

    Args:
        cell (`dict`): of `load_grid`.
        grid (`dict`): of `load_grid`.
        options (`dict`): `descriptors`, `data_dir`, `overrides` (training arguments from the command line), `quiet`.
        work (`Path`): the cell's folder; training goes on from what it holds.

    Raises:
        InterruptedError: training was stopped by a signal; its state is kept.
    """
    import yaml

    from ..train_accelerate import main as train

    arguments = {**grid["base"], **cell["train"]}
    if cell.get("descriptors"):
        arguments |= {"data_config": None, "closed_config": None, "labels_from": "descriptors"}
        arguments |= descriptor_variants.build_variant(
            cell["descriptors"], options["descriptors"], options["data_dir"], work / "descriptors"
        )
    elif options["descriptors"]:
        arguments |= {"data": options["descriptors"], "lexicon": options["descriptors"]}
    if not cell["train"].get("lexicon", True):
        arguments["lexicon"] = None
    arguments |= options["overrides"] | {"output_dir": str(work / "run")}
    if options["quiet"]:
        arguments["quiet"] = True
    config = work / "train.yaml"
    write_atomically(config, yaml.safe_dump(arguments, sort_keys=True))
    status = train([str(config)])
    if status:
        raise InterruptedError(f"training of {cell['name']} stopped with status {status}; the same command goes on.")
    return work / "run" / "final"


def measure_cell(checkpoint, grid, cell, data_dir, limit=None, cache=None, replicates=300):
    """Measure one trained cell on the grid's benchmarks.

    Returns:
        `dict[str, dict]`: benchmark to its primary value, interval and, for label sets, ROC-AUC, by protocol.
    """
    system = load_checkpoint(str(checkpoint), cell["name"], cache=cache)
    result = {}
    for name, split in parse_selection(",".join(grid["evaluate"]))[0]:
        data = load_benchmark(name, data_dir, split, limit)
        calibration = None
        if wants_calibration(data.spec, data.split):
            calibration = load_benchmark(name, data_dir, data.spec.calibration_split, limit)
        weights = resampling.bootstrap_weights(len(data), replicates, 0)
        measured, draws = measure_system(system, data, calibration, weights)
        entry = {
            protocol: {"value": value, **resampling.interval(draws[protocol])}
            for protocol in protocols.PROTOCOLS
            if (value := primary_value(data.spec.task, measured, protocol)) is not None
        }
        if data.spec.task == DIMENSIONS:
            first = next(iter(measured["readouts"].values()))["dimensions"]
            entry["dimensions"] = {dimension: column["pearson"] for dimension, column in first.items()}
        if "ranking" in measured:
            entry["macro_roc_auc"] = measured["ranking"]["macro_roc_auc"]
        wanted = cell.get("measure_labels") or grid.get("measure_labels") or ()
        places = [data.spec.labels.index(label) for label in wanted if label in data.spec.labels]
        if places and data.spec.task != DIMENSIONS:
            entry["chosen_labels"] = chosen_labels(measured, places)
        result[f"{name}:{data.split}"] = entry
    return result


def chosen_labels(measured, places):
    """Macro-F1 by protocol, and ROC-AUC, over some labels alone."""
    chosen = {"labels": len(places)}
    for protocol, entry in measured["protocols"].items():
        chosen[protocol] = sum(entry["per_label_f1"][place] for place in places) / len(places)
    if "ranking" in measured:
        auc = measured["ranking"]["per_label_roc_auc"]
        chosen["macro_roc_auc"] = sum(auc[place] for place in places) / len(places)
    return chosen


def run_grid(grid, options, output, say=print):
    """Train and measure every cell that is not done; write the table after each.

    Args:
        grid (`dict`): of `load_grid`.
        options (`dict`): see `train_cell`; also `limit`, `only` (cell names), `keep` (checkpoints), `cache`.
        output (`Path`): the grid's folder.
        say (`Callable`): told of each cell.

    Returns:
        `list[dict]`: the finished cells.
    """
    results = []
    for cell in grid["cells"]:
        if options.get("only") and not {cell["name"], cell["group"]} & set(options["only"]):
            continue
        results.append(run_cell(cell, grid, options, output, say))
        write_grid(grid, results, output)
    return results


def run_cell(cell, grid, options, output, say):
    """Train and measure one cell, or read it where it is done; arguments as for `run_grid`."""
    path = output / "cells" / f"{safe_name(cell['name'])}.json"
    work = output / "work" / safe_name(cell["name"])
    variant = cell.get("descriptors")
    trained = digest_of(grid["base"], cell["train"], variant, options["overrides"], options["descriptors"])
    chosen = cell.get("measure_labels") or grid.get("measure_labels")
    digest = digest_of(trained, grid["evaluate"], chosen, options["limit"])
    done = read_cell(path)
    if done and done["digest"] == digest:
        say(f"{cell['name']}: done before")
        return done
    marker = work / "digest"
    if work.exists() and (not marker.is_file() or marker.read_text() != trained):
        shutil.rmtree(work)  # another variant's states: nothing to go on from
    work.mkdir(parents=True, exist_ok=True)
    write_atomically(marker, trained)
    checkpoint, started = work / "run" / "final", time.perf_counter()
    if not (checkpoint / "config.json").is_file():
        say(f"{cell['name']}: training")
        checkpoint = train_cell(cell, grid, options, work)
    trained_in = time.perf_counter() - started
    say(f"{cell['name']}: measuring")
    arguments = read_yaml(work / "train.yaml")  # what was trained with, a variant's own data included
    measured = measure_cell(checkpoint, grid, cell, options["data_dir"], options["limit"], options.get("cache"))
    result = {
        "name": cell["name"],
        "group": cell["group"],
        "series": cell.get("series"),
        "x": cell.get("x", arguments.get((grid.get("plot") or {}).get("x"))),
        "digest": digest,
        "train": {key: value for key, value in arguments.items() if key != "output_dir"},
        "descriptors": variant,
        "limit": options["limit"],
        # Of this call: where a stopped training went on, the time before the stop is not in it.
        "seconds": {"training": round(trained_in), "all": round(time.perf_counter() - started)},
        "validation": read_validation(work / "run" / "metrics.json"),
        "results": measured,
    }
    write_json(path, result)
    if not options.get("keep"):
        shutil.rmtree(work)
    return result


def read_validation(path):
    """A run's measures on held-out source texts, or `None` where it left none."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))["final"]
    except (OSError, ValueError, KeyError):
        return None


def read_cell(path):
    """A finished cell, or `None` where it is absent or damaged."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and "digest" in content else None


def grid_table(grid, results):
    """A row for each cell, a few columns for each benchmark."""
    names = list(dict.fromkeys(name for cell in results for name in cell["results"]))
    chosen = any("chosen_labels" in entry for cell in results for entry in cell["results"].values())
    header = ["variant"]
    for name in names:
        entry = next(cell["results"][name] for cell in results if name in cell["results"])
        if "dimensions" in entry:
            header += [f"{name} {dimension} r" for dimension in entry["dimensions"]]
        else:
            header += [f"{name} macro-F1 strict [95 %]", f"{name} macro-F1 paper", f"{name} ROC-AUC"]
            header += [f"{name} F1 of chosen labels", f"{name} ROC-AUC of chosen labels"] if chosen else []
    rows = []
    for cell in results:
        row = [cell["name"]]
        for name in names:
            row += grid_cells(cell["results"].get(name, {}), chosen)
        rows.append(row)
    for group in dict.fromkeys(cell["group"] for cell in results):
        runs = [cell for cell in results if cell["group"] == group]
        if len(runs) > 1:
            columns = zip(*(seed_values(run, names, chosen) for run in runs), strict=True)
            rows.append([f"{group}: mean ± sd of {len(runs)} seeds", *map(mean_and_deviation, columns)])
    note = grid.get("note", "")
    if any(cell["limit"] for cell in results):
        note = f"LIMITED to {results[0]['limit']} rows a split: a quick look, not a result. {note}"
    return Table(grid.get("title", grid["path"].stem), header, rows, note.strip())


def grid_cells(entry, chosen):
    """Cells of one variant on one benchmark."""
    cells = [number(value) for value in grid_values(entry, chosen)]
    strict = entry.get(protocols.STRICT)
    if "dimensions" not in entry and strict:
        cells[0] = with_interval(strict["value"], strict)
    return cells


def grid_values(entry, chosen):
    """What those cells show, as numbers or `None`: dimensions, or F1 strict, F1 paper and ROC-AUC."""
    if "dimensions" in entry:
        return list(entry["dimensions"].values())
    values = [(entry.get(protocol) or {}).get("value") for protocol in (protocols.STRICT, protocols.PAPER)]
    values.append(entry.get("macro_roc_auc"))
    if chosen:
        some = entry.get("chosen_labels", {})
        values += [some.get(protocols.STRICT), some.get("macro_roc_auc")]
    return values


def seed_values(cell, names, chosen):
    """All numbers of a cell's row."""
    return [value for name in names for value in grid_values(cell["results"].get(name, {}), chosen)]


def mean_and_deviation(values):
    """The mean over seeds with its sample standard deviation, or a dash where a seed has no value."""
    if None in values:
        return number(None)
    return f"{number(statistics.mean(values))} ± {number(statistics.stdev(values))}"


def grid_pictures(grid, results):
    """One line plot a benchmark where the grid names an x axis."""
    from .plots import line_against

    plot, pictures = grid.get("plot") or {}, []
    if not plot.get("x"):
        return []
    for name in dict.fromkeys(name for cell in results for name in cell["results"]):
        series = {}
        for cell in results:
            entry = cell["results"].get(name, {}).get(protocols.STRICT)
            if entry and cell["x"] is not None and entry["value"] is not None:
                point = {"x": cell["x"], "y": entry["value"], "low": entry["low"], "high": entry["high"]}
                series.setdefault(cell.get("series") or protocols.STRICT, []).append(point)
        if series:
            ylabel = "mean Pearson r" if "dimensions" in results[0]["results"][name] else "macro-F1, strict"
            title = f"{grid.get('title', grid['path'].stem)}: {name}"
            file_name = f"{grid['path'].stem}-{safe_name(name)}"
            xlabel = plot.get("label", plot["x"])
            pictures.append(line_against(file_name, title, xlabel, ylabel, series, plot.get("log", False)))
    return pictures


def write_grid(grid, results, output):
    """Write `table.md`, `table.html` and the pictures of what is finished."""
    table, pictures = grid_table(grid, results), grid_pictures(grid, results)
    images = "".join(f"\n![{picture.alt}]({picture.save(output).name})\n" for picture in pictures)
    write_atomically(output / "table.md", f"# {table.title}\n\n{table.markdown()}{images}")
    sections = [table.html(), *map(image_tag, pictures)]
    write_atomically(output / "table.html", html_page(table.title, sections))
    return table


def parse_overrides(pairs):
    """Training arguments from `NAME=VALUE` on the command line, values as in YAML."""
    import yaml

    overrides = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise ValueError(f"--set: {pair!r} is not NAME=VALUE.")
        overrides[name.strip()] = yaml.safe_load(value)
    return overrides


def list_cells(grid):
    """Print what a grid would train."""
    print(f"{grid.get('title', grid['path'].stem)} ({grid['path']})")
    for cell in grid["cells"]:
        details = {**cell["train"], **({"descriptors": cell["descriptors"]} if cell.get("descriptors") else {})}
        print(f"  {cell['name']}: {json.dumps(details)}")
