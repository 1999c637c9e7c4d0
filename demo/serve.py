"""`emodistill demo`: the page on one's own machine."""

import argparse
import contextlib
import errno
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading

from ..command_line import CommandParser, check_heeded, given_options
from ..files import check_output
from ..loading import checkpoint_path
from . import proxies

__all__ = ["free_port", "main"]

# What runs in the process that serves; it ends when nobody holds the other end of its standard input any more.
SERVER = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from emodistill import cli
sys.exit(cli.main(sys.argv[2:]))
"""


def _parser():
    parser = CommandParser(
        prog="emodistill demo",
        description="Open a page for trying labels on texts, on this machine. Nothing leaves it.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 lets the network in")
    parser.add_argument("--port", type=int, default=7860, help="port to listen on; 0 for any free one")
    parser.add_argument(
        "--model",
        help="small, base, folder or Hub id of a checkpoint; by default those of the package, to choose from",
    )
    parser.add_argument(
        "--allow-host", action="append", default=[], metavar="NAME",
        help="also answer under this host name, that of a proxy before the page for instance; may be given again",
    )  # fmt: skip
    parser.add_argument("--space", metavar="FOLDER", help="write a Hub Space with this page into a folder, and end")
    parser.add_argument(
        "--web", metavar="FOLDER", help="write a page in which the model runs in the browser into a folder, and end"
    )
    parser.add_argument("--web-labels", metavar="LABELS", help="the labels of that page, separated by commas")
    parser.add_argument("--web-runtime", metavar="FOLDER", help="the npm package onnxruntime-web; npm fetches it else")
    parser.add_argument("--serve-from", metavar="FOLDER", help=argparse.SUPPRESS)  # this is the process that serves
    return parser


def _arguments(argv):
    parser = _parser()
    args = parser.parse_args(argv)
    check_heeded(parser, args, {"web_labels": "web", "web_runtime": "web"})
    if args.space and args.web:
        raise ValueError("give --space or --web, not both")
    written = "--space" if args.space else "--web" if args.web else None
    local = ("host", "port", "allow_host", *(("model",) if args.space else ()))
    if written and (given := given_options(parser, args, local)):
        raise ValueError(f"{given[0]} is for the page on this machine, and {written} writes one: leave {given[0]} out")
    return args


def free_port(host, port):
    """
    Check that a server may listen there, before a model is loaded for it.

    Args:
        host (`str`): The address.
        port (`int`): The port, or 0 for any.

    Returns:
        `int`: the port.

    Raises:
        `ValueError`: saying why not, and what to do.
    """
    if not 0 <= port <= 65535:
        raise ValueError(f"--port must lie between 0 and 65535, not {port}")
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError):
        raise ValueError(f"--host {host} is no address of this machine; 127.0.0.1 always is") from None
    with socket.socket(family, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the server itself does
        try:
            probe.bind(address)
        except PermissionError:
            raise ValueError(f"--port {port} needs an administrator's rights; take one from 1024 on") from None
        except OverflowError as error:
            raise ValueError(f"--port {port}: {error}") from None
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise ValueError(f"port {port} on {host} is taken; choose another one with --port") from None
            raise ValueError(f"--host {host} is no address of this machine; 127.0.0.1 always is") from None
        return probe.getsockname()[1]


def own_models(model=None):
    """
    The checkpoints that the page offers.

    Args:
        model (`str`, *optional*): The one that was asked for; by default those of the package that are there.

    Returns:
        `dict[str, str]`: folders or Hub ids by the name that the page shows, the one to begin with first.

    Raises:
        `FileNotFoundError`: where there is none.
    """
    if model is not None:
        return {model: checkpoint_path(model)}
    found = {"small": checkpoint_path("small")}
    with contextlib.suppress(FileNotFoundError):
        found["base"] = checkpoint_path("base")
    return found


def main(argv=None):
    """
    Serve the page until Ctrl-C or SIGTERM, which end it at once whatever it is at.

    The page runs in a process of its own. This one waits for it, ends it when it is told to, and takes the uploaded
    files and the results away.

    Args:
        argv (`list[str]`, *optional*): The arguments after `demo`.

    Returns:
        `int`: 0; the exit status of the page's process where it failed.

    Raises:
        `ValueError`: for arguments that do not fit, a port that is taken among them, and a proxy that is none.
        `ModuleNotFoundError`: gradio is not installed.
    """
    argv = list(sys.argv[2:] if argv is None else argv)
    args = _arguments(argv)
    for name, folder in (("--space", args.space), ("--web", args.web)):
        if folder is not None:
            check_output(folder, name, folder=True)
    if args.space:
        from .space import write_space

        print(f"wrote {write_space(args.space)}: publish the folder as a Space of kind Gradio")
        return 0
    if args.web:
        return _write_page(args)
    if args.serve_from:
        return _serve(args)
    port, models = free_port(args.host, args.port), own_models(args.model)
    if importlib.util.find_spec("gradio") is None:
        raise ModuleNotFoundError("No module named 'gradio'", name="gradio")
    local = all(os.path.isdir(path) for path in models.values())
    environment = proxies.without_proxies(os.environ) if local else proxies.usable_proxies(os.environ)
    with tempfile.TemporaryDirectory(prefix="emodistill-demo-", ignore_cleanup_errors=True) as folder:
        environment["GRADIO_TEMP_DIR"] = folder  # uploads and results go with the server
        command = [sys.executable, "-P", "-c", SERVER, json.dumps(sys.path), "demo", *argv]
        return _watch([*command, "--port", str(port), "--serve-from", folder], environment)


def _write_page(args):
    from .static_page import LABELS, write_page

    def report(text):
        print(f"  {text}", file=sys.stderr, flush=True)

    folder = write_page(args.web, args.model, args.web_labels or LABELS, args.web_runtime, report)
    print(f"wrote {folder}: serve it as static files, for instance python -m http.server --directory {folder}")
    return 0


SIGNALS = (signal.SIGINT, signal.SIGTERM)  # a shell's background job would ignore the first


def _stop(*_):
    for number in SIGNALS:  # at once: another one must not disturb the end, and Python tells of one that is ignored
        signal.signal(number, lambda *_: None)
    raise KeyboardInterrupt


def _watch(command, environment):
    """Wait for the process that serves, and end it when this one is told to end."""
    process, before, stopped = None, {}, False
    try:
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                before[number] = signal.signal(number, _stop)
        # Its own session: Ctrl-C in a terminal reaches this process alone.
        process = subprocess.Popen(command, env=environment, stdin=subprocess.PIPE, start_new_session=True)
        return process.wait()
    except KeyboardInterrupt:
        stopped = True
        print("\nemodistill demo: stopped", file=sys.stderr, flush=True)
        return 0
    finally:
        for number in before:
            signal.signal(number, signal.SIG_IGN)  # it is ending
        if process is not None:
            _end(process)
        # A stopped command has nothing left to do, and a second Ctrl-C would still meet its last steps.
        for number, handler in before.items() if not stopped or hasattr(sys, "ps1") else ():
            signal.signal(number, handler)


def _end(process):
    """End a process and what it started, whatever they are at: they have nothing to put in order."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    process.stdin.close()


def _end_with(pipe):
    """Wait until nobody holds the other end, as after the death of the process that waits for this one."""
    with contextlib.suppress(OSError, ValueError):
        pipe.read()
    os._exit(1)


def _serve(args):
    """In the process that serves: load, launch, wait."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with, args=(sys.stdin.buffer,), daemon=True).start()
    from .scoring import Models

    models = Models(own_models(args.model))
    for name in [name for name in os.environ if name.lower() in proxies.PROXIES]:
        del os.environ[name]
    from .app import build_page, launch_options
    from .guard import ask_nobody_else, own_names

    ask_nobody_else(args.host)  # the checkpoint is here
    page = build_page(models)
    _, address, _ = page.launch(
        server_name=args.host, server_port=args.port, prevent_thread_lock=True, quiet=True,
        **launch_options(own_names(args.host, args.allow_host)),
    )  # fmt: skip
    print(f"emodistill demo: {address} (Ctrl-C ends it)", flush=True)
    page.server.thread.join()
    return 1
