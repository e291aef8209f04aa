"""Which proxy leads to a server: the kubeconfig's `proxy-url`, else the environment, as Go programs read it.

Source: golang.org/x/net/http/httpproxy.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import unquote, urlsplit

from kubectl_netdebug.kube.errors import ConfigProblem
from kubectl_netdebug.kube.rim import without_userinfo

_DEFAULT_PORT = {"http": 80, "socks5": 1080, "socks5h": 1080}


@dataclass(frozen=True)
class Proxy:
    """A proxy to go through; `shown` is its address without credentials."""

    kind: Literal["http", "socks5"]
    host: str
    port: int
    shown: str
    username: str | None = None
    password: str | None = field(default=None, repr=False)


def proxy_for(server: str, proxy_url: str | None, environ: Mapping[str, str]) -> Proxy | None:
    """The proxy for a server's URL, None for a direct connection. Raises ConfigProblem on an unusable one."""
    if proxy_url:
        return _proxy(proxy_url, "proxy-url")
    parts = urlsplit(server)
    host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    variable = f"{parts.scheme}_proxy"
    value = environ.get(variable.upper()) or environ.get(variable)
    if not value or _exempt(host, port, environ.get("NO_PROXY") or environ.get("no_proxy") or ""):
        return None
    return _proxy(value, variable.upper())


def _proxy(written: str, source: str) -> Proxy:
    shown = without_userinfo(written)
    try:
        parts = urlsplit(written if "://" in written else f"http://{written}")
        host, port, scheme = parts.hostname, parts.port, parts.scheme
    except ValueError:
        host, port, scheme = None, None, ""
    if scheme not in _DEFAULT_PORT:
        known = "http://HOST:PORT and socks5://HOST:PORT"
        raise ConfigProblem(f"{source} {shown!r} cannot be used: this program knows proxies of the form {known}.")
    if not host:
        raise ConfigProblem(f"{source} {shown!r} is not the address of a proxy.")
    return Proxy(
        kind="http" if scheme == "http" else "socks5",
        host=host,
        port=port or _DEFAULT_PORT[scheme],
        shown=shown,
        username=None if parts.username is None else unquote(parts.username),
        password=None if parts.password is None else unquote(parts.password),
    )


def _exempt(host: str, port: int, no_proxy: str) -> bool:
    address = _address(host)
    if host == "localhost" or (address is not None and address.is_loopback):
        return True
    rules = [rule.strip().lower() for rule in no_proxy.split(",") if rule.strip()]
    return any(rule == "*" or _matches(rule, host.lower(), port, address) for rule in rules)


def _matches(rule: str, host: str, port: int, address: ipaddress.IPv4Address | ipaddress.IPv6Address | None) -> bool:
    if "/" in rule:
        try:
            return address is not None and address in ipaddress.ip_network(rule, strict=False)
        except ValueError:
            return False
    name, wanted_port = _split_port(rule)
    if wanted_port is not None and wanted_port != port:
        return False
    if address is not None:
        return _address(name) == address
    if name.startswith("*."):
        name = name[1:]
    if name.startswith("."):
        return host.endswith(name)
    return host == name or host.endswith(f".{name}")


def _split_port(rule: str) -> tuple[str, int | None]:
    if _address(rule) is not None:
        return rule, None
    name, colon, port = rule.rpartition(":")
    if colon and port.isascii() and port.isdigit():
        return name.strip("[]"), int(port)
    return rule.strip("[]"), None


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(text)
    except ValueError:
        return None
