"""`emodistill score`, from a file to files, beside the bare text tower on the same texts."""

import csv
import itertools
import random
import statistics
import tempfile
from pathlib import Path

from .systems import tower_of
from .texts import FEELINGS, stream_of_forums, texts_of_forums
from .timing import in_turn, median_ratio

__all__ = ["against_the_tower", "score_arms", "write_table_of_texts"]


def write_table_of_texts(path, rows, distinct=None, seed=0):
    """
    A CSV or Parquet file of made-up texts with an id and a region.

    Args:
        path (`Path`): The file; its suffix names the format.
        rows (`int`): How many.
        distinct (`int`, *optional*): Different texts; all by default.
        seed (`int`, *optional*): The same seed gives the same file.
    """
    draw = random.Random(seed)
    pool = texts_of_forums(distinct, seed) if distinct else None
    texts = (pool[draw.randrange(distinct)] for _ in range(rows)) if pool else stream_of_forums(rows, seed)
    table = ((number, text, draw.choice(("north", "south", "east"))) for number, text in enumerate(texts))
    if path.suffix == ".parquet":
        _write_parquet(path, table)
        return
    with open(path, "w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(itertools.chain([("id", "text", "region")], table))


def _write_parquet(path, table):
    import pyarrow.parquet

    kinds = pyarrow.schema({"id": pyarrow.int64(), "text": pyarrow.string(), "region": pyarrow.string()})
    with pyarrow.parquet.ParquetWriter(path, kinds) as writer:
        while rows := list(itertools.islice(table, 50_000)):
            writer.write_table(pyarrow.table(dict(zip(kinds.names, zip(*rows, strict=True), strict=True)), kinds))


def score_arms(classify, source, folder, batch_size=32):
    """
    Two functions for the clock: the bare text tower, and all that `emodistill score` does with the same file.

    Args:
        classify: A pipeline or an exported model.
        source (`str` or `Path`): A table with a column `text`.
        folder (`str` or `Path`): Where results are written, each run's into a new folder.
        batch_size (`int`, *optional*, defaults to 32): Texts in a batch.

    Returns:
        `dict[str, Callable[[], None]]`: `tower` and `score`.
    """
    from ...serving.columns import Layout
    from ...serving.engine import TextScorer
    from ...serving.folder import RunFolder
    from ...serving.run import ScoringRun
    from ...serving.source import TextTable

    scorer = TextScorer(classify, list(FEELINGS), batch_size=batch_size, multi_label=True)
    texts = [row.text for row in TextTable(str(source)).rows()]

    def score():
        run = RunFolder(Path(tempfile.mkdtemp(dir=folder), "scored"), "parquet")
        run.agree({})
        scoring = ScoringRun(run, scorer, Layout(tuple(scorer.names), single_label=False), quiet=True)
        scoring(TextTable(str(source)).rows())

    return {"tower": tower_of(classify, texts, batch_size), "score": score}


ROWS = 16  # of the file, for each text of the other parts: a file's start and end must not decide


def against_the_tower(bench, _, settings):
    """Texts a second of `score`, of the text tower alone, and the ratio; a row for each backend."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "texts.csv")
        write_table_of_texts(source, settings.texts * ROWS)
        for backend in settings.backends:
            seconds = in_turn(
                score_arms(bench[backend], source, folder, settings.batch_size), settings.repeats, settings.clock
            )
            rates = {name: settings.texts * ROWS / statistics.median(values) for name, values in seconds.items()}
            rows.append(
                {
                    "system": f"emodistill score, {backend}",
                    "rows": settings.texts * ROWS,
                    "threads": bench.threads,
                    "texts_per_second": rates["score"],
                    "tower_texts_per_second": rates["tower"],
                    "share_of_the_tower": median_ratio(seconds["tower"], seconds["score"]),
                }
            )
    return rows
