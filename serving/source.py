"""The table to score: its rows as the package's reader gives them, and by what a resumed run knows it again."""

import datetime
import glob
import hashlib
import re
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from ..descriptors.formats import format_of
from ..descriptors.tables import iter_texts
from .rows import Row

__all__ = ["TextTable", "day_of"]

WHOLE = 2**30  # bytes up to which a file's content is read for its digest; of a larger one, samples
SAMPLES, SAMPLE = 64, 2**20
COUNTED = {"csv", "tsv", "lines", "jsonl"}  # formats of a line a row, or nearly so
BLANK = "the text is blank"  # what the reader calls a text that the pipeline reads as neutral


@dataclass
class TextTable:
    """
    What is scored.

    Args:
        source (`str`): A file, a folder, a pattern, a Hub id, or `-`.
        text_column, id_column, labels_column (`str`, *optional*): See [`iter_texts`].
        keep (`tuple[str, ...]`, *optional*): Columns to carry over.
        group_by, time_column (`str`, *optional*): Columns for the report.
        limit (`int`, *optional*): Rows to read at the most.
        reading (`dict`, *optional*): Further arguments of the reader: `split`, `config`, `encoding` ...
    """

    source: str
    text_column: str | None = None
    id_column: str | None = None
    labels_column: str | None = None
    keep: tuple = ()
    group_by: str | None = None
    time_column: str | None = None
    limit: int | None = None
    reading: dict = field(default_factory=dict)

    def rows(self):
        """
        The rows, in order.

        Yields:
            [`Row`]

        Raises:
            `ValueError`, `OSError`, `ImportError`: for what cannot be read as a whole.
        """
        extra = [name for name in (self.group_by, self.time_column) if name and name not in self.keep]
        found = iter_texts(
            self.source,
            text_column=self.text_column,
            id_column=self.id_column,
            labels_column=self.labels_column,
            keep=(*self.keep, *extra),
            **self.reading,
        )
        for number, found_row in enumerate(islice(found, self.limit)):
            yield self._row(number, found_row)

    def _row(self, number, found):
        error, labels = found.error, found.labels
        if error == BLANK:
            error = None
        group = found.extra.get(self.group_by) if self.group_by else None
        return Row(
            number,
            found.text if error is None or found.text else None,
            error,
            found.id if self.id_column else None,
            {name: found.extra.get(name) for name in self.keep},
            tuple(labels) if labels is not None else None,
            None if group is None else str(group),
            day_of(found.extra.get(self.time_column)) if self.time_column else None,
        )

    def files(self):
        """`list[Path]`: The files behind it; none for standard input and the Hub."""
        path = Path(self.source)
        if self.source == "-":
            return []
        if path.is_dir():
            found = (file for file in path.rglob("*") if file.is_file())
            return sorted(file for file in found if format_of(file) and not _aside(file.relative_to(path)))
        if path.is_file():
            return [path]
        return [Path(name) for name in sorted(glob.glob(self.source, recursive=True))]

    def describe(self):
        """
        What a resumed run must find again, and about how many rows there are.

        Returns:
            `tuple[dict, int or None]`: names, sizes and digests of the files, or the source's name; the number of
            rows where files tell it: exact for Parquet, by lines otherwise.
        """
        files = self.files()
        base = Path(self.source) if Path(self.source).is_dir() else None
        described, total = {}, 0
        for path in files:
            digest, lines = _digest(path)
            described[str(path.relative_to(base)) if base else path.name] = f"{path.stat().st_size} bytes, {digest}"
            rows = _rows_of(path, lines)
            total = None if total is None or rows is None else total + rows
        if not files:
            described, total = {"source": self.source}, None
        if self.limit is not None:
            total = self.limit if total is None else min(self.limit, total)
        return described, total


def _aside(path):
    return any(part.startswith((".", "_")) for part in path.parts)


def _digest(path):
    """A digest of a file's content, or of samples of a very large one, and its number of lines."""
    total, lines, size = hashlib.blake2b(digest_size=16), 0, path.stat().st_size
    with open(path, "rb") as file:
        if size <= WHOLE:
            while piece := file.read(SAMPLE):
                total.update(piece)
                lines += piece.count(b"\n")
            return total.hexdigest(), lines
        for number in range(SAMPLES):
            file.seek((size - SAMPLE) * number // (SAMPLES - 1))
            piece = file.read(SAMPLE)
            total.update(piece)
            lines += piece.count(b"\n")
    return total.hexdigest(), round(lines * size / (SAMPLES * SAMPLE))


def _rows_of(path, lines):
    kind = format_of(path)
    if kind == "parquet":
        try:
            import pyarrow.parquet

            return pyarrow.parquet.ParquetFile(path).metadata.num_rows
        except Exception:  # the reader will say what is wrong with it
            return None
    if kind in COUNTED and path.suffix.lower() not in (".gz", ".bz2", ".xz"):
        return max(1, lines - (kind in ("csv", "tsv")))
    return None


def day_of(value):
    """
    The day of a date or time, however a table writes it.

    Args:
        value: ISO 8601 text (also a year or a month alone), `MM/DD/YYYY` and `DD.MM.YYYY`, seconds or milliseconds
            since 1970.

    Returns:
        `str` or `None`: `YYYY-MM-DD`; `None` for what is no date.

    Example:

    ```python
    >>> from emodistill.serving.source import day_of

    >>> day_of("2024-03-01T10:00:00Z"), day_of("2024-03"), day_of(1709287200), day_of("yesterday")
    ('2024-03-01', '2024-03-01', '2024-03-01', None)

    ```
    """
    text = str(value).strip() if value is not None else ""
    try:
        if re.fullmatch(r"\d{9,11}(\.\d+)?|\d{12,14}(\.\d+)?", text):
            seconds = float(text) / (1000 if len(text.partition(".")[0]) > 11 else 1)
            return datetime.datetime.fromtimestamp(seconds, datetime.UTC).date().isoformat()
        if re.fullmatch(r"\d{4}", text):
            text += "-01-01"
        elif re.fullmatch(r"\d{4}-\d{1,2}", text):
            year, month = text.split("-")
            text = f"{year}-{int(month):02d}-01"
        elif match := re.match(r"(\d{1,2})/(\d{1,2})/(\d{4})\b", text):
            text = f"{match[3]}-{int(match[1]):02d}-{int(match[2]):02d}"
        elif match := re.match(r"(\d{1,2})\.(\d{1,2})\.(\d{4})\b", text):
            text = f"{match[3]}-{int(match[2]):02d}-{int(match[1]):02d}"
        elif match := re.match(r"(\d{4})/(\d{1,2})/(\d{1,2})\b", text):
            text = f"{match[1]}-{int(match[2]):02d}-{int(match[3]):02d}"
        return datetime.datetime.fromisoformat(text).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return None
