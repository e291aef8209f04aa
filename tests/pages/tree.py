"""`docs/decision-tree.md`: the flows, drawn from the data that the program itself goes by."""

from __future__ import annotations

from kubectl_netdebug.causes.catalogue import explanations
from kubectl_netdebug.flows.api import api_flow
from kubectl_netdebug.flows.dns import dns_flow
from kubectl_netdebug.flows.incoming import outside_to_pod_flow
from kubectl_netdebug.flows.itself import pod_to_itself_flow
from kubectl_netdebug.flows.node import node_flow
from kubectl_netdebug.flows.outside import pod_to_outside_flow
from kubectl_netdebug.flows.pods import pod_to_pod_flow
from kubectl_netdebug.flows.service import service_flow
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.step import Flow, Step

FLOWS = (
    ("Something and a Service", "service NAME · path SOURCE svc/NAME", service_flow),
    ("A Pod and another Pod", "path SOURCE pod/NAME:PORT", pod_to_pod_flow),
    ("The outside and a Service, an Ingress, a Gateway", "path outside svc/NAME · ing/NAME · URL", outside_to_pod_flow),
    ("A Pod and the outside", "path SOURCE https://HOST", pod_to_outside_flow),
    ("A Pod and itself", "path SOURCE self", pod_to_itself_flow),
    ("Names in a Pod", "dns SOURCE [NAME]", dns_flow),
    ("A Pod and the API server", "api SOURCE", api_flow),
    ("A node", "node NAME", node_flow),
)


def page() -> str:
    """The page as Markdown, with diagrams in Mermaid."""
    lines = [
        "# The decision trees",
        "",
        "Each question walks one tree, from top to bottom. A box is a check; an arrow says that the check below waits",
        "for the one above, and is skipped where that one failed and the cause is known. Checks side by side run at",
        "once. A dashed box may stay open without making the verdict inconclusive. Causes of each check stand below.",
    ]
    for title, words, make in FLOWS:
        lines += ["", f"## {title}", "", f"`kubectl netdebug {words}`", "", *_drawn(make())]
    return "\n".join([*lines, *_causes()]) + "\n"


def _drawn(flow: Flow) -> list[str]:
    """One box a step, arrows from what it directly waits for."""
    before = {step.hop: _directly(step, flow) for step in flow.steps}
    boxes = [f'  {_name(step.hop)}["{step.title}<br/>{step.hop}"]' for step in flow.steps]
    arrows = [f"  {_name(hop)} --> {_name(step.hop)}" for step in flow.steps for hop in before[step.hop]]
    aside = [_name(step.hop) for step in flow.steps if not step.essential]
    dashed = ["  classDef aside stroke-dasharray: 4 4", f"  class {','.join(aside)} aside"] if aside else []
    return ["```mermaid", "flowchart TD", *boxes, *arrows, *dashed, "```"]


def _directly(step: Step, flow: Flow) -> list[Hop]:
    """The hops a step waits for, without those that another of them waits for already."""
    waits = {each.hop: set(each.after) for each in flow.steps}

    def behind(start: Hop) -> set[Hop]:
        found: set[Hop] = set()
        ahead = [start]
        while ahead:
            new = waits.get(ahead.pop(), set()) - found
            found |= new
            ahead.extend(new)
        return found

    known = [hop for hop in step.after if hop in waits]
    return [hop for hop in known if not any(hop in behind(other) for other in known if other is not hop)]


def _name(hop: Hop) -> str:
    return hop.name.lower()


def _causes() -> list[str]:
    by_hop: dict[Hop, list[str]] = {}
    for each in explanations():
        codes = by_hop.setdefault(each.hop, [])
        if each.cause.code not in codes:
            codes.append(each.cause.code)
    lines = ["", "## Causes of each check", "", "| check | causes that can explain it |", "|---|---|"]
    for hop in Hop:
        links = ", ".join(f"[{code}](causes/{code}.md)" for code in by_hop.get(hop, ()))
        lines.append(f"| {hop} | {links or 'none of its own'} |")
    return lines
