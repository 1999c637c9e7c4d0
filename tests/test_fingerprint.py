"""A digest that changes with all that embeddings depend on, and with nothing else."""

import pytest

from emodistill.fingerprint import embedding_fingerprint


@pytest.fixture
def before(tiny_model, tokenizer):
    return embedding_fingerprint(tiny_model(), tokenizer)


def test_what_embeddings_do_not_depend_on_leaves_it(before, tiny_model, tokenizer):
    model = tiny_model()
    model.config.decision["multi_label_slope"] = 9.0
    model.config._name_or_path = "elsewhere"
    assert embedding_fingerprint(model, tokenizer) == before


@pytest.mark.parametrize("change", ["weight", "emoji", "vocabulary", "part"])
def test_what_they_depend_on_changes_it(before, tiny_model, tokenizer, change):
    model, parts = tiny_model(), ()
    if change == "weight":
        model.text_projection.weight.data[0, 0] += 1.0
    elif change == "emoji":
        model.config.spell_emoji = not model.config.spell_emoji
    elif change == "vocabulary":
        tokenizer = type(tokenizer)(vocab={**tokenizer.get_vocab(), "new": len(tokenizer)})
    else:
        parts = ("bf16",)
    assert embedding_fingerprint(model, tokenizer, *parts) != before


def test_precision_changes_it_even_where_no_weight_does(tiny_model, tokenizer):
    rounded = embedding_fingerprint(tiny_model().half().float(), tokenizer)
    assert embedding_fingerprint(tiny_model().half(), tokenizer) != rounded


def test_parts_do_not_run_together(tiny_model, tokenizer):
    assert embedding_fingerprint(tiny_model(), tokenizer, "ab", "c") != embedding_fingerprint(
        tiny_model(), tokenizer, "a", "bc"
    )
