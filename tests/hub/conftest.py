"""A publishable folder of the tiny checkpoint, and a running loopback server."""

import functools
import os
import shutil
import subprocess
import sys
from pathlib import Path

import fake_hub
import pytest

import emodistill
from emodistill.hub import check, leaks
from emodistill.hub.folder import build_folder
from emodistill.hub.model_card import initial_card

PACKAGE = Path(emodistill.__file__).resolve().parent
# Takes the package away, however it was installed, for a program that must do with transformers alone.
WITHOUT_PACKAGE = """
import importlib.util, sys
sys.meta_path[:] = [finder for finder in sys.meta_path if getattr(finder, "__name__", "") != "_EditableFinder"]
assert importlib.util.find_spec("emodistill") is None, "the package must be absent here"
"""


@pytest.fixture(scope="session", autouse=True)
def nothing_is_read_twice():
    """A hundred tests look through the same twenty files, each with one changed: what a content holds is kept."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leaks, "secrets_in", functools.cache(leaks.secrets_in))
        patch.setattr(check, "_relative_imports", functools.cache(check._relative_imports))
        yield


@pytest.fixture(scope="session")
def ready_folder(checkpoint, tmp_path_factory):
    """The publishable folder of the tiny checkpoint; not to be changed."""
    card = initial_card(checkpoint, f"{fake_hub.OWNER}/tiny")
    return build_folder(checkpoint, tmp_path_factory.mktemp("published") / "folder", card)


@pytest.fixture
def folder(ready_folder, tmp_path):
    """A copy of it to break."""
    return Path(shutil.copytree(ready_folder, tmp_path / "folder"))


@pytest.fixture
def hub():
    """A running loopback server without repositories."""
    with fake_hub.serve() as server:
        yield server


@pytest.fixture
def api(hub, monkeypatch):
    """The Hub's real client in this process, on the loopback server."""
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", hub.url)
    monkeypatch.setenv("HF_TOKEN", fake_hub.TOKEN)
    return huggingface_hub.HfApi(endpoint=hub.url, token=fake_hub.TOKEN)


@pytest.fixture
def run(hub, tmp_path):
    """`run(*arguments, **variables)`: a Python process of a user of the loopback server.

    With `package=False` the arguments start with a program's text, which runs where the package is absent.
    """

    def call(*arguments, package=True, **variables):
        (tmp_path / "empty").mkdir(exist_ok=True)
        if not package:
            arguments = ("-c", WITHOUT_PACKAGE + arguments[0], *arguments[1:])
        environment = {name: value for name, value in os.environ.items() if name not in ("HF_HUB_OFFLINE",)}
        environment |= {
            "HF_ENDPOINT": hub.url,
            "HF_TOKEN": fake_hub.TOKEN,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HOME": str(tmp_path / "home"),
            "HF_MODULES_CACHE": str(tmp_path / "modules"),
            "PYTHONPATH": str(PACKAGE.parent) if package and PACKAGE.name == "emodistill" else "",
        }
        return subprocess.run(
            [sys.executable, "-P", *map(str, arguments)], cwd=tmp_path / "empty", env=environment | variables,
            capture_output=True, text=True, timeout=300,
        )  # fmt: skip

    return call
