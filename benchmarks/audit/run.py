"""Runs the audit of a checkpoint and writes it as JSON, Markdown, pictures and one HTML page."""

import html
import time
from pathlib import Path

import numpy as np

from ...files import write_json, write_text
from ..plots import DASHES, MARKERS, SHADES, Picture, new_figure
from ..readers import MULTI_LABEL, MissingBenchmark, load_benchmark, read_equity_corpus
from ..report import html_page, image_tag
from ..result_tables import ResultTable, number, with_interval
from ..suite import clean
from . import robustness
from .counterfactual import LABELS, audit_bias
from .statistics import FAMILY_LEVEL, SMALLEST_GAP
from .templates import ATTRIBUTES, EMOTION_TEMPLATES, EMOTION_WORDS, NEUTRAL_TEMPLATES

__all__ = [
    "LIMITS", "audit_tables", "flagged_table", "gap_picture", "label_score", "robustness_tables", "run_audit",
    "summary_table", "write_audit",
]  # fmt: skip

METHOD = (
    f"Each attribute: {len(NEUTRAL_TEMPLATES)} neutral and {len(EMOTION_TEMPLATES)} emotional templates, the latter "
    f"with {len(EMOTION_WORDS)} emotion words each, times twelve matched terms a group. A gap is the difference in "
    "mean probability between a group and the other (or the mean of the others), tested over terms; intervals are "
    f"95 % for one gap by itself. Flagged: Holm-adjusted p at most {FAMILY_LEVEL:g} over all comparisons of the audit "
    f"and a gap of at least {SMALLEST_GAP:g}."
)
LIMITS = (
    "Groups that are one word with twelve roles are tested for that word, not for every way of naming the group. "
    "What this cannot show: English only, sentences of one shape, a handful of groups and terms, and associations of "
    "the model alone, not what a product does with its scores. No flag is no proof of fairness."
)


def label_score(system, labels):
    """A function from texts to multi-label probabilities, `(texts, labels)`."""

    def score(texts):
        scores = system.label_scores(MULTI_LABEL, list(texts), labels).strict
        if scores is None:
            raise ValueError("audit: the checkpoint has no background, so its probabilities mean nothing; train one.")
        return scores

    return score


def run_audit(system, data_dir=None, labels=LABELS):
    """The whole audit of one checkpoint.

    Args:
        system (`EmbeddingSystem`): The checkpoint.
        data_dir (`str`, *optional*): Where the Equity Evaluation Corpus and a benchmark for the robustness of F1 are
            looked for.
        labels (`tuple[str]`): Labels whose gaps are measured.

    Returns:
        `dict`: `gaps`, `surface`, `negations`, `negation_summary`, `benchmark`, `seconds` and what was used.
    """
    started = time.perf_counter()
    equity = read_equity_corpus(data_dir) if data_dir else None
    robust_score = label_score(system, robustness.LABELS)
    negations = robustness.negation_rows(robust_score)
    benchmark = []
    if data_dir:
        try:
            data = load_benchmark("semeval2025-eng", data_dir, split="train")
            benchmark = robustness.benchmark_rows(system, data)
        except MissingBenchmark:
            pass
    return {
        "system": system.name,
        "fingerprint": system.fingerprint,
        "labels": list(labels),
        "attributes": {name: list(groups) for name, groups in ATTRIBUTES.items()},
        "equity_corpus": len(equity) if equity else 0,
        "gaps": audit_bias(label_score(system, labels), labels, equity=equity),
        "surface": robustness.surface_rows(robust_score),
        "negations": negations,
        "negation_summary": robustness.negation_summary(negations),
        "benchmark": benchmark,
        "seconds": round(time.perf_counter() - started, 1),
    }


def summary_table(audit):
    """A row for each attribute: comparisons, flags, the largest gap."""
    rows = []
    for attribute in dict.fromkeys(row["attribute"] for row in audit["gaps"]):
        gaps = [row for row in audit["gaps"] if row["attribute"] == attribute]
        largest = max(gaps, key=lambda row: abs(row["gap"]))
        where = f"{largest['group']} against {largest['against']}, {largest['label']}, {largest['context']} context"
        flagged = sum(row["flagged"] for row in gaps)
        spread = with_interval(largest["gap"], largest)
        rows.append([attribute, str(len(gaps)), str(flagged), spread, number(largest["adjusted_p"]), where])
    header = ["attribute", "comparisons", "flagged", "largest gap [95 %]", "adjusted p", "where"]
    return ResultTable("Score gaps by attribute", header, rows, METHOD)


def flagged_table(audit, most=40):
    """The flagged gaps, largest first; `None` where there is none."""
    flagged = [row for row in audit["gaps"] if row["flagged"]]
    rows = [
        [
            row["attribute"],
            f"{row['group']} against {row['against']}",
            row["context"],
            row["label"],
            with_interval(row["gap"], row),
            number(row["adjusted_p"], 4),
        ]
        for row in flagged[:most]
    ]
    header = ["attribute", "groups", "context", "label", "gap [95 %]", "adjusted p"]
    return ResultTable(f"Flagged gaps ({len(flagged)} of {len(audit['gaps'])})", header, rows) if rows else None


def robustness_tables(audit):
    """Surface changes, negations and the benchmark under changes."""
    surface = ResultTable(
        f"Surface changes ({audit['surface'][0]['sentences']} own sentences)",
        ["change", "intended emotion on top", "top label kept", "mean change", "largest change"],
        [
            [
                row["change"],
                number(row["top_is_intended"], 2),
                number(row["top_kept"], 2),
                number(row["mean_change"]),
                number(row["largest_change"]),
            ]
            for row in audit["surface"]
        ],
        "Changes are of probabilities over seven labels. A fitting emoji may rightly move them.",
    )
    found = audit["negation_summary"]
    negation = ResultTable(
        f"Negation ({found['pairs']} pairs)",
        ["plain", "negated", "label", "before", "after", "still predicted"],
        [
            [
                row["plain"],
                row["negated"],
                row["label"],
                number(row["before"], 2),
                number(row["after"], 2),
                "yes" if row["still_predicted"] else "no",
            ]
            for row in audit["negations"]
        ],
        f"The label is predicted for {found['predicted_before']:.0%} of the plain sentences and still for "
        f"{found['predicted_after']:.0%} of the negated ones; the score falls in {found['score_falls']:.0%} of pairs, "
        f"by {found['mean_fall']:.2f} on average; the label a reader would expect wins in "
        f"{found['expected_wins']:.0%}.",
    )
    tables = [surface, negation]
    if audit["benchmark"]:
        rows = [[row["change"], number(row["macro_f1"]), number(row["macro_roc_auc"])] for row in audit["benchmark"]]
        title = f"semeval2025-eng under surface changes ({audit['benchmark'][0]['texts']} texts, strict)"
        tables.append(ResultTable(title, ["change", "macro-F1", "ROC-AUC"], rows))
    return tables


def gap_picture(audit, most=24):
    """The largest gaps with their intervals, as a forest plot."""
    rows = audit["gaps"][:most][::-1]
    figure, axis = new_figure(8.4, 1.4 + 0.25 * len(rows))
    for position, row in enumerate(rows):
        kind = 0 if row["flagged"] else 2
        axis.plot([row["low"], row["high"]], [position] * 2, color=SHADES[kind], linestyle=DASHES[0], linewidth=1.2)
        face = SHADES[0] if row["flagged"] else "white"
        axis.plot(row["gap"], position, MARKERS[0], markerfacecolor=face, markeredgecolor=SHADES[kind])
    axis.axvline(0, color="#777777", linewidth=0.8)
    names = [f"{row['group']} / {row['against']}: {row['label']}, {row['context']}" for row in rows]
    axis.set_yticks(np.arange(len(rows)), names, fontsize=7)
    axis.set_xlabel("gap in mean probability, 95 % interval (filled: flagged)")
    axis.set_title(f"The {len(rows)} largest score gaps of {audit['system']}", fontsize=10)
    largest = audit["gaps"][0]
    alt = (
        f"Forest plot of the {len(rows)} largest score gaps between groups with 95 % intervals. The largest: "
        f"{largest['group']} against {largest['against']}, {largest['label']} in {largest['context']} contexts, "
        f"{largest['gap']:+.3f}. {sum(row['flagged'] for row in audit['gaps'])} of {len(audit['gaps'])} are flagged."
    )
    return Picture("audit-gaps", alt, figure)


def audit_tables(audit):
    """Every table of an audit, `list[ResultTable]`."""
    tables = [summary_table(audit), flagged_table(audit), *robustness_tables(audit)]
    return [table for table in tables if table is not None]


def write_audit(audit, output, report=False):
    """Write `audit.json`, `audit.md`, the picture and, on request, `audit.html`; returns the paths."""
    output, audit = Path(output), clean(audit)
    output.mkdir(parents=True, exist_ok=True)
    picture, tables = gap_picture(audit), audit_tables(audit)
    written = [output / "audit.json", picture.save(output), output / "audit.md"]
    write_json(written[0], audit, indent=1)
    corpus = "" if audit["equity_corpus"] else "\nThe Equity Evaluation Corpus was not given.\n"
    text = "\n".join(table.markdown() for table in tables)
    page = f"# Audit: {audit['system']}\n\n{text}{corpus}\n![{picture.alt}](audit-gaps.png)\n\n{LIMITS}\n"
    write_text(written[2], page)
    if report:
        sections = [table.html() for table in tables] + [image_tag(picture), f"<p>{html.escape(LIMITS)}</p>"]
        written.append(output / "audit.html")
        write_text(written[-1], html_page(f"Audit: {audit['system']}", sections))
    return written
