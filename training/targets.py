"""How descriptors become targets: the lexicon and the weights of a text's labels."""

from dataclasses import dataclass

from ..descriptors.lexicon import load_lexicon
from ..modeling_emodistill import DIMENSION_HALF_RANGE, DIMENSION_MIDDLE

__all__ = ["Lexicon", "felt_rating", "mean_rating", "peoples_texts", "weigh_labels"]

COMPOSED = ("written", "contrast")  # sources: the teacher's own texts say nothing of how common an emotion is
# Added to a rating's arousal for each point that its valence lies off the middle
FELT_AROUSAL = 0.5


@dataclass
class Lexicon:
    """
    What is known of each descriptor: its ratings and the plain words it implies.

    Args:
        ratings (`dict[str, tuple[float, float, float]]`): Valence, arousal and dominance, 1 to 9.
        implies (`dict[str, list[str]]`): Plain words a careful reader would also accept, most fitting first.
        held_out (`set[str]`): Descriptors kept out of training, for validation.
    """

    ratings: dict
    implies: dict
    held_out: set

    @classmethod
    def load(cls, path, name=None):
        """Read a lexicon: a TSV file, or a data set with the columns of `data/descriptors`' `lexicon`."""
        lexicon = cls({}, {}, set())
        if path is None:
            return lexicon
        entries, lexicon.held_out = load_lexicon(path, name or "lexicon")
        for descriptor, entry in entries.items():
            lexicon.ratings[descriptor] = tuple(entry[key] for key in ("valence", "arousal", "dominance"))
            lexicon.implies[descriptor] = entry["implies"]
        return lexicon


def weigh_labels(
    labels,
    lexicon,
    implied_weight=0.35,
    implied_decay=0.7,
    closed=(),
    plain=(),
    rated_weight=0.35,
    salience_decay=1.0,
):
    """
    Soft targets of one text.

    Descriptors and labels chosen from a closed list get 1. A plain word that a descriptor implies gets
    `implied_weight * implied_decay ** rank`, rank being its place in the lexicon's list, and the most it gets from
    any descriptor: implied words help some labels and blur others (amusement implies joy, also where it mocks),
    so they count less than what the teacher wrote. Both may count less the less salient the descriptor.

    Args:
        labels (`list[str]`): The teacher's descriptors, most salient first.
        lexicon ([`Lexicon`]): Gives the implied words.
        implied_weight (`float`): Weight of the best implied word; 0 for none.
        implied_decay (`float`): Factor from one rank to the next.
        closed (`list[str]`, *optional*): Labels from a closed list.
        plain (`list[str]`, *optional*): Plain words that the teacher accepts for this very text, also mildly.
        rated_weight (`float`): Weight of those, where a descriptor or an implied word does not give them more.
        salience_decay (`float`): Factor from one descriptor, and what it implies, to the next.

    Returns:
        `dict[str, float]`: weight of each positive label.

    Example:

    ```python
    >>> from emodistill.training.targets import Lexicon, weigh_labels

    >>> lexicon = Lexicon({}, {"glee": ["joy", "delight"]}, set())
    >>> weigh_labels(["glee"], lexicon, implied_weight=0.5, implied_decay=0.5)
    {'glee': 1.0, 'joy': 0.5, 'delight': 0.25}

    ```
    """
    salience = {label: salience_decay**place for place, label in enumerate(dict.fromkeys(labels))}
    implied = {}
    if implied_weight > 0:
        for label, share in salience.items():
            for rank, word in enumerate(lexicon.implies.get(label, ())):
                weight = share * implied_weight * implied_decay**rank
                implied[word] = max(implied.get(word, 0.0), weight)
    weights = {}
    read = dict.fromkeys(plain, rated_weight) if rated_weight > 0 else {}
    for view in (read, salience, dict.fromkeys(closed, 1.0), implied):
        weights |= {label: max(weights.get(label, 0.0), weight) for label, weight in view.items()}
    return weights


def peoples_texts(sources):
    """
    Which texts people wrote: what a model composed says nothing of how common an emotion is.

    Args:
        sources (`list[str]`): Where each text comes from.

    Returns:
        `list[int]`: their places; all places where no text is by people.

    Example:

    ```python
    >>> from emodistill.training.targets import peoples_texts

    >>> peoples_texts(["reddit", "written", "films"]), peoples_texts(["written", "contrast"])
    ([0, 2], [0, 1])

    ```
    """
    return [place for place, source in enumerate(sources) if source not in COMPOSED] or list(range(len(sources)))


def felt_rating(rating, share=FELT_AROUSAL):
    """
    Valence, arousal and dominance as readers of a text rate them: strong valence, of either sign, arouses.

    People's arousal rises with the distance of valence from the middle, in ratings of words (Bradley and Lang 1999),
    of what they feel (Kuppens et al. 2013) and of texts (EmoBank). The teacher's ratings of words show little of it,
    and put contentment and sadness below a text without emotion.

    Args:
        rating (`tuple(float, float, float)`): Valence, arousal and dominance, 1 to 9.
        share (`float`, *optional*): Arousal for each point of valence away from the middle; 0 for none.

    Returns:
        `tuple(float, float, float)`: the rating with the arousal of both, 9 at the most.

    Example:

    ```python
    >>> from emodistill.training.targets import felt_rating

    >>> felt_rating((5.0, 4.0, 5.0), 0.5), felt_rating((8.0, 3.0, 6.5), 0.5), felt_rating((9.0, 9.0, 7.0), 0.5)
    ((5.0, 4.0, 5.0), (8.0, 4.5, 6.5), (9.0, 9.0, 7.0))

    ```
    """
    valence, arousal, dominance = rating
    felt = arousal + share * abs(valence - DIMENSION_MIDDLE)
    # Cut at 9 and not scaled back to it: that would lower all arousal, and people's is above the words' (EmoBank).
    return valence, min(felt, DIMENSION_MIDDLE + DIMENSION_HALF_RANGE), dominance


def mean_rating(labels, ratings):
    """Mean valence, arousal and dominance of the labels that have ratings; `nan` where none has."""
    known = [ratings[label] for label in labels if label in ratings]
    if not known:
        return (float("nan"),) * 3
    return tuple(sum(values) / len(known) for values in zip(*known, strict=True))
