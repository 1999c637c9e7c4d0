"""Real processes for tests that kill them, forked from a server that has everything imported already."""

import multiprocessing
import os
from pathlib import Path

import emodistill

ROOT = str(Path(emodistill.__file__).resolve().parent.parent)

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["emodistill.annotate.cli", "emodistill.annotate.batch_cli", "openai"])


def environment():
    """Environment of a process that imports this package and has a key."""
    path = os.pathsep.join([ROOT, *filter(None, [os.environ.get("PYTHONPATH")])])
    return {**os.environ, "PYTHONPATH": path, "OPENAI_API_KEY": "sk-test", "OMP_NUM_THREADS": "1"}


def fork(function, *arguments):
    """A process of its own that calls a function of a module."""
    process = CONTEXT.Process(target=function, args=arguments)
    process.start()
    return process
