"""What is asked and how the answer is read: one class for each task, all run by the same runner."""

import json

from .found_json import find_json, looks_like_json
from .replies import (
    DIMENSIONS,
    parse_contrasts,
    parse_rated,
    read_descriptors_json,
    read_descriptors_text,
    read_ratings,
    read_written,
    strip_reasoning,
)

__all__ = [
    "FORMAT_VERSION",
    "TASKS",
    "TEXT_TASKS",
    "ContrastTask",
    "DescriptorTask",
    "LexiconTask",
    "RatedTask",
    "SpecificationTask",
    "Task",
    "WrittenTask",
    "task_for",
]

FORMAT_VERSION = "1"  # of the answer formats below; part of the key of every row

_LABELS = {"type": "array", "items": {"type": "string"}}
_RATINGS = {name: {"type": "number"} for name in DIMENSIONS}
_SHOWN_RATINGS = ", ".join(f'"{name}": 5.0' for name in DIMENSIONS)


def _object(**properties):
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _array(items):
    return {"type": "array", "items": items}


def _response_format(name, schema):
    return {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": schema}}


def _numbered(items, name="number"):
    """`list[str]`: a line of JSON for each, with its number before what it has."""
    return [json.dumps({name: n, **item}, ensure_ascii=False) for n, item in enumerate(items, 1)]


def _listed(key, texts):
    return "\n".join(_numbered([{key: text} for text in texts]))


class Task:
    """Base of the tasks.

    Args:
        prompt (`Prompt`): What the model is told.
    """

    structured_only = True  # whether plain text cannot carry the answer
    composes = False  # whether the model writes texts; an item is then a JSON object that says which
    output_tokens = 40  # an estimate for one item, used until real usage is known

    def __init__(self, prompt):
        self.prompt = prompt

    def longest(self, count):
        """`int`: most tokens of an answer about `count` items, where the user gives none."""
        return 1024 + 100 * (count - 1)

    def messages(self, texts, structured, reason=None):
        """The conversation for one request.

        Args:
            texts (`list[str]`): The items.
            structured (`bool`): Whether the answer is to be JSON.
            reason (`str`, *optional*): What was wrong with the last answer to these items.

        Returns:
            `list[dict]`: `role` and `content`.
        """
        system = f"{self.prompt.rendered()}\n\n{self.instructions(len(texts), structured)}"
        messages = [{"role": "system", "content": system}, *self.examples(len(texts), structured)]
        user = self.question(texts)
        if reason:
            user += f"\n\nYour last answer could not be used: {reason}. Answer again, in the format asked for."
        return [*messages, {"role": "user", "content": user}]

    def examples(self, count, structured):
        """`list[dict]`: earlier turns that show the manner."""
        return []

    def is_whole(self, content):
        """Whether a reply has its end although the token limit cut it off: JSON that parses does."""
        return find_json(strip_reasoning(content)) is not None

    def accepts(self, value):
        """Whether a stored value is what `parse` gives."""
        return isinstance(value, list | dict)

    def fields(self, value):
        """`dict`: what an answer adds to a row of the output; `labels` are in the teacher's own spelling."""
        return {"labels": value}


class DescriptorTask(Task):
    """Texts to descriptors."""

    structured_only = False
    output_tokens = 24

    def instructions(self, count, structured):
        if structured and count == 1:
            return 'Answer with JSON: {"labels": ["...", "..."]}.'
        if structured:
            return (
                'The texts are numbered. Answer with JSON, one entry for each text: {"answers": '
                '[{"number": 1, "labels": ["...", "..."]}, ...]}.'
            )
        if count == 1:
            return "Answer with the descriptors alone, separated by commas, on one line."
        return (
            "The texts are numbered. Answer with one line for each text: its number, a colon, and its descriptors "
            "separated by commas. Write nothing else."
        )

    def question(self, texts):
        return f"Text: {texts[0]}" if len(texts) == 1 else _listed("text", texts)

    def examples(self, count, structured):
        shown = self.prompt.examples
        if not shown:
            return []
        if count == 1:
            turns = [([text], {"labels": list(labels)}, ", ".join(labels)) for text, labels in shown]
        else:
            answers = [{"number": n, "labels": list(labels)} for n, (_, labels) in enumerate(shown, 1)]
            lines = "\n".join(f"{n}: {', '.join(labels)}" for n, (_, labels) in enumerate(shown, 1))
            turns = [([text for text, _ in shown], {"answers": answers}, lines)]
        messages = []
        for texts, answer, plain in turns:
            content = json.dumps(answer, ensure_ascii=False) if structured else plain
            messages += [
                {"role": "user", "content": self.question(texts)},
                {"role": "assistant", "content": content},
            ]
        return messages

    def _labels_schema(self):
        return _array({"type": "string", "enum": list(self.prompt.labels)}) if self.prompt.closed else _LABELS

    def response_format(self, count):
        labels = self._labels_schema()
        if count == 1:
            return _response_format("descriptors", _object(labels=labels))
        answer = _object(number={"type": "integer"}, labels=labels)
        return _response_format("descriptors", _object(answers=_array(answer)))

    def parse(self, content, texts, structured):
        """`list[Outcome]`: one for each text. A server that ignores what was asked for and answers in plain text, or
        in JSON, is read too.
        """
        content = strip_reasoning(content)
        if looks_like_json(content, ("labels", "answers")):
            return read_descriptors_json(content, len(texts), self.prompt)
        return read_descriptors_text(content, len(texts), self.prompt)

    def accepts(self, value):
        return isinstance(value, list) and all(isinstance(label, str) for label in value)


class RatedTask(DescriptorTask):
    """Texts to descriptors and to valence, arousal and dominance of the text, in one reply."""

    structured_only = True
    output_tokens = 45

    def instructions(self, count, structured):
        if count == 1:
            return f'Answer with JSON: {{"labels": ["...", "..."], {_SHOWN_RATINGS}}}.'
        return (
            'The texts are numbered. Answer with JSON, one entry for each text: {"answers": '
            f'[{{"number": 1, "labels": ["...", "..."], {_SHOWN_RATINGS}}}, ...]}}.'
        )

    def examples(self, count, structured):
        return []  # those of a prompt file have no ratings

    def response_format(self, count):
        fields = {"labels": self._labels_schema(), **_RATINGS}
        if count == 1:
            return _response_format("rated", _object(**fields))
        return _response_format("rated", _object(answers=_array(_object(number={"type": "integer"}, **fields))))

    def parse(self, content, texts, structured):
        return parse_rated(strip_reasoning(content), len(texts), self.prompt)

    def accepts(self, value):
        return isinstance(value, dict) and set(value) == {"labels", *DIMENSIONS} and super().accepts(value["labels"])

    def fields(self, value):
        return {name: value[name] for name in ("labels", *DIMENSIONS)}


class LexiconTask(Task):
    """Descriptors to valence, arousal, dominance and implied plain words."""

    def instructions(self, count, structured):
        return (
            'The descriptors are numbered. Answer with JSON, one entry for each: {"answers": [{"number": 1, '
            '"valence": 5.0, "arousal": 5.0, "dominance": 5.0, "implies": ["..."]}, ...]}.'
        )

    def question(self, texts):
        return _listed("descriptor", texts)

    def response_format(self, count):
        answer = _object(number={"type": "integer"}, **_RATINGS, implies=_LABELS)
        return _response_format("lexicon", _object(answers=_array(answer)))

    def parse(self, content, texts, structured):
        return read_ratings(strip_reasoning(content), len(texts), self.prompt)

    def accepts(self, value):
        return isinstance(value, dict) and set(value) == {*DIMENSIONS, "implies"}


class WrittenTask(Task):
    """A genre to a block of texts with their descriptors. An item is a JSON object: `genre`, `block`, `count`."""

    composes = True
    output_tokens = 450
    size = 10  # texts of one request

    def longest(self, count):
        return 4096

    def instructions(self, count, structured):
        return 'Answer with JSON: {"texts": [{"text": "...", "labels": ["...", "..."]}, ...]}.'

    def question(self, texts):
        item = json.loads(texts[0])
        return f"Write {item['count']} texts. Genre: {item['genre']}. (Block {item['block']}: unlike earlier blocks.)"

    def response_format(self, count):
        return _response_format("written", _object(texts=_array(_object(text={"type": "string"}, labels=_LABELS))))

    def parse(self, content, texts, structured):
        return [read_written(strip_reasoning(content), self.prompt, json.loads(texts[0])["count"])]

    def accepts(self, value):
        return isinstance(value, list) and all(isinstance(one, dict) and "text" in one for one in value)


class SpecificationTask(WrittenTask):
    """Drawn specifications to texts with their descriptors: one text for each.

    An item is a JSON object: `block`, and `specifications`, each with `genre`, `feeling`, `topic` and perhaps
    `constraint`.
    """

    def instructions(self, count, structured):
        return (
            "The specifications are numbered. Answer with JSON, one text for each, in their order: "
            '{"texts": [{"text": "...", "labels": ["...", "..."]}, ...]}.'
        )

    def question(self, texts):
        return "\n".join(_numbered(json.loads(texts[0])["specifications"]))

    def parse(self, content, texts, structured):
        wanted = len(json.loads(texts[0])["specifications"])
        return [read_written(strip_reasoning(content), self.prompt, wanted)]


class ContrastTask(WrittenTask):
    """A theme to groups of minimal contrasts: texts that share their words and differ in what turns the feeling.

    An item is a JSON object: `theme`, `block`, `count`, and perhaps `seeds`, from which its groups start.
    """

    output_tokens = 900
    size = 5  # groups of one request

    def instructions(self, count, structured):
        return (
            'Answer with JSON: {"groups": [{"texts": [{"text": "...", "labels": ["...", "..."], '
            f"{_SHOWN_RATINGS}}}, ...]}}, ...]}}."
        )

    def question(self, texts):
        item = json.loads(texts[0])
        about = self.prompt.themes[item["theme"]]
        wanted = (
            f"Write {item['count']} groups. Theme: {item['theme']}: {about} "
            f"(Block {item['block']}: unlike earlier blocks.)"
        )
        return "\n".join([wanted, *_numbered(item.get("seeds", ()), "group")])

    def response_format(self, count):
        text = _object(text={"type": "string"}, labels=_LABELS, **_RATINGS)
        return _response_format("contrasts", _object(groups=_array(_object(texts=_array(text)))))

    def parse(self, content, texts, structured):
        return [parse_contrasts(strip_reasoning(content), self.prompt, json.loads(texts[0])["count"])]

    def accepts(self, value):
        return isinstance(value, list) and all(isinstance(group, list) for group in value)


# The tasks that a prompt file may name.
TASKS = {
    "descriptors": DescriptorTask,
    "rated": RatedTask,
    "lexicon": LexiconTask,
    "written": WrittenTask,
    "specification": SpecificationTask,
    "contrasts": ContrastTask,
}
TEXT_TASKS = ("descriptors", "rated")  # those whose items are a user's texts


def task_for(prompt):
    """The `Task` that a prompt is for."""
    return TASKS[prompt.task](prompt)
