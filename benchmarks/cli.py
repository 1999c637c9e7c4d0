"""Command lines of the room: `emodistill evaluate` and `emodistill audit`."""

import argparse
import importlib.util
import os
import sys

from ..command_line import CommandParser
from ..files import check_output

__all__ = [
    "add_common", "audit", "audit_parser", "cache_of", "default_checkpoint", "evaluate", "evaluate_parser",
    "load_systems", "positive", "quiet_libraries", "require_libraries",
]  # fmt: skip


def positive(text):
    """A positive whole number from a command line."""
    try:
        value = int(text)
    except ValueError:
        value = 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive whole number")
    return value


def add_common(parser):
    """Arguments that `evaluate` and `audit` share."""
    parser.add_argument("checkpoint", nargs="?", help="folder or Hub id; the package's own model by default")
    parser.add_argument("--output", default="results", help="folder for results (default: results)")
    parser.add_argument("--cache-dir", help="folder for embeddings (default: the user's cache)")
    parser.add_argument("--no-cache", action="store_true", help="keep no embeddings on disk")
    parser.add_argument("--batch-size", type=positive, default=32, help="texts in a batch (default: 32)")
    parser.add_argument("--report", action="store_true", help="write one HTML page with everything")
    parser.add_argument("--quiet", action="store_true", help="no progress on standard error")
    return parser


def evaluate_parser():
    parser = add_common(
        CommandParser(
            prog="emodistill evaluate",
            description="Measure a checkpoint on public benchmarks and write JSON, Markdown tables and plots.",
        )
    )
    parser.add_argument("--data-dir", required=True, help="directory with one folder a set, goemotions/ and so on")
    parser.add_argument("--benchmarks", default="all", help="all, or names separated by commas, each with :split")
    parser.add_argument("--limit", type=positive, help="first rows of each split only: a quick look, marked as such")
    parser.add_argument("--replicates", type=positive, default=1000, help="bootstrap replicates (default: 1000)")
    parser.add_argument("--seed", type=int, default=0, help="seed of resampling (default: 0)")
    parser.add_argument("--compare", action="append", default=[], metavar="CHECKPOINT", help="another checkpoint")
    parser.add_argument("--raw-encoder", metavar="PATH", help="pretrained encoder whose plain cosine is a baseline")
    parser.add_argument("--nli", metavar="PATH", help="NLI model with real weights as a baseline")
    parser.add_argument("--gliclass", metavar="PATH", help="GLiClass model with real weights as a baseline")
    parser.add_argument("--no-untrained", action="store_true", help="leave out the untrained baseline")
    parser.add_argument("--descriptors", metavar="PATH", help="descriptor data set: adds alignment and retrieval")
    parser.add_argument("--from-hub", action="store_true", help="download absent sets that the Hub serves")
    return parser


def check_common(args):
    """What of the shared arguments can be told before anything is loaded."""
    check_output(args.output, "--output", folder=True)
    if args.no_cache and args.cache_dir is not None:
        raise ValueError("give --cache-dir or --no-cache, not both")


def cache_of(args):
    """The embedding cache that the arguments ask for."""
    from .cache import EmbeddingCache, default_cache_dir

    return EmbeddingCache(None if args.no_cache else (args.cache_dir or default_cache_dir()))


def load_systems(args):
    """The checkpoint, then every other system the arguments name."""
    from . import systems

    options = {"cache": cache_of(args), "batch_size": args.batch_size, "quiet": args.quiet}
    loaded = [systems.load_system(args.checkpoint or default_checkpoint(), **options)]
    for path in getattr(args, "compare", ()):
        other = systems.load_system(path, **options)
        if other.name in {system.name for system in loaded}:
            other.name = str(path)
        loaded.append(other)
    if args.raw_encoder:
        loaded.append(systems.load_raw_encoder(args.raw_encoder, **options))
    if not args.no_untrained and loaded[0].model is not None:  # an export has no shape to start anew
        loaded.append(systems.untrained_like(loaded[0]))
    if args.nli:
        loaded.append(systems.load_nli(args.nli))
    if args.gliclass:
        loaded.append(systems.load_gliclass(args.gliclass))
    return loaded


def default_checkpoint():
    """The path of the package's own model."""
    from .. import DEFAULT_CHECKPOINT

    return DEFAULT_CHECKPOINT


def quiet_libraries():
    """No progress bars of weight loading between our own lines."""
    from transformers.utils import logging

    logging.disable_progress_bar()
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")  # read when datasets is imported


def require_libraries():
    """One sentence, where the benchmark libraries are not installed."""
    missing = [name for name in ("matplotlib", "scipy", "sklearn") if importlib.util.find_spec(name) is None]
    if missing:
        raise ImportError(f"{', '.join(missing)} not installed; pip install 'emodistill[benchmarks]' brings them.")


def evaluate(argv):
    """`emodistill evaluate [CHECKPOINT] --data-dir DIR`: measure, write, print the tables.

    Returns:
        `int`: 0; 1 where a benchmark that the user named is absent.
    """
    args = evaluate_parser().parse_args(argv)
    check_common(args)
    require_libraries()
    from .readers import MissingBenchmark
    from .report import write_results
    from .result_tables import all_tables
    from .space import emotion_space, ratings_of, space_result
    from .suite import clean, parse_selection, read_selection, run_suite

    pairs, named = parse_selection(args.benchmarks)
    try:  # before any model is loaded, so that a slip is told at once
        found, skipped = read_selection(pairs, named, args.data_dir, args.limit, args.from_hub)
    except MissingBenchmark as missing:
        print(f"emodistill evaluate: {missing}", file=sys.stderr)
        return 1
    quiet_libraries()
    loaded = load_systems(args)
    suite = run_suite(loaded, found, skipped, args.data_dir, args.limit, args.replicates, args.seed, quiet=args.quiet)
    suite["checkpoint"] = {"path": str(args.checkpoint or "default"), "fingerprint": loaded[0].fingerprint}
    ratings = None
    if args.descriptors:
        from ..descriptors.lexicon import load_lexicon

        ratings = ratings_of(load_lexicon(args.descriptors).entries)
        suite["space"] = space_result(loaded, args.descriptors)
    suite["emotion_space"] = emotion_space(loaded[0], ratings)
    suite = clean(suite)  # what is undefined is null in the file and a dash wherever it is shown
    written = write_results(suite, args.output, args.report)
    if suite["limit"]:
        print(f"LIMITED to the first {suite['limit']} rows of each split: a quick look, not a result.\n")
    for table in all_tables(suite):
        print(table.markdown())
    print(f"wrote {len(written)} files to {args.output} in {suite['seconds']:.0f} s")
    return 0


def audit_parser():
    parser = add_common(
        CommandParser(
            prog="emodistill audit",
            description="Look for bias between groups and for fragility in a checkpoint; write tables and a plot.",
        )
    )
    parser.add_argument("--data-dir", help="directory that may hold eec/ and semeval2025-eng/")
    parser.add_argument("--labels", help="labels whose gaps are measured, separated by commas")
    return parser


def audit(argv):
    """`emodistill audit [CHECKPOINT]`: measure, write, print the tables.

    Returns:
        `int`: 0, whatever was found: findings are told, not hidden in a status.
    """
    args = audit_parser().parse_args(argv)
    check_common(args)
    require_libraries()
    from . import systems
    from .audit.counterfactual import LABELS
    from .audit.run import audit_tables, run_audit, write_audit

    labels = LABELS
    if args.labels is not None:
        labels = tuple(dict.fromkeys(label.strip() for label in args.labels.split(",") if label.strip()))
        if not labels:
            raise ValueError("--labels: name at least one label.")
    quiet_libraries()
    options = {"cache": cache_of(args), "batch_size": args.batch_size, "quiet": args.quiet}
    system = systems.load_system(args.checkpoint or default_checkpoint(), **options)
    found = run_audit(system, args.data_dir, labels)
    written = write_audit(found, args.output, args.report)
    for table in audit_tables(found):
        print(table.markdown())
    print(f"wrote {len(written)} files to {args.output} in {found['seconds']:.0f} s")
    return 0
