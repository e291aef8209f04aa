"""The way in from outside, as this machine meets it: node ports and load balancers, or an Ingress's addresses."""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.doors import Door, balanced
from kubectl_netdebug.causes.fronts import Knock, knocks
from kubectl_netdebug.causes.hostport_way import HostPort, host_port_asked, tried_at
from kubectl_netdebug.causes.incoming import inner, way
from kubectl_netdebug.causes.let_in import Ways, owes_an_answer, ways_of
from kubectl_netdebug.model.hop import Outcome, failed, passed, skipped, unknown, warned
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.service import Service
from kubectl_netdebug.model.question import Question


def entry(look: Look, asked: Question) -> Outcome:
    """Whether clients get in where they should."""
    found = way(look, asked)
    if found.ingress is None and found.gateway is None and found.route is None:
        return _of_service(look, asked)
    every = knocks(look, asked)
    if not every:
        return unknown("no address and no node port of the controller is known, so there is nowhere to knock")
    return _of_knocks(every)


def _of_knocks(every: tuple[Knock, ...]) -> Outcome:
    opened = [k for k in every if k.attempt.outcome.connected]
    counts = (len(opened), len(every))
    shut = [k for k in every if not k.attempt.outcome.connected]
    if not shut:
        return passed(f"{', '.join(k.front.place for k in every[:3])} accept connections", counts)
    saw = f"{shut[0].front.place} ({shut[0].front.label}): {shut[0].attempt.words}"
    if opened:
        return warned(f"{saw}; {counts[0]} of {counts[1]} accept connections", counts)
    if shut[0].front.label.startswith("node port") and all(k.attempt.outcome.lost for k in shut):
        return unknown(f"no node lets this machine in: {saw}")
    return failed(saw, counts)


def _of_service(look: Look, asked: Question) -> Outcome:
    question = inner(look, asked)
    service = look(asks.the_service(question)) if question else None
    if question is None or service is None:
        host_port = host_port_asked(look, asked)
        return _of_host_port(look, asked, host_port) if host_port else skipped("there is no Service")
    if service.type not in ("NodePort", "LoadBalancer") and not service.external_ips:
        return failed(f"Service {service.name} is of type {service.type}: nothing leads to it from outside")
    ways = ways_of(look, asked)
    if not ways.doors and not ways.outer:
        pending = service.type == "LoadBalancer" and not service.load_balancer_ips
        return failed("no load-balancer address yet, and no node port") if pending else unknown("nothing to try")
    return _judged(service, ways)


def _of_host_port(look: Look, asked: Question, host_port: HostPort) -> Outcome:
    attempt = tried_at(look, asked, host_port)
    saw = f"{host_port.place} ({host_port.label}): {attempt.words}"
    if attempt.outcome.connected:
        return passed(saw, (1, 1))
    # A firewall before the nodes is nothing that a cluster could be blamed for.
    return unknown(saw) if attempt.outcome.lost else failed(saw, (0, 1))


def _judged(service: Service, ways: Ways) -> Outcome:
    """A load balancer's address is what clients use; node ports show whether the nodes let this machine in."""
    owed = [door for door in ways.doors if owes_an_answer(service, door)]
    shut = [door for door in owed if not door.opens]
    counts = (len(owed) - len(shut) + len(ways.outer) - len(ways.lost_outer), len(owed) + len(ways.outer))
    reached = bool(ways.open_doors) or len(ways.lost_outer) < len(ways.outer)
    if ways.lost_outer:
        address, port, attempt = ways.lost_outer[0]
        saw = f"{address}:{port.port}: {attempt.words}"
        if not reached and all(door.attempt.outcome.lost for door in ways.doors) and attempt.outcome.lost:
            return unknown(f"{saw}, nor does any node answer this machine")
        return failed(f"{saw}; {len(ways.open_doors)} node ports let this machine in", counts)
    if shut and not reached:
        return unknown(f"no node lets this machine in: {shut[0].label}: {shut[0].attempt.words}")
    dropped = _dropped_on_purpose(service, ways)
    if shut or dropped:
        first = shut[0] if shut else dropped[0]
        return warned(f"{first.label}: {first.attempt.words}; {len(ways.open_doors)} node ports let clients in", counts)
    if service.type == "LoadBalancer" and not service.load_balancer_ips and not ways.typed_node_port:
        return warned(f"no load-balancer address yet; {len(ways.open_doors)} node ports let this machine in")
    return passed(f"{counts[0]} of {counts[1]} ways in let this machine in", counts)


def _dropped_on_purpose(service: Service, ways: Ways) -> list[Door]:
    """Nodes without a backend under the policy Local, where no load balancer leaves them out."""
    if balanced(service):
        return []
    return [d for d in ways.doors if not owes_an_answer(service, d) and not d.opens]
