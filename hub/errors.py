"""What the Hub's client raises, as one sentence."""

import contextlib
import re
import sys

__all__ = ["SENTENCES", "HubError", "hub_errors", "is_transport", "quiet_client", "repository_id", "status_of"]

SENTENCES = {
    401: "the Hub does not accept the token, or got none: run `hf auth login`, or set HF_TOKEN to one that may write",
    403: "the token may not do this: it needs write access to the repository",
    404: "there is no such repository or revision, or the token may not see it",
    409: "the Hub says that it conflicts with what is there (409)",
    412: "the repository got another commit in the meantime: run the command again",
    413: "a file is larger than the Hub takes (413)",
    429: "the Hub asks to slow down (429): wait some minutes and run the command again",
}


class HubError(OSError):
    """The Hub, or the way to it, failed; the message is one sentence that says what was not done."""


def _chain(error):
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def status_of(error):
    """The HTTP status behind an error of the client, or `None`."""
    for one in _chain(error):
        status = getattr(getattr(one, "response", None), "status_code", None)
        if status is not None:
            return status
    return None


def is_transport(error):
    """Whether the connection failed, rather than the Hub answered."""
    return any(
        type(one).__module__.split(".")[0] in ("httpx", "httpx2", "httpcore", "httpcore2")
        or isinstance(one, ConnectionError)
        for one in _chain(error)
    )


def _sentence(error):
    names = {type(one).__name__ for one in _chain(error)}
    if "OfflineModeIsEnabled" in names:
        return "HF_HUB_OFFLINE is set, so the Hub was not asked"
    if "LocalTokenNotFoundError" in names:
        return SENTENCES[401]
    status = status_of(error)
    if status in SENTENCES:
        return SENTENCES[status]
    if status is not None and status >= 500:
        return f"the Hub failed ({status}): run the command again later"
    if is_transport(error):
        return "the connection failed: run the command again"
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return re.sub(r"\s+", " ", lines[0]) if lines else type(error).__name__


@contextlib.contextmanager
def hub_errors(what):
    """Turn whatever the client raises into a `HubError`.

    Args:
        what (`str`): What was not done, for the start of the sentence.
    """
    try:
        yield
    except HubError:
        raise
    except Exception as error:
        known = isinstance(error, OSError | ValueError | RuntimeError) or is_transport(error)
        if not known:
            raise
        raise HubError(f"{what}: {_sentence(error)}") from error


def repository_id(value):
    """A Hub id `owner/name`, checked.

    Raises:
        `ValueError`: for a path, or what is no id.

    Example:

    ```python
    >>> from emodistill.hub.errors import repository_id

    >>> repository_id("someone/my-model")
    'someone/my-model'

    ```
    """
    from huggingface_hub.utils import HFValidationError, validate_repo_id

    try:
        validate_repo_id(value)
    except HFValidationError:
        raise ValueError(f"{value} is neither a folder here nor a Hub id such as someone/my-model") from None
    if value.count("/") != 1 or value.startswith((".", "/", "~")):
        raise ValueError(f"{value} is neither a folder here nor a Hub id such as someone/my-model")
    return value


def quiet_client():
    """No progress bars but those of transfers that somebody watches, and no remarks of the client's beside our own."""
    from huggingface_hub.utils import enable_progress_bars, logging
    from transformers.utils.logging import disable_progress_bar

    logging.set_verbosity_error()
    disable_progress_bar()  # the Hub's too
    if sys.stderr.isatty():
        enable_progress_bars()
