"""Made-up rows, a lexicon and the tiny configuration that all tests of training share, and one finished run."""

import contextlib
from pathlib import Path

import pytest
import tiny
from quick_training import few_label_sets

from emodistill import cli

ROOT = Path(__file__).resolve().parents[2]
TINY = str(ROOT / "configs" / "tiny.yaml")


def flags_of(encoder_folder, rows_file, lexicon_file, output):
    flags = ["--text_encoder", str(encoder_folder), "--data", str(rows_file)]
    flags += ["--lexicon", str(lexicon_file)] if lexicon_file else []
    return [TINY, *flags, "--output_dir", str(output)]


@pytest.fixture(autouse=True)
def quick_decisions():
    """How decisions are chosen has tests of its own, and the runs that tests share choose them as users' do."""
    with few_label_sets():
        yield


@pytest.fixture
def arguments(encoder_folder, rows_file, lexicon_file, tmp_path):
    """`arguments(*more, output="run", lexicon=True)`: the command line of a run in the test's own folder."""

    def build(*extra, output="run", lexicon=True):
        chosen = lexicon_file if lexicon else None
        return [*flags_of(encoder_folder, rows_file, chosen, tmp_path / output), *extra]

    return build


@pytest.fixture(scope="session")
def train_once(encoder_folder, rows_file, lexicon_file, tmp_path_factory):
    """`train_once(*more)`: train in a folder of its own, for fixtures that several tests share; the folder."""

    def train(*extra):
        folder = tmp_path_factory.mktemp("shared") / "run"
        said = folder.parent / "output.txt"
        with open(said, "w", encoding="utf-8") as file, contextlib.redirect_stdout(file):
            assert cli.main(["train", *flags_of(encoder_folder, rows_file, lexicon_file, folder), *extra]) == 0
        said.rename(folder / "output.txt")
        return folder

    return train


@pytest.fixture(scope="session")
def finished_run(train_once):
    """The folder of a run of six epochs, enough to learn the made-up feelings; not to be changed."""
    return train_once("--epochs", "6")


@pytest.fixture(scope="session")
def feelings():
    """`dict[str, tuple[str]]`: label to the phrases that its rows are made of."""
    return tiny.FEELINGS
