"""Every example in a docstring runs, offline, and every public name has a docstring."""

import doctest
import importlib
import inspect
import pkgutil

import pytest

import emodistill

# Rooms with examples that need neither a server nor more than the default checkpoint.
MODULES = [
    "arrays_emodistill", "calls_emodistill", "configuration_emodistill", "constants_emodistill",
    "modeling_emodistill", "statistics_emodistill", "labels_emodistill",
    "loss_emodistill", "decision_emodistill", "rules_emodistill", "towers_emodistill", "weights_emodistill", "loading",
    "inputs_emodistill", "language_emodistill", "results_emodistill", "normalisation_emodistill",
    "set_rules_emodistill", "eight_bit_emodistill", "watching_emodistill", "telling_emodistill",
    "options_emodistill", "progress_emodistill", "locks_emodistill",
    "encoding_emodistill", "fingerprint", "pipeline_emodistill", "predict", "cli", "train_accelerate",
    "training.arguments", "training.data", "training.distilling", "training.finishing", "training.objective",
    "training.states", "training.targets", "training.validation",
    "durations", "files", "unfinished",
    "descriptors.build", "descriptors.commands", "descriptors.describe", "descriptors.formats",
    "descriptors.inputs", "descriptors.labels", "descriptors.lexicon", "descriptors.matching",
    "descriptors.parquet_output", "descriptors.rows", "descriptors.sources", "descriptors.splits",
    "descriptors.spreadsheet", "descriptors.survey", "descriptors.tables", "descriptors.text_files",
    "demo.drawing", "demo.guard", "demo.proxies", "demo.scoring", "demo.serve", "demo.uploads",
    "hub.model_card", "hub.check", "hub.dataset", "hub.errors", "hub.figures", "hub.folder", "hub.leaks", "hub.origin",
    "hub.pickles", "hub.push", "hub.sandbox", "hub.verify",
    "serving.adapt", "serving.corrections", "serving.explain", "serving.load", "serving.safetensors_file",
    "tokenizing_emodistill",
]  # fmt: skip
MEASURING = [
    "benchmarks.audit.counterfactual", "benchmarks.audit.statistics",
    "benchmarks.evaluator", "benchmarks.metrics", "benchmarks.metrics.measures", "benchmarks.readers",
    "benchmarks.speed.speed_tables", "benchmarks.suite", "experiments.descriptor_variants",
]  # fmt: skip
FLAGS = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS


SLOW = [pytest.param("demo.app", marks=pytest.mark.slow)]  # gradio takes seconds to load


@pytest.mark.parametrize("name", ["", *MODULES, *SLOW, *MEASURING])
def test_examples_give_what_they_show(name):
    module = importlib.import_module(f"emodistill.{name}" if name else "emodistill")
    examples = [test for test in doctest.DocTestFinder().find(module) if test.examples]
    assert examples or name not in MEASURING  # which are listed for their examples
    runner = doctest.DocTestRunner(optionflags=FLAGS)
    shown = []
    for test in examples:
        runner.run(test, out=shown.append)
    assert runner.summarize(verbose=False).failed == 0, "".join(shown)


@pytest.mark.parametrize("name", ["", *MODULES, *SLOW])
def test_public_names_are_documented(name):
    module = importlib.import_module(f"emodistill.{name}" if name else "emodistill")
    assert module.__doc__
    for public in getattr(module, "__all__", ()):
        value = getattr(module, public)  # what __all__ promises is there
        if not (inspect.isclass(value) or inspect.isfunction(value)):
            continue
        assert value.__doc__ and not value.__doc__.startswith(f"{public}("), f"{name}.{public} has no docstring"
        if not inspect.isclass(value) or name.startswith("training."):
            continue
        for method, function in vars(value).items():
            # What transformers calls (`forward` and the pipeline's steps) is documented too.
            if inspect.isfunction(function) and not method.startswith("_"):
                assert function.__doc__ or inspect.getdoc(getattr(value, method)), f"{public}.{method}"


@pytest.mark.parametrize(
    "name",
    [
        "EmoDistillConfig", "EmoDistillModel", "ZeroShotEmotionPipeline",
        "loss_emodistill.multi_positive_sigmoid_loss",
        "loss_emodistill.logit_of_rate", "loss_emodistill.gather_labels", "decision_emodistill.score_labels",
        "decision_emodistill.standardise",
        "decision_emodistill.multi_label_scores", "decision_emodistill.single_label_scores",
        "decision_emodistill.dimension_scores", "decision_emodistill.select_labels",
        "encoding_emodistill.encode_texts", "encoding_emodistill.encode_labels", "pipeline_emodistill.LabelSet.parse",
    ],
)  # fmt: skip
def test_what_users_call_has_an_example(name):
    value = emodistill
    for part in name.split("."):
        value = importlib.import_module(f"emodistill.{part}") if part.endswith("_emodistill") else getattr(value, part)
    assert ">>>" in value.__doc__


def test_every_flat_room_is_listed():
    flat = {module.name for module in pkgutil.iter_modules(emodistill.__path__) if not module.ispkg}
    assert {name for name in flat if name.endswith("_emodistill")} <= set(MODULES)
