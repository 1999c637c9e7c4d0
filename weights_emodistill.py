"""Weights as files hold them: formats of our own, and whether what was loaded is whole."""

import contextlib
import math
import os
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError, safe_open

from .eight_bit_emodistill import is_eight_bit, read_eight_bit

__all__ = [
    "UNREADABLE", "DamagedCheckpointError", "check_loaded", "check_types", "encoder_weights", "loads_on_cpu",
    "quiet_loading", "stored_state",
]  # fmt: skip

UNREADABLE = (SafetensorError, EOFError, UnpicklingError)  # what readers of weights say of a damaged file

# Rounding to half precision moves the eigenvalues of a covariance by far less than this share of the largest one.
ROUNDING = 0.05


class DamagedCheckpointError(ValueError):
    """A checkpoint that would give scores which mean nothing, or no numbers at all; the message is one sentence."""


def stored_state(folder):
    """
    The weights of a checkpoint that keeps them in a form which transformers does not read.

    Args:
        folder (`str` or `os.PathLike`): A checkpoint's folder, or the Hub id of one, which has an ordinary form.

    Returns:
        `dict[str, torch.Tensor]` or `None`: all of them in fp32; `None` where the checkpoint has an ordinary form.
    """
    if not is_eight_bit(folder):
        return None
    try:
        return read_eight_bit(folder)
    except ValueError as error:
        raise DamagedCheckpointError(f"the checkpoint {folder} is damaged: {error}") from error


@contextlib.contextmanager
def quiet_loading():
    """Without transformers' own report of missing and unexpected weights: [`check_loaded`] tells in one sentence."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)


def check_loaded(model, info, name):
    """
    Refuse a checkpoint that is damaged: it would give scores that mean nothing, or no numbers at all.

    Args:
        model ([`EmoDistillModel`]): As loaded.
        info (`dict`): What transformers says of the loading: `missing_keys` and `mismatched_keys`.
        name (`str`): The checkpoint's name, for the sentence.

    Raises:
        [`DamagedCheckpointError`]: in one sentence, for weights that are missing, of another shape, no finite numbers
            or all zero, and for a background whose covariance is none.
    """
    problem = _incomplete(info) or _bad_values(model)
    if not problem and not model.background_count.is_meta:
        problem = _background_problem(model)
    if problem:
        raise DamagedCheckpointError(f"the checkpoint {name} is damaged: {problem}")


def encoder_weights(name, tower):
    """
    The pretrained weights of an encoder; what it lacks would be left at random.

    Args:
        name (`str`): Folder or Hub id.
        tower (`torch.nn.Module`): What they are for; of a pretrained head that it has not, nothing is asked.

    Returns:
        `dict[str, torch.Tensor]`: in fp32, by the names that they have in the tower.

    Raises:
        [`DamagedCheckpointError`]: in one sentence, for weights that are missing, of another shape, or no numbers.
    """
    from transformers import AutoModel

    try:
        with quiet_loading():
            model, info = AutoModel.from_pretrained(
                name, dtype=torch.float32, output_loading_info=True, ignore_mismatched_sizes=True
            )
    except UNREADABLE as error:
        raise DamagedCheckpointError(
            f"the encoder {name} is damaged: its weights cannot be read ({error})"
        ) from error
    wanted = tower.state_dict().keys()
    learned = wanted & dict(model.named_parameters()).keys()
    keys = {what: [key if isinstance(key, str) else key[0] for key in found] for what, found in info.items()}
    keys = {what: [key for key in found if key in learned] for what, found in keys.items() if what.endswith("_keys")}
    if problem := _incomplete(keys) or _bad_values(model):
        raise DamagedCheckpointError(f"the encoder {name} is damaged: {problem}")
    return {key: value for key, value in model.state_dict().items() if key in wanted}


def check_types(folder):
    """
    Refuse weights files whose values are whole numbers: cast to what the model has, they would give scores.

    Args:
        folder (`str` or `os.PathLike`): A checkpoint's folder; anything else, a Hub id for one, is passed over.

    Raises:
        [`DamagedCheckpointError`]: in one sentence, naming a tensor.
    """
    files = sorted(Path(folder).glob("model*.safetensors")) if isinstance(folder, str | os.PathLike) else ()
    for path in filter(Path.is_file, files):
        with safe_open(path, framework="pt") as file:
            for key in file.keys():  # noqa: SIM118 (a method, of what is no mapping)
                if not (kind := file.get_slice(key).get_dtype()).startswith(("F", "BF")):
                    raise DamagedCheckpointError(f"the checkpoint {folder} is damaged: {key} is stored as {kind}")


def _incomplete(info):
    other = "the configuration gives another shape to"
    for what, keys in (("it lacks", info["missing_keys"]), (other, info["mismatched_keys"])):
        keys = sorted(key if isinstance(key, str) else key[0] for key in keys)
        if keys:
            return f"{what} {', '.join(keys[:3])}" + (f" and {len(keys) - 3} more" if len(keys) > 3 else "")
    return None


def _is_finite(tensor):
    """Least and greatest are NaN where any value is; to ask each would take as long as all the rest of loading."""
    return not tensor.numel() or all(map(math.isfinite, torch.aminmax(tensor.detach())))


def _bad_values(model):
    tensors = dict([*model.named_parameters(), *model.named_buffers()])
    tensors = {key: tensor for key, tensor in tensors.items() if not tensor.is_meta}
    for key, tensor in tensors.items():
        if tensor.is_floating_point() and not _is_finite(tensor):
            return f"{key} holds values that are no numbers (NaN or inf)"
    words = [name for name in tensors if name.endswith("word_embeddings.weight")]
    for key in (
        "text_projection.weight",
        "label_projection.weight",
        "reference_embeds",
        "reference_directions",
        *words,
    ):
        rows = tensors.get(key)
        if rows is not None and not rows.any():
            return f"{key} is zero"
        if rows is not None and len(rows) > 1 and torch.equal(rows, rows[:1].expand_as(rows)):
            return f"{key} is the same in each of its rows"
    return None


def _background_problem(model):
    """What is wrong with the background that a model brings, if anything."""
    count = model.background_count.item()
    if count < 0:
        return f"background_count is {count:g}"
    if not count:
        return None
    covariance = model.background_covariance.float().cpu()
    if not covariance.any():
        return "background_covariance is zero though there is a background"
    if not torch.allclose(covariance, covariance.T, rtol=1e-2, atol=1e-3 * covariance.abs().max().item()):
        return "background_covariance is not symmetric"
    try:
        values = torch.linalg.eigvalsh((covariance + covariance.T) / 2)
    except RuntimeError:  # finite, and yet too large to reckon with
        return "background_covariance holds values that no covariance has"
    if values[0] < -ROUNDING * values[-1]:
        return f"background_covariance is not positive semi-definite (lowest eigenvalue {values[0].item():.3g})"
    return None


def loads_on_cpu(device_map):
    """Whether all weights end up on a CPU: "auto" and its like do where the machine has no accelerator."""
    if device_map is None:
        return True
    if isinstance(device_map, str) and device_map in ("auto", "balanced", "balanced_low_0", "sequential"):
        return not torch.accelerator.is_available()
    places = device_map.values() if isinstance(device_map, dict) else [device_map]
    return all(str(place).split(":")[0] == "cpu" for place in places)
