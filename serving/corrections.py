"""How an adaptation's corrections follow from labelled texts: on arrays alone, as far as leave-one-out bears them out.

Throughout, `kind` is `"multi_label"`, `"single_label"` or `"dimensions"`; `values` are zero-shot log-odds,
log-probabilities or positions `(texts, labels)`, `inner` those that each text has by a fit without it; `targets` are 0
and 1, or positions, of the same shape; `embeds` are text embeddings `(texts, d)`.
"""

import numpy as np

__all__ = [
    "DIRECTION_RIDGES", "clearly_better", "fit_directions", "fit_scores", "inner_scores", "moved_cuts", "outer_scores",
    "text_losses",
]  # fmt: skip

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


def inner_scores(scores, kind):
    """Zero-shot scores as the corrections take them."""
    scores = np.asarray(scores, dtype=np.float64)
    if kind == "dimensions":
        return scores
    scores = np.clip(scores, FINEST, 1.0 - FINEST)
    return np.log(scores) if kind == "single_label" else np.log(scores) - np.log1p(-scores)


def outer_scores(values, kind):
    """Corrected values as scores again: the inverse of [`inner_scores`]."""
    if kind == "dimensions":
        return values
    if kind == "single_label":
        powers = np.exp(values - values.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)
    return 1.0 / (1.0 + np.exp(-np.clip(values, -60, 60)))


def text_losses(kind, values, targets):
    """Loss of each text `(texts,)`, summed over labels."""
    if kind == "dimensions":
        return ((values - targets) ** 2 / np.maximum(targets.var(axis=0), 1e-9)).sum(axis=1)
    if kind == "single_label":
        highest = values.max(axis=1, keepdims=True)
        normaliser = highest[:, 0] + np.log(np.exp(values - highest).sum(axis=1))
        return normaliser - (values * targets).sum(axis=1)
    return (np.logaddexp(0.0, values) - targets * values).sum(axis=1)


def clearly_better(before, after, errors=2.0):
    """Whether a loss fell by more than its noise: two standard errors, since the best of several is asked."""
    gains = before - after
    return gains.mean() > errors * gains.std() / np.sqrt(len(gains))


def fit_scores(kind, values, targets):
    """Slopes and offsets `(labels,)`, `inner` and the ridge, of the strength with the lowest left-out loss."""
    if kind == "dimensions":
        return _least_squares(values, targets)
    fitted = []
    for ridge in SCORE_RIDGES:
        slopes, offsets, inner = (_logistic if kind == "multi_label" else _softmax)(values, targets, ridge)
        fitted.append((float(text_losses(kind, inner, targets).mean()), slopes, offsets, inner, ridge))
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
        chance = outer_scores(values * weights[0] + weights[1:], "single_label")
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


def fit_directions(kind, whole, inner, embeds, targets, before):
    """Directions `(labels, d)`, what they add to each text's values without its own label, and their strength.

    Ridge regression of what the scores still miss, in units of log-odds: residuals divided by the mean variance of a
    label's decision. It is one Newton step of the logistic regression with one weight for all texts, so that one
    decomposition serves all labels and leave-one-out is exact. How far a label's direction goes is limited by how many
    texts have it: the losses of a few dozen texts alone do not tell chance from what there is to learn.
    """
    centred = embeds - embeds.mean(axis=0)
    if kind == "dimensions":
        residuals = targets - inner
    else:
        chance = outer_scores(whole, kind)
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
        losses = text_losses(kind, inner + left_out, targets)
        if clearly_better(before, losses):
            tried.append((strength, left_out, losses))
    if not tried:
        return nothing
    best = min(tried, key=lambda entry: entry[2].mean())[2]
    # The strongest that is as good as the best but for noise.
    strength, left_out, _ = next(entry for entry in reversed(tried) if not clearly_better(entry[2], best, 1.0))
    dual = vectors @ ((vectors.T @ residuals) / (values + strength)[:, None])
    return (dual * trust).T @ centred, left_out, strength


def moved_cuts(inner, values, offsets, targets):
    """
    Log-odds a label `(labels,)` at which it is predicted, so that it is predicted about as often as it holds.

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
