"""Made-up files in the real formats: benchmarks as they are published, and a descriptor data set."""

import json

import numpy as np

from emodistill.descriptors.labels import GOEMOTIONS


def sentences(count, seed):
    generator = np.random.default_rng(seed)
    words = [
        "we", "lost", "won", "the", "dog", "train", "rain", "cake", "went", "home", "late", "and", "sang", "cried",
        "alone", "together", "at", "last",
    ]  # fmt: skip
    return [" ".join(generator.choice(words, generator.integers(3, 9))) + f" {i}" for i in range(count)]


def write_benchmarks(root):
    """A data directory with small made-up goemotions, semeval2025-eng, isear and emobank files; its path."""
    generator = np.random.default_rng(5)
    (root / "goemotions").mkdir()
    for split, rows, seed in (("train", 60, 1), ("dev", 40, 2), ("test", 50, 3)):
        lines = []
        for number, text in enumerate(sentences(rows, seed)):
            labels = generator.choice(len(GOEMOTIONS), generator.integers(1, 3), replace=False)
            lines.append(f"{text}\t{','.join(map(str, labels))}\t{split}{number}\n")
        (root / "goemotions" / f"{split}.tsv").write_text("".join(lines))
    (root / "semeval2025-eng").mkdir()
    for split, rows, seed in (("train", 50, 4), ("dev", 30, 5)):
        lines = ["id,text,anger,fear,joy,sadness,surprise\n"]
        for number, text in enumerate(sentences(rows, seed)):
            flags = ",".join(map(str, generator.integers(0, 2, 5)))
            lines.append(f"{number},{text},{flags}\n")
        (root / "semeval2025-eng" / f"track_a_{split}_eng.csv").write_text("".join(lines))
    (root / "isear").mkdir()
    lines = ["subject_id,key,emotion,text,bracketed,no_event\n"]
    names = ("joy", "fear", "anger", "sadness", "disgust", "shame", "guilt")
    lines += [f"{i},1,{names[i % 7]},{text},0,0\n" for i, text in enumerate(sentences(35, 6))]
    (root / "isear" / "isear.csv").write_text("".join(lines))
    (root / "emobank").mkdir()
    lines = ["id,split,V,A,D,text\n"]
    for number, text in enumerate(sentences(60, 7)):
        ratings = ",".join(f"{value:.2f}" for value in generator.uniform(1, 5, 3))
        lines.append(f"e{number},{'dev' if number % 2 else 'train'},{ratings},{text}\n")
    (root / "emobank" / "emobank.csv").write_text("".join(lines))
    return str(root)


def write_descriptors(root):
    """A descriptor data set folder with configurations of the real one; its path."""
    words = ["joy", "deep joy", "rage", "fear", "grief", "neutral"]
    names = {"train": 48, "validation": 16}
    blocks = []
    for config in ("default", "closed28", "lexicon"):
        (root / config).mkdir()
        default = "  default: true\n" if config == "default" else ""
        blocks.append(f"- config_name: {config}\n{default}  data_files:\n")
        for split, count in names.items():
            rows = [
                {"id": f"{split}{i}", "text": text, "labels": [words[i % 6], words[(i * 5 + 1) % 6]]}
                for i, text in enumerate(sentences(count, len(split)))
            ]
            if config == "closed28":
                rows = [row | {"labels": ["anger"]} for row in rows[::2]]
            if config == "lexicon":
                rated = words[:4] if split == "train" else words[4:5]
                rows = [
                    {"descriptor": word, "valence": 3.0 + i, "arousal": 5.0, "dominance": 4.0, "implies": ["joy"]}
                    for i, word in enumerate(rated)
                ]
            lines = "\n".join(json.dumps(row) for row in rows)
            (root / config / f"{split}.jsonl").write_text(lines + "\n")
            blocks.append(f"  - split: {split}\n    path: {config}/{split}.jsonl\n")
    (root / "README.md").write_text(f"---\nconfigs:\n{''.join(blocks)}---\n")
    return str(root)


def close(first, second, tolerance=1e-4):
    """Whether two results say the same, label by label."""
    assert first["sequence"] == second["sequence"]
    one, other = (dict(zip(result["labels"], result["scores"], strict=True)) for result in (first, second))
    assert one.keys() == other.keys()
    assert all(abs(one[name] - other[name]) <= tolerance for name in one), (one, other)
    return True
