"""Attacks on `emodistill annotate`: faults and kills, and the spending cap against a server's own bill.

    python -m emodistill.benchmarks.reliability.annotate --texts 5000 --kills 20

Both use the loopback server of the tests, so a checkout of the repository is needed. The first part asks for texts
while a fifth of the requests meet one of thirty kinds of fault and the process is killed (`kill -9`) again and again;
the second asks under a cap while the server does what it can to bill more.
"""

import argparse
import importlib.util
import json
import multiprocessing
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from emodistill.annotate import Settings, Store, annotate

__all__ = ["CAPPED", "FAULTS", "attack_cap", "faults_and_kills", "main"]

PRICE = {"price_in": 10.0, "price_out": 100.0}
RUNES = [" ".join(chr(0x16A0 + (n * 7 + k) % 75) * 9 for k in range(20)) for n in range(200)]
GOOD = '{"labels": ["joy", "relief"]}'


def _error(message, **more):
    return {"error": {"message": message, **more}}


# Each of these is met once by a text and then no more, but for what is final.
FAULTS = {
    "429": "429",
    "429 with Retry-After": "429-after",
    "429 that says wait in words": (429, _error("check your plan and billing. Please retry in 0.05s")),
    "500": "500",
    "503": "503",
    "408": (408, _error("request timeout")),
    "502 with a page": (502, "<html>Bad gateway</html>"),
    "slow beyond the time-out": "slow",
    "answer cut off in its body": "cut",
    "page with status 200": "not-json",
    "error with status 200": (200, _error("overloaded", code=502)),
    "error as text with status 200": (200, {"error": "busy, try again"}),
    "error inside the choice": (200, {"choices": [{"error": {"code": 503, "message": "upstream"}}]}),
    "detail with status 200": (200, {"detail": "model is loading"}),
    "empty body": (200, b""),
    "null": (200, None),
    "no choices": (200, {"choices": []}),
    "half of the JSON": (200, b'{"choices": [{"message": {"cont'),
    "malformed answer": "malformed",
    "wrong count": "count",
    "refusal": "refusal",
    "content filter": "filter",
    "content filter without a message": (200, {"choices": [{"finish_reason": "content_filter"}]}),
    "flagged, 403": (403, _error("Your input was flagged")),
    "half a surrogate pair": {"content": '{"labels": ["joy \\ud83d"]}'},
    "thoughts in the answer": {"content": "sad?\n</think>\n\njoy, relief"},
    "content in parts": {"content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": GOOD}]},
    "usage of text": {"content": GOOD, "usage": "none"},
    "usage below zero": {"content": GOOD, "usage": {"prompt_tokens": -1000, "completion_tokens": -1000}},
    "the key echoed": {"content": "invalid: your key is Bearer sk-bench-0123456789"},
}
_LONG = {"content": '{"labels": ["' + '", "'.join(["joy"] * 100) + '"]}'}
# name: (texts, script, usage, further settings)
CAPPED = {
    "good answers": (None, None, True, {}),
    "three answers in four lost mid-body": (None, lambda call, seen: "cut" if seen < 3 else None, True, {}),
    "max_tokens ignored, eleven times over": (None, lambda call, seen: _LONG, True, {}),
    "rare scripts": (RUNES, None, True, {}),
    "rare scripts, no usage": (RUNES, None, False, {}),
    "schema of 400 labels": (
        None, lambda call, seen: {"content": '{"labels": ["label 1"]}'}, True,
        {"prompt": "closed", "labels": [f"label {n}" for n in range(400)]},
    ),
    "usage below zero": (None, lambda call, seen: FAULTS["usage below zero"], True, {}),
    "no usage": (None, None, False, {}),
    "no answer is a completion": (None, lambda call, seen: (200, {"choices": []}), True, {}),
    "five texts a request, a third cut": (
        None, lambda call, seen: "cut" if len(call.texts[0]) % 3 == 0 and seen < 2 else None, True,
        {"texts_per_request": 5, "max_tokens": 600},
    ),
}  # fmt: skip


def _server():
    path = Path(__file__).resolve().parents[2] / "tests" / "fake_openai.py"
    if not path.exists():
        raise SystemExit(f"the server of the tests, {path}, is needed: run this in a checkout of the repository")
    spec = importlib.util.spec_from_file_location("fake_openai", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["fake_openai"] = module
    spec.loader.exec_module(module)
    return module.FakeOpenAI


def _by_bytes(call, message):
    """The server's own count: a token for each byte of what it was shown, and of what it wrote."""
    shown = call.body["messages"] + [call.body.get("response_format") or ""]
    answer = message["content"] if isinstance(message.get("content"), str) else ""
    return len(json.dumps(shown, ensure_ascii=False).encode()) * 3 // 4, len(answer.encode())


def _bill(server):
    return sum(shown * PRICE["price_in"] + wrote * PRICE["price_out"] for shown, wrote in server.billed) / 1e6


def _one_run(source, output, url, concurrency):
    """What is killed: a run in a process of its own."""
    settings = Settings(
        model="m", base_url=url, backoff=0.02, timeout=1.0, concurrency=concurrency, quiet=True,
        max_failures=10**6, max_cost=10**6, **PRICE,
    )  # fmt: skip
    report = annotate(source, output, settings, every=True)
    return 1 if report.stopped else 0


def faults_and_kills(count, kills, concurrency=32, share=0.2, seed=7):
    """Ask for `count` texts while `share` of the requests meet a fault and the process dies `kills` times.

    Returns:
        `dict`: what was lost, asked twice, booked and billed.
    """
    rng, names = random.Random(seed), list(FAULTS)
    met = Counter()

    def script(call, seen):
        if rng.random() >= share:
            return None
        name = rng.choice(names)
        met[name] += 1
        return FAULTS[name]

    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["emodistill.annotate.runner", "openai"])
    with tempfile.TemporaryDirectory() as folder, _server()(script, delay=0.02) as server:
        server.counts = _by_bytes
        source, output = Path(folder, "texts.txt"), Path(folder, "out.jsonl")
        source.write_text("".join(f"text number {n}\n" for n in range(count)))
        arguments = (str(source), str(output), server.url, concurrency)
        killed, stored, again, started = 0, set(), 0, time.monotonic()
        while killed < kills:
            before, goal = len(server.log), rng.randrange(20, max(21, count // (kills + 3)))
            process = context.Process(target=_one_run, args=arguments)
            process.start()
            while process.is_alive() and len(server.log) - before < goal:
                time.sleep(0.005)
            if not process.is_alive():
                break
            os.kill(process.pid, signal.SIGKILL)
            process.join()
            killed += 1
            again += sum(text in stored for text in server.asked[before:])
            stored = _final(output)
        before = len(server.log)
        while (status := _one_run(*arguments)) and time.monotonic() - started < 3600:
            pass
        again += sum(text in stored for text in server.asked[before:])
        settled = len(server.log)
        _one_run(*arguments)
        rows = [json.loads(line) for line in output.read_text("utf-8").splitlines()]
        written = b"".join(path.read_bytes() for path in Path(folder).iterdir())
        with Store(f"{output}.sqlite") as store:
            booked, killed_open = (
                store.spent(),
                store.query("SELECT count(*) FROM requests WHERE fault LIKE 'the run%'"),
            )
        return {
            "texts": count, "kinds_of_fault": len(names), "faults_met": sum(met.values()), "kinds_met": len(met),
            "kills": killed, "ended": status == 0, "rows": len(rows),
            "statuses": dict(Counter(row["status"] for row in rows)), "requests": len(server.log),
            "final_texts_asked_again": again, "asked_by_a_further_run": len(server.log) - settled,
            "in_flight_at_kills": killed_open[0][0], "billed": round(_bill(server), 4), "booked": round(booked, 4),
            "key_on_disk": os.environ["OPENAI_API_KEY"].encode() in written,
            "seconds": round(time.monotonic() - started, 1),
        }  # fmt: skip


def _final(output):
    with Store(f"{output}.sqlite") as store:
        query = "SELECT text FROM rows WHERE status IN ('ok', 'refused') OR status = 'invalid' AND asks >= 3"
        return {text for (text,) in store.query(query)}


def attack_cap(name, cap=0.5, concurrency=32):
    """Ask 200 texts under a cap while the server does as `name` says, in two runs one after the other.

    Returns:
        `dict`: the server's bill and what was booked, as shares of the cap.
    """
    texts, script, usage, more = CAPPED[name]
    texts = texts or [f"text {n}" for n in range(200)]
    with tempfile.TemporaryDirectory() as folder, _server()(script, usage=usage) as server:
        server.counts = _by_bytes
        settings = Settings(
            model="m", base_url=server.url, backoff=0.001, timeout=2.0, concurrency=concurrency, quiet=True,
            max_failures=10**6, max_cost=cap, **{"max_tokens": 60, **PRICE, **more},
        )  # fmt: skip
        for _ in range(2):
            report = annotate(texts, Path(folder, "out.jsonl"), settings)
        done = report.statuses.get("ok", 0) + report.statuses.get("invalid", 0)
        bill = _bill(server) / cap
        return {"attack": name, "billed": round(bill, 3), "booked": round(report.total_cost / cap, 3), "rows": done}


def main(argv=None):
    """Print the figures as JSON lines. Returns 1 where a promise was broken."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--texts", type=int, default=5000)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--cap", type=float, default=0.5, metavar="DOLLARS")
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args(argv)
    os.environ["OPENAI_API_KEY"] = "sk-bench-0123456789"
    result = faults_and_kills(args.texts, args.kills, seed=args.seed)
    print(json.dumps(result), flush=True)
    broken = result["final_texts_asked_again"] or result["rows"] != args.texts or not result["ended"]
    broken = broken or result["key_on_disk"] or result["billed"] > result["booked"]
    for name in CAPPED:
        one = attack_cap(name, args.cap)
        print(json.dumps(one), flush=True)
        broken = broken or one["billed"] > 1 or one["booked"] > 1
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())
