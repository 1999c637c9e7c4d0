"""Prompts as versioned files: the TOML files of `annotate/prompts/`, or a user's own in the same form.

| key | meaning |
|---|---|
| `name`, `version` | what the rows record; a text asked under another version is asked again |
| `task` | `descriptors`, `rated`, `lexicon`, `written`, `specification`, `contrasts`: how the reply is read |
| `description` | one line for `--list-prompts` |
| `system` | the system message; `{labels}` and `{neutral}` stand for a closed list |
| `most`, `words` | most descriptors of a text, most words of a descriptor |
| `closed`, `labels` | only these labels are accepted |
| `themes` | for `contrasts`: a table of themes, each with what its groups are about |
| `draw` | for `specification`, and `contrasts` by seed: lists `genre`, `feeling`, `topic`, `constraint` to draw from |
| `examples` | tables of `text` and `labels`, shown as earlier turns of the conversation |
"""

import hashlib
import json
import tomllib
from dataclasses import dataclass, field, replace
from importlib import resources
from pathlib import Path

from .annotation_tasks import TASKS

__all__ = ["Prompt", "list_prompts", "load_prompt"]

_KEYS = {"name", "version", "task", "description", "system", "most", "words", "closed", "labels", "examples"}
_KEYS |= {"themes", "draw"}
_DRAWN = ("genre", "feeling", "topic", "constraint")


@dataclass(frozen=True)
class Prompt:
    """One version of one prompt.

    Args:
        name (`str`): Its name, that of the file.
        version (`str`): Raised with every change of the wording.
        task (`str`): One of `emodistill.annotate.annotation_tasks.TASKS`.
        system (`str`): The system message; for a closed list, with `{labels}` in place of the list.
        description (`str`): One line.
        most (`int`): Most descriptors that it asks for.
        words (`int`): Most words that it allows in a descriptor.
        closed (`bool`): Whether only `labels` are accepted.
        labels (`tuple[str, ...]`): The closed list.
        examples (`tuple[tuple[str, tuple[str, ...]], ...]`): Texts with their descriptors.
        themes (`dict[str, str]`): Of contrasts, each with what its groups are about.
        draw (`dict[str, list[str]]`): What texts by specification, and seeds of contrasts, are drawn from.
    """

    name: str
    version: str
    task: str
    system: str
    description: str = ""
    most: int = 5
    words: int = 4
    closed: bool = False
    labels: tuple = ()
    examples: tuple = ()
    themes: dict = field(default_factory=dict, hash=False)
    draw: dict = field(default_factory=dict, hash=False)

    @property
    def id(self):
        """`name/version`, what the rows record."""
        return f"{self.name}/{self.version}"

    @property
    def digest(self):
        """Twelve hexadecimal digits of everything that the model is shown: an edited file is another prompt."""
        shown = [self.task, self.system, self.most, self.words, self.closed, self.labels, self.examples]
        shown += [self.themes] if self.themes else []  # what is drawn stands in the items, each asked once
        return hashlib.sha256(json.dumps(shown, ensure_ascii=False).encode()).hexdigest()[:12]

    def rendered(self):
        """`str`: the system message with the closed list in place."""
        if not self.closed:
            return self.system
        neutral = " Where no emotion is expressed, choose neutral alone." if "neutral" in self.labels else ""
        return self.system.replace("{labels}", ", ".join(self.labels)).replace("{neutral}", neutral)

    def with_labels(self, labels):
        """The same prompt with another closed list.

        Raises:
            `ValueError`: where the prompt is not a closed one, or the list is empty or has duplicates.
        """
        labels = tuple(str(label).strip().lower() for label in labels)
        if not self.closed:
            raise ValueError(f"labels: the prompt {self.name!r} asks for free descriptors; use the prompt 'closed'")
        if not all(labels) or len(set(labels)) < max(2, len(labels)):
            raise ValueError("labels: give two or more different labels, separated by commas")
        return replace(self, labels=labels)


def list_prompts():
    """`list[Prompt]`: the prompts that come with the package, by name."""
    files = resources.files(__package__).joinpath("prompts").iterdir()
    return [_parse(file.read_text("utf-8"), file.name) for file in sorted(files, key=str) if file.name[-5:] == ".toml"]


def load_prompt(name, task=None):
    """A prompt by its name, or from a TOML file by its path.

    Args:
        name (`str`): A name from `list_prompts`, or a path that ends in `.toml`.
        task (`str`, *optional*): The task that it must be for.

    Returns:
        `Prompt`

    Raises:
        `ValueError`: for an unknown name, another task, or a file that is not a prompt; the sentence says which.

    Example:

    ```python
    >>> load_prompt("rich").id
    'rich/1'
    ```
    """
    if str(name).endswith(".toml"):
        prompt = _parse(Path(name).read_text("utf-8"), str(name))
    else:
        known = {prompt.name: prompt for prompt in list_prompts()}
        if name not in known:
            names = ", ".join(prompt.name for prompt in known.values() if task in (None, prompt.task))
            raise ValueError(f"prompt: no prompt {name!r}; choose from {names}, or give the path of a .toml file")
        prompt = known[name]
    if task is not None and prompt.task != task:
        raise ValueError(f"prompt: {name!r} is for the task {prompt.task!r}, and {task!r} is needed here")
    return prompt


def _parse(text, where):
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"prompt: {where} is not valid TOML: {error}") from None
    unknown = sorted(set(data) - _KEYS)
    if unknown:
        raise ValueError(
            f"prompt: {where} has unknown keys: {', '.join(unknown)}; known are {', '.join(sorted(_KEYS))}"
        )
    for key in ("name", "version", "task", "system"):
        if not isinstance(data.get(key), str) or not data[key].strip():
            raise ValueError(f"prompt: {where} needs {key!r}, a piece of text")
    if data["task"] not in TASKS:
        raise ValueError(f"prompt: {where} has the task {data['task']!r}; choose from {', '.join(TASKS)}")
    if data.get("closed") and ("{labels}" not in data["system"] or not data.get("labels")):
        raise ValueError(f"prompt: {where} is closed, so it needs 'labels', and {{labels}} in its system message")
    for key in ("most", "words"):
        if not isinstance(data.get(key, 1), int) or data.get(key, 1) < 1:
            raise ValueError(f"prompt: {where} needs a whole number of 1 or more for {key!r}")
    _check_tables(data, where)
    try:
        examples = tuple((str(one["text"]), tuple(map(str, one["labels"]))) for one in data.pop("examples", ()))
    except (KeyError, TypeError):
        raise ValueError(f"prompt: {where} has an example without 'text' and 'labels'") from None
    data.update(system=data["system"].strip(), labels=tuple(map(str, data.get("labels", ()))), examples=examples)
    return Prompt(**data)


def _check_tables(data, where):
    themes, draw = data.get("themes", {}), data.get("draw", {})
    words = isinstance(themes, dict) and all(isinstance(about, str) and about.strip() for about in themes.values())
    if not words or (data["task"] == "contrasts" and not themes):
        raise ValueError(f"prompt: {where} needs a table 'themes' that says of each theme what its groups are about")
    lists = isinstance(draw, dict) and all(
        isinstance(values, list) and values and all(isinstance(value, str) for value in values)
        for values in draw.values()
    )
    drawn = draw or data["task"] == "specification"
    if not lists or set(draw) - set(_DRAWN) or (drawn and not set(_DRAWN[:3]) <= set(draw)):
        raise ValueError(
            f"prompt: {where} needs a table 'draw' with lists of words: {', '.join(_DRAWN[:3])} and, if you like, "
            f"{_DRAWN[3]}"
        )
