"""Service meshes: which proxy takes a Pod's connections, and what goes wrong because of it.

Connects to a port behind such a proxy prove little: the proxy accepts whatever the application does.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.owners import is_patchable, owner_of
from kubectl_netdebug.causes.protocol import MESH_CONTAINERS, Spoken, spoken_with
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.causes.trouble import last_line, worst
from kubectl_netdebug.model.command import Fix, Risk, kubectl, patch
from kubectl_netdebug.model.finding import Cause, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.pod import MESH_PROXIES, Container, Pod
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.text import sanitise

PEER_AUTHENTICATIONS = "peerauthentications.security.istio.io"
ROOTMESH_PROXIESPACE = "istio-system"
CONTROL_PLANES = {"Istio": ("istio-system", "istiod"), "Linkerd": ("linkerd", "linkerd-destination")}
_REDIRECTS = ("istio-init", "istio-validation", "linkerd-init", "linkerd-network-validator")


@dataclass(frozen=True)
class Mesh:
    """The proxy in a Pod. `native`: it is an init container that goes on running."""

    name: str
    proxy: Container
    native: bool
    redirects: bool
    """Something in the Pod sends all its connections through the proxy, so that every port seems open."""


def mesh_of(pod: Pod | None) -> Mesh | None:
    """The mesh that a Pod is part of by a sidecar; None where it has none."""
    for container in (*pod.containers, *pod.init_containers) if pod else ():
        if container.name in MESH_CONTAINERS:
            assert pod is not None
            setups = {c.name for c in pod.init_containers} & set(_REDIRECTS)
            by_node = "sidecar.istio.io/status" in pod.annotations or "linkerd.io/proxy-version" in pod.annotations
            native = container in pod.init_containers
            return Mesh(MESH_PROXIES.get(container.name, "a mesh"), container, native, bool(setups) or by_node)
    return None


SIDECAR_NOT_READY = Cause(
    code="mesh-sidecar-not-ready",
    title="The mesh's proxy in the Pod is not ready",
    says="The application in {whose} is ready, and {mesh}'s proxy {container} beside it is not: {why}.",
    means="A Pod is ready only when all its containers are, so it takes no traffic.",
    symptom="Pods stay at 1/2 ready; the application's own log is clean.",
    apart="Where the application's probe fails, its own container is the one that is not ready.",
    mend="See what the proxy waits for: the mesh's control plane, its certificate, the way there.",
    explains=(
        "endpoints-not-ready",
        "readiness-probe-wrong",
        "pod-crashloop",
        "backend-partly-dead",
    ),
)

_TELLING = re.compile(r"istiod|pilot|xds|1501[0-9]|linkerd|identity|certificate|x509|csr|upstream connect", re.I)


@explains(Hop.POD, SIDECAR_NOT_READY)
@explains(Hop.ENDPOINTS, SIDECAR_NOT_READY)
def sidecar_not_ready(look: Look, asked: Question) -> Finding | None:
    """All of the Pod's own containers are ready, its proxy is not."""

    def waiting(pod: Pod) -> Container | None:
        mesh = mesh_of(pod)
        if mesh is None or mesh.proxy.ready:
            return None
        own = [c for c in pod.containers if c is not mesh.proxy]
        return mesh.proxy if own and all(c.ready for c in own) else None

    trouble = worst(look, asked, waiting)
    mesh = mesh_of(trouble.pod) if trouble else None
    if trouble is None or mesh is None:
        return None
    log = look.if_known(asks.log_of(trouble.pod, mesh.proxy.name)) or ""
    telling = next((line for line in reversed(log.splitlines()) if _TELLING.search(line)), "") or last_line(log)
    state = f"it is {mesh.proxy.state} {mesh.proxy.reason}".rstrip()
    return SIDECAR_NOT_READY.confirmed(
        at=trouble.owner,
        whose=trouble.whose,
        mesh=mesh.name,
        container=mesh.proxy.name,
        why=sanitise(telling, 160) or state,
        effect=trouble.effect,
        saw=(
            f"{trouble.pod.name}: {mesh.proxy.name} {state}, not ready",
            *([f"it wrote: {telling}"] if telling else []),
        ),
        fixes=tuple(_waking(look, mesh, trouble.owner)),
    )


def _waking(look: Look, mesh: Mesh, owner: ObjectRef) -> Iterator[Fix]:
    namespace, name = CONTROL_PLANES.get(mesh.name, ("", ""))
    control_plane = look.if_known(asks.raw_object("deployments.apps", namespace, name)) if name else None
    if control_plane is not None:
        restart = kubectl("rollout", "restart", f"deployment/{name}", namespace=namespace)
        yield Fix(f"restart {mesh.name}'s control plane", restart, Risk.DISRUPTIVE)
    elif name:
        see = kubectl("get", "deployments,services,pods", namespace=namespace)
        note = f"there is no Deployment {namespace}/{name}, which the proxy gets its configuration from"
        yield Fix(f"see whether {mesh.name}'s control plane is there", see, Risk.READ_ONLY, not_pasteable=note)
    if is_patchable(owner):
        again = kubectl("rollout", "restart", owner.short, namespace=owner.namespace)
        yield Fix("then start the Pods anew", again, Risk.DISRUPTIVE)


STRICT_MTLS = Cause(
    code="mesh-strict-mtls",
    title="The server's mesh wants mutual TLS, and the client is not in the mesh",
    says="{server} is in {mesh}, which takes mutual TLS alone ({proof}), and the client {client} has no proxy that "
    "speaks it.",
    means="Connections are accepted by the server's proxy and closed at once, without a word of the application.",
    symptom="Connection reset by peer, empty reply or 503 from clients outside the mesh; those inside are well.",
    apart="An application that fails answers with its own words; a policy that drops packets lets nothing be accepted.",
    mend="Take the client into the mesh; or let the server accept plain text too (PeerAuthentication PERMISSIVE).",
    explains=("scheme-mismatch",),
)


@dataclass(frozen=True)
class Refused:
    """A meshed backend that closed on plain HTTP from a client without a proxy."""

    spoken: Spoken
    mesh: Mesh
    server: Pod
    policy: ObjectRef | None
    """The PeerAuthentication that demands it, where one can be read."""


def refused_by_mesh(look: Look, asked: Question) -> Refused | None:
    """Plain HTTP is accepted and closed by a meshed Pod, and a policy or its TLS says why."""
    spoken = spoken_with(look, asked)
    mesh = mesh_of(spoken.pod) if spoken else None
    if spoken is None or mesh is None or spoken.pod is None or mesh_of(spoken.client) or spoken.http is None:
        return None
    if spoken.http.answered or spoken.http.outcome == "timed-out":
        return None
    policy = _strict(look, spoken.pod)
    if policy is None and not (spoken.tls is not None and spoken.tls.speaks_tls):
        return None
    return Refused(spoken, mesh, spoken.pod, policy)


def _strict(look: Look, pod: Pod) -> ObjectRef | None:
    """The most particular PeerAuthentication for a Pod, where its mode is STRICT."""
    found: list[tuple[int, str, ObjectRef]] = []
    for namespace in dict.fromkeys((pod.namespace, ROOTMESH_PROXIESPACE)):
        for each in look.if_known(asks.objects_in(PEER_AUTHENTICATIONS, namespace)) or []:
            labels = tree.labels(each, "spec", "selector", "matchLabels")
            if not all(pod.labels.get(k) == v for k, v in labels.items()):
                continue
            place = 0 if labels else 1 if namespace == pod.namespace else 2
            at = ObjectRef("PeerAuthentication", namespace, tree.text(each, "metadata", "name"), "spec.mtls.mode")
            found.append((place, tree.text(each, "spec", "mtls", "mode"), at))
    telling = [entry for entry in sorted(found, key=lambda e: e[0]) if entry[1] not in ("", "UNSET")]
    return telling[0][2] if telling and telling[0][1] == "STRICT" else None


@explains(Hop.PROTOCOL, STRICT_MTLS)
def strict_mtls(look: Look, asked: Question) -> Finding | None:
    """Closed without a word, on the server's side of a mesh."""
    refused = refused_by_mesh(look, asked)
    if refused is None:
        return None
    spoken, policy = refused.spoken, refused.policy
    assert spoken.http is not None
    proof = (
        f"PeerAuthentication {policy.namespace}/{policy.name} is STRICT" if policy else "it closes plain connections"
    )
    fixes = _admitting(policy) if policy else ()
    return (STRICT_MTLS.confirmed if policy else STRICT_MTLS.likely)(
        at=policy or owner_of(look, refused.server),
        server=refused.server.name,
        mesh=refused.mesh.name,
        proof=proof,
        client=spoken.client.name,
        saw=(
            f"plain HTTP to {spoken.backend.label}: {spoken.http.words}",
            f"{refused.server.name} has the container {refused.mesh.proxy.name}, {spoken.client.name} has none such",
        ),
        fixes=fixes,
    )


def _admitting(policy: ObjectRef) -> tuple[Fix, ...]:
    body: Mapping[str, Any] = {"spec": {"mtls": {"mode": "PERMISSIVE"}}}
    words = patch("peerauthentication", policy.name, body, policy.namespace).argv
    merge = kubectl(*words[:3], "--type=merge", *words[3:], namespace=policy.namespace)
    return (Fix("let plain text in as well", merge),)


INJECTION_MISSING = Cause(
    code="mesh-injection-missing",
    title="The client's Pod was not taken into its namespace's mesh",
    says="Namespace {namespace} asks for {mesh}'s proxy in every Pod, and {client} has none; {server} takes "
    "connections from inside the mesh alone.",
    means="Its connections are closed by the server's proxy, and the mesh's routes and policies do not apply to it.",
    symptom="One workload is refused by meshed servers, or ignores the mesh's rules; its Pods have one container less.",
    apart="Where the namespace does not ask for a proxy, the client is outside the mesh on purpose.",
    mend="Start its Pods anew: a proxy is added only when a Pod is made.",
    explains=("mesh-strict-mtls",),
)


@explains(Hop.PROTOCOL, INJECTION_MISSING)
def injection_missing(look: Look, asked: Question) -> Finding | None:
    """The namespace's label asks for a proxy, the client does not decline it and has none."""
    refused = refused_by_mesh(look, asked)
    if refused is None:
        return None
    client = refused.spoken.client
    namespace = look.if_known(asks.raw_object("namespaces", "", client.namespace))
    asks_for = _wanted(namespace)
    if not asks_for or _declines(client):
        return None
    owner = owner_of(look, client)
    restart = kubectl("rollout", "restart", owner.short, namespace=owner.namespace)
    note = "" if is_patchable(owner) else "nothing makes this Pod again: delete it and apply its manifest once more"
    return INJECTION_MISSING.confirmed(
        at=owner,
        namespace=client.namespace,
        mesh=refused.mesh.name,
        client=client.name,
        server=refused.server.name,
        saw=(f"namespace {client.namespace}: {asks_for}", f"{client.name} has no proxy among its containers"),
        fix=Fix("start its Pods anew", restart, Risk.DISRUPTIVE, not_pasteable=note),
    )


def _wanted(namespace: object) -> str:
    """The label or annotation by which a namespace asks for proxies, or ''."""
    labels = tree.labels(namespace, "metadata", "labels")
    notes = tree.labels(namespace, "metadata", "annotations")
    if labels.get("istio-injection") == "enabled":
        return "istio-injection=enabled"
    if labels.get("istio.io/rev") and labels.get("istio-injection") != "disabled":
        return f"istio.io/rev={labels['istio.io/rev']}"
    return "linkerd.io/inject: enabled" if notes.get("linkerd.io/inject") == "enabled" else ""


def _declines(pod: Pod) -> bool:
    said = (pod.labels.get("sidecar.istio.io/inject"), pod.annotations.get("sidecar.istio.io/inject"))
    return "false" in said or pod.annotations.get("linkerd.io/inject") == "disabled" or pod.host_network
