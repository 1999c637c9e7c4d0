"""The `emodistill` command: one line to a room, nothing of its own.

Each command lives in the room that does the work, as a function that takes the remaining arguments and returns
an exit status. It is imported only when it is called, so each command needs no more than its own extra.
"""

import importlib
import os
import sys

# command: (module, function, one line for --help)
COMMANDS = {
    "predict": (".predict", "main", "score texts against labels and dimensions"),
    "train": (".train_accelerate", "main", "train a model on emotion descriptors"),
    "evaluate": (".benchmarks.cli", "evaluate", "measure a checkpoint on public benchmarks"),
    "ablate": (".benchmarks.cli", "ablate", "train and measure a grid of variants"),
    "audit": (".benchmarks.cli", "audit", "look for bias and fragility in a checkpoint"),
    "push": (".hub.push", "main", "publish a checkpoint on the Hugging Face Hub"),
    "verify": (".hub.verify", "main", "check that a published folder or repository works for others"),
    "card": (".hub.card", "main", "write a checkpoint's model card from its measurements"),
    "push-data": (".hub.dataset", "main", "publish a descriptor data set on the Hugging Face Hub"),
    "annotate": (".annotate.cli", "main", "ask a language model for emotion descriptors of texts"),
    "demo": (".demo.serve", "main", "open a page for trying labels on texts"),
}

# module: the extra of setup.cfg that installs it
EXTRAS = {
    "accelerate": "train",
    "datasets": "train",
    "evaluate": "train",
    "openai": "annotate",
    "gradio": "demo",
    "matplotlib": "benchmarks",
    "scipy": "benchmarks",
    "sklearn": "benchmarks",
}


def usage():
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {summary}" for name, (_, _, summary) in sorted(COMMANDS.items())]
    return "\n".join(
        ["usage: emodistill COMMAND [ARGUMENTS]", "", *lines, "", "emodistill COMMAND --help tells more of one."]
    )


def main(argv=None):
    """Run one command.

    Args:
        argv (`list[str]`, *optional*): the arguments after the program's name; the process's own by default.

    Returns:
        `int`: the exit status; 2 for a user's mistake, told in one sentence on standard error.
    """
    argv = list(sys.argv[1:] if argv is None else argv)
    if not argv or argv[0] in ("-h", "--help"):
        print(usage())
        return 0 if argv else 2
    if argv[0] == "--version":
        from .version import __version__

        print(f"emodistill {__version__}")
        return 0
    name, arguments = argv[0], argv[1:]
    if name not in COMMANDS:
        print(f"emodistill: no command {name!r}; choose from {', '.join(sorted(COMMANDS))}", file=sys.stderr)
        return 2
    module, function, _ = COMMANDS[name]
    try:
        return getattr(importlib.import_module(module, package=__package__), function)(arguments) or 0
    except KeyboardInterrupt:
        print("emodistill: stopped", file=sys.stderr)
        return 130
    except ModuleNotFoundError as error:
        extra = EXTRAS.get((error.name or "").partition(".")[0])
        hint = f"; it comes with: pip install 'emodistill[{extra}]'" if extra else ""
        print(f"emodistill {name}: {error}{hint}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # the reader, `head` for instance, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is still buffered has nowhere to go
        return 141
    except (ValueError, OSError, ImportError) as error:  # a user's mistake: one sentence, no traceback
        print(f"emodistill {name}: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
