"""Readers on made-up files in exactly the published formats."""

import sys
import types
import warnings
from pathlib import Path

import numpy as np
import pytest

from emodistill.benchmarks import readers
from emodistill.benchmarks.readers import (
    BENCHMARKS,
    DamagedFile,
    MissingBenchmark,
    load_benchmark,
    load_from_hub,
    present_splits,
    read_equity_corpus,
)
from emodistill.benchmarks.readers.goemotions_ekman import GROUPS
from emodistill.descriptors.labels import GOEMOTIONS


def put(root, name, content, encoding="utf-8"):
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    return path


@pytest.fixture(autouse=True)
def quiet_sizes():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


def test_goemotions(tmp_path):
    put(tmp_path, "goemotions/test.tsv", 'A "day\u2028out!\t17,0\tabc1\nIt rained.\t27\tabc2\nHm\t2,25\tabc3\n')
    data = load_benchmark("goemotions", tmp_path)
    assert data.split == "test"
    assert data.texts == ['A "day\u2028out!', "It rained.", "Hm"]
    assert [[GOEMOTIONS[i] for i in np.flatnonzero(row)] for row in data.targets] == [
        ["admiration", "joy"],
        ["neutral"],
        ["anger", "sadness"],
    ]
    assert data.ids == ["abc1", "abc2", "abc3"]


def test_goemotions_ekman_keeps_texts_of_one_group(tmp_path):
    assert sorted(sum(GROUPS.values(), ())) == sorted(GOEMOTIONS)
    put(tmp_path, "goemotions/test.tsv", "a\t17,0\tx\nb\t27\ty\nc\t2,25\tz\n")
    data = load_benchmark("goemotions-ekman", tmp_path)
    assert data.texts == ["a", "b"]
    assert [data.spec.labels[i] for i in data.targets] == ["joy", "neutral"]


@pytest.mark.parametrize(
    ("line", "problem"),
    [("only text", "1 tab-separated"), ("text\tjoy\tid", "'joy'"), ("text\t28\tid", "outside 0 to 27")],
)
def test_goemotions_damage_names_file_and_line(tmp_path, line, problem):
    path = put(tmp_path, "goemotions/test.tsv", f"fine\t27\tid\n{line}\n")
    with pytest.raises(DamagedFile, match=problem) as caught:
        load_benchmark("goemotions", tmp_path)
    assert f"{path}, line 2:" in str(caught.value)


SEMEVAL2018_HEADER = (
    "ID\tTweet\tanger\tanticipation\tdisgust\tfear\tjoy\tlove\toptimism\tpessimism\tsadness\tsurprise\ttrust\n"
)


@pytest.mark.parametrize("prefix", ["2018-E-c-En-", "E-c-En-"])
def test_semeval2018(tmp_path, prefix):
    rows = SEMEVAL2018_HEADER + (
        '2018-En-1\tso "sunny\\nand warm &amp; bright\t0\t1\t0\t0\t1\t0\t1\t0\t0\t0\t0\n'
        "2018-En-2\tleave me be\t1" + "\t0" * 10 + "\n"
    )
    put(tmp_path, f"semeval2018/{prefix}test-gold.txt", rows)
    put(tmp_path, f"semeval2018/{prefix}dev.txt", rows)
    data = load_benchmark("semeval2018", tmp_path)
    assert data.split == "test" and data.texts[0] == 'so "sunny and warm & bright'
    assert data.targets.tolist() == [[0, 1, 0, 0, 1, 0, 1, 0, 0, 0, 0], [1] + [0] * 10]
    assert present_splits("semeval2018", tmp_path) == ["dev", "test"]


def test_semeval2018_damage(tmp_path):
    path = put(tmp_path, "semeval2018/E-c-En-test-gold.txt", SEMEVAL2018_HEADER + "1\ttext\tNONE" + "\t0" * 10)
    with pytest.raises(DamagedFile, match=r"line 2: column anger holds 'NONE'") as caught:
        load_benchmark("semeval2018", tmp_path)
    assert str(path) in str(caught.value)
    put(tmp_path, "semeval2018/E-c-En-test-gold.txt", "ID\tTweet\tanger\n")
    with pytest.raises(DamagedFile, match="line 1: the header"):
        load_benchmark("semeval2018", tmp_path)


def test_semeval2025_prefers_test_and_refuses_spreadsheet_damage(tmp_path):
    header = "id,text,anger,fear,joy,sadness,surprise\n"
    rows = '1,"well, then\nso",0,1,0,0,1\n2,ok,0,0,0,0,0\n'
    put(tmp_path, "semeval2025-eng/track_a_train_eng.csv", header + rows)
    data = load_benchmark("semeval2025-eng", tmp_path)
    assert (data.split, data.texts[0], data.targets.tolist()) == (
        "train",
        "well, then\nso",
        [[0, 1, 0, 0, 1], [0, 0, 0, 0, 0]],
    )
    put(tmp_path, "semeval2025-eng/track_a_test_eng.csv", header + "1,fine,0,0,1,0,0\n")
    assert load_benchmark("semeval2025-eng", tmp_path).split == "test"
    assert load_benchmark("semeval2025-eng", tmp_path, split="train").split == "train"
    put(tmp_path, "semeval2025-eng/track_a_test_eng.csv", header + '1,"a\nb",0,0,1,0,0\n2,#NAME?,0,0,1,0,0\n')
    with pytest.raises(DamagedFile, match=r"line 4: the text is '#NAME\?'"):
        load_benchmark("semeval2025-eng", tmp_path)


ISEAR_HEADER = "|".join(
    ["ID", "CITY", "COUN", "SUBJ"]
    + [f"C{i}" for i in range(32)]
    + ["Field1", "Field3", "Field2", "MYKEY", "SIT", "STATE", ""]
)


def isear_row(identifier, emotion, text):
    return "|".join([identifier, "1", "1", "1", *["0"] * 32, emotion, "4", "3", "11", f'"{text}"', "1", ""])


def test_isear_original(tmp_path):
    assert len(ISEAR_HEADER.split("|")) == 43
    rows = [
        isear_row("11001", "joy", 'When I got the \\"yes\\" from á\nthe school.'),
        isear_row("11001", "shame", "[ No response.]"),
        isear_row("11002", "guit", "I took | the last one á\r\nof my café."),
    ]
    put(tmp_path, "isear/isear.csv", "\n".join([ISEAR_HEADER, *rows, ""]), "latin-1")
    data = load_benchmark("isear", tmp_path)
    assert data.texts == ['When I got the "yes" from the school.', "I took | the last one of my café."]
    assert [data.spec.labels[i] for i in data.targets] == ["joy", "guilt"]


def test_isear_original_where_separators_and_quotes_went_astray(tmp_path):
    """What exceeds the header belongs to the answer, quoted or not; a backslash takes the next sign as it is."""
    first = isear_row("11001", "guilt", "").split('""')
    rows = [
        first[0] + 'I hid the á\nletter \\from home\\" (before á|moving) for weeks.' + first[1],
        first[0] + '"Two stray ones á|\nhere á|\nand a \\"quoted\\" one|kept."' + first[1].removesuffix("|"),
        isear_row("11003", "fear", 'It ended with a \\"bang\\"').removesuffix("|"),
        isear_row("11004", "anger", "Short."),
    ]
    put(tmp_path, "isear/isear.csv", "\r\n".join([ISEAR_HEADER, *rows, ""]), "latin-1")
    spec, read = BENCHMARKS["isear"]
    texts, targets, ids, count = read(tmp_path / "isear" / "isear.csv", spec, "test")
    assert texts == [
        'I hid the letter from home" (before moving) for weeks.',
        'Two stray ones here and a "quoted" one|kept.',
        'It ended with a "bang"',
        "Short.",
    ]
    assert [spec.labels[i] for i in targets] == ["guilt", "guilt", "fear", "anger"]
    assert count == 4 and ids == ["11001-2", "11001-4", "11003-7", "11004-8"]


@pytest.mark.parametrize("damage", ['11003|1|1|joy|"x"|1|', "x|y"])
def test_isear_damage_names_file_and_line(tmp_path, damage):
    path = put(tmp_path, "isear/isear.csv", "\n".join([ISEAR_HEADER, isear_row("1", "joy", "Fine."), damage, ""]))
    with pytest.raises(DamagedFile) as caught:
        load_benchmark("isear", tmp_path)
    assert f"{path}, line 3:" in str(caught.value)
    put(tmp_path, "isear/isear.csv", ISEAR_HEADER.replace("SIT", "TEXT") + "\n")
    with pytest.raises(DamagedFile, match="line 1: no column SIT"):
        load_benchmark("isear", tmp_path)


def test_a_reader_is_found_by_its_file():
    """Nothing but the module itself names a set: no list to keep."""
    folder = Path(readers.__file__).parent
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__", "records", "parsing", "equity"}
    assert {module.__name__.rpartition(".")[2] for module in readers.READERS.values()} == modules
    for name, module in readers.READERS.items():
        assert module.__doc__ and module.read.__doc__ and module.SPEC.name == name
        assert set(module.SPEC.evaluation_splits) <= set(module.SPEC.files)


def test_isear_cleaned(tmp_path):
    put(
        tmp_path,
        "isear/isear_clean.csv",
        'subject_id,key,emotion,text,bracketed,no_event\n1,11,joy,"We won, all of us.",0,0\n'
        "1,12,fear,[ Never.],1,0\n1,13,anger,nothing,False,True\n1,14,Disgust,Mould.,False,False\n",
    )
    data = load_benchmark("isear", tmp_path)
    assert data.texts == ["We won, all of us.", "Mould."]
    assert data.targets.tolist() == [0, 4]


def test_isear_unknown_emotion(tmp_path):
    put(tmp_path, "isear/isear.csv", "\n".join([ISEAR_HEADER, isear_row("1", "glee", "Something.")]))
    with pytest.raises(DamagedFile, match="line 2: unknown emotion 'glee'"):
        load_benchmark("isear", tmp_path)


def test_meld(tmp_path):
    header = "Sr No.,Utterance,Speaker,Emotion,Sentiment\n"
    rows = header + '1,"I\x92m fine, really.",A,neutral,neutral\n2,Oh!,B,surprise,positive\n'
    put(tmp_path, "meld/test_sent_emo.csv", rows, "latin-1")
    data = load_benchmark("meld", tmp_path)
    assert data.texts == ["I’m fine, really.", "Oh!"]
    assert [data.spec.labels[i] for i in data.targets] == ["neutral", "surprise"]


def test_dair(tmp_path):
    put(tmp_path, "dair-emotion/test.txt", "i feel low; very;sadness\ni feel warm;love\n")
    put(tmp_path, "dair-emotion/val.txt", "i feel fine;joy\n")
    data = load_benchmark("dair-emotion", tmp_path)
    assert data.texts == ["i feel low; very", "i feel warm"]
    assert data.targets.tolist() == [0, 2]
    put(tmp_path, "dair-emotion/test.txt", "i feel low sadness\n")
    with pytest.raises(DamagedFile, match="line 1: no semicolon"):
        load_benchmark("dair-emotion", tmp_path)


def test_empathetic_both_forms(tmp_path):
    put(tmp_path, "empathetic/test.csv", 'text,emotion\n"My dog, gone.",devastated\n')
    assert load_benchmark("empathetic", tmp_path).texts == ["My dog, gone."]
    put(
        tmp_path,
        "empathetic/test.csv",
        "conv_id,utterance_idx,context,prompt,speaker_idx,utterance,selfeval,tags\n"
        "c:1,1,proud,I ran_comma_ and won.,1,I ran today,5|5|5_2|2|5,\n"
        "c:1,2,proud,I ran_comma_ and won.,2,Nice!,5|5|5_2|2|5,,extra\n"
        "c:2,1,lonely,Nobody called.,3,Hm,4|4|4,\n",
    )
    data = load_benchmark("empathetic", tmp_path)
    assert data.texts == ["I ran, and won.", "Nobody called."]
    assert [data.spec.labels[i] for i in data.targets] == ["proud", "lonely"]
    assert len(data.spec.labels) == 32


def test_emobank_splits_of_one_file(tmp_path):
    put(
        tmp_path,
        "emobank/emobank.csv",
        'id,split,V,A,D,text\r\na,train,3.0,3.2,3.1,"Well, no."\r\n'
        "b,dev,4.5,3.0,3.0,Great!\r\nc,dev,1.5,4.0,2.0, \r\n",
    )
    data = load_benchmark("emobank", tmp_path)
    assert (data.split, data.texts, data.left_out) == ("dev", ["Great!"], 1)
    assert data.targets.tolist() == [[4.5, 3.0, 3.0]]
    assert present_splits("emobank", tmp_path) == ["train", "dev"]
    with pytest.raises(MissingBenchmark):
        load_benchmark("emobank", tmp_path, split="test")
    put(tmp_path, "emobank/emobank.csv", "id,split,V,A,D,text\na,dev,3.0,7.0,3.1,x\n")
    with pytest.raises(DamagedFile, match=r"line 2: column A holds 7\.0, outside 1 to 5"):
        load_benchmark("emobank", tmp_path)


def test_facebook_raters_are_averaged(tmp_path):
    put(
        tmp_path,
        "fb-va/dataset-fb-valence-arousal-anon.csv",
        'Anonymized Message,Valence1,Valence2,Arousal1,Arousal2\n"so, <NAME>!",8,7,5,8\n',
    )
    data = load_benchmark("fb-va", tmp_path)
    assert data.texts == ["so, <NAME>!"] and data.targets.tolist() == [[7.5, 6.5]]


def test_equity_corpus(tmp_path):
    assert read_equity_corpus(tmp_path) is None
    put(
        tmp_path,
        "eec/Equity-Evaluation-Corpus.csv",
        "ID,Sentence,Template,Person,Gender,Race,Emotion,Emotion word\n"
        "2018-En-1,Ann feels calm.,<person subject> feels <emotion word>.,Ann,female,European,joy,calm\n",
    )
    (sentence,) = read_equity_corpus(tmp_path)
    assert (sentence.sentence, sentence.gender, sentence.emotion_word) == ("Ann feels calm.", "female", "calm")


def test_wrong_row_counts_warn_and_limit_is_marked(tmp_path):
    put(tmp_path, "goemotions/test.tsv", "a\t27\tx\nb\t3\ty\n")
    with pytest.warns(UserWarning, match="2 rows in test, 5427 are published"):
        data = load_benchmark("goemotions", tmp_path, limit=1)
    assert data.limited and len(data) == 1


def test_absent_sets_say_what_to_download(tmp_path):
    for name, (spec, _) in BENCHMARKS.items():
        with pytest.raises(MissingBenchmark, match=spec.download.split()[0].rstrip(".,")[:20]):
            load_benchmark(name, tmp_path)
        assert spec.licence and spec.labels and spec.source


def test_unknown_names(tmp_path):
    with pytest.raises(ValueError, match="no benchmark 'goemotion'"):
        load_benchmark("goemotion", tmp_path)
    with pytest.raises(ValueError, match="no split 'gold'"):
        load_benchmark("goemotions", tmp_path, split="gold")


def test_bad_bytes_name_the_line(tmp_path):
    put(tmp_path, "goemotions/test.tsv", b"fine\t27\tid\nb\xffad\t27\tid\n")
    with pytest.raises(DamagedFile, match="line 2"):
        load_benchmark("goemotions", tmp_path)


def test_content_hash_changes_with_texts_and_targets(tmp_path):
    put(tmp_path, "goemotions/test.tsv", "a\t27\tx\n")
    first = load_benchmark("goemotions", tmp_path).content_hash()
    assert first == load_benchmark("goemotions", tmp_path).content_hash()
    put(tmp_path, "goemotions/test.tsv", "a\t26\tx\n")
    assert first != load_benchmark("goemotions", tmp_path).content_hash()


def test_hub_is_asked_for_the_documented_configuration(monkeypatch):
    calls = []

    class Table(dict):
        column_names = ("text", "labels", "id")

    def load_dataset(*args, **kwargs):
        calls.append((args, kwargs))
        return Table(text=["a", "b"], labels=[[27], [2, 3]], id=["x", "y"])

    monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
    data = load_from_hub("goemotions", split="dev")
    assert calls == [(("google-research-datasets/go_emotions", "simplified"), {"split": "validation"})]
    assert data.targets[1].nonzero()[0].tolist() == [2, 3]
    groups = load_from_hub("goemotions-ekman")
    assert [groups.spec.labels[i] for i in groups.targets] == ["neutral", "anger"]
    with pytest.raises(ValueError, match="does not serve"):
        load_from_hub("isear")
