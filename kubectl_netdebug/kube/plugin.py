"""Runs a credential plugin (`exec` in a user entry) the way kubectl does, but never lets it touch a screen.

Source: kubernetes.io/docs/reference/access-authn-authz/authentication/#client-go-credential-plugins and client-go,
plugin/pkg/client/auth/exec/exec.go.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from kubectl_netdebug.kube.access import Access, ExecPlugin
from kubectl_netdebug.kube.errors import ConfigProblem, CredentialProblem

PLUGIN_SECONDS = 30.0
PERSON_SECONDS = 180.0
"""When somebody may have to type a code or find a browser tab."""

_API_VERSIONS = ("client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1")
_TAIL = 600


@dataclass(frozen=True)
class PluginCredential:
    """What a plugin printed. `expires` is in seconds since the epoch, None when it did not say."""

    token: str | None = field(default=None, repr=False)
    certificate: bytes | None = None
    key: bytes | None = field(default=None, repr=False)
    expires: float | None = None


def run_plugin(plugin: ExecPlugin, access: Access, *, interactive: bool) -> PluginCredential:
    """Runs the plugin, at most PLUGIN_SECONDS (PERSON_SECONDS when it may ask a person).

    `interactive` allows the plugin the terminal when there is one. Raises ConfigProblem and CredentialProblem;
    the latter shows the end of what the plugin wrote to its standard error.
    """
    if plugin.api_version not in _API_VERSIONS:
        known = " and ".join(_API_VERSIONS)
        raise ConfigProblem(
            f"The credential plugin of user {access.user!r} speaks {plugin.api_version or 'no apiVersion'}; "
            f"kubectl and this program speak {known}."
        )
    talks = interactive and plugin.interactive_mode != "Never" and _has_terminal()
    if plugin.interactive_mode == "Always" and not talks:
        raise CredentialProblem(
            f"The credential plugin {plugin.command} must ask you something: run any kubectl command in a "
            "terminal first, then try again."
        )
    output = _output(plugin, access, talks=talks)
    return _credential(plugin, output)


def plugin_environment(plugin: ExecPlugin, info: str, environ: Mapping[str, str]) -> dict[str, str]:
    """The environment for a plugin: ours, without what a frozen build changed in it, and the plugin's own."""
    variables = dict(environ)
    if getattr(sys, "frozen", False):
        # A frozen program points the linker at its own libraries; a plugin would load those and crash.
        original = variables.pop("LD_LIBRARY_PATH_ORIG", None)
        variables.pop("LD_LIBRARY_PATH", None)
        if original is not None:
            variables["LD_LIBRARY_PATH"] = original
    return {**variables, **dict(plugin.env), "KUBERNETES_EXEC_INFO": info}


def exec_info(plugin: ExecPlugin, access: Access, *, interactive: bool) -> str:
    """The value of KUBERNETES_EXEC_INFO."""
    spec: dict[str, Any] = {"interactive": interactive}
    if plugin.provide_cluster_info:
        cluster = {
            "server": access.server,
            "tls-server-name": access.tls_server_name,
            "insecure-skip-tls-verify": access.insecure or None,
            "certificate-authority-data": _base64(access.certificate_authority),
            "proxy-url": access.proxy_url,
            "disable-compression": None if access.compression else True,
            "config": plugin.cluster_config,
        }
        spec["cluster"] = {key: value for key, value in cluster.items() if value is not None}
    try:
        return json.dumps({"kind": "ExecCredential", "apiVersion": plugin.api_version, "spec": spec})
    except (TypeError, ValueError, RecursionError):
        raise ConfigProblem(f"The extension of cluster {access.cluster!r} for plugins is not plain data.") from None


def _base64(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode("ascii")


def _has_terminal() -> bool:
    try:
        return sys.__stdin__ is not None and os.isatty(0) and os.isatty(2)
    except (OSError, ValueError):
        return False


def _output(plugin: ExecPlugin, access: Access, *, talks: bool) -> bytes:
    info = exec_info(plugin, access, interactive=talks)
    limit = PERSON_SECONDS if talks else PLUGIN_SECONDS
    try:
        process = subprocess.Popen(
            [plugin.command, *plugin.args],
            stdin=None if talks else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=None if talks else subprocess.PIPE,
            env=plugin_environment(plugin, info, os.environ),
            # Its own session: no terminal to take over, and one group to end when it hangs.
            start_new_session=not talks,
        )
    except (OSError, ValueError) as problem:
        raise _not_started(plugin, problem) from None
    try:
        output, errors = process.communicate(timeout=limit)
    except subprocess.TimeoutExpired:
        errors = _ended(process, group=not talks)
        raise CredentialProblem(
            f"The credential plugin {plugin.command} did not finish within {limit:.0f} s.{_tail(errors)}"
        ) from None
    except BaseException:
        _ended(process, group=not talks)
        raise
    if process.returncode != 0:
        raise CredentialProblem(
            f"The credential plugin {plugin.command} failed (exit code {process.returncode}).{_tail(errors)}"
        )
    return output


def _not_started(plugin: ExecPlugin, problem: Exception) -> CredentialProblem:
    hint = f" {' '.join(plugin.install_hint.split())[:_TAIL]}" if plugin.install_hint else ""
    if isinstance(problem, FileNotFoundError):
        return CredentialProblem(f"The credential plugin {plugin.command} is not installed.{hint}")
    reason = getattr(problem, "strerror", None) or str(problem)
    return CredentialProblem(f"The credential plugin {plugin.command} cannot be run: {reason}.{hint}")


def _ended(process: subprocess.Popen[bytes], *, group: bool) -> bytes:
    """Ends a plugin with its children; gives what it had written to standard error."""
    with contextlib.suppress(OSError):
        if group and hasattr(os, "killpg"):
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
    with contextlib.suppress(subprocess.TimeoutExpired, OSError, ValueError):
        return process.communicate(timeout=1)[1] or b""
    return b""


def _tail(errors: bytes | None) -> str:
    text = " ".join((errors or b"").decode("utf-8", "replace").split())
    return f" It said: {text[-_TAIL:]}" if text else ""


def _credential(plugin: ExecPlugin, output: bytes) -> PluginCredential:
    try:
        answer = json.loads(output)
        if not isinstance(answer, dict) or answer.get("kind") != "ExecCredential":
            raise ValueError("no ExecCredential")
        if answer.get("apiVersion") != plugin.api_version:
            raise ValueError(f"apiVersion {answer.get('apiVersion')!r} instead of {plugin.api_version!r}")
        return _from_status(answer.get("status"))
    except (ValueError, RecursionError) as problem:
        raise CredentialProblem(
            f"The credential plugin {plugin.command} printed something unusable: {problem}."
        ) from None


def _from_status(status: Any) -> PluginCredential:
    if not isinstance(status, dict):
        raise ValueError("no status")
    texts = {
        key: value
        for key in ("token", "clientCertificateData", "clientKeyData", "expirationTimestamp")
        if isinstance(value := status.get(key), str) and value
    }
    certificate, key = texts.get("clientCertificateData"), texts.get("clientKeyData")
    if (certificate is None) != (key is None):
        raise ValueError("a certificate without a key, or a key without a certificate")
    if certificate is None and "token" not in texts:
        raise ValueError("neither a token nor a certificate")
    return PluginCredential(
        token=texts.get("token"),
        certificate=None if certificate is None else certificate.encode(),
        key=None if key is None else key.encode(),
        expires=_epoch(texts.get("expirationTimestamp")),
    )


def _epoch(timestamp: str | None) -> float | None:
    """Seconds since the epoch of an RFC 3339 time."""
    if timestamp is None:
        return None
    moment = datetime.fromisoformat(timestamp)
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
