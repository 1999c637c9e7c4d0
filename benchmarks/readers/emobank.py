"""EmoBank: sentences of many genres, rated for valence, arousal and dominance."""

import numpy as np

from .parsing import DamagedFile, parse_number, read_csv
from .records import DIMENSIONS, BenchmarkSpec

__all__ = ["SPEC", "read"]

SPEC = BenchmarkSpec(
    name="emobank",
    folder="emobank",
    task=DIMENSIONS,
    labels=("valence", "arousal", "dominance"),
    split_sizes={"train": 8062, "dev": 1000, "test": 1000},
    files=dict.fromkeys(("train", "dev", "test"), ("emobank.csv",)),
    evaluation_splits=("test", "dev"),
    calibration_split="train",
    licence="CC BY-SA 4.0",
    source="Buechel and Hahn 2017, EmoBank: Studying the Impact of Annotation Perspective (JULIELab)",
    download="https://github.com/JULIELab/EmoBank/blob/master/corpus/emobank.csv",
    scale=(1.0, 5.0),
)


def read(path, spec=SPEC, split="test"):
    """EmoBank: CSV with the columns `id, split, V, A, D` (1 to 5) and `text`; one file for all splits.

    Returns:
        `tuple`: texts, targets `(texts, 3)`, ids, rows of the split; no texts where the file lacks the split.
    """
    texts, targets, ids = [], [], []
    for line, row in read_csv(path, ("id", "split", "V", "A", "D", "text")):
        if row["split"] not in ("train", "dev", "test"):
            raise DamagedFile(path, line, f"column split holds {row['split']!r}, expected train, dev or test.")
        ratings = [parse_number(row[column], spec.scale, path, line, column) for column in "VAD"]
        if row["split"] == split:
            texts.append(row["text"])
            targets.append(ratings)
            ids.append(row["id"])
    return texts, np.array(targets, dtype=np.float64).reshape(-1, 3), ids, len(texts)
