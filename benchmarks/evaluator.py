"""An `evaluate.Evaluator` for the `zero-shot-emotion` pipeline.

>>> from emodistill.benchmarks.evaluator import ZeroShotEmotionEvaluator
>>> evaluator = ZeroShotEmotionEvaluator()
>>> evaluator.compute(pipe, data, labels=["joy", "anger"])  # doctest: +SKIP
{'macro_f1': ..., 'macro_roc_auc': ..., 'total_time_in_seconds': ...}
"""

import numpy as np
from evaluate import Evaluator

from .metrics import metric_path

__all__ = ["ZeroShotEmotionEvaluator"]

TASK = "zero-shot-emotion"


class ZeroShotEmotionEvaluator(Evaluator):
    """Drives the pipeline over a data set and measures its decisions and scores.

    References: a column of label names, of label indices, or of 0/1 rows; several a text (multi-label) or one
    (single-label).

    Args:
        task (`str`): The pipeline's task.
        default_metric_name (`str`, *optional*): Path of a metric; `emotion_multi_label` or `emotion_single_label`
            by default.
    """

    def __init__(self, task=TASK, default_metric_name=None):
        super().__init__(task, default_metric_name=default_metric_name)
        self.labels, self.multi_label = None, True

    def prepare_pipeline(self, model_or_pipeline=None, tokenizer=None, feature_extractor=None, device=None):
        """A pipeline from a path, a model with its tokenizer, a pipeline, or nothing (the default checkpoint).

        Overrides the base class, which asks transformers for a TensorFlow class that version 5 does not have.
        """
        from transformers import PreTrainedModel, pipeline

        if model_or_pipeline is None or isinstance(model_or_pipeline, (str, PreTrainedModel)):
            options = {} if tokenizer is None else {"tokenizer": tokenizer}
            return pipeline(self.task, model=model_or_pipeline, device=device, **options)
        if getattr(model_or_pipeline, "task", None) != self.task:
            raise ValueError(f"model_or_pipeline: a pipeline for the task {self.task} is expected.")
        return model_or_pipeline

    def prepare_metric(self, metric=None):
        """The metric module; ours for the kind of decision by default, loaded from the package's own files."""
        import evaluate

        if metric is None:
            name = "emotion_multi_label" if self.multi_label else "emotion_single_label"
            metric = self.default_metric_name or metric_path(name)
        return evaluate.load(metric) if isinstance(metric, str) else metric

    def prepare_data(self, data, input_column="text", label_column="label", **kwargs):
        """References as label indices or 0/1 rows, and the texts."""
        self.check_required_columns(data, {"input_column": input_column, "label_column": label_column})
        references = [self.reference(value) for value in data[label_column]]
        return {"references": references}, list(data[input_column])

    def reference(self, value):
        """One reference: a row of 0 and 1 (multi-label) or a label index."""
        if not self.multi_label:
            return self.place(value)
        values = [value] if isinstance(value, (str, int)) else list(value)
        if len(values) == len(self.labels) and all(v in (0, 1) and not isinstance(v, str) for v in values):
            return [int(v) for v in values]
        row = [0] * len(self.labels)
        for entry in values:
            row[self.place(entry)] = 1
        return row

    def place(self, value):
        """The index of a label given by name or index, `ValueError` otherwise."""
        if isinstance(value, str) and value in self.labels:
            return self.labels.index(value)
        if not isinstance(value, str) and 0 <= int(value) < len(self.labels):
            return int(value)
        raise ValueError(f"label_column: {value!r} is none of the {len(self.labels)} labels.")

    def predictions_processor(self, predictions, label_mapping=None):
        """Pipeline output as rows in the order of the labels."""
        places = {label: index for index, label in enumerate(self.labels)}
        scores = np.zeros((len(predictions), len(self.labels)))
        chosen = np.zeros(scores.shape, dtype=int)
        for row, output in enumerate(predictions):
            for label, score in zip(output["labels"], output["scores"], strict=True):
                scores[row, places[label]] = score
            for label in output["predicted"]:
                if label in places:  # `neutral` is the pipeline's word for nothing, also where it is no label
                    chosen[row, places[label]] = 1
        if self.multi_label:
            return {"predictions": chosen.tolist(), "scores": scores.tolist()}
        return {"predictions": scores.argmax(axis=1).tolist(), "labels": len(self.labels)}

    def compute(self, model_or_pipeline=None, data=None, labels=None, multi_label=True, **kwargs):
        """Measure a pipeline.

        Args:
            model_or_pipeline (*optional*): Path, model, or pipeline; the default checkpoint if absent.
            data (`datasets.Dataset` or `str`): Texts and references.
            labels (`list[str]`): The label set, in the order of the references' indices.
            multi_label (`bool`): Whether a text may have several labels.
            kwargs: The other arguments of `evaluate.Evaluator.compute`, such as `input_column` and `label_column`.

        Returns:
            `dict`: the metric's values and the time taken.
        """
        if not labels:
            raise ValueError("labels: name the label set.")
        if kwargs.get("strategy", "simple") != "simple":
            raise ValueError("strategy: only 'simple'; `emodistill evaluate` gives bootstrap intervals.")
        self.labels, self.multi_label = list(labels), multi_label
        self.PIPELINE_KWARGS = {"labels": self.labels, "multi_label": multi_label}
        return super().compute(model_or_pipeline, data, **kwargs)
