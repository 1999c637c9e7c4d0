import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import forkserver
import pytest

import emodistill
from emodistill import cli

PARENT = Path(emodistill.__file__).resolve().parent.parent
HEAVY = ("torch", "transformers", "pandas", "scipy", "datasets", "accelerate", "gradio", "openai", "huggingface_hub")


def test_help_names_every_command(capsys):
    assert cli.main(["--help"]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in cli.COMMANDS)


def test_an_unknown_command_is_one_sentence(capsys):
    assert cli.main(["no-such-thing"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and "no-such-thing" in err and "annotate" in err
    assert cli.main(["anotate"]) == 2
    assert "did you mean 'annotate'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lambda: os.stat("none.csv"), "none.csv: no such file or directory"),
        (lambda: os.rename("none.csv", "other.csv"), "none.csv and other.csv: no such file or directory"),
        (lambda: os.listdir(b"none"), "b'none': no such file or directory"),
    ],
)
def test_what_the_system_says_is_told_without_its_number(monkeypatch, capsys, tmp_path, fault, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cli, "_call", lambda *_: fault())
    assert cli.main(["predict"]) == 2 and capsys.readouterr().err == f"emodistill predict: {words}\n"


@pytest.mark.parametrize(("module", "extra"), [("accelerate", "[train]"), ("openai", "[annotate]"), ("torch", None)])
def test_a_missing_module_names_the_extra_that_has_it(capsys, monkeypatch, module, extra):
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(cli.COMMANDS, "needy", (module, "main", ""))
    assert cli.main(["needy"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and module in err
    assert f"'emodistill{extra}'" in err if extra else "pip" not in err


def test_help_and_slips_load_nothing_heavy():
    """For every command of the table: neither its help nor an argument that does not exist waits for a library."""
    code = f"""
import contextlib, io, sys
sys.path.insert(0, {str(PARENT)!r})
from emodistill import cli
for name in cli.COMMANDS:
    for slip in ("--help", "--no-such-argument"):
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            try:
                cli.main([name, slip])
            except SystemExit:
                pass
        heavy = [module for module in {HEAVY!r} if module in sys.modules]
        if heavy:
            sys.exit(f"{{name}} {{slip}} imports {{heavy}}")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def run_module(*arguments, path="", **options):
    """`python -m emodistill` as a user runs it, with further folders first on the path."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(path), str(PARENT)] if path else [str(PARENT)])}
    return subprocess.Popen(
        [sys.executable, "-m", "emodistill", *arguments],
        env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options,
    )  # fmt: skip


def test_the_package_runs_as_a_module():
    process = run_module("--version")
    assert process.communicate(timeout=60)[0] == f"emodistill {emodistill.__version__}\n"


@pytest.mark.parametrize("turned", ["KeyboardInterrupt", "ImportError('the C extension failed')", "None"])
def test_ctrl_c_while_libraries_load_is_one_word(tmp_path, turned):
    """A library that is interrupted may pass the interrupt on, turn it into another error, or swallow it."""
    (tmp_path / "numpy.py").write_text(
        "import sys, time\nprint('loading', flush=True)\n"
        f"try:\n    time.sleep(60)\nexcept BaseException:\n    if {turned}:\n        raise {turned}\n"
    )
    process = run_module("evaluate", "--data-dir", str(tmp_path), path=tmp_path)
    assert process.stdout.readline() == "loading\n"
    process.send_signal(signal.SIGINT)
    output, errors = process.communicate(timeout=60)
    assert (process.returncode, output, errors) == (130, "", "emodistill: stopped\n")


def test_streams_that_a_shell_has_closed(monkeypatch):
    def command(arguments):
        print("words", sys.stdout.isatty(), sys.stdin.read(), sys.stderr.isatty())
        return 7

    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    monkeypatch.setattr("emodistill.predict.main", command)
    assert cli.main(["predict"]) == 7


def test_ctrl_c_in_any_command_is_one_word(monkeypatch, capsys):
    def interrupted(name, package=None):
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(5)

    monkeypatch.setattr(cli.importlib, "import_module", interrupted)
    before = signal.getsignal(signal.SIGINT)
    for name in cli.COMMANDS:
        assert cli.main([name]) == 130
        assert capsys.readouterr().err == "emodistill: stopped\n"
    assert signal.getsignal(signal.SIGINT) is before


SLIPS = [
    ("score a.csv --output out --lables joy", "no option --lables; did you mean --labels? emodistill score --help"),
    ("score --lables joy", "no option --lables; did you mean --labels? emodistill score --help lists them all"),
    ("score a.csv --output out -labels joy", "no option -labels; did you mean --labels? emodistill score --help"),
    ("score a.csv", "the following arguments are required: --output; emodistill score --help tells more"),
    ("score a.csv b.csv --output out", "'b.csv' is left over; emodistill score --help tells more"),
    ("train --epoch 3", "no option --epoch; did you mean --epochs? emodistill train --help lists them all"),
    ("demo --port all", "argument --port: invalid int value: 'all'; emodistill demo --help tells more"),
    *(
        (f"annotate {name} --zzz", f"no option --zzz; emodistill annotate {name} --help lists them all")
        for name in ("batch", "rate", "lexicon", "write", "compare", "stats")
    ),
    *((f"{name} --zzz", f"no option --zzz; emodistill {name} --help lists them all") for name in cli.COMMANDS),
]


@pytest.mark.parametrize(("line", "words"), SLIPS)
def test_a_slip_is_one_sentence_without_the_usage(line, words, capsys):
    assert cli.main(line.split()) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"emodistill {line.split()[0]}: {words}") and err.count("\n") == 1


UNHEEDED = [
    ("score a.csv --output out --labels joy,fear --labelled-column mood", "--labelled-column is for --labelled"),
    ("score a.csv --output out --labels joy,fear --config rated", "a.csv is one file, so it has no configuration"),
    ("score a.csv --output out --labels joy,fear --split test", "a.csv is one file, so it has no split"),
    ("score a.jsonl --output out --labels joy,fear --delimiter ;", "delimiter says nothing about a.jsonl"),
    ("adapt a.csv --dimensions valence --labels joy,fear", "--labels is for --labels-column"),
    ("adapt a.csv --dimensions valence --multi-label", "--multi-label is for --labels-column"),
    ("adapt a.jsonl --labels-column mood --quotes", "quotes says nothing about a.jsonl"),
    ("evaluate --data-dir . --no-cache --cache-dir cache", "--cache-dir or --no-cache, not both"),
    ("audit --no-cache --cache-dir cache", "--cache-dir or --no-cache, not both"),
    ("annotate stats a.jsonl --licence mit", "--licence is for --card: give --card too, or leave --licence out"),
    ("annotate stats a.jsonl --store a.sqlite", "--store is for --card"),
    ("annotate stats a.jsonl --top -1", "--top: must be 1 or more, not -1"),
    ("annotate stats a.jsonl --top 0", "--top: must be 1 or more, not 0"),
    ("annotate run --input a.csv --output b.jsonl --model m --dry-run --config rated", "has no configuration 'rated'"),
    ("annotate run --input a.jsonl --output b.jsonl --model m --dry-run --no-header", "header says nothing about"),
    ("demo --web-labels joy,fear", "--web-labels is for --web"),
    ("demo --space space --web web", "--space or --web, not both"),
    ("demo --space space --port 80", "--port is for the page on this machine"),
    ("push-data . --repo-id a/b --licence mit", "--licence is for the card of a file"),
]


@pytest.mark.parametrize(("line", "words"), UNHEEDED, ids=[line for line, _ in UNHEEDED])
def test_an_option_that_would_go_unheeded_is_told(line, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("text,mood,valence\nmy dog,joy,5\n")
    (tmp_path / "a.jsonl").write_text('{"text": "my dog", "mood": "joy", "labels": ["joy"]}\n')
    assert cli.main(line.split()) == 2
    told = capsys.readouterr().err
    assert words in told and told.count("\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.csv", "a.jsonl"]


@pytest.mark.parametrize(
    ("line", "missing", "extra"),
    [
        ("export --output new", "onnx", "export"),
        ("export --output new", "onnxscript", "export"),
        ("export --output new", "onnxruntime", "onnx"),
        ("score a.csv --output new --labels joy,fear", "pyarrow", "score"),
        ("score a.csv --output new.parquet --labels joy,fear", "pyarrow", "score"),
    ],
)
def test_an_extra_that_is_missing_is_told_before_the_work(line, missing, extra, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("text\nmy dog\n")
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_: None if name == missing else find(name))
    assert cli.main(line.split()) == 2
    told = f"No module named {missing!r}; it comes with: pip install 'emodistill[{extra}]'\n"
    assert capsys.readouterr().err == f"emodistill {line.split()[0]}: {told}"
    assert [path.name for path in tmp_path.iterdir()] == ["a.csv"]


@pytest.mark.slow
def test_a_forked_command_is_a_process_of_its_own(tmp_path):
    """What the tests of kills stand on: output apart, the exit status of a signal, the folder, the variables."""
    process = forkserver.command(["no-such-thing"])
    output, errors = process.communicate(timeout=60)
    assert process.returncode == 2 and output == "" and "no-such-thing" in errors and process.pid != os.getpid()
    sleeper = forkserver.call("time:sleep", 60, cwd=tmp_path)
    sleeper.kill()
    assert sleeper.wait(timeout=60) == -signal.SIGKILL
    ranks = forkserver.group("RANK", 2, target="forkserver:print_variable", env={"TOLD": "x"})
    assert [rank.communicate(timeout=60)[0] for rank in ranks] == ["0\n", "1\n"]
