"""`emodistill export`: a checkpoint as a folder that onnxruntime runs, checked against the checkpoint."""

import json
import os
import shutil
import sys
from pathlib import Path

import numpy as np

from ..command_line import CommandParser
from ..files import check_output
from ..fingerprint import file_digest
from ..normalisation_emodistill import plain_texts
from ..version import __version__
from .arguments import read_labels_argument
from .export_check import LIMITS, TEXTS, compare_with_checkpoint, failures
from .load import require_modules
from .onnx import (
    DIGESTED,
    FORMAT,
    LABEL_TOWER,
    LABELS,
    SETTINGS,
    STATISTICS,
    TEXT_TOWER,
    OnnxEmotionClassifier,
    is_export,
)

__all__ = ["export", "main"]

SMALLER = tuple(filter(None, LIMITS))  # than fp32
GOAL = 0.992  # of the lowest cosine in 8 bits: as many products stay in fp32 as that takes
LEFT_OUT = (0, 2, 4, 8, 16)
CALIBRATION = Path(__file__).with_name("calibration.txt")  # written by the teacher, of all genres and registers


def export(checkpoint, folder, quantize=None, labels=None, overwrite=False, report=None):
    """
    Write a checkpoint as ONNX graphs with all that answering takes, once it is seen to answer as the checkpoint does.

    Args:
        checkpoint (`str`): Folder or Hub id of a checkpoint.
        folder (`str`): What to write; it must not be there yet.
        quantize (`str`, *optional*): `"int8"` for processors, `"fp16"` for accelerators; fp32 by default.
        labels (`list[str]`, `str`, `dict` or [`LabelBank`], *optional*): Labels to embed now, so that the label tower
            is not needed for them.
        overwrite (`bool`, *optional*, defaults to `False`): Whether to replace an export of that name.
        report (`Callable[[str], None]`, *optional*): Told what is being done.

    Returns:
        `dict[str, float]`: how far the export is from the checkpoint, see `compare_with_checkpoint`.

    Raises:
        `ValueError`: if the export lost more than its precision may; nothing is written then.
        `FileExistsError`: if the folder is there; with `overwrite`, if it holds anything but an export.
    """
    if quantize not in LIMITS:
        raise ValueError(f"quantize must be {', '.join(map(repr, SMALLER))} or None, not {quantize!r}")
    if os.path.exists(folder) and not overwrite:
        raise FileExistsError(f"{folder} is there already: name another folder, or overwrite it")
    if os.path.isdir(folder) and os.listdir(folder) and not is_export(folder):
        raise FileExistsError(f"{folder} holds no export, and what it holds would be lost: name another folder")
    require_modules("onnx", "onnxscript", "onnxruntime")
    from ..files import writing_folder

    report = report or (lambda text: None)
    report("loading the checkpoint")
    classify = _pipeline(checkpoint)
    with writing_folder(folder, replace=overwrite) as temporary:
        temporary = os.fspath(temporary)
        os.makedirs(os.path.join(temporary, "onnx"), exist_ok=True)
        _write_settings(classify, temporary, quantize)
        if labels is not None:
            _write_labels(classify, temporary, labels)
        report("writing the towers as graphs")
        left_out = _write_towers(classify, temporary, quantize, report)
        report(f"comparing with the checkpoint on {len(TEXTS)} texts")
        figures = compare_with_checkpoint(classify, OnnxEmotionClassifier(temporary))
        if told := failures(figures, quantize):
            raise ValueError(
                f"the export is refused, since it does not answer as the checkpoint does: {'; '.join(told)}"
            )
        _write_settings(classify, temporary, quantize, check=figures, left_out=left_out)
        _write_card(temporary, checkpoint, quantize, figures, left_out)
    return figures


def _pipeline(checkpoint):
    import torch

    from .. import ZeroShotEmotionPipeline, load_checkpoint

    model, tokenizer = load_checkpoint(checkpoint, dtype=torch.float32)
    return ZeroShotEmotionPipeline(model=model, tokenizer=tokenizer, device="cpu")


def _write_settings(classify, folder, quantize, check=None, left_out=()):
    """Configuration, tokenizer, decision data and what is said of the export."""
    from ..encoding_emodistill import longest_label
    from ..files import write_bytes, write_json

    model, tokenizer = classify.model, classify.tokenizer
    configuration = model.config.to_dict()
    encoder = configuration["text_config"]
    configuration["model_type"] = "emodistill-onnx"
    configuration.pop("custom_pipelines", None)
    configuration.pop("auto_map", None)
    # Servers that know encoders and not this model look for these at the top.
    for name in ("hidden_size", "max_position_embeddings", "num_attention_heads", "num_hidden_layers", "vocab_size"):
        configuration[name] = encoder[name]
    configuration["pad_token_id"] = tokenizer.pad_token_id
    write_json(os.path.join(folder, "config.json"), configuration)
    tokenizer.save_pretrained(folder)
    write_bytes(os.path.join(folder, STATISTICS), _statistics(model))
    settings = {
        "format": FORMAT,
        "emodistill": __version__,
        "quantize": quantize,
        "pad_token_id": tokenizer.pad_token_id,
        "longest_label": longest_label(model, tokenizer),
        "left_in_fp32": list(left_out),
        "check": check,
        "sha256": {name.replace(os.sep, "/"): file_digest(path) for name, path in _digested(folder)},
    }
    write_json(os.path.join(folder, SETTINGS), settings)


def _digested(folder):
    paths = {name: os.path.join(folder, name) for name in DIGESTED}
    return [(name, path) for name, path in paths.items() if os.path.isfile(path)]


def _statistics(model):
    from safetensors.numpy import save

    arrays = {}
    if model.background is not None:
        arrays["background_mean"], arrays["background_covariance"] = model.background
    if model.reference is not None:
        arrays["reference_embeds"], arrays["reference_directions"] = model.reference
    if (priors := model.statistics.reference_priors) is not None:
        arrays["reference_priors"] = priors
    if model.dimension_head is not None:
        arrays["dimension_weight"], arrays["dimension_bias"] = model.dimension_head.weight, model.dimension_head.bias
    arrays = {name: np.ascontiguousarray(value.detach().float().cpu().numpy()) for name, value in arrays.items()}
    logit = [float(model.logit_scale.detach().float().exp()), float(model.logit_bias.detach().float())]
    return save(arrays, metadata={"logit": json.dumps(logit)})


def _write_labels(classify, folder, labels):
    from safetensors.numpy import save

    from ..files import write_bytes
    from ..labels_emodistill import LabelSet

    label_set = LabelSet.parse(labels)
    embeds = np.ascontiguousarray(np.asarray(classify.encode_labels(labels)), dtype=np.float32)
    notes = {"names": label_set.names, "wordings": label_set.wordings}
    notes = {name: json.dumps(value, ensure_ascii=False) for name, value in notes.items()}
    write_bytes(os.path.join(folder, LABELS), save({"embeds": embeds}, metadata=notes))


def _write_towers(classify, folder, quantize, report):
    """Both graphs in the precision asked for; names of the products that stay in fp32."""
    from .export_graphs import export_towers, store_in_int8, to_fp16

    final = {"text": os.path.join(folder, TEXT_TOWER), "label": os.path.join(folder, LABEL_TOWER)}
    if quantize is None:
        export_towers(classify.model, os.path.dirname(final["text"]))
        return []
    scratch = os.path.join(folder, "scratch")
    os.makedirs(scratch)
    whole = export_towers(classify.model, scratch)
    left_out = []
    if quantize == "fp16":
        for tower, source in whole.items():
            to_fp16(source, final[tower])
    else:
        store_in_int8(whole["label"], final["label"])
        left_out = _quantize(classify, whole["text"], final["text"], report)
    shutil.rmtree(scratch)
    return left_out


def _quantize(classify, source, target, report):
    """Leave out as few products as the goal takes, those that lose most first."""
    import onnxruntime

    from .export_graphs import channel_ranges, quantize_int8, sensitive_products

    feeds = _feeds(classify, TEXTS)

    def outputs(path):
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        return np.concatenate([session.run(None, feed)[0] for feed in feeds])

    whole, ranking, best = outputs(source), [], (-1.0, 0)
    varied = CALIBRATION.read_text(encoding="utf-8").splitlines()
    ranges = channel_ranges(source, _feeds(classify, [*TEXTS, *varied]))
    for number in LEFT_OUT:
        if number and not ranking:
            ranking = list(sensitive_products(source, feeds[1]))
        if number > len(ranking) / 2:
            break
        quantize_int8(source, target, ranges, ranking[:number])
        lowest = float((whole * outputs(target)).sum(axis=1).min())
        report(f"text tower in 8 bits, {number} products in fp32: lowest cosine {lowest:.4f}")
        best = max(best, (lowest, number))
        if lowest >= GOAL:
            return ranking[:number]
    quantize_int8(source, target, ranges, ranking[: best[1]])
    return ranking[: best[1]]


def _feeds(classify, texts):
    """Texts as a tower takes them, in batches of like length."""
    limit, feeds = classify.model.config.text_max_length, []
    texts = sorted(plain_texts(classify.model.config, texts), key=len)
    for start in range(0, len(texts), 12):
        part = texts[start : start + 12]
        encoded = classify.tokenizer(part, padding=True, truncation=True, max_length=limit, return_tensors="np")
        feeds.append({name: encoded[name].astype(np.int64) for name in ("input_ids", "attention_mask")})
    return feeds


def _write_card(folder, checkpoint, quantize, figures, left_out):
    from ..files import write_text

    size = sum(os.path.getsize(os.path.join(folder, name)) for name in (TEXT_TOWER,)) / 1e6
    name = os.path.basename(os.path.normpath(checkpoint)) if checkpoint else "the default checkpoint"
    lines = "\n".join(f"| {key.replace('_', ' ')} | {value:g} |" for key, value in figures.items())
    kept = f"{len(left_out)} matrix products stay in fp32, those that lose most by it.\n\n" if left_out else ""
    text = f"""---
library_name: onnxruntime
pipeline_tag: zero-shot-classification
tags: [emotion, onnx, emodistill]
---
# {name}, exported to ONNX ({quantize or "fp32"})

Written by `emodistill export` {__version__}; the text tower takes {size:.0f} MB. It runs with NumPy, tokenizers and
onnxruntime alone: `pip install 'emodistill[onnx]' --no-deps` and these three.

```python
import emodistill

classify = emodistill.load("this folder")
classify("How dare you lie to me again!", labels=["joy", "anger", "relief"])
```

| file | what |
|---|---|
| `onnx/model.onnx` | text tower: `input_ids` and `attention_mask` to `sentence_embedding`, and `dimensions` |
| `onnx/label_model.onnx` | label tower: the same inputs to `label_embedding` |
| `decision.safetensors`, `config.json` | what makes scores of embeddings |
| `labels.safetensors` | labels embedded beforehand, where given |

## Compared with the checkpoint

{kept}On {figures["texts"]} built-in texts, three label sets, one label and several:

| | |
|---|---|
{lines}
"""
    write_text(os.path.join(folder, "README.md"), text)


def _parser():
    parser = CommandParser(
        prog="emodistill export",
        description="Write a checkpoint as a folder that onnxruntime runs without torch, checked against it.",
    )
    parser.add_argument("checkpoint", nargs="?", help="folder or Hub id of a checkpoint; the default one by default")
    parser.add_argument("--format", choices=("onnx",), default="onnx", help="the format; onnx is the only one")
    parser.add_argument("--quantize", choices=SMALLER, help="int8 for processors, fp16 for accelerators")
    parser.add_argument("--labels", help="labels to embed now, separated by commas, or a file of them")
    parser.add_argument("--output", help="the folder to write; NAME-onnx[-int8] by default")
    parser.add_argument("--overwrite", action="store_true", help="replace an export of that name")
    return parser


def main(argv=None):
    """Export as the command line says.

    Args:
        argv (`list[str]`, *optional*): The arguments after `export`.

    Returns:
        `int`: 0.

    Raises:
        `ValueError`: for an export that is refused.
    """
    from .. import DEFAULT_CHECKPOINT

    args = _parser().parse_args(argv)
    if args.output is not None:
        check_output(args.output, "--output", folder=True)
    checkpoint = args.checkpoint or DEFAULT_CHECKPOINT
    name = os.path.basename(os.path.normpath(checkpoint))
    folder = args.output or "-".join(filter(None, [name, "onnx", args.quantize]))
    figures = export(
        checkpoint,
        folder,
        quantize=args.quantize,
        labels=read_labels_argument(args.labels),
        overwrite=args.overwrite,
        report=lambda text: print(f"  {text}", file=sys.stderr, flush=True),
    )
    print(f"{folder}: {json.dumps(figures)}")
    return 0
