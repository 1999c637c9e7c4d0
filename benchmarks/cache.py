"""Embeddings on disk, keyed by what they were made of, so that a benchmark is encoded once a checkpoint."""

import contextlib
import hashlib
import os
from pathlib import Path

import numpy as np

from ..files import writing

__all__ = ["EmbeddingCache", "default_cache_dir", "texts_hash"]


def default_cache_dir():
    """`$EMODISTILL_CACHE`, else `emodistill` in the user's cache directory; `None` for a user who has no home."""
    if "EMODISTILL_CACHE" in os.environ:
        return Path(os.environ["EMODISTILL_CACHE"])
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "emodistill"
    except RuntimeError:
        return None


def texts_hash(texts):
    """A digest of texts in order."""
    digest = hashlib.sha256()
    for text in texts:
        digest.update(text.encode("utf-8", "surrogatepass") + b"\x00")
    return digest.hexdigest()


class EmbeddingCache:
    """Arrays in one folder, one file a key; written atomically, and a damaged file counts as absent.

    Args:
        folder (`str` or `Path`, *optional*): Where; `None` keeps nothing.
    """

    def __init__(self, folder):
        self.folder = Path(folder) if folder is not None else None
        self.hits = 0
        self.misses = 0

    def get(self, fingerprint, texts, compute):
        """The embeddings of `texts` by the model `fingerprint`, computed if they are not kept.

        Args:
            fingerprint (`str`): Digest of the model, see `embedding_fingerprint`.
            texts (`list[str]`): The texts.
            compute (`Callable`): Takes the texts, gives `(texts, d)`.

        Returns:
            `np.ndarray` of shape `(texts, d)`, float32.
        """
        if self.folder is None:
            return np.asarray(compute(texts), dtype=np.float32)
        key = hashlib.sha256(f"{fingerprint} {texts_hash(texts)}".encode()).hexdigest()
        path = self.folder / f"{key}.npy"
        try:
            embeddings = np.load(path, allow_pickle=False)
            if len(embeddings) == len(texts):
                self.hits += 1
                return embeddings
        except (OSError, ValueError, EOFError):
            pass  # absent or damaged: compute again and replace it
        self.misses += 1
        embeddings = np.asarray(compute(texts), dtype=np.float32)
        with contextlib.suppress(OSError), writing(path, "wb") as file:  # a cache that cannot be written is none
            np.save(file, embeddings)
        return embeddings
