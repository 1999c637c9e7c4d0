"""Fresh processes: what an import costs, how long the first answer takes from a cold start, and how much memory."""

import os
import statistics
import subprocess
import sys
import time

from .texts import FEELINGS

__all__ = ["first_answers", "import_times"]

# Prints seconds from the interpreter's first line to the answer, those of a second call, and peak memory in MB.
ANSWER = """
from time import perf_counter
start = perf_counter()
import os, resource, sys
labels, text = sys.argv[3].split(","), "How dare you lie to me again!"
if sys.argv[1] == "torch":
    from transformers import pipeline
    from transformers.utils import logging
    logging.disable_progress_bar()
    import emodistill
    classify = pipeline(emodistill.TASK, model=sys.argv[2], labels=labels)
elif sys.argv[1] == "onnx":
    import emodistill
    classify = emodistill.load(sys.argv[2], labels=labels)
else:
    from transformers import pipeline
    from transformers.utils import logging
    logging.disable_progress_bar()
    classify = pipeline("zero-shot-classification", model=sys.argv[2])
    labels_of, call = labels, classify
    classify = lambda text: call(text, candidate_labels=labels_of)
loaded = perf_counter()
classify(text)
answered = perf_counter()
classify("What a day!")
again = perf_counter()
memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
if os.path.exists("/proc/self/status"):  # where a new process is told of its parent's peak as its own
    with open("/proc/self/status") as status:
        memory = next(int(line.split()[1]) for line in status if line.startswith("VmHWM"))
memory /= 1024
print(loaded - start, answered - start, again - answered, memory)
"""
IMPORT = """
from time import perf_counter
start = perf_counter()
from transformers import PreTrainedModel, Pipeline
middle = perf_counter()
import emodistill
print(middle - start, perf_counter() - middle)
"""


def _numbers(code, *arguments, clock=time.perf_counter):
    if clock is time.process_time:
        code = code.replace("perf_counter", "process_time")
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"a fresh process failed: {done.stderr.strip().splitlines()[-1]}")
    return [float(part) for part in done.stdout.split()]


def import_times(_bench, _peers, settings):
    """What `import emodistill` adds to the classes of transformers that it stands on: median, least, most."""
    runs = [_numbers(IMPORT, clock=settings.clock) for _ in range(settings.repeats + 1)]
    bases, extras = zip(*runs[1:], strict=True)  # the first fills the page cache
    return [
        {
            "transformers_seconds": statistics.median(bases),
            "emodistill_seconds": statistics.median(extras),
            "from_seconds": min(extras),
            "to_seconds": max(extras),
        }
    ]


def first_answers(bench, _, settings):
    """
    From a cold start to the first answer to 28 labels, and peak memory, for each backend; runs of all take turns.

    An export with its labels in a bank (`--labels`) needs no label tower, so it is timed both ways.
    """
    cases = {}
    for backend in settings.backends:
        runtime, precision = backend.split()
        if backend == "torch bf16":
            continue  # loads as fp32 does
        folder = bench.checkpoint if runtime == "torch" else bench.export(precision)
        cases[f"emodistill, {backend}"] = (runtime, folder)
        if runtime == "onnx":
            known = bench.export(precision, FEELINGS)
            cases[f"emodistill, {backend}, labels embedded at export"] = (runtime, known)
    cases["zero-shot-classification (NLI)"] = ("nli", _nli_folder(bench))
    measured = {name: [] for name in cases}
    for number in range(settings.repeats + 1):  # the first round fills the page cache
        for name, (kind, folder) in cases.items():
            numbers = _numbers(ANSWER, kind, folder, ",".join(FEELINGS[: settings.labels]), clock=settings.clock)
            if number:
                measured[name].append(numbers)
    rows = []
    for name, runs in measured.items():
        loaded, answered, again, memory = (statistics.median(column) for column in zip(*runs, strict=True))
        rows.append(
            {
                "system": name,
                "loaded_seconds": loaded,
                "first_answer_seconds": answered,
                "second_answer_ms": 1e3 * again,
                "memory_megabytes": memory,
            }
        )
    return rows


def _nli_folder(bench):
    from .peers import save_nli

    return save_nli(bench.checkpoint, os.path.join(bench.folder, "nli"))
