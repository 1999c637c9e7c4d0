"""Configuration of an emodistill model: two nested encoder configurations and the numbers of the heads."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict

from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig

from .constants_emodistill import DecisionConstants

__all__ = ["POOLINGS", "EmoDistillConfig", "set_dropout"]

POOLINGS = ("mean", "qformer", "both")

# Tasks under which a Hub copy offers the pipeline: the package's own, and the one that the Hub's page shows.
CUSTOM_TASKS = ("zero-shot-emotion", "zero-shot-classification")


class EmoDistillConfig(PreTrainedConfig):
    r"""
    Configuration of an [`EmoDistillModel`].

    Args:
        text_config (`dict` or `PreTrainedConfig`, *optional*):
            The text tower's encoder, any that `AutoModel` knows. A BERT configuration by default.
        label_config (`dict` or `PreTrainedConfig`, *optional*):
            The label tower's encoder. A copy of `text_config` by default.
        projection_dim (`int`, *optional*, defaults to 384):
            Dimension d of the shared space.
        pooling (`str`, *optional*, defaults to `"both"`):
            How token states become one text vector: `"qformer"` (learned queries that cross-attend to them, as in
            the paper), `"mean"`, or `"both"` (the sum of the two).
        num_queries (`int`, *optional*, defaults to 8): Learned queries of the Q-Former.
        num_qformer_layers (`int`, *optional*, defaults to 1): Layers of the Q-Former.
        num_qformer_heads (`int`, *optional*): Attention heads of a Q-Former layer; one for 64 dimensions by default.
        qformer_intermediate_size (`int`, *optional*): Width of its feed-forward block; four times the hidden size
            by default.
        qformer_dropout (`float`, *optional*, defaults to 0.1): Dropout in the Q-Former.
        freeze_label_encoder (`bool`, *optional*, defaults to `False`):
            Whether the label encoder stays as pretrained (the paper's variant) and only its projection is trained.
        tie_word_embeddings (`bool`, *optional*, defaults to `False`):
            Whether both towers share one word-embedding matrix; needs equal vocabularies and hidden sizes.
        logit_scale_init (`float`, *optional*, defaults to 10.0): The inverse temperature 1/τ at the start.
        logit_bias_init (`float`, *optional*, defaults to -4.0): The bias at the start; training sets it to the logit
            of the measured positive rate.
        text_max_length (`int`, *optional*): Tokens in one window of a text; 128 by default, or the encoder's positions
            if they are fewer.
        label_max_length (`int`, *optional*, defaults to 32): Tokens of a label.
        spell_emoji (`bool`, *optional*, defaults to `False`): Whether emoji in texts are replaced by their Unicode
            names before tokenisation. For encoders whose vocabulary has no emoji, BERT's for one, which would
            otherwise read each as the unknown token.
        normalise_texts (`bool`, *optional*, defaults to `False`): Whether texts are normalised before tokenisation, in
            training and use alike, see `normalise_text` in `normalisation_emodistill.py`; includes `spell_emoji`.
        language (`str`, *optional*, defaults to `"en"`): The language of the texts it reads: with `"en"`, the pipeline
            warns once of a text that is clearly in another one. `None` for a model of several languages.
        dimension_names (`list[str]`, *optional*, defaults to valence, arousal and dominance):
            Outputs of the dimension head, on the 1 to 9 scale of the lexicon it was trained on.
        reference_words (`list[str]`, *optional*):
            Plain emotion words over which the labels of a set are extended when texts are decided, see
            `extend_labels` in `rules_emodistill.py`; the checkpoint holds their embeddings. None by default.
        reference_priors (`bool`, *optional*, defaults to `False`): Whether the checkpoint also holds how common each
            of these words is among texts.
        decision (`dict`, *optional*): Constants of the decision rules, see [`DecisionConstants`]. Training replaces
            them by the ones chosen on held-out source texts; nothing of a target set enters.

    Example:

    ```python
    >>> from emodistill import EmoDistillConfig

    >>> config = EmoDistillConfig(text_config={"model_type": "bert", "hidden_size": 384}, pooling="mean")
    >>> config.label_config.hidden_size
    384

    ```
    """

    model_type = "emodistill"
    sub_configs = {"text_config": AutoConfig, "label_config": AutoConfig}

    def __init__(
        self,
        text_config=None,
        label_config=None,
        projection_dim=384,
        pooling="both",
        num_queries=8,
        num_qformer_layers=1,
        num_qformer_heads=None,
        qformer_intermediate_size=None,
        qformer_dropout=0.1,
        freeze_label_encoder=False,
        tie_word_embeddings=False,
        logit_scale_init=10.0,
        logit_bias_init=-4.0,
        text_max_length=None,
        label_max_length=32,
        spell_emoji=False,
        normalise_texts=False,
        language="en",
        dimension_names=("valence", "arousal", "dominance"),
        reference_words=(),
        reference_priors=False,
        decision=None,
        **kwargs,
    ):
        if pooling not in POOLINGS:
            raise ValueError(f"pooling must be one of {', '.join(POOLINGS)}, not {pooling!r}")
        self._custom_pipelines = _without_defaults(kwargs.pop("custom_pipelines", None) or {})
        self.text_config = _nested(text_config if text_config is not None else {}, "text_config")
        label_config = label_config if label_config is not None else self.text_config.to_dict()
        self.label_config = _nested(label_config, "label_config")
        self.projection_dim = projection_dim
        self.pooling = pooling
        self.num_queries = num_queries
        self.num_qformer_layers = num_qformer_layers
        self.num_qformer_heads = num_qformer_heads or max(1, self.text_config.hidden_size // 64)
        self.qformer_intermediate_size = qformer_intermediate_size or 4 * self.text_config.hidden_size
        self.qformer_dropout = qformer_dropout
        self.freeze_label_encoder = freeze_label_encoder
        self.logit_scale_init = logit_scale_init
        self.logit_bias_init = logit_bias_init
        self.label_max_length = label_max_length
        self.spell_emoji = spell_emoji
        self.normalise_texts = normalise_texts
        self.language = language
        self.dimension_names = _names(dimension_names or (), "dimension_names")
        self.reference_words = _names(reference_words or (), "reference_words")
        self.reference_priors = bool(reference_priors)
        constants = DecisionConstants() if decision is None else DecisionConstants.from_config(decision)
        self.decision = asdict(constants)
        positions = _positions(self.text_config)
        if text_max_length is None:
            text_max_length = min(128, positions or 128)
        if positions and isinstance(text_max_length, int) and text_max_length > positions:
            raise ValueError(f"text_max_length {text_max_length} exceeds the text encoder's {positions} positions")
        self.text_max_length = text_max_length
        _check(self)
        if tie_word_embeddings and not _same_embeddings(self.text_config, self.label_config):
            raise ValueError("tie_word_embeddings needs encoders of one vocabulary and one hidden size")
        super().__init__(**kwargs)
        self.tie_word_embeddings = tie_word_embeddings

    @property
    def hidden_size(self):
        """`int`: width of the text tower, by the name that other libraries look for."""
        return self.text_config.hidden_size

    # transformers asks for `trust_remote_code` wherever a configuration names a custom pipeline for the task, although
    # the installed package has its own task registered. So the installed class hides that one, while the class loaded
    # as remote code, which has nothing registered, shows all.
    @property
    def custom_pipelines(self):
        """`dict`: pipelines a Hub copy of this model names, less the one that the installed package registers."""
        if type(self).__module__.startswith("transformers_modules."):
            return self._custom_pipelines
        return {task: info for task, info in self._custom_pipelines.items() if task != CUSTOM_TASKS[0]}

    @custom_pipelines.setter
    def custom_pipelines(self, value):
        self._custom_pipelines = _without_defaults(value or {})

    def save_pretrained(self, save_directory, **kwargs):
        """As `PreTrainedConfig.save_pretrained`, and with all the code: models and pipelines save through here.

        Every save names the pipelines and brings their file, also after a load as remote code, where transformers
        would name the file and leave it out.
        """
        # transformers finds the files that belong together by their relative imports: with this one whoever fetches
        # or saves this file takes the pipeline's along.
        from .pipeline_emodistill import ZeroShotEmotionPipeline

        module, name = ZeroShotEmotionPipeline.__module__.split(".")[-1], ZeroShotEmotionPipeline.__name__
        entry = {"impl": f"{module}.{name}", "pt": ["AutoModel"], "type": "text"}
        self._custom_pipelines = {**self._custom_pipelines, **{task: dict(entry) for task in CUSTOM_TASKS}}
        super().save_pretrained(save_directory, **kwargs)

    def to_dict(self):
        """The configuration as a dictionary, custom pipelines included."""
        output = super().to_dict()
        if custom := output.pop("_custom_pipelines", None):
            output["custom_pipelines"] = custom
        for nested in ("text_config", "label_config"):
            output[nested].pop("_name_or_path", None)  # a folder on the machine where the encoder was loaded
        return output


# What encoders call their dropout: BERT and its kin, DistilBERT, ModernBERT
ATTENTION_DROPOUT = ("attention_probs_dropout_prob", "attention_dropout")
STATE_DROPOUT = ("hidden_dropout_prob", "dropout", "embedding_dropout", "mlp_dropout")


def set_dropout(config, attention=None, states=None):
    """
    Replace the dropout that an encoder is built with.

    Args:
        config (`PreTrainedConfig`): Of the encoder; changed in place.
        attention (`float`, *optional*): Of its attention weights; `None` leaves them as they are.
        states (`float`, *optional*): Of its states, likewise.

    Example:

    ```python
    >>> from transformers import BertConfig
    >>> from emodistill.configuration_emodistill import set_dropout

    >>> config = BertConfig()
    >>> set_dropout(config, attention=0.0)
    >>> config.attention_probs_dropout_prob, config.hidden_dropout_prob
    (0.0, 0.1)

    ```
    """
    for value, names in ((attention, ATTENTION_DROPOUT), (states, STATE_DROPOUT)):
        for name in names if value is not None else ():
            if hasattr(config, name):
                setattr(config, name, value)


MOST_LAYERS = 1000  # more than any encoder has: a slip of zeros would be built for hours


def _whole(value):
    return isinstance(value, int) and not isinstance(value, bool)


def _finite(value):
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


# What a field must be: its words, and the test.
KINDS = {
    "a positive integer": lambda value: _whole(value) and value > 0,
    f"an integer from 1 to {MOST_LAYERS}": lambda value: _whole(value) and 0 < value <= MOST_LAYERS,
    "an integer from 0": lambda value: value is None or (_whole(value) and value >= 0),
    "a finite number": _finite,
    "a number from 0 to below 1": lambda value: _finite(value) and 0 <= value < 1,
    "a number above 0 and at most 0.1": lambda value: _finite(value) and 0 < value <= 0.1,
    "true or false": lambda value: isinstance(value, bool),
    "a list of names": lambda value: all(isinstance(name, str) for name in value),
}
FIELDS = {
    "a positive integer": (
        "projection_dim", "num_queries", "num_qformer_heads", "qformer_intermediate_size", "text_max_length",
        "label_max_length",
    ),
    f"an integer from 1 to {MOST_LAYERS}": ("num_qformer_layers",),
    "a number from 0 to below 1": ("qformer_dropout",),
    "a finite number": ("logit_scale_init", "logit_bias_init"),
    "true or false": ("freeze_label_encoder", "spell_emoji", "normalise_texts"),
    "a list of names": ("dimension_names", "reference_words"),
}  # fmt: skip
# Of a nested encoder, as far as its architecture has them: what would fail in the middle of a layer, or give numbers.
ENCODER_FIELDS = {
    "a positive integer": ("hidden_size", "num_attention_heads", "intermediate_size", "vocab_size"),
    f"an integer from 1 to {MOST_LAYERS}": ("num_hidden_layers",),
    "an integer from 0": ("pad_token_id",),
    "a number from 0 to below 1": (*ATTENTION_DROPOUT, *STATE_DROPOUT),
    "a number above 0 and at most 0.1": ("layer_norm_eps", "norm_eps"),
}
SHIFTED = ("camembert", "mpnet", "roberta", "xlm-roberta")  # their positions begin behind that of padding


def _check(config):
    """Tell a wrong value by its name, before it fails in the middle of a layer."""
    _check_fields(config, FIELDS, "")
    _check_heads(config.text_config.hidden_size, config.num_qformer_heads, "num_qformer_heads")


def _check_fields(config, fields, of):
    for kind, names in fields.items():
        for name in names:
            value = getattr(config, name)
            if not KINDS[kind](value):
                raise ValueError(f"{name} in the configuration{of} must be {kind}, not {value!r}")


def _check_heads(width, heads, name):
    if width % heads:
        raise ValueError(f"{name} in the configuration must divide the hidden size {width}, which {heads} does not")


def _check_encoder(config, name):
    """As [`_check`], for a nested encoder."""
    fields = {kind: [field for field in names if hasattr(config, field)] for kind, names in ENCODER_FIELDS.items()}
    _check_fields(config, fields, f", {name},")
    heads = getattr(config, "num_attention_heads", None)
    if heads is not None and getattr(config, "head_dim", None) is None:
        _check_heads(config.hidden_size, heads, f"num_attention_heads of {name}")
    padding = getattr(config, "pad_token_id", None)
    if padding is not None and padding >= config.vocab_size:
        raise ValueError(
            f"pad_token_id in the configuration, {name}, must be below the vocabulary's size {config.vocab_size}, "
            f"not {padding}"
        )
    for field in ("hidden_act", "hidden_activation", "activation"):
        _check_activation(getattr(config, field, "gelu"), f"{field} in the configuration, {name},")


def _check_activation(value, told):
    if value == "gelu":  # as nearly always, and no reason to load torch
        return
    from transformers.activations import ACT2FN

    if not isinstance(value, str) or value not in ACT2FN:
        raise ValueError(f"{told} must be a function that transformers knows, gelu say, not {value!r}")


def _positions(config):
    """`int` or `None`: tokens that an encoder has positions for."""
    positions = getattr(config, "max_position_embeddings", None)
    if not _whole(positions):
        return None
    return positions - 1 - (config.pad_token_id or 0) if config.model_type in SHIFTED else positions


def _nested(config, name):
    """A nested encoder configuration from a dictionary with `model_type`, or as given."""
    if isinstance(config, PreTrainedConfig):
        _check_encoder(config, name)
        return config
    if not isinstance(config, Mapping):
        raise ValueError(f"{name} in the configuration must be a dict or a PreTrainedConfig, not {config!r}")
    values = dict(config)
    kind = values.pop("model_type", "bert")
    if kind not in CONFIG_MAPPING:
        raise ValueError(f"{name} in the configuration names the encoder {kind!r}, which this transformers lacks")
    try:
        encoder = AutoConfig.for_model(kind, **values)
    except Exception as error:  # each architecture checks its values in its own way
        words = " ".join(str(error).split())
        raise ValueError(f"{name} in the configuration does not fit the encoder {kind!r} ({words})") from error
    _check_encoder(encoder, name)
    return encoder


def _names(value, name):
    """A list of names, which must not be one string."""
    if isinstance(value, str) or not isinstance(value, Iterable):
        raise ValueError(f"{name} in the configuration must be a list of names, not {value!r}")
    return list(value)


def _same_embeddings(first, second):
    return first.vocab_size == second.vocab_size and first.hidden_size == second.hidden_size


def _without_defaults(pipelines):
    """Custom pipelines less their default model, which for this package is a path on one machine."""
    return {task: {key: entry for key, entry in info.items() if key != "default"} for task, info in pipelines.items()}
