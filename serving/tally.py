"""Counts over scored rows that add up from shard to shard: all that a summary or a report needs."""

import re
from collections import Counter

__all__ = ["Tally"]

MOST_GROUPS = 200  # more are no groups but names or numbers
MOST_COUNTS = 100_000  # numbers in the counts of one shard, by group or by day


class Tally:
    """
    Counts of rows, predicted labels and dimensions: in all, by group and by day.

    A cell is `{"rows": n, "none": rows without a label, "labels": {label: [predicted, asked]}, "dimensions": {name:
    [n, sum, sum of squares]}}`.
    """

    def __init__(self):
        self.rows = self.distinct = self.undated = 0
        self.cut = 0  # texts that were not read in full
        self.errors = Counter()
        self.total, self.groups, self.days = _cell(), {}, {}

    @classmethod
    def of_shard(cls, shard, scored, names, by_group=False, by_day=False):
        """
        Count one shard.

        Args:
            shard ([`Shard`]): The rows.
            scored ([`Scored`]): Their scores.
            names (`Sequence[str]`): The labels, where all rows have the same.
            by_group, by_day (`bool`): What is told apart.
        """
        tally = cls()
        tally.rows, tally.distinct, tally.cut = len(shard.rows), scored.distinct, len(scored.windows)
        dimensions = {name: column.tolist() for name, column in scored.dimensions.items()}
        known = set(names)
        for index, row in enumerate(shard.rows):
            if scored.errors[index] is not None:
                tally.errors[_kind(scored.errors[index])] += 1
                if (scored.predicted is not None and scored.predicted[index] is None) or row.error is not None:
                    continue
            own = scored.own[index][0] if scored.own else None
            predicted = set(scored.predicted[index]) if scored.predicted else set()
            cells = [tally.total]
            if by_group:
                cells.append(tally.groups.setdefault(row.group or "(none)", _cell()))
            if by_day and row.day:
                cells.append(tally.days.setdefault(row.day, _cell()))
            tally.undated += by_day and not row.day
            for cell in cells:
                _count(cell, predicted, known if own is None else set(own), own or ())
                for name, column in dimensions.items():
                    _count_value(cell, name, column[index])
        for cell in (tally.total, *tally.groups.values(), *tally.days.values()):
            cell["labels"] |= {name: [cell["labels"].get(name, [0, 0])[0], cell["rows"]] for name in names}
        tally._bound()
        return tally

    def _bound(self):
        """Too many cells are no picture; `None` says so."""
        width = len(self.total["labels"]) + len(self.total["dimensions"]) + 1
        if self.groups is not None and (len(self.groups) > MOST_GROUPS or len(self.groups) * width > MOST_COUNTS):
            self.groups = None
        if self.days is not None and len(self.days) * width > MOST_COUNTS:
            self.days = None

    def add(self, other):
        """Add the counts of another shard."""
        self.rows, self.distinct = self.rows + other.rows, self.distinct + other.distinct
        self.undated += other.undated
        self.cut += other.cut
        self.errors += other.errors
        _add(self.total, other.total)
        for name in ("groups", "days"):
            mine, theirs = getattr(self, name), getattr(other, name)
            if mine is None or theirs is None:
                setattr(self, name, None)
                continue
            for key, cell in theirs.items():
                _add(mine.setdefault(key, _cell()), cell)
        if self.groups is not None and len(self.groups) > MOST_GROUPS:
            self.groups = None

    def to_dict(self):
        """`dict`: Counts that JSON can carry."""
        return {**vars(self), "errors": dict(self.errors)}

    @classmethod
    def from_dict(cls, counts):
        tally = cls()
        vars(tally).update(counts, errors=Counter(counts["errors"]))
        return tally


def _kind(error):
    """Errors without their particulars, so that there are few."""
    return re.split("[:;]", error)[0][:80]


def _cell():
    return {"rows": 0, "none": 0, "labels": {}, "dimensions": {}}


def _count(cell, predicted, known, own):
    """Count a row's predicted labels, and with labels of its own those that it was asked for."""
    cell["rows"] += 1
    labels = cell["labels"]
    for label in own:
        labels.setdefault(label, [0, 0])[1] += 1
    hits = predicted & known
    cell["none"] += not hits
    for label in hits:
        labels.setdefault(label, [0, 0])[0] += 1


def _count_value(cell, name, value):
    sums = cell["dimensions"].setdefault(name, [0, 0.0, 0.0])
    sums[0] += 1
    sums[1] += value
    sums[2] += value * value


def _add(cell, other):
    cell["rows"] += other["rows"]
    cell["none"] += other["none"]
    for name, sums in other["labels"].items():
        mine = cell["labels"].setdefault(name, [0, 0])
        for place, value in enumerate(sums):
            mine[place] += value
    for name, sums in other["dimensions"].items():
        mine = cell["dimensions"].setdefault(name, [0, 0.0, 0.0])
        for place, value in enumerate(sums):
            mine[place] += value
