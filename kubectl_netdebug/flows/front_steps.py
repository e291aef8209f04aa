"""Steps before and after the Service: the name, the Ingress or Gateway, its controller, its certificate, its answer."""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.answers import answer_of
from kubectl_netdebug.causes.controllers import class_of, controller_of
from kubectl_netdebug.causes.external_record import record_of
from kubectl_netdebug.causes.fronts import knocks, scheme_of, shown_certificate
from kubectl_netdebug.causes.gateway import gateway_trouble, route_trouble
from kubectl_netdebug.causes.hostport_way import host_port_asked
from kubectl_netdebug.causes.incoming import inner, way
from kubectl_netdebug.causes.ingress_rules import broken_backends
from kubectl_netdebug.causes.ingress_tls import certificate_trouble
from kubectl_netdebug.causes.let_in import let_in, reply_of, ways_of
from kubectl_netdebug.causes.loadbalancer_path import proxy_protocol
from kubectl_netdebug.model.hop import Outcome, failed, passed, skipped, unknown, warned
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.ingress import Ingress
from kubectl_netdebug.model.question import Question


def name(look: Look, asked: Question) -> Outcome:
    """What the host is on this machine; where it leads is compared by what answers there."""
    record = record_of(look, asked)
    if record is None:
        return skipped("no name plays a part, or it could not be looked up")
    if not record.found:
        saw = f"{record.host}: {record.error}"
        if asked.host:
            return failed(saw) if record.error == "no such name" else unknown(saw)
        return skipped(f"{saw} on this machine; tried at the cluster's own addresses")
    saw = f"{record.host} is {', '.join(record.found[:3])}"
    return passed(f"{saw}, not {', '.join(record.own[:2])}" if record.own and record.strange else saw)


def entry_object(look: Look, asked: Question) -> Outcome:
    """Whether there is a rule for the request, and it leads to something."""
    if asked.service:
        return skipped("the question is about the Service itself")
    found = way(look, asked)
    if asked.ingress and found.ingress is None:
        return failed(f"there is no Ingress {asked.ingress} in namespace {asked.namespace}")
    if asked.gateway and found.gateway is None:
        return failed(f"there is no Gateway {asked.gateway} in namespace {asked.namespace}")
    if found.near:
        route = found.route.name if found.route else ""
        what = f"Ingress {found.ingress.name}" if found.ingress else f"HTTPRoute {route}"
        return failed(f"no rule takes {found.host}{found.path}; nearest: {what}")
    if found.ingress is not None:
        return _of_ingress(look, asked, found.ingress)
    if found.gateway is not None or found.route is not None:
        return _of_gateway(look, asked)
    if found.service is not None:
        return skipped(f"the address is that of Service {found.service[0]}/{found.service[1]}")
    host_port = host_port_asked(look, asked)
    if host_port is not None:
        return skipped(f"it is {host_port.label}")
    return unknown(f"no Ingress, HTTPRoute or Service of this cluster has to do with {asked.host}")


def _of_ingress(look: Look, asked: Question, ingress: Ingress) -> Outcome:
    broken = broken_backends(look, asked)
    total = len(ingress.paths) if asked.ingress else 1
    if broken:
        saw = f"{broken[0].rule.label} leads to {broken[0].rule.service}:{broken[0].rule.port}: {broken[0].why}"
        return (failed if len(broken) == total else warned)(saw, (total - len(broken), total))
    kind = class_of(look, ingress)
    served = f"class {kind.name}" if kind else "no class of this cluster"
    return passed(f"{ingress.namespace}/{ingress.name}, {served}, {total} rules lead to Services", (total, total))


def _of_gateway(look: Look, asked: Question) -> Outcome:
    trouble = gateway_trouble(look, asked) or route_trouble(look, asked)
    if trouble is not None:
        return failed(trouble.saw)
    found = way(look, asked)
    if found.gateway is None:
        return failed("its parent does not exist")
    route = f", HTTPRoute {found.route.name} attached" if found.route else ", no route names it"
    return passed(f"Gateway {found.gateway.name} is programmed{route}")


def controller(look: Look, asked: Question) -> Outcome:
    """Whether the program that serves an Ingress runs."""
    ingress = way(look, asked).ingress
    if ingress is None:
        return skipped("no Ingress plays a part")
    found = controller_of(look, ingress)
    if found is None or not (found.pods or found.workloads):
        return skipped("which program serves it is not known here")
    counts = (len(found.ready), len(found.pods))
    if not found.ready:
        return failed(f"{found.program}: 0 of {counts[1]} Pods ready", counts)
    return passed(f"{found.program}: {counts[0]} of {counts[1]} Pods ready", counts)


def tls(look: Look, asked: Question) -> Outcome:
    """The certificate that clients are shown, and the Secret it should come from."""
    found = way(look, asked)
    if asked.service or scheme_of(found, asked) != "https":
        return skipped("plain HTTP, or nothing that declares TLS")
    trouble = certificate_trouble(look, asked)
    if trouble is not None:
        return failed(trouble.why)
    shown = shown_certificate(look, asked)
    if shown is None:
        return skipped("no handshake was had")
    return passed(f"{shown[0].place}: {shown[1].words}")


def answer(look: Look, asked: Question) -> Outcome:
    """What a client is answered, against what the Pods answer themselves."""
    if way(look, asked).ingress is None and way(look, asked).gateway is None:
        return _of_service(look, asked)
    got = answer_of(look, asked)
    if got is None:
        silent = next((k for k in knocks(look, asked) if k.reply is not None), None)
        if silent is None or silent.reply is None:
            return skipped("nothing accepts connections")
        return failed(f"{silent.front.place} accepts connections: {silent.reply.words}")
    saw = f"{got.front.place}: {got.reply.words}"
    if not got.bad:
        return passed(saw)
    if got.same_inside:
        return passed(f"{saw}, as the Pod behind it says itself")
    if got.says_otherwise and got.direct is not None:
        return failed(f"{saw}, and the Pod behind it answers {got.direct.words}")
    if got.reply.status == 404:
        return unknown(f"{saw}; whether the Pod would answer the same was not asked")
    return failed(saw)


def _of_service(look: Look, asked: Question) -> Outcome:
    question = inner(look, asked)
    if question is None or look(asks.the_service(question)) is None:
        return skipped("no Service")
    reply = reply_of(look, ways_of(look, asked))
    if reply is None:
        return skipped("no port that is declared to speak HTTP lets this machine in")
    finding = proxy_protocol(look, asked)
    if finding is not None:
        return failed(finding.summary)
    if reply.nothing or reply.outcome == "closed" or reply.wants_tls:
        return warned(f"{reply.words} to a plain request")
    return passed(f"{reply.words}" + ("" if let_in(look, asked) else ", where it lets in"))
