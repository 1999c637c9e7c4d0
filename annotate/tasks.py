"""What is asked and how the answer is read: one class for each task, all run by the same runner."""

import json

from .replies import (
    looks_like_json,
    read_descriptors_json,
    read_descriptors_text,
    read_ratings,
    read_written,
    strip_reasoning,
)

FORMAT_VERSION = "1"  # of the answer formats below; part of the key of every row

_LABELS = {"type": "array", "items": {"type": "string"}}


def _object(**properties):
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _response_format(name, schema):
    return {"type": "json_schema", "json_schema": {"name": name, "strict": True, "schema": schema}}


def _numbered(key, texts):
    return "\n".join(json.dumps({"number": n, key: text}, ensure_ascii=False) for n, text in enumerate(texts, 1))


class Task:
    """Base of the tasks.

    Args:
        prompt (`Prompt`): what the model is told.
    """

    structured_only = False  # whether plain text can carry the answer

    def __init__(self, prompt):
        self.prompt = prompt

    def messages(self, texts, structured, reason=None):
        """The conversation for one request.

        Args:
            texts (`list[str]`): the items.
            structured (`bool`): whether the answer is to be JSON.
            reason (`str`, *optional*): what was wrong with the last answer to these items.

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
        return []


class DescriptorTask(Task):
    """Texts to descriptors."""

    output_tokens = 24  # an estimate for one text, used until real usage is known

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
        return f"Text: {texts[0]}" if len(texts) == 1 else _numbered("text", texts)

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

    def response_format(self, count):
        labels = _LABELS
        if self.prompt.closed:
            labels = {"type": "array", "items": {"type": "string", "enum": list(self.prompt.labels)}}
        if count == 1:
            return _response_format("descriptors", _object(labels=labels))
        answer = _object(number={"type": "integer"}, labels=labels)
        return _response_format("descriptors", _object(answers={"type": "array", "items": answer}))

    def parse(self, content, texts, structured):
        """`list[Outcome]`: one for each text. A server that ignores the schema and answers in plain text is read
        too.
        """
        content = strip_reasoning(content)
        if structured and looks_like_json(content):
            return read_descriptors_json(content, len(texts), self.prompt)
        return read_descriptors_text(content, len(texts), self.prompt)


class LexiconTask(Task):
    """Descriptors to valence, arousal, dominance and implied plain words."""

    structured_only = True
    output_tokens = 40

    def instructions(self, count, structured):
        return (
            'The descriptors are numbered. Answer with JSON, one entry for each: {"answers": [{"number": 1, '
            '"valence": 5.0, "arousal": 5.0, "dominance": 5.0, "implies": ["..."]}, ...]}.'
        )

    def question(self, texts):
        return _numbered("descriptor", texts)

    def response_format(self, count):
        number = {"type": "number"}
        answer = _object(number={"type": "integer"}, valence=number, arousal=number, dominance=number, implies=_LABELS)
        return _response_format("lexicon", _object(answers={"type": "array", "items": answer}))

    def parse(self, content, texts, structured):
        return read_ratings(strip_reasoning(content), len(texts), self.prompt)


class WrittenTask(Task):
    """A genre to a block of texts with their descriptors. An item is a JSON object: `genre`, `block`, `count`."""

    structured_only = True

    def __init__(self, prompt, count):
        super().__init__(prompt)
        self.count = count
        self.output_tokens = 45 * count

    def instructions(self, count, structured):
        return 'Answer with JSON: {"texts": [{"text": "...", "labels": ["...", "..."]}, ...]}.'

    def question(self, texts):
        item = json.loads(texts[0])
        return f"Write {item['count']} texts. Genre: {item['genre']}. (Block {item['block']}: unlike earlier blocks.)"

    def response_format(self, count):
        one = _object(text={"type": "string"}, labels=_LABELS)
        return _response_format("written", _object(texts={"type": "array", "items": one}))

    def parse(self, content, texts, structured):
        return [read_written(strip_reasoning(content), self.prompt, json.loads(texts[0])["count"])]
