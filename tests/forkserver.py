"""Real processes that start in a moment: forked from one that has torch, transformers and the package loaded.

For every test that kills a command, interrupts it, or needs it in a process of its own:

```python
process = forkserver.command(["annotate", "--input", ...], cwd=tmp_path, env={"OPENAI_API_KEY": "sk-test"})
process.send_signal(signal.SIGKILL)
output, errors = process.communicate(timeout=30)      # as of subprocess.Popen; process.returncode is -9
```

`group` starts the ranks of one distributed run. What libraries read while they are imported (HF_HUB_OFFLINE,
OMP_NUM_THREADS) is that of the test run, whatever `env` says. A test of the very start of a program, of its imports
or of another environment needs `subprocess` and its seconds.
"""

import importlib
import multiprocessing
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

PRELOADED = [
    "torch", "transformers.pipelines", "emodistill.pipeline_emodistill", "emodistill.cli",
    "emodistill.annotate.commands.run", "emodistill.annotate.commands.batch", "emodistill.train_accelerate",
    "accelerate", "datasets", "openai", "forkserver",
]  # fmt: skip
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(PRELOADED)


class Running:
    """A forked process, with the methods of `subprocess.Popen` that tests use; it leads a process group of its own."""

    def __init__(self, target, arguments, cwd, env):
        self._folder = tempfile.TemporaryDirectory()
        paths = [Path(self._folder.name, name) for name in ("stdout", "stderr")]
        for path in paths:
            path.touch()
        self.stdout_path, self.stderr_path = paths
        environment = {name: str(value) for name, value in {**os.environ, **(env or {})}.items() if value is not None}
        self._process = CONTEXT.Process(
            target=_child, args=(target, arguments, str(cwd or os.getcwd()), environment, *map(str, paths))
        )
        self._process.start()
        self.pid = self._process.pid

    def poll(self):
        """The exit status, or `None` while it runs."""
        return self._process.exitcode

    @property
    def returncode(self):
        return self._process.exitcode

    def wait(self, timeout=None):
        """Wait for the end; `subprocess.TimeoutExpired` where it does not come."""
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout)
        return self._process.exitcode

    def communicate(self, timeout=None):
        """Wait for the end; what it wrote, `(stdout, stderr)`."""
        self.wait(timeout)
        return self.stdout, self.stderr

    @property
    def stdout(self):
        """What it has written so far."""
        return self.stdout_path.read_text(encoding="utf-8", errors="replace")

    @property
    def stderr(self):
        return self.stderr_path.read_text(encoding="utf-8", errors="replace")

    def send_signal(self, number):
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self):
        self.send_signal(signal.SIGKILL)


def _child(target, arguments, cwd, environment, stdout, stderr):
    os.setsid()
    for path, descriptor in ((os.devnull, 0), (stdout, 1), (stderr, 2)):
        opened = os.open(path, os.O_RDWR | os.O_APPEND)
        os.dup2(opened, descriptor)
        os.close(opened)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout, sys.stderr = (
        open(number, "w", encoding="utf-8", buffering=1, closefd=False) for number in (1, 2)  # noqa: SIM115
    )
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(cwd)
    module, name = target.rsplit(":", 1)
    found = runpy.run_path(module) if module.endswith(".py") else vars(importlib.import_module(module))
    sys.exit(found[name](arguments))


def command(arguments, cwd=None, env=None):
    """`emodistill ARGUMENTS` in a process of its own.

    Args:
        arguments (`list`): the arguments after the program's name.
        cwd: its folder.
        env (`dict`): variables over those of the test; `None` takes one away.

    Returns:
        `Running`.
    """
    return Running("emodistill.cli:main", [str(part) for part in arguments], cwd, env)


def call(target, arguments, cwd=None, env=None):
    """`target`, called with `arguments` in a process that exits with its result; `Running`.

    It is a `"module:function"`, or the path of a test's own file in the module's place.
    """
    return Running(target, arguments, cwd, env)


def group(arguments, processes, cwd=None, env=None, target="emodistill.cli:main"):
    """The ranks of one distributed run on this machine, as `accelerate launch` and `torchrun` start them, a `list`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    shared = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": processes, "ACCELERATE_USE_CPU": "true"}
    shared |= {"LOCAL_WORLD_SIZE": processes, **(env or {})}
    ranks = range(processes)
    return [Running(target, arguments, cwd, shared | {"RANK": rank, "LOCAL_RANK": rank}) for rank in ranks]


def print_variable(name):
    """Print a variable of the environment; for the test of this file."""
    print(os.environ[name])
