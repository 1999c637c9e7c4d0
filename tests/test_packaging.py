"""The wheel, as someone gets it who has never seen the source tree."""

import contextlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
import zipfile
from email.parser import Parser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parent.parent
BASE = {"torch", "transformers", "safetensors", "huggingface-hub"}
EXTRAS = ("accelerate", "datasets", "evaluate", "openai")
CHECKPOINT = "emodistill/checkpoints/emodistill-minilm-l6/"
NOT_SOURCE = (".git", ".venv", "build", "dist", "outputs", "results", "*.egg-info", "__pycache__", ".*_cache")


def clean_environment(folder, **more):
    """No trace of the source tree or of this process's paths, and no network for the Hub's libraries."""
    keep = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV", "HF_"))}
    return keep | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hf"), "PYTHONNOUSERSITE": "1"} | more


def run(*command, cwd, check=True, **options):
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, capture_output=True, text=True, timeout=300, **options
    )
    assert not check or done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done


def build(kind, source, output):
    """Call setuptools as a build front end would, where torch and transformers cannot be imported.

    The version is read from `version.py`; were the package imported for it, every build would need torch.
    """
    poison = output / "poison"
    poison.mkdir(parents=True, exist_ok=True)
    for name in ("torch", "transformers"):
        (poison / f"{name}.py").write_text(f"raise ImportError('the build imports {name}')\n")
    options = {"--build-option": "--compression=stored"} if kind == "wheel" else {}  # weights take seconds to compress
    code = f"from setuptools import build_meta; print(build_meta.build_{kind}({str(output)!r}, {options!r}))"
    done = run(sys.executable, "-c", code, cwd=source, env=clean_environment(output, PYTHONPATH=str(poison)))
    return output / done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The wheel and the source distribution of a copy of the source tree that is gone afterwards."""
    folder = tmp_path_factory.mktemp("built")
    source = folder / "any-name"
    shutil.copytree(ROOT, source, ignore=shutil.ignore_patterns(*NOT_SOURCE))
    sdist = build("sdist", source, folder / "sdist")
    wheel = build("wheel", source, folder / "wheel")
    shutil.rmtree(source)
    return wheel, sdist


def names_in(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


def metadata_of(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [name for name in archive.namelist() if name.endswith(".dist-info/METADATA")]
        return Parser().parsestr(archive.read(name).decode())


def closure(names):
    """The installed distributions that `names` need in this environment, without any of their extras."""
    found, queue = {}, [Requirement(name) for name in names]
    while queue:
        requirement = queue.pop()
        distribution = importlib.metadata.distribution(requirement.name)
        key = (distribution.metadata["Name"], frozenset(requirement.extras))
        if key in found:
            continue
        found[key] = distribution
        for line in distribution.requires or []:
            needed = Requirement(line)
            extras = requirement.extras or {""}
            if needed.marker is None or any(needed.marker.evaluate({"extra": extra}) for extra in extras):
                queue.append(needed)
    return {distribution.metadata["Name"]: distribution for distribution in found.values()}.values()


@pytest.fixture(scope="module")
def installed(built, tmp_path_factory):
    """A new environment with the wheel and its base dependencies, linked from this one instead of fetched again.

    Returns its `bin` folder, and an empty folder to work in.
    """
    folder = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "venv", "--without-pip", folder / "venv", cwd=folder)
    (site,) = (folder / "venv").glob("lib/python*/site-packages")
    for distribution in closure(sorted(BASE)):
        tops = {file.parts[0] for file in distribution.files or [] if file.parts[0] not in ("..", "__pycache__")}
        for top in sorted(top for top in tops if not top.endswith(".pth")):
            with contextlib.suppress(FileExistsError):  # a namespace that two distributions share
                (site / top).symlink_to(Path(distribution.locate_file(top)).resolve())
    python = folder / "venv" / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--python", python, "install", "--no-index", "--no-deps", "--no-compile")
    run(*pip, "--quiet", built[0], cwd=folder, env=clean_environment(folder))
    empty = folder / "empty"
    empty.mkdir()
    return python.parent, empty


def run_installed(installed, *command, **options):
    programs, empty = installed
    return run(programs / command[0], *command[1:], cwd=empty, env=clean_environment(empty.parent), **options)


def test_base_dependencies_are_few(built):
    metadata = metadata_of(built[0])
    requirements = [Requirement(line) for line in metadata.get_all("Requires-Dist")]
    names = {requirement.name.replace("_", "-") for requirement in requirements if requirement.marker is None}
    assert names == BASE
    (transformers,) = [requirement for requirement in requirements if requirement.name == "transformers"]
    assert transformers.specifier == "<6,>=5" and metadata["Requires-Python"] == ">=3.11"
    assert {"train", "annotate", "all", "dev"} <= set(metadata.get_all("Provides-Extra"))
    assert metadata["License-Expression"] == "Apache-2.0"


def test_extras_have_what_they_name(built):
    requirements = [Requirement(line) for line in metadata_of(built[0]).get_all("Requires-Dist")]

    def extra(name):
        return {r.name for r in requirements if r.marker is not None and r.marker.evaluate({"extra": name})}

    assert extra("train") - BASE >= {"accelerate", "datasets", "evaluate"}
    assert "openai" in extra("annotate")
    assert "gradio" in extra("demo")
    assert "emodistill" in extra("all")


def test_every_requirement_is_pinned():
    """Whoever follows the README installs tested versions, of everything."""
    lines = (ROOT / "constraints.txt").read_text().split()
    pins = {Requirement(line).name.lower().replace("_", "-"): line for line in lines}
    assert all("==" in line for line in lines) and len(pins) == len(lines)
    assert pins["torch"] == "torch==2.13.0"
    tools = ["hypothesis", "markdown-it-py", "pytest", "pytest-timeout", "ruff", "gradio", "selenium"]
    needed = closure([*BASE, *EXTRAS, *tools])
    names = {distribution.metadata["Name"].lower().replace("_", "-").replace(".", "-") for distribution in needed}
    assert len(names) > 40 and not names - pins.keys()


def test_no_room_hides_a_library():
    """`python train_accelerate.py` puts the root first on the path, where an `evaluate.py` would hide the library."""
    rooms = {path.name.removesuffix(".py") for path in ROOT.iterdir() if path.is_dir() or path.suffix == ".py"}
    libraries = set(sys.stdlib_module_names) | {
        file.parts[0].removesuffix(".py")
        for distribution in closure([*BASE, *EXTRAS])
        for file in distribution.files or []
        if file.suffix == ".py"
    }
    assert {"evaluate", "datasets", "json"} <= libraries
    assert not rooms & libraries - {"tests", "__pycache__"}


def test_the_wheel_holds_the_package_and_nothing_else(built):
    names = names_in(built[0])
    package = {name for name in names if name.startswith("emodistill/")}
    others = {name.split("/")[0] for name in names - package}
    assert len(others) == 1 and others.pop().endswith(".dist-info")
    assert any(name.endswith("/licenses/LICENSE") for name in names)
    assert {"emodistill/__init__.py", "emodistill/modeling_emodistill.py", "emodistill/cli.py"} <= package
    for room in ("tests", "scripts", "docs", "lab", "build", ".ci"):
        assert not any(name.startswith(f"emodistill/{room}/") for name in package), room
    for room in sorted(path.parent.name for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests"):
        for source in (ROOT / room).rglob("*"):
            if source.is_file() and "__pycache__" not in source.parts:
                assert f"emodistill/{source.relative_to(ROOT)}" in package
    for config in (ROOT / "configs").rglob("*.yaml"):
        assert f"emodistill/{config.relative_to(ROOT)}" in package
    data = {name for name in package if name.startswith("emodistill/data/")}
    kept = ("emodistill/data/descriptors/lexicon/", "emodistill/data/descriptors/README.md")  # the default of train
    assert data and all(name.startswith(kept) for name in data)


def test_the_wheel_holds_the_default_checkpoint(built):
    held = {name.removeprefix(CHECKPOINT) for name in names_in(built[0]) if name.startswith(CHECKPOINT)}
    assert {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"} <= held
    # code has one place, and weights one format
    assert not [name for name in held if name.endswith((".py", ".bin", ".pt"))]


def test_the_source_distribution_builds_the_same_wheel(built, tmp_path):
    wheel, sdist = built
    shutil.unpack_archive(sdist, tmp_path)
    (source,) = tmp_path.iterdir()
    assert {"LICENSE", "CITATION.cff", "CHANGELOG.md", "constraints.txt"} <= {path.name for path in source.iterdir()}
    assert {path.name for path in (source / "data" / "descriptors").iterdir()} == {"README.md", "lexicon"}
    again = build("wheel", source, tmp_path / "wheel")
    assert again.name == wheel.name and names_in(again) == names_in(wheel)


def test_the_new_environment_is_apart(installed):
    code = (
        "import sys, json, importlib.util as u, emodistill\n"
        f"found = [name for name in {EXTRAS!r} if u.find_spec(name)]\n"
        "hooks = [repr(hook) for hook in sys.meta_path if 'editable' in repr(hook).lower()]\n"
        "print(json.dumps([emodistill.__file__, sys.path, hooks, found, 'accelerate' in sys.modules]))"
    )
    done = run_installed(installed, "python", "-c", code)
    file, path, hooks, found, accelerate = json.loads(done.stdout)
    assert Path(file).is_relative_to(installed[0].parent) and not Path(file).is_symlink()
    assert not [entry for entry in path if entry and Path(entry).resolve().is_relative_to(ROOT)]
    assert hooks == [] and found == [] and not accelerate
    assert not done.stderr


def test_quick_start(installed):
    code = (
        "import emodistill\n"
        "from transformers import pipeline\n"
        "classify = pipeline('zero-shot-emotion', labels=['joy', 'anger', 'relief', 'schadenfreude'])\n"
        "import json; print(json.dumps(classify('I passed the exam, I could dance all night!')))"
    )
    done = run_installed(installed, "python", "-W", "error::FutureWarning", "-c", code)
    result = json.loads(done.stdout)
    assert set(result["labels"]) == {"joy", "anger", "relief", "schadenfreude"} and result["labels"][0] == "joy"
    assert "warning" not in done.stderr.lower() and "http" not in done.stderr


def test_predict(installed):
    """The texts as arguments and as lines of a real standard input."""
    command = ("emodistill", "predict", "I am so happy!", "-", "--labels", "joy,anger", "--json")
    done = run_installed(installed, *command, input="How dare you!\nça va ?\n")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["sequence"] for row in rows] == ["I am so happy!", "How dare you!", "ça va ?"]
    assert rows[0]["predicted"] == ["joy"] and rows[1]["predicted"] == ["anger"]
    assert "warning" not in done.stderr.lower()


def test_a_command_without_its_extra_is_one_sentence(installed):
    config = installed[0].parent.glob("lib/*/site-packages/emodistill/configs/minilm-l6/1-first.yaml")
    done = run_installed(installed, "emodistill", "train", *config, check=False)
    assert done.returncode == 2 and done.stderr.count("\n") == 1 and "Traceback" not in done.stderr
    assert "emodistill[train]" in done.stderr
