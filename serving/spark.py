"""Spark: a function for `mapInPandas`, with the schema of what it gives."""

from .batches import BatchScorer

__all__ = ["SparkScorer"]


class SparkScorer:
    """
    Adds columns of scores to a Spark data frame: one column a label, `predicted`, dimensions, `error`.

    Args:
        labels (*optional*): As the pipeline takes them.
        threads (`int`, *optional*, defaults to 1): Threads of torch in each worker; Spark starts one a core.
        arguments: Further arguments of [`BatchScorer`]: `text_column`, `model`, `multi_label`, `dimensions` ...

    Example:

    ```python
    from emodistill.serving.spark import SparkScorer

    frame = spark.read.parquet("s3://bucket/texts")
    score = SparkScorer(["joy", "anger", "fear"])
    frame.mapInPandas(score, score.schema(frame)).write.parquet("s3://bucket/scored")
    ```
    """

    def __init__(self, labels=None, threads=1, **arguments):
        self._batches = BatchScorer(labels, threads=threads, **arguments)

    def __call__(self, frames):
        """
        Score the batches of a partition.

        Args:
            frames (`Iterator[pandas.DataFrame]`): As `mapInPandas` gives them.

        Yields:
            `pandas.DataFrame`: each with the columns of the scores added.
        """
        for frame in frames:
            scores = self._batches.columns(frame[self._batches.text_column].tolist())
            yield frame.assign(**{name: list(values) for name, values in scores.items()})

    def schema(self, frame):
        """
        The schema of the scored frame; loads the model, to know its dimensions.

        Args:
            frame (`pyspark.sql.DataFrame`): The frame that is to be scored.

        Returns:
            `pyspark.sql.types.StructType`

        Raises:
            `ValueError`: if there is no column of texts, or the frame has one of the new columns already.
        """
        from pyspark.sql.types import ArrayType, FloatType, StringType, StructField, StructType

        self._batches.check_columns(frame.columns)
        predicted = StringType() if self._batches.single_label else ArrayType(StringType())
        kinds = {"predicted": predicted, "error": StringType()}
        added = [StructField(name, kinds.get(name, FloatType())) for name in self._batches.names]
        return StructType([*frame.schema.fields, *added])
