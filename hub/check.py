"""What a publishable folder must hold and must not: every file is looked at, and nothing is run."""

import ast
import re
import stat
from pathlib import Path

from ..fingerprint import file_digest
from . import leaks, reference
from .archives import contents
from .folder import (
    REFERENCE,
    TOKENIZER,
    foreign_links,
    read_config,
    read_text,
    safetensors_header,
    tree,
    weight_files,
)
from .pickles import is_pickle

__all__ = ["are_numbers", "check_content", "check_files", "colliding_names", "named_code", "stored_outputs"]

LARGEST = 1e300  # of a number among outputs
TEXT_BYTES = 20_000_000  # of a file that is searched by every rule
OVERLAP = 400  # bytes, longer than a key
VOCABULARY = ("tokenizer.json", "vocab.json", "vocab.txt", "merges.txt")  # any string may be a word
COMPILED = (".so", ".pyd", ".dll", ".dylib", ".exe", ".pyc", ".pyo", ".jar", ".class")
PRIVATE = re.compile(
    r"(?:^|/)(?:\.env(?:rc|\..*)?|\.\w+_history|\.gnupg/.*|\.kaggle/.*|\.config/gcloud/.*|\.vault-token|.*\.tfstate|"
    r"\.netrc|_netrc|\.pypirc|\.npmrc|\.git-credentials|\.htpasswd|\.pgpass|\.aws/.*|\.ssh/.*|"
    r"\.docker/config\.json|\.kube/config|\.git/.*|id_(?:rsa|dsa|ecdsa|ed25519)|.*\.(?:pem|p12|pfx|jks|keystore|ppk|kdbx))$",
    re.IGNORECASE,
)
# transformers would load what these name, from wherever they say
ELSEWHERE = ("adapter_config.json",)


def check_files(folder):
    """Look at every file of a publishable folder, running nothing.

    Args:
        folder (`str` or `Path`)

    Returns:
        `list[str]`: a sentence for each thing that is wrong: a file that the configuration or a code file names and
        that is missing, code of another repository, a link out of the folder, a pickle, a secret, an absolute path,
        a file changed since the reference outputs were made.
    """
    folder = Path(folder)
    problems = [f"{name} is a link out of the folder: publish the file itself" for name in foreign_links(folder)]
    if problems:  # nothing behind them is read
        return problems
    config = read_config(folder)
    problems += named_code(folder, config)
    try:
        names = weight_files(folder)
        problems += [f"{name} is missing" for name in names if not (folder / name).is_file()]
    except ValueError as error:
        problems.append(str(error))
    if not any((folder / name).is_file() for name in TOKENIZER if name != "tokenizer_config.json"):
        problems.append("the tokenizer's files are missing")
    if (folder / REFERENCE).is_file() and not (folder / "README.md").is_file():
        problems.append("README.md, the model card, is missing")
    problems += [
        f"{name} makes transformers load what lies elsewhere" for name in ELSEWHERE if (folder / name).exists()
    ]
    files = tree(folder)
    problems += colliding_names(files)
    for name, path in files.items():
        problems += check_content(name, path)
    return problems + _digests(folder)


def named_code(folder, config):
    """Missing modules and classes among those that `auto_map` and `custom_pipelines` name, in whichever file.

    Args:
        folder (`Path`)
        config (`dict`): Its `config.json`.

    Returns:
        `list[str]`: a sentence for each.
    """
    auto_map, pipelines = config.get("auto_map"), config.get("custom_pipelines")
    auto_map = auto_map if isinstance(auto_map, dict) else {}
    pipelines = pipelines if isinstance(pipelines, dict) else {}
    named = {("config.json", f"auto_map {key}"): auto_map.get(key) for key in ("AutoConfig", "AutoModel")}
    for task in reference.TASKS:
        entry = pipelines.get(task)
        named["config.json", f"pipeline {task}"] = entry.get("impl") if isinstance(entry, dict) else None
    for path in sorted(folder.glob("*.json")):
        if path.name not in (*VOCABULARY, REFERENCE):
            named |= _named_in(path)
    problems, seen = [], set()
    for (file, origin), target in named.items():
        if not isinstance(target, str) or target.count(".") != 1:
            problems.append(f"{file} names no code for {origin}")
        elif "--" in target or not re.fullmatch(r"\w+\.\w+", target):
            problems.append(f"{file} names code of another repository for {origin}: {_shown(target)}")
        else:
            module, class_name = target.split(".")
            name, wanted_by = f"{module}.py", f"{file} ({origin})"
            problems += _imported(folder, name, wanted_by, seen)
            if (folder / name).is_file() and class_name not in _classes(folder / name):
                problems.append(f"{name} has no class {class_name}, which {wanted_by} names")
    return problems


def _named_in(path):
    """All code that a JSON file names, wherever in it: `{(file, origin): target}`."""
    try:
        content = leaks.as_json(read_text(path))
    except ValueError:
        return {}  # told where every file is looked at
    named, waiting = {}, [content]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting += value
        if not isinstance(value, dict):
            continue
        waiting += value.values()
        for key, target in _targets(value.get("auto_map")):  # a tokenizer names a slow and a fast class, or none
            named[path.name, f"auto_map {key}"] = target
        pipelines = value.get("custom_pipelines")
        for task, entry in pipelines.items() if isinstance(pipelines, dict) else ():
            named[path.name, f"pipeline {task}"] = entry.get("impl") if isinstance(entry, dict) else None
    return named


def _targets(auto_map):
    for key, target in auto_map.items() if isinstance(auto_map, dict) else ():
        several = target if isinstance(target, list) else [target]
        for number, one in enumerate(several):
            if one is not None or len(several) == 1:
                yield key if len(several) == 1 else f"{key} {number + 1}", one


def _shown(value):
    return "".join(character if character.isprintable() else "?" for character in str(value))[:200]


def _imported(folder, name, wanted_by, seen):
    """Missing files among a code file and all that it imports relatively, each told once."""
    waiting, problems = [(name, wanted_by)], []
    while waiting:
        name, wanted_by = waiting.pop(0)
        if name in seen:
            continue
        seen.add(name)
        if not (folder / name).is_file():
            problems.append(f"{name} is missing, which {wanted_by} names")
            continue
        try:
            modules = _relative_imports((folder / name).read_bytes())
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            problems.append(f"{name} is not Python ({_shown(error) or type(error).__name__})")
            continue
        waiting += [(f"{module}.py", name) for module in modules]
    return problems


def _relative_imports(source):
    """The modules that code imports from its own folder, `list[str]`; raises what `ast.parse` does."""
    modules = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            modules += [node.module] if node.module else [alias.name for alias in node.names]
    return [module.split(".")[0] for module in modules]


def _classes(path):
    """Names of the classes that a file defines."""
    return set(re.findall(r"^class (\w+)", path.read_text(encoding="utf-8", errors="replace"), re.MULTILINE))


def check_content(name, path, data=False):
    """A pickle, compiled code, a private file, a secret, an absolute path; what is no regular file is not opened.

    Args:
        name (`str`): Of the file in the repository.
        path (`Path`): Where it is.
        data (`bool`): Whether it holds people's texts, in which a path or a password-like string is no matter.

    Returns:
        `list[str]`: a sentence for each.
    """
    if problem := _odd_name(name):
        return [f"{_shown(name)} {problem}: give it another name"]
    if not stat.S_ISREG(path.stat().st_mode):
        return [f"{name} is neither a file nor a folder"]
    if path.name.endswith(".safetensors"):  # numbers may begin like anything
        return _check_header(name, path)
    if is_pickle(path):
        return [f"{name} is a pickle, or named like one: loading it can run any code; publish safetensors"]
    if path.suffix.lower() in COMPILED:
        return [f"{name} is compiled code, which nobody can read: publish its source"]
    if PRIVATE.search(name):
        return [f"{name} is a file for keys and passwords by its name: take it out"]
    text = _text_of(path)
    found = leaks.secrets_in(text or "", sure=data or path.name in VOCABULARY)[:3] or _hidden_secret(path)
    problems = [
        f"{name} holds what looks like an access token or another secret, {one}: revoke it and take it out"
        for one in found
    ]
    if text is None or data or path.name in VOCABULARY:
        return problems
    content = None
    if path.suffix == ".json":
        try:
            content = leaks.as_json(text)
        except ValueError as error:
            return [*problems, f"{name} is not JSON ({error})"]
    if found := leaks.absolute_path(text, content):
        problems.append(f"{name} holds an absolute path: {_shown(found)}")
    return problems


def _odd_name(name):
    """What is wrong with the name of a file, if anything."""
    if not name.isprintable():
        return "has characters in its name that nobody sees, or that are no text"
    if re.search(r'[\\:*?"<>|]|[ .](?:/|$)', name):
        return "has a name that not every system can store"
    if leaks.sure_secret(name.encode()):
        return "has what looks like an access token in its name"
    return None


def colliding_names(names):
    """Files that are one on a system which does not tell capitals from small letters: a sentence for each."""
    alike = {}
    for name in names:
        alike.setdefault(name.casefold(), []).append(_shown(name))
    return [f"{' and '.join(same)} are one file on many systems" for same in alike.values() if len(same) > 1]


def _hidden_secret(path):
    """A key between bytes that are no text, after the first megabytes, or in an archive: a list of one, or empty."""
    if path.suffix == ".parquet":  # packed in pieces of its own
        return []
    with open(path, "rb") as file:
        for name, part in contents(file):
            before = b""
            while chunk := part.read(TEXT_BYTES):
                if kind := leaks.sure_secret(before + chunk):
                    return [f"{kind} (in {_shown(name)})" if name else kind]
                before = chunk[-OVERLAP:]
    return []


def _check_header(name, path):
    """The head of a weight file: its entries and the notes beside them."""
    try:
        header = safetensors_header(path)
    except ValueError as error:
        return [f"{name}: {error}"]
    notes = header.get("__metadata__") or {}
    text = "\n".join(f"{key}: {value}" for key, value in notes.items())
    problems = [f"{name} holds what looks like a secret, {found}" for found in leaks.secrets_in(text)[:3]]
    if found := leaks.absolute_path(text):
        problems.append(f"{name} holds an absolute path: {_shown(found)}")
    return problems


def _text_of(path):
    """The text that a file holds, or `None` where it is none."""
    with open(path, "rb") as file:
        content = file.read(TEXT_BYTES)
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", "replace")
    return None if b"\0" in content[:8192] else content.decode("utf-8", "replace")


def stored_outputs(folder):
    """What `reference.json` holds: nothing if it is damaged, `None` if it is absent.

    Args:
        folder (`str` or `Path`)

    Returns:
        `dict` or `None`
    """
    path = Path(folder) / REFERENCE
    if not path.is_file():
        return None
    try:
        stored = leaks.as_json(read_text(path))
        outputs, digests = stored["outputs"], stored["sha256"]
        rows = [row for table in outputs.values() for row in table]
        return stored if rows and isinstance(digests, dict) and are_numbers(rows) else {}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}


def are_numbers(rows):
    """Whether rows hold numbers alone, none of which is too large to reckon with."""
    return all(isinstance(value, int | float) and not abs(value) > LARGEST for row in rows for value in row)


def _digests(folder):
    stored = stored_outputs(folder)
    if stored is None:  # saved by `save_pretrained` or `push_to_hub`, which store no outputs
        return []
    if not stored:
        return [f"{REFERENCE} is damaged"]
    files = tree(folder)
    return [
        f"{name} has changed since {REFERENCE} was made"
        for name, digest in stored["sha256"].items()
        if name in files and file_digest(files[name]) != digest
    ]
