"""Options of a command line that would go unheeded are told, not ignored. Standard library only."""

__all__ = ["check_heeded"]


def check_heeded(parser, args, partners):
    """
    See that no option is given which matters only beside another one that is not.

    Args:
        parser (`argparse.ArgumentParser`): Knows what an option is where it is not given.
        args (`argparse.Namespace`): What it has read.
        partners (`dict[str, str]`): For the name of an option that of the one which it is for.

    Raises:
        `ValueError`: naming both.

    Example:

    ```python
    >>> import argparse
    >>> from emodistill.unheeded import check_heeded

    >>> parser = argparse.ArgumentParser()
    >>> _ = parser.add_argument("--card"), parser.add_argument("--licence")
    >>> check_heeded(parser, parser.parse_args(["--licence", "mit"]), {"licence": "card"})
    Traceback (most recent call last):
    ValueError: --licence is for --card: give --card too, or leave --licence out

    ```
    """

    def is_given(name):
        return getattr(args, name) != parser.get_default(name)

    for name, partner in partners.items():
        if is_given(name) and not is_given(partner):
            option, other = ("--" + part.replace("_", "-") for part in (name, partner))
            raise ValueError(f"{option} is for {other}: give {other} too, or leave {option} out")
