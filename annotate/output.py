"""The output: JSON lines in input order, written beside and moved into place."""

import json
import os
from pathlib import Path

from ..files import check_output as check_place
from ..files import writing
from .normalise import VariantMap, normalise_labels
from .replies import DIMENSIONS
from .store import RowRecord

__all__ = ["EMPTY", "check_kept", "check_rows_output", "json_line", "open_output", "store_path", "write_rows"]

EMPTY = RowRecord("", "", "", "invalid", reason="the text is empty, so it was not asked")


def open_output(path):
    """A text file that appears whole or not at all, see `emodistill.files.writing`."""
    return writing(path, newline="\n", errors="backslashreplace")  # half a surrogate pair is escaped


def store_path(output, store=None):
    """`Path`: where the store of an output is: beside it unless named.

    Raises:
        `ValueError`: for an output that is no plain file, such as `/dev/stdout`, beside which none can be.
    """
    if store:
        return Path(store)
    if _is_special(Path(output)):
        raise ValueError(f"output: {output} is no plain file; say where answers are to be kept (--store FILE)")
    return Path(f"{output}.sqlite")


def _is_special(path):
    """Whether it is a device, a pipe, or a name for what the shell gave us, behind which a plain file may stand."""
    name = os.path.abspath(path)
    if name in ("/dev/stdout", "/dev/stderr") or name.startswith(("/dev/fd/", "/proc/")):
        return True
    return path.exists() and not path.is_file() and not path.is_dir()


def check_rows_output(path, store_path, source=None):
    """An output must be writable, and what is read, the store, and what no store stands beside is not ours to replace.

    Args:
        path (`str` or `Path`): The output.
        store_path (`str` or `Path`): Its store.
        source (*optional*): The input: a file's name, or texts of any kind.

    Raises:
        `ValueError` or `OSError`: before anything is asked, so that no money is spent on rows with no place.
    """
    check_place(path, "output", inputs=[source] if isinstance(source, str | os.PathLike) else ())
    path, store_path = Path(path), Path(store_path)
    if path.resolve() == store_path.resolve():
        raise ValueError(f"store: {store_path} is the output, which would replace it; name another file")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"output: there is no folder {path.parent}")
    if not os.access(path if _is_special(path) else path.parent, os.W_OK):
        raise PermissionError(f"output: {path} cannot be written")
    if not _is_special(path) and path.is_file() and path.stat().st_size and not store_path.exists():
        raise ValueError(
            f"output: {path} is there already and has no store ({store_path.name}) beside it, so it was not "
            "written by an earlier run; move it away or choose another name"
        )


# Unicode's own line ends, which JSON allows in a string but some readers of JSON lines split at.
_LINE_ENDS = str.maketrans({"\u0085": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"})


def json_line(record):
    """`str`: one line of a JSONL file, its end included."""
    return json.dumps(record, ensure_ascii=False).translate(_LINE_ENDS) + "\n"


def check_kept(rows, rated=False, every=False):
    """No column that is carried over may be one that answers fill, or it would be lost without a word.

    Args:
        rows (`list[TextRow]`): The input.
        rated (`bool`): Whether answers bring ratings of the text.
        every (`bool`): As in `write_rows`.

    Raises:
        `ValueError`: naming the column.
    """
    filled = ["labels", "status", *DIMENSIONS * rated, *("raw_labels", "reason") * every]
    if lost := next((name for name in filled if any(name in row.extra for row in rows)), None):
        raise ValueError(f"keep: {lost!r} is a column that the answers fill; give it another name in the input")


def write_rows(path, rows, found, *, fields=lambda value: {"labels": value}, every=False, merge_variants=False):
    """Write the data set.

    Args:
        path (`str` or `Path`): The JSONL file.
        rows (`list[TextRow]`): The input, in order.
        found (`Callable[[TextRow], RowRecord | None]`): What is stored for a row.
        fields (`Callable[[object], dict]`): What a value that was read adds to its row, `labels` among it.
        every (`bool`): Rows that are not `ok` as well, and with each row its raw labels and the reason; a text
            that was not asked yet has the status `pending`.
        merge_variants (`bool`): Use one spelling for variants of a descriptor.

    Returns:
        `dict[str, int]`: rows by status, `pending` included, whether written or not.
    """
    records = [(row, found(row)) for row in rows]
    variants = None
    if merge_variants:
        ok = [record for _, record in records if record and record.status == "ok"]
        variants = VariantMap.of(fields(record.value)["labels"] for record in ok)
    counts = {}
    with open_output(path) as file:
        for row, record in records:
            status = record.status if record else "pending"
            counts[status] = counts.get(status, 0) + 1
            if status != "ok" and not every:
                continue
            read = fields(record.value) if status == "ok" else {"labels": []}
            raw = read["labels"]
            line = {"id": row.id, "source": row.source, **row.extra, "text": row.text}
            line.update({**read, "labels": normalise_labels(raw, variants)}, status=status)
            if every:
                line.update(raw_labels=raw, reason=record.reason if record else None)
            file.write(json_line(line))
    return counts
