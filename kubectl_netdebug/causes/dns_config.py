"""What CoreDNS says of its configuration when it ends: a loop, a line that it cannot read, a plugin that is gone."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

from kubectl_netdebug.causes.dns_cluster import Config, Workload
from kubectl_netdebug.causes.dns_state import (
    ClusterDns,
    by_hand,
    cluster_dns,
    config,
    in_main_file,
    to_node_resolver,
    with_corefile,
)
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.causes.trouble import ending_log
from kubectl_netdebug.model.command import Fix
from kubectl_netdebug.model.finding import Cause, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When
from kubectl_netdebug.net.corefile import Directive
from kubectl_netdebug.net.text import sanitise

LOOP_LINE = re.compile(r'plugin/loop: Loop \(([^)\n]*)\) detected for zone "([^"\n]*)"')
UNKNOWN = re.compile(r":(\d+) - Error during parsing: Unknown directive '([^'\n]+)'")
PARSING = re.compile(r"(?:plugin/(\w+): )?\S*Corefile:(\d+) - Error during parsing: ([^\n]+)")
SETUP = re.compile(r"^plugin/(\w+): ([^\n]+)$", re.M)
PROPERTY = re.compile(r"(?:plugin/(\w+): )(unknown property '([^'\n]+)'[^\n]*)")

REMOVED = {
    "proxy": ("1.5.0", "forward"),
    "federation": ("1.7.0", ""),
    "upstream": ("1.7.0", ""),
    "resyncperiod": ("1.5.0", ""),
    "reverse": ("1.2.0", "template"),
    "startup": ("1.2.0", ""),
}
"""Plugins and options of older Corefiles: the version that no longer takes them, and what took their place."""

PLUGINS = (
    *("acl", "any", "autopath", "bind", "bufsize", "cache", "cancel", "chaos", "debug", "dns64", "dnssec", "dnstap"),
    *("erratic", "errors", "etcd", "file", "forward", "grpc", "header", "health", "hosts", "import", "k8s_external"),
    *("kubernetes", "loadbalance", "local", "log", "loop", "metadata", "minimal", "multisocket", "nsid", "prometheus"),
    *("ready", "reload", "rewrite", "root", "secondary", "sign", "template", "timeouts", "tls", "trace", "transfer"),
    *("tsig", "view", "whoami"),
)


@dataclass(frozen=True)
class LastWords:
    """What a CoreDNS Pod wrote before it ended."""

    dns: ClusterDns
    runs: Workload
    pod: Pod
    log: str


def last_words(look: Look, asked: Question) -> LastWords | None:
    """Of the first Pod that keeps ending; None where none does."""
    dns = cluster_dns(look, asked)
    if dns is None or dns.workload is None:
        return None
    for pod in dns.pods:
        container = next((c for c in pod.containers if c.name == dns.workload.container_name), None)
        if container is None or pod.ready or not (container.restarts or container.terminated):
            continue
        return LastWords(dns, dns.workload, pod, ending_log(look, pod, container))
    return None


LOOP = Cause(
    code="dns-loop",
    title="CoreDNS forwards to itself",
    says="CoreDNS forwards names outside the cluster to itself ({target}), notices the loop and ends.",
    means="Without a CoreDNS Pod, no name resolves in any Pod.",
    symptom="CoreDNS in CrashLoopBackOff; its log says that plugin/loop detected a loop.",
    apart="A Corefile with an error ends CoreDNS as well, but then its log names a line.",
    mend="Forward to a real resolver: not to a loopback address of the node's resolv.conf, nor to the DNS Service.",
    explains=("dns-pods-down", "dns-service-no-endpoints", "dns-upstream-unreachable"),
)


@explains(Hop.DNS_SERVICE, LOOP, When.ALWAYS)
def dns_loop(look: Look, asked: Question) -> Finding | None:
    """It said so itself before it ended."""
    said = last_words(look, asked)
    match = LOOP_LINE.search(said.log) if said else None
    if said is None or match is None:
        return None
    found = config(look, said.dns)
    block = found.parsed.block_for(match[2]) if found else None
    forward = block.plugin("forward") if block else None
    targets = forward.args[1:] if forward else ()
    from_node = not targets or any(target.startswith("/") for target in targets)
    return LOOP.confirmed(
        at=found.ref if found and not from_node else said.runs.ref,
        target="the node's resolv.conf names a resolver on the node itself" if from_node else " ".join(targets),
        saw=(
            f"log of {said.pod.name}: Loop ({sanitise(match[1], 80)}) detected for zone {sanitise(match[2], 80)}",
            *([f"Corefile line {forward.line}: {forward.text}"] if forward else []),
        ),
        effect=said.dns.effect,
        fixes=_unloop(said, found, forward, from_node),
    )


def _unloop(said: LastWords, found: Config | None, forward: Directive | None, from_node: bool) -> tuple[Fix, ...]:
    if found is None or forward is None or not in_main_file(forward):
        return ()
    if from_node:
        why = (
            "put the address of a real resolver in the place of /etc/resolv.conf, or give kubelet a resolvConf with one"
        )
        return (by_hand("forward to a real resolver", found, said.runs, why),)
    return (to_node_resolver("forward to the resolver of the nodes", found, said.runs, forward),)


REMOVED_PLUGIN = Cause(
    code="dns-corefile-removed-plugin",
    title="The Corefile uses a plugin that this CoreDNS no longer has",
    says="Corefile line {line} uses {word}, which CoreDNS no longer has since {version}{instead}.",
    means="New CoreDNS Pods end at once{rest}.",
    symptom="After an upgrade of CoreDNS its Pods crash; the log says: Unknown directive.",
    apart="A misspelt plugin gives the same words; this one is the name of one that existed.",
    mend="Rewrite the line: `proxy . ADDRESS` becomes `forward . ADDRESS`; drop what has no successor.",
    explains=("dns-pods-down", "dns-corefile-invalid", "dns-service-no-endpoints"),
)

INVALID = Cause(
    code="dns-corefile-invalid",
    title="CoreDNS cannot read its Corefile",
    says="CoreDNS cannot read its Corefile: {error}.",
    means="New CoreDNS Pods end at once{rest}.",
    symptom="CoreDNS Pods crash; the log names a line of the Corefile.",
    apart="A loop ends CoreDNS as well, but its log says so.",
    mend="Correct the line in the ConfigMap and restart CoreDNS.",
    explains=("dns-pods-down", "dns-service-no-endpoints"),
)


@explains(Hop.DNS_SERVICE, REMOVED_PLUGIN, When.ALWAYS)
def dns_corefile_removed_plugin(look: Look, asked: Question) -> Finding | None:
    """The directive that CoreDNS does not know is one that it used to have."""
    said = last_words(look, asked)
    if said is None:
        return None
    unknown, option = UNKNOWN.search(said.log), PROPERTY.search(said.log)
    word = unknown[2] if unknown else option[3] if option else ""
    if word not in REMOVED:
        return None
    found = config(look, said.dns)
    version, instead = REMOVED[word]
    number = int(unknown[1]) if unknown else _line_with(found, word)
    return REMOVED_PLUGIN.confirmed(
        at=found.ref if found else said.runs.ref,
        line=number,
        word=word,
        version=version,
        instead=f"; {instead} took its place" if instead else "",
        rest=_rest(said.dns),
        saw=_said(said, unknown[0].lstrip(":") if unknown else option[2] if option else ""),
        effect=said.dns.effect,
        fixes=_rewrite(said, found, number, word, instead),
    )


@explains(Hop.DNS_SERVICE, INVALID, When.ALWAYS)
def dns_corefile_invalid(look: Look, asked: Question) -> Finding | None:
    """CoreDNS names the line."""
    said = last_words(look, asked)
    match = (PARSING.search(said.log) or PROPERTY.search(said.log) or SETUP.search(said.log)) if said else None
    if said is None or match is None:
        return None
    found = config(look, said.dns)
    unknown = UNKNOWN.search(said.log)
    word = unknown[2] if unknown else ""
    number = int(unknown[1]) if unknown else int(match[2]) if match.re is PARSING else 0
    near = difflib.get_close_matches(word, PLUGINS, 1, 0.7) if word else []
    error = match[3] if match.re is PARSING else f"plugin {match[1]}: {match[2]}"
    return INVALID.confirmed(
        at=found.ref if found else said.runs.ref,
        error=(f"line {number}: " if number else "") + sanitise(error, 160).rstrip("."),
        rest=_rest(said.dns),
        saw=_said(said, match[0]),
        effect=said.dns.effect,
        fixes=_rewrite(said, found, number, word, near[0] if near else ""),
    )


def _rest(dns: ClusterDns) -> str:
    return (
        "; those that started before still serve the configuration from then"
        if dns.serving
        else ", so nothing resolves"
    )


def _said(said: LastWords, words: str) -> str:
    return f"log of {said.pod.name}: {sanitise(words, 200)}"


def _line_with(found: Config | None, word: str) -> int:
    lines = found.text.split("\n") if found else []
    return next((n for n, line in enumerate(lines, 1) if line.split()[:1] == [word]), 0)


def _rewrite(said: LastWords, found: Config | None, number: int, word: str, instead: str) -> tuple[Fix, ...]:
    """The line with the right word, or without it where nothing took its place and it opens no braces."""
    if found is None:
        return ()
    lines = found.text.split("\n")
    line = lines[number - 1] if 0 < number <= len(lines) else ""
    edit = by_hand(f"correct line {number}", found, said.runs, "what was meant there is not known")
    if line.split()[:1] != [word] or not word:
        return (edit,)
    if instead:
        lines[number - 1] = line.replace(word, instead, 1)
        return (with_corefile(f"write {instead} for {word}", found, said.runs, "\n".join(lines)),)
    if word in REMOVED and "{" not in line:
        del lines[number - 1]
        return (with_corefile(f"drop the line with {word}", found, said.runs, "\n".join(lines)),)
    return (edit,)
