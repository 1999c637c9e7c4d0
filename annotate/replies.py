"""Reading a reply strictly: what does not fit is `invalid` and says why, so that the teacher can be asked again.

Each reader takes the reply's content and the number of items asked, and gives one `Outcome` for each item.
"""

import re
import unicodedata
from dataclasses import dataclass

from .found_json import read_json
from .found_labels import answer_list, as_list, labels_in_json, numbered, text_terms, unwrapped
from .normalise import normalise

__all__ = [
    "DIMENSIONS",
    "Outcome",
    "check_labels",
    "check_rated",
    "invalid",
    "is_refusal",
    "numbered_answers",
    "parse_contrasts",
    "parse_rated",
    "read_descriptors_json",
    "read_descriptors_text",
    "read_dimensions",
    "read_ratings",
    "read_written",
    "strip_reasoning",
]  # fmt: skip

LONGEST = 60  # characters of a descriptor
DIMENSIONS = ("valence", "arousal", "dominance")
# The tags between which reasoning models think, where a server leaves them in the content.
_THOUGHTS = (
    r"(?:think|thinking|thought|thoughts|thought_process|reasoning|reason|rationale|explanation|reflection|scratchpad|"
    r"analysis|seed:think)"
)
_CLOSED = re.compile(
    rf"</{_THOUGHTS}>|\[/THINK\]|<\|?/think\|?>|◁/think▷|<\|END_THINKING\|>|\.\.\.done thinking\.|"
    r"<\|channel\|>final(?:\s*<\|constrain\|>\w*)?\s*<\|message\|>|(?<=[\w.!?])assistantfinal",
    re.IGNORECASE,
)
_OPEN = re.compile(
    rf"<{_THOUGHTS}(?:\s[^<>]*)?>|\[THINK\]|◁think▷|<\|START_THINKING\|>|<\|channel\|>analysis<\|message\|>",
    re.IGNORECASE,
)
# Marks of turns and of the end of a text, which servers with another template than the model's leave in.
_SPECIAL = re.compile(
    r"<\|[A-Za-z_]{1,40}\|>|<｜[^<>｜]{1,40}｜>|<(?:start|end)_of_turn>|</?s>|<[be]os>|\[/?INST\]|"
    r"</?(?:final_)?(?:answer|response)>(?=\s*[{\[])"
)
_BOXED = re.compile(r"\\boxed\{((?:[^{}]|\{[^{}]*\})*)\}")
_ROLE = re.compile(r"\s*(?:assistant|model)\s*[:\n]\s*", re.IGNORECASE)
_DECLINES = re.compile(
    r"\b(can(?:no|['’])t|can not|unable to|won['’]t|will not|not able to|not comfortable|must decline|"
    r"not appropriate)\b"
)
_SCALAR = re.compile(r"(?:true|false|null|-?\d+(?:\.\d+)?)\.?", re.IGNORECASE)
_APOLOGY = re.compile(r"^(i\b|i['’]m|sorry|as an?\b|unfortunately|my apologies|apologies)")
_HELP = re.compile(r"\b(?:help|assist|comply|answer|do that|process|label|analy[sz]e)\b")
# What says that there is no answer, or is the name of a field, and no emotion of anybody.
_NOTHING = re.compile(
    r"none|n/?a|nil|undefined|unknown|nothing|not applicable|no (?:clear |specific |strong )?(?:emotions?|labels?)"
    r"(?: expressed| found| detected)?|yes|no|labels?|emotions?|descriptors?|answers?|output|assistant"
)
_SENTENCE = re.compile(
    r"(?:the|this|that) (?:text|writer|author|speaker|person|user|message|labels?|emotions?|answer)\b|"
    r"here (?:is|are)\b|i (?:think|believe|would|can|can't|cannot|am|will)\b|it (?:is|seems|expresses)\b"
)


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
    if not _APOLOGY.match(text) or not _DECLINES.search(text):
        return False
    return len(text.split()) >= 5 or bool(_HELP.search(text))


def strip_reasoning(content):
    """A reply without a reasoning model's thoughts, which some servers leave in the content.

    What follows the last closing tag counts, whether or not the opening one was left, and where nothing follows, what
    stands before the first; thoughts that do not end, cut off at the token limit, leave nothing.
    """
    closings, opening = list(_CLOSED.finditer(content)), _OPEN.search(content)
    after = _bare(content[closings[-1].end() :]) if closings else ""
    before = content[: opening.start()] if opening else "" if closings else content
    return after or _bare(before)


def _bare(content):
    if boxed := _BOXED.findall(content):
        content = boxed[-1]
    return _ROLE.sub("", _SPECIAL.sub("", content).strip("\ufeff\u200b \t\r\n"), count=1).strip()


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
    if any(is_refusal(term) for term in terms):
        return Outcome("refused", reason=", ".join(terms)[:300])
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
    if _NOTHING.fullmatch(term):
        return "is no emotion; answer neutral where none is expressed"
    if _SENTENCE.match(term):
        return "is a sentence; answer with the descriptors alone"
    if len(term) > LONGEST or len(re.split(r"[\s-]+", term)) > prompt.words + 2:
        return f"is too long for a descriptor; use at most {prompt.words} words"
    if not all(char in " -'" or unicodedata.category(char)[0] in "LM" for char in term) or not any(
        map(str.isalpha, term)
    ):
        return "is not a plain word or phrase"
    return None


def read_descriptors_json(content, count, prompt):
    """Descriptors from `{"labels": [...]}`; for several texts, `{"answers": [{"number": 1, "labels": [...]}]}`."""
    try:
        data = read_json(content, ("labels", "answers"))
    except ValueError as error:
        return [invalid(str(error))] * count
    if count == 1 and (labels := labels_in_json(data)) is not None:
        return [check_labels(labels, prompt)]
    if isinstance(data, dict) and any(isinstance(one, str) and is_refusal(one) for one in data.values()):
        return [Outcome("refused", reason=content.strip()[:300])] * count
    answers, fault = numbered_answers(data, count)
    return [invalid(fault)] * count if fault else [check_labels(as_list(one.get("labels")), prompt) for one in answers]


def numbered_answers(data, count):
    """The answers to items 1 to `count`, in that order, or the reason why they cannot be told apart."""
    answers = answer_list(data)
    if answers is None:
        return None, "the reply has no list of answers" if count > 1 else "the reply has no labels"
    by_number = {_number(one): one for one in answers}
    if set(by_number) == set(range(count)):  # counted from 0
        by_number = {number + 1: one for number, one in by_number.items()}
    if len(answers) != count or set(by_number) != set(range(1, count + 1)):
        return None, f"there are {count} items and {len(answers)} answers, or their numbers do not match"
    return [by_number[number] for number in range(1, count + 1)], None


def _number(answer):
    value = next((answer[name] for name in ("number", "id", "index", "no", "item") if name in answer), None)
    if isinstance(value, str) and (match := re.fullmatch(r"\D{0,8}(\d{1,8})\D?", value.strip(), re.ASCII)):
        return int(match[1])
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
    if count == 1:
        return [check_labels(text_terms(content), prompt)]
    lines = numbered(content, count)
    if lines is None:
        return [invalid(f"there are {count} texts; answer with {count} lines, numbered 1 to {count}")] * count
    return [check_labels(terms, prompt) for terms in lines]


def read_ratings(content, count, _prompt):
    """Lexicon ratings from `{"answers": [{"number", "valence", "arousal", "dominance", "implies"}]}`."""
    try:
        data = read_json(content, ("answers", "valence"))
    except ValueError as error:
        return [invalid(str(error))] * count
    data = unwrapped(data, "valence") if count == 1 else data
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


def parse_rated(content, count, prompt):
    """Descriptors with ratings: `{"labels": [...], "valence": ...}`; for several texts, in `answers` with numbers."""
    try:
        data = read_json(content, ("labels", "answers"))
    except ValueError as error:
        return [invalid(str(error))] * count
    data = unwrapped(data, "labels") if count == 1 else data
    if count == 1 and isinstance(data, dict) and "labels" in data:
        return [check_rated(data, prompt)]
    answers, fault = numbered_answers(data, count)
    return [invalid(fault)] * count if fault else [check_rated(one, prompt) for one in answers]


def check_rated(answer, prompt):
    """`Outcome`: one text's labels and ratings, as a dictionary."""
    checked, rating = check_labels(as_list(answer.get("labels")), prompt), read_dimensions(answer)
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
    data = unwrapped(data, "texts")
    texts = data.get("texts") if isinstance(data, dict) else data
    kept, fault = _check_texts(texts, prompt, rated)
    if fault:
        return invalid(fault)
    if len(kept) != wanted:
        return invalid(f"{wanted} texts were asked for and {len(kept)} came")
    return Outcome("ok", kept)


def parse_contrasts(content, prompt, wanted):
    """Groups of contrasts, from `{"groups": [{"texts": [{"text", "labels", "valence", ...}]}]}`: one item, a block of
    groups.
    """
    try:
        data = read_json(content, ("groups",))
    except ValueError as error:
        return invalid(str(error))
    data = unwrapped(data, "groups")
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
        checked = check_rated(one, prompt) if rated else check_labels(as_list(one.get("labels")), prompt)
        if not isinstance(one.get("text"), str) or not one["text"].strip():
            return None, f"text {number} is empty"
        if checked.status != "ok":
            return None, f"text {number}: {checked.reason}"
        values = checked.value if rated else {"labels": checked.value}
        kept.append({"text": " ".join(one["text"].split()), **values})
    return kept, None
