"""A card for a descriptor data set, written from the data and from the store that it came from."""

import json
import time
from pathlib import Path

from .output import open_output
from .store import Store

__all__ = ["provenance", "write_card"]

_LIMITS = (
    "- The descriptors are a model's reading of a text, not what its writer felt; no person checked them. They "
    "carry the model's biases about groups, dialects and registers into whatever is trained on them.",
    "- Refused and invalid texts are missing from the `ok` rows, and they are not a random part of the input: "
    "sexual, violent and hateful texts are refused more often.",
    "- Not fit for judging individuals: hiring, schooling, credit, policing, health, or watching employees. "
    "The European Union's AI Act bans inferring emotions from biometric data at work and in education; text is not "
    "biometric data, but the reasons for the ban hold for it as well.",
    "- The texts may contain profanity, slurs and personal details of their sources, whose licences stay in force.",
)


def provenance(store_path):
    """Who was asked what, and when, from a store.

    Args:
        store_path (`str` or `Path`)

    Returns:
        `tuple[list[dict], dict[str, int]]`: for each model, prompt and parameters: requests, tokens, cost (US
            dollars), first and last day; and the texts asked by status. Both empty where there is no such file.
    """
    if not Path(store_path).exists():
        return [], {}
    names = ("model", "prompt", "parameters", "batch", "requests", "prompt_tokens", "completion_tokens", "cost")
    with Store(store_path) as store:
        rows = store.query(
            "SELECT model, prompt, parameters, batch IS NOT NULL, count(*), sum(prompt_tokens), "
            "sum(completion_tokens), sum(cost), min(time), max(time) FROM requests "
            "GROUP BY model, prompt, parameters, batch IS NOT NULL ORDER BY min(time)"
        )
        statuses = store.counts()
    runs = []
    for row in rows:
        runs.append({**dict(zip(names, row, strict=False)), "first": _day(row[8]), "last": _day(row[9])})
    return runs, statuses


def _day(seconds):
    return time.strftime("%Y-%m-%d", time.gmtime(seconds))


def write_card(path, vocabulary, *, name, licence=None, runs=(), asked=None, language="en", file=None):
    """Write a data set card in the Hub's form: YAML metadata, then Markdown.

    Args:
        path (`str` or `Path`): Usually `README.md` beside the data; an existing file is not replaced.
        vocabulary (`DescriptorVocabulary`)
        name (`str`): Of the data set.
        licence (`str`, *optional*): An identifier of the Hub's, such as `cc-by-4.0`.
        runs (`list[dict]`), asked (`dict[str, int]`): From `provenance`.
        language (`str`): Of the texts.
        file (`str`, *optional*): The data's, beside the card; without it the Hub takes all files there for data.

    Raises:
        `ValueError`: where there is such a file already.
    """
    if Path(path).exists():
        raise ValueError(f"card: {path} is there already; move it away or choose another name")
    card = _card(vocabulary, name, licence, list(runs), asked or {}, language)
    if file is not None:
        card.insert(1, f"configs:\n- config_name: default\n  data_files:\n  - split: train\n    path: {file}")
    with open_output(path) as output:
        output.write("\n".join(card) + "\n")


def _card(vocabulary, name, licence, runs, asked, language):
    facts = vocabulary.facts
    size = next(
        (size for limit, size in ((1e3, "n<1K"), (1e4, "1K<n<10K"), (1e5, "10K<n<100K"), (1e6, "100K<n<1M"))
         if vocabulary.rows < limit), "n>1M")  # fmt: skip
    return [
        "---",
        f"license: {licence or 'other'}",
        f"language:\n- {language}",
        f"size_categories:\n- {size}",
        "task_categories:\n- zero-shot-classification\n- text-classification",
        "tags:\n- emotion\n- synthetic-labels\n- emodistill",
        "---",
        f"# {name}",
        "",
        f"{vocabulary.texts:,} texts with free-form emotion descriptors that a language model wrote after "
        "reading them. "
        f"{facts['distinct']:,} distinct descriptors, {facts['terms_a_text']:.2f} a text; "
        f"{facts['neutral_share']:.1%} of the texts are neutral.",
        "",
        "## Fields",
        "",
        "| field | meaning |",
        "|---|---|",
        "| `id` | unique within its source |",
        "| `source` | where the text comes from |",
        "| `text` | the text |",
        "| `labels` | descriptors in lower case, the most salient first; `neutral` alone where nothing is expressed |",
        "| `status` | `ok`, `refused` (the model or its filter declined), `invalid` (no usable answer), `error` |",
        "",
        *_table("Sources", ("source", "texts"), vocabulary.sources.items()),
        *_table("Statuses", ("status", "rows"), vocabulary.statuses.items()),
        "## How it was made",
        "",
        *_made(runs),
        "",
        *_table("What the texts asked came to", ("status", "texts"), asked.items(), level="###"),
        "## Vocabulary",
        "",
        f"{facts['used_once']:,} descriptors occur once, {facts['phrases']:,} are phrases, and the "
        f"{facts['half_of_all_uses']:,} most frequent make up half of all uses. Of GoEmotions' 28 labels "
        f"{facts['goemotions_covered']} occur as they stand.",
        "",
        *_table("Most frequent", ("descriptor", "texts"), list(vocabulary.counts.items())[:25], level="###"),
        "## Limits and proper use",
        "",
        *_LIMITS,
    ]


def _made(runs):
    if not runs:
        return [
            "The store of the run was not at hand when this card was written; add the model, the prompt and the date."
        ]
    lines = [
        "| model | prompt | parameters | requests | tokens in / out | cost | days |",
        "|---|---|---|---|---|---|---|",
    ]
    for run in runs:
        parameters = json.loads(run["parameters"])
        shown = ", ".join(f"{name} {value}" for name, value in parameters.items()) or "the server's own"
        cost = f"${run['cost']:,.2f}" if run["cost"] is not None else "unknown"
        days = run["first"] if run["first"] == run["last"] else f"{run['first']} to {run['last']}"
        batch = " (batch)" if run["batch"] else ""
        tokens = f"{run['prompt_tokens'] or 0:,} / {run['completion_tokens'] or 0:,}"
        lines.append(
            f"| {run['model']}{batch} | {run['prompt']} | {shown} | {run['requests']:,} | {tokens} | {cost} | {days} |"
        )
    return lines


def _table(title, head, rows, level="##"):
    rows = [row for row in rows if row[0]]
    if not rows:
        return []
    cells = [f"| {str(name).replace('|', ' ')} | {count:,} |" for name, count in rows]
    return [f"{level} {title}", "", f"| {head[0]} | {head[1]} |", "|---|---|", *cells, ""]
