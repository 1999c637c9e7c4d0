"""Arguments of a call: which there are, what fits, which was given. Without torch."""

import numbers

import numpy as np

__all__ = ["CHECKS", "ERRORS", "UNSET", "given", "known", "names_in", "one_of", "read_batch_size", "read_threads"]

UNSET = type("Unset", (), {"__repr__": lambda self: "unset"})()  # what a call does not name keeps the constructor's
ERRORS = ("raise", "null")


def _is_boolean(value):
    return isinstance(value, bool | np.bool_)


def _is_positive_integer(value):
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and value > 0


def _is_positive(value):
    return isinstance(value, numbers.Real) and not isinstance(value, bool) and 0 < value < float("inf")


# argument: the step it belongs to (preprocess, forward, postprocess), whether a value fits, and what it must be
CHECKS = {
    "errors": (0, lambda value: value in ERRORS, '"raise" or "null"'),
    "stream": (0, _is_boolean, "True or False"),
    "progress": (0, _is_boolean, "True or False"),
    "max_windows": (1, lambda value: value is None or _is_positive_integer(value), "a positive integer or None"),
    "return_windows": (1, _is_boolean, "True or False"),
    "normalise": (1, lambda value: value is None or _is_boolean(value), "True, False or None"),
    "multi_label": (2, lambda value: value is None or _is_boolean(value), "True or False"),
    "top_k": (2, lambda value: value is None or _is_positive_integer(value), "a positive integer"),
    "labels_per_text": (2, lambda value: value is None or _is_positive(value), "a number above 0"),
    "adaptation": (2, lambda value: True, ""),  # an adaptation or its file
    "dimensions": (2, lambda value: True, ""),  # read with the checkpoint at hand
}
NAMES = ("labels", "candidate_labels", "label_template", "hypothesis_template", "threshold", *CHECKS)


def known(options):
    """Those of some arguments that concern what is decided, without `batch_size` and its like."""
    return {name: value for name, value in options.items() if name in NAMES}


def given(value):
    """Whether an argument was named, with something else than `None`."""
    return value is not UNSET and value is not None


def names_in(text):
    """`list[str]`: names that commas separate; after the last comma there need not be one."""
    names = [name.strip() for name in text.split(",")]
    return names[:-1] if len(names) > 1 and not names[-1] else names


def read_batch_size(value):
    """`int`: the texts of a batch; `ValueError` for what is no number of them."""
    if not _is_positive_integer(value):
        raise ValueError(f"batch_size must be a positive integer, not {value!r}")
    return int(value)


def read_threads(value):
    """`int` or `None`: threads of a model, `None` for its own choice; `ValueError` for what is no number of them."""
    if value is not None and not _is_positive_integer(value):
        raise ValueError(f"threads must be a positive integer or None, not {value!r}")
    return None if value is None else int(value)


def one_of(name, value, alias, other):
    """The value of an argument or of its alias; `ValueError` for both."""
    if given(value) and given(other):
        raise ValueError(f"give {name} or its alias {alias}, not both")
    return other if other is not UNSET and not given(value) else value
