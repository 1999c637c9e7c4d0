"""Labels in a model's reply, however they are named, wrapped, numbered and marked up.

What says clearly which labels are meant is read at once, for an answer is paid for; what leaves room for two readings
(scores without a verdict, crossed-out items) is handed on as it is, and the checks that follow turn it down.
"""

import html
import re
import unicodedata

from .found_json import find_json

__all__ = ["answer_list", "as_list", "labels_in_json", "numbered", "terms_of", "text_terms", "unwrapped"]

_NOUN = r"(?:labels?|descriptors?|emotions?|feelings?|tags?)"
_KEY = re.compile(rf"(?:.* )?{_NOUN}(?:\(s\))?")
_NAMES = ("name", "text", "value", "word", "term")  # of the field that holds a label's name, after those of `_KEY`
# What models wrap around an answer; a value there is one even where its name says nothing.
_WRAPPERS = {"answer", "answers", "response", "result", "results", "output", "data", "text", "final answer"}
_DEPTH = 6  # levels of wrapping

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_LATEX = re.compile(r"\\(?:text|textbf|textit|mathrm|mathbf|emph)\{([^{}]*)\}")
_ELEMENT = re.compile(
    r"<(answer|response|result|output|final|final_answer|labels|descriptors|emotions)\b[^<>]*>(.*?)</\1>",
    re.IGNORECASE | re.DOTALL,
)
_TAG = re.compile(
    rf"</?(?:{_NOUN}|item|answer|b|i|em|strong|br|p|ul|ol|li|span|div|code|pre|html|body)\b[^<>]*>|<\?xml[^<>]*\?>",
    re.IGNORECASE,
)
_LEAD = re.compile(
    rf"^(?:(?:here (?:is|are) )?[\w'’ -]{{0,60}}?\b)?({_NOUN}|answers?|output|response|result)(?:\(s\))?"
    r"(?:\s*[:=]\s*|\s+(?:are|is|would be)(?:\s*:\s*|\s+))(.*)$|"
    rf"^({_NOUN}|answers?|output)\s+[-\u2013\u2014]\s+(.*)$",
    re.IGNORECASE,
)
_COURTESY = re.compile(
    r"^(?:sure|certainly|of course|absolutely|okay|understood|here you go|here they are)\b\s*[!.,:]*"
)
_MARK = re.compile(r"^(?:[-*+•‣◦▪●–—→]\s*|\(?\d{1,2}[.)]\s*|\d{1,2}:\s+|#\d{1,2}[.:)]?\s+|\(?[a-h]\)\s+)+")
_INLINE = re.compile(r"(?<=\S)\s+(?=\d{1,2}[.)]\s)")
_SPLIT = re.compile(r"[,;|\n\t、，،；·•→]|(?<=\w\w)\s*/\s*(?=\w\w)|\s+&\s+")
_NUMBERED = re.compile(r"^(?:text|item|no\.?)?\s*[#(]?(\d{1,4})\s*[:.)]+\s*(.*)$", re.IGNORECASE)
_FENCED = re.compile(r"(?:```|~~~)[\w+-]*[ \t\r]*\n(.*?)\n?[ \t]*(?:```|~~~)", re.DOTALL)
_EDGES = " \t\r\n\u00a0\u200b\ufeff\"'`*_#.,;:!«»‹›“”„‘’「」『』【】《》$"
_PAIRS = ("()", "[]", "{}", "<>")
_CROSSED = "✗✘✖❌❎🚫⛔☐☒□🗙"  # a symbol that takes its label back, which goes nowhere unseen


def _key(name):
    """A field's name in lower case and plain words: `emotionLabels`, `emotion_labels` and `Emotion-Labels` are one."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name.strip())
    return re.sub(r"[\s_-]+", " ", words).lower()


def unwrapped(data, name):
    """The object that has a field, where one level of the wrapping holds just one such object; else the data."""
    for level in _levels(data):
        found = [one for one in level if isinstance(one, dict) and name in one]
        if found:
            return found[0] if len(found) == 1 else data
    return data


def _levels(data):
    """The values at each depth, outermost first; JSON in the string of a wrapper is opened."""
    level = [data]
    for _ in range(_DEPTH):
        yield level
        inner = []
        for one in level:
            if isinstance(one, dict):
                inner += [_opened(value) if isinstance(value, str) else value for value in one.values()]
            elif isinstance(one, list):
                inner += one
        level = [one for one in inner if isinstance(one, dict | list)][:1000]
        if not level:
            return


def _opened(text):
    return find_json(text) if text.strip()[:1] in ("{", "[") else text


def labels_in_json(data):
    """The labels in an answer to one text, however they are named and wrapped, as a list where that can be told.

    Returns:
        What stands for the labels; `None` where the answer has none, or several that are not the same.
    """
    if isinstance(data, list) and all(isinstance(one, str) for one in data):
        return as_list(data)
    empty = None
    for level in _levels(data):
        found = [(one, name, value) for one in level if isinstance(one, dict) for name, value in _labelled(one)]
        said = [one for one in found if one[2] not in (None, "", [], {})]
        if said:
            return _one_of(said)
        empty = [] if found else empty
    return _unnamed(data) if empty is None else empty


def _labelled(one):
    """The fields of an object that hold labels by their names; the field `labels` alone where there is one."""
    fields = [(_key(name), value) for name, value in one.items() if _KEY.fullmatch(_key(name))]
    exact = [field for field in fields if field[0] == "labels" and field[1]]
    return exact or fields


def _one_of(said):
    words = [value for _, _, value in said]
    if len(said) == 1:
        return as_list(words[0])
    if all(isinstance(word, str) for word in words) and all(not name.endswith("s") for _, name, _ in said):
        return as_list(words)  # a label a field (primary, secondary) or an object a label
    if all(owner is said[0][0] for owner, _, _ in said):
        return as_list(words[0])
    return None


def _unnamed(data):
    """Labels that stand alone, under a name that says nothing or in a wrapper."""
    for _ in range(_DEPTH):
        if isinstance(data, list) and len(data) == 1 and isinstance(data[0], dict | list):
            data = data[0]
        elif isinstance(data, dict) and len(data) == 1:
            name, data = next(iter(data.items()))
            if isinstance(data, str):
                return as_list(data) if _key(name) in _WRAPPERS else None
        else:
            break
    return as_list(data) if isinstance(data, list) and all(isinstance(one, str) for one in data) else None


def as_list(labels):
    """Labels as a list of clean terms: also from one string, from objects and pairs that name them, from verdicts.

    What cannot be told comes back as it is.
    """
    if isinstance(labels, str):
        inner = _opened(labels)
        return as_list(inner) if isinstance(inner, list) else terms_of(labels)
    if isinstance(labels, dict) and labels:
        if all(isinstance(value, bool) for value in labels.values()):
            return [name for name, value in labels.items() if value]
        if all(isinstance(value, str) for value in labels.values()) and all(
            re.search(r"\d$", name) for name in labels
        ):
            return as_list(list(labels.values()))
        return labels
    if not isinstance(labels, list):
        return labels
    if len(labels) == 1 and isinstance(labels[0], list) and all(isinstance(one, str) for one in labels[0]):
        labels = labels[0]
    kept = []
    for one in labels:
        name = _name(one)
        if isinstance(name, str):
            kept += terms_of(name)
        elif name is not None:
            kept.append(name)
    return kept


def _name(one):
    """The name in an entry of a list of labels; `None` for an empty entry, or one that its own verdict takes back."""
    if isinstance(one, list) and one and all(isinstance(value, int | float) for value in one[1:]):
        return one[0] if all(one[1:]) else None
    if not isinstance(one, dict) or not one:
        return one
    names = {_key(name): value for name, value in one.items()}
    fields = [name for name in names if _KEY.fullmatch(name)] + [name for name in _NAMES if name in names]
    if len(one) == 1 and not fields:
        fields = list(names)
    if not fields or not isinstance(names[fields[0]], str):
        return one
    verdicts = [value for name, value in names.items() if name != fields[0] and isinstance(value, int | float)]
    return names[fields[0]] if all(verdicts) else None


def terms_of(text):
    """A line of labels as a list: split at what separates them, freed of marks of lists, emphasis and emoji."""
    words = text.split()
    if len(words) > 1 and all(re.fullmatch(r"#\w\S*", word) for word in words):
        parts = words
    else:
        parts = [part for piece in _INLINE.split(text) for part in _SPLIT.split(piece)]
        last = parts[-1].strip()
        if len(parts) > 1 and last.lower().startswith("and "):  # the comma before the last of three
            parts[-1] = last[4:]
    cleaned = [_clean(part) for part in parts]
    return [part for part in cleaned if part]


def _clean(term):
    term = term.replace("**", "").replace("__", "").strip()
    before = None
    while term != before:
        before = term
        term = _MARK.sub("", term.strip(_EDGES)).strip(_EDGES)
        for opening, closing in _PAIRS:
            if term[:1] == opening and (term[-1:] == closing or closing not in term):
                term = term[1:].removesuffix(closing)
            elif term[-1:] == closing and opening not in term:
                term = term[:-1]
        term = _without_emoji(term)
    return term


def _without_emoji(term):
    """Without symbols at the edges, as far as letters stay and no symbol crosses the label out."""
    bare = term
    while bare and _is_emoji(bare[0]):
        bare = bare[1:]
    while bare and _is_emoji(bare[-1]):
        bare = bare[:-1]
    return bare or term


def _is_emoji(char):
    if char in _CROSSED:
        return False
    return unicodedata.category(char) == "So" or char in "\ufe0f\u200d" or "\U0001f3fb" <= char <= "\U0001f3ff"


def text_terms(content):
    """The labels in a reply of plain text about one text, or in whatever markup stands for one.

    Returns:
        `list`: terms to be checked.
    """
    fenced = _FENCED.findall(content)
    text = _LATEX.sub(r"\1", _ANSI.sub("", fenced[-1] if fenced else content))
    elements = _ELEMENT.findall(text)
    text = html.unescape(_TAG.sub("\n", elements[-1][1] if elements else text))
    lines = [re.sub(r"^\s*>\s*|\*\*|__|`", "", line).strip() for line in text.splitlines()]
    lines = [line for line in lines if line and not re.fullmatch(r"[\W_]+", line)] or [text]
    lines = [line for line in lines if not re.match(r"#{1,6}\s", line)] or [re.sub("^#+", "", line) for line in lines]
    lines = _answer_lines(lines)
    if len(lines) == 1 and isinstance(value := _opened(lines[0]), list):
        return as_list(value)
    if any(_MARK.match(line) for line in lines):  # remarks around a list
        lines = [line for line in lines if _MARK.match(line) or len(line.split()) < 6]
    return terms_of("\n".join(line.rstrip(".") for line in lines))


def _answer_lines(lines):
    """The lines that hold the answer: what an introduction announces, else all but introductions and courtesies."""
    hits = [(number, match) for number, line in enumerate(lines) if (match := _LEAD.match(line))]
    if hits:
        said = [(match[1] or match[3], match[2] or match[4] or "") for _, match in hits]
        if len(said) > 1 and all(words and not noun.lower().endswith("s") for noun, words in said):
            return [words for _, words in said]
        if said[-1][1].strip():
            return [said[-1][1]]
        lines = lines[hits[-1][0] + 1 :] or lines
    elif len(lines) > 1 and re.fullmatch(_NOUN, lines[0], re.IGNORECASE):  # a heading
        return lines[1:]
    first = _COURTESY.sub("", lines[0].lower())
    if first != lines[0].lower() and (len(lines) > 1 or "!" in lines[0]):
        lines = [lines[0][len(lines[0]) - len(first) :], *lines[1:]]
    return [line for line in lines if line and not line.endswith(":")] or lines


def answer_list(data):
    """`list[dict]`: the answers to several items, under any name, also as an object with their numbers for names;
    `None` where there are none.
    """
    if isinstance(data, dict) and "answers" not in data:
        lists = [value for value in data.values() if isinstance(value, list | dict)]
        data = lists[0] if len(data) == len(lists) == 1 and not next(iter(data)).isdigit() else data
    elif isinstance(data, dict):
        data = data["answers"]
    if isinstance(data, dict) and data and all(name.isascii() and name.isdigit() for name in data):
        inner = [value if isinstance(value, dict) else {"labels": value} for value in data.values()]
        data = [{**value, "number": name} for name, value in zip(data, inner, strict=True)]
    return data if isinstance(data, list) and all(isinstance(one, dict) for one in data) else None


def numbered(content, count):
    """`list[list]`: the terms of each of several texts from a numbered line each; `None` where the numbers do not
    match.
    """
    fenced = _FENCED.findall(content)
    lines = [line.strip().replace("**", "") for line in (fenced[-1] if fenced else content).splitlines()]
    lines = [line for line in lines if line]
    matches = [_NUMBERED.match(line) for line in lines]
    kept = [match for line, match in zip(lines, matches, strict=True) if match or not line.endswith(":")]
    if not all(kept) or [int(match[1]) for match in kept] != list(range(1, count + 1)):
        return None
    return [terms_of(match[2].rstrip(".")) for match in kept]
