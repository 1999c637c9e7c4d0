"""Keeping to the server's limits: requests and tokens a minute, and waits that it asks for."""

import asyncio
import email.utils
import math
import random
import re
import time

__all__ = ["Gate", "Rate", "Stopped", "backoff", "retry_after"]


class Stopped(Exception):
    """The run is to end; the request was not sent and its texts stay to be asked."""


class Gate:
    """Lets work through until it is closed, and sleeps in a way that closing it ends.

    One gate serves a whole run: a wait that the server asks of one request holds the others back as well, for its
    limits are the account's and not the request's.
    """

    def __init__(self):
        self._closed = asyncio.Event()
        self._until = 0.0

    @property
    def closed(self):
        return self._closed.is_set()

    def close(self):
        self._closed.set()

    async def sleep(self, seconds):
        """Raises `Stopped` as soon as the gate is closed."""
        if self.closed:
            raise Stopped
        if seconds <= 0:
            return
        try:
            await asyncio.wait_for(self._closed.wait(), seconds)
        except TimeoutError:
            return
        raise Stopped

    def hold(self, seconds):
        """No request starts for so many seconds."""
        self._until = max(self._until, time.monotonic() + seconds)

    async def pass_through(self):
        """Returns when nothing is held back; raises `Stopped` where the gate is closed."""
        if self.closed:
            raise Stopped
        while (wait := self._until - time.monotonic()) > 0:
            # Spread over a tenth more, so that all do not come back in the same instant.
            await self.sleep(wait * (1 + 0.1 * random.random()))


class Rate:
    """A limit for each minute, spent evenly: at most one second's worth can go at once.

    Servers enforce a limit of 600 a minute as ten a second, so a burst at the start of each minute would be
    refused.

    Args:
        per_minute (`float`, *optional*): The limit; `None` for none.
    """

    def __init__(self, per_minute):
        self._per_second = per_minute / 60 if per_minute else None
        self._next = 0.0

    async def take(self, amount, gate):
        """Waits until `amount` may be spent."""
        if self._per_second is None:
            return
        start = max(self._next, time.monotonic() - 1.0)
        self._next = start + amount / self._per_second
        await gate.sleep(start - time.monotonic())

    def correct(self, difference):
        """Book what a request really took, where that differs from what was taken for it."""
        if self._per_second is not None:
            self._next += difference / self._per_second


def backoff(attempt, base, longest=60.0):
    """Seconds before retry number `attempt` (from 0): exponential, with a jitter of half."""
    return min(longest, base * 2.0 ** min(attempt, 64)) * random.uniform(0.5, 1.0)


def retry_after(headers, now=None):
    """The wait that a response asks for, in seconds, or `None`.

    Reads `retry-after-ms`, and `Retry-After` as seconds (`1s`, too) or as an HTTP date (RFC 9110, section 10.2.3).

    Args:
        headers (`Mapping[str, str]`): Case-insensitive, or in lower case.
        now (`float`, *optional*): Seconds since the epoch.

    Example:

    ```python
    >>> retry_after({"retry-after": "2.5"})
    2.5
    ```
    """
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            if not re.fullmatch(r"-?[0-9.]+(?:e[0-9]{1,3})?s?", value.strip(), re.IGNORECASE):
                raise ValueError
            seconds = float(value.strip().removesuffix("s")) / unit
        except ValueError:
            try:
                date = email.utils.parsedate_to_datetime(value)
                seconds = date.timestamp() - (time.time() if now is None else now)
            except (ValueError, TypeError, OverflowError, OSError):  # no date, or one that no clock reaches
                continue
        if math.isfinite(seconds):
            return min(max(0.0, seconds), 1e9)
    return None
