"""One reader a file format: rows in a stream, each with its file and line, and a damaged one costs no other."""

import contextlib
import io
import json
import lzma
import zlib
from pathlib import Path

from .delimited import delimited_rows
from .json_tables import json_line_rows, json_rows, json_suffix
from .text_files import COMPRESSED, FileRow, TextFile, known_as, standard_bytes

__all__ = ["FORMATS", "FileRow", "batch_rows", "format_of", "read_file", "with_class_names"]

FORMATS = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".txt": "lines",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "json",
    ".parquet": "parquet",
    ".pq": "parquet",
}
BATCH_ROWS = 1024


def format_of(path):
    """
    The format of a file by its name.

    Args:
        path (`str` or `Path`): Its name; a suffix for compression (`.gz`, `.bz2`, `.xz`) is looked through.

    Returns:
        `str` or `None`: one of `csv`, `tsv`, `lines`, `jsonl`, `json`, `parquet`.

    Example:

    ```python
    >>> format_of("reviews.TSV"), format_of("reviews.jsonl.gz"), format_of("reviews")
    ('tsv', 'jsonl', None)

    ```
    """
    path = Path(path)
    if path.suffix.lower() in COMPRESSED:
        path = path.with_suffix("")
    return FORMATS.get(path.suffix.lower())


def read_file(path, kind=None, *, header=True, quotes=None, delimiter=None, encoding=None):
    """
    The rows of one file, in a stream.

    Args:
        path (`str`, `Path` or a binary file): The file; `"-"` is standard input.
        kind (`str`, *optional*): Its format, see [`format_of`]; by its name, or, for standard input, JSON lines where
            it starts with `{`, JSON where it starts with a list of objects, and a text a line otherwise.
        header (`bool`, *optional*, defaults to `True`): Whether CSV and TSV start with column names; without, the
            columns are `1`, `2`, ...
        quotes (`bool`, *optional*): Whether fields may be quoted; by default yes in CSV and no in TSV.
        delimiter (`str`, *optional*): What separates the fields of a CSV file; by default what a first line `sep=;`
            says, or else the likeliest of comma, semicolon, tab and bar.
        encoding (`str`, *optional*): By default what the file's byte order mark says, or else UTF-8.

    Yields:
        [`FileRow`]: blank lines are left out; rows that do not fit have an `error`.

    Raises:
        `ValueError`: where the file as a whole cannot be read: empty, another format, an impossible header.
        `OSError`, `ImportError`: where it cannot be opened, or `pyarrow` is missing.
    """
    name = "standard input" if str(path) == "-" else str(path)
    if encoding is not None:
        try:
            "".encode(encoding)
        except (LookupError, ValueError):  # also what is an encoding of bytes or of host names, not of text
            raise ValueError(f"encoding: {encoding!r} is no encoding of text that is known here") from None
    kind = kind or (None if str(path) == "-" else format_of(path))
    _check_reading(kind, name, header, quotes, delimiter, encoding)
    try:
        if kind == "parquet":
            yield from _parquet(standard_bytes() if str(path) == "-" else path, name)
            return
        with TextFile(path, name, encoding) as text:
            if kind is None:
                kind = "jsonl" if text.first.lstrip().startswith("{") else "lines"
                kind = "json" if kind == "lines" and json_suffix(text.first) else kind
                _check_reading(kind, name, header, quotes, delimiter, encoding)
            may_be_json = kind == "lines" or (kind in ("csv", "tsv") and header)
            if may_be_json and (suffix := json_suffix(text.first, alone=kind != "lines")):
                raise text.misnamed(f"JSON; give it the suffix {suffix}")
            if kind in ("csv", "tsv"):
                quotes = kind == "csv" if quotes is None else quotes
                yield from delimited_rows(text, header, quotes, delimiter, tabs=kind == "tsv")
            else:
                yield from {"lines": _lines, "jsonl": json_line_rows, "json": json_rows}[kind](text)
    except (EOFError, OSError, lzma.LZMAError, zlib.error) as error:
        if Path(name).suffix.lower() in COMPRESSED and not getattr(error, "errno", None):
            raise ValueError(f"{name}: cut off or damaged, so it cannot be unpacked whole ({error})") from None
        raise


def _check_reading(kind, name, header, quotes, delimiter, encoding):
    """Tell of what says how a table is read that no table of this kind is read by; `None` is not known yet."""
    unheeded = {
        "delimiter": delimiter is not None and kind not in ("csv", None),
        "quotes": quotes is not None and kind not in ("csv", "tsv", None),
        "header": not header and kind not in ("csv", "tsv", None),
        "encoding": encoding is not None and kind == "parquet",
    }
    if wrong := next((option for option, told in unheeded.items() if told), None):
        raise ValueError(f"{wrong} says nothing about {name}, which is read as {kind}: leave it out")


def _lines(text):
    for number, line in text:
        line, error = text.decoded(line.rstrip("\r\n"))
        if line.strip():
            yield text.row(number, {"text": line}, error)


# ---- Parquet


def _parquet(path, name):
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ImportError("Parquet files need pyarrow: pip install pyarrow") from None
    if isinstance(path, io.IOBase):
        path = io.BytesIO(path.read())  # a Parquet file is read from its end
    elif opened := COMPRESSED.get(Path(path).suffix.lower()):
        with opened(path) as file:
            path = io.BytesIO(file.read())
    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            names = _class_names(file.schema_arrow)
            if len(set(file.schema_arrow.names)) < len(file.schema_arrow.names):
                raise ValueError(f"{name}: two columns have the same name")
            for batch in file.iter_batches(BATCH_ROWS):
                for values, error in batch_rows(batch):
                    number += 1
                    yield FileRow(name, "row", number, with_class_names(values, names), error)
    except pyarrow.ArrowException as error:
        head = _head(path)
        if not number and not head.startswith(b"PAR1") and (what := known_as(head)):
            raise ValueError(f"{name}: it is {what}") from None
        after = f", after row {number}" if number else ""
        what = "a Parquet file that is cut off or damaged" if head.startswith(b"PAR1") else "not a Parquet file"
        raise ValueError(f"{name}{after}: {what} ({_first_line(error)})") from None
    except OSError as error:
        if error.errno is None:  # a damaged page, as Arrow says it
            raise ValueError(f"{name}, after row {number}: damaged ({_first_line(error)})") from None
        raise


def _head(path):
    if isinstance(path, io.BytesIO):
        return path.getvalue()[:64]
    with open(path, "rb") as file:
        return file.read(64)


def _first_line(error):
    return str(error).strip().split("\n")[0]


def batch_rows(batch):
    """
    The rows of an Arrow batch; what Python has no value for costs its cell alone.

    Args:
        batch (`pyarrow.RecordBatch`)

    Yields:
        `tuple(dict, str or None)`: values by column, and what is wrong with them.
    """
    batch = _with_strings(batch)
    try:
        yield from ((values, None) for values in batch.to_pylist())
        return
    except Exception:  # bytes that are no text, dates beyond the calendar, time zones that nobody knows
        pass
    for index in range(batch.num_rows):
        values, error = {}, None
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            try:
                values[name] = column[index].as_py()
            except UnicodeDecodeError:
                buffer = getattr(column[index], "as_buffer", lambda: None)()
                values[name] = buffer.to_pybytes().decode(errors="replace") if buffer is not None else None
                error = f"{name!r} is not utf-8 text"
            except Exception:  # of many classes, by type and library
                values[name] = _shown(column[index])
        yield values, error


def _with_strings(batch):
    """Columns of bytes that are text as such: older writers note of a string only that it has bytes."""
    import pyarrow

    for place, field in enumerate(batch.schema):
        if field.type in (pyarrow.binary(), pyarrow.large_binary()):
            with contextlib.suppress(pyarrow.ArrowException):
                batch = batch.set_column(place, field.name, batch.column(place).cast(pyarrow.large_string()))
    return batch


def _shown(scalar):
    """As text what Python has no value for, or `None`."""
    with contextlib.suppress(Exception):
        return scalar.cast("string").as_py()
    return str(value) if (value := getattr(scalar, "value", None)) is not None else None


def _class_names(schema):
    """Names of columns that hold numbers of classes, as `datasets` notes them in a Parquet file."""
    try:
        features = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))["info"]["features"]
    except (KeyError, TypeError, ValueError):
        return {}
    found = {}
    for column, feature in features.items() if isinstance(features, dict) else ():
        inner = feature.get("feature", feature) if isinstance(feature, dict) else None
        if isinstance(inner, dict) and inner.get("_type") == "ClassLabel" and inner.get("names"):
            found[column] = inner["names"]
    return found


def with_class_names(values, names):
    """A row in which numbers of classes are their names; -1 and others without a name stay, to be refused."""
    if not names:
        return values

    def name_of(value, known):
        if isinstance(value, list):
            return [name_of(item, known) for item in value]
        return known[value] if type(value) is int and 0 <= value < len(known) else value

    return {key: name_of(value, names[key]) if key in names else value for key, value in values.items()}
