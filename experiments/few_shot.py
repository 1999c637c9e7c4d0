"""How much labelled texts gain: adaptation against the zero-shot start and regression on the same embeddings.

`python -m emodistill.experiments.few_shot --data-dir DATA --output FOLDER` writes a table and a picture.
With `--setfit`, SetFit's recipe on the same encoder stands beside them, which trains the encoder anew for each draw.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from ..command_line import check_heeded

__all__ = ["curve", "main"]

SETS = (("goemotions", "dev"), ("semeval2025-eng", "train"), ("emobank", "train"))
# What is measured of a set by its kind, and what stands beside the adaptation.
MEASURES = {"multi_label": "macro-F1", "dimensions": "Pearson's r"}
BASELINES = {"multi_label": "logistic regression", "dimensions": "ridge regression"}
RIDGES = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0)


def mean_label_f1(targets, predicted):
    """Mean F1 of the labels; 0 for one that is neither there nor predicted."""
    found = (targets & predicted).sum(axis=0)
    return float(np.mean(2 * found / np.maximum(targets.sum(axis=0) + predicted.sum(axis=0), 1)))


def pearson(targets, values):
    """Mean of the dimensions' correlations; 0 for one that is the same for all texts."""
    targets, values = targets - targets.mean(axis=0), values - values.mean(axis=0)
    spreads = np.sqrt((targets**2).sum(axis=0) * (values**2).sum(axis=0))
    return float(np.mean((targets * values).sum(axis=0) / np.maximum(spreads, 1e-12)))


def draw(targets, number, random):
    """
    Places of texts such that each label has about so many: at most half of those that have it.

    Every text has every dimension: so many texts for each of them are drawn, whatever their positions.
    """
    if targets.dtype != bool:
        most = min(number * targets.shape[1], len(targets) // 2)
        return np.sort(random.choice(len(targets), most, replace=False))
    chosen = set()
    for label in range(targets.shape[1]):
        places = np.flatnonzero(targets[:, label])
        chosen.update(random.choice(places, min(number, len(places) // 2), replace=False).tolist())
    return np.array(sorted(chosen))


def regression(embeds, targets, others):
    """
    Predictions of one regression a label or dimension; never a label that all or none of the texts have.

    Classes are weighted: without that, embeddings of length 1 and few texts predict rare labels never. The strength
    of the ridge on dimensions is chosen by leave-one-out.
    """
    from sklearn.linear_model import LogisticRegression, RidgeCV

    if targets.dtype != bool:
        return RidgeCV(RIDGES).fit(embeds, targets).predict(others)
    predicted = np.zeros((len(others), targets.shape[1]), dtype=bool)
    for label in range(targets.shape[1]):
        if 0 < targets[:, label].sum() < len(targets):
            fitted = LogisticRegression(max_iter=200, class_weight="balanced").fit(embeds, targets[:, label])
            predicted[:, label] = fitted.predict(others) > 0
    return predicted


def curve(scores, embeds, targets, numbers, draws, first_seed=0, say=None, peer=None):
    """
    Macro-F1, or for dimensions Pearson's r, on the texts that were not drawn, for so many texts a label.

    Args:
        scores (`np.ndarray` of shape `(texts, labels)`): Zero-shot scores, decided at 0.5; or positions.
        embeds (`np.ndarray` of shape `(texts, d)`): Text embeddings.
        targets (`np.ndarray` of shape `(texts, labels)`): Whether a label holds, booleans; or positions.
        numbers (`Sequence[int]`): Texts a label.
        draws (`int`): How many draws of each.
        first_seed (`int`, *optional*, defaults to 0): Seed of the first draw.
        say (`Callable[[dict]]`, *optional*): Told each row.
        peer (`tuple[str, Callable[[np.ndarray, np.ndarray, int], np.ndarray]]`, *optional*): A system's name, and what
            gives its predictions from the places drawn, those not drawn and the seed.

    Returns:
        `list[dict]`: for each number `per_label`, `texts` drawn on average, mean figure of each system, and the
        `worst` difference of an adaptation to the zero-shot start.
    """
    systems = ["zero-shot", "adapted", BASELINES[_kind(targets)], *([peer[0]] if peer else [])]
    rows = []
    for number in numbers:
        figures, sizes = [], []
        for seed in range(first_seed, first_seed + draws):
            drawn = draw(targets, number, np.random.default_rng(seed))
            rest = np.setdiff1d(np.arange(len(targets)), drawn)
            found = _figures(scores, embeds, targets, drawn, rest)
            if peer:
                found.append(_figure(targets[rest], peer[1](drawn, rest, seed)))
            figures.append(found)
            sizes.append(len(drawn))
        figures = np.array(figures)
        row = {"per_label": number, "texts": float(np.mean(sizes))}
        row |= dict(zip(systems, figures.mean(axis=0).tolist(), strict=True))
        row["worst"] = float((figures[:, 1] - figures[:, 0]).min())
        rows.append(row)
        if say:
            say(row)
    return rows


def _kind(targets):
    return "multi_label" if targets.dtype == bool else "dimensions"


def _figure(targets, predicted):
    return mean_label_f1(targets, predicted) if targets.dtype == bool else pearson(targets, predicted)


def _figures(scores, embeds, targets, drawn, rest):
    """Of the zero-shot start, the adaptation and the regression, on the rest."""
    from ..serving.adapt import fit
    from ..serving.corrections import inner_scores

    kind, names = _kind(targets), [str(place) for place in range(targets.shape[1])]
    mine = embeds[drawn].astype(np.float64)
    adapted = fit(kind, names, inner_scores(scores[drawn], kind), mine, 1.0 * targets[drawn])
    if kind == "multi_label":
        predicted = [scores[rest] >= 0.5, adapted.scores(scores[rest], embeds[rest]) >= 0.5]
    else:
        predicted = [scores[rest], adapted.corrected(scores[rest], embeds[rest])]
    predicted.append(regression(mine, targets[drawn], embeds[rest]))
    return [_figure(targets[rest], each) for each in predicted]


def _systems(rows):
    return [name for name in rows[0] if name not in ("per_label", "texts", "worst")]


def table(name, rows):
    """The rows in Markdown."""
    each = "dimension" if BASELINES["dimensions"] in rows[0] else "label"
    head = (f"texts for each {each}", "texts", *_systems(rows), "worst draw against zero-shot")
    lines = [f"| {name}: {' | '.join(head)} |", "|---" * len(head) + "|"]
    for row in rows:
        values = " | ".join(f"{row[system]:.3f}" for system in _systems(rows))
        lines.append(f"| {row['per_label']} | {row['texts']:.0f} | {values} | {row['worst']:+.3f} |")
    return "\n".join(lines)


def picture(curves):
    """A `Picture` of all curves: one axis a set."""
    from ..benchmarks.plots import Picture, new_figure, style

    figure, axes = new_figure(4.0 * max(2, len(curves)) + 0.4, 3.6, columns=max(2, len(curves)))
    told = []
    for axis, (name, rows) in zip(axes, curves.items(), strict=False):
        numbers = [row["per_label"] for row in rows]
        kind = "dimensions" if BASELINES["dimensions"] in rows[0] else "multi_label"
        for position, system in enumerate(_systems(rows)):
            values = [row[system] for row in rows]
            axis.plot(range(len(rows)), values, label=system, **style(position))
            pairs = zip(numbers, values, strict=True)
            told.append(f"{name}, {system}: " + ", ".join(f"{number} give {value:.3f}" for number, value in pairs))
        axis.set_xticks(range(len(rows)), [str(number) for number in numbers])
        each = "dimension" if kind == "dimensions" else "label"
        axis.set(xlabel=f"rated texts for each {each}", ylabel=f"{MEASURES[kind]}, other texts")
        axis.set_title(name, fontsize=10)
        axis.legend(frameon=False, fontsize=8)
    return Picture("few-shot", f"Quality against labelled texts. {'; '.join(told)}.", figure)


def _measured(classify, name, split, args):
    """Zero-shot scores or positions, text embeddings, targets and texts of a set."""
    from ..benchmarks.readers import load_benchmark

    data = load_benchmark(name, args.data_dir, split=split, limit=args.limit)
    names, texts = list(data.spec.labels), list(data.texts)
    embeds = classify.encode_texts(texts)
    dimensional = data.spec.task == "dimensions"
    asked = {"dimensions": names} if dimensional else {"labels": names, "multi_label": True, "threshold": None}
    rows = classify.postprocess({"texts": texts, "embeds": embeds}, **classify._sanitize_parameters(**asked)[2])
    if dimensional:
        found = [row["dimensions"] for row in rows]
        targets = np.asarray(data.targets, dtype=np.float64)
    else:
        found = [dict(zip(row["labels"], row["scores"], strict=True)) for row in rows]
        targets = np.asarray(data.targets) > 0
    return np.array([[row[name] for name in names] for row in found]), np.asarray(embeds), targets, texts


def _setfit(texts, targets, args):
    """SetFit as a peer of [`curve`]; it has no form for dimensions."""
    if args.setfit is None or _kind(targets) == "dimensions":
        return None
    from .setfit_recipe import setfit_predictions

    def predictions(drawn, rest, seed):
        mine, others = ([texts[place] for place in places] for places in (drawn, rest))
        return setfit_predictions(mine, targets[drawn], others, args.setfit, args.setfit_pairs, seed)

    return "SetFit", predictions


def _parser():
    parser = argparse.ArgumentParser(prog="python -m emodistill.experiments.few_shot", description=__doc__)
    parser.add_argument("--data-dir", required=True, help="directory with one folder a benchmark")
    parser.add_argument("--model", help="checkpoint or export; the default checkpoint by default")
    parser.add_argument("--output", default="few-shot", help="folder for few_shot.md and few-shot.png")
    parser.add_argument("--sets", nargs="+", help="names of the sets; all by default")
    parser.add_argument("--limit", type=int, help="first rows of each set only")
    parser.add_argument("--draws", type=int, default=10)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--per-label", type=int, nargs="+", default=[8, 16, 32, 64])
    parser.add_argument(
        "--setfit", nargs="?", const="small", metavar="CHECKPOINT", help="train this encoder by SetFit's recipe, too"
    )
    parser.add_argument("--setfit-pairs", type=int, default=5, help="pairs of like, and of unlike, texts for each")
    return parser


def main(argv=None):
    """Measure as the command line says; returns 0."""
    parser = _parser()
    args = parser.parse_args(argv)
    check_heeded(parser, args, {"setfit_pairs": "setfit"})
    from ..files import write_text
    from ..serving.load import load

    known = dict(SETS)
    if unknown := set(args.sets or ()) - set(known):
        raise ValueError(f"--sets has {min(unknown)!r}; choose from {', '.join(known)}")
    classify, curves = load(args.model), {}
    for name in args.sets or known:
        scores, embeds, targets, texts = _measured(classify, name, known[name], args)
        curves[f"{name} {known[name]}"] = curve(
            scores, embeds, targets, args.per_label, args.draws, args.first_seed,
            lambda row: print(row, file=sys.stderr, flush=True), _setfit(texts, targets, args),
        )  # fmt: skip
    folder = Path(args.output)
    folder.mkdir(parents=True, exist_ok=True)
    text = "\n\n".join(table(name, rows) for name, rows in curves.items())
    write_text(folder / "few_shot.md", text + "\n")
    picture(curves).save(folder)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
