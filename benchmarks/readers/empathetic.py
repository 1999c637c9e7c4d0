"""EmpatheticDialogues: what somebody told a listener, one of 32 labels each."""

from .parsing import WINDOWS, DamagedFile, collect, read_csv, read_lines, read_text
from .records import SINGLE_LABEL, BenchmarkSpec, words

__all__ = ["SPEC", "read"]

LABELS = words(
    "afraid angry annoyed anticipating anxious apprehensive ashamed caring confident content "
    "devastated disappointed disgusted embarrassed excited faithful furious grateful guilty hopeful "
    "impressed jealous joyful lonely nostalgic prepared proud sad sentimental surprised terrified "
    "trusting"
)
SPEC = BenchmarkSpec(
    name="empathetic",
    folder="empathetic",
    task=SINGLE_LABEL,
    labels=LABELS,
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


def read(path, spec=SPEC, split="test"):
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
