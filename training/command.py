"""`emodistill train`: arguments are read, and told where they are wrong, before torch is loaded."""

from .arguments import parse_arguments

__all__ = ["main"]


def main(argv):
    """
    Train as the command line says.

    Args:
        argv (`list[str]`): The arguments after `train`.

    Returns:
        `int`: 0 when finished, 128 plus the signal's number when stopped by one.

    Raises:
        `ValueError`: for arguments or data that do not fit, naming them.
    """
    parse_arguments(list(argv))
    import accelerate  # noqa: F401  first: where it is absent, that is told before torch is loaded

    from .. import train_accelerate

    return train_accelerate.main(argv)
