"""What is measured: a checkpoint, the baselines of the same run, and other zero-shot models by path.

A system turns texts and labels into `LabelScores` and opposing labels into dimension scores; what those scores are
worth is decided elsewhere. Systems that embed share one class, so that a raw encoder, an untrained model and two
checkpoints meet the same rules.
"""

import contextlib
from dataclasses import dataclass

import numpy as np

from .cache import EmbeddingCache
from .readers import SINGLE_LABEL

__all__ = [
    "BACKGROUND_TEXTS",
    "POLES",
    "EmbeddingSystem",
    "LabelScores",
    "PairSystem",
    "background_of",
    "load_gliclass",
    "load_nli",
    "load_raw_encoder",
    "load_system",
    "untrained_like",
]

# Opposing labels of each dimension. The first of each side is the paper's single pair; the others make the average
# steadier. They were written down before any measurement and are not tuned.
POLES = {
    "valence": (
        ("happy", "joyful", "content", "grateful", "loving", "hopeful", "proud"),
        ("sad", "angry", "afraid", "disgusted", "ashamed", "hopeless", "hurt"),
    ),
    "arousal": (
        ("excited", "furious", "terrified", "ecstatic", "panicked", "enraged", "thrilled"),
        ("calm", "relaxed", "bored", "tired", "peaceful", "serene", "sleepy"),
    ),
    "dominance": (
        ("in control", "powerful", "confident", "proud", "determined", "bold", "triumphant"),
        ("helpless", "powerless", "insecure", "ashamed", "overwhelmed", "intimidated", "submissive"),
    ),
}
BACKGROUND_TEXTS = 2000  # a mean and a covariance need no more, and it keeps baselines cheap
NLI_TEMPLATE = "The writer of this text feels {}."


@dataclass
class LabelScores:
    """Scores of one system on one benchmark.

    Args:
        similarities: `(texts, labels)`, the system's scores before any decision; where a checkpoint extends the labels
            of a set, similarities to the extended ones, so that all protocols decide on the same scores.
        strict (*optional*): `(texts, labels)` probabilities made without anything of the target.
        transductive (*optional*): `(texts, labels)` probabilities with the target texts as background.
        calibration (*optional*): `(calibration texts, labels)` raw scores of the calibration split.
        standardised (*optional*): `(texts, labels)`, deviations above the source background.
    """

    similarities: np.ndarray
    strict: np.ndarray | None = None
    transductive: np.ndarray | None = None
    calibration: np.ndarray | None = None
    standardised: np.ndarray | None = None


def background_of(embeddings):
    """Mean and covariance of embeddings, as tensors."""
    import torch

    embeddings = torch.as_tensor(np.asarray(embeddings), dtype=torch.float64)
    return embeddings.mean(dim=0).float(), torch.cov(embeddings.T).float()


class EmbeddingSystem:
    """A dual encoder with its decision rules.

    Args:
        name (`str`): Its name in the tables.
        model (`EmoDistillModel`): The model.
        tokenizer: Its tokenizer.
        cache (`EmbeddingCache`, *optional*): Where embeddings are kept.
        trained_dimensions (`bool`): Whether the dimension head means anything.
        batch_size (`int`): Windows in a batch.
        quiet (`bool`): No progress bars.
        autocast (`bool`): Compute in bf16, for baselines whose third decimal does not matter.
    """

    kind = "embeddings"

    def __init__(
        self, name, model, tokenizer, cache=None, trained_dimensions=True, batch_size=32, quiet=True, autocast=False
    ):
        from ..decision_emodistill import DecisionConstants
        from ..fingerprint import embedding_fingerprint

        self.model, self.tokenizer, self.autocast = model.eval(), tokenizer, autocast
        self._know(name, model.config, model.statistics, cache, batch_size, quiet)
        self.has_dimensions = trained_dimensions and model.dimension_head is not None
        self.constants = DecisionConstants.from_config(model.config)
        self.fingerprint = embedding_fingerprint(model, tokenizer, "bf16" if autocast else "fp32")

    def _know(self, name, config, statistics, cache, batch_size, quiet):
        self.name, self.statistics, self.background = name, statistics, statistics.background
        self.dimension_names = list(config.dimension_names)
        self.cache, self.batch_size, self.quiet = cache or EmbeddingCache(None), batch_size, quiet
        self.known = {}  # text to its embedding: sets share texts, and a text is encoded once a run

    def encode_texts(self, texts):
        """`(texts, d)` float32, from memory or the cache where they have them."""

        def compute(texts):
            from ..serving.rows import Shard
            from ..serving.run import ScoringProgress

            with contextlib.closing(ScoringProgress(len(texts), self.quiet, name=self.name)) as progress:
                return self._embed(texts, progress.of_shard(Shard(0, texts)))

        missing = [text for text in dict.fromkeys(texts) if text not in self.known]
        if missing:
            self.known.update(zip(missing, self.cache.get(self.fingerprint, missing, compute), strict=True))
        return np.stack([self.known[text] for text in texts])

    def _embed(self, texts, progress):
        from ..encoding_emodistill import encode_texts

        return encode_texts(self.model, self.tokenizer, texts, self.batch_size, self.autocast, progress).cpu().numpy()

    def read_dimensions(self, embeds):
        """`(texts, dimensions)` float32 of embeddings, from 1 to 9: what the dimension head says."""
        import torch

        with torch.no_grad():
            return self.model.get_dimensions(torch.as_tensor(embeds).to(self.model.device)).cpu().numpy()

    def encode_labels(self, labels):
        """`(labels, d)` float32."""
        from ..encoding_emodistill import encode_labels

        return encode_labels(self.model, self.tokenizer, list(labels)).cpu().numpy()

    def use_background(self, texts):
        """Standardise against these source texts, for a system whose checkpoint brings no background."""
        self.background = background_of(self.encode_texts(texts))

    def label_scores(self, task, texts, labels, calibration_texts=None):
        """`LabelScores` of texts against a label set."""
        import torch

        from .. import decision_emodistill as decision

        embeds = torch.from_numpy(self.encode_labels(decision.neutral_wording(labels)))
        label_set = decision.EmbeddedLabels(labels, embeds)
        text_embeds = torch.from_numpy(self.encode_texts(texts))
        # Whatever texts are standardised over, labels are extended by what the checkpoint itself knows.
        directions = label_set.extended(self.statistics, self.constants)
        similarities = text_embeds @ directions.T
        calibration = None
        if calibration_texts is not None:
            calibration = self.encode_texts(calibration_texts) @ directions.numpy().T
        standardised = None
        if self.background is not None:
            standardised = decision.standardise(similarities, directions, self.background).numpy()
        return LabelScores(
            similarities.numpy(),
            strict=self.probabilities(task, text_embeds, label_set, self.background),
            transductive=self.transductive(task, text_embeds, label_set),
            calibration=calibration,
            standardised=standardised,
        )

    def probabilities(self, task, text_embeds, label_set, background, constants=None):
        """Probabilities by the package's own decision rules, `None` without a background where one is needed."""
        from ..decision_emodistill import score_labels

        if background is None and task != SINGLE_LABEL:
            return None
        return score_labels(
            text_embeds,
            label_set,
            self.statistics,
            constants or self.constants,
            multi_label=task != SINGLE_LABEL,
            background=background,
        ).numpy()

    def transductive(self, task, text_embeds, label_set):
        """Probabilities with the target's own texts as background; single labels are centred on it in full."""
        from dataclasses import replace

        if len(text_embeds) < 2:
            return None
        constants = replace(self.constants, single_label_centering=1.0)
        return self.probabilities(task, text_embeds, label_set, background_of(text_embeds), constants)

    def dimension_scores(self, texts, dimensions, scale):
        """Predicted dimensions by each readout.

        Args:
            texts (`list[str]`): The texts.
            dimensions (`tuple[str]`): Names, keys of `POLES`.
            scale (`tuple[float, float]`): The benchmark's scale, onto which the head's 1 to 9 is mapped linearly.

        Returns:
            `dict[str, np.ndarray]`: `(texts, dimensions)` for `head` (where trained), `pair` and `poles`.
        """
        import torch

        from ..decision_emodistill import dimension_scores

        text_embeds = torch.from_numpy(self.encode_texts(texts))
        readouts = {"pair": [], "poles": []}
        for dimension in dimensions:
            high, low = (torch.from_numpy(self.encode_labels(pole)) for pole in POLES[dimension])
            readouts["pair"].append(dimension_scores(text_embeds, high[:1], low[:1]).numpy())
            readouts["poles"].append(dimension_scores(text_embeds, high, low).numpy())
        result = {name: np.stack(columns, axis=1) for name, columns in readouts.items()}
        names = self.dimension_names
        if self.has_dimensions and all(dimension in names for dimension in dimensions):
            head = self.read_dimensions(text_embeds)[:, [names.index(dimension) for dimension in dimensions]]
            result = {"head": scale[0] + (head - 1) / 8 * (scale[1] - scale[0]), **result}
        return result


class ExportSystem(EmbeddingSystem):
    """An exported model with the decision rules of its checkpoint: what a precision costs, set by set.

    Args:
        name (`str`): Its name in the tables.
        classify ([`OnnxEmotionClassifier`]): The export.
        cache, batch_size, quiet: As for [`EmbeddingSystem`].
    """

    model = None

    def __init__(self, name, classify, cache=None, batch_size=32, quiet=True):
        self.classify = classify
        self._know(name, classify.config, _as_tensors(classify.statistics), cache, batch_size, quiet)
        self.has_dimensions, self.constants = bool(self.dimension_names), classify.constants
        self.fingerprint = classify.digest()

    def _embed(self, texts, progress):
        classify = self.classify
        return classify.embed_tokenized(classify.tokenize_texts(texts), self.batch_size, progress)

    def read_dimensions(self, embeds):
        return np.asarray(self.classify._head(np.asarray(embeds)), dtype=np.float32)

    def encode_labels(self, labels):
        return np.asarray(self.classify.encode_labels(list(labels)))


def _as_tensors(statistics):
    """[`LabelStatistics`] of an export, whose arrays are numpy's."""
    import torch

    def tensors(value):
        if isinstance(value, tuple):
            return tuple(map(tensors, value))
        return torch.tensor(value) if isinstance(value, np.ndarray) else value

    return type(statistics)(**{name: tensors(value) for name, value in vars(statistics).items()})


class PairSystem:
    """A system that reads each text with each label: NLI or GLiClass.

    Args:
        name (`str`): Its name in the tables.
        score (`Callable`): Takes texts and labels, gives `(texts, labels)` probabilities.
    """

    kind = "pairs"

    def __init__(self, name, score):
        self.name, self.score = name, score

    def label_scores(self, task, texts, labels, calibration_texts=None):
        """`LabelScores`; `strict` is the model's own probability (softmax-free: the best one wins for one label)."""
        scores = self.score(texts, labels)
        calibration = None if calibration_texts is None else self.score(calibration_texts, labels)
        return LabelScores(scores, strict=scores, calibration=calibration)

    def dimension_scores(self, texts, dimensions, scale):
        """`pair` alone: each opposing pole costs a pass over all texts."""
        columns = []
        for dimension in dimensions:
            (high, *_), (low, *_) = POLES[dimension]
            scores = self.score(texts, (high, low))
            columns.append(scores[:, 0] - scores[:, 1])
        return {"pair": np.stack(columns, axis=1)}


def load_system(path, name=None, **options):
    """A trained checkpoint as a system.

    Args:
        path (`str`): "small", "base", a folder or a Hub id.
        name (`str`, *optional*): Its name in the tables; the last part of the path by default.
        options: See `EmbeddingSystem`.
    """
    import torch

    from .. import loading
    from ..serving.load import load_export

    name = name or str(path).rstrip("/").rsplit("/", 1)[-1]
    if (exported := load_export(path)) is not None:
        return ExportSystem(name, exported, **options)
    model, tokenizer = loading.load_checkpoint(path)
    if torch.accelerator.is_available():
        model.to(torch.accelerator.current_accelerator())
    return EmbeddingSystem(name, model, tokenizer, **options)


def load_raw_encoder(path, name="raw encoder", **options):
    """A pretrained encoder with mean pooling in both towers: plain cosine similarity of text and label."""
    import torch
    from transformers import AutoConfig, AutoTokenizer

    from ..modeling_emodistill import EmoDistillModel

    width = AutoConfig.from_pretrained(path).hidden_size
    with torch.random.fork_rng():
        torch.manual_seed(0)  # parts that take no part here start at random, and must not change the fingerprint
        model = EmoDistillModel.from_encoders(path, pooling="mean", projection_dim=width)
    return EmbeddingSystem(name, model, AutoTokenizer.from_pretrained(path), trained_dimensions=False, **options)


def untrained_like(system, seed=0):
    """The same architecture with random weights: what its shape and tokenizer alone are worth."""
    import torch

    from ..modeling_emodistill import EmoDistillModel

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = EmoDistillModel(system.model.config)
    return EmbeddingSystem("untrained", model, system.tokenizer, system.cache, False, system.batch_size, system.quiet)


def load_nli(path, name=None, batch_size=32, template=NLI_TEMPLATE):
    """A natural-language-inference model as a zero-shot classifier (Yin et al. 2019).

    Args:
        path (`str`): A folder or Hub id with real weights and an `entailment` class.
        name (`str`, *optional*): Its name in the tables.
        batch_size (`int`): Pairs in a batch.
        template (`str`): The hypothesis, with `{}` for the label.
    """
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(path).eval()
    tokenizer = AutoTokenizer.from_pretrained(path)
    classes = {name.lower(): index for index, name in model.config.id2label.items()}
    if "entailment" not in classes:
        raise ValueError(f"--nli: {path} has no class called entailment; it has {', '.join(classes)}.")
    entailment = classes["entailment"]
    against = classes.get("contradiction", classes.get("not_entailment"))

    @torch.no_grad()
    def score(texts, labels):
        pairs = [(text, template.format(label)) for text in texts for label in labels]
        order = sorted(range(len(pairs)), key=lambda index: len(pairs[index][0]))
        result = np.zeros(len(pairs), dtype=np.float32)
        for start in range(0, len(order), batch_size):
            chosen = order[start : start + batch_size]
            premises, hypotheses = zip(*(pairs[index] for index in chosen), strict=True)
            encoded = tokenizer(
                list(premises), list(hypotheses), padding=True, truncation="only_first", return_tensors="pt"
            )
            logits = model(**encoded).logits
            kept = logits if against is None else logits[:, [against, entailment]]
            place = entailment if against is None else 1
            result[chosen] = kept.softmax(dim=-1)[:, place].numpy()
        return result.reshape(len(texts), len(labels))

    return PairSystem(name or f"NLI ({str(path).rstrip('/').rsplit('/', 1)[-1]})", score)


def load_gliclass(path, name=None, batch_size=16):
    """A GLiClass model, through the `gliclass` library.

    Args:
        path (`str`): A folder or Hub id with real weights.
        name (`str`, *optional*): Its name in the tables.
        batch_size (`int`): Texts in a batch.
    """
    try:
        from gliclass import GLiClassModel, ZeroShotClassificationPipeline
    except ImportError as error:
        raise ImportError("--gliclass needs the gliclass package: pip install gliclass") from error
    from transformers import AutoTokenizer

    pipeline = ZeroShotClassificationPipeline(
        GLiClassModel.from_pretrained(path),
        AutoTokenizer.from_pretrained(path),
        classification_type="multi-label",
        device="cpu",
    )

    def score(texts, labels):
        places = {label: index for index, label in enumerate(labels)}
        result = np.zeros((len(texts), len(labels)), dtype=np.float32)
        found = pipeline(list(texts), list(labels), threshold=0.0, batch_size=batch_size)
        for row, entries in enumerate(found):
            for entry in entries:
                result[row, places[entry["label"]]] = entry["score"]
        return result

    return PairSystem(name or f"GLiClass ({str(path).rstrip('/').rsplit('/', 1)[-1]})", score)
