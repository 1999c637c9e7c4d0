"""kill -9, for real: processes that die at any moment, and what is left behind."""

import json
import os
import random
import signal
import sqlite3
import time
from collections import Counter

import forkserver
import pytest
from fake_openai import FAULTS, FakeOpenAI
from processes import fork

from emodistill.annotate import Store
from emodistill.annotate import commands as cli


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")


def arguments(tmp_path, server, **options):
    chosen = {"input": tmp_path / "in.jsonl", "output": tmp_path / "out.jsonl", "model": "gpt-4o"}
    chosen.update({"base-url": server.url, "backoff": 0.05, "timeout": 1, "concurrency": 32, **options})
    return [part for name, value in chosen.items() for part in (f"--{name}", str(value))] + ["--all", "--quiet"]


def write_texts(tmp_path, count):
    lines = [json.dumps({"id": f"t{n}", "text": f"text number {n}"}) for n in range(count)]
    (tmp_path / "in.jsonl").write_text("\n".join(lines) + "\n")


def final_texts(tmp_path):
    """The texts whose rows are final in the store that a killed process left."""
    with Store(tmp_path / "out.jsonl.sqlite") as store:
        query = "SELECT text FROM rows WHERE status IN ('ok', 'refused') OR status = 'invalid' AND asks >= 3"
        return {text for (text,) in store.query(query)}


def output_of(tmp_path):
    return [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_twelve_hundred_texts_one_fifth_faults_eight_kills(tmp_path):
    """The same at other sizes: `python -m emodistill.benchmarks.reliability.annotate`."""
    count, kills, concurrency = 1200, 8, 32
    rng = random.Random(7)

    def script(call, seen):
        return rng.choice(FAULTS) if rng.random() < 0.2 else None

    write_texts(tmp_path, count)
    with FakeOpenAI(script, delay=0.01) as server:
        argv = arguments(tmp_path, server, concurrency=concurrency)
        killed, stored, asked_again = 0, set(), []
        while killed < kills:
            before, goal = len(server.log), rng.randrange(20, 160)
            process = fork(cli.main, argv)
            while process.is_alive() and len(server.log) - before < goal:
                time.sleep(0.005)
            assert process.is_alive(), "the run ended before its kill: too few texts left"
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            killed += 1
            asked_again += [text for text in server.asked[before:] if text in stored]
            stored = final_texts(tmp_path)
        assert not (tmp_path / "out.jsonl").exists()
        assert asked_again == []
        left_before_last = len(server.log)
        assert cli.main(argv) == 0
        assert not stored & set(server.asked[left_before_last:])
        settled = len(server.log)
        assert cli.main(argv) == 0 and len(server.log) == settled  # no stored text is asked again
        log = list(server.log)

    rows = output_of(tmp_path)
    assert [row["id"] for row in rows] == [f"t{n}" for n in range(count)]
    statuses = Counter(row["status"] for row in rows)
    assert set(statuses) <= {"ok", "refused", "invalid"} and statuses["ok"] > 0.9 * count

    # What the server answered in full and validly, more often than once for a text, was paid for twice.
    final = Counter(call.texts[0] for call in log if call.fault in (None, "refusal", "filter", "slow"))
    repeats = sum(asked - 1 for asked in final.values())
    lost = sum(call.fault in ("cut", "slow") for call in log)  # slow answers run into the client's time-out
    assert repeats <= kills * concurrency + lost
    asked_after_reply = Counter(call.texts[0] for call in log)
    assert set(asked_after_reply) == {row["text"] for row in rows}
    with sqlite3.connect(tmp_path / "out.jsonl.sqlite") as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert database.execute("SELECT count(*) FROM rows").fetchone() == (count,)
        assert database.execute("SELECT max(asks) FROM rows").fetchone()[0] <= 3


def start(argv):
    return forkserver.command(["annotate", *argv], cwd="/")


def wait_for_requests(server, count, seconds=60):
    deadline = time.monotonic() + seconds
    while len(server.log) < count and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(server.log) >= count


@pytest.mark.slow
def test_a_killed_command_goes_on_where_it_was(tmp_path):
    write_texts(tmp_path, 120)
    with FakeOpenAI(delay=0.05) as server:
        argv = arguments(tmp_path, server, concurrency=4)
        process = start(argv)
        wait_for_requests(server, 40)
        process.kill()
        process.wait()
        assert cli.main(argv) == 0
        repeats = len(server.log) - 120
        assert 0 <= repeats <= 4 and len(output_of(tmp_path)) == 120


@pytest.mark.slow
@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_an_interrupt_waits_for_what_is_in_flight_and_writes_the_output(tmp_path, name):
    write_texts(tmp_path, 200)
    with FakeOpenAI(delay=0.1) as server:
        argv = arguments(tmp_path, server, concurrency=4)
        process = start(argv)
        wait_for_requests(server, 20)
        process.send_signal(getattr(signal, name))
        errors = process.communicate(timeout=30)[1]
        assert process.returncode == 130 and "interrupted" in errors and "Traceback" not in errors
        asked = len(server.log)
        statuses = Counter(row["status"] for row in output_of(tmp_path))
        assert statuses == {"ok": asked, "pending": 200 - asked}
        assert cli.main(argv) == 0 and len(server.log) == 200


@pytest.mark.slow
def test_two_interrupts_stop_at_once(tmp_path):
    write_texts(tmp_path, 50)
    with FakeOpenAI(delay=20) as server:
        process = start(arguments(tmp_path, server, concurrency=4, timeout=60))
        wait_for_requests(server, 4)
        started = time.monotonic()
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        errors = process.communicate(timeout=30)[1]
        assert time.monotonic() - started < 10 and process.returncode == 130 and "Traceback" not in errors
        assert len(output_of(tmp_path)) == 50
