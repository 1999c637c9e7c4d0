"""The Batch API's endpoints, each answer read as raw JSON and trusted for nothing."""

import asyncio
import json

from .client import fetch, read_response
from .completions import plain_text, read_body
from .connection import async_client
from .faults import Retriable, judge
from .redaction import Redactor

__all__ = ["BatchService", "ResultsGone", "is_error_line", "request_line"]

ENDPOINT = "/v1/chat/completions"
_METADATA = "emodistill_shard"
_ENDED = {"succeeded": "completed", "complete": "completed", "done": "completed", "ended": "completed"}
_ENDED |= {"canceled": "cancelled", "error": "failed"}  # what other services call what OpenAI's calls otherwise
_SLOWEST = 20_000  # bytes a second: an upload or a result that is slower than that has died


class ResultsGone(Exception):
    """A file of results is no longer there; the message is the server's."""


class BatchService:
    """Files and batches at the server, one call at a time.

    Calls raise `FatalError`, `Retriable`, or `RequestFailed` for what the server turned down.

    Args:
        settings (`Settings`)
    """

    def __init__(self, settings):
        key = settings.read_key()
        self._settings, self.redactor = settings, Redactor(key, settings.address)
        self._runner = asyncio.Runner()
        self._client = async_client(settings, key)

    def close(self):
        try:
            self._runner.run(self._client.close())
        finally:
            self._runner.close()

    def upload(self, name, data):
        """`str`: the id of an uploaded file."""
        create = self._client.files.with_raw_response.create
        seconds = self._settings.timeout + len(data) / _SLOWEST
        return _identity(self._ask(lambda: create(file=(name, data), purpose="batch"), seconds))

    def create(self, file_id, name):
        """`str`: the id of a new batch; `name` stands in its metadata."""
        create = self._client.batches.with_raw_response.create
        fields = {"input_file_id": file_id, "endpoint": ENDPOINT, "completion_window": "24h"}
        return _identity(self._ask(lambda: create(**fields, metadata={_METADATA: name})))

    def made(self):
        """`dict[str, str]`: ids of the server's batches by the name in their metadata."""
        found, after = {}, {}
        for _ in range(1000):
            page = self._ask(lambda after=after: self._client.batches.with_raw_response.list(limit=100, **after))
            batches = page.get("data")
            batches = [one for one in batches if isinstance(one, dict)] if isinstance(batches, list) else []
            for batch in batches:
                metadata = batch.get("metadata")
                if isinstance(metadata, dict) and isinstance(batch.get("id"), str):
                    found.setdefault(str(metadata.get(_METADATA)), batch["id"])
            last = batches[-1].get("id") if batches else None
            if page.get("has_more") is not True or not isinstance(last, str) or after == {"after": last}:
                break
            after = {"after": last}
        return found

    def retrieve(self, batch_id):
        """`dict`: `status`, `output_file_id`, `error_file_id`, `faults` (code and message of each), `counts`."""
        batch = self._ask(lambda: self._client.batches.with_raw_response.retrieve(batch_id))
        if not isinstance(batch.get("status"), str):
            raise Retriable("the server's answer is no batch")
        counts = batch.get("request_counts") if isinstance(batch.get("request_counts"), dict) else {}
        errors = batch.get("errors")
        errors = errors.get("data") if isinstance(errors, dict) else errors
        faults = [one for one in errors if isinstance(one, dict)] if isinstance(errors, list) else []
        files = {name: batch.get(name) for name in ("output_file_id", "error_file_id")}
        return {
            "status": _ENDED.get(batch["status"].lower(), batch["status"].lower()),
            **{name: value if isinstance(value, str) else None for name, value in files.items()},
            "faults": [(str(one.get("code")), str(one.get("message"))) for one in faults],
            "counts": f"{counts.get('completed', '?')} of {counts.get('total', '?')}",
        }

    def lines(self, file_id, total):
        """`list[dict]`: the JSON objects of a result file, redacted, whether they stand in lines, in a list or behind
        each other.

        What cannot be read is a missing answer: its texts stay pending.

        Args:
            file_id (`str`)
            total (`int`): Lines to expect, for the time that it may take.

        Raises:
            `ResultsGone`: where the server has no such file any more.
        """
        seconds = self._settings.timeout + total * 4000 / _SLOWEST
        read = self._client.files.with_raw_response.content
        content, status, headers = self._runner.run(
            fetch(lambda: read(file_id), self._settings, self.redactor, seconds)
        )
        if status in (404, 410):
            raise ResultsGone(str(judge(read_body(content, self.redactor), status, headers, self._settings, False)))
        text = plain_text(content)
        lines = list(_objects(text, self.redactor))
        if status >= 400 or not any("custom_id" in line for line in lines):
            fault = judge(read_body(content, self.redactor), status, headers, self._settings, False)
            if fault is not None:
                raise fault
        return lines

    def _ask(self, send, seconds=None):
        """The JSON object of an answer."""
        answer = self._runner.run(read_response(send, self._settings, self.redactor, deadline=seconds))
        if not isinstance(answer, dict):
            raise Retriable("the server's answer is not JSON")
        return answer


def request_line(custom_id, body):
    """One line of a batch's file, `bytes`."""
    line = {"custom_id": custom_id, "method": "POST", "url": ENDPOINT, "body": body}
    return json.dumps(line, ensure_ascii=False).encode("utf-8", "backslashreplace")


def is_error_line(line):
    """Whether a line of a result file holds no answer."""
    return bool(line.get("error")) or not isinstance(line.get("response"), dict)


def _objects(text, redactor):
    """The JSON objects in a text, one after the other; what is no JSON is passed over to the end of its line."""
    decoder, place = json.JSONDecoder(), 0
    while place < len(text):
        if text[place].isspace() or text[place] == "\ufeff":
            place += 1
            continue
        try:
            value, place = decoder.raw_decode(text, place)
            values = [redactor.value(one) for one in (value if isinstance(value, list) else [value])]
        except (ValueError, RecursionError):
            end = text.find("\n", place)
            place = len(text) if end < 0 else end
            continue
        yield from (one for one in values if isinstance(one, dict))


def _identity(made):
    if not isinstance(made.get("id"), str):
        raise Retriable("the server's answer has no id")
    return made["id"]
