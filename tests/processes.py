"""Real processes for tests that kill them, forked from a server that has everything imported already."""

import os
from pathlib import Path

from forkserver import CONTEXT

import emodistill

ROOT = str(Path(emodistill.__file__).resolve().parent.parent)


def environment():
    """Environment of a process that imports this package and has a key."""
    path = os.pathsep.join([ROOT, *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "OPENAI_API_KEY": "sk-test", "OMP_NUM_THREADS": "1"}


def fork(function, *arguments):
    """A process of its own that calls a function of a module."""
    process = CONTEXT.Process(target=function, args=arguments)
    process.start()
    return process
