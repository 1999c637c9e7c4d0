"""Shards of rows to scores: reading and tokenising go on while the model works, and so do deciding and writing."""

import contextlib
import functools
import itertools
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from ..arrays_emodistill import joined
from ..inputs_emodistill import one_ahead
from ..tokenizing_emodistill import MAX_WINDOWS
from .rows import Row, Shard

__all__ = ["Scored", "TextScorer", "score_shards"]

TURN_SECONDS = 2e-4
PART = 2048  # texts that are tokenised while the model works on those before; enough to fill batches of like length
FIRST_PART = 512  # which the model has to wait for
TEXTS_AT_ONCE = 1024  # turned into results at a time: bounds what they take in memory


@dataclass
class Scored:
    """
    Scores of the rows of a shard, in the rows' order.

    Args:
        scores (`np.ndarray` of shape `(rows, labels)` or `None`): fp32, `nan` for rows with an error; `None` where
            each row has labels of its own, or only dimensions are asked for.
        own (`list` or `None`): With labels of their own for each row `(labels, scores)`, best first, or `None`.
        predicted (`list[list[str]]` or `None`): Predicted labels of each row; `None` for rows with an error.
        dimensions (`dict[str, np.ndarray]`): A column of fp32 for each dimension.
        errors (`list[str or None]`): Why a row has no scores.
        distinct (`int`): Texts that the model had to read.
        windows (`dict[int, tuple]`): Of rows whose text was too long to be read in full, by their place: windows that
            were read, and how many it has.
    """

    scores: np.ndarray | None
    own: list | None
    predicted: list | None
    dimensions: dict
    errors: list
    distinct: int
    windows: dict = field(default_factory=dict)


@dataclass
class _Prepared:
    shard: object
    places: list  # for each row the place of its request, or None
    requests: list  # distinct (text, labels)
    texts: list  # distinct texts
    text_places: list  # for each request the place of its text
    parts: list  # of the texts, each a function that gives them tokenised
    errors: list


@dataclass
class _Read:
    embeds: object  # of each distinct text
    plain: list  # the texts as they were read
    cut: dict  # place of a text that was not read in full: windows that were read, and windows in all


@dataclass
class _Decided:
    scores: list  # arrays (some requests, labels), in order
    predicted: list  # for each request its labels
    own: list  # for each request that brings its labels (labels, scores), best first
    dimensions: dict  # for each dimension the value of each request
    refused: dict  # place of a request: why its labels are refused

    def add(self, scores, predicted, dimensions):
        """Requests that share the run's labels, after those that are there."""
        if scores is not None:
            self.scores.append(np.asarray(scores, dtype=np.float32))
            self.predicted.extend(predicted)
        for name, column in dimensions.items():
            self.dimensions.setdefault(name, []).extend(column)


class TextScorer:
    """
    Scores shards with a `zero-shot-emotion` pipeline: identical texts once a shard.

    Args:
        classify ([`ZeroShotEmotionPipeline`] or [`OnnxEmotionClassifier`]): The pipeline, or an export.
        labels (*optional*): As the pipeline takes them; `None` with `labels_column` or with dimensions alone.
        own_labels (`bool`, *optional*, defaults to `False`): Whether rows bring their own labels.
        batch_size (`int`, *optional*, defaults to 32): Texts in a batch.
        options: Further arguments of the pipeline: `multi_label`, `threshold`, `dimensions` ...

    Raises:
        `ValueError`: for arguments that the pipeline does not take.
    """

    def __init__(self, classify, labels=None, own_labels=False, batch_size=32, **options):
        self.classify, self.own_labels, self.batch_size = classify, own_labels, batch_size
        self.options = options if labels is None else {**options, "labels": labels}
        self.how_read = {"max_windows": options.get("max_windows", MAX_WINDOWS), "normalise": options.get("normalise")}
        self.parameters = classify._sanitize_parameters(**self.options)
        probe = self.prepare(Shard(0, [Row(0, ".", labels=("joy", "anger") if own_labels else None)]))
        self.names = list(self._names(labels)) if labels is not None else []
        self.dimensions = []
        self.dimensions = list(self._decided(probe, self.read(probe)).dimensions)

    @staticmethod
    def _names(labels):
        from ..labels_emodistill import LabelSet

        return LabelSet.parse(labels).names

    def _expect(self, label_sets):
        """Embed the labels of many rows at once; what is wrong with some is told when they are used."""
        from ..labels_emodistill import LabelSet

        parsed = []
        for labels in label_sets:
            with contextlib.suppress(ValueError):
                label_set = LabelSet.parse(labels, self.options.get("label_template"))
                parsed.append(label_set.complemented()[0] if self.options.get("multi_label") else label_set)
        self.classify._expect(parsed)

    # ---- shards

    def prepare(self, shard, later=None):
        """
        What a second thread does ahead of the model: tell equal rows apart from others, and tokenise.

        Args:
            shard ([`Shard`]): The rows.
            later (`Callable`, *optional*): Takes a function and its arguments, and gives a function that waits for the
                result; by default texts are tokenised when they are asked for.
        """
        places, requests, texts, text_places, errors = [], {}, {}, [], []
        for row in shard.rows:
            error = row.error
            if error is None and self.own_labels and not row.labels:
                error = "no labels"
            errors.append(error)
            if error is not None:
                places.append(None)
                continue
            key = (row.text, row.labels if self.own_labels else None)
            if key not in requests:
                requests[key] = len(requests)
                text_places.append(texts.setdefault(row.text, len(texts)))
            places.append(requests[key])
        distinct, later = list(texts), later or functools.partial
        self.classify._tell_language(distinct)
        tokenize = functools.partial(self.classify.tokenize_texts, **self.how_read)
        bounds = [0, *range(FIRST_PART, len(distinct), PART), len(distinct)]
        parts = [later(tokenize, distinct[start:end]) for start, end in itertools.pairwise(bounds) if distinct]
        return _Prepared(shard, places, list(requests), distinct, text_places, parts, errors)

    def score(self, prepared, progress=None):
        """
        Scores of a prepared shard.

        Args:
            prepared: Output of [`~TextScorer.prepare`].
            progress (`Callable`, *optional*): Wraps the iterator of the batches of a part, given its `share` of the
                shard.

        Returns:
            [`Scored`]
        """
        return self.decide(prepared, self.read(prepared, progress))

    def decide(self, prepared, read):
        """[`Scored`] of a prepared shard whose texts were read: what needs no model any more, a few labels apart."""
        decided = self._decided(prepared, read)
        errors = [
            error if error is not None or place is None else decided.refused.get(place)
            for error, place in zip(prepared.errors, prepared.places, strict=True)
        ]
        scored = self._arrange(decided, prepared.places, errors, len(prepared.texts))
        for index, place in enumerate(prepared.places) if read.cut else ():
            text = None if place is None or errors[index] is not None else prepared.text_places[place]
            if text in read.cut:
                scored.windows[index] = read.cut[text]
        return scored

    def read(self, prepared, progress=None):
        """The model's reading of a prepared shard, for [`decide`]; `progress` as in [`score`]."""
        embeds, read = [], _Read(None, [], {})
        for tokenized, finish in one_ahead(self._begun(prepared, progress)):  # so that no thread runs dry
            embeds.append(finish())
            if len(tokenized.windows) > tokenized.texts:
                windows = Counter(tokenized.owners)
                for place, total in enumerate(tokenized.totals):
                    if total > windows[place]:
                        read.cut[len(read.plain) + place] = windows[place], total
            read.plain.extend(tokenized.plain)
        if progress and not prepared.parts:  # rows with errors alone count too
            list(progress([]))
        read.embeds = joined(embeds) if embeds else None
        return read

    def _begun(self, prepared, progress):
        """Each part, and a function that gives its embeddings."""
        for part in prepared.parts:
            tokenized = part()
            wrap = progress and functools.partial(progress, share=tokenized.texts / len(prepared.texts))
            yield tokenized, self.classify.start_embedding(tokenized, self.batch_size, wrap)

    def _decided(self, prepared, read):
        """[`_Decided`] of the requests."""
        decided, (_, _, options) = _Decided([], [], [], {}, {}), self.parameters
        by_labels = {}
        for place, (_, labels) in enumerate(prepared.requests):
            by_labels.setdefault(labels, []).append(place)
        if self.own_labels:
            decided.own, decided.predicted = [None] * len(prepared.requests), [None] * len(prepared.requests)
            self._expect(by_labels)
        for labels, places in by_labels.items():
            for start in range(0, len(places), TEXTS_AT_ONCE):
                chunk = places[start : start + TEXTS_AT_ONCE]
                own = [prepared.text_places[place] for place in chunk]
                given = {
                    "texts": [prepared.requests[place][0] for place in chunk],
                    "embeds": read.embeds[own],
                    "plain": [read.plain[place] for place in own],
                }
                if self.own_labels:
                    self._decide_own(decided, chunk, given, {**options, "labels": list(labels)})
                else:
                    decided.add(*self.classify.score_columns(**given, **options))
        return decided

    def _decide_own(self, decided, places, given, options):
        """Fill in requests that bring labels along; labels that are refused cost the others nothing."""
        try:
            found = self.classify.postprocess(given, **options)
        except ValueError as error:
            decided.refused |= dict.fromkeys(places, str(error))
            return
        for place, result in zip(places, found, strict=True):
            decided.own[place] = result["labels"], result["scores"]
            decided.predicted[place] = result["predicted"]
            for name, value in result.get("dimensions", {}).items():
                column = decided.dimensions.setdefault(name, [np.nan] * len(decided.own))
                column[place] = value

    def _arrange(self, decided, places, errors, distinct):
        """The rows' share of what was decided of their requests."""
        good = [error is None for error in errors]
        kept, rows = [place for place, fine in zip(places, good, strict=True) if fine], np.array(good, dtype=bool)
        scores = own = predicted = None
        if self.names:
            scores = np.full((len(rows), len(self.names)), np.nan, dtype=np.float32)
            if kept:
                scores[rows] = np.concatenate(decided.scores)[kept]
        if self.names or self.own_labels:
            found = iter(kept)
            predicted = [list(decided.predicted[next(found)]) if fine else None for fine in good]
        if self.own_labels:
            found = iter(kept)
            own = [decided.own[next(found)] if fine else None for fine in good]
        dimensions = {}
        for name in self.dimensions:
            dimensions[name] = np.full(len(rows), np.nan, dtype=np.float32)
            if kept:
                dimensions[name][rows] = np.asarray(decided.dimensions[name], dtype=np.float32)[kept]
        return Scored(scores, own, predicted, dimensions, errors, distinct)


@contextlib.contextmanager
def _quick_turns():
    """
    Let threads of Python take turns more often than every 5 milliseconds.

    The model gives up its turn at each operator, hundreds of times a batch, and would wait that long to get it back
    while another thread reads or writes.
    """
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, TURN_SECONDS))
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def score_shards(scorer, shards, write, progress=None):
    """
    Score shards in order, with the next one read and tokenised, and the last one decided and written, in the meantime.

    Args:
        scorer ([`TextScorer`]): Scores one.
        shards (`Iterator[Shard]`): The shards to score.
        write (`Callable[[Shard, Scored], None]`): Writes one; called in a thread of its own, which
            decides too, in order.
        progress (`Callable[[Shard], Callable]`, *optional*): For a shard what wraps its iterators of batches.

    Raises:
        Whatever reading, scoring or writing raises, once what was scored before has been written.
    """

    def ahead():
        shard = next(shards, None)
        return None if shard is None else scorer.prepare(shard, later)

    def later(function, *arguments):
        return reader.submit(function, *arguments).result

    def finish(prepared, read):
        write(prepared.shard, scorer.decide(prepared, read))

    reader = ThreadPoolExecutor(1, "read")
    with _quick_turns(), ThreadPoolExecutor(1, "write") as writer:
        reading, writing = reader.submit(ahead), None
        try:
            while (prepared := reading.result()) is not None:
                reading = reader.submit(ahead)
                read = scorer.read(prepared, progress(prepared.shard) if progress else None)
                if writing is not None:
                    writing.result()
                writing = writer.submit(finish, prepared, read)
        finally:
            reader.shutdown(wait=False, cancel_futures=True)  # who ends early waits for no more rows or tokens
            if writing is not None:
                writing.result()
