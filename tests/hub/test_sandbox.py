"""Walls and limits around a program, whichever way this machine builds them."""

import os
import re
import socket
import time

import pytest

from emodistill.hub import sandbox

pytestmark = pytest.mark.slow  # each starts programs behind walls

WAYS = (sandbox.BUBBLEWRAP, sandbox.NAMESPACES)


@pytest.fixture(params=[*WAYS, ""], ids=[*WAYS, "no walls"])
def way(request):
    """A way of running apart that works here; CI has both."""
    if request.param and not works(request.param):
        reason = f"{request.param} does not work here"
        (pytest.fail if os.environ.get("CI") == "true" and request.param == sandbox.NAMESPACES else pytest.skip)(
            reason
        )
    return request.param


def works(way):
    import shutil
    import tempfile

    if way == sandbox.BUBBLEWRAP and not shutil.which("bwrap"):
        return False
    with tempfile.TemporaryDirectory() as folder:
        os.mkdir(f"{folder}/scratch")
        return sandbox.run_apart(["-c", "pass"], folder, walls_of=way, seconds=30).status == 0


@pytest.fixture
def apart(tmp_path, way):
    """`apart(code, **options)`: how a program's text ended, and what it wrote into its result."""
    folder = tmp_path / "apart"
    (folder / "scratch").mkdir(parents=True)
    result = folder / "result"
    result.touch()

    def call(code, **options):
        options = {"seconds": 30} | options
        arguments = ["-c", f"result = {str(result)!r}\n{code}"]
        return sandbox.run_apart(
            arguments, folder, walls_of=way, writable=[str(result)], **options
        ), result.read_text()

    return call


def test_the_answer_comes_back_and_what_is_said(apart):
    done, answer = apart(
        "import sys\nopen(result, 'w').write(sys.stdin.read().upper())\nprint('noise')\n"
        "print('said', file=sys.stderr)\nsys.exit(3)",
        stdin="hello",
    )
    assert (done.status, done.said, answer, done.timed_out) == (3, "said\n", "HELLO", False)


def test_the_environment_is_an_allow_list(apart, monkeypatch):
    for name in ("DATABASE_URL", "HF_TOKEN", "https_proxy", "GH_PAT", "PYTHONSTARTUP", "PYTHONPATH", "LD_PRELOAD_NOT"):
        monkeypatch.setenv(name, "visible")
    _, answer = apart("import os, json; open(result, 'w').write(repr(dict(os.environ)))")
    assert "visible" not in answer and os.path.expanduser("~") + "'" not in answer
    assert "scratch/home" in answer


def test_home_is_its_own_and_it_goes_first_where_memory_runs_out(apart, tmp_path):
    done, answer = apart(
        "import os, pathlib\nhome = pathlib.Path.home()\n(home / '.bashrc').write_text('x')\n"
        "first = pathlib.Path('/proc/self/oom_score_adj')\nfirst = first.read_text() if first.exists() else '1000'\n"
        "open(result, 'w').write(str(home) + ' ' + os.getcwd() + ' ' + first)"
    )
    home, here, first = answer.split()
    assert first == "1000"
    assert done.status == 0 and home.startswith(str(tmp_path)) and here.startswith(str(tmp_path))


def test_files_and_network_are_out_of_reach(apart, way, tmp_path):
    if not way:
        pytest.skip("without walls they are not, and the sentence says so")
    (tmp_path / "secret").write_text("s3cret")
    with socket.create_server(("127.0.0.1", 0)) as server:
        done, answer = apart(
            f"""
import ctypes, os, socket
found = []
def attempt(name, action):
    try:
        action()
    except OSError:
        return
    found.append(name)
attempt("file", lambda: open({str(tmp_path / "secret")!r}).read())
attempt("environment of another process", lambda: open("/proc/{os.getpid()}/environ").read())
attempt("home", lambda: os.listdir({os.path.expanduser("~")!r} + "/.ssh"))
attempt("users", lambda: open("/etc/passwd").read())
attempt("code", lambda: open(os.__file__, "a"))
attempt("socket", lambda: socket.create_connection(("127.0.0.1", {server.getsockname()[1]}), 2))
attempt("signal", lambda: os.kill({os.getpid()}, 0))
attempt("root", lambda: os.setuid(0))
attempt("outside", lambda: open("/.outside"))
attempt("settings of the machine", lambda: os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY))
attempt("a socket to the machine's host", lambda: socket.socket(socket.AF_VSOCK))
attempt("a socket to the kernel", lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW))
socket.socketpair()  # a program's own are no matter
if os.uname().machine == "x86_64" and ctypes.CDLL(None).syscall(250, 0, -3, 0) != -1:
    found.append("keyring")
if ctypes.CDLL(None).unshare(0x10000000) == 0:
    found.append("namespaces")
try:  # into memory of its own, where the folder stood
    open({str(tmp_path / "planted")!r}, "w").write("x")
except OSError:
    pass
open(result, "w").write(repr(found))
"""
        )
    assert done.status == 0 and answer == "[]", (answer, done.said)
    assert not (tmp_path / "planted").exists()


def test_an_endless_loop_ends(apart):
    start = time.monotonic()
    done, _ = apart("import signal\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: pass", seconds=1)
    assert done.timed_out and done.status != 0 and time.monotonic() - start < 15


def test_what_it_leaves_running_ends_too(apart, way, tmp_path):
    code = """
import os, time
if os.fork() == 0:
    for number in range(600):
        open(result, "w").write(str(number))
        time.sleep(0.1)
    os._exit(0)
time.sleep(0.3)
"""
    done, _ = apart(code)
    assert done.status == 0
    before = apart("pass")[1]
    time.sleep(0.4)
    assert apart("pass")[1] == before


def test_memory_and_files_are_bounded(apart):
    done, _ = apart("x = bytearray(3_000_000_000)", memory=500_000_000)
    assert done.status == 1 and "MemoryError" in done.said
    done, answer = apart(
        "import signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\nfile = open(result, 'wb')\n"
        "for _ in range(80): file.write(bytes(1_000_000))"
    )
    assert done.status == 1 and "File too large" in done.said and len(answer) <= sandbox.RESULT_BYTES


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import os, time\nfor _ in range(30):\n    if os.fork() == 0: break\ntime.sleep(9)", r"it had \d+ processes"),
        ("import mmap, time\nmap = mmap.mmap(-1, 300_000_000)\nmap.write(bytes(300_000_000))\ntime.sleep(20)",
         r"it took more than 0\.2 GB"),
    ],
    ids=["processes", "shared memory"],
)  # fmt: skip
def test_what_outgrows_its_bounds_with_others_is_ended(code, message, apart, way, monkeypatch):
    """Shared memory counts for nobody, and root may start as many processes as it likes."""
    if way != sandbox.BUBBLEWRAP:
        pytest.skip("as with bubblewrap")
    monkeypatch.setattr(sandbox, "PROCESSES", 10)
    monkeypatch.setattr(sandbox, "_limits", lambda *_: None)
    monkeypatch.setattr(sandbox, "LOOK_EVERY", 0.05)
    done, _ = apart(code, memory=200_000_000)
    assert done.status and re.match(message, done.said) and not done.timed_out


def test_every_folder_it_may_write_is_bounded(apart, way, monkeypatch):
    if not way:
        pytest.skip("they are on the disk without walls")
    monkeypatch.setattr(sandbox, "SCRATCH_BYTES", 5_000_000)
    done, answer = apart(
        """
import os
filled = []
for place in (os.environ["HOME"], "/tmp", "/dev/shm", "/dev", "/"):
    names = [f"{place}/{number}" for number in range(3)]
    try:
        for name in names:
            with open(name, "wb", buffering=0) as file:
                assert file.write(bytes(4_000_000)) == 4_000_000
        filled.append(place)
    except (OSError, AssertionError):
        pass
    for name in filter(os.path.exists, names):
        os.unlink(name)
open(result, "w").write(repr(filled))
"""
    )
    assert done.status == 0 and answer == "[]", (answer, done.said)


def test_no_way_that_fails_is_called_one(monkeypatch):
    monkeypatch.setattr(sandbox, "run_apart", lambda *_, **__: sandbox.Finished(121, "unshare: not permitted"))
    assert sandbox.available_walls.__wrapped__() == ""
    assert "neither bubblewrap nor user namespaces" in sandbox.without_walls()


def test_the_home_folder_itself_is_never_shown(monkeypatch, tmp_path):
    (tmp_path / "site").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LD_LIBRARY_PATH", f"{tmp_path}:{tmp_path.parent}:{tmp_path}/site")
    shown = sandbox.library_folders()
    assert str(tmp_path) not in shown and str(tmp_path.parent) not in shown and f"{tmp_path}/site" in shown
