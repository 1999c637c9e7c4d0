"""Speed and memory of the package and of its peers, measured in one run.

    python -m emodistill.benchmarks.speed                                 # the default checkpoint, all parts
    python -m emodistill.benchmarks.speed --parts labels,latency --threads 1
    python -m emodistill.benchmarks.speed --show speed/speed.json         # tables and pictures of an earlier run

Arms of a comparison take turns within the run, on the same texts. Nothing is asserted: the machine decides.
Writes OUTPUT/speed.json, speed.md and pictures.
"""

import argparse
import json
import os
import platform
import shlex
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from ...files import write_json, write_text
from .peers import PEERS, missing, peers
from .speed_tables import speed_page
from .systems import BACKENDS, Workbench
from .throughput import SpeedSettings

__all__ = ["PARTS", "main", "measure"]

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def _part(module, function):
    def run(*arguments):
        import importlib

        return getattr(importlib.import_module(f".{module}", __package__), function)(*arguments)

    return run


# name: what measures it
PARTS = {
    "backends": _part("throughput", "by_backend"),
    "labels": _part("throughput", "by_labels"),
    "lengths": _part("throughput", "by_length"),
    "batches": _part("throughput", "by_batch"),
    "threads": _part("throughput", "by_threads"),
    "latency": _part("latency", "by_text"),
    "score": _part("files", "against_the_tower"),
    "cold": _part("processes", "first_answers"),
    "import": _part("processes", "import_times"),
    "training": _part("model_parts", "training_step"),
    "sizes": _part("model_parts", "sizes"),
}


def measure(checkpoint, folder, parts=tuple(PARTS), settings=None, threads=None, peer_names=tuple(PEERS), keep=None):
    """
    Run parts of the suite.

    Args:
        checkpoint (`str`): Folder of a checkpoint.
        folder (`str`): Where exports and random peers are written, or lie already.
        parts (`Iterable[str]`, *optional*): Of [`PARTS`].
        settings ([`SpeedSettings`], *optional*): Numbers of texts, rounds and so on.
        threads (`int`, *optional*): Of every backend; one for each core by default.
        peer_names (`Iterable[str]`, *optional*): Of [`PEERS`].
        keep (`Callable[[dict], None]`, *optional*): Given what is measured so far, after each part.

    Returns:
        `dict`: `environment` and `parts`, a list of rows for each.
    """
    import torch

    settings, threads = settings or SpeedSettings(), threads or os.cpu_count() or 1
    bench = Workbench(checkpoint, folder, threads)
    results = {"environment": _environment(checkpoint, threads, settings.clock), "parts": {}}
    with bench.with_threads(threads), torch.inference_mode(False):
        made = peers(checkpoint, folder, peer_names)
        for name in parts:
            start = time.monotonic()
            results["parts"][name] = PARTS[name](bench, made, settings)
            print(f"  {name}: {time.monotonic() - start:.0f} s", file=sys.stderr, flush=True)
            if keep:
                keep(results)
    return results


def _environment(checkpoint, threads, clock):
    import torch
    import transformers

    environment = {
        "model": Path(checkpoint).name,
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "clock": "processor time" if clock is time.process_time else "wall",
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    try:
        import onnxruntime

        environment["onnxruntime"] = onnxruntime.__version__
    except ImportError:
        pass
    return environment


def _processor():
    """Its name, and the instructions that 8 and 16 bits are fast with."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    found = dict(line.split(":", 1) for line in lines if ":" in line)
    values = {key.strip(): value.strip() for key, value in found.items()}
    flags = [name for name in ("avx2", "avx512_vnni", "amx_int8") if name in values.get("flags", "").split()]
    return " ".join([values.get("model name", platform.machine()), *(["with", *flags] if flags else [])])


def _parser():
    parser = argparse.ArgumentParser(
        prog="python -m emodistill.benchmarks.speed", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    parser.add_argument("--model", help="checkpoint; the default one by default")
    for name, known in (("parts", PARTS), ("peers", PEERS), ("backends", BACKENDS)):
        told = f"of {', '.join(known)}; all by default"
        parser.add_argument(f"--{name}", type=_names(known), default=list(known), help=told)
    parser.add_argument("--threads", type=_positive, help="threads of every backend; one for each core by default")
    parser.add_argument("--texts", type=_positive, default=SpeedSettings.texts, help="made-up texts each arm scores")
    parser.add_argument("--repeats", type=_positive, default=SpeedSettings.repeats, help="rounds of each comparison")
    parser.add_argument("--batch-size", type=_positive, default=SpeedSettings.batch_size, help="texts in a batch")
    parser.add_argument("--labels", type=_positive, default=SpeedSettings.labels, help="labels, where not varied")
    clock = "time that passes, or processor time of this process: steadier on a busy machine, for one thread"
    parser.add_argument("--clock", choices=sorted(CLOCKS), default="wall", help=clock)
    parser.add_argument("--exports", help="folder for exports and random peers, kept for the next run")
    parser.add_argument("--output", default="speed", help="folder for tables and pictures")
    shown = "speed.json of earlier runs, whose parts are printed and drawn in place of measuring"
    parser.add_argument("--show", nargs="+", help=shown)
    return parser


def _names(known):
    def parse(value):
        names = [] if value == "none" else [name.strip() for name in value.split(",") if name.strip()]
        if unknown := [name for name in names if name not in known]:
            raise argparse.ArgumentTypeError(f"{unknown[0]!r} is none of {', '.join(known)}")
        return names

    return parse


def _positive(value):
    if not value.isdecimal() or int(value) < 1:
        raise argparse.ArgumentTypeError(f"must be a positive whole number, not {value!r}")
    return int(value)


def main(argv=None):
    """Measure as the command line says, print the tables, write them and the pictures.

    Args:
        argv (`list[str]`, *optional*): The arguments.

    Returns:
        `int`: 0, or 2 where something is missing.
    """
    args = _parser().parse_args(argv)
    try:
        results = _earlier(args.show) if args.show else _measured(args, sys.argv[1:] if argv is None else argv)
    except (OSError, ValueError, ImportError) as error:
        print(f"speed: {error}", file=sys.stderr)
        return 2
    page = speed_page(results)
    Path(args.output).mkdir(parents=True, exist_ok=True)
    print(page, end="")
    write_text(Path(args.output, "speed.md"), page)
    try:
        from .plots import pictures

        for picture in pictures(results):
            picture.save(args.output)
    except ImportError as error:
        print(f"speed: no pictures, {error}: pip install 'emodistill[benchmarks]'", file=sys.stderr)
    return 0


def _earlier(paths):
    """One or several earlier runs as one; of a part that several have, the last is taken."""
    merged = {"command": "", "environment": {}, "parts": {}}
    for path in paths:
        with open(path, encoding="utf-8") as file:
            results = json.load(file)
        if not isinstance(results, dict) or not set(merged) <= set(results):
            raise ValueError(f"{path} is no speed.json of this suite")
        merged["command"] = "`, `".join(filter(None, [merged["command"], results["command"]]))
        merged["environment"] |= results["environment"]
        merged["parts"] |= results["parts"]
    return merged


def _measured(args, argv):
    from transformers.utils import logging

    from ... import checkpoint_path

    logging.disable_progress_bar()
    if absent := missing(args.peers):
        print(f"speed: left out, since not installed: pip install {' '.join(absent)}", file=sys.stderr)
    settings = replace(
        SpeedSettings(), texts=args.texts, repeats=args.repeats, batch_size=args.batch_size, labels=args.labels,
        backends=tuple(args.backends), clock=CLOCKS[args.clock],
    )  # fmt: skip
    if args.threads:
        settings.thread_numbers = tuple(range(1, args.threads + 1))
    command = {"command": f"python -m emodistill.benchmarks.speed {shlex.join(argv)}".strip()}
    output = Path(args.output)
    output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        results = measure(
            str(checkpoint_path(args.model)), args.exports or scratch, args.parts, settings, args.threads, args.peers,
            keep=lambda results: write_json(output / "speed.json", {**command, **results}),
        )  # fmt: skip
    return {**command, **results}
