"""Rows of a descriptor data set: what stands in them, and one way to read and check them."""

import hashlib
from typing import Required, TypedDict

from .labels import UnreadableList, clean_labels, is_missing, read_labels, readable
from .left_out import LeftOut
from .sources import NoSuchSplit, iter_rows
from .tables import is_empty_text

__all__ = ["DIMENSIONS", "SPLITS", "DescriptorRow", "check_row", "load_rows", "rating", "ratings"]

SPLITS = ("train", "validation")
DIMENSIONS = ("valence", "arousal", "dominance")
_WORDS = {"source": "unknown", "genre": "", "selection": ""}


class DescriptorRow(TypedDict, total=False):
    """
    One text with its descriptors.

    Args:
        text (`str`): The text.
        labels (`list[str]`): Its descriptors, most salient first; `["neutral"]` where nothing is expressed.
        id (`str`): Unique in its data set.
        source (`str`): Where the text comes from; its licence goes with it.
        genre (`str`): What kind of text it is, empty where nobody said.
        selection (`str`): How it was chosen: `random`, `by model`, `by specification`, `contrast`, ...
        group (`str` or `None`): Which texts it is a contrast to: those of the same group.
        theme (`str` or `None`): What turns the feeling within the group.
        valence, arousal, dominance (`float` or `None`): Ratings of the text itself, 1 to 9.
        status (`str`): Of a row that an annotation wrote; only `ok` rows are taken.
    """

    text: Required[str]
    labels: Required[list]
    id: str
    source: str
    genre: str
    selection: str
    group: str | None
    theme: str | None
    valence: float | None
    arousal: float | None
    dominance: float | None
    status: str


def load_rows(source, split, config=None, *, labels=True, say=None):
    """
    The rows of a descriptor data set, as they are trained on.

    Args:
        source (`str`): A table, a folder with a data set card, or a Hub id, see [`iter_rows`].
        split (`str`): `train` or `validation`; a single file is `train`.
        config (`str`, *optional*): Configuration of the data set.
        labels (`bool`, *optional*, defaults to `True`): Whether each row must have labels; otherwise a list that is
            empty or missing is an empty one.
        say (`Callable[[str], None]`, *optional*): Told of rows without text or labels, which are left out while they
            are few, see [`LeftOut`]; by default the first is refused.

    Returns:
        `list[DescriptorRow]` or `None`: the rows with all their columns, labels in normal form, those whose `status`
        is not `ok` left out; `None` if the data set has no such split.

    Raises:
        `ValueError`, `OSError`: if there is no such source, or for a row without text or labels, naming its place.

    Example:

    ```python
    >>> load_rows([{"text": "Finally home.", "labels": "relief, joy"}], "train")
    [{'text': 'Finally home.', 'labels': ['relief', 'joy']}]

    ```
    """
    rows, bad = [], LeftOut(say)
    try:
        for row in iter_rows(source, split=split, config=config):
            values = _named(row.values)
            if row.error is None and values.get("status") not in (None, "ok"):
                continue
            problem, of_table = row.error or _text_problem(values), row.of_table
            if row.error is None and not rows:  # a column that the first row lacks, all lack
                of_table = "text" not in values or (labels and "labels" not in values)
            try:
                found = _labels(values, labels) if problem is None else []
            except ValueError as error:
                problem, of_table = str(error), of_table or isinstance(error, UnreadableList)
            if problem:
                bad.add(row.place, problem, of_table)
            else:
                rows.append(values | {"text": readable(values["text"]), "labels": found})
    except NoSuchSplit:
        return None
    bad.settle(len(rows) + bad.count)
    return rows


def _named(values):
    """A row in which the columns that must be there have their names, however people write them (`Text`)."""
    if "text" in values and "labels" in values:
        return values
    found = {name: str(name).strip().casefold() for name in values}
    there = {plain: name for name, plain in found.items() if plain in ("text", "labels") and plain not in values}
    return values | {plain: values[name] for plain, name in there.items()}


def _text_problem(values):
    if "text" not in values:
        return f"a row needs `text` and `labels`; this one has {', '.join(map(str, values)) or 'nothing'}"
    if not isinstance(values["text"], str) or is_empty_text(values["text"]):
        return "`text` must be a string that is not blank"
    return None


def _labels(values, needed):
    value = values.get("labels")
    if not needed and (is_missing(value) or (hasattr(value, "__len__") and len(value) == 0)):
        return []
    if needed and "labels" not in values:
        raise ValueError(f"a row needs `text` and `labels`; it has {', '.join(map(str, values))}")
    return clean_labels(read_labels(value))


def check_row(row):
    """
    A row as a data set stores it: every column there, labels in normal form, ratings within their scale.

    Args:
        row ([`FileRow`]): As read.

    Returns:
        [`DescriptorRow`] or `None`: without `status`; `None` for a row whose status is not `ok`.

    Raises:
        `ValueError`: for what cannot be stored, naming its place.

    Example:

    ```python
    >>> from emodistill.descriptors.formats import FileRow

    >>> row = check_row(FileRow("mine.jsonl", "line", 1, {"text": "Finally home.", "labels": ["Relief"], "id": 7}))
    >>> row["id"], row["labels"], row["source"], row["valence"]
    ('7', ['relief'], 'unknown', None)

    ```
    """
    values = row.values
    if row.error is None and values.get("status") not in (None, "ok"):
        return None
    problem = row.error or _text_problem(values)
    if problem:
        raise ValueError(f"{row.place}: {problem}")
    text = values["text"]
    try:
        digest = hashlib.sha256(text.encode()).hexdigest()
    except UnicodeEncodeError:  # what is published is not mended in passing
        raise ValueError(f"{row.place}: `text` holds half a surrogate pair, which is not valid Unicode") from None
    checked = {"id": digest[:12]} | _WORDS | {"group": None, "theme": None}
    given = {name: values[name] for name in checked if not is_missing(values.get(name)) and values[name] != ""}
    checked |= {name: readable(str(value)) for name, value in given.items()}
    try:
        return checked | {"text": text, "labels": _labels(values, True)} | ratings(values)
    except ValueError as error:
        raise ValueError(f"{row.place}: {error}") from None


def ratings(values, needed=False):
    """
    The three ratings of a row, `dict[str, float]`.

    Args:
        values (`dict`): The row.
        needed (`bool`, *optional*, defaults to `False`): Whether it must have them; otherwise all are `None` where it
            has none.

    Raises:
        `ValueError`: for anything else, see [`rating`].
    """
    found = {name: values.get(name) for name in DIMENSIONS}
    missing = [name for name in DIMENSIONS if is_missing(found[name]) or found[name] == ""]
    if len(missing) == len(DIMENSIONS) and not needed:
        return dict.fromkeys(DIMENSIONS)
    return {name: rating(found[name], name) for name in DIMENSIONS}


def rating(value, name):
    """
    A rating on the scale from 1 to 9.

    Args:
        value (`float` or `str`): What stands there.
        name (`str`): What it is, for the error; where it stands is the reader's to say.

    Returns:
        `float`

    Raises:
        `ValueError`: for anything else.

    Example:

    ```python
    >>> rating("6.5", "valence")
    6.5

    ```
    """
    try:
        number = float(value)
        if 1 <= number <= 9 and not isinstance(value, bool):
            return number
    except (ValueError, TypeError):
        pass
    raise ValueError(f"{name} must be a number from 1 to 9, not {value!r}")
