"""Robustness: the same feeling, written otherwise; and negation, where the feeling changes.

The sentences are the project's own. A surface change should leave scores as they are; a negation should not.
"""

import random

import numpy as np

__all__ = [
    "LABELS", "SENTENCES", "benchmark_rows", "negation_rows", "negation_summary", "perturbations", "surface_rows",
    "typos",
]  # fmt: skip

# Sentences that show an emotion without naming it, several of each.
SENTENCES = {
    "anger": (
        "They cancelled my flight again and nobody even apologised.",
        "He read my messages and then lied about it to my face.",
        "Third time this week they blocked my driveway, I have had it.",
        "She took the credit for all of my work in front of everyone.",
        "Stop shouting at my kids or I will come over there.",
        "What an absolute joke of a company, they stole my deposit.",
    ),
    "fear": (
        "There is someone in the garden and I am alone in the house.",
        "The doctor wants to see me again tomorrow and would not say why.",
        "The plane dropped so hard that people were screaming.",
        "I keep checking the locks, I cannot sleep anymore.",
        "My hands will not stop shaking since the phone call.",
        "The water is rising and we cannot reach the stairs.",
    ),
    "joy": (
        "We got the house! I am dancing in the empty kitchen.",
        "She said yes and I cannot stop smiling.",
        "Best birthday ever, everyone I love was in one room.",
        "My first marathon is done and the sun came out at the finish.",
        "The baby laughed for the first time today.",
        "School is out and the whole summer lies ahead of us.",
    ),
    "sadness": (
        "I still set the table for two and then remember.",
        "We had to say goodbye to our old dog this morning.",
        "Nobody came to the party, so I packed the cake away.",
        "The letter says she does not want to see me again.",
        "I have been crying in the car before every shift.",
        "Dad's chair is empty this Christmas.",
    ),
    "disgust": (
        "There was a hair and something moving in my soup.",
        "The bathroom floor was sticky and smelled of old fish.",
        "He spat on the plate and wiped it with his sleeve.",
        "I opened the lunch box after the holidays, it was furry and green.",
        "The rats had been in the flour the whole time.",
        "Seeing them lick the cutlery made my stomach turn.",
    ),
}
EMOJIS = {"anger": "😡", "fear": "😱", "joy": "😂", "sadness": "😢", "disgust": "🤢"}
# (plain, negated, the label whose score should fall, the label a careful reader would rather expect)
NEGATIONS = (
    ("I am happy.", "I am not happy.", "joy", "sadness"),
    ("I'm happy with how it went.", "I'm not happy with how it went.", "joy", "anger"),
    ("This makes me happy.", "This does not make me happy.", "joy", "sadness"),
    ("I enjoyed the evening.", "I didn't enjoy the evening.", "joy", "sadness"),
    ("I was glad to see him.", "I wasn't glad to see him.", "joy", "sadness"),
    ("It was a joy to be there.", "It was no joy to be there.", "joy", "sadness"),
    ("I am sad.", "I can't say I'm sad.", "sadness", "neutral"),
    ("I am sad about it.", "I am not sad about it.", "sadness", "neutral"),
    ("I feel heartbroken.", "I don't feel heartbroken.", "sadness", "neutral"),
    ("I cried all night.", "I didn't cry at all.", "sadness", "neutral"),
    ("I am angry with you.", "I am not angry with you.", "anger", "neutral"),
    ("That makes me furious.", "That does not make me furious.", "anger", "neutral"),
    ("I was mad at him.", "I was never mad at him.", "anger", "neutral"),
    ("I am scared of the dark.", "I am not scared of the dark.", "fear", "neutral"),
    ("I was terrified.", "I wasn't terrified in the least.", "fear", "neutral"),
    ("I worry about tomorrow.", "I don't worry about tomorrow.", "fear", "neutral"),
    ("It disgusts me.", "It doesn't disgust me.", "disgust", "neutral"),
    ("I found it revolting.", "I didn't find it revolting.", "disgust", "neutral"),
    ("I love him.", "I don't love him anymore.", "love", "sadness"),
    ("I love this song.", "I can't say I love this song.", "love", "neutral"),
)
LABELS = ("anger", "fear", "joy", "sadness", "disgust", "love", "neutral")


def typos(text, seed=0, rate=0.06):
    """Swap or drop about one letter in sixteen inside words of four letters and more; repeatable."""
    generator = random.Random(f"{seed} {text}")
    words = []
    for word in text.split(" "):
        letters = list(word)
        place = 1
        while place < len(letters) - 2:
            if len(letters) >= 4 and letters[place].isalpha() and generator.random() < rate * 2:
                if generator.random() < 0.5:
                    letters[place], letters[place + 1] = letters[place + 1], letters[place]
                else:
                    del letters[place]
                place += 1
            place += 1
        words.append("".join(letters))
    return " ".join(words)


def perturbations(text, emotion):
    """Every way of writing one sentence otherwise.

    Args:
        text (`str`): The sentence.
        emotion (`str`): A key of `EMOJIS`, for an emoji that fits.

    Returns:
        `dict[str, str]`: name to text.
    """
    return {
        "typos": typos(text),
        "lower case": text.lower(),
        "upper case": text.upper(),
        "no punctuation": "".join(character for character in text if character.isalnum() or character in " '"),
        "stretched": text.rstrip(".!") + "!!!",
        "fitting emoji": f"{text} {EMOJIS[emotion]}",
        "neutral emoji": f"{text} 📎",
    }


def surface_rows(score):
    """How far each surface change moves scores.

    Args:
        score (`Callable`): Takes texts, gives `(texts, len(LABELS))` probabilities for `LABELS`.

    Returns:
        `list[dict]`: a row for the plain sentences and each change: `change`, `top_is_intended` (share of sentences
        whose highest of the five emotions is the intended one), `top_kept` (share whose highest label stays),
        `mean_change` and `largest_change` of probabilities.
    """
    pairs = [(text, emotion) for emotion, texts in SENTENCES.items() for text in texts]
    intended = np.array([LABELS.index(emotion) for _, emotion in pairs])
    five = [LABELS.index(emotion) for emotion in SENTENCES]
    variants = {"none": [text for text, _ in pairs]}
    for text, emotion in pairs:
        for name, changed in perturbations(text, emotion).items():
            variants.setdefault(name, []).append(changed)
    scores = np.asarray(score([text for texts in variants.values() for text in texts]), dtype=float)
    tables = dict(zip(variants, np.split(scores, len(variants)), strict=True))
    plain = tables["none"]
    rows = []
    for name, table in tables.items():
        top = np.array(five)[table[:, five].argmax(axis=1)]
        rows.append(
            {
                "change": name,
                "sentences": len(table),
                "top_is_intended": float((top == intended).mean()),
                "top_kept": float((table.argmax(axis=1) == plain.argmax(axis=1)).mean()),
                "mean_change": float(np.abs(table - plain).mean()),
                "largest_change": float(np.abs(table - plain).max()),
            }
        )
    return rows


def negation_rows(score):
    """What a negation does to the score of the negated emotion.

    Args:
        score (`Callable`): As in `surface_rows`.

    Returns:
        `list[dict]`: `plain`, `negated`, `label`, `before`, `after`, `still_predicted` (at 0.5) and
        `expected_wins` (the label a reader would expect scores above the negated one).
    """
    texts = [text for plain, negated, _, _ in NEGATIONS for text in (plain, negated)]
    scores = np.asarray(score(texts), dtype=float).reshape(len(NEGATIONS), 2, len(LABELS))
    rows = []
    for (plain, negated, label, expected), (before, after) in zip(NEGATIONS, scores, strict=True):
        index, other = LABELS.index(label), LABELS.index(expected)
        rows.append(
            {
                "plain": plain,
                "negated": negated,
                "label": label,
                "before": float(before[index]),
                "after": float(after[index]),
                "still_predicted": bool(after[index] >= 0.5),
                "expected_wins": bool(after[other] > after[index]),
            }
        )
    return rows


def negation_summary(rows):
    """Shares and means over `negation_rows`, a `dict`."""
    return {
        "pairs": len(rows),
        "predicted_before": float(np.mean([row["before"] >= 0.5 for row in rows])),
        "predicted_after": float(np.mean([row["still_predicted"] for row in rows])),
        "score_falls": float(np.mean([row["after"] < row["before"] for row in rows])),
        "mean_fall": float(np.mean([row["before"] - row["after"] for row in rows])),
        "expected_wins": float(np.mean([row["expected_wins"] for row in rows])),
    }


def benchmark_rows(system, data, most=500):
    """Macro-F1 on real texts, plain and changed, under the strict protocol.

    Args:
        system (`EmbeddingSystem`): The system.
        data (`BenchmarkData`): A multi-label benchmark.
        most (`int`): Texts, evenly drawn.

    Returns:
        `list[dict]`: `change`, `macro_f1`, `macro_roc_auc`, `texts`.
    """
    from ..metrics.measures import multi_label_measures

    step = max(1, len(data) // most)
    texts, targets = data.texts[::step][:most], data.targets[::step][:most]
    rows = []
    for name, change in (("none", str), ("typos", typos), ("lower case", str.lower), ("upper case", str.upper)):
        scores = system.label_scores(data.spec.task, [change(text) for text in texts], data.spec.labels)
        measures = multi_label_measures(targets, scores.strict >= 0.5, scores.similarities)
        rows.append({"change": name, "texts": len(texts)} | {k: measures[k] for k in ("macro_f1", "macro_roc_auc")})
    return rows
