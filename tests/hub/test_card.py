"""A card from data: valid metadata, every figure with its protocol and interval, links that lead somewhere."""

import json
import re
import shutil

import pytest
import yaml
from huggingface_hub import ModelCard
from markdown_it import MarkdownIt
from quick_measures import few_templates, without_pictures

import emodistill
from emodistill import EmoDistillModel, cli
from emodistill.hub.model_card import MARK, card_for, initial_card, model_card, tensor_sizes


@pytest.fixture(scope="module")
def measured(checkpoint, tmp_path_factory):
    """What `emodistill evaluate` and `emodistill audit` write for the tiny checkpoint on made-up sets."""
    data, output = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("results")
    texts = [f"we {verb} the {what} {when}" for verb in ("lost", "won") for what in ("dog", "cat", "train")
             for when in ("late", "and cried", "and laughed", "in the rain", "again")]  # fmt: skip
    (data / "semeval2025-eng").mkdir()
    names = ("Anger", "Fear", "Joy", "Sadness", "Surprise")
    for split in ("train", "dev"):
        lines = [f"id,text,{','.join(names)}"]
        lines += [f"{n},{text},{','.join(str((n + i) % 3 // 2) for i in range(5))}" for n, text in enumerate(texts)]
        (data / "semeval2025-eng" / f"track_a_{split}_eng.csv").write_text("\n".join(lines) + "\n")
    (data / "emobank").mkdir()
    rows = [f"e{n},train,{n % 4 + 1}.5,{n % 3 + 1}.2,{(n + 1) % 4 + 1}.1,{text}" for n, text in enumerate(texts)]
    (data / "emobank" / "emobank.csv").write_text("\n".join(["id,split,V,A,D,text", *rows]) + "\n")
    shared = ["--output", str(output), "--no-cache", "--quiet"]
    sets = ["--data-dir", str(data), "--benchmarks", "semeval2025-eng:train,emobank:train"]
    with without_pictures(), few_templates():
        assert cli.main(["evaluate", str(checkpoint), *sets, "--replicates", "50", "--no-untrained", *shared]) == 0
        assert cli.main(["audit", str(checkpoint), "--labels", "joy, anger", *shared]) == 0
    return output


@pytest.fixture
def own(checkpoint, tmp_path):
    """A copy of the tiny checkpoint without code, as `checkpoints/` holds one."""
    return shutil.copytree(checkpoint, tmp_path / "own", ignore=shutil.ignore_patterns("*.py"))


def metadata_of(text):
    return yaml.safe_load(text.split("---\n")[1])


def arguments(measured):
    return ["--evaluation", str(measured / "results.json"), "--audit", str(measured / "audit.json")]


@pytest.fixture(scope="module")
def card(measured, checkpoint, tmp_path_factory):
    path = tmp_path_factory.mktemp("card") / "README.md"
    assert (
        cli.main(["card", str(checkpoint), "--repo-id", "me/mine", "--output", str(path), *arguments(measured)]) == 0
    )
    return path.read_text()


def test_metadata_are_what_the_hub_reads(card, measured):
    data = ModelCard(card).data
    assert data.pipeline_tag == "zero-shot-classification" and data.language == "en"
    assert data.library_name == "transformers" and {"emotion", "zero-shot", "emodistill"} <= set(data.tags)
    suite = json.loads((measured / "results.json").read_text())
    strict = suite["benchmarks"]["semeval2025-eng"]["systems"][suite["systems"][0]]["protocols"]["strict"]
    found = {(result.dataset_name, result.metric_name): result for result in data.eval_results}
    f1 = found["semeval2025-eng", "macro-F1, strict"]
    assert f1.metric_value == round(strict["macro_f1"], 4) and f1.metric_type == "f1" and f1.dataset_split == "train"
    assert f1.task_type == "zero-shot-classification"
    assert ("emobank", "Pearson r of valence (dimension head), strict") in found
    raw = metadata_of(card)
    assert raw["model-index"][0]["name"] == "mine" and all("candidate_labels" in one for one in raw["widget"])


def test_every_figure_has_its_protocol_and_interval(card, measured):
    suite = json.loads((measured / "results.json").read_text())
    rows = [
        line for line in card.splitlines() if line.startswith(("| semeval2025-eng, train |", "| emobank, train |"))
    ]
    system = suite["systems"][0]
    assert len([row for row in rows if f"| {system} |" in row]) >= 3 + 3
    for row in rows:
        cells = [cell.strip() for cell in row.strip("|").split("|")]
        assert any(cell in suite["protocols"] for cell in cells), row
        assert any(re.fullmatch(r"-?\d\.\d{3} \[-?\d\.\d{3}, -?\d\.\d{3}\]|–", cell) for cell in cells), row
    entry = suite["benchmarks"]["semeval2025-eng"]["systems"][system]["protocols"]["strict"]
    low, high = (entry["macro_f1_interval"][key] for key in ("low", "high"))
    assert f"{entry['macro_f1']:.3f} [{low:.3f}, {high:.3f}]" in card
    assert "50 replicates" in card and "no target labels or texts" in card


def test_the_audit_is_told(card, measured):
    audit = json.loads((measured / "audit.json").read_text())
    flagged = sum(row["flagged"] for row in audit["gaps"])
    told = f"**{flagged} of {len(audit['gaps'])} score gaps" if flagged else f"none of {len(audit['gaps'])} score gaps"
    assert told in card and "No flag is no proof of fairness" in card and "negated ones" in card
    assert "changes of writing: typos" in card
    for attribute in audit["attributes"]:
        assert attribute in card


def test_use_and_misuse_sizes_and_citation(card, checkpoint):
    sizes = tensor_sizes(checkpoint)
    for number in (sizes["tower"], sizes["whole"]):
        assert (f"| {number:,} |" if number < 1e5 else f"| {number / 1e6:.1f} million |") in card
    for phrase in ("No decisions about people", "clinical", "employment", "2505.18040", emodistill.__version__):
        assert phrase in card
    assert "{{" not in re.sub(r"\{\{The emodistill maintainers\}\}", "", card) and "{%" not in card


def test_sizes_are_those_of_the_model(checkpoint):
    model = EmoDistillModel.from_pretrained(checkpoint)
    parts = [model.text_encoder, model.qformer, model.text_projection]
    assert tensor_sizes(checkpoint)["tower"] == sum(p.numel() for part in parts for p in part.parameters())
    assert tensor_sizes(checkpoint)["whole"] == sum(tensor.numel() for tensor in model.state_dict().values())


@pytest.mark.parametrize("which", ["new", "default"])
def test_it_renders_and_its_links_lead_somewhere(which, card, default_checkpoint):
    text = card if which == "new" else initial_card(default_checkpoint)
    body = text.split("---\n", 2)[2]
    page = MarkdownIt("commonmark", {"html": True}).enable("table").render(body)
    assert page.count("<table>") >= 1 and "<h2>Misuse</h2>" in page and "|---|" not in page
    assert page.count('<code class="language-python">') == 3
    links = re.findall(r'(?:href|src)="([^"]+)"', page)
    assert links
    for link in links:  # the repository holds no other pages, so a link leads to the web, and whole
        assert re.fullmatch(r"https://(arxiv\.org/abs/\d{4}\.\d{5}|[\w.-]+\.[a-z]+(/[\w./%~-]*)?)", link), link


def test_what_is_missing_is_said(checkpoint):
    text = model_card(checkpoint, "me/mine")
    assert "**Not measured.**" in text and "**Not audited.**" in text and "model-index" not in text
    assert metadata_of(text)["license"] == "other" and "base_model" not in metadata_of(text)


def test_facts_are_told(checkpoint, tmp_path, capsys):
    facts = tmp_path / "facts.toml"
    facts.write_text(
        'name = "Moods"\nlicence = "mit"\nbase_model = "a/base"\ndatasets = ["a/data"]\nlanguage = "de"\n'
        'teacher = "A model, asked once."\nhow = "Three epochs."\n'
    )
    assert cli.main(["card", str(checkpoint), "--facts", str(facts), "--output", "-"]) == 0
    text = capsys.readouterr().out
    data = metadata_of(text)
    assert (data["license"], data["base_model"], data["datasets"], data["language"]) == (
        "mit",
        "a/base",
        ["a/data"],
        "de",
    )
    assert "# Moods" in text and "A model, asked once." in text and "Three epochs." in text and "`de`" in text


def test_the_card_stands_beside_the_checkpoint_and_push_tells_it_its_place(own, measured):
    assert cli.main(["card", str(own), *arguments(measured)]) == 0
    text = (own / "README.md").read_text()
    assert MARK.search(text).group(1) == "OWNER/own" and "macro-F1" in text
    moved = initial_card(own, "me/mine")
    assert "OWNER/own" not in moved and 'model="me/mine"' in moved and "macro-F1" in moved
    beside = "See OWNER/own-large, https://hub/OWNER/own.v2 and NO-OWNER/own; here is OWNER/own."
    (own / "README.md").write_text(f"{text}\n{beside}")
    assert initial_card(own, "me/mine").endswith(beside.replace("is OWNER/own", "is me/mine"))
    assert cli.main(["card", str(own), *arguments(measured)]) == 0  # its own card it may replace


def test_a_card_that_somebody_wrote_is_kept(own, capsys):
    (own / "README.md").write_text("---\nlicense: mit\n---\n# By hand\n")
    assert cli.main(["card", str(own)]) == 2
    assert "was not written by this command" in capsys.readouterr().err
    assert initial_card(own, "me/mine") == "---\nlicense: mit\n---\n# By hand\n"


def test_the_default_checkpoint_has_a_card_of_this_command(default_checkpoint):
    with open(f"{default_checkpoint}/README.md", encoding="utf-8") as file:
        text = file.read()
    assert MARK.search(text).group(1) == "OWNER/emodistill-minilm-l6"
    assert metadata_of(text)["base_model"] == "sentence-transformers/all-MiniLM-L6-v2"


def test_figures_of_other_weights_are_refused(tiny_model, tokenizer, measured, tmp_path, capsys):
    other = tmp_path / "other"
    tiny_model(seed=5).save_pretrained(other)
    tokenizer.save_pretrained(other)
    for argument in (arguments(measured)[:2], arguments(measured)[2:]):
        assert cli.main(["card", str(other), *argument]) == 2
        err = capsys.readouterr().err
        assert "was measured on other weights" in err and argument[0] in err and err.count("\n") == 1


def test_a_limited_run_is_refused(checkpoint, measured, tmp_path, capsys):
    suite = json.loads((measured / "results.json").read_text()) | {"limit": 20}
    (tmp_path / "limited.json").write_text(json.dumps(suite))
    assert cli.main(["card", str(checkpoint), "--evaluation", str(tmp_path / "limited.json")]) == 2
    assert "first 20 rows: a quick look" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argument", "content", "message"),
    [
        ("--evaluation", "{", "not JSON"),
        ("--evaluation", "[]", "has no 'benchmarks'"),
        ("--audit", "{}", "has no 'gaps'"),
        ("--facts", "x = ", "not TOML"),
        ("--facts", "x = 1", "no such key 'x'"),
        ("--facts", "datasets = 'a'", "datasets must be a list of strings"),
        ("--facts", "name = 1", "name must be a string"),
    ],
)
def test_a_mistake_is_one_sentence(argument, content, message, checkpoint, tmp_path, capsys):
    (tmp_path / "file").write_text(content)
    assert cli.main(["card", str(checkpoint), argument, str(tmp_path / "file"), "--output", "-"]) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.err.count("\n") == 1 and captured.out == ""


def test_a_card_with_broken_metadata_is_told(own, capsys):
    (own / "README.md").write_text("---\nlicense: [\n---\n# By hand\n")
    assert cli.main(["push", str(own), "--repo-id", "me/mine", "--dry-run"]) == 2
    err = capsys.readouterr().err
    assert "its metadata are not valid" in err and err.count("\n") == 1


# What training left


RECORD = {
    "arguments": {"epochs": 3, "text_rate": 1e-4, "output_dir": "/home/me/out", "note": "a | b", "none": None},
    "data": {
        "path": "/home/me/texts/moods.jsonl", "digest": "ab" * 32, "rows": {"train": 1200, "validation": 150},
        "sources": {"diary": 900, "chat": 300},
    },
    "parent": {"name": "small", "digest": "cd" * 32},
    "encoder": None,
    "versions": {"emodistill": "9.8", "torch": "2.13.0", "transformers": "5.23.0", "python": "3.11.7"},
    "hardware": {"device": "cpu"},
    "started": "2026-11-29T01:00:00+00:00", "finished": "2026-11-29T01:10:00+00:00", "seconds": 600, "steps": 57,
    "metrics": {"recall": 0.51234, "loss": float("nan")},
}  # fmt: skip


def trained(folder, **changes):
    (folder / "training.json").write_text(json.dumps(RECORD | changes))
    return folder


def test_the_card_says_where_ones_own_model_comes_from(own):
    text = initial_card(trained(own), "me/mine")
    data = metadata_of(text)
    assert data["base_model"] == "emodistill/emodistill-minilm-l6" and data["base_model_relation"] == "finetune"
    assert "was not given" not in text.split("## Figures")[0]
    for told in ("from the checkpoint small (SHA-256 cdcdcdcdcdcd", "on 1,200 texts of moods.jsonl (SHA-256 abab",
                 "150 more for validation", "57 steps in 10 minutes on cpu", "emodistill 9.8", "finished 2026-11-29",
                 "diary 900, chat 300", "| epochs | 3 |", "| text_rate | 0.0001 |", "recall 0.5123"):  # fmt: skip
        assert told in text, told
    assert "/home/me" not in text and "| none |" not in text and "loss nan" not in text and r"a \| b" in text
    page = MarkdownIt("commonmark", {"html": True}).enable("table").render(text.split("---\n", 2)[2])
    assert "<td>epochs</td>" in page


def test_facts_come_before_what_training_left(own, tmp_path):
    facts = tmp_path / "facts.toml"
    facts.write_text('base_model = "a/base"\nhow = "By hand."\n')
    text = card_for(trained(own), "me/mine", facts=facts)
    assert metadata_of(text)["base_model"] == "a/base" and "By hand." in text and "57 steps" not in text


@pytest.mark.parametrize(
    ("changes", "base"),
    [
        ({"parent": {"name": "base"}}, "emodistill/emodistill-mpnet-base"),
        ({"parent": {"name": "/x/checkpoints/emodistill-minilm-l6/"}}, "emodistill/emodistill-minilm-l6"),
        ({"parent": {"name": "someone/model"}}, "someone/model"),
        ({"parent": {"name": "/x/gone"}}, None),
        ({"parent": None, "encoder": "/x/all-MiniLM-L6-v2"}, "sentence-transformers/all-MiniLM-L6-v2"),
        ({"parent": None, "encoder": "google/encoder"}, "google/encoder"),
        ({"parent": None, "encoder": "./here"}, None),
        ({"parent": [], "encoder": 3}, None),
    ],
)
def test_the_base_model_is_one_that_others_can_find(changes, base, own):
    assert metadata_of(initial_card(trained(own, **changes), "me/mine")).get("base_model") == base


def test_stages_are_followed_back(own, tmp_path):
    first, second = tmp_path / "first" / "final", tmp_path / "second"
    for folder in (first, second):
        folder.mkdir(parents=True)
    trained(first, parent=None, encoder="sentence-transformers/all-MiniLM-L6-v2")
    trained(second, parent={"name": str(first)})
    text = initial_card(trained(own, parent={"name": str(second)}), "me/mine")
    assert metadata_of(text)["base_model"] == "sentence-transformers/all-MiniLM-L6-v2"
    trained(first, parent={"name": str(second)})  # in a circle
    assert "base_model" not in metadata_of(initial_card(own, "me/mine"))


@pytest.mark.parametrize("content", ["{", "[]", "[" * 100_000, "\xff"])
def test_a_damaged_record_is_a_sentence(content, own, capsys):
    (own / "training.json").write_text(content, encoding="latin-1")
    assert cli.main(["card", str(own)]) == 2
    err = capsys.readouterr().err
    assert "training.json is" in err and err.count("\n") == 1


@pytest.mark.parametrize("value", [None, 3, "x", [1], {"rows": 3, "sources": [1], "path": 7, "digest": {}}])
def test_odd_values_in_a_record_cost_only_themselves(value, own):
    for key in RECORD:
        text = initial_card(trained(own, **{key: value}), "me/mine")
        assert "## How it was made" in text
    assert "## How it was made" in initial_card(trained(own, **dict.fromkeys(RECORD, value)), "me/mine")


def test_a_run_gives_its_card_its_name(own, tmp_path):
    final = shutil.copytree(own, tmp_path / "diaries" / "final")
    assert "for OWNER/diaries -->" in initial_card(final)


def test_both_shipped_models_have_facts(own, tmp_path):
    """Cards side by side: each names both, as far as they were made."""
    for name, encoder in (("emodistill-minilm-l6", "MiniLM"), ("emodistill-mpnet-base", "mpnet")):
        text = initial_card(shutil.copytree(own, tmp_path / name), f"me/{name}")
        assert encoder in metadata_of(text)["base_model"] and metadata_of(text)["license"] == "apache-2.0"
        assert "## Two models" in text and "`emodistill-mpnet-base`" in text and "`emodistill-minilm-l6`" in text
