"""The name that clients outside use: where it leads on this machine, and whether that is the cluster."""

from __future__ import annotations

from dataclasses import dataclass

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes import incoming_asks as ask
from kubectl_netdebug.causes.fronts import Front, fronts, knocks, request, scheme_of
from kubectl_netdebug.causes.incoming import Way, is_incoming, way
from kubectl_netdebug.causes.let_in import from_outside, ways_of
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, Risk, kubectl
from kubectl_netdebug.model.finding import Cause, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When
from kubectl_netdebug.net.address import is_address, lies_in
from kubectl_netdebug.net.outcome import Attempt

RECORD_WRONG = Cause(
    code="external-record-wrong",
    title="The public name leads to another address than the cluster's",
    says="{host} {leads} on this machine, and the cluster takes it at {right}.",
    means="Clients that use the name never reach the cluster; its own address answers.",
    symptom="The name times out, is refused or shows another site; the load balancer's address with the right Host "
    "header works.",
    apart="With a broken Ingress, the cluster's own address does not answer either.",
    mend="Point the DNS record at the address in the status of the Ingress, Gateway or Service.",
)


@dataclass(frozen=True)
class Record:
    """A host with what it resolves to here, and the cluster's own addresses for it."""

    host: str
    found: tuple[str, ...]
    error: str
    own: tuple[str, ...]

    @property
    def strange(self) -> tuple[str, ...]:
        """Addresses of the name that are not the cluster's, where none of them is."""
        return () if set(self.found) & set(self.own) else self.found


def record_of(look: Look, asked: Question) -> Record | None:
    """None where no name plays a part, or the client is a Pod, whose name servers are another matter."""
    if not is_incoming(asked) or not from_outside(asked):
        return None
    found = way(look, asked)
    host = found.host
    if not host or is_address(host) or (found.rule is not None and found.rule.host != host) or "." not in host:
        return None
    answer = look.if_known(ask.lookup_from_here(host))
    if answer is None:
        return None
    own = tuple(a for a in _own_addresses(found) if is_address(a))
    return Record(host, answer.addresses, answer.error, own)


def _own_addresses(found: Way) -> tuple[str, ...]:
    if found.ingress is not None:
        return found.ingress.addresses
    return found.gateway.addresses if found.gateway is not None else ()


@explains(Hop.NAME, RECORD_WRONG, When.ALWAYS)
def record_wrong(look: Look, asked: Question) -> Finding | None:
    """The cluster's address answers for the host, and what the name leads to does not."""
    record = record_of(look, asked)
    if record is None or not record.own or (record.found and not record.strange):
        return None
    if not record.found and (record.error != "no such name" or not asked.host):
        return None
    answering = [k for k in knocks(look, asked) if k.reply is not None and k.reply.answered and k.reply.status < 500]
    if not answering:
        return None
    there, sure = _at_the_name(look, asked, record) if record.found else ("has no address", True)
    if not there:
        return None
    found = way(look, asked)
    at = (
        found.ingress.at if found.ingress else found.gateway.at if found.gateway else ObjectRef("Host", "", record.host)
    )
    leads = f"is {', '.join(record.found)}" if record.found else "does not resolve"
    kind = RECORD_WRONG.confirmed if sure else RECORD_WRONG.likely
    return kind(
        at=at,
        host=record.host,
        leads=leads,
        right=", ".join(record.own),
        saw=(
            f"{record.host} {leads} here; {there}",
            f"{answering[0].front.place} with Host {record.host}: {answering[0].reply.words}",  # type: ignore[union-attr]
        ),
        fix=Fix(
            f"point the record of {record.host} at {record.own[0]}",
            kubectl("get", at.short, "-o", "jsonpath={.status}", namespace=at.namespace),
            Risk.READ_ONLY,
            not_pasteable="the record is kept by a DNS provider, outside the cluster",
        ),
    )


def _at_the_name(look: Look, asked: Question, record: Record) -> tuple[str, bool]:
    """What is wrong with the address of the name: it does not answer (sure), or it says otherwise (likely)."""
    found, own = way(look, asked), fronts(look, asked)
    scheme = scheme_of(found, asked)
    port = own[0].port if own and own[0].port in (80, 443) else 443 if scheme == "https" else 80
    attempts = look.all([asks.connect_from_here(address, port) for address in record.strange[:3]])
    if not any(a.outcome.connected for a in attempts):
        return f"{record.strange[0]}:{port} {_words(attempts[0])}", True
    front = Front(record.strange[0], port, scheme, record.host)
    there = look.if_known(request(look, asked, front, found))
    here = next((k.reply for k in knocks(look, asked) if k.reply is not None), None)
    if there is None or here is None or (there.status, there.body) == (here.status, here.body) or there.good:
        return "", False
    return f"{front.place} answers {there.words}", here.good


def _words(attempt: Attempt) -> str:
    return attempt.words


RANGE_OVERLAP = Cause(
    code="local-range-overlap",
    title="A network of this machine covers the cluster's address",
    says="{interface} of this machine has {address}/{prefix}, which covers {target}: packets for it stay there.",
    means="This machine looks for {target} behind {interface}, as with a VPN whose range overlaps the cluster's; "
    "others reach it.",
    symptom="Only this machine cannot reach the cluster's address; others can.",
    apart="With a firewall or a broken load balancer, clients in other networks are shut out as well.",
    mend="Disconnect that network, narrow its range, or give this machine a more specific route to the cluster.",
)


@explains(Hop.ENTRY, RANGE_OVERLAP)
def range_overlap(look: Look, asked: Question) -> Finding | None:
    """The address is lost from here, and this machine would send to it within a network of its own."""
    if not is_incoming(asked) or not from_outside(asked):
        return None
    lost = _lost(look, asked)
    if not lost:
        return None
    own = look(ask.own_addresses())
    sources = look.all([ask.source_from_here(address) for address in lost[:3]])
    nodes = look.if_known(asks.nodes()) or ()
    inside = {a for n in nodes for _, a in n.addresses}
    for target, source in zip(lost, sources, strict=False):
        net = next((o for o in own if o.address == source and _covers(o.address, o.prefix, target)), None)
        if net is None or any(_covers(net.address, net.prefix, node) for node in inside):
            continue
        return RANGE_OVERLAP.likely(
            at=ObjectRef("Interface", "", net.interface, net.address),
            interface=net.interface,
            address=net.address,
            prefix=net.prefix,
            target=target,
            saw=f"this machine sends to {target} from {source} on {net.interface}, and no node of the cluster is there",
            fix=Fix(
                "see which way this machine takes",
                kubectl("get", "nodes", "-o", "wide"),
                Risk.READ_ONLY,
                not_pasteable=f"the network of {net.interface} is this machine's: disconnect it or narrow its range",
            ),
        )
    return None


def _lost(look: Look, asked: Question) -> list[str]:
    knocked = [k.front.address for k in knocks(look, asked) if k.attempt.outcome.lost]
    found = way(look, asked)
    if found.ingress is not None or found.gateway is not None or found.service is None:
        return knocked
    return [address for address, _, attempt in ways_of(look, asked).outer if attempt.outcome.lost]


def _covers(address: str, prefix: int, target: str) -> bool:
    whole = 128 if ":" in address else 32
    return prefix < whole and lies_in(target, f"{address}/{prefix}")
