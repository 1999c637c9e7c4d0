"""Multi-label sets: GoEmotions, SemEval-2018 Task 1 E-c and SemEval-2025 Task 11 track A."""

import html

import numpy as np

from .records import MULTI_LABEL, SINGLE_LABEL, BenchmarkSpec, words
from .tables import DamagedFile, parse_flag, read_csv, read_lines

GOEMOTIONS_LABELS = words(
    "admiration amusement anger annoyance approval caring confusion curiosity desire disappointment "
    "disapproval disgust embarrassment excitement fear gratitude grief joy love nervousness optimism "
    "pride realization relief remorse sadness surprise neutral"
)
# The grouping that GoEmotions' authors publish (ekman_mapping.json in google-research/goemotions).
EKMAN_GROUPS = {
    "anger": ("anger", "annoyance", "disapproval"),
    "disgust": ("disgust",),
    "fear": ("fear", "nervousness"),
    "joy": words("joy amusement approval excitement gratitude love optimism relief pride admiration desire caring"),
    "neutral": ("neutral",),
    "sadness": ("sadness", "disappointment", "embarrassment", "grief", "remorse"),
    "surprise": ("surprise", "realization", "confusion", "curiosity"),
}
SEMEVAL2018_LABELS = words("anger anticipation disgust fear joy love optimism pessimism sadness surprise trust")
SEMEVAL2025_LABELS = ("anger", "fear", "joy", "sadness", "surprise")
GOEMOTIONS_FILES = {"train": ("train.tsv",), "dev": ("dev.tsv",), "test": ("test.tsv",)}
GOEMOTIONS_SIZES = {"train": 43410, "dev": 5426, "test": 5427}
GOEMOTIONS_SOURCE = "Demszky et al. 2020, GoEmotions: A Dataset of Fine-Grained Emotions"
GOEMOTIONS_DOWNLOAD = (
    "https://github.com/google-research/google-research/tree/master/goemotions/data (train.tsv, dev.tsv, test.tsv)"
)

GOEMOTIONS = BenchmarkSpec(
    name="goemotions",
    folder="goemotions",
    task=MULTI_LABEL,
    labels=GOEMOTIONS_LABELS,
    split_sizes=GOEMOTIONS_SIZES,
    files=GOEMOTIONS_FILES,
    evaluation_splits=("test", "dev"),
    calibration_split="dev",
    licence="Apache-2.0 (repository), CC BY 4.0 (data)",
    source=GOEMOTIONS_SOURCE,
    download=GOEMOTIONS_DOWNLOAD,
    hub_id="google-research-datasets/go_emotions",
    hub_config="simplified",
)
# Texts whose human labels fall into exactly one Ekman group: a single-label view of the same files.
GOEMOTIONS_EKMAN = BenchmarkSpec(
    name="goemotions-ekman",
    folder="goemotions",
    task=SINGLE_LABEL,
    labels=tuple(EKMAN_GROUPS),
    split_sizes=GOEMOTIONS_SIZES,
    files=GOEMOTIONS_FILES,
    evaluation_splits=("test", "dev"),
    calibration_split="dev",
    licence=GOEMOTIONS.licence,
    source=GOEMOTIONS_SOURCE + " (its Ekman grouping, texts of one group only)",
    download=GOEMOTIONS_DOWNLOAD,
    hub_id=GOEMOTIONS.hub_id,
    hub_config="simplified",
)
SEMEVAL2018 = BenchmarkSpec(
    name="semeval2018",
    folder="semeval2018",
    task=MULTI_LABEL,
    labels=SEMEVAL2018_LABELS,
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
SEMEVAL2025 = BenchmarkSpec(
    name="semeval2025-eng",
    folder="semeval2025-eng",
    task=MULTI_LABEL,
    labels=SEMEVAL2025_LABELS,
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


def goemotions_row(indices, path, line):
    row = np.zeros(len(GOEMOTIONS_LABELS), dtype=np.int8)
    for index in indices:
        if not 0 <= index < len(GOEMOTIONS_LABELS):
            raise DamagedFile(path, line, f"label id {index} is outside 0 to {len(GOEMOTIONS_LABELS) - 1}.")
        row[index] = 1
    return row


def read_goemotions(path, spec=GOEMOTIONS, split="test"):
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
        targets.append(goemotions_row(indices, path, line))
        ids.append(fields[2])
    return texts, np.array(targets), ids, rows


def ekman_targets(targets):
    """The Ekman group of each row of GoEmotions targets, -1 where labels of several groups are set."""
    groups = np.array(
        [[label in members for label in GOEMOTIONS_LABELS] for members in EKMAN_GROUPS.values()], dtype=np.int64
    )
    hits = (targets.astype(np.int64) @ groups.T) > 0
    return np.where(hits.sum(axis=1) == 1, hits.argmax(axis=1), -1)


def read_goemotions_ekman(path, spec=GOEMOTIONS_EKMAN, split="test"):
    """The texts of a GoEmotions file that belong to exactly one Ekman group (neutral is a group of its own)."""
    texts, targets, ids, rows = read_goemotions(path)
    groups = ekman_targets(targets) if rows else np.zeros(0, dtype=np.int64)
    kept = np.flatnonzero(groups >= 0)
    return [texts[i] for i in kept], groups[kept], [ids[i] for i in kept], rows


def clean_tweet(text):
    """SemEval-2018 tweets hold a literal backslash-n and HTML entities for line ends and signs."""
    return html.unescape(text.replace("\\n", " ")).strip()


def read_semeval2018(path, spec=SEMEVAL2018, split="test"):
    """SemEval-2018 E-c: UTF-8 TSV without quoting, header `ID Tweet anger ... trust`, cells 0 or 1."""
    header, texts, targets, ids = None, [], [], []
    expected = ["ID", "Tweet", *SEMEVAL2018_LABELS]
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
        pairs = zip(fields[2:], SEMEVAL2018_LABELS, strict=True)
        targets.append([parse_flag(value, path, line, label) for value, label in pairs])
    return texts, np.array(targets, dtype=np.int8), ids, len(texts)


def read_semeval2025(path, spec=SEMEVAL2025, split="train"):
    """SemEval-2025 track A: CSV `id,text,anger,fear,joy,sadness,surprise`, cells 0 or 1.

    A text that a spreadsheet turned into `#NAME?` is refused: five rows of the first public training file were.
    """
    texts, targets, ids = [], [], []
    for line, row in read_csv(path, ("id", "text", *SEMEVAL2025_LABELS)):
        if row["text"].strip() == "#NAME?":
            raise DamagedFile(path, line, "the text is '#NAME?', a spreadsheet's damage; take a repaired release.")
        ids.append(row["id"])
        texts.append(row["text"])
        targets.append([parse_flag(row[label], path, line, label) for label in SEMEVAL2025_LABELS])
    return texts, np.array(targets, dtype=np.int8), ids, len(texts)
