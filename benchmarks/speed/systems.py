"""What is timed: this package's backends and their bare text towers, each as a function that scores given texts."""

import contextlib
import os
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["BACKENDS", "System", "Workbench", "tower_of"]

BACKENDS = ("torch fp32", "torch bf16", "onnx fp32", "onnx int8")


@dataclass
class System:
    """
    Something that scores texts against labels.

    Args:
        name (`str`): What tables call it.
        score (`Callable[[list[str], list[str], int], Any]`): Takes texts, labels and a batch size.
        most_labels (`int`, *optional*): More labels than these it does not take, or not in a reasonable time.
        slow (`bool`, *optional*, defaults to `False`): Whether one round has to do.
    """

    name: str
    score: object
    most_labels: int | None = None
    slow: bool = False

    def takes(self, labels):
        """Whether it takes so many labels."""
        return self.most_labels is None or labels <= self.most_labels

    def arm(self, texts, labels, batch_size):
        """A function without arguments, for the clock."""
        return lambda: self.score(texts, labels, batch_size)


@dataclass
class Workbench:
    """
    A checkpoint in all backends, made when they are first asked for.

    Args:
        checkpoint (`str`): Its folder.
        folder (`str`): Where exports are written, or lie already.
        threads (`int`): Threads of every backend.
    """

    checkpoint: str
    folder: str
    threads: int
    made: dict = field(default_factory=dict)

    def __getitem__(self, backend):
        """The classifier of a backend, one of [`BACKENDS`]."""
        key = backend, self.threads
        if key not in self.made:
            self.made[key] = self._make(*backend.split())
        return self.made[key]

    def _make(self, runtime, precision):
        if runtime == "onnx":
            from ...serving.onnx import OnnxEmotionClassifier

            return OnnxEmotionClassifier(self.export(precision), threads=self.threads)
        import torch
        from transformers import pipeline

        from ... import TASK

        dtype = torch.float32 if precision == "fp32" else torch.bfloat16
        return pipeline(TASK, model=self.checkpoint, device="cpu", dtype=dtype)

    def export(self, precision, labels=None):
        """The folder of an export, with or without labels embedded beforehand; written if it is not there."""
        from ...serving.export import export

        folder = Path(self.folder, f"{precision}-labels" if labels else precision)
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            quantize = None if precision == "fp32" else precision
            export(self.checkpoint, os.fspath(folder), quantize=quantize, labels=labels)
        return os.fspath(folder)

    @contextlib.contextmanager
    def with_threads(self, threads):
        """All backends with so many threads, for a while."""
        import torch

        before, before_torch = self.threads, torch.get_num_threads()
        self.threads = threads
        torch.set_num_threads(threads)
        try:
            yield self
        finally:
            self.threads = before
            torch.set_num_threads(before_torch)

    def system(self, backend):
        """[`System`]: the classifier of a backend, from strings to dictionaries."""
        classify = self[backend]
        return System(
            f"emodistill, {backend}",
            lambda texts, labels, batch_size: classify(texts, labels=labels, batch_size=batch_size),
        )

    def tower(self, backend, texts, batch_size):
        """A function that embeds texts, tokenised, sorted and batched beforehand, by the bare text tower."""
        return tower_of(self[backend], texts, batch_size)


def tower_of(classify, texts, batch_size):
    """
    A function that embeds texts, tokenised, sorted by length, padded and batched beforehand.

    Args:
        classify: A pipeline or an exported model.
        texts (`list[str]`): The texts.
        batch_size (`int`): Texts in a batch.

    Returns:
        `Callable[[], list]`: gives the embeddings of each batch.
    """
    from ...tokenizing_emodistill import TOKENS_AT_ONCE, batches_of_like_length

    tokenized = classify.tokenize_texts(texts)
    windows = tokenized.windows
    places = batches_of_like_length(windows, batch_size, TOKENS_AT_ONCE)
    batches = [[windows[place] for place in batch] for batch in places]
    if hasattr(classify, "model"):
        return _torch_tower(classify.model, batches, tokenized.pad_token_id)
    return _onnx_tower(classify, batches, tokenized.pad_token_id)


def _padded(batches, pad):
    """Token ids and masks of each batch as lists."""
    for rows in batches:
        length = max(map(len, rows))
        ids = [row + [pad] * (length - len(row)) for row in rows]
        yield ids, [[1] * len(row) + [0] * (length - len(row)) for row in rows]


def _torch_tower(model, batches, pad):
    import torch

    tensors = [(torch.tensor(ids), torch.tensor(mask)) for ids, mask in _padded(batches, pad)]

    def run():
        with torch.inference_mode():
            return [model.get_text_features(ids, mask) for ids, mask in tensors]

    return run


def _onnx_tower(classify, batches, pad):
    import numpy as np

    from ...serving.onnx import TEXT_TOWER

    feeds = [
        {"input_ids": np.array(ids, dtype=np.int64), "attention_mask": np.array(mask, dtype=np.int64)}
        for ids, mask in _padded(batches, pad)
    ]

    def run():
        return list(classify.run_batches(TEXT_TOWER, feeds, len(feeds)))

    return run
