"""One word with one backend: whether its port speaks what it is declared to speak."""

from __future__ import annotations

from dataclasses import dataclass

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import Backend, attempts_at, backends_asked, client_pod, in_use
from kubectl_netdebug.causes.schemes import HTTP, TLS, declared_scheme, named_scheme
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.pod import Pod, Probe
from kubectl_netdebug.model.objects.service import Service
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.spoken import HttpReply, TlsAnswer

MESH_CONTAINERS = ("istio-proxy", "linkerd-proxy", "kuma-sidecar", "consul-dataplane", "envoy-sidecar", "osm-proxy")
"""Sidecars that take over a Pod's connections, so that a stranger's greeting says nothing about the app."""


@dataclass(frozen=True)
class Spoken:
    """A backend that was spoken to, the scheme its port is expected to speak, and the replies.

    Only the expected scheme is spoken at first; the other reply is there where the first one was odd.
    """

    backend: Backend
    client: Pod
    pod: Pod | None
    scheme: str
    http: HttpReply | None
    tls: TlsAnswer | None

    @property
    def speaks_tls_instead(self) -> bool:
        """Plain HTTP is expected and TLS is spoken."""
        if self.scheme != HTTP or self.http is None:
            return False
        return self.http.wants_tls or (not self.http.answered and self.tls is not None and self.tls.speaks_tls)

    @property
    def speaks_http_instead(self) -> bool:
        """TLS is expected and plain HTTP is answered."""
        if self.scheme != TLS or self.tls is None or self.tls.speaks_tls:
            return False
        return self.http is not None and self.http.answered and not self.http.wants_tls

    @property
    def words(self) -> str:
        """For people: what was said, in the expected language where that was understood."""
        if self.scheme == TLS and self.tls is not None and self.tls.speaks_tls:
            return self.tls.words
        if self.http is not None and self.http.answered:
            return self.http.words
        return "speaks neither HTTP nor TLS at once; not judged"


def spoken_with(look: Look, asked: Question) -> Spoken | None:
    """Speaks to one ready backend that accepts, on a port taken for TLS or else for HTTP; None without one."""
    service = look(asks.the_service(asked))
    if service is None or service.is_alias:
        return None
    client = client_pod(look, asked)
    open_ones = [b for b, a in attempts_at(look, client, in_use(backends_asked(look, asked))) if a.outcome.connected]
    pods = look.if_known(asks.pods_selected_by(service)) if service.selector else ()
    by_name = {pod.name: pod for pod in pods or ()}
    expected = [(b, s) for b in open_ones if b.protocol == "TCP" and (s := _scheme(b, by_name.get(b.pod)))]
    if not expected:
        return None
    backend, scheme = next(((b, s) for b, s in expected if s == TLS), expected[0])
    return _speak(look, service, client, backend, by_name.get(backend.pod), scheme)


def _scheme(backend: Backend, pod: Pod | None) -> str:
    port = backend.service_port
    declared = declared_scheme(port)
    if declared or port.app_protocol:
        return declared
    probe = http_probe(pod, backend.port)
    if probe is not None:
        return TLS if probe.scheme == "HTTPS" else HTTP
    return named_scheme(port)


def http_probe(pod: Pod | None, port: int) -> Probe | None:
    """The probe with which kubelet asks this port over HTTP or HTTPS, which says what the app speaks."""
    for container in (*pod.containers, *pod.init_containers) if pod else ():
        named = {p.name: str(p.port) for p in container.ports}
        for probe in (container.readiness, container.liveness, container.startup):
            if probe and probe.kind == "http" and named.get(probe.port, probe.port) == str(port):
                return probe
    return None


def _speak(look: Look, service: Service, client: Pod, backend: Backend, pod: Pod | None, scheme: str) -> Spoken | None:
    probe = http_probe(pod, backend.port)
    path = probe.path if probe and probe.scheme == "HTTP" else "/"
    over_http = asks.http(client, backend.address, backend.port, path)
    over_tls = asks.tls(client, backend.address, backend.port, f"{service.name}.{service.namespace}.svc")
    http, tls = None, None
    if scheme == HTTP:
        http = look.if_known(over_http)
        if http is not None and (http.wants_tls or not http.answered):
            tls = look.if_known(over_tls)
    else:
        tls = look.if_known(over_tls)
        if tls is not None and not tls.speaks_tls:
            http = look.if_known(over_http)
    if http is None and tls is None:
        return None
    return Spoken(backend, client, pod, scheme, http, tls)


def is_meshed(pod: Pod | None) -> bool:
    """Whether a proxy in the Pod takes its connections."""
    return pod is not None and any(c.name in MESH_CONTAINERS for c in (*pod.containers, *pod.init_containers))
