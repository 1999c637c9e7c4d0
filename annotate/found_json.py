"""JSON in a model's reply, wherever it stands and however carelessly it is written."""

import ast
import json
import re

__all__ = ["find_json", "looks_like_json", "read_json"]

_FENCE = re.compile(r"```[a-z]*[ \t]*\n(.*?)\n?[ \t]*```", re.DOTALL)
_LONE = re.compile("[\ud800-\udfff]")
_START = re.compile(r"[{\[]")
_CURLY = str.maketrans("\u201c\u201d\u201e\u201f", '""""')  # quotation marks of a word processor
_MOST_TRIES = 200  # brackets from which JSON may begin; each costs up to the whole rest of the reply
_LONGEST_LITERAL = 50_000  # characters


def _whole(value):
    """A JSON value whose strings any file can carry: an answer may hold half of a surrogate pair as an escape."""
    if isinstance(value, str):
        return _LONE.sub("\ufffd", value)
    if isinstance(value, list):
        return [_whole(one) for one in value]
    if isinstance(value, dict):
        return {_whole(name): _whole(one) for name, one in value.items()}
    return value


def find_json(content, wanted=()):
    """The JSON value of a reply, wherever it stands: alone, in a fence, after a preamble, before a remark.

    Args:
        content (`str`): Without thoughts.
        wanted (`Iterable[str]`): Fields of which the value should have one. The last value that has one is taken, for
            a model that corrects itself does so at the end; without such a value, the longest.

    Returns:
        The value, or `None` where there is none.
    """
    text = content.strip()
    candidates = (text, *reversed(_FENCE.findall(text)))
    for read in (_json, _literal):
        for candidate in candidates:
            if isinstance(value := read(candidate), dict | list):
                return _whole(value)
    found = _scan(text)
    fitting = [value for _, value in found if isinstance(value, dict) and set(wanted) & set(value)]
    if fitting:
        return _whole(fitting[-1])
    span = _literal(text[text.find("{") : text.rfind("}") + 1]) if "{" in text else None
    if isinstance(span, dict):
        return _whole(span)
    return _whole(max(found, key=lambda one: one[0])[1]) if found else None


def _scan(text):
    """Length and value of what is JSON in a text."""
    found, decoder, start = [], json.JSONDecoder(strict=False), 0
    for _ in range(_MOST_TRIES):
        match = _START.search(text, start)
        if not match:
            break
        try:
            value, start = decoder.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            start = match.end()
            continue
        found.append((start - match.start(), value))
    return found


def _json(text):
    """The value of a JSON text, `None` for none; line breaks in strings are taken, and JSON in a JSON string."""
    for _ in range(2):
        try:
            text = json.loads(text, strict=False)
        except (ValueError, RecursionError):
            return None
        if not isinstance(text, str):
            return text
    return None


def _literal(text):
    """The value of what Python would take for one: single quotes, a comma after the last item; `None` for none."""
    text = text.strip()
    if text[:1] not in ("{", "[") or len(text) > _LONGEST_LITERAL:
        return None
    for spelling in (text, text.translate(_CURLY)):
        try:
            return _of_python(ast.literal_eval(spelling))
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            continue
    return None


def _of_python(value):
    """The same as JSON has it.

    Raises:
        `ValueError`: for what JSON has not.
    """
    if isinstance(value, dict) and all(isinstance(name, str) for name in value):
        return {name: _of_python(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_of_python(one) for one in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise ValueError("no JSON")


def read_json(content, wanted=()):
    """The JSON value of a reply, see `find_json`.

    Raises:
        `ValueError`: with the reason in words, where there is none.
    """
    value = find_json(content, wanted)
    if value is not None:
        return value
    text = content.strip()
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"the reply is not valid JSON ({error.msg} at character {error.pos})") from None
    except (ValueError, RecursionError):
        raise ValueError("the reply is not valid JSON (a number too long, or nested too deep)") from None
    raise ValueError("the reply is not a JSON object")


def looks_like_json(content, wanted=()):
    """Whether a reply is meant as JSON, whole or broken."""
    text = content.strip()
    if text[:1] in ("{", "[") or text.startswith("```json"):
        return True
    value = find_json(text, wanted)
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))
