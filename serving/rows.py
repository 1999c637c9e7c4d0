"""Rows to be scored, cut into shards that are the same in every run."""

import hashlib
import json
from dataclasses import dataclass, field

__all__ = ["SHARD_BYTES", "SHARD_ROWS", "Row", "Shard", "cut_shards"]

SHARD_ROWS = 10_000
# A shard is held in memory as text and as tokens, so long documents fill one sooner.
SHARD_BYTES = 8 * 2**20


@dataclass(slots=True)
class Row:
    """
    One row of the input.

    Args:
        number (`int`): Its place in the input, from 0.
        text (`str` or `None`): The text; `None` where there is none that can be scored, and `error` says why.
        error (`str` or `None`): Why the row cannot be scored.
        id (*optional*): The value of the id column.
        kept (`dict`, *optional*): Columns to carry into the output.
        labels (`tuple[str, ...]`, *optional*): Labels of its own.
        group (`str`, *optional*): What the report tells apart.
        day (`str`, *optional*): The day, `YYYY-MM-DD`, for the report.
    """

    number: int
    text: str | None
    error: str | None = None
    id: object = None
    kept: dict = field(default_factory=dict)
    labels: tuple | None = None
    group: str | None = None
    day: str | None = None

    def digest(self):
        """Bytes that change with anything in the row that shows in the output."""
        content = (self.text, self.error, self.id, self.kept, self.labels, self.group, self.day)
        return json.dumps(content, ensure_ascii=True, default=repr).encode("ascii") + b"\n"


@dataclass
class Shard:
    """
    Neighbouring rows that are scored, written and, after a stop, either kept or done again together.

    Args:
        number (`int`): Its place among the shards, from 0.
        rows (`list[Row]`): Its rows.
    """

    number: int
    rows: list

    @property
    def digest(self):
        """`str`: A digest of the rows, by which a resumed run knows its input again."""
        total = hashlib.blake2b(digest_size=16)
        for row in self.rows:
            total.update(row.digest())
        return total.hexdigest()


def cut_shards(rows, most_rows=SHARD_ROWS, most_bytes=SHARD_BYTES):
    """
    Cut a stream of rows; where is a matter of the rows alone, so that every process and every run cuts alike.

    Args:
        rows (`Iterable[Row]`): The rows.
        most_rows (`int`, *optional*): Rows in a shard.
        most_bytes (`int`, *optional*): Characters of text after which a shard is full.

    Yields:
        [`Shard`]

    Example:

    ```python
    >>> from emodistill.serving.rows import Row, cut_shards

    >>> [len(shard.rows) for shard in cut_shards((Row(n, "oh") for n in range(5)), most_rows=2)]
    [2, 2, 1]

    ```
    """
    number, held, size = 0, [], 0
    for row in rows:
        held.append(row)
        size += len(row.text or "")
        if len(held) >= most_rows or size >= most_bytes:
            yield Shard(number, held)
            number, held, size = number + 1, [], 0
    if held:
        yield Shard(number, held)
