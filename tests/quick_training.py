"""Training in less of its time, for tests that look at something else of it.

- `few_label_sets()`: decision constants are chosen on six label sets instead of sixty, which takes longer than all
  steps of a tiny run.
- `train(argv)`: `train_accelerate.main` under it, for processes of `forkserver.py`.
"""

import contextlib
import functools
from unittest import mock

from emodistill.train_accelerate import main
from emodistill.training import deciding, finishing


@contextlib.contextmanager
def few_label_sets():
    with mock.patch.object(finishing, "choose_decision", functools.partial(deciding.choose_decision, sets=6)):
        yield


def train(argv):
    with few_label_sets():
        return main(argv)
