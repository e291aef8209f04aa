"""A NetworkPolicy: whom it isolates, in which directions, and what its rules admit."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from kubectl_netdebug.model.finding import ObjectRef
from kubectl_netdebug.model.objects import tree

LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
TYPES_LEFT_OUT = "policyTypes left out"
"""What the rim leaves of the last applied configuration of a policy whose author wrote no `policyTypes`."""


class Direction(StrEnum):
    """As `policyTypes` writes them."""

    INGRESS = "Ingress"
    EGRESS = "Egress"

    @property
    def field(self) -> str:
        """`ingress`, `egress`."""
        return self.value.lower()

    @property
    def peers(self) -> str:
        """What the peers of a rule are called: `from`, `to`."""
        return "from" if self is Direction.INGRESS else "to"


@dataclass(frozen=True)
class Requirement:
    """One condition on a label. `values` are empty for Exists and DoesNotExist; `matchLabels` becomes In."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def met_by(self, labels: Mapping[str, str]) -> bool:
        """NotIn is met by an absent label as well, as in the API. An operator that nobody knows is never met."""
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value is not None and value in self.values
            case "NotIn":
                return value is None or value not in self.values
            case "Exists":
                return value is not None
            case "DoesNotExist":
                return value is None
        return False

    def __str__(self) -> str:
        match self.operator:
            case "In" if len(self.values) == 1:
                return f"{self.key}={self.values[0]}"
            case "Exists":
                return self.key
            case "DoesNotExist":
                return f"!{self.key}"
        return f"{self.key} {self.operator.lower()} ({','.join(self.values)})"


@dataclass(frozen=True)
class Selector:
    """A label selector; without requirements it selects everything."""

    requirements: tuple[Requirement, ...] = ()

    def matches(self, labels: Mapping[str, str]) -> bool:
        """All requirements are met."""
        return not self.unmet(labels)

    def unmet(self, labels: Mapping[str, str]) -> tuple[Requirement, ...]:
        """The requirements that these labels do not meet."""
        return tuple(r for r in self.requirements if not r.met_by(labels))

    def __str__(self) -> str:
        return ",".join(map(str, self.requirements)) or "everything"


@dataclass(frozen=True)
class Block:
    """An `ipBlock`."""

    cidr: str
    excepted: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.cidr + (f" except {', '.join(self.excepted)}" if self.excepted else "")


@dataclass(frozen=True)
class PolicyPeer:
    """One entry of `from` or `to`. An absent selector is None, an empty one selects everything.

    A block excludes selectors. An entry with nothing in it is invalid, and matches nobody.
    """

    pods: Selector | None = None
    namespaces: Selector | None = None
    block: Block | None = None

    def __str__(self) -> str:
        if self.block is not None:
            return str(self.block)
        pods = "all Pods" if self.pods is None or not self.pods.requirements else f"Pods {self.pods}"
        if self.namespaces is None:
            return f"{pods} of its own namespace"
        everywhere = not self.namespaces.requirements
        return f"{pods} of {'all namespaces' if everywhere else f'namespaces {self.namespaces}'}"


@dataclass(frozen=True)
class PolicyPort:
    """One entry of `ports`. `port` is a number as text, the name of a container port, or '' for all ports."""

    port: str = ""
    end: int = 0
    protocol: str = "TCP"
    protocol_written: bool = True
    """The API fills in TCP where none is written, so this is False only in what never passed through it."""

    def __str__(self) -> str:
        last = f"-{self.end}" if self.end else ""
        return f"{self.port or 'every port'}{last}/{self.protocol}"


@dataclass(frozen=True)
class PolicyRule:
    """One entry of `ingress` or `egress`. Without peers it means everybody, without ports every port."""

    index: int
    peers: tuple[PolicyPeer, ...] = ()
    ports: tuple[PolicyPort, ...] = ()

    def __str__(self) -> str:
        peers = " or ".join(map(str, self.peers)) or "everybody"
        return f"{peers}, {', '.join(map(str, self.ports)) or 'every port'}"


@dataclass(frozen=True)
class NetworkPolicy:
    """What judging traffic needs of a NetworkPolicy. `types` are in effect, defaults filled in."""

    namespace: str
    name: str
    selector: Selector
    types: tuple[Direction, ...]
    ingress: tuple[PolicyRule, ...] = ()
    egress: tuple[PolicyRule, ...] = ()
    types_left_out: bool = False
    """Its author is known to have written no `policyTypes`."""

    def rules(self, direction: Direction) -> tuple[PolicyRule, ...]:
        """The rules of one direction."""
        return self.ingress if direction is Direction.INGRESS else self.egress

    @property
    def at(self) -> ObjectRef:
        """The object itself."""
        return ObjectRef("NetworkPolicy", self.namespace, self.name)

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


def read_policy(raw: Any) -> NetworkPolicy:
    """The view of a raw NetworkPolicy."""
    meta, spec = tree.dig(raw, "metadata"), tree.dig(raw, "spec")
    written = tree.strings(spec, "policyTypes")
    egress = tuple(_rule(i, entry, Direction.EGRESS) for i, entry in enumerate(tree.entries(spec, "egress")))
    default = (Direction.INGRESS, Direction.EGRESS) if egress else (Direction.INGRESS,)
    return NetworkPolicy(
        namespace=tree.text(meta, "namespace"),
        name=tree.text(meta, "name"),
        selector=read_selector(tree.dig(spec, "podSelector")) or Selector(),
        types=tuple(d for d in Direction if d in written) if written else default,
        ingress=tuple(_rule(i, entry, Direction.INGRESS) for i, entry in enumerate(tree.entries(spec, "ingress"))),
        egress=egress,
        types_left_out=not written or tree.text(meta, "annotations", LAST_APPLIED) == TYPES_LEFT_OUT,
    )


def read_selector(raw: Any) -> Selector | None:
    """A label selector; None where there is none."""
    if not isinstance(raw, Mapping):
        return None
    labels = [Requirement(k, "In", (v,)) for k, v in sorted(tree.labels(raw, "matchLabels").items())]
    expressions = [
        Requirement(tree.text(e, "key"), tree.text(e, "operator"), tree.strings(e, "values"))
        for e in tree.entries(raw, "matchExpressions")
    ]
    return Selector((*labels, *expressions))


def _rule(index: int, raw: Mapping[str, Any], direction: Direction) -> PolicyRule:
    return PolicyRule(
        index=index,
        peers=tuple(map(_peer, tree.entries(raw, direction.peers))),
        ports=tuple(map(_port, tree.entries(raw, "ports"))),
    )


def _peer(raw: Mapping[str, Any]) -> PolicyPeer:
    block = tree.dig(raw, "ipBlock")
    return PolicyPeer(
        pods=read_selector(tree.dig(raw, "podSelector")),
        namespaces=read_selector(tree.dig(raw, "namespaceSelector")),
        block=Block(tree.text(block, "cidr"), tree.strings(block, "except")) if isinstance(block, Mapping) else None,
    )


def _port(raw: Mapping[str, Any]) -> PolicyPort:
    return PolicyPort(
        port=tree.text(raw, "port"),
        end=tree.number(raw, "endPort"),
        protocol=tree.text(raw, "protocol") or "TCP",
        protocol_written=bool(tree.text(raw, "protocol")),
    )
