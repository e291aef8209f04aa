"""The programs that serve Ingresses: which one a class means, whether it runs, and by which Service it is reached."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes import incoming_asks as ask
from kubectl_netdebug.model.finding import ObjectRef
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.ingress import Ingress, IngressClass
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.objects.service import Service

PROGRAMS = {
    "k8s.io/ingress-nginx": "ingress-nginx",
    "nginx.org/ingress-controller": "nginx-ingress",
    "traefik.io/ingress-controller": "traefik",
    "haproxy-ingress.github.io/controller": "haproxy-ingress",
    "haproxy.org/ingress-controller": "kubernetes-ingress",
    "ingress-controllers.konghq.com/kong": "kong",
    "projectcontour.io/": "contour",
}
"""What the `controller` of a class begins with, and the label app.kubernetes.io/name that its charts give."""

CLASS_NAMES = {"nginx": "ingress-nginx", "traefik": "traefik", "haproxy": "haproxy-ingress", "kong": "kong"}
"""Names that classes go by in the old annotation, which needs no IngressClass."""

ALL = tuple(PROGRAMS.values())


@dataclass(frozen=True)
class Controller:
    """A known controller as it is installed here: its Pods, and the workloads that make them."""

    program: str
    pods: tuple[Pod, ...]
    workloads: tuple[Mapping[str, Any], ...]

    @property
    def ready(self) -> tuple[Pod, ...]:
        """The Pods that can serve."""
        return tuple(pod for pod in self.pods if pod.ready and not pod.deleting)

    @property
    def at(self) -> ObjectRef | None:
        """The first workload."""
        for raw in self.workloads:
            meta = tree.dig(raw, "metadata")
            return ObjectRef(tree.text(raw, "kind"), tree.text(meta, "namespace"), tree.text(meta, "name"))
        return None


def class_of(look: Look, ingress: Ingress) -> IngressClass | None:
    """The class that an Ingress belongs to: the one it names, else the default. None: no such class."""
    classes = look(ask.ingress_classes())
    if ingress.class_name or ingress.class_annotation:
        wanted = ingress.class_name or ingress.class_annotation
        return next((c for c in classes if c.name == wanted), None)
    return next((c for c in classes if c.default), None)


def program_of(look: Look, ingress: Ingress) -> str:
    """The label of the controller that should serve an Ingress; '' for one that is not known here."""
    found = class_of(look, ingress)
    if found is None:
        return CLASS_NAMES.get(ingress.class_annotation, "")
    return next((label for begin, label in PROGRAMS.items() if found.controller.startswith(begin)), "")


def controller_of(look: Look, ingress: Ingress) -> Controller | None:
    """The controller that should serve an Ingress, where it is a known one and the cluster may be searched for it."""
    program = program_of(look, ingress)
    found = controller_called(look, program) if program else None
    cls = class_of(look, ingress)
    return _for_class(found, (cls.name, cls.controller)) if found and cls else found


def _for_class(found: Controller, names: tuple[str, str]) -> Controller:
    """Of several installations, the one that is told to serve this class; all where none is told so."""
    told = tuple(w for w in found.workloads if any(_names_class(word, names) for word in _arguments(w)))
    if not told:
        return found
    pods = tuple(pod for pod in found.pods if any(_makes(w, pod) for w in told))
    return Controller(found.program, pods, told)


def _names_class(word: str, names: tuple[str, str]) -> bool:
    option, _, value = word.partition("=")
    return "class" in option.lower() and value in names


def _arguments(workload: Mapping[str, Any]) -> list[str]:
    containers = tree.entries(workload, "spec", "template", "spec", "containers")
    return [word for container in containers for word in tree.strings(container, "args")]


def _makes(workload: Mapping[str, Any], pod: Pod) -> bool:
    selector = tree.labels(workload, "spec", "selector", "matchLabels")
    return pod.namespace == tree.text(workload, "metadata", "namespace") and selector.items() <= pod.labels.items()


def controller_called(look: Look, program: str) -> Controller | None:
    """A controller by its label."""
    deployed, daemon = ask.workloads_called("deployments", ALL), ask.workloads_called("daemonsets", ALL)
    look.foresee(ask.pods_called(ALL), deployed, daemon)
    pods, deployments, daemons = look.if_known(ask.pods_called(ALL)), look.if_known(deployed), look.if_known(daemon)
    if pods is None:
        return None
    workloads = [
        {"kind": kind, **raw}
        for kind, found in (("Deployment", deployments), ("DaemonSet", daemons))
        for raw in found or ()
        if tree.text(raw, "metadata", "labels", "app.kubernetes.io/name") == program
        and not tree.text(raw, "metadata", "deletionTimestamp")
    ]
    own = tuple(p for p in pods if p.labels.get("app.kubernetes.io/name") == program and not p.finished)
    return Controller(program, own, tuple(workloads))


def services_of(look: Look, controller: Controller, near: str = "") -> tuple[Service, ...]:
    """The Services by which a controller is reached from outside, those of the namespace `near` first."""
    namespaces = dict.fromkeys(p.namespace for p in controller.pods) | dict.fromkeys(
        tree.text(w, "metadata", "namespace") for w in controller.workloads
    )
    ordered = sorted(namespaces, key=lambda name: (name != near, name))[:4]
    lists = look.all_known([asks.services_in(name) for name in ordered])
    return tuple(
        service
        for services in lists
        for service in services or ()
        if service.type in ("LoadBalancer", "NodePort")
        and service.labels.get("app.kubernetes.io/name", controller.program) == controller.program
        and (_selects(service, controller))
    )


def _selects(service: Service, controller: Controller) -> bool:
    labels = [pod.labels for pod in controller.pods] + [
        tree.labels(w, "spec", "template", "metadata", "labels") for w in controller.workloads
    ]
    return bool(service.selector) and any(service.selector.items() <= each.items() for each in labels)
