"""The page: one file that fetches nothing, whatever labels and groups are called."""

import html.parser
import json
import re

import numpy as np
import pytest

from emodistill.serving.engine import Scored
from emodistill.serving.quantify import ErrorRates
from emodistill.serving.report import KnownErrors, buckets_of_days, write_report
from emodistill.serving.rows import Row, Shard
from emodistill.serving.tally import Tally

NASTY = '<script>alert("1")</script>'
VOID = {"meta", "line", "circle", "polygon", "polyline"}


class Balanced(html.parser.HTMLParser):
    """Fails on a tag that is not closed; collects names, attributes and text."""

    def __init__(self):
        super().__init__()
        self.open, self.tags, self.attributes, self.text = [], [], [], ""

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data


def tally_of(rows, predicted, names, dimensions=None):
    errors = [row.error for row in rows]
    scored = Scored(np.zeros((len(rows), len(names))), None, predicted, dimensions or {}, errors, len(rows))
    return Tally.of_shard(Shard(0, rows), scored, names, True, True)


@pytest.fixture
def tally():
    days = ["2024-01-05", "2024-02-07", "2024-02-08", None]
    rows = [Row(n, f"text {n}", group=[NASTY, "north"][n % 2], day=days[n % 4]) for n in range(400)]
    rows.append(Row(400, None, "no text: null"))
    predicted = [["joy"] if n % 4 == 0 else [NASTY, "joy"] if n % 4 == 1 else ["neutral"] for n in range(400)] + [None]
    return tally_of(rows, predicted, ["joy", NASTY], {"valence": np.linspace(1, 9, 401).astype(np.float32)})


def read(path):
    page = Balanced()
    page.feed(path.read_text("utf-8"))
    assert not page.open
    return page


def test_counts(tally):
    assert tally.rows == 401 and tally.total["rows"] == 400 and tally.total["none"] == 200
    assert tally.total["labels"] == {"joy": [200, 400], NASTY: [100, 400]}
    assert tally.groups["north"]["labels"] == {"joy": [100, 200], NASTY: [100, 200]}
    assert tally.undated == 100 and tally.days["2024-01-05"]["rows"] == 100
    assert dict(tally.errors) == {"no text": 1}
    total = Tally()
    for _ in range(3):
        total.add(Tally.from_dict(json.loads(json.dumps(tally.to_dict()))))
    assert total.rows == 1203 and total.total["labels"]["joy"] == [600, 1200] and total.errors["no text"] == 3
    assert total.days["2024-02-07"]["dimensions"]["valence"][0] == 300


def test_the_page_shows_what_there_is_and_fetches_nothing(tally, tmp_path):
    rates = {"joy": ErrorRates(80, 100, 50, 500), NASTY: ErrorRates(1, 2, 50, 500)}
    write_report(
        tmp_path / "page.html", tally, [("input", "a & b.csv")], KnownErrors(rates, "Measured here."), False,
        "region", "when",
    )  # fmt: skip
    page = read(tmp_path / "page.html")
    assert "script" not in page.tags and NASTY in page.text
    assert not [value for name, value in page.attributes if name in ("src", "href", "onload")]
    assert "url(" not in (tmp_path / "page.html").read_text() and "http" not in (tmp_path / "page.html").read_text()
    for words in ("a & b.csv", "By region", "Over time", "How shares are corrected", "Measured here.", "cannot say"):
        assert words in page.text
    assert page.tags.count("svg") >= 5
    assert re.search(r"Not corrected, because.*" + re.escape(NASTY), page.text)
    assert "50.0 % (45.1 – 54.9)" in page.text  # joy as predicted
    assert "57.1 %" in page.text  # and corrected: (0.5 - 0.1) / (0.8 - 0.1)


def test_rates_that_cannot_hold_correct_nothing(tally, tmp_path):
    rates = {"joy": ErrorRates(900, 1000, 700, 1000)}  # joy was predicted for half of the texts
    write_report(tmp_path / "page.html", tally, [], KnownErrors(rates, "Measured."), False, "region", "when")
    text = read(tmp_path / "page.html").text
    assert "cannot hold on your texts" in text and "50.0 % (45.1 – 54.9)" in text
    assert "Filled: corrected" not in text


def test_without_error_rates_the_page_says_so(tally, tmp_path):
    write_report(tmp_path / "page.html", tally, [])
    text = read(tmp_path / "page.html").text
    assert "Not corrected" in text and "--labelled" in text and "By " not in text.replace("By itself", "")


def test_pages_of_nothing(tmp_path):
    empty = tally_of([Row(0, None, "no text")], [None], ["joy"])
    write_report(tmp_path / "page.html", empty, [], None, True, "region", "when")
    text = read(tmp_path / "page.html").text
    assert "No row could be scored" in text and "could be read as a date" in text


def test_too_many_groups_are_no_picture(tmp_path):
    rows = [Row(n, "text", group=f"user {n}") for n in range(300)]
    tally = tally_of(rows, [["joy"]] * 300, ["joy"])
    assert tally.groups is None
    more = tally_of(rows[:3], [["joy"]] * 3, ["joy"])
    more.add(tally)
    assert more.groups is None and more.total["labels"]["joy"] == [303, 303]
    write_report(tmp_path / "page.html", more, [], None, True, "user")
    assert "too many different values" in read(tmp_path / "page.html").text


@pytest.mark.parametrize(
    ("last", "unit", "count"),
    [("2024-01-20", "day", 20), ("2024-06-30", "week", 26), ("2026-03-01", "month", 27), ("2035-01-01", "year", 12)],
)
def test_buckets_fit_the_span_and_leave_no_gap(last, unit, count):
    cell = {"rows": 1, "none": 0, "labels": {"joy": [1, 1]}, "dimensions": {}}
    found, buckets = buckets_of_days({"2024-01-01": cell, last: cell})
    assert found == unit and len(buckets) == count
    assert sum(bucket["rows"] for bucket in buckets.values()) == 2 and list(buckets) == sorted(buckets)


def test_buckets_of_the_first_and_last_day_there_is():
    cell = {"rows": 1, "none": 0, "labels": {}, "dimensions": {}}
    _, buckets = buckets_of_days({"9999-12-31": cell, "9999-12-30": cell})
    assert sum(bucket["rows"] for bucket in buckets.values()) == 2
    _, buckets = buckets_of_days({"0001-01-01": cell, "0001-05-02": cell})
    assert sum(bucket["rows"] for bucket in buckets.values()) == 2
