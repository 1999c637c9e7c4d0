"""CSV and TSV: what separates the fields, what a record is, and how to go on after a damaged one."""

import csv
import itertools
import re
from collections import deque

from .labels import UNSEEN

__all__ = ["delimited_rows"]

DELIMITERS = ",;\t|"
# What the standard library says, in words that tell what to do.
SAID = {
    "unexpected end": "a quotation mark is left open",
    "expected after": "a quotation mark is left open, or stands within a quoted field and is not doubled",
    "new-line character": "a carriage return stands within a field that has no quotation marks",
}
# Not every command that reads a table has the option; the name of a file is always there to be changed.
IF_BARE = "if its fields are not quoted, save it as TSV, or say so to a command that asks (--no-quotes)"
IF_QUOTED = "if its fields are quoted, save it as CSV, or say so to a command that asks (--quotes)"
LONGEST_ROW = 2**22  # characters; more is a quotation mark left open
SAMPLE_LINES = 20


def delimited_rows(text, header, quotes, delimiter=None, tabs=False):
    lines = iter(text)
    ahead = deque(_first(lines, SAMPLE_LINES))
    if tabs:
        delimiter = "\t"
        if header:
            _check_tabs(text, [line for _, line in ahead])
    if match := re.fullmatch(r'"?sep=(.)"?\s*', ahead[0][1] if ahead else ""):  # Excel's own first line
        delimiter = delimiter or match[1]
        ahead.popleft()
    if delimiter is None:
        delimiter = _likely([line for _, line in ahead], quotes) if header else ","
    if delimiter == "\\t":  # as a shell hands it on
        delimiter = "\t"
    if len(delimiter) != 1 or delimiter in '\r\n"':
        raise ValueError(f"delimiter: {delimiter!r} is not one character that may separate fields")
    records = (_quoted if quotes else _bare)(ahead, lines, delimiter)
    names, hint = None, "" if quotes else f"; {IF_QUOTED}"
    for number, fields, problem, lines in records:
        if problem is None and not any(field.strip().strip("\x1a") for field in fields):  # DOS ends a file with Ctrl-Z
            continue
        if names is None:
            names = _header(text, number, fields, problem) if header else [str(n + 1) for n in range(len(fields))]
            least = max((at + 1 for at, name in enumerate(names) if name), default=1)
            if header:
                continue
        values, wrong = {}, None
        for at, field in enumerate(fields):
            field, error = text.decoded(field)
            wrong = wrong or error
            name = names[at] if at < len(names) else None
            if name or (name is not None and field.strip()):  # Excel writes columns without a name, most of them empty
                values[name or f"column {at + 1}"] = field
        if len(fields) < least or any(field.strip() for field in fields[len(names) :]):
            problem = problem or f"{len(fields)} fields where {least} are expected{hint}"
        # A damaged record of several lines: a quotation mark was left open, and swallowed what may be other rows.
        yield text.row(number, values, problem or wrong, of_table=bool(problem) and lines > 1)


def _first(iterator, count):
    return list(itertools.islice(iterator, count))


def _header(text, number, fields, problem):
    where = f"{text.name}, line {number}"
    if problem:
        raise ValueError(f"{where}: {problem}")
    names = []
    for field in fields:
        name, error = text.decoded(UNSEEN.sub("", field).strip())
        if error:
            raise ValueError(f"{where}: {error}")
        names.append(name)
    named = [name for name in names if name]
    if len(set(named)) < len(named):
        raise ValueError(f"{where}: two columns have the same name; is there a header?")
    return names


def _likely(sample, quotes):
    """The delimiter under which the first rows have as many fields as the header, which knows a `text` column."""
    return max(DELIMITERS, key=lambda delimiter: _merit(sample, quotes, delimiter))  # of equals the first


def _merit(sample, quotes, delimiter):
    """What speaks for a delimiter: several columns with `text` among them; as many in each row; how many."""
    widths, names = [], []
    try:
        for number, row in enumerate(csv.reader(sample, delimiter=delimiter, quoting=0 if quotes else 3)):
            names = names or [name.strip().lower() for name in row]
            if row and (number + 1 < len(sample) or len(sample) < SAMPLE_LINES):
                widths.append(len(row))
    except csv.Error:
        pass
    several = bool(widths) and widths[0] > 1
    even = several and len(set(widths)) == 1
    return ("text" in names and several, even, widths[0] if widths else 0)


def _check_tabs(text, sample):
    """Tell of a table without any tab whose columns something else separates."""
    if any("\t" in line for line in sample):
        return
    likely = _likely(sample, quotes=True)
    with_text, even, _ = _merit(sample, True, likely)
    if with_text or (even and len(sample) > 1):
        raise text.misnamed(f"a table whose fields are separated by {likely!r}, not by tabs; give it the suffix .csv")


def _bare(ahead, lines, delimiter):
    for number, line in _chain(ahead, lines):
        line = line.rstrip("\r\n")
        if line:
            yield number, line.split(delimiter), None, 1


def _chain(ahead, lines):
    while ahead:
        yield ahead.popleft()
    yield from lines


def _quoted(ahead, lines, delimiter):
    """(line, fields, problem, number of lines) of each; after a damaged one, on with the line after its first."""
    csv.field_size_limit(max(csv.field_size_limit(), LONGEST_ROW))
    used = []

    def feed():
        size = 0
        while True:
            item = ahead.popleft() if ahead else next(lines, None)
            if item is None:
                return
            if not used:
                size = 0
            used.append(item)
            size += len(item[1])
            if size > LONGEST_ROW:
                raise csv.Error(f"more than {LONGEST_ROW:,} characters in a row, as where a quotation is left open")
            yield item[1]

    reader = csv.reader(feed(), delimiter=delimiter, strict=True)
    while True:
        try:
            fields = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            (number, line), *rest = used
            span = len(used)
            used.clear()
            ahead.extendleft(reversed(rest))
            reader = csv.reader(feed(), delimiter=delimiter, strict=True)
            fields = line.rstrip("\r\n").split(delimiter)
            said = next((said for words, said in SAID.items() if words in str(error)), str(error))
            yield number, fields, f"{said}; {IF_BARE}", span
            continue
        number, span = used[0][0] if used else 0, len(used)
        used.clear()
        if fields:
            yield number, fields, None, span
