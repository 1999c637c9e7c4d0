"""Reading a reply strictly: what does not fit is `invalid` and says why, so that the teacher can be asked again.

Each reader takes the reply's content and the number of items asked, and gives one `Outcome` for each item.
"""

import re
from dataclasses import dataclass

from .found_json import read_json
from .normalise import normalise

__all__ = [
    "DIMENSIONS", "Outcome", "check_labels", "check_rated", "invalid", "is_refusal", "numbered_answers",
    "read_contrasts", "read_descriptors_json", "read_descriptors_text", "read_dimensions", "read_rated",
    "read_ratings", "read_written", "strip_reasoning",
]  # fmt: skip

LONGEST = 60  # characters of a descriptor
DIMENSIONS = ("valence", "arousal", "dominance")
# The tags between which reasoning models think, where a server leaves them in the content.
_THOUGHTS = r"(?:think|thinking|thought|thoughts|reasoning|reflection|scratchpad|analysis|seed:think)"
_CLOSED = re.compile(
    rf"</{_THOUGHTS}>|\[/THINK\]|<\|?/think\|?>|◁/think▷|<\|channel\|>final<\|message\|>", re.IGNORECASE
)
_OPEN = re.compile(rf"\s*(?:<{_THOUGHTS}>|\[THINK\]|◁think▷|<\|channel\|>analysis<\|message\|>)", re.IGNORECASE)
_SPECIAL = re.compile(r"<\|[a-z_]+\|>|</s>")
_ANSWER = re.compile(r"^(?:the )?(?:answers?|descriptors?|labels?|emotions?|final answer)\s*:\s*", re.IGNORECASE)
_FENCED = re.compile(r"```[a-z]*[ \t]*\n(.*?)\n?[ \t]*```", re.DOTALL)
_MARK = re.compile(r"^(?:[-*•]|\d{1,2}[.)])\s+")
_NUMBERED = re.compile(r"^(\d{1,4})\s*[:.)]\s*(.*)$")
_DECLINES = re.compile(
    r"\b(can(?:no|['’])t|can not|unable to|won['’]t|will not|not able to|not comfortable|must decline|"
    r"not appropriate)\b"
)
_SCALAR = re.compile(r"(?:true|false|null|-?\d+(?:\.\d+)?)\.?", re.IGNORECASE)
# What models call the field of an answer to one text that was to be named `labels`, and what they wrap around it.
_LABELS = {"labels", "label", "descriptors", "descriptor", "emotions", "emotion", "feelings"}
_WRAPPERS = {"answer", "answers", "response", "result", "results", "output", "data", "text"}
_APOLOGY = re.compile(r"^(i\b|i['’]m|sorry|as an?\b|unfortunately|my apologies|apologies)")


@dataclass(frozen=True)
class Outcome:
    """What one item came to.

    Args:
        status (`str`): `ok`, `refused`, `invalid` or `error`.
        value: What was read (a list of raw descriptors, a rating, written texts); `None` unless `ok`.
        reason (`str`, *optional*): Why it is not `ok`, in words that the teacher can act on.
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
    """A reply without a reasoning model's thoughts, which some servers leave in the content.

    What follows the last closing tag counts, whether or not the opening one was left; thoughts that do not end, cut
    off at the token limit, leave nothing.
    """
    closings = list(_CLOSED.finditer(content))
    if closings:
        content = content[closings[-1].end() :]
    elif _OPEN.match(content):
        return ""
    return _SPECIAL.sub("", content).strip()


def check_labels(labels, prompt):
    """One item's descriptors, checked against the prompt.

    Args:
        labels: What should be a list of strings.
        prompt (`Prompt`): Its `words`, `most` and closed list are the bounds. Up to twice `most` is accepted: a
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
        return None if term in map(normalise, prompt.labels) else "is not in the list of labels"
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
        data = read_json(content, ("labels", "answers"))
    except ValueError as error:
        return [invalid(str(error))] * count
    if count == 1 and (labels := _labels_alone(data)) is not None:
        return [check_labels(labels, prompt)]
    answers, fault = numbered_answers(data, count)
    return [invalid(fault)] * count if fault else [check_labels(_listed(one.get("labels")), prompt) for one in answers]


def _labels_alone(data, depth=3):
    """The labels in an answer to one text, however they are named and wrapped; `None` where it cannot be told."""
    if isinstance(data, list):
        if all(isinstance(one, str) for one in data):
            return data
        return _labels_alone(data[0], depth - 1) if len(data) == 1 and depth else None
    if not isinstance(data, dict):
        return None
    names = {name.strip().lower(): value for name, value in data.items()}
    for name in sorted(names.keys() & _LABELS, key=lambda name: name != "labels"):
        return _listed(names[name])
    if len(names) == 1 and depth and names.keys() & _WRAPPERS:
        value = next(iter(names.values()))
        return _listed(value) if isinstance(value, str) else _labels_alone(value, depth - 1)
    return None


def _listed(labels):
    """Labels as a list: also from one string with commas, and from objects that hold a name and nothing else."""
    if isinstance(labels, str):
        return _terms([labels])
    if isinstance(labels, list) and labels and all(isinstance(one, dict) and len(one) == 1 for one in labels):
        return [next(iter(one.values())) for one in labels]
    return labels


def numbered_answers(data, count):
    """The answers to items 1 to `count`, in that order, or the reason why they cannot be told apart."""
    answers = data.get("answers") if isinstance(data, dict) else data
    if not isinstance(answers, list) or not all(isinstance(one, dict) for one in answers):
        return None, "the reply has no list of answers" if count > 1 else "the reply has no labels"
    by_number = {_number(one.get("number")): one for one in answers}
    if len(answers) != count or set(by_number) != set(range(1, count + 1)):
        return None, f"there are {count} items and {len(answers)} answers, or their numbers do not match"
    return [by_number[number] for number in range(1, count + 1)], None


def _number(value):
    if isinstance(value, str) and value.strip().isascii() and value.strip().isdigit() and len(value) < 9:
        return int(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if type(value) is int else None


def read_descriptors_text(content, count, prompt):
    """Descriptors from plain text: separated by commas or lines; for several texts, a numbered line each."""
    if not content.strip():
        return [invalid("the reply is empty")] * count
    if is_refusal(content):
        return [Outcome("refused", reason=content.strip()[:300])] * count
    if _SCALAR.fullmatch(content.strip()):
        return [invalid(f"{content.strip()[:20]!r} is no descriptor")] * count
    fenced = _FENCED.findall(content)
    lines = [line.strip() for line in (fenced[-1] if fenced else content).splitlines() if line.strip()]
    if count == 1:
        lines = [_ANSWER.sub("", line) for line in lines]
        lines = [line for line in lines if line and not line.endswith(":")] or lines
        return [check_labels(_terms(lines), prompt)]
    matches = [_NUMBERED.match(line) for line in lines]
    numbers = [int(match.group(1)) for match in matches if match]
    if not all(matches) or numbers != list(range(1, count + 1)):
        return [invalid(f"there are {count} texts; answer with {count} lines, numbered 1 to {count}")] * count
    return [check_labels(_terms([match.group(2)]), prompt) for match in matches]


def _terms(lines):
    lines = [_MARK.sub("", line) for line in lines]
    return [term for line in lines for term in re.split("[,;]", line.rstrip(".")) if term.strip()]


def read_ratings(content, count, _prompt):
    """Lexicon ratings from `{"answers": [{"number", "valence", "arousal", "dominance", "implies"}]}`."""
    try:
        data = read_json(content, ("answers", "valence"))
    except ValueError as error:
        return [invalid(str(error))] * count
    if count == 1 and isinstance(data, dict) and "valence" in data:
        data = {"answers": [{"number": 1, **data}]}
    answers, fault = numbered_answers(data, count)
    return [invalid(fault)] * count if fault else [_rating(one) for one in answers]


def _rating(answer):
    rating = read_dimensions(answer)
    if isinstance(rating, Outcome):
        return rating
    implies = answer.get("implies")
    if not isinstance(implies, list) or not all(isinstance(word, str) for word in implies):
        return invalid("implies is not a list of words")
    words = list(dict.fromkeys(word for word in map(normalise, implies) if word))
    if not words or any(len(word) > LONGEST or re.search(r"[,\t\n]", word) for word in words):
        return invalid("implies must name one to four plain words")
    return Outcome("ok", {**rating, "implies": words[:4]})


def read_dimensions(answer):
    """`dict`: valence, arousal and dominance of an answer; an invalid `Outcome` where one is no rating."""
    rating = {}
    for name in DIMENSIONS:
        number = answer.get(name)
        if isinstance(number, bool) or not isinstance(number, int | float) or not 1 <= number <= 9:
            return invalid(f"{name} is {str(number)[:40]!r}; it must be a number from 1 to 9")
        rating[name] = round(float(number), 1)
    return rating


def read_rated(content, count, prompt):
    """Descriptors with ratings: `{"labels": [...], "valence": ...}`; for several texts, in `answers` with numbers."""
    try:
        data = read_json(content, ("labels", "answers"))
    except ValueError as error:
        return [invalid(str(error))] * count
    if count == 1 and isinstance(data, dict) and "labels" in data:
        return [check_rated(data, prompt)]
    answers, fault = numbered_answers(data, count)
    return [invalid(fault)] * count if fault else [check_rated(one, prompt) for one in answers]


def check_rated(answer, prompt):
    """`Outcome`: one text's labels and ratings, as a dictionary."""
    checked, rating = check_labels(answer.get("labels"), prompt), read_dimensions(answer)
    if checked.status != "ok":
        return checked
    return rating if isinstance(rating, Outcome) else Outcome("ok", {"labels": checked.value, **rating})


def read_written(content, prompt, wanted, rated=False):
    """Texts that the teacher wrote, from `{"texts": [{"text": ..., "labels": [...]}]}`: one item, a block of texts.

    Args:
        content (`str`)
        prompt (`Prompt`)
        wanted (`int`): How many were asked for.
        rated (`bool`): Whether each comes with valence, arousal and dominance.
    """
    try:
        data = read_json(content, ("texts",))
    except ValueError as error:
        return invalid(str(error))
    texts = data.get("texts") if isinstance(data, dict) else data
    kept, fault = _check_texts(texts, prompt, rated)
    if fault:
        return invalid(fault)
    if len(kept) != wanted:
        return invalid(f"{wanted} texts were asked for and {len(kept)} came")
    return Outcome("ok", kept)


def read_contrasts(content, prompt, wanted):
    """Groups of contrasts, from `{"groups": [{"texts": [{"text", "labels", "valence", ...}]}]}`: one item, a block of
    groups.
    """
    try:
        data = read_json(content, ("groups",))
    except ValueError as error:
        return invalid(str(error))
    groups = data.get("groups") if isinstance(data, dict) else data
    if not isinstance(groups, list) or not groups:
        return invalid("the reply has no list of groups")
    kept = []
    for number, group in enumerate(groups, 1):
        texts = group.get("texts") if isinstance(group, dict) else group
        checked, fault = _check_texts(texts, prompt, rated=True)
        if fault:
            return invalid(f"group {number}: {fault}")
        if not 2 <= len(checked) <= 5 or len({one["text"].lower() for one in checked}) < len(checked):
            return invalid(f"group {number} needs two to five different texts")
        kept.append(checked)
    if len(kept) != wanted:
        return invalid(f"{wanted} groups were asked for and {len(kept)} came")
    return Outcome("ok", kept)


def _check_texts(texts, prompt, rated):
    """Texts with their labels, checked, and what is wrong with them, `None` for nothing."""
    if not isinstance(texts, list) or not all(isinstance(one, dict) for one in texts):
        return None, "the reply has no list of texts"
    kept = []
    for number, one in enumerate(texts, 1):
        checked = check_rated(one, prompt) if rated else check_labels(one.get("labels"), prompt)
        if not isinstance(one.get("text"), str) or not one["text"].strip():
            return None, f"text {number} is empty"
        if checked.status != "ok":
            return None, f"text {number}: {checked.reason}"
        values = checked.value if rated else {"labels": checked.value}
        kept.append({"text": " ".join(one["text"].split()), **values})
    return kept, None
