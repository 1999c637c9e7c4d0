"""The `emodistill` command: one line to a room, nothing of its own.

Each command lives in the room that does the work, as a function that takes the remaining arguments and returns
an exit status. It is imported only when it is called, so each command needs no more than its own extra. A new command
is one line of `COMMANDS` beside its module, which in turn imports what is heavy once its arguments are known to be
good: `--help` and a slip of the pen answer at once.
"""

import atexit
import contextlib
import errno
import importlib
import os
import signal
import sys
import threading

__all__ = ["main", "usage"]

# command: (module, function, one line for --help)
COMMANDS = {
    "predict": (".predict", "main", "score texts against labels and dimensions"),
    "score": (".serving.score", "main", "score every row of a table of texts, however large"),
    "train": (".training.command", "main", "train a model on emotion descriptors"),
    "recipe": (".experiments.recipe", "main", "train a model in the stages that a recipe names"),
    "evaluate": (".benchmarks.cli", "evaluate", "measure a checkpoint on public benchmarks"),
    "ablate": (".experiments.cli", "ablate", "train and measure a grid of variants"),
    "audit": (".benchmarks.cli", "audit", "look for bias and fragility in a checkpoint"),
    "push": (".hub.push", "main", "publish a checkpoint on the Hugging Face Hub"),
    "verify": (".hub.verify", "main", "check that a published folder or repository works for others"),
    "card": (".hub.model_card", "main", "write a checkpoint's model card from its measurements"),
    "push-data": (".hub.dataset", "main", "publish a descriptor data set on the Hugging Face Hub"),
    "build-data": (".descriptors.commands", "build", "build a descriptor data set from annotated texts"),
    "describe-data": (".descriptors.commands", "describe", "print the statistics of a descriptor data set"),
    "export": (".serving.export", "main", "write a checkpoint for onnxruntime, checked against it"),
    "adapt": (".serving.adapt_command", "main", "fit scores to some labelled texts of your own"),
    "annotate": (".annotate.commands", "main", "ask a language model for emotion descriptors of texts"),
    "demo": (".demo.serve", "main", "open a page for trying labels on texts"),
}

# module: the extra of setup.cfg that installs it
EXTRAS = {
    "accelerate": "train",
    "datasets": "train",
    "evaluate": "train",
    "openai": "annotate",
    "onnx": "export",
    "onnxscript": "export",
    "onnxruntime": "onnx",
    "gradio": "demo",
    "matplotlib": "benchmarks",
    "scipy": "benchmarks",
    "sklearn": "benchmarks",
    "pyarrow": "score",
}


def usage():
    """`str`: the commands, a line each."""
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {summary}" for name, (_, _, summary) in sorted(COMMANDS.items())]
    return "\n".join(
        ["usage: emodistill COMMAND [ARGUMENTS]", "", *lines, "", "emodistill COMMAND --help tells more of one."]
    )


class _Interrupts(contextlib.AbstractContextManager):
    """Notes Ctrl-C while a command runs.

    In the first seconds libraries are being imported, and a `KeyboardInterrupt` raised in the middle of that may come
    out as another error, or be swallowed by a callback that cannot raise. What was noted still counts. A command that
    handles the signal by itself puts its own handler over this one.
    """

    def __init__(self, ends_here):
        self.noted = False
        self.ends_here = ends_here  # whether the process has nothing to do after the command
        self.before = None

    def __enter__(self):
        in_charge = threading.current_thread() is threading.main_thread()
        if in_charge and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            self.before = signal.signal(signal.SIGINT, self._note), sys.unraisablehook
            sys.unraisablehook = self._raise_again
        return self

    def __exit__(self, *_):
        if self.before:
            handler, sys.unraisablehook = self.before
            if signal.getsignal(signal.SIGINT) == self._note:  # else the command left it as it should stay
                signal.signal(signal.SIGINT, handler)
            if self.noted and self.ends_here:
                _leave()

    def _note(self, *_):
        self.noted = True
        raise KeyboardInterrupt

    def _raise_again(self, unraisable):
        if unraisable.exc_type is KeyboardInterrupt:
            signal.raise_signal(signal.SIGINT)
        else:
            self.before[1](unraisable)


def _run(argv, interrupts):
    """Do what the arguments say; a user's mistake is one sentence on standard error."""
    program = " ".join(["emodistill", *(argv[:1] if argv and argv[0] in COMMANDS else ())])
    try:
        status = _call(argv, interrupts)
        sys.stdout.flush()  # at its own end the interpreter would tell of a full disk in a traceback
        return status
    except KeyboardInterrupt:
        return _stopped()
    except BrokenPipeError:  # the reader, `head` for instance, has had enough
        _close_output()
        return 141
    except Exception as error:
        if interrupts.noted:
            return _stopped()
        if isinstance(error, ModuleNotFoundError):
            extra = EXTRAS.get((error.name or "").partition(".")[0])
            hint = f"; it comes with: pip install 'emodistill[{extra}]'" if extra else ""
            _say(f"{program}: {error}{hint}")
            return 2
        if isinstance(error, OSError) and error.errno == errno.ENOSPC and error.filename is None:
            _close_output()
            _say(f"{program}: disk full: the output could not be written; free some space and run it again")
            return 2
        if isinstance(error, (ValueError, OSError, ImportError)):
            if isinstance(error, FileNotFoundError) and error.filename is None and not _is_somewhere():
                error = "the folder that you are in has been removed; change to another one"
            _say(f"{program}: {_in_words(error)}")
            return 2
        raise


def _call(argv, interrupts):
    """Import a command's function and call it, or tell what there is."""
    if not argv or argv[0] in ("-h", "--help"):
        print(usage())
        return 0 if argv else 2
    if argv[0] == "--version":
        from .version import __version__

        print(f"emodistill {__version__}")
        return 0
    if argv[0] not in COMMANDS:
        _say(_unknown(argv[0]))
        return 2
    if empty := next((arg for arg in argv if arg.startswith("--") and arg.partition("=")[2] == "--"), None):
        raise ValueError(f"{empty[:-3]} needs a value, and -- is none")  # argparse would make an empty list of it
    module, function, _ = COMMANDS[argv[0]]
    command = getattr(importlib.import_module(module, package=__package__), function)
    if interrupts.noted:
        raise KeyboardInterrupt
    return command(argv[1:]) or 0


def _say(message):
    """A line on standard error; where that cannot be written, the exit status has to do."""
    with contextlib.suppress(OSError, ValueError):
        print(message, file=sys.stderr)


def _in_words(error):
    """A system's own error as `name: no such file or directory`, without its number; all others as they are."""
    if not isinstance(error, OSError) or error.filename is None or not str(error).startswith("[Errno "):
        return error
    names = " and ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
    return f"{names}: {error.strerror[:1].lower()}{error.strerror[1:]}"


def _is_somewhere():
    try:
        return bool(os.getcwd())
    except OSError:
        return False


def _close_output():
    """What is still buffered has nowhere to go."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _open_streams():
    """A shell may have closed a stream (`>&-`), which is `None` then: nothing is read from it, or shown on it."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 (for the rest of the process)


def _leave():
    """End the process after Ctrl-C.

    An impatient second one must not end in a traceback while the interpreter takes itself down; and where an import
    was interrupted, the interpreter would take its own exit status for that of an unhandled interrupt.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    os._exit(130)


def _stopped():
    _say("emodistill: stopped")
    return 130


def _unknown(name):
    """The sentence for a command that there is not."""
    import difflib

    near = difflib.get_close_matches(name, COMMANDS, n=1)
    meant = f"did you mean {near[0]!r}? There are" if near else "choose from"
    return f"emodistill: no command {name!r}; {meant} {', '.join(sorted(COMMANDS))}"


def main(argv=None):
    """Run one command.

    Args:
        argv (`list[str]`, *optional*): The arguments after the program's name; the process's own by default.

    Returns:
        `int`: the exit status; 2 for a user's mistake, told in one sentence on standard error; 130 after Ctrl-C.
    """
    own = argv is None
    _open_streams()
    argv = list(sys.argv[1:] if own else argv)
    with _Interrupts(ends_here=own) as interrupts:
        return _run(argv, interrupts)


if __name__ == "__main__":
    sys.exit(main())
