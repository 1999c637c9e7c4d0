"""A full disk, in whichever library's words, as one sentence. Standard library only."""

import errno
import os
import re
from contextlib import contextmanager

__all__ = ["DiskFullError", "disk_full_named", "is_disk_full"]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# How those say it that raise no OSError with its number: Rust (safetensors, tokenizers), SQLite, NumPy, torch.
_FULL_WORDS = re.compile(
    r"no space left on device|\(os error (28|122|27)\)|disk quota exceeded|database or disk is full|file too large"
    r"|^\d+ requested and \d+ written$|inline_container.*(unexpected pos|file write failed)"
    r"|PytorchStreamWriter failed writing",
    re.IGNORECASE | re.DOTALL,
)


class DiskFullError(OSError):
    """No space left, or more than a quota or a limit on files allows; its text is one sentence."""

    def __init__(self, path):
        super().__init__(errno.ENOSPC, f"disk full: {os.fspath(path)} could not be written", os.fspath(path))

    def __str__(self):
        return f"{self.strerror}; free some space (or raise the quota) and run it again"


def is_disk_full(error):
    """
    Whether an exception says, in whichever library's words, that the disk is full.

    Args:
        error (`BaseException`)

    Example:

    ```python
    >>> is_disk_full(OSError(28, "No space left on device")), is_disk_full(ValueError("no such label"))
    (True, False)

    ```
    """
    if isinstance(error, OSError) and error.errno in _FULL:
        return True
    return isinstance(error, Exception) and bool(_FULL_WORDS.search(str(error)))


@contextmanager
def disk_full_named(path):
    """
    Turn what any library raises on a full disk into one [`DiskFullError`] that names the path.

    For what cannot be written through [`writing`]: a database, or a library that opens its files itself.

    Args:
        path (`str` or `Path`): What is written.
    """
    try:
        yield
    except DiskFullError:
        raise
    except Exception as error:
        if is_disk_full(error):
            raise DiskFullError(path) from error
        raise
