"""Made-up rows, a lexicon and the tiny configuration that all tests of training share."""

import json
import random
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TINY = str(ROOT / "configs" / "tiny.yaml")
FEELINGS = {
    "joy": ("i laughed so", "my birthday was sunny", "happy happy day"),
    "anger": ("he was late and so angry", "the dog was angry", "rage rage"),
    "sadness": ("she cried all day", "my cat lost the train", "so sad in the rain"),
    "calm": ("the sun and the sun", "a calm day", "it was calm"),
}


@pytest.fixture(scope="session")
def rows_file(tmp_path_factory):
    """240 made-up rows in the format that `emodistill annotate` writes."""
    chooser = random.Random(3)
    path = tmp_path_factory.mktemp("rows") / "rows.jsonl"
    with open(path, "w", encoding="utf-8") as file:
        for number in range(240):
            label = chooser.choice(sorted(FEELINGS))
            text = f"{chooser.choice(FEELINGS[label])} {'abc'[number % 3]} {number}"
            labels = [label, *chooser.sample(["delight", "fear", "relief"], k=number % 3)]
            row = {"id": str(number), "source": "made up", "text": text, "labels": labels, "status": "ok"}
            file.write(json.dumps(row) + "\n")
        file.write(json.dumps({"id": "x", "text": "refused", "labels": [], "status": "refused"}) + "\n")
    return path


@pytest.fixture(scope="session")
def lexicon_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("lexicon") / "lexicon.tsv"
    rows = [
        "descriptor\tvalence\tarousal\tdominance\timplies",
        "joy\t8.5\t7.0\t6.5\thappy, delight",
        "anger\t2.0\t7.5\t6.0\trage",
        "sadness\t2.0\t3.0\t3.0\tsad",
        "calm\t7.0\t1.5\t6.0\t",
    ]
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def arguments(encoder_folder, rows_file, lexicon_file, tmp_path):
    def build(*extra, output="run", lexicon=True):
        flags = ["--text_encoder", str(encoder_folder), "--data", str(rows_file)]
        flags += ["--lexicon", str(lexicon_file)] if lexicon else []
        return [TINY, *flags, "--output_dir", str(tmp_path / output), *extra]

    return build


@pytest.fixture(scope="session")
def feelings():
    """`dict[str, tuple[str]]`: label to the phrases that its rows are made of."""
    return FEELINGS
