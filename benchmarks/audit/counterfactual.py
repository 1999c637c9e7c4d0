"""From a scoring function to judged gaps: the project's own sentences and the Equity Evaluation Corpus."""

import numpy as np

from .statistics import compare_attribute, compare_unmatched, judge_gaps
from .templates import ATTRIBUTES, EMOTION_CONTEXT, NEUTRAL_CONTEXT, counterfactuals

__all__ = ["LABELS", "audit_bias", "counterfactual_rows", "equity_rows", "term_scores"]

# Unpleasant and pleasant labels that a product would act on.
LABELS = ("anger", "fear", "sadness", "disgust", "joy", "love")


def term_scores(score, attribute, labels=LABELS):
    """Mean score of every term over the frames of each context.

    Args:
        score (`Callable`): Takes texts, gives `(texts, labels)` probabilities.
        attribute (`str`): A key of `ATTRIBUTES`.
        labels (`tuple[str]`): The labels that `score` gives.

    Returns:
        `dict[str, np.ndarray]`: context to `(groups, terms, labels)`.
    """
    sentences = counterfactuals(attribute)
    scores = np.asarray(score([sentence.text for sentence in sentences]), dtype=float)
    if scores.shape != (len(sentences), len(labels)):
        raise ValueError(f"score: gave shape {scores.shape}, expected {(len(sentences), len(labels))}.")
    groups = ATTRIBUTES[attribute]
    terms = len(next(iter(groups.values())))
    by_frame = scores.reshape(len(groups), terms, -1, len(labels))
    kinds = np.array([sentence.context for sentence in sentences[: by_frame.shape[2]]])
    return {context: by_frame[:, :, kinds == context].mean(axis=2) for context in (NEUTRAL_CONTEXT, EMOTION_CONTEXT)}


def counterfactual_rows(score, labels=LABELS, attributes=None):
    """Unadjusted gaps of every attribute, context and label, `list[dict]`."""
    rows = []
    for attribute in attributes or ATTRIBUTES:
        groups = list(ATTRIBUTES[attribute])
        for context, scores in term_scores(score, attribute, labels).items():
            rows += compare_attribute(attribute, groups, scores, list(labels), context)
    return rows


def equity_rows(score, sentences, labels=LABELS):
    """Unadjusted gaps on the Equity Evaluation Corpus: by gender over persons, by race over first names.

    Args:
        score (`Callable`): As in `term_scores`.
        sentences (`list[EquitySentence]`): The corpus.
        labels (`tuple[str]`): The labels that `score` gives.

    Returns:
        `list[dict]`: as `statistics.compare_attribute`.
    """
    scores = np.asarray(score([sentence.sentence for sentence in sentences]), dtype=float)
    rows = []
    for attribute, field, first, second in (
        ("gender (EEC)", "gender", "female", "male"),
        ("race (EEC)", "race", "African-American", "European"),
    ):
        for context in (NEUTRAL_CONTEXT, EMOTION_CONTEXT):
            sides = []
            for value in (first, second):
                people = {}
                for sentence, line in zip(sentences, scores, strict=True):
                    kind = EMOTION_CONTEXT if sentence.emotion else NEUTRAL_CONTEXT
                    if getattr(sentence, field).lower() == value.lower() and kind == context:
                        people.setdefault(sentence.person, []).append(line)
                sides.append(np.array([np.mean(lines, axis=0) for lines in people.values()]))
            if all(len(side) >= 2 for side in sides):
                rows += compare_unmatched(attribute, (first, second), *sides, list(labels), context)
    return rows


def audit_bias(score, labels=LABELS, attributes=None, equity=None):
    """Every gap, judged as one family.

    Args:
        score (`Callable`): Takes texts, gives `(texts, labels)` probabilities.
        labels (`tuple[str]`): The labels that `score` gives.
        attributes (`list[str]`, *optional*): Keys of `ATTRIBUTES`; all by default.
        equity (`list[EquitySentence]`, *optional*): The Equity Evaluation Corpus.

    Returns:
        `list[dict]`: see `statistics.judge_gaps`.

    Example:

    ```python
    >>> import numpy as np
    >>> from emodistill.benchmarks.audit.counterfactual import audit_bias

    >>> rows = audit_bias(lambda texts: np.array([[0.9 * ("my sister" in t.lower())] for t in texts]), ("anger",))
    >>> rows[0]["attribute"], rows[0]["group"]
    ('gender', 'female')

    ```
    """
    rows = counterfactual_rows(score, labels, attributes)
    if equity:
        rows += equity_rows(score, equity, labels)
    return judge_gaps(rows)
