"""The spending cap: what a request may cost at most, reserved and on record before it leaves.

The cap is held against what the server may bill, not against what it says. A text's tokens are never more than its
bytes (byte-level tokenizers have one token for each byte at worst), so the bytes of what is sent bound the prompt
until an answer under the same prompt has shown what the part takes that is the same in each request. An answer is
bounded by its longest, `max_tokens`. A server that goes beyond either is believed no further: its requests reserve
twice what the worst of them took.
"""

import asyncio
import json

__all__ = ["Attempt", "Budget", "BudgetReached", "WorstCase"]


class BudgetReached(Exception):
    """Another request could pass the spending cap."""


class Budget:
    """Money that may still be spent. Each request reserves the most that it can cost before it is sent.

    Until a first answer has told how the server counts, one request is in flight at a time.

    Args:
        cap (`float`, *optional*): US dollars; `None` for none.
        spent (`float`): By earlier runs.
        known (`bool`): Whether earlier answers have told how the server counts.
    """

    def __init__(self, cap, spent=0.0, known=False):
        self.cap, self.spent, self._reserved, self._holders, self._known = cap, spent, 0.0, 0, known
        self._changed = asyncio.Condition()

    async def reserve(self, amount):
        """Take money aside.

        Args:
            amount (`Callable[[], float]` or `float`): Asked again after each wait, for answers may have changed it.

        Returns:
            `float`: what was reserved.

        Raises:
            `BudgetReached`: where there is too little and no request in flight can give some back.
        """
        count = amount if callable(amount) else lambda: amount
        if self.cap is None:
            return count()
        async with self._changed:
            while True:
                wanted = count()
                room = self.spent + self._reserved + wanted <= self.cap
                if room and (self._known or not self._holders):
                    break
                if not self._holders:
                    raise BudgetReached
                await self._changed.wait()
            self._reserved += wanted
            self._holders += 1
            return wanted

    def spend(self, cost, known=True):
        """Book what a request cost; `known` where it was answered."""
        self.spent += cost
        self._known = self._known or known

    async def release(self, amount):
        """The request is over: its reservation ends."""
        if self.cap is None:
            return
        async with self._changed:
            self._holders -= 1
            self._reserved = self._reserved - amount if self._holders else 0.0  # no residue of rounding
            self._changed.notify_all()


class WorstCase:
    """The most tokens that requests under one prompt can take.

    Args:
        longest (`int`): Most tokens of an answer.
        frames (`dict`, *optional*): Fewest prompt tokens seen for each shape of request (what is the same in each).
        excess (`float`): The longest answer of earlier runs as a share of what was allowed.
    """

    def __init__(self, longest, frames=None, excess=0.0):
        self.longest, self._frames, self._factors = (
            longest,
            dict(frames or {}),
            [1.0, 2 * excess if excess > 1 else 1.0],
        )

    def tokens(self, body, shape):
        """Prompt and completion tokens at most.

        Args:
            body (`dict`): Of the request.
            shape: What tells requests apart that share all but their last message.
        """
        if shape in self._frames:
            prompt = self._frames[shape] + _bytes(body["messages"][-1]["content"]) + 8
        else:
            prompt = _bytes(json.dumps(body, ensure_ascii=False))
        return int(prompt * self._factors[0]) + 1, int(max(self.longest, 1) * self._factors[1])

    def learn(self, shape, reply, reserved):
        """See what a request took.

        Args:
            shape: As above.
            reply (`Reply`)
            reserved (`tuple[int, int]`): What `tokens` said of it.

        Returns:
            `bool`: whether it took more than it can have taken: the server does not keep to the longest answer.
        """
        if reply.prompt_tokens:
            self._frames[shape] = min(reply.prompt_tokens, self._frames.get(shape, reply.prompt_tokens))
        taken = (reply.prompt_tokens or 0) / reserved[0], (reply.completion_tokens or 0) / reserved[1]
        self._factors = [
            factor * (2 * share if share > 1 else 1) for factor, share in zip(self._factors, taken, strict=True)
        ]
        return max(taken) > 1


def _bytes(text):
    return len(text.encode("utf-8", "surrogatepass"))


class Attempt:
    """One sending of a request: its money reserved, and on record in the store before it leaves.

    A process that is killed leaves the record, with the most that the request can have cost; the next run books it.

    Args:
        budget (`Budget`)
        writer (`GroupWriter`)
        job (`Job`)
        record (`RequestRecord`): What is known before the answer, with its cost at worst.
        reserved (`float`): What the budget has set aside for it.
        report (`Report`): Told what a lost answer cost.
    """

    def __init__(self, budget, writer, job, record, reserved, report):
        self._budget, self._writer, self._job, self._report = budget, writer, job, report
        self.record, self._reserved = record, reserved

    @classmethod
    async def begin(cls, budget, writer, job, record, reserved, report):
        """Write the record; gives the money back where that fails."""
        try:
            if record.cost is not None:
                await writer.record(record, [], job.identity)
        except BaseException:
            await budget.release(reserved)
            raise
        return cls(budget, writer, job, record, reserved, report)

    async def answered(self, request, rows):
        """Store the answer and its rows in the place of the record, and book what it cost."""
        request.number = self.record.number
        try:
            await self._writer.record(request, rows, self._job.identity)
        finally:
            self._budget.spend(request.cost or 0.0)
            await self._budget.release(self._reserved)

    async def lost(self, words):
        """The answer was lost: the request counts with the most that it can have cost."""
        self.record.fault = words
        try:
            await self._writer.record(self.record, [], self._job.identity)
            self._report.book(self.record)
        finally:
            self._budget.spend(self.record.cost or 0.0, known=False)
            await self._budget.release(self._reserved)

    async def unbilled(self):
        """The server turned the request down, or it never left: nothing is booked."""
        try:
            if self.record.number is not None:
                await self._writer.forget(self.record.number)
        finally:
            await self._budget.release(self._reserved)
