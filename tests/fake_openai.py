"""A server on loopback that speaks the chat-completions and batch endpoints, with a script of faults.

It is a real HTTP server (keep-alive, concurrent connections, delays), so that the client is tested over sockets.
What it answers is decided by a `script`, a function of the request; what it was asked stands in `log`.
"""

import asyncio
import hashlib
import json
import re
import threading
import time
from dataclasses import dataclass, field

FAULTS = ("429", "429-after", "500", "503", "slow", "cut", "not-json", "malformed", "refusal", "filter", "count")
LABELS = ("joy", "quiet relief", "sadness", "anger", "fear", "self-doubt", "tenderness", "pride")


def default_labels(text):
    """Two descriptors that depend on the text alone."""
    digest = hashlib.sha256(text.encode()).digest()
    return [LABELS[digest[0] % 4], LABELS[4 + digest[1] % 4]]


@dataclass
class Call:
    """One chat-completions request, as the server saw it."""

    texts: list
    body: dict
    headers: dict
    fault: str | None = None
    finished: bool = False  # the whole answer was handed to the socket
    time: float = field(default_factory=time.monotonic)


def texts_of(body):
    """The texts in a request: the last user message's, numbered or alone."""
    content = body["messages"][-1]["content"].split("\n\nYour last answer")[0]
    if content.startswith("Text: "):
        return [content[6:]]
    lines = [json.loads(line) for line in content.split("\n") if line.startswith('{"number"')]
    return [line.get("text", line.get("descriptor")) or content for line in lines] or [content]


class FakeOpenAI:
    """The server, in a thread of its own.

    Args:
        script (`Callable[[Call, int], str | dict | tuple | None]`): what happens to a request: a fault's name, an
            answer's message as a dictionary (with `finish_reason`, `usage`), a status with a body and headers as a
            tuple, or `None` for a good answer. The second argument counts the earlier requests with the same texts.
        delay (`float`): seconds before each answer.
        structured (`bool`): whether `response_format` is accepted.
        usage (`bool`): whether answers report tokens.
    """

    def __init__(self, script=None, delay=0.0, structured=True, usage=True):
        self.script, self.delay, self.structured, self.usage = (
            script or (lambda call, seen: None),
            delay,
            structured,
            usage,
        )
        self.log, self.seen, self.files, self.batches = [], {}, {}, {}
        # Callable[[Call, dict], tuple[int, int]]: prompt and completion tokens as this server counts and bills them
        self.counts, self.billed = None, []
        self.in_flight = self.most_in_flight = self.connections = 0
        self.retry_after = "0.05"
        self.batch_script = None  # Callable[[str, dict], str | None]: an event of the batch endpoints to a fault
        self.batch_polls = 1  # polls before a batch is completed
        self.batch_events = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self):
        self._thread.start()
        self._server = self._call(asyncio.start_server(self._serve, "127.0.0.1", 0, backlog=512))
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        return self

    def __exit__(self, *_):
        self._call(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    async def _close(self):
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _call(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(10)

    @property
    def asked(self):
        """Every text that was asked, in the order of arrival."""
        return [text for call in self.log for text in call.texts]

    async def _serve(self, reader, writer):
        self.connections += 1
        try:
            while await self._one(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _one(self, reader, writer):
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        method, path, _ = head.split("\r\n", 1)[0].split(" ")
        headers = {k.lower(): v for k, v in (line.split(": ", 1) for line in head.split("\r\n")[1:] if ": " in line)}
        body = await reader.readexactly(int(headers.get("content-length", 0)))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            return await self._route(method, path.split("?")[0], headers, body, writer)
        finally:
            self.in_flight -= 1

    async def _route(self, method, path, headers, body, writer):
        if method == "POST" and path.endswith("/chat/completions"):
            return await self._chat(json.loads(body), headers, writer)
        status, reply = self._batch_route(method, path, headers, body)
        return await self._send(writer, status, reply)

    async def _chat(self, body, headers, writer):
        call = Call(texts_of(body), body, headers)
        key = tuple(call.texts)
        seen = self.seen.get(key, 0)
        self.seen[key] = seen + 1
        self.log.append(call)
        if not self.structured and "response_format" in body:
            call.fault = "unsupported"
            return await self._send(writer, 400, _error("response_format json_schema is not supported"))
        action = self.script(call, seen)
        call.fault = action if isinstance(action, str) else None
        await asyncio.sleep(self.delay)
        status, reply, extra = self.answer(call, action)
        if action == "slow":
            await asyncio.sleep(1.5)
        if action == "trickle":
            return await self._trickle(writer, json.dumps(reply).encode())
        if action == "cut":
            data = json.dumps(reply).encode()
            writer.write(_head(200, len(data)) + data[: len(data) // 2])
            await writer.drain()
            writer.transport.abort()
            return False
        sent = await self._send(writer, status, reply, extra)
        call.finished = True
        return sent

    async def _trickle(self, writer, data):
        """A byte at a time, each soon enough for a time-out that begins anew with each."""
        writer.write(_head(200, len(data)))
        for position in range(len(data)):
            writer.write(data[position : position + 1])
            await writer.drain()
            await asyncio.sleep(0.2)
        return True

    def answer(self, call, action):
        """Status, body and headers for a request under an action."""
        if isinstance(action, tuple):
            return (*action, {}) if len(action) == 2 else action
        if isinstance(action, dict):
            return 200, self.completion(call, action), {}
        if action == "429":
            return 429, _error("Rate limit reached", "rate_limit_exceeded"), {}
        if action == "429-after":
            return 429, _error("Rate limit reached", "rate_limit_exceeded"), {"retry-after": self.retry_after}
        if action in ("500", "503"):
            return int(action), _error("The server had an error"), {}
        if action and action[:1] == "!":  # "!401 words": a status with an error message
            status, _, words = action[1:].partition(" ")
            return int(status), _error(words, words.split(" ")[0]), {}
        if action == "not-json":
            return 200, "<html>Bad gateway</html>", {}
        if action == "filter-400":
            return 400, _error("The response was filtered", "content_filter"), {}
        message = {
            "refusal": {"content": None, "refusal": "I'm sorry, I can't help with that."},
            "filter": {"content": "", "finish_reason": "content_filter"},
            "malformed": {"content": '{"labels": ["joy", "re'},
            "count": {"content": self.content(call, [*call.texts, "one more"])},
        }.get(action)
        return 200, self.completion(call, message or {"content": self.content(call, call.texts)}), {}

    def content(self, call, texts):
        """A good answer in the format that was asked for."""
        structured = "response_format" in call.body or '{"' in call.body["messages"][0]["content"]
        if '"implies"' in call.body["messages"][0]["content"]:
            answers = [{"number": n, **rating(text)} for n, text in enumerate(texts, 1)]
            return json.dumps({"answers": answers})
        if (made := _composed(call.body["messages"])) is not None:
            return json.dumps(made)
        if '"valence"' in call.body["messages"][0]["content"] and '"labels"' in call.body["messages"][0]["content"]:
            answers = [{"labels": default_labels(text), **_dimensions(text)} for text in texts]
            numbered = [{"number": n, **one} for n, one in enumerate(answers, 1)]
            return json.dumps(answers[0] if len(texts) == 1 else {"answers": numbered})
        if match := re.match(r"Write (\d+) texts\. Genre: (.*?)\.", texts[0]):
            count, genre = int(match.group(1)), match.group(2)
            made = [
                {"text": f"{genre} text {n} of {texts[0]}", "labels": default_labels(str(n))} for n in range(count)
            ]
            return json.dumps({"texts": made})
        if len(texts) == 1:
            labels = default_labels(texts[0])
            return json.dumps({"labels": labels}) if structured else ", ".join(labels)
        if structured:
            answers = [{"number": n, "labels": default_labels(text)} for n, text in enumerate(texts, 1)]
            return json.dumps({"answers": answers})
        return "\n".join(f"{n}: {', '.join(default_labels(text))}" for n, text in enumerate(texts, 1))

    def completion(self, call, message):
        message = dict(message)
        finish = message.pop("finish_reason", "stop")
        usage = {"prompt_tokens": 100, "completion_tokens": 10, "total_tokens": 110}
        if self.counts is not None:
            usage["prompt_tokens"], usage["completion_tokens"] = self.counts(call, message)
            self.billed.append((usage["prompt_tokens"], usage["completion_tokens"]))
        usage = message.pop("usage", usage)
        reply = {
            "id": f"chatcmpl-{len(self.log)}",
            "object": "chat.completion",
            "created": int(time.time()),
            "model": call.body["model"] + "-2026-01-01",
            "choices": [{"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish}],
        }
        return {**reply, "usage": usage} if self.usage else reply

    async def _send(self, writer, status, reply, extra=None):
        data = reply if isinstance(reply, bytes) else reply.encode() if isinstance(reply, str) else None
        data = json.dumps(reply).encode() if data is None else data
        writer.write(_head(status, len(data), extra) + data)
        await writer.drain()
        return True

    # The batch endpoints: files, batches, and what a batch comes to.

    def _batch_route(self, method, path, headers, body):
        parts = path.split("/v1/", 1)[-1].strip("/").split("/")
        event = f"{method} {parts[0]}" + ("/content" if parts[-1] == "content" else "/id" if len(parts) > 1 else "")
        self.batch_events.append(event)
        fault = self.batch_script(event, {"body": body, "path": path}) if self.batch_script else None
        if fault and fault[:1] == "!":
            status, _, words = fault[1:].partition(" ")
            return int(status), _error(words, words.split(" ")[0])
        if event == "POST files":
            return 200, self._upload(headers, body)
        if event == "GET files":
            return 200, {"object": "list", "data": [self._file(i) for i in self.files], "has_more": False}
        if event == "GET files/content":
            return 200, self.files[parts[1]]["data"]
        if event == "POST batches":
            return self._create(json.loads(body), fault)
        if event == "GET batches":
            return 200, {"object": "list", "data": [b["object"] for b in self.batches.values()], "has_more": False}
        if event == "GET batches/id" and parts[1] in self.batches:
            return 200, self._poll(self.batches[parts[1]])
        return 404, _error(f"no such path {path}")

    def _upload(self, headers, body, name=None):
        if headers is not None:
            boundary = re.search(r"boundary=(\S+)", headers["content-type"]).group(1).encode()
            part = next(p for p in body.split(b"--" + boundary) if b"filename=" in p)
            name = re.search(rb'filename="([^"]*)"', part).group(1).decode()
            body = part.split(b"\r\n\r\n", 1)[1].rsplit(b"\r\n", 1)[0]
        file_id = f"file-{len(self.files) + 1}"
        self.files[file_id] = {"data": body, "name": name}
        return self._file(file_id)

    def _file(self, file_id):
        file = self.files[file_id]
        return {"id": file_id, "object": "file", "bytes": len(file["data"]), "created_at": 1,
                "filename": file["name"], "purpose": "batch", "status": "processed"}  # fmt: skip

    def _create(self, asked, fault):
        batch_id = f"batch_{len(self.batches) + 1}"
        made = {"id": batch_id, "object": "batch", "endpoint": asked["endpoint"], "created_at": 1,
                "status": "validating", "input_file_id": asked["input_file_id"],
                "completion_window": asked["completion_window"], "metadata": asked.get("metadata"),
                "output_file_id": None, "error_file_id": None, "errors": None,
                "request_counts": {"total": 0, "completed": 0, "failed": 0}}  # fmt: skip
        self.batches[batch_id] = {"object": made, "polls": 0, "fault": fault}
        return 200, made

    def _poll(self, batch):
        made, fault = batch["object"], batch["fault"]
        batch["polls"] += 1
        if made["status"] in ("completed", "failed", "expired"):
            return made
        if fault == "token-limit":
            made.update(status="failed", errors={"object": "list", "data": [{"code": "token_limit_exceeded",
                        "message": "Enqueued token limit reached", "line": None, "param": None}]})  # fmt: skip
            return made
        if batch["polls"] <= self.batch_polls:
            made["status"] = "in_progress"
            return made
        self._complete(batch)
        return made

    def _complete(self, batch):
        """Answer the batch's lines; the chat script decides what happens to each."""
        made, good, bad = batch["object"], [], []
        lines = self.files[made["input_file_id"]]["data"].decode().splitlines()
        if batch["fault"] == "expire":
            lines = lines[: len(lines) // 2]
        for number, line in enumerate(lines):
            request = json.loads(line)
            call = Call(texts_of(request["body"]), request["body"], {"batch": made["id"]})
            key = tuple(call.texts)
            seen = self.seen.get(key, 0)
            self.seen[key] = seen + 1
            self.log.append(call)
            action = self.script(call, seen)
            call.fault = action if isinstance(action, str) else None
            status, reply, _ = self.answer(call, action)
            result = {"id": f"r{number}", "custom_id": request["custom_id"], "error": None,
                      "response": {"status_code": status, "request_id": "x", "body": reply}}  # fmt: skip
            (good if status == 200 else bad).append(result)
        good.reverse()  # the order of a batch's output is not that of its input
        if good:
            made["output_file_id"] = self._store_lines(good)
        if bad:
            made["error_file_id"] = self._store_lines(bad)
        made["status"] = "expired" if batch["fault"] == "expire" else "completed"
        made["request_counts"] = {"total": len(lines), "completed": len(good), "failed": len(bad)}

    def _store_lines(self, results):
        data = "".join(json.dumps(result) + "\n" for result in results).encode()
        return self._upload(None, data, "results.jsonl")["id"]


def rating(descriptor):
    """A lexicon entry that depends on the descriptor alone."""
    digest = hashlib.sha256(descriptor.encode()).digest()
    numbers = [round(1 + digest[i] / 255 * 8, 1) for i in range(3)]
    return {"valence": numbers[0], "arousal": numbers[1], "dominance": numbers[2], "implies": ["joy", "Calm"]}


def _dimensions(text):
    return {name: number for name, number in rating(text).items() if name != "implies"}


def _composed(messages):
    """What a teacher writes for specifications and for themes of contrasts; `None` for other requests."""
    asked = messages[-1]["content"].split("\n\nYour last answer")[0]
    if '"groups"' in messages[0]["content"]:
        count, theme = re.match(r"Write (\d+) groups\. Theme: (\w+)", asked).groups()
        block = re.search(r"Block (\d+)", asked).group(1)
        names = [[f"{theme} {block} {n} {turn}" for turn in ("was", "was not")] for n in range(int(count))]
        groups = [
            [{"text": name, "labels": default_labels(name), **_dimensions(name)} for name in one] for one in names
        ]
        return {"groups": [{"texts": texts} for texts in groups]}
    if asked.startswith('{"number"') and '"feeling"' in asked:
        lines = [json.loads(line) for line in asked.split("\n")]
        texts = [f"{one['genre']}, {one['feeling']}, {one['topic']}" for one in lines]
        return {"texts": [{"text": text, "labels": default_labels(text)} for text in texts]}
    return None


def _error(message, code=None):
    return {"error": {"message": message, "type": "error", "code": code, "param": None}}


def _head(status, length, extra=None):
    lines = [f"HTTP/1.1 {status} Whatever", "content-type: application/json", f"content-length: {length}"]
    lines += [f"{name}: {value}" for name, value in (extra or {}).items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


if __name__ == "__main__":  # a process of its own, for benchmarks: prints the address, serves until its input ends
    import sys

    with FakeOpenAI(delay=float(sys.argv[1])) as fake:
        print(fake.url, flush=True)
        sys.stdin.read()
