"""Facts: single observations with a key that says what was looked at, where, and at what price.

Keys and values are plain data, so a recording is the facts of a run and a replay is the same program with
another source of facts.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any, ClassVar, Generic, TypeVar

Json = Any
T = TypeVar("T")


class Price(IntEnum):
    """What getting a fact costs the cluster."""

    READ = 0
    """A read of the API; changes nothing."""
    LOCAL = 1
    """A connection from this machine; changes nothing in the cluster."""
    POD = 2
    """Runs a command in a Pod, which may add an ephemeral container to it."""
    NODE = 3
    """Runs a command on a node, which creates a privileged Pod there for the length of the run."""


class Why(StrEnum):
    """Why a fact could not be established."""

    FORBIDDEN = "forbidden"
    NO_CONSENT = "no-consent"
    TIMEOUT = "timeout"
    UNREACHABLE = "unreachable"
    NO_TOOL = "no-tool"
    REFUSED = "refused-by-cluster"
    ERROR = "error"
    NOT_RECORDED = "not-recorded"


@dataclass(frozen=True)
class Known:
    """A fact that was established. `value` is plain JSON; `how` names the rung that was used, if there is a choice."""

    value: Json
    milliseconds: float = 0.0
    how: str = ""


@dataclass(frozen=True)
class Unknown:
    """A fact that could not be established, and what would unlock it."""

    why: Why
    says: str
    unlock: str = ""
    milliseconds: float = 0.0


Answer = Known | Unknown

_KINDS: dict[str, type[FactKey]] = {}


@dataclass(frozen=True)
class FactKey:
    """Base of all keys. Fields are strings, numbers, booleans or tuples of strings, so keys hash and serialise."""

    price: ClassVar[Price] = Price.READ

    def __init_subclass__(cls) -> None:
        _KINDS[cls.__name__] = cls

    def to_json(self) -> dict[str, Json]:
        """The key as plain data; `from_json` is its inverse."""
        fields = {k: list(v) if isinstance(v, tuple) else v for k, v in vars(self).items()}
        return {"fact": type(self).__name__, **fields}

    @staticmethod
    def from_json(data: Mapping[str, Json]) -> FactKey:
        """Raises ValueError for a kind or fields that this version does not know."""
        fields = dict(data)
        kind = _KINDS.get(str(fields.pop("fact", "")))
        if kind is None:
            raise ValueError(f"unknown kind of fact: {data.get('fact')!r}")
        names = {f.name for f in dataclasses.fields(kind)}
        if not names >= fields.keys():
            raise ValueError(f"{kind.__name__} has no fields {sorted(fields.keys() - names)}")
        return kind(**{k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()})


@dataclass(frozen=True)
class Now(FactKey):
    """When the run began, as RFC 3339 in UTC. Ages are counted from here, so replays agree with the run."""


@dataclass(frozen=True)
class MayProbe(FactKey):
    """True where probing is allowed or can be asked for; unknown (no consent) otherwise. Costs nothing to look at."""


@dataclass(frozen=True)
class MayLookAtNodes(FactKey):
    """True where Pods on nodes are allowed already; unknown (no consent) otherwise, and nobody is asked for it."""


@dataclass(frozen=True)
class Object(FactKey):
    """One API object, or None where the API says there is no such object.

    `resource` is the plural with its group, for example `endpointslices.discovery.k8s.io`.
    """

    resource: str
    namespace: str
    name: str


@dataclass(frozen=True)
class Objects(FactKey):
    """A list of API objects: `{"items": [...], "complete": bool}`; empty `namespace` means all of them."""

    resource: str
    namespace: str = ""
    labels: str = ""
    fields: str = ""
    most: int = 500


@dataclass(frozen=True)
class Log(FactKey):
    """The last lines of a container's log as one string."""

    namespace: str
    pod: str
    container: str
    previous: bool = False
    lines: int = 40


@dataclass(frozen=True)
class Connect(FactKey):
    """One connection attempt from inside a Pod.

    Value: `{"outcome": str, "ms": number, "detail": str}`; the outcomes are `net.outcome.Outcome`.
    `attempt` tells repeated connects to one address apart.
    """

    price: ClassVar[Price] = Price.POD
    namespace: str
    pod: str
    host: str
    port: int
    protocol: str = "TCP"
    attempt: int = 0


@dataclass(frozen=True)
class ConnectFromHere(FactKey):
    """One TCP connection attempt from the machine that runs this program; the value is that of `Connect`."""

    price: ClassVar[Price] = Price.LOCAL
    host: str
    port: int
    attempt: int = 0


@dataclass(frozen=True)
class HttpFromHere(FactKey):
    """One GET from the machine that runs this program, over plain HTTP or TLS; the value is that of `Http`.

    `address` is connected to, `host` stands in the Host header and, over TLS, in the greeting (SNI). Nothing is
    verified. With `announced`, the PROXY protocol's line goes before everything, as a load balancer would send it.
    """

    price: ClassVar[Price] = Price.LOCAL
    address: str
    port: int
    scheme: str = "http"
    host: str = ""
    path: str = "/"
    announced: bool = False
    attempt: int = 0


@dataclass(frozen=True)
class TlsFromHere(FactKey):
    """One TLS handshake from the machine that runs this program; the value is that of `Tls`."""

    price: ClassVar[Price] = Price.LOCAL
    address: str
    port: int
    server_name: str = ""


@dataclass(frozen=True)
class LookupFromHere(FactKey):
    """What this machine's own resolver makes of a name: `{"addresses": [...], "error": str}`."""

    price: ClassVar[Price] = Price.LOCAL
    name: str


@dataclass(frozen=True)
class LocalNetworks(FactKey):
    """The addresses of this machine's interfaces that are up, without loopback.

    Value: `{"addresses": [{"interface", "address", "prefix"}]}`.
    """

    price: ClassVar[Price] = Price.LOCAL


@dataclass(frozen=True)
class SourceFromHere(FactKey):
    """The address that this machine would send from to reach another: `{"source": str}`, '' without a route."""

    price: ClassVar[Price] = Price.LOCAL
    address: str


@dataclass(frozen=True)
class Sockets(FactKey):
    """Listening sockets in a Pod's network namespace: `{"files": {"tcp": text, "tcp6": …, "udp": …, "udp6": …}}`.

    The texts are those of `/proc/net/*`; `net.procnet` reads them.
    """

    price: ClassVar[Price] = Price.POD
    namespace: str
    pod: str
    container: str = ""


@dataclass(frozen=True)
class PodFile(FactKey):
    """The text of a small file as seen from the probe container of a Pod (`/etc/resolv.conf`, `/proc/net/…`).

    With `container`, as that container of the app sees it, by its own `cat`; '' where it has none or no such file.
    """

    price: ClassVar[Price] = Price.POD
    namespace: str
    pod: str
    path: str
    again: int = 0
    """Tells repeated reads apart, for counters that are compared before and after."""
    container: str = ""


@dataclass(frozen=True)
class Tls(FactKey):
    """What a TLS client of a Pod is shown.

    Value: `{"outcome": "tls"|"not-tls"|"closed"|a connect outcome, "alert": str, "protocol": str,
    "chain": [certificate]}` with certificates as `{"subject", "issuer", "notBefore", "notAfter",
    "names": [...], "selfSigned": bool}`.
    """

    price: ClassVar[Price] = Price.POD
    namespace: str
    pod: str
    host: str
    port: int
    server_name: str = ""
    via: str = ""
    """`HOST:PORT` of a proxy that is asked for a way through first."""


@dataclass(frozen=True)
class Http(FactKey):
    """One GET over plain HTTP or TLS from a Pod.

    Value: `{"outcome": "answer"|"not-http"|"not-tls"|"alert"|"closed"|"proxy"|a connect outcome, "status": int,
    "reason": str, "headers": {…}, "body": str, "firstByteMs", "ms"}`; the body is cut to a few hundred characters.
    With "proxy" it was the proxy that refused, with that status or none. Over TLS, `host_header` is the server's name.
    """

    price: ClassVar[Price] = Price.POD
    namespace: str
    pod: str
    host: str
    port: int
    scheme: str = "http"
    path: str = "/"
    host_header: str = ""
    attempt: int = 0
    via: str = ""
    """`HOST:PORT` of a proxy."""
    padding: int = 0
    """Bytes by which the request is made longer."""


@dataclass(frozen=True)
class Lookup(FactKey):
    """One DNS question sent from a Pod to one server.

    Value: `{"outcome": "answer"|"garbage"|"bad-name"|a connect outcome, "rcode": str, "truncated": bool, "answers":
    [{"name", "type", "data"}], "ms"}`. The name is absolute; search lists are expanded by the caller. `attempt` tells
    repeated questions apart; over UDP each has a socket, and so a source port, of its own.
    """

    price: ClassVar[Price] = Price.POD
    namespace: str
    pod: str
    server: str
    name: str
    type: str = "A"
    transport: str = "TCP"
    attempt: int = 0
    port: int = 53


@dataclass(frozen=True)
class PodToken(FactKey):
    """What a container's mounted ServiceAccount token claims; the token itself never becomes a fact.

    Value: `{"claims": {…} or None, "ca": [certificates as base64 DER]}`, both of the folder as the app sees it; the
    claims are `net.token`'s. `claims` is None where there is no such file or it holds no token.
    """

    price: ClassVar[Price] = Price.POD
    namespace: str
    pod: str
    container: str
    folder: str


@dataclass(frozen=True)
class ApiCall(FactKey):
    """One call of the API server from a Pod, over TLS that is verified with the CA mounted beside the token.

    `container` and `folder` say whose token is shown; without a container nobody's. `request` is one of `whoami`,
    `rules NAMESPACE`, `anonymous`. Value: `{"outcome": "answer"|"untrusted"|"no-token"|"not-http"|a connect outcome,
    "status": int, "reason": str, "message": str, "headers": {…}, "user": {…}, "rules": [...], "ms"}`. Where the
    certificate cannot be verified the token is not sent.
    """

    price: ClassVar[Price] = Price.POD
    namespace: str
    pod: str
    host: str
    port: int
    request: str = "whoami"
    container: str = ""
    folder: str = ""


NODE_PLACE = "node/"
"""How `pod` begins in keys of things done from a node's own network: `Connect("", "node/NAME", …)`."""


@dataclass(frozen=True)
class NodeText(FactKey):
    """One reading of a node, as text: rules, routes, settings, files.

    `what` names the reading (`vantage.node_script` has them all), `about` are its parameters. The value is the text
    that a tool or `/proc` gave, '' where there is nothing. `again` tells repeated readings apart.
    """

    price: ClassVar[Price] = Price.NODE
    node: str
    what: str
    about: tuple[str, ...] = ()
    again: int = 0


@dataclass(frozen=True)
class NodeMoved(FactKey):
    """What moved on a node while a Pod (or a node: `node/NAME`) connected to one address several times.

    Value: `{"attempts": [value of Connect], "rules": [{"source", "table", "chain", "rule", "packets"}], "counters":
    {name: number}}`. `source` is `nft`, `iptables` or `iptables-legacy` (`ip6tables…` for IPv6); a policy stands
    as rule `policy DROP`. Only what moved is there. `counters` are those of `/proc/net/{snmp,netstat}`
    (`TcpExt.IPReversePathFilter`) and of conntrack (`conntrack.drop`).
    """

    price: ClassVar[Price] = Price.NODE
    node: str
    namespace: str
    pod: str
    host: str
    port: int
    protocol: str = "TCP"
    tries: int = 3
    again: int = 0


@dataclass(frozen=True)
class AccessReview(FactKey):
    """Whether a user may do something, asked of the API server (SubjectAccessReview): `{"allowed": bool, "reason"}`."""

    user: str
    groups: tuple[str, ...]
    verb: str
    group: str
    resource: str
    subresource: str = ""
    namespace: str = ""
    name: str = ""


@dataclass(frozen=True)
class OwnServer(FactKey):
    """The API server that this program itself talks to: `{"host": str, "port": int}`."""


@dataclass(frozen=True)
class Ask(Generic[T]):
    """A fact together with the way to read it and to put it in a sentence."""

    key: FactKey
    read: Callable[[Json], T]
    says: Callable[[T], str] | None = None


def answer_to_json(answer: Answer) -> dict[str, Json]:
    """An answer as plain data for a recording."""
    if isinstance(answer, Known):
        return {"value": answer.value, "ms": answer.milliseconds, "how": answer.how}
    return {"why": answer.why.value, "says": answer.says, "unlock": answer.unlock, "ms": answer.milliseconds}


def answer_from_json(data: Mapping[str, Json]) -> Answer:
    """Inverse of `answer_to_json`. Raises ValueError or KeyError for anything else."""
    if "why" in data:
        return Unknown(Why(data["why"]), str(data["says"]), str(data.get("unlock", "")), float(data.get("ms", 0)))
    return Known(data["value"], float(data.get("ms", 0)), str(data.get("how", "")))
