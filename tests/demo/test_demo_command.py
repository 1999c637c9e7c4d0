"""The command that watches over the page's process: signals, its end, the end of the other."""

import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from emodistill import cli
from emodistill.demo import proxies, serve

BUSY = "print('up', flush=True)\nwhile True: pass"
DEAF = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + BUSY


def watched(code, tmp_path):
    """A process that watches over another one with this code, once that one is up."""
    program = (
        "import os, sys\nfrom emodistill.demo import serve\n"
        f"sys.exit(serve._watch([sys.executable, '-c', {code!r}], dict(os.environ)))"
    )
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(serve.__file__))))
    with open(tmp_path / "stderr", "w") as errors:
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            stdout=subprocess.PIPE,
            stderr=errors,
            env=os.environ | {"PYTHONPATH": root},
        )
    assert process.stdout.readline() == b"up\n", (tmp_path / "stderr").read_text()
    return process


@pytest.mark.parametrize("code", [BUSY, DEAF], ids=["busy", "deaf"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_both_at_once(code, number, tmp_path):
    process = watched(code, tmp_path)
    (child,) = psutil.Process(process.pid).children()
    process.send_signal(number)
    assert process.wait(20) == 0  # a busy machine may take its time; the page itself has none
    assert not child.is_running()
    assert (tmp_path / "stderr").read_text() == "\nemodistill demo: stopped\n"


@pytest.mark.parametrize("pause", [0.0, 0.02, 0.3])
def test_a_second_signal_changes_nothing(pause, tmp_path):
    process = watched(DEAF, tmp_path)
    process.send_signal(signal.SIGTERM)
    time.sleep(pause)
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 0 and (tmp_path / "stderr").read_text() == "\nemodistill demo: stopped\n"


def test_the_page_ends_with_the_command_that_was_killed(tmp_path):
    code = (
        "import sys, threading; from emodistill.demo import serve\n"
        "threading.Thread(target=serve._end_with, args=(sys.stdin.buffer,), daemon=True).start()\n" + BUSY
    )
    process = watched(code, tmp_path)
    (child,) = psutil.Process(process.pid).children()
    process.kill()
    process.wait(20)
    assert psutil.wait_procs([child], timeout=20)[1] == []


def test_the_exit_status_of_the_page_is_the_commands():
    before = signal.getsignal(signal.SIGTERM)
    assert serve._watch([sys.executable, "-c", "import sys; sys.exit(7)"], dict(os.environ)) == 7
    assert signal.getsignal(signal.SIGTERM) is before
    results = []
    arguments = ([sys.executable, "-c", "pass"], dict(os.environ))
    thread = threading.Thread(target=lambda: results.append(serve._watch(*arguments)))  # a notebook's, for instance
    thread.start()
    thread.join()
    assert results == [0]


def test_the_page_gets_a_clean_environment_and_a_folder_that_goes_away(monkeypatch):
    seen = {}

    def watch(command, environment):
        seen.update(environment=environment, command=command, there=os.path.isdir(environment["GRADIO_TEMP_DIR"]))
        return 0

    monkeypatch.setattr(serve, "_watch", watch)
    for name in proxies.PROXIES:
        monkeypatch.setenv(name.upper(), "socks://[::1]")
    assert cli.main(["demo", "--port", "0"]) == 0
    assert seen["there"] and not os.path.exists(seen["environment"]["GRADIO_TEMP_DIR"])
    assert not [name for name in seen["environment"] if name.lower() in proxies.PROXIES]
    assert seen["command"][-4] == "--port" and int(seen["command"][-3]) > 0


def test_a_proxy_that_is_none_is_one_sentence_where_the_hub_is_asked(monkeypatch, capsys):
    monkeypatch.setenv("HTTPS_PROXY", "foo://x")
    assert cli.main(["demo", "--port", "0", "--model", "someone/model"]) == 2
    err = capsys.readouterr().err
    assert "HTTPS_PROXY is 'foo://x'" in err and err.count("\n") == 1
