"""The lexicon: what is known of each descriptor, read and written in one place."""

import os
from typing import NamedTuple, TypedDict

from ..files import writing
from .formats import format_of
from .labels import clean_labels, is_missing
from .rows import DIMENSIONS, ratings
from .sources import NoSuchSplit, iter_rows

__all__ = ["COLUMNS", "LexiconEntry", "LexiconSplits", "load_lexicon", "read_lexicon", "write_lexicon"]

COLUMNS = ("descriptor", *DIMENSIONS, "implies")


class LexiconEntry(TypedDict):
    """
    What is known of a descriptor.

    Args:
        valence, arousal, dominance (`float`): Of the person who feels it, 1 to 9.
        implies (`list[str]`): Plain words that a careful reader would also accept, most fitting first.
    """

    valence: float
    arousal: float
    dominance: float
    implies: list


class LexiconSplits(NamedTuple):
    """
    The lexicon of a data set.

    Args:
        entries (`dict[str, LexiconEntry]`): The descriptors that were rated.
        held_out (`set[str]`): Descriptors that no training text carries, rated or not.
    """

    entries: dict
    held_out: set


def read_lexicon(source, *, split=None, config=None):
    """
    The ratings and implied words of descriptors.

    Args:
        source (`str` or `Path`): A table with the columns `descriptor`, `valence`, `arousal`, `dominance` and
            `implies` (a list, or words separated by commas); a name without a known suffix is read as TSV. Or a data
            set that has such a configuration.
        split, config (`str`, *optional*): Which part of a data set.

    Returns:
        `dict[str, LexiconEntry]`: descriptors in normal form; those without ratings are left out.

    Raises:
        `ValueError`: for a line that does not fit, or a descriptor that stands there twice; the sentence names it.

    Example:

    ```python
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile("w", suffix=".tsv") as file:
    ...     print(*COLUMNS, sep="\\t", file=file)
    ...     print("forlorn", 2.1, 3.4, 2.2, "sadness, loneliness", sep="\\t", file=file, flush=True)
    ...     read_lexicon(file.name)["forlorn"]["implies"]
    ['sadness', 'loneliness']

    ```
    """
    found = dict(_entries(source, split, config))
    if not found:
        raise ValueError(f"{source}: no descriptor stands in it")
    return {descriptor: entry for descriptor, entry in found.items() if entry is not None}


def load_lexicon(source, config="lexicon"):
    """
    The lexicon of a data set with its held-out descriptors, or a file, which holds none out.

    Args:
        source (`str`): A data set folder or Hub id, or a file as for [`read_lexicon`].
        config (`str`, *optional*, defaults to `"lexicon"`): The configuration.

    Returns:
        [`LexiconSplits`]

    Raises:
        `ValueError`, `OSError`: see [`read_lexicon`].
    """
    if os.path.isfile(source):
        return LexiconSplits(read_lexicon(source), set())
    found = dict(_entries(source, "train", config))
    try:
        held_out = dict(_entries(source, "validation", config))
    except NoSuchSplit:
        held_out = {}
    entries = {descriptor: entry for descriptor, entry in (found | held_out).items() if entry is not None}
    return LexiconSplits(entries, set(held_out))


def _entries(source, split, config):
    kind = None
    if os.path.isfile(source) and format_of(source) in (None, "lines"):
        kind = "tsv"
    seen = {}
    for row in iter_rows(source, split=split, config=config, kind=kind):
        values = row.values
        if row.error:
            raise ValueError(f"{row.place}: {row.error}")
        if missing := [name for name in COLUMNS if name not in values]:
            raise ValueError(f"{row.place}: no column {missing[0]!r}; a lexicon has the columns {', '.join(COLUMNS)}")
        try:
            (descriptor,) = clean_labels([values["descriptor"]])
        except ValueError:
            raise ValueError(f"{row.place}: there is no descriptor") from None
        if descriptor in seen:
            raise ValueError(f"{row.place}: {descriptor!r} stands there twice ({seen[descriptor]}); keep one line")
        seen[descriptor] = row.place
        if all(is_missing(values[name]) for name in DIMENSIONS):  # a descriptor that nobody rated
            yield descriptor, None
            continue
        try:
            entry = ratings(values, needed=True)
        except ValueError as error:
            raise ValueError(f"{row.place}: {error}") from None
        yield descriptor, entry | {"implies": _words(values["implies"])}


def _words(value):
    if is_missing(value):
        return []
    words = value.split(",") if isinstance(value, str) else list(value)
    words = [" ".join(str(word).lower().split()) for word in words]
    return list(dict.fromkeys(word for word in words if word))


def write_lexicon(path, lexicon):
    """
    Write a lexicon as TSV, in alphabetical order, whole or not at all.

    Args:
        path (`str` or `Path`): The file.
        lexicon (`dict[str, LexiconEntry]`): What [`read_lexicon`] gives.
    """
    with writing(path, newline="\n", errors="backslashreplace") as file:
        print(*COLUMNS, sep="\t", file=file)
        for descriptor, entry in sorted(lexicon.items()):
            numbers = (f"{entry[name]:.1f}" for name in DIMENSIONS)
            print(descriptor, *numbers, ", ".join(entry["implies"]), sep="\t", file=file)
