"""Shards of rows to scores: reading and tokenising go on while the model works, and so does writing."""

import contextlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np

from ..tokenizing_emodistill import MAX_WINDOWS, tokenize_texts

__all__ = ["Scored", "TextScorer", "score_shards"]

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
    tokenized: object
    errors: list


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
        self.max_windows = options.get("max_windows", MAX_WINDOWS)
        self.normalise = options.get("normalise")
        self.parameters = classify._sanitize_parameters(**self.options)
        probe = self._decide(["."], self._embed(self._tokenize(["."])), ("joy", "anger") if own_labels else None)[0]
        self.names = list(self._names(labels)) if labels is not None else []
        self.dimensions = list(probe.get("dimensions", {}))

    @staticmethod
    def _names(labels):
        from ..labels_emodistill import LabelSet

        return LabelSet.parse(labels).names

    # ---- the three steps; the only places that know the pipeline

    def _tokenize(self, texts):
        config = getattr(self.classify, "model", self.classify).config  # an exported model has no other within
        how = {"max_windows": self.max_windows, "normalise": self.normalise}
        return tokenize_texts(self.classify.tokenizer, config, texts, **how)

    def _embed(self, tokenized, progress=None):
        if not hasattr(self.classify, "model"):
            return self.classify.embed_tokenized(tokenized, self.batch_size, progress)
        from ..encoding_emodistill import embed_tokenized, evaluating

        with evaluating(self.classify.model):
            return embed_tokenized(self.classify.model, tokenized, self.batch_size, progress=progress).float().cpu()

    def _decide(self, texts, embeds, own=None, plain=None):
        _, _, options = self.parameters
        if own is not None:
            options = {**options, "labels": list(own)}
        return self.classify.postprocess({"texts": texts, "embeds": embeds, "plain": plain}, **options)

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

    def prepare(self, shard):
        """What a second thread does ahead of the model: tell equal rows apart from others, and tokenise."""
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
        self.classify._tell_language(texts)
        tokenized = self._tokenize(list(texts))
        return _Prepared(shard, places, list(requests), list(texts), text_places, tokenized, errors)

    def score(self, prepared, progress=None):
        """
        Scores of a prepared shard.

        Args:
            prepared: Output of [`~TextScorer.prepare`].
            progress (`Callable`, *optional*): Wraps the iterator of batches.

        Returns:
            [`Scored`]
        """
        embeds = self._embed(prepared.tokenized, progress)
        results, refused = self._results(prepared, embeds)
        errors = [
            error if error is not None or place is None else refused.get(place)
            for error, place in zip(prepared.errors, prepared.places, strict=True)
        ]
        scored = self._arrange(results, prepared.places, errors, len(prepared.texts))
        scored.windows = self._windows(prepared, errors)
        return scored

    @staticmethod
    def _windows(prepared, errors):
        """Of rows that were not read in full: windows read, and windows in all."""
        totals = getattr(prepared.tokenized, "totals", ())
        if not totals or max(totals) == 1:
            return {}
        read = Counter(prepared.tokenized.owners)
        found = {}
        for index, place in enumerate(prepared.places):
            text = None if place is None or errors[index] is not None else prepared.text_places[place]
            if text is not None and totals[text] > read[text]:
                found[index] = (read[text], totals[text])
        return found

    def _results(self, prepared, embeds):
        """A dictionary for each request, and the reasons for which the labels of some are refused."""
        results, refused = [None] * len(prepared.requests), {}
        by_labels = {}
        for place, (_, labels) in enumerate(prepared.requests):
            by_labels.setdefault(labels, []).append(place)
        if self.own_labels:
            self._expect(by_labels)
        plain = getattr(prepared.tokenized, "plain", None)
        for labels, places in by_labels.items():
            for start in range(0, len(places), TEXTS_AT_ONCE):
                chunk = places[start : start + TEXTS_AT_ONCE]
                texts = [prepared.requests[place][0] for place in chunk]
                own = [prepared.text_places[place] for place in chunk]
                try:
                    found = self._decide(texts, embeds[own], labels, plain and [plain[place] for place in own])
                except ValueError as error:
                    if labels is None:
                        raise
                    refused |= dict.fromkeys(chunk, str(error))  # a row's own labels cost the others nothing
                    continue
                for place, result in zip(chunk, found, strict=True):
                    results[place] = self._compact(result)
        return results, refused

    def _compact(self, result):
        """`(scores in the order of the names or (labels, scores), predicted, dimensions)`."""
        dimensions = list(result["dimensions"].values()) if self.dimensions else []
        if self.own_labels:
            return (result["labels"], result["scores"]), result["predicted"], dimensions
        if not self.names:
            return None, None, dimensions
        scores = dict(zip(result["labels"], result["scores"], strict=True))
        return np.array([scores[name] for name in self.names], dtype=np.float32), result["predicted"], dimensions

    def _arrange(self, results, places, errors, distinct):
        rows = [None if error is not None else results[place] for place, error in zip(places, errors, strict=True)]
        scores = own = predicted = None
        if self.names or self.own_labels:
            predicted = [None if row is None else list(row[1]) for row in rows]
        if self.own_labels:
            own = [None if row is None else row[0] for row in rows]
        elif self.names:
            scores = np.full((len(rows), len(self.names)), np.nan, dtype=np.float32)
            for index, row in enumerate(rows):
                if row is not None:
                    scores[index] = row[0]
        values = np.full((len(rows), len(self.dimensions)), np.nan, dtype=np.float32)
        for index, row in enumerate(rows if self.dimensions else ()):
            if row is not None:
                values[index] = row[2]
        return Scored(scores, own, predicted, dict(zip(self.dimensions, values.T, strict=True)), errors, distinct)


def score_shards(scorer, shards, write, progress=None):
    """
    Score shards in order, with the next one read and tokenised, and the last one written, in the meantime.

    Args:
        scorer ([`TextScorer`]): Scores one.
        shards (`Iterator[Shard]`): The shards to score.
        write (`Callable[[Shard, Scored], None]`): Writes one; called in a thread of its own, in order.
        progress (`Callable[[Shard], Callable]`, *optional*): For a shard what wraps its iterator of batches.

    Raises:
        Whatever reading, scoring or writing raises, once what was scored before has been written.
    """

    def ahead():
        shard = next(shards, None)
        return None if shard is None else scorer.prepare(shard)

    with ThreadPoolExecutor(1, "read") as reader, ThreadPoolExecutor(1, "write") as writer:
        reading, writing = reader.submit(ahead), None
        try:
            while (prepared := reading.result()) is not None:
                reading = reader.submit(ahead)
                scored = scorer.score(prepared, progress(prepared.shard) if progress else None)
                if writing is not None:
                    writing.result()
                writing = writer.submit(write, prepared.shard, scored)
        finally:
            if writing is not None:
                writing.result()
