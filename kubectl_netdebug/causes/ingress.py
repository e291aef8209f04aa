"""An Ingress that nobody serves, or whose controller speaks to the Pods in the wrong scheme."""

from __future__ import annotations

import difflib

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes import incoming_asks as ask
from kubectl_netdebug.causes.answers import answer_of
from kubectl_netdebug.causes.backends import backends_asked, client_pod, in_use
from kubectl_netdebug.causes.controllers import ALL, Controller, class_of, controller_of, program_of
from kubectl_netdebug.causes.incoming import inner, is_incoming, way
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Command, Fix, Risk, kubectl, patch
from kubectl_netdebug.model.finding import Cause, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.ingress import Ingress, IngressClass
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When

NO_CLASS = Cause(
    code="ingress-no-class",
    title="No controller takes care of the Ingress's class",
    says="Ingress {ingress} {what}; the cluster has {classes}.",
    means="Controllers leave Ingresses alone that are not of their class: it has no address, and its hosts get 404.",
    symptom="The Ingress has no ADDRESS, and the controller answers 404 for its hosts.",
    apart="Where the class exists and its controller is down, all hosts of that class fail.",
    mend="Set spec.ingressClassName to a class of the cluster, or mark one as the default.",
)


@explains(Hop.ENTRY_OBJECT, NO_CLASS, When.ALWAYS)
def no_class(look: Look, asked: Question) -> Finding | None:
    """The class does not exist, or none is named and none is the default; nobody gave the Ingress an address."""
    ingress = way(look, asked).ingress if is_incoming(asked) else None
    if ingress is None or ingress.addresses or class_of(look, ingress) is not None:
        return None
    classes = look(ask.ingress_classes())
    if not ingress.class_name and _served_without_class(look, ingress):
        return None
    if ingress.class_name or ingress.class_annotation:
        what = f"names the class {ingress.class_name or ingress.class_annotation}, which does not exist"
    else:
        what = "names no class, and none is the default"
    better, sure = _better(look, ingress, classes)
    return NO_CLASS.confirmed(
        at=ingress.at.at("spec.ingressClassName"),
        ingress=ingress.name,
        what=what,
        classes=", ".join(c.name for c in classes) or "no IngressClass",
        saw=f"no address in the status of the Ingress; classes: {', '.join(c.name for c in classes) or 'none'}",
        fix=Fix(
            f"give it to the controller of class {better}",
            patch("ingress", ingress.name, {"spec": {"ingressClassName": better}}, ingress.namespace),
            not_pasteable="" if sure else "which controller should serve it is a guess",
        )
        if better
        else None,
    )


def _served_without_class(look: Look, ingress: Ingress) -> bool:
    """Controllers of old look at the annotation alone, and some take Ingresses without a class if told so."""
    if program_of(look, ingress):
        return True
    workloads = look.if_known(ask.workloads_called("deployments", ALL)) or []
    containers = [c for w in workloads for c in tree.entries(w, "spec", "template", "spec", "containers")]
    words = [word for c in containers for word in tree.strings(c, "args")]
    return any(word.startswith("--watch-ingress-without-class") and not word.endswith("=false") for word in words)


def _better(look: Look, ingress: Ingress, classes: tuple[IngressClass, ...]) -> tuple[str, bool]:
    """The class whose name is nearest to the one written, else the only one."""
    names = [c.name for c in classes]
    close = difflib.get_close_matches(ingress.class_name, names, n=1, cutoff=0.6) if ingress.class_name else []
    if close or not names:
        return (close[0], True) if close else ("", False)
    return names[0], len(names) == 1


CONTROLLER_DOWN = Cause(
    code="ingress-controller-down",
    title="The ingress controller has no ready Pod",
    says="Controller {program}, which serves Ingress {ingress}, has no ready Pod: {state}.",
    means="Nothing answers at the address of any Ingress of this class.",
    symptom="Refused or timed out for every host that the controller serves.",
    apart="With one broken Ingress, the other hosts of the controller work.",
    mend="Scale the controller up, or find out why its Pods are not ready.",
)


@explains(Hop.CONTROLLER, CONTROLLER_DOWN)
def controller_down(look: Look, asked: Question) -> Finding | None:
    """A known controller is installed and has no ready Pod."""
    ingress = way(look, asked).ingress if is_incoming(asked) else None
    found = controller_of(look, ingress) if ingress else None
    if ingress is None or found is None or found.ready or not (found.pods or found.workloads):
        return None
    at = found.at or found.pods[0].at
    wanted = max((tree.number(w, "spec", "replicas", default=1) for w in found.workloads), default=1)
    state = f"{at.short} is scaled to 0" if not wanted else _state(found)
    return CONTROLLER_DOWN.confirmed(
        at=at.at("spec.replicas") if not wanted else at,
        program=found.program,
        ingress=ingress.name,
        state=state,
        saw=f"Pods of {found.program}: {', '.join(p.name for p in found.pods[:3]) or 'none'}",
        fix=Fix("run one again", kubectl("scale", at.short, "--replicas=1", namespace=at.namespace))
        if not wanted
        else Fix(
            "see why its Pods are not ready",
            kubectl("describe", at.short, namespace=at.namespace),
            Risk.READ_ONLY,
        ),
    )


def _state(found: Controller) -> str:
    if not found.pods:
        return "it has no Pods"
    pod = found.pods[0]
    reason = next((c.reason for c in pod.containers if c.reason), "") or pod.phase
    return f"{pod.name} is not ready ({reason})"


BACKEND_SCHEME = Cause(
    code="ingress-backend-scheme",
    title="The controller speaks plain HTTP to Pods that speak TLS",
    says="The controller of Ingress {ingress} speaks plain HTTP to Service {service}, whose Pods speak TLS on {port}.",
    means="Every request ends in 400 or 502, however healthy the Pods are.",
    symptom='400 "plain HTTP request was sent to HTTPS port" or 502 from the Ingress; TLS to the Pods works.',
    apart="With a mesh's strict mTLS, the Pods have a sidecar that takes the connections.",
    mend="Tell the controller that the backend speaks HTTPS: by an annotation that depends on the controller.",
)


@explains(Hop.PROTOCOL, BACKEND_SCHEME)
def backend_scheme(look: Look, asked: Question) -> Finding | None:
    """The answer complains of plain HTTP, or is a controller's own 5xx, and a Pod does speak TLS."""
    found = way(look, asked)
    question = inner(look, asked)
    if not is_incoming(asked) or found.ingress is None or question is None:
        return None
    answer = answer_of(look, asked)
    if answer is None or not (answer.reply.wants_tls or answer.reply.status in (400, 500, 502)):
        return None
    used = in_use(backends_asked(look, question))
    if not used:
        return None
    client = client_pod(look, question)
    shaken = look(asks.tls(client, used[0].address, used[0].port))
    if not shaken.speaks_tls:
        return None
    return BACKEND_SCHEME.confirmed(
        at=found.ingress.at.at("metadata.annotations"),
        ingress=found.ingress.name,
        service=question.service,
        port=used[0].port,
        saw=(
            f"{answer.front.place}: {answer.reply.words}",
            f"TLS from {client.name} to {used[0].label}: {shaken.words}",
        ),
        fix=_annotation(look, found.ingress, question),
    )


def _annotation(look: Look, ingress: Ingress, question: Question) -> Fix | None:
    commands: dict[str, Command] = {
        "ingress-nginx": kubectl(
            *("annotate", "ingress", ingress.name, "nginx.ingress.kubernetes.io/backend-protocol=HTTPS"),
            "--overwrite",
            namespace=ingress.namespace,
        ),
        "traefik": kubectl(
            *("annotate", "service", question.service, "traefik.ingress.kubernetes.io/service.serversscheme=https"),
            "--overwrite",
            namespace=question.namespace,
        ),
        "haproxy-ingress": kubectl(
            *("annotate", "ingress", ingress.name, "haproxy-ingress.github.io/secure-backends=true", "--overwrite"),
            namespace=ingress.namespace,
        ),
    }
    command = commands.get(program_of(look, ingress))
    return Fix("let the controller speak HTTPS to the Pods", command) if command else None
