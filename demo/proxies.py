"""Proxies of the environment, read as the page's libraries read them, or told where they cannot be."""

import re

__all__ = ["PROXIES", "usable_proxies", "without_proxies"]

PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
SCHEMES = ("http", "https", "socks5", "socks5h")


def without_proxies(environment):
    """
    An environment in which nothing goes through a proxy: a page of a local checkpoint asks nobody but itself.

    Args:
        environment (`Mapping[str, str]`): Such as `os.environ`.

    Returns:
        `dict[str, str]`: without the variables that name proxies, in whichever case.

    Example:

    ```python
    >>> from emodistill.demo.proxies import without_proxies

    >>> without_proxies({"ALL_PROXY": "socks://127.0.0.1:1080", "HOME": "/home/me"})
    {'HOME': '/home/me'}

    ```
    """
    return {name: value for name, value in environment.items() if name.lower() not in PROXIES}


def usable_proxies(environment):
    """
    An environment whose proxies the Hub's client can use, and none of them for this machine itself.

    Args:
        environment (`Mapping[str, str]`): Such as `os.environ`.

    Returns:
        `dict[str, str]`: with `socks://` read as `socks5://`, and the exceptions without square brackets and with the
        addresses of this machine.

    Raises:
        `ValueError`: naming the variable, for what is no proxy's address.

    Example:

    ```python
    >>> from emodistill.demo.proxies import usable_proxies

    >>> usable_proxies({"NO_PROXY": "example.org,[::1]"})
    {'NO_PROXY': 'example.org,::1,127.0.0.1,localhost'}

    ```
    """
    found = dict(environment)
    for name, value in environment.items():
        kind = name.lower()
        if kind == "no_proxy":
            found[name] = _exceptions(value)
        elif kind in PROXIES:
            if value.strip():
                found[name] = _proxy(name, value.strip())
            else:  # empty means unset
                del found[name]
    if not any(name.lower() == "no_proxy" for name in found):
        found["no_proxy"] = ",".join(LOOPBACK)
    return found


def _exceptions(value):
    names = [re.sub(r"^\[(.*)\](?::\d+)?$", r"\1", part.strip()) for part in value.split(",")]
    return ",".join(dict.fromkeys([*filter(None, names), *LOOPBACK]))


def _proxy(name, value):
    scheme, separator, rest = value.partition("://")
    if not separator:
        scheme, rest = "http", value
    scheme = {"socks": "socks5", "socks4": "socks4"}.get(scheme.lower(), scheme.lower())
    match = re.fullmatch(r"(?:[^\s/@]*@)?(\[[0-9a-fA-F:.]+\]|[^\s/@:\[\]]+)(?::(\d+))?/?", rest)
    if scheme not in SCHEMES or not match or int(match[2] or 1) > 65535:
        shown = re.sub(r"://[^/@]*@", "://***@", value)
        raise ValueError(
            f"{name} is {shown!r}, which is no proxy that the Hub's client can use ({', '.join(SCHEMES)}): "
            "correct it, unset it, or give a checkpoint's folder instead of a Hub id"
        )
    if scheme.startswith("socks") and not _has_socks():
        raise ValueError(f"{name} names a SOCKS proxy, for which the Hub's client needs: pip install socksio")
    return f"{scheme}://{rest}"


def _has_socks():
    import importlib.util

    return importlib.util.find_spec("socksio") is not None
