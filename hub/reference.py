"""Outputs on fixed texts: what a published folder must give again wherever it is loaded.

The file imports nothing of the package, because `emodistill verify` also runs it as a program in a process where the
package is absent: `python -I reference.py` reads a request from standard input (`folder`, `sets` of texts and labels,
`result`, a `path` to import from) and writes the outputs of the folder's own code into the file `result`, as JSON.
"""

import json
import sys

__all__ = ["main", "outputs"]

TEXTS = (
    "I passed the exam, I could dance all night!",
    "He got fired on his birthday. Couldn't have happened to a nicer guy.",
    "The meeting starts at nine in room 204.",
    "Ça ne va pas du tout: I miss her every day \N{EM DASH} and I'd give anything to hear her voice. " * 12,
)
LABELS = ("joy", "anger", "sadness", "relief", "schadenfreude", "neutral")
TASKS = ("zero-shot-emotion", "zero-shot-classification")


def outputs(classify, texts=TEXTS, labels=LABELS):
    """What a pipeline gives for texts and labels, the fixed ones by default.

    Args:
        classify (`ZeroShotEmotionPipeline`): The package's own, or a Hub copy's.
        texts, labels (`Sequence[str]`, *optional*)

    Returns:
        `dict[str, list]`: `text_embeddings`, `label_embeddings`, `single_label`, `multi_label` and `dimensions`, each
        a row for each text or label; fp32 numbers, eight digits.
    """
    found = {
        "text_embeddings": classify.encode_texts(list(texts)).tolist(),
        "label_embeddings": classify.encode_labels(list(labels)).tolist(),
    }
    for name, multi_label in (("single_label", False), ("multi_label", True)):
        results = classify(list(texts), labels=list(labels), multi_label=multi_label, threshold=None)
        scores = [dict(zip(result["labels"], result["scores"], strict=True)) for result in results]
        found[name] = [[row[label] for label in labels] for row in scores]
    names = classify.model.config.dimension_names
    if names:
        results = classify(list(texts), dimensions=list(names))
        found["dimensions"] = [[result["dimensions"][name] for name in names] for result in results]
    return {name: [[round(value, 8) for value in row] for row in rows] for name, rows in found.items()}


class _Hiding:
    """A finder of modules that does not know the package, whoever installed it and however."""

    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "emodistill":
            return None
        return self.finder.find_spec(name, path, target)


def main(request):
    """Load a folder by its own code, under both tasks, in a process without the package; write its outputs."""
    import importlib.util

    sys.path += [place for place in request["path"] if place not in sys.path]
    sys.meta_path[:] = [_Hiding(finder) for finder in sys.meta_path]
    if importlib.util.find_spec("emodistill") is not None:
        raise ImportError("emodistill can be imported here, so nothing would be shown")
    from transformers import pipeline
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    loaded = [pipeline(task, model=request["folder"], trust_remote_code=True, device="cpu") for task in TASKS]
    for task, classify in zip(TASKS, loaded, strict=True):
        if not type(classify).__module__.startswith("transformers_modules."):
            raise ImportError(f"{task} was answered by {type(classify).__module__}, not by the folder's own code")
    text, labels = TEXTS[0], list(LABELS)
    first, second = loaded[0](text, labels=labels), loaded[1](text, candidate_labels=labels)
    if first != second:
        raise ValueError("the two tasks give different scores")
    classify = loaded[0].__class__(model=loaded[0].model.float(), tokenizer=loaded[0].tokenizer)
    found = [outputs(classify, each["texts"], each["labels"]) for each in request["sets"]]
    with open(request["result"], "w", encoding="utf-8") as file:
        json.dump(found, file)


if __name__ == "__main__":
    main(json.load(sys.stdin))
