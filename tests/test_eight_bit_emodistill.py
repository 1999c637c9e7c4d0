"""Checkpoints in eight bits: small, near, whole, and refused in one sentence where they are damaged."""

import json
import os

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emodistill import EmoDistillModel
from emodistill.eight_bit_emodistill import INDEX, is_eight_bit, read_eight_bit, write_eight_bit


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10**6), st.integers(130, 300), st.integers(130, 200), st.floats(1e-6, 1e4))
def test_rows_come_back_within_half_a_step(tmp_path_factory, seed, rows, columns, level):
    matrix = torch.randn(rows, columns, generator=torch.Generator().manual_seed(seed)) * level
    matrix[0] = 0.0
    folder = str(tmp_path_factory.mktemp("weights"))
    write_eight_bit({"matrix": matrix, "scalar": torch.tensor(3.25), "row": matrix[1]}, folder)
    found = read_eight_bit(folder)
    step = matrix.abs().amax(dim=1, keepdim=True) / 127
    assert ((found["matrix"] - matrix).abs() <= 0.5001 * step + 1e-12).all()
    assert found["scalar"] == 3.25 and torch.equal(found["row"], matrix[1])


def test_statistics_stay_as_they_are(tmp_path):
    square = torch.randn(150, 150, generator=torch.Generator().manual_seed(3))
    state = {"background_covariance": square @ square.T, "text_encoder.weight": square @ square.T}
    write_eight_bit(state, str(tmp_path))
    found = read_eight_bit(str(tmp_path))
    assert torch.equal(found["background_covariance"], state["background_covariance"])
    assert not torch.equal(found["text_encoder.weight"], state["text_encoder.weight"])


@pytest.fixture
def folder(tiny_model, tokenizer, tmp_path):
    model = tiny_model().eval()
    model.save_pretrained(tmp_path / "plain")
    tokenizer.save_pretrained(tmp_path / "packed")
    model.config.save_pretrained(tmp_path / "packed")
    write_eight_bit(model.state_dict(), str(tmp_path / "packed"))
    return tmp_path / "packed"


def test_a_checkpoint_in_eight_bits_loads_as_any_other(folder):
    assert is_eight_bit(folder) and not (folder / "model.safetensors").exists()
    packed = EmoDistillModel.from_pretrained(folder).eval()
    plain = EmoDistillModel.from_pretrained(folder.with_name("plain")).eval()
    ids = torch.tensor([[2, 7, 9, 3]])
    assert packed.dtype == torch.float32
    cosine = (packed.get_text_features(ids) * plain.get_text_features(ids)).sum()
    assert cosine > 0.9999
    packed.half().save_pretrained(folder.with_name("again"))  # what push publishes
    again = EmoDistillModel.from_pretrained(folder.with_name("again")).eval()
    assert (again.get_text_features(ids) * packed.float().get_text_features(ids)).sum() > 0.9999


@pytest.mark.parametrize("damage", ["missing", "cut", "index", "shape", "outside", "format"])
def test_damage_is_told_in_one_sentence(folder, damage):
    index = json.loads((folder / INDEX).read_text())
    weights = folder / index["files"][0]
    if damage == "missing":
        os.remove(weights)
    elif damage == "cut":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif damage == "index":
        (folder / INDEX).write_text("[]")
    else:
        name = max(index["shapes"], key=lambda name: len(index["shapes"][name]) and index["shapes"][name][0])
        changes = {"shape": {"shapes": index["shapes"] | {name: [3, 5]}}, "outside": {"files": ["../x.safetensors"]},
                   "format": {"format": 99}}  # fmt: skip
        (folder / INDEX).write_text(json.dumps(index | changes[damage]))
    with pytest.raises(ValueError, match="cannot be read") as caught:
        EmoDistillModel.from_pretrained(folder)
    assert "\n" not in str(caught.value)
