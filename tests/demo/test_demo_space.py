"""The Space: the files alone, without the package, on a checkpoint that carries its own code."""

import ast
import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

import emodistill
from emodistill import cli
from emodistill.demo import space
from emodistill.demo.serve import free_port

pytestmark = pytest.mark.slow

ROOT = Path(emodistill.__file__).resolve().parent
# What `python app.py` does, where an editable install of the package would still be found.
RUN = """
import importlib.util, runpy, sys
sys.meta_path[:] = [finder for finder in sys.meta_path if getattr(finder, "__name__", "") != "_EditableFinder"]
assert importlib.util.find_spec("emodistill") is None, "the package must be absent here"
runpy.run_path("app.py", run_name="__main__")
"""


def test_a_space_holds_all_that_its_files_import():
    """Relative imports lead to files of the Space, also those within functions."""
    for name in space.FILES:
        path = ROOT / name
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.ImportFrom) or not node.level:
                continue
            folder = path.parents[node.level - 1]
            place = folder.joinpath(*(node.module or "").split("."))
            wanted = [place.with_suffix(".py")] if node.module else [folder / f"{a.name}.py" for a in node.names]
            for file in wanted:
                assert file.relative_to(ROOT).as_posix() in space.FILES, f"{name} imports {file}"


def test_a_space_is_not_written_over_something(tmp_path, capsys):
    (tmp_path / "mine").write_text("x")
    assert cli.main(["demo", "--space", str(tmp_path)]) == 2
    assert "not empty" in capsys.readouterr().err and [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_the_files_alone_run_as_a_space(classify, tmp_path, clean_environment, capsys):
    space = tmp_path / "space"
    assert cli.main(["demo", "--space", str(space)]) == 0
    assert "publish the folder" in capsys.readouterr().out
    classify.save_pretrained(tmp_path / "checkpoint")
    port = free_port("127.0.0.1", 0)
    environment = clean_environment | {
        "EMODISTILL_MODEL": str(tmp_path / "checkpoint"),
        "GRADIO_SERVER_PORT": str(port),
        "GRADIO_TEMP_DIR": str(tmp_path / "gradio"),
        "PYTHONUNBUFFERED": "1",
    }
    with open(tmp_path / "stderr", "w") as errors:
        server = subprocess.Popen(
            [sys.executable, "-c", RUN], cwd=space, env=environment, stdout=subprocess.PIPE, stderr=errors, text=True
        )
    try:
        line = server.stdout.readline()
        assert f":{port}" in line, line + (tmp_path / "stderr").read_text()
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/config", timeout=30) as reply:
            config = json.load(reply)
        values = [str(component["props"].get("value")) for component in config["components"]]
        (result,) = [value for value in values if "ed-result" in value]
        assert result.count("<li") == 8 and "<svg" in result and not config["analytics_enabled"]
        (limits,) = [value for value in values if "not fit for" in value]
        assert "decisions about people" in limits and "Traceback" not in (tmp_path / "stderr").read_text()
    finally:
        server.terminate()
        server.wait(30)
