"""A run's folder: one run at a time, and one set of arguments and inputs from its start to its end."""

import contextlib
import json
import os
import shutil
from dataclasses import fields

from ..files import write_json
from .record import INPUTS, changed_inputs, settings

try:
    import fcntl
except ImportError:  # Windows: two runs in one folder are not noticed there
    fcntl = None

__all__ = ["begin_again", "changed_settings", "claim_arguments", "claim_inputs", "locked"]

RESULTS = ("states", "best", "final")


@contextlib.contextmanager
def locked(output_dir):
    """
    Hold a run's folder for this process; the system lets go of it when the process ends, however it ends.

    A folder that was made for a run which then left no result, for a slip of the pen, goes with it.

    Args:
        output_dir (`str`): The run's folder, made where it is missing.

    Raises:
        `ValueError`: if another process holds it.
    """
    made = not os.path.isdir(output_dir)
    os.makedirs(output_dir, exist_ok=True)
    if fcntl is None or not _main_process():
        yield
        return
    with open(os.path.join(output_dir, ".lock"), "a+", encoding="utf-8", errors="replace") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            owner = file.read(20).strip()
            owner = owner if owner.isdigit() else "unknown"
            raise ValueError(
                f"output_dir {output_dir} is in use by another run (process {owner}); wait for it, stop it, or choose "
                "another output_dir"
            ) from None
        except OSError:  # a network file system without locks
            yield
            return
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        try:
            yield
        finally:
            if made:
                _remove_without_results(output_dir)


def claim_arguments(groups):
    """
    Note a run's settings in its folder, and refuse a folder that holds another run.

    Args:
        groups (`tuple`): Model, data and run arguments.

    Raises:
        `ValueError`: if `output_dir` holds a run with other settings.
    """
    args = groups[2]
    now = settings(groups)
    before = _read(args.output_dir)
    if before and _begun(args.output_dir, before) and (changed := changed_settings(before, groups)):
        raise ValueError(
            f"output_dir {args.output_dir} holds a run with other settings ({', '.join(changed)}); "
            "choose another output_dir, or remove it to begin again"
        )
    if not before and (there := [name for name in RESULTS if os.path.exists(os.path.join(args.output_dir, name))]):
        raise ValueError(
            f"output_dir {args.output_dir} holds {' and '.join(there)} of what is no run known here (it has no "
            "arguments.json), which training would replace; choose another output_dir"
        )
    if _main_process():
        inputs = {"inputs": before["inputs"]} if before and "inputs" in before else {}  # see `claim_inputs`
        os.makedirs(args.output_dir, exist_ok=True)
        write_json(_path(args.output_dir), now | inputs, sort_keys=True)


def _remove_without_results(output_dir):
    """Of a run that has left nothing to go on from, or else mended data would be refused as another run's."""
    if any(os.path.exists(os.path.join(output_dir, name)) for name in RESULTS):
        return
    with contextlib.suppress(OSError):  # what teachers said may be there, and stays
        for name in ("arguments.json", ".lock"):
            with contextlib.suppress(FileNotFoundError):
                os.remove(os.path.join(output_dir, name))
        os.rmdir(output_dir)


def _begun(output_dir, before):
    """Whether a run has come as far as its data; one that was refused before has left nothing to go on from."""
    return "inputs" in before or any(os.path.exists(os.path.join(output_dir, name)) for name in RESULTS)


def begin_again(output_dir):
    """
    Remove what a run left in its folder, except what teachers said, which holds whatever the run.

    Args:
        output_dir (`str`): The run's folder.
    """
    for name in RESULTS:
        shutil.rmtree(os.path.join(output_dir, name), ignore_errors=True)
    with contextlib.suppress(FileNotFoundError):
        os.remove(_path(output_dir))


def changed_settings(before, groups):
    """`list[str]`: names of settings that differ from those of a run begun before, perhaps by an older version."""
    defaults = {field.name: field.default for group in groups for field in fields(group)}
    now = settings(groups)
    return sorted(name for name in now if before.get(name, defaults.get(name)) != now[name])


def claim_inputs(output_dir, inputs):
    """
    Note the digests of what a run learns from, and refuse to go on with something else.

    Args:
        output_dir (`str`): The run's folder.
        inputs (`dict[str, str]`): A digest of each input.

    Raises:
        `ValueError`: if the run was begun with others, naming them.
    """
    begun = _read(output_dir) or {}
    before = begun.get("inputs") or {}
    if changed := [INPUTS.get(name, name) for name in changed_inputs(before, inputs)]:
        raise ValueError(
            f"output_dir {output_dir} holds a run with other inputs ({', '.join(changed)} changed since it began); "
            "put them back, choose another output_dir, or remove it to begin again"
        )
    if _main_process():
        known = {name: value for name, value in inputs.items() if value is not None}
        write_json(_path(output_dir), begun | {"inputs": inputs | before | known}, sort_keys=True)


def _path(output_dir):
    return os.path.join(output_dir, "arguments.json")


def _read(output_dir):
    """The settings a run was begun with; `None` where there are none."""
    try:
        with open(_path(output_dir), encoding="utf-8") as file:
            content = json.load(file)
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or not isinstance(content.get("inputs", {}), dict):
        raise ValueError(f"{_path(output_dir)} is damaged: choose another output_dir, or remove it to begin again")
    return content


def _main_process():
    return os.environ.get("RANK", "0") == "0"
