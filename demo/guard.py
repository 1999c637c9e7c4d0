"""Who may ask the page: requests that name this machine as their host, from the page itself.

Without it any site that a browser shows could use a page that listens on this machine: by a name of its own that
points here (DNS rebinding), or by sending a form or a script's request across.
"""

import ipaddress
import socket
from urllib.parse import urlsplit

__all__ = ["Guard", "own_names"]

PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


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

    Args:
        app: The application.
        names (`Iterable[str]`): See [`own_names`].
    """

    def __init__(self, app, names):
        self.app, self.names = app, set(names)

    async def __call__(self, scope, receive, send):
        if scope["type"] in ("http", "websocket") and (problem := self.problem(scope)):
            await _refuse(scope["type"], problem, send)
        else:
            await self.app(scope, receive, send)

    def problem(self, scope):
        """What is wrong with a request, or `None`."""
        headers = {}
        for name, value in scope["headers"]:
            headers.setdefault(name.decode("latin-1").lower(), []).append(value.decode("latin-1"))
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
        return None

    def _is_own(self, name):
        if name in self.names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return "*" in self.names


async def _refuse(kind, problem, send):
    if kind == "websocket":
        await send({"type": "websocket.close", "code": 1008, "reason": problem})
        return
    body = problem.encode()
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 403, "headers": headers})
    await send({"type": "http.response.body", "body": body})
