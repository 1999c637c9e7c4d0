"""Other ways to the same answer, of the checkpoint's size and with random weights: only their speed is compared."""

import contextlib
import importlib.util
import logging
import os
from pathlib import Path

from .systems import System

__all__ = ["PEERS", "missing", "peers", "save_nli"]

# name: the package that it needs beyond transformers
PEERS = {
    "NLI": None,
    "NLI in batches": None,
    "GLiClass": "gliclass",
    "sentence-transformers": "sentence_transformers",
}
PACKAGES = {"gliclass": "gliclass", "sentence_transformers": "sentence-transformers"}
PAIRS = 32  # of text and label in a batch, where the stock pipeline is told to batch


def missing(names=tuple(PEERS)):
    """Packages that peers need and that are not installed, as pip names them."""
    needed = {PEERS[name] for name in names} - {None}
    return sorted(PACKAGES[package] for package in needed if importlib.util.find_spec(package) is None)


def peers(checkpoint, folder, names=tuple(PEERS)):
    """
    The peers that are installed.

    Args:
        checkpoint (`str`): Gives tokenizer and size of the encoder.
        folder (`str`): Where random models are written.
        names (`Iterable[str]`, *optional*): Which of [`PEERS`].

    Returns:
        `dict[str, System]`: by name; a peer whose package is absent is left out, see [`missing`].
    """
    made = {}
    for name in names:
        if PEERS[name] and importlib.util.find_spec(PEERS[name]) is None:
            continue
        build = _BUILDERS[name]
        with _quiet():
            made[name] = build(checkpoint, folder, name)
    return made


@contextlib.contextmanager
def _quiet():
    """Weights that are missing are meant to be random."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)


def _encoder_config(checkpoint):
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(checkpoint).text_config


def _tokenizer(checkpoint):
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    tokenizer.model_max_length = _positions(_encoder_config(checkpoint))
    return tokenizer


def _positions(config):
    """Tokens that the encoder takes; some count from behind their padding token."""
    return config.max_position_embeddings - (2 if config.model_type in ("mpnet", "roberta", "xlm-roberta") else 0)


def save_nli(checkpoint, folder):
    """A folder with a random model of natural language inference, written if it is not there."""
    import torch
    from transformers import AutoModelForSequenceClassification

    if not Path(folder, "config.json").is_file():
        torch.manual_seed(0)
        config = _encoder_config(checkpoint)
        config.id2label = {0: "contradiction", 1: "neutral", 2: "entailment"}
        config.label2id = {label: place for place, label in config.id2label.items()}
        AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
        _tokenizer(checkpoint).save_pretrained(folder)
    return os.fspath(folder)


def _nli(checkpoint, folder, name):
    """The stock zero-shot pipeline: a pair of text and hypothesis for each label."""
    from transformers import pipeline

    classify = pipeline("zero-shot-classification", model=save_nli(checkpoint, Path(folder, "nli")), device="cpu")
    batches = {"batch_size": PAIRS} if "batches" in name else {}
    return System(
        "zero-shot-classification (NLI)" + (f", {PAIRS} pairs a batch" if batches else ""),
        lambda texts, labels, _: classify(texts, candidate_labels=labels, **batches),
        most_labels=100,
        slow=True,
    )


def _gliclass(checkpoint, folder, _):
    """GLiClass, one encoder for labels and text together."""
    import torch
    from gliclass import GLiClassModel, GLiClassModelConfig, ZeroShotClassificationPipeline

    torch.manual_seed(0)
    tokenizer = _tokenizer(checkpoint)
    config = _encoder_config(checkpoint)
    place = Path(folder, "gliclass-tokenizer")
    tokenizer.add_tokens(["<<LABEL>>", "<<SEP>>", "<<EXAMPLE>>"], special_tokens=True)
    tokenizer.save_pretrained(place)
    model = GLiClassModel(
        GLiClassModelConfig(
            encoder_config=config,
            encoder_model="random",
            class_token_index=tokenizer.convert_tokens_to_ids("<<LABEL>>"),
            text_token_index=tokenizer.convert_tokens_to_ids("<<SEP>>"),
            example_token_index=tokenizer.convert_tokens_to_ids("<<EXAMPLE>>"),
            vocab_size=len(tokenizer),
            architecture_type="uni-encoder",
            pooling_strategy="avg",
            prompt_first=True,
        )
    ).eval()
    classify = ZeroShotClassificationPipeline(
        model, tokenizer, max_classes=100, max_length=_positions(config), device="cpu",
        progress_bar=False,
    )  # fmt: skip
    return System(
        "GLiClass (one encoder)",
        lambda texts, labels, batch_size: classify(texts, labels, batch_size=batch_size),
        most_labels=100,  # all stand before each text: a thousand do not fit into the encoder's 512 positions
    )


def _sentence_transformers(checkpoint, folder, _):
    """Cosine of sentence embeddings, a matrix without decisions or dictionaries; labels are embedded once."""
    import torch
    from sentence_transformers import SentenceTransformer
    from transformers import AutoModel

    torch.manual_seed(0)
    place = Path(folder, "sentence-transformer")
    AutoModel.from_config(_encoder_config(checkpoint)).save_pretrained(place)
    _tokenizer(checkpoint).save_pretrained(place)
    model = SentenceTransformer(os.fspath(place), device="cpu")  # mean pooling over what it finds
    model.max_seq_length = min(128, model.max_seq_length)
    known = {}

    def score(texts, labels, batch_size):
        key = tuple(labels)
        if key not in known:
            known[key] = model.encode(labels, normalize_embeddings=True, show_progress_bar=False)
        embeds = model.encode(texts, batch_size=batch_size, normalize_embeddings=True, show_progress_bar=False)
        return embeds @ known[key].T

    return System("sentence-transformers cosine", score)


_BUILDERS = {
    "NLI": _nli,
    "NLI in batches": _nli,
    "GLiClass": _gliclass,
    "sentence-transformers": _sentence_transformers,
}
