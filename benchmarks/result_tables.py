"""Tables as data, written as Markdown or HTML; every row names its protocol."""

import html
from dataclasses import dataclass

from . import protocols
from .readers import DIMENSIONS, MULTI_LABEL

__all__ = [
    "ResultTable", "alignment_table", "all_tables", "comparison_table", "dimension_cells", "dimension_table",
    "label_table", "note_of", "number", "protocol_lines", "published_rows", "rank_table", "retrieval_table",
    "title_of", "with_interval",
]  # fmt: skip

MISSING = "–"
REFERENCE = "reference (target label frequencies)"


@dataclass
class ResultTable:
    """A titled table.

    Args:
        title (`str`): What it shows.
        header (`list[str]`): Column names.
        rows (`list[list[str]]`): Cells.
        note (`str`): A sentence below it.
    """

    title: str
    header: list
    rows: list
    note: str = ""

    def markdown(self):
        """The table as GitHub Markdown."""
        lines = [f"**{self.title}**", ""] if self.title else []
        escape = [[cell.replace("|", "\\|") for cell in row] for row in [self.header, *self.rows]]
        lines.append("| " + " | ".join(escape[0]) + " |")
        lines.append("|" + "---|" * len(self.header))
        lines += ["| " + " | ".join(row) + " |" for row in escape[1:]]
        if self.note:
            lines += ["", self.note]
        return "\n".join(lines) + "\n"

    def html(self):
        """The table as HTML with a caption."""
        head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in self.header)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>\n" for row in self.rows
        )
        note = f"<p>{html.escape(self.note)}</p>" if self.note else ""
        caption = f"<caption>{html.escape(self.title)}</caption>"
        return f"<table>{caption}<thead><tr>{head}</tr></thead>\n<tbody>{body}</tbody></table>{note}\n"


def number(value, digits=3):
    """A figure for a cell; a dash where it is undefined."""
    return MISSING if value is None or value != value else f"{value:.{digits}f}"


def with_interval(value, interval):
    """`0.512 [0.498, 0.527]`."""
    if value is None or value != value:
        return MISSING
    if not interval or interval["low"] is None or interval["low"] != interval["low"]:
        return number(value)
    return f"{number(value)} [{number(interval['low'])}, {number(interval['high'])}]"


def label_table(name, result):
    """Multi-label or single-label results: a row for each system and protocol."""
    multi = result["task"] == MULTI_LABEL
    header = ["system", "protocol", "macro-F1 [95 %]"]
    header += ["micro-F1", "Jaccard", "labels a text", "ECE", "ROC-AUC", "LRAP"] if multi else ["accuracy", "ECE"]
    rows = []
    for system, measured in result["systems"].items():
        ranking = measured.get("ranking", {})
        for protocol, entry in measured["protocols"].items():
            error = number(entry.get("calibration", {}).get("ece"))
            row = [system, protocol, with_interval(entry["macro_f1"], entry["macro_f1_interval"])]
            if multi:
                row += [number(entry["micro_f1"]), number(entry["jaccard"]), number(entry["predicted_per_text"], 2)]
                row += [error, number(ranking.get("macro_roc_auc")), number(ranking.get("lrap"))]
            else:
                row += [number(entry["accuracy"]), error]
            rows.append(row)
    for reference, entry in result["references"].items():
        row = [reference, REFERENCE, with_interval(entry["macro_f1"], entry["macro_f1_interval"])]
        if multi:
            row += [number(entry["micro_f1"]), number(entry["jaccard"]), number(entry["predicted_per_text"], 2)]
            row += [MISSING] * 3
        else:
            row += [number(entry["accuracy"]), MISSING]
        rows.append(row)
    rows += published_rows(result, len(header))
    return ResultTable(title_of(name, result), header, rows, note_of(result))


def dimension_table(name, result):
    """Dimensional results: a row for each system and readout."""
    header = ["system", "protocol", "readout"]
    for dimension in result["labels"]:
        header += [f"{dimension} r [95 %]", "Spearman", "CCC", "MAE (line)"]
    rows = []
    for system, measured in result["systems"].items():
        for readout, entry in measured["readouts"].items():
            rows.append([system, protocols.STRICT, readout, *dimension_cells(entry, result["labels"], readout)])
    for reference, entry in result["references"].items():
        rows.append([reference, REFERENCE, "constant", *dimension_cells(entry, result["labels"], "constant")])
    for figure in result["published"]:
        cells = []
        for dimension in result["labels"]:
            hit = figure["measure"] == f"pearson {dimension}"
            cells += [number(figure["value"]) if hit else MISSING, *[MISSING] * 3]
        rows.append([f"{figure['system']} ({figure['source']})", f"published, {figure['protocol']}", "pair", *cells])
    note = "head: the model's trained dimension head; pair and poles: similarity to opposing labels, one or several."
    return ResultTable(title_of(name, result), header, rows, f"{note} {note_of(result)}".strip())


def dimension_cells(entry, dimensions, readout):
    cells = []
    for dimension in dimensions:
        column = entry["dimensions"][dimension]
        # Differences of similarities have no scale of their own, so their agreement in level says nothing.
        agreement = number(column["ccc"]) if readout in ("head", "constant") else MISSING
        cells += [with_interval(column["pearson"], column["pearson_interval"]), number(column["spearman"])]
        cells += [agreement, number(column["mae_linear"])]
    return cells


def title_of(name, result):
    limited = f", LIMITED to {result['rows']} rows: a quick look, not a result" if result["limited"] else ""
    return f"{name}, {result['split']} split, {result['rows']:,} texts, {len(result['labels'])} labels{limited}"


def note_of(result):
    if result["task"] == DIMENSIONS:
        return ""
    multi = result["task"] == MULTI_LABEL
    ranking_note = f" ROC-AUC and LRAP are those of the `{protocols.STRICT}` scores in every row." if multi else ""
    if not result["calibration_split"]:
        return f"No calibration split: thresholds that need one are left out.{ranking_note}"
    return (
        f"Thresholds of `{protocols.PAPER}` and `{protocols.PER_LABEL}` come from {result['calibration_rows']:,} "
        f"labelled texts of the {result['calibration_split']} split.{ranking_note}"
    )


def published_rows(result, width):
    """Figures of others, marked as published."""
    rows = []
    for figure in result["published"]:
        row = [f"{figure['system']} ({figure['source']})", f"published, {figure['protocol']}", number(figure["value"])]
        rows.append(row + [MISSING] * (width - len(row)))
    return rows


def comparison_table(results):
    """Paired bootstrap of the first system against the others, over all benchmarks."""
    rows = []
    for name, result in results.items():
        for row in result["comparisons"]:
            difference = with_interval(row["difference"], {"low": row["low"], "high": row["high"]})
            cells = [name, f"{row['first']} − {row['second']}", row["protocol"], row["measure"], difference]
            rows.append([*cells, number(row["p_value"])])
    header = ["benchmark", "systems", "protocol", "measure", "difference [95 %]", "p"]
    return ResultTable("Paired bootstrap on the same texts", header, rows) if rows else None


def rank_table(results):
    """Do protocols order the systems alike?"""
    rows = [
        [
            name,
            f"{row['first']} / {row['second']}",
            str(row["models"]),
            number(row["spearman"]),
            number(row["kendall"]),
        ]
        for name, result in results.items()
        for row in result["rank_correlations"]
    ]
    header = ["benchmark", "protocols", "systems", "Spearman", "Kendall"]
    return ResultTable("Rank correlation of systems between protocols", header, rows) if rows else None


def alignment_table(space):
    """Emotional alignment of each system's label space."""
    rows = []
    for system, result in space.items():
        found = result["alignment"]
        counts = f"{found['seen_descriptors']} / {found['held_out_descriptors']}"
        rows.append([system, number(found["seen"]), number(found["held_out"]), counts])
        rows[-1] += [number(found[key]) for key in ("synonyms", "antonyms", "gap", "auc")]
    header = ["system", "alignment, seen", "alignment, held out", "descriptors"]
    header += ["cosine of synonyms", "cosine of antonyms", "gap", "AUC"]
    note = (
        "Alignment: Spearman correlation over pairs of descriptors between cosine and negative distance in valence, "
        "arousal and dominance of the lexicon. AUC: how often a synonym pair is nearer than an antonym pair."
    )
    return ResultTable("Emotional alignment of the label space", header, rows, note)


def retrieval_table(space):
    """Retrieval of descriptors by label-space size; `None` where no text had one."""
    rows = []
    for system, result in space.items():
        for size, found in result["retrieval"].items():
            cells = [number(found[key]) for key in ("recall_at_1", "recall_at_5", "mrr")]
            rows.append([system, size, *cells, str(found["pairs"])])
    header = ["system", "candidates", "recall at 1", "recall at 5", "mean reciprocal rank", "pairs"]
    return ResultTable("Retrieval of a held-out descriptor by its text", header, rows) if rows else None


def all_tables(suite):
    """Every table of a suite result, `list[ResultTable]`."""
    tables = []
    for name, result in suite["benchmarks"].items():
        tables.append((dimension_table if result["task"] == DIMENSIONS else label_table)(name, result))
    if suite.get("space"):
        tables += [alignment_table(suite["space"]), retrieval_table(suite["space"])]
    tables += [comparison_table(suite["benchmarks"]), rank_table(suite["benchmarks"])]
    return [table for table in tables if table is not None]


def protocol_lines(suite):
    """One line for each protocol."""
    return [f"- `{name}`: {meaning}" for name, meaning in suite["protocols"].items()]
