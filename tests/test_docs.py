"""What stands in the pages runs: blocks of Python from top to bottom, and commands as far as their arguments go."""

import importlib
import re
import shlex
from pathlib import Path

import pytest

import emodistill
from emodistill import cli

ROOT = Path(emodistill.__file__).parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
# What a page takes for granted, and what no test has at hand.
GIVEN = {
    "text": "How dare you lie to me again!",
    "texts": ["I won!", "What a lovely day", "Leave me alone!", "This is an outrage", "So happy", "I hate you"],
    "labels": ["good", "good", "bad", "bad", "good", "bad"],
    "more_texts": ["What a day!", "How dare you!"],
}
# What reads the arguments of a command, as far as that goes without reading anything else.
PARSERS = {"predict": "_arguments", "score": "parse_arguments", "export": "_parser", "adapt": "_arguments"}
BEYOND = ("s3://", "duckdb", "someone/", "reviews.csv", "Settings(")


def blocks(page, kinds):
    """Fenced blocks of a page, with the number of the line where each begins."""
    found, start = [], None
    for number, line in enumerate(page.read_text(encoding="utf-8").splitlines(), start=1):
        if start is None and (match := re.fullmatch(r"```(\w+)", line)):
            start, kind, lines = number, match[1], []
        elif line == "```" and start is not None:
            if kind in kinds:
                found.append((start, "\n".join(lines) + "\n"))
            start = None
        elif start is not None:
            lines.append(line)
    return found


PYTHON = [page for page in PAGES if blocks(page, ("python",))]


@pytest.mark.parametrize("page", PYTHON, ids=lambda page: page.name)
def test_python_of_a_page_runs(page, tmp_path, monkeypatch):
    """In one process from top to bottom, as a reader would; a folder `emotions` stands for an export."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "emotions").symlink_to(emodistill.checkpoint_path("small"))
    names = dict(GIVEN)
    for line, code in blocks(page, ("python",)):
        code = code.replace("labels=[...]", "labels='joy, fear'")
        compiled = compile("\n" * line + code, str(page), "exec")
        if not any(word in code for word in BEYOND):
            exec(compiled, names)
    if page.name == "explain.md":  # whose next block is what is printed: the same words tell, whatever the figures
        shown = next(text for _, text in blocks(page, ("text",)))
        assert str(names["why"]).splitlines()[0] == shown.splitlines()[0]


def commands():
    """Each command `emodistill ...` of a page, lines that go on joined."""
    for page in PAGES:
        for start, text in blocks(page, ("bash", "shell", "console")):
            for line in text.replace("\\\n", " ").splitlines():
                line = line.removeprefix("$ ").partition(" #")[0].strip()
                if line.startswith("emodistill ") and line.split()[1] in PARSERS:
                    yield pytest.param(line, id=f"{page.name}:{start}:{line.split()[1]}")


@pytest.mark.parametrize("line", list(dict.fromkeys(commands())))
def test_commands_of_the_pages_are_taken(line):
    _, name, *arguments = shlex.split(line)
    module, _, _ = cli.COMMANDS[name]
    reader = getattr(importlib.import_module(module, "emodistill"), PARSERS[name])
    reader(arguments) if name != "export" else reader().parse_args(arguments)
