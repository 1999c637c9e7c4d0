"""Exported models at work: NumPy, tokenizers and onnxruntime, neither torch nor transformers.

`emodistill.load(folder)` gives an [`OnnxEmotionClassifier`]: the same call as the pipeline, and the same answer.
"""

import collections.abc
import hashlib
import itertools
import json
import os
import types
from collections import Counter, OrderedDict, deque
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from ..arrays_emodistill import normalised
from ..calls_emodistill import DEFAULT_BATCH_SIZE, UNSET, EmotionCalls
from ..constants_emodistill import DecisionConstants
from ..decision_emodistill import EmbeddedLabels, LabelStatistics
from ..fingerprint import file_digest
from ..inputs_emodistill import is_alone, texts_of
from ..locks_emodistill import lock_over_forks
from ..normalisation_emodistill import spell_emoji
from ..options_emodistill import read_batch_size, read_threads
from ..tokenizing_emodistill import (
    MAX_WINDOWS,
    TOKENIZER_LOCK,
    TOKENS_AT_ONCE,
    batches_of_like_length,
    forget_settings,
    tokenize_texts,
)
from .safetensors_file import read_safetensors

__all__ = [
    "DIGESTED",
    "FORMAT",
    "LABELS",
    "LABEL_TOWER",
    "SETTINGS",
    "STATISTICS",
    "TEXT_TOWER",
    "OnnxEmotionClassifier",
    "is_export",
]  # fmt: skip

FORMAT = 1
SETTINGS, STATISTICS, LABELS = "emodistill_onnx.json", "decision.safetensors", "labels.safetensors"
TEXT_TOWER, LABEL_TOWER = os.path.join("onnx", "model.onnx"), os.path.join("onnx", "label_model.onnx")
STATISTICS_PARTS = {
    "background": ("mean", "covariance"),
    "reference": ("embeds", "directions"),
    "dimension": ("weight", "bias"),
}
DIGESTED = ("tokenizer.json", STATISTICS, LABELS, TEXT_TOWER, LABEL_TOWER)
CACHED_LABEL_SETS = 64
EXPORTS_LOCK = lock_over_forks()  # over what is loaded when it is first asked for, and what is kept
AHEAD = 4  # batches for each thread that wait for it or are in work: it must not run dry while others are prepared
# onnxruntime joins an addition and a layer norm to an operator that takes several times as long as the two.
SLOW_FUSIONS = ["SkipLayerNormFusion"]


def is_export(folder):
    """Whether a folder is what `emodistill export` writes."""
    return os.path.isfile(os.path.join(folder, SETTINGS))


def _providers(device):
    """Execution providers for a device as a pipeline takes it."""
    name = {None: "cpu", -1: "cpu"}.get(device, f"cuda:{device}" if isinstance(device, int) else str(device))
    kind, _, number = name.partition(":")
    if kind == "cpu":
        return ["CPUExecutionProvider"]
    import onnxruntime

    if kind != "cuda" or "CUDAExecutionProvider" not in onnxruntime.get_available_providers():
        raise ValueError(
            f"device {name!r} is not available to onnxruntime on this machine; cpu always is, and cuda comes with "
            "onnxruntime-gpu"
        )
    return [("CUDAExecutionProvider", {"device_id": int(number or 0)}), "CPUExecutionProvider"]


class Tokenizer:
    """
    A tokenizer file, used as those of transformers are.

    Args:
        path (`str`): A `tokenizer.json`.
        pad_token_id (`int`): Id of the padding token.

    Attributes:
        backend_tokenizer (`tokenizers.Tokenizer`): What reads texts.
    """

    def __init__(self, path, pad_token_id):
        from tokenizers import Tokenizer as Backend

        self.backend_tokenizer = Backend.from_file(path)
        self.pad_token_id = pad_token_id

    def ids(self, texts, max_length):
        """Token ids of texts, a list of each, cut at `max_length`."""
        with TOKENIZER_LOCK:
            self.backend_tokenizer.no_padding()
            self.backend_tokenizer.enable_truncation(max_length)
            encoded = self.backend_tokenizer.encode_batch(texts)
            forget_settings(self)
        return [encoding.ids for encoding in encoded]


def _processors():
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _threads_of_environment():
    """What `OMP_NUM_THREADS` says of the outermost level (`4,2`); `None` where it says nothing, as OpenMP reads it."""
    outermost = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(outermost) or None if outermost.isdecimal() else None


def _cannot_run(file, error):
    """onnxruntime's own kinds of errors, over several lines, as one that commands tell in a sentence."""
    said = str(error).strip() or type(error).__name__
    return ValueError(f"{file} cannot be run: {said.splitlines()[0][:200]}")


def _in_order(pool, function, values, ahead):
    """Results in order; so many values are taken and worked on before the first result is asked for."""
    waiting = deque(pool.submit(function, value) for value in itertools.islice(values, ahead))

    def results():
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(pool.submit(function, value) for value in itertools.islice(values, 1))
            yield result

    return results()


def _mean_of_windows(tokenized, embeds):
    """Embeddings of texts, of each the mean of its windows by their tokens; as `encoding_emodistill` does in torch."""
    if len(tokenized.windows) == tokenized.texts:
        return embeds
    weights = np.array([len(window) for window in tokenized.windows], dtype=np.float32)
    summed = np.zeros((tokenized.texts, embeds.shape[1]), dtype=np.float32)
    np.add.at(summed, tokenized.owners, embeds * weights[:, None])
    return normalised(summed)


class OnnxEmotionClassifier(EmotionCalls):
    r"""
    Scores texts against any emotion labels and dimensions with an exported model.

    Args:
        folder (`str`): What `emodistill export` wrote.
        labels (`list[str]`, `str` or `dict`, *optional*): Labels for calls that name none, and likewise every other
            argument of a call of [`ZeroShotEmotionPipeline`].
        threads (`int`, *optional*): Threads; one for each core by default, or `OMP_NUM_THREADS`. They share one batch,
            or several batches out among them.
        providers (`list[str]`, *optional*): Execution providers of onnxruntime; those of the device by default.
        device (`str` or `int`, *optional*): `"cpu"` (the default) or `"cuda:0"`, as a pipeline takes it.

    Raises:
        `ValueError`: if the folder is no export, or one that this version cannot read, or for a device that
            onnxruntime does not have here.

    Example:

    ```python
    >>> import emodistill

    >>> classify = emodistill.load("exported", labels=["joy", "anger", "relief"])  # doctest: +SKIP
    >>> classify("How dare you lie to me again!")["predicted"]  # doctest: +SKIP
    ['anger']

    ```
    """

    def __init__(self, folder, threads=None, providers=None, batch_size=None, device=None, **options):
        self.folder = os.fspath(folder)
        if not is_export(self.folder):
            raise ValueError(f"{self.folder} is no exported model: emodistill export CHECKPOINT writes one")
        self.settings, self.config = self._read(SETTINGS), types.SimpleNamespace(**self._read("config.json"))
        if self.settings.get("format") != FORMAT:
            raise ValueError(
                f"{self.folder} was exported in format {self.settings.get('format')!r}, and this emodistill reads "
                f"{FORMAT}: export the checkpoint anew, or update the package"
            )
        for name in DIGESTED:
            self._check_file(name, read=name not in (TEXT_TOWER, LABEL_TOWER))  # these where they are first run
        self.constants = DecisionConstants.from_config(self.config.decision)
        self.dimension_names = self.config.dimension_names
        self.statistics, self._dimension_head = self._read_statistics()
        self._bank = self._read_labels()
        self._threads = read_threads(threads) or _threads_of_environment() or _processors()
        self._providers = providers or _providers(device)
        self._sessions, self._tokenizer = {}, None
        self._workers = None
        self._label_cache = OrderedDict()
        self._batch_size = None if batch_size is None else read_batch_size(batch_size)
        self._parameters = self._sanitize_parameters(**options)

    def __getstate__(self):
        # What use makes stays here: another process, or a copy, runs the folder's towers by itself.
        made = {"_sessions": {}, "_tokenizer": None, "_workers": None, "_label_cache": OrderedDict()}
        return {**self.__dict__, **made, "_already_told": set()}

    def _read(self, name):
        path = os.path.join(self.folder, name)
        try:
            with open(path, encoding="utf-8") as file:
                content = json.load(file)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{path} is damaged: {error}") from None
        if not isinstance(content, dict):
            raise ValueError(f"{path} is damaged: it is no JSON object")
        return content

    def _check_file(self, name, read=True):
        """Refuse a file that is not the one which was exported: another model's, or damaged, it might give numbers."""
        path = os.path.join(self.folder, name)
        known = self.settings.get("sha256")
        wanted = known.get(name.replace(os.sep, "/")) if isinstance(known, dict) else None
        if wanted is None:  # an older export, or one without labels
            return
        if not os.path.isfile(path):
            raise ValueError(f"{path} is missing: export the checkpoint anew, or copy the folder whole")
        if read and file_digest(path) != wanted:
            raise ValueError(f"{path} is damaged, or of another export: export the checkpoint anew, or copy it again")

    def _read_statistics(self):
        arrays, notes = read_safetensors(os.path.join(self.folder, STATISTICS))
        pairs = {
            name: tuple(arrays[f"{name}_{part}"] for part in parts) if f"{name}_{parts[0]}" in arrays else None
            for name, parts in STATISTICS_PARTS.items()
        }
        logit = tuple(json.loads(notes["logit"]))
        priors = arrays.get("reference_priors")
        return LabelStatistics(pairs["background"], pairs["reference"], priors, logit), pairs["dimension"]

    def _read_labels(self):
        path = os.path.join(self.folder, LABELS)
        if not os.path.isfile(path):
            return {}
        arrays, notes = read_safetensors(path)
        wordings = [tuple(texts) for texts in json.loads(notes["wordings"])]
        return dict(zip(wordings, arrays["embeds"], strict=True))

    def digest(self):
        """`str`: of all that its answers depend on; another export has another one."""
        total = hashlib.blake2b(digest_size=16)
        for path in (SETTINGS, "config.json", *DIGESTED):
            if os.path.isfile(file := os.path.join(self.folder, path)):
                with open(file, "rb") as content:
                    total.update(path.encode() + hashlib.file_digest(content, "blake2b").digest())
        return total.hexdigest()

    # ---- towers

    @property
    def _on_processor(self):
        return self._providers == ["CPUExecutionProvider"]

    def _session(self, path, threads):
        with EXPORTS_LOCK:
            if (path, threads) not in self._sessions:
                import onnxruntime

                options = onnxruntime.SessionOptions()
                options.log_severity_level = 3
                options.intra_op_num_threads = threads
                self._check_file(path)
                file = os.path.join(self.folder, path)
                try:
                    session = onnxruntime.InferenceSession(
                        file,
                        options,
                        providers=self._providers,
                        disabled_optimizers=SLOW_FUSIONS if self._on_processor else [],
                    )
                except Exception as error:
                    raise _cannot_run(file, error) from None
                self._sessions[path, threads] = session, [session.get_outputs()[0].name]
            return self._sessions[path, threads]

    @property
    def tokenizer(self):
        """[`Tokenizer`]: the folder's."""
        with EXPORTS_LOCK:
            if self._tokenizer is None:
                self._tokenizer = Tokenizer(os.path.join(self.folder, "tokenizer.json"), self.settings["pad_token_id"])
            return self._tokenizer

    def _run(self, path, rows, batch_size, progress=None):
        """First output of a tower for rows of token ids, in their order; batches hold rows of like length."""
        return self._started(path, rows, batch_size, progress)()

    def _started(self, path, rows, batch_size, progress=None):
        """A function that gives what [`_run`] gives; the first batches are being computed already."""
        batches = batches_of_like_length(rows, batch_size, TOKENS_AT_ONCE if self._on_processor else None)
        feeds = (self._feed([rows[place] for place in batch]) for batch in batches)
        results = self.run_batches(path, feeds, len(batches))

        def finish():
            output = np.empty((len(rows), self.config.projection_dim), dtype=np.float32)
            for batch in progress(batches) if progress else batches:
                output[batch] = next(results)
            return output

        return finish

    def _feed(self, rows):
        """Token ids and attention mask of rows, padded to the longest."""
        ids = np.full((len(rows), max(map(len, rows))), self.settings["pad_token_id"], dtype=np.int64)
        mask = np.zeros_like(ids)
        for place, row in enumerate(rows):
            ids[place, : len(row)] = row
            mask[place, : len(row)] = 1
        return {"input_ids": ids, "attention_mask": mask}

    def run_batches(self, path, feeds, number):
        """
        First output of a tower for each batch, in order.

        Several batches are shared out among the threads, each of which runs its own from end to end: threads that
        share one batch wait for each other after every operator.

        Args:
            path (`str`): The tower's file.
            feeds (`Iterable[dict[str, numpy.ndarray]]`): `input_ids` and `attention_mask` of each batch.
            number (`int`): How many there are.

        Returns:
            iterator of `numpy.ndarray` of shape `(batch, d)`
        """
        shared_out = self._on_processor and self._threads > 1 and number > 1
        session, names = self._session(path, 1 if shared_out else self._threads)

        def run(feed):
            try:
                return session.run(names, feed)[0]
            except Exception as error:  # a batch that memory does not hold, for instance
                raise _cannot_run(os.path.join(self.folder, path), error) from None

        return _in_order(self._pool(), run, iter(feeds), AHEAD * self._threads) if shared_out else map(run, feeds)

    def _pool(self):
        """The threads that batches are shared out among; a forked process needs its own."""
        with EXPORTS_LOCK:
            if self._workers is None or self._workers[0] != os.getpid():
                self._workers = os.getpid(), ThreadPoolExecutor(self._threads, "onnx")
            return self._workers[1]

    def tokenize_texts(self, texts, max_windows=MAX_WINDOWS, normalise=None):
        """[`~tokenizing_emodistill.TokenizedTexts`] of strings; a second thread may do this."""
        return tokenize_texts(self.tokenizer, self.config, texts, max_windows, normalise)

    def embed_tokenized(self, tokenized, batch_size=DEFAULT_BATCH_SIZE, progress=None):
        """
        Embeddings of tokenised texts, as [`~encoding_emodistill.embed_tokenized`] gives them.

        Args:
            tokenized ([`TokenizedTexts`]): The texts.
            batch_size (`int`, *optional*, defaults to 32): Windows in a batch at most.
            progress (`Callable`, *optional*): Wraps the iterator of batches.

        Returns:
            `numpy.ndarray` of shape `(texts, d)`: L2-normalised, fp32.
        """
        return self.start_embedding(tokenized, batch_size, progress)()

    def start_embedding(self, tokenized, batch_size=DEFAULT_BATCH_SIZE, progress=None):
        """As [`embed_tokenized`], but a function that gives the embeddings: its first batches are computed already."""
        windows = self._started(TEXT_TOWER, tokenized.windows, batch_size, progress)
        return lambda: _mean_of_windows(tokenized, windows())

    def _forward(self, model_inputs, batch_size, progress=None, **how_read):
        return self._begin(model_inputs, batch_size, progress, **how_read)()

    def _begin(
        self, model_inputs, batch_size, progress=None, max_windows=MAX_WINDOWS, return_windows=False, normalise=None
    ):
        """A function that gives the embeddings of texts and all that goes with them; they are under way already."""
        texts = model_inputs["texts"]
        tokenized = tokenize_texts(self.tokenizer, self.config, texts, max_windows, normalise, return_windows)
        finish = self._started(TEXT_TOWER, tokenized.windows, batch_size, progress)
        return lambda: self._outputs(model_inputs, tokenized, finish(), return_windows)

    @staticmethod
    def _outputs(model_inputs, tokenized, windows, return_windows):
        texts = model_inputs["texts"]
        outputs = {**model_inputs, "embeds": _mean_of_windows(tokenized, windows), "plain": tokenized.plain}
        if len(tokenized.windows) > len(texts):
            read = Counter(tokenized.owners)
            outputs |= {"totals": tokenized.totals, "read": [read[place] for place in range(len(texts))]}
        if return_windows:
            outputs["windows"] = {"texts": tokenized.parts, "embeds": windows, "owners": tokenized.owners}
        return outputs

    def _embed_wordings(self, wordings):
        """Embeddings of labels, each the mean of its wordings; those of the folder's label bank are not made anew."""
        missing = [texts for texts in dict.fromkeys(wordings) if texts not in self._bank]
        known = {texts: self._bank[texts] for texts in wordings if texts in self._bank}
        if missing:
            flat = [text for texts in missing for text in texts]
            if self.config.spell_emoji or self.config.normalise_texts:
                flat = [spell_emoji(text) for text in flat]  # as texts are
            rows = self.tokenizer.ids(flat, self.settings["longest_label"])
            embeds = self._run(LABEL_TOWER, rows, batch_size=256)
            summed = np.zeros((len(missing), embeds.shape[1]), dtype=np.float32)
            np.add.at(summed, [place for place, texts in enumerate(missing) for _ in texts], embeds)
            known.update(zip(missing, normalised(summed), strict=True))
        return np.stack([known[texts] for texts in wordings])

    # ---- what EmotionCalls asks for

    @property
    def language(self):
        """`str` or `None`: the language of the texts that the model reads."""
        return getattr(self.config, "language", "en")

    @property
    def background(self):
        """`tuple(numpy.ndarray, numpy.ndarray)` or `None`: mean `(d,)` and covariance `(d, d)`."""
        return self.statistics.background

    def _embedded(self, label_set):
        with EXPORTS_LOCK:
            if label_set not in self._label_cache:
                embeds = self._embed_wordings(label_set.wordings)
                self._label_cache[label_set] = EmbeddedLabels(label_set.names, embeds)
                if len(self._label_cache) > CACHED_LABEL_SETS:
                    self._label_cache.popitem(last=False)
            return self._label_cache[label_set], self.statistics

    def _head(self, embeds):
        weight, bias = self._dimension_head
        return (5.0 + 4.0 * (embeds @ weight.T + bias)).tolist()

    # ---- calls

    def __call__(self, inputs, labels=UNSET, batch_size=None, **kwargs):
        """Score one text, or a list, generator or data set of texts; as [`ZeroShotEmotionPipeline`]."""
        if labels is not UNSET:
            kwargs["labels"] = labels
        if batch_size is not None:
            read_batch_size(batch_size)  # wrong for one text too, which needs none
        given = self._sanitize_parameters(**kwargs)
        reading, forward, options = ({**kept, **new} for kept, new in zip(self._parameters, given, strict=True))
        inputs = texts_of(inputs)
        if is_alone(inputs):
            model_inputs = self.preprocess([inputs], **self._reading(reading, options))
            return self.postprocess(self._forward(model_inputs, 1, **forward), **options)[0]
        if isinstance(inputs, collections.abc.Sized) and not len(inputs):
            return []
        size = batch_size if batch_size is not None else self._batch_size
        size = size if size is not None else 1 if reading.get("stream") else DEFAULT_BATCH_SIZE

        def begin(model_inputs, batch_size, progress):
            return self._begin(model_inputs, batch_size, progress, **forward)

        results = self._results(inputs, size, begin, reading, options)
        return list(results) if isinstance(inputs, list) else results

    @property
    def _forward_params(self):
        return self._parameters[1]

    @property
    def _postprocess_params(self):
        return self._parameters[2]

    def __repr__(self):
        return f"OnnxEmotionClassifier({self.folder!r}, quantize={self.settings.get('quantize')!r})"
