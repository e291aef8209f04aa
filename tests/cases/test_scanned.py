"""Every recording as a scan would judge it: what configuration alone proves is found, and healthy twins stay clean.

A scan reads whole lists, which no recording holds. So it is told what the question was about, and judges that object
from the recorded facts; a read that was not recorded is a fact that is missing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from kubectl_netdebug.engine.lists import Lists
from kubectl_netdebug.engine.recording import Recording
from kubectl_netdebug.engine.run import Engine
from kubectl_netdebug.engine.scan import Scope, put_together
from kubectl_netdebug.engine.source import Nothing
from kubectl_netdebug.engine.survey import OUTSIDE
from kubectl_netdebug.engine.sweep import Judged, Sweep
from kubectl_netdebug.flows import flow_for
from kubectl_netdebug.flows.sweep import About, Subject, leaves_a_question
from kubectl_netdebug.model.facts import Answer, FactKey, MayLookAtNodes, MayProbe, Price, Unknown, Why
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import FlowName, Question

FILES = sorted(Path(__file__).parent.glob("*.json.gz"))

ABOUT_THE_QUESTION = frozenset(
    {
        "service-port-undeclared",  # the port that was typed
        "service-not-exposed",  # that somebody outside was meant to use it
        "service-missing",  # the name that was typed
        "service-wrong-namespace",
        "pod-not-found",
        "ingress-rule-mismatch",  # the URL that was typed
    }
)
"""Codes about what a person asked for, not about what is configured."""

SEEN_THROUGH_PODS = frozenset({"slice-controller-stalled", "hostport-conflict", "pod-oom-flapping", "dns-pods-down"})
"""Codes at Services whose slices are in order: a scan that reads no Pods of such Services does not come upon them."""

STUCK_ROLLOUTS = frozenset(
    {
        *("ipam-churn-lag", "ipam-exhausted", "ipam-leaked", "ipam-maxpods", "node-protocol-crash-look-alike"),
        *("ipam-calico-exhausted", "ipam-calico-leaked"),
    }
)
"""Old Pods serve and new ones do not start: these stand in no slice, and a scan reads no Pods of such Services."""

WAITS_FOR_AN_ADDRESS = frozenset({"lb-pending-node-port-twin", "loadbalancer-pending-twin"})
"""Healthy for the person who uses the node port; that the load balancer never comes is a fault of the Service."""


class Recorded:
    """Reads from a recording."""

    def __init__(self, facts: Mapping[FactKey, Answer]) -> None:
        self._facts = facts

    def whole(self, places: Sequence[tuple[str, str]]) -> Mapping[tuple[str, str], Answer]:
        return dict.fromkeys(places, _NOT_RECORDED)

    def facts(self, keys: Iterable[FactKey]) -> Mapping[FactKey, Answer]:
        return {key: self._facts.get(key, _NOT_RECORDED) for key in keys}


_NOT_RECORDED = Unknown(Why.NOT_RECORDED, "the recording does not hold this")


class _Everything(Sweep):
    """A sweep without the glance, which needs lists."""

    def _is_worth_it(self, subject: Subject) -> bool:
        return True


def judged(recording: Recording) -> list[Judged]:
    sweep = _Everything(Lists(), Recorded(recording.facts), recording.started_at, strict=True)
    return list(sweep.judge(list(_subjects(recording.question))))


def codes(recording: Recording, found: list[Judged]) -> set[str]:
    return {mark.code for mark in put_together(found, Scope("", recording.started_at)).findings}


def _subjects(asked: Question) -> Iterable[Subject]:
    outside = replace(asked, flow=FlowName.OUTSIDE_TO_POD, source=OUTSIDE)
    home = asked.source.namespace or asked.namespace
    match asked.flow:
        case FlowName.NODE:
            return [Subject(About.NODE, asked, asked.node), Subject(About.AGENTS, asked, asked.node)]
        case FlowName.DNS:
            return [Subject(About.NAMES, asked, "")]
        case FlowName.API:
            return [Subject(About.API, asked, ""), Subject(About.CREATION, replace(asked, namespace=home), home)]
    if asked.ingress:
        return [Subject(About.INGRESS, outside, asked.ingress)]
    if asked.gateway:
        return [Subject(About.GATEWAY, outside, asked.gateway)]
    if asked.service:
        plain = Question(FlowName.SERVICE, asked.namespace, asked.service)
        balancer = replace(plain, flow=FlowName.OUTSIDE_TO_POD, source=OUTSIDE)
        return [Subject(About.SERVICE, plain, asked.service), Subject(About.BALANCER, balancer, asked.service)]
    return [Subject(About.ROUTE, outside, asked.host)] if asked.host else []


def _proved_by_reads(recording: Recording) -> set[str]:
    """The codes of a whole diagnosis for which nothing but the API was looked at."""
    question = recording.question
    engine = Engine(question, flow_for(question), Nothing(), facts=recording.facts, strict=True)
    return {
        found.finding.code
        for step in engine.run().steps
        for found in step.found
        if all(ask.key.price is Price.READ and not isinstance(ask.key, MayLookAtNodes | MayProbe) for ask in found.used)
    }


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name.removesuffix(".json.gz"))
def test_a_scan_finds_what_configuration_proves_and_nothing_else(path: Path) -> None:
    recording = Recording.from_bytes(path.read_bytes())
    wanted = recording.case["expect"].get("code")
    found = judged(recording)
    seen = codes(recording, found)

    if wanted is None:
        waiting = {"lb-pending-no-controller"} if path.name.removesuffix(".json.gz") in WAITS_FOR_AN_ADDRESS else set()
        assert seen <= set(recording.case["expect"].get("also", ())) | waiting
        return
    # A bare Pod is no subject of a scan, and an Ingress's Service is one by itself.
    subjects = bool(found) and not (recording.question.ingress and wanted == "service-selector-mismatch")
    if subjects and wanted in _proved_by_reads(recording) - ABOUT_THE_QUESTION:
        assert wanted in seen


def test_services_with_a_fault_in_their_slices_are_looked_at() -> None:
    overlooked = {}
    for path in FILES:
        recording = Recording.from_bytes(path.read_bytes())
        for each in judged(recording):
            if each.subject.about is not About.SERVICE or path.name.removesuffix(".json.gz") in STUCK_ROLLOUTS:
                continue
            found = codes(recording, [each]) - ABOUT_THE_QUESTION - SEEN_THROUGH_PODS
            if found and not leaves_a_question(Look(recording.facts), each.subject.question):
                overlooked[path.name] = found

    assert overlooked == {}
