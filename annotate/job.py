"""What is to be asked, what is stored already, and what an answer means for its items."""

import json
from dataclasses import replace

from ..descriptors.tables import is_empty_text
from .dialect import Dialect
from .estimate import estimate
from .money import WorstCase
from .output import EMPTY
from .prices import batch_discount, estimate_messages, estimate_tokens
from .replies import Outcome
from .store import OPEN_STATES, RequestRecord, RowRecord, canonical_json, row_key

__all__ = ["Job"]


class Job:
    """Items to ask under one prompt, against a store.

    Args:
        task (`Task`): What is asked.
        items (`list[tuple[str, str]]`): Id and text of each; duplicates and empty texts are taken out here.
        settings (`Settings`)
        store (`Store`)

    Raises:
        `ValueError`: where the task needs JSON and the settings ask for text, or the store is damaged.
    """

    def __init__(self, task, items, settings, store):
        if settings.max_tokens is None:
            settings = replace(settings, max_tokens=task.longest(settings.texts_per_request))
        self.task, self.settings, self.store, self.price = task, settings, store, settings.price
        if task.structured_only and settings.reply_format == "text":
            raise ValueError(f"reply_format: the task of the prompt {task.prompt.name!r} needs JSON replies")
        self.identity = {
            "model": settings.model,
            "prompt": f"{task.prompt.id} {task.prompt.digest}",
            "parameters": canonical_json(settings.sampling),
        }
        self.dialect = Dialect(settings, task.structured_only)
        self.unique = {}
        for item_id, text in items:
            if not is_empty_text(text):
                self.unique.setdefault(self.key(text), (item_id, text.strip()))
        self.others = {}  # id and text of keys that left the input while a batch was to bring their answers
        self.rows = self._checked(store.rows(self.unique))
        shards = store.shards(OPEN_STATES)
        self.in_batches = {key for shard in shards for keys in shard["items"]["groups"] for key in keys}
        frames = {} if task.structured_only else store.frames(settings.model, self.identity["prompt"], settings.server)
        shapes = {(*shape, shape[1]): seen for shape, seen in frames.items()}
        self.worst = WorstCase(settings.longest, shapes, store.excess(settings.model, settings.server))

    def _checked(self, rows):
        for row in rows.values():
            if row.status == "ok" and not self.task.accepts(row.value):
                raise ValueError(
                    f"{self.store.path}: the row of the text {row.text_id[:80]!r} is damaged (key {row.key[:16]}...); "
                    "bring back a copy of the file, or delete the row to have the text asked again"
                )
        return rows

    def key(self, text):
        return row_key(self.settings.model, self.settings.sampling, self.task.prompt, text)

    def item(self, key):
        """Id and text of a key."""
        return self.unique.get(key) or self.others[key]

    def found(self, row):
        """`RowRecord`, *optional*: what is stored for a `TextRow`."""
        if row.error:
            return replace(EMPTY, reason=f"{row.place}: {row.error}; so it was not asked")
        return EMPTY if is_empty_text(row.text) else self.rows.get(self.key(row.text))

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
        text_id, text = self.item(key)
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
        return self.task.messages([self.item(key)[1] for key in keys], structured, reason)

    def body(self, keys, structured, schema, limit_name):
        """`dict`: the fields of the request that asks for these items."""
        response_format = self.task.response_format(len(keys)) if schema else None
        return self.settings.request_body(self.messages(keys, structured), response_format, limit_name)

    def guess(self, body, items):
        """Estimated prompt and completion tokens of one request."""
        schema = body.get("response_format")
        prompt = estimate_messages(body["messages"])
        prompt += estimate_tokens(json.dumps(schema, ensure_ascii=False)) if schema else 0
        return prompt, self.task.output_tokens * items

    def common(self, items, structured):
        """`dict`: what every `RequestRecord` of this job says."""
        return {
            "model": self.settings.model,
            "prompt": self.identity["prompt"],
            "parameters": {**self.settings.sampling, "max_tokens": self.settings.longest},
            "server": self.settings.server,
            "items": items,
            "structured": structured,
        }

    def cost(self, tokens, batch=False):
        """US dollars of prompt and completion tokens, or `None` where the price is unknown."""
        if self.price is None:
            return None
        price = self.price.discounted(batch_discount()) if batch else self.price
        return price.cost(*tokens)

    def open_record(self, items, structured, tokens, **more):
        """The `RequestRecord` of a request that has no answer, with the tokens that it is to count with."""
        return RequestRecord(
            **self.common(items, structured),
            prompt_tokens=tokens[0],
            completion_tokens=tokens[1],
            estimated=True,
            cost=self.cost(tokens),
            **more,
        )

    def request_record(self, reply, items, structured, guessed, batch=None):
        """The `RequestRecord` of an answer, its cost counted.

        Args:
            reply (`Reply`)
            items (`int`): How many it is about.
            structured (`bool`): Whether JSON was asked for.
            guessed (`tuple[int, int]`): Prompt and completion tokens to take where the server gives none.
            batch (`str`, *optional*): The id of the batch that it came in; billed at the batch's price.
        """
        record = RequestRecord(
            **self.common(items, structured),
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
            written = estimate_tokens(reply.content)
            if self.settings.max_cost is not None:  # a cap is held against what it can have been, not what is likely
                written = len(reply.content.encode("utf-8", "replace"))
            if record.prompt_tokens is None:
                record.prompt_tokens, record.cached_tokens = guessed[0], 0
            if record.completion_tokens is None:
                record.completion_tokens = max(guessed[1], written)
        record.cost = self.cost(
            (record.prompt_tokens, record.completion_tokens, record.cached_tokens or 0), bool(batch)
        )
        return record

    def outcomes(self, reply, keys, structured):
        """`list[Outcome]`: what an answer says about each of its items. Never raises."""
        if reply.refused and len(keys) > 1:  # one of them is meant, and alone each shows which
            return [Outcome("error", reason="the request for several texts was refused")] * len(keys)
        if reply.refused:
            return [Outcome("refused", reason=reply.content[:300] or "the content filter")] * len(keys)
        texts = [self.item(key)[1] for key in keys]
        try:
            outcomes = self.task.parse(reply.content, texts, structured)
            whole = all(one.status == "ok" for one in outcomes) and self.task.is_whole(reply.content)
        except Exception as error:  # nobody foresaw it: the item's fault, and never the run's
            words = f"the answer cannot be read ({type(error).__name__}): {reply.content}"
            return [Outcome("error", reason=words[:300])] * len(keys)
        if reply.finish_reason == "length" and not whole:
            # Cut off at the token limit: JSON that parses has its end, a list in plain text may lack it.
            cut = Outcome("invalid", reason=f"the answer was cut off at {self.settings.longest} tokens (max_tokens)")
            return [cut] * len(keys)
        return outcomes
