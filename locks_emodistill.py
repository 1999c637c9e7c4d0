"""Locks that a forked process finds free, whatever other threads were at. Standard library only."""

import os
import threading

__all__ = ["lock_over_forks"]


def lock_over_forks():
    """
    A lock for all of a process, which a fork takes first: so no other thread holds it, nor is half-way through what
    it guards, at the moment that the child is copied from. A fork takes the lock that was made last before the others,
    and so must whoever needs two. It is never unregistered: make it once, with its module.

    Returns:
        `threading.RLock`: which a thread that forks may hold itself.

    Example:

    ```python
    >>> from emodistill.locks_emodistill import lock_over_forks

    >>> lock = lock_over_forks()
    >>> with lock:
    ...     print("alone")
    alone

    ```
    """
    lock = threading.RLock()
    if hasattr(os, "register_at_fork"):  # Windows forks nothing
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
    return lock
