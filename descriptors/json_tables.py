"""JSON lines, and the ways in which one JSON value can be a table."""

import itertools
import json
import re

from .text_files import ESCAPED

__all__ = ["json_line_rows", "json_rows"]

_MORE = "the list ends before it, and there is more; is it JSON lines (.jsonl)?"
_SPACE = re.compile(r"\s*")


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
        yield text.row(number, values, error or problem, unit="row", of_table=error == _MORE)


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
    values, data = list(record.values()), record.get("data")
    if "schema" in record and isinstance(data, list):  # as pandas writes tables
        return data
    if isinstance(record.get("columns"), list) and isinstance(data, list):  # and columns apart from cells
        names = record["columns"]
        return [dict(zip(names, cells, strict=False)) if isinstance(cells, list) else cells for cells in data]
    if len(values) == 1 and isinstance(values[0], list) and all(isinstance(item, dict) for item in values[0]):
        return values[0]
    if (
        values
        and all(isinstance(value, dict) for value in values)
        and all(v.keys() == values[0].keys() for v in values)
    ):
        if "text" in values[0] and "text" not in record:  # rows by their index
            return values
        return [{column: cells[key] for column, cells in record.items()} for key in values[0]]  # columns by it
    if values and all(isinstance(value, list) and len(value) == len(values[0]) for value in values):
        return [dict(zip(record, cells, strict=True)) for cells in zip(*values, strict=True)]
    if isinstance(record.get("text"), str):
        return [record]
    raise ValueError(f"{name}: a list of objects, JSON lines, or an object of columns of one length is expected")


def _elements(text):
    """(element, what is wrong with its bytes) of a JSON list; no more than one element and one piece is held."""
    decoder, pieces = json.JSONDecoder(), text.pieces()
    buffer, at, line = "", 0, 1

    def more(wanted=1):
        """Read on by so many characters, or a piece; what was dealt with is let go."""
        nonlocal buffer, at, line
        parts, size = [buffer[at:]], 0
        while size < wanted and (piece := next(pieces, "")):
            parts.append(piece)
            size += len(piece)
        if size:
            line += buffer.count("\n", 0, at)
            buffer, at = "".join(parts), 0
        return size > 0

    def skip(marks=""):
        """Over white space, and over one of the marks, which it returns."""
        nonlocal at
        while True:
            at = _SPACE.match(buffer, at).end()
            if at < len(buffer):
                if buffer[at] not in marks:
                    return None
                at += 1
                return buffer[at - 1]
            if not more():
                return None

    def wrong(why, lines=None):
        further = buffer.count("\n", 0, at) if lines is None else lines
        return ValueError(f"{text.name}, line {line + further}: not valid JSON ({why})")

    if skip("[") is None:
        raise wrong("a list of objects is expected")
    mark = skip("]")
    while mark != "]":
        skip()
        try:
            element, end = decoder.raw_decode(buffer, at)
        except json.JSONDecodeError as error:
            if more(2 * (len(buffer) - at)):  # doubling, so that a long element is not tried at each of its pieces
                continue
            raise wrong(error.msg, error.lineno - 1) from None
        except ValueError as error:  # a number with thousands of digits
            raise wrong(str(error)) from None
        except RecursionError:
            raise wrong("nested too deeply") from None
        if end == len(buffer) and more():  # perhaps a number that goes on
            continue
        said = text.decoded(buffer[at:end])[1]
        yield _unescaped(element) if said else element, said
        at = end
        mark = skip(",]")
        if mark is None:
            raise wrong("a comma or the end of the list is expected")
    skip()
    if at < len(buffer):
        yield None, _MORE


def _unescaped(value):
    """The bytes that the encoding does not have as marks, in all strings of a JSON value."""
    if isinstance(value, str):
        return ESCAPED.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_unescaped(key): _unescaped(item) for key, item in value.items()}
    return [_unescaped(item) for item in value] if isinstance(value, list) else value
