"""Label banks: labels embedded once, kept in a file, shared by processes and by models of one label space.

A bank is a safetensors file, so that NumPy and safetensors are enough to read one:

| tensor | shape | what |
|---|---|---|
| `embeds` | `(labels, d)` | fp32, L2-normalised |
| `probe` | `(probes, d)` | embeddings of fixed words, by which another label space shows |
| `mean`, `deviation` | `(labels,)` | of the labels' similarities over the background of the model that built it |

Its metadata hold `format`, `names` and `wordings` (JSON), `label_space` and, where there are statistics, `background`:
digests of the label tower and of the background that they follow from. Where plain labels name the absence of a
feeling (`not joy`), there is `absent`, their feelings (JSON), and the `template` around wordings, if there is one.
"""

import hashlib
import json
import os
import re
import warnings
from collections.abc import Mapping

import numpy as np

__all__ = ["PROBES", "LabelBank", "background_digest", "label_space"]

FORMAT = "emodistill label bank 1"
PROBES = (
    "joy", "anger", "sadness", "fear", "relief", "pride", "shame", "boredom", "gratitude", "envy", "hope", "disgust",
    "quiet contentment", "bitter disappointment", "nervous excitement", "neutral",
)  # fmt: skip
# Storing the default label tower in eight bits leaves the lowest cosine at 0.9994.
SAME_SPACE = 0.998


class LabelBank(Mapping):
    """
    Labels with their wordings, embeddings and statistics; a mapping from names to wordings.

    Args:
        names (`Sequence[str]`): The labels as results show them.
        wordings (`Sequence[Sequence[str]]`): For each label what was embedded: one wording, or several, averaged.
        embeds (`np.ndarray` of shape `(labels, d)`): Embeddings, fp32 and L2-normalised.
        probe (`np.ndarray` of shape `(probes, d)`): Embeddings of [`PROBES`] in the same label space.
        label_space (`str`): See [`label_space`].
        statistics (`dict`, *optional*): `mean` and `deviation` `(labels,)` over a background, and its digest,
            `background`; models with another background compute their own.
        absent (`dict[str, str]`, *optional*): For labels that name the absence of a feeling, the feeling; see
            [`absent_feeling`].
        template (`str`, *optional*): The sentence that stands around the wordings.

    Raises:
        `ValueError`: if these do not fit together.

    Example:

    ```python
    >>> import tempfile
    >>> from transformers import pipeline
    >>> import emodistill
    >>> from emodistill import LabelBank

    >>> classify = pipeline("zero-shot-emotion")
    >>> bank = LabelBank.build(classify, {"joy": ["joy", "delight"], "anger": "anger", "relief": "relief"})
    >>> bank.save(path := tempfile.mkdtemp() + "/labels.safetensors")
    >>> classify("How dare you!", labels=LabelBank.load(path))["predicted"]
    ['anger']

    ```
    """

    def __init__(self, names, wordings, embeds, probe, label_space, statistics=None, absent=None, template=None):
        self.names = tuple(names)
        self.wordings = tuple((texts,) if isinstance(texts, str) else tuple(texts) for texts in wordings)
        self.embeds, self.probe, self.label_space = embeds, probe, label_space
        self.statistics, self.absent, self.template = statistics or {}, dict(absent or {}), template
        counts = {len(self.names), len(self.wordings), len(embeds)}
        counts |= {len(self.statistics[name]) for name in ("mean", "deviation") if name in self.statistics}
        if len(counts) > 1 or len(set(self.names)) < len(self.names) or embeds.ndim != 2:
            raise ValueError("a label bank needs distinct names, and one wording and one embedding for each")
        if not all(isinstance(name, str) for name in (*self.names, *(text for one in self.wordings for text in one))):
            raise ValueError("a label bank's names and wordings must be strings")
        if not set(self.absent) <= set(self.names) or not all(isinstance(name, str) for name in self.absent.values()):
            raise ValueError("a label bank's absent feelings must be strings, each of one of its labels")
        if not isinstance(template, str | None):
            raise ValueError("a label bank's template must be a string")
        if probe.ndim != 2 or probe.shape[1] != embeds.shape[1]:
            raise ValueError("a label bank's probe must have as many dimensions as its embeddings")
        self._places = {name: place for place, name in enumerate(self.names)}

    @classmethod
    def build(cls, classify, labels, label_template=None):
        """
        Embed labels with a pipeline.

        Args:
            classify ([`ZeroShotEmotionPipeline`]): The pipeline.
            labels (`list[str]`, `str` or `dict`): As the pipeline takes them.
            label_template (`str`, *optional*): A sentence with `{}` for each wording.

        Returns:
            [`LabelBank`]

        Raises:
            `ValueError`: for labels that the pipeline does not take.
        """
        from ..labels_emodistill import LabelSet

        label_set = LabelSet.parse(labels, label_template)
        embeds = classify.encode_labels(label_set)
        known = zip(label_set.names, label_set.absent, strict=False)  # of a set without any it is empty
        absent = {name: feeling for name, feeling in known if feeling is not None}
        return cls(
            label_set.names,
            label_set.wordings,
            embeds.numpy().astype(np.float32),
            _probe(classify),
            label_space(classify.model, classify.tokenizer),
            _statistics(embeds, classify.model.background),
            absent,
            label_set.template if absent else None,
        )

    # ---- a mapping, so that it stands wherever `{label: wordings}` does

    def __getitem__(self, name):
        return list(self.wordings[self._places[name]])

    def __iter__(self):
        return iter(self.names)

    def __len__(self):
        return len(self.names)

    def __repr__(self):
        shown = ", ".join(self.names[:5]) + (", ..." if len(self) > 5 else "")
        return f"LabelBank({len(self)} labels: {shown}; label space {self.label_space[:12]})"

    __hash__ = None

    def select(self, names):
        """
        Some of the labels, in the order given.

        Args:
            names (`Sequence[str]`): Their names.

        Returns:
            [`LabelBank`]

        Raises:
            `ValueError`: naming those that the bank does not hold.
        """
        if missing := [name for name in names if name not in self._places]:
            raise ValueError(f"the label bank does not hold {', '.join(map(repr, missing))}")
        places = [self._places[name] for name in names]
        statistics = {
            name: value[places] if isinstance(value, np.ndarray) else value for name, value in self.statistics.items()
        }
        wordings = [self.wordings[place] for place in places]
        absent = {name: self.absent[name] for name in names if name in self.absent}
        embeds = self.embeds[places]
        return LabelBank(names, wordings, embeds, self.probe, self.label_space, statistics, absent, self.template)

    # ---- files

    def save(self, path):
        """
        Write the bank, whole or not at all.

        Args:
            path (`str` or `Path`): A file, by custom `NAME.safetensors`.
        """
        from safetensors.numpy import save

        from ..files import write_bytes

        metadata = {
            "format": FORMAT,
            "names": json.dumps(self.names, ensure_ascii=False),
            "wordings": json.dumps(self.wordings, ensure_ascii=False),
            "label_space": self.label_space,
        }
        if self.absent:
            metadata["absent"] = json.dumps(self.absent, ensure_ascii=False)
            metadata |= {} if self.template is None else {"template": self.template}
        tensors = {"embeds": self.embeds, "probe": self.probe}
        for name, value in self.statistics.items():
            (tensors if isinstance(value, np.ndarray) else metadata)[name] = value
        tensors = {name: np.ascontiguousarray(value, dtype=np.float32) for name, value in tensors.items()}
        write_bytes(path, save(tensors, metadata=metadata))

    @classmethod
    def load(cls, path):
        """
        Read a bank. Embeddings are mapped, not copied: processes that load one file share one copy in memory.

        Args:
            path (`str` or `Path`): The file.

        Returns:
            [`LabelBank`]: with read-only arrays.

        Raises:
            `ValueError`: if the file is no label bank, or damaged.
            `OSError`: if it cannot be read.
        """
        from safetensors import SafetensorError, safe_open

        path = os.fspath(path)
        try:
            with safe_open(path, framework="numpy") as file:
                metadata, names = file.metadata() or {}, set(file.keys())
        except SafetensorError as error:
            raise ValueError(f"{path} is no label bank, or it is damaged: {error}") from None
        if metadata.get("format") != FORMAT or not {"embeds", "probe"} <= names:
            raise ValueError(f"{path} is a safetensors file, but no label bank of this version")
        arrays = _mapped(path)
        statistics = {name: arrays[name] for name in ("mean", "deviation") if name in arrays}
        for name, array in arrays.items():
            if not np.isfinite(array).all():
                raise ValueError(f"{path} is a damaged label bank: {name} holds NaN or inf, which are no numbers")
        if "background" in metadata:
            statistics["background"] = metadata["background"]
        try:
            labels = json.loads(metadata["names"]), json.loads(metadata["wordings"])
            rest = statistics, json.loads(metadata.get("absent", "{}")), metadata.get("template")
            return cls(*labels, arrays["embeds"], arrays["probe"], metadata["label_space"], *rest)
        except (KeyError, TypeError, ValueError, RecursionError) as error:
            raise ValueError(f"{path} is a damaged label bank: {error}") from None

    # ---- other models

    def check(self, space=None, probe=None):
        """
        See that embeddings of this bank mean the same to another model.

        Args:
            space (`str`, *optional*): The other model's [`label_space`], where it is known without its label tower.
            probe (`np.ndarray` of shape `(probes, d)`, *optional*): Its embeddings of [`PROBES`]: a label tower that
                was stored in eight bits has another digest, and is still the same space.

        Raises:
            `ValueError`: if neither shows that the bank was built in the same label space.
        """
        if space is not None and space == self.label_space:
            return
        comparable = probe is not None and probe.shape == self.probe.shape
        if comparable and float((probe * self.probe).sum(axis=1).min()) >= SAME_SPACE:
            return
        raise ValueError(
            f"this label bank was built in another label space than this model's, {self.label_space[:12]}: build it "
            "anew with LabelBank.build(classify, labels)"
        )

    def give_to(self, classify):
        """
        Hand the embeddings to a pipeline, which then need not compute them; what `labels=bank` does.

        Args:
            classify ([`ZeroShotEmotionPipeline`]): The pipeline.

        Raises:
            `ValueError`: if its label space is another.
        """
        self.check_pipeline(classify)
        if not hasattr(classify, "remember_labels"):
            return  # it embeds the wordings by itself
        import torch

        from ..labels_emodistill import LabelSet

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that they are read-only: nobody writes into them
            classify.remember_labels(LabelSet.parse(self), torch.from_numpy(self.embeds))

    def check_pipeline(self, classify):
        """
        [`LabelBank.check`] against the model of a pipeline, by the words that it embeds.

        Args:
            classify ([`ZeroShotEmotionPipeline`]): The pipeline.
        """
        self.check(probe=_probe(classify))


def _probe(classify):
    return np.asarray(classify.encode_labels({word: word for word in PROBES}), dtype=np.float32)


def _statistics(embeds, background):
    if background is None:
        return {}
    from ..decision_emodistill import background_of_labels

    mean, deviation = background_of_labels(embeds, tuple(part.cpu() for part in background))
    return {
        "mean": mean.numpy().astype(np.float32),
        "deviation": deviation.numpy().astype(np.float32),
        "background": background_digest(background),
    }


def background_digest(background):
    """`str`: A digest of a background `(mean, covariance)`, to the precision in which checkpoints keep it."""
    digest = hashlib.sha256()
    for part in background:
        digest.update(np.asarray(part.detach().cpu().numpy(), dtype=np.float16).tobytes())
    return digest.hexdigest()


def label_space(model, tokenizer):
    """
    A digest of what labels are embedded by: label tower, projection, and the word pieces' vectors.

    It does not depend on the order of the vocabulary, nor on whether weights are kept in full or half precision.

    Args:
        model ([`EmoDistillModel`]): The model.
        tokenizer (`PreTrainedTokenizerBase`): Its tokenizer.

    Returns:
        `str`: a SHA-256 in hexadecimal digits.

    Example:

    ```python
    >>> from transformers import pipeline
    >>> import emodistill
    >>> from emodistill.serving.label_bank import label_space

    >>> classify = pipeline("zero-shot-emotion")
    >>> len(label_space(classify.model, classify.tokenizer))
    64

    ```
    """
    digest = hashlib.sha256()
    embedding = model.label_encoder.get_input_embeddings().weight
    for name, parameter in sorted(model.label_encoder.named_parameters()):
        if parameter is not embedding:
            digest.update(name.encode() + _half(parameter))
    digest.update(_half(model.label_projection.weight))
    vocabulary = tokenizer.get_vocab()
    roles = {"cls": tokenizer.cls_token, "sep": tokenizer.sep_token, "unk": tokenizer.unk_token}
    pieces = {piece: place for piece, place in vocabulary.items() if re.fullmatch(r"(##)?[a-z]+", piece)}
    pieces |= {f"[{role}]": vocabulary[token] for role, token in roles.items() if token in vocabulary}
    order = sorted(place_of for place_of in pieces.items() if place_of[1] < len(embedding))
    digest.update("\n".join(piece for piece, _ in order).encode())
    digest.update(_half(embedding[[place for _, place in order]]))
    return digest.hexdigest()


def _half(tensor):
    return tensor.detach().cpu().contiguous().half().numpy().tobytes()


def _mapped(path):
    """The tensors of a safetensors file as read-only arrays that live in the file."""
    with open(path, "rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    arrays = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] == "F32" and 0 not in entry["shape"]:
            start = 8 + size + entry["data_offsets"][0]
            arrays[name] = np.memmap(path, np.float32, "r", start, tuple(entry["shape"]))
    return arrays
