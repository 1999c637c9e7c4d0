"""Print what `import emodistill` costs on top of the transformers classes it stands on, in seconds.

    python scripts/import_time.py --runs 7

Each run is a new interpreter that imports `PreTrainedModel` and `Pipeline` first and then the package; files are
warm in the page cache after an unmeasured first run.
"""

import argparse
import statistics
import subprocess
import sys

CODE = """
from time import perf_counter
start = perf_counter()
from transformers import PreTrainedModel, Pipeline
middle = perf_counter()
import emodistill
print(middle - start, perf_counter() - middle)
"""


def measure(runs):
    """Import times of new interpreters.

    Args:
        runs (`int`): how many to measure, after one that warms up.

    Returns:
        `tuple[list[float], list[float]]`: seconds for transformers, and for emodistill on top of it.
    """
    times = []
    for _ in range(runs + 1):
        done = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
        times.append([float(part) for part in done.stdout.split()])
    base, extra = zip(*times[1:], strict=True)
    return list(base), list(extra)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--runs", type=int, default=7, help="interpreters to start (default: 7)")
    runs = parser.parse_args(argv).runs
    if runs < 1:
        parser.error("--runs must be at least 1")
    try:
        base, extra = measure(runs)
    except subprocess.CalledProcessError as error:
        print(f"import_time: {error.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return 2
    print(f"transformers (PreTrainedModel, Pipeline): {statistics.median(base):.3f} s, median of {runs}")
    print(
        f"emodistill on top: {statistics.median(extra):.3f} s, median of {runs} "
        f"(from {min(extra):.3f} to {max(extra):.3f})"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
