"""`emodistill predict`: label texts from a shell."""

import argparse
import contextlib
import json
import os
import sys
import warnings

from .command_line import CommandParser, check_heeded
from .descriptors.text_files import TextFile
from .inputs_emodistill import is_blank
from .loading import checkpoint_path

__all__ = ["check_choice", "main", "read_max_windows", "warnings_as_lines"]

BAR_WIDTH = 30
SHOWN_OF_WINDOW = 70  # characters
LOOKS_LIKE_A_TABLE = "standard input looks like JSON, and is read as a text a line: emodistill score reads tables"


def _parser():
    parser = CommandParser(
        prog="emodistill predict",
        description="Score texts against any emotion labels. The models that come along are for English.",
    )
    parser.add_argument("texts", nargs="*", metavar="TEXT", help="texts, or - for one text a line on standard input")
    parser.add_argument("--labels", help="labels, separated by commas; or a file of them, as score takes it")
    parser.add_argument("--model", help="small (the default), base, a checkpoint's folder or Hub id, or an export")
    parser.add_argument("--multi-label", action="store_true", help="decide each label by itself")
    parser.add_argument("--threshold", default="auto", help='"auto", "none", or a number between 0 and 1')
    parser.add_argument(
        "--labels-per-text", type=float, help="with --multi-label: how many labels your annotators give on average"
    )
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
    parser.add_argument(
        "--normalise",
        action=argparse.BooleanOptionalAction,
        help="take markup, addresses, user names, hashtags and drawn-out words out of texts; as the model was trained "
        "by default",
    )
    parser.add_argument(
        "--max-windows", default="16", help='parts of a long text that are read, spread evenly over it, or "all"'
    )
    parser.add_argument(
        "--return-windows", action="store_true", help="score each part of a long text, too, not the mean alone"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--progress", action="store_true", help="show a progress bar")
    parser.add_argument(
        "--stream", action="store_true", help="answer each line of standard input at once, as for one who types"
    )
    parser.add_argument("--device", help="cpu, cuda:0, ...; the first accelerator by default")
    parser.add_argument("--batch-size", type=int, default=32, help="texts in a batch")
    return parser


def _arguments(argv):
    """The command line, read and checked as far as that needs no model."""
    parser = _parser()
    args, left = parser.parse_known_args(argv)
    dimensions = args.dimensions if isinstance(args.dimensions, str) else None
    if options := [word for word in left if word.startswith("--") or (word.startswith("-") and len(word) == 2)]:
        raise ValueError(parser.no_option(options[0]))
    if left and dimensions is not None:
        raise ValueError(
            f"--dimensions took {dimensions!r} and {left[0]!r} is left over: separate dimensions by commas, and give "
            "texts before the options"
        )
    if left:
        raise ValueError(f"{left[0]!r} stands apart from the other texts: give all texts side by side")
    if not args.texts:
        taken = f": --dimensions took {dimensions!r}, so put texts before the options" if dimensions else ""
        raise ValueError(f"no text is given{taken or '; give texts, or - for one text a line on standard input'}")
    if args.labels is None and args.dimensions is None:
        raise ValueError("give --labels joy,anger,... or --dimensions")
    for_labels = dict.fromkeys(("multi_label", "threshold", "top_k", "label_template"), "labels")
    check_heeded(parser, args, for_labels | {"labels_per_text": "multi_label"})
    if args.batch_size < 1:
        raise ValueError(f"batch_size must be a positive integer, not {args.batch_size}")
    return args


def _options(args):
    """What the call of the pipeline takes."""
    from .calls_emodistill import EmotionCalls
    from .labels_emodistill import LabelSet
    from .results_emodistill import read_thresholds
    from .serving.arguments import read_labels_argument

    labels = read_labels_argument(args.labels)
    options = {
        "labels": labels,
        "multi_label": args.multi_label,
        "threshold": _threshold(args.threshold),
        "top_k": args.top_k,
        "label_template": args.label_template,
        "dimensions": _dimensions(args.dimensions),
        "labels_per_text": args.labels_per_text,
        "normalise": args.normalise,
        "max_windows": read_max_windows(args.max_windows),
        "return_windows": args.return_windows,
    }
    EmotionCalls()._sanitize_parameters(**options)  # tells a mistake before anything heavy is imported
    check_choice(args, labels)
    if labels is not None:
        read_thresholds(options["threshold"], LabelSet.parse(labels).names, args.multi_label)
    return options


def check_choice(args, labels):
    """
    Tell of one label with nothing to choose from.

    Args:
        args (`argparse.Namespace`): Of a command that takes `--labels` and `--multi-label`.
        labels (`list[str]`, `str`, `dict` or [`LabelBank`], *optional*): The labels of all texts.

    Raises:
        `ValueError`: naming the option.
    """
    from .labels_emodistill import LabelSet

    if labels is None or args.multi_label:
        return
    if len(names := LabelSet.parse(labels).names) == 1:
        raise ValueError(
            f"--labels holds one label, {names[0]!r}, which would score 1.0 for any text: give --multi-label to "
            "decide it by itself, or more labels to choose from"
        )


def read_max_windows(value):
    """`int` or `None`: of `--max-windows`.

    Raises:
        `ValueError`: for what is neither a number nor `all`.
    """
    if value == "all":
        return None
    try:
        return int(value)
    except ValueError:
        raise ValueError(f'--max-windows must be "all" or a positive integer, not {value!r}') from None


def _threshold(value):
    if value in ("auto", "none"):
        return None if value == "none" else value
    try:
        return float(value)
    except ValueError:
        raise ValueError(f'--threshold must be "auto", "none" or a number between 0 and 1, not {value!r}') from None


def _dimensions(value):
    if not isinstance(value, str) or ":" not in value:
        return value
    upper, _, lower = value.partition(":")
    return {f"{upper}:{lower}": (upper, lower)}


def _texts(arguments):
    """The texts given, with `-` replaced by the lines of standard input as they come."""
    for text in arguments:
        if text == "-":
            yield from _standard_lines()
        else:
            yield text


def _standard_lines():
    """The lines of standard input, as the reader of files takes them: UTF-16 is read, a packed file is refused."""
    if not hasattr(sys.stdin, "buffer"):  # replaced, in a notebook for instance
        for number, line in enumerate(sys.stdin):
            yield line.removeprefix("\ufeff" if number == 0 else "").rstrip("\r\n")
        return
    named = (sys.stdin.encoding or "").lower()
    encoding = None if named in ("utf-8", "ascii", "us-ascii", "") else named
    with TextFile("-", "standard input", encoding, empty=True) as lines:
        for number, line in lines:
            if number == 1 and line.startswith('{"') and line.rstrip().endswith("}"):
                print(f"emodistill predict: {LOOKS_LIKE_A_TABLE}", file=sys.stderr)
            yield lines.decoded(line.rstrip("\r\n"))[0]


def _ready_streams():
    """Bytes that are no text in the terminal's encoding are replaced, going in and coming out."""
    for stream in (sys.stdin, sys.stdout):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")


def _can_show(character):
    try:
        character.encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def _as_json(result):
    return json.dumps(result, ensure_ascii=not _can_show("\N{GRINNING FACE}"), allow_nan=False)


def _show(result):
    width = max(map(len, [*result.get("labels", []), *result.get("dimensions", {})]), default=0)
    lines = [result["sequence"], *_bars(result, width)]
    if "windows_total" in result:
        lines.append(f"    (read in {result['windows_read']} of {result['windows_total']} windows)")
    windows = result.get("windows", [])
    for number, window in enumerate(windows if len(windows) > 1 else [], 1):
        shown = " ".join(window["text"].split())
        shown = shown if len(shown) <= SHOWN_OF_WINDOW else f"{shown[: SHOWN_OF_WINDOW - 3]}..."
        lines += [f"  window {number} of {len(windows)}: {shown}", *(f"  {line}" for line in _bars(window, width))]
    return "\n".join(lines)


def _bars(result, width):
    """The lines of a text's, or of a window's, labels and dimensions."""
    lines, block = [], "█" if _can_show("█") else "#"
    for label, score in zip(result.get("labels", []), result.get("scores", []), strict=True):
        mark = "*" if label in result["predicted"] else " "
        lines.append(f"  {mark} {label:<{width}}  {score:5.2f}  {block * round(score * BAR_WIDTH)}".rstrip())
    if "labels" in result and not set(result["predicted"]) & set(result["labels"]):
        lines.append(f"  * {', '.join(result['predicted']) or '(nothing predicted)'}")
    return lines + [f"    {name:<{width}}  {value:5.2f}" for name, value in result.get("dimensions", {}).items()]


@contextlib.contextmanager
def warnings_as_lines(command):
    """
    Warnings as one line of the command, without the place in our code that they come from.

    Args:
        command (`str`): Its name after `emodistill`.
    """

    def tell(message, category, filename, lineno, file=None, line=None):
        if issubclass(category, UserWarning):
            print(f"emodistill {command}: {message}", file=sys.stderr)
        else:
            print(warnings.formatwarning(message, category, filename, lineno, line), file=sys.stderr, end="")

    with warnings.catch_warnings():
        warnings.showwarning = tell
        yield


def _explanations(classify, result, options):
    """Of each predicted label of the set, or else of the best; of dimensions where there are no labels."""
    if is_blank(result["sequence"]):
        return []
    options = {name: value for name, value in options.items() if name not in ("threshold", "top_k", "return_windows")}
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
    args = _arguments(argv)
    options, model = _options(args), checkpoint_path(args.model)
    _ready_streams()
    with warnings_as_lines("predict"):
        _run(args, options, model)
    return 0


def _run(args, options, model):
    from .serving.load import load_quietly

    classify = load_quietly(model, args.device)
    live = args.stream or ("-" in args.texts and sys.stdin.isatty())
    how = {"batch_size": 1 if live else args.batch_size, "stream": live, "progress": args.progress}
    texts = _texts(args.texts) if "-" in args.texts else args.texts
    for result in classify(texts, **how, **options):
        explanations = _explanations(classify, result, options) if args.explain else []
        if args.json:
            extra = {"explanations": [why.to_dict() for why in explanations]} if args.explain else {}
            print(_as_json({**result, **extra}), flush=True)
        else:
            print("\n".join(filter(None, [_show(result), _show_explanations(explanations)])), flush=True)
