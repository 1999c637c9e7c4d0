"""Measurements as a model card shows them: metadata for the Hub's index, tables with protocols and intervals."""

from ..benchmarks import protocols
from ..benchmarks.readers import BENCHMARKS, DIMENSIONS, MULTI_LABEL
from ..benchmarks.result_tables import ResultTable, number, protocol_lines, with_interval

__all__ = ["audit_text", "eval_results", "figures_text"]

READOUTS = {"head": "dimension head", "pair": "one pair of opposing labels", "poles": "seven opposing labels a side"}


def eval_results(suite):
    """The checkpoint's strict figures as the Hub's `model-index` holds them.

    Args:
        suite (`dict`): `results.json`.

    Returns:
        `list[huggingface_hub.EvalResult]`: defined ones of the protocol that sees nothing of the target.
    """
    found, system = [], suite["systems"][0]
    for name, result in suite["benchmarks"].items():
        for kind, measure, value in _strict_measures(result, system):
            if value is not None:
                found.append(_eval_result(name, result, kind, f"{measure}, strict", value))
    return found


def _strict_measures(result, system):
    """`(type, name, value)` of each measure that needs no calibration."""
    measured = result["systems"][system]
    if result["task"] == DIMENSIONS:
        readout, entry = next(iter(measured["readouts"].items()))
        for dimension, column in entry["dimensions"].items():
            yield "pearson", f"Pearson r of {dimension} ({READOUTS.get(readout, readout)})", column["pearson"]
        return
    if entry := measured["protocols"].get(protocols.STRICT):
        yield "f1", "macro-F1", entry["macro_f1"]
        if result["task"] != MULTI_LABEL:
            yield "accuracy", "accuracy", entry["accuracy"]
    if "ranking" in measured:
        yield "roc_auc", "macro ROC-AUC", measured["ranking"]["macro_roc_auc"]


def _eval_result(name, result, kind, measure, value):
    from huggingface_hub import EvalResult

    spec = BENCHMARKS[name][0] if name in BENCHMARKS else None
    return EvalResult(
        task_type="text-classification" if result["task"] == DIMENSIONS else "zero-shot-classification",
        task_name="emotion dimensions" if result["task"] == DIMENSIONS else "emotion labels",
        dataset_type=(spec and spec.hub_id) or name,
        dataset_name=name,
        dataset_split=result["split"],
        metric_type=kind,
        metric_name=measure,
        metric_value=round(value, 4),
    )


def figures_text(suite, remark=None):
    """The Markdown of a card's figures.

    Args:
        suite (`dict`): `results.json`.
        remark (`str`, *optional*): What else a reader must know, such as which sets are development sets.

    Returns:
        `str`: protocols, a row for each set, system and protocol with 95 % intervals, and where the sets come from.
    """
    parts = [remark] if remark else []
    parts += ["Protocols, named in every row:\n\n" + "\n".join(protocol_lines(suite))]
    parts += [table.markdown().rstrip() for table in (_label_table(suite), _dimension_table(suite)) if table.rows]
    parts.append(
        f"Intervals: 95 % bootstrap over texts, {suite['replicates']} replicates, seed {suite['seed']}. The metadata "
        "of this card hold the `strict` figures."
    )
    sources = [
        f"`{name}` ({result['rows']:,} texts of the {result['split']} split; {result['licence']}; {result['source']})"
        for name, result in suite["benchmarks"].items()
    ]
    parts.append("Sets: " + "; ".join(sources) + ".")
    if suite["skipped"]:
        parts.append(f"{len(suite['skipped'])} further sets of `emodistill evaluate` were absent and not measured.")
    return "\n\n".join(parts)


def _label_table(suite):
    header = ["set, split", "labels", "system", "protocol", "macro-F1 [95 %]", "micro-F1 or accuracy"]
    header += ["ROC-AUC [95 %]"]
    rows = []
    for name, result in suite["benchmarks"].items():
        if result["task"] == DIMENSIONS:
            continue
        multi = result["task"] == MULTI_LABEL
        for system, measured in result["systems"].items():
            ranking = measured.get("ranking", {})
            auc = with_interval(ranking.get("macro_roc_auc"), ranking.get("macro_roc_auc_interval"))
            for protocol, entry in measured["protocols"].items():
                row = [f"{name}, {result['split']}", f"{len(result['labels'])}, {'any' if multi else 'one'} a text"]
                row += [system, protocol, with_interval(entry["macro_f1"], entry["macro_f1_interval"])]
                rows.append([*row, number(entry["micro_f1" if multi else "accuracy"]), auc])
    return ResultTable("Label sets", header, rows)


def _dimension_table(suite):
    rows = []
    for name, result in suite["benchmarks"].items():
        if result["task"] != DIMENSIONS:
            continue
        for system, measured in result["systems"].items():
            for readout, entry in measured["readouts"].items():
                for dimension, column in entry["dimensions"].items():
                    row = [f"{name}, {result['split']}", system, protocols.STRICT, READOUTS.get(readout, readout)]
                    rows.append([*row, dimension, with_interval(column["pearson"], column["pearson_interval"])])
    return ResultTable("Dimensions", ["set, split", "system", "protocol", "read from", "dimension", "r [95 %]"], rows)


def audit_text(audit, remark=None):
    """The Markdown of a card's bias summary.

    Args:
        audit (`dict`): `audit.json`.
        remark (`str`, *optional*): What else a reader must know.

    Returns:
        `str`: how many gaps are flagged, the largest of each attribute, negation, and what an audit cannot show.
    """
    from ..benchmarks.audit.run import LIMITS, summary_table

    flagged, negation = sum(row["flagged"] for row in audit["gaps"]), audit["negation_summary"]
    parts = [
        f"The same sentences about different people: **{flagged} of {len(audit['gaps'])} score gaps between groups "
        "are flagged.** Do not use these scores to compare people or groups."
        if flagged
        else f"The same sentences about different people: none of {len(audit['gaps'])} score gaps is flagged."
    ]
    parts += [remark] if remark else []
    parts.append(summary_table(audit).markdown().rstrip())
    parts.append(
        f"Negation: the label is predicted for {negation['predicted_before']:.0%} of {negation['pairs']} plain "
        f"sentences and still for {negation['predicted_after']:.0%} of the negated ones."
    )
    changes = [f"{row['change']} {row['top_kept']:.0%}" for row in audit["surface"] if row["change"] != "none"]
    parts.append("The top label stays under changes of writing: " + ", ".join(changes) + ".")
    return "\n\n".join([*parts, LIMITS])
