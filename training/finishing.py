"""From trained weights to a checkpoint: mixed with their start, dimensions and vocabulary fitted, written whole."""

import os
from collections import Counter
from dataclasses import replace

import torch

from ..eight_bit_emodistill import round_to_eight_bits
from ..encoding_emodistill import encode_labels
from ..files import write_json, writing_folder
from ..modeling_emodistill import DIMENSION_HALF_RANGE, DIMENSION_MIDDLE, EmoDistillModel
from .arguments import background_plan
from .building import build_model
from .check import check_reading
from .deciding import choose_decision
from .targets import peoples_texts

__all__ = ["finish_run", "fit_reference", "mix_with_start", "refit_dimensions", "save_trained"]

# Share of a word's direction that its texts give; its own label embedding gives the rest. From 0.3 to 1 the gain is
# much the same: docs/decisions.md.
PROTOTYPE_SHARE = 0.6
FEW_TEXTS = 3000  # fewer do not tell how common feelings are among texts at large
FEW_KEEP_TRAINED = 0.5  # and what is learned from them is mixed half and half
MIN_SOURCE = 50  # texts of a source from which its correlation says something
# Ridge penalties for each text, from which the one that carries over best from source to source is taken:
# embeddings have length 1, so these are about shares of a direction's variance.
PENALTIES = (1 / 1000, 1 / 500, 1 / 250, 1 / 120, 1 / 60, 1 / 30)


def finish_run(groups, parts, device, say=print):
    """
    From a run's best weights to its final model: mixed with the start, with background, vocabulary and decisions.

    Args:
        groups (`tuple`): Model, data and run arguments, checkpoints where they lie.
        parts ([`~building.Parts`]): Of the run.
        device (`torch.device`): Where to compute.
        say (`Callable`, *optional*): Told what is kept, and of the check.

    Returns:
        `tuple(EmoDistillModel, dict)`: the model on the CPU in the precision of `export_dtype`, and its measures.
    """
    model_args, data_args, args = groups
    model = _best_model(args.output_dir).to(device).eval()
    goes_on = bool(model_args.init) and not model_args.label_space  # in a space of which it has statistics
    few = goes_on and parts.texts < FEW_TEXTS
    keep = args.keep_trained if args.keep_trained is not None else (FEW_KEEP_TRAINED if few else 1.0)
    kept = background_plan(data_args.background_texts)[2]
    kept = few if kept is None else kept
    start, before = None, None
    if keep < 1.0 or model_args.init:
        begun = replace(model_args, label_space=None) if model_args.init else model_args
        start = build_model(begun, parts.rated)[0].to(device).eval()
        before = check_reading(start, parts.tokenizer) if model_args.init else None
    if keep < 1.0:
        mix_with_start(model, start, keep, whole=goes_on)
    dtype = args.export_dtype
    if dtype == "eight_bits":  # before anything is fitted to embeddings
        round_to_eight_bits(model)
        dtype = "float16"
    validator = parts.validator
    if kept and start.background is not None:
        say(f"background, reference vocabulary and decisions are kept from {model_args.init} ({parts.texts} texts)")
        _keep_statistics(model, start, parts.tokenizer)
        embeds = validator.embed(model, validator.texts)
    else:
        # Texts' own ratings are a better target than means over descriptors, also where nothing was mixed.
        _fit(model, parts, dimensions=keep < 1.0 or bool(data_args.rated_config))
        embeds = validator.embed(model, validator.texts)
        background = validator.embed(model, validator.background)
        model.config.decision = choose_decision(model, validator, embeds, background)
    metrics = validator.measure(model, embeds)
    if before is not None:
        after = check_reading(model, parts.tokenizer)
        metrics["check"] = {"texts": after["texts"], "before": before["right"], "after": after["right"]}
        say("built-in check: {before} of {texts} texts right before, {after} after".format(**metrics["check"]))
    return model.to("cpu", getattr(torch, dtype)), metrics


def _best_model(output_dir):
    """What the run saved as its best; states hold the last weights, which are not the same."""
    try:
        return EmoDistillModel.from_pretrained(os.path.join(output_dir, "best"))
    except (OSError, ValueError) as error:
        raise ValueError(
            f"the best model of the run cannot be read ({error}); remove "
            f"{os.path.join(output_dir, 'states')}, and the same command trains from the start"
        ) from error


def _fit(model, parts, dimensions):
    """Dimensions, background and reference vocabulary of the training texts."""
    validator, rows = parts.validator, parts.dimension_rows
    background = validator.embed(model, validator.background)
    if dimensions and parts.rated and model.dimension_head is not None:
        embeds = validator.embed(model, [row["text"] for row in rows])
        ratings = torch.tensor([row["rating"] for row in rows])
        refit_dimensions(model, embeds, ratings, [row.get("source") or "" for row in rows])
    model.set_background(background)
    rows = parts.background_rows
    weights = [row["weights"] for row in rows]
    if words := parts.words:
        embeds = encode_labels(model, parts.tokenizer, words)
        fit_reference(model, background, weights, [row.get("source") or "" for row in rows], words, embeds)
    elif words := model.config.reference_words:  # too few words: those it had, embedded anew, as their own directions
        model.set_reference(words, encode_labels(model, parts.tokenizer, words))


@torch.no_grad()
def _keep_statistics(model, start, tokenizer):
    """Background, reference vocabulary and decisions of the start; its words are embedded anew."""
    for name in ("background_mean", "background_covariance", "background_count"):
        getattr(model, name).copy_(getattr(start, name))
    words = start.config.reference_words
    if words:
        embeds, (_, directions) = encode_labels(model, tokenizer, words), start.reference
        model.set_reference(words, embeds, directions.to(embeds), start.reference_priors)
    model.config.decision = start.config.decision


def mix_with_start(model, start, keep_trained, whole=False):
    """
    Interpolate weights with the ones training started from: drift costs transfer.

    Args:
        model ([`EmoDistillModel`]): Changed in place.
        start ([`EmoDistillModel`]): Where training started.
        keep_trained (`float`): Share of the trained weights.
        whole (`bool`, *optional*, defaults to `False`): Whether all weights are mixed, for a start that was a trained
            model; otherwise the text encoder's alone, because fresh heads have nothing to go back to.
    """
    model, start = (model, start) if whole else (model.text_encoder, start.text_encoder)
    origin = dict(start.named_parameters())
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.lerp(origin[name].to(parameter.device), parameter, keep_trained))


@torch.no_grad()
def fit_reference(model, embeds, weights, sources, words, word_embeds):
    """
    Give the model a reference vocabulary, over which the labels of a set are extended.

    A word's direction lies between its label embedding and its prototype, the mean embedding of the texts it is true
    of, weighted by their targets, less the mean of their source: what they have in common beside where they come
    from. The contrastive loss looks for what tells a word from its neighbours, which changes from source to source;
    the prototype, for what its texts are like, which carries over.

    Args:
        model ([`EmoDistillModel`]): Changed in place.
        embeds (`torch.Tensor` of shape `(texts, d)`): Text embeddings.
        weights (`list[dict[str, float]]`): The weighted labels of each text.
        sources (`list[str]`): Where each text comes from.
        words (`list[str]`): The vocabulary; each word is true of some text.
        word_embeds (`torch.Tensor` of shape `(words, d)`): Label embeddings of the words, L2-normalised.
    """
    centred, word_embeds = _centre(embeds.cpu().double(), _groups(sources)), word_embeds.cpu().double()
    targets = torch.tensor([[labels.get(word, 0.0) for word in words] for labels in weights], dtype=torch.double)
    normalize = torch.nn.functional.normalize
    prototypes = normalize(targets.T @ centred, dim=-1)
    directions = normalize(PROTOTYPE_SHARE * prototypes + (1.0 - PROTOTYPE_SHARE) * word_embeds, dim=-1)
    own = peoples_texts(sources)
    model.set_reference(words, word_embeds, directions, priors=targets[own].mean(dim=0).clamp(max=1.0))


@torch.no_grad()
def refit_dimensions(model, embeds, ratings, sources):
    """
    Fit the dimension head to changed embeddings, by ridge regression on ratings of texts, within sources.

    Texts and ratings are centred on their source's means: what else than the ratings tells sources apart is none of
    the dimensions' business.
    Each dimension has a penalty of its own: the one with which a fit on all other sources correlates best with the
    ratings of a source, on average over sources. What must serve texts of any kind should not lean on one kind.

    Args:
        model ([`EmoDistillModel`]): Its head is replaced in place.
        embeds (`torch.Tensor` of shape `(texts, d)`): Text embeddings.
        ratings (`torch.Tensor` of shape `(texts, dimensions)`): The texts' ratings, 1 to 9; `nan` where unknown.
        sources (`list[str]`): Where each text comes from.
    """
    known = ~ratings.isnan().any(dim=1)
    if not known.any():  # the lexicon has none of the labels: the head stays as it was trained
        return
    inputs = embeds.cpu()[known].double()
    targets = (ratings[known].double() - DIMENSION_MIDDLE) / DIMENSION_HALF_RANGE
    groups = _groups([source for source, is_known in zip(sources, known.tolist(), strict=True) if is_known])
    middle, centre = targets.mean(dim=0), inputs.mean(dim=0)
    inputs, targets = _centre(inputs, groups), _centre(targets, groups)
    transfer = torch.stack([_transfer(inputs, targets, groups, penalty) for penalty in PENALTIES])
    for dimension, best in enumerate(transfer.argmax(dim=0).tolist()):
        weight = _ridge(inputs, targets[:, dimension], PENALTIES[best])
        model.dimension_head.weight[dimension] = weight
        model.dimension_head.bias[dimension] = middle[dimension] - centre @ weight


def _groups(sources):
    """A number for each text's source. Sources of few texts have no mean of their own worth the name: they share 0."""
    numbers = Counter(sources)
    names = [name for name in sorted(numbers) if numbers[name] >= MIN_SOURCE]
    places = {name: place for place, name in enumerate(names, start=1)}
    return torch.tensor([places.get(name, 0) for name in sources])


def _centre(values, groups):
    """Values less the mean of their group."""
    centred = values.clone()
    for group in groups.unique():
        inside = groups == group
        centred[inside] -= values[inside].mean(dim=0)
    return centred


def _ridge(inputs, targets, penalty):
    """Weight for centred inputs and targets, these of shape `(texts,)` or `(texts, dimensions)`."""
    gram = inputs.T @ inputs + penalty * len(inputs) * torch.eye(inputs.shape[1], dtype=inputs.dtype)
    return torch.linalg.solve(gram, inputs.T @ targets)


def _transfer(inputs, targets, groups, penalty):
    """Mean correlation, for each dimension, of the centred ratings of one source with a fit on all others."""
    values = []
    for group in groups.unique():
        inside = groups == group
        if min(inside.sum(), (~inside).sum()) < MIN_SOURCE:
            continue
        weight = _ridge(inputs[~inside], targets[~inside], penalty)
        values.append(_correlation(inputs[inside] @ weight, targets[inside]))
    return torch.stack(values).mean(dim=0) if values else torch.zeros(targets.shape[1])


def _correlation(first, second):
    """Pearson's r of each column."""
    first, second = first - first.mean(dim=0), second - second.mean(dim=0)
    return (first * second).sum(dim=0) / (first.norm(dim=0) * second.norm(dim=0)).clamp(min=1e-12)


def save_trained(model, tokenizer, folder, record=None):
    """Write a checkpoint: configuration, one safetensors file, tokenizer, `training.json`; complete or not at all."""
    with writing_folder(folder, replace=True) as temporary:
        model.save_pretrained(temporary)
        tokenizer.save_pretrained(temporary)
        if record is not None:
            write_json(temporary / "training.json", record)
