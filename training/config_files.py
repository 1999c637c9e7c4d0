"""Files of configurations: found by name, and read without trusting what stands in them."""

import os
import re
from pathlib import Path

__all__ = ["CONFIGS", "find_config", "read_yaml"]

CONFIGS = Path(__file__).resolve().parent.parent / "configs"
LARGEST_FILE = 1_000_000  # bytes of a configuration


def find_config(name):
    """`Path`: a configuration: a file here, or one of the package by name, with or without `configs/` and `.yaml`."""
    given = Path(name)
    if given.is_file():
        return given
    inside = Path(*given.parts[1:]) if given.parts[:1] == ("configs",) else given
    for path in (CONFIGS / inside, CONFIGS / f"{inside}.yaml"):
        if path.is_file() and path.suffix in (".yaml", ".yml"):
            return path
    known = sorted(
        path.relative_to(CONFIGS).with_suffix("").as_posix()
        for path in CONFIGS.rglob("*.yaml")
        if path.parent == CONFIGS or path.name[0].isdigit()
    )
    raise ValueError(f"no configuration file {name}; those of the package are {', '.join(known)}")


def read_yaml(path):
    """
    The mapping that a YAML file holds.

    Args:
        path (`str` or `Path`): The file.

    Returns:
        `dict`

    Raises:
        `ValueError`: if it is no file, too large, no YAML, no mapping, uses an alias (a few lines of which can stand
            for more than a machine holds), has a name twice, or a number such as `010` or `1:30`.
    """
    import yaml

    class Loader(yaml.SafeLoader):
        def compose_node(self, parent, index):
            if self.check_event(yaml.events.AliasEvent):
                event = self.peek_event()
                raise yaml.composer.ComposerError(
                    None, None, f"alias *{event.anchor} is not allowed", event.start_mark
                )
            return super().compose_node(parent, index)

        def construct_mapping(self, node, deep=False):
            names = [key.value for key, _ in node.value if isinstance(key.value, str)]
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise yaml.constructor.ConstructorError(None, None, f"{twice[0]} stands there twice", node.start_mark)
            return super().construct_mapping(node, deep)

        def construct_scalar(self, node):
            # YAML takes the first for an octal number, and the second for one of minutes and seconds
            if node.tag.endswith((":int", ":float")) and re.match(r"[-+]?(0[0-9_]+$|[0-9_]+:)", str(node.value)):
                raise yaml.constructor.ConstructorError(
                    None, None, f"{node.value} means another number to YAML than it looks like", node.start_mark
                )
            return super().construct_scalar(node)

    if not os.path.isfile(path):
        raise ValueError(f"no configuration file {path}")
    if os.path.getsize(path) > LARGEST_FILE:
        raise ValueError(f"{path} is no configuration: it has more than {LARGEST_FILE:,} bytes")
    with open(path, "rb") as file:
        try:
            values = yaml.load(file, Loader)
        except yaml.YAMLError as error:
            raise ValueError(f"{path} is not YAML: {' '.join(str(error).split())}") from None
        except RecursionError:
            raise ValueError(f"{path} is nested too deeply") from None
        except (ValueError, LookupError, TypeError, AttributeError) as error:  # a tag or a date that does not fit
            raise ValueError(f"{path} holds a value that cannot be read ({error})") from None
    if not isinstance(values := {} if values is None else values, dict):  # nothing: all as it is by default
        raise ValueError(f"{path} must hold `name: value` lines")
    return values
