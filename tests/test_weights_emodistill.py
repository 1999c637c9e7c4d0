"""Damaged checkpoints are refused at load, in one sentence, wherever they are loaded."""

import json
import os
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoModel, AutoTokenizer, pipeline

import emodistill
from emodistill import EmoDistillModel, cli


@pytest.fixture
def damaged(checkpoint, tmp_path):
    """`damaged(change)`: a copy of the tiny checkpoint, changed."""

    def build(change):
        folder = tmp_path / "damaged"
        shutil.copytree(checkpoint, folder)
        change(folder)
        return str(folder)

    return build


def weights(change):
    """A change of the weights file: `change(state)` edits the dictionary of tensors."""

    def apply(folder):
        state = load_file(folder / "model.safetensors")
        change(state)
        save_file({key: value.contiguous() for key, value in state.items()}, folder / "model.safetensors")

    return apply


def config(**changes):
    def apply(folder):
        content = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(content | changes))

    return apply


def decision(**changes):
    def apply(folder):
        content = json.loads((folder / "config.json").read_text())
        content["decision"] |= changes
        (folder / "config.json").write_text(json.dumps(content))

    return apply


def fill(key, value):
    return weights(lambda state: state[key].fill_(value))


def one(key, value):
    return weights(lambda state: state[key].view(-1)[3:4].fill_(value))


def content(name, text):
    return lambda folder: (folder / name).write_text(text)


def cut(name, share):
    def apply(folder):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[: int(len(content) * share)])

    return apply


def indefinite(state):
    values, vectors = torch.linalg.eigh(state["background_covariance"])
    values[0] = -values[-1] / 2
    state["background_covariance"] = vectors @ torch.diag(values) @ vectors.T


WEIGHTS = {
    "text_encoder.* holds values that are no numbers": one(
        "text_encoder.encoder.layer.0.attention.self.query.weight", float("nan")
    ),
    "label_projection.weight holds values that are no numbers": one("label_projection.weight", float("inf")),
    "background_mean holds values that are no numbers": fill("background_mean", float("nan")),
    "logit_bias holds values that are no numbers": fill("logit_bias", float("nan")),
    "it lacks text_projection.weight": weights(lambda state: state.pop("text_projection.weight")),
    "it lacks background_covariance": weights(lambda state: state.pop("background_covariance")),
    "it lacks .* and [0-9]+ more": weights(
        lambda state: [state.pop(key) for key in list(state) if key.startswith("qformer")]
    ),
    "text_projection.weight is zero": fill("text_projection.weight", 0.0),
    "background_covariance is zero": fill("background_covariance", 0.0),
    "background_covariance is not positive semi-definite": weights(indefinite),
    "background_covariance is not symmetric": weights(
        lambda state: state["background_covariance"].copy_(torch.triu(state["background_covariance"]))
    ),
    "background_covariance holds values that no covariance has": fill("background_covariance", 3e38),
    "word_embeddings.weight is zero": fill("text_encoder.embeddings.word_embeddings.weight", 0.0),
    "label_projection.weight is the same in each of its rows": fill("label_projection.weight", 0.5),
    "text_projection.weight is stored as I8": weights(
        lambda state: state.update({"text_projection.weight": state["text_projection.weight"].to(torch.int8)})
    ),
    "background_mean is stored as BOOL": weights(
        lambda state: state.update({"background_mean": state["background_mean"].bool()})
    ),
    "another shape to text_projection.weight": weights(
        lambda state: state.update({"text_projection.weight": torch.ones(3, 5)})
    ),
    "its weights cannot be read": cut("model.safetensors", 0.5),
    "weights cannot be read": cut("model.safetensors", 0.0),
}
CONFIGURATIONS = {
    "decision holds the unknown constant cut": decision(cut=1.0),
    "multi_label_slope must be a number above 0, not 'steep'": decision(multi_label_slope="steep"),
    "decision must be a dict of constants": config(decision=[1, 2]),
    "projection_dim in the configuration must be a positive integer, not '24'": config(projection_dim="24"),
    "text_max_length in the configuration must be a positive integer, not -3": config(text_max_length=-3),
    "spell_emoji in the configuration must be true or false": config(spell_emoji="yes"),
    "reference_words in the configuration must be a list of names": config(reference_words="joy"),
    "text_config in the configuration must be a dict": config(text_config=7),
    "text_config in the configuration names the encoder 'berd'": config(text_config={"model_type": "berd"}),
    "pooling must be one of": config(pooling=3),
    "not a valid JSON file": cut("config.json", 0.5),
}
FILES = {
    "holds no emodistill model: model_type in its config.json is 'bert'": config(model_type="bert"),
    "its tokenizer cannot be read": cut("tokenizer.json", 0.5),
    "its tokenizer has 5 tokens and the encoder": lambda folder: os.remove(folder / "tokenizer.json"),
    "its tokenizer has no padding token": content("tokenizer_config.json", "{}"),
    "holds no emodistill model": content("config.json", "{}"),
    "its config.json cannot be read.*list": content("config.json", "[]"),
    "its config.json cannot be read.*recursion": content("config.json", "[" * 100_000),
    "its config.json cannot be read.*int": content("config.json", '{"vocab_size": ' + "9" * 5000 + "}"),
    "cannot be loaded .AttributeError": config(custom_pipelines=-1),
    "text_config in the configuration does not fit the encoder 'bert'": config(
        text_config={"model_type": "bert", "num_hidden_layers": "two"}
    ),
    **CONFIGURATIONS,
}


def told(error):
    """One sentence without a line break or a traceback in it."""
    assert "\n" not in str(error.value).strip() and "Traceback" not in str(error.value), str(error.value)


@pytest.mark.parametrize("message", WEIGHTS)
def test_damaged_weights_are_refused_by_every_way_of_loading(damaged, message):
    folder = damaged(WEIGHTS[message])
    for load in (EmoDistillModel.from_pretrained, AutoModel.from_pretrained, emodistill.load_checkpoint):
        with pytest.raises(ValueError, match=message) as error:
            load(folder)
        told(error)
    with pytest.raises(ValueError, match=message) as error:
        pipeline("zero-shot-emotion", model=folder, device="cpu")
    told(error)


@pytest.mark.parametrize("message", FILES)
def test_damaged_files_are_told_in_one_sentence(damaged, message):
    folder = damaged(FILES[message])
    with pytest.raises((ValueError, OSError), match=message) as error:
        emodistill.load_checkpoint(folder)
    told(error)
    if message in CONFIGURATIONS:
        with pytest.raises((ValueError, OSError), match=message) as error:
            pipeline("zero-shot-emotion", model=folder, device="cpu")
        told(error)


def test_predict_ends_with_one_line_and_status_2(damaged, capsys):
    folder = damaged(one("label_projection.weight", float("nan")))
    capsys.readouterr()
    assert cli.main(["predict", "my dog", "--labels", "joy,fear", "--json", "--model", folder, "--device", "cpu"]) == 2
    output, error = capsys.readouterr()
    assert not output and error.count("\n") == 1
    assert "label_projection.weight holds values that are no numbers" in error


def test_a_sound_checkpoint_without_background_loads(tiny_model, tokenizer, tmp_path):
    tiny_model(background=False).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model, read = emodistill.load_checkpoint(tmp_path)
    assert model.background is None and len(read) == len(tokenizer)
    assert not model.training
    model, info = EmoDistillModel.from_pretrained(tmp_path, output_loading_info=True)
    assert not info["missing_keys"] and isinstance(model, EmoDistillModel)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_rounding_to_half_precision_is_no_damage(tiny_model, tmp_path, dtype):
    """A background of little rank, whose smallest eigenvalues rounding makes negative."""
    model = tiny_model()
    directions = torch.randn(3, model.config.projection_dim)
    texts = torch.randn(400, 3) @ directions
    model.set_background(torch.nn.functional.normalize(texts, dim=-1))
    model.to(dtype).save_pretrained(tmp_path)
    assert EmoDistillModel.from_pretrained(tmp_path).background is not None


def test_another_tokenizer_is_refused(checkpoint, damaged):
    def swap(folder):
        tokenizer = AutoTokenizer.from_pretrained(checkpoint)
        tokenizer.add_tokens([f"word{number}" for number in range(50)])
        tokenizer.save_pretrained(folder)

    with pytest.raises(ValueError, match=r"its tokenizer has \d+ tokens and the encoder \d+"):
        emodistill.load_checkpoint(damaged(swap))
