"""Write anything so that a kill, a full disk or a device file harms nothing. Standard library only.

Everything that the package writes goes through here. A file or folder is written under another name beside its place
and takes its own name when it is complete and on the disk: a reader sees what was there before or all that is new.
"""

import contextlib
import errno
import glob
import json
import math
import os
import re
import shutil
import stat
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path

from .full_disks import disk_full_named
from .unfinished import LOCKS, hidden_name, lock_file, locked_folder, tidy

__all__ = [
    "check_output",
    "write_bytes",
    "write_json",
    "write_text",
    "writing",
    "writing_folder",
]

_DESCRIPTOR = re.compile(r"/proc/(self|thread-self|\d+)(?:/task/\d+)?/fd/(\d+)")


# ---- files


@contextmanager
def writing(path, mode="w", **open_options):
    """
    Open a file that appears whole or not at all.

    It is written beside its place, flushed to the disk and renamed, with the rights of the file that it replaces.
    Links are followed: what they point to is replaced, not they. Missing folders are made. What is no plain file (a
    device such as `/dev/null`, a pipe, `/dev/stdout`) is written straight, and so is, at the end and from a complete
    copy, a file whose folder takes no new files.

    Args:
        path (`str` or `Path`): The file.
        mode (`str`, *optional*, defaults to `"w"`): `"w"` for text, UTF-8 unless told otherwise, or `"wb"` for bytes.
        **open_options: Further arguments of `open`, such as `newline`.

    Yields:
        The open file.

    Raises:
        [`DiskFullError`]: where there is no space left, whatever the library that writes calls it.
        `OSError`: where the path is a folder, or may not be written. What was there before is left as it was, as it
            is after any exception of the `with` block.
        `ValueError`: for another mode.

    Example:

    ```python
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "scores.csv")
    >>> with writing(path, newline="") as file:
    ...     print("text,joy", file=file)
    >>> path.read_text()
    'text,joy\\n'

    ```
    """
    if mode not in ("w", "wt", "wb", "bw"):
        raise ValueError(f"mode is {mode!r}; 'w' or 'wb' is expected")
    if "b" not in mode:
        open_options.setdefault("encoding", "utf-8")
    with disk_full_named(path):
        descriptor = _straight(path)
        if descriptor is not None:
            with open(descriptor, mode, **open_options) as file:
                yield file
            return
        target = Path(os.path.realpath(path))
        before = _existing(target)
        temporary, descriptor = _beside(target, before)
        try:
            with _closing(descriptor):  # and with it the lock, once the file has its name
                with open(descriptor, mode, closefd=False, **open_options) as file:
                    yield file
                os.fsync(descriptor)
                if LOCKS:
                    _take_name(temporary, target, before)
            if not LOCKS:  # Windows renames no open file
                _take_name(temporary, target, before)
        finally:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def write_text(path, text, **open_options):
    """
    Write text to a file, whole or not at all: [`writing`] in one call.

    Args:
        path (`str` or `Path`): The file.
        text (`str`): Its content.
        **open_options: Further arguments of `open`, such as `encoding`.
    """
    with writing(path, **open_options) as file:
        file.write(text)


def write_bytes(path, content):
    """
    Write bytes to a file, whole or not at all: [`writing`] in one call.

    Args:
        path (`str` or `Path`): The file.
        content (`bytes`): Its content.
    """
    with writing(path, "wb") as file:
        file.write(content)


def write_json(path, content, *, indent=2, sort_keys=False):
    """
    Write a JSON file that every reader takes, whole or not at all.

    Numbers that are not finite have no place in JSON and become `null`; what NumPy and torch compute becomes numbers
    and lists, a path text.

    Args:
        path (`str` or `Path`): The file.
        content: What `json` takes, and the above.
        indent (`int`, *optional*, defaults to 2): Spaces a level; `None` for one line.
        sort_keys (`bool`, *optional*, defaults to `False`): Whether keys are sorted.

    Example:

    ```python
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp(), "results.json")
    >>> write_json(path, {"f1": 0.5, "r": float("nan")}, indent=None)
    >>> path.read_text()
    '{"f1": 0.5, "r": null}\\n'

    ```
    """
    options = {"indent": indent, "sort_keys": sort_keys, "allow_nan": False}
    content = _plain(content)
    text = json.dumps(content, ensure_ascii=False, **options)
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair: only its escape is valid UTF-8
        text = json.dumps(content, **options)
    write_text(path, text + "\n")


def _plain(value):
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):  # arrays, tensors, and their scalars
        return _plain(value.tolist())
    return value


# ---- folders


@contextmanager
def writing_folder(path, *, replace=False):
    """
    Fill a folder that appears complete or not at all.

    Args:
        path (`str` or `Path`): The folder. Links are followed; missing parents are made.
        replace (`bool`, *optional*, defaults to `False`): Whether a folder that is there, with all it holds, is
            replaced. Otherwise only an empty one is.

    Yields:
        `Path`: A folder beside it, to be filled. At the end of the `with` block its files are flushed to the disk and
            it takes its name; where the two can be exchanged in one step (Linux), a kill at any moment leaves the old
            folder or the new one, and elsewhere the old one stands aside until the new one has its name, and is
            brought back by the next call if it never got it. A folder on which a file system is mounted is filled file
            by file.

    Raises:
        `FileExistsError`: for a folder that holds something, without `replace`.
        `NotADirectoryError`: where there is a file in its place.
        [`DiskFullError`], `OSError`: as for [`writing`]; the folder is left as it was.

    Example:

    ```python
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp(), "checkpoint")
    >>> with writing_folder(folder) as building:
    ...     write_text(building / "config.json", "{}")
    >>> sorted(path.name for path in folder.iterdir())
    ['config.json']

    ```
    """
    target = Path(os.path.realpath(path))
    with disk_full_named(path):
        target.parent.mkdir(parents=True, exist_ok=True)
        tidy(target)
        if target.exists() and not target.is_dir():
            raise NotADirectoryError(f"{path} is a file; a folder is to be written there")
        if not replace and target.is_dir() and any(target.iterdir()):
            raise FileExistsError(f"{path} is there already and is not empty; choose another folder, or move it away")
        inside = target.is_dir() and (os.path.ismount(target) or not _may(target.parent, os.W_OK | os.X_OK))
        temporary = Path(hidden_name(target / "folder" if inside else target, "tmp"))
        temporary.mkdir()
        try:
            with locked_folder(temporary):
                yield temporary
                _flush_tree(temporary)
                if inside:
                    _move_content(temporary, target)
                else:
                    _replace_folder(temporary, target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def _replace_folder(temporary, target):
    if not target.exists():
        os.rename(temporary, target)
        _flush_folder(target.parent)
        return
    with contextlib.suppress(OSError):
        shutil.copymode(target, temporary)
    if _exchange(temporary, target):  # what was there now has the temporary name, and goes with it
        _flush_folder(target.parent)
        return
    aside = hidden_name(target, "old")
    try:
        os.rename(target, aside)
    except OSError as error:
        if error.errno not in (errno.EXDEV, errno.EBUSY):
            raise
        _move_content(temporary, target)  # an overlay or a mount does not let go of it
        return
    try:
        os.rename(temporary, target)
    except BaseException:
        os.rename(aside, target)
        raise
    _flush_folder(target.parent)
    shutil.rmtree(aside, ignore_errors=True)


def _move_content(temporary, target):
    """File by file, the old ones first replaced and then, where the new folder has none of their name, removed."""
    names = set(os.listdir(temporary))
    for name in names:
        new, old = temporary / name, target / name
        if old.is_dir() and not old.is_symlink():
            shutil.rmtree(old)
        try:
            os.replace(new, old)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            shutil.move(new, old)
    for name in set(os.listdir(target)) - names - {temporary.name}:
        path = target / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    _flush_folder(target)


def _exchange(first, second):
    """Swap two folders' names in one step. Returns whether that could be done."""
    if not hasattr(os, "O_TMPFILE"):  # Linux alone has both
        return False
    try:
        import ctypes

        renameat2 = ctypes.CDLL(None, use_errno=True).renameat2
    except (ImportError, OSError, AttributeError):
        return False
    here, exchange = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    return renameat2(here, os.fsencode(first), here, os.fsencode(second), exchange) == 0


# ---- before the work


def check_output(path, argument, folder=False, inputs=()):
    """
    Tell at once of a place that could not be written once the work is done.

    Args:
        path (`str` or `Path`): The file or folder to be written.
        argument (`str`): The argument that names it, for the sentence.
        folder (`bool`, *optional*, defaults to `False`): Whether it is to be a folder.
        inputs (`Iterable[str | Path | None]`, *optional*): What is read, as the user named it, which a file must not
            replace.

    Raises:
        `ValueError`: for an empty name, `-`, a home folder that the shell left as `~`, and what is read.
        `OSError`: where a file stands in place of a folder or the other way round, or nothing may be written.
    """
    what = "folder" if folder else "file"
    path = os.fspath(path)
    if not path.strip() or "\0" in path:
        raise ValueError(f"{argument} is {path!r}, which names no {what}")
    if path == "-":
        raise ValueError(f"{argument} -: standard output is not written to; name a {what}")
    if path.startswith("~") and not os.path.lexists(path.split("/")[0]):
        raise ValueError(f"{argument} {path}: the shell did not put a folder in place of ~; write it out")
    with contextlib.suppress(FileNotFoundError, NotADirectoryError, PermissionError):
        os.lstat(path)  # tells of a name that is too long
    if not folder and os.path.isdir(path):
        raise IsADirectoryError(f"{argument} {path} is a folder; name a file in it")
    if folder and os.path.exists(path) and not os.path.isdir(path):
        raise NotADirectoryError(f"{argument} {path} is a file; name a folder")
    if any(_is_read_from(path, source) for source in inputs):
        raise ValueError(f"{argument} {path} is what is read, and would be lost; name another {what}")
    above = os.path.realpath(path)
    while not os.path.lexists(above):
        above = os.path.dirname(above)
    if above != os.path.realpath(path) and not os.path.isdir(above):
        raise NotADirectoryError(f"{argument} {path}: {above} is a file, no folder")
    if not _may(above, os.W_OK):
        raise PermissionError(f"{argument} {path} cannot be written: {above} takes no new files")


def _is_read_from(path, source):
    """Whether a plain file is a source of rows, or one of those that its pattern names."""
    if source is None or not os.path.isfile(path):
        return False
    source = os.fspath(source)
    names = [source] if os.path.exists(source) else glob.glob(source, recursive=True)
    return any(os.path.samefile(path, name) for name in names)


# ---- what both need


def _straight(path):
    """A descriptor, open for writing, of what is no plain file; `None` for one, or for what is not there yet."""
    path = os.fspath(path)
    own = _own_descriptor(path)
    if own is not None:
        _flush_streams()
        return os.dup(own)
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISREG(mode):
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(f"{path} is a folder; name a file in it")
    return os.open(path, os.O_WRONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOCTTY", 0))


def _own_descriptor(path):
    """The number behind `/dev/stdout`, `/dev/fd/3` and the like.

    Such a name may stand for a plain file into which the shell sends our output: it is neither to be replaced nor to
    be emptied.
    """
    for _ in range(40):
        folder, name = os.path.split(path)
        full = os.path.join(os.path.realpath(folder or "."), name)
        match = _DESCRIPTOR.fullmatch(full)
        if match:
            return int(match[2]) if match[1] in ("self", "thread-self", str(os.getpid())) else None
        try:
            path = os.path.join(os.path.dirname(full), os.readlink(full))
        except OSError:
            return None
    return None


def _flush_streams():
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):  # closed, or replaced by something that has no such thing
            stream.flush()


def _existing(target):
    """The `os.stat` of the plain file at `target`, or `None`."""
    try:
        before = os.stat(target)
    except FileNotFoundError:
        target.parent.mkdir(parents=True, exist_ok=True)
        return None
    if not _may(target, os.W_OK):  # a rename would not ask
        raise PermissionError(f"{target} may not be written")
    return before


def _may(path, rights):
    return os.access(path, rights, effective_ids=os.access in os.supports_effective_ids)


def _beside(target, before):
    """A new, empty, locked file and its descriptor: beside the target, or elsewhere if its folder takes no files."""
    tidy(target)
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    while True:
        path = hidden_name(target, "tmp")
        try:
            descriptor = os.open(path, flags, 0o600 if before else 0o666)
        except OSError as error:
            if before is None or error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
                raise
            descriptor, path = tempfile.mkstemp()
            return path, descriptor
        lock_file(descriptor)
        if os.fstat(descriptor).st_nlink or not LOCKS:
            break
        os.close(descriptor)  # taken for a leftover, by another process, before it was locked
    if before is not None and hasattr(os, "fchmod"):
        with contextlib.suppress(OSError):
            os.fchown(descriptor, before.st_uid, before.st_gid)
        os.fchmod(descriptor, stat.S_IMODE(before.st_mode))
    return path, descriptor


def _take_name(temporary, target, before):
    try:
        if os.path.dirname(temporary) != str(target.parent):
            raise OSError(errno.EXDEV, "elsewhere")
        os.replace(temporary, target)
    except OSError as error:
        # A file that is mounted alone, as containers do, or another user's in /tmp is not renamed over.
        if before is None or error.errno not in (errno.EXDEV, errno.EBUSY, errno.EACCES, errno.EPERM):
            raise
        with open(temporary, "rb") as source, open(target, "wb") as place:
            shutil.copyfileobj(source, place)
            place.flush()
            os.fsync(place.fileno())
        return
    _flush_folder(target.parent)


@contextmanager
def _closing(descriptor):
    try:
        yield
    finally:
        os.close(descriptor)


def _flush_tree(folder):
    for parent, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(parent, name)
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as file:
                    os.fsync(file.fileno())
        _flush_folder(parent)


def _flush_folder(folder):
    """Make renames last; not every system can."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        with _closing(descriptor):
            os.fsync(descriptor)
