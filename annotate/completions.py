"""What a server's body says: a completion, or an error. Nothing in it is trusted to have the type it should have."""

import contextlib
import json
import math
import re
import zlib
from dataclasses import dataclass

from .event_stream import read_events, read_lines
from .native_bodies import as_completion

__all__ = ["Reply", "ServerError", "plain_text", "read_body", "read_completion", "read_error"]

_THOUGHTS = re.compile("think|thought|reason|redacted|summary", re.IGNORECASE)  # types of parts that are no answer
# Why an answer ends that a filter stopped, in the words of several services.
_FILTERS = {"content_filter", "content_filtered", "safety", "image_safety", "prohibited_content", "blocklist", "spii"}
_FILTERS |= {"recitation", "refusal", "guardrail_intervened", "sensitive"}
# Why an answer ends that is not whole, though the limit did not cut it: it is asked for again.
_BROKEN = {"error", "abort", "aborted", "cancelled", "canceled", "network_error", "insufficient_system_resource"}
_BROKEN |= {"timeout", "unknown_error", "server_error", "malformed_function_call"}
_CUT = {"length", "max_tokens", "max_output_tokens", "model_length", "max_completion_tokens", "token_limit"}
_MOST_WORDS = 4000  # characters of an error that are looked at
_LARGEST_UNPACKED = 2**24
_LARGEST = 2**53  # more tokens than anything has; what SQLite and JSON carry exactly


@dataclass(frozen=True)
class Reply:
    """A model's answer.

    Args:
        content (`str`): The message, empty where there is none.
        refused (`bool`): Whether the model or the server's filter declined.
        finish_reason (`str`, *optional*): `stop`, `length`, `content_filter`, ...
        prompt_tokens, cached_tokens, completion_tokens (`int`, *optional*): As the server counts them; what it gives
            that is no count is `None`.
        model, id (`str`, *optional*): As the server names them.
        seconds (`float`): From sending to having the whole answer, without waits.
    """

    content: str
    refused: bool = False
    finish_reason: str | None = None
    prompt_tokens: int | None = None
    cached_tokens: int = 0
    completion_tokens: int | None = None
    model: str | None = None
    id: str | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class ServerError:
    """An error in a server's words.

    Args:
        status (`int`): Of HTTP, or the code in the body where HTTP said 200; 0 where neither gives one.
        words (`str`): Code, message and what else names the fault, for people.
        code (`str`): Machine-readable names of the fault, in lower case.
        wait (`float`, *optional*): The seconds that the body asks to wait.
    """

    status: int
    words: str
    code: str = ""
    wait: float | None = None


def read_body(data, redactor, content_type=""):
    """The JSON value of a body, redacted; its text, redacted, where it is not JSON. Events are put together.

    Args:
        data (`bytes`)
        redactor (`Redactor`)
        content_type (`str`): The header, which may name an encoding.
    """
    text = plain_text(data, content_type)
    for read in (_loads, read_events, _completion_in, read_lines):
        try:
            value = read(text)
            if value is not None:
                return redactor.value(value)
        except (ValueError, RecursionError):
            continue
    return redactor.text(text)


def _loads(text):
    value = json.loads(text, strict=False)
    return "null" if value is None else value


def plain_text(data, content_type=""):
    """A body as text, unpacked where it came packed without saying so: in the encoding that JSON has, or, where it has
    another, in the one that its header names, or in that of Western Europe (`cp1252`).
    """
    if data[:2] == b"\x1f\x8b":
        with contextlib.suppress(zlib.error):  # shown as it is
            data = zlib.decompressobj(31).decompress(data, _LARGEST_UNPACKED)
    encoding = json.detect_encoding(data)
    try:
        return data.decode(encoding)
    except UnicodeDecodeError:
        if b"\x00" in data or encoding not in ("utf-8", "utf-8-sig"):
            return data.decode(encoding, "replace")
    if named := re.search(r"charset=\W?([\w.-]+)", content_type):
        with contextlib.suppress(LookupError, UnicodeError):
            return data.decode(named[1])
    # What is UTF-8 but for a bad byte or two stays so; what was never meant as UTF-8 loses each of its letters.
    text = data.decode(encoding, "replace")
    high = sum(byte > 127 for byte in data)
    return data.decode("cp1252", "replace") if 2 * text.count("\ufffd") > high else text


def _completion_in(text):
    """The completion in a body that has something before it or after it, `None` where there is none."""
    start = text.find("{")
    try:
        value, _ = json.JSONDecoder(strict=False).raw_decode(text, start) if start >= 0 else (None, 0)
    except (ValueError, RecursionError):
        return None
    choice = _first_choice(value)
    return value if choice is not None and isinstance(choice.get("message"), dict) else None


def read_completion(data, seconds=0.0):
    """A `Reply` from a chat-completions object.

    Content may be text, a list of parts (text parts are joined, thinking is skipped) or, from servers that parse it,
    JSON. An answer given as the arguments of a tool is taken as well.

    Raises:
        `ValueError`: where it is not one.
    """
    data = _unwrapped(data)
    choice = _first_choice(data)
    if choice is None:
        raise ValueError(_no_completion(data))
    finish = _word(choice.get("finish_reason"))
    low = finish.lower() if finish else ""
    if low in _BROKEN:
        raise ValueError(f"the answer was broken off (finish_reason {finish})")
    message = choice.get("message") or choice.get("delta")
    if isinstance(message, str):
        message = {"content": message}
    if not isinstance(message, dict):
        if "text" not in choice and not _filtered(finish):
            raise ValueError(_no_completion(data))
        message = {"content": choice.get("text")}
    content, refusal = _content(message.get("content"))
    refusal = _refusal(message.get("refusal")) or refusal
    said = refusal or _said(message, content)
    usage = data.get("usage") if isinstance(data.get("usage"), dict) else {}
    details = usage.get("prompt_tokens_details")
    cached = _count(details.get("cached_tokens")) if isinstance(details, dict) else None
    prompt = _count(usage.get("prompt_tokens", usage.get("input_tokens"))) or None  # no request has none
    written = _count(usage.get("completion_tokens", usage.get("output_tokens")))
    return Reply(
        content=said,
        refused=bool(refusal) or finish == "content_filter" or (_filtered(finish) and not said.strip()),
        finish_reason="length" if low in _CUT else finish,
        prompt_tokens=prompt,
        cached_tokens=min(cached or 0, prompt or 0),
        completion_tokens=None if written == 0 and said else written,
        model=_word(data.get("model")),
        id=_word(data.get("id")),
        seconds=seconds,
    )


def _unwrapped(data):
    """What a gateway has put a completion into, taken off; an answer of another form as a completion."""
    if (found := as_completion(data)) is not None:
        return found
    if isinstance(data, list) and len(data) == 1:
        data = data[0]
    if not isinstance(data, dict) or "choices" in data:
        return data
    inner = [value for value in data.values() if isinstance(value, dict) and "choices" in value]
    if isinstance(data.get("body"), str) and not inner:
        try:
            inner = [json.loads(data["body"])]
        except (ValueError, RecursionError):
            return data
    return inner[0] if len(inner) == 1 and isinstance(inner[0], dict) else data


def _refusal(value):
    words = _word(value or None) or ""
    return "" if words.strip().lower() in ("null", "none", "false", "n/a") else words


def _said(message, content):
    """The answer of a message: its content, or what stands in one of the places that take its place."""
    called = _arguments(message)
    if called and content.strip()[:1] not in ("{", "["):  # words beside a call only announce it
        return called
    if content.strip():
        return content
    parsed = message.get("parsed")
    thoughts = _word(message.get("reasoning_content") or message.get("reasoning")) or ""
    thoughts = thoughts.rpartition("</think>")[2].strip()
    # A server that looks for thoughts takes the whole of an answer that has none for them.
    is_answer = thoughts[:1] == "{" and thoughts[-1:] == "}"
    return json.dumps(parsed, ensure_ascii=False) if parsed else thoughts if is_answer else content


def _first_choice(data):
    """The first choice that says something, or else the first; `None` where there is none."""
    choices = data.get("choices") if isinstance(data, dict) else None
    choices = [one for one in choices if isinstance(one, dict)] if isinstance(choices, list) else []
    if all(type(one.get("index")) is int for one in choices):
        choices.sort(key=lambda one: one["index"])
    messages = [one["message"] if isinstance(one.get("message"), dict) else {} for one in choices]
    said = (choice for choice, message in zip(choices, messages, strict=True) if message.get("content"))
    return next(said, choices[0] if choices else None)


def _no_completion(data):
    words = data if isinstance(data, str) else json.dumps(data, ensure_ascii=False)
    return f"the server's reply is not a chat completion: {_page(words)[:200]}"


def _content(content):
    """Text and refusal of a message's content."""
    if content is None or isinstance(content, str):
        return content or "", ""
    if isinstance(content, list) and len(content) == 1 and isinstance(content[0], str) and "{" in content[0]:
        return content[0], ""
    untyped = isinstance(content, list) and all(isinstance(part, dict) and list(part) == ["text"] for part in content)
    if not untyped and not (isinstance(content, list) and any(isinstance(p, dict) and "type" in p for p in content)):
        return json.dumps(content, ensure_ascii=False), ""
    texts, refusals = [], []
    for part in content:
        if isinstance(part, str):
            texts.append(part)
        elif isinstance(part, dict) and part.get("type") == "refusal":
            refusals.append(_word(part.get("refusal") or part.get("text")) or "")
        elif isinstance(part, dict) and not _THOUGHTS.search(str(part.get("type"))):
            text = part.get("text", part.get("json", part.get("input")))
            value = text.get("value", text) if isinstance(text, dict) else text
            texts.append(_word(value) or "")
    return "".join(texts), " ".join(refusals).strip()


def _filtered(finish):
    return isinstance(finish, str) and finish.lower() in _FILTERS


def _arguments(message):
    """The arguments of a tool that the model called, or of a function, as it was named before there were tools."""
    calls = message.get("tool_calls")
    calls = calls if isinstance(calls, list) else [message.get("function_call")]
    functions = [call.get("function", call) if isinstance(call, dict) else None for call in calls]
    said = [one["arguments"] for one in functions if isinstance(one, dict) and one.get("arguments")]
    return _word(said[-1]) if said else ""  # the last: what comes before it may be a tool for thoughts


def _word(value):
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _count(value):
    """A count of tokens, or `None` for what is none: text, a negative number, nothing."""
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) < 20:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        return None
    return min(math.ceil(value), _LARGEST)


def read_error(body, status=200):
    """The `ServerError` that a body holds, or `None` where it holds an answer.

    Servers and the proxies before them put errors in `error`, in `detail`, in `message`, in the choice, or in plain
    text, and some send them with the status 200: the body decides.

    Args:
        body: As `read_body` gives it.
        status (`int`): Of HTTP.
    """
    if isinstance(body, list) and len(body) == 1 and isinstance(body[0], dict):
        body = body[0]  # an error in a list of one; an answer in a list is none
    if not isinstance(body, dict):
        is_page = isinstance(body, str) and body.strip()[:1] == "<"
        if status < 300 and not is_page:
            return None
        said = f"a web page in place of an answer: {_page(body)}" if status < 300 else _page(body)
        return ServerError(status if status >= 300 else 0, said, "page" if is_page else "")
    error = body.get("error") or _of_choice(body)
    answered = isinstance(body.get("choices"), list) and bool(body["choices"])
    named = isinstance(body.get("id"), str) and body.get("object") in ("batch", "file", "list")
    if not error and not answered and not named:
        error = body.get("errors") or body.get("detail")
        failed = body.get("success") is False or any(isinstance(body.get(name), str) for name in ("message", "msg"))
        if not error and (status >= 400 or body.get("object") == "error" or failed):
            error = body
    if not error or (status < 400 and answered and not _of_choice(body)):
        return ServerError(status, "no reason given") if status >= 300 else None
    error = error[0] if isinstance(error, list) and len(error) == 1 else error
    inner = error if isinstance(error, dict) else {"message": _word(error)}
    code, message = inner.get("code"), inner.get("message") or inner.get("error") or inner.get("msg")
    if status < 400:
        numbers = [n for n in map(_status, (code, inner.get("status"), body.get("code"), body.get("status"))) if n]
        status = numbers[0] if numbers else 0
    names = [inner.get(name) for name in ("code", "type", "status", "param", "reason")]
    names += [value.get("code") for value in (inner.get("innererror"),) if isinstance(value, dict)]
    words = _word(message) or _word(error)
    more = inner.get("metadata") or inner.get("details")
    label = _word(code) if code is not None and not _status(code) else ""
    said = " ".join(part[:_MOST_WORDS] for part in (label, words, _word(more) or "") if part).strip()
    low = " ".join(str(name)[:_MOST_WORDS] for name in names if isinstance(name, str | int))
    return ServerError(status, said or "no reason given", low.lower())


def _of_choice(body):
    choices = body.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    return choice.get("error") if isinstance(choice, dict) else None


def _status(value):
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit():
        value = int(value) if len(value) < 6 else 0
    return value if isinstance(value, int) and not isinstance(value, bool) and 400 <= value <= 599 else 0


def _page(body):
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    text = re.sub(r"(?is)<(script|style)\b.*?</\1>|<[^>]*>", " ", text[:20000])
    return " ".join(text.split())[:300] or "no reason given"
