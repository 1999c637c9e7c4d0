"""SemEval-2018 Task 1 E-c, English: tweets with eleven labels, any number of them a text."""

import html

import numpy as np

from .parsing import DamagedFile, parse_flag, read_lines
from .records import MULTI_LABEL, BenchmarkSpec, words

__all__ = ["SPEC", "clean_tweet", "read"]

LABELS = words("anger anticipation disgust fear joy love optimism pessimism sadness surprise trust")
SPEC = BenchmarkSpec(
    name="semeval2018",
    folder="semeval2018",
    task=MULTI_LABEL,
    labels=LABELS,
    split_sizes={"train": 6838, "dev": 886, "test": 3259},
    files={
        "train": ("2018-E-c-En-train.txt", "E-c-En-train.txt"),
        "dev": ("2018-E-c-En-dev.txt", "E-c-En-dev.txt"),
        "test": ("2018-E-c-En-test-gold.txt", "E-c-En-test-gold.txt"),
    },
    evaluation_splits=("test",),
    calibration_split="dev",
    licence="research use, no redistribution of the tweets (terms on the task's page)",
    source="Mohammad et al. 2018, SemEval-2018 Task 1: Affect in Tweets, E-c English",
    download="https://competitions.codalab.org/competitions/17751 (E-c English, gold labels)",
)


def clean_tweet(text):
    """SemEval-2018 tweets hold a literal backslash-n and HTML entities for line ends and signs."""
    return html.unescape(text.replace("\\n", " ")).strip()


def read(path, spec=SPEC, split="test"):
    """SemEval-2018 E-c: UTF-8 TSV without quoting, header `ID Tweet anger ... trust`, cells 0 or 1."""
    header, texts, targets, ids = None, [], [], []
    expected = ["ID", "Tweet", *LABELS]
    for line, content in read_lines(path):
        fields = content.split("\t")
        if header is None:
            header = fields
            if header != expected:
                raise DamagedFile(path, line, f"the header is {header}, expected {expected}.")
            continue
        if len(fields) != len(expected):
            raise DamagedFile(path, line, f"{len(fields)} tab-separated fields, {len(expected)} are expected.")
        ids.append(fields[0])
        texts.append(clean_tweet(fields[1]))
        pairs = zip(fields[2:], LABELS, strict=True)
        targets.append([parse_flag(value, path, line, label) for value, label in pairs])
    return texts, np.array(targets, dtype=np.int8), ids, len(texts)
