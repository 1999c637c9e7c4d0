"""Label sets: what users name, and the wordings that are embedded for it. Standard library only."""

import ast
import collections.abc
import functools
import re
import unicodedata
from dataclasses import dataclass

from .inputs_emodistill import is_blank, without_surrogates

__all__ = ["NEUTRAL", "NEUTRAL_NAMES", "LabelSet", "absent_feeling", "neutral_place", "neutral_wording"]

# The label that says that a text expresses none of the others, and what else label sets call it. An encoder does not
# read a negation: "no emotion" lies nearer to emotional texts than to others. So these are embedded as NEUTRAL.
NEUTRAL = "neutral"
NEUTRAL_NAMES = (NEUTRAL, "no emotion", "no emotions", "none")

# Characters of no width and no meaning of their own; joiners are left, which make one emoji of several.
UNSEEN = re.compile("[\u00ad\u200b\u2060\ufeff]")
# How a label says that a feeling is absent, and what only looks like it.
ABSENT = re.compile(
    r"(?:not|no|non|without|lack of|lacking|absence of|free of|free from)[\s_-]+(?:an?\s+|any\s+|feeling\s+)?(.+)"
    r"|(.+?)[\s_-]+free",
    re.IGNORECASE,
)
NOT_ABSENT = re.compile(
    r"(?:no|non)[\s_-]+(?:longer|one|way|matter|doubt|problem|worries|nonsense)\b.*|not[\s_-]+(?:only|just)\b.*"
    r"|(?:.*\b)?(?:care|scot|set|feel|feeling|break|breaking|be|being|so|very|more|truly|totally|and)[\s_-]*free",
    re.IGNORECASE,
)


def neutral_place(names):
    """
    The place of the label in a set that says that none of the others holds.

    Args:
        names (`Sequence[str]`): The labels as a user names them; capitals, underscores and hyphens do not matter.

    Returns:
        `int` or `None`: The place of `neutral`, else of `no emotion`, `no emotions` or `none`; `None` where the set
        has no such label.

    Example:

    ```python
    >>> from emodistill.decision_emodistill import neutral_place

    >>> neutral_place(["joy", "Neutral"]), neutral_place(["no_emotion", "joy"]), neutral_place(["joy", "anger"])
    (1, 0, None)

    ```
    """
    return _neutral_place(tuple(names))


@functools.lru_cache(maxsize=256)
def _neutral_place(names):
    """Asked for with every call, of the same set."""
    plain = [re.sub(r"[\s_-]+", " ", name.strip()).casefold() for name in names]
    return next((plain.index(known) for known in NEUTRAL_NAMES if known in plain), None)


def neutral_wording(names):
    """
    The labels of a set with [`NEUTRAL`] for the one at [`neutral_place`], which is what to embed.

    Args:
        names (`Sequence[str]`): The labels as a user names them.

    Returns:
        `list[str]`

    Example:

    ```python
    >>> from emodistill.decision_emodistill import neutral_wording

    >>> neutral_wording(["joy", "None"])
    ['joy', 'neutral']

    ```
    """
    place = neutral_place(names)
    return [NEUTRAL if index == place else name for index, name in enumerate(names)]


def absent_feeling(label):
    """
    The feeling that a label negates: an encoder does not read the negation, and scores it like the feeling.

    Args:
        label (`str`): A label, such as `not angry`, `no anger`, `without fear` or `stress-free`.

    Returns:
        `str` or `None`: The feeling (`angry`), where the label says that it is absent. A label negated twice names
        the feeling itself, so that it has none; neither have the names of `neutral`.

    Example:

    ```python
    >>> from emodistill.labels_emodistill import absent_feeling

    >>> [absent_feeling(label) for label in ("not angry", "stress-free", "No_Anger", "carefree", "no emotion")]
    ['angry', 'stress', 'Anger', None, None]

    ```
    """
    if neutral_place([label]) is not None or NOT_ABSENT.fullmatch(label.strip()):
        return None
    found = ABSENT.fullmatch(label.strip())
    feeling = (found.group(1) or found.group(2)).strip() if found else None
    if not feeling or (found.group(1) and absent_feeling(feeling)):
        return None
    return feeling


@dataclass(frozen=True)
class LabelSet:
    """
    Labels as a user names them and the wordings that are embedded for them.

    Args:
        names (`tuple[str, ...]`): What the output shows.
        wordings (`tuple[tuple[str, ...], ...]`): For each label one wording or several, averaged.
        absent (`tuple[str | None, ...]`): For each label the feeling whose absence it names, see [`absent_feeling`];
            empty where there is no such label. A label with a description of its own has none.
        negations (`tuple[str, ...]`): Descriptions that negate a feeling, which the model does not read.
    """

    names: tuple
    wordings: tuple
    absent: tuple = ()
    negations: tuple = ()

    @classmethod
    def parse(cls, labels, template=None, argument="labels"):
        """
        Read a list (also one written as text), a comma-separated string, or `{label: description or synonyms}`.

        Args:
            labels (`list[str]`, `str` or `dict`): The labels. After the last comma of a string there is no label.
            template (`str`, *optional*): A sentence with `{}` for each wording.
            argument (`str`, *optional*): The argument's name, for errors.

        Raises:
            `ValueError`: naming what is wrong: no label, an empty one, two that differ in capitals alone, one that is
            no string, a set for each text.

        Example:

        ```python
        >>> from emodistill.labels_emodistill import LabelSet

        >>> LabelSet.parse("joy, anger").names
        ('joy', 'anger')
        >>> LabelSet.parse({"joy": ["happiness", "delight"]}, template="full of {}").wordings
        (('full of happiness', 'full of delight'),)

        ```
        """
        if isinstance(labels, LabelSet):
            return labels
        if isinstance(labels, str | list | tuple) and all(type(label) is str for label in labels):
            # The same set comes with every call: reading it again would cost a short text a part of its time.
            return _parse_known(labels if isinstance(labels, str) else tuple(labels), template, argument)
        return cls._parse(labels, template, argument)

    @classmethod
    def _parse(cls, labels, template, argument):
        if isinstance(labels, str):
            labels = _written_list(labels) or labels.split(",")
            if not any(part.strip() for part in labels):
                labels = []
            elif not labels[-1].strip():
                labels.pop()
        if isinstance(labels, collections.abc.Mapping):
            pairs = [(name, [text] if isinstance(text, str) else text) for name, text in labels.items()]
        elif isinstance(labels, collections.abc.Iterable) and not isinstance(labels, bytes):
            pairs = [(name, None) for name in labels]
        else:
            raise ValueError(f"{argument} must be a list, a comma-separated string or a dict, not {labels!r}")
        if not pairs:
            raise ValueError(f"{argument} is empty: give at least one emotion label")
        names = tuple(_clean_label(name, argument) for name, _ in pairs)
        _refuse_duplicates(names, argument)
        wordings, absent, negations = [], [], []
        for name, plain, (_, texts) in zip(names, neutral_wording(names), pairs, strict=True):
            if texts is not None and (not isinstance(texts, collections.abc.Sequence) or not texts):
                raise ValueError(f"{argument}[{name!r}] must be a description or a list of synonyms, not {texts!r}")
            absent.append(absent_feeling(name) if texts is None else None)
            texts = [plain] if texts is None else [_clean_label(text, f"{argument}[{name!r}]") for text in texts]
            if absent[-1] is None:
                negations.extend(text for text in texts if absent_feeling(text))
            wordings.append(tuple(_fill(template, text) for text in texts))
        return cls(names, tuple(wordings), tuple(absent) if any(absent) else (), tuple(negations))

    def check_choice(self, argument="labels"):
        """
        Refuse a set out of which there is nothing to choose.

        Args:
            argument (`str`, *optional*): The argument's name, for errors.

        Raises:
            `ValueError`: for a single label.
        """
        if len(self.names) == 1:
            raise ValueError(
                f"{argument} holds one label, {self.names[0]!r}, which would score 1.0 for any text: give "
                "multi_label=True to decide it by itself, or more labels to choose from"
            )

    def filled(self, template):
        """The set with a template around its wordings, for one that was parsed without."""
        if template is None:
            return self
        wordings = tuple(tuple(_fill(template, text) for text in texts) for texts in self.wordings)
        return LabelSet(self.names, wordings, self.absent, self.negations)

    def misread(self, multi_label):
        """Wordings that negate a feeling and are scored like it: descriptions, and without `multi_label` names too."""
        names = zip(self.names, self.absent, strict=True) if self.absent and not multi_label else ()
        return [*self.negations, *(name for name, feeling in names if feeling is not None)]

    def complemented(self, template=None):
        """
        The feelings to score so that a label which names the absence of one has the rest of its score.

        Args:
            template (`str`, *optional*): That of the set.

        Returns:
            `tuple(LabelSet, list[int])`: The feelings, each once, and for each label of this set its place among them.

        Example:

        ```python
        >>> from emodistill.labels_emodistill import LabelSet

        >>> feelings, places = LabelSet.parse("joy, not angry, not joy").complemented()
        >>> feelings.names, places
        (('joy', 'angry'), [0, 1, 0])

        ```
        """
        if not self.absent:
            return self, list(range(len(self.names)))
        kept = [index for index, feeling in enumerate(self.absent) if feeling is None]
        names, wordings = [self.names[index] for index in kept], [self.wordings[index] for index in kept]
        for feeling in self.absent:
            if feeling is not None and _same(feeling) not in map(_same, names):
                names.append(feeling)
                wordings.append((_fill(template, neutral_wording(names)[-1]),))
        known = [_same(name) for name in names]
        asked = [feeling or name for feeling, name in zip(self.absent, self.names, strict=True)]
        return LabelSet(tuple(names), tuple(wordings)), [known.index(_same(name)) for name in asked]


@functools.lru_cache(maxsize=256)
def _parse_known(labels, template, argument):
    return LabelSet._parse(labels, template, argument)


def _same(name):
    """Equal for names that differ in capitals, spaces, underscores, hyphens, forms of a character or unseen ones."""
    return re.sub(r"[\s_-]+", " ", UNSEEN.sub("", unicodedata.normalize("NFKC", name))).strip().casefold()


def _written_list(text):
    """The labels of a list written as JSON or Python has it, `["joy", "fear"]`; `None` for other text."""
    text = text.strip()
    if not (text.startswith("[") and text.endswith("]")):
        return None
    try:
        found = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return None
    return found if found and all(isinstance(label, str) for label in found) else None


def _refuse_duplicates(names, argument):
    seen = {}
    for place, name in enumerate(names):
        first = seen.setdefault(_same(name), place)
        if first != place:
            other = names[first]
            how = f"{name!r} more than once" if other == name else f"{other!r} and {name!r}, which are the same label"
            raise ValueError(f"{argument} holds {how}")


def _clean_label(label, argument):
    if isinstance(label, list | tuple | set | collections.abc.Mapping):
        raise ValueError(
            f"{argument} must be one set for all texts, not a set for each: give rows "
            '{"text": ..., "labels": [...]} for that'
        )
    if not isinstance(label, str):
        raise ValueError(f"{argument} must hold strings, not {label!r}")
    label = without_surrogates(label)
    if is_blank(label):
        raise ValueError(f"{argument} holds an empty label")
    return label.strip()


def _fill(template, label):
    return label if template is None else template.replace("{}", label)  # other braces are the user's own
