"""What is fitted after training: the dimension head, the reference vocabulary, the texts that they are fitted on."""

import pytest
import torch

from emodistill.training import finishing
from emodistill.training.data import even_rows, reference_words
from emodistill.training.finishing import fit_reference, refit_dimensions


def test_dimensions_are_fitted_again_to_mixed_embeddings(tiny_model):
    model = tiny_model()
    generator = torch.Generator().manual_seed(2)
    embeds = torch.nn.functional.normalize(torch.randn(300, 24, generator=generator), dim=-1)
    ratings = 5 + embeds[:, :3] * 4
    ratings[0] = float("nan")  # a text whose descriptors the lexicon does not know
    sources = ["reddit", "subtitles", "written"] * 100
    refit_dimensions(model, embeds, ratings, sources)
    predicted = model.get_dimensions(embeds[1:])
    for column in range(3):
        assert torch.corrcoef(torch.stack([predicted[:, column], ratings[1:, column]]))[0, 1] > 0.99


def test_what_tells_sources_apart_is_not_taken_for_a_rating(tiny_model):
    """Films are rated higher throughout, and have a style; within each source one direction gives the rating."""
    generator = torch.Generator().manual_seed(3)
    embeds = 0.1 * torch.randn(400, 24, generator=generator)
    ratings = 5 + 10 * embeds[:, :1].repeat(1, 3)
    films = torch.arange(400) % 2 == 0
    embeds[films, 1] += 1.0
    ratings[films] += 2.0
    model = tiny_model()
    refit_dimensions(model, embeds, ratings, ["films" if film else "reddit" for film in films.tolist()])
    weight, predicted = model.dimension_head.weight[0], model.get_dimensions(embeds).detach()
    assert weight[0] > 0.8 * 10 / 4 and weight[1].abs() < 0.1
    assert predicted.mean(dim=0) == pytest.approx(ratings.mean(dim=0), abs=1e-3)


def test_the_penalty_is_the_one_that_carries_over_to_other_sources(tiny_model, monkeypatch):
    """Within each source one direction gives the rating away, but it is another one in each: do not lean on it."""
    generator = torch.Generator().manual_seed(4)
    embeds = 0.1 * torch.randn(900, 24, generator=generator)
    sources = [str(number % 3) for number in range(900)]
    ratings = 5 + 10 * embeds[:, :1].repeat(1, 3) + 3 * torch.randn(900, 3, generator=generator)
    chosen = []
    for shortcut in (0.0, 2.0):
        shifted = embeds.clone()
        for number in range(900):
            shifted[number, 1 + number % 3] += shortcut * (ratings[number, 0] - 5) / 10
        model = tiny_model()
        refit_dimensions(model, shifted, ratings, sources)
        chosen.append(model.dimension_head.weight[0, 1:4].abs().sum().item())
    assert all(value < 10 for value in chosen) and chosen[0] != chosen[1]
    monkeypatch.setattr(finishing, "PENALTIES", finishing.PENALTIES[:1])
    refit_dimensions(model, shifted, ratings, sources)  # with the least penalty alone: all the weight it may have
    assert chosen[1] < 0.9 * model.dimension_head.weight[0, 1:4].abs().sum().item()


def test_a_words_direction_is_what_its_texts_share_beside_their_source(tiny_model):
    """Glee is common in one source and rare in the other: the source's own style must not be taken for glee."""
    generator = torch.Generator().manual_seed(5)
    style, glee, gloom = torch.eye(24)[:3]
    rows = (
        [("reddit", "glee")] * 10 + [("reddit", "gloom")] * 90 + [("films", "glee")] * 90 + [("films", "gloom")] * 10
    )
    feeling = {"glee": glee, "gloom": gloom}
    embeds = torch.stack([feeling[word] + (3 * style if source == "films" else 0) for source, word in rows])
    embeds = embeds + 0.05 * torch.randn(embeds.shape, generator=generator)
    model = tiny_model()
    words = torch.eye(24)[[5, 6]]
    weights = [{word: 0.35, "other": 1.0} for _, word in rows]
    fit_reference(model, embeds, weights, [source for source, _ in rows], ["glee", "gloom"], words)
    assert model.config.reference_words == ["glee", "gloom"]
    _, directions = model.reference
    share = finishing.PROTOTYPE_SHARE
    prototype = torch.nn.functional.normalize(directions[0] - words[0] * directions[0, 5], dim=0)
    assert prototype[1] > 0.6 and prototype[2] < -0.6 and prototype[0].abs() < 0.1
    assert directions[0, 5].item() == pytest.approx((1 - share) / (share**2 + (1 - share) ** 2) ** 0.5, abs=0.02)


def test_even_rows_take_as_many_from_each_source_from_end_to_end():
    rows = [{"source": "reddit"}] * 90 + [{"source": "films"}] * 10 + [{}] * 30
    chosen = even_rows(rows, 48)
    assert [sum(low <= row < high for row in chosen) for low, high in ((0, 90), (90, 100), (100, 130))] == [16, 10, 16]
    assert max(row for row in chosen if row < 90) >= 84 and max(chosen) >= 128
    films = even_rows(rows, 8, "films")
    assert len(films) == 8 and all(90 <= row < 100 for row in films)
    with pytest.raises(ValueError, match=r"background_texts names novels, which is no source .* reddit"):
        even_rows(rows, 8, "films, novels")
    addresses = [{"source": f"https://example.org/{number}"} for number in range(100)]
    assert len(even_rows(addresses, 40)) == 40


def test_the_reference_vocabulary_is_frequent_plain_words_that_validation_does_not_hold_out():
    class Words:
        implies = {"glee": ["joy", "delight"]}
        held_out = {"word 3"}

    plain = [f"word {number}" for number in range(30)]
    rows = [{"plain": [*plain, "neutral", "rare"]}] * 3 + [{}] * 20
    weights = [dict.fromkeys(plain, 0.35)] * 12 + [{"rare": 1.0, "joy": 1.0}] * 9
    words = reference_words(rows, weights, Words)
    assert set(words) == set(plain) - {"word 3"}
    assert reference_words([{}], [{"joy": 1.0}] * 50, Words) == []  # two words do not span the emotions
