"""Arguments of training: dataclasses with the ranges of their values, filled from a YAML file, flags, or both."""

import argparse
import math
import os
from dataclasses import dataclass, field, fields
from typing import get_type_hints

from ..command_line import CommandParser, did_you_mean
from ..files import check_output
from .config_files import find_config, read_yaml

__all__ = [
    "GROUPS",
    "DataArguments",
    "ModelArguments",
    "RunArguments",
    "background_plan",
    "parse_arguments",
    "qformer_shape",
    "read_arguments",
    "unread_plan",
]

LARGEST_NUMBER = 2**31 - 1  # of anything that is counted: what is larger is a slip of the pen


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
    qformer: str = _option(
        "8, 1",
        "Learned queries and layers of the Q-Former, and heads of a layer's attention (one for 64 dimensions by "
        "default), separated by commas.",
    )
    projection_dim: int = _option(384, "Dimension of the shared space.", least=1)
    freeze_label_encoder: bool | str = _option(
        False,
        "Keep the label encoder as pretrained; its output is then cached. `projection` keeps its projection too, so "
        "that a label space which other models share stays theirs.",
        among=(True, False, "projection"),
    )
    freeze_text_layers: int = _option(
        0, "Lowest layers of the text encoder, with its embeddings, kept as they are.", least=0
    )
    freeze_label_layers: int = _option(
        0, "Lowest layers of the label encoder, with its embeddings, kept as they are.", least=0
    )
    normalise_texts: bool | str = _option(
        False,
        "Read texts without markup, hashtags and drawn-out words, emoji by their names; `emoji` for the last alone, "
        "which encoders without emoji in their vocabulary need.",
        among=(True, False, "emoji"),
    )
    tie_word_embeddings: bool = _option(False, "Share one word-embedding matrix between the towers.")
    attention_dropout: float | None = _option(
        None, "Attention dropout of the encoders; their own by default.", least=0, most=0.99
    )
    dropout: float | None = _option(
        None, "Dropout of the text encoder, on states and attention; its own by default.", least=0, most=0.99
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
    sources: str | None = _option(
        None,
        "Train on these sources only, separated by commas; `source/selection` for a part of one. Unread texts too.",
    )
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
        None,
        "Trained checkpoints, separated by commas, whose mean scores are learned in place of descriptors; the word "
        "`descriptors` among them stands for each text's own.",
    )
    extra_negatives: int = _option(0, "Labels of the vocabulary added to each batch as negatives.", least=0)
    unread_config: str | None = _option(
        None, "Configuration of texts without descriptors, for teachers to read; `9000 of unread` for so many of them."
    )
    contrast_repeats: int = _option(1, "How often an epoch shows each group of contrasts.", least=1)
    counterfactual_share: float = _option(
        0.0, "Share of the texts that name a person to have a copy about another.", least=0, most=1
    )
    background_texts: int | str | None = _option(
        None,
        "Training texts that background, reference vocabulary and decisions are fitted to, and dimensions to half as "
        "many more: a number, `2000 of reddit, films` for equal numbers of these sources, or `kept` to keep those of "
        "init; by default 4000, or kept where init goes on with few texts.",
    )


@dataclass
class RunArguments:
    """Optimisation, validation and files."""

    output_dir: str = _option("outputs/run", "Folder for states, the best model and the final checkpoint.")
    epochs: int = _option(3, "Passes over the texts.", least=1)
    batch_size: int = _option(64, "Texts in a batch of one process.", least=1)
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
    mixed_precision: str = _option(
        "no",
        "no, bf16, fp16 (accelerators), or auto: bf16 where the hardware has it.",
        among=("auto", "no", "bf16", "fp16"),
    )
    seed: int = _option(13, "Seed of weights, order and dropout.", least=0, most=2**32 - 1)
    eval_steps: int | None = _option(None, "Optimiser steps between validations; once an epoch by default.", least=1)
    save_steps: int = _option(200, "Optimiser steps between saved states.", least=1)
    export_dtype: str = _option(
        "float16",
        "Precision of the final checkpoint; eight_bits: float16 of weights rounded to eight bits a value, for a "
        "checkpoint that will be stored so.",
        among=("float16", "bfloat16", "float32", "eight_bits"),
    )


GROUPS = (ModelArguments, DataArguments, RunArguments)
_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}  # in messages
# Arguments that name several things; a YAML file may have a list
LISTS = ("teachers", "sources", "qformer")
BACKGROUND_TEXTS = 4000


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
    if argv and not argv[0].startswith("-"):
        path = find_config(argv[0])
        return read_arguments(read_yaml(path), path, argv[1:])
    return read_arguments({}, None, argv)


def read_arguments(values, place, argv=()):
    """
    Arguments from what a YAML file holds, and flags above it; as [`parse_arguments`].

    Args:
        values (`dict`): Names and values.
        place (`str` or `Path`): Where they stand, for errors.
        argv (`list[str]`, *optional*): Flags.

    Returns:
        `tuple(ModelArguments, DataArguments, RunArguments)`.

    Raises:
        `ValueError`: for an unknown name or a value that does not fit, naming it.
    """
    parser = _parser()
    parser.set_defaults(**_check_types(values, place))
    found = vars(parser.parse_args(argv))
    model, data, run = (group(**{option.name: found[option.name] for option in fields(group)}) for group in GROUPS)
    for group in (model, data, run):
        for option in fields(group):
            if option.default is None and str(getattr(group, option.name)).strip() == "":
                setattr(group, option.name, None)  # as a script's empty variable gives it
            _check_range(option, getattr(group, option.name))
    for name in ("init", "label_space"):
        if value := getattr(model, name):
            setattr(model, name, _stage(value.strip(), run.output_dir))
    if data.teachers:
        data.teachers = ", ".join(_stage(part.strip(), run.output_dir) for part in data.teachers.split(","))
    _check(model, data, run)
    return model, data, run


def _parser():
    """A flag for each field of the dataclasses, in either spelling (`--output-dir`, `--output_dir`).

    transformers has one that does this, whose import alone costs more than a second.
    """
    parser = CommandParser(
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
        kinds = [part for part in getattr(kind, "__args__", (kind,)) if part is not type(None)]
        if bool not in kinds:
            shown = " or ".join(part.__name__.upper() for part in kinds)
            taken = kinds[0] if len(kinds) == 1 else _number_or_words
            parser.add_argument(*dict.fromkeys(names), type=taken, metavar=shown, **common)
            return
    taken = _truth if kind is bool else _truth_or_word
    parser.add_argument(*dict.fromkeys(names), type=taken, nargs="?", const=True, metavar="BOOL", **common)
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


def _truth_or_word(word):
    """A truth value, or one of the words that stand beside it, which `_check_range` knows."""
    try:
        return _truth(word)
    except argparse.ArgumentTypeError:
        return word


def _number_or_words(words):
    return int(words) if words.strip().isdecimal() else words


def _check_types(values, path):
    known = {name: kind for group in GROUPS for name, kind in get_type_hints(group).items()}
    checked = {}
    for given, value in values.items():
        name = str(given).replace("-", "_")
        if name not in known:
            told = f"{path} names {_short(given)}, which is no argument of training"
            raise ValueError(f"{told} ({did_you_mean(name.strip().lower(), known)}see emodistill train --help)")
        if name in checked:
            raise ValueError(f"{path} names {name} twice, as {name} and as {name.replace('_', '-')}")
        if name in LISTS and isinstance(value, list) and all(type(part) in (str, int) for part in value):
            value = ", ".join(map(str, value))
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
    names = " or ".join(_KINDS[candidate] for candidate in kinds if candidate is not type(None))
    raise ValueError(f"{path}: {name} must be {names}, not {_short(value)}")


def _short(value):
    """A value of whatever kind and length, for a message."""
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


def qformer_shape(words):
    """
    What the argument `qformer` says.

    Args:
        words (`str`): Two or three numbers, separated by commas.

    Returns:
        `dict`: `num_queries`, `num_qformer_layers` and `num_qformer_heads` of [`EmoDistillConfig`].

    Raises:
        `ValueError`: if it is anything else.

    Example:

    ```python
    >>> from emodistill.training.arguments import qformer_shape

    >>> qformer_shape("8, 1")
    {'num_queries': 8, 'num_qformer_layers': 1, 'num_qformer_heads': None}

    ```
    """
    parts = [part.strip() for part in words.split(",")]
    if len(parts) not in (2, 3) or not all(
        part.isdecimal() and 0 < int(part) <= LARGEST_NUMBER for part in parts
    ):
        raise ValueError(f"qformer must be queries, layers and perhaps heads, `8, 1` for instance, not {words!r}")
    names = ("num_queries", "num_qformer_layers", "num_qformer_heads")
    return dict.fromkeys(names) | dict(zip(names, map(int, parts), strict=False))


def unread_plan(value):
    """
    What the argument `unread_config` says.

    Args:
        value (`str`): Its value.

    Returns:
        `tuple`: the number of texts, `None` for all, and the name of the configuration.

    Raises:
        `ValueError`: if the number is 0.

    Example:

    ```python
    >>> from emodistill.training.arguments import unread_plan

    >>> unread_plan("20000 of unread"), unread_plan("unread")
    ((20000, 'unread'), (None, 'unread'))

    ```
    """
    number, of, name = value.strip().partition(" of ")
    if not (of and number.isdecimal()):
        return None, value.strip()
    if not int(number) or not name.strip():
        raise ValueError(f"unread_config must be a configuration's name or `20000 of unread`, not {value!r}")
    return int(number), name.strip()


def background_plan(value):
    """
    What the argument `background_texts` says.

    Args:
        value (`int` or `str`, *optional*): Its value.

    Returns:
        `tuple`: the number of texts, the names of their sources (a `str`, or `None` for all), and whether what `init`
        has is kept: `None` where that depends on how many texts there are.

    Raises:
        `ValueError`: if it is anything else.

    Example:

    ```python
    >>> from emodistill.training.arguments import background_plan

    >>> background_plan("2000 of reddit, films"), background_plan("kept")
    ((2000, 'reddit, films', False), (4000, None, True))

    ```
    """
    if value is None or value == "kept":
        return BACKGROUND_TEXTS, None, True if value else None
    number, _, sources = str(value).strip().partition(" of ")
    if not number.isdecimal() or not int(number) or (str(value) != number and not sources.strip(" ,")):
        raise ValueError(
            f"background_texts must be a number of at least 1, `2000 of reddit, films` or `kept`, not {value!r}"
        )
    return int(number), sources.strip() or None, False


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
        *most, last = (str(one).lower() if isinstance(one, bool) else one for one in allowed["among"])
        raise ValueError(f"{name} must be {', '.join(most)} or {last}, not {value!r}")
    if value is None or isinstance(value, bool) or not isinstance(value, int | float):
        return
    least, most, above = (allowed.get(key) for key in ("least", "most", "above"))
    if isinstance(value, int) and value > max(LARGEST_NUMBER, most or 0):
        raise ValueError(f"{name} must be at most {most or LARGEST_NUMBER}, not {value}")
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
    qformer_shape(model.qformer)
    if background_plan(data.background_texts)[2] and (model.init is None or model.label_space is not None):
        raise ValueError("background_texts kept needs init, without label_space: in a new space nothing is to be kept")
    if data.unread_config:
        unread_plan(data.unread_config)
        if data.teachers is None:
            raise ValueError("unread_config needs teachers: its texts have no descriptors")
    if run.embedding_weight and data.teachers is None:
        raise ValueError("embedding_weight needs teachers")
    check_output(run.output_dir, "output_dir", folder=True)
