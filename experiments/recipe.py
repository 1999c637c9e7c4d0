"""Runs a recipe: the stages that make a model, in order, each skipped once it is done.

A recipe is a folder with a file a stage and `recipe.yaml`, which names them in order:

    output_dir: outputs/minilm-l6            # each stage has a folder of its name there
    stages:
      - {name: first, config: 1-first.yaml}
      - {name: broad, config: 2-broad.yaml, set: {seed: 14}}    # `set` stands above the file

In a stage's file `stage:NAME` stands for the final checkpoint of another stage, for init or teachers for instance.
"""

import fnmatch
import json
import os
import signal
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import get_type_hints

from ..command_line import CommandParser
from ..files import write_text
from ..training.arguments import GROUPS, parse_arguments
from ..training.config_files import CONFIGS, read_yaml
from ..training.encoders import lexicon_path
from ..training.folder import begin_again, changed_settings
from ..training.record import INPUTS, changed_inputs, files_digest, input_digests, start_digests

__all__ = ["Stage", "load_recipe", "main", "run_recipe", "stage_state"]

KEYS = {"title", "output_dir", "stages"}
STAGE_KEYS = {"name", "config", "set"}
UNFINISHED = ("begun", "to do")


@dataclass
class Stage:
    """
    One training run of a recipe.

    Args:
        name (`str`): Its name and the name of its folder.
        config (`Path`): Its file.
        output_dir (`str`): Its folder.
        settings (`dict`): Arguments above those of the file.
    """

    name: str
    config: Path
    output_dir: str
    settings: dict = field(default_factory=dict)

    def command(self, extra=()):
        """`list[str]`: the arguments of `emodistill train`."""
        flags = [f"--{name}={_flag(value)}" for name, value in self.settings.items() if not _needs_file(value)]
        return [str(self._file()), *flags, *extra, f"--output_dir={self.output_dir}"]

    def _file(self):
        """`Path`: the stage's file, or a copy with those settings that no flag can say."""
        special = {name.replace("-", "_"): value for name, value in self.settings.items() if _needs_file(value)}
        if not special:
            return self.config
        import yaml

        values = {str(name).replace("-", "_"): value for name, value in read_yaml(self.config).items()}
        if not hasattr(self, "_folder"):
            self._folder = tempfile.TemporaryDirectory(prefix="emodistill-")
        path = Path(self._folder.name, self.config.name)
        write_text(path, yaml.safe_dump(values | special))
        return path

    @property
    def final(self):
        """`Path`: where its checkpoint will be."""
        return Path(self.output_dir, "final")


def _needs_file(value):
    """Whether a value is one of YAML's alone: nothing, `no` (which it reads as false), or a mapping."""
    return value is None or value is False or isinstance(value, dict)


def _check_settings(settings, place):
    """Raise `ValueError` where an argument that needs a value is set to null, or the recipe gives it itself."""
    if any(name.replace("-", "_") == "output_dir" for name in settings):
        raise ValueError(f"{place}: output_dir is the recipe's (--output-dir), and each stage has a folder there")
    kinds = {name: kind for group in GROUPS for name, kind in get_type_hints(group).items()}
    for name, value in settings.items():
        kind = kinds.get(name.replace("-", "_"))
        if value is None and kind and type(None) not in getattr(kind, "__args__", ()):
            raise ValueError(f"{place}: {name} is null, but needs a value; leave it out for the file's own")


def _flag(value):
    if value is None:
        return "null"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def find_recipe(name):
    """`Path`: a recipe's file: that of a folder, one named itself, or one of the package (`minilm-l6/quick`)."""
    given = Path(name)
    inside = CONFIGS / (Path(*given.parts[1:]) if given.parts[:1] == ("configs",) else given)
    for path in (given / "recipe.yaml", given, inside / "recipe.yaml", inside, Path(f"{inside}.yaml")):
        if path.is_file():
            return path
    known = ", ".join(sorted(path.parent.name for path in CONFIGS.glob("*/recipe.yaml")))
    raise ValueError(
        f"recipe: {name} is no folder with a recipe.yaml, and no recipe; those of the package are: {known}"
    )


def load_recipe(name, output_dir=None):
    """
    Read a recipe.

    Args:
        name (`str`): A folder with `recipe.yaml`, a file like that, or the name of a recipe of the package.
        output_dir (`str`, *optional*): In place of the recipe's own.

    Returns:
        `list[Stage]`: in order.

    Raises:
        `ValueError`: for a file that is none, an unknown key, two stages of one name, or a stage without its file.
    """
    path = find_recipe(name)
    folder, content = path.parent, read_yaml(path)
    if unknown := sorted(set(content) - KEYS):
        raise ValueError(f"{path}: unknown key {', '.join(map(str, unknown))}; known are {', '.join(sorted(KEYS))}")
    if not isinstance(content.get("output_dir") or "", str):
        raise ValueError(f"{path}: output_dir must name a folder, not {content['output_dir']!r}")
    entries = content.get("stages")
    if not isinstance(entries, list) or not entries:
        raise ValueError(f"{path}: `stages` must be a list of stages")
    output = output_dir or content.get("output_dir") or os.path.join("outputs", folder.resolve().name)
    stages = []
    for number, entry in enumerate(entries, start=1):
        if not isinstance(entry, dict) or not {"name", "config"} <= entry.keys() <= STAGE_KEYS:
            raise ValueError(f"{path}: stage {number} needs `name` and `config`, and may have `set`")
        settings, stage = entry.get("set") or {}, str(entry["name"])
        if not isinstance(settings, dict) or not all(isinstance(name, str) for name in settings):
            raise ValueError(f"{path}: `set` of stage {stage} must hold `name: value`")
        _check_settings(settings, f"{path}: `set` of stage {stage}")
        fits = type(entry["name"]) in (str, int) and stage.isprintable() and stage not in ("", ".", "..")
        if not fits or stage in (known.name for known in stages) or os.path.basename(stage) != stage:
            raise ValueError(f"{path}: stage {number} needs a name of its own, without slashes, not {entry['name']!r}")
        config = folder / str(entry["config"])
        if not config.is_file():
            raise ValueError(f"{path}: stage {stage} names {entry['config']}, which is not in {folder}")
        stages.append(Stage(stage, config, os.path.join(output, stage), settings))
    return stages


def stage_state(stage, extra=(), rows=False):
    """
    Whether a stage has to run.

    Args:
        stage ([`Stage`])
        extra (`Sequence[str]`, *optional*): Flags that go to every stage.
        rows (`bool`, *optional*, defaults to `False`): Whether to read the data of a stage that is begun and compare
            it, too, which takes as long as training does before its first step.

    Returns:
        `str`: `"done"`, `"begun"`, `"to do"`, or, where it is done or begun from something else than it would be now,
        what has changed since.
    """
    try:
        record = json.loads((stage.final / "training.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return _unfinished_state(stage, extra, rows)
    try:
        groups = parse_arguments(stage.command(extra))
        changed = changed_settings(record["arguments"], groups)
        files = files_digest(groups[1].data, lexicon_path(groups[1].lexicon))
        changed += [f"{INPUTS['data']} or {INPUTS['lexicon']}"] if record["data"]["files"] != files else []
        changed += _named(record["inputs"], start_digests(groups))
    except ValueError as error:
        return str(error)
    except (AttributeError, KeyError, TypeError):
        return "its training.json"
    return ", ".join(changed) or "done"


def _named(before, now):
    """The inputs that two sets of digests tell apart, in words."""
    return [INPUTS[name] for name in changed_inputs(before, now)]


def _unfinished_state(stage, extra, rows):
    """As `stage_state`, of a stage without a final checkpoint: the trainer refuses to go on from something else."""
    state = "begun" if os.path.isdir(os.path.join(stage.output_dir, "states")) else "to do"
    try:
        before = json.loads(Path(stage.output_dir, "arguments.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        return state
    except (OSError, ValueError):
        return "its arguments.json"
    try:
        inputs = before.get("inputs")
        if inputs is None and state == "to do":  # refused before it came as far as its data
            return state
        groups = parse_arguments(stage.command(extra))
        changed = changed_settings(before, groups) + (_named(inputs, start_digests(groups)) if inputs else [])
        if rows and inputs and not changed:
            changed = _named(inputs, _digests(groups))
    except (ValueError, OSError):  # which the trainer tells, too
        return state
    except (AttributeError, KeyError, TypeError):
        return "its arguments.json"
    return ", ".join(changed) or state


def _digests(groups):
    """All that training would learn from now, its texts read."""
    from ..training.building import load_data

    return input_digests(groups, *load_data(groups[1], groups[2].seed, lambda *_: None))


def _chosen(stages, only):
    """The stages that `--only` names, or all."""
    for pattern in only:
        if not any(fnmatch.fnmatchcase(stage.name, pattern) for stage in stages):
            raise ValueError(f"--only {pattern} fits no stage; they are {', '.join(stage.name for stage in stages)}")
    return [stage for stage in stages if not only or any(fnmatch.fnmatchcase(stage.name, name) for name in only)]


def check_stages(stages, chosen, extra=()):
    """
    Tell of mistakes in any stage before the first one runs, which may take days.

    Args:
        stages (`list[Stage]`): Of [`load_recipe`].
        chosen (`list[Stage]`): Those that are to run.
        extra (`Sequence[str]`, *optional*): Flags that go to every stage.

    Raises:
        `ValueError`: naming the stage.
    """
    for stage in chosen:
        try:
            model, data, _ = parse_arguments(stage.command(extra))
        except ValueError as error:
            raise ValueError(f"stage {stage.name}: {error}") from None
        earlier = [before.name for before in stages[: stages.index(stage)]]
        starts = [model.init, model.label_space, *(data.teachers or "").split(",")]
        for final in (Path(start.strip()) for start in starts if start and start.strip()):
            beside = final.name == "final" and final.parent.parent == Path(stage.output_dir).parent
            if beside and final.parent.name not in earlier and not final.is_dir():
                known = f"before it come {', '.join(earlier)}" if earlier else "it is the first"
                missing = f"stage:{final.parent.name}, which is no stage before it"
                raise ValueError(f"stage {stage.name} needs {missing}; {known}")


def run_recipe(stages, extra=(), only=(), again=False, train=None, say=print):
    """
    Run the stages that are not done.

    Args:
        stages (`list[Stage]`): Of [`load_recipe`].
        extra (`Sequence[str]`, *optional*): Flags for every stage.
        only (`Sequence[str]`, *optional*): Names, or patterns such as `teacher-*`, of the stages to run.
        again (`bool`, *optional*, defaults to `False`): Whether a stage made from something else is made again.
        train (`Callable`, *optional*): Runs one stage's command and returns an exit status; a process of its own by
            default.
        say (`Callable`, *optional*): Told of each stage.

    Returns:
        `int`: 0, or the exit status of the stage that stopped.

    Raises:
        `ValueError`: for a name in `only` that fits no stage, a stage that cannot be run as it is written, or one made
            from something else.
    """
    chosen = _chosen(stages, only)
    check_stages(stages, chosen, extra)
    for number, stage in enumerate(chosen, start=1):
        state, flags = stage_state(stage, extra, rows=again), list(extra)
        if state == "done":
            say(f"stage {number} of {len(chosen)}, {stage.name}: done before")
            continue
        if state not in UNFINISHED:
            if not again:
                raise ValueError(
                    f"stage {stage.name} in {stage.output_dir} was made from something else: {state} changed since; "
                    "--again makes it anew, --output-dir elsewhere"
                )
            begin_again(stage.output_dir)
        say(f"stage {number} of {len(chosen)}, {stage.name}: {stage.config}")
        if status := (train or _train)(stage.command(flags)):
            say(f"stage {stage.name} ended with status {status}; the same command goes on from there")
            return status
    say(f"finished: {chosen[-1].final}")
    return 0


def _train(command):
    """Train in a process of its own, to which signals are handed on; 128 plus its number where one ended it."""
    environment = dict(os.environ)
    root = str(Path(__file__).resolve().parents[2])
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [root, environment.get("PYTHONPATH")]))
    code = "import sys; from emodistill.cli import main; sys.exit(main())"
    processes, early = [], []

    def hand_on(number, _):
        for process in processes:
            process.send_signal(number)
        early.extend([] if processes else [number])

    # Before there is a process: a signal in between would end this one alone. Ctrl-C reaches both; a function
    # that does nothing, unlike SIG_IGN, is not inherited.
    ways = {signal.SIGTERM: hand_on, signal.SIGINT: lambda *_: None}
    handlers = {number: signal.signal(number, way) for number, way in ways.items()}
    try:
        processes.append(subprocess.Popen([sys.executable, "-P", "-c", code, "train", *command], env=environment))
        for number in early:
            processes[0].send_signal(number)
        status = processes[0].wait()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return status if status >= 0 else 128 - status


def main(argv=None):
    """The command `emodistill recipe`; returns an exit status."""
    parser = CommandParser(
        prog="emodistill recipe",
        description="Run the stages that make a model, in order; what is done is skipped, a stopped stage goes on.",
    )
    names = "minilm-l6, mpnet-base"
    parser.add_argument("recipe", help=f"a folder with a recipe.yaml, or the name of one of the package: {names}")
    parser.add_argument("--output-dir", help="folder of all stages; the recipe's own by default")
    parser.add_argument("--only", action="append", default=[], metavar="STAGE",
                        help="run this stage alone, or those that fit a pattern; may be repeated")  # fmt: skip
    parser.add_argument("--again", action="store_true", help="make stages anew whose data or settings have changed")
    parser.add_argument("--list", action="store_true", help="say what would run, and how far it is")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", dest="settings",
                        help="a training argument of every stage, data=FOLDER say; may be repeated")  # fmt: skip
    options = parser.parse_args(argv)
    stages = load_recipe(options.recipe, options.output_dir)
    if wrong := [pair for pair in options.settings if "=" not in pair]:
        raise ValueError(f"--set {wrong[0]} is not NAME=VALUE")
    pairs = [pair.partition("=")[::2] for pair in options.settings]
    nothing = {name: None for name, value in pairs if value in ("null", "~")}
    _check_settings(dict(pairs) | nothing, "--set")
    for stage in stages:
        stage.settings |= nothing
    extra = [f"--{name}={value}" for name, value in pairs if name not in nothing]
    if options.list:
        check_stages(stages, _chosen(stages, options.only), extra)
        for stage in _chosen(stages, options.only):
            details = "".join(f" {name}={_flag(value)}" for name, value in stage.settings.items())
            state = stage_state(stage, extra)
            shown = state if state in ("done", *UNFINISHED) else f"changed: {state}"
            print(f"{stage.name:<16} {shown:<8} {stage.config.name}{details}")
        return 0
    return run_recipe(stages, extra, options.only, options.again)
