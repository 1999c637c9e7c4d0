"""The annotated texts of all inputs: which are left out, and which split the others belong to."""

from collections import Counter

from .inputs import HELD_OUT_GROUP, config_rows
from .labels import is_missing
from .matching import comparison_key, fingerprint
from .rows import check_row
from .splits import choose_groups, choose_held_out, split_of

__all__ = ["SplitChoice", "SurveyedTexts"]


class SurveyedTexts:
    """
    The texts of all inputs, in order; read twice, never held in memory as a whole.

    Args:
        inputs ([`DataInputs`]): Where they stand.
        evaluation ([`EvaluationTexts`]): What they may not repeat.

    Attributes:
        counts (`Counter`): How many texts carry each descriptor.
        sources (`set[str]`): Of the texts that are kept.
        ids (`dict[str, str]`): Where each id stands.
        groups (`dict`): The groups of contrasts.
        any_rated (`bool`): Whether a text has ratings of its own.
        dropped (`Counter`): Rows that are left out, by reason.

    Raises:
        `ValueError`: for a damaged row, two texts with one id, a group in two files, or where nothing is left.
    """

    def __init__(self, inputs, evaluation):
        self.inputs, self.evaluation = inputs, evaluation
        self.dropped, self.counts, self.sources = Counter(), Counter(), set()
        self.ids, self.groups, self.any_rated = {}, {}, False
        self._seen, self._left_out, self._unread_left_out = set(), set(), set()
        self._survey()

    def _all(self):
        for role in ("descriptors", "readings", "contrasts"):
            for source in getattr(self.inputs, role):
                for found in config_rows(source, "default"):
                    row = check_row(found)
                    if row is not None:
                        self._check_role(role, row, found)
                        yield found.place, source, row

    def _check_role(self, role, row, found):
        if role == "readings" and row["valence"] is None:
            raise ValueError(f"{found.place}: a reading has valence, arousal and dominance")
        if role == "contrasts":
            if row["group"] is None or row["theme"] is None:
                raise ValueError(f"{found.place}: a contrast has a `group` and a `theme`")
            if is_missing(found.values.get("source")):
                row["source"] = "contrast"

    def _all_unread(self):
        for source in self.inputs.unread:
            for found in config_rows(source, "unread"):
                row = check_row(found._replace(values=found.values | {"labels": ["neutral"]}))
                if row is not None:
                    yield found.place, source, row

    def _survey(self):
        known = set()
        for number, (place, source, row) in enumerate(self._all()):
            known.add(row["source"])
            if reason := self._reason(row, place, source):
                self._left_out.add(number)
                self.dropped[reason] += 1
                continue
            self.counts.update(row["labels"])
            self.sources.add(row["source"])
            self.any_rated |= row["valence"] is not None
        for number, (place, source, row) in enumerate(self._all_unread()):
            known.add(row["source"])
            if reason := self._reason(row | {"group": None}, place, source):
                self._unread_left_out.add(number)
                self.dropped[f"unread, {reason}"] += 1
        if unknown := sorted(set(self.inputs.without) - known):
            raise ValueError(f"--without {unknown[0]}: no text has this source; there are {', '.join(sorted(known))}")
        if not self.counts:
            raise ValueError("no row is left to build from")

    def _reason(self, row, place, source):
        if row["source"] in self.inputs.without:
            return f"source {row['source']}"
        key = comparison_key(row["text"])
        print_ = fingerprint(key)
        if reason := self.evaluation.match(key):
            return reason
        if print_ in self._seen:
            return "a text seen before"
        if row["id"] in self.ids:
            raise ValueError(f"{place}: the id {row['id']!r} stands in {self.ids[row['id']]} with another text")
        self._seen.add(print_)
        self.ids[row["id"]] = place.rpartition("/")[2]
        if row["group"] is not None:
            group = self.groups.setdefault(row["group"], _Group(source, row["theme"] or ""))
            if group.source != source:
                raise ValueError(
                    f"{place}: the group {row['group']!r} stands in {group.source} too; name it otherwise"
                )
            group.add(row, print_)
        return None

    def kept(self):
        """The annotated rows that are not left out."""
        for number, (_, _, row) in enumerate(self._all()):
            if number not in self._left_out:
                yield row

    def unread(self):
        """The rows without labels that are neither among the others nor left out."""
        for number, (_, _, row) in enumerate(self._all_unread()):
            if number not in self._unread_left_out:
                yield row


class _Group:
    def __init__(self, source, theme):
        self.source, self.theme = source, theme
        self.key, self.labels, self.was_held_out = None, set(), False

    def add(self, row, print_):
        key = print_.hex()
        self.key = key if self.key is None else min(key, self.key)
        self.labels.update(row["labels"])
        self.was_held_out |= row["selection"] == HELD_OUT_GROUP


class SplitChoice:
    """
    The split of each text.

    Args:
        texts ([`SurveyedTexts`]): All of them.
        lexicon (`dict[str, LexiconEntry]`): What descriptors imply.
        held_out ([`HeldOut`]): What an earlier build held out.

    Attributes:
        held_out (`set[str]`): Descriptors that no training text carries.
        chosen (`set[str]`): Groups of contrasts that are kept out of training though they carry none of these.
    """

    def __init__(self, texts, lexicon, held_out):
        self.held_out = held_out.descriptors | choose_held_out(texts.counts, lexicon)
        before = {
            group.key for group in texts.groups.values() if group.was_held_out or group.key in held_out.groups
        }  # chosen by an earlier build: they stay, whatever their members carry now
        free = {
            name: group
            for name, group in texts.groups.items()
            if group.key in before or self.held_out.isdisjoint(group.labels)
        }
        chosen = choose_groups({group.key: group.theme for group in free.values()}, before)
        self.chosen = {name for name, group in free.items() if group.key in chosen}
        # A group stays together: one member with a held-out descriptor takes the others along.
        self.whole = self.chosen | (texts.groups.keys() - free.keys())

    def of(self, row):
        """The split of a row that is kept."""
        if row["group"] is None:
            return split_of(row["text"], row["labels"], self.held_out)
        return "validation" if row["group"] in self.whole else "train"
