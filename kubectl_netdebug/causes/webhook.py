"""Admission webhooks that the API server cannot reach or does not trust, so that nothing can be made."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, Risk, json_patch, kubectl
from kubectl_netdebug.model.facts import Ask, Objects
from kubectl_netdebug.model.finding import Cause, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.event import Event, read_event
from kubectl_netdebug.model.question import FlowName, Question
from kubectl_netdebug.net.text import sanitise

KINDS = {
    "ValidatingWebhookConfiguration": "validatingwebhookconfigurations.admissionregistration.k8s.io",
    "MutatingWebhookConfiguration": "mutatingwebhookconfigurations.admissionregistration.k8s.io",
}
LATELY = 1200.0
"""Seconds for which a failed creation counts: controllers try again, more and more seldom."""

_FAILED = re.compile(r'failed calling webhook \\*"(?P<name>[^"\\]+)\\*": (?P<why>.*)', re.S)
_TRUST = re.compile(r"x509|tls:|certificate", re.I)


@dataclass(frozen=True)
class Failing:
    """A webhook that a creation failed at, as an event tells it, with its configuration where that is still there."""

    name: str
    why: str
    about: ObjectRef
    """What could not make its Pods."""
    kind: str
    configuration: str
    index: int
    client: Mapping[str, Any]

    @property
    def at(self) -> ObjectRef:
        """The webhook's entry."""
        return ObjectRef(self.kind, "", self.configuration, f"webhooks[{self.index}].clientConfig")

    @property
    def service(self) -> tuple[str, str] | None:
        """(namespace, name) of the Service that it is called through."""
        name = tree.text(self.client, "service", "name")
        return (tree.text(self.client, "service", "namespace"), name) if name else None

    @property
    def where(self) -> str:
        """`Service shop/guard`, or the host of its URL."""
        if self.service:
            return f"Service {self.service[0]}/{self.service[1]}"
        return urlsplit(tree.text(self.client, "url")).netloc or "nowhere"


def failed_creations(namespace: str) -> Ask[tuple[tuple[ObjectRef, Event], ...]]:
    """Events by which controllers say that they cannot make Pods, oldest first."""

    def read(value: Any) -> tuple[tuple[ObjectRef, Event], ...]:
        found = [
            (
                ObjectRef(
                    tree.text(raw, "involvedObject", "kind"), namespace, tree.text(raw, "involvedObject", "name")
                ),
                read_event(raw),
            )
            for raw in asks.items(value)
        ]
        return tuple(sorted(found, key=lambda pair: str(pair[1].last)))

    def says(found: tuple[tuple[ObjectRef, Event], ...]) -> str:
        last = found[-1] if found else None
        return f"{last[0].short}: {sanitise(last[1].message, 300)}" if last else "no creation failed lately"

    return Ask(Objects("events", namespace, fields="reason=FailedCreate"), read, says)


def failing_webhooks(look: Look, namespace: str) -> Iterator[Failing]:
    """Those that creations in the namespace failed at lately and that are still configured, the latest first."""
    now = look(asks.now())
    seen: set[str] = set()
    events = look(failed_creations(namespace))
    for about, event in reversed(events):
        match = _FAILED.search(event.message)
        recent = event.last is not None and (now - event.last).total_seconds() < LATELY
        if match is None or not recent or match["name"] in seen:
            continue
        seen.add(match["name"])
        found = _configured(look, match["name"])
        if found is not None:
            kind, configuration, index, client = found
            yield Failing(match["name"], sanitise(match["why"], 300), about, kind, configuration, index, client)


def _configured(look: Look, name: str) -> tuple[str, str, int, Mapping[str, Any]] | None:
    """(kind, configuration, index, clientConfig) of the webhook that has this name and fails closed."""
    lists = look.all([asks.objects_in(resource, "") for resource in KINDS.values()])
    for kind, objects in zip(KINDS, lists, strict=True):
        for configuration in objects:
            for index, webhook in enumerate(tree.entries(configuration, "webhooks")):
                if tree.text(webhook, "name") == name and tree.text(webhook, "failurePolicy") != "Ignore":
                    client = tree.dig(webhook, "clientConfig")
                    title = tree.text(configuration, "metadata", "name")
                    return kind, title, index, client if isinstance(client, Mapping) else {}
    return None


UNREACHABLE = Cause(
    code="webhook-unreachable",
    title="The API server cannot reach an admission webhook",
    says="Webhook {webhook} ({configuration}) is asked before {what} is made, and the API server cannot reach it at "
    "{where}: {why}.",
    means="It is set to fail closed, so the API server refuses the request; {about} cannot make its Pods.",
    symptom="Creating or changing things fails with 'failed calling webhook … deadline exceeded', 'refused' or 'no "
    "endpoints'; ReplicaSets make no Pods.",
    apart="A webhook that answers and says no is quoted with 'denied the request'.",
    mend="Bring its backend back; open its port from the control plane (of a Service, the target port); as a last "
    "resort take the configuration away.",
    explains=("service-selector-mismatch", "endpoints-not-ready", "workload-scaled-to-zero"),
)

TLS = Cause(
    code="webhook-tls",
    title="The API server does not trust an admission webhook's certificate",
    says="Webhook {webhook} ({configuration}) at {where} shows a certificate that the API server does not take: {why}.",
    means="It is set to fail closed, so the API server refuses the request; {about} cannot make its Pods.",
    symptom="Creating or changing things fails with 'failed calling webhook … x509: …'.",
    apart="A webhook that cannot be reached is complained about with a timeout, a refusal, or no endpoints.",
    mend="Put the CA that signed its certificate into caBundle, and its Service's name into the certificate.",
    explains=("service-selector-mismatch", "endpoints-not-ready", "workload-scaled-to-zero"),
)


def _namespace(asked: Question) -> str:
    """Where Pods may not be made; '' for questions that are about none."""
    if asked.flow is FlowName.API:
        return asked.source.namespace or asked.namespace
    return asked.namespace if asked.service else ""


@explains(Hop.API_EXTENSIONS, UNREACHABLE)
@explains(Hop.ENDPOINTS, UNREACHABLE)
@explains(Hop.POD, UNREACHABLE)
def webhook_unreachable(look: Look, asked: Question) -> Finding | None:
    """An event quotes the failed call, the webhook is still configured so, and what is behind it explains it."""
    namespace = _namespace(asked)
    failing = (
        next((f for f in failing_webhooks(look, namespace) if not _TRUST.search(f.why)), None) if namespace else None
    )
    if failing is None:
        return None
    behind = _behind(look, failing)
    return UNREACHABLE.confirmed(
        at=failing.at,
        webhook=failing.name,
        configuration=f"{failing.kind} {failing.configuration}",
        what="a Pod",
        where=failing.where,
        why=behind or _short(failing.why),
        about=failing.about.short,
        saw=(f"{failing.about.short}: {failing.why}", *([f"{failing.where}: {behind}"] if behind else [])),
        fixes=tuple(_mending(look, failing)),
    )


@explains(Hop.API_EXTENSIONS, TLS)
@explains(Hop.ENDPOINTS, TLS)
@explains(Hop.POD, TLS)
def webhook_tls(look: Look, asked: Question) -> Finding | None:
    """An event quotes the complaint about the certificate, and the webhook is still configured so."""
    namespace = _namespace(asked)
    failing = next((f for f in failing_webhooks(look, namespace) if _TRUST.search(f.why)), None) if namespace else None
    if failing is None:
        return None
    return TLS.confirmed(
        at=failing.at.at(f"webhooks[{failing.index}].clientConfig.caBundle"),
        webhook=failing.name,
        configuration=f"{failing.kind} {failing.configuration}",
        where=failing.where,
        why=_short(failing.why),
        about=failing.about.short,
        saw=f"{failing.about.short}: {failing.why}",
        fixes=(
            Fix(
                "put the right CA there",
                json_patch(
                    *(failing.kind.lower(), failing.configuration),
                    [{"op": "add", "path": f"/webhooks/{failing.index}/clientConfig/caBundle", "value": "CA"}],
                ),
                not_pasteable="CA stands for the PEM of the CA that signed the webhook's certificate, in base64",
            ),
            _open_door(failing),
        ),
    )


def _behind(look: Look, failing: Failing) -> str:
    """What is wrong behind the webhook's Service, or ''."""
    if failing.service is None:
        return ""
    namespace, name = failing.service
    service, slices = look.together(asks.service_named(namespace, name), asks.slices_for(namespace, name))
    if service is None:
        return "there is no such Service"
    wanted = tree.number(failing.client, "service", "port", default=443)
    if all(port.port != wanted for port in service.ports):
        return f"it has no port {wanted}"
    ready = [e for s in slices for e in s.endpoints if e.ready or (e.terminating and e.serving)]
    return "" if ready else "it has no ready endpoint"


def _mending(look: Look, failing: Failing) -> Iterator[Fix]:
    if failing.service:
        namespace, name = failing.service
        for workload in look.if_known(asks.objects_in("deployments.apps", namespace)) or ():
            if tree.number(workload, "spec", "replicas", default=1) == 0 and _serves(look, workload, namespace, name):
                title = tree.text(workload, "metadata", "name")
                scale = kubectl("scale", f"deployment/{title}", "--replicas=1", namespace=namespace)
                yield Fix(f"bring back {title}, which it runs in", scale)
    yield _open_door(failing)
    take_away = kubectl("delete", failing.kind.lower(), failing.configuration)
    yield Fix("or take the configuration away: nothing is checked by it then", take_away, Risk.DISRUPTIVE)


def _serves(look: Look, workload: Mapping[str, Any], namespace: str, name: str) -> bool:
    service = look(asks.service_named(namespace, name))
    labels = tree.labels(workload, "spec", "template", "metadata", "labels")
    return bool(service and service.selector and all(labels.get(k) == v for k, v in service.selector.items()))


def _open_door(failing: Failing) -> Fix:
    operation = {"op": "replace", "path": f"/webhooks/{failing.index}/failurePolicy", "value": "Ignore"}
    return Fix(
        "until it is back, let requests pass that it cannot be asked about",
        json_patch(failing.kind.lower(), failing.configuration, [operation]),
        Risk.DISRUPTIVE,
    )


def _short(why: str) -> str:
    """The last part of a Go error, which is what went wrong."""
    tail = re.sub(r"^failed to call webhook: ", "", why)
    tail = re.sub(r'^(?:Post|Get) \\*"[^"]*\\*": ', "", tail)
    return sanitise(tail.strip().rstrip("."), 160)
