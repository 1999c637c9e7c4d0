"""Texts a second against the number of labels, their length, batches and threads: rows of a table for each."""

import os
import statistics
import time
from dataclasses import dataclass, field

from .systems import BACKENDS
from .texts import many_labels, texts_of_forums, texts_of_length
from .timing import in_turn, median_ratio

__all__ = ["SpeedSettings", "by_backend", "by_batch", "by_labels", "by_length", "by_threads"]


SLOW_TEXTS = 32  # that a slow system scores, in one round


@dataclass
class SpeedSettings:
    """
    What all parts share.

    Args:
        texts (`int`): Texts that each arm scores.
        repeats (`int`): Rounds of each comparison.
        batch_size (`int`): Texts in a batch.
        labels (`int`): Labels, where their number is not what is varied.
        label_numbers, lengths, batch_sizes, thread_numbers (`tuple[int, ...]`): What is varied.
        backends (`tuple[str, ...]`): Of [`BACKENDS`].
        clock (`Callable[[], float]`): See [`in_turn`].
    """

    texts: int = 256
    repeats: int = 5
    batch_size: int = 32
    labels: int = 28
    label_numbers: tuple = (2, 28, 1000)
    lengths: tuple = (4, 16, 64, 100)
    batch_sizes: tuple = (1, 8, 16, 32, 64)
    thread_numbers: tuple = field(default_factory=lambda: tuple(range(1, (os.cpu_count() or 1) + 1)))
    backends: tuple = BACKENDS
    clock: object = time.perf_counter

    def names(self):
        """The labels that every text is scored against."""
        return many_labels(self.labels)


def _rows(seconds, texts, **columns):
    """Rows of one comparison: rates, and how many times as fast as the first arm each is."""
    first = next(iter(seconds.values()))
    return [
        {
            **columns,
            "system": name,
            "texts_per_second": texts / statistics.median(values),
            "times_the_first": median_ratio(first, values),
        }
        for name, values in seconds.items()
    ]


def by_backend(bench, peers, settings):
    """All backends and peers on the same texts, beside the bare text tower of each backend."""
    texts, names, size = texts_of_forums(settings.texts, seed=1), settings.names(), settings.batch_size
    peers = [peer for peer in peers.values() if peer.takes(len(names))]
    arms = {}
    for backend in settings.backends:
        arms[f"text tower, {backend}"] = bench.tower(backend, texts, size)
        arms[f"emodistill, {backend}"] = bench.system(backend).arm(texts, names, size)
    first = dict(list(arms.items())[:1])
    arms |= {peer.name: peer.arm(texts, names, size) for peer in peers if not peer.slow}
    some = _some(texts)
    slow = {peer.name: peer.arm(some, names, size) for peer in peers if peer.slow}
    columns = {"labels": len(names), "batch_size": size, "threads": bench.threads}
    rows = _rows(in_turn(arms, settings.repeats, settings.clock), len(texts), **columns)
    once = in_turn(first | slow, 1, settings.clock, warm_up=0)
    once = {name: [len(texts) / len(some) * once[name][0] if name in slow else once[name][0]] for name in once}
    return rows + _rows(once, len(texts), **columns)[1:]


def _some(texts):
    """Of a text each of many lengths, as many as a slow system gets through."""
    by_length = sorted(texts, key=len)
    return by_length[:: max(1, len(texts) // SLOW_TEXTS)]


def by_labels(bench, peers, settings):
    """The same texts against more and more labels, whose embeddings are known after the first round."""
    texts = texts_of_forums(settings.texts, seed=1)
    some = _some(texts)
    systems = [*(bench.system(backend) for backend in settings.backends), *peers.values()]
    arms = {
        (system.name, number): system.arm(some if system.slow else texts, many_labels(number), settings.batch_size)
        for system in systems
        for number in filter(system.takes, settings.label_numbers)
    }
    slow = {system.name for system in systems if system.slow}
    seconds = in_turn({key: arm for key, arm in arms.items() if key[0] not in slow}, settings.repeats, settings.clock)
    seconds |= in_turn({key: arm for key, arm in arms.items() if key[0] in slow}, 1, settings.clock, warm_up=0)
    rows = []
    for system in systems:
        mine = {number: values for (name, number), values in seconds.items() if name == system.name}
        for row in _rows(mine, len(some if system.slow else texts), threads=bench.threads):
            rows.append({**row, "system": system.name, "labels": row["system"]})
    return rows


def by_length(bench, peers, settings):
    """Texts of a number of words each; longer than the model's window are those of 100 words and more."""
    rows = []
    for words in settings.lengths:
        texts = texts_of_length(max(1, min(settings.texts, 4096 // words)), words)
        arms = {}
        for system in [*(bench.system(backend) for backend in settings.backends), *peers.values()]:
            if system.takes(settings.labels) and not system.slow:
                arms[system.name] = system.arm(texts, settings.names(), settings.batch_size)
        rows += _rows(in_turn(arms, settings.repeats, settings.clock), len(texts), words=words, threads=bench.threads)
    return rows


def by_batch(bench, _, settings):
    """Batch sizes, each beside the bare text tower on the same batches."""
    texts, rows = texts_of_forums(settings.texts, seed=2), []
    for size in settings.batch_sizes:
        for backend in settings.backends:
            arms = {
                f"text tower, {backend}": bench.tower(backend, texts, size),
                f"emodistill, {backend}": bench.system(backend).arm(texts, settings.names(), size),
            }
            rows += _rows(
                in_turn(arms, settings.repeats, settings.clock), len(texts), batch_size=size, threads=bench.threads
            )
    return rows


def by_threads(bench, _, settings):
    """Numbers of threads, on the same texts."""
    texts, rows = texts_of_forums(settings.texts, seed=3), []
    for backend in settings.backends:
        arms = {}
        for threads in settings.thread_numbers:
            with bench.with_threads(threads):
                arms[threads] = _with_threads(bench.system(backend), threads, texts, settings)
        found = _rows(in_turn(arms, settings.repeats, settings.clock), len(texts))
        rows += [{**row, "system": f"emodistill, {backend}", "threads": row["system"]} for row in found]
    return rows


def _with_threads(system, threads, texts, settings):
    """An arm that tells torch how many threads it has; an exported model was told when it was loaded."""
    import torch

    score = system.arm(texts, settings.names(), settings.batch_size)

    def run():
        torch.set_num_threads(threads)
        score()

    return run
