"""A page about a scored table: shares of labels, by group and over time, with what they mean and what not."""

import datetime
import math
from dataclasses import dataclass
from html import escape

from ..durations import counted
from ..files import write_text
from .pictures import draw_intervals, draw_series
from .quantify import ErrorRates, adjusted_shares, mean_interval, share_interval, unfit_labels
from .tally import _add, _cell

__all__ = ["KnownErrors", "buckets_of_days", "write_report"]

MOST_DRAWN, MOST_PANELS, MOST_GROUPS_DRAWN = 40, 8, 12

STYLE = """
:root { color-scheme: light dark; --ink: #1c2330; --soft: #667085; --line: #d9dee7; --back: #fff; --mark: #2456c4;
  --band: #2456c433; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --soft: #9aa4b5; --line: #333c4b; --back: #141922;
  --mark: #7ea6ff; --band: #7ea6ff33; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--back); max-width: 60rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: .2rem; } h2 { font-size: 1.15rem; margin: 2.2rem 0 .4rem; }
p, li { max-width: 46rem; } .soft, figcaption { color: var(--soft); font-size: .9rem; }
table { border-collapse: collapse; font-size: .88rem; font-variant-numeric: tabular-nums; }
th, td { text-align: right; padding: .15rem .7rem .15rem 0; border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; } details { margin: .6rem 0; } summary { cursor: pointer; color: var(--mark); }
.panels { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 26rem), 1fr)); gap: 1rem; }
figure { margin: .8rem 0; } svg { max-width: 100%; height: auto; overflow: visible; }
svg text { font: 13px system-ui, sans-serif; fill: var(--ink); } svg .tick { font-size: 11px; fill: var(--soft); }
svg .name { font-weight: 600; } svg .value { font-variant-numeric: tabular-nums; }
.grid { stroke: var(--line); } .bar { stroke-width: 2; } .bar.plain { stroke: var(--soft); }
.bar.corrected { stroke: var(--mark); stroke-width: 4; stroke-opacity: .45; stroke-linecap: round; }
circle.plain { fill: var(--back); stroke: var(--soft); stroke-width: 1.5; }
circle.corrected, circle.dot { fill: var(--mark); } .band { fill: var(--band); }
.line { fill: none; stroke: var(--mark); stroke-width: 2; }
"""


@dataclass(frozen=True)
class KnownErrors:
    """
    Error rates of the classifier and where they come from.

    Args:
        rates (`dict[str, ErrorRates]`): For each label that was measured.
        source (`str`): A sentence that says on which texts, for the page.
    """

    rates: dict
    source: str


@dataclass(frozen=True)
class _Estimate:
    hits: int
    total: int
    plain: tuple
    corrected: tuple | None

    @property
    def best(self):
        return self.corrected or self.plain


def buckets_of_days(days):
    """
    Counts by day as counts by day, week, month or year, so that a picture has a few dozen points at the most.

    Args:
        days (`dict[str, dict]`): Cells of a [`Tally`] by `YYYY-MM-DD`.

    Returns:
        `tuple[str, dict[str, dict]]`: the unit's name, and cells in order of time, empty ones in the gaps.
    """
    known = sorted(datetime.date.fromisoformat(day) for day in days)
    span = (known[-1] - known[0]).days + 1
    unit = "day" if span <= 45 else "week" if span <= 300 else "month" if span <= 365 * 5 else "year"
    cells, day = {}, known[0]
    while day <= known[-1]:
        cells.setdefault(_bucket(day, unit), _cell())
        try:
            day += datetime.timedelta(days=1 if unit in ("day", "week") else 27 if unit == "month" else 300)
        except OverflowError:
            break
    cells.setdefault(_bucket(known[-1], unit), _cell())
    for day in known:
        _add(cells[_bucket(day, unit)], days[day.isoformat()])
    return unit, dict(sorted(cells.items()))


def _bucket(day, unit):
    if unit == "week":
        return (day - datetime.timedelta(days=min(day.weekday(), day.toordinal() - 1))).isoformat()
    return day.isoformat()[: {"day": 10, "month": 7, "year": 4}[unit]]


def write_report(path, tally, facts, errors=None, exclusive=True, group_by=None, time_column=None):
    """
    Write the page: one file, nothing fetched.

    Args:
        path (`str` or `Path`): The HTML file.
        tally ([`Tally`]): The counts.
        facts (`list[tuple[str, str]]`): What was scored, and how, for the head of the page.
        errors ([`KnownErrors`], *optional*): By which shares are corrected.
        exclusive (`bool`, *optional*, defaults to `True`): Whether each text got one label.
        group_by, time_column (`str`, *optional*): Columns by which the tally tells rows apart.
    """
    page = _Page(tally, errors or KnownErrors({}, ""), exclusive)
    parts = [
        page.head(facts),
        page.labels(),
        page.dimensions(),
        page.by_group(group_by) if group_by else "",
        page.over_time(time_column) if time_column else "",
        page.correction(),
        page.limits(),
    ]
    html = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        'content="width=device-width"><title>Emotions in a table of texts</title>'
        f"<style>{STYLE}</style></head><body>\n" + "\n".join(filter(None, parts)) + "\n</body></html>\n"
    )
    write_text(path, html, errors="replace")


class _Page:
    def __init__(self, tally, errors, exclusive):
        self.tally, self.errors, self.exclusive = tally, errors, exclusive
        counts = {label: tuple(pair) for label, pair in tally.total["labels"].items() if pair[1]}
        self.unfit = unfit_labels(counts, errors.rates)  # of all texts: groups and months are corrected alike
        self.rates = {label: rates for label, rates in errors.rates.items() if label not in self.unfit}
        self.total = self.estimates(tally.total)
        self.order = sorted(self.total, key=lambda label: -self.total[label].best[0])
        self.corrected = [label for label in self.order if self.total[label].corrected]

    def estimates(self, cell):
        counts = {label: tuple(pair) for label, pair in cell["labels"].items() if pair[1]}
        corrected = adjusted_shares(counts, self.rates, self.exclusive)
        return {
            label: _Estimate(hits, total, share_interval(hits, total), corrected.get(label))
            for label, (hits, total) in counts.items()
        }

    def head(self, facts):
        tally = self.tally
        errors = sum(tally.errors.values())
        lines = [*facts, ("rows", f"{tally.rows:,}"), ("different texts in a shard, in all", f"{tally.distinct:,}")]
        if errors:
            kinds = ", ".join(f"{escape(kind)}: {count:,}" for kind, count in tally.errors.most_common(5))
            lines.append(("rows with an error", f"{errors:,} ({kinds})"))
        if tally.total["labels"]:
            none = tally.total["none"]
            lines.append(
                ("rows without any of the labels", f"{none:,} ({_percent(none / max(1, tally.total['rows']))})")
            )
        rows = "".join(f"<tr><td>{escape(name)}</td><td>{value}</td></tr>" for name, value in lines)
        return f'<h1>Emotions in a table of texts</h1>\n<div class="scroll"><table>{rows}</table></div>'

    # ---- labels

    def labels(self):
        if not self.total:
            return ""
        shown = self.order[:MOST_DRAWN]
        entries = [(label, self.total[label].plain, self.total[label].corrected) for label in shown]
        more = f" The {len(shown)} most frequent of {len(self.order)}." if len(self.order) > len(shown) else ""
        key = "Filled: corrected for known errors. Hollow: as predicted." if self.corrected else "As predicted."
        return (
            "<h2>How many texts express what</h2>"
            + _figure(
                draw_intervals(entries, "Share of texts with each label, with 95 % intervals", _percent),
                f"Share of texts with each label; bars are 95 % intervals. {key}{more}",
            )
            + _details("The figures", self._label_table())
        )

    def _label_table(self):
        lines = []
        for label in self.order:
            estimate = self.total[label]
            lines.append([label, f"{estimate.hits:,}", _interval(estimate.plain), _interval(estimate.corrected)])
        return _table(["label", "predicted for", "share as predicted", "share corrected"], lines)

    def dimensions(self):
        found = self.tally.total["dimensions"]
        if not found:
            return ""
        entries = [(name, mean_interval(*sums), None) for name, sums in found.items()]
        low, high = _range([interval for _, interval, _ in entries])
        return "<h2>Dimensions</h2>" + _figure(
            draw_intervals(entries, "Mean of each dimension", _plain, low, high),
            "Mean over all texts with its 95 % interval. Built-in dimensions run from 1 to 9, with 5 in the middle. "
            "They are not corrected.",
        )

    # ---- groups and time

    def by_group(self, column):
        heading = f"<h2>By {escape(column)}</h2>"
        groups = self.tally.groups
        if groups is None:
            return heading + "<p>This column has too many different values for figures by group (200 at the most).</p>"
        if not groups:
            return heading + "<p>No row could be scored.</p>"
        names = sorted(groups, key=lambda name: -groups[name]["rows"])
        drawn = names[:MOST_GROUPS_DRAWN]
        found = {name: self.estimates(groups[name]) for name in names}
        panels = []
        for label in self.order[:MOST_PANELS]:
            entries = [(n, found[n][label].plain, found[n][label].corrected) for n in drawn if label in found[n]]
            if entries:
                panels.append(_panel(draw_intervals(entries, f"{label} by {column}", _percent), label))
        for name in self.tally.total["dimensions"]:
            entries = [(n, mean_interval(*groups[n]["dimensions"][name]), None) for n in drawn]
            low, high = _range([interval for _, interval, _ in entries])
            picture = draw_intervals(entries, f"{name} by {column}", _plain, low, high)
            panels.append(_panel(picture, f"{name} (mean)"))
        header = ["group", "texts", *self.order]
        lines = [
            [n, f"{groups[n]['rows']:,}", *(_interval(found[n][x].best) if x in found[n] else "" for x in self.order)]
            for n in names
        ]
        note = f" The {len(drawn)} largest of {len(names)} groups." if len(names) > len(drawn) else ""
        return (
            f'{heading}<p class="soft">Each panel has its own scale.{note}</p>'
            f'<div class="panels">{"".join(panels)}</div>' + _details("The figures", _table(header, lines))
        )

    def over_time(self, column):
        heading = "<h2>Over time</h2>"
        days = self.tally.days
        if days is None:
            return heading + "<p>There are too many days times labels in a shard for figures over time.</p>"
        if not days:
            return f"{heading}<p>No value of {escape(column)} could be read as a date.</p>"
        unit, cells = buckets_of_days(days)
        found = {name: self.estimates(cell) for name, cell in cells.items()}
        gap = (float("nan"),) * 3
        panels = []
        for label in self.order[:MOST_PANELS]:
            points = [(name, each[label].best if label in each else gap) for name, each in found.items()]
            panels.append(f"<figure>{draw_series(points, label, _percent, low=0.0)}</figure>")
        for name in self.tally.total["dimensions"]:
            sums = [(key, cell["dimensions"].get(name)) for key, cell in cells.items()]
            points = [(key, mean_interval(*each) if each else gap) for key, each in sums]
            panels.append(f"<figure>{draw_series(points, f'{name} (mean)', _plain)}</figure>")
        number = self.tally.undated
        undated = f" {counted(number, 'row')} without a date that could be read." if number else ""
        header = [unit, "texts", *self.order]
        lines = [
            [n, f"{cells[n]['rows']:,}", *(_interval(found[n][x].best) if x in found[n] else "" for x in self.order)]
            for n in cells
        ]
        return (
            f'{heading}<p class="soft">By {unit}, after {escape(column)}. Bands are 95 % intervals; each panel has '
            f'its own scale.{undated}</p><div class="panels">{"".join(panels)}</div>'
            + _details("The figures", _table(header, lines))
        )

    # ---- words

    def correction(self):
        if not self.total:
            return ""
        if not self.errors.rates:
            return (
                "<h2>Not corrected</h2><p>Shares are those of predicted labels. A classifier that errs shifts them: "
                "rare labels look more frequent than they are, frequent ones rarer. No error rates were at hand; "
                "label some hundred of your own texts and give them with <code>--labelled FILE</code>, or give known "
                "rates with <code>--error-rates FILE</code>.</p>"
            )
        left = [label for label in self.order if label not in self.corrected and label not in self.unfit]
        lines = [self._rates_line(label) for label in self.order if label in self.errors.rates]
        words = (
            f"<h2>How shares are corrected</h2><p>{escape(self.errors.source)} There, a label is predicted for a "
            "share <i>t</i> of the texts that have it and a share <i>f</i> of those that do not. If a share <i>p</i> "
            "of your texts has it, it is predicted for <i>p t</i> + (1 − <i>p</i>) <i>f</i>, and so <i>p</i> = "
            "(predicted − <i>f</i>) / (<i>t</i> − <i>f</i>), cut to between 0 and 1: the adjusted count (Forman "
            "2008). Intervals count both the number of your rows and the number of texts on which <i>t</i> and "
            "<i>f</i> were measured."
        )
        if self.exclusive:
            words += " As each text has one label, shares are scaled to add up to 1 where all labels are corrected."
        words += "</p>"
        if left:
            words += (
                f"<p>Not corrected, because they were not measured, on too few texts, or hardly better than chance: "
                f"{escape(', '.join(left[:30]))}{' and others' if len(left) > 30 else ''}.</p>"
            )
        if self.unfit:
            words += (
                "<p>Not corrected, because these rates cannot hold on your texts (the share would lie below 0 or "
                f"above 1, by more than chance): {escape(', '.join(self.unfit))}. Other labels may be off in the same "
                "way; labelled texts of your own (<code>--labelled</code>) show it.</p>"
            )
        header = ["label", "t", "texts with it", "f", "texts without it", "corrected"]
        return words + _details("The rates", _table(header, lines))

    def _rates_line(self, label):
        rates: ErrorRates = self.errors.rates[label]
        return [
            label, f"{rates.true_positive_rate:.2f}", f"{rates.positives:,.0f}", f"{rates.false_positive_rate:.3f}",
            f"{rates.negatives:,.0f}", "yes" if label in self.corrected else "no",
        ]  # fmt: skip

    def limits(self):
        points = [
            "They are about the words of texts, not about what people feel: a text may hide, play or quote a feeling.",
            "They describe these rows. Whoever did not write, was filtered out or writes often is not accounted for; "
            "intervals cover chance, not selection, and take rows as independent of one another.",
            "Two groups may differ because the model reads them differently (dialect, topic, length, language), not "
            "because they express different things. Compare on labelled texts of each group before concluding.",
            "Single rows are not corrected: the share of a group can be right while many of its rows are wrong.",
        ]
        if self.corrected:
            points.insert(
                2,
                "The correction holds if the classifier errs on these texts as often as on those where its errors "
                "were measured. On other kinds of texts it does not, and the interval does not know: only labelled "
                "texts of your own (<code>--labelled</code>) do.",
            )
        drawn = "".join(f"<li>{point}</li>" for point in points)
        return f"<h2>What these figures cannot say</h2><ul>{drawn}</ul>"


def _range(intervals):
    ends = [end for interval in intervals for end in interval if not math.isnan(end)]
    low, high = min(ends, default=1.0), max(ends, default=9.0)
    return (1.0, 9.0) if low >= 1.0 else (low, high)


def _percent(value):
    digits = 0 if value in (0.0, 1.0) or value >= 0.0995 else 1
    return "" if math.isnan(value) else f"{100 * value:.{digits}f} %"


def _plain(value):
    return "" if math.isnan(value) else f"{value:.2f}".rstrip("0").rstrip(".")


def _interval(interval):
    if interval is None or math.isnan(interval[0]):
        return "–"
    return "{:.1f} % ({:.1f} – {:.1f})".format(*(100 * value for value in interval))


def _panel(picture, title):
    """A figure of several, with its title above as those of time series have it."""
    return f"<figure><figcaption><b>{escape(title)}</b></figcaption>{picture}</figure>"


def _figure(picture, caption):
    return f"<figure>{picture}<figcaption>{caption}</figcaption></figure>"


def _details(summary, content):
    return f"<details><summary>{summary}</summary>{content}</details>"


def _table(header, lines):
    head = "".join(f"<th>{escape(name)}</th>" for name in header)
    body = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in line) + "</tr>" for line in lines)
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'
