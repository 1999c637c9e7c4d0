"""JSON lines, and the ways in which one JSON value can be a table."""

import itertools
import json

from .text_files import ESCAPED

__all__ = ["json_line_rows", "json_rows"]


def json_line_rows(text, lines=None):
    for number, line in lines or text:
        if not line.strip():
            continue
        line, error = text.decoded(line)
        try:
            record = _loads(line)
        except ValueError as fault:
            yield text.row(number, {}, error or f"not valid JSON ({_message(fault)})")
            continue
        values, problem = _record(record)
        yield text.row(number, values, error or problem)


def _record(record):
    if isinstance(record, str):
        return {"text": record}, None
    if isinstance(record, dict):
        return record, None
    return {}, "a JSON object is expected, with the text as one of its fields"


def _loads(line):
    try:
        return json.loads(line)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _message(error):
    return getattr(error, "msg", None) or str(error)


def json_rows(text):
    """A list of objects, in a stream; or one object: of columns, with the list as its only value, or JSON lines."""
    if text.first.lstrip().startswith("{"):
        yield from _json_objects(text)
        return
    for number, (element, error) in enumerate(_elements(text), 1):
        values, problem = _record(element)
        yield text.row(number, values, error or problem, unit="row")


def _json_objects(text):
    lines = iter(text)
    ahead = [next(lines)]
    if _complete(ahead[0][1]):
        ahead += list(itertools.islice(lines, 1))
        if len(ahead) > 1:
            yield from json_line_rows(text, itertools.chain(ahead, lines))
            return
    content, error = text.decoded("".join(line for _, line in itertools.chain(ahead, lines)))
    if error:
        raise ValueError(f"{text.name}: {error}")
    try:
        rows = _rows_of_object(text.name, _loads(content))
    except json.JSONDecodeError as fault:
        raise ValueError(f"{text.name}, line {fault.lineno}: not valid JSON ({fault.msg})") from None
    for number, row in enumerate(rows, 1):
        values, problem = _record(row)
        yield text.row(number, values, problem, unit="row")


def _complete(line):
    try:
        _loads(line)
    except ValueError:
        return False
    return True


def _rows_of_object(name, record):
    values = list(record.values())
    if len(values) == 1 and isinstance(values[0], list) and all(isinstance(item, dict) for item in values[0]):
        return values[0]
    if (
        values
        and all(isinstance(value, dict) for value in values)
        and all(v.keys() == values[0].keys() for v in values)
    ):
        return [{column: cells[key] for column, cells in record.items()} for key in values[0]]  # as pandas writes
    if values and all(isinstance(value, list) and len(value) == len(values[0]) for value in values):
        return [dict(zip(record, cells, strict=True)) for cells in zip(*values, strict=True)]
    if isinstance(record.get("text"), str):
        return [record]
    raise ValueError(f"{name}: a list of objects, JSON lines, or an object of columns of one length is expected")


def _elements(text):
    """(element, what is wrong with its bytes) of a JSON list; no more than one element and one piece is held."""
    decoder, buffer, pieces, line = json.JSONDecoder(), "", text.pieces(), 1

    def more():
        nonlocal buffer
        piece = next(pieces, "")
        buffer += piece
        return bool(piece)

    def drop(count):
        nonlocal buffer, line
        line += buffer.count("\n", 0, count)
        buffer = buffer[count:]

    def skip(marks=""):
        """Over white space, and over one of the marks, which it returns."""
        while True:
            drop(len(buffer) - len(buffer.lstrip()))
            if buffer:
                mark = buffer[0] if buffer[0] in marks else None
                drop(1 if mark else 0)
                return mark
            if not more():
                return None

    def wrong(why, further=0):
        return ValueError(f"{text.name}, line {line + further}: not valid JSON ({why})")

    if skip("[") is None:
        raise wrong("a list of objects is expected")
    if skip("]"):
        return
    while True:
        skip()
        try:
            element, end = decoder.raw_decode(buffer)
        except json.JSONDecodeError as error:
            wanted = 2 * len(buffer)  # doubling, so that a long element is not tried at each of its pieces
            if not more():
                raise wrong(error.msg, error.lineno - 1) from None
            while len(buffer) < wanted and more():
                pass
            continue
        except RecursionError:
            raise wrong("nested too deeply") from None
        said = text.decoded(buffer[:end])[1]
        yield _unescaped(element) if said else element, said
        drop(end)
        mark = skip(",]")
        if mark == "]":
            return
        if mark is None:
            raise wrong("a comma or the end of the list is expected")


def _unescaped(value):
    """The bytes that the encoding does not have as marks, in all strings of a JSON value."""
    if isinstance(value, str):
        return ESCAPED.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_unescaped(key): _unescaped(item) for key, item in value.items()}
    return [_unescaped(item) for item in value] if isinstance(value, list) else value
