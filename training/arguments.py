"""Arguments of training: three dataclasses, filled from a YAML file, from flags, or from both."""

import os
from dataclasses import dataclass, field
from typing import get_type_hints

__all__ = ["DataArguments", "ModelArguments", "RunArguments", "parse_arguments", "teacher_names"]


def _option(default, help_text, **metadata):
    return field(default=default, metadata={"help": help_text, **metadata})


@dataclass
class ModelArguments:
    """What is trained: a new model on pretrained encoders, or a trained checkpoint that goes on."""

    text_encoder: str | None = _option(None, "Folder or Hub id of the text tower's encoder.")
    label_encoder: str | None = _option(None, "The label tower's encoder; the text tower's by default.")
    init: str | None = _option(None, "A trained checkpoint to go on from, in place of text_encoder.")
    label_space: str | None = _option(
        None, "A checkpoint whose label tower and dimensions a new model takes, its text tower aligned with them."
    )
    pooling: str = _option("both", "qformer, mean, or both.")
    num_queries: int = _option(8, "Learned queries of the Q-Former.")
    num_qformer_layers: int = _option(1, "Layers of the Q-Former.")
    num_qformer_heads: int | None = _option(None, "Attention heads of a Q-Former layer; one for 64 dimensions.")
    projection_dim: int = _option(384, "Dimension of the shared space.")
    freeze_label_encoder: bool = _option(False, "Keep the label encoder as pretrained; its output is then cached.")
    freeze_text_layers: int = _option(0, "Lowest layers of the text encoder, with its embeddings, kept as they are.")
    freeze_label_layers: int = _option(0, "Lowest layers of the label encoder, with its embeddings, kept as they are.")
    spell_emoji: bool = _option(False, "Replace emoji by their names, for encoders without emoji in their vocabulary.")
    normalise_texts: bool = _option(False, "Read texts without markup, hashtags, drawn-out words; spells emoji too.")
    tie_word_embeddings: bool = _option(False, "Share one word-embedding matrix between the towers.")
    text_max_length: int = _option(128, "Tokens in one window of a text.")
    attention_dropout: float | None = _option(None, "Attention dropout of the encoders; their own by default.")
    dropout: float | None = _option(None, "Dropout of the text encoder beside label_space; its own by default.")
    logit_scale_init: float = _option(10.0, "Inverse temperature at the start.")
    random_weights: bool = _option(False, "Ignore the encoders' pretrained weights (for tests and baselines).")


@dataclass
class DataArguments:
    """Texts, descriptors, and how descriptors become targets."""

    data: str = _option("data/descriptors", "Descriptor data set: a file, a folder, or a Hub id.")
    data_config: str | None = _option(None, "Configuration of the data set, goemotions for instance.")
    closed_config: str | None = _option(None, "Configuration with closed-list labels to train on beside the others.")
    rated_config: str | None = _option(
        None, "Configuration with plain words and ratings of each text, a further view and the better dimensions."
    )
    rated_weight: float = _option(0.35, "Target of a plain word of that view; 0 to take its ratings alone.")
    rated_only: bool = _option(False, "Train on texts of that view only.")
    lexicon: str | None = _option(None, "Lexicon: a TSV file or a data set folder; none by default.")
    labels_from: str = _option("descriptors", "descriptors, closed (only texts with closed labels) or both.")
    max_texts: int | None = _option(None, "Train on this many texts only, drawn by seed.")
    sources: str | None = _option(None, "Train on these sources only, separated by commas.")
    selections: str | None = _option(None, "Train on texts of these selections only, separated by commas.")
    implied_weight: float = _option(0.35, "Target of the best word a descriptor implies; 0 for none.")
    implied_decay: float = _option(0.7, "Factor from one implied word to the next.")
    implied_agreement: bool = _option(False, "Words that several descriptors of a text imply get more than the most.")
    salience_decay: float = _option(1.0, "Factor from one descriptor of a text, and what it implies, to the next.")
    arousal_by_valence: float = _option(
        0.5, "Added to a rating's arousal for each point that its valence lies off the middle; 0 for ratings as given."
    )
    balance: float = _option(0.0, "Power by which texts of rarer emotions count more in the loss; 0 for all alike.")
    synonym_mask: float | None = _option(
        0.7,
        "Leave out pairs of a text and a label whose cosine to one of its "
        "positives exceeds this in the starting label encoder.",
    )
    teachers: str | None = _option(
        None, "Trained checkpoints, separated by commas, whose mean scores are learned in place of descriptors."
    )
    teacher_weight: float = _option(1.0, "Share of the teachers in the targets; descriptors have the rest.")
    extra_negatives: int = _option(0, "Labels of the vocabulary added to each batch as negatives.")
    hard_negatives: int = _option(
        0, "Labels nearest to each positive in the starting label encoder, near-synonyms aside, added to each batch."
    )
    unread_config: str | None = _option(None, "Configuration of texts without descriptors, for teachers to read.")
    contrast_repeats: int = _option(1, "How often an epoch shows each group of contrasts.")
    counterfactual_share: float = _option(0.0, "Share of the texts that name a person to have a copy about another.")
    validation_share: float = _option(0.05, "Share of texts held out where the data set has no validation split.")
    background_texts: int = _option(
        4000, "Training texts that form the background; dimensions are fitted on half as many more."
    )
    background_sources: str | None = _option(
        None, "Sources of the background, separated by commas, each with equal numbers; all by default."
    )


@dataclass
class RunArguments:
    """Optimisation, validation and files."""

    output_dir: str = _option("outputs/run", "Folder for states, the best model and the final checkpoint.")
    epochs: int = _option(3, "Passes over the texts.")
    batch_size: int = _option(64, "Texts in a batch of one process.")
    gradient_accumulation_steps: int = _option(1, "Batches in an optimiser step.")
    text_lr: float = _option(7e-5, "Peak learning rate of the text encoder.")
    label_lr: float = _option(2.5e-5, "Peak learning rate of the label encoder.")
    head_lr: float = _option(3e-4, "Peak learning rate of Q-Former, projections and dimension head.")
    scale_lr: float = _option(5e-3, "Peak learning rate of temperature and bias.")
    weight_decay: float = _option(0.01, "Weight decay, not for biases, norms, temperature and bias.")
    warmup_ratio: float = _option(0.1, "Share of steps over which rates rise.")
    max_grad_norm: float = _option(1.0, "Gradients are clipped to this norm.")
    dimension_weight: float = _option(5.0, "Weight of the dimension head's loss; 0 for none.")
    group_weight: float = _option(0.0, "Weight of a contrast's choice between the descriptors of its group.")
    consistency_weight: float = _option(0.0, "Weight of one less the cosine of a text and its copy.")
    embedding_weight: float = _option(0.0, "Weight of one less the cosine to the teachers' mean embedding of a text.")
    validation_texts: int | None = _option(None, "Validation texts to measure on while training; all by default.")
    keep_trained: float = _option(1.0, "Share of the trained text encoder (with init: of all weights) in the result.")
    mixed_precision: str = _option("no", "no, bf16, fp16 (accelerators), or auto: bf16 where the hardware has it.")
    cpu: bool = _option(False, "Train on the CPU even where there is an accelerator.")
    seed: int = _option(13, "Seed of weights, order and dropout.")
    eval_steps: int | None = _option(None, "Optimiser steps between validations; once an epoch by default.")
    save_steps: int = _option(200, "Optimiser steps between saved states.")
    patience: int = _option(3, "Validations without gain before training stops.")
    export_dtype: str = _option("float16", "Precision of the final checkpoint.")
    log_with: str | None = _option(None, "A tracker that Accelerate knows, tensorboard for instance.")
    overwrite: bool = _option(False, "Begin again where output_dir holds another run.")
    quiet: bool = _option(False, "No progress bar.")


GROUPS = (ModelArguments, DataArguments, RunArguments)


def parse_arguments(argv):
    """
    Arguments from a command line: `[CONFIG.yaml] [--name value ...]`; flags win over the file.

    Args:
        argv (`list[str]`): The arguments after the program's name.

    Returns:
        `tuple(ModelArguments, DataArguments, RunArguments)`.

    Raises:
        `ValueError`: for an unknown name or a value that does not fit, naming it.

    Example:

    ```python
    >>> from emodistill.training.arguments import parse_arguments

    >>> model, data, run = parse_arguments(["--epochs", "2", "--text_encoder", "encoder"])
    >>> run.epochs
    2

    ```
    """
    from transformers import HfArgumentParser

    parser = HfArgumentParser(
        GROUPS,
        prog="emodistill train",
        description=("Train a model on emotion descriptors. A YAML file may come first; flags win over it."),
    )
    values, path = {}, None
    if argv and argv[0].endswith((".yaml", ".yml")):
        path, argv = argv[0], argv[1:]
        values = _read_yaml(path)
    parser.set_defaults(**values)
    model, data, run = parser.parse_args_into_dataclasses(argv, look_for_args_file=False)
    _check(model, data, run)
    return model, data, run


def _read_yaml(path):
    import yaml

    if not os.path.isfile(path):
        raise ValueError(f"no configuration file {path}")
    with open(path, encoding="utf-8") as file:
        try:
            values = yaml.safe_load(file) or {}
        except yaml.YAMLError as error:
            raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(values, dict):
        raise ValueError(f"{path} must hold `name: value` lines")
    known = {name: kind for group in GROUPS for name, kind in get_type_hints(group).items()}
    for name, value in values.items():
        if name not in known:
            raise ValueError(f"{path} names {name!r}, which is no argument of training (see emodistill train --help)")
        values[name] = _fit(name, value, known[name], path)
    return values


def _fit(name, value, kind, path):
    """A YAML value in the argument's type: `7e-5` without a dot, for one, is a string to YAML."""
    kinds = getattr(kind, "__args__", (kind,))
    if value is None and type(None) in kinds:
        return None
    if name == "mixed_precision" and value is False:
        return "no"  # which YAML reads as false
    for candidate in kinds:
        if candidate is float and not isinstance(value, bool):
            try:
                return float(value)
            except (TypeError, ValueError):
                continue
        if candidate is not type(None) and type(value) is candidate:
            return value
    names = " or ".join(candidate.__name__ for candidate in kinds if candidate is not type(None))
    raise ValueError(f"{path}: {name} must be {names}, not {value!r}")


def teacher_names(teachers):
    """
    The checkpoints that the argument `teachers` names.

    Args:
        teachers (`str`): Folders or Hub ids, separated by commas.

    Returns:
        `list[str]`

    Raises:
        `ValueError`: if there is none, or one is neither a folder here nor can be a Hub id.
    """
    names = [name.strip() for name in teachers.split(",") if name.strip()]
    if not names:
        raise ValueError("teachers must name at least one checkpoint")
    for name in names:
        # A Hub id has an owner, and no folder of that name is here: then the path is meant, and mistyped.
        owner, _, rest = name.partition("/")
        if not os.path.isdir(name) and (not owner or not rest or "/" in rest or os.path.isdir(owner)):
            raise ValueError(f"teachers: {name} is neither a folder here nor a Hub id")
    return names


def _check(model, data, run):
    if (model.text_encoder is None) == (model.init is None):
        raise ValueError("give text_encoder for a new model, or init for a trained one (and not both)")
    if data.labels_from not in ("descriptors", "closed", "both"):
        raise ValueError(f"labels_from must be descriptors, closed or both, not {data.labels_from!r}")
    if data.labels_from != "descriptors" and not data.closed_config:
        raise ValueError(f"labels_from {data.labels_from!r} needs closed_config")
    if run.mixed_precision not in ("auto", "no", "bf16", "fp16"):
        raise ValueError(f"mixed_precision must be auto, no, bf16 or fp16, not {run.mixed_precision!r}")
    if run.export_dtype not in ("float16", "bfloat16", "float32"):
        raise ValueError(f"export_dtype must be float16, bfloat16 or float32, not {run.export_dtype!r}")
    for name in ("epochs", "batch_size", "gradient_accumulation_steps", "save_steps", "patience"):
        if getattr(run, name) < 1:
            raise ValueError(f"{name} must be at least 1, not {getattr(run, name)}")
    for group, name, most in (
        (data, "teacher_weight", 1),
        (data, "arousal_by_valence", 10),
        (data, "balance", 1),
        (data, "counterfactual_share", 1),
        (run, "keep_trained", 1),
    ):
        if not 0.0 <= getattr(group, name) <= most:
            raise ValueError(f"{name} must lie between 0 and {most}, not {getattr(group, name)}")
    if data.teachers is not None:
        teacher_names(data.teachers)
    elif data.teacher_weight != 1.0:
        raise ValueError("teacher_weight needs teachers")
    if not 0.0 < data.salience_decay <= 1.0:
        raise ValueError(f"salience_decay must lie above 0 and at most at 1, not {data.salience_decay}")
    if model.label_space is not None and model.init is not None:
        raise ValueError("label_space is for a new model, beside text_encoder; a trained one (init) has its own")
    if data.unread_config and (data.teachers is None or data.teacher_weight < 1.0):
        raise ValueError("unread_config needs teachers with teacher_weight 1: its texts have no descriptors")
    if run.embedding_weight and data.teachers is None:
        raise ValueError("embedding_weight needs teachers")
    for name in ("group_weight", "consistency_weight", "embedding_weight"):
        if not getattr(run, name) >= 0.0:
            raise ValueError(f"{name} must not be negative, as {getattr(run, name)} is")
    for name in ("extra_negatives", "hard_negatives"):
        if getattr(data, name) < 0:
            raise ValueError(f"{name} must not be negative, as {getattr(data, name)} is")
