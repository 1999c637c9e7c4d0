import json
import re
from dataclasses import asdict

import pytest
from transformers import AutoConfig, BertConfig

from emodistill.configuration_emodistill import POOLINGS, EmoDistillConfig
from emodistill.constants_emodistill import DecisionConstants


def test_defaults_are_two_equal_encoders():
    config = EmoDistillConfig()
    assert config.text_config.to_dict() == config.label_config.to_dict()
    assert config.text_config is not config.label_config
    assert config.hidden_size == config.text_config.hidden_size


def test_saved_and_loaded_alike(tmp_path, tiny_config):
    config = tiny_config(
        pooling="qformer",
        freeze_label_encoder=True,
        tie_word_embeddings=True,
        dimension_names=["valence"],
        decision={"expected_labels": 1.75},
        label_config=BertConfig(vocab_size=98, hidden_size=32, num_attention_heads=4, num_hidden_layers=1),
        text_config=BertConfig(vocab_size=98, hidden_size=32, num_attention_heads=4, num_hidden_layers=2),
    )
    config.save_pretrained(tmp_path)
    for loaded in (EmoDistillConfig.from_pretrained(tmp_path), AutoConfig.from_pretrained(tmp_path)):
        assert type(loaded) is EmoDistillConfig
        assert loaded.to_dict() | {"_name_or_path": ""} == config.to_dict()
        assert loaded.tie_word_embeddings and loaded.freeze_label_encoder
        assert isinstance(loaded.label_config, BertConfig) and loaded.label_config.num_hidden_layers == 1
        assert loaded.decision == asdict(DecisionConstants(expected_labels=1.75, version=1))


def test_nested_encoders_may_be_dictionaries_of_any_family():
    config = EmoDistillConfig(
        text_config={"model_type": "distilbert", "dim": 48, "n_heads": 4},
        label_config={"model_type": "roberta", "hidden_size": 32, "num_attention_heads": 4},
    )
    assert (config.text_config.model_type, config.label_config.model_type) == ("distilbert", "roberta")
    assert config.hidden_size == 48  # DistilBERT calls it dim
    assert config.qformer_intermediate_size == 192


def test_decision_constants_have_one_set_of_defaults():
    assert EmoDistillConfig().decision == asdict(DecisionConstants())


@pytest.mark.parametrize(
    "decision, message",
    [
        ({"expected_lables": 2}, "decision holds the unknown constant expected_lables: known are expected_labels, "),
        ({"slope": 2, "cut": 1}, "decision holds the unknown constants cut, slope: known are"),
        ({"expected_labels": "2"}, "decision: expected_labels must be a number above 0, not '2'"),
        ({"multi_label_slope": float("nan")}, "decision: multi_label_slope must be a number above 0, not nan"),
        ({"multi_label_competition": 1.5}, "multi_label_competition must be a number at least 0 and at most 1"),
        ({"label_own_words": 0.0}, "decision: label_own_words must be a number above 0, not 0.0"),
        ({"single_label_temperature": True}, "single_label_temperature must be a number above 0, not True"),
        ({"version": 99}, "version 99 of the rules is newer than this emodistill"),
        ({"version": "1"}, "version must be a positive integer, not '1'"),
        ([1.4], "decision must be a dict of constants, not [1.4]"),
    ],
)
def test_unknown_constants_and_wrong_values_are_refused_in_one_sentence(tmp_path, tiny_config, decision, message):
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        EmoDistillConfig(decision=decision)
    assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match=re.escape(message)):
        DecisionConstants.from_config(decision)


def test_a_checkpoint_keeps_the_version_of_its_rules(tmp_path, tiny_config):
    tiny_config().save_pretrained(tmp_path)
    content = json.loads((tmp_path / "config.json").read_text())
    assert content["decision"] == asdict(DecisionConstants())
    del content["decision"]["version"], content["decision"]["word_nearness"]  # as older packages saved it
    (tmp_path / "config.json").write_text(json.dumps(content))
    assert DecisionConstants.from_config(EmoDistillConfig.from_pretrained(tmp_path)).version == 1


@pytest.mark.parametrize("pooling", POOLINGS)
def test_every_pooling_is_accepted(pooling):
    assert EmoDistillConfig(pooling=pooling).pooling == pooling


def test_an_unknown_pooling_names_the_argument():
    with pytest.raises(ValueError, match="pooling must be one of mean, qformer, both"):
        EmoDistillConfig(pooling="max")


@pytest.mark.parametrize("other", [{"vocab_size": 99}, {"hidden_size": 64}])
def test_tied_embeddings_need_equal_shapes(other):
    text = {"vocab_size": 98, "hidden_size": 32, "num_attention_heads": 4}
    with pytest.raises(ValueError, match="tie_word_embeddings needs encoders of one vocabulary and one hidden size"):
        EmoDistillConfig(text_config=text, label_config=text | other, tie_word_embeddings=True)


def test_custom_pipelines_are_kept_without_the_default_model(tmp_path, tiny_config):
    entry = {"impl": "pipeline_emodistill.ZeroShotEmotionPipeline", "pt": ["AutoModel"], "type": "text"}
    config = tiny_config(custom_pipelines={"zero-shot-emotion": entry | {"default": {"model": ["/a/b", "main"]}}})
    assert config.custom_pipelines == {}  # the installed package has its own pipeline: no flag needed
    config.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    # The task that the Hub's page shows is named too, and asks for the flag, because transformers has its own.
    assert saved["custom_pipelines"] == {"zero-shot-emotion": entry, "zero-shot-classification": entry}
    assert set(EmoDistillConfig.from_pretrained(tmp_path).custom_pipelines) == {"zero-shot-classification"}
    assert (tmp_path / "pipeline_emodistill.py").is_file()
    assert "/a/b" not in (tmp_path / "config.json").read_text()


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"num_attention_heads": 5}, "num_attention_heads of text_config .* must divide the hidden size 32"),
        ({"num_attention_heads": 0}, "num_attention_heads .*text_config, must be a positive integer, not 0"),
        ({"num_hidden_layers": 0}, "num_hidden_layers .* must be an integer from 1 to 1000, not 0"),
        ({"num_hidden_layers": 10**9}, "num_hidden_layers .* must be an integer from 1 to 1000"),
        ({"hidden_dropout_prob": -0.1}, "hidden_dropout_prob .* must be a number from 0 to below 1"),
        ({"attention_probs_dropout_prob": 2.0}, "attention_probs_dropout_prob .* from 0 to below 1"),
        ({"layer_norm_eps": float("nan")}, "layer_norm_eps .* above 0 and at most 0.1, not nan"),
        ({"layer_norm_eps": 1e9}, "layer_norm_eps .* above 0 and at most 0.1"),
        ({"layer_norm_eps": 0.0}, "layer_norm_eps .* above 0 and at most 0.1"),
        ({"pad_token_id": -1}, "pad_token_id .* must be an integer from 0, not -1"),
        ({"pad_token_id": 999}, "pad_token_id .* below the vocabulary's size 98, not 999"),
        ({"vocab_size": 0}, "vocab_size .* must be a positive integer"),
        ({"hidden_act": "nope"}, "hidden_act .* must be a function that transformers knows, gelu say, not 'nope'"),
        ({"model_type": "distilbert", "dim": 32, "n_heads": 5}, "must divide the hidden size 32"),
        ({"model_type": "distilbert", "dim": 32, "n_heads": 4, "attention_dropout": 1.0}, "attention_dropout"),
        ({"model_type": "modernbert", "norm_eps": 7.0, "pad_token_id": 0}, "norm_eps"),
        ({"model_type": "mpnet", "max_position_embeddings": 66, "pad_token_id": 1}, "exceeds .* 64 positions"),
    ],
)
def test_values_that_fail_in_a_layer_or_give_numbers_are_named(values, message):
    sizes = {} if "dim" in values else {"hidden_size": 32, "num_attention_heads": 4}
    encoder = {"vocab_size": 98, **sizes, **values}
    with pytest.raises(ValueError, match=message) as error:
        EmoDistillConfig(text_config=encoder, text_max_length=65)
    assert "\n" not in str(error.value)


def test_heads_of_the_q_former_divide_the_width_and_its_dropout_is_a_share(encoder_config):
    with pytest.raises(ValueError, match=r"num_qformer_heads .* must divide the hidden size 32, which 5 does not"):
        EmoDistillConfig(encoder_config(), num_qformer_heads=5)
    with pytest.raises(ValueError, match=r"qformer_dropout .* from 0 to below 1, not 1"):
        EmoDistillConfig(encoder_config(), qformer_dropout=1)


def test_windows_longer_than_the_encoders_positions_are_refused(encoder_config):
    with pytest.raises(ValueError, match="text_max_length 65 exceeds the text encoder's 64 positions"):
        EmoDistillConfig(encoder_config(), text_max_length=65)
