"""The descriptor data set: how it is built, and the invariants of the one that is shipped."""

import json
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emodistill import cli
from emodistill.descriptors import build, parquet_output
from emodistill.descriptors.labels import GOEMOTIONS
from emodistill.descriptors.matching import comparison_key, read_evaluation_texts
from emodistill.descriptors.rows import DIMENSIONS, SPLITS
from emodistill.descriptors.splits import choose_groups, choose_held_out, split_of

ROOT = Path(__file__).resolve().parents[2]
DATA = ROOT / "data" / "descriptors"
CONFIGS = ("default", "goemotions", "closed28", "rated", "lexicon")


def run(arguments):
    return cli.main(["build-data", *map(str, arguments)])


@pytest.fixture
def offline(monkeypatch, tmp_path_factory):
    """`load_dataset` as a user without a network calls it, with a cache of its own."""
    import datasets

    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
    cache = tmp_path_factory.mktemp("cache")

    def load(folder, name=None):
        return datasets.load_dataset(str(folder), name, cache_dir=str(cache))

    return load


# ---- texts


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("It’s fine.", "its   FINE"),
        ("Ｆｕｌｌ　ｗｉｄｔｈ", "full width"),
        ("so, tired -- of\tthis!!!", "So tired of this"),
        ("ﬁnally", "finally"),
        ("cafe\u0301", "café"),
        ("two\r\nlines\x00here", "two lines here"),
    ],
)
def test_the_same_text_in_other_clothes(one, other):
    assert comparison_key(one) == comparison_key(other)


@pytest.mark.parametrize(
    ("one", "other"), [("?!", "..."), ("ok 🙂", "ok 🙁"), ("no thanks", "nothanks"), ("+1", "-1 +2"), ("'", '"')]
)
def test_other_texts_stay_apart(one, other):
    assert comparison_key(one) != comparison_key(other)


@given(st.text())
def test_normalising_again_changes_nothing(text):
    once = comparison_key(text)
    assert comparison_key(once) == once
    assert bool(once) == bool(text.strip())


@given(
    st.lists(st.text(string.ascii_letters + string.digits + "éß漢字", min_size=1), min_size=1),
    st.lists(st.sampled_from([" ", "\n", ", ", "... ", " — ", "!?", "\u3000"]), min_size=1),
)
def test_gaps_and_case_do_not_count(words, gaps):
    dressed = "".join(word.lower() + gaps[i % len(gaps)] for i, word in enumerate(words))
    assert comparison_key(dressed) == comparison_key(" ".join(words))


# ---- splits

descriptors = st.text("abcdef ", min_size=1).map(lambda text: " ".join(text.split())).filter(bool)


@given(st.dictionaries(descriptors, st.integers(1, 200)), st.lists(descriptors, max_size=3))
def test_held_out_descriptors_are_rare_and_never_implied(counts, implied):
    lexicon = {"joy": {"implies": implied}}
    held_out = choose_held_out(counts, lexicon)
    assert held_out <= counts.keys() - set(implied) - set(GOEMOTIONS)
    assert all(counts[descriptor] <= 60 for descriptor in held_out)
    reverse = dict(reversed(counts.items()))
    assert choose_held_out(reverse, lexicon) == held_out


def test_about_eight_percent_are_held_out_and_names_never():
    counts = {f"descriptor {i}": 1 + i % 120 for i in range(20_000)} | dict.fromkeys(GOEMOTIONS, 3)
    assert 0.07 < len(choose_held_out(counts, {})) / 10_000 < 0.09
    assert len(GOEMOTIONS) == len(set(GOEMOTIONS)) == 28
    assert not choose_held_out(counts, {"broad": {"implies": list(counts)}})
    assert not choose_held_out(dict.fromkeys(counts, 61), {})


@given(st.text(string.ascii_letters + " .", min_size=1), st.lists(descriptors, min_size=1), st.sets(descriptors))
def test_a_held_out_descriptor_decides_and_otherwise_the_normalised_text(text, labels, held_out):
    split = split_of(text, labels, held_out)
    if held_out & set(labels):
        assert split == "validation"
    else:
        assert split == split_of(f"  {text.upper()}\n", ["another"], held_out - {"another"})


def test_a_fortieth_of_the_other_texts_is_validation():
    splits = [split_of(f"text number {i}", ["joy"], {"awe"}) for i in range(20_000)]
    assert 0.02 < splits.count("validation") / len(splits) < 0.03


# ---- building from files


def write_lines(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def inputs(tmp_path):
    """400 made-up texts with 60 rare descriptors, a closed list for half of them, and a lexicon."""
    rows = [
        {
            "id": f"t{i}",
            "source": "goemotions" if i % 2 else "written",
            "genre": "note",
            "selection": "random",
            "text": f"This is made-up note number {i}, and it's fine.",
            "labels": ["joy", f"rare feeling {i % 60}"] if i % 3 else ["neutral"],
        }
        for i in range(400)
    ]
    closed = [{"id": f"t{i}", "labels": ["joy"]} for i in range(0, 400, 2)]
    ratings = {"valence": 6.5, "arousal": 3, "dominance": 5.5}
    rated = [{"id": f"t{i}", "labels": ["joy", "happiness"], **ratings} for i in range(0, 400, 3)]
    names = ["joy", "neutral"] + [f"rare feeling {i}" for i in range(60)]
    lexicon = tmp_path / "lexicon.tsv"
    lines = ["descriptor\tvalence\tarousal\tdominance\timplies"]
    lines += [f"{name}\t7.5\t6\t5.1\t{'happiness, rare feeling 3' if name == 'joy' else ''}" for name in names]
    lexicon.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return {
        "descriptors": write_lines(tmp_path / "texts.jsonl", rows),
        "closed": write_lines(tmp_path / "closed.jsonl", closed),
        "rated": write_lines(tmp_path / "rated.jsonl", rated),
        "lexicon": lexicon,
        "output": tmp_path / "built",
    }


def arguments(inputs, *more):
    return [part for name, path in inputs.items() for part in (f"--{name}", str(path))] + [str(part) for part in more]


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*.*"))}


def lists(configs):
    """Plain rows: iterating over a `Dataset` converts row by row, a hundred times slower."""
    return {name: {split: part.to_list() for split, part in parts.items()} for name, parts in configs.items()}


def descriptors_of(rows):
    return {label for row in rows for label in row["labels"]}


def without_group(row):
    return {name: value for name, value in row.items() if name not in ("group", "theme")}


def check_invariants(configs):
    """No text in both splits of any configuration, no held-out descriptor in training, and the columns promised."""
    held_out = {row["descriptor"] for row in configs["lexicon"]["validation"]}
    texts = {
        split: {comparison_key(row["text"]) for name in CONFIGS[:4] for row in configs[name][split]}
        for split in SPLITS
    }
    assert held_out and texts["validation"]
    assert not texts["train"] & texts["validation"]
    train, validation = (descriptors_of(configs["default"][split]) for split in SPLITS)
    assert not held_out & train
    assert held_out <= validation
    lexicon = [row for split in SPLITS for row in configs["lexicon"][split]]
    assert not held_out & {word for row in lexicon for word in row["implies"]}
    assert not held_out & set(GOEMOTIONS)
    assert {row["descriptor"] for row in lexicon if row["count"]} == train | validation
    for split in SPLITS:
        default = {row["id"]: row for row in configs["default"][split]}
        reddit = [without_group(row) for row in default.values() if row["source"] == "goemotions"]
        assert configs["goemotions"][split] == reddit
        assert all(default[row["id"]]["text"] == row["text"] for row in configs["closed28"][split])
        assert descriptors_of(configs["closed28"][split]) <= set(GOEMOTIONS)
        assert all(default[row["id"]]["text"] == row["text"] for row in configs["rated"][split])
        assert all(1 <= row[name] <= 9 for row in configs["rated"][split] for name in DIMENSIONS)


def test_build_and_load(inputs, offline, capsys):
    evaluation = inputs["output"].with_name("dev.tsv")
    evaluation.write_text("this is MADE UP note number 7 and it’s fine\t27\tabc\nanother\t1\tdef\n", encoding="utf-8")
    with open(inputs["descriptors"], "a", encoding="utf-8") as file:
        print(json.dumps({"text": "This is made-up note number 8 and it's fine!", "labels": ["anger"]}), file=file)
        print(json.dumps({"text": "Refused.", "labels": None, "status": "refused"}), file=file)
    assert run(arguments(inputs, "--exclude", evaluation)) == 0
    out = capsys.readouterr().out
    assert "dropped, in an evaluation file: 1\n" in out and "dropped, a text seen before: 1\n" in out
    assert "compared with 2 distinct" in out

    configs = {name: offline(inputs["output"], name) for name in CONFIGS}
    check_invariants(lists(configs))
    assert sum(configs["default"].num_rows.values()) == 399
    assert str(offline(inputs["output"])) == str(configs["default"])  # the default configuration
    rows = {row["descriptor"]: row for split in SPLITS for row in configs["lexicon"][split]}
    assert rows["joy"]["implies"] == ["happiness", "rare feeling 3"] and rows["neutral"]["implies"] == []
    texts = [row for split in SPLITS for row in configs["rated"][split]]
    assert {(row["valence"], row["arousal"], row["dominance"]) for row in texts} == {(6.5, 3.0, 5.5)}
    assert rows["joy"]["valence"] == 7.5 and rows["joy"]["count"] == 265  # one of 266 was in the evaluation file
    assert configs["lexicon"]["train"].features["dominance"].dtype == "float32"


def test_the_same_input_gives_the_same_bytes(inputs):
    assert run(arguments(inputs)) == 0
    before = contents(inputs["output"])
    assert run(arguments(inputs)) == 0
    assert contents(inputs["output"]) == before


def test_only_ones_own_annotated_texts(inputs, offline, monkeypatch):
    """As `emodistill annotate` writes them, without ids, closed list or lexicon; more rows than one batch holds."""
    monkeypatch.setattr(parquet_output, "BATCH_ROWS", 32)
    rows = [{"text": f"Mine, number {i}", "labels": [" Joy ", "joy", f"own {i}"], "status": "ok"} for i in range(300)]
    write_lines(inputs["descriptors"], rows)
    only = {name: inputs[name] for name in ("descriptors", "output")}
    assert run(arguments(only)) == 0
    default, lexicon = offline(only["output"]), offline(only["output"], "lexicon")
    assert {path.name for path in only["output"].iterdir()} == {"default", "lexicon", "README.md"}
    assert sum(default.num_rows.values()) == 300
    assert all(labels[0] == "joy" and len(labels) == 2 for labels in default["train"]["labels"])
    assert set(lexicon["train"]["valence"]) == {None}
    assert len(set(default["train"]["id"])) == len(default["train"])


@pytest.mark.parametrize(
    ("name", "line", "said"),
    [
        ("descriptors", '{"text": "torn', "not valid JSON"),
        ("descriptors", '["a list"]', "a JSON object is expected"),
        ("descriptors", '{"text": " ", "labels": ["joy"]}', "`text`"),
        ("descriptors", '{"text": "half \\ud83d", "labels": ["joy"]}', "Unicode"),
        ("descriptors", '{"text": "no labels"}', "a row needs `text` and `labels`"),
        ("descriptors", '{"text": "no labels", "labels": []}', "there are no labels (an empty list)"),
        ("descriptors", '{"text": "no labels", "labels": "[\'joy\'"}', "cut off"),
        (
            "descriptors",
            '{"text": "a", "labels": ["joy"], "valence": 5}',
            "arousal must be a number from 1 to 9, not None",
        ),
        (
            "descriptors",
            '{"id": "t0", "text": "another text", "labels": ["joy"]}',
            "'t0' stands in texts.jsonl, line 1",
        ),
        ("closed", '{"id": "t1", "labels": ["schadenfreude"]}', "'schadenfreude' is not one of"),
        ("closed", '{"id": "t0", "labels": ["joy"]}', "missing or repeated"),
        ("rated", '{"id": "t0", "labels": ["joy"]}', "missing or repeated"),
        ("rated", '{"id": "t1", "labels": ["joy"], "valence": 5}', "arousal must be a number from 1 to 9, not None"),
        ("lexicon", "awe\t7\t6", "3 fields where 5 are expected"),
        ("lexicon", "awe\t7\t60\t5\twonder", "arousal must be a number from 1 to 9, not '60'"),
        ("lexicon", "joy\t7\t6\t5\t", "'joy' stands there twice"),
    ],
)
def test_a_damaged_line_is_one_sentence_and_changes_nothing(inputs, capsys, name, line, said):
    assert run(arguments(inputs)) == 0
    before = contents(inputs["output"])
    with open(inputs[name], "a", encoding="utf-8") as file:
        print(line, file=file)
    number = len(inputs[name].read_text(encoding="utf-8").splitlines())
    capsys.readouterr()
    assert run(arguments(inputs)) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and said in err and f"{inputs[name]}, line {number}:" in err
    assert contents(inputs["output"]) == before


def test_other_mistakes_are_one_sentence(inputs, capsys):
    assert run(arguments(inputs | {"lexicon": inputs["descriptors"]})) == 2
    assert "no column 'descriptor'" in capsys.readouterr().err
    assert run(arguments(inputs | {"descriptors": "no/such/file.jsonl"})) == 2
    assert "no/such/file.jsonl" in capsys.readouterr().err
    inputs["closed"].write_bytes(b'{"id": "t0", "labels": ["joy"]}\n\xff\xfe\n')
    assert run(arguments(inputs)) == 2
    assert "line 2: not utf-8" in capsys.readouterr().err
    write_lines(inputs["descriptors"], [{"text": "Refused.", "status": "refused"}])
    del inputs["closed"]
    assert run(arguments(inputs)) == 2
    assert "no row is left" in capsys.readouterr().err
    assert not inputs["output"].exists()


def test_a_configuration_of_an_earlier_build_is_not_left_beside_new_splits(inputs, capsys):
    assert run(arguments(inputs)) == 0
    before = contents(inputs["output"])
    del inputs["closed"]
    assert run(arguments(inputs)) == 2
    assert "closed28 comes from an earlier build" in capsys.readouterr().err
    assert contents(inputs["output"]) == before


def test_a_failure_while_writing_leaves_the_old_files(inputs, monkeypatch):
    assert run(arguments(inputs)) == 0
    before = contents(inputs["output"])

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(build, "_lexicon_rows", full)
    monkeypatch.setattr(parquet_output, "BATCH_ROWS", 16)
    assert run(arguments(inputs)) == 2
    assert contents(inputs["output"]) == before


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("dev.tsv", 'First "quoted text\t27\tabc\nSecond\t1\tdef\n', ['First "quoted text', "Second"]),
        ("emobank.csv", 'id,split,V,A,D,text\na,train,3,3,3,"One, ""two"""\n', ['One, "two"']),
        ("track_a.csv", 'id,text,anger\n1,"two\nlines",0\n2,next,1\n', ["two\nlines", "next"]),
        ("E-c-dev.txt", 'ID\tTweet\tanger\n1\tSaid "so\t1\n2\tNext\t0\n', ['Said "so', "Next"]),
        ("posts.csv", "Anonymized Message,Valence1\nHello there,5\n", ["Hello there"]),
        ("old.csv", "ID|SIT|Field1\n1|When I fell|fear\n", ["When I fell"]),
        ("pairs.csv", "text;label\nI am here;joy\n", ["I am here"]),
        ("own.jsonl", '{"text": "a"}\n\n{"text": "b"}\n', ["a", "b"]),
        ("bom.csv", "\ufefftext,label\nwith a mark,1\n", ["with a mark"]),
    ],
)
def test_the_text_column_is_found(tmp_path, name, text, expected):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8", newline="")
    assert list(read_evaluation_texts(path)) == expected


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("odd.csv", "id,comment\n1,hello\n", "line 1: no tab and no text column"),
        ("short.csv", "id,text\n1,hello\n2\n", "line 3: 1 fields where 2"),
        ("own.jsonl", '{"text": "a"}\n{"body": "b"}\n', "line 2: no `text`"),
    ],
)
def test_an_evaluation_file_that_cannot_be_compared_is_refused(inputs, capsys, name, text, said):
    path = inputs["output"].with_name(name)
    path.write_text(text, encoding="utf-8")
    assert run(arguments(inputs, "--exclude", path)) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and f"{path}, {said}" in err
    assert not inputs["output"].exists()


# ---- readings, contrasts, unread texts, and a data set to build on


@pytest.fixture
def more(tmp_path, inputs):
    """60 readings with ratings, 120 groups of two contrasts in two themes, and texts that nobody read."""
    ratings = {"valence": 2.5, "arousal": 7, "dominance": 3}
    readings = [
        {
            "id": f"r{i}",
            "source": "diary" if i % 2 else "forum",
            "text": f"Reading {i}.",
            "labels": ["fear"],
            **ratings,
        }
        for i in range(60)
    ]
    contrasts = [
        {
            "id": f"c{i}-{side}",
            "group": i,
            "theme": "negation" if i % 4 else "sarcasm",
            "text": f"Case {i}: they were {side}.",
            "labels": [f"rare feeling {i % 60}" if i == 7 else "joy" if side == "glad" else "neutral"],
            **ratings,
        }
        for i in range(120)
        for side in ("glad", "here")
    ]
    unread = [{"id": f"u{i}", "source": "pool", "text": f"Unread {i}."} for i in range(20)]
    unread += [
        {"id": "again", "source": "pool", "text": "reading 3"},
        {"id": "x", "source": "other", "text": "Other."},
    ]
    return {
        "readings": write_lines(tmp_path / "readings.jsonl", readings),
        "contrasts": write_lines(tmp_path / "contrasts.jsonl", contrasts),
        "unread": write_lines(tmp_path / "unread.jsonl", unread),
    }


def built(folder):
    from emodistill.descriptors.sources import iter_rows

    configs = [path.name for path in folder.iterdir() if path.is_dir()]
    return {
        config: {
            split: [row.values for row in iter_rows(folder, split=split, config=config)]
            for split in (SPLITS[:1] if config == "unread" else SPLITS)
        }
        for config in configs
    }


def test_readings_contrasts_and_unread_texts(inputs, more, offline, capsys):
    assert run(arguments(inputs | more)) == 0
    assert "dropped, unread, a text seen before: 1\n" in capsys.readouterr().out
    configs = built(inputs["output"])
    check_invariants(configs)
    assert offline(inputs["output"])["train"].column_names[-2:] == ["group", "theme"]
    assert len(configs["unread"]["train"]) == 21 and configs["unread"]["train"][0] == {
        "id": "u0",
        "source": "pool",
        "text": "Unread 0.",
    }
    assert offline(inputs["output"], "unread").num_rows == {"train": 21}
    rated = {row["id"]: row for split in SPLITS for row in configs["rated"][split]}
    assert rated["r1"]["labels"] == rated["c3-glad"]["labels"] == [] and rated["r1"]["arousal"] == 7
    assert rated["t0"]["labels"] == ["joy", "happiness"]

    groups = {}
    for split in SPLITS:
        for row in configs["default"][split]:
            if row["group"] is not None:
                assert row["source"] == "contrast"
                groups.setdefault(row["group"], []).append((split, row))
    assert len(groups) == 120 and all(len({split for split, _ in rows}) == 1 for rows in groups.values())
    held = {name: rows for name, rows in groups.items() if rows[0][0] == "validation"}
    chosen = {name for name, rows in held.items() if rows[0][1]["selection"] == "held-out contrast"}
    assert len(chosen) in (11, 12)  # a tenth of them, in both themes
    assert 5 <= sum(held[name][0][1]["theme"] == "sarcasm" for name in chosen) <= 7
    out_of_training = {row["descriptor"] for row in configs["lexicon"]["validation"]}
    for name in held.keys() - chosen:  # one member's descriptor takes its mates along
        assert any(out_of_training & set(row["labels"]) for _, row in held[name])


def test_building_on_a_data_set_changes_no_split(inputs, more, tmp_path):
    assert run(arguments(inputs)) == 0
    before = built(inputs["output"])
    output = tmp_path / "larger"
    assert run(arguments(more, "--extend", inputs["output"], "--output", output)) == 0
    after = built(output)
    for config in ("default", "goemotions", "closed28", "rated"):
        for split in SPLITS:
            rows = {row["id"]: row for row in after[config][split]}
            for row in before[config][split]:
                assert rows[row["id"]] == row
    held_out = [{row["descriptor"] for row in part["lexicon"]["validation"]} for part in (before, after)]
    assert held_out[0] <= held_out[1]

    again = tmp_path / "again"
    assert run(["--extend", output, "--output", again]) == 0
    assert contents(again) == contents(output)
    assert run(["--extend", output, "--output", output]) == 0  # in its own place
    assert contents(again) == contents(output)


def test_what_was_held_out_stays(inputs, tmp_path):
    assert run(arguments(inputs)) == 0
    held_out = {row["descriptor"] for row in built(inputs["output"])["lexicon"]["validation"]}
    word = min(held_out)
    many = [{"text": f"Many {i}", "labels": [word]} for i in range(100)]  # no longer rare
    inputs["descriptors"] = write_lines(tmp_path / "many.jsonl", many)
    for held_by in (inputs["output"], inputs["output"] / "lexicon" / "validation.parquet"):
        output = tmp_path / f"by {held_by.name}"
        chosen = {"descriptors": inputs["descriptors"], "output": output}
        assert run(arguments(chosen, "--held-out", held_by)) == 0
        after = built(output)
        assert held_out <= {row["descriptor"] for row in after["lexicon"]["validation"]}
        assert len(after["default"]["validation"]) == 100 and not after["default"]["train"]


def test_texts_near_an_evaluation_text_are_dropped(inputs, tmp_path, capsys):
    evaluation = tmp_path / "dev.csv"
    evaluation.write_text("text\nWe said: Case 5, they were glad, and here too!\n", encoding="utf-8")
    texts = [
        "He claims CASE 5 they were glad and here",
        "case 5 they were glad and",
        "we said case 5 they were glad and",
    ]
    rows = [{"text": text, "labels": ["joy"]} for text in texts]
    chosen = {"descriptors": write_lines(tmp_path / "x.jsonl", rows), "output": tmp_path / "x"}
    chosen["unread"] = write_lines(tmp_path / "u.jsonl", [{"text": "So we said case 5 they were glad and went"}])
    assert run(arguments(chosen, "--exclude", evaluation)) == 0
    out = capsys.readouterr().out
    assert "dropped, near an evaluation text: 1\n" in out and "dropped, unread, near an evaluation text: 1\n" in out
    texts = [row["text"] for part in built(chosen["output"])["default"].values() for row in part]
    assert sorted(texts) == ["He claims CASE 5 they were glad and here", "case 5 they were glad and"]


def test_sources_are_left_out_everywhere(inputs, more, capsys):
    assert run(arguments(inputs | more, "--without", "forum", "other", "contrast")) == 0
    out = capsys.readouterr().out
    assert "dropped, source forum: 30\n" in out and "dropped, unread, source other: 1\n" in out
    sources = {
        row["source"] for name, parts in built(inputs["output"]).items() if name != "lexicon"
        for part in parts.values() for row in part
    }  # fmt: skip
    assert sources == {"goemotions", "written", "diary", "pool"}
    assert run(arguments(inputs | more, "--without", "forun")) == 2
    assert "--without forun: no text has this source; there are contrast, diary, forum" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "line", "said"),
    [
        ("readings", '{"id": "q", "text": "q", "labels": ["joy"]}', "a reading has valence, arousal and dominance"),
        ("contrasts", '{"id": "q", "text": "q", "labels": ["joy"], "group": 1}', "a `group` and a `theme`"),
        ("unread", '{"id": "q", "text": 3}', "`text` must be a string"),
        ("unread", '{"id": "r1", "text": "q"}', "'r1' stands in readings.jsonl, line 2"),
    ],
)
def test_damaged_lines_of_the_others(inputs, more, capsys, name, line, said):
    with open(more[name], "a", encoding="utf-8") as file:
        print(line, file=file)
    number = len(more[name].read_text(encoding="utf-8").splitlines())
    assert run(arguments(inputs | more)) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and said in err and f"{more[name]}, line {number}:" in err
    assert not inputs["output"].exists()


def test_files_with_the_same_groups_are_refused(inputs, more, tmp_path, capsys):
    rows = [{"text": "Another.", "labels": ["joy"], "group": 3, "theme": "negation"}]
    other = write_lines(tmp_path / "other.jsonl", rows)
    assert run(arguments(inputs | more, "--contrasts", other)) == 2
    assert "the group '3' stands in" in capsys.readouterr().err


@given(st.dictionaries(st.text(min_size=1), st.sampled_from("abc"), max_size=60), st.sets(st.text(min_size=1)))
def test_groups_are_chosen_evenly_by_hash(themes, before):
    chosen = choose_groups(themes, before)
    assert chosen <= themes.keys() and len(chosen) == int(len(themes) * 0.1)
    assert choose_groups(dict(reversed(themes.items())), before) == chosen
    for theme in set(themes.values()):  # earlier ones first
        mine = {key for key in themes if themes[key] == theme}
        if chosen & mine - before:
            assert before & mine <= chosen


def test_five_hundred_groups_at_the_most_spread_over_the_themes():
    themes = {f"group {i}": "abcde"[i % 5] if i < 8000 else "few" for i in range(8030)}
    chosen = [themes[key] for key in choose_groups(themes)]
    assert len(chosen) == 500 and chosen.count("few") == 30 and {chosen.count(theme) for theme in "abcde"} == {94}


# ---- the data set that is shipped


@pytest.mark.slow
def test_every_shipped_configuration_loads_offline_and_keeps_its_promises(offline):
    configs = lists({name: offline(DATA, name) for name in CONFIGS})
    check_invariants(configs)
    rows = [row for split in SPLITS for row in configs["default"][split]]
    assert len(rows) > 32_000
    assert len({comparison_key(row["text"]) for row in rows}) == len(rows)
    lexicon = {row["descriptor"]: row for split in SPLITS for row in configs["lexicon"][split]}
    rated = [row for row in lexicon.values() if row["valence"] is not None]
    assert len(rated) >= 4_518  # the others came with the texts by specification
    assert all(1 <= row[name] <= 9 for row in rated for name in DIMENSIONS)
    composed = {label for row in rows if row["selection"] == "by specification" for label in row["labels"]}
    assert lexicon.keys() - {row["descriptor"] for row in rated} <= composed


@pytest.mark.slow
def test_the_shipped_splits_are_those_the_command_makes():
    configs = built(DATA)
    held_out = {row["descriptor"] for row in configs["lexicon"]["validation"]}
    lexicon = {row["descriptor"]: row for split in SPLITS for row in configs["lexicon"][split]}
    counts = {name: row["count"] for name, row in lexicon.items() if row["count"]}
    assert choose_held_out(counts, lexicon) <= held_out
    for split in SPLITS:
        rows = [row for row in configs["default"][split] if row.get("group") is None]
        assert {split_of(row["text"], row["labels"], held_out) for row in rows} == {split}
    groups = [{row["group"] for row in configs["default"][split] if row.get("group")} for split in SPLITS]
    assert not groups[0] & groups[1]


@pytest.mark.slow
def test_the_card_shows_what_the_command_prints(capsys):
    assert cli.main(["describe-data", str(DATA)]) == 0
    card = (DATA / "README.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out.strip() in card


def test_describing_a_folder_without_a_data_set_is_one_sentence(tmp_path, capsys):
    assert cli.main(["describe-data", str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_data_set_stays_small():
    assert sum(path.stat().st_size for path in DATA.rglob("*") if path.is_file()) < 24_000_000
