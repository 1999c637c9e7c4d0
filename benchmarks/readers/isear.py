"""ISEAR: what people answered when asked for a situation of one of seven emotions."""

import re

from .parsing import WINDOWS, DamagedFile, collect, read_csv, read_text
from .records import SINGLE_LABEL, BenchmarkSpec

__all__ = ["SPEC", "clean_rows", "export_rows", "read", "unquoted", "unwrapped", "whole_records"]

SPEC = BenchmarkSpec(
    name="isear",
    folder="isear",
    task=SINGLE_LABEL,
    labels=("joy", "fear", "anger", "sadness", "disgust", "shame", "guilt"),
    split_sizes={"test": 7666},
    files={"test": ("isear.csv", "*isear*.csv", "*.csv")},
    evaluation_splits=("test",),
    licence="research use (Swiss Center for Affective Sciences)",
    source="Scherer and Wallbott 1994, International Survey on Emotion Antecedents and Reactions",
    download="https://www.unige.ch/cisa/research/materials-and-online-research/ (ISEAR databank)",
)
# The original export marks each wrapped line with this sign; at some wraps a stray separator stands after it.
LINE_WRAP = re.compile(r"\s*á[ \t]*(?:\|\s*|(?=\r?\n|$))|(?<=\s)á(?=\s)")
BRACKETED = re.compile(r"^\s*\[[^\]]*\]?[\s.]*$")
FALSE_FLAGS = {"", "0", "0.0", "false", "no", "none", "nan"}
MISSPELT = {"guit": "guilt"}  # stands so in some copies
RECORD_START = re.compile(r'"?\d+"?\|')
RECORD_END = re.compile(r'\|"?\d+"?\|?\s*$')  # after the answer, a code and, not in every row, an empty field


def unwrapped(text):
    """The answer in one line, without the export's line-wrap marks."""
    return " ".join(LINE_WRAP.sub(" ", text).split())


def read(path, spec=SPEC, split="test"):
    """ISEAR in its original `|`-separated export or as cleaned CSV, without the bracketed non-events."""
    content = read_text(path, WINDOWS)
    # Only the original export has a published size; a cleaned copy may already lack the non-events.
    original = "|" in content.split("\n", 1)[0]
    rows, kept = 0, []
    for line, identifier, text, emotion, flagged in export_rows(content, path) if original else clean_rows(path):
        rows += 1
        text = unwrapped(text)
        if text and not flagged and not BRACKETED.match(text):
            kept.append((line, identifier, text, MISSPELT.get(emotion.strip().lower(), emotion)))
    texts, targets, ids, _ = collect(kept, spec, path)
    return texts, targets, ids, rows if original else None


def clean_rows(path):
    """Rows of a cleaned copy: line, id, text, emotion, whether it is marked as no event."""
    for line, row in read_csv(path, ("subject_id", "key", "emotion", "text", "bracketed", "no_event"), WINDOWS):
        flagged = any(row[flag].strip().lower() not in FALSE_FLAGS for flag in ("bracketed", "no_event"))
        yield line, f"{row['subject_id']}-{row['key']}", row["text"], row["emotion"], flagged


def export_rows(content, path):
    """
    Rows of the original export: line, id, answer, emotion, `False`.

    Its answers cannot be read as CSV: they wrap over lines, are not always quoted, and hold separators. Every other
    column holds a code without any, so what exceeds the header belongs to the answer.
    """
    lines = content.split("\n")
    header = [name.strip().strip('"').upper() for name in lines[0].split("|")]
    missing = [name for name in ("ID", "Field1", "SIT") if name.upper() not in header]
    if missing:
        raise DamagedFile(path, 1, f"no column {', '.join(missing)}; the header has {', '.join(header)}.")
    identifier, emotion, answer = (header.index(name) for name in ("ID", "FIELD1", "SIT"))
    after = len(header) - answer - 1 - (header[-1] == "")
    for line, record in whole_records(lines, answer, path):
        fields = record.split("|")
        last = after + (not fields[-1].strip())  # not every row ends with the empty field that the header ends with
        if len(fields) < answer + 1 + last:
            raise DamagedFile(path, line, f"{len(fields)} fields where the header has {len(header)}.")
        text = "|".join(fields[answer : len(fields) - last])
        yield line, f"{fields[identifier]}-{line}", unquoted(text), fields[emotion].strip().strip('"'), False


def whole_records(lines, answer, path):
    """The export's records with the lines on which they start; `answer` is the place of the only column that wraps."""
    start, record = 0, ""
    for number, content in enumerate(lines[1:], start=2):
        if RECORD_START.match(content) and content.count("|") >= answer:
            if record:
                yield start, record
            start, record = number, content
        elif content.strip() and (not record or (RECORD_END.search(record) and "|" in content)):
            raise DamagedFile(path, number, f"{content.count('|') + 1} fields, and the row before is complete.")
        elif record:
            record += "\n" + content
    if record:
        yield start, record.rstrip()


def unquoted(text):
    """A field without the quotes around it; a backslash takes the next sign as it is."""
    text = text.strip()
    if text.startswith('"'):
        text = text[1:]
        if re.search(r'(?<!\\)(\\\\)*"$', text):
            text = text[:-1]
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)
