"""Label names and label columns: GoEmotions' 28, lists however a table writes them, descriptors in normal form."""

import ast
import json
import math
import re

__all__ = ["GOEMOTIONS", "clean_labels", "is_missing", "read_labels"]

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
_NUMBER = re.compile(r"[-+]?\d+(\.\d*)?")


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


def read_labels(value):
    """
    The labels of a text, from a list or from what a table makes of one.

    Args:
        value (`list[str]` or `str`): Labels; in text they are separated by commas, semicolons or bars, or stand in
            a Python or JSON list.

    Returns:
        `list[str]`: the labels, white space at their ends taken off.

    Raises:
        `ValueError`: for none, for numbers without names, and for a list that cannot be read; the sentence begins
            with what is wrong and names no place.

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
    labels = []
    for label in value:
        if is_missing(label):
            raise ValueError("one of the labels is null")
        if isinstance(label, bool) or not isinstance(label, str | int | float):
            raise ValueError(f"one of the labels is {type(label).__name__}; strings are expected")
        if not isinstance(label, str) or _NUMBER.fullmatch(label.strip()):
            raise ValueError(f"the label {label!r} is a number, and no names are given for it; write names")
        if label.strip():
            labels.append(label.strip())
    if not labels:
        raise ValueError("there are no labels (an empty list); write neutral where nothing is expressed")
    return labels


def _listed(text):
    end = _BRACKETS.get(text[:1])
    if text.startswith(("array(", "set(", "frozenset(")):
        raise ValueError(f"the labels {_short(text)} are Python's notation; write a JSON list or commas")
    if end is None:
        parts = re.split(r"[,;|]", text)
        if any(mark in text for mark in "[]{}"):
            raise ValueError(f"the labels {_short(text)} hold a bracket; is a list cut off?")
        return parts
    if not text.endswith(end):
        raise ValueError(f"the labels {_short(text)} begin like a list that does not end; is it cut off?")
    try:
        return json.loads(text) if end == "]" else _python(text)
    except (ValueError, RecursionError):
        return _python(text)


def _python(text):
    inner = text[1:-1].strip()
    if not inner:
        return []
    found, at = [], 0
    while at < len(inner):
        match = _QUOTED.match(inner, at)
        if match is None:
            break
        found.append(ast.literal_eval(match[1]))
        at = match.end()
    if at == len(inner):
        return found
    words = [word.strip() for word in inner.split(",")]
    if not any(mark in inner for mark in "\"'[](){}:") and not {"None", "nan", "null"} & set(words):
        return words
    raise ValueError(f"the labels {_short(text)} look like a list that cannot be read; write a JSON list or commas")


def _short(text):
    return repr(text if len(text) <= 60 else text[:57] + "...")


def clean_labels(labels):
    """
    Descriptors in normal form: lower case, single spaces, the first of repeated ones kept.

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
    cleaned = list(dict.fromkeys(" ".join(label.lower().split()) for label in labels))
    if not cleaned or "" in cleaned:
        raise ValueError('`labels` is empty or holds an empty descriptor; write ["neutral"] for none')
    return cleaned
