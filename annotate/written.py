"""`emodistill annotate write`: texts that the teacher composes, genre by genre, with their descriptors."""

import json
import re
from pathlib import Path

from .cli import LIMITS, MODEL, finish, make_parser, settings_from, show_estimate
from .job import Job
from .normalise import normalise_labels
from .output import atomic_writer, check_output, json_line
from .runner import ask_pending, prepare, store_path
from .store import Store
from .tasks import WrittenTask


def blocks(genres, count, size):
    """The requests for `count` texts of each genre: `list[str]`, each the JSON of `genre`, `block` and `count`."""
    items = []
    for genre in genres:
        for number, start in enumerate(range(0, count, size), 1):
            item = {"genre": genre, "block": number, "count": min(size, count - start)}
            items.append(json.dumps(item, ensure_ascii=False))
    return items


def write_texts(genres, count, output, settings, *, size=10, store=None, on_estimate=None):
    """Let a teacher write texts, and write them as a descriptor data set.

    Args:
        genres (`list[str]`): such as `customer review` or `diary entry`.
        count (`int`): texts of each genre.
        output (`str` or `Path`): JSON lines: `id`, `source` (`written`), `genre`, `text`, `labels`, `status`.
        settings (`Settings`): its prompt is one for the task `written`.
        size (`int`): texts of one request.
        store (`str` or `Path`, *optional*): `output` with `.sqlite` appended by default.
        on_estimate (`Callable`, *optional*): told what the run will take.

    Returns:
        `Report`: its statuses count blocks. Texts that the teacher wrote twice are written once.
    """
    genres = list(dict.fromkeys(genre.strip() for genre in genres if genre.strip()))
    if not genres or count < 1 or size < 1:
        raise ValueError("genres, count, size: name a genre, and 1 text or more")
    path = store_path(output, store)
    check_output(output, path)
    task = WrittenTask(prepare(settings, "written"), size)
    items = blocks(genres, count, size)
    settings.read_key()
    with Store(path) as opened:
        job = Job(task, [(item, item) for item in items], settings, opened)
        if on_estimate is not None:
            on_estimate(job.estimate())
        report = ask_pending(job)
        found = [(json.loads(item), job.rows.get(job.key(item))) for item in items]
    statuses = [row.status if row else "pending" for _, row in found]
    report.statuses = {status: statuses.count(status) for status in sorted(set(statuses))}
    seen = set()
    with atomic_writer(output) as file:
        for item, row in found:
            for number, one in enumerate(row.value if row is not None and row.status == "ok" else (), 1):
                if one["text"] in seen:
                    continue
                seen.add(one["text"])
                slug = re.sub(r"\W+", "-", item["genre"].lower()).strip("-")
                line = {"id": f"{slug}-{item['block']}-{number}", "source": "written", "genre": item["genre"]}
                line.update(text=one["text"], labels=normalise_labels(one["labels"]), status="ok")
                file.write(json_line(line))
    return report


def main(argv):
    """Run `emodistill annotate write`. Returns the exit status."""
    parser = make_parser(
        "write",
        "Let the teacher write texts of given genres, each with its descriptors.",
        model=MODEL,
        limits=LIMITS,
    )
    parser.set_defaults(max_tokens=4096)
    parser.add_argument("--genres", nargs="+", default=[], metavar="GENRE", help="such as 'customer review' diary")
    parser.add_argument("--genres-file", metavar="FILE", help="one genre a line")
    parser.add_argument("--count", type=int, default=100, metavar="N", help="texts of each genre (default: 100)")
    parser.add_argument("--texts-per-request", type=int, default=10, metavar="N", help="(default: 10)")
    parser.add_argument("--prompt", default="written", metavar="NAME", help="a prompt for writing (default: written)")
    parser.add_argument("--output", required=True, metavar="FILE", help="JSON lines, as annotate writes them")
    parser.add_argument(
        "--store", metavar="FILE", help="everything asked and answered (default: the output's .sqlite)"
    )
    args = parser.parse_args(argv)
    genres = args.genres + (Path(args.genres_file).read_text("utf-8-sig").splitlines() if args.genres_file else [])
    if not genres:
        raise ValueError("--genres: name at least one")
    size, args.texts_per_request, args.labels = args.texts_per_request, 1, None
    settings = settings_from(args)
    show = None if settings.quiet else show_estimate
    report = write_texts(genres, args.count, args.output, settings, size=size, store=args.store, on_estimate=show)
    return finish(report, settings.quiet)
