"""A case: one small declarative entry that says what is set up, broken, asked, expected and repaired.

A case file is YAML with these keys; every `${name}` in it is drawn from a seed (see `draw`), so that nothing can lean
on particular names, ports or nodes.

    id         unique; names the recording
    row        the code of the catalogue row that this case is about
    kind       fault | twin (healthy) | look-alike (something else, or healthy, that looks like the row)
    title      one line for people
    touches    namespace (default) | node | cluster: what may not run beside it
    only       {cni: [...], proxy: [...], stack: [single, dual]}: variants that can carry it. Where absent, bridge and
               calico with one address family; the special kinds, vxlan and dual stack, carry only what names them
               and the smoke set
    smoke      true for the short set that `make lab-test` runs
    setup, inject, repair   lists of steps
    question   the words behind `kubectl netdebug`, as a user would type them
    probe      always (default) | never | auto
    allow      node: a privileged Pod may be made on nodes (given as --allow)
    expect     {state, code, object: Kind/name, also: [codes]}; code is null where nothing may be accused
    fix        'paste' (default for faults): the first fix is pasted and the second run must be healthy;
               any other text says why that cannot be

A step is a mapping with one of: `app` (a Deployment, a Service and a client Pod), `apply` (manifests), `sh` (a command,
with `until` as a regular expression that its output must match within `within` seconds), `node` with `sh`, `world` (a
shell line outside), `fabric` (a shell line on the wire, whose port to a machine is `v-MACHINE`), `learn` (a new name,
with `sh` and perhaps `node`: it stands for what that command prints from then on), `older` (seconds that every Pod of
the app must have lived), `component` with `do` (stop, cont, kill or restart of a part of the cluster, such as `kcm` or
`proxy-node-1`), `controller` (a real ingress controller in the namespace, of the class `${word}-${ns}`, behind the
load-balancer address `${lb}`), `balance` (gives a Service that address).
"""

from __future__ import annotations

import random
import string
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parent / "cases"
KINDS = ("fault", "twin", "look-alike")
TOUCHES = ("namespace", "node", "cluster")

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml reads all cases eight times as fast."""

_WORDS = (
    *("amber", "basil", "cedar", "delta", "ember", "fjord", "grove", "hazel", "indigo", "juniper", "kelp", "lotus"),
    *("maple", "nectar", "olive", "pine", "quartz", "raven", "sable", "tulip", "umber", "velvet", "willow", "zinnia"),
)


@dataclass(frozen=True)
class Variant:
    """One kind of cluster."""

    cni: str
    proxy: str
    stack: str = "single"
    """`single` (IPv4) or `dual` (and IPv6)."""

    def __str__(self) -> str:
        return f"{self.cni}-{self.proxy}{'-dual' if self.stack == 'dual' else ''}"


VARIANTS = (
    *(Variant(cni, proxy) for cni in ("bridge", "calico") for proxy in ("iptables", "nftables")),
    Variant("vxlan", "iptables"),
    Variant("bridge", "iptables", "dual"),
)
SPECIAL = {"cni": "vxlan", "stack": "dual"}
"""Kinds of cluster that carry only what asks for them, and the smoke set."""


@dataclass(frozen=True)
class Expect:
    """What a right answer is."""

    state: str
    code: str | None
    object: str | None
    also: tuple[str, ...] = ()


@dataclass(frozen=True)
class Case:
    """A case with its placeholders still in place."""

    id: str
    row: str
    kind: str
    title: str
    touches: str
    only: Mapping[str, list[str]]
    smoke: bool
    setup: tuple[Mapping[str, Any], ...]
    inject: tuple[Mapping[str, Any], ...]
    repair: tuple[Mapping[str, Any], ...]
    question: str
    probe: str
    expect: Expect
    fix: str
    path: Path = field(default=Path())
    allow: str = ""

    def runs_on(self, variant: Variant) -> bool:
        """Whether this kind of cluster can carry it."""
        return all(self._allows(what, getattr(variant, what)) for what in ("cni", "proxy", "stack"))

    def _allows(self, what: str, kind: str) -> bool:
        return kind in self.only[what] if what in self.only else self.smoke or SPECIAL.get(what) != kind


def load(folder: Path = FOLDER) -> list[Case]:
    """All cases below a folder, sorted by id. Raises ValueError for a bad or repeated one."""
    cases = [case for path in sorted(folder.rglob("*.yaml")) for case in _read(path)]
    seen: dict[str, Path] = {}
    for case in cases:
        if case.id in seen:
            raise ValueError(f"{case.path}: id {case.id} stands in {seen[case.id]} too")
        seen[case.id] = case.path
    return sorted(cases, key=lambda case: case.id)


def _read(path: Path) -> Iterable[Case]:
    for data in yaml.load_all(path.read_text(), Loader=_LOADER):
        if data is not None:
            yield _case(path, data)


def _case(path: Path, data: Mapping[str, Any]) -> Case:
    known = {
        *("id", "row", "kind", "title", "touches", "only", "smoke", "setup", "inject", "repair"),
        *("question", "probe", "allow", "expect", "fix"),
    }
    strange = set(data) - known
    if strange or data.get("kind") not in KINDS or data.get("touches", "namespace") not in TOUCHES:
        raise ValueError(f"{path}: {data.get('id')}: unknown keys {sorted(strange)}, or a wrong kind or touches")
    expect = data["expect"]
    if set(expect) - {"state", "code", "object", "also"}:
        raise ValueError(f"{path}: {data['id']}: unknown keys in expect")
    return Case(
        id=data["id"],
        row=data["row"],
        kind=data["kind"],
        title=data["title"],
        touches=data.get("touches", "namespace"),
        only=data.get("only", {}),
        smoke=bool(data.get("smoke", False)),
        setup=tuple(data.get("setup", ())),
        inject=tuple(data.get("inject", ())),
        repair=tuple(data.get("repair", ())),
        question=data["question"],
        probe=data.get("probe", "always"),
        expect=Expect(expect["state"], expect.get("code"), expect.get("object"), tuple(expect.get("also", ()))),
        fix=data.get("fix", "paste" if data["kind"] == "fault" else "nothing to fix"),
        path=path,
        allow=data.get("allow", ""),
    )


def draw(case: Case, seed: int, nodes: list[str]) -> dict[str, str]:
    """Names, ports and nodes for one run of a case; the same seed gives the same."""
    dice = random.Random(f"{seed}/{case.id}")
    words = dice.sample(_WORDS, 8)
    placed = nodes[:]
    dice.shuffle(placed)
    ports = dice.sample([p for p in range(1100, 9900) if p not in (8080, 8443, 9153)], 6)
    suffix = "".join(dice.choices(string.ascii_lowercase, k=4))
    node_port = dice.randint(30000, 32700)
    balancer = dice.randint(10, 250)
    return {
        "ns": f"nd-{words[0]}-{suffix}",
        "ns2": f"nd-{words[1]}-{suffix}",
        "app": words[2],
        "svc": words[3],
        "label": words[4],
        "client": f"{words[5]}-client",
        "word": words[6],
        "word2": words[7],
        "port": str(ports[0]),
        "tport": str(ports[1]),
        "port2": str(ports[2]),
        "tport2": str(ports[3]),
        "port3": str(ports[4]),
        "nodeport": str(node_port),
        "agnhost": "registry.k8s.io/e2e-test-images/agnhost:2.59",
        "busybox": "docker.io/library/busybox:1.37",
        "nettools": "lab.local/nettools:1",
        "lb": f"192.0.2.{balancer}",
        "lbn": str(balancer),
        **{f"node_{letter}": node for letter, node in zip("abcdefgh", placed, strict=False)},
    }


def fill(value: Any, names: Mapping[str, str]) -> Any:
    """The value with every `${name}` replaced, at any depth. Raises KeyError for an unknown one."""
    if isinstance(value, str):
        return string.Template(value).substitute(names) if "${" in value or "$$" in value else value
    if isinstance(value, Mapping):
        return {fill(k, names): fill(v, names) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [fill(entry, names) for entry in value]
    return value
