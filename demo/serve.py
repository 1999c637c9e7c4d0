"""`emodistill demo`: the page on one's own machine."""

import argparse
import errno
import os
import signal
import socket
import sys
import tempfile
import time

from ..loading import checkpoint_path

__all__ = ["main"]

LOOPBACK = ("127.0.0.1", "localhost", "::1")


def _parser():
    parser = argparse.ArgumentParser(
        prog="emodistill demo",
        description="Open a page for trying labels on texts, on this machine. Nothing leaves it.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on; 0.0.0.0 lets the network in")
    parser.add_argument("--port", type=int, default=7860, help="port to listen on; 0 for any free one")
    parser.add_argument("--model", help="small (the default), base, or the folder or Hub id of a checkpoint")
    return parser


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
    except OSError:
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


def _stop(*_):
    raise KeyboardInterrupt


def main(argv=None):
    """
    Serve the page until Ctrl-C.

    Args:
        argv (`list[str]`, *optional*): The arguments after `demo`.

    Returns:
        `int`: 0.

    Raises:
        `ValueError`: for arguments that do not fit, a port that is taken among them.
        `ModuleNotFoundError`: gradio is not installed.
    """
    args = _parser().parse_args(argv)
    port, model = free_port(args.host, args.port), args.model and checkpoint_path(args.model)
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell's background job would ignore the first
        signal.signal(number, _stop)
    # The server asks itself whether it is up; a proxy for the outside has no part in that.
    for name in ("no_proxy", "NO_PROXY"):
        os.environ[name] = ",".join(filter(None, [os.environ.get(name), *LOOPBACK]))
    with tempfile.TemporaryDirectory(prefix="emodistill-demo-") as folder:  # uploads and results go with the server
        os.environ["GRADIO_TEMP_DIR"] = folder
        from .app import build_page, launch_options
        from .scoring import load_classifier

        page = build_page(load_classifier(model))
        try:
            _, address, _ = page.launch(
                server_name=args.host, server_port=port, prevent_thread_lock=True, quiet=True, **launch_options()
            )
            print(f"emodistill demo: {address} (Ctrl-C ends it)", flush=True)
            while page.is_running:
                time.sleep(0.2)
        except KeyboardInterrupt:
            print("\nemodistill demo: stopped", file=sys.stderr)
        finally:
            page.close(verbose=False)
    return 0
