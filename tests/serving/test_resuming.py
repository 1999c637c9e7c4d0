"""Runs that are stopped, go on, are refused, and share a folder."""

import json
import shutil

import pytest

from emodistill.serving.folder import RunFolder
from emodistill.serving.rows import Row
from emodistill.serving.run import Share, share_of_environment


def many(count=23, **changes):
    return [Row(number, changes.get(f"row{number}", f"text number {number % 9}")) for number in range(count)]


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.shard_paths()}


@pytest.mark.parametrize("kind", ["parquet", "csv", "jsonl"])
def test_a_run_that_was_stopped_ends_as_if_it_had_not_been(score_rows, tmp_path, kind):
    def stopping():
        for row in many():
            if row.number == 14:
                raise OSError("the disk went away")
            yield row

    _, whole = score_rows(many(), tmp_path / "whole", kind, shard_rows=5)
    with pytest.raises(OSError, match="went away"):
        score_rows(stopping(), tmp_path / "stopped", kind, shard_rows=5)
    first = RunFolder(tmp_path / "stopped", kind).done()
    assert first and not RunFolder(tmp_path / "stopped", kind).complete()
    outcome, resumed = score_rows(many(), tmp_path / "stopped", kind, shard_rows=5)
    assert outcome.complete and outcome.scored == 23 - 5 * len(first)
    assert contents(resumed) == contents(whole) and len(contents(whole)) == 5
    assert outcome.tally.rows == 23


def test_a_shard_without_its_record_is_done_again(score_rows, tmp_path):
    _, folder = score_rows(many(), shard_rows=5)
    before = contents(folder)
    folder.shard_path(2).write_bytes(b"half")
    (folder.path / "_records" / "part-00002.json").unlink()
    outcome, folder = score_rows(many(), shard_rows=5)
    assert outcome.scored == 5 and contents(folder) == before


def swapped(folder):
    """Another run's shard with its record, over the same texts."""
    other = folder.parent / "other"
    for name in ("part-00002.jsonl", "_records/part-00002.json"):
        shutil.copy(other / name, folder / name)


def replaced(name, old, new):
    def change(folder):
        content = (folder / name).read_bytes()
        assert old in content
        (folder / name).write_bytes(content.replace(old, new, 1))

    return change


def written(name, content):
    return lambda folder: (folder / name).write_bytes(content)


@pytest.mark.parametrize(
    "damage",
    [
        written("part-00002.jsonl", b""),
        written("part-00002.jsonl", b'{"row": 10, '),
        replaced("part-00002.jsonl", b'"joy": 0.', b'"joy": 1.'),
        replaced("_records/part-00002.json", b'"rows": 5', b'"rows": 6'),
        replaced("_records/part-00002.json", b'"digest"', b'"digets"'),
        written("_records/part-00002.json", b"[]"),
        written("_records/part-00002.json", b"[" * 100_000),
        written("_records/part-00002.json", b"\xff"),
        swapped,
    ],
)
def test_a_shard_that_is_not_what_the_run_wrote_is_scored_again(score_rows, tmp_path, capsys, damage):
    score_rows(many(), tmp_path / "other", shard_rows=5, description={"arguments": {"labels": "calm"}})
    _, folder = score_rows(many(), shard_rows=5)
    before = contents(folder)
    damage(folder.path)
    (folder.path / "_end.json").write_text("{}")
    outcome, folder = score_rows(many(), shard_rows=5)
    assert outcome.complete and outcome.scored == 5 and outcome.tally.rows == 23 and contents(folder) == before
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1 and "part-00002.jsonl" in said[0] and said[0].endswith("its rows are scored again")
    assert score_rows(many(), shard_rows=5)[0].scored == 0


def test_a_shard_that_no_run_wrote_is_told(score_rows):
    _, folder = score_rows(many(), shard_rows=5)
    shutil.copy(folder.shard_path(1), folder.shard_path(9))
    with pytest.raises(ValueError, match=r"shards of rows beyond, from part-00009\.jsonl on"):
        score_rows(many(), shard_rows=5)


@pytest.mark.parametrize(
    "changed", [many(row7="another"), many(12), many()[1:]], ids=["a text", "fewer rows", "the first row left out"]
)
def test_a_changed_input_is_refused(score_rows, changed):
    score_rows(many(), shard_rows=5)
    with pytest.raises(ValueError, match=r"the input has changed: .*name another --output"):
        score_rows(changed, shard_rows=5)


def test_other_arguments_are_refused(tmp_path):
    folder = RunFolder(tmp_path / "run", "csv")
    known = {"input": {"a.csv": "12 bytes"}, "model": {"digest": "0"}, "arguments": {"labels": "joy,anger", "top": 1}}
    assert folder.agree(known) is False and folder.agree(known) is True
    for section, sentence in (("input", "another input"), ("model", "another model")):
        with pytest.raises(ValueError, match=sentence):
            folder.agree({**known, section: {"x": 1}})
    with pytest.raises(ValueError, match='--labels, "joy,anger" and not "joy"'):
        folder.agree({**known, "arguments": {"labels": "joy", "top": 1}})


def test_two_runs_in_one_folder_are_refused(tmp_path):
    folder = RunFolder(tmp_path / "run", "csv")
    with folder.locked(), pytest.raises(ValueError, match="another run is writing to"), folder.locked():
        pass
    with folder.locked(0), folder.locked(1):  # two processes of one run
        pass
    with folder.locked():
        pass


def test_folders_that_hold_something_else_are_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match="not empty and holds no scoring run"):
        RunFolder(tmp_path, "csv")
    with pytest.raises(ValueError, match="is a file"):
        RunFolder(tmp_path / "notes.txt", "csv")
    (tmp_path / "run").mkdir()
    for content in ("{", "", "[]", "{}", '{"input": 3}', "[" * 100_000):
        (tmp_path / "run" / "_run.json").write_text(content)
        with pytest.raises(ValueError, match=r"_run\.json is damaged"):
            RunFolder(tmp_path / "run", "csv").agree({"input": {}})


def test_processes_share_the_shards_and_nothing_is_merged(score_rows, tmp_path):
    _, whole = score_rows(many(), tmp_path / "whole", shard_rows=4)
    first, _ = score_rows(many(), tmp_path / "shared", shard_rows=4, share=Share(0, 2))
    assert not first.complete and first.scored == 12
    second, shared = score_rows(many(), tmp_path / "shared", shard_rows=4, share=Share(1, 2))
    assert second.complete and second.scored == 11 and second.tally.rows == 23
    assert contents(shared) == contents(whole)


def test_the_share_of_a_process():
    assert share_of_environment({}) == Share(0, 1)
    assert share_of_environment({"OMPI_COMM_WORLD_RANK": "2", "OMPI_COMM_WORLD_SIZE": "3"}) == Share(2, 3)
    assert share_of_environment({"RANK": "9", "WORLD_SIZE": "3"}) == Share(0, 1)
    assert share_of_environment({"RANK": "x", "WORLD_SIZE": "3"}) == Share(0, 1)


def test_records_are_small_and_plain(score_rows):
    _, folder = score_rows(many(), shard_rows=23, by_group=True, by_day=True)
    record = json.loads((folder.path / "_records" / "part-00000.json").read_text())
    assert record["tally"]["rows"] == 23 and record["tally"]["groups"]["(none)"]["rows"] == 23
