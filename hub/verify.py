"""`emodistill verify`: does a folder, or a repository on the Hub, work for whoever has only transformers?"""

import argparse
import ast
import json
import math
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from . import reference
from .card import initial_card
from .errors import hub_errors, quiet_client, repository_id
from .folder import (
    REFERENCE,
    TOKENIZER,
    build_folder,
    is_published,
    own_outputs,
    read_config,
    sha256,
    tree,
    weight_files,
)

__all__ = ["TOLERANCE", "check_content", "check_files", "check_outputs", "main", "verify_folder"]

TOLERANCE = 1e-5
TEXT_SUFFIXES = (".json", ".py", ".md", ".txt", ".yaml", ".yml", ".toml", ".jinja", ".cfg", ".csv", ".jsonl")
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".joblib", ".dill")
WITHHELD = re.compile(r"TOKEN|KEY|SECRET|PASSW|CREDENTIAL|^PYTHON|^HF_|^TRANSFORMERS_", re.IGNORECASE)
TOKENS = re.compile(
    r"\b(?:hf_[A-Za-z0-9]{30,}|sk-[A-Za-z0-9_-]{32,}|gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{40,}|AKIA[0-9A-Z]{16})\b"
)
# Places of one machine in running text; in JSON any absolute path is found.
PATHS = re.compile(
    r"(?<![\w.:/~-])(?:/(?:home|root|Users|tmp|mnt|media|workspace|scratch|private|content|data|srv|var|opt)/[\w.~-][\w./~-]*"
    r"|[A-Za-z]:\\{1,2}[\w .-]+\\[\w\\ .-]*|~/[\w.-]+/[\w./-]*)"
)
ABSOLUTE = re.compile(r"(?:/[\w.~ -]+){2,}/?|[A-Za-z]:[\\/][^<>|]+|file://\S+|~/\S+")


def check_files(folder):
    """Look at every file of a publishable folder, running nothing.

    Args:
        folder (`str` or `Path`)

    Returns:
        `list[str]`: a sentence for each thing that is wrong: a file that the configuration or a code file names and
        that is missing, a pickle, a token, an absolute path, a file changed since the reference outputs were made.
    """
    folder = Path(folder)
    config = read_config(folder)
    problems = _named_code(folder, config)
    try:
        problems += [f"{name} is missing" for name in weight_files(folder) if not (folder / name).is_file()]
    except ValueError as error:
        problems.append(str(error))
    if not any((folder / name).is_file() for name in TOKENIZER if name != "tokenizer_config.json"):
        problems.append("the tokenizer's files are missing")
    if (folder / REFERENCE).is_file() and not (folder / "README.md").is_file():
        problems.append("README.md, the model card, is missing")
    for name, path in tree(folder).items():
        problems += check_content(name, path)
    return problems + _digests(folder)


def _named_code(folder, config):
    """Missing modules and classes among those that `auto_map` and `custom_pipelines` name."""
    problems, seen = [], set()
    auto_map, pipelines = config.get("auto_map") or {}, config.get("custom_pipelines") or {}
    named = {f"auto_map {key}": auto_map.get(key) for key in ("AutoConfig", "AutoModel")}
    named |= {f"pipeline {task}": (pipelines.get(task) or {}).get("impl") for task in reference.TASKS}
    for origin, target in named.items():
        if not isinstance(target, str) or target.count(".") != 1:
            problems.append(f"config.json names no code for {origin}")
        elif "--" in target:
            problems.append(f"config.json names code of another repository for {origin}: {target}")
        else:
            module, class_name = target.split(".")
            name, wanted_by = f"{module}.py", f"config.json ({origin})"
            problems += _imported(folder, name, wanted_by, seen)
            if (folder / name).is_file() and class_name not in _classes(folder / name):
                problems.append(f"{name} has no class {class_name}, which {wanted_by} names")
    return problems


def _imported(folder, name, wanted_by, seen):
    """Missing files among a code file and all that it imports relatively, each told once."""
    if name in seen:
        return []
    seen.add(name)
    if not (folder / name).is_file():
        return [f"{name} is missing, which {wanted_by} names"]
    try:
        nodes = list(ast.walk(ast.parse((folder / name).read_text(encoding="utf-8"))))
    except (SyntaxError, UnicodeDecodeError) as error:
        return [f"{name} is not Python ({error})"]
    problems = []
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and node.level == 1 and node.module:
            problems += _imported(folder, f"{node.module}.py", name, seen)
    return problems


def _classes(path):
    """Names of the classes that a file defines."""
    return set(re.findall(r"^class (\w+)", path.read_text(encoding="utf-8", errors="replace"), re.MULTILINE))


def check_content(name, path, data=False):
    """A pickle by name or content, a token, an absolute path.

    Args:
        name (`str`): of the file in the repository.
        path (`Path`): where it is.
        data (`bool`): whether it holds people's texts, in which a path or a token-like string is no matter.

    Returns:
        `list[str]`: a sentence for each.
    """
    with open(path, "rb") as file:
        head = file.read(1024)
    if path.suffix.lower() in PICKLES or re.match(rb"\x80[\x02-\x05]", head) or b"/data.pkl" in head:
        return [f"{name} is a pickle, or named like one: loading it can run any code; publish safetensors"]
    if data or path.suffix.lower() not in TEXT_SUFFIXES:
        return []
    text = path.read_text(encoding="utf-8", errors="replace")
    problems = []
    if TOKENS.search(text):
        problems.append(f"{name} holds what looks like an access token: revoke it and take it out")
    found = None
    if name != "tokenizer.json" and path.suffix == ".json":
        try:
            found = next((value for value in _strings(json.loads(text)) if ABSOLUTE.fullmatch(value)), None)
        except ValueError:
            problems.append(f"{name} is not JSON")
    elif name != "tokenizer.json":  # a vocabulary holds any string
        match = PATHS.search(text)
        found = match and match.group()
    if found:
        problems.append(f"{name} holds an absolute path: {found}")
    return problems


def _strings(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _strings(item)


def _stored(folder):
    """What `reference.json` holds: nothing if it is damaged, `None` if it is absent."""
    path = Path(folder) / REFERENCE
    if not path.is_file():
        return None
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        return stored if stored["outputs"] and isinstance(stored["sha256"], dict) else {}
    except (ValueError, KeyError, TypeError):
        return {}


def _digests(folder):
    stored = _stored(folder)
    if stored is None:  # saved by `save_pretrained` or `push_to_hub`, which store no outputs
        return []
    if not stored:
        return [f"{REFERENCE} is damaged"]
    files = tree(folder)
    return [
        f"{name} has changed since {REFERENCE} was made"
        for name, digest in stored["sha256"].items()
        if name in files and sha256(files[name]) != digest
    ]


def load_apart(folder):
    """Outputs of a folder's own code in a new process: fresh caches, an empty working folder, no emodistill.

    Args:
        folder (`str` or `Path`)

    Returns:
        `dict`: see `reference.outputs`.

    Raises:
        `ValueError`: with the last line of what went wrong there.
    """
    with tempfile.TemporaryDirectory(prefix="emodistill-verify-") as apart:
        (Path(apart) / "empty").mkdir()
        # Somebody else's code runs there: nothing of this process that it could find, or find use for.
        environment = {name: value for name, value in os.environ.items() if not WITHHELD.search(name)}
        environment |= {
            "HF_HOME": f"{apart}/home",
            "HF_MODULES_CACHE": f"{apart}/modules",
            "HF_HUB_OFFLINE": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONIOENCODING": "utf-8",
            "TOKENIZERS_PARALLELISM": "false",
        }
        done = subprocess.run(
            [sys.executable, "-P", reference.__file__, str(Path(folder).resolve())],
            cwd=f"{apart}/empty", env=environment, capture_output=True, text=True, encoding="utf-8",
        )  # fmt: skip
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"exit status {done.returncode}"]
        raise ValueError(lines[-1])
    return json.loads(done.stdout.strip().splitlines()[-1])


def check_outputs(folder):
    """Load a folder where the package is absent and compare its outputs with the stored ones.

    A folder without stored outputs is compared with what the package here gives for its weights.

    Args:
        folder (`str` or `Path`): without problems by `check_files`, because its code is run.

    Returns:
        `tuple[list[str], float]`: a sentence for each thing that is wrong, and the largest difference.
    """
    try:
        found = load_apart(folder)
    except ValueError as error:
        return [f"loading it without emodistill fails: {error}"], float("nan")
    problems, largest = [], 0.0
    stored = _stored(folder)
    expected = own_outputs(folder) if stored is None else stored["outputs"]
    whose = "the outputs of the emodistill here" if stored is None else REFERENCE
    for name, rows in expected.items():
        values = [[value for row in table for value in row] for table in (rows, found.get(name, []))]
        if len(values[0]) != len(values[1]):
            problems.append(f"{name}: {len(values[1])} numbers, and {len(values[0])} in {whose}")
            continue
        differences = [abs(one - other) for one, other in zip(*values, strict=True)]
        difference = max(differences, key=lambda value: (math.isnan(value), value), default=0.0)
        largest = max(largest, difference)
        if not difference <= TOLERANCE:  # also where one is not a number
            problems.append(f"{name} differ from {whose} by {difference:.2g}, more than {TOLERANCE:g}")
    return problems, largest


def verify_folder(folder):
    """Everything that `emodistill verify` checks; nothing is run from a folder whose files are not in order.

    Args:
        folder (`str` or `Path`): a publishable folder.

    Returns:
        `tuple[list[str], float]`: a sentence for each problem, and the largest difference from the stored outputs.
    """
    problems = check_files(folder)
    return (problems, float("nan")) if problems else check_outputs(folder)


def main(argv=None):
    """Verify what the command line names.

    Args:
        argv (`list[str]`, *optional*): the arguments after `verify`.

    Returns:
        `int`: 0 if all is well, 1 if something is wrong.

    Raises:
        `ValueError`: where there is nothing to verify.
    """
    parser = argparse.ArgumentParser(
        prog="emodistill verify",
        description="Check that a folder or Hub repository is whole and works where emodistill is not installed.",
    )
    parser.add_argument("checkpoint", help="folder or Hub id; of a checkpoint without code, what push would publish")
    parser.add_argument("--revision", help="branch, tag or commit on the Hub")
    args = parser.parse_args(argv)
    quiet_client()
    with tempfile.TemporaryDirectory(prefix="emodistill-hub-") as temporary:
        folder = Path(args.checkpoint)
        if not folder.is_dir():
            repo_id = repository_id(args.checkpoint)
            from huggingface_hub import HfApi

            with hub_errors(f"{args.checkpoint} was not downloaded"):
                folder = Path(HfApi().snapshot_download(repo_id, revision=args.revision))
        elif args.revision:
            raise ValueError("--revision is for a repository on the Hub, and this is a folder")
        elif not is_published(folder):
            folder = build_folder(folder, Path(temporary) / "folder", initial_card(folder))
        problems, largest = verify_folder(folder)
        for problem in problems:
            print(f"emodistill verify: {args.checkpoint}: {problem}", file=sys.stderr)
        if problems:
            return 1
        files = tree(folder)
        size = sum(path.stat().st_size for path in files.values())
        print(f"{args.checkpoint}: {len(files)} files, {size / 1e6:.1f} MB, all that the configuration names")
        print("loads without emodistill as zero-shot-emotion and as zero-shot-classification")
        stored = f"the outputs in {REFERENCE}" if REFERENCE in files else "the outputs of the emodistill here"
        print(f"gives {stored} to {largest:.1g} (at most {TOLERANCE:g})")
    return 0
