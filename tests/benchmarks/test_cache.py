"""Embeddings on disk, and where there is none to be had."""

import numpy as np

from emodistill.benchmarks import cache
from emodistill.benchmarks.cache import EmbeddingCache


def embed(texts):
    return np.full((len(texts), 3), len(texts))


def test_what_was_computed_is_kept_and_a_damaged_file_is_not_believed(tmp_path):
    folder = tmp_path / "made" / "cache"
    for hits in (0, 1):
        kept = EmbeddingCache(folder)
        assert kept.get("model", ["a", "b"], embed).tolist() == [[2.0] * 3] * 2
        assert (kept.hits, kept.misses) == (hits, 1 - hits)
    (path,) = folder.iterdir()
    path.write_bytes(path.read_bytes()[:-5])
    kept = EmbeddingCache(folder)
    assert kept.get("model", ["a", "b"], embed).shape == (2, 3) and kept.misses == 1
    assert [found.name for found in folder.iterdir()] == [path.name]


def test_a_cache_that_cannot_be_written_is_none(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file" / "cache", "/proc/cache"):
        kept = EmbeddingCache(folder)
        assert kept.get("model", ["a"], embed).shape == (1, 3) and kept.misses == 1
    monkeypatch.delenv("EMODISTILL_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(cache.Path, "home", lambda: (_ for _ in ()).throw(RuntimeError("no home")))
    assert cache.default_cache_dir() is None
    assert EmbeddingCache(cache.default_cache_dir()).get("model", ["a"], embed).shape == (1, 3)
