"""Fixtures of all tests: the tiny models of `tiny.py`, made once a test run. The whole package offline, in seconds.

Processes that are killed or interrupted come from `forkserver.py`.
"""

import copy
import functools
import gc
import os
import sys
from pathlib import Path

if gc.isenabled():  # not while everything is loaded; see `pytest_collection_finish`
    gc.disable()
os.environ["HF_HUB_OFFLINE"] = "1"  # before huggingface_hub reads it: no test may reach for the Hub
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
if "PYTEST_XDIST_WORKER" in os.environ:  # one of several: its tests, and the processes they start, keep to one core
    os.environ["OMP_NUM_THREADS"] = "1"

import hypothesis
import made_up
import pytest
import tiny
import torch
from transformers import AutoModel, AutoTokenizer, pipeline

import emodistill
from emodistill import EmoDistillModel

# The repository's root is the package, so pytest would import it a second time under the name of its folder, and the
# second copy of every class would register itself with Transformers in place of the first.
sys.modules.setdefault(Path(__file__).resolve().parents[1].name, emodistill)
torch.set_num_threads(min(2, torch.get_num_threads()))
hypothesis.settings.register_profile("whole", deadline=None)  # a busy machine is no failure
hypothesis.settings.register_profile("quick", deadline=None, max_examples=30)


def pytest_configure(config):
    """The working loop draws fewer examples; the whole suite draws all."""
    hypothesis.settings.load_profile("quick" if config.option.markexpr == "not slow" else "whole")


def pytest_collection_modifyitems(items):
    """Files that fork processes come first, and so to one worker: no other has to load what the processes need."""
    items.sort(key=lambda item: not {"fork", "forkserver"} & vars(item.module).keys())


def pytest_collection_finish():
    """What has been loaded by now stays, so the garbage collector need not look through it over and over."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def tokenizer():
    """A fast BERT tokenizer that spells unknown words letter by letter."""
    return tiny.tokenizer()


@pytest.fixture(scope="session")
def encoder_config():
    """`encoder_config(**changes)`: a BERT of two layers, 32 wide."""
    return tiny.encoder_config


@pytest.fixture(scope="session")
def tiny_config():
    """`tiny_config(**changes)`: an `EmoDistillConfig` around it."""
    return tiny.config


@pytest.fixture(scope="session")
def tiny_model():
    """`tiny_model(seed=0, background=True, **changes)`: a random model in evaluation mode, off its neat start."""
    return tiny.model


@pytest.fixture(scope="session")
def encoder_folder(tmp_path_factory):
    """Folder of a tiny pretrained encoder with its tokenizer."""
    torch.manual_seed(7)
    folder = tmp_path_factory.mktemp("encoder")
    AutoModel.from_config(tiny.encoder_config()).save_pretrained(folder)
    tiny.tokenizer().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """Folder of a tiny random checkpoint with background, reference words and tokenizer."""
    return tiny.save_checkpoint(tmp_path_factory.mktemp("checkpoint"))


@pytest.fixture(scope="session")
def rows_file(tmp_path_factory):
    """240 made-up rows in the format that `emodistill annotate` writes."""
    return tiny.write_rows(tmp_path_factory.mktemp("rows") / "rows.jsonl", tiny.rows())


@pytest.fixture(scope="session")
def lexicon_file(tmp_path_factory):
    """Ratings and implied words of four of their labels."""
    path = tmp_path_factory.mktemp("lexicon") / "lexicon.tsv"
    path.write_text(tiny.LEXICON, encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory):
    """A data directory with small made-up goemotions, semeval2025-eng, isear and emobank files."""
    return made_up.write_benchmarks(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="session")
def descriptors_folder(tmp_path_factory):
    """A descriptor data set folder with configurations of the real one."""
    return made_up.write_descriptors(tmp_path_factory.mktemp("descriptors"))


@functools.cache
def _loaded(folder):
    """Model and tokenizer, to be copied: a quarter of the time that it takes to load them again."""
    return EmoDistillModel.from_pretrained(folder), AutoTokenizer.from_pretrained(folder)


@pytest.fixture
def classify(checkpoint):
    """A fresh pipeline on the tiny checkpoint."""
    model, tokenizer = copy.deepcopy(_loaded(str(checkpoint)))
    return pipeline("zero-shot-emotion", model=model, tokenizer=tokenizer, device="cpu")


@pytest.fixture(scope="session")
def default_checkpoint():
    """Folder of the trained default model, which is part of the package."""
    assert os.path.isfile(os.path.join(emodistill.DEFAULT_CHECKPOINT, "config.json")), (
        f"the default checkpoint is missing from {emodistill.DEFAULT_CHECKPOINT}: `make train` builds it"
    )
    return emodistill.DEFAULT_CHECKPOINT


@pytest.fixture(scope="session")
def clean_environment(tmp_path_factory):
    """Environment of a process that finds installed libraries and `emodistill` only where told to."""
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment["HF_MODULES_CACHE"] = str(tmp_path_factory.mktemp("modules"))
    environment["HF_HOME"] = str(tmp_path_factory.mktemp("hub"))
    return environment
