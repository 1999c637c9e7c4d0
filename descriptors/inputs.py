"""What a data set is built from: tables, or data sets that were built before."""

import os
from dataclasses import dataclass, replace
from pathlib import Path

from .labels import GOEMOTIONS, clean_labels, is_missing, read_labels
from .lexicon import load_lexicon, read_lexicon
from .matching import comparison_key, fingerprint
from .rows import ratings
from .sources import NoSuchSplit, iter_rows

__all__ = [
    "HELD_OUT_GROUP",
    "DataInputs",
    "HeldOut",
    "config_rows",
    "read_closed",
    "read_held_out",
    "read_lexicons",
    "read_rated",
]

HELD_OUT_GROUP = "held-out contrast"  # `selection` of the groups that are kept out of training whole


@dataclass(frozen=True)
class DataInputs:
    """
    What a data set is built from: tables, or folders of data sets that were built before.

    Args:
        descriptors (`tuple[str]`): Annotated texts.
        readings (`tuple[str]`): Annotated texts that all have ratings of their own.
        contrasts (`tuple[str]`): Annotated texts in groups, with `group` and `theme`.
        closed (`str`, *optional*): Labels from GoEmotions' 28 names, by `id`.
        rated (`str`, *optional*): Plain words and ratings of texts, by `id`.
        lexicon (`tuple[str]`): Ratings and implied words of descriptors.
        unread (`tuple[str]`): Texts without labels.
        exclude (`tuple[str]`): Evaluation files whose texts must not occur.
        held_out (`str`, *optional*): A data set, or its lexicon's validation file, whose held-out descriptors (and
            groups of contrasts) stay held out.
        without (`tuple[str]`): Sources to leave out.
        extend (`str`, *optional*): A data set of which all of the above is taken first.
    """

    descriptors: tuple = ()
    readings: tuple = ()
    contrasts: tuple = ()
    closed: str | None = None
    rated: str | None = None
    lexicon: tuple = ()
    unread: tuple = ()
    exclude: tuple = ()
    held_out: str | None = None
    without: tuple = ()
    extend: str | None = None

    def extended(self):
        """`DataInputs`: with the configurations of `extend` in the places that they belong to."""
        if self.extend is None:
            return self
        folder = self.extend
        if not (Path(folder) / "default").is_dir():
            raise ValueError(f"{folder} is no built data set: it has no folder `default`")

        def has(config):
            return (Path(folder) / config).is_dir()

        return replace(
            self,
            extend=None,
            descriptors=(folder, *self.descriptors),
            lexicon=(*([folder] if has("lexicon") else []), *self.lexicon),
            unread=(*([folder] if has("unread") else []), *self.unread),
            closed=self.closed or (folder if has("closed28") else None),
            rated=self.rated or (folder if has("rated") else None),
            held_out=self.held_out or folder,
        )


def config_rows(source, config):
    """
    All rows of a table, or of one configuration of a data set in a folder.

    Args:
        source (`str`): The table or the folder.
        config (`str`): The configuration.
    """
    config = config if os.path.isdir(source) else None
    return iter_rows(source, split="all", config=config)


# ---- second readings


def _view(source, config):
    """(place, id, row) of a second reading of some texts, ids all different."""
    seen = set()
    for row in config_rows(source, config):
        if row.error:
            raise ValueError(f"{row.place}: {row.error}")
        if row.values.get("status") not in (None, "ok"):
            continue
        identifier = row.values.get("id")
        if is_missing(identifier) or str(identifier) in seen:
            raise ValueError(f"{row.place}: `id` is missing or repeated")
        seen.add(str(identifier))
        yield row.place, str(identifier), row.values


def _view_labels(values, place):
    try:
        return clean_labels(read_labels(values.get("labels")))
    except ValueError as error:
        raise ValueError(f"{place}: {error}") from None


def read_closed(source):
    """
    The closed-list labels of texts.

    Args:
        source (`str`): A table of `id` and `labels` from GoEmotions' 28 names, or a data set.

    Returns:
        `dict[str, dict]`: by id.
    """
    closed = {}
    for place, identifier, values in _view(source, "closed28"):
        labels = _view_labels(values, place)
        if unknown := sorted(set(labels) - set(GOEMOTIONS)):
            raise ValueError(f"{place}: {unknown[0]!r} is not one of GoEmotions' 28 labels")
        closed[identifier] = {"labels": labels}
    return closed


def read_rated(source):
    """
    Plain words and ratings of texts.

    Args:
        source (`str`): A table of `id`, `labels` (which may be empty) and ratings, or a data set.

    Returns:
        `dict[str, dict]`: by id.
    """
    rated = {}
    for place, identifier, values in _view(source, "rated"):
        words = values.get("labels")
        labels = [] if isinstance(words, list) and not words else _view_labels(values, place)
        try:
            rated[identifier] = {"labels": labels} | ratings(values, needed=True)
        except ValueError as error:
            raise ValueError(f"{place}: {error}") from None
    return rated


def read_lexicons(sources):
    """
    Several lexicons as one; a descriptor stands in one of them.

    Args:
        sources (`Iterable[str]`): See [`read_lexicon`].
    """
    lexicon, places = {}, {}
    for source in sources:
        found = load_lexicon(source).entries if os.path.isdir(source) else read_lexicon(source)
        if twice := sorted(found.keys() & lexicon.keys()):
            raise ValueError(f"{source}: {twice[0]!r} stands in {places[twice[0]]} too; keep one line")
        lexicon |= found
        places |= dict.fromkeys(found, source)
    return lexicon


# ---- held out before


@dataclass(frozen=True)
class HeldOut:
    """
    What an earlier build held out.

    Args:
        descriptors (`set[str]`): Descriptors.
        groups (`set[str]`): Groups of contrasts, by the least fingerprint of their texts.
    """

    descriptors: set = frozenset()
    groups: set = frozenset()


def read_held_out(source):
    """
    What an earlier build held out.

    Args:
        source (`str` or `None`): Its folder, or its lexicon's validation file.

    Returns:
        [`HeldOut`]
    """
    if source is None:
        return HeldOut()
    if not os.path.isdir(source):
        words = set()
        for row in iter_rows(source):
            if row.error or not isinstance(row.values.get("descriptor"), str):
                raise ValueError(f"{row.place}: {row.error or 'no column `descriptor`'}")
            words.update(clean_labels([row.values["descriptor"]]))
        return HeldOut(words)
    lexicon = load_lexicon(source)
    groups = {}
    try:
        for row in iter_rows(source, split="validation", config="default"):
            if row.values.get("group") is not None and row.values.get("selection") == HELD_OUT_GROUP:
                key = fingerprint(comparison_key(row.values["text"])).hex()
                groups[row.values["group"]] = min(key, groups.get(row.values["group"], key))
    except NoSuchSplit:
        pass
    return HeldOut(lexicon.held_out, set(groups.values()))
