"""A folder to build in that is gone at the end, whatever the end is, short of a kill."""

import contextlib
import shutil
import signal
import tempfile
import threading

__all__ = ["scratch_folder"]


@contextlib.contextmanager
def scratch_folder(purpose):
    """
    A temporary folder, which may hold a whole model, for as long as the block lasts: also where SIGTERM ends that.

    Args:
        purpose (`str`): For its name.

    Example:

    ```python
    >>> import os
    >>> from emodistill.hub.scratch import scratch_folder

    >>> with scratch_folder("example") as folder:
    ...     os.path.isdir(folder)
    True
    >>> os.path.exists(folder)
    False

    ```
    """
    with tempfile.TemporaryDirectory(prefix=f"emodistill-{purpose}-", ignore_cleanup_errors=True) as folder:
        before = signal.getsignal(signal.SIGTERM)

        def leave(*_):
            shutil.rmtree(folder, ignore_errors=True)
            signal.signal(signal.SIGTERM, before)  # of a folder around this one, or that which ends
            signal.raise_signal(signal.SIGTERM)

        # Elsewhere than in the main thread no handler can be set, and one of another language cannot be put back.
        if threading.current_thread() is not threading.main_thread() or before in (None, signal.SIG_IGN):
            yield folder
            return
        signal.signal(signal.SIGTERM, leave)
        try:
            yield folder
        finally:
            signal.signal(signal.SIGTERM, before)
