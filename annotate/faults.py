"""What a fault means: try again, leave this text, change the way of asking, or end the run."""

import errno
import re
import socket
import ssl

from .completions import read_error
from .connection import Redirected, TooLarge, proxy_host
from .limits import retry_after
from .redaction import redact_address

__all__ = [
    "FatalError", "Foreign", "FormatUnsupported", "LimitNameUnsupported", "NotThere", "RequestFailed",
    "RequestRefused", "Retriable", "asked_wait", "judge", "judge_connection",
]  # fmt: skip

_FILTERED = (
    "content_filter",
    "content_policy",
    "content policy",
    "content management policy",
    "contentfilter",
    "responsible_ai",
    "responsibleai",
    "was flagged",
    "been flagged",
    "input flagged",
    "flagged_input",
    "moderation_block",
    "moderation blocked",
    "data_inspection_failed",
    "inappropriate content",
    "prohibited_content",
    "safety system",
    "safety_violation",
    "blocked by safety",
)
_FORMAT_WORDS = ("response_format", "json_schema", "structured output", "guided", "grammar")
_FORMAT_FIELDS = _FORMAT_WORDS[:2]
_LIMIT_NAMES = ("max_completion_tokens", "max_tokens")
_NO_MONEY = re.compile(r"insufficient[_ ](quota|balance|funds|credit)|credit balance is too low|payment required")
_DAILY = re.compile(r"\b(per|a|for the|each)[ _-]?day\b|perday|\bdaily\b|-per-day|\b[rt]pd\b")
_NO_SUCH_PATH = re.compile(
    r"unexpected endpoint|unknown (request )?(url|endpoint|path|route)|invalid (url|path|endpoint)|no route|"
    r"cannot (post|get) /|\bnot found\b|no such (path|endpoint)|method not allowed"
)
_NO_KEY = re.compile(
    r"(invalid|incorrect|missing|no) (api[ _-]?key|authentication|credentials)|unauthorized|"
    r"api[ _-]?key (is )?(not valid|invalid|expired|missing|required)"
)
_NO_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE")  # what a plain server's answer is taken for
_BAD_HTTP = re.compile(r"without sending a response|illegal status line")
_TRANSIENT = (408, 409, 425, 429)
_BUSY = re.compile(r"too busy|overloaded|temporarily|at capacity|currently loading|is loading")
_WAIT = re.compile(r"(?:retry|try again|wait)\D{0,20}?((?:\d+(?:\.\d+)?\s*(?:ms|h|m|s|[a-z]*)\s*)+)", re.IGNORECASE)
_DELAY = re.compile(r"retry_?delay\W+(\d+(?:\.\d+)?)\s*s", re.IGNORECASE)
_UNITS = {"ms": 0.001, "milliseconds": 0.001, "s": 1, "sec": 1, "second": 1, "seconds": 1, "secs": 1, "m": 60}
_UNITS |= {"min": 60, "minute": 60, "minutes": 60, "mins": 60, "h": 3600, "hour": 3600, "hours": 3600}


class FatalError(ValueError):
    """No request of this run can succeed; the sentence says what to change."""


class NotThere(FatalError):
    """What the request is about is not at this address, or not for this key."""


class FormatUnsupported(Exception):
    """The server has no structured outputs."""


class LimitNameUnsupported(Exception):
    """The server knows the longest answer by its other name (`max_tokens`, `max_completion_tokens`)."""


class RequestFailed(Exception):
    """One request failed for good in this run; its texts are asked again by the next."""


class RequestRefused(Exception):
    """The server's content filter turned the request down."""


class Retriable(Exception):
    """A fault that another attempt may mend.

    Args:
        message (`str`)
        after (`float`, *optional*): The wait that the server asks for, in seconds.
        lost (`bool`): Whether the request was sent and its answer lost, so that it may have been billed.
    """

    def __init__(self, message, after=None, lost=False):
        super().__init__(message)
        self.after, self.lost = after, lost


class Foreign(Retriable):
    """An answer, with success, as no OpenAI-compatible server gives it."""


def asked_wait(words):
    """The seconds that a server's words ask to wait, or `None`.

    Example:

    ```python
    >>> asked_wait("Rate limit reached. Please try again in 1m2.5s."), asked_wait("try again later")
    (62.5, None)
    ```
    """
    match = _DELAY.search(words)
    if match:
        return float(match.group(1))
    match = _WAIT.search(words)
    parts = re.findall(r"(\d+(?:\.\d+)?)\s*([a-z]+)", match.group(1).lower()) if match else []
    known = [float(number) * _UNITS[unit] for number, unit in parts if unit in _UNITS]
    return min(sum(known), 1e9) if known else None


def judge(body, status, headers, settings, structured, fresh=False):
    """What a body that holds an error means.

    Args:
        body: As `read_body` gives it.
        status (`int`): Of HTTP, or of the line of a batch.
        headers (`Mapping[str, str]`): Of the response.
        settings (`Settings`)
        structured (`bool`): Whether the request asked for structured outputs.
        fresh (`bool`): Whether the server has not answered anything yet, so that its address may be wrong.

    Returns:
        `Exception`: the one to raise, or `None` where the body is no error.
    """
    error = read_error(body, status)
    if error is None:
        return None
    said, low = error.words[:300], f"{error.code} {error.words} {error.status}".lower()
    code = error.status or _guess(low)
    if code in (400, 403, 422, 451) and any(word in low for word in _FILTERED):
        return RequestRefused(said)
    if structured and _format_refused(code, low):
        return FormatUnsupported(said)
    if code in (400, 422) and any(name in low for name in _LIMIT_NAMES):
        return LimitNameUnsupported(said)
    if _NO_MONEY.search(low) or code == 402:
        return FatalError(f"the account has no money left: {said}")
    if code == 401 or (code == 400 and _NO_KEY.search(low)):
        return FatalError(f"the server does not accept the key in {settings.key_variable}: {said}")
    if code == 407:
        return FatalError(f"the proxy denies access: {said}")
    if code == 403:
        return NotThere(f"the server denies access: {said}")
    if code in (404, 405, 410) or (fresh and _is_no_api(error, low, settings)):
        hint = "" if re.search(r"/v\d", settings.server) else " (does the address end in /v1?)"
        return NotThere(f"no such model or address at {settings.server}{hint}: {said}")
    if code == 429 and _DAILY.search(low):
        return FatalError(f"the account's limit for the day is reached: {said}")
    shown = f"status {code}: {said}" if status >= 300 or error.status else said
    if code in _TRANSIENT or code >= 500 or (code >= 400 and _BUSY.search(low)):
        after = retry_after(headers)
        if error.code == "page" and status < 300:
            return Foreign(shown[:300], after=after)
        return Retriable(shown[:300], after=asked_wait(error.words) if after is None else after)
    return RequestFailed(shown[:300])


def _guess(low):
    """A status for an error that came without one."""
    if re.search(r"rate.?limit|too many requests", low):
        return 429
    if any(word in low for word in _FILTERED) or any(word in low for word in (*_FORMAT_WORDS, *_LIMIT_NAMES)):
        return 400
    if _NO_SUCH_PATH.search(low) or re.search(r"model\b.{0,80}\b(does not exist|not exist|unknown)", low):
        return 404
    if _NO_KEY.search(low):
        return 401
    if re.search(r"invalid[_ ]request|context[_ ]length|maximum context|too long", low):
        return 400
    return 503  # what is not known to stay is taken for a passing fault


def _format_refused(code, low):
    if code in (400, 415, 422, 501):
        return any(word in low for word in _FORMAT_WORDS)
    return (code == 404 or code >= 500) and any(word in low for word in _FORMAT_FIELDS)


def _is_no_api(error, low, settings):
    """A web page, or words about the path, from an address that has no version in it."""
    if error.status >= 500 or re.search(r"/v\d", settings.server):
        return False
    return error.code == "page" or bool(_NO_SUCH_PATH.search(low))


def judge_connection(error, settings):
    """What a failed connection or a time-out means.

    Args:
        error (`BaseException`): Of the client; its causes tell what happened.
        settings (`Settings`)

    Returns:
        `Exception`: `FatalError` where trying again cannot help, else `Retriable`, `lost` where the request had left.
    """
    chain = list(_chain(error))
    last = next((one for one in reversed(chain) if not isinstance(one, RuntimeError | LookupError)), error)
    names = {type(one).__name__ for one in chain}
    where = settings.server
    for one in chain:
        if isinstance(one, Redirected):
            to = redact_address(str(one)).removesuffix("/chat/completions")
            return FatalError(f"{where} sends requests on to {to}: if that is where they belong, give that address")
        if isinstance(one, TooLarge):
            return Retriable(f"{where} sends {one}", lost=True)
        if isinstance(one, ssl.SSLCertVerificationError):
            return FatalError(f"the connection failed: the certificate of {where} is not accepted ({_reason(one)})")
        if isinstance(one, socket.gaierror | ConnectionRefusedError) and (proxy := proxy_host(settings.address)):
            what = "refused it" if isinstance(one, ConnectionRefusedError) else "is unknown"
            return Retriable(f"the connection failed: the proxy {proxy} before {where} {what}")
        if isinstance(one, socket.gaierror):
            host = re.sub(r"^[a-z]+://(\[[^\]]*\]|[^/:]*).*", r"\1", where)
            return Retriable(f"the connection failed: the host {host} of {where} is unknown")
        if isinstance(one, ConnectionRefusedError):
            return Retriable(f"the connection failed: {where} refused it; is a server running there?")
        if isinstance(one, ssl.SSLError) and one.reason in _NO_TLS:
            return FatalError(f"the connection failed: {where} speaks no TLS; if it is plain HTTP, write http://")
    if names & {"UnsupportedProtocol", "InvalidURL", "LocalProtocolError"}:
        return FatalError(f"the request to {where} could not be sent ({_reason(last)})")
    if "ProxyError" in names:
        if str(last).startswith("407"):
            return FatalError(f"the proxy denies access: {_reason(last)}")
        return Retriable(f"the connection failed: the proxy before {where} refused it ({_reason(last)})")
    if any(isinstance(one, ssl.SSLError) for one in chain):
        return Retriable(f"the connection failed: no TLS with {where} ({_reason(last)})")
    if names & {"ConnectTimeout", "PoolTimeout"}:
        return Retriable(f"the connection failed: {where} did not answer in time")
    if names & {"ReadTimeout", "WriteTimeout", "TimeoutError", "APITimeoutError"}:
        return Retriable(f"no answer from {where} within {settings.timeout:g} seconds", lost=True)
    numbers = {one.errno for one in chain if isinstance(one, OSError) and one.errno}
    sent = "ConnectError" not in names and not numbers & {errno.EHOSTUNREACH, errno.ENETUNREACH}
    hint = "; if it speaks TLS, write https://" if _BAD_HTTP.search(str(last)) and where.startswith("http:") else ""
    return Retriable(f"the connection to {where} failed ({_reason(last)}){hint}", lost=sent)


def _chain(error):
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        if isinstance(error, BaseExceptionGroup):
            for one in error.exceptions:
                yield from _chain(one)
        error = error.__cause__ or error.__context__


def _reason(error):
    words = " ".join(str(getattr(error, "verify_message", "") or error).split())
    return f"{type(error).__name__}: {words}"[:200] if words else type(error).__name__
