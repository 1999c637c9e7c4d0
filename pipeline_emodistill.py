"""The `zero-shot-emotion` pipeline: strings and labels in, dictionaries out."""

import collections.abc
import threading
import types
from collections import OrderedDict

import torch
from transformers import Pipeline

from .calls_emodistill import EmotionCalls, chunks
from .constants_emodistill import DecisionConstants
from .decision_emodistill import EmbeddedLabels
from .encoding_emodistill import encode_labels, encode_texts, evaluating
from .labels_emodistill import LabelSet

__all__ = ["LabelSet", "ZeroShotEmotionPipeline"]

READ_AHEAD = 64  # batches read ahead of a list or data set, to sort their texts by length
DEFAULT_BATCH_SIZE = 32
CACHED_LABEL_SETS = 64
CACHE_LOCK = threading.Lock()  # not a pipeline's own, which could then be neither copied nor pickled
SMALL_TENSOR = 2**16  # values; a tensor up to this size is read in full to see whether it changed


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
        if damage := getattr(kwargs.get("model", args[0] if args else None), "damage", None):
            raise ValueError(damage)
        super().__init__(*args, **kwargs)
        self.model.eval()

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
            for chunk in chunks(texts, size):
                model_inputs = self.preprocess(chunk, first=number, **preprocess_params)
                model_outputs = self.forward(model_inputs, **forward_params)
                yield from self.postprocess(model_outputs, **postprocess_params)
                number += len(chunk)

        return results()

    def run_single(self, inputs, preprocess_params, forward_params, postprocess_params):
        """One text."""
        model_inputs = self.preprocess([inputs], **preprocess_params)
        return self.postprocess(self.forward(model_inputs, **forward_params), **postprocess_params)[0]

    def _forward(self, model_inputs, batch_size=DEFAULT_BATCH_SIZE):
        with evaluating(self.model):
            embeds = encode_texts(self.model, self.tokenizer, model_inputs["texts"], batch_size)
        return {"texts": model_inputs["texts"], "embeds": embeds}

    def encode_texts(self, texts, batch_size=DEFAULT_BATCH_SIZE):
        """L2-normalised embeddings `(texts, d)` of a list of strings, fp32 on the CPU."""
        return self.forward(self.preprocess(texts), batch_size=batch_size)["embeds"]

    @property
    def dimension_names(self):
        """`list[str]`: the model's built-in dimensions."""
        return self.model.config.dimension_names

    @property
    def constants(self):
        """[`DecisionConstants`]: those of the model's configuration."""
        return DecisionConstants.from_config(self.model.config)

    @property
    def background(self):
        """`tuple(torch.Tensor, torch.Tensor)` or `None`: the model's, see `EmoDistillModel.background`."""
        return self.model.background

    def _head(self, embeds):
        embeds = embeds.to(self.model.device, self.model.dtype)
        return self.model.get_dimensions(embeds).detach().float().cpu().tolist()

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
