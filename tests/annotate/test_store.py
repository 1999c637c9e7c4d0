import asyncio
import os
import signal
import sqlite3
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from processes import environment

from emodistill.annotate import Settings, Store, TextRow, annotate, load_prompt
from emodistill.annotate.limits import Gate, Rate, Stopped, backoff, retry_after
from emodistill.annotate.money import Budget, BudgetReached
from emodistill.annotate.output import check_rows_output, open_output, store_path, write_rows
from emodistill.annotate.prices import Price, estimate_tokens, find_price
from emodistill.annotate.store import (
    IN_FLIGHT,
    GroupWriter,
    RequestRecord,
    RowRecord,
    StoreDamagedError,
    UnstorableError,
    row_key,
)

IDENTITY = {"model": "m", "prompt": "rich/1 abc", "parameters": "{}"}


def row(key, status="ok", value=("joy",), **more):
    return RowRecord(key, f"id-{key}", f"text {key}", status, list(value), **more)


def request(**more):
    return RequestRecord("m", "rich/1 abc", {"seed": 1}, "http://x/v1", 1, reply="joy", cost=0.5, **more)


def test_what_is_recorded_comes_back_after_reopening(tmp_path):
    with Store(tmp_path / "s.sqlite") as store:
        store.record([(request(prompt_tokens=7, completion_tokens=3), [row("a"), row("b", asks=2)], IDENTITY)])
        store.record([(None, [RowRecord("c", "c", "t", "error", reason="500")], IDENTITY)])
    with Store(tmp_path / "s.sqlite") as store:
        found = store.rows(["a", "b", "c", "d"])
        assert {key: one.status for key, one in found.items()} == {"a": "ok", "b": "ok", "c": "error"}
        assert found["b"] == row("b", asks=2) and found["c"].reason == "500"
        assert store.spent() == 0.5 and store.counts() == {"error": 1, "ok": 2}
        assert store.usage("m")["prompt_tokens"] == 7 and store.usage("other")["requests"] == 0
        joined = store.query("SELECT rows.key, reply, requests.parameters FROM rows JOIN requests ON request = id")
        assert sorted(joined) == [("a", "joy", '{"seed": 1}'), ("b", "joy", '{"seed": 1}')]


def test_a_row_is_replaced_and_a_failed_transaction_leaves_nothing(tmp_path):
    with Store(tmp_path / "s.sqlite") as store:
        store.record([(None, [row("a", "invalid")], IDENTITY)])
        store.record([(None, [row("a")], IDENTITY)])
        assert store.counts() == {"ok": 1}
        with pytest.raises(OSError, match="cannot be written"):
            store.record([(request(), [row("b")], IDENTITY), (None, [row(None)], IDENTITY)])
        assert store.counts() == {"ok": 1} and store.spent() == 0


def test_two_runs_cannot_have_one_store_and_a_killed_run_leaves_no_lock(tmp_path):
    path = tmp_path / "s.sqlite"
    code = f"""
import sys, time
from emodistill.annotate.store import *
store = Store({str(path)!r})
store.record([(None, [RowRecord("a", "a", "t", "ok", ["joy"])], {IDENTITY!r})])
print("open", flush=True)
time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment())
    assert process.stdout.readline() == b"open\n"
    with pytest.raises(ValueError, match="another run"):
        Store(path)
    process.send_signal(signal.SIGKILL)
    process.wait()
    with Store(path) as store:
        assert store.counts() == {"ok": 1}


def test_files_that_are_no_stores_are_left_alone(tmp_path):
    text = tmp_path / "a.sqlite"
    text.write_text("id,text\n" * 200)
    with pytest.raises(ValueError, match="not a store"):
        Store(text)
    assert text.read_text() == "id,text\n" * 200
    other = sqlite3.connect(tmp_path / "b.sqlite")
    other.execute("CREATE TABLE mine (x)")
    other.commit()
    other.close()
    with pytest.raises(ValueError, match="not a store"):
        Store(tmp_path / "b.sqlite")
    with Store(tmp_path / "c.sqlite") as store:
        store.execute("PRAGMA user_version=99")
    with pytest.raises(ValueError, match="version 99"):
        Store(tmp_path / "c.sqlite")
    with pytest.raises(FileNotFoundError):
        Store(tmp_path / "no" / "folder.sqlite")


def test_the_key_depends_on_model_parameters_prompt_and_text_and_on_nothing_else():
    rich, paper = load_prompt("rich"), load_prompt("paper")
    base = row_key("m", {"seed": 1, "top_p": 0.5}, rich, "hello")
    assert base == row_key("m", {"top_p": 0.5, "seed": 1}, rich, " hello\n")
    others = [("n", {"seed": 1, "top_p": 0.5}, rich, "hello"), ("m", {"seed": 1}, rich, "hello")]
    others += [("m", {"seed": 1, "top_p": 0.5}, paper, "hello"), ("m", {"seed": 1, "top_p": 0.5}, rich, "Hello")]
    assert len({base, *(row_key(*other) for other in others)}) == 5
    one = Settings(model="m", max_tokens=100, concurrency=3, base_url="http://a/v1")
    assert one.sampling == Settings(model="m", max_tokens=900, texts_per_request=5).sampling == {}


@given(st.text(), st.text())
def test_keys_of_different_texts_differ(one, other):
    prompt = load_prompt("paper")
    assert (row_key("m", {}, prompt, one) == row_key("m", {}, prompt, other)) == (one.strip() == other.strip())


def test_the_output_is_in_input_order_and_whole(tmp_path):
    rows = [TextRow(str(n), "s", f"text {n}", {"genre": "g"}) for n in range(4)]
    stored = {"0": row("0", value=["Joy", "joy"]), "2": row("2", "refused", value=[], reason="no"), "3": row("3")}
    output = tmp_path / "o.jsonl"
    counts = write_rows(output, rows, lambda one: stored.get(one.id))
    assert counts == {"ok": 2, "pending": 1, "refused": 1}
    assert output.read_text().splitlines() == [
        '{"id": "0", "source": "s", "genre": "g", "text": "text 0", "labels": ["joy"], "status": "ok"}',
        '{"id": "3", "source": "s", "genre": "g", "text": "text 3", "labels": ["joy"], "status": "ok"}',
    ]
    write_rows(output, rows, lambda one: stored.get(one.id), every=True)
    lines = output.read_text().splitlines()
    assert '"raw_labels": ["Joy", "joy"]' in lines[0] and '"status": "pending"' in lines[1]
    assert '"reason": "no"' in lines[2] and len(lines) == 4


def test_an_output_that_fails_half_way_leaves_the_old_one(tmp_path):
    output = tmp_path / "o.jsonl"
    output.write_text("old\n")
    with pytest.raises(RuntimeError), open_output(output) as file:
        file.write("new")
        raise RuntimeError
    assert output.read_text() == "old\n" and list(tmp_path.iterdir()) == [output]


def test_an_output_that_no_run_wrote_is_not_replaced(tmp_path):
    output = tmp_path / "o.jsonl"
    output.write_text("precious\n")
    with pytest.raises(ValueError, match="move it away"):
        check_rows_output(output, tmp_path / "o.jsonl.sqlite")
    for bad in (tmp_path, tmp_path / "no" / "folder.jsonl"):
        with pytest.raises((ValueError, OSError)):
            check_rows_output(bad, tmp_path / "s.sqlite")


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "3"}, 3.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after": "-4"}, 0.0),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT"}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2015 07:28:30 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
)
def test_retry_after(headers, seconds):
    assert retry_after(headers, now=1792567680.0) == seconds  # 21 October 2026, 07:28:00 UTC


@given(st.integers(0, 2000), st.floats(0, 100))
def test_backoff_grows_to_a_minute_at_most(attempt, base):
    assert 0 <= backoff(attempt, base) <= 60


@given(st.text(st.characters(codec="utf-8"), max_size=30), st.sampled_from(["retry-after", "retry-after-ms"]))
def test_no_header_whatever_breaks_the_wait(value, name):
    wait = retry_after({name: value})
    assert wait is None or wait >= 0


def test_a_limit_a_minute_spaces_requests_out():
    async def spend():
        rate, gate = Rate(600), Gate()  # ten a second
        started = asyncio.get_running_loop().time()
        await asyncio.gather(*(rate.take(1, gate) for _ in range(15)))
        return asyncio.get_running_loop().time() - started

    assert 0.4 <= asyncio.run(spend()) < 3.0  # the first second's ten at once, five more in half a second


def test_closing_the_gate_ends_every_wait():
    async def wait():
        rate, gate = Rate(1), Gate()
        gate.hold(100)
        waits = [asyncio.create_task(gate.pass_through()), asyncio.create_task(rate.take(100, gate))]
        waits += [asyncio.create_task(rate.take(100, gate)), asyncio.create_task(gate.sleep(100))]
        await asyncio.sleep(0.01)
        gate.close()
        return await asyncio.gather(*waits, return_exceptions=True)

    results = asyncio.run(wait())
    assert [type(result) for result in results if result is not None] == [Stopped] * 3


def test_a_budget_is_never_passed_and_reservations_come_back():
    async def spend():
        budget, sent = Budget(1.0, spent=0.2), []

        async def one():
            await budget.reserve(0.3)
            sent.append(1)
            await asyncio.sleep(0.001)
            assert budget.spent + 0.3 <= 1.0 + 1e-9
            budget.spend(0.1)
            await budget.release(0.3)

        results = await asyncio.gather(*(one() for _ in range(20)), return_exceptions=True)
        return budget.spent, len(sent), results

    spent, sent, results = asyncio.run(spend())
    assert sent == 6 and spent == pytest.approx(0.8)
    assert sum(isinstance(result, BudgetReached) for result in results) == 14


def test_prices():
    assert find_price("gpt-4o").cost(1_000_000, 1_000_000) == pytest.approx(12.5)
    assert find_price("gpt-4o-2024-08-06").input == 2.5 and "2026" in find_price("gpt-4o").source
    assert find_price("gpt-4o-mini").input == 0.15 and find_price("llama") is None
    assert find_price("llama", 1, 2) == Price(1, 2) and Price(1, 2, 0.5).cost(1e6, 0, 5e5) == pytest.approx(0.75)
    assert Price(1, 2).discounted(0.5) == Price(0.5, 1.0)
    for wrong in ((1, None), (None, 1), (-1, 1)):
        with pytest.raises(ValueError, match="price"):
            find_price("x", *wrong)


@given(st.text())
def test_a_token_estimate_is_there_for_any_text(text):
    assert (estimate_tokens(text) > 0) == bool(text)


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"model": " "}, "model"),
        ({"reply_format": "xml"}, "xml"),
        ({"concurrency": 0}, "concurrency"),
        ({"texts_per_request": 0}, "texts_per_request"),
        ({"requests_per_minute": 0}, "requests_per_minute"),
        ({"max_cost": -1}, "max_cost"),
        ({"model": "llama", "max_cost": 1}, "price"),
        ({"retry": ("ok",)}, "retry"),
        ({"extra": {"messages": []}}, "messages"),
    ],
)
def test_wrong_settings_are_told_at_once(options, word):
    with pytest.raises(ValueError, match=word):
        Settings(**{"model": "gpt-4o", **options})


def test_servers(monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)
    assert Settings(model="m").is_openai and not Settings(model="m", base_url="http://localhost:1/v1").is_openai
    assert not Settings(model="m", base_url="http://notopenai.com/v1").is_openai
    assert Settings(model="m", base_url="http://me:secret@host:1/v1").server == "http://host:1/v1"
    assert "max_completion_tokens" in Settings(model="m").request_body([], None)
    assert "max_tokens" in Settings(model="m", base_url="http://localhost:1/v1").request_body([], None)
    with pytest.raises(ValueError, match="OPENAI_API_KEY"):
        Settings(model="m").read_key()
    with pytest.raises(ValueError, match="base_url"):
        _ = Settings(model="m", base_url="localhost:8000").server


def spoiled(path, where, what):
    """A store with bytes overwritten."""
    data = bytearray(path.read_bytes())
    data[where : where + len(what)] = what
    path.write_bytes(data)


def test_an_overwritten_page_is_told_with_the_file_s_name(tmp_path):
    path = tmp_path / "s.sqlite"
    with Store(path) as store:
        store.record([(None, [row(f"{n:064d}") for n in range(2000)], IDENTITY)])
    size = path.stat().st_size
    for where in range(4096, size - 4096, size // 7):
        spoiled(path, where, os.urandom(2048))
    with pytest.raises(ValueError) as error, Store(path) as store:
        store.rows([f"{n:064d}" for n in range(2000)])
    assert "s.sqlite" in str(error.value) and "damaged" in str(error.value)


@pytest.mark.parametrize(
    "change",
    [
        "value = '{'",
        "value = NULL",
        "value = '[]'",
        "status = 'great'",
        "asks = 'many'",
        "value = x'ff00'",
        "status = 7",
    ],
)
def test_a_damaged_row_is_told_with_the_file_s_name(tmp_path, change):
    with Store(tmp_path / "s.sqlite") as store:
        store.record([(None, [row("a"), row("b")], IDENTITY)])
        store.execute(f"UPDATE rows SET {change} WHERE key = 'b'")
        assert list(store.rows(["a"])) == ["a"]
        with pytest.raises(ValueError, match=r"s\.sqlite.*damaged.*asked again"):
            store.rows(["a", "b"])


@pytest.mark.parametrize(
    "change",
    [
        "DROP TABLE rows",
        "DROP TABLE shards",
        "UPDATE requests SET parameters = '{'",
        "UPDATE requests SET parameters = '[]'",
        'UPDATE requests SET parameters = \'{"max_tokens": "many"}\', completion_tokens = 4',
        "UPDATE rows SET text = CAST(x'ff00' AS TEXT)",
        f"INSERT INTO shards VALUES ('a', 'r', 'built', '{'[' * 100_000}', 1, 1, NULL, NULL, NULL, 1)",
    ],
)
def test_a_damaged_table_is_told_with_the_file_s_name(tmp_path, change):
    with Store(tmp_path / "s.sqlite") as store:
        store.record([(request(), [row("a")], IDENTITY)])
        store.execute(change)
    with (
        pytest.raises(StoreDamagedError, match=r"s\.sqlite: the store is damaged"),
        Store(tmp_path / "s.sqlite") as store,
    ):
        store.rows(["a"]), store.excess("m", "http://x/v1"), store.shards(("built",))


def test_rows_that_a_damaged_page_hides_are_not_paid_for_again(tmp_path):
    path = tmp_path / "s.sqlite"
    with Store(path) as store:
        store.record([(None, [row(f"{n:064d}") for n in range(300)], IDENTITY)])
    content = path.read_bytes()
    path.write_bytes(content.replace(b"%064d" % 150, b"x" * 64))  # out of its place: no look-up finds what lies there
    with pytest.raises(StoreDamagedError, match=r"s\.sqlite: the store is damaged"):
        Store(path)


@pytest.mark.parametrize("fault", ["attempt to write a readonly database", "disk I/O error"])
def test_a_store_that_may_not_be_written_is_no_other_file(tmp_path, monkeypatch, fault):
    def refuse(store):
        raise sqlite3.OperationalError(fault)

    monkeypatch.setattr(Store, "_open", refuse)
    with pytest.raises(OSError, match=rf"s\.sqlite: the store cannot be opened for writing \({fault}\)"):
        Store(tmp_path / "s.sqlite")


def test_a_row_of_another_shape_is_damaged_too(tmp_path, monkeypatch):
    settings = Settings(model="m", base_url="http://127.0.0.1:1/v1", limit=0, quiet=True)
    output = tmp_path / "o.jsonl"
    annotate(["a text"], output, settings)
    with Store(tmp_path / "o.jsonl.sqlite") as store:
        key = row_key("m", {}, load_prompt("rich"), "a text")
        store.record([(None, [RowRecord(key, "text-1", "a text", "ok", [1, 2])], IDENTITY)])
    with pytest.raises(ValueError, match=r"o\.jsonl\.sqlite.*damaged"):
        annotate(["a text"], output, settings)


def test_a_request_in_flight_is_on_record_and_counts_after_a_kill(tmp_path):
    with Store(tmp_path / "s.sqlite") as store:
        one = request(fault=IN_FLIGHT)
        store.record([(one, [], IDENTITY)])
        assert store.spent() == 0.5 and store.settle() == 1 and store.settle() == 0
        one.fault, one.cost = None, 0.25
        store.record([(one, [row("a")], IDENTITY)])  # in its own place
        assert store.spent() == 0.25 and store.query("SELECT count(*) FROM requests") == [(1,)]
        assert store.query("SELECT request FROM rows") == [(one.number,)]


def test_what_cannot_be_stored_spoils_only_itself(tmp_path):
    async def write():
        writer = GroupWriter(store, asyncio.get_running_loop())
        bad = RequestRecord("m", "p", {}, "u", 1, reply="half \ud83d")
        records = [writer.record(request(), [row("a")], IDENTITY), writer.record(bad, [row("b")], IDENTITY)]
        records.append(writer.record(request(), [row("c")], IDENTITY))
        results = await asyncio.gather(*records, return_exceptions=True)
        writer.close()
        return results

    with Store(tmp_path / "s.sqlite") as store:
        results = asyncio.run(write())
        assert results[0] is None and results[2] is None and isinstance(results[1], UnstorableError)
        assert set(store.rows(["a", "b", "c"])) == {"a", "c"}


def test_an_output_that_is_no_plain_file_needs_a_store_elsewhere(tmp_path):
    rows = [TextRow("1", "s", "text")]
    for special in ("/dev/null", "/dev/stdout"):
        with pytest.raises(ValueError, match="--store"):
            store_path(special)
    check_rows_output("/dev/null", store_path("/dev/null", tmp_path / "s.sqlite"))
    write_rows("/dev/null", rows, lambda one: row("a"))
    assert not os.path.isfile("/dev/null")


def test_a_planted_link_is_not_followed(tmp_path):
    secret, output = tmp_path / "secret", tmp_path / "o.jsonl"
    secret.write_text("precious")
    (tmp_path / ".o.jsonl.tmp").symlink_to(secret)
    write_rows(output, [TextRow("1", "s", "text")], lambda one: row("a"))
    assert secret.read_text() == "precious" and "joy" in output.read_text()
