import os

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from transformers import (
    AutoConfig,
    AutoModel,
    AutoTokenizer,
    BertConfig,
    BertModel,
    BertTokenizer,
    PreTrainedModel,
    pipeline,
)

from emodistill import EmoDistillConfig, EmoDistillModel, EmoDistillOutput
from emodistill.configuration_emodistill import POOLINGS

TEXTS = torch.tensor([[2, 5, 6, 7, 8, 3], [2, 9, 3, 0, 0, 0]])
LABELS = torch.tensor([[2, 10, 3, 0], [2, 11, 12, 3], [2, 5, 3, 0]])

# One tiny configuration for each encoder family people start from.
FAMILIES = {
    "distilbert": {"dim": 32, "n_layers": 1, "n_heads": 2, "hidden_dim": 48},
    "roberta": {},
    "mpnet": {},
    "electra": {"embedding_size": 16},
    "albert": {"embedding_size": 16},
    "deberta-v2": {},
    "modernbert": {"global_attn_every_n_layers": 2, "pad_token_id": 0},
}


def run_model(model, **kwargs):
    with torch.no_grad():
        return model(
            input_ids=TEXTS, attention_mask=TEXTS.ne(0), label_input_ids=LABELS, label_attention_mask=LABELS.ne(0),
            **kwargs,
        )  # fmt: skip


def test_forward_returns_what_it_documents(tiny_model):
    model = tiny_model()
    targets = torch.tensor([[1.0, 0.0, 0.4], [0.0, 1.0, 0.0]])
    output = run_model(model, targets=targets)
    assert isinstance(output, EmoDistillOutput)
    assert output.logits.shape == (2, 3) and output.dimensions.shape == (2, 3)
    for embeds in (output.text_embeds, output.label_embeds):
        torch.testing.assert_close(embeds.norm(dim=-1), torch.ones(len(embeds)))
    cosines = output.text_embeds @ output.label_embeds.T
    torch.testing.assert_close(output.logits, cosines * model.logit_scale.exp() + model.logit_bias)
    expected = torch.nn.functional.binary_cross_entropy_with_logits(output.logits, targets, reduction="sum") / 2
    torch.testing.assert_close(output.loss, expected)
    assert run_model(model, targets=targets, return_dict=False)[0] == output.loss
    torch.testing.assert_close(output.dimensions, model.get_dimensions(output.text_embeds))


def test_cached_label_states_give_the_same_logits(tiny_model):
    model = tiny_model()
    states = model.get_label_states(LABELS, LABELS.ne(0))
    output = model(input_ids=TEXTS, attention_mask=TEXTS.ne(0), label_states=states)
    torch.testing.assert_close(output.logits, run_model(model).logits)
    with pytest.raises(ValueError, match="either input_ids or label_states"):
        model.get_label_features(LABELS, label_states=states)


@settings(max_examples=25, deadline=None)
@given(lengths=st.lists(st.integers(1, 7), min_size=1, max_size=80), left=st.booleans())
def test_labels_encoded_in_runs_of_like_length_are_as_alone(tiny_model, lengths, left):
    """Whatever side the padding is on; and no label is padded further than its run's longest."""
    model = tiny_model()
    labels = torch.zeros(len(lengths), 8, dtype=torch.long)
    for row, length in enumerate(lengths):
        labels[row, 8 - length if left else 0 :][:length] = torch.arange(row % 5 + 2, row % 5 + 2 + length)
    encoded = []
    hook = model.label_encoder.register_forward_pre_hook(
        lambda _, args, kwargs: encoded.append(kwargs["input_ids"]), with_kwargs=True
    )
    together = model.get_label_states(labels, labels.ne(0))
    hook.remove()
    if left:
        assert [len(ids) for ids in encoded] == [len(lengths)]
    else:
        assert all(len(ids) >= min(16, len(lengths)) for ids in encoded)
        assert all(ids[:, -1].any() for ids in encoded)
    alone = torch.cat([model.get_label_states(row[None], row.ne(0)[None]) for row in labels])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_a_phrase_among_many_words_pads_few_of_them(tiny_model):
    model, sizes = tiny_model(), []
    labels = torch.tensor([[2, 5, 3, 0, 0, 0]] * 40 + [[2, 5, 6, 3, 0, 0]] * 20 + [[2, 5, 6, 7, 8, 3]] * 3)
    model.label_encoder.register_forward_pre_hook(
        lambda _, args, kwargs: sizes.append(tuple(kwargs["input_ids"].shape)), with_kwargs=True
    )
    model.get_label_states(labels.flip(0), labels.flip(0).ne(0))
    assert sizes == [(40, 3), (23, 6)]  # three phrases are too few for a run of their own


def test_logits_are_fp32_in_half_precision(tiny_model):
    model = tiny_model().to(torch.bfloat16)
    assert run_model(model).logits.dtype == torch.float32
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert run_model(tiny_model()).logits.dtype == torch.float32


@pytest.mark.parametrize("pooling", POOLINGS)
def test_padding_and_batch_change_nothing(tiny_model, pooling):
    model = tiny_model(pooling=pooling)
    alone = model.get_text_features(TEXTS[1:, :3])
    beside = model.get_text_features(TEXTS, TEXTS.ne(0))[1:]
    padded = torch.nn.functional.pad(TEXTS[1:], (0, 20), value=17)  # whatever stands in the padding
    torch.testing.assert_close(beside, alone, atol=1e-5, rtol=0)
    torch.testing.assert_close(model.get_text_features(padded, padded.ne(0) & padded.ne(17)), alone, atol=1e-5, rtol=0)


def test_qformer_ignores_padding(tiny_model):
    qformer = tiny_model(pooling="qformer", num_qformer_layers=2).qformer
    tokens, mask = torch.randn(2, 5, 32), torch.tensor([[1, 1, 1, 0, 0], [1, 1, 1, 1, 1]])
    changed = tokens.clone()
    changed[0, 3:] = 1e3
    before, after = qformer(tokens, mask), qformer(changed, mask)
    torch.testing.assert_close(before, after)
    changed[0, 2] = 1e3
    assert not torch.allclose(before[0], qformer(changed, mask)[0])  # a real token counts


def test_poolings_differ_and_both_starts_at_mean(tiny_config):
    features = {}
    for pooling in POOLINGS:
        torch.manual_seed(0)
        model = EmoDistillModel(tiny_config(pooling=pooling)).eval()
        features[pooling] = model.get_text_features(TEXTS, TEXTS.ne(0))
    torch.testing.assert_close(features["both"], features["mean"])  # a pretrained encoder keeps its own space
    assert not torch.allclose(features["qformer"], features["mean"], atol=1e-2)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shard", [None, "20KB"])
def test_saved_and_loaded_logits_are_bit_equal(tiny_model, tmp_path, dtype, shard):
    model = tiny_model(tie_word_embeddings=True).to(dtype)
    model.save_pretrained(tmp_path, **({"max_shard_size": shard} if shard else {}))
    files = sorted(file.name for file in tmp_path.iterdir() if file.suffix in (".safetensors", ".bin"))
    assert len(files) > 2 if shard else files == ["model.safetensors"]
    loaded, information = EmoDistillModel.from_pretrained(tmp_path, dtype=dtype, output_loading_info=True)
    assert not any(information.get(kind) for kind in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    assert loaded.dtype == dtype and not loaded.training
    before, after = run_model(model), run_model(loaded)
    assert torch.equal(before.logits, after.logits) and torch.equal(before.dimensions, after.dimensions)
    for kept, original in zip(loaded.background, model.background, strict=True):
        assert torch.equal(kept, original) and kept.dtype == torch.float32


@pytest.mark.parametrize("stored", [torch.float16, torch.bfloat16])
def test_loading_on_a_cpu_gives_fp32_unless_told_otherwise(tiny_model, tokenizer, tmp_path, stored):
    tiny_model().to(stored).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    for options in ({}, {"dtype": None}, {"dtype": "auto"}, {"device_map": "cpu"}, {"torch_dtype": "auto"}):
        if "device_map" in options:
            pytest.importorskip("accelerate")
        model = EmoDistillModel.from_pretrained(tmp_path, **options)
        dtypes = {tensor.dtype for tensor in model.state_dict().values()}
        assert dtypes == {torch.float32}, options
    assert AutoModel.from_pretrained(tmp_path).dtype == torch.float32
    assert EmoDistillModel.from_pretrained(tmp_path, dtype=stored).dtype == stored
    assert EmoDistillModel.from_pretrained(tmp_path, dtype="bfloat16").dtype == torch.bfloat16
    for options, expected in (
        ({}, torch.float32),
        ({"dtype": "auto"}, torch.float32),
        ({"dtype": stored}, stored),
    ):
        assert pipeline("zero-shot-emotion", model=str(tmp_path), device="cpu", **options).model.dtype == expected


def test_automatic_device_map_without_an_accelerator_is_fp32_too(tiny_model, tmp_path):
    pytest.importorskip("accelerate")
    tiny_model().half().save_pretrained(tmp_path)
    model = EmoDistillModel.from_pretrained(tmp_path, device_map="auto")
    on_cpu = model.device.type == "cpu"
    assert model.dtype == (torch.float32 if on_cpu else torch.float16)


def test_tied_embeddings_are_one_tensor_before_and_after(tiny_model, tmp_path):
    model = tiny_model(tie_word_embeddings=True)

    def matrices(network):
        return [tower.get_input_embeddings().weight for tower in (network.text_encoder, network.label_encoder)]

    model.save_pretrained(tmp_path)
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        stored = [name for name in file.keys() if name.endswith("word_embeddings.weight")]  # noqa: SIM118
    assert len(stored) == 1
    loaded = EmoDistillModel.from_pretrained(tmp_path)
    for network in (model, loaded):
        assert matrices(network)[0] is matrices(network)[1]
    assert sum(p.numel() for p in model.parameters()) == sum(p.numel() for p in loaded.parameters())
    before = matrices(loaded)[1].detach().clone()
    run = loaded(input_ids=TEXTS, label_input_ids=LABELS)
    run.logits.sum().backward()
    torch.optim.SGD(loaded.parameters(), lr=1.0).step()
    assert matrices(loaded)[0] is matrices(loaded)[1] and not torch.equal(matrices(loaded)[1], before)


def test_untied_towers_stay_apart(tiny_model, tmp_path):
    tiny_model().save_pretrained(tmp_path)
    loaded = EmoDistillModel.from_pretrained(tmp_path)
    first, second = (t.get_input_embeddings().weight for t in (loaded.text_encoder, loaded.label_encoder))
    assert first is not second and not torch.equal(first, second)


def test_a_frozen_label_encoder_stays_frozen(tiny_model, tmp_path):
    tiny_model(freeze_label_encoder=True).save_pretrained(tmp_path)
    loaded = EmoDistillModel.from_pretrained(tmp_path)
    assert loaded.label_encoder_is_frozen
    loaded.train()
    assert loaded.training and loaded.text_encoder.training and not loaded.label_encoder.training
    first, second = (loaded.get_label_features(LABELS, LABELS.ne(0)) for _ in range(2))
    assert torch.equal(first, second)  # no dropout
    loaded(input_ids=TEXTS, label_input_ids=LABELS).logits.sum().backward()
    assert all(parameter.grad is None for parameter in loaded.label_encoder.parameters())
    assert loaded.label_projection.weight.grad.abs().sum() > 0


def test_freezing_by_hand_lasts(tiny_model, tmp_path):
    model = tiny_model()
    assert not model.label_encoder_is_frozen
    model.freeze_label_encoder()
    model.train()
    assert not model.label_encoder.training
    model.save_pretrained(tmp_path)
    assert EmoDistillModel.from_pretrained(tmp_path).label_encoder_is_frozen


def test_from_encoders_takes_over_pretrained_weights(encoder_folder):
    model = EmoDistillModel.from_encoders(encoder_folder, projection_dim=16, num_qformer_heads=4)
    source = BertModel.from_pretrained(encoder_folder)
    for tower in (model.text_encoder, model.label_encoder):
        states = source(TEXTS, TEXTS.ne(0)).last_hidden_state
        torch.testing.assert_close(tower.eval()(TEXTS, TEXTS.ne(0)).last_hidden_state, states)
    assert model.dtype == torch.float32 and model.config.projection_dim == 16


def test_from_encoders_in_another_default_dtype_is_fp32(encoder_folder):
    torch.set_default_dtype(torch.float64)
    try:
        model = EmoDistillModel.from_encoders(encoder_folder, num_qformer_heads=4)
    finally:
        torch.set_default_dtype(torch.float32)
    assert {parameter.dtype for parameter in model.parameters()} == {torch.float32}


def test_from_encoders_ties_and_freezes(encoder_folder):
    model = EmoDistillModel.from_encoders(
        encoder_folder, num_qformer_heads=4, tie_word_embeddings=True, freeze_label_encoder=True
    )
    towers = (model.text_encoder, model.label_encoder)
    first, second = (tower.get_input_embeddings().weight for tower in towers)
    assert first is second and model.label_encoder_is_frozen


def test_from_encoders_refuses_different_vocabularies(encoder_folder, tmp_path, encoder_config):
    vocabulary = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "joy": 5}
    BertModel(encoder_config(vocab_size=6)).save_pretrained(tmp_path)
    BertTokenizer(vocab=vocabulary).save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="different vocabularies") as error:
        EmoDistillModel.from_encoders(encoder_folder, tmp_path, num_qformer_heads=4)
    assert str(tmp_path) in str(error.value) and "\n" not in str(error.value)


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("frozen", [False, True])
def test_no_parameter_goes_without_gradient(tiny_model, pooling, frozen):
    model = tiny_model(pooling=pooling, freeze_label_encoder=frozen)
    if frozen:
        model.freeze_label_encoder()
    model.train()
    output = model(input_ids=TEXTS, attention_mask=TEXTS.ne(0), label_input_ids=LABELS, targets=torch.eye(2, 3))
    (output.loss + output.dimensions.sum()).backward()
    idle = [name for name, parameter in model.named_parameters() if parameter.requires_grad and parameter.grad is None]
    assert not idle  # DistributedDataParallel breaks on one


@pytest.mark.parametrize("tied", [False, True])
def test_lower_layers_are_frozen_and_upper_ones_learn(tiny_model, tied):
    model = tiny_model(tie_word_embeddings=tied)
    model.freeze_lower_layers(1, 1)
    model.train()
    output = model(input_ids=TEXTS, attention_mask=TEXTS.ne(0), label_input_ids=LABELS, targets=torch.eye(2, 3))
    (output.loss + output.dimensions.sum()).backward()
    for name, parameter in model.named_parameters():
        lower = "encoder.embeddings." in name or "encoder.layer.0." in name or ".layers.0.0." in name
        frozen = lower and name.startswith(("text_encoder", "label_encoder"))
        assert (parameter.grad is None) == frozen, name


def test_more_frozen_layers_than_there_are_is_an_error(tiny_model):
    with pytest.raises(ValueError, match="freeze_text_layers must lie between 0 and 2, not 3"):
        tiny_model().freeze_lower_layers(text_layers=3)


def test_every_parameter_is_initialised(tiny_config, tmp_path):
    """Also the ones that a checkpoint lacks: they must not hold whatever was in memory."""
    config = tiny_config(num_qformer_layers=2, tie_word_embeddings=True)
    weights = []
    for _ in range(2):
        torch.manual_seed(3)
        weights.append(EmoDistillModel(config).state_dict())
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    assert all(tensor.isfinite().all() and tensor.abs().max() < 20 for tensor in weights[0].values())
    assert weights[0]["logit_scale"].exp().item() == pytest.approx(config.logit_scale_init)
    assert weights[0]["logit_bias"].item() == config.logit_bias_init

    partial = EmoDistillModel(config)
    own = {name: None for name in partial.state_dict() if not name.startswith(("text_encoder", "label_encoder"))}
    kept = {name: value for name, value in partial.state_dict().items() if name not in own}
    partial.save_pretrained(tmp_path, state_dict=kept)
    with pytest.raises(ValueError, match="is damaged: it lacks"):
        EmoDistillModel.from_pretrained(tmp_path)
    for _ in range(2):  # as transformers loads it, without our own look at what is missing
        loaded, information = PreTrainedModel.from_pretrained.__func__(
            EmoDistillModel, tmp_path, output_loading_info=True
        )
        state = loaded.state_dict()
        assert set(own) <= set(information["missing_keys"]) | {name for name in own if name.startswith("background")}
        torch.testing.assert_close(state["text_projection.weight"], torch.eye(24, 32))
        assert state["logit_bias"].item() == config.logit_bias_init
        assert 0.5 < state["qformer.queries"].std() < 1.5
        assert not state["qformer.layers.1.cross_attention.key.bias"].any()
        assert loaded.background is None


def test_trained_values_survive_reloading(tiny_model, tmp_path):
    model = tiny_model()
    with torch.no_grad():
        model.logit_scale.fill_(1.25)
        model.logit_bias.fill_(-7.5)
    model.save_pretrained(tmp_path)
    loaded = EmoDistillModel.from_pretrained(tmp_path)
    assert (loaded.logit_scale.item(), loaded.logit_bias.item()) == (1.25, -7.5)
    assert torch.equal(loaded.qformer.queries, model.qformer.queries)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_background_persists_through_half_precision(tiny_model, tmp_path, dtype):
    model = tiny_model(background=False)
    assert model.background is None
    embeds = torch.nn.functional.normalize(torch.randn(70_000, 24) * 0.02 + torch.randn(24), dim=-1)
    model.set_background(embeds)  # little spread, many texts: the hard case for fp16
    model.to(dtype).save_pretrained(tmp_path)
    loaded = EmoDistillModel.from_pretrained(tmp_path)
    mean, covariance = loaded.background
    tolerance = {torch.float32: 1e-5, torch.float16: 2e-3, torch.bfloat16: 2e-2}[dtype]
    torch.testing.assert_close(mean, embeds.mean(0), atol=tolerance, rtol=tolerance)
    expected = torch.cov(embeds.double().T).float()
    torch.testing.assert_close(covariance.diagonal(), expected.diagonal(), atol=0, rtol=tolerance)
    with pytest.raises(ValueError, match="at least two texts"):
        model.set_background(embeds[:1])


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
def test_reference_vocabulary_persists_and_can_be_taken_away(tiny_model, tmp_path, dtype):
    model = tiny_model()
    labels = torch.nn.functional.normalize(torch.randn(4, 24), dim=-1)
    assert model.reference is None and torch.equal(model.extend_labels(labels), labels)
    near = torch.cat([labels, labels[:1]]) + 0.1 * torch.randn(2, 5, 24)
    words = torch.nn.functional.normalize(near, dim=-1)
    model.set_reference(["a", "b", "c", "d", "e"], *words)
    extended = model.extend_labels(labels)
    assert not torch.allclose(extended, labels, atol=1e-2)
    model.to(dtype).save_pretrained(tmp_path)
    loaded = EmoDistillModel.from_pretrained(tmp_path)
    assert loaded.config.reference_words == ["a", "b", "c", "d", "e"]
    torch.testing.assert_close(loaded.extend_labels(labels), extended, atol=2e-3, rtol=0)
    loaded.set_reference(loaded.config.reference_words, words[0])  # words in their own direction
    loaded.save_pretrained(tmp_path / "own")
    assert torch.equal(*EmoDistillModel.from_pretrained(tmp_path / "own").reference)
    with pytest.raises(ValueError, match=r"embeds must have shape \(1, 24\)"):
        loaded.set_reference(["a"], words[0])
    assert loaded.statistics.reference_priors is None and not loaded.config.reference_priors
    loaded.set_reference(loaded.config.reference_words, *words, priors=torch.tensor([0.5, 0.25, 0.125, 0.0, 1.0]))
    loaded.save_pretrained(tmp_path / "priors")
    priors = EmoDistillModel.from_pretrained(tmp_path / "priors").statistics.reference_priors
    assert priors.tolist() == [0.5, 0.25, 0.125, 0.0, 1.0]
    with pytest.raises(ValueError, match=r"priors must have shape \(5,\)"):
        loaded.set_reference(loaded.config.reference_words, *words, priors=torch.zeros(4))
    loaded.set_reference([])
    loaded.save_pretrained(tmp_path / "bare")
    bare = EmoDistillModel.from_pretrained(tmp_path / "bare")
    assert bare.reference is None and torch.equal(bare.extend_labels(labels), labels)


def test_a_model_without_ratings_has_no_dimensions(tiny_model, tmp_path):
    model = tiny_model(dimension_names=[])
    assert run_model(model).dimensions is None
    model.save_pretrained(tmp_path)
    with pytest.raises(ValueError, match="no built-in dimensions"):
        EmoDistillModel.from_pretrained(tmp_path).get_dimensions(torch.zeros(1, 24))


def test_queries_must_split_among_the_heads(tiny_config):
    with pytest.raises(ValueError, match="num_qformer_heads"):
        EmoDistillModel(tiny_config(num_qformer_heads=5))


@pytest.mark.filterwarnings("ignore::FutureWarning")  # the method's new name came within transformers 5
def test_gradient_checkpointing_gives_the_same_gradients(tiny_model):
    gradients = []
    for checkpointing in (False, True):
        model = tiny_model()
        if checkpointing:
            model.gradient_checkpointing_enable()
            assert model.is_gradient_checkpointing
        model.train()
        for module in model.modules():  # dropout off, so that both runs can be compared
            if isinstance(module, torch.nn.Dropout):
                module.p = 0.0
        for name in ("text_config", "label_config"):
            getattr(model.config, name).attention_probs_dropout_prob = 0.0
        for tower in (model.text_encoder, model.label_encoder):
            for layer in tower.encoder.layer:
                layer.attention.self.dropout.p = 0.0
        for layer in model.qformer.layers:
            layer.self_attention.dropout = layer.cross_attention.dropout = 0.0
        model(input_ids=TEXTS, label_input_ids=LABELS, targets=torch.eye(2, 3)).loss.backward()
        gradients.append({name: p.grad for name, p in model.named_parameters() if p.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        torch.testing.assert_close(gradient, gradients[1][name], msg=name)


@pytest.mark.parametrize("family", FAMILIES)
def test_other_encoder_families_work_as_towers(family, tmp_path):
    values = {
        "vocab_size": 60, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 48, "max_position_embeddings": 40,
    }  # fmt: skip
    encoder = {"model_type": family} | (values | FAMILIES[family])
    torch.manual_seed(0)
    model = EmoDistillModel(
        EmoDistillConfig(encoder, projection_dim=16, num_qformer_heads=2, tie_word_embeddings=True)
    )
    model.train()
    output = model(input_ids=TEXTS, attention_mask=TEXTS.ne(0), label_input_ids=LABELS, targets=torch.eye(2, 3))
    (output.loss + output.dimensions.sum()).backward()
    assert not [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    model.eval().save_pretrained(tmp_path)
    loaded = EmoDistillModel.from_pretrained(tmp_path)
    assert torch.equal(run_model(loaded).logits, run_model(model).logits)
    towers = (loaded.text_encoder, loaded.label_encoder)
    first, second = (tower.get_input_embeddings().weight for tower in towers)
    assert first is second


def test_auto_classes_load_without_a_flag(checkpoint):
    assert type(AutoConfig.from_pretrained(checkpoint)) is EmoDistillConfig
    model = AutoModel.from_pretrained(checkpoint)
    assert type(model) is EmoDistillModel
    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    assert tokenizer.tokenize("joy") == ["joy"]
    assert torch.equal(run_model(model).logits, run_model(EmoDistillModel.from_pretrained(checkpoint)).logits)


def test_a_saved_folder_holds_every_file_its_code_needs(checkpoint):
    code = {file for file in os.listdir(checkpoint) if file.endswith(".py")}
    assert {"configuration_emodistill.py", "modeling_emodistill.py", "loss_emodistill.py"} <= code
    for name in code:
        for line in (checkpoint / name).read_text().splitlines():
            if line.startswith("from ."):
                assert line.split()[1].lstrip(".") + ".py" in code, (name, line)


@pytest.mark.slow
def test_the_papers_preset_takes_a_step_at_full_size(capsys):
    """BERT-base twice, frozen label encoder, Q-Former and linear label projection (arXiv 2505.18040)."""
    torch.manual_seed(0)
    config = EmoDistillConfig(
        text_config=BertConfig(), label_config=BertConfig(), pooling="qformer", projection_dim=768,
        num_qformer_heads=12, freeze_label_encoder=True,
    )  # fmt: skip
    model = EmoDistillModel(config)
    model.freeze_label_encoder()
    model.train()
    optimizer = torch.optim.SGD([p for p in model.parameters() if p.requires_grad], lr=1e-3)
    frozen = model.label_encoder.get_input_embeddings().weight.clone()
    losses = []
    for _ in range(2):
        torch.manual_seed(1)  # the same dropout, so that the two losses can be compared
        output = model(input_ids=TEXTS, attention_mask=TEXTS.ne(0), label_input_ids=LABELS, targets=torch.eye(2, 3))
        losses.append(output.loss.item())
        optimizer.zero_grad()
        output.loss.backward()
        optimizer.step()
    assert losses[1] < losses[0]
    assert torch.equal(model.label_encoder.get_input_embeddings().weight, frozen)

    def count(*modules):
        return sum({id(p): p.numel() for module in modules for p in module.parameters()}.values())

    tower = count(model.text_encoder, model.qformer, model.text_projection)
    whole = count(model)
    with capsys.disabled():
        print(f"\npaper preset: text tower {tower:,} parameters, whole checkpoint {whole:,}")
    assert 100e6 < tower < 130e6 and 200e6 < whole < 240e6


def test_a_saved_folder_names_no_path_of_the_encoders(encoder_folder, tmp_path):
    EmoDistillModel.from_encoders(str(encoder_folder)).save_pretrained(tmp_path)
    assert str(encoder_folder) not in (tmp_path / "config.json").read_text()


def test_a_tokenizers_whole_output_may_be_given(tiny_model, tokenizer):
    model = tiny_model()
    encoded = tokenizer(["my dog", "joy"], padding=True, return_tensors="pt")
    assert "token_type_ids" in encoded
    plain = model.get_label_features(encoded["input_ids"], encoded["attention_mask"])
    assert torch.equal(model.get_label_features(**encoded), plain)
    output = model(**encoded)
    assert torch.equal(output.text_embeds, model.get_text_features(**encoded))
    assert output.logits is None and output.label_embeds is None and output.dimensions.shape == (2, 3)
    assert len(model(**encoded, return_dict=False)) == 2
    for call in (model, model.get_text_features, model.get_label_features):
        with pytest.raises(ValueError, match=r'input_ids must be a tensor, not list: .*return_tensors="pt"'):
            call(**tokenizer("hi"))
        with pytest.raises(ValueError, match=r"input_ids must have shape \(batch, length\), not \(3,\)"):
            call(torch.tensor([1, 2, 3]))
    with pytest.raises(ValueError, match="targets need labels"):
        model(**encoded, targets=torch.zeros(2, 3))
