"""The guided questions in plain lines: what is broken, from where, to where. The answer is the same as a command's."""

from __future__ import annotations

import argparse
import sys

from kubectl_netdebug.cli import inventory
from kubectl_netdebug.cli.aim import aim
from kubectl_netdebug.cli.arguments import kube_flags
from kubectl_netdebug.cli.diagnose import diagnose, verify_command
from kubectl_netdebug.cli.dialogue import Choice, Dialogue
from kubectl_netdebug.cli.exits import Exit, UsageProblem
from kubectl_netdebug.cli.output import say
from kubectl_netdebug.cli.target import api_question, dns_question, path_question, service_question
from kubectl_netdebug.kube.session import Session
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.address import is_address
from kubectl_netdebug.net.complaint import Complaint, Said, understand
from kubectl_netdebug.net.text import sanitise

NOT_SURE = "not sure"

SITUATIONS = (
    Choice("outside", "A Service cannot be reached from outside the cluster"),
    Choice("pod", "A Pod cannot reach another Pod or Service"),
    Choice("away", "A Pod cannot reach something outside the cluster"),
    Choice("self", "A Pod cannot reach itself by its Service"),
    Choice("names", "Names do not resolve, or slowly"),
    Choice("api", "A Pod cannot use the Kubernetes API"),
    Choice("message", "I only have an error message"),
    Choice(NOT_SURE, "Not sure: a Service does not answer"),
)


def walk_through(args: argparse.Namespace) -> Exit:
    """Asks, says the command that would have asked the same, and runs it. Raises UsageProblem and KubeError."""
    dialogue = Dialogue(say, _read_line)
    with Session.open(kube_flags(args), interactive=sys.stdin.isatty()) as session:
        namespace = getattr(args, "namespace", None) or session.namespace or "default"
        question = aim(session, Guide(dialogue, session, namespace).question())
    say("")
    say(f"$ {verify_command(question, ())}")
    return diagnose(args, lambda _: question)


def _read_line(prompt: str) -> str | None:
    """A line of standard input; a pipe's answers are shown behind the prompt, as a terminal shows them by itself."""
    sys.stderr.write(prompt)
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not sys.stdin.isatty():
        say(sanitise(line.rstrip("\n"), 200))
    return line if line else None


class Guide:
    """From answers to a question. What cannot be listed (no right) can be typed."""

    def __init__(self, dialogue: Dialogue, session: Session, namespace: str) -> None:
        self._dialogue = dialogue
        self._session = session
        self._namespace = namespace

    def question(self) -> Question:
        """The whole dialogue."""
        where = f"namespace {self._namespace}"
        if self._session.context:
            where += f", context {self._session.context}"
        return self._about(self._dialogue.choose(f"What is broken?   ({where})", SITUATIONS, NOT_SURE))

    def _about(self, situation: str, far: str = "") -> Question:
        """`far` is the far end where it is known already."""
        match situation:
            case "outside":
                return path_question("outside", far or self._service(), self._namespace)
            case "pod":
                return path_question(self._pod(), far or self._service(), self._namespace)
            case "away":
                return path_question(self._pod(), far or self._address(), self._namespace)
            case "self":
                return path_question(self._pod(), "self", self._namespace)
            case "names":
                return dns_question(self._pod(), far or self._name() or None, self._namespace)
            case "api":
                return api_question(self._pod(), self._namespace)
            case "message":
                return self._from_message()
        return service_question(self._service().removeprefix("svc/"), self._namespace, None)

    def _pod(self) -> str:
        found = inventory.workloads(self._session, self._namespace)
        if not found:
            raise UsageProblem(f"there is no running Pod in namespace {self._namespace} to ask from: -n NAMESPACE")
        return self._dialogue.choose(
            "From where?   (the one whose connection fails; not sure: the first)",
            found,
            found[0].word,
            free="or pod/NAME",
        )

    def _service(self) -> str:
        found = inventory.services(self._session, self._namespace)
        if found:
            name = self._dialogue.choose("To which Service?", found, found[0].word, free="or NAME, pod/NAME:PORT")
        else:
            name = self._dialogue.text("To which Service?", "NAME, NAME.NAMESPACE or pod/NAME:PORT")
        if not name:
            raise UsageProblem("a Service has to be named: kubectl netdebug service NAME")
        return name if "/" in name or ":" in name else f"svc/{name}{self._port(name)}"

    def _port(self, service: str) -> str:
        found = inventory.ports(self._session, self._namespace, service)
        if len(found) < 2:
            return ""
        every = Choice("all", "all of them")
        chosen = self._dialogue.choose("To which port?", (*found, every), "all")
        return "" if chosen == "all" else f":{chosen}"

    def _address(self) -> str:
        typed = self._dialogue.text("To what?", "https://NAME, NAME:PORT or ADDRESS:PORT")
        if not typed:
            raise UsageProblem("a destination has to be named: kubectl netdebug path SOURCE https://example.com")
        return typed

    def _name(self) -> str:
        return self._dialogue.text("Which name?", "nothing for names in general")

    def _from_message(self) -> Question:
        said = understand(self._dialogue.text("What does it say?", "paste the line"))
        far = f", speaking of {said.host}{':' + said.port if said.port else ''}" if said.host else ""
        self._dialogue.say(f"  {said.complaint.means}{far and f' ({far[2:]})'}")
        situation, destination = situation_of(said)
        if not situation:
            situation = self._dialogue.choose("So what is broken?", SITUATIONS[:-2], "pod")
        return self._about(situation, destination)


def situation_of(said: Said) -> tuple[str, str]:
    """(situation, far end) that an error message leaves no doubt about; '' where a person has to choose."""
    if said.complaint is Complaint.FORBIDDEN or said.host.startswith("kubernetes.default"):
        return "api", ""
    if said.complaint is Complaint.NAME:
        return "names", said.host
    if not said.host:
        return "", ""
    host = f"[{said.host}]" if ":" in said.host else said.host
    port = said.port or {"http": "80", "https": "443"}.get(said.scheme, "")
    if not port:
        return "", ""
    far = f"{said.scheme}://{host}:{port}" if said.scheme else f"{host}:{port}"
    inside = not is_address(said.host) and ("." not in said.host or ".svc" in said.host)
    return ("pod" if inside else "away"), far
