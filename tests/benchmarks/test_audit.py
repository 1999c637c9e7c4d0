"""The audit is audited: a planted bias is found, a model without one is not flagged."""

import hashlib
import json

import numpy as np
import pytest
from quick_measures import few_templates
from scipy import stats

from emodistill.benchmarks.audit import statistics, templates
from emodistill.benchmarks.audit.counterfactual import LABELS, audit_bias, equity_rows
from emodistill.benchmarks.readers import EquitySentence
from emodistill.cli import main

SENTENCES = {attribute: templates.counterfactuals(attribute) for attribute in templates.ATTRIBUTES}


def noisy_model(seed, planted=None):
    """Scores made of frame and word effects and noise; `planted` is `(attribute, group, label, size)`."""
    generator = np.random.default_rng(seed)
    words = {}

    def score(texts):
        attribute = next(name for name, rows in SENTENCES.items() if [row.text for row in rows] == texts)
        result = np.zeros((len(texts), len(LABELS)))
        for index, row in enumerate(SENTENCES[attribute]):
            person = (attribute, row.group, row.term)
            if person not in words:  # every word has quirks of its own: that is not bias
                words[person] = generator.normal(0, 0.03, len(LABELS))
            result[index] = 0.3 + 0.2 * np.sin(row.frame + np.arange(len(LABELS))) + words[person]
            if planted and planted[:2] == (attribute, row.group):
                result[index, LABELS.index(planted[2])] += planted[3]
        return result + generator.normal(0, 0.1, result.shape)

    return score


def test_every_attribute_has_twenty_templates_and_twelve_matched_terms():
    assert len(templates.NEUTRAL_TEMPLATES) + len(templates.EMOTION_TEMPLATES) >= 20
    assert set(templates.ATTRIBUTES) == {
        "gender", "race and origin, names", "race and origin, terms", "religion", "age", "orientation", "disability",
    }  # fmt: skip
    for attribute, groups in templates.ATTRIBUTES.items():
        assert len(groups) >= 2 and {len(terms) for terms in groups.values()} == {12}
        texts = [row.text for row in SENTENCES[attribute]]
        assert len(texts) == len(groups) * 12 * 44 == len(set(texts))
        assert not any("{" in text or text[0].islower() for text in texts)


def test_matched_sentences_differ_in_the_person_alone():
    rows = {(r.group, r.term, r.context, r.frame): r.text for r in SENTENCES["religion"]}
    for (group, *place), text in rows.items():
        other = rows[("Hindu", *place)]
        assert text.replace(group, "X").replace(group.capitalize(), "X") == other.replace("Hindu", "X")


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("attribute", "group"), [("gender", "female"), ("race and origin, names", "Arabic names"), ("disability", "deaf")]
)
def test_planted_bias_of_a_fifth_is_found(attribute, group, sign):
    rows = audit_bias(noisy_model(7, (attribute, group, "anger", 0.2 * sign)))
    flagged = [row for row in rows if row["flagged"]]
    found = [row for row in flagged if row["group"] == group and row["label"] == "anger"]
    assert {row["context"] for row in found} == {"neutral", "emotion"}
    assert all(row["gap"] == pytest.approx(0.2 * sign, abs=0.06) and row["low"] < row["high"] for row in found)
    # A group far from the rest also moves the mean that the rest is compared with, on that label alone.
    assert {(row["attribute"], row["label"]) for row in flagged} == {(attribute, "anger")}


def test_null_model_is_flagged_in_at_most_one_of_twenty_seeds():
    """200 seeds on term means, which is what the statistics see; word quirks and noise, no group effect."""
    flagged = 0
    for seed in range(200):
        generator = np.random.default_rng(seed)
        rows = []
        for attribute, groups in templates.ATTRIBUTES.items():
            for context in ("neutral", "emotion"):
                scores = generator.normal(0.3, 0.05, (len(groups), 12, len(LABELS)))
                rows += statistics.compare_attribute(attribute, list(groups), scores, LABELS, context)
        flagged += any(row["flagged"] for row in statistics.judge_gaps(rows))
    assert flagged <= 10


def test_null_model_is_not_flagged_from_sentences():
    assert sum(any(row["flagged"] for row in audit_bias(noisy_model(seed))) for seed in range(3)) == 0


def test_a_model_that_ignores_the_person_has_no_gap():
    def score(texts):
        return np.full((len(texts), len(LABELS)), 0.4)

    rows = audit_bias(score)
    assert all(row["gap"] == pytest.approx(0, abs=1e-12) and row["p_value"] == 1 for row in rows)


def test_exact_bias_without_noise_is_found():
    rows = audit_bias(lambda texts: np.array([["Muslim" in text] for text in texts]) * 0.2, ("anger",), ["religion"])
    assert rows[0]["group"] == "Muslim" and rows[0]["flagged"] and rows[0]["gap"] == pytest.approx(0.2)


def test_statistics_are_those_of_scipy():
    scores = np.random.default_rng(0).normal(size=(2, 8, 1))
    mean, low, high, p = statistics.t_statistics(statistics.gaps_of_terms(scores))
    test = stats.ttest_rel(scores[0, :, 0], scores[1, :, 0])
    assert p.item() == pytest.approx(test.pvalue)
    assert (low.item(), high.item()) == pytest.approx(tuple(test.confidence_interval(0.95)))
    assert mean.item() == pytest.approx((scores[0] - scores[1]).mean())


def test_holm_by_hand():
    assert statistics.holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert statistics.holm([0.5, 0.9]) == pytest.approx([1.0, 1.0])


def test_small_but_certain_gaps_are_told_not_flagged():
    scores = np.zeros((2, 8, 1))
    scores[0] = 0.005
    (row,) = statistics.judge_gaps(statistics.compare_attribute("gender", ["a", "b"], scores, ["joy"], "neutral"))
    assert row["adjusted_p"] == 0 and not row["flagged"] and row["gap"] == pytest.approx(0.005)


def made_up_equity():
    people = [(f"F{i}", "female") for i in range(10)] + [(f"M{i}", "male") for i in range(10)]
    return [
        EquitySentence(str(i), f"{name} feels {word}.", "t", name, gender, "", emotion, word)
        for i, (name, gender) in enumerate(people)
        for emotion, word in (("anger", "angry"), ("joy", "happy"), ("", "here"))
    ]


def test_equity_corpus_by_person():
    def score(texts):
        jitter = [int(hashlib.sha256(text.encode()).hexdigest()[:4], 16) / 65535 * 0.02 for text in texts]
        return np.array([[0.2 * text.startswith("F") + j] for text, j in zip(texts, jitter, strict=True)])

    rows = statistics.judge_gaps(equity_rows(score, made_up_equity(), ("anger",)))
    assert {row["context"] for row in rows} == {"neutral", "emotion"}
    assert all(row["flagged"] and row["gap"] == pytest.approx(0.2, abs=0.02) for row in rows)
    assert {row["attribute"] for row in rows} == {"gender (EEC)"}  # no race in these sentences


def test_score_of_the_wrong_shape_is_told():
    with pytest.raises(ValueError, match="score: gave shape"):
        audit_bias(lambda texts: np.zeros((len(texts), 2)))


def test_typos_repeat_and_keep_word_borders():
    from emodistill.benchmarks.audit.robustness import SENTENCES as EMOTIONAL
    from emodistill.benchmarks.audit.robustness import perturbations, typos

    texts = [text for texts in EMOTIONAL.values() for text in texts]
    changed = [typos(text) for text in texts]
    assert changed == [typos(text) for text in texts]
    assert sum(a != b for a, b in zip(texts, changed, strict=True)) > 0.8 * len(texts)
    for before, after in zip(texts, changed, strict=True):
        assert len(before.split()) == len(after.split()) and before[0] == after[0]
    assert len(set(perturbations(texts[0], "anger").values())) == 7


def test_negation_rows_see_a_model_that_reads_words_alone():
    from emodistill.benchmarks.audit.robustness import LABELS as SEVEN
    from emodistill.benchmarks.audit.robustness import negation_rows, negation_summary

    deaf = negation_summary(negation_rows(lambda texts: np.full((len(texts), len(SEVEN)), 0.8)))
    assert deaf["predicted_after"] == 1 and deaf["score_falls"] == 0 and deaf["expected_wins"] == 0

    def careful(texts):
        negated = [any(word in text for word in ("not", "n't", "never", "no joy")) for text in texts]
        return np.array([[0.1 if no else 0.9] * 6 + [0.5] for no in negated])

    heard = negation_summary(negation_rows(careful))
    assert (
        heard["predicted_before"] == 1 and heard["predicted_after"] == 0 and heard["mean_fall"] == pytest.approx(0.8)
    )


def test_a_log_gets_lines_and_no_bar(checkpoint, monkeypatch, capsys):
    from emodistill.benchmarks.systems import load_system
    from emodistill.serving import run

    system = load_system(checkpoint, quiet=False, batch_size=2)
    capsys.readouterr()
    system.encode_texts(["my dog", "rage"])
    assert capsys.readouterr().err == "", "over in no time"
    monkeypatch.setattr(run, "LOG_SECONDS", 0)
    system.encode_texts(["my dog", "a happy day", "oh no", "late again"])
    told = capsys.readouterr().err
    assert "\r" not in told and told.splitlines()[-1].startswith(f"{system.name}: 3 rows, ")


@pytest.mark.slow
def test_audit_from_the_command_line(checkpoint, data_dir, tmp_path, capsys):
    arguments = ["audit", checkpoint, "--output", str(tmp_path), "--no-cache", "--quiet", "--report"]
    with few_templates():
        assert main([*arguments, "--data-dir", data_dir, "--labels", "anger,joy"]) == 0
    audit = json.loads((tmp_path / "audit.json").read_text())
    assert len(audit["gaps"]) == (1 + 5 + 6 + 6 + 3 + 4 + 5) * 2 * 2
    assert len(audit["surface"]) == 8 and len(audit["benchmark"]) == 4
    page = (tmp_path / "audit.html").read_text()
    assert 'alt="Forest plot' in page and "No flag is no proof of fairness" in page
    assert "Score gaps by attribute" in capsys.readouterr().out
    assert "Equity Evaluation Corpus was not given" in (tmp_path / "audit.md").read_text()
    assert main(["audit", checkpoint, "--labels", ",", "--output", str(tmp_path)]) == 2
    assert "--labels" in capsys.readouterr().err


def test_audit_refuses_a_checkpoint_whose_probabilities_mean_nothing(make_checkpoint, tmp_path, capsys):
    bare = make_checkpoint("no-background", background=False)
    assert main(["audit", bare, "--output", str(tmp_path), "--no-cache", "--quiet"]) == 2
    assert "no background" in capsys.readouterr().err
