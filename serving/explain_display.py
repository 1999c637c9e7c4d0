"""How an explanation looks: marked words in plain text, in a terminal, and in a notebook."""

import html

__all__ = ["as_html", "as_marked_text"]

# Blue and orange can be told apart by nearly everybody.
FOR, AGAINST = "31, 119, 180", "255, 127, 14"
ANSI_FOR, ANSI_AGAINST, ANSI_END = "\x1b[1;34m", "\x1b[1;33m", "\x1b[0m"
NOTE = (
    "Each part is left out by itself and the text scored again. Contributions of words need not add up: "
    "what words do only together is the interaction."
)


def as_marked_text(explanation, colour=False):
    """
    The text with its telling words marked, and a line that says what the marks mean.

    Args:
        explanation ([`Explanation`]): The explanation.
        colour (`bool`, *optional*, defaults to `False`): Whether to mark with a terminal's colours rather than with
            `*for*` and `~against~`.

    Returns:
        `str`: the marked text and one or two lines of figures.
    """
    marks = ((ANSI_FOR, ANSI_END), (ANSI_AGAINST, ANSI_END)) if colour else (("*", "*"), ("~", "~"))
    pieces, place = [], 0
    for word in sorted(explanation.telling(), key=lambda word: word.start):
        before, after = marks[0] if word.contribution > 0 else marks[1]
        pieces += [explanation.text[place : word.start], before, word.text, after]
        place = word.end
    lines = ["".join([*pieces, explanation.text[place:]])]
    figures = ", ".join(f"{word.text} {word.contribution:+.2f}" for word in explanation.telling()[:6])
    lines.append(f"{_headline(explanation)}: {figures or 'no single word tells'}")
    if (interaction := explanation.interaction()) is not None:
        sums = f"words together {explanation.total():+.2f}, interactions {interaction:+.2f}"
        lines.append(f"{sums} ({_unit(explanation)})")
    return "\n".join(lines)


def _headline(explanation):
    return f"{explanation.target} {explanation.score:.2f}"


def _unit(explanation):
    return "log-odds" if explanation.kind == "label" else "points"


def _without(explanation, part):
    return f"{part.contribution:+.2f} {_unit(explanation)}; without it {explanation.target} is {part.without:.2f}"


def as_html(explanation):
    """
    The explanation as a piece of HTML: shaded words, and a table of phrases and sentences where there are several.

    Args:
        explanation ([`Explanation`]): The explanation.

    Returns:
        `str`: HTML that keeps the page's own text colour, so that it reads on light and dark pages.
    """
    words = explanation.level("word")
    strongest = max((abs(word.contribution) for word in words), default=0.0)
    pieces, place = [], 0
    for word in words:
        pieces.append(html.escape(explanation.text[place : word.start]))
        share = abs(word.contribution) / strongest if strongest >= 0.05 else 0.0
        colour = FOR if word.contribution > 0 else AGAINST
        pieces.append(
            f'<span style="background: rgba({colour}, {0.65 * share:.2f}); border-radius: 3px; padding: 0 2px" '
            f'title="{html.escape(_without(explanation, word))}">{html.escape(word.text)}</span>'
        )
        place = word.end
    pieces.append(html.escape(explanation.text[place:]))
    body = "".join(pieces).replace("\n", "<br>")
    legend = (
        f'<span style="background: rgba({FOR}, 0.5); padding: 0 4px">for</span> '
        f'<span style="background: rgba({AGAINST}, 0.5); padding: 0 4px">against</span>'
    )
    return (
        '<div style="font-family: sans-serif; max-width: 48em">'
        f"<p><b>{html.escape(_headline(explanation))}</b> &nbsp; {legend}</p>"
        f'<p style="line-height: 1.8">{body}</p>{_table(explanation)}'
        f'<p style="font-size: smaller; opacity: 0.75">{_sums(explanation)}{NOTE}</p></div>'
    )


def _sums(explanation):
    if explanation.whole is None:
        return ""
    return (
        f"Whole text against an average one {explanation.whole:+.2f} {_unit(explanation)}: "
        f"words {explanation.total():+.2f}, interactions {explanation.interaction():+.2f}. "
    )


def _table(explanation):
    parts = [part for part in explanation.parts if part.level != "word"]
    if not parts:
        return ""
    number = "<td style='text-align: right; padding-left: 1em'>"
    rows = "".join(
        f"<tr><td>{part.level}</td><td style='text-align: left'>{html.escape(part.text)}</td>"
        f"{number}{part.contribution:+.2f}</td>{number}{explanation.interaction(part):+.2f}</td>"
        f"{number}{part.without:.2f}</td></tr>"
        for part in parts
    )
    titles = ("contribution", "of which its words together", "score without it")
    head = "<tr><th></th><th style='text-align: left'>left out</th>"
    head += "".join(f"{number.replace('td', 'th')}{title}</th>" for title in titles) + "</tr>"
    return f"<table>{head}{rows}</table>"
