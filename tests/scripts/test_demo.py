import runpy
from pathlib import Path

import pytest
from transformers import AutoConfig, AutoTokenizer, pipeline

import emodistill
from emodistill import EmoDistillModel


@pytest.fixture(scope="module")
def demo():
    return runpy.run_path(str(Path(emodistill.__file__).parent / "scripts" / "demo.py"))


def test_forty_sentences_of_the_demos_own_labels(demo):
    sentences = demo["SENTENCES"]
    assert len(sentences) == len({text for text, _ in sentences}) == 40
    assert {label for _, label in sentences} <= set(demo["LABELS"])


@pytest.mark.slow
def test_the_default_checkpoint_gets_four_of_five_right(demo, default_checkpoint, capsys):
    results, right = demo["right_answers"](pipeline("zero-shot-emotion", device="cpu"))
    assert len(results) == 40 and right >= 32, right
    assert demo["main"](["--model", default_checkpoint]) == 0
    assert f"{right} of 40 as expected" in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_random_weights_do_not(demo, default_checkpoint, seed):
    import torch

    torch.manual_seed(seed)
    model = EmoDistillModel(AutoConfig.from_pretrained(default_checkpoint)).eval()
    tokenizer = AutoTokenizer.from_pretrained(default_checkpoint)
    _, right = demo["right_answers"](pipeline("zero-shot-emotion", model=model, tokenizer=tokenizer, device="cpu"))
    assert right < 16, right
