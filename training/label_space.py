"""One label space, several readers: a text tower beside the label tower of another checkpoint."""

import torch
from torch.nn import functional as F

from ..configuration_emodistill import EmoDistillConfig, set_dropout
from ..encoding_emodistill import encode_texts, evaluating
from ..loading import load_checkpoint, read_tokenizer
from ..modeling_emodistill import EmoDistillModel
from ..normalisation_emodistill import plain_texts
from ..weights_emodistill import encoder_weights

__all__ = ["align_text_tower", "build_on_label_space", "join_label_space", "load_trained", "rows_by_word_piece"]

# Names of the special word pieces in vocabularies that are otherwise the same, BERT's first.
SPECIAL = ({"[CLS]", "<s>"}, {"[SEP]", "</s>"}, {"[PAD]", "<pad>"}, {"[UNK]", "<unk>"}, {"[MASK]", "<mask>"})
PENALTY = 1e-3  # ridge penalty for each text; states and embeddings have length 1
ALIGNMENT_TEXTS = 4000


def rows_by_word_piece(known, wanted):
    """
    For each word piece of one vocabulary its row in another: the same pieces may stand in another order.

    Args:
        known (`dict[str, int]`): The vocabulary whose embeddings there are.
        wanted (`dict[str, int]`): The vocabulary to embed.

    Returns:
        `torch.LongTensor` of shape `(largest id + 1,)`: rows of `known`; the unknown piece's where it lacks one.

    Raises:
        `ValueError`: if more than one piece in a hundred is missing: labels would not be read alike.

    Example:

    ```python
    >>> from emodistill.training.label_space import rows_by_word_piece

    >>> rows_by_word_piece({"[UNK]": 0, "joy": 1, "[CLS]": 2}, {"<s>": 0, "<unk>": 1, "joy": 2}).tolist()
    [2, 0, 1]

    ```
    """
    aliases = {name: known[other] for names in SPECIAL for name in names for other in names if other in known}
    unknown = next((aliases[name] for name in ("[UNK]", "<unk>") if name in aliases), 0)
    rows = torch.full((max(wanted.values()) + 1,), unknown)
    missing = 0
    for piece, place in wanted.items():
        found = known.get(piece, aliases.get(piece))
        missing += found is None
        rows[place] = unknown if found is None else found
    if missing > len(wanted) // 100:
        raise ValueError(
            f"label_space: {missing} of {len(wanted)} word pieces of the text tower are unknown to its label tower; "
            "choose an encoder with the same word pieces, or leave label_space out"
        )
    return rows


def build_on_label_space(text_encoder, label_space, attention_dropout=None, dropout=None, **options):
    """
    A new model: a pretrained text encoder beside the label tower, dimensions and temperature of a checkpoint.

    One tokenizer serves both towers, so the label tower's word embeddings are put into its order; every label then has
    the embedding that it has in the checkpoint. The text tower's projection is still at its start: see
    [`align_text_tower`].

    Args:
        text_encoder (`str`): Folder or Hub id of the pretrained encoder.
        label_space (`str`): The checkpoint.
        attention_dropout (`float`, *optional*): Replaces the encoders' own.
        dropout (`float`, *optional*): Replaces the text encoder's own, of states and attention.
        options: Further arguments of [`EmoDistillConfig`].

    Returns:
        `tuple`: the model in fp32, its tokenizer, and the checkpoint's model and tokenizer.

    Raises:
        `ValueError`: if the two have other word pieces.
    """
    from transformers import AutoConfig

    text_config = AutoConfig.from_pretrained(text_encoder)
    set_dropout(text_config, attention_dropout)
    set_dropout(text_config, dropout, dropout)
    tokenizer = read_tokenizer(text_encoder, text_config.vocab_size, "encoder")
    source, theirs, label_side, rows = _label_side(tokenizer, label_space, attention_dropout)
    model = EmoDistillModel(EmoDistillConfig(text_config, **options | label_side)).float()
    model.text_encoder.load_state_dict(encoder_weights(text_encoder, model.text_encoder))
    _copy_label_tower(model, source, rows)
    return model, tokenizer, source, theirs


def join_label_space(init, label_space, attention_dropout=None, dropout=None):
    """
    A trained model's text tower beside the label tower, dimensions and temperature of another checkpoint.

    As [`build_on_label_space`], with the Q-Former of the trained model as well. Where its towers shared their word
    embeddings they go on doing so if the other label tower has the same ones, but for what eight bits round off, and
    have one each otherwise. Its background and reference vocabulary belong to the space that it leaves: they stay.

    Args:
        init (`str`): The trained checkpoint, whose text tower goes on.
        label_space (`str`): The checkpoint whose label space it joins; of any dimension.
        attention_dropout (`float`, *optional*): Replaces the encoders' own.
        dropout (`float`, *optional*): Replaces the text encoder's own, of states and attention.

    Returns:
        `tuple`: the model in fp32, its tokenizer, and the other checkpoint's model and tokenizer.

    Raises:
        `ValueError`: if the two have other word pieces.
    """
    trained = load_trained(init, attention_dropout, dropout)
    tokenizer = read_tokenizer(init, trained.config.text_config.vocab_size)
    source, theirs, label_side, rows = _label_side(tokenizer, label_space, attention_dropout)
    words = trained.text_encoder.get_input_embeddings().weight
    shared = trained.config.tie_word_embeddings and _same_words(
        words, source.label_encoder.get_input_embeddings().weight[rows]
    )
    stays = {"reference_words": [], "reference_priors": False, "tie_word_embeddings": shared}
    model = EmoDistillModel(EmoDistillConfig(**trained.config.to_dict() | label_side | stays)).float()
    model.text_encoder.load_state_dict(trained.text_encoder.state_dict())
    if model.qformer is not None:
        model.qformer.load_state_dict(trained.qformer.state_dict())
    _copy_label_tower(model, source, rows)
    if shared:  # the exact ones stay
        with torch.no_grad():
            model.text_encoder.get_input_embeddings().weight.copy_(words)
    return model, tokenizer, source, theirs


def _same_words(words, others):
    """Whether two matrices of word embeddings are one, though either may have been stored in eight bits."""
    if words.shape != others.shape:
        return False
    step = torch.maximum(words.abs().amax(dim=1), others.abs().amax(dim=1)) / 127
    return bool(((words - others).abs().amax(dim=1) <= 0.6 * step).all())  # half a step, and half precision's own


def load_trained(init, attention_dropout=None, dropout=None):
    """
    A trained checkpoint that goes on.

    Args:
        init (`str`): The checkpoint.
        attention_dropout (`float`, *optional*): Replaces the encoders' own.
        dropout (`float`, *optional*): Replaces the text encoder's own, of states and attention.

    Returns:
        [`EmoDistillModel`]: in fp32.
    """
    config = EmoDistillConfig.from_pretrained(init)
    for encoder in (config.text_config, config.label_config):
        set_dropout(encoder, attention_dropout)
    set_dropout(config.text_config, dropout, dropout)
    return EmoDistillModel.from_pretrained(init, config=config)


def _label_side(tokenizer, label_space, attention_dropout):
    """
    What a model takes from a label space, for the tokenizer of its own reader of texts.

    Returns:
        `tuple`: the space's model and tokenizer, arguments of [`EmoDistillConfig`], and the rows of the label tower's
        word embeddings.
    """
    source, theirs = load_checkpoint(label_space)
    rows = rows_by_word_piece(theirs.get_vocab(), tokenizer.get_vocab())
    label_config = type(source.config.label_config)(**source.config.label_config.to_dict() | {"vocab_size": len(rows)})
    set_dropout(label_config, attention_dropout)
    names = ("projection_dim", "dimension_names", "decision", "label_max_length")
    taken = {name: getattr(source.config, name) for name in names}
    return source, theirs, {"label_config": label_config, "freeze_label_encoder": False} | taken, rows


@torch.no_grad()
def _copy_label_tower(model, source, rows):
    states = source.label_encoder.state_dict()
    matrix = source.label_encoder.get_input_embeddings().weight
    model.label_encoder.load_state_dict(
        {
            name: value[rows] if value.shape == matrix.shape and torch.equal(value, matrix) else value
            for name, value in states.items()
        }
    )
    model.label_projection.load_state_dict(source.label_projection.state_dict())
    if model.dimension_head is not None:
        model.dimension_head.load_state_dict(source.dimension_head.state_dict())
    model.logit_scale.copy_(source.logit_scale)
    model.logit_bias.copy_(source.logit_bias)


@torch.no_grad()
def align_text_tower(model, tokenizer, source, source_tokenizer, texts, autocast=False):
    """
    Start the text projection where the encoder's own reading is nearest to the checkpoint's: a ridge regression.

    Args:
        model ([`EmoDistillModel`]): From [`build_on_label_space`]; its text projection is replaced.
        tokenizer (`PreTrainedTokenizerBase`): Its tokenizer.
        source ([`EmoDistillModel`]): The checkpoint's model.
        source_tokenizer (`PreTrainedTokenizerBase`): Its tokenizer.
        texts (`list[str]`): Texts that both read; some thousand are taken, evenly.
        autocast (`bool`, *optional*, defaults to `False`): Whether to compute in bf16.

    Returns:
        `float`: mean cosine of the two embeddings of a text afterwards.
    """
    texts = sorted(texts[:: -(-len(texts) // ALIGNMENT_TEXTS)], key=len)  # batches of like length
    source.to(model.device)
    with evaluating(source):
        wanted = encode_texts(source, source_tokenizer, texts, batch_size=64, autocast=autocast)
    states = []
    with evaluating(model):
        for start in range(0, len(texts), 64):
            batch = tokenizer(
                plain_texts(model.config, texts[start : start + 64]), padding=True, truncation=True,
                max_length=model.config.text_max_length, return_tensors="pt",
            ).to(model.device)  # fmt: skip
            with torch.autocast(model.device.type, dtype=torch.bfloat16, enabled=autocast):
                states.append(model.get_text_states(batch["input_ids"], batch["attention_mask"]).float())
    inputs = F.normalize(torch.cat(states), dim=-1).double()
    gram = inputs.T @ inputs + PENALTY * len(inputs) * torch.eye(inputs.shape[1]).to(inputs)
    weight = torch.linalg.solve(gram, inputs.T @ wanted.double()).T
    model.text_projection.weight.copy_(weight)
    return F.cosine_similarity(inputs @ weight.T, wanted.double()).mean().item()
