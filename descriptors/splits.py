"""Which split a text, a descriptor, a group of contrasts belongs to: by hash, never at random."""

from collections import Counter

from .labels import GOEMOTIONS
from .matching import comparison_key, fraction

__all__ = ["choose_groups", "choose_held_out", "split_of"]

HELD_OUT_SHARE, HELD_OUT_MOST_TEXTS = 0.08, 60
VALIDATION_SHARE = 0.025
HELD_OUT_GROUPS, HELD_OUT_GROUP_SHARE = 500, 0.1


def choose_held_out(counts, lexicon):
    """
    Descriptors that no training text may carry: rare enough, in no other descriptor's `implies`, by hash.

    Args:
        counts (`dict[str, int]`): How many texts carry each descriptor.
        lexicon (`dict[str, LexiconEntry]`): What they imply; may be empty.

    Returns:
        `set[str]`: about 8 % of the descriptors that occur at most 60 times and are not GoEmotions' own names.
    """
    implied = {word for entry in lexicon.values() for word in entry["implies"]}
    return {
        descriptor
        for descriptor, count in counts.items()
        if count <= HELD_OUT_MOST_TEXTS
        and descriptor not in implied
        and descriptor not in GOEMOTIONS
        and fraction("held-out descriptor", descriptor) < HELD_OUT_SHARE
    }


def split_of(text, labels, held_out):
    """
    The split of a text that belongs to no group.

    Args:
        text (`str`): The text.
        labels (`list[str]`): Its descriptors.
        held_out (`set[str]`): Descriptors that no training text may carry.

    Returns:
        `str`: `validation` with a held-out descriptor, and for 2.5 % of the others, by hash of the text; else `train`.
    """
    if not held_out.isdisjoint(labels):
        return "validation"
    return "validation" if fraction("validation text", comparison_key(text)) < VALIDATION_SHARE else "train"


def choose_groups(themes, before=()):
    """
    Groups of contrasts that are kept out of training whole: 500, or a tenth where they are few.

    They are spread evenly over the themes, and within a theme chosen by hash.

    Args:
        themes (`dict[str, str]`): The theme of each group, by a key that follows from the group's texts alone.
        before (`Iterable[str]`, *optional*): Keys of groups that an earlier build chose; they are taken first.

    Returns:
        `set[str]`: the keys.
    """
    before = set(before)
    wanted = min(HELD_OUT_GROUPS, int(len(themes) * HELD_OUT_GROUP_SHARE))
    queues = {}
    for key, theme in themes.items():
        queues.setdefault(theme, []).append((key not in before, fraction("held-out group", key), key))
    queues = {theme: sorted(queue, reverse=True) for theme, queue in queues.items()}
    chosen, taken = set(), Counter()
    while len(chosen) < wanted:
        open_themes = [theme for theme, queue in queues.items() if queue]
        theme = min(open_themes, key=lambda name: (taken[name], fraction("theme", name)))
        chosen.add(queues[theme].pop()[2])
        taken[theme] += 1
    return chosen
