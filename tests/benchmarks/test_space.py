"""Alignment and retrieval on spaces whose answer is known."""

import json
import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from emodistill.benchmarks import plots, space
from emodistill.benchmarks.cli import evaluate

pytestmark = pytest.mark.filterwarnings("ignore:.*are published")


class KnownSpace:
    """A system whose embeddings are given: texts and labels by name."""

    kind, name, background = "embeddings", "known", None

    def __init__(self, vectors):
        self.vectors = {name: np.asarray(v, np.float32) / np.linalg.norm(v) for name, v in vectors.items()}

    def encode_labels(self, labels):
        return np.stack([self.vectors[label] for label in labels])

    encode_texts = encode_labels


def test_alignment_is_one_where_cosine_follows_the_ratings():
    angles = np.array([0, 0.11, 0.31, 0.74, 1.13, 1.55])
    embeddings = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    ratings = np.stack([angles, np.zeros(6)], axis=1)  # a dimension without spread does not disturb
    assert space.pairwise_alignment(embeddings, ratings) == pytest.approx(1)
    assert space.pairwise_alignment(embeddings, ratings[[0, 3, 1, 4, 2, 5]]) < 0.5
    assert math.isnan(space.pairwise_alignment(embeddings[:2], ratings[:2]))


def test_opposition_by_hand():
    words = {word for pair in space.SYNONYMS + space.ANTONYMS for word in pair}
    assert len(space.SYNONYMS) >= 30 and len(space.ANTONYMS) >= 30
    assert not set(map(frozenset, space.SYNONYMS)) & set(map(frozenset, space.ANTONYMS))
    same = space.opposition(lambda labels: np.ones((len(labels), 1)))
    assert same == {"synonyms": 1, "antonyms": 1, "gap": 0, "auc": 0.5}
    # Synonyms share a direction, every other pair is orthogonal unless a word stands in several pairs.
    groups = {}
    for a, b in space.SYNONYMS:
        place = groups.get(a, groups.get(b, len(groups)))
        groups[a] = groups[b] = place
    vectors = {word: np.eye(200)[groups.get(word, 100 + i % 100)] for i, word in enumerate(sorted(words))}
    found = space.opposition(lambda labels: np.stack([vectors[label] for label in labels]))
    assert found["synonyms"] == 1 and found["auc"] > 0.95


def test_held_out_descriptors_are_measured_apart():
    angles = dict(zip("abcdefgh", (0, 0.1, 0.23, 0.51, 0.74, 1.02, 1.39, 1.5), strict=True))
    words = {word for pair in space.SYNONYMS + space.ANTONYMS for word in pair}
    vectors = {name: (np.cos(a), np.sin(a)) for name, a in angles.items()} | dict.fromkeys(words, (1, 0))
    ratings = {name: (a, 5, 5) for name, a in angles.items()}
    ratings["b"], ratings["d"] = ratings["d"], ratings["b"]
    found = space.alignment(KnownSpace(vectors), ratings, held_out={"a", "c", "e", "g"})
    assert found["held_out"] == pytest.approx(1) and found["seen"] < 1
    assert (found["seen_descriptors"], found["held_out_descriptors"]) == (4, 4)


def retrieval_space(noise):
    generator = np.random.default_rng(0)
    labels = {f"label{i}": generator.normal(size=16) for i in range(300)}
    texts = {f"text{i}": labels[f"label{i}"] + noise * generator.normal(size=16) for i in range(40)}
    rows = [{"text": f"text{i}", "labels": [f"label{i}", f"label{i + 100}"]} for i in range(40)]
    return KnownSpace(labels | texts), rows, list(labels)


def test_retrieval_by_label_space_size():
    system, rows, vocabulary = retrieval_space(noise=0.6)
    held_out = {f"label{i}" for i in range(40)}
    found = space.retrieval(system, rows, vocabulary, held_out)
    assert list(found) == ["50", "200"]  # 1,000 candidates need a larger vocabulary
    assert found["50"]["pairs"] == 40
    assert found["50"]["recall_at_1"] >= found["200"]["recall_at_1"] > 0.5
    perfect = space.retrieval(*retrieval_space(noise=0.0)[:2], vocabulary, held_out)
    assert perfect["200"]["mrr"] == pytest.approx(1)


def test_retrieval_of_a_blind_model_is_chance():
    _, rows, vocabulary = retrieval_space(0)
    blind = KnownSpace(dict.fromkeys([*vocabulary, *(row["text"] for row in rows)], (1.0, 0.0)))
    found = space.retrieval(blind, rows, vocabulary, set(), sizes=(50,))["50"]
    assert found["recall_at_1"] == 0 and found["mrr"] == pytest.approx(1 / 25.5)  # all tie: the middle rank
    assert space.retrieval(blind, rows, vocabulary, {"unknown"}) == {}


def test_standardisation_is_used_where_there_is_a_background():
    system, rows, vocabulary = retrieval_space(noise=0.6)
    system.background = (torch.zeros(16), torch.eye(16))
    assert space.retrieval(system, rows, vocabulary, set(), sizes=(50,))["50"]["pairs"] == 80


def test_space_rows_in_a_suite(checkpoint, data_dir, tmp_path, descriptors_folder, no_pictures):
    arguments = [checkpoint, "--data-dir", data_dir, "--benchmarks", "isear", "--no-cache", "--quiet"]
    arguments += ["--descriptors", descriptors_folder, "--output", str(tmp_path), "--replicates", "20"]
    assert evaluate(arguments) == 0
    suite = json.loads((tmp_path / "results.json").read_text())
    assert set(suite["space"]) == {"tiny", "untrained"}
    text = (tmp_path / "results.md").read_text()
    assert "Emotional alignment of the label space" in text and "Retrieval of a held-out descriptor" not in text


def test_emotion_space_turns_pleasant_to_the_right():
    generator = np.random.default_rng(0)
    valence = np.linspace(1, 9, 12)
    embeddings = np.outer(-valence, generator.normal(size=5)) + generator.normal(scale=0.1, size=(12, 5))
    picture = plots.plot_emotion_space([f"e{i}" for i in range(12)], embeddings, valence)
    shown = picture.figure.axes[0].collections[0].get_offsets()
    assert np.corrcoef(shown[:, 0], valence)[0, 1] > 0.95
    assert "12 emotion labels" in picture.alt


def test_series_stay_apart_in_grey():
    def grey(colour):
        red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
        return 0.299 * red + 0.587 * green + 0.114 * blue

    shades = [grey(colour) for colour in plots.SHADES]
    assert all(b - a > 20 for a, b in pairwise(shades))
    assert len({*map(str, plots.DASHES)}) == len(set(plots.MARKERS)) == len(set(plots.HATCHES)) == len(plots.SHADES)
