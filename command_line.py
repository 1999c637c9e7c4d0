"""How a command reads its arguments: slips, and options that would go unheeded, are told. Standard library only."""

import argparse
import re
import sys

__all__ = ["CommandParser", "check_heeded", "did_you_mean", "given_options"]

OPTION = re.compile(r"--?[A-Za-z][^ =]*")  # and not a number below zero


class CommandParser(argparse.ArgumentParser):
    """
    An `ArgumentParser` whose errors are one sentence for the caller to show, not the usage of all options.

    Raises:
        `ValueError`: for arguments that do not fit.

    Example:

    ```python
    >>> from emodistill.command_line import CommandParser

    >>> parser = CommandParser(prog="emodistill predict")
    >>> _ = parser.add_argument("--labels", required=True)
    >>> parser.parse_args(["--label=joy"])
    Namespace(labels='joy')
    >>> parser.parse_args(["--lables=joy"])
    Traceback (most recent call last):
    ValueError: no option --lables; did you mean --labels? emodistill predict --help lists them all

    ```
    """

    def parse_known_args(self, args=None, namespace=None):
        self._words = list(sys.argv[1:] if args is None else args)
        return super().parse_known_args(self._words, namespace)

    def error(self, message):
        left = message.startswith("unrecognized arguments")
        # A misspelt option is told before the lack of the right one, which may have been meant.
        if (left or message.startswith("the following arguments are")) and (unknown := self._unknown_option()):
            raise ValueError(self.no_option(unknown))
        if left:
            message = f"{message.partition(': ')[2]!r} is left over"
        raise ValueError(f"{message}; {self.prog} --help tells more")

    def no_option(self, name):
        """`str`: the sentence for an option that there is not."""
        meant = did_you_mean("--" + name.lstrip("-").lower(), self._option_string_actions)
        return f"no option {name}; {meant}{self.prog} --help lists them all"

    def _unknown_option(self):
        """The first word that can only be meant for an option, and is none; nothing where there is no such word."""
        for word in self._words:
            if word == "--":
                return None
            name = word.partition("=")[0]
            if OPTION.fullmatch(name) and not self._is_option(name):
                return name
        return None

    def _is_option(self, name):
        abbreviated = self.allow_abbrev and any(known.startswith(name) for known in self._option_string_actions)
        return abbreviated or name in self._option_string_actions


def did_you_mean(name, known):
    """
    The known name that another one comes near to, as a question in front of what follows.

    Args:
        name (`str`): What was written.
        known (`Iterable[str]`): What there is.

    Returns:
        `str`: empty where nothing is near.

    Example:

    ```python
    >>> from emodistill.command_line import did_you_mean

    >>> did_you_mean("--lables", ["--labels", "--model"]), did_you_mean("--xyz", ["--labels"])
    ('did you mean --labels? ', '')

    ```
    """
    import difflib

    near = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {near[0]}? " if near else ""


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
    >>> from emodistill.command_line import given_options

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
    >>> from emodistill.command_line import check_heeded

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
