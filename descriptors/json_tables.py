"""JSON lines, and the ways in which one JSON value can be a table."""

import itertools
import json
import re

from .text_files import ESCAPED

__all__ = ["json_line_rows", "json_rows", "json_suffix"]

_MORE = "the list ends before it, and there is more; is it JSON lines (.jsonl)?"
_SPACE = re.compile(r"\s*")
_OBJECT = re.compile(r'\s*(\[\s*)?\{\s*"([^"\\]|\\.)*"\s*:')  # as no table begins that is not JSON, nor any text
_BRACKET = re.compile(r"\s*\[?\s*[\[{]\s*$")
_SPREAD = (
    "JSON over many lines, not an object a line; write it so (jq -c . does), or, if it is one object for all rows, "
    "give it the suffix .json"
)
_OBJECTS = "JSON objects over many lines, one after the other; make them a list, or one a line (jq -c . does)"


def json_suffix(line, alone=True):
    """
    The suffix that a file should have whose first line is the beginning of JSON.

    Args:
        line (`str`): The first line.
        alone (`bool`, *optional*, defaults to `True`): Whether a bracket alone tells of JSON, too.

    Returns:
        `str` or `None`: `.jsonl`, `.json`, or nothing where it is no JSON.

    Example:

    ```python
    >>> json_suffix('{"text": "So glad"}'), json_suffix('[{"text": "So glad"},'), json_suffix("text,labels")
    ('.jsonl', '.json', None)

    ```
    """
    if _OBJECT.match(line):
        return ".jsonl" if line.lstrip().startswith("{") and _complete(line) else ".json"
    return ".json" if alone and _BRACKET.match(line) else None


def json_line_rows(text, lines=None):
    for number, line in _each_whole(text, iter(lines or text)):
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


def _each_whole(text, lines):
    """The lines; JSON that is spread over them is told once, not as a fault of each."""
    ahead = []
    for item in lines:
        ahead.append(item)
        if item[1].strip():
            break
    start = ahead[-1][1].strip() if ahead else ""
    in_list = start.startswith("[")
    if start[:1] in ("{", "[") and (_goes_on(start) or (in_list and _OBJECT.match(start))):
        following = next((item for item in lines if item[1].strip()), None)
        # One damaged line of JSON lines can begin as well; then the next is whole.
        if start == "[" or (in_list if following is None else not _complete(following[1])):
            raise text.misnamed("a JSON list; give it the suffix .json" if in_list else _SPREAD)
        ahead += [] if following is None else [following]
    yield from ahead
    yield from lines


def _goes_on(line):
    """Whether a line is sound JSON as far as it goes, and more is to come; a string that is left open is not sound."""
    try:
        json.loads(line)
    except json.JSONDecodeError as error:
        return error.pos >= len(line) - 1
    except (ValueError, RecursionError):
        pass
    return False


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
        record = _loads(content)
    except json.JSONDecodeError as fault:
        if fault.msg == "Extra data" and content[fault.pos] == "{":
            raise text.misnamed(_OBJECTS) from None
        raise ValueError(f"{text.name}, line {fault.lineno}: not valid JSON ({fault.msg})") from None
    except ValueError as fault:  # a number with thousands of digits, or too deep a nest
        raise ValueError(f"{text.name}: not valid JSON ({fault})") from None
    for number, row in enumerate(_rows_of_object(text.name, record), 1):
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
