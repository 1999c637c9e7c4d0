"""How much labelled texts gain: adaptation against the zero-shot start and logistic regression on the same embeddings.

`python -m emodistill.experiments.few_shot --data-dir DATA --output FOLDER` writes a table and a picture.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

__all__ = ["curve", "main"]

SETS = (("goemotions", "dev"), ("semeval2025-eng", "train"))
SYSTEMS = ("zero-shot", "adapted", "logistic regression")


def macro_f1(targets, predicted):
    """Mean F1 of the labels; 0 for one that is neither there nor predicted."""
    found = (targets & predicted).sum(axis=0)
    return float(np.mean(2 * found / np.maximum(targets.sum(axis=0) + predicted.sum(axis=0), 1)))


def draw(targets, number, random):
    """Places of texts such that each label has about so many: at most half of those that have it."""
    chosen = set()
    for label in range(targets.shape[1]):
        places = np.flatnonzero(targets[:, label])
        chosen.update(random.choice(places, min(number, len(places) // 2), replace=False).tolist())
    return np.array(sorted(chosen))


def regression(embeds, targets, others):
    """
    Predictions of one logistic regression a label; never for a label that all or none of the texts have.

    Classes are weighted: without that, embeddings of length 1 and few texts predict rare labels never.
    """
    from sklearn.linear_model import LogisticRegression

    predicted = np.zeros((len(others), targets.shape[1]), dtype=bool)
    for label in range(targets.shape[1]):
        if 0 < targets[:, label].sum() < len(targets):
            fitted = LogisticRegression(max_iter=200, class_weight="balanced").fit(embeds, targets[:, label])
            predicted[:, label] = fitted.predict(others) > 0
    return predicted


def curve(scores, embeds, targets, numbers, draws, first_seed=0, say=None):
    """
    Macro-F1 on the texts that were not drawn, for so many texts a label.

    Args:
        scores (`np.ndarray` of shape `(texts, labels)`): Zero-shot scores; 0.5 is the decision.
        embeds (`np.ndarray` of shape `(texts, d)`): Text embeddings.
        targets (`np.ndarray` of shape `(texts, labels)`): Whether a label holds.
        numbers (`Sequence[int]`): Texts a label.
        draws (`int`): How many draws of each.
        first_seed (`int`, *optional*, defaults to 0): Seed of the first draw.
        say (`Callable[[dict]]`, *optional*): Told each row.

    Returns:
        `list[dict]`: for each number `per_label`, `texts` drawn on average, mean macro-F1 of each system, and the
        `worst` difference of an adaptation to the zero-shot start.
    """
    from ..serving.adapt import fit, inner_scores

    targets, names = np.asarray(targets) > 0, [str(place) for place in range(targets.shape[1])]
    rows = []
    for number in numbers:
        figures, sizes = [], []
        for seed in range(first_seed, first_seed + draws):
            drawn = draw(targets, number, np.random.default_rng(seed))
            rest = np.setdiff1d(np.arange(len(targets)), drawn)
            mine = embeds[drawn].astype(np.float64), targets[drawn]
            adapted = fit("multi_label", names, inner_scores(scores[drawn], "multi_label"), mine[0], 1.0 * mine[1])
            predicted = (
                scores[rest] >= 0.5,
                adapted.scores(scores[rest], embeds[rest]) >= 0.5,
                regression(*mine, embeds[rest]),
            )
            figures.append([macro_f1(targets[rest], each) for each in predicted])
            sizes.append(len(drawn))
        figures = np.array(figures)
        row = {"per_label": number, "texts": float(np.mean(sizes))}
        row |= dict(zip(SYSTEMS, figures.mean(axis=0).tolist(), strict=True))
        row["worst"] = float((figures[:, 1] - figures[:, 0]).min())
        rows.append(row)
        if say:
            say(row)
    return rows


def table(name, rows):
    """The rows in Markdown."""
    head = ("texts with each label", "texts", *SYSTEMS, "worst draw against zero-shot")
    lines = [f"| {name}: {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row in rows:
        values = " | ".join(f"{row[system]:.3f}" for system in SYSTEMS)
        lines.append(f"| {row['per_label']} | {row['texts']:.0f} | {values} | {row['worst']:+.3f} |")
    return "\n".join(lines)


def picture(curves):
    """A `Picture` of all curves: one axis a set."""
    from ..benchmarks.plots import Picture, new_figure, style

    figure, axes = new_figure(8.4, 3.6, columns=max(2, len(curves)))
    told = []
    for axis, (name, rows) in zip(axes, curves.items(), strict=False):
        numbers = [row["per_label"] for row in rows]
        for position, system in enumerate(SYSTEMS):
            values = [row[system] for row in rows]
            axis.plot(range(len(rows)), values, label=system, **style(position))
            told.append(f"{name}, {system}: " + ", ".join(f"{n} give {v:.3f}" for n, v in zip(numbers, values)))  # noqa: B905
        axis.set_xticks(range(len(rows)), [str(number) for number in numbers])
        axis.set(xlabel="labelled texts with each label", ylabel="macro-F1, other texts")
        axis.set_title(name, fontsize=10)
    axes[0].legend(frameon=False, fontsize=8)
    return Picture("few-shot", f"Macro-F1 against labelled texts. {'; '.join(told)}.", figure)


def _measured(classify, name, split, args):
    from ..benchmarks.readers import load_benchmark

    data = load_benchmark(name, args.data_dir, split=split, limit=args.limit)
    names = list(data.spec.labels)
    embeds = classify.encode_texts(list(data.texts))
    options = classify._sanitize_parameters(labels=names, multi_label=True, threshold=None)[2]
    rows = classify.postprocess({"texts": list(data.texts), "embeds": embeds}, **options)
    scores = [dict(zip(row["labels"], row["scores"], strict=True)) for row in rows]
    return np.array([[row[label] for label in names] for row in scores]), np.asarray(embeds), np.asarray(data.targets)


def main(argv=None):
    """Measure as the command line says; returns 0."""
    parser = argparse.ArgumentParser(prog="python -m emodistill.experiments.few_shot", description=__doc__)
    parser.add_argument("--data-dir", required=True, help="directory with one folder a benchmark")
    parser.add_argument("--model", help="checkpoint or export; the default checkpoint by default")
    parser.add_argument("--output", default="few-shot", help="folder for few_shot.md and few-shot.png")
    parser.add_argument("--limit", type=int, help="first rows of each set only")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--per-label", type=int, nargs="+", default=[8, 16, 32, 64])
    args = parser.parse_args(argv)
    from ..files import write_text
    from ..serving.load import load

    classify, curves = load(args.model), {}
    for name, split in SETS:
        measured = _measured(classify, name, split, args)
        curves[f"{name} {split}"] = curve(
            *measured, args.per_label, args.draws, args.first_seed, lambda row: print(row, file=sys.stderr, flush=True)
        )
    folder = Path(args.output)
    folder.mkdir(parents=True, exist_ok=True)
    text = "\n\n".join(table(name, rows) for name, rows in curves.items())
    write_text(folder / "few_shot.md", text + "\n")
    picture(curves).save(folder)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
