"""Label sets: what users name, and the wordings that are embedded for it. Standard library only."""

import collections.abc
import re
from collections import Counter
from dataclasses import dataclass

__all__ = ["NEUTRAL", "NEUTRAL_NAMES", "LabelSet", "neutral_place", "neutral_wording"]

# The label that says that a text expresses none of the others, and what else label sets call it. An encoder does not
# read a negation: "no emotion" lies nearer to emotional texts than to others. So these are embedded as NEUTRAL.
NEUTRAL = "neutral"
NEUTRAL_NAMES = (NEUTRAL, "no emotion", "no emotions", "none")


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


@dataclass(frozen=True)
class LabelSet:
    """
    Labels as a user names them and the wordings that are embedded for them.

    Args:
        names (`tuple[str, ...]`): What the output shows.
        wordings (`tuple[tuple[str, ...], ...]`): For each label one wording or several, averaged.
    """

    names: tuple
    wordings: tuple

    @classmethod
    def parse(cls, labels, template=None, argument="labels"):
        """
        Read a list, a comma-separated string, or `{label: description or list of synonyms}`.

        Args:
            labels (`list[str]`, `str` or `dict`): The labels.
            template (`str`, *optional*): A sentence with `{}` for each wording.
            argument (`str`, *optional*): The argument's name, for errors.

        Raises:
            `ValueError`: naming what is wrong: no label, an empty one, a duplicate, one that is no string, a set
            for each text, a template without `{}`.

        Example:

        ```python
        >>> from emodistill.labels_emodistill import LabelSet

        >>> LabelSet.parse("joy, anger").names
        ('joy', 'anger')
        >>> LabelSet.parse({"joy": ["happiness", "delight"]}, template="full of {}").wordings
        (('full of happiness', 'full of delight'),)

        ```
        """
        if isinstance(labels, str):
            labels = [part.strip() for part in labels.split(",")]
            if labels == [""]:
                labels = []
        if isinstance(labels, collections.abc.Mapping):
            pairs = [(name, [text] if isinstance(text, str) else text) for name, text in labels.items()]
        elif isinstance(labels, collections.abc.Iterable):
            pairs = [(name, None) for name in labels]
        else:
            raise ValueError(f"{argument} must be a list, a comma-separated string or a dict, not {labels!r}")
        if not pairs:
            raise ValueError(f"{argument} is empty: give at least one emotion label")
        names = tuple(_clean_label(name, argument) for name, _ in pairs)
        if duplicates := sorted({name for name, times in Counter(names).items() if times > 1}):
            raise ValueError(f"{argument} holds {', '.join(map(repr, duplicates))} more than once")
        wordings = []
        for name, plain, (_, texts) in zip(names, neutral_wording(names), pairs, strict=True):
            if texts is not None and (not isinstance(texts, collections.abc.Sequence) or not texts):
                raise ValueError(f"{argument}[{name!r}] must be a description or a list of synonyms, not {texts!r}")
            texts = (plain,) if texts is None else texts
            wordings.append(tuple(_fill(template, _clean_label(text, f"{argument}[{name!r}]")) for text in texts))
        return cls(names, tuple(wordings))


def _clean_label(label, argument):
    if isinstance(label, list | tuple | set):
        raise ValueError(f"{argument} must be one set for all texts, not a set for each: call once per label set")
    if not isinstance(label, str):
        raise ValueError(f"{argument} must hold strings, not {label!r}")
    if not label.strip():
        raise ValueError(f"{argument} holds an empty label")
    return label.strip()


def _fill(template, label):
    return label if template is None else template.replace("{}", label)  # other braces are the user's own
