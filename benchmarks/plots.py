"""Pictures of a suite's results: matplotlib, readable in grey, each with a text that says what it shows.

Every function gives a `Picture`. Series differ by marker, line style or hatch as well as by colour, and colours run
from dark to light, so that a grey print keeps them apart.
"""

import functools
import io
import textwrap
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..files import writing
from . import protocols
from .readers import DIMENSIONS, MULTI_LABEL, SINGLE_LABEL
from .result_tables import number

__all__ = [
    "DASHES",
    "DPI",
    "MARKERS",
    "SHADES",
    "Picture",
    "caption",
    "confusion",
    "correlation_of",
    "error_bars",
    "line_against",
    "new_figure",
    "per_label_f1",
    "place_labels",
    "plot_emotion_space",
    "reliability",
    "style",
    "suite_pictures",
    "systems_by_protocol",
    "threshold_curves",
    "valence_arousal",
]

SHADES = ("#0b2545", "#7b3f8c", "#c9762b", "#7fb7be", "#c8c89a")
MARKERS = ("o", "s", "^", "D", "v")
DASHES = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
HATCHES = ("", "///", "...", "xxx", "\\\\\\")
DPI = 110


@dataclass
class Picture:
    """A figure with its name and its text for those who cannot see it."""

    name: str
    alt: str
    figure: object

    @functools.cached_property
    def png(self):
        """The picture as bytes: drawn once, for its file and for the page that holds it."""
        content = io.BytesIO()
        self.figure.savefig(content, format="png", dpi=DPI, metadata={"Description": self.alt})
        return content.getvalue()

    def save(self, folder):
        """Write `name.png` into the folder; returns the path."""
        path = Path(folder) / f"{self.name}.png"
        with writing(path, "wb") as file:
            file.write(self.png)
        return path


def new_figure(width=6.4, height=4.2, columns=1):
    """A figure outside pyplot's global state, with its axes."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), layout="constrained")
    axes = figure.subplots(1, columns, squeeze=False)[0]
    for axis in axes:
        axis.spines[["top", "right"]].set_visible(False)
    return figure, (axes[0] if columns == 1 else axes)


def style(position):
    """Colour, marker and dashes of the series at a position."""
    return {
        "color": SHADES[position % len(SHADES)],
        "marker": MARKERS[position % len(MARKERS)],
        "linestyle": DASHES[position % len(DASHES)],
    }


def error_bars(values, intervals):
    """Distances to the ends of intervals, `(2, values)`, 0 where undefined."""
    low = [value - (i["low"] if i["low"] is not None else value) for value, i in zip(values, intervals, strict=True)]
    high = [
        (i["high"] if i["high"] is not None else value) - value for value, i in zip(values, intervals, strict=True)
    ]
    return np.nan_to_num(np.clip([low, high], 0, None))


def reliability(name, result):
    """Predicted probability against observed frequency, for the first system."""
    system, measured = next(iter(result["systems"].items()))
    series = {protocol: entry for protocol, entry in measured["protocols"].items() if "reliability" in entry}
    if not series:
        return None
    figure, axis = new_figure(4.8, 4.6)
    axis.plot([0, 1], [0, 1], color="#999999", linewidth=1, label="perfect")
    for position, (protocol, entry) in enumerate(series.items()):
        table = entry["reliability"]
        shown = [i for i, count in enumerate(table["count"]) if count >= 10]
        confidence, frequency = ([table[key][i] for i in shown] for key in ("confidence", "frequency"))
        label = f"{protocol} (ECE {number(entry['calibration']['ece'])})"
        axis.plot(confidence, frequency, label=label, **style(position))
    axis.set(xlim=(0, 1), ylim=(0, 1), xlabel="predicted probability", ylabel="observed frequency")
    axis.set_title(f"{name}: reliability of {system}", fontsize=10)
    axis.legend(frameon=False, fontsize=8)
    errors = ", ".join(f"{p} {number(entry['calibration']['ece'])}" for p, entry in series.items())
    alt = (
        f"Reliability curve of {system} on {name}: observed frequency against predicted probability in bins of at "
        f"least ten, beside the diagonal. Expected calibration error: {errors}."
    )
    return Picture(f"{name}-reliability", alt, figure)


def per_label_f1(name, result):
    """Bars of per-label F1 with intervals, for the first system; calibrated protocols as marks."""
    system, measured = next(iter(result["systems"].items()))
    protocol, entry = next(iter(measured["protocols"].items()))
    order = np.argsort(entry["per_label_f1"])
    labels = [result["labels"][i] for i in order]
    values = np.array(entry["per_label_f1"])[order]
    intervals = [entry["per_label_f1_interval"][i] for i in order]
    figure, axis = new_figure(6.4, 1.6 + 0.24 * len(labels))
    places = np.arange(len(labels))
    axis.barh(places, values, color=SHADES[3], edgecolor=SHADES[0], linewidth=0.6, label=protocol)
    axis.errorbar(values, places, xerr=error_bars(values, intervals), fmt="none", ecolor=SHADES[0], capsize=2)
    upper = measured["protocols"].get(protocols.PER_LABEL)
    if upper and protocol != protocols.PER_LABEL:
        axis.plot(
            np.array(upper["per_label_f1"])[order], places, "D", color=SHADES[0], ms=4, label=protocols.PER_LABEL
        )
    axis.set_yticks(places, labels, fontsize=8)
    axis.set(xlim=(0, 1), xlabel="F1 (bars: 95 % bootstrap interval)")
    axis.set_title(f"{name}: F1 of each label, {system}", fontsize=10)
    axis.legend(frameon=False, fontsize=8, loc="lower right")
    alt = (
        f"Bars of F1 for each label of {name} by {system}, protocol {protocol}, with 95 % intervals: best "
        f"{labels[-1]} {values[-1]:.2f}, worst {labels[0]} {values[0]:.2f}."
    )
    return Picture(f"{name}-per-label-f1", alt, figure)


def confusion(name, result):
    """Heat map of truth against choice, rows in per cent, for the first system."""
    system, measured = next(iter(result["systems"].items()))
    protocol, entry = next(iter(measured["protocols"].items()))
    table = np.array(entry["confusion"], dtype=float)
    share = 100 * table / np.maximum(table.sum(axis=1, keepdims=True), 1)
    size = 2.4 + 0.42 * len(share)
    figure, axis = new_figure(size + 0.6, size)
    axis.imshow(share, cmap="Greys", vmin=0, vmax=100)
    if len(share) <= 12:
        for row in range(len(share)):
            for column in range(len(share)):
                colour = "white" if share[row, column] > 55 else "black"
                text = f"{share[row, column]:.0f}"
                axis.text(column, row, text, ha="center", va="center", color=colour, fontsize=8)
    places = np.arange(len(share))
    axis.set_xticks(places, result["labels"], rotation=60, ha="right", fontsize=8)
    axis.set_yticks(places, result["labels"], fontsize=8)
    axis.set(xlabel="chosen", ylabel="human label")
    axis.set_title(f"{name}: {system}, {protocol} (% of a row)", fontsize=10)
    off = share - np.diag(np.diag(share))
    row, column = np.unravel_index(off.argmax(), off.shape)
    alt = (
        f"Confusion heat map of {system} on {name}, protocol {protocol}, rows are human labels in per cent. The "
        f"largest confusion: {result['labels'][row]} taken for {result['labels'][column]}, {off.max():.0f} %."
    )
    return Picture(f"{name}-confusion", alt, figure)


def valence_arousal(name, result):
    """Human and predicted valence and arousal side by side, for the first system."""
    system, measured = next(iter(result["systems"].items()))
    points = measured.get("points")
    if not points or result["labels"][:2] != ["valence", "arousal"]:
        return None
    truth, guess = (np.array(points[key], dtype=float) for key in ("truth", "predicted"))
    figure, axes = new_figure(8.6, 4.2, columns=2)
    for axis, values, title in zip(
        axes, (truth, guess), ("human ratings", f"{system}, {points['readout']}"), strict=True
    ):
        shown = axis.scatter(values[:, 0], values[:, 1], c=truth[:, 0], cmap="cividis", s=10, alpha=0.8, linewidths=0)
        axis.set(xlabel="valence", ylabel="arousal")
        axis.set_title(title, fontsize=10)
    figure.colorbar(shown, ax=axes, label="human valence", shrink=0.85)
    entry = measured["readouts"][points["readout"]]["dimensions"]
    figures = ", ".join(
        f"{dimension} r = {number(entry[dimension]['pearson'], 2)}" for dimension in ("valence", "arousal")
    )
    alt = (
        f"Two scatter plots of valence against arousal for {len(truth)} texts of {name}: human ratings and "
        f"{system}'s predictions, coloured by human valence; {figures}."
    )
    return Picture(f"{name}-valence-arousal", alt, figure)


def threshold_curves(name, result):
    """Macro-F1 against the threshold, on raw similarities and in background deviations, for every system."""
    kinds = {"similarity": "cosine similarity or raw score", "deviations": "deviations above the background mean"}
    kinds = {
        kind: title
        for kind, title in kinds.items()
        if any(kind in measured["threshold_curves"] for measured in result["systems"].values())
    }
    figure, axes = new_figure(4.4 * len(kinds), 3.8, columns=len(kinds))
    best = []
    for axis, (kind, title) in zip(np.atleast_1d(axes), kinds.items(), strict=True):
        for position, (system, measured) in enumerate(result["systems"].items()):
            curve = measured["threshold_curves"].get(kind)
            if curve:
                looks = style(position) | {"markevery": 8, "markersize": 4}
                axis.plot(curve["threshold"], curve["macro_f1"], label=system, **looks)
                best.append(f"{system} on {kind} {number(max(curve['macro_f1']), 2)}")
        axis.set(xlabel=title, ylabel="macro-F1", ylim=(0, None))
        axis.legend(frameon=False, fontsize=8)
    figure.suptitle(f"{name}: macro-F1 against the threshold", fontsize=10)
    alt = (
        f"Curves of macro-F1 against a global threshold on {name} for each system. Highest values: {', '.join(best)}."
    )
    return Picture(f"{name}-thresholds", alt, figure)


def systems_by_protocol(name, result):
    """Grouped bars of macro-F1: systems by protocol, with intervals."""
    systems = list(result["systems"])
    present = [p for p in protocols.PROTOCOLS if any(p in result["systems"][s]["protocols"] for s in systems)]
    figure, axis = new_figure(2.2 + 1.3 * len(present), 3.8)
    width, told = 0.8 / len(systems), []
    for position, system in enumerate(systems):
        entries = {p: e for p, e in result["systems"][system]["protocols"].items() if p in present}
        places = [present.index(p) + (position - (len(systems) - 1) / 2) * width for p in entries]
        values = [entry["macro_f1"] for entry in entries.values()]
        spread = error_bars(values, [entry["macro_f1_interval"] for entry in entries.values()])
        looks = {"color": SHADES[position % 5], "hatch": HATCHES[position % 5], "edgecolor": "white"}
        axis.bar(places, values, width * 0.95, yerr=spread, capsize=2, label=system, **looks)
        told.append(f"{system} " + ", ".join(f"{p} {v:.2f}" for p, v in zip(entries, values, strict=True)))
    for position, (reference, entry) in enumerate(result["references"].items()):
        axis.axhline(entry["macro_f1"], color="#555555", linewidth=0.8, linestyle=DASHES[position + 1])
        place = (1.01, entry["macro_f1"])
        axis.annotate(reference, place, xycoords=("axes fraction", "data"), fontsize=7, va="center")
    axis.set_xticks(range(len(present)), present)
    axis.set(ylabel="macro-F1", ylim=(0, None))
    axis.set_title(f"{name}: systems by protocol", fontsize=10)
    axis.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.12, 1))
    alt = f"Bars of macro-F1 on {name} by protocol with 95 % intervals: {'; '.join(told)}."
    return Picture(f"{name}-systems", alt, figure)


def plot_emotion_space(labels, embeddings, valence, title="Emotion space", name="emotion-space"):
    """Labels in the plane of their first two principal components, coloured by valence.

    Args:
        labels (`list[str]`): The labels.
        embeddings: `(labels, d)`.
        valence: `(labels,)`, any scale; low is unpleasant.
        title (`str`): The figure's title.
        name (`str`): The file's name.

    Returns:
        `Picture`.
    """
    centred = np.asarray(embeddings, dtype=float)
    centred = centred - centred.mean(axis=0)
    _, strengths, directions = np.linalg.svd(centred, full_matrices=False)
    plane = centred @ directions[:2].T
    valence = np.asarray(valence, dtype=float)
    # The sign of a component is arbitrary: pleasant labels shall stand on the right.
    correlation = correlation_of(plane[:, 0], valence)
    if correlation < 0:
        plane[:, 0], correlation = -plane[:, 0], -correlation
    share = 100 * (strengths[:2] ** 2).sum() / (strengths**2).sum()
    figure, axis = new_figure(8.4, 6.4)
    shown = axis.scatter(
        plane[:, 0], plane[:, 1], c=valence, cmap="cividis", s=26, edgecolors="#333333", linewidths=0.4
    )
    figure.colorbar(shown, ax=axis, label="valence", shrink=0.8)
    axis.set(xlabel="first principal component", ylabel="second principal component")
    axis.set_title(f"{title} ({share:.0f} % of the variance)", fontsize=10)
    place_labels(axis, labels, plane)
    alt = (
        f"{title}: {len(labels)} emotion labels in the plane of their first two principal components, coloured by "
        f"valence. The first component correlates with valence at {number(correlation, 2)}."
    )
    return Picture(name, alt, figure)


def place_labels(axis, labels, points):
    """Write each label beside its point, where it lies on no other label and no point; the texts."""
    from adjustText import adjust_text

    axis.margins(0.1)
    axis.figure.draw_without_rendering()  # the layout is settled before room is looked for
    axis.figure.set_layout_engine("none")
    texts = [axis.text(x, y, label, fontsize=7) for label, (x, y) in zip(labels, points, strict=True)]
    lines = {"arrowprops": {"arrowstyle": "-", "color": "#888888", "linewidth": 0.5, "shrinkA": 1, "shrinkB": 3}}
    room = {"expand": (1.15, 1.45), "force_static": (0.3, 0.5), "force_text": (0.3, 0.6), "iter_lim": 300}
    adjust_text(texts, *points.T, objects=axis.collections[0], ax=axis, min_arrow_len=8, **room, **lines)
    return texts


def correlation_of(first, second):
    """Pearson's correlation; `nan` where one of the two does not vary."""
    constant = np.ptp(first) == 0 or np.ptp(second) == 0
    return float("nan") if constant else float(np.corrcoef(first, second)[0, 1])


def line_against(name, title, xlabel, ylabel, series, log=False):
    """Lines with intervals, such as F1 against d or against the number of descriptors.

    Args:
        name, title, xlabel, ylabel (`str`): As they say.
        series (`dict[str, list[dict]]`): For each line, points with `x`, `y` and optionally `low` and `high`.
        log (`bool`): Whether x is drawn on a logarithmic scale.

    Returns:
        `Picture`.
    """
    figure, axis = new_figure(5.4, 3.8)
    told = []
    for position, (label, points) in enumerate(series.items()):
        points = sorted(points, key=lambda point: point["x"])
        x, y = ([point[key] for point in points] for key in "xy")
        axis.plot(x, y, label=label, **style(position))
        if all("low" in point for point in points):
            low, high = ([point[key] for point in points] for key in ("low", "high"))
            axis.fill_between(x, low, high, color=SHADES[position % 5], alpha=0.15, linewidth=0)
        told.append(f"{label}: " + ", ".join(f"{a:g} gives {b:.3f}" for a, b in zip(x, y, strict=True)))
    if log:
        from matplotlib.ticker import NullFormatter, ScalarFormatter

        axis.set_xscale("log")
        axis.set_xticks(sorted({point["x"] for points in series.values() for point in points}))
        axis.xaxis.set_major_formatter(ScalarFormatter())
        axis.xaxis.set_minor_formatter(NullFormatter())
    axis.set(xlabel=xlabel, ylabel=ylabel)
    axis.set_title(title, fontsize=10)
    axis.legend(frameon=False, fontsize=8)
    return Picture(name, f"{title}. {'; '.join(told)}.", figure)


def suite_pictures(suite):
    """Every picture that a suite result allows, `list[Picture]`."""
    pictures = []
    for name, result in suite["benchmarks"].items():
        if result["task"] == DIMENSIONS:
            pictures.append(valence_arousal(name, result))
            continue
        pictures.append(systems_by_protocol(name, result))
        pictures.append(per_label_f1(name, result))
        pictures.append(reliability(name, result))
        if result["task"] == SINGLE_LABEL:
            pictures.append(confusion(name, result))
        if result["task"] == MULTI_LABEL:
            pictures.append(threshold_curves(name, result))
    if suite.get("emotion_space"):
        space = suite["emotion_space"]
        title = f"Emotion space of {space['system']}"
        pictures.append(plot_emotion_space(space["labels"], space["embeddings"], space["valence"], title))
    return [picture for picture in pictures if picture is not None]


def caption(picture, width=110):
    """The alternative text, wrapped."""
    return textwrap.fill(picture.alt, width)
