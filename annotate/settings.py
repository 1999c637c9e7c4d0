"""Every choice of a run in one place, checked before anything is read or sent.

The command line is made from these fields: their defaults and their words for `--help` stand here and nowhere else.
"""

# ruff: noqa: RUF009 (the fields are made by `option`)
import dataclasses
import json
import math
import os
import re
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import urlsplit, urlunsplit

from .connection import check_address, check_header
from .prices import find_price

__all__ = ["STATUSES", "Settings", "check_numbers", "option"]

STATUSES = ("ok", "refused", "invalid", "error")
OPENAI = "https://api.openai.com/v1"
_RESERVED = {"model", "messages", "stream", "n", "response_format", "api_key", "max_tokens", "max_completion_tokens"}


def option(help, group="limits", *, flag=None, default=dataclasses.MISSING, factory=dataclasses.MISSING, **more):
    """A field that is an option of the command line too.

    Args:
        help (`str`): One line for `--help`; the default is added to it.
        group (`str`): The heading under which it stands.
        flag (`str`, *optional*): `--name-of-the-field` by default.
        default, factory: As in `dataclasses.field`.
        **more: Further arguments of `ArgumentParser.add_argument`.
    """
    metadata = {"help": help, "group": group, "flag": flag, "more": more}
    return dataclasses.field(default=default, default_factory=factory, metadata=metadata)


def check_numbers(options, *, least):
    """Numbers of a dataclass must be finite and not less than a bound.

    Args:
        options: An instance.
        least (`dict[str, float]`): Names of fields, and the smallest value that each may have.

    Raises:
        `ValueError`: naming the field.
    """
    for name, bound in least.items():
        value = getattr(options, name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"{name}: {value!r} is not a number that can be used")
        if value < bound:
            kind = "must not be negative" if bound == 0 else f"must be {bound:g} or more"
            raise ValueError(f"{name}: {kind}")


@dataclass(frozen=True)
class Settings:
    """The choices of a run.

    Args:
        model (`str`): The model's name at the server.
        prompt (`str` or `Prompt`): A prompt's name, the path of a TOML file, or a `Prompt`.
        labels (`list[str]`, *optional*): The closed list, for a closed prompt.
        texts_per_request (`int`): Several texts in one request cost less and are answered less carefully.
        base_url (`str`, *optional*): The server; OpenAI's, or that of `OPENAI_BASE_URL`, by default.
        key_variable (`str`): The environment variable that holds the key. Keys come from nowhere else.
        temperature, top_p, seed: Sampling parameters; what is `None` is not sent.
        max_tokens (`int`, *optional*): The longest answer; what the task takes, 1,024 and 100 for each further text
            of a request for most, by default; 0 for no limit.
        extra (`dict`): Further fields of the request, such as `{"reasoning_effort": "low"}`.
        reply_format (`str`): `json` (structured outputs), `text`, or `auto`: JSON until the server refuses it.
        concurrency (`int`): Requests in flight.
        requests_per_minute, tokens_per_minute (`float`, *optional*): The account's limits.
        max_cost (`float`, *optional*): US dollars; the total of all runs on the same store stays under it.
        price_in, price_out (`float`, *optional*): US dollars for a million tokens, for a model that is not in the
            table.
        max_asks (`int`): How often a text whose answers are invalid is asked in all.
        max_retries (`int`): How often one request is sent again after a fault of the server or the line.
        backoff (`float`): Seconds before the first retry; doubled for each further one, with jitter, up to a
            minute.
        max_wait (`float`): The longest `Retry-After`, in seconds, that is waited for; a longer one ends the run.
        timeout (`float`): Seconds for one request, from sending to its last byte.
        max_failures (`int`): This many failed requests in a row, with none answered, end the run.
        limit (`int`, *optional*): Ask for at most this many texts in this run.
        retry (`tuple[str, ...]`): Statuses to ask again although they are final: `refused`, `invalid`.
        quiet (`bool`): No progress on standard error.

    Raises:
        `ValueError`: naming the setting that cannot be used.
    """

    model: str = option("its name at the server, such as gpt-4o", "model", required=True, metavar="NAME")
    prompt: object = option("a prompt's name or a .toml file (see --list-prompts)", "prompt", default="rich")
    labels: list | None = option("the closed list, for a closed prompt", "prompt", default=None, metavar="A,B,...")
    texts_per_request: int = option(
        "several texts in one request: cheaper, and read less carefully", "prompt", default=1, metavar="N"
    )
    base_url: str | None = option(
        "an OpenAI-compatible server (default: OpenAI's, or OPENAI_BASE_URL)", "model", default=None, metavar="URL"
    )
    key_variable: str = option(
        "environment variable with the key; keys are read from nowhere else", "model", default="OPENAI_API_KEY"
    )
    temperature: float | None = option("sampling temperature (default: the server's)", "model", default=None)
    top_p: float | None = option("nucleus sampling (default: the server's)", "model", default=None)
    seed: int | None = option("for servers that sample reproducibly", "model", default=None)
    max_tokens: int | None = option(
        "longest answer; 0 for no limit (default: what the task takes; for descriptors 1024, and 100 for each "
        "further text of a request)", "model", default=None, metavar="N"
    )  # fmt: skip
    extra: dict = option(
        "a further field of the request, such as reasoning_effort=low; may be repeated",
        "model", flag="--param", factory=dict, metavar="NAME=JSON",
    )  # fmt: skip
    reply_format: str = option(
        "json: structured outputs; text: separated by commas; auto: json until the server refuses it",
        "model", flag="--format", default="auto", choices=("auto", "json", "text"),
    )  # fmt: skip
    concurrency: int = option("requests in flight", default=16, metavar="N")
    requests_per_minute: float | None = option("requests a minute", flag="--rpm", default=None, metavar="N")
    tokens_per_minute: float | None = option("tokens a minute", flag="--tpm", default=None, metavar="N")
    max_cost: float | None = option("cap on the cost of all runs on the store", default=None, metavar="DOLLARS")
    price_in: float | None = option("for a million prompt tokens", default=None, metavar="DOLLARS")
    price_out: float | None = option("for a million completion tokens", default=None, metavar="DOLLARS")
    max_asks: int = option("answers to one text to wait for while they are invalid", default=3, metavar="N")
    max_retries: int = option("of one request after faults", default=8, metavar="N")
    backoff: float = option("first wait before a retry, doubled for each further one", default=0.5, metavar="SECONDS")
    max_wait: float = option("longest Retry-After to wait for", default=300.0, metavar="SECONDS")
    timeout: float = option("of one request, to its last byte", default=120.0, metavar="SECONDS")
    max_failures: int = option("failed requests in a row that end the run", default=20, metavar="N")
    limit: int | None = option("ask for at most N texts in this run", default=None, metavar="N")
    retry: tuple = option(
        "final statuses to ask again (errors always are)", default=(), choices=("refused", "invalid")
    )
    quiet: bool = option("no estimate, no progress", default=False)

    def __post_init__(self):
        if not isinstance(self.model, str) or not self.model.strip():
            raise ValueError("model: name the model to ask")
        if self.reply_format not in ("auto", "json", "text"):
            raise ValueError(f"reply_format: {self.reply_format!r} is none of auto, json, text")
        ones = dict.fromkeys(("texts_per_request", "concurrency", "max_asks", "max_failures"), 1)
        zeros = ("max_cost", "max_retries", "max_tokens", "backoff", "max_wait", "limit", "price_in", "price_out")
        others = {"temperature": 0, "top_p": 0, "seed": -math.inf}
        check_numbers(self, least={**ones, **dict.fromkeys(zeros, 0), **others})
        for name in (*ones, "max_retries", "max_tokens", "limit", "seed"):
            if getattr(self, name) is not None and not isinstance(getattr(self, name), int):
                raise ValueError(f"{name}: {getattr(self, name)!r} is not a whole number")
        for name in ("requests_per_minute", "tokens_per_minute", "timeout"):
            check_numbers(self, least={name: 0})
            if getattr(self, name) == 0:
                raise ValueError(f"{name}: must be more than 0")
        if set(self.retry) - {"refused", "invalid"}:
            raise ValueError("retry: choose from refused and invalid; errors are always asked again")
        if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", self.key_variable):
            raise ValueError(
                "key_variable: give the name of an environment variable that holds the key, not the key itself"
            )
        self._check_extra()
        self._check_cap()

    def _check_extra(self):
        taken = sorted(_RESERVED & set(self.extra))
        if taken:
            raise ValueError(f"extra: {taken[0]!r} has its own setting")
        try:
            json.dumps([self.model, self.extra], ensure_ascii=False, allow_nan=False).encode()
        except (TypeError, ValueError, RecursionError):
            raise ValueError(
                "extra, model: a value is not JSON that can be sent (UTF-8 text, finite numbers, no endless nesting)"
            ) from None

    def _check_cap(self):
        if self.max_cost is None:
            return
        if self.price is None:
            raise ValueError(
                f"max_cost: the price of {self.model!r} is unknown, so a cap cannot hold; "
                "give its prices (price_in and price_out)"
            )
        if self.max_tokens == 0:
            raise ValueError(
                "max_cost: a cap cannot hold where an answer may be of any length; give its longest (max_tokens)"
            )

    @cached_property
    def price(self):
        """`Price`, *optional*: of the model."""
        return find_price(self.model, self.price_in, self.price_out)

    @property
    def address(self):
        """`str`: the server's address as it was given, with what is secret in it; not to be shown or stored."""
        given = self.base_url or None
        name, address = ("base_url", given) if given else ("OPENAI_BASE_URL", os.environ.get("OPENAI_BASE_URL"))
        if not address:  # an empty variable is one that is not set
            return OPENAI
        check_address(address, name)
        # What is added to an address may stand there already.
        return re.sub(r"(/v\d\w*|/openai)/chat/completions/*(?=[?#]|$)", r"\1", address)

    @property
    def server(self):
        """`str`: the server's address without any user name, password or query in it."""
        parts = urlsplit(self.address)
        return urlunsplit(parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment=""))

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

    @property
    def limit_name(self):
        """`str`: how the server is likely to call the longest answer: OpenAI's own models take only the new name,
        many other servers only the old one.
        """
        return "max_completion_tokens" if self.is_openai else "max_tokens"

    def request_body(self, messages, response_format, limit_name=None):
        """`dict`: the fields of one chat-completions request."""
        body = {"model": self.model, "messages": messages, **self.sampling}
        if self.longest:
            body[limit_name or self.limit_name] = self.longest
        if response_format is not None:
            body["response_format"] = response_format
        return body

    def read_key(self):
        """The key, from the environment.

        Raises:
            `ValueError`: where OpenAI is asked and there is none, or it holds what no header can carry. Local servers
                mostly need none.
        """
        key = check_header(os.environ.get(self.key_variable, "").strip(), self.key_variable)
        if not key and self.is_openai:
            raise ValueError(f"no key: set the environment variable {self.key_variable} to your API key")
        return key or "none"
