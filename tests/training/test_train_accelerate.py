"""The training command as a user runs it: real `accelerate launch`, real signals, one process and two."""

import functools
import hashlib
import json
import random
import signal
import time
from pathlib import Path
from unittest.mock import Mock

import forkserver
import pytest
import tiny
import torch
from accelerate.state import AcceleratorState
from transformers import AutoTokenizer, pipeline

from emodistill import EmoDistillModel, cli, eight_bit_emodistill, train_accelerate
from emodistill.encoding_emodistill import encode_labels
from emodistill.train_accelerate import Trainer, main
from emodistill.training import building
from emodistill.training.arguments import parse_arguments
from emodistill.training.building import load_data
from emodistill.training.record import settings
from emodistill.training.states import last_state
from emodistill.training.targets import Lexicon, felt_rating

ROOT = Path(__file__).resolve().parents[2]
TINY = str(ROOT / "configs" / "tiny.yaml")
SHORT = ("--epochs", "1", "--max_texts", "60")  # for what shows after a few steps


def digest(folder):
    """SHA-256 of the final weights."""
    return hashlib.sha256((Path(folder) / "final" / "model.safetensors").read_bytes()).hexdigest()


@pytest.mark.slow
def test_a_run_leaves_a_checkpoint_that_the_pipeline_loads(finished_run):
    final = finished_run / "final"
    classify = pipeline("zero-shot-emotion", model=str(final), labels=["joy", "anger", "calm"])
    result = classify("rage rage", multi_label=True, dimensions=True)
    assert result["labels"] and set(result["dimensions"]) == {"valence", "arousal", "dominance"}
    assert json.loads((final / "config.json").read_text())["dtype"] == "float16"
    metrics = json.loads((finished_run / "metrics.json").read_text())
    assert len(metrics["history"]) == 6 and metrics["history"][0]["selection"] > 0
    assert "finished" in (finished_run / "output.txt").read_text()
    assert AutoTokenizer.from_pretrained(final)("joy")["input_ids"]


@pytest.mark.slow
def test_training_learns_the_made_up_feelings(finished_run, feelings):
    classify = pipeline("zero-shot-emotion", model=str(finished_run / "final"), labels=sorted(feelings))
    texts = [(f"{text} b 77", label) for label, texts in feelings.items() for text in texts]
    right = sum(classify(text)["labels"][0] == label for text, label in texts)
    assert right >= 10, f"{right} of {len(texts)}"


@pytest.mark.slow
def test_the_dimension_head_learns_the_lexicons_ratings(finished_run):
    classify = pipeline("zero-shot-emotion", model=str(finished_run / "final"))
    values = [classify(text, dimensions=True)["dimensions"] for text in ("happy happy day", "rage rage", "a calm day")]
    assert values[0]["valence"] > values[1]["valence"]
    assert values[1]["arousal"] > values[2]["arousal"]


def test_without_a_lexicon_there_are_no_built_in_dimensions(arguments, tmp_path):
    main(arguments(*SHORT, lexicon=False))
    model = EmoDistillModel.from_pretrained(tmp_path / "run" / "final")
    assert model.config.dimension_names == [] and model.dimension_head is None
    classify = pipeline("zero-shot-emotion", model=str(tmp_path / "run" / "final"))
    with pytest.raises(ValueError, match="none in this checkpoint"):
        classify("a day", dimensions="valence")


@pytest.mark.slow
def test_a_student_follows_its_teacher(arguments, finished_run, tmp_path, capsys, feelings):
    """Where the student's own rows have other labels than the teacher learned, the student takes the teacher's."""
    turned = dict(zip(sorted(feelings), [*sorted(feelings)[1:], sorted(feelings)[0]], strict=True))
    rows = [row | {"labels": [turned.get(label, label) for label in row["labels"]]} for row in tiny.rows(1400)]
    own = tiny.write_rows(tmp_path / "own.jsonl", rows)
    # One validation, by the student's own rows: the best weights are the last.
    student = arguments("--epochs", "1", "--seed", "5", "--data", str(own), "--extra_negatives", "1000")
    main([*student, "--teachers", str(finished_run / "final")])
    classify = pipeline("zero-shot-emotion", model=str(tmp_path / "run" / "final"), labels=sorted(feelings))
    said = [(classify(f"{text} b 77")["labels"][0], label) for label, texts in feelings.items() for text in texts]
    follows = sum(found == label for found, label in said)
    assert follows >= sum(found == turned[label] for found, label in said) + 4, said
    assert "teacher 1 of 1" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("pooling", ["mean", "qformer"])
def test_a_frozen_label_encoder_stays_as_pretrained(arguments, tmp_path, encoder_folder, pooling):
    main(arguments(*SHORT, "--freeze_label_encoder", "--pooling", pooling, "--export_dtype", "float32"))
    trained = EmoDistillModel.from_pretrained(tmp_path / "run" / "final")
    start = EmoDistillModel.from_encoders(str(encoder_folder))
    for name, parameter in start.label_encoder.named_parameters():
        assert torch.equal(parameter, trained.label_encoder.get_parameter(name)), name
    assert not torch.equal(
        start.text_encoder.encoder.layer[0].output.dense.weight,
        trained.text_encoder.encoder.layer[0].output.dense.weight,
    )


@pytest.mark.slow
def test_init_goes_on_from_a_trained_checkpoint(finished_run, tmp_path, rows_file):
    first = finished_run / "final"
    lines = Path(TINY).read_text(encoding="utf-8").splitlines()
    config = tmp_path / "no-number.yaml"  # a number of background texts would ask for a background of these texts
    config.write_text("\n".join(line for line in lines if not line.startswith("background_texts")), encoding="utf-8")
    more = [str(config), "--init", str(first), "--data", str(rows_file), "--output_dir", str(tmp_path / "more")]
    assert main([*more, "--epochs", "1"]) == 0
    before, after = (EmoDistillModel.from_pretrained(folder) for folder in (first, tmp_path / "more" / "final"))
    assert not torch.equal(before.text_projection.weight, after.text_projection.weight)
    assert after.config.dimension_names == before.config.dimension_names
    # So few texts say nothing of how common feelings are: what the start knows of that is kept.
    assert torch.equal(after.background_mean, before.background_mean)
    assert after.config.decision == before.config.decision
    record = json.loads((tmp_path / "more" / "final" / "training.json").read_text())
    assert record["parent"] == {"name": str(first), "digest": digest(finished_run)} and record["encoder"] is None
    assert record["metrics"]["check"]["texts"] == 48 and record["data"]["rows"] == {"train": 230, "validation": 10}
    assert record["arguments"]["batch_size"] == 4 and record["versions"]["torch"] and record["steps"] > 0


@pytest.mark.slow
def test_a_checkpoint_for_eight_bits_is_fitted_as_it_will_be_stored(arguments, tmp_path, monkeypatch):
    monkeypatch.setattr(eight_bit_emodistill, "SMALLEST", 2**8)
    main(arguments(*SHORT, "--export_dtype", "eight_bits"))
    model = EmoDistillModel.from_pretrained(tmp_path / "run" / "final")
    assert json.loads((tmp_path / "run" / "final" / "config.json").read_text())["dtype"] == "float16"
    eight_bit_emodistill.write_eight_bit(model.state_dict(), str(tmp_path))
    stored = eight_bit_emodistill.read_eight_bit(str(tmp_path))
    for name, tensor in model.float().state_dict().items():  # what half precision loses, and no step of eight bits
        assert ((stored[name] - tensor).abs() <= 2e-3 * tensor.abs().max()).all(), name


@pytest.mark.slow
def test_keep_trained_mixes_with_the_start(arguments, tmp_path, encoder_folder):
    main(arguments(*SHORT, "--keep_trained", "0.0", "--export_dtype", "float32"))
    mixed = EmoDistillModel.from_pretrained(tmp_path / "run" / "final")
    start = EmoDistillModel.from_encoders(str(encoder_folder))
    for name, parameter in start.text_encoder.named_parameters():
        assert torch.allclose(parameter, mixed.text_encoder.get_parameter(name)), name


def test_training_learns_felt_arousal(arguments):
    _, data, _ = parse_arguments(arguments())
    rated, (_, _, felt) = Lexicon.load(data.lexicon).ratings, load_data(data, 0)
    assert felt.ratings == {word: felt_rating(rating, 0.5) for word, rating in rated.items()} != rated


def test_an_unknown_background_source_is_one_sentence(arguments, capsys):
    assert cli.main(["train", *arguments("--background_texts", "50 of novels")]) == 2
    assert "background_texts names novels, which is no source" in capsys.readouterr().err


@pytest.fixture(scope="module")
def run_with_words(train_once):
    """A run of one epoch whose few words are enough for a reference vocabulary; the folder of its checkpoint."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("emodistill.training.data.MIN_WORDS", 3)
        patch.setattr("emodistill.training.data.MIN_TEXTS", 1)
        return train_once("--epochs", "1") / "final"


@pytest.mark.slow
def test_a_run_leaves_a_reference_vocabulary_where_words_suffice(run_with_words):
    model = EmoDistillModel.from_pretrained(run_with_words)
    assert {"happy", "delight", "rage"} <= set(model.config.reference_words)
    classify = pipeline("zero-shot-emotion", model=str(run_with_words), labels=["joy", "anger"])
    with_words = classify("rage rage", threshold=None)["scores"]
    classify.model.set_reference([])
    assert classify("rage rage", threshold=None)["scores"] != with_words


@pytest.mark.slow
def test_going_on_from_a_checkpoint_without_enough_words_keeps_its_vocabulary_in_the_new_space(
    run_with_words, tmp_path, monkeypatch, rows_file
):
    monkeypatch.setattr("emodistill.training.data.MIN_WORDS", 1000)
    more = [TINY, "--init", str(run_with_words), "--data", str(rows_file), "--output_dir", str(tmp_path / "more")]
    assert main([*more, "--epochs", "1", "--background_texts", "50"]) == 0
    before, after = (EmoDistillModel.from_pretrained(folder) for folder in (run_with_words, tmp_path / "more/final"))
    words = after.config.reference_words
    assert words and words == before.config.reference_words
    tokenizer = AutoTokenizer.from_pretrained(run_with_words)
    torch.testing.assert_close(after.reference[0], encode_labels(after, tokenizer, words), atol=3e-3, rtol=0)
    assert torch.equal(*after.reference) and not torch.allclose(after.reference[0], before.reference[0], atol=1e-3)


def rated_folder(folder, rows_file):
    """A data set folder with a card, as `load_dataset` reads it, whose `rated` configuration reads a few texts."""
    rows = [json.loads(line) for line in Path(rows_file).read_text(encoding="utf-8").splitlines()]
    rows = [{name: row[name] for name in ("id", "source", "text", "labels")} for row in rows if row["status"] == "ok"]
    rated = [
        {
            "id": row["id"],
            "text": row["text"],
            "labels": ["joy", "relief"],
            "valence": 9.0,
            "arousal": 2.0,
            "dominance": 6.0,
        }
        for row in rows[::2]
    ]
    card = ["---", "configs:"]
    for name, content in (("default", rows), ("rated", rated)):
        lines = "".join(json.dumps(row) + "\n" for row in content)
        (folder / f"{name}.jsonl").write_text(lines, encoding="utf-8")
        card += [f"- config_name: {name}", f"  data_files: {name}.jsonl"] + ["  default: true"] * (name == "default")
    (folder / "README.md").write_text("\n".join([*card, "---", ""]), encoding="utf-8")
    return folder


def test_plain_words_and_ratings_of_a_text_join_the_lexicons(arguments, rows_file, lexicon_file, tmp_path):
    folder = rated_folder(tmp_path, rows_file)
    flags = arguments(
        "--data", str(folder), "--data_config", "default", "--rated_config", "rated", "--lexicon", str(lexicon_file)
    )
    trainer = Trainer(*parse_arguments(flags))
    dataset = trainer.loader.dataset
    own = [number for number, rating in enumerate(dataset.ratings) if rating == felt_rating((9.0, 2.0, 6.0), 0.5)]
    assert 90 < len(own) < 130
    for number, weights in enumerate(dataset.weights):
        if number in own:
            assert weights["joy"] >= 0.35 and weights["relief"] >= 0.35
        else:
            assert weights.get("relief", 1.0) == 1.0  # only as a descriptor
    assert any("rage" in weights for weights in dataset.weights)  # an implied word


def test_a_rated_view_needs_a_data_set_with_ids(arguments, capsys):
    assert cli.main(["train", *arguments("--rated_config", "rated")]) == 2
    assert "rated_config rated needs a data set" in capsys.readouterr().err


def test_automatic_precision_is_what_the_hardware_has(arguments, monkeypatch):
    for native, expected in ((True, "bf16"), (False, "no")):
        monkeypatch.setattr("emodistill.train_accelerate.native_bf16", lambda native=native: native)
        AcceleratorState._reset_state(True)
        trainer = Trainer(*parse_arguments(arguments("--mixed_precision", "auto")))
        assert trainer.accelerator.mixed_precision == expected
    AcceleratorState._reset_state(True)


@pytest.mark.slow
def test_few_steps_between_validations_stop_early_and_many_still_finish(arguments, tmp_path):
    main(arguments("--epochs", "3", "--eval_steps", "2", "--head_lr", "0", "--text_lr", "0",
                   "--label_lr", "0", output="early"))  # fmt: skip
    history = json.loads((tmp_path / "early" / "metrics.json").read_text())["history"]
    assert [entry["step"] for entry in history] == [2, 4, 6, 8]
    main(arguments(*SHORT, "--eval_steps", "100000", output="seldom"))
    assert (tmp_path / "seldom" / "final" / "model.safetensors").is_file()


def test_ones_own_labels_are_all_kept(arguments, lexicon_file, rows_file):
    """The shipped lexicon holds descriptors out for its own data set; another data set must not lose them."""
    _, data, run = parse_arguments(arguments())
    data.lexicon = str(ROOT / "data" / "descriptors")
    train, _, lexicon = load_data(data, run.seed)
    assert not lexicon.held_out and all(row["labels"] for row in train)


@pytest.mark.slow
def test_labels_from_says_which_labels_teach(arguments, monkeypatch):
    read = functools.cache(building.load_training_rows)  # the shipped set is large
    monkeypatch.setattr(
        building, "load_training_rows", lambda *which, say: [dict(row) for row in read(*which, say=say)]
    )
    _, data, run = parse_arguments(arguments())
    data.data, data.data_config, data.closed_config = str(ROOT / "data" / "descriptors"), "default", "closed28"
    for data.labels_from in ("descriptors", "both", "closed"):
        train, validation, _ = load_data(data, run.seed)
        assert any(row["closed"] for row in train) == (data.labels_from == "both")
        assert any(row["closed"] for row in validation)
        assert (len({label for row in train for label in row["labels"]}) == 28) == (data.labels_from == "closed")


def test_accelerates_launcher_sets_how_many_batches_make_a_step(arguments, monkeypatch):
    monkeypatch.setenv("ACCELERATE_GRADIENT_ACCUMULATION_STEPS", "4")
    trainer = Trainer(*parse_arguments(arguments("--epochs", "2")))
    assert trainer.total_steps == 2 * -(-len(trainer.loader) // 4)
    assert settings(trainer.groups)["gradient_accumulation_steps"] == 4
    AcceleratorState._reset_state(True)


def test_the_bias_starts_at_the_logit_of_the_measured_positive_rate(arguments):
    trainer = Trainer(*parse_arguments(arguments("--implied_weight", "0")))
    positives = pairs = 0
    trainer.sampler.set_epoch(0)
    for _, batch in zip(range(20), trainer.loader, strict=False):
        positives += batch["targets"].sum().item()
        pairs += len(batch["targets"]) * len(batch["label_ids"])
    rate = positives / pairs
    assert trainer.network.logit_bias.item() == pytest.approx(torch.logit(torch.tensor(rate)).item(), abs=1e-4)


@pytest.mark.slow
def test_weights_do_not_depend_on_saved_states(arguments, tmp_path):
    main(arguments(*SHORT, "--save_steps", "7", output="often"))
    main(arguments(*SHORT, "--save_steps", "1000", output="seldom"))
    assert digest(tmp_path / "often") == digest(tmp_path / "seldom")


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (["--mixed_precision", "fp16"], "fp16 needs an accelerator"),
        (["--data", "no/such/data.jsonl"], "no/such/data.jsonl"),
        (["--labels_from", "both"], "needs closed_config"),
        (["--sources", "nowhere"], "no training text has a source"),
        (["--closed_config", "closed28"], "leave it out"),
        (["--teachers", "no/such/teacher"], "teachers: no/such/teacher is neither"),
        (["--teachers", " , "], "teachers must name at least one"),
    ],
)
def test_mistakes_are_one_sentence(arguments, extra, message, capsys):
    assert cli.main(["train", *arguments(*extra)]) == 2
    error = capsys.readouterr().err.strip().splitlines()
    assert message in error[-1] and "Traceback" not in "\n".join(error)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory"),
        RuntimeError("MPS backend out of memory"),
    ],
)
def test_too_little_memory_is_one_sentence(arguments, error, monkeypatch, capsys):
    monkeypatch.setattr(train_accelerate, "Trainer", Mock(side_effect=error))
    assert cli.main(["train", *arguments()]) == 2
    assert "memory ran out: take a smaller batch_size" in capsys.readouterr().err
    monkeypatch.setattr(train_accelerate, "Trainer", Mock(side_effect=RuntimeError("shapes do not match")))
    with pytest.raises(RuntimeError, match="shapes"):
        cli.main(["train", *arguments()])


def test_a_lexicon_without_a_column_is_named(arguments, tmp_path, capsys):
    path = tmp_path / "lexicon.tsv"
    path.write_text("descriptor\tvalence\tarousal\timplies\njoy\t8\t7\t\n", encoding="utf-8")
    assert cli.main(["train", *arguments("--lexicon", str(path), lexicon=False)]) == 2
    assert "line 2: no column 'dominance'" in capsys.readouterr().err


def finish(ranks):
    for rank in ranks:
        assert rank.wait(timeout=300) == 0, rank.stderr[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize("processes", [1, 2])
def test_a_run_that_is_stopped_and_killed_ends_with_the_same_weights(arguments, finished_run, tmp_path, processes):
    """With two processes also a teacher."""
    # Steps enough for three signals, each after 30 at the most.
    options = ("--epochs", str(2 * processes), "--export_dtype", "float32", "--save_steps", "10")
    if processes == 2:
        options += ("--teachers", str(finished_run / "final"))

    def start(output):
        return forkserver.group(arguments(*options, output=output), processes, target="quick_training:train")

    finish(start("whole"))
    chooser = random.Random(processes)
    seen = 0
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
        ranks = start("broken")
        wait_for_step(ranks, tmp_path / "broken", seen + chooser.randint(5, 20))
        for rank in ranks:
            rank.send_signal(number)
        for rank in ranks:
            assert rank.wait(timeout=120) != 0, f"the run had ended before signal {number}"
        seen = step_of(last_state(tmp_path / "broken"))
        assert not (tmp_path / "broken" / "final").exists()
    finish(start("broken"))
    assert digest(tmp_path / "broken") == digest(tmp_path / "whole")


@pytest.mark.slow
def test_accelerates_launcher_trains(arguments, tmp_path):
    """The command of docs/training.md, on this machine's CPU.

    Of several processes it starts one here, however many are asked for: several on CPUs need `mpirun`. What two do is
    tested above and with the loss, in ranks started as the launcher starts those of accelerators.
    """
    command = ["accelerate-launch", "--cpu", "--num_processes", "1"]
    command += ["--num_machines", "1", "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", "0"]
    command += [str(ROOT / "train_accelerate.py"), *arguments(*SHORT, output="launched")]
    code = f"import sys; sys.argv = {command!r}; from accelerate.commands.launch import main; main()"
    launcher = forkserver.call("builtins:exec", code, env={"OMP_NUM_THREADS": "1"})  # the training itself is started
    assert launcher.wait(timeout=300) == 0, launcher.stderr[-3000:]
    assert (tmp_path / "launched" / "final" / "model.safetensors").is_file()


def step_of(state):
    return int(state.rsplit("-", 1)[1]) if state else 0


def wait_for_step(ranks, folder, step):
    """Until a state of at least this step is there, and a random moment longer."""
    deadline = time.time() + 200
    while step_of(last_state(folder)) < step:
        assert all(rank.poll() is None for rank in ranks), ranks[0].stderr[-3000:]
        assert time.time() < deadline, "no state was saved in time"
        time.sleep(0.01)
    time.sleep(random.Random(step).uniform(0.0, 0.1))


def test_all_training_texts_say_which_words_the_reference_vocabulary_has(
    arguments, rows_file, lexicon_file, tmp_path, monkeypatch
):
    """Also where the background is of one source, of which no text was read in plain words."""
    folder = rated_folder(tmp_path, rows_file)
    rows = [json.loads(line) for line in (folder / "default.jsonl").read_text(encoding="utf-8").splitlines()]
    rows = [row | {"source": ("read", "unread")[place % 2]} for place, row in enumerate(rows)]
    (folder / "default.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    monkeypatch.setattr("emodistill.training.data.MIN_WORDS", 1)
    flags = arguments(
        "--data", str(folder), "--data_config", "default", "--rated_config", "rated", "--lexicon", str(lexicon_file),
        "--background_texts", "80 of unread",
    )  # fmt: skip
    parts = Trainer(*parse_arguments(flags)).parts
    assert not any(row.get("plain") for row in parts.background_rows)
    assert set(parts.words) == {"joy", "relief"}
