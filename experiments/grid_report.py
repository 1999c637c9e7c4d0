"""What a grid found, as a table and pictures."""

import statistics

from ..benchmarks import protocols
from ..benchmarks.report import html_page, image_tag
from ..benchmarks.result_tables import ResultTable, number, with_interval
from ..files import write_text
from .grid import safe_name

__all__ = [
    "grid_cells", "grid_pictures", "grid_table", "grid_values", "mean_and_deviation", "seed_values", "write_grid",
]  # fmt: skip


def grid_table(grid, results):
    """A row for each cell, a few columns for each benchmark."""
    names = list(dict.fromkeys(name for cell in results for name in cell["results"]))
    chosen = any("chosen_labels" in entry for cell in results for entry in cell["results"].values())
    header = ["variant"]
    for name in names:
        entry = next(cell["results"][name] for cell in results if name in cell["results"])
        if "dimensions" in entry:
            header += [f"{name} {dimension} r" for dimension in entry["dimensions"]]
        else:
            header += [f"{name} macro-F1 strict [95 %]", f"{name} macro-F1 paper", f"{name} ROC-AUC"]
            header += [f"{name} F1 of chosen labels", f"{name} ROC-AUC of chosen labels"] if chosen else []
    rows = []
    for cell in results:
        row = [cell["name"]]
        for name in names:
            row += grid_cells(cell["results"].get(name, {}), chosen)
        rows.append(row)
    for group in dict.fromkeys(cell["group"] for cell in results):
        runs = [cell for cell in results if cell["group"] == group]
        if len(runs) > 1:
            columns = zip(*(seed_values(run, names, chosen) for run in runs), strict=True)
            rows.append([f"{group}: mean ± sd of {len(runs)} seeds", *map(mean_and_deviation, columns)])
    note = grid.get("note", "")
    if any(cell["limit"] for cell in results):
        note = f"LIMITED to {results[0]['limit']} rows a split: a quick look, not a result. {note}"
    return ResultTable(grid.get("title", grid["path"].stem), header, rows, note.strip())


def grid_cells(entry, chosen):
    """Cells of one variant on one benchmark."""
    cells = [number(value) for value in grid_values(entry, chosen)]
    strict = entry.get(protocols.STRICT)
    if "dimensions" not in entry and strict:
        cells[0] = with_interval(strict["value"], strict)
    return cells


def grid_values(entry, chosen):
    """What those cells show, as numbers or `None`: dimensions, or F1 strict, F1 paper and ROC-AUC."""
    if "dimensions" in entry:
        return list(entry["dimensions"].values())
    values = [(entry.get(protocol) or {}).get("value") for protocol in (protocols.STRICT, protocols.PAPER)]
    values.append(entry.get("macro_roc_auc"))
    if chosen:
        some = entry.get("chosen_labels", {})
        values += [some.get(protocols.STRICT), some.get("macro_roc_auc")]
    return values


def seed_values(cell, names, chosen):
    """All numbers of a cell's row."""
    return [value for name in names for value in grid_values(cell["results"].get(name, {}), chosen)]


def mean_and_deviation(values):
    """The mean over seeds with its sample standard deviation, or a dash where a seed has no value."""
    if None in values:
        return number(None)
    return f"{number(statistics.mean(values))} ± {number(statistics.stdev(values))}"


def grid_pictures(grid, results):
    """One line plot a benchmark where the grid names an x axis."""
    from ..benchmarks.plots import line_against

    plot, pictures = grid.get("plot") or {}, []
    if not plot.get("x"):
        return []
    for name in dict.fromkeys(name for cell in results for name in cell["results"]):
        series = {}
        for cell in results:
            entry = cell["results"].get(name, {}).get(protocols.STRICT)
            if entry and cell["x"] is not None and entry["value"] is not None:
                point = {"x": cell["x"], "y": entry["value"], "low": entry["low"], "high": entry["high"]}
                series.setdefault(cell.get("series") or protocols.STRICT, []).append(point)
        if series:
            ylabel = "mean Pearson r" if "dimensions" in results[0]["results"][name] else "macro-F1, strict"
            title = f"{grid.get('title', grid['path'].stem)}: {name}"
            file_name = f"{grid['path'].stem}-{safe_name(name)}"
            xlabel = plot.get("label", plot["x"])
            pictures.append(line_against(file_name, title, xlabel, ylabel, series, plot.get("log", False)))
    return pictures


def write_grid(grid, results, output):
    """Write `table.md`, `table.html` and the pictures of what is finished."""
    table, pictures = grid_table(grid, results), grid_pictures(grid, results)
    images = "".join(f"\n![{picture.alt}]({picture.save(output).name})\n" for picture in pictures)
    write_text(output / "table.md", f"# {table.title}\n\n{table.markdown()}{images}")
    sections = [table.html(), *map(image_tag, pictures)]
    write_text(output / "table.html", html_page(table.title, sections))
    return table
