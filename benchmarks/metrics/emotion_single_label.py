"""Single-label emotion decisions, as an `evaluate` module."""

import datasets
import evaluate

from .measures import single_label_measures

__all__ = ["EmotionSingleLabel"]

DESCRIPTION = """
Macro-F1, accuracy, per-label F1 and confusion matrix of single-label emotion predictions, given as label indices.
`labels` (an argument of `compute`) is the number of labels; by default the highest index seen plus one.
"""
CITATION = """
@article{pedregosa2011scikit, title={Scikit-learn: Machine Learning in Python}, author={Pedregosa, F. and others},
journal={Journal of Machine Learning Research}, volume={12}, year={2011}}
"""


class EmotionSingleLabel(evaluate.Metric):
    """`compute(predictions=, references=, labels=None)`; see `measures.single_label_measures` for the result."""

    def _info(self):
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation=CITATION,
            features=datasets.Features(
                {"predictions": datasets.Value("int64"), "references": datasets.Value("int64")}
            ),
        )

    def _compute(self, predictions, references, labels=None):
        if labels is None:
            labels = int(max(max(predictions), max(references))) + 1
        return single_label_measures(references, predictions, labels)
