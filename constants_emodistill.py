"""Constants of the decision rules: saved with every checkpoint and read in one place. Standard library only."""

import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass, fields

__all__ = ["LATEST_VERSION", "RANGES", "DecisionConstants"]

LATEST_VERSION = 2  # of the rules; a checkpoint of any version up to it decides as it was saved

# What each constant may be: lowest, highest, and whether the lowest itself is allowed.
RANGES = {
    "expected_labels": (0.0, math.inf, False),
    "multi_label_slope": (0.0, math.inf, False),
    "multi_label_competition": (0.0, 1.0, True),
    "multi_label_skewness": (-10.0, 10.0, True),
    "label_own_words": (0.0, math.inf, False),
    "word_sharpness": (0.0, math.inf, False),
    "word_nearness": (0.0, 1.0, True),
    "largest_share": (0.0, 1.0, False),
    "label_centering": (0.0, 1.0, True),
    "label_scaling": (0.0, 1.0, True),
    "prior_weight": (0.0, 10.0, True),
    "rival_weight": (0.0, 1.0, True),
    "neutral_share": (0.0, 1.0, False),
    "single_label_centering": (0.0, 1.0, True),
    "single_label_scaling": (0.0, 10.0, True),
    "single_label_temperature": (0.0, math.inf, False),
}


@dataclass(frozen=True)
class DecisionConstants:
    r"""
    Constants of the decision rules, chosen on held-out source texts (`choose_decision` in `training/deciding.py`).

    They are saved in `config.decision`, so that a checkpoint decides tomorrow as it did today. A rule that changes
    gets a new `version`, and checkpoints keep theirs.

    Args:
        expected_labels (`float`): How many labels of a set a text is expected to have; sets the cut, see
            [`multi_label_cut`].
        multi_label_slope (`float`): Steepness of that probability, per standard deviation.
        multi_label_competition (`float`): How much of the set's mean standardised score is taken off each label's, see
            [`standardise`]; 0 for labels that do not compete.
        multi_label_skewness (`float`): Skewness of standardised scores over the background; moves the cut, see
            [`multi_label_cut`].
        label_own_words (`float`): For how many words of the reference vocabulary a label itself counts, see
            [`extend_labels`]; only for checkpoints that have a reference vocabulary.
        word_sharpness (`float`): How sharply a word of the reference vocabulary goes to its best label, in a softmax
            of correlations over the label set; 5 and 20 do the same on development sets.
        word_nearness (`float`): The correlation at which none of the labels competes with the set in that softmax, so
            that a word which correlates less with each of them goes to none.
        largest_share (`float`): Even a single label is not taken to be true of more than this share of texts. It is
            also the share of `neutral`, for which it was kept with GoEmotions in sight.
        label_centering (`float`): Version 2: share of a label's background mean taken off before labels compete, for
            one label and for several alike; what stays is how common it is, see `set_rules_emodistill.py`.
        label_scaling (`float`): Version 2: power of a label's own background deviation by which its similarities are
            divided, in place of the set's mean deviation; 0 for labels of one unit, 1 for standardised ones.
        prior_weight (`float`): Version 2: what a label's prior adds, by the logarithm of how common the words of the
            reference vocabulary are that it stands for; in the set's mean deviations.
        rival_weight (`float`): Version 2: how much of the margin of a text's strongest other label, where that one
            holds, is taken off a label's: beside a strong label a weak one is not named. Below 1, so that the best
            label stays the best.
        neutral_share (`float`): Version 2: share of texts that a label `neutral` is expected to hold for.
        single_label_centering (`float`): Version 1: share of a label's background mean taken off before labels
            compete; 0 for raw similarities, 1 for centred ones.
        single_label_scaling (`float`): Version 1: power of the background deviation by which similarities are divided;
            0 for none, 1 for standardised ones.
        single_label_temperature (`float`): Temperature of the softmax over the label set: of similarities in version
            1, of margins in version 2.
        version (`int`): Of the rules that use these constants; a checkpoint that names none has version 1.

    Raises:
        `ValueError`: in one sentence, for a constant that is no finite number or out of its range, and for a version
        that this package does not know.

    Example:

    ```python
    >>> from emodistill.constants_emodistill import DecisionConstants

    >>> DecisionConstants.from_config({"expected_labels": 2}).expected_labels
    2
    >>> DecisionConstants.from_config({"expected_lables": 2})
    Traceback (most recent call last):
    ValueError: decision holds the unknown constant expected_lables: known are expected_labels, ...

    ```
    """

    expected_labels: float = 1.4
    multi_label_slope: float = 2.0
    multi_label_competition: float = 0.0
    multi_label_skewness: float = 0.0
    label_own_words: float = 10.0
    word_sharpness: float = 10.0
    word_nearness: float = 0.4
    largest_share: float = 0.3
    label_centering: float = 0.5
    label_scaling: float = 0.0
    prior_weight: float = 0.0
    rival_weight: float = 0.0
    neutral_share: float = 0.3
    single_label_centering: float = 0.0
    single_label_scaling: float = 0.0
    single_label_temperature: float = 0.05
    version: int = 1

    def __post_init__(self):
        for name, (lowest, highest, with_lowest) in RANGES.items():
            value = getattr(self, name)
            number = isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)
            if not number or not lowest <= value <= highest or (value == lowest and not with_lowest):
                bound = f"{'at least' if with_lowest else 'above'} {lowest:g}"
                bound += "" if math.isinf(highest) else f" and at most {highest:g}"
                raise ValueError(f"decision: {name} must be a number {bound}, not {value!r}")
        if isinstance(self.version, bool) or not isinstance(self.version, int) or self.version < 1:
            raise ValueError(f"decision: version must be a positive integer, not {self.version!r}")
        if self.version > LATEST_VERSION:
            raise ValueError(
                f"decision: version {self.version} of the rules is newer than this emodistill, which knows up to "
                f"{LATEST_VERSION}: update the package"
            )

    @classmethod
    def from_config(cls, config):
        """
        The constants of a checkpoint: the one way in which they are read.

        Args:
            config ([`EmoDistillConfig`] or `dict`): A configuration, or its `decision`; what is absent keeps its
                default, except `version`, which is then 1.

        Returns:
            [`DecisionConstants`]

        Raises:
            `ValueError`: in one sentence, for an unknown constant or a value that does not fit.
        """
        decision = config if isinstance(config, Mapping) or not hasattr(config, "decision") else config.decision
        if not isinstance(decision, Mapping):
            raise ValueError(f"decision must be a dict of constants, not {decision!r}")
        known = [field.name for field in fields(cls)]
        if unknown := sorted(str(name) for name in decision if name not in known):
            word = "constant" if len(unknown) == 1 else "constants"
            raise ValueError(f"decision holds the unknown {word} {', '.join(unknown)}: known are {', '.join(known)}")
        return cls(**{"version": 1, **decision})
