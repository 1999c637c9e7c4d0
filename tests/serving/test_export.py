"""Exports: the same answers as the checkpoint, refused where they are not, without torch, for both encoders."""

import copy
import dataclasses
import itertools
import json
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import types

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file
from transformers import AutoTokenizer, MPNetConfig, pipeline
from transformers.pipelines.pt_utils import KeyDataset

import emodistill
from emodistill import EmoDistillModel, cli
from emodistill.benchmarks.readers import MULTI_LABEL, SINGLE_LABEL
from emodistill.benchmarks.speed.systems import tower_of
from emodistill.benchmarks.systems import load_system
from emodistill.decision_emodistill import score_labels
from emodistill.demo import static_page
from emodistill.labels_emodistill import LabelSet
from emodistill.normalisation_emodistill import normalise_text, spell_emoji
from emodistill.serving import export as exporting
from emodistill.serving import export_check, export_graphs
from emodistill.serving.onnx import OnnxEmotionClassifier
from emodistill.serving.safetensors_file import read_safetensors
from emodistill.tokenizing_emodistill import tokenize_texts

pytest.importorskip("onnxscript")
pytestmark = pytest.mark.slow  # tracing four towers

TEXTS = [
    "my dog is lost", "", "we won the day", "a", "so very happy 😂",
    "my birthday was on the train and the rain cried " * 6, "the sun is not angry",
]  # fmt: skip


def save(folder, model, tokenizer):
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory, tiny_model, tokenizer, checkpoint):
    """Folders of tiny checkpoints by encoder: BERT with a reference vocabulary, MPNet with relative positions."""
    torch.manual_seed(3)
    # Positions of several buckets: those of the traced length must not be kept for others.
    encoder = MPNetConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=1, num_attention_heads=4, intermediate_size=48,
        max_position_embeddings=66, pad_token_id=0,
    )  # fmt: skip
    mpnet = tiny_model(text_config=encoder, pooling="mean", text_max_length=64)
    for tower in (mpnet.text_encoder, mpnet.label_encoder):  # a fresh bias is all but zero, and hides mistakes
        with torch.no_grad():
            tower.encoder.relative_attention_bias.weight.normal_()
    return {"bert": checkpoint, "mpnet": save(tmp_path_factory.mktemp("mpnet"), mpnet, tokenizer)}


@pytest.fixture(scope="module", autouse=True)
def traced_once(tmp_path_factory):
    """Tracing a tower takes seconds whatever its size: each checkpoint's are traced once and then copied."""
    kept, original = {}, export_graphs.export_towers

    def export_towers(model, folder):
        key = model.config.text_config.model_type
        if key not in kept:
            kept[key] = original(model, str(tmp_path_factory.mktemp(key)))
        files = {tower: os.path.join(folder, os.path.basename(path)) for tower, path in kept[key].items()}
        for tower, path in kept[key].items():
            shutil.copy(path, files[tower])
        return files

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(export_graphs, "export_towers", export_towers)
        yield


@pytest.fixture(scope="module")
def exports(tmp_path_factory, checkpoints, traced_once):
    """Their exports in fp32."""
    folder = tmp_path_factory.mktemp("exports")
    for name, path in checkpoints.items():
        exporting.export(str(path), str(folder / name), labels="joy, anger")
    return folder


@pytest.fixture(scope="module", params=["bert", "mpnet"])
def pair(request, checkpoints, exports):
    """A checkpoint's pipeline and its export."""
    folder = checkpoints[request.param]
    classify = pipeline(
        emodistill.TASK, model=EmoDistillModel.from_pretrained(folder),
        tokenizer=AutoTokenizer.from_pretrained(folder), device="cpu",
    )  # fmt: skip
    return classify, emodistill.load(str(exports / request.param))


def assert_alike(first, second, tolerance=1e-4):
    assert len(first) == len(second)
    for ours, theirs in zip(first, second, strict=True):
        assert ours["sequence"] == theirs["sequence"]
        for part in ("scores", "dimensions"):
            if part in ours:
                mine, other = (
                    dict(zip(row["labels"], row["scores"], strict=True)) if part == "scores" else row[part]
                    for row in (ours, theirs)
                )
                assert mine.keys() == other.keys()
                assert all(mine[name] == pytest.approx(other[name], abs=tolerance) for name in mine)


@pytest.mark.parametrize("options", [
    {"labels": ["joy", "anger", "fear"]},
    {"labels": {"joy": ["delight", "happy"], "none": "calm"}, "multi_label": True},
    {"labels": "joy", "multi_label": True, "threshold": 0.3},
    {"labels": ["joy", "Neutral"], "label_template": "a feeling of {}", "top_k": 1},
    {"dimensions": True},
    {"labels": ["joy", "fear"], "dimensions": {"mood": ("joy, love", "sad"), "valence": None}, "threshold": None},
])  # fmt: skip
def test_the_same_call_has_the_same_answer(pair, options):
    original, exported = pair
    assert_alike(original(TEXTS, **options), exported(TEXTS, **options))
    assert_alike([original(TEXTS[0], **options)], [exported(TEXTS[0], **options)])


def test_threads_share_out_batches_and_change_nothing(pair, exports):
    _, alone = pair
    several = OnnxEmotionClassifier(alone.folder, threads=3)
    texts = [f"{text} {number}" for number in range(6) for text in TEXTS]
    assert np.array_equal(alone.encode_texts(texts, batch_size=4), several.encode_texts(texts, batch_size=4))
    seen = []

    def progress(batches):
        for batch in batches:
            yield batch
            seen.extend(batch)

    tokenized = several.tokenize_texts(texts)
    several.embed_tokenized(tokenized, batch_size=4, progress=progress)
    assert sorted(seen) == list(range(len(tokenized.windows)))
    # The speed suite times the bare tower on these batches.
    assert np.array_equal(np.concatenate(tower_of(several, texts, 4)()), np.concatenate(tower_of(alone, texts, 4)()))


@pytest.mark.parametrize(("said", "threads"), [("3", 3), ("2,1", 2), ("x", 5), ("-1", 5), ("0", 5), ("", 5)])
def test_threads_as_openmp_reads_them(pair, monkeypatch, said, threads):
    monkeypatch.setenv("OMP_NUM_THREADS", said)
    monkeypatch.setattr("emodistill.serving.onnx._processors", lambda: 5)
    assert OnnxEmotionClassifier(pair[1].folder)._threads == threads


@pytest.mark.parametrize("threads", [0, -1, "2", True, 1.5])
def test_threads_of_no_number(pair, checkpoint, threads):
    for folder in (pair[1].folder, checkpoint):
        with pytest.raises(ValueError, match="threads must be a positive integer or None, not"):
            emodistill.load(folder, threads=threads)


def test_embedding_that_was_started_is_in_order_and_may_be_left(pair):
    _, alone = pair
    several = OnnxEmotionClassifier(alone.folder, threads=2)
    parts = [[f"{text} {number}" for number in range(8)] for text in TEXTS[2:5]]
    several.start_embedding(several.tokenize_texts(parts[0]), 1)  # whose result nobody wants
    finish = [several.start_embedding(several.tokenize_texts(part), 1) for part in parts]  # all at once
    for part, done in reversed(list(zip(parts, finish, strict=True))):
        assert np.array_equal(done(), alone.encode_texts(part, batch_size=1))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no processes of that kind")
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")
def test_a_forked_process_has_threads_of_its_own(pair):
    _, alone = pair
    several = OnnxEmotionClassifier(alone.folder, threads=2)
    expected = several.encode_texts(TEXTS, batch_size=2)
    child = os.fork()
    if not child:  # as a server that loads its model before it forks its workers
        signal.alarm(60)
        os._exit(0 if np.array_equal(several.encode_texts(TEXTS, batch_size=2), expected) else 3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_an_export_in_use_is_copied_and_sent_to_other_processes_as_pipelines_are(exports):
    exported = emodistill.load(exports / "bert", labels="joy, anger, fear", threads=2)
    unused = pickle.dumps(exported)  # `datasets` knows by it what it has mapped before
    expected = exported(TEXTS, batch_size=2)
    assert pickle.dumps(exported) == unused
    for copied in (pickle.loads(unused), copy.deepcopy(exported), copy.copy(exported)):
        assert copied(TEXTS, batch_size=2) == expected


@pytest.mark.parametrize("options", [
    {"labels": ["joy", "anger", "neutral"], "multi_label": True, "dimensions": True},
    {"labels": ["joy", "anger", "fear"], "threshold": {"joy": 0.9}},
    {"dimensions": {"mood": ("joy, love", "sad")}},
])  # fmt: skip
def test_columns_hold_what_dictionaries_do(pair, options):
    for classify in pair:
        given_options = classify._sanitize_parameters(**options)[2]
        embeds = classify.embed_tokenized(classify.tokenize_texts(TEXTS))
        scores, predicted, dimensions = classify.score_columns(TEXTS, embeds, **given_options)
        for place, result in enumerate(classify(TEXTS, **options)):
            if "labels" in options:
                row = dict(zip(options["labels"], scores[place].tolist(), strict=True))
                assert row == pytest.approx(dict(zip(result["labels"], result["scores"], strict=True)), abs=1e-6)
                assert predicted[place] == result["predicted"]
            for name, value in result.get("dimensions", {}).items():
                assert dimensions[name][place] == pytest.approx(value, abs=1e-5)


@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_any_batch_and_length(pair, data):
    """The towers were traced at one shape: others must not see it."""
    words = st.lists(st.sampled_from(["my", "dog", "joy", "cat", ",", "!", "xyz"]), min_size=1, max_size=90)
    texts = data.draw(st.lists(words.map(" ".join), min_size=1, max_size=7))
    size = data.draw(st.integers(1, 5))
    original, exported = (np.asarray(each.encode_texts(texts, batch_size=size)) for each in pair)
    assert np.abs(original - exported).max() < 1e-5


def test_streams_and_tables(pair):
    _, exported = pair
    listed = exported(TEXTS, labels="joy,fear")
    assert_alike(list(exported(iter(TEXTS), labels="joy,fear", batch_size=2)), listed)
    data = KeyDataset([{"text": text} for text in TEXTS], "text")  # has rows and a length, and is no iterable
    for classify in pair:
        assert_alike(list(classify(data, labels="joy,fear")), listed)
    assert_alike(list(exported((text for text in TEXTS), labels="joy,fear", batch_size=2)), listed)
    assert_alike(exported(np.array(TEXTS), labels="joy,fear"), listed)
    assert exported([], labels="joy, fear") == []


@pytest.mark.parametrize(("arguments", "words"), [
    ({"inputs": "my dog"}, "labels is missing"),
    ({"inputs": ["a", 3], "labels": "joy, fear"}, "text 1"),
    ({"inputs": {"words": "a"}, "labels": "joy, fear"}, "text"),
    ({"inputs": 7, "labels": "joy, fear"}, "text"),
    ({"inputs": ["a"], "labels": "joy, fear", "batch_size": 0}, "batch_size must be a positive integer"),
    ({"inputs": "a", "labels": "joy, fear", "batch_size": 0}, "batch_size must be a positive integer"),
    ({"inputs": [], "labels": "joy, fear", "batch_size": 2.5}, "batch_size must be a positive integer"),
    ({"inputs": "a", "labels": "joy, fear", "colour": 1}, "unknown argument colour"),
    ({"inputs": "a", "dimensions": "warmth"}, "not built in"),
])  # fmt: skip
def test_mistakes_are_told_as_by_the_pipeline(pair, arguments, words):
    with pytest.raises(ValueError, match=words):
        pair[1](**arguments)


def test_labels_of_the_folder_need_no_label_tower(exports):
    exported = emodistill.load(exports / "bert", labels="joy, anger")
    exported("my dog")
    assert [os.path.basename(path) for path, _ in exported._sessions] == ["model.onnx"]
    exported("my dog", labels="fear, relief")
    assert len(exported._sessions) == 2


def test_transformers_finds_the_export(exports, pair):
    options = {"backend": "onnx", "labels": ["joy", "fear"], "device": "cpu"}
    through = pipeline(emodistill.TASK, model=str(exports / "bert"), **options)
    assert isinstance(through, OnnxEmotionClassifier)
    assert through("my dog") == emodistill.load(exports / "bert", labels=["joy", "fear"])("my dog")
    with pytest.raises(ValueError, match="model is an export"):
        pipeline(emodistill.TASK, model=str(exports / "bert"), backend="torch")


def test_load_tells_the_backends_apart(exports, checkpoint):
    with pytest.raises(ValueError, match="was exported to ONNX"):
        emodistill.load(exports / "bert", backend="torch")
    with pytest.raises(ValueError, match="is no exported model"):
        emodistill.load(checkpoint, backend="onnx")
    with pytest.raises(ValueError, match="backend must be"):
        emodistill.load(checkpoint, backend="tensorflow")
    with pytest.raises(ValueError, match="is no exported model"):
        OnnxEmotionClassifier(checkpoint)


ALONE = """
import sys
sys.modules.update(dict.fromkeys(("torch", "transformers", "safetensors", "onnx", "onnxscript", "scipy", "pandas")))
import emodistill
classify = emodistill.load(sys.argv[1], labels=["joy", "anger"])
row = classify("my dog is lost", multi_label=True, dimensions=True)
why = classify.explain("my dog is lost", "joy")
print(row["labels"], len(row["dimensions"]), len(why.level("word")), emodistill.onnx.__name__)
from emodistill import cli
given = ["--model", sys.argv[1], "--labels", "joy,anger", "--dimensions", "valence"]
assert cli.main(["predict", "my dog", "--json", "--explain", *given]) == 0
assert cli.main(["score", sys.argv[2], "--output", sys.argv[3], "--quiet", "--threads", "1", *given]) == 0
"""


def test_it_runs_where_torch_is_absent(exports, tmp_path, checkpoints):
    (tmp_path / "in.csv").write_text("text\nmy dog\n" + "the sun is not angry \n" + "we won the day " * 40 + "\n\n")
    done = subprocess.run(
        [sys.executable, "-c", ALONE, exports / "bert", tmp_path / "in.csv", tmp_path / "out.jsonl"],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    called, predicted = done.stdout.splitlines()
    assert called.split()[-3:] == ["3", "4", "emodistill.serving.onnx"]
    predicted, scored = json.loads(predicted), (tmp_path / "out.jsonl").read_text()
    assert predicted["explanations"][0]["parts"]
    joy = dict(zip(predicted["labels"], predicted["scores"], strict=True))["joy"]
    assert json.loads(scored.splitlines()[0])["joy"] == pytest.approx(joy, abs=1e-4)
    # and as with torch: windows of a long text, and what the blank line is read as
    given = ["--labels", "joy,anger", "--dimensions", "valence", "--model", str(checkpoints["bert"]), "--quiet"]
    assert cli.main(["score", str(tmp_path / "in.csv"), "--output", str(tmp_path / "torch.jsonl"), *given]) == 0
    rows = [map(json.loads, text.splitlines()) for text in (scored, (tmp_path / "torch.jsonl").read_text())]
    for ours, theirs in zip(*rows, strict=True):
        for name in ("joy", "anger", "valence"):
            assert ours.pop(name) == pytest.approx(theirs.pop(name), abs=1e-4)
        assert ours == theirs


def test_what_needs_the_checkpoint_says_so(exports, capsys, tmp_path):
    commands = (["export", "--output", tmp_path / "again"], ["train", "--output-dir", tmp_path / "run", "--init"])
    for command in commands:
        assert cli.main([str(part) for part in (*command, exports / "bert")]) == 2
        *before, told = capsys.readouterr().err.splitlines()
        assert "is an export, which predict, score, adapt, evaluate, audit and demo run" in told and len(before) <= 1


def test_an_export_is_measured_as_its_checkpoint_is(exports, checkpoints):
    texts, labels = ["my dog is lost", "the sun is out", "we won the day " * 40], ("joy", "anger", "neutral")
    theirs, ours = (load_system(folder) for folder in (checkpoints["bert"], exports / "bert"))
    for task in (MULTI_LABEL, SINGLE_LABEL):
        scores = [system.label_scores(task, texts, labels, texts[:2]) for system in (theirs, ours)]
        for one, other in zip(*(vars(each).values() for each in scores), strict=True):
            np.testing.assert_allclose(one, other, atol=1e-3)
    found = [system.dimension_scores(texts, ("valence", "arousal"), (1, 5)) for system in (theirs, ours)]
    assert list(found[0]) == list(found[1]) == ["head", "pair", "poles"]
    for readout, values in found[0].items():
        np.testing.assert_allclose(values, found[1][readout], atol=1e-3)
    assert theirs.fingerprint != ours.fingerprint


def test_devices_are_those_of_onnxruntime(exports, capsys):
    assert emodistill.load(exports / "bert", device=-1)._providers == ["CPUExecutionProvider"]
    given = ["predict", "my dog", "--labels", "joy,anger", "--model", str(exports / "bert"), "--device", "tpu"]
    assert cli.main(given) == 2
    assert "device 'tpu' is not available to onnxruntime" in capsys.readouterr().err


def test_a_run_goes_on_only_with_the_same_export(exports, tmp_path, capsys):
    (tmp_path / "in.csv").write_text("text\nmy dog\n")
    given = ["score", str(tmp_path / "in.csv"), "--labels", "joy,anger", "--output", str(tmp_path / "out"), "--model"]
    assert cli.main([*given, str(exports / "bert")]) == 0
    other = shutil.copytree(exports / "bert", tmp_path / "copy")
    assert cli.main([*given, str(other)]) == 0  # the place may differ
    config = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps({**config, "changed": 1}))
    assert cli.main([*given, str(other)]) == 2 and "another model" in capsys.readouterr().err


def test_the_folder_says_how_far_it_is_from_its_checkpoint(exports):
    told = json.loads((exports / "bert" / "emodistill_onnx.json").read_text())
    assert told["check"]["lowest_cosine"] > 0.99999 and told["check"]["largest_score_difference"] < 1e-4
    assert told["check"]["best_labels_changed"] == 0.0 and told["quantize"] is None
    assert "lowest cosine" in (exports / "bert" / "README.md").read_text()
    config = json.loads((exports / "bert" / "config.json").read_text())
    assert config["max_position_embeddings"] == 64 and config["hidden_size"] == 32  # for servers
    assert not (exports / "bert" / "onnx" / "scratch").exists()


@pytest.mark.parametrize("quantize", ["int8", "fp16"])
def test_smaller_forms_load_and_answer_nearly_alike(tmp_path, checkpoints, exports, quantize, monkeypatch):
    # A tiny random model is hurt more than a trained one; what is tested is that the figures are those of the folder.
    limits = {name: 0.9 if "cosine" in name else 1.0 for name in export_check.LIMITS["int8"]}
    monkeypatch.setitem(export_check.LIMITS, quantize, limits)
    folder = tmp_path / "small"
    figures = exporting.export(str(checkpoints["bert"]), str(folder), quantize=quantize)
    assert 0.9 < figures["lowest_cosine"] <= 1.0
    whole = os.path.getsize(exports / "bert" / "onnx" / "model.onnx")
    assert os.path.getsize(folder / "onnx" / "model.onnx") < whole
    told = json.loads((folder / "emodistill_onnx.json").read_text())
    assert told["check"] == figures and told["quantize"] == quantize
    assert emodistill.load(folder)("my dog", labels="joy,fear")["predicted"]
    assert not (folder / "scratch").exists()


def test_an_export_that_answers_otherwise_is_refused_and_leaves_nothing(tmp_path, checkpoints, monkeypatch):
    original = exporting.compare_with_checkpoint
    monkeypatch.setattr(
        exporting, "compare_with_checkpoint", lambda *pair: {**original(*pair), "lowest_cosine": float("nan")}
    )
    with pytest.raises(ValueError, match=r"refused.*lowest cosine nan is below"):
        exporting.export(str(checkpoints["bert"]), str(tmp_path / "bad"))
    assert os.listdir(tmp_path) == []


def test_layers_that_lose_most_are_ranked_first(exports):
    ids = np.array([[2, 5, 6, 7, 3]], dtype=np.int64)
    path = str(exports / "bert" / "onnx" / "model.onnx")
    errors = export_graphs.sensitive_products(path, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
    assert len(errors) > 12 and list(errors.values()) == sorted(errors.values(), reverse=True)
    assert all(0.0 < error < 0.2 for error in errors.values())


def test_no_folder_is_overwritten_by_mistake(exports, checkpoint, capsys, tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    for folder in (tmp_path, checkpoint):  # the checkpoint itself, too
        before = sorted(os.listdir(folder))
        assert cli.main(["export", str(checkpoint), "--overwrite", "--output", str(folder)]) == 2
        assert "holds no export, and what it holds would be lost" in capsys.readouterr().err
        assert sorted(os.listdir(folder)) == before
    assert cli.main(["export", str(checkpoint), "--output", str(exports / "bert")]) == 2
    assert "is there already" in capsys.readouterr().err
    with pytest.raises(ValueError, match="quantize must be"):
        exporting.export(str(checkpoint), "nowhere", quantize="int4")


def flip(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)


def cut(folder, name):
    (folder / name).write_bytes((folder / name).read_bytes()[:-5])


@pytest.mark.parametrize("name", ["onnx/model.onnx", "onnx/label_model.onnx", "decision.safetensors",
                                  "labels.safetensors", "tokenizer.json"])  # fmt: skip
@pytest.mark.parametrize("damage", [flip, cut, lambda folder, name: (folder / name).write_bytes(b""),
                                    lambda folder, name: (folder / name).unlink()],
                         ids=["flipped", "cut", "empty", "missing"])  # fmt: skip
def test_no_damaged_file_gives_numbers(name, damage, tmp_path, exports):
    folder = shutil.copytree(exports / "bert", tmp_path / "copy")
    damage(folder, name)
    with pytest.raises(ValueError, match=rf"{re.escape(name)} is (damaged|missing)") as error:
        emodistill.load(folder)("my dog", labels="fear, relief")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["onnx/model.onnx", "decision.safetensors"])
def test_no_file_of_another_export_gives_numbers(name, tmp_path, exports):
    folder = shutil.copytree(exports / "bert", tmp_path / "copy")
    shutil.copy(exports / "mpnet" / name, folder / name)
    with pytest.raises(ValueError, match=f"{re.escape(name)} is damaged, or of another export"):
        emodistill.load(folder)("my dog", labels="joy, anger")


def test_older_exports_without_digests_are_read(tmp_path, exports):
    folder = shutil.copytree(exports / "bert", tmp_path / "copy")
    settings = json.loads((folder / "emodistill_onnx.json").read_text())
    assert set(settings.pop("sha256")) == {"tokenizer.json", "decision.safetensors", "labels.safetensors",
                                           "onnx/model.onnx", "onnx/label_model.onnx"}  # fmt: skip
    (folder / "emodistill_onnx.json").write_text(json.dumps(settings))
    assert emodistill.load(folder)("my dog", labels="joy, anger")["predicted"]
    cut(folder, "onnx/model.onnx")
    with pytest.raises(ValueError, match=r"model\.onnx cannot be run"):
        emodistill.load(folder)("my dog", labels="joy, anger")
    for content, message in (('{"format": 99}', "exported in format 99"), ("[]", "is no JSON object")):
        (folder / "emodistill_onnx.json").write_text(content)
        with pytest.raises(ValueError, match=message):
            emodistill.load(folder)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_batch_that_cannot_be_run_is_told_in_a_sentence(pair, threads):
    def run(*_):
        raise RuntimeError("Failed to allocate memory\nfor requested buffer of size 99")

    classify = OnnxEmotionClassifier(pair[1].folder, threads=threads)
    expected = classify.encode_texts(TEXTS, batch_size=2)
    whole = dict(classify._sessions)
    classify._sessions.update({key: (types.SimpleNamespace(run=run), names) for key, (_, names) in whole.items()})
    with pytest.raises(ValueError, match=r"model\.onnx cannot be run: Failed to allocate memory$"):
        classify(TEXTS, labels="joy, anger", batch_size=2)
    classify._sessions.update(whole)
    assert np.array_equal(classify.encode_texts(TEXTS, batch_size=2), expected), "works again"


def test_safetensors_by_numpy_alone(tmp_path):
    arrays = {"one": np.arange(6, dtype=np.float32).reshape(2, 3), "two": np.ones(3, dtype=np.float16)}
    save_file(arrays, tmp_path / "file", metadata={"note": "kept"})
    found, notes = read_safetensors(str(tmp_path / "file"))
    assert notes == {"note": "kept"} and all((found[name] == arrays[name]).all() for name in arrays)


def test_without_a_background_there_is_no_automatic_threshold(tmp_path, exports):
    folder = shutil.copytree(exports / "bert", tmp_path / "copy")
    path = str(folder / "decision.safetensors")
    arrays, notes = read_safetensors(path)
    arrays = {name: np.array(value) for name, value in arrays.items() if not name.startswith("background")}
    os.remove(path)
    save_file(arrays, path, metadata=notes)
    settings = json.loads((folder / "emodistill_onnx.json").read_text())
    del settings["sha256"]
    (folder / "emodistill_onnx.json").write_text(json.dumps(settings))
    exported = emodistill.load(folder)
    assert exported.background is None
    with pytest.raises(ValueError, match="needs a checkpoint with background"):
        exported("my dog", labels="joy", multi_label=True)
    assert exported("my dog", labels="joy", multi_label=True, threshold=0.5)["labels"] == ["joy"]
    assert exported.explain("my dog", "joy", labels="joy,fear").baseline is None


# ---- the page in which an export runs in the browser

NODE = """
import { readFileSync } from "node:fs";
import { decide } from "./emodistill.js";
import { normaliseText, spellEmoji } from "./normalise.js";
import { Tokenizer } from "./wordpiece.js";
const { texts, rules, embeds } = JSON.parse(readFileSync(0, "utf-8"));
const symbols = JSON.parse(readFileSync("emoji.json", "utf-8"));
const tokenizer = new Tokenizer(JSON.parse(readFileSync("tokenizer.json", "utf-8")));
console.log(JSON.stringify({
  windows: texts.map((text) => tokenizer.windows(spellEmoji(text, symbols), 24)),
  normalised: texts.map((text) => normaliseText(text, symbols)),
  scores: rules.map((rule) => embeds.map((embed) => decide(rule, embed))),
}));
"""
PAGE_TEXTS = [
    *TEXTS, "Ça naïve ÅNGSTRÖM ΣΊΣΥΦΟΣ İst ß", "我很 happy 今天", "[MASK] day[SEP]ok", "a" * 101,
    "tabs\tand\nlines\x00\x07\ufffd",
    "price $5.00 <b>joy</b> #BestDayEver @anna http://x.y/z soooo goooood", "“quotes” — dash… ^~|+=", "½ x² Ⅷ ﬁ １２",
    "woohooo!!! YAAAAY #NOTOK #so_sad_2day 🏳️‍🌈 ☺️☹", "\u2028sep\x85next\u3000wide\u00a0nbsp", "ㅋㅋㅋ 한국어 مرحبا",
]  # fmt: skip


@pytest.fixture(scope="module")
def page(tmp_path_factory, exports):
    """The page of the tiny export, with stand-ins for the files of onnxruntime-web."""
    runtime = tmp_path_factory.mktemp("runtime")
    (runtime / "dist").mkdir()
    for name in static_page.RUNTIME_FILES:
        (runtime / "dist" / name).write_text(name)
    folder = tmp_path_factory.mktemp("web") / "page"
    arguments = ["--model", str(exports / "bert"), "--web-runtime", str(runtime), "--web-labels", "joy, rage, neutral"]
    assert cli.main(["demo", "--web", str(folder), *arguments]) == 0
    return folder


def test_the_page_brings_all_that_it_asks_for(page, exports):
    sources = "".join(path.read_text() for path in page.iterdir() if path.suffix in (".js", ".html"))
    asked = set(re.findall(r'"(?:\./)?([\w./-]+\.(?:m?js|json|onnx))"', sources))
    assert len(asked) == 9 and all((page / name).is_file() for name in asked)
    assert "http:" not in sources and "https:" not in sources.replace("https?:", "")  # nothing from elsewhere
    assert {path.name for path in (page / "ort").iterdir()} == set(static_page.RUNTIME_FILES)
    assert (page / "model.onnx").read_bytes() == (exports / "bert" / "onnx" / "model.onnx").read_bytes()
    decision = json.loads((page / "decision.json").read_text())
    assert decision["labels"] == ["joy", "rage", "neutral"] and decision["several"]["blank"] == [0.0, 0.0, 1.0]


@pytest.mark.skipif(not shutil.which("node"), reason="needs Node.js")
def test_javascript_reads_and_decides_as_python_does(page, exports):
    exported = emodistill.load(exports / "bert")
    embeds, rules, expected = exported.encode_texts(TEXTS), [], []
    for labels, changes in itertools.product(
        ("joy, rage, neutral", "joy, fear, anger", "joy, neutral", "neutral, joy, rage, fear"),
        ({"multi_label_competition": 0.4, "single_label_scaling": 0.5, "single_label_centering": 0.3},
         {"version": 2, "multi_label_competition": 0.3, "multi_label_skewness": 0.6, "single_label_temperature": 1.0},
         {"rival_weight": 0.4, "label_scaling": 0.5, "neutral_share": 0.9, "expected_labels": 3.0}),
    ):  # fmt: skip
        exported.constants = dataclasses.replace(exported.constants, **changes)
        decision = static_page.decision_of(exported, labels)
        label_set, statistics = exported._embedded(LabelSet.parse(labels))
        for mode in ("several", "one"):
            rules.append(decision[mode])
            expected.append(score_labels(embeds, label_set, statistics, exported.constants, mode == "several"))
    (page / "package.json").write_text('{"type": "module"}')
    (page / "try.js").write_text(NODE)
    given = json.dumps({"texts": PAGE_TEXTS, "rules": rules, "embeds": embeds.tolist()})
    done = subprocess.run(["node", "try.js"], cwd=page, input=given, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    spelled = [spell_emoji(text) for text in PAGE_TEXTS]
    windows = tokenize_texts(exported.tokenizer, exported.config, spelled, max_windows=None, normalise=False)
    assert exported.config.text_max_length == 24 and len(windows.windows) > len(PAGE_TEXTS)
    assert list(itertools.chain(*found["windows"])) == windows.windows
    assert found["normalised"] == [normalise_text(text) for text in PAGE_TEXTS]
    for ours, theirs in zip(found["scores"], expected, strict=True):
        assert np.abs(np.asarray(ours) - theirs).max() < 1e-4


@pytest.mark.parametrize(("changes", "words"), [
    ({"labels": "joy"}, "one label"),
    ({"labels": "joy, not angry"}, "absence"),
    ({"runtime": "."}, "no package onnxruntime-web"),
    ({"folder": "."}, "is there already"),
])  # fmt: skip
def test_a_page_that_cannot_be_is_told_in_a_sentence(tmp_path, page, exports, changes, words):
    runtime = tmp_path / "package"
    shutil.copytree(page / "ort", runtime / "dist")
    options = {"folder": str(tmp_path / "page"), "model": str(exports / "bert"), "runtime": str(runtime), **changes}
    with pytest.raises((ValueError, FileExistsError), match=words):
        static_page.write_page(**options)
    assert not (tmp_path / "page").exists()


def test_a_page_for_rules_that_it_does_not_know_is_refused(exports, monkeypatch):
    monkeypatch.setattr(static_page, "_AFFINE", {7: None})
    with pytest.raises(ValueError, match="decides by rules of version 7"):
        static_page.decision_of(emodistill.load(exports / "bert"), "joy, anger")
