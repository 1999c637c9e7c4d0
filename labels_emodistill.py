"""Label sets: what users name, and the wordings that are embedded for it. Standard library only."""

import collections.abc
import functools
import re
import unicodedata
from dataclasses import dataclass

from .inputs_emodistill import is_blank, is_table, sequence_of, without_surrogates

__all__ = ["NEUTRAL", "NEUTRAL_NAMES", "LabelSet", "absent_feeling", "neutral_place", "neutral_wording"]

# The label that says that a text expresses none of the others, and what else label sets call it. An encoder does not
# read a negation: "no emotion" lies nearer to emotional texts than to others. So these are embedded as NEUTRAL.
NEUTRAL = "neutral"
NEUTRAL_NAMES = (NEUTRAL, "no emotion", "no emotions", "none")

# Characters that nobody sees: of no width, marks of writing direction, what chooses a variant of a character, tags.
UNSEEN = re.compile(
    "[\x00-\x08\x0e-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200c\u200e\u200f"
    "\u202a-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e0fff]"
)
JOINER = re.compile(r"(?<![^\w\s])\u200d|\u200d(?![^\w\s])")  # one that makes no emoji of two
STRING = re.compile(r"""\s*(["'])((?:(?!\1)[^\\]|\\.)*)\1\s*,?""", re.DOTALL)  # in a list, with what follows
# In such a string, as JSON and Python write it.
ESCAPE = re.compile(r"\\(x[\da-fA-F]{2}|u[\da-fA-F]{4}|U00(?:0[\da-fA-F]|10)[\da-fA-F]{4}|[\\/\"'abfnrtv])")
ESCAPED = dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True))
# How a label says that a feeling is absent, and what only looks like it.
ABSENT = re.compile(
    r"(?:(?:(?:is|are|am|was|were|be|being|do|does|did|feels?|feeling)[\s_-]+)?(?:not|never)|(?:is|are|was|were)n't"
    r"|(?:do|does|did)n't[\s_-]+feel|no|non|zero|without|lacks|lack of|lacking|absence of|absent|devoid of|free of"
    r"|free from)[\s_-]+(?:(?:an?|any|at all|be|being|feel|feeling)[\s_-]+(?!of\b))*(.+)"
    r"|(?:un-|[!\u00ac~]\s*)(.+)|(.+?)[\s_-]+free",
    re.IGNORECASE,
)
NOT_ABSENT = re.compile(
    r"(?:no|non)[\s_-]+(?:longer|one|way|matter|doubt|problem|worries|nonsense)\b.*|not[\s_-]+(?:only|just)\b.*"
    r"|never[\s_-]+(?:mind|again|ending|enough|more|forget|give|giving|say)\b.*"
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
    plain = [_same(name) for name in names]
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
        label (`str`): A label, such as `not angry`, `isn't sad`, `never happy`, `without fear` or `stress-free`.

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
    label = _seen(label).replace("\u2019", "'").strip()
    if neutral_place([label]) is not None or NOT_ABSENT.fullmatch(label):
        return None
    found = ABSENT.fullmatch(label)
    feeling = next(filter(None, found.groups())).strip() if found else None
    if not feeling or (not found.group(3) and absent_feeling(feeling)):
        return None
    return feeling


def _seen(label):
    """What is seen of a label: one form for the ways to write a character, and nothing that has no look."""
    return JOINER.sub("", UNSEEN.sub("", unicodedata.normalize("NFKC", label)))


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
        template (`str`, *optional*): The sentence that stands around the wordings.
    """

    names: tuple
    wordings: tuple
    absent: tuple = ()
    negations: tuple = ()
    template: str | None = None

    @classmethod
    def parse(cls, labels, template=None, argument="labels"):
        """
        Read a list (also one written as text), a comma-separated string, or `{label: description or synonyms}`; a
        label bank among the latter knows which of its labels were plain ones that name the absence of a feeling.

        Args:
            labels (`list[str]`, `str` or `dict`): The labels. In a string, semicolons, bars and lines separate them as
                commas do; after the last one there is no label. A set is sorted.
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
        if hasattr(labels, "ndim") and labels.ndim == 0:
            labels = labels.tolist()
        absences, around = (labels.absent, labels.template) if hasattr(labels, "give_to") else ({}, None)  # of a bank
        if isinstance(labels, collections.abc.Mapping):
            pairs = [(name, [text] if isinstance(text, str) else text) for name, text in labels.items()]
        else:
            labels = _written(labels) if isinstance(labels, str) else _listed(labels, argument)
            pairs = [(name, None) for name in labels]
        if not pairs:
            raise ValueError(f"{argument} is empty: give at least one emotion label")
        names = tuple(_clean_label(name, argument) for name, _ in pairs)
        _refuse_duplicates(names, argument)
        wordings, absent, negations = [], [], []
        for name, plain, (_, texts) in zip(names, neutral_wording(names), pairs, strict=True):
            if texts is not None and (not isinstance(texts, collections.abc.Sequence) or not texts):
                raise ValueError(f"{argument}[{name!r}] must be a description or a list of synonyms, not {texts!r}")
            absent.append(absent_feeling(name) if texts is None else absences.get(name))
            texts = [plain] if texts is None else [_clean_label(text, f"{argument}[{name!r}]") for text in texts]
            if absent[-1] is None:
                negations.extend(text for text in texts if absent_feeling(text))
            texts = [unicodedata.normalize("NFKC", text) for text in texts]  # full-width letters are letters
            wordings.append(tuple(_fill(template, text) for text in texts))
        around = template if around is None else _fill(template, around)
        return cls(names, tuple(wordings), tuple(absent) if any(absent) else (), tuple(negations), around)

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
        around = template if self.template is None else _fill(template, self.template)
        return LabelSet(self.names, wordings, self.absent, self.negations, around)

    def misread(self, multi_label):
        """Wordings that negate a feeling and are scored like it: descriptions, and without `multi_label` names too."""
        names = zip(self.names, self.absent, strict=True) if self.absent and not multi_label else ()
        return [*self.negations, *(name for name, feeling in names if feeling is not None)]

    def complemented(self):
        """
        The feelings to score so that a label which names the absence of one has the rest of its score.

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
                wordings.append((_fill(self.template, neutral_wording(names)[-1]),))
        known = [_same(name) for name in names]
        asked = [feeling or name for feeling, name in zip(self.absent, self.names, strict=True)]
        return LabelSet(tuple(names), tuple(wordings)), [known.index(_same(name)) for name in asked]


@functools.lru_cache(maxsize=256)
def _parse_known(labels, template, argument):
    return LabelSet._parse(labels, template, argument)


def _same(name):
    """Equal for names that differ in capitals, spaces, underscores, hyphens, forms of a character or unseen ones."""
    return re.sub(r"[\s_-]+", " ", _seen(name)).strip().casefold()


def _written(text):
    """The labels that one string names: a list as JSON, Python or NumPy write it, or labels between separators."""
    text = text.strip()
    if text.startswith("[") and text.endswith("]"):
        inner, found, at = text[1:-1], [], 0
        while match := STRING.match(inner, at):
            found.append(ESCAPE.sub(_unescaped, match[2]))
            at = match.end()
        if found and not inner[at:].strip():
            return found
    labels = re.split(r"[,;|\n]", text)
    if not any(part.strip() for part in labels):
        return []
    return labels if labels[-1].strip() else labels[:-1]


def _unescaped(escape):
    """The character that an escape of JSON or Python stands for."""
    named = escape[1]
    return chr(int(named[1:], 16)) if len(named) > 1 else ESCAPED.get(named, named)


def _listed(labels, argument):
    """What holds labels, as a list; `ValueError` for what does not."""
    if is_table(labels):
        kind = type(labels).__name__
        raise ValueError(f'{argument} is {kind}; name its column of labels, for instance table["label"]')
    if isinstance(labels, collections.abc.Set) and not isinstance(labels, collections.abc.KeysView):
        return sorted(labels, key=str)  # sets come in another order each time
    labels = sequence_of(labels)
    if not isinstance(labels, collections.abc.Iterable) or isinstance(labels, bytes | bytearray):
        raise ValueError(f"{argument} must be a list, a comma-separated string or a dict, not {labels!r}")
    return labels


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
