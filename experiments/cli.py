"""Command line of the room: `emodistill ablate`."""

import sys
from pathlib import Path

from ..benchmarks.cli import positive, quiet_libraries, require_libraries
from ..command_line import CommandParser
from .grid import list_cells, load_grid

__all__ = ["ablate", "ablate_parser", "parse_overrides"]


def ablate_parser():
    parser = CommandParser(
        prog="emodistill ablate",
        description="Train and measure a grid of variants; stopped, the same command goes on.",
    )
    parser.add_argument("grid", help="YAML file, or the name of a grid that comes with the package")
    parser.add_argument("--data-dir", help="directory with one folder a benchmark")
    parser.add_argument("--descriptors", help="descriptor data set in place of the base's data and lexicon")
    parser.add_argument("--output", help="folder for cells and tables (default: ablations/GRID)")
    parser.add_argument("--only", action="append", metavar="CELL", help="this cell alone; may be given again")
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="training argument of all cells"
    )
    parser.add_argument("--limit", type=positive, help="first rows of each split only, marked as such")
    parser.add_argument("--keep", action="store_true", help="keep the trained checkpoints")
    parser.add_argument("--list", action="store_true", help="show the cells and stop")
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    return parser


def ablate(argv):
    """`emodistill ablate GRID --data-dir DIR`: train, measure, draw the table.

    Returns:
        `int`: 0; 130 where training was stopped.
    """
    args = ablate_parser().parse_args(argv)
    require_libraries()

    grid = load_grid(args.grid)
    if args.list:
        list_cells(grid)
        return 0
    if not args.data_dir:
        raise ValueError("give --data-dir, the directory with a folder for each benchmark")
    if not Path(args.data_dir).is_dir():
        raise ValueError(f"--data-dir: no directory {args.data_dir}; give the one with a folder for each benchmark.")
    names = {cell[key] for cell in grid["cells"] for key in ("name", "group")}
    if unknown := set(args.only or ()) - names:
        raise ValueError(f"--only: no cell {', '.join(sorted(unknown))}; see --list.")
    from .ablate import run_grid
    from .grid_report import grid_table

    quiet_libraries()
    options = {
        "descriptors": args.descriptors,
        "data_dir": args.data_dir,
        "overrides": parse_overrides(args.set),
        "limit": args.limit,
        "only": set(args.only or ()),
        "keep": args.keep,
        "quiet": args.quiet,
    }
    output = Path(args.output or Path("ablations") / grid["path"].stem)
    try:
        results = run_grid(grid, options, output, lambda line: print(line, file=sys.stderr, flush=True))
    except InterruptedError as stopped:
        print(f"emodistill ablate: {stopped}", file=sys.stderr)
        return 130
    print(grid_table(grid, results).markdown())
    print(f"{len(results)} cells in {output}")
    return 0


def parse_overrides(pairs):
    """Training arguments from `NAME=VALUE` on the command line, values as in YAML."""
    import yaml

    overrides = {}
    for pair in pairs:
        name, separator, value = pair.partition("=")
        if not separator or not name:
            raise ValueError(f"--set: {pair!r} is not NAME=VALUE.")
        try:
            overrides[name.strip()] = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
            raise ValueError(f"--set {name}: {value[:60]!r} is not a value of YAML.") from None
    return overrides
