"""Agreement with human ratings of an emotion dimension, as an `evaluate` module."""

import datasets
import evaluate

from .measures import regression_measures

__all__ = ["EmotionRegression"]

DESCRIPTION = """
Pearson and Spearman correlation, Lin's concordance correlation, mean absolute error, and the mean absolute error
after the least-squares line from predictions to references, for one dimension such as valence.
"""
CITATION = """
@article{lin1989concordance, title={A concordance correlation coefficient to evaluate reproducibility},
author={Lin, Lawrence I-Kuei}, journal={Biometrics}, volume={45}, year={1989}}
"""


class EmotionRegression(evaluate.Metric):
    """`compute(predictions=, references=)`; see `measures.regression_measures` for the result."""

    def _info(self):
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation=CITATION,
            features=datasets.Features(
                {"predictions": datasets.Value("float64"), "references": datasets.Value("float64")}
            ),
        )

    def _compute(self, predictions, references):
        return regression_measures(references, predictions)
