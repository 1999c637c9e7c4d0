"""The speed suite on a tiny model: every part gives its table and picture; what it takes is nobody's business here."""

import io
import json
import sys

import pytest
import torch

from emodistill.benchmarks.speed import cli, peers, processes, systems
from emodistill.benchmarks.speed.speed_tables import COLUMNS, speed_page
from emodistill.benchmarks.speed.throughput import SpeedSettings
from emodistill.benchmarks.speed.timing import in_turn, median_ratio, percentiles
from emodistill.encoding_emodistill import encode_texts

ONE_PROCESS = [name for name in cli.PARTS if name not in ("cold", "import", "sizes")]
SMALL = SpeedSettings(
    texts=4, repeats=1, batch_size=2, labels=3, label_numbers=(2, 40), lengths=(2, 30), batch_sizes=(1, 2),
    thread_numbers=(1,), backends=("torch fp32", "torch bf16"),
)  # fmt: skip


@pytest.fixture(scope="module")
def results(checkpoint, tmp_path_factory):
    """What the suite measures of a tiny checkpoint and a random peer."""
    folder = str(tmp_path_factory.mktemp("exports"))
    return {"command": "speed", **cli.measure(checkpoint, folder, ONE_PROCESS, SMALL, threads=1, peer_names=["NLI"])}


@pytest.mark.slow
def test_every_part_measures(results):
    page = speed_page(results)
    print(page)
    for name in ONE_PROCESS:
        assert f"**{COLUMNS[name][0]}**" in page
        keys = {key for key, _, _ in COLUMNS[name][1]}
        assert all(set(row) & keys for row in results["parts"][name])
        figures = [value for row in results["parts"][name] for value in row.values() if isinstance(value, float)]
        assert figures and min(figures) > 0
    labels = results["parts"]["labels"]
    assert {row["labels"] for row in labels if row["system"].startswith("emodistill")} == {2, 40}
    assert {row["system"] for row in results["parts"]["backends"]} >= {
        "text tower, torch fp32", "emodistill, torch bf16", "zero-shot-classification (NLI)",
    }  # fmt: skip
    latency = {row["system"]: row for row in results["parts"]["latency"]}
    assert latency["emodistill, torch fp32"]["times_the_bare_forward"] > 0
    assert "times_the_bare_forward" not in latency["text tower, torch fp32"]


@pytest.mark.slow
def test_an_earlier_run_is_shown_and_drawn(results, tmp_path, capsys):
    pytest.importorskip("matplotlib")
    (tmp_path / "run.json").write_text(json.dumps(results), encoding="utf-8")
    assert cli.main(["--show", str(tmp_path / "run.json"), "--output", str(tmp_path / "shown")]) == 0
    written = (tmp_path / "shown" / "speed.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out == written == speed_page(results)
    drawn = {path.name for path in (tmp_path / "shown").glob("*.png")}
    assert drawn == {f"speed-{name}.png" for name in ("labels", "lengths", "batches", "threads", "latency")}


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--parts", "labels,speed"], "'speed' is none of backends, labels"),
        (["--texts", "0"], "must be a positive whole number, not '0'"),
        (["--peers", "BART"], "'BART' is none of NLI"),
        (["--show", "nowhere.json"], "nowhere.json"),
        (["--show", "FILE"], "FILE is no speed.json of this suite"),
    ],
)
def test_bad_arguments_are_told_in_a_sentence(arguments, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "FILE").write_text("[]", encoding="utf-8")
    try:
        status = cli.main(arguments)
    except SystemExit as end:
        status = end.code
    assert status == 2
    assert told in capsys.readouterr().err.splitlines()[-1]


def test_absent_peers_are_named_as_pip_names_them(monkeypatch):
    monkeypatch.setattr(peers.importlib.util, "find_spec", lambda name: None)
    assert peers.missing() == ["gliclass", "sentence-transformers"]
    assert peers.missing(["NLI"]) == []
    assert peers.peers("nowhere", "nowhere", ["GLiClass"]) == {}


def test_arms_take_turns():
    calls, now = [], [0.0]

    def arm(name, seconds):
        def run():
            calls.append(name)
            now[0] += seconds

        return run

    seconds = in_turn({"slow": arm("slow", 3.0), "fast": arm("fast", 1.0)}, repeats=2, clock=lambda: now[0])
    assert calls == ["fast", "slow", "slow", "fast", "fast", "slow"]  # the first round warms up
    assert seconds == {"slow": [3.0, 3.0], "fast": [1.0, 1.0]}
    assert median_ratio(seconds["slow"], seconds["fast"]) == 3.0
    assert percentiles([1.0] * 99 + [5.0])["p50"] == 1.0


def test_the_bare_tower_is_that_of_the_classifier(classify):
    texts = ["i am so happy", "rage", "she cried in the rain"]
    found = torch.cat(systems.tower_of(classify, texts, 2)())
    by_length = sorted(texts, key=lambda text: len(classify.tokenizer(text)["input_ids"]))
    torch.testing.assert_close(found, encode_texts(classify.model, classify.tokenizer, by_length))


@pytest.mark.parametrize("kind", ["torch", "nli"])
def test_a_fresh_process_answers(kind, checkpoint, tmp_path, monkeypatch, capsys):
    folder = checkpoint if kind == "torch" else peers.save_nli(checkpoint, tmp_path / "nli")
    monkeypatch.setattr(sys, "argv", ["-c", kind, str(folder), "joy,fear"])
    exec(compile(processes.ANSWER, "answer", "exec"), {})
    loaded, answered, again, memory = map(float, io.StringIO(capsys.readouterr().out).read().split())
    assert 0 < loaded < answered and again > 0 and memory > 10


def test_a_process_that_fails_is_told():
    with pytest.raises(RuntimeError, match="a fresh process failed: ValueError: no"):
        processes._numbers("raise ValueError('no')")
