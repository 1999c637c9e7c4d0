"""One spelling for one descriptor: lower case, trimmed, without duplicates, spelling variants merged on request.

The store keeps what the teacher wrote; these functions run when the output is written, so another choice needs no
new request.
"""

import re
import unicodedata
from collections import Counter

from ..descriptors.labels import UNSEEN

__all__ = ["NEUTRAL", "VariantMap", "normalise", "normalise_labels", "skeleton"]

NEUTRAL = "neutral"

_QUOTES = str.maketrans({"‘": "'", "’": "'", "ʼ": "'", "`": "'", "“": '"', "”": '"', "_": " "})
_DASHES = re.compile("[\u2010-\u2015\u2212]")
_SPACE = re.compile(r"\s+")
_EDGES = " \t\n\r\"'.,;:!*-"

# British and American spellings, as rewrites to one skeleton. Only two forms that both occur are ever merged, so a
# rewrite that makes no English word ("four" to "for") does harm only where both words are descriptors.
_VARIANTS = (
    (re.compile(r"our\b|our(?=ed|ing|ful|less|ite|able|ous)"), "or"),
    (re.compile(r"is(?=e\b|ed\b|ing\b|ation\b|er\b)"), "iz"),
    (re.compile(r"ys(?=e\b|ed\b|ing\b)"), "yz"),
    (re.compile(r"ll"), "l"),
    (re.compile(r"\bgrey"), "gray"),
    (re.compile(r"(?<=[dft])ence\b"), "ense"),
    (re.compile(r"(?<=[aeiou]t)re\b"), "er"),
)


def normalise(term):
    """One descriptor in its normal form.

    Unicode NFKC, lower case, straight apostrophes, plain hyphens, single spaces, no characters that nobody sees
    (zero-width, bidirectional marks, control), no quotes, stops or list marks at the edges. An empty string comes back
    for a term of nothing but such marks.

    Args:
        term (`str`): A descriptor as the teacher wrote it.

    Returns:
        `str`

    Example:

    ```python
    >>> normalise("  “Self–Doubt”. ")
    'self-doubt'
    ```
    """
    text = unicodedata.normalize("NFKC", UNSEEN.sub("", term)).translate(_QUOTES).lower()
    return _SPACE.sub(" ", _DASHES.sub("-", UNSEEN.sub("", text))).strip(_EDGES)


def normalise_labels(labels, variants=None):
    """Normal forms of one text's descriptors: order kept, duplicates and empty terms gone.

    `neutral` says that nothing is expressed, so it goes where another descriptor stands beside it.

    Args:
        labels (`Iterable[str]`): Descriptors, most salient first.
        variants (`VariantMap`, *optional*): Spelling variants to merge.

    Returns:
        `list[str]`

    Example:

    ```python
    >>> normalise_labels(["Joy", "joy ", "neutral", "Quiet relief"])
    ['joy', 'quiet relief']
    ```
    """
    terms = (normalise(label) for label in labels)
    if variants is not None:
        terms = (variants.get(term) for term in terms)
    kept = list(dict.fromkeys(term for term in terms if term))
    return [term for term in kept if term != NEUTRAL] or kept


def skeleton(term):
    """The form that spelling variants share: `self-doubt`, `self doubt` and `selfdoubt`; `humour` and `humor`."""
    for pattern, replacement in _VARIANTS:
        term = pattern.sub(replacement, term)
    return re.sub(r"[-' ]", "", term)


class VariantMap:
    """Maps each spelling variant to the form that a data set uses most.

    Learnt from the data set itself: forms that share a skeleton (see `skeleton`) become the most frequent of them,
    and at equal counts the first in the alphabet. A form that stands alone stays as it is.

    Args:
        counts (`Mapping[str, int]`): How often each normalised descriptor occurs.

    Example:

    ```python
    >>> variants = VariantMap({"self-doubt": 9, "self doubt": 2, "joy": 5})
    >>> variants.get("self doubt"), variants.merged
    ('self-doubt', {'self doubt': 'self-doubt'})
    ```
    """

    def __init__(self, counts):
        groups = {}
        for term in counts:
            groups.setdefault(skeleton(term), []).append(term)
        self.merged = {}
        for forms in groups.values():
            if len(forms) > 1:
                chosen = min(forms, key=lambda form: (-counts[form], form))
                self.merged.update({form: chosen for form in sorted(forms) if form != chosen})

    @classmethod
    def of(cls, rows):
        """The map for an iterable of label lists, normalised on the way."""
        return cls(Counter(term for labels in rows for term in normalise_labels(labels)))

    def get(self, term):
        """The form to use for a normalised term."""
        return self.merged.get(term, term)
