"""Reading a reply strictly: what does not fit is `invalid` and says why, so that the teacher can be asked again.

Each reader takes the reply's content and the number of items asked, and gives one `Outcome` for each item.
"""

import json
import re
from dataclasses import dataclass

from .normalise import normalise

LONGEST = 60  # characters of a descriptor
_FENCE = re.compile(r"^```[a-z]*\s*\n(.*?)\n?```$", re.DOTALL)
_REASONING = re.compile(r"^\s*<think>.*?</think>\s*", re.DOTALL)
_MARK = re.compile(r"^(?:[-*•]|\d{1,2}[.)])\s+")
_NUMBERED = re.compile(r"^(\d{1,4})\s*[:.)]\s*(.*)$")
_DECLINES = re.compile(
    r"\b(can(?:no|['’])t|can not|unable to|won['’]t|will not|not able to|not comfortable|must decline|"
    r"not appropriate)\b"
)
_APOLOGY = re.compile(r"^(i\b|i['’]m|sorry|as an?\b|unfortunately|my apologies|apologies)")


@dataclass(frozen=True)
class Outcome:
    """What one item came to.

    Args:
        status (`str`): `ok`, `refused`, `invalid` or `error`.
        value: what was read (a list of raw descriptors, a rating, written texts); `None` unless `ok`.
        reason (`str`, *optional*): why it is not `ok`, in words that the teacher can act on.
    """

    status: str
    value: object = None
    reason: str | None = None


def invalid(reason):
    return Outcome("invalid", reason=reason)


def is_refusal(content):
    """Whether a plain-text reply declines to answer; `sorry, ashamed`, being short, is an answer."""
    text = content.strip().lower()
    return len(text.split()) >= 5 and bool(_APOLOGY.match(text)) and bool(_DECLINES.search(text))


def strip_reasoning(content):
    """Some local servers leave a reasoning model's thoughts in the content, in front of the answer."""
    return _REASONING.sub("", content).strip()


def read_json(content):
    """The JSON value of a reply, a surrounding code fence taken off.

    Raises:
        `ValueError`: with the reason in words.
    """
    text = content.strip()
    fenced = _FENCE.match(text)
    try:
        return json.loads(fenced.group(1) if fenced else text)
    except json.JSONDecodeError as error:
        raise ValueError(f"the reply is not valid JSON ({error.msg} at character {error.pos})") from None


def looks_like_json(content):
    return content.strip()[:1] in ("{", "[") or content.strip().startswith("```")


def check_labels(labels, prompt):
    """One item's descriptors, checked against the prompt.

    Args:
        labels: what should be a list of strings.
        prompt (`Prompt`): its `words`, `most` and closed list are the bounds. Up to twice `most` is accepted: a
            long list is still an answer, an endless one is a fault.

    Returns:
        `Outcome`: `ok` with the raw forms, or `invalid`.
    """
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        return invalid("the labels are not a list of strings")
    terms = [label.strip() for label in labels]
    if not any(normalise(term) for term in terms):
        return invalid("the list of labels is empty; answer neutral where no emotion is expressed")
    if len(terms) > 2 * prompt.most:
        return invalid(f"{len(terms)} labels are too many; give at most {prompt.most}")
    for term in terms:
        fault = _fault(normalise(term), prompt)
        if fault:
            return invalid(f"{term[:LONGEST]!r} {fault}")
    return Outcome("ok", terms)


def _fault(term, prompt):
    if prompt.closed:
        return None if term in prompt.labels else "is not in the list of labels"
    if not term:
        return "is empty"
    if len(term) > LONGEST or len(re.split(r"[\s-]+", term)) > prompt.words + 2:
        return f"is too long for a descriptor; use at most {prompt.words} words"
    if not all(char.isalpha() or char in " -'" or (not char.isascii() and not char.isdigit()) for char in term):
        return "is not a plain word or phrase"
    return None


def read_descriptors_json(content, count, prompt):
    """Descriptors from `{"labels": [...]}`; for several texts, `{"answers": [{"number": 1, "labels": [...]}]}`."""
    try:
        data = read_json(content)
    except ValueError as error:
        return [invalid(str(error))] * count
    if count == 1 and isinstance(data, dict) and "labels" in data:
        return [check_labels(data["labels"], prompt)]
    if count == 1 and isinstance(data, list) and all(isinstance(label, str) for label in data):
        return [check_labels(data, prompt)]
    answers, fault = numbered_answers(data, count)
    return [invalid(fault)] * count if fault else [check_labels(one.get("labels"), prompt) for one in answers]


def numbered_answers(data, count):
    """The answers to items 1 to `count`, in that order, or the reason why they cannot be told apart."""
    answers = data.get("answers") if isinstance(data, dict) else data
    if not isinstance(answers, list) or not all(isinstance(one, dict) for one in answers):
        return None, "the reply has no list of answers" if count > 1 else "the reply has no labels"
    by_number = {one.get("number"): one for one in answers if type(one.get("number")) is int}
    if len(answers) != count or set(by_number) != set(range(1, count + 1)):
        return None, f"there are {count} items and {len(answers)} answers, or their numbers do not match"
    return [by_number[number] for number in range(1, count + 1)], None


def read_descriptors_text(content, count, prompt):
    """Descriptors from plain text: separated by commas or lines; for several texts, a numbered line each."""
    if not content.strip():
        return [invalid("the reply is empty")] * count
    if is_refusal(content):
        return [Outcome("refused", reason=content.strip()[:300])] * count
    lines = [line.strip() for line in content.strip().splitlines() if line.strip()]
    if count == 1:
        return [check_labels(_terms(lines), prompt)]
    matches = [_NUMBERED.match(line) for line in lines]
    numbers = [int(match.group(1)) for match in matches if match]
    if not all(matches) or numbers != list(range(1, count + 1)):
        return [invalid(f"there are {count} texts; answer with {count} lines, numbered 1 to {count}")] * count
    return [check_labels(_terms([match.group(2)]), prompt) for match in matches]


def _terms(lines):
    lines = [_MARK.sub("", line) for line in lines]
    return [term for line in lines for term in line.rstrip(".").split(",") if term.strip()]


def read_ratings(content, count, _prompt):
    """Lexicon ratings from `{"answers": [{"number", "valence", "arousal", "dominance", "implies"}]}`."""
    try:
        data = read_json(content)
    except ValueError as error:
        return [invalid(str(error))] * count
    if count == 1 and isinstance(data, dict) and "valence" in data:
        data = {"answers": [{"number": 1, **data}]}
    answers, fault = numbered_answers(data, count)
    return [invalid(fault)] * count if fault else [_rating(one) for one in answers]


def _rating(answer):
    rating = {}
    for name in ("valence", "arousal", "dominance"):
        number = answer.get(name)
        if isinstance(number, bool) or not isinstance(number, int | float) or not 1 <= number <= 9:
            return invalid(f"{name} is {number!r}; it must be a number from 1 to 9")
        rating[name] = round(float(number), 1)
    implies = answer.get("implies")
    if not isinstance(implies, list) or not all(isinstance(word, str) for word in implies):
        return invalid("implies is not a list of words")
    words = list(dict.fromkeys(word for word in map(normalise, implies) if word))
    if not words or any(len(word) > LONGEST or re.search(r"[,\t\n]", word) for word in words):
        return invalid("implies must name one to four plain words")
    return Outcome("ok", {**rating, "implies": words[:4]})


def read_written(content, prompt, wanted):
    """Texts that the teacher wrote, from `{"texts": [{"text": ..., "labels": [...]}]}`; one item, a block of
    texts.
    """
    try:
        data = read_json(content)
    except ValueError as error:
        return invalid(str(error))
    texts = data.get("texts") if isinstance(data, dict) else data
    if not isinstance(texts, list) or not all(isinstance(one, dict) for one in texts):
        return invalid("the reply has no list of texts")
    kept = []
    for number, one in enumerate(texts, 1):
        checked = check_labels(one.get("labels"), prompt)
        if not isinstance(one.get("text"), str) or not one["text"].strip():
            return invalid(f"text {number} is empty")
        if checked.status != "ok":
            return invalid(f"text {number}: {checked.reason}")
        kept.append({"text": " ".join(one["text"].split()), "labels": checked.value})
    if len(kept) != wanted:
        return invalid(f"{wanted} texts were asked for and {len(kept)} came")
    return Outcome("ok", kept)
