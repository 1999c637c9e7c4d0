"""The `zero-shot-emotion` pipeline: strings and labels in, dictionaries out."""

import collections.abc
import functools
from collections import Counter, OrderedDict

import torch
from transformers import Pipeline

from .calls_emodistill import DEFAULT_BATCH_SIZE, UNSET, EmotionCalls
from .constants_emodistill import DecisionConstants
from .decision_emodistill import EmbeddedLabels
from .encoding_emodistill import (
    MAX_WINDOWS,
    embed_tokenized,
    embed_windows,
    encode_labels,
    evaluating,
    forget_settings,
    mean_of_windows,
    tokenize_texts,
)
from .inputs_emodistill import texts_of
from .labels_emodistill import LabelSet
from .locks_emodistill import lock_over_forks
from .options_emodistill import read_batch_size
from .watching_emodistill import LabelSide

__all__ = ["LabelSet", "ZeroShotEmotionPipeline"]

CACHED_LABEL_SETS = 64
CACHED_WORDINGS = 10_000  # of label sets that texts bring along
CACHE_LOCK = lock_over_forks()  # not a pipeline's own, which could then be neither copied nor pickled


class ZeroShotEmotionPipeline(EmotionCalls, Pipeline):
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
        labels_per_text (`float`, *optional*): How many of the labels an annotator of yours would give a text on
            average, for multi-label; the learnt number by default.
        normalise (`bool`, *optional*): Whether texts are normalised first ([`normalise_text`]); by default as the
            checkpoint was trained.
        max_windows (`int`, *optional*, defaults to 16): Of a text longer than one window of tokens (128 in the default
            model) this many windows are read, spread evenly over it; `None` for all. Where that is not the whole text,
            `windows_read` and `windows_total` say so.
        return_windows (`bool`, *optional*, defaults to `False`): Whether to add `windows`: for each window that was
            read its part of the `text`, with labels, scores and dimensions of its own.
        errors (`str`, *optional*, defaults to `"raise"`): `"null"` gives nulls and the reason, as `error`, for each
            text that is missing or none, in place of an exception.
        progress (`bool`, *optional*, defaults to `False`): Whether to show a progress bar.
        stream (`bool`, *optional*, defaults to `False`): For live streams: results come batch by batch, without
            reading ahead; batches are of one text unless `batch_size` says otherwise.
        batch_size (`int`, *optional*, defaults to 32): Texts in a batch at most; on a processor it also holds at most
            512 tokens, which is faster.

    In a call, `None` switches off what the constructor named. Texts may be strings, or rows
    `{"text": ..., "labels": [...]}` with a label set of their own. A generator is read ahead, one batch at first, then
    ever more, because batches of like length are faster; its results come in order. `to_frame(texts, ...)` gives a
    table.

    With `multi_label`, a label that names the absence of a feeling (`not angry`, `no anger`, `without fear`,
    `stress-free`) is scored as the rest of that feeling's score, because an encoder does not read the negation;
    elsewhere (single-label, descriptions, dimensions) a warning says so.

    Returns, for each text:
        `dict`: `sequence`, `labels` and `scores` (best first), `predicted` (a list, `["neutral"]` where nothing
        passes and the set has no such label), and `dimensions` where asked for. A blank text is neutral.

    Raises:
        `ValueError`: naming the argument: no labels, one label out of which exactly one is to hold, two that differ
        in capitals alone, an empty label, a text that is no string (told before any text of a list is scored), a
        threshold for an unknown label, `"auto"` without a background.

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
    _load_video_processor = False  # undeclared, it is looked for, on the Hub for a model named `base`
    _load_feature_extractor = False
    _load_tokenizer = True

    def __new__(cls, *args, backend=None, **kwargs):
        """An exported model answers for itself, with onnxruntime: [`~serving.onnx.OnnxEmotionClassifier`]."""
        model = kwargs.get("model", args[0] if args else None)
        exported = hasattr(model, "classifier")
        if backend not in (None, "torch", "onnx") or (backend is not None and exported != (backend == "onnx")):
            fits = '"onnx", since the model is an export' if exported else '"torch", since the model is no export'
            raise ValueError(f"backend must be {fits}, not {backend!r}")
        return model.classifier(**{**kwargs, "model": None}) if exported else super().__new__(cls)

    def __init__(self, *args, backend=None, **kwargs):
        self._forget()
        if damage := getattr(kwargs.get("model", args[0] if args else None), "damage", None):
            raise ValueError(damage)
        super().__init__(*args, **kwargs)
        if self._batch_size is not None:
            read_batch_size(self._batch_size)
        forget_settings(self.tokenizer)
        self.model.eval()

    def _forget(self):
        """What use leaves behind: nothing of it is part of the pipeline."""
        self._label_cache, self._wording_cache = OrderedDict(), OrderedDict()
        self._label_side, self._statistics, self._constants = LabelSide(), None, None
        self._already_told = set()

    def __getstate__(self):
        # `datasets` knows a function that it has mapped before by its pickle, which use must not change.
        state = {name: value for name, value in self.__dict__.items() if name not in PASSING}
        return {**state, "call_count": 0}

    def __setstate__(self, state):
        self.__dict__.update(state)
        self._forget()

    def __call__(self, inputs, labels=UNSET, **kwargs):
        """Score one text, or a list, generator or data set of texts; see the class for arguments and output."""
        if labels is not UNSET:
            kwargs["labels"] = labels
        inputs = texts_of(inputs)
        if kwargs.get("batch_size") is not None:
            read_batch_size(kwargs["batch_size"])  # wrong for one text too, which needs none
        if isinstance(inputs, collections.abc.Iterator):
            inputs = (text for text in inputs)  # `transformers` takes only generators for streams
        if isinstance(inputs, collections.abc.Sized) and not isinstance(inputs, str) and not len(inputs):
            self._sanitize_parameters(**{k: v for k, v in kwargs.items() if k not in ("batch_size", "num_workers")})
            return []
        if kwargs.get("batch_size") is None and self._batch_size is None:
            live = kwargs.get("stream", self._preprocess_params.get("stream", False))
            kwargs["batch_size"] = 1 if live else DEFAULT_BATCH_SIZE
        return super().__call__(inputs, **kwargs)

    def get_iterator(self, inputs, num_workers, batch_size, preprocess_params, forward_params, postprocess_params):
        """Results of many texts in order, see [`~calls_emodistill.EmotionCalls`]."""

        def begin(model_inputs, batch_size, progress):
            return functools.partial(
                self.forward, model_inputs, **forward_params, batch_size=batch_size, progress=progress
            )

        return self._results(inputs, batch_size, begin, preprocess_params, postprocess_params)

    def run_single(self, inputs, preprocess_params, forward_params, postprocess_params):
        """One text."""
        model_inputs = self.preprocess([inputs], **self._reading(preprocess_params, postprocess_params))
        return self.postprocess(self.forward(model_inputs, **forward_params), **postprocess_params)[0]

    def _forward(
        self,
        model_inputs,
        batch_size=DEFAULT_BATCH_SIZE,
        progress=None,
        max_windows=MAX_WINDOWS,
        return_windows=False,
        normalise=None,
    ):
        texts = model_inputs["texts"]
        tokenized = tokenize_texts(
            self.tokenizer, self.model.config, texts, max_windows, normalise, with_parts=return_windows
        )
        with evaluating(self.model):
            embeds = embed_windows(self.model, tokenized, batch_size, progress=progress)
        outputs = {**model_inputs, "embeds": mean_of_windows(tokenized, embeds), "plain": tokenized.plain}
        if len(tokenized.windows) > len(texts):
            read = Counter(tokenized.owners)
            outputs |= {"totals": tokenized.totals, "read": [read[place] for place in range(len(texts))]}
        if return_windows:
            outputs["windows"] = {"texts": tokenized.parts, "embeds": embeds, "owners": tokenized.owners}
        return outputs

    def tokenize_texts(self, texts, max_windows=MAX_WINDOWS, normalise=None):
        """[`TokenizedTexts`] of strings, see [`~encoding_emodistill.tokenize_texts`]; a second thread may do this."""
        return tokenize_texts(self.tokenizer, self.model.config, texts, max_windows, normalise)

    def embed_tokenized(self, tokenized, batch_size=DEFAULT_BATCH_SIZE, progress=None):
        """Their L2-normalised embeddings `(texts, d)`, fp32 on the CPU."""
        with evaluating(self.model):
            return embed_tokenized(self.model, tokenized, batch_size, progress=progress).cpu()

    @property
    def language(self):
        """`str` or `None`: the language of the texts that the model reads."""
        return getattr(self.model.config, "language", "en")

    @property
    def dimension_names(self):
        """`list[str]`: the model's built-in dimensions."""
        return self.model.config.dimension_names

    @property
    def constants(self):
        """[`DecisionConstants`]: those of the model's configuration."""
        decision = self.model.config.decision
        if self._constants is None or self._constants[0] != decision:
            self._constants = dict(decision), DecisionConstants.from_config(decision)
        return self._constants[1]

    @property
    def background(self):
        """`tuple(torch.Tensor, torch.Tensor)` or `None`: the model's, see `EmoDistillModel.background`."""
        return self.model.background

    def _head(self, embeds):
        embeds = embeds.to(self.model.device, self.model.dtype)
        return self.model.get_dimensions(embeds).detach().float().cpu().tolist()

    def remember_labels(self, label_set, embeds):
        """
        Keep embeddings of a label set as if they had been computed here, until a weight changes.

        Args:
            label_set ([`LabelSet`]): The labels.
            embeds (`torch.Tensor` of shape `(labels, d)`): Their embeddings, fp32 on the CPU; not checked here, see
                [`~serving.label_bank.LabelBank`].
        """
        with CACHE_LOCK:
            self._current()
            if label_set not in self._label_cache:
                _keep(self._label_cache, label_set, EmbeddedLabels(label_set.names, embeds), CACHED_LABEL_SETS)

    def _embedded(self, label_set):
        """A label set with its embeddings, and the model's statistics; both are kept until a weight changes."""
        with CACHE_LOCK:
            self._current()
            cached = self._label_cache.get(label_set)
            if cached is None:
                cached = EmbeddedLabels(label_set.names, self._wordings_of(label_set))
                _keep(self._label_cache, label_set, cached, CACHED_LABEL_SETS)
            self._label_cache.move_to_end(label_set)
            return cached, self._statistics

    def _current(self):
        """Empty the caches if the model has changed."""
        if self._label_side.has_changed(self.model) or self._statistics is None:
            self._label_cache.clear()
            self._wording_cache.clear()
            self._statistics = self.model.statistics

    def _wordings_of(self, label_set):
        """Embeddings of a label set, out of the cache where texts with sets of their own have filled it."""
        known = [self._wording_cache.get(wording) for wordings in label_set.wordings for wording in wordings]
        if all(len(wordings) == 1 for wordings in label_set.wordings) and all(embed is not None for embed in known):
            return torch.stack(known)
        with evaluating(self.model):
            return encode_labels(self.model, self.tokenizer, label_set.wordings).cpu()

    def _expect(self, label_sets):
        """Embed the wordings of many label sets at once, before each is asked for."""
        with CACHE_LOCK:
            self._current()
            wordings = dict.fromkeys(w for label_set in label_sets for names in label_set.wordings for w in names)
            missing = [wording for wording in wordings if wording not in self._wording_cache]
            if missing:
                with evaluating(self.model):
                    embeds = encode_labels(self.model, self.tokenizer, missing).cpu()
                for wording, embed in zip(missing, embeds, strict=True):
                    _keep(self._wording_cache, wording, embed, max(CACHED_WORDINGS, len(wordings)))


# What use leaves in a pipeline.
PASSING = ("_label_cache", "_wording_cache", "_label_side", "_statistics", "_constants", "_already_told")


def _keep(cache, key, value, most):
    cache[key] = value
    while len(cache) > most:
        cache.popitem(last=False)
