"""The dair-ai emotion set: tweets, one of six labels each."""

from .parsing import DamagedFile, collect, read_lines
from .records import SINGLE_LABEL, BenchmarkSpec

__all__ = ["SPEC", "read"]

LABELS = ("sadness", "joy", "love", "anger", "fear", "surprise")
SPEC = BenchmarkSpec(
    name="dair-emotion",
    folder="dair-emotion",
    task=SINGLE_LABEL,
    labels=LABELS,
    split_sizes={"train": 16000, "dev": 2000, "test": 2000},
    files={
        "train": ("train.txt", "*train*.txt"),
        "dev": ("val.txt", "validation.txt", "dev.txt", "*val*.txt"),
        "test": ("test.txt", "*test*.txt"),
    },
    evaluation_splits=("test",),
    calibration_split="dev",
    licence="research and education",
    source="Saravia et al. 2018, CARER: Contextualized Affect Representations for Emotion Recognition",
    download="https://huggingface.co/datasets/dair-ai/emotion or the authors' train.txt, val.txt, test.txt",
    hub_id="dair-ai/emotion",
    hub_config="split",
)


def read(path, spec=SPEC, split="test"):
    """The dair-ai emotion set: one `text;label` a line."""

    def rows():
        for line, content in read_lines(path):
            text, separator, emotion = content.rpartition(";")
            if not separator:
                raise DamagedFile(path, line, "no semicolon between text and label.")
            yield line, str(line), text, emotion

    return collect(rows(), spec, path)
