"""Arguments: ranges, files, names, and one sentence for whatever does not fit."""

import math
import time
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emodistill import cli
from emodistill.training.arguments import GROUPS, background_plan, parse_arguments, qformer_shape
from emodistill.training.config_files import find_config, read_yaml
from emodistill.training.encoders import check_sources, require, require_data

ROOT = Path(__file__).resolve().parents[2]
TINY = str(ROOT / "configs" / "tiny.yaml")
START = ("--text_encoder", "x")
NUMBERS = [
    option for group in GROUPS for option in fields(group) if option.metadata.keys() & {"least", "most", "above"}
]


def parse(*flags):
    return parse_arguments([*START, *flags])


def test_every_number_has_a_range():
    kinds = (int, float, int | None, float | None)
    names = {option.name for group in GROUPS for option in fields(group) if option.type in kinds}
    assert names == {option.name for option in NUMBERS}


@pytest.mark.parametrize("option", NUMBERS, ids=lambda option: option.name)
@pytest.mark.parametrize("value", ["nan", "inf", "-inf", "-1e9", "1e999"])
def test_no_number_outside_its_range_is_accepted(option, value):
    value = value if "float" in str(option.type) else "-1000000000"
    with pytest.raises(ValueError, match=f"{option.name} must"):
        parse(f"--{option.name}={value}")


@pytest.mark.parametrize(
    ("flag", "message"),
    [
        ("--epochs=0", "epochs must be at least 1, not 0"),
        ("--text_lr=-1", "text_lr must be at least 0, not -1.0"),
        ("--warmup_ratio=5", "warmup_ratio must lie between 0 and 1, not 5.0"),
        ("--head_lr=nan", "head_lr must be at least 0, not nan"),
        ("--salience_decay=0", "salience_decay must lie above 0 and at most at 1, not 0.0"),
        ("--background-texts=kept", "background_texts kept needs init"),
        ("--background-texts=0", "background_texts must be a number of at least 1, .* or `kept`, not 0"),
        ("--background-texts=2000 of ,", "background_texts must be"),
        ("--qformer=8", "qformer must be queries, layers and perhaps heads"),
        ("--qformer=8,0", "qformer must be"),
        ("--normalise-texts=emojis", "normalise_texts must be true, false or emoji, not 'emojis'"),
        ("--pooling=max", "pooling must be qformer, mean or both, not 'max'"),
        ("--mixed-precision=fp8", "mixed_precision must be auto, no, bf16 or fp16, not 'fp8'"),
        ("--batch-size=99999999999999999999", "batch_size must be at most 2147483647"),
        ("--epochs=three", "argument --epochs: invalid int value"),
        ("--epoch=3", r"no option --epoch; did you mean --epochs\? emodistill train --help lists them all"),
        ("--data-configuration=x", "did you mean --data-config"),
        ("--xyz=3", "no option --xyz; emodistill"),
        ("--unread-config=unread", "unread_config needs teachers"),
        ("--unread-config=0 of unread", "unread_config must be a configuration.s name or"),
    ],
)
def test_mistakes_are_told_in_one_sentence(flag, message):
    with pytest.raises(ValueError, match=message) as caught:
        parse(flag)
    assert "\n" not in str(caught.value) and "usage:" not in str(caught.value)


def test_an_empty_word_is_not_given_and_only_teachers_are_several():
    model, data, _ = parse("--init", "", "--lexicon", " ", "--teachers", "")
    assert model.init is data.lexicon is data.teachers is None
    with pytest.raises(ValueError, match="give text_encoder for a new model"):
        parse_arguments(["--init", ""])
    model, data, _ = parse_arguments(["--init", "out,put/final", "--teachers", "a,stage:b", "--output_dir", "runs/c"])
    assert model.init == "out,put/final" and data.teachers == "a, runs/b/final"


def test_a_trained_model_is_no_encoder(checkpoint):
    for name in ("small", "default", str(checkpoint)):
        with pytest.raises(ValueError, match="is a trained model, no encoder: give it as init"):
            check_sources(parse_arguments(["--text_encoder", name]))


def test_a_hub_id_is_checked_as_a_folder_is(checkpoint, encoder_folder, tmp_path, monkeypatch):
    """The Hub is offline, and two models lie in its cache."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    for name, folder in (("trained", checkpoint), ("encoder", encoder_folder)):
        repository = tmp_path / f"models--owner--{name}"
        (repository / "refs").mkdir(parents=True)
        (repository / "refs" / "main").write_text("0" * 40)
        (repository / "snapshots").mkdir()
        (repository / "snapshots" / ("0" * 40)).symlink_to(folder)
    for argument in ("init", "label_space", "teachers"):
        require(argument, "owner/trained")
        with pytest.raises(ValueError, match="owner/encoder holds no emodistill model"):
            require(argument, "owner/encoder")
    require("text_encoder", "owner/encoder")
    with pytest.raises(ValueError, match="owner/trained is a trained model, no encoder: give it as init"):
        require("text_encoder", "owner/trained")


def test_both_spellings_of_a_flag_are_one():
    assert parse("--output-dir", "a")[2].output_dir == parse("--output_dir", "a")[2].output_dir == "a"


@settings(deadline=None, max_examples=40)
@given(st.floats() | st.integers() | st.text() | st.none() | st.lists(st.integers()))
def test_a_file_gives_numbers_in_their_range_or_an_error(tmp_path_factory, value):
    import yaml

    path = tmp_path_factory.mktemp("yaml") / "run.yaml"
    path.write_text(yaml.safe_dump({"text_encoder": "x", "warmup_ratio": value, "epochs": 2}), encoding="utf-8")
    try:
        run = parse_arguments([str(path)])[2]
    except ValueError as error:
        assert "warmup_ratio" in str(error) or "is not YAML" in str(error)
    else:
        assert 0 <= run.warmup_ratio <= 1 and math.isfinite(run.warmup_ratio)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("text_encoder: x\nepoch: 3\n", r"names 'epoch', which is no argument .*did you mean epochs\?"),
        ("text_encoder: x\n3: 3\n", r"names 3, which is no argument of training \(see"),
        ("text_encoder: x\nepochs: [" + "1, " * 999 + "1]\n", r"must be a whole number, not \[1, .{60,75}\.\.\.$"),
        ("text_encoder: x\nseed: 013\n", "013 means another number to YAML"),
        ("text_encoder: x\nepochs: 1:30\n", "1:30 means another number to YAML"),
        ("text_encoder: x\ntext_lr: 1:30.5\n", "1:30.5 means another number to YAML"),
        ("text_encoder: x\nqformer: [999999999999, 1]\n", "qformer must be queries"),
        ("[]", "must hold `name: value`"),
        ("false", "must hold `name: value`"),
        ("text_encoder: x\nepochs: three\n", "epochs must be a whole number"),
        ("text_encoder: [x\n", "is not YAML"),
        ("epochs: 3\n", "give text_encoder"),
        ("text_encoder: x\noutput_dir: no\n", "output_dir must be text, not False"),
        ("text_encoder: x\nepochs: 3\nepochs: 4\n", "epochs stands there twice"),
        ("- epochs\n", "must hold `name: value`"),
        ("a: &a [x, x]\nb: &b [*a, *a]\n", "alias .a is not allowed"),
        ("[" * 5000, "nested too deeply|is not YAML"),
        ("text_encoder: \x00\n", "is not YAML"),
        (b"text_encoder: \xff\n", "is not YAML"),
        (b"#" * 1_000_001, "is no configuration"),
        ("text_encoder: !!python/object/apply:os.getpid []\n", "is not YAML"),
        ("text_encoder: x\nepochs: 2026-99-99\n", "run.yaml holds a value that cannot be read"),
        ("text_encoder: x\nepochs: !!int x\n", "run.yaml holds a value that cannot be read"),
        ("text_encoder: x\nepochs: !!bool x\n", "run.yaml holds a value that cannot be read"),
        ("text_encoder: x\nepochs: " + "9" * 5000, "run.yaml holds a value that cannot be read"),
        ("text_encoder: x\nepochs: " + "9" * 400, "epochs must be at most 2147483647"),
        ("text_encoder: x\ntext-encoder: y\n", "names text_encoder twice"),
        ("text_encoder: x\n\tepochs: 3\n", "is not YAML"),
        ("text_encoder: x\n? [a]\n: 3\n", "is not YAML"),
    ],
)
def test_a_configuration_file_names_its_mistakes(tmp_path, content, message):
    path = tmp_path / "run.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ValueError, match=message) as caught:
        parse_arguments([str(path)])
    assert "\n" not in str(caught.value)


def test_an_alias_bomb_ends_at_once(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [" + ", ".join([f"*a{n - 1}"] * 9) + "]" for n in range(1, 30)]
    (tmp_path / "bomb.yaml").write_text("\n".join(lines))
    started = time.monotonic()
    with pytest.raises(ValueError, match="not allowed"):
        read_yaml(tmp_path / "bomb.yaml")
    assert time.monotonic() - started < 60


def test_no_in_a_configuration_file_is_a_word(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("text_encoder: x\nmixed_precision: no\nfreeze_label_encoder: no\n", encoding="utf-8")
    model, _, run = parse_arguments([str(path)])
    assert (run.mixed_precision, model.freeze_label_encoder) == ("no", False)


def test_a_file_may_list_what_flags_separate_by_commas(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("text-encoder: x\nsources: [reddit, films]\nteachers: [a/b, c/d]\n", encoding="utf-8")
    _, data, _ = parse_arguments([str(path)])
    assert (data.sources, data.teachers) == ("reddit, films", "a/b, c/d")


@pytest.mark.parametrize(
    ("written", "expected"), [("true", True), ("no", False), ("emoji", "emoji"), (None, True), ("False", False)]
)
def test_normalising_is_true_false_or_emoji(written, expected, tmp_path):
    flags = ["--normalise-texts"] if written is None else [f"--normalise_texts={written}"]
    assert parse(*flags)[0].normalise_texts == expected
    path = tmp_path / "run.yaml"
    path.write_text(f"text_encoder: x\nnormalise_texts: {written or 'true'}\n", encoding="utf-8")
    assert parse_arguments([str(path)])[0].normalise_texts == expected


def test_the_shape_of_a_qformer_and_its_background_are_read_from_files_and_flags(tmp_path):
    path = tmp_path / "run.yaml"
    path.write_text("text_encoder: x\nqformer: [4, 2, 12]\nbackground_texts: 90 of a, b\n", encoding="utf-8")
    model, data, _ = parse_arguments([str(path)])
    assert list(qformer_shape(model.qformer).values()) == [4, 2, 12]
    assert background_plan(data.background_texts) == (90, "a, b", False)
    assert background_plan(parse("--background-texts", "70")[1].background_texts) == (70, None, False)
    assert background_plan(None) == (4000, None, None)


def test_training_has_at_most_fifty_arguments():
    """Each has to be read by everybody who looks for one: merge, or argue one away, before a new one comes."""
    assert sum(len(fields(group)) for group in GROUPS) <= 50


def test_flags_win_over_the_file():
    _, _, run = parse_arguments([TINY, "--text_encoder", "x", "--epochs", "9", "--text-lr", "1e-5"])
    assert (run.epochs, run.text_lr, run.batch_size) == (9, 1e-5, 4)


@pytest.mark.parametrize("name", ["own", "own.yaml", "configs/own.yaml", "configs/own", "minilm-l6/1-first"])
def test_configurations_of_the_package_have_names(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert find_config(name).is_file()


def test_an_unknown_configuration_names_those_there_are():
    with pytest.raises(ValueError, match=r"no configuration file nope; those of .* are minilm-l6/1-first, .*own"):
        parse_arguments(["nope"])


STAGES = [*(ROOT / "configs").glob("*.yaml"), *(ROOT / "configs").glob("m*/[0-9]*.yaml")]


@pytest.mark.parametrize("path", sorted(STAGES), ids=lambda path: path.stem)
def test_shipped_configurations_parse(path):
    parse_arguments([str(path), *(START if path.stem == "tiny" else ())])


def test_a_stage_beside_the_run_has_a_short_name():
    model, data, _ = parse_arguments(
        ["--init", "stage:first", "--teachers", "stage:a, owner/b", "--output-dir", "outputs/mine/second"]
    )
    assert model.init == "outputs/mine/first/final" and data.teachers == "outputs/mine/a/final, owner/b"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--init", "checkpoints/none"], "init: checkpoints/none is neither a folder here nor a Hub id"),
        (["--init", "./none"], "init: ./none is neither a folder"),
        (["--init", "owner/none"], "init: owner/none is neither a folder here nor in the cache of the Hub"),
        (["--init", "sentence-transformers/all-MiniLM-L6-v2"], "MiniLM-L6-v2 (is neither a folder here|holds no emo)"),
        (["--init", "not an id/x"], "neither a folder here nor a Hub id"),
        (["--text_encoder", "/no/such/encoder"], "text_encoder: /no/such/encoder is neither"),
        (["--text_encoder", str(ROOT / "docs")], "holds no model"),
        (["--init", "default", "--teachers", "outputs/none/final"], "teachers: outputs/none/final is neither"),
        (["--init", "default", "--data", "no/such/data.jsonl"], "data no/such/data.jsonl is neither a file"),
        (["--init", "default", "--data", "data/none"], "data data/none is neither a file"),
        (["--init", "default", "--data", "rows.csv"], "data rows.csv is neither a file"),
        (["--init", "default", "--data", str(ROOT), "--lexicon", "words.tsv"], "lexicon words.tsv is neither a file"),
        (["--init", "default", "--teachers", " , "], "teachers must name at least one"),
    ],
)
def test_what_is_not_there_is_told_before_anything_is_loaded(flags, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=message):
        check_sources(parse_arguments([*flags, "--output-dir", "outputs/run"]))


def test_an_output_dir_that_is_a_file_is_told(tmp_path, capsys):
    (tmp_path / "run").write_text("x")
    assert cli.main(["train", *START, "--output-dir", str(tmp_path / "run")]) == 2
    assert "is a file; name a folder" in capsys.readouterr().err


def test_the_repository_s_data_set_is_told_where_it_is_missing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match=r"data data/descriptors is neither .* run this in a clone of it, or name"):
        require_data("data", "data/descriptors")
    with pytest.raises(ValueError, match=r"data mine\.csv is neither a file nor a folder here, nor a Hub id$"):
        require_data("data", "mine.csv")
