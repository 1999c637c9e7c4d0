"""Whether a file is a pickle, or holds one: by its name and by its content, whatever the name."""

import pickletools
import re
import warnings

from .archives import contents

__all__ = ["is_pickle"]

SUFFIXES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".dill", ".p", ".pyc", ".mar")


def is_pickle(path):
    """Look at a file's name and at its content.

    Args:
        path (`Path`)

    Returns:
        `bool`: whether it is a pickle of any protocol, an array of Python objects, or an archive that holds one.

    Example:

    ```python
    >>> import pickle, tempfile
    >>> from pathlib import Path
    >>> from emodistill.hub.pickles import is_pickle

    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "notes.txt"
    ...     _ = path.write_bytes(pickle.dumps(["joy"], protocol=0))
    ...     is_pickle(path)
    True

    ```
    """
    if path.suffix.lower() in SUFFIXES:
        return True
    with open(path, "rb") as file:
        return any(name.lower().endswith(SUFFIXES) or _is_one(part) for name, part in contents(file))


def _is_one(file):
    head = file.read(4096)
    if head[:6] == b"\x93NUMPY":
        return _of_objects(head)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on how strings are spelled in what is no pickle
        return re.match(rb"\x80[\x01-\x0f]", head) is not None or _parses(file)


def _of_objects(head):
    """An array whose type is that of Python objects, also as a field of a structured one."""
    match = re.search(rb"'descr'\s*:\s*(.*?)(?:,\s*'fortran_order'|$)", head, re.DOTALL)
    return match is None or re.search(rb"['\"][|<>=]?O\d*['\"]", match.group(1)) is not None


def _parses(file):
    """Whether the content reads as a pickle without a head, as those of protocol 0 do, which are plain text.

    Any bytes may happen to begin like a short one, so that it must be all there is, or call something by its name.
    """
    file.seek(0)
    stack, mark, calls = [], pickletools.markobject, False
    try:
        for operation, argument, _ in pickletools.genops(file):
            calls |= operation.name in ("GLOBAL", "INST") and re.fullmatch(r"[\w.]+ [\w.]+", argument) is not None
            taken = list(operation.stack_before)
            if mark in taken or (operation.name == "POP" and stack[-1] is mark):
                while stack.pop() is not mark:
                    pass
                taken = taken[: taken.index(mark)] if mark in taken else []
            for _ in taken:
                stack.pop()  # an ordinary text soon takes what is not there
            stack += operation.stack_after
            if operation.name == "STOP":
                return calls or not file.read().strip(b"\0\r\n \t")
    except Exception:  # whatever it meets that is none
        return False
    finally:
        file.seek(0)
    return False
