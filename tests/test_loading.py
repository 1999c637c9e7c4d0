"""Checkpoints by name, wherever a checkpoint is named."""

import os

import pytest
from transformers import AutoConfig, AutoModel, AutoTokenizer, pipeline

import emodistill
from emodistill import EmoDistillConfig, EmoDistillModel, checkpoint_path, loading


@pytest.fixture
def own_models(checkpoint, tmp_path, monkeypatch):
    """The package's models are tiny ones in another folder: `base` is there, `small` is not."""
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / loading.CHECKPOINTS["base"]).symlink_to(checkpoint)
    (tmp_path / "work").mkdir()
    monkeypatch.setattr(loading, "FOLDER", str(tmp_path / "checkpoints"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def test_names_folders_and_hub_ids(own_models, checkpoint):
    base = os.path.join(loading.FOLDER, "emodistill-mpnet-base")
    assert checkpoint_path("base") == base
    assert checkpoint_path(checkpoint) == str(checkpoint)
    assert checkpoint_path("owner/name") == "owner/name"
    assert emodistill.DEFAULT_CHECKPOINT.endswith("emodistill-minilm-l6")


def test_a_model_that_did_not_come_along_is_told_with_a_way_to_get_it(own_models):
    for name in (None, "small"):
        with pytest.raises(FileNotFoundError, match="did not come with this installation") as error:
            checkpoint_path(name)
        assert "git clone --depth 1" in str(error.value) and "\n" not in str(error.value)
    with pytest.raises(FileNotFoundError, match="did not come with this installation"):
        pipeline("zero-shot-emotion", model="small", device="cpu")


@pytest.mark.parametrize("name", ["nowhere", "./no/where", "/no/where", "a/b/c", "checkpoints/nothing", "~/model", ""])
def test_what_is_nowhere_is_told_at_once(own_models, monkeypatch, name):
    monkeypatch.chdir(own_models)
    with pytest.raises(FileNotFoundError, match="is no folder here: give small, base, a checkpoint"):
        checkpoint_path(name)


def test_a_folder_before_a_repository_of_that_name_is_told(own_models):
    os.makedirs("owner/name")
    for name, what in (("owner/name", "holds no model"), ("owner/other", "is no folder here")):
        with pytest.raises(FileNotFoundError, match=f"{what}.*if {name} on the Hub is meant, run this in another"):
            checkpoint_path(name)
    os.makedirs("owner/name/final")
    with pytest.raises(FileNotFoundError, match=r"holds no model.*: give owner/name/final$"):
        checkpoint_path("owner/name")


def test_what_the_hub_does_not_give_is_one_sentence():
    with pytest.raises(OSError, match=r"^owner/name was not loaded from the Hub: ") as caught:
        loading.load_checkpoint("owner/name")  # tests run offline
    assert "\n" not in str(caught.value)


def test_a_file_is_no_checkpoint(own_models):
    with open("model.bin", "w") as file:
        file.write("x")
    with pytest.raises(FileNotFoundError, match=r"model\.bin is a file, no folder"):
        checkpoint_path("model.bin")


def test_a_folder_of_that_name_is_that_folder(own_models, tiny_config):
    tiny_config(projection_dim=8).save_pretrained("base")
    assert checkpoint_path("base") == "base"
    assert EmoDistillConfig.from_pretrained("base").projection_dim == 8


def test_transformers_takes_the_names_without_asking_the_hub(own_models, monkeypatch):
    import socket

    def refuse(*args, **kwargs):
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    classify = pipeline("zero-shot-emotion", model="base", device="cpu", labels="joy, fear")
    assert classify("my dog is lost")["predicted"]
    assert isinstance(AutoModel.from_pretrained("base"), EmoDistillModel)
    assert isinstance(AutoConfig.from_pretrained("base"), EmoDistillConfig)
    assert len(AutoTokenizer.from_pretrained("base")) == len(classify.tokenizer)
    model, tokenizer = emodistill.load_checkpoint("base")
    assert model.config.projection_dim == 24 and len(tokenizer) == len(classify.tokenizer)
