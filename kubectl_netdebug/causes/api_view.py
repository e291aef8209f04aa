"""What follows from the objects about a Pod and the API server: its addresses, the one the Pod dials, its token."""

from __future__ import annotations

from dataclasses import dataclass, replace

from kubectl_netdebug.causes import api_asks, asks
from kubectl_netdebug.causes.backends import client_named, client_pod
from kubectl_netdebug.model.facts import Ask
from kubectl_netdebug.model.look import Look, Unestablished
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.pod import Container, Pod
from kubectl_netdebug.model.objects.service import Service
from kubectl_netdebug.model.question import FlowName, Question
from kubectl_netdebug.net.outcome import Attempt

TOKEN_FOLDER = "/var/run/secrets/kubernetes.io/serviceaccount"
HOST_VARIABLE, PORT_VARIABLE = "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT"
MOST_ENDPOINTS = 8
TRIES = 3
MIXED_TRIES = 4
"""Connects for each API server where a few could all meet the dead ones."""
MOST_TRIES = 16
"""Connects to the Service's address."""

LOG_LINES = 200


@dataclass(frozen=True)
class Door:
    """Service `default/kubernetes`: its virtual address and port, and the API servers behind it."""

    service: Service | None
    endpoints: tuple[tuple[str, int], ...]

    @property
    def address(self) -> str:
        """The virtual address, or ''."""
        return self.service.address if self.service else ""

    @property
    def port(self) -> int:
        """443 in every cluster that was ever seen."""
        ports = self.service.ports if self.service else ()
        return next((p.port for p in ports if p.name == "https"), ports[0].port if ports else 443)


@dataclass(frozen=True)
class Dialled:
    """Where a container's in-cluster configuration leads. `container` is the one that overrides it, else None."""

    host: str
    port: int
    container: Container | None = None

    @property
    def overridden(self) -> bool:
        """Its environment says otherwise than the cluster."""
        return self.container is not None

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True)
class Mount:
    """A container that has a ServiceAccount token in a folder. `audience` is '' for the API server's own.

    `volume` and `source` are the places of the token in the Pod's volumes and in that volume's projected sources.
    """

    container: str
    folder: str
    audience: str
    volume: int
    source: int


@dataclass(frozen=True)
class Identity:
    """As whom a Pod can call: its ServiceAccount, and where its token is mounted."""

    pod: Pod
    account: str
    automount: bool | None
    """What the Pod's own spec says; None where it leaves that to the ServiceAccount."""
    mounts: tuple[Mount, ...]

    @property
    def user(self) -> str:
        """The name under which the API server knows it."""
        return f"system:serviceaccount:{self.pod.namespace}:{self.account}"

    @property
    def groups(self) -> tuple[str, ...]:
        """The groups that come with it."""
        return ("system:serviceaccounts", f"system:serviceaccounts:{self.pod.namespace}", "system:authenticated")

    @property
    def mount(self) -> Mount | None:
        """The token that an app takes by default: the usual folder before others, the usual audience before others."""
        return min(self.mounts, key=lambda m: (bool(m.audience), m.folder != TOKEN_FOLDER), default=None)


def about_api(asked: Question) -> bool:
    """Whether the question is about the API server."""
    return asked.flow is FlowName.API


def door_of(look: Look) -> Door:
    """The Service and its endpoints, in a stable order."""
    service, slices = look.together(api_asks.api_service(), api_asks.api_slices())
    found = {
        (e.address, p.port or 0)
        for s in slices
        for p in s.ports
        for e in s.endpoints
        if e.address and e.ready and p.port
    }
    return Door(service, tuple(sorted(found))[:MOST_ENDPOINTS])


def client_of(look: Look, asked: Question) -> Pod | None:
    """The client by its API object alone, where probing is not allowed or it does not run."""
    try:
        return client_pod(look, asked)
    except Unestablished:
        return client_named(look, asked)


def dialled_by(pod: Pod, door: Door) -> Dialled:
    """The address in the environment of the first container that overrides it, else the Service's."""
    for container in pod.containers:
        host, port = container.env.get(HOST_VARIABLE), container.env.get(PORT_VARIABLE)
        if any(value is not None and "$(" in value for value in (host, port)):
            continue
        number = int(port) if port and port.isdecimal() and len(port) <= 5 else door.port
        if (host and host != door.address) or (port and number != door.port):
            return Dialled(host or door.address, number, container)
    return Dialled(door.address, door.port)


def identity_of(look: Look, pod: Pod) -> Identity:
    """By the Pod's spec."""
    raw = look(asks.raw_object("pods", pod.namespace, pod.name))
    spec = tree.dig(raw, "spec")
    volumes = {
        tree.text(v, "name"): found for i, v in enumerate(tree.entries(spec, "volumes")) if (found := _token(i, v))
    }
    mounts = [
        replace(
            volumes[tree.text(mount, "name")],
            container=tree.text(container, "name"),
            folder=tree.text(mount, "mountPath").rstrip("/"),
        )
        for container in tree.entries(spec, "containers")
        for mount in tree.entries(container, "volumeMounts")
        if tree.text(mount, "name") in volumes and not tree.text(mount, "subPath")
    ]
    automount = tree.dig(spec, "automountServiceAccountToken")
    return Identity(
        pod=pod,
        account=tree.text(spec, "serviceAccountName") or "default",
        automount=automount if isinstance(automount, bool) else None,
        mounts=tuple(mounts),
    )


def _token(index: int, volume: object) -> Mount | None:
    """A volume's ServiceAccount token, not yet mounted; None where the volume has none in a file named `token`."""
    for place, source in enumerate(tree.entries(volume, "projected", "sources")):
        if tree.text(source, "serviceAccountToken", "path") == "token":
            return Mount("", "", tree.text(source, "serviceAccountToken", "audience"), index, place)
    return Mount("", "", "", index, 0) if "-token-" in tree.text(volume, "secret", "secretName") else None


def endpoint_tries(look: Look, client: Pod, door: Door) -> list[tuple[tuple[str, int], Attempt]]:
    """One connect from the Pod to each API server; those of the Service's address are made in the same go."""
    dialled = dialled_by(client, door)
    look.foresee(
        *_vip_asks(client, door), *([asks.connect(client, dialled.host, dialled.port)] if dialled.host else [])
    )
    tries = look.all([asks.connect(client, host, port) for host, port in door.endpoints])
    return list(zip(door.endpoints, tries, strict=True))


def vip_tries(look: Look, client: Pod, door: Door) -> list[Attempt]:
    """A few connects to the Service's address; more where some API servers answer the Pod and others do not."""
    connected = [attempt.outcome.connected for _, attempt in endpoint_tries(look, client, door)]
    mixed = len(set(connected)) == 2
    return look.all(_vip_asks(client, door, min(MOST_TRIES, MIXED_TRIES * len(connected)) if mixed else TRIES))


def _vip_asks(client: Pod, door: Door, tries: int = TRIES) -> list[Ask[Attempt]]:
    return [asks.connect(client, door.address, door.port, attempt=i) for i in range(tries)] if door.address else []


def log_lines(look: Look, pod: Pod) -> list[tuple[str, str]]:
    """(container, line) of what the Pod's own containers wrote last; nothing where that may not be read."""
    wanted = [asks.log_of(pod, c.name, lines=LOG_LINES) for c in pod.containers[:3]]
    texts = look.all_known(wanted)
    named = zip(pod.containers, texts, strict=False)
    return [(container.name, line) for container, text in named for line in (text or "").splitlines()]
