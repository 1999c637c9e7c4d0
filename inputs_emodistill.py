"""What users pass as texts: strings, rows with labels of their own, columns, streams. Standard library only."""

import collections.abc
import unicodedata
from dataclasses import dataclass

__all__ = [
    "Texts", "is_alone", "is_blank", "is_table", "many_texts", "one_ahead", "read_ahead", "read_inputs", "sequence_of",
    "texts_of", "without_surrogates",
]  # fmt: skip

MOST_BATCHES = 64  # read ahead, to sort their texts by length
FEWEST_AT_ONCE = 512  # texts of a list, so that a run's start and end do not decide how fast it is
# They look like nothing and are none of the categories below: fillers of Hangul, empty Braille, what replaced a byte.
LOOK_BLANK = "\u115f\u1160\u3164\uffa0\u2800\ufffd"
BLANK_CATEGORIES = {"Cc", "Cf", "Cn", "Mn", "Me", "Zs", "Zl", "Zp"}


def is_blank(text):
    r"""
    Whether a text shows nothing: white space, control and zero-width characters, marks that stand on no letter.

    Args:
        text (`str`): Any text.

    Returns:
        `bool`

    Example:

    ```python
    >>> from emodistill.inputs_emodistill import is_blank

    >>> is_blank(" \u200b\ufeff"), is_blank("?")
    (True, False)

    ```
    """
    return all(
        character.isspace() or character in LOOK_BLANK or unicodedata.category(character) in BLANK_CATEGORIES
        for character in text
    )


def without_surrogates(text):
    r"""
    A text that can be written in UTF-8: halves of surrogate pairs are joined, and one that is alone is replaced.

    Args:
        text (`str`): Any text, for instance of a JSON file with half an emoji, or a file name with a bad byte.

    Returns:
        `str`: The same text, unless it held a surrogate.

    Example:

    ```python
    >>> from emodistill.inputs_emodistill import without_surrogates

    >>> without_surrogates("caf\udce9 \ud83d\ude00")
    'caf\ufffd 😀'

    ```
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def _is_missing(value):
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return True
    return isinstance(value, float) and value != value


def _problem(value):
    """Why a value is no text, in words that go on after `text 3`."""
    if _is_missing(value):
        return f"is missing ({value})"
    if isinstance(value, collections.abc.Mapping):
        keys = ", ".join(map(str, value)) or "none"
        hint = 'name the column of texts, for instance table["text"], or give rows {"text": ..., "labels": [...]}'
        return f"is {type(value).__name__} with the keys {keys}; {hint}"
    hint = '; name the column of texts, for instance table["text"]' if is_table(value) else ""
    hint = "; it has no order, so give a list" if isinstance(value, collections.abc.Set) else hint
    return f"is {type(value).__name__}{hint}"


def is_table(value):
    """Whether it is a whole table, of pandas, polars, Arrow or `datasets`, in which a column is to be named."""
    return hasattr(value, "column_names") or hasattr(value, "columns")


@dataclass
class Texts:
    """
    A run of texts, read.

    Args:
        texts (`list[str]`): The texts; where one cannot be read, an empty one.
        label_sets (`dict[int, Any]`): Label sets of their own, by the text's place in the run.
        problems (`dict[int, str]`): What is wrong, by the text's place in the run.
    """

    texts: list
    label_sets: dict
    problems: dict


def read_inputs(values, first=0, parse_labels=None):
    """
    Read texts as users give them: strings, or rows `{"text": ..., "labels": ...}` with a label set of their own.

    Args:
        values (`Iterable`): The texts or rows.
        first (`int`, *optional*, defaults to 0): Number of the first, for messages.
        parse_labels (`Callable`, *optional*): Takes a text's labels and what to call them in a message, and gives the
            label set or raises `ValueError`; without it they are kept as they are.

    Returns:
        [`Texts`]: what is wrong is kept, not raised.

    Example:

    ```python
    >>> from emodistill.inputs_emodistill import read_inputs

    >>> read = read_inputs(["How nice", None, {"text": "Ouch", "labels": "pain, fear"}])
    >>> read.texts, read.problems, read.label_sets
    (['How nice', '', 'Ouch'], {1: 'inputs must be strings, but text 1 is missing (None)'}, {2: 'pain, fear'})

    ```
    """
    read = Texts([], {}, {})
    for place, value in enumerate(values):
        number = first + place
        labels, text = None, value
        if isinstance(value, collections.abc.Mapping) and "text" in value and set(value) <= {"text", "labels"}:
            text, labels = value["text"], value.get("labels")
        if not isinstance(text, str):
            read.texts.append("")
            read.problems[place] = f"inputs must be strings, but text {number} {_problem(text)}"
            continue
        read.texts.append(without_surrogates(text))
        if labels is None:
            continue
        try:
            name = f"labels of text {number}"
            read.label_sets[place] = labels if parse_labels is None else parse_labels(labels, name)
        except ValueError as error:
            read.problems[place] = str(error)
    return read


def sequence_of(inputs):
    """
    What holds texts, as a list where it is one; a string, a row, a data set or a stream as it is.

    Args:
        inputs (`Any`): A text, or what holds texts: list, tuple, array, column of a table, view of a dictionary.

    Returns:
        `Any`: a `list` for whatever is a finite collection in order.
    """
    if isinstance(inputs, str | bytes | collections.abc.Mapping | collections.abc.Set) and not isinstance(
        inputs, collections.abc.KeysView
    ):
        return inputs
    if is_table(inputs):
        return inputs  # which is refused with a hint
    if isinstance(inputs, collections.abc.Sequence | collections.abc.KeysView | collections.abc.ValuesView):
        return list(inputs)
    for name in ("tolist", "to_list", "to_pylist"):  # arrays and columns of NumPy, pandas, polars, pyarrow
        if callable(method := getattr(inputs, name, None)):
            return method()
    return inputs


def texts_of(inputs):
    """
    What a call got, as [`sequence_of`] gives it, unless it is nothing to read texts from.

    Args:
        inputs (`Any`): A text, a row, or what holds texts.

    Returns:
        `Any`

    Raises:
        `ValueError`: for a whole table, a set, bytes, or a mapping that is no row, whatever becomes of single texts.
    """
    given = sequence_of(inputs)
    no_row = isinstance(given, collections.abc.Mapping) and "text" not in given
    if no_row or is_table(given) or isinstance(given, collections.abc.Set | bytes):
        raise ValueError(f"inputs must be strings, but text 0 {_problem(given)}")
    return given


def many_texts(inputs):
    """
    Texts one after the other, of what holds one or many.

    Args:
        inputs (`Any`): See [`texts_of`].

    Returns:
        `Iterable`: what is alone, in a list.

    Example:

    ```python
    >>> from emodistill.inputs_emodistill import many_texts

    >>> many_texts("How nice"), many_texts(("How nice", "Ouch"))
    (['How nice'], ['How nice', 'Ouch'])

    ```
    """
    given = texts_of(inputs)
    return [given] if is_alone(given) else given


def is_alone(given):
    """
    Whether what a call got is one text or row, or what is neither, and holds no others.

    Args:
        given (`Any`): As [`texts_of`] gives it. A data set that knows its length and rows need not be iterable.

    Returns:
        `bool`

    Example:

    ```python
    >>> from emodistill.inputs_emodistill import is_alone

    >>> is_alone("How nice"), is_alone({"text": "How nice"}), is_alone(None), is_alone(["How nice"])
    (True, True, True, False)

    ```
    """
    if isinstance(given, str | collections.abc.Mapping):
        return True
    return not isinstance(given, collections.abc.Iterable) and not hasattr(given, "__getitem__")


def one_ahead(values):
    """
    Values of an iterator, each once the next has been taken: what taking that one begins goes on in the meantime.

    What the iterator raises is raised after the value before.

    Args:
        values (`Iterable`): Functions that wait for something under way, for instance.

    Yields:
        Each value.

    Example:

    ```python
    >>> from emodistill.inputs_emodistill import one_ahead

    >>> list(one_ahead(print(f"{number} begins") or number for number in range(2)))
    0 begins
    1 begins
    [0, 1]

    ```
    """
    values, held, error = iter(values), [], None
    while error is None:
        try:
            held.append(next(values))
        except Exception as raised:
            error = raised
        if held and (error is not None or len(held) > 1):
            yield held.pop(0)
    if not isinstance(error, StopIteration):
        raise error


def read_ahead(values, batch_size, batches=MOST_BATCHES, at_once=False):
    """
    Runs of texts out of a list or stream: the longer a run, the better batches of like length fill.

    What a stream raises is raised after the texts that it gave before.

    Args:
        values (`Iterable`): The texts.
        batch_size (`int`): Texts in a batch.
        batches (`int`, *optional*, defaults to 64): Batches in a run; 1 reads no further ahead than it must.
        at_once (`bool`, *optional*, defaults to `False`): Whether runs are whole from the start, as for a list, and
            however small batches are hold some hundred texts. Those of a stream begin with one batch and double, so
            that first results come soon.

    Returns:
        iterator of `list`

    Example:

    ```python
    >>> from emodistill.inputs_emodistill import read_ahead

    >>> [len(run) for run in read_ahead(iter(range(20)), batch_size=2, batches=4)]
    [2, 4, 8, 6]

    ```
    """
    most = max(batch_size * batches, FEWEST_AT_ONCE if at_once else 1)
    values, size, error = iter(values), most if at_once else batch_size, None
    while error is None:
        run = []
        try:
            for _ in range(size):
                run.append(next(values))
        except StopIteration as end:
            error = end
        except Exception as raised:
            error = raised
        if run:
            yield run
        size = min(2 * size, most)
    if not isinstance(error, StopIteration):
        raise error
