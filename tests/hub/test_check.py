"""Every kind of breakage of a folder is found and named, and no code of it is run."""

import base64
import bz2
import gzip
import io
import json
import lzma
import os
import pickle
import re
import struct
import tarfile
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file

from emodistill import cli
from emodistill.hub import check, leaks, verify
from emodistill.hub.folder import REFERENCE, build_folder, foreign_links, tree, weight_files
from emodistill.hub.model_card import tensor_sizes
from emodistill.hub.pickles import is_pickle

TOKEN = "hf_" + "Ab3" * 12
FIELDS = np.array([(1, "x")], dtype=[("a", "i4"), ("b", "O")])
OBJECTS = np.array([{"a": 1}], dtype=object)


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def write(name, content):
    """A breakage: a file of this name and content more."""

    def add(folder):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())

    return add


def add_note(path, note):
    save_file(load_file(path), path, {"format": "pt", "by": note})


def saved(save):
    buffer = io.BytesIO()
    save(buffer)
    return buffer.getvalue()


def zipped(name, content):
    def save(buffer):
        with zipfile.ZipFile(buffer, "w") as archive:
            archive.writestr(name, content)

    return saved(save)


def tarred(name, content):
    def save(buffer):
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))

    return saved(save)


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
    "code of another repository for the tokenizer": (
        lambda f: edit(
            f / "tokenizer_config.json", lambda c: c.update(auto_map={"AutoTokenizer": ["evil/repo--tok.Tok", None]})
        ),
        r"tokenizer_config\.json names code of another repository for auto_map AutoTokenizer 1: evil/repo--tok\.Tok",
    ),
    "code of the tokenizer that is missing": (
        lambda f: edit(f / "tokenizer_config.json", lambda c: c.update(auto_map={"AutoTokenizer": "tok.Tok"})),
        r"tok\.py is missing, which tokenizer_config\.json \(auto_map AutoTokenizer\) names",
    ),
    "code of another repository for another class": (
        lambda f: edit(f / "config.json", lambda c: c["auto_map"].update(AutoModelForCausalLM="a/b--m.C")),
        r"config\.json names code of another repository for auto_map AutoModelForCausalLM",
    ),
    "code of another repository for a part": (
        lambda f: edit(f / "config.json", lambda c: c["text_config"].update(auto_map={"AutoModel": "a/b--m.C"})),
        r"config\.json names code of another repository for auto_map AutoModel: a/b--m\.C",
    ),
    "a path for code": (
        lambda f: edit(f / "config.json", lambda c: c["auto_map"].update(AutoModel="../evil.Model")),
        "names no code for auto_map AutoModel",
    ),
    "code of a processor": (
        write("processor_config.json", '{"auto_map": {"AutoProcessor": "a/b--p.P"}}'),
        r"processor_config\.json names code of another repository",
    ),
    "a module imported by name": (
        lambda f: (f / "loss_emodistill.py").write_text("from . import helper\n"),
        r"helper\.py is missing, which loss_emodistill\.py names",
    ),
    "code that is no Python": (lambda f: (f / "loss_emodistill.py").write_bytes(b"x = \0\xff"), "is not Python"),
    "code nested without end": (
        lambda f: (f / "loss_emodistill.py").write_text("x = " + "(" * 3000 + ")" * 3000),
        r"loss_emodistill\.py is not Python",
    ),
    "an adapter of elsewhere": (
        write("adapter_config.json", '{"base_model_name_or_path": "a/b"}'),
        r"adapter_config\.json makes transformers load what lies elsewhere",
    ),
    "damaged weights": (lambda f: (f / "model.safetensors").write_bytes(b"\xff" * 64), "no whole safetensors file"),
    "weights cut off": (
        lambda f: (f / "model.safetensors").write_bytes((f / "model.safetensors").read_bytes()[:-5]),
        "no whole safetensors file",
    ),
    "a header that is a list": (
        lambda f: (f / "model.safetensors").write_bytes(struct.pack("<Q", 2) + b"[]"),
        "no whole safetensors file",
    ),
    "a header nested without end": (
        lambda f: (f / "model.safetensors").write_bytes(struct.pack("<Q", 40_000) + b"[" * 20_000 + b"]" * 20_000),
        "no whole safetensors file",
    ),
    "a secret in the notes of the weights": (
        lambda f: add_note(f / "model.safetensors", TOKEN),
        r"model\.safetensors holds what looks like a secret",
    ),
    "a path in the notes of the weights": (
        lambda f: add_note(f / "model.safetensors", "/home/me/run"),
        r"model\.safetensors holds an absolute path: /home/me/run",
    ),
    "JSON nested without end": (
        write("extra.json", "[" * 100_000 + "]" * 100_000),
        r"extra\.json is not JSON \(it is nested too deeply\)",
    ),
    "JSON nested deeply": (write("extra.json", "[" * 300 + "]" * 300), "nested too deeply"),
    "a named pipe": (lambda f: os.mkfifo(f / "pipe"), "pipe is neither a file nor a folder"),
    "a link to itself": (lambda f: os.symlink("loop", f / "loop"), "loop is a link out of the folder"),
    "names that differ in capitals": (write("Config.json", "{}"), "Config.json and config.json are one file"),
    "a name that plays with the terminal": (write("a\x1b[2Jb", ""), r"a\?\[2Jb has characters in its name"),
    "a name that is no text": (write(os.fsdecode(b"a\xff"), ""), r"a\? has characters in its name that nobody sees"),
    "a name that turns around": (write("a\u202etxt.md", ""), r"a\?txt\.md has characters in its name"),
    "a name that ends in a dot": (write("a.", ""), r"a\. has a name that not every system can store"),
    "a token for a name": (write(f"{TOKEN}/a.txt", ""), "has what looks like an access token in its name"),
    "compiled code": (write("helper.so", b"\x7fELF"), r"helper\.so is compiled code"),
}


@pytest.mark.parametrize("key", ["auto_map", "custom_pipelines"])
@pytest.mark.parametrize("value", [[1], ["a.B"], "a.B", None, {"AutoConfig": 7, "zero-shot-emotion": 7}])
def test_names_of_another_type_are_told(key, value, folder):
    edit(folder / "config.json", lambda config: config.update({key: value}))
    kind = "auto_map" if key == "auto_map" else "pipeline"
    assert any(f"config.json names no code for {kind} " in problem for problem in check.check_files(folder))


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


PICKLES = {
    "rows.txt": pickle.dumps(["joy"], protocol=0),
    "call.md": b"cos\nsystem\n(S'echo'\ntR.",
    "rows1.dat": pickle.dumps(["joy"], protocol=1),
    "rows2.dat": pickle.dumps(["joy"], protocol=2),
    "rows5.json": pickle.dumps(["joy"], protocol=5),
    "objects.npy": saved(lambda buffer: np.save(buffer, OBJECTS, allow_pickle=True)),
    "fields.npy": saved(lambda buffer: np.save(buffer, FIELDS, allow_pickle=True)),
    "objects.npz": saved(lambda buffer: np.savez(buffer, a=OBJECTS)),
    "packed.gz": gzip.compress(pickle.dumps([1])),
    "packed.bz2": bz2.compress(pickle.dumps([1], protocol=0)),
    "packed.xz": lzma.compress(pickle.dumps([1])),
    "packed.z": zlib.compress(pickle.dumps([1])),
    "inside.zip": zipped("notes/data.pkl", b"x"),
    "hidden.zip": zipped("notes.txt", pickle.dumps([1], protocol=0)),
    "inside.tar": tarred("notes.txt", pickle.dumps([1])),
    "both.tgz": gzip.compress(tarred("notes.txt", pickle.dumps([1]))),
    "saved.dat": saved(lambda buffer: torch.save([1], buffer)),
    "old.dat": saved(lambda buffer: torch.save([1], buffer, _use_new_zipfile_serialization=False)),
    "data.joblib": b"x",
    "module.pyc": b"x",
}


@pytest.mark.parametrize("name", PICKLES)
def test_pickles_are_found_by_name_and_content(name, tmp_path):
    (tmp_path / name).write_bytes(PICKLES[name])
    assert is_pickle(tmp_path / name)
    assert re.match(f"{re.escape(name)} is a pickle", check.check_content(name, tmp_path / name)[0])


@pytest.mark.parametrize(
    "content",
    [
        b"", b".", b"N.abcdef", b"I1\n.PAR1", b"\x88.\0\x01{}",
        b"plain words.\n", b"(see below)", b"I am fine.\n", b"{}", b"]", b"x = 1\n", b"PK\x03\x04 no zip",
        saved(lambda buffer: np.save(buffer, np.ones(3))), zipped("a.txt", b"words"), tarred("a.txt", b"words"),
        gzip.compress(b"words"), gzip.compress(b"words")[:-3], b"\x78\x9c damaged", b"BZh9 damaged", b"\x1f\x8b",
    ],
    ids=range(20),  # archives hold the time: processes that share the tests must call them alike
)  # fmt: skip
def test_what_is_no_pickle_passes(content, tmp_path):
    (tmp_path / "file.dat").write_bytes(content)
    assert not is_pickle(tmp_path / "file.dat")


def test_no_file_of_the_package_is_taken_for_a_pickle(ready_folder):
    assert not [name for name, path in tree(ready_folder).items() if is_pickle(path)]


@settings(max_examples=50, deadline=None)
@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.tuples(inner)),
       st.integers(0, 5))  # fmt: skip
def test_every_pickle_is_found(value, protocol):
    from tempfile import NamedTemporaryFile

    with NamedTemporaryFile(suffix=".txt") as file:
        file.write(pickle.dumps(value, protocol=protocol))
        file.flush()
        assert is_pickle(Path(file.name))


# Secrets: of each kind one that looks real, put together so that none stands here.
SECRETS = {
    "Hugging Face": TOKEN,
    "short key": "sk-" + "abCD1234" * 2,
    "project key": "sk-proj-" + "aB3_" * 12,
    "another company's key": "sk-ant-api03-" + "aB3" * 31,
    "Google": "AIza" + "SyD" + "aB3" * 10 + "ab",
    "Slack bot": "xox" + "b-123456789012-abcdefABCDEF",
    "Slack user": "xox" + "p-123456789012-1234567890123-abcdef",
    "Slack webhook": "https://hooks.slack.com/services/T" + "00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX",
    "AWS id": "AKIA" + "IOSFODNN7EXAMPLA",
    "AWS temporary id": "ASIA" + "IOSFODNN7EXAMPLA",
    "AWS secret": "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/" + "bPxRfiCYEXAMPLEKEY",
    "AWS secret in JSON": '"SecretAccessKey": "wJalrXUtnFEMI/K7MDENG/' + 'bPxRfiCYEXAMPLEKEY"',
    "GitHub": "ghp_" + "aB3" * 12,
    "GitHub fine-grained": "github_pat_" + "a1" * 11 + "_" + "b2" * 29 + "c",
    "GitLab": "glpat-" + "aB3_" * 5,
    "npm": "npm_" + "aB3" * 12,
    "PyPI": "pypi-AgE" + "IcHlwaS5vcmc" + "aB3" * 20,
    "Stripe": "sk_live_" + "aB3" * 8,
    "Telegram": "110201543:AA" + "HdqTcvCH1vGWJxfSeofSAs0K5PALDsaw1",
    "web token": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "Weights & Biases": "WANDB_API_KEY=" + "a1" * 20,
    "setting": "export OPENAI_API_KEY='" + "abcd1234" * 3 + "'",
    "password": "DB_PASSWORD=" + "hunter2000",
    "password in quotes": 'password = "' + 'hunter2abc"',
    "address": "postgres://me:" + "s3cret@db.example.org/x",
    "proxy": "http://me:" + "s3cret@proxy:3128",
    "private key": "-----BEGIN " + "RSA PRIVATE KEY-----",
    "any private key": "-----BEGIN " + "PRIVATE KEY-----",
    "encrypted private key": "-----BEGIN " + "ENCRYPTED PRIVATE KEY-----",
    "OpenSSH key": "-----BEGIN " + "OPENSSH PRIVATE KEY-----",
    "PGP key": "-----BEGIN " + "PGP PRIVATE KEY BLOCK-----",
}
PLACES = (
    "LICENCE",
    ".env",
    "run.sh",
    "settings.ini",
    "notes.ipynb",
    "page.html",
    "deep/er/config",
    "notes.md",
    "a.rst",
)


@pytest.mark.parametrize("kind", SECRETS)
def test_secrets_are_found_and_not_repeated(kind):
    found = leaks.secrets_in(f"one\n{SECRETS[kind]}\nthree\n")
    assert found and all("line 2" in one for one in found)
    assert SECRETS[kind][8:] not in " ".join(found)


@pytest.mark.parametrize("name", PLACES)
def test_secrets_are_found_in_files_of_any_name(name, tmp_path):
    write(name, f"some words\nkey: {TOKEN}\n")(tmp_path)
    (told,) = check.check_content(name, tmp_path / name)
    assert name in told and TOKEN not in told


def test_secrets_are_found_in_other_encodings_and_in_peoples_texts(tmp_path):
    (tmp_path / "notes.txt").write_text(f"key {TOKEN}", encoding="utf-16")
    assert check.check_content("notes.txt", tmp_path / "notes.txt")
    (tmp_path / "rows.jsonl").write_text(json.dumps({"text": f"my key is {TOKEN}, see /home/me"}))
    (told,) = check.check_content("rows.jsonl", tmp_path / "rows.jsonl", data=True)
    assert "Hugging Face" in told


HIDDEN = {
    "after a zero": b"\0" * 100 + TOKEN.encode(),
    "between bytes": bytes(range(256)) + TOKEN.encode() + bytes(range(128, 256)),
    "UTF-16 without its mark": TOKEN.encode("utf-16-le"),
    "UTF-32": TOKEN.encode("utf-32"),
    "base64": b"key: " + base64.b64encode(b"my key: " + TOKEN.encode()),
    "gzip": gzip.compress(TOKEN.encode()),
    "zip": zipped("a.txt", TOKEN),
    "tar in xz": lzma.compress(tarred("a.txt", TOKEN.encode())),
    "late": b"x " * 1500 + TOKEN.encode(),
}


@pytest.mark.parametrize("data", [False, True])
@pytest.mark.parametrize("where", HIDDEN)
def test_secrets_are_found_wherever_a_file_hides_them(where, data, tmp_path, monkeypatch):
    monkeypatch.setattr(check, "TEXT_BYTES", 1000)
    (tmp_path / "notes").write_bytes(HIDDEN[where])
    (told,) = check.check_content("notes", tmp_path / "notes", data)
    assert "a Hugging Face token" in told and TOKEN not in told


@pytest.mark.parametrize("part", ["-", "http://", "x\n", "a.b-", "token = ", f"{TOKEN}\n", "secret key ", "1,"])
def test_no_text_takes_long_to_search(part, tmp_path):
    """Patterns that take the square of a line's length would take minutes."""
    start = time.process_time()
    leaks.secrets_in(part * (200_000 // len(part)))
    assert time.process_time() - start < 10


@pytest.mark.parametrize("content", [b"x", b"P", b"\x1f", b"\x78\x9c", b"[1]"])
def test_the_shortest_files_are_no_trouble(content, tmp_path):
    (tmp_path / "notes").write_bytes(content)
    assert check.check_content("notes", tmp_path / "notes") == []


def test_the_rules_of_the_scanner_are_in_use():
    assert leaks.has_scanner()
    kinds = {detector.secret_type for detector in leaks._detectors()}
    assert {"Private Key", "Slack Token", "AWS Access Key", "JSON Web Token", "Secret Keyword"} <= kinds


@pytest.mark.parametrize(
    "text",
    [
        "the risk-based task-oriented sk-learn way of things",
        "password: (ask the maintainers)\ntoken: <your token>\napi_key: ${API_KEY}",
        "https://example.org/a:b@c http://host:8080/x mailto:me@example.org",
        "http://user:****@host and https://<user>:<password>@host",
        '"sha256": "' + "0123456789abcdef" * 4 + '"',
        "tokenizer_class: BertTokenizer\nsep_token: [SEP]\nbos_token_id = 101",
        "the secret of joy 2 the world; a key to happiness is 42",
    ],
)
def test_ordinary_words_are_no_secret(text):
    assert leaks.secrets_in(text) == []


def test_a_line_may_say_that_it_is_none():
    assert leaks.secrets_in(f"example: {TOKEN}  # pragma: allowlist secret") == []


@pytest.mark.parametrize("name", [".env", ".netrc", ".aws/credentials", "deep/id_rsa", "my.pem", ".git-credentials",
                                  "sub/.git/config", ".envrc", ".bash_history", ".kaggle/kaggle.json",
                                  "x.tfstate"])  # fmt: skip
def test_files_for_secrets_are_told_by_name(name, tmp_path):
    write(name, "nothing")(tmp_path)
    assert "is a file for keys and passwords" in check.check_content(name, tmp_path / name)[0]


# Ways out of the folder


@pytest.mark.parametrize(
    "parts",
    [
        {"x": "../evil.safetensors"}, {"x": "/etc/passwd"}, {"x": "a/b.safetensors"}, {"x": "..\\evil.safetensors"},
        {"x": "notes.md"}, {"x": ""}, {"x": None}, {"x": ["model.safetensors"]}, {"x": "a/../x.safetensors"},
        ["model.safetensors"], {}, None, "model.safetensors", 7, {"x": ".hidden.safetensors"},
        {"x": "model\n.safetensors"},
    ],
)  # fmt: skip
def test_no_index_leads_out_of_the_folder(parts, folder, tmp_path, capsys):
    (tmp_path / "evil.safetensors").write_bytes(b"evil")
    (folder / "model.safetensors").rename(tmp_path / "weights")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": parts}))
    with pytest.raises(ValueError, match=r"index\.json (names|has no weight_map)"):
        weight_files(folder)
    assert any("index.json" in problem for problem in check.check_files(folder))
    with pytest.raises(ValueError, match=r"index\.json (names|has no weight_map)"):
        build_folder(folder, tmp_path / "built" / "folder", "# a card\n")
    assert not (tmp_path / "built" / "evil.safetensors").exists()
    assert cli.main(["push", str(folder), "--repo-id", "a/b", "--dry-run"]) == 2
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("index", ["[]", "{", "[" * 100_000, "\ufeff{}", '{"weight_map": {"a": 1}}'])
def test_a_damaged_index_is_a_sentence(index, folder):
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(index)
    with pytest.raises(ValueError, match=r"model\.safetensors\.index\.json"):
        weight_files(folder)


@pytest.mark.parametrize("name", ["merges.txt", "vocab.txt", "tokenizer.json", "model.safetensors"])
def test_links_are_told_and_not_followed(name, folder, tmp_path):
    (tmp_path / "secret").write_text("s3cret")
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(tmp_path / "secret")
    assert check.check_files(folder) == [f"{name} is a link out of the folder: publish the file itself"]
    with pytest.raises(ValueError, match=f"{re.escape(name)} is a link out of the checkpoint"):
        build_folder(folder, tmp_path / "built", "# a card\n")
    copied = [path for path in (tmp_path / "built").rglob("*") if path.is_file()]
    assert not [path for path in copied if b"s3cret" in path.read_bytes()]


def test_links_to_folders_nothing_and_the_store_of_the_hubs_client(folder, tmp_path):
    (folder / "sub").symlink_to(tmp_path)
    (folder / "lost").symlink_to("nowhere")
    (folder / "same").symlink_to("README.md")
    assert foreign_links(folder) == ["lost", "sub"]
    snapshot = tmp_path / "models--a--b" / "snapshots" / "0123"
    blob = tmp_path / "models--a--b" / "blobs" / "4567"
    for place in (snapshot, blob.parent):
        place.mkdir(parents=True)
    blob.write_text("{}")
    (snapshot / "config.json").symlink_to("../../blobs/4567")
    assert foreign_links(snapshot) == []
    (snapshot / "evil").symlink_to("../../../secret")
    assert foreign_links(snapshot) == ["evil"]


@pytest.mark.parametrize(("make", "message"), [
    (lambda path: path.symlink_to("/etc/hostname"), "is a link out of the data set"),
    (lambda path: path.symlink_to(path.name), "is a link out of the data set"),
    (os.mkfifo, "is neither a file nor a folder"),
])  # fmt: skip
def test_a_data_set_with_what_is_no_file_is_refused(make, message, tmp_path, capsys):
    data = tmp_path / "data"
    data.mkdir()
    (data / "README.md").write_text("---\nlicense: mit\n---\n# d\n")
    (data / "rows.jsonl").write_text("{}\n")
    make(data / "notes.txt")
    assert cli.main(["push-data", str(data), "--repo-id", "a/b", "--dry-run"]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1


@settings(max_examples=40, deadline=None)
@given(st.binary(max_size=200) | st.integers(0, 300).flatmap(lambda n: st.just(struct.pack("<Q", n) + b'{"a":' * 40)))
def test_garbage_weights_are_a_sentence(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("garbage")
    (folder / "model.safetensors").write_bytes(content)
    with pytest.raises(ValueError, match="safetensors"):
        tensor_sizes(folder)


@pytest.mark.parametrize(
    "content",
    [
        "[]", "3", '{"outputs": []}', '{"outputs": {"a": 3}, "sha256": {}}', "[" * 100_000,
        '{"outputs": {"a": [["x"]]}, "sha256": {}}', '{"outputs": {"a": [[1]]}, "sha256": []}',
        '{"outputs": {"a": [[1' + "0" * 400 + ']]}, "sha256": {}}',
    ],
)  # fmt: skip
def test_a_damaged_reference_is_told(content, folder):
    (folder / REFERENCE).write_text(content)
    assert f"{REFERENCE} is damaged" in check.check_files(folder)


DEEP = '{"model_type": "emodistill", "a": ' + "[" * 300 + "]" * 300 + "}"


@pytest.mark.parametrize("content", ["[" * 100_000, '"emodistill"', "\xff", DEEP])
def test_a_damaged_configuration_is_a_sentence(content, folder, capsys):
    (folder / "config.json").write_text(content, encoding="latin-1")
    for command in (["verify"], ["push", "--repo-id", "a/b", "--dry-run"], ["card"]):
        assert cli.main([*command, str(folder)]) == 2
        err = capsys.readouterr().err
        assert "config.json is not" in err and err.count("\n") == 1, err
