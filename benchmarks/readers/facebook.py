"""Facebook posts, rated for valence and arousal."""

import numpy as np

from .parsing import WINDOWS, parse_number, read_csv
from .records import DIMENSIONS, BenchmarkSpec

__all__ = ["SPEC", "read"]

SPEC = BenchmarkSpec(
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


def read(path, spec=SPEC, split="test"):
    """Facebook posts: CSV `Anonymized Message,Valence1,Valence2,Arousal1,Arousal2`; two raters, averaged."""
    columns = ("Valence1", "Valence2", "Arousal1", "Arousal2")
    texts, targets, ids = [], [], []
    for line, row in read_csv(path, ("Anonymized Message", *columns), WINDOWS):
        valence1, valence2, arousal1, arousal2 = (
            parse_number(row[column], spec.scale, path, line, column) for column in columns
        )
        texts.append(row["Anonymized Message"])
        targets.append([(valence1 + valence2) / 2, (arousal1 + arousal2) / 2])
        ids.append(str(line))
    return texts, np.array(targets, dtype=np.float64), ids, len(texts)
