"""Every kind of breakage is found and named; a sound folder passes."""

import json
import pickle
import re
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from emodistill import cli
from emodistill.hub import verify
from emodistill.hub.folder import REFERENCE, build_folder, code_files, sha256

TOKEN = "hf_" + "Ab3" * 12


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def accept_digests(folder):
    """Make the stored digests those of the changed files, so that only what else is wrong is left to find."""

    def refresh(content):
        content["sha256"] = {name: sha256(folder / name) for name in content["sha256"] if (folder / name).is_file()}

    edit(folder / REFERENCE, refresh)


def test_the_folder_holds_everything(ready_folder):
    names = {path.name for path in ready_folder.iterdir()}
    assert {path.name for path in code_files()} < names
    assert {"config.json", "model.safetensors", "tokenizer.json", "README.md", REFERENCE} < names
    config = json.loads((ready_folder / "config.json").read_text())
    assert set(config["custom_pipelines"]) == {"zero-shot-emotion", "zero-shot-classification"}
    assert set(config["auto_map"]) == {"AutoConfig", "AutoModel"}
    assert json.loads((ready_folder / REFERENCE).read_text())["outputs"].keys() == {
        "text_embeddings", "label_embeddings", "single_label", "multi_label", "dimensions"
    }  # fmt: skip


def test_a_sound_folder_passes(ready_folder):
    problems, difference = verify.verify_folder(ready_folder)
    assert problems == [] and difference <= 1e-5


def test_a_checkpoint_without_code_is_built_first(checkpoint, tmp_path, capsys, monkeypatch):
    bare = tmp_path / "bare"
    shutil.copytree(checkpoint, bare, ignore=shutil.ignore_patterns("*.py"))
    edit(bare / "config.json", lambda config: [config.pop(name) for name in ("auto_map", "custom_pipelines")])
    monkeypatch.setattr(verify, "check_outputs", lambda folder: ([], 0.0))  # the real one is tested above
    assert cli.main(["verify", str(bare)]) == 0
    assert "zero-shot-classification" in capsys.readouterr().out
    assert not list(bare.glob("*.py")) and not (bare / REFERENCE).exists()


BREAKAGES = {
    "a missing module": (lambda f: (f / "pipeline_emodistill.py").unlink(), r"pipeline_emodistill\.py is missing"),
    "a missing helper": (
        lambda f: (f / "decision_emodistill.py").unlink(),
        r"decision_emodistill\.py is missing, which pipeline_emodistill\.py names",
    ),
    "no weights": (lambda f: (f / "model.safetensors").unlink(), r"has no model\.safetensors"),
    "no tokenizer": (lambda f: (f / "tokenizer.json").unlink(), "tokenizer's files are missing"),
    "no card": (lambda f: (f / "README.md").unlink(), r"README\.md, the model card, is missing"),
    "a class that is not there": (
        lambda f: edit(f / "config.json", lambda c: c["auto_map"].update(AutoModel="modeling_emodistill.Other")),
        r"modeling_emodistill\.py has no class Other",
    ),
    "a task unnamed": (
        lambda f: edit(f / "config.json", lambda c: c["custom_pipelines"].pop("zero-shot-classification")),
        "names no code for pipeline zero-shot-classification",
    ),
    "code of another repository": (
        lambda f: edit(f / "config.json", lambda c: c["auto_map"].update(AutoConfig="a/b--configuration.C")),
        "code of another repository",
    ),
    "changed code": (
        lambda f: (f / "loss_emodistill.py").write_text((f / "loss_emodistill.py").read_text() + "\n# changed\n"),
        r"loss_emodistill\.py has changed since reference\.json",
    ),
    "a pickle by name": (lambda f: (f / "pytorch_model.bin").write_bytes(b"x"), r"pytorch_model\.bin is a pickle"),
    "a pickle by content": (lambda f: (f / "notes.dat").write_bytes(pickle.dumps([1])), r"notes\.dat is a pickle"),
    "a zip that torch wrote": (lambda f: torch.save([1], f / "extra.dat"), r"extra\.dat is a pickle"),
    "a token in the card": (
        lambda f: (f / "README.md").write_text((f / "README.md").read_text() + TOKEN),
        r"README\.md holds what looks like an access token",
    ),
    "a token in JSON": (
        lambda f: edit(f / "tokenizer_config.json", lambda c: c.update(token=TOKEN)),
        r"tokenizer_config\.json holds what looks like an access token",
    ),
    "a path in JSON": (
        lambda f: edit(f / "config.json", lambda c: c["text_config"].update(_name_or_path="/home/me/encoder")),
        r"config\.json holds an absolute path: /home/me/encoder",
    ),
    "a Windows path in JSON": (
        lambda f: edit(f / "config.json", lambda c: c.update(data="C:\\Users\\me\\x")),
        r"config\.json holds an absolute path: C:",
    ),
    "a path in the card": (
        lambda f: (f / "README.md").write_text((f / "README.md").read_text() + "\nrun /home/me/train.sh\n"),
        r"README\.md holds an absolute path: /home/me/train\.sh",
    ),
    "damaged reference": (lambda f: (f / REFERENCE).write_text("{}"), r"reference\.json is damaged"),
}


@pytest.mark.parametrize("name", BREAKAGES)
def test_each_breakage_exits_1_and_is_named(name, folder, capsys, monkeypatch):
    def run_nothing(folder):
        raise AssertionError("code of a folder that is not in order must not be run")

    monkeypatch.setattr(verify, "load_apart", run_nothing)
    breaks, message = BREAKAGES[name]
    breaks(folder)
    assert cli.main(["verify", str(folder)]) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and "Traceback" not in captured.err
    assert re.search(message, captured.err), captured.err
    # What was broken is told once; that the file changed since the outputs were stored may be a second line.
    told = captured.err.splitlines()
    assert len([line for line in told if "has changed since" not in line] or told) == 1, captured.err


def test_a_changed_weight_is_found_by_its_digest_and_by_its_outputs(folder, capsys):
    weights = load_file(folder / "model.safetensors")
    weights["text_projection.weight"][0, 0] += 0.01
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert cli.main(["verify", str(folder)]) == 1
    assert "model.safetensors has changed since reference.json was made" in capsys.readouterr().err
    accept_digests(folder)
    assert cli.main(["verify", str(folder)]) == 1
    err = capsys.readouterr().err
    assert "text_embeddings differ from reference.json by" in err and "label_embeddings" not in err


def test_code_that_needs_the_package_fails_where_it_is_absent(folder, capsys):
    path = folder / "loss_emodistill.py"
    path.write_text(path.read_text() + "\nfrom emodistill import version\n")
    accept_digests(folder)
    assert cli.main(["verify", str(folder)]) == 1
    err = capsys.readouterr().err
    assert "loading it without emodistill fails" in err and "emodistill" in err.split("fails")[1]
    assert err.count("\n") == 1


def test_outputs_may_differ_by_the_tolerance_and_no_more(folder, monkeypatch):
    stored = json.loads((folder / REFERENCE).read_text())["outputs"]

    def shifted(by):
        moved = json.loads(json.dumps(stored))
        moved["multi_label"][1][2] += by
        return moved

    for by, right in ((0.9e-5, True), (1.2e-5, False), (float("nan"), False)):
        monkeypatch.setattr(verify, "load_apart", lambda folder, by=by: shifted(by))
        problems, _ = verify.check_outputs(folder)
        assert (problems == []) == right, by


def test_a_model_without_background_and_dimensions_passes(tiny_model, tokenizer, tmp_path):
    tiny_model(background=False, dimension_names=[], pooling="mean").save_pretrained(tmp_path / "model")
    tokenizer.save_pretrained(tmp_path / "model")
    folder = build_folder(tmp_path / "model", tmp_path / "folder", "# a card\n")
    assert "dimensions" not in json.loads((folder / REFERENCE).read_text())["outputs"]
    assert verify.verify_folder(folder)[0] == []


def test_sharded_weights_are_taken_whole(tiny_model, tokenizer, tmp_path):
    tiny_model().save_pretrained(tmp_path / "model", max_shard_size="20KB")
    tokenizer.save_pretrained(tmp_path / "model")
    folder = build_folder(tmp_path / "model", tmp_path / "folder", "# a card\n")
    parts = sorted(folder.glob("model-*.safetensors"))
    assert len(parts) > 1 and verify.check_files(folder) == []
    parts[0].unlink()
    assert verify.check_files(folder) == [f"{parts[0].name} is missing"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["./nowhere"], "neither a folder here nor a Hub id"),
        (["a/b/c"], "neither a folder here nor a Hub id"),
        (["{empty}"], "has no config.json"),
        (["{empty}", "--revision", "main"], "--revision is for a repository on the Hub"),
    ],
)
def test_a_mistake_is_one_sentence(arguments, message, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    assert cli.main(["verify", *(part.format(empty=tmp_path / "empty") for part in arguments)]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1


def test_another_kind_of_model_is_refused(tmp_path, capsys):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    assert cli.main(["verify", str(tmp_path)]) == 2
    assert "not the configuration of an emodistill model" in capsys.readouterr().err
