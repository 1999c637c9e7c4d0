"""What the teacher reads with ratings, and what it writes: by genre, by specification, as contrasts."""

import json

import pytest
from fake_openai import FakeOpenAI, default_labels, rating

from emodistill import cli
from emodistill.annotate import Settings, load_prompt
from emodistill.annotate.written import contrast_rows, specifications, write_texts

DIMENSIONS = ("valence", "arousal", "dominance")


@pytest.fixture(autouse=True)
def key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def command(name, server, output, *more):
    return cli.main(
        ["annotate", name, "--output", str(output), "--model", "gpt-4o", "--base-url", server.url, "--quiet", *more]
    )


def rows_of(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.mark.parametrize("prompt", ["written", "specification", "contrasts"])
def test_what_writing_costs_is_told_before_it_is_asked(tmp_path, prompt, capsys):
    more = {"written": ["--genres", "diary"], "specification": [], "contrasts": ["--themes", "negation"]}[prompt]
    argv = ["annotate", "write", "--prompt", prompt, "--count", "20", "--output", str(tmp_path / "o.jsonl"), *more]
    with FakeOpenAI() as server:
        assert cli.main([*argv, "--model", "gpt-4o", "--base-url", server.url]) == 0 and server.log
    assert "cost:   about $" in capsys.readouterr().err


@pytest.mark.parametrize("size", ["1", "4"])
def test_texts_are_read_with_ratings(tmp_path, size):
    (tmp_path / "t.txt").write_text("".join(f"text {n}\n" for n in range(9)))
    output = tmp_path / "rated.jsonl"
    argv = ["--input", str(tmp_path / "t.txt"), "--texts-per-request", size]
    with FakeOpenAI() as server:
        assert command("rate", server, output, *argv) == 0
        assert server.log[0].body["response_format"]["json_schema"]["name"] == "rated"
        asked = len(server.log)
        assert command("run", server, output, "--prompt", "rated", *argv) == 0 and len(server.log) == asked
    for row in rows_of(output):
        expected = {"labels": default_labels(row["text"]), **{n: rating(row["text"])[n] for n in DIMENSIONS}}
        assert {name: row[name] for name in expected} == expected and row["status"] == "ok"


def test_ratings_come_through_batches_and_without_schemas(tmp_path):
    (tmp_path / "t.txt").write_text("one\ntwo\n")
    argv = ["--input", str(tmp_path / "t.txt"), "--prompt", "rated"]
    with FakeOpenAI() as server:
        assert command("batch", server, tmp_path / "b.jsonl", *argv, "--poll", "0") == 0
    with FakeOpenAI(structured=False) as server:
        assert command("run", server, tmp_path / "r.jsonl", *argv) == 0
    for name in ("b.jsonl", "r.jsonl"):
        assert [row["valence"] for row in rows_of(tmp_path / name)] == [rating(t)["valence"] for t in ("one", "two")]


@pytest.mark.parametrize(
    ("answer", "word"),
    [
        ({"labels": ["joy"]}, "valence"),
        ({"labels": ["joy"], "valence": 12, "arousal": 5, "dominance": 5}, "valence"),
        ({"labels": [], "valence": 2, "arousal": 5, "dominance": 5}, "empty"),
        ({"labels": ["joy"], "valence": 2, "arousal": "5", "dominance": 5}, "arousal"),
    ],
)
def test_a_reading_that_lacks_something_is_asked_again_with_the_reason(tmp_path, answer, word):
    (tmp_path / "t.txt").write_text("one\n")
    answer = {"content": json.dumps(answer)}
    with FakeOpenAI(lambda call, seen: answer if seen == 0 else None) as server:
        assert command("rate", server, tmp_path / "r.jsonl", "--input", str(tmp_path / "t.txt")) == 0
        assert word in server.log[1].body["messages"][-1]["content"]


def test_texts_are_written_by_specification(tmp_path):
    output = tmp_path / "s.jsonl"
    with FakeOpenAI() as server:
        argv = ["--prompt", "specification", "--count", "30"]
        assert command("write", server, output, *argv) == 0 and len(server.log) == 3
        assert command("write", server, output, *argv) == 0 and len(server.log) == 3
        assert command("write", server, output, "--prompt", "specification", "--count", "40") == 0
        assert len(server.log) == 4  # the same draw, and ten more
        assert command("write", server, tmp_path / "d.jsonl", *argv, "--draw-seed", "1", "--genres", "haiku") == 0
    rows = rows_of(output)
    assert len({row["id"] for row in rows}) == len(rows) > 35
    assert all(row["source"] == "written" and row["selection"] == "by specification" for row in rows)
    assert {row["genre"] for row in rows} <= set(load_prompt("specification").draw["genre"])
    assert all(row["labels"] == default_labels(row["text"]) and row["status"] == "ok" for row in rows)
    assert {row["genre"] for row in rows_of(tmp_path / "d.jsonl")} == {"haiku"}


@pytest.mark.parametrize("count", [0, 10**30])
def test_no_text_and_more_than_anybody_needs_are_refused_at_once(tmp_path, count):
    with pytest.raises(ValueError, match="count"):
        write_texts(count, tmp_path / "o.jsonl", Settings(model="gpt-4o", prompt="written"), genres=["diary"])


def test_what_is_drawn_is_balanced():
    prompt = load_prompt("specification")
    drawn = [one for item in specifications(prompt, [], 4000, 10, 3) for one in item["specifications"]]
    feelings = [one["feeling"] for one in drawn]
    assert (
        0.1 < feelings.count("neutral") / 4000 < 0.15
        and 0.45 < sum("constraint" in one for one in drawn) / 4000 < 0.55
    )
    counts = [feelings.count(one) for one in prompt.draw["feeling"]]
    assert max(counts) - min(counts) <= 1
    assert specifications(prompt, [], 20, 10, 3) == specifications(prompt, [], 4000, 10, 3)[:2]


def test_groups_of_contrasts_are_written_by_theme(tmp_path, capsys):
    output = tmp_path / "c.jsonl"
    argv = ["--prompt", "contrasts", "--themes", "negation", "people", "--count", "7"]
    with FakeOpenAI() as server:
        assert command("write", server, output, *argv) == 0 and len(server.log) == 4
        assert "denied" in server.log[0].body["messages"][-1]["content"]
        assert command("write", server, output, *argv) == 0 and len(server.log) == 4
        assert command("write", server, tmp_path / "x.jsonl", "--prompt", "contrasts", "--themes", "nothing") == 2
        assert "nothing" in capsys.readouterr().err
        assert command("write", server, tmp_path / "x.jsonl", "--prompt", "contrasts", "--genres", "diary") == 2
        assert command("write", server, tmp_path / "x.jsonl", "--themes", "people", "--genres", "diary") == 2
    rows = rows_of(output)
    assert [row["group"] for row in rows] == [n // 2 for n in range(28)]
    names = ["id", "source", "selection", "theme", "group", "text", "labels", *DIMENSIONS, "status"]
    assert list(rows[0]) == names and {row["theme"] for row in rows} == {"negation", "people"}
    assert all(row["source"] == "contrast" and row["valence"] == rating(row["text"])["valence"] for row in rows)


def test_each_group_of_contrasts_may_start_from_a_seed(tmp_path):
    output, prompt = tmp_path / "c.jsonl", load_prompt("everyday")
    argv = ["--prompt", "everyday", "--themes", "outcome", "degrees", "--count", "7"]
    with FakeOpenAI() as server:
        assert command("write", server, output, *argv) == 0 and len(server.log) == 4
        questions = [call.body["messages"][-1]["content"].split("\n") for call in server.log]
        assert command("write", server, output, *argv) == 0 and len(server.log) == 4  # the same seeds: nothing anew
        assert command("write", server, output, *argv, "--draw-seed", "5") == 0 and len(server.log) == 8
    seeds = [json.loads(line) for question in questions for line in question[1:]]
    assert sorted(len(question) - 1 for question in questions) == [2, 2, 5, 5]
    assert all(one["register"] in prompt.draw["genre"] and 2 <= one["texts"] <= 4 for one in seeds)
    assert all(len(set(one["feelings"])) == len(set(one["topics"])) == 2 for one in seeds)
    assert len({json.dumps(one["topics"]) for one in seeds}) > 10
    rows = rows_of(output)
    assert len(rows) == 28 and {row["selection"] for row in rows} == {"everyday"}


def test_a_group_with_a_text_seen_before_is_left_out():
    one, two, three = ({"text": text} for text in ("a", "b", "c"))
    rows = list(contrast_rows([({"theme": "t"}, [[one, two], [two, three]]), ({"theme": "t"}, [[three, one]])]))
    assert [(row["text"], row["group"]) for row in rows] == [("a", 0), ("b", 0)]


@pytest.mark.parametrize(
    ("group", "word"),
    [
        ([{"text": "a"}], "group 1"),
        ([{"text": "a", "labels": ["joy"], "valence": 5, "arousal": 5, "dominance": 5}], "two to five"),
        ([{"text": "a", "labels": ["joy"], "valence": 5, "arousal": 5, "dominance": 5}] * 2, "different"),
        ("text", "list of texts"),
    ],
)
def test_a_group_that_is_none_is_asked_again_with_the_reason(tmp_path, group, word):
    answer = {"content": json.dumps({"groups": [{"texts": group}]})}
    argv = ["--prompt", "contrasts", "--themes", "care", "--count", "1"]
    with FakeOpenAI(lambda call, seen: answer if seen == 0 else None) as server:
        assert command("write", server, tmp_path / "c.jsonl", *argv) == 0
        assert word in server.log[1].body["messages"][-1]["content"]


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('task = "contrasts"', "themes"),
        ('task = "contrasts"\n[themes]\na = 1', "themes"),
        ('task = "specification"', "draw"),
        ('task = "specification"\n[draw]\ngenre = ["a"]\nfeeling = ["b"]', "topic"),
        ('task = "specification"\n[draw]\ngenre = []\nfeeling = ["b"]\ntopic = ["c"]', "draw"),
        ('task = "descriptors"\n[draw]\ncolour = ["a"]', "draw"),
        ('task = "contrasts"\n[themes]\na = "b"\n[draw]\ngenre = ["a"]', "topic"),
    ],
)
def test_a_prompt_without_its_tables_is_told(tmp_path, text, word):
    path = tmp_path / "mine.toml"
    path.write_text(f'name = "a"\nversion = "1"\nsystem = "x"\n{text}', "utf-8")
    with pytest.raises(ValueError, match=word):
        load_prompt(str(path))
