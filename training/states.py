"""Saved states of a run: complete or not there, checked when read, and free of code that reading could run."""

import base64
import json
import os
import random
import re
import shutil
import signal
from contextlib import suppress

import torch

from ..files import write_json, writing_folder
from ..fingerprint import file_digest
from .record import INPUTS, changed_inputs, now

__all__ = ["RunStates", "StopSignal", "TrainingProgress", "last_state"]

KEEP_STATES = 2  # should the newest turn out damaged, the one before it serves
STATE_FORMAT = 1
_NAME = re.compile(r"step-\d{8,}")


class DamagedState(Exception):
    """What is wrong with a saved state, in a few words."""


class TrainingProgress:
    """
    Where a run stands.

    Args:
        epoch (`int`): Current epoch.
        batch (`int`): Batches of it that are done.
        step (`int`): Optimiser steps so far.
        best (`float`): Best validation value so far.
        stale (`int`): Validations since.
        started (`str`): When the run began.
        seconds (`float`): Time spent training, over all starts.
        history (`list[dict]`): All validations.
    """

    def __init__(self):
        self.epoch = self.batch = self.step = self.stale = 0
        self.best = None
        self.started, self.seconds = now(), 0.0
        self.history = []

    def state_dict(self):
        return dict(vars(self))

    def load_state_dict(self, state):
        vars(self).update({name: state[name] for name in vars(self) if name in state})


class StopSignal:
    """
    Turns SIGTERM and Ctrl-C into a request to stop after the current step.

    Where `accelerate launch` started this process, the launcher's death counts as a request too: it does not hand
    signals on, and nobody would notice a training that goes on without it.
    """

    def __init__(self):
        self.signal = None
        self.launcher = os.getppid() if "ACCELERATE_MIXED_PRECISION" in os.environ else None
        self.previous = {}
        for number in (signal.SIGTERM, signal.SIGINT):
            with suppress(ValueError):  # not in the main thread
                self.previous[number] = signal.signal(number, self._note)

    def _note(self, number, frame):
        self.signal = number

    def requested(self):
        """`int`: the signal's number, or 0."""
        if self.signal is None and self.launcher is not None and os.getppid() != self.launcher:
            self.signal = signal.SIGTERM
        return int(self.signal or 0)

    def restore(self):
        """Hand the signals back to whoever had them."""
        for number, handler in self.previous.items():
            signal.signal(number, handler)


class RunStates:
    """
    Saves and restores everything a run needs to go on as if it had never stopped.

    A state is a folder `states/step-N` of safetensors and JSON files, with the SHA-256 of each in its manifest. It has
    its name only once it is whole and on the disk, and where one of that name is replaced the old one stands until
    then. Nothing in it is executed when it is read.

    Args:
        output_dir (`str`): The run's folder; with several processes, one that all of them see.
        accelerator (`Accelerator`): With model and optimiser prepared.
        network ([`EmoDistillModel`]): The unwrapped model.
        optimizer, scheduler: Of the run.
        progress ([`TrainingProgress`]): Of the run.
        run (`dict`, *optional*): Its settings and the digests of its inputs, so that it takes no other run's state.
    """

    def __init__(self, output_dir, accelerator, network, optimizer, scheduler, progress, run=None):
        self.folder = os.path.join(output_dir, "states")
        self.accelerator, self.network = accelerator, network
        self.optimizer, self.scheduler, self.progress = optimizer, scheduler, progress
        self.run = json.loads(json.dumps(run or {}))  # as it will be read

    def save(self):
        """Save the state of this step, and remove all but the newest [`KEEP_STATES`] up to it."""
        from accelerate.utils import gather_object

        numbers = [_random_state()]
        if self.accelerator.num_processes > 1:
            numbers = gather_object(numbers)
        if self.accelerator.is_main_process:
            os.makedirs(self.folder, exist_ok=True)
            saved = f"step-{self.progress.step:08d}"
            with writing_folder(os.path.join(self.folder, saved), replace=True) as folder:
                self._write(folder, numbers)
            # Later ones were damaged when the run went on from an earlier one: they must not push this one out.
            for old in [name for name in _names(self.folder) if name <= saved][:-KEEP_STATES]:
                shutil.rmtree(os.path.join(self.folder, old), ignore_errors=True)
        self.accelerator.wait_for_everyone()

    def restore(self, say=print):
        """
        Go on from the newest state that is whole.

        Args:
            say (`Callable`): Told, in one sentence each, of states that are damaged.

        Returns:
            `bool`: whether there was one.

        Raises:
            `ValueError`: if the states are of an older version, or do not fit the model.
        """
        from accelerate.utils import broadcast_object_list

        found = [self._newest(say) if self.accelerator.is_main_process else None]
        if self.accelerator.num_processes > 1:
            broadcast_object_list(found)
        if isinstance(found[0], ValueError):
            raise found[0]
        if found[0] is None:
            return False
        self._read(found[0])
        return True

    def _newest(self, say):
        """Folder of the newest state that is whole, `None`, or the error that all processes raise."""
        names = _names(self.folder)[::-1]
        for place, name in enumerate(names):
            folder = os.path.join(self.folder, name)
            if os.path.isfile(os.path.join(folder, "random_states_0.pkl")):
                return ValueError(
                    f"{self.folder} was saved by an older version, in a form that is no longer read: finish the run "
                    "with that version, or remove the folder of the run to begin again"
                )
            try:
                _check(folder)
                self._check_run(folder)
            except DamagedState as damage:
                then = f"going on from {names[place + 1]}" if names[place + 1 :] else "beginning again"
                say(f"the saved state {name} is damaged ({damage}); {then}")
            else:
                return folder
        return None

    def _check_run(self, folder):
        """Raise [`DamagedState`] for another run's state; a setting that only one of two versions has says nothing."""
        run = _json(os.path.join(folder, "state.json")).get("run", {})
        inputs = self.run.keys() & INPUTS.keys()
        settings = run.keys() & self.run.keys() - inputs
        other = [name for name in settings if run[name] != self.run[name]]
        other += changed_inputs(run, {name: self.run[name] for name in inputs})
        if other:
            raise DamagedState(f"another run's, with other {', '.join(sorted(other))}")

    def _write(self, folder, numbers):
        from safetensors.torch import save_file, save_model

        optimizer = self.optimizer.state_dict()
        moments = {
            f"{place}.{name}": value.detach().cpu().contiguous()
            for place, entry in optimizer["state"].items()
            for name, value in entry.items()
        }
        save_model(self.network, os.path.join(folder, "model.safetensors"))
        save_file(moments, os.path.join(folder, "optimizer.safetensors"))
        scaler = self.accelerator.scaler
        content = {
            "format": STATE_FORMAT,
            "progress": self.progress.state_dict(),
            "accumulated": self.accelerator.step,
            "scheduler": self.scheduler.state_dict(),
            "rates": [_rates(group) for group in optimizer["param_groups"]],
            "scaler": scaler.state_dict() if scaler is not None else None,
            "random": numbers,
            "run": self.run,
        }
        write_json(os.path.join(folder, "state.json"), content)
        files = {name: file_digest(os.path.join(folder, name)) for name in sorted(os.listdir(folder))}
        write_json(os.path.join(folder, "manifest.json"), {"format": STATE_FORMAT, "sha256": files})

    def _read(self, folder):
        from safetensors.torch import load_file, load_model

        content = _json(os.path.join(folder, "state.json"))
        moments = load_file(os.path.join(folder, "optimizer.safetensors"))
        try:
            load_model(self.network, os.path.join(folder, "model.safetensors"))
            optimizer = self.optimizer.state_dict()
            optimizer["state"] = {}
            for name, value in moments.items():
                place, _, key = name.partition(".")
                optimizer["state"].setdefault(int(place), {})[key] = value
            for group, rates in zip(optimizer["param_groups"], content["rates"], strict=True):
                group.update(rates)
            self.optimizer.load_state_dict(optimizer)
        except (RuntimeError, ValueError, KeyError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ValueError(
                f"the saved state {folder} does not fit this model ({reason}): was the run begun by another version? "
                "remove the folder of the run to begin it again"
            ) from None
        self.scheduler.load_state_dict(content["scheduler"])
        self.progress.load_state_dict(content["progress"])
        self.accelerator.step = content["accumulated"]
        if self.accelerator.scaler is not None and content["scaler"]:
            self.accelerator.scaler.load_state_dict(content["scaler"])
        _set_random_state(content["random"][self.accelerator.process_index])


def last_state(output_dir):
    """`str` or `None`: folder of the newest state, whether damaged or not."""
    folder = os.path.join(output_dir, "states")
    names = _names(folder)
    return os.path.join(folder, names[-1]) if names else None


def _names(folder):
    """States, oldest first; unfinished ones have hidden names."""
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return sorted(name for name in names if _NAME.fullmatch(name))


def _check(folder):
    """Raise [`DamagedState`] unless every file of a state is what was written."""
    manifest = _json(os.path.join(folder, "manifest.json"))
    files = manifest.get("sha256") if isinstance(manifest, dict) else None
    if not isinstance(files, dict) or not {"model.safetensors", "optimizer.safetensors", "state.json"} <= files.keys():
        raise DamagedState("manifest.json is incomplete")
    if manifest.get("format") != STATE_FORMAT:
        raise DamagedState(f"its format {manifest.get('format')!r} is not known")
    for name, digest in files.items():
        try:
            found = file_digest(os.path.join(folder, os.path.basename(name)))
        except OSError as error:
            raise DamagedState(f"{name}: {error.strerror}") from None
        if found != digest:
            raise DamagedState(f"{name} is not what was written")


def _json(path):
    try:
        with open(path, encoding="utf-8") as file:
            return json.load(file)
    except OSError as error:
        raise DamagedState(f"{os.path.basename(path)}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise DamagedState(f"{os.path.basename(path)} is not JSON") from None


def _rates(group):
    """What a scheduler changes in an optimiser's group of parameters; the arguments give the rest."""
    return {name: group[name] for name in ("lr", "initial_lr") if name in group}


def _random_state():
    """Where this process's random numbers stand, as JSON takes it."""
    import numpy

    name, keys, *rest = numpy.random.get_state()
    state = {"python": random.getstate(), "numpy": [name, keys.tolist(), *rest]}
    state["torch"] = _packed(torch.get_rng_state())
    if torch.cuda.is_available():
        state["cuda"] = _packed(torch.cuda.get_rng_state())
    return state


def _set_random_state(state):
    import numpy

    version, keys, gauss = state["python"]
    random.setstate((version, tuple(keys), gauss))
    numpy.random.set_state(tuple(state["numpy"]))
    torch.set_rng_state(_unpacked(state["torch"]))
    if "cuda" in state and torch.cuda.is_available():
        torch.cuda.set_rng_state(_unpacked(state["cuda"]))


def _packed(numbers):
    return base64.b64encode(bytes(numbers.tolist())).decode()


def _unpacked(text):
    return torch.tensor(list(base64.b64decode(text)), dtype=torch.uint8)
