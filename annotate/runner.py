"""The run: asking what is pending, and writing the output.

A worker takes a group of texts, asks, waits until reply and rows are on the disk, and only then takes the next: at
any moment no more than `concurrency` requests can be lost.
"""

import asyncio
import signal
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..descriptors.tables import TextRow, read_texts
from .client import ChatClient, FatalError, FormatUnsupported, RequestFailed, RequestRefused
from .job import Job
from .limits import Budget, BudgetReached, Gate, Stopped
from .output import check_output, write_rows
from .prices import estimate_messages
from .progress import Progress
from .prompts import Prompt, load_prompt
from .replies import Outcome
from .settings import STATUSES
from .store import GroupWriter, RequestRecord, Store
from .tasks import DescriptorTask


@dataclass
class Report:
    """What a run did.

    Args:
        statuses (`dict[str, int]`): rows of the input by status, all runs together; `pending` were not asked yet.
        asked (`int`): requests of this run that were answered.
        prompt_tokens, completion_tokens (`int`): of this run.
        cost (`float`, *optional*): US dollars of this run; `None` where the price is unknown.
        total_cost (`float`): of all runs on this store.
        stopped (`str`, *optional*): why it ended early: a fault that no retry can mend, the spending cap, a
            signal.
        interrupted (`bool`): whether a signal ended it.
    """

    statuses: dict = field(default_factory=dict)
    asked: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None
    total_cost: float = 0.0
    stopped: str | None = None
    interrupted: bool = False

    def book(self, request):
        """Add a request's tokens and cost."""
        self.prompt_tokens += request.prompt_tokens
        self.completion_tokens += request.completion_tokens
        if request.cost is not None:
            self.cost = (self.cost or 0.0) + request.cost

    def lines(self):
        """`list[str]`: for people."""
        names = [*STATUSES, "pending"]
        counts = ", ".join(f"{self.statuses[name]:,} {name}" for name in names if self.statuses.get(name))
        cost = f", ${self.cost:.4f} (${self.total_cost:.4f} with earlier runs)" if self.cost is not None else ""
        lines = [
            f"rows: {counts or 'none'}",
            f"this run: {self.asked:,} requests, {self.prompt_tokens:,} tokens in, {self.completion_tokens:,} out"
            + cost,
        ]
        return lines + ([f"stopped early: {self.stopped}"] if self.stopped else [])


class Run:
    """One run of a `Job` over the network: the workers and what they share.

    Args:
        job (`Job`)
        progress (`Progress`)
    """

    def __init__(self, job, progress):
        self.job, self.settings, self.progress = job, job.settings, progress
        self.gate = Gate()
        self.budget = Budget(self.settings.max_cost, job.store.spent())
        self.structured = self.settings.reply_format != "text"  # whether JSON is asked for
        self.schema = self.structured  # whether the server is given the schema
        self.report = Report(cost=0.0 if job.price else None)
        self.failures = 0
        self.client = self.writer = None

    async def go(self):
        """Ask everything that is pending; returns when all is stored or the run was stopped."""
        groups = deque(self._groups())
        loop = asyncio.get_running_loop()
        self.client = ChatClient(self.settings, self.gate)
        self.writer = GroupWriter(self.job.store, loop)
        restore = self._catch_signals(loop)
        workers = [asyncio.create_task(self._work(groups)) for _ in range(min(len(groups), self.settings.concurrency))]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            self.writer.close()
            await self.client.close()
            restore()

    def _groups(self):
        """Fresh texts in groups; a text that was answered invalidly goes alone, with the reason."""
        fresh = []
        for key in self.job.pending():
            if self.job.asks(key):
                yield [key]
                continue
            fresh.append(key)
            if len(fresh) == self.settings.texts_per_request:
                yield fresh
                fresh = []
        if fresh:
            yield fresh

    async def _work(self, groups):
        while groups and not self.gate.closed:
            keys = groups.popleft()
            try:
                again = await self._ask(keys)
                while again:  # one text at a time: fewer ways to go wrong
                    again += await self._ask([again.pop()])
            except Stopped:
                return
            except BudgetReached:
                self._stop(f"the spending cap of ${self.settings.max_cost:g} leaves no room for another request")
            except FatalError as error:
                self._stop(str(error))

    def _stop(self, why, interrupted=False):
        """End the run: what is in flight is waited for, nothing more is sent."""
        if self.report.stopped is None:
            self.report.stopped, self.report.interrupted = why, interrupted
        self.gate.close()

    async def _ask(self, keys):
        """Ask one group and store what comes; returns the keys to be asked again."""
        while True:
            structured, schema = self.structured, self.schema
            try:
                request, outcomes = await self._exchange(keys, structured, schema)
            except FormatUnsupported as error:
                self._without_schema(error, schema)
                continue
            rows = [self.job.row(key, outcome) for key, outcome in zip(keys, outcomes, strict=True)]
            await self.writer.record(request, rows, self.job.identity)
            return self._stored(request, rows)

    async def _exchange(self, keys, structured, schema):
        """One request: the `RequestRecord` of its answer (`None` without one) and the outcome of each item."""
        job = self.job
        messages = job.messages(keys, structured)
        body = self.settings.request_body(messages, job.task.response_format(len(keys)) if schema else None)
        tokens = estimate_messages(messages), job.task.output_tokens * len(keys)
        reserved = self._worst_case(tokens)
        await self.budget.reserve(reserved)
        try:
            reply = await self.client.ask(body, sum(tokens), lambda fault: self._lost(fault, keys, structured, tokens))
            if reply.refused:
                reply = replace(reply, content=self.client.redact(reply.content))
            self.failures = 0
            request = job.request_record(reply, keys, structured)
            self.budget.spend(request.cost or 0.0)
            return request, job.outcomes(reply, keys, structured)
        except RequestRefused as error:
            self.failures = 0
            return None, [Outcome("refused", reason=str(error))] * len(keys)
        except RequestFailed as error:
            self._count_failure(error)
            return None, [Outcome("error", reason=str(error))] * len(keys)
        finally:
            await self.budget.release(reserved)

    def _worst_case(self, tokens):
        """The most that one request can cost: its completion as long as it may get."""
        price, longest = self.job.price, self.settings.longest
        return price.cost(tokens[0] * 1.5, max(tokens[1] * 2, longest)) if price else 0.0

    async def _lost(self, fault, keys, structured, tokens):
        """A request whose answer was lost may have been billed: it counts with its estimated tokens."""
        job = self.job
        cost = job.price.cost(*tokens) if job.price else None
        request = RequestRecord(
            **job.common(keys, structured),
            fault=fault,
            prompt_tokens=tokens[0],
            completion_tokens=tokens[1],
            estimated=True,
            cost=cost,
        )
        self.budget.spend(cost or 0.0)
        self.report.book(request)
        await self.writer.record(request, [], job.identity)

    def _stored(self, request, rows):
        """After rows are on the disk: progress, and which of them are to be asked again."""
        report = self.report
        if request is not None:
            report.asked += 1
            report.book(request)
        again = []
        for row in rows:
            self.job.rows[row.key] = row
            if row.status == "invalid" and row.asks < self.settings.max_asks:
                again.append(row.key)
        tokens = report.prompt_tokens + report.completion_tokens
        self.progress.update(len(rows) - len(again), tokens, report.cost)
        return again

    def _without_schema(self, error, schema):
        if not schema or self.settings.reply_format == "json":
            raise FatalError(f"the server has no structured outputs ({error}); use the reply format auto or text")
        if self.schema:
            self.schema = False
            self.structured = self.job.task.structured_only
            self.progress.say("the server has no structured outputs; asking for plain replies instead")

    def _count_failure(self, error):
        self.failures += 1
        if self.failures >= self.settings.max_failures:
            raise FatalError(f"{self.failures} requests in a row failed, the last with: {error}")

    def _catch_signals(self, loop):
        """The first Ctrl-C or SIGTERM lets what is in flight come home; the second stops at once."""
        if threading.current_thread() is not threading.main_thread():
            return lambda: None

        def on_signal():
            if self.gate.closed:
                for task in asyncio.all_tasks(loop):
                    task.cancel()
                return
            self.progress.say("stopping: waiting for the requests in flight (again to stop at once)")
            self._stop("interrupted", interrupted=True)

        caught = []
        for name in (signal.SIGINT, signal.SIGTERM):
            try:
                loop.add_signal_handler(name, on_signal)
                caught.append(name)
            except (
                NotImplementedError,
                RuntimeError,
            ):  # Windows: Ctrl-C raises KeyboardInterrupt, nothing is lost
                pass
        return lambda: [loop.remove_signal_handler(name) for name in caught]


def ask_pending(job):
    """Ask what a job still lacks.

    Args:
        job (`Job`): its `rows` are complete afterwards, as far as the run went.

    Returns:
        `Report`: without `statuses`.
    """
    pending = len(job.pending())
    if not pending:
        report = Report(cost=0.0 if job.price else None, total_cost=job.store.spent())
        return report
    progress = Progress(pending, job.settings.quiet)
    run = Run(job, progress)
    try:
        _run_to_end(run.go())
    except asyncio.CancelledError:
        run.report.stopped, run.report.interrupted = "interrupted", True
    finally:
        progress.close()
    run.report.total_cost = job.store.spent()
    return run.report


def _run_to_end(coroutine):
    """Run a coroutine also where a loop runs already, as in a notebook: in a thread of its own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


def prepare(settings, task_name="descriptors"):
    """The prompt of a run, its closed list in place."""
    prompt = settings.prompt if isinstance(settings.prompt, Prompt) else load_prompt(settings.prompt, task_name)
    if prompt.task != task_name:
        raise ValueError(f"prompt: {prompt.name!r} is for the task {prompt.task!r}, and {task_name!r} is needed here")
    return prompt.with_labels(settings.labels) if settings.labels else prompt


def store_path(output, store=None):
    """`Path`: where the store of an output is: beside it unless named."""
    return Path(store) if store else Path(f"{output}.sqlite")


def annotate(source, output, settings, *, store=None, every=False, merge_variants=False, on_estimate=None, **reading):
    """Ask a teacher for the descriptors of texts and write the data set that training reads.

    What an earlier run on the same output has stored is not asked again. Whatever ends the run early (a fault, the
    spending cap, Ctrl-C), the rows that there are get written; the same call goes on from there.

    Args:
        source: see `read_texts`; or a list of `TextRow`.
        output (`str` or `Path`): the JSONL file; `id`, `source`, `text`, `labels`, `status`.
        settings (`Settings`)
        store (`str` or `Path`, *optional*): the SQLite file; `output` with `.sqlite` appended by default.
        every (`bool`): write rows that are not `ok` as well, with raw labels and reasons.
        merge_variants (`bool`): use one spelling for variants of a descriptor.
        on_estimate (`Callable[[Estimate], None]`, *optional*): told what the run will take before anything is
            sent.
        **reading: passed to `read_texts`.

    Returns:
        `Report`

    Raises:
        `ValueError`, `OSError`, `ImportError`: for bad input or a missing key, before anything is asked.

    Example:

    ```python
    settings = Settings(model="llama3.1", base_url="http://localhost:11434/v1", concurrency=4)
    report = annotate(["I am so glad", "Thanks, I hate it"], "mine.jsonl", settings)
    ```
    """
    task = DescriptorTask(prepare(settings))
    rows = read_rows(source, **reading)
    path = store_path(output, store)
    check_output(output, path)
    if settings.limit != 0:  # with 0, the output is written anew and nothing is asked
        settings.read_key()
    with Store(path) as opened:
        job = Job(task, [(row.id, row.text) for row in rows], settings, opened)
        if on_estimate is not None:
            on_estimate(job.estimate())
        report = ask_pending(job)
        report.statuses = write_rows(output, rows, job.found, every=every, merge_variants=merge_variants)
    return report


def read_rows(source, **reading):
    """`list[TextRow]`: from anything that `read_texts` takes, or as they are."""
    if isinstance(source, list) and source and all(isinstance(row, TextRow) for row in source):
        return source
    return read_texts(source, **reading)
