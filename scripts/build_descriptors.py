"""Build the descriptor data set from annotated texts: JSONL in, Parquet configurations with fixed splits out.

    python scripts/build_descriptors.py --descriptors descriptors.jsonl --lexicon lexicon.tsv --closed closed28.jsonl \
        --rated rated.jsonl --exclude goemotions/dev.tsv goemotions/test.tsv emobank.csv --output data/descriptors

Only `--descriptors` is needed. Each of its lines is an object with `text` and `labels` (descriptors, most salient
first) and, if you like, `id`, `source`, `genre` and `selection`; a `status` field is understood and only `ok` rows
are taken, so what `emodistill annotate` writes can be given as it is.

Texts that occur in an evaluation file named by `--exclude` are dropped, and so are repeated texts; both are compared
after `normalise_text`. Nothing is drawn at random: every choice follows from a hash of the text or of the descriptor,
so a rebuild, or one with more texts, gives each text the same split as long as the held-out descriptors stay.

Evaluation files: the first line is taken for a header if one of its cells, split at a tab, comma, semicolon or bar, is
a known name of a text column (`TEXT_COLUMNS`). A tab-separated file without a header (GoEmotions) has the text first.
Quoting is off in tab-separated files. `.jsonl` files have a `text` field.
"""

import argparse
import contextlib
import csv
import hashlib
import json
import os
import re
import sys
import unicodedata
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

# fmt: off
GOEMOTIONS = [
    "admiration", "amusement", "anger", "annoyance", "approval", "caring", "confusion", "curiosity", "desire",
    "disappointment", "disapproval", "disgust", "embarrassment", "excitement", "fear", "gratitude", "grief", "joy",
    "love", "nervousness", "optimism", "pride", "realization", "relief", "remorse", "sadness", "surprise", "neutral",
]
# fmt: on
TEXT_COLUMNS = ("text", "tweet", "sentence", "utterance", "anonymized message", "sit")
SPLITS = ("train", "validation")
HELD_OUT_SHARE, HELD_OUT_MAX_COUNT = 0.08, 60
VALIDATION_SHARE = 0.025
BATCH_ROWS = 8192

DIMENSIONS = ("valence", "arousal", "dominance")
STRINGS = pa.list_(pa.string())
TEXT_SCHEMA = pa.schema(
    [(name, pa.string()) for name in ("id", "source", "genre", "selection", "text")] + [("labels", STRINGS)]
)
SCHEMAS = {
    "default": TEXT_SCHEMA,
    "goemotions": TEXT_SCHEMA,
    "closed28": pa.schema([("id", pa.string()), ("text", pa.string()), ("source", pa.string()), ("labels", STRINGS)]),
    "rated": pa.schema(
        [("id", pa.string()), ("text", pa.string()), ("source", pa.string()), ("labels", STRINGS)]
        + [(name, pa.float32()) for name in DIMENSIONS]
    ),
    "lexicon": pa.schema(
        [("descriptor", pa.string())]
        + [(name, pa.float32()) for name in DIMENSIONS]
        + [("implies", STRINGS), ("count", pa.int32())]
    ),
}


# ---- texts and hashes


def normalise_text(text):
    """Reduce a text to what makes it the same text: compared, never stored.

    Unicode NFKC, lower case, no apostrophes, and every run of white space, punctuation and control characters as one
    space. A text of punctuation alone ("?!") keeps it. Emoji are symbols, not punctuation, and stay.

    Args:
        text (`str`): any text.

    Returns:
        `str`: the normalised text; empty only for a blank text.

    Example:

    >>> normalise_text("It’s  FINE...   (really) 🙂")
    'its fine really 🙂'
    """
    text = unicodedata.normalize("NFKC", text).lower()
    text = re.sub(r"['’‘ʼ`]", "", text) if re.search(r"\w", text) else text
    spaced = "".join(" " if unicodedata.category(character)[0] in "PCZ" else character for character in text)
    words = " ".join(spaced.split()) or " ".join(text.split())
    return unicodedata.normalize("NFKC", words)  # a lost mark can leave a letter beside its accent


def fraction(purpose, text):
    """A number in [0, 1) that depends on `purpose` and `text` alone, uniform over texts."""
    digest = hashlib.sha256(f"{purpose}\n{text}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def fingerprint(text):
    """16 bytes that stand for the normalised text, so that millions of texts fit in memory."""
    return hashlib.sha256(normalise_text(text).encode()).digest()[:16]


# ---- readers


def lines_of(path):
    """Yield (line number, line without its end) of a UTF-8 file."""
    with open(path, "rb") as file:  # decoded line by line, so that the error names the right one
        for number, line in enumerate(file, 1):
            try:
                yield number, line.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
            except UnicodeDecodeError as error:
                raise ValueError(f"{path}, line {number}: not UTF-8 text; convert the file first") from error


def json_objects(path):
    """Yield (line number, object) of a JSONL file; blank lines are skipped."""
    for number, line in lines_of(path):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: not valid JSON ({error}); mend or remove the line") from error
        if not isinstance(row, dict):
            raise ValueError(f"{path}, line {number}: expected a JSON object with `text` and `labels`")
        yield number, row


def clean_labels(labels, where):
    """Descriptors in lower case with single spaces, the first of repeated ones kept."""
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise ValueError(f"{where}: `labels` must be a list of strings")
    cleaned = list(dict.fromkeys(" ".join(label.lower().split()) for label in labels))
    if not cleaned or "" in cleaned:
        raise ValueError(f'{where}: `labels` is empty or holds an empty descriptor; write ["neutral"] for none')
    return cleaned


def read_rows(path):
    """Yield (line number, row) of the annotated texts, with every column of the `default` configuration."""
    for number, row in json_objects(path):
        if row.get("status", "ok") != "ok":
            continue
        where = f"{path}, line {number}"
        if not isinstance(row.get("text"), str) or not row["text"].strip():
            raise ValueError(f"{where}: `text` must be a string that is not blank")
        digest = hashlib.sha256(row["text"].encode("utf-8", "surrogatepass")).hexdigest()
        clean = {"id": digest[:12], "source": "unknown", "genre": "", "selection": ""}
        clean |= {name: str(row[name]) for name in clean if row.get(name) is not None}
        try:
            row["text"].encode()
        except UnicodeEncodeError as error:
            raise ValueError(f"{where}: `text` holds half a surrogate pair, which is not valid Unicode") from error
        yield number, {**clean, "text": row["text"], "labels": clean_labels(row.get("labels"), where)}


def read_view(path):
    """A second reading of some texts: yield (place, id, labels, row) of each usable line, ids all different."""
    seen = set()
    for number, row in json_objects(path):
        if row.get("status", "ok") != "ok":
            continue
        where = f"{path}, line {number}"
        labels = clean_labels(row.get("labels"), where)
        if row.get("id") is None or str(row["id"]) in seen:
            raise ValueError(f"{where}: `id` is missing or repeated")
        seen.add(str(row["id"]))
        yield where, str(row["id"]), labels, row


def read_closed(path):
    """The closed-list labels by text id: a `dict` from id to a list of GoEmotions names."""
    closed = {}
    for where, identifier, labels, _ in read_view(path):
        unknown = sorted(set(labels) - set(GOEMOTIONS))
        if unknown:
            raise ValueError(f"{where}: {unknown[0]!r} is not one of GoEmotions' 28 labels")
        closed[identifier] = {"labels": labels}
    return closed


def read_rated(path):
    """Plain words and ratings by text id: a `dict` from id to `labels`, valence, arousal and dominance (1 to 9)."""
    return {
        identifier: {"labels": labels} | {name: rating(row.get(name), name, where) for name in DIMENSIONS}
        for where, identifier, labels, row in read_view(path)
    }


def read_lexicon(path):
    """The ratings by descriptor: a `dict` to valence, arousal, dominance (1 to 9) and the plain words implied."""
    lexicon, header = {}, None
    for number, line in lines_of(path):
        cells = line.split("\t")
        where = f"{path}, line {number}"
        if header is None:
            header = cells
            missing = [n for n in ("descriptor", "valence", "arousal", "dominance", "implies") if n not in header]
            if missing:
                raise ValueError(f"{where}: no column {missing[0]!r} in the tab-separated header")
            continue
        if not line.strip():
            continue
        if len(cells) != len(header):
            raise ValueError(f"{where}: {len(cells)} cells where the header has {len(header)}")
        row = dict(zip(header, cells, strict=True))
        (descriptor,) = clean_labels([row["descriptor"]], where)
        if descriptor in lexicon:
            raise ValueError(f"{where}: {descriptor!r} stands there twice; keep one line")
        lexicon[descriptor] = {name: rating(row[name], name, where) for name in DIMENSIONS}
        implied = [" ".join(word.lower().split()) for word in row["implies"].split(",")]
        lexicon[descriptor]["implies"] = list(dict.fromkeys(word for word in implied if word))
    return lexicon


def rating(text, name, where):
    with contextlib.suppress(ValueError, TypeError):
        value = float(text)
        if 1 <= value <= 9:
            return value
    raise ValueError(f"{where}: {name} must be a number from 1 to 9, not {text!r}")


def read_evaluation_texts(path):
    """Yield the texts of an evaluation file; the module's text tells how its column is found."""
    if Path(path).suffix == ".jsonl":
        for number, row in json_objects(path):
            if not isinstance(row.get("text"), str):
                raise ValueError(f"{path}, line {number}: no `text` string")
            yield row["text"]
        return
    first = next((line for _, line in lines_of(path)), "")
    delimiter, column = text_column(first, path)
    quoting = csv.QUOTE_NONE if delimiter == "\t" else csv.QUOTE_MINIMAL
    source = (line + "\n" for _, line in lines_of(path))
    reader = csv.reader(source, delimiter=delimiter, quoting=quoting)
    if column is None:
        column = 0
    else:
        next(reader)
    try:
        for cells in reader:
            if len(cells) > column:
                yield cells[column]
            elif any(cell.strip() for cell in cells):
                raise ValueError(f"{path}, line {reader.line_num}: no cell {column + 1}, where the text should be")
    except csv.Error as error:
        raise ValueError(f"{path}, line {reader.line_num}: {error}") from error


def text_column(first, path):
    """The delimiter and the text column's place in the header `first`; `("\\t", None)` for a file without one."""
    for delimiter in "\t,;|":
        names = [name.strip().lower() for name in next(csv.reader([first], delimiter=delimiter), [])]
        for known in TEXT_COLUMNS:
            if known in names:
                return delimiter, names.index(known)
    if "\t" in first:
        return "\t", None
    raise ValueError(
        f"{path}, line 1: no tab and no text column in the header; name the column one of {', '.join(TEXT_COLUMNS)}"
    )


# ---- splits


def choose_held_out(counts, lexicon):
    """Descriptors that no training text may carry: rare enough, in no other descriptor's `implies`, by hash.

    Args:
        counts (`dict[str, int]`): how many texts carry each descriptor.
        lexicon (`dict`): as `read_lexicon` gives it; may be empty.

    Returns:
        `set[str]`: about 8 % of the descriptors that occur at most 60 times and are not GoEmotions' own names.
    """
    implied = {word for row in lexicon.values() for word in row["implies"]}
    return {
        descriptor
        for descriptor, count in counts.items()
        if count <= HELD_OUT_MAX_COUNT
        and descriptor not in implied
        and descriptor not in GOEMOTIONS
        and fraction("held-out descriptor", descriptor) < HELD_OUT_SHARE
    }


def split_of(text, labels, held_out):
    """The split of a text: `validation` with a held-out descriptor, and for 2.5 % of the others, by hash."""
    if not held_out.isdisjoint(labels):
        return "validation"
    return "validation" if fraction("validation text", normalise_text(text)) < VALIDATION_SHARE else "train"


def kept_rows(path, excluded, dropped):
    """Yield the rows whose text is in no evaluation file and was not seen before; count the others in `dropped`."""
    seen, ids = set(), {}
    for number, row in read_rows(path):
        key = fingerprint(row["text"])
        if key in excluded:
            dropped["in an evaluation file"] += 1
        elif key in seen:
            dropped["a text seen before"] += 1
        elif row["id"] in ids:
            raise ValueError(
                f"{path}, line {number}: the id {row['id']!r} stands on line {ids[row['id']]} with another text"
            )
        else:
            seen.add(key)
            ids[row["id"]] = number
            yield row


# ---- building


class ParquetSplits:
    """Writes rows to `folder/config/split.parquet`, all or nothing: the files take their names in `commit`."""

    def __init__(self, folder):
        self.folder, self.writers, self.rows, self.counts = Path(folder), {}, {}, Counter()

    def path(self, config, split, suffix=""):
        return self.folder / config / f"{split}.parquet{suffix}"

    def add(self, config, split, row):
        rows = self.rows.setdefault((config, split), [])
        rows.append(row)
        self.counts[config, split] += 1
        if len(rows) >= BATCH_ROWS:
            self.flush(config, split)

    def flush(self, config, split):
        key = (config, split)
        if key not in self.writers:
            temporary = self.path(config, split, ".partial")
            temporary.parent.mkdir(parents=True, exist_ok=True)
            self.writers[key] = pq.ParquetWriter(
                temporary, SCHEMAS[config], compression="zstd", compression_level=19, use_dictionary=False
            )
        self.writers[key].write_table(pa.Table.from_pylist(self.rows[key], schema=SCHEMAS[config]))
        self.rows[key] = []

    def commit(self):
        for config in {config for config, _ in self.counts}:
            for split in SPLITS:
                if self.rows.setdefault((config, split), []) or (config, split) not in self.writers:
                    self.flush(config, split)
        for writer in self.writers.values():
            writer.close()
        for config, split in self.writers:
            os.replace(self.path(config, split, ".partial"), self.path(config, split))

    def discard(self):
        for (config, split), writer in self.writers.items():
            writer.close()
            self.path(config, split, ".partial").unlink(missing_ok=True)
            with contextlib.suppress(OSError):  # a folder that was there before, or is not empty, stays
                self.path(config, split).parent.rmdir()


def build(descriptors, output, closed=None, lexicon=None, exclude=(), rated=None):
    """Write the configurations under `output`; nothing there changes if an input is damaged.

    Args:
        descriptors (`str` or `Path`): JSONL of annotated texts; read twice, never held in memory as a whole.
        output (`str` or `Path`): the data set's folder; a `README.md` there is left alone, else a short one is made.
        closed (`str` or `Path`, *optional*): JSONL of `id` and `labels` from GoEmotions' 28 names.
        lexicon (`str` or `Path`, *optional*): TSV of descriptor, valence, arousal, dominance (1 to 9), implies.
            Without it the `lexicon` configuration has no ratings and no implied words.
        exclude (`list`, *optional*): evaluation files whose texts must not occur.
        rated (`str` or `Path`, *optional*): JSONL of `id`, `labels` (plain words) and ratings of the texts themselves.

    Returns:
        `dict`: `rows` (by configuration and split), `dropped` (by reason) and `excluded` (distinct texts compared).

    Raises:
        ValueError: for a damaged line, named with its file; for an input without a usable row.
    """
    excluded = {fingerprint(text) for path in exclude for text in read_evaluation_texts(path) if text.strip()}
    ratings = read_lexicon(lexicon) if lexicon else {}
    views = {"closed28": read_closed(closed) if closed else {}, "rated": read_rated(rated) if rated else {}}
    dropped, counts, sources, found = Counter(), Counter(), set(), Counter()
    for row in kept_rows(descriptors, excluded, dropped):
        counts.update(row["labels"])
        sources.add(row["source"])
        found.update(name for name, view in views.items() if row["id"] in view)
    if not counts:
        raise ValueError(f"{descriptors}: no row is left to build from")
    configs = ["default"] + ["goemotions"] * ("goemotions" in sources) + sorted(found) + ["lexicon"]
    refuse_stale(output, configs)
    dropped["a closed-list row whose text is not there"] = len(views["closed28"]) - found["closed28"]
    dropped["a rated row whose text is not there"] = len(views["rated"]) - found["rated"]

    held_out = choose_held_out(counts, ratings)
    files = ParquetSplits(output)
    try:
        for row in kept_rows(descriptors, excluded, Counter()):
            split = split_of(row["text"], row["labels"], held_out)
            files.add("default", split, row)
            if row["source"] == "goemotions":
                files.add("goemotions", split, row)
            for name, view in views.items():
                if row["id"] in view:
                    files.add(name, split, row | view[row["id"]])
        for row in lexicon_rows(counts, ratings):
            files.add("lexicon", "validation" if row["descriptor"] in held_out else "train", row)
        files.commit()
    except BaseException:
        files.discard()
        raise
    write_card(output, configs)
    return {"rows": dict(files.counts), "dropped": +dropped, "excluded": len(excluded)}


def lexicon_rows(counts, ratings):
    """Every descriptor, rated or not, in alphabetical order."""
    blank = dict.fromkeys(DIMENSIONS) | {"implies": []}
    for descriptor in sorted(counts.keys() | ratings.keys()):
        yield {"descriptor": descriptor, **ratings.get(descriptor, blank), "count": counts.get(descriptor, 0)}


def refuse_stale(output, configs):
    """A configuration of an earlier build would keep other splits beside the new ones: ask, do not delete."""
    for config in SCHEMAS:
        if config not in configs and (Path(output) / config).is_dir():
            raise ValueError(
                f"{Path(output) / config} comes from an earlier build with other inputs; remove it or choose "
                "another --output"
            )


def write_card(output, configs):
    """A card with the configurations that `load_dataset` reads, where there is none yet."""
    path = Path(output) / "README.md"
    if path.exists():
        return
    lines = ["---", "configs:"]
    for config in configs:
        lines += [f"- config_name: {config}"] + ["  default: true"] * (config == "default") + ["  data_files:"]
        for split in SPLITS:
            lines += [f"  - split: {split}", f"    path: {config}/{split}.parquet"]
    lines += ["---", "", "# Emotion descriptors", "", "Built with `scripts/build_descriptors.py`.", ""]
    temporary = path.with_suffix(".partial")
    temporary.write_text("\n".join(lines), encoding="utf-8")
    os.replace(temporary, path)


def parse_arguments(argv):
    summary, details = __doc__.split("\n\n", 1)
    parser = argparse.ArgumentParser(
        description=summary, epilog=details, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--descriptors", metavar="FILE.jsonl", required=True, help="annotated texts")
    parser.add_argument("--closed", metavar="FILE.jsonl", help="labels from GoEmotions' 28 names, by id")
    parser.add_argument("--rated", metavar="FILE.jsonl", help="plain words and ratings of the texts, by id")
    parser.add_argument("--lexicon", metavar="FILE.tsv", help="ratings and implied words of the descriptors")
    parser.add_argument(
        "--exclude", metavar="FILE", nargs="+", action="extend", default=[], help="evaluation files to keep out"
    )
    parser.add_argument("--output", metavar="FOLDER", required=True, help="the data set's folder")
    return parser.parse_args(argv)


def main(argv=None):
    arguments = parse_arguments(argv)
    try:
        report = build(
            arguments.descriptors,
            arguments.output,
            arguments.closed,
            arguments.lexicon,
            arguments.exclude,
            arguments.rated,
        )
    except (ValueError, OSError) as error:
        print(f"build_descriptors: {error}", file=sys.stderr)
        return 2
    for (config, split), count in sorted(report["rows"].items()):
        print(f"{config}/{split}: {count:,} rows")
    print(f"compared with {report['excluded']:,} distinct evaluation texts")
    for reason in (
        "in an evaluation file",
        "a text seen before",
        "a closed-list row whose text is not there",
        "a rated row whose text is not there",
    ):
        print(f"dropped, {reason}: {report['dropped'][reason]:,}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
