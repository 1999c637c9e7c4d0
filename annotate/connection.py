"""The way to the server: its address, proxies, and the HTTP client."""

import ipaddress
import os
import ssl
from urllib.parse import parse_qsl, urlsplit, urlunsplit
from urllib.request import getproxies, proxy_bypass

from .redaction import redact_address

__all__ = [
    "Redirected", "TooLarge", "async_client", "check_address", "check_header", "is_loopback", "proxy_host",
]  # fmt: skip


_LARGEST = {"POST": 2**24}  # bytes of an answer as it is unpacked; what is asked for (results of batches) may be more
_LARGEST_FILE = 2**31


class TooLarge(Exception):
    """An answer that is larger than any answer is, or unpacks to that."""


class Redirected(Exception):
    """A server sends a request to another address; the message is that address.

    It is not followed there: what was to be posted would be asked for (`GET`), or the key is left out on the way.
    """


def check_address(address, name):
    """The parts of a server's address.

    Args:
        address (`str`)
        name (`str`): Of the setting or variable that it came from, for messages.

    Returns:
        `urllib.parse.SplitResult`

    Raises:
        `ValueError`: in one sentence that shows no password.
    """
    shown = redact_address(address) if address.isprintable() else ascii(redact_address(address))
    if any(not char.isascii() or not char.isprintable() or char.isspace() for char in address):
        raise ValueError(
            f"{name}: {shown} holds a space, a control character or a letter that is not ASCII; write the address "
            "anew, a host of other letters in its ASCII form (xn--...)"
        )
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError as error:
        fault = "the port must be a number up to 65535" if "ort" in str(error) else str(error)
        raise ValueError(f"{name}: {shown} is not an address: {fault}") from None
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError(f"{name}: {shown!r} is not an http or https address, such as http://localhost:8000/v1")
    return parts


def check_header(value, name):
    """What goes into a header must be printable ASCII without spaces.

    Raises:
        `ValueError`: naming the variable and never its value.
    """
    if any(not char.isascii() or not char.isprintable() or char.isspace() for char in value):
        raise ValueError(
            f"{name}: this environment variable holds a space, a control character or a letter that is not ASCII; "
            "set it anew"
        )
    return value


def is_loopback(host):
    """Whether a host is this machine.

    Example:

    ```python
    >>> is_loopback("localhost"), is_loopback("::1"), is_loopback("127.0.0.2"), is_loopback("example.com")
    (True, True, True, False)
    ```
    """
    host = (host or "").strip("[]").rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback or ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def async_client(settings, key=None):
    """The `AsyncOpenAI` client of a run, without retries of its own.

    Its address, headers and proxy are decided here and not by the libraries from the environment: these end in a
    traceback at an empty or broken variable, and send requests for this machine to a proxy.

    Args:
        settings (`Settings`)
        key (`str`, *optional*): `settings.read_key()` by default.
    """
    try:
        import openai
    except ImportError:
        raise ImportError("asking a model needs the openai package: pip install 'emodistill[annotate]'") from None

    timeout = openai.Timeout(settings.timeout, connect=min(10.0, settings.timeout))
    parts = urlsplit(settings.address)
    address = urlunsplit(parts._replace(query="", fragment=""))
    identity = {
        name: check_header(os.environ.get(variable, "").strip(), variable) or None
        for name, variable in (("organization", "OPENAI_ORG_ID"), ("project", "OPENAI_PROJECT_ID"))
    }
    client = openai.AsyncOpenAI(
        api_key=key or settings.read_key(),
        base_url=address,
        default_query=dict(parse_qsl(parts.query)) or None,
        timeout=timeout,
        max_retries=0,
        http_client=_http_client(openai, parts, timeout),
    )
    for name, value in identity.items():  # an empty variable means none, which the constructor would send
        setattr(client, name, value)
    return client


def _http_client(openai, parts, timeout):
    """An HTTP client for one server: past proxies for this machine and for what `NO_PROXY` names."""
    hooks = {"response": [_refuse_redirects, _read_bounded]}
    options = {"timeout": timeout, "trust_env": False, "verify": _certificates(), "event_hooks": hooks}
    proxy, variable = _proxy(parts)
    if proxy is None:
        return openai.DefaultAsyncHttpxClient(**options)
    wrong = (
        f"{variable}: {redact_address(proxy)!r} is not a proxy's address; write http://HOST:PORT, or "
        "socks5://HOST:PORT for a SOCKS proxy"
    )
    if not _is_proxy(proxy):
        raise ValueError(wrong)
    try:
        return openai.DefaultAsyncHttpxClient(proxy=proxy, **options)
    except ImportError:
        raise ImportError(f"{variable}: a SOCKS proxy needs the socksio package: pip install socksio") from None
    except Exception:  # the library's errors for a bad address are of many classes
        raise ValueError(wrong) from None


async def _refuse_redirects(response):
    if response.has_redirect_location and response.request.method == "POST":
        raise Redirected(str(response.request.url.join(response.headers["location"])))


async def _read_bounded(response):
    """Read the body of a response here, where its size can be seen while it comes: packed, a few megabytes may be more
    than a machine holds.
    """
    largest, size, parts = _LARGEST.get(response.request.method, _LARGEST_FILE), 0, []
    async for part in response.aiter_bytes():
        size += len(part)
        if size > largest:
            raise TooLarge(f"an answer of more than {largest >> 20} MB")
        parts.append(part)
    response._content = b"".join(parts)  # where `aread` puts it


def _is_proxy(address):
    try:
        parts = urlsplit(address)
        return parts.scheme in ("http", "https", "socks5", "socks5h") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _certificates():
    """What certificates are checked against: the files that the usual variables name, else the library's choice."""
    file, folder = os.environ.get("SSL_CERT_FILE") or None, os.environ.get("SSL_CERT_DIR") or None
    if not file and not folder:
        return True
    try:
        return ssl.create_default_context(cafile=file, capath=folder)
    except OSError as error:
        raise ValueError(f"SSL_CERT_FILE, SSL_CERT_DIR: no certificates can be read there ({error})") from None


def proxy_host(address):
    """`str` or `None`: the proxy before a server, as the variable that names it and its host."""
    proxy, variable = _proxy(urlsplit(address))
    return proxy and f"{urlsplit(proxy).hostname} ({variable})"


def _proxy(parts):
    """The proxy for an address, and the name of the variable that gives it; two times `None` where there is none."""
    if is_loopback(parts.hostname) or proxy_bypass(parts.hostname):
        return None, None
    proxies = getproxies()
    for name in (parts.scheme, "all"):
        if proxies.get(name):
            variable = next((v for v in (f"{name}_proxy", f"{name}_proxy".upper()) if os.environ.get(v)), "proxy")
            return proxies[name], variable
    return None, None
