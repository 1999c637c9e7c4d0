"""Your own labels with some dozen texts of your own: scores and label directions fitted, the encoder left as it is.

Two steps, each as far as the data allow: an offset and a slope a label, shrunk towards none; then a linear correction
of the labels' directions in the space of the text embeddings, by ridge regression from the zero-shot scores on. How
much of each is taken is decided by leave-one-out, so that little data change little, and none below the start.
"""

import json
import os
from dataclasses import dataclass

import numpy as np

from .corrections import (
    DIRECTION_RIDGES,
    clearly_better,
    fit_directions,
    fit_scores,
    inner_scores,
    moved_cuts,
    outer_scores,
    text_losses,
)
from .labelled import check_count, entries, positions, targets_of

__all__ = ["Adaptation", "adapt", "fit", "load_adaptation"]

FORMAT = "emodistill adaptation 1"


@dataclass(frozen=True)
class Adaptation:
    """
    What was learnt from labelled texts.

    Args:
        kind (`str`): `"multi_label"`, `"single_label"` or `"dimensions"`.
        names (`tuple[str, ...]`): The labels, or dimensions, in their order.
        slopes (`np.ndarray` of shape `(labels,)`): By which log-odds (or positions) are multiplied.
        offsets (`np.ndarray` of shape `(labels,)`): What is added then.
        directions (`np.ndarray` of shape `(labels, d)`): By which a text embedding less `centre` is multiplied, and
            the product added; zeros where the data did not allow any.
        centre (`np.ndarray` of shape `(d,)`): Mean embedding of the labelled texts.
        report (`dict`): Texts, strengths and leave-one-out losses before and after.
    """

    kind: str
    names: tuple
    slopes: np.ndarray
    offsets: np.ndarray
    directions: np.ndarray
    centre: np.ndarray
    report: dict

    def corrected(self, values, embeds):
        """
        Log-odds or positions of texts, corrected.

        Args:
            values (`np.ndarray` of shape `(texts, labels)`): Zero-shot log-odds, log-probabilities or positions.
            embeds (`np.ndarray` of shape `(texts, d)`): Text embeddings.

        Returns:
            `np.ndarray` of shape `(texts, labels)`
        """
        return values * self.slopes + self.offsets + (embeds - self.centre) @ self.directions.T

    def check(self, names, multi_label):
        """
        See that a call asks for what was adapted.

        Args:
            names (`Sequence[str]` or `None`): The labels of the call.
            multi_label (`bool`): Whether any number of them may hold.

        Raises:
            `ValueError`: for other labels, and for one label in place of several or the other way round.
        """
        if self.kind == "dimensions" or names is None:
            return
        if set(names) != set(self.names):
            raise ValueError(
                f"adaptation was made for the labels {', '.join(self.names)}, and not for {', '.join(names)}"
            )
        if bool(multi_label) != (self.kind == "multi_label"):
            raise ValueError(f"adaptation was made with multi_label={self.kind == 'multi_label'}: call with the same")

    def scores(self, scores, embeds, names=None):
        """
        Scores of texts in place of the zero-shot ones.

        Args:
            scores (`np.ndarray` of shape `(texts, labels)`): Zero-shot scores, between 0 and 1.
            embeds (`np.ndarray` of shape `(texts, d)`): Text embeddings.
            names (`Sequence[str]`, *optional*): The labels of the columns; the adaptation's own by default.

        Returns:
            `np.ndarray` of shape `(texts, labels)`: between 0 and 1; rows add up to 1 for single labels.
        """
        if self.kind == "dimensions":
            return scores
        names = list(self.names if names is None else names)
        places = [names.index(name) for name in self.names]
        values = self.corrected(inner_scores(scores, self.kind)[:, places], embeds)
        back = [self.names.index(name) for name in names]
        return outer_scores(values, self.kind)[:, back].astype(np.float32)

    def positions(self, values, embeds=None):
        """
        Positions on dimensions in place of the zero-shot ones.

        Args:
            values (`dict[str, list[float]]`): Zero-shot positions of texts, by dimension.
            embeds (`np.ndarray` of shape `(texts, d)`, *optional*): Text embeddings; those of an average text by
                default.

        Returns:
            `dict[str, list[float]]`: with those of the adapted dimensions replaced.
        """
        known = [place for place, name in enumerate(self.names) if self.kind == "dimensions" and name in values]
        corrected = dict(values)
        for place in known:
            own = np.asarray(values[self.names[place]]) * self.slopes[place] + self.offsets[place]
            if embeds is not None:
                own = own + (embeds - self.centre) @ self.directions[place]
            corrected[self.names[place]] = own.tolist()
        return corrected

    def save(self, path):
        """
        Write the adaptation, by custom `NAME.json` beside the checkpoint.

        Args:
            path (`str` or `Path`): A file.
        """
        from ..files import write_json

        arrays = {name: getattr(self, name) for name in ("slopes", "offsets", "directions", "centre")}
        arrays = {name: np.round(np.asarray(value, dtype=np.float64), 7).tolist() for name, value in arrays.items()}
        content = {"format": FORMAT, "kind": self.kind, "names": list(self.names), **arrays, "report": self.report}
        if not np.any(self.directions):
            content["directions"] = None
        write_json(path, content, indent=None)

    @classmethod
    def load(cls, path):
        """
        Read what [`Adaptation.save`] wrote.

        Args:
            path (`str` or `Path`): The file.

        Returns:
            [`Adaptation`]

        Raises:
            `ValueError`: if the file is no adaptation.
        """
        try:
            with open(path, encoding="utf-8") as file:
                content = json.load(file)
            if content.pop("format") != FORMAT:
                raise ValueError("it is of another format")
            arrays = {name: np.array(content[name], dtype=np.float32) for name in ("slopes", "offsets", "centre")}
            shape = len(content["names"]), len(arrays["centre"])
            directions = content["directions"]
            directions = np.zeros(shape) if directions is None else directions
            arrays["directions"] = np.array(directions, dtype=np.float32).reshape(shape)
            adaptation = cls(kind=content["kind"], names=tuple(content["names"]), report=content["report"], **arrays)
            adaptation._check_whole()
            return adaptation
        except (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
            raise ValueError(f"{path} is no adaptation that emodistill adapt wrote: {error}") from None

    def _check_whole(self):
        """Raise `ValueError` for what a damaged file holds: it would give scores that are no numbers."""
        if self.kind not in DIRECTION_RIDGES:
            raise ValueError(f"its kind is {self.kind!r}")
        if not self.names or not all(isinstance(name, str) for name in self.names):
            raise ValueError("its names are no names")
        if len(set(self.names)) < len(self.names):
            raise ValueError("a name stands there twice")
        if {self.slopes.shape, self.offsets.shape} != {(len(self.names),)} or self.centre.ndim != 1:
            raise ValueError("it has not one slope and one offset for each name")
        if not all(np.isfinite(array).all() for array in (self.slopes, self.offsets, self.directions, self.centre)):
            raise ValueError("it holds values that are no numbers (NaN or inf)")

    def __repr__(self):
        return f"Adaptation({self.kind}, {', '.join(self.names)}: {self.report})"


def load_adaptation(value):
    """An [`Adaptation`], from itself or from its file."""
    if isinstance(value, Adaptation):
        return value
    if not isinstance(value, str | os.PathLike):
        raise ValueError(f"adaptation must be what emodistill.adapt gives, or its file, not {value!r}")
    return Adaptation.load(value)


def with_adaptation(options, adaptation):
    """
    Options of a call, with the labels and dimensions of an adaptation where the call names none.

    Args:
        options (`dict`): As the pipeline keeps them.
        adaptation ([`Adaptation`], `str` or `Path`): The adaptation or its file.

    Returns:
        `dict`
    """
    adaptation = load_adaptation(adaptation)
    defaults = adaptation.report.get("options", {})
    if "labels" in options:
        defaults = {name: value for name, value in defaults.items() if name == "multi_label"}
    return {**defaults, **options, "adaptation": adaptation}


# ---- fitting


def adapt(classify, texts, labels, names=None, multi_label=None, dimensions=False, batch_size=32):
    """
    Fit scores and label directions to labelled texts; the encoder is not trained.

    Args:
        classify ([`ZeroShotEmotionPipeline`] or [`OnnxEmotionClassifier`]): What scores texts.
        texts (`list[str]`): 20 to 500 texts, best as they come where the result will be used: how common each label is
            among them is learnt too.
        labels (`list`): For each text its label, a list of labels (none, one or several), or with `dimensions` a
            dictionary of positions on any scale.
        names (`list[str]` or `dict`, *optional*): The label set as a call takes it; what occurs in `labels`, sorted,
            by default. For dimensions, a call's `dimensions`.
        multi_label (`bool`, *optional*): Whether any number of labels may hold; by default whether any text has not
            exactly one.
        dimensions (`bool`, *optional*, defaults to `False`): Whether `labels` holds positions.
        batch_size (`int`, *optional*, defaults to 32): Texts in a batch.

    Returns:
        [`Adaptation`]: for `classify(texts, adaptation=...)`.

    Raises:
        `ValueError`: naming what does not fit: too few texts, a label that is not in `names`, positions that are no
            numbers.

    Example:

    ```python
    >>> import emodistill

    >>> classify = emodistill.load("small")
    >>> texts = ["I won!", "What a lovely day", "Leave me alone!", "This is an outrage", "So happy", "I hate you"]
    >>> own = emodistill.adapt(classify, texts, ["good", "good", "bad", "bad", "good", "bad"])
    >>> classify("How dare you lie to me!", adaptation=own)["predicted"]
    ['bad']

    ```
    """
    if not hasattr(classify, "encode_texts"):
        raise ValueError(f"classify must be what emodistill.load gives, not {classify!r}")
    if multi_label is not None and not isinstance(multi_label, bool | np.bool_):
        raise ValueError(f"multi_label must be True, False or None, not {multi_label!r}")
    texts, labels = entries(texts, "texts"), entries(labels, "labels")
    if len(texts) != len(labels):
        raise ValueError(f"texts and labels must be of one length, not {len(texts)} and {len(labels)}")
    check_count(len(texts))
    texts = classify.preprocess(texts)["texts"]
    if dimensions:
        names, targets, options = positions(labels, names)
        kind = "dimensions"
    else:
        names, targets, options, kind = targets_of(labels, names, multi_label)
    embeds = classify.encode_texts(texts, batch_size=batch_size)
    zero_shot = _zero_shot(classify, texts, embeds, names, kind, options)
    return fit(kind, names, inner_scores(zero_shot, kind), np.asarray(embeds, dtype=np.float64), targets, options)


def _zero_shot(classify, texts, embeds, names, kind, options):
    """Zero-shot scores or positions `(texts, names)`."""
    parameters = classify._sanitize_parameters(threshold=None, **options)[2]
    rows = classify.postprocess({"texts": texts, "embeds": embeds}, **parameters)
    if kind == "dimensions":
        return np.array([[row["dimensions"][name] for name in names] for row in rows])
    scores = [dict(zip(row["labels"], row["scores"], strict=True)) for row in rows]
    return np.array([[row[name] for name in names] for row in scores])


def fit(kind, names, values, embeds, targets, options=None):
    """
    Both steps on arrays, with strengths by leave-one-out.

    Args:
        kind (`str`): `"multi_label"`, `"single_label"` or `"dimensions"`.
        names (`Sequence[str]`): The labels or dimensions.
        values (`np.ndarray` of shape `(texts, labels)`): Zero-shot log-odds, log-probabilities or positions.
        embeds (`np.ndarray` of shape `(texts, d)`): Text embeddings.
        targets (`np.ndarray` of shape `(texts, labels)`): 0 and 1, or positions.
        options (`dict`, *optional*): What a call needs to score these labels; kept in the report.

    Returns:
        [`Adaptation`]
    """
    start = text_losses(kind, values, targets)
    slopes, offsets, inner, ridge = fit_scores(kind, values, targets)
    first = text_losses(kind, inner, targets)
    if kind != "dimensions" and not clearly_better(start, first):
        slopes, offsets, inner, ridge, first = np.ones(len(names)), np.zeros(len(names)), values, None, start
    whole = values * slopes + offsets
    directions, correction, strength = fit_directions(kind, whole, inner, embeds, targets, first)
    last = text_losses(kind, inner + correction, targets)
    moved = moved_cuts(inner + correction, values, offsets, targets) if kind == "multi_label" else 0.0
    report = {
        "texts": len(values),
        "score_ridge": ridge,
        "direction_ridge": strength,
        "loss_zero_shot": round(float(start.mean()), 4),
        "loss_adapted": round(float(last.mean()), 4),
        "options": options or {},
    }
    centre = embeds.mean(axis=0)
    return Adaptation(kind, tuple(names), slopes, offsets - moved, directions, centre, report)
