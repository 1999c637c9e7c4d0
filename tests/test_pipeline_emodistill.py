import json
import os
import re
import subprocess
import sys
import warnings
from pathlib import Path

import pytest
import torch
from made_up import close
from torch.utils.data import Dataset
from transformers import AutoModel, AutoTokenizer, pipeline
from transformers.pipelines.pt_utils import KeyDataset

import emodistill
from emodistill import EmoDistillModel, ZeroShotEmotionPipeline

LABELS = ["joy", "anger", "relief", "fear"]
TEXTS = ["my dog is lost", "we laughed all day, so happy", "i", "the train was late and it rained " * 8, "joy."]


# Output


def test_output_of_one_text(classify):
    result = classify(TEXTS[0], labels=LABELS)
    assert isinstance(classify, ZeroShotEmotionPipeline) and classify.task == "zero-shot-emotion"
    assert list(result) == ["sequence", "labels", "scores", "predicted"]
    assert result["sequence"] == TEXTS[0] and sorted(result["labels"]) == sorted(LABELS)
    assert result["scores"] == sorted(result["scores"], reverse=True)
    assert sum(result["scores"]) == pytest.approx(1.0)
    assert result["predicted"] == result["labels"][:1]
    assert json.loads(json.dumps(result)) == result  # plain types only


def test_multi_label_scores_stand_alone_without_a_reference_vocabulary(classify):
    classify.model.set_reference([])
    result = classify(TEXTS[0], labels=LABELS, multi_label=True)
    scores = dict(zip(result["labels"], result["scores"], strict=True))
    assert result["predicted"] == ([name for name in result["labels"] if scores[name] >= 0.5] or ["neutral"])
    alone = classify(TEXTS[0], labels=["relief"], multi_label=True)
    assert alone["scores"][0] == pytest.approx(scores["relief"], abs=1e-4)


def test_the_pipeline_scores_as_the_model_does(classify, checkpoint):
    """Through the public pieces: embeddings, extended labels, cosine, softmax at the checkpoint's temperature."""
    model, tokenizer = EmoDistillModel.from_pretrained(checkpoint), AutoTokenizer.from_pretrained(checkpoint)
    text, labels = (tokenizer(x, padding=True, return_tensors="pt") for x in ([TEXTS[0]], LABELS))
    with torch.no_grad():
        features = model.get_label_features(labels.input_ids, labels.attention_mask)
        similarity = model.get_text_features(text.input_ids) @ model.extend_labels(features).T
    expected = torch.softmax(similarity[0] / model.config.decision["single_label_temperature"], dim=-1)
    result = classify(TEXTS[0], labels=LABELS)
    for name, score in zip(result["labels"], result["scores"], strict=True):
        assert score == pytest.approx(expected[LABELS.index(name)].item(), abs=1e-5)


# Labels


def test_labels_in_all_forms(classify):
    expected = classify(TEXTS[0], labels=LABELS)
    forms = [
        tuple(LABELS), "joy, anger,relief , fear", {name: name for name in LABELS}, {name: [name] for name in LABELS},
        iter(LABELS), (name for name in LABELS), dict.fromkeys(LABELS, None).keys(),
    ]  # fmt: skip
    for form in forms:
        assert close(classify(TEXTS[0], labels=form), expected)
    assert close(classify(TEXTS[0], LABELS), expected)  # as the stock pipeline's second argument
    assert close(classify(TEXTS[0], candidate_labels=LABELS), expected)


def test_descriptions_and_synonyms_are_shown_by_their_name(classify):
    labels = {"good": ["joy", "love"], "bad": "a feeling of fear"}
    result = classify(TEXTS[0], labels=labels)
    assert sorted(result["labels"]) == ["bad", "good"]
    embeds = classify.encode_labels(labels)
    average = torch.nn.functional.normalize(classify.encode_labels(["joy", "love"]).sum(dim=0), dim=0)
    torch.testing.assert_close(embeds[0], average, atol=1e-5, rtol=0)
    torch.testing.assert_close(embeds[1], classify.encode_labels(["a feeling of fear"])[0], atol=1e-5, rtol=0)


def test_templates_wrap_every_wording(classify):
    labels = {"good": ["joy", "love"], "bad": "fear"}
    by_hand = {"good": ["a person feels joy {so}", "a person feels love {so}"], "bad": "a person feels fear {so}"}
    template = "a person feels {} {so}"
    expected = classify(TEXTS[0], labels=by_hand)
    assert close(classify(TEXTS[0], labels=labels, label_template=template), expected)
    assert close(classify(TEXTS[0], labels=labels, hypothesis_template=template), expected)
    assert not close_enough(classify(TEXTS[0], labels=labels), expected)


def close_enough(first, second):
    try:
        return close(first, second)
    except AssertionError:
        return False


def test_arguments_at_construction_and_per_call(checkpoint):
    classify = pipeline(
        "zero-shot-emotion", model=str(checkpoint), device="cpu", labels="joy,anger,fear", multi_label=True,
        threshold=0.0, top_k=2, label_template="feeling of {}", dimensions="valence", batch_size=3,
    )  # fmt: skip
    result = classify(TEXTS[0])
    assert len(result["labels"]) == 2 and len(result["predicted"]) == 3 and list(result["dimensions"]) == ["valence"]
    assert isinstance(classify(TEXTS), list)
    changed = classify(TEXTS[0], labels=["relief", "joy", "love"], multi_label=False, threshold="auto", top_k=3)
    assert sorted(changed["labels"]) == ["joy", "love", "relief"] and sum(changed["scores"]) == pytest.approx(1)
    assert classify(TEXTS[0]) == result  # a call changes nothing for the next


def test_a_labels_alias_at_construction(checkpoint):
    classify = pipeline("zero-shot-emotion", model=str(checkpoint), device="cpu", candidate_labels=LABELS)
    assert sorted(classify("joy")["labels"]) == sorted(LABELS)


# Inputs


class Texts(Dataset):
    def __init__(self, texts):
        self.texts = texts

    def __len__(self):
        return len(self.texts)

    def __getitem__(self, index):
        return self.texts[index]


def test_every_kind_of_input_gives_the_same(classify):
    import datasets
    import numpy

    table = datasets.Dataset.from_dict({"text": TEXTS})
    expected = [classify(text, labels=LABELS) for text in TEXTS]
    inputs = [
        TEXTS, tuple(TEXTS), (text for text in TEXTS), iter(TEXTS), map(str, TEXTS), Texts(TEXTS),
        KeyDataset(table, "text"), table["text"], table[:]["text"], numpy.array(TEXTS),
    ]  # fmt: skip
    for given in inputs:
        for batch_size in (None, 2):
            if (batch_size and isinstance(given, type(iter(TEXTS)) | map)) or (
                hasattr(given, "gi_frame") and batch_size
            ):
                continue  # used up
            results = list(classify(given, labels=LABELS, batch_size=batch_size))
            assert len(results) == len(TEXTS), given
            assert all(close(one, other) for one, other in zip(results, expected, strict=True))
    streamed = list(classify(KeyDataset(table, "text"), labels=LABELS, batch_size=2))
    assert [result["sequence"] for result in streamed] == TEXTS


def test_iterable_datasets_stream(classify):
    class Stream(torch.utils.data.IterableDataset):
        def __iter__(self):
            yield from TEXTS

    results = list(classify(Stream(), labels=LABELS, batch_size=2))
    assert [result["sequence"] for result in results] == TEXTS


@pytest.mark.parametrize("batch_size", [1, 2, 3, 8])
def test_batch_size_order_and_company_change_no_score(classify, batch_size):
    texts = TEXTS * 3
    for options in ({}, {"multi_label": True}):
        expected = [classify(text, labels=LABELS, **options) for text in TEXTS] * 3
        results = classify(texts, labels=LABELS[::-1], batch_size=batch_size, **options)
        assert all(close(one, other) for one, other in zip(results, expected, strict=True))


def test_no_text_gives_no_result(classify):
    assert classify([], labels=LABELS) == []
    assert list(classify((text for text in ()), labels=LABELS)) == []
    assert list(classify(Texts([]), labels=LABELS)) == []


def test_generators_stream(classify):
    """A live stream has each result before the next batch is read; so an endless one works."""
    read = []

    def endless():
        while True:
            read.append(len(read))
            yield f"text {len(read)}"

    results = classify(endless(), labels=LABELS, stream=True)
    for number in range(1, 4):
        assert next(results)["sequence"] == f"text {number}"
        assert len(read) <= number + 1
    read.clear()
    results = classify(endless(), labels=LABELS, batch_size=4, stream=True)
    next(results)
    assert len(read) <= 5
    read.clear()
    results = classify(endless(), labels=LABELS, batch_size=2)  # read ahead: a batch at first, then ever more
    assert next(results)["sequence"] == "text 1" and len(read) == 2
    for number in range(2, 40):
        assert next(results)["sequence"] == f"text {number}"
    assert 2 + 4 + 8 + 16 < len(read) <= 2 + 4 + 8 + 16 + 32 + 1


def test_blank_texts_are_neutral(classify):
    for text in ("", "   ", "\n\t"):
        assert classify(text, labels=LABELS)["predicted"] == ["neutral"]
        for threshold in ("auto", 0.0, 0.1, 0.9, {"joy": 0.0}):
            for multi_label in (False, True):
                result = classify(text, labels=LABELS, multi_label=multi_label, threshold=threshold)
                assert result["predicted"] == ["neutral"]
        own = classify(["joy", text], labels=["joy", "neutral"])[1]
        assert own["labels"] == ["neutral", "joy"] and own["scores"] == [1.0, 0.0] and own["predicted"] == ["neutral"]
        assert classify(text, labels=["Joy", "Neutral"])["predicted"] == ["Neutral"]
        assert classify(text, labels=LABELS, threshold=None)["predicted"] == []
        assert classify(text, dimensions=True)["dimensions"] == {"valence": 5.0, "arousal": 5.0, "dominance": 5.0}


# Decisions


def test_top_k_cuts_labels_and_scores_only(classify):
    whole = classify(TEXTS[0], labels=LABELS, multi_label=True, threshold=0.0)
    cut = classify(TEXTS[0], labels=LABELS, multi_label=True, threshold=0.0, top_k=2)
    assert cut["labels"] == whole["labels"][:2] and cut["scores"] == whole["scores"][:2]
    assert cut["predicted"] == whole["predicted"] == whole["labels"]
    assert classify(TEXTS[0], labels=LABELS, top_k=99)["labels"] == classify(TEXTS[0], labels=LABELS)["labels"]


def test_thresholds(classify):
    def predicted(threshold, **options):
        return classify(TEXTS[0], labels=LABELS, threshold=threshold, **({"multi_label": True} | options))["predicted"]

    result = classify(TEXTS[0], labels=LABELS, multi_label=True)
    scores = dict(zip(result["labels"], result["scores"], strict=True))
    best, second = result["labels"][:2]
    assert predicted("auto") == predicted(0.5)
    assert predicted(0.0) == result["labels"] and predicted(0) == result["labels"]
    assert predicted(1.0) == ["neutral"]  # nothing passes: no silent fallback to the best label
    assert predicted((scores[best] + scores[second]) / 2) == [best]
    assert predicted(None) == []
    last = result["labels"][-1]
    own = predicted({last: 0.0})
    assert last in own and own == [n for n in result["labels"] if n == last or scores[n] >= 0.5]
    single = classify(TEXTS[0], labels=LABELS)
    assert predicted(single["scores"][0] - 0.01, multi_label=False) == single["labels"][:1]
    assert predicted(single["scores"][0] + 0.01, multi_label=False) == ["neutral"]
    assert predicted(None, multi_label=False) == []
    # A dict speaks of the labels it names; the others keep the rule of "auto", here: the best label.
    assert predicted({single["labels"][1]: 0.9}, multi_label=False) == single["labels"][:1]
    assert predicted({single["labels"][0]: 1.0}, multi_label=False) == ["neutral"]


def test_the_neutral_rule(classify):
    nothing = classify(TEXTS[0], labels=LABELS, multi_label=True, threshold=1.0)
    assert nothing["predicted"] == ["neutral"] and "neutral" not in nothing["labels"]
    own = classify(TEXTS[0], labels=[*LABELS, "neutral"], multi_label=True, threshold=1.0)
    assert own["predicted"] == []  # the set has its own: it passes or it does not
    assert classify(TEXTS[0], labels=[*LABELS, "Neutral"], multi_label=True, threshold=1.0)["predicted"] == []


@pytest.mark.parametrize("multi_label", [False, True])
def test_a_label_of_the_name_neutral_is_held_to_be_common(classify, multi_label):
    """The same wordings, of which one is called neutral or not."""
    wordings = {name: name for name in [*LABELS, "calm", "boredom"]}
    named = {"Neutral" if name == "calm" else name: wording for name, wording in wordings.items()}
    for text in TEXTS[:3]:
        plain = classify(text, labels=wordings, multi_label=multi_label)
        own = classify(text, labels=named, multi_label=multi_label)
        plain, own = (dict(zip(result["labels"], result["scores"], strict=True)) for result in (plain, own))
        assert own["Neutral"] > plain["calm"] and own["joy"] < plain["joy"]


@pytest.mark.parametrize("multi_label", [False, True])
def test_other_names_of_neutral_are_read_as_it_unless_they_are_described(classify, multi_label):
    def scores(name, labels=LABELS):
        result = classify(TEXTS[0], labels=labels, multi_label=multi_label)
        return dict(zip(result["labels"], result["scores"], strict=True))[name]

    own = scores("neutral", [*LABELS, "neutral"])
    for name in ("no emotion", "No_Emotions", "none"):
        assert scores(name, [*LABELS, name]) == own
        assert classify("", labels=[*LABELS, name], multi_label=multi_label)["predicted"] == [name]
    assert scores("none", {name: name for name in [*LABELS, "none"]}) != own


def test_automatic_thresholds_need_a_background(tiny_model, tokenizer):
    classify = pipeline(
        "zero-shot-emotion", model=tiny_model(background=False), tokenizer=tokenizer, labels=LABELS, device="cpu"
    )
    for threshold in ("auto", {"joy": 0.5}):
        with pytest.raises(ValueError, match='threshold="auto" needs a checkpoint with background statistics'):
            classify("joy", multi_label=True, threshold=threshold)
    assert classify("joy")["predicted"]
    assert classify("joy", multi_label=True, threshold=0.0)["predicted"]
    assert classify("joy", multi_label=True, threshold=None)["predicted"] == []
    assert classify("joy", multi_label=True, threshold=dict.fromkeys(LABELS, 0.0))["predicted"]


def test_dimensions(classify):
    result = classify(TEXTS[0], dimensions=True)
    assert list(result) == ["sequence", "dimensions"]
    assert list(result["dimensions"]) == ["valence", "arousal", "dominance"]
    assert all(isinstance(value, float) for value in result["dimensions"].values())
    for form in ("arousal, valence", ["arousal", "valence"], {"arousal": None, "valence": None}):
        some = classify(TEXTS[0], dimensions=form)["dimensions"]
        assert list(some) == ["arousal", "valence"]
        assert some["valence"] == pytest.approx(result["dimensions"]["valence"], abs=1e-5)
    both = classify(TEXTS, labels=LABELS, dimensions=True)
    assert both[0]["dimensions"]["valence"] == pytest.approx(result["dimensions"]["valence"], abs=1e-4)
    assert both[0]["labels"]


def test_dimensions_of_ones_own(classify):
    one = classify(TEXTS[0], dimensions={"warmth": (["love", "joy"], "anger"), "valence": None})["dimensions"]
    other = classify(TEXTS[0], dimensions={"warmth": (["anger"], ["joy", "love"])})["dimensions"]
    assert one["warmth"] == pytest.approx(-other["warmth"], abs=1e-5) and "valence" in one
    text = classify.encode_texts([TEXTS[0]])
    high, low = classify.encode_labels(["love", "joy"]).mean(dim=0), classify.encode_labels(["anger"])[0]
    assert one["warmth"] == pytest.approx((text[0] @ (high - low)).item(), abs=1e-5)
    assert classify("", dimensions={"warmth": ("love", "anger")})["dimensions"] == {"warmth": 0.0}


# Dtype, device, environment


def test_half_precision_on_request(checkpoint):
    classify = pipeline("zero-shot-emotion", model=str(checkpoint), device="cpu", dtype=torch.bfloat16)
    assert classify.model.dtype == torch.bfloat16
    result = classify(TEXTS, labels=LABELS, multi_label=True, dimensions=True)
    reference = pipeline("zero-shot-emotion", model=str(checkpoint), device="cpu")(
        TEXTS, labels=LABELS, multi_label=True
    )
    assert all(close(one, other, tolerance=0.15) for one, other in zip(result, reference, strict=True))


def test_another_default_dtype_changes_nothing(classify):
    expected = classify(TEXTS, labels=LABELS, multi_label=True, dimensions=True)
    torch.set_default_dtype(torch.float64)
    try:
        again = classify(TEXTS, labels=LABELS[::-1], multi_label=True, dimensions=True)
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(close(one, other) for one, other in zip(again, expected, strict=True))


def test_inference_mode_and_revision_pass(checkpoint):
    with torch.inference_mode():
        classify = pipeline("zero-shot-emotion", model=str(checkpoint), device="cpu", revision="main")
        result = classify(TEXTS[0], labels=LABELS)
    assert classify(TEXTS[0], labels=LABELS) == result


@pytest.mark.skipif(not torch.accelerator.is_available(), reason="no accelerator here")
def test_on_an_accelerator(checkpoint, classify):
    expected = classify(TEXTS, labels=LABELS, multi_label=True, dimensions=True)
    device = torch.accelerator.current_accelerator()
    other = pipeline("zero-shot-emotion", model=str(checkpoint), device=device)
    results = other(TEXTS, labels=LABELS, multi_label=True, dimensions=True)
    assert all(close(one, two, 1e-2) for one, two in zip(results, expected, strict=True))
    calls = []
    classify.model.label_encoder.register_forward_hook(lambda *_: calls.append(1))
    classify("joy", labels=LABELS)
    classify.model.to(device)
    classify.device = device
    classify("joy", labels=LABELS)
    classify("joy", labels=LABELS)
    assert len(calls) == 1


def test_in_a_small_set_the_default_models_labels_stand_for_their_neighbours(default_checkpoint):
    """`fear` comes nearer to worry among five labels, and less so where worry has a label of its own."""
    classify = pipeline("zero-shot-emotion", model=default_checkpoint)
    assert "worry" in classify.model.config.reference_words
    worry = classify.encode_labels("worry")[0]

    def nearness(labels):
        return (classify.model.extend_labels(classify.encode_labels(labels))[0] @ worry).item()

    alone, few = nearness("fear"), nearness("fear, anger, joy, sadness, surprise")
    more = nearness("fear, anger, joy, sadness, surprise, worry, nervousness, anxiety, dread, panic")
    assert alone < more < few


@pytest.mark.slow
def test_the_default_model_needs_no_network_and_no_extra_and_warns_of_nothing(
    default_checkpoint, clean_environment, tmp_path
):
    code = """
import warnings
warnings.simplefilter("error")
import emodistill
from transformers import pipeline
import socket
def refuse(*args, **kwargs):
    raise AssertionError("the network was asked")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
classify = pipeline("zero-shot-emotion", labels=["joy", "anger", "relief", "schadenfreude"])
print(classify("He got fired on his birthday. Couldn't have happened to a nicer guy.")["predicted"])
import sys
extras = {"datasets", "evaluate", "openai", "matplotlib", "sklearn", "pandas", "pyarrow", "gradio"}
assert not extras & set(sys.modules), extras & set(sys.modules)
"""
    root = os.path.dirname(os.path.dirname(os.path.abspath(emodistill.__file__)))
    environment = clean_environment | {"PYTHONPATH": root}
    environment.pop("HF_HUB_OFFLINE", None)
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("[") and done.stdout.count("\n") == 1
    said = [line for line in done.stderr.splitlines() if line.strip() and "Loading weights" not in line]
    assert not said, said
    assert len(os.listdir(default_checkpoint)) > 3


# Saving


REMOTE = """
import importlib.util, json, sys
# An editable install, as in a development environment, is a finder: without it the package is absent.
sys.meta_path[:] = [finder for finder in sys.meta_path if getattr(finder, "__name__", "") != "_EditableFinder"]
assert importlib.util.find_spec("emodistill") is None, "the package must be absent here"
import torch
from transformers import AutoConfig, AutoModel, AutoTokenizer, pipeline
folder, logits, texts, labels = sys.argv[1], sys.argv[2], *map(json.loads, sys.argv[3:])
assert AutoConfig.from_pretrained(folder, trust_remote_code=True).model_type == "emodistill"
model = AutoModel.from_pretrained(folder, trust_remote_code=True)
tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=True)
assert type(model).__module__.startswith("transformers_modules."), type(model)
inputs, wanted = (tokenizer(each, padding=True, return_tensors="pt") for each in (["my dog", "joy and love"], labels))
with torch.no_grad():
    output = model(inputs.input_ids, inputs.attention_mask, wanted.input_ids, wanted.attention_mask)
assert torch.allclose(output.logits, torch.load(logits), atol=1e-5), "other logits than with the package"
assert model.dtype == torch.float32
classify = pipeline("zero-shot-emotion", model=folder, trust_remote_code=True, device="cpu")
assert type(classify).__module__.startswith("transformers_modules."), type(classify)
print(json.dumps(classify(texts, labels=labels, multi_label=True, dimensions=True)))
"""


@pytest.mark.slow
def test_a_saved_pipeline_and_its_model_load_with_and_without_the_package(checkpoint, tmp_path, clean_environment):
    folder = tmp_path / "saved"
    classify = pipeline("zero-shot-emotion", model=str(checkpoint), device="cpu")  # from a file, as the others
    expected = classify(TEXTS, labels=LABELS, multi_label=True, dimensions=True)
    classify.save_pretrained(folder)
    again = pipeline("zero-shot-emotion", model=str(folder), device="cpu")
    stock = pipeline("zero-shot-classification", model=str(folder), trust_remote_code=True, device="cpu")
    assert stock(TEXTS[0], candidate_labels=LABELS) == again(TEXTS[0], labels=LABELS)
    assert again(TEXTS, labels=LABELS, multi_label=True, dimensions=True) == expected
    assert type(AutoModel.from_pretrained(folder)) is EmoDistillModel
    for name in os.listdir(folder):
        content = (folder / name).read_bytes()
        if name.endswith((".json", ".py")):
            assert str(tmp_path).encode() not in content and b"/checkpoint" not in content, name
            assert emodistill.DEFAULT_CHECKPOINT.encode() not in content, name
    inputs, wanted = (
        classify.tokenizer(each, padding=True, return_tensors="pt") for each in (["my dog", "joy and love"], LABELS)
    )
    with torch.no_grad():
        output = classify.model(inputs.input_ids, inputs.attention_mask, wanted.input_ids, wanted.attention_mask)
    torch.save(output.logits, tmp_path / "logits.pt")
    command = [sys.executable, "-P", "-c", REMOTE, str(folder), str(tmp_path / "logits.pt")]
    command += [json.dumps(TEXTS), json.dumps(LABELS)]
    done = subprocess.run(command, cwd=tmp_path, env=clean_environment, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    remote = json.loads(done.stdout.splitlines()[-1])
    assert all(close(one, other, 1e-5) for one, other in zip(remote, expected, strict=True))


def test_saving_twice_keeps_every_file(classify, tmp_path):
    classify.save_pretrained(tmp_path / "one")
    again = pipeline("zero-shot-emotion", model=str(tmp_path / "one"), device="cpu")
    again.save_pretrained(tmp_path / "two")
    assert sorted(os.listdir(tmp_path / "one")) == sorted(os.listdir(tmp_path / "two"))
    configs = [json.loads((tmp_path / name / "config.json").read_text()) for name in ("one", "two")]
    assert configs[0] == configs[1] and "zero-shot-emotion" in configs[1]["custom_pipelines"]


def test_use_leaves_no_warning(classify):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        classify(TEXTS, labels=LABELS, multi_label=True, dimensions=True, batch_size=2)


def test_of_the_parts_that_transformers_may_look_for_only_the_tokenizer_is_asked_for():
    from transformers import pipelines

    source = Path(pipelines.__file__).read_text(encoding="utf-8") + Path(pipelines.base.__file__).read_text("utf-8")
    flags = set(re.findall(r"\b_load_(?:\w+_)?(?:processor|extractor|tokenizer)\b", source))
    functions = {name for name in flags if f"def {name}" in source}
    declared = {name: getattr(ZeroShotEmotionPipeline, name, None) for name in flags - functions}
    assert len(declared) > 3 and declared.pop("_load_tokenizer") is True
    assert set(declared.values()) == {False}, declared
