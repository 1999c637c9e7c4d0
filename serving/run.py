"""One run over a table: what is done is kept, what is not is scored, and the last process to finish sums up."""

import contextlib
import os
import sys
import threading
import time
from dataclasses import dataclass

from ..durations import counted, duration
from .columns import kept_types, write_shard
from .engine import score_shards
from .rows import SHARD_ROWS, cut_shards
from .tally import Tally

__all__ = ["ScoringOutcome", "ScoringProgress", "ScoringRun", "Share", "share_of_environment"]

LOG_SECONDS = 30  # between two lines of progress where there is no terminal


@dataclass(frozen=True)
class Share:
    """
    Which of several processes this is; shards go round.

    Args:
        rank (`int`): From 0.
        of (`int`): How many there are.
    """

    rank: int = 0
    of: int = 1

    def has(self, number):
        return number % self.of == self.rank


def share_of_environment(environment=os.environ):
    """
    This process's share as `accelerate launch`, `torchrun` or MPI tell it.

    Returns:
        [`Share`]

    Example:

    ```python
    >>> from emodistill.serving.run import share_of_environment

    >>> share_of_environment({"RANK": "1", "WORLD_SIZE": "4"})
    Share(rank=1, of=4)

    ```
    """
    for rank, size in (
        ("RANK", "WORLD_SIZE"),
        ("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE"),
        ("PMI_RANK", "PMI_SIZE"),
    ):
        with contextlib.suppress(KeyError, ValueError):
            share = Share(int(environment[rank]), int(environment[size]))
            if 0 <= share.rank < share.of:
                return share
    return Share()


@dataclass
class ScoringOutcome:
    """
    How a run ended.

    Args:
        complete (`bool`): Whether every shard is there; otherwise other processes are still at theirs.
        tally ([`Tally`]): Counts over all shards that are there.
        scored (`int`): Rows that this process scored itself.
        seconds (`float`): How long it took.
    """

    complete: bool
    tally: Tally
    scored: int
    seconds: float


class ScoringRun:
    """
    Scores a stream of rows into a [`RunFolder`].

    Args:
        folder ([`RunFolder`]): Where shards go.
        scorer ([`TextScorer`]): Scores them.
        layout ([`Layout`]): Their columns.
        share ([`Share`], *optional*): Which shards are this process's.
        shard_rows (`int`, *optional*): Rows in a shard.
        by_group, by_day (`bool`, *optional*): What is counted apart for a report.
        quiet (`bool`, *optional*): Whether to keep progress to oneself.
    """

    def __init__(
        self, folder, scorer, layout, share=None, shard_rows=SHARD_ROWS, by_group=False, by_day=False, quiet=False
    ):
        self.folder, self.scorer, self.layout = folder, scorer, layout
        self.share, self.shard_rows = share or Share(), shard_rows
        self.by_group, self.by_day, self.quiet = by_group, by_day, quiet
        self._types = None

    def __call__(self, rows, total=None):
        """
        Score what is not done yet.

        Args:
            rows (`Iterable[Row]`): All rows of the input, in order.
            total (`int`, *optional*): About how many, for the time that remains.

        Returns:
            [`ScoringOutcome`]

        Raises:
            `ValueError`: if rows of a shard that is done differ from those that were scored.
        """
        start = time.monotonic()
        progress = ScoringProgress(total, self.quiet or self.share.rank > 0, self.share)
        try:
            score_shards(self.scorer, self._open_shards(rows, progress), self._write, progress.of_shard)
        finally:
            progress.close()
        return ScoringOutcome(self.folder.complete(), self.tally(), progress.scored, time.monotonic() - start)

    def _open_shards(self, rows, progress):
        """Shards of this process that are not done yet; those that are, are compared with what was scored."""
        done, shards, seen = self.folder.done(), 0, 0
        for shard in cut_shards(rows, self.shard_rows):
            if self._types is None and self.folder.kind == "parquet":
                self._types = kept_types(self.layout, shard.rows)
            if shard.number in done:
                if self.folder.record(shard.number)["digest"] != shard.digest:
                    raise ValueError(
                        f"the input has changed: rows {seen + 1:,} to {seen + len(shard.rows):,} are not those that "
                        f"were scored into {self.folder.path}; name another --output"
                    )
                progress.skip(len(shard.rows))
            elif self.share.has(shard.number):
                yield shard
            else:
                progress.skip(len(shard.rows))
            shards, seen = shard.number + 1, seen + len(shard.rows)
        if beyond := self.folder.beyond(shards):
            raise ValueError(
                f"the input has changed: it ends after {counted(seen, 'row')}, but {self.folder.path} holds "
                f"shards of rows beyond, from {beyond[0]} on; name another --output"
            )
        self.folder.set_end(shards, seen)

    def _write(self, shard, scored):
        path = self.folder.shard_path(shard.number)
        write_shard(path, self.folder.kind, self.layout, shard, scored, self._types)
        tally = Tally.of_shard(shard, scored, self.scorer.names, self.by_group, self.by_day)
        self.folder.set_record(shard.number, {"digest": shard.digest, "tally": tally.to_dict()})

    def tally(self):
        """[`Tally`]: counts over all shards that are done."""
        total = Tally()
        for number in sorted(self.folder.done()):
            total.add(Tally.from_dict(self.folder.record(number)["tally"]))
        return total


class ScoringProgress:
    """Rows done, rate and remaining time: a bar on a terminal, a line every half minute elsewhere.

    Args:
        total (`int`, *optional*): About how many rows, for the time that remains.
        quiet (`bool`): Whether to show nothing.
        share ([`Share`], *optional*): Which part of the rows is scored here.
        stream (*optional*): Where to; standard error by default.
        name (`str`, *optional*): What of several things this is, told in front; its bar goes when it is done.
    """

    def __init__(self, total, quiet, share=None, stream=None, name=None):
        self.total, self.quiet, self.share = total, quiet, share or Share()
        self.name, self.scored, self.skipped = name, 0, 0
        self._stream = stream or sys.stderr
        self._lock = threading.Lock()  # shards are read in one thread, scored in another
        self._start = self._last = time.monotonic()
        self._bar = None
        if not quiet and self._stream.isatty():
            from tqdm import tqdm

            look = {"desc": name, "leave": name is None, "dynamic_ncols": True, "smoothing": 0.05}
            self._bar = tqdm(total=total, unit=" texts", file=self._stream, **look)

    def skip(self, rows):
        """Rows that need no scoring here."""
        with self._lock:
            self.skipped += rows
            if self._bar is not None:  # neither the rate nor the remaining time should count them
                self._bar.initial += rows
                self._bar.n += rows

    def of_shard(self, shard):
        """What wraps the iterators of a shard's batches: its rows count as the batches go by."""
        counted, before = 0, 0.0

        def wrap(batches, share=1.0):
            nonlocal counted, before
            for number, batch in enumerate(batches, start=1):
                yield batch
                done = round(len(shard.rows) * (before + share * number / len(batches)))
                self._add(done - counted)
                counted = done
            before += share
            self._add(round(len(shard.rows) * before) - counted)
            counted = round(len(shard.rows) * before)

        return wrap

    def _add(self, rows):
        with self._lock:
            self.scored += rows
        if self._bar is not None:
            self._bar.update(rows)
        elif not self.quiet and time.monotonic() - self._last > LOG_SECONDS:
            self._last = time.monotonic()
            rate = self.scored / (self._last - self._start) * self.share.of
            left = ""
            if self.total:
                remaining = max(0, self.total - self.scored * self.share.of - self.skipped_before())
                left = f", about {duration(remaining / max(rate, 1e-9))} left"
            start = f"{self.name}: " if self.name else ""
            rows = start + counted(self.scored + self.skipped, "row")
            print(f"{rows}, {rate:,.0f} a second{left}", file=self._stream, flush=True)

    def skipped_before(self):
        """Rows done by an earlier run; with several processes the others' are skipped too, and are not done."""
        return self.skipped if self.share.of == 1 else 0

    def close(self):
        if self._bar is not None:
            self._bar.close()
