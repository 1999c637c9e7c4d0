"""Your own labels with some dozen texts of your own: scores and label directions fitted, the encoder left as it is.

Two steps, each as far as the data allow: an offset and a slope a label, shrunk towards none; then a linear correction
of the labels' directions in the space of the text embeddings, by ridge regression from the zero-shot scores on. How
much of each is taken is decided by leave-one-out, so that little data change little, and none below the start.
"""

import json
import os
from dataclasses import dataclass

import numpy as np

from .labelled import check_count, entries, positions, targets_of

__all__ = ["Adaptation", "adapt", "fit", "inner_scores", "load_adaptation"]

FORMAT = "emodistill adaptation 1"
FINEST = 1e-4  # scores nearer to 0 or 1 than this are taken for this near: log-odds must not run away
# Texts with a label that move its cut, and its direction, half-way: with eight a label, all the way does harm. Of
# dimensions, which each text has a position on: texts.
CUT_CAUTION, DIRECTION_CAUTION = 40.0, {"multi_label": 16.0, "single_label": 16.0, "dimensions": 50.0}
# What a dimension's slope is shrunk to: the correlation of positions to expect, worth so many texts.
EXPECTED_CORRELATION, SLOPE_CAUTION = 0.5, 20.0

# Strengths that are tried, in texts: of the ridge on offset and slope, and on directions. Weaker ones on directions
# are never right for hundreds of texts, and chosen by chance for some dozen; positions are noisier than labels.
SCORE_RIDGES = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
DIRECTION_RIDGES = {"multi_label": (3.0, 10.0, 30.0, 100.0), "single_label": (3.0, 10.0, 30.0, 100.0)}
DIRECTION_RIDGES["dimensions"] = DIRECTION_RIDGES["multi_label"][1:]


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
        return _outer(values, self.kind)[:, back].astype(np.float32)

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


def inner_scores(scores, kind):
    """Zero-shot scores as the corrections take them."""
    scores = np.asarray(scores, dtype=np.float64)
    if kind == "dimensions":
        return scores
    scores = np.clip(scores, FINEST, 1.0 - FINEST)
    return np.log(scores) if kind == "single_label" else np.log(scores) - np.log1p(-scores)


def _outer(values, kind):
    if kind == "dimensions":
        return values
    if kind == "single_label":
        powers = np.exp(values - values.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)
    return 1.0 / (1.0 + np.exp(-np.clip(values, -60, 60)))


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
    start = _losses(kind, values, targets)
    slopes, offsets, inner, ridge = _fit_scores(kind, values, targets)
    first = _losses(kind, inner, targets)
    if kind != "dimensions" and not _better(start, first):
        slopes, offsets, inner, ridge, first = np.ones(len(names)), np.zeros(len(names)), values, None, start
    whole = values * slopes + offsets
    directions, correction, strength = _fit_directions(kind, whole, inner, embeds, targets, first)
    last = _losses(kind, inner + correction, targets)
    moved = _moved_cuts(inner + correction, values, offsets, targets) if kind == "multi_label" else 0.0
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


def _losses(kind, values, targets):
    """Loss of each text; summed over labels."""
    if kind == "dimensions":
        return ((values - targets) ** 2 / np.maximum(targets.var(axis=0), 1e-9)).sum(axis=1)
    if kind == "single_label":
        highest = values.max(axis=1, keepdims=True)
        normaliser = highest[:, 0] + np.log(np.exp(values - highest).sum(axis=1))
        return normaliser - (values * targets).sum(axis=1)
    return (np.logaddexp(0.0, values) - targets * values).sum(axis=1)


def _better(before, after, errors=2.0):
    """Whether a loss fell by more than its noise: two standard errors, since the best of several is asked."""
    gains = before - after
    return gains.mean() > errors * gains.std() / np.sqrt(len(gains))


def _fit_scores(kind, values, targets):
    """Slopes, offsets, left-out values and the ridge, of the strength with the lowest left-out loss."""
    if kind == "dimensions":
        return _least_squares(values, targets)
    fitted = []
    for ridge in SCORE_RIDGES:
        slopes, offsets, inner = (_logistic if kind == "multi_label" else _softmax)(values, targets, ridge)
        fitted.append((float(_losses(kind, inner, targets).mean()), slopes, offsets, inner, ridge))
    return min(fitted, key=lambda entry: entry[0])[1:]


def _least_squares(values, targets):
    """
    A line a dimension, each value predicted without its own text.

    Slopes are shrunk towards what the spreads of both sides and a fair correlation ask for, on whatever scale: those
    of some dozen texts are negative now and then, which would turn a dimension round.
    """
    texts, number = values.shape
    slopes, offsets, inner = np.zeros(number), np.zeros(number), np.zeros_like(targets)
    for place in range(number):
        column, target = values[:, place], targets[:, place]
        start = EXPECTED_CORRELATION * target.std() / max(column.std(), 1e-9)
        design = np.stack([column - column.mean(), np.ones(texts)], axis=1)
        inverse = np.linalg.pinv(design.T @ design + np.diag([SLOPE_CAUTION * column.var() + 1e-9, 0.0]))
        more, middle = inverse @ design.T @ (target - start * design[:, 0])
        slopes[place] = start + more
        offsets[place] = middle - slopes[place] * column.mean()
        leverage = np.minimum(np.einsum("ij,jk,ik->i", design, inverse, design), 0.99)
        line = slopes[place] * column + offsets[place]
        inner[:, place] = target - (target - line) / (1.0 - leverage)
    return slopes, offsets, inner, None


def _logistic(values, targets, ridge):
    """Slope and offset a label by Newton's method, and each text's log-odds by a fit without it (one Newton step)."""
    number = values.shape[1]
    slopes, offsets, inner = np.ones(number), np.zeros(number), np.zeros_like(values)
    # Offsets are on the scale of log-odds, slopes are ratios: the same ridge for a slope on standardised values.
    spread = np.maximum(values.std(axis=0), 1e-6)
    for place in range(number):
        column, target = values[:, place], targets[:, place]
        design = np.stack([column / spread[place], np.ones_like(column)], axis=1)
        start = np.array([spread[place], 0.0])
        weights = start.copy()
        for _ in range(25):
            chance = 1.0 / (1.0 + np.exp(-np.clip(design @ weights, -30, 30)))
            gradient = design.T @ (chance - target) + ridge * (weights - start)
            curvature = (design * (chance * (1.0 - chance))[:, None]).T @ design + ridge * np.eye(2)
            step = np.linalg.solve(curvature, gradient)
            weights = weights - step * min(1.0, 2.0 / (np.abs(step).max() + 1e-12))
            if np.abs(step).max() < 1e-6:
                break
        weights[0] = max(weights[0], 0.0)  # a score that counts against its label would be noise
        slopes[place], offsets[place] = weights[0] / spread[place], weights[1]
        leverage = np.einsum("ij,jk,ik->i", design, np.linalg.inv(curvature), design)
        own = np.minimum(leverage * chance * (1.0 - chance), 0.9)
        inner[:, place] = design @ weights + leverage * (chance - target) / (1.0 - own)
    return slopes, offsets, inner


def _softmax(values, targets, ridge):
    """One slope for all and an offset a label by Newton's method, and each text's values by a fit without it."""
    number = values.shape[1]
    start = np.zeros(number + 1)
    start[0] = 1.0
    weights = start.copy()
    for _ in range(40):
        chance = _outer(values * weights[0] + weights[1:], "single_label")
        difference = chance - targets
        gradient = np.concatenate([[(difference * values).sum()], difference.sum(axis=0)]) + ridge * (weights - start)
        mean = (chance * values).sum(axis=1, keepdims=True)
        curvature = np.zeros((number + 1, number + 1))
        curvature[0, 0] = (chance * (values - mean) ** 2).sum()
        curvature[0, 1:] = curvature[1:, 0] = (chance * (values - mean)).sum(axis=0)
        curvature[1:, 1:] = np.diag(chance.sum(axis=0)) - chance.T @ chance
        curvature += ridge * np.eye(number + 1)
        step = np.linalg.solve(curvature, gradient)
        weights = weights - step * min(1.0, 2.0 / (np.abs(step).max() + 1e-12))
        if np.abs(step).max() < 1e-6:
            break
    # Without a text the minimum lies about one Newton step away, in the direction of that text's gradient.
    gradients = np.concatenate([(difference * values).sum(axis=1, keepdims=True), difference], axis=1)
    moved = weights + gradients @ np.linalg.inv(curvature)
    inner = values * moved[:, :1] + moved[:, 1:]
    return np.full(number, weights[0]), weights[1:], inner


def _fit_directions(kind, whole, inner, embeds, targets, before):
    """Directions, what they add to each text's values without its own label, and their strength.

    Ridge regression of what the scores still miss, in units of log-odds: residuals divided by the mean variance of a
    label's decision. It is one Newton step of the logistic regression with one weight for all texts, so that one
    decomposition serves all labels and leave-one-out is exact. How far a label's direction goes is limited by how many
    texts have it: the losses of a few dozen texts alone do not tell chance from what there is to learn.
    """
    centred = embeds - embeds.mean(axis=0)
    if kind == "dimensions":
        residuals = targets - inner
    else:
        chance = _outer(whole, kind)
        variance = np.maximum((chance * (1.0 - chance)).mean(axis=0), 0.02)
        residuals = (targets - chance) / (variance.mean() if kind == "single_label" else variance)
    trust = np.full(targets.shape[1], float(len(targets))) if kind == "dimensions" else targets.sum(axis=0)
    trust = trust**2 / (trust**2 + DIRECTION_CAUTION[kind] ** 2)
    values, vectors = np.linalg.eigh(centred @ centred.T)
    values = np.maximum(values, 0.0)
    nothing = np.zeros((targets.shape[1], embeds.shape[1])), np.zeros_like(targets), None
    tried = []
    for strength in DIRECTION_RIDGES[kind]:
        shrunk = values / (values + strength)
        added = vectors @ (shrunk[:, None] * (vectors.T @ residuals))
        leverage = np.minimum((vectors**2 * shrunk).sum(axis=1, keepdims=True), 0.99)
        left_out = trust * (added - leverage * residuals) / (1.0 - leverage)
        losses = _losses(kind, inner + left_out, targets)
        if _better(before, losses):
            tried.append((strength, left_out, losses))
    if not tried:
        return nothing
    best = min(tried, key=lambda entry: entry[2].mean())[2]
    # The strongest that is as good as the best but for noise.
    strength, left_out, _ = next(entry for entry in reversed(tried) if not _better(entry[2], best, 1.0))
    dual = vectors @ ((vectors.T @ residuals) / (values + strength)[:, None])
    return (dual * trust).T @ centred, left_out, strength


def _moved_cuts(inner, values, offsets, targets):
    """
    Log-odds a label at which it is predicted, so that it is predicted about as often as it holds.

    A score of 0.5 is the decision. Log-odds that are right on average would predict a rare label hardly ever. The cut
    goes from where the zero-shot one lies to where as many texts pass as have the label, the further the more do.
    """
    texts = len(targets)
    cuts = np.zeros(targets.shape[1])
    for place in range(len(cuts)):
        positives = targets[:, place].sum()
        expected = (positives + CUT_CAUTION * (values[:, place] > 0.0).mean()) / (texts + CUT_CAUTION)
        share = positives**2 / (positives**2 + CUT_CAUTION**2)
        matching = np.quantile(inner[:, place], np.clip(1.0 - expected, 0.0, 1.0))
        cuts[place] = share * matching + (1.0 - share) * offsets[place]
    return cuts
