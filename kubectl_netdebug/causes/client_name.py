"""Whether the client can turn the Service's name into an address: probes by address would not notice that it cannot."""

from __future__ import annotations

from dataclasses import dataclass

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import backends_asked, client_pod, in_use
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.causes.resolving import Resolution, resolve
from kubectl_netdebug.model.command import Fix, Risk, kubectl
from kubectl_netdebug.model.finding import Cause, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look, Unestablished
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.objects.service import Service
from kubectl_netdebug.model.question import Question, SourceKind

UNRESOLVED = Cause(
    code="service-name-unresolved",
    title="The client cannot resolve the Service's name",
    says="{name} does not lead to Service {service} in {pod}: {words}.",
    means="The client fails before it sends a packet to the Service, whatever the Service itself does.",
    symptom="'no such host' or 'temporary failure in name resolution' in one client; the Service's address works.",
    apart="Where the address fails as well, the Service is the place to look at first.",
    mend="Ask `kubectl netdebug dns` for this Pod: it tells the resolver, the name servers and the name apart.",
    symptom_only=True,
)


@dataclass(frozen=True)
class ServiceName:
    """What the client's resolver gives for the Service's name."""

    name: str
    client: Pod
    found: Resolution
    right: frozenset[str]
    """Addresses that are the Service's or its backends'."""

    @property
    def leads_there(self) -> bool:
        """At least one address is the Service's."""
        return bool(self.right & set(self.found.addresses))

    @property
    def words(self) -> str:
        """`NXDOMAIN`, `no answer from the name server`, `it is 203.0.113.9`."""
        if self.found.addresses:
            return f"it is {', '.join(self.found.addresses[:3])}"
        answered = [answer for _, answer in self.found.tried if answer.answered]
        if not answered:
            return f"name server {self.found.server} does not answer"
        return f"name server {self.found.server} says {answered[-1].words}"


NAMELESS = (SourceKind.OUTSIDE, SourceKind.NODE)
"""Clients that rightly ask other name servers than the cluster's."""


def service_name(look: Look, asked: Question) -> ServiceName | None:
    """Asked only where a client was named; None where nothing can be said."""
    if not asked.source.name or asked.source.kind in NAMELESS or not asked.service:
        return None
    service = look(asks.the_service(asked))
    if service is None or service.is_alias:
        return None
    right = _addresses(look, asked, service)
    if not right:
        return None
    try:
        client = client_pod(look, asked)
        name = service.name if client.namespace == service.namespace else f"{service.name}.{service.namespace}"
        found = resolve(look, client, name)
        return ServiceName(name, client, found, right) if found.server else None
    except Unestablished:
        return None


def _addresses(look: Look, asked: Question, service: Service) -> frozenset[str]:
    """Of a headless name, the ready endpoints; without any, its name rightly leads nowhere."""
    if service.headless:
        return frozenset(backend.address for backend in in_use(backends_asked(look, asked)))
    return frozenset(address for address in (service.address, *service.cluster_ips) if address)


@explains(Hop.NAME, UNRESOLVED)
def service_name_unresolved(look: Look, asked: Question) -> Finding | None:
    """The resolver's answer is seen; why it is so, the question about names tells."""
    looked = service_name(look, asked)
    if looked is None or looked.leads_there:
        return None
    client = looked.client
    ask = kubectl("netdebug", "dns", f"pod/{client.name}", looked.name, namespace=client.namespace)
    return UNRESOLVED.confirmed(
        at=client.at,
        name=looked.name,
        service=f"{asked.namespace}/{asked.service}",
        pod=client.name,
        words=looked.words,
        saw=tuple(f"{full}: {answer.words}" for full, answer in looked.found.tried[:4]),
        fix=Fix("find out why", ask, Risk.READ_ONLY),
    )
