"""The output: JSON lines in input order, written beside and moved into place."""

import json
import os
from contextlib import contextmanager
from pathlib import Path

from .normalise import VariantMap, normalise_labels
from .store import RowRecord

EMPTY = RowRecord("", "", "", "invalid", reason="the text is empty, so it was not asked")


@contextmanager
def atomic_writer(path):
    """A text file that appears whole or not at all: written beside, flushed to the disk, moved into place."""
    path = Path(path)
    temporary = path.with_name(f".{path.name}.tmp")  # one name, so that what a killed run left is overwritten
    try:
        with open(temporary, "w", encoding="utf-8", newline="\n", errors="backslashreplace") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def check_output(path, store_path):
    """An output must be writable, and a file that no store stands beside is not ours to replace.

    Raises:
        `ValueError` or `OSError`: before anything is asked, so that no money is spent on rows with no place.
    """
    path, store_path = Path(path), Path(store_path)
    if path.is_dir():
        raise ValueError(f"output: {path} is a folder; name a file in it")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"output: there is no folder {path.parent}")
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(f"output: {path.parent} cannot be written")
    if path.exists() and path.stat().st_size and not store_path.exists():
        raise ValueError(
            f"output: {path} is there already and has no store ({store_path.name}) beside it, so it was not "
            "written by an earlier run; move it away or choose another name"
        )


# Unicode's own line ends, which JSON allows in a string but some readers of JSON lines split at.
_LINE_ENDS = str.maketrans({"\u0085": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"})


def json_line(record):
    """`str`: one line of a JSONL file, its end included."""
    return json.dumps(record, ensure_ascii=False).translate(_LINE_ENDS) + "\n"


def write_rows(path, rows, found, *, every=False, merge_variants=False):
    """Write the data set.

    Args:
        path (`str` or `Path`): the JSONL file.
        rows (`list[TextRow]`): the input, in order.
        found (`Callable[[TextRow], RowRecord | None]`): what is stored for a row.
        every (`bool`): rows that are not `ok` as well, and with each row its raw labels and the reason; a text
            that was not asked yet has the status `pending`.
        merge_variants (`bool`): use one spelling for variants of a descriptor.

    Returns:
        `dict[str, int]`: rows by status, `pending` included, whether written or not.
    """
    records = [(row, found(row)) for row in rows]
    variants = None
    if merge_variants:
        variants = VariantMap.of(record.value for _, record in records if record and record.status == "ok")
    counts = {}
    with atomic_writer(path) as file:
        for row, record in records:
            status = record.status if record else "pending"
            counts[status] = counts.get(status, 0) + 1
            if status != "ok" and not every:
                continue
            raw = record.value if status == "ok" else []
            line = {"id": row.id, "source": row.source, **row.extra, "text": row.text}
            line.update(labels=normalise_labels(raw, variants), status=status)
            if every:
                line.update(raw_labels=raw, reason=record.reason if record else None)
            file.write(json_line(line))
    return counts
