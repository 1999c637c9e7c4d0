"""`emodistill annotate rate`: texts read with ratings."""

from .run import build_parser, read

__all__ = ["main"]


def main(argv):
    """Run `emodistill annotate rate`. Returns the exit status."""
    parser = build_parser(
        "rate",
        "Read texts with ratings: one to five descriptors, and valence, arousal and dominance (1 to 9) of the text, "
        "in one reply. The rows go to build-data as --rated.",
        prompt="rated",
    )
    return read(parser.parse_args(argv))
