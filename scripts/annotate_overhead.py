"""What the annotation runner costs on top of its HTTP client.

The same requests to the same server on loopback, which answers each after 100 ms, 50 in flight:

- bare: `asyncio.gather` over one `AsyncOpenAI` client and a semaphore, nothing else;
- annotate: `emodistill.annotate.annotate`, with its limits, strict parsing, durable store and output file.

The two take turns in one process; the figure is the ratio of their median wall times. On a machine with other work the
processor times are the steadier comparison.

    python scripts/annotate_overhead.py --texts 2000 --repeats 3
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from emodistill.annotate import Settings, annotate
from emodistill.annotate.connection import async_client
from emodistill.annotate.runner import prepare

SERVER = Path(__file__).resolve().parent.parent / "tests" / "fake_openai.py"


async def bare(texts, settings):
    """The baseline: every request through the client, at most `concurrency` at a time."""
    task = prepare(settings)
    client = async_client(settings)
    slots = asyncio.Semaphore(settings.concurrency)

    async def one(text):
        async with slots:
            body = settings.request_body(task.messages([text], True), task.response_format(1))
            return await client.chat.completions.create(**body)

    replies = await asyncio.gather(*(one(text) for text in texts))
    await client.close()
    return len(replies)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--delay", type=float, default=0.1, help="seconds before each answer (default: %(default)s)")
    parser.add_argument("--concurrency", type=int, default=50)
    args = parser.parse_args()
    if not SERVER.exists():
        parser.error(f"the server of the tests, {SERVER}, is needed: run this in a checkout of the repository")
    texts = [f"this is text number {number}, about nothing much" for number in range(args.texts)]
    command = [sys.executable, str(SERVER), str(args.delay)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    url = server.stdout.readline().strip()
    settings = Settings(model="gpt-4o", base_url=url, concurrency=args.concurrency, quiet=True)
    seconds, processor = {"bare": [], "annotate": []}, {"bare": [], "annotate": []}

    def timed(name, function):
        wall, used = time.perf_counter(), time.process_time()
        function()
        seconds[name].append(round(time.perf_counter() - wall, 3))
        processor[name].append(round(time.process_time() - used, 3))

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(bare(texts[:200], settings))  # imports and connections, for both
        for repeat in range(args.repeats):
            output = Path(folder) / f"{repeat}.jsonl"
            timed("bare", lambda: asyncio.run(bare(texts, settings)))
            timed("annotate", lambda output=output: annotate(texts, output, settings))
    server.stdin.close()
    server.wait()
    result = {"texts": args.texts, "floor": args.texts * args.delay / args.concurrency}
    for name, times in (("wall_seconds", seconds), ("processor_seconds", processor)):
        middle = {who: statistics.median(values) for who, values in times.items()}
        result[name] = {**times, "medians": middle, "ratio": round(middle["annotate"] / middle["bare"], 3)}
    print(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
