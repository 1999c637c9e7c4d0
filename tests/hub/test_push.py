"""Publishing through the Hub's own client against a real server on loopback, also when things go wrong."""

import json
import re
import time

import fake_hub
import pytest

from emodistill import cli
from emodistill.hub import errors, push
from emodistill.hub.errors import HubError
from emodistill.hub.folder import tree
from emodistill.hub.push import publish

pytestmark = pytest.mark.slow  # each publishes over HTTP

REPO = f"{fake_hub.OWNER}/tiny"
PAGE = b"<!DOCTYPE html><title>Log in</title>"


def contents(folder):
    return {name: path.read_bytes() for name, path in tree(folder).items()}


def published(hub, **options):
    """What a repository holds, less what the Hub itself put there."""
    return {name: content for name, content in hub.files(REPO, **options).items() if name != ".gitattributes"}


def commits(hub):
    return [path for method, path in hub.requests if method == "POST" and "/commit/" in path]


@pytest.fixture
def quick(monkeypatch):
    """No waiting between tries, ours and the client's."""
    monkeypatch.setattr(time, "sleep", lambda seconds: None)


def test_one_commit_holds_the_folder(ready_folder, hub, api):
    done = publish(ready_folder, REPO, api=api)
    assert published(hub) == contents(ready_folder)
    assert done.created and done.changed and done.oid == hub.repos["model", REPO].branches["main"]
    assert len(commits(hub)) == 1 and hub.repos["model", REPO].log == ["initial commit", "Publish with emodistill"]
    assert any(method == "PUT" and path.startswith("/storage/") for method, path in hub.requests)
    assert hub.requests[-1] == ("GET", f"/api/models/{REPO}/tree/{done.oid}")  # read back at the end


def test_publishing_again_changes_only_what_changed(folder, hub, api):
    first = publish(folder, REPO, api=api)
    again = publish(folder, REPO, api=api)
    assert not again.created and not again.changed and again.oid == first.oid
    (folder / "README.md").write_text("---\nlicense: mit\n---\n# New\n")
    uploads = len([request for request in hub.requests if request[0] == "PUT"])
    third = publish(folder, REPO, api=api)
    assert third.changed and published(hub) == contents(folder)
    assert len([request for request in hub.requests if request[0] == "PUT"]) == uploads


def test_stale_parts_go_and_other_files_stay(folder, hub, api):
    (folder / "pytorch_model.bin").write_bytes(b"old")
    (folder / "old_emodistill.py").write_text("old = 1\n")
    (folder / "picture.svg").write_text("<svg/>")
    publish(folder, REPO, api=api)
    for name in ("pytorch_model.bin", "old_emodistill.py", "picture.svg"):
        (folder / name).unlink()
    assert publish(folder, REPO, api=api).deleted == ["old_emodistill.py", "pytorch_model.bin"]
    assert published(hub) == {**contents(folder), "picture.svg": b"<svg/>"}


def test_a_branch_is_made_and_main_left_alone(ready_folder, hub, api):
    publish(ready_folder, REPO, revision="trial", api=api)
    assert published(hub, revision="trial") == contents(ready_folder) and published(hub) == {}


def test_private_repositories(ready_folder, hub, api):
    publish(ready_folder, REPO, private=True, api=api)
    assert hub.repos["model", REPO].private
    publish(ready_folder, REPO, private=True, api=api)
    hub.repos["model", REPO].private = False
    before = len(commits(hub))
    with pytest.raises(HubError, match="it is public, and --private only makes new repositories private"):
        publish(ready_folder, REPO, private=True, api=api)
    assert len(commits(hub)) == before


# Faults


def test_a_wrong_token(ready_folder, hub, api):
    api.token = "hf_" + "x" * 34
    with pytest.raises(HubError, match=r"^nothing was published to tester/tiny: the Hub refuses the token"):
        publish(ready_folder, REPO, api=api)
    assert hub.repos == {}


def test_no_token(ready_folder, hub, api, monkeypatch, tmp_path):
    import huggingface_hub

    monkeypatch.delenv("HF_TOKEN")
    monkeypatch.setattr(huggingface_hub.constants, "HF_TOKEN_PATH", str(tmp_path / "none"))
    api.token = None
    with pytest.raises(HubError, match="the Hub refuses the token, or got none"):
        publish(ready_folder, REPO, api=api)


def test_no_right_to_write(ready_folder, hub, api):
    hub.fault("POST", "/api/repos/create", 403)
    with pytest.raises(HubError, match="the token may not do this"):
        publish(ready_folder, REPO, api=api)


@pytest.mark.parametrize("content", [PAGE, b"null"])
@pytest.mark.parametrize(
    ("method", "place"),
    [("GET", f"{REPO}$"), ("POST", "/create$"), ("POST", "-yaml$"), ("POST", "/preupload/"), ("POST", "/commit/")],
)
def test_an_answer_that_is_not_the_hubs_is_told(method, place, content, ready_folder, hub, api, quick):
    """A page to log in on the way, or another service behind `HF_ENDPOINT`."""
    hub.fault(method, place, 200, content=content, times=99)
    with pytest.raises(HubError, match=r"^nothing was published .*: what answered is not the Hub") as caught:
        publish(ready_folder, REPO, api=api)
    made = ("model", REPO) in hub.repos
    assert ("(the repository itself was made)" in str(caught.value)) is made and not (made and published(hub))


def test_a_refusal_is_told_in_the_hubs_words(ready_folder, hub, api):
    hub.fault("POST", "/preupload/", 400)
    with pytest.raises(HubError, match=r"nothing was published .*: the Hub refuses it \(400\): so the test wants it"):
        publish(ready_folder, REPO, api=api)


def test_a_repository_that_somebody_makes_meanwhile_is_no_error(ready_folder, hub, api):
    hub.fault("POST", "/api/repos/create", before=lambda hub: make(hub))
    assert publish(ready_folder, REPO, api=api).changed  # 409: it exists, and that is all we want
    assert published(hub) == {**contents(ready_folder), "theirs.txt": b"initial commit"}


def make(hub, title="initial commit"):
    repo = hub.repos.setdefault(("model", REPO), fake_hub.Repository())
    repo.commit("main", {"theirs.txt": (title.encode(), False)}, title)


def test_a_conflict_on_commit_is_told(ready_folder, hub, api, quick):
    hub.fault("POST", "/commit/", 409)
    with pytest.raises(HubError, match=r"nothing was published .* it conflicts with what is there \(409\)"):
        publish(ready_folder, REPO, api=api)
    assert published(hub) == {}


@pytest.mark.parametrize("status", [500, 503, None])
def test_a_commit_that_fails_is_tried_again(status, ready_folder, hub, api, quick):
    hub.fault("POST", "/commit/", status, times=2)
    publish(ready_folder, REPO, api=api)
    assert len(commits(hub)) == 3 and published(hub) == contents(ready_folder)
    assert hub.repos["model", REPO].log.count("Publish with emodistill") == 1


@pytest.mark.parametrize("status", [500, None])
def test_a_commit_that_always_fails_publishes_nothing(status, ready_folder, hub, api, quick):
    hub.fault("POST", "/commit/", status, times=99)
    with pytest.raises(HubError, match=r"^nothing was published to tester/tiny: the (Hub|connection) failed"):
        publish(ready_folder, REPO, api=api)
    assert published(hub) == {} and len(commits(hub)) == 1 + len(push.WAITS)


@pytest.mark.parametrize(("status", "content"), [(500, None), (None, None), (200, PAGE), (200, b"{}")])
def test_a_commit_whose_answer_is_lost_is_not_made_twice(status, content, ready_folder, hub, api, quick):
    hub.fault("POST", "/commit/", status, content=content, done_first=True)
    done = publish(ready_folder, REPO, api=api)
    assert hub.repos["model", REPO].log.count("Publish with emodistill") == 1 and len(commits(hub)) == 1
    assert done.oid == hub.repos["model", REPO].branches["main"] and published(hub) == contents(ready_folder)


def test_another_commit_meanwhile(ready_folder, hub, api, quick):
    hub.fault("POST", "/commit/", before=lambda hub: make(hub, "theirs"))
    with pytest.raises(HubError, match=r"nothing was published .* got another commit in the meantime"):
        publish(ready_folder, REPO, api=api)
    assert hub.repos["model", REPO].log == ["initial commit", "theirs"]


def test_another_commit_between_two_tries(ready_folder, hub, api, quick):
    hub.fault("POST", "/commit/", 500)
    hub.fault("GET", "/revision/main", before=lambda hub: None)  # the first look at the head
    hub.fault("GET", "/revision/main", before=lambda hub: make(hub, "theirs"))  # the one after the failure
    with pytest.raises(HubError, match=r"nothing was published .* got another commit in the meantime"):
        publish(ready_folder, REPO, api=api)
    assert hub.repos["model", REPO].log == ["initial commit", "theirs"]


def test_an_upload_that_is_cut_off_once_is_tried_again(ready_folder, hub, api, quick):
    hub.fault("PUT", "/storage/")
    hub.fault("PUT", "/storage/", 500)
    publish(ready_folder, REPO, api=api)
    assert published(hub) == contents(ready_folder)


def test_an_upload_that_is_always_cut_off_publishes_nothing(ready_folder, hub, api, quick):
    hub.fault("PUT", "/storage/", times=99)
    with pytest.raises(HubError, match="nothing was published to tester/tiny: the connection failed"):
        publish(ready_folder, REPO, api=api)
    assert published(hub) == {} and commits(hub) == []


def test_an_upload_that_arrives_in_part_publishes_nothing(ready_folder, hub, api, quick):
    hub.fault("PUT", "/storage/", change=lambda body: body[:-7], times=99)
    with pytest.raises(HubError, match="nothing was published to tester/tiny"):
        publish(ready_folder, REPO, api=api)
    assert published(hub) == {} and commits(hub) == []


def test_what_is_not_there_as_it_should_be_is_not_called_published(ready_folder, hub, api):
    """A Hub that says yes and keeps something else: only reading back shows it."""
    original = fake_hub.Repository.commit

    def careless(repo, branch, files, title):
        if "config.json" in files:
            files = {**files, "config.json": (b"{}", False), "loss_emodistill.py": (b"x" * 4892, False)}
            weights, lfs = files["model.safetensors"]
            files["model.safetensors"] = (weights[:-1] + bytes([weights[-1] ^ 1]), lfs)
            del files["tokenizer.json"]
        return original(repo, branch, files, title)

    fake_hub.Repository.commit = careless
    try:
        with pytest.raises(HubError) as caught:
            publish(ready_folder, REPO, api=api)
    finally:
        fake_hub.Repository.commit = original
    message = str(caught.value)
    assert message.startswith(f"{REPO} was written, but not as it should be") and "\n" not in message
    assert "config.json has 2 bytes" in message and "tokenizer.json is missing" in message
    assert "model.safetensors has another content" in message and "loss_emodistill.py has" in message


def test_a_repository_that_cannot_be_read_back_is_not_called_published(ready_folder, hub, api, quick):
    hub.fault("GET", "/tree/", before=lambda hub: None)  # the look before the commit
    hub.fault("GET", "/tree/", 500, times=99)
    with pytest.raises(HubError, match="was written, and could not be read back, so do not rely on commit"):
        publish(ready_folder, REPO, api=api)


def test_an_offline_client_is_told(ready_folder, hub, api, monkeypatch):
    import huggingface_hub

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubError, match="HF_HUB_OFFLINE is set"):
        publish(ready_folder, REPO, api=api)


# The command


@pytest.fixture
def unverified(monkeypatch):
    """Without the process of `emodistill verify`, which its own tests cover and the round trip below takes."""
    monkeypatch.setattr(push, "verify_folder", lambda folder: ([], 0.0))


def test_a_dry_run_lists_files_and_sends_nothing(checkpoint, hub, api, unverified, capsys):
    assert cli.main(["push", str(checkpoint), "--repo-id", REPO, "--dry-run"]) == 0
    out = capsys.readouterr().out
    size = (checkpoint / "model.safetensors").stat().st_size
    assert re.search(rf"^ *{size:,}  model\.safetensors$", out, re.MULTILINE) and "pipeline_emodistill.py" in out
    assert "nothing was sent" in out and hub.requests == [] and not (checkpoint / "README.md").exists()


def test_the_command_publishes_and_says_so(checkpoint, hub, api, unverified, capsys):
    arguments = ["push", str(checkpoint), "--repo-id", REPO, "--private", "--message", "First"]
    assert cli.main(arguments) == 0
    out = capsys.readouterr().out
    assert f"created the model repository {REPO}" in out and "read back" in out
    assert hub.repos["model", REPO].private and hub.repos["model", REPO].log[-1] == "First"
    assert f'model="{REPO}"' in hub.files(REPO)["README.md"].decode()
    assert cli.main(arguments) == 0 and "nothing has changed" in capsys.readouterr().out


def test_a_failure_exits_1_in_one_sentence(checkpoint, hub, api, unverified, capsys, quick):
    hub.fault("POST", "/commit/", 500, times=99)
    assert cli.main(["push", str(checkpoint), "--repo-id", REPO]) == 1
    captured = capsys.readouterr()
    assert "nothing was published" in captured.err and captured.err.count("\n") == 1
    assert "read back" not in captured.out


def test_a_silent_server_is_given_up(checkpoint, hub, api, unverified, capsys, monkeypatch):
    monkeypatch.setattr(errors, "SILENCE", 0.1)
    hub.fault("GET", "/whoami", before=lambda hub: time.sleep(0.5))
    assert cli.main(["push", str(checkpoint), "--repo-id", REPO]) == 1
    assert "nothing was published to tester/tiny: the connection failed" in capsys.readouterr().err


def test_a_folder_that_is_not_in_order_is_not_sent(checkpoint, hub, api, capsys, tmp_path):
    facts = tmp_path / "facts.toml"
    facts.write_text('how = "Trained by running /home/me/train.sh with care."\n')
    assert cli.main(["push", str(checkpoint), "--repo-id", REPO, "--facts", str(facts)]) == 1
    assert "README.md holds an absolute path: /home/me/train.sh" in capsys.readouterr().err and hub.requests == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{checkpoint}", "--repo-id", "no-owner"], "neither a folder here nor a Hub id"),
        (["{checkpoint}", "--repo-id", "a/b/c"], "neither a folder here nor a Hub id"),
        (["nowhere", "--repo-id", REPO], "there is no folder nowhere"),
        (["{empty}", "--repo-id", REPO], "has no config.json"),
        (["{checkpoint}", "--repo-id", REPO, "--facts", "{empty}/none.toml"], "none.toml"),
    ],
)
def test_a_mistake_is_one_sentence(arguments, message, checkpoint, tmp_path, capsys):
    (tmp_path / "empty").mkdir()
    values = {"checkpoint": checkpoint, "empty": tmp_path / "empty"}
    assert cli.main(["push", *(part.format(**values) for part in arguments)]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1


# The whole way


SNIPPET = re.compile(r"```python\n(.*?)```", re.DOTALL)
# As they stand: the first two snippets, one after the other, where the package is absent; then saved and pushed again.
WITHOUT = """
import json
repo, folder, *snippets = sys.argv[1:]
for snippet in snippets:
    exec(snippet, {})
from transformers import AutoModel, AutoTokenizer, pipeline
model = AutoModel.from_pretrained(repo, trust_remote_code=True)
assert type(model).__module__.startswith("transformers_modules.")
model.save_pretrained(folder + "/model")
model.push_to_hub(repo + "-model")
AutoTokenizer.from_pretrained(repo, trust_remote_code=True).push_to_hub(repo + "-model")
classify = pipeline("zero-shot-classification", model=repo + "-model", trust_remote_code=True)
classify.save_pretrained(folder + "/pipeline")
classify.push_to_hub(repo + "-pipeline")
again = pipeline("zero-shot-emotion", model=repo + "-pipeline", trust_remote_code=True)
print(json.dumps(again("I am so happy", labels=["joy", "anger"])))
"""
WITH_PACKAGE = """
import sys
from emodistill import cli
folder, repo, snippet = sys.argv[1:]
assert cli.main(["verify", repo, "--trust-remote-code"]) == 0
exec(snippet, {})
import emodistill
from transformers import pipeline
emodistill.EmoDistillModel.from_pretrained(folder).push_to_hub(repo + "-own-model")
pipeline("zero-shot-emotion", model=folder).push_to_hub(repo + "-own-pipeline")
"""


@pytest.mark.slow
def test_push_verify_and_use_as_users_do(checkpoint, ready_folder, hub, api, unverified, run, tmp_path):
    assert cli.main(["push", str(checkpoint), "--repo-id", REPO]) == 0
    snippets = SNIPPET.findall(hub.files(REPO)["README.md"].decode())
    assert ["import emodistill" in snippet for snippet in snippets] == [False, False, True]
    done = run(WITHOUT, REPO, tmp_path, *snippets[:2], package=False)
    assert done.returncode == 0 and "schadenfreude" in done.stdout and "[" in done.stdout.splitlines()[0], done.stderr
    assert set(json.loads(done.stdout.splitlines()[-1])["labels"]) == {"joy", "anger"}
    done = run("-c", WITH_PACKAGE, checkpoint, REPO, snippets[2])
    assert done.returncode == 0 and "neutral" in done.stdout and "'warmth': " in done.stdout, done.stderr
    assert "zero-shot-classification" in done.stdout and "its code is this emodistill's" in done.stdout, done.stdout
    code = {name for name in hub.files(REPO) if name.endswith(".py")}
    original = json.loads((ready_folder / "config.json").read_text())
    places = [hub.files(f"{REPO}-{name}") for name in ("model", "pipeline", "own-model", "own-pipeline")]
    places += [contents(tmp_path / name) for name in ("model", "pipeline")]
    for files in places:  # saving and pushing again lose no file
        assert code <= set(files) and "model.safetensors" in files
        config = json.loads(files["config.json"])
        assert all(config[key] == original[key] for key in ("auto_map", "custom_pipelines"))
        assert all(files[name] == hub.files(REPO)[name] for name in code)
