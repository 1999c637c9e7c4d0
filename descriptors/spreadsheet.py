"""CSV for people who open it in Excel: a byte order mark, and no cell that a spreadsheet would run as a formula."""

import csv
import re
from contextlib import contextmanager

from ..files import writing

__all__ = ["CsvWriter", "neutralise", "writing_csv"]

# What a spreadsheet may take for the beginning of a formula (OWASP, "CSV injection"), in wide letters too.
# What nobody sees before the sign hides it from a reader, and not from every spreadsheet.
_FORMULA = re.compile(r"[\s\x00\u200b-\u200f\u202a-\u202e\u2060\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20\ufe66]|[\t\r\n]")
_NUMBER = re.compile(r"[-+]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?%?")


def neutralise(cell):
    """
    A cell that no spreadsheet takes for a formula.

    Args:
        cell: What goes into the cell; only text is changed.

    Returns:
        The cell, with an apostrophe before it where it begins with `=`, `+`, `-`, `@`, a tab or a line end and is no
        number.

    Example:

    ```python
    >>> neutralise('=HYPERLINK("http://x")'), neutralise("-_-"), neutralise("-0.5"), neutralise(-0.5)
    ('\\'=HYPERLINK("http://x")', "'-_-", '-0.5', -0.5)

    ```
    """
    if isinstance(cell, str) and _FORMULA.match(cell) and not _NUMBER.fullmatch(cell.strip()):
        return "'" + cell
    return cell


class CsvWriter:
    """
    What [`writing_csv`] yields.

    Attributes:
        changed (`int`): Cells that got an apostrophe so far.
    """

    def __init__(self, file, delimiter, formulas):
        self._writer = csv.writer(file, delimiter=delimiter)
        self._formulas = formulas
        self.changed = 0

    def write(self, cells):
        """
        Write one row.

        Args:
            cells (`Iterable`): Its cells; `None` is an empty one.
        """
        cells = list(cells)
        if not self._formulas:
            safe = [neutralise(cell) for cell in cells]
            self.changed += sum(new is not old for new, old in zip(safe, cells, strict=True))
            cells = safe
        self._writer.writerow(cells)

    @property
    def note(self):
        """`str` or `None`: a sentence for the user, where cells were changed."""
        if not self.changed:
            return None
        cells = "1 cell begins" if self.changed == 1 else f"{self.changed:,} cells begin"
        return f"{cells} like a formula and got an apostrophe in front, so that no spreadsheet runs it"


@contextmanager
def writing_csv(path, header, *, delimiter=",", mark=True, formulas=False):
    """
    Write a CSV file that opens well in Excel, whole or not at all.

    Args:
        path (`str` or `Path`): The file, see [`writing`].
        header (`Iterable[str]`): The names of the columns.
        delimiter (`str`, *optional*, defaults to `","`): What separates the fields.
        mark (`bool`, *optional*, defaults to `True`): Whether the file begins with a byte order mark, without which
            Excel takes UTF-8 for another encoding.
        formulas (`bool`, *optional*, defaults to `False`): Whether cells that look like formulas stay as they are.

    Yields:
        [`CsvWriter`]: its `write` takes a row, its `note` says afterwards whether cells were changed.

    Example:

    ```python
    >>> import tempfile
    >>> from emodistill.descriptors.tables import iter_rows

    >>> path = tempfile.mkdtemp() + "/scored.csv"
    >>> with writing_csv(path, ["text", "joy"]) as table:
    ...     table.write(["=1+1", -0.25])
    >>> table.note
    '1 cell begins like a formula and got an apostrophe in front, so that no spreadsheet runs it'
    >>> [row.values for row in iter_rows(path)]
    [{'text': "'=1+1", 'joy': '-0.25'}]

    ```
    """
    encoding = "utf-8-sig" if mark else "utf-8"
    with writing(path, encoding=encoding, errors="backslashreplace", newline="") as file:
        table = CsvWriter(file, delimiter, formulas)
        table.write(header)
        yield table
