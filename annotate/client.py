"""One request to an OpenAI-compatible server, with the run's only retry layer.

The `openai` package carries the request; its own retries are switched off, so that waits are not stacked on each
other and the server's limits are met by one party. Replies are read from the raw body: servers differ in the
fields they fill, and what they sent is what the store keeps.
"""

import json
import re
import time
from dataclasses import dataclass

from .limits import Gate, Rate, backoff, retry_after

_SECRET = re.compile(r"\b(sk|key|gsk|hf)[-_][A-Za-z0-9*_-]{4,}")
_FILTERED = ("content_filter", "content_policy_violation", "responsible_ai")
_FORMAT_WORDS = ("response_format", "json_schema", "structured output", "guided", "grammar")


class FatalError(ValueError):
    """No request of this run can succeed; the sentence says what to change."""


class FormatUnsupported(Exception):
    """The server has no structured outputs."""


class RequestFailed(Exception):
    """One request failed for good in this run; its texts are asked again by the next."""


class RequestRefused(Exception):
    """The server's content filter turned the request down."""


class Retriable(Exception):
    """A fault that another attempt may mend.

    Args:
        message (`str`)
        after (`float`, *optional*): the wait that the server asks for, in seconds.
        lost (`bool`): whether the request was sent and its answer lost, so that it may have been billed.
    """

    def __init__(self, message, after=None, lost=False):
        super().__init__(message)
        self.after, self.lost = after, lost


@dataclass(frozen=True)
class Reply:
    """A model's answer.

    Args:
        content (`str`): the message, empty where there is none.
        refused (`bool`): whether the model or the server's filter declined.
        finish_reason (`str`, *optional*): `stop`, `length`, `content_filter`, ...
        prompt_tokens, cached_tokens, completion_tokens (`int`, *optional*): as the server counts them.
        model, id (`str`, *optional*): as the server names them.
        seconds (`float`): from sending to having the whole answer, without waits.
    """

    content: str
    refused: bool
    finish_reason: str | None
    prompt_tokens: int | None
    cached_tokens: int
    completion_tokens: int | None
    model: str | None
    id: str | None
    seconds: float


def read_completion(data, seconds=0.0):
    """A `Reply` from a chat-completions object.

    Raises:
        `ValueError`: where it is not one.
    """
    try:
        choice = data["choices"][0]
        message = choice["message"]
        content, refusal = message.get("content") or "", message.get("refusal")
        finish = choice.get("finish_reason")
        if not isinstance(content, str):
            raise TypeError
    except (KeyError, IndexError, TypeError, AttributeError):
        raise ValueError("the server's reply is not a chat completion") from None
    usage = data.get("usage") or {}
    details = usage.get("prompt_tokens_details") or {}
    return Reply(
        content=refusal or content,
        refused=bool(refusal) or finish == "content_filter",
        finish_reason=finish,
        prompt_tokens=usage.get("prompt_tokens"),
        cached_tokens=details.get("cached_tokens") or 0,
        completion_tokens=usage.get("completion_tokens"),
        model=data.get("model"),
        id=data.get("id"),
        seconds=seconds,
    )


class ChatClient:
    """Sends chat-completions requests, one at a time for each caller.

    Args:
        settings (`Settings`)
        gate (`Gate`): shared by the run; closing it ends every wait.
    """

    def __init__(self, settings, gate=None):
        self._settings = settings
        self._key = settings.read_key()
        self._client = async_client(settings, self._key)
        self._create = self._client.chat.completions.with_raw_response.create
        self.gate = gate or Gate()
        self._requests = Rate(settings.requests_per_minute)
        self._tokens = Rate(settings.tokens_per_minute)

    async def close(self):
        await self._client.close()

    def redact(self, text):
        """A server's words without anything that looks like a key."""
        return redact(text, self._key)

    async def ask(self, body, tokens, on_lost=None):
        """Send a request until it is answered.

        Args:
            body (`dict`): the fields of the request.
            tokens (`int`): an estimate of prompt and completion tokens, for the limit a minute.
            on_lost (`Callable[[str], Awaitable]`, *optional*): called when the request was sent and its answer was
                lost (cut off, timed out), for it may have been billed.

        Returns:
            `Reply`

        Raises:
            `FatalError`, `FormatUnsupported`, `RequestRefused`, `RequestFailed`, `Stopped`
        """
        for attempt in range(self._settings.max_retries + 1):
            await self.gate.pass_through()
            await self._requests.take(1, self.gate)
            await self._tokens.take(tokens, self.gate)
            try:
                reply = await self._send(body)
            except Retriable as fault:
                if fault.lost and on_lost is not None:
                    await on_lost(self.redact(str(fault)))
                if attempt == self._settings.max_retries:
                    raise RequestFailed(self.redact(str(fault))) from None
                await self._wait(fault, attempt)
                continue
            if reply.prompt_tokens is not None and reply.completion_tokens is not None:
                self._tokens.correct(reply.prompt_tokens + reply.completion_tokens - tokens)
            return reply
        raise AssertionError("unreachable")

    async def _wait(self, fault, attempt):
        seconds = backoff(attempt, self._settings.backoff)
        if fault.after is not None:
            if fault.after > self._settings.max_wait:
                raise FatalError(
                    f"the server asks to wait {fault.after:.0f} seconds ({self.redact(str(fault))}); run the same "
                    "command again after that, or raise the longest wait (--max-wait)"
                )
            # Never earlier than asked; the backoff on top keeps many waiting requests from coming back at once.
            seconds = fault.after + min(seconds, 1.0)
            self.gate.hold(fault.after)
        await self.gate.sleep(seconds)

    async def _send(self, body):
        import openai

        started = time.monotonic()
        try:
            raw = await self._create(**arguments(body))
        except openai.APIStatusError as error:
            raise judge(error, self._settings, self._key, "response_format" in body) from None
        except openai.APIConnectionError as error:
            raise judge_connection(error, self._settings) from None
        seconds = time.monotonic() - started
        try:
            return read_completion(json.loads(raw.http_response.content), seconds)
        except ValueError:  # a proxy's page, or a body that ends too early: the server's fault, not the model's
            raise Retriable("the server's reply is not a chat completion", lost=True) from None


def judge(error, settings, key, structured):
    """What an error status means.

    Args:
        error (`openai.APIStatusError`)
        settings (`Settings`)
        key (`str`): the key, to be taken out of the server's words.
        structured (`bool`): whether the request asked for structured outputs.

    Returns:
        `Exception`: the one to raise.
    """
    status, code = error.status_code, str(getattr(error, "code", "") or "")
    words = f"{code} {_message(error)}".strip()
    said, low = redact(words, key), f"{words} {getattr(error, 'param', '') or ''}".lower()
    if status in (400, 403, 422) and any(word in low for word in _FILTERED):
        return RequestRefused(said[:300])
    if structured and status in (400, 422, 501) and any(word in low for word in _FORMAT_WORDS):
        return FormatUnsupported(said)
    if status == 401:
        return FatalError(f"the server does not accept the key in {settings.key_variable}: {said}")
    if status == 403:
        return FatalError(f"the server denies access: {said}")
    if status == 404:
        return FatalError(f"no such model or address at {settings.server}: {said}")
    if status == 429 and ("insufficient_quota" in low or "billing" in low):
        return FatalError(f"the account has no money left: {said}")
    if status in (408, 409, 425, 429) or status >= 500:
        return Retriable(f"status {status}: {said}"[:300], after=retry_after(error.response.headers))
    return RequestFailed(f"status {status}: {said}"[:300])


def judge_connection(error, settings):
    """`Retriable`: what a failed connection or a time-out means."""
    import openai

    cause = type(error.__cause__).__name__
    sent = "Connect" not in cause  # a request that found no connection was not billed
    if isinstance(error, openai.APITimeoutError):
        return Retriable(f"no answer within {settings.timeout:g} seconds", lost=sent)
    return Retriable(f"the connection failed ({cause})", lost=sent)


def judge_line(line, structured, key):
    """The exception for a line of a batch's results that is no answer: the distinctions of `judge`.

    Args:
        line (`dict`): with `response` or `error`.
        structured (`bool`): whether the request asked for structured outputs.
        key (`str`)
    """
    response = line.get("response") or {}
    body, status = response.get("body"), response.get("status_code")
    error = line.get("error") or (body.get("error") if isinstance(body, dict) else None) or {}
    error = error if isinstance(error, dict) else {"message": str(error)}
    words = redact(f"{error.get('code') or ''} {error.get('message') or ''}".strip(), key) or "no reason given"
    low = words.lower()
    if any(word in low for word in _FILTERED):
        return RequestRefused(words[:300])
    if structured and status in (400, 422, 501) and any(word in low for word in _FORMAT_WORDS):
        return FormatUnsupported(words)
    return RequestFailed(f"status {status}: {words}"[:300])


def _client(name, settings, key):
    try:
        import openai
    except ImportError:
        raise ImportError("asking a model needs the openai package: pip install 'emodistill[annotate]'") from None

    timeout = openai.Timeout(settings.timeout, connect=min(10.0, settings.timeout))
    make = getattr(openai, name)
    key = key or settings.read_key()
    return make(api_key=key, base_url=settings.base_url or None, timeout=timeout, max_retries=0)


def async_client(settings, key=None):
    """The `AsyncOpenAI` client of a run, without retries of its own."""
    return _client("AsyncOpenAI", settings, key)


def sync_client(settings, key=None):
    """The `OpenAI` client of batch mode, without retries of its own."""
    return _client("OpenAI", settings, key)


def redact(text, key):
    """Take a key, and whatever looks like one, out of a text that will be written down."""
    text = text.replace(key, "[key]") if key and key != "none" else text
    return _SECRET.sub("[key]", text)


def _message(error):
    body = error.body
    if isinstance(body, dict):
        return str(body.get("message") or body.get("error") or body.get("detail") or body)
    return str(body or error)[:300]


def arguments(body):
    """A request's fields as arguments of `create`: in `extra_body`, which is sent as it is.

    As named arguments they would be walked through and checked against the package's types: a quarter of the
    processor time of a request, for nothing.
    """
    return {"model": body["model"], "messages": [], "extra_body": body}
