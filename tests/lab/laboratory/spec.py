"""What a cluster looks like: its size, its variants and every address in it."""

import json
import re
from dataclasses import asdict, dataclass
from typing import Self

from tests.lab.laboratory.errors import LabError
from tests.lab.laboratory.paths import Run

CNIS = ("bridge", "calico", "vxlan")
PROXIES = ("iptables", "nftables")
MOST_NODES = 50

FABRIC_ADDRESS = "172.30.0.1"
PERSON_ADDRESS = "172.30.0.2"
WORLD_ADDRESS = "172.30.0.3"
CONTROL_PLANE_ADDRESS = "172.30.0.10"
FIRST_NODE_OCTET = 11

SERVICE_CIDR = "10.96.0.0/16"
API_SERVICE_ADDRESS = "10.96.0.1"
DNS_SERVICE_ADDRESS = "10.96.0.10"
POD_CIDR = "10.244.0.0/16"
CLUSTER_DOMAIN = "cluster.local"

# The second family, where a cluster has two.
SERVICE_CIDR6 = "fd00:96::/112"
POD_CIDR6 = "fd00:244::/48"
FABRIC_NET6 = "fd00:30::"
OUTSIDE_CIDR6 = "2001:db8::/32"
OUTSIDE_HOST6 = "2001:db8::10"

OUTSIDE_CIDR = "203.0.113.0/24"
OUTSIDE_HOST = "203.0.113.10"
OUTSIDE_DNS = "203.0.113.53"

FABRIC, CONTROL_PLANE, PERSON, WORLD = "fabric", "cp", "user", "world"


@dataclass(frozen=True)
class Node:
    """A node's name and its addresses, which follow from its number (counted from 1)."""

    number: int

    @property
    def name(self) -> str:
        return f"node-{self.number}"

    @property
    def address(self) -> str:
        return f"172.30.0.{FIRST_NODE_OCTET + self.number - 1}"

    @property
    def pod_cidr(self) -> str:
        return f"10.244.{self.number}.0/24"

    @property
    def overlay_address(self) -> str:
        """That of its VXLAN device: the first of its Pod range, which no Pod gets."""
        return self.pod_cidr.partition("/")[0]

    @property
    def overlay_mac(self) -> str:
        """That of its VXLAN device, the same in every cluster."""
        return f"5e:0f:1a:00:00:{self.number:02x}"

    @property
    def address6(self) -> str:
        return second_address(self.address)

    @property
    def pod_cidr6(self) -> str:
        return f"fd00:244:0:{self.number:x}::/64"


def second_address(address: str) -> str:
    """The IPv6 address of a machine: its IPv4 address's last number, written as it is."""
    return f"{FABRIC_NET6}{address.rpartition('.')[2]}"


@dataclass(frozen=True)
class Spec:
    name: str
    cni: str
    proxy: str
    size: int
    dual: bool = False
    """IPv4 and IPv6; else IPv4 alone."""

    @property
    def words(self) -> str:
        return f"cni {self.cni}, kube-proxy {self.proxy}, nodes {self.size}{', dual stack' if self.dual else ''}"

    def ranges(self, first: str, second: str) -> str:
        """A range of each family, as Kubernetes' flags take them."""
        return f"{first},{second}" if self.dual else first

    @property
    def overlay(self) -> bool:
        """Pods' packets travel between nodes inside others, so only nodes know the way to Pods."""
        return self.cni == "vxlan"

    @property
    def nodes(self) -> list[Node]:
        return [Node(number) for number in range(1, self.size + 1)]

    @property
    def namespaces(self) -> list[str]:
        return [FABRIC, CONTROL_PLANE, PERSON, WORLD, *(node.name for node in self.nodes)]

    def save(self, run: Run) -> None:
        run.spec.write_text(json.dumps(asdict(self)))

    @classmethod
    def load(cls, run: Run) -> Self:
        if not run.spec.exists():
            raise LabError(f"there is no cluster named {run.name}")
        return cls(**json.loads(run.spec.read_text()))


def check_name(name: str) -> str:
    """The name, if it can be a directory, a cgroup and a kubeconfig context; else LabError with exit 2."""
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?", name):
        raise LabError(f"{name!r} is no name for a cluster: use up to 32 of a-z, 0-9 and -", code=2)
    return name
