"""Strings that nobody means to publish: access tokens, keys and passwords, and places of one machine.

The rules are those of detect-secrets (Yelp's, in the extra `hub`) less the ones that look at randomness or addresses
alone, and a few of our own for what it does not know. Like there, `pragma: allowlist secret` on a line lets it pass.
"""

import base64
import functools
import itertools
import json
import re

__all__ = ["absolute_path", "as_json", "has_scanner", "secrets_in", "sure_secret"]

ALLOWED = "pragma: allowlist secret"
# Digests, version numbers and addresses with a blackened password would be found by these.
LEFT_OUT = ("Base64HighEntropyString", "HexHighEntropyString", "IPPublicDetector", "BasicAuthDetector")
# A setting by its name, and a value that mixes letters and digits.
START = r"(?im)^[ \t\"'-]{0,40}(?:export\s{1,9})?[\w.-]{0,60}"
VALUE = r"[\"']?\s*[=:]\s*[\"']?(?=\S*\d)(?=\S*[A-Za-z])"
OWN = {
    "a Hugging Face token": r"\b(?:hf|api_org)_[A-Za-z0-9]{30,}\b",
    "an API key that starts with sk-": r"\bsk-(?:[A-Za-z0-9]{16,}|(?=[A-Za-z0-9_-]*\d)[A-Za-z0-9_-]{12,})",
    "a Google API key": r"\bAIza[0-9A-Za-z_-]{35}(?![0-9A-Za-z_-])",
    "a Google client secret or token": r"\b(?:GOCSPX-[\w-]{20,}|ya29\.[\w-]{20,})",
    "a GitHub token": r"\b(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_\w{40,})\b",
    "a Slack token": r"\b(?:xox[abeoprs]|xapp|xwfp)-[\w-]{6,}",
    "an AWS key": r"\b(?:A3T[A-Z0-9]|ABIA|ACCA|AKIA|ASIA)[0-9A-Z]{16}\b",
    "an AWS secret": r"(?i:aws|amazon|secret)[\w .\"'-]{0,30}(?i:key|token|secret)[\w\"' ]{0,10}[:=]\s*[\"']?"
    r"(?=[\w/+]*[/+\d])(?=[\w/+]*[a-z])(?=[\w/+]*[A-Z])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])",
    "a private key": r"-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----|PuTTY-User-Key-File-\d",
    "a password in an address": r"\b[a-z][a-z0-9+.-]{1,20}://[^\s/:@\"'<>{}$]{1,80}:(?!\*|<|\$|\{|%)"
    r"[^\s/:@\"'<>{}$]{3,80}@[\w.-]+",
    "a Telegram token": r"\b\d{8,10}:AA[\w-]{32,34}\b",
    "a token of a registry or service": r"\b(?:npm_[A-Za-z0-9]{36}|pypi-AgE[\w-]{50,}|glpat-[\w-]{20,}"
    r"|dop_v1_[a-f0-9]{64}|shpat_[a-fA-F0-9]{32}|lin_api_\w{40}|gsk_\w{40,}|r8_\w{37}|nvapi-[\w-]{40,}|xai-\w{60,}|sntrys_[\w+/=]{40,})",
    "a Weights & Biases key": r"(?i:wandb[\w .\"'-]{0,20}key[\"' ]{0,4}[:=]\s*[\"']?)[0-9a-f]{40}\b",
    "a key in a setting": START + r"(?:api_?key|secret|(?:auth|access)_?token)[\w.-]{0,20}" + VALUE + r"[\w/+.-]{16,}",
    "a password in a setting": START + r"passw(?:or)?d[\w.-]{0,20}" + VALUE + r"[\w/+.!$%&#-]{6,}",
}
SURE = ("a Hugging Face token", "a Google API key", "a GitHub token", "an AWS key", "a private key",
        "a token of a registry or service")  # fmt: skip
ENCODED = re.compile(r"[A-Za-z0-9+/]{40,}={0,2}")
LONG_LINE, WINDOW, OVERLAP = 2000, 1000, 200  # characters; some patterns take the square of a line's length
MOST = 5  # findings of one kind
COMPILED = {name: re.compile(pattern) for name, pattern in OWN.items()}
KEYWORDS = re.compile(r"(?i)pass|pwd|secret|key|token|auth|contrase")

# Places of one machine in running text; in JSON any absolute path is found.
PATHS = re.compile(
    r"(?<![\w.:/~-])(?:/(?:home|root|Users|tmp|mnt|media|workspace|scratch|private|content|data|srv|var|opt)/[\w.~-][\w./~-]*"
    r"|[A-Za-z]:\\{1,2}[\w .-]+\\[\w\\ .-]*|~/[\w.-]+/[\w./-]*)"
)
ABSOLUTE = re.compile(r"(?:/[\w.~ -]+){2,}/?|[A-Za-z]:[\\/][^<>|]+|file://\S+|~/\S+")


@functools.cache
def _detectors():
    """The detectors of detect-secrets, or nothing where it is not installed."""
    try:
        from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
    except ImportError:
        return ()
    classes = get_mapping_from_secret_type_to_class().values()
    return tuple(each() for each in classes if each.__name__ not in LEFT_OUT)


def has_scanner():
    """Whether detect-secrets is installed."""
    return bool(_detectors())


def _line_of(text, position):
    return text.count("\n", 0, position) + 1


def _whole_line(text, start, end):
    first = text.rfind("\n", 0, start) + 1
    last = text.find("\n", end)
    return text[first : last if last >= 0 else len(text)]


def secrets_in(text, sure=False):
    """Look for what may be an access token, a key or a password.

    Args:
        text (`str`): The content of a file.
        sure (`bool`): Only those of an unmistakable form, for files of people's texts.

    Returns:
        `list[str]`: what each is and in which line, without the secret itself.

    Example:

    ```python
    >>> from emodistill.hub.leaks import secrets_in

    >>> secrets_in("first\\nSLACK=xoxb-" + "12345678-abcdef")
    ['a Slack token (line 2)']

    ```
    """
    found = {}
    for name, pattern in COMPILED.items():
        if sure and name not in SURE:
            continue
        matches = (
            match.start() for match in _matches(pattern, text)
            if ALLOWED not in _whole_line(text, match.start(), match.end())
        )  # fmt: skip
        for position in itertools.islice(matches, MOST):
            found.setdefault(_line_of(text, position), name)
    for number, name in () if sure else itertools.islice(_scanned(text), MOST):
        found.setdefault(number, name)
    return [f"{name} (line {number})" for number, name in sorted(found.items())]


def _matches(pattern, text):
    """All matches, long lines in windows."""
    place = 0
    for line in re.finditer(rf"[^\n]{{{LONG_LINE + 1},}}", text):
        yield from pattern.finditer(text, place, line.start())
        for start in range(line.start(), line.end(), WINDOW - OVERLAP):
            yield from pattern.finditer(text, start, min(start + WINDOW, line.end()))
        place = line.end()
    yield from pattern.finditer(text, place)


def sure_secret(content):
    """The first key of an unmistakable form in any bytes, also between other bytes, in UTF-16 and in base64.

    Args:
        content (`bytes`)

    Returns:
        `str` or `None`: what it is.

    Example:

    ```python
    >>> from emodistill.hub.leaks import sure_secret

    >>> sure_secret(b"\\0\\xff" + ("hf_" + "Ab3" * 12).encode("utf-16-le"))
    'a Hugging Face token'

    ```
    """
    text = content.replace(b"\0", b"").decode("ascii", "replace")
    decoded = (base64.b64decode(match.group()[: len(match.group()) // 4 * 4]) for match in ENCODED.finditer(text))
    for one in (text, "\n".join(part.decode() for part in decoded if part.isascii())):
        for name in SURE:
            for match in COMPILED[name].finditer(one):
                if ALLOWED not in one[max(0, match.start() - LONG_LINE) : match.end() + LONG_LINE]:
                    return name
    return None


def _scanned(text):
    """`(line, name)` of what detect-secrets finds; its patterns go over the whole text first, which is fast."""
    for detector in _detectors():
        if type(detector).__name__ == "KeywordDetector":
            candidates = [match.start() for match in _matches(KEYWORDS, text)]
        else:
            candidates = [match.start() for pattern in detector.denylist for match in _matches(pattern, text)]
        seen, covered = set(), 0
        for position in candidates:
            if position < covered:
                continue
            line = _whole_line(text, position, position)
            if len(line) > LONG_LINE:  # not what somebody typed; its patterns would take long
                line, covered = text[max(0, position - 200) : position + 400], position + 200
            if line in seen or ALLOWED in line:
                continue
            seen.add(line)
            if any(True for _ in detector.analyze_string(line)):
                yield _line_of(text, position), f"a secret ({detector.secret_type})"


def absolute_path(text, content=None):
    """The first place of one machine that a file names.

    Args:
        text (`str`): What the file holds.
        content (*optional*): Its JSON value.

    Returns:
        `str` or `None`: the path.
    """
    if content is not None:
        return next((value for value in strings(content) if ABSOLUTE.fullmatch(value)), None)
    match = PATHS.search(text)
    return match and match.group()


def strings(value):
    """Every string of a JSON value, keys aside."""
    waiting = [value]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict | list):
            inside = value.values() if isinstance(value, dict) else value
            waiting += [one for one in inside if isinstance(one, str | dict | list)][::-1]


def as_json(text):
    """The JSON value of a text.

    Raises:
        `ValueError`: for what is no JSON, and for what is nested deeper than anybody's configuration.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    waiting, deepest = [(value, 1)] if isinstance(value, dict | list) else [], 0
    while waiting:
        one, depth = waiting.pop()
        deepest = max(deepest, depth)
        inside = one.values() if isinstance(one, dict) else one
        waiting += [(inner, depth + 1) for inner in inside if isinstance(inner, dict | list)]
    if deepest > 100:
        raise ValueError("it is nested too deeply")
    return value
