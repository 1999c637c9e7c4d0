"""Pictures of shares as SVG: drawn here, so that the page needs nothing from elsewhere and text stays text."""

import math
from html import escape

__all__ = ["draw_intervals", "draw_series", "nice_ticks"]

ROW, NAME, SCALE, RIGHT = 24, 150, 330, 64  # pixels: a row's height, the names', the scale's and the numbers' widths
SERIES_WIDTH, SERIES_HEIGHT = 420, 170


def nice_ticks(low, high, about=4):
    """
    Round numbers that cover a range.

    Example:

    ```python
    >>> from emodistill.serving.pictures import nice_ticks

    >>> nice_ticks(0, 0.43)
    [0.0, 0.2, 0.4, 0.6]

    ```
    """
    if not high > low:
        high = low + 1e-3
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough * 0.999)
    first = math.floor(low / step + 1e-9)
    ticks = [round((first + number) * step, 10) for number in range(about * 3)]
    last = next(index for index, tick in enumerate(ticks) if tick >= high - 1e-12)
    return ticks[: last + 1]


def draw_intervals(entries, title, show, low=0.0, high=None):
    """
    One row an entry: a hollow mark for the plain figure, a full one with a bar for the corrected one.

    Args:
        entries (`list[tuple[str, tuple, tuple or None]]`): Name, plain `(value, low, high)`, corrected likewise.
        title (`str`): What the picture shows, for those who cannot see it.
        show (`Callable[[float], str]`): A number as text.
        low, high (`float`, *optional*): The scale; up to the largest interval by default.

    Returns:
        `str`: an `<svg>`.
    """
    ends = [end for _, plain, corrected in entries for interval in (plain, corrected) if interval for end in interval]
    ticks = nice_ticks(low, max(ends) if high is None else high)
    low, high = ticks[0], ticks[-1]

    def place(value):
        return NAME + SCALE * (min(max(value, low), high) - low) / (high - low)

    height = ROW * len(entries) + 34
    parts = [_open(NAME + SCALE + RIGHT, height, title)]
    for tick in ticks:
        x = place(tick)
        parts.append(f'<line class="grid" x1="{x:.1f}" y1="4" x2="{x:.1f}" y2="{height - 24}"/>')
        parts.append(f'<text class="tick" x="{x:.1f}" y="{height - 8}" text-anchor="middle">{show(tick)}</text>')
    for index, (name, plain, corrected) in enumerate(entries):
        y = ROW * index + 16
        parts.append(f'<text x="{NAME - 10}" y="{y + 4}" text-anchor="end">{escape(_short(name))}</text>')
        best = corrected or plain
        if corrected:
            parts.append(_bar("corrected", place, corrected, y))
            parts.append(f'<circle class="plain" cx="{place(plain[0]):.1f}" cy="{y}" r="4"/>')
            parts.append(f'<circle class="corrected" cx="{place(corrected[0]):.1f}" cy="{y}" r="5"/>')
        else:
            parts.append(_bar("plain", place, plain, y))
            parts.append(f'<circle class="plain" cx="{place(plain[0]):.1f}" cy="{y}" r="4"/>')
        parts.append(f'<text class="value" x="{NAME + SCALE + 10}" y="{y + 4}">{show(best[0])}</text>')
    return "".join([*parts, "</svg>"])


def draw_series(points, title, show, low=None):
    """
    A line over time with its interval as a band.

    Args:
        points (`list[tuple[str, tuple]]`): A time's name and `(value, low, high)`, in order; without a value, a gap.
        title (`str`): Heading, and what the picture shows for those who cannot see it.
        show (`Callable[[float], str]`): A number as text.
        low (`float`, *optional*): Where the scale begins; at the lowest interval by default.

    Returns:
        `str`: an `<svg>`.
    """
    known = [interval for _, interval in points if not math.isnan(interval[0])]
    bottom = min((interval[1] for interval in known), default=0.0) if low is None else low
    ticks = nice_ticks(bottom, max((interval[2] for interval in known), default=1.0), about=3)
    left, top, base = 48, 26, SERIES_HEIGHT - 24
    width = SERIES_WIDTH - left - 14

    def x_of(index):
        return left + (width * index / (len(points) - 1) if len(points) > 1 else width / 2)

    def y_of(value):
        return base - (base - top) * (min(max(value, ticks[0]), ticks[-1]) - ticks[0]) / (ticks[-1] - ticks[0])

    parts = [_open(SERIES_WIDTH, SERIES_HEIGHT, title)]
    parts.append(f'<text class="name" x="{left}" y="14">{escape(_short(title, 50))}</text>')
    for tick in ticks:
        y = y_of(tick)
        parts.append(f'<line class="grid" x1="{left}" y1="{y:.1f}" x2="{left + width}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{left - 6}" y="{y + 4:.1f}" text-anchor="end">{show(tick)}</text>')
    for run in _runs(points):
        upper = [f"{x_of(index):.1f},{y_of(interval[2]):.1f}" for index, interval in run]
        lower = [f"{x_of(index):.1f},{y_of(interval[1]):.1f}" for index, interval in reversed(run)]
        middle = [f"{x_of(index):.1f},{y_of(interval[0]):.1f}" for index, interval in run]
        parts.append(f'<polygon class="band" points="{" ".join(upper + lower)}"/>')
        parts.append(f'<polyline class="line" points="{" ".join(middle)}"/>')
        if len(run) == 1:
            x, interval = x_of(run[0][0]), run[0][1]
            ends = f'y1="{y_of(interval[1]):.1f}" x2="{x:.1f}" y2="{y_of(interval[2]):.1f}"'
            parts.append(f'<line class="bar corrected" x1="{x:.1f}" {ends}/>')
        if len(points) <= 40:
            parts.extend(
                f'<circle class="dot" cx="{m.split(",")[0]}" cy="{m.split(",")[1]}" r="2.5"/>' for m in middle
            )
    shown = sorted({0, len(points) // 2, len(points) - 1})
    for index in shown:
        anchor = "middle" if 0 < index < len(points) - 1 or len(points) == 1 else ("end" if index else "start")
        parts.append(
            f'<text class="tick" x="{x_of(index):.1f}" y="{SERIES_HEIGHT - 7}" text-anchor="{anchor}">'
            f"{escape(points[index][0])}</text>"
        )
    return "".join([*parts, "</svg>"])


def _runs(points):
    """Neighbouring points that have a value, as `[(index, interval)]`."""
    run = []
    for index, (_, interval) in enumerate(points):
        if math.isnan(interval[0]):
            if run:
                yield run
            run = []
        else:
            run.append((index, interval))
    if run:
        yield run


def _open(width, height, title):
    return (
        f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img" '
        f'aria-label="{escape(title)}"><title>{escape(title)}</title>'
    )


def _bar(kind, place, interval, y):
    return f'<line class="bar {kind}" x1="{place(interval[1]):.1f}" y1="{y}" x2="{place(interval[2]):.1f}" y2="{y}"/>'


def _short(name, most=22):
    return name if len(name) <= most else name[: most - 1] + "…"
