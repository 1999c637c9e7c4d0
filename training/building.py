"""What a run is built from: data, model, loader, objective, validator, optimiser."""

import hashlib
import os
from dataclasses import dataclass
from typing import Any

import torch

from ..descriptors.left_out import LeftOut
from ..descriptors.rows import DIMENSIONS, ratings
from ..durations import counted
from ..encoding_emodistill import encode_labels
from ..loading import read_tokenizer
from ..loss_emodistill import logit_of_rate
from ..modeling_emodistill import EmoDistillModel
from .arguments import background_plan, qformer_shape, unread_plan
from .data import (
    DescriptorBatches,
    DescriptorDataset,
    LabelVocabulary,
    LengthBucketSampler,
    even_rows,
    load_training_rows,
    read_view,
    reference_words,
    with_copies,
)
from .distilling import load_teachers
from .encoders import descriptors_share, lexicon_path
from .label_space import align_text_tower, build_on_label_space, join_label_space, load_trained
from .objective import Objective, near_synonyms, positive_rate
from .targets import Lexicon, felt_rating
from .validation import Validator

__all__ = ["Parts", "build_model", "build_optimizer", "build_parts", "load_data"]

# Arguments that say how labels become targets
WEIGHING = ("implied_weight", "implied_decay", "salience_decay", "rated_weight")
SCALE_LR = 5e-3  # peak learning rate of temperature and bias
WEIGHT_DECAY = 0.01
VALIDATION_SHARE = 0.05  # held out where a data set has no validation split
LEAST_VALIDATION = 4  # texts of which two can be held out
RATES = (1e-4, 0.9)  # positive rates at which a bias may start


@dataclass
class Parts:
    """
    What a run is built from.

    Args:
        network ([`EmoDistillModel`]): On its device, not yet prepared by Accelerate.
        tokenizer (`PreTrainedTokenizerBase`): Its tokenizer.
        vocabulary ([`LabelVocabulary`]): All labels of the training texts.
        label_states (`torch.Tensor`, *optional*): States of all labels, where the label encoder is frozen.
        loader (`torch.utils.data.DataLoader`): Batches.
        sampler ([`LengthBucketSampler`]): Their order.
        objective ([`Objective`]): What is minimised.
        validator, sampled_validator ([`Validator`]): On all held-out texts, and on those to measure while training.
        align (`Callable`, *optional*): To be called before the first step, where `label_space` is given.
        optimizer (`torch.optim.Optimizer`): Of the network's parameters.
        background_rows (`list[dict]`): Texts of the background, with their `weights`.
        words (`list[str]`): Plain words that these stand for, the reference vocabulary.
        dimension_rows (`list[dict]`): Texts that dimensions are fitted on, with their `rating`.
        texts (`int`): Training texts with labels.
        rated (`bool`): Whether there are ratings to learn.
    """

    network: Any
    tokenizer: Any
    vocabulary: Any
    label_states: Any
    loader: Any
    sampler: Any
    objective: Any
    validator: Any
    sampled_validator: Any
    align: Any
    optimizer: Any
    background_rows: list
    words: list
    dimension_rows: list
    texts: int
    rated: bool


def build_parts(groups, data, accelerator, say=print):
    """
    Build a run.

    Args:
        groups (`tuple`): Model, data and run arguments, checkpoints where they lie (see [`~encoders.located`]).
        data (`tuple`): Training rows, validation rows and lexicon, of [`load_data`].
        accelerator (`Accelerator`): Gives the device; prepares nothing yet.
        say (`Callable`, *optional*): Told of teachers and of the start.

    Returns:
        [`Parts`]

    Raises:
        `ValueError`: if the texts do not tell labels apart.
    """
    model_args, data_args, args = groups
    train, validation, lexicon = data
    device, autocast = accelerator.device, args.mixed_precision == "bf16"
    rated = bool(lexicon.ratings) and args.dimension_weight > 0
    network, tokenizer, aligned = build_model(model_args, rated)
    rows = with_copies(train, data_args.counterfactual_share)
    weigh = {name: getattr(data_args, name) for name in WEIGHING}
    dataset = DescriptorDataset(rows, tokenizer, lexicon, network.config.text_max_length, weigh, network.config)
    vocabulary = _vocabulary(dataset, tokenizer, network.config, data_args)
    background_rows, dimension_rows = _finishing_rows(data_args, train, dataset)
    background = [row["text"] for row in background_rows]
    validator = Validator(validation, lexicon, tokenizer, background, autocast=autocast)
    units = dataset.units(data_args.contrast_repeats)
    sampler = LengthBucketSampler(dataset.lengths, args.batch_size, args.seed, units=units)
    _prepare_for(network, device)
    synonyms = _synonyms(data_args, network, tokenizer, vocabulary)
    collate = DescriptorBatches(vocabulary, tokenizer.pad_token_id, data_args.extra_negatives, dataset.label_counts())
    loader = torch.utils.data.DataLoader(dataset, batch_sampler=sampler, collate_fn=collate)
    if not (model_args.init or model_args.label_space):  # a trained model brings its own bias
        _start_bias(network, loader)
    teachers = _teachers(groups, rows, vocabulary, network, accelerator, say) if data_args.teachers else None
    objective = Objective(
        network, synonyms, _ratings(lexicon, vocabulary).to(device), args.dimension_weight if rated else 0.0, teachers,
        args.group_weight, args.consistency_weight, args.embedding_weight,
        descriptors_share(data_args.teachers),
    )  # fmt: skip

    def align():
        texts = [row["text"] for row in train]
        cosine = align_text_tower(network, tokenizer, *aligned, texts, autocast)
        say(f"text tower aligned with {model_args.label_space}: cosine {cosine:.3f}")

    return Parts(
        network=network,
        tokenizer=tokenizer,
        vocabulary=vocabulary,
        label_states=_label_states(network, vocabulary) if network.label_encoder_is_frozen else None,
        loader=loader,
        sampler=sampler,
        objective=objective,
        validator=validator,
        sampled_validator=validator.sampled(args.validation_texts),
        align=align if aligned else None,
        optimizer=build_optimizer(network, args),
        background_rows=background_rows,
        words=reference_words(train, [row["weights"] for row in background_rows], lexicon),
        dimension_rows=dimension_rows,
        texts=sum(bool(row["labels"]) for row in train),
        rated=rated,
    )


def _vocabulary(dataset, tokenizer, config, data_args):
    """The labels of the training texts; one alone would teach nothing."""
    vocabulary = LabelVocabulary(dataset.labels(), tokenizer, config.label_max_length)
    if len(vocabulary) < 2:
        raise ValueError(
            f"the training texts of data {data_args.data} carry one label alone ({', '.join(vocabulary.labels)}); "
            "at least two are needed, for a model learns to tell them apart"
        )
    return vocabulary


def _teachers(groups, rows, vocabulary, network, accelerator, say):
    """What the checkpoints that the arguments name make of all texts and labels, [`Teachers`]."""
    _, data_args, args = groups
    texts, folder = [row["text"] for row in rows], os.path.join(args.output_dir, "teachers")
    width = network.config.projection_dim if args.embedding_weight else None
    with accelerator.main_process_first():
        return load_teachers(
            data_args.teachers, texts, vocabulary.labels, folder, accelerator.device,
            args.mixed_precision == "bf16", say, width,
        )  # fmt: skip


def _ratings(lexicon, vocabulary):
    """Ratings of the vocabulary's labels, `(labels, 3)`; `nan` for labels that the lexicon has not."""
    unknown = (float("nan"),) * 3
    return torch.tensor([lexicon.ratings.get(label, unknown) for label in vocabulary.labels])


def _start_bias(network, loader):
    """Start the loss's bias at the logit of the share of pairs that are positive."""
    low, high = RATES
    torch.nn.init.constant_(network.logit_bias, logit_of_rate(min(max(positive_rate(loader), low), high)))


def _prepare_for(network, device):
    """Move a network to where it is trained, with the attention that trains fastest there."""
    network.to(device)
    if device.type == "cpu":
        # Fused attention is as fast forwards, but in bf16 its backward pass takes ten times as long (torch 2.13), and
        # with dropout it is the slower one in fp32 as well.
        for encoder in (network.text_encoder, network.label_encoder):
            encoder.set_attn_implementation("eager")


def _finishing_rows(data_args, train, dataset):
    """Texts of the background with their weights, and texts that dimensions are fitted on with their ratings."""
    read = [row for row in train if row["labels"]]  # a prefix: texts that nobody read come last
    number, sources, _ = background_plan(data_args.background_texts)
    places = even_rows(read, max(2, number), sources)  # one text has no covariance
    if len(places) < 2:
        raise ValueError(f"a background needs two texts, and data {data_args.data} gives {len(places)} for it")
    if len({tuple(dataset.input_ids[place]) for place in places}) < 2:  # as the model reads them
        raise ValueError(
            f"a background needs texts that differ, and the {len(places)} that data {data_args.data} gives for it are "
            "all the same, or the same to the tokenizer"
        )
    background = [train[place] | {"weights": dataset.weights[place]} for place in places]
    places = even_rows(read, number * 3 // 2)  # dimensions are fitted on any source
    return background, [train[place] | {"rating": dataset.ratings[place]} for place in places]


def _synonyms(data_args, network, tokenizer, vocabulary):
    """Pairs of labels that the starting label encoder takes for near-synonyms, or `None`."""
    threshold = data_args.synonym_mask
    # Teachers know how near a near-synonym is; descriptors only leave it open.
    if threshold is None or not descriptors_share(data_args.teachers):
        return None
    network.eval()
    return near_synonyms(encode_labels(network, tokenizer, vocabulary.labels), threshold)


@torch.no_grad()
def _label_states(network, vocabulary, batch_size=256):
    """Output of a frozen label encoder for the whole vocabulary, computed once."""
    network.eval()
    parts = []
    for ids in torch.arange(len(vocabulary)).split(batch_size):
        input_ids, mask = vocabulary.tokens(ids)
        parts.append(network.get_label_states(input_ids.to(network.device), mask.to(network.device)))
    return torch.cat(parts)


def build_model(args, rated=True):
    """
    The model to train, before its first step.

    Args:
        args ([`ModelArguments`]): Checkpoints and encoders where they lie.
        rated (`bool`, *optional*, defaults to `True`): Whether there are ratings to learn from; without, a model that
            is all new gets no dimension head.

    Returns:
        `tuple`: the model, its tokenizer, and what its text tower is to be aligned with: the model and tokenizer of
        `label_space`, or `None`.
    """
    dropout = {"attention_dropout": args.attention_dropout, "dropout": args.dropout}
    aligned = None
    if args.init and args.label_space:
        model, tokenizer, *aligned = join_label_space(args.init, args.label_space, **dropout)
    elif args.label_space:
        options = {"pooling": args.pooling, **qformer_shape(args.qformer)}
        model, tokenizer, *aligned = build_on_label_space(args.text_encoder, args.label_space, **dropout, **options)
    elif args.init:
        model = load_trained(args.init, **dropout)
        tokenizer = read_tokenizer(args.init, model.config.text_config.vocab_size)
    else:
        options = {name: getattr(args, name) for name in ("pooling", "projection_dim", "tie_word_embeddings")}
        options |= qformer_shape(args.qformer) | ({} if rated else {"dimension_names": []})
        model = EmoDistillModel.from_encoders(args.text_encoder, **dropout, **options)
        tokenizer = read_tokenizer(args.text_encoder, model.config.text_config.vocab_size, "encoder")
    # What a trained model does to texts it goes on doing.
    model.config.spell_emoji |= args.normalise_texts == "emoji"
    model.config.normalise_texts |= args.normalise_texts is True
    model.freeze_lower_layers(args.freeze_text_layers, args.freeze_label_layers)
    if args.freeze_label_encoder:
        model.freeze_label_encoder()
    model.label_projection.requires_grad_(args.freeze_label_encoder != "projection")
    return model, tokenizer, aligned


def load_data(args, seed, say=None):
    """Training rows, validation rows and lexicon; rows carry `closed` labels where asked for.

    `say` is told of rows that are left out; without it, none may be.
    """
    train = load_training_rows(args.data, "train", args.data_config, say=say)
    if train is None:
        raise ValueError(f"data {args.data} has no split `train`, whose texts are trained on: name one so")
    validation = load_training_rows(args.data, "validation", args.data_config, say=say)
    lexicon = Lexicon.load(lexicon_path(args.lexicon))
    lexicon.ratings = {word: felt_rating(known) for word, known in lexicon.ratings.items()}
    drawn = validation is None
    if drawn:  # hold out by the text itself, so that the split does not move when rows are added
        places = [_place(row["text"]) for row in train]
        share = max(VALIDATION_SHARE, *sorted(places)[:2]) if len(places) > LEAST_VALIDATION else 0.0
        held_out = [place <= share for place in places]
        validation = [row for row, out in zip(train, held_out, strict=True) if out]
        train = [row for row, out in zip(train, held_out, strict=True) if not out]
        lexicon.held_out = set()  # the lexicon's own split belongs to the data set it came with, not to this one
    else:  # as it does where texts to train on have the descriptors that it holds out
        lexicon.held_out -= {label for row in train for label in row["labels"]}
    if not train or not validation:
        gives = f"{counted(len(train), 'training text')} and {counted(len(validation), 'validation text')}"
        least = LEAST_VALIDATION + 1
        why = f", and equal texts are held out together: give at least {least} different ones" if drawn else ""
        raise ValueError(f"data {args.data} gives {gives}; both are needed{why}")
    if args.sources:
        train = _of_sources(train, args.sources, "training")
    train = _with_views(args, train, validation, say)
    if args.max_texts and args.max_texts < len(train):
        train = _drawn(train, args.max_texts, seed)
    if args.unread_config:
        train += _unread(args, seed, say)
    return train, validation, lexicon


def _of_sources(rows, sources, kind):
    names = {name.strip() for name in sources.split(",")}
    rows = [row for row in rows if {row.get("source"), f"{row.get('source')}/{row.get('selection')}"} & names]
    if not rows:
        raise ValueError(f"no {kind} text has a source among {sources}")
    return rows


def _unread(args, seed, say):
    """Texts that nobody has read, as many as asked for."""
    number, name = unread_plan(args.unread_config)
    rows = load_training_rows(args.data, "train", name, unread=True, say=say)
    if rows is None:
        raise ValueError(f"unread_config {name} has no split `train`, whose texts teachers would read")
    if args.sources:
        rows = _of_sources(rows, args.sources, "unread")
    if number is not None and number > len(rows) and say:
        among = " of the sources" if args.sources else ""
        say(f"unread_config asks for {number} texts and {name} has {len(rows)}{among}: all of them are taken")
    return rows if number is None or number >= len(rows) else _drawn(rows, number, seed)


def _drawn(rows, number, seed):
    """About that many rows, drawn by seed; a contrast's group comes whole, for alone its members teach little."""
    units = {}
    for place, row in enumerate(rows):
        alone = row.get("group") is None
        units.setdefault(("row", place) if alone else ("group", row["group"]), []).append(place)
    units, chosen = list(units.values()), []
    for index in torch.randperm(len(units), generator=torch.Generator().manual_seed(seed)).tolist():
        if len(chosen) + len(units[index]) <= number:
            chosen += units[index]
        if len(chosen) == number:
            break
    if not chosen:
        raise ValueError(
            f"{counted(number, 'text')} cannot be drawn: groups of contrasts stay whole, and each has more"
        )
    return [rows[place] for place in sorted(chosen)]


def _with_views(args, train, validation, say=None):
    """Training rows with `closed` labels, `plain` words and `rating` as asked for; validation rows get these too."""
    if args.closed_config:
        closed = read_view(args.data, "closed_config", args.closed_config, train + validation)
        for row in [*train, *validation]:
            row["closed"] = closed[row["id"]]["labels"] if row["id"] in closed else []
        if args.labels_from == "closed":
            train = [row | {"labels": row["closed"], "closed": []} for row in train if row["closed"]]
            if not train:
                raise ValueError(f"labels_from closed: closed_config {args.closed_config} labels no training text")
        if args.labels_from == "descriptors":  # then the closed list only says how many labels a text has
            train = [row | {"closed": []} for row in train]
    if args.rated_config:
        rated = read_view(args.data, "rated_config", args.rated_config, train + validation)
        for row, found in _read_ratings(args, rated, [*train, *validation], say):
            row["plain"] = found["labels"]
            if None not in (rating := tuple(found[name] for name in DIMENSIONS)):  # else the lexicon's
                row["rating"] = felt_rating(rating)
    return train


def _read_ratings(args, rated, rows, say):
    """Each text that `rated_config` reads, with that reading, its ratings as numbers; wrong ones are told."""
    found, bad = [], LeftOut(say)
    for row in rows:
        if reading := rated.get(row["id"]):
            try:
                found.append((row, reading | ratings(reading)))
            except ValueError as error:
                bad.add(f"rated_config {args.rated_config}, id {row['id']}", str(error))
    bad.settle(len(found) + bad.count)
    if all(reading[DIMENSIONS[0]] is None for _, reading in found):
        raise ValueError(f"rated_config {args.rated_config} rates no text of data {args.data}: leave it out")
    return found


def _place(text):
    """A number in [0, 1) that depends on the text alone."""
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:6], "big") / 2**48


def build_optimizer(model, args):
    """AdamW with a learning rate for each part; no decay for biases, norms, temperature and bias."""
    rates = {"text_encoder": args.text_lr, "label_encoder": args.label_lr}
    groups = {}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        part = name.split(".")[0]
        rate = SCALE_LR if part in ("logit_scale", "logit_bias") else rates.get(part, args.head_lr)
        decay = WEIGHT_DECAY if parameter.ndim > 1 else 0.0
        groups.setdefault((rate, decay), []).append(parameter)
    return torch.optim.AdamW(
        [{"params": list_, "lr": rate, "weight_decay": decay} for (rate, decay), list_ in groups.items()],
        fused=True,
    )
