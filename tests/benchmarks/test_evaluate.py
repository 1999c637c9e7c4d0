"""The whole suite from the command line, on a tiny checkpoint and made-up files."""

import importlib.util
import json
import re

import numpy as np
import pytest
import tiny
from quick_measures import labels_where_they_fall

from emodistill.benchmarks import systems
from emodistill.benchmarks.cache import EmbeddingCache
from emodistill.benchmarks.cli import evaluate
from emodistill.benchmarks.plots import plot_emotion_space, valence_arousal
from emodistill.benchmarks.result_tables import ResultTable
from emodistill.cli import main

pytestmark = pytest.mark.filterwarnings("ignore:.*are published")


@pytest.fixture(scope="module")
def results(checkpoint, make_checkpoint, data_dir, tmp_path_factory):
    """One full run with every baseline that needs no real weights; how labels are moved apart is tried below."""
    output = tmp_path_factory.mktemp("results")
    other = make_checkpoint("other", seed=9)
    arguments = [checkpoint, "--data-dir", data_dir, "--output", str(output), "--compare", other, "--report"]
    arguments += ["--replicates", "60", "--cache-dir", str(output / "cache"), "--quiet"]
    with labels_where_they_fall():
        assert main(["evaluate", *arguments]) == 0
    return output, json.loads((output / "results.json").read_text())


@pytest.mark.slow
def test_absent_sets_are_skipped_with_what_to_download(results):
    _, suite = results
    assert list(suite["benchmarks"]) == ["goemotions", "semeval2025-eng", "goemotions-ekman", "isear", "emobank"]
    assert any(line.startswith("meld: not in") and "https://" in line for line in suite["skipped"])


@pytest.mark.slow
def test_every_system_meets_every_protocol(results):
    _, suite = results
    assert suite["systems"] == ["tiny", "other", "untrained"]
    goemotions = suite["benchmarks"]["goemotions"]
    for measured in goemotions["systems"].values():
        assert list(measured["protocols"]) == ["strict", "paper", "per-label", "transductive"]
    assert list(goemotions["references"]) == ["majority", "random", "every label"]
    assert list(suite["benchmarks"]["isear"]["systems"]["tiny"]["protocols"]) == ["strict", "paper", "transductive"]
    assert list(suite["benchmarks"]["emobank"]["systems"]["tiny"]["readouts"]) == ["head", "pair", "poles"]
    assert list(suite["benchmarks"]["emobank"]["systems"]["untrained"]["readouts"]) == ["pair", "poles"]
    assert {row["second"] for row in goemotions["comparisons"]} == {"other", "untrained"}
    assert len(goemotions["rank_correlations"]) == 6
    assert suite["benchmarks"]["isear"]["published"][0]["value"] == 0.479


@pytest.mark.slow
def test_intervals_hold_the_values(results):
    _, suite = results
    for result in suite["benchmarks"].values():
        for measured in result["systems"].values():
            for entry in measured.get("protocols", {}).values():
                interval = entry["macro_f1_interval"]
                assert interval["low"] <= interval["high"] and 0 <= entry["macro_f1"] <= 1


@pytest.mark.slow
def test_page_names_protocols_and_describes_every_picture(results):
    output, _ = results
    page = (output / "report.html").read_text()
    images = re.findall(r"<img [^>]*>", page)
    assert len(images) == len(list((output / "plots").iterdir())) >= 15
    assert all(re.search(r'alt="[^"]{60,}"', image) for image in images)
    text = (output / "results.md").read_text()
    for name in ("`strict`", "`paper`", "`per-label`", "`transductive`", "Paired bootstrap", "2505.18040"):
        assert name in text
    assert "LIMITED" not in text
    assert {path.name for path in (output / "plots").iterdir()} >= {
        "emotion-space.png",
        "goemotions-ekman-confusion.png",
        "emobank-valence-arousal.png",
        "goemotions-reliability.png",
        "semeval2025-eng-per-label-f1.png",
        "goemotions-thresholds.png",
    }


@pytest.mark.slow
def test_second_run_computes_no_embedding(results, checkpoint, data_dir, monkeypatch, capsys, no_pictures):
    output, suite = results
    monkeypatch.setattr("emodistill.encoding_emodistill.encode_texts", None)  # calling it would fail
    arguments = [checkpoint, "--data-dir", data_dir, "--benchmarks", "all", "--no-untrained", "--quiet"]
    arguments += ["--output", str(output / "again"), "--cache-dir", str(output / "cache"), "--replicates", "60"]
    assert evaluate(arguments) == 0
    again = json.loads((output / "again" / "results.json").read_text())
    first, second = (s["benchmarks"]["emobank"]["systems"]["tiny"]["readouts"] for s in (suite, again))
    assert first == second
    assert "| tiny | strict |" in capsys.readouterr().out


def test_limit_is_marked(checkpoint, data_dir, tmp_path, capsys, no_pictures):
    arguments = [checkpoint, "--data-dir", data_dir, "--benchmarks", "semeval2025-eng", "--limit", "12", "--no-cache"]
    assert main(["evaluate", *arguments, "--output", str(tmp_path), "--replicates", "20", "--report", "--quiet"]) == 0
    suite = json.loads((tmp_path / "results.json").read_text())
    assert suite["limit"] == 12 and suite["benchmarks"]["semeval2025-eng"]["rows"] == 12
    for text in (
        capsys.readouterr().out,
        (tmp_path / "results.md").read_text(),
        (tmp_path / "report.html").read_text(),
    ):
        assert "LIMITED" in text


def test_named_absent_set_exits_1(checkpoint, data_dir, tmp_path, capsys):
    assert (
        main(["evaluate", checkpoint, "--data-dir", data_dir, "--benchmarks", "meld", "--output", str(tmp_path)]) == 1
    )
    error = capsys.readouterr().err
    assert "meld: not in" in error and "test_sent_emo.csv" in error and not list(tmp_path.iterdir())


def test_absent_split_of_a_named_set_exits_1(checkpoint, data_dir, capsys):
    assert main(["evaluate", checkpoint, "--data-dir", data_dir, "--benchmarks", "emobank:test"]) == 1
    assert "emobank" in capsys.readouterr().err


def test_user_mistakes_are_one_sentence(checkpoint, data_dir, tmp_path, capsys):
    assert main(["evaluate", checkpoint, "--data-dir", data_dir, "--benchmarks", "goemotion"]) == 2
    assert "no benchmark 'goemotion'" in capsys.readouterr().err
    assert main(["evaluate", str(tmp_path / "none"), "--data-dir", data_dir, "--benchmarks", "isear"]) == 2
    assert "none" in capsys.readouterr().err
    assert main(["evaluate", checkpoint, "--data-dir", str(tmp_path / "nowhere")]) == 2
    assert "--data-dir" in capsys.readouterr().err


def test_missing_libraries_are_one_sentence(checkpoint, data_dir, monkeypatch, capsys):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "sklearn" else find(name))
    assert main(["evaluate", checkpoint, "--data-dir", data_dir]) == 2
    assert "emodistill[benchmarks]" in capsys.readouterr().err


def test_damaged_file_gives_file_and_line(checkpoint, tmp_path, capsys):
    (tmp_path / "goemotions").mkdir()
    (tmp_path / "goemotions" / "test.tsv").write_text("fine\t27\tx\nbroken line\n")
    assert main(["evaluate", checkpoint, "--data-dir", str(tmp_path)]) == 2
    assert "test.tsv, line 2" in capsys.readouterr().err


def test_checkpoint_without_background_has_no_strict_row_unless_source_texts_are_there(
    make_checkpoint, data_dir, tmp_path, no_pictures
):
    bare = make_checkpoint("bare", background=False)
    arguments = [bare, "--data-dir", data_dir, "--benchmarks", "semeval2025-eng", "--no-cache", "--no-untrained"]
    assert evaluate([*arguments, "--output", str(tmp_path / "a"), "--replicates", "20", "--quiet"]) == 0
    suite = json.loads((tmp_path / "a" / "results.json").read_text())
    assert "strict" in suite["benchmarks"]["semeval2025-eng"]["systems"]["bare"]["protocols"]
    arguments[2] = str(tmp_path / "other")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "semeval2025-eng").symlink_to(f"{data_dir}/semeval2025-eng")
    assert evaluate([*arguments, "--output", str(tmp_path / "b"), "--replicates", "20", "--quiet"]) == 0
    suite = json.loads((tmp_path / "b" / "results.json").read_text())
    assert "strict" not in suite["benchmarks"]["semeval2025-eng"]["systems"]["bare"]["protocols"]


def test_cache_replaces_damaged_files_and_keys_by_content(tmp_path):
    cache, calls = EmbeddingCache(tmp_path), []

    def compute(texts):
        calls.append(list(texts))
        return np.ones((len(texts), 2))

    cache.get("model", ["a", "b"], compute)
    cache.get("model", ["a", "b"], compute)
    assert calls == [["a", "b"]] and cache.hits == 1
    cache.get("model", ["ab"], compute)
    cache.get("other model", ["a", "b"], compute)
    assert len(calls) == 3
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:20])
    assert cache.get("model", ["a", "b"], compute).shape == (2, 2) and len(calls) == 4
    assert not list(tmp_path.glob("*.part"))


def test_weights_decide_the_fingerprint(make_checkpoint):
    first = systems.load_system(make_checkpoint("one", seed=1))
    again = systems.load_system(make_checkpoint("two", seed=1))
    other = systems.load_system(make_checkpoint("three", seed=2))
    assert first.fingerprint == again.fingerprint != other.fingerprint


def test_raw_encoder_is_plain_cosine_of_mean_states(tmp_path):
    import torch
    from transformers import AutoModel, BertConfig

    tokenizer = tiny.tokenizer()
    config = BertConfig(vocab_size=len(tokenizer), hidden_size=24, num_hidden_layers=1, num_attention_heads=2)
    encoder = AutoModel.from_config(config).eval()
    encoder.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    system = systems.load_raw_encoder(str(tmp_path))
    scores = system.label_scores("multi-label", ["we won", "rain again today"], ["joy", "fear"])

    def embed(text):
        encoded = tokenizer(text, return_tensors="pt")
        with torch.no_grad():
            states = encoder(**encoded).last_hidden_state[0]
        return torch.nn.functional.normalize(states.mean(dim=0), dim=-1)

    expected = [
        [float(embed(text) @ embed(label)) for label in ("joy", "fear")] for text in ("we won", "rain again today")
    ]
    assert scores.similarities == pytest.approx(np.array(expected), abs=1e-5)
    assert scores.strict is None  # no background, nothing strict
    assert systems.load_raw_encoder(str(tmp_path)).fingerprint == system.fingerprint


@pytest.mark.parametrize("task", ["multi-label", "single-label"])
def test_strict_is_what_a_user_of_the_pipeline_gets(checkpoint, task):
    from transformers import pipeline

    texts, labels = ["we won the cake", "rain again", "x " * 80], ["joy", "anger", "neutral", "grief", "fear", "love"]
    strict = systems.load_system(checkpoint).label_scores(task, texts, labels).strict
    outputs = pipeline("zero-shot-emotion", model=checkpoint)(texts, labels=labels, multi_label=task == "multi-label")
    shown = [[output["scores"][output["labels"].index(label)] for label in labels] for output in outputs]
    assert strict == pytest.approx(np.array(shown), abs=1e-5)


def test_nli_baseline_reads_pairs(tmp_path):
    from transformers import BertConfig, BertForSequenceClassification

    tokenizer = tiny.tokenizer()
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    names = {0: "ENTAILMENT", 1: "neutral", 2: "contradiction"}
    config = BertConfig(vocab_size=len(tokenizer), id2label=names, label2id={v: k for k, v in names.items()}, **shape)
    BertForSequenceClassification(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    system = systems.load_nli(str(tmp_path), batch_size=3)
    scores = system.label_scores("multi-label", ["we won", "rain"], ("joy", "fear", "love"), ["cake"])
    assert scores.strict.shape == (2, 3) and scores.calibration.shape == (1, 3)
    alone = systems.load_nli(str(tmp_path), batch_size=1).score(["rain"], ("love",))
    assert scores.strict[1, 2] == pytest.approx(alone[0, 0], abs=1e-5)
    assert system.dimension_scores(["we won"], ("valence",), (1, 5))["pair"].shape == (1, 1)


def test_gliclass_says_what_to_install(tmp_path):
    with pytest.raises(ImportError, match="pip install gliclass"):
        systems.load_gliclass(str(tmp_path))


def test_an_undefined_correlation_is_a_dash_everywhere(checkpoint, tmp_path, capsys, quick_pictures):
    """Nobody's dominance varies, and no model's correlation with it is defined."""
    rows = "".join(f"e{n},dev,{1 + n % 4}.0,{1 + n % 3}.5,3.0,we won {n}\n" for n in range(12))
    (tmp_path / "emobank").mkdir()
    (tmp_path / "emobank" / "emobank.csv").write_text("id,split,V,A,D,text\n" + rows)
    command = ["evaluate", checkpoint, "--data-dir", str(tmp_path), "--benchmarks", "emobank", "--replicates", "20"]
    assert main([*command, "--no-cache", "--report", "--quiet", "--output", str(tmp_path / "out")]) == 0
    shown = [capsys.readouterr().out, *((tmp_path / "out" / f"{name}").read_text() for name in ("results.md",))]
    for text in shown:
        row = next(line for line in text.splitlines() if line.startswith("| tiny |"))
        cells = [cell.strip() for cell in row.split("|")[1:-1]]
        assert cells[11:13] == ["–", "–"] and cells[3] != "–" and "| nan" not in text
    suite = json.loads((tmp_path / "out" / "results.json").read_text())
    measured = next(iter(suite["benchmarks"]["emobank"]["systems"]["tiny"]["readouts"].values()))
    assert measured["dimensions"]["dominance"]["pearson"] is None and measured["mean_pearson"] is None
    assert "r = –" in valence_arousal_without_arousal(suite["benchmarks"]["emobank"]).alt


def valence_arousal_without_arousal(result):
    """The picture of a result whose correlation with arousal is undefined."""
    for measured in result["systems"].values():
        for entry in measured["readouts"].values():
            entry["dimensions"]["arousal"]["pearson"] = None
    return valence_arousal("emobank", result)


def test_table_escapes_what_would_break_it():
    table = ResultTable("T", ["a"], [["x|y <b>"]])
    assert "x\\|y" in table.markdown() and "&lt;b&gt;" in table.html()


def test_labels_of_the_emotion_space_lie_apart():
    """Ten labels in two heaps: none on another, and none off the page."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg

    heaps = np.repeat([[0.0, 0.3, 0.0], [0.4, 0.0, 0.1]], 5, axis=0) + np.arange(10)[:, None] / 500
    labels = [f"feeling number {number}" for number in range(10)]
    figure = plot_emotion_space(labels, heaps, np.arange(10)).figure
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    boxes = [text.get_window_extent(canvas.get_renderer()) for text in figure.axes[0].texts if text.get_text()]
    assert len(boxes) == 10
    assert not [(a, b) for place, a in enumerate(boxes) for b in boxes[:place] if a.overlaps(b)]
    assert all(figure.bbox.contains(*corner) for box in boxes for corner in box.corners())
