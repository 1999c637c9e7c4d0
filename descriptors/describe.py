"""The statistics of a built data set as Markdown, as its card shows them."""

import tomllib
from collections import Counter, defaultdict
from pathlib import Path

from .lexicon import load_lexicon
from .rows import DIMENSIONS, SPLITS, load_rows
from .sources import NoSuchSplit, iter_rows

__all__ = ["describe_data", "read_licences"]

CONFIGURATIONS = ("default", "goemotions", "closed28", "rated", "unread")


def read_licences():
    """
    Where the texts of the shipped data come from.

    Returns:
        `dict[str, dict]`: by source: `texts` (what they are), `by`, `licence` and perhaps `share_alike`.

    Example:

    ```python
    >>> read_licences()["sad_stressors"]["licence"]
    'MIT'

    ```
    """
    with open(Path(__file__).with_name("licences.toml"), "rb") as file:
        return tomllib.load(file)


def describe_data(folder):
    """
    The statistics of a built data set.

    Args:
        folder (`str` or `Path`): What [`build_data`] wrote.

    Returns:
        `str`: Markdown tables: rows, sources and their licences, contrasts by theme, descriptors and their
        frequencies.

    Raises:
        `ValueError`: where there is no built data set.
    """
    folder = Path(folder)
    if not all((folder / name).is_dir() for name in ("default", "lexicon")):
        raise ValueError(f"{folder}: no built data set (default/ and lexicon/ are missing)")
    tables = {
        config: {split: load_rows(folder, split, config, labels=False) or [] for split in SPLITS}
        for config in CONFIGURATIONS
        if (folder / config).is_dir()
    }
    lexicon = _lexicon(folder)
    rows = tables["default"]["train"] + tables["default"]["validation"]
    sections = [_sizes(tables, lexicon), _selections(rows), _sources(tables)]
    if any(row.get("theme") for row in rows):
        sections.append(_themes(tables["default"]))
    sections += [_frequencies(lexicon), _most_frequent(lexicon)]
    for config, title in (("closed28", "Closed list"), ("rated", "Rated, plain words")):
        if config in tables:
            words = Counter(label for part in tables[config].values() for row in part for label in row["labels"])
            listed = ", ".join(f"{word} {count:,}" for word, count in words.most_common(30))
            sections.append(f"{title}: {listed}.")
    if "rated" in tables:
        sections.append(_ratings(tables["rated"]["train"] + tables["rated"]["validation"]))
    return "\n\n".join(sections)


def _lexicon(folder):
    """(descriptor, count, whether it is held out) of each."""
    held_out = load_lexicon(folder).held_out
    try:
        rows = [row.values for row in iter_rows(folder, split="all", config="lexicon")]
    except NoSuchSplit:
        rows = []
    return [(row["descriptor"], row["count"], row["descriptor"] in held_out) for row in rows]


def _sizes(tables, lexicon):
    sizes = {config: [len(parts[split]) for split in SPLITS] for config, parts in tables.items()}
    held_out = sum(held for _, _, held in lexicon)
    sizes["lexicon"] = [len(lexicon) - held_out, held_out]
    return markdown(
        ["configuration", *SPLITS, "together"], [[config, *parts, sum(parts)] for config, parts in sizes.items()]
    )


def _selections(rows):
    header = ["source", "selection", "texts", "words a text", "descriptors a text", "distinct", "neutral alone"]
    by_kind = defaultdict(list)
    for row in rows:
        by_kind[row["source"], row["selection"]].append(row)
    return markdown(
        header, [_selection("all", "", rows), *(_selection(*kind, by_kind[kind]) for kind in sorted(by_kind))]
    )


def _selection(source, selection, rows):
    return [
        source,
        selection,
        len(rows),
        f"{sum(len(row['text'].split()) for row in rows) / len(rows):.1f}",
        f"{sum(len(row['labels']) for row in rows) / len(rows):.2f}",
        len({label for row in rows for label in row["labels"]}),
        f"{100 * sum(row['labels'] == ['neutral'] for row in rows) / len(rows):.1f} %",
    ]


def _sources(tables):
    """What is read and unread of each source, and its licence."""
    counts = {
        config: Counter(row["source"] for part in tables.get(config, {}).values() for row in part)
        for config in ("default", "unread")
    }
    known, lines = read_licences(), []
    for source in sorted(counts["default"].keys() | counts["unread"].keys()):
        facts = known.get(source, {"texts": "", "by": "", "licence": "not stated"})
        licence = facts["licence"] + (", share-alike" if facts.get("share_alike") else "")
        lines.append(
            [source, counts["default"][source], counts["unread"][source], facts["texts"], facts["by"], licence]
        )
    return markdown(["source", "read", "unread", "texts", "by", "licence of the texts"], lines)


def _themes(splits):
    texts, groups = Counter(), {split: defaultdict(set) for split in SPLITS}
    for split, rows in splits.items():
        for row in rows:
            if row.get("theme"):
                texts[row["theme"]] += 1
                groups[split][row["theme"]].add(row["group"])
    lines = [
        [theme, count, *(len(groups[split][theme]) for split in SPLITS)]
        for theme, count in sorted(texts.items(), key=lambda item: (-item[1], item[0]))
    ]
    together = [len(set().union(*groups[split].values())) for split in SPLITS]
    header = ["contrasts", "texts", "groups in training", "groups held out"]
    return markdown(header, [["all", sum(texts.values()), *together], *lines])


def _frequencies(lexicon):
    lines = []
    for low, high in ((1, 1), (2, 5), (6, 29), (30, 60), (61, None)):
        name = "once" if high == 1 else f"{low} to {high} times" if high else f"more than {low - 1} times"
        within = [held for _, count, held in lexicon if low <= count and (high is None or count <= high)]
        lines.append([name, len(within), sum(within)])
    return markdown(["descriptors that occur", "how many", "of them held out"], lines)


def _most_frequent(lexicon):
    top = sorted(lexicon, key=lambda entry: (-entry[1], entry[0]))[:30]
    return "Most frequent: " + ", ".join(f"{descriptor} {count:,}" for descriptor, count, _ in top) + "."


def _ratings(rows):
    parts = []
    for name in DIMENSIONS:
        values = [row[name] for row in rows]
        mean = sum(values) / len(values)
        deviation = (sum((value - mean) ** 2 for value in values) / len(values)) ** 0.5
        parts.append(f"{name} {mean:.2f} ± {deviation:.2f}")
    return f"Ratings of {len(rows):,} texts, mean and standard deviation: {', '.join(parts)}."


def markdown(header, rows):
    """
    A Markdown table.

    Args:
        header (`list[str]`): The names of the columns.
        rows (`list[list]`): Numbers get thousands separators.
    """
    cells = [[f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in row] for row in [header, *rows]]
    lines = ["| " + " | ".join(row) + " |" for row in cells]
    return "\n".join([lines[0], "|" + "---|" * len(header), *lines[1:]])
