"""Safetensors files by NumPy alone, where torch is absent."""

import json
import os

import numpy as np

__all__ = ["read_safetensors"]


def read_safetensors(path):
    """
    Arrays and notes of a safetensors file, by NumPy alone: a length, a header in JSON, then the numbers.

    Args:
        path (`str`): The file.

    Returns:
        `tuple(dict[str, numpy.ndarray], dict[str, str])`: arrays mapped from the file, and its metadata.

    Raises:
        `ValueError`: if the file is damaged.
    """
    kinds = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8"}
    try:
        with open(path, "rb") as file:
            size = int.from_bytes(file.read(8), "little")
            if size > os.path.getsize(path):
                raise ValueError("its header is longer than the file")
            header = json.loads(file.read(size))
        data = np.memmap(path, mode="r", dtype=np.uint8, offset=8 + size)
        notes = header.pop("__metadata__", {})
        arrays = {}
        for name, entry in header.items():
            first, last = entry["data_offsets"]
            arrays[name] = data[first:last].view(kinds[entry["dtype"]]).reshape(entry["shape"])
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"{path} is damaged: {error}") from None
    return arrays, notes
