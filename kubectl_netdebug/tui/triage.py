"""The guided questions as data: which situation needs which answers, and the question that they make. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum

from kubectl_netdebug.cli.exits import UsageProblem
from kubectl_netdebug.cli.target import api_question, dns_question, node_question, path_question, service_question
from kubectl_netdebug.model.question import FlowName, Question
from kubectl_netdebug.net.complaint import understand


class Need(StrEnum):
    """Something that has to be known; the value is its word in the breadcrumb."""

    FROM = "from"
    TO = "to"
    PORT = "port"
    ADDRESS = "to what"
    NAME = "name"
    NODE = "node"
    MESSAGE = "message"


@dataclass(frozen=True)
class Situation:
    """What may be broken, and what has to be asked then."""

    word: str
    title: str
    way: str
    needs: tuple[Need, ...]
    flow: FlowName


SITUATIONS = (
    Situation(
        "outside",
        "A Service cannot be reached from outside",
        "outside → Pod",
        (Need.TO, Need.PORT),
        FlowName.OUTSIDE_TO_POD,
    ),
    Situation(
        "pod",
        "A Pod cannot reach another Pod or Service",
        "Pod → Pod",
        (Need.FROM, Need.TO, Need.PORT),
        FlowName.POD_TO_POD,
    ),
    Situation(
        "away",
        "A Pod cannot reach something outside",
        "Pod → outside",
        (Need.FROM, Need.ADDRESS),
        FlowName.POD_TO_OUTSIDE,
    ),
    Situation("self", "A Pod cannot reach itself by its Service", "Pod → itself", (Need.FROM,), FlowName.POD_TO_ITSELF),
    Situation("names", "Names do not resolve, or slowly", "DNS", (Need.FROM, Need.NAME), FlowName.DNS),
    Situation("api", "A Pod cannot use the Kubernetes API", "Pod → API", (Need.FROM,), FlowName.API),
    Situation("node", "A node's network looks broken", "node", (Need.NODE,), FlowName.NODE),
    Situation(
        "message", "I only have an error message", "paste it, we start from there", (Need.MESSAGE,), FlowName.SERVICE
    ),
    Situation(
        "not sure",
        "Not sure: a Service does not answer",
        "we look at all of it",
        (Need.TO, Need.PORT),
        FlowName.SERVICE,
    ),
)


def situation(word: str) -> Situation:
    """By its word. Raises StopIteration for another one."""
    return next(each for each in SITUATIONS if each.word == word)


@dataclass(frozen=True)
class Answers:
    """What was answered so far; an empty answer is one too ("all of them", "names in general")."""

    situation: Situation
    given: Mapping[Need, str] = field(default_factory=dict)
    explained: str = ""
    """What an error message was taken to say."""

    def with_answer(self, need: Need, answer: str) -> Answers:
        """One more, or another one."""
        return replace(self, given={**self.given, need: answer})

    def next_need(self, ports: Mapping[str, tuple[str, ...]]) -> Need | None:
        """What to ask now; None when the question is complete. A Service with one port needs no port."""
        for need in self.situation.needs:
            if need in self.given:
                continue
            if need is Need.PORT and not self._port_is_open(ports):
                continue
            return need
        return None

    def _port_is_open(self, ports: Mapping[str, tuple[str, ...]]) -> bool:
        to = self.given.get(Need.TO, "")
        plain = to.removeprefix("svc/")
        return "/" not in plain and ":" not in plain and len(ports.get(plain, ())) > 1

    def crumbs(self) -> list[tuple[str, str]]:
        """(what, answer) for each thing that was answered."""
        return [(need.value, self.given[need]) for need in self.situation.needs if need in self.given]

    def question(self, namespace: str) -> Question:
        """Raises UsageProblem for words that name nothing."""
        given = self.given
        client = given.get(Need.FROM, "")
        match self.situation.word:
            case "outside":
                return path_question("outside", self._target(), namespace)
            case "pod":
                return path_question(client, self._target(), namespace)
            case "away":
                return path_question(client, given[Need.ADDRESS], namespace)
            case "self":
                return path_question(client, "self", namespace)
            case "names":
                return dns_question(client, given[Need.NAME] or None, namespace)
            case "api":
                return api_question(client, namespace)
            case "node":
                return node_question(given[Need.NODE], namespace)
            case "not sure":
                return service_question(self._target().removeprefix("svc/"), namespace, None)
        raise UsageProblem("choose what is broken first")

    def _target(self) -> str:
        to, port = self.given.get(Need.TO, ""), self.given.get(Need.PORT, "")
        if not to:
            raise UsageProblem("a destination has to be named")
        if "/" in to or ":" in to:
            return to
        return f"svc/{to}{':' + port if port else ''}"


def from_message(text: str) -> Answers | str:
    """The answers that an error message leaves no doubt about, or what it means where it leaves the branch open."""
    from kubectl_netdebug.cli.walkthrough import (
        situation_of,  # with all that speaks to a cluster: not before it is needed
    )

    said = understand(text)
    word, far = situation_of(said)
    about = f" It speaks of {said.host}{':' + said.port if said.port else ''}." if said.host else ""
    explained = f"{said.complaint.means}{about}"
    if not word:
        return explained
    answers = Answers(situation(word), explained=explained)
    need = {"pod": Need.TO, "away": Need.ADDRESS, "names": Need.NAME}.get(word)
    return answers.with_answer(need, far) if need and far else answers


def preview(of: Situation) -> tuple[str, ...]:
    """The titles of the checks that this situation leads to."""
    if of.word == "message":
        return ()
    from kubectl_netdebug.flows import flow_for  # all causes: the first screen does not wait for them

    service = "web" if Need.TO in of.needs else ""
    return tuple(step.title for step in flow_for(Question(of.flow, "default", service)).steps)
