"""Label banks: what goes in comes out, in another process too, and never in another label space."""

import copy
import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from transformers import AutoTokenizer, pipeline

import emodistill.serving.label_bank as label_bank
from emodistill import EmoDistillModel
from emodistill.serving.label_bank import LabelBank, label_space

LABELS = {"joy": ["joy", "delight"], "anger": "rage", "fear": "fear"}


@pytest.fixture(scope="module")
def bank(shared_classify):
    return LabelBank.build(shared_classify, LABELS)


@pytest.fixture
def file(bank, tmp_path):
    bank.save(tmp_path / "labels.safetensors")
    return tmp_path / "labels.safetensors"


def test_a_bank_holds_what_the_pipeline_embeds(bank, shared_classify):
    assert bank.names == ("joy", "anger", "fear") and bank["joy"] == ["joy", "delight"]
    assert dict(bank) == {"joy": ["joy", "delight"], "anger": ["rage"], "fear": ["fear"]}
    assert np.allclose(bank.embeds, shared_classify.encode_labels(LABELS).numpy(), atol=1e-6)
    mean, covariance = shared_classify.model.background
    assert np.allclose(bank.statistics["mean"], bank.embeds @ mean.numpy(), atol=1e-6)
    variance = np.einsum("ld,de,le->l", bank.embeds, covariance.numpy(), bank.embeds)
    assert np.allclose(bank.statistics["deviation"], np.sqrt(variance), atol=1e-6)


def test_files_keep_all_and_are_mapped(bank, file):
    found = LabelBank.load(file)
    assert (found.names, found.wordings, found.label_space) == (bank.names, bank.wordings, bank.label_space)
    assert isinstance(found.embeds, np.memmap) and not found.embeds.flags.writeable
    for name in ("mean", "deviation"):
        assert np.array_equal(found.statistics[name], bank.statistics[name])
    assert np.array_equal(found.embeds, bank.embeds) and np.array_equal(found.probe, bank.probe)
    assert found.statistics["background"] == bank.statistics["background"]


def test_numpy_and_safetensors_are_enough_to_read_one(file):
    """The module by itself, as an export that knows no torch loads it."""
    code = f"""
import importlib.util, sys
for name in ("torch", "transformers"):
    sys.modules[name] = None
spec = importlib.util.spec_from_file_location("label_bank", {str(Path(label_bank.__file__))!r})
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)
bank = module.LabelBank.load({str(file)!r})
print(bank.names, bank.embeds.shape, bank.select(["fear"]).names)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout == "('joy', 'anger', 'fear') (3, 24) ('fear',)\n", done.stderr


def test_some_labels_of_a_bank(bank):
    some = bank.select(["fear", "joy"])
    assert some.names == ("fear", "joy") and np.array_equal(some.embeds[1], bank.embeds[0])
    assert some.statistics["mean"][0] == bank.statistics["mean"][2]
    with pytest.raises(ValueError, match="does not hold 'shame'"):
        bank.select(["joy", "shame"])


def another(shared_classify, change):
    model = copy.deepcopy(shared_classify.model)
    with torch.no_grad():
        change(model)
    return pipeline("zero-shot-emotion", model=model, tokenizer=shared_classify.tokenizer, device="cpu")


def test_another_text_tower_shares_the_label_space(bank, shared_classify):
    other = another(shared_classify, lambda model: model.text_projection.weight.mul_(-1.0))
    bank.check_pipeline(other)
    assert label_space(other.model, other.tokenizer) == bank.label_space


def test_half_precision_is_the_same_space(bank, shared_classify):
    bank.check_pipeline(another(shared_classify, lambda model: model.half().float()))


@pytest.mark.parametrize(("noise", "same"), [(0.006, True), (0.03, False)], ids=["eight bits", "more training"])
def test_rounding_is_the_same_space_and_training_is_not(bank, noise, same):
    moved = bank.probe + noise * np.random.default_rng(0).normal(size=bank.probe.shape).astype(np.float32)
    moved /= np.linalg.norm(moved, axis=1, keepdims=True)
    if same:
        bank.check("another digest", moved)
    else:
        with pytest.raises(ValueError, match="another label space"):
            bank.check("another digest", moved)
    bank.check(bank.label_space)


def test_the_order_of_the_vocabulary_does_not_matter(bank, shared_classify, tmp_path):
    """Another encoder's tokenizer may number the same word pieces in another way."""
    vocabulary = shared_classify.tokenizer.get_vocab()
    order = sorted(vocabulary, key=lambda piece: (not piece.startswith("["), piece[::-1]))
    model = copy.deepcopy(shared_classify.model)
    places = torch.tensor([vocabulary[piece] for piece in order])
    with torch.no_grad():
        matrix = model.label_encoder.get_input_embeddings().weight
        matrix.copy_(matrix[places].clone())
    saved = tmp_path / "reordered"
    shared_classify.tokenizer.save_pretrained(saved)
    content = json.loads((saved / "tokenizer.json").read_text())
    renumbered = {piece: place for place, piece in enumerate(order)}
    content["model"]["vocab"] = renumbered
    for token in content["added_tokens"]:
        token["id"] = renumbered[token["content"]]
    for token in content["post_processor"].get("special_tokens", {}).values():
        token["ids"] = [renumbered[piece] for piece in token["tokens"]]
    (saved / "tokenizer.json").write_text(json.dumps(content))
    tokenizer = AutoTokenizer.from_pretrained(saved)
    assert tokenizer.get_vocab() == renumbered
    assert label_space(model, tokenizer) == bank.label_space


def test_another_label_space_is_refused(bank, shared_classify, tiny_model):
    turn = 0.3 * torch.randn(24, 32, generator=torch.Generator().manual_seed(0))
    moved = another(shared_classify, lambda model: model.label_projection.weight.add_(turn))
    with pytest.raises(ValueError, match=r"another label space .*build it anew with LabelBank\.build"):
        bank.check_pipeline(moved)
    wider = EmoDistillModel(tiny_model(projection_dim=16).config).eval()
    other = pipeline("zero-shot-emotion", model=wider, tokenizer=shared_classify.tokenizer, device="cpu")
    with pytest.raises(ValueError, match="another label space"):
        bank.check_pipeline(other)


@pytest.mark.slow
def test_the_packages_two_models_take_each_others_banks():
    small, base = (pipeline("zero-shot-emotion", model=name, device="cpu") for name in ("small", "base"))
    for one, other in ((small, base), (base, small)):
        given = LabelBank.build(one, LABELS)
        assert np.allclose(given.embeds, LabelBank.build(other, LABELS).embeds, atol=0.01), "eight bits, and half ones"
        assert set(other("What a day!", labels=given)["labels"]) == set(LABELS)


@pytest.mark.parametrize("cut", [0, 5, 100, -10])
def test_damaged_files_get_one_sentence(file, cut):
    file.write_bytes(file.read_bytes()[:cut])
    with pytest.raises(ValueError, match="no label bank, or it is damaged"):
        LabelBank.load(file)


def test_other_files_get_one_sentence(file, tmp_path, bank):
    save_file({"embeds": bank.embeds}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="but no label bank"):
        LabelBank.load(tmp_path / "other.safetensors")
    metadata = {"format": label_bank.FORMAT, "names": '["joy"]', "wordings": '[["joy"]]', "label_space": "x"}
    save_file({"embeds": bank.embeds, "probe": bank.probe}, tmp_path / "odd.safetensors", metadata=metadata)
    with pytest.raises(ValueError, match="damaged label bank"):
        LabelBank.load(tmp_path / "odd.safetensors")
    with pytest.raises(OSError):
        LabelBank.load(tmp_path / "missing.safetensors")


def test_a_pipeline_takes_a_bank_and_embeds_nothing(file, classify, shared_classify, monkeypatch):
    import emodistill
    from emodistill import pipeline_emodistill

    expected = shared_classify("i am so happy", labels=LABELS, multi_label=True)
    seen = []
    encode = pipeline_emodistill.encode_labels

    def watched(model, tokenizer, wordings, *more):
        seen.extend(wordings)
        return encode(model, tokenizer, wordings, *more)

    monkeypatch.setattr(pipeline_emodistill, "encode_labels", watched)
    found = emodistill.LabelBank.load(file)
    result = classify("i am so happy", labels=found, multi_label=True)
    assert result["labels"] == expected["labels"] and result["scores"] == pytest.approx(expected["scores"], abs=1e-6)
    assert ("joy", "delight") not in seen  # only the words by which the label space is checked
    number = len(seen)
    classify(["i am so happy"] * 3, labels=found.select(["fear", "joy"]))
    assert len(seen) == number
    with torch.no_grad():  # another space from here on
        classify.model.label_projection.weight.add_(torch.randn(24, 32))
    with pytest.raises(ValueError, match="another label space"):
        classify("i am so happy", labels=found)


def test_a_bank_at_construction(file, shared_classify):
    found = pipeline(
        "zero-shot-emotion", model=shared_classify.model, tokenizer=shared_classify.tokenizer, device="cpu",
        labels=LabelBank.load(file),
    )  # fmt: skip
    assert set(found("i am so happy")["labels"]) == {"joy", "anger", "fear"}


@pytest.mark.parametrize("template", [None, "full of {}"])
def test_a_bank_scores_the_absence_of_a_feeling_as_the_pipeline_does(shared_classify, tmp_path, template):
    labels, texts = ["joy", "not joy", "without fear", "no emotion"], ["i am so happy", ""]
    LabelBank.build(shared_classify, labels, template).save(tmp_path / "bank.safetensors")
    bank = LabelBank.load(tmp_path / "bank.safetensors")
    assert bank.absent == {"not joy": "joy", "without fear": "fear"}

    def scores(given, **options):
        results = shared_classify(texts, labels=given, multi_label=True, **options)
        return [dict(zip(result["labels"], result["scores"], strict=True)) for result in results]

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for around in (None, "so {}"):  # around what is around them
            both = template if around is None else around.replace("{}", template or "{}")
            pairs = zip(scores(bank, label_template=around), scores(labels, label_template=both), strict=True)
            assert all(found == pytest.approx(expected, abs=1e-6) for found, expected in pairs)
        some = scores(bank.select(labels[1:3]))[0]
        assert some == pytest.approx(scores(labels[1:3], label_template=template)[0], abs=1e-6)


def test_described_labels_of_a_bank_and_those_of_older_banks_are_what_they_say(shared_classify, bank, tmp_path):
    described = LabelBank.build(shared_classify, {"joy": "joy", "not joy": "not joy"})
    assert described.absent == {}
    described.save(tmp_path / "bank.safetensors")
    with safe_open(tmp_path / "bank.safetensors", framework="numpy") as opened:
        assert "absent" not in opened.metadata(), "as banks were written before there was such a thing"
    assert LabelBank.load(tmp_path / "bank.safetensors").absent == {}
    with pytest.warns(UserWarning, match="does not read the negation"):
        copy.copy(shared_classify)("my dog", labels=described, multi_label=True)


DAMAGED = {
    "no numbers": ({"embeds": lambda array: np.full_like(array, np.nan)}, {}),
    "a probe without numbers": ({"probe": lambda array: np.full_like(array, np.inf)}, {}),
    "statistics without numbers": ({"mean": lambda array: np.full_like(array, np.nan)}, {}),
    "whole numbers": ({"embeds": lambda array: array.astype(np.int32)}, {}),
    "no rows": ({"embeds": lambda array: array[:0]}, {}),
    "a narrow probe": ({"probe": lambda array: np.ascontiguousarray(array[:, :5])}, {}),
    "names that are lists": ({}, {"names": '[["joy"], ["anger"], ["fear"]]'}),
    "names without an end": ({}, {"names": "[" * 100_000}),
    "absent feelings that are a list": ({}, {"absent": "[1]"}),
    "an absent feeling of no label": ({}, {"absent": '{"not pride": "pride"}'}),
    "wordings that are numbers": ({}, {"wordings": "[[1], [2], [3]]"}),
}


@pytest.mark.parametrize(("arrays", "names"), DAMAGED.values(), ids=DAMAGED)
def test_a_damaged_bank_gives_no_numbers(file, arrays, names):
    kept = load_file(file)
    with safe_open(file, framework="numpy") as opened:
        metadata = opened.metadata()
    changed = {name: arrays.get(name, lambda array: array)(array) for name, array in kept.items()}
    save_file(changed, file, metadata=metadata | names)
    with pytest.raises(ValueError, match="damaged label bank") as caught:
        LabelBank.load(file)
    assert "\n" not in str(caught.value)
