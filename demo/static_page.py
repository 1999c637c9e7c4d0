"""`emodistill demo --web FOLDER`: a page in which the model runs in the browser; any static file server serves it."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import unicodedata

import numpy as np

__all__ = ["LABELS", "decision_of", "write_page"]

SOURCES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "web")
RUNTIME = "onnxruntime-web@1.30.0"
RUNTIME_FILES = ("ort.wasm.min.mjs", "ort-wasm-simd-threaded.mjs", "ort-wasm-simd-threaded.wasm")
LABELS = "joy, sadness, anger, fear, surprise, disgust, love, gratitude, pride, relief, disappointment, neutral"


def write_page(folder, model=None, labels=LABELS, runtime=None, report=None):
    """
    Write the page with all that it loads: model, tokenizer, what follows from the labels, onnxruntime-web.

    Args:
        folder (`str`): What to write; it must not be there yet.
        model (`str`, *optional*): A folder that `emodistill export` wrote, or a checkpoint, which is exported in int8
            first; the default checkpoint by default.
        labels (`str`, `list[str]` or `dict`, *optional*): The labels that the page scores.
        runtime (`str`, *optional*): Folder of the npm package onnxruntime-web; by default npm fetches it.
        report (`Callable[[str], None]`, *optional*): Told what is being done.

    Returns:
        `str`: the folder.

    Raises:
        `ValueError`: for a model or labels that the page cannot hold, and where onnxruntime-web cannot be had.
        `FileExistsError`: if the folder is there.
    """
    from ..files import write_json, writing_folder
    from ..loading import checkpoint_path
    from ..serving.onnx import TEXT_TOWER, OnnxEmotionClassifier, is_export

    if os.path.exists(folder):
        raise FileExistsError(f"{folder} is there already: name another folder")
    report = report or (lambda text: None)
    with tempfile.TemporaryDirectory(prefix="emodistill-web-") as scratch:
        runtime = runtime or _fetch_runtime(scratch, report)
        missing = [name for name in RUNTIME_FILES if not os.path.isfile(os.path.join(runtime, "dist", name))]
        if missing:
            raise ValueError(f"{runtime} is no package onnxruntime-web: it has no dist/{missing[0]}")
        if model is None or not is_export(model):
            from ..serving.export import export

            model, checkpoint = os.path.join(scratch, "export"), checkpoint_path(model or "small")
            export(checkpoint, model, quantize="int8", report=report)
        classify = OnnxEmotionClassifier(model, threads=1)
        _check_tokenizer(model)
        decision = decision_of(classify, labels)
        with writing_folder(folder) as temporary:
            temporary = os.fspath(temporary)
            for name in sorted(os.listdir(SOURCES)):
                if name.endswith((".html", ".js")):
                    shutil.copy(os.path.join(SOURCES, name), temporary)
            shutil.copy(os.path.join(model, TEXT_TOWER), os.path.join(temporary, "model.onnx"))
            shutil.copy(os.path.join(model, "tokenizer.json"), temporary)
            os.mkdir(os.path.join(temporary, "ort"))
            for name in RUNTIME_FILES:
                shutil.copy(os.path.join(runtime, "dist", name), os.path.join(temporary, "ort"))
            write_json(os.path.join(temporary, "decision.json"), decision, indent=None)
            write_json(os.path.join(temporary, "emoji.json"), _symbols(), indent=None)
    return folder


def _fetch_runtime(scratch, report):
    """The package onnxruntime-web, unpacked."""
    npm = shutil.which("npm")
    wanted = f"unpack the npm package {RUNTIME} yourself and name its folder with --web-runtime"
    if npm is None:
        raise ValueError(f"npm, which fetches onnxruntime-web, is not installed: install it, or {wanted}")
    report(f"fetching {RUNTIME}")
    done = subprocess.run(
        [npm, "pack", "--silent", RUNTIME], cwd=scratch, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    archives = [name for name in os.listdir(scratch) if name.endswith(".tgz")]
    if done.returncode or not archives:
        last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise ValueError(f"npm could not fetch {RUNTIME} ({last}): try again, or {wanted}")
    with tarfile.open(os.path.join(scratch, archives[0])) as archive:
        archive.extractall(scratch, filter="data")
    return os.path.join(scratch, "package")


def _check_tokenizer(model):
    with open(os.path.join(model, "tokenizer.json"), encoding="utf-8") as file:
        content = json.load(file)
    kinds = [(content.get(part) or {}).get("type") for part in ("normalizer", "pre_tokenizer")]
    if kinds != ["BertNormalizer", "BertPreTokenizer"]:
        raise ValueError(f"{model} has a tokenizer that the page does not read: it reads BERT's, not {kinds[0]}")


def decision_of(classify, labels):
    """
    What the page makes scores of embeddings with: all that follows from the labels alone.

    Both rules are affine in a text's embedding up to their last step, so that a page needs one product a label.

    Args:
        classify ([`OnnxEmotionClassifier`]): The exported model.
        labels (`str`, `list[str]` or `dict`): The labels.

    Returns:
        `dict`: labels, how texts are read, and for `several` and `one`: `weights` `(labels, d)`, `biases`, the
        `blank` text's scores and the place of a label that is there where no other is.

    Raises:
        `ValueError`: for labels that name the absence of a feeling, for one label, and for a model without a
            background.
    """
    from ..labels_emodistill import LabelSet
    from ..results_emodistill import blank_scores

    label_set = LabelSet.parse(labels)
    label_set.check_choice()
    if label_set.absent and any(feeling is not None for feeling in label_set.absent):
        raise ValueError("the page scores labels that name a feeling; leave out those that name the absence of one")
    if classify.background is None:
        raise ValueError("the page needs a model with background statistics, and this one has none")
    embedded, statistics = classify._embedded(label_set)
    if (affine := _AFFINE.get(classify.constants.version)) is None:
        known = ", ".join(map(str, _AFFINE))
        raise ValueError(f"the page decides by rules of version {known}; those of this model have another")
    decision = {"labels": list(label_set.names), "size": classify.config.projection_dim}
    decision["neutral"] = "neutral" if embedded.neutral is None else embedded.names[embedded.neutral]
    for name in ("text_max_length", "spell_emoji", "normalise_texts"):
        decision[name] = getattr(classify.config, name)
    for mode, several in (("several", True), ("one", False)):
        weights, biases, neutral, rivals = affine(embedded, statistics, classify.constants, several)
        decision[mode] = {
            "several": several,
            "weights": [[float(f"{value:.8g}") for value in row] for row in weights.tolist()],
            "biases": biases.tolist(),
            "neutral_without_others": neutral,
            "rivals": rivals,
            "blank": blank_scores(label_set, several),
        }
    return decision


def _version_1(embedded, statistics, constants, several):
    from ..decision_emodistill import background_of_labels, multi_label_cuts

    labels = embedded.extended(statistics, constants)
    directions, count = np.asarray(labels, dtype=np.float64), len(embedded)
    expected = constants.expected_labels if several else 1.0
    skewness, most = constants.multi_label_skewness, constants.largest_share
    cuts = np.array(multi_label_cuts(count, expected, skewness, embedded.neutral, most))
    mean, deviation = background_of_labels(labels, statistics.background)
    mean, deviation = np.asarray(mean, dtype=np.float64), np.asarray(deviation, dtype=np.float64)
    if several:
        weights, biases = directions / deviation[:, None], -mean / deviation
        if share := constants.multi_label_competition:
            spread = embedded.moments(labels, statistics.background, share).competing
            weights = (weights - share * weights.mean(0)) / spread[:, None]
            biases = (biases - share * biases.mean()) / spread
        return constants.multi_label_slope * weights, constants.multi_label_slope * (biases - cuts), None, 0.0
    biases = -constants.single_label_centering * mean
    if embedded.neutral is not None:
        biases[embedded.neutral] += (cuts.max() - cuts[embedded.neutral]) * deviation[embedded.neutral]
    unit = (deviation / deviation.mean()) ** constants.single_label_scaling * constants.single_label_temperature
    return directions / unit[:, None], biases / unit, None, 0.0


def _version_2(embedded, statistics, constants, several):
    threshold = embedded.threshold(statistics, constants, statistics.background)
    labels = np.asarray(embedded.extended(statistics, constants), dtype=np.float64)
    units, biases = (np.asarray(part, dtype=np.float64) for part in (threshold.units, threshold.offsets))
    weights = labels / units[:, None]
    if len(labels) > 1:
        weights = weights - constants.multi_label_competition * weights.mean(0)
        biases = biases - constants.multi_label_competition * biases.mean()
    biases = biases - np.asarray(threshold.thresholds, dtype=np.float64)
    slope = constants.multi_label_slope if several else 1.0 / constants.single_label_temperature
    neutral = embedded.neutral if len(labels) > 1 else None
    return slope * weights, slope * biases, neutral, constants.rival_weight


_AFFINE = {1: _version_1, 2: _version_2}


def _symbols():
    """What the page cannot know of characters: names of emoji, and words that keep a doubled letter."""
    from ..normalisation_emodistill import DOUBLED, FIRST_EMOJI, MISLEADING_NAMES, SKIN_TONES

    skipped = ["\u200d", "\ufe0e", "\ufe0f", *map(chr, SKIN_TONES)]
    characters = (chr(code) for code in range(FIRST_EMOJI, sys.maxunicode + 1))
    names = {
        character: MISLEADING_NAMES.get(character) or unicodedata.name(character, "").lower()
        for character in characters
        if unicodedata.category(character) == "So" and character not in skipped
    }
    return {"names": names, "skipped": skipped, "doubled": sorted(DOUBLED)}
