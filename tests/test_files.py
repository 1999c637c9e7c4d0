"""Writing, against real devices, pipes, links, rights, full disks and kills."""

import json
import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from emodistill import files, unfinished
from emodistill.files import write_bytes, write_json, write_text, writing, writing_folder
from emodistill.full_disks import DiskFullError, disk_full_named, is_disk_full

ROOT = Path(__file__).resolve().parent.parent
# A package of the same files whose own imports (torch, transformers) are not made
BARE = f"import sys, types\nbare = sys.modules['bare'] = types.ModuleType('bare')\nbare.__path__ = [{str(ROOT)!r}]\n"
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="makes device nodes")
as_user = pytest.mark.skipif(os.geteuid() == 0, reason="root may write everything")


def names(folder):
    return sorted(os.listdir(folder))


# ---- files


def test_a_file_is_new_or_old_and_nothing_else_is_left(tmp_path):
    path = tmp_path / "deep" / "er" / "scores.csv"
    write_text(path, "né\n")
    assert path.read_bytes() == "né\n".encode() and names(path.parent) == ["scores.csv"]
    with pytest.raises(ZeroDivisionError), writing(path) as file:
        file.write("half")
        file.flush()
        assert path.read_text(encoding="utf-8") == "né\n"
        1 / 0  # noqa: B018
    assert path.read_text(encoding="utf-8") == "né\n" and names(path.parent) == ["scores.csv"]
    write_bytes(path, b"\x00\xff")
    assert path.read_bytes() == b"\x00\xff"
    with writing(path, "wb") as file:
        file.write(b"closed by a library")
        file.close()
    assert path.read_bytes() == b"closed by a library"


def test_only_writing_modes_and_places_that_take_a_file(tmp_path):
    for mode in ("a", "r+", "x"):
        with pytest.raises(ValueError, match="mode"), writing(tmp_path / "x", mode):
            pass
    with pytest.raises(IsADirectoryError, match="is a folder; name a file in it"):
        write_text(tmp_path, "")
    (tmp_path / "plain").write_text("")
    with pytest.raises(NotADirectoryError):
        write_text(tmp_path / "plain" / "x", "")
    assert names(tmp_path) == ["plain"]


@pytest.mark.parametrize("length", [200, 255])
def test_long_names(tmp_path, length):
    path = tmp_path / ("ö" * (length // 2) + "x" * (length % 2))
    write_text(path, "long")
    assert path.read_text() == "long" and len(names(tmp_path)) == 1


def test_rights(tmp_path):
    path, umask = tmp_path / "x", os.umask(0o027)
    try:
        write_text(path, "new")
        assert stat.S_IMODE(path.stat().st_mode) == 0o640
    finally:
        os.umask(umask)
    for mode in (0o600, 0o664, 0o755):
        path.chmod(mode)
        with writing(path) as file:
            file.write("again")
            file.flush()
            (temporary,) = set(names(tmp_path)) - {"x"}
            assert stat.S_IMODE((tmp_path / temporary).stat().st_mode) == mode
        assert stat.S_IMODE(path.stat().st_mode) == mode and path.read_text() == "again"


@as_root
def test_the_owner_stays(tmp_path):
    path = tmp_path / "x"
    path.write_text("")
    os.chown(path, 1234, 2345)
    write_text(path, "new")
    assert (path.stat().st_uid, path.stat().st_gid) == (1234, 2345)


@as_user
def test_a_file_that_may_not_be_written_is_not_replaced(tmp_path):
    path = tmp_path / "x"
    path.write_text("mine")
    path.chmod(0o444)
    with pytest.raises(PermissionError, match="may not be written"):
        write_text(path, "new")
    assert path.read_text() == "mine"


def test_a_folder_without_new_files():
    """As another user: the folder takes none, but the file in it may be written."""
    folder = Path(tempfile.mkdtemp())  # pytest's own folders are closed to others
    try:
        (folder / "x").write_text("old, and longer")
        (folder / "x").chmod(0o666)
        folder.chmod(0o555)
        done = python(
            "import os, sys\nfrom bare.files import *\nif os.geteuid() == 0: os.seteuid(65534)\n"
            "path = sys.argv[1]\nwrite_text(path, 'new')\n"
            "try: write_text(path + 'y', 'new')\nexcept PermissionError as error: print('refused')",
            folder / "x",
        )
        assert done.stdout == "refused\n" and (folder / "x").read_text() == "new" and names(folder) == ["x"]
    finally:
        folder.chmod(0o755)
        shutil.rmtree(folder)


def python(code, *arguments, **options):
    """A process that knows `files.py` and what it imports alone, which need nothing but the standard library."""
    options = {"capture_output": True, "text": True, "timeout": 60} | options
    done = subprocess.run([sys.executable, "-c", BARE + code, *map(str, arguments)], **options)
    assert done.returncode == 0, done.stderr
    return done


# ---- links, devices, pipes


def test_links_stay_links(tmp_path):
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "x"
    target.write_text("old")
    (tmp_path / "link").symlink_to("middle")
    (tmp_path / "middle").symlink_to(target)
    (tmp_path / "folder").symlink_to("real")
    (tmp_path / "dangling").symlink_to(tmp_path / "real" / "new")
    for name, place in (("link", "x"), ("folder/x", "x"), ("dangling", "new")):
        write_text(tmp_path / name, name)
        assert (tmp_path / "real" / place).read_text() == name
    assert all((tmp_path / name).is_symlink() for name in ("link", "middle", "folder", "dangling"))
    assert names(tmp_path / "real") == ["new", "x"]
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError):
        write_text(tmp_path / "loop", "")


def test_a_planted_link_is_not_followed(tmp_path, monkeypatch):
    """Whoever guesses the temporary name gains nothing: it is created, never opened."""
    victim = tmp_path / "victim"
    victim.write_text("mine")
    guesses = iter(["0" * 8, "0" * 8, "1" * 8, "1" * 8])
    monkeypatch.setattr(unfinished.secrets, "token_hex", lambda count: next(guesses))
    for name in (".x.00000000.tmp", ".x.tmp", "x.tmp"):
        (tmp_path / name).symlink_to(victim)
    with pytest.raises(FileExistsError):
        write_text(tmp_path / "x", "new")
    assert victim.read_text() == "mine" and (tmp_path / ".x.tmp").is_symlink()


@as_root
def test_a_device_stays_one(tmp_path):
    null = tmp_path / "null"
    try:
        os.mknod(null, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        null.write_text("")
    except OSError:
        pytest.skip("no device nodes here")
    (tmp_path / "link").symlink_to(null)
    for path in (null, tmp_path / "link"):
        write_text(path, "into nothing")
        write_json(path, [1])
    assert stat.S_ISCHR(null.stat().st_mode) and names(tmp_path) == ["link", "null"]
    os.mknod(tmp_path / "full", 0o666 | stat.S_IFCHR, os.makedev(1, 7))
    with pytest.raises(DiskFullError, match=r"disk full: .*full could not be written; free some space"):
        write_text(tmp_path / "full", "x")


def test_a_pipe_is_written_straight(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    read = []
    thread = threading.Thread(target=lambda: read.append(pipe.read_bytes()))
    thread.start()
    with writing(pipe, "wb") as file:
        file.write(b"through")
    thread.join(10)
    assert read == [b"through"] and stat.S_ISFIFO(pipe.stat().st_mode)


@pytest.mark.parametrize("path", ["/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"])
def test_standard_output_goes_where_the_shell_sends_it(tmp_path, path):
    """Into a pipe; and into a plain file, in turn with what else is printed, appending to what was there."""
    code = f"from bare.files import *\nprint('before')\nwrite_text({path!r}, 'middle\\n')\nprint('after')"
    assert python(code).stdout == "before\nmiddle\nafter\n"
    (tmp_path / "log").write_text("old\n")
    with open(tmp_path / "log", "a") as log:
        python(code, capture_output=False, stdout=log)
    assert (tmp_path / "log").read_text() == "old\nbefore\nmiddle\nafter\n" and names(tmp_path) == ["log"]


# ---- full disks


def too_large(write, path):
    """What a write raises under a limit on the size of files, which works without a small disk."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    with disk_full_named(path):
        write(path)


WRITERS = {
    "text": lambda path: write_text(path, "x" * 200_000),
    "json": lambda path: write_json(path, ["x" * 200_000]),
    "NumPy": lambda path: np.save(path + ".npy", np.zeros(200_000)),
    "safetensors": lambda path: save_file({"x": torch.zeros(200_000)}, path),
    "torch": lambda path: torch.save({"x": torch.zeros(200_000)}, path),
    "SQLite": lambda path: sqlite3.connect(path).executescript(
        "create table t(x); insert into t values (randomblob(200000));"
    ),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_every_library_s_full_disk_is_one_sentence(tmp_path, writer):
    path = str(tmp_path / "x")
    if writer in ("text", "json"):
        Path(path).write_text("old")
    read, write = os.pipe()
    child = os.fork()
    if not child:
        try:
            too_large(WRITERS[writer], path)
            text = "nothing was raised"
        except BaseException as error:
            text = f"{type(error).__name__}: {error}"
        os.write(write, text.encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as file:
        said = file.read()
    os.waitpid(child, 0)
    if writer == "SQLite" and "I/O error" in said:
        pytest.skip("SQLite calls this limit an I/O error, and a full disk by its name")
    assert said.startswith(f"DiskFullError: disk full: {path} could not be written; free some space")
    if writer in ("text", "json"):
        assert Path(path).read_text() == "old" and names(tmp_path) == ["x"]


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(28, "No space left on device"), True),
        (OSError(122, "Disk quota exceeded"), True),
        (Exception("No space left on device (os error 28)"), True),
        (sqlite3.OperationalError("database or disk is full"), True),
        (RuntimeError("[enforce fail at inline_container.cc:672] . unexpected pos 576 vs 534"), True),
        (RuntimeError("PytorchStreamWriter failed writing file data/0: file write failed"), True),
        (OSError("1000000 requested and 262112 written"), True),
        (RuntimeError("PytorchStreamReader failed reading zip archive"), False),
        (OSError(13, "Permission denied"), False),
        (ValueError("1 requested, 2 written"), False),
        (KeyboardInterrupt(), False),
    ],
)
def test_what_is_a_full_disk(error, full):
    assert is_disk_full(error) is full


# ---- JSON


def test_json_that_every_reader_takes(tmp_path):
    content = {
        "r": float("nan"), "worst": -np.inf, "f1": np.float32(0.5), "n": np.int64(3), "rows": torch.ones(2, 1),
        "path": tmp_path, "text": "né \ud83d", "nested": [{"x": (float("inf"), True, None)}],
    }  # fmt: skip
    write_json(tmp_path / "x.json", content)
    read = json.loads((tmp_path / "x.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert read == {
        "r": None, "worst": None, "f1": 0.5, "n": 3, "rows": [[1.0], [1.0]],
        "path": str(tmp_path), "text": "né \ud83d", "nested": [{"x": [None, True, None]}],
    }  # fmt: skip
    write_json(tmp_path / "x.json", {"b": "é", "a": 1}, sort_keys=True, indent=None)
    assert (tmp_path / "x.json").read_text(encoding="utf-8") == '{"a": 1, "b": "é"}\n'
    with pytest.raises(TypeError):
        write_json(tmp_path / "x.json", {"x": object()})
    assert json.loads((tmp_path / "x.json").read_text(encoding="utf-8"))["a"] == 1


# ---- folders


def fill(folder, **contents):
    for name, text in contents.items():
        write_text(folder / name, text)


def content(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


def test_a_folder_is_new_or_old(tmp_path):
    path = tmp_path / "deep" / "final"
    with writing_folder(path) as folder:
        fill(folder, a="1", b="2")
        assert not path.exists() and folder.parent == path.parent
    assert content(path) == {"a": "1", "b": "2"}
    with pytest.raises(FileExistsError, match="is not empty"), writing_folder(path) as folder:
        pytest.fail("not to be reached")
    with pytest.raises(ZeroDivisionError), writing_folder(path, replace=True) as folder:
        fill(folder, a="3")
        1 / 0  # noqa: B018
    assert content(path) == {"a": "1", "b": "2"}
    path.chmod(0o750)
    with writing_folder(path, replace=True) as folder:
        fill(folder, a="3")
    assert content(path) == {"a": "3"} and stat.S_IMODE(path.stat().st_mode) == 0o750
    assert names(path.parent) == ["final"]
    with pytest.raises(NotADirectoryError), writing_folder(path / "a"):
        pass


def test_an_empty_folder_and_a_link_to_one(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with writing_folder(tmp_path / "link") as folder:
        fill(folder, a="1")
    assert content(tmp_path / "real") == {"a": "1"} and (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("way", ["aside", "held"])
def test_where_folders_cannot_be_exchanged(tmp_path, monkeypatch, way):
    """Other systems rename twice; a mount or an overlay does not even let go of the old folder."""
    monkeypatch.setattr(files, "_exchange", lambda first, second: False)
    path, rename = tmp_path / "final", os.rename

    def held(first, second):
        if Path(first) == path:
            raise OSError(18, "Invalid cross-device link")
        rename(first, second)

    if way == "held":
        monkeypatch.setattr(files.os, "rename", held)
    path.mkdir()
    fill(path, a="1", b="2")
    (path / "sub").mkdir()
    with writing_folder(path, replace=True) as folder:
        fill(folder, a="3", sub="now a file")
    assert content(path) == {"a": "3", "sub": "now a file"} and names(tmp_path) == ["final"]


def test_what_a_kill_between_two_renames_left_is_brought_back(tmp_path):
    (tmp_path / ".final.0123abcd.old").mkdir()
    fill(tmp_path / ".final.0123abcd.old", a="1")
    with pytest.raises(ZeroDivisionError), writing_folder(tmp_path / "final", replace=True):
        1 / 0  # noqa: B018
    assert content(tmp_path / "final") == {"a": "1"} and names(tmp_path) == ["final"]


@as_root
def test_a_folder_that_is_a_mount(tmp_path):
    """As a container's volume."""
    path = tmp_path / "volume"
    path.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", path], capture_output=True).returncode:
        pytest.skip("no mounts here")
    try:
        fill(path, a="1", b="2")
        with writing_folder(path, replace=True) as folder:
            fill(folder, a="3")
        assert content(path) == {"a": "3"}
        with pytest.raises(DiskFullError), writing_folder(path, replace=True) as folder:
            fill(folder, a="x" * 100_000)
        assert content(path) == {"a": "3"}
        with pytest.raises(DiskFullError):
            write_text(path / "a", "x" * 100_000)
        assert content(path) == {"a": "3"}
    finally:
        subprocess.run(["umount", path], check=True)


# ---- kills and company


def test_a_kill_leaves_the_old_and_the_next_run_cleans_up(tmp_path):
    path, folder = tmp_path / "x", tmp_path / "final"
    path.write_text("old")
    folder.mkdir()
    fill(folder, a="old")
    code = (
        f"{BARE}from bare.files import *\n"
        "with writing(sys.argv[1]) as file, writing_folder(sys.argv[2], replace=True) as folder:\n"
        "    file.write('half'); file.flush(); write_text(folder / 'a', 'half')\n"
        "    print('there', flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, path, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "there\n"
    during = names(tmp_path)
    write_text(path, "meanwhile")  # what a living process holds is left to it
    assert len(during) == 4 and names(tmp_path) == during
    process.kill()
    process.communicate()
    assert path.read_text() == "meanwhile" and content(folder) == {"a": "old"} and names(tmp_path) == during
    write_text(path, "new")
    with writing_folder(folder, replace=True) as building:
        fill(building, a="new")
    assert path.read_text() == "new" and content(folder) == {"a": "new"} and names(tmp_path) == ["final", "x"]


def test_many_writers_of_one_file(tmp_path):
    path, texts = tmp_path / "x", [letter * 50_000 for letter in "abcd"]
    write_text(path, texts[0])

    def write(text):
        for _ in range(20):
            write_text(path, text)

    threads = [threading.Thread(target=write, args=(text,)) for text in texts]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        assert path.read_text() in texts
    assert names(tmp_path) == ["x"]
