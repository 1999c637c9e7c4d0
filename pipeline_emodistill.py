"""The `zero-shot-emotion` pipeline: strings and labels in, dictionaries out."""

import collections.abc
import importlib
import numbers
import threading
import types
from collections import Counter, OrderedDict
from dataclasses import dataclass

import numpy as np
import torch
from transformers import Pipeline

from .decision_emodistill import (
    NEUTRAL,
    DecisionConstants,
    EmbeddedLabels,
    dimension_scores,
    neutral_place,
    neutral_wording,
    score_labels,
    select_labels,
)
from .encoding_emodistill import encode_labels, encode_texts, evaluating

__all__ = ["LabelSet", "ZeroShotEmotionPipeline"]

READ_AHEAD = 64  # batches read ahead of a list or data set, to sort their texts by length
DEFAULT_BATCH_SIZE = 32
CACHED_LABEL_SETS = 64
CACHE_LOCK = threading.Lock()  # not a pipeline's own, which could then be neither copied nor pickled
SMALL_TENSOR = 2**16  # values; a tensor up to this size is read in full to see whether it changed


@dataclass(frozen=True)
class LabelSet:
    """
    Labels as a user names them and the wordings that are embedded for them.

    Args:
        names (`tuple[str, ...]`): What the output shows.
        wordings (`tuple[tuple[str, ...], ...]`): For each label one wording or several, averaged.
    """

    names: tuple
    wordings: tuple

    @classmethod
    def parse(cls, labels, template=None, argument="labels"):
        """
        Read a list, a comma-separated string, or `{label: description or list of synonyms}`.

        Args:
            labels (`list[str]`, `str` or `dict`): The labels.
            template (`str`, *optional*): A sentence with `{}` for each wording.
            argument (`str`, *optional*): The argument's name, for errors.

        Raises:
            `ValueError`: naming what is wrong: no label, an empty one, a duplicate, one that is no string, a set
            for each text, a template without `{}`.

        Example:

        ```python
        >>> from emodistill.pipeline_emodistill import LabelSet

        >>> LabelSet.parse("joy, anger").names
        ('joy', 'anger')
        >>> LabelSet.parse({"joy": ["happiness", "delight"]}, template="full of {}").wordings
        (('full of happiness', 'full of delight'),)

        ```
        """
        if isinstance(labels, str):
            labels = [part.strip() for part in labels.split(",")]
            if labels == [""]:
                labels = []
        if isinstance(labels, collections.abc.Mapping):
            pairs = [(name, [text] if isinstance(text, str) else text) for name, text in labels.items()]
        elif isinstance(labels, collections.abc.Iterable):
            pairs = [(name, None) for name in labels]
        else:
            raise ValueError(f"{argument} must be a list, a comma-separated string or a dict, not {labels!r}")
        if not pairs:
            raise ValueError(f"{argument} is empty: give at least one emotion label")
        names = tuple(_clean_label(name, argument) for name, _ in pairs)
        if duplicates := sorted({name for name, times in Counter(names).items() if times > 1}):
            raise ValueError(f"{argument} holds {', '.join(map(repr, duplicates))} more than once")
        wordings = []
        for name, plain, (_, texts) in zip(names, neutral_wording(names), pairs, strict=True):
            if texts is not None and (not isinstance(texts, collections.abc.Sequence) or not texts):
                raise ValueError(f"{argument}[{name!r}] must be a description or a list of synonyms, not {texts!r}")
            texts = (plain,) if texts is None else texts
            wordings.append(tuple(_fill(template, _clean_label(text, f"{argument}[{name!r}]")) for text in texts))
        return cls(names, tuple(wordings))


def _clean_label(label, argument):
    if isinstance(label, list | tuple | set):
        raise ValueError(f"{argument} must be one set for all texts, not a set for each: call once per label set")
    if not isinstance(label, str):
        raise ValueError(f"{argument} must hold strings, not {label!r}")
    if not label.strip():
        raise ValueError(f"{argument} holds an empty label")
    return label.strip()


def _fill(template, label):
    return label if template is None else template.replace("{}", label)  # other braces are the user's own


class ZeroShotEmotionPipeline(Pipeline):
    r"""
    Scores texts against any emotion labels and dimensions.

    Arguments of the constructor, each of which a call may override:

    Args:
        labels (`list[str]`, `str` or `dict`): The labels: a list, a comma-separated string, or `{label: description
            or list of synonyms}`, whose embeddings are averaged after normalisation. `candidate_labels` is an alias.
            A label named `neutral` (or else `no emotion`, `no emotions`, `none`, which are read as `neutral`) stands
            against all others together: in a larger set it is held to be more common than each of them. The name
            counts, not the description; any other name opts out.
        label_template (`str`, *optional*): A sentence with `{}` around every wording; the plain label is the best
            choice for the default model. `hypothesis_template` is an alias.
        multi_label (`bool`, *optional*, defaults to `False`): Whether any number of labels may hold, each decided
            for itself though its score depends on the set. Otherwise exactly one holds and scores add up to 1.
        threshold (`"auto"`, `float`, `dict[str, float]` or `None`, *optional*, defaults to `"auto"`): The score from
            which a label is predicted; `"auto"` is 0.5 for multi-label (the checkpoint's background has set what
            0.5 means) and the best label for single-label. A dict names every label that must differ from
            `"auto"`. `None` predicts nothing: scores only.
        top_k (`int`, *optional*): Keep this many of `labels` and `scores`; `predicted` is not cut.
        dimensions (`bool`, `str`, `list[str]` or `dict`, *optional*): Built-in dimensions by name (`True` for all:
            valence, arousal, dominance; 1 to 9, 5 is the middle), or `{name: (upper labels, lower labels)}` for
            one's own (a difference of mean similarities, positive towards the upper pole).
        batch_size (`int`, *optional*): Texts in a batch; 32 for lists and data sets, 1 for generators.

    Returns, for each text:
        `dict`: `sequence`, `labels` and `scores` (best first), `predicted` (a list, `["neutral"]` where nothing
        passes and the set has no such label), and `dimensions` where asked for. A blank text is neutral.

    Raises:
        `ValueError`: naming the argument: no labels, duplicates, an empty label, a text that is no string, a
        threshold for an unknown label, a set of labels for each text, `"auto"` without a background.

    Example:

    ```python
    >>> import emodistill
    >>> from transformers import pipeline

    >>> classify = pipeline("zero-shot-emotion", labels=["joy", "anger", "relief"])
    >>> classify("How dare you lie to me again!")["predicted"]
    ['anger']

    ```
    """

    _load_processor = False
    _load_image_processor = False
    _load_feature_extractor = False
    _load_tokenizer = True

    def __init__(self, *args, **kwargs):
        self._label_cache = OrderedDict()
        self._statistics = (None, None)
        super().__init__(*args, **kwargs)
        self.model.eval()

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

    def __call__(self, inputs, labels=None, **kwargs):
        """Score one text, or a list, generator or data set of texts; see the class for arguments and output."""
        if labels is not None:
            kwargs["labels"] = labels
        if isinstance(inputs, collections.abc.Sequence) and not isinstance(inputs, str | bytes):
            inputs = list(inputs)  # tuples and data set columns
        elif hasattr(inputs, "tolist"):
            inputs = inputs.tolist()  # arrays and data frame columns
        elif isinstance(inputs, collections.abc.Iterator):
            inputs = (text for text in inputs)  # `transformers` takes only generators for streams
        if isinstance(inputs, collections.abc.Sized) and not isinstance(inputs, str) and not len(inputs):
            self._sanitize_parameters(**{k: v for k, v in kwargs.items() if k not in ("batch_size", "num_workers")})
            return []
        if kwargs.get("batch_size") is None and self._batch_size is None:
            # A generator may be a live stream: reading ahead would hold back finished results.
            kwargs["batch_size"] = 1 if isinstance(inputs, types.GeneratorType) else DEFAULT_BATCH_SIZE
        return super().__call__(inputs, **kwargs)

    def get_iterator(self, inputs, num_workers, batch_size, preprocess_params, forward_params, postprocess_params):
        """Many texts: read ahead, sort by length, and hand results back in order, as they are ready."""
        if not isinstance(batch_size, int) or batch_size < 1:
            raise ValueError(f"batch_size must be a positive integer, not {batch_size!r}")
        sized = isinstance(inputs, collections.abc.Sized)
        texts = (inputs[index] for index in range(len(inputs))) if sized else inputs
        size = batch_size * READ_AHEAD if sized else batch_size
        forward_params = {**forward_params, "batch_size": batch_size}
        self._settings(**postprocess_params)  # bad arguments are told at the call, not at the first result

        def results():
            number = 0
            for chunk in _chunks(texts, size):
                model_inputs = self.preprocess(chunk, first=number, **preprocess_params)
                model_outputs = self.forward(model_inputs, **forward_params)
                yield from self.postprocess(model_outputs, **postprocess_params)
                number += len(chunk)

        return results()

    def run_single(self, inputs, preprocess_params, forward_params, postprocess_params):
        """One text."""
        model_inputs = self.preprocess([inputs], **preprocess_params)
        return self.postprocess(self.forward(model_inputs, **forward_params), **postprocess_params)[0]

    def preprocess(self, texts, first=0):
        """Check that texts are strings."""
        for number, text in enumerate(texts, start=first):
            if not isinstance(text, str):
                table = isinstance(text, dict) or hasattr(text, "column_names")
                hint = '; name the column of texts, for instance dataset["text"]' if table else ""
                raise ValueError(f"inputs must be strings, but text {number} is {type(text).__name__}{hint}")
        return {"texts": texts}

    def _forward(self, model_inputs, batch_size=DEFAULT_BATCH_SIZE):
        with evaluating(self.model):
            embeds = encode_texts(self.model, self.tokenizer, model_inputs["texts"], batch_size)
        return {"texts": model_inputs["texts"], "embeds": embeds}

    def encode_texts(self, texts, batch_size=DEFAULT_BATCH_SIZE):
        """L2-normalised embeddings `(texts, d)` of a list of strings, fp32 on the CPU."""
        return self.forward(self.preprocess(texts), batch_size=batch_size)["embeds"]

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

    def _embedded(self, label_set):
        """A label set with its embeddings, and the model's statistics; both are kept until a weight changes."""
        with CACHE_LOCK:
            fingerprint = _fingerprint(self.model)
            if self._statistics[0] != fingerprint:
                self._statistics = (fingerprint, self.model.statistics)
            cached = self._label_cache.get(label_set)
            if cached is None or cached[0] != fingerprint:
                with evaluating(self.model):
                    embeds = encode_labels(self.model, self.tokenizer, label_set.wordings).cpu()
                self._label_cache[label_set] = cached = (fingerprint, EmbeddedLabels(label_set.names, embeds))
            self._label_cache.move_to_end(label_set)
            if len(self._label_cache) > CACHED_LABEL_SETS:
                self._label_cache.popitem(last=False)
            return cached[1], self._statistics[1]

    def _settings(self, labels=None, template=None, multi_label=False, threshold="auto", top_k=None, dimensions=None):
        """What to compute for every text: labels, their thresholds, and axes."""
        if labels is None and dimensions in (None, False):
            raise ValueError("labels is missing: give the emotion labels to choose from, for instance joy,anger")
        label_set = None if labels is None else LabelSet.parse(labels, template)
        if label_set and multi_label and self.model.background is None and _uses_auto(threshold, label_set.names):
            raise ValueError(
                'threshold="auto" needs a checkpoint with background statistics, and this one has none: '
                "give a threshold between 0 and 1, or set them with model.set_background(...)"
            )
        thresholds = None if label_set is None else _thresholds(threshold, label_set.names, multi_label)
        return label_set, thresholds, self._axes(dimensions)

    def _axes(self, dimensions):
        """`{name: None}` for built-in dimensions and `{name: (upper embeddings, lower embeddings)}` for others."""
        built_in = self.model.config.dimension_names
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
        constants = DecisionConstants.from_config(self.model.config)
        return score_labels(embeds, labels, statistics, constants, multi_label)

    def _dimension_values(self, embeds, axes):
        values = {}
        if any(poles is None for poles in axes.values()):
            head = self.model.get_dimensions(embeds.to(self.model.device, self.model.dtype)).detach().float().cpu()
            values = dict(zip(self.model.config.dimension_names, head.T.tolist(), strict=True))
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


def _chunks(texts, size):
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
        return torch.tensor([float(name == neutral) for name in names])
    return torch.full((len(names),), 1.0 / len(names))


def _add_labels(results, scores, names, thresholds, multi_label, top_k, blank):
    """Fill in `labels`, `scores` and `predicted`, of all texts at once: a thousand labels must cost little."""
    ordered = scores.sort(dim=1, descending=True, stable=True)
    order, keep = ordered.indices.numpy(), min(top_k or len(names), len(names))
    all_names = np.array(names, dtype=object)
    best, values = all_names[order[:, :keep]].tolist(), ordered.values[:, :keep].numpy().tolist()
    if thresholds is not None:
        chosen = select_labels(scores, thresholds).gather(1, ordered.indices).numpy()
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


def _fingerprint(model):
    """Changes whenever a weight, the precision or the device of the label tower does, or what extends labels.

    In-place updates raise a tensor's version and replaced tensors have another address. An edit through `.data` shows
    in neither, so values are read too: all of a small tensor, and one in every row of a large matrix.
    """
    heads = (model.label_projection.weight, model.logit_scale, model.logit_bias)
    parameters = [*model.label_encoder.parameters(), *heads, *model.buffers()]
    with torch.no_grad():
        sums = torch.stack([_sample(parameter).sum(dtype=torch.float32) for parameter in parameters])
    versions = [0 if parameter.is_inference() else parameter._version for parameter in parameters]
    places = [(parameter.data_ptr(), parameter.dtype, parameter.device) for parameter in parameters]
    return tuple(versions), tuple(places), tuple(sums.tolist())


def _sample(parameter):
    flat = parameter.detach().reshape(-1)
    if parameter.ndim == 0 or len(flat) <= SMALL_TENSOR:
        return flat
    return flat[:: max(1, parameter.shape[-1] - 1)]
