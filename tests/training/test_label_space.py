"""A text tower, new or trained, beside the label tower of another checkpoint."""

import json

import pytest
import torch
from transformers import AutoTokenizer, MPNetConfig, MPNetModel, MPNetTokenizer

from emodistill import EmoDistillModel, cli
from emodistill.configuration_emodistill import set_dropout
from emodistill.encoding_emodistill import encode_labels, encode_texts
from emodistill.training.arguments import ModelArguments
from emodistill.training.building import build_model
from emodistill.training.label_space import (
    align_text_tower,
    build_on_label_space,
    join_label_space,
    load_trained,
    rows_by_word_piece,
)

LABELS = ["joy", "feeling of relief", "rage"]
TEXTS = [
    f"{first} and {second} {number}"
    for first in ("joy", "my dog", "rain")
    for second in ("a day", "love")
    for number in range(9)
]


def save(model, tokenizer, folder):
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture
def space(tiny_model, tokenizer, encoder_config, tmp_path):
    """A checkpoint with a label tower, dimension and temperature of its own."""
    config = encoder_config(hidden_size=16, num_hidden_layers=1)
    model = tiny_model(seed=5, label_config=config, projection_dim=20)
    torch.nn.init.constant_(model.logit_scale, 3.0)
    return save(model, tokenizer, tmp_path / "space")


def embeds(folder, labels=LABELS):
    model, tokenizer = EmoDistillModel.from_pretrained(folder).eval(), AutoTokenizer.from_pretrained(folder)
    return encode_labels(model, tokenizer, labels)


def test_word_pieces_in_another_order_embed_labels_alike(tiny_model, tokenizer, tmp_path):
    source = tiny_model()
    save(source, tokenizer, tmp_path / "source")
    names = {"[CLS]": "<s>", "[PAD]": "<pad>", "[SEP]": "</s>", "[MASK]": "<mask>"}
    pieces = sorted([*tokenizer.get_vocab(), "<unk>"], key=lambda piece: (piece not in names, piece))
    theirs = MPNetTokenizer(vocab={names.get(piece, piece): place for place, piece in enumerate(pieces)})
    config = MPNetConfig(vocab_size=len(pieces), hidden_size=48, num_hidden_layers=2, num_attention_heads=4,
                         intermediate_size=64, max_position_embeddings=40)  # fmt: skip
    save(MPNetModel(config), theirs, tmp_path / "encoder")
    options = {"num_queries": 2, "num_qformer_heads": 4, "normalise_texts": True}
    model, own, *aligned = build_on_label_space(str(tmp_path / "encoder"), str(tmp_path / "source"), **options)
    model.eval()
    assert torch.allclose(encode_labels(model, own, LABELS), embeds(tmp_path / "source"), atol=1e-6)
    cosine = align_text_tower(model, own, *aligned, TEXTS)
    found, wanted = encode_texts(model, own, TEXTS), encode_texts(source, aligned[1], TEXTS)
    assert cosine == pytest.approx((found * wanted).sum(dim=1).mean().item(), abs=1e-4)
    assert cosine > 0.9


def test_a_vocabulary_of_other_words_is_refused():
    known = {"[UNK]": 0} | {f"a{number}": number + 1 for number in range(300)}
    wanted = {"<unk>": 0} | {f"b{number}": number + 1 for number in range(300)}
    with pytest.raises(ValueError, match="label_space"):
        rows_by_word_piece(known, wanted)


@pytest.mark.parametrize("pooling", ["mean", "both"])
def test_a_trained_model_joins_a_space_of_another_shape(pooling, space, tiny_model, tokenizer, tmp_path):
    own = tiny_model(seed=1, pooling=pooling, tie_word_embeddings=True, text_max_length=20, dimension_names=[])
    words = torch.nn.functional.normalize(torch.randn(2, 3, 24), dim=-1)
    own.set_reference(["joy", "rage", "calm"], *words)
    init = save(own, tokenizer, tmp_path / "init")
    model, tokens, *aligned = join_label_space(init, space)
    model.eval()
    source = aligned[0]
    assert torch.equal(encode_labels(model, tokens, LABELS), embeds(space))
    assert model.logit_scale == source.logit_scale and model.logit_bias == source.logit_bias
    assert torch.equal(model.dimension_head.weight, source.dimension_head.weight)
    assert model.config.dimension_names == ["valence", "arousal", "dominance"]
    assert (model.config.text_max_length, model.config.pooling) == (20, pooling)
    assert not model.config.tie_word_embeddings and not model.config.reference_words and model.background is None
    ids = torch.tensor([[2, 9, 8, 3]])
    assert torch.equal(model.get_text_states(ids), own.get_text_states(ids)), "the text tower reads as before"
    assert align_text_tower(model, tokens, *aligned, TEXTS) > 0.9
    again = save(model, tokens, tmp_path / "joined")
    assert torch.equal(embeds(again), embeds(space)) and not torch.equal(embeds(again), embeds(init))


@pytest.mark.parametrize("stored", ["whole", "in eight bits"])
def test_word_embeddings_stay_shared_where_the_other_space_has_the_same(stored, tiny_model, tokenizer, tmp_path):
    """As a small model joins the space of a large one that was itself trained to the small one's label tower."""
    own = tiny_model(seed=1, tie_word_embeddings=True)
    init = save(own, tokenizer, tmp_path / "init")
    other = tiny_model(seed=2)
    other.label_encoder.load_state_dict(own.label_encoder.state_dict())
    if stored == "in eight bits":
        words = other.label_encoder.get_input_embeddings().weight
        scale = words.detach().abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / 127
        words.data = (words.data / scale).round() * scale
        assert not torch.equal(words, own.label_encoder.get_input_embeddings().weight)
    space = save(other, tokenizer, tmp_path / "space")
    model, tokens, *_ = join_label_space(init, space)
    assert model.config.tie_word_embeddings
    shared = model.text_encoder.get_input_embeddings().weight
    assert shared is model.label_encoder.get_input_embeddings().weight
    assert torch.equal(shared, own.text_encoder.get_input_embeddings().weight), "the exact ones stay"
    torch.testing.assert_close(encode_labels(model.eval(), tokens, LABELS), embeds(space), atol=0.02, rtol=0)
    other.label_encoder.get_input_embeddings().weight.data[7] *= 1.1  # one word that was trained
    assert not join_label_space(init, save(other, tokenizer, tmp_path / "moved"))[0].config.tie_word_embeddings


def test_dropout_of_a_trained_model_can_be_replaced(checkpoint, encoder_folder, space):
    def rates(encoder):
        return {module.p for module in encoder.modules() if isinstance(module, torch.nn.Dropout)}

    starts = {"init": {"init": str(checkpoint)}, "new": {"text_encoder": str(encoder_folder)}}
    starts |= {name + " in a space": start | {"label_space": space} for name, start in starts.items()}
    for name, start in starts.items():
        arguments = {"qformer": "2, 1, 4"} | start
        model, *_ = build_model(ModelArguments(**arguments, dropout=0.25))
        assert rates(model.text_encoder) == {0.25} and rates(model.label_encoder) == {0.1}, name
        model, *_ = build_model(ModelArguments(**arguments, attention_dropout=0.0))
        assert rates(model.text_encoder) == rates(model.label_encoder) == {0.0, 0.1}, name
        model, *_ = build_model(ModelArguments(**arguments))
        assert rates(model.text_encoder) == {0.1}, name


def test_dropout_has_other_names_in_other_encoders():
    from transformers import DistilBertConfig, ModernBertConfig

    config = DistilBertConfig()
    set_dropout(config, 0.0, 0.2)
    assert (config.attention_dropout, config.dropout) == (0.0, 0.2)
    config = ModernBertConfig(mlp_dropout=0.3)
    set_dropout(config, states=0.0)
    assert (config.mlp_dropout, config.embedding_dropout) == (0.0, 0.0)
    assert not hasattr(config, "dropout"), "nothing that an encoder does not know is added"


@pytest.mark.parametrize("frozen", [True, False])
def test_a_frozen_label_encoder_is_frozen_whatever_training_starts_from(frozen, checkpoint, encoder_folder):
    for start in ({"init": str(checkpoint)}, {"text_encoder": str(encoder_folder)}):
        arguments = ModelArguments(**start, qformer="2, 1, 4", freeze_label_encoder=frozen)
        assert build_model(arguments)[0].label_encoder_is_frozen is frozen


@pytest.mark.slow
def test_training_in_a_joined_space(space, checkpoint, rows_file, lexicon_file, tmp_path, capsys):
    flags = ["--init", str(checkpoint), "--label-space", space, "--data", str(rows_file), "--epochs", "1"]
    flags += ["--lexicon", str(lexicon_file), "--max-texts", "60", "--dropout", "0"]
    flags += ["--freeze-label-encoder", "projection"]
    assert cli.main(["train", *flags, "--output-dir", str(tmp_path / "run")]) == 0
    said = capsys.readouterr().out
    assert "text tower aligned with" in said and "are kept from" not in said, "its statistics are of another space"
    final = tmp_path / "run" / "final"
    model = EmoDistillModel.from_pretrained(final)
    assert model.background is not None and model.config.projection_dim == 20
    assert torch.allclose(embeds(final), embeds(space), atol=2e-3), "held, in half precision"
    # Its temperature trains; what is measured as the start is the checkpoint as it was given.
    assert model.logit_scale.item() == pytest.approx(3.0, abs=0.2)
    assert "built-in check" in said
    saved = json.loads((final / "config.json").read_text())
    assert "attn_implementation" not in str(saved), "attention is the machine's affair"
    inputs = json.loads((final / "training.json").read_text())["inputs"]
    assert {"start", "label_space"} <= inputs.keys()


def test_on_a_cpu_attention_is_not_fused_while_training(checkpoint):
    from emodistill.training.building import _prepare_for

    model = load_trained(checkpoint)
    _prepare_for(model, torch.device("cpu"))
    assert {encoder.config._attn_implementation for encoder in (model.text_encoder, model.label_encoder)} == {"eager"}
