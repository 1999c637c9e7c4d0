"""Dimensional sets: EmoBank and the Facebook valence-arousal posts."""

import numpy as np

from .records import DIMENSIONS, BenchmarkSpec
from .tables import DamagedFile, parse_number, read_csv

EMOBANK = BenchmarkSpec(
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
FACEBOOK = BenchmarkSpec(
    name="fb-va",
    folder="fb-va",
    task=DIMENSIONS,
    labels=("valence", "arousal"),
    split_sizes={"test": 2895},
    files={"test": ("dataset-fb-valence-arousal-anon.csv", "*valence*arousal*.csv", "*.csv")},
    evaluation_splits=("test",),
    licence="research use (World Well-Being Project)",
    source="Preotiuc-Pietro et al. 2016, Modelling Valence and Arousal in Facebook posts",
    download="the authors' page at wwbp.org (dataset-fb-valence-arousal-anon.csv)",
    scale=(1.0, 9.0),
)


def read_emobank(path, spec=EMOBANK, split="test"):
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


def read_facebook(path, spec=FACEBOOK, split="test"):
    """Facebook posts: CSV `Anonymized Message,Valence1,Valence2,Arousal1,Arousal2`; two raters, averaged."""
    columns = ("Valence1", "Valence2", "Arousal1", "Arousal2")
    texts, targets, ids = [], [], []
    for line, row in read_csv(path, ("Anonymized Message", *columns), ("utf-8-sig", "cp1252", "latin-1")):
        valence1, valence2, arousal1, arousal2 = (
            parse_number(row[column], spec.scale, path, line, column) for column in columns
        )
        texts.append(row["Anonymized Message"])
        targets.append([(valence1 + valence2) / 2, (arousal1 + arousal2) / 2])
        ids.append(str(line))
    return texts, np.array(targets, dtype=np.float64), ids, len(texts)
