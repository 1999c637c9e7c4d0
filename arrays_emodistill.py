"""The few array functions that the rules of decision need, for torch tensors and NumPy arrays alike.

So there is one way from embeddings to scores, with a model in torch and with an exported one where torch is absent.
A tensor brings its functions along as methods, so torch is imported only where there are tensors already.
"""

import numpy as np

__all__ = [
    "at_least", "highest", "highest_other", "joined", "normalised", "root", "sigmoid", "single", "softmax",
    "with_column",
]  # fmt: skip


def single(values, like=None):
    """
    Values in single precision.

    Args:
        values (`torch.Tensor`, `numpy.ndarray` or `list[float]`): The values.
        like (`torch.Tensor` or `numpy.ndarray`, *optional*): Whose library and device to use; their own by default.

    Returns:
        `torch.Tensor` or `numpy.ndarray`

    Example:

    ```python
    >>> import numpy as np, torch
    >>> from emodistill.arrays_emodistill import single

    >>> single(torch.tensor([0.5], dtype=torch.float16), like=np.zeros(1))
    array([0.5], dtype=float32)

    ```
    """
    like = values if like is None else like
    if hasattr(like, "new_tensor"):  # torch
        wanted = like.float()
        if isinstance(values, np.ndarray | list | tuple):
            return wanted.new_tensor(np.asarray(values, dtype=np.float32))
        return values.to(wanted.device, wanted.dtype)
    if hasattr(values, "detach"):
        values = values.detach().cpu()
    return np.asarray(values, dtype=np.float32)


def at_least(values, bound):
    """Values, and `bound` where they are below."""
    return np.maximum(values, np.float32(bound)) if isinstance(values, np.ndarray) else values.clamp(min=bound)


def root(values):
    """Square roots."""
    return np.sqrt(values) if isinstance(values, np.ndarray) else values.sqrt()


def sigmoid(values):
    """Logistic function of each value."""
    if not isinstance(values, np.ndarray):
        return values.sigmoid()
    small = np.exp(-np.abs(values))  # never above 1, so that nothing overflows
    return np.where(values >= 0, 1.0, small).astype(values.dtype) / (1 + small)


def softmax(values, axis):
    """Exponentials of the values, shared out to 1 along an axis."""
    if not isinstance(values, np.ndarray):
        return values.softmax(axis)
    powers = np.exp(values - values.max(axis, keepdims=True))
    return powers / powers.sum(axis, keepdims=True)


def normalised(values):
    """Rows of length 1; a row of zeros stays as it is."""
    return values / at_least(root((values * values).sum(-1)), 1e-12)[..., None]


def highest(values):
    """The highest value of each row."""
    return values.max(-1) if isinstance(values, np.ndarray) else values.amax(-1)


def highest_other(values):
    """For each value of a row the highest of the others; rows have two values or more."""
    if isinstance(values, np.ndarray):
        second, top = np.moveaxis(np.partition(values, -2, axis=-1)[..., -2:], -1, 0)
        return np.where(values < top[..., None], top[..., None], second[..., None])
    import torch

    top, second = values.topk(2, dim=-1).values.unbind(-1)
    return torch.where(values < top[..., None], top[..., None], second[..., None])


def with_column(values, place, column):
    """Values in which a column is no less than another one, of the same rows."""
    changed = values.copy() if isinstance(values, np.ndarray) else values.clone()
    above = column > changed[..., place]
    changed[..., place] = above * column + ~above * changed[..., place]
    return changed


def joined(parts):
    """Arrays one below the other."""
    if isinstance(parts[0], np.ndarray):
        return np.concatenate(parts)
    import torch

    return torch.cat(parts)
