import math
import os
from types import SimpleNamespace

import forkserver
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from emodistill.loss_emodistill import gather_labels, logit_of_rate, multi_positive_sigmoid_loss


def softplus(x):
    return math.log1p(math.exp(x))


def test_hand_computed_values():
    logits = torch.tensor([[2.0, -1.0], [0.5, 3.0]])
    targets = torch.tensor([[1.0, 0.0], [1.0, 1.0]])
    # -log sigmoid(x) = softplus(-x) for a positive, softplus(x) for a negative; summed over labels, mean of texts
    expected = ((softplus(-2.0) + softplus(-1.0)) + (softplus(-0.5) + softplus(-3.0))) / 2
    assert multi_positive_sigmoid_loss(logits, targets).item() == pytest.approx(expected, rel=1e-6)


def test_soft_targets_lie_between():
    logit, target = 1.5, 0.35
    expected = target * softplus(-logit) + (1 - target) * softplus(logit)
    loss = multi_positive_sigmoid_loss(torch.tensor([[logit]]), torch.tensor([[target]]))
    assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_a_masked_pair_counts_for_nothing():
    logits = torch.tensor([[2.0, 9.0], [-1.0, 0.0]], requires_grad=True)
    targets = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    mask = torch.tensor([[True, False], [True, True]])
    loss = multi_positive_sigmoid_loss(logits, targets, mask)
    assert loss.item() == pytest.approx((softplus(-2.0) + softplus(-1.0) + softplus(0.0)) / 2, rel=1e-6)
    loss.backward()
    assert logits.grad[0, 1] == 0 and (logits.grad != 0).sum() == 3


def test_sum_over_labels_and_mean_over_texts():
    logits, targets = torch.randn(4, 6), torch.rand(4, 6)
    loss = multi_positive_sigmoid_loss(logits, targets)
    twice_the_labels = multi_positive_sigmoid_loss(logits.repeat(1, 2), targets.repeat(1, 2))
    twice_the_texts = multi_positive_sigmoid_loss(logits.repeat(2, 1), targets.repeat(2, 1))
    torch.testing.assert_close(twice_the_labels, 2 * loss)
    torch.testing.assert_close(twice_the_texts, loss)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_fp32_whatever_the_logits_are(dtype):
    logits, targets = torch.randn(64, 300).to(dtype), torch.rand(64, 300).to(dtype)
    loss = multi_positive_sigmoid_loss(logits, targets)
    assert loss.dtype == torch.float32
    torch.testing.assert_close(loss, multi_positive_sigmoid_loss(logits.float(), targets.float()))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert multi_positive_sigmoid_loss(logits, targets) == loss


def test_extreme_logits_stay_finite():
    loss = multi_positive_sigmoid_loss(torch.tensor([[1e4, -1e4]]), torch.tensor([[0.0, 1.0]]))
    assert loss.item() == pytest.approx(2e4)


@given(st.floats(min_value=1e-9, max_value=1 - 1e-9))
@settings(deadline=None)
def test_logit_of_rate_is_the_inverse_of_the_sigmoid(rate):
    assert 1 / (1 + math.exp(-logit_of_rate(rate))) == pytest.approx(rate, rel=1e-6)


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, 1.1, float("nan")])
def test_logit_of_rate_refuses_other_numbers(rate):
    with pytest.raises(ValueError, match="rate must lie strictly between 0 and 1"):
        logit_of_rate(rate)


def test_the_bias_at_the_logit_of_the_rate_is_best_before_training():
    targets = (torch.rand(200, 50) < 0.03).float()
    rate = targets.mean().item()

    def loss(bias):
        return multi_positive_sigmoid_loss(torch.full_like(targets, bias), targets).item()

    best = logit_of_rate(rate)
    assert loss(best) < min(loss(best - 0.2), loss(best + 0.2), loss(0.0))


@given(st.lists(st.integers(min_value=0, max_value=50), unique=True, min_size=1))
@settings(deadline=None)
def test_one_process_only_sorts(ids):
    embeds = torch.tensor(ids, dtype=torch.float32)[:, None].repeat(1, 3)
    gathered, rows = gather_labels(torch.tensor(ids), embeds)
    assert gathered.tolist() == sorted(ids)
    assert rows[:, 0].tolist() == sorted(ids)


# The same step on one process and on two. Rank 0 holds three texts and labels {0, 1, 3, 4}; rank 1 one text and
# labels {1, 2}: unequal numbers of both, and label 1 on both ranks, positive for texts of both.
TEXTS = torch.tensor([[2, 5, 6, 3], [2, 7, 8, 3], [2, 9, 3, 0], [2, 12, 11, 3]])
LABELS = torch.tensor([[2, 20, 3], [2, 21, 3], [2, 22, 3], [2, 23, 3], [2, 24, 3]])
TARGETS = torch.tensor(
    [[1.0, 0.0, 0.0, 0.35, 0.0], [0.0, 1.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 1.0], [0.0, 1.0, 1.0, 0.0, 0.0]]
)
SHARES = ((slice(0, 3), [4, 0, 3, 1]), (slice(3, 4), [1, 2]))  # texts and label ids of each rank
SYNONYMS = torch.eye(5, dtype=torch.bool)
SYNONYMS[0, 2] = SYNONYMS[2, 0] = True  # text 0 neither wants nor refuses label 2, which only rank 1 holds


def build(frozen):
    from emodistill import EmoDistillConfig, EmoDistillModel

    torch.manual_seed(0)
    encoder = {
        "model_type": "bert", "vocab_size": 30, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 24, "max_position_embeddings": 16, "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    }  # fmt: skip
    config = EmoDistillConfig(
        encoder, projection_dim=12, num_qformer_heads=2, num_queries=2, qformer_dropout=0.0,
        freeze_label_encoder=frozen, tie_word_embeddings=not frozen, dimension_names=[],
    )  # fmt: skip
    model = EmoDistillModel(config)
    if frozen:
        model.freeze_label_encoder()
    with torch.no_grad():
        model.qformer.output.weight.normal_()
    return model.train()


def backward(model, network, texts, ids, share_of_texts=lambda texts: 1.0):
    """One backward pass through the trainer's own objective; returns its loss."""
    from emodistill.training.objective import Objective

    ids = torch.tensor(ids)
    inputs = TEXTS[texts]
    output = model(input_ids=inputs, attention_mask=inputs.ne(0), label_input_ids=LABELS[ids])
    batch = {"label_ids": ids, "targets": TARGETS[texts]}
    loss = Objective(network, SYNONYMS, None, 0.0)(output, batch)
    (loss * share_of_texts(len(inputs))).backward()
    return loss.item()


def gradients(network):
    return {name: parameter.grad for name, parameter in network.named_parameters() if parameter.grad is not None}


def leave_gradients(folder):
    """What each of the two processes runs, with the trainer's own weighting of unequal batches."""
    import torch.distributed as dist
    from torch.nn.parallel import DistributedDataParallel

    from emodistill.train_accelerate import Trainer

    dist.init_process_group("gloo")
    rank = dist.get_rank()

    def total(tensor):
        dist.all_reduce(tensor)
        return tensor

    accelerator = SimpleNamespace(num_processes=2, device="cpu", reduce=total)
    trainer = SimpleNamespace(accelerator=accelerator)
    texts, ids = SHARES[rank]
    seen, rows = gather_labels(torch.tensor(ids), torch.tensor(ids, dtype=torch.float32)[:, None])
    results = {"ids": seen, "rows": rows}
    for frozen in (True, False):
        network = build(frozen)
        model = DistributedDataParallel(network)
        backward(model, network, texts, ids, lambda count: Trainer._share_of_texts(trainer, count))
        results[frozen] = gradients(network)
    torch.save(results, os.path.join(folder, f"{rank}.pt"))
    dist.barrier()
    dist.destroy_process_group()


@pytest.mark.slow
def test_gradients_of_two_processes_and_of_one_agree(tmp_path):
    target = f"{__file__}:leave_gradients"
    ranks = forkserver.group(str(tmp_path), 2, env={"GLOO_SOCKET_IFNAME": "lo"}, target=target)
    for rank in ranks:
        assert rank.wait(timeout=300) == 0, rank.stderr
    results = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    for frozen in (True, False):
        network = build(frozen)
        backward(network, network, slice(0, 4), [0, 1, 2, 3, 4])
        expected = gradients(network)
        assert expected["label_projection.weight"].abs().max() > 1e-3  # there is something to compare
        for result in results:
            assert result["ids"].tolist() == [0, 1, 2, 3, 4]  # every process's labels, each once, alike everywhere
            assert result["rows"].flatten().tolist() == [0, 1, 2, 3, 4]
            assert result[frozen].keys() == expected.keys()
            for name, gradient in expected.items():
                torch.testing.assert_close(result[frozen][name], gradient, atol=1e-6, rtol=1e-4, msg=name)
