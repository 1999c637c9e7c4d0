"""Descriptor data sets: the one in the repository, and one's own as `emodistill annotate` writes it."""

import json
import shutil
from pathlib import Path

import fake_hub
import pyarrow
import pyarrow.parquet
import pytest
from huggingface_hub import DatasetCard

import emodistill
from emodistill import cli
from emodistill.hub.dataset import check_dataset

REPO = f"{fake_hub.OWNER}/descriptors"
DATA = Path(emodistill.__file__).resolve().parent / "data" / "descriptors"
ROWS = [
    {"id": "1", "source": "mine", "text": "I won!", "labels": ["joy", "pride"], "status": "ok"},
    {"id": "2", "source": "mine", "text": "see /home/me/x", "labels": ["neutral"], "status": "ok"},
    {"id": "3", "source": "mine", "text": "…", "labels": [], "status": "refused"},
]


@pytest.fixture
def annotated(tmp_path):
    path = tmp_path / "moods.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS), encoding="utf-8")
    return path


def test_ones_own_set_gets_a_card(annotated, hub, api, capsys):
    assert cli.main(["push-data", str(annotated), "--repo-id", REPO, "--licence", "cc-by-4.0", "--private"]) == 0
    assert f"created the dataset repository {REPO}" in capsys.readouterr().out
    files = hub.files(REPO, "dataset")
    assert files["train.jsonl"] == annotated.read_bytes() and hub.repos["dataset", REPO].private
    card = DatasetCard(files["README.md"].decode())
    assert card.data.license == "cc-by-4.0" and "# moods" in card.text and "| refused | 1 |" in card.text


def test_the_repositorys_set_is_taken_as_it_is(tmp_path, hub, api):
    folder = tmp_path / "descriptors"
    others = ("default", "goemotions", "closed28", "rated", "unread")
    shutil.copytree(DATA, folder, ignore=shutil.ignore_patterns(*others))
    card = (folder / "README.md").read_text(encoding="utf-8")
    lexicon = card[card.index("- config_name: lexicon") : card.index("- config_name: unread")]
    kept = card[: card.index("configs:")] + lexicon + card[card.index("---\n\n# ") :]
    (folder / "README.md").write_text(kept.replace("- config_name: lexicon", "configs:\n- config_name: lexicon"))
    assert cli.main(["push-data", str(folder), "--repo-id", REPO]) == 0
    files = hub.files(REPO, "dataset")
    assert files["lexicon/train.parquet"] == (DATA / "lexicon" / "train.parquet").read_bytes()
    uploads = [path for method, path in hub.requests if method == "PUT"]
    assert len(uploads) == 2  # parquet takes the way of large files


def test_the_committed_set_is_in_order(capsys):
    assert cli.main(["push-data", str(DATA), "--repo-id", REPO, "--dry-run"]) == 0
    out = capsys.readouterr().out
    assert "default/train.parquet" in out and "nothing was sent" in out


@pytest.mark.slow
def test_a_pushed_set_loads_with_the_datasets_library(annotated, hub, api, run):
    """From a repository that held another one, too."""
    others = {"data/train-00000.jsonl": (b'{"other": 1}\n', False), "train.csv": (b"a,b\n1,2\n", False)}
    hub.repos["dataset", REPO] = fake_hub.Repository()
    hub.repos["dataset", REPO].commit("main", others, "theirs")
    assert cli.main(["push-data", str(annotated), "--repo-id", REPO]) == 0
    code = "import datasets, sys; print(datasets.load_dataset(sys.argv[1])['train'].to_list())"
    done = run("-c", code, REPO)
    assert done.returncode == 0, done.stderr
    assert "'I won!'" in done.stdout and "'pride'" in done.stdout and "other" not in done.stdout


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: (f / "lexicon" / "train.parquet").unlink(), "README.md names lexicon/train.parquet"),
        (lambda f: (f / "rows.pkl").write_bytes(b"x"), "rows.pkl is a pickle"),
        (lambda f: (f / "README.md").write_text("---\nlicense: [\n---\n"), "metadata are not valid"),
        (lambda f: (f / "notes.md").write_text("hf_" + "Ab3" * 12), "notes.md holds what looks like an access token"),
    ],
)
def test_what_is_not_in_order_is_not_sent(change, message, tmp_path, hub, api, capsys):
    folder = shutil.copytree(DATA, tmp_path / "descriptors")
    change(folder)
    assert cli.main(["push-data", str(folder), "--repo-id", REPO]) == 1
    assert message in capsys.readouterr().err and hub.requests == []


def test_failures_exit_1(annotated, hub, api, capsys):
    hub.fault("POST", "/commit/", 412)
    assert cli.main(["push-data", str(annotated), "--repo-id", REPO]) == 1
    err = capsys.readouterr().err
    assert "emodistill push-data: nothing was published" in err and err.count("\n") == 1


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (None, None, "neither a folder nor a file"),
        ("folder", None, "has no README.md"),
        ("rows.jsonl", '{"text": "a"}\n', "no 'labels'"),
    ],
)
def test_a_mistake_is_one_sentence(name, content, message, tmp_path, capsys):
    path = tmp_path / (name or "nowhere")
    if content is not None:
        path.write_text(content)
    elif name:
        path.mkdir()
    assert cli.main(["push-data", str(path), "--repo-id", REPO]) == 2
    err = capsys.readouterr().err
    assert message in err and err.count("\n") == 1


def described(folder, metadata, source="positive_frames_tweets"):
    """A small data set with one configuration of each kind, and a card with these metadata."""
    for config in ("default", "unread"):
        (folder / config).mkdir(parents=True)
        rows = {"text": ["so it goes"], "source": [source]}
        pyarrow.parquet.write_table(pyarrow.table(rows), folder / config / "train.parquet")
    (folder / "README.md").write_text(f"---\n{metadata}\n---\n# texts\n")
    return folder


BOTH = "configs:\n- config_name: default\n  data_files: default/*.parquet\n- config_name: unread\n"
BOTH += "  data_files:\n  - split: train\n    path: unread/train.parquet"


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        (f"license: cc-by-sa-4.0\n{BOTH}", None),
        (f"license:\n- cc-by-4.0\n- cc-by-sa-4.0\n{BOTH}", None),
        (f"license: other\n{BOTH}", None),
        (
            f"license: cc-by-4.0\n{BOTH}",
            "keep it, and license is cc-by-4.0: add cc-by-sa-4.0",
        ),
        (BOTH, "license is not given"),
        ("license: 2020-01-01\nconfigs:\n- config_name: a\n  data_files: 7", "README.md names 7 (configuration a)"),
        (
            f"license: cc-by-sa-4.0\n{BOTH.split('- config_name: unread')[0]}",
            "unread/train.parquet is in no configuration",
        ),
        (f"license: cc-by-sa-4.0\n{BOTH.replace('unread/train', 'unread/test')}", "names unread/test.parquet"),
        ("license: cc-by-sa-4.0\nconfigs: 3", None),
        (
            "license: cc-by-sa-4.0\nconfigs:\n- 3\n- data_files: [[default/train.parquet]]",
            "unread/train.parquet is in no",
        ),
    ],
)
def test_configurations_and_share_alike_licences(metadata, message, tmp_path):
    problems = check_dataset(described(tmp_path / "data", metadata))
    assert (not problems) if message is None else any(message in problem for problem in problems), problems


def test_texts_without_share_alike_are_free(tmp_path):
    assert check_dataset(described(tmp_path / "data", f"license: mit\n{BOTH}", "sad_stressors")) == []


def test_rows_of_ones_own_are_looked_at_too(tmp_path, capsys):
    path = tmp_path / "rows.jsonl"
    path.write_text("".join(json.dumps(row | {"source": "positive_frames_tweets"}) + "\n" for row in ROWS[:1]))
    assert cli.main(["push-data", str(path), "--repo-id", REPO, "--licence", "mit", "--dry-run"]) == 1
    assert "keep it, and license is mit" in capsys.readouterr().err
