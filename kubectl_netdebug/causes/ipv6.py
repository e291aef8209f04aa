"""Two address families: an application, a Service or a Pod that has one of them only."""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import client_pod
from kubectl_netdebug.causes.outside_routes import ROUTES6_FILE
from kubectl_netdebug.causes.outside_way import is_outside, tried_outside
from kubectl_netdebug.causes.owners import owner_of, template_path
from kubectl_netdebug.causes.reach import closed, effect_on, tried
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, Risk, kubectl, patch
from kubectl_netdebug.model.finding import Cause, Effect, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.question import FlowName, Question
from kubectl_netdebug.net.iproute_proc import own_addresses
from kubectl_netdebug.net.outcome import Outcome as End
from kubectl_netdebug.net.procroute import read_routes6

TRIE_FILE = "/proc/net/fib_trie"
DISABLED_FILE = "/proc/sys/net/ipv6/conf/all/disable_ipv6"
ADDRESSES_FILE = "/proc/net/if_inet6"
FLOWS = (FlowName.SERVICE, FlowName.POD_TO_POD)

SINGLE_FAMILY_APP = Cause(
    code="v6-app-single-family",
    title="The application listens on one address family only",
    says="The application in {pod} listens on {listens} only, so clients that use {family} are refused.",
    means="Which family a client takes is its resolver's choice: some clients fail always, others sometimes.",
    symptom="One family is refused at once, the other works; curl -4 and curl -6 differ.",
    apart="With a wrong targetPort both families are refused; with IPv6 off in the Pod there is no address at all.",
    mend="Bind both families (usually [::]), or make the Service SingleStack with the family that works.",
    explains=("backend-partly-dead", "service-targetport-wrong"),
)


@explains(Hop.BACKENDS, SINGLE_FAMILY_APP)
def single_family_app(look: Look, asked: Question) -> Finding | None:
    """The Pod refuses by its address of one family, and what listens on the port is bound to the other.

    What is bound to `::` is believed to take both, unless the application says otherwise:
    who refuses then is not this Pod.
    """
    for each in closed(look, asked):
        six = ":" in each.backend.address
        listeners = [s for s in each.on_port if not s.loopback]
        others = [s for s in listeners if (":" in s.address) is not six]
        if not others or len(others) < len(listeners):
            continue
        service = look(asks.the_service(asked)) if asked.service else None
        owner = owner_of(look, each.pod)
        works = service is not None and len(service.ip_families) > 1 and service.ip_families[0] == _name(not six)
        fix = (
            Fix(
                f"offer {_name(not six)} alone",
                patch("service", service.name, {"spec": {"ipFamilyPolicy": "SingleStack"}}, service.namespace),
            )
            if service is not None and works
            else None
        )
        return SINGLE_FAMILY_APP.confirmed(
            at=owner.at(template_path(owner, "containers[0]")),
            pod=each.pod.name,
            listens=", ".join(map(str, others[:2])),
            family=_name(six),
            effect=effect_on(tried(look, asked)),
            saw=(
                f"listening in {each.pod.name}: {each.seen}",
                f"{each.backend.address} port {each.backend.port} refuses",
            ),
            fix=fix,
        )
    return None


SERVICE_FAMILY = Cause(
    code="v6-service-family",
    title="The Service has no address of the client's family",
    says="Service {service} has {families} only, and {client} has only {family}.",
    means="The client gets no address that it could use: its question for the other record type stays empty.",
    symptom="AAAA (or A) is empty although the Service exists; clients with both families are well.",
    apart="A name that does not exist is NXDOMAIN for both types.",
    mend="Make the Service dual-stack, if the cluster and the application are.",
    explains=("egress-default-route-missing", "service-name-unresolved", "v6-disabled-in-pod"),
)


@explains(Hop.BACKENDS, SERVICE_FAMILY)
@explains(Hop.ADDRESS, SERVICE_FAMILY)
def service_family(look: Look, asked: Question) -> Finding | None:
    """The client's network has one family, the Service the other, and connects end at once without a way."""
    service = look(asks.the_service(asked)) if asked.service and asked.flow in FLOWS else None
    if service is None or len(service.ip_families) != 1:
        return None
    ends = {attempt.outcome for _, attempt in tried(look, asked)}
    if not ends or not ends <= {End.NET_UNREACHABLE, End.NO_LOCAL_ADDRESS}:
        return None
    client = client_pod(look, asked)
    four, six = _has_four(look, client), _has_six(look, client)
    theirs = service.ip_families[0]
    if (theirs, four, six) not in (("IPv4", False, True), ("IPv6", True, False)):
        return None
    if theirs == "IPv6" and len(client.ips) > 1:
        return None  # it was given an address of that family: then it lost it
    change = {"spec": {"ipFamilyPolicy": "PreferDualStack"}}
    return SERVICE_FAMILY.confirmed(
        at=service.field("spec.ipFamilies"),
        service=service.name,
        families=theirs,
        client=client.name,
        family=_name(six),
        saw=f"addresses in {client.name}: {'IPv4' if four else 'no IPv4'}, {'IPv6' if six else 'no IPv6'}",
        fix=Fix("ask for both families", patch("service", service.name, change, service.namespace)),
    )


DISABLED = Cause(
    code="v6-disabled-in-pod",
    title="IPv6 is switched off in the Pod",
    says="{pod} has no IPv6: {what}.",
    means="Whatever the Pod tries over IPv6 fails at once, and nobody reaches it by its IPv6 address.",
    symptom="'Cannot assign requested address' or 'network unreachable' at once, for IPv6 alone.",
    apart="With IPv6 forwarding off on the node, connections time out, for all its Pods.",
    mend="Take the sysctl (or the tuning plugin's entry) out that switches it off, and make the Pod again.",
    explains=("egress-default-route-missing", "backend-partly-dead"),
)


@explains(Hop.BACKENDS, DISABLED)
@explains(Hop.ADDRESS, DISABLED)
def disabled_in_pod(look: Look, asked: Question) -> Finding | None:
    """The client's connects over IPv6 fail at once, although the Pod was given an IPv6 address."""
    if is_outside(asked):
        results = [(address, attempt) for address, attempt in tried_outside(look, asked)]
    elif asked.flow in FLOWS:
        results = [(backend.address, attempt) for backend, attempt in tried(look, asked)]
    else:
        return None
    ends = {attempt.outcome for address, attempt in results if ":" in address}
    if not ends or not ends <= {End.NET_UNREACHABLE, End.NO_LOCAL_ADDRESS}:
        return None
    client = client_pod(look, asked)
    if client.host_network or not any(":" in ip for ip in client.ips) or _has_six(look, client):
        return None
    off = (look.if_known(asks.file_in(client, DISABLED_FILE)) or "").strip() == "1"
    given = next(ip for ip in client.ips if ":" in ip)
    four_works = any(attempt.outcome.connected for _, attempt in results)
    return DISABLED.confirmed(
        at=client.at,
        pod=client.name,
        what="net.ipv6.conf.all.disable_ipv6 is 1" if off else f"its address {given} is gone",
        effect=Effect.DEGRADES if four_works else Effect.BREAKS,
        saw=(f"{client.name}: {DISABLED_FILE[10:]} = {'1' if off else '0'}", f"status.podIPs: {', '.join(client.ips)}"),
        fix=Fix(
            "make the Pod again",
            kubectl("delete", "pod", client.name, namespace=client.namespace),
            Risk.DISRUPTIVE,
            not_pasteable="" if client.owner_kind else "nothing makes this Pod again once it is deleted",
        ),
    )


NEEDS_NAT64 = Cause(
    code="v6-only-needs-nat64",
    title="An IPv6-only Pod wants a place that has only IPv4",
    says="{pod} has IPv6 only, and {host} has only IPv4 addresses ({addresses}).",
    means="No route and no address fit: such a place is reached by way of DNS64 with NAT64, or not at all.",
    symptom="'Network is unreachable' at once for places without AAAA records; others work.",
    apart="A Pod without any default route reaches nothing outside, whatever the family.",
    mend="Set up NAT64 with DNS64 (CoreDNS has a plugin for it), or run the Pods with both families.",
    explains=("egress-default-route-missing",),
)


@explains(Hop.ROUTES, NEEDS_NAT64)
@explains(Hop.ADDRESS, NEEDS_NAT64)
def needs_nat64(look: Look, asked: Question) -> Finding | None:
    """No IPv4 address in the Pod, an IPv6 default route, and IPv4 addresses alone behind the name."""
    if not is_outside(asked):
        return None
    results = tried_outside(look, asked)
    if not results or any(":" in address or attempt.outcome is not End.NET_UNREACHABLE for address, attempt in results):
        return None
    client = client_pod(look, asked)
    if client.host_network or _has_four(look, client) or not _has_six(look, client):
        return None
    return NEEDS_NAT64.confirmed(
        at=client.at,
        pod=client.name,
        host=asked.host,
        addresses=", ".join(dict.fromkeys(address for address, _ in results)),
        saw=f"{client.name} has an IPv6 default route and no IPv4 address",
    )


def _has_four(look: Look, pod: Pod) -> bool:
    """An IPv4 address in the Pod's network as it is now; True where that cannot be read."""
    text = look.if_known(asks.file_in(pod, TRIE_FILE))
    return text is None or bool(own_addresses(text))


def _has_six(look: Look, pod: Pod) -> bool:
    """A global IPv6 address and a default route in the Pod's network; False where that cannot be read."""
    held, routes = look.all_known([asks.file_in(pod, ADDRESSES_FILE), asks.file_in(pod, ROUTES6_FILE)])
    # address, device number, prefix length, scope (00 is global), flags, device
    columns = [line.split() for line in (held or "").splitlines()]
    has_global = any(len(c) == 6 and c[3] == "00" and c[5] != "lo" for c in columns)
    return has_global and any(route.default and not route.rejects for route in read_routes6(routes or ""))


def _name(six: bool) -> str:
    return "IPv6" if six else "IPv4"
