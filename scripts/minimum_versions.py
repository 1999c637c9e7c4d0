"""Test the lower bounds of setup.cfg: install exactly those versions, and run a few tests that need them all.

    python scripts/minimum_versions.py --folder .venv-minimum

The new environment lies over the one that runs this: what a bound names is installed in its lowest version, with what
that needs, and everything else is taken from below. torch is the exception: of its lowest version the index has
no CPU wheel for Linux, and the other brings several GB of CUDA packages, so that it stays what constraints.txt pins.

What an exported model needs is tried in an environment of its own, which has nothing else: no torch, no transformers.
"""

import argparse
import configparser
import os
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
# Extras whose bounds are tested. `demo` is apart: gradio asks for another huggingface_hub than the base's lowest.
EXTRAS = ("train", "annotate", "benchmarks")
EXPORTED = ("onnx", "score")  # what an exported model answers and scores files with
NOT_LOWERED = {"torch", "emodistill"}
# Between them: the default model from a shell, training and the saved checkpoint, measuring, an annotated file.
TESTS = (
    "tests/test_predict.py::test_the_default_model",
    "tests/experiments/test_ablate.py::test_grid_trains_measures_and_goes_on",
    "tests/benchmarks/test_evaluate.py::test_limit_is_marked",
    "tests/annotate/test_run.py::test_good_answers_are_stored_and_nothing_is_asked_twice",
)


def lowest_versions(extras, base=True):
    """
    The declared lower bounds, `list[str]` such as `transformers==5.0`; of two for one package the higher.

    Args:
        extras (`Sequence[str]`): Names of extras.
        base (`bool`): Whether with what the package needs without any.

    Raises:
        ValueError: a requirement without a lower bound.
    """
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = config["options"]["install_requires"].split("\n") if base else []
    for extra in extras:
        lines += config["options.extras_require"][extra].split("\n")
    lowest = {}
    for line in filter(None, map(str.strip, lines)):
        requirement = Requirement(line)
        if requirement.name in NOT_LOWERED:
            continue
        bounds = [specifier.version for specifier in requirement.specifier if specifier.operator == ">="]
        if not bounds:
            raise ValueError(f"setup.cfg: {line} has no lower bound")
        key = requirement.name.lower().replace("_", "-")
        lowest[key] = max([*bounds, lowest.get(key, "0")], key=lambda version: [int(p) for p in version.split(".")])
    return [f"{name}=={version}" for name, version in sorted(lowest.items())]


def layered_environment(folder, pins):
    """A new environment over the running one with the pinned packages in it; the path of its interpreter."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", "--clear", folder], check=True)
    python = Path(folder) / "bin" / "python"
    asked = "import sysconfig; print(sysconfig.get_path('purelib'))"
    site = subprocess.run([python, "-c", asked], check=True, capture_output=True, text=True).stdout.strip()
    # As a folder of packages and not as a mere path: the package itself is installed below by a .pth file.
    below = f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})\n"
    Path(site, "zz_below.pth").write_text(below, encoding="utf-8")
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "--no-compile", *pins], check=True)
    return python


def try_an_export(folder, pins):
    """An export of the default model answers, and scores a file, where only its own requirements are; 0 if it does."""
    subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
    python = Path(folder).resolve() / "bin" / "python"
    pip = [python, "-m", "pip", "--disable-pip-version-check", "install", "--quiet", "--no-compile"]
    subprocess.run([*pip, *pins], check=True)
    with tempfile.TemporaryDirectory() as scratch:
        exported, table = Path(scratch, "export"), Path(scratch, "in.csv")
        emodistill = ["-m", "emodistill.cli"]
        subprocess.run([sys.executable, *emodistill, "export", "small", "--output", exported], check=True)
        Path(scratch, "emodistill").symlink_to(ROOT, target_is_directory=True)
        table.write_text("text\nHow dare you lie to me again!\n", encoding="utf-8")
        given = ["--model", exported, "--labels", "joy,anger"]
        for command in (["predict", "so happy"], ["score", table, "--output", Path(scratch, "out.parquet")]):
            done = subprocess.run([python, *emodistill, *command, *given], cwd=scratch)
            if done.returncode:
                return done.returncode
    return 0


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--folder", default=".venv-minimum", help="of the environment (default: .venv-minimum)")
    parser.add_argument("--list", action="store_true", help="print the versions and stop")
    args = parser.parse_args(argv)
    pins, exported = lowest_versions(EXTRAS), lowest_versions(EXPORTED, base=False)
    print(" ".join(pins), "\nfor exports:", " ".join(exported), flush=True)
    if args.list:
        return 0
    python = layered_environment(args.folder, pins)
    environment = os.environ | {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    tested = subprocess.run([python, "-m", "pytest", "-q", *TESTS], cwd=ROOT, env=environment).returncode
    return tested or try_an_export(Path(args.folder, "export"), exported)


if __name__ == "__main__":
    sys.exit(main())
