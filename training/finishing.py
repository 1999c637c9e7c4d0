"""From trained weights to a checkpoint: mixed with their start, dimensions fitted again, written whole."""

import os
import shutil

import torch

from ..modeling_emodistill import DIMENSION_HALF_RANGE, DIMENSION_MIDDLE

__all__ = ["export", "mix_with_start", "refit_dimensions"]

# Ridge penalty for each text: embeddings have length 1, so this is about the share of a direction's variance.
PENALTY = 1 / 750


def mix_with_start(model, start, keep_trained):
    """Interpolate the text encoder's weights with the ones it started from: drift costs transfer."""
    origin = dict(start.text_encoder.named_parameters())
    with torch.no_grad():
        for name, parameter in model.text_encoder.named_parameters():
            parameter.copy_(torch.lerp(origin[name].to(parameter.device), parameter, keep_trained))


@torch.no_grad()
def refit_dimensions(model, embeds, ratings):
    """
    Fit the dimension head to changed embeddings, by ridge regression on the lexicon's ratings.

    Args:
        model ([`EmoDistillModel`]): Its head is replaced in place.
        embeds (`torch.Tensor` of shape `(texts, d)`): Text embeddings.
        ratings (`torch.Tensor` of shape `(texts, dimensions)`): Mean ratings of the texts' descriptors, 1 to 9;
            `nan` where unknown.
    """
    known = ~ratings.isnan().any(dim=1)
    inputs = embeds.cpu()[known].double()
    targets = (ratings[known].double() - DIMENSION_MIDDLE) / DIMENSION_HALF_RANGE
    centre, middle = inputs.mean(dim=0), targets.mean(dim=0)
    inputs, targets = inputs - centre, targets - middle
    penalty = PENALTY * len(inputs) * torch.eye(inputs.shape[1], dtype=torch.float64)
    weight = torch.linalg.solve(inputs.T @ inputs + penalty, inputs.T @ targets)
    model.dimension_head.weight.copy_(weight.T)
    model.dimension_head.bias.copy_(middle - centre @ weight)


def export(model, tokenizer, folder):
    """Write a checkpoint: configuration, one safetensors file, tokenizer; complete or not at all."""
    temporary = folder + ".tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    model.save_pretrained(temporary)
    tokenizer.save_pretrained(temporary)
    shutil.rmtree(folder, ignore_errors=True)
    os.replace(temporary, folder)
