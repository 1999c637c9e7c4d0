"""Multi-label emotion decisions and rankings, as an `evaluate` module."""

import datasets
import evaluate

from .measures import multi_label_measures

__all__ = ["EmotionMultiLabel"]

DESCRIPTION = """
Macro, micro and per-label F1, Jaccard index, label ranking average precision, ROC-AUC and average precision of
multi-label emotion predictions. `predictions` and `references` are 0/1 rows; `scores` (optional, an argument of
`compute`) are the values behind the predictions, one row a text.
"""
CITATION = """
@article{pedregosa2011scikit, title={Scikit-learn: Machine Learning in Python}, author={Pedregosa, F. and others},
journal={Journal of Machine Learning Research}, volume={12}, year={2011}}
"""


class EmotionMultiLabel(evaluate.Metric):
    """`compute(predictions=, references=, scores=None)`; see `measures.multi_label_measures` for the result."""

    def _info(self):
        rows = datasets.Sequence(datasets.Value("int64"))
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation=CITATION,
            features=datasets.Features({"predictions": rows, "references": rows}),
        )

    def _compute(self, predictions, references, scores=None):
        return multi_label_measures(references, predictions, scores)
