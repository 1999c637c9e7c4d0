"""From annotated texts to a data set with fixed splits."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from ..files import write_text
from .inputs import HELD_OUT_GROUP, DataInputs, read_closed, read_held_out, read_lexicons, read_rated
from .matching import EvaluationTexts
from .parquet_output import SCHEMAS, ParquetSplits, splits_of
from .rows import DIMENSIONS
from .survey import SplitChoice, SurveyedTexts

__all__ = ["BuildReport", "DataInputs", "build_data"]


@dataclass
class BuildReport:
    """
    What a build did.

    Args:
        rows (`dict`): Rows by configuration and split.
        dropped (`Counter`): Rows that were left out, by reason.
        evaluation_texts (`int`): Distinct texts that were compared with.
        held_out (`int`): Descriptors held out.
    """

    rows: dict
    dropped: Counter = field(default_factory=Counter)
    evaluation_texts: int = 0
    held_out: int = 0

    def lines(self):
        """`list[str]`: for people."""
        lines = [f"{config}/{split}: {count:,} rows" for (config, split), count in sorted(self.rows.items())]
        lines.append(f"held out: {self.held_out:,} descriptors")
        lines.append(f"compared with {self.evaluation_texts:,} distinct evaluation texts")
        return lines + [f"dropped, {reason}: {count:,}" for reason, count in sorted(self.dropped.items())]


# ---- building


def build_data(output, inputs):
    """
    Write the configurations of a data set under `output`; nothing there changes if an input is damaged.

    Args:
        output (`str` or `Path`): The data set's folder; a `README.md` there is left alone, else a short one is made.
        inputs ([`DataInputs`]): What it is built from.

    Returns:
        [`BuildReport`]

    Raises:
        `ValueError`, `OSError`: for a damaged line, named with its file; for an input without a usable row.

    Example:

    ```python
    >>> import json, tempfile
    >>> folder = tempfile.mkdtemp()
    >>> with open(f"{folder}/mine.jsonl", "w") as file:
    ...     print(json.dumps({"text": "Finally home.", "labels": ["relief", "joy"]}), file=file)
    >>> report = build_data(f"{folder}/built", DataInputs(descriptors=(f"{folder}/mine.jsonl",)))
    >>> sum(report.rows.values())
    3

    ```
    """
    inputs = inputs.extended()
    if not (inputs.descriptors or inputs.readings or inputs.contrasts):
        raise ValueError("there are no texts to build from: name --descriptors, --readings or --contrasts")
    evaluation = EvaluationTexts(inputs.exclude)
    lexicon = read_lexicons(inputs.lexicon)
    views = {"closed28": read_closed(inputs.closed) if inputs.closed else {}}
    views["rated"] = read_rated(inputs.rated) if inputs.rated else {}
    held_out = read_held_out(inputs.held_out)
    texts = SurveyedTexts(inputs, evaluation)
    for name, what in (("closed28", "a closed-list row"), ("rated", "a rated row")):
        texts.dropped[f"{what} whose text is not there"] = len(views[name].keys() - texts.ids.keys())
    splits = SplitChoice(texts, lexicon, held_out)

    configs = ["default"] + ["goemotions"] * ("goemotions" in texts.sources)
    configs += ["closed28"] * bool(views["closed28"].keys() & texts.ids.keys())
    configs += ["rated"] * (bool(views["rated"].keys() & texts.ids.keys()) or texts.any_rated)
    configs += ["lexicon"] + ["unread"] * bool(inputs.unread)
    _refuse_stale(output, configs)
    with ParquetSplits(output, configs) as files:
        _write_texts(files, texts, splits, views)
        for row in _lexicon_rows(texts.counts, lexicon, splits.held_out):
            files.add("lexicon", "validation" if row["descriptor"] in splits.held_out else "train", row)
        for row in texts.unread():
            files.add("unread", "train", row)
    _write_card(output, configs)
    held_out_there = sum(descriptor in texts.counts or descriptor in lexicon for descriptor in splits.held_out)
    return BuildReport(dict(files.counts), +texts.dropped, len(evaluation), held_out_there)


def _write_texts(files, texts, splits, views):
    for row in texts.kept():
        split = splits.of(row)
        if row["group"] in splits.chosen:
            row["selection"] = HELD_OUT_GROUP
        elif row["selection"] == HELD_OUT_GROUP:
            row["selection"] = "contrast"
        files.add("default", split, row)
        if row["source"] == "goemotions":
            files.add("goemotions", split, row)
        if row["id"] in views["closed28"]:
            files.add("closed28", split, row | views["closed28"][row["id"]])
        if row["id"] in views["rated"]:
            files.add("rated", split, row | views["rated"][row["id"]])
        elif row["valence"] is not None:  # read with ratings of its own, and in no plain words
            files.add("rated", split, row | {"labels": []})


def _lexicon_rows(counts, lexicon, held_out):
    """Every descriptor, rated or not, in alphabetical order; also one that was held out and occurs no more.

    What an earlier build held out may be implied by a later descriptor: it is not taught that way either.
    """
    blank = dict.fromkeys(DIMENSIONS) | {"implies": []}
    for descriptor in sorted(counts.keys() | lexicon.keys() | held_out):
        entry = lexicon.get(descriptor, blank)
        implies = [word for word in entry["implies"] if word not in held_out]
        yield {"descriptor": descriptor, **entry, "implies": implies, "count": counts.get(descriptor, 0)}


def _refuse_stale(output, configs):
    """A configuration of an earlier build would keep other splits beside the new ones: ask, do not delete."""
    for config in SCHEMAS:
        if config not in configs and (Path(output) / config).is_dir():
            raise ValueError(
                f"{Path(output) / config} comes from an earlier build with other inputs; remove it or choose "
                "another --output"
            )


def _write_card(output, configs):
    """A card with the configurations that `load_dataset` reads, where there is none yet."""
    path = Path(output) / "README.md"
    if path.exists():
        return
    lines = ["---", "configs:"]
    for config in configs:
        lines += [f"- config_name: {config}"] + ["  default: true"] * (config == "default") + ["  data_files:"]
        for split in splits_of(config):
            lines += [f"  - split: {split}", f"    path: {config}/{split}.parquet"]
    write_text(
        path, "\n".join([*lines, "---", "", "# Emotion descriptors", "", "Built with `emodistill build-data`.", ""])
    )
