"""What the person asked, once the command line has been understood."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class FlowName(StrEnum):
    """The decision trees that exist; the value stands in results and recordings."""

    SERVICE = "service"
    POD_TO_OUTSIDE = "pod-to-outside"
    OUTSIDE_TO_POD = "outside-to-pod"
    POD_TO_POD = "pod-to-pod"
    POD_TO_ITSELF = "pod-to-itself"
    DNS = "dns"
    API = "api"
    NODE = "node"


class SourceKind(StrEnum):
    """Where the failing connection starts."""

    ANY = "any"
    POD = "pod"
    DEPLOYMENT = "deployment"
    STATEFULSET = "statefulset"
    DAEMONSET = "daemonset"
    JOB = "job"
    NODE = "node"
    OUTSIDE = "outside"


@dataclass(frozen=True)
class Source:
    """The client of the failing connection; `ANY` leaves the choice of a Pod to the flow."""

    kind: SourceKind = SourceKind.ANY
    namespace: str = ""
    name: str = ""

    def __str__(self) -> str:
        return self.kind.value if not self.name else f"{self.kind.value}/{self.name}"


@dataclass(frozen=True)
class Question:
    """One question to answer.

    `namespace` is that of the destination; where there is none in the cluster, the source's. At most one of `service`,
    `pod`, `ingress`, `gateway` and `host` names the destination. `host` is a name or an address as it was typed; in the
    flow `dns` it is the name to resolve, '' for "names in general". `port` is what the person typed behind the colon: a
    number or a port name, empty for "all that are declared". `scheme` and `path` are those of a URL. `node` is the node
    that the flow of that name is about.
    """

    flow: FlowName
    namespace: str
    service: str = ""
    port: str = ""
    protocol: str = ""
    source: Source = Source()
    pod: str = ""
    ingress: str = ""
    gateway: str = ""
    host: str = ""
    scheme: str = ""
    path: str = ""
    node: str = ""

    @property
    def destination(self) -> str:
        """The destination as the person would write it."""
        match self.flow:
            case FlowName.POD_TO_ITSELF:
                return f"itself by {self.service}" if self.service else "itself"
            case FlowName.API:
                return "the API server"
            case FlowName.DNS:
                return self.host or "names"
            case FlowName.NODE:
                return f"node/{self.node}"
        if self.host:
            return self._url if self.scheme else self._with_port(self._host_in_url)
        for kind, name in (("pod", self.pod), ("ingress", self.ingress), ("gateway", self.gateway)):
            if name:
                return self._with_port(f"{kind}/{name}")
        return self._with_port(self.service)

    @property
    def kind_and_name(self) -> str:
        """`service/web`, `host/example.com`, `self`: the destination for programs."""
        for kind in ("service", "pod", "ingress", "gateway", "host", "node"):
            if getattr(self, kind):
                return f"{kind}/{getattr(self, kind)}"
        return {FlowName.POD_TO_ITSELF: "self", FlowName.API: "api"}.get(self.flow, "any")

    @property
    def _url(self) -> str:
        return f"{self.scheme}://{self._with_port(self._host_in_url)}{self.path}"

    @property
    def _host_in_url(self) -> str:
        return f"[{self.host}]" if ":" in self.host and self.port else self.host

    def _with_port(self, name: str) -> str:
        return f"{name}:{self.port}" if self.port else name
