"""From flags and kubeconfig to an `Access`, with kubectl's precedence.

Flags go before the kubeconfig, the kubeconfig before the service account of the Pod this may run in.
Source: client-go, tools/clientcmd/client_config.go.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit

from kubectl_netdebug.kube.access import Access, AuthProvider, ExecPlugin, Identity, Impersonation
from kubectl_netdebug.kube.errors import ConfigProblem
from kubectl_netdebug.kube.flags import KubeFlags
from kubectl_netdebug.kube.kubeconfig import (
    Entry,
    Kubeconfig,
    config_paths,
    flag_field,
    list_field,
    load,
    map_field,
    text_field,
)
from kubectl_netdebug.kube.rim import without_userinfo

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_PLUGIN_EXTENSION = "client.authentication.k8s.io/exec"
_EMPTY = Entry("", {}, Path())


def access_from(
    flags: KubeFlags,
    environ: Mapping[str, str] | None = None,
    service_account: Path = SERVICE_ACCOUNT,
) -> Access:
    """Reads what there is to read; no network. Raises ConfigProblem."""
    environ = os.environ if environ is None else environ
    paths = config_paths(flags.kubeconfig, environ)
    config = load(paths)
    if config.empty and not flags.server:
        inside = _in_cluster(flags, environ, service_account)
        if inside is not None:
            return inside
        looked = ", ".join(str(path) for path in paths)
        raise ConfigProblem(f"No kubeconfig: looked at {looked}. Set KUBECONFIG or use --kubeconfig FILE.")
    return _from_kubeconfig(flags, config)


def _from_kubeconfig(flags: KubeFlags, config: Kubeconfig) -> Access:
    context = _context(flags, config)
    where = f"{context.file}: context {context.name!r}"
    cluster_name = flags.cluster or text_field(context.fields, "cluster", where) or ""
    user_name = flags.user or text_field(context.fields, "user", where) or ""
    cluster = _named(config.clusters, cluster_name, "cluster", context, needed=not flags.server)
    user = _named(config.users, user_name, "user", context, needed=bool(flags.user))
    authority, insecure = _trust(flags, cluster)
    identity = _identity(flags, user, cluster)
    return Access(
        server=_server(flags, cluster, tls=bool(authority or insecure or identity.client_certificate)),
        namespace=flags.namespace or text_field(context.fields, "namespace", where) or "default",
        identity=identity,
        context=context.name,
        cluster=cluster.name,
        user=user.name,
        certificate_authority=authority,
        insecure=insecure,
        tls_server_name=_tls_server_name(flags, cluster),
        proxy_url=flags.proxy_url or text_field(cluster.fields, "proxy-url", _where("cluster", cluster)),
        compression=not flag_field(cluster.fields, "disable-compression", _where("cluster", cluster)),
        impersonation=_impersonation(flags, user),
    )


def _where(kind: str, entry: Entry) -> str:
    return f"{entry.file}: {kind} {entry.name!r}"


def _context(flags: KubeFlags, config: Kubeconfig) -> Entry:
    name = flags.context or config.current_context
    if not name:
        if flags.cluster or flags.server:
            return _EMPTY
        choice = _choice(config.contexts)
        raise ConfigProblem(f"The kubeconfig has no current context: use --context NAME. {choice}")
    if name in config.contexts:
        return config.contexts[name]
    files = ", ".join(str(path) for path in config.files)
    source = "" if flags.context else " (its current-context)"
    raise ConfigProblem(f"No context {name!r} in {files}{source}. {_nearest(name, config.contexts)}")


def _named(entries: Mapping[str, Entry], name: str, kind: str, context: Entry, *, needed: bool) -> Entry:
    """The entry called `name`. A context that names an entry which is not there is an error in any case."""
    if name in entries:
        return entries[name]
    if not name:
        if needed:
            raise ConfigProblem(f"{_where('context', context)} names no {kind}: use --{kind} NAME.")
        return _EMPTY
    if kind == "cluster" and not needed:
        return _EMPTY
    raise ConfigProblem(f"No {kind} {name!r} in the kubeconfig. {_nearest(name, entries)}")


def _nearest(name: str, names: Iterable[str]) -> str:
    import difflib  # only a mistake pays for it

    known = list(names)
    close = difflib.get_close_matches(name[:200], known, n=3, cutoff=0.5)
    return f"Did you mean {', '.join(close)}?" if close else _choice(known)


def _choice(names: Iterable[str]) -> str:
    known = sorted(names)
    more = f" and {len(known) - 10} more" if len(known) > 10 else ""
    return f"There are: {', '.join(known[:10])}{more}." if known else "There are none."


def _server(flags: KubeFlags, cluster: Entry, *, tls: bool) -> str:
    where = "--server" if flags.server else _where("cluster", cluster)
    written = flags.server or text_field(cluster.fields, "server", where)
    if not written:
        raise ConfigProblem(f"{where} has no server address.")
    url = written if "://" in written else f"{'https' if tls else 'http'}://{written}"
    parts = _server_parts(url)
    if parts is None:
        raise ConfigProblem(
            f"{where}: {without_userinfo(written)!r} is not a server address such as https://10.0.0.1:6443."
        )
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl().rstrip("/")


def _server_parts(url: str) -> SplitResult | None:
    if not url.isascii() or any(char.isspace() or not char.isprintable() for char in url):
        return None
    try:
        parts = urlsplit(url)
        return parts if parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 else None
    except ValueError:
        return None


def _tls_server_name(flags: KubeFlags, cluster: Entry) -> str | None:
    # The name belongs to the server beside it; another server from a flag does not inherit it.
    if flags.tls_server_name or flags.server:
        return flags.tls_server_name
    return text_field(cluster.fields, "tls-server-name", _where("cluster", cluster))


def _trust(flags: KubeFlags, cluster: Entry) -> tuple[bytes | None, bool]:
    """The authority (PEM) and whether verification is off."""
    if flags.certificate_authority:
        authority = _file_content(Path(flags.certificate_authority), "--certificate-authority")
        return authority, flags.insecure_skip_tls_verify
    if flags.insecure_skip_tls_verify:
        return None, True
    where = _where("cluster", cluster)
    authority_found = _data_or_file(cluster, "certificate-authority", where)
    insecure = flag_field(cluster.fields, "insecure-skip-tls-verify", where)
    if authority_found is not None and insecure:
        raise ConfigProblem(f"{where} has a certificate-authority and insecure-skip-tls-verify: remove one.")
    return authority_found, insecure


def _identity(flags: KubeFlags, user: Entry, cluster: Entry) -> Identity:
    where = _where("user", user)
    certificate, key = _client_certificate(flags, user, where)
    if flags.token:
        return Identity(token=flags.token, client_certificate=certificate, client_key=key)
    token_file = text_field(user.fields, "tokenFile", where)
    return Identity(
        token=text_field(user.fields, "token", where),
        token_file=str(_beside(user, token_file)) if token_file else None,
        username=text_field(user.fields, "username", where),
        password=text_field(user.fields, "password", where),
        client_certificate=certificate,
        client_key=key,
        exec_plugin=_exec_plugin(user, cluster, where),
        auth_provider=_auth_provider(user, where),
    )


def _client_certificate(flags: KubeFlags, user: Entry, where: str) -> tuple[bytes | None, bytes | None]:
    certificate = (
        _file_content(Path(flags.client_certificate), "--client-certificate")
        if flags.client_certificate
        else _data_or_file(user, "client-certificate", where)
    )
    key = (
        _file_content(Path(flags.client_key), "--client-key")
        if flags.client_key
        else _data_or_file(user, "client-key", where)
    )
    if (certificate is None) != (key is None):
        missing = "client-key" if key is None else "client-certificate"
        raise ConfigProblem(f"{where or 'The flags'} lack a {missing}: certificate and key go together.")
    return certificate, key


def _data_or_file(entry: Entry, field: str, where: str) -> bytes | None:
    """`FIELD-data` (base64) goes before `FIELD` (a path)."""
    data = text_field(entry.fields, f"{field}-data", where)
    if data is not None:
        try:
            return base64.b64decode("".join(data.split()), validate=True)
        except (binascii.Error, ValueError):
            raise ConfigProblem(f"{where}: {field}-data is not base64.") from None
    path = text_field(entry.fields, field, where)
    return _file_content(_beside(entry, path), f"{where}: {field}") if path else None


def _beside(entry: Entry, path: str) -> Path:
    return entry.file.absolute().parent / path


def _file_content(path: Path, where: str) -> bytes:
    try:
        return path.read_bytes()
    except (OSError, ValueError) as problem:
        reason = problem.strerror if isinstance(problem, OSError) and problem.strerror else str(problem)
        raise ConfigProblem(f"{where}: cannot read {path}: {reason}.") from None


def _exec_plugin(user: Entry, cluster: Entry, where: str) -> ExecPlugin | None:
    fields = map_field(user.fields, "exec", where)
    if not fields:
        return None
    where = f"{where}: exec"
    command = text_field(fields, "command", where)
    if command is None:
        raise ConfigProblem(f"{where} has no command.")
    if os.path.dirname(command) and not os.path.isabs(command):
        command = str(_beside(user, command))
    return ExecPlugin(
        api_version=text_field(fields, "apiVersion", where) or "",
        command=command,
        args=tuple(_texts(fields, "args", where)),
        env=tuple(_variables(fields, where)),
        install_hint=text_field(fields, "installHint", where) or "",
        provide_cluster_info=flag_field(fields, "provideClusterInfo", where),
        interactive_mode=_interactive_mode(fields, where),
        cluster_config=_plugin_cluster_config(cluster),
    )


def _texts(fields: Mapping[str, Any], key: str, where: str) -> list[str]:
    items = list_field(fields, key, where)
    if not all(isinstance(item, str) for item in items):
        raise ConfigProblem(f"{where}: every item of {key} must be text.")
    return items


def _variables(fields: Mapping[str, Any], where: str) -> Iterable[tuple[str, str]]:
    for index, item in enumerate(list_field(fields, "env", where)):
        at = f"{where}: env[{index}]"
        if not isinstance(item, dict):
            raise ConfigProblem(f"{at} must be an object with name and value.")
        name = text_field(item, "name", at)
        if name is None or "=" in name or "\0" in name:
            raise ConfigProblem(f"{at} has no usable name.")
        yield name, text_field(item, "value", at) or ""


def _interactive_mode(fields: Mapping[str, Any], where: str) -> Literal["Never", "IfAvailable", "Always"]:
    match text_field(fields, "interactiveMode", where):
        case "Never":
            return "Never"
        case "Always":
            return "Always"
        case "IfAvailable" | None:
            return "IfAvailable"
        case other:
            raise ConfigProblem(f"{where}: interactiveMode {other!r} is none of Never, IfAvailable, Always.")


def _plugin_cluster_config(cluster: Entry) -> Any:
    for extension in list_field(cluster.fields, "extensions", _where("cluster", cluster)):
        if isinstance(extension, dict) and extension.get("name") == _PLUGIN_EXTENSION:
            return extension.get("extension")
    return None


def _auth_provider(user: Entry, where: str) -> AuthProvider | None:
    fields = map_field(user.fields, "auth-provider", where)
    if not fields:
        return None
    where = f"{where}: auth-provider"
    config = map_field(fields, "config", where)
    texts = {str(key): value for key, value in config.items() if isinstance(value, str)}
    return AuthProvider(text_field(fields, "name", where) or "", texts)


def _impersonation(flags: KubeFlags, user: Entry) -> Impersonation | None:
    where = _where("user", user)
    name = flags.as_user or text_field(user.fields, "as", where) or ""
    groups = flags.as_groups or tuple(_texts(user.fields, "as-groups", where))
    uid = flags.as_uid or text_field(user.fields, "as-uid", where) or ""
    extras = map_field(user.fields, "as-user-extra", where)
    extra = tuple((str(key), value) for key in extras for value in _texts(extras, key, where))
    if not (name or groups or uid or extra):
        return None
    if not name:
        raise ConfigProblem("Impersonation needs a user: give --as NAME with --as-group or --as-uid.")
    return Impersonation(name, groups, uid, extra)


def _in_cluster(flags: KubeFlags, environ: Mapping[str, str], account: Path) -> Access | None:
    host, port = environ.get("KUBERNETES_SERVICE_HOST"), environ.get("KUBERNETES_SERVICE_PORT")
    token, authority = account / "token", account / "ca.crt"
    if not (host and port and token.exists()):
        return None
    return Access(
        server=f"https://{f'[{host}]' if ':' in host else host}:{port}",
        namespace=flags.namespace or _first_word(account / "namespace") or "default",
        identity=Identity(token=flags.token) if flags.token else Identity(token_file=str(token)),
        context="in-cluster",
        certificate_authority=_file_content(authority, "in-cluster") if authority.exists() else None,
        insecure=flags.insecure_skip_tls_verify,
        tls_server_name=flags.tls_server_name,
        proxy_url=flags.proxy_url,
        impersonation=_impersonation(flags, _EMPTY),
    )


def _first_word(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, ValueError):
        return ""
