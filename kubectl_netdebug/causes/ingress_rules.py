"""The rules of an Ingress: whether one takes the request, and whether it leads to a Service."""

from __future__ import annotations

import difflib
from dataclasses import dataclass

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.incoming import MOST_BACKENDS, is_incoming, way
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, json_patch
from kubectl_netdebug.model.finding import Cause, Effect, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.ingress import Ingress, IngressPath
from kubectl_netdebug.model.objects.service import Service
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.webroute import host_matches

BACKEND_MISSING = Cause(
    code="ingress-backend-missing",
    title="A rule of the Ingress leads to a Service or port that does not exist",
    says="Ingress {ingress} sends {rule} to {backend}, {why}.",
    means="The controller has nowhere to send these requests and answers 503 or 404 by itself; other rules work.",
    symptom="503, 404 or 500 from the controller for one host or path.",
    apart="Where the Service exists and has no ready Pod, the Pods are the matter, not the Ingress.",
    mend="Correct the backend's Service name or port, or create the Service.",
)


@dataclass(frozen=True)
class Broken:
    """A rule whose backend is not there. `instead` is the value to write at `pointer`, '' where none is near."""

    rule: IngressPath
    why: str
    pointer: str
    instead: str | int
    sure: bool


def broken_backends(look: Look, asked: Question) -> tuple[Broken, ...]:
    """The rules that lead nowhere: all of a named Ingress's, or the one that takes the request."""
    found = way(look, asked)
    if found.ingress is None:
        return ()
    rules = found.ingress.paths if asked.ingress else (found.rule,) if found.rule else ()
    some = [rule for rule in rules if rule.service][:MOST_BACKENDS]
    services = look.all([asks.service_named(found.ingress.namespace, rule.service) for rule in some])
    checked = [_check(look, found.ingress, rule, s) for rule, s in zip(some, services, strict=True)]
    return tuple(each for each in checked if each)


def _check(look: Look, ingress: Ingress, rule: IngressPath, service: Service | None) -> Broken | None:
    if service is None:
        there = [s for s in look(asks.services_in(ingress.namespace)) if not s.is_alias]
        fitting = [s.name for s in there if any(rule.port in (str(p.port), p.name) for p in s.ports)]
        close = difflib.get_close_matches(rule.service, fitting, n=1, cutoff=0.6) or fitting[:1]
        sure = bool(close) and (
            len(fitting) == 1 or difflib.SequenceMatcher(None, close[0], rule.service).ratio() > 0.6
        )
        return Broken(rule, "which does not exist", "/service/name", close[0] if close else "", sure)
    if any(rule.port in (str(p.port), p.name) for p in service.ports):
        return None
    has = ", ".join(map(str, service.ports)) or "none"
    return Broken(
        rule,
        f"which has no port {rule.port} (it has {has})",
        "/service/port",
        service.ports[0].port if service.ports else "",
        len(service.ports) == 1,
    )


@explains(Hop.ENTRY_OBJECT, BACKEND_MISSING)
def backend_missing(look: Look, asked: Question) -> Finding | None:
    """By the API alone: the rule stands there and its backend does not."""
    found = way(look, asked)
    if not is_incoming(asked) or found.ingress is None:
        return None
    broken = broken_backends(look, asked)
    if not broken:
        return None
    first = broken[0]
    value = {"number": first.instead} if isinstance(first.instead, int) else first.instead
    operation = {"op": "replace", "path": f"{first.rule.pointer}{first.pointer}", "value": value}
    total = len(found.ingress.paths) if asked.ingress else 1
    return BACKEND_MISSING.confirmed(
        at=found.ingress.at.at(first.rule.where),
        ingress=found.ingress.name,
        rule=first.rule.label,
        backend=f"{first.rule.service}:{first.rule.port}",
        why=first.why,
        effect=Effect.BREAKS if len(broken) == total else Effect.DEGRADES,
        saw=tuple(f"{b.rule.label} → {b.rule.service}:{b.rule.port}, {b.why}" for b in broken[:3]),
        fix=Fix(
            f"send {first.rule.label} to {first.instead}",
            json_patch("ingress", found.ingress.name, [operation], found.ingress.namespace),
            not_pasteable="" if first.sure else "which Service is meant is a guess",
        )
        if first.instead
        else None,
    )


RULE_MISMATCH = Cause(
    code="ingress-rule-mismatch",
    title="No rule of the Ingress takes this host and path",
    says="No rule takes {request}: Ingress {ingress} has {rules}.",
    means="The controller answers from its default backend, mostly with 404, and the Service never sees the request.",
    symptom="404 from the controller for a URL, while other paths of the same host work.",
    apart="A 404 of the application carries the application's own page and reaches its log.",
    mend="Use the host and path of a rule, or change the rule: pathType Prefix takes everything below, Exact nothing "
    "but the path itself.",
)


@explains(Hop.ENTRY_OBJECT, RULE_MISMATCH)
def rule_mismatch(look: Look, asked: Question) -> Finding | None:
    """A URL whose host the Ingress has, or nearly has, and that none of its rules takes."""
    found = way(look, asked)
    if not is_incoming(asked) or found.ingress is None or found.rule is not None:
        return None
    ingress = found.ingress
    of_host = [rule for rule in ingress.paths if rule.host and host_matches(rule.host, found.host)]
    rules = of_host or list(ingress.paths)
    return RULE_MISMATCH.confirmed(
        at=ingress.at.at(f"{rules[0].where.partition('.http')[0]}"),
        request=f"{found.host}{found.path}",
        ingress=ingress.name,
        rules=", ".join(f"{r.label} ({r.kind})" for r in rules[:4]),
        saw=f"rules of {ingress.namespace}/{ingress.name}: {', '.join(f'{r.label} {r.kind}' for r in rules[:4])}",
        fix=_loosened(ingress, of_host, found.path),
    )


def _loosened(ingress: Ingress, of_host: list[IngressPath], path: str) -> Fix | None:
    """An Exact path whose parent or trailing slash was asked for becomes a Prefix; the host is the person's matter."""
    for rule in of_host:
        stem = rule.path.rstrip("/")
        if rule.kind == "Exact" and (path == stem or path.startswith(stem + "/")):
            pointer = rule.pointer.removesuffix("/backend") + "/pathType"
            operation = {"op": "replace", "path": pointer, "value": "Prefix"}
            return Fix(
                f"let {rule.label} take everything below it",
                json_patch("ingress", ingress.name, [operation], ingress.namespace),
            )
    return None
