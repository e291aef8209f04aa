"""kube-proxy on a node: not running, hanging, failing to write, or its rules gone."""

from __future__ import annotations

from kubectl_netdebug.causes.kubeproxy_log import failure_line
from kubectl_netdebug.causes.kubeproxy_view import ProxyOn, Subject, proxies, settled
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.finding import Cause, Effect, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.pod import Container, Pod
from kubectl_netdebug.model.question import FlowName, Question
from kubectl_netdebug.model.step import When
from kubectl_netdebug.net.proxyrules import Difference, General, Mode, Verdict

SHOWN = 3

DOWN = Cause(
    code="kube-proxy-down",
    title="kube-proxy does not run on the node",
    says="kube-proxy is not running on {node}: {state}.",
    means="{node} keeps the rules that it has: Services and endpoints that are newer do not work from it.",
    symptom="From one node new Services time out, and others lead to Pods that are gone; Pods answer directly.",
    apart="Cilium and others do without kube-proxy: then their agent's Pod runs on the node. A kube-proxy "
    "that runs and writes nothing is hanging or failing.",
    mend="Start it again; where it does not stay up, its log says why.",
    explains=(
        *("kube-proxy-stale", "kube-proxy-rules-flushed", "kube-proxy-sync-failing", "api-vip-not-programmed"),
        *("kube-proxy-two-dataplanes", "hairpin-masq-missing", "hairpin-off", "service-name-unresolved"),
    ),
)


@explains(Hop.PROXY_RULES, DOWN, When.ALWAYS)
def down(look: Look, asked: Question) -> Finding | None:
    """No such process on the node; or, as far as the API tells, its Pod there is not running."""
    for proxy in proxies(look, asked):
        state = _not_running(proxy)
        harm = _harm(proxy)
        if not state or not proxy.wanted or (not proxy.asked_by_name and not harm):
            continue
        return DOWN.confirmed(
            at=proxy.at,
            node=proxy.node.name,
            state=state,
            saw=(*harm[:SHOWN], *proxy.seen),
            effect=proxy.effect() if harm else Effect.DEGRADES,
            fix=proxy.restart(),
        )
    return None


def _not_running(proxy: ProxyOn) -> str:
    """Its state in words; '' where it runs, or where that is not known."""
    told = _told(proxy.pod)
    if proxy.runs is None:
        return told
    if proxy.runs:
        return ""
    if told:
        return told
    if proxy.daemonset and proxy.pod is None:
        return "its DaemonSet has no Pod there"
    return "no such process, and nothing answers on port 10256"


def _told(pod: Pod | None) -> str:
    """What the status of its Pod says of a container that is not running."""
    container = next((c for c in pod.containers if c.state != "running"), None) if pod else None
    if pod is None or container is None:
        return ""
    return f"Pod {pod.name} {_ended(container)}"


def _ended(container: Container) -> str:
    last = container.terminated or container.last
    code = f", exit code {last.exit_code}" if last else ""
    return f"is not up ({container.reason or container.state}{code}, {container.restarts} restarts)"


def _harm(proxy: ProxyOn) -> list[str]:
    """What the rules of its mode lack, in words; of the other modes where its own is not known."""
    modes = [proxy.mode] if proxy.mode else list(Mode)
    found = []
    for mode in modes:
        general = proxy.general(mode)
        if general is None:
            continue
        if not general.present or general.broken:
            found += [f"missing on {proxy.node.name}: {_missing(general)}"] if proxy.mode else []
            continue
        found += [words(d) for s in proxy.subjects for d in proxy.differences(s, mode)]
    return found


def _missing(general: General) -> str:
    if not general.present:
        return "table kube-proxy" if general.mode is Mode.NFTABLES else "all chains of kube-proxy in table nat"
    return ", ".join(general.broken)


def words(difference: Difference) -> str:
    """A difference for people."""
    port, way = difference.expected, difference.way
    if difference.wrong_verdict:
        has = {
            Verdict.NONE: "no rule",
            Verdict.NOWHERE: f"a chain without endpoints ({way.chain})",
            Verdict.REJECT: "a rule that rejects",
            Verdict.DROP: "a rule that drops",
            Verdict.BALANCE: f"rules that lead to {_places(tuple(t.place for t in way.targets))}",
        }[way.verdict]
        wants = _places(port.endpoints) if port.endpoints else f"{port.verdict.value}, as no endpoint is in use"
        return f"{way.label} has {has}; its EndpointSlices say {wants}"
    parts = [f"lack {_places(difference.missing)}"] if difference.missing else []
    parts += [f"still lead to {_places(difference.stale)}"] if difference.stale else []
    return f"{way.label}: the rules {' and '.join(parts)}"


def _places(places: tuple[tuple[str, int], ...]) -> str:
    told = [f"[{a}]:{p}" if ":" in a else f"{a}:{p}" for a, p in places[:SHOWN]]
    more = f" and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
    return ", ".join(told) + more


STALE = Cause(
    code="kube-proxy-stale",
    title="The node's rules do not follow the EndpointSlices",
    says="The rules of {node} for {service} differ from its EndpointSlices: {difference}.",
    means="Connections from {node} go where no Pod is any more, or miss Pods that are there; other nodes are well.",
    symptom="From one node a Service times out, always or now and then, since its Pods were replaced.",
    apart="With the rules of all Services gone they were flushed; with a kube-proxy that says that writing fails, "
    "something keeps it from that.",
    mend="Restart the node's kube-proxy; see in its log why it stopped following (the API server, a hang).",
    explains=("api-vip-not-programmed",),
)


@explains(Hop.PROXY_RULES, STALE, When.ALWAYS)
def stale(look: Look, asked: Question) -> Finding | None:
    """The rules of its own mode are there, and are about other endpoints than the slices."""
    for proxy in proxies(look, asked):
        mode = proxy.mode
        general = proxy.general(mode) if mode else None
        if mode is None or general is None or not general.present or proxy.runs is False or proxy.replaced_by:
            continue
        for subject in proxy.subjects:
            differences = proxy.differences(subject, mode)
            if differences and (proxy.hangs or settled(look, subject)):
                return _stale(proxy, subject, differences)
    return None


def _stale(proxy: ProxyOn, subject: Subject, differences: tuple[Difference, ...]) -> Finding:
    chain = differences[0].way.chain or ("KUBE-SERVICES" if proxy.mode is Mode.IPTABLES else "map service-ips")
    health = f"kube-proxy's health on {proxy.node.name}: {proxy.program.health or 'no answer'}" if proxy.program else ""
    return STALE.confirmed(
        at=proxy.at.at(chain),
        node=proxy.node.name,
        service=f"{subject.service.namespace}/{subject.service.name}",
        difference=words(differences[0]),
        saw=tuple(
            filter(
                None,
                (
                    *(words(d) for d in differences[1:SHOWN]),
                    *(text for d in differences[:1] for text in d.way.text[:2]),
                    f"kube-proxy: {proxy.hangs}" if proxy.hangs else health,
                    *proxy.seen,
                ),
            )
        ),
        effect=proxy.effect((subject,)) if subject.tried else Effect.DEGRADES,
        fix=proxy.restart(),
    )


FLUSHED = Cause(
    code="kube-proxy-rules-flushed",
    title="kube-proxy's rules were removed from the node",
    says="On {node}, {missing} of kube-proxy ({mode} mode) is gone, while kube-proxy runs.",
    means="{node} does not translate Service addresses{extent} until the rules are written again.",
    symptom="All Services stop working from one node, often after a firewall was reloaded; Pods answer directly.",
    apart="Without a kube-proxy nobody would write them again; stale rules are there and lead to the wrong Pods.",
    mend="Restart the node's kube-proxy; find what flushes foreign rules there (a firewall's reload, a script).",
    explains=("api-vip-not-programmed", "kube-proxy-stale", "service-name-unresolved"),
)


@explains(Hop.PROXY_RULES, FLUSHED, When.ALWAYS)
def flushed(look: Look, asked: Question) -> Finding | None:
    """Its process is there, and its chains, its table or the jumps to them are not."""
    for proxy in proxies(look, asked):
        general = proxy.general(proxy.mode) if proxy.mode else None
        if general is None or not proxy.runs or proxy.replaced_by or (general.present and not general.broken):
            continue
        if proxy.program is not None and any(s.behind for s in proxy.program.syncing.values()):
            continue
        alone = all("POST" in each.upper() for each in general.broken)
        if general.present and asked.flow is FlowName.POD_TO_ITSELF and alone:
            continue
        field = "" if not general.present else general.broken[0]
        return FLUSHED.confirmed(
            at=proxy.at.at(field or ("table kube-proxy" if general.mode is Mode.NFTABLES else "table nat")),
            node=proxy.node.name,
            missing=_missing(general),
            mode=general.mode.value,
            extent="" if not general.present else ", or not all of their traffic",
            saw=(f"kube-proxy on {proxy.node.name}: {_process(proxy)}", *proxy.seen),
            effect=proxy.effect(),
            fix=proxy.restart(),
        )
    return None


def _process(proxy: ProxyOn) -> str:
    process = proxy.program.process if proxy.program else None
    return f"process {process.pid} is there, {process.state}" if process else "it runs inside another program"


SYNC_FAILING = Cause(
    code="kube-proxy-sync-failing",
    title="kube-proxy fails to write its rules",
    says="kube-proxy on {node} cannot write its rules: {why}.",
    means="{node} keeps the rules that it has: what changes in Services and endpoints since does not reach it.",
    symptom="Services of one node or of all freeze: new ones time out, replaced Pods stay in the rules.",
    apart="A kube-proxy that hangs does not answer; one that follows slowly does not count failures.",
    mend="Take away what stands in the way (the log and the counters name it): who holds the lock of iptables, foreign "
    "objects in kube-proxy's own tables, a broken iptables or nft. Then restart kube-proxy.",
    explains=("kube-proxy-stale", "kube-proxy-rules-flushed", "api-vip-not-programmed", "service-name-unresolved"),
)


@explains(Hop.PROXY_RULES, SYNC_FAILING, When.ALWAYS)
def sync_failing(look: Look, asked: Question) -> Finding | None:
    """By its own counters: changes wait to be written, and writing failed."""
    for proxy in proxies(look, asked):
        program = proxy.program
        behind = [f for f, s in program.syncing.items() if s.behind] if program else []
        if program is None or not behind or proxy.replaced_by:
            continue
        counts = ", ".join(f"{f}: {program.syncing[f].failures} failures" for f in behind)
        line = failure_line(look, proxy.pod)
        told = f"{program.lock} holds the lock of iptables" if program.lock else f"its counters say so ({counts})"
        return SYNC_FAILING.confirmed(
            at=proxy.at,
            node=proxy.node.name,
            why=line or told,
            saw=(
                f"counters of kube-proxy on {proxy.node.name}: {counts}, none written since",
                *([f"lock of iptables: {program.lock}"] if program.lock else []),
                *_harm(proxy)[:SHOWN],
                *proxy.seen,
            ),
            effect=proxy.effect() if _harm(proxy) else Effect.DEGRADES,
            fix=proxy.restart(),
        )
    return None
