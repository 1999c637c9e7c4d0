"""Whether the label side of a model has changed since labels were embedded; asked before every answer, so cheap."""

import itertools

import torch

__all__ = ["LabelSide"]

SMALL_TENSOR = 2**16  # values; a tensor up to this size is read in full to see whether it changed


class LabelSide:
    """
    What the embeddings of labels, and what extends them, depend on, as it was when last asked.

    In-place updates raise a tensor's version and replaced tensors have another address. An edit through `.data` shows
    in neither, so values are compared too: all of a small tensor, and one in every row of a large matrix.

    Example:

    ```python
    >>> import torch
    >>> from emodistill import DEFAULT_CHECKPOINT, EmoDistillModel
    >>> from emodistill.watching_emodistill import LabelSide

    >>> model, side = EmoDistillModel.from_pretrained(DEFAULT_CHECKPOINT), LabelSide()
    >>> side.has_changed(model), side.has_changed(model)
    (True, False)
    >>> model.label_projection.weight.data[3] += 0.1
    >>> side.has_changed(model)
    True

    ```
    """

    def __init__(self):
        self._places = self._versions = self._samples = self._values = None

    def has_changed(self, model):
        """
        Whether anything has changed since the last call; `True` at the first.

        Args:
            model ([`EmoDistillModel`]): The model.

        Returns:
            `bool`
        """
        tensors = list(_tensors(model))
        versions = [0 if tensor.is_inference() else tensor._version for tensor in tensors]
        places = [(tensor.data_ptr(), tensor.dtype, tensor.device) for tensor in tensors]
        same = places == self._places
        if not same:
            # Views, which keep what they see alive: nothing else can come to lie at its address.
            self._samples = [_sample(tensor.detach()) for tensor in tensors]
        values = _joined(self._samples)
        same = same and versions == self._versions and all(map(torch.equal, values, self._values))
        self._places, self._versions, self._values = places, versions, values
        return not same


def _tensors(model):
    """Parameters and buffers of the label encoder, the heads, and the model's own buffers."""
    modules = [model.label_encoder]
    while modules:  # as `parameters()` and `buffers()` do, at a tenth of their time
        module = modules.pop()
        for tensor in itertools.chain(module._parameters.values(), module._buffers.values()):
            if tensor is not None:
                yield tensor
        modules.extend(child for child in module._modules.values() if child is not None)
    yield from (model.label_projection.weight, model.logit_scale, model.logit_bias)
    yield from (buffer for buffer in model._buffers.values() if buffer is not None)


def _sample(tensor):
    """A view of some values; of a tensor that cannot be seen as a row, all of it."""
    if tensor.ndim == 0 or tensor.numel() <= SMALL_TENSOR or not tensor.is_contiguous():
        return tensor
    return tensor.view(-1)[:: max(1, tensor.shape[-1] - 1)]


def _joined(samples):
    """The values of all samples, one tensor for each kind and place."""
    groups = {}
    for sample in samples:
        groups.setdefault((sample.dtype, sample.device), []).append(sample.flatten())
    with torch.no_grad():
        return [torch.cat(group) for group in groups.values()]
