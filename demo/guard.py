"""Who may ask the page, and what: requests that name this machine as their host, from the page itself, for its parts.

Without it any site that a browser shows could use a page that listens on this machine: by a name of its own that
points here (DNS rebinding), by sending a form or a script's request across, or by showing it in a frame. And gradio
answers more than its page asks: it fetches addresses for whoever names one, and keeps all that it is sent in memory.
"""

import ipaddress
import re
import socket
import sys
from functools import partial
from urllib.parse import urlsplit

__all__ = ["Guard", "ask_nobody_else", "own_names"]

PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}
# What the page in a browser asks for, and `launch` itself.
_PLACES = re.compile(
    r"/(config/?|(theme\.css|robots\.txt|favicon\.ico|manifest\.json)|(static|assets|svelte)/.*)?"
    r"|/gradio_api/(info/?|app_id/?|startup-events|theme\.css|heartbeat/[^/]*|queue/(join|data)|run/predict|cancel|reset/?"
    r"|upload|upload_progress|file=/.*|file=[A-Za-z]:.*)",
    re.DOTALL,
)
# Events of Python's audit hooks, with the place of an address among their arguments.
_CALLS = {"socket.connect": 1, "socket.sendto": 1, "socket.sendmsg": 1, "socket.getaddrinfo": 0}


def own_names(host, more=()):
    """
    Names by which a browser may ask a server that listens on an address.

    Args:
        host (`str`): The address.
        more (`Iterable[str]`, *optional*): Further names, such as that of a proxy before it.

    Returns:
        `set[str]`: the names, in small letters; `"*"` among them lets every address in numbers in, which no foreign
        site can have for its own.

    Example:

    ```python
    >>> from emodistill.demo.guard import own_names

    >>> sorted(own_names("127.0.0.1", ["notebooks.example.org"]))
    ['127.0.0.1', '::1', 'localhost', 'notebooks.example.org']

    ```
    """
    names = {"127.0.0.1", "::1", "localhost", host, *more}
    if not _is_loopback(host):
        names |= {"*", socket.gethostname(), socket.getfqdn()}
    return {name.strip("[]").rstrip(".").lower() for name in names}


def _is_loopback(host):
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.rstrip(".").lower() == "localhost"


def _split(host, scheme="http"):
    """`(name, port)` of what a `Host` header says; `None` where it says nothing that can be read."""
    try:
        parts = urlsplit(f"//{host}")
        name, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not name or parts.path or parts.query or parts.fragment or parts.username is not None:
        return None
    return name.rstrip(".").lower(), port or PORTS.get(scheme, 80)


class Guard:
    """
    ASGI middleware that refuses a request for a foreign host, and one from a foreign page, in one sentence.

    What the page itself never asks for is not there.

    Args:
        app: The application.
        names (`Iterable[str]`): See [`own_names`].
        most_bytes (`int`, *optional*): How long a request may be, by what it says of itself.
    """

    def __init__(self, app, names, most_bytes=25_000_000):
        self.app, self.names, self.most_bytes = app, set(names), most_bytes

    async def __call__(self, scope, receive, send):
        if scope["type"] in ("http", "websocket"):
            headers = {}
            for name, value in scope["headers"]:
                headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
            if problem := self.foreign(scope, headers):
                return await _refuse(scope["type"], 403, problem, send)
            if not _PLACES.fullmatch(scope["path"]):
                return await _refuse(scope["type"], 404, "The page has nothing at this address.", send)
            if "transfer-encoding" in headers:
                return await _refuse(scope["type"], 411, "A request must say how long it is.", send)
            lengths = headers.get("content-length", [])
            if any(not length.isdecimal() or int(length) > self.most_bytes for length in lengths):
                said = f"The page takes {self.most_bytes / 1e6:.0f} MB at once."
                return await _refuse(scope["type"], 413, said, send)
        await self.app(scope, receive, send)

    def foreign(self, scope, headers):
        """What shows that a request is not the page's own, or `None`."""
        hosts = headers.get("host", [])
        host = _split(hosts[0], scope.get("scheme", "http")) if len(hosts) == 1 else None
        if host is None or not self._is_own(host[0]):
            return "This page answers under its own address only (emodistill demo --allow-host NAME adds one)."
        for origin in headers.get("origin", []):
            scheme, _, place = origin.partition("://")
            if not place or _split(place, scheme) != _split(hosts[0], scheme):
                return "Requests from other pages are refused."
        sites = headers.get("sec-fetch-site", ["none"])
        if scope.get("method") not in ("GET", "HEAD") and any(site not in ("same-origin", "none") for site in sites):
            return "Requests from other pages are refused."
        # A link may lead here; a picture, a script or a frame of a foreign page may not.
        if "cross-site" in sites and headers.get("sec-fetch-dest", ["document"]) != ["document"]:
            return "Requests from other pages are refused."
        return None

    def _is_own(self, name):
        if name in self.names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return "*" in self.names


async def _refuse(kind, status, problem, send):
    if kind == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": problem})
        return
    body = problem.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def ask_nobody_else(host):
    """
    From now on this process connects to this machine alone, whatever a request makes gradio do; it stays so.

    Args:
        host (`str`): The address on which the page listens.
    """
    own = own_names(host) - {"*"} | {found[4][0] for found in socket.getaddrinfo(host, None)}
    sys.addaudithook(partial(_refuse_call, frozenset(own)))


def _refuse_call(own, event, arguments):
    if (place := _CALLS.get(event)) is None:
        return
    where = arguments[place]
    where = where[0] if isinstance(where, tuple) and where else where if event == "socket.getaddrinfo" else None
    where = where.decode("latin-1") if isinstance(where, bytes) else where
    # A socket of files has no host, and nor does one that is bound.
    if isinstance(where, str) and where and where.rstrip(".").lower() not in own and not _is_loopback(where):
        raise PermissionError(f"the page asks nobody but this machine, and not {where}")
