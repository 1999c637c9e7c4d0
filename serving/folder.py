"""The folder of a scoring run: its arguments, its shards and what is known of each, its lock."""

import contextlib
import json
import os
import re
from pathlib import Path

from ..files import write_json

__all__ = ["RunFolder"]

MANIFEST, RECORDS, END = "_run.json", "_records", "_end.json"
FORMAT = 1
PART = "part-{:05d}.{}"


class RunFolder:
    """
    A folder in which a run leaves its shards, and from which another goes on.

    Readers of a folder of Parquet files pass over names that begin with `_`, so these hold what belongs to the run.
    A shard is done when its record is there; the record is written after the shard.

    Args:
        path (`str` or `Path`): The folder; made if it is missing.
        kind (`str`): What shards are: `parquet`, `csv` or `jsonl`.

    Raises:
        `ValueError`: if it holds something that is no scoring run.
    """

    def __init__(self, path, kind):
        self.path, self.kind = Path(path), kind
        if self.path.exists() and not self.path.is_dir():
            raise ValueError(f"--output {path} is a file; name a folder, or a new file that ends in .{kind}")
        if not (self.path / MANIFEST).exists() and self.path.is_dir() and any(self._foreign()):
            raise ValueError(f"--output {path} is not empty and holds no scoring run; name another folder")
        self.path.mkdir(parents=True, exist_ok=True)

    def _foreign(self):
        return (name for name in os.listdir(self.path) if not name.startswith((".", "_")))

    # ---- one run at a time

    @contextlib.contextmanager
    def locked(self, rank=0):
        """
        Hold the folder for one process of a run; the system lets go of it when the process ends, however it does.

        Args:
            rank (`int`): Which of a run's processes this is.

        Raises:
            `ValueError`: if another run is at it.
        """
        with self._lock(f"_lock-{rank}", 0):
            yield

    @contextlib.contextmanager
    def _lock(self, name, timeout):
        from filelock import FileLock, Timeout

        lock = FileLock(self.path / name)
        try:
            lock.acquire(timeout=timeout)
        except Timeout:
            raise ValueError(f"another run is writing to {self.path}; wait for it, or name another --output") from None
        try:
            yield
        finally:
            lock.release()

    # ---- what the run is

    def agree(self, description):
        """
        Note what the run is, or see that it is the same run.

        Args:
            description (`dict[str, dict]`): Sections (`input`, `arguments`, `model`) of JSON values.

        Returns:
            `bool`: whether the run had been started before.

        Raises:
            `ValueError`: in one sentence, if the folder holds a run of another input, model or other arguments.
        """
        description = json.loads(json.dumps(description))
        with self._lock("_lock-start", 600):  # processes of one run start together
            try:
                known = json.loads((self.path / MANIFEST).read_text("utf-8"))
            except FileNotFoundError:
                write_json(self.path / MANIFEST, {"format": FORMAT, **description})
                return False
            except ValueError:
                raise ValueError(f"{self.path / MANIFEST} is damaged; name another --output") from None
        for section, values in description.items():
            before = known.get(section) or {}
            changed = [name for name in {**before, **values} if before.get(name) != values.get(name)]
            if changed:
                raise ValueError(
                    f"{self.path} holds a run with another {_what(section, changed, before, values)}; go on with "
                    "the same ones, or name another --output"
                )
        return True

    # ---- shards

    def shard_path(self, number):
        return self.path / PART.format(number, self.kind)

    def shard_paths(self):
        """`list[Path]`: The shards that are done, in order."""
        return [self.shard_path(number) for number in sorted(self.done())]

    def done(self):
        """`set[int]`: Numbers of the shards that are done."""
        try:
            names = os.listdir(self.path / RECORDS)
        except FileNotFoundError:
            return set()
        numbers = {int(match[1]) for name in names if (match := re.fullmatch(r"part-(\d+)\.json", name))}
        return {number for number in numbers if self.shard_path(number).exists()}

    def record(self, number):
        """`dict`: What is known of a shard that is done."""
        return json.loads(self._record_path(number).read_text("utf-8"))

    def set_record(self, number, record):
        """Note that a shard is done."""
        write_json(self._record_path(number), record, indent=None)

    def _record_path(self, number):
        return self.path / RECORDS / PART.format(number, "json")

    def set_end(self, shards, rows):
        """Note how many shards and rows the input has."""
        write_json(self.path / END, {"shards": shards, "rows": rows}, indent=None)

    def complete(self):
        """`bool`: whether the end of the input is known and every shard up to it is done."""
        try:
            end = json.loads((self.path / END).read_text("utf-8"))
        except FileNotFoundError:
            return False
        return set(range(end["shards"])) <= self.done()


def _what(section, changed, before, values):
    if section != "arguments":
        return section
    name = changed[0]
    more = f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
    return f"--{name.replace('_', '-')}, {_short(before.get(name))} and not {_short(values.get(name))}{more}"


def _short(value):
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
