"""SemEval-2025 Task 11 track A, English: short texts with five labels, any number of them a text."""

import numpy as np

from .parsing import DamagedFile, parse_flag, read_csv
from .records import MULTI_LABEL, BenchmarkSpec

__all__ = ["SPEC", "read"]

LABELS = ("anger", "fear", "joy", "sadness", "surprise")
SPEC = BenchmarkSpec(
    name="semeval2025-eng",
    folder="semeval2025-eng",
    task=MULTI_LABEL,
    labels=LABELS,
    split_sizes={"train": 2768, "dev": 116, "test": 2767},
    files={
        "train": ("track_a_train_eng.csv", "track_a/train/eng.csv", "train/eng.csv"),
        "dev": ("track_a_dev_eng.csv", "track_a/dev/eng.csv", "dev/eng.csv"),
        "test": ("track_a_test_eng.csv", "track_a/test/eng.csv", "test/eng.csv"),
    },
    evaluation_splits=("test", "train"),
    calibration_split="dev",
    licence="CC BY 4.0",
    source="Muhammad et al. 2025, SemEval-2025 Task 11 track A English (BRIGHTER)",
    download="https://github.com/emotion-analysis-project/SemEval2025-Task11 (track A, eng)",
    hub_id="brighter-dataset/BRIGHTER-emotion-categories",
    hub_config="eng",
)


def read(path, spec=SPEC, split="train"):
    """SemEval-2025 track A: CSV `id,text,anger,fear,joy,sadness,surprise`, cells 0 or 1.

    A text that a spreadsheet turned into `#NAME?` is refused: five rows of the first public training file were.
    """
    texts, targets, ids = [], [], []
    for line, row in read_csv(path, ("id", "text", *LABELS)):
        if row["text"].strip() == "#NAME?":
            raise DamagedFile(path, line, "the text is '#NAME?', a spreadsheet's damage; take a repaired release.")
        ids.append(row["id"])
        texts.append(row["text"])
        targets.append([parse_flag(row[label], path, line, label) for label in LABELS])
    return texts, np.array(targets, dtype=np.int8), ids, len(texts)
