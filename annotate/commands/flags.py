"""Options of the command line, made from the fields of `Settings` and of other dataclasses of options."""

import argparse
import dataclasses
import json
import sys
import types
import typing

from ...command_line import CommandParser
from ...durations import counted
from ..prompts import list_prompts
from ..settings import Settings

__all__ = [
    "ListPrompts",
    "add_fields",
    "add_input",
    "add_output",
    "end_command",
    "make_parser",
    "reading",
    "settings_from",
    "show_estimate",
]

_READING = ("text_column", "id_column", "source_name", "keep", "header", "quotes", "encoding", "split", "config")


def make_parser(name, description, epilog=None):
    """The parser of a subcommand; `name` is empty for the command itself."""
    prog = f"emodistill annotate {name}".strip()
    return CommandParser(prog=prog, allow_abbrev=False, description=description, epilog=epilog)


def add_fields(parser, cls=Settings, leave_out=(), **defaults):
    """Add an option for each field of a dataclass that was made with `option`.

    Args:
        parser (`ArgumentParser`)
        cls (`type`): The dataclass.
        leave_out (`Iterable[str]`): Fields without an option here.
        **defaults: Other defaults than the fields' own.
    """
    groups, hints = {}, typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        if field.name in leave_out or "help" not in field.metadata:
            continue
        if field.metadata["group"] not in groups:
            groups[field.metadata["group"]] = parser.add_argument_group(field.metadata["group"])
        default = field.default if field.default is not dataclasses.MISSING else None
        default = defaults.get(field.name, default)
        flag = field.metadata["flag"] or "--" + field.name.replace("_", "-")
        groups[field.metadata["group"]].add_argument(flag, **_argument(field, hints[field.name], flag, default))


def _argument(field, hint, flag, default):
    """The arguments of `add_argument` for a field."""
    kinds = [one for one in typing.get_args(hint) or (hint,) if one is not type(None)]
    kind = kinds[0] if isinstance(hint, types.UnionType) or len(kinds) == 1 else hint
    argument = {"dest": field.name, "help": field.metadata["help"], **field.metadata["more"]}
    if kind is bool:
        off = default is True
        return {**argument, "action": "store_false" if off else "store_true"}
    if argument.get("required"):
        return argument
    if kind is dict:
        return {**argument, "action": "append", "default": []}
    if kind is tuple:
        return {**argument, "nargs": "+", "default": []}
    if kind in (int, float):
        argument["type"] = kind
    if "choices" not in argument:
        argument.setdefault("metavar", "N" if kind in (int, float) else "NAME")
    if default is not None and "(default" not in argument["help"]:
        argument["help"] += " (default: %(default)s)"
    return {**argument, "default": default}


def settings_from(args):
    """`Settings` from whichever of their fields a command has options for."""
    names = {field.name for field in dataclasses.fields(Settings)}
    chosen = {name: value for name, value in vars(args).items() if name in names}
    chosen["extra"] = dict(map(_param, chosen.get("extra") or ()))
    chosen["retry"] = tuple(chosen.get("retry") or ())
    if chosen.get("labels") is not None:
        chosen["labels"] = chosen["labels"].split(",")
    if chosen.get("base_url") == "":  # an empty variable must not send to OpenAI what was meant for another server
        raise ValueError("--base-url is empty: give the server's address, or leave the option out")
    return Settings(**chosen)


def _param(param):
    name, mark, value = param.partition("=")
    if not mark or not name:
        raise ValueError(f"--param: {param[:80]!r} is not NAME=JSON")
    try:
        return name, json.loads(value, parse_constant=_no_constant)
    except json.JSONDecodeError:  # a bare word is a string
        return name, value
    except RecursionError:
        raise ValueError(f"--param: the value of {name!r} is nested too deep") from None
    except ValueError:
        raise ValueError(f"--param: the value of {name!r} holds a number that JSON cannot carry") from None


def _no_constant(_name):
    raise ValueError


def add_input(parser):
    """Add the options of `read_texts`."""
    group = parser.add_argument_group("input")
    about = ".csv, .tsv, .jsonl, .parquet, .txt (one text a line), or the id of a data set on the Hub"
    group.add_argument("--input", required=True, metavar="SOURCE", help=about)
    group.add_argument("--text-column", metavar="NAME", help="column of the text (default: text)")
    group.add_argument("--id-column", metavar="NAME", help="column of the id (default: id, or the row's number)")
    about = "source of the rows (default: the column source, or the input's name)"
    group.add_argument("--source-name", metavar="NAME", help=about)
    group.add_argument("--keep", nargs="+", default=[], metavar="NAME", help="columns to carry into the output")
    about = "a CSV or TSV file without column names; its columns are then 1, 2, ..."
    group.add_argument("--no-header", dest="header", action="store_false", help=about)
    about = "whether fields are quoted (default: in CSV yes, in TSV no)"
    group.add_argument("--quotes", action=argparse.BooleanOptionalAction, default=None, help=about)
    group.add_argument("--encoding", metavar="NAME", help="of text files (default: UTF-8, or what their mark says)")
    group.add_argument("--split", default="train", metavar="NAME", help="of a Hub data set (default: train)")
    group.add_argument("--config", metavar="NAME", help="of a Hub data set")


def reading(args):
    """The options of `add_input` as arguments of `read_texts`."""
    return {name: getattr(args, name) for name in _READING}


def add_output(parser, about, rows=False):
    """Add `--output` and `--store`; with `rows`, also the options of `write_rows`."""
    group = parser.add_argument_group("output")
    group.add_argument("--output", required=True, metavar="FILE", help=about)
    about = "everything asked and answered (default: the output's name with .sqlite)"
    group.add_argument("--store", metavar="FILE", help=about)
    if rows:
        about = "write rows that are not ok as well, with raw labels and reasons"
        group.add_argument("--all", dest="every", action="store_true", help=about)
        about = "one spelling for variants such as humour and humor"
        group.add_argument("--merge-variants", action="store_true", help=about)


class ListPrompts(argparse.Action):
    """`--list-prompts`: show the prompts and exit."""

    def __call__(self, parser, namespace, values, option_string=None):
        for prompt in list_prompts():
            print(f"{prompt.id:<18} {prompt.task:<14} {prompt.description}")
        parser.exit()


def show_estimate(estimate):
    """Print an `Estimate` on standard error, where there is anything to ask."""
    if estimate.texts:
        print("\n".join(estimate.lines()), file=sys.stderr, flush=True)


def end_command(report, quiet=False):
    """Print what a run did and give its exit status."""
    if not quiet or report.stopped:
        print("\n".join(report.lines()), file=sys.stderr)
    if report.interrupted:
        return 130
    unfinished = report.statuses.get("pending", 0) + report.statuses.get("error", 0)
    if unfinished and not quiet:
        print(f"{counted(unfinished, 'row')} left: run the same command again to go on", file=sys.stderr)
    return 1 if report.stopped or unfinished else 0
