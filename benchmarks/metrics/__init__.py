"""Metric modules for `evaluate.load(path)`, and the measures behind them.

`measures.py` holds plain functions on arrays; each `emotion_*.py` wraps one of them as an `evaluate.Metric`, so
that
`evaluate.load(metric_path("emotion_multi_label"))` works offline. The modules load `measures.py` relatively,
hence a copy of this folder works anywhere.
"""

from pathlib import Path

__all__ = ["METRICS", "metric_path"]

METRICS = ("emotion_multi_label", "emotion_single_label", "emotion_regression", "emotion_calibration")


def metric_path(name):
    """The file to give to `evaluate.load`.

    Args:
        name (`str`): One of `METRICS`.

    Example:

    ```python
    >>> from emodistill.benchmarks.metrics import metric_path

    >>> metric_path("emotion_regression").rsplit("/", 1)[1]
    'emotion_regression.py'

    ```
    """
    if name not in METRICS:
        raise ValueError(f"metrics: no metric {name!r}; choose from {', '.join(METRICS)}.")
    return str(Path(__file__).with_name(f"{name}.py"))
