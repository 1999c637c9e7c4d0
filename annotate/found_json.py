"""JSON in a model's reply, wherever it stands and however carelessly it is written."""

import ast
import html
import io
import itertools
import json
import re
import tokenize
from functools import cache

__all__ = ["find_json", "looks_like_json", "read_json"]

_FENCE = re.compile(r"(?:```|~~~)[\w+-]*[ \t\r]*\n(.*?)\n?[ \t]*(?:```|~~~)", re.DOTALL)
_LONE = re.compile("[\ud800-\udfff]")
_START = re.compile(r"[{\[]")
_CURLY = str.maketrans("\u201c\u201d\u201e\u201f", '""""')  # quotation marks of a word processor
_MOST_BRACKETS = 2_000  # in what is read by Python's or YAML's rules, which take their time over nonsense
_MOST_TRIES = 200  # brackets from which JSON may begin; each costs up to the whole rest of the reply
_LONGEST_LITERAL = 50_000  # characters
_COMMENT = re.compile(r"""("(?:\\.|[^"\\])*"|'(?:\\.|[^'\\\n])*')|(?<!:)//[^\n]*|/\*.*?\*/""", re.DOTALL)
_UNSEEN = re.compile("[\u00a0\u200b\u2060\ufeff\t]")
_BEFORE_LIST = re.compile(
    r"(?:labels?|descriptors?|emotions?|texts|groups|answers)\W{0,2}\s*(?:[:=]|=>)\s*$", re.IGNORECASE
)


def _whole(value):
    """A JSON value whose strings any file can carry: an answer may hold half of a surrogate pair as an escape."""
    if isinstance(value, str):
        if not _LONE.search(value):
            return value
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")  # a pair of escapes is one letter
    if isinstance(value, list):
        return [_whole(one) for one in value]
    if isinstance(value, dict):
        return {_whole(name): _whole(one) for name, one in value.items()}
    return value


def find_json(content, wanted=()):
    """The JSON value of a reply, wherever it stands: alone, in a fence, after a preamble, before a remark.

    Args:
        content (`str`): Without thoughts.
        wanted (`Iterable[str]`): Fields of which the value should have one. The last value that has one is taken, for
            a model that corrects itself does so at the end; without such a value, the longest.

    Returns:
        The value, or `None` where there is none.
    """
    text = content.strip().strip("\u200b\ufeff")
    if re.match(r'[{\[]\s*\\"', text):  # the inside of a JSON string
        text = text.replace('\\"', '"')
    elif text[:1] in ("{", "[") and "&quot;" in text:
        text = html.unescape(text)
    for read in (_json, _literal, _flow):
        if isinstance(value := read(text), dict | list):
            return _whole(value)
    if (lines := _lines(text)) is not None:
        return _whole(lines)
    fenced = _FENCE.findall(text)
    values = [
        value for read in (_json, _literal, _flow) for one in fenced if isinstance(value := read(one), dict | list)
    ]
    found = [(0, value) for value in values] or _scan(text)
    fitting = [value for _, value in found if isinstance(value, dict) and set(wanted) & set(value)]
    if fitting or values:
        return _whole((fitting or values)[-1])
    span = text[text.find("{") : text.rfind("}") + 1] if "{" in text else ""
    for candidate in (span, "{" + text.rstrip(",}") + "}" if re.match(r"[\"']\w+[\"']\s*:", text) else ""):
        for read in (_literal, _flow):
            if isinstance(value := read(candidate), dict):
                return _whole(value)
    return _whole(max(found, key=lambda one: one[0])[1]) if found else None


def _lines(text):
    """A list of the objects in JSON lines that name one string each, under the same name; `None` for others."""
    values = [_json(line) for line in text.splitlines() if line.strip()] if "\n{" in text else []
    single = [isinstance(one, dict) and len(one) == 1 and isinstance(next(iter(one.values())), str) for one in values]
    return values if len(values) > 1 and all(single) and len({next(iter(one)) for one in values}) == 1 else None


def _scan(text):
    """Length and value of what is JSON in a text."""
    found, decoder, start = [], json.JSONDecoder(strict=False), 0
    for _ in range(_MOST_TRIES):
        match = _START.search(text, start)
        if not match:
            break
        try:
            value, start = decoder.raw_decode(text, match.start())
        except (ValueError, RecursionError):
            start = match.end()
            continue
        before = text[: match.start()]
        # A list in something broken may be any list of it: only one under the right name counts.
        if isinstance(value, dict) or "{" not in before or _BEFORE_LIST.search(before[-40:]):
            found.append((start - match.start(), value))
    return found


def _json(text):
    """The value of a JSON text, `None` for none; line breaks in strings are taken, and JSON in a JSON string."""
    for _ in range(4):
        try:
            text = json.loads(text, strict=False)
        except (ValueError, RecursionError):
            return None
        if not isinstance(text, str):
            return text
    return None


def _is_candidate(text):
    is_short = len(text) <= _LONGEST_LITERAL and text.count("{") + text.count("[") <= _MOST_BRACKETS
    return text[:1] in ("{", "[") and is_short


def _literal(text):
    """The value of what Python would take for one: single quotes, a comma after the last item; `None` for none."""
    text = text.strip()
    if not _is_candidate(text):
        return None
    for spelling in (text, text.translate(_CURLY)):
        try:
            value = _of_python(ast.literal_eval(spelling))
            return None if _glued(spelling) else value
        except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
            continue
    return None


def _glued(text):
    """Whether two strings stand side by side, a comma forgotten, which Python takes for one."""
    kinds = [token.type for token in tokenize.generate_tokens(io.StringIO(text).readline) if token.string.strip()]
    return any(pair == (tokenize.STRING, tokenize.STRING) for pair in itertools.pairwise(kinds))


@cache
def _loader():
    """A loader of YAML whose unquoted words are strings but for those that are something else in JSON or Python."""
    import yaml

    class Loader(yaml.SafeLoader):
        yaml_implicit_resolvers = {}  # none of YAML's own: there, `no` is false

        def compose_node(self, parent, index):
            if self.check_event(yaml.events.AliasEvent):  # a few of which can stand for more than a machine holds
                raise yaml.composer.ComposerError(None, None, "an alias", self.peek_event().start_mark)
            return super().compose_node(parent, index)

    for tag, form in (
        ("null", r"null|None"),
        ("bool", r"[Tt]rue|[Ff]alse"),
        ("int", r"-?(?:0|[1-9]\d*)"),
        ("float", r"-?\d{1,17}\.\d{1,17}"),
    ):
        Loader.add_implicit_resolver(f"tag:yaml.org,2002:{tag}", re.compile(rf"(?:{form})\Z"), None)
    return Loader


def _flow(text):
    """The value of what would be JSON but for its quotes, commas or comments, which YAML forgives; `None` for none."""
    import yaml

    text = text.strip()
    if not _is_candidate(text):
        return None
    text = _UNSEEN.sub(" ", _COMMENT.sub(lambda match: match[1] or " ", text))
    for spelling in (text, text.translate(_CURLY)):
        try:
            value = _of_python(yaml.load(spelling, _loader()))
        except (yaml.YAMLError, ValueError, TypeError, AttributeError, RecursionError, OverflowError):
            continue
        if isinstance(value, dict | list):
            return value
    return None


def _of_python(value):
    """The same as JSON has it.

    Raises:
        `ValueError`: for what JSON has not.
    """
    if isinstance(value, dict) and all(type(name) in (str, int) for name in value):
        return {str(name): _of_python(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_of_python(one) for one in value]
    if value is None or isinstance(value, str | bool | int | float):
        return value
    raise ValueError("no JSON")


def read_json(content, wanted=()):
    """The JSON value of a reply, see `find_json`.

    Raises:
        `ValueError`: with the reason in words, where there is none.
    """
    value = find_json(content, wanted)
    if value is not None:
        return value
    text = content.strip()
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"the reply is not valid JSON ({error.msg} at character {error.pos})") from None
    except (ValueError, RecursionError):
        raise ValueError("the reply is not valid JSON (a number too long, or nested too deep)") from None
    raise ValueError("the reply is not a JSON object")


def looks_like_json(content, wanted=()):
    """Whether a reply is meant as JSON, whole or broken."""
    text = content.strip()
    if text[:1] in ("{", "[") or text.startswith("```json"):
        return True
    value = find_json(text, wanted)
    return isinstance(value, dict) or (isinstance(value, list) and bool(value) and isinstance(value[0], dict))
