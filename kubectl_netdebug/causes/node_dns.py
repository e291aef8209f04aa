"""The name servers that a node uses itself, for pulling images and for what CoreDNS forwards."""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.node_asks import node_as_client, node_files
from kubectl_netdebug.causes.node_view import about_node, at
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, Risk, kubectl
from kubectl_netdebug.model.finding import Cause, Effect, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When
from kubectl_netdebug.net.resolvconf import RESOLV_CONF, read_resolv_conf

ANY_NAME = "example.com"
"""A name to ask for: any answer will do, a refusal too."""

TRIES = 2
MOST_SERVERS = 3

NODE_DNS = Cause(
    code="node-dns-broken",
    title="The node's own name servers do not answer",
    says="Of the name servers in {file} of node {node}, {dead} of {all} give no answer: {servers}.",
    means="{node} resolves no names outside the cluster{partly}: pulling images fails there, and so does what a "
    "CoreDNS on this node forwards.",
    symptom="Image pulls from one node fail with 'no such host' or a timeout; outside names fail from one CoreDNS.",
    apart="A name that does not exist gets an answer; here nothing answers at all.",
    mend="Restart systemd-resolved or correct the file; CoreDNS reads it only when it starts.",
)


@explains(Hop.NODE, NODE_DNS, When.ALWAYS)
def node_dns_broken(look: Look, asked: Question) -> Finding | None:
    """Questions from the node's own network to each server of its resolv.conf stay unanswered, twice."""
    if not about_node(asked) or look.if_known(asks.may_probe()) is None:
        return None
    files = look.if_known(node_files(asked.node, RESOLV_CONF))
    servers = read_resolv_conf(files.get(RESOLV_CONF, "")).nameservers[:MOST_SERVERS] if files else ()
    myself = node_as_client(look, asked.node)
    if not servers or myself is None:
        return None
    questions = [
        asks.lookup(myself, server, ANY_NAME, transport="UDP", attempt=n) for server in servers for n in range(TRIES)
    ]
    answers = look.all_known(questions)
    if any(answer is None for answer in answers):
        return None
    told = {
        server: [a for a in answers[place * TRIES : (place + 1) * TRIES] if a is not None]
        for place, server in enumerate(servers)
    }
    dead = {server: found for server, found in told.items() if not any(a.answered for a in found)}
    if not dead:
        return None
    every = len(dead) == len(servers)
    show = kubectl("get", "node", asked.node, "-o", "wide")
    note = "on the node: systemctl restart systemd-resolved, or put servers that answer into /etc/resolv.conf"
    return NODE_DNS.confirmed(
        at=at(asked.node),
        file=RESOLV_CONF,
        node=asked.node,
        dead=len(dead),
        all=len(servers),
        servers=", ".join(f"{server} ({found[0].words})" for server, found in dead.items()),
        partly="" if every else ", or late",
        effect=Effect.BREAKS if every else Effect.DEGRADES,
        saw=tuple(f"{asked.node} asks {server} for {ANY_NAME}: {a.words}" for server, f in told.items() for a in f),
        fix=Fix("correct the node's name servers", show, Risk.READ_ONLY, note),
    )
