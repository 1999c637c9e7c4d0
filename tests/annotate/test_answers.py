"""What servers really send: each strange answer spoils its own row at most, and is shown in the server's words."""

import asyncio
import itertools
import json
import socket
import ssl
import time

import pytest
from fake_openai import FakeOpenAI, default_labels
from hypothesis import given, settings
from hypothesis import strategies as st

from emodistill.annotate import Settings, annotate, load_prompt
from emodistill.annotate.annotation_tasks import task_for
from emodistill.annotate.completions import read_body, read_completion, read_error
from emodistill.annotate.faults import FatalError, Retriable, asked_wait, judge, judge_connection
from emodistill.annotate.found_json import find_json
from emodistill.annotate.redaction import Redactor
from emodistill.annotate.replies import strip_reasoning

KEY = "sk-test-0123456789abcdef"
GOOD = {"content": '{"labels": ["joy"]}'}


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def run(tmp_path, server, texts=("strange", "plain"), **options):
    """One run; its report and its rows by text."""
    chosen = {"model": "gpt-4o", "base_url": server.url, "backoff": 0.001, "timeout": 60, "quiet": True}
    report = annotate(list(texts), tmp_path / "o.jsonl", Settings(**{**chosen, **options}), every=True)
    lines = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text("utf-8").splitlines()]
    return report, {line["text"]: line for line in lines}


def strange(action, times=99):
    """A script: an action for the text `strange`, so many times, and good answers for the others."""
    return lambda call, seen: action if "strange" in call.texts and seen < times else None


CONTENTS = {
    "parts": [{"type": "thinking", "thinking": "hm, sad?"}, {"type": "text", "text": '{"labels": ["joy"]}'}],
    "parts in pieces": [{"type": "text", "text": '{"labels": '}, {"type": "output_text", "text": '["joy"]}'}],
    "nested text": [{"type": "text", "text": {"value": '{"labels": ["joy"]}', "annotations": []}}],
    "parsed": {"labels": ["joy"]},
    "reasoning, opening tag gone": 'Hm, {"labels": ["fear"]}?\n</think>\n\njoy',
    "reasoning twice": "<think>a</think> sad <think>b</think>\njoy",
    "harmony": "<|channel|>analysis<|message|>sad?<|end|><|start|>assistant<|channel|>final<|message|>joy",
    "preamble": 'Sure! Here it is:\n{"labels": ["joy"]}',
    "remark": '{"labels": ["joy"]}\n\nLet me know if you need [more].',
    "fence in prose": 'The answer:\n```json\n{"labels": ["joy"]}\n```\nDone.',
    "corrected": '{"labels": ["fear"]} - no, wait: {"labels": ["joy"]}',
    "braces before": 'Using {format}: {"labels": ["joy"]}',
    "plain, introduced": "Here are the descriptors:\njoy",
    "plain, named": "Labels: joy",
    "plain, fenced": "```\njoy\n```",
    "byte order mark": '\ufeff{"labels": ["joy"]}',
}


@pytest.mark.parametrize("content", CONTENTS.values(), ids=CONTENTS)
def test_an_answer_in_any_wrapping_is_read_at_once(tmp_path, content):
    with FakeOpenAI(strange({"content": content})) as server:
        report, rows = run(tmp_path, server)
        assert report.statuses == {"ok": 2} and rows["strange"]["labels"] == ["joy"], rows["strange"]
        assert len(server.log) == 2


def test_an_answer_as_a_tool_s_arguments(tmp_path):
    calls = [{"type": "function", "function": {"name": "answer", "arguments": '{"labels": ["joy"]}'}}]
    with FakeOpenAI(strange({"content": None, "tool_calls": calls})) as server:
        _, rows = run(tmp_path, server)
        assert rows["strange"]["labels"] == ["joy"]


def test_an_answer_as_a_function_s_arguments_and_a_refusal_that_is_none():
    message = {"content": None, "refusal": False, "function_call": {"name": "f", "arguments": '{"labels": ["joy"]}'}}
    reply = read_completion({"choices": [{"message": message}]})
    assert reply.content == '{"labels": ["joy"]}' and not reply.refused


def events(*chunks, end="data: [DONE]\n\n"):
    lines = [f"data: {json.dumps(chunk)}\n\n" for chunk in chunks]
    return (": comment\n\nevent: message\n" + "".join(lines) + end).encode()


def piece(finish=None, **delta):
    return {"id": "c1", "model": "m", "choices": [{"delta": delta, "finish_reason": finish}]}


STREAMS = {
    "pieces": events(piece(role="assistant"), piece(content='{"labels": '), piece(content='["joy"]}'), piece("stop")),
    "without its last mark": events(piece(content="joy"), piece("stop"), end=""),
    "one whole event": events({"choices": [{"message": GOOD, "finish_reason": "stop"}]}),
    "comments before a plain body": b": processing\n\n" + json.dumps({"choices": [{"message": GOOD}]}).encode(),
}


@pytest.mark.parametrize("body", STREAMS.values(), ids=STREAMS)
def test_events_that_nobody_asked_for_are_put_together(body):
    reply = read_completion(read_body(body, Redactor(KEY)))
    assert reply.content in ('{"labels": ["joy"]}', "joy") and not reply.refused


def test_usage_and_the_key_in_events():
    usage = {"prompt_tokens": 7, "completion_tokens": 3}
    body = events(piece(content="joy"), piece("content_filter", refusal=f"no, {KEY}"), {"choices": [], "usage": usage})
    reply = read_completion(read_body(body, Redactor(KEY)))
    assert (reply.prompt_tokens, reply.completion_tokens, reply.id) == (7, 3, "c1")
    assert reply.refused and reply.content == "no, [key]"


def test_events_that_hold_an_error_or_have_no_end(tmp_path):
    with FakeOpenAI(strange((200, events(piece(content="joy"), end="")))) as server:
        report, rows = run(tmp_path, server, max_retries=1)
        assert report.statuses == {"ok": 1, "error": 1} and "not a chat completion" in rows["strange"]["reason"]
        assert '"joy"' in rows["strange"]["reason"]  # the server's own words
    overloaded = events(piece(content="jo"), {"error": {"message": "overloaded", "code": 529}})
    with FakeOpenAI(strange((200, overloaded), times=1)) as server:
        report, _ = run(tmp_path, server)
        assert report.statuses == {"ok": 2} and server.asked.count("strange") == 2


REDIRECTS = [(301, "https://user:pw@elsewhere.invalid/v1/chat/completions"), (302, "/v2/chat/completions")]
REDIRECTS += [(307, "/v2/chat/completions"), (308, "https://user:pw@elsewhere.invalid/v1/chat/completions")]


@pytest.mark.parametrize(("status", "location"), REDIRECTS)
def test_a_redirect_is_not_followed_and_says_where_to(tmp_path, status, location):
    with FakeOpenAI(lambda call, seen: (status, "", {"location": location})) as server:
        report, _ = run(tmp_path, server, concurrency=1)
        host = "https://[key]@elsewhere.invalid/v1" if "elsewhere" in location else server.url.replace("/v1", "/v2")
        assert f"sends requests on to {host}: " in report.stopped and len(server.log) == 1 and report.cost == 0


def test_a_body_that_cannot_be_unpacked_says_why(tmp_path):
    with FakeOpenAI(strange((200, b"\x1f\x8b\x08garbage", {"content-encoding": "gzip"}))) as server:
        report, rows = run(tmp_path, server, max_retries=0)
        assert report.statuses == {"ok": 1, "error": 1}
        assert "decompressing" in rows["strange"]["reason"] and "event loop" not in rows["strange"]["reason"]


def test_thoughts_without_an_end_are_no_answer():
    assert strip_reasoning("<think>joy, relief") == "" and strip_reasoning("joy, relief") == "joy, relief"


BODIES = {
    "error with a code": ({"error": {"message": "overloaded", "code": 502}}, "overloaded"),
    "error as text": ({"error": "the engine is busy, please retry"}, "busy"),
    "error in the choice": (
        {"choices": [{"index": 0, "error": {"code": 502, "message": "upstream died"}, "finish_reason": "error"}]},
        "upstream died",
    ),
    "object error": ({"object": "error", "message": "CUDA out of memory", "code": 50001}, "CUDA"),
    "detail": ({"detail": "model is loading"}, "loading"),
    "list": ([{"error": {"message": "UNAVAILABLE", "code": 503}}], None),
    "page": ("<html><title>502</title><body>Bad gateway</body></html>", "Bad gateway"),
}


@pytest.mark.parametrize(("body", "words"), BODIES.values(), ids=BODIES)
def test_an_error_with_status_200_is_shown_retried_and_not_booked(tmp_path, body, words):
    with FakeOpenAI(strange((200, body))) as server:
        report, rows = run(tmp_path, server, max_retries=2)
        assert report.statuses == {"ok": 1, "error": 1} and server.asked.count("strange") == 3
        if words is not None:
            assert words in rows["strange"]["reason"]
            assert report.cost == pytest.approx(350e-6)  # of the plain text alone
    with FakeOpenAI(strange((200, body), times=1)) as server:
        report, _ = run(tmp_path, server)
        assert report.statuses == {"ok": 2}


@pytest.mark.parametrize(
    "answer",
    [
        (200, "<!DOCTYPE html><html>the web page of the server</html>"),
        (200, {"error": "Unexpected endpoint or method. (POST /chat/completions). Returning 200 anyway"}),
        (404, "404 page not found"),
        (404, {"detail": "Not Found"}),
        (405, {"detail": "Method Not Allowed"}),
    ],
)
def test_an_address_without_v1_is_told_at_once(tmp_path, answer):
    with FakeOpenAI(lambda call, seen: answer) as server:
        report, _ = run(tmp_path, server, base_url=server.url.removesuffix("/v1"), concurrency=1)
        assert "/v1" in report.stopped and len(server.log) == 1 and report.cost == 0


@pytest.mark.parametrize(
    "action",
    [
        (200, {"choices": [{"index": 0, "finish_reason": "content_filter"}]}),
        (200, {"choices": [{"index": 0, "finish_reason": "content_filter", "message": None}]}),
        {"content": None, "finish_reason": "content_filter"},
        {"content": [{"type": "refusal", "refusal": "I can't help with that."}]},
        (403, {"error": {"message": "Your input was flagged", "code": 403, "metadata": {"reasons": ["violence"]}}}),
        (400, {"error": {"code": "data_inspection_failed", "message": "Input may contain inappropriate content"}}),
        (400, {"error": {"message": "The response was filtered", "code": "content_filter",
                         "innererror": {"code": "ResponsibleAIPolicyViolation"}}}),
        (200, {"error": {"message": "Input was flagged by moderation", "code": 403}}),
        (400, {"error": {"code": "BadRequest", "message": "bad",
                         "innererror": {"code": "ResponsibleAIPolicyViolation"}}}),
        {"content": None, "finish_reason": "SAFETY"},
        {"content": "", "finish_reason": "PROHIBITED_CONTENT"},
        {"content": "", "finish_reason": "refusal"},
    ],
)  # fmt: skip
def test_what_a_filter_stops_is_refused_once(tmp_path, action):
    with FakeOpenAI(strange(action)) as server:
        report, _ = run(tmp_path, server)
        assert report.statuses == {"ok": 1, "refused": 1} and server.asked.count("strange") == 1


@pytest.mark.parametrize("action", [(403, {"error": {"message": "Your input was flagged"}}), "filter", "refusal"])
def test_of_several_texts_the_one_that_is_meant_is_refused(tmp_path, action):
    texts = ["a", "b", "strange", "c"]
    with FakeOpenAI(strange(action)) as server:
        report, rows = run(tmp_path, server, texts, texts_per_request=4)
        assert report.statuses == {"ok": 3, "refused": 1} and rows["strange"]["status"] == "refused"
        assert len(server.log) == 5


def test_half_a_surrogate_pair_spoils_nothing(tmp_path):
    body = json.dumps({"choices": [{"message": {"content": '{"labels": ["joy \\ud83d", "fear"]}'}}]})
    raw = body.replace("\\\\ud83d", "\\ud83d").encode()
    for number, answer in enumerate(((200, raw), (200, body.encode()))):
        folder = tmp_path / str(number)
        folder.mkdir()
        with FakeOpenAI(strange(answer)) as server:
            report, rows = run(folder, server, max_asks=1)
            assert rows["plain"]["status"] == "ok" and report.stopped is None
            assert rows["strange"]["status"] == "ok" and rows["strange"]["labels"][1] == "fear"


USAGES = [
    "n/a", 12, [], None, {}, {"prompt_tokens": "many"}, {"prompt_tokens": 12.5, "completion_tokens": None},
    {"prompt_tokens": -1000000, "completion_tokens": 10}, {"prompt_tokens": 1e999, "completion_tokens": True},
    {"prompt_tokens": 10**30, "completion_tokens": 5}, {"prompt_tokens": "100", "completion_tokens": 5},
    {"prompt_tokens": 100, "completion_tokens": 5, "prompt_tokens_details": "none"},
    {"prompt_tokens": 100, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": {"a": 1}}},
    {"prompt_tokens": 100, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 10**9}},
]  # fmt: skip


@pytest.mark.parametrize("usage", USAGES, ids=map(str, USAGES))
def test_any_usage_is_counted_as_far_as_it_is_a_number(usage):
    reply = read_completion({"choices": [{"message": GOOD}], "usage": usage})
    for count in (reply.prompt_tokens, reply.completion_tokens):
        assert count is None or (isinstance(count, int) and 0 <= count <= 2**53)
    assert 0 <= reply.cached_tokens <= (reply.prompt_tokens or 0)


def test_usage_of_any_kind_ends_no_run_and_never_lowers_the_bill(tmp_path):
    texts = [f"text {n}" for n in range(len(USAGES))]
    with FakeOpenAI(lambda call, seen: {**GOOD, "usage": USAGES[int(call.texts[0][5:])]}) as server:
        report, _ = run(tmp_path, server, texts)
        assert report.statuses == {"ok": len(texts)} and report.cost > 0 and report.prompt_tokens > 0
        assert report.total_cost == pytest.approx(report.cost)


def test_odd_fields_are_stored_as_text(tmp_path):
    odd = {"id": {"a": 1}, "model": ["m"], "choices": [{"message": GOOD, "finish_reason": {"type": "stop"}}]}
    with FakeOpenAI(strange((200, odd))) as server:
        report, rows = run(tmp_path, server)
        assert report.statuses == {"ok": 2} and rows["strange"]["labels"] == ["joy"]


@pytest.mark.parametrize(
    ("body", "status", "kind", "words"),
    [
        ({"error": {"message": "You exceeded your current quota, please check your plan and billing details. Please "
                    "retry in 1.5s.", "status": "RESOURCE_EXHAUSTED"}}, 429, "Retriable", 1.5),
        ({"error": {"message": "Rate limit reached for m on tokens per min. Please try again in 6m0s."}},
         429, "Retriable", 360),
        ({"error": {"message": "slow down", "details": [{"retryDelay": "34s"}]}}, 429, "Retriable", 34),
        ({"error": {"message": "You exceeded your current quota, please check your plan and billing details.",
                    "code": "insufficient_quota"}}, 429, "FatalError", "money"),
        ({"error": {"message": "Quota exceeded", "details": [{"quotaId": "GenerateRequestsPerDayPerProject"}]}},
         429, "FatalError", "day"),
        ({"error": {"message": "Rate limit exceeded: free-models-per-day"}}, 429, "FatalError", "day"),
        ({"error": {"message": "Insufficient Balance"}}, 402, "FatalError", "money"),
        ({"error": {"message": "billing is being migrated"}}, 429, "Retriable", None),
        ({"detail": [{"type": "extra_forbidden", "loc": ["body", "max_completion_tokens"]}]},
         422, "LimitNameUnsupported", None),
        ({"error": {"message": "response_format is not supported"}}, 500, "FormatUnsupported", None),
        ({"error": {"message": "No endpoints found that support response_format"}}, 404, "FormatUnsupported", None),
        ({"error": {"message": "internal error"}}, 500, "Retriable", None),
        ({"error": {"message": "bad field", "param": "top_q"}}, 400, "RequestFailed", None),
        ([{"error": {"message": "slow", "details": [{"retryDelay": "0.2s"}]}}], 429, "Retriable", 0.2),
        ([{"error": {"code": 400, "message": "API key not valid. Please pass a valid API key."}}],
         400, "FatalError", "OPENAI_API_KEY"),
        ({"error": {"message": "the model was retired"}}, 410, "NotThere", "retired"),
        ("Proxy Authentication Required", 407, "FatalError", "proxy"),
        ({"error": "Model too busy, unable to get response"}, 424, "Retriable", None),
        ({"error": {"message": "Request too large"}}, 413, "RequestFailed", "413"),
        ("", 304, "RequestFailed", "304"),
    ],
)  # fmt: skip
def test_what_an_error_means(body, status, kind, words):
    fault = judge(body, status, {}, Settings(model="m", base_url="http://h/v1"), True)
    assert type(fault).__name__ == kind, fault
    if kind == "Retriable":
        assert fault.after == words and not fault.lost
    elif words:
        assert words in str(fault)


def test_waits_in_words():
    assert asked_wait("Please try again in 250ms.") == 0.25 and asked_wait("wait 2 minutes") == 120
    assert (
        asked_wait("retry in 1h 2m 3s") == 3723 and asked_wait("") is None and asked_wait("retry with 5 texts") is None
    )


def test_a_minute_s_limit_is_waited_for(tmp_path):
    words = {"error": {"message": "check your plan and billing details. Please retry in 0.3s"}}
    with FakeOpenAI(strange((429, words), times=1)) as server:
        report, _ = run(tmp_path, server, ["strange"])
        assert report.statuses == {"ok": 1} and server.log[1].time - server.log[0].time >= 0.3


@pytest.mark.parametrize("taken", ["max_tokens", "max_completion_tokens"])
def test_the_name_of_the_longest_answer_is_swapped_once_for_the_run(tmp_path, taken):
    other = {"max_tokens": "max_completion_tokens", "max_completion_tokens": "max_tokens"}[taken]
    words = f"Unsupported parameter: '{other}' is not supported with this model. Use '{taken}' instead."
    with FakeOpenAI(lambda call, seen: (400, {"error": {"message": words}}) if other in call.body else None) as server:
        report, _ = run(tmp_path, server, [f"text {n}" for n in range(9)], concurrency=2)
        assert report.statuses == {"ok": 9} and sum(other in call.body for call in server.log) <= 2


def test_both_names_turned_down_is_an_error_in_the_server_s_words(tmp_path):
    words = {"error": {"message": "max_tokens and max_completion_tokens are not for you"}}
    with FakeOpenAI(strange((400, words))) as server:
        report, rows = run(tmp_path, server)
        assert report.statuses == {"ok": 1, "error": 1} and "not for you" in rows["strange"]["reason"]


@pytest.mark.parametrize("status", [400, 404, 500])
def test_a_server_without_schemas_is_asked_in_text_whatever_its_status(tmp_path, status):
    answer = (status, {"error": {"message": "response_format json_schema: not here"}})
    with FakeOpenAI(lambda call, seen: answer if "response_format" in call.body else None) as server:
        report, rows = run(tmp_path, server)
        assert report.statuses == {"ok": 2} and rows["plain"]["labels"] == default_labels("plain")


def test_a_body_that_trickles_meets_the_deadline(tmp_path):
    with FakeOpenAI(strange("trickle")) as server:
        started = time.monotonic()
        report, rows = run(tmp_path, server, timeout=1, max_retries=0)
        assert report.statuses == {"ok": 1, "error": 1} and "1 seconds" in rows["strange"]["reason"]
        assert time.monotonic() - started < 15


def test_a_fault_that_nobody_foresaw_spoils_one_row(tmp_path, monkeypatch):
    from emodistill.annotate import annotation_tasks

    read = annotation_tasks.read_descriptors_json

    def broken(content, count, prompt):
        if "fear" in content:
            raise ZeroDivisionError("nobody foresaw this")
        return read(content, count, prompt)

    monkeypatch.setattr(annotation_tasks, "read_descriptors_json", broken)
    with FakeOpenAI(strange({"content": '{"labels": ["fear"]}'})) as server:
        report, rows = run(tmp_path, server)
        assert report.statuses == {"ok": 1, "error": 1} and '{"labels": ["fear"]}' in rows["strange"]["reason"]


READERS = [task_for(load_prompt(name)) for name in ("rated", "specification", "contrasts", "rich")]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["choices", "message", "content", "error", "code", "usage", "type", "text", "refusal", "finish_reason",
             "prompt_tokens", "completion_tokens", "detail", "status", "labels", "answers", "groups", "texts",
             "candidates", "parts", "promptFeedback", "done", "response", "output", "object", "finishReason"]
        ) | st.text(max_size=5), inner, max_size=5,
    ), max_leaves=25,
)  # fmt: skip


@settings(deadline=None)
@given(JSON, st.sampled_from([200, 200, 400, 403, 404, 429, 500]))
def test_no_body_whatever_raises_anything_else(body, status):
    chosen = Settings(model="m", base_url="http://h")
    body = read_body(json.dumps(body).encode(), Redactor(KEY))
    fault = judge(body, status, {}, chosen, True, fresh=True)
    assert (fault is not None) == (read_error(body, status) is not None)
    if fault is None:
        try:
            reply = read_completion(body)
        except ValueError:
            return
        assert isinstance(reply.content, str) and reply.content.encode()
        json.dumps(vars(reply), allow_nan=False)


@settings(deadline=None)
@given(JSON, st.sampled_from(["", "Sure: ", "</think>", "```json\n"]), st.sampled_from(["", " Bye [1]", "\n```"]))
def test_no_answer_whatever_breaks_a_task(value, before, after):
    item = json.dumps({"count": 2, "genre": "g", "theme": "turns", "block": 1, "specifications": [{}, {}]})
    for task in READERS:
        outcomes = task.parse(before + json.dumps(value) + after, [item], True)
        assert len(outcomes) == 1 and outcomes[0].status in ("ok", "invalid", "refused")
        assert outcomes[0].status != "ok" or task.accepts(outcomes[0].value)


@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "9" * 10_000, '{"labels": ' + "9" * 10_000 + "}"])
def test_endless_json_is_no_json(text):
    assert find_json(text) is None and isinstance(read_body(text.encode(), Redactor(KEY)), str)


def raised(*causes):
    """The first of some exceptions, each caused by the next."""
    for error, cause in itertools.pairwise(causes):
        error.__cause__ = cause
    return causes[0]


def test_a_failed_connection_says_why_and_where():
    settings = Settings(model="m", base_url="http://me:secret@host.invalid:81/v1?api_key=hidden")
    certificate = ssl.SSLCertVerificationError("self-signed certificate")
    faults = {
        "refused": judge_connection(raised(OSError("x"), ConnectionRefusedError(111, "refused")), settings),
        "unknown": judge_connection(raised(OSError("x"), socket.gaierror(-2, "no")), settings),
        "certificate": judge_connection(raised(OSError("x"), certificate), settings),
    }
    for word, fault in faults.items():
        assert word in str(fault) and "http://host.invalid:81/v1" in str(fault)
        assert "secret" not in str(fault) and "hidden" not in str(fault)
    assert isinstance(faults["certificate"], FatalError) and not faults["refused"].lost
    grouped = BaseExceptionGroup("all attempts", [ConnectionRefusedError(111, "refused")])
    assert "refused" in str(judge_connection(raised(OSError("x"), grouped), settings))
    late = judge_connection(TimeoutError(), settings)
    assert isinstance(late, Retriable) and late.lost


def test_a_failed_connection_names_the_proxy_and_the_wrong_scheme(monkeypatch):
    plain = ssl.SSLError(1, "[SSL: RECORD_LAYER_FAILURE] record layer failure")
    plain.reason = "RECORD_LAYER_FAILURE"
    fault = judge_connection(raised(OSError("x"), plain), Settings(model="m", base_url="https://h.invalid/v1"))
    assert isinstance(fault, FatalError) and "write http://" in str(fault)
    settings = Settings(model="m", base_url="http://h.invalid/v1/chat/completions/")
    assert settings.server == "http://h.invalid/v1"
    ended = OSError("Server disconnected without sending a response.")
    assert "if it speaks TLS, write https://" in str(judge_connection(ended, settings))
    monkeypatch.setenv("http_proxy", "http://me:secret@proxy.invalid:3128")
    for cause in (ConnectionRefusedError(111, "no"), socket.gaierror(-2, "no")):
        fault = judge_connection(raised(OSError("x"), cause), settings)
        assert "the proxy proxy.invalid (http_proxy) before http://h.invalid/v1 " in str(fault)
    denied = type("ProxyError", (OSError,), {})("407 Proxy Authentication Required")
    assert isinstance(judge_connection(denied, settings), FatalError)


def test_nobody_and_no_such_host(tmp_path):
    with FakeOpenAI() as server:
        pass
    report, rows = run(tmp_path, server, max_retries=0)
    assert server.url in rows["plain"]["reason"] and "refused" in rows["plain"]["reason"] and report.cost == 0
    (tmp_path / "b").mkdir()
    _, rows = run(tmp_path / "b", server, max_retries=0, base_url="http://no-such-host.invalid/v1")
    assert "no-such-host.invalid" in rows["plain"]["reason"] and "unknown" in rows["plain"]["reason"]


def test_a_run_inside_a_loop_reads_all_this_too(tmp_path):
    async def cell():
        return run(tmp_path, server)[0]

    with FakeOpenAI(strange((200, {"error": "busy"}), times=1)) as server:
        assert asyncio.run(cell()).statuses == {"ok": 2}
