"""What a benchmark is, and what one split of it holds once read."""

import hashlib
from dataclasses import dataclass, field

import numpy as np

__all__ = ["DIMENSIONS", "MULTI_LABEL", "SINGLE_LABEL", "BenchmarkData", "BenchmarkSpec", "words"]

MULTI_LABEL = "multi-label"
SINGLE_LABEL = "single-label"
DIMENSIONS = "dimensions"


def words(text):
    """A tuple of label names from one line of them."""
    return tuple(text.split())


@dataclass(frozen=True)
class BenchmarkSpec:
    """A public benchmark: what it measures, where it comes from and what its files look like.

    Args:
        name (`str`): The name on the command line.
        folder (`str`): Its folder under the data directory.
        task (`str`): `"multi-label"`, `"single-label"` or `"dimensions"`.
        labels (`tuple[str]`): Label names in column order, or dimension names.
        split_sizes (`dict[str, int]`): Published rows of each split, counted before anything is left out; a
            different count warns. A split that is not named here has no published size.
        files (`dict[str, tuple[str]]`): For each split the file names (or glob patterns) to look for, best first.
        evaluation_splits (`tuple[str]`): The first of these that is present is measured.
        calibration_split (`str`, *optional*): The split on which thresholds may be calibrated.
        licence (`str`): The licence its authors state.
        source (`str`): Who made it.
        download (`str`): Where a person gets it.
        hub_id (`str`, *optional*): A Hub data set that loads without a script.
        hub_config (`str`, *optional*): The configuration of that data set.
        scale (`tuple[float, float]`, *optional*): Lowest and highest rating of a dimensional set.
    """

    name: str
    folder: str
    task: str
    labels: tuple
    split_sizes: dict
    files: dict
    evaluation_splits: tuple
    licence: str
    source: str
    download: str
    calibration_split: str | None = None
    hub_id: str | None = None
    hub_config: str | None = None
    scale: tuple | None = None


@dataclass
class BenchmarkData:
    """One split in memory.

    Args:
        spec (`BenchmarkSpec`): The benchmark.
        split (`str`): The split's name.
        texts (`list[str]`): The texts, in file order.
        targets (`np.ndarray`): `(texts, labels)` of 0 and 1 (multi-label), `(texts,)` label indices (single-label)
            or `(texts, dimensions)` ratings on the benchmark's own scale.
        ids (`list[str]`): One identifier a text.
        left_out (`int`): Rows of the file that hold no usable text.
        limited (`bool`): Whether only the first rows were taken.
    """

    spec: BenchmarkSpec
    split: str
    texts: list
    targets: np.ndarray
    ids: list = field(default_factory=list)
    left_out: int = 0
    limited: bool = False

    def __post_init__(self):
        if len(self.texts) != len(self.targets):
            raise ValueError(f"{self.spec.name}: {len(self.texts)} texts but {len(self.targets)} targets.")
        if not self.texts:
            raise ValueError(f"{self.spec.name}: the {self.split} split holds no text.")

    def __len__(self):
        return len(self.texts)

    def limit(self, rows):
        """The first `rows` texts, marked as limited."""
        if rows is None or rows >= len(self):
            return self
        return BenchmarkData(
            self.spec, self.split, self.texts[:rows], self.targets[:rows], self.ids[:rows], self.left_out, True
        )

    def content_hash(self):
        """A digest of texts and targets, the data half of a cache key."""
        digest = hashlib.sha256()
        for text in self.texts:
            digest.update(text.encode("utf-8", "surrogatepass") + b"\x00")
        digest.update(np.ascontiguousarray(self.targets).tobytes())
        return digest.hexdigest()
