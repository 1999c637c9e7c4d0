"""A tiny pipeline that tests of scoring share: it is only read."""

import pytest
from transformers import AutoTokenizer, pipeline

from emodistill import EmoDistillModel
from emodistill.serving.columns import Layout
from emodistill.serving.engine import TextScorer
from emodistill.serving.folder import RunFolder
from emodistill.serving.rows import Row
from emodistill.serving.run import ScoringRun

TEXTS = ["i am so happy", "she was sad and cried", "i am so happy", "my dog", "", "we lost the late train " * 20]
LABELS = ["joy", "anger", "fear"]


@pytest.fixture(scope="session")
def shared_classify(checkpoint):
    """A pipeline on the tiny checkpoint, shared."""
    return pipeline(
        "zero-shot-emotion", model=EmoDistillModel.from_pretrained(checkpoint),
        tokenizer=AutoTokenizer.from_pretrained(checkpoint), device="cpu",
    )  # fmt: skip


@pytest.fixture(scope="session")
def scorer(shared_classify):
    """Scores against three labels and all dimensions."""
    return TextScorer(shared_classify, LABELS, multi_label=True, dimensions=True, batch_size=4)


@pytest.fixture
def score_rows(scorer, tmp_path):
    """`score_rows(rows, folder=..., kind="jsonl", **options)`: a run, and its folder."""

    def run(rows, folder=tmp_path / "scored", kind="jsonl", scorer=scorer, layout=None, description=None, **options):
        layout = layout or Layout(tuple(scorer.names), False, False, tuple(scorer.dimensions))
        run_folder = RunFolder(folder, kind)
        run_folder.agree(description or {})
        outcome = ScoringRun(run_folder, scorer, layout, quiet=True, **options)(rows)
        return outcome, run_folder

    return run


@pytest.fixture
def rows():
    """Some rows: duplicates, a blank one, a long one, one without text."""
    return [Row(number, text) for number, text in enumerate(TEXTS)] + [Row(len(TEXTS), None, "there is no text")]
