"""What the label tower said is kept until weights change, and shared by threads, copies and pickles."""

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from made_up import close
from transformers import pipeline

LABELS = ["joy", "anger", "relief", "fear"]
TEXTS = ["my dog is lost", "we laughed all day, so happy", "i", "the train was late and it rained " * 8, "joy."]


@pytest.fixture
def counted(classify):
    """The pipeline and a list that grows with every call of its label tower."""
    calls = []
    classify.model.label_encoder.register_forward_hook(lambda *_: calls.append(1))
    return classify, calls


def test_one_label_tower_call_for_a_thousand_texts(counted):
    classify, calls = counted
    assert len(classify([f"text {n}" for n in range(600)], labels=LABELS, batch_size=8)) == 600
    assert len(list(classify((f"text {n}" for n in range(300)), labels=LABELS, batch_size=32))) == 300
    for number in range(100):
        classify(f"text {number}", labels=LABELS)
    assert len(calls) == 1
    classify("joy", labels=LABELS[::-1])
    assert len(calls) == 2  # another set
    classify("joy", labels=LABELS)
    assert len(calls) == 2


def optimizer_step(model):
    optimizer = torch.optim.AdamW(model.label_projection.parameters(), lr=0.1)
    model.label_projection.weight.sum().backward()
    optimizer.step()


def foreign_weights(model):
    state = {name: value.clone() for name, value in model.state_dict().items()}
    state["label_encoder.encoder.layer.0.output.dense.weight"] += 1.0
    model.load_state_dict(state)


def same_weights_elsewhere(model):
    model.label_projection.weight = torch.nn.Parameter(model.label_projection.weight.detach() + 0.1)


CHANGES = {
    "optimizer step": optimizer_step,
    "load_state_dict": foreign_weights,
    "no_grad edit": lambda model: torch.nn.init.ones_(model.label_encoder.encoder.layer[0].attention.self.query.bias),
    ".data edit": lambda model: model.label_projection.weight.data.add_(0.1),
    ".data edit of one value": lambda model: model.label_projection.weight.data[3, 5].add_(0.5),
    ".data edit of a row": lambda model: model.label_encoder.embeddings.word_embeddings.weight.data[7].add_(0.5),
    ".data swap": lambda m: setattr(m.label_projection.weight, "data", m.label_projection.weight.data + 0.1),
    "new parameter": same_weights_elsewhere,
    "dtype": lambda model: model.to(torch.bfloat16),
}


@pytest.mark.parametrize("change", CHANGES)
def test_one_more_call_after_each_change_of_weights(counted, change):
    classify, calls = counted
    before = classify(TEXTS, labels=LABELS)
    classify(TEXTS, labels=LABELS)
    assert len(calls) == 1
    CHANGES[change](classify.model)
    after = classify(TEXTS, labels=LABELS)
    classify(TEXTS, labels=LABELS)
    assert len(calls) == 2
    assert before != after


def test_large_matrices_are_watched_row_by_row(tiny_model, tokenizer, monkeypatch):
    monkeypatch.setattr("emodistill.watching_emodistill.SMALL_TENSOR", 0)
    classify = pipeline("zero-shot-emotion", model=tiny_model(), tokenizer=tokenizer, device="cpu", labels=LABELS)
    calls = []
    classify.model.label_encoder.register_forward_hook(lambda *_: calls.append(1))
    classify("joy")
    matrix = classify.model.label_encoder.embeddings.word_embeddings.weight
    for row in (0, 1, 31, 32, 33, len(matrix) - 2):
        before = len(calls)
        matrix.data[row].add_(0.25)
        classify("joy")
        classify("joy")
        assert len(calls) == before + 1, row


def test_a_change_of_the_text_tower_keeps_the_labels(counted):
    classify, calls = counted
    before = classify("joy", labels=LABELS)
    classify.model.text_projection.weight.data.add_(torch.randn_like(classify.model.text_projection.weight))
    assert classify("joy", labels=LABELS)["scores"] != before["scores"] and len(calls) == 1


def test_the_cache_is_bounded(classify):
    for number in range(80):
        classify("joy", labels=["joy", f"label {number}"])
    assert len(classify._label_cache) <= 64


def test_threads_share_one_pipeline(counted):
    classify, calls = counted
    expected = [classify(text, labels=LABELS) for text in TEXTS]
    calls.clear()
    classify.model.label_projection.weight.data.mul_(1.0)
    fresh = [*LABELS, "love"]

    def work(number):
        index = number % len(TEXTS)
        classify(TEXTS[index], labels=[*LABELS, f"rare {number}"])
        classify(TEXTS[index], labels=fresh)
        return close(classify(TEXTS[index], labels=LABELS), expected[index])

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(100)))
    assert len(calls) <= 101 + 100 // 60 * 2  # each rare set once, the common ones only when they had been pushed out


def test_copies_and_pickles_work(classify):
    expected = classify(TEXTS[0], labels=LABELS)
    for other in (copy.copy(classify), copy.deepcopy(classify), pickle.loads(pickle.dumps(classify))):
        assert other(TEXTS[0], labels=LABELS) == expected
    changed = copy.deepcopy(classify)
    changed.model.label_projection.weight.data.mul_(torch.linspace(-1, 1, 32))
    assert changed(TEXTS[0], labels=LABELS)["scores"] != expected["scores"]
    assert classify(TEXTS[0], labels=LABELS) == expected


def test_a_model_in_training_is_scored_without_dropout(classify):
    expected = classify(TEXTS[0], labels=LABELS)
    classify.model.train()
    assert classify(TEXTS[0], labels=LABELS) == expected
    assert close(classify(TEXTS[0], labels=LABELS[::-1]), expected)
    assert classify.model.training and classify.model.text_encoder.training  # and training goes on
