"""What a port is declared to speak: plain HTTP, TLS, or nothing that anybody said."""

from __future__ import annotations

from kubectl_netdebug.model.objects.service import ServicePort

HTTP = "http"
TLS = "tls"

_PROTOCOLS = {
    "http": HTTP,
    "kubernetes.io/ws": HTTP,
    "https": TLS,
    "tls": TLS,
    "kubernetes.io/wss": TLS,
}
_NAMES = {"http": HTTP, "http1": HTTP, "web": HTTP, "https": TLS, "tls": TLS}
_NUMBERS = {80: HTTP, 8080: HTTP, 443: TLS, 8443: TLS}


def declared_scheme(port: ServicePort) -> str:
    """What appProtocol says, else the port's name (`https`, `https-admin`); '' where neither speaks of HTTP or TLS."""
    if port.app_protocol:
        return _PROTOCOLS.get(port.app_protocol.lower(), "")
    return _NAMES.get(port.name.lower().split("-", 1)[0], "")


def named_scheme(port: ServicePort) -> str:
    """What is declared, else what the number stands for by custom; '' where nothing hints at HTTP or TLS."""
    declared = declared_scheme(port)
    return declared if declared or port.app_protocol else _NUMBERS.get(port.port, "")
