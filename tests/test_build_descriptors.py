"""The descriptor data set: how it is built, and the invariants of the one that is shipped."""

import importlib.util
import json
import string
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "data" / "descriptors"
CONFIGS = ("default", "goemotions", "closed28", "rated", "lexicon")
SPLITS = ("train", "validation")


def load_script(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


script = load_script("build_descriptors")
describe = load_script("describe_descriptors")


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
    assert script.normalise_text(one) == script.normalise_text(other)


@pytest.mark.parametrize(
    ("one", "other"), [("?!", "..."), ("ok 🙂", "ok 🙁"), ("no thanks", "nothanks"), ("+1", "-1 +2"), ("'", '"')]
)
def test_other_texts_stay_apart(one, other):
    assert script.normalise_text(one) != script.normalise_text(other)


@given(st.text())
def test_normalising_again_changes_nothing(text):
    once = script.normalise_text(text)
    assert script.normalise_text(once) == once
    assert bool(once) == bool(text.strip())


@given(
    st.lists(st.text(string.ascii_letters + string.digits + "éß漢字", min_size=1), min_size=1),
    st.lists(st.sampled_from([" ", "\n", ", ", "... ", " — ", "!?", "\u3000"]), min_size=1),
)
def test_gaps_and_case_do_not_count(words, gaps):
    dressed = "".join(word.lower() + gaps[i % len(gaps)] for i, word in enumerate(words))
    assert script.normalise_text(dressed) == script.normalise_text(" ".join(words))


# ---- splits

descriptors = st.text("abcdef ", min_size=1).map(lambda text: " ".join(text.split())).filter(bool)


@given(st.dictionaries(descriptors, st.integers(1, 200)), st.lists(descriptors, max_size=3))
def test_held_out_descriptors_are_rare_and_never_implied(counts, implied):
    lexicon = {"joy": {"implies": implied}}
    held_out = script.choose_held_out(counts, lexicon)
    assert held_out <= counts.keys() - set(implied) - set(script.GOEMOTIONS)
    assert all(counts[descriptor] <= 60 for descriptor in held_out)
    reverse = dict(reversed(counts.items()))
    assert script.choose_held_out(reverse, lexicon) == held_out


def test_about_eight_percent_are_held_out_and_names_never():
    counts = {f"descriptor {i}": 1 + i % 120 for i in range(20_000)} | dict.fromkeys(script.GOEMOTIONS, 3)
    assert 0.07 < len(script.choose_held_out(counts, {})) / 10_000 < 0.09
    assert len(script.GOEMOTIONS) == len(set(script.GOEMOTIONS)) == 28
    assert not script.choose_held_out(counts, {"broad": {"implies": list(counts)}})
    assert not script.choose_held_out(dict.fromkeys(counts, 61), {})


@given(st.text(string.ascii_letters + " .", min_size=1), st.lists(descriptors, min_size=1), st.sets(descriptors))
def test_a_held_out_descriptor_decides_and_otherwise_the_normalised_text(text, labels, held_out):
    split = script.split_of(text, labels, held_out)
    if held_out & set(labels):
        assert split == "validation"
    else:
        assert split == script.split_of(f"  {text.upper()}\n", ["another"], held_out - {"another"})


def test_a_fortieth_of_the_other_texts_is_validation():
    splits = [script.split_of(f"text number {i}", ["joy"], {"awe"}) for i in range(20_000)]
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


def check_invariants(configs):
    """No text in both splits of any configuration, no held-out descriptor in training, and the columns promised."""
    held_out = {row["descriptor"] for row in configs["lexicon"]["validation"]}
    texts = {
        split: {script.normalise_text(row["text"]) for name in CONFIGS[:4] for row in configs[name][split]}
        for split in SPLITS
    }
    assert held_out and texts["validation"]
    assert not texts["train"] & texts["validation"]
    train, validation = (descriptors_of(configs["default"][split]) for split in SPLITS)
    assert not held_out & train
    assert held_out <= validation
    lexicon = [row for split in SPLITS for row in configs["lexicon"][split]]
    assert not held_out & {word for row in lexicon for word in row["implies"]}
    assert not held_out & set(script.GOEMOTIONS)
    assert {row["descriptor"] for row in lexicon if row["count"]} == train | validation
    for split in SPLITS:
        default = {row["id"]: row for row in configs["default"][split]}
        reddit = [row for row in default.values() if row["source"] == "goemotions"]
        assert configs["goemotions"][split] == reddit
        assert all(default[row["id"]]["text"] == row["text"] for row in configs["closed28"][split])
        assert descriptors_of(configs["closed28"][split]) <= set(script.GOEMOTIONS)
        assert all(default[row["id"]]["text"] == row["text"] for row in configs["rated"][split])
        assert all(1 <= row[name] <= 9 for row in configs["rated"][split] for name in script.DIMENSIONS)


def test_build_and_load(inputs, offline, capsys):
    evaluation = inputs["output"].with_name("dev.tsv")
    evaluation.write_text("this is MADE UP note number 7 and it’s fine\t27\tabc\nanother\t1\tdef\n", encoding="utf-8")
    with open(inputs["descriptors"], "a", encoding="utf-8") as file:
        print(json.dumps({"text": "This is made-up note number 8 and it's fine!", "labels": ["anger"]}), file=file)
        print(json.dumps({"text": "Refused.", "labels": None, "status": "refused"}), file=file)
    assert script.main(arguments(inputs, "--exclude", evaluation)) == 0
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
    assert script.main(arguments(inputs)) == 0
    before = contents(inputs["output"])
    assert script.main(arguments(inputs)) == 0
    assert contents(inputs["output"]) == before


def test_only_ones_own_annotated_texts(inputs, offline, monkeypatch):
    """As `emodistill annotate` writes them, without ids, closed list or lexicon; more rows than one batch holds."""
    monkeypatch.setattr(script, "BATCH_ROWS", 32)
    rows = [{"text": f"Mine, number {i}", "labels": [" Joy ", "joy", f"own {i}"], "status": "ok"} for i in range(300)]
    write_lines(inputs["descriptors"], rows)
    only = {name: inputs[name] for name in ("descriptors", "output")}
    assert script.main(arguments(only)) == 0
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
        ("descriptors", '["a list"]', "`text` and `labels`"),
        ("descriptors", '{"text": " ", "labels": ["joy"]}', "`text`"),
        ("descriptors", '{"text": "half \\ud83d", "labels": ["joy"]}', "Unicode"),
        ("descriptors", '{"text": "no labels"}', "`labels` must be a list"),
        ("descriptors", '{"text": "no labels", "labels": []}', "`labels` is empty"),
        ("descriptors", '{"text": "no labels", "labels": ["joy", " "]}', "empty descriptor"),
        ("descriptors", '{"id": "t0", "text": "another text", "labels": ["joy"]}', "'t0' stands on line 1"),
        ("closed", '{"id": "t1", "labels": ["schadenfreude"]}', "'schadenfreude' is not one of"),
        ("closed", '{"id": "t0", "labels": ["joy"]}', "missing or repeated"),
        ("rated", '{"id": "t0", "labels": ["joy"]}', "missing or repeated"),
        ("rated", '{"id": "t1", "labels": ["joy"], "valence": 5}', "arousal must be a number from 1 to 9, not None"),
        ("lexicon", "awe\t7\t6", "3 cells where the header has 5"),
        ("lexicon", "awe\t7\t60\t5\twonder", "arousal must be a number from 1 to 9, not '60'"),
        ("lexicon", "joy\t7\t6\t5\t", "'joy' stands there twice"),
    ],
)
def test_a_damaged_line_is_one_sentence_and_changes_nothing(inputs, capsys, name, line, said):
    assert script.main(arguments(inputs)) == 0
    before = contents(inputs["output"])
    with open(inputs[name], "a", encoding="utf-8") as file:
        print(line, file=file)
    number = len(inputs[name].read_text(encoding="utf-8").splitlines())
    capsys.readouterr()
    assert script.main(arguments(inputs)) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and said in err and f"{inputs[name]}, line {number}:" in err
    assert contents(inputs["output"]) == before


def test_other_mistakes_are_one_sentence(inputs, capsys):
    assert script.main(arguments(inputs | {"lexicon": inputs["descriptors"]})) == 2
    assert "no column 'descriptor'" in capsys.readouterr().err
    assert script.main(arguments(inputs | {"descriptors": "no/such/file.jsonl"})) == 2
    assert "no/such/file.jsonl" in capsys.readouterr().err
    inputs["closed"].write_bytes(b'{"id": "t0", "labels": ["joy"]}\n\xff\xfe\n')
    assert script.main(arguments(inputs)) == 2
    assert "line 2: not UTF-8" in capsys.readouterr().err
    write_lines(inputs["descriptors"], [{"text": "Refused.", "status": "refused"}])
    inputs["closed"].write_text("")
    assert script.main(arguments(inputs)) == 2
    assert "no row is left" in capsys.readouterr().err
    assert not inputs["output"].exists()


def test_a_configuration_of_an_earlier_build_is_not_left_beside_new_splits(inputs, capsys):
    assert script.main(arguments(inputs)) == 0
    before = contents(inputs["output"])
    del inputs["closed"]
    assert script.main(arguments(inputs)) == 2
    assert "closed28 comes from an earlier build" in capsys.readouterr().err
    assert contents(inputs["output"]) == before


def test_a_failure_while_writing_leaves_the_old_files(inputs, monkeypatch):
    assert script.main(arguments(inputs)) == 0
    before = contents(inputs["output"])

    def full(*_):
        raise OSError("no space left on device")

    monkeypatch.setattr(script, "lexicon_rows", full)
    monkeypatch.setattr(script, "BATCH_ROWS", 16)
    assert script.main(arguments(inputs)) == 2
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
    assert list(script.read_evaluation_texts(path)) == expected


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("odd.csv", "id,comment\n1,hello\n", "line 1: no tab and no text column"),
        ("short.csv", "id,text\n1,hello\n2\n", "line 3: no cell 2"),
        ("own.jsonl", '{"text": "a"}\n{"body": "b"}\n', "line 2: no `text`"),
    ],
)
def test_an_evaluation_file_that_cannot_be_compared_is_refused(inputs, capsys, name, text, said):
    path = inputs["output"].with_name(name)
    path.write_text(text, encoding="utf-8")
    assert script.main(arguments(inputs, "--exclude", path)) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and f"{path}, {said}" in err
    assert not inputs["output"].exists()


# ---- the data set that is shipped


def test_every_shipped_configuration_loads_offline_and_keeps_its_promises(offline):
    configs = lists({name: offline(DATA, name) for name in CONFIGS})
    check_invariants(configs)
    rows = [row for split in SPLITS for row in configs["default"][split]]
    assert len(rows) > 32_000
    assert len({script.normalise_text(row["text"]) for row in rows}) == len(rows)
    lexicon = {row["descriptor"]: row for split in SPLITS for row in configs["lexicon"][split]}
    rated = [row for row in lexicon.values() if row["valence"] is not None]
    assert len(rated) == 4_518  # the others came with the texts by specification
    assert all(1 <= row[name] <= 9 for row in rated for name in script.DIMENSIONS)
    composed = {label for row in rows if row["selection"] == "by specification" for label in row["labels"]}
    assert lexicon.keys() - {row["descriptor"] for row in rated} <= composed


def test_the_shipped_splits_are_those_the_script_makes(offline):
    configs = lists({name: offline(DATA, name) for name in ("default", "lexicon")})
    held_out = {row["descriptor"] for row in configs["lexicon"]["validation"]}
    lexicon = {row["descriptor"]: row for split in SPLITS for row in configs["lexicon"][split]}
    counts = {name: row["count"] for name, row in lexicon.items() if row["count"]}
    assert script.choose_held_out(counts, lexicon) == held_out
    for split in SPLITS:
        assert {script.split_of(row["text"], row["labels"], held_out) for row in configs["default"][split]} == {split}


def test_the_card_shows_what_the_script_prints(capsys):
    assert describe.main([str(DATA)]) == 0
    card = (DATA / "README.md").read_text(encoding="utf-8")
    assert capsys.readouterr().out.strip() in card


def test_describing_a_folder_without_a_data_set_is_one_sentence(tmp_path, capsys):
    assert describe.main([str(tmp_path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1


def test_the_data_set_stays_small():
    assert sum(path.stat().st_size for path in DATA.rglob("*") if path.is_file()) < 5_000_000
