"""What shells do to a command: closed and full streams, pipes that end, places where nothing can be written."""

import os
import subprocess
import sys

import forkserver
import pytest

from emodistill import cli
from emodistill.files import check_output

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(cli.__file__)))


def shell(line):
    """Exit status, and what came on both streams, of a line for bash that knows `emodistill`."""
    program = f"emodistill() {{ '{sys.executable}' -m emodistill \"$@\"; }}; set -o pipefail; {line}"
    environment = {**os.environ, "PYTHONPATH": ROOT}
    done = subprocess.run(["bash", "-c", program], capture_output=True, text=True, env=environment, timeout=60)
    return done.returncode, done.stdout, done.stderr


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="Linux has /dev/full")
@pytest.mark.parametrize("command", ["--help", "--version"])
def test_a_full_disk_and_a_closed_pipe_are_no_traceback(command):
    status, _, told = shell(f"emodistill {command} >/dev/full")
    assert status == 2 and told.count("\n") == 1 and "disk full: the output could not be written" in told
    status, _, told = shell(f"emodistill {command} | true")
    assert status in (0, 141) and told == ""  # the pipe may take it before it is closed


@pytest.mark.parametrize("stream", ["2>&-", "2>/dev/full", ">&- 2>&-"])
def test_the_exit_status_says_it_where_no_word_can(stream):
    assert shell(f"emodistill foo {stream}")[0] == shell(f"emodistill predict {stream}")[0] == 2


@pytest.mark.slow
def test_output_that_is_flushed_at_the_end_only(checkpoint, tmp_path):
    """The line that `adapt` prints stands in a buffer when its work is done."""
    (tmp_path / "a.csv").write_text("text,labels\nmy dog,joy\nrage,fear\nhappy day,joy\nsad cat,fear\n")
    code = (
        "import os, sys; os.dup2(os.open('/dev/full', os.O_WRONLY), 1); from emodistill import cli\n"
        f"sys.exit(cli.main(['adapt', 'a.csv', '--labels-column', 'labels', '--model', {str(checkpoint)!r}]))"
    )
    process = forkserver.call("builtins:exec", code, cwd=tmp_path)
    assert process.wait(60) == 2 and "disk full: the output could not be written" in process.stderr


def test_modules_of_the_working_folder_are_not_the_libraries(tmp_path):
    for name in ("json", "argparse", "torch", "errno", "signal", "emo"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('taken for the library')")
    environment = {**os.environ, "PYTHONPATH": ROOT}
    options = {"capture_output": True, "text": True, "env": environment, "cwd": tmp_path, "timeout": 60}
    done = subprocess.run([sys.executable, "-m", "emodistill", "--version"], **options)
    assert (done.returncode, done.stderr) == (0, "") and done.stdout.startswith("emodistill ")


# ---- places


def test_a_working_folder_that_was_removed_is_told(tmp_path, monkeypatch, capsys):
    (tmp_path / "t.csv").write_text("text\na\n")
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert cli.main(["score", str(tmp_path / "t.csv"), "--labels", "joy,fear", "--output", "o.csv"]) == 2
    assert "score: the folder that you are in has been removed; change to another one" in capsys.readouterr().err


def test_places_that_cannot_be_written_are_told_before_the_work(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for path, folder, words in (
        ("", False, "--output is '', which names no file"),
        (" ", True, "--output is ' ', which names no folder"),
        ("a\0b", False, "names no file"),
        ("-", False, "--output -: standard output is not written to; name a file"),
        ("~nobody/a.csv", False, "the shell did not put a folder in place of ~"),
        (tmp_path / "folder", False, "is a folder; name a file in it"),
        (tmp_path / "file", True, "is a file; name a folder"),
        (tmp_path / "file" / "a.csv", False, "file is a file, no folder"),
        (tmp_path / "file" / "deep" / "er", True, "file is a file, no folder"),
        (f"{'a' * 300}.csv", False, "File name too long"),
    ):
        with pytest.raises((ValueError, OSError)) as error:
            check_output(path, "--output", folder)
        assert words in str(error.value)
    with pytest.raises(ValueError, match="is what is read, and would be lost"):
        check_output(tmp_path / "file", "--output", inputs=[None, "-", "", tmp_path / "f*"])
    check_output(os.devnull, "--output", inputs=[os.devnull])
    for path in (tmp_path / "file", tmp_path / "new" / "a.csv", os.devnull, "new.csv"):
        check_output(path, "--output")
    for path in (tmp_path / "folder", tmp_path / "new" / "deep", "new"):
        check_output(path, "--output", folder=True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["score", "a.csv", "--labels", "joy,fear", "--output"],
        ["score", "a.csv", "--labels", "joy,fear", "--output", "o.csv", "--report"],
        ["adapt", "a.csv", "--labels-column", "labels", "--output"],
        ["build-data", "--descriptors", "a.csv", "--output"],
        ["export", "--output"],
        ["evaluate", "--data-dir", ".", "--output"],
        ["audit", "--output"],
        ["demo", "--space"],
        ["demo", "--web"],
        ["train", "--init", "small", "--data", "a.csv", "--output_dir"],
    ],
)
@pytest.mark.parametrize("place", ["", "-", "a.csv/b"])
def test_every_command_asks(arguments, place, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("text,labels\nmy dog,joy\n")
    assert cli.main([*arguments[:-1], f"{arguments[-1]}={place}"]) == 2
    told = capsys.readouterr().err
    assert told.count("\n") == 1 and arguments[-1].lstrip("-") in told
    assert sorted(os.listdir(tmp_path)) == ["a.csv"]
