"""Trains and measures a grid of variants: one JSON a cell, resumable, with a table and pictures.

A finished cell is kept with a digest of its settings and of the files it was made from: the same command goes on where
it stopped, and a cell whose settings, data, starting weights or benchmarks have changed is made again.
"""

import hashlib
import json
import shutil
import time
from pathlib import Path

from ..benchmarks import protocols, resampling
from ..benchmarks.readers import BENCHMARKS, DIMENSIONS, load_benchmark
from ..benchmarks.suite import measure_system, parse_selection, primary_value, wants_calibration
from ..benchmarks.systems import load_system
from ..files import write_json, write_text
from ..training.arguments import DataArguments, read_arguments
from ..training.config_files import read_yaml
from ..training.encoders import encoder_path, lexicon_path, start_path, teacher_names
from ..training.record import checkpoint_digest, files_digest
from . import descriptor_variants
from .grid import safe_name
from .grid_report import write_grid

__all__ = [
    "chosen_labels", "digest_of", "inputs_digest", "measure_cell", "read_cell", "read_validation", "run_cell",
    "run_grid", "train_cell", "training_arguments",
]  # fmt: skip


def digest_of(*parts):
    """A short digest of JSON-able parts."""
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def training_arguments(cell, grid, options):
    """`dict`: what a cell asks of training, before a variant of its data is made; arguments as for `train_cell`.

    The command line's `--descriptors` stands above the base, the cell above both, and `--set` above everything.
    """
    chosen = options.get("descriptors")
    given = {"data": chosen, "lexicon": chosen} if chosen else {}
    return {"data": DataArguments.data, **grid["base"], **given, **cell["train"], **options["overrides"]}


def inputs_digest(arguments, *benchmarks):
    """A digest of the files behind training arguments, and of the folders of benchmarks, wherever these lie."""
    lexicon = arguments.get("lexicon")
    teachers = teacher_names(arguments["teachers"]) if arguments.get("teachers") else []
    starts = [arguments.get(name) for name in ("text_encoder", "init", "label_space")] + teachers
    weights = [checkpoint_digest(start_path(encoder_path(str(name)))) for name in starts if name]
    data = files_digest(str(arguments["data"]), lexicon_path(str(lexicon)) if lexicon else None)
    return digest_of(data, weights, [files_digest(folder) for folder in benchmarks])


def train_cell(cell, grid, options, work):
    """Train one cell; returns the checkpoint folder.

    Args:
        cell (`dict`): Of `load_grid`.
        grid (`dict`): Of `load_grid`.
        options (`dict`): `descriptors` (`None` for the base's own), `data_dir`, `overrides` (training arguments from
            the command line), `quiet`.
        work (`Path`): The cell's folder; training goes on from what it holds.

    Raises:
        InterruptedError: training was stopped by a signal; its state is kept.
    """
    import yaml
    from accelerate.state import AcceleratorState

    from ..train_accelerate import main as train

    arguments = training_arguments(cell, grid, options)
    if cell.get("descriptors"):
        lexicon = arguments.get("lexicon")
        arguments |= {"data_config": None, "closed_config": None, "labels_from": "descriptors"}
        arguments |= descriptor_variants.build_variant(
            cell["descriptors"], arguments["data"], options["data_dir"], work / "descriptors", lexicon
        )
        arguments["lexicon"] = arguments["lexicon"] if lexicon else None
    arguments |= {"output_dir": str(work / "run")}
    config = work / "train.yaml"
    write_text(config, yaml.safe_dump(arguments, sort_keys=True))
    AcceleratorState._reset_state()  # the cell before may have computed in another precision, which it would hold to
    status = train([str(config)], quiet=options["quiet"])
    if status:
        raise InterruptedError(f"training of {cell['name']} stopped with status {status}; the same command goes on.")
    return work / "run" / "final"


def measure_cell(checkpoint, grid, cell, data_dir, limit=None, cache=None, replicates=300):
    """Measure one trained cell on the grid's benchmarks.

    Returns:
        `dict[str, dict]`: benchmark to its primary value, interval and, for label sets, ROC-AUC, by protocol.
    """
    system = load_system(str(checkpoint), cell["name"], cache=cache)
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
        grid (`dict`): Of `load_grid`.
        options (`dict`): See `train_cell`; also `limit`, `only` (cell names), `keep` (checkpoints), `cache`.
        output (`Path`): The grid's folder.
        say (`Callable`): Told of each cell.

    Returns:
        `list[dict]`: the finished cells.

    Raises:
        `ValueError`: for a cell whose training arguments do not fit, naming it.
    """
    results, only = [], set(options.get("only") or ())
    chosen = [cell for cell in grid["cells"] if not only or {cell["name"], cell["group"]} & only]
    for cell in chosen:  # all before the first one trains, which may take hours
        place, folder = f"cell {cell['name']}", str(output / "work" / safe_name(cell["name"]) / "run")
        try:
            read_arguments(training_arguments(cell, grid, options) | {"output_dir": folder}, place)
        except ValueError as error:
            raise ValueError(str(error) if str(error).startswith(place) else f"{place}: {error}") from None
    for cell in chosen:
        results.append(run_cell(cell, grid, options, output, say))
        write_grid(grid, results, output)
    return results


def run_cell(cell, grid, options, output, say):
    """Train and measure one cell, or read it where it is done; arguments as for `run_grid`."""
    path = output / "cells" / f"{safe_name(cell['name'])}.json"
    work = output / "work" / safe_name(cell["name"])
    variant = cell.get("descriptors")
    arguments = training_arguments(cell, grid, options)
    folders = {name: Path(options["data_dir"], spec.folder) for name, (spec, _) in BENCHMARKS.items()}
    human = [folders["goemotions"]] if variant else []  # a variant may ask for its labels
    trained = digest_of(arguments, variant, inputs_digest(arguments, *human))
    chosen = cell.get("measure_labels") or grid.get("measure_labels")
    names = [name for name, _ in parse_selection(",".join(grid["evaluate"]))[0]]
    benchmarks = [files_digest(folders[name]) for name in names]
    digest = digest_of(trained, grid["evaluate"], benchmarks, chosen, options["limit"])
    done = read_cell(path)
    if done and done["digest"] == digest:
        say(f"{cell['name']}: done before")
        return done
    marker = work / "digest"
    if work.exists() and (not marker.is_file() or marker.read_text() != trained):
        shutil.rmtree(work)  # another variant's states: nothing to go on from
    work.mkdir(parents=True, exist_ok=True)
    write_text(marker, trained)
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
    write_json(path, result, indent=1)
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
