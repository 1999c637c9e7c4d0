"""Made-up texts and labels for clocks, to which words do not matter; their number and lengths do."""

import random

__all__ = ["FEELINGS", "many_labels", "stream_of_forums", "texts_of_forums", "texts_of_length"]

WORDS = (
    "the", "my", "we", "so", "never", "again", "today", "why", "happy", "angry", "train", "dog", "friend", "work",
    "really", "think", "about", "time", "just", "lost",
)  # fmt: skip
FEELINGS = (
    "admiration", "amusement", "anger", "annoyance", "approval", "caring", "confusion", "curiosity", "desire",
    "disappointment", "disapproval", "disgust", "embarrassment", "excitement", "fear", "gratitude", "grief", "joy",
    "love", "nervousness", "optimism", "pride", "realization", "relief", "remorse", "sadness", "surprise", "neutral",
)  # fmt: skip


def texts_of_forums(number, seed=0):
    """
    Texts of the lengths of forum comments: log-normal with a median of 14 words, up to 90; each another one.

    Args:
        number (`int`): How many.
        seed (`int`, *optional*): The same seed gives the same texts.

    Returns:
        `list[str]`

    Example:

    ```python
    >>> from emodistill.benchmarks.speed.texts import texts_of_forums

    >>> len(set(texts_of_forums(100)))
    100

    ```
    """
    return list(stream_of_forums(number, seed))


def stream_of_forums(number, seed=0):
    """The same, one by one."""
    draw = random.Random(seed)
    for place in range(number):
        words = draw.choices(WORDS, k=max(2, min(90, round(draw.lognormvariate(2.65, 0.6)))))
        yield " ".join([*words, str(place)])


def texts_of_length(number, words, seed=0):
    """
    Texts of so many words.

    Args:
        number (`int`): How many.
        words (`int`): Words of each.
        seed (`int`, *optional*): The same seed gives the same texts.

    Returns:
        `list[str]`
    """
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=words)) for _ in range(number)]


def many_labels(number):
    """So many labels: the 28 of GoEmotions first, then made-up ones; two are an emotion and `neutral`."""
    if number == 2:
        return ["joy", "neutral"]
    return [*FEELINGS[:number], *(f"feeling {place}" for place in range(len(FEELINGS), number))]
