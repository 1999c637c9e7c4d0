"""Options of a command line that would go unheeded are told, not ignored. Standard library only."""

__all__ = ["check_heeded", "given_options"]


def given_options(parser, args, names):
    """
    Which options are given, as they are written.

    Args:
        parser (`argparse.ArgumentParser`): Knows what an option is where it is not given.
        args (`argparse.Namespace`): What it has read.
        names (`Iterable[str]`): Of options, as `args` has them.

    Returns:
        `list[str]`: in the order of `names`.

    Example:

    ```python
    >>> import argparse
    >>> from emodistill.unheeded import given_options

    >>> parser = argparse.ArgumentParser()
    >>> _ = parser.add_argument("--top-k"), parser.add_argument("--card")
    >>> given_options(parser, parser.parse_args(["--top-k", "3"]), ["card", "top_k"])
    ['--top-k']

    ```
    """
    return [_written(name) for name in names if getattr(args, name) != parser.get_default(name)]


def _written(name):
    return "--" + name.replace("_", "-")


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
    given = given_options(parser, args, {*partners, *partners.values()})
    for option, other in ((_written(name), _written(partner)) for name, partner in partners.items()):
        if option in given and other not in given:
            raise ValueError(f"{option} is for {other}: give {other} too, or leave {option} out")
