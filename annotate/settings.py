"""Every choice of a run in one place, checked before anything is read or sent."""

import os
import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from .prices import find_price

STATUSES = ("ok", "refused", "invalid", "error")
_RESERVED = {"model", "messages", "stream", "n", "response_format", "api_key"}


@dataclass(frozen=True)
class Settings:
    """The choices of a run.

    Args:
        model (`str`): the model's name at the server.
        prompt (`str` or `Prompt`): a prompt's name, the path of a TOML file, or a `Prompt`.
        labels (`list[str]`, *optional*): the closed list, for a closed prompt.
        base_url (`str`, *optional*): the server; OpenAI's, or that of `OPENAI_BASE_URL`, by default.
        key_variable (`str`): the environment variable that holds the key. Keys come from nowhere else.
        temperature, top_p, seed: sampling parameters; what is `None` is not sent.
        max_tokens (`int`, *optional*): the longest answer; 1,024 and 100 for each further text of a request by
            default, 0 for no limit.
        extra (`dict`): further fields of the request, such as `{"reasoning_effort": "low"}`.
        reply_format (`str`): `json` (structured outputs), `text`, or `auto`: JSON until the server refuses it.
        texts_per_request (`int`): several texts in one request cost less and are answered less carefully.
        concurrency (`int`): requests in flight.
        requests_per_minute, tokens_per_minute (`float`, *optional*): the account's limits.
        max_cost (`float`, *optional*): US dollars; the total of all runs on the same store stays under it.
        price_in, price_out (`float`, *optional*): US dollars for a million tokens, for a model that is not in the
            table.
        max_asks (`int`): how often a text whose answers are invalid is asked in all.
        max_retries (`int`): how often one request is sent again after a fault of the server or the line.
        backoff (`float`): seconds before the first retry; doubled for each further one, with jitter, up to a
            minute.
        max_wait (`float`): the longest `Retry-After`, in seconds, that is waited for; a longer one ends the run.
        timeout (`float`): seconds for one request.
        max_failures (`int`): this many failed requests in a row, with none answered, end the run.
        retry (`tuple[str, ...]`): statuses to ask again although they are final: `refused`, `invalid`.
        limit (`int`, *optional*): ask for at most this many texts in this run.
        quiet (`bool`): no progress on standard error.
    """

    model: str
    prompt: object = "rich"
    labels: list | None = None
    base_url: str | None = None
    key_variable: str = "OPENAI_API_KEY"
    temperature: float | None = None
    top_p: float | None = None
    seed: int | None = None
    max_tokens: int | None = None
    extra: dict = field(default_factory=dict)
    reply_format: str = "auto"
    texts_per_request: int = 1
    concurrency: int = 16
    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    max_cost: float | None = None
    price_in: float | None = None
    price_out: float | None = None
    max_asks: int = 3
    max_retries: int = 8
    backoff: float = 0.5
    max_wait: float = 300.0
    timeout: float = 120.0
    max_failures: int = 20
    retry: tuple = ()
    limit: int | None = None
    quiet: bool = False

    def __post_init__(self):
        if not isinstance(self.model, str) or not self.model.strip():
            raise ValueError("model: name the model to ask")
        if self.reply_format not in ("auto", "json", "text"):
            raise ValueError(f"reply_format: {self.reply_format!r} is none of auto, json, text")
        for name in ("texts_per_request", "concurrency", "max_asks", "max_failures"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: must be 1 or more")
        for name in ("requests_per_minute", "tokens_per_minute", "timeout"):
            if getattr(self, name) is not None and getattr(self, name) <= 0:
                raise ValueError(f"{name}: must be more than 0")
        for name in ("max_cost", "max_retries", "max_tokens", "backoff", "max_wait", "limit"):
            if getattr(self, name) is not None and getattr(self, name) < 0:
                raise ValueError(f"{name}: must not be negative")
        if set(self.retry) - {"refused", "invalid"}:
            raise ValueError("retry: choose from refused and invalid; errors are always asked again")
        taken = sorted(_RESERVED & set(self.extra))
        if taken:
            raise ValueError(f"extra: {taken[0]!r} has its own setting")
        if self.max_cost is not None and self.price is None:
            raise ValueError(
                f"max_cost: the price of {self.model!r} is unknown, so a cap cannot hold; "
                "give its prices (price_in and price_out)"
            )

    @property
    def price(self):
        """`Price`, *optional*: of the model."""
        return find_price(self.model, self.price_in, self.price_out)

    @property
    def server(self):
        """`str`: the server's address, without any user name or password in it."""
        url = self.base_url or os.environ.get("OPENAI_BASE_URL") or "https://api.openai.com/v1"
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"base_url: {url!r} is not an http or https address")
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2]))

    @property
    def is_openai(self):
        return bool(re.search(r"(^|\.)openai\.(com|azure\.com)$", urlsplit(self.server).hostname or ""))

    @property
    def longest(self):
        """`int`: most tokens of an answer; 0 for no limit."""
        return 1024 + 100 * (self.texts_per_request - 1) if self.max_tokens is None else self.max_tokens

    @property
    def sampling(self):
        """`dict`: the parameters that shape an answer, as they are sent; part of each row's key.

        `max_tokens` is left out: it cuts an answer off but does not change a whole one, so raising it for the
        texts that were cut off must not ask the others again.
        """
        chosen = {"temperature": self.temperature, "top_p": self.top_p, "seed": self.seed}
        return {**{name: value for name, value in chosen.items() if value is not None}, **self.extra}

    def request_body(self, messages, response_format):
        """`dict`: the fields of one chat-completions request."""
        body = {"model": self.model, "messages": messages, **self.sampling}
        if self.longest:
            # OpenAI's own models take only the new name, many other servers only the old one.
            body["max_completion_tokens" if self.is_openai else "max_tokens"] = self.longest
        if response_format is not None:
            body["response_format"] = response_format
        return body

    def read_key(self):
        """The key, from the environment.

        Raises:
            `ValueError`: where OpenAI is asked and there is none. Local servers mostly need none.
        """
        key = os.environ.get(self.key_variable, "").strip()
        if not key and self.is_openai:
            raise ValueError(f"no key: set the environment variable {self.key_variable} to your API key")
        return key or "none"
