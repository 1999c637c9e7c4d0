"""MELD: utterances of a television series, one of seven labels each."""

from .parsing import WINDOWS, collect, read_csv
from .records import SINGLE_LABEL, BenchmarkSpec

__all__ = ["SPEC", "read"]

LABELS = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
SPEC = BenchmarkSpec(
    name="meld",
    folder="meld",
    task=SINGLE_LABEL,
    labels=LABELS,
    split_sizes={"train": 9989, "dev": 1109, "test": 2610},
    files={
        "train": ("train_sent_emo.csv", "*train*.csv"),
        "dev": ("dev_sent_emo.csv", "*dev*.csv", "*val*.csv"),
        "test": ("test_sent_emo.csv", "*test*.csv"),
    },
    evaluation_splits=("test",),
    calibration_split="dev",
    licence="GPL-3.0",
    source="Poria et al. 2019, MELD: A Multimodal Multi-Party Dataset for Emotion Recognition in Conversations",
    download="https://github.com/declare-lab/MELD/tree/master/data/MELD (the three *_sent_emo.csv)",
)


def read(path, spec=SPEC, split="test"):
    """MELD: CSV with `Utterance` and `Emotion`, some Windows-1252 punctuation."""
    rows = read_csv(path, ("Utterance", "Emotion"), WINDOWS)
    kept = ((line, str(line), row["Utterance"].replace("\x92", "'"), row["Emotion"]) for line, row in rows)
    return collect(kept, spec, path)
