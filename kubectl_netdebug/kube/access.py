"""Where to connect and as whom: the outcome of reading kubeconfig and flags, before anything is opened."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True)
class ExecPlugin:
    """The `exec` stanza of a user entry: a program that prints a credential."""

    api_version: str
    command: str
    args: tuple[str, ...] = ()
    env: tuple[tuple[str, str], ...] = ()
    install_hint: str = ""
    provide_cluster_info: bool = False
    interactive_mode: Literal["Never", "IfAvailable", "Always"] = "IfAvailable"
    cluster_config: Any = None
    """What the cluster entry keeps for plugins (extension `client.authentication.k8s.io/exec`)."""


@dataclass(frozen=True)
class AuthProvider:
    """The `auth-provider` stanza, the way before exec plugins."""

    name: str
    config: Mapping[str, str]


@dataclass(frozen=True)
class Identity:
    """How a user entry proves who it is. More than one may be set; `credentials` holds the precedence.

    Certificates and keys are PEM. Paths are absolute.
    """

    token: str | None = field(default=None, repr=False)
    token_file: str | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    client_certificate: bytes | None = None
    client_key: bytes | None = field(default=None, repr=False)
    exec_plugin: ExecPlugin | None = None
    auth_provider: AuthProvider | None = None


@dataclass(frozen=True)
class Impersonation:
    """Whom to act as: `--as` and its like, or the same from the user entry."""

    user: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Access:
    """Everything a connection needs. `server` is a full URL without a slash at its end."""

    server: str
    namespace: str
    identity: Identity
    context: str = ""
    cluster: str = ""
    user: str = ""
    certificate_authority: bytes | None = None
    """PEM; None means the system's trust store."""
    insecure: bool = False
    tls_server_name: str | None = None
    proxy_url: str | None = field(default=None, repr=False)
    compression: bool = True
    impersonation: Impersonation | None = None
