"""Pictures of a run: rates against labels, length, batch and threads; what a call with one text takes."""

from ..plots import SHADES, Picture, new_figure, style

__all__ = ["pictures"]

# part: what is varied, the axis, whether it is drawn in powers
AXES = {
    "labels": ("labels", "labels", True),
    "lengths": ("words", "words a text", True),
    "batches": ("batch_size", "batch size", True),
    "threads": ("threads", "threads", False),
}


def pictures(results):
    """
    A picture for each part of a run that shows better than it reads.

    Args:
        results (`dict`): What the suite wrote.

    Returns:
        `list[Picture]`
    """
    drawn = [_curves(name, results["parts"][name], *AXES[name]) for name in AXES if results["parts"].get(name)]
    if rows := results["parts"].get("latency"):
        drawn.append(_waiting(rows))
    return drawn


def _curves(name, rows, key, axis_label, in_powers):
    figure, axis = new_figure(6.8, 4.4)
    systems = dict.fromkeys(row["system"] for row in rows)
    for place, system in enumerate(systems):
        mine = sorted((row[key], row["texts_per_second"]) for row in rows if row["system"] == system)
        axis.plot(*zip(*mine, strict=True), label=system, **_style(place))
    axis.set(xlabel=axis_label, ylabel="texts a second", yscale="log")
    _in_numbers(axis.yaxis)
    if in_powers:
        axis.set_xscale("log", base=2 if key == "batch_size" else 10)
    ticks = sorted({row[key] for row in rows})
    axis.set_xticks(ticks, [f"{tick:,}" for tick in ticks])
    axis.minorticks_off()
    axis.legend(frameon=False, fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))
    alt = f"Texts a second against {axis_label}, one line a system: " + "; ".join(
        f"{system} {_span(rows, system)}" for system in systems
    )
    return Picture(f"speed-{name}", alt, figure)


def _style(place):
    """One for each of ten systems: after the shades of all pictures, hollow marks in grey."""
    if place < len(SHADES):
        return style(place)
    hollow = {"color": "#777777", "markerfacecolor": "white", "marker": "PXdh*"[place % len(SHADES)]}
    return style(place) | hollow


def _in_numbers(axis):
    """Ticks of a logarithmic axis as numbers, not powers."""
    from matplotlib.ticker import FuncFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))


def _span(rows, system):
    rates = [row["texts_per_second"] for row in rows if row["system"] == system]
    return f"{min(rates):,.0f} to {max(rates):,.0f}"


def _waiting(rows):
    fewest = min(row["threads"] for row in rows)
    rows = [row for row in rows if row["threads"] == fewest]
    figure, axis = new_figure(6.8, 0.4 * len(rows) + 1.2)
    places = range(len(rows))
    usual, seldom = ([row[key] for row in rows] for key in ("p50_ms", "p99_ms"))
    axis.hlines(places, usual, seldom, color="#7fb7be", linewidth=3)
    axis.plot(usual, places, linestyle="", marker="o", color="#0b2545", label="p50")
    axis.plot(seldom, places, linestyle="", marker="|", markersize=12, color="#0b2545", label="p99")
    axis.set_yticks(places, [row["system"] for row in rows], fontsize=8)
    axis.invert_yaxis()
    axis.set(xlabel=f"milliseconds a call with one text, {fewest} thread{'s' * (fewest > 1)}", xscale="log")
    _in_numbers(axis.xaxis)
    axis.legend(frameon=False, fontsize=8)
    alt = f"Median and 99th percentile of a call with one text, {fewest} thread(s): " + "; ".join(
        f"{row['system']} {row['p50_ms']:.1f} and {row['p99_ms']:.1f} ms" for row in rows
    )
    return Picture("speed-latency", alt, figure)
