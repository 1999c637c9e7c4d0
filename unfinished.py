"""What is being written: its hidden name, its lock, and what killed runs left of theirs. Standard library only."""

import contextlib
import os
import re
import secrets
import shutil
import stat
from contextlib import contextmanager

try:
    import fcntl
except ImportError:  # Windows: what a killed run left behind stays until someone removes it
    fcntl = None

__all__ = ["LOCKS", "hidden_name", "lock_file", "locked_folder", "tidy"]

LOCKS = fcntl is not None
_LONGEST_NAME = 255  # bytes; what every usual file system takes


def hidden_name(target, kind):
    """
    A name beside a file or folder that nobody else has: `.NAME.0a1b2c3d.tmp`.

    Args:
        target (`Path`): What is to be written.
        kind (`str`): `tmp` for what will take its name, `old` for what gave it up.

    Returns:
        `str`
    """
    suffix = f".{secrets.token_hex(4)}.{kind}"
    name = os.fsencode(target.name)[: _LONGEST_NAME - len(suffix) - 1]
    return os.path.join(target.parent, "." + os.fsdecode(name) + suffix)


def tidy(target):
    """
    Remove what killed runs left beside a file or folder, and bring back a folder that one of them moved aside.

    A run that goes on holds a lock on its file, so what can be locked is a leftover.

    Args:
        target (`Path`): What is to be written.
    """
    if not LOCKS:
        return
    stem = re.escape(os.path.basename(hidden_name(target, "tmp"))[: -len("00000000.tmp")])
    ours = re.compile(stem + r"[0-9a-f]{8}\.(tmp|old)", re.DOTALL)
    try:
        names = os.listdir(target.parent)
    except OSError:
        return
    for name in filter(ours.fullmatch, names):
        with contextlib.suppress(OSError):
            _remove_leftover(target.parent / name, target)


def _remove_leftover(path, target):
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if found.st_uid != os.geteuid():
            return
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if stat.S_ISDIR(found.st_mode):
            if path.name.endswith(".old") and not target.exists():
                os.rename(path, target)
            else:
                shutil.rmtree(path)
        elif stat.S_ISREG(found.st_mode):
            os.unlink(path)
    finally:
        os.close(descriptor)


def lock_file(descriptor):
    """Hold an open file, or folder, until it is closed: what nobody holds is a leftover."""
    if LOCKS:
        with contextlib.suppress(OSError):  # a file system without locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)


@contextmanager
def locked_folder(folder):
    """Hold a folder for a `with` block, see [`lock_file`]."""
    if not LOCKS:
        yield
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        lock_file(descriptor)
        yield
    finally:
        os.close(descriptor)
