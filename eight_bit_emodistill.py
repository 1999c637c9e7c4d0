"""Checkpoints in eight bits a value: whole numbers with a scale a row, deflated; loading restores fp32.

A base model of 110 million parameters takes 280 MB in half precision, too much for a clone. `push` publishes it in
ordinary half-precision files.
"""

import json
import os
import zlib

__all__ = [
    "INDEX", "eight_bit_shapes", "is_eight_bit", "read_eight_bit", "round_to_eight_bits", "write_eight_bit",
]  # fmt: skip

NAME = "weights-{:05d}-of-{:05d}.eight-bit.safetensors"
INDEX = "weights.eight-bit.json"
FORMAT = 1
SMALLEST = 2**14  # values; a smaller tensor stays in fp32
EXACT = ("background", "reference")  # statistics stay in fp32: a covariance in eight bits a row is no longer symmetric
LARGEST_LOSS = 0.02  # of a matrix's norm; matrices of encoders lose 0.007 to 0.014
SHARD = 88 * 2**20  # bytes of a file at the most: hosts of repositories refuse files of 100 MB


def is_eight_bit(folder):
    """Whether a folder holds a checkpoint in this form."""
    return os.path.isfile(os.path.join(folder, INDEX))


def write_eight_bit(state, folder):
    """
    Write weights in eight bits a value.

    Args:
        state (`dict[str, torch.Tensor]`): A model's state; tensors that share memory are kept once for each name.
        folder (`str`): Where to; files of the same names there are replaced.

    Returns:
        `list[str]`: the files' names.

    Example:

    ```python
    >>> import tempfile, torch
    >>> from emodistill.eight_bit_emodistill import read_eight_bit, write_eight_bit

    >>> weights = {"matrix": torch.randn(300, 100)}
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     _ = write_eight_bit(weights, folder)
    ...     error = (read_eight_bit(folder)["matrix"] - weights["matrix"]).abs().max()
    >>> bool(error < 0.03)
    True

    ```
    """
    from safetensors.torch import save_file

    packed = {name: _pack(name, tensor.detach().cpu().float()) for name, tensor in sorted(state.items())}
    shards, size = [{}], 0
    for name, parts in packed.items():
        bytes_ = sum(part.numel() * part.element_size() for part in parts.values())
        if shards[-1] and size + bytes_ > SHARD:
            shards.append({})
            size = 0
        shards[-1][name] = parts
        size += bytes_
    names = [NAME.format(number, len(shards)) for number in range(1, len(shards) + 1)]
    shapes = {name: list(tensor.shape) for name, tensor in sorted(state.items())}
    for name, shard in zip(names, shards, strict=True):
        tensors = {f"{key}:{part}": value for key, parts in shard.items() for part, value in parts.items()}
        save_file(tensors, os.path.join(folder, name))
    with open(os.path.join(folder, INDEX), "w", encoding="utf-8") as file:
        json.dump({"format": FORMAT, "files": names, "shapes": shapes}, file, indent=1)
        file.write("\n")
    return [*names, INDEX]


def round_to_eight_bits(model):
    """
    Round a model's weights in place to what eight bits keep of them, so that writing them so changes nothing more.

    What is fitted to a model's embeddings afterwards, such as its background, then fits the stored model: rounded
    later, embeddings move together, and labels are given more often or less often than thresholds were set for.

    Args:
        model (`torch.nn.Module`): On any device, in fp32.
    """
    for name, tensor in model.state_dict().items():  # shares its memory with the model
        if (rounded := _rounded(name, tensor.detach())) is not None:
            rows, scale = rounded
            tensor.copy_(rows * scale)


def eight_bit_shapes(folder):
    """Shapes of a checkpoint's tensors by name, `dict[str, list[int]]`; a `ValueError` where the index is damaged."""
    try:
        return {name: [int(size) for size in shape] for name, shape in _index(folder)["shapes"].items()}
    except (OSError, LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RecursionError) as error:
        raise ValueError(f"{INDEX} in {folder} cannot be read ({type(error).__name__}: {error})") from error


def read_eight_bit(folder):
    """
    The weights of a checkpoint in this form.

    Args:
        folder (`str`): The checkpoint's folder.

    Returns:
        `dict[str, torch.Tensor]`: in fp32.

    Raises:
        `ValueError`: in one sentence, if a file is missing, damaged, or of a later form.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        index, tensors = _index(folder), {}
        for name in index["files"]:
            if os.path.basename(name) != name:
                raise ValueError(f"{name} is no file name")
            if not os.path.isfile(os.path.join(folder, name)):  # a pipe would be waited for without end
                raise FileNotFoundError(f"there is no file {name}")
            tensors |= load_file(os.path.join(folder, name))
        return {name: _unpack(name, tensors, shape) for name, shape in index["shapes"].items()}
    except (
        OSError, LookupError, TypeError, AttributeError, ValueError, ArithmeticError, RuntimeError, MemoryError,
        zlib.error, SafetensorError,
    ) as error:  # fmt: skip
        raise ValueError(f"the weights in {folder} cannot be read ({type(error).__name__}: {error})") from error


def _index(folder):
    with open(os.path.join(folder, INDEX), encoding="utf-8") as file:
        index = json.load(file)
    if index["format"] != FORMAT:
        raise ValueError(f"format {index['format']} is not known to this version: update the package")
    return index


def _pack(name, tensor):
    """A tensor's parts: rows in 8 bits, deflated, and their scales; or itself."""
    import torch  # in functions: `push --help` asks this file a question and must not wait for it

    rounded = _rounded(name, tensor)
    if rounded is None:
        return {"full": tensor.clone(memory_format=torch.contiguous_format)}  # safetensors takes no shared memory
    rows, scale = rounded
    deflated = zlib.compress(rows.numpy().tobytes(), 9)
    return {"rows": torch.frombuffer(bytearray(deflated), dtype=torch.uint8), "scale": scale.squeeze(1)}


def _rounded(name, tensor):
    """A tensor's rows in 8 bits and their scales, of shape `(rows, 1)`; `None` for one that stays as it is."""
    import torch

    if name.startswith(EXACT) or tensor.ndim != 2 or tensor.numel() < SMALLEST or not torch.isfinite(tensor).all():
        return None
    scale = tensor.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / 127
    rows = (tensor / scale).round().to(torch.int8)
    # One value far above the others of its row takes their bits: in a projection near the identity, each row has one.
    if torch.linalg.matrix_norm(rows * scale - tensor) > LARGEST_LOSS * torch.linalg.matrix_norm(tensor):
        return None
    return rows, scale


def _unpack(name, tensors, shape):
    import torch

    if (full := tensors.get(f"{name}:full")) is not None:
        if list(full.shape) != shape or not full.is_floating_point():
            raise ValueError(f"{name} has another shape or type than the index says")
        return full.float()
    scale = tensors[f"{name}:scale"]
    if len(shape) != 2 or list(scale.shape) != shape[:1] or not scale.is_floating_point():
        raise ValueError(f"{name} has another shape or type of scales than the index says")
    # No more is inflated than the shape has room for: a damaged file must not fill the memory.
    inflater, room = zlib.decompressobj(), shape[0] * shape[1]
    rows = bytearray(inflater.decompress(tensors[f"{name}:rows"].numpy().tobytes(), room))
    if len(rows) != room or (not inflater.eof and inflater.decompress(inflater.unconsumed_tail, 1)):
        raise ValueError(f"{name} has another size than the index says")
    return torch.frombuffer(rows, dtype=torch.int8).view(shape).float() * scale.float()[:, None]
