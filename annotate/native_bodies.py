"""Answers in other services' own forms, whole or in pieces, as the chat completions that they stand for."""

__all__ = ["as_completion", "join_pieces"]


def as_completion(body):
    """
    The chat completion that an answer of another form stands for.

    Known are the forms of Anthropic's messages, Gemini's candidates, Ollama's chat and generate, OpenAI's responses,
    Bedrock's converse, Cohere's chat, and text generation as Hugging Face serves it.

    Args:
        body: Any JSON value.

    Returns:
        `dict` or `None`: `None` for what has none of these forms.

    Example:

    ```python
    >>> from emodistill.annotate.native_bodies import as_completion

    >>> as_completion({"message": {"role": "assistant", "content": "joy"}, "done": True})["choices"]
    [{'message': {'content': 'joy'}, 'finish_reason': None}]

    ```
    """
    joined = isinstance(body, list) and len(body) > 1 and all(isinstance(one, dict) for one in body)
    if isinstance(body, list) and (joined or len(body) == 1):
        body = join_pieces(body) if joined else body[0]
    if not isinstance(body, dict) or "choices" in body:
        return body if isinstance(body, dict) and joined else None
    return next((found for read in _FORMS if (found := read(body)) is not None), None)


def join_pieces(pieces):
    """
    The chat completion in the pieces of a stream in another service's form.

    Args:
        pieces (`list[dict]`)

    Returns:
        `dict` or `None`: `None` for other forms, and for a stream without its end.
    """
    for piece in pieces:
        if piece.get("type") in ("response.completed", "response.incomplete"):
            return as_completion(piece.get("response"))
    if any(piece.get("type") == "message_start" for piece in pieces):
        return _joined_messages(pieces)
    if all("done" in piece for piece in pieces) and pieces[-1]["done"] is True:
        return _joined_ollama(pieces)
    if all(isinstance(piece.get("candidates"), list) or "usageMetadata" in piece for piece in pieces):
        return _joined_candidates(pieces)
    return None


def _completion(body, content, finish, usage=(None, None)):
    named = {name: body[name] for name in ("id", "model") if name in body}
    counts = dict(zip(("prompt_tokens", "completion_tokens"), usage, strict=True))
    return named | {"choices": [{"message": {"content": content}, "finish_reason": finish}], "usage": counts}


def _dict(value):
    return value if isinstance(value, dict) else {}


def _list(value):
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _sum(*counts):
    known = [count for count in counts if isinstance(count, int) and not isinstance(count, bool)]
    return sum(known) if known else None


def _anthropic(body):
    if body.get("type") != "message" or not isinstance(body.get("content"), list | str):
        return None
    usage, finish = _dict(body.get("usage")), body.get("stop_reason")
    read = (usage.get(name) for name in ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens"))
    return _completion(body, body["content"], finish, (_sum(*read), usage.get("output_tokens")))


def _gemini(body):
    blocked = _dict(body.get("promptFeedback")).get("blockReason")
    candidate = next(iter(_list(body.get("candidates"))), {})
    if not candidate and not blocked:
        return None
    parts = [part for part in _list(_dict(candidate.get("content")).get("parts")) if not part.get("thought")]
    usage = _dict(body.get("usageMetadata"))
    counts = usage.get("promptTokenCount"), _sum(usage.get("candidatesTokenCount"), usage.get("thoughtsTokenCount"))
    named = {"id": body.get("responseId"), "model": body.get("modelVersion")}
    finish = candidate.get("finishReason") if candidate else "content_filter"
    return _completion(named, "".join(str(part.get("text") or "") for part in parts), finish, counts)


def _ollama(body):
    if "done" not in body or not (isinstance(body.get("message"), dict) or isinstance(body.get("response"), str)):
        return None
    message = body["message"] if isinstance(body.get("message"), dict) else {"content": body["response"]}
    finish = body.get("done_reason") if body["done"] else "error"
    counts = body.get("prompt_eval_count"), body.get("eval_count")
    return _completion(body, message.get("content"), finish, counts)


def _responses(body):
    if body.get("object") != "response" or not isinstance(body.get("output"), list):
        return None
    usage, messages = _dict(body.get("usage")), [one for one in _list(body["output"]) if one.get("type") == "message"]
    parts = [part for message in messages for part in _list(message.get("content"))]
    finish = _dict(body.get("incomplete_details")).get("reason") or "stop"
    return _completion(body, parts, finish, (usage.get("input_tokens"), usage.get("output_tokens")))


def _bedrock(body):
    message = _dict(_dict(body.get("output")).get("message"))
    if not isinstance(message.get("content"), list):
        return None
    parts, usage = [part for part in _list(message["content"]) if "text" in part], _dict(body.get("usage"))
    text = "".join(str(part["text"]) for part in parts)
    return _completion(body, text, body.get("stopReason"), (usage.get("inputTokens"), usage.get("outputTokens")))


def _cohere(body):
    message = _dict(body.get("message"))
    if "finish_reason" not in body or not isinstance(message.get("content"), list | str):
        return None
    usage = _dict(_dict(body.get("usage")).get("tokens"))
    return _completion(
        body, message["content"], body["finish_reason"], (usage.get("input_tokens"), usage.get("output_tokens"))
    )


def _generated(body):
    if not isinstance(body.get("generated_text"), str):
        return None
    details = _dict(body.get("details"))
    return _completion(body, body["generated_text"], details.get("finish_reason"))


_FORMS = (_anthropic, _gemini, _ollama, _responses, _bedrock, _cohere, _generated)


def _joined_messages(pieces):
    """Anthropic's events; the last but one has the reason why it ends, and the count."""
    start = next(_dict(piece.get("message")) for piece in pieces if piece.get("type") == "message_start")
    end = next((piece for piece in pieces if piece.get("type") == "message_delta"), None)
    if end is None:
        return None
    deltas = [_dict(piece.get("delta")) for piece in pieces if piece.get("type") == "content_block_delta"]
    text = "".join(str(delta.get("text") or delta.get("partial_json") or "") for delta in deltas)
    usage = {**_dict(start.get("usage")), **_dict(end.get("usage"))}
    finish = _dict(end.get("delta")).get("stop_reason")
    return _anthropic({**start, "type": "message", "content": text, "stop_reason": finish, "usage": usage})


def _joined_ollama(pieces):
    parts = [_dict(piece.get("message")).get("content", piece.get("response")) for piece in pieces]
    text = "".join(part for part in parts if isinstance(part, str))
    return _ollama({**pieces[-1], "message": {"content": text}})


def _joined_candidates(pieces):
    candidates = [one for piece in pieces for one in _list(piece.get("candidates"))[:1]]
    parts = [part for one in candidates for part in _list(_dict(one.get("content")).get("parts"))]
    finish = next((one["finishReason"] for one in reversed(candidates) if one.get("finishReason")), None)
    if finish is None:
        return None
    return _gemini({**pieces[-1], "candidates": [{"content": {"parts": parts}, "finishReason": finish}]})
