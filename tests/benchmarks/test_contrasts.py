"""Contrasts that a data set keeps out of training."""

import json

import pytest

from emodistill.benchmarks.contrasts import contrast_pairs, main, read_contrasts
from emodistill.descriptors.inputs import HELD_OUT_GROUP

ROWS = [
    {"id": f"{number}", "text": label, "labels": [label], "selection": HELD_OUT_GROUP, "group": 1, "theme": "work"}
    for number, label in enumerate(("joy", "fear"))
]


def write(folder, configs):
    """A data set with the validation rows of each configuration."""
    blocks = []
    for name, rows in configs.items():
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        blocks.append(f"- config_name: {name}\n  data_files:\n  - split: validation\n    path: {name}.jsonl\n")
    (folder / "README.md").write_text(f"---\nconfigs:\n{''.join(blocks)}---\n")
    return str(folder)


@pytest.mark.parametrize("rated", [True, False])
def test_valence_is_there_where_it_was_rated(tmp_path, rated):
    reading = ROWS[0] | {"valence": 7.5, "arousal": 5.0, "dominance": 6.0}
    configs = {"default": ROWS} | ({"rated": [reading]} if rated else {})
    found = read_contrasts(write(tmp_path, configs))
    assert [(row["text"], row["valence"]) for row in found] == [("joy", 7.5 if rated else None), ("fear", None)]


def test_what_was_written_since_the_last_reading_is_read(tmp_path):
    read_contrasts(write(tmp_path, {"default": ROWS}))
    found = read_contrasts(write(tmp_path, {"default": [*ROWS, ROWS[0] | {"id": "2", "text": "new"}]}))
    assert [row["text"] for row in found] == ["joy", "fear", "new"]


@pytest.mark.parametrize("name", ["none.jsonl", "there"])
def test_a_data_set_that_cannot_be_read_is_told(tmp_path, name, capsys):
    (tmp_path / "there").mkdir()
    with pytest.raises(SystemExit):
        main(["--data", str(tmp_path / name), "--model", "small"])
    assert name in capsys.readouterr().err.splitlines()[-1]


@pytest.mark.parametrize("gap", [{"labels": []}, {"labels": None}, {"group": None}], ids=str)
def test_a_row_without_labels_or_group_is_in_no_pair(gap):
    assert contrast_pairs([ROWS[0], ROWS[0] | gap, ROWS[1], ROWS[1] | gap]) == [(0, 2)]


@pytest.mark.parametrize(
    "change", [{"selection": "other"}, {"labels": ["joy"]}, {"labels": ["neutral"]}], ids=lambda change: str(change)
)
def test_a_data_set_without_contrasts_is_told(tmp_path, change, capsys):
    path = write(tmp_path, {"default": [row | change for row in ROWS]})
    with pytest.raises(SystemExit):
        main(["--data", path, "--model", "small"])
    assert "keeps no contrasts to measure" in capsys.readouterr().err


def test_a_data_set_without_the_column_is_told(tmp_path):
    path = write(tmp_path, {"default": [{"id": "a", "text": "x", "labels": ["joy"]}]})
    with pytest.raises(ValueError, match="keeps no contrasts to measure"):
        read_contrasts(path)
