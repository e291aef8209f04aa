"""The DNS Service: is it there, at the address that Pods use, with the right ports, before the right Pods?"""

from __future__ import annotations

from kubectl_netdebug.causes.dns_client import is_local_cache
from kubectl_netdebug.causes.dns_cluster import PORT, Workload, dns_services, pods_of, service_with, slices
from kubectl_netdebug.causes.dns_state import ClusterDns, cluster_dns, config
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, apply, json_patch
from kubectl_netdebug.model.finding import Cause, Effect, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.service import Service, ServicePort
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When

MISSING = Cause(
    code="dns-service-missing",
    title="The cluster's DNS Service is not there",
    says="There is no Service at {address}, the name server of {pod}{also}.",
    means="Every question that Pods send to that address is lost, though DNS Pods may well run.",
    symptom="Every lookup in every Pod times out; CoreDNS itself runs and is idle.",
    apart="With another Service of the cluster's DNS at another address, the addresses disagree instead.",
    mend="Create the Service kube-dns again, at exactly the address that kubelet writes into Pods.",
)

MISMATCH = Cause(
    code="dns-clusterip-mismatch",
    title="Pods ask another address than the DNS Service has",
    says="Pods ask {asked}, but the DNS Service {service} has {address}.",
    means="Every question that Pods send to {asked} is lost: no Service has that address.",
    symptom="Every lookup in every Pod times out; the DNS Service answers at its own address.",
    apart="An address 169.254.x.x is a cache on the node (NodeLocal DNSCache), and right.",
    mend="Recreate the Service with the address that kubelet's clusterDNS names, or change clusterDNS on every node.",
)


@explains(Hop.DNS_SERVICE, MISSING)
def dns_service_missing(look: Look, asked: Question) -> Finding | None:
    """Nothing has the address, and no other Service looks like the cluster's DNS."""
    dns = cluster_dns(look, asked)
    if dns is None or dns.service is not None or dns_services(look) or is_local_cache(dns.resolver.first):
        return None
    if not dns.resolver.means_cluster or (not dns.resolver.observed and dns.workload is None):
        return None
    address = dns.resolver.first
    running = f"; {dns.workload.ref.short} runs without one" if dns.workload and any(p.ready for p in dns.pods) else ""
    found = MISSING.confirmed if dns.resolver.observed else MISSING.likely
    return found(
        at=ObjectRef("Service", "kube-system", "kube-dns"),
        address=address or "the address of the cluster's DNS",
        pod=dns.resolver.pod.name,
        also=running,
        saw=f"no Service has {address}, and none is the cluster's DNS"
        if address
        else "no Service is the cluster's DNS",
        fix=_create("kube-dns", dns.workload, address) if dns.workload and address else None,
    )


@explains(Hop.DNS_SERVICE, MISMATCH)
def dns_clusterip_mismatch(look: Look, asked: Question) -> Finding | None:
    """Nothing has the address that is asked, and the cluster's DNS has another."""
    dns = cluster_dns(look, asked)
    if dns is None or dns.service is None or not dns.resolver.observed or not dns.resolver.means_cluster:
        return None
    first = dns.resolver.first
    if not first or is_local_cache(first) or service_with(look, first) is not None:
        return None
    service = dns.service
    return MISMATCH.confirmed(
        at=service.field("spec.clusterIP"),
        asked=first,
        service=f"{service.namespace}/{service.name}",
        address=service.cluster_ip,
        saw=f"resolv.conf of {dns.resolver.pod.name} names {first}; {service.name} has {service.cluster_ip}",
        fix=_create(f"{service.name}-for-pods", dns.workload, first) if dns.workload else None,
    )


def _create(name: str, runs: Workload, address: str) -> Fix:
    manifest = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": runs.ref.namespace, "labels": {"k8s-app": "kube-dns"}},
        "spec": {
            "clusterIP": address,
            "selector": dict(runs.selector),
            "ports": [
                {"name": "dns", "port": PORT, "protocol": "UDP"},
                {"name": "dns-tcp", "port": PORT, "protocol": "TCP"},
            ],
        },
    }
    return Fix(f"give {address} to a Service before the Pods of {runs.ref.name}", apply(manifest))


NO_ENDPOINTS = Cause(
    code="dns-service-no-endpoints",
    title="The DNS Service selects no DNS Pod",
    says="The selector of Service {service} ({selector}) matches no Pod of {workload}, whose Pods have {labels}.",
    means="Questions to the Service are refused, though DNS Pods run and are Ready.",
    symptom="Every lookup in every Pod is refused at once, or times out; CoreDNS itself runs and is idle.",
    apart="Where DNS Pods are not Ready, the selector is right and their trouble is the cause.",
    mend="Set the selector to the labels of the DNS Pods.",
)


@explains(Hop.DNS_SERVICE, NO_ENDPOINTS)
def dns_service_no_endpoints(look: Look, asked: Question) -> Finding | None:
    """Pods of the DNS workload are Ready, and the selector means others."""
    dns = cluster_dns(look, asked)
    if dns is None or dns.service is None or dns.workload is None or dns.serving or not dns.service.selector:
        return None
    service, runs = dns.service, dns.workload
    if service.selector.items() <= runs.labels.items() or not any(p.ready for p in pods_of(look, runs)):
        return None
    right = dict(runs.selector)
    words = ",".join(f"{k}={v}" for k, v in sorted(right.items()))
    operations = [{"op": "replace", "path": "/spec/selector", "value": right}]
    return NO_ENDPOINTS.confirmed(
        at=service.field("spec.selector"),
        service=f"{service.namespace}/{service.name}",
        selector=",".join(f"{k}={v}" for k, v in sorted(service.selector.items())),
        workload=f"{runs.ref.kind} {runs.ref.name}",
        labels=words,
        saw=f"0 ready endpoints; {', '.join(p.name for p in dns.pods if p.ready)} ready with {words}",
        fix=Fix("select the DNS Pods", json_patch("service", service.name, operations, service.namespace)),
    )


PORT_WRONG = Cause(
    code="dns-service-port-wrong",
    title="The DNS Service lacks port 53, or sends it elsewhere",
    says="Service {service} {wrong}.",
    means="Of the questions of all Pods, {costs}.",
    symptom="Lookups fail over UDP or over TCP alone; big answers fail where TCP is missing.",
    apart="A dropped packet shows the same from a Pod, but then the Service has both ports and they lead to CoreDNS.",
    mend="Give the Service 53/UDP and 53/TCP, both with the port on which CoreDNS listens.",
    explains=("dns-udp-dropped", "dns-tcp-blocked"),
)


@explains(Hop.DNS_SERVICE, PORT_WRONG, When.ALWAYS)
def dns_service_port_wrong(look: Look, asked: Question) -> Finding | None:
    """A port is not declared, or its target is none on which the Corefile makes CoreDNS listen."""
    dns = cluster_dns(look, asked)
    if dns is None or dns.service is None or not dns.service.address or not _is_asked(dns):
        return None
    service = dns.service
    ports = {p.protocol: p for p in service.ports if p.port == PORT}
    for protocol, costs in (("UDP", "those over UDP fail, which are nearly all"),
                            ("TCP", "those fail whose answer does not fit into a UDP packet")):  # fmt: skip
        effect = Effect.BREAKS if protocol == "UDP" else Effect.DEGRADES
        port = ports.get(protocol)
        if port is None:
            return _port_finding(service, f"has no port {PORT}/{protocol}", costs, effect, _add_port(service, protocol))
        wrong = _misled(look, dns, port)
        if wrong:
            value = {"op": "add", "path": f"/spec/ports/{port.index}/targetPort", "value": wrong[1]}
            fix = Fix(f"send it to {wrong[1]}", json_patch("service", service.name, [value], service.namespace))
            return _port_finding(service, f"sends {PORT}/{protocol} to {wrong[0]}", costs, effect, fix)
    return None


def _is_asked(dns: ClusterDns) -> bool:
    """Whether the client depends on that very Service: it has the address that is asked, or a cache asks it."""
    first, service = dns.resolver.first, dns.service
    return service is not None and (is_local_cache(first) or first in (service.cluster_ip, *service.cluster_ips))


def _port_finding(service: Service, wrong: str, costs: str, effect: Effect, fix: Fix) -> Finding:
    return PORT_WRONG.confirmed(
        at=service.field("spec.ports"),
        service=f"{service.namespace}/{service.name}",
        wrong=wrong,
        costs=costs,
        saw=f"Service {service.name}: {service.describe()}",
        effect=effect,
        fix=fix,
    )


def _add_port(service: Service, protocol: str) -> Fix:
    other = next((p for p in service.ports if p.port == PORT), None)
    taken = {p.name for p in service.ports}
    name = "dns" if protocol == "UDP" else "dns-tcp"
    name = name if name not in taken else f"{name}-{protocol.lower()}"
    entry: dict[str, object] = {"name": name, "port": PORT, "protocol": protocol}
    if other is not None and other.target_number:
        entry["targetPort"] = other.target_number
    operations: list[dict[str, object]] = [{"op": "add", "path": "/spec/ports/-", "value": entry}]
    if other is not None and not other.name:
        operations.insert(0, {"op": "add", "path": f"/spec/ports/{other.index}/name", "value": "dns-first"})
    return Fix(f"add port {PORT}/{protocol}", json_patch("service", service.name, operations, service.namespace))


def _misled(look: Look, dns: ClusterDns, port: ServicePort) -> tuple[str, int] | None:
    """(where it goes, where it should go), where the Corefile has no server on that port and has one on another."""
    found = config(look, dns)
    assert dns.service is not None
    if found is None or not dns.service.selector or dns.service.selector.items() - dict(_labels(dns)).items():
        return None
    listening = {z.port for b in found.parsed.blocks for z in b.zones if z.scheme == "dns"}
    if not listening or found.parsed.problems:
        return None
    right = PORT if PORT in listening else min(listening)
    targets = {
        t.port for each in slices(look, dns.service) if (t := each.port_for(port.name, port.protocol)) and t.port
    }
    wrong = sorted(number for number in targets if number and number not in listening)
    if wrong:
        return str(wrong[0]), right
    if port.target and port.target_number is None and not targets and dns.pods:
        declared = {tree.text(p, "name") for p in tree.entries(dns.workload.container if dns.workload else {}, "ports")}
        if port.target not in declared:
            return f"a port named {port.target}, which the Pods do not have", right
    return None


def _labels(dns: ClusterDns) -> dict[str, str]:
    return dict(dns.workload.labels) if dns.workload else {}
