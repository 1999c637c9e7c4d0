"""The run: asking what is pending, and writing the output.

A worker takes a group of texts, asks, waits until reply and rows are on the disk, and only then takes the next: at
any moment no more than `concurrency` requests can be lost.
"""

import asyncio
import signal
import sys
import threading
from collections import Counter, deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace

from ..descriptors.tables import TextRow, read_texts
from ..durations import counted
from .annotation_tasks import TEXT_TASKS, task_for
from .client import ChatClient
from .faults import FatalError, FormatUnsupported, LimitNameUnsupported, RequestFailed, RequestRefused
from .job import Job
from .limits import Gate, Stopped
from .money import Attempt, Budget, BudgetReached
from .output import check_kept, check_rows_output, store_path, write_rows
from .progress import RequestProgress
from .prompts import Prompt, load_prompt
from .replies import Outcome
from .settings import STATUSES
from .store import IN_FLIGHT, GroupWriter, Store, StoreDamagedError, UnstorableError

__all__ = ["Report", "Run", "annotate", "ask_pending", "prepare", "text_rows"]


@dataclass
class Report:
    """What a run did.

    Args:
        statuses (`dict[str, int]`): Rows of the input by status, all runs together; `pending` were not asked yet.
        asked (`int`): Requests of this run that were answered.
        prompt_tokens, completion_tokens (`int`): Of this run.
        cost (`float`, *optional*): US dollars of this run; `None` where the price is unknown.
        total_cost (`float`): Of all runs on this store.
        stopped (`str`, *optional*): Why it ended early: a fault that no retry can mend, the spending cap, a
            signal.
        interrupted (`bool`): Whether a signal ended it.
        trouble (`str`, *optional*): What the server, or the way to it, most often said where texts ended as `error`.
    """

    statuses: dict = field(default_factory=dict)
    asked: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost: float | None = None
    total_cost: float = 0.0
    stopped: str | None = None
    interrupted: bool = False
    trouble: str | None = None

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
            f"this run: {counted(self.asked, 'request')}, {self.prompt_tokens:,} tokens in, "
            f"{self.completion_tokens:,} out{cost}",
        ]
        if self.stopped:
            return [*lines, f"stopped early: {self.stopped}"]
        return lines + ([f"most errors: {self.trouble}"] if self.trouble else [])


class Run:
    """One run of a `Job` over the network: the workers and what they share.

    Args:
        job (`Job`)
        progress (`RequestProgress`)
    """

    def __init__(self, job, progress):
        self.job, self.settings, self.progress = job, job.settings, progress
        self.gate = Gate()
        self.budget = Budget(self.settings.max_cost, job.store.spent())
        self.dialect = job.dialect
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
                again = await self._guarded(keys)
                while again:  # one text at a time: fewer ways to go wrong
                    again += await self._guarded([again.pop()])
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

    async def _guarded(self, keys):
        """`_ask`, where what nobody foresaw is the fault of these texts and never the run's."""
        try:
            return await self._ask(keys)
        except (Stopped, BudgetReached, FatalError, OSError, StoreDamagedError):
            raise
        except Exception as error:
            words = self.client.redact(f"unexpected {type(error).__name__}: {error}")[:300]
            return await self._failed(keys, RequestFailed(words))

    async def _ask(self, keys):
        """Ask one group and store what comes; returns the keys to be asked again."""
        while True:
            schema, limit_name = self.dialect.schema, self.dialect.limit_name
            try:
                return await self._exchange(keys, self.dialect.structured, schema, limit_name)
            except FormatUnsupported as error:
                if not schema:
                    raise FatalError(f"the server turns the request down: {error}") from None
                if self.dialect.without_schema(error):
                    self.progress.say("the server has no structured outputs; asking for plain replies instead")
            except LimitNameUnsupported as error:
                if not self.settings.longest or not self.dialect.rename_limit(limit_name):
                    return await self._failed(keys, RequestFailed(str(error)))

    async def _exchange(self, keys, structured, schema, limit_name):
        """One request and what it comes to; returns the keys to be asked again."""
        job = self.job
        body = job.body(keys, structured, schema, limit_name)
        guessed, shape = job.guess(body, len(keys)), (len(keys), structured, schema)

        async def begin():
            def worst():
                return job.worst.tokens(body, shape)

            reserved = await self.budget.reserve(lambda: job.cost(worst()) or 0.0)
            record = job.open_record(len(keys), structured, worst(), fault=IN_FLIGHT)
            return await Attempt.begin(self.budget, self.writer, job, record, reserved, self.report)

        try:
            reply, attempt = await self.client.ask(body, sum(guessed), begin)
        except RequestRefused as error:
            self.failures = 0
            reason = str(error)
            alone = len(keys) == 1  # of several texts one is meant, and alone each shows which
            outcome = Outcome("refused", reason=reason) if alone else Outcome("error", reason=reason)
            return await self._store(keys, None, [outcome] * len(keys), split=not alone)
        except RequestFailed as error:
            return await self._failed(keys, error)
        self.failures = 0
        capped = self.settings.max_cost is not None
        reserved = attempt.record.prompt_tokens, attempt.record.completion_tokens
        request = job.request_record(reply, len(keys), structured, reserved if capped else guessed)
        if job.worst.learn(shape, reply, reserved) and capped:
            self.progress.say("an answer took more tokens than was allowed; reserving more money for each from now on")
        outcomes = job.outcomes(reply, keys, structured)
        return await self._store(keys, request, outcomes, attempt, split=len(keys) > 1 and reply.refused)

    async def _store(self, keys, request, outcomes, attempt=None, split=False):
        """Put an answer on the disk; returns the keys to be asked again, all of them singly for a `split`."""
        rows = [self.job.row(key, outcome) for key, outcome in zip(keys, outcomes, strict=True)]
        try:
            if attempt is None:
                await self.writer.record(request, rows, self.job.identity)
            else:
                await attempt.answered(request, rows)
        except UnstorableError as error:  # what the door let through: this answer's fault, and never the run's
            rows = [self.job.row(key, Outcome("error", reason=str(error))) for key in keys]
            await self.writer.record(None, rows, self.job.identity)
        return self._stored(request, rows, split)

    async def _failed(self, keys, error):
        self._count_failure(error)
        return await self._store(keys, None, [Outcome("error", reason=str(error))] * len(keys))

    def _stored(self, request, rows, split):
        """After rows are on the disk: progress, and which of them are to be asked again."""
        report = self.report
        if request is not None:
            report.asked += 1
            report.book(request)
        again = []
        for row in rows:
            self.job.rows[row.key] = row
            if split or (row.status == "invalid" and row.asks < self.settings.max_asks):
                again.append(row.key)
        tokens = report.prompt_tokens + report.completion_tokens
        self.progress.update(len(rows) - len(again), tokens, report.cost)
        return again

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
        job (`Job`): Its `rows` are complete afterwards, as far as the run went.

    Returns:
        `Report`: without `statuses`.
    """
    job.store.settle()
    pending = len(job.pending())
    if not pending:
        report = Report(cost=0.0 if job.price else None, total_cost=job.store.spent())
        return report
    progress = RequestProgress(pending, job.settings.quiet)
    run = Run(job, progress)
    try:
        _run_to_end(run.go())
    except asyncio.CancelledError:
        run.report.stopped, run.report.interrupted = "interrupted", True
    finally:
        progress.close()
    run.report.total_cost = job.store.spent()
    reasons = Counter(row.reason for row in job.rows.values() if row.status == "error" and row.reason)
    run.report.trouble = next((reason for reason, _ in reasons.most_common(1)), None)
    return run.report


def _run_to_end(coroutine):
    """Run a coroutine also where a loop runs already, as in a notebook: in a thread of its own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(coroutine)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


def prepare(settings, tasks=TEXT_TASKS):
    """The task of a run, its prompt's closed list in place.

    Args:
        settings (`Settings`)
        tasks (`Iterable[str]`): The tasks that its prompt may be for.

    Returns:
        `Task`
    """
    prompt = settings.prompt if isinstance(settings.prompt, Prompt) else load_prompt(settings.prompt)
    if prompt.task not in tasks:
        needed = " or ".join(map(repr, tasks))
        raise ValueError(f"prompt: {prompt.name!r} is for the task {prompt.task!r}, and {needed} is needed here")
    return task_for(prompt.with_labels(settings.labels) if settings.labels else prompt)


def annotate(source, output, settings, *, store=None, every=False, merge_variants=False, on_estimate=None, **reading):
    """Ask a teacher for the descriptors of texts and write the data set that training reads.

    What an earlier run on the same output has stored is not asked again. Whatever ends the run early (a fault, the
    spending cap, Ctrl-C), the rows that there are get written; the same call goes on from there.

    Args:
        source: See `read_texts`; or a list of `TextRow`.
        output (`str` or `Path`): The JSONL file; `id`, `source`, `text`, `labels`, `status`.
        settings (`Settings`)
        store (`str` or `Path`, *optional*): The SQLite file; `output` with `.sqlite` appended by default.
        every (`bool`): Write rows that are not `ok` as well, with raw labels and reasons.
        merge_variants (`bool`): Use one spelling for variants of a descriptor.
        on_estimate (`Callable[[Estimate], None]`, *optional*): Told what the run will take before anything is
            sent.
        **reading: Passed to `read_texts`.

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
    task = prepare(settings)
    rows = text_rows(source, settings.quiet, **reading)
    path = store_path(output, store)
    check_rows_output(output, path, source)
    check_kept(rows, task.prompt.task == "rated", every)
    if settings.limit != 0:  # with 0, the output is written anew and nothing is asked
        settings.read_key()
    with Store(path) as opened:
        job = Job(task, [(row.id, row.text) for row in rows], settings, opened)
        if on_estimate is not None:
            on_estimate(job.estimate())
        report = ask_pending(job)
        report.statuses = write_rows(
            output, rows, job.found, fields=task.fields, every=every, merge_variants=merge_variants
        )
    return report


def text_rows(source, quiet=False, **reading):
    """`list[TextRow]`: from anything that `read_texts` takes, or as they are.

    Those that cannot be used are told unless `quiet`; they keep their `error` and have no text that could be asked.
    """
    if isinstance(source, list) and source and all(isinstance(row, TextRow) for row in source):
        rows = source
    else:
        rows = read_texts(source, say=(lambda line: None) if quiet else _say, **reading)
    return [replace(row, text="") if row.error else row for row in rows]


def _say(line):
    print(line, file=sys.stderr, flush=True)
