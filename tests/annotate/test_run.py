"""The whole run against a real server on loopback, with every fault that servers have."""

import asyncio
import json
import random
import time

import pytest
from fake_openai import FAULTS, FakeOpenAI, default_labels

from emodistill.annotate import Settings, Store, annotate

KEY = "sk-test-0123456789abcdef"


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def run(tmp_path, server, texts, *, every=True, **options):
    """One run; its report and its rows by text."""
    chosen = {"model": "gpt-4o", "base_url": server.url, "backoff": 0.01, "timeout": 60, "quiet": True, **options}
    report = annotate(texts, tmp_path / "o.jsonl", Settings(**chosen), every=every)
    lines = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text("utf-8").splitlines()]
    return report, {line["text"]: line for line in lines}


def test_good_answers_are_stored_and_nothing_is_asked_twice(tmp_path):
    texts = ["so glad", "oh no", "so glad", "  so glad ", ""]
    with FakeOpenAI() as server:
        report, rows = run(tmp_path, server, texts)
        assert sorted(server.asked) == ["oh no", "so glad"]
        assert report.statuses == {"ok": 4, "invalid": 1} and rows["oh no"]["labels"] == default_labels("oh no")
        assert rows[""]["reason"].startswith("the text is empty")
        assert report.cost == pytest.approx(2 * (100 * 2.5 + 10 * 10) / 1e6) == report.total_cost
        again, _ = run(tmp_path, server, [*texts, "new"])
        assert server.asked[2:] == ["new"] and again.asked == 1 and again.total_cost > report.total_cost
        call = server.log[0]
        assert call.body["response_format"]["json_schema"]["strict"] is True and call.body["max_tokens"] == 1024
        assert "temperature" not in call.body and call.headers["authorization"] == f"Bearer {KEY}"
    with Store(tmp_path / "o.jsonl.sqlite") as store:
        columns = (
            "model, prompt, parameters, server, reply, prompt_tokens, completion_tokens, seconds > 0, served_model"
        )
        model, prompt, parameters, url, reply, *usage = store.query(f"SELECT {columns} FROM requests")[0]
        assert (model, prompt[:6], json.loads(parameters)) == ("gpt-4o", "rich/1", {"max_tokens": 1024})
        assert url == server.url and "labels" in reply and usage == [100, 10, 1, "gpt-4o-2026-01-01"]


def test_other_parameters_prompts_or_models_are_other_questions(tmp_path):
    with FakeOpenAI() as server:
        for options in ({}, {"temperature": 0.0}, {"prompt": "paper"}, {"model": "gpt-4.1"}, {"seed": 3}):
            run(tmp_path, server, ["a text"], **options)
        assert len(server.log) == 5
        run(tmp_path, server, ["a text"], max_tokens=50, concurrency=2, texts_per_request=3)
        assert len(server.log) == 5
        assert server.log[1].body["temperature"] == 0.0 and server.log[4].body["seed"] == 3
        run(tmp_path, server, ["a text"], extra={"reasoning_effort": "low"})
        assert server.log[5].body["reasoning_effort"] == "low"


@pytest.mark.parametrize("fault", [*FAULTS, "filter-400"])
def test_one_fault_of_each_kind_ends_in_the_right_status(tmp_path, fault):
    with FakeOpenAI(lambda call, seen: fault if seen == 0 else None) as server:
        report, rows = run(tmp_path, server, ["one", "two"], timeout=1)
        expected = "refused" if fault in ("refusal", "filter", "filter-400") else "ok"
        assert report.statuses == {expected: 2}, rows
        assert len(server.log) == (2 if expected == "refused" else 4)
        repeated, _ = run(tmp_path, server, ["one", "two"])
        assert repeated.asked == 0


def test_a_fault_that_stays_is_an_error_and_is_asked_again_by_the_next_run(tmp_path):
    broken = ["two"]
    with FakeOpenAI(lambda call, seen: "500" if call.texts == broken else None) as server:
        report, rows = run(tmp_path, server, ["one", "two"], max_retries=2)
        assert report.statuses == {"ok": 1, "error": 1} and "500" in rows["two"]["reason"]
        assert server.asked.count("two") == 3
        broken.clear()
        report, rows = run(tmp_path, server, ["one", "two"])
        assert report.statuses == {"ok": 2} and server.asked.count("two") == 4 and server.asked.count("one") == 1


def test_invalid_answers_are_asked_again_with_the_reason_a_bounded_number_of_times(tmp_path):
    with FakeOpenAI(lambda call, seen: {"content": '{"labels": ["joy", "happy 3000"]}'}) as server:
        report, rows = run(tmp_path, server, ["one"])
        assert report.statuses == {"invalid": 1} and len(server.log) == 3
        asked = [call.body["messages"][-1]["content"] for call in server.log]
        assert "could not be used" not in asked[0] and "'happy 3000' is not a plain word" in asked[1]
        assert asked[1] == asked[2] and rows["one"]["labels"] == []
        run(tmp_path, server, ["one"])
        assert len(server.log) == 3
        run(tmp_path, server, ["one"], retry=("invalid",))
        assert len(server.log) == 6
        assert report.cost == pytest.approx(3 * 350e-6)


def test_refusals_are_asked_again_only_on_request(tmp_path):
    with FakeOpenAI(lambda call, seen: "refusal" if seen == 0 else None) as server:
        report, rows = run(tmp_path, server, ["one"])
        assert report.statuses == {"refused": 1} and "can't help" in rows["one"]["reason"]
        report, _ = run(tmp_path, server, ["one"], retry=("refused",))
        assert report.statuses == {"ok": 1}


def test_an_answer_cut_off_at_the_token_limit_is_not_taken_for_whole(tmp_path):
    cut = {"content": '{"labels": ["joy", "quie', "finish_reason": "length"}
    with FakeOpenAI(lambda call, seen: cut if call.body["max_tokens"] < 500 else None) as server:
        report, rows = run(tmp_path, server, ["one"], max_tokens=20)
        assert report.statuses == {"invalid": 1} and "max_tokens" in rows["one"]["reason"]
        report, _ = run(tmp_path, server, ["one"], max_tokens=900, retry=("invalid",))
        assert report.statuses == {"ok": 1}


@pytest.mark.parametrize(("content", "status"), [("joy, quiet reli", "invalid"), ('{"labels": ["joy"]}', "ok")])
def test_a_list_in_plain_text_that_was_cut_off_may_lack_its_end(tmp_path, content, status):
    with FakeOpenAI(lambda call, seen: {"content": content, "finish_reason": "length"}) as server:
        report, _ = run(tmp_path, server, ["one"], max_asks=1)
        assert report.statuses == {status: 1}


def test_several_texts_in_one_request(tmp_path):
    texts = [f"text {n}" for n in range(10)]

    def script(call, seen):
        if len(call.texts) == 4 and "text 0" in call.texts:
            return "count"
        return {"content": json.dumps({"answers": [
            {"number": n, "labels": ["x" * 99] if t == "text 5" else default_labels(t)} for n, t in
            enumerate(call.texts, 1)]})} if len(call.texts) == 4 else None  # fmt: skip

    with FakeOpenAI(script) as server:
        report, rows = run(tmp_path, server, texts, texts_per_request=4, concurrency=1)
        assert report.statuses == {"ok": 10} and all(rows[t]["labels"] == default_labels(t) for t in texts)
        sizes = [len(call.texts) for call in server.log]
        assert sizes == [4, 1, 1, 1, 1, 4, 1, 2]  # a wrong count spoils its group, a bad item only itself


@pytest.mark.parametrize("size", [1, 3])
def test_a_server_without_structured_outputs_is_asked_in_plain_text(tmp_path, size):
    texts = [f"text {n}" for n in range(6)]
    with FakeOpenAI(structured=False) as server:
        report, rows = run(tmp_path, server, texts, texts_per_request=size, concurrency=2)
        assert report.statuses == {"ok": 6} and rows["text 3"]["labels"] == default_labels("text 3")
        assert 1 <= sum("response_format" in call.body for call in server.log) <= 2
        run(tmp_path, server, ["more"], reply_format="text")
        assert (
            "response_format" not in server.log[-1].body and "commas" in server.log[-1].body["messages"][0]["content"]
        )
        report, _ = run(tmp_path, server, ["other"], reply_format="json")
        assert "structured" in report.stopped and report.statuses == {"pending": 1}


def test_a_server_that_ignores_the_schema_is_read_all_the_same(tmp_path):
    with FakeOpenAI(lambda call, seen: {"content": "Joy, quiet relief"}) as server:
        _, rows = run(tmp_path, server, ["one"])
        assert rows["one"]["labels"] == ["joy", "quiet relief"] and rows["one"]["raw_labels"] == [
            "Joy",
            "quiet relief",
        ]


@pytest.mark.parametrize(
    ("status", "word"),
    [("!401 bad", "key"), ("!403 no", "denies"), ("!404 none", "model"), ("!429 insufficient_quota now", "money")],
)
def test_what_no_retry_can_mend_ends_the_run_at_once(tmp_path, status, word):
    with FakeOpenAI(lambda call, seen: status if "7" in call.texts[0] else None) as server:
        report, _ = run(tmp_path, server, [f"text {n}" for n in range(100)], concurrency=2)
        assert word in report.stopped and report.statuses["ok"] >= 7 and len(server.log) < 15
        assert report.statuses["ok"] + report.statuses["pending"] == 100


def test_a_server_that_fails_every_request_ends_the_run(tmp_path):
    with FakeOpenAI(lambda call, seen: "!400 unknown field") as server:
        report, _ = run(tmp_path, server, [f"text {n}" for n in range(100)], max_failures=5, concurrency=2)
        assert "in a row" in report.stopped and len(server.log) <= 7


def test_nobody_at_the_address(tmp_path):
    with FakeOpenAI() as server:
        pass
    report, _ = run(tmp_path, server, ["one", "two"], max_retries=1, max_failures=2, concurrency=1)
    assert "the connection failed" in report.stopped


def test_retry_after_is_honoured_and_holds_the_others_back(tmp_path):
    with FakeOpenAI(lambda call, seen: "429-after" if not waited.append(1) and len(waited) == 1 else None) as server:
        waited = []
        server.retry_after = "1"
        report, _ = run(tmp_path, server, [f"text {n}" for n in range(30)], concurrency=3)
        assert report.statuses == {"ok": 30}
        first, later = server.log[0].time, [call.time for call in server.log[3:]]
        assert min(later) - first >= 1.0


def test_a_longer_wait_than_allowed_ends_the_run(tmp_path):
    with FakeOpenAI(lambda call, seen: "429-after") as server:
        server.retry_after = "3600"
        started = time.monotonic()
        report, _ = run(tmp_path, server, ["one", "two"], max_wait=60)
        assert "3600 seconds" in report.stopped and time.monotonic() - started < 20
        assert report.statuses == {"pending": 2}


def test_the_client_does_not_retry_on_its_own(tmp_path):
    with FakeOpenAI(lambda call, seen: "500") as server:
        run(tmp_path, server, ["one"], max_retries=3)
        assert len(server.log) == 4


def test_concurrency_and_connections(tmp_path):
    with FakeOpenAI(delay=0.05) as server:
        run(tmp_path, server, [f"text {n}" for n in range(60)], concurrency=7)
        assert 5 <= server.most_in_flight <= 7 and server.connections <= 7


def test_the_spending_cap_holds_over_all_runs(tmp_path):
    texts = [f"text {n}" for n in range(200)]
    price = {"price_in": 10.0, "price_out": 100.0, "max_tokens": 100}  # an answer costs 0.002, at most some 0.017
    with FakeOpenAI() as server:
        report, _ = run(tmp_path, server, texts, max_cost=0.1, **price)
        assert "cap" in report.stopped and 0.08 <= report.total_cost <= 0.1
        asked = len(server.log)
        report, _ = run(tmp_path, server, texts, max_cost=0.1, **price)
        assert len(server.log) == asked and report.statuses["pending"] == 200 - asked
        report, _ = run(tmp_path, server, texts, max_cost=10, **price)
        assert report.statuses == {"ok": 200} and len(server.log) == 200


def test_lost_answers_count_towards_the_cost(tmp_path):
    with FakeOpenAI(lambda call, seen: "cut" if seen == 0 else None) as server:
        report, _ = run(tmp_path, server, ["one"])
        assert report.statuses == {"ok": 1} and report.cost > 350e-6
    with Store(tmp_path / "o.jsonl.sqlite") as store:
        assert store.query("SELECT estimated, fault IS NULL FROM requests") == [(1, 0), (0, 1)]


def test_usage_is_estimated_where_the_server_gives_none(tmp_path):
    with FakeOpenAI(usage=False) as server:
        report, _ = run(tmp_path, server, ["one"])
        assert report.prompt_tokens > 200 and report.cost > 0


def test_the_key_is_written_nowhere(tmp_path, capfd):
    words = f"!400 Incorrect API key provided: {KEY}, or sk-proj-abc*****wxyz"
    with FakeOpenAI(lambda call, seen: {0: words, 1: {"refusal": f"No: {KEY}"}}.get(seen)) as server:
        run(tmp_path, server, ["one"], quiet=False)
        _, rows = run(tmp_path, server, ["one"], quiet=False)
        assert rows["one"]["status"] == "refused"
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    captured = capfd.readouterr()
    for secret in (KEY, "abc*****wxyz"):
        assert secret.encode() not in written and secret not in captured.out + captured.err
    assert "[key]" in rows["one"]["reason"]


def test_inside_a_running_loop_as_in_a_notebook(tmp_path):
    async def cell():
        return run(tmp_path, server, ["one", "two"])[0]

    with FakeOpenAI() as server:
        assert asyncio.run(cell()).statuses == {"ok": 2}


def test_the_output_is_written_anew_without_a_key(tmp_path, monkeypatch):
    with FakeOpenAI(lambda call, seen: {"content": '{"labels": ["humour", "humor", "joy"]}'}) as server:
        run(tmp_path, server, ["one"])
    monkeypatch.delenv("OPENAI_API_KEY")
    settings = Settings(model="gpt-4o", limit=0)
    annotate(["one"], tmp_path / "o.jsonl", settings, merge_variants=True)
    assert json.loads((tmp_path / "o.jsonl").read_text())["labels"] == ["humor", "joy"]


def test_a_limit_of_texts_and_the_rest_later(tmp_path):
    texts = [f"text {n}" for n in range(10)]
    with FakeOpenAI() as server:
        report, _ = run(tmp_path, server, texts, limit=4, concurrency=1)
        assert report.statuses == {"ok": 4, "pending": 6} and server.asked == texts[:4]
        report, _ = run(tmp_path, server, texts, limit=0)
        assert len(server.log) == 4
        report, _ = run(tmp_path, server, texts)
        assert report.statuses == {"ok": 10} and len(server.log) == 10


def test_a_closed_prompt_with_labels_of_ones_own(tmp_path):
    answer = {"content": '{"labels": ["saudade"]}'}
    with FakeOpenAI(lambda call, seen: answer) as server:
        report, rows = run(tmp_path, server, ["one"], prompt="closed", labels=["hygge", "saudade"])
        assert rows["one"]["labels"] == ["saudade"]
        report, _ = run(tmp_path, server, ["one"], prompt="closed")
        assert report.statuses == {"invalid": 1}
    with pytest.raises(ValueError, match="labels"):
        run(tmp_path, server, ["one"], prompt="rich", labels=["a", "b"])


def test_bad_input_costs_nothing(tmp_path):
    with FakeOpenAI() as server:
        for source in (tmp_path / "none.csv", [{"body": "x"}]):
            with pytest.raises((ValueError, OSError)):
                run(tmp_path, server, source)
        (tmp_path / "o.jsonl").write_text("precious")
        with pytest.raises(ValueError, match="move it away"):
            run(tmp_path, server, ["one"])
        assert server.log == []


def test_a_row_that_is_no_text_is_told_and_never_asked(tmp_path, capsys):
    lines = [b'{"text": "one"}', b'{"text": 7}', b'{"text": "caf\xe9"}', *[b'{"text": "two"}'] * 18]
    (tmp_path / "t.jsonl").write_bytes(b"\n".join(lines))
    with FakeOpenAI() as server:
        report, rows = run(tmp_path, server, tmp_path / "t.jsonl", quiet=False)
        assert sorted(server.asked) == ["one", "two"] and report.statuses == {"ok": 19, "invalid": 2}
        assert "line 3: not utf-8 text" in rows[""]["reason"] and rows[""]["status"] == "invalid"
        assert "line 2: 'text' is int, not text; the row is left out\n" in capsys.readouterr().err
        (tmp_path / "t.jsonl").write_bytes(b"\n".join(lines[:3]))
        with pytest.raises(ValueError, match="line 2: 'text' is int, not text; 2 of 3 rows cannot be used"):
            run(tmp_path, server, tmp_path / "t.jsonl")


def test_texts_of_any_shape_arrive_as_they_are(tmp_path):
    texts = ['{"labels": ["joy"]}', 'quote " and \\ back', "ünï © 😀 \u2028 end", "line\nline", "Text: Text:"]
    with FakeOpenAI() as server:
        _, rows = run(tmp_path, server, texts)
        assert sorted(server.asked) == sorted(texts) and set(rows) == set(texts)
        _, rows = run(tmp_path, server, texts, prompt="paper", texts_per_request=5)
        assert server.log[-1].texts == texts


def test_a_storm_of_random_faults_leaves_one_final_row_for_each_text(tmp_path):
    rng = random.Random(4)
    texts = [f"text {n}" for n in range(150)]
    with FakeOpenAI(lambda call, seen: rng.choice(FAULTS) if rng.random() < 0.3 else None) as server:
        report, _ = run(tmp_path, server, texts, timeout=1, texts_per_request=2)
        assert sum(report.statuses.values()) == 150 and set(report.statuses) <= {"ok", "refused", "invalid"}
        answered = [text for call in server.log if call.finished and call.fault is None for text in call.texts]
        assert len(answered) == len(set(answered))
