"""Tiny random models with a real WordPiece tokenizer: the whole package offline, in seconds."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"  # before huggingface_hub reads it: no test may reach for the Hub
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
if "PYTEST_XDIST_WORKER" in os.environ:  # one of several: its tests, and the processes they start, keep to one core
    os.environ["OMP_NUM_THREADS"] = "1"

import pytest
import torch
from transformers import AutoModel, AutoTokenizer, BertConfig, BertTokenizer, pipeline

import emodistill
from emodistill import EmoDistillConfig, EmoDistillModel

WORDS = """
joy anger relief fear sadness neutral delight rage calm happy angry sad boredom love pride feeling of person feels
the a i we he she it was is not and so very my dog cat birthday train late day sun rain cried laughed lost won
""".split()  # noqa: SIM905
LETTERS = "abcdefghijklmnopqrstuvwxyz.,!?'"

torch.set_num_threads(min(2, torch.get_num_threads()))


def _vocabulary():
    pieces = [
        "[PAD]",
        "[UNK]",
        "[CLS]",
        "[SEP]",
        "[MASK]",
        *WORDS,
        *LETTERS,
        *(f"##{letter}" for letter in LETTERS),
    ]
    return {piece: index for index, piece in enumerate(dict.fromkeys(pieces))}


@pytest.fixture(scope="session")
def tokenizer():
    """A fast BERT tokenizer that spells unknown words letter by letter."""
    return BertTokenizer(vocab=_vocabulary())


@pytest.fixture(scope="session")
def encoder_config(tokenizer):
    """`encoder_config(**changes)`: a BERT of two layers, 32 wide."""

    def build(**changes):
        values = {
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "intermediate_size": 48,
            "max_position_embeddings": 64,
            "hidden_dropout_prob": 0.1,
            "attention_probs_dropout_prob": 0.1,
        }
        return BertConfig(**(values | changes))

    return build


@pytest.fixture(scope="session")
def tiny_config(encoder_config):
    """`tiny_config(**changes)`: an `EmoDistillConfig` around it."""

    def build(**changes):
        values = {
            "text_config": encoder_config(),
            "projection_dim": 24,
            "num_queries": 3,
            "num_qformer_heads": 4,
            "text_max_length": 24,
            "label_max_length": 12,
        }
        return EmoDistillConfig(**(values | changes))

    return build


@pytest.fixture(scope="session")
def tiny_model(tiny_config):
    """`tiny_model(seed=0, background=True, **changes)`: a random model in evaluation mode, off its neat start."""

    def build(seed=0, background=True, **changes):
        torch.manual_seed(seed)
        model = EmoDistillModel(tiny_config(**changes)).eval()
        with torch.no_grad():  # the heads start neat (identity, zeros), which would hide mistakes
            for name, parameter in model.named_parameters():
                if name.split(".")[0] not in ("text_encoder", "label_encoder"):
                    parameter.add_(0.2 * torch.randn_like(parameter))
        if background:
            vectors = torch.randn(200, model.config.projection_dim) + 0.5
            model.set_background(torch.nn.functional.normalize(vectors, dim=-1))
        return model

    return build


@pytest.fixture(scope="session")
def encoder_folder(tmp_path_factory, encoder_config, tokenizer):
    """Folder of a tiny pretrained encoder with its tokenizer."""
    torch.manual_seed(7)
    folder = tmp_path_factory.mktemp("encoder")
    AutoModel.from_config(encoder_config()).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory, tiny_model, tokenizer):
    """Folder of a tiny random checkpoint with background and tokenizer."""
    folder = tmp_path_factory.mktemp("checkpoint")
    model = tiny_model()
    words = torch.nn.functional.normalize(torch.randn(2, 100, model.config.projection_dim), dim=-1)
    model.set_reference([f"word {number}" for number in range(100)], *words)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def classify(checkpoint):
    """A fresh pipeline on the tiny checkpoint."""
    return pipeline(
        "zero-shot-emotion", model=EmoDistillModel.from_pretrained(checkpoint),
        tokenizer=AutoTokenizer.from_pretrained(checkpoint), device="cpu",
    )  # fmt: skip


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
