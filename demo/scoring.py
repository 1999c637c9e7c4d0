"""Label sets, limits and the call of the pipeline behind the page."""

import contextlib
import os
import re
import threading
from collections import Counter

from ..descriptors.labels import readable

__all__ = [
    "DEFAULT_THRESHOLDS",
    "PRESETS",
    "Mistake",
    "Models",
    "check_threshold",
    "dimension_names",
    "explain_text",
    "load_classifier",
    "parse_labels",
    "published_models",
    "score_text",
    "telling_visitors",
]

PUBLISHED = "emodistill/emodistill-minilm-l6"  # where a Space without the package finds the default checkpoint
TASK = "zero-shot-emotion"

PRESETS = {
    "Ekman (6)": "anger, disgust, fear, joy, sadness, surprise",
    "Plutchik (8)": "anger, anticipation, disgust, fear, joy, sadness, surprise, trust",
    "GoEmotions (28)": (
        "admiration, amusement, anger, annoyance, approval, caring, confusion, curiosity, desire, disappointment, "
        "disapproval, disgust, embarrassment, excitement, fear, gratitude, grief, joy, love, nervousness, optimism, "
        "pride, realization, relief, remorse, sadness, surprise, neutral"
    ),
    "SemEval-2018 (11)": (
        "anger, anticipation, disgust, fear, joy, love, optimism, pessimism, sadness, surprise, trust"
    ),
    "SemEval-2025 (5)": "anger, fear, joy, sadness, surprise",
    "ISEAR (7)": "joy, fear, anger, sadness, disgust, shame, guilt",
}
# With one label the best one wins from 0 on; for several, 0.5 is the model's own decision.
DEFAULT_THRESHOLDS = {False: 0.0, True: 0.5}
MOST_LABELS = 200
LONGEST_LABEL = 200  # characters
LONGEST_TEXT = 10_000  # characters
MOST_WORDS = 120  # of a text whose words are marked: each is left out once


class Mistake(ValueError):
    """What a visitor can put right; the page shows the message."""


@contextlib.contextmanager
def telling_visitors():
    """What the pipeline refuses, labels that only it knows to be the same for instance, a visitor can put right."""
    try:
        yield
    except Mistake:
        raise
    except ValueError as error:
        said = str(error)
        raise Mistake(f"{said[:1].upper()}{said[1:]}.") from error


class Models:
    """
    The checkpoints that the page offers; the first is loaded at once, another when somebody chooses it.

    Args:
        places (`dict[str, str]`): Folders or Hub ids by the name that the page shows.

    Example:

    ```python
    >>> from emodistill.demo.scoring import Models

    >>> models = Models({"small": "small"})
    >>> models.names, models.get("small")("What a lovely day!", labels="joy, anger")["predicted"]
    (['small'], ['joy'])

    ```
    """

    def __init__(self, places):
        self._places, self._loaded, self._lock = dict(places), {}, threading.Lock()
        self.get(self.names[0])

    @property
    def names(self):
        """`list[str]`: what there is to choose from."""
        return list(self._places)

    def get(self, name=None):
        """
        The pipeline of a checkpoint.

        Args:
            name (`str`, *optional*): One of the names; the first by default.

        Returns:
            `transformers.Pipeline`

        Raises:
            [`Mistake`]: there is none of this name.
        """
        name = self.names[0] if name is None else name
        if name not in self._places:
            raise Mistake("Choose one of the models.")
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = load_classifier(self._places[name])
            return self._loaded[name]


def published_models():
    """What a Space offers: the checkpoints that `EMODISTILL_MODEL` names, separated by commas, or the default one."""
    names = [name.strip() for name in os.environ.get("EMODISTILL_MODEL", "").split(",")]
    names = [name for name in names if name] or [None]
    return {(name or PUBLISHED).rstrip("/").rpartition("/")[2]: name for name in names}


def load_classifier(model=None):
    """
    The pipeline, from the installed package or from a repository that carries its own code.

    Args:
        model (`str`, *optional*): Folder or Hub id; by default `EMODISTILL_MODEL`, else the installed package's
            default checkpoint, else the published one.

    Returns:
        `transformers.Pipeline`: the `zero-shot-emotion` pipeline.

    Raises:
        `OSError`: there is no such checkpoint.

    Example:

    ```python
    >>> from emodistill.demo.scoring import load_classifier

    >>> load_classifier()("What a lovely day!", labels="joy, anger")["predicted"]
    ['joy']

    ```
    """
    model = model or os.environ.get("EMODISTILL_MODEL") or None
    try:
        from emodistill.serving.load import load_quietly
    except ModuleNotFoundError as error:
        if error.name != "emodistill":
            raise
    else:
        return load_quietly(model)
    from transformers import pipeline
    from transformers.utils import logging

    logging.disable_progress_bar()
    return pipeline(TASK, model=model or PUBLISHED, trust_remote_code=True)


def parse_labels(text, multi_label=True):
    """
    The labels that a visitor typed, separated by commas, semicolons, bars or line ends.

    Args:
        text (`str`): What stands in the field; empty parts, as after a last comma, are left out.
        multi_label (`bool`, *optional*, defaults to `True`): Whether any number of them may hold; else there must be
            two to choose from.

    Returns:
        `list[str]`: the labels.

    Raises:
        [`Mistake`]: no label, one given twice (however capitalised), too many, too long.

    Example:

    ```python
    >>> from emodistill.demo.scoring import parse_labels

    >>> parse_labels("joy, moving on\\nanger,")
    ['joy', 'moving on', 'anger']

    ```
    """
    labels = [" ".join(part.split()) for part in re.split(r"[,;|\r\n]", readable(text or ""))]
    labels = [label for label in labels if label]
    if not labels:
        raise Mistake("There are no labels. Type some emotions, separated by commas, or choose a label set.")
    counts = Counter(label.casefold() for label in labels)
    twice = list(dict.fromkeys(label.casefold() for label in labels if counts[label.casefold()] > 1))
    if twice:
        raise Mistake(f"Given more than once: {', '.join(twice)}. Each label may stand only once.")
    if len(labels) == 1 and not multi_label:
        raise Mistake(
            f"{labels[0]} alone would fit any text. Type more labels to choose from, or let any number of them hold."
        )
    if len(labels) > MOST_LABELS:
        raise Mistake(f"These are {len(labels)} labels; the page takes {MOST_LABELS} at most.")
    if longest := [label for label in labels if len(label) > LONGEST_LABEL]:
        raise Mistake(f"A label has {len(longest[0])} characters; {LONGEST_LABEL} is the most: {longest[0][:40]}...")
    return labels


def check_threshold(value):
    """`value` as a number from 0 to 1; a number field may hold anything, or nothing."""
    try:
        threshold = float(value)
    except (TypeError, ValueError, OverflowError):
        threshold = -1.0
    if not 0.0 <= threshold <= 1.0:
        raise Mistake("The threshold must be a number from 0 to 1.")
    return threshold


def dimension_names(classify):
    """Names of the dimensions that the checkpoint has built in; perhaps none."""
    return list(getattr(classify, "model", classify).config.dimension_names)


def score_text(classify, text, labels, multi_label, threshold):
    """
    Score one text as the fields of the page say.

    Args:
        classify (`transformers.Pipeline`): The pipeline.
        text (`str`): The text.
        labels (`str`): The labels, as typed.
        multi_label (`bool`): Whether any number of labels may hold.
        threshold (`float`): The score from which a label is predicted.

    Returns:
        `dict`: the pipeline's output, with `dimensions` where the checkpoint has some.

    Raises:
        [`Mistake`]: an empty or too long text, labels or a threshold that do not fit.

    Example:

    ```python
    >>> from emodistill.demo.scoring import load_classifier, score_text

    >>> result = score_text(load_classifier(), "How dare you!", "joy, anger", False, 0.0)
    >>> result["predicted"], list(result["dimensions"])
    (['anger'], ['valence', 'arousal', 'dominance'])

    ```
    """
    if not (text or "").strip():
        raise Mistake("There is no text. Type a sentence or two in English.")
    if len(text) > LONGEST_TEXT:
        raise Mistake(f"The text has {len(text):,} characters; the page takes {LONGEST_TEXT:,} at most.")
    names, threshold = parse_labels(labels, multi_label), check_threshold(threshold)
    with telling_visitors():
        return classify(
            text,
            labels=names,
            multi_label=bool(multi_label),
            threshold=threshold,
            dimensions=dimension_names(classify) or None,
        )


def explain_text(classify, text, labels, multi_label, label=None):
    """
    Which words of a text tell for a label.

    Args:
        classify (`transformers.Pipeline`): The pipeline.
        text (`str`): The text.
        labels (`str`): The labels, as typed.
        multi_label (`bool`): Whether any number of labels may hold.
        label (`str`, *optional*): Which of them; the best by default.

    Returns:
        `serving.explain.Explanation` or `None`: nothing for a text too long to leave out each of its words.

    Raises:
        [`Mistake`]: an empty text, or labels that do not fit.

    Example:

    ```python
    >>> from emodistill.demo.scoring import explain_text, load_classifier

    >>> why = explain_text(load_classifier(), "I am furious about the train.", "joy, anger", False)
    >>> why.target, why.telling()[0].text
    ('anger', 'furious')

    ```
    """
    from ..serving.explain import explain

    names = parse_labels(labels, multi_label)
    if not (text or "").strip():
        raise Mistake("There is no text. Type a sentence or two in English.")
    if len(text.split()) > MOST_WORDS:
        return None
    with telling_visitors():
        return explain(classify, text, label, labels=names, multi_label=bool(multi_label), levels=("word",))
