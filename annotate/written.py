"""Texts that the teacher composes: by genre, by drawn specifications, or as groups of minimal contrasts."""

import hashlib
import json
import random
import re

from .job import Job
from .normalise import normalise_labels
from .output import check_rows_output, json_line, open_output, store_path
from .replies import DIMENSIONS
from .runner import ask_pending, prepare
from .store import Store

__all__ = ["WRITING_TASKS", "blocks", "contrast_rows", "specifications", "write_texts"]

WRITING_TASKS = ("written", "specification", "contrasts")
MOST = 1_000_000
_NEUTRAL_SHARE, _CONSTRAINED_SHARE = 1 / 8, 1 / 2
_TEXTS = (2, 2, 3, 3, 3, 4)  # of a group of contrasts by seed


def blocks(field, kinds, count, size):
    """The requests for `count` texts or groups of each genre or theme.

    Args:
        field (`str`): `genre` or `theme`.
        kinds (`list[str]`): The genres or themes.
        count, size (`int`): How many of each, and how many in one request.

    Returns:
        `list[dict]`: each with the kind, `block` and `count`.
    """
    return [
        {field: kind, "block": number, "count": min(size, count - start)}
        for kind in kinds
        for number, start in enumerate(range(0, count, size), 1)
    ]


def _seeds(item, draw, seed):
    """A seed for each group of contrasts of a request, drawn by theme and block: more blocks change none."""
    rng = random.Random(f"{seed} {item['theme']} {item['block']}")
    return [
        {
            "register": rng.choice(draw["genre"]),
            "topics": rng.sample(draw["topic"], min(2, len(draw["topic"]))),
            "feelings": rng.sample(draw["feeling"], min(2, len(draw["feeling"]))),
            "texts": rng.choice(_TEXTS),
        }
        for _ in range(item["count"])
    ]


def specifications(prompt, genres, count, size, seed):
    """The requests for `count` texts, each with a drawn genre, feeling, topic and, for half of them, a constraint.

    The same seed draws the same specifications, of which more texts take the first ones: nothing is asked twice.
    Feelings are balanced; one in eight is neutral.

    Args:
        prompt (`Prompt`): Its `draw` holds what there is to draw from.
        genres (`list[str]`): In place of the prompt's; empty for these.
        count, size, seed (`int`)

    Returns:
        `list[dict]`: each with `block` and `specifications`.
    """
    rng, drawn, feelings = random.Random(seed), [], []
    for _ in range(-(-count // size) * size):
        if rng.random() < _NEUTRAL_SHARE:
            feeling = "neutral"
        else:
            if not feelings:
                feelings = rng.sample(prompt.draw["feeling"], len(prompt.draw["feeling"]))
            feeling = feelings.pop()
        one = {"genre": rng.choice(genres or prompt.draw["genre"]), "feeling": feeling}
        one["topic"] = rng.choice(prompt.draw["topic"])
        constrained, constraint = rng.random() < _CONSTRAINED_SHARE, rng.choice(prompt.draw.get("constraint", [""]))
        drawn.append({**one, "constraint": constraint} if constrained and constraint else one)
    starts = range(0, count, size)
    return [{"block": n, "specifications": drawn[s : min(s + size, count)]} for n, s in enumerate(starts, 1)]


def write_texts(count, output, settings, *, genres=(), themes=(), size=None, seed=0, store=None, on_estimate=None):
    """Let a teacher write texts, and write them as a descriptor data set.

    What is written is the task of the settings' prompt: `written` (texts of named genres), `specification` (texts of a
    drawn genre, feeling and topic) or `contrasts` (groups of two to five texts that differ in what turns the feeling).

    Args:
        count (`int`): Texts of each genre; texts in all by specification; groups of each theme.
        output (`str` or `Path`): JSON lines with `id`, `source`, `text`, `labels` and `status`, and `genre`, or for
            contrasts `theme`, `group`, `valence`, `arousal` and `dominance`. `emodistill build-data` takes them.
        settings (`Settings`)
        genres (`list[str]`): Such as `customer review` or `diary entry`; for a specification in place of the prompt's.
        themes (`list[str]`): Of the prompt's; all by default.
        size (`int`, *optional*): Texts or groups of one request; 10 texts or 5 groups by default.
        seed (`int`): Of what is drawn, of texts by specification and of contrasts by seed.
        store (`str` or `Path`, *optional*): `output` with `.sqlite` appended by default.
        on_estimate (`Callable`, *optional*): Told what the run will take.

    Returns:
        `Report`: its statuses count blocks. Texts that the teacher wrote twice are written once.

    Raises:
        `ValueError`: for no genre, an unknown theme, or nothing to write.
    """
    task = prepare(settings, WRITING_TASKS)
    size = task.size if size is None else size
    if count < 1 or size < 1:
        raise ValueError("count, size: must be 1 or more")
    if count > MOST:
        raise ValueError(f"count: must be at most {MOST:,}, for all are planned before the first is asked for")
    requests = _requests(task.prompt, list(genres), list(themes), count, size, seed)
    items = [json.dumps(request, ensure_ascii=False) for request in requests]
    path = store_path(output, store)
    check_rows_output(output, path)
    settings.read_key()
    with Store(path) as opened:
        job = Job(task, [(item, item) for item in items], settings, opened)
        if on_estimate is not None:
            on_estimate(job.estimate())
        report = ask_pending(job)
        found = [(request, job.rows.get(job.key(item))) for request, item in zip(requests, items, strict=True)]
    statuses = [row.status if row else "pending" for _, row in found]
    report.statuses = {status: statuses.count(status) for status in sorted(set(statuses))}
    values = [(item, row.value) for item, row in found if row is not None and row.status == "ok"]
    with open_output(output) as file:
        for line in _rows(task.prompt, values):
            labels = normalise_labels(line.pop("labels"))
            ratings = {name: line.pop(name) for name in DIMENSIONS if name in line}
            file.write(json_line({**line, "labels": labels, **ratings, "status": "ok"}))
    return report


def _requests(prompt, genres, themes, count, size, seed):
    genres = list(dict.fromkeys(genre.strip() for genre in genres if genre.strip()))
    if prompt.task != "contrasts" and themes:
        raise ValueError(f"themes: the prompt {prompt.name!r} has none; use a prompt for contrasts")
    if prompt.task == "specification":
        return specifications(prompt, genres, count, size, seed)
    if prompt.task == "written":
        if not genres:
            raise ValueError("genres: name at least one")
        return blocks("genre", genres, count, size)
    if genres:
        raise ValueError(f"genres: the prompt {prompt.name!r} has themes instead")
    unknown = sorted(set(themes) - set(prompt.themes))
    if unknown:
        raise ValueError(f"themes: no theme {unknown[0]!r}; choose from {', '.join(prompt.themes)}")
    requests = blocks("theme", dict.fromkeys(themes or prompt.themes), count, size)
    return [one | {"seeds": _seeds(one, prompt.draw, seed)} for one in requests] if prompt.draw else requests


def _genre_rows(values):
    seen = set()
    for item, texts in values:
        slug = re.sub(r"\W+", "-", item["genre"].lower()).strip("-")
        for number, one in enumerate(texts, 1):
            if one["text"] not in seen:
                seen.add(one["text"])
                yield {"id": f"{slug}-{item['block']}-{number}", "source": "written", "genre": item["genre"], **one}


def _specified_rows(values):
    seen = set()
    for item, texts in values:
        for specification, one in zip(item["specifications"], texts, strict=True):
            if one["text"] not in seen:
                seen.add(one["text"])
                head = {"id": _identity("written", one["text"]), "source": "written", "selection": "by specification"}
                yield {**head, "genre": specification["genre"], **one}


def contrast_rows(values, selection="contrast"):
    """Rows of contrasts, those of a group beside each other; a group with a text seen before is left out.

    Args:
        values (`Iterable[tuple[dict, list]]`): Items and their groups.
        selection (`str`): How the rows say that they were chosen.
    """
    seen, number = set(), 0
    for item, groups in values:
        for group in groups:
            if seen & {one["text"] for one in group}:
                continue
            seen.update(one["text"] for one in group)
            for one in group:
                head = {"id": _identity("contrast", one["text"]), "source": "contrast", "selection": selection}
                yield {**head, "theme": item["theme"], "group": number, **one}
            number += 1


def _identity(source, text):
    return f"{source}-{hashlib.sha256(text.encode('utf-8', 'replace')).hexdigest()[:10]}"


def _rows(prompt, values):
    if prompt.task == "contrasts":  # from seeds they are another kind, as in the data set: `everyday`
        return contrast_rows(values, prompt.name if prompt.draw else "contrast")
    return (_genre_rows if prompt.task == "written" else _specified_rows)(values)
