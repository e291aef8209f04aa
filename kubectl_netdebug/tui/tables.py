"""Backends as a table: who connected to what, how often, how it ended and after how long."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from kubectl_netdebug.model.facts import Answer, Connect, ConnectFromHere, FactKey, Known, Object, Objects
from kubectl_netdebug.model.hop import State
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.tui.words import FAINT, STATE_STYLES, STRONG, Line, Part, harmless, padded

_BARS = "▁▂▃▄▅▆▇█"
GOOD = "connected"


@dataclass(frozen=True)
class Tried:
    """All tries from one place to one address; `times` are milliseconds, None for a try that did not come about."""

    client: str
    address: str
    pod: str
    node: str
    outcomes: tuple[str, ...]
    times: tuple[float | None, ...]

    @property
    def ended(self) -> str:
        """`connected ×3`, or `connected 2, timeout 1`."""
        counts: dict[str, int] = defaultdict(int)
        for outcome in self.outcomes:
            counts[outcome] += 1
        if len(counts) == 1:
            return f"{self.outcomes[0]}{f' ×{len(self.outcomes)}' if len(self.outcomes) > 1 else ''}"
        return ", ".join(f"{outcome} {count}" for outcome, count in counts.items())

    @property
    def strip(self) -> str:
        """A bar for each try, as high as it was slow; ✗ for one that failed."""
        slowest = max((t for t in self.times if t is not None), default=0.0)
        return "".join("✗" if t is None else _BARS[int(7 * t / slowest)] if slowest else _BARS[0] for t in self.times)


def tried(facts: Iterable[tuple[FactKey, Answer]]) -> list[Tried]:
    """Every connection of a run, tries to one address together; those that failed first."""
    facts = list(facts)
    pods = _pods_by_address(facts)
    tries: dict[tuple[str, str], dict[int, tuple[str, float | None]]] = defaultdict(dict)
    for key, answer in facts:
        if isinstance(key, Connect | ConnectFromHere) and isinstance(answer, Known) and isinstance(answer.value, dict):
            outcome = str(answer.value.get("outcome", ""))
            took = answer.value.get("ms")
            fine = float(took) if outcome == GOOD and isinstance(took, int | float) else None
            client = key.pod if isinstance(key, Connect) else "this machine"
            tries[client, _address(key)][key.attempt] = (outcome, fine)
    rows = [
        Tried(client, address, *pods.get(address.rpartition(":")[0], ("", "")), *_columns(by_attempt))
        for (client, address), by_attempt in tries.items()
    ]
    return sorted(rows, key=lambda row: (all(o == GOOD for o in row.outcomes), row.client, row.address))


def _columns(tries: Mapping[int, tuple[str, float | None]]) -> tuple[tuple[str, ...], tuple[float | None, ...]]:
    """In the order in which they were asked for, whichever answered first."""
    ordered = [tries[attempt] for attempt in sorted(tries)]
    return tuple(outcome for outcome, _ in ordered), tuple(took for _, took in ordered)


def _address(key: Connect | ConnectFromHere) -> str:
    host = f"[{key.host}]" if ":" in key.host else key.host
    return f"{host}:{key.port}"


def _pods_by_address(facts: list[tuple[FactKey, Answer]]) -> dict[str, tuple[str, str]]:
    """Address to (Pod, node), of all Pods that were read."""
    found: dict[str, tuple[str, str]] = {}
    for pod in _pods(facts):
        if tree.text(pod, "spec", "hostNetwork") == "true" or not (address := tree.text(pod, "status", "podIP")):
            continue
        shown = f"[{address}]" if ":" in address else address
        found[shown] = (tree.text(pod, "metadata", "name"), tree.text(pod, "spec", "nodeName"))
    return found


def _pods(facts: list[tuple[FactKey, Answer]]) -> Iterable[Mapping[str, Any]]:
    for key, answer in facts:
        if not isinstance(answer, Known) or not isinstance(answer.value, dict):
            continue
        if isinstance(key, Objects) and key.resource == "pods":
            yield from (item for item in answer.value.get("items", ()) if isinstance(item, dict))
        elif isinstance(key, Object) and key.resource == "pods":
            yield answer.value


def table_lines(rows: list[Tried], width: int, most: int = 200) -> list[Line]:
    """The table; Pods and clients are told as far as there is room."""
    if not rows:
        return []
    wide = width >= 100
    client_width = 24 if wide else 16
    address_width = 22
    pod_width = 28 if wide else 14
    head = f"{padded('from', client_width)} {padded('to', address_width)} {padded('Pod', pod_width)} outcome"
    lines: list[Line] = [(Part(head, FAINT),)]
    for row in rows[:most]:
        fine = all(outcome == GOOD for outcome in row.outcomes)
        none = not any(outcome == GOOD for outcome in row.outcomes)
        style = STATE_STYLES[State.PASS if fine else State.FAIL if none else State.WARN]
        fastest = [t for t in row.times if t is not None]
        took = (
            f"  {min(fastest):.0f}–{max(fastest):.0f} ms"
            if len(fastest) > 1
            else "".join(f"  {t:.0f} ms" for t in fastest)
        )
        lines.append(
            (
                Part(f"{padded(harmless(row.client), client_width)} "),
                Part(f"{padded(harmless(row.address), address_width)} ", STRONG),
                Part(f"{padded(harmless(row.pod or '–'), pod_width)} ", FAINT),
                Part(f"{'✓' if fine else '✗' if none else '!'} {row.ended}", style),
                Part(took, FAINT),
                Part(f"  {row.strip}" if len(row.times) > 1 else "", style),
            )
        )
    if len(rows) > most:
        lines.append((Part(f"… and {len(rows) - most} more", FAINT),))
    return lines
