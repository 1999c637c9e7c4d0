"""How long the page of `emodistill demo` takes to end when it is told to, idle and in the midst of work.

    python -m emodistill.benchmarks.reliability.page [--times 5]

Starts the command as a user does, gives it long texts to read and words of them to mark, sends SIGTERM or Ctrl-C's
SIGINT, and measures until the command, and the process that serves, are gone. Then prints a table.
"""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request

__all__ = ["give_work", "main", "measure_page", "start"]

TEXT = (
    "I waited all year for it, and now that it is here I do not know what I feel. " * 60
)  # as many windows as are read
JOBS = 8


def start():
    """`tuple(Popen, str)`: the command, and the address that it says once it serves."""
    command = [sys.executable, "-m", "emodistill", "demo", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    for line in process.stdout:
        if match := re.search(r"http://\S+", line):
            return process, match[0].rstrip("/")
    raise RuntimeError(process.stderr.read())


def give_work(address):
    """Ask for long texts with their words marked, and do not wait for the answers."""
    with urllib.request.urlopen(f"{address}/config") as answer:
        config = json.load(answer)
    inputs = {one["id"]: len(one["inputs"]) for one in config["dependencies"]}
    number = next(place for place, count in inputs.items() if count == 6)  # the button that scores a text
    prefix = config.get("api_prefix", "/gradio_api")
    defaults = {one["id"]: one["props"].get("value") for one in config["components"]}
    data = [defaults.get(place) for place in config["dependencies"][list(inputs).index(number)]["inputs"]]
    data[0], data[-1] = TEXT, True
    for job in range(JOBS):
        body = json.dumps({"data": data, "fn_index": number, "session_hash": f"s{job}"}).encode()
        request = urllib.request.Request(f"{address}{prefix}/queue/join", body, {"content-type": "application/json"})
        urllib.request.urlopen(request).close()


def measure_page(number, busy):
    """`tuple(float, int, bool)`: seconds to the end, exit status, and whether a process was left."""
    process, address = start()
    import psutil

    children = psutil.Process(process.pid).children(recursive=True)
    if busy:
        give_work(address)
        time.sleep(1)
        used = sum(child.cpu_times().user for child in children)
        time.sleep(0.5)
        if sum(child.cpu_times().user for child in children) <= used:
            raise RuntimeError("the page has no work to do")
    began = time.monotonic()
    process.send_signal(number)
    status = process.wait(60)
    left = psutil.wait_procs(children, timeout=60)[1]
    seconds = time.monotonic() - began
    process.stdout.close(), process.stderr.close()
    return seconds, status, bool(left)


def main(argv=None):
    """Print the table. Returns 1 where one took two seconds or left a process."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--times", type=int, default=5, help="of each kind (default: %(default)d)")
    options = parser.parse_args(argv)
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    print("| the page | signal | seconds, slowest | exit status | processes left |\n|---|---|---|---|---|")
    failed = False
    for busy in (False, True):
        for number in (signal.SIGTERM, signal.SIGINT):
            found = [measure_page(number, busy) for _ in range(options.times)]
            slowest, statuses = max(seconds for seconds, _, _ in found), sorted({status for _, status, _ in found})
            left = sum(left for _, _, left in found)
            print(
                f"| {'at work' if busy else 'idle'} | {number.name} | {slowest:.2f} | "
                f"{', '.join(map(str, statuses))} | {left} |",
                flush=True,
            )
            failed = failed or slowest >= 2 or left or statuses != [0]
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
