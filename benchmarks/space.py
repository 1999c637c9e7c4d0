"""The space itself: does it order emotions as people do, and can it find a descriptor among many?

Emotional alignment compares cosines between labels with their distances in valence, arousal and dominance, and
antonyms with synonyms. Retrieval asks for a text's own descriptor among 50, 200 and 1,000 candidates.
"""

import numpy as np
from scipy import stats
from sklearn.metrics import roc_auc_score

from ..descriptors.lexicon import load_lexicon
from ..descriptors.rows import load_rows

__all__ = ["alignment", "emotion_space", "opposition", "pairwise_alignment", "ratings_of", "retrieval", "space_result"]

# Pairs written for this measure, none tuned on a model. A good space puts synonyms nearer than antonyms; a plain
# sentence encoder does not, because opposites occur in the same contexts.
SYNONYMS = (
    ("happy", "joyful"), ("sad", "sorrowful"), ("angry", "furious"), ("afraid", "scared"), ("calm", "peaceful"),
    ("disgusted", "revolted"), ("surprised", "astonished"), ("proud", "honored"), ("ashamed", "humiliated"),
    ("guilty", "remorseful"), ("grateful", "thankful"), ("hopeful", "optimistic"), ("hopeless", "despairing"),
    ("anxious", "worried"), ("lonely", "isolated"), ("bored", "uninterested"), ("tired", "weary"),
    ("confident", "self-assured"), ("insecure", "self-doubting"), ("jealous", "envious"), ("loving", "affectionate"),
    ("hateful", "loathing"), ("excited", "thrilled"), ("content", "satisfied"), ("annoyed", "irritated"),
    ("confused", "bewildered"), ("curious", "intrigued"), ("amused", "entertained"), ("admiring", "impressed"),
    ("contemptuous", "scornful"), ("trusting", "believing"), ("suspicious", "distrustful"), ("relieved", "reassured"),
    ("disappointed", "let down"), ("grieving", "mourning"), ("nostalgic", "wistful"),
)  # fmt: skip
ANTONYMS = (
    ("happy", "unhappy"), ("happy", "sad"), ("joyful", "miserable"), ("love", "hate"), ("calm", "agitated"),
    ("calm", "excited"), ("afraid", "fearless"), ("angry", "pleased"), ("proud", "ashamed"),
    ("grateful", "ungrateful"), ("hopeful", "hopeless"), ("optimism", "pessimism"), ("anxious", "relaxed"),
    ("lonely", "connected"), ("bored", "fascinated"), ("tired", "energetic"), ("confident", "insecure"),
    ("loving", "hateful"), ("excited", "bored"), ("satisfied", "dissatisfied"), ("content", "discontented"),
    ("confused", "certain"), ("curious", "indifferent"), ("amused", "offended"), ("admiring", "contemptuous"),
    ("trust", "distrust"), ("trusting", "suspicious"), ("relieved", "worried"), ("disappointed", "delighted"),
    ("approval", "disapproval"), ("comfortable", "uncomfortable"), ("in control", "helpless"),
    ("powerful", "powerless"), ("enthusiastic", "apathetic"), ("tender", "cruel"), ("guilty", "innocent"),
)  # fmt: skip
CANDIDATES = (50, 200, 1000)
SHOWN_LABELS = (
    "admiration", "amusement", "anger", "annoyance", "anticipation", "anxiety", "awe", "boredom", "calm", "caring",
    "confidence", "confusion", "contempt", "contentment", "curiosity", "desire", "despair", "disappointment",
    "disapproval", "disgust", "embarrassment", "enthusiasm", "envy", "excitement", "fear", "fury", "gratitude",
    "grief", "guilt", "hatred", "helplessness", "hope", "indifference", "joy", "loneliness", "love", "melancholy",
    "nervousness", "nostalgia", "optimism", "panic", "pessimism", "pity", "pride", "relief", "remorse", "sadness",
    "serenity", "shame", "surprise", "tenderness", "trust",
)  # fmt: skip


def pairwise_alignment(embeddings, ratings):
    """Spearman correlation between cosine and negative distance over all pairs of labels.

    Args:
        embeddings: `(labels, d)`, L2-normalised.
        ratings: `(labels, dimensions)`; each dimension is standardised first, so that none dominates.

    Returns:
        `float`: 1 if nearer in feeling is always nearer in the space; `nan` for fewer than three labels.
    """
    embeddings, ratings = np.asarray(embeddings, float), np.asarray(ratings, float)
    if len(embeddings) < 3:
        return float("nan")
    spread = ratings.std(axis=0)
    scaled = (ratings - ratings.mean(axis=0)) / np.where(spread > 0, spread, 1)
    upper = np.triu_indices(len(embeddings), k=1)
    squares = (scaled**2).sum(axis=1)
    distance = np.sqrt(np.maximum(squares[:, None] + squares[None, :] - 2 * scaled @ scaled.T, 0))[upper]
    return float(stats.spearmanr((embeddings @ embeddings.T)[upper], -distance).statistic)


def opposition(encode):
    """Cosines of synonyms and antonyms.

    Args:
        encode (`Callable`): Takes labels, gives `(labels, d)` L2-normalised embeddings.

    Returns:
        `dict`: mean cosine of `synonyms` and `antonyms`, their `gap`, and `auc`, the probability that a synonym pair
        is nearer than an antonym pair.
    """
    words = sorted({word for pair in SYNONYMS + ANTONYMS for word in pair})
    vectors = dict(zip(words, np.asarray(encode(words)), strict=True))
    near, far = ([float(vectors[a] @ vectors[b]) for a, b in pairs] for pairs in (SYNONYMS, ANTONYMS))
    truth = [1] * len(near) + [0] * len(far)
    return {
        "synonyms": float(np.mean(near)),
        "antonyms": float(np.mean(far)),
        "gap": float(np.mean(near) - np.mean(far)),
        "auc": float(roc_auc_score(truth, near + far)),
    }


def alignment(system, ratings, held_out=(), most=1500, seed=0):
    """Emotional alignment of one system's label space.

    Args:
        system (`EmbeddingSystem`): Gives `encode_labels`.
        ratings (`dict[str, tuple]`): Valence, arousal and dominance of each descriptor.
        held_out (`set[str]`): Descriptors that no training saw, measured apart.
        most (`int`): Descriptors drawn from a larger lexicon; pairs grow with its square.
        seed (`int`): Seed of the draw.

    Returns:
        `dict`: `seen` and `held_out` (Spearman), their numbers of descriptors, and the values of `opposition`.
    """
    generator = np.random.default_rng(seed)
    result = {}
    for name, words in (
        ("seen", sorted(set(ratings) - set(held_out))),
        ("held_out", sorted(set(ratings) & set(held_out))),
    ):
        if len(words) > most:
            words = sorted(generator.choice(words, most, replace=False).tolist())
        values = np.array([ratings[word] for word in words])
        result[name] = pairwise_alignment(system.encode_labels(words), values) if len(words) >= 3 else float("nan")
        result[f"{name}_descriptors"] = len(words)
    return result | opposition(system.encode_labels)


def retrieval(system, rows, vocabulary, held_out, sizes=CANDIDATES, seed=0, most=2000):
    """Ranks of a text's own descriptor among random others.

    Args:
        system (`EmbeddingSystem`): Gives embeddings and a background, if it has one.
        rows (`list[dict]`): Texts that no training saw, with `text` and `labels`.
        vocabulary (`list[str]`): Where other candidates come from; the text's own descriptors never count as wrong.
        held_out (`set[str]`): The descriptors to look for; all of them where empty.
        sizes (`tuple[int]`): Numbers of candidates; one larger than the vocabulary is left out.
        seed (`int`): Seed of the candidates.
        most (`int`): Most (text, descriptor) pairs.

    Returns:
        `dict[str, dict]`: for each size `recall_at_1`, `recall_at_5`, `mrr` (mean reciprocal rank, ties at their
        mean rank) and `pairs`; empty where no text has such a descriptor.
    """
    import torch

    from ..decision_emodistill import standardise

    pairs = [(row, label) for row in rows for label in row["labels"] if not held_out or label in held_out]
    if not pairs:
        return {}
    generator = np.random.default_rng(seed)
    if len(pairs) > most:
        pairs = [pairs[i] for i in sorted(generator.choice(len(pairs), most, replace=False))]
    vocabulary = sorted(set(vocabulary) | {label for _, label in pairs})
    places = {label: index for index, label in enumerate(vocabulary)}
    label_embeds = torch.from_numpy(system.encode_labels(vocabulary))
    scores = torch.from_numpy(system.encode_texts([row["text"] for row, _ in pairs])) @ label_embeds.T
    if system.background is not None:
        scores = standardise(scores, label_embeds, system.background)
    scores, result = scores.numpy(), {}
    # One order of the vocabulary a pair, cut at each size: larger sets contain the smaller ones.
    orders = [generator.permutation(len(vocabulary)) for _ in pairs]
    for size in sizes:
        if size > len(vocabulary):
            continue
        ranks = []
        for (row, label), line, order in zip(pairs, scores, orders, strict=True):
            own = {places[name] for name in row["labels"] if name in places}
            others = order[~np.isin(order, list(own))][: size - 1]
            truth = line[places[label]]
            ranks.append(1 + (line[others] > truth).sum() + (line[others] == truth).sum() / 2)
        ranks = np.array(ranks)
        result[str(size)] = {
            "recall_at_1": float((ranks <= 1).mean()),
            "recall_at_5": float((ranks <= 5).mean()),
            "mrr": float((1 / ranks).mean()),
            "pairs": len(ranks),
        }
    return result


def ratings_of(entries):
    """Valence, arousal and dominance of a lexicon's descriptors, `dict[str, tuple]`."""
    return {word: (entry["valence"], entry["arousal"], entry["dominance"]) for word, entry in entries.items()}


def space_result(systems, data, lexicon_path=None):
    """Alignment and retrieval of every system that embeds, side by side.

    Args:
        systems (`list`): Systems; those that read pairs are left out.
        data (`str`): The descriptor data set: its validation texts and its vocabulary.
        lexicon_path (`str`, *optional*): The lexicon; the data set's own by default.

    Returns:
        `dict[str, dict]`: system to `alignment` and `retrieval`.
    """
    entries, held_out = load_lexicon(lexicon_path or data)
    ratings, rows = ratings_of(entries), load_rows(data, "validation") or []
    return {
        system.name: {
            "alignment": alignment(system, ratings, held_out),
            "retrieval": retrieval(system, rows, list(ratings), held_out),
        }
        for system in systems
        if system.kind == "embeddings"
    }


def emotion_space(system, ratings=None):
    """Labels, their embeddings and valence, for the picture of the space.

    Args:
        system (`EmbeddingSystem`): The system.
        ratings (`dict[str, tuple]`, *optional*): Valence first; without it the model's own pole axis colours.
    """
    from .systems import POLES

    embeddings = system.encode_labels(SHOWN_LABELS)
    if ratings and sum(label in ratings for label in SHOWN_LABELS) >= len(SHOWN_LABELS) // 2:
        kept = [index for index, label in enumerate(SHOWN_LABELS) if label in ratings]
        valence = [ratings[SHOWN_LABELS[index]][0] for index in kept]
    else:
        kept = range(len(SHOWN_LABELS))
        high, low = (system.encode_labels(pole).mean(axis=0) for pole in POLES["valence"])
        valence = embeddings @ (high - low)
    return {
        "system": system.name,
        "labels": [SHOWN_LABELS[index] for index in kept],
        "embeddings": np.round(embeddings[list(kept)], 4).tolist(),
        "valence": [float(value) for value in valence],
    }
