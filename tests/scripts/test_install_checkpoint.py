"""A trained checkpoint becomes one of the package's own."""

import json
import runpy
from pathlib import Path

import pytest
import torch

import emodistill
from emodistill import EmoDistillModel
from emodistill.eight_bit_emodistill import is_eight_bit


@pytest.fixture
def script():
    """What the script defines; `main` sees a change of `script["main"].__globals__`."""
    return runpy.run_path(str(Path(emodistill.__file__).parent / "scripts" / "install_checkpoint.py"))


@pytest.mark.parametrize("largest", [0, 10**9])
def test_an_installed_checkpoint_answers_as_the_trained_one(script, checkpoint, tmp_path, largest, monkeypatch):
    monkeypatch.setitem(script["main"].__globals__, "LARGEST", largest)
    target = tmp_path / "installed"
    for _ in range(2):  # the second time over the first, whose weights may have had another form
        assert script["main"]([str(checkpoint), "--target", str(target)]) == 0
    assert is_eight_bit(target) == (largest == 0) and (target / "model.safetensors").exists() == (largest > 0)
    trained, installed = (EmoDistillModel.from_pretrained(folder).eval() for folder in (checkpoint, target))
    tokens = {"input_ids": torch.arange(5, 15)[None], "attention_mask": torch.ones(1, 10, dtype=torch.long)}
    cosine = torch.nn.functional.cosine_similarity(
        trained.get_text_features(**tokens), installed.get_text_features(**tokens)
    )
    assert cosine.item() > 0.999
    assert "auto_map" not in json.loads((target / "config.json").read_text(encoding="utf-8"))


def test_an_unfinished_run_is_not_installed(script, tmp_path, capsys):
    assert script["main"]([str(tmp_path), "--target", str(tmp_path / "installed")]) == 1
    assert "config.json is missing: give the `final` folder" in capsys.readouterr().err
    assert not (tmp_path / "installed").exists()


def test_a_checkpoint_is_not_installed_over_itself(script, tmp_path, capsys):
    folder, link = tmp_path / "own", tmp_path / "link"
    folder.mkdir()
    link.symlink_to(folder)
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).write_text("kept")
    for target in (folder, link, folder / ".." / "own"):
        assert script["main"]([str(folder), "--target", str(target)]) == 1
        assert "is where it would be installed" in capsys.readouterr().err
    assert {path.read_text() for path in folder.iterdir()} == {"kept"} and len(list(folder.iterdir())) == 4
