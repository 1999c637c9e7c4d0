"""What a call asks for and what it gets: labels, thresholds and dimensions in, dictionaries out. Without torch.

The pipeline and the exported model share this, so that the same call has the same answer in both.
"""

import collections.abc
import importlib
import numbers

import numpy as np

from .decision_emodistill import dimension_scores, score_labels, select_labels
from .labels_emodistill import NEUTRAL, LabelSet, neutral_place

__all__ = ["EmotionCalls", "chunks"]


class EmotionCalls:
    """
    Mixin of whatever scores texts.

    A class that mixes it in has `encode_texts(texts, batch_size)` and

    - `dimension_names`: the built-in dimensions;
    - `constants`: the [`DecisionConstants`] to decide by;
    - `background`: mean and covariance of the checkpoint's background, or `None`;
    - `_embedded(label_set)`: [`EmbeddedLabels`] of a [`LabelSet`], and the [`LabelStatistics`] to score against;
    - `_head(embeds)`: built-in dimensions of embedded texts, a list of rows.
    """

    def _sanitize_parameters(
        self,
        labels=None,
        candidate_labels=None,
        label_template=None,
        hypothesis_template=None,
        multi_label=None,
        threshold="unset",
        top_k=None,
        dimensions=None,
        **unknown,
    ):
        if unknown:
            raise ValueError(f"unknown argument {', '.join(sorted(unknown))} for the zero-shot-emotion pipeline")
        labels = _one_of("labels", labels, "candidate_labels", candidate_labels)
        template = _one_of("label_template", label_template, "hypothesis_template", hypothesis_template)
        if template is not None and (not isinstance(template, str) or "{}" not in template):
            raise ValueError(f"label_template must hold {{}} where the label goes, not {template!r}")
        if top_k is not None and (not isinstance(top_k, int) or isinstance(top_k, bool) or top_k < 1):
            raise ValueError(f"top_k must be a positive integer, not {top_k!r}")
        if isinstance(labels, collections.abc.Iterator):
            labels = list(labels)  # read more than once
        options = {"labels": labels, "template": template, "multi_label": multi_label, "top_k": top_k}
        options = {name: value for name, value in options.items() if value is not None}
        if threshold != "unset":
            options["threshold"] = threshold
        if dimensions is not None:
            options["dimensions"] = dimensions
        # Parsed here, so that bad labels are told before any text is read.
        if labels is not None:
            LabelSet.parse(labels, template)
        return {}, {}, options

    def preprocess(self, texts, first=0):
        """Check that texts are strings."""
        for number, text in enumerate(texts, start=first):
            if not isinstance(text, str):
                table = isinstance(text, dict) or hasattr(text, "column_names")
                hint = '; name the column of texts, for instance dataset["text"]' if table else ""
                raise ValueError(f"inputs must be strings, but text {number} is {type(text).__name__}{hint}")
        return {"texts": texts}

    def encode_labels(self, labels, label_template=None):
        """L2-normalised embeddings `(labels, d)` of a label set, fp32 on the CPU; cached until a weight changes.

        Texts are scored against `model.extend_labels(...)` of them.
        """
        return self._embedded(LabelSet.parse(labels, label_template))[0].embeds

    def explain(self, text, label=None, dimension=None, **options):
        """
        What each word, phrase and sentence of a text contributes to a label or dimension, by leaving it out.

        Takes what a call takes; see [`~serving.explain.explain`] for the rest and for what comes back.
        """
        return _serving("explain").explain(self, text, label, dimension, **options)

    def _settings(self, labels=None, template=None, multi_label=False, threshold="auto", top_k=None, dimensions=None):
        """What to compute for every text: labels, their thresholds, and axes."""
        if labels is None and dimensions in (None, False):
            raise ValueError("labels is missing: give the emotion labels to choose from, for instance joy,anger")
        label_set = None if labels is None else LabelSet.parse(labels, template)
        if label_set and multi_label and self.background is None and _uses_auto(threshold, label_set.names):
            raise ValueError(
                'threshold="auto" needs a checkpoint with background statistics, and this one has none: '
                "give a threshold between 0 and 1, or set them with model.set_background(...)"
            )
        thresholds = None if label_set is None else _thresholds(threshold, label_set.names, multi_label)
        return label_set, thresholds, self._axes(dimensions)

    def _axes(self, dimensions):
        """`{name: None}` for built-in dimensions and `{name: (upper embeddings, lower embeddings)}` for others."""
        built_in = self.dimension_names
        if dimensions in (None, False):
            return {}
        if dimensions is True:
            dimensions = built_in
        if isinstance(dimensions, str):
            dimensions = [name.strip() for name in dimensions.split(",")]
        if not isinstance(dimensions, collections.abc.Iterable):
            raise ValueError(f"dimensions must be True, names or a dict of pairs, not {dimensions!r}")
        if not isinstance(dimensions, collections.abc.Mapping):
            dimensions = dict.fromkeys(dimensions)
        axes = {}
        for name, poles in dimensions.items():
            if poles is None:
                if name not in built_in:
                    known = ", ".join(built_in) or "none in this checkpoint"
                    raise ValueError(
                        f"dimensions names {name!r}, which is not built in ({known}); "
                        "give its poles as {name: (upper labels, lower labels)}"
                    )
                axes[name] = None
                continue
            if isinstance(poles, str) or not isinstance(poles, collections.abc.Sequence) or len(poles) != 2:
                raise ValueError(f"dimensions[{name!r}] must be a pair (upper labels, lower labels), not {poles!r}")
            sets = [LabelSet.parse(pole, argument=f"dimensions[{name!r}]") for pole in poles]
            axes[name] = tuple(self._embedded(label_set)[0].embeds for label_set in sets)
        return axes

    def postprocess(self, model_outputs, **options):
        """From text embeddings to a dictionary for each text."""
        texts, embeds = model_outputs["texts"], model_outputs["embeds"]
        label_set, thresholds, axes = self._settings(**options)
        results = [{"sequence": text} for text in texts]
        blank = {index for index, text in enumerate(texts) if not text.strip()}
        if label_set is not None:
            multi_label = options.get("multi_label", False)
            scores = self._scores(embeds, label_set, multi_label)
            if blank:
                scores[sorted(blank)] = _blank_scores(label_set.names, multi_label)
            _add_labels(results, scores, label_set.names, thresholds, multi_label, options.get("top_k"), blank)
        if axes:
            values = self._dimension_values(embeds, axes)
            for index, result in enumerate(results):
                if index in blank:
                    result["dimensions"] = {name: 5.0 if poles is None else 0.0 for name, poles in axes.items()}
                else:
                    result["dimensions"] = {name: column[index] for name, column in values.items()}
        return results

    def _scores(self, embeds, label_set, multi_label):
        labels, statistics = self._embedded(label_set)
        return np.asarray(score_labels(embeds, labels, statistics, self.constants, multi_label))

    def _dimension_values(self, embeds, axes):
        values = {}
        if any(poles is None for poles in axes.values()):
            columns = zip(*self._head(embeds), strict=True)
            values = dict(zip(self.dimension_names, map(list, columns), strict=True))
        return {
            name: values[name] if poles is None else dimension_scores(embeds, *poles).tolist()
            for name, poles in axes.items()
        }


def _serving(module):
    """A module of the installed package's `serving`, which a Hub copy of this file does not bring along."""
    try:
        return importlib.import_module(f"emodistill.serving.{module}")
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != "emodistill":
            raise
        raise ImportError(f"{module} needs the installed package: pip install emodistill") from None


def _one_of(name, value, alias, other):
    if value is not None and other is not None:
        raise ValueError(f"give {name} or its alias {alias}, not both")
    return value if value is not None else other


def chunks(texts, size):
    """Lists of `size` texts, and one of what is left."""
    chunk = []
    for text in texts:
        chunk.append(text)
        if len(chunk) == size:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _uses_auto(threshold, names):
    if isinstance(threshold, collections.abc.Mapping):
        return not set(names) <= set(threshold)
    return isinstance(threshold, str) and threshold == "auto"


def _thresholds(threshold, names, multi_label):
    """A threshold for each label, or `None` for scores only."""
    if threshold is None:
        return None
    auto = 0.5 if multi_label else 0.0  # in single-label mode the best label needs no certain score
    if isinstance(threshold, str):
        if threshold != "auto":
            raise ValueError(f'threshold must be "auto", a number, a dict or None, not {threshold!r}')
        return [auto] * len(names)
    if isinstance(threshold, collections.abc.Mapping):
        if unknown := sorted(set(threshold) - set(names)):
            raise ValueError(f"threshold names {', '.join(map(repr, unknown))}, which is not among the labels")
        return [_probability(threshold.get(name, auto)) for name in names]
    return [_probability(threshold)] * len(names)


def _probability(value):
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0.0 <= value <= 1.0:
        raise ValueError(f"threshold must lie between 0 and 1, not {value!r}")
    return float(value)


def _neutral(names):
    """The set's own word for neutral, however it is capitalised, or ours."""
    place = neutral_place(names)
    return NEUTRAL if place is None else names[place]


def _blank_scores(names, multi_label):
    """A blank text expresses nothing: all on neutral if the set has it, else nothing, or no preference."""
    neutral = _neutral(names)
    if neutral in names or multi_label:
        return [float(name == neutral) for name in names]
    return [1.0 / len(names)] * len(names)


def _add_labels(results, scores, names, thresholds, multi_label, top_k, blank):
    """Fill in `labels`, `scores` and `predicted`, of all texts at once: a thousand labels must cost little."""
    order = np.argsort(-scores, axis=1, kind="stable")
    keep = min(top_k or len(names), len(names))
    all_names = np.array(names, dtype=object)
    best = all_names[order[:, :keep]].tolist()
    values = np.take_along_axis(scores, order[:, :keep], axis=1).tolist()
    if thresholds is not None:
        chosen = np.take_along_axis(select_labels(scores, thresholds), order, axis=1)
        if not multi_label:
            chosen[:, 1:] = False
    neutral = _neutral(names)
    for index, result in enumerate(results):
        result["labels"], result["scores"] = best[index], values[index]
        if thresholds is None:  # scores only
            result["predicted"] = []
        elif index in blank:
            result["predicted"] = [neutral]
        else:
            passed = all_names[order[index][chosen[index]]].tolist()
            result["predicted"] = passed if passed or neutral in names else [neutral]
