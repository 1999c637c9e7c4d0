"""Soft targets from trained checkpoints."""

import pytest
import torch
from transformers import AutoTokenizer

from emodistill import EmoDistillModel
from emodistill.encoding_emodistill import encode_labels, encode_texts
from emodistill.training import distilling
from emodistill.training.distilling import Teachers, load_teachers
from emodistill.training.objective import Objective

TEXTS = ["happy happy day", "rage rage", "a calm day 🎉"]
LABELS = ["anger", "calm", "deep joy"]


@pytest.fixture
def checkpoints(tiny_model, tokenizer, tmp_path):
    """Two trained-looking checkpoints with temperatures and biases of their own."""
    folders = []
    for number, (scale, bias) in enumerate([(5.0, -1.0), (20.0, -3.0)]):
        model = tiny_model(seed=number)
        torch.nn.init.constant_(model.logit_scale, scale).data.log_()
        torch.nn.init.constant_(model.logit_bias, bias)
        model.save_pretrained(tmp_path / str(number))
        tokenizer.save_pretrained(tmp_path / str(number))
        folders.append(str(tmp_path / str(number)))
    return folders


def load(folders, tmp_path, said=None):
    say = (lambda line: None) if said is None else said.append
    return load_teachers(", ".join(folders), TEXTS, LABELS, str(tmp_path / "kept"), torch.device("cpu"), say=say)


def test_teachers_give_the_mean_of_the_checkpoints_logits(checkpoints, tmp_path):
    logits = []
    for folder in checkpoints:
        model, tokenizer = EmoDistillModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)
        with torch.no_grad():
            texts, labels = encode_texts(model, tokenizer, TEXTS), encode_labels(model, tokenizer, LABELS)
            logits.append(model.get_logits(texts, labels))
    expected = torch.sigmoid(torch.stack(logits).mean(dim=0))
    found = load(checkpoints, tmp_path)(torch.arange(3), torch.arange(3))
    assert torch.allclose(found, expected, atol=2e-3)
    rows, ids = torch.tensor([2, 0]), torch.tensor([1])
    assert torch.allclose(load(checkpoints, tmp_path)(rows, ids), expected[rows][:, ids], atol=2e-3)


def test_embeddings_are_kept_and_made_anew_for_other_texts_or_weights(checkpoints, tmp_path, monkeypatch):
    calls = []
    embed = distilling.encode_texts
    monkeypatch.setattr(distilling, "encode_texts", lambda *a, **k: calls.append(1) or embed(*a, **k))
    first = load(checkpoints, tmp_path)
    again = load(checkpoints, tmp_path)
    assert len(calls) == 2 and torch.equal(first.text_embeds, again.text_embeds)
    load_teachers(checkpoints[0], TEXTS[:2], LABELS, str(tmp_path / "kept"), torch.device("cpu"), say=lambda _: None)
    assert len(calls) == 3
    model = EmoDistillModel.from_pretrained(checkpoints[0])
    model.text_projection.weight.data.mul_(-1.0)
    model.save_pretrained(checkpoints[0])
    changed = load(checkpoints, tmp_path)
    assert len(calls) == 4 and not torch.equal(first.text_embeds, changed.text_embeds)
    for path in (tmp_path / "kept").iterdir():  # by hand, or by a failing disk: they are made again
        path.write_bytes(path.read_bytes()[:100])
    assert torch.equal(load(checkpoints, tmp_path).text_embeds, changed.text_embeds) and len(calls) == 6


def test_embeddings_of_another_dimension_cannot_be_learned(checkpoints, tmp_path):
    with pytest.raises(ValueError, match=r"teachers of the model's dimension, 32; .* has 24"):
        load_teachers(checkpoints[0], TEXTS, LABELS, str(tmp_path), torch.device("cpu"), width=32)


def test_no_teachers_are_told(tmp_path):
    with pytest.raises(ValueError, match="at least one"):
        load([" ", ""], tmp_path)
    with pytest.raises(ValueError, match="at least one"):
        load(["descriptors"], tmp_path)


def test_teachers_take_the_place_of_descriptors(tiny_model):
    """The gradient at a logit of 0 is one half less the target, for each pair."""
    model = tiny_model()
    torch.nn.init.zeros_(model.logit_bias)
    teachers = Teachers(torch.zeros(9, 2), torch.zeros(4, 2), bias=torch.logit(torch.tensor(0.2)).item())
    objective = Objective(model, None, None, 0.0, teachers)
    model.dimension_head = None
    texts = torch.zeros(2, model.config.projection_dim, requires_grad=True)
    labels = torch.nn.functional.normalize(torch.randn(2, model.config.projection_dim), dim=-1)
    targets = torch.tensor([[0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 1.0]])
    batch = {"label_ids": torch.tensor([1, 3]), "targets": targets, "rows": torch.tensor([4, 8])}
    output = type("Output", (), {"text_embeds": texts, "label_embeds": labels})
    objective(output, batch).backward()
    expected = model.logit_scale.exp() * (0.5 - torch.full((2, 2), 0.2)) @ labels / 2
    assert torch.allclose(texts.grad, expected, atol=1e-5)
