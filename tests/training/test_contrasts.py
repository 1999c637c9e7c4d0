"""Groups of contrasts, and copies about somebody else."""

from types import SimpleNamespace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from emodistill.training.counterfactual import MODIFIERS, names_person, swap_person
from emodistill.training.data import (
    DescriptorBatches,
    DescriptorDataset,
    LabelVocabulary,
    LengthBucketSampler,
    with_copies,
)
from emodistill.training.distilling import Teachers
from emodistill.training.objective import Objective, copy_loss, group_loss
from emodistill.training.targets import Lexicon

ROWS = [
    {"text": "my dog was lost", "labels": ["sad"], "group": 7},
    {"text": "my dog was not lost", "labels": ["relief"], "group": 7},
    {"text": "a day", "labels": ["neutral"]},
    {"text": "my friend cried all day", "labels": ["sad"]},
]


@pytest.fixture
def dataset(tokenizer):
    return DescriptorDataset(with_copies(ROWS, 1.0), tokenizer, Lexicon({}, {}, set()), 24)


def test_units_keep_groups_and_copies_together(dataset):
    assert dataset.units() == [[0, 1], [2], [3, 4]]
    assert dataset.units(repeats=2) == [[0, 1], [0, 1], [2], [3, 4]]


def test_batches_name_groups_and_originals(dataset, tokenizer):
    collate = DescriptorBatches(LabelVocabulary(dataset.labels(), tokenizer, 12), tokenizer.pad_token_id)
    batch = collate([dataset[index] for index in (1, 4, 3, 0)])
    assert batch["groups"].tolist() == [0, -1, -1, 0]
    assert batch["originals"].tolist() == [-1, 2, -1, -1]
    alone = collate([dataset[4]])
    assert alone["originals"].tolist() == [-1]  # its original is in another batch


@given(st.lists(st.integers(1, 5), min_size=1, max_size=40), st.integers(1, 7), st.integers(1, 4), st.integers(0, 3))
def test_a_sampler_shows_every_text_of_every_unit_once(sizes, batch_size, pool, epoch):
    texts = iter(range(sum(sizes)))
    units = [[next(texts) for _ in range(size)] for size in sizes]
    lengths = [index % 9 for index in range(sum(sizes))]
    sampler = LengthBucketSampler(lengths, batch_size, seed=3, pool=pool, units=units)
    sampler.set_epoch(epoch)
    batches = list(sampler)
    assert sorted(index for batch in batches for index in batch) == list(range(sum(sizes)))
    assert len(batches) == len(sampler)
    assert all(len(batch) == batch_size for batch in batches[:-1])


def test_a_group_is_asked_for_its_own_labels_only():
    targets = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]])
    groups = torch.tensor([0, 0, -1])
    logits = torch.zeros(3, 4, requires_grad=True)
    loss = group_loss(logits, targets, groups)
    loss.backward()
    assert loss.item() == pytest.approx(torch.log(torch.tensor(2.0)).item())
    assert logits.grad[2].abs().sum() == 0 and logits.grad[:, 2:].abs().sum() == 0
    right = torch.tensor([[9.0, -9.0, 9.0, 9.0], [-9.0, 9.0, 9.0, 9.0], [0.0, 0.0, 0.0, 0.0]])
    assert group_loss(right, targets, groups).item() < 1e-6


def test_with_teachers_a_group_still_learns_from_its_own_descriptors():
    class Network:
        dimension_head = None

        def contrastive_loss(self, text_embeds, label_embeds, targets, mask):
            self.targets = targets
            return text_embeds @ label_embeds.T, text_embeds.sum() * 0.0

    network, wrong = Network(), Teachers(torch.tensor([[-9.0, 9.0], [9.0, -9.0]]), torch.eye(2), 0.0)
    objective = Objective(network, None, None, 0.0, wrong, group_weight=1.0)
    batch = {
        "label_ids": torch.arange(2),
        "targets": torch.eye(2),
        "rows": torch.arange(2),
        "groups": torch.tensor([3, 3]),
    }
    read_right, read_wrong = torch.tensor([[9.0, -9.0], [-9.0, 9.0]]), torch.tensor([[-9.0, 9.0], [9.0, -9.0]])
    losses = [
        objective(SimpleNamespace(text_embeds=texts, label_embeds=torch.eye(2)), batch).item()
        for texts in (read_right, read_wrong)
    ]
    assert losses[0] < 1e-6 and losses[1] > 10
    assert torch.allclose(network.targets, 1 - torch.eye(2), atol=1e-3)


@pytest.mark.parametrize("share", [0.25, 1.0])
def test_a_text_learns_from_its_own_descriptors_by_their_share(share):
    class Network:
        dimension_head = None

        def contrastive_loss(self, text_embeds, label_embeds, targets, mask):
            self.targets, self.mask = targets, mask
            return text_embeds @ label_embeds.T, text_embeds.sum() * 0.0

    # Teachers hold each label of each text half likely, and see all texts where the first axis points.
    network, unsure = Network(), Teachers(torch.tensor([[1.0, 0.0, 0.0]] * 2), torch.zeros(3, 3), 0.0)
    near = torch.eye(3, dtype=torch.bool)
    near[0, 1] = near[1, 0] = True
    objective = Objective(network, near, None, 0.0, unsure, embedding_weight=8.0, descriptors_share=share)
    batch = {
        "label_ids": torch.arange(3),
        "targets": torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0]]),  # the second is one that nobody read
        "rows": torch.arange(2),
    }
    away = torch.tensor([[0.0, 1.0, 0.0], [0.0, 1.0, 0.0]])
    loss = objective(SimpleNamespace(text_embeds=away, label_embeds=torch.eye(3)), batch)
    read = [0.5 + share / 2, 0.5, 0.5 - share / 2]  # of a near-synonym the teachers decide
    assert torch.allclose(network.targets, torch.tensor([read, [0.5] * 3])) and network.mask is None
    assert loss.item() == pytest.approx(8.0 * (1.0 - share + 1.0) / 2)


def test_a_group_that_agrees_and_a_batch_without_groups_cost_nothing():
    alike = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    assert group_loss(torch.randn(2, 2), alike, torch.tensor([0, 0])).item() == 0
    assert group_loss(torch.randn(2, 2), alike, torch.tensor([-1, -1])).item() == 0


def test_copies_should_lie_where_their_originals_do():
    embeds = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    assert copy_loss(embeds, torch.tensor([-1, -1, 0])).item() == 0
    assert copy_loss(embeds, torch.tensor([-1, 0, -1])).item() == 1
    assert copy_loss(embeds, torch.tensor([-1, -1, -1])).item() == 0


def test_the_mean_embedding_of_two_teachers():
    teachers = Teachers(torch.tensor([[2.0, 0.0, 0.0, 2.0]]), torch.ones(1, 4), 0.0, checkpoints=2)
    assert torch.allclose(teachers.embeds(torch.tensor([0])), torch.tensor([[0.5**0.5, 0.5**0.5]]))


@pytest.mark.parametrize(
    "text, copy",
    [
        ("He said that he was late.", "She said that she was late."),
        ("She told her it was her car.", None),
        ("[NAME] is late", None),
        ("nothing happened", "nothing"),
    ],
)
def test_copies_are_about_somebody_else(text, copy):
    found = swap_person(text)
    if copy == "nothing":
        assert found is None and not names_person(text)
    else:
        assert found != text and found == swap_person(text)
        assert copy is None or found == copy


def test_a_word_for_a_group_goes_before_a_person():
    copies = [swap_person(f"My friend lost {number} keys") for number in range(60)]
    words = [word for known in MODIFIERS.values() for word in known]
    assert all(any(f"My {word} friend" in copy for word in words) for copy in copies)
    assert len({copy.split(" friend")[0] for copy in copies}) > 15


def test_half_of_the_audits_words_are_kept_out_of_training():
    from emodistill.benchmarks.audit.templates import ATTRIBUTES

    trained = {word.lower() for words in MODIFIERS.values() for word in words}
    audited = {group.lower() for name in ("religion", "race and origin, terms", "age", "orientation", "disability")
               for group in ATTRIBUTES[name]}  # fmt: skip
    assert 0.4 <= len(audited & trained) / len(audited) <= 0.6


def test_texts_are_drawn_with_their_groups_whole():
    from emodistill.training.building import _drawn

    rows = [{"id": n, "group": n // 3 if n < 60 else None} for n in range(120)]
    drawn = _drawn(rows, 50, seed=3)
    assert 48 <= len(drawn) <= 50 and drawn == [row for row in rows if row in drawn]
    groups = [row["group"] for row in drawn if row["group"] is not None]
    assert groups and all(groups.count(group) == 3 for group in groups)
    assert _drawn(rows, 50, seed=3) == drawn != _drawn(rows, 50, seed=4)
    assert len(_drawn(rows[60:], 7, seed=3)) == 7  # exact where nothing belongs together
