"""Batch mode: OpenAI's Batch API, at half the price, answers within a day.

Pending texts are cut into shards, and each shard goes through these states, every one of them in the store before
the next step is taken, so that a run may be stopped or killed anywhere and started again:

    built -> uploaded -> creating -> submitted -> collected
                                          `-----> failed, expired: what is missing is pending again

`creating` is the dangerous moment: the server may have made the batch although its answer never came. A shard
found in that state is looked up among the server's batches by the name in its metadata before anything is sent
again.

Limits of the service (50,000 requests and 200 MB a file, and a number of enqueued tokens that depends on the
account): https://platform.openai.com/docs/guides/batch
"""

import json
import time
import uuid
from collections import Counter
from dataclasses import dataclass, replace

from .client import (
    FatalError,
    FormatUnsupported,
    RequestFailed,
    RequestRefused,
    Retriable,
    judge,
    judge_connection,
    judge_line,
    read_completion,
    redact,
    sync_client,
)
from .job import Job
from .limits import backoff
from .output import check_output, write_rows
from .prices import batch_discount
from .replies import Outcome
from .runner import Report, prepare, read_rows, store_path
from .store import OPEN_STATES, Store
from .tasks import DescriptorTask

ENDPOINT = "/v1/chat/completions"
METADATA = "emodistill_shard"


@dataclass(frozen=True)
class BatchOptions:
    """The choices of batch mode.

    Args:
        max_requests (`int`): requests of one shard; the service takes 50,000.
        max_bytes (`int`): bytes of one shard's file; the service takes 200 MB.
        max_enqueued_tokens (`int`, *optional*): prompt tokens that the account may have enqueued at a time.
        poll (`float`): seconds between looks at the batches.
        wait (`bool`): whether to stay until all is collected; otherwise submit, collect what is ready, and return.
        rounds (`int`): how often a request that failed inside a batch is put into a further one, in one run.
    """

    max_requests: int = 50_000
    max_bytes: int = 190_000_000
    max_enqueued_tokens: int | None = None
    poll: float = 60.0
    wait: bool = True
    rounds: int = 3

    def __post_init__(self):
        for name in ("max_requests", "max_bytes", "max_enqueued_tokens", "rounds"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise ValueError(f"{name}: must be 1 or more")
        if self.poll < 0:
            raise ValueError("poll: must not be negative")


class BatchRun:
    """One run of a `Job` through the Batch API.

    Args:
        job (`Job`)
        options (`BatchOptions`)
        say (`Callable[[str], None]`): told what happens.
    """

    def __init__(self, job, options, say):
        self.job, self.settings, self.store, self.options, self.say = job, job.settings, job.store, options, say
        self.run = f"{self.settings.model} {job.identity['prompt']} {job.identity['parameters']}"
        self.price = job.price.discounted(batch_discount()) if job.price else None
        self.structured = self.settings.reply_format != "text"
        self.report = Report(cost=0.0 if job.price else None)
        self.tries = Counter()  # of each key, in this run
        self.moves = 0  # changes of any shard's state
        self.full = 0  # refusals for want of room in the queue, one after the other
        self._key = self.settings.read_key()
        self._client = sync_client(self.settings, self._key)

    def go(self):
        """Take every shard as far as it goes; returns when nothing is left to wait for."""
        while True:
            before = self.moves
            self.recover()
            self.build()
            self.submit()
            open_shards = self.store.shards(("submitted",), self.run)
            for shard in open_shards:
                self.look(shard)
            if not open_shards:
                break
            if self.moves == before:  # nothing to do but wait for the server
                if not self.options.wait:
                    break
                time.sleep(self.options.poll)

    def _buildable(self):
        return [key for key in self.job.pending() if self.tries[key] < self.options.rounds]

    # Building

    def build(self):
        """Cut pending texts into shards, as far as the spending cap has room."""
        groups = self._groups()
        shard, size, tokens, cost = [], 0, 0, 0.0
        left = self._money_left()
        for keys in groups:
            line = len(self._line("x" * 48, keys, self.structured)) + 1
            counts = self.job.guess(keys, self.structured)
            worst = self.price.cost(counts[0] * 1.2, max(self.settings.longest, counts[1] * 2)) if self.price else 0.0
            if left is not None and cost + worst > left:
                break
            limit = self.options.max_enqueued_tokens
            over = size + line > self.options.max_bytes or (limit and tokens + counts[0] > limit)
            if shard and (over or len(shard) == self.options.max_requests):
                self._save(shard, tokens, cost)
                left = None if left is None else left - cost
                shard, size, tokens, cost = [], 0, 0, 0.0
            shard.append(keys)
            size, tokens, cost = size + line, tokens + counts[0], cost + worst
        if shard:
            self._save(shard, tokens, cost)
        elif groups and not self.store.shards(OPEN_STATES, self.run):
            raise FatalError(f"the spending cap of ${self.settings.max_cost:g} leaves no room for another request")

    def _groups(self):
        keys = self._buildable()
        alone = [[key] for key in keys if self.job.asks(key) or self.tries[key]]
        fresh = [key for key in keys if not self.job.asks(key) and not self.tries[key]]
        size = self.settings.texts_per_request
        return alone + [fresh[start : start + size] for start in range(0, len(fresh), size)]

    def _money_left(self):
        if self.settings.max_cost is None:
            return None
        reserved = sum(shard["cost"] or 0.0 for shard in self.store.shards(OPEN_STATES))
        return self.settings.max_cost - self.store.spent() - reserved

    def _save(self, groups, tokens, cost):
        items = json.dumps({"groups": groups, "structured": self.structured})
        values = (uuid.uuid4().hex, self.run, "built", items, tokens, cost, time.time())
        columns = "name, run, state, items, tokens, cost, time"
        self.store.execute(f"INSERT INTO shards ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", values)
        self.moves += 1
        for keys in groups:
            self.job.in_batches.update(keys)
            self.tries.update(keys)

    def _line(self, custom_id, keys, structured):
        messages = self.job.messages(keys, structured)
        schema = self.job.task.response_format(len(keys)) if structured else None
        body = self.settings.request_body(messages, schema)
        line = {"custom_id": custom_id, "method": "POST", "url": ENDPOINT, "body": body}
        return json.dumps(line, ensure_ascii=False).encode("utf-8", "backslashreplace")

    # Submitting

    def recover(self):
        """Settle what an earlier run left: batches that may have been made, shards too large to send."""
        limit = self.options.max_enqueued_tokens
        for shard in self.store.shards(("built", "uploaded"), self.run):
            if limit and shard["tokens"] > limit and len(shard["items"]["groups"]) > 1:
                self._move(shard, "failed", note="cut into smaller ones")
                self._release(shard)
        unsure = self.store.shards(("creating",), self.run)
        if not unsure:
            return
        made = {}
        for batch in self._call(lambda: list(self._client.batches.list(limit=100))):
            made[(batch.metadata or {}).get(METADATA)] = batch.id
        for shard in unsure:
            if shard["name"] in made:
                self._move(shard, "submitted", batch_id=made[shard["name"]])
                self.say(f"found batch {made[shard['name']]} of an earlier run")
            else:
                self._move(shard, "uploaded")

    def submit(self):
        """Send what is built, as long as the queue has room."""
        for shard in self.store.shards(("built", "uploaded"), self.run):
            limit = self.options.max_enqueued_tokens
            queued = sum(other["tokens"] for other in self.store.shards(("submitted",)))
            if queued and (self.full or (limit and queued + shard["tokens"] > limit)):
                return
            if shard["state"] == "built":
                self._upload(shard)
            self._create(shard)

    def _upload(self, shard):
        items = shard["items"]
        lines = (
            self._line(f"{shard['name']}-{n}", keys, items["structured"]) for n, keys in enumerate(items["groups"])
        )
        data = b"\n".join(lines) + b"\n"
        name = f"emodistill-{shard['name']}.jsonl"
        file = self._call(lambda: self._client.files.create(file=(name, data), purpose="batch"))
        self._move(shard, "uploaded", file_id=file.id)

    def _create(self, shard):
        for attempt in range(self.settings.max_retries + 1):
            self._move(shard, "creating")
            try:
                batch = self._once(
                    lambda: self._client.batches.create(
                        input_file_id=shard["file_id"],
                        endpoint=ENDPOINT,
                        completion_window="24h",
                        metadata={METADATA: shard["name"]},
                    )
                )
            except Retriable as fault:
                if attempt == self.settings.max_retries:
                    raise FatalError(f"the batch could not be made: {fault}; run again to go on") from None
                self._rest(fault, attempt)
                self.recover()  # never again before it is known that the server has none
                if self._is(shard, "submitted"):
                    return
                continue
            except (RequestFailed, RequestRefused, FormatUnsupported) as error:
                self._move(shard, "failed", note=str(error))
                raise FatalError(f"the batch was turned down: {error}") from None
            self._move(shard, "submitted", batch_id=batch.id)
            requests, texts = len(shard["items"]["groups"]), sum(map(len, shard["items"]["groups"]))
            self.say(f"submitted batch {batch.id}: {texts:,} texts in {requests:,} requests")
            return

    def _is(self, shard, state):
        return any(one["name"] == shard["name"] for one in self.store.shards((state,)))

    # Collecting

    def look(self, shard):
        """See how far a batch is; collect it when it has ended."""
        batch = self._call(lambda: self._client.batches.retrieve(shard["batch_id"]))
        if batch.status in ("completed", "expired", "cancelled"):
            self.full = 0
            self._collect(shard, batch)
        elif batch.status == "failed":
            self._failed(shard, batch)
        elif counts := batch.request_counts:
            self.say(f"batch {batch.id}: {batch.status}, {counts.completed:,} of {counts.total:,} requests done")

    def _failed(self, shard, batch):
        faults = list((batch.errors and batch.errors.data) or [])
        words = redact("; ".join(str(fault.message) for fault in faults) or "no reason given", self._key)
        if any("token_limit" in str(fault.code) for fault in faults):
            self.full += 1
            self._move(shard, "uploaded", note=words)
            if self.full > 5 and not self.store.shards(("submitted",)):
                raise FatalError(
                    f"the account's queue has no room for a batch of {shard['tokens']:,} tokens ({words}); "
                    "give its size (--max-enqueued-tokens) so that smaller ones are made"
                )
            self.say("the queue is full; trying again later")
            time.sleep(min(self.options.poll, 60.0))
            return
        self._move(shard, "failed", note=words)
        self._release(shard)
        raise FatalError(f"batch {batch.id} failed: {words}")

    def _collect(self, shard, batch):
        """Book every line of a batch and end its shard, in one transaction."""
        groups, structured = shard["items"]["groups"], shard["items"]["structured"]
        entries, answered = [], set()
        for line in self._lines(batch.output_file_id) + self._lines(batch.error_file_id):
            name, _, number = str(line.get("custom_id")).rpartition("-")
            if name != shard["name"] or not number.isdigit() or int(number) >= len(groups) or number in answered:
                continue
            answered.add(number)
            keys = [key for key in groups[int(number)] if key in self.job.unique]
            if len(keys) == len(groups[int(number)]):  # texts that left the input since cannot be told apart
                entries.append(self._entry(line, keys, structured, batch.id))
        ended = ("UPDATE shards SET state = 'collected', note = ? WHERE name = ?", (batch.status, shard["name"]))
        self.store.record(entries, [ended])
        self.moves += 1
        for request, rows, _ in entries:
            if request is not None:
                self.report.asked += 1
                self.report.book(request)
            self.job.rows.update({row.key: row for row in rows})
        self._release(shard)
        missing = len(groups) - len(answered)
        self.say(f"collected batch {batch.id}: {len(answered):,} answers" + (f", {missing:,} missing" * bool(missing)))

    def _lines(self, file_id):
        if not file_id:
            return []
        content = self._call(lambda: self._client.files.content(file_id).content)
        lines = []
        for line in content.decode("utf-8", "replace").split("\n"):
            try:
                lines.append(json.loads(line))
            except json.JSONDecodeError:
                continue  # a line that cannot be read is a missing answer: its texts stay pending
        return [line for line in lines if isinstance(line, dict)]

    def _entry(self, line, keys, structured, batch_id):
        """The record of one line: an answer, or the reason why there is none."""
        response, request = line.get("response") or {}, None
        body, status = response.get("body"), response.get("status_code")
        try:
            if status != 200:
                raise judge_line(line, structured, self._key)
            reply = read_completion(body)
            if reply.refused:
                reply = replace(reply, content=redact(reply.content, self._key))
            request = self.job.request_record(reply, keys, structured, batch=batch_id)
            outcomes = self.job.outcomes(reply, keys, structured)
        except FormatUnsupported as error:
            if self.settings.reply_format == "json":
                outcomes = [Outcome("error", reason=str(error))] * len(keys)
            else:
                self.structured = False
                outcomes = [Outcome("error", reason="the server has no structured outputs")] * len(keys)
        except RequestRefused as error:
            outcomes = [Outcome("refused", reason=str(error))] * len(keys)
        except (RequestFailed, ValueError) as error:
            outcomes = [Outcome("error", reason=str(error))] * len(keys)
        rows = [self.job.row(key, outcome) for key, outcome in zip(keys, outcomes, strict=True)]
        return request, rows, self.job.identity

    # Bookkeeping

    def _release(self, shard):
        for keys in shard["items"]["groups"]:
            self.job.in_batches.difference_update(keys)

    def _move(self, shard, state, **columns):
        self.moves += 1
        columns["state"] = state
        names = ", ".join(f"{name} = ?" for name in columns)
        self.store.execute(f"UPDATE shards SET {names} WHERE name = ?", (*columns.values(), shard["name"]))
        shard.update(columns)

    def _call(self, function):
        """A call that may be repeated, until it succeeds."""
        for attempt in range(self.settings.max_retries + 1):
            try:
                return self._once(function)
            except Retriable as fault:
                if attempt == self.settings.max_retries:
                    raise FatalError(f"{fault}; nothing is lost, run again to go on") from None
                self._rest(fault, attempt)
            except (RequestFailed, RequestRefused) as error:
                raise FatalError(str(error)) from None
        raise AssertionError("unreachable")

    def _once(self, function):
        import openai

        try:
            return function()
        except openai.APIStatusError as error:
            raise judge(error, self.settings, self._key, structured=False) from None
        except openai.APIConnectionError as error:
            raise judge_connection(error, self.settings) from None

    def _rest(self, fault, attempt):
        seconds = backoff(attempt, self.settings.backoff)
        if fault.after is not None and fault.after > self.settings.max_wait:
            raise FatalError(f"the server asks to wait {fault.after:.0f} seconds; run again after that")
        time.sleep(max(seconds, fault.after or 0.0))


def annotate_batch(source, output, settings, options=None, *, store=None, every=False, merge_variants=False,
                   on_estimate=None, say=lambda line: None, **reading):  # fmt: skip
    """`annotate`, through the Batch API.

    Args:
        source, output, settings, store, every, merge_variants, on_estimate, reading: as in `annotate`. The
            settings' limits a minute do not apply; the spending cap is held against the most that a shard can
            cost.
        options (`BatchOptions`, *optional*)
        say (`Callable[[str], None]`): told what happens.

    Returns:
        `Report`: `pending` rows are on their way where `options.wait` is off.

    Example:

    ```python
    report = annotate_batch("texts.csv", "descriptors.jsonl", Settings(model="gpt-4o-mini"),
    BatchOptions(wait=False))
    ```
    """
    task = DescriptorTask(prepare(settings))
    rows = read_rows(source, **reading)
    path = store_path(output, store)
    check_output(output, path)
    settings.read_key()
    with Store(path) as opened:
        job = Job(task, [(row.id, row.text) for row in rows], settings, opened)
        if on_estimate is not None:
            on_estimate(batch_estimate(job))
        run = BatchRun(job, options or BatchOptions(), say)
        try:
            run.go()
        except FatalError as error:
            run.report.stopped = str(error)
        except KeyboardInterrupt:
            run.report.stopped, run.report.interrupted = "interrupted; the batches go on at the server", True
        run.report.total_cost = opened.spent()
        run.report.statuses = write_rows(output, rows, job.found, every=every, merge_variants=merge_variants)
    return run.report


def batch_estimate(job):
    """`Estimate` at the price of batches; the time is the service's: up to a day."""
    estimate = job.estimate()
    if estimate.price is None:
        return replace(estimate, seconds=86400.0)
    price = estimate.price.discounted(batch_discount())
    cost = price.cost(estimate.prompt_tokens, estimate.completion_tokens)
    return replace(estimate, price=price, cost=cost, seconds=86400.0)
