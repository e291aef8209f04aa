"""Named target ports: a name that the Pods do not declare leads nowhere."""

from __future__ import annotations

import difflib

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import live_pods, ports_asked
from kubectl_netdebug.causes.reach import serving_containers
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.causes.sockets import PROTOCOL_MISMATCH
from kubectl_netdebug.model.command import Fix, json_patch
from kubectl_netdebug.model.finding import Cause, Effect, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.pod import ContainerPort, Pod
from kubectl_netdebug.model.objects.service import Service, ServicePort
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When

TARGETPORT_NAME_MISSING = Cause(
    code="service-targetport-name-missing",
    title="The targetPort is a name that the Pods do not declare",
    says="targetPort of port {port} of Service {service} is the name {name}, which {lacking} of {total} "
    "Pods do not declare.",
    means="For that port these Pods are left out of the Service's endpoints; without any, every connection is refused.",
    symptom="Refused at once for that port although the Pods are Ready.",
    apart="With a selector mismatch no Pod is selected at all; with a wrong number the endpoints are there and refuse.",
    mend="Use a port name that the Pods declare, or the number; or name the container's port so.",
    explains=("endpoints-not-ready",),
)


@explains(Hop.ENDPOINTS, TARGETPORT_NAME_MISSING, When.ALWAYS)
def targetport_name_missing(look: Look, asked: Question) -> Finding | None:
    """A named target port that some of the selected Pods lack; those of another workload are not meant to have it."""
    service = look(asks.the_service(asked))
    if service is None or not service.selector:
        return None
    named = [p for p in ports_asked(service, asked) if p.target_number is None]
    if not named:
        return None
    pods = live_pods(look(asks.pods_selected_by(service)))
    for port in named:
        having = [pod for pod in pods if _declared(pod, port)]
        lacking = [pod for pod in pods if not _declared(pod, port)]
        if having:
            lacking = [pod for pod in lacking if _same_workload(pod, having)]
        if lacking and not any(_other_protocol(pod, port) for pod in lacking):
            return _name_missing(look, asked, service, port, lacking, len(having))
    return None


def _name_missing(
    look: Look, asked: Question, service: Service, port: ServicePort, lacking: list[Pod], having: int
) -> Finding:
    only_port = len(ports_asked(service, asked)) == 1
    target, sure = _better_target(look, port, lacking)
    operation = {"op": "replace", "path": f"/spec/ports/{port.index}/targetPort", "value": target}
    declared = sorted({f"{p.name or 'unnamed'} {p.port}/{p.protocol}" for pod in lacking for p in _ports(pod)})
    return TARGETPORT_NAME_MISSING.confirmed(
        at=service.field(f"spec.ports[{port.index}].targetPort"),
        port=port.port,
        service=service.name,
        name=port.target,
        lacking=len(lacking),
        total=len(lacking) + having,
        saw=f"ports that {lacking[0].name} declares: {', '.join(declared) or 'none'}",
        effect=Effect.BREAKS if only_port and not having else Effect.DEGRADES,
        fix=Fix(
            f"send to {target}",
            json_patch("service", service.name, [operation], service.namespace),
            not_pasteable="" if sure else "which port the application listens on could not be told",
        )
        if target
        else None,
    )


def _ports(pod: Pod) -> list[ContainerPort]:
    return [p for container in serving_containers(pod) for p in container.ports]


def _declared(pod: Pod, port: ServicePort) -> bool:
    return any(p.name == port.target and p.protocol == port.protocol for p in _ports(pod))


def _other_protocol(pod: Pod, port: ServicePort) -> ContainerPort | None:
    return next((p for p in _ports(pod) if p.name == port.target and p.protocol != port.protocol), None)


def _same_workload(pod: Pod, others: list[Pod]) -> bool:
    """Pods of one Deployment share their ReplicaSets' name up to the hash, whatever revision they are of."""
    return _workload(pod) in {_workload(other) for other in others}


def _workload(pod: Pod) -> tuple[str, str]:
    suffix = "-" + pod.labels.get("pod-template-hash", "")
    return pod.owner_kind, pod.owner_name.removesuffix(suffix)


def _better_target(look: Look, port: ServicePort, lacking: list[Pod]) -> tuple[str | int, bool]:
    """A declared port of the same protocol (by name where it has one), else what the Pod listens on; and how sure."""
    fitting = sorted({(p.port, p.name) for pod in lacking for p in _ports(pod) if p.protocol == port.protocol})
    everywhere = [f for f in fitting if all(_has(pod, f, port.protocol) for pod in lacking)]
    if everywhere:
        close = difflib.get_close_matches(port.target, [name for _, name in everywhere if name], n=1, cutoff=0.6)
        if close:
            return close[0], True
        same_number = [f for f in everywhere if f[0] == port.port]
        number, name = (same_number or everywhere)[0]
        return name or number, len(everywhere) == 1 or bool(same_number)
    look_inside = look.if_known(asks.may_probe())
    listening = look.if_known(asks.sockets_of(lacking[0])) if look_inside else None
    numbers = sorted({s.port for s in listening or () if s.protocol == port.protocol and not s.loopback})
    return (numbers[0], len(numbers) == 1) if numbers else ("", False)


def _has(pod: Pod, fitting: tuple[int, str], protocol: str) -> bool:
    return any((p.port, p.name, p.protocol) == (*fitting, protocol) for p in _ports(pod))


@explains(Hop.ENDPOINTS, PROTOCOL_MISMATCH)
def named_protocol_mismatch(look: Look, asked: Question) -> Finding | None:
    """The Pods declare a port of that name, in the other protocol; a named target is only met in its own."""
    service = look(asks.the_service(asked))
    if service is None or not service.selector:
        return None
    pods = live_pods(look(asks.pods_selected_by(service)))
    for port in ports_asked(service, asked):
        others = [_other_protocol(pod, port) for pod in pods if not _declared(pod, port)]
        declared = next((p for p in others if p), None)
        if port.target_number is not None or declared is None or len(others) < len(pods):
            continue
        path = f"/spec/ports/{port.index}/protocol"
        operation = {"op": "replace", "path": path, "value": declared.protocol}
        return PROTOCOL_MISMATCH.confirmed(
            at=service.field(f"spec.ports[{port.index}].protocol"),
            port=port.port,
            service=service.name,
            declared=port.protocol,
            target=declared.name,
            spoken=declared.protocol,
            saw=f"the Pods declare {declared.name} as {declared.port}/{declared.protocol}",
            effect=Effect.BREAKS if len(ports_asked(service, asked)) == 1 else Effect.DEGRADES,
            fix=Fix(
                f"make the port {declared.protocol}",
                json_patch("service", service.name, [operation], service.namespace),
            ),
        )
    return None
