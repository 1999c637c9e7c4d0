"""The folder of a scoring run: its arguments, its shards and what is known of each, its lock."""

import contextlib
import hashlib
import json
import os
import re
import sys
from pathlib import Path

from ..files import write_json
from ..fingerprint import file_digest

__all__ = ["RunFolder"]

MANIFEST, RECORDS, END = "_run.json", "_records", "_end.json"
FORMAT = 1
PART = "part-{:05d}.{}"


def _say(sentence):
    print(sentence, file=sys.stderr, flush=True)


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
        self._made = not self.path.exists()
        self.path.mkdir(parents=True, exist_ok=True)

    def _foreign(self):
        return (name for name in os.listdir(self.path) if not name.startswith((".", "_")))

    # ---- one run at a time

    @contextlib.contextmanager
    def locked(self, rank=0):
        """
        Hold the folder for one process of a run; the system lets go of it when the process ends, however it does.

        A folder that was made for a run which then did not begin, for a slip of the pen, goes with it.

        Args:
            rank (`int`): Which of a run's processes this is.

        Raises:
            `ValueError`: if another run is at it.
        """
        name = f"_lock-{rank}"
        with self._lock(name, 0):
            try:
                yield
            finally:
                if self._made and not (self.path / MANIFEST).exists():
                    with contextlib.suppress(OSError):  # another process is there, or has begun it meanwhile
                        (self.path / name).unlink()
                        self.path.rmdir()

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

    def agree(self, description, say=_say):
        """
        Note what the run is, or see that it is the same run, whose shards are still what it wrote.

        Args:
            description (`dict[str, dict]`): Sections (`input`, `arguments`, `model`) of JSON values.
            say (`Callable`, *optional*): Told of shards that are not and are scored again; standard error by default.

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
            except (ValueError, RecursionError):
                known = None
        if not isinstance(known, dict) or not all(isinstance(values, dict) for values in map(known.get, description)):
            raise ValueError(f"{self.path / MANIFEST} is damaged; name another --output")
        for section, values in description.items():
            before = known[section]
            changed = [name for name in {**before, **values} if before.get(name) != values.get(name)]
            if changed:
                raise ValueError(
                    f"{self.path} holds a run with another {_what(section, changed, before, values)}; go on with "
                    "the same ones, or name another --output"
                )
        self._keep_whole(say)
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

    def beyond(self, number):
        """`list[str]`: Files of shards from this one on, done or not: whoever reads the folder takes them, too."""
        found = ((name, re.fullmatch(rf"part-(\d+)\.{self.kind}", name)) for name in os.listdir(self.path))
        return sorted(name for name, match in found if match and int(match[1]) >= number)

    def record(self, number):
        """`dict`: What is known of a shard that is done."""
        path = self._record_path(number)
        try:
            return json.loads(path.read_text("utf-8"))
        except (ValueError, RecursionError):
            raise ValueError(f"{path} is damaged; the same command scores its rows again") from None

    def set_record(self, number, record):
        """Note that a shard is done."""
        record = json.loads(json.dumps(record), parse_constant=lambda name: None)  # as it will be read
        write_json(self._record_path(number), {**record, "seal": self._seal(number, record)}, indent=None)

    def _keep_whole(self, say):
        """Take back that shards are done which another run wrote, or which were cut or changed since."""
        for number in sorted(self.done()):
            path = self._record_path(number)
            with contextlib.suppress(FileNotFoundError):  # another process of the run took it back
                before = path.read_bytes()
                if not self._is_whole(number) and path.read_bytes() == before:  # else written anew meanwhile
                    path.unlink()
                    say(f"{self.shard_path(number)} or {path} is not what this run wrote: its rows are scored again")

    def _is_whole(self, number):
        try:
            record = self.record(number)
        except ValueError:
            return False
        return isinstance(record, dict) and record.get("seal") == self._seal(number, record)

    def _seal(self, number, record):
        """`str`: a digest of the run, of a shard, and of what is known of it."""
        noted = {name: value for name, value in record.items() if name != "seal"}
        digest = hashlib.sha256((self.path / MANIFEST).read_bytes())
        digest.update(json.dumps([number, noted], sort_keys=True).encode())
        digest.update(bytes.fromhex(file_digest(self.shard_path(number))))
        return digest.hexdigest()

    def _record_path(self, number):
        return self.path / RECORDS / PART.format(number, "json")

    def set_end(self, shards, rows):
        """Note how many shards and rows the input has."""
        write_json(self.path / END, {"shards": shards, "rows": rows}, indent=None)

    def complete(self):
        """`bool`: whether the end of the input is known and every shard up to it is done."""
        try:
            end = json.loads((self.path / END).read_text("utf-8"))
            shards = range(end["shards"])
        except (FileNotFoundError, ValueError, TypeError, KeyError, RecursionError):  # each process notes it anew
            return False
        return set(shards) <= self.done()


def _what(section, changed, before, values):
    if section != "arguments":
        return section
    name = changed[0]
    more = f" (and {len(changed) - 1} more)" if len(changed) > 1 else ""
    return f"--{name.replace('_', '-')}, {_short(before.get(name))} and not {_short(values.get(name))}{more}"


def _short(value):
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "..."
