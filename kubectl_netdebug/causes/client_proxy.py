"""HTTP clients that are told to use a proxy for everything, the cluster's own names included."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import client_named, ports_asked
from kubectl_netdebug.causes.client import names_of
from kubectl_netdebug.causes.owners import is_patchable, owner_of, template_path
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, kubectl
from kubectl_netdebug.model.finding import Cause, Effect, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.pod import Container, Pod
from kubectl_netdebug.model.objects.service import Service, ServicePort
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When
from kubectl_netdebug.net.noproxy import Proxy, leaves_out, read_proxy

PROXY_ENV = Cause(
    code="proxy-env-no-noproxy",
    title="The client sends calls inside the cluster to a proxy",
    says="{variable} of container {container} in {owner} sends HTTP calls to Service {service} to the proxy {proxy}: "
    "{exclusions}.",
    means="HTTP calls of that client inside the cluster depend on the proxy: {outcome}",
    symptom="HTTP calls inside the cluster give 403, 502 or a timeout from the proxy, while plain TCP connects work.",
    apart="With a policy or a dead backend the plain connection fails too.",
    mend="Put the cluster's names and addresses into NO_PROXY.",
)

HTTPS_PORTS = (443, 6443, 8443)
OTHER_PROTOCOLS = frozenset(
    {21, 22, 25, 53, 88, 110, 123, 143, 389, 465, 587, 636, 993, 995, 1433, 1521, 1883, 2049, 2181, 3306, 4222, 5432}
    | {5671, 5672, 6379, 6380, 9042, 9092, 9093, 11211, 26379, 27017}
)
"""Ports of well-known protocols that no HTTP proxy is asked for."""
_OTHER_NAMES = (
    "tcp",
    "udp",
    "redis",
    "mysql",
    "postgres",
    "mongo",
    "kafka",
    "amqp",
    "mqtt",
    "ldap",
    "smtp",
    "dns",
    "ssh",
)


@dataclass(frozen=True)
class _Setting:
    """The proxy that one container uses for the Service, and what it is told to leave out."""

    container: Container
    variable: str
    proxy: Proxy
    exclusions: str | None


@explains(Hop.SOURCE, PROXY_ENV, When.ALWAYS)
def proxy_env(look: Look, asked: Question) -> Finding | None:
    """A proxy is set in the client's template, and nothing keeps calls to the Service away from it."""
    client = client_named(look, asked)
    if client is None or not any(_names_a_proxy(c) for c in client.containers):
        return None
    service = look(asks.the_service(asked))
    if service is None or service.is_alias:
        return None
    ports = [port for port in ports_asked(service, asked) if _may_be_http(port)]
    for port in ports:
        setting = next((s for c in client.containers if (s := _setting(c, port))), None)
        if setting and not _left_out(setting, service, client, port):
            return _finding(look, client, service, port, setting)
    return None


def _names_a_proxy(container: Container) -> bool:
    return any(name.lower() in ("http_proxy", "https_proxy", "all_proxy") for name in container.env)


def _may_be_http(port: ServicePort) -> bool:
    spoken = (port.app_protocol or port.name).lower()
    if port.protocol != "TCP" or spoken.startswith(_OTHER_NAMES):
        return False
    return "http" in spoken or port.port not in OTHER_PROTOCOLS


def _is_https(port: ServicePort) -> bool:
    return "https" in (port.app_protocol or port.name).lower() or port.port in HTTPS_PORTS


def _setting(container: Container, port: ServicePort) -> _Setting | None:
    """None where no proxy is set, or where a value that matters cannot be read."""
    kind = "https_proxy" if _is_https(port) else "http_proxy"
    for wanted in (kind, "all_proxy"):
        for name, value in container.env.items():
            proxy = read_proxy(value) if name.lower() == wanted and value else None
            if proxy:
                return _with_exclusions(container, name, proxy)
    return None


def _with_exclusions(container: Container, variable: str, proxy: Proxy) -> _Setting | None:
    values = [value for name, value in container.env.items() if name.lower() == "no_proxy"]
    hidden = any(value is None or "$(" in value for value in values) or (not values and container.env_from)
    if hidden:
        return None
    return _Setting(container, variable, proxy, ",".join(v for v in values if v) if values else None)


def _left_out(setting: _Setting, service: Service, client: Pod, port: ServicePort) -> bool:
    """Whether some name that the client may well use goes past the proxy."""
    names = names_of(service, client)
    hosts = (*names, f"{names[-1]}.cluster.local")
    return any(leaves_out(setting.exclusions or "", host, port.port) for host in hosts)


def _finding(look: Look, client: Pod, service: Service, port: ServicePort, setting: _Setting) -> Finding | None:
    owner = owner_of(look, client)
    judged = _ask_the_proxy(look, client, service, port, setting.proxy)
    if judged is None:
        return None
    found = PROXY_ENV.confirmed if judged.fails else PROXY_ENV.likely
    given = f"NO_PROXY is {setting.exclusions!r}" if setting.exclusions is not None else "NO_PROXY is not set"
    return found(
        at=owner.at(template_path(owner, f"containers[{setting.container.index}].env")),
        variable=setting.variable,
        container=setting.container.name,
        owner=f"{owner.kind} {owner.name}",
        service=service.name,
        proxy=setting.proxy,
        exclusions=given,
        outcome=judged.means,
        effect=Effect.BREAKS if judged.fails else Effect.DEGRADES,
        saw=(f"{setting.variable}={setting.proxy} and {given} in {client.name}", *judged.saw),
        fix=_leave_out(owner, service, client, setting),
    )


@dataclass(frozen=True)
class _Judged:
    """What the proxy made of it."""

    fails: bool
    means: str
    saw: tuple[str, ...]


def _ask_the_proxy(look: Look, client: Pod, service: Service, port: ServicePort, proxy: Proxy) -> _Judged | None:
    """None where calls through the proxy come out as those past it: then nothing is wrong."""
    may = "HTTP calls of this client depend on a proxy that may well not know the cluster's names."
    if not look.if_known(asks.may_probe()):
        return _Judged(False, may, ())
    attempt = look.if_known(asks.connect(client, proxy.host, proxy.port))
    if attempt is None:
        return _Judged(False, may, ())
    if not attempt.outcome.connected:
        means = "The proxy cannot be reached, so every HTTP call of this client to the Service fails."
        return _Judged(True, means, (f"{client.name} → proxy {proxy}: {attempt.words}",))
    if proxy.scheme != "http" or _is_https(port) or not service.address:
        return _Judged(False, may, (f"{client.name} → proxy {proxy}: {attempt.words}",))
    url = f"http://{service.name}.{service.namespace}.svc:{port.port}/"
    through, past = look.all_known(
        [
            asks.http(client, proxy.host, proxy.port, url),
            asks.http(client, service.address, port.port),
        ]
    )
    if through is None or past is None or not past.status:
        return _Judged(False, may, ())
    if through.status == past.status:
        return None
    saw = (f"GET {url} through the proxy: {through.words}", f"past the proxy: {past.words}")
    means = "The proxy does not pass calls on to the cluster, so HTTP calls of this client to the Service fail."
    return _Judged(not through.status or through.status >= 400, means, saw)


def _leave_out(owner: ObjectRef, service: Service, client: Pod, setting: _Setting) -> Fix:
    """Names in every usual form; the address for clients that use it."""
    wanted = [entry for entry in (setting.exclusions or "").split(",") if entry.strip()]
    more = ("localhost", "127.0.0.1", ".svc", ".cluster.local", *names_of(service, client)[:-1], service.address)
    wanted += [entry for entry in more if entry and entry not in wanted]
    variables = _variables(setting.container.env)
    command = kubectl(
        *("set", "env", owner.short, "-c", setting.container.name),
        *(f"{name}={','.join(wanted)}" for name in variables),
        namespace=owner.namespace,
    )
    fixed = "the environment of a running Pod cannot be changed: make it again"
    return Fix("go past the proxy inside the cluster", command, not_pasteable="" if is_patchable(owner) else fixed)


def _variables(env: Mapping[str, str | None]) -> tuple[str, ...]:
    """NO_PROXY in the spelling that is there; in the spelling of the proxy variables where there is none."""
    there = tuple(name for name in env if name.lower() == "no_proxy")
    lower = any(name in ("http_proxy", "https_proxy", "all_proxy") for name in env)
    upper = any(name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY") for name in env)
    return there or tuple(name for name, used in (("NO_PROXY", upper), ("no_proxy", lower)) if used) or ("NO_PROXY",)
