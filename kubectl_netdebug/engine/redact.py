"""Recordings without names and addresses: the same diagnosis comes out of them, about objects that nobody knows."""

from __future__ import annotations

import ipaddress
import re
import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from kubectl_netdebug.engine.recording import Recording, question_from_json, question_to_json
from kubectl_netdebug.model.facts import (
    NODE_PLACE,
    FactKey,
    Known,
    Object,
    PodFile,
    Sockets,
    Unknown,
)
from kubectl_netdebug.net.masks import Address, Addresses, Names, Network, says_nothing

SYSTEM_NAMESPACES = frozenset(
    {
        *(
            "default",
            "kube-system",
            "kube-public",
            "kube-node-lease",
            "kube-flannel",
            "calico-system",
            "calico-apiserver",
        ),
        *("tigera-operator", "metallb-system", "istio-system", "cilium", "linkerd", "ingress-nginx", "traefik"),
        *("gateway-system", "local-path-storage", "cert-manager", "gke-system", "openshift-dns"),
    }
)
"""Namespaces that clusters have in common: their names, and those of what stands in them, are nobody's secret."""

VOCABULARY = frozenset(
    (  # noqa: SIM905
        "any api apps app backend blue check client cluster cni config container controller data database db default "
        "dns echo edge enabled false frontend gateway grpc h2c healthz host http https icmp image ingress internal "
        "ipv4 ipv6 job kubernetes local localhost main manager metrics name namespace net network no node nodes none "
        "operator outside pod pods policy port probe production prod proxy ready registry root route running sctp "
        "secret self server service services sidecar staging status svc system tcp test tls token true udp unknown "
        "up user value version warning web worker yes example com org io arpa in-addr ip6 invalid"
    ).split()
)
"""Words of the field: a name that is one of these tells nothing, and as a word it has to keep its meaning."""

PROGRAMS = frozenset(
    (  # noqa: SIM905
        "calico cilium cloud cluster coredns csi envoy flannel haproxy istio istiod kube kubernetes kustomize linkerd "
        "local metallb nginx svc tigera traefik vip aws azure gke eks aks com org net io example invalid"
    ).split()
)
"""Parts of names that stay: programs that are known by their names, and what all DNS names have in common."""

_TELLING_LABELS = (
    *("app.kubernetes.io/name", "app.kubernetes.io/instance", "kubernetes.io/service-name", "kubernetes.io/hostname"),
    *("kubernetes.io/metadata.name", "statefulset.kubernetes.io/pod-name"),
)
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_ADDRESS = re.compile(
    r"(?<![\w.:])(?:(?:\d{1,3}\.){3}\d{1,3}|(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4})(?P<length>/\d{1,3})?(?![\w.]\w)"
)
_DASHED = re.compile(r"(?<![\w-])(\d{1,3}-\d{1,3}-\d{1,3}-\d{1,3})(?![\w-])")
_SOCKET = re.compile(r"\b([0-9A-F]{32}|[0-9A-F]{8}):(?=[0-9A-F]{4}\b)")
_ROUTE = re.compile(r"(?<=\t)([0-9A-F]{8})(?=\t)")


def redacted(recording: Recording, key: bytes | None = None) -> Recording:
    """The recording with masks in place of names and addresses. Without a `key`, one is drawn and forgotten."""
    return _Redactor(recording, key or secrets.token_bytes(32)).recording()


class _Redactor:
    def __init__(self, recording: Recording, key: bytes) -> None:
        self._original = recording
        everything = [recording.case, *map(_plain, recording.facts.values())]
        names = {*_names_of_question(recording), *_names_of_keys(recording.facts), *_names_in(everything)}
        kept = SYSTEM_NAMESPACES | VOCABULARY | {*_system_names(everything)}
        masked = {n for n in names - kept if _NAME.fullmatch(n) and not _ADDRESS.fullmatch(n)}
        masks = Names(key, masked, taken={*kept, *names}, kept=PROGRAMS)
        self._known = {name: name for name in kept} | {name: masks.mask(name) for name in masked}
        words = sorted(self._known, key=len, reverse=True)
        self._pattern = re.compile(rf"(?<![a-z0-9_])(?:{'|'.join(map(re.escape, words))})(?![a-z0-9_])")
        keys = [key_.to_json() for key_ in recording.facts]
        self._addresses = Addresses(key, _addresses([keys, everything]), _ranges(everything))

    def recording(self) -> Recording:
        old = self._original
        return replace(
            old,
            question=question_from_json(self._tree(question_to_json(old.question))),
            facts={self._key(key): self._answer(key, answer) for key, answer in old.facts.items()},
            cluster_flags=("--context", "redacted") if old.cluster_flags else (),
            changes=tuple(self._tree(dict(change)) for change in old.changes),
            notes=tuple(map(self._text, old.notes)),
            case=self._case(old.case),
        )

    def _case(self, case: Mapping[str, Any]) -> dict[str, Any]:
        """The title and the expectation stay; the object's name in it becomes its mask."""
        expect = dict(case.get("expect") or {})
        if isinstance(expect.get("object"), str):
            expect["object"] = self._text(expect["object"])
        return {**case, **({"expect": expect} if expect else {})}

    def _key(self, key: FactKey) -> FactKey:
        data = key.to_json()
        kind = data.pop("fact")
        fields = {name: self._field(name, value) for name, value in data.items()}
        return FactKey.from_json({"fact": kind, **fields})

    def _field(self, name: str, value: Any) -> Any:
        if name in ("resource", "what", "type", "transport", "protocol", "verb", "group", "subresource"):
            return value
        return self._selector(value) if name in ("labels", "fields") else self._tree(value)

    def _selector(self, text: str) -> str:
        """Keys of a selector are no names."""
        terms = re.split(r"(=|,| in \()", text)
        return "".join(self._text(term) if before in ("=", " in (") else term for before, term in _with_before(terms))

    def _answer(self, key: FactKey, answer: Any) -> Any:
        if isinstance(answer, Unknown):
            return replace(answer, says=self._text(answer.says), unlock=self._text(answer.unlock))
        assert isinstance(answer, Known)
        value = self._tree(answer.value)
        if isinstance(key, Sockets) or (isinstance(key, PodFile) and "/net/" in key.path):
            value = _mapped(value, self._hexadecimal)
        return replace(answer, value=value, how=self._text(answer.how))

    def _tree(self, value: Any) -> Any:
        return _mapped(value, self._text)

    def _text(self, text: str) -> str:
        text = _ADDRESS.sub(self._masked_address, text)
        text = _DASHED.sub(self._masked_dashed, text)
        return self._pattern.sub(lambda match: self._known[match[0]], text)

    def _masked_address(self, match: re.Match[str]) -> str:
        written, length = match[0].partition("/")[0], match["length"]
        try:
            address = ipaddress.ip_address(written)
            if not length or int(length[1:]) == address.max_prefixlen:
                return f"{self._addresses.address(address)}{length or ''}"
            network = ipaddress.ip_network(match[0], strict=False)
        except ValueError:
            return match[0]
        if address == network.network_address:
            return str(self._addresses.network(network))
        return f"{self._addresses.address(address)}{length}"

    def _masked_dashed(self, match: re.Match[str]) -> str:
        try:
            address = ipaddress.ip_address(match[0].replace("-", "."))
        except ValueError:
            return match[0]
        return str(self._addresses.address(address)).replace(".", "-")

    def _hexadecimal(self, text: str) -> str:
        """Addresses as the kernel writes them: words of 32 bits, least significant byte first."""
        text = _SOCKET.sub(lambda match: f"{self._masked_hex(match[1])}:", text)
        return _ROUTE.sub(lambda match: self._masked_hex(match[1]), text)

    def _masked_hex(self, digits: str) -> str:
        raw = bytes.fromhex(digits)
        packed = b"".join(raw[i : i + 4][::-1] for i in range(0, len(raw), 4))
        address = ipaddress.ip_address(packed)
        inner = getattr(address, "ipv4_mapped", None)
        if inner is not None:
            masked = packed[:12] + self._addresses.address(inner).packed
        else:
            masked = self._addresses.address(address).packed
        return b"".join(masked[i : i + 4][::-1] for i in range(0, len(masked), 4)).hex().upper()


def _mapped(value: Any, change: Callable[[str], str]) -> Any:
    """The same tree with other strings; keys of objects stay but for names of files and hosts."""
    if isinstance(value, str):
        return change(value)
    if isinstance(value, Mapping):
        return {key: _mapped(item, change) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_mapped(item, change) for item in value)
    return value


def _with_before(terms: list[str]) -> Iterator[tuple[str, str]]:
    return zip(["", *terms], terms, strict=False)


def _plain(answer: Any) -> Any:
    return answer.value if isinstance(answer, Known) else None


# --- what is a name ---------------------------------------------------------------------------------------------------


def _objects(value: Any) -> Iterator[tuple[Mapping[str, Any], bool]]:
    """Every object inside, at any depth, and whether it stands in a namespace of the system, or in such an object."""
    pending = [(value, False)]
    while pending:
        each, system = pending.pop()
        if isinstance(each, Mapping):
            metadata = each.get("metadata")
            home = metadata.get("namespace") if isinstance(metadata, Mapping) else None
            system = home in SYSTEM_NAMESPACES if isinstance(home, str) else system
            yield each, system
            pending.extend((item, system) for item in each.values())
        elif isinstance(each, list | tuple):
            pending.extend((item, system) for item in each)


def _names_in(value: Any) -> Iterator[str]:
    for each, system in _objects(value):
        yield from _texts(each, "nodeName")
        if each.get("type") == "Hostname":
            yield from _texts(each, "address")
        if system:
            continue
        metadata = each.get("metadata")
        if isinstance(metadata, Mapping):
            yield from _texts(metadata, "name", "namespace")
            for owner in _owners(metadata):
                yield from _texts(owner, "name")
        for field in ("labels", "matchLabels", "selector"):
            chosen = each.get(field)
            if isinstance(chosen, Mapping):
                telling = (key for key in chosen if "/" not in str(key) or key in _TELLING_LABELS)
                yield from (text for text in _texts(chosen, *telling) if not says_nothing(text))
        yield from _texts(each, "serviceAccountName", "secretName", "claimName", "externalName")


def _system_names(value: Any) -> Iterator[str]:
    """Names of what stands in namespaces that all clusters have, but for those after a node (its events)."""
    for each, system in _objects(value):
        metadata = each.get("metadata")
        if not system or not isinstance(metadata, Mapping) or isinstance(each.get("involvedObject"), Mapping):
            continue
        if not any(o.get("kind") == "Node" for o in _owners(metadata)):
            yield from _texts(metadata, "name")
            yield from (name for owner in _owners(metadata) for name in _texts(owner, "name"))
    yield from ("kube-dns", "coredns", "kube-proxy", "kube-root-ca.crt", "node-local-dns", "system", "cluster.local")
    yield from ("kube-flannel-ds", "kube-flannel-cfg", "calico-node", "calico-kube-controllers", "canal")


def _owners(metadata: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    owners = metadata.get("ownerReferences")
    return [owner for owner in owners if isinstance(owner, Mapping)] if isinstance(owners, list) else []


def _names_of_question(recording: Recording) -> Iterator[str]:
    asked = recording.question
    yield from (asked.namespace, asked.service, asked.pod, asked.ingress, asked.gateway, asked.node)
    yield from (asked.source.namespace, asked.source.name)
    if asked.host and not _ADDRESS.fullmatch(asked.host):
        yield from asked.host.rstrip(".").split(".")


def _names_of_keys(facts: Mapping[FactKey, Any]) -> Iterator[str]:
    for key in facts:
        home = getattr(key, "namespace", "")
        if home in SYSTEM_NAMESPACES:
            continue
        yield from (home, str(getattr(key, "pod", "")).removeprefix(NODE_PLACE), getattr(key, "node", ""))
        if isinstance(key, Object) and (home or key.resource in ("nodes", "namespaces")):
            yield key.name


def _texts(each: Mapping[str, Any], *names: str) -> Iterator[str]:
    yield from (value for name in names if isinstance(value := each.get(name), str) and value)


def _ranges(value: Any) -> Iterator[Network]:
    """Every range that is written anywhere."""
    for text in _strings(value):
        for match in _ADDRESS.finditer(text):
            if match["length"]:
                try:
                    yield ipaddress.ip_network(match[0])
                except ValueError:
                    continue


def _addresses(value: Any) -> Iterator[Address]:
    """Every address that is written anywhere."""
    for text in _strings(value):
        for match in _ADDRESS.finditer(text):
            try:
                yield ipaddress.ip_address(match[0].partition("/")[0])
            except ValueError:
                continue


def _strings(value: Any) -> Iterator[str]:
    pending = [value]
    while pending:
        each = pending.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, Mapping):
            pending.extend(each.values())
        elif isinstance(each, list | tuple):
            pending.extend(each)
