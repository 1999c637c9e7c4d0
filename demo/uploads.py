"""A table of texts in, a scored CSV file out."""

import json
import os

from ..descriptors.formats import format_of, read_file
from ..descriptors.labels import readable
from ..descriptors.spreadsheet import writing_csv
from ..descriptors.tables import is_empty_text
from .scoring import Mistake, check_threshold, dimension_names, parse_labels, telling_visitors

__all__ = [
    "MOST_BYTES", "MOST_COLUMNS", "MOST_ROWS", "SUFFIXES", "UploadedTable", "guess_text_column", "read_table",
    "score_table", "write_table",
]  # fmt: skip

MOST_ROWS = 5_000
MOST_COLUMNS = 1_000
MOST_BYTES = 5_000_000
MOST_RESULTS = 500_000  # scores of a file: rows times labels
ROWS_AT_ONCE = 128
DELIMITERS = ",;\t|"
SUFFIXES = {"csv": ".csv", "tsv": ".tsv", "lines": ".txt", "jsonl": ".jsonl", "json": ".json"}
# What a column of texts is called, likeliest first.
TEXT_NAMES = (
    "text", "sentence", "texts", "sentences", "comment", "tweet", "post", "utterance", "message", "review",
    "document", "content", "body", "answer", "response", "description",
)  # fmt: skip


class UploadedTable:
    """
    A file that was read: its header, its rows and what separates its fields.

    Args:
        header (`list[str]`): Names of the columns.
        rows (`list[list[str]]`): The rows, each as long as the header.
        delimiter (`str`, *optional*, defaults to `","`): What separates the fields of a CSV file.
        problems (`dict[int, str]`, *optional*): What is wrong with rows that could not be read whole, by their index.
    """

    def __init__(self, header, rows, delimiter=",", problems=None):
        self.header, self.rows, self.delimiter, self.problems = header, rows, delimiter, problems or {}


def read_table(path):
    """
    Read a file of texts.

    Args:
        path (`str`): CSV (commas, semicolons, tabs or bars) or TSV with a header line, JSON or JSON lines, or one
            text a line; by its suffix.

    Returns:
        [`UploadedTable`]: header and rows; a row that does not fit is kept as far as it can be read, with its problem.

    Raises:
        [`Mistake`]: too large, empty, of another kind or encoding, without rows, with too many rows or columns.

    Example:

    ```python
    >>> import tempfile
    >>> from emodistill.demo.uploads import read_table

    >>> with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
    ...     print("id;text", "1;What a day, really!", sep="\\n", file=file, flush=True)
    ...     read_table(file.name).rows
    [['1', 'What a day, really!']]

    ```
    """
    size, kind = os.path.getsize(path), format_of(path)
    if size > MOST_BYTES:
        raise Mistake(
            f"The file has {size / 1e6:.1f} MB; the page takes {MOST_BYTES / 1e6:.0f} MB. "
            "The command emodistill score takes any number of texts."
        )
    if kind not in SUFFIXES or not path.lower().endswith((SUFFIXES[kind], ".tab", ".ndjson")):
        raise Mistake(f"The page reads {', '.join(SUFFIXES.values())}; this is none of them by its name.")
    delimiter = {"csv": _delimiter(path), "tsv": "\t"}.get(kind)
    if delimiter and (width := _first_line(path).count(delimiter) + 1) > 2 * MOST_COLUMNS:
        raise Mistake(f"The file has {width:,} columns; the page takes {MOST_COLUMNS:,}.")  # before they are read
    try:
        rows, columns = _limited(read_file(path, kind))
    except (ValueError, OSError) as error:
        said = str(error).replace(path, "The file").replace("The file: it is", "The file is")
        raise Mistake(f"{said}.".replace("..", ".")) from None
    if not rows:
        blank = delimiter is None or not _first_line(path)
        raise Mistake("The file is empty." if blank else "The file has a header line, but no row under it.")
    if all(row.error for row in rows):
        raise Mistake(f"No row of the file can be read; {_told(rows[0])}.")
    header = list(columns)
    problems = {index: _told(row) for index, row in enumerate(rows) if row.error}
    cells = [[_cell(row.values.get(name)) for name in header] for row in rows]
    # One that a formula begins with would make a formula of a row whose first cell is empty.
    delimiter = delimiter if kind == "csv" and delimiter in DELIMITERS else ","
    return UploadedTable([readable(name) for name in header], cells, delimiter, problems)


def _limited(rows):
    """All rows and the names of their columns, as long as there are not too many of either."""
    found, columns = [], {}
    for row in rows:
        if len(found) == MOST_ROWS:
            raise Mistake(
                f"The file has more than {MOST_ROWS:,} rows, which is what the page takes. "
                "The command emodistill score takes any number of texts."
            )
        columns |= dict.fromkeys(map(str, row.values))
        if len(columns) > MOST_COLUMNS:
            raise Mistake(f"The file has {len(columns):,} columns; the page takes {MOST_COLUMNS:,}.")
        found.append(row)
    return found, columns


def _told(row):
    return f"{row.unit} {row.number}: {row.error}"


def _cell(value):
    """A value as a cell of text."""
    if value is None or (isinstance(value, float) and value != value):
        return ""
    return readable(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str))


def _first_line(path):
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        return next((line.strip() for line in file if line.strip()), "")


def _delimiter(path):
    """What separates the fields of a CSV file, so that the scored one opens as it did."""
    first = _first_line(path).strip('"')
    if first[:4] == "sep=" and len(first) == 5:
        return first[4]
    return max(DELIMITERS, key=first.count)  # of equals the first, a comma


def guess_text_column(table):
    """
    The column that holds the texts: by its name, else the one with the longest cells.

    Args:
        table ([`UploadedTable`]): The file.

    Returns:
        `str`: its name.

    Raises:
        [`Mistake`]: no column holds words.

    Example:

    ```python
    >>> from emodistill.demo.uploads import UploadedTable, guess_text_column

    >>> guess_text_column(UploadedTable(["id", "what they said"], [["1", "I am fine."], ["2", "Never again!"]]))
    'what they said'

    ```
    """
    lengths = {}
    for index, name in enumerate(table.header):
        cells = [row[index].strip() for row in table.rows]
        with_letters = [cell for cell in cells if any(character.isalpha() for character in cell)]
        if with_letters:
            lengths[name] = sum(map(len, with_letters)) / len(cells)
    if not lengths:
        raise Mistake("No column of this file holds text, only numbers or nothing at all.")
    named = {name.casefold(): name for name in lengths}
    return next((named[name] for name in TEXT_NAMES if name in named), max(lengths, key=lengths.get))


def score_table(classify, table, column, labels, multi_label, threshold, progress=None):
    """
    Score every row of a file.

    Args:
        classify (`transformers.Pipeline`): The pipeline.
        table ([`UploadedTable`]): The file.
        column (`str`): The column that holds the texts.
        labels (`str`): The labels, as typed.
        multi_label (`bool`): Whether any number of labels may hold.
        threshold (`float`): The score from which a label is predicted.
        progress (`Callable`, *optional*): Called with the rows done and the rows in all.

    Returns:
        `(UploadedTable, int)`: the columns of the file, then `predicted` (several labels joined by `|`), a `score` for
        each label and the dimensions, and `error` where rows could not be read; and the number of rows that have no
        text or could not be read, whose scores stay empty.

    Raises:
        [`Mistake`]: no such column, a column without any text, labels or a threshold that do not fit.

    Example:

    ```python
    >>> from emodistill.demo.scoring import load_classifier
    >>> from emodistill.demo.uploads import UploadedTable, score_table

    >>> table = UploadedTable(["text"], [["How dare you!"], [""]])
    >>> scored, without_text = score_table(load_classifier(), table, "text", "joy, anger", False, 0.0)
    >>> scored.header
    ['text', 'predicted', 'score: joy', 'score: anger', 'valence', 'arousal', 'dominance']
    >>> scored.rows[0][1], without_text
    ('anger', 1)

    ```
    """
    names, threshold = parse_labels(labels, multi_label), check_threshold(threshold)
    dimensions = dimension_names(classify)
    if column not in table.header:
        raise Mistake("Choose the column that holds the texts.")
    if len(table.rows) * len(names) > MOST_RESULTS:
        raise Mistake(
            f"{len(table.rows):,} rows and {len(names)} labels are too much for the page at once: take fewer labels, "
            "or the command emodistill score."
        )
    index = table.header.index(column)
    numbers = [
        number
        for number, row in enumerate(table.rows)
        if number not in table.problems and not is_empty_text(row[index])
    ]
    if not numbers:
        raise Mistake(f"The column {column!r} is empty in every row.")
    added = ["predicted", *(f"score: {name}" for name in names), *dimensions, *(["error"] if table.problems else [])]
    scored = [[*row, *[""] * len(added)] for row in table.rows]
    for number, problem in table.problems.items():
        scored[number][-1] = problem
    for start in range(0, len(numbers), ROWS_AT_ONCE):
        chunk = numbers[start : start + ROWS_AT_ONCE]
        with telling_visitors():
            results = classify(
                [table.rows[number][index] for number in chunk],
                labels=names,
                multi_label=bool(multi_label),
                threshold=threshold,
                dimensions=dimensions or None,
            )
        for number, result in zip(chunk, results, strict=True):
            fields = _fields(result, names)
            scored[number] = [*table.rows[number], *fields, *[""] * (len(added) - len(fields))]
        if progress is not None:
            progress(start + len(chunk), len(numbers))
    header = [*table.header, *_new_names(added, table.header)]
    return UploadedTable(header, scored, table.delimiter), len(table.rows) - len(numbers)


def _fields(result, names):
    scores = dict(zip(result["labels"], result["scores"], strict=True))
    values = [*(scores[name] for name in names), *result.get("dimensions", {}).values()]
    return ["|".join(result["predicted"]), *(f"{value:.4f}" for value in values)]


def _new_names(added, header):
    """Names for the new columns that the file does not have yet."""
    taken, names = set(header), []
    for name in added:
        while name in taken:
            name = f"emodistill {name}"
        taken.add(name)
        names.append(name)
    return names


def write_table(table, path, formulas=False):
    """
    Write a [`UploadedTable`] as CSV that opens well in Excel, whole or not at all.

    Args:
        table ([`UploadedTable`]): The table.
        path (`str`): The file.
        formulas (`bool`, *optional*, defaults to `False`): Whether cells that begin like a formula stay as they are.

    Returns:
        `str` or `None`: a sentence on the cells that were changed so that no spreadsheet runs them.
    """
    with writing_csv(path, table.header, delimiter=table.delimiter, formulas=formulas) as file:
        for row in table.rows:
            file.write(row)
    return file.note
