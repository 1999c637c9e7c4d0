"""Runs systems over benchmarks and gathers one result, ready for JSON, tables and plots."""

import math
import sys
import time
from pathlib import Path

from . import measuring, protocols, resampling
from .published import published_for
from .readers import (
    BENCHMARKS,
    DIMENSIONS,
    MULTI_LABEL,
    SINGLE_LABEL,
    MissingBenchmark,
    load_benchmark,
    load_from_hub,
    present_splits,
)
from .systems import BACKGROUND_TEXTS

__all__ = [
    "clean", "compare_systems", "give_backgrounds", "measure_system", "parse_selection", "primary_value",
    "read_selection", "run_benchmark", "run_suite", "scatter_points", "source_texts", "wants_calibration",
]  # fmt: skip

PRIMARY = {MULTI_LABEL: "macro_f1", SINGLE_LABEL: "macro_f1", DIMENSIONS: "mean_pearson"}
# Each one's `measure` takes targets, labels, scores, calibration targets and weights.
LABEL_TASKS = {MULTI_LABEL: measuring.measure_multi_label, SINGLE_LABEL: measuring.measure_single_label}


def parse_selection(text):
    """Benchmark names from a command line, with optional splits.

    Args:
        text (`str`): `"all"`, or comma-separated names, each with an optional `:split`.

    Returns:
        `tuple(list[tuple], bool)`: `(name, split or None)` pairs, and whether they were named by the user.

    Example:

    ```python
    >>> from emodistill.benchmarks.suite import parse_selection

    >>> parse_selection("emobank:dev,isear")
    ([('emobank', 'dev'), ('isear', None)], True)

    ```
    """
    if text.strip() == "all":
        return [(name, None) for name in BENCHMARKS], False
    pairs = []
    for part in (part.strip() for part in text.split(",")):
        if part:
            name, _, split = part.partition(":")
            if name not in BENCHMARKS:
                raise ValueError(f"--benchmarks: no benchmark {name!r}; choose from all, {', '.join(BENCHMARKS)}.")
            pairs.append((name, split or None))
    if not pairs:
        raise ValueError("--benchmarks: name at least one benchmark, or all.")
    return pairs, True


def read_selection(pairs, named, data_dir, limit=None, from_hub=False):
    """Evaluation and calibration data of every selected benchmark.

    Args:
        pairs, named: Of `parse_selection`.
        data_dir (`str`): The data directory.
        limit (`int`, *optional*): Rows a split.
        from_hub (`bool`): Download what is absent and the Hub serves; only on the user's request.

    Returns:
        `tuple(list, list[str])`: `(data, calibration data or None)` pairs, and one line for each skipped set.

    Raises:
        MissingBenchmark: a set the user named is absent.
    """
    if not Path(data_dir).is_dir():
        raise ValueError(f"--data-dir: no directory {data_dir}; give the one with a folder for each set.")
    found, skipped = [], []
    for name, split in pairs:
        spec, _ = BENCHMARKS[name]
        try:
            data = load_benchmark(name, data_dir, split, limit)
            calibration = None
            if wants_calibration(spec, data.split) and spec.calibration_split in present_splits(name, data_dir):
                calibration = load_benchmark(name, data_dir, spec.calibration_split, limit)
        except MissingBenchmark as missing:
            if from_hub and spec.hub_id:
                data = load_from_hub(name, split, limit)
                wanted = wants_calibration(spec, data.split)
                calibration = load_from_hub(name, spec.calibration_split, limit) if wanted else None
            elif named:
                raise
            else:
                skipped.append(str(missing))
                continue
        found.append((data, calibration))
    return found, skipped


def wants_calibration(spec, split):
    """Thresholds are calibrated for label sets, on a split other than the measured one."""
    return spec.task != DIMENSIONS and spec.calibration_split not in (None, split)


def source_texts(data_dir, limit=None):
    """Unlabelled source-domain texts for systems without a background: GoEmotions' training texts, if present.

    Returns:
        `list[str]` or `None`.
    """
    try:
        texts = load_benchmark("goemotions", data_dir, split="train").texts
    except MissingBenchmark:
        return None
    wanted = min(BACKGROUND_TEXTS, limit or BACKGROUND_TEXTS)
    return texts[:: max(1, len(texts) // wanted)][:wanted]


def measure_system(system, data, calibration, weights):
    """One system on one benchmark.

    Returns:
        `tuple(dict, dict)`: result and replicates, as `measuring` gives them.
    """
    spec = data.spec
    if spec.task == DIMENSIONS:
        readouts = system.dimension_scores(data.texts, spec.labels, spec.scale)
        result, replicates = measuring.measure_dimensions(data.targets, spec.labels, readouts, weights)
        result["points"] = scatter_points(data.targets, readouts)
        return result, replicates
    scores = system.label_scores(spec.task, data.texts, spec.labels, calibration.texts if calibration else None)
    targets = calibration.targets if calibration else None
    return LABEL_TASKS[spec.task](data.targets, spec.labels, scores, targets, weights)


def scatter_points(targets, readouts, most=400):
    """Evenly drawn points of the first readout, for the picture."""
    readout, predictions = next(iter(readouts.items()))
    step = max(1, len(targets) // most)
    truth, predicted = (table[::step][:most].round(3).tolist() for table in (targets, predictions))
    return {"readout": readout, "truth": truth, "predicted": predicted}


def primary_value(task, result, protocol):
    """The primary measure of a system's result under a protocol, or `None`."""
    if task == DIMENSIONS:
        return next(iter(result["readouts"].values()))["mean_pearson"] if protocol == protocols.STRICT else None
    entry = result["protocols"].get(protocol)
    return None if entry is None else entry[PRIMARY[task]]


def compare_systems(task, results, replicates, first):
    """Paired bootstrap of the first system against every other one, protocol by protocol, `list[dict]`."""
    rows = []
    for other in results:
        for protocol in replicates[first] if other != first else ():
            if protocol in replicates[other]:
                values = [primary_value(task, results[name], protocol) for name in (first, other)]
                draws = [replicates[name][protocol] for name in (first, other)]
                row = {"first": first, "second": other, "protocol": protocol, "measure": PRIMARY[task]}
                rows.append(row | resampling.paired_difference(*values, *draws))
    return rows


def run_benchmark(systems, data, calibration, replicates=1000, seed=0, say=None):
    """Every system on one benchmark.

    Args:
        systems (`list`): Systems; the first one is compared with the others.
        data, calibration (`BenchmarkData`): The measured and the calibration split (or `None`).
        replicates (`int`): Bootstrap replicates.
        seed (`int`): Seed of the bootstrap and the random reference.
        say (`Callable`, *optional*): Called with a line for each system.

    Returns:
        `dict`: see the keys; ready for JSON after `clean`.
    """
    spec = data.spec
    weights = resampling.bootstrap_weights(len(data), replicates, seed)
    results, draws = {}, {}
    for system in systems:
        started = time.perf_counter()
        results[system.name], draws[system.name] = measure_system(system, data, calibration, weights)
        results[system.name]["seconds"] = round(time.perf_counter() - started, 2)
        if say:
            say(f"{spec.name}: {system.name} ({results[system.name]['seconds']:.0f} s)")
    references = {
        name: measuring.measure_reference(spec.task, data.targets, spec.labels, predictions, weights)
        for name, predictions in measuring.reference_scores(spec.task, data.targets, spec.labels, seed).items()
    }
    by_protocol = {
        protocol: {
            name: value
            for name, result in results.items()
            if (value := primary_value(spec.task, result, protocol)) is not None
        }
        for protocol in protocols.PROTOCOLS
    }
    return {
        "task": spec.task,
        "labels": list(spec.labels),
        "split": data.split,
        "rows": len(data),
        "rows_left_out": data.left_out,
        "limited": data.limited,
        "calibration_split": calibration.split if calibration else None,
        "calibration_rows": len(calibration) if calibration else 0,
        "licence": spec.licence,
        "source": spec.source,
        "data_hash": data.content_hash(),
        "systems": results,
        "references": references,
        "published": [vars(figure) for figure in published_for(spec.name)],
        "comparisons": compare_systems(spec.task, results, draws, systems[0].name),
        "rank_correlations": protocols.rank_correlations(by_protocol),
    }


def run_suite(systems, found, skipped, data_dir, limit=None, replicates=1000, seed=0, quiet=False):
    """Every system on every selected benchmark.

    Args:
        systems (`list`): The checkpoint first.
        found, skipped: Of `read_selection`.
        data_dir (`str`): Where source texts for systems without a background are looked for.
        limit (`int`, *optional*): Rows a split, for a quick look; marked in the result.
        replicates (`int`): Bootstrap replicates.
        seed (`int`): Seed.
        quiet (`bool`): No lines on standard error.

    Returns:
        `dict`: `benchmarks` (name to result), `skipped`, `protocols`, `limit`, `replicates`, `seed`, `seconds`.
    """

    def say(line):
        if not quiet:
            print(line, file=sys.stderr, flush=True)

    started = time.perf_counter()
    for line in skipped:
        say(f"skipped {line}")
    give_backgrounds(systems, data_dir, limit, say)
    results = {
        data.spec.name: run_benchmark(systems, data, calibration, replicates, seed, say) for data, calibration in found
    }
    return {
        "systems": [system.name for system in systems],
        "protocols": protocols.PROTOCOLS,
        "limit": limit,
        "replicates": replicates,
        "seed": seed,
        "benchmarks": results,
        "skipped": skipped,
        "seconds": round(time.perf_counter() - started, 1),
    }


def give_backgrounds(systems, data_dir, limit, say):
    """Systems that embed but bring no background get one from source texts; without those they have no `strict`."""
    needing = [system for system in systems if system.kind == "embeddings" and system.background is None]
    if not needing:
        return
    texts = source_texts(data_dir, limit)
    if texts is None:
        names = ", ".join(system.name for system in needing)
        say(f"no strict rows for {names}: their background needs goemotions/train.tsv, which is absent")
        return
    for system in needing:
        system.use_background(texts)


def clean(value):
    """The same structure with `None` for undefined numbers and plain Python types, for JSON."""
    if isinstance(value, dict):
        return {key: clean(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [clean(item) for item in value]
    if hasattr(value, "item") and not isinstance(value, (str, bytes)):
        value = value.item() if getattr(value, "size", 1) == 1 else clean(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
