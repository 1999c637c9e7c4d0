"""Saved states of a run: written atomically, found again, and left by a signal at a step's end."""

import json
import os
import shutil
import signal
from contextlib import suppress
from dataclasses import asdict, fields

__all__ = ["Progress", "StopSignal", "claim_output", "last_state", "save_state", "write_json"]

KEEP_STATES = 2  # the newest may be the one a kill interrupts


class Progress:
    """
    Where a run stands; Accelerate stores it with weights, optimiser and random states.

    Args:
        epoch (`int`): Current epoch.
        batch (`int`): Batches of it that are done.
        step (`int`): Optimiser steps so far.
        best (`float`): Best validation value so far.
        stale (`int`): Validations since.
        history (`list[dict]`): All validations.
    """

    def __init__(self):
        self.epoch = self.batch = self.step = self.stale = 0
        self.best = float("-inf")
        self.history = []

    def state_dict(self):
        return dict(vars(self))

    def load_state_dict(self, state):
        vars(self).update(state)


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


def write_json(path, content):
    """Write a JSON file atomically."""
    temporary = f"{path}.tmp"
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=2, sort_keys=True)
        file.write("\n")
    os.replace(temporary, path)


def _folder(output_dir):
    return os.path.join(output_dir, "states")


def _states(output_dir):
    """Complete states, oldest first."""
    folder = _folder(output_dir)
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return [os.path.join(folder, name) for name in sorted(names) if name.startswith("step-")]


def last_state(output_dir):
    """`str` or `None`: folder of the newest complete state."""
    states = _states(output_dir)
    return states[-1] if states else None


def save_state(accelerator, output_dir, step):
    """
    Save everything a run needs to go on as if it had never stopped.

    The folder gets its name only once it is complete, so a kill at any moment leaves the last one intact.

    Args:
        accelerator (`Accelerator`): With all parts prepared and registered.
        output_dir (`str`): The run's folder.
        step (`int`): Optimiser steps done.
    """
    final = os.path.join(_folder(output_dir), f"step-{step:08d}")
    temporary = os.path.join(_folder(output_dir), "unfinished")
    if accelerator.is_main_process:
        shutil.rmtree(temporary, ignore_errors=True)
        os.makedirs(temporary)
    accelerator.wait_for_everyone()
    accelerator.save_state(temporary)
    accelerator.wait_for_everyone()
    if accelerator.is_main_process:
        shutil.rmtree(final, ignore_errors=True)
        os.replace(temporary, final)
        for old in _states(output_dir)[:-KEEP_STATES]:
            shutil.rmtree(old, ignore_errors=True)
    accelerator.wait_for_everyone()


def claim_output(groups):
    """
    Note a run's settings in its folder, and refuse a folder that holds another run.

    Args:
        groups (`tuple`): Model, data and run arguments.

    Raises:
        `ValueError`: if `output_dir` holds a run with other settings, and `overwrite` is not set.
    """
    args = groups[2]
    path = os.path.join(args.output_dir, "arguments.json")
    # Progress counts batches of each process, so another number of processes cannot go on from it.
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    volatile = ("overwrite", "quiet", "log_with", "save_steps", "output_dir")
    settings, defaults = {"processes": processes}, {}
    for group in groups:
        defaults |= {field.name: field.default for field in fields(group)}  # of a run begun before there was a field
        settings |= {name: value for name, value in asdict(group).items() if name not in volatile}
    main_process = os.environ.get("RANK", "0") == "0"
    if os.path.exists(path):
        with open(path, encoding="utf-8") as file:
            before = json.load(file)
        changed = sorted(name for name in settings if before.get(name, defaults.get(name)) != settings[name])
        if changed and not args.overwrite:
            raise ValueError(
                f"output_dir {args.output_dir} holds a run with other settings ({', '.join(changed)}); "
                "choose another output_dir, or --overwrite to begin again"
            )
    if main_process:
        if args.overwrite:
            for name in ("states", "best", "final"):
                shutil.rmtree(os.path.join(args.output_dir, name), ignore_errors=True)
        os.makedirs(args.output_dir, exist_ok=True)
        write_json(path, settings)
