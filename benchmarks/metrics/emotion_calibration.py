"""Calibration of emotion probabilities, as an `evaluate` module."""

import datasets
import evaluate

from .measures import calibration_measures

__all__ = ["EmotionCalibration"]

DESCRIPTION = """
Expected calibration error (equal-width bins) and Brier score of probabilities. `predictions` are probabilities and
`references` 0 or 1, one row of labels a text; `bins` (an argument of `compute`) is the number of bins, 15 by
    default.
"""
CITATION = """
@inproceedings{guo2017calibration, title={On Calibration of Modern Neural Networks},
author={Guo, Chuan and Pleiss, Geoff and Sun, Yu and Weinberger, Kilian Q.}, booktitle={ICML}, year={2017}}
"""


class EmotionCalibration(evaluate.Metric):
    """`compute(predictions=, references=, bins=15)`; see `measures.calibration_measures` for the result."""

    def _info(self):
        return evaluate.MetricInfo(
            description=DESCRIPTION,
            citation=CITATION,
            features=datasets.Features(
                {
                    "predictions": datasets.Sequence(datasets.Value("float64")),
                    "references": datasets.Sequence(datasets.Value("int64")),
                }
            ),
        )

    def _compute(self, predictions, references, bins=15):
        return calibration_measures(references, predictions, bins)
