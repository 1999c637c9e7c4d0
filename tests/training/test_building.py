"""What a run is built from: texts that nobody has read, of the sources that it trains on; encoders that are whole."""

import json
import shutil

import pytest
from safetensors.torch import load_file, save_file

from emodistill.training.arguments import ModelArguments, parse_arguments
from emodistill.training.building import build_model, load_data
from emodistill.training.encoders import require


@pytest.fixture
def with_unread(tmp_path, rows_file):
    """A data set folder whose texts are of two sources, with a configuration `unread` of three."""
    rows = [json.loads(line) for line in rows_file.read_text(encoding="utf-8").splitlines()]
    rows = [
        {"id": row["id"], "source": ("forum", "diary")[place % 2], "text": row["text"], "labels": row["labels"]}
        for place, row in enumerate(row for row in rows if row["status"] == "ok")
    ]
    names = ("forum", "diary", "plays")
    unread = [{"id": f"u{i}", "source": names[i % 3], "text": f"Unread text number {i}."} for i in range(90)]
    card = ["---", "configs:"]
    for name, content in (("default", rows), ("unread", unread)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in content), encoding="utf-8")
        card += [f"- config_name: {name}", f"  data_files: {name}.jsonl"] + ["  default: true"] * (name == "default")
    (tmp_path / "README.md").write_text("\n".join([*card, "---", ""]), encoding="utf-8")
    return tmp_path


@pytest.fixture
def unread_of(arguments, with_unread, checkpoint):
    """`unread_of(*flags)`: the unread texts of a run."""

    def read(*flags, seed=0, say=None):
        start = ("--data", str(with_unread), "--data_config", "default", "--teachers", str(checkpoint))
        _, data, _ = parse_arguments(arguments(*start, *flags, lexicon=False))
        train, _, _ = load_data(data, seed, say)
        assert all(not row["labels"] for row in train if row["id"].startswith("u"))
        return [(row["id"], row["source"]) for row in train if row["id"].startswith("u")]

    return read


def test_so_many_unread_texts_are_drawn_by_seed(unread_of):
    assert len(unread_of("--unread_config", "unread")) == 90
    some = unread_of("--unread_config", "25 of unread")
    assert len(set(some)) == 25 and some == unread_of("--unread_config", "25 of unread")
    assert some != unread_of("--unread_config", "25 of unread", seed=1)


def test_all_unread_texts_are_taken_where_there_are_fewer_and_that_is_told(unread_of):
    told = []
    assert len(unread_of("--unread_config", "1000 of unread", say=told.append)) == 90
    assert len(unread_of("--unread_config", "40 of unread", "--sources", "forum", say=told.append)) == 30
    assert len(unread_of("--unread_config", "90 of unread", say=told.append)) == 90
    assert told == [
        "unread_config asks for 1000 texts and unread has 90: all of them are taken",
        "unread_config asks for 40 texts and unread has 30 of the sources: all of them are taken",
    ]


def test_unread_texts_are_of_the_sources_that_are_trained_on(unread_of):
    found = unread_of("--unread_config", "unread", "--sources", "forum")
    assert len(found) == 30 and {source for _, source in found} == {"forum"}
    assert len(unread_of("--unread_config", "40 of unread", "--sources", "forum, diary")) == 40


def test_no_unread_text_of_the_sources_is_told(unread_of, with_unread):
    lines = (with_unread / "unread.jsonl").read_text(encoding="utf-8").splitlines()
    plays = [line for line in lines if json.loads(line)["source"] == "plays"]
    (with_unread / "unread.jsonl").write_text("\n".join(plays) + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match="no unread text has a source among forum"):
        unread_of("--unread_config", "unread", "--sources", "forum")


def weights(change):
    """Damage that changes the weights of an encoder."""

    def damage(folder):
        path = folder / "model.safetensors"
        save_file(change(load_file(path)), path, metadata={"format": "pt"})

    return damage


def without(words):
    return weights(lambda state: {name: value for name, value in state.items() if words not in name})


def with_nan(state):
    state["encoder.layer.0.output.dense.bias"][3] = float("nan")
    return state


def cut(folder):
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def configured(**changes):
    def change(folder):
        path = folder / "config.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return change


def without_tokenizer(folder):
    for path in folder.glob("token*"):
        path.unlink()


DAMAGE = {
    "its weights cannot be read": cut,
    "it lacks encoder.layer.1.attention.self.key.bias, .* and 3 more": without("layer.1.attention.self"),
    "encoder.layer.0.output.dense.bias holds values that are no numbers": weights(with_nan),
    "the configuration gives another shape to ": configured(intermediate_size=52),
    r"its tokenizer has 5 tokens and the encoder \d+": without_tokenizer,
    r"its tokenizer has \d+ tokens and the encoder 100": configured(vocab_size=100),
}


@pytest.mark.parametrize("space", [False, True])
@pytest.mark.parametrize("message", DAMAGE)
def test_an_encoder_that_is_not_whole_is_one_sentence(message, space, encoder_folder, checkpoint, tmp_path):
    """What it lacks would be left at random, and a tokenizer without its words be one all the same."""
    shutil.copytree(encoder_folder, tmp_path / "encoder")
    DAMAGE[message](tmp_path / "encoder")
    if "encoder 100" in message:
        weights(lambda state: {name: value[:100] for name, value in state.items()})(tmp_path / "encoder")
    arguments = ModelArguments(str(tmp_path / "encoder"), label_space=str(checkpoint) if space else None)
    with pytest.raises(ValueError, match=f"the encoder .*encoder is damaged: {message}") as caught:
        build_model(arguments)
    assert "\n" not in str(caught.value)


def prefixed(state):
    return {f"bert.{name}": value for name, value in state.items()}


@pytest.mark.parametrize("change", [without("pooler"), weights(prefixed)])
def test_a_head_that_is_not_used_may_be_missing_and_names_may_have_a_prefix(change, encoder_folder, tmp_path):
    shutil.copytree(encoder_folder, tmp_path / "encoder")
    change(tmp_path / "encoder")
    expected, found = (
        build_model(ModelArguments(str(folder)))[0].text_encoder.state_dict()
        for folder in (encoder_folder, tmp_path / "encoder")
    )
    assert all(value.equal(found[name]) for name, value in expected.items())


def test_an_encoder_of_an_unknown_kind_is_told_at_once(encoder_folder, tmp_path):
    shutil.copytree(encoder_folder, tmp_path / "encoder")
    configured(model_type="nope")(tmp_path / "encoder")
    with pytest.raises(ValueError, match=r"^text_encoder: the config.json of .* of no encoder known here \(.*`nope`"):
        require("text_encoder", str(tmp_path / "encoder"))
