"""A CSV file in, a scored CSV file out."""

import csv
import io
import os

if __package__:
    from .scoring import Mistake, check_threshold, dimension_names, parse_labels
else:  # a Space runs these files by themselves
    from scoring import Mistake, check_threshold, dimension_names, parse_labels

__all__ = ["Table", "guess_text_column", "read_table", "score_table"]

MOST_ROWS = 5_000
MOST_BYTES = 5_000_000
ROWS_AT_ONCE = 128
DELIMITERS = ",;\t|"
# What a column of texts is called, likeliest first.
TEXT_NAMES = (
    "text", "sentence", "texts", "sentences", "comment", "tweet", "post", "utterance", "message", "review",
    "document", "content", "body", "answer", "response", "description",
)  # fmt: skip


class Table:
    """
    A CSV file that was read: its header, its rows and what separates its fields.

    Args:
        header (`list[str]`): Names of the columns.
        rows (`list[list[str]]`): The rows, each as long as the header.
        delimiter (`str`, *optional*, defaults to `","`): What separates the fields.
    """

    def __init__(self, header, rows, delimiter=","):
        self.header, self.rows, self.delimiter = header, rows, delimiter


def read_table(path):
    """
    Read a CSV file with a header line.

    Args:
        path (`str`): The file: UTF-8, fields separated by commas, semicolons, tabs or bars.

    Returns:
        [`Table`]: header and rows.

    Raises:
        [`Mistake`]: too large, empty, not UTF-8, no row, a row that does not fit the header (naming its line).

    Example:

    ```python
    >>> import tempfile
    >>> from emodistill.demo.tables import read_table

    >>> with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
    ...     print("id;text", "1;What a day, really!", sep="\\n", file=file, flush=True)
    ...     read_table(file.name).rows
    [['1', 'What a day, really!']]

    ```
    """
    if os.path.getsize(path) > MOST_BYTES:
        raise Mistake(
            f"The file has {os.path.getsize(path) / 1e6:.1f} MB; the page takes {MOST_BYTES / 1e6:.0f} MB. "
            "In Python the pipeline takes any number of texts."
        )
    content = _decode(path)
    if not content.strip():
        raise Mistake("The file is empty.")
    first = next(line for line in content.splitlines() if line.strip())
    delimiter = max(DELIMITERS, key=first.count)  # of equals the first, a comma
    header, rows = _rows(content, delimiter)
    if not rows:
        raise Mistake("The file has a header line, but no row under it.")
    if len(rows) > MOST_ROWS:
        raise Mistake(
            f"The file has {len(rows):,} rows; the page takes {MOST_ROWS:,}. "
            "In Python the pipeline takes any number of texts."
        )
    return Table(header, rows, delimiter)


def _decode(path):
    with open(path, "rb") as file:
        content = file.read()
    if content.startswith((b"\xff\xfe", b"\xfe\xff")) or b"\0" in content:
        raise Mistake("The file is not UTF-8 text (it may be UTF-16, or no CSV file at all). Save it as CSV, UTF-8.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise Mistake(f"The file is not UTF-8: line {line} holds another encoding. Save it as CSV, UTF-8.") from None


def _rows(content, delimiter):
    """Header and rows; the reader counts lines, so that an error names one."""
    csv.field_size_limit(MOST_BYTES)
    reader = csv.reader(io.StringIO(content, newline=""), delimiter=delimiter)
    header, rows, start = None, [], 1
    try:
        for row in reader:
            if not any(field.strip() for field in row):  # a blank line
                start = reader.line_num + 1
                continue
            if header is None:
                header = [name.strip() for name in row]
            elif len(row) == len(header):
                rows.append(row)
            else:
                raise Mistake(
                    f"Line {start} has {len(row)} fields, but the header has {len(header)}. "
                    'A text that holds the separator must stand in "quotation marks".'
                )
            start = reader.line_num + 1
    except csv.Error as error:
        raise Mistake(f"Line {reader.line_num} is no CSV: {error}.") from None
    if twice := sorted({name for name in header if header.count(name) > 1}):
        raise Mistake(f"The header names a column twice: {', '.join(map(repr, twice))}.")
    return header, rows


def guess_text_column(table):
    """
    The column that holds the texts: by its name, else the one with the longest cells.

    Args:
        table ([`Table`]): The file.

    Returns:
        `str`: its name.

    Raises:
        [`Mistake`]: no column holds words.

    Example:

    ```python
    >>> from emodistill.demo.tables import Table, guess_text_column

    >>> guess_text_column(Table(["id", "what they said"], [["1", "I am fine."], ["2", "Never again!"]]))
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
        table ([`Table`]): The file.
        column (`str`): The column that holds the texts.
        labels (`str`): The labels, as typed.
        multi_label (`bool`): Whether any number of labels may hold.
        threshold (`float`): The score from which a label is predicted.
        progress (`Callable`, *optional*): Called with the rows done and the rows in all.

    Returns:
        `(Table, int)`: the columns of the file, then `predicted` (several labels joined by `|`), a `score` for each
        label and the dimensions; and the number of rows without text, whose new fields stay empty.

    Raises:
        [`Mistake`]: no such column, a column without any text, labels or a threshold that do not fit.

    Example:

    ```python
    >>> from emodistill.demo.scoring import load_classifier
    >>> from emodistill.demo.tables import Table, score_table

    >>> table = Table(["text"], [["How dare you!"], [""]])
    >>> scored, without_text = score_table(load_classifier(), table, "text", "joy, anger", False, 0.0)
    >>> scored.header
    ['text', 'predicted', 'score: joy', 'score: anger', 'valence', 'arousal', 'dominance']
    >>> scored.rows[0][1], without_text
    ('anger', 1)

    ```
    """
    names, threshold, dimensions = parse_labels(labels), check_threshold(threshold), dimension_names(classify)
    if column not in table.header:
        raise Mistake("Choose the column that holds the texts.")
    index = table.header.index(column)
    numbers = [number for number, row in enumerate(table.rows) if row[index].strip()]
    if not numbers:
        raise Mistake(f"The column {column!r} is empty in every row.")
    added = ["predicted", *(f"score: {name}" for name in names), *dimensions]
    scored = [[*row, *[""] * len(added)] for row in table.rows]
    for start in range(0, len(numbers), ROWS_AT_ONCE):
        chunk = numbers[start : start + ROWS_AT_ONCE]
        results = classify(
            [table.rows[number][index] for number in chunk],
            labels=names,
            multi_label=bool(multi_label),
            threshold=threshold,
            dimensions=dimensions or None,
        )
        for number, result in zip(chunk, results, strict=True):
            scored[number] = [*table.rows[number], *_fields(result, names)]
        if progress is not None:
            progress(start + len(chunk), len(numbers))
    header = [*table.header, *_new_names(added, table.header)]
    return Table(header, scored, table.delimiter), len(table.rows) - len(numbers)


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


def write_table(table, path):
    """Write a [`Table`] as UTF-8 CSV, in one step."""
    with open(path + ".tmp", "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=table.delimiter)
        writer.writerow(table.header)
        writer.writerows(table.rows)
    os.replace(path + ".tmp", path)
