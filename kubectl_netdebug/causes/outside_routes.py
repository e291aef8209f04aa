"""What the client's own network namespace lacks for a way out: a default route, free local ports."""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import client_pod
from kubectl_netdebug.causes.outside_way import addresses_of, is_outside, none_connected, port_of, tried_outside
from kubectl_netdebug.causes.owners import is_patchable, owner_of, template_path
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, Risk, kubectl, patch
from kubectl_netdebug.model.finding import Cause, Effect, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.outcome import Outcome as End
from kubectl_netdebug.net.procroute import Route, read_range, read_routes, read_routes6, route_to, used_towards

ROUTES_FILE = "/proc/net/route"
ROUTES6_FILE = "/proc/net/ipv6_route"
RANGE_FILE = "/proc/sys/net/ipv4/ip_local_port_range"

NO_ROUTE = Cause(
    code="egress-default-route-missing",
    title="The Pod has no default route",
    says="{whose} has no route to {address}: there is {routes}.",
    means="The Pod's kernel has nowhere to send packets for other networks, and refuses such connections at once.",
    symptom="'Network is unreachable' at once for everything beyond the Pod's own network.",
    apart="With a route whose gateway is dead, connects end as 'no route to host' after about 3 s, or time out.",
    mend="Make the Pod again; if new Pods lack the route too, add it to ipam.routes in the node's CNI configuration.",
    explains=("egress-firewall", "egress-masquerade-missing"),
)


def way_out(look: Look, client: Pod, address: str) -> Route | None:
    """The route of the client's main table that leads to an address."""
    if ":" in address:
        routes = read_routes6(look(asks.file_in(client, ROUTES6_FILE)))
    else:
        routes = read_routes(look(asks.file_in(client, ROUTES_FILE)))
    found = route_to(routes, address)
    return None if found is None or found.rejects else found


@explains(Hop.ROUTES, NO_ROUTE)
def default_route_missing(look: Look, asked: Question) -> Finding | None:
    """No route of the Pod covers the address, and the kernel says so."""
    if not is_outside(asked):
        return None
    client = client_pod(look, asked)
    unreachable = {a for a, attempt in tried_outside(look, asked) if attempt.outcome is End.NET_UNREACHABLE}
    lacking = [a for a in addresses_of(look, asked) if a in unreachable and way_out(look, client, a) is None]
    if not lacking:
        return None
    address = lacking[0]
    text = look(asks.file_in(client, ROUTES6_FILE if ":" in address else ROUTES_FILE))
    there = (read_routes6 if ":" in address else read_routes)(text)
    owner = owner_of(look, client)
    at = ObjectRef("Node", "", client.node) if client.host_network else client.at
    attempt = next(a for place, a in tried_outside(look, asked) if place == address)
    return NO_ROUTE.confirmed(
        at=at,
        whose=f"Node {client.node}" if client.host_network else f"Pod {client.name}",
        address=address,
        routes=f"only {', '.join(map(str, there[:3]))}" if there else "none at all",
        saw=(
            f"{ROUTES_FILE} of {client.name}: {'; '.join(map(str, there[:4])) or 'empty'}",
            f"{client.name} → {address}:{port_of(asked)}: {attempt.words}",
        ),
        fixes=() if client.host_network else (_replace(client, made_again=owner.kind != "Pod"),),
    )


def _replace(pod: Pod, *, made_again: bool) -> Fix:
    return Fix(
        "make the Pod again, with a network of its own that is set up anew",
        kubectl("delete", "pod", pod.name, namespace=pod.namespace),
        Risk.DISRUPTIVE,
        not_pasteable="" if made_again else "nothing makes this Pod again once it is deleted",
    )


NO_PORTS = Cause(
    code="pod-ephemeral-ports",
    title="The Pod has used up its local ports",
    says="{pod} has no local port left for {address}:{port}: {used} connections to it, {range} may be used.",
    means="Every further connection of this Pod to that address and port fails at once.",
    symptom="'Cannot assign requested address' (EADDRNOTAVAIL) at once, for one busy destination.",
    apart="When the ports of the node's SNAT are used up, connections time out instead, for many Pods.",
    mend="Keep connections open and use them again; a wider range only puts it off.",
)
PORT_RANGE = "net.ipv4.ip_local_port_range"


@explains(Hop.ADDRESS, NO_PORTS)
def ephemeral_ports(look: Look, asked: Question) -> Finding | None:
    """Our own connect got no local port, and the sockets towards the destination fill the range."""
    if not is_outside(asked):
        return None
    without = [a for a, attempt in tried_outside(look, asked) if attempt.outcome is End.NO_LOCAL_ADDRESS]
    if not without:
        return None
    client, address, port = client_pod(look, asked), without[0], port_of(asked)
    limits, files = look.together(asks.file_in(client, RANGE_FILE), asks.socket_files(client))
    span = read_range(limits)
    used = used_towards(files, address, port)
    total = sum(used.values())
    if span is None or total < min(MANY_SOCKETS, (span[1] - span[0] + 1) // 2 - TRIES_IN_FLIGHT):
        return None
    owner = owner_of(look, client)
    states = ", ".join(f"{count} {state}" for state, count in used.most_common(3))
    body = {"spec": {"securityContext": {"sysctls": [{"name": PORT_RANGE, "value": "1024 65535"}]}}}
    widened = {"spec": {"template": body}} if owner.kind != "Pod" else body
    fix = Fix(
        "widen the range (a safe sysctl)",
        patch(owner.kind.lower(), owner.name, widened, owner.namespace),
        Risk.DISRUPTIVE,
        not_pasteable="" if is_patchable(owner) else "the sysctls of a running Pod cannot be changed: make it again",
    )
    return NO_PORTS.confirmed(
        at=owner.at(template_path(owner, "securityContext.sysctls")),
        pod=client.name,
        address=address,
        port=port,
        used=f"{total} ({states})",
        range=f"ports {span[0]} to {span[1]}",
        effect=Effect.BREAKS if none_connected(tried_outside(look, asked)) else Effect.DEGRADES,
        saw=(
            f"{total} sockets of {client.name} lead to {address}:{port} ({states})",
            f"{RANGE_FILE}: {limits.strip()}",
        ),
        fix=fix,
    )


TRIES_IN_FLIGHT = 4
"""Ports that connects of our own may hold at that moment."""

MANY_SOCKETS = 1000
"""So many towards one place are counted as enough: a long table is read in part only."""
