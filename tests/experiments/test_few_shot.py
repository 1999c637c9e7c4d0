"""Few-shot curves on made-up embeddings and through the command."""

import numpy as np
import pytest

from emodistill.experiments import few_shot

pytest.importorskip("sklearn")


def world(seed=0, texts=400, labels=3, d=12):
    """Texts whose labels lie in directions that the scores know but for an offset."""
    random = np.random.default_rng(seed)
    embeds = random.standard_normal((texts, d)) / np.sqrt(d)
    values = 6.0 * embeds @ random.standard_normal((labels, d)).T
    scores = 1.0 / (1.0 + np.exp(3.0 - values))  # too rarely by far
    return scores, embeds, values + 0.5 * random.standard_normal(values.shape) > 0


def test_a_draw_has_so_many_of_each_label_and_leaves_half():
    targets = np.zeros((30, 2), dtype=bool)
    targets[:20, 0] = targets[20:26, 1] = True
    drawn = few_shot.draw(targets, 8, np.random.default_rng(0))
    assert targets[drawn].sum(axis=0).tolist() == [8, 3] and len(set(drawn.tolist())) == 11


def test_f1_of_a_label_by_hand():
    targets, predicted = np.array([[1, 0], [1, 0], [0, 0]]) > 0, np.array([[1, 0], [0, 0], [1, 0]]) > 0
    assert few_shot.mean_label_f1(targets, predicted) == pytest.approx(0.25)


def test_the_curve_sees_what_there_is_to_learn():
    [row] = few_shot.curve(*world(), [30], draws=2)
    assert row["adapted"] > row["zero-shot"] + 0.1 and row["worst"] > 0.0
    assert 30 < row["texts"] <= 90 and row["logistic regression"] > 0.5


def test_dimensions_have_curves_too():
    _, embeds, _ = world(labels=2)
    random = np.random.default_rng(1)
    hidden = embeds @ random.standard_normal((12, 2))
    noisy = hidden + random.standard_normal(hidden.shape)
    [row] = few_shot.curve(noisy, embeds, 3.0 + hidden, [40], draws=2)
    assert row["texts"] == 80 and row["adapted"] > row["zero-shot"] + 0.1 and row["ridge regression"] > 0.9
    assert few_shot.pearson(hidden, 7.0 - 2.0 * hidden) == pytest.approx(-1.0)
    assert few_shot.pearson(hidden, np.zeros_like(hidden)) == 0.0


def test_a_peer_is_measured_on_the_same_draws():
    scores, embeds, targets = world()
    asked = []

    def all_right(drawn, rest, seed):
        asked.append((seed, len(drawn) + len(rest), len(set(drawn) & set(rest))))
        return targets[rest]

    [row] = few_shot.curve(scores, embeds, targets, [10], 2, first_seed=5, peer=("SetFit", all_right))
    assert row["SetFit"] == 1.0 and asked == [(5, len(targets), 0), (6, len(targets), 0)]
    assert "SetFit | worst draw" in few_shot.table("made up", [row])


def test_the_command_writes_table_and_picture(checkpoint, data_dir, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(few_shot, "SETS", few_shot.SETS[:1])
    arguments = ["--data-dir", str(data_dir), "--model", str(checkpoint), "--output", str(tmp_path), "--draws", "1"]
    with pytest.warns(UserWarning, match="are published"):
        assert few_shot.main([*arguments, "--per-label", "2", "4"]) == 0
    assert capsys.readouterr().out == (tmp_path / "few_shot.md").read_text()
    assert "| 4 |" in (tmp_path / "few_shot.md").read_text()
    assert (tmp_path / "few-shot.png").read_bytes()[:4] == b"\x89PNG"
