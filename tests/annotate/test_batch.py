"""Batch mode against the batch endpoints of the loopback server, ended and killed at every stage."""

import asyncio
import gzip
import json
import os
import signal
import time
from multiprocessing import connection

import pytest
from fake_openai import FakeOpenAI, default_labels
from processes import fork

from emodistill import cli
from emodistill.annotate import Settings, Store, annotate, commands
from emodistill.annotate.batch import BatchOptions, annotate_batch

KEY = "sk-test-0123456789abcdef"


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def run(tmp_path, server, texts, *, options=None, **settings):
    chosen = {
        "model": "gpt-4o",
        "base_url": server.url,
        "backoff": 0.01,
        "timeout": 60,
        "max_retries": 3,
        **settings,
    }
    options = BatchOptions(**{"poll": 0.01, **(options or {})})
    report = annotate_batch(texts, tmp_path / "o.jsonl", Settings(**chosen), options, every=True)
    lines = (tmp_path / "o.jsonl").read_text("utf-8").splitlines()
    return report, {row["text"]: row for row in map(json.loads, lines)}


def texts(count):
    return [f"text {number}" for number in range(count)]


def states(tmp_path):
    with Store(tmp_path / "o.jsonl.sqlite") as store:
        return [state for (state,) in store.query("SELECT state FROM shards ORDER BY time")]


def test_a_batch_from_building_to_collecting(tmp_path):
    with FakeOpenAI() as server:
        report, rows = run(tmp_path, server, [*texts(20), "text 3", ""])
        assert report.statuses == {"ok": 21, "invalid": 1} and len(server.batches) == 1 and len(server.log) == 20
        assert all(rows[text]["labels"] == default_labels(text) for text in texts(20))
        line = json.loads(server.files["file-1"]["data"].splitlines()[0])
        assert line["method"] == "POST" and line["url"] == "/v1/chat/completions"
        assert line["body"]["response_format"]["json_schema"]["strict"] is True
        assert report.cost == pytest.approx(20 * 350e-6 / 2)  # half the price
        again, _ = run(tmp_path, server, texts(20))
        assert again.asked == 0 and len(server.batches) == 1
        single = annotate(texts(20), tmp_path / "o.jsonl", Settings(model="gpt-4o", base_url=server.url, quiet=True))
        assert single.asked == 0  # one store for both modes
    with Store(tmp_path / "o.jsonl.sqlite") as store:
        assert store.query("SELECT DISTINCT batch FROM requests") == [("batch_1",)]


@pytest.mark.parametrize("size", [1, 4])
def test_shards_keep_under_the_limits(tmp_path, size):
    with FakeOpenAI() as server:
        options = {"max_requests": 3}
        report, _ = run(tmp_path, server, texts(20), options=options, texts_per_request=size)
        assert report.statuses == {"ok": 20} and len(server.batches) == {1: 7, 4: 2}[size]
    with FakeOpenAI() as server:
        (tmp_path / "b").mkdir()
        report, _ = run(tmp_path / "b", server, texts(20), options={"max_bytes": 8000})
        assert report.statuses == {"ok": 20} and len(server.batches) > 3
        uploads = [file["data"] for file in server.files.values() if file["name"].startswith("emodistill")]
        assert max(map(len, uploads)) <= 8000


def test_the_queue_of_the_account_is_respected(tmp_path):
    waiting = []

    def watch(event, details):
        if event == "POST batches":
            waiting.append(sum(one["object"]["status"] != "completed" for one in server.batches.values()))

    with FakeOpenAI() as server:
        server.batch_script = watch
        report, _ = run(tmp_path, server, texts(20), options={"max_enqueued_tokens": 2000})
        assert report.statuses == {"ok": 20} and len(server.batches) > 2 and max(waiting) == 0


def test_a_full_queue_is_tried_again_and_named_when_it_stays_full(tmp_path):
    refusals = iter(["token-limit", "token-limit"])
    with FakeOpenAI() as server:
        server.batch_script = lambda event, details: next(refusals, None) if event == "POST batches" else None
        report, _ = run(tmp_path, server, texts(5))
        assert report.statuses == {"ok": 5} and len(server.batches) == 3 and len(server.log) == 5
    with FakeOpenAI() as server:
        (tmp_path / "b").mkdir()
        server.batch_script = lambda event, details: "token-limit" if event == "POST batches" else None
        report, _ = run(tmp_path / "b", server, texts(5))
        assert "--max-enqueued-tokens" in report.stopped and report.statuses == {"pending": 5}
        server.batch_script = None
        report, _ = run(tmp_path / "b", server, texts(5), options={"max_enqueued_tokens": 1500})
        assert report.statuses == {"ok": 5} and len(server.log) == 5


def test_failed_invalid_and_refused_rows(tmp_path):
    def script(call, seen):
        once = {
            "text 1": ("500", 1),
            "text 2": ("malformed", 2),
            "text 3": ("refusal", 9),
            "text 4": ("filter-400", 9),
        }
        fault, times = {**once, "text 5": ("malformed", 9), "text 6": ("500", 9)}.get(call.texts[0], (None, 0))
        return fault if seen < times else None

    with FakeOpenAI(script) as server:
        _, rows = run(tmp_path, server, texts(8))
        assert {text: row["status"] for text, row in rows.items()} == {
            **dict.fromkeys(texts(8), "ok"),
            "text 3": "refused",
            "text 4": "refused",
            "text 5": "invalid",
            "text 6": "error",
        }
        assert len(server.batches) == 3
        asked = {text: server.asked.count(text) for text in texts(8)}
        assert asked == {**dict.fromkeys(texts(8), 1), "text 1": 2, "text 2": 3, "text 5": 3, "text 6": 3}
        again = [call.body["messages"][-1]["content"] for call in server.log if call.texts == ["text 2"]]
        assert "could not be used" in again[1] and "could not be used" not in again[0]


def test_what_an_expired_batch_lacks_is_asked_again(tmp_path):
    faults = iter(["expire"])
    with FakeOpenAI() as server:
        server.batch_script = lambda event, details: next(faults, None) if event == "POST batches" else None
        report, _ = run(tmp_path, server, texts(10))
        assert report.statuses == {"ok": 10} and len(server.batches) == 2
        assert sorted(server.asked) == sorted(texts(10))  # nothing that was answered is asked again


def test_a_server_without_structured_outputs(tmp_path):
    with FakeOpenAI(
        lambda call, seen: "!400 response_format unsupported" if "response_format" in call.body else None
    ) as s:
        report, rows = run(tmp_path, s, texts(4))
        assert (
            report.statuses == {"ok": 4}
            and len(s.batches) == 2
            and rows["text 1"]["labels"] == default_labels("text 1")
        )


def test_faults_of_the_endpoints_are_ridden_out(tmp_path):
    seen = set()

    def once(event, details):
        if event not in seen:
            seen.add(event)
            return "!500 now" if event != "POST files" else "!429 slow down"

    with FakeOpenAI() as server:
        server.batch_script = once
        report, _ = run(tmp_path, server, texts(6))
        assert report.statuses == {"ok": 6} and len(server.batches) == 1
        assert seen >= {"POST files", "POST batches", "GET batches", "GET batches/id", "GET files/content"}


def test_no_second_batch_is_made_where_the_answer_to_the_first_was_lost(tmp_path):
    """The server makes the batch and answers with an error: only a look at its list tells."""

    def make_and_fail(event, details):
        if event == "POST batches" and not server.batches:
            server._create(json.loads(details["body"]), None)
            return "!500 lost"

    with FakeOpenAI() as server:
        server.batch_script = make_and_fail
        report, _ = run(tmp_path, server, texts(6))
        assert report.statuses == {"ok": 6} and len(server.batches) == 1 and len(server.log) == 6


STAGES = ("POST files", "POST batches", "GET batches/id", "GET files/content")


@pytest.mark.slow
@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("acts", [False, True])
def test_a_kill_at_any_stage_asks_nothing_twice(tmp_path, stage, acts):
    """A real process, killed while the server holds its request, which the server then acts on or not."""
    (tmp_path / "t.txt").write_text("\n".join(texts(12)))
    with FakeOpenAI() as server:
        process, killed = None, []

        def kill(event, details):
            if event != stage or killed:
                return None
            killed.append(process.pid)
            os.kill(process.pid, signal.SIGKILL)
            connection.wait([process.sentinel], 10)  # the process is gone before the server acts
            return None if acts else "!500 nobody hears this"

        server.batch_script = kill
        argv = ["annotate", "batch", "--input", str(tmp_path / "t.txt"), "--output", str(tmp_path / "o.jsonl")]
        argv += ["--model", "gpt-4o", "--base-url", server.url, "--poll", "0.01", "--backoff", "0.01", "--quiet"]
        process = fork(commands.main, argv[1:])
        process.join(60)
        assert process.exitcode == -signal.SIGKILL
        server.batch_script = None
        assert cli.main(argv) == 0
        rows = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text().splitlines()]
        assert [row["text"] for row in rows] == texts(12) and sorted(server.asked) == sorted(texts(12))
        assert len(server.batches) == 1


def test_submit_now_and_collect_later(tmp_path, capsys):
    (tmp_path / "t.txt").write_text("\n".join(texts(6)))
    argv = ["annotate", "batch", "--input", str(tmp_path / "t.txt"), "--output", str(tmp_path / "o.jsonl")]
    argv += ["--model", "gpt-4o"]
    assert cli.main([*argv, "--dry-run"]) == 0
    assert "$1.25 in and $5 out" in capsys.readouterr().out
    with FakeOpenAI() as server:
        server.batch_polls = 3
        argv += ["--base-url", server.url, "--no-wait"]
        assert cli.main(argv) == 1 and states(tmp_path) == ["submitted"]
        err = capsys.readouterr().err
        assert "submitted batch batch_1: 6 texts" in err and "6 pending" in err
        # The other mode leaves alone what a batch is to bring.
        single = ["annotate", *argv[2:-1], "--quiet"]
        assert cli.main(single) == 1 and server.log == []
        deadline = time.monotonic() + 20
        while (status := cli.main(argv)) and time.monotonic() < deadline:
            pass
        assert status == 0 and states(tmp_path) == ["collected"] and len(server.log) == 6


def test_the_spending_cap_holds_against_the_worst_case(tmp_path):
    price = {"price_in": 10.0, "price_out": 100.0, "max_tokens": 100}
    with FakeOpenAI() as server:
        report, _ = run(tmp_path, server, texts(60), max_cost=0.05, **price)
        assert "cap" in report.stopped and 0.03 < report.total_cost <= 0.05
        assert report.statuses["ok"] == len(server.log) and report.statuses["pending"] == 60 - len(server.log)
        report, _ = run(tmp_path, server, texts(60), max_cost=1, **price)
        assert report.statuses == {"ok": 60} and len(server.log) == 60


def test_a_batch_that_fails_ends_the_run_and_its_texts_are_free_again(tmp_path):
    with FakeOpenAI(lambda call, seen: None) as server:
        server.batch_script = lambda event, details: "!400 the endpoint is wrong" if event == "POST batches" else None
        report, _ = run(tmp_path, server, texts(3))
        assert "turned down" in report.stopped and states(tmp_path) == ["failed"]
        server.batch_script = lambda event, details: f"!401 bad {KEY}" if event == "POST files" else None
        report, _ = run(tmp_path, server, texts(3))
        assert "key" in report.stopped and KEY not in report.stopped
        server.batch_script = None
        report, _ = run(tmp_path, server, texts(3))
        assert report.statuses == {"ok": 3}


def test_wrong_options():
    for name in ("max_requests", "rounds", "max_enqueued_tokens"):
        with pytest.raises(ValueError, match=name):
            BatchOptions(**{name: 0})


@pytest.mark.parametrize("size", [1, 5])
def test_what_was_paid_is_kept_whatever_the_input_is_when_it_comes(tmp_path, size):
    """Submitted with 40 texts, collected with the last 20 of them and 20 others."""
    with FakeOpenAI() as server:
        server.batch_polls = 3
        report, _ = run(tmp_path, server, texts(40), options={"wait": False}, texts_per_request=size)
        assert report.statuses == {"pending": 40}
        later = [*texts(40)[20:], *(f"new {n}" for n in range(20))]
        report, rows = run(tmp_path, server, later, texts_per_request=size)
        assert report.statuses == {"ok": 40} and rows["text 33"]["labels"] == default_labels("text 33")
        assert sorted(server.asked) == sorted({*texts(40), *later})  # nothing twice
        answers = {1: 60, 5: 12}[size]
        assert report.total_cost == pytest.approx(answers * 350e-6 / 2)  # and every answer booked
        again, rows = run(tmp_path, server, texts(40), texts_per_request=size)
        assert again.asked == 0 and again.statuses == {"ok": 40} and len(server.asked) == 60


def test_a_batch_that_was_not_sent_is_made_anew_where_its_texts_left_the_input(tmp_path):
    with FakeOpenAI() as server:
        server.batch_script = lambda event, details: "!400 no" if event == "POST files" else None
        report, _ = run(tmp_path, server, texts(4))
        assert report.stopped and states(tmp_path) == ["built"]
        server.batch_script = None
        report, _ = run(tmp_path, server, ["text 1", "other"])
        assert report.statuses == {"ok": 2} and sorted(server.asked) == ["other", "text 1"]


STRANGE = {
    "error with status 200": (200, {"error": {"message": "overloaded", "code": 502}}),
    "parts": {"content": [{"type": "text", "text": '{"labels": ["joy"]}'}]},
    "filter": (200, {"choices": [{"index": 0, "finish_reason": "content_filter"}]}),
    "surrogate": {"content": '{"labels": ["joy \ud83d"]}'},
    "surrogate escape": {"content": '{"labels": ["joy \\ud83d"]}'},
    "usage of text": {"content": '{"labels": ["joy"]}', "usage": "none"},
    "usage below zero": {"content": '{"labels": ["joy"]}', "usage": {"prompt_tokens": -9, "completion_tokens": -9}},
    "a list for a body": (200, [1, 2]),
    "text for a body": (200, '"nothing"'),
    "no body": (200, None),
    "wrong model": (404, {"error": {"message": "no such model"}}),
    "bad key": (401, {"error": {"message": "bad key"}}),
    "flagged": (403, {"error": {"message": "Your input was flagged"}}),
    "deep": (200, json.loads('{"a":' * 500 + "1" + "}" * 500)),
}


def test_one_strange_line_spoils_neither_batch_nor_run(tmp_path):
    names = list(STRANGE)
    script = dict(STRANGE)
    with FakeOpenAI(lambda call, seen: script.get(call.texts[0])) as server:
        report, rows = run(tmp_path, server, [*names, *texts(3)], options={"rounds": 2}, max_asks=1)
        assert report.stopped is None and all(rows[text]["status"] == "ok" for text in texts(3))
        good = ("parts", "surrogate", "surrogate escape", "usage of text", "usage below zero")
        assert {name for name in names if rows[name]["status"] == "ok"} == set(good), rows
        assert rows["filter"]["status"] == rows["flagged"]["status"] == "refused"
        assert "overloaded" in rows["error with status 200"]["reason"]
        assert "no such model" in rows["wrong model"]["reason"] and report.cost > 0
    assert all(state == "collected" for state in states(tmp_path))


def test_lines_of_a_result_that_are_no_answers_are_passed_over(tmp_path):
    def spoil(event, details):
        if event == "GET files/content":
            for file in server.files.values():
                if file["name"] == "results.jsonl" and b"strange" not in file["data"]:
                    more = [b"", b"{", b"[]", b"null", b'{"custom_id": 7}', b'{"custom_id": "strange-1"}', b"\xff"]
                    more += [b'{"custom_id": "x-' + b"9" * 5000 + b'"}', b"[" * 9999]
                    file["data"] = b"\n".join([*more, file["data"]])

    with FakeOpenAI() as server:
        server.batch_script = spoil
        report, _ = run(tmp_path, server, texts(6))
        assert report.statuses == {"ok": 6} and len(server.log) == 6


def test_the_name_of_the_longest_answer_is_swapped_in_a_batch_too(tmp_path):
    words = "!400 Unsupported parameter: max_tokens. Use max_completion_tokens instead"
    with FakeOpenAI(lambda call, seen: words if "max_tokens" in call.body else None) as server:
        report, _ = run(tmp_path, server, texts(4))
        assert report.statuses == {"ok": 4} and len(server.batches) == 2


def results(change):
    """A script of the batch endpoints that changes each file of results once, as a list of lines."""
    done = set()

    def script(server):
        def spoil(event, details):
            for name, file in server.files.items() if event == "GET files/content" else ():
                if file["name"] == "results.jsonl" and name not in done:
                    done.add(name)
                    file["data"] = change([json.loads(line) for line in file["data"].splitlines()])

        return spoil

    return script


def jsonl(lines):
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def failed(line):
    return {**line, "response": None, "error": {"code": "server_error", "message": "boom"}}


FORMS = {
    "each twice": lambda lines: jsonl(lines + lines),
    "an error, then the answer": lambda lines: jsonl([*map(failed, lines), *lines]),
    "the answer, then an error": lambda lines: jsonl([*lines, *map(failed, lines)]),
    "a list": lambda lines: json.dumps(lines).encode(),
    "over several lines": lambda lines: b"\n".join(json.dumps(line, indent=1).encode() for line in lines),
    "without ends of lines": lambda lines: jsonl(lines).replace(b"\n", b""),
    "packed": lambda lines: gzip.compress(jsonl(lines)),
    "another encoding": lambda lines: jsonl(lines).decode().encode("utf-16"),
    "half a line first": lambda lines: jsonl(lines)[:40] + b"\n" + jsonl(lines),
    "bodies as text": lambda lines: jsonl(
        {**line, "response": {"status_code": 200, "body": json.dumps(line["response"]["body"])}} for line in lines
    ),
    "bodies alone": lambda lines: jsonl({**line, "response": line["response"]["body"]} for line in lines),
}


@pytest.mark.parametrize("change", FORMS.values(), ids=FORMS)
def test_results_in_any_form_are_read_and_asked_for_once(tmp_path, change):
    with FakeOpenAI() as server:
        server.batch_script = results(change)(server)
        report, _ = run(tmp_path, server, texts(4))
        assert report.statuses == {"ok": 4} and len(server.log) == 4 and report.cost == pytest.approx(4 * 350e-6 / 2)


@pytest.mark.parametrize("status", ["COMPLETED", "succeeded", "canceled", "failed", "expired"])
def test_a_batch_that_ended_in_other_words_gives_what_it_has(tmp_path, status):
    with FakeOpenAI() as server:
        poll = server._poll
        server._poll = lambda batch: {**poll(batch), "status": status} if batch["polls"] else poll(batch)
        server.batch_polls = 0
        report, _ = run(tmp_path, server, texts(4))
        assert report.statuses == {"ok": 4} and len(server.log) == 4


GONE = {
    "no file": lambda server: lambda event, _: "!404 No such File" if event == "GET files/content" else None,
    "other requests' results": results(lambda lines: jsonl({**line, "custom_id": "nobody-0"} for line in lines)),
    "an empty file": results(lambda lines: b""),
}


@pytest.mark.parametrize("fault", GONE.values(), ids=GONE)
def test_what_was_paid_and_is_gone_is_told_and_not_asked_again_unsaid(tmp_path, fault):
    with FakeOpenAI() as server:
        server.batch_script = fault(server)
        report, _ = run(tmp_path, server, texts(4))
        assert "asks for them anew" in report.stopped and len(server.log) == 4 and report.statuses == {"pending": 4}
        server.batch_script = None
        report, _ = run(tmp_path, server, texts(4))
        assert report.statuses == {"ok": 4} and len(server.log) == 8


def faulty_poll(faults):
    """A script of the batch endpoints: looks at the batch `batch_1` get these faults, one after the other."""
    faults = iter(faults)

    def script(event, details):
        return next(faults, None) if event == "GET batches/id" and "batch_1" in details["path"] else None

    return script


@pytest.mark.parametrize("fault", ["!404 gone", "!403 no", "!418 teapot", "!400 bad", "!410 gone", "!503 busy"])
def test_one_strange_look_at_a_batch_is_repeated(tmp_path, fault):
    with FakeOpenAI() as server:
        server.batch_script = faulty_poll([fault, fault])
        report, _ = run(tmp_path, server, texts(3))
        assert report.stopped is None and report.statuses == {"ok": 3} and len(server.log) == 3


@pytest.mark.parametrize("fault", ["!404 gone", "!418 teapot", "!500 oh"])
def test_a_batch_that_cannot_be_looked_at_stops_no_other_and_is_not_lost(tmp_path, fault):
    with FakeOpenAI() as server:
        server.batch_script = faulty_poll([fault] * 99)
        report, _ = run(tmp_path, server, texts(6), options={"max_requests": 3})
        assert "batch batch_1 cannot be looked at" in report.stopped and "nothing is lost" in report.stopped
        assert report.statuses == {"ok": 3, "pending": 3}
        assert sorted(states(tmp_path)) == ["collected", "submitted"]
        options = {"forget_lost": True} if "404" in fault else {}
        server.batch_script = faulty_poll([fault] * 5) if options else None
        report, _ = run(tmp_path, server, texts(6), options=options)
        assert report.statuses == {"ok": 6} and len(server.batches) == (3 if options else 2)


def test_results_that_are_late_are_waited_for(tmp_path):
    faults = iter(["!404 No such File"] * 2)
    with FakeOpenAI() as server:
        server.batch_script = lambda event, _: next(faults, None) if event == "GET files/content" else None
        report, _ = run(tmp_path, server, texts(3))
        assert report.statuses == {"ok": 3} and len(server.log) == 3


@pytest.mark.parametrize(
    "answer",
    [{"status": 5}, {"error": {"message": "overloaded"}}, [], {"id": "b", "object": "batch", "status": None}],
)
def test_an_answer_that_is_no_batch_is_asked_again(tmp_path, answer):
    shown = iter([answer])
    with FakeOpenAI() as server:
        poll = server._poll
        server._poll = lambda batch: (poll(batch), next(shown, None) or batch["object"])[1]
        report, _ = run(tmp_path, server, texts(3))
        assert report.statuses == {"ok": 3} and len(server.log) == 3


def test_a_batch_inside_a_running_loop_as_in_a_notebook(tmp_path):
    async def cell():
        return run(tmp_path, server, texts(2))[0]

    with FakeOpenAI() as server:
        assert asyncio.run(cell()).statuses == {"ok": 2}
