"""What a run reads of texts that nobody has read: so many, of the sources that it trains on."""

import json

import pytest

from emodistill.training.arguments import parse_arguments
from emodistill.training.building import load_data


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

    def read(*flags, seed=0):
        start = ("--data", str(with_unread), "--data_config", "default", "--teachers", str(checkpoint))
        _, data, _ = parse_arguments(arguments(*start, *flags, lexicon=False))
        train, _, _ = load_data(data, seed)
        assert all(not row["labels"] for row in train if row["id"].startswith("u"))
        return [(row["id"], row["source"]) for row in train if row["id"].startswith("u")]

    return read


def test_so_many_unread_texts_are_drawn_by_seed(unread_of):
    assert len(unread_of("--unread_config", "unread")) == 90
    some = unread_of("--unread_config", "25 of unread")
    assert len(set(some)) == 25 and some == unread_of("--unread_config", "25 of unread")
    assert some != unread_of("--unread_config", "25 of unread", seed=1)
    assert len(unread_of("--unread_config", "1000 of unread")) == 90


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
