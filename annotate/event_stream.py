"""A server that streams though nobody asked: its events put together to the completion that they are pieces of."""

import json
import re

from .native_bodies import join_pieces

__all__ = ["read_events", "read_lines"]

_BEGINS = re.compile(r"\s*(?:data|event|id|retry)?:")


def read_events(text):
    """
    The completion, or the error, in a body of server-sent events; comments before a plain JSON body are left out.

    Args:
        text (`str`): The body.

    Returns:
        `dict` or `None`: as a server that does not stream would have sent it; `None` for what is no stream, or for
        one without its end.

    Example:

    ```python
    >>> read_events('data: {"choices": [{"delta": {"content": "joy"}}]}\\n\\ndata: [DONE]\\n\\n')["choices"]
    [{'message': {'content': 'joy'}, 'finish_reason': None}]
    >>> read_events("joy")

    ```
    """
    if not _BEGINS.match(text):
        return None
    events, rest = [], []
    for block in re.split(r"(?:\r\n|\r|\n){2,}", text):
        data, kind = [], ""
        for line in re.split(r"\r\n|\r|\n", block):
            name, mark, value = line.partition(":")
            if name.strip() == "data" and mark:
                data.append(value.strip())
            elif name.strip() == "event" and mark:
                kind = value.strip()
            elif line.strip() and not (mark and name.strip() in ("", "id", "retry")):
                rest.append(line)
        whole = _loads("\n".join(data))  # one event may have several lines, and some servers leave the blank ones out
        if kind == "error" and not (isinstance(whole, dict) and "error" in whole):
            whole = {"error": whole if whole is not None else "\n".join(data)}
        events += [whole] if isinstance(whole, dict) else [_loads(one) or one for one in data]
    done = "[DONE]" in events
    chunks = [chunk for chunk in events or [_loads("\n".join(rest))] if isinstance(chunk, dict)]
    return next((chunk for chunk in chunks if chunk.get("error")), None) or _joined(chunks, done)


def read_lines(text):
    """The completion in a body of JSON lines, as servers that stream without events send it, or `None`."""
    chunks = [_loads(line) for line in text.splitlines() if line.strip()]
    return _joined(chunks, False) if chunks and all(isinstance(chunk, dict) for chunk in chunks) else None


def _loads(text):
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _choice(chunk):
    choices = chunk.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    return choice if isinstance(choice, dict) else {}


def _joined(chunks, done):
    """One completion from its pieces; a chunk that is a completion already is taken as it is."""
    if chunks and (found := join_pieces(chunks)) is not None:
        return found
    deltas, finish, usage = [], None, None
    for chunk in chunks:
        choice = _choice(chunk)
        if isinstance(choice.get("message"), dict):
            return chunk
        deltas.append(choice.get("delta") if isinstance(choice.get("delta"), dict) else {})
        finish = choice.get("finish_reason") or finish
        usage = chunk.get("usage") or usage
    if not deltas or not (done or finish):
        return None
    message = {name: pieces for name in ("content", "refusal") if (pieces := _text(deltas, name))}
    if called := _called(deltas):
        message["tool_calls"] = [{"function": {"arguments": arguments}} for arguments in called]
    named = {name: chunks[0][name] for name in ("id", "model") if name in chunks[0]}
    return named | {"choices": [{"message": message, "finish_reason": finish}], "usage": usage}


def _text(deltas, name):
    """The pieces of a field, each text or a list of parts with text."""
    pieces = [delta.get(name) for delta in deltas]
    parts = [part for piece in pieces for part in (piece if isinstance(piece, list) else [piece])]
    texts = [part.get("text") if isinstance(part, dict) and part.get("type") == "text" else part for part in parts]
    return "".join(text for text in texts if isinstance(text, str))


def _called(deltas):
    """The arguments of each tool that was called, put together by its index."""
    calls = [call for delta in deltas for call in delta.get("tool_calls") or () if isinstance(call, dict)]
    arguments = {}
    for call in calls:
        function = call.get("function")
        piece = function.get("arguments") if isinstance(function, dict) else None
        if isinstance(piece, str):
            place = str(call.get("index"))
            arguments[place] = arguments.get(place, "") + piece
    return list(arguments.values())
