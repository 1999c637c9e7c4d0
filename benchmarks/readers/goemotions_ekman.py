"""GoEmotions by its authors' seven Ekman groups: the texts whose labels fall into exactly one, a single-label set."""

from dataclasses import replace

import numpy as np

from . import goemotions
from .records import SINGLE_LABEL, words

__all__ = ["GROUPS", "SPEC", "group_of", "of_one_group", "read", "read_hub"]

# The grouping that GoEmotions' authors publish (ekman_mapping.json in google-research/goemotions).
GROUPS = {
    "anger": ("anger", "annoyance", "disapproval"),
    "disgust": ("disgust",),
    "fear": ("fear", "nervousness"),
    "joy": words("joy amusement approval excitement gratitude love optimism relief pride admiration desire caring"),
    "neutral": ("neutral",),
    "sadness": ("sadness", "disappointment", "embarrassment", "grief", "remorse"),
    "surprise": ("surprise", "realization", "confusion", "curiosity"),
}
SPEC = replace(
    goemotions.SPEC,
    name="goemotions-ekman",
    task=SINGLE_LABEL,
    labels=tuple(GROUPS),
    source=f"{goemotions.SPEC.source} (its Ekman grouping, texts of one group only)",
)


def group_of(targets):
    """The Ekman group of each row of GoEmotions targets, -1 where labels of several groups are set."""
    groups = np.array(
        [[label in members for label in goemotions.SPEC.labels] for members in GROUPS.values()], dtype=np.int64
    )
    hits = (targets.astype(np.int64) @ groups.T) > 0
    return np.where(hits.sum(axis=1) == 1, hits.argmax(axis=1), -1)


def of_one_group(texts, targets, ids, rows):
    """What a reader gives for GoEmotions, reduced to the texts of one group (neutral is a group of its own)."""
    groups = group_of(targets) if len(targets) else np.zeros(0, dtype=np.int64)
    kept = np.flatnonzero(groups >= 0)
    return [texts[i] for i in kept], groups[kept], [ids[i] for i in kept], rows


def read(path, spec=SPEC, split="test"):
    """A GoEmotions file, see `goemotions.read`.

    Returns:
        `tuple`: texts, indices of groups `(texts,)`, ids, rows in the file.
    """
    return of_one_group(*goemotions.read(path))


def read_hub(table, spec, split):
    """What `read` gives, from the Hub's table."""
    return of_one_group(*goemotions.read_hub(table, spec, split))
