"""Ablation grids: descriptor variants, training through the real entry point, resuming, tables."""

import json
import shutil
import signal
import time
from pathlib import Path

import forkserver
import pytest
import yaml
from quick_training import few_label_sets

from emodistill.cli import main
from emodistill.descriptors.labels import GOEMOTIONS
from emodistill.experiments import ablate, descriptor_variants, grid, grid_report
from emodistill.experiments.cli import parse_overrides
from emodistill.experiments.descriptor_variants import FAMILIES, LABEL_DROPS, descriptor_format, drop_words
from emodistill.experiments.grid import load_grid
from emodistill.training.data import load_training_rows
from emodistill.training.targets import Lexicon

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*are published"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

LEXICON = Lexicon(
    {"deep joy": (8, 6, 6), "joy": (8, 6, 6), "rage": (2, 8, 6)},
    {"deep joy": ["joy", "delight"], "rage": ["anger", "fury", "hatred"]},
    set(),
)
ROWS = [
    {"id": "a", "text": "x", "labels": ["deep joy", "rage", "joy"]},
    {"id": "b", "text": "y", "labels": ["neutral"]},
    {"id": "c", "text": "z", "labels": ["very bitter disappointment"]},
]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("all", [["deep joy", "rage", "joy"], ["neutral"], ["very bitter disappointment"]]),
        ("first", [["deep joy"], ["neutral"], ["very bitter disappointment"]]),
        ("single-words", [["rage", "joy"], ["neutral"]]),
        ("no-intensity", [["joy", "rage"], ["neutral"], ["disappointment"]]),
        ("precise", [["deep joy", "rage"], ["neutral"], ["very bitter disappointment"]]),
        ("plain", [["joy", "delight", "anger", "fury"], ["neutral"], ["very bitter disappointment"]]),
    ],
)
def test_descriptor_formats(name, expected):
    assert [row["labels"] for row in descriptor_format(ROWS, name, LEXICON)] == expected


def test_unknown_format_is_told():
    with pytest.raises(ValueError, match="no descriptor format 'short'"):
        descriptor_format(ROWS, "short", LEXICON)


def test_dropped_labels_leave_no_word_of_their_family():
    rows = drop_words(
        [{"id": "a", "text": "x", "labels": ["joyful pride", "enjoyment", "rage", "self-pride"]}], ["joy", "pride"]
    )
    assert rows[0]["labels"] == ["enjoyment", "rage"]
    dropped = [label for labels in LABEL_DROPS.values() for label in labels]
    assert len(dropped) == len(set(dropped)) == 24 and set(dropped) < set(GOEMOTIONS)
    assert set(GOEMOTIONS) - {"neutral"} <= set(FAMILIES)


def test_presets_drop_what_the_code_names():
    cells = grid.load_grid("unseen-labels")["cells"]
    assert [tuple(cell["descriptors"]["drop"]) for cell in cells] == [
        labels for labels in LABEL_DROPS.values() for _ in range(2)
    ]
    assert all(cell["measure_labels"] == cell["descriptors"]["drop"] for cell in cells)


def test_every_preset_is_valid():
    from dataclasses import fields

    from emodistill.training.arguments import GROUPS

    known = {entry.name for group in GROUPS for entry in fields(group)}
    names = {path.stem for path in grid.presets_dir().glob("*.yaml")}
    assert names >= {
        "main-table", "dimension", "label-tower", "pooling", "supervision", "amount", "vocabulary",
        "descriptor-format",
        "unseen-labels", "unseen-labels-semeval2018",
    }  # fmt: skip
    for name in names:
        for cell in grid.load_grid(name)["cells"]:
            assert set(cell["train"]) <= known


@pytest.fixture(scope="module")
def descriptors(descriptors_folder):
    return descriptors_folder


@pytest.fixture
def grid_file(tmp_path, encoder_folder):
    """A grid of three quick cells."""
    base = {
        "text_encoder": str(encoder_folder), "projection_dim": 16, "qformer": "2, 1, 2",
        "epochs": 1, "batch_size": 16, "background_texts": 30, "synonym_mask": None,
    }  # fmt: skip
    grid = {
        "title": "A small grid",
        "base": "base.yaml",
        "evaluate": ["goemotions:dev", "emobank:dev"],
        "plot": {"x": "projection_dim"},
        "measure_labels": ["joy", "grief"],
        "cells": [
            {"name": "d=16", "train": {"projection_dim": 16}},
            {"name": "d=8", "train": {"projection_dim": 8}},
            {"name": "no grief", "descriptors": {"format": "first", "drop": ["grief"]}},
        ],
    }
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(base))
    (tmp_path / "grid.yaml").write_text(yaml.safe_dump(grid))
    return tmp_path / "grid.yaml"


def arguments(grid_file, descriptors, data_dir, output):
    names = ["--data-dir", data_dir, "--descriptors", descriptors, "--output", str(output), "--quiet"]
    return ["ablate", str(grid_file), *names]


@pytest.fixture(autouse=True)
def quick_decisions():
    with few_label_sets():
        yield


@pytest.mark.slow
def test_grid_trains_measures_and_goes_on(grid_file, descriptors, data_dir, tmp_path, capsys, monkeypatch):
    output = tmp_path / "out"
    command = arguments(grid_file, descriptors, data_dir, output)
    assert main([*command, "--only", "d=16"]) == 0
    first = (output / "cells" / "d=16.json").read_text()
    assert main(command) == 0
    assert (output / "cells" / "d=16.json").read_text() == first
    captured = capsys.readouterr()
    assert "d=16: done before" in captured.err and captured.err.count(": training") == 3
    assert "no grief" in captured.out
    cells = [json.loads((output / "cells" / f"{name}.json").read_text()) for name in ("d=16", "d=8", "no-grief")]
    assert [cell["x"] for cell in cells] == [16, 8, 16]
    assert cells[0]["train"]["projection_dim"] == 16 and cells[0]["seconds"]["all"] >= cells[0]["seconds"]["training"]
    assert 0.0 <= cells[0]["validation"]["plain_f1"] <= 1.0
    entry = cells[0]["results"]["goemotions:dev"]
    assert entry["strict"]["low"] <= entry["strict"]["high"] and entry["chosen_labels"]["labels"] == 2
    assert set(cells[0]["results"]["emobank:dev"]["dimensions"]) == {"valence", "arousal", "dominance"}
    assert "A small grid" in (output / "table.md").read_text() and (output / "grid-goemotions-dev.png").is_file()
    assert not (output / "work" / "d=8").exists()
    # Everything is done: training must not be called again, and a changed cell must be.
    monkeypatch.setattr("emodistill.train_accelerate.main", lambda argv, quiet: pytest.fail("trained again"))
    assert main(command) == 0
    changed = yaml.safe_load(grid_file.read_text())
    changed["cells"][1]["train"]["projection_dim"] = 4
    grid_file.write_text(yaml.safe_dump(changed))
    calls = []
    monkeypatch.setattr("emodistill.train_accelerate.main", lambda argv, quiet: calls.append(argv) or 143)
    assert main(command) == 130 and len(calls) == 1
    assert "the same command goes on" in capsys.readouterr().err
    assert yaml.safe_load(Path(calls[0][0]).read_text())["projection_dim"] == 4


def test_seeds_are_summed_up_as_mean_and_deviation():
    def cell(seed, f1, valence):
        label_set = {"strict": {"value": f1, "low": f1 - 0.1, "high": f1 + 0.1}, "macro_roc_auc": 0.75}
        results = {"goemotions:dev": label_set, "emobank:dev": {"dimensions": {"valence": valence}}}
        return {"name": f"a seed {seed}", "group": "a", "limit": None, "results": results}

    one = cell(3, 0.9, 0.9) | {"name": "b", "group": "b"}
    table = grid_report.grid_table({"path": Path("t.yaml")}, [cell(1, 0.3, 0.5), cell(2, 0.5, 0.7), one])
    assert [row[0] for row in table.rows] == ["a seed 1", "a seed 2", "b", "a: mean ± sd of 2 seeds"]
    assert table.rows[0][1] == "0.300 [0.200, 0.400]"
    assert table.rows[-1][1:] == ["0.400 ± 0.141", "–", "0.750 ± 0.000", "0.600 ± 0.141"]


def test_variant_without_a_label_trains_without_its_words(descriptors, data_dir, tmp_path):
    found = descriptor_variants.build_variant({"drop": ["grief", "joy"]}, descriptors, data_dir, tmp_path / "variant")
    labels = {
        label
        for split in ("train", "validation")
        for row in load_training_rows(found["data"], split)
        for label in row["labels"]
    }
    assert labels == {"rage", "fear", "neutral"}
    lexicon = Lexicon.load(found["lexicon"])
    assert set(lexicon.ratings) == {"rage", "fear"} and set(map(tuple, lexicon.implies.values())) == {()}


def test_vocabulary_keeps_the_most_frequent_descriptors(descriptors, data_dir, tmp_path):
    rows = [{"labels": ["b", "a"]}, {"labels": ["b"]}, {"labels": ["c", "a"]}, {"labels": ["d"]}]
    assert descriptor_variants.frequent_descriptors(rows, 3) == {"a", "b", "c"}
    found = descriptor_variants.build_variant({"vocabulary": 2}, descriptors, data_dir, tmp_path / "variant")
    train = load_training_rows(found["data"], "train")
    assert len({label for row in train for label in row["labels"]}) == 2 and 0 < len(train) < 48


def test_human_labels_are_matched_by_id(descriptors, data_dir, tmp_path):
    spec = {"supervision": "human", "matched": "all"}
    with pytest.raises(ValueError, match="no validation text fits"):  # GoEmotions' training rows have no such ids
        descriptor_variants.build_variant(spec, descriptors, data_dir, tmp_path / "variant")
    with pytest.raises(ValueError, match="supervision: 'robot'"):
        descriptor_variants.build_variant({"supervision": "robot"}, descriptors, data_dir, tmp_path / "variant")
    with pytest.raises(ValueError, match="unknown key formt"):
        descriptor_variants.build_variant({"formt": "first"}, descriptors, data_dir, tmp_path / "variant")


def test_mistakes_are_one_sentence(grid_file, data_dir, tmp_path, capsys):
    assert main(["ablate", "nothing", "--data-dir", data_dir]) == 2
    assert "presets: amount" in capsys.readouterr().err
    assert main(["ablate", str(grid_file), "--data-dir", str(tmp_path / "none")]) == 2
    assert main(["ablate", str(grid_file), "--data-dir", data_dir, "--only", "d=5"]) == 2
    assert "no cell d=5" in capsys.readouterr().err
    assert main(["ablate", str(grid_file), "--data-dir", data_dir, "--set", "epochs"]) == 2
    assert "NAME=VALUE" in capsys.readouterr().err
    grid_file.write_text("cells: [{name: a}, {name: a}]")
    assert main(["ablate", str(grid_file), "--list"]) == 2
    assert "two cells have one name" in capsys.readouterr().err
    grid_file.write_text("cell: []")
    assert main(["ablate", str(grid_file), "--list"]) == 2
    assert "unknown key cell" in capsys.readouterr().err
    assert main(["ablate", "dimension", "--list"]) == 0
    assert "d=50" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("chosen", "overrides", "train", "expected"),
    [
        (None, {}, {}, ("a.jsonl", "default")),
        (None, {}, {"data": "b.jsonl"}, ("b.jsonl", "default")),
        ("set", {}, {}, ("set", "set")),
        ("set", {}, {"data": "b.jsonl"}, ("b.jsonl", "set")),
        ("set", {}, {"lexicon": None}, ("set", None)),
        ("set", {"data": "c.jsonl"}, {"data": "b.jsonl"}, ("c.jsonl", "set")),
    ],
)
def test_a_cells_own_data_and_lexicon_stand_above_the_bases(monkeypatch, tmp_path, chosen, overrides, train, expected):
    made = []
    monkeypatch.setattr("emodistill.train_accelerate.main", lambda argv, quiet: made.append(argv[0]) or 0)
    known = {"base": {"init": "default", "data": "a.jsonl", "lexicon": "default"}}
    options = {"descriptors": chosen, "data_dir": ".", "overrides": overrides, "quiet": True}
    ablate.train_cell({"name": "b", "train": train}, known, options, tmp_path)
    found = yaml.safe_load(Path(made[0]).read_text())
    assert (found["data"], found["lexicon"]) == expected


def test_a_variant_is_made_of_the_cells_own_data_and_lexicon(monkeypatch, descriptors, tmp_path):
    made = []
    monkeypatch.setattr("emodistill.train_accelerate.main", lambda argv, quiet: made.append(argv[0]) or 0)
    options = {"descriptors": None, "data_dir": ".", "overrides": {}, "quiet": True}
    cell = {"name": "b", "train": {"data": descriptors}, "descriptors": {"format": "first"}}
    for lexicon in (None, descriptors):
        ablate.train_cell(cell, {"base": {"data": "none.jsonl", "lexicon": lexicon}}, options, tmp_path)
        found = yaml.safe_load(Path(made[-1]).read_text())
        assert found["lexicon"] == lexicon and len(load_training_rows(found["data"], "train")) == 48


def test_a_cell_is_made_again_where_data_or_benchmarks_have_changed(monkeypatch, data_dir, tmp_path):
    """Its digest holds the files' contents, and not where they lie."""
    rows, benchmarks, said = tmp_path / "rows.jsonl", tmp_path / "benchmarks", []
    rows.write_text("one")
    shutil.copytree(data_dir, benchmarks)

    def train(argv, quiet):
        folder = Path(yaml.safe_load(Path(argv[0]).read_text())["output_dir"], "final")
        folder.mkdir(parents=True)
        (folder / "config.json").write_text("{}")
        return 0

    monkeypatch.setattr("emodistill.train_accelerate.main", train)
    monkeypatch.setattr(ablate, "measure_cell", lambda *_: {})
    known = {"base": {"data": str(rows)}, "evaluate": ["emobank:dev"]}
    options = {"descriptors": None, "data_dir": data_dir, "overrides": {}, "quiet": True, "limit": None}

    def run(directory):
        cell, chosen = {"name": "b", "group": "b", "train": {}}, options | {"data_dir": directory}
        ablate.run_cell(cell, known, chosen, tmp_path, said.append)
        return said[-1]

    assert run(data_dir) == "b: measuring" and run(str(benchmarks)) == "b: done before"
    rows.write_text("another")
    assert run(data_dir) == "b: measuring" and run(data_dir) == "b: done before"
    (benchmarks / "emobank" / "emobank.csv").write_text("other texts")
    assert run(str(benchmarks)) == "b: measuring"


def test_teachers_of_a_cell_are_known_as_training_knows_them(tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text("one")
    digests = [
        ablate.inputs_digest({"data": str(rows), "teachers": teachers})
        for teachers in (["small", "descriptors"], "small, descriptors", ["small"], None)
    ]
    assert digests[0] == digests[1] == digests[2] != digests[3]


@pytest.mark.parametrize("precisions", [("no", "bf16"), ("bf16", "no")])
def test_cells_may_differ_in_precision(monkeypatch, tmp_path, precisions):
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    def train(argv, quiet):
        wanted = yaml.safe_load(Path(argv[0]).read_text())["mixed_precision"]
        assert Accelerator(mixed_precision=wanted).mixed_precision == wanted
        return 0

    monkeypatch.setattr("emodistill.train_accelerate.main", train)
    options = {"descriptors": None, "data_dir": ".", "overrides": {}, "quiet": True}
    for precision in precisions:
        cell = {"name": precision, "train": {"mixed_precision": precision}}
        ablate.train_cell(cell, {"base": {}}, options, tmp_path)
    AcceleratorState._reset_state()


def test_a_variant_keeps_groups_of_contrasts(tmp_path):
    rows = [{"id": "a", "text": "x", "labels": ["joy"], "group": 7}, {"id": "b", "text": "y", "labels": ["fear"]}]
    folder = descriptor_variants.write_variant_rows(tmp_path, rows, rows)
    assert [row.get("group") for row in load_training_rows(str(folder), "train")] == ["7", None]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("seeds: 13\ncells: [{name: a}]", "seeds must be a list of whole numbers, not 13"),
        ("seeds: [x]\ncells: [{name: a}]", "seeds must be a list of whole numbers"),
        ("cells: [small, large]", "cell 1 must hold `name: value`"),
        ("cells: 5", "cells must be a list of cells, not 5"),
        ("cells: {name: a}", "cells must be a list of cells"),
        ("train: 5\ncells: [{name: a}]", "train must be `name: value`, not 5"),
        ("cells: [{name: a}, {name: b, train: 5}]", r"cell 2 \(b\): train must be `name: value`, not 5"),
        ("cells: [{name: a, train: {1: 2}}]", "train must be `name: value`"),
        ("cells: [{name: [a]}]", "cell 1 has no name"),
        ("cells: [{name: a, descriptors: first}]", "descriptors must be `name: value`, not 'first'"),
        ("cells: [{name: a, descriptors: {drop: joy}}]", "descriptors: drop must be a list of labels, not 'joy'"),
        ("cells: [{name: a, measure_labels: joy}]", "measure_labels must be a list of labels"),
        ("cells: [{name: a, x: wide}]", "x must be a number, not 'wide'"),
        ("evaluate: emobank\ncells: [{name: a}]", "evaluate must be a list of benchmarks"),
        ("base: 5\ncells: [{name: a}]", "base must be words"),
        ("plot: log\ncells: [{name: a}]", "plot must be `name: value`"),
        ("title: 5\ncells: [{name: a}]", "title must be words"),
        ("1: 5\nb: 5", "unknown key 1, b"),
        ("cells: [{name: a, 1: 5, b: 5}]", "cell 1: unknown key 1, b"),
        ("cells: [{name: d>50}, {name: d<50}]", "cells d>50 and d<50 would both be d-50.json"),
        ("cells: [{name: a}, {name: A}]", "cells a and A would both be a.json"),
        ("cells: [{name: 0}, {name: 0}]", "two cells have one name, 0"),
    ],
)
def test_a_value_of_another_kind_and_a_name_twice_are_told(tmp_path, content, message):
    (tmp_path / "grid.yaml").write_text(content)
    with pytest.raises(ValueError, match=f"grid.yaml: .*{message}"):
        load_grid(tmp_path / "grid.yaml")


@pytest.mark.slow
def test_a_killed_grid_goes_on_where_it_stopped(grid_file, descriptors, data_dir, tmp_path):
    output = tmp_path / "out"
    command = arguments(grid_file, descriptors, data_dir, output)
    process = forkserver.command(command)
    first = output / "cells" / "d=16.json"
    deadline = time.monotonic() + 120
    while not first.is_file() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    assert process.wait(timeout=60) == -signal.SIGKILL, process.stderr
    kept = first.read_text()
    assert main(command) == 0
    assert first.read_text() == kept and len(list((output / "cells").iterdir())) == 3


def test_a_grid_that_is_a_bomb_or_names_a_value_twice_is_told_at_once(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 9) + "]" for n in range(1, 30)]
    for content, message in (("\n".join(lines), "not allowed"), ("title: a\ntitle: b\n", "title stands there twice")):
        (tmp_path / "grid.yaml").write_text(content)
        with pytest.raises(ValueError, match=message):
            load_grid(tmp_path / "grid.yaml")


@pytest.mark.parametrize("value", ["[", "2026-99-99", "!!bool x", "[" * 5000])
def test_a_value_on_the_command_line_that_is_none_is_told(value):
    with pytest.raises(ValueError, match="--set epochs"):
        parse_overrides([f"epochs={value}"])


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ({"epoch": 3}, "^cell b names 'epoch', .*did you mean epochs"),
        ({"epochs": "three"}, "^cell b: epochs must be a whole number, not 'three'"),
        ({"batch_size": 0}, "^cell b: batch_size must be at least 1"),
        ({"init": "x"}, "^cell b: give text_encoder for a new model, or init"),
    ],
)
def test_a_mistake_in_a_late_cell_is_told_before_the_first_trains(train, message, tmp_path, monkeypatch):
    cells = [{"name": name, "group": name, "train": values} for name, values in (("a", {"epochs": 2}), ("b", train))]
    options = {"overrides": {"text_encoder": "encoder"}}
    monkeypatch.setattr(ablate, "run_cell", pytest.fail)
    with pytest.raises(ValueError, match=message):
        ablate.run_grid({"base": {}, "cells": cells}, options, tmp_path)
    monkeypatch.setattr(ablate, "run_cell", lambda cell, *_: cell["name"])
    monkeypatch.setattr(ablate, "write_grid", lambda *_: None)
    assert ablate.run_grid({"base": {}, "cells": cells}, options | {"only": {"a"}}, tmp_path) == ["a"]
