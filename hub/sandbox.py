"""Run a program that nobody has vouched for: behind walls where the machine has some, and within limits everywhere."""

import contextlib
import functools
import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from . import walls

try:
    import resource
except ImportError:  # Windows
    resource = None

__all__ = [
    "BUBBLEWRAP",
    "NAMESPACES",
    "Finished",
    "available_walls",
    "environment",
    "import_path",
    "run_apart",
    "without_walls",
]

BUBBLEWRAP, NAMESPACES = "bubblewrap", "namespaces"
ALLOWED = ("LD_LIBRARY_PATH", "OMP_NUM_THREADS", "TZ", "SYSTEMROOT")  # of the environment; all else stays outside
LIBRARIES = ("torch", "transformers", "tokenizers", "safetensors", "huggingface_hub", "numpy", "regex", "yaml")
SYSTEM = ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix/store", "/etc/ld.so.cache", "/etc/localtime")
SCRATCH_BYTES = 256_000_000  # what the program may write in all
RESULT_BYTES = 64_000_000  # ... and into one file
PROCESSES = 128  # and threads, beside those that the user has
LOOK_EVERY = 0.5  # seconds
THREADS = "4"  # of torch, so that these suffice on a machine of many cores


@dataclass
class Finished:
    """
    How a program ended.

    Args:
        status (`int`): Its exit status; negative for the signal that ended it.
        said (`str`): The end of its standard error, or what it outgrew.
        timed_out (`bool`): Whether it was ended because its time was over.
    """

    status: int
    said: str
    timed_out: bool = False


@functools.cache
def available_walls():
    """The way to build walls that works on this machine, tried out once: bubblewrap's before the package's own.

    Returns:
        `str`: `"bubblewrap"` or `"namespaces"`; empty where the machine offers neither.
    """
    if sys.platform != "linux":
        return ""
    for walls_of in (BUBBLEWRAP, NAMESPACES):
        if walls_of == BUBBLEWRAP and not shutil.which("bwrap"):
            continue
        with tempfile.TemporaryDirectory(prefix="emodistill-walls-") as folder:
            (Path(folder) / "scratch").mkdir()
            done = run_apart(["-c", "pass"], folder, walls_of=walls_of, seconds=30)
        if done.status == 0:
            return walls_of
    return ""


def without_walls():
    """What to say where there are none: one sentence."""
    return (
        "this machine builds no walls around a program (neither bubblewrap nor user namespaces work here), so code "
        "that is run can read your files, use the network, act as you and leave programs running; only its "
        "environment, home folder and memory are its own"
    )


def environment(folder):
    """The environment of a program that runs apart: an allow-list, and places of its own under `folder`."""
    scratch = f"{folder}/scratch"
    return {"OMP_NUM_THREADS": THREADS} | {name: os.environ[name] for name in ALLOWED if name in os.environ} | {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "USER": "nobody",
        "LOGNAME": "nobody",
        "HOME": f"{scratch}/home",
        "TMPDIR": f"{scratch}/tmp",
        "HF_HOME": f"{scratch}/home/hub",
        "HF_MODULES_CACHE": f"{scratch}/modules",
        "HF_HUB_OFFLINE": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "TOKENIZERS_PARALLELISM": "false",
    }


def library_folders():
    """Folders that Python and the model's libraries load from: what a program must be able to read."""
    import importlib.util

    found = {sys.prefix, sys.base_prefix, sys.exec_prefix, *sysconfig.get_paths().values()}
    found |= {str(Path(sys.executable).parent), str(Path(sys.executable).resolve().parent)}
    for name in LIBRARIES:
        with contextlib.suppress(ImportError, ValueError):
            spec = importlib.util.find_spec(name)
            found |= {str(Path(place).parent) for place in (spec and spec.submodule_search_locations) or ()}
    found |= {place for place in os.environ.get("LD_LIBRARY_PATH", "").split(":") if place}
    found |= {str(Path(place).resolve()) for place in found}
    home = Path.home().resolve()
    kept = {Path(place) for place in found if os.path.isdir(place)}
    # never the home folder itself, nor what holds it
    return sorted(str(path) for path in kept if path.resolve() != home and path.resolve() not in home.parents)


def _outermost(paths):
    """Without those that lie below another one."""
    return [path for path in paths if not any(path != other and Path(path).is_relative_to(other) for other in paths)]


def _layout(folder):
    """`(links, readable)`: the system's folders that are links, and all that is bound to be read."""
    links, readable = {}, []
    for name in SYSTEM:
        if os.path.islink(name) and os.path.isdir(name):
            links[name] = os.readlink(name)
        elif os.path.exists(name):
            readable.append(name)
    readable += [path for path in library_folders() if not any(path.startswith(f"{name}/") for name in links)]
    return links, [*_outermost(list(dict.fromkeys(readable))), str(folder)]


def _bubblewrap(folder, writable, command):
    links, readable = _layout(folder)
    parts = ["bwrap", "--unshare-all", "--unshare-user", "--disable-userns", "--die-with-parent", "--new-session"]
    parts += ["--cap-drop", "ALL", "--uid", str(walls.INSIDE), "--gid", str(walls.INSIDE)]
    for name, target in links.items():
        parts += ["--symlink", target, name]
    parts += ["--proc", "/proc", "--dev", "/dev", "--size", str(SCRATCH_BYTES), "--tmpfs", "/tmp"]
    for path in readable:
        parts += ["--ro-bind", path, path]
    scratch = f"{folder}/scratch"
    parts += ["--size", str(SCRATCH_BYTES), "--tmpfs", scratch]
    parts += [part for name in _scratch(scratch) for part in ("--dir", name)]
    for path in writable:
        parts += ["--bind", path, path]
    # What is left are memory file systems without a bound, and /proc/sys, by which root sets up the machine.
    parts += ["--size", str(SCRATCH_BYTES), "--tmpfs", "/dev/shm"]
    parts += [part for place in ("/dev", "/proc", "/") for part in ("--remount-ro", place)]
    return [*parts, "--chdir", f"{scratch}/empty", "--", *command]


def _namespaces(folder, writable, command):
    links, readable = _layout(folder)
    # The scratch folder is the new root's own memory file system: what is read is bound beside it.
    inside = [str(path) for path in Path(folder).iterdir() if path.name != "scratch" and str(path) not in writable]
    specification = {
        "command": command, "root": f"{folder}/scratch", "size": SCRATCH_BYTES, "links": links,
        "readable": readable[:-1] + inside, "writable": list(writable), "folder": f"{folder}/scratch/empty",
        "empty": _scratch(f"{folder}/scratch"),
    }  # fmt: skip
    return [sys.executable, "-I", "-S", "-B", walls.__file__, json.dumps(specification)]


def _scratch(scratch):
    return [f"{scratch}/{name}" for name in ("home", "tmp", "empty", "modules")]


def _limits(seconds, memory, processes):
    """Called in the new process: bounds on processor time, memory, files, processes; no core dumps."""
    with contextlib.suppress(OSError):  # where memory runs out for all, this is what the system ends
        Path("/proc/self/oom_score_adj").write_text("1000")
    wanted = {"CORE": 0, "CPU": max(1, round(seconds)) * 4, "FSIZE": RESULT_BYTES, "NOFILE": 1024, "DATA": memory}
    wanted["NPROC"] = processes
    for name, value in wanted.items():
        limit = getattr(resource, f"RLIMIT_{name}")
        _, hard = resource.getrlimit(limit)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(limit, (value, value))


def _threads_here():
    """Threads that this user runs already: the kernel counts them against a limit on processes."""
    threads, user = 0, os.getuid()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if process.stat().st_uid == user:
                threads += len(os.listdir(process / "task"))
    return threads


def run_apart(arguments, folder, *, walls_of=None, writable=(), stdin="", seconds=300.0, memory=8_000_000_000):
    """Run a Python program with as little of this machine as possible.

    Args:
        arguments (`list[str]`): Of the interpreter: a program's path under `folder`, or `-c` and its text.
        folder (`str` or `Path`): A temporary folder with what the program may read, and an empty folder `scratch`
            under which it has its home.
        walls_of (`str`, *optional*): As [`available_walls`] says by default; empty for none.
        writable (`tuple[str]`): Files that the program may write.
        stdin (`str`): What it reads.
        seconds (`float`): After which it is ended.
        memory (`int`): Bytes that it may take.

    Returns:
        [`Finished`]
    """
    walls_of = available_walls() if walls_of is None else walls_of
    folder = Path(folder).resolve()
    command = [sys.executable, "-I", "-B", *map(str, arguments)]
    build = {BUBBLEWRAP: _bubblewrap, NAMESPACES: _namespaces}.get(walls_of)
    if build:
        command = build(folder, [str(Path(path).resolve()) for path in writable], command)
    else:
        for name in _scratch(f"{folder}/scratch"):
            Path(name).mkdir(parents=True, exist_ok=True)
    limits = functools.partial(_limits, seconds, memory, PROCESSES + _threads_here()) if resource else None
    with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as calls:
        if walls_of == BUBBLEWRAP and calls.write(walls.system_calls(os.uname().machine)):
            calls.seek(0)
            command[1:1] = ["--seccomp", str(calls.fileno())]
        process = subprocess.Popen(
            command, cwd=folder if build else f"{folder}/scratch/empty", env=environment(folder), preexec_fn=limits,
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=said, start_new_session=True,
            pass_fds=[calls.fileno()] if walls_of == BUBBLEWRAP else [],
        )  # fmt: skip
        try:
            timed_out, grown = _wait(process, stdin.encode(), seconds, memory)
        finally:
            with contextlib.suppress(ProcessLookupError):  # also what it left behind
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        said.seek(max(0, said.seek(0, os.SEEK_END) - 4096))
        return Finished(process.returncode, grown or said.read().decode("utf-8", "replace"), timed_out)


def _wait(process, stdin, seconds, memory):
    """`(timed_out, grown)`: whether its time is over, and what it outgrew, if anything."""
    end = time.monotonic() + seconds
    while True:
        try:
            process.communicate(stdin, timeout=max(0.0, min(LOOK_EVERY, end - time.monotonic())))
            return False, None
        except subprocess.TimeoutExpired:
            stdin = None  # it is on its way
        if time.monotonic() >= end:
            return True, None
        if grown := _outgrown(process.pid, memory):
            return False, grown


def _outgrown(process, memory):
    """What a process and all that it started outgrow together: the kernel bounds each alone, root hardly at all."""
    children, sizes = {}, {}
    for place in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError, ValueError):
            fields = (place / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(int(place.name))
            sizes[int(place.name)] = int(fields[17]), int(fields[21])  # threads, pages
    waiting, threads, pages = [process], 0, 0
    while waiting:
        one = waiting.pop()
        waiting += children.get(one, [])
        threads, pages = (total + more for total, more in zip((threads, pages), sizes.get(one, (0, 0)), strict=True))
    if threads > 2 * PROCESSES:
        return f"it had {threads} processes and threads at once"
    if pages and pages * resource.getpagesize() > memory:
        return f"it took more than {memory / 1e9:.1f} GB of memory"
    return None


def import_path():
    """Folders of this process's import path in which the libraries lie, for a program that starts with none."""
    libraries = set(library_folders())
    return [place for place in sys.path if place and str(Path(place).resolve()) in libraries]
