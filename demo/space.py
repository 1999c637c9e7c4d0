"""The files of a Hub Space: the page and what it needs of the package, as a package of their own."""

import shutil
from pathlib import Path

from ..files import writing_folder

__all__ = ["write_space"]

ROOT = Path(__file__).resolve().parent.parent
# What the page imports, by the place that it has in the package, so that its relative imports find it.
FILES = (
    "durations.py", "files.py", "full_disks.py", "inputs_emodistill.py", "unfinished.py", "demo/__init__.py",
    "demo/app.py", "demo/drawing.py", "demo/guard.py", "demo/scoring.py", "demo/uploads.py", "serving/__init__.py",
    "serving/explain.py", "serving/explain_display.py", "descriptors/__init__.py", "descriptors/delimited.py",
    "descriptors/formats.py", "descriptors/json_tables.py", "descriptors/labels.py", "descriptors/left_out.py",
    "descriptors/sources.py", "descriptors/spreadsheet.py", "descriptors/tables.py", "descriptors/text_files.py",
)  # fmt: skip
APP = '''"""The Space's own file: everything else lies in the folder `page`."""

from page.demo.app import run_space

run_space()
'''


def write_space(folder):
    """
    Write a Space that runs without this package, on a checkpoint whose repository carries its code.

    Args:
        folder (`str` or `Path`): A new or empty folder.

    Returns:
        `Path`: the folder.

    Raises:
        `OSError`: the folder is there and not empty, or cannot be written.
    """
    folder = Path(folder)
    with writing_folder(folder) as new:
        new = Path(new)
        for name in ("README.md", "requirements.txt"):
            shutil.copyfile(ROOT / "demo" / name, new / name)
        for name in FILES:
            (new / "page" / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, new / "page" / name)
        (new / "page" / "__init__.py").write_text("", encoding="utf-8")
        (new / "app.py").write_text(APP, encoding="utf-8")
    return folder
