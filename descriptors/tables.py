"""One reader for texts and labels, whatever holds them: for annotation, training, scoring and the page.

[`iter_texts`] streams in constant memory and hands damaged rows on with the reason; [`read_texts`] gives a list and
refuses them. Columns are chosen by name. Every fault names the file and the line.
"""

import difflib
import json
import unicodedata
from dataclasses import dataclass, field

from .formats import FileRow
from .labels import UnreadableList, is_missing, read_labels, readable
from .left_out import LeftOut
from .sources import NoSuchSplit, iter_rows, name_of

__all__ = ["FileRow", "NoSuchSplit", "TextRow", "is_empty_text", "iter_rows", "iter_texts", "read_texts"]


@dataclass(frozen=True, slots=True)
class TextRow:
    """
    One text.

    Args:
        id (`str`): Unique in its input.
        source (`str`): Where it comes from, a word for the data set.
        text (`str`): The text, white space at its ends taken off; it may be empty. Lone surrogates are replaced.
        extra (`dict`): The columns named by `keep`, their values such as JSON can carry.
        labels (`list[str]`, *optional*): From the column of labels, where one was asked for.
        place (`str`): File and line.
        error (`str`, *optional*): Why it cannot be used.
        of_table (`bool`): Whether that may reach beyond the row, see [`FileRow`].
    """

    id: str
    source: str
    text: str
    extra: dict = field(default_factory=dict, hash=False)
    labels: list | None = field(default=None, hash=False)
    place: str = field(default="", compare=False)
    error: str | None = field(default=None, compare=False)
    of_table: bool = field(default=False, compare=False)


def iter_texts(
    source,
    *,
    text_column=None,
    id_column=None,
    labels_column=None,
    source_name=None,
    keep=(),
    blank="error",
    **where,
):
    """
    The texts of anything that holds a table, in a stream of constant memory; no row is left out.

    Args:
        source: A path, a folder, `"-"`, a Hub id or a Python object, see [`iter_rows`].
        text_column (`str`, *optional*): `text` by default.
        id_column (`str`, *optional*): `id` where there is such a column, the row's number otherwise.
        labels_column (`str`, *optional*): The column of labels; none are read by default.
        source_name (`str`, *optional*): The rows' `source`; by default the column `source`, or the file's or data
            set's name.
        keep (`Iterable[str]` or `"all"`): Columns to carry along unchanged; `"all"`: those that no other argument
            names.
        blank (`str`, *optional*, defaults to `"error"`): Whether a text that is missing or blank has an `error`, or
            is as good as another (`"keep"`).
        **where: Further arguments of [`iter_rows`], such as `split` and `encoding`.

    Yields:
        [`TextRow`]: with `error` set for what is no text, is damaged, or lacks its labels.

    Raises:
        `ValueError`: for a missing column, or a source that cannot be read.
        `OSError`, `ImportError`: see [`iter_rows`].

    Example:

    ```python
    >>> rows = list(iter_texts(["I am so glad", None]))
    >>> [(row.id, row.text, row.error) for row in rows]
    [('text-1', 'I am so glad', None), ('text-2', '', 'there is no text (null)')]

    ```
    """
    if blank not in ("error", "keep"):
        raise ValueError(f"blank is {blank!r}; 'error' or 'keep' is expected")
    name, names = name_of(source), (text_column, id_column, labels_column, keep)
    columns = None
    for number, row in enumerate(iter_rows(source, **where), 1):
        if columns is None and not row.error:  # of a damaged row, nobody knows what it lacks
            columns = _Columns(row, *names)
        yield _text_row(row, number, columns or _Columns(None, *names), source_name, name, blank)


def read_texts(source, *, blank="keep", say=None, **options):
    """
    The texts of anything that holds a table, as a list, or one sentence about the first row that is none.

    Args:
        source: See [`iter_texts`].
        blank (`str`, *optional*, defaults to `"keep"`): Whether a missing or blank text is refused (`"error"`).
        say (`Callable[[str], None]`, *optional*): Told of rows that are none, which then stay, with their `error`,
            while they are few, see [`LeftOut`].
        **options: Further arguments of [`iter_texts`].

    Returns:
        `list[TextRow]`: their ids are unique.

    Raises:
        `ValueError`: for a missing column, a malformed row, an id that occurs twice, or nothing to read.
        `OSError`, `ImportError`: see [`iter_rows`].

    Example:

    ```python
    >>> [row.id for row in read_texts(["I am so glad", "oh no"], source_name="mine")]
    ['mine-1', 'mine-2']

    ```
    """
    rows, seen, bad = [], {}, LeftOut(say)
    for row in iter_texts(source, blank=blank, **options):
        if row.error:
            bad.add(row.place, row.error, row.of_table)
        elif row.id in seen:
            raise ValueError(
                f"{row.place}: the id {row.id!r} stands in {seen[row.id]} too; ids must be unique: choose another "
                "id column, or leave it out of the input to number the rows"
            )
        seen[row.id] = row.place
        rows.append(row)
    if not rows:
        raise ValueError("the input has no rows")
    bad.settle(len(rows))
    return rows


def is_empty_text(text):
    """
    Whether a text shows nothing: white space, control and zero-width characters alone.

    Args:
        text (`str`)

    Example:

    ```python
    >>> is_empty_text(" \\u200b\\n"), is_empty_text("?")
    (True, False)

    ```
    """
    return all(character.isspace() or unicodedata.category(character) in ("Cf", "Cc") for character in text)


# ---- columns


class _Columns:
    """Which columns are read, settled by the first row that has any."""

    def __init__(self, row, text, id, labels, keep):
        self.all = keep == "all"
        self.keep = () if self.all else tuple(keep)
        if row is not None:
            text, id = self._found(row, text, id, labels)
        self.text, self.id, self.labels = text or "text", id, labels

    def _found(self, row, text, id, labels):
        names = [str(name) for name in row.values]
        missing = [name for name in (text, id, labels, *self.keep) if name is not None and name not in row.values]
        if text is None:
            text = next((name for name in names if name.strip().casefold() == "text"), None)
        if text is None or missing:
            what = f"no column {missing[0]!r}" if missing else "no column 'text', so name one"
            near = difflib.get_close_matches(missing[0], names, n=1) if missing else ()
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise ValueError(f"{row.place}: {what}{hint}; the columns are {', '.join(names)}")
        if id is None and "id" in row.values and text != "id":
            id = "id"
        return text, id

    def kept(self, values):
        if self.all:
            return {name: _plain(value) for name, value in values.items() if name not in (self.text, self.id)}
        return {name: _plain(values.get(name)) for name in self.keep}


def _text_row(row, number, columns, source_name, fallback, blank):
    values, error, of_table = row.values, row.error, row.of_table
    text, problem = _text(values, columns.text, blank)
    error = error or problem
    source = source_name or _word(values.get("source")) or fallback
    identity = _word(values.get(columns.id)) if columns.id else None
    labels = None
    if columns.labels:
        try:
            labels = read_labels(values.get(columns.labels))
        except ValueError as fault:
            of_table = of_table or (error is None and isinstance(fault, UnreadableList))
            error = error or f"column {columns.labels!r}: {fault}"
    identity = identity or f"{source}-{number}"
    return TextRow(identity, source, text, columns.kept(values), labels, row.place, error, of_table)


def _text(values, column, blank):
    if column not in values:
        return "", f"no {column!r}; it has {', '.join(map(str, values)) or 'nothing'}"
    text = values[column]
    if is_missing(text):
        return "", "there is no text (null)" if blank == "error" else None
    if isinstance(text, bytes):
        try:
            text = text.decode()
        except UnicodeDecodeError:
            return text.decode(errors="replace").strip(), f"{column!r} is not utf-8 text"
    if not isinstance(text, str):
        return "", f"{column!r} is {type(text).__name__}, not text"
    text = readable(text).strip()
    if is_empty_text(text):
        return "", "the text is blank" if blank == "error" else None
    return text, None


def _word(value):
    return None if is_missing(value) or value == "" else readable(str(value))


def _plain(value):
    """A value that JSON can carry: dates and the like as text, so that no output fails after it was paid for."""
    if isinstance(value, str):
        return readable(value)
    if is_missing(value):
        return None
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return None if isinstance(value, float) else _plain(value.tolist()) if hasattr(value, "tolist") else str(value)
    return value
