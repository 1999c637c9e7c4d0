"""Single-label sets: ISEAR, MELD, the dair-ai emotion set and EmpatheticDialogues."""

import re

import numpy as np

from .records import SINGLE_LABEL, BenchmarkSpec, words
from .tables import DamagedFile, read_csv, read_lines, read_text

ISEAR_LABELS = ("joy", "fear", "anger", "sadness", "disgust", "shame", "guilt")
MELD_LABELS = ("anger", "disgust", "fear", "joy", "neutral", "sadness", "surprise")
DAIR_LABELS = ("sadness", "joy", "love", "anger", "fear", "surprise")
EMPATHETIC_LABELS = words(
    "afraid angry annoyed anticipating anxious apprehensive ashamed caring confident content "
    "devastated disappointed disgusted embarrassed excited faithful furious grateful guilty hopeful "
    "impressed jealous joyful lonely nostalgic prepared proud sad sentimental surprised terrified "
    "trusting"
)
WINDOWS = ("utf-8-sig", "cp1252", "latin-1")

ISEAR = BenchmarkSpec(
    name="isear",
    folder="isear",
    task=SINGLE_LABEL,
    labels=ISEAR_LABELS,
    split_sizes={"test": 7666},
    files={"test": ("isear.csv", "*isear*.csv", "*.csv")},
    evaluation_splits=("test",),
    licence="research use (Swiss Center for Affective Sciences)",
    source="Scherer and Wallbott 1994, International Survey on Emotion Antecedents and Reactions",
    download="https://www.unige.ch/cisa/research/materials-and-online-research/ (ISEAR databank)",
)
MELD = BenchmarkSpec(
    name="meld",
    folder="meld",
    task=SINGLE_LABEL,
    labels=MELD_LABELS,
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
DAIR = BenchmarkSpec(
    name="dair-emotion",
    folder="dair-emotion",
    task=SINGLE_LABEL,
    labels=DAIR_LABELS,
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
EMPATHETIC = BenchmarkSpec(
    name="empathetic",
    folder="empathetic",
    task=SINGLE_LABEL,
    labels=EMPATHETIC_LABELS,
    split_sizes={},  # published sizes count conversations; the `text,emotion` form has none
    files={
        "train": ("train.csv", "*train*.csv"),
        "dev": ("valid.csv", "dev.csv", "*val*.csv"),
        "test": ("test.csv", "*test*.csv", "*empathetic*.csv"),
    },
    evaluation_splits=("test",),
    calibration_split="dev",
    licence="CC BY-NC 4.0",
    source="Rashkin et al. 2019, Towards Empathetic Open-domain Conversation Models",
    download="https://github.com/facebookresearch/EmpatheticDialogues (empatheticdialogues.tar.gz)",
)

# The original ISEAR export marks each wrapped line with this sign before the line end.
LINE_WRAP = re.compile(r"\s*á[ \t]*(?=\r?\n|$)|(?<=\s)á(?=\s)")
BRACKETED = re.compile(r"^\s*\[[^\]]*\]?[\s.]*$")
MISSPELT = {"guit": "guilt"}  # stands so in some copies of ISEAR
FALSE_FLAGS = {"", "0", "0.0", "false", "no", "none", "nan"}


def label_index(value, labels, path, line):
    """The index of a label name, `DamagedFile` for an unknown one."""
    name = value.strip().lower()
    try:
        return labels.index(MISSPELT.get(name, name))
    except ValueError:
        raise DamagedFile(path, line, f"unknown emotion {value!r}; expected one of {', '.join(labels)}.") from None


def collect(rows, spec, path):
    """Texts and label indices from `(line, id, text, emotion)` rows."""
    texts, targets, ids = [], [], []
    for line, identifier, text, emotion in rows:
        targets.append(label_index(emotion, spec.labels, path, line))
        texts.append(text)
        ids.append(identifier)
    return texts, np.array(targets, dtype=np.int64), ids, len(texts)


def unwrap_isear(text):
    """The answer in one line, without the export's line-wrap marks."""
    return " ".join(LINE_WRAP.sub(" ", text).split())


def read_isear(path, spec=ISEAR, split="test"):
    """ISEAR in its original `|`-separated export or as cleaned CSV, without the bracketed non-events."""
    lines = read_text(path, WINDOWS).split("\n", 1)
    original = "|" in lines[0]
    rows, kept = 0, []
    if original:
        # The export's rows do not all end in the same empty field, hence the tolerance.
        dialect = {"delimiter": "|", "quotechar": '"', "escapechar": "\\", "doublequote": False, "tolerance": 1}
        records = read_csv(path, ("ID", "Field1", "SIT"), WINDOWS, **dialect)
        for line, row in records:
            rows += 1
            text = unwrap_isear(row["SIT"])
            if text and not BRACKETED.match(text):
                kept.append((line, f"{row['ID']}-{line}", text, row["Field1"]))
    else:
        columns = ("subject_id", "key", "emotion", "text", "bracketed", "no_event")
        for line, row in read_csv(path, columns, WINDOWS):
            rows += 1
            flagged = any(row[flag].strip().lower() not in FALSE_FLAGS for flag in ("bracketed", "no_event"))
            text = unwrap_isear(row["text"])
            if text and not flagged and not BRACKETED.match(text):
                kept.append((line, f"{row['subject_id']}-{row['key']}", text, row["emotion"]))
    texts, targets, ids, _ = collect(kept, spec, path)
    # Only the original export has a published size; a cleaned copy may already lack the non-events.
    return texts, targets, ids, rows if original else None


def read_meld(path, spec=MELD, split="test"):
    """MELD: CSV with `Utterance` and `Emotion`, some Windows-1252 punctuation."""
    rows = read_csv(path, ("Utterance", "Emotion"), WINDOWS)
    kept = ((line, str(line), row["Utterance"].replace("\x92", "'"), row["Emotion"]) for line, row in rows)
    return collect(kept, spec, path)


def read_dair(path, spec=DAIR, split="test"):
    """The dair-ai emotion set: one `text;label` a line."""

    def rows():
        for line, content in read_lines(path):
            text, separator, emotion = content.rpartition(";")
            if not separator:
                raise DamagedFile(path, line, "no semicolon between text and label.")
            yield line, str(line), text, emotion

    return collect(rows(), spec, path)


def read_empathetic(path, spec=EMPATHETIC, split="test"):
    """EmpatheticDialogues: CSV `text,emotion`, or each conversation's prompt in the original release."""
    header = read_text(path, WINDOWS).split("\n", 1)[0].strip().lower().split(",")
    if "conv_id" not in header:
        rows = read_csv(path, ("text", "emotion"), WINDOWS)
        return collect(((line, str(line), row["text"], row["emotion"]) for line, row in rows), spec, path)
    # The original has unquoted, comma-free cells (`_comma_`), sometimes with more fields than the header names.
    places = {name: header.index(name) for name in ("conv_id", "context", "prompt")}
    seen, kept = set(), []
    for line, content in read_lines(path, WINDOWS):
        fields = content.split(",")
        if line == 1:
            continue
        if len(fields) <= max(places.values()):
            raise DamagedFile(path, line, f"{len(fields)} fields where {len(header)} are expected.")
        conversation = fields[places["conv_id"]]
        if conversation not in seen:
            seen.add(conversation)
            text = fields[places["prompt"]].replace("_comma_", ",").strip()
            kept.append((line, conversation, text, fields[places["context"]]))
    return collect(kept, spec, path)
