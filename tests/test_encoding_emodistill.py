from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from emodistill.encoding_emodistill import WINDOW_OVERLAP, encode_labels, encode_texts
from emodistill.normalisation_emodistill import normalise_text, spell_emoji

LONG = "my dog was lost and it rained so i cried all day " * 6


@pytest.fixture(scope="module")
def model(tiny_model):
    return tiny_model()


def words(tokenizer, text):
    return tokenizer(text, add_special_tokens=False)["input_ids"]


def features(model, ids):
    return model.get_text_features(torch.tensor([ids]))[0].detach()


def test_a_short_text_is_one_window(model, tokenizer):
    embeds = encode_texts(model, tokenizer, ["i cried"])
    torch.testing.assert_close(embeds[0], features(model, tokenizer("i cried")["input_ids"]))


def test_windows_are_weighted_by_their_tokens(model, tokenizer):
    """By hand: windows of 24 tokens with [CLS] and [SEP], each sharing 6 with the one before."""
    ids = words(tokenizer, LONG)
    room = model.config.text_max_length - 2
    step = room - min(WINDOW_OVERLAP, model.config.text_max_length // 4)
    starts = range(0, max(1, len(ids) - room + step), step)
    windows = [[2, *ids[start : start + room], 3] for start in starts]
    assert len(windows) > 3 and len(windows[-1]) < len(windows[0])  # a shorter last window counts less
    summed = sum(features(model, window) * len(window) for window in windows)
    expected = torch.nn.functional.normalize(summed, dim=0)
    embeds = encode_texts(model, tokenizer, ["i cried", LONG, "joy"])
    torch.testing.assert_close(embeds[1], expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(embeds[2], encode_texts(model, tokenizer, ["joy"])[0], atol=1e-5, rtol=0)


def test_the_end_of_a_long_text_counts(model, tokenizer):
    ending = encode_texts(model, tokenizer, [LONG + "anger", LONG + "joy joy joy"])
    assert (ending[0] - ending[1]).norm() > 1e-2


@pytest.mark.parametrize("batch_size", [1, 2, 5, 64])
def test_batch_size_and_company_change_nothing(model, tokenizer, batch_size):
    texts = [
        "joy",
        LONG,
        "my dog is lost",
        "",
        "a very happy birthday and so we laughed",
        LONG[:90],
        "i",
        "sun, rain.",
    ]
    alone = torch.cat([encode_texts(model, tokenizer, [text]) for text in texts])
    together = encode_texts(model, tokenizer, texts, batch_size=batch_size)
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(together.norm(dim=1), torch.ones(len(texts)))


def test_no_text_is_no_row(model, tokenizer):
    assert encode_texts(model, tokenizer, []).shape == (0, model.config.projection_dim)


def test_progress_sees_every_batch(model, tokenizer):
    seen = []

    def progress(batches):
        for batch in batches:
            seen.append(batch)
            yield batch

    encode_texts(model, tokenizer, ["joy"] * 10, batch_size=4, progress=progress)
    assert len(seen) == 3


def test_synonyms_are_averaged_after_normalisation(model, tokenizer):
    with torch.no_grad():
        model_labels = [
            model.get_label_features(torch.tensor([tokenizer(word)["input_ids"]]))[0] for word in ("joy", "delight")
        ]
    expected = torch.nn.functional.normalize(sum(model_labels), dim=0)
    embeds = encode_labels(model, tokenizer, [["joy", "delight"], "anger", ["rage"]])
    torch.testing.assert_close(embeds[0], expected, atol=1e-5, rtol=0)
    torch.testing.assert_close(embeds.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(embeds[1], encode_labels(model, tokenizer, ["anger"])[0], atol=1e-5, rtol=0)


def test_label_batches_change_nothing(model, tokenizer):
    labels = ["joy", "a very calm feeling of relief", ["love", "pride"], "i", "fear"]
    torch.testing.assert_close(
        encode_labels(model, tokenizer, labels, batch_size=2),
        encode_labels(model, tokenizer, labels),
        atol=1e-5,
        rtol=0,
    )


@pytest.mark.parametrize("default", [torch.float64, torch.bfloat16])
def test_embeddings_are_fp32_whatever_the_default_dtype(model, tokenizer, default):
    texts, labels = ["joy", LONG], ["joy", ["love", "pride"]]
    expected = encode_texts(model, tokenizer, texts), encode_labels(model, tokenizer, labels)
    torch.set_default_dtype(default)
    try:
        embeds = encode_texts(model, tokenizer, texts), encode_labels(model, tokenizer, labels)
        assert encode_texts(model, tokenizer, []).dtype == torch.float32
    finally:
        torch.set_default_dtype(torch.float32)
    for result, reference in zip(embeds, expected, strict=True):
        assert result.dtype == torch.float32
        torch.testing.assert_close(result, reference)


def test_half_precision_models_give_fp32_embeddings(tiny_model, tokenizer):
    half = tiny_model().to(torch.bfloat16)
    embeds = encode_texts(half, tokenizer, ["joy", LONG])
    assert embeds.dtype == torch.float32
    torch.testing.assert_close(embeds, encode_texts(tiny_model(), tokenizer, ["joy", LONG]), atol=0.1, rtol=0)


def test_threads_may_share_model_and_tokenizer(model, tokenizer):
    """Texts and labels are cut at different lengths, which a fast tokenizer remembers from the last call."""
    texts, labels = (
        [LONG, "joy and " * 40],
        ["a feeling of very very very calm delight and love and pride and joy"],
    )
    expected = encode_texts(model, tokenizer, texts), encode_labels(model, tokenizer, labels)

    def work(number):
        if number % 2:
            return torch.equal(encode_texts(model, tokenizer, texts), expected[0])
        return torch.equal(encode_labels(model, tokenizer, labels), expected[1])

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(200)))


@pytest.mark.parametrize(
    "text, expected",
    [
        ("plain text, café ½ → ok", "plain text, café ½ → ok"),
        ("so happy 😂😂😂", "so happy face with tears of joy"),
        ("😭😡", "loudly crying face pouting face"),
        ("thanks 👍🏽!", "thanks thumbs up sign !"),  # a skin tone says nothing of a feeling
        ("I ❤️ you", "I red heart you"),
        ("👨‍👩‍👧", "man woman girl"),
        ("", ""),
    ],
)
def test_emoji_are_spelled_out(text, expected):
    assert spell_emoji(text) == expected
    assert spell_emoji(expected) == expected


def test_a_model_reads_emoji_as_its_configuration_says(tiny_model, tokenizer):
    texts, spelled = ["i cried 😂 all day"], ["i cried face with tears of joy all day"]
    for spell in (False, True):
        model = tiny_model(spell_emoji=spell)
        same = torch.allclose(encode_texts(model, tokenizer, texts), encode_texts(model, tokenizer, spelled))
        assert same == spell


@pytest.mark.parametrize(
    "text, plain",
    [
        ("@anna sooooo happy!!! &lt;3<br>#BestDayEver", "@user so happy!!! <3 best day ever"),
        ("🎉🎉 https://t.co/x www.x.org", "party popper http http"),
        ("a&amp;amp;b &nbsp; it&#39;s", "a&b it's"),
        ("<b>bold</b> <insert joke> 5 < 6", "bold <insert joke> 5 < 6"),
        ("me@x.com and .@bob", "me@x.com and .@bob"),
        ("#1 C# ##foo #USA #sad #so_happy", "#1 C# ##foo USA sad so happy"),
        ("goooood nooooo yesss cooool zzzzz 1000000", "good no yes cool zzz 1000000"),
        ("x\u200by \ud83d\u202e", "xy ?"),
    ],
)  # fmt: skip
def test_texts_are_read_as_they_were_meant(text, plain):
    assert normalise_text(text) == plain


@given(st.text(alphabet=st.characters() | st.sampled_from("&#;<>@aAoO😂ltgmp/ "), max_size=60))
def test_normalising_again_changes_nothing(text):
    once = normalise_text(text)
    assert normalise_text(once) == once
    once.encode("utf-8")
