"""Proxies between a Pod and the outside: one that is set and does not work, one that is needed and not set."""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import client_pod
from kubectl_netdebug.causes.outside_way import (
    Setting,
    connects,
    handshake,
    is_outside,
    none_connected,
    port_of,
    proxied,
    proxy_address,
    request,
    server_name,
    tried_outside,
)
from kubectl_netdebug.causes.owners import is_patchable, owner_of, template_path
from kubectl_netdebug.causes.ranges import pod_ranges, service_ranges
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, kubectl
from kubectl_netdebug.model.finding import Cause, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.noproxy import read_proxy


def proxy_refuses(look: Look, asked: Question) -> str:
    """How the proxy itself turns the client away, in its own words; '' where it opens the way, or none is used."""
    ask = request(look, asked)
    if ask is None or proxied(look, asked) is None:
        return ""
    if asked.scheme == "https":
        shaken = handshake(look, asked)
        look.foresee(ask, *((shaken,) if shaken else ()))
    reply = look(ask)
    if reply.outcome == "proxy":
        return reply.words
    if asked.scheme == "http" and (reply.status == 407 or reply.outcome in ("closed", "not-http")):
        return f"the proxy says {reply.status} {reply.reason}" if reply.status else f"the proxy: {reply.words}"
    return ""


PROXY_BROKEN = Cause(
    code="egress-proxy-broken",
    title="The proxy that the Pod is told to use does not work",
    says="{variable} of container {container} sends {scheme} requests to proxy {proxy}, which {why}.",
    means="Programs that heed the variable (curl, Go, Python, most package managers) fail for every {scheme} address "
    "that NO_PROXY does not leave out.",
    symptom="'Proxy CONNECT aborted', 407, or a timeout, while programs without proxy support get through or not.",
    apart="Where the proxy opens the way and the server behind it is at fault, the proxy answers 502 or 504 itself.",
    mend="Correct the variable, give it credentials that the proxy takes, or let NO_PROXY leave the destination out.",
    explains=("egress-firewall", "egress-masquerade-missing"),
)


@explains(Hop.PROXY, PROXY_BROKEN)
def proxy_broken(look: Look, asked: Question) -> Finding | None:
    """The proxy of the client's variables refuses, is silent, has no address, or asks for a password."""
    setting = proxied(look, asked) if is_outside(asked) else None
    if setting is None:
        return None
    client = client_pod(look, asked)
    address = proxy_address(look, client, setting.proxy)
    if not address:
        return None  # a matter of names
    tried = connects(look, client, [(address, setting.proxy.port)])
    if none_connected(tried):
        attempt = tried[0][1]
        return _broken(
            look, client, asked, setting, attempt.outcome.words, f"{client.name} → {address}: {attempt.words}"
        )
    refusal = proxy_refuses(look, asked)
    if not refusal or " 502" in refusal or " 503" in refusal or " 504" in refusal:
        return None
    needs = ": it wants a user and password" if " 407" in refusal else ""
    return _broken(look, client, asked, setting, f"turns it away{needs}", f"CONNECT {asked.host}: {refusal}")


def _broken(look: Look, client: Pod, asked: Question, setting: Setting, why: str, saw: str) -> Finding:
    owner = owner_of(look, client)
    index = setting.container.index
    direct = _works_directly(look, client, asked)
    spare = ",".join(filter(None, (setting.exclusions, asked.host)))
    name = next((n for n in setting.container.env if n.lower() == "no_proxy"), "NO_PROXY")
    command = kubectl(
        "set", "env", owner.short, "-c", setting.container.name, f"{name}={spare}", namespace=owner.namespace
    )
    unset = kubectl(
        "set", "env", owner.short, "-c", setting.container.name, f"{setting.variable}-", namespace=owner.namespace
    )
    fixed = "" if is_patchable(owner) else "the environment of a running Pod cannot be changed: make it again"
    unsure = fixed or "without the proxy nothing gets through either: correct the address of the proxy instead"
    fixes = (
        (Fix(f"go to {asked.host} directly, which works", command, not_pasteable=fixed),)
        if direct
        else (Fix("take the variable away", unset, not_pasteable=unsure),)
    )
    return PROXY_BROKEN.confirmed(
        at=owner.at(template_path(owner, f"containers[{index}].env")),
        variable=setting.variable,
        container=setting.container.name,
        scheme=asked.scheme,
        proxy=setting.proxy,
        why=why,
        saw=(f"{setting} in {client.name}", saw, *(("directly it connects",) if direct else ())),
        fixes=fixes,
    )


def _works_directly(look: Look, client: Pod, asked: Question) -> bool:
    """Whether the destination accepts past the proxy."""
    return any(attempt.outcome.connected for _, attempt in tried_outside(look, asked))


PROXY_REQUIRED = Cause(
    code="egress-proxy-required",
    title="The way out leads by a proxy only, and the Pod is not told of it",
    says="{host} is reached by proxy {proxy}, which {others} uses, and not directly; {owner} has no proxy variables.",
    means="The network lets only the proxy out, so this Pod's direct connections get no answer.",
    symptom="Direct connections to 80 and 443 outside time out; the same request by the proxy works.",
    apart="With a firewall for one destination, the proxy cannot help either, or nothing else is told to use one.",
    mend="Set HTTPS_PROXY, HTTP_PROXY and NO_PROXY (with the cluster's own names and ranges) in the Pod template.",
    explains=("egress-firewall", "egress-masquerade-missing", "egress-nonmasq-cidr"),
)


@explains(Hop.ADDRESS, PROXY_REQUIRED)
def proxy_required(look: Look, asked: Question) -> Finding | None:
    """Directly nothing comes back, and by a proxy that other workloads use the same request is answered."""
    if not is_outside(asked) or asked.scheme not in ("http", "https"):
        return None
    tried = tried_outside(look, asked)
    if not tried or not all(attempt.outcome.lost for _, attempt in tried):
        return None
    client = client_pod(look, asked)
    for other, setting_value in _proxies_of_others(look, client):
        proxy = read_proxy(setting_value)
        address = proxy_address(look, client, proxy) if proxy else ""
        if proxy is None or not address:
            continue
        via = f"{address}:{proxy.port}"
        ask = asks.http(
            client, asked.host, port_of(asked), asked.path or "/",
            scheme=asked.scheme, host_header=server_name(asked), via=via,
        )  # fmt: skip
        reply = look.if_known(ask)
        if reply is None or not reply.answered or reply.status in (407, 502, 503, 504):
            continue
        owner = owner_of(look, client)
        return PROXY_REQUIRED.confirmed(
            at=owner.at(template_path(owner, "containers[0].env")),
            host=asked.host,
            proxy=proxy,
            others=f"{other.namespace}/{other.name}",
            owner=f"{owner.kind} {owner.name}",
            saw=(
                f"{client.name} → {tried[0][0]}:{port_of(asked)}: {tried[0][1].words}",
                f"the same by proxy {proxy}: {reply.words}",
            ),
            fix=Fix(
                "tell the Pod of the proxy",
                kubectl(
                    *("set", "env", owner.short),
                    *(f"{name}={setting_value}" for name in ("HTTPS_PROXY", "HTTP_PROXY")),
                    f"NO_PROXY={','.join(_inside(look))}",
                    namespace=owner.namespace,
                ),
                not_pasteable=""
                if is_patchable(owner)
                else "the environment of a running Pod cannot be changed: make it again",
            ),
        )
    return None


MOST_PROXIES = 3


def _proxies_of_others(look: Look, client: Pod) -> list[tuple[Pod, str]]:
    """Proxies that other Pods are told to use, the client's own namespace first; each proxy once."""
    found: dict[str, Pod] = {}
    everywhere = look.if_known(asks.pods_in("")) or look.if_known(asks.pods_in(client.namespace)) or ()
    for pod in sorted(everywhere, key=lambda p: (p.namespace != client.namespace, p.namespace, p.name)):
        for container in pod.containers:
            for name, value in container.env.items():
                if name.lower() in ("https_proxy", "http_proxy", "all_proxy") and value and read_proxy(value):
                    found.setdefault(value, pod)
    return [(pod, value) for value, pod in list(found.items())[:MOST_PROXIES]]


def _inside(look: Look) -> list[str]:
    """What must never go by a proxy."""
    ranges = [str(each.network) for each in (*service_ranges(look), *pod_ranges(look))]
    return ["localhost", "127.0.0.1", ".svc", ".cluster.local", *dict.fromkeys(ranges[:8])]
