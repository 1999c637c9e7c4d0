"""Folders of files, their splits and their cards."""

import pytest
from table_files import write

from emodistill.descriptors.tables import NoSuchSplit, read_texts


def test_a_folder_and_its_splits(tmp_path):
    for name in ("train-00000-of-00002", "train-00001-of-00002", "validation-00000-of-00001"):
        write(tmp_path / f"{name}.jsonl", f'{{"text": "{name}"}}\n')
    write(tmp_path / ".hidden.jsonl", "{")
    write(tmp_path / "README.md", "# no head\n")
    assert [row.text[:8] for row in read_texts(tmp_path, split="train")] == ["train-00"] * 2
    assert [row.text[:5] for row in read_texts(tmp_path, split="validation")] == ["valid"]
    assert len(read_texts(tmp_path)) == 3
    with pytest.raises(NoSuchSplit, match="there are: train, validation"):
        read_texts(tmp_path, split="test")
    write(tmp_path / "more.csv", "text\na\n")
    with pytest.raises(ValueError, match="several kinds"):
        read_texts(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match="no file in it is a table"):
        read_texts(tmp_path / "empty")


CARD = """---
configs:
- config_name: default
  default: true
  data_files:
  - split: train
    path: default/train.jsonl
  - split: validation
    path: [default/held*.jsonl]
- config_name: other
  data_files: other/*.jsonl
- config_name: outside
  data_files: ../secret.jsonl
---
"""


def test_a_folder_with_a_card(tmp_path):
    folder = tmp_path / "a [b]*"
    for name in ("default/train", "default/held-out", "other/x", "../secret"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write(folder / f"{name}.jsonl", f'{{"text": "{name}"}}\n')
    write(folder / "README.md", CARD)

    def first(**options):
        return [row.text for row in read_texts(folder, **options)]

    assert first() == first(split="train") == first(config="default") == ["default/train"]
    assert first(split="validation") == ["default/held-out"] and first(config="other") == ["other/x"]
    with pytest.raises(NoSuchSplit, match="no split 'test'"):
        first(split="test")
    with pytest.raises(ValueError, match="no configuration 'more'; there are: default, other"):
        first(config="more")
    with pytest.raises(ValueError, match="outside its folder"):
        first(config="outside")
    (folder / "default" / "train.jsonl").unlink()
    with pytest.raises(FileNotFoundError, match=r"train\.jsonl is missing"):
        first()


@pytest.mark.parametrize(
    ("head", "message"),
    [
        ("configs: 3", "`configs` in its head must be a list of configurations with"),
        ("configs: default", "`configs` in its head must be a list"),
        ("configs: {config_name: default}", "`configs` in its head must be a list"),
        ("made: 2026-99-99", "its head is not valid YAML"),
        ("? {}\n: 3", "its head is not valid YAML"),
        ("configs: " + "[" * 1000, "its head is not valid YAML"),
        ("configs: [{data_files: ''}, {data_files: 'a/***.csv'}]", r"names 'a/\*\*\*.csv', which is no pattern"),
    ],
)
def test_a_card_that_says_nothing_sensible_is_one_sentence(tmp_path, head, message):
    write(tmp_path / "README.md", f"---\n{head}\n---\n")
    with pytest.raises(ValueError, match=message) as caught:
        list(read_texts(tmp_path))
    assert "\n" not in str(caught.value) and "README.md" in str(caught.value)


def test_a_missing_folder_is_told_at_once(tmp_path, monkeypatch):
    """`data/descriptors` is no data set of the Hub where there is a folder `data`."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    for name in ("data/descriptors", "./descriptors", "a/b/c", "data/descriptors/train.jsonl"):
        with pytest.raises(FileNotFoundError, match="no such file or folder"):
            read_texts(name)
