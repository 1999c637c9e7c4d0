"""Print the statistics of a built descriptor data set as Markdown, as its card shows them.

python scripts/describe_descriptors.py data/descriptors
"""

import sys
from collections import Counter
from pathlib import Path

import pyarrow.parquet as pq

CONFIGURATIONS = ("default", "goemotions", "closed28", "rated", "lexicon")
SPLITS = ("train", "validation")


def statistics(folder):
    """Markdown tables of a built data set: rows, sources, descriptors, and their frequencies."""
    folder = Path(folder)
    tables = {
        config: {split: pq.read_table(folder / config / f"{split}.parquet").to_pylist() for split in SPLITS}
        for config in CONFIGURATIONS
        if (folder / config).is_dir()
    }
    if "default" not in tables or "lexicon" not in tables:
        raise ValueError(f"{folder}: no built data set (default/ and lexicon/ are missing)")
    rows = [row for split in SPLITS for row in tables["default"][split]]
    lexicon = [row for split in SPLITS for row in tables["lexicon"][split]]
    sections = [
        markdown(
            ["configuration", *SPLITS, "together"],
            [
                [config, *(len(parts[split]) for split in SPLITS), sum(map(len, parts.values()))]
                for config, parts in tables.items()
            ],
        ),
        markdown(
            ["source", "selection", "texts", "words a text", "descriptors a text", "distinct", "neutral alone"],
            [source_row(rows, None, None)]
            + [source_row(rows, *key) for key in sorted({(row["source"], row["selection"]) for row in rows})],
        ),
        markdown(
            ["descriptors that occur", "how many", "of them held out"],
            [frequency_row(lexicon, tables, *bounds) for bounds in ((1, 1), (2, 5), (6, 29), (30, 60), (61, None))],
        ),
    ]
    top = sorted(lexicon, key=lambda row: (-row["count"], row["descriptor"]))[:30]
    sections.append("Most frequent: " + ", ".join(f"{row['descriptor']} {row['count']:,}" for row in top) + ".")
    if "closed28" in tables:
        closed = Counter(label for part in tables["closed28"].values() for row in part for label in row["labels"])
        sections.append("Closed list: " + ", ".join(f"{name} {count:,}" for name, count in closed.most_common()) + ".")
    if "rated" in tables:
        plain = Counter(label for part in tables["rated"].values() for row in part for label in row["labels"])
        sections.append("Rated, plain words: " + ", ".join(f"{n} {c:,}" for n, c in plain.most_common(30)) + ".")
    return "\n\n".join(sections)


def source_row(rows, source, selection):
    rows = [row for row in rows if source is None or (row["source"], row["selection"]) == (source, selection)]
    total = len(rows)
    return [
        source or "all",
        selection or "",
        total,
        f"{sum(len(row['text'].split()) for row in rows) / total:.1f}",
        f"{sum(len(row['labels']) for row in rows) / total:.2f}",
        len({label for row in rows for label in row["labels"]}),
        f"{100 * sum(row['labels'] == ['neutral'] for row in rows) / total:.1f} %",
    ]


def frequency_row(lexicon, tables, low, high):
    def within(row):
        return low <= row["count"] and (high is None or row["count"] <= high)

    name = "once" if high == 1 else f"{low} to {high} times" if high else f"more than {low - 1} times"
    return [name, sum(map(within, lexicon)), sum(map(within, tables["lexicon"]["validation"]))]


def markdown(header, rows):
    cells = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in [header, *rows]]
    lines = ["| " + " | ".join(row) + " |" for row in cells]
    return "\n".join([lines[0], "|" + "---|" * len(header), *lines[1:]])


def main(argv=None):
    argv = sys.argv[1:] if argv is None else argv
    if len(argv) != 1 or argv[0] in ("-h", "--help"):
        print(__doc__.strip())
        return 0 if argv in (["-h"], ["--help"]) else 2
    try:
        print(statistics(argv[0]))
    except (ValueError, OSError) as error:
        print(f"describe_descriptors: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
