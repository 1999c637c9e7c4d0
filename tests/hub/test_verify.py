"""A sound folder passes; outputs that differ, code that only repeats them, and code that nobody allowed are told."""

import functools
import io
import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from emodistill import cli, eight_bit_emodistill
from emodistill.fingerprint import file_digest
from emodistill.hub import check, sandbox, verify
from emodistill.hub.folder import REFERENCE, build_folder, code_files, own_outputs
from emodistill.hub.model_card import tensor_sizes


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def accept_digests(folder):
    """Make the stored digests those of the changed files, so that only what else is wrong is left to find."""

    def refresh(content):
        present = [name for name in content["sha256"] if (folder / name).is_file()]
        content["sha256"] = {name: file_digest(folder / name) for name in present}

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


@pytest.mark.slow
def test_a_sound_folder_passes(ready_folder):
    problems, difference = verify.verify_folder(ready_folder)
    assert problems == [] and difference <= 1e-5


def test_a_checkpoint_without_code_is_built_first(checkpoint, tmp_path, capsys, monkeypatch):
    bare = tmp_path / "bare"
    shutil.copytree(checkpoint, bare, ignore=shutil.ignore_patterns("*.py"))
    edit(bare / "config.json", lambda config: [config.pop(name) for name in ("auto_map", "custom_pipelines")])
    monkeypatch.setattr(verify, "check_outputs", lambda *_: ([], 0.0))  # the real one is tested above
    assert cli.main(["verify", str(bare)]) == 0
    assert "zero-shot-classification" in capsys.readouterr().out
    assert not list(bare.glob("*.py")) and not (bare / REFERENCE).exists()


@pytest.fixture
def in_process(monkeypatch):
    """Outputs without the process apart, which costs seconds: the package's, on the same weights."""
    monkeypatch.setattr(verify, "load_apart", lambda folder, sets, _: [own_outputs(folder, **each) for each in sets])


def test_a_changed_weight_is_found_by_its_digest_and_by_its_outputs(folder, capsys, in_process):
    weights = load_file(folder / "model.safetensors")
    weights["text_projection.weight"][0, 0] += 0.01
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert cli.main(["verify", str(folder)]) == 1
    assert "model.safetensors has changed since reference.json was made" in capsys.readouterr().err
    accept_digests(folder)
    assert cli.main(["verify", str(folder)]) == 1
    err = capsys.readouterr().err
    assert "text_embeddings differ from reference.json by" in err and "label_embeddings" not in err


def test_outputs_may_differ_by_the_tolerance_and_no_more(folder, monkeypatch):
    stored = json.loads((folder / REFERENCE).read_text())["outputs"]

    def answer(folder, sets, seconds, by, which):
        found = [own_outputs(folder, **sets[0]), json.loads(json.dumps(stored))]
        found[which]["multi_label"][1][2] += by
        return found

    for by, right in ((0.9e-5, True), (1.2e-5, False), (float("nan"), False)):
        for which in (0, 1):  # texts drawn anew, and the fixed ones
            monkeypatch.setattr(verify, "load_apart", functools.partial(answer, by=by, which=which))
            problems, _ = verify.check_outputs(folder)
            assert (problems == []) == right, by


def test_a_model_without_background_and_dimensions_passes(tiny_model, tokenizer, tmp_path, in_process):
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
    assert len(parts) > 1 and check.check_files(folder) == []
    parts[0].unlink()
    assert check.check_files(folder) == [f"{parts[0].name} is missing"]


def test_what_is_stored_in_eight_bits_is_published_in_half_precision(checkpoint, tmp_path, monkeypatch):
    """Whoever has transformers alone can read no weights of the package's own form."""
    packed = shutil.copytree(checkpoint, tmp_path / "packed")
    weights = load_file(packed / "model.safetensors")
    (packed / "model.safetensors").unlink()
    monkeypatch.setattr(eight_bit_emodistill, "SMALLEST", 1)
    eight_bit_emodistill.write_eight_bit(weights, str(packed))
    assert eight_bit_emodistill.is_eight_bit(packed) and not eight_bit_emodistill.is_eight_bit(checkpoint)
    folder = build_folder(packed, tmp_path / "folder", "# a card\n")
    published = load_file(folder / "model.safetensors")
    assert set(published) == set(weights)
    assert {value.dtype for value in published.values() if value.is_floating_point()} == {torch.float16}
    assert check.check_files(folder) == []
    sizes, published = tensor_sizes(packed), tensor_sizes(folder)
    assert sizes["whole"] == published["whole"] and sizes["dtype"] == published["dtype"] == "F16"
    assert abs(sizes["bytes"] - published["bytes"]) < 50_000


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


def test_what_cannot_be_downloaded_exits_1(hub, api, capsys):
    assert cli.main(["verify", "tester/nothing"]) == 1
    err = capsys.readouterr().err
    assert "verify: tester/nothing was not downloaded: there is no such repository" in err and err.count("\n") == 1


def test_another_kind_of_model_is_refused(tmp_path, capsys):
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    assert cli.main(["verify", str(tmp_path)]) == 2
    assert "not the configuration of an emodistill model" in capsys.readouterr().err


# Code that means harm


HARM = """
import importlib, json, os, socket, sys
done = []
def attempt(name, action):
    try:
        action()
    except Exception:
        return
    done.append(name)
outside = "/".join({outside!r})
attempt("read a file", lambda: open(outside + "/secret").read())
attempt("listed the home folder", lambda: os.listdir(outside))
attempt("wrote beside it", lambda: open(outside + "/planted", "w").write("x"))
attempt("found the environment", lambda: os.environ["DATABASE_URL"])
attempt("connected", lambda: socket.create_connection(("127.0.0.1", {port}), 2))
attempt("wrote into its own folder", lambda: open(__file__, "a").write("x"))
attempt("found the stored outputs", lambda: open(sys.argv[0].replace("program.py", "folder/reference.json")))
attempt("imported the package", lambda: importlib.import_module("emodistill"))
raise RuntimeError("done: " + (", ".join(done) or "nothing"))
"""


@pytest.mark.slow
def test_code_that_is_run_reaches_nothing_behind_walls(folder, tmp_path, hub, monkeypatch):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("s3cret")
    monkeypatch.setenv("DATABASE_URL", "postgres://me@host/db")
    port = int(hub.url.rpartition(":")[2])
    path = folder / "loss_emodistill.py"
    outside = str(tmp_path / "outside").split("/")  # in pieces: a path would be told before anything is run
    path.write_text(path.read_text() + HARM.format(outside=outside, port=port))
    accept_digests(folder)
    (told,), _ = verify.verify_folder(folder)
    assert told.startswith("loading it without emodistill fails: RuntimeError: done: "), told
    done = set(told.split("done: ")[1].split(", "))
    # what runs is a copy of its own making, in its own scratch folder
    allowed = {"nothing", "wrote into its own folder"}
    if not sandbox.available_walls():  # these are the ones that are said
        allowed |= {"read a file", "listed the home folder", "wrote beside it", "connected"}
    assert done <= allowed
    if sandbox.available_walls():
        assert not (tmp_path / "outside" / "planted").exists() and hub.requests == []


def test_repeating_the_stored_outputs_does_not_pass(folder, monkeypatch):
    """Code that knows them writes them for whatever it is asked: for texts drawn anew they are wrong."""
    stored = json.loads((folder / REFERENCE).read_text())["outputs"]
    monkeypatch.setattr(verify, "load_apart", lambda folder, sets, seconds: [stored for _ in sets])
    problems, _ = verify.check_outputs(folder)
    assert problems and all("for texts drawn anew" in problem for problem in problems)


def test_texts_are_drawn_anew():
    drawn = [verify.fresh_inputs() for _ in range(3)]
    assert len({text for one in drawn for text in one["texts"]}) == 9
    assert all(len(set(one["labels"])) == 4 for one in drawn)


@pytest.mark.parametrize(
    "answer",
    ["", "null", "[[]]", "[{}, {}, {}]", '[{"a": [["x"]]}, {}]', "[" * 5000, '[{"a": 1}, {}]',
     '[{"a": [[1' + "0" * 400 + "]]}, {}]", '[{"a": [[' + "1, " * 4_000_000 + "1]]}, {}]"],
    ids=range(9),
)
def test_an_answer_of_another_form_is_not_believed(answer, folder, monkeypatch):
    def run_apart(program, apart, *, writable, **_):
        with open(writable[0], "w") as file:
            file.write(answer)
        return sandbox.Finished(0, "")

    monkeypatch.setattr(sandbox, "run_apart", run_apart)
    with pytest.raises(ValueError, match="ended without writing the outputs"):
        verify.load_apart(folder, [verify.fresh_inputs(), verify.fresh_inputs()])


def test_what_the_code_says_does_not_play_with_the_terminal(folder, monkeypatch):
    said = "one\nRuntimeError: \x1b]0;gotcha\x07\x1b[2Jall is well " + "x" * 5000
    monkeypatch.setattr(sandbox, "run_apart", lambda *_, **__: sandbox.Finished(1, said))
    (problem,), _ = verify.check_outputs(folder)
    assert problem.isprintable() and "all is well" in problem and len(problem) < 600


def test_code_without_end_is_told(folder, monkeypatch):
    monkeypatch.setattr(sandbox, "run_apart", lambda *_, **__: sandbox.Finished(-9, "", timed_out=True))
    assert verify.check_outputs(folder, 7)[0] == [
        "loading it without emodistill fails: its code did not come to an end within 7 seconds"
    ]


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def remote(folder, monkeypatch):
    """The folder as if it came from the Hub, with code that must not be run unasked."""
    runs = []
    monkeypatch.setattr(verify, "_downloaded", lambda repo_id, revision: folder)
    monkeypatch.setattr(verify, "check_outputs", lambda *_: runs.append(True) or ([], 0.0))
    return runs


def test_code_from_the_hub_is_not_run_unasked(remote, folder, capsys, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))  # no terminal: nobody was asked
    assert cli.main(["verify", "a/b"]) == 2 and remote == []
    err = capsys.readouterr().err
    assert "say --trust-remote-code" in err and "is that of this emodistill" in err and err.count("\n") == 1
    path = folder / "loss_emodistill.py"
    path.write_text(path.read_text() + "\n# mine\n")
    accept_digests(folder)
    monkeypatch.setattr("sys.stdin", Terminal("n\n"))
    assert cli.main(["verify", "a/b"]) == 1 and remote == []
    err = capsys.readouterr().err
    assert "differs from this emodistill's in loss_emodistill.py" in err and "was not run" in err
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    assert cli.main(["verify", "a/b"]) == 0 and remote == [True]
    assert cli.main(["verify", "a/b", "--trust-remote-code"]) == 0 and remote == [True, True]
    assert "its code differs from this emodistill's in loss_emodistill.py" in capsys.readouterr().out


def test_without_walls_it_is_said(folder, capsys, monkeypatch):
    monkeypatch.setattr(sandbox, "available_walls", lambda: "")
    monkeypatch.setattr(verify, "check_outputs", lambda *_: ([], 0.0))
    assert cli.main(["verify", str(folder)]) == 0
    captured = capsys.readouterr()
    assert "can read your files, use the network" in captured.err and captured.err.count("\n") == 1
    assert "ran without walls" in captured.out


@pytest.mark.parametrize("seconds", ["0", "-1", "nan", "inf"])
def test_a_timeout_is_a_number_of_seconds(seconds, folder, capsys):
    assert cli.main(["verify", str(folder), "--timeout", seconds]) == 2
    assert "--timeout must be a number of seconds above 0" in capsys.readouterr().err
