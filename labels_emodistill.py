"""Label sets: what users name, and the wordings that are embedded for it. Standard library only."""

import re

__all__ = ["NEUTRAL", "NEUTRAL_NAMES", "neutral_place", "neutral_wording"]

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
