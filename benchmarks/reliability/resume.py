"""Trainings that are killed while they write: whether each goes on, and ends with the weights of one never stopped.

    python -m emodistill.benchmarks.reliability.resume [--kills 20] [--seed 0]

Trains a tiny model on made-up texts, once in peace, and then killed by SIGKILL again and again, each time in the midst
of a file operation below the run's folder: while a state is written, flushed, given its name, or an old one removed,
while the best weights or the final checkpoint are exported. A run that comes to its end all the same is compared, and
another one begun. Then prints a table.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import random
import re
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

__all__ = ["Runs", "build_inputs", "main", "measure_resume", "train"]

TEXTS = {"joy": "what a happy sunny day", "anger": "he lied and i rage", "sadness": "she cried in the rain"}
OPERATIONS = 150  # a process is killed within so many operations; a step with its state takes about thirty
EVENTS = ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir")
PRELOADED = (  # imported once, not at every start
    "__main__", "accelerate", "datasets", "emodistill.cli", "emodistill.train_accelerate", "emodistill.training.data",
    "emodistill.training.finishing", "transformers.models.bert.modeling_bert",
)  # fmt: skip


def build_inputs(folder):
    """An encoder with random weights and 60 made-up rows.

    Args:
        folder (`Path`): Where to write them.

    Returns:
        `list[str]`: the arguments of a training on them.
    """
    import torch
    from transformers import AutoModel, BertConfig, BertTokenizer

    words = sorted({word for text in TEXTS.values() for word in text.split()} | set(TEXTS))
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words, *"0123456789", *(f"##{n}" for n in range(10))]
    tokenizer = BertTokenizer(vocab={piece: place for place, piece in enumerate(pieces)})
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(pieces), hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48
    )
    AutoModel.from_config(config).save_pretrained(folder / "encoder")
    tokenizer.save_pretrained(folder / "encoder")
    with open(folder / "rows.jsonl", "w", encoding="utf-8") as file:
        for number in range(60):
            label = list(TEXTS)[number % 3]
            print(json.dumps({"text": f"{TEXTS[label]} {number}", "labels": [label]}), file=file)
    flags = {"text-encoder": folder / "encoder", "data": folder / "rows.jsonl", "epochs": 3, "save-steps": 1}
    flags |= {"batch-size": 16}
    return ["tiny", *(f"--{name}={value}" for name, value in flags.items()), "--export-dtype=float32"]


def train(arguments, log, operations):
    """Run in a process of its own: train, and die in the midst of the given file operation below the run's folder.

    Args:
        arguments (`list[str]`): Of `emodistill train`; the last names the run's folder.
        log (`str`): Where its output goes.
        operations (`int`): 0 to live.
    """
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    folder, seen = arguments[-1].partition("=")[2] + os.sep, 0

    def watch(event, details):
        nonlocal seen
        if event in EVENTS and isinstance(details[0], str) and details[0].startswith(folder):
            seen += 1
            if seen == operations:
                os.write(1, f"\nkilled at {event} {details[0].removeprefix(folder)}\n".encode())
                os.kill(os.getpid(), signal.SIGKILL)

    from emodistill.cli import main

    if operations:
        sys.addaudithook(watch)
    sys.exit(main(["train", *arguments]))


class Runs:
    """
    Trainings of one kind, each in a folder of its own.

    Args:
        folder (`Path`): Where they and their inputs lie.
    """

    def __init__(self, folder):
        self.folder = folder
        self.arguments = build_inputs(folder)
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(list(PRELOADED))

    def start(self, name, operations=0):
        """`int`: how the process ended that began or went on with a run; see [`train`]."""
        run = [*self.arguments, f"--output-dir={self.folder / name}"]
        process = self.context.Process(target=train, args=(run, str(self.folder / f"{name}.log"), operations))
        process.start()
        process.join()
        return process.exitcode

    def log(self, name):
        """`str`: what a run said, over all its starts."""
        return (self.folder / f"{name}.log").read_text()

    def weights(self, name):
        """`str`: SHA-256 of a finished run's weights."""
        return hashlib.sha256((self.folder / name / "final" / "model.safetensors").read_bytes()).hexdigest()


def measure_resume(kills, seed=0, say=print):
    """
    Train once in peace, and then killed so many times.

    Args:
        kills (`int`): How often.
        seed (`int`, *optional*, defaults to 0): Of the operations at which.
        say (`Callable`, *optional*): Told of each kill.

    Returns:
        `dict`: `kills`, `places` (how many fell into which part of the run's folder), `runs` (that came to their end),
        `went_on` (starts that found a state to go on from), `damaged` (states that were found damaged), `failed`
        (starts that ended otherwise than by their kill), `equal` (runs whose weights are those of the run in peace,
        bit by bit) and `seconds`.
    """
    chooser, started, places = random.Random(seed), time.monotonic(), Counter()
    found = {"kills": 0, "runs": 0, "went_on": 0, "damaged": 0, "failed": 0, "equal": 0}
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(Path(folder))
        if runs.start("whole"):
            raise RuntimeError(runs.log("whole"))
        whole, number = runs.weights("whole"), 0
        while found["kills"] < kills:
            number += 1
            name, code = f"killed-{number}", None
            while code in (None, -signal.SIGKILL):  # the last start of all is left alone
                again = found["kills"] < kills
                code = runs.start(name, chooser.randint(1, OPERATIONS) if again else 0)
                if code == -signal.SIGKILL:
                    found["kills"] += 1
                    say(f"run {number}, kill {found['kills']} of {kills}: {runs.log(name).splitlines()[-1]}")
            log = runs.log(name)
            found["runs"] += code == 0
            found["failed"] += code != 0
            found["equal"] += code == 0 and runs.weights(name) == whole
            found["went_on"] += log.count("going on from step")
            found["damaged"] += log.count(" is damaged")
            places.update(_part(place) for place in re.findall(r"^killed at \S+ (.*)$", log, re.MULTILINE))
            if code:
                say(log[-2000:])
    return found | {"places": dict(places.most_common()), "seconds": round(time.monotonic() - started)}


def _part(place):
    """What of a run's folder a file belongs to."""
    first = place.split(os.sep)[0].lstrip(".")
    return next((part for part in ("states", "best", "final") if first.startswith(part)), "settings and records")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    found = measure_resume(options.kills, options.seed, say=lambda line: print(line, file=sys.stderr))
    where = ", ".join(f"{count} in {part}" for part, count in found["places"].items())
    print("| kills | runs | starts that went on | damaged states | starts that failed | runs with the same weights |")
    print("|---|---|---|---|---|---|")
    counts = [found[name] for name in ("runs", "went_on", "damaged", "failed", "equal")]
    cells = [f"{found['kills']} ({where})", *counts]
    print(f"| {' | '.join(map(str, cells))} |")
    print(f"\n{found['seconds']} seconds", flush=True)
    return 0 if found["equal"] == found["runs"] and not found["failed"] else 1


if __name__ == "__main__":
    sys.exit(main())
