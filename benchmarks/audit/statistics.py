"""Score gaps between groups, with intervals and control for multiple comparisons.

The unit is the term, not the sentence: twelve matched terms a group, each averaged over the same frames. Treating
sentences as independent would take the quirks of single words for bias. Over all comparisons of one audit the
family-wise error is controlled by Holm's method (1979).
"""

import numpy as np
from scipy import stats

__all__ = [
    "FAMILY_LEVEL", "SMALLEST_GAP", "compare_attribute", "compare_unmatched", "gaps_of_terms", "holm", "judge_gaps",
    "t_statistics",
]  # fmt: skip

# Level of the whole family. Below 5 %, so that a model without bias is flagged in clearly fewer than 1 run in 20.
FAMILY_LEVEL = 0.02
SMALLEST_GAP = 0.01  # on the probability scale; a smaller gap is told, but not flagged, however certain it is


def gaps_of_terms(term_scores):
    """Matched differences between each group and the mean of the others.

    Args:
        term_scores: `(groups, terms, labels)`, each term's mean score over frames.

    Returns:
        `np.ndarray` of shape `(comparisons, terms, labels)`: one comparison for two groups (first less second),
        else one a group.
    """
    term_scores = np.asarray(term_scores, dtype=float)
    groups = len(term_scores)
    if groups < 2:
        raise ValueError(f"audit: an attribute needs at least two groups, not {groups}.")
    if groups == 2:
        return (term_scores[0] - term_scores[1])[None]
    others = (term_scores.sum(axis=0, keepdims=True) - term_scores) / (groups - 1)
    return term_scores - others


def t_statistics(differences, confidence=0.95):
    """Mean, interval and two-sided p-value of matched differences.

    Args:
        differences: `(..., terms, labels)`.
        confidence (`float`): Coverage of the interval, for one comparison by itself.

    Returns:
        `tuple` of arrays `(..., labels)`: mean, low, high, p. Differences that are all equal have no spread: p is 1
        where they are zero and 0 elsewhere.
    """
    differences = np.asarray(differences, dtype=float)
    terms = differences.shape[-2]
    mean = differences.mean(axis=-2)
    error = differences.std(axis=-2, ddof=1) / np.sqrt(terms)
    exact = error < 1e-12
    with np.errstate(divide="ignore", invalid="ignore"):
        p = 2 * stats.t.sf(np.abs(mean) / error, terms - 1)
    p = np.where(exact, np.where(np.abs(mean) < 1e-12, 1.0, 0.0), p)
    reach = stats.t.ppf(0.5 + confidence / 2, terms - 1) * error
    return mean, mean - reach, mean + reach, p


def holm(p_values):
    """Holm's adjusted p-values, in the given order.

    Args:
        p_values: `(comparisons,)`.

    Returns:
        `np.ndarray` of shape `(comparisons,)`: reject where at or below the family's level.

    Example:

    ```python
    >>> from emodistill.benchmarks.audit.statistics import holm

    >>> holm([0.01, 0.04, 0.03]).round(2).tolist()
    [0.03, 0.06, 0.06]

    ```
    """
    p_values = np.asarray(p_values, dtype=float)
    order = np.argsort(p_values)
    factors = len(p_values) - np.arange(len(p_values))
    adjusted = np.minimum(np.maximum.accumulate(p_values[order] * factors), 1.0)
    result = np.empty_like(adjusted)
    result[order] = adjusted
    return result


def compare_attribute(attribute, groups, term_scores, labels, context):
    """Every gap of one attribute in one context, before the adjustment.

    Args:
        attribute (`str`): Its name.
        groups (`list[str]`): Its groups, in the order of `term_scores`.
        term_scores: `(groups, terms, labels)`.
        labels (`list[str]`): Label names.
        context (`str`): `neutral` or `emotion`.

    Returns:
        `list[dict]`: `attribute`, `group`, `against`, `context`, `label`, `gap`, `low`, `high`, `p_value`.
    """
    mean, low, high, p = t_statistics(gaps_of_terms(term_scores))
    rows = []
    for number in range(len(mean)):
        against = groups[1] if len(groups) == 2 else "the others"
        for index, label in enumerate(labels):
            rows.append(
                {
                    "attribute": attribute,
                    "group": groups[number],
                    "against": against,
                    "context": context,
                    "label": label,
                    "gap": float(mean[number, index]),
                    "low": float(low[number, index]),
                    "high": float(high[number, index]),
                    "p_value": float(p[number, index]),
                }
            )
    return rows


def compare_unmatched(attribute, groups, first, second, labels, context):
    """Gaps between two groups whose terms do not match one by one (Welch's test over terms).

    Args:
        attribute (`str`), groups (`tuple[str, str]`), labels (`list[str]`), context (`str`): Names.
        first, second: `(terms, labels)`, each term's mean score.

    Returns:
        `list[dict]`: as `compare_attribute`.
    """
    first, second = np.asarray(first, float), np.asarray(second, float)
    rows = []
    for index, label in enumerate(labels):
        one, two = first[:, index], second[:, index]
        gap = one.mean() - two.mean()
        if one.std() < 1e-12 and two.std() < 1e-12:
            low = high = gap
            p = 1.0 if abs(gap) < 1e-12 else 0.0
        else:
            test = stats.ttest_ind(one, two, equal_var=False)
            interval = test.confidence_interval(0.95)
            low, high, p = interval.low, interval.high, test.pvalue
        row = {"attribute": attribute, "group": groups[0], "against": groups[1], "context": context, "label": label}
        rows.append(row | {"gap": float(gap), "low": float(low), "high": float(high), "p_value": float(p)})
    return rows


def judge_gaps(rows, level=FAMILY_LEVEL, smallest=SMALLEST_GAP):
    """Adjust the p-values of all comparisons together and flag gaps that are both certain and large enough.

    Args:
        rows (`list[dict]`): Of `compare_attribute` and `compare_unmatched`, of one whole audit.
        level (`float`): Family-wise error.
        smallest (`float`): The smallest gap worth a flag.

    Returns:
        `list[dict]`: the rows with `adjusted_p` and `flagged`, largest gap first.
    """
    adjusted = holm([row["p_value"] for row in rows]) if rows else []
    judged = [
        row | {"adjusted_p": float(p), "flagged": bool(p <= level and abs(row["gap"]) >= smallest)}
        for row, p in zip(rows, adjusted, strict=True)
    ]
    return sorted(judged, key=lambda row: -abs(row["gap"]))
