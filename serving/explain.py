"""Why a label got its score: the words, phrases and sentences of a text left out, one at a time.

What a part contributes is what is lost without it. That needs no gradients, works for every backend, and says
nothing that the model did not do: each figure is the score of a text that one can type.
"""

import math
import re
from dataclasses import asdict, dataclass

import numpy as np

from ..inputs_emodistill import is_blank
from .explain_display import as_html, as_marked_text

__all__ = ["LEVELS", "Explanation", "Part", "explain", "parts_of"]

LEVELS = ("word", "phrase", "sentence")

# Log-odds of a score of exactly 0 or 1 would be endless; a score in single precision is no finer than this anyway.
FINEST = 1e-6

WORD = re.compile(
    r"https?://\S+"
    r"|\w+(?:['’.&@-]\w+)*"  # don't, well-being, e.g, AT&T
    r"|[:;=][-'^]?[()\[\]DPpOo/\\|*]+|<3+"  # emoticons
    r"|[^\w\s.,:;()\[\]{}\"'’‘“”`<>=/\\|–—-]+"  # !, ?! and runs of emoji tell; commas and brackets do not
)
SENTENCE_END = re.compile(r"(?<=[.!?…])[\"'”’)\]]*\s+|\n+")
# Where a clause ends or another begins: the places at which one reads a sentence in parts.
PHRASE_END = re.compile(
    r"(?<=[,;:])\s+|\s+[-–—]+\s+|\s+(?=\()|(?<=\))\s+"
    r"|\s+(?=(?:and|but|or|because|although|though|while|when|until|unless|since|after|before)\b)",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Part:
    """
    A word, phrase or sentence of a text and what it contributes.

    Args:
        level (`str`): `"word"`, `"phrase"` or `"sentence"`.
        text (`str`): The part as it stands in the text.
        start (`int`): Its first character in the text.
        end (`int`): The character after its last one.
        without (`float`): The score, or the position on the dimension, of the text without this part.
        contribution (`float`): Log-odds of the label that are lost without the part; positive for a part that speaks
            for the label. For a dimension: points of its scale.
    """

    level: str
    text: str
    start: int
    end: int
    without: float
    contribution: float


@dataclass(frozen=True)
class Explanation:
    """
    What the parts of a text contribute to one label or dimension; shows itself in notebooks.

    Args:
        text (`str`): The text.
        target (`str`): The label or dimension that is explained.
        kind (`str`): `"label"` or `"dimension"`.
        score (`float`): The label's score for the text, between 0 and 1, or the position on the dimension.
        baseline (`float` or `None`): The same for the average background text, of which nothing is known; `None` for
            a checkpoint without a background.
        parts (`tuple[Part, ...]`): The parts, in the order of the text, words first.
    """

    text: str
    target: str
    kind: str
    score: float
    baseline: float | None
    parts: tuple

    def level(self, name):
        """The parts of one level, `"word"`, `"phrase"` or `"sentence"`, in the order of the text."""
        if name not in LEVELS:
            raise ValueError(f"level must be one of {', '.join(LEVELS)}, not {name!r}")
        return [part for part in self.parts if part.level == name]

    @property
    def whole(self):
        """`float` or `None`: what the text as a whole contributes over the baseline, in the parts' unit."""
        return None if self.baseline is None else _effect(self.kind, self.score, self.baseline)

    def total(self, name="word"):
        """`float`: the sum of the contributions of one level."""
        return sum(part.contribution for part in self.level(name))

    def interaction(self, part=None):
        """
        What parts do only together: a contribution less the sum of those of the words within.

        Positive where words repeat one another, so that each by itself can be spared ("happy and glad"); negative
        where they need one another, so that each by itself costs what all of them do ("not bad").

        Args:
            part ([`Part`], *optional*): A phrase or sentence; the whole text against its baseline by default.

        Returns:
            `float` or `None`: in log-odds or points; `None` for the whole text where there is no baseline.
        """
        if part is None:
            return None if self.whole is None else self.whole - self.total("word")
        within = [word for word in self.level("word") if part.start <= word.start and word.end <= part.end]
        return part.contribution - sum(word.contribution for word in within)

    def telling(self, least=0.25):
        """
        Words worth marking: those that contribute at least a share of what the strongest word does.

        Args:
            least (`float`, *optional*, defaults to 0.25): That share.

        Returns:
            `list[Part]`: the strongest first; none where no word moves the score by 0.05 log-odds or points.
        """
        words = sorted(self.level("word"), key=lambda word: -abs(word.contribution))
        strongest = abs(words[0].contribution) if words else 0.0
        return [word for word in words if abs(word.contribution) >= max(least * strongest, 0.05)]

    def to_dict(self):
        """Everything as plain dictionaries, lists and numbers, for JSON."""
        return {**asdict(self), "parts": [asdict(part) for part in self.parts], "interaction": self.interaction()}

    def marked(self, colour=False):
        """The text with its telling words marked, `*for*` and `~against~` the label, or in colours of a terminal."""
        return as_marked_text(self, colour)

    def __str__(self):
        return self.marked()

    def _repr_html_(self):
        return as_html(self)


def parts_of(text, levels=LEVELS):
    """
    Where the words, phrases and sentences of a text stand.

    Punctuation that carries no feeling is no word; exclamation and question marks, emoticons and emoji are. A phrase
    ends at a comma, colon, semicolon, bracket or dash, and before a conjunction. A level that would only repeat the
    one above it (a text that is a single sentence) is left out, but for words.

    Args:
        text (`str`): The text.
        levels (`Sequence[str]`, *optional*): Some of `"word"`, `"phrase"` and `"sentence"`.

    Returns:
        `list[tuple[str, int, int]]`: level, first character, and the character after the last.

    Example:

    ```python
    >>> from emodistill.serving.explain import parts_of

    >>> text = "Not bad, but late!"
    >>> [(level, text[start:end]) for level, start, end in parts_of(text)]
    [('word', 'Not'), ('word', 'bad'), ('word', 'but'), ('word', 'late'), ('word', '!'), ('phrase', 'Not bad,'), ('phrase', 'but late!')]

    ```
    """  # noqa: E501
    levels = [levels] if isinstance(levels, str) else list(levels)
    if not levels or set(levels) - set(LEVELS):
        raise ValueError(f"levels must be some of {', '.join(LEVELS)}, not {levels!r}")
    words = [("word", match.start(), match.end()) for match in WORD.finditer(text)]
    sentences = _split(text, 0, len(text), SENTENCE_END)
    phrases = [piece for start, end in sentences for piece in _split(text, start, end, PHRASE_END)]
    found = words if "word" in levels else []
    if "phrase" in levels and len(phrases) > 1 and len(phrases) > len(sentences):
        found = found + [("phrase", *span) for span in phrases]
    if "sentence" in levels and len(sentences) > 1:
        found = found + [("sentence", *span) for span in sentences]
    return found


def _split(text, start, end, pattern):
    """Spans between the places where a pattern matches; one without a word joins the span before it."""
    cuts = [(match.start(), match.end()) for match in pattern.finditer(text, start, end)]
    edges = [start, *(edge for cut in cuts for edge in cut), end]
    spans = []
    for first, last in zip(edges[::2], edges[1::2], strict=True):
        piece = text[first:last]
        first, last = first + len(piece) - len(piece.lstrip()), last - (len(piece) - len(piece.rstrip()))
        if first >= last:
            continue
        if spans and not WORD.search(text, first, last):
            spans[-1] = (spans[-1][0], last)
        else:
            spans.append((first, last))
    return spans


def _without(text, start, end):
    before, after = text[:start].rstrip(), text[end:].lstrip()
    joint = " " if text[:start] != before or text[end:] != after else ""
    return (before + joint + after).strip()


def _effect(kind, score, other):
    """How far one score lies above another: in log-odds for labels, in points for dimensions."""
    if kind == "dimension":
        return score - other
    return _log_odds(score) - _log_odds(other)


def _log_odds(score):
    score = min(max(score, FINEST), 1.0 - FINEST)
    return math.log(score) - math.log1p(-score)


def explain(classify, text, label=None, dimension=None, levels=LEVELS, batch_size=32, **options):
    """
    What each word, phrase and sentence of a text contributes to a label's score, by leaving it out.

    Args:
        classify ([`ZeroShotEmotionPipeline`]): The pipeline, or an exported model.
        text (`str`): The text.
        label (`str`, *optional*): The label of the set to explain; the best one by default.
        dimension (`str`, *optional*): A dimension in place of a label: a built-in one, or one of `dimensions`.
        levels (`Sequence[str]`, *optional*): Some of `"word"`, `"phrase"` and `"sentence"`; all by default.
        batch_size (`int`, *optional*, defaults to 32): Texts in a batch.
        options: As in a call of the pipeline: `labels`, `multi_label`, `label_template`, `dimensions`, `normalise`,
            `max_windows`.

    Returns:
        [`Explanation`]

    Raises:
        `ValueError`: if the text is blank or no string, the label is none of the set, or both a label and a dimension
            are given.

    Example:

    ```python
    >>> import emodistill
    >>> from transformers import pipeline

    >>> classify = pipeline("zero-shot-emotion")
    >>> why = classify.explain("We were so happy to see the old dog.", "joy", labels=["joy", "anger", "fear"])
    >>> why.telling()[0].text
    'happy'

    ```
    """
    if not isinstance(text, str) or is_blank(text):
        raise ValueError(f"text must be one string that is not blank, not {text!r}: explain one text at a time")
    if label is not None and dimension is not None:
        raise ValueError("give a label or a dimension to explain, not both")
    if dimension is not None and "dimensions" not in options:
        options["dimensions"] = [dimension]
    options = {**options, "threshold": None, "top_k": None}
    scorer = _Scorer(classify, options)
    spans = parts_of(text, levels)
    # A text of which nothing is left has the score of a text of which nothing is known.
    shorter = [_without(text, start, end) for _, start, end in spans]
    read = [text, *(text if is_blank(left) else left for left in shorter)]
    how_read = {name: options[name] for name in ("max_windows", "normalise") if name in options}
    embeds = classify.encode_texts(read, batch_size=batch_size, **how_read)
    rows = scorer.rows(embeds)
    target = label if label is not None else dimension if dimension is not None else rows[0].best
    kind = "label" if dimension is None else "dimension"
    score, *others = [row.value(target, kind) for row in rows]
    neutral = scorer.average()
    baseline = None if neutral is None else neutral.value(target, kind)
    parts = []
    for (level, start, end), left, without in zip(spans, shorter, others, strict=True):
        if is_blank(left) and baseline is not None:
            without = baseline
        parts.append(Part(level, text[start:end], start, end, without, _effect(kind, score, without)))
    return Explanation(text, target, kind, score, baseline, tuple(parts))


@dataclass(frozen=True)
class _Row:
    scores: dict
    dimensions: dict

    @property
    def best(self):
        if not self.scores:
            raise ValueError("labels is missing: give the set in which the label stands, for instance joy,anger")
        return next(iter(self.scores))  # they come best first

    def value(self, target, kind):
        known = self.scores if kind == "label" else self.dimensions
        if target not in known:
            names = ", ".join(map(repr, sorted(known))) or "labels: give labels"
            raise ValueError(f"{kind} {target!r} is not among {names}")
        return float(known[target])


class _Scorer:
    """From embeddings to scores, by the pipeline's own last step."""

    def __init__(self, classify, options):
        self.classify = classify
        self.options = {**classify._postprocess_params, **classify._sanitize_parameters(**options)[2]}

    def rows(self, embeds):
        outputs = {"texts": ["text"] * len(embeds), "embeds": embeds}  # none is blank
        results = self.classify.postprocess(outputs, **self.options)
        pairs = [zip(result.get("labels", ()), result.get("scores", ()), strict=True) for result in results]
        return [_Row(dict(pair), result.get("dimensions", {})) for pair, result in zip(pairs, results, strict=True)]

    def average(self):
        background = self.classify.background
        if background is None:
            return None
        mean = background[0][None]
        return self.rows(mean if isinstance(mean, np.ndarray) else mean.cpu())[0]
