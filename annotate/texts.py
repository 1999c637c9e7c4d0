"""Texts from CSV, TSV, JSONL, Parquet, a Hub data set or Python objects, as rows with an id.

Columns are chosen by name. Every fault names the file and the line.
"""

import csv
import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

_LONE = re.compile("[\ud800-\udfff]")  # half of a surrogate pair, as cut-off emoji leave it: no UTF-8 can carry it
_HUB_ID = re.compile(r"^[A-Za-z0-9][\w.-]*(/[\w.-]+)?$")
_SUFFIXES = {
    ".csv": "csv",
    ".tsv": "tsv",
    ".txt": "lines",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
}


@dataclass(frozen=True)
class TextRow:
    """One text.

    Args:
        id (`str`): unique in its input.
        source (`str`): where it comes from, a word for the data set.
        text (`str`): the text, white space at its ends taken off; it may be empty. Lone surrogates are replaced.
        extra (`dict`): the columns named by `keep`.
    """

    id: str
    source: str
    text: str
    extra: dict = field(default_factory=dict, hash=False)


def read_texts(
    source,
    *,
    text_column=None,
    id_column=None,
    source_name=None,
    keep=(),
    split="train",
    config=None,
    header=True,
    quotes=None,
    encoding="utf-8-sig",
    local_only=False,
):
    """The texts of a file, a Hub data set or a Python object.

    Args:
        source: a path (`.csv`, `.tsv`, `.jsonl`, `.parquet`, or `.txt` with one text a line), the id of a data set
            on the Hub, a `datasets.Dataset`, or an iterable of strings or mappings.
        text_column (`str`, *optional*): `text` by default.
        id_column (`str`, *optional*): `id` where there is such a column, the row's number otherwise.
        source_name (`str`, *optional*): the rows' `source`; by default the column `source`, or the file's or data
            set's name.
        keep (`Iterable[str]`): columns to carry into the output unchanged.
        split, config (`str`): which part of a Hub data set.
        header (`bool`): whether a CSV or TSV file starts with column names; without, the columns are `1`, `2`, ...
        quotes (`bool`, *optional*): whether fields may be quoted; by default yes in CSV and no in TSV.
        encoding (`str`): of text files.
        local_only (`bool`): download nothing.

    Returns:
        `list[TextRow]`

    Raises:
        `ValueError`: for a missing column, a malformed line, a duplicate id, or nothing to read.
        `OSError`: where the file cannot be opened.
        `ImportError`: where `datasets` or `pyarrow` is needed and not installed.

    Example:

    ```python
    >>> [row.id for row in read_texts(["I am so glad", "oh no"], source_name="mine")]
    ['mine-1', 'mine-2']
    ```
    """
    options = {"header": header, "quotes": quotes, "encoding": encoding}
    if isinstance(source, str | os.PathLike):
        path = Path(source)
        kind = _SUFFIXES.get(path.suffix.lower())
        if kind and (path.exists() or not _HUB_ID.match(str(source)) or kind != "lines"):
            name, records = path.stem, _READERS[kind](path, **options)
        elif path.exists():
            raise ValueError(f"{path}: unknown kind of file; use {', '.join(sorted(_SUFFIXES))}")
        elif _HUB_ID.match(str(source)):
            name, records = str(source).split("/")[-1], _hub(str(source), split, config, local_only)
        else:
            raise FileNotFoundError(f"{path}: no such file")
    else:
        name, records = "text", _objects(source)
    return _rows(records, source_name, name, text_column, id_column, tuple(keep))


def _rows(records, source_name, fallback, text_column, id_column, keep):
    rows, seen = [], {}
    for place, record in records:
        if not rows:
            text_column, id_column = _columns(record, place, text_column, id_column, keep)
        if text_column not in record:
            raise ValueError(f"{place}: no {text_column!r}; it has {', '.join(map(str, record))}")
        text = record[text_column]
        if isinstance(text, float) and math.isnan(text):  # how tables say that there is none
            text = None
        if text is not None and not isinstance(text, str):
            raise ValueError(f"{place}: {text_column!r} is {type(text).__name__}, not text")
        source = source_name or str(record.get("source") or fallback)
        identity = record.get(id_column) if id_column else None
        identity = f"{source}-{len(rows) + 1}" if identity in (None, "") else str(identity)
        if identity in seen:
            raise ValueError(
                f"{place}: the id {identity!r} stands in {seen[identity]} too; ids must be unique: choose another "
                "id column, or leave it out of the input to number the rows"
            )
        seen[identity] = place
        rows.append(
            TextRow(
                identity,
                source,
                _LONE.sub("\ufffd", text or "").strip(),
                {name: _plain(record.get(name)) for name in keep},
            )
        )
    if not rows:
        raise ValueError("the input has no rows")
    return rows


def _plain(value):
    """A value that JSON can carry: dates and the like as text, so that no output fails after it was paid for."""
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError):
        return None if isinstance(value, float) else str(value)
    return value


def _columns(record, place, text_column, id_column, keep):
    names = [str(name) for name in record]
    text_column = text_column or ("text" if "text" in record else None)
    missing = [name for name in (text_column, id_column, *keep) if name is not None and name not in record]
    if text_column is None or missing:
        what = f"no column {missing[0]!r}" if missing else "no column 'text', so name one"
        raise ValueError(f"{place}: {what}; the columns are {', '.join(names)}")
    if id_column is None and "id" in record and text_column != "id":
        id_column = "id"
    return text_column, id_column


def _decoded(path, encoding):
    """The file's lines. Decoded in whole so that a wrong encoding is told before anything is asked."""
    data = path.read_bytes()
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ValueError(f"{path}, line {line}: not {encoding}; convert the file or name its encoding") from None
    except LookupError:
        raise ValueError(f"encoding: {encoding!r} is unknown") from None


def _delimited(delimiter, quoted_by_default):
    def read(path, header, quotes, encoding):
        quotes = quoted_by_default if quotes is None else quotes
        quoting = csv.QUOTE_MINIMAL if quotes else csv.QUOTE_NONE
        csv.field_size_limit(2**31 - 1)
        # Only \n and \r\n end a line here: str.splitlines would cut a text at a form feed or a Unicode separator.
        lines = re.split(r"(?<=\n)", _decoded(path, encoding))
        reader = csv.reader(lines, delimiter=delimiter, quoting=quoting, strict=quotes)
        names = None
        try:
            for values in reader:
                if not values:
                    continue
                place = f"{path}, line {reader.line_num}"
                if names is None:
                    names = values if header else [str(n) for n in range(1, len(values) + 1)]
                    if len(set(names)) < len(names):
                        raise ValueError(f"{place}: two columns have the same name; is there a header?")
                    if header:
                        continue
                if len(values) != len(names):
                    hint = "" if quotes else "; if its fields are quoted, say so (--quotes)"
                    raise ValueError(f"{place}: {len(values)} fields where {len(names)} are expected{hint}")
                yield place, dict(zip(names, values, strict=True))
        except csv.Error as error:
            hint = "; if its fields are not quoted, say so (--no-quotes)" if quotes else ""
            raise ValueError(f"{path}, line {reader.line_num}: {error}{hint}") from None

    return read


def _jsonl(path, header, quotes, encoding):
    for number, line in enumerate(_decoded(path, encoding).split("\n"), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}, line {number}: not valid JSON ({error.msg})") from None
        if not isinstance(record, dict):
            raise ValueError(f"{path}, line {number}: a JSON object is expected, with the text as one of its fields")
        yield f"{path}, line {number}", record


def _lines(path, header, quotes, encoding):
    for number, line in enumerate(_decoded(path, encoding).split("\n"), 1):
        if line.strip():
            yield f"{path}, line {number}", {"text": line}


def _parquet(path, header, quotes, encoding):
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ImportError("Parquet files need pyarrow: pip install pyarrow") from None
    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for batch in file.iter_batches():
                for record in batch.to_pylist():
                    number += 1
                    yield f"{path}, row {number}", record
    except pyarrow.ArrowException as error:
        raise ValueError(f"{path}: not a Parquet file that can be read ({error})") from None


def _hub(name, split, config, local_only):
    if local_only:  # before the import: the libraries read these once
        os.environ["HF_HUB_OFFLINE"] = os.environ["HF_DATASETS_OFFLINE"] = "1"
    try:
        import datasets
    except ImportError:
        raise ImportError(f"{name!r} is no file, and a Hub data set needs datasets: pip install datasets") from None
    try:
        data = datasets.load_dataset(
            name, config, split=split, download_config=datasets.DownloadConfig(local_files_only=local_only)
        )
    except Exception as error:  # the library's errors are many: all mean that there is nothing to read
        why = "it is not in the local cache, and nothing is downloaded here" if local_only else error
        first_line = str(why).strip().split("\n")[0]
        raise ValueError(
            f"{name!r} is no file, and as a data set of the Hub it cannot be read: {first_line}"
        ) from None
    yield from _objects(data, name)


def _objects(source, name="input"):
    if isinstance(source, Mapping):
        raise ValueError(f"choose a split first; there are {', '.join(map(str, source))}")
    if hasattr(source, "to_dict") and hasattr(source, "columns"):  # a pandas DataFrame
        source = source.to_dict("records")
    for number, record in enumerate(source, 1):
        if isinstance(record, str):
            record = {"text": record}
        if not isinstance(record, Mapping):
            raise ValueError(f"{name}, row {number}: a string or a mapping is expected, not {type(record).__name__}")
        yield f"{name}, row {number}", record


_READERS = {
    "csv": _delimited(",", True),
    "tsv": _delimited("\t", False),
    "jsonl": _jsonl,
    "lines": _lines,
    "parquet": _parquet,
}
