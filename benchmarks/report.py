"""Writes results: JSON, Markdown, PNG files and one HTML page that holds everything."""

import base64
import html
from pathlib import Path

from ..files import write_json, write_text
from .plots import suite_pictures
from .result_tables import all_tables, protocol_lines
from .suite import clean

__all__ = ["html_page", "html_report", "image_tag", "limit_line", "markdown", "write_results"]

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; color: #111; }}
table {{ border-collapse: collapse; margin: 1.5rem 0; font-size: 13px; display: block; overflow-x: auto; }}
caption {{ text-align: left; font-weight: 600; padding: .3rem 0; }}
th, td {{ border-bottom: 1px solid #ccc; padding: .25rem .6rem; text-align: left; white-space: nowrap; }}
figure {{ margin: 1.5rem 0; }} img {{ max-width: 100%; height: auto; }} figcaption {{ font-size: 13px; color: #444; }}
.limited {{ border: 2px solid #111; padding: .5rem 1rem; font-weight: 600; }}
</style></head><body><h1>{title}</h1>
{body}
</body></html>
"""
FITNESS = (
    "These figures measure agreement with what annotators read into short English texts. They do not measure what a "
    "person feels, and nothing here makes the model fit for decisions about individuals: hiring, policing, diagnosis, "
    "surveillance or the like."
)


def limit_line(suite):
    if not suite.get("limit"):
        return None
    return f"LIMITED RUN: only the first {suite['limit']} rows of each split. A quick look, not a result."


def markdown(suite, pictures=()):
    """The suite as one Markdown text.

    Args:
        suite (`dict`): Of `suite.run_suite`.
        pictures (`list[tuple[str, Picture]]`): Relative paths and pictures to show.
    """
    lines = [f"# Benchmark results: {suite['systems'][0]}", ""]
    if line := limit_line(suite):
        lines += [f"**{line}**", ""]
    lines += ["Protocols, named in every row:", "", *protocol_lines(suite), ""]
    lines += [f"Intervals: 95 % bootstrap over texts, {suite['replicates']} replicates, seed {suite['seed']}.", ""]
    for table in all_tables(suite):
        lines += [table.markdown()]
    for path, picture in pictures:
        lines += [f"![{picture.alt}]({path})", ""]
    if suite["skipped"]:
        lines += ["Not measured here:", "", *(f"- {line}" for line in suite["skipped"]), ""]
    return "\n".join([*lines, FITNESS, ""])


def image_tag(picture):
    """A figure element with the picture inside."""
    data, alt = base64.b64encode(picture.png).decode(), html.escape(picture.alt, quote=True)
    return f'<figure><img alt="{alt}" src="data:image/png;base64,{data}"><figcaption>{alt}</figcaption></figure>\n'


def html_page(title, sections):
    """A page from ready-made HTML sections."""
    return PAGE.format(title=html.escape(title), body="\n".join(sections))


def html_report(suite, pictures):
    """One self-contained page with every table and picture, a `str`."""
    sections = []
    if line := limit_line(suite):
        sections.append(f'<p class="limited">{html.escape(line)}</p>')
    items = "".join(f"<li><code>{html.escape(n)}</code>: {html.escape(m)}</li>" for n, m in suite["protocols"].items())
    sections.append(f"<p>{html.escape(FITNESS)}</p><p>Protocols, named in every row:</p><ul>{items}</ul>")
    sections += [table.html() for table in all_tables(suite)]
    sections += [image_tag(picture) for picture in pictures]
    if suite["skipped"]:
        skipped = "".join(f"<li>{html.escape(line)}</li>" for line in suite["skipped"])
        sections.append(f"<p>Not measured here:</p><ul>{skipped}</ul>")
    return html_page(f"Benchmark results: {suite['systems'][0]}", sections)


def write_results(suite, output, report=False):
    """Write `results.json`, `results.md`, `plots/*.png` and, on request, `report.html`.

    Args:
        suite (`dict`): Of `suite.run_suite`.
        output (`str` or `Path`): The folder, made if absent.
        report (`bool`): Whether to write the HTML page.

    Returns:
        `list[Path]`: what was written.
    """
    output = Path(output)
    plots = output / "plots"
    plots.mkdir(parents=True, exist_ok=True)
    suite = clean(suite)
    written = [output / "results.json", output / "results.md"]
    write_json(written[0], suite, indent=1)
    pictures = suite_pictures(suite)
    shown = []
    for picture in pictures:
        path = picture.save(plots)
        shown.append((f"plots/{path.name}", picture))
        written.append(path)
    write_text(written[1], markdown(suite, shown))
    if report:
        written.append(output / "report.html")
        write_text(written[-1], html_report(suite, pictures))
    return written
