"""When two texts are the same or near each other, and numbers that follow from a text alone."""

import hashlib
import re
import unicodedata

from .formats import format_of, read_file
from .text_files import TextFile

__all__ = ["EvaluationTexts", "comparison_key", "fingerprint", "fraction", "read_evaluation_texts"]

NEAR_WORDS = 8  # consecutive words in common with an evaluation text
TEXT_COLUMNS = ("text", "tweet", "sentence", "utterance", "anonymized message", "sit")


def comparison_key(text):
    """
    Reduce a text to what makes it the same text: compared, never stored.

    Unicode NFKC, lower case, no apostrophes, and every run of white space, punctuation and control characters as one
    space. A text of punctuation alone ("?!") keeps it. Emoji are symbols, not punctuation, and stay.

    Args:
        text (`str`): Any text.

    Returns:
        `str`: empty only for a blank text.

    Example:

    ```python
    >>> comparison_key("It’s  FINE...   (really) 🙂")
    'its fine really 🙂'

    ```
    """
    text = unicodedata.normalize("NFKC", text).lower()
    text = re.sub(r"['’‘ʼ`]", "", text) if re.search(r"\w", text) else text
    spaced = "".join(" " if unicodedata.category(character)[0] in "PCZ" else character for character in text)
    words = " ".join(spaced.split()) or " ".join(text.split())
    return unicodedata.normalize("NFKC", words)  # a lost mark can leave a letter beside its accent


def fraction(purpose, text):
    """
    A number in [0, 1) that depends on `purpose` and `text` alone, uniform over texts.

    Args:
        purpose (`str`): What is chosen by it; another purpose gives another number.
        text (`str`): What is chosen.
    """
    digest = hashlib.sha256(f"{purpose}\n{text}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def fingerprint(key):
    """
    16 bytes that stand for a text, so that millions of texts fit in memory.

    Args:
        key (`str`): The text as [`comparison_key`] gives it.
    """
    return hashlib.sha256(key.encode()).digest()[:16]


class EvaluationTexts:
    """
    Texts of evaluation files, to be kept out of a data set.

    Args:
        paths (`Iterable[str]`): The files, see [`read_evaluation_texts`].
        near (`int`, *optional*, defaults to 8): How many consecutive words in common are too many.

    Example:

    ```python
    >>> import tempfile
    >>> with tempfile.NamedTemporaryFile("w", suffix=".csv") as file:
    ...     print("text", "I was so very glad when you came home today!", sep="\\n", file=file, flush=True)
    ...     texts = EvaluationTexts([file.name])
    >>> texts.match(comparison_key("When he fell? No: i was so very glad when you came."))
    'near an evaluation text'

    ```
    """

    def __init__(self, paths=(), near=NEAR_WORDS):
        self.near = near
        self._texts, self._runs = set(), set()
        for path in paths:
            for text in read_evaluation_texts(path):
                key = comparison_key(text)
                if key:
                    self._texts.add(fingerprint(key))
                    self._runs.update(self._runs_of(key))

    def __len__(self):
        return len(self._texts)

    def _runs_of(self, key):
        words = key.split()
        return (" ".join(words[at : at + self.near]) for at in range(len(words) - self.near + 1))

    def match(self, key):
        """
        Why a text must stay out.

        Args:
            key (`str`): The text as [`comparison_key`] gives it.

        Returns:
            `str` or `None`
        """
        if fingerprint(key) in self._texts:
            return "in an evaluation file"
        return "near an evaluation text" if any(run in self._runs for run in self._runs_of(key)) else None


def read_evaluation_texts(path):
    """
    The texts of a public evaluation file.

    The first line is taken for a header if one of its cells, split at a tab, comma, semicolon or bar, is a known name
    of a text column: text, tweet, sentence, utterance, anonymized message, sit. A tab-separated file without one
    (GoEmotions) has the text first. Quoting is off in tab-separated files. JSON lines and Parquet have a `text`.

    Args:
        path (`str`): The file.

    Yields:
        `str`

    Raises:
        `ValueError`: where the texts cannot be found; the sentence names file and line.
    """
    kind, column, options = format_of(path), "text", {}
    if kind not in ("jsonl", "json", "parquet"):
        with TextFile(path, str(path), None) as file:
            kind, column, options = _layout(str(path), next(iter(file))[1])
    for row in read_file(path, kind, **options):
        text = row.values.get(column)
        if not isinstance(text, str):
            raise ValueError(f"{row.place}: {row.error or 'no `text` string'}")
        yield text  # what else is wrong with the row does not matter here


def _layout(path, first):
    """Format, text column and further options of a file with the first line `first`."""
    for delimiter in "\t,;|":
        names = [name.strip().strip('"') for name in first.rstrip("\r\n").split(delimiter)]
        for known in TEXT_COLUMNS:
            for name in names:
                if name.casefold() == known:
                    return ("tsv", name, {}) if delimiter == "\t" else ("csv", name, {"delimiter": delimiter})
    if "\t" in first:
        return "tsv", "1", {"header": False}
    raise ValueError(
        f"{path}, line 1: no tab and no text column in the header; name the column one of {', '.join(TEXT_COLUMNS)}"
    )
