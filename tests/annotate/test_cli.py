import doctest
import importlib
import json
import subprocess
import sys

import pytest
from fake_openai import FakeOpenAI
from processes import environment

from emodistill import cli


@pytest.fixture(autouse=True)
def no_key(monkeypatch):
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "texts.csv"
    path.write_text("id,text\na,so glad\nb,oh no\nc,so glad\n", "utf-8")
    return path


def annotate(tmp_path, texts, *more, model="gpt-4o"):
    return cli.main(
        ["annotate", "--input", str(texts), "--output", str(tmp_path / "o.jsonl"), "--model", model, *more]
    )


def test_from_a_csv_to_descriptors(tmp_path, texts, capsys):
    with FakeOpenAI() as server:
        assert annotate(tmp_path, texts, "--base-url", server.url) == 0
        assert len(server.log) == 2 and "authorization" in server.log[0].headers
    rows = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
    assert [(row["id"], row["source"], row["status"]) for row in rows] == [
        ("a", "texts", "ok"),
        ("b", "texts", "ok"),
        ("c", "texts", "ok"),
    ]
    assert list(rows[0]) == ["id", "source", "text", "labels", "status"] and rows[0]["labels"] == rows[2]["labels"]
    err = capsys.readouterr().err
    assert "cost:" in err and "3 ok" in err and "2 requests" in err


def test_a_dry_run_needs_no_key_and_no_network_and_leaves_nothing(tmp_path, texts):
    code = (
        "import socket, sys\n"
        "def no(*a, **k): raise SystemExit('network')\n"
        "socket.socket.connect = socket.create_connection = socket.getaddrinfo = no\n"
        "from emodistill.cli import main\n"
        f"status = main(['annotate', '--input', {str(texts)!r}, '--output', {str(tmp_path / 'o.jsonl')!r}, "
        "'--model', 'gpt-4o', '--dry-run'])\n"
        "assert 'openai' not in sys.modules\n"
        "sys.exit(status)"
    )
    env = {k: v for k, v in environment().items() if k != "OPENAI_API_KEY"}
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "2 different texts" in done.stdout and "cost:" in done.stdout and "2026" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["texts.csv"]


def test_an_estimate_without_a_price_and_with_the_users_own(tmp_path, texts, capsys):
    assert annotate(tmp_path, texts, "--dry-run", model="llama") == 0
    assert "unknown" in capsys.readouterr().out
    assert annotate(tmp_path, texts, "--dry-run", "--price-in", "1", "--price-out", "2", model="llama") == 0
    assert "$1 in and $2 out" in capsys.readouterr().out


def test_an_estimate_learns_from_the_store(tmp_path, capsys):
    path = tmp_path / "texts.txt"
    path.write_text("".join(f"text {n}\n" for n in range(50)))
    with FakeOpenAI() as server:
        assert annotate(tmp_path, path, "--base-url", server.url, "--limit", "30") == 1
        capsys.readouterr()
        assert annotate(tmp_path, path, "--base-url", server.url, "--dry-run") == 0
    out = capsys.readouterr().out
    assert "30 of them stored" in out and "200 out (from the replies so far)" in out


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ([], ["OPENAI_API_KEY"]),
        (["--prompt", "richest"], ["richest", "rich"]),
        (["--text-column", "tweet"], ["tweet", "id, text"]),
        (["--param", "nonsense"], ["nonsense"]),
        (["--base-url", "nowhere"], ["nowhere"]),
        (["--max-cost", "1", "--model", "llama"], ["llama", "price"]),
        (["--concurrency", "0"], ["concurrency"]),
        (["--input", "nothing.csv"], ["nothing.csv"]),
        (["--input", ""], ["the name of the input is empty"]),
        (["--base-url", ""], ["--base-url is empty"]),
        (["--prompt", "closed", "--labels", ""], ["two or more"]),
        (["--concurrency=--"], ["--concurrency needs a value"]),
        (["--output", "-"], ["output -: standard output is not written to"]),
        (["--output", ""], ["output is ''"]),
        (["--output", "/no/such/folder/o.jsonl"], ["/no/such/folder"]),
        (["--labels", "joy,fear"], ["labels", "closed"]),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path, texts, capsys, more, words):
    assert annotate(tmp_path, texts, *more) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and all(word in err for word in words), err
    assert [path.name for path in tmp_path.iterdir()] == ["texts.csv"]


@pytest.mark.parametrize(
    "name",
    ["compare", "connection", "faults", "limits", "normalise", "prices", "prompts", "redaction"],
)
def test_the_examples_of_the_docstrings_hold(name):
    module = importlib.import_module(f"emodistill.annotate.{name}")
    results = doctest.TestResults(0, 0)
    for test in doctest.DocTestFinder().find(module):
        for example in test.examples:
            example.want = example.want.replace("```\n", "")  # the fence that ends an example
        results = doctest.TestResults(*map(sum, zip(results, doctest.DocTestRunner().run(test), strict=True)))
    assert results.failed == 0 and results.attempted > 0


def test_help_and_prompts(capsys):
    for argv in (["annotate", "--help"], ["annotate", "--list-prompts"]):
        with pytest.raises(SystemExit) as end:
            cli.main(argv)
        assert end.value.code == 0
    out = capsys.readouterr().out
    assert "--max-cost" in out and "compare" in out and "few-shot/1" in out


def test_importing_the_room_loads_nothing_heavy():
    code = (
        "import sys, emodistill\n"
        "before = set(sys.modules)\n"
        "import emodistill.annotate, emodistill.annotate.commands, importlib\n"
        "for name in emodistill.annotate.commands.SUBCOMMANDS:\n"
        "    importlib.import_module('emodistill.annotate.commands.' + name)\n"
        "heavy = {'openai', 'datasets', 'pandas', 'pyarrow', 'matplotlib'} & (set(sys.modules) - before)\n"
        "assert not heavy and 'openai' not in sys.modules, heavy"
    )
    subprocess.run([sys.executable, "-c", code], env=environment(), check=True)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-8-sig"])
def test_what_excel_saves_as_unicode_is_read_without_naming_its_encoding(tmp_path, capsys, encoding):
    (tmp_path / "texts.csv").write_bytes("id,text\r\n1,été\r\n".encode(encoding))
    argv = ["annotate", "--input", str(tmp_path / "texts.csv"), "--output", str(tmp_path / "o.jsonl")]
    assert cli.main([*argv, "--model", "gpt-4o", "--dry-run"]) == 0
    assert "1 row, 1 different text" in capsys.readouterr().out


def test_what_was_read_or_paid_for_is_not_written_over(tmp_path, texts, capsys):
    with FakeOpenAI() as server:
        common = ("--base-url", server.url)
        assert annotate(tmp_path, texts, *common, "--store", str(tmp_path / "o.jsonl")) == 2
        assert "store: " in (said := capsys.readouterr().err) and "is the output, which would replace it" in said
        assert annotate(tmp_path, texts, *common) == 0
        own = tmp_path / "o.jsonl"
        rows = own.read_bytes()  # with a store beside it, as an output that may be written anew
        for command in ("run", "rate", "batch", "lexicon", "compare --prompts rich paper"):
            given = ["--input", str(own), "--output", str(own), "--model", "m", *common]
            assert cli.main(["annotate", *command.split(), *given]) == 2
            assert "is what is read, and would be lost" in capsys.readouterr().err
        assert own.read_bytes() == rows


@pytest.mark.parametrize(
    ("command", "kept", "lost"),
    [("run", "labels", "labels"), ("rate", "genre valence", "valence"), ("run", "genre", None)],
)
def test_a_column_that_answers_fill_is_not_carried_over(tmp_path, capsys, command, kept, lost):
    (tmp_path / "t.csv").write_text("text,labels,valence,genre\nso glad,joy,5,letter\n")
    with FakeOpenAI() as server:
        given = ["--input", str(tmp_path / "t.csv"), "--output", str(tmp_path / "o.jsonl"), "--model", "m"]
        status = cli.main(["annotate", command, *given, "--base-url", server.url, "--keep", *kept.split()])
        assert (status, len(server.log)) == ((2, 0) if lost else (0, 1))
    assert not lost or f"keep: '{lost}' is a column that the answers fill" in capsys.readouterr().err


def test_a_server_that_is_not_there_is_said_at_the_end(tmp_path, texts, capsys):
    assert annotate(tmp_path, texts, "--base-url", "http://127.0.0.1:1/v1", "--max-retries", "0") == 1
    said = capsys.readouterr().err
    assert "2 rows left" in said or "3 rows left" in said
    assert "most errors: " in said and "onnect" in said


def test_a_command_that_there_is_not(capsys):
    assert cli.main(["annotate", "texts.csv", "--model", "m"]) == 2
    assert "no command 'texts.csv'; choose from run, batch" in capsys.readouterr().err
