"""`emodistill verify`: does a folder, or a repository on the Hub, work for whoever has only transformers?"""

import json
import math
import random
import secrets
import shutil
import sys
from pathlib import Path

from ..command_line import CommandParser
from ..fingerprint import file_digest
from ..loading import own_path
from . import reference, sandbox
from .check import are_numbers, check_content, check_files, stored_outputs
from .errors import HubError, hub_errors, quiet_client, repository_id
from .folder import REFERENCE, build_folder, code_files, is_published, own_outputs, tree
from .model_card import initial_card
from .scratch import scratch_folder

__all__ = ["TOLERANCE", "check_content", "check_files", "check_outputs", "main", "verify_folder"]

TOLERANCE = 1e-5
ANSWER_BYTES = 10_000_000
SECONDS = 300.0  # for loading a folder and computing its outputs
# Texts and labels that nobody can know before: parts are drawn anew each time.
BEGINNINGS = ("I felt", "She was", "Nobody knew that we were", "After all these years they are", "Suddenly he seemed")
MIDDLES = ("so happy about", "quite afraid of", "sick and tired of", "proud of", "left alone with", "indifferent to")
ENDINGS = ("the letter", "my old dog", "Monday's exam", "the broken window", "our neighbours", "a song", "the news")
WORDS = ("joy", "pride", "fear", "envy", "grief", "hope", "rage", "boredom", "relief", "tenderness", "shame", "awe")


def fresh_inputs():
    """Texts and labels that no repository can have been made for.

    Returns:
        `dict[str, list[str]]`: `texts` and `labels`.
    """
    draw = random.SystemRandom()
    parts = [[draw.choice(part) for part in (BEGINNINGS, MIDDLES, ENDINGS)] for _ in range(3)]
    texts = [f"{' '.join(part)}, {draw.randrange(10**6)} times {secrets.token_hex(4)}." for part in parts]
    return {"texts": texts, "labels": draw.sample(WORDS, 4)}


def _room_for(folder, apart):
    """A copy of the folder's files in `apart`, without the stored outputs and links."""
    copy = Path(apart) / "folder"
    for name, path in tree(folder).items():
        if name != REFERENCE:
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy / name)
    return copy


def load_apart(folder, sets=None, seconds=SECONDS):
    """Outputs of a folder's own code in a process apart: no emodistill, and behind walls where the machine has some.

    That process gets a copy of the folder that lacks the stored outputs, an environment and a home folder of its own,
    and writes its answer into a file with a name drawn for the occasion. Behind walls it finds neither network nor any
    file beyond Python's; see [`sandbox.without_walls`] for what is not held off where there are none.

    Args:
        folder (`str` or `Path`)
        sets (`list[dict]`, *optional*): `texts` and `labels` of each set of outputs; the fixed ones by default.
        seconds (`float`): After which the process is ended.

    Returns:
        `list[dict]`: for each set, see `reference.outputs`.

    Raises:
        `ValueError`: with the last line of what went wrong there.
    """
    sets = sets or [{"texts": list(reference.TEXTS), "labels": list(reference.LABELS)}]
    with scratch_folder("verify") as apart:
        apart = str(Path(apart).resolve())
        copy = _room_for(folder, apart)
        (Path(apart) / "scratch").mkdir()
        program = shutil.copyfile(reference.__file__, f"{apart}/program.py")
        result = Path(apart) / f"{secrets.token_hex(16)}.json"
        result.touch()
        request = {"folder": str(copy), "sets": sets, "result": str(result), "path": sandbox.import_path()}
        memory = 8_000_000_000 + 10 * sum(path.stat().st_size for path in copy.rglob("*.safetensors"))
        done = sandbox.run_apart(
            [program], apart, writable=[str(result)], stdin=json.dumps(request), seconds=seconds, memory=memory
        )
        if done.timed_out:
            raise ValueError(f"its code did not come to an end within {seconds:g} seconds")
        if done.status:
            raise ValueError(_last_line(done))
        return _answer(result, len(sets))


def _last_line(done):
    """The last line that a process said, without what would play with a terminal."""
    lines = [line.strip() for line in done.said.splitlines() if line.strip()]
    said = lines[-1] if lines else f"exit status {done.status}"
    return "".join(character for character in said if character.isprintable())[:500]


def _answer(path, sets):
    """What the process wrote, if it has the form of outputs: nothing else of it is believed."""
    try:
        found = json.loads(path.read_bytes()) if path.stat().st_size <= ANSWER_BYTES else []
        tables = [table for outputs in found for table in outputs.values()]
        whole = len(found) == sets and are_numbers(row for table in tables for row in table)
    except (ValueError, TypeError, AttributeError, RecursionError):
        whole = False
    if not whole:
        raise ValueError("its code ended without writing the outputs that were asked for")
    return found


def check_outputs(folder, seconds=SECONDS):
    """Load a folder where the package is absent and compare its outputs with the stored ones and with the package's.

    The package's are computed here from the folder's weights, for the fixed texts where none are stored, and for texts
    drawn anew, so that code which only repeats the stored outputs is found out.

    Args:
        folder (`str` or `Path`): Without problems by `check_files`, because its code is run.
        seconds (`float`): After which that code is ended.

    Returns:
        `tuple[list[str], float]`: a sentence for each thing that is wrong, and the largest difference.
    """
    fixed = {"texts": list(reference.TEXTS), "labels": list(reference.LABELS)}
    fresh = fresh_inputs()
    try:
        found_fresh, found = load_apart(folder, [fresh, fixed], seconds)
    except ValueError as error:
        return [f"loading it without emodistill fails: {error}"], float("nan")
    stored = stored_outputs(folder)
    here = "the outputs of the emodistill here"
    try:
        expected, whose = (own_outputs(folder), here) if stored is None else (stored["outputs"], REFERENCE)
        expected_fresh = own_outputs(folder, **fresh)
    except Exception as error:  # whatever transformers and torch raise for weights and settings that do not fit
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        return [f"the emodistill here does not load its weights: {said}"], float("nan")
    problems, largest = _compare(expected, found, whose)
    new, difference = _compare(expected_fresh, found_fresh, f"{here} for texts drawn anew")
    return problems + new, max((largest, difference), key=lambda value: (math.isnan(value), value))


def _compare(expected, found, whose):
    """Sentences on what differs, and the largest difference."""
    problems, largest = [], 0.0
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


def verify_folder(folder, seconds=SECONDS):
    """Everything that `emodistill verify` checks; nothing is run from a folder whose files are not in order.

    Args:
        folder (`str` or `Path`): A publishable folder.
        seconds (`float`): After which its code is ended.

    Returns:
        `tuple[list[str], float]`: a sentence for each problem, and the largest difference from the stored outputs.
    """
    problems = check_files(folder)
    return (problems, float("nan")) if problems else check_outputs(folder, seconds)


def changed_code(folder):
    """Code files of a folder that are not, byte for byte, those of the package that is installed here.

    Args:
        folder (`str` or `Path`)

    Returns:
        `list[str]`: their names, sorted.
    """
    own = {path.name: file_digest(path) for path in code_files()}
    files = {name: path for name, path in tree(folder).items() if name.endswith(".py")}
    return sorted(name for name, path in files.items() if own.get(name) != file_digest(path))


def _may_run(repo_id, folder, trusted):
    """Whether the code of a repository may be run: somebody said so, or says so now.

    Raises:
        `ValueError`: where nobody is there to ask.
    """
    if trusted:
        return True
    changed = changed_code(folder)
    what = f"differs from this emodistill's in {', '.join(changed)}" if changed else "is that of this emodistill"
    walls = sandbox.available_walls()
    where = f"behind walls ({walls}), without network and your files" if walls else sandbox.without_walls()
    if not sys.stdin.isatty():
        raise ValueError(
            f"verifying {repo_id} runs code from the Hub, which {what}; look at it, then say --trust-remote-code"
        )
    print(f"Verifying {repo_id} runs code from the Hub, which {what}. It would run {where}.", file=sys.stderr)
    print("Run it? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _parser():
    parser = CommandParser(
        prog="emodistill verify",
        description="Check that a folder or Hub repository is whole and works where emodistill is not installed.",
    )
    parser.add_argument("checkpoint", help="folder or Hub id; of a checkpoint without code, what push would publish")
    parser.add_argument("--revision", help="branch, tag or commit on the Hub")
    parser.add_argument(
        "--trust-remote-code", action="store_true", help="run the code of a Hub repository without asking"
    )
    parser.add_argument(
        "--timeout", type=float, default=SECONDS, metavar="SECONDS",
        help="after which its code is ended (default: %(default)g)",
    )  # fmt: skip
    return parser


def _downloaded(repo_id, revision):
    from huggingface_hub import HfApi

    repository_id(repo_id)
    with hub_errors(f"{repo_id} was not downloaded"):
        return Path(HfApi().snapshot_download(repo_id, revision=revision))


def main(argv=None):
    """Verify what the command line names.

    Args:
        argv (`list[str]`, *optional*): The arguments after `verify`.

    Returns:
        `int`: 0 if all is well, 1 if something is wrong, the Hub failed, or the code of a repository there was not to
        be run.

    Raises:
        `ValueError`: where there is nothing to verify, or nobody to ask whether code from the Hub may run.
    """
    args = _parser().parse_args(argv)
    if not 0 < args.timeout < math.inf:
        raise ValueError(f"--timeout must be a number of seconds above 0, not {args.timeout:g}")
    quiet_client()
    with scratch_folder("hub") as temporary:
        folder, remote = Path(own_path(args.checkpoint)), False
        if not folder.is_dir():
            try:
                folder, remote = _downloaded(args.checkpoint, args.revision), True
            except HubError as error:
                print(f"emodistill verify: {error}", file=sys.stderr)
                return 1
        elif args.revision:
            raise ValueError("--revision is for a repository on the Hub, and this is a folder")
        elif not is_published(folder):
            folder = build_folder(folder, Path(temporary) / "folder", initial_card(folder))
        problems, largest = check_files(folder), float("nan")
        if not problems:
            if remote and not _may_run(args.checkpoint, folder, args.trust_remote_code):
                said = "its files are in order; its code was not run"
                print(f"emodistill verify: {args.checkpoint}: {said}", file=sys.stderr)
                return 1
            if not sandbox.available_walls():
                print(f"emodistill verify: {sandbox.without_walls()}", file=sys.stderr)
            problems, largest = check_outputs(folder, args.timeout)
        for problem in problems:
            print(f"emodistill verify: {args.checkpoint}: {problem}", file=sys.stderr)
        if problems:
            return 1
        _tell(args.checkpoint, folder, largest)
    return 0


def _tell(name, folder, largest):
    """What was found to be in order."""
    files = tree(folder)
    size = sum(path.stat().st_size for path in files.values())
    walls = sandbox.available_walls()
    print(f"{name}: {len(files)} files, {size / 1e6:.1f} MB, all that the configuration names")
    print("loads without emodistill as zero-shot-emotion and as zero-shot-classification")
    stored = f"the outputs in {REFERENCE}" if REFERENCE in files else "the outputs of the emodistill here"
    print(f"gives {stored}, and this emodistill's for texts drawn anew, to {largest:.1g} (at most {TOLERANCE:g})")
    changed = ", ".join(changed_code(folder))
    print(f"its code differs from this emodistill's in {changed}" if changed else "its code is this emodistill's")
    print(f"its code ran behind walls ({walls})" if walls else "its code ran without walls")
