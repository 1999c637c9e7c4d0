"""Constants of the decision rules, from held-out source texts: no target set takes part."""

import itertools
from collections import Counter
from dataclasses import replace

import torch

from ..constants_emodistill import RANGES
from ..decision_emodistill import NEUTRAL, DecisionConstants, EmbeddedLabels, score_labels
from ..encoding_emodistill import encode_labels
from ..set_rules_emodistill import set_margins
from .targets import peoples_texts
from .validation import macro_f1

__all__ = ["choose_decision", "label_sets", "plain_readings"]

VERSION = 2  # of the rules that constants are chosen for
# Share of the set's mean score that a label must beat. On plain words of held-out texts, where the teacher names all
# that fits, up to 0.5 costs 0.006 of macro-F1; people who annotate name what stands out, and there it gains.
COMPETITION = 0.3
# Share of a text's strongest margin, taken off the others': 0.1 gives GoEmotions 0.004 less, and S25 0.001 more; 0.2
# gives GoEmotions 0.004 more, and S25 0.004 less.
RIVALS = 0.15
SCALINGS = (0.0, 0.5, 1.0)  # by labels' own deviations
PRIORS = (0.0, 0.2)  # weights of how common a label's words are
MIN_TEXTS = 12  # held-out texts that a plain word must stand for to be asked for
MIN_SOURCE = 100  # held-out texts from which a source is judged by itself
MIN_TRUE = 3  # texts of a source that a word must be true of to be judged there
MOST_WORDS = 150
ROUNDING = 1e-5  # of margins: texts that differ by no more of them do not differ
TEMPERATURES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 1.0, 1.5, 2.0)
SET_SIZES = (3, 4, 5, 6, 7, 8, 10, 12, 16, 20, 25, 30)


def plain_readings(rows, lexicon):
    """
    The plain words of texts: descriptors, and of each the plain word that it implies first.

    Args:
        rows (`list[dict]`): Texts with `labels` and `source`; texts that the teacher composed are left out, unless
            there are no others.
        lexicon ([`Lexicon`]): Implied words, and descriptors to keep out.

    Returns:
        `tuple`: the places of the texts taken, the words, most frequent first, and which text has which,
        `(texts, words)` booleans.
    """
    places = peoples_texts([row.get("source") for row in rows])
    plain = {word for words in lexicon.implies.values() for word in words} or {
        label for place in places for label in rows[place]["labels"]
    }
    plain -= lexicon.held_out | {NEUTRAL}
    readings = []
    for place in places:
        labels = rows[place]["labels"]
        readings.append({word for label in labels for word in (label, *lexicon.implies.get(label, ())[:1])} & plain)
    counts = Counter(word for words in readings for word in sorted(words))  # or ties would differ from run to run
    words = [word for word, count in counts.most_common(MOST_WORDS) if count >= MIN_TEXTS]
    words = words if len(words) > 1 else [word for word, _ in counts.most_common(MOST_WORDS)]
    return places, words, torch.tensor([[word in found for word in words] for found in readings], dtype=torch.bool)


def label_sets(targets, number, seed=0):
    """Random sets of plain words, frequent ones more often, of 3 to 30 words; `list[list[int]]`."""
    generator = torch.Generator().manual_seed(seed)
    chances = targets.sum(dim=0).float().clamp(min=1.0) ** 0.75
    sizes = [min(SET_SIZES[place % len(SET_SIZES)], len(chances)) for place in range(number)]
    return [torch.multinomial(chances, size, generator=generator).tolist() for size in sizes if size > 1]


def choose_decision(model, validator, embeds, background_embeds, seed=0, sets=60):
    """
    Decision constants from held-out source texts: the ones that do best on random sets of plain words.

    How far labels are centred and scaled and what priors add is judged by macro-F1, of the labels that hold and of the
    best label where just one holds, in equal parts, on each source by itself and then on average: each stands for a
    target, whose labels are as common as they are there. Of all that do as well as the best, within a standard error
    over sources, the best of those that leave least of the sources' own frequencies. Where no two sources can be
    judged, all texts are judged together, and the standard error is over label sets. Slope and temperature are judged
    by cross-entropy.

    Args:
        model ([`EmoDistillModel`]): With its background and reference vocabulary set.
        validator ([`Validator`]): Texts and the plain words they imply.
        embeds (`torch.Tensor` of shape `(texts, d)`): Their embeddings.
        background_embeds (`torch.Tensor` of shape `(texts, d)`): Embeddings of the background texts.
        seed (`int`, *optional*, defaults to 0): Seed of the label sets.
        sets (`int`, *optional*, defaults to 60): Label sets, of 3 to 30 plain words.

    Returns:
        `dict[str, float]`: fields of [`DecisionConstants`].
    """
    places, words, targets = plain_readings(validator.rows, validator.lexicon)
    constants = replace(
        DecisionConstants(), version=VERSION, multi_label_competition=COMPETITION, rival_weight=RIVALS
    )
    if validator.closed:  # how many labels the teacher takes from a closed list; else the default stays
        expected = sum(map(len, validator.closed)) / len(validator.closed)
        constants = replace(constants, expected_labels=round(expected, 2))
    if len(words) < 2:
        return _saved(constants)
    embedded, texts = encode_labels(model, validator.tokenizer, words).cpu(), embeds[places].cpu()
    statistics = model.statistics
    cases = [
        (EmbeddedLabels([words[column] for column in columns], embedded[columns]), targets[:, columns])
        for columns in label_sets(targets, sets, seed)
    ]
    constants = replace(
        constants, multi_label_skewness=_skewness(background_embeds.cpu(), cases, statistics, constants)
    )
    centrings = [round(0.1 * step, 1) for step in range(11)]
    weights = PRIORS if statistics.reference_priors is not None else PRIORS[:1]
    kinds = [
        replace(constants, label_centering=share, label_scaling=power, prior_weight=weight)
        for share, power, weight in itertools.product(centrings, SCALINGS, weights)
    ]
    groups = _sources([validator.rows[place].get("source") for place in places], cases)
    constants = _most_centred(kinds, [_quality(texts, cases, groups, statistics, constants) for constants in kinds])
    slopes = [replace(constants, multi_label_slope=round(0.1 * step, 2)) for step in range(2, 51)]
    constants = min(slopes, key=lambda constants: _cross_entropy(texts, cases, statistics, constants, True))
    warmths = [replace(constants, single_label_temperature=value) for value in TEMPERATURES]
    return _saved(min(warmths, key=lambda constants: _cross_entropy(texts, cases, statistics, constants, False)))


def _saved(constants):
    """What a checkpoint keeps: constants that version 2 does not know of stay at their defaults."""
    return {name: getattr(constants, name) for name in constants.__dataclass_fields__}


def _skewness(background_embeds, cases, statistics, constants):
    """Mean skewness of the margins of plain words over the background; texts without any spread have none."""
    values, constants = [], replace(constants, rival_weight=0.0)  # thresholds are counted before labels yield
    for label_set, _ in cases:
        threshold = label_set.threshold(statistics, constants, statistics.background)
        margins = set_margins(background_embeds @ label_set.extended(statistics, constants).T, threshold, constants)
        spread = _deviation(margins)
        standardised = (margins - margins.mean(dim=0)) / spread
        values.append(standardised.where(spread > ROUNDING * margins.abs().amax(dim=0), 0.0).pow(3).mean().item())
    lowest, highest, _ = RANGES["multi_label_skewness"]
    return min(max(round(sum(values) / len(values), 2), lowest), highest)


def _deviation(values):
    """Standard deviation of rows, and 0 of a single one."""
    return values.std(dim=0, correction=min(1, len(values) - 1))


def _most_centred(kinds, qualities):
    """Of constants not clearly worse than the best, the best of those that lean least on the source's frequencies."""
    best = max(qualities, key=lambda values: values.mean())
    level = []
    for constants, values in zip(kinds, qualities, strict=True):
        worse = best - values
        if worse.mean() <= _deviation(worse) / len(worse) ** 0.5:
            level.append((constants.label_centering, -constants.prior_weight, values.mean().item(), constants))
    return max(level, key=lambda kind: kind[:3])[3]


def _single(texts, label_set, targets):
    """Texts with one label of the set, and its place."""
    rows = targets.sum(dim=1) == 1
    return texts[rows], targets[rows]


def _sources(sources, cases):
    """
    Places of the texts of each source that can be judged, `list[torch.Tensor]`; empty unless there are two.

    It must be large enough, and the words of a set true of some of its texts.
    """
    counts = Counter(sources)
    large = [name for name, count in sorted(counts.items(), key=str) if count >= MIN_SOURCE]
    places = [torch.tensor([place for place, name in enumerate(sources) if name == one]) for one in large]
    judged = [one for one in places if any(len(_judged_words(targets[one], MIN_TRUE)) > 1 for _, targets in cases)]
    return judged if len(judged) > 1 else []


def _judged_words(targets, least):
    """Places of the words that are true of at least so many texts."""
    return (targets.sum(dim=0) >= least).nonzero().flatten()


def _quality(texts, cases, groups, statistics, constants):
    """Macro-F1 of several labels and of one, added up: `(sources,)`, or `(sets,)` where sources are not told apart."""
    values, least = [], MIN_TRUE if groups else 0
    for label_set, targets in cases:
        decided = score_labels(texts, label_set, statistics, constants, multi_label=True) >= 0.5
        best = score_labels(texts, label_set, statistics, constants).argmax(dim=1)
        best = torch.nn.functional.one_hot(best, len(label_set)).bool()
        single = targets.sum(dim=1) == 1
        values.append([_f1_of(decided, best, targets, single, places, least) for places in groups or [slice(None)]])
    values = torch.tensor(values)  # not a number where a source has too few of a set's words
    return values.nanmean(dim=0) if groups else values[:, 0]


def _f1_of(decided, best, targets, single, places, least):
    """Macro-F1 of several labels and of the best, on some texts and the labels that are true of so many of them."""
    decided, best, targets, single = (values[places] for values in (decided, best, targets, single))
    present = _judged_words(targets, least)
    if len(present) < 2:
        return float("nan")
    value = macro_f1(decided[:, present], targets[:, present])
    if single.any():
        value += macro_f1(best[single][:, present], targets[single][:, present])
    return value


def _cross_entropy(texts, cases, statistics, constants, multi_label):
    total = 0.0
    for label_set, targets in cases:
        rows, truth = (texts, targets) if multi_label else _single(texts, label_set, targets)
        if not len(rows):
            continue
        scores = score_labels(rows, label_set, statistics, constants, multi_label=multi_label).clamp(1e-6, 1 - 1e-6)
        if multi_label:
            total += torch.nn.functional.binary_cross_entropy(scores, truth.float()).item()
        else:
            total -= scores[truth].log().mean().item()
    return total
