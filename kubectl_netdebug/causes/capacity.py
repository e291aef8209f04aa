"""Whether the cluster still has addresses to give to new Services."""

from __future__ import annotations

import difflib

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.ranges import SERVICE_CIDRS, Range, service_ranges
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, Risk, apply
from kubectl_netdebug.model.facts import Ask, Objects
from kubectl_netdebug.model.finding import Cause, Finding, ObjectRef
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.question import Question

COUNTABLE = 4096
"""Larger ranges are not counted: that would read thousands of objects for a thing that hardly happens."""

CLUSTERIP_EXHAUSTED = Cause(
    code="clusterip-exhausted",
    title="No address is left for a new Service",
    says="The Service range {range} is full ({used} of {size} taken), so Service {service} cannot be created.",
    means="The API server refuses every new Service with a ClusterIP, so the name that clients use never comes to be.",
    symptom="Creating a Service fails with 'range is full' or 'failed to allocate a serviceIP'.",
    apart="With service-missing the range has room: the Service was never created, or its name is mistyped.",
    mend="Add another ServiceCIDR, or delete Services that nobody uses.",
    explains=("service-missing",),
)


@explains(Hop.SERVICE, CLUSTERIP_EXHAUSTED)
def clusterip_exhausted(look: Look, asked: Question) -> Finding | None:
    """The Service is not there, nothing alike is, and every Service range is full."""
    if not asked.service or look(asks.the_service(asked)) is not None:
        return None
    names = [s.name for s in look(asks.services_in(asked.namespace))]
    if difflib.get_close_matches(asked.service, names, n=1, cutoff=0.5):
        return None
    ranges = service_ranges(look)
    size = sum(map(_places, ranges))
    if not ranges or size > COUNTABLE:
        return None
    taken = look(_addresses_taken())
    if taken < size:
        return None
    shown = ", ".join(str(r.network) for r in ranges)
    return CLUSTERIP_EXHAUSTED.confirmed(
        at=ObjectRef("ServiceCIDR", "", _first_name(look), "spec.cidrs"),
        range=shown,
        used=taken,
        size=size,
        service=asked.service,
        saw=f"{taken} IPAddresses exist, {shown} has room for {size}",
        fix=_another_range(),
    )


def _places(each: Range) -> int:
    """Addresses that can be given: all but the network's own and, for IPv4, the broadcast address."""
    return max(0, each.network.num_addresses - (2 if each.network.version == 4 else 1))


def _addresses_taken() -> Ask[int]:
    key = Objects("ipaddresses.networking.k8s.io", most=COUNTABLE + 1)
    return Ask(key, lambda v: len(asks.items(v)), lambda n: f"{n} IPAddresses")


def _first_name(look: Look) -> str:
    return next(
        (tree.text(each, "metadata", "name") for each in look(asks.objects_in(SERVICE_CIDRS, ""))), "kubernetes"
    )


def _another_range() -> Fix:
    body = {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": "more-services"},
        "spec": {"cidrs": ["198.18.0.0/24"]},
    }
    note = "put a range that nothing in your networks uses in place of 198.18.0.0/24"
    return Fix("add a range for Services", apply(body), Risk.REVERSIBLE, note)
