"""The way from a Pod to the API server: its Service, its endpoints, and what lies between."""

from __future__ import annotations

from kubectl_netdebug.causes import api_asks, asks
from kubectl_netdebug.causes.api_account import own_call
from kubectl_netdebug.causes.api_view import (
    HOST_VARIABLE,
    PORT_VARIABLE,
    Dialled,
    Door,
    about_api,
    dialled_by,
    door_of,
    endpoint_tries,
    identity_of,
    vip_tries,
)
from kubectl_netdebug.causes.backends import client_pod
from kubectl_netdebug.causes.owners import is_patchable, owner_of, template_path
from kubectl_netdebug.causes.policy_judge import blamed
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, Risk, kubectl
from kubectl_netdebug.model.finding import Cause, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.objects.policy import Direction
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.address import is_address
from kubectl_netdebug.net.outcome import Attempt

PROXY_HEALTH = 10256
"""The port on which kube-proxy says whether it does its work."""

HEALTHZ = "/healthz"
KNOWN_ANSWERS = (401, 403, 429, 500, 502, 503, 504)
"""What an API server may well answer to a Pod that asks who it is."""

READYZ = Fix("see how the API server does", kubectl("get", "--raw", "/readyz?verbose"), Risk.READ_ONLY)
SLICE = ObjectRef("EndpointSlice", api_asks.NAMESPACE, api_asks.NAME, "endpoints")

SERVICE_LOST = Cause(
    code="api-service-lost",
    title="The API server's own Service is gone",
    says="Service default/kubernetes {what}.",
    means="Pods find the API server by it: by its address in their environment, and by its name.",
    symptom="In-cluster clients time out, or kubernetes.default.svc does not resolve, while kubectl works.",
    apart="With the Service in place, its endpoints or the way to them are what is wrong.",
    mend="kube-apiserver makes it again by itself within seconds: see what keeps it from that (its log, an admission "
    "policy or webhook), then start those Pods anew whose environment has an old address.",
)


@explains(Hop.API_SERVICE, SERVICE_LOST)
def service_lost(look: Look, asked: Question) -> Finding | None:
    """There is no such Service."""
    if not about_api(asked) or door_of(look).service is not None:
        return None
    return SERVICE_LOST.confirmed(
        at=ObjectRef("Service", api_asks.NAMESPACE, api_asks.NAME),
        what="does not exist",
        saw="the API has no Service kubernetes in namespace default",
        fix=READYZ,
    )


ENDPOINT_WRONG = Cause(
    code="api-endpoint-wrong",
    title="The endpoint of the API Service is not where the API server is",
    says="Service default/kubernetes leads to {wrong}, {how}; the API server answers at {right}.",
    means="Everything in Pods that uses the API server's Service ends there.",
    symptom="Pods time out or are refused at the API server's address while kubectl works.",
    apart="Behind a firewall the endpoint does answer from elsewhere; a dead replica has siblings that answer.",
    mend="Correct kube-apiserver's --advertise-address; it writes the endpoint itself.",
)


@explains(Hop.BACKENDS, ENDPOINT_WRONG)
def endpoint_wrong(look: Look, asked: Question) -> Finding | None:
    """No endpoint answers from the Pod nor from here, and the API server that is asked here answers from the Pod."""
    if not about_api(asked):
        return None
    client, door = client_pod(look, asked), door_of(look)
    tries = endpoint_tries(look, client, door)
    host, port = look(api_asks.own_server())
    if not tries or any(attempt.outcome.connected for _, attempt in tries) or (host, port) in door.endpoints:
        return None
    if not is_address(host):
        return None
    there, *from_here = look.all(
        [asks.connect(client, host, port), *(asks.connect_from_here(*endpoint) for endpoint, _ in tries)]
    )
    if not there.outcome.connected or any(attempt.outcome.connected for attempt in from_here):
        return None
    wrong = ", ".join(_at(*endpoint) for endpoint, _ in tries)
    return ENDPOINT_WRONG.likely(
        at=SLICE,
        wrong=wrong,
        how=f"where nothing answers ({tries[0][1].outcome.words})",
        right=_at(host, port),
        saw=(
            *(f"{client.name} → {_at(*endpoint)}: {attempt.words}" for endpoint, attempt in tries),
            f"{client.name} → {_at(host, port)}, which answers here: {there.words}",
        ),
        fix=Fix(
            "see what stands in the slice",
            kubectl("get", "endpointslice", api_asks.NAME, "-o", "yaml", namespace=api_asks.NAMESPACE),
            Risk.READ_ONLY,
            not_pasteable="the flag --advertise-address of kube-apiserver is set on the control plane",
        ),
    )


@explains(Hop.API_SERVICE, ENDPOINT_WRONG)
def endpoint_absent(look: Look, asked: Question) -> Finding | None:
    """The Service is there, and no endpoint at all."""
    if not about_api(asked):
        return None
    door = door_of(look)
    if door.service is None or door.endpoints:
        return None
    host, port = look(api_asks.own_server())
    return ENDPOINT_WRONG.confirmed(
        at=SLICE,
        wrong="nowhere",
        how="having no endpoint",
        right=_at(host, port),
        saw="EndpointSlices of default/kubernetes: no ready address",
        fix=READYZ,
    )


SERVER_DOWN = Cause(
    code="api-server-down",
    title="One of the API servers does not answer",
    says="The API server at {dead} does not answer ({how}), while {alive} does.",
    means="One in {count} connections of Pods to the API server ends there, until its entry is taken out.",
    symptom="Calls to the API server fail now and then, or after a timeout.",
    apart="Where none answers, the endpoint is wrong or the way is blocked.",
    mend="Restart that kube-apiserver; of one that is gone for good, take the lease and so the endpoint away.",
)


@explains(Hop.BACKENDS, SERVER_DOWN)
def server_down(look: Look, asked: Question) -> Finding | None:
    """It answers neither the Pod nor this machine; its siblings answer the Pod."""
    if not about_api(asked):
        return None
    client, door = client_pod(look, asked), door_of(look)
    tries = endpoint_tries(look, client, door)
    dead = [(endpoint, attempt) for endpoint, attempt in tries if not attempt.outcome.connected]
    alive = [endpoint for endpoint, attempt in tries if attempt.outcome.connected]
    if not dead or not alive:
        return None
    (endpoint, attempt), *_ = dead
    here = look.if_known(asks.connect_from_here(*endpoint))
    if here is not None and here.outcome.connected:
        return None
    return SERVER_DOWN.likely(
        at=SLICE,
        dead=_at(*endpoint),
        how=attempt.outcome.words,
        alive=_at(*alive[0]),
        count=len(tries),
        saw=(
            f"{client.name} → {_at(*endpoint)}: {attempt.words}",
            f"{client.name} → {_at(*alive[0])}: connected",
            *([f"this machine → {_at(*endpoint)}: {here.words}"] if here else []),
        ),
        fix=READYZ,
    )


FIREWALLED = Cause(
    code="api-firewalled-from-pods",
    title="Something on the way blocks Pods from the API server",
    says="Connections of {pod} on {node} to the API server at {server} are {how}, while it answers this machine.",
    means="Nothing in Pods {where} reaches the API server, by its Service or directly.",
    symptom="Every in-cluster client times out at the Service's address and at the API server's own.",
    apart="A NetworkPolicy that selects the Pod would do the same, and so would one of the node's own rules: none "
    "that can be read denies it. With the wrong endpoint nobody could connect.",
    mend="Let the Pod range reach the API server's port: node rules, cloud firewall, security groups, host policies.",
    explains=("api-vip-not-programmed",),
)


@explains(Hop.BACKENDS, FIREWALLED)
def firewalled(look: Look, asked: Question) -> Finding | None:
    """The same address answers here and not the Pod, and no policy that is carried out denies it."""
    if not about_api(asked):
        return None
    client, door = client_pod(look, asked), door_of(look)
    blocked = [(e, a) for e, a in endpoint_tries(look, client, door) if not a.outcome.connected]
    if not blocked or _isolated(look, asked, client):
        return None
    host, port = look(api_asks.own_server())
    for endpoint, attempt in blocked:
        ours = endpoint == (host, port)
        here = None if ours else look.if_known(asks.connect_from_here(*endpoint))
        if ours or (here is not None and here.outcome.connected):
            return _blocked(client, endpoint, attempt, here)
    return None


def _blocked(client: Pod, endpoint: tuple[str, int], attempt: Attempt, here: Attempt | None) -> Finding:
    at = ObjectRef("Node", "", client.node)
    told = f"this machine → {_at(*endpoint)}: {here.words}" if here else f"{_at(*endpoint)} answers what is asked here"
    return FIREWALLED.likely(
        at=at,
        pod=client.name,
        node=client.node,
        server=_at(*endpoint),
        how="lost" if attempt.outcome.lost else attempt.outcome.words,
        where=f"of {client.node}, or of all nodes,",
        saw=(f"{client.name} → {_at(*endpoint)}: {attempt.words}", told),
        fix=Fix(
            "see what the node drops",
            kubectl(
                *("debug", f"node/{client.node}", "-it", "--profile=sysadmin", "--image=nicolaka/netshoot", "--"),
                *("sh", "-c", "iptables-save -c; nft list ruleset"),
            ),
            Risk.READ_ONLY,
            not_pasteable="the rule to change is on the node or on the way, and not in the API",
        ),
    )


def _isolated(look: Look, asked: Question, client: Pod) -> bool:
    """Whether a policy may be what blocks: one that denies these connections, where something carries out policies."""
    policies = look.if_known(asks.objects_in("networkpolicies.networking.k8s.io", client.namespace))
    if policies is None:
        return True
    about_egress = any("Egress" in (p.get("spec") or {}).get("policyTypes", ()) for p in policies)
    return about_egress and bool(blamed(look, asked, Direction.EGRESS))


VIP_LOST = Cause(
    code="api-vip-not-programmed",
    title="The node does not translate the API server's Service address",
    says="From {pod} on {node} the Service address {vip} fails, and the API server behind it answers: {proof}.",
    means="In-cluster clients on that node do not reach the API server; others are well.",
    symptom="dial tcp of the Service address times out or is unreachable; the API server's own address works.",
    apart="Where the API server's own address fails as well, the way there is blocked.",
    mend="See how kube-proxy does on that node (its healthz there, its log), and restart it; iptables-save or nft list "
    "ruleset on the node decide what is missing.",
)


@explains(Hop.ADDRESS, VIP_LOST)
def vip_lost(look: Look, asked: Question) -> Finding | None:
    """Every API server answers the Pod, the address of their Service never does."""
    if not about_api(asked):
        return None
    client, door = client_pod(look, asked), door_of(look)
    if dialled_by(client, door).overridden or not door.address:
        return None
    direct = endpoint_tries(look, client, door)
    tries = vip_tries(look, client, door)
    if not direct or not all(a.outcome.connected for _, a in direct) or any(a.outcome.connected for a in tries):
        return None
    ill, health = _proxy_health(look, client)
    return (VIP_LOST.confirmed if ill else VIP_LOST.likely)(
        at=ObjectRef("Node", "", client.node),
        pod=client.name,
        node=client.node,
        vip=f"{door.address}:{door.port}",
        proof=f"kube-proxy of {client.node} {ill}"
        if ill
        else f"{client.node} does not translate it, or drops it first",
        saw=(
            f"{client.name} → {door.address}:{door.port}: {tries[0].words}, {len(tries)} times",
            f"{client.name} → {_at(*direct[0][0])}: {direct[0][1].words}",
            *([health] if health else []),
        ),
        fix=Fix(
            "restart kube-proxy on that node",
            kubectl(
                *("delete", "pod", "-l", "k8s-app=kube-proxy", f"--field-selector=spec.nodeName={client.node}"),
                namespace="kube-system",
            ),
            Risk.DISRUPTIVE,
            not_pasteable="" if _proxy_pods(look) else "kube-proxy is no Pod here: restart it on the node",
        ),
    )


def _proxy_health(look: Look, client: Pod) -> tuple[str, str]:
    """(what is wrong with kube-proxy on the client's node or '', how that was seen)."""
    node = next((n for n in look.if_known(asks.nodes()) or () if n.name == client.node), None)
    if node is None or not node.internal_ip:
        return "", ""
    attempt = look.if_known(asks.connect(client, node.internal_ip, PROXY_HEALTH))
    if attempt is None or not attempt.outcome.connected:
        return "", ""
    reply = look.if_known(asks.http(client, node.internal_ip, PROXY_HEALTH, HEALTHZ))
    if reply is None:
        return "", ""
    told = f"kube-proxy's {HEALTHZ} on {client.node}: {reply.words}"
    if reply.nothing:
        return "does not answer", told
    return ("says that it is behind", told) if reply.status == 503 else ("", told)


def _proxy_pods(look: Look) -> bool:
    pods = look.if_known(asks.pods_in("kube-system")) or ()
    return any(pod.labels.get("k8s-app") == "kube-proxy" for pod in pods)


ENV_OVERRIDE = Cause(
    code="api-env-override",
    title="The Pod's environment points its API client elsewhere",
    says="{variable} of container {container} in {owner} leads API clients to {there}, {how}; the cluster's own "
    "address is {right}.",
    means="In-cluster configuration takes the API server's address from these two variables and from nothing else.",
    symptom="One app dials an odd address for the API server, while other Pods are well.",
    apart="Without the variables in its template kubelet sets them; then the Service or the way is what is wrong.",
    mend="Take the variables out of the Pod template, or correct them.",
    explains=("api-cert-san", "api-ca-mismatch", "api-cert-expired"),
)


@explains(Hop.ADDRESS, ENV_OVERRIDE)
def env_override(look: Look, asked: Question) -> Finding | None:
    """What it leads to does not answer, and the cluster's own address does."""
    if not about_api(asked):
        return None
    client, door = client_pod(look, asked), door_of(look)
    dialled = dialled_by(client, door)
    if not dialled.overridden or not door.address:
        return None
    tries = vip_tries(look, client, door)
    attempt = look(asks.connect(client, dialled.host, dialled.port))
    if attempt.outcome.connected or not any(each.outcome.connected for each in tries):
        return None
    how = f"where nothing answers ({attempt.outcome.words})"
    return _overridden(look, client, door, dialled, how, f"{client.name} → {dialled}: {attempt.words}")


@explains(Hop.TLS, ENV_OVERRIDE)
def env_to_another_server(look: Look, asked: Question) -> Finding | None:
    """What answers there is not this cluster's API server, going by its certificate."""
    from kubectl_netdebug.causes.api_trust import faults_of, shown_to

    if not about_api(asked):
        return None
    client, door = client_pod(look, asked), door_of(look)
    dialled = dialled_by(client, door)
    if not dialled.overridden or not any(each.outcome.connected for each in vip_tries(look, client, door)):
        return None
    shown = shown_to(look, client)
    if shown is None:
        return None
    faults = [f.words for f in faults_of(look, client, shown) if f.breaks]
    if shown.answer.outcome == "tls" and not faults:
        return None
    how = f"whose certificate will not do: {'; '.join(faults)}" if faults else "which speaks no TLS"
    return _overridden(look, client, door, dialled, how, f"TLS from {client.name} to {dialled}: {shown.answer.words}")


@explains(Hop.AUTHENTICATION, ENV_OVERRIDE)
def env_to_no_api(look: Look, asked: Question) -> Finding | None:
    """What answers there has a certificate that will do, as a kubelet may, and does not know the API."""
    if not about_api(asked):
        return None
    client, door = client_pod(look, asked), door_of(look)
    dialled = dialled_by(client, door)
    reply = own_call(look, client, identity_of(look, client), "whoami") if dialled.overridden else None
    if reply is None or reply.outcome not in ("answer", "not-http") or reply.good or reply.status in KNOWN_ANSWERS:
        return None
    if not any(each.outcome.connected for each in vip_tries(look, client, door)):
        return None
    how = "where something answers that is no API server"
    return _overridden(look, client, door, dialled, how, f"a call of {client.name} at {dialled}: {reply.words}")


def _overridden(look: Look, client: Pod, door: Door, dialled: Dialled, how: str, saw: str) -> Finding:
    container = dialled.container
    assert container is not None
    owner = owner_of(look, client)
    names = [name for name in (HOST_VARIABLE, PORT_VARIABLE) if container.env.get(name) is not None]
    unset = kubectl(
        *("set", "env", owner.short, "-c", container.name, *(f"{name}-" for name in names)), namespace=owner.namespace
    )
    note = "" if is_patchable(owner) else "the environment of a running Pod cannot be changed: make it again without"
    return ENV_OVERRIDE.confirmed(
        at=owner.at(template_path(owner, f"containers[{container.index}].env")),
        variable=" and ".join(names),
        container=container.name,
        owner=f"{owner.kind} {owner.name}",
        there=dialled,
        how=how,
        right=f"{door.address}:{door.port}",
        saw=(saw, f"{client.name} → {door.address}:{door.port}: connected"),
        fix=Fix("take them out; kubelet then sets the right ones", unset, Risk.DISRUPTIVE, not_pasteable=note),
    )


def _at(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
