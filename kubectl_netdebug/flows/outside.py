"""A Pod and something outside the cluster: proxy, name, policy, routes, address, TLS, HTTP, speed."""

from __future__ import annotations

from dataclasses import replace

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import client_pod
from kubectl_netdebug.causes.catalogue import explanations
from kubectl_netdebug.causes.outside_proxy import proxy_refuses
from kubectl_netdebug.causes.outside_routes import ROUTES_FILE, way_out
from kubectl_netdebug.causes.outside_speed import COUNTERS, SOME, measured
from kubectl_netdebug.causes.outside_tls import complaint
from kubectl_netdebug.causes.outside_way import (
    addresses_of,
    connect_asks,
    connects,
    handshake,
    port_of,
    proxied,
    proxy_address,
    request,
    setting_of,
    tried_outside,
    wants_tls,
)
from kubectl_netdebug.flows.names import name_steps
from kubectl_netdebug.flows.node_steps import node_steps
from kubectl_netdebug.flows.policy import POLICIES, policy_steps
from kubectl_netdebug.flows.reach import judge
from kubectl_netdebug.flows.size import size_step
from kubectl_netdebug.flows.source import SOURCE_STEP
from kubectl_netdebug.model.hop import Hop, Outcome, State, failed, passed, skipped, unknown, warned
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import Flow, Step


def pod_to_outside_flow() -> Flow:
    """The steps in the order of the path."""
    named = (Hop.SOURCE, Hop.NAME)
    reached = (*named, Hop.PROXY, Hop.ROUTES, Hop.ADDRESS)
    # Routes and address do not wait for all that is found out about names: without an address they skip themselves.
    return Flow(
        steps=(
            SOURCE_STEP,
            Step(Hop.PROXY, "proxy", _proxy, after=(Hop.SOURCE,), follow_failures=True),
            *(_unless_proxied(step) for step in name_steps((Hop.SOURCE,))),
            Step(Hop.ROUTES, "routes", _routes, after=(Hop.SOURCE,), essential=False),
            *policy_steps(named),
            Step(Hop.ADDRESS, "address", _address, after=(Hop.SOURCE, Hop.ROUTES), follow_failures=True),
            *node_steps((*reached, *POLICIES)),
            Step(Hop.TLS, "TLS", _tls, after=reached),
            Step(Hop.PROTOCOL, "protocol", _protocol, after=(*reached, Hop.TLS), essential=False),
            size_step(reached),
            Step(Hop.SPEED, "speed", _speed, after=reached, essential=False),
        ),
        explanations=explanations(),
    )


def _unless_proxied(step: Step) -> Step:
    """The destination's name is the proxy's affair where there is one."""
    if step.hop not in (Hop.NAME, Hop.OUTSIDE_NAMES):
        return step

    def decide(look: Look, asked: Question) -> Outcome:
        if proxied(look, asked) is not None:
            return skipped("the proxy resolves it")
        return step.decide(look, asked)

    return replace(step, decide=decide)


def _proxy(look: Look, asked: Question) -> Outcome:
    client = client_pod(look, asked)
    if not asked.scheme:
        return skipped("a plain connection uses none")
    setting = setting_of(client, asked)
    if setting is None:
        return skipped("no proxy variable stands in the Pod's template")
    if not setting.used:
        return passed(f"{setting}, and NO_PROXY leaves {asked.host} out")
    address = proxy_address(look, client, setting.proxy)
    if not address:
        return failed(f"{setting}: the name does not resolve")
    judged = judge([a for _, a in connects(look, client, [(address, setting.proxy.port)])])
    if judged.state is not State.PASS:
        return replace(judged, saw=f"{setting}: {judged.saw}")
    refusal = proxy_refuses(look, asked)
    return failed(f"{setting}: {refusal}") if refusal else passed(f"{setting} accepts and opens the way")


def _routes(look: Look, asked: Question) -> Outcome:
    client = client_pod(look, asked)
    look.foresee(asks.file_in(client, ROUTES_FILE), asks.file_in(client, COUNTERS))
    if proxied(look, asked) is not None:
        return skipped("the way to the proxy was judged there")
    without = [address for address in addresses_of(look, asked) if way_out(look, client, address) is None]
    if not without:
        routes = {str(r) for a in addresses_of(look, asked) if (r := way_out(look, client, a))}
        return passed(", ".join(sorted(routes))) if routes else skipped("no address to go to")
    lost = [a for address, a in tried_outside(look, asked) if address in without]
    if any(attempt.outcome.connected for attempt in lost):
        return passed("not in the main table, and it connects")
    return failed(f"no route to {', '.join(without)}")


def _address(look: Look, asked: Question) -> Outcome:
    if proxied(look, asked) is not None:
        return skipped("the client goes by its proxy")
    if not port_of(asked):
        return unknown(f"{asked.port} is no number of a port")
    places = [(address, port_of(asked)) for address in addresses_of(look, asked)]
    if not places:
        return skipped("the name has no address")
    look.foresee(*connect_asks(client_pod(look, asked), places[:1], SOME))  # for the speed, in the same breath
    tried = tried_outside(look, asked)
    judged = judge([attempt for _, attempt in tried])
    where = ", ".join(dict.fromkeys(address for address, _ in tried))
    return replace(judged, saw=f"{where} port {port_of(asked)}: {judged.saw}")


def _tls(look: Look, asked: Question) -> Outcome:
    if not wants_tls(asked):
        return skipped("not asked for")
    ask = handshake(look, asked)
    if ask is None:
        return skipped("nothing accepts connections")
    said = request(look, asked)
    look.foresee(ask, *((said,) if said else ()))
    answer = look(ask)
    if not answer.speaks_tls:
        return failed(answer.words) if asked.scheme else skipped(f"port {port_of(asked)}: {answer.words}")
    wrong = complaint(look, asked)
    if wrong:
        return failed(wrong)
    if answer.certificate is None:
        return passed(answer.words)
    inside = f", {answer.alpn} inside" if answer.alpn else ""
    by = "itself" if answer.certificate.self_signed else answer.certificate.issuer
    until = answer.certificate.not_after
    valid = f", valid until {until:%Y-%m-%d}" if until else ""
    return passed(f"{answer.protocol}{inside}; certificate for {asked.host} signed by {by}{valid}")


def _protocol(look: Look, asked: Question) -> Outcome:
    ask = request(look, asked)
    if ask is None:
        return skipped("no URL: a connection is all that was asked for")
    reply = look(ask)
    if reply.answered and not reply.wants_tls:
        words = f"HTTP {reply.status} {reply.reason}".strip()
        return (
            warned(f"{words}: the server answers with a failure of its own") if reply.status >= 500 else passed(words)
        )
    return failed(reply.words if not reply.wants_tls else f"{reply.words}: {reply.body.strip()[:100]}")


def _speed(look: Look, asked: Question) -> Outcome:
    found = measured(look, asked)
    if found is None:
        return skipped("nothing to measure")
    return warned(found.words) if found.lossy or found.slow else passed(found.words)
