"""What is made of the descriptors: figures, plots, cards, comparisons, lexicons, written texts."""

import json

import pytest
from fake_openai import FakeOpenAI, default_labels, rating

from emodistill import cli
from emodistill.annotate import load_prompt
from emodistill.annotate.compare import agreement
from emodistill.annotate.vocabulary import DescriptorVocabulary, read_counts, read_data_set
from emodistill.descriptors.lexicon import read_lexicon


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def write_rows(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return path


@pytest.fixture
def data(tmp_path):
    return write_rows(
        tmp_path / "d.jsonl",
        {"id": "1", "source": "a", "text": "x", "labels": ["Joy", "quiet relief"], "status": "ok"},
        {"id": "2", "source": "a", "text": "y", "labels": ["neutral"], "status": "ok"},
        {"id": "3", "source": "b", "text": "z", "labels": ["joy", "humour", "mild fear"], "status": "ok"},
        {"id": "4", "source": "b", "text": "w", "labels": ["humor", "humour"], "status": "ok"},
        {"id": "5", "source": "b", "text": "v", "labels": [], "status": "refused"},
    )


def test_figures_against_a_count_by_hand(data):
    vocabulary = DescriptorVocabulary.of(read_data_set(data))
    assert vocabulary.counts == {
        "humour": 2,
        "joy": 2,
        "humor": 1,
        "mild fear": 1,
        "neutral": 1,
        "quiet relief": 1,
    }
    assert vocabulary.statuses == {"ok": 4, "refused": 1} and vocabulary.sources == {"a": 2, "b": 2}
    assert vocabulary.facts == {
        "rows": 5,
        "texts": 4,
        "distinct": 6,
        "terms_a_text": 2.0,
        "neutral_share": 0.25,
        "used_once": 4,
        "phrases": 2,
        "half_of_all_uses": 2,
        "goemotions_covered": 2,
    }
    assert vocabulary.coverage["fear"] == {"exact": 0, "within": 1} and vocabulary.coverage["joy"]["exact"] == 2
    assert list(vocabulary.coverage) == list(load_prompt("closed").labels) and len(vocabulary.coverage) == 28
    merged = DescriptorVocabulary.of(read_data_set(data), merge_variants=True)
    assert merged.counts["humour"] == 2 and "humor" not in merged.counts
    assert read_counts(data, merge_variants=True) == merged.counts


def test_stats_print_plot_and_write(data, tmp_path, capsys):
    plot, figures, card = tmp_path / "v.png", tmp_path / "v.json", tmp_path / "README.md"
    argv = ["annotate", "stats", str(data), "--plot", str(plot), "--json", str(figures), "--card", str(card)]
    assert cli.main([*argv, "--licence", "cc-by-4.0"]) == 0
    out = capsys.readouterr().out
    assert "5 (ok 4, refused 1)" in out and "2 of 28" in out and "fear (1 within phrases)" in out
    assert plot.read_bytes()[:4] == b"\x89PNG" and json.loads(figures.read_text())["counts"]["joy"] == 2
    import yaml

    head, body = card.read_text().split("---\n")[1:3]
    assert yaml.safe_load(head)["license"] == "cc-by-4.0" and "| refused | 1 |" in body and "6 distinct" in body
    assert cli.main([*argv]) == 2 and "is there already" in capsys.readouterr().err
    assert cli.main(["annotate", "stats", str(data), "--plot", str(tmp_path / "v.docx")]) == 2


def test_a_card_tells_where_the_rows_come_from(tmp_path):
    (tmp_path / "t.txt").write_text("one\ntwo\n")
    with FakeOpenAI(lambda call, seen: "refusal" if call.texts == ["two"] else None) as server:
        argv = ["--input", str(tmp_path / "t.txt"), "--output", str(tmp_path / "o.jsonl"), "--model", "gpt-4o"]
        assert cli.main(["annotate", *argv, "--base-url", server.url, "--temperature", "0.5", "--quiet"]) == 0
    assert cli.main(["annotate", "stats", str(tmp_path / "o.jsonl"), "--card", str(tmp_path / "README.md")]) == 0
    card = (tmp_path / "README.md").read_text()
    assert "| gpt-4o | rich/1 " in card and "temperature 0.5" in card and "| 2 | 200 / 20 | $0.00 |" in card
    assert "| ok | 1 |" in card and "| refused | 1 |" in card  # though the output has only the good row


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{}\n", ["line 1", "labels"]),
        ('{"labels": ["joy"]}\n{', ["line 2"]),
        ("", ["it is empty"]),
        ("[1]\n", ["line 1"]),
    ],
)
def test_what_is_no_descriptor_data_set_is_told(tmp_path, capsys, content, words):
    path = tmp_path / "d.jsonl"
    path.write_text(content)
    assert cli.main(["annotate", "stats", str(path)]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and all(word in err for word in words)


def test_a_comparison_of_prompts(tmp_path, capsys):
    (tmp_path / "t.txt").write_text("".join(f"text {n}\n" for n in range(40)))

    def script(call, seen):
        if "nouns only" in call.body["messages"][0]["content"]:
            return "refusal" if call.texts[0] == "text 3" else {"content": '{"labels": ["neutral"]}'}
        return None

    with FakeOpenAI(script) as server:
        argv = ["annotate", "compare", "--input", str(tmp_path / "t.txt"), "--output", str(tmp_path / "c.json")]
        argv += ["--model", "gpt-4o", "--base-url", server.url, "--prompts", "rich", "nouns", "paper", "--quiet"]
        assert cli.main([*argv, "--sample", "40"]) == 0
        assert len(server.log) == 120
        assert cli.main([*argv, "--sample", "25"]) == 0 and len(server.log) == 120  # part of what was asked
    assert cli.main([*argv, "--sample", "0"]) == 2
    capsys.readouterr()
    result = json.loads((tmp_path / "c.json").read_text())
    rich, nouns, paper = result["prompts"]
    assert (rich["prompt"], rich["texts"], rich["terms_a_text"], rich["neutral_share"]) == ("rich/1", 25, 2.0, 0.0)
    assert nouns["neutral_share"] == 1.0 and nouns["distinct_terms"] == 1
    assert rich["distinct_terms"] == paper["distinct_terms"] and rich["cost"] > 0
    pairs = {tuple(one["prompts"]): one for one in result["agreement"]}
    assert pairs["rich/1", "paper/1"]["jaccard"] == 1.0 and pairs["rich/1", "nouns/1"]["overlap"] == 0.0


def test_a_comparison_counts_refusals(tmp_path, capsys):
    (tmp_path / "t.txt").write_text("".join(f"text {n}\n" for n in range(10)))
    with FakeOpenAI(lambda call, seen: "refusal" if call.texts[0] == "text 3" else None) as server:
        argv = ["annotate", "compare", "--input", str(tmp_path / "t.txt"), "--output", str(tmp_path / "c.json")]
        argv += ["--model", "llama", "--base-url", server.url, "--labels", "joy,fear,sadness"]
        argv += ["--prompts", "closed", "rich"]
        assert cli.main([*argv, "--max-asks", "1", "--quiet"]) == 0
        schema = server.log[0].body["response_format"]["json_schema"]["schema"]
        assert schema["properties"]["labels"]["items"]["enum"] == ["joy", "fear", "sadness"]
    out = capsys.readouterr().out
    closed, rich = json.loads((tmp_path / "c.json").read_text())["prompts"]
    outside = sum(not set(default_labels(f"text {n}")) <= {"joy", "fear", "sadness"} for n in range(10) if n != 3)
    assert outside and closed["invalid_share"] == outside / 10 and rich["invalid_share"] == 0
    assert closed["refused_share"] == rich["refused_share"] == 0.1
    assert "unknown" in out and "closed/1 and rich/1" in out
    assert cli.main([*argv[:-2], "rich", "rich"]) == 2 and "named twice" in capsys.readouterr().err


def test_agreement():
    first = {"a": ["joy", "relief"], "b": ["neutral"], "c": ["fear"]}
    second = {"a": ["joy"], "b": ["neutral"], "d": ["fear"]}
    assert agreement(first, second) == {"texts": 2, "jaccard": 0.75, "overlap": 1.0, "neutral": 1.0}
    assert agreement(first, {})["jaccard"] is None


def test_a_lexicon_is_rated_and_goes_on(tmp_path, capsys):
    labels = [f"{word} {mood}" for word in ("quiet", "loud", "deep") for mood in ("joy", "fear", "anger", "awe")]
    data = write_rows(tmp_path / "d.jsonl", *({"labels": [label, "joy"]} for label in labels))
    output = tmp_path / "lexicon.tsv"
    argv = ["annotate", "lexicon", "--input", str(data), "--output", str(output), "--model", "gpt-4o"]
    with FakeOpenAI(lambda call, seen: "count" if seen == 0 and len(call.texts) == 5 else None) as server:
        argv += ["--base-url", server.url, "--descriptors-per-request", "5", "--quiet"]
        assert cli.main([*argv, "--limit", "6"]) == 1
        assert len(read_lexicon(output)) == 6
        assert cli.main(argv) == 0
        asked = len(server.log)
        assert cli.main(argv) == 0 and len(server.log) == asked
        expected = {term: {**rating(term), "implies": ["joy", "calm"]} for term in [*labels, "joy"]}
        assert read_lexicon(output) == expected
        assert cli.main([*argv, "--min-count", "2", "--store", str(tmp_path / "other.sqlite")]) == 2  # not its output
        other = [*argv[:4], "--output", str(tmp_path / "l2.tsv"), *argv[6:]]
        assert cli.main([*other, "--known", str(output)]) == 0 and len(server.log) == asked
        assert (tmp_path / "l2.tsv").read_text() == output.read_text()
    first = output.read_text().splitlines()
    assert first[0] == "descriptor\tvalence\tarousal\tdominance\timplies" and first[1].endswith("\tjoy, calm")
    assert [line.split("\t")[0] for line in first[1:]] == sorted(expected)


def test_texts_are_written_by_genre(tmp_path, capsys):
    output = tmp_path / "w.jsonl"
    argv = ["annotate", "write", "--genres", "Customer review", "diary", "--count", "25", "--output", str(output)]
    with FakeOpenAI() as server:
        argv += ["--model", "gpt-4o", "--base-url", server.url, "--quiet"]
        assert cli.main(argv) == 0 and len(server.log) == 6
        assert cli.main(argv) == 0 and len(server.log) == 6
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert len(rows) == 50 and len({row["id"] for row in rows}) == 50
    assert rows[0]["id"] == "customer-review-1-1" and rows[0]["genre"] == "Customer review"
    assert rows[0]["labels"] == default_labels("0") and rows[0]["source"] == "written" and rows[0]["status"] == "ok"
    assert cli.main([*argv[:2], *argv[5:]]) == 2 and "genres" in capsys.readouterr().err
