"""Bodies of answers as servers and what stands before them send them: read where they can be, and never taken for more
than they are.
"""

import gzip
import json

import pytest
from fake_openai import FakeOpenAI

from emodistill.annotate import Settings, annotate, connection
from emodistill.annotate.completions import read_body, read_completion, read_error
from emodistill.annotate.limits import retry_after
from emodistill.annotate.redaction import Redactor

KEY = "sk-test-0123456789abcdef"
JOY = '{"labels": ["joy"]}'


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def completion(finish_reason="stop", **message):
    return {"choices": [{"message": message, "finish_reason": finish_reason}]}


def read(body):
    body = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    return read_completion(read_body(body, Redactor(KEY)))


def called(*pieces):
    """Chunks of a stream that give a tool's arguments in pieces."""
    for piece in pieces:
        delta = {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}
        yield {"choices": [{"delta": delta, "finish_reason": "tool_calls" if piece == pieces[-1] else None}]}


OK = completion(content=JOY)
WHOLE = json.dumps(OK)
FIERTE = json.dumps(completion(content="fierté, crève-cœur"), ensure_ascii=False)

PLACES = {
    "thoughts that are the answer": completion(content=None, reasoning_content=JOY),
    "thoughts, then the answer among them": completion(content="", reasoning=f"hm\n</think>\n{JOY}"),
    "a field of its own": completion(content=None, parsed={"labels": ["joy"]}),
    "a tool, announced": completion(content="I use the tool.", tool_calls=[{"function": {"arguments": JOY}}]),
    "a tool without a function": completion(content=None, tool_calls=[{"name": "f", "arguments": JOY}]),
    "a second tool": completion(
        content=None, tool_calls=[{"function": {"arguments": '{"thought": 1}'}}, {"function": {"arguments": JOY}}]
    ),
    "a part for a tool": completion(content=[{"type": "tool_use", "input": {"labels": ["joy"]}}]),
    "a part of JSON": completion(content=[{"type": "json", "json": {"labels": ["joy"]}}]),
    "a part of another type": completion(content=[{"type": "message_text", "text": JOY}]),
    "a part that is text": completion(content=[JOY]),
    "a refusal that is none": completion(content=JOY, refusal="null"),
    "choices out of order": {
        "choices": [{"index": 1, "message": {"content": "fear"}}, {"index": 0, "message": {"content": JOY}}]
    },
    "in a list": [OK],
    "in a gateway's object": {"success": True, "result": OK},
    "in a gateway's text": {"statusCode": 200, "body": WHOLE},
    "a guard before it": ")]}'\n" + WHOLE,
    "something after it": WHOLE + "\n<!-- served by x -->",
    "a null byte after it": WHOLE + "\x00",
    "twice": WHOLE + "\n" + WHOLE,
    "a byte order mark": b"\xef\xbb\xbf" + WHOLE.encode(),
    "another encoding": WHOLE.encode("utf-16"),
    "packed without saying so": gzip.compress(WHOLE.encode()),
    "events in several lines": 'data: {"choices": [{"message":\ndata: {"content": "joy"}}]}\n\ndata: [DONE]\n\n',
    "events with parts": 'data: {"choices": [{"delta": {"content": [{"type": "text", "text": "joy"}]}, '
    '"finish_reason": "stop"}]}\r\n\r\ndata: [DONE]\r\n\r\n',
    "events of a tool": "".join(f"data: {json.dumps(piece)}\n\n" for piece in called('{"la', 'bels": ["joy"]}')),
}


def lines(*pieces, before="", end="\n"):
    return "".join(before + json.dumps(piece) + end for piece in pieces)


def delta(kind, text):
    return {"type": "content_block_delta", "index": 0, "delta": {"type": f"{kind}_delta", kind: text}}


def candidate(*texts, **more):
    return {"candidates": [{"content": {"parts": [{"text": text} for text in texts]}, **more}]}


MESSAGE = {"id": "msg_1", "type": "message", "content": [], "usage": {"input_tokens": 7, "output_tokens": 1}}
PIECES = ('{"labels": ', '["joy"]}')
NATIVE = {
    "Anthropic": MESSAGE
    | {"content": [{"type": "thinking", "thinking": "fear"}, {"type": "text", "text": JOY}], "stop_reason": "end_turn"}
    | {"usage": {"input_tokens": 4, "cache_read_input_tokens": 3, "output_tokens": 5}},
    "Anthropic's tool": MESSAGE | {"content": [{"type": "tool_use", "input": {"labels": ["joy"]}}]},
    "Anthropic's stream": lines(
        {"type": "message_start", "message": MESSAGE}, {"type": "ping"}, delta("thinking", "fear"),
        *(delta("text", piece) for piece in PIECES),
        {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 5}},
        before="data: ", end="\n\n",
    ),
    "Gemini": {"candidates": [{"content": {"parts": [{"text": "fear", "thought": True}, {"text": JOY}]}}]}
    | {"usageMetadata": {"promptTokenCount": 7, "candidatesTokenCount": 3, "thoughtsTokenCount": 2}},
    "Gemini's stream": lines(
        candidate(PIECES[0]), candidate(PIECES[1], finishReason="STOP"), before="data: ", end="\r\n\r\n"
    ),
    "Gemini's list": [candidate(PIECES[0]), candidate(PIECES[1], finishReason="STOP")],
    "Ollama": {"message": {"content": JOY}, "done": True, "prompt_eval_count": 7, "eval_count": 5},
    "Ollama, generated": {"response": JOY, "done": True},
    "Ollama's stream": lines(*({"message": {"content": piece}, "done": False} for piece in PIECES), {"done": True}),
    "OpenAI's responses": {"object": "response", "output": [{"type": "reasoning", "summary": ["fear"]}, {
        "type": "message", "content": [{"type": "output_text", "text": JOY}]}]},
    "Bedrock": {"output": {"message": {"content": [{"text": JOY}]}}, "stopReason": "end_turn"}
    | {"usage": {"inputTokens": 7, "outputTokens": 5}},
    "Cohere": {"message": {"content": [{"type": "text", "text": JOY}]}, "finish_reason": "COMPLETE"},
    "Hugging Face": [{"generated_text": JOY}],
    "lines of a stream": lines(
        {"choices": [{"delta": {"content": JOY}}]}, {"choices": [{"delta": {}, "finish_reason": "stop"}]}
    ),
}  # fmt: skip


@pytest.mark.parametrize("body", NATIVE.values(), ids=NATIVE)
def test_answers_in_other_services_forms_are_read(body):
    reply = read(body)
    assert reply.content == JOY and not reply.refused and reply.finish_reason != "length"
    assert (reply.prompt_tokens, reply.completion_tokens) in ((7, 5), (7, 1), (None, None))


@pytest.mark.parametrize(
    "body",
    [
        MESSAGE | {"stop_reason": "refusal"},
        {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": {"promptTokenCount": 7}},
        {"candidates": [{"finishReason": "SAFETY", "index": 0}]},
    ],
)
def test_refusals_of_other_services_are_refusals(body):
    assert read(body).refused


@pytest.mark.parametrize(
    "body",
    [
        lines(*({"message": {"content": piece}, "done": False} for piece in PIECES)),
        {"message": {"content": "jo"}, "done": False},
        lines({"type": "message_start", "message": MESSAGE}, delta("text", "jo"), before="data: ", end="\n\n"),
        lines(candidate("jo"), candidate("y"), before="data: ", end="\n\n"),
        {"candidates": []},
        {"type": "message", "content": None},
        {"output": {"message": {"content": 5}}},
    ],
)
def test_half_an_answer_of_another_service_is_none(body):
    with pytest.raises(ValueError, match=r"not a chat completion|broken off"):
        read(body)


@pytest.mark.parametrize("answer", [(200, {"status": "ok"}), (200, "<html>Welcome</html>")])
def test_another_service_is_not_asked_for_every_text(tmp_path, answer):
    with FakeOpenAI(lambda call, seen: answer) as server:
        settings = Settings(model="gpt-4o", base_url=server.url, backoff=0, concurrency=4, quiet=True)
        report = annotate([f"text {n}" for n in range(50)], tmp_path / "o.jsonl", settings)
        assert "does not answer as an OpenAI-compatible API" in report.stopped and "--base-url" in report.stopped
        assert len(server.log) < 20 and report.statuses.get("ok") is None


@pytest.mark.parametrize("body", PLACES.values(), ids=PLACES)
def test_an_answer_is_found_wherever_it_stands(body):
    reply = read(body)
    assert "joy" in reply.content and "fear" not in reply.content and "thought" not in reply.content
    assert not reply.refused


def test_letters_of_an_old_encoding_survive():
    assert read(FIERTE.encode("cp1252")).content == read(FIERTE).content == "fierté, crève-cœur"
    sent = FIERTE.replace("fierté", "喜び").encode("shift_jis", "ignore")
    said = "application/json; charset=Shift_JIS"
    assert "喜び" in read_completion(read_body(sent, Redactor(KEY), said)).content
    wrong = read_body(FIERTE.encode("cp1252", "ignore"), Redactor(KEY), "text/plain; charset=klingon")
    assert read_completion(wrong).content == read(FIERTE).content
    bad = FIERTE.encode() + b"\xff"  # one bad byte makes no other encoding of the rest
    assert read(bad).content == "fierté, crève-cœur"
    line_separator = 'data: {"choices": [{"message": {"content": "jo\u2028y"}}]}\n\n'
    assert read(line_separator).content == "jo\u2028y"


@pytest.mark.parametrize("finish", ["error", "abort", "network_error", "insufficient_system_resource", "CANCELLED"])
def test_an_answer_that_was_broken_off_is_none(finish):
    with pytest.raises(ValueError, match="broken off"):
        read(completion(content="joy, rel", finish_reason=finish))


@pytest.mark.parametrize("finish", ["MAX_TOKENS", "max_tokens", "model_length", "length"])
def test_a_limit_has_many_names(finish):
    assert read(completion(content="joy, rel", finish_reason=finish)).finish_reason == "length"


def test_a_piece_of_a_stream_is_no_answer():
    pieces = '{"choices": [{"delta": {"content": "jo"}}]}\n{"choices": [{"delta": {"content": "y"}}]}'
    with pytest.raises(ValueError, match="not a chat completion"):
        read(pieces)


def test_a_count_of_nothing_is_no_count():
    reply = read({**OK, "usage": {"prompt_tokens": 0, "completion_tokens": 0}})
    assert (reply.prompt_tokens, reply.completion_tokens) == (None, None)
    reply = read({**OK, "usage": {"input_tokens": 7, "output_tokens": 3}})
    assert (reply.prompt_tokens, reply.completion_tokens) == (7, 3)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"code": 1301, "msg": "busy"}, "busy"),
        ({"success": False, "reason": "quota"}, "quota"),
        ('event: error\ndata: {"message": "overloaded"}\n\n', "overloaded"),
        ("event: error\ndata: overloaded\n\n", "overloaded"),
    ],
)
def test_errors_of_other_forms_are_no_answers(body, words):
    body = body if isinstance(body, str) else json.dumps(body)
    assert words in read_error(read_body(body.encode(), Redactor(KEY))).words


def test_an_endless_error_is_looked_at_in_part_only():
    assert len(read_error({"error": {"message": "x" * 10**7, "code": "y" * 10**7}}, 500).words) < 10**5


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("1e308", 1e9), ("9" * 30, 1e9), ("-5", 0), ("nan", None), ("inf", None), ("1_0", None), ("0x10", None),
     ("1, 2", None), ("", None), ("Foo, 99 Zzz 20000", None), ("1e2", 100), (".5", 0.5)],
)  # fmt: skip
def test_nonsense_for_a_wait(value, seconds):
    assert retry_after({"retry-after": value}) == seconds


class Raw(FakeOpenAI):
    """A server whose answers may be bytes as they stand, after which it hangs up."""

    async def _send(self, writer, status, reply, extra=None):
        if isinstance(reply, tuple):
            writer.write(reply[0])
            await writer.drain()
            if reply[1]:
                writer.transport.abort()
            return False
        return await super()._send(writer, status, reply, extra)


def http(head="", body=None, length=None):
    body = body or WHOLE.encode()
    return f"HTTP/1.1 200 OK\r\n{head}content-length: {length or len(body)}\r\n\r\n".encode() + body


CHUNK = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n%x\r\n" % len(WHOLE) + WHOLE.encode()
BROKEN = {
    "chunks cut": CHUNK[:90],
    "chunks without an end": CHUNK + b"\r\n",
    "a chunk of no size": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    "length too long": http(length=9999),
    "length too short": http(length=60),
    "length of words": http(length="many"),
    "said to be packed": http("content-encoding: gzip\r\n"),
    "packed and cut": http("content-encoding: gzip\r\n", gzip.compress(WHOLE.encode())[:40]),
    "packed to more than anything": http("content-encoding: gzip\r\n", gzip.compress(b" " * 10**7 + WHOLE.encode())),
    "nothing": b"HTTP/1.1 204 No Content\r\n\r\n",
    "no head": WHOLE.encode(),
    "a broken head": b"HTTP/1.1 200 OK\r\nno header\r\n\r\n" + WHOLE.encode(),
    "a head without an end": b"HTTP/1.1 200 OK\r\nx: " + b"a" * 10**6,
    "TLS": b"\x15\x03\x01\x00\x02\x02\x46",
    "nothing at all": b"",
}


@pytest.mark.parametrize("reset", [False, True])
def test_a_broken_connection_spoils_one_row_each_and_is_booked(tmp_path, reset, monkeypatch):
    monkeypatch.setitem(connection._LARGEST, "POST", 10**6)
    names = list(BROKEN)
    with Raw(lambda call, seen: (200, (BROKEN[call.texts[0]], reset)) if call.texts[0] in BROKEN else None) as server:
        settings = Settings(model="gpt-4o", base_url=server.url, backoff=0, max_retries=1, quiet=True, max_failures=99)
        report = annotate([*names, "plain"], tmp_path / "o.jsonl", settings, every=True)
    rows = {row["text"]: row for row in map(json.loads, (tmp_path / "o.jsonl").read_text("utf-8").splitlines())}
    assert report.stopped is None and rows["plain"]["status"] == "ok"
    assert {rows[name]["status"] for name in names} == {"error"}, rows
    assert all(server.asked.count(name) == 2 for name in names)
    assert report.cost > 2 * len(names) * 0.005  # each may have been answered, and at the most it can have cost
    if not reset:
        assert "more than" in rows["packed to more than anything"]["reason"]


def test_what_a_redirect_may_lead_to_never_sees_the_key(tmp_path):
    with FakeOpenAI() as other, FakeOpenAI(lambda call, seen: (307, "", {"location": other.url + "/x"})) as server:
        settings = Settings(model="gpt-4o", base_url=server.url, backoff=0, quiet=True)
        report = annotate(["one"], tmp_path / "o.jsonl", settings)
        assert "sends requests on" in report.stopped and other.connections == 0
