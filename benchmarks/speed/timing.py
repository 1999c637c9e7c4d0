"""One way of timing for every figure of this room: arms take turns within one run, and ratios are of neighbours."""

import statistics
import time

import numpy as np

__all__ = ["in_turn", "median_ratio", "percentiles"]


def in_turn(arms, repeats, clock=time.perf_counter, warm_up=1):
    """
    Time functions that take turns.

    What else the machine is doing falls on neighbours alike, so their ratio is steadier than that of two totals. Every
    other round goes backwards.

    Args:
        arms (`dict[str, Callable[[], Any]]`): What to time, by name.
        repeats (`int`): Rounds that count.
        clock (`Callable[[], float]`, *optional*): `time.perf_counter` for time that passes; `time.process_time` for
            processor time of this process, steadier on a busy machine, of one thread.
        warm_up (`int`, *optional*, defaults to 1): Rounds before them that do not.

    Returns:
        `dict[str, list[float]]`: seconds of each round, by name.

    Example:

    ```python
    >>> from emodistill.benchmarks.speed.timing import in_turn

    >>> {name: len(seconds) for name, seconds in in_turn({"sum": lambda: sum(range(9))}, repeats=3).items()}
    {'sum': 3}

    ```
    """
    seconds = {name: [] for name in arms}
    for number in range(warm_up + repeats):
        names = list(arms) if number % 2 else list(reversed(arms))
        for name in names:
            start = clock()
            arms[name]()
            if number >= warm_up:
                seconds[name].append(clock() - start)
    return seconds


def median_ratio(seconds, others):
    """The median of the ratios of two arms, round by round."""
    return statistics.median(one / other for one, other in zip(seconds, others, strict=True))


def percentiles(seconds):
    """Median and 99th percentile: what a caller usually waits, and what one in a hundred waits at least."""
    return {"p50": float(np.percentile(seconds, 50)), "p99": float(np.percentile(seconds, 99))}
