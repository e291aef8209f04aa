"""Where hand-made endpoints lead: to an address that is dead, inside the cluster's ranges, or claimed by a Service."""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import Backend, attempts_at, backends_asked, client_pod, in_use, live_pods
from kubectl_netdebug.causes.handmade import (
    PUT_ADDRESS,
    UNKNOWN_ADDRESS,
    handmade_service,
    place_of_address,
    place_of_endpoint,
    place_of_port,
)
from kubectl_netdebug.causes.ranges import cluster_range_of, nobody_has
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, Risk, json_patch, kubectl, patch
from kubectl_netdebug.model.finding import Cause, Effect, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.objects.service import Service
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When
from kubectl_netdebug.net.address import family_of
from kubectl_netdebug.net.outcome import Attempt
from kubectl_netdebug.net.outcome import Outcome as End

Tried = tuple[tuple[Backend, Attempt], ...]

DEAD_ENDS = (End.REFUSED, End.TIMED_OUT, End.HOST_UNREACHABLE, End.NET_UNREACHABLE)

BACKEND_WRONG = Cause(
    code="slice-backend-wrong",
    title="A hand-made endpoint leads to a dead or wrong address",
    says="The hand-made endpoint {where} of Service {service} {why}.",
    means="Nothing checks such endpoints: the Service goes on sending connections there, and they fail.",
    symptom="The Service fails as a connection to its endpoint does; no Pod and no probe stands behind it.",
    apart="Every machine fails at that address alike; where only Pods do, the way out of the cluster is at fault.",
    mend="Write the address and port at which the backend really listens.",
)


@explains(Hop.BACKENDS, BACKEND_WRONG)
def slice_backend_wrong(look: Look, asked: Question) -> Finding | None:
    """An endpoint that was written by hand and where nobody answers as expected."""
    service = handmade_service(look, asked)
    tried = _tried(look, asked) if service else ()
    dead = [(b, a) for b, a in tried if a.outcome in DEAD_ENDS]
    if service is None or not dead:
        return None
    backend, attempt = dead[0]
    if claimant(look, service, backend.address, backend.port, backend.protocol) or _swallowed(look, backend, attempt):
        return None  # told by the causes below
    effect = _effect(tried, len(dead))
    pods = live_pods(look.if_known(asks.pods_at(backend.address)) or ())
    if pods:
        return _wrong_port_of_pod(look, service, backend, attempt, pods, effect)
    if attempt.outcome.lost and _alive_from_here(look, backend):
        return None
    found = BACKEND_WRONG.likely if _tells(attempt) else BACKEND_WRONG.possible
    return found(
        at=place_of_address(look, backend).at,
        where=f"{backend.address}:{backend.port}",
        service=service.name,
        why=_complaint(attempt),
        effect=effect,
        fixes=_mend_address(look, asked, backend, alone=len(dead) == len(tried)),
        saw=f"{backend.address}:{backend.port} tried directly: {attempt.words}",
    )


def _tried(look: Look, asked: Question) -> Tried:
    everything = backends_asked(look, asked)
    return attempts_at(look, client_pod(look, asked), in_use(everything) or everything)


def _effect(tried: Tried, dead: int) -> Effect:
    return Effect.BREAKS if dead == len(tried) else Effect.DEGRADES


def _tells(attempt: Attempt) -> bool:
    """A refusal comes from a living host, and "no route to host" after a while from a router that found nobody."""
    return attempt.outcome is End.REFUSED or (attempt.outcome is End.HOST_UNREACHABLE and attempt.milliseconds >= 900)


def _complaint(attempt: Attempt) -> str:
    if attempt.outcome is End.REFUSED:
        return "refuses connections: nothing listens on that port there"
    if attempt.outcome is End.HOST_UNREACHABLE:
        return "leads to an address that no machine answers for"
    return "does not answer: a dead or wrong address, or something on the way drops the packets"


def _alive_from_here(look: Look, backend: Backend) -> bool:
    """This machine reaches it, so the address is right and the way from the Pods is the matter."""
    if backend.protocol != "TCP":
        return False
    attempt = look.if_known(asks.connect_from_here(backend.address, backend.port))
    return attempt is not None and attempt.outcome.connected


def _mend_address(look: Look, asked: Question, backend: Backend, *, alone: bool) -> tuple[Fix, ...]:
    place = place_of_address(look, backend)
    moved = _moved_pod(look, asked, backend)
    if moved:
        return (place.replace(moved.ip, f"write the present address of Pod {moved.name}"),)
    drop = () if alone else (place_of_endpoint(look, backend).remove("take the dead endpoint out"),)
    stand_in = UNKNOWN_ADDRESS.get(family_of(backend.address), UNKNOWN_ADDRESS["IPv4"])
    return (*drop, place.replace(stand_in, "write the right address", PUT_ADDRESS.format(address=stand_in)))


def _moved_pod(look: Look, asked: Question, backend: Backend) -> Pod | None:
    """The Pod that the endpoint refers to, where it has another address by now."""
    pod = look.if_known(asks.pod_named(asked.namespace, backend.pod)) if backend.pod else None
    return pod if pod is not None and pod.ip and pod.ip != backend.address else None


def _wrong_port_of_pod(
    look: Look, service: Service, backend: Backend, attempt: Attempt, pods: tuple[Pod, ...], effect: Effect
) -> Finding | None:
    """The address is a Pod's: only a refusal on a port where that Pod does not listen speaks against the endpoint."""
    listening = look(asks.sockets_of(pods[0])) if attempt.outcome is End.REFUSED else ()
    reachable = [s for s in listening if s.protocol == backend.protocol and s.reachable_at(backend.address)]
    if not listening or any(s.port == backend.port for s in reachable):
        return None
    index = next((i for i, p in enumerate(backend.slice.ports) if p.port == backend.port), 0)
    place = place_of_port(look, backend.slice, index, "port")
    declared = {p.port for p in pods[0].ports if p.protocol == backend.protocol}
    wanted = [s.port for s in reachable if s.port in declared] or [s.port for s in reachable]
    return BACKEND_WRONG.confirmed(
        at=place.at,
        where=f"{backend.address}:{backend.port}",
        service=service.name,
        why=f"is Pod {pods[0].name}, which does not listen on that port",
        effect=effect,
        saw=f"listening in {pods[0].name}: {', '.join(map(str, listening[:4]))}",
        fix=place.replace(wanted[0], f"send to port {wanted[0]}") if len(set(wanted)) == 1 else None,
    )


@explains(Hop.ADDRESS, BACKEND_WRONG)
def slice_backend_is_a_service(look: Look, asked: Question) -> Finding | None:
    """The endpoint is the ClusterIP of a Service: a connection is translated once, never twice."""
    service = handmade_service(look, asked)
    if service is None or service.headless:
        return None
    for backend in in_use(backends_asked(look, asked)):
        other = look(asks.service_at(backend.address))
        if other is None:
            continue
        return BACKEND_WRONG.confirmed(
            at=place_of_address(look, backend).at,
            where=f"{backend.address}:{backend.port}",
            service=service.name,
            why=f"is the ClusterIP of Service {other.namespace}/{other.name}, and proxies translate only once",
            fixes=_alias_of(service, other, backend),
        )
    return None


def _alias_of(service: Service, other: Service, backend: Backend) -> tuple[Fix, ...]:
    """An alias leads clients to the other Service's own address; it maps no ports."""
    name = f"{other.name}.{other.namespace}.svc.cluster.local"
    body = {"spec": {"type": "ExternalName", "externalName": name}}
    unsure = (
        "" if backend.port == backend.service_port.port else f"an alias maps no ports: clients must use {backend.port}"
    )
    title = f"make Service {service.name} an alias of {other.namespace}/{other.name} (its ClusterIP goes)"
    return (Fix(title, patch("service", service.name, body, service.namespace), Risk.DISRUPTIVE, unsure),)


IN_CLUSTER_RANGE = Cause(
    code="dest-in-cluster-cidr",
    title="The destination lies inside the cluster's own address range",
    says="{address}, to which {asker} leads, lies in {range}, and nothing there has it.",
    means="Nodes keep every packet to that range inside the cluster, whoever has the address outside.",
    symptom="One address outside cannot be reached from Pods, though other machines reach it.",
    apart="A machine outside the cluster reaches that address; that of a Pod which has gone is merely out of date.",
    mend="Give the cluster or the outer network other addresses, or reach the backend at another address of its own.",
    explains=("slice-backend-wrong",),
)


@explains(Hop.BACKENDS, IN_CLUSTER_RANGE)
def dest_in_cluster_cidr(look: Look, asked: Question) -> Finding | None:
    """An endpoint written by hand in the Pod or Service range, which no Pod, Service or node has."""
    service = handmade_service(look, asked)
    tried = _tried(look, asked) if service else ()
    dead = [(b, a) for b, a in tried if a.outcome in DEAD_ENDS]
    if service is None or not dead or not _swallowed(look, *dead[0]):
        return None
    backend = dead[0][0]
    held = cluster_range_of(look, backend.address)
    return IN_CLUSTER_RANGE.confirmed(
        at=place_of_address(look, backend).at,
        address=backend.address,
        asker=f"Service {service.name}",
        range=held.what if held else "",
        effect=_effect(tried, len(dead)),
        fixes=_mend_address(look, asked, backend, alone=len(dead) == len(tried)),
        saw=(
            f"{backend.address}:{backend.port} tried directly: {dead[0][1].words}",
            f"no Pod, Service or node has {backend.address}",
        ),
    )


def _swallowed(look: Look, backend: Backend, attempt: Attempt) -> bool:
    """Lost in a range of the cluster where nobody has the address; a Pod that the endpoint names has merely moved."""
    if not attempt.outcome.lost or backend.pod:
        return False
    return cluster_range_of(look, backend.address) is not None and nobody_has(look, backend.address)


HIJACK = Cause(
    code="externalip-hijack",
    title="Another Service claims the destination's address",
    says="Service {thief} claims {address}:{port} in {field}, so connections of Pods to it end there.",
    means="Every node redirects that address and port to the claiming Service; Pods never reach the real machine.",
    symptom="One real address and port cannot be reached from Pods; other ports of that address can.",
    apart="Other ports of the address work, and so does the same port from outside the cluster.",
    mend="Take the address out of the claiming Service, or let that Service use another one.",
    explains=("slice-backend-wrong",),
)


@explains(Hop.BACKENDS, HIJACK, When.ALWAYS)
def externalip_hijack(look: Look, asked: Question) -> Finding | None:
    """Another Service has an endpoint's address and port among its external ones.

    Where connections succeed and the Service has an address of its own, that address still leads to the real machine.
    """
    service = handmade_service(look, asked)
    if service is None:
        return None
    targets = [b for b in in_use(backends_asked(look, asked)) if not b.pod]
    claimed = [b for b in targets if claimant(look, service, b.address, b.port, b.protocol)]
    if not claimed:
        return None
    backend = claimed[0]
    thief = claimant(look, service, backend.address, backend.port, backend.protocol)
    assert thief is not None
    attempt = dict(_tried(look, asked)).get(backend)
    if attempt is None:
        return None
    return hijacked(look, service, thief, backend.address, backend.port, works=attempt.outcome.connected)


def hijacked(look: Look, service: Service, thief: Service, address: str, port: int, *, works: bool) -> Finding | None:
    """The finding, unless the claim is harmless: it works and is meant, as far as can be seen."""
    by_hand = address in thief.external_ips
    nodes = look.if_known(asks.nodes()) or ()
    if works and (service.address or not by_hand or any(address == a for n in nodes for _, a in n.addresses)):
        return None
    field = "spec.externalIPs" if by_hand else "status.loadBalancer"
    claimed = thief.external_ips if by_hand else thief.load_balancer_ips
    found = HIJACK.likely if works else HIJACK.confirmed
    return found(
        at=thief.field(field),
        thief=f"{thief.namespace}/{thief.name}",
        address=address,
        port=port,
        field=field,
        saw=f"{field} of Service {thief.namespace}/{thief.name}: {', '.join(claimed)}",
        fix=_release(thief, address) if by_hand else _inspect(thief),
    )


def _release(thief: Service, address: str) -> Fix:
    alone = len(thief.external_ips) == 1
    path = "/spec/externalIPs" if alone else f"/spec/externalIPs/{thief.external_ips.index(address)}"
    command = json_patch("service", thief.name, [{"op": "remove", "path": path}], thief.namespace)
    return Fix(f"let Service {thief.namespace}/{thief.name} go of {address}", command)


def _inspect(thief: Service) -> Fix:
    command = kubectl("get", "service", thief.name, "-o", "yaml", namespace=thief.namespace)
    return Fix("see who wrote that address into its status", command, Risk.READ_ONLY)


def claimant(look: Look, service: Service, address: str, port: int, protocol: str) -> Service | None:
    """Another Service that claims an address and port as external ones, or None."""
    for other in look.if_known(asks.services_everywhere()) or ():
        own = (other.namespace, other.name) == (service.namespace, service.name)
        if own or address not in (*other.external_ips, *other.load_balancer_ips):
            continue
        if any((p.port, p.protocol) == (port, protocol) for p in other.ports):
            return other
    return None
