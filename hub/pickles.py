"""Whether a file is a pickle, or holds one: by its name and by its content, whatever the name."""

import bz2
import gzip
import io
import lzma
import pickletools
import re
import tarfile
import warnings
import zipfile
import zlib

__all__ = ["is_pickle"]

SUFFIXES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".dill", ".p", ".pyc", ".mar")
BYTES = 20_000_000  # of a packed file, unpacked
MEMBERS = 1000  # of an archive
PACKED = ((b"\x1f\x8b", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\0", lzma.open))


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
        return _holds_pickle(file, 0)


def _holds_pickle(file, depth):
    """`file` is seekable; archives and packed files are looked into, two deep."""
    head = file.read(4096)
    file.seek(0)
    if head[:6] == b"\x93NUMPY":
        return _of_objects(head)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on how strings are spelled in what is no pickle
        if re.match(rb"\x80[\x01-\x0f]", head) or _parses(file):
            return True
    if depth == 2:
        return False
    try:
        return _in_archive(file, head, depth)
    except (OSError, EOFError, ValueError, zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError,
            NotImplementedError, RuntimeError):  # fmt: skip
        return False  # damaged, encrypted, or something else after all


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


def _in_archive(file, head, depth):
    for magic, unpack in PACKED:
        if head.startswith(magic):
            with unpack(file) as inside:
                return _holds_pickle(io.BytesIO(inside.read(BYTES)), depth + 1)
    if head[:1] == b"\x78" and head[:2] != b"x\n" and (head[0] * 256 + head[1]) % 31 == 0:
        return _holds_pickle(io.BytesIO(zlib.decompressobj().decompress(file.read(), BYTES)), depth + 1)
    if zipfile.is_zipfile(file):
        with zipfile.ZipFile(file) as archive:
            for member in archive.infolist()[:MEMBERS]:
                if member.filename.lower().endswith(SUFFIXES):
                    return True
                with archive.open(member) as inside:
                    if _holds_pickle(io.BytesIO(inside.read(BYTES)), depth + 1):
                        return True
        return False
    file.seek(0)
    if head[257:262] == b"ustar":
        with tarfile.open(fileobj=file) as archive:
            for number, member in enumerate(archive):
                inside = archive.extractfile(member) if member.isfile() else None
                if member.name.lower().endswith(SUFFIXES) or (
                    inside and _holds_pickle(io.BytesIO(inside.read(BYTES)), depth + 1)
                ):
                    return True
                if number == MEMBERS:
                    break
    return False
