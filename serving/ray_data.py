"""Ray Data: a callable for `map_batches`."""

import numpy as np

from .batches import BatchScorer

__all__ = ["RayScorer"]


class RayScorer:
    """
    Adds columns of scores to batches of a `ray.data.Dataset`: one column a label, `predicted`, dimensions, `error`.

    Args:
        labels (*optional*): As the pipeline takes them.
        arguments: Further arguments of [`BatchScorer`]: `text_column`, `model`, `multi_label`, `dimensions` ...

    Example:

    ```python
    import ray
    from emodistill.serving.ray_data import RayScorer

    texts = ray.data.read_parquet("s3://bucket/texts")
    scored = texts.map_batches(
        RayScorer, fn_constructor_kwargs={"labels": ["joy", "anger", "fear"]}, batch_size=4096, num_cpus=1,
        compute=ray.data.ActorPoolStrategy(size=8),
    )
    scored.write_parquet("s3://bucket/scored")
    ```
    """

    def __init__(self, labels=None, **arguments):
        self._batches = BatchScorer(labels, **arguments)

    def __call__(self, batch):
        """
        Score a batch.

        Args:
            batch (`dict[str, np.ndarray]`): Columns, as `map_batches` gives them.

        Returns:
            `dict`: the columns with those of the scores.

        Raises:
            `ValueError`: if there is no column of texts, or the batch has one of the new columns already.
        """
        self._batches.check_columns(batch)
        scores = self._batches.columns(batch[self._batches.text_column].tolist())
        return {**batch, **{name: _array(values) for name, values in scores.items()}}


def _array(values):
    if isinstance(values, np.ndarray):
        return values
    array = np.empty(len(values), dtype=object)  # NumPy would make a table of lists of one length
    array[:] = values
    return array
