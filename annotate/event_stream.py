"""A server that streams though nobody asked: its events put together to the completion that they are pieces of."""

import json
import re

__all__ = ["read_events"]

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
    for line in text.splitlines():
        name, mark, value = line.partition(":")
        if name.strip() == "data" and mark:
            events.append(value.strip())
        elif line.strip() and not (mark and name.strip() in ("", "event", "id", "retry")):
            rest.append(line)
    whole = "[DONE]" in events
    chunks = [chunk for chunk in map(_loads, events or ["\n".join(rest)]) if isinstance(chunk, dict)]
    return next((chunk for chunk in chunks if chunk.get("error")), None) or _joined(chunks, whole)


def _loads(text):
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _choice(chunk):
    choices = chunk.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    return choice if isinstance(choice, dict) else {}


def _joined(chunks, whole):
    """One completion from its pieces; a chunk that is a completion already is taken as it is."""
    deltas, finish, usage = [], None, None
    for chunk in chunks:
        choice = _choice(chunk)
        if isinstance(choice.get("message"), dict):
            return chunk
        deltas.append(choice.get("delta") if isinstance(choice.get("delta"), dict) else {})
        finish = choice.get("finish_reason") or finish
        usage = chunk.get("usage") or usage
    if not deltas or not (whole or finish):
        return None
    said = {
        name: [delta[name] for delta in deltas if isinstance(delta.get(name), str)] for name in ("content", "refusal")
    }
    message = {name: "".join(pieces) for name, pieces in said.items() if pieces}
    named = {name: chunks[0][name] for name in ("id", "model") if name in chunks[0]}
    return named | {"choices": [{"message": message, "finish_reason": finish}], "usage": usage}
