"""Figures that others published, as labelled constants; they stand in tables beside ours, marked as not ours."""

from dataclasses import dataclass

__all__ = ["PublishedFigure", "published_for"]

PAPER = "Niu and Mower Provost 2025, arXiv 2505.18040"


@dataclass(frozen=True)
class PublishedFigure:
    """One published number.

    Args:
        benchmark (`str`): A name of `readers.BENCHMARKS`.
        system (`str`): What was measured.
        measure (`str`): The measure, with its dimension where there is one.
        value (`float`): The figure.
        protocol (`str`): The protocol it was made under, in the words of `protocols`.
        source (`str`): Where it stands.
    """

    benchmark: str
    system: str
    measure: str
    value: float
    protocol: str
    source: str = PAPER


PUBLISHED = (
    PublishedFigure("semeval2018", "contrastive distillation, BERT-base", "macro_f1", 0.480, "paper"),
    PublishedFigure("semeval2018", "GPT-4", "macro_f1", 0.486, "prompted"),
    PublishedFigure("semeval2018", "BERT similarity", "macro_f1", 0.339, "paper"),
    PublishedFigure("semeval2018", "trained on human labels, unseen labels only", "macro_f1", 0.161, "paper"),
    PublishedFigure("isear", "contrastive distillation, BERT-base", "macro_f1", 0.479, "paper"),
    PublishedFigure("isear", "similarity baseline", "macro_f1", 0.504, "paper"),
    PublishedFigure("emobank", "contrastive distillation, BERT-base", "pearson valence", 0.593, "paper"),
    PublishedFigure("emobank", "contrastive distillation, BERT-base", "pearson arousal", 0.202, "paper"),
)


def published_for(benchmark):
    """The published figures of one benchmark, `list[PublishedFigure]`."""
    return [figure for figure in PUBLISHED if figure.benchmark == benchmark]
