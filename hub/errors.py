"""What the Hub's client raises, as one sentence."""

import contextlib
import re
import sys

__all__ = ["SENTENCES", "HubError", "hub_errors", "is_lost", "quiet_client", "repository_id"]

SENTENCES = {
    401: "the Hub refuses the token, or got none: run `hf auth login`, or set HF_TOKEN, to publish one that may write",
    403: "the token may not do this: to publish it needs write access to the repository, to read its owner's consent",
    404: "there is no such repository or revision, or the token may not see it",
    409: "the Hub says that it conflicts with what is there (409)",
    412: "the repository got another commit in the meantime: run the command again",
    413: "a file is larger than the Hub takes (413)",
    429: "the Hub asks to slow down (429): wait some minutes and run the command again",
}
LONGEST = 300  # characters of what the Hub or its client says
SILENCE = 100.0  # seconds without a byte, after which a connection is given up


class HubError(OSError):
    """The Hub, or the way to it, failed; the message is one sentence that says what was not done."""


def _chain(error):
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _status_of(error):
    """The HTTP status behind an error of the client, or `None`."""
    for one in _chain(error):
        status = getattr(getattr(one, "response", None), "status_code", None)
        if status is not None:
            return status
    return None


def _is_transport(error):
    """Whether the connection failed, rather than the Hub answered."""
    return any(
        type(one).__module__.split(".")[0] in ("httpx", "httpx2", "httpcore", "httpcore2")
        or isinstance(one, ConnectionError)
        for one in _chain(error)
    )


def _is_no_answer(error):
    """Whether an answer came, and has not the form of the Hub's: a proxy's page, or another service's JSON.

    The client takes the form for granted, and raises whatever it stumbles over.
    """
    if any(type(one).__name__ == "JSONDecodeError" for one in _chain(error)):
        return True
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    where = place.tb_frame.f_globals.get("__name__", "") if place is not None else ""
    return isinstance(error, TypeError | LookupError | AttributeError) and where.startswith("huggingface_hub.")


def is_lost(error):
    """Whether no answer came that says what became of a request: it may have been done all the same."""
    status = _status_of(error)
    return status >= 500 if status is not None else _is_transport(error) or _is_no_answer(error)


def _said(error):
    """What an error says, on one line."""
    said = re.sub(r"\s+", " ", str(error)).strip() or type(error).__name__
    return said if len(said) <= LONGEST else f"{said[: LONGEST - 3]}..."


def _sentence(error):
    names = {type(one).__name__ for one in _chain(error)}
    if "OfflineModeIsEnabled" in names:
        return "HF_HUB_OFFLINE is set, so the Hub was not asked"
    if "LocalTokenNotFoundError" in names:
        return SENTENCES[401]
    status = _status_of(error)
    if status in SENTENCES:
        return SENTENCES[status]
    if status is not None and status >= 500:
        return f"the Hub failed ({status}): run the command again later"
    if status is not None:
        return f"the Hub refuses it ({status}): {_said(getattr(error, 'server_message', None) or error)}"
    if _is_transport(error):
        return "the connection failed: run the command again"
    if _is_no_answer(error):
        return (
            "what answered is not the Hub, or a page came in place of its answer: look at HF_ENDPOINT, at proxies and "
            "at pages to log in on the way"
        )
    return _said(error)


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
        known = isinstance(error, OSError | ValueError | RuntimeError) or _is_transport(error) or _is_no_answer(error)
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


def _give_up_in_time(request):
    """The client itself waits for an answer for ever, or for as long as a call of its own says."""
    times = request.extensions.get("timeout", {})
    request.extensions["timeout"] = {name: SILENCE if time is None else time for name, time in times.items()}


def _patient_client():
    from huggingface_hub.utils._http import default_client_factory

    client = default_client_factory()
    client.event_hooks["request"].append(_give_up_in_time)
    return client


def quiet_client():
    """No progress bars but those of transfers that somebody watches, no remarks of the client's beside our own, and
    no waiting for ever."""
    from huggingface_hub import set_client_factory
    from huggingface_hub.utils import enable_progress_bars, logging
    from transformers.utils.logging import disable_progress_bar

    set_client_factory(_patient_client)
    logging.set_verbosity_error()
    disable_progress_bar()  # the Hub's too
    if sys.stderr.isatty():
        enable_progress_bars()
