"""MetalLB: pools that have no address for a Service, and addresses that nobody announces."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes import incoming_asks as ask
from kubectl_netdebug.causes.let_in import ways_of
from kubectl_netdebug.causes.loadbalancer import asked_about_balancer, events_of, pending, programs_here
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, apply
from kubectl_netdebug.model.finding import Cause, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.service import Service
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.address import is_address, lies_in

POOLS = "ipaddresspools.metallb.io"
L2 = "l2advertisements.metallb.io"
BGP = "bgpadvertisements.metallb.io"

POOL_OR_ADVERT = Cause(
    code="lb-pool-or-advert",
    title="MetalLB has no address for the Service, or announces it to nobody",
    says="MetalLB: {why}.",
    means="{consequence} Other addresses of MetalLB may well work.",
    symptom="EXTERNAL-IP stays <pending>; or it has an address that answers inside the cluster and nobody outside.",
    apart="That Pods reach the address proves nothing: kube-proxy answers them on their own node.",
    mend="Create an IPAddressPool that fits, or an L2Advertisement (or BGPAdvertisement) for the pool.",
)


@explains(Hop.ENTRY, POOL_OR_ADVERT)
def pool_or_advert(look: Look, asked: Question) -> Finding | None:
    """By MetalLB's own objects and events, which are read only where MetalLB runs."""
    service = asked_about_balancer(look, asked)
    if service is None or "metallb" not in programs_here(look):
        return None
    pools = look.if_known(asks.objects_in(POOLS, ""))
    if pools is None:
        return None
    if pending(service):
        return _no_pool(look, service, pools)
    if any(attempt.outcome.connected for _, _, attempt in ways_of(look, asked).outer):
        return None
    return _not_announced(look, service, pools)


def _no_pool(look: Look, service: Service, pools: list[Mapping[str, Any]]) -> Finding | None:
    failed = next((e for e in reversed(events_of(look, service)) if e.reason == "AllocationFailed"), None)
    if pools and failed is None:
        return None
    why = f"no address for Service {service.name}: {failed.message}" if failed else "there is no IPAddressPool"
    return POOL_OR_ADVERT.confirmed(
        at=ObjectRef("IPAddressPool", _home(look), tree.text(pools[0], "metadata", "name") if pools else ""),
        why=why,
        consequence=f"Service {service.name} stays without an address.",
        saw=f"pools: {', '.join(tree.text(p, 'metadata', 'name') for p in pools) or 'none'}",
    )


def _not_announced(look: Look, service: Service, pools: list[Mapping[str, Any]]) -> Finding | None:
    address = next((a for a in service.load_balancer_ips if is_address(a)), "")
    pool = next((p for p in pools if any(lies_in(address, r) for r in tree.strings(p, "spec", "addresses"))), None)
    adverts, routes = look.if_known(asks.objects_in(L2, "")), look.if_known(asks.objects_in(BGP, ""))
    if pool is None or adverts is None or routes is None:
        return None
    name, home = tree.text(pool, "metadata", "name"), tree.text(pool, "metadata", "namespace")
    if any(_covers(advert, pool) for advert in (*adverts, *routes)):
        return None
    advert = {
        "apiVersion": "metallb.io/v1beta1",
        "kind": "L2Advertisement",
        "metadata": {"name": name, "namespace": home},
        "spec": {"ipAddressPools": [name]},
    }
    return POOL_OR_ADVERT.confirmed(
        at=ObjectRef("IPAddressPool", home, name),
        why=f"address {address} of Service {service.name} is from pool {name}, which no advertisement announces",
        consequence="No router or neighbour learns where the address is; clients outside get nothing.",
        saw=f"{len(adverts)} L2Advertisements and {len(routes)} BGPAdvertisements, none for pool {name}",
        fix=Fix("announce the pool", apply(advert)),
    )


def _covers(advert: Mapping[str, Any], pool: Mapping[str, Any]) -> bool:
    """An advertisement without any selection is for all pools of its namespace; by label is taken for a yes."""
    if tree.text(advert, "metadata", "namespace") != tree.text(pool, "metadata", "namespace"):
        return False
    named = tree.strings(advert, "spec", "ipAddressPools")
    by_label = tree.dig(advert, "spec", "ipAddressPoolSelectors")
    return bool(by_label) or not named or tree.text(pool, "metadata", "name") in named


def _home(look: Look) -> str:
    pods = look.if_known(ask.pods_called(("metallb",))) or ()
    return next((p.namespace for p in pods), "metallb-system")
