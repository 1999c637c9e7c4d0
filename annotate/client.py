"""One request to an OpenAI-compatible server, with the run's only retry layer.

The `openai` package carries the request; its own retries are switched off, so that waits are not stacked on each
other and the server's limits are met by one party. Replies are read from the raw body: servers differ in the
fields they fill, and nothing in them is trusted (see `emodistill.annotate.completions`).
"""

import asyncio
import time
from dataclasses import replace

from .completions import read_body, read_completion
from .connection import Redirected, async_client
from .faults import FatalError, Foreign, RequestFailed, Retriable, judge, judge_connection
from .limits import Gate, Rate, Stopped, backoff
from .redaction import Redactor

__all__ = ["ChatClient", "arguments", "fetch", "read_response"]

FOREIGN = 10  # answers of another form, and none of the right one, after which an address is another service's


class ChatClient:
    """Sends chat-completions requests, one at a time for each caller.

    Args:
        settings (`Settings`)
        gate (`Gate`): Shared by the run; closing it ends every wait.
    """

    def __init__(self, settings, gate=None):
        self._settings = settings
        key = settings.read_key()
        self._redactor = Redactor(key, settings.address)
        self._client = async_client(settings, key)
        self._create = self._client.chat.completions.with_raw_response.create
        self.gate = gate or Gate()
        self._requests = Rate(settings.requests_per_minute)
        self._tokens = Rate(settings.tokens_per_minute)
        self._answered = False
        self._foreign = 0  # answers of another form, before the first right one

    async def close(self):
        await self._client.close()

    def redact(self, value):
        """Text or any JSON value without the key or anything that looks like one."""
        return self._redactor.value(value)

    async def ask(self, body, tokens, begin):
        """Send a request until it is answered.

        Args:
            body (`dict`): The fields of the request.
            tokens (`int`): An estimate of prompt and completion tokens, for the limit a minute.
            begin (`Callable[[], Awaitable[Attempt]]`): Called before each sending; what it returns is told by
                `lost(words)` or `unbilled()` how a sending without an answer ended.

        Returns:
            `tuple[Reply, Attempt]`: the attempt is not ended yet.

        Raises:
            `FatalError`, `FormatUnsupported`, `LimitNameUnsupported`, `RequestRefused`, `RequestFailed`, `Stopped`,
            and what `begin` raises.
        """
        for number in range(self._settings.max_retries + 1):
            await self.gate.pass_through()
            await self._requests.take(1, self.gate)
            await self._tokens.take(tokens, self.gate)
            attempt = await begin()
            try:
                if self.gate.closed:  # while its money was waited for
                    raise Stopped
                reply = await self._send(body)
            except Retriable as fault:
                await (attempt.lost(str(fault)) if fault.lost else attempt.unbilled())
                self._count_foreign(fault)
                if number == self._settings.max_retries:
                    raise RequestFailed(str(fault)) from None
                await self._wait(fault, number)
                continue
            except Exception:
                await attempt.unbilled()
                raise
            self._answered = True
            if reply.prompt_tokens is not None and reply.completion_tokens is not None:
                self._tokens.correct(reply.prompt_tokens + reply.completion_tokens - tokens)
            return reply, attempt
        raise AssertionError("unreachable")

    def _count_foreign(self, fault):
        """End the run where the address is another service's, before every text has been sent to it in vain."""
        if isinstance(fault, Foreign) and not self._answered:
            self._foreign += 1
            if self._foreign >= FOREIGN:
                raise FatalError(
                    f"{self._settings.server} does not answer as an OpenAI-compatible API: {fault}; check the address "
                    "(--base-url)"
                )

    async def _wait(self, fault, number):
        seconds = backoff(number, self._settings.backoff)
        if fault.after is not None:
            if fault.after > self._settings.max_wait:
                raise FatalError(
                    f"the server asks to wait {fault.after:.0f} seconds ({fault}); run the same "
                    "command again after that, or raise the longest wait (--max-wait)"
                )
            # Never earlier than asked; the backoff on top keeps many waiting requests from coming back at once.
            seconds = fault.after + min(seconds, 1.0)
            self.gate.hold(fault.after)
        await self.gate.sleep(seconds)

    async def _send(self, body):
        started = time.monotonic()
        structured, fresh = "response_format" in body, not self._answered
        answer = await read_response(
            lambda: self._create(**arguments(body)), self._settings, self._redactor, structured, fresh
        )
        seconds = time.monotonic() - started
        try:
            return replace(read_completion(answer), seconds=seconds)
        except ValueError as error:  # a proxy's words, or a body that ends too early: not the model's fault
            fault = Foreign if isinstance(answer, dict | list) else Retriable
            raise fault(str(error), lost=True) from None
        except Exception as error:  # nobody foresaw it: this request's fault, and never the run's
            raise Retriable(f"the server's reply cannot be read ({type(error).__name__})", lost=True) from None


async def read_response(send, settings, redactor, structured=False, fresh=False, deadline=None):
    """Send one request and read the body of its answer.

    Args:
        send (`Callable[[], Awaitable]`): A call of the client for its raw response.
        settings (`Settings`)
        redactor (`Redactor`)
        structured, fresh (`bool`): See `judge`.
        deadline (`float`, *optional*): Seconds to the last byte; the settings' `timeout` by default. The client's
            own time-outs begin anew with each piece that arrives.

    Returns:
        The JSON value of the body, or its text.

    Raises:
        What `judge` and `judge_connection` find in a fault.
    """
    content, status, headers = await fetch(send, settings, redactor, deadline)
    body = read_body(content, redactor, headers.get("content-type", ""))
    fault = judge(body, status, headers, settings, structured, fresh)
    if fault is not None:
        raise fault
    return body


async def fetch(send, settings, redactor, deadline=None):
    """Body (`bytes`), status and headers of an answer, whatever its status; arguments as in `read_response`."""
    import openai

    try:
        async with asyncio.timeout(deadline or settings.timeout):
            raw = await send()
        response = raw.http_response
    except openai.APIStatusError as error:
        response = error.response
    except (openai.APIConnectionError, Redirected, TimeoutError) as error:
        raise judge_connection(error, settings) from None
    except Exception as error:  # the client itself fell over: nothing is known of the answer
        words = redactor.text(f"{type(error).__name__}: {error}")[:300]
        raise Retriable(f"the request failed ({words})", lost=True) from None
    return response.content, response.status_code, response.headers


def arguments(body):
    """A request's fields as arguments of `create`: in `extra_body`, which is sent as it is.

    As named arguments they would be walked through and checked against the package's types: a quarter of the
    processor time of a request, for nothing.
    """
    return {"model": body["model"], "messages": [], "extra_body": body}
