"""The spending cap against a server that keeps its own bill."""

import json
import random

import pytest
from fake_openai import FakeOpenAI
from hypothesis import given
from hypothesis import strategies as st
from processes import fork

from emodistill.annotate import Settings, Store, annotate, commands
from emodistill.annotate.batch import BatchOptions, annotate_batch
from emodistill.annotate.completions import Reply
from emodistill.annotate.money import WorstCase
from emodistill.annotate.store import KILLED

PRICE = {"price_in": 10.0, "price_out": 100.0}


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test-0123456789")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def bill(server):
    """What the server charges, in US dollars: whatever it has begun to answer."""
    return sum(prompt * PRICE["price_in"] + answer * PRICE["price_out"] for prompt, answer in server.billed) / 1e6


def by_bytes(call, message):
    """A tokenizer of bytes: the most tokens that a text can have."""
    answer = message["content"] if isinstance(message.get("content"), str) else ""
    return len(json.dumps(call.body, ensure_ascii=False).encode()) * 3 // 4, len(answer.encode())


def run(tmp_path, server, texts, cap, **options):
    chosen = {"model": "m", "base_url": server.url, "backoff": 0.001, "timeout": 60, "quiet": True, **PRICE}
    chosen.update(max_cost=cap, max_tokens=60, concurrency=16, max_failures=1000, **options)
    return annotate(texts, tmp_path / "o.jsonl", Settings(**chosen))


RUNES = [" ".join(chr(0x16A0 + (n * 7 + k) % 75) * 9 for k in range(20)) for n in range(60)]
SCHEMA = {"prompt": "closed", "labels": [f"label number {n}" for n in range(400)]}
LONG = {"content": '{"labels": ["' + '", "'.join(["joy"] * 100) + '"]}'}
ATTACKS = {
    "answers lost mid-body": ({}, lambda call, seen: "cut" if seen < 3 else None, {}),
    "longest ignored": ({}, lambda call, seen: LONG, {}),
    "rare scripts": ({"texts": RUNES}, None, {}),
    "rare scripts, no usage": ({"texts": RUNES, "usage": False}, None, {}),
    "a schema of 400 labels": ({}, lambda call, seen: {"content": '{"labels": ["label number 1"]}'}, SCHEMA),
    "negative usage": ({}, lambda call, seen: {
        "content": '{"labels": ["joy"]}', "usage": {"prompt_tokens": -10**6, "completion_tokens": -10**6}}, {}),
    "usage of text": ({}, lambda call, seen: {"content": '{"labels": ["joy"]}', "usage": "none"}, {}),
    "cached beyond the prompt": ({}, lambda call, seen: {"content": '{"labels": ["joy"]}', "usage": {
        "prompt_tokens": 2000, "completion_tokens": 20, "prompt_tokens_details": {"cached_tokens": 10**9}}}, {}),
    "invalid each time": ({}, lambda call, seen: {"content": "no labels at all here, only a very long sentence"}, {}),
    "not a completion": ({}, lambda call, seen: (200, {"choices": []}), {}),
    "five texts a request": ({}, None, {"texts_per_request": 5}),
}  # fmt: skip


@pytest.mark.parametrize("name", ATTACKS)
def test_the_cap_holds_against_the_server_s_own_bill(tmp_path, name):
    server_options, script, options = ATTACKS[name]
    texts, usage = server_options.get("texts", [f"text {n}" for n in range(60)]), server_options.get("usage", True)
    cap = 0.2
    with FakeOpenAI(script, usage=usage) as server:
        server.counts = by_bytes
        report = run(tmp_path, server, texts, cap, **options)
        assert bill(server) <= cap, f"{bill(server) / cap:.2f} times the cap"
        assert report.total_cost <= cap and report.total_cost >= bill(server) * 0.999 - 1e-9
        assert server.billed or name == "not a completion"
        again = run(tmp_path, server, texts, cap, **options)
        assert bill(server) <= cap and again.total_cost <= cap


def test_a_small_cap_is_used_up_and_not_left(tmp_path):
    with FakeOpenAI() as server:
        server.counts = by_bytes
        report = run(tmp_path, server, [f"text {n}" for n in range(60)], 0.3)
        assert 0.2 <= bill(server) <= 0.3 and "cap" in report.stopped


@pytest.mark.slow
def test_what_a_kill_loses_is_booked_by_the_next_run(tmp_path):
    (tmp_path / "t.txt").write_text("".join(f"text {n}\n" for n in range(300)))
    with FakeOpenAI(delay=0.05) as server:
        server.counts = by_bytes
        argv = ["--input", str(tmp_path / "t.txt"), "--output", str(tmp_path / "o.jsonl"), "--model", "m", "--quiet"]
        argv += ["--base-url", server.url, "--max-cost", "1", "--price-in", "10", "--price-out", "100"]
        argv += ["--max-tokens", "60"]
        killed = 0
        for number in range(4):
            process, before = fork(commands.main, argv), len(server.log)
            while process.is_alive() and len(server.log) < before + 6 + number:
                process.join(0.005)
            process.kill()
            process.join()
            with Store(tmp_path / "o.jsonl.sqlite") as store:
                killed = store.query("SELECT count(*) FROM requests WHERE fault IS NOT NULL")[0][0]
                assert store.spent() >= bill(server) - 1e-9
        assert killed > 0
        assert commands.main(argv) == 1 and bill(server) <= 1
        with Store(tmp_path / "o.jsonl.sqlite") as store:
            assert store.spent() <= 1
            assert store.query("SELECT count(*) FROM requests WHERE fault = ?", (KILLED,))[0][0] >= killed


@pytest.mark.parametrize("extra", [{}, {"usage": False}])
def test_the_cap_of_a_batch_holds_against_its_bill(tmp_path, extra):
    with FakeOpenAI(**extra) as server:
        server.counts = by_bytes
        settings = Settings(model="m", base_url=server.url, max_cost=0.1, max_tokens=60, quiet=True, **PRICE)
        report = annotate_batch([f"text {n}" for n in range(60)], tmp_path / "o.jsonl", settings, BatchOptions(poll=0))
        assert 0 < bill(server) / 2 <= 0.1 and report.total_cost <= 0.1


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"max_cost": float("nan")}, "max_cost"),
        ({"max_cost": float("inf")}, "max_cost"),
        ({"max_cost": -1}, "max_cost"),
        ({"max_cost": 1, "max_tokens": 0}, "max_tokens"),
        ({"price_in": float("nan"), "price_out": 1.0}, "price_in"),
        ({"timeout": float("nan")}, "timeout"),
        ({"temperature": float("inf")}, "temperature"),
        ({"concurrency": 2.5}, "concurrency"),
        ({"max_asks": True}, "max_asks"),
    ],
)
def test_what_is_no_cap_is_told(options, word):
    with pytest.raises(ValueError, match=word):
        Settings(**{"model": "gpt-4o", **options})


@given(st.text(max_size=200), st.text(max_size=200), st.integers(1, 4000))
def test_the_worst_case_is_never_less_than_the_bytes(system, text, longest):
    body = {"model": "m", "messages": [{"role": "system", "content": system}, {"role": "user", "content": text}]}
    worst = WorstCase(longest)
    prompt, answer = worst.tokens(body, 1)
    size = len((system + text).encode("utf-8", "surrogatepass"))
    assert prompt >= size and answer == longest
    seen = random.Random(size).randrange(1, size + 30)
    worst.learn(1, Reply("", prompt_tokens=seen, completion_tokens=1), (prompt, answer))
    assert worst.tokens(body, 1)[0] >= seen + len(text.encode("utf-8", "surrogatepass"))
    assert worst.tokens(body, 2)[0] >= size


def test_a_server_that_answers_at_greater_length_is_believed_no_further():
    worst, body = WorstCase(100), {"messages": [{"content": "x"}]}
    reserved = worst.tokens(body, 1)
    assert worst.learn(1, Reply("", prompt_tokens=5, completion_tokens=500), reserved)
    assert worst.tokens(body, 1)[1] >= 1000
