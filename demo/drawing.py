"""What the page shows of a result: HTML bars and an SVG plane. Nothing is fetched, and every text is escaped."""

import html

from ..descriptors.labels import readable

__all__ = ["STYLE", "draw_notice", "draw_result", "draw_table", "draw_words"]

SHOWN_COLUMNS = 40
SHOWN_LABELS = 28  # the rest folds away
LOWEST, HIGHEST = 1.0, 9.0  # the scale of the dimensions
POLES = {
    "valence": ("unpleasant", "pleasant"),
    "arousal": ("calm", "excited"),
    "dominance": ("helpless", "in control"),
}

STYLE = """
.gradio-container { max-width: 1200px !important; margin: 0 auto !important; }
.ed-result { display: flex; flex-wrap: wrap; gap: 1.5rem; }
.ed-bars { flex: 3 1 300px; min-width: 0; }
.ed-side { flex: 2 1 240px; min-width: 0; max-width: 340px; }
.ed-said { margin: 0; flex: 1 1 100%; font-size: 1.05rem; }
.ed-bars ul { list-style: none; margin: 0; padding: 0; }
.ed-bars li { display: grid; grid-template-columns: minmax(4.5rem, 9.5rem) minmax(3rem, 1fr) 2.4rem;
  gap: .6rem; align-items: center;
  margin: 0 0 .3rem; padding: 0; }
.ed-name { overflow-wrap: anywhere; text-align: right; line-height: 1.2; }
.ed-value { font-variant-numeric: tabular-nums; }
.ed-track { position: relative; height: 1.05rem; border-radius: 3px; background: var(--border-color-primary); }
.ed-track i { display: block; height: 100%; border-radius: 3px; background: #8a94a6; }
.ed-on .ed-track i { background: #2563eb; }
.ed-on .ed-name, .ed-on .ed-value { font-weight: 700; }
.ed-track b { position: absolute; top: -2px; bottom: -2px; width: 2px; background: var(--body-text-color);
  opacity: .65; }
.ed-bars details { margin-top: .5rem; }
.ed-note { font-size: .8rem; opacity: .8; margin: .5rem 0 0; }
.ed-plane { width: 100%; height: auto; display: block; color: var(--body-text-color); }
.ed-plane text { font-size: 11px; fill: currentColor; }
.ed-side table { width: 100%; font-size: .8rem; border-collapse: collapse; margin: .4rem 0 0; }
.ed-side table, .ed-side tr, .ed-side th, .ed-side td { border: 0 !important; }
.ed-side th, .ed-side td { padding: .1rem .2rem !important; text-align: left; font-weight: 400; }
.ed-side td.ed-number { font-weight: 700; font-variant-numeric: tabular-nums; text-align: right; }
.ed-words { margin-top: 1rem; border-top: 1px solid var(--border-color-primary); }
.ed-words p { line-height: 1.7; overflow-wrap: anywhere; margin: .4rem 0 0; white-space: pre-wrap; }
.ed-words mark { color: inherit; border-radius: 3px; padding: 0 .15em;
  background: rgba(var(--hue), var(--share)); }
.ed-words .ed-for { --hue: 37, 99, 235; }
.ed-words .ed-against { --hue: 234, 128, 12; text-decoration: underline dotted; }
.ed-notice { padding: .7rem 1rem; border-left: 4px solid #dc2626; border-radius: 4px;
  background: color-mix(in srgb, #dc2626 10%, transparent); }
.ed-notice.ed-fine { border-color: #2563eb; background: color-mix(in srgb, #2563eb 10%, transparent); }
.ed-scroll { overflow-x: auto; max-width: 100%; }
.ed-scroll table { border-collapse: collapse; font-size: .85rem; }
.ed-scroll table, .ed-scroll tr, .ed-scroll th, .ed-scroll td { border: 0 !important; }
.ed-scroll th, .ed-scroll td { border-bottom: 1px solid var(--border-color-primary) !important; padding: .25rem .5rem;
  text-align: left; max-width: 18rem; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
footer { display: none !important; }
"""


def escape(text):
    """A text as HTML shows it, and as any encoding can carry it: half of a surrogate pair would end the reply."""
    return html.escape(readable(text))


def draw_notice(message, fine=False):
    """
    A message in place of a result.

    Args:
        message (`str`): The message.
        fine (`bool`, *optional*, defaults to `False`): Whether it is good news.

    Returns:
        `str`: HTML.
    """
    role, kind = ("status", " ed-fine") if fine else ("alert", "")
    return f'<div class="ed-notice{kind}" role="{role}">{escape(message)}</div>'


def draw_result(result, multi_label, threshold):
    """
    Bars for the labels, and the plane of valence and arousal.

    Args:
        result (`dict`): The pipeline's output for one text, with all labels.
        multi_label (`bool`): Whether any number of labels may hold.
        threshold (`float`): The score from which a label is predicted.

    Returns:
        `str`: HTML.

    Example:

    ```python
    >>> from emodistill.demo.drawing import draw_result

    >>> html = draw_result({"labels": ["joy"], "scores": [1.0], "predicted": ["joy"]}, False, 0.0)
    >>> "Predicted: <strong>joy</strong>" in html
    True

    ```
    """
    predicted, scores = result["predicted"], dict(zip(result["labels"], result["scores"], strict=True))
    if reached := [label for label in predicted if label in scores]:
        names = ", ".join(f"<strong>{escape(label)}</strong>" for label in reached)
        said = f"Predicted: {names}"
    else:
        said = f"No label reaches the threshold{': <strong>neutral</strong>' if predicted else ''}."
    rows = [_bar(label, score, label in predicted, threshold) for label, score in scores.items()]
    bars = f"<ul>{''.join(rows[:SHOWN_LABELS])}</ul>"
    if rest := rows[SHOWN_LABELS:]:
        bars += f"<details><summary>{len(rest)} more labels</summary><ul>{''.join(rest)}</ul></details>"
    note = (
        "Any number of labels may hold; scores do not add up to 1."
        if multi_label
        else "Exactly one label is asked for; scores add up to 1."
    )
    return (
        f'<div class="ed-result"><p class="ed-said" role="status">{said}</p>'
        f'<div class="ed-bars">{bars}<p class="ed-note">{note}</p></div>{_side(result.get("dimensions") or {})}</div>'
    )


def _bar(label, score, chosen, threshold):
    mark = "✓ " if chosen else ""
    line = f'<b style="left:calc({100 * threshold:.1f}% - 1px)"></b>' if threshold > 0 else ""
    kind = ' class="ed-on"' if chosen else ""
    return (
        f'<li{kind}><span class="ed-name">{mark}{escape(label)}</span>'
        f'<span class="ed-track" aria-hidden="true"><i style="width:{100 * score:.1f}%"></i>{line}</span>'
        f'<span class="ed-value">{score:.2f}</span></li>'
    )


def _side(dimensions):
    if not dimensions:
        return '<div class="ed-side"><p class="ed-note">This checkpoint has no built-in dimensions.</p></div>'
    plane = _plane(dimensions["valence"], dimensions["arousal"]) if {"valence", "arousal"} <= set(dimensions) else ""
    rows = "".join(
        f'<tr><th scope="row">{escape(name)}</th><td class="ed-number">{value:.1f}</td>'
        f"<td>{' – '.join(POLES[name]) if name in POLES else ''}</td></tr>"
        for name, value in dimensions.items()
    )
    return (
        f'<div class="ed-side">{plane}<table><tbody>{rows}</tbody></table>'
        f'<p class="ed-note">From {LOWEST:.0f} to {HIGHEST:.0f}; 5 is the middle.</p></div>'
    )


def _plane(valence, arousal):
    """Valence to the right, arousal upwards, as in Russell's circumplex."""
    left, top, size = 24, 10, 270

    def place(value):
        return size * (min(max(value, LOWEST), HIGHEST) - LOWEST) / (HIGHEST - LOWEST)

    x, y, middle = left + place(valence), top + size - place(arousal), size / 2
    corners = "".join(
        f'<text x="{left + (8 if anchor == "start" else size - 8)}" y="{height}" text-anchor="{anchor}">{words}</text>'
        for words, anchor, height in (
            ("angry, afraid", "start", top + 18),
            ("excited, amazed", "end", top + 18),
            ("sad, tired", "start", top + size - 10),
            ("calm, content", "end", top + size - 10),
        )
    )
    said = f"Valence {valence:.1f} and arousal {arousal:.1f} on scales from 1 to 9."
    return (
        f'<svg class="ed-plane" viewBox="0 0 {left + size + 6} {top + size + 24}" role="img" aria-label="{said}">'
        f"<title>{said}</title>"
        f'<rect x="{left}" y="{top}" width="{size}" height="{size}" rx="6" fill="currentColor" fill-opacity=".04" '
        'stroke="currentColor" stroke-opacity=".35"/>'
        f'<path d="M{left + middle} {top}v{size}M{left} {top + middle}h{size}" stroke="currentColor" '
        'stroke-opacity=".3" stroke-dasharray="3 4"/>'
        f"{corners}"
        f'<path d="M{left + middle} {top + middle}L{x:.1f} {y:.1f}" stroke="#2563eb" stroke-opacity=".5" '
        'stroke-width="2"/>'
        f'<circle cx="{x:.1f}" cy="{y:.1f}" r="8" fill="#2563eb" stroke="#fff" stroke-width="2"/>'
        f'<text x="{left + middle}" y="{top + size + 18}" text-anchor="middle">valence: unpleasant to pleasant</text>'
        f'<text transform="translate(14 {top + middle}) rotate(-90)" text-anchor="middle">arousal: calm to excited'
        "</text></svg>"
    )


def draw_words(explanation):
    """
    A text with the words marked that tell for a label, or against it.

    Args:
        explanation (`serving.explain.Explanation`): The explanation.

    Returns:
        `str`: HTML; marks are colours and, for those who do not see them, a sign and a title.
    """
    telling = sorted(explanation.telling(), key=lambda word: word.start)
    strongest = max((abs(word.contribution) for word in telling), default=1.0) or 1.0
    pieces, place = [], 0
    for word in telling:
        sign = "for" if word.contribution > 0 else "against"
        share = 0.25 + 0.4 * abs(word.contribution) / strongest
        title = f"{sign} {explanation.target}: without this word {word.without:.2f}"
        pieces += [
            escape(explanation.text[place : word.start]),
            f'<mark class="ed-{sign}" style="--share:{share:.2f}" title="{escape(title)}">{escape(word.text)}</mark>',
        ]
        place = word.end
    text = "".join([*pieces, escape(explanation.text[place:])])
    said = "blue for it, orange against it" if telling else "no single word tells"
    return (
        f'<div class="ed-words"><p class="ed-note">Words for <strong>{escape(explanation.target)}</strong> '
        f"({explanation.score:.2f}): {said}. Each word is left out by itself; hold the pointer over one.</p>"
        f"<p>{text}</p></div>"
    )


def draw_table(table, rows=5):
    """
    The first rows of a file.

    Args:
        table (`UploadedTable`): The file.
        rows (`int`, *optional*, defaults to 5): How many.

    Returns:
        `str`: HTML; wide tables scroll by themselves.
    """
    shown = list(range(len(table.header)))
    if len(shown) > SHOWN_COLUMNS:  # the first, and the last, which are the new ones
        shown = shown[: SHOWN_COLUMNS // 2] + shown[-(SHOWN_COLUMNS // 2) :]
    head = "".join(f'<th scope="col">{escape(table.header[index][:200])}</th>' for index in shown)
    body = "".join(
        f"<tr>{''.join(f'<td>{escape(row[index][:200])}</td>' for index in shown)}</tr>" for row in table.rows[:rows]
    )
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="ed-scroll" tabindex="0">{table}</div>'
