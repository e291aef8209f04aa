"""The path as a drawn chain: the places that a packet passes, and the link that is broken."""

from __future__ import annotations

from dataclasses import dataclass

from rich.cells import cell_len

from kubectl_netdebug.model.hop import Hop, State
from kubectl_netdebug.model.question import FlowName, Question
from kubectl_netdebug.tui.rows import client_of, was_not_reached
from kubectl_netdebug.tui.state import Check, RunState, Stage
from kubectl_netdebug.tui.words import FAINT, STATE_STYLES, Line, Part, cut, harmless, padded

_PLACES: tuple[tuple[str, frozenset[Hop]], ...] = (
    ("client", frozenset({Hop.SOURCE, Hop.PROXY, Hop.ROUTES, Hop.EGRESS_POLICY})),
    (
        "names",
        frozenset(
            {
                *(Hop.RESOLVER, Hop.DNS_SERVICE, Hop.NAME_SERVERS, Hop.CLUSTER_NAMES, Hop.NAME),
                *(Hop.OUTSIDE_NAMES, Hop.DNS_SPEED),
            }
        ),
    ),
    ("entry", frozenset({Hop.ENTRY_OBJECT, Hop.CONTROLLER, Hop.ENTRY})),
    ("service", frozenset({Hop.API_SERVICE, Hop.SERVICE, Hop.ENDPOINTS, Hop.ADDRESS})),
    (
        "nodes",
        frozenset(
            {
                *(Hop.NODE, Hop.NODE_AGENTS, Hop.NODE_KERNEL, Hop.NODE_FILTERS, Hop.NODE_LINKS),
                *(Hop.FABRIC, Hop.PROXY_RULES),
            }
        ),
    ),
    ("pods", frozenset({Hop.POD, Hop.SOCKET, Hop.INGRESS_POLICY, Hop.BACKENDS, Hop.OWN_ADDRESS})),
    (
        "app",
        frozenset({Hop.TLS, Hop.PROTOCOL, Hop.AUTHENTICATION, Hop.AUTHORIZATION, Hop.API_EXTENSIONS, Hop.SPEED}),
    ),
)

_WORST = (State.FAIL, State.WARN, State.ERROR, State.UNKNOWN, State.PASS, State.SKIPPED)


@dataclass(frozen=True)
class Place:
    """A place of the chain: its name, the hops there, and how the worst of them came out (None: not known yet)."""

    kind: str
    name: str
    state: State | None
    under: str
    """What stands below the name: the first bad value, else how many checks are done."""


def places_of(state: RunState) -> list[Place]:
    """The places on this question's path, in its order; what turned out not to lie on it is left out."""
    places = []
    for kind, hops in _PLACES:
        checks = [check for check in state.checks if check.step.hop in hops]
        if checks and _lies_on_the_way(kind, checks, state):
            places.append(_place(kind, checks, state))
    return places


def _lies_on_the_way(kind: str, checks: list[Check], state: RunState) -> bool:
    asked = state.question
    if any(check.is_bad for check in checks):
        return True
    if kind == "nodes":  # looked at only where a connection failed
        return asked.flow is FlowName.NODE
    if kind == "entry":
        return asked.flow is FlowName.OUTSIDE_TO_POD
    if kind == "client" or (kind == "names" and asked.flow is FlowName.DNS):
        return True
    skipped = [c for c in checks if c.settled and c.settled.outcome.state is State.SKIPPED and not was_not_reached(c)]
    return len(skipped) < len(checks)


def _place(kind: str, checks: list[Check], state: RunState) -> Place:
    settled = [check for check in checks if check.settled is not None]
    states = [check.settled.outcome.state for check in settled if check.settled]
    worst = next((wanted for wanted in _WORST if wanted in states), None)
    if worst in (State.PASS, State.SKIPPED) and len(settled) < len(checks):
        worst = None
    bad = next((c for c in settled if c.settled and c.settled.outcome.state is worst and c.is_bad), None)
    running = next((check for check in checks if check.stage is Stage.RUNNING), None)
    under = bad.step.title if bad else running.step.title if running else ""
    return Place(kind, _name(kind, state.question), worst, under)


def _name(kind: str, asked: Question) -> str:
    match kind:
        case "client":
            return client_of(asked) or "a client Pod"
        case "names":
            return "DNS"
        case "entry":
            named = next((f"{k}/{n}" for k, n in (("ing", asked.ingress), ("gateway", asked.gateway)) if n), "")
            return named or "entry"
        case "service":
            if asked.flow is FlowName.API:
                return "API Service"
            return f"svc/{asked.service}" if asked.service else asked.host or "Service"
        case "nodes":
            return f"node/{asked.node}" if asked.node else "nodes"
        case "pods":
            return f"pod/{asked.pod}" if asked.pod else "Pods"
    return "app"


_BROKEN = {State.FAIL: "╳", State.WARN: "≀", State.UNKNOWN: "?", State.ERROR: "?"}


def chain_lines(state: RunState, width: int) -> list[Line]:
    """Two lines: the chain, and below each place what is wrong or under way there."""
    places = places_of(state)
    if not places:
        return [(), ()]
    link = 5 if width >= 70 else 3
    room = width - (len(places) - 1) * link
    widths = _widths([max(cell_len(p.name), cell_len(p.under)) for p in places], room)
    upper: list[Part] = []
    lower: list[Part] = []
    for number, (place, wide) in enumerate(zip(places, widths, strict=True)):
        if number:
            upper.append(_link(place, link))
            lower.append(Part(" " * (link - 1)))
        style = FAINT if place.state is None else STATE_STYLES[place.state]
        name = cut(harmless(place.name, 120), wide)
        upper.append(Part(name, style))
        lower.append(Part(padded(place.under, wide), FAINT))
        if number < len(places) - 1:
            line = _LINE[_dead(places[number + 1])] * (wide - cell_len(name))
            upper.append(Part(f" {line}", FAINT))
            lower.append(Part(" "))
    return [tuple(upper), tuple(lower)]


def _widths(wanted: list[int], room: int) -> list[int]:
    """Room for each name: what it wants, and where that is too much, less for the longest."""
    most = max(wanted)
    while most > 4 and sum(min(most, wide) for wide in wanted) > room:
        most -= 1
    return [min(most, wide) for wide in wanted]


_LINE = {False: "━", True: "┄"}


def _dead(place: Place) -> bool:
    """Whether nobody has got there yet."""
    return place.state in (None, State.SKIPPED)


def _link(place: Place, width: int) -> Part:
    mark = _BROKEN.get(place.state) if place.state else None
    if mark is None:
        return Part(f"{_LINE[_dead(place)] * (width - 2)} ", FAINT)
    assert place.state is not None
    side = (width - 3) // 2
    return Part(f"{'━' * side}{mark}{'━' * side} ", STATE_STYLES[place.state])
