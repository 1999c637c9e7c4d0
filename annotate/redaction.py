"""What comes from outside, made fit to be kept: without keys, and as Unicode that any file can carry.

Servers echo what they were sent, keys among it, in error messages and in answers. Everything that a server says passes
through one `Redactor` as soon as it is read, before it is parsed further, cut, stored, shown or sent back.
"""

import base64
import functools
import re
from urllib.parse import quote, unquote, urlsplit

__all__ = ["Redactor", "redact_address"]

BLANK = "[key]"
_LONE = re.compile("[\ud800-\udfff]")  # half of a surrogate pair: no UTF-8 can carry it
# A letter written in another way: in JSON's, Python's or HTML's escapes, in an address, behind a backslash.
_ESCAPE = re.compile(
    r"\\+u([0-9a-fA-F]{4})|\\+x([0-9a-fA-F]{2})|&#[xX]([0-9a-fA-F]{1,5});|%([0-9a-fA-F]{2})|&#(\d{1,6});|\\+([^\w\s])"
)
_UNSEEN = re.compile("[\u00ad\u200b-\u200f\u2060\ufeff]")
_MARKS = re.compile("[\\\\%\u00ad\u200b-\u200f\u2060\ufeff]|&#")
# What looks like a key of any service: a known prefix, then a long run with a digit or the stars of a masked one.
_LOOKS = re.compile(
    r"\b(?:sk|pk|rk|key|gsk|hf|xai|nvapi|ghp|github_pat|AKIA|AIza)[-_]?(?=[A-Za-z0-9_*-]*[0-9*])[A-Za-z0-9_*-]{6,}"
)
_BEARER = re.compile(r"\b(Bearer|Basic)\s+(?=[A-Za-z0-9._~+/=-]*[0-9=])[A-Za-z0-9._~+/=-]{8,}")
_QUERY = re.compile(
    r"([?&](?:[\w-]*(?:key|token|secret|password|passwd|credential)|sig|signature|auth|code)=)[^&\s\"'<>]+",
    re.IGNORECASE,
)
_USER = re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^/\s@\"']+@", re.IGNORECASE)


def redact_address(address):
    """An address without user name, password and the values of its query; fit to be shown and stored.

    Example:

    ```python
    >>> redact_address("https://me:secret@host/v1?api_key=abc")
    'https://[key]@host/v1?api_key=[key]'
    ```
    """
    head, mark, query = _USER.sub(rf"\1{BLANK}@", address).partition("?")
    return head + mark + re.sub(r"=[^&#]*", f"={BLANK}", query)


def _plain(text):
    """A text whose letters stand for themselves, as far as two rounds of escapes go."""
    for _ in range(2):
        text = _ESCAPE.sub(_letter, text)
    return _UNSEEN.sub("", text)


def _letter(match):
    *hexadecimal, decimal, itself = match.groups()
    if itself is not None:
        return itself
    number = int(decimal) if decimal else int(next(filter(None, hexadecimal)), 16)
    return chr(number) if number <= 0x10FFFF else match[0]


def _encoded(secret):
    """A secret in hexadecimal and in base64, there as it reads at each place that it can have in a longer text."""
    data = secret.encode("utf-8", "replace")
    yield data.hex()
    for before in range(3):
        letters = base64.b64encode(bytes(before) + data).decode().rstrip("=")
        own = letters[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
        yield from {own, own.replace("+", "-").replace("/", "_")}


class Redactor:
    """Takes the secrets of a run, and whatever looks like a key, out of anything that a server sends.

    Args:
        key (`str`): The key that the run sends.
        address (`str`, *optional*): The server's address as the user gave it; its user name, password and query are
            secrets too.
    """

    def __init__(self, key, address=""):
        self._long, self._short = set(), set()
        self._field = functools.lru_cache(4096)(self.text)  # names of fields are the same in every answer
        parts = urlsplit(address)
        secrets = [key, *re.findall(r"=([^&#]+)", parts.query)]
        if parts.password:
            user = f"{unquote(parts.username or '')}:{unquote(parts.password)}"
            secrets += [parts.password, base64.b64encode(user.encode()).decode()]
        for secret in secrets:
            self._add(secret)
            self._add(unquote(secret))
            self._add(quote(secret, safe=""))
            self._add(secret.replace("/", "\\/"))
            if len(secret) >= 8:
                self._long.update(_encoded(secret))
        words = [re.escape(secret) for secret in sorted(self._long, key=len, reverse=True)]
        words += [rf"(?<![\w-]){re.escape(secret)}(?![\w-])" for secret in sorted(self._short)]
        self._known = re.compile("|".join(words), re.IGNORECASE) if words else None

    def _add(self, secret):
        """A key of a few letters is a placeholder for a local server: taking it out would blank words of messages."""
        if len(secret) >= 8 and not secret.isalpha():
            self._long.add(secret)
        elif len(secret) >= 12 or (len(secret) >= 4 and not secret.isalpha()) or len(secret) >= 8:
            self._short.add(secret)

    def text(self, text):
        """`str`: the text without keys and without lone surrogates."""
        text = self._blank(text)
        if _MARKS.search(text):
            plain = _plain(text)
            blanked = self._blank(plain)
            if blanked != plain:  # a key written in escapes: what parses the text later would restore it
                text = blanked
        return _LONE.sub("\ufffd", text)

    def _blank(self, text):
        if self._known is not None:
            text = self._known.sub(BLANK, text)
        if "://" in text:
            text = _USER.sub(rf"\1{BLANK}@", text)
        if "=" in text:
            text = _QUERY.sub(rf"\1{BLANK}", text)
        return _LOOKS.sub(BLANK, _BEARER.sub(rf"\1 {BLANK}", text))

    def value(self, value):
        """Any JSON value, each of its strings redacted, keys of objects too."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self.value(one) for one in value]
        if isinstance(value, dict):
            return {self._field(name): self.value(one) for name, one in value.items()}
        return value
