"""Label names and label columns: GoEmotions' 28, lists however a table writes them, descriptors in normal form."""

import ast
import functools
import json
import math
import re
import unicodedata

__all__ = ["GOEMOTIONS", "UNSEEN", "UnreadableList", "clean_labels", "is_missing", "read_labels", "readable"]

# fmt: off
GOEMOTIONS = (
    "admiration", "amusement", "anger", "annoyance", "approval", "caring", "confusion", "curiosity", "desire",
    "disappointment", "disapproval", "disgust", "embarrassment", "excitement", "fear", "gratitude", "grief", "joy",
    "love", "nervousness", "optimism", "pride", "realization", "relief", "remorse", "sadness", "surprise", "neutral",
)
# fmt: on

_BRACKETS = {"[": "]", "(": ")", "{": "}"}
# One quoted string of a list, with or without a comma after it: NumPy writes none, and Python would join the two.
_QUOTED = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\s*,?""", re.DOTALL)
# What separates labels in one cell: also the marks of other scripts, and lines, as Excel's Alt-Enter writes them.
_BETWEEN = re.compile(
    r"[,;|\t\n\r\v\u2028\u2029\u060c\u061b\u3001\uff0c\uff1b\uff5c\u2022]|<br ?/?>|\s(?=#\w)", re.IGNORECASE
)
_MARK = re.compile(r"^(?:[-*]\s+|#|\d{1,2}[.)]\s*)(?=[^\W\d])")  # of a list, or a hashtag, before a word
_PAIRS = {'"': '"', "'": "'", "\u201c": "\u201d", "\u2018": "\u2019", "\u00ab": "\u00bb"}
# What nobody sees: zero-width characters and joiners, marks of writing direction, tags, fillers, control characters.
UNSEEN = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufeff\uffa0\ufff9-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f]"
)
_LONE = re.compile("[\ud800-\udfff]")  # half of a surrogate pair, as cut-off emoji leave it: no UTF-8 can carry it
# How programs write that there is no value. `none` is not among them: label sets name `neutral` so.
_NO_VALUE = {"nan", "null", "<na>", "n/a", "#n/a", "nat"}
_WITH_NUMBER = re.compile(r"(.*\w)\s*[:=]\s*[-+]?[\d.]+%?")


class UnreadableList(ValueError):
    """Labels in a notation that cannot be read: hardly the slip of one row, and a guess would teach wrong names."""


def is_missing(value):
    """
    Whether a table has no value there: `None`, or one of the marks that pandas and NumPy use.

    Args:
        value: Any value.

    Example:

    ```python
    >>> is_missing(None), is_missing(float("nan")), is_missing("")
    (True, True, False)

    ```
    """
    return (
        value is None
        or (isinstance(value, float) and math.isnan(value))
        or type(value).__name__ in ("NAType", "NaTType")
        or (hasattr(value, "dtype") and getattr(value, "ndim", 1) == 0 and value != value)
    )


def readable(text):
    r"""
    Text that can be written as UTF-8: lone surrogates are replaced.

    Args:
        text (`str`): Any text.

    Example:

    ```python
    >>> readable("half an emoji: \ud83d")
    'half an emoji: �'

    ```
    """
    return _LONE.sub("\ufffd", text)


def read_labels(value):
    """
    The labels of a text, from a list or from what a table makes of one.

    Args:
        value (`list[str]` or `str`): Labels; in text they are separated by commas, semicolons, bars or lines, or
            stand in a Python or JSON list.

    Returns:
        `list[str]`: the labels, with single spaces and without characters that nobody sees.

    Raises:
        `ValueError`: for none, for numbers, truth values and marks of a missing value in place of names, and for a
            list that cannot be read; the sentence begins with what is wrong and names no place.

    Example:

    ```python
    >>> read_labels("joy, pride"), read_labels("['joy', 'pride']"), read_labels(["joy", " pride "])
    (['joy', 'pride'], ['joy', 'pride'], ['joy', 'pride'])

    ```
    """
    if hasattr(value, "tolist"):
        value = value.tolist()
    if is_missing(value):
        raise ValueError("there are no labels (null); write neutral where nothing is expressed")
    if isinstance(value, str):
        value = _listed(value.strip())
    elif isinstance(value, int | float):
        value = [value]
    if not isinstance(value, list | tuple | set | frozenset):
        raise ValueError(f"labels are {type(value).__name__}; a list of strings is expected")
    labels = [label for label in map(_label, value) if label]
    if not labels:
        raise ValueError("there are no labels (an empty list); write neutral where nothing is expressed")
    return labels


def _label(label):
    """One label, or an empty string for one that shows nothing."""
    if type(label) is str:
        return _name(label)
    if is_missing(label):
        raise ValueError("one of the labels is null")
    if isinstance(label, str):
        return _name(str(label))
    if isinstance(label, bool) or not isinstance(label, int | float):
        raise ValueError(f"one of the labels is {type(label).__name__}; strings are expected")
    raise ValueError(f"the label {_short(label)} is a number, and no names are given for it; write names")


@functools.lru_cache(2**16)  # a table has few labels and names them in many rows
def _name(label):
    name = " ".join(UNSEEN.sub("", readable(label)).split())
    if _is_number(name):
        raise ValueError(f"the label {_short(label)} is a number, and no names are given for it; write names")
    if name.casefold() in _NO_VALUE or name == "NA":
        raise ValueError(f"the label {name!r} says that there is none; write neutral where nothing is expressed")
    if name.casefold() in ("true", "false"):
        raise ValueError(f"the label {name!r} is a truth value; write the name of what is true")
    if match := _WITH_NUMBER.fullmatch(name):
        raise ValueError(f"the label {_short(name)} holds a number; write the name alone: {_short(match[1])}")
    return name


def _is_number(name):
    """Also `1e3`, `50%` and `½`; a label in any script has a letter, and an emoji no digit."""
    try:
        return not math.isnan(float(name))
    except ValueError:
        return any(mark.isnumeric() for mark in name) and not any(mark.isalpha() for mark in name)


def _listed(text):
    end = _BRACKETS.get(text[:1])
    if text.startswith(("array(", "set(", "frozenset(")):
        raise UnreadableList(f"the labels {_short(text)} are Python's notation; write a JSON list or commas")
    if end is None:
        if any(mark in text for mark in "[]{}"):
            raise UnreadableList(f"the labels {_short(text)} hold a bracket; is a list cut off?")
        return [_unquoted(part) for part in _BETWEEN.split(text)]
    if not text.endswith(end):
        raise UnreadableList(f"the labels {_short(text)} begin like a list that does not end; is it cut off?")
    try:
        return json.loads(text) if end == "]" else _python(text)
    except (ValueError, RecursionError):
        return _python(text)


def _unquoted(part):
    """A part without a list's mark before it, and the quotation marks that lists which lost their brackets have."""
    part = _MARK.sub("", part.strip())
    while len(part) > 1 and _PAIRS.get(part[0]) == part[-1]:
        part = part[1:-1].strip()
    return part


def _python(text):
    inner = text[1:-1].strip()
    if not inner:
        return []
    found, at = [], 0
    while at < len(inner):
        match = _QUOTED.match(inner, at)
        if match is None:
            break
        found.append(_string(match[1]))
        at = match.end()
    if at == len(inner):
        return found
    words = [word.strip() for word in inner.split(",")]
    if not any(mark in inner for mark in "\"'[](){}:") and not {"None", "nan", "null"} & set(words):
        return words
    raise UnreadableList(
        f"the labels {_short(text)} look like a list that cannot be read; write a JSON list or commas"
    )


def _string(quoted):
    """What stands between quotation marks; as it is where Python would not have it so, with a line break within."""
    try:
        return ast.literal_eval(quoted)
    except (SyntaxError, ValueError):
        return quoted[1:-1]


def _short(text):
    return repr(text if not isinstance(text, str) or len(text) <= 60 else text[:57] + "...")


@functools.lru_cache(2**16)
def _in_normal_form(label):
    return " ".join(unicodedata.normalize("NFC", label.lower()).split())


def clean_labels(labels):
    """
    Descriptors in normal form: lower case, composed characters, single spaces, the first of repeated ones kept.

    Args:
        labels (`Iterable[str]`): At least one.

    Returns:
        `list[str]`

    Raises:
        `ValueError`: for none, or for something else than strings.

    Example:

    ```python
    >>> clean_labels(["Mild  Joy", "pride", "mild joy"])
    ['mild joy', 'pride']

    ```
    """
    if not isinstance(labels, list | tuple) or not all(isinstance(label, str) for label in labels):
        raise ValueError("`labels` must be a list of strings")
    cleaned = list(dict.fromkeys(map(_in_normal_form, labels)))
    if not cleaned or "" in cleaned:
        raise ValueError('`labels` is empty or holds an empty descriptor; write ["neutral"] for none')
    return cleaned
