"""A process that is forked while other threads are at work finds every lock free, and what they guard whole."""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from emodistill.pipeline_emodistill import CACHE_LOCK
from emodistill.serving.onnx import EXPORTS_LOCK
from emodistill.tokenizing_emodistill import TOKENIZER_LOCK

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
NAMES = {"cache": CACHE_LOCK, "exports": EXPORTS_LOCK, "tokenizer": TOKENIZER_LOCK}
LOCKS = pytest.mark.parametrize("lock", NAMES.values(), ids=NAMES)


def is_free(lock):
    """Whether another thread than this one can take it at once."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: lock.acquire(blocking=False) and not lock.release()).result()


def in_a_fork(check):
    """Whether a forked process finds it so."""
    process = os.fork()
    if not process:
        right = False
        try:
            right = check()
        finally:
            os._exit(0 if right else 1)
    return os.waitpid(process, 0)[1] == 0


@LOCKS
def test_a_fork_waits_for_what_another_thread_is_at(lock):
    held, done = threading.Event(), []

    def work():
        with lock:
            held.set()
            time.sleep(0.1)  # half-way
            done.append("whole")

    with ThreadPoolExecutor(1) as pool:
        pool.submit(work)
        held.wait()
        assert in_a_fork(lambda: done == ["whole"] and is_free(lock))
    assert is_free(lock)


@LOCKS
def test_a_thread_that_forks_may_hold_it_itself(lock):
    with lock:
        assert in_a_fork(lambda: not is_free(lock) and not lock.release() and is_free(lock))
    assert is_free(lock)
