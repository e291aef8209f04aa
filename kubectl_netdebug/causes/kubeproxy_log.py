"""kube-proxy's own words: its log where it runs as a Pod, for what keeps it from starting or from writing."""

from __future__ import annotations

import re

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes import kubeproxy_asks as ask
from kubectl_netdebug.causes.kubeproxy_view import ProxyOn, proxies
from kubectl_netdebug.causes.node_asks import node_as_client
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, Risk, kubectl
from kubectl_netdebug.model.facts import Ask
from kubectl_netdebug.model.finding import Cause, Effect, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import When

LINES = 60
LONGEST = 200

_UNSUPPORTED = re.compile(
    r"can't use the (?:IPVS|nftables|iptables) proxier: .*|(?:ipvs|nftables) (?:mode )?(?:is )?not supported.*"
    r"|kernel version .* (?:nftables|ipvs).*|no support for primary IP family.*",
    re.IGNORECASE,
)
_BAD = re.compile(
    r"failed validate: .*|failed complete: .*|(?:unable|failed) to (?:load|read|decode).*(?:config|kubeconfig).*"
    r"|invalid configuration.*|no kind \".*|unknown flag.*|strict decoding error.*|yaml: .*"
    r"|x509: .*|.*\bUnauthorized\b.*|.*the server has asked for the client to provide credentials.*",
)
_FAILURE = re.compile(r"nftables sync failed|Failed to execute iptables-restore|Failed to ensure chain|Sync failed")
_ERROR = re.compile(r'err="((?:[^"\\]|\\.)*)"')


def log_of(look: Look, pod: Pod | None) -> str:
    """The last lines of the Pod's log, with those of the life before where it is not up; '' where there are none."""
    if pod is None or not pod.containers:
        return ""
    container = pod.containers[0]
    wanted = [asks.log_of(pod, container.name, lines=LINES)]
    if container.restarts:
        wanted.append(asks.log_of(pod, container.name, previous=True, lines=LINES))
    texts = look.all_known([Ask[str | None](w.key, w.read) for w in wanted])
    return "\n".join(text for text in reversed(texts) if text)


def failure_line(look: Look, pod: Pod | None) -> str:
    """What the log says of the last failure to write; '' where it says nothing."""
    lines = log_of(look, pod).splitlines()
    place = max((n for n, line in enumerate(lines) if _FAILURE.search(line)), default=None)
    if place is None:
        return ""
    found = [n for n, line in enumerate(lines) if _FAILURE.search(line) and "Sync failed" not in line]
    line = lines[found[-1]] if found else lines[place]
    more = lines[found[-1] + 1].strip() if found and line.endswith("err=<") and found[-1] + 1 < len(lines) else ""
    return short(more or said(line))


def said(line: str) -> str:
    """The error in a line of the log, or what stands behind its head."""
    match = _ERROR.search(line)
    return match[1].replace('\\"', '"') if match else line.partition("] ")[2] or line


def short(text: str) -> str:
    """A text that fits into a sentence."""
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


UNSUPPORTED = Cause(
    code="kube-proxy-mode-unsupported",
    title="kube-proxy's mode is not possible on the node",
    says="kube-proxy does not start on {node} in mode {mode}: {error}.",
    means="Without kube-proxy the node keeps the rules that it has, of whatever mode, or has none.",
    symptom="After a change of its configuration kube-proxy restarts again and again, mostly on all nodes.",
    apart="An unknown mode, or a field that is misspelt, is a bad configuration on every kernel.",
    mend="Use a mode that the nodes can do (iptables everywhere; nftables from kernel 5.13; ipvs with its modules), "
    "then restart the DaemonSet.",
    explains=(
        *("kube-proxy-down", "kube-proxy-stale", "kube-proxy-rules-flushed", "kube-proxy-two-dataplanes"),
        *("api-vip-not-programmed", "service-name-unresolved"),
    ),
)


@explains(Hop.PROXY_RULES, UNSUPPORTED, When.ALWAYS)
def mode_unsupported(look: Look, asked: Question) -> Finding | None:
    """Its Pod is not up, and its log says so."""
    for proxy in proxies(look, asked):
        line = _last(look, proxy, _UNSUPPORTED)
        if not line or proxy.config is None or proxy.config.mode in ("", "iptables"):
            continue
        return UNSUPPORTED.confirmed(
            at=ObjectRef("ConfigMap", ask.NAMESPACE, ask.NAME, "data[config.conf].mode"),
            node=proxy.node.name,
            mode=proxy.config.mode,
            error=line,
            saw=(*_state(proxy), *proxy.seen),
            effect=proxy.effect() if proxy.subjects else Effect.BREAKS,
            fix=_reconfigure(proxy, "iptables"),
        )
    return None


BAD_CONFIG = Cause(
    code="kube-proxy-bad-config",
    title="kube-proxy cannot use its configuration",
    says="kube-proxy on {node} cannot work with its configuration: {error}.",
    means="It writes no rules: Services and endpoints that changed since do not work from its nodes.",
    symptom="After a change of its configuration kube-proxy restarts again and again, or runs and does nothing.",
    apart="A mode that the kernel lacks is named as such in its log.",
    mend="Correct ConfigMap kube-system/kube-proxy (config.conf; kubeconfig.conf for the API server's address and "
    "credentials), then restart the DaemonSet.",
    explains=(
        *("kube-proxy-down", "kube-proxy-stale", "kube-proxy-rules-flushed", "kube-proxy-two-dataplanes"),
        *("api-vip-not-programmed", "service-name-unresolved"),
    ),
)


@explains(Hop.PROXY_RULES, BAD_CONFIG, When.ALWAYS)
def bad_config(look: Look, asked: Question) -> Finding | None:
    """Its log names the error; or it waits for an API server at an address where nothing answers the node."""
    for proxy in proxies(look, asked):
        line = _last(look, proxy, _BAD)
        if line:
            return _bad(proxy, line, "data[config.conf]" if _in_config(line) else "data[kubeconfig.conf]", ())
        if unreached := _unreached(look, proxy):
            server, how = unreached
            error = f"it waits for the API server at {server}, where nothing answers"
            return _bad(proxy, error, "data[kubeconfig.conf].server", (f"{proxy.node.name} → {server}: {how}",))
    return None


def _bad(proxy: ProxyOn, error: str, field: str, saw: tuple[str, ...]) -> Finding:
    return BAD_CONFIG.confirmed(
        at=ObjectRef("ConfigMap", ask.NAMESPACE, ask.NAME, field),
        node=proxy.node.name,
        error=error,
        saw=(*saw, *_state(proxy), *proxy.seen),
        effect=proxy.effect() if proxy.subjects else Effect.BREAKS,
        fix=Fix(
            "correct its configuration",
            kubectl("edit", "configmap", ask.NAME, namespace=ask.NAMESPACE),
            Risk.DISRUPTIVE,
            not_pasteable="what the right value is, is not in the cluster; restart the DaemonSet afterwards",
        ),
    )


def _in_config(line: str) -> bool:
    return not re.search(r"x509|Unauthorized|credentials|kubeconfig", line)


def _unreached(look: Look, proxy: ProxyOn) -> tuple[str, str] | None:
    """(server, how it ends) where kube-proxy runs without a word on its health port and its API server is not there."""
    server = proxy.config.server if proxy.config else ""
    match = re.fullmatch(r"https?://\[?([0-9A-Fa-f.:]+?)\]?:(\d{1,5})/?", server)
    if match is None or not proxy.daemonset or proxy.pod is None or not proxy.runs or proxy.program is None:
        return None
    if proxy.program.health:
        return None
    client = node_as_client(look, proxy.node.name)
    attempt = look.if_known(asks.connect(client, match[1], int(match[2]))) if client else None
    return (server, attempt.words) if attempt is not None and not attempt.outcome.connected else None


def _last(look: Look, proxy: ProxyOn, pattern: re.Pattern[str]) -> str:
    """The last line of its log that matches, where its Pod is not up or does not answer on its health port."""
    pod = proxy.pod
    if pod is None or proxy.replaced_by:
        return ""
    up = all(c.state == "running" for c in pod.containers)
    if up and (proxy.program is None or proxy.program.health == 200):
        return ""
    lines = log_of(look, pod).splitlines()
    found = [match[0] for line in lines if (match := pattern.search(said(line)))]
    return short(found[-1]) if found else ""


def _state(proxy: ProxyOn) -> tuple[str, ...]:
    pod = proxy.pod
    if pod is None or not pod.containers:
        return ()
    container = pod.containers[0]
    state = container.reason or container.state
    return (f"Pod {pod.name}: {state}, {container.restarts} restarts",)


def _reconfigure(proxy: ProxyOn, mode: str) -> Fix:
    """The ConfigMap with another mode, and the DaemonSet restarted."""
    assert proxy.config is not None
    text = re.sub(r"^(mode:[ \t]*)\S*", rf"\g<1>{mode}", proxy.config.text, flags=re.MULTILINE)
    return with_config(text, f"use mode {mode}")


def with_config(text: str, title: str) -> Fix:
    """Puts another `config.conf` in place and restarts the DaemonSet."""
    from kubectl_netdebug.model.command import Command, patch

    change = patch("configmap", ask.NAME, {"data": {"config.conf": text}}, ask.NAMESPACE)
    restart = kubectl("rollout", "restart", f"daemonset/{ask.NAME}", namespace=ask.NAMESPACE)
    wait = kubectl("rollout", "status", f"daemonset/{ask.NAME}", "--timeout=120s", namespace=ask.NAMESPACE)
    return Fix(title, Command(change.argv, change.namespace, then=(restart, wait)), Risk.DISRUPTIVE)
