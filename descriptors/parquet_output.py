"""The configurations of a data set as Parquet files, all written or none."""

from collections import Counter
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from ..files import writing
from .rows import DIMENSIONS, SPLITS

__all__ = ["SCHEMAS", "ParquetSplits", "splits_of"]

BATCH_ROWS = 8192


def _schema(*strings, labels=True, ratings=False):
    fields = [(name, pa.string()) for name in strings]
    fields += [("labels", pa.list_(pa.string()))] if labels else []
    return pa.schema(fields + [(name, pa.float32()) for name in DIMENSIONS if ratings])


TEXTS = _schema("id", "source", "genre", "selection", "text")
SCHEMAS = {
    "default": pa.schema([*TEXTS, ("group", pa.string()), ("theme", pa.string())]),
    "goemotions": TEXTS,
    "closed28": _schema("id", "text", "source"),
    "rated": _schema("id", "text", "source", ratings=True),
    "lexicon": pa.schema(
        [*_schema("descriptor", labels=False, ratings=True), ("implies", pa.list_(pa.string())), ("count", pa.int32())]
    ),
    "unread": _schema("id", "source", "text", labels=False),
}


def splits_of(config):
    """
    The splits of a configuration: texts that nobody has read are all for training.

    Args:
        config (`str`): Its name.
    """
    return SPLITS[:1] if config == "unread" else SPLITS


class ParquetSplits:
    """
    Writes rows to `folder/config/split.parquet`. The files take their names at the end of the `with` block.

    Args:
        folder (`str` or `Path`): The data set's folder.
        configs (`list[str]`): The configurations it gets; each gets a file a split, be it empty.
    """

    def __init__(self, folder, configs):
        self.folder, self.configs = Path(folder), configs
        self.counts = Counter()
        self._rows, self._writers = {}, {}

    def __enter__(self):
        self._files = ExitStack()
        try:
            for config in self.configs:
                for split in splits_of(config):
                    path = self.folder / config / f"{split}.parquet"
                    file = self._files.enter_context(writing(path, "wb"))
                    writer = pq.ParquetWriter(
                        file, SCHEMAS[config], compression="zstd", compression_level=19, use_dictionary=False
                    )
                    self._writers[config, split], self._rows[config, split] = writer, []
        except BaseException as error:
            self._files.__exit__(type(error), error, error.__traceback__)
            raise
        return self

    def add(self, config, split, row):
        """
        Add one row.

        Args:
            config, split (`str`): Where it goes.
            row (`dict`): Its columns; what the configuration does not have is left out.
        """
        rows = self._rows[config, split]
        rows.append(row)
        self.counts[config, split] += 1
        if len(rows) >= BATCH_ROWS:
            self._flush(config, split)

    def _flush(self, config, split):
        rows = self._rows[config, split]
        self._writers[config, split].write_table(pa.Table.from_pylist(rows, schema=SCHEMAS[config]))
        rows.clear()

    def __exit__(self, *error):
        try:
            if error == (None, None, None):
                for config, split in self._writers:
                    if self._rows[config, split] or not self.counts[config, split]:
                        self._flush(config, split)
            for writer in self._writers.values():
                writer.close()
        except Exception as fault:
            self._files.__exit__(type(fault), fault, fault.__traceback__)
            raise
        return self._files.__exit__(*error)
