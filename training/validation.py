"""Validation without human labels: retrieval of held-out descriptors and the plain words the lexicon implies."""

from collections import Counter

import torch

from ..decision_emodistill import (
    NEUTRAL,
    DecisionConstants,
    EmbeddedLabels,
    LabelStatistics,
    score_labels,
)
from ..encoding_emodistill import encode_labels, encode_texts, evaluating
from .data import even_rows

__all__ = ["Validator", "macro_f1", "mean_average_precision"]

PLAIN_WORDS = 60  # plain words to validate on: the most frequent in the validation texts


def mean_average_precision(scores, relevant):
    """
    Mean over texts of the average precision with which their labels are ranked; texts without labels are left out.

    Args:
        scores (`torch.Tensor` of shape `(texts, labels)`): Any scores.
        relevant (`torch.BoolTensor` of shape `(texts, labels)`): The labels a text has.

    Returns:
        `float`: between 0 and 1; `nan` if no text has a label.

    Example:

    ```python
    >>> import torch
    >>> from emodistill.training.validation import mean_average_precision

    >>> scores = torch.tensor([[0.9, 0.5, 0.1]])
    >>> round(mean_average_precision(scores, torch.tensor([[True, False, True]])), 4)  # (1/1 + 2/3) / 2
    0.8333

    ```
    """
    keep = relevant.any(dim=1)
    scores, relevant = scores[keep], relevant[keep]
    if not len(scores):
        return float("nan")
    ranked = relevant.gather(1, scores.argsort(dim=1, descending=True, stable=True)).float()
    precision = ranked.cumsum(dim=1) / torch.arange(1, ranked.shape[1] + 1, device=ranked.device)
    return ((precision * ranked).sum(dim=1) / ranked.sum(dim=1)).mean().item()


def macro_f1(predicted, relevant):
    """
    F1 averaged over labels; a label neither predicted nor present counts 0, as in scikit-learn's default.

    Args:
        predicted (`torch.BoolTensor` of shape `(texts, labels)`): Decisions.
        relevant (`torch.BoolTensor` of shape `(texts, labels)`): The labels a text has.

    Returns:
        `float`: between 0 and 1.
    """
    hits = (predicted & relevant).sum(dim=0).float()
    f1 = 2 * hits / (predicted.sum(dim=0) + relevant.sum(dim=0)).clamp(min=1)
    return f1.mean().item()


class Validator:
    """
    Measures a model on held-out texts; no human label takes part.

    Args:
        rows (`list[dict]`): Validation rows with `text` and `labels`.
        lexicon ([`Lexicon`]): Held-out descriptors and implied words.
        tokenizer (`PreTrainedTokenizerBase`): The model's tokenizer.
        background (`list[str]`): Unlabelled training texts to standardise scores against.
        batch_size (`int`, *optional*, defaults to 64): Texts in a batch.
        autocast (`bool`, *optional*, defaults to `False`): Whether to compute in bf16.
    """

    def __init__(self, rows, lexicon, tokenizer, background, batch_size=64, autocast=False):
        self.tokenizer, self.background = tokenizer, background
        self.batch_size, self.autocast = batch_size, autocast
        self.rows, self.lexicon = rows, lexicon
        self.texts = [row["text"] for row in rows]
        labels = [set(row["labels"]) for row in rows]
        # Without held-out descriptors (one's own data without a lexicon), all descriptors of the held-out texts.
        present = sorted({label for row in labels for label in row})
        self.descriptors = [label for label in present if label in lexicon.held_out] or present
        self.descriptor_targets = _matrix(labels, self.descriptors)
        implied = [row | {word for label in row for word in lexicon.implies.get(label, ())} for row in labels]
        kept_out = lexicon.held_out | {NEUTRAL}  # which decisions do not take for one label among others
        # Sorted, or which of like frequent words are asked for, and so which weights are best, would be chance.
        counts = Counter(word for words in implied for word in sorted(words - kept_out))
        self.plain_words = [word for word, _ in counts.most_common(PLAIN_WORDS)]
        self.plain_targets = _matrix(implied, self.plain_words)
        self.closed = [row["closed"] for row in rows if row.get("closed")]

    def sampled(self, number):
        """
        A validator on some of the texts, evenly spread, for measuring while training. Of a background with texts that
        differ it has two at least that do, since like ones have no covariance.

        Args:
            number (`int`, *optional*): How many texts; all by default.

        Returns:
            [`Validator`]: this one, where all texts are wanted.
        """
        if not number or number >= len(self.rows):
            return self
        rows = [self.rows[place] for place in even_rows(self.rows, number)]
        background = self.background[:: -(-len(self.background) // max(2, number))]
        if len(set(background)) == 1:
            background += [text for text in self.background if text != background[0]][:1]
        return Validator(rows, self.lexicon, self.tokenizer, background, self.batch_size, self.autocast)

    def plain_constants(self):
        """Decision constants that expect as many plain words a text as there are."""
        return DecisionConstants(expected_labels=self.plain_targets.sum(dim=1).float().mean().item())

    def embed(self, model, texts):
        """Embeddings `(texts, d)` of the validator's `texts` or `background`."""
        with evaluating(model):
            return encode_texts(model, self.tokenizer, texts, batch_size=self.batch_size, autocast=self.autocast)

    @torch.no_grad()
    def __call__(self, model):
        """
        Embed the texts, set the model's background, and measure.

        Returns:
            `dict[str, float]`: as [`~Validator.measure`].
        """
        model.set_background(self.embed(model, self.background))
        return self.measure(model, self.embed(model, self.texts))

    @torch.no_grad()
    def measure(self, model, embeds):
        """
        Measure a model by the embeddings of the validation texts and of labels as they are: without extending them,
        so that checkpoints with a reference vocabulary and without one compare.

        Args:
            model ([`EmoDistillModel`]): With its background set.
            embeds (`torch.Tensor` of shape `(texts, d)`): Embeddings of `self.texts`.

        Returns:
            `dict[str, float]`: `retrieval_map` (held-out descriptors), `plain_f1` (macro-F1 over plain words, at the
            cut that fits their measured share) and their mean, `selection`.
        """
        with evaluating(model):
            descriptors = encode_labels(model, self.tokenizer, self.descriptors)
            plain = encode_labels(model, self.tokenizer, self.plain_words) if self.plain_words else None
        retrieval = mean_average_precision((embeds @ descriptors.T).cpu(), self.descriptor_targets)
        if plain is None:  # all texts are neutral
            return {"retrieval_map": retrieval, "plain_f1": 0.0, "selection": retrieval / 2}
        # Without a reference vocabulary, which would extend them.
        statistics = LabelStatistics(background=tuple(part.cpu() for part in model.background))
        label_set = EmbeddedLabels(self.plain_words, plain.cpu())
        scores = score_labels(embeds.cpu(), label_set, statistics, self.plain_constants(), multi_label=True)
        plain_f1 = macro_f1(scores >= 0.5, self.plain_targets)
        return {"retrieval_map": retrieval, "plain_f1": plain_f1, "selection": (retrieval + plain_f1) / 2}


def _matrix(rows, labels):
    return torch.tensor([[label in row for label in labels] for row in rows], dtype=torch.bool)
