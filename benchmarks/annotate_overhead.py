"""What the annotation runner costs on top of its HTTP client.

The same requests to the same server on loopback, which answers each after 100 ms, 50 in flight:

- bare: `asyncio.gather` over one `AsyncOpenAI` client and a semaphore, nothing else;
- annotate: `emodistill.annotate.annotate`, with its limits, strict parsing, durable store and output file.

The two take turns in one process; the figure is the ratio of their median wall times.

    python benchmarks/annotate_overhead.py --texts 2000 --repeats 3
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
from emodistill.annotate.client import async_client
from emodistill.annotate.runner import prepare
from emodistill.annotate.tasks import DescriptorTask

SERVER = Path(__file__).resolve().parent.parent / "tests" / "fake_openai.py"


async def bare(texts, settings):
    """The baseline: every request through the client, at most `concurrency` at a time."""
    task = DescriptorTask(prepare(settings))
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
    texts = [f"this is text number {number}, about nothing much" for number in range(args.texts)]
    command = [sys.executable, str(SERVER), str(args.delay)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    url = server.stdout.readline().strip()
    settings = Settings(model="gpt-4o", base_url=url, concurrency=args.concurrency, quiet=True)
    seconds = {"bare": [], "annotate": []}
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(bare(texts[:200], settings))  # imports and connections, for both
        for repeat in range(args.repeats):
            started = time.perf_counter()
            asyncio.run(bare(texts, settings))
            seconds["bare"].append(time.perf_counter() - started)
            started = time.perf_counter()
            annotate(texts, Path(folder) / f"{repeat}.jsonl", settings)
            seconds["annotate"].append(time.perf_counter() - started)
    server.stdin.close()
    server.wait()
    medians = {name: round(statistics.median(times), 2) for name, times in seconds.items()}
    result = {"texts": args.texts, "floor": args.texts * args.delay / args.concurrency, "seconds": seconds}
    print(
        json.dumps({**result, "medians": medians, "ratio": round(medians["annotate"] / medians["bare"], 3)}, indent=1)
    )


if __name__ == "__main__":
    main()
