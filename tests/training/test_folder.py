"""A run's folder: one run at a time, with the arguments and inputs it was begun with."""

import json
import os
import shutil
import signal

import pytest

from emodistill import cli
from emodistill.train_accelerate import Trainer, main
from emodistill.training.arguments import parse_arguments
from emodistill.training.folder import begin_again, claim_arguments, claim_inputs, locked
from emodistill.training.record import checkpoint_digest, start_digests
from emodistill.training.states import StopSignal, last_state


@pytest.fixture
def stop_at(monkeypatch):
    """`stop_at(step)`: the run ends at that step as if told by SIGTERM."""

    def build(step):
        calls = iter(range(1, 10**9))
        requested = lambda self: int(signal.SIGTERM) if next(calls) == step else 0  # noqa: E731
        monkeypatch.setattr(StopSignal, "requested", requested)

    return build


def test_other_settings_and_other_texts_are_refused_until_a_run_begins_again(
    arguments, tmp_path, capsys, stop_at, rows_file
):
    rows = tmp_path / "mine.jsonl"
    rows.write_bytes(rows_file.read_bytes())
    mine = ("--epochs", "1", "--data", str(rows))
    stop_at(5)
    assert cli.main(["train", *arguments(*mine)]) == 128 + signal.SIGTERM
    state = last_state(tmp_path / "run")
    assert cli.main(["train", *arguments(*mine, "--seed", "5")]) == 2
    assert "other settings (seed)" in capsys.readouterr().err
    rows.write_text(rows.read_text() + json.dumps({"text": "one more", "labels": ["joy"]}) + "\n")
    assert cli.main(["train", *arguments(*mine)]) == 2
    assert "other inputs (the texts of data changed since it began)" in capsys.readouterr().err
    assert last_state(tmp_path / "run") == state
    stop_at(3)
    begin_again(tmp_path / "run")
    assert cli.main(["train", *arguments(*mine)]) == 128 + signal.SIGTERM
    assert last_state(tmp_path / "run").endswith("step-00000003")
    assert len(os.listdir(tmp_path / "run" / "states")) == 1


def test_a_changed_lexicon_is_refused(arguments, tmp_path, capsys, stop_at, lexicon_file):
    path = tmp_path / "lexicon.tsv"
    path.write_bytes(lexicon_file.read_bytes())
    stop_at(2)
    assert main(arguments("--lexicon", str(path))) == 128 + signal.SIGTERM
    path.write_text(path.read_text().replace("8.5", "8.0"))
    assert cli.main(["train", *arguments("--lexicon", str(path))]) == 2
    assert "(the lexicon changed" in capsys.readouterr().err


def test_each_input_that_changed_is_named(tmp_path):
    claim_inputs(tmp_path, {"data": "1", "start": "2", "teachers": "3"})
    claim_inputs(tmp_path, {"data": "1", "start": "2", "teachers": "3"})
    with pytest.raises(ValueError, match="encoder to start from, the teachers changed"):
        claim_inputs(tmp_path, {"data": "1", "start": "5", "teachers": "6"})


def test_a_digest_that_was_not_known_refuses_nothing(tmp_path):
    claim_inputs(tmp_path, {"data": "1", "start": None})
    claim_inputs(tmp_path, {"data": "1", "start": "2"})
    claim_inputs(tmp_path, {"data": "1", "start": None})
    with pytest.raises(ValueError, match="encoder to start from changed"):
        claim_inputs(tmp_path, {"data": "1", "start": "3"})


def test_weights_of_the_hub_are_known_from_the_first_start_on(tmp_path, monkeypatch):
    """A run fetches them, since it needs them at once; a look at what is done fetches nothing."""
    file, calls = tmp_path / "model.safetensors", []

    def cached_file(name, filename, local_files_only, **options):
        calls.append(local_files_only)
        if name == "a/b":
            return None
        if not local_files_only:
            file.write_bytes(b"weights")
        if not file.exists():
            raise OSError("not in the cache")
        return str(file)

    monkeypatch.setattr("transformers.utils.cached_file", cached_file)
    groups = parse_arguments(["--text_encoder", "someone/encoder", "--teachers", "someone/teacher"])
    assert start_digests(groups) == {"start": None, "teachers": None} and not file.exists()
    first = start_digests(groups, fetch=True)
    assert first == start_digests(groups) and None not in first.values()
    assert calls == [True] * 2 + [False] * 2 + [True] * 2
    assert checkpoint_digest("a/b", fetch=True) is None


def test_damaged_arguments_are_one_sentence(arguments, tmp_path, capsys):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "arguments.json").write_text("[1,")
    assert cli.main(["train", *arguments()]) == 2
    assert "arguments.json is damaged" in capsys.readouterr().err


def test_a_run_begun_before_an_argument_existed_goes_on(arguments, tmp_path, stop_at):
    stop_at(2)
    assert main(arguments()) == 128 + signal.SIGTERM
    path = tmp_path / "run" / "arguments.json"
    settings = json.loads(path.read_text())
    assert settings.pop("salience_decay") == 1.0
    path.write_text(json.dumps(settings))
    stop_at(2)
    assert main(arguments()) == 128 + signal.SIGTERM
    assert last_state(tmp_path / "run").endswith("step-00000004")
    assert cli.main(["train", *arguments("--salience_decay", "0.5")]) == 2


def test_a_run_that_was_refused_its_data_holds_no_folder(tmp_path):
    def groups(data):
        return parse_arguments(["--init", "x", "--output-dir", str(tmp_path), "--data", data])

    claim_arguments(groups("mine.csv"))
    claim_arguments(groups("mine.tsv"))
    claim_inputs(tmp_path, {"data": "1"})
    with pytest.raises(ValueError, match=r"other settings \(data\)"):
        claim_arguments(groups("mine.csv"))


def test_a_slip_of_the_pen_leaves_no_folder_but_the_one_that_was_there(arguments, tmp_path, capsys):
    rows = tmp_path / "one.jsonl"
    rows.write_text('{"text": "a day", "labels": ["joy"]}\n')
    (tmp_path / "there").mkdir()
    for output in ("new", "there"):
        assert cli.main(["train", *arguments("--data", str(rows), output=output)]) == 2
        told = "gives 1 training text and 0 validation texts; both are needed, and equal texts are held out together"
        assert told in capsys.readouterr().err
    assert not (tmp_path / "new").exists() and (tmp_path / "there").is_dir()
    lines = [f'{{"text": "a day {number}", "labels": ["joy"]}}\n' for number in range(20)]
    rows.write_text("".join(lines))
    same = arguments("--data", str(rows), "--epochs", "1", output="same", lexicon=False)
    assert cli.main(["train", *same]) == 2 and "carry one label alone" in capsys.readouterr().err
    rows.write_text("".join(lines).replace("joy", "rage", 10))  # as told, and no other run's
    assert cli.main(["train", *same]) == 0


def test_a_checkpoint_that_no_run_left_is_not_replaced(tmp_path):
    (tmp_path / "final").mkdir()
    with pytest.raises(ValueError, match=r"holds final of what is no run known here .* choose another output_dir"):
        claim_arguments(parse_arguments(["--init", str(tmp_path / "final"), "--output-dir", str(tmp_path)]))
    assert os.listdir(tmp_path) == ["final"]


def test_two_runs_do_not_share_a_folder(tmp_path):
    reader, writer = os.pipe()
    other = os.fork()
    if not other:  # the child holds the folder until it is killed
        with locked(tmp_path):
            os.write(writer, b"held")
            signal.pause()
    try:
        assert os.read(reader, 4) == b"held"
        with pytest.raises(ValueError, match=f"in use by another run .process {other}"), locked(tmp_path):
            pass
    finally:
        os.kill(other, signal.SIGKILL)
        os.waitpid(other, 0)
    with locked(tmp_path):  # the system let go of it
        pass


@pytest.mark.slow
def test_no_step_is_saved_twice(arguments, monkeypatch):
    """Where `save_steps` divides an epoch, its last step is saved once, after the epoch's validation."""
    trainer = Trainer(*parse_arguments(arguments("--epochs", "2", "--save_steps", "1", "--max_texts", "20")))
    saved = []
    save = trainer.states.save
    monkeypatch.setattr(trainer.states, "save", lambda: saved.append(trainer.progress.step) or save())
    assert trainer.run() == 0
    assert saved == list(range(1, trainer.total_steps + 1))


@pytest.mark.slow
def test_a_stopped_run_ends_with_the_same_weights(arguments, tmp_path, stop_at, monkeypatch):
    monkeypatch.setattr("emodistill.train_accelerate.PATIENCE", 100)  # it is to reach its end
    settings = ("--epochs", "2", "--export_dtype", "float32", "--eval_steps", "9", "--max_texts", "100")
    trainer = Trainer(*parse_arguments(arguments(*settings, output="whole")))
    assert trainer.run() == 0
    for name, step in (("within an epoch", 7), ("at the end of one", trainer.total_steps // 2)):
        stop_at(step)
        assert main(arguments(*settings, output=name)) == 128 + signal.SIGTERM
        stop_at(-1)
        assert main(arguments(*settings, output=name)) == 0
        whole, broken = (tmp_path / run / "final" / "model.safetensors" for run in ("whole", name))
        assert whole.read_bytes() == broken.read_bytes(), name


def test_a_loss_that_is_no_number_ends_the_run_at_its_step(arguments, tmp_path, monkeypatch, capsys):
    trainer = Trainer(*parse_arguments(arguments("--save_steps", "1")))
    objective, calls = trainer.objective, []
    trainer.objective = lambda *args: objective(*args) * (float("nan") if calls.append(1) or len(calls) == 4 else 1.0)
    with pytest.raises(ValueError, match="the loss is nan at step 4: lower the learning rates"):
        trainer.run()
    assert last_state(tmp_path / "run").endswith("step-00000003")


def test_a_folder_removed_under_a_run_ends_it(arguments, tmp_path, monkeypatch):
    trainer = Trainer(*parse_arguments(arguments("--save_steps", "2")))
    step, calls = trainer._step, []

    def removing(batch):
        calls.append(1)
        if len(calls) == 4:
            shutil.rmtree(tmp_path / "run")
        return step(batch)

    monkeypatch.setattr(trainer, "_step", removing)
    with pytest.raises(ValueError, match=r"output_dir .*run was removed while the run was at it"):
        trainer.run()
    assert len(calls) == 4 and not (tmp_path / "run").exists()


def test_a_best_model_that_is_gone_is_told_before_training_goes_on(arguments, tmp_path, capsys, stop_at):
    settings = arguments("--epochs", "1", "--max_texts", "20", "--eval_steps", "1")
    stop_at(2)
    assert cli.main(["train", *settings]) == 128 + signal.SIGTERM
    best = tmp_path / "run" / "best"
    shutil.rmtree(best)
    assert cli.main(["train", *settings]) == 2
    assert "the folder best, in which the run left its best model, is gone" in capsys.readouterr().err
    shutil.rmtree(tmp_path / "run" / "states")  # as it is advised
    assert cli.main(["train", *settings]) == 0
    (best / "model.safetensors").write_bytes(b"")
    assert cli.main(["train", *settings]) == 2
    assert "the best model of the run cannot be read (the checkpoint" in capsys.readouterr().err


def test_a_lock_that_holds_no_number_is_still_a_lock(tmp_path):
    with locked(tmp_path):
        (tmp_path / ".lock").write_bytes(b"\xff\x00")
        with pytest.raises(ValueError, match=r"in use by another run \(process unknown\)"), locked(tmp_path):
            pass
