"""Saved states: whole or not there, checked, and read without running anything in them."""

import json
import os
import random
import shutil
import signal
import sys

import numpy
import pytest
import torch
from accelerate import Accelerator

from emodistill.training import states
from emodistill.training.states import RunStates, TrainingProgress, last_state


class Run:
    """A linear model that trains on random numbers: all that [`RunStates`] saves, without a data set."""

    def __init__(self, folder, run=None):
        torch.manual_seed(0)
        self.accelerator = Accelerator(cpu=True)
        self.network = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
        optimizer = torch.optim.AdamW(self.network.parameters(), lr=0.1, fused=True)
        self.model, self.optimizer = self.accelerator.prepare(self.network, optimizer)
        self.scheduler = torch.optim.lr_scheduler.LambdaLR(self.optimizer, lambda step: 1.0 / (1 + step))
        self.progress = TrainingProgress()
        self.states = RunStates(
            folder, self.accelerator, self.network, self.optimizer, self.scheduler, self.progress, run
        )

    def steps(self, number):
        for _ in range(number):
            noise = random.random() + numpy.random.random()
            self.accelerator.backward(self.model(torch.randn(5, 3)).mean() * noise)
            self.optimizer.step()
            self.scheduler.step()
            self.optimizer.zero_grad()
            self.progress.step += 1
        return self

    def weights(self):
        return torch.cat([parameter.detach().flatten() for parameter in self.network.parameters()])


def test_a_restored_run_goes_on_bit_by_bit(tmp_path):
    run = Run(tmp_path).steps(3)
    run.progress.history.append({"step": 3, "selection": 0.1 + 0.2})
    run.states.save()
    run.steps(4)
    other = Run(tmp_path)
    random.seed(5), numpy.random.seed(5), torch.manual_seed(5)
    assert other.states.restore() is True
    assert (other.progress.step, other.progress.history) == (3, [{"step": 3, "selection": 0.1 + 0.2}])
    assert torch.equal(other.steps(4).weights(), run.weights())
    assert other.scheduler.get_last_lr() == run.scheduler.get_last_lr()


def test_without_a_state_there_is_nothing_to_restore(tmp_path):
    (tmp_path / "states" / ".step-00000010.tmp").mkdir(parents=True)
    assert Run(tmp_path).states.restore() is False and last_state(tmp_path) is None


def test_two_states_are_kept_and_none_can_be_executed(tmp_path):
    run = Run(tmp_path)
    for _ in range(3):
        run.steps(1).states.save()
    assert sorted(os.listdir(tmp_path / "states")) == ["step-00000002", "step-00000003"]
    names = set(os.listdir(last_state(tmp_path)))
    assert names == {"manifest.json", "model.safetensors", "optimizer.safetensors", "state.json"}


def cut(folder, name):
    path = folder / name
    path.write_bytes(path.read_bytes()[:-5])


def flip(folder, name):
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)


def lose(folder, name):
    (folder / name).unlink()


@pytest.mark.parametrize("name", ["model.safetensors", "optimizer.safetensors", "state.json", "manifest.json"])
@pytest.mark.parametrize("damage", [cut, flip, lose])
def test_a_damaged_state_is_told_and_the_one_before_serves(tmp_path, name, damage):
    run = Run(tmp_path)
    run.steps(1).states.save()
    before = run.weights()
    run.steps(1).states.save()
    damage(tmp_path / "states" / "step-00000002", name)
    said, other = [], Run(tmp_path)
    assert other.states.restore(said.append) and other.progress.step == 1
    assert torch.equal(other.weights(), before)
    assert len(said) == 1 and "is damaged" in said[0] and "going on from step-00000001" in said[0]
    assert name in said[0] or (name, damage) == ("manifest.json", flip)  # then it may be another file's digest


def test_damaged_states_push_out_no_whole_one(tmp_path):
    run = Run(tmp_path)
    for _ in range(2):
        run.steps(5).states.save()
    for name in ("step-00000005", "step-00000010"):
        flip(tmp_path / "states" / name, "model.safetensors")
    said, again = [], Run(tmp_path)
    assert again.states.restore(said.append) is False and len(said) == 2
    for step in (3, 4):
        again.steps(step - again.progress.step).states.save()
        other = Run(tmp_path)
        assert other.states.restore(said.append) and other.progress.step == step


def test_another_run_s_state_is_not_taken(tmp_path):
    run = {"seed": 1, "data": "0a", "betas": (0.9, 0.99), "start": "1b"}
    Run(tmp_path, run | {"start": None}).steps(1).states.save()
    Run(tmp_path, run | {"seed": 2}).steps(2).states.save()
    said, other = [], Run(tmp_path, run | {"a newer setting": 3})
    assert other.states.restore(said.append) and other.progress.step == 1
    assert said == [
        "the saved state step-00000002 is damaged (another run's, with other seed); going on from step-00000001"
    ]


@pytest.mark.parametrize("content", ["[]", "{}", '{"sha256": 3}', '{"sha256": {"state.json": 1}}', "[" * 100_000])
def test_a_manifest_that_says_nothing_is_damage(tmp_path, content):
    Run(tmp_path).steps(1).states.save()
    (tmp_path / "states" / "step-00000001" / "manifest.json").write_text(content)
    said = []
    assert Run(tmp_path).states.restore(said.append) is False
    assert len(said) == 1 and "beginning again" in said[0]


def test_a_manifest_names_no_file_outside(tmp_path):
    Run(tmp_path).steps(1).states.save()
    secret = tmp_path / "secret"
    secret.write_text("x")
    path = tmp_path / "states" / "step-00000001" / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["sha256"]["../../secret"] = states.file_digest(secret)
    path.write_text(json.dumps(manifest))
    assert Run(tmp_path).states.restore(lambda line: None) is False


def test_a_state_saved_again_replaces_the_first_even_where_saving_fails(tmp_path, monkeypatch):
    run = Run(tmp_path).steps(2)
    run.states.save()
    run.progress.epoch = 1
    monkeypatch.setattr(states, "write_json", lambda *args, **options: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run.states.save()
    monkeypatch.undo()
    assert Run(tmp_path).states.restore() and last_state(tmp_path).endswith("step-00000002")
    run.states.save()
    other = Run(tmp_path)
    assert other.states.restore() and other.progress.epoch == 1
    assert os.listdir(tmp_path / "states") == ["step-00000002"]


def killed_while_saving(run, operation):
    """Save in a forked process that dies by SIGKILL in the midst of a file operation; whether it got that far."""
    process = os.fork()
    if not process:
        seen = 0

        def watch(event, details):
            nonlocal seen
            if event in ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir") and "states" in str(details):
                seen += 1
                if seen == operation:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(watch)
        run.states.save()
        os._exit(0)
    _, status = os.waitpid(process, 0)
    return os.WIFSIGNALED(status)


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("again", [False, True], ids=["a new step", "a step saved again"])
def test_a_kill_at_any_file_operation_of_a_save_leaves_a_whole_state(tmp_path, again):
    run = Run(tmp_path).steps(1)
    run.states.save()
    run.steps(1)
    if again:
        run.states.save()
        run.progress.epoch = 1
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    kills = 0
    while killed_while_saving(run, kills + 1):
        kills += 1
        said, other = [], Run(tmp_path)
        assert other.states.restore(said.append) and not said, f"kill {kills}"
        assert other.progress.step == (2 if again else other.progress.step) and other.progress.epoch in (0, 1)
        if other.progress.step == 2:
            assert torch.equal(other.weights(), run.weights())
        if set(before) - {path for path in tmp_path.rglob("*") if path.is_file()} or other.progress.step == 2:
            shutil.rmtree(tmp_path / "states")  # back to where it was, for the next kill
            for path, content in before.items():
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
    assert kills >= 10
    print(f"{kills} kills")


def test_a_state_of_an_older_version_is_refused(tmp_path):
    folder = tmp_path / "states" / "step-00000010"
    folder.mkdir(parents=True)
    (folder / "random_states_0.pkl").write_bytes(b"cos\nsystem\n(S'touch pwned'\ntR.")
    with pytest.raises(ValueError, match="older version"):
        Run(tmp_path).states.restore()


def test_a_state_of_another_model_is_refused(tmp_path):
    Run(tmp_path).steps(1).states.save()
    other = Run(tmp_path)
    other.states.network = torch.nn.Linear(2, 2)
    with pytest.raises(ValueError, match="does not fit this model"):
        other.states.restore()


def test_a_full_disk_is_one_sentence(tmp_path, monkeypatch):
    run = Run(tmp_path).steps(1)

    def full(*args, **options):
        raise RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)")

    monkeypatch.setattr("safetensors.torch.save_model", full)
    with pytest.raises(OSError, match="disk full"):
        run.states.save()
    assert os.listdir(tmp_path / "states") == []
