"""What a request costs: a dated price table (`prices.toml`), the user's own prices before it."""

import re
import tomllib
from dataclasses import dataclass
from importlib import resources

__all__ = ["Price", "batch_discount", "estimate_messages", "estimate_tokens", "find_price"]

_SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$")  # gpt-4o-2024-08-06 is priced as gpt-4o


@dataclass(frozen=True)
class Price:
    """US dollars for a million tokens.

    Args:
        input, output (`float`): Of prompt and completion.
        cached (`float`, *optional*): Of prompt tokens that the server had in its cache; `input` by default.
        source (`str`): Where the figures come from, with their date.
    """

    input: float
    output: float
    cached: float | None = None
    source: str = "given by the user"

    def cost(self, prompt_tokens, completion_tokens, cached_tokens=0):
        """`float`: US dollars."""
        cached = self.input if self.cached is None else self.cached
        fresh = prompt_tokens - cached_tokens
        return (fresh * self.input + cached_tokens * cached + completion_tokens * self.output) / 1e6

    def discounted(self, factor):
        cached = None if self.cached is None else self.cached * factor
        return Price(self.input * factor, self.output * factor, cached, self.source)


def _table():
    return tomllib.loads(resources.files(__package__).joinpath("prices.toml").read_text("utf-8"))


def batch_discount():
    """`float`: what batch mode costs, as a share of the standard price."""
    return _table()["batch_discount"]


def find_price(model, price_in=None, price_out=None):
    """The price of a model, or `None` where it is unknown.

    Args:
        model (`str`): Its name; a dated snapshot is priced as its family.
        price_in, price_out (`float`, *optional*): US dollars for a million tokens; both or neither.

    Returns:
        `Price`, *optional*

    Raises:
        `ValueError`: where only one price is given, or one is negative.

    Example:

    ```python
    >>> find_price("gpt-4o-2024-08-06").input
    2.5
    ```
    """
    if (price_in is None) != (price_out is None):
        raise ValueError("price_in and price_out: give both or neither")
    if price_in is not None:
        if price_in < 0 or price_out < 0:
            raise ValueError("price_in and price_out: must not be negative")
        return Price(price_in, price_out)
    for table in _table()["tables"]:
        entry = table["models"].get(model) or table["models"].get(_SNAPSHOT.sub("", model))
        if entry:
            return Price(entry["input"], entry["output"], entry.get("cached"), f"{table['date']}, {table['source']}")
    return None


def estimate_tokens(text):
    """A rough count of a text's tokens without a tokenizer: a quarter of its UTF-8 bytes.

    English prose comes to about four bytes a token in the tokenizers of current models; other scripts come to
    fewer characters and about as many bytes. Real usage takes its place as soon as replies come in.

    Example:

    ```python
    >>> estimate_tokens("I could not be happier for you")
    8
    ```
    """
    return (len(text.encode("utf-8", "surrogatepass")) + 3) // 4


def estimate_messages(messages):
    """`int`: tokens of a conversation, with about four for each turn's frame."""
    return sum(4 + estimate_tokens(message["content"]) for message in messages) + 3
