"""Variants of the descriptor data for ablations: other formats, other supervision, labels taken out.

Every function takes and gives rows with `id`, `text` and `labels`; rows that lose all labels are left out.
"""

import json
from collections import Counter
from pathlib import Path

from ..benchmarks.readers import load_benchmark
from ..files import write_text

__all__ = [
    "FAMILIES", "LABEL_DROPS", "build_variant", "descriptor_format", "drop_words", "frequent_descriptors",
    "human_rows", "names_label", "other_labels", "plain_words", "relabel", "without_intensity",
    "write_variant_lexicon", "write_variant_rows",
]  # fmt: skip

INTENSITY = frozenset(
    """
    absolute absolutely bit bitter burning complete completely deep deeply extreme extremely faint faintly
    fierce fiercely gentle gently great heavy high highly huge immense immensely incredible incredibly intense
    intensely light lightly little low mild mildly moderate moderately overwhelming overwhelmingly profound
    profoundly pure quiet quietly quite rather really serious seriously sharp sheer slight slightly so soft
    softly somewhat strong strongly total totally utter utterly vague vaguely very weak
    """.split()  # noqa: SIM905
)
PLAIN_WORDS = 60  # the words the lexicon implies most often count as plain, all others as precise
IMPLIED_WORDS = 2  # plain words taken from each descriptor
ROW_KEYS = ("id", "text", "labels", "source", "selection", "group")  # what training reads of a row

# Eight labels each, spread over pleasant and unpleasant, calm and excited; no label stands in two of the sets.
LABEL_DROPS = {
    "drop1": (
        "amusement", "anger", "caring", "disappointment", "embarrassment", "gratitude", "nervousness", "pride",
    ),
    "drop2": ("admiration", "annoyance", "curiosity", "disgust", "excitement", "grief", "optimism", "sadness"),
    "drop3": ("approval", "confusion", "desire", "disapproval", "fear", "joy", "relief", "remorse"),
}  # fmt: skip
# SemEval-2018 labels that GoEmotions lacks: unseen in training on human labels, without taking anything out.
SEMEVAL2018_UNSEEN = ("anticipation", "pessimism", "trust")
# Words of the same family: a descriptor with a word that begins so names the label.
FAMILIES = {
    "admiration": ("admir",), "amusement": ("amus",), "anger": ("anger", "angr"), "annoyance": ("annoy",),
    "approval": ("approv",), "caring": ("care", "caring"), "confusion": ("confus",), "curiosity": ("curio",),
    "desire": ("desir",), "disappointment": ("disappoint",), "disapproval": ("disapprov",), "disgust": ("disgust",),
    "embarrassment": ("embarrass",), "excitement": ("excit",), "fear": ("fear", "afraid"),
    "gratitude": ("gratitude", "grateful", "gratef"), "grief": ("grief", "griev"), "joy": ("joy",),
    "love": ("love", "loving"), "nervousness": ("nervous",), "optimism": ("optimis",), "pride": ("pride", "proud"),
    "realization": ("realiz", "realis"), "relief": ("relief", "reliev"), "remorse": ("remors",),
    "sadness": ("sad",), "surprise": ("surpris",),
    "anticipation": ("anticip",), "pessimism": ("pessimis",), "trust": ("trust",),
}  # fmt: skip


def names_label(descriptor, labels):
    """Whether a descriptor holds a word of a label's family.

    Example:

    ```python
    >>> from emodistill.experiments.descriptor_variants import names_label

    >>> names_label("quiet admiration", ["admiration"]), names_label("unfair treatment", ["fear"])
    (True, False)

    ```
    """
    stems = tuple(stem for label in labels for stem in FAMILIES.get(label, (label,)))
    return any(word.startswith(stems) for word in descriptor.lower().replace("-", " ").split())


def relabel(rows, change):
    """Rows with `change(labels)`, without duplicates; rows left with nothing are left out."""
    changed = ((row, list(dict.fromkeys(change(row["labels"])))) for row in rows)
    return [row | {"labels": labels} for row, labels in changed if labels]


def without_intensity(descriptor):
    """`deeply moved` becomes `moved`; a descriptor of nothing but such words stays."""
    words = [word for word in descriptor.split() if word not in INTENSITY]
    return " ".join(words) or descriptor


def plain_words(lexicon, most=PLAIN_WORDS):
    """The words that the lexicon implies most often, and `neutral`."""
    counts = Counter(word for words in lexicon.implies.values() for word in words)
    return {word for word, _ in counts.most_common(most)} | {"neutral"}


def descriptor_format(rows, name, lexicon):
    """Rows in one descriptor format.

    Args:
        rows (`list[dict]`): Rows with free descriptors.
        name (`str`): `all`, `first`, `single-words`, `no-intensity`, `precise` or `plain`.
        lexicon (`training.targets.Lexicon`): Says which words are plain and what descriptors imply.

    Returns:
        `list[dict]`.
    """
    plain = plain_words(lexicon) if name == "precise" else set()

    def implied(labels):
        for label in labels:
            yield from lexicon.implies.get(label, [])[:IMPLIED_WORDS] or [label]

    changes = {
        "all": lambda labels: labels,
        "first": lambda labels: labels[:1],
        "single-words": lambda labels: [label for label in labels if " " not in label],
        "no-intensity": lambda labels: map(without_intensity, labels),
        "precise": lambda labels: [label for label in labels if label not in plain or label == "neutral"],
        "plain": implied,
    }
    if name not in changes:
        raise ValueError(f"format: no descriptor format {name!r}; choose from {', '.join(changes)}.")
    return relabel(rows, changes[name])


def frequent_descriptors(rows, most):
    """The most frequent descriptors of rows, a `set`; of equally frequent ones the first in the alphabet."""
    counts = Counter(label for row in rows for label in row["labels"])
    return {label for label, _ in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:most]}


def drop_words(rows, labels):
    """Rows without descriptors that name any of the labels."""
    return relabel(rows, lambda names: [name for name in names if not names_label(name, labels)])


def human_rows(data_dir):
    """GoEmotions' training texts with their human labels, for the human-label arms only.

    Args:
        data_dir (`str`): Holds `goemotions/train.tsv`.

    Returns:
        `list[dict]`: `id`, `text`, `labels`.
    """
    data = load_benchmark("goemotions", data_dir, split="train")
    names = data.spec.labels
    return [
        {"id": identifier, "text": text, "labels": [names[index] for index in target.nonzero()[0]]}
        for identifier, text, target in zip(data.ids, data.texts, data.targets, strict=True)
    ]


def write_variant_lexicon(path, lexicon, drop):
    """The lexicon as TSV, without descriptors and implied words that name the dropped labels."""
    lines = ["descriptor\tvalence\tarousal\tdominance\timplies"]
    for descriptor, ratings in lexicon.ratings.items():
        if not names_label(descriptor, drop):
            implied = [word for word in lexicon.implies.get(descriptor, []) if not names_label(word, drop)]
            lines.append("\t".join([descriptor, *map(str, ratings), ", ".join(implied)]))
    write_text(path, "\n".join(lines) + "\n")
    return path


def write_variant_rows(folder, train, validation):
    """A data set folder, `train.jsonl` and `validation.jsonl`, as `training.data.load_training_rows` reads it."""
    for name, rows in (("train", train), ("validation", validation)):
        kept = [{key: row[key] for key in ROW_KEYS if key in row} for row in rows]
        lines = (json.dumps(row, ensure_ascii=False) for row in kept)
        write_text(Path(folder) / f"{name}.jsonl", "\n".join(lines) + "\n")
    return Path(folder)


def other_labels(descriptors, data_dir, supervision, matched):
    """Closed-list and human labels by text id, each only where the variant needs it."""
    from ..training.data import load_training_rows

    closed, human = {}, {}
    if supervision == "closed" or matched == "all":
        for split in ("train", "validation"):
            closed |= {row["id"]: row["labels"] for row in load_training_rows(descriptors, split, "closed28")}
    if supervision == "human" or matched:
        human = {row["id"]: row["labels"] for row in human_rows(data_dir)}
    return closed, human


def build_variant(spec, descriptors, data_dir, folder, lexicon=None):
    """The training data that one ablation cell asks for.

    Args:
        spec (`dict`): `supervision` (`descriptors`, `closed` or `human`), `format`, `drop` (labels), `matched`
            (`all`: only texts that have all three supervisions; `human`: only texts with human labels),
            `vocabulary` (only so many of the most frequent descriptors).
        descriptors (`str`): The descriptor data set.
        data_dir (`str`): Benchmark directory, for human labels.
        folder (`str` or `Path`): Where the variant is written.
        lexicon (`str`, *optional*): The lexicon, as training names it; that of the data set by default.

    Returns:
        `dict`: training arguments `data` and `lexicon` for this variant.
    """
    from ..training.data import load_training_rows
    from ..training.encoders import lexicon_path
    from ..training.targets import Lexicon

    unknown = set(spec) - {"supervision", "format", "drop", "matched", "vocabulary"}
    if unknown:
        raise ValueError(f"descriptors: unknown key {', '.join(sorted(unknown))} in an ablation cell.")
    supervision, drop = spec.get("supervision", "descriptors"), tuple(spec.get("drop") or ())
    matched = spec.get("matched")
    if matched not in (None, "all", "human"):
        raise ValueError(f"matched: {matched!r} is not all or human.")
    named = str(lexicon or descriptors)
    lexicon = Lexicon.load(lexicon_path(named))
    splits = {split: load_training_rows(descriptors, split) for split in ("train", "validation")}
    closed, human = other_labels(descriptors, data_dir, supervision, matched)
    for split, rows in splits.items():
        if matched:
            rows = [row for row in rows if row["id"] in human and (matched == "human" or row["id"] in closed)]
        source = {"closed": closed, "human": human}.get(supervision)
        if source is not None:
            rows = [row | {"labels": source[row["id"]]} for row in rows if row["id"] in source]
        elif supervision == "descriptors":
            rows = descriptor_format(rows, spec.get("format", "all"), lexicon)
        else:
            raise ValueError(f"supervision: {supervision!r} is not descriptors, closed or human.")
        if not rows:
            raise ValueError(f"descriptors: no {split} text fits an ablation cell's {spec}.")
        splits[split] = drop_words(rows, drop) if drop else rows
    if spec.get("vocabulary"):
        kept = frequent_descriptors(splits["train"], spec["vocabulary"])
        splits = {
            split: relabel(rows, lambda labels: [label for label in labels if label in kept])
            for split, rows in splits.items()
        }
    folder = write_variant_rows(folder, splits["train"], splits["validation"])
    result = {"data": str(folder), "lexicon": named}
    if drop:
        result["lexicon"] = str(write_variant_lexicon(Path(folder).with_suffix(".lexicon.tsv"), lexicon, drop))
    return result
