"""GoEmotions: Reddit comments with 28 labels, any number of them a text."""

import numpy as np

from ...descriptors.labels import GOEMOTIONS
from .parsing import DamagedFile, read_lines
from .records import MULTI_LABEL, BenchmarkSpec

__all__ = ["SPEC", "read", "read_hub", "row_of"]

SPEC = BenchmarkSpec(
    name="goemotions",
    folder="goemotions",
    task=MULTI_LABEL,
    labels=GOEMOTIONS,
    split_sizes={"train": 43410, "dev": 5426, "test": 5427},
    files={"train": ("train.tsv",), "dev": ("dev.tsv",), "test": ("test.tsv",)},
    evaluation_splits=("test", "dev"),
    calibration_split="dev",
    licence="Apache-2.0 (repository), CC BY 4.0 (data)",
    source="Demszky et al. 2020, GoEmotions: A Dataset of Fine-Grained Emotions",
    download="https://github.com/google-research/google-research/tree/master/goemotions/data "
    "(train.tsv, dev.tsv, test.tsv)",
    hub_id="google-research-datasets/go_emotions",
    hub_config="simplified",
)


def row_of(indices, path, line):
    """Label ids as a row of 0 and 1; `DamagedFile` for an id that there is not."""
    row = np.zeros(len(GOEMOTIONS), dtype=np.int8)
    for index in indices:
        if not 0 <= index < len(GOEMOTIONS):
            raise DamagedFile(path, line, f"label id {index} is outside 0 to {len(GOEMOTIONS) - 1}.")
        row[index] = 1
    return row


def read(path, spec=SPEC, split="test"):
    """GoEmotions' simplified TSV: text, comma-separated label ids, comment id; no header, no quoting.

    Returns:
        `tuple`: texts, targets `(texts, 28)`, ids, rows in the file.
    """
    texts, targets, ids, rows = [], [], [], 0
    for line, content in read_lines(path):
        fields = content.split("\t")
        if len(fields) != 3:
            raise DamagedFile(path, line, f"{len(fields)} tab-separated fields where 3 are expected.")
        try:
            indices = [int(index) for index in fields[1].split(",")]
        except ValueError:
            raise DamagedFile(path, line, f"label ids {fields[1]!r} are not comma-separated numbers.") from None
        rows += 1
        texts.append(fields[0])
        targets.append(row_of(indices, path, line))
        ids.append(fields[2])
    return texts, np.array(targets), ids, rows


def read_hub(table, spec, split):
    """What `read` gives, from the Hub's table, whose labels are lists of label ids."""
    path = f"{spec.hub_id} ({split})"
    targets = np.array([row_of(indices, path, line) for line, indices in enumerate(table["labels"], start=1)])
    return list(table["text"]), targets, list(map(str, table["id"])), len(targets)
