"""Folders to build in are gone at the end, also where SIGTERM is the end."""

import os
import signal

from emodistill.hub.scratch import scratch_folder


def test_sigterm_takes_every_folder_along():
    ended, there = [], signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda *_: ended.append([os.path.exists(folder) for folder in folders]))
    try:
        with scratch_folder("outer") as outer, scratch_folder("inner") as inner:
            folders = [outer, inner]
            signal.raise_signal(signal.SIGTERM)
            assert ended == [[False, False]]
        with scratch_folder("again") as folder:
            assert os.path.isdir(folder)
        assert not os.path.exists(folder)
    finally:
        signal.signal(signal.SIGTERM, there)
