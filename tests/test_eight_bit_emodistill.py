"""Checkpoints in eight bits: small, near, whole, and refused in one sentence where they are damaged."""

import json
import os

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from emodistill import EmoDistillModel, eight_bit_emodistill
from emodistill.eight_bit_emodistill import (
    INDEX,
    eight_bit_shapes,
    is_eight_bit,
    read_eight_bit,
    round_to_eight_bits,
    write_eight_bit,
)


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


@pytest.mark.parametrize("size", [3, 150])
def test_tensors_that_share_memory_are_kept_for_each_name(tmp_path, size):
    matrix = torch.randn(size, size, generator=torch.Generator().manual_seed(3))
    state = {"one": matrix, "two": matrix, "background": matrix, "reference": matrix[1:], "turned": matrix.T}
    write_eight_bit(state, str(tmp_path))
    found = read_eight_bit(str(tmp_path))
    assert set(found) == set(state) and torch.equal(found["reference"], matrix[1:])
    assert all(torch.allclose(found[name], state[name], atol=0.05) for name in state)


def test_statistics_stay_as_they_are(tmp_path):
    square = torch.randn(150, 150, generator=torch.Generator().manual_seed(3))
    state = {"background_covariance": square @ square.T, "text_encoder.weight": square @ square.T}
    write_eight_bit(state, str(tmp_path))
    found = read_eight_bit(str(tmp_path))
    assert torch.equal(found["background_covariance"], state["background_covariance"])
    assert not torch.equal(found["text_encoder.weight"], state["text_encoder.weight"])


@pytest.mark.parametrize("level", [1e-6, 1.0, 1e4])
def test_a_matrix_that_eight_bits_change_much_stays_as_it_is(tmp_path, level):
    small = torch.randn(200, 200, generator=torch.Generator().manual_seed(3)) * 0.02
    state = {"label_projection.weight": (torch.eye(200) + small) * level, "text_projection.weight": small * level}
    write_eight_bit(state, str(tmp_path))
    found = read_eight_bit(str(tmp_path))
    same = {name: torch.equal(found[name], state[name]) for name in state}
    assert same == {"label_projection.weight": True, "text_projection.weight": False}


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


@pytest.mark.parametrize("level", [0.1, 1.0, 30.0])
def test_rounded_weights_are_stored_as_they_are_from_half_precision_too(tiny_model, tmp_path, level):
    model = tiny_model().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(level)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    round_to_eight_bits(model)
    state = model.state_dict()
    assert sum(not torch.equal(before[name], state[name]) for name in state) > 10
    write_eight_bit(model.half().state_dict(), str(tmp_path))  # as training leaves it
    found = read_eight_bit(str(tmp_path))
    for name, tensor in state.items():
        step = before[name].abs().amax(dim=-1, keepdim=True) / 127
        assert ((found[name] - tensor.float()).abs() <= 0.07 * step).all(), name  # of half precision


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


def index(**changes):
    def apply(folder, values, name):
        (folder / INDEX).write_text(json.dumps(values | changes))

    return apply


def shape(*sizes):
    def apply(folder, values, name):
        values["shapes"][name] = sizes if len(sizes) != 1 else sizes[0]
        (folder / INDEX).write_text(json.dumps(values))

    return apply


def tensor(part, change):
    def apply(folder, values, name):
        path = folder / values["files"][0]
        state = load_file(path)
        state[f"{name}:{part}"] = change(state[f"{name}:{part}"]).contiguous()
        save_file(state, path)

    return apply


def pipe(folder, values, name):
    os.remove(folder / values["files"][0])
    os.mkfifo(folder / values["files"][0])


DAMAGES = {
    "an index without an end": lambda folder, values, name: (folder / INDEX).write_text('{"a":' * 100_000),
    "files that are none": index(files=None),
    "no files": index(files=[]),
    "a path for a file": index(files=["/etc/passwd"]),
    "a pipe for a file": pipe,
    "shapes in a list": index(shapes=[1]),
    "a shape of one side": shape(4),
    "a shape of no sides": shape(),
    "a shape of words": shape("a", "b"),
    "a negative shape": shape(-1, -1),
    "a shape beyond any memory": shape(10**15, 10**15),
    "a shape of fractions": shape(2.5, 4.0),
    "scales for fewer rows": tensor("scale", lambda scale: scale[:1]),
    "scales in whole numbers": tensor("scale", lambda scale: scale.to(torch.int32)),
    "rows that are nothing deflated": tensor("rows", lambda rows: torch.zeros(100, dtype=torch.uint8)),
    "rows of another kind": tensor("rows", lambda rows: rows.float()),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_every_damage_is_told_by_every_reader(folder, damage):
    name = "text_encoder.embeddings.word_embeddings.weight"
    values = json.loads((folder / INDEX).read_text())
    damage(folder, values, name)
    with pytest.raises(ValueError, match="cannot be read") as caught:
        EmoDistillModel.from_pretrained(folder)
    assert "\n" not in str(caught.value)
    try:
        eight_bit_shapes(folder)
    except ValueError as error:
        assert "cannot be read" in str(error)


@pytest.fixture(autouse=True)
def small_rows(monkeypatch):
    """Matrices of tiny models are stored as those of large ones are."""
    monkeypatch.setattr(eight_bit_emodistill, "SMALLEST", 2**8)
