"""Tiny random checkpoints without a reference vocabulary, so that what is measured is the plain rule."""

import pytest
import tiny
from quick_measures import labels_where_they_fall, without_pictures


@pytest.fixture(scope="session")
def make_checkpoint(tmp_path_factory):
    """`make_checkpoint(name, seed, background)`: the folder of a saved tiny checkpoint."""

    def make(name="tiny", seed=0, background=True):
        folder = tmp_path_factory.mktemp("checkpoints") / name
        return str(tiny.save_checkpoint(folder, seed, background, reference=0, text_max_length=48))

    return make


@pytest.fixture(scope="session")
def checkpoint(make_checkpoint):
    """The folder of a tiny checkpoint."""
    return make_checkpoint()


@pytest.fixture
def quick_pictures():
    """Pictures whose labels are not moved apart, for a run whose pictures another test looks at."""
    with labels_where_they_fall():
        yield


@pytest.fixture
def no_pictures():
    """A run whose pictures another test draws."""
    with without_pictures():
        yield
