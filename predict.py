"""`emodistill predict`: label texts from a shell."""

import argparse
import json
import os
import sys

__all__ = ["main"]

BAR_WIDTH = 30


def _parser():
    parser = argparse.ArgumentParser(
        prog="emodistill predict",
        description="Score texts against any emotion labels. The default model is for English.",
    )
    parser.add_argument("texts", nargs="+", metavar="TEXT", help="texts, or - for one text a line on standard input")
    parser.add_argument("--labels", help="labels, separated by commas")
    parser.add_argument("--model", help="small (the default), base, or the folder or Hub id of a checkpoint")
    parser.add_argument("--multi-label", action="store_true", help="decide each label by itself")
    parser.add_argument("--threshold", default="auto", help='"auto", "none", or a number between 0 and 1')
    parser.add_argument("--top-k", type=int, help="show this many labels")
    parser.add_argument("--label-template", help="a sentence with {} for the label")
    parser.add_argument(
        "--dimensions",
        nargs="?",
        const=True,
        help="built-in dimensions, separated by commas (all without a value), or upper,labels:lower,labels",
    )
    parser.add_argument(
        "--explain",
        action="store_true",
        help="mark the words that tell for and against each predicted label, or dimensions without labels",
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--device", help="cpu, cuda:0, ...; the first accelerator by default")
    parser.add_argument("--batch-size", type=int, default=32, help="texts in a batch")
    return parser


def _threshold(value):
    if value in ("auto", "none"):
        return None if value == "none" else value
    try:
        return float(value)
    except ValueError:
        raise ValueError(f'--threshold must be "auto", "none" or a number between 0 and 1, not {value!r}') from None


def _device(value):
    import torch

    try:
        torch.zeros(1, device=value)
    except (AssertionError, RuntimeError):  # torch's own words name neither the argument nor a way out
        raise ValueError(f"--device {value} is not available on this machine; cpu always is") from None
    return value


def _dimensions(value):
    if not isinstance(value, str) or ":" not in value:
        return value
    upper, _, lower = value.partition(":")
    return {f"{upper}:{lower}": (upper, lower)}


def _texts(arguments):
    """The texts given, with `-` replaced by the lines of standard input as they come."""
    for text in arguments:
        if text == "-":
            for line in sys.stdin:
                yield line.rstrip("\r\n")
        else:
            yield text


def _show(result):
    lines = [result["sequence"]]
    width = max(map(len, [*result.get("labels", []), *result.get("dimensions", {})]), default=0)
    for label, score in zip(result.get("labels", []), result.get("scores", []), strict=True):
        mark = "*" if label in result["predicted"] else " "
        lines.append(f"  {mark} {label:<{width}}  {score:5.2f}  {'█' * round(score * BAR_WIDTH)}".rstrip())
    if "labels" in result and not set(result["predicted"]) & set(result["labels"]):
        lines.append(f"  * {', '.join(result['predicted']) or '(nothing predicted)'}")
    lines.extend(f"    {name:<{width}}  {value:5.2f}" for name, value in result.get("dimensions", {}).items())
    return "\n".join(lines)


def _explanations(classify, result, options):
    """Of each predicted label of the set, or else of the best; of dimensions where there are no labels."""
    if not result["sequence"].strip():
        return []
    options = {name: value for name, value in options.items() if name not in ("threshold", "top_k")}
    if "labels" not in result:
        return [classify.explain(result["sequence"], dimension=name, **options) for name in result["dimensions"]]
    labels = [label for label in result["predicted"] if label in result["labels"]] or result["labels"][:1]
    return [classify.explain(result["sequence"], label, **options) for label in labels]


def _show_explanations(explanations):
    colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ
    return "\n".join("    " + line for why in explanations for line in why.marked(colour).splitlines())


def main(argv=None):
    """Label texts as the command line says.

    Args:
        argv (`list[str]`, *optional*): The arguments after `predict`.

    Returns:
        `int`: 0.

    Raises:
        `ValueError`: for arguments that do not fit.
    """
    args = _parser().parse_args(argv)
    if args.labels is None and args.dimensions is None:
        raise ValueError("give --labels joy,anger,... or --dimensions")
    from transformers import pipeline
    from transformers.utils import logging

    from . import TASK, checkpoint_path

    logging.disable_progress_bar()
    classify = pipeline(TASK, model=checkpoint_path(args.model), device=_device(args.device))
    options = {
        "labels": args.labels,
        "multi_label": args.multi_label,
        "threshold": _threshold(args.threshold),
        "top_k": args.top_k,
        "label_template": args.label_template,
        "dimensions": _dimensions(args.dimensions),
    }
    streaming = "-" in args.texts and sys.stdin.isatty()
    for result in classify(_texts(args.texts), batch_size=1 if streaming else args.batch_size, **options):
        explanations = _explanations(classify, result, options) if args.explain else []
        if args.json:
            extra = {"explanations": [why.to_dict() for why in explanations]} if args.explain else {}
            print(json.dumps({**result, **extra}, ensure_ascii=False), flush=True)
        else:
            print("\n".join(filter(None, [_show(result), _show_explanations(explanations)])), flush=True)
    return 0
