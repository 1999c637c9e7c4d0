"""Columns of scores for a batch of texts, in whichever process a cluster puts it."""

import math
from functools import lru_cache

from .engine import TextScorer
from .load import load_quietly
from .rows import Row, Shard

__all__ = ["BatchScorer"]


class BatchScorer:
    """
    Scores batches of texts; travels to other processes as its arguments, and loads the model there once a process.

    Args:
        labels (`list[str]`, `str` or `dict`, *optional*): As the pipeline takes them.
        text_column (`str`, *optional*, defaults to `"text"`): The column of texts.
        model (`str`, *optional*): Folder or Hub id of a checkpoint, or an export, which every machine must reach; the
            default checkpoint by default.
        device (`str` or `int`, *optional*): Where to; the first accelerator that the process sees by default.
        threads (`int`, *optional*): Threads of the model; what the process has by default.
        prefix (`str`, *optional*): Put before the names of label and dimension columns.
        batch_size (`int`, *optional*, defaults to 32): Texts in a batch of the model.
        options: Further arguments of the pipeline: `multi_label`, `threshold`, `dimensions` ...

    Raises:
        `ValueError`: for arguments that the pipeline does not take, when the first batch is scored.
    """

    def __init__(
        self,
        labels=None,
        text_column="text",
        model=None,
        device=None,
        threads=None,
        prefix="",
        batch_size=32,
        **options,
    ):
        self.text_column, self.prefix = text_column, prefix
        self.labels, self.batch_size, self.options = labels, batch_size, options
        self._place = (model, device, threads)
        self._scorer = None

    def __getstate__(self):
        return {**self.__dict__, "_scorer": None}

    @property
    def scorer(self):
        """[`TextScorer`]: loaded when it is first asked for."""
        if self._scorer is None:
            classify = _load(*self._place)
            self._scorer = TextScorer(classify, self.labels, batch_size=self.batch_size, **self.options)
        return self._scorer

    @property
    def names(self):
        """`list[str]`: The columns that are added: labels, `predicted`, dimensions, `error`."""
        scores = [self.prefix + name for name in self.scorer.names]
        predicted = ["predicted"] if scores else []
        return [*scores, *predicted, *(self.prefix + name for name in self.scorer.dimensions), "error"]

    @property
    def single_label(self):
        return not self.options.get("multi_label")

    def check_columns(self, columns):
        """
        Refuse a table without texts, and one of which columns would be lost to those that are added.

        Args:
            columns (`Iterable[str]`): Names of its columns.

        Raises:
            `ValueError`: naming the column.
        """
        columns = list(columns)
        if self.text_column not in columns:
            raise ValueError(f"text_column is {self.text_column!r}; the columns are {', '.join(columns)}")
        if taken := sorted(set(self.names) & set(columns)):
            raise ValueError(f"the table has {', '.join(map(repr, taken))} already; give prefix=, rename or drop them")

    def columns(self, texts):
        """
        Score some texts.

        Args:
            texts (`Iterable`): Texts; what is missing or no text gets an `error` and no scores.

        Returns:
            `dict`: for each of [`~BatchScorer.names`] a NumPy array of fp32 or a list of strings (`predicted` is a
            list of lists where several labels may hold).

        Raises:
            `ValueError`: for arguments that the pipeline does not take.
        """
        rows = [_row(number, text) for number, text in enumerate(texts)]
        scored = self.scorer.score(self.scorer.prepare(Shard(0, rows)))
        columns = {}
        for index, name in enumerate(self.scorer.names):
            columns[self.prefix + name] = scored.scores[:, index]
        if self.scorer.names:
            columns["predicted"] = [self._predicted(labels) for labels in scored.predicted]
        columns |= {self.prefix + name: values for name, values in scored.dimensions.items()}
        return {**columns, "error": scored.errors}

    def _predicted(self, labels):
        if labels is None or not self.single_label:
            return labels
        return labels[0] if labels else None


def _row(number, text):
    if text is None or (isinstance(text, float) and math.isnan(text)):
        return Row(number, None, "there is no text (null)")
    if not isinstance(text, str):
        return Row(number, None, f"it is {type(text).__name__}, not text")
    return Row(number, text.encode("utf-8", "replace").decode())


@lru_cache(maxsize=2)
def _load(model, device, threads):
    return load_quietly(model, device, threads)
