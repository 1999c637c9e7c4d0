"""How long one text takes, alone in a call: what a service adds to the forward pass of that text."""

from .texts import texts_of_forums
from .timing import median_ratio, percentiles

__all__ = ["by_text"]

SLOW_PEER = 10  # calls of the stock pipeline, which takes some hundred times as long


def by_text(bench, peers, settings):
    """
    Median and 99th percentile of calls with one text each, and their ratio to the bare forward of the same text.

    Every text goes through all systems before the next one, so that what disturbs one disturbs its neighbours.
    """
    texts, names, rows = texts_of_forums(settings.texts, seed=4), settings.names(), []
    for threads in settings.thread_numbers:
        with bench.with_threads(threads):
            arms, bare = {}, {}
            for backend in settings.backends:
                bare[f"emodistill, {backend}"] = f"text tower, {backend}"
                arms[f"text tower, {backend}"] = [bench.tower(backend, [text], 1) for text in texts]
                arms[f"emodistill, {backend}"] = _calls(bench.system(backend), texts, names)
            for peer in peers.values():
                if peer.takes(len(names)):
                    arms[peer.name] = _calls(peer, texts, names)
            seconds = _each_text(arms, {peer.name for peer in peers.values() if peer.slow}, settings.clock)
        for name, values in seconds.items():
            row = {"system": name, "threads": threads, "calls": len(values), "labels": len(names)}
            row |= {f"{key}_ms": 1e3 * value for key, value in percentiles(values).items()}
            if name in bare:
                row["times_the_bare_forward"] = median_ratio(values, seconds[bare[name]])
            rows.append(row)
    return rows


def _calls(system, texts, names):
    """A call for each text, given as a string where the system takes one, as services do."""
    as_string = "emodistill" in system.name
    return [system.arm(text if as_string else [text], names, 1) for text in texts]


def _each_text(arms, slow, clock):
    """Seconds of each call, by system, the first text's left out."""
    seconds = {name: [] for name in arms}
    for place in range(len(next(iter(arms.values())))):
        names = list(arms) if place % 2 else list(reversed(arms))
        for name in names:
            if name in slow and place > SLOW_PEER:
                continue
            start = clock()
            arms[name][place]()
            if place:
                seconds[name].append(clock() - start)
    return seconds
