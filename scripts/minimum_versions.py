"""Test the lower bounds of setup.cfg: install exactly those versions, and run a few tests that need them all.

    python scripts/minimum_versions.py --folder .venv-minimum

The new environment lies over the one that runs this: what a bound names is installed in its lowest version, with what
that needs, and everything else is taken from below. torch is the exception: of its lowest version the index has
no CPU wheel for Linux, and the other brings several GB of CUDA packages, so that it stays what constraints.txt pins.
"""

import argparse
import configparser
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).resolve().parent.parent
# Extras whose bounds are tested. `demo` is apart: gradio asks for another huggingface_hub than the base's lowest.
EXTRAS = ("train", "annotate", "benchmarks")
NOT_LOWERED = {"torch", "emodistill"}
# Between them: the default model from a shell, training and the saved checkpoint, measuring, an annotated file.
TESTS = (
    "tests/test_predict.py::test_the_default_model",
    "tests/experiments/test_ablate.py::test_grid_trains_measures_and_goes_on",
    "tests/benchmarks/test_evaluate.py::test_limit_is_marked",
    "tests/annotate/test_run.py::test_good_answers_are_stored_and_nothing_is_asked_twice",
)


def lowest_versions():
    """The declared lower bounds, `list[str]` such as `transformers==5.0`; of two for one package the higher.

    Raises:
        ValueError: a requirement without a lower bound.
    """
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    lines = config["options"]["install_requires"].split("\n")
    for extra in EXTRAS:
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


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--folder", default=".venv-minimum", help="of the environment (default: .venv-minimum)")
    parser.add_argument("--list", action="store_true", help="print the versions and stop")
    args = parser.parse_args(argv)
    pins = lowest_versions()
    print(" ".join(pins), flush=True)
    if args.list:
        return 0
    python = layered_environment(args.folder, pins)
    environment = os.environ | {"PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    return subprocess.run([python, "-m", "pytest", "-q", *TESTS], cwd=ROOT, env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
