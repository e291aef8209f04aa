"""The Gateway API: gateways with their listeners, and HTTP routes (gateway-api.sigs.k8s.io, version v1)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kubectl_netdebug.model.finding import ObjectRef
from kubectl_netdebug.model.objects import tree


@dataclass(frozen=True)
class State:
    """One condition. `current`: it is about the generation that the object has now."""

    type: str
    status: str
    reason: str
    message: str
    current: bool = True

    @property
    def said(self) -> str:
        """Reason and message, for people."""
        return f"{self.reason}: {self.message}" if self.message else self.reason


@dataclass(frozen=True)
class Listener:
    """One listener of a Gateway. `from_namespaces` is Same, All or Selector."""

    index: int
    name: str
    port: int
    protocol: str
    hostname: str
    from_namespaces: str
    secrets: tuple[tuple[str, str], ...]
    """(namespace, name) of its certificates."""
    states: tuple[State, ...] = ()


@dataclass(frozen=True)
class Gateway:
    """What diagnosing needs of a Gateway."""

    namespace: str
    name: str
    class_name: str
    listeners: tuple[Listener, ...]
    addresses: tuple[str, ...]
    states: tuple[State, ...]

    @property
    def at(self) -> ObjectRef:
        """The object itself."""
        return ObjectRef("Gateway", self.namespace, self.name)


@dataclass(frozen=True)
class Parent:
    """A reference of a route to a Gateway, and what the Gateway's controller says about it (nothing: no states)."""

    index: int
    kind: str
    namespace: str
    name: str
    section: str
    port: int
    states: tuple[State, ...] = ()


@dataclass(frozen=True)
class RouteBackend:
    """A backend of a rule."""

    where: str
    kind: str
    namespace: str
    name: str
    port: int


@dataclass(frozen=True)
class RouteRule:
    """A rule: (path, kind) pairs that it takes, and its backends. No pairs: every path."""

    paths: tuple[tuple[str, str], ...]
    backends: tuple[RouteBackend, ...]


@dataclass(frozen=True)
class HttpRoute:
    """What diagnosing needs of an HTTPRoute."""

    namespace: str
    name: str
    hostnames: tuple[str, ...]
    parents: tuple[Parent, ...]
    rules: tuple[RouteRule, ...]

    @property
    def at(self) -> ObjectRef:
        """The object itself."""
        return ObjectRef("HTTPRoute", self.namespace, self.name)


def states_of(raw: Any, generation: int = 0) -> tuple[State, ...]:
    """The conditions of a raw status; `generation` is that of the object, 0 where it does not matter."""
    return tuple(
        State(
            type=tree.text(c, "type"),
            status=tree.text(c, "status"),
            reason=tree.text(c, "reason"),
            message=tree.text(c, "message"),
            current=not generation or tree.number(c, "observedGeneration", default=generation) >= generation,
        )
        for c in tree.entries(raw, "conditions")
    )


def read_gateway(raw: Any) -> Gateway | None:
    """The view of a raw Gateway, or None for None."""
    if raw is None:
        return None
    namespace = tree.text(raw, "metadata", "namespace")
    generation = tree.number(raw, "metadata", "generation")
    said = {tree.text(s, "name"): states_of(s, generation) for s in tree.entries(raw, "status", "listeners")}
    return Gateway(
        namespace=namespace,
        name=tree.text(raw, "metadata", "name"),
        class_name=tree.text(raw, "spec", "gatewayClassName"),
        listeners=tuple(
            _listener(index, entry, namespace, said.get(tree.text(entry, "name"), ()))
            for index, entry in enumerate(tree.entries(raw, "spec", "listeners"))
        ),
        addresses=tuple(
            value for entry in tree.entries(raw, "status", "addresses") if (value := tree.text(entry, "value"))
        ),
        states=states_of(tree.dig(raw, "status"), generation),
    )


def _listener(index: int, raw: Mapping[str, Any], namespace: str, states: tuple[State, ...]) -> Listener:
    return Listener(
        index=index,
        name=tree.text(raw, "name"),
        port=tree.number(raw, "port"),
        protocol=tree.text(raw, "protocol"),
        hostname=tree.text(raw, "hostname"),
        from_namespaces=tree.text(raw, "allowedRoutes", "namespaces", "from") or "Same",
        secrets=tuple(
            (tree.text(r, "namespace") or namespace, tree.text(r, "name"))
            for r in tree.entries(raw, "tls", "certificateRefs")
        ),
        states=states,
    )


def read_route(raw: Any) -> HttpRoute | None:
    """The view of a raw HTTPRoute, or None for None."""
    if raw is None:
        return None
    namespace = tree.text(raw, "metadata", "namespace")
    return HttpRoute(
        namespace=namespace,
        name=tree.text(raw, "metadata", "name"),
        hostnames=tree.strings(raw, "spec", "hostnames"),
        parents=tuple(
            _parent(index, entry, raw, namespace) for index, entry in enumerate(tree.entries(raw, "spec", "parentRefs"))
        ),
        rules=tuple(_rule(index, entry, namespace) for index, entry in enumerate(tree.entries(raw, "spec", "rules"))),
    )


def _parent(index: int, ref: Mapping[str, Any], raw: Any, home: str) -> Parent:
    name, namespace = tree.text(ref, "name"), tree.text(ref, "namespace") or home
    section = tree.text(ref, "sectionName")
    generation = tree.number(raw, "metadata", "generation")
    said = [
        s
        for s in tree.entries(raw, "status", "parents")
        if tree.text(s, "parentRef", "name") == name
        and (tree.text(s, "parentRef", "namespace") or home) == namespace
        and tree.text(s, "parentRef", "sectionName") == section
    ]
    return Parent(
        index=index,
        kind=tree.text(ref, "kind") or "Gateway",
        namespace=namespace,
        name=name,
        section=section,
        port=tree.number(ref, "port"),
        states=tuple(state for s in said for state in states_of(s, generation)),
    )


def _rule(index: int, raw: Mapping[str, Any], home: str) -> RouteRule:
    matches = list(tree.entries(raw, "matches"))
    return RouteRule(
        paths=tuple(
            (tree.text(m, "path", "value") or "/", tree.text(m, "path", "type") or "PathPrefix") for m in matches
        ),
        backends=tuple(
            RouteBackend(
                where=f"spec.rules[{index}].backendRefs[{number}]",
                kind=tree.text(b, "kind") or "Service",
                namespace=tree.text(b, "namespace") or home,
                name=tree.text(b, "name"),
                port=tree.number(b, "port"),
            )
            for number, b in enumerate(tree.entries(raw, "backendRefs"))
        ),
    )
