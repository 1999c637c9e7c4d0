"""The model card, written from the checkpoint, its measurements, and a file of facts."""

import json
import math
import re
import sys
import tomllib
from pathlib import Path

from .. import files
from ..command_line import CommandParser
from ..eight_bit_emodistill import eight_bit_shapes, is_eight_bit
from .errors import quiet_client
from .folder import read_config, safetensors_header, weight_files
from .origin import facts_of_training

__all__ = ["MARK", "add_arguments", "card_for", "initial_card", "main", "model_card", "tensor_sizes"]

HERE = Path(__file__).resolve().parent
TEMPLATE = HERE / "templates" / "model_card.md"
MARK = re.compile(r"<!-- written by emodistill for (\S+) -->")
TOWER = ("text_encoder.", "qformer.", "text_projection.")
PRECISION = {"F32": "fp32", "F16": "half precision (fp16)", "BF16": "half precision (bf16)", "F64": "fp64"}
FACTS = ("name", "licence", "language", "base_model", "datasets", "tags", "summary", "how", "teacher", "figures",
         "audit", "limits", "speed", "models")  # fmt: skip
LISTS = ("datasets", "tags")
TAGS = ("emotion", "emotion-recognition", "zero-shot", "dual-encoder", "emodistill")
WIDGETS = (
    ("I passed the exam, I could dance all night!", "joy, relief, pride, anger, boredom"),
    ("He got fired on his birthday. Couldn't have happened to a nicer guy.", "schadenfreude, sympathy, anger, joy"),
    ("The meeting starts at nine.", "neutral, excitement, annoyance, fear"),
)
MISSING = {
    "how": "How this checkpoint was trained was not given when this card was written, and it has no training.json\n"
    "that would say: add the texts, the configuration and the number of epochs.",
    "teacher": "Not given when this card was written: name the language model, the prompt, the texts and\n"
    "their licences.",
    "figures": "**Not measured.** No evaluation was given when this card was written; `emodistill evaluate` writes\n"
    "one and `emodistill card --evaluation results/results.json` puts it here. Do not assume figures of another\n"
    "checkpoint.",
    "audit": "**Not audited.** No audit was given when this card was written; `emodistill audit` writes one and\n"
    "`emodistill card --audit results/audit.json` puts it here. Assume that scores depend on who a text is about.",
    "speed": "Not measured.",
}


def tensor_sizes(folder):
    """Numbers in the text tower and in the whole checkpoint, from the heads of the weight files.

    Args:
        folder (`str` or `Path`): Of a checkpoint.

    Returns:
        `dict`: `tower` and `whole` (numbers), `bytes`, and `dtype`, that of most numbers; of what is stored in eight
        bits as it is published, in half precision.

    Raises:
        `ValueError`: where a weight file is missing or damaged.
    """
    folder = Path(folder)
    if is_eight_bit(folder):
        shapes = eight_bit_shapes(folder)
        numbers = {name: math.prod(shape) for name, shape in shapes.items()}
        whole = sum(numbers.values())
        tower = sum(number for name, number in numbers.items() if name.startswith(TOWER))
        return {"tower": tower, "whole": whole, "bytes": 2 * whole, "dtype": "F16"}
    counts, tower = {}, 0
    names = [name for name in weight_files(folder) if name.endswith(".safetensors")]
    for name in names:
        try:
            header = safetensors_header(folder / name)
        except ValueError as error:
            raise ValueError(f"{folder / name}: {error}") from None
        for tensor, entry in header.items():
            if tensor == "__metadata__":
                continue
            number = math.prod(entry["shape"])
            counts[entry["dtype"]] = counts.get(entry["dtype"], 0) + number
            tower += number if tensor.startswith(TOWER) else 0
    return {
        "tower": tower,
        "whole": sum(counts.values()),
        "bytes": sum((folder / name).stat().st_size for name in names),
        "dtype": max(counts, key=counts.get, default="F32"),
    }


def _shown_sizes(folder):
    sizes = tensor_sizes(folder)
    shown = {"dtype": PRECISION.get(sizes["dtype"], sizes["dtype"]), "stored": _megabytes(sizes["bytes"])}
    for name in ("tower", "whole"):
        number = sizes[name]
        shown[name] = f"{number / 1e6:.1f} million" if number >= 1e5 else f"{number:,}"
        shown |= {f"{name}_fp32": _megabytes(4 * number), f"{name}_fp16": _megabytes(2 * number)}
    return shown


def _megabytes(size):
    return f"{size / 1e6:.0f} MB" if size >= 1e7 else f"{size / 1e6:.1f} MB"


def load_facts(path, checkpoint):
    """The facts of a TOML file; without one, those that the package has for a checkpoint of this name.

    Args:
        path (`str` or `Path`, *optional*)
        checkpoint (`str` or `Path`): Its folder.

    Returns:
        `dict[str, str | list[str]]`

    Raises:
        `ValueError`: for what is no TOML, an unknown key or a value of the wrong kind.
    """
    if path is None:
        path = HERE / "facts" / f"{Path(checkpoint).resolve().name}.toml"
        if not path.is_file():
            return {}
    try:
        facts = tomllib.loads(Path(path).read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"--facts {path}: not TOML ({error})") from None
    for key, value in facts.items():
        if key not in FACTS:
            raise ValueError(f"--facts {path}: no such key {key!r}; there are {', '.join(FACTS)}")
        wanted = isinstance(value, list) and all(isinstance(item, str) for item in value)
        if not (wanted if key in LISTS else isinstance(value, str)):
            raise ValueError(f"--facts {path}: {key} must be {'a list of strings' if key in LISTS else 'a string'}")
    return {key: value.strip() if isinstance(value, str) else value for key, value in facts.items()}


def model_card(checkpoint, repo_id, evaluation=None, audit=None, facts=None):
    """Write a model card.

    Args:
        checkpoint (`str` or `Path`): Folder of a checkpoint.
        repo_id (`str`): Where the card will stand; its snippets load from there.
        evaluation (`dict`, *optional*): What `emodistill evaluate` wrote as `results.json`.
        audit (`dict`, *optional*): What `emodistill audit` wrote as `audit.json`.
        facts (`dict`, *optional*): See `load_facts`.

    Returns:
        `str`: the text of README.md. It says what was not given.
    """
    import torch
    import transformers
    from huggingface_hub import ModelCard

    from .. import __version__
    from . import figures

    facts, config = facts_of_training(checkpoint) | (facts or {}), read_config(checkpoint)
    name = facts.get("name") or repo_id.rpartition("/")[2]
    if config.get("dimension_names"):
        built_in = "It also rates " + ", ".join(config["dimension_names"]) + ", 1 to 9."
    else:
        built_in = ""
    text = {
        "summary": facts.get("summary") or f"Scores texts against any emotion labels without retraining. {built_in}",
        "how": facts.get("how") or MISSING["how"],
        "teacher": facts.get("teacher") or MISSING["teacher"],
        "limits": facts.get("limits", ""),
        "models": facts.get("models", ""),
        "speed": facts.get("speed") or MISSING["speed"],
        "figures": figures.figures_text(evaluation, facts.get("figures")) if evaluation else MISSING["figures"],
        "audit": figures.audit_text(audit, facts.get("audit")) if audit else MISSING["audit"],
    }
    language = facts.get("language", "en")
    card = ModelCard.from_template(
        _card_data(name, facts, language, figures.eval_results(evaluation) if evaluation else None),
        template_path=str(TEMPLATE),
        name=name,
        repo_id=repo_id,
        sizes=_shown_sizes(checkpoint),
        dimension=config.get("projection_dim"),
        language_name={"en": "English"}.get(language, f"the language `{language}`"),
        background=built_in,
        versions={
            "emodistill": __version__,
            "tested": f"{torch.__version__.partition('+')[0]} and {transformers.__version__}",
        },
        **text,
    )
    return str(card).rstrip() + "\n"


def _card_data(name, facts, language, eval_results):
    from huggingface_hub import ModelCardData

    return ModelCardData(
        language=language,
        license=facts.get("licence", "other"),
        library_name="transformers",
        pipeline_tag="zero-shot-classification",
        base_model=facts.get("base_model"),
        datasets=facts.get("datasets"),
        **({"base_model_relation": facts["relation"]} if facts.get("relation") else {}),
        tags=list(dict.fromkeys([*TAGS, *facts.get("tags", ())])),
        widget=[{"text": text, "candidate_labels": labels} for text, labels in WIDGETS],
        model_name=name if eval_results else None,
        eval_results=eval_results,
    )


def default_repo_id(checkpoint):
    """The id that a card bears before anybody has published it."""
    folder = Path(checkpoint).resolve()
    # training leaves a checkpoint in the folder `final` of its run
    return f"OWNER/{folder.parent.name if folder.name == 'final' and folder.parent.name else folder.name}"


def initial_card(checkpoint, repo_id=None):
    """The card that a checkpoint has, told its repository, or else a new one without figures.

    Args:
        checkpoint (`str` or `Path`): Folder of a checkpoint.
        repo_id (`str`, *optional*): Where it will stand.

    Returns:
        `str`

    Raises:
        `ValueError`: where the card that is there has no valid metadata.
    """
    from huggingface_hub import ModelCard

    repo_id, path = repo_id or default_repo_id(checkpoint), Path(checkpoint) / "README.md"
    if not path.is_file():
        return model_card(checkpoint, repo_id, facts=load_facts(None, checkpoint))
    text = path.read_text(encoding="utf-8")
    try:
        ModelCard(text)
    except Exception as error:  # whatever YAML and the Hub's classes raise
        raise ValueError(f"{path}: its metadata are not valid ({str(error).splitlines()[0]})") from None
    if not (written_for := MARK.search(text)):
        return text
    # The whole id: another model's may begin with it, or end like it.
    return re.sub(rf"(?<![\w.-]){re.escape(written_for[1])}(?![\w-]|\.\w)", lambda _: repo_id, text)


def read_json(path, argument, key):
    """A JSON object that one of the package's commands wrote.

    Raises:
        `ValueError`: where it is none, or has no `key`.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{argument} {path}: not JSON ({error})") from None
    if not isinstance(content, dict) or key not in content:
        raise ValueError(f"{argument} {path}: has no {key!r}; give the file that the command wrote")
    return content


def card_for(checkpoint, repo_id=None, evaluation=None, audit=None, facts=None):
    """The card of a checkpoint as the arguments of a command line say.

    Args:
        checkpoint (`str` or `Path`): Folder of a checkpoint.
        repo_id (`str`, *optional*): Where it will stand.
        evaluation, audit, facts (`str`, *optional*): Paths of `results.json`, `audit.json` and a TOML file.

    Returns:
        `str`

    Raises:
        `ValueError`: for figures of a limited run or of another checkpoint.
    """
    repo_id = repo_id or default_repo_id(checkpoint)
    facts = load_facts(facts, checkpoint)
    measured = read_json(evaluation, "--evaluation", "benchmarks") if evaluation else None
    audited = read_json(audit, "--audit", "gaps") if audit else None
    if measured and measured.get("limit"):
        raise ValueError(f"--evaluation {evaluation} is of the first {measured['limit']} rows: a quick look")
    given = [(evaluation, "--evaluation", (measured or {}).get("checkpoint", {}).get("fingerprint"))]
    given += [(audit, "--audit", (audited or {}).get("fingerprint"))]
    if any(path for path, _, _ in given):
        from ..benchmarks.systems import load_system

        own = load_system(checkpoint).fingerprint
        for path, argument, fingerprint in given:
            if path and fingerprint != own:
                raise ValueError(f"{argument} {path} was measured on other weights than those in {checkpoint}")
    return model_card(checkpoint, repo_id, measured, audited, facts)


def add_arguments(parser):
    """The arguments that `card` and `push` share."""
    parser.add_argument("--evaluation", metavar="FILE", help="results.json of emodistill evaluate: the card's figures")
    parser.add_argument("--audit", metavar="FILE", help="audit.json of emodistill audit: the card's bias summary")
    parser.add_argument("--facts", metavar="FILE", help="TOML with licence, base_model, datasets, how, teacher, ...")


def main(argv=None):
    """Write the card of a checkpoint.

    Args:
        argv (`list[str]`, *optional*): The arguments after `card`.

    Returns:
        `int`: 0.

    Raises:
        `ValueError`: for arguments that do not fit.
    """
    parser = CommandParser(
        prog="emodistill card", description="Write a checkpoint's model card from measurements and a file of facts."
    )
    parser.add_argument("checkpoint", nargs="?", help="folder of a checkpoint; the package's own by default")
    parser.add_argument("--repo-id", help="where it will stand (default: OWNER/FOLDER; push sets its own)")
    parser.add_argument("--output", metavar="FILE", help="README.md in the checkpoint by default; - to print it")
    add_arguments(parser)
    args = parser.parse_args(argv)
    from .. import DEFAULT_CHECKPOINT

    quiet_client()
    from ..loading import checkpoint_path

    checkpoint = Path(checkpoint_path(args.checkpoint or DEFAULT_CHECKPOINT))
    read_config(checkpoint)
    text = card_for(checkpoint, args.repo_id, args.evaluation, args.audit, args.facts)
    if args.output == "-":
        sys.stdout.write(text)
        return 0
    path = Path(args.output) if args.output else checkpoint / "README.md"
    if path.is_file() and not MARK.search(path.read_text(encoding="utf-8", errors="replace")):
        raise ValueError(f"{path} was not written by this command: move it away, or name another file by --output")
    files.write_text(path, text)
    print(f"wrote {path}")
    return 0
