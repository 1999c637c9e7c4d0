"""The lexicon, read and written in one place."""

import pytest

from emodistill.descriptors.lexicon import COLUMNS, load_lexicon, read_lexicon, write_lexicon

HEADER = "\t".join(COLUMNS) + "\n"
JOY = {"valence": 8.7, "arousal": 6.5, "dominance": 7.0, "implies": ["happiness", "delight"]}


def test_a_lexicon_survives_writing(tmp_path):
    lexicon = {"joy": JOY, "awe": JOY | {"implies": []}}
    write_lexicon(tmp_path / "l.tsv", lexicon)
    assert read_lexicon(tmp_path / "l.tsv") == lexicon
    assert (
        tmp_path / "l.tsv"
    ).read_text() == HEADER + "awe\t8.7\t6.5\t7.0\t\njoy\t8.7\t6.5\t7.0\thappiness, delight\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("l.tsv", HEADER + "Joy \t8.7\t6.5\t7\thappiness,  Delight,happiness\n"),
        ("lexicon", HEADER + "joy\t8.7\t6.5\t7\thappiness, delight\n"),
        ("l.txt", "\ufeff" + HEADER + "joy\t8.7\t6.5\t7\thappiness, delight\r\n"),
        ("l.csv", ",".join(COLUMNS) + '\njoy,8.7,6.5,7,"happiness, delight"\n'),
        ("l.csv", ";".join(COLUMNS) + "\njoy;8.7;6.5;7;happiness, delight\n"),
        (
            "l.jsonl",
            '{"descriptor": "joy", "implies": ["happiness", "delight"], "valence": 8.7, "arousal": 6.5, '
            '"dominance": 7}'
            '\n{"descriptor": "awe", "implies": [], "valence": null, "arousal": null, "dominance": null}\n',
        ),
    ],
)
def test_ways_to_write_it(tmp_path, name, content):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    assert read_lexicon(path) == {"joy": JOY}
    assert load_lexicon(path) == ({"joy": JOY}, set())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a\tb\n", "no descriptor stands in it"),
        ("a\tb\nc\td\n", "line 2: no column 'descriptor'"),
        (HEADER + "joy\t9\t7\n", "line 2: 3 fields where 5"),
        (HEADER + "joy\t9\t7\t10\t\n", "line 2: dominance must be a number from 1 to 9, not '10'"),
        (HEADER + "joy\t9\tmuch\t7\t\n", "line 2: arousal must be a number from 1 to 9, not 'much'"),
        (HEADER + "joy\t9\tnan\t7\t\n", "line 2: arousal must be"),
        (HEADER + " \t9\t7\t7\tx\n", "line 2: there is no descriptor"),
        (HEADER + "joy\t9\t7\t7\t\nJoy\t9\t7\t7\t\n", "line 3: 'joy' stands there twice"),
        ("", "empty"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, content, said):
    path = tmp_path / "l.tsv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ValueError) as error:
        read_lexicon(path)
    assert said in str(error.value) and str(path) in str(error.value) and "\n" not in str(error.value)
