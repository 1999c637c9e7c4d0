"""SetFit's recipe on the text tower of a checkpoint: the `setfit` package trains, the tower and its tokens are ours.

Tunstall et al. 2022, "Efficient Few-Shot Learning Without Prompts": the encoder is trained on pairs of the labelled
texts, which share a label or do not, and logistic regression on its embeddings decides. `pip install setfit`; it is
no extra of this package, which needs it for one comparison.
"""

import tempfile

import numpy as np

__all__ = ["setfit_predictions", "text_tower"]


def text_tower(checkpoint=None):
    """
    The text tower of a checkpoint as a `SentenceTransformer`, to be trained further.

    Args:
        checkpoint (`str`, *optional*): As in [`load_checkpoint`].

    Returns:
        `sentence_transformers.SentenceTransformer`: embeddings are those of `model.get_text_features`.
    """
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import InputModule

    from ..encoding_emodistill import tokenize_texts
    from ..loading import load_checkpoint

    model, tokenizer = load_checkpoint(checkpoint)
    for tower in (model.label_encoder, model.label_projection):
        tower.requires_grad_(False)

    class TextTower(InputModule):
        """Texts to token ids, of the first window alone, and to embeddings."""

        def __init__(self):
            super().__init__()
            self.model, self.tokenizer = model.float(), tokenizer

        def preprocess(self, inputs, prompt=None, **_):
            rows = tokenize_texts(tokenizer, model.config, list(inputs), max_windows=1).windows
            return dict(tokenizer.pad({"input_ids": rows}, return_tensors="pt"))

        def forward(self, features, **_):
            kept = {name: features[name] for name in ("input_ids", "attention_mask")}
            return {**features, "sentence_embedding": self.model.get_text_features(**kept)}

        def save(self, output_path, *args, **kwargs):
            """Nothing: what a draw trains is measured and thrown away."""

    return SentenceTransformer(modules=[TextTower()], device="cpu")


def setfit_predictions(texts, targets, others, checkpoint=None, pairs=5, seed=0):
    """
    Train on labelled texts, several labels a text, and decide for others.

    Args:
        texts (`list[str]`): The labelled texts.
        targets (`np.ndarray` of shape `(texts, labels)`): Whether a label holds.
        others (`list[str]`): The texts to decide.
        checkpoint (`str`, *optional*): Where the tower starts from.
        pairs (`int`, *optional*, defaults to 5): Pairs of like and as many of unlike texts for each text.
        seed (`int`, *optional*, defaults to 0): Of the training.

    Returns:
        `np.ndarray` of shape `(others, labels)`: booleans.
    """
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments
    from sklearn.linear_model import LogisticRegression
    from sklearn.multiclass import OneVsRestClassifier

    targets = np.asarray(targets).astype(int)
    held = np.flatnonzero((targets.sum(axis=0) > 0) & (targets.sum(axis=0) < len(targets)))
    head = OneVsRestClassifier(LogisticRegression(max_iter=200, class_weight="balanced"))  # as beside it
    model = SetFitModel(text_tower(checkpoint), head, multi_target_strategy="one-vs-rest")
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            folder, num_iterations=pairs, num_epochs=1, seed=seed, report_to="none", save_strategy="no",
            show_progress_bar=False,
        )  # fmt: skip
        table = Dataset.from_dict({"text": list(texts), "label": targets[:, held].tolist()})
        Trainer(model, arguments, train_dataset=table).train()
    predicted = np.zeros((len(others), targets.shape[1]), dtype=bool)
    predicted[:, held] = np.asarray(model.predict(list(others), show_progress_bar=False)) > 0
    return predicted
