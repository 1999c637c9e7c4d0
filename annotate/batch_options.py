"""The choices of batch mode."""

from dataclasses import dataclass

from .settings import check_numbers, option

__all__ = ["BatchOptions"]


@dataclass(frozen=True)
class BatchOptions:
    """The choices of batch mode.

    Args:
        max_requests (`int`): Requests of one shard; the service takes 50,000.
        max_bytes (`int`): Bytes of one shard's file; the service takes 200 MB.
        max_enqueued_tokens (`int`, *optional*): Prompt tokens that the account may have enqueued at a time.
        poll (`float`): Seconds between looks at the batches.
        wait (`bool`): Whether to stay until all is collected; otherwise submit, collect what is ready, and return.
        rounds (`int`): How often a request that failed inside a batch is put into a further one, in one run.
        forget_lost (`bool`): Whether the texts of batches that the server does not know any more are asked anew.
    """

    max_requests: int = option("requests of one batch", "batch", default=50_000)
    max_bytes: int = option("bytes of one batch's file", "batch", default=190_000_000)
    max_enqueued_tokens: int | None = option(
        "prompt tokens that the account may have in the queue (see its limits page)", "batch", default=None
    )
    poll: float = option("between looks at the batches", "batch", default=60.0, metavar="SECONDS")
    wait: bool = option(
        "submit, collect what is ready, and return; run the same command again later",
        "batch", flag="--no-wait", default=True,
    )  # fmt: skip
    rounds: int = option("batches to put a failing request into, in one run", "batch", default=3)
    forget_lost: bool = option(
        "ask anew for the texts of batches that the server does not know any more", "batch", default=False
    )

    def __post_init__(self):
        least = dict.fromkeys(("max_requests", "max_bytes", "max_enqueued_tokens", "rounds"), 1)
        check_numbers(self, least={**least, "poll": 0})
