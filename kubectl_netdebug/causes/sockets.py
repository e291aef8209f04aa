"""What the Pod listens on against where the Service sends: loopback only, another port, another protocol, not yet."""

from __future__ import annotations

from collections.abc import Iterable

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import client_pod
from kubectl_netdebug.causes.loopback import rebind
from kubectl_netdebug.causes.owners import is_patchable, owner_of, template_path
from kubectl_netdebug.causes.reach import (
    Refusing,
    closed,
    container_for,
    effect_on,
    serving_containers,
    tried,
    untranslated,
)
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.causes.starting import MESH_PORTS, still_starting
from kubectl_netdebug.model.command import Fix, Risk, json_patch, patch
from kubectl_netdebug.model.finding import Cause, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.outcome import Outcome as End
from kubectl_netdebug.net.procnet import Listener

APP_LOOPBACK_BIND = Cause(
    code="app-loopback-bind",
    title="The application listens on loopback only",
    says="The application in {pod} listens on {address}:{port} only, so nothing outside the Pod can reach it.",
    means="Connections to the Pod's own address are refused, and so are those through the Service.",
    symptom="Refused by the Service and by the Pod's address; port-forward and calls from within the Pod work.",
    apart="With a wrong targetPort nothing at all listens on the port; here something does, for the Pod alone.",
    mend="Bind the application to all addresses: 0.0.0.0, or [::] for both families.",
    explains=("endpoints-not-ready", "readiness-probe-wrong", "early-ready-no-probe", "backend-partly-dead"),
)


@explains(Hop.SOCKET, APP_LOOPBACK_BIND)
def app_loopback_bind(look: Look, asked: Question) -> Finding | None:
    """The right port, bound to an address that only the Pod itself can use."""
    found = next(((r, s) for r in closed(look, asked) if (s := _loopback(r.on_port))), None)
    if found is None:
        return None
    refusing, listener = found
    pod, port = refusing.pod, refusing.backend.port
    container = container_for(pod, port, refusing.backend.protocol) or pod.containers[0]
    owner = owner_of(look, pod)
    field, fixes = rebind(look, pod, owner, container, port)
    return APP_LOOPBACK_BIND.confirmed(
        at=owner.at(field),
        pod=pod.name,
        address=f"[{listener.address}]" if ":" in listener.address else listener.address,
        port=port,
        saw=f"listening in {pod.name}: {refusing.seen}; {pod.ip}:{port} refuses",
        effect=effect_on(tried(look, asked)),
        fixes=fixes,
    )


def _loopback(listeners: Iterable[Listener]) -> Listener | None:
    return next((s for s in listeners if s.loopback or s.address.startswith("::ffff:127.")), None)


PROTOCOL_MISMATCH = Cause(
    code="service-protocol-mismatch",
    title="The Service port has another protocol than the application",
    says="Port {port} of Service {service} is {declared}, but the application listens on {target}/{spoken}.",
    means="Everything sent to that port as {declared} is refused by the Pods.",
    symptom="The port is refused or silent although the application runs and listens on that very number.",
    apart="With a wrong targetPort, nothing listens on the number in either protocol.",
    mend="Set the protocol of the Service port; for both protocols, declare two ports with different names.",
    explains=("backend-partly-dead", "early-ready-no-probe"),
)


@explains(Hop.SOCKET, PROTOCOL_MISMATCH)
def protocol_mismatch(look: Look, asked: Question) -> Finding | None:
    """Nothing on the port in the Service's protocol, and a listener on the same number in the other one."""
    service = look(asks.the_service(asked))
    if service is None or not service.selector:
        return None
    for refusing in closed(look, asked):
        wanted = refusing.backend
        other = next((s for s in refusing.listening if s.port == wanted.port and s.protocol != wanted.protocol), None)
        if other is None or refusing.on_port or other.loopback:
            continue
        index = wanted.service_port.index
        operation = {"op": "replace", "path": f"/spec/ports/{index}/protocol", "value": other.protocol}
        return PROTOCOL_MISMATCH.confirmed(
            at=service.field(f"spec.ports[{index}].protocol"),
            port=wanted.service_port.port,
            service=service.name,
            declared=wanted.protocol,
            target=wanted.port,
            spoken=other.protocol,
            saw=f"listening in {refusing.pod.name}: {refusing.seen}",
            effect=effect_on(tried(look, asked)),
            fix=Fix(
                f"make the port {other.protocol}",
                json_patch("service", service.name, [operation], service.namespace),
            ),
        )
    return None


TARGETPORT_WRONG = Cause(
    code="service-targetport-wrong",
    title="The targetPort is not the port that the application listens on",
    says="Port {port} of Service {service} leads to targetPort {target}, but {pod} listens on {listens}.",
    means="Nothing listens where the Service sends, so the Pods refuse every connection.",
    symptom="Refused at once although endpoints are ready; the Pod's real port answers.",
    apart="An application that is bound to loopback does hold the port; here nothing does.",
    mend="Point targetPort at the port that the application listens on, or make it listen there.",
    explains=("backend-partly-dead",),
)


@explains(Hop.SOCKET, TARGETPORT_WRONG)
def targetport_wrong(look: Look, asked: Question) -> Finding | None:
    """All Pods behind a port listen elsewhere, and none where the Service sends."""
    service = look(asks.the_service(asked))
    if service is None or not service.selector:
        return None
    working = {b.service_port.index for b, attempt in tried(look, asked) if attempt.outcome.connected}
    for refusing in closed(look, asked):
        index = refusing.backend.service_port.index
        if (
            index in working
            or still_starting(look, asked, refusing)
            or not _runs(refusing)
            or _other_protocol(refusing)
        ):
            continue
        if refusing.on_port or not (others := _candidates(refusing)):
            continue
        chosen, sure = _best(refusing, others, _taken(service.ports, index))
        operation = {"op": "replace", "path": f"/spec/ports/{index}/targetPort", "value": chosen}
        return TARGETPORT_WRONG.confirmed(
            at=service.field(f"spec.ports[{index}].targetPort"),
            port=refusing.backend.service_port.port,
            service=service.name,
            target=refusing.backend.service_port.target or refusing.backend.port,
            pod=refusing.pod.name,
            listens=", ".join(map(str, others)),
            saw=(
                f"{refusing.backend.address}:{refusing.backend.port} refuses",
                f"listening in {refusing.pod.name}: {refusing.seen}",
            ),
            effect=effect_on(tried(look, asked)),
            fix=Fix(
                f"send to {chosen}",
                json_patch("service", service.name, [operation], service.namespace),
                not_pasteable="" if sure else "the Pod listens on several ports, or on one that is in use already",
            ),
        )
    return None


def _runs(refusing: Refusing) -> bool:
    """Every container runs: of a Pod that is still starting or failing, sockets say nothing about the Service."""
    return all(c.state == "running" for c in serving_containers(refusing.pod))


def _other_protocol(refusing: Refusing) -> bool:
    return any(s.port == refusing.backend.port and not s.loopback for s in refusing.listening)


def _candidates(refusing: Refusing) -> list[int]:
    ports = sorted({s.port for s in refusing.elsewhere})
    return [p for p in ports if p not in MESH_PORTS] or ports


def _taken(ports: Iterable[object], index: int) -> set[int]:
    """Target ports that the Service's other ports lead to."""
    numbers = ((getattr(p, "index", -1), getattr(p, "target_number", None)) for p in ports)
    return {number for i, number in numbers if i != index and number is not None}


def _best(refusing: Refusing, candidates: list[int], taken: set[int]) -> tuple[int, bool]:
    """The likeliest port, and whether it is the only sensible one."""
    free = [p for p in candidates if p not in taken]
    if not free:
        return candidates[0], False
    port = refusing.backend.service_port
    declared = [p for c in serving_containers(refusing.pod) for p in c.ports if p.port in free]
    for narrowed in (
        [p for p in free if p == port.port],
        [p.port for p in declared if p.name and p.name in (port.name, port.target)],
        [p.port for p in declared],
        free,
    ):
        if len(set(narrowed)) == 1:
            return narrowed[0], True
    return free[0], False


EARLY_READY = Cause(
    code="early-ready-no-probe",
    title="Traffic is sent to a container that does not listen yet",
    says="Container {container} of {pod} gets traffic since its start, but does not listen on {port} yet: it has no "
    "readiness probe.",
    means="After every start, rollout and scale-up, clients are refused until the application listens.",
    symptom="Refused for some seconds after each start of a Pod; well afterwards.",
    apart="An application that listens on another port has a wrong targetPort; here it listens on nothing yet.",
    mend="Add a readiness probe, so that the Pod joins the Service when it listens.",
    explains=("backend-partly-dead",),
)


@explains(Hop.SOCKET, EARLY_READY)
def early_ready(look: Look, asked: Question) -> Finding | None:
    """A young container without a readiness probe is in the endpoints and does not listen."""
    for refusing in closed(look, asked):
        container = still_starting(look, asked, refusing)
        if container is None or refusing.on_port or _other_protocol(refusing):
            continue
        port, pod = refusing.backend.port, refusing.pod
        owner = owner_of(look, pod)
        probe = {"tcpSocket": {"port": port}, "periodSeconds": 2}
        pod_spec = {"containers": [{"name": container.name, "readinessProbe": probe}]}
        return EARLY_READY.likely(
            at=owner.at(template_path(owner, f"containers[{container.index}].readinessProbe")),
            container=container.name,
            pod=pod.name,
            port=port,
            saw=f"listening in {pod.name}: {refusing.seen}; the endpoint {refusing.backend.address} is ready",
            effect=effect_on(tried(look, asked)),
            fix=Fix(
                "let it join when it listens",
                patch(
                    owner.kind.lower(),
                    owner.name,
                    {"spec": {"template": {"spec": pod_spec}}},
                    namespace=owner.namespace,
                ),
                Risk.REVERSIBLE,
                not_pasteable=""
                if is_patchable(owner)
                else "the probes of a running Pod cannot be changed: recreate it",
            ),
        )
    return None


HEADLESS_PORT = Cause(
    code="headless-port-assumption",
    title="A headless Service does not translate ports",
    says="Service {service} is headless: its port {port} is not turned into {target}, on which the Pods listen.",
    means="Clients that use {service}:{port} reach the Pods themselves on port {port}, where nothing listens.",
    symptom="The name resolves to the Pods' addresses, and the Service's port is refused there.",
    apart="The Pods' own port answers; behind a Service with an address, kube-proxy would do the translation.",
    mend="Use the target port in the client, or give the Service an address (recreate it without clusterIP: None).",
)


@explains(Hop.ADDRESS, HEADLESS_PORT)
def headless_port(look: Look, asked: Question) -> Finding | None:
    """The Service's port is refused by Pods whose own port accepts."""
    service = look(asks.the_service(asked))
    works = {b for b, attempt in tried(look, asked) if attempt.outcome.connected}
    doubtful = [b for b in untranslated(look, asked) if b in works]
    client = client_pod(look, asked)
    tries = look.all([asks.connect(client, b.address, b.service_port.port, b.protocol) for b in doubtful])
    refused = [b for b, attempt in zip(doubtful, tries, strict=True) if attempt.outcome is End.REFUSED]
    if service is None or not refused:
        return None
    backend = refused[0]
    index, port = backend.service_port.index, backend.service_port.port
    operation = {"op": "replace", "path": f"/spec/ports/{index}/port", "value": backend.port}
    return HEADLESS_PORT.confirmed(
        at=service.field(f"spec.ports[{index}].port"),
        service=service.name,
        port=port,
        target=backend.port,
        saw=f"{backend.address}:{backend.port} accepts; port {port} of the same Pod does not",
        fix=Fix(
            f"declare what is true, port {backend.port}, and use it in the clients",
            json_patch("service", service.name, [operation], service.namespace),
            not_pasteable=f"the clients have to use port {backend.port} as well",
        ),
    )
