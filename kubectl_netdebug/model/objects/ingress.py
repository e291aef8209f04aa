"""An Ingress and its class."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kubectl_netdebug.model.finding import ObjectRef
from kubectl_netdebug.model.objects import tree

CLASS_ANNOTATION = "kubernetes.io/ingress.class"
DEFAULT_CLASS_ANNOTATION = "ingressclass.kubernetes.io/is-default-class"


@dataclass(frozen=True)
class IngressPath:
    """One path of one rule, or the default backend (then `host` and `path` are '' and `where` says so).

    `service` is '' for a backend that is no Service. `port` is a number as text, or a name.
    """

    where: str
    """The field of the backend, as a JSON path: `spec.rules[0].http.paths[0].backend`."""
    host: str
    path: str
    kind: str
    service: str
    port: str

    @property
    def pointer(self) -> str:
        """The same place for a JSON patch."""
        return "/" + self.where.replace("[", "/").replace("]", "").replace(".", "/")

    @property
    def label(self) -> str:
        """`shop.lab/cart`, for people."""
        return f"{self.host or '*'}{self.path or '/'}"


@dataclass(frozen=True)
class IngressTls:
    """One entry of `spec.tls`."""

    index: int
    hosts: tuple[str, ...]
    secret: str


@dataclass(frozen=True)
class Ingress:
    """What diagnosing needs of an Ingress."""

    namespace: str
    name: str
    class_name: str
    class_annotation: str
    paths: tuple[IngressPath, ...]
    tls: tuple[IngressTls, ...]
    addresses: tuple[str, ...]
    """Addresses and names in its status, which its controller writes."""
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def at(self) -> ObjectRef:
        """The object itself."""
        return ObjectRef("Ingress", self.namespace, self.name)

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts of its rules, each once, without ''."""
        return tuple(dict.fromkeys(p.host for p in self.paths if p.host))


@dataclass(frozen=True)
class IngressClass:
    """Who serves the Ingresses of a class."""

    name: str
    controller: str
    default: bool


def read_ingress(raw: Any) -> Ingress | None:
    """The view of a raw Ingress, or None for None."""
    if raw is None:
        return None
    return Ingress(
        namespace=tree.text(raw, "metadata", "namespace"),
        name=tree.text(raw, "metadata", "name"),
        class_name=tree.text(raw, "spec", "ingressClassName"),
        class_annotation=tree.text(raw, "metadata", "annotations", CLASS_ANNOTATION),
        paths=_paths(raw),
        tls=tuple(
            IngressTls(index, tree.strings(entry, "hosts"), tree.text(entry, "secretName"))
            for index, entry in enumerate(tree.entries(raw, "spec", "tls"))
        ),
        addresses=tuple(
            address
            for entry in tree.entries(raw, "status", "loadBalancer", "ingress")
            if (address := tree.text(entry, "ip") or tree.text(entry, "hostname"))
        ),
        annotations=tree.labels(raw, "metadata", "annotations"),
    )


def _paths(raw: Any) -> tuple[IngressPath, ...]:
    found = [
        _path(f"spec.rules[{r}].http.paths[{p}].backend", tree.text(rule, "host"), path, tree.dig(path, "backend"))
        for r, rule in enumerate(tree.entries(raw, "spec", "rules"))
        for p, path in enumerate(tree.entries(rule, "http", "paths"))
    ]
    default = tree.dig(raw, "spec", "defaultBackend")
    if isinstance(default, Mapping):
        found.append(_path("spec.defaultBackend", "", {"path": "", "pathType": "Prefix"}, default))
    return tuple(found)


def _path(where: str, host: str, raw: Mapping[str, Any], backend: Any) -> IngressPath:
    port = tree.text(backend, "service", "port", "name") or tree.text(backend, "service", "port", "number")
    return IngressPath(
        where, host, tree.text(raw, "path"), tree.text(raw, "pathType"), tree.text(backend, "service", "name"), port
    )


def read_class(raw: Any) -> IngressClass | None:
    """The view of a raw IngressClass, or None for None."""
    if raw is None:
        return None
    return IngressClass(
        name=tree.text(raw, "metadata", "name"),
        controller=tree.text(raw, "spec", "controller"),
        default=tree.text(raw, "metadata", "annotations", DEFAULT_CLASS_ANNOTATION) == "true",
    )
