"""Minimal contrasts: texts that share most of their words, told apart by what turns the feeling.

    python -m emodistill.benchmarks.contrasts --data data/descriptors --model small

The groups are those that the data set holds out for this (`selection` is `held-out contrast`). Two texts of a group
that have no descriptor in common are asked for as a user would, between the two descriptors that come first; both must
be right, so chance is 0.25. `neutral` is not asked for.
"""

import argparse
import functools
import itertools
import json
import sys
from collections import defaultdict

import numpy as np

__all__ = ["contrast_pairs", "measure_contrasts", "read_contrasts"]


def read_contrasts(path, say=None):
    """
    Groups of contrasts that a data set keeps out of training.

    Args:
        path (`str`): Folder or Hub id of a data set as `emodistill build-data` makes it.
        say (`Callable[[str], None]`, *optional*): Told of rows that are left out, see [`descriptors.rows.load_rows`].

    Returns:
        `list[dict]`: rows with `group`, `theme`, `text`, `labels` and, where it was rated, `valence`.

    Raises:
        `ValueError`, `OSError`: if it cannot be read, keeps none, or none that can be told apart.
    """
    from ..descriptors.inputs import HELD_OUT_GROUP
    from ..descriptors.rows import load_rows, ratings
    from ..descriptors.sources import NoSuchConfig

    read = functools.partial(load_rows, str(path), "validation", labels=False, say=say)
    rows = [row for row in read("default") or () if row.get("selection") == HELD_OUT_GROUP]
    if not contrast_pairs(rows):
        raise ValueError(
            f"{path} keeps no contrasts to measure: no two texts of a group whose selection is `{HELD_OUT_GROUP}` in "
            "its validation split differ in their descriptors"
        )
    try:
        rated = {row.get("id"): ratings(row)["valence"] for row in read("rated") or ()}
    except NoSuchConfig:
        rated = {}
    return [row | {"valence": rated.get(row["id"])} for row in rows]


def contrast_pairs(rows):
    """
    Pairs of a group that can be told apart by their first descriptors.

    Args:
        rows (`list[dict]`): With `group` and `labels`, most salient first; a row that lacks either is in no pair.

    Returns:
        `list[tuple[int, int]]`: places in `rows`.

    Example:

    ```python
    >>> from emodistill.benchmarks.contrasts import contrast_pairs

    >>> rows = [{"group": 1, "labels": labels} for labels in (["joy"], ["fear", "joy"], ["envy"])]
    >>> contrast_pairs(rows)
    [(0, 2), (1, 2)]

    ```
    """
    groups = defaultdict(list)
    for place, row in enumerate(rows):
        if row.get("labels") and row.get("group") is not None:
            groups[row["group"]].append(place)
    pairs = itertools.chain.from_iterable(itertools.combinations(places, 2) for places in groups.values())
    return [
        (first, second)
        for first, second in pairs
        if not set(rows[first]["labels"]) & set(rows[second]["labels"])
        and "neutral" not in (rows[first]["labels"][0], rows[second]["labels"][0])
    ]


def measure_contrasts(system, rows):
    """
    How often a system tells contrasts apart, and how its valence follows the teacher's.

    Args:
        system ([`EmbeddingSystem`]): What is measured.
        rows (`list[dict]`): As [`read_contrasts`] gives them.

    Returns:
        `dict`: `both_right` (share of pairs), `assigned` (share whose two labels are put to the right texts if each is
        given once; chance 0.5), `pairs`, `themes` (both right by theme, with the number of pairs) and `valence_r`.
    """
    import torch

    from ..decision_emodistill import EmbeddedLabels, score_labels

    embeds = torch.from_numpy(system.encode_texts([row["text"] for row in rows]))
    pairs = contrast_pairs(rows)
    names = sorted({rows[place]["labels"][0] for pair in pairs for place in pair})
    labels = dict(zip(names, torch.from_numpy(system.encode_labels(names)), strict=True))
    right, assigned, themes = [], [], defaultdict(list)
    for pair in pairs:
        both = [rows[place]["labels"][0] for place in pair]
        label_set = EmbeddedLabels(both, torch.stack([labels[name] for name in both]))
        scores = score_labels(embeds[list(pair)], label_set, system.statistics, system.constants)
        right.append(bool(scores[0, 0] > scores[0, 1] and scores[1, 1] > scores[1, 0]))
        assigned.append(bool(scores[0, 0] + scores[1, 1] > scores[0, 1] + scores[1, 0]))
        themes[rows[pair[0]]["theme"]].append(right[-1])
    rated = [place for place, row in enumerate(rows) if row["valence"] is not None]
    valence_r = None
    if system.has_dimensions and len(rated) > 2:
        head = system.read_dimensions(embeds[rated])
        column = system.dimension_names.index("valence")
        valence_r = float(np.corrcoef(head[:, column], [rows[place]["valence"] for place in rated])[0, 1])
    return {
        "both_right": float(np.mean(right)),
        "assigned": float(np.mean(assigned)),
        "pairs": len(pairs),
        "themes": {theme: [float(np.mean(found)), len(found)] for theme, found in sorted(themes.items())},
        "valence_r": valence_r,
    }


def main(argv=None):
    """Print the figures of a checkpoint as JSON."""
    from .systems import load_system

    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", required=True, help="data set with contrasts in its validation split")
    parser.add_argument("--model", required=True, help="checkpoint: small, base, a folder or a Hub id")
    parser.add_argument("--bf16", action="store_true", help="compute in bf16")
    arguments = parser.parse_args(argv)
    try:
        rows = read_contrasts(arguments.data, say=lambda message: print(message, file=sys.stderr))
    except (ValueError, OSError) as error:
        parser.error(str(error))
    system = load_system(arguments.model, autocast=arguments.bf16)
    print(json.dumps(measure_contrasts(system, rows), indent=2))


if __name__ == "__main__":
    main()
