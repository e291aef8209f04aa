"""What a runtime says when it cannot give a Pod its network: texts of runtimes and network plugins, classified."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Kind(StrEnum):
    """What such a text comes down to."""

    NO_CONFIG = "no-config"
    """The runtime has no network configuration that it can use: none there, or none that can be read."""
    BAD_CONFIG = "bad-config"
    """A configuration was found, and the runtime or a plugin cannot use it."""
    NO_PLUGIN = "no-plugin"
    """The program that the configuration names is not there, or cannot be run."""
    NO_ADDRESS = "no-address"
    """The `host-local` address management has no address left."""
    NO_ADDRESS_AWS = "no-address-aws"
    NO_ADDRESS_AZURE = "no-address-azure"
    NO_ADDRESS_CALICO = "no-address-calico"
    SUBNET_ENV = "subnet-env"
    """Flannel's plugin does not find the file that flanneld writes."""
    BRIDGE_ADDRESS = "bridge-address"
    """The bridge has an address of another range."""
    DENIED = "denied"
    """The plugin asked the API server and was turned away."""
    API_UNREACHABLE = "api-unreachable"
    """The plugin could not reach the API server."""
    AGENT = "agent"
    """The plugin could not reach its agent on the node."""
    IMAGE = "image"
    """The image of the sandbox (pause) cannot be had."""
    OTHER = "other"


@dataclass(frozen=True)
class SandboxError:
    """A classified text. `said` is the part that matters, word for word; `parts` are the names that stand in it."""

    kind: Kind
    plugin: str
    said: str
    parts: Mapping[str, str] = field(default_factory=dict)


_LOCAL = r"127\.0\.0\.1|localhost|\[::1\]"

_PATTERNS: tuple[tuple[Kind, str], ...] = (
    (Kind.SUBNET_ENV, r"(?:open|stat) (?P<file>\S*/flannel/subnet\.env): no such file"),
    (Kind.IMAGE, r"failed to (?:get|start|pull) sandbox image \"?(?P<image>[^\"\s]+)\"?"),
    (Kind.IMAGE, r"\bpull(?:ing)? (?:and unpack )?(?:the )?(?:sandbox )?image \"?(?P<image>[^\"\s]+?)\"?:? "),
    (Kind.NO_ADDRESS_AWS, r"failed to assign an IP address to container"),
    (
        Kind.NO_ADDRESS_AZURE,
        r"No available addresses|not enough IPs? (?:is |are )?available|waiting on Azure CNS|AllocateIPConfig failed",
    ),
    (
        Kind.NO_ADDRESS_CALICO,
        r"no configured Calico pools|No IPs available in pools|IPAM allocated only 0|ran out of IP addresses in pool",
    ),
    (Kind.NO_ADDRESS, r"no IP addresses available in (?:range set: ?(?P<range>\S+)|network: ?(?P<network>\S+))"),
    (Kind.BRIDGE_ADDRESS, r"\"(?P<bridge>\S+)\" already has an IP address different from (?P<wanted>[0-9a-fA-F.:/]+)"),
    (Kind.NO_PLUGIN, r"failed to find plugin \"(?P<missing>[^\"]+)\" in path \[(?P<folder>[^\]]*)\]"),
    (Kind.NO_PLUGIN, r"exec (?P<file>/\S+): (?P<why>permission denied|exec format error|no such file or directory)"),
    (
        Kind.AGENT,
        (
            r"unable to (?:connect to|create) (?P<agent>\w+) (?:agent|client)"
            r"|check that the (?P<pod>calico/node) container"
            r"|dial unix (?P<socket>\S+?):? (?=connect|i/o)"
            rf"|dial tcp (?P<local>(?:{_LOCAL}):\d+): (?:connect|i/o)"
        ),
    ),
    (
        Kind.DENIED,
        r"\bUnauthorized\b|\bis forbidden\b|x509: |certificate signed by unknown|the server has asked for the client",
    ),
    (
        Kind.API_UNREACHABLE,
        (
            r"dial tcp (?P<address>\S+): (?:connect: (?P<how>[\w ]+)|i/o timeout)"
            r"|Get \"https://(?P<server>[^/\"]+)[^\"]*\": (?:context deadline exceeded|net/http: TLS handshake timeout)"
        ),
    ),
    (
        Kind.NO_CONFIG,
        (
            r"cni plugin not initialized|no networks? (?:config )?found in (?P<folder>\S+)|cni config uninitialized"
            r"|No CNI configuration file in (?P<where>\S+?)\.? "
        ),
    ),
    (
        Kind.BAD_CONFIG,
        (
            r"version does not allow STATUS|incompatible CNI versions|unsupported CNI|config version|error parsing conf"
            r"|failed to (?:load|parse)\b.*?conf|failed to unmarshal|cannot unmarshal|invalid character"
            r"|error loading conf"
            r"|invalid CIDR address|unknown IPAM type|netplugin failed.*(?:version|parse)"
        ),
    ),
)
"""In the order in which they are tried: an error quotes the errors below it, and the deepest says most."""


def classify(message: str) -> SandboxError:
    """The class of a FailedCreatePodSandBox or NetworkNotReady message, or of a node's Ready condition."""
    text = " ".join(message.split())
    said = _heart(text)
    plugin = re.search(r"plugin type=\"([^\"]+)\"", text)
    for kind, pattern in _PATTERNS:
        found = re.search(pattern, text + " ", re.IGNORECASE)
        if found:
            parts = {name: value for name, value in found.groupdict().items() if value}
            return SandboxError(kind, plugin[1] if plugin else "", said, parts)
    return SandboxError(Kind.OTHER, plugin[1] if plugin else "", said)


def _heart(text: str) -> str:
    """The message without what runtimes and kubelet put before it, and without container ids."""
    for before in (
        r"^.*NetworkReady=false reason:\w+ message:",
        r"^.*?plugin type=\"[^\"]+\"(?: name=\"[^\"]*\")? failed \(add\): ",
        r"^.*?[Ff]ailed to set ?up (?:network for sandbox \S+|pod \S+ network|pod network): ",
        r"^.*?rpc error: code = \w+ desc = ",
    ):
        shorter = re.sub(before, "", text, count=1)
        if shorter != text and shorter:
            text = shorter
            break
    return re.sub(r"\b[0-9a-f]{64}\b", lambda found: found[0][:12], text).strip()
