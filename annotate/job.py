"""What is to be asked, what is stored already, and what an answer means for its items."""

from .estimate import estimate
from .output import EMPTY
from .prices import batch_discount, estimate_messages
from .replies import Outcome, looks_like_json, strip_reasoning
from .store import OPEN_STATES, RequestRecord, RowRecord, canonical_json, row_key


class Job:
    """Items to ask under one prompt, against a store.

    Args:
        task (`Task`): what is asked.
        items (`list[tuple[str, str]]`): id and text of each; duplicates and empty texts are taken out here.
        settings (`Settings`)
        store (`Store`)
    """

    def __init__(self, task, items, settings, store):
        self.task, self.settings, self.store, self.price = task, settings, store, settings.price
        if task.structured_only and settings.reply_format == "text":
            raise ValueError(f"reply_format: the task of the prompt {task.prompt.name!r} needs JSON replies")
        self.identity = {
            "model": settings.model,
            "prompt": f"{task.prompt.id} {task.prompt.digest}",
            "parameters": canonical_json(settings.sampling),
        }
        self.unique = {}
        for item_id, text in items:
            if text.strip():
                self.unique.setdefault(self.key(text), (item_id, text.strip()))
        self.rows = store.rows(self.unique)
        shards = store.shards(OPEN_STATES)
        self.in_batches = {key for shard in shards for keys in shard["items"]["groups"] for key in keys}

    def key(self, text):
        return row_key(self.settings.model, self.settings.sampling, self.task.prompt, text)

    def found(self, row):
        """`RowRecord`, *optional*: what is stored for a `TextRow`."""
        return self.rows.get(self.key(row.text)) if row.text else EMPTY

    def is_pending(self, key):
        row = self.rows.get(key)
        if row is None or row.status == "error" or row.status in self.settings.retry:
            return True
        return row.status == "invalid" and row.asks < self.settings.max_asks

    def pending(self):
        """`list[str]`: keys still to be asked, in input order; not those whose answer a batch is to bring."""
        keys = [key for key in self.unique if self.is_pending(key) and key not in self.in_batches]
        return keys if self.settings.limit is None else keys[: self.settings.limit]

    def estimate(self):
        """`Estimate` of what is pending."""
        texts = [self.unique[key][1] for key in self.pending()]
        history = self.store.usage(self.settings.model, self.identity["prompt"])
        return estimate(self.task, texts, self.settings, self.price, history)

    def row(self, key, outcome):
        """The `RowRecord` for an outcome, one answer more on its count where it was an answer."""
        text_id, text = self.unique[key]
        asks = self.asks(key) + (outcome.status != "error")
        return RowRecord(key, text_id, text, outcome.status, outcome.value, outcome.reason, asks)

    def asks(self, key):
        row = self.rows.get(key)
        # A row that the user asked to try again starts its count anew.
        final = row is not None and row.status != "error" and row.asks >= self.settings.max_asks
        return 0 if row is None or final or row.status == "refused" else row.asks

    def messages(self, keys, structured):
        """The conversation that asks for these items, with the reason where the last answer was invalid."""
        row = self.rows.get(keys[0])
        reason = row.reason if row is not None and row.status == "invalid" and self.asks(keys[0]) else None
        return self.task.messages([self.unique[key][1] for key in keys], structured, reason)

    def common(self, keys, structured):
        """`dict`: what every `RequestRecord` of this job says."""
        return {
            "model": self.settings.model,
            "prompt": self.identity["prompt"],
            "parameters": {**self.settings.sampling, "max_tokens": self.settings.longest},
            "server": self.settings.server,
            "items": len(keys),
            "structured": structured,
        }

    def request_record(self, reply, keys, structured, batch=None):
        """The `RequestRecord` of an answer, its cost counted; tokens are estimated where the server gives none.

        Args:
            reply (`Reply`)
            keys (`list[str]`): its items.
            structured (`bool`): whether JSON was asked for.
            batch (`str`, *optional*): the id of the batch that it came in; billed at the batch's price.
        """
        record = RequestRecord(
            **self.common(keys, structured),
            reply=reply.content,
            finish_reason=reply.finish_reason,
            prompt_tokens=reply.prompt_tokens,
            cached_tokens=reply.cached_tokens,
            completion_tokens=reply.completion_tokens,
            batch=batch,
            served_model=reply.model,
            reply_id=reply.id,
            seconds=reply.seconds,
        )
        if record.prompt_tokens is None or record.completion_tokens is None:
            record.estimated = True
            record.prompt_tokens, record.completion_tokens = self.guess(keys, structured)
        if self.price is not None:
            price = self.price.discounted(batch_discount()) if batch else self.price
            record.cost = price.cost(record.prompt_tokens, record.completion_tokens, record.cached_tokens or 0)
        return record

    def guess(self, keys, structured):
        """Estimated prompt and completion tokens of one request."""
        return estimate_messages(self.messages(keys, structured)), self.task.output_tokens * len(keys)

    def outcomes(self, reply, keys, structured):
        """`list[Outcome]`: what an answer says about each of its items."""
        texts = [self.unique[key][1] for key in keys]
        if reply.refused:
            return [Outcome("refused", reason=reply.content[:300] or "the content filter")] * len(keys)
        outcomes = self.task.parse(reply.content, texts, structured)
        whole = all(one.status == "ok" for one in outcomes) and looks_like_json(strip_reasoning(reply.content))
        if reply.finish_reason == "length" and not whole:
            # Cut off at the token limit: JSON that parses has its end, a list in plain text may lack it.
            cut = Outcome("invalid", reason=f"the answer was cut off at {self.settings.longest} tokens (max_tokens)")
            return [cut] * len(keys)
        return outcomes
