"""Parts of the towers: encoders without their poolers, token states pooled to one vector, the Q-Former."""

import torch
from torch import nn
from torch.nn import functional as F
from transformers import AutoModel

__all__ = [
    "EmoDistillQFormer", "check_tokens", "embedding_name", "encoder_from", "layers_of", "mean_of_tokens",
    "runs_of_like_length",
]  # fmt: skip

LABELS_OF_A_LENGTH = 16  # from this number on, labels of one length are encoded apart from longer ones


class EmoDistillAttention(nn.Module):
    """Multi-head attention from queries to a context, with a residual connection and layer norm before it."""

    def __init__(self, width, context_width, heads, dropout):
        super().__init__()
        self.heads = heads
        self.dropout = dropout
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(context_width, width)
        self.value = nn.Linear(context_width, width)
        self.output = nn.Linear(width, width)

    def _split(self, states):
        batch, length, width = states.shape
        return states.view(batch, length, self.heads, width // self.heads).transpose(1, 2)

    def forward(self, states, context=None, mask=None):
        queries = self.norm(states)
        context = queries if context is None else context
        attended = F.scaled_dot_product_attention(
            self._split(self.query(queries)),
            self._split(self.key(context)),
            self._split(self.value(context)),
            attn_mask=mask,
            dropout_p=self.dropout if self.training else 0.0,
        )
        attended = attended.transpose(1, 2).reshape(states.shape)
        return states + F.dropout(self.output(attended), self.dropout, self.training)


class EmoDistillQFormerLayer(nn.Module):
    """Queries look at one another, then at the tokens, then each thinks alone."""

    def __init__(self, config):
        super().__init__()
        width, dropout = config.text_config.hidden_size, config.qformer_dropout
        self.self_attention = EmoDistillAttention(width, width, config.num_qformer_heads, dropout)
        self.cross_attention = EmoDistillAttention(width, width, config.num_qformer_heads, dropout)
        self.feed_forward = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, config.qformer_intermediate_size),
            nn.GELU(),
            nn.Linear(config.qformer_intermediate_size, width),
            nn.Dropout(dropout),
        )

    def forward(self, states, tokens, mask):
        states = self.self_attention(states)
        states = self.cross_attention(states, tokens, mask)
        return states + self.feed_forward(states)


class EmoDistillQFormer(nn.Module):
    """
    Learned queries that cross-attend to token states (BLIP-2's Q-Former, arXiv 2301.12597), averaged to one vector.

    Args:
        config ([`EmoDistillConfig`]): Gives the number of queries, layers and heads.
    """

    def __init__(self, config):
        super().__init__()
        width = config.text_config.hidden_size
        if width % config.num_qformer_heads:
            raise ValueError(f"num_qformer_heads ({config.num_qformer_heads}) must divide the hidden size {width}")
        self.queries = nn.Parameter(torch.empty(config.num_queries, width))
        self.layers = nn.ModuleList(EmoDistillQFormerLayer(config) for _ in range(config.num_qformer_layers))
        self.norm = nn.LayerNorm(width)
        self.output = nn.Linear(width, width)

    def forward(self, tokens, attention_mask):
        """From `(batch, length, hidden)` token states and their mask to `(batch, hidden)`."""
        states = self.queries.to(tokens.dtype).expand(tokens.shape[0], -1, -1)
        mask = attention_mask[:, None, None, :].bool()
        for layer in self.layers:
            states = layer(states, tokens, mask)
        return self.output(self.norm(states).mean(dim=1))


def check_tokens(input_ids):
    """Tell what is missing where a tokenizer's output is no batch of tensors."""
    if not isinstance(input_ids, torch.Tensor):
        raise ValueError(
            f"input_ids must be a tensor, not {type(input_ids).__name__}: call the tokenizer with "
            'return_tensors="pt", and padding=True for several texts'
        )
    if input_ids.dim() != 2:
        raise ValueError(f"input_ids must have shape (batch, length), not {tuple(input_ids.shape)}")


def encoder_from(config):
    """An encoder of a configuration, its weights at random."""
    encoder = AutoModel.from_config(config)
    if getattr(encoder, "pooler", None) is not None:
        encoder.pooler = None  # never used here, and an unused parameter breaks distributed training
    return encoder


def layers_of(encoder):
    """The transformer layers of an encoder: its longest list of modules."""
    lists = [module for module in encoder.modules() if isinstance(module, nn.ModuleList)]
    if not lists:
        raise ValueError(f"{type(encoder).__name__} has no list of layers, so none of them can be frozen")
    return max(lists, key=len)


def embedding_name(encoder):
    """Parameter name of the word-embedding matrix within an encoder."""
    matrix = encoder.get_input_embeddings().weight
    return next(name for name, parameter in encoder.named_parameters() if parameter is matrix)


def runs_of_like_length(lengths):
    """Sorted lengths as `[(size, longest)]`: a run for each length, or for several where one has too few labels."""
    runs = []
    for place, length in enumerate(lengths):
        enough = runs and min(runs[-1][0], len(lengths) - place) >= LABELS_OF_A_LENGTH
        if not runs or (enough and length > runs[-1][1]):
            runs.append((1, length))
        else:
            runs[-1] = (runs[-1][0] + 1, length)
    return runs


def mean_of_tokens(tokens, attention_mask):
    """From `(batch, length, hidden)` token states and their mask to their mean, `(batch, hidden)`."""
    weights = attention_mask.to(tokens.dtype).unsqueeze(-1)
    return (tokens * weights).sum(dim=1) / weights.sum(dim=1).clamp(min=1.0)
