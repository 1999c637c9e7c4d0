"""Recipes: stages in order, each once, made anew only on demand."""

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

import pytest

from emodistill import cli
from emodistill.experiments import recipe
from emodistill.experiments.recipe import load_recipe, run_recipe, stage_state
from emodistill.training.arguments import parse_arguments
from emodistill.training.building import load_data
from emodistill.training.encoders import lexicon_path
from emodistill.training.record import files_digest, input_digests, settings, start_digests

CONFIGS = Path(__file__).resolve().parents[2] / "configs"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A recipe of three stages on a data file and an encoder that are only there to be digested."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "encoder").mkdir()
    (tmp_path / "encoder" / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "rows.jsonl").write_text('{"text": "a", "labels": ["joy"]}\n')
    made = tmp_path / "mine"
    made.mkdir()
    (made / "1.yaml").write_text("text_encoder: encoder\ndata: rows.jsonl\n")
    (made / "2.yaml").write_text("init: stage:first\ndata: rows.jsonl\n")
    (made / "3.yaml").write_text("init: stage:first\nteachers: [stage:first, stage:second]\ndata: rows.jsonl\n")
    (made / "recipe.yaml").write_text(
        "output_dir: out\nstages:\n- {name: first, config: 1.yaml}\n"
        "- {name: second, config: 2.yaml, set: {seed: 5}}\n- {name: third, config: 3.yaml}\n"
    )
    return made


def pretend(command):
    """Leave what a finished run leaves."""
    groups = parse_arguments(command)
    final = Path(groups[2].output_dir, "final")
    final.mkdir(parents=True, exist_ok=True)
    (final / "model.safetensors").write_text(" ".join(command))
    files = files_digest(groups[1].data, lexicon_path(groups[1].lexicon))
    content = {"arguments": settings(groups), "data": {"files": files}, "inputs": start_digests(groups)}
    (final / "training.json").write_text(json.dumps(content))
    return 0


def test_stages_run_in_order_and_once(folder):
    run, said = [], []
    train = lambda command: run.append(command) or pretend(command)  # noqa: E731
    stages = load_recipe(folder)
    assert run_recipe(stages, train=train, say=said.append) == 0
    assert [Path(command[0]).name for command in run] == ["1.yaml", "2.yaml", "3.yaml"]
    assert "--seed=5" in run[1] and run[1][-1] == f"--output_dir={os.path.join('out', 'second')}"
    assert said[-1] == f"finished: {Path('out', 'third', 'final')}"
    assert run_recipe(stages, train=train, say=said.append) == 0
    assert len(run) == 3 and sum("done before" in line for line in said) == 3


def test_a_stage_that_stops_ends_the_recipe_and_is_where_it_goes_on(folder):
    stages, run = load_recipe(folder), []

    def train(command):
        run.append(command)
        return 143 if len(run) == 2 else pretend(command)

    said = []
    assert run_recipe(stages, train=train, say=said.append) == 143 and "goes on from there" in said[-1]
    assert run_recipe(stages, train=train, say=said.append) == 0
    assert [Path(command[0]).name for command in run] == ["1.yaml", "2.yaml", "2.yaml", "3.yaml"]


def more_data():
    Path("rows.jsonl").write_text('{"text": "b", "labels": ["joy"]}\n')


def other_seed():
    path = Path("mine/recipe.yaml")
    path.write_text(path.read_text().replace("seed: 5", "seed: 6"))


def other_weights():
    Path("out/first/final/model.safetensors").write_text("others")


@pytest.mark.parametrize(
    ("change", "stage", "message"),
    [
        (more_data, "first", "the texts of data or the lexicon changed since"),
        (other_seed, "second", "seed changed since"),
        (other_weights, "second", "the checkpoint or encoder to start from changed since"),
    ],
)
def test_what_was_made_from_something_else_is_told_and_made_anew_on_demand(folder, change, stage, message):
    run_recipe(load_recipe(folder), train=pretend, say=lambda line: None)
    change()
    stages = load_recipe(folder)
    with pytest.raises(ValueError, match=f"stage {stage} in .* was made from something else: {message}"):
        run_recipe(stages, train=pretend, say=lambda line: None)
    left = stages[-1].final.parent / "states"
    left.mkdir()
    assert run_recipe(stages, again=True, train=pretend, say=lambda line: None) == 0
    assert not left.exists(), "what a run left is no start of another"
    assert all(stage_state(known) == "done" for known in stages)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (other_seed, "seed changed"),
        (other_weights, "to start from changed"),
        (more_data, "the texts of data"),
    ],
)
def test_a_stage_begun_from_something_else_is_made_anew_on_demand(folder, change, message):
    """The trainer would refuse to go on from it."""
    rows = [{"text": text, "labels": [label]} for text in "abcdefghijkl" for label in ("joy", "fear")]
    Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    stages = load_recipe(folder)[:2]
    run_recipe(stages, only=["first"], train=pretend, say=lambda line: None)
    groups = parse_arguments(stages[1].command())
    inputs = input_digests(groups, *load_data(groups[1], groups[2].seed, lambda *_: None))
    begun = Path("out", "second", "states")
    begun.mkdir(parents=True)
    (begun.parent / "arguments.json").write_text(json.dumps(settings(groups) | {"inputs": inputs}))
    assert stage_state(stages[1]) == stage_state(stages[1], rows=True) == "begun"
    change()
    if change is more_data:
        Path("rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows[2:]))
    stages = load_recipe(folder)[1:2]
    assert message.removesuffix(" changed") in stage_state(stages[0], rows=True)
    if change is not more_data:  # which is read where it is asked for
        with pytest.raises(ValueError, match=message):
            run_recipe(stages, train=pretend, say=lambda line: None)
    assert run_recipe(stages, again=True, train=pretend, say=lambda line: None) == 0
    assert not begun.exists() and stages[0].final.is_dir()


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        ("synonym_mask: null", "synonym_mask", None),
        ("synonym-mask: ~", "synonym_mask", None),
        ("lexicon: null", "lexicon", None),
        ("mixed_precision: no", "mixed_precision", "no"),
        ("tie_word_embeddings: false", "tie_word_embeddings", False),
        ("sources: [a, b]", "sources", "a, b"),
    ],
)
def test_a_setting_means_what_it_means_in_a_stages_file(folder, words, name, value):
    path = folder / "1.yaml"
    path.write_text(path.read_text() + "lexicon: default\nsynonym_mask: 0.5\nmixed_precision: bf16\n")
    (folder / "recipe.yaml").write_text(f"stages:\n- {{name: first, config: 1.yaml, set: {{seed: 3, {words}}}}}\n")
    stage = load_recipe(folder)[0]
    model, data, run = parse_arguments(stage.command())
    assert (vars(model) | vars(data) | vars(run))[name] == value and run.seed == 3


def test_null_on_the_command_line_is_nothing_too(folder, monkeypatch):
    run = []
    monkeypatch.setattr(recipe, "_train", lambda command: run.append(parse_arguments(command)) or pretend(command))
    (folder / "1.yaml").write_text((folder / "1.yaml").read_text() + "lexicon: default\n")
    assert cli.main(["recipe", str(folder), "--only", "first", "--set", "lexicon=null", "--set", "seed=4"]) == 0
    _, data, arguments = run[0]
    assert data.lexicon is None and arguments.seed == 4
    with pytest.raises(ValueError, match="--set: epochs is null, but needs a value"):
        recipe.main([str(folder), "--set", "epochs=null"])


def test_some_stages_alone(folder):
    run = []
    train = lambda command: run.append(Path(command[0]).name) or pretend(command)  # noqa: E731
    stages = load_recipe(folder)
    run_recipe(stages, only=["first"], train=train, say=lambda line: None)
    run_recipe(stages, only=["s*", "third"], train=train, say=lambda line: None)
    assert run == ["1.yaml", "2.yaml", "3.yaml"]
    with pytest.raises(ValueError, match="--only fourth fits no stage; they are first, second, third"):
        run_recipe(stages, only=["fourth"], train=train)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("stages: []\n", "`stages` must be a list"),
        ("output_dir: out\n", "`stages` must be a list"),
        ("stages: [{name: a}]\n", "stage 1 needs `name` and `config`"),
        ("stages: [{name: a, config: none.yaml}]\n", "names none.yaml, which is not in"),
        ("stages: [{name: ../a, config: 1.yaml}]\n", "needs a name of its own"),
        ("stages: [{name: a, config: 1.yaml}, {name: a, config: 2.yaml}]\n", "needs a name of its own"),
        ("stages: [{name: a, config: 1.yaml, set: 3}]\n", "must hold `name: value`"),
        ("stages: [{name: a, config: 1.yaml, set: {epochs: null}}]\n", "stage a: epochs is null, but needs a value"),
        ("stages: [{name: a, config: 1.yaml, set: {1: 2}}]\n", "must hold `name: value`"),
        ("stages: [{name: a, config: 1.yaml, set: {output_dir: x}}]\n", "stage a: output_dir is the recipe's"),
        ("stages: [{name: null, config: 1.yaml}]\n", "needs a name of its own, without slashes, not None"),
        ("stages: [{name: [a], config: 1.yaml}]\n", "needs a name of its own"),
        ('stages: [{name: "a\\0b", config: 1.yaml}]\n', "needs a name of its own"),
        ("output_dir: [a]\nstages: [{name: a, config: 1.yaml}]\n", "output_dir must name a folder"),
        ("stages: [a]\nsteps: 3\n", "unknown key steps"),
    ],
)
def test_a_recipe_names_its_mistakes(folder, content, message):
    (folder / "recipe.yaml").write_text(content)
    with pytest.raises(ValueError, match=message):
        load_recipe(folder)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("3.yaml", "init: stage:first\nepoch: 3\n", "stage third: .*3.yaml names 'epoch', .*did you mean epochs"),
        ("3.yaml", "init: stage:first\nepochs: [\n", "stage third: .*3.yaml is not YAML"),
        ("3.yaml", "init: stage:frist\n", "third needs stage:frist, which is no stage before it; .* first, second"),
        ("2.yaml", "init: stage:third\n", "stage second needs stage:third, which is no stage before it"),
        ("3.yaml", "text_encoder: x\nteachers: [stage:first, stage:third]\n", "stage third needs stage:third"),
        ("1.yaml", "text_encoder: x\nlabel_space: stage:first\n", "needs stage:first, .*; it is the first"),
    ],
)
def test_a_mistake_in_a_late_stage_is_told_before_the_first_runs(folder, file, content, message, capsys):
    (folder / file).write_text(content)
    with pytest.raises(ValueError, match=message):
        run_recipe(load_recipe(folder), train=pytest.fail, say=pytest.fail)
    assert cli.main(["recipe", str(folder), "--list"]) == 2
    assert capsys.readouterr().out == ""
    (folder.parent / "out" / "frist" / "final").mkdir(parents=True)  # made by hand, say
    if "frist" in content:
        run_recipe(load_recipe(folder), train=pretend, say=lambda _: None)


def test_a_stages_folder_is_the_recipes(folder, capsys):
    assert cli.main(["recipe", str(folder), "--list", "--set", "output-dir=elsewhere"]) == 2
    assert "--set: output_dir is the recipe's (--output-dir)" in capsys.readouterr().err


def test_a_missing_recipe_names_those_of_the_package(capsys):
    assert cli.main(["recipe", "no-such-thing"]) == 2
    assert "those of the package are: minilm-l6" in capsys.readouterr().err


RECIPES = [path for path in sorted(CONFIGS.glob("m*/*.yaml")) if "\nstages:" in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_stages_of_the_packages_recipes_come_after_those_they_need(path):
    done = set()
    for stage in load_recipe(path):
        model, data, _ = parse_arguments(stage.command())
        named = [model.init, *(data.teachers or "").split(",")]
        needed = {Path(name.strip()).parts[-2] for name in named if name and name.strip().endswith("final")}
        assert needed <= done, f"{stage.name} needs {needed - done}"
        done.add(stage.name)


def test_the_list_says_how_far_a_recipe_is(folder, capsys):
    run_recipe(load_recipe(folder), only=["first"], train=pretend, say=lambda line: None)
    (folder.parent / "out" / "second" / "states").mkdir(parents=True)
    assert cli.main(["recipe", str(folder), "--list"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert [line[:2] for line in lines] == [["first", "done"], ["second", "begun"], ["third", "to"]]
    assert cli.main(["recipe", str(folder), "--list", "--only", "s*"]) == 0
    assert capsys.readouterr().out.split()[0] == "second"
    assert cli.main(["recipe", str(folder), "--list", "--only", "fourth"]) == 2
    assert "--only fourth fits no stage" in capsys.readouterr().err
    assert cli.main(["recipe", str(folder), "--set", "seed"]) == 2
    assert "--set seed is not NAME=VALUE" in capsys.readouterr().err


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_a_signal_is_handed_on_to_the_stage(tmp_path, monkeypatch):
    program = tmp_path / "python"
    last = "for last; do :; done"  # whatever stands before it
    program.write_text(
        f'#!/bin/sh\ntrap "exit 143" TERM\n{last}\necho started > "$last"\nwhile :; do sleep 0.05; done\n'
    )
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))
    started = tmp_path / "started"

    def stop():
        while not started.exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=stop, daemon=True)
    thread.start()
    assert recipe._train(["config", str(started)]) == 143
    thread.join()
