"""What a run will take, before it takes it: requests, tokens, dollars, time. No key, no network."""

from dataclasses import dataclass

from ..durations import counted, duration
from .prices import estimate_messages, estimate_tokens

__all__ = ["Estimate", "estimate"]


@dataclass(frozen=True)
class Estimate:
    """What the texts that are still to be asked will take.

    Args:
        texts, requests (`int`)
        prompt_tokens, completion_tokens (`int`): Estimates, see `emodistill.annotate.prices.estimate_tokens`.
        cost (`float`, *optional*): US dollars; `None` where the model's price is unknown.
        seconds (`float`): At a second a request and 60 completion tokens a second, or what the limits a minute
            allow.
        price (`Price`, *optional*)
        measured (`bool`): Whether earlier replies of this store gave the completion tokens and the time.
    """

    texts: int
    requests: int
    prompt_tokens: int
    completion_tokens: int
    cost: float | None
    seconds: float
    price: object = None
    measured: bool = False

    def lines(self):
        """`list[str]`: for people."""
        basis = "from the replies so far" if self.measured else "estimated without a tokenizer"
        lines = [
            f"to ask: {counted(self.texts, 'text')} in {counted(self.requests, 'request')}",
            f"tokens: about {self.prompt_tokens:,} in and {self.completion_tokens:,} out ({basis})",
        ]
        if self.cost is None:
            lines.append("cost:   unknown, for the model is not in the price table; give --price-in and --price-out")
        else:
            lines.append(
                f"cost:   about ${self.cost:,.2f} at ${self.price.input:g} in and ${self.price.output:g} out "
                f"for a million tokens ({self.price.source})"
            )
        return [*lines, f"time:   about {duration(self.seconds)}"]


def estimate(task, texts, settings, price, history=None):
    """Estimate a run.

    Args:
        task: What is asked.
        texts (`list[str]`): Those still to be asked.
        settings (`Settings`)
        price (`Price`, *optional*)
        history (`dict`, *optional*): `Store.usage` of the same model and prompt.

    Returns:
        `Estimate`
    """
    size = settings.texts_per_request
    requests = -(-len(texts) // size)
    structured = settings.reply_format != "text"
    # The frame is the same for every request, so it is counted once; the texts are counted one by one.
    frame = _frame(task, texts, min(size, len(texts)), structured) if texts else 0
    if structured and texts:
        frame += estimate_tokens(str(task.response_format(size)))
    prompt_tokens = frame * requests + sum(map(estimate_tokens, texts))
    completion, measured = task.output_tokens * len(texts), False
    seconds = 1.0 + task.output_tokens * size / 60
    if history and history["requests"] >= 20 and history["completion_tokens"]:
        completion = round(history["completion_tokens"] / history["items"] * len(texts))
        seconds, measured = history["seconds"] / history["requests"], True
    waits = [-(-requests // settings.concurrency) * seconds]
    if settings.requests_per_minute:
        waits.append(requests / settings.requests_per_minute * 60)
    if settings.tokens_per_minute:
        waits.append((prompt_tokens + completion) / settings.tokens_per_minute * 60)
    cost = price.cost(prompt_tokens, completion) if price else None
    return Estimate(len(texts), requests, prompt_tokens, completion, cost, max(waits), price, measured)


def _frame(task, texts, count, structured):
    """Tokens of a request beside its items; those of a task that composes are no texts, and cannot be empty."""
    if not task.composes:
        return estimate_messages(task.messages([""] * count, structured))
    return max(1, estimate_messages(task.messages(texts[:1], structured)) - estimate_tokens(texts[0]))
