"""The columns of a scored table, and a shard of them as Parquet, CSV or JSONL."""

import io
import json
import math
from dataclasses import dataclass

from ..descriptors.spreadsheet import writing_csv
from ..files import write_bytes

__all__ = ["FORMATS", "Layout", "kept_types", "write_shard"]

FORMATS = ("parquet", "csv", "jsonl")
WINDOWS = ("windows_read", "windows_total")
DECIMALS = 6  # of scores written as text; fp32 has no more between 0.1 and 1


@dataclass(frozen=True)
class Layout:
    """
    Which columns there are.

    Args:
        labels (`tuple[str, ...]`): Label columns.
        own_labels (`bool`): Whether `labels` and `scores` are lists, because each row has labels of its own.
        single_label (`bool`): Whether `predicted` is one label, not a list.
        dimensions (`tuple[str, ...]`): Dimension columns.
        kept (`tuple[str, ...]`): Columns carried over from the input.
        id_column (`str`, *optional*): Name of the id column.
        text_column (`str`, *optional*): Name of the text column; `None` leaves texts out.
        prefix (`str`, *optional*): Put before the names of labels and dimensions.
        windows (`bool`, *optional*): Whether `windows_read` and `windows_total` tell of texts not read in full.

    Raises:
        `ValueError`: where two columns would have one name.
    """

    labels: tuple = ()
    own_labels: bool = False
    single_label: bool = True
    dimensions: tuple = ()
    kept: tuple = ()
    id_column: str | None = None
    text_column: str | None = "text"
    prefix: str = ""
    windows: bool = False

    def __post_init__(self):
        names = self.names
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(
                f"two columns of the output would be called {', '.join(map(repr, twice))}: put something before the "
                "names of labels and dimensions with --prefix, or leave the column out of --keep"
            )

    @property
    def carried(self):
        """`list[str]`: Names of the columns from the input, after `row`."""
        own = [name for name in (self.id_column, self.text_column) if name]
        return list(dict.fromkeys([*own, *self.kept]))

    @property
    def score_names(self):
        return [self.prefix + name for name in self.labels]

    @property
    def dimension_names(self):
        return [self.prefix + name for name in self.dimensions]

    @property
    def names(self):
        """`list[str]`: All columns in their order."""
        scores = ["labels", "scores"] if self.own_labels else self.score_names
        predicted = ["predicted"] if scores else []
        windows = WINDOWS if self.windows else ()
        return ["row", *self.carried, *scores, *predicted, *self.dimension_names, *windows, "error"]

    def record(self, row, index, scored):
        """One row as `{column: value}`, with lists where there are several labels and `None` where nothing is."""
        values = {"row": row.number}
        for name in self.carried:
            values[name] = _carried(self, row, name)
        if self.own_labels:
            labels, scores = scored.own[index] or (None, None)
            values |= {"labels": labels, "scores": None if scores is None else [_rounded(score) for score in scores]}
        elif self.labels:
            values |= dict(zip(self.score_names, map(_rounded, scored.scores[index].tolist()), strict=True))
        if self.own_labels or self.labels:
            values["predicted"] = self._predicted(scored.predicted[index])
        for name, column in zip(self.dimension_names, scored.dimensions.values(), strict=True):
            values[name] = _rounded(float(column[index]))
        if self.windows:
            values |= dict(zip(WINDOWS, scored.windows.get(index, (None, None)), strict=True))
        values["error"] = scored.errors[index]
        return values

    def _predicted(self, labels):
        if labels is None or not self.single_label:
            return labels
        return labels[0] if labels else None


def _carried(layout, row, name):
    if name == layout.text_column:
        return row.text
    return row.id if name == layout.id_column else row.kept.get(name)


def _rounded(value):
    return None if math.isnan(value) else round(value, DECIMALS)


def kept_types(layout, rows):
    """
    Types of the carried columns for Parquet, from the first rows: the same in every shard, or readers refuse.

    Args:
        layout ([`Layout`]): The columns.
        rows (`list[Row]`): The first shard.

    Returns:
        `dict[str, pyarrow.DataType]`: what all values are; text for what is mixed or nested.
    """
    import pyarrow

    types = {}
    for name in layout.carried:
        values = [value for row in rows if (value := _carried(layout, row, name)) is not None]
        kind = pyarrow.string()
        if name != layout.text_column and values and not all(isinstance(value, str) for value in values):
            try:
                kind = pyarrow.array(values).type
            except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError):
                kind = pyarrow.string()
        if pyarrow.types.is_integer(kind):  # what is whole in the first rows may not be so in all
            kind = pyarrow.int64() if all(isinstance(value, int) for value in values) else pyarrow.float64()
        types[name] = pyarrow.string() if pyarrow.types.is_nested(kind) else kind
    return types


def write_shard(path, kind, layout, shard, scored, types=None):
    """
    Write a shard, whole or not at all.

    Args:
        path (`str` or `Path`): The file.
        kind (`str`): One of [`FORMATS`].
        layout ([`Layout`]): The columns.
        shard ([`Shard`]): The rows.
        scored ([`Scored`]): Their scores.
        types (`dict`, *optional*): Output of [`kept_types`], for Parquet. A value that does not fit becomes null, and
            the row's `error` says so.
    """
    if kind == "csv":
        _write_csv(path, layout, shard, scored)
    else:
        write_bytes(path, _jsonl(layout, shard, scored) if kind == "jsonl" else _parquet(layout, shard, scored, types))


def _parquet(layout, shard, scored, types):
    import pyarrow
    import pyarrow.parquet

    errors = list(scored.errors)
    columns = {"row": pyarrow.array([row.number for row in shard.rows], pyarrow.int64())}
    for name in layout.carried:
        columns[name] = _column([_carried(layout, row, name) for row in shard.rows], types[name], name, errors)
    if layout.own_labels:
        lists = [(None, None) if own is None else own for own in scored.own]
        columns["labels"] = pyarrow.array([labels for labels, _ in lists], pyarrow.list_(pyarrow.string()))
        columns["scores"] = pyarrow.array([scores for _, scores in lists], pyarrow.list_(pyarrow.float32()))
    elif layout.labels:
        for name, values in zip(layout.score_names, scored.scores.T, strict=True):
            columns[name] = pyarrow.array(values, pyarrow.float32(), from_pandas=True)  # nan is null
    if layout.own_labels or layout.labels:
        kind = pyarrow.string() if layout.single_label else pyarrow.list_(pyarrow.string())
        columns["predicted"] = pyarrow.array([layout._predicted(labels) for labels in scored.predicted], kind)
    for name, values in zip(layout.dimension_names, scored.dimensions.values(), strict=True):
        columns[name] = pyarrow.array(values, pyarrow.float32(), from_pandas=True)
    if layout.windows:
        for place, name in enumerate(WINDOWS):
            counts = [scored.windows.get(index, (None, None))[place] for index in range(len(shard.rows))]
            columns[name] = pyarrow.array(counts, pyarrow.int64())
    columns["error"] = pyarrow.array(errors, pyarrow.string())
    buffer = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(columns), buffer, compression="zstd")
    return buffer.getvalue()


def _column(values, kind, name, errors):
    """A column of one type; what does not fit is left out, and its row says so."""
    import pyarrow

    if kind == pyarrow.string():
        return pyarrow.array([None if value is None else _as_text(value) for value in values], kind)
    try:
        return pyarrow.array(values, kind)
    except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, OverflowError):
        pass
    fitting = []
    for index, value in enumerate(values):
        try:
            fitting.append(pyarrow.array([value], kind)[0].as_py())
        except (pyarrow.ArrowInvalid, pyarrow.ArrowTypeError, OverflowError):
            fitting.append(None)
            reason = f"column {name!r}: {_as_text(value)[:80]!r} is not {kind} as in the first rows"
            errors[index] = reason if errors[index] is None else f"{errors[index]}; {reason}"
    return pyarrow.array(fitting, kind)


def _as_text(value):
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _jsonl(layout, shard, scored):
    lines = (
        json.dumps(layout.record(row, index, scored), ensure_ascii=False, default=str)
        for index, row in enumerate(shard.rows)
    )
    return "".join(line + "\n" for line in lines).encode("utf-8", "replace")


def _write_csv(path, layout, shard, scored):
    with writing_csv(path, layout.names) as table:
        for index, row in enumerate(shard.rows):
            table.write(_cell(value) for value in layout.record(row, index, scored).values())


def _cell(value):
    if value is None:
        return ""
    if isinstance(value, float):
        text = f"{value:.{DECIMALS}f}".rstrip("0").rstrip(".")
        return text if float(text) == value else repr(value)  # a column of the input stays as it is
    if isinstance(value, list | tuple):
        return "|".join(str(_cell(item)) for item in value)
    return _as_text(value)
