"""The Space: the files alone, without the package, on a checkpoint that carries its own code."""

import json
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

import emodistill
from emodistill.demo.serve import free_port

pytestmark = pytest.mark.slow

DEMO = Path(emodistill.__file__).resolve().parent / "demo"
# What `python app.py` does, where an editable install of the package would still be found.
RUN = """
import importlib.util, runpy, sys
sys.meta_path[:] = [finder for finder in sys.meta_path if getattr(finder, "__name__", "") != "_EditableFinder"]
assert importlib.util.find_spec("emodistill") is None, "the package must be absent here"
runpy.run_path("app.py", run_name="__main__")
"""


def test_the_files_alone_run_as_a_space(classify, tmp_path, clean_environment):
    space = tmp_path / "space"
    space.mkdir()
    for name in ("app.py", "scoring.py", "tables.py", "drawing.py"):  # as the Space's README says
        shutil.copy(DEMO / name, space)
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
