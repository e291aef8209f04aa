"""What lookups cost beside the answer: wildcard records in the search list, slow detours, AAAA without answer."""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.dns_client import Resolver, cluster_domain, resolver_of
from kubectl_netdebug.causes.dns_names import looked_up
from kubectl_netdebug.causes.dns_outside import forward_for
from kubectl_netdebug.causes.dns_policy import pod_spec_fix
from kubectl_netdebug.causes.dns_state import (
    by_hand,
    cluster_dns,
    config,
    in_main_file,
    with_corefile,
    with_lines_before,
)
from kubectl_netdebug.causes.owners import owner_of, template_path
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, Risk, kubectl
from kubectl_netdebug.model.finding import Cause, Effect, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When
from kubectl_netdebug.net.spoken import DnsAnswer

DETOUR = 500.0
"""Milliseconds that names of the search list may cost before the right one is asked for."""

WILDCARD = Cause(
    code="dns-wildcard-search",
    title="A wildcard record catches every name of the search list",
    says="Search domain {domain} of {whose} has a wildcard record, so {name} resolves as {full}, to {got}{instead}.",
    means="Connections to that name, and to all others with fewer than {ndots} dots, go to the wrong machine.",
    symptom="Names outside lead to one wrong address in Pods, with certificates that do not fit; on nodes they do not.",
    apart="With a trailing dot the name resolves rightly; a name that cannot exist resolves under the search domain.",
    mend="Lower ndots, so that names with dots are first asked as they are; or take the domain out of the search "
    "list, or the wildcard out of its zone.",
)


@explains(Hop.NAME, WILDCARD, When.ALWAYS)
def dns_wildcard_search(look: Look, asked: Question) -> Finding | None:
    """The name with a search domain was taken, a random name exists there too, and the name itself says otherwise."""
    resolver, found = resolver_of(look, asked), looked_up(look, asked)
    if resolver is None or found is None or not found.addresses or "." not in asked.host.rstrip("."):
        return None
    domain = found.full.rstrip(".").removeprefix(f"{asked.host.rstrip('.')}.")
    own = cluster_domain(look, resolver.conf)
    if domain not in resolver.conf.search or domain == own or domain.endswith(f".{own}"):
        return None
    random = f"nd-{int(look(asks.now()).timestamp()):x}.{domain}."
    strange = look(asks.lookup(resolver.pod, resolver.first, random, transport="UDP"))
    itself = dict(found.tried).get(f"{asked.host.rstrip('.')}.")
    if not strange.addresses or itself is None or set(itself.addresses) == set(found.addresses):
        return None
    owner = owner_of(look, resolver.pod)
    return WILDCARD.confirmed(
        at=owner.at(template_path(owner, "dnsConfig")),
        domain=domain,
        whose=f"{owner.kind} {owner.name}",
        name=asked.host,
        full=found.full.rstrip("."),
        got=", ".join(found.addresses[:2]),
        instead=f" instead of {', '.join(itself.addresses[:2])}" if itself.addresses else "",
        ndots=resolver.conf.ndots,
        saw=(
            f"{random.rstrip('.')} cannot exist and is {', '.join(strange.addresses[:2])}",
            f"{asked.host.rstrip('.')}. (with a dot at its end): {itself.words}",
        ),
        effect=Effect.BREAKS,
        fix=fewer_dots(look, resolver, asked.host),
    )


def fewer_dots(look: Look, resolver: Resolver, name: str) -> Fix:
    """ndots so low that this name is asked as it is first, and as high as can be for the sake of short names."""
    owner = owner_of(look, resolver.pod)
    dots = max(1, name.rstrip(".").count("."))
    kept = [o for o in resolver.own_config.get("options") or [] if isinstance(o, dict) and o.get("name") != "ndots"]
    spec = {"dnsConfig": {"options": [*kept, {"name": "ndots", "value": str(dots)}]}}
    return pod_spec_fix(owner, f"set ndots to {dots}", spec)


SLOW_NDOTS = Cause(
    code="dns-slow-ndots",
    title="The search list costs seconds before the name itself is asked",
    says="Before {name} itself, resolvers in {whose} ask for {count} names of the search list; {slow} takes {seconds}.",
    means="Each lookup of that name, and of others with fewer than {ndots} dots, takes as much longer.",
    symptom="Names outside resolve slowly in Pods, and at once with a dot at their end.",
    apart="Where the name itself is slow as well, the server outside is slow and the search list is not the cause.",
    mend="Lower ndots, write the name with a dot at its end, or take the domain out of the search list.",
)


@explains(Hop.NAME, SLOW_NDOTS, When.ALWAYS)
def dns_slow_ndots(look: Look, asked: Question) -> Finding | None:
    """The name resolves quickly as it is, and a name that is asked before it gets a late answer or none, twice."""
    resolver, found = resolver_of(look, asked), looked_up(look, asked)
    if resolver is None or found is None or not found.addresses or found.full.rstrip(".") != asked.host.rstrip("."):
        return None
    before = [(name, answer) for name, answer in found.tried[: _place(found.tried, found.full)]]
    own = dict(found.tried)[found.full]
    late = [(n, a) for n, a in before if _late(a, own)]
    if not late:
        return None
    again = look.all([asks.lookup(resolver.pod, resolver.first, n, transport="UDP", attempt=1) for n, _ in late])
    itself = look(asks.lookup(resolver.pod, resolver.first, found.full, transport="UDP", attempt=1))
    late = [(n, b) for (n, _), b in zip(late, again, strict=True) if _late(b, itself)]
    if not late or not itself.answered:
        return None
    owner = owner_of(look, resolver.pod)
    name, answer = max(late, key=lambda pair: _cost(pair[1]))
    return SLOW_NDOTS.confirmed(
        at=owner.at(template_path(owner, "dnsConfig.options")),
        name=asked.host,
        whose=f"{owner.kind} {owner.name}",
        count=len(before),
        slow=name.rstrip("."),
        seconds="more than 3 s" if answer.lost else f"{answer.milliseconds / 1000:.1f} s",
        ndots=resolver.conf.ndots,
        saw=(
            *(f"{n.rstrip('.')}: {a.words} after {a.milliseconds / 1000:.1f} s" for n, a in late[:3]),
            f"{asked.host} itself: {itself.milliseconds:.0f} ms",
        ),
        effect=Effect.DEGRADES,
        fix=fewer_dots(look, resolver, asked.host),
    )


def _place(tried: tuple[tuple[str, DnsAnswer], ...], full: str) -> int:
    return next((place for place, (name, _) in enumerate(tried) if name == full), 0)


def _late(answer: DnsAnswer, itself: DnsAnswer) -> bool:
    """Silence where the name itself is answered; or much later than that, which on a busy node means little."""
    return (answer.lost and itself.answered) or _cost(answer) > DETOUR + 3 * itself.milliseconds


def _cost(answer: DnsAnswer) -> float:
    return 5000.0 if answer.lost else answer.milliseconds


AAAA_TIMEOUT = Cause(
    code="dns-aaaa-timeout",
    title="Questions for AAAA get no answer",
    says="{server} answers {name} for A and is silent for AAAA{upstream}.",
    means="Resolvers ask for both and wait for both: each lookup of the name takes 5 s (glibc) or fails (musl).",
    symptom="Lookups take 5 s, or 10; the same lookup with A alone (getent ahostsv4, dig A) is quick.",
    apart="Packets lost by chance hit A as well; an answer without AAAA records is healthy and quick.",
    mend="Mend the server of the zone; until then let CoreDNS answer AAAA itself with an empty answer.",
    explains=("dns-slow-ndots",),
)


@explains(Hop.NAME, AAAA_TIMEOUT, When.ALWAYS)
def dns_aaaa_timeout(look: Look, asked: Question) -> Finding | None:
    """A is answered, AAAA is not, three times over."""
    resolver, found = resolver_of(look, asked), looked_up(look, asked)
    if resolver is None or found is None or not found.full or not found.addresses:
        return None
    answer = dict(found.also).get(found.full)
    if answer is None or not (answer.lost or answer.rcode == "SERVFAIL"):
        return None
    again = look.all(
        [asks.lookup(resolver.pod, resolver.first, found.full, "AAAA", transport="UDP", attempt=n) for n in (1, 2)]
        + [asks.lookup(resolver.pod, resolver.first, found.full, "A", transport="UDP", attempt=n) for n in (1, 2)]
    )
    if any(a.answered and a.rcode != "SERVFAIL" for a in again[:2]) or not all(a.addresses for a in again[2:]):
        return None
    dns = cluster_dns(look, asked)
    conf = config(look, dns) if dns else None
    forward = forward_for(conf, found.full)
    zone = ".".join(found.full.rstrip(".").split(".")[-2:])
    fix = Fix(
        "see who serves the zone", kubectl("get", "pods", "-A"), Risk.READ_ONLY, "the server is not the cluster's"
    )
    if dns and dns.workload and conf and forward:
        fix = by_hand("answer AAAA here", conf, dns.workload, "the server block is in an imported file")
        if in_main_file(forward.line):
            text = with_lines_before(conf, forward.line, [f"template IN AAAA {zone} {{", "    rcode NOERROR", "}"])
            fix = with_corefile(f"let CoreDNS answer AAAA of {zone} itself", conf, dns.workload, text)
    owner = owner_of(look, resolver.pod)
    return AAAA_TIMEOUT.confirmed(
        at=conf.ref if conf and forward else owner,
        server=resolver.first,
        name=found.full.rstrip("."),
        upstream=_upstream(look, resolver, forward.targets if forward else (), found.full),
        saw=(f"A: {', '.join(found.addresses[:2])} in {again[2].milliseconds:.0f} ms", "AAAA: no answer, three times"),
        effect=Effect.DEGRADES,
        fix=fix,
    )


def _upstream(look: Look, resolver: Resolver, targets: tuple[tuple[str, int], ...], name: str) -> str:
    if not targets:
        return ""
    server, port = targets[0]
    a, aaaa = look.all(
        [asks.lookup(resolver.pod, server, name, kind, transport="UDP", port=port) for kind in ("A", "AAAA")]
    )
    return f", and so does {server}, to which it forwards" if a.answered and aaaa.lost else ""
