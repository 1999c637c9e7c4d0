"""Text files, line by line: byte order marks, compression, and bytes that an encoding does not have."""

import bz2
import codecs
import contextlib
import gzip
import io
import lzma
import re
import sys
from pathlib import Path
from typing import NamedTuple

__all__ = ["COMPRESSED", "ESCAPED", "FileRow", "TextFile", "known_as", "standard_bytes"]

COMPRESSED = {".gz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
PIECE = 2**16
_MARKS = (  # UTF-32's begins with UTF-16's
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_OTHERS = (
    (b"PK\x03\x04", "an Excel workbook or another ZIP archive; save it as CSV (UTF-8), or unpack it"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook; save it as CSV (UTF-8)"),
    (b"PAR1", "Parquet; give it the suffix .parquet"),
    (b"\x1f\x8b", "gzip; give it the suffix .gz"),
    (b"%PDF", "PDF; a table of texts is expected"),
    (b"SQLite format", "a database; export the table as CSV"),
    (b"BZh", "bzip2; give it the suffix .bz2"),
    (b"\xfd7zXZ", "xz; give it the suffix .xz"),
    (b"\x28\xb5\x2f\xfd", "compressed with Zstandard; unpack it"),
    (b"7z\xbc\xaf", "a 7-Zip archive; unpack it"),
    (b"Rar!", "a RAR archive; unpack it"),
    (b"version https://git-lfs", "a pointer of Git LFS in place of the file; fetch it: git lfs pull"),
)
# What `surrogateescape` makes of a byte that the encoding does not have. No decoder gives these otherwise.
ESCAPED = re.compile("[\udc80-\udcff]")


class FileRow(NamedTuple):
    """
    One row of a table.

    Args:
        file (`str`): Where it stands, a path or another name of its source.
        unit (`str`): What is counted there: `line` or `row`.
        number (`int`): Which one, from 1; the line on which the row starts.
        values (`dict`): Its values by column; as far as they could be read where there is an `error`.
        error (`str`, *optional*): Why it is no row like the others.
        of_table (`bool`): Whether the fault may reach beyond the row, so that others may be read wrongly too.
    """

    file: str
    unit: str
    number: int
    values: dict
    error: str | None = None
    of_table: bool = False

    @property
    def place(self):
        """`str`: file and line, for people."""
        return f"{self.file}, {self.unit} {self.number}"


def known_as(head):
    """What a file is that begins so, and what to do with it; `None` for text and what is unknown."""
    return next((what for start, what in _OTHERS if head.startswith(start)), None)


def _unmarked(head):
    """UTF-16 without a byte order mark, told by its zeros: of each letter of Latin script, one byte is zero."""
    for at, name in ((1, "utf-16-le"), (0, "utf-16-be")):
        zeros, others = head[at::2].count(0), head[1 - at :: 2].count(0)
        if zeros * 5 > len(head) and zeros > 20 * others:
            return name
    return None


def _is_wide(head):
    """Whether zeros in the first bytes make them another encoding, or no text; a stray one or two do not."""
    if head.count(0) * 50 > len(head):
        return True
    try:
        codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return b"\0" in head
    return False


class TextFile:
    """The lines of a text file, with their number, read as they are needed.

    Only line feeds end a line (or carriage returns, where there are no line feeds): a text may hold other separators.
    An empty file is refused, unless it may be `empty`.
    """

    def __init__(self, path, name, encoding, empty=False):
        self.name, self.number, self.ours, self.empty = name, 0, False, empty
        if str(path) == "-":
            raw = standard_bytes()
        elif hasattr(path, "read"):
            raw = path
        else:
            raw = COMPRESSED.get(Path(path).suffix.lower(), open)(path, "rb")
            self.ours = True
        try:
            self._open(raw if hasattr(raw, "peek") else io.BufferedReader(raw), encoding)
        except BaseException:
            if self.ours:
                raw.close()
            raise

    def _open(self, raw, encoding):
        head = raw.peek(4096)[:65536]
        marked = next((name for mark, name in _MARKS if head.startswith(mark)), None)
        if what := known_as(head):
            raise self.misnamed(what)
        if encoding is None and marked is None:
            encoding = _unmarked(head)
            if encoding is None and _is_wide(head):
                raise ValueError(f"{self.name}: it is no UTF-8 text; if it is UTF-16, name its encoding (utf-16-le)")
        wide = (encoding or marked or "").lower().replace("_", "-").startswith(("utf-16", "utf-32"))
        if marked and (encoding is None or encoding.lower().replace("_", "-") in ("utf-8", "utf8", "utf-8-sig")):
            encoding = marked
        self.encoding = encoding or "utf-8"
        newline = "\r" if b"\r" in head and b"\n" not in head else "\n"
        self.file = io.TextIOWrapper(
            raw, encoding=self.encoding, errors="replace" if wide else "surrogateescape", newline=newline
        )
        self.first = self._line(PIECE)
        if not self.first and not self.empty:
            raise ValueError(f"{self.name}: it is empty")

    def _line(self, size=-1):
        try:
            return self.file.readline(size)
        except UnicodeError as error:  # a decoder that does not go on
            raise ValueError(f"{self.name}, line {self.number + 1}: not {self.encoding} text ({error})") from None

    def pieces(self):
        """The rest as pieces of any size, for a format in which all may stand in one line."""
        piece = self.first
        while piece:
            yield piece
            piece = self._line(PIECE)

    def __iter__(self):
        line = self.first
        while line and line[-1] not in "\r\n" and (rest := self._line()):  # it was read in part
            line += rest
        while line:
            self.number += 1
            # Files that were put one after the other leave the byte order marks of all but the first.
            yield self.number, line.lstrip("\ufeff") if line[0] == "\ufeff" else line
            line = self._line()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        if self.ours:
            self.file.close()
        else:
            with contextlib.suppress(ValueError):  # closed meanwhile by whoever opened it
                self.file.detach()  # standard input stays open

    def misnamed(self, what):
        """A `ValueError` for a file that is something else, with what to do about it."""
        if self.name == "standard input":
            what = what.replace("give it", "save it to a file with")
        return ValueError(f"{self.name}: it is {what}")

    def row(self, number, values, error=None, unit="line", of_table=False):
        """A [`FileRow`] of this file."""
        return FileRow(self.name, unit, number, values, error, of_table)

    def decoded(self, text):
        """The text with marks in place of bytes that the encoding does not have, and what to say about them."""
        if not ESCAPED.search(text):
            return text, None
        if self.encoding.startswith("utf-8"):
            hint = "save it as UTF-8, or name its encoding to a command that takes one (--encoding cp1252)"
        else:
            hint = "name another encoding"
        return ESCAPED.sub("\ufffd", text), f"not {self.encoding.removesuffix('-sig')} text; {hint}"


def standard_bytes():
    """Standard input as a binary file."""
    return getattr(sys.stdin, "buffer", None) or io.BytesIO(sys.stdin.read().encode("utf-8", "surrogatepass"))
