"""Is an export still the model it was made from? Asked of every one, on texts that come with the package."""

import numpy as np

__all__ = ["LIMITS", "TEXTS", "compare_with_checkpoint", "failures"]

# What an export may lose, by precision: a lower cosine, a larger difference of scores, or a larger share of texts with
# another best label, and it is refused. In fp32 a tie may fall either way.
LIMITS = {
    None: {"lowest_cosine": 0.99999, "largest_score_difference": 1e-4, "best_labels_changed": 0.0},
    "fp16": {"lowest_cosine": 0.999, "largest_score_difference": 0.05, "best_labels_changed": 0.05},
    "int8": {"lowest_cosine": 0.99, "largest_score_difference": 0.25, "best_labels_changed": 0.1},
}
TIE = 1e-3  # best labels nearer to each other than this are not told apart

LABEL_SETS = (
    ("joy", "anger", "sadness", "fear", "disgust", "surprise", "neutral"),
    ("admiration", "amusement", "annoyance", "caring", "confusion", "curiosity", "disappointment", "embarrassment",
     "excitement", "gratitude", "grief", "guilt", "jealousy", "loneliness", "love", "nervousness", "nostalgia",
     "pride", "relief", "remorse"),
    ("hopeful", "hopeless"),
)  # fmt: skip

# Short and long, plain and odd: what files of texts hold.
TEXTS = (
    "I can't believe we won, this is the best day of my life!",
    "My grandmother died on Sunday and the house is so quiet now.",
    "How dare you lie to me again after everything I did for you?",
    "There is someone in the garden and the phone is dead.",
    "The meeting is on Tuesday at ten, room 4.",
    "ok",
    "Thank you so much for staying with him all night.",
    "ugh, the bus left without me. AGAIN.",
    "lol my cat fell asleep in the salad bowl 😂😂",
    "I should never have said that to her. I feel awful about it.",
    "Why is he always the one who gets invited?",
    "The milk has gone off and it stinks of feet.",
    "Guess who passed her driving test on the fourth try!!! 🎉",
    "I miss the summers at the lake when we were ten.",
    "Nobody has called me for three weeks.",
    "She looked at me and I forgot my own name.",
    "Wait, so the shop is closed on Mondays or only this Monday?",
    "The results come back tomorrow and I cannot sleep.",
    "He finally apologised, and I could breathe again.",
    "Great, another update that breaks everything. Well done.",
    "I don't hate it, but I wouldn't go again.",
    "Not bad at all, honestly better than I had feared.",
    "Everyone laughed when I walked in with the dress tucked into my tights.",
    "Proud of my little brother, who read his first book aloud today.",
    "It is what it is.",
    "I'd rather not talk about it.",
    "you people make me sick",
    "What a strange and beautiful film; I sat there for ten minutes after the lights went on.",
    "The children are asleep, the rain has stopped, and the tea is still warm.",
    "If they cancel the flight once more I am going to scream.",
    "hm.",
    "¿Dónde estás? Te echo de menos.",
    "1 2 3 4 5",
    "https://example.org/a?b=c @someone #mood",
    "I was so sure that I had failed. I opened the letter in the car, with my mother beside me, and read the "
    "first line three times before I understood it. Then I laughed so loud that a man on the pavement turned "
    "round. We drove home with the windows down. My father had already bought a cake, just in case, he said, and "
    "if not we would have eaten it anyway. I am still shaking a little. I keep thinking of the winter, of all the"
    " evenings at that table, of how close I was to giving up in March. It was worth it. All of it was worth it, "
    "even the bad days, even the tears, and I want to tell everybody who is sitting at such a table now to hold "
    "on for a little while longer.",
)  # fmt: skip


def compare_with_checkpoint(original, exported, texts=TEXTS):
    """
    How far an export is from its checkpoint.

    Args:
        original ([`ZeroShotEmotionPipeline`]): The checkpoint.
        exported ([`OnnxEmotionClassifier`]): The export.
        texts (`Sequence[str]`, *optional*): Texts; built-in ones by default.

    Returns:
        `dict[str, float]`: `lowest_cosine` of text embeddings and `lowest_label_cosine`, `largest_score_difference`
        over three label sets with one label and with several, `largest_dimension_difference` in points, and
        `best_labels_changed`, a share of texts and sets; `texts`, their number.
    """
    texts = list(texts)
    pairs = [np.asarray(each.encode_texts(texts)) for each in (original, exported)]
    labels = [np.asarray(each.encode_labels([*LABEL_SETS[0], *LABEL_SETS[1]])) for each in (original, exported)]
    differences, changed, compared = [], 0, 0
    several = original.background is not None  # without one there is no automatic threshold
    for label_set in LABEL_SETS:
        for multi_label in (False, True):
            options = {"labels": list(label_set), "multi_label": multi_label, "threshold": None}
            first, second = original(texts, **options), exported(texts, **options)
            for ours, theirs in zip(first, second, strict=True):
                known = dict(zip(theirs["labels"], theirs["scores"], strict=True))
                differences += [
                    abs(score - known[name]) for name, score in zip(ours["labels"], ours["scores"], strict=True)
                ]
                if several or not multi_label:
                    compared += 1
                    tie = ours["scores"][0] - ours["scores"][1] < TIE
                    changed += ours["labels"][0] != theirs["labels"][0] and not tie
    figures = {
        "lowest_cosine": float((pairs[0] * pairs[1]).sum(axis=1).min()),
        "lowest_label_cosine": float((labels[0] * labels[1]).sum(axis=1).min()),
        "largest_score_difference": float(max(differences)),
        "largest_dimension_difference": _dimensions(original, exported, texts),
        "best_labels_changed": changed / compared,
    }
    return {**{name: round(value, 6) for name, value in figures.items()}, "texts": len(texts)}


def _dimensions(original, exported, texts):
    if not original.dimension_names:
        return 0.0
    rows = [
        [list(row["dimensions"].values()) for row in each(texts, dimensions=True)] for each in (original, exported)
    ]
    return float(np.abs(np.array(rows[0]) - np.array(rows[1])).max())


def failures(figures, quantize):
    """
    What an export loses beyond its limits.

    Args:
        figures (`dict[str, float]`): From [`compare_with_checkpoint`].
        quantize (`str` or `None`): The precision: `None` for fp32, `"fp16"` or `"int8"`.

    Returns:
        `list[str]`: a few words for each limit that is passed; empty for a good export.
    """
    limits = LIMITS[quantize]
    told = []
    for name in ("lowest_cosine", "lowest_label_cosine"):
        if not figures[name] >= limits["lowest_cosine"]:  # not a number fails too
            told.append(f"{name.replace('_', ' ')} {figures[name]:.4f} is below {limits['lowest_cosine']}")
    for name in ("largest_score_difference", "best_labels_changed"):
        if not figures[name] <= limits[name]:
            told.append(f"{name.replace('_', ' ')} {figures[name]:.4f} is above {limits[name]}")
    return told
