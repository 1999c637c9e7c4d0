"""An HTTP service around the pipeline: one model, a bounded queue, and batches of whatever waits.

    pip install emodistill fastapi uvicorn
    EMODISTILL_THREADS=2 uvicorn service:app --app-dir examples --workers 1

    curl -s localhost:8000/score -H 'content-type: application/json' -d '{"texts": ["What a day!"], "labels": ["joy"]}'

One process holds one model: more workers are more copies of it, each with its own threads. On a CPU give each worker
`cores / workers` threads. What waits together is scored together, so that load makes batches larger, not the queue.
"""

import asyncio
import contextlib
import logging
import os
from functools import partial
from typing import Annotated

from fastapi import FastAPI, HTTPException
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, BeforeValidator, Field, StringConstraints
from starlette.concurrency import run_in_threadpool

from emodistill.inputs_emodistill import without_surrogates


def setting(name, default):
    """A number from the environment; an empty variable is not set."""
    value = os.environ.get(name) or str(default)
    if not value.isdecimal() or int(value) < 1:
        raise SystemExit(f"{name} must be a whole number above 0, not {value!r}")
    return int(value)


MODEL = os.environ.get("EMODISTILL_MODEL") or None  # folder, export or Hub id; the default checkpoint if not set
THREADS = setting("EMODISTILL_THREADS", 1)
BATCH = setting("EMODISTILL_BATCH", 32)  # texts that are scored together
WAITING = setting("EMODISTILL_WAITING", 1024)  # requests; more are told to come back
CHARACTERS = 20_000  # of a text
LARGEST = 6 * CHARACTERS * (BATCH + 2)  # bytes of a request: JSON may take six for a character
PATIENCE = 0.003  # seconds for which a text waits for company; less than one text takes
LABELS = ["anger", "disgust", "fear", "joy", "sadness", "surprise", "neutral"]

# Half an emoji, which programs cut from a longer text, is replaced as the pipeline does it.
Whole = BeforeValidator(lambda value: without_surrogates(value) if isinstance(value, str) else value)
Label = Annotated[str, Whole, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Text = Annotated[str, Whole, StringConstraints(max_length=CHARACTERS)]


class Request(BaseModel, extra="forbid"):
    """Texts and what to score them against; a name that is none of these is told, not passed over."""

    texts: list[Text] = Field(min_length=1, max_length=BATCH)
    labels: list[Label] = Field(default=LABELS, min_length=1, max_length=200)
    multi_label: bool = True


class Batcher:
    """Collects requests for a moment, and scores those that ask for the same in one call of the pipeline."""

    def __init__(self, classify):
        self.classify = classify
        self.queue = asyncio.Queue(WAITING)

    async def score(self, request):
        """Results of one request, in the order of its texts."""
        answer = asyncio.get_running_loop().create_future()
        try:
            self.queue.put_nowait((request, answer))
        except asyncio.QueueFull:
            raise HTTPException(503, "too many requests are waiting", {"Retry-After": "1"}) from None
        return await answer

    async def run(self):
        """Work until cancelled."""
        while True:
            waiting = [await self.queue.get()]
            deadline = asyncio.get_running_loop().time() + PATIENCE
            while sum(len(request.texts) for request, _ in waiting) < BATCH:
                left = deadline - asyncio.get_running_loop().time()
                try:
                    waiting.append(await asyncio.wait_for(self.queue.get(), max(left, 0)))
                except TimeoutError:
                    break
            groups = {}
            for request, answer in waiting:
                groups.setdefault((tuple(request.labels), request.multi_label), []).append((request, answer))
            for (labels, multi_label), members in groups.items():
                await self.score_group(list(labels), multi_label, members)

    async def score_group(self, labels, multi_label, members):
        """One call of the pipeline, in a thread, so that the service goes on listening."""
        members = [(request, answer) for request, answer in members if not answer.cancelled()]  # whoever hung up
        texts = [text for request, _ in members for text in request.texts]
        call = partial(self.classify, texts, labels=labels, multi_label=multi_label, batch_size=BATCH)
        try:
            results = iter(await run_in_threadpool(call))
        except ValueError as error:  # the labels are wrong, two alike for instance
            for _, answer in members:
                if not answer.done():
                    answer.set_exception(HTTPException(422, str(error)))
            return
        except Exception:  # of this batch alone: the service goes on
            logging.getLogger("uvicorn.error").exception("a batch could not be scored")
            for _, answer in members:
                if not answer.done():
                    answer.set_exception(HTTPException(500, "the texts could not be scored"))
            return
        for request, answer in members:
            found = [next(results) for _ in request.texts]
            if not answer.done():
                answer.set_result(found)


@contextlib.asynccontextmanager
async def lifespan(app):
    """Load the model once, before the first request; warm it up, so that the first request is as fast as others."""
    import emodistill

    classify = emodistill.load(MODEL, threads=THREADS, device="cpu")
    classify(["warm up"], labels=LABELS, multi_label=True)
    app.state.batcher = Batcher(classify)
    worker = asyncio.create_task(app.state.batcher.run())
    try:
        yield
    finally:
        worker.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await worker


app = FastAPI(title="emodistill", lifespan=lifespan)


@app.middleware("http")
async def sized(request, call_next):
    """A body is read whole before anything is checked, so its size is asked for first."""
    size = request.headers.get("content-length", "0" if request.method in ("GET", "HEAD", "OPTIONS") else "")
    if not size.isdecimal():
        return JSONResponse({"detail": "say how long the body is (Content-Length)"}, 411)
    if int(size) > LARGEST:
        return JSONResponse({"detail": f"a request may have {LARGEST:,} bytes"}, 413)
    return await call_next(request)


@app.exception_handler(RequestValidationError)
async def mistaken(request, error):
    """What is wrong and where, without the input: that may be long, and hold what JSON has no name for (NaN)."""
    detail = [{name: problem[name] for name in ("loc", "type", "msg")} for problem in error.errors()]
    return JSONResponse({"detail": detail}, 422)


@app.get("/health")
async def health():
    """Whether the model is loaded, and how many requests wait."""
    return {"waiting": app.state.batcher.queue.qsize()}


@app.post("/score")
async def score(request: Request):
    """Labels with their scores, best first, and those predicted, for each text."""
    results = await app.state.batcher.score(request)
    return [{name: result[name] for name in ("labels", "scores", "predicted")} for result in results]
