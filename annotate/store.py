"""What has been asked and answered: one SQLite file beside the output.

Why SQLite and not a log of JSON lines: a reply and the rows it decides are written in one transaction, a row is
replaced in place when a text is asked again, and a look-up by key needs no index in memory. A write-ahead log with
`synchronous=FULL` survives `kill -9` and, as far as the disk keeps its word, a power cut: what was committed is
there, what was not leaves no trace. The file is locked while a run has it open, so that two runs cannot pay twice.

Rows keep what the teacher wrote; normal forms are made when the output is written.
"""

import asyncio
import hashlib
import json
import queue
import sqlite3
import threading
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ..full_disks import DiskFullError, disk_full_named, is_disk_full
from .annotation_tasks import FORMAT_VERSION
from .settings import STATUSES

__all__ = [
    "IN_FLIGHT",
    "KILLED",
    "OPEN_STATES",
    "GroupWriter",
    "RequestRecord",
    "RowRecord",
    "Store",
    "StoreDamagedError",
    "UnstorableError",
    "canonical_json",
    "row_key",
]

OPEN_STATES = ("built", "uploaded", "creating", "submitted")  # of a shard whose texts are spoken for
APPLICATION_ID = 0x656D6F64  # "emod", so that another program's database is not taken for a store
SCHEMA_VERSION = 1
IN_FLIGHT = "in flight"  # the fault of a request that was sent and not answered yet
KILLED = "the run ended before the answer came"
_SCHEMA = """
CREATE TABLE requests (
    id INTEGER PRIMARY KEY, model TEXT NOT NULL, prompt TEXT NOT NULL, parameters TEXT NOT NULL, server TEXT NOT
    NULL, items INTEGER NOT NULL, structured INTEGER NOT NULL, reply TEXT, finish_reason TEXT, fault TEXT,
    prompt_tokens INTEGER, cached_tokens INTEGER, completion_tokens INTEGER, estimated INTEGER NOT NULL,
    cost REAL, batch TEXT, served_model TEXT, reply_id TEXT, time REAL NOT NULL, seconds REAL
);
CREATE TABLE rows (
    key TEXT PRIMARY KEY, text_id TEXT NOT NULL, text TEXT NOT NULL, model TEXT NOT NULL, prompt TEXT NOT NULL,
    parameters TEXT NOT NULL, status TEXT NOT NULL, value TEXT, reason TEXT, asks INTEGER NOT NULL,
    request INTEGER REFERENCES requests(id), time REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE shards (
    name TEXT PRIMARY KEY, run TEXT NOT NULL, state TEXT NOT NULL, items TEXT NOT NULL, tokens INTEGER NOT NULL,
    cost REAL, file_id TEXT, batch_id TEXT, note TEXT, time REAL NOT NULL
);
"""
_TABLES = {"requests", "rows", "shards"}


class StoreDamagedError(ValueError):
    """The file is a store that was harmed."""


class UnstorableError(ValueError):
    """A record holds what SQLite cannot."""


@dataclass
class RequestRecord:
    """One exchange with the server that was, or may have been, billed. Token counts are for the whole request."""

    model: str
    prompt: str
    parameters: dict
    server: str
    items: int
    structured: bool = False
    reply: str | None = None
    finish_reason: str | None = None
    fault: str | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None
    estimated: bool = False
    cost: float | None = None
    batch: str | None = None
    served_model: str | None = None
    reply_id: str | None = None
    time: float = field(default_factory=time.time)
    seconds: float | None = None
    number: int | None = None  # in the store; a record that has one is written in its own place


@dataclass
class RowRecord:
    """What one text came to. `asks` counts the answers so far, so that a bound on them survives a restart."""

    key: str
    text_id: str
    text: str
    status: str
    value: object = None
    reason: str | None = None
    asks: int = 0


def row_key(model, parameters, prompt, text):
    """The key of a row: SHA-256 of the model, the sampling parameters, the prompt's version and wording, and the
    text.

    Args:
        model (`str`): Its name.
        parameters (`dict`): The sampling parameters that are sent.
        prompt (`Prompt`): Name, version and wording count.
        text (`str`): White space at its ends does not count.

    Returns:
        `str`: 64 hexadecimal digits.
    """
    parts = [FORMAT_VERSION, model, parameters, prompt.id, prompt.digest, text.strip()]
    canonical = json.dumps(parts, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


class Store:
    """The store of one output.

    Args:
        path (`str` or `Path`): The SQLite file; made where there is none.

    Raises:
        `ValueError`: for a file that is no store, or one that another run has open.

    Example:

    ```python
    with Store("descriptors.jsonl.sqlite") as store:
        print(store.spent(), store.counts())
    ```
    """

    def __init__(self, path):
        self.path = Path(path)
        if not self.path.parent.is_dir():
            raise FileNotFoundError(f"{self.path.parent}: no such folder, so the store cannot be made there")
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(self.path, timeout=2.0, check_same_thread=False, isolation_level=None)
        except sqlite3.Error as error:
            raise OSError(f"{self.path}: the store cannot be opened ({error})") from None
        try:
            self._open()
        except sqlite3.DatabaseError as error:
            self._db.close()
            if is_disk_full(error):
                raise DiskFullError(self.path) from None
            if "locked" in str(error):
                raise ValueError(f"{self.path}: another run has this store open; wait for it or stop it") from None
            if "not a database" in str(error):
                raise ValueError(f"{self.path}: not a store of emodistill annotate ({error}); move it away") from None
            if _tells_of_damage(error):
                raise self._damaged(error) from None
            raise OSError(
                f"{self.path}: the store cannot be opened for writing ({error}); see that the file, its folder and "
                f"{self.path.name}-wal, where there is one, may be written"
            ) from None
        except ValueError:
            self._db.close()
            raise

    def _open(self):
        # EXCLUSIVE before the first read: the lock is the operating system's, so a killed run leaves none behind.
        self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute("BEGIN EXCLUSIVE")
        application = self._db.execute("PRAGMA application_id").fetchone()[0]
        version = self._db.execute("PRAGMA user_version").fetchone()[0]
        tables = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables == 0:
            for statement in _SCHEMA.split(";"):
                self._db.execute(statement)
            self._db.execute(f"PRAGMA application_id={APPLICATION_ID}")
            self._db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        elif application != APPLICATION_ID:
            self._db.execute("ROLLBACK")
            raise ValueError(f"{self.path}: not a store of emodistill annotate; move it away or name another one")
        elif version != SCHEMA_VERSION:
            self._db.execute("ROLLBACK")
            raise ValueError(f"{self.path}: written by another version of emodistill (store version {version})")
        else:  # a page that was harmed may lose rows without a word, which would be paid for again
            found = self._db.execute("PRAGMA integrity_check(1)").fetchone()[0]
            missing = _TABLES - {name for (name,) in self._db.execute("SELECT name FROM sqlite_master")}
            if missing or found != "ok":
                raise self._damaged(f"no table {min(missing)}" if missing else " ".join(found.split()))
        self._db.execute("COMMIT")

    def _damaged(self, reason):
        return StoreDamagedError(f"{self.path}: the store is damaged ({reason}); bring back a copy of it")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        with self._lock:
            self._db.close()

    def record(self, entries, statements=()):
        """Write requests with the rows that they decide, all in one durable transaction.

        Args:
            entries (`list[tuple[RequestRecord | None, list[RowRecord], dict]]`): A request, its rows, and the
                model, prompt and parameters under which the rows stand.
            statements (`Iterable[tuple[str, tuple]]`): Further SQL of the same transaction, with its values.
        """
        with self._lock, self._named("written"):
            fresh = [request for request, _, _ in entries if request is not None and request.number is None]
            self._db.execute("BEGIN IMMEDIATE")
            try:
                for request, rows, identity in entries:
                    self._write(request, rows, identity)
                for sql, values in statements:
                    self._db.execute(sql, values)
                self._db.execute("COMMIT")
            except BaseException:
                for request in fresh:  # their numbers are not in the store
                    request.number = None
                if self._db.in_transaction:  # SQLite itself may have ended it, on a full disk
                    self._db.execute("ROLLBACK")
                raise

    def _write(self, request, rows, identity):
        number = None if request is None else self._write_request(request)
        now = time.time()
        for row in rows:
            value = None if row.value is None else canonical_json(row.value)
            self._db.execute(
                "INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    *(
                        row.key,
                        row.text_id,
                        row.text,
                        identity["model"],
                        identity["prompt"],
                        identity["parameters"],
                    ),
                    *(row.status, value, row.reason, row.asks, number, now),
                ),
            )

    def _write_request(self, request):
        values = {**vars(request), "parameters": canonical_json(request.parameters)}
        number = values.pop("number")
        if number is None:
            names, marks = ", ".join(values), ", ".join(f":{name}" for name in values)
            request.number = self._db.execute(f"INSERT INTO requests ({names}) VALUES ({marks})", values).lastrowid
        else:
            assigned = ", ".join(f"{name} = :{name}" for name in values)
            self._db.execute(f"UPDATE requests SET {assigned} WHERE id = :id", {**values, "id": number})
        return request.number

    def settle(self):
        """What an earlier run had in flight when it was killed counts with the most that it can have cost.

        Returns:
            `int`: how many requests these were.
        """
        killed = self.query("SELECT count(*) FROM requests WHERE fault = ?", (IN_FLIGHT,))[0][0]
        if killed:
            self.execute("UPDATE requests SET fault = ? WHERE fault = ?", (KILLED, IN_FLIGHT))
        return killed

    def frames(self, model, prompt, server):
        """Fewest prompt tokens of a request, as the server counted them, by items and format.

        Returns:
            `dict[tuple[int, bool], int]`
        """
        query = (
            "SELECT items, structured, min(prompt_tokens) FROM requests WHERE model = ? AND prompt = ? AND server = ? "
            "AND NOT estimated AND fault IS NULL AND prompt_tokens > 0 GROUP BY items, structured"
        )
        return {(items, bool(json)): tokens for items, json, tokens in self.query(query, (model, prompt, server))}

    def excess(self, model, server):
        """`float`: the longest answer of a model at a server as a share of what was allowed."""
        query = (
            "SELECT parameters, max(completion_tokens) FROM requests WHERE model = ? AND server = ? AND NOT estimated "
            "GROUP BY parameters"
        )
        found = self.query(query, (model, server))
        try:
            allowed = [(json.loads(parameters).get("max_tokens"), taken) for parameters, taken in found]
            return max((taken / longest for longest, taken in allowed if longest and taken), default=0.0)
        except (ValueError, TypeError, AttributeError, RecursionError):
            raise self._damaged("the record of a request") from None

    def rows(self, keys):
        """The rows that there are for some keys.

        Args:
            keys (`Iterable[str]`)

        Returns:
            `dict[str, RowRecord]`
        """
        found = {}
        keys = list(keys)
        for start in range(0, len(keys), 500):
            part = keys[start : start + 500]
            marks = ",".join("?" * len(part))
            names = "key, text_id, text, status, value, reason, asks"
            for columns in self.query(f"SELECT {names} FROM rows WHERE key IN ({marks})", part):
                found[columns[0]] = self._row(*columns)
        return found

    def _row(self, key, text_id, text, status, value, reason, asks):
        try:
            value = None if value is None else json.loads(value)
            if status not in STATUSES or type(asks) is not int or (status == "ok" and not value):
                raise ValueError
        except (ValueError, TypeError, RecursionError):
            raise StoreDamagedError(
                f"{self.path}: the row of the text {str(text_id)[:80]!r} is damaged (key {str(key)[:16]}...); bring "
                "back a copy of the file, or delete the row to have the text asked again"
            ) from None
        return RowRecord(key, text_id, text, status, value, reason, asks)

    def query(self, sql, values=()):
        """`list[tuple]`: the answer to any reading query; for inspection."""
        with self._lock, self._named("read"):
            return self._db.execute(sql, values).fetchall()

    def execute(self, sql, values=()):
        """One durable writing statement; for the batch jobs' states."""
        with self._lock, self._named("written"):
            self._db.execute(sql, values)

    @contextmanager
    def _named(self, what):
        """SQLite's faults with the file's name: of the data a `ValueError`, of the disk an `OSError`."""
        try:
            with disk_full_named(self.path):
                yield
        except (sqlite3.InterfaceError, sqlite3.ProgrammingError, UnicodeError, OverflowError) as error:
            raise UnstorableError(f"{self.path}: a value cannot be stored ({error})") from error
        except sqlite3.Error as error:
            if _tells_of_damage(error):
                raise self._damaged(error) from error
            raise OSError(f"{self.path}: the store cannot be {what} ({error})") from error

    def spent(self):
        """`float`: US dollars of all runs on this store, as far as prices were known."""
        return self.query("SELECT coalesce(sum(cost), 0) FROM requests")[0][0]

    def shards(self, states, run=None):
        """Shards of batch mode in some states, the oldest first.

        Args:
            states (`Iterable[str]`)
            run (`str`, *optional*): Those of one run only.

        Returns:
            `list[dict]`: the columns of the table; `items` is decoded.
        """
        names = ("name", "run", "state", "items", "tokens", "cost", "file_id", "batch_id", "note")
        marks = ",".join("?" * len(states))
        query = f"SELECT {', '.join(names)} FROM shards WHERE state IN ({marks}) ORDER BY time, name"
        shards = [dict(zip(names, row, strict=True)) for row in self.query(query, tuple(states))]
        chosen = [shard for shard in shards if run in (None, shard["run"])]
        try:
            return [{**shard, "items": json.loads(shard["items"])} for shard in chosen]
        except (ValueError, TypeError, RecursionError):
            raise self._damaged("the record of a batch") from None

    def counts(self):
        """`dict[str, int]`: rows by status."""
        return dict(self.query("SELECT status, count(*) FROM rows GROUP BY status ORDER BY status"))

    def usage(self, model=None, prompt=None):
        """`dict`: requests, items and tokens so far, for one model and prompt or for all."""
        where = "WHERE (?1 IS NULL OR model = ?1) AND (?2 IS NULL OR prompt = ?2) AND NOT estimated"
        names = ("requests", "items", "prompt_tokens", "completion_tokens", "cost", "seconds")
        query = (
            "SELECT count(*), coalesce(sum(items), 0), coalesce(sum(prompt_tokens), 0), "
            "coalesce(sum(completion_tokens), 0), coalesce(sum(cost), 0), coalesce(sum(seconds), 0) "
            f"FROM requests {where}"
        )
        return dict(zip(names, self.query(query, (model, prompt))[0], strict=True))


def _tells_of_damage(error):
    """Whether SQLite means the content of the file, and not the disk or a right that is missing."""
    words = str(error).lower()
    return any(part in words for part in ("malformed", "not a database", "could not decode", "no such", "corrupt"))


def canonical_json(value):
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


class GroupWriter:
    """Commits the records of many requests together, in a thread of its own.

    A commit waits for the disk. One for each reply, in the event loop, would make the disk the limit; here
    whatever has come in while the last commit ran goes into the next one, and each caller is told when its own
    record is durable.

    Args:
        store (`Store`)
        loop (`asyncio.AbstractEventLoop`): Where the callers wait.
    """

    def __init__(self, store, loop):
        self._store, self._loop = store, loop
        self._queue = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="annotate-store", daemon=True)
        self._thread.start()

    async def record(self, request, rows, identity):
        """Returns once the record is on the disk."""
        await self._put((request, rows, identity), [])

    async def forget(self, number):
        """Take a request out again that was not billed; returns once it is gone."""
        await self._put(None, [("DELETE FROM requests WHERE id = ?", (number,))])

    async def _put(self, entry, statements):
        future = self._loop.create_future()
        self._queue.put(([] if entry is None else [entry], statements, future))
        await asyncio.shield(future)

    def close(self):
        self._queue.put(None)
        self._thread.join()

    def _run(self):
        while True:
            batch = [self._queue.get()]
            while not self._queue.empty():
                batch.append(self._queue.get())
            jobs = [job for job in batch if job is not None]
            if jobs:
                self._commit(jobs)
            if len(jobs) < len(batch):
                return

    def _commit(self, jobs):
        """All in one transaction; one by one where that fails, so that what cannot be stored spoils only itself."""
        error = None
        try:
            entries = [entry for entries, _, _ in jobs for entry in entries]
            self._store.record(entries, [one for _, statements, _ in jobs for one in statements])
        except Exception as caught:
            if len(jobs) > 1 and not isinstance(caught, OSError):
                for job in jobs:
                    self._commit([job])
                return
            error = caught
        self._loop.call_soon_threadsafe(_tell, [future for _, _, future in jobs], error)


def _tell(futures, error):
    for future in futures:
        if future.done():
            continue
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)
