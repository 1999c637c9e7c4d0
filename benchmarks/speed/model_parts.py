"""A training step beside the text tower's own, and parameters and bytes of the checkpoint."""

import statistics

from .timing import in_turn, median_ratio

__all__ = ["sizes", "training_step"]

TEXTS, LENGTH, LABELS = 64, 32, 256


def training_step(bench, _, settings):
    """Forward and backward with a frozen, cached label tower, beside the text tower's own."""
    import torch

    from ... import EmoDistillModel
    from ...training.objective import Objective

    torch.manual_seed(0)
    model = EmoDistillModel.from_pretrained(bench.checkpoint)
    model.freeze_label_encoder()
    model.train()
    vocabulary = 4 * LABELS
    states = torch.randn(vocabulary, model.config.label_config.hidden_size)
    length = min(LENGTH, model.config.text_max_length)
    input_ids = torch.randint(4, model.config.text_config.vocab_size, (TEXTS, length))
    mask = torch.ones_like(input_ids)
    ids = torch.randperm(vocabulary)[:LABELS].sort().values
    targets = (torch.rand(TEXTS, vocabulary) < 0.02).float()
    dimensions = len(model.config.dimension_names)
    batch = {"label_ids": ids, "targets": targets, "ratings": torch.full((TEXTS, dimensions), 5.0)}
    synonyms = torch.rand(vocabulary, vocabulary) < 0.02
    objective = Objective(model, synonyms, torch.full((vocabulary, dimensions), 5.0), 1.0)

    def step():
        output = model(input_ids=input_ids, attention_mask=mask, label_states=states[ids])
        objective(output, batch).backward()
        model.zero_grad()

    def tower():
        model.get_text_features(input_ids, mask).sum().backward()
        model.zero_grad()

    seconds = in_turn({"tower": tower, "step": step}, settings.repeats, settings.clock)
    return [
        {
            "texts": TEXTS,
            "tokens": input_ids.shape[1],
            "labels": LABELS,
            "step_seconds": statistics.median(seconds["step"]),
            "tower_seconds": statistics.median(seconds["tower"]),
            "times_the_tower": median_ratio(seconds["step"], seconds["tower"]),
        }
    ]


def sizes(bench, *_):
    """Parameters and bytes of the text tower and of the whole, of the checkpoint and of the paper's system."""
    from ... import EmoDistillModel

    model = EmoDistillModel.from_pretrained(bench.checkpoint)
    return [_sizes("this checkpoint", model), _sizes("the paper's BERT-base system", _paper_model())]


def _sizes(name, model):
    parts = [model.text_encoder, model.text_projection, *([model.qformer] if model.qformer is not None else [])]
    tower = _count(*parts)
    kept = ("background", "reference")
    buffers = sum(buffer.numel() for part, buffer in model.named_buffers() if part.startswith(kept))
    return {
        "system": name,
        "tower_parameters": tower,
        "parameters": _count(model),
        "values_of_buffers": buffers,
        "half_precision_bytes": 2 * (_count(model) + buffers),
    }


def _count(*modules):
    """Parameters of some modules, shared ones once."""
    return sum({id(value): value.numel() for module in modules for value in module.parameters()}.values())


def _paper_model():
    """The paper's system at full size with random weights: BERT-base twice, Q-Former, projections to 768."""
    from transformers import BertConfig

    from ... import EmoDistillConfig, EmoDistillModel

    config = EmoDistillConfig(
        text_config=BertConfig(), label_config=BertConfig(), pooling="qformer", num_qformer_heads=12,
        projection_dim=768, freeze_label_encoder=True, dimension_names=[],
    )  # fmt: skip
    return EmoDistillModel(config)
