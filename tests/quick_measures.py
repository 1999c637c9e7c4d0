"""`emodistill evaluate` and `audit` in a fraction of their time, for tests that look at something else of them.

- `labels_where_they_fall()`: no room is looked for between the labels of pictures, which takes seconds a picture.
- `without_pictures()`: `evaluate` draws none at all.
- `few_templates()`: the audit fills four templates of all its kinds; people, groups and statistics stay.

All are contexts, for tests and for fixtures that several share.
"""

import contextlib

import pytest

from emodistill.benchmarks import plots, report
from emodistill.benchmarks.audit import templates


@contextlib.contextmanager
def labels_where_they_fall():
    def place_labels(axis, labels, points):
        return [axis.text(x, y, label, fontsize=7) for label, (x, y) in zip(labels, points, strict=True)]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plots, "place_labels", place_labels)
        yield


@contextlib.contextmanager
def without_pictures():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(report, "suite_pictures", lambda suite: [])
        yield


@contextlib.contextmanager
def few_templates():
    with pytest.MonkeyPatch.context() as patch:
        for name in ("EMOTION_TEMPLATES", "NEUTRAL_TEMPLATES"):
            patch.setattr(templates, name, getattr(templates, name)[:2])
        yield
