"""Names: fixes that rewrite a Corefile, what a name is written for, and odd facts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from kubectl_netdebug.causes.dns_cluster import Config
from kubectl_netdebug.causes.dns_kubernetes import WAITING
from kubectl_netdebug.causes.dns_missing import nearest_service
from kubectl_netdebug.causes.dns_outside import FAILURE, UPSTREAM, forward_for
from kubectl_netdebug.causes.dns_state import with_line, with_lines_before
from kubectl_netdebug.engine.run import Engine
from kubectl_netdebug.engine.source import Job
from kubectl_netdebug.flows.dns import dns_flow
from kubectl_netdebug.model.facts import Answer, FactKey, Known, Lookup, Unknown, Why
from kubectl_netdebug.model.finding import ObjectRef
from kubectl_netdebug.model.objects.service import Service, read_service
from kubectl_netdebug.model.question import FlowName, Question, Source, SourceKind
from kubectl_netdebug.net.corefile import parse_corefile
from tests.unit.anything import json_values, objects

COREFILE = """.:53 {
    errors
    forward . 127.0.0.1 {
        max_concurrent 1000
    }
}
corp.example {
    forward . 10.1.2.3 10.1.2.4:5353 tls://9.9.9.9 [fd00::1]:54
}
"""


def config(text: str = COREFILE) -> Config:
    return Config(ObjectRef("ConfigMap", "kube-system", "coredns"), "Corefile", text, parse_corefile(text))


def test_rewriting_a_line_keeps_everything_else() -> None:
    forward = forward_for(config(), "www.example.")
    assert forward is not None
    text = with_line(config(), forward.line, "forward . /etc/resolv.conf")
    assert text == COREFILE.replace("127.0.0.1", "/etc/resolv.conf")
    more = with_lines_before(config(), forward.line, ["template IN AAAA a.b {", "}"])
    assert parse_corefile(more).blocks[0].plugin("template") is not None
    assert len(parse_corefile(more).blocks) == 2


def test_targets_of_a_forward() -> None:
    forward = forward_for(config(), "db.corp.example.")
    assert forward is not None
    assert forward.targets == (("10.1.2.3", 53), ("10.1.2.4", 5353), ("fd00::1", 54))
    assert not forward.from_node


def test_what_coredns_writes_when_it_gives_up() -> None:
    line = "[ERROR] plugin/errors: 2 nd-1.example. A: read udp 10.244.2.4:46231->203.0.113.53:53: i/o timeout"
    match = FAILURE.search(line)
    assert match is not None
    way = UPSTREAM.search(match[2])
    assert way is not None
    assert (match[1], way[1], way[3]) == ("nd-1.example.", "203.0.113.53", "i/o timeout")


class AtOnce:
    """Answers each key from a function."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    def plan(self, keys: Iterable[FactKey]) -> list[Job]:
        answers: dict[FactKey, Answer] = {key: self._answer(key) for key in keys}
        return [Job("played", tuple(answers), lambda: answers, 60.0)]


LOOKUPS = st.fixed_dictionaries(
    {
        "outcome": st.sampled_from(["answer", "timed-out", "refused", "garbage", "closed"]),
        "rcode": st.sampled_from(["NOERROR", "NXDOMAIN", "SERVFAIL", "REFUSED", ""]),
        "answers": st.lists(st.fixed_dictionaries({"type": st.just("A"), "data": st.just("1.2.3.4")}), max_size=1),
        "ms": st.floats(0, 5000),
    }
)
VALUES = (
    json_values | objects | LOOKUPS | st.just("nameserver 10.96.0.10\nsearch a.svc.cluster.local svc.cluster.local")
)


@settings(max_examples=60, deadline=None)
@given(st.lists(VALUES, min_size=1, max_size=12), st.sampled_from(["", "web", "web-0.web", "www.example.com"]))
def test_odd_facts_are_no_defect(values: list[Any], host: str) -> None:
    def answer(key: FactKey) -> Answer:
        value = values[hash(repr(key)) % len(values)]
        if isinstance(key, Lookup) and not (isinstance(value, dict) and "outcome" in value):
            return Unknown(Why.TIMEOUT, "no answer")
        return Known(value)

    question = Question(FlowName.DNS, "shop", source=Source(SourceKind.POD, "shop", "web-1"), host=host)
    Engine(question, dns_flow(), AtOnce(answer), facts={}, strict=True).run()


def service(namespace: str, name: str) -> Service:
    found = read_service({"metadata": {"namespace": namespace, "name": name}})
    assert found is not None
    return found


def test_the_service_that_was_probably_meant() -> None:
    services = [service("shop", "cart"), service("shop", "checkout"), service("bank", "ledger"), service("lab", "cart")]
    assert nearest_service(services, "shop", "chekout") == ("checkout", "shop")
    assert nearest_service(services, "shop", "ledger") == ("ledger", "bank")
    assert nearest_service(services, "shopp", "cart") == ("cart", "shop")
    assert nearest_service(services, "elsewhere", "cart") is None
    assert nearest_service(services, "shop", "www") is None


def test_coredns_that_waits_says_so() -> None:
    for line in (
        '[INFO] plugin/ready: Plugins not ready: "kubernetes"',
        '[INFO] plugin/ready: Still waiting on: "kubernetes"',
        '[INFO] plugin/ready: Plugins not ready: "forward,kubernetes"',
    ):
        assert WAITING.search(line)
    assert not WAITING.search('[INFO] plugin/ready: Plugins not ready: "erratic"')
