"""The house stands as docs/architecture.md says: arrows go one way, every room is packed, notes stay in the lab."""

import ast
import configparser
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
# room: the rooms that it may import, besides itself. `model` is all flat `*_emodistill.py`.
MAY_IMPORT = {
    "files": set(),
    "fingerprint": set(),
    "version": set(),
    "durations": set(),
    "command_line": set(),
    "model": set(),
    "loading": {"model"},
    "registration": {"model", "loading"},
    "descriptors": {"files", "command_line"},
    "annotate": {"descriptors", "files", "version", "durations", "command_line"},
    "training": {
        "model", "loading", "fingerprint", "descriptors", "files", "version", "durations", "command_line",
    },
    "benchmarks": {"model", "loading", "fingerprint", "serving", "descriptors", "files", "version", "command_line"},
    "experiments": {"model", "loading", "benchmarks", "training", "serving", "descriptors", "files", "command_line"},
    "predict": {"loading", "registration", "model", "descriptors", "command_line"},
    "serving": {
        "model", "loading", "fingerprint", "predict", "descriptors", "files", "version", "durations", "command_line",
    },
    "hub": {
        "model", "loading", "fingerprint", "benchmarks", "annotate", "descriptors", "files", "version", "command_line",
    },
    "demo": {"model", "loading", "predict", "serving", "descriptors", "files", "version", "durations", "command_line"},
    "cli": {"version", "files"},
    # speed and reliability of any room, measured from above
    "measurements": {
        "model", "loading", "fingerprint", "annotate", "training", "benchmarks", "serving", "hub", "files", "cli",
    },
}
# Lines that go up, each with its reason.
UPWARD = {
    # transformers copies the files that it finds by relative imports, and every save should bring them all
    ("configuration_emodistill.py", "pipeline_emodistill"),
    # `pipeline(..., backend="onnx")` is answered by an export, which is imported when it is asked for
    ("registration.py", "serving"),
    # `predict` answers from an export too, likewise imported when one is given
    ("predict.py", "serving"),
}
NO_ROOM = {"tests", "scripts", "data", "lab", "docs", "examples", "build", "dist", ".venv", ".venv-minimum", "outputs"}


@functools.cache
def sources():
    """Every source file of the package, with its room."""
    inside = [path for path in ROOT.iterdir() if path.is_dir() and path.name not in NO_ROOM]
    found = []
    for path in sorted([*ROOT.glob("*.py"), *(path for folder in inside for path in folder.rglob("*.py"))]):
        place = path.relative_to(ROOT)
        if place.name in ("__main__.py",):
            continue
        if place.parts[:2] in (("benchmarks", "reliability"), ("benchmarks", "speed")):
            found.append((place, "measurements"))
        else:
            found.append((place, room_of(place.parts[0].removesuffix(".py"))))
    return found


@functools.cache
def parsed(place):
    """A source file's syntax tree; not to be changed."""
    return ast.parse((ROOT / place).read_text(encoding="utf-8"))


def room_of(name):
    if name.endswith("_emodistill"):
        return "model"
    return {"train_accelerate": "training", "full_disks": "files", "unfinished": "files"}.get(name, name)


def imported(place):
    """The package's own modules or rooms that a file imports, anywhere in it."""
    for node in ast.walk(parsed(place)):
        if isinstance(node, ast.ImportFrom) and node.level:
            above = place.parts[: len(place.parts) - node.level]
            path = [*above, *(node.module.split(".") if node.module else [])]
            yield from path[:1] if path else (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "emodistill":
            yield from node.module.split(".")[1:2] or [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            yield from (alias.name.split(".")[1] for alias in node.names if alias.name.startswith("emodistill."))


def test_arrows_go_one_way():
    rooms = {room for _, room in sources()} - {"__init__"}
    assert rooms <= MAY_IMPORT.keys(), f"no arrows for {rooms - MAY_IMPORT.keys()}: add them here and to the docs"
    wrong = []
    for place, room in sources():
        if room == "__init__":
            continue
        for name in imported(place):
            other = room_of(name)
            # Names of the package itself (`from . import DEFAULT_CHECKPOINT`) are no rooms.
            if other not in MAY_IMPORT or (other == room and room != "model") or (place.name, name) in UPWARD:
                continue
            if room == "model" and other == "model":
                continue
            if other not in MAY_IMPORT[room]:
                wrong.append(f"{place} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_arrows_hold_no_circle():
    done = set()

    def visit(room, path):
        assert room not in path, f"circle: {' -> '.join([*path, room])}"
        for other in MAY_IMPORT[room] - done:
            visit(other, [*path, room])
        done.add(room)

    for room in MAY_IMPORT:
        visit(room, [])


def test_files_of_the_hub_copy_reach_no_folder():
    """Remote code cannot: the flat files import their like, one level up, and nothing else of the package."""
    for place, room in sources():
        if room == "model":
            for name in imported(place):
                assert (ROOT / f"{name}.py").is_file() and name.endswith("_emodistill"), f"{place} imports {name}"


def test_every_folder_of_code_is_packed():
    """setup.cfg lists the packages; one that it lacks is missing from every wheel."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    listed = set(config["options"]["packages"].split())
    folders = {place.parent for place, _ in sources()} - {Path(".")}
    assert {f"emodistill.{'.'.join(folder.parts)}" for folder in folders} | {"emodistill"} == listed
    for folder in folders:
        assert (ROOT / folder / "__init__.py").is_file(), f"{folder} has no __init__.py"


def names_of(place):
    """What a module defines at its top, and its `__all__` (`None` where it has none)."""
    defined, listed = set(), None
    for node in parsed(place).body:
        for part in node.orelse + node.body if isinstance(node, ast.If | ast.Try) else [node]:
            if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                defined.add(part.name)
            elif isinstance(part, ast.Import | ast.ImportFrom):
                defined |= {(alias.asname or alias.name).split(".")[0] for alias in part.names}
            elif isinstance(part, ast.Assign):
                found = [name for target in part.targets for name in ast.walk(target)]
                targets = {name.id for name in found if isinstance(name, ast.Name)}
                defined |= targets
                if "__all__" in targets:
                    listed = ast.literal_eval(part.value) if isinstance(part.value, ast.List) else [...]
    return defined, listed


def module_of(place, node):
    """The file of the package that an import in another one names, or `None`."""
    if node.level:
        path = [*place.parts[: len(place.parts) - node.level], *(node.module or "").split(".")]
    elif node.module and node.module.split(".")[0] == "emodistill":
        path = node.module.split(".")[1:]
    else:
        return None
    found = Path(*filter(None, path)).with_suffix(".py") if any(path) else Path("none.py")
    return found if (ROOT / found).is_file() else None


def test_every_module_says_what_is_public():
    """`__all__` names what is there, and all that other modules take; whoever reads it knows what may not change."""
    public = {}
    for place, _ in sources():
        defined, listed = names_of(place)
        if place.name != "__init__.py" and place.parts[0] != "examples":
            assert listed is not None, f"{place} has no __all__"
            assert set(listed) <= defined, f"{place} lists {set(listed) - defined}, which it does not define"
            public[place] = set(listed), defined
    taken = []
    for place, _ in sources():
        for node in ast.walk(parsed(place)):
            module = module_of(place, node) if isinstance(node, ast.ImportFrom) else None
            if module in public:
                listed, defined = public[module]
                names = {alias.name for alias in node.names if alias.name in defined and alias.name[0] != "_"}
                taken += [f"{place} takes {name} of {module}" for name in sorted(names - listed)]
    assert not taken, "put them into __all__:\n" + "\n".join(taken)


def test_one_name_is_one_thing():
    """Two classes or public functions of one name are told apart by nothing that a reader sees."""
    found = {}
    for place, _ in sources():
        if place.parts[0] in ("benchmarks", "tests") and place.parts[1] in ("readers", "metrics"):
            continue  # one file a set: each has the same names
        listed = set(names_of(place)[1] or ()) - {"main"}
        for node in parsed(place).body:
            public = isinstance(node, ast.ClassDef) and not node.name.startswith("_")
            if public or (isinstance(node, ast.FunctionDef) and node.name in listed):
                found.setdefault(node.name, []).append(str(place))
    twice = {name: places for name, places in found.items() if len(places) > 1}
    assert not twice, twice


def test_docstrings_have_one_fence():
    for place, _ in sources():
        fences = set(re.findall(r"^ *```(\w+)$", (ROOT / place).read_text(encoding="utf-8"), re.MULTILINE))
        assert fences <= {"python"}, f"{place}: {fences}"


def test_the_map_names_every_room():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    for _, room in sources():
        if room not in ("__init__", "model", "version", "measurements"):
            assert f"`{room}/`" in text or f"`{room}.py`" in text, f"docs/architecture.md does not name {room}"


def test_notes_stay_in_the_lab():
    """Code and users' pages stand without the lab's dated notes, which are no part of a distribution."""
    assert "prune lab" in (ROOT / "MANIFEST.in").read_text()
    notes = list((ROOT / "lab").glob("*.md"))
    assert notes and all(re.match(r"\d{4}-\d{2}-\d{2}-", path.name) for path in notes)
    pages = [path.relative_to(ROOT) for path in (ROOT / "docs").glob("*.md")]
    for place in [*(place for place, _ in sources()), *pages]:
        if place.name != "architecture.md":
            cited = re.search(r"(?<![\w-])lab/", (ROOT / place).read_text(encoding="utf-8"))
            assert not cited, f"{place} cites the lab"
    assert len((ROOT / "docs" / "decisions.md").read_text(encoding="utf-8").splitlines()) <= 200


@pytest.mark.parametrize("page", sorted(path.name for path in (ROOT / "docs").glob("*.md")))
def test_links_between_pages_lead_somewhere(page):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text):
        if "://" not in target:
            assert (ROOT / "docs" / target).exists(), f"{page}: {target}"
