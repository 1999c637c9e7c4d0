"""Trainings that are killed while they write: whether each goes on, and ends with the weights of one never stopped.

    python -m emodistill.benchmarks.reliability.resume [--kills 20] [--seed 0]

Trains a tiny model on made-up texts, once in peace, and once killed by SIGKILL again and again, each time in the midst
of a file operation below the run's folder: while a state is written, flushed, given its name, or an old one removed,
while the best weights or the final checkpoint are exported. Then prints a table.
"""

import argparse
import hashlib
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from pathlib import Path

TEXTS = {"joy": "what a happy sunny day", "anger": "he lied and i rage", "sadness": "she cried in the rain"}
OPERATIONS = 40  # a process is killed within so many operations; a state takes about thirty


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
    return ["tiny", *(f"--{name}={value}" for name, value in flags.items()), "--quiet", "--export-dtype=float32"]


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
    folder, seen = arguments[-1].partition("=")[2], 0

    def watch(event, details):
        nonlocal seen
        if event in ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir") and folder in str(details):
            seen += 1
            if seen == operations:
                os.kill(os.getpid(), signal.SIGKILL)

    from emodistill.cli import main

    if operations:
        sys.addaudithook(watch)
    sys.exit(main(["train", *arguments]))


def weights(folder):
    """`str`: SHA-256 of a finished run's weights."""
    return hashlib.sha256((Path(folder) / "final" / "model.safetensors").read_bytes()).hexdigest()


def measure(kills, seed=0, say=print):
    """
    Train twice, once killed.

    Args:
        kills (`int`): How often.
        seed (`int`, *optional*, defaults to 0): Of the operations at which.
        say (`Callable`, *optional*): Told of each kill.

    Returns:
        `dict`: `kills`, `went_on` (how many times a state was found, another start having none yet), `damaged` (states
        that were found damaged), `failed` (starts that ended otherwise than by their kill), `equal` (whether the
        weights are the same, bit by bit) and `seconds`.
    """
    context, chooser, started = multiprocessing.get_context("forkserver"), random.Random(seed), time.monotonic()
    context.set_forkserver_preload(["emodistill.train_accelerate", "emodistill.cli", "accelerate", "__main__"])
    counts = {"kills": 0, "failed": 0}
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        arguments = build_inputs(folder)

        def start(name, operations):
            run = [*arguments, f"--output-dir={folder / name}"]
            process = context.Process(target=train, args=(run, str(folder / f"{name}.log"), operations))
            process.start()
            process.join()
            return process.exitcode

        if start("whole", 0):
            raise RuntimeError((folder / "whole.log").read_text())
        while counts["kills"] < kills:
            code = start("killed", chooser.randint(1, OPERATIONS))
            if code == -signal.SIGKILL:
                counts["kills"] += 1
                states = sorted(path.name for path in (folder / "killed" / "states").glob("step-*"))
                say(f"kill {counts['kills']} of {kills}: newest state {states[-1] if states else 'none'}")
            else:
                counts["failed"] += code != 0
                if code == 0:  # it finished before its kill: the rest of the kills hit another run
                    break
        counts["failed"] += start("killed", 0) != 0
        log = (folder / "killed.log").read_text()
        counts |= {"went_on": log.count("going on from step"), "damaged": log.count("is damaged")}
        counts["equal"] = not counts["failed"] and weights(folder / "killed") == weights(folder / "whole")
    return counts | {"seconds": round(time.monotonic() - started)}


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(argv)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    found = measure(options.kills, options.seed, say=lambda line: print(line, file=sys.stderr))
    print("| kills | starts that went on | damaged states | starts that failed | same weights |")
    print("|---|---|---|---|---|")
    same = "yes" if found["equal"] else "NO"
    print(f"| {found['kills']} | {found['went_on']} | {found['damaged']} | {found['failed']} | {same} |")
    return 0 if found["equal"] else 1


if __name__ == "__main__":
    sys.exit(main())
