"""Reading the published files of benchmarks, with errors that name file and line."""

import csv
import io
from pathlib import Path

import numpy as np

__all__ = [
    "WINDOWS",
    "DamagedFile",
    "collect",
    "label_index",
    "parse_flag",
    "parse_number",
    "read_csv",
    "read_lines",
    "read_text",
]

WINDOWS = ("utf-8-sig", "cp1252", "latin-1")  # encodings of sets that were written on one


class DamagedFile(ValueError):
    """A benchmark file that cannot be read as its format says; the message names file and line."""

    def __init__(self, path, line, problem):
        super().__init__(f"{path}, line {line}: {problem}")


def read_text(path, encodings=("utf-8-sig",)):
    """The decoded content of a file.

    Args:
        path (`str` or `Path`): The file.
        encodings (`tuple[str]`): Tried in order; several published sets are Windows-1252.

    Returns:
        `str`: the content with its line ends untouched.

    Raises:
        DamagedFile: no encoding fits; names the line of the first bad byte.
    """
    content = Path(path).read_bytes()
    problem = None
    for encoding in encodings:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError as error:
            problem = problem or error
    line = content.count(b"\n", 0, problem.start) + 1
    raise DamagedFile(path, line, f"is not {' or '.join(encodings)} text; download the file again.")


def read_lines(path, encodings=("utf-8-sig",)):
    """Numbered lines, `(number, line)`, split at line feeds only: texts may hold other Unicode separators."""
    for number, line in enumerate(read_text(path, encodings).split("\n"), start=1):
        line = line.removesuffix("\r")
        if line:
            yield number, line


def read_csv(path, columns, encodings=("utf-8-sig",), tolerance=0, **dialect):
    """Rows of a CSV file with a header.

    Args:
        path (`str` or `Path`): The file.
        columns (`tuple[str]`): Columns that must be there; the case of a header is ignored.
        encodings (`tuple[str]`): Tried in order.
        tolerance (`int`): How many fields more or fewer than the header a row may have.
        dialect: Arguments of `csv.reader`.

    Yields:
        `(int, dict)`: the line on which the row starts, and its fields by (requested) column name.

    Raises:
        DamagedFile: a column is missing, or a row has another number of fields than the header.
    """
    csv.field_size_limit(10_000_000)
    reader = csv.reader(io.StringIO(read_text(path, encodings), newline=""), strict=False, **dialect)
    header = next(reader, None)
    if header is None:
        raise DamagedFile(path, 1, "the file is empty.")
    known = {name.strip().lower(): position for position, name in enumerate(header)}
    missing = [column for column in columns if column.lower() not in known]
    if missing:
        raise DamagedFile(path, 1, f"no column {', '.join(missing)}; the header has {', '.join(header)}.")
    start = reader.line_num + 1
    for row in reader:
        if row:
            if abs(len(row) - len(header)) > tolerance:
                raise DamagedFile(path, start, f"{len(row)} fields where the header has {len(header)}.")
            row += [""] * (len(header) - len(row))
            yield start, {column: row[known[column.lower()]] for column in columns}
        start = reader.line_num + 1


def parse_flag(value, path, line, column):
    """0 or 1 from a cell, `DamagedFile` otherwise."""
    value = value.strip()
    if value not in ("0", "1"):
        raise DamagedFile(path, line, f"column {column} holds {value!r} where 0 or 1 is expected.")
    return int(value)


def parse_number(value, scale, path, line, column):
    """A rating from a cell, checked against the scale, `DamagedFile` otherwise."""
    try:
        number = float(value)
    except ValueError:
        raise DamagedFile(path, line, f"column {column} holds {value!r} where a number is expected.") from None
    if not scale[0] <= number <= scale[1]:
        raise DamagedFile(path, line, f"column {column} holds {value}, outside {scale[0]:g} to {scale[1]:g}.")
    return number


def label_index(value, labels, path, line):
    """The index of a label name, `DamagedFile` for an unknown one."""
    try:
        return labels.index(value.strip().lower())
    except ValueError:
        raise DamagedFile(path, line, f"unknown emotion {value!r}; expected one of {', '.join(labels)}.") from None


def collect(rows, spec, path):
    """What a reader of a single-label set gives, from `(line, id, text, emotion)` rows."""
    texts, targets, ids = [], [], []
    for line, identifier, text, emotion in rows:
        targets.append(label_index(emotion, spec.labels, path, line))
        texts.append(text)
        ids.append(identifier)
    return texts, np.array(targets, dtype=np.int64), ids, len(texts)
