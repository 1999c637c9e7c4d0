"""What a long run shows: rows, tokens, cost and remaining time, on standard error."""

import sys
import time

from ..durations import duration

__all__ = ["RequestProgress"]


class RequestProgress:
    """A bar on a terminal, a plain line every half minute in a log, nothing when quiet.

    Args:
        total (`int`): Items of this run.
        quiet (`bool`)
        stream: Standard error by default.
    """

    def __init__(self, total, quiet=False, stream=None):
        self._stream = stream or sys.stderr
        self._total, self._done, self._quiet = total, 0, quiet
        self._started = self._last = time.monotonic()
        self._bar = None
        if not quiet and total and self._stream.isatty():
            from tqdm import tqdm

            self._bar = tqdm(total=total, unit="text", file=self._stream, dynamic_ncols=True, smoothing=0.05)

    def update(self, items, tokens, cost, note=""):
        """Add finished items; tokens and cost (US dollars, or `None`) are the run's totals."""
        self._done += items
        facts = f"{tokens:,} tokens" + (f", ${cost:.2f}" if cost is not None else "") + (f", {note}" if note else "")
        if self._bar is not None:
            self._bar.set_postfix_str(facts, refresh=False)
            self._bar.update(items)
        elif not self._quiet and time.monotonic() - self._last > 30:
            self._last = time.monotonic()
            remaining = (self._last - self._started) / max(1, self._done) * (self._total - self._done)
            self.say(f"{self._done}/{self._total} texts, {facts}, about {duration(remaining)} left")

    def say(self, line):
        if self._quiet:
            return
        if self._bar is not None:
            self._bar.write(line, file=self._stream)
        else:
            print(line, file=self._stream, flush=True)

    def close(self):
        if self._bar is not None:
            self._bar.close()
