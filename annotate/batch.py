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

import asyncio
import json
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from ..durations import counted
from .batch_options import BatchOptions
from .batch_service import BatchService, ResultsGone, is_error_line, request_line
from .completions import read_body, read_completion
from .faults import (
    FatalError,
    FormatUnsupported,
    LimitNameUnsupported,
    NotThere,
    RequestFailed,
    RequestRefused,
    Retriable,
    judge,
)
from .job import Job
from .limits import backoff
from .output import check_kept, check_rows_output, store_path, write_rows
from .prices import batch_discount
from .replies import Outcome
from .runner import Report, prepare, text_rows
from .store import OPEN_STATES, Store, UnstorableError

__all__ = ["BatchOptions", "BatchRun", "annotate_batch", "batch_estimate"]


class Unanswered(FatalError):
    """A call got no answer, however often it was repeated."""


class BatchRun:
    """One run of a `Job` through the Batch API.

    Args:
        job (`Job`)
        options (`BatchOptions`)
        say (`Callable[[str], None]`): Told what happens.
    """

    def __init__(self, job, options, say):
        self.job, self.settings, self.store, self.options, self.say = job, job.settings, job.store, options, say
        self.run = f"{self.settings.model} {job.identity['prompt']} {job.identity['parameters']}"
        self.dialect = job.dialect
        self.report = Report(cost=0.0 if job.price else None)
        self.tries = Counter()  # of each key, in this run
        self.moves = 0  # changes of any shard's state
        self.full = 0  # refusals for want of room in the queue, one after the other
        self.aside = {}  # why batches of these names are not looked at any more in this run
        self.service = BatchService(self.settings)

    def go(self):
        """Take every shard as far as it goes; returns when nothing is left to wait for."""
        while True:
            before = self.moves
            self.recover()
            self.build()
            self.submit()
            open_shards = [one for one in self.store.shards(("submitted",), self.run) if one["name"] not in self.aside]
            for shard in open_shards:
                self.look(shard)
            if not open_shards:
                break
            if self.moves == before:  # nothing to do but wait for the server
                if not self.options.wait:
                    break
                time.sleep(self.options.poll)
        if self.aside:
            more = f" (and {len(self.aside) - 1:,} more batches)" if len(self.aside) > 1 else ""
            raise FatalError(next(iter(self.aside.values())) + more)

    def _buildable(self):
        return [key for key in self.job.pending() if self.tries[key] < self.options.rounds]

    # Building

    def build(self):
        """Cut pending texts into shards, as far as the spending cap has room."""
        groups = self._groups()
        shard, size, tokens, cost = [], 0, 0, 0.0
        left = self._money_left()
        for keys in groups:
            body = self._body(keys, self._dialect_now())
            line, counts = len(request_line("x" * 48, body)) + 1, self.job.guess(body, len(keys))
            worst = self._worst(body, keys)
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

    def _dialect_now(self):
        """What a shard must keep of how its requests are asked, to be sent and read later."""
        dialect = self.dialect
        return {"structured": dialect.structured, "schema": dialect.schema, "limit_name": dialect.limit_name}

    def _body(self, keys, asked):
        schema = asked.get("schema", asked["structured"])
        return self.job.body(keys, asked["structured"], schema, asked.get("limit_name"))

    def _worst(self, body, keys):
        shape = (len(keys), self.dialect.structured, self.dialect.schema)
        return self.job.cost(self.job.worst.tokens(body, shape), batch=True) or 0.0

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
        # The texts too: when the answers come, the input may be another.
        texts = {key: self.job.item(key) for keys in groups for key in keys}
        items = json.dumps({"groups": groups, "texts": texts, **self._dialect_now()})
        values = (uuid.uuid4().hex, self.run, "built", items, tokens, cost, time.time())
        columns = "name, run, state, items, tokens, cost, time"
        self.store.execute(f"INSERT INTO shards ({columns}) VALUES (?, ?, ?, ?, ?, ?, ?)", values)
        self.moves += 1
        for keys in groups:
            self.job.in_batches.update(keys)
            self.tries.update(keys)

    # Submitting

    def recover(self):
        """Settle what an earlier run left: batches that may have been made, shards too large to send."""
        limit = self.options.max_enqueued_tokens
        for shard in self.store.shards(("built", "uploaded"), self.run):
            if any(key not in self.job.unique for keys in shard["items"]["groups"] for key in keys):
                self._move(shard, "failed", note="its texts left the input before it was sent")
                self._release(shard)
            elif limit and shard["tokens"] > limit and len(shard["items"]["groups"]) > 1:
                self._move(shard, "failed", note="cut into smaller ones")
                self._release(shard)
        unsure = self.store.shards(("creating",), self.run)
        if not unsure:
            return
        made = self._call(self.service.made)
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
        items, groups = shard["items"], enumerate(shard["items"]["groups"])
        lines = (request_line(f"{shard['name']}-{number}", self._body(keys, items)) for number, keys in groups)
        data = b"\n".join(lines) + b"\n"
        name = f"emodistill-{shard['name']}.jsonl"
        self._move(shard, "uploaded", file_id=self._call(lambda: self.service.upload(name, data)))

    def _create(self, shard):
        for attempt in range(self.settings.max_retries + 1):
            self._move(shard, "creating")
            try:
                batch_id = self.service.create(shard["file_id"], shard["name"])
            except Retriable as fault:
                if attempt == self.settings.max_retries:
                    raise FatalError(f"the batch could not be made: {fault}; run again to go on") from None
                self._rest(fault, attempt)
                self.recover()  # never again before it is known that the server has none
                if self._is(shard, "submitted"):
                    return
                continue
            except (RequestFailed, RequestRefused, FormatUnsupported, LimitNameUnsupported) as error:
                self._move(shard, "failed", note=str(error))
                self._release(shard)
                raise FatalError(f"the batch was turned down: {error}") from None
            self._move(shard, "submitted", batch_id=batch_id)
            requests, texts = len(shard["items"]["groups"]), sum(map(len, shard["items"]["groups"]))
            self.say(f"submitted batch {batch_id}: {counted(texts, 'text')} in {counted(requests, 'request')}")
            return

    def _is(self, shard, state):
        return any(one["name"] == shard["name"] for one in self.store.shards((state,)))

    # Collecting

    def look(self, shard):
        """See how far a batch is; collect it when it has ended."""
        batch = self._retrieved(shard)
        if batch is None:
            return
        partly = batch["status"] == "failed" and batch["output_file_id"]
        if batch["status"] in ("completed", "expired", "cancelled") or partly:
            self.full = 0
            self._collect(shard, batch)
        elif batch["status"] == "failed":
            self._failed(shard, batch)
        else:
            self.say(f"batch {shard['batch_id']}: {batch['status']}, {batch['counts']} requests done")

    def _retrieved(self, shard):
        """What the server says of a batch; `None` where it says nothing of use, which stops no other batch."""
        try:
            return self._call(lambda: self.service.retrieve(shard["batch_id"]), (NotThere, RequestFailed))
        except (NotThere, RequestFailed, Unanswered) as error:
            if self.options.forget_lost and isinstance(error, NotThere):
                self._move(shard, "failed", note=str(error))
                self._release(shard)
                self.say(f"batch {shard['batch_id']} is lost, and its texts are asked anew")
                return None
            self.aside[shard["name"]] = why = (
                f"batch {shard['batch_id']} cannot be looked at ({error}); nothing is lost: run again, with the key "
                "that made it; if it is gone for good, --forget-lost asks for its texts anew"
            )
            self.say(why)
        return None

    def _failed(self, shard, batch):
        words = "; ".join(message for _, message in batch["faults"])[:300] or "no reason given"
        if any("token_limit" in code for code, _ in batch["faults"]):
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
        raise FatalError(f"batch {shard['batch_id']} failed: {words}")

    def _collect(self, shard, batch):
        """Book every line of a batch and end its shard, in one transaction, whatever the input is now."""
        groups = shard["items"]["groups"]
        known = {key: tuple(item) for key, item in shard["items"].get("texts", {}).items()}
        self.job.others.update({key: item for key, item in known.items() if key not in self.job.unique})
        found, gone = self._answers(shard, batch)
        entries = [
            self._entry(line, groups[number], shard["items"], shard["batch_id"])
            for number, line in found.items()
            if all(key in self.job.unique or key in self.job.others for key in groups[number])
        ]
        ended = ("UPDATE shards SET state = 'collected', note = ? WHERE name = ?", (batch["status"], shard["name"]))
        self._book(entries, ended)
        self.moves += 1
        for request, rows, _ in entries:
            if request is not None:
                self.report.asked += 1
                self.report.book(request)
            self.job.rows.update({row.key: row for row in rows})
        missing = len(groups) - len(found)
        more = f", {missing:,} missing" if missing else ""
        self.say(f"collected batch {shard['batch_id']}: {counted(len(found), 'answer')}{more}")
        if gone or (groups and not found and batch["status"] == "completed"):
            why = gone or "its results name none of the requests"
            self.aside[shard["name"]] = (
                f"batch {shard['batch_id']} has ended, and {missing:,} of its answers cannot be had ({why}); the next "
                "run asks for them anew"
            )
            # They may have been paid for, so nobody but the user asks again: in this run they count as on their way.
            self._release(shard, found)
        else:
            self._release(shard)

    def _answers(self, shard, batch):
        """The lines of a batch by the numbers of their requests, an answer before an error, and why some are gone."""
        groups, found, gone = shard["items"]["groups"], {}, None
        for file_id in filter(None, (batch["output_file_id"], batch["error_file_id"])):
            try:
                lines = self._call(lambda: self.service.lines(file_id, len(groups)), ResultsGone)  # noqa: B023
            except ResultsGone as error:
                gone = str(error)
                continue
            for line in lines:
                name, _, number = str(line.get("custom_id")).rpartition("-")
                if name == shard["name"] and _is_index(number, len(groups)):
                    known = found.get(int(number))
                    if known is None or (is_error_line(known) and not is_error_line(line)):
                        found[int(number)] = line
        return found, gone if len(found) < len(groups) else None

    def _book(self, entries, ended):
        """All answers in one transaction; an answer that cannot be stored becomes an error and spoils no other."""
        try:
            self.store.record(entries, [ended])
        except UnstorableError:
            for number, (request, rows, identity) in enumerate(entries):
                try:
                    self.store.record([(request, rows, identity)])
                except UnstorableError as error:
                    outcome = Outcome("error", reason=str(error))
                    entries[number] = (None, [self.job.row(row.key, outcome) for row in rows], identity)
            self.store.record([entry for entry in entries if entry[0] is None], [ended])

    def _entry(self, line, keys, asked, batch_id):
        """The record of one line: an answer, or the reason why there is none. Never raises."""
        request, structured = None, asked["structured"]
        try:
            response = line.get("response")
            response = response if isinstance(response, dict) else {}
            body, status = response.get("body"), response.get("status_code")
            body = response if "body" not in response and "choices" in response else body
            body = read_body(body.encode(), self.service.redactor) if isinstance(body, str) else body
            status = status if isinstance(status, int) and not isinstance(status, bool) else 0
            if line.get("error") or not response:
                body, status = {"error": line.get("error") or "no reason given"}, status if status >= 400 else 400
            fault = judge(body, status, {}, self.settings, asked.get("schema", structured))
            if fault is not None:
                raise fault
            reply = read_completion(body)
            asked_body = self._body(keys, asked)
            guessed = self.job.guess(asked_body, len(keys))
            shape = (len(keys), structured, asked.get("schema", structured))
            worst = self.job.worst.tokens(asked_body, shape)
            capped = self.settings.max_cost is not None
            request = self.job.request_record(reply, len(keys), structured, worst if capped else guessed, batch_id)
            self.job.worst.learn(shape, reply, worst)
            outcomes = self.job.outcomes(reply, keys, structured)
        except FormatUnsupported as error:
            outcomes = [self._without_schema(error)] * len(keys)
        except LimitNameUnsupported as error:
            self.dialect.rename_limit(asked.get("limit_name") or self.settings.limit_name)
            outcomes = [Outcome("error", reason=str(error))] * len(keys)
        except RequestRefused as error:  # of several texts one is meant, and alone each shows which
            outcomes = [Outcome("refused" if len(keys) == 1 else "error", reason=str(error))] * len(keys)
        except Exception as error:  # this line's fault, foreseen or not, and never the batch's
            words = str(error) or type(error).__name__
            outcomes = [Outcome("error", reason=words[:300])] * len(keys)
        rows = [self.job.row(key, outcome) for key, outcome in zip(keys, outcomes, strict=True)]
        return request, rows, self.job.identity

    def _without_schema(self, error):
        try:
            self.dialect.without_schema(error)
        except FatalError as fatal:
            return Outcome("error", reason=str(fatal))
        return Outcome("error", reason="the server has no structured outputs")

    # Bookkeeping

    def _release(self, shard, numbers=None):
        """Its texts, or those of some of its requests, are no longer on their way."""
        groups = shard["items"]["groups"]
        for number in range(len(groups)) if numbers is None else numbers:
            self.job.in_batches.difference_update(groups[number])

    def _move(self, shard, state, **columns):
        self.moves += 1
        columns["state"] = state
        names = ", ".join(f"{name} = ?" for name in columns)
        self.store.execute(f"UPDATE shards SET {names} WHERE name = ?", (*columns.values(), shard["name"]))
        shard.update(columns)

    def _call(self, function, patient=()):
        """A call that may be repeated, until it succeeds; faults of the class `patient` may pass as well."""
        for attempt in range(self.settings.max_retries + 1):
            try:
                return function()
            except patient as fault:
                if attempt == self.settings.max_retries:
                    raise
                self._rest(fault, attempt)
            except Retriable as fault:
                if attempt == self.settings.max_retries:
                    raise Unanswered(f"{fault}; nothing is lost, run again to go on") from None
                self._rest(fault, attempt)
            except (RequestFailed, RequestRefused, FormatUnsupported, LimitNameUnsupported) as error:
                raise FatalError(str(error)) from None
        raise AssertionError("unreachable")

    def _rest(self, fault, attempt):
        seconds, after = backoff(attempt, self.settings.backoff), getattr(fault, "after", None) or 0.0
        if after > self.settings.max_wait:
            raise FatalError(f"the server asks to wait {after:.0f} seconds; run again after that")
        time.sleep(max(seconds, after))


def _is_index(number, count):
    return number.isascii() and number.isdigit() and len(number) < 9 and int(number) < count


def annotate_batch(source, output, settings, options=None, *, store=None, every=False, merge_variants=False,
                   on_estimate=None, say=lambda line: None, **reading):  # fmt: skip
    """`annotate`, through the Batch API.

    Args:
        source, output, settings, store, every, merge_variants, on_estimate, reading: As in `annotate`. The
            settings' limits a minute do not apply; the spending cap is held against the most that a shard can
            cost.
        options (`BatchOptions`, *optional*)
        say (`Callable[[str], None]`): Told what happens.

    Returns:
        `Report`: `pending` rows are on their way where `options.wait` is off.

    Example:

    ```python
    report = annotate_batch("texts.csv", "descriptors.jsonl", Settings(model="gpt-4o-mini"),
    BatchOptions(wait=False))
    ```
    """
    task = prepare(settings)
    rows = text_rows(source, settings.quiet, **reading)
    path = store_path(output, store)
    check_rows_output(output, path, source)
    check_kept(rows, task.prompt.task == "rated", every)
    settings.read_key()
    with Store(path) as opened:
        job = Job(task, [(row.id, row.text) for row in rows], settings, opened)
        if on_estimate is not None:
            on_estimate(batch_estimate(job))
        opened.settle()
        report = _in_a_thread(lambda: _run(job, options or BatchOptions(), say))
        report.total_cost = opened.spent()
        report.statuses = write_rows(
            output, rows, job.found, fields=task.fields, every=every, merge_variants=merge_variants
        )
    return report


def _run(job, options, say):
    """`Report` of a `BatchRun`, without `statuses`."""
    run = BatchRun(job, options, say)
    try:
        run.go()
    except FatalError as error:
        run.report.stopped = str(error)
    except KeyboardInterrupt:
        run.report.stopped, run.report.interrupted = "interrupted; the batches go on at the server", True
    finally:
        run.service.close()
    return run.report


def _in_a_thread(function):
    """Call a function that runs a loop of its own also where one runs already, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return function()
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function).result()


def batch_estimate(job):
    """`Estimate` at the price of batches; the time is the service's: up to a day."""
    estimate = job.estimate()
    if estimate.price is None:
        return replace(estimate, seconds=86400.0)
    price = estimate.price.discounted(batch_discount())
    cost = price.cost(estimate.prompt_tokens, estimate.completion_tokens)
    return replace(estimate, price=price, cost=cost, seconds=86400.0)
