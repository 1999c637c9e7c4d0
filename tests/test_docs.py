"""What stands in the pages runs: blocks of Python from top to bottom, and commands as far as their arguments go."""

import argparse
import importlib
import re
import runpy
import shlex
import sys
import tomllib
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
PARSERS = {"predict": "_arguments", "score": "parse_score_arguments", "export": "_parser", "adapt": "_arguments"}
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


@pytest.mark.slow
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


PROGRAM = re.compile(r"(?:\$\(BIN\)/)?(?:emodistill (?!COMMAND)|python -m emodistill\.)(.+)")


def commands():
    """Each command of the package in a page or the Makefile: `score ...`, or `benchmarks.speed ...` of `python -m`."""
    sources = [(page, *block) for page in PAGES for block in blocks(page, ("bash", "shell", "console"))]
    if (ROOT / "Makefile").is_file():
        sources.append((ROOT / "Makefile", 0, (ROOT / "Makefile").read_text(encoding="utf-8")))
    for page, start, text in sources:
        for line in text.replace("\\\n", " ").splitlines():
            line = re.sub(r"\s+#.*", "", line).strip().removeprefix("$ ").removeprefix("@")
            if found := PROGRAM.fullmatch(line):
                yield pytest.param(found[1], id=f"{page.name}:{start}:{' '.join(found[1].split()[:2])}")


class Taken(BaseException):
    """The arguments were read; what would be done with them is not this test's."""


@pytest.mark.parametrize("line", list(dict.fromkeys(commands())))
def test_commands_of_the_pages_are_taken(line, monkeypatch):
    name, *arguments = shlex.split(line)
    if name in PARSERS:
        module, _, _ = cli.COMMANDS[name]
        reader = getattr(importlib.import_module(module, "emodistill"), PARSERS[name])
        reader(arguments) if name != "export" else reader().parse_args(arguments)
        return

    def taken(parser, *given, read=argparse.ArgumentParser.parse_args):
        read(parser, *given)
        raise Taken

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", taken)
    with pytest.raises(Taken):
        if name in cli.COMMANDS:
            cli.main([name, *arguments])
        else:
            monkeypatch.setattr(sys, "argv", [name, *arguments])
            runpy.run_module(f"emodistill.{name}", run_name="__main__")


@pytest.mark.parametrize("facts", sorted((ROOT / "hub" / "facts").glob("*.toml")), ids=lambda path: path.stem)
def test_the_cards_tell_the_speed_that_the_page_tells(facts):
    page = (ROOT / "docs" / "speed.md").read_text(encoding="utf-8")
    told = tomllib.loads(facts.read_text(encoding="utf-8"))["speed"]
    machine, options = re.search(r"AMD EPYC \(.*?\)", told)[0], re.search(r"speed (--[^`]*)`", told)[1]
    assert machine in page and " ".join(options.split()) in page
    measured = {f"{float(cell):.0f}" for cell in re.findall(r"(?<=\| )[\d.]+(?= \|)", page)}
    rates = re.search(r": (\d+) texts .* fp32, (\d+) in bf16, (\d+) as an int8 export", told, re.DOTALL)
    waits = re.search(r"takes (\d+), (\d+) and (\d+) ms with one thread", told)
    assert {*rates.groups(), *waits.groups()} <= measured
