"""Arguments of training: dataclasses with the ranges of their values, filled from a YAML file, flags, or both."""

import argparse
import math
import os
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import get_type_hints

from .encoders import checkpoint_path, require, require_data

__all__ = ["DataArguments", "ModelArguments", "RunArguments", "parse_arguments", "read_yaml", "teacher_names"]

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
LARGEST_FILE = 1_000_000  # bytes of a configuration


def _option(default, help_text, **allowed):
    """An argument, with what it may be: `least`, `most` and `above` for numbers, `among` for words."""
    return field(default=default, metadata={"help": help_text, **allowed})


@dataclass
class ModelArguments:
    """What is trained: a new model on pretrained encoders, or a trained checkpoint that goes on; either may join the
    label space of another checkpoint."""

    text_encoder: str | None = _option(None, "Folder or Hub id of the text tower's encoder.")
    init: str | None = _option(
        None, "A trained checkpoint to go on from (folder, Hub id, `default`), in place of text_encoder."
    )
    label_space: str | None = _option(
        None,
        "A checkpoint whose label tower and dimensions a new model, or the one of init, takes, its text tower aligned "
        "with them.",
    )
    pooling: str = _option("both", "qformer, mean, or both.", among=("qformer", "mean", "both"))
    num_queries: int = _option(8, "Learned queries of the Q-Former.", least=1)
    num_qformer_layers: int = _option(1, "Layers of the Q-Former.", least=1)
    num_qformer_heads: int | None = _option(
        None, "Attention heads of a Q-Former layer; one for 64 dimensions.", least=1
    )
    projection_dim: int = _option(384, "Dimension of the shared space.", least=1)
    freeze_label_encoder: bool = _option(False, "Keep the label encoder as pretrained; its output is then cached.")
    freeze_text_layers: int = _option(
        0, "Lowest layers of the text encoder, with its embeddings, kept as they are.", least=0
    )
    freeze_label_layers: int = _option(
        0, "Lowest layers of the label encoder, with its embeddings, kept as they are.", least=0
    )
    spell_emoji: bool = _option(False, "Replace emoji by their names, for encoders without emoji in their vocabulary.")
    normalise_texts: bool = _option(False, "Read texts without markup, hashtags, drawn-out words; spells emoji too.")
    tie_word_embeddings: bool = _option(False, "Share one word-embedding matrix between the towers.")
    text_max_length: int = _option(128, "Tokens in one window of a text.", least=3)
    attention_dropout: float | None = _option(
        None, "Attention dropout of the encoders; their own by default.", least=0, most=1
    )
    dropout: float | None = _option(
        None, "Dropout of the text encoder, on states and attention; its own by default.", least=0, most=1
    )


@dataclass
class DataArguments:
    """Texts, descriptors, and how descriptors become targets."""

    data: str = _option("data/descriptors", "Descriptor data set: a file, a folder, or a Hub id.")
    data_config: str | None = _option(None, "Configuration of the data set, goemotions for instance.")
    closed_config: str | None = _option(None, "Configuration with closed-list labels to train on beside the others.")
    rated_config: str | None = _option(
        None, "Configuration with plain words and ratings of each text, a further view and the better dimensions."
    )
    rated_weight: float = _option(
        0.35, "Target of a plain word of that view; 0 to take its ratings alone.", least=0, most=1
    )
    lexicon: str | None = _option(
        None, "Lexicon: a TSV file, a data set folder, or `default`, the package's; none by default."
    )
    labels_from: str = _option(
        "descriptors",
        "descriptors, closed (only texts with closed labels) or both.",
        among=("descriptors", "closed", "both"),
    )
    max_texts: int | None = _option(None, "Train on this many texts only, drawn by seed.", least=1)
    sources: str | None = _option(None, "Train on these sources only, separated by commas.")
    selections: str | None = _option(None, "Train on texts of these selections only, separated by commas.")
    implied_weight: float = _option(0.35, "Target of the best word a descriptor implies; 0 for none.", least=0, most=1)
    implied_decay: float = _option(0.7, "Factor from one implied word to the next.", above=0, most=1)
    salience_decay: float = _option(
        1.0, "Factor from one descriptor of a text, and what it implies, to the next.", above=0, most=1
    )
    synonym_mask: float | None = _option(
        0.7,
        "Leave out pairs of a text and a label whose cosine to one of its "
        "positives exceeds this in the starting label encoder.",
        least=-1,
        most=1,
    )
    teachers: str | None = _option(
        None, "Trained checkpoints, separated by commas, whose mean scores are learned in place of descriptors."
    )
    teacher_weight: float = _option(
        1.0, "Share of the teachers in the targets; descriptors have the rest.", least=0, most=1
    )
    extra_negatives: int = _option(0, "Labels of the vocabulary added to each batch as negatives.", least=0)
    unread_config: str | None = _option(None, "Configuration of texts without descriptors, for teachers to read.")
    contrast_repeats: int = _option(1, "How often an epoch shows each group of contrasts.", least=1)
    counterfactual_share: float = _option(
        0.0, "Share of the texts that name a person to have a copy about another.", least=0, most=1
    )
    validation_share: float = _option(
        0.05, "Share of texts held out where the data set has no validation split.", above=0, most=0.9
    )
    background_texts: int = _option(
        4000, "Training texts that form the background; dimensions are fitted on half as many more.", least=1
    )
    background_sources: str | None = _option(
        None, "Sources of the background, separated by commas, each with equal numbers; all by default."
    )


@dataclass
class RunArguments:
    """Optimisation, validation and files."""

    output_dir: str = _option("outputs/run", "Folder for states, the best model and the final checkpoint.")
    epochs: int = _option(3, "Passes over the texts.", least=1)
    batch_size: int = _option(64, "Texts in a batch of one process.", least=1)
    gradient_accumulation_steps: int = _option(1, "Batches in an optimiser step.", least=1)
    text_lr: float = _option(7e-5, "Peak learning rate of the text encoder.", least=0)
    label_lr: float = _option(2.5e-5, "Peak learning rate of the label encoder.", least=0)
    head_lr: float = _option(3e-4, "Peak learning rate of Q-Former, projections and dimension head.", least=0)
    warmup_ratio: float = _option(0.1, "Share of steps over which rates rise.", least=0, most=1)
    dimension_weight: float = _option(5.0, "Weight of the dimension head's loss; 0 for none.", least=0)
    group_weight: float = _option(0.0, "Weight of a contrast's choice between the descriptors of its group.", least=0)
    consistency_weight: float = _option(0.0, "Weight of one less the cosine of a text and its copy.", least=0)
    embedding_weight: float = _option(
        0.0, "Weight of one less the cosine to the teachers' mean embedding of a text.", least=0
    )
    validation_texts: int | None = _option(
        None, "Validation texts to measure on while training; all by default.", least=1
    )
    keep_trained: float | None = _option(
        None,
        "Share of the trained text encoder (with init in its own label space: of all weights) in the result; by "
        "default 1, or 0.5 where init goes on with few texts.",
        least=0,
        most=1,
    )
    refit: str = _option(
        "auto",
        "Background, reference vocabulary, dimensions and decisions: fitted to the training texts (always), kept from "
        "init (never), or kept where it goes on with few texts (auto).",
        among=("auto", "always", "never"),
    )
    mixed_precision: str = _option(
        "no",
        "no, bf16, fp16 (accelerators), or auto: bf16 where the hardware has it.",
        among=("auto", "no", "bf16", "fp16"),
    )
    seed: int = _option(13, "Seed of weights, order and dropout.", least=0, most=2**32 - 1)
    eval_steps: int | None = _option(None, "Optimiser steps between validations; once an epoch by default.", least=1)
    save_steps: int = _option(200, "Optimiser steps between saved states.", least=1)
    patience: int = _option(3, "Validations without gain before training stops.", least=1)
    export_dtype: str = _option(
        "float16", "Precision of the final checkpoint.", among=("float16", "bfloat16", "float32")
    )
    log_with: str | None = _option(None, "A tracker that Accelerate knows, tensorboard for instance.")
    overwrite: bool = _option(False, "Begin again where output_dir holds another run.")
    quiet: bool = _option(False, "No progress bar.")


GROUPS = (ModelArguments, DataArguments, RunArguments)
# Arguments that name several things; a YAML file may have a list
LISTS = ("teachers", "sources", "selections", "background_sources")


def parse_arguments(argv):
    """
    Arguments from a command line: `[CONFIG] [--name value ...]`; flags win over the file.

    A configuration is a YAML file, or the name of one that comes with the package (`own`, `minilm-l6/1-first`). In
    arguments that name checkpoints, `stage:NAME` is the final checkpoint of the run in the folder NAME beside
    `output_dir`.

    Args:
        argv (`list[str]`): The arguments after the program's name.

    Returns:
        `tuple(ModelArguments, DataArguments, RunArguments)`.

    Raises:
        `ValueError`: for an unknown name or a value that does not fit, naming it.

    Example:

    ```python
    >>> from emodistill.training.arguments import parse_arguments

    >>> model, data, run = parse_arguments(["--epochs", "2", "--text-encoder", "encoder"])
    >>> run.epochs
    2

    ```
    """
    parser = _parser()
    values = {}
    if argv and not argv[0].startswith("-"):
        path = find_config(argv[0])
        values, argv = _check_types(read_yaml(path), path), argv[1:]
    parser.set_defaults(**values)
    found = vars(parser.parse_args(argv))
    model, data, run = (group(**{option.name: found[option.name] for option in fields(group)}) for group in GROUPS)
    for group in (model, data, run):
        for option in fields(group):
            _check_range(option, getattr(group, option.name))
    for group, name in ((model, "init"), (model, "label_space"), (data, "teachers")):
        if value := getattr(group, name):
            setattr(group, name, ", ".join(_stage(part.strip(), run.output_dir) for part in value.split(",")))
    _check(model, data, run)
    return model, data, run


class _Parser(argparse.ArgumentParser):
    def error(self, message):  # one sentence, and not the usage of all arguments before it
        raise ValueError(f"{message} (see emodistill train --help)")


def _parser():
    """A flag for each field of the dataclasses, in either spelling (`--output-dir`, `--output_dir`).

    transformers has one that does this, whose import alone costs more than a second.
    """
    parser = _Parser(
        prog="emodistill train",
        description="Train a model on emotion descriptors. A YAML file, or the name of one of the package, may come "
        "first; flags win over it.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
        allow_abbrev=False,
    )
    for group in GROUPS:
        kinds = get_type_hints(group)
        for option in fields(group):
            _add_flag(parser, option, kinds[option.name])
    return parser


def _add_flag(parser, option, kind):
    names = [f"--{option.name}", f"--{option.name.replace('_', '-')}"]
    common = {"dest": option.name, "default": option.default, "help": option.metadata.get("help")}
    if kind is not bool:
        taken = next(part for part in getattr(kind, "__args__", (kind,)) if part is not type(None))
        parser.add_argument(*dict.fromkeys(names), type=taken, metavar=taken.__name__.upper(), **common)
        return
    parser.add_argument(*dict.fromkeys(names), type=_truth, nargs="?", const=True, metavar="BOOL", **common)
    if option.default is True:
        opposite = dict.fromkeys([f"--no_{option.name}", f"--no-{option.name.replace('_', '-')}"])
        parser.add_argument(*opposite, dest=option.name, action="store_false", default=True, help=argparse.SUPPRESS)


def _truth(word):
    """A truth value as people write it."""
    known = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    try:
        return known[word.lower()]
    except KeyError:
        raise argparse.ArgumentTypeError(f"{word!r} is neither true nor false") from None


def find_config(name):
    """`Path`: a configuration: a file here, or one of the package by name, with or without `configs/` and `.yaml`."""
    given = Path(name)
    if given.is_file():
        return given
    inside = Path(*given.parts[1:]) if given.parts[:1] == ("configs",) else given
    for path in (CONFIGS / inside, CONFIGS / f"{inside}.yaml"):
        if path.is_file() and path.suffix in (".yaml", ".yml"):
            return path
    known = sorted(
        path.relative_to(CONFIGS).with_suffix("").as_posix()
        for path in CONFIGS.rglob("*.yaml")
        if path.parent == CONFIGS or path.name[0].isdigit()
    )
    raise ValueError(f"no configuration file {name}; those of the package are {', '.join(known)}")


def read_yaml(path):
    """
    The mapping that a YAML file holds.

    Args:
        path (`str` or `Path`): The file.

    Returns:
        `dict`

    Raises:
        `ValueError`: if it is no file, too large, no YAML, no mapping, uses an alias (a few lines of which can stand
            for more than a machine holds), or has a name twice.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        def compose_node(self, parent, index):
            if self.check_event(yaml.events.AliasEvent):
                event = self.peek_event()
                raise yaml.composer.ComposerError(
                    None, None, f"alias *{event.anchor} is not allowed", event.start_mark
                )
            return super().compose_node(parent, index)

        def construct_mapping(self, node, deep=False):
            names = [key.value for key, _ in node.value if isinstance(key.value, str)]
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise yaml.constructor.ConstructorError(None, None, f"{twice[0]} stands there twice", node.start_mark)
            return super().construct_mapping(node, deep)

    if not os.path.isfile(path):
        raise ValueError(f"no configuration file {path}")
    if os.path.getsize(path) > LARGEST_FILE:
        raise ValueError(f"{path} is no configuration: it has more than {LARGEST_FILE:,} bytes")
    with open(path, "rb") as file:
        try:
            values = yaml.load(file, Loader) or {}
        except yaml.YAMLError as error:
            raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
        except RecursionError:
            raise ValueError(f"{path} is nested too deeply") from None
    if not isinstance(values, dict):
        raise ValueError(f"{path} must hold `name: value` lines")
    return values


def _check_types(values, path):
    known = {name: kind for group in GROUPS for name, kind in get_type_hints(group).items()}
    checked = {}
    for given, value in values.items():
        name = str(given).replace("-", "_")
        if name not in known:
            raise ValueError(f"{path} names {given!r}, which is no argument of training (see emodistill train --help)")
        if name in LISTS and isinstance(value, list) and all(isinstance(part, str) for part in value):
            value = ", ".join(value)
        checked[name] = _fit(name, value, known[name], path)
    return checked


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
        `ValueError`: if there is none.
    """
    names = [name.strip() for name in teachers.split(",") if name.strip()]
    if not names:
        raise ValueError("teachers must name at least one checkpoint")
    return [checkpoint_path(name) for name in names]


def _stage(name, output_dir):
    """`stage:NAME` as the folder of a checkpoint; any other name as it is."""
    if not name.startswith("stage:"):
        return name
    folder = os.path.join(os.path.dirname(os.path.normpath(output_dir)), name.removeprefix("stage:"))
    return os.path.join(folder, "final")


def _check_range(option, value):
    """Raise `ValueError` unless a value, from wherever it came, is one that the argument may have."""
    allowed, name = option.metadata, option.name
    if "among" in allowed and value not in allowed["among"]:
        *most, last = allowed["among"]
        raise ValueError(f"{name} must be {', '.join(most)} or {last}, not {value!r}")
    if value is None or isinstance(value, bool) or not isinstance(value, int | float):
        return
    least, most, above = (allowed.get(key) for key in ("least", "most", "above"))
    fits = math.isfinite(value) and (least is None or value >= least) and (most is None or value <= most)
    if fits and (above is None or value > above):
        return
    if least is not None and most is not None:
        expected = f"lie between {least} and {most}"
    elif most is not None:
        expected = f"lie above {above} and at most at {most}"
    elif above is not None:
        expected = f"lie above {above}"
    else:
        expected = "be a number" if least is None else f"be at least {least}"
    raise ValueError(f"{name} must {expected}, not {value}")


def _check(model, data, run):
    """Arguments that need or exclude each other, and checkpoints that have to be there."""
    if (model.text_encoder is None) == (model.init is None):
        raise ValueError("give text_encoder for a new model, or init for a trained one (and not both)")
    if data.labels_from != "descriptors" and not data.closed_config:
        raise ValueError(f"labels_from {data.labels_from!r} needs closed_config")
    if run.refit == "never" and (model.init is None or model.label_space is not None):
        raise ValueError("refit never needs init, without label_space: in a new space there is nothing to keep")
    if data.teachers is None and data.teacher_weight != 1.0:
        raise ValueError("teacher_weight needs teachers")
    if data.unread_config and (data.teachers is None or data.teacher_weight < 1.0):
        raise ValueError("unread_config needs teachers with teacher_weight 1: its texts have no descriptors")
    if run.embedding_weight and data.teachers is None:
        raise ValueError("embedding_weight needs teachers")
    if not run.output_dir.strip():
        raise ValueError("output_dir must name a folder")
    if os.path.exists(run.output_dir) and not os.path.isdir(run.output_dir):
        raise ValueError(f"output_dir {run.output_dir} is a file; name a folder")


def check_sources(groups):
    """
    Notice at once where a checkpoint or an encoder that the arguments name is not there.

    Args:
        groups (`tuple`): Model, data and run arguments.

    Raises:
        `ValueError`: naming the argument.
    """
    model, data, _ = groups
    for argument in ("text_encoder", "init", "label_space"):
        if name := getattr(model, argument):
            require(argument, name)
    for name in teacher_names(data.teachers) if data.teachers is not None else ():
        require("teachers", name)
    require_data("data", data.data)
    if data.lexicon is not None and data.lexicon != "default":
        require_data("lexicon", data.lexicon)
