"""EndpointSlices made by hand: missing, without label, or with ports or conditions that make proxies pass them over."""

from __future__ import annotations

import difflib

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import live_pods, ports_asked
from kubectl_netdebug.causes.handmade import (
    PUT_ADDRESS,
    UNKNOWN_ADDRESS,
    Place,
    endpoints_named,
    handmade_service,
    make_slice,
    mirrored_from,
    place_of_port,
)
from kubectl_netdebug.causes.registry import explains
from kubectl_netdebug.model.command import Fix, Risk, json_patch, kubectl, patch
from kubectl_netdebug.model.finding import Cause, Effect, Finding
from kubectl_netdebug.model.hop import Hop
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects.endpoints import LEADER_ANNOTATION, SKIP_MIRROR_LABEL, Endpoints
from kubectl_netdebug.model.objects.pod import Pod
from kubectl_netdebug.model.objects.service import Service, ServicePort
from kubectl_netdebug.model.objects.slices import SERVICE_LABEL, Endpoint, EndpointSlice, SlicePort
from kubectl_netdebug.model.question import Question

ENOUGH_ALIKE = 0.7
"""How alike (0 to 1) a mistyped label value must be to the name it is taken for."""

APP_LABELS = ("app", "app.kubernetes.io/name", "k8s-app", "name", "run")

NO_SLICE = Cause(
    code="selectorless-no-slice",
    title="A Service without selector and without endpoints",
    says="Service {service} has no selector, and no EndpointSlice lists addresses for it.",
    means="Nothing fills its endpoints by itself, so every connection to it is refused.",
    symptom="Every connection is refused at once; the Service has neither a selector nor endpoints.",
    apart="With slice-label-missing there is a slice, only not tied to the Service; with a selector, Pods matter.",
    mend="Make an EndpointSlice with the backend's address, or give the Service the selector of its Pods.",
)


@explains(Hop.ENDPOINTS, NO_SLICE)
def selectorless_no_slice(look: Look, asked: Question) -> Finding | None:
    """No selector, no slice that could be meant, no Endpoints to mirror."""
    service = _without_slices(look, asked)
    if service is None or _stray_slice(look, service):
        return None
    old = look.if_known(endpoints_named(service.namespace, service.name))
    if old is not None and any(s.addresses or s.not_ready for s in old.subsets):
        return None
    select = _select_pods(look, service)
    return NO_SLICE.confirmed(
        at=service.field("spec.selector"),
        service=service.name,
        saw=f"Service {service.name} has no spec.selector; EndpointSlices with {SERVICE_LABEL}={service.name}: none",
        fixes=(*((select,) if select else ()), make_slice(service)),
    )


def _select_pods(look: Look, service: Service) -> Fix | None:
    """The selector that was probably left out: Pods that call themselves like the Service and have its target port."""
    pods = live_pods(look.if_known(asks.pods_in(service.namespace)) or ())
    for key in APP_LABELS:
        alike = [pod for pod in pods if pod.labels.get(key) == service.name]
        if alike and all(_offers(pod, port) for pod in alike for port in service.ports):
            pair = f"{key}={service.name}"
            command = kubectl("set", "selector", "service", service.name, pair, namespace=service.namespace)
            return Fix(f"select the {len(alike)} Pods labelled {pair}", command)
    return None


def _offers(pod: Pod, port: ServicePort) -> bool:
    wanted = port.target or str(port.port)
    return any(wanted in (p.name, str(p.port)) for p in pod.ports)


LABEL_MISSING = Cause(
    code="slice-label-missing",
    title="An EndpointSlice is not tied to its Service",
    says="EndpointSlice {slice} {label}, so nothing ties it to Service {service}.",
    means="Proxies and DNS find slices by that label alone: the Service has no endpoints and refuses every connection.",
    symptom="The Service refuses every connection although an EndpointSlice with its addresses exists.",
    apart="With selectorless-no-slice there is no slice of that kind in the namespace at all.",
    mend="Label the slice with the name of the Service.",
)


@explains(Hop.ENDPOINTS, LABEL_MISSING)
def slice_label_missing(look: Look, asked: Question) -> Finding | None:
    """A slice that is meant for this Service, by its name or by its label's spelling, and not labelled so."""
    service = _without_slices(look, asked)
    if service is None:
        return None
    stray = _stray_slice(look, service)
    if stray is None:
        return None
    says = f"has {SERVICE_LABEL}={stray.service}" if stray.service else f"lacks the label {SERVICE_LABEL}"
    pair = f"{SERVICE_LABEL}={service.name}"
    return LABEL_MISSING.confirmed(
        at=stray.at.at(f"metadata.labels[{SERVICE_LABEL}]"),
        slice=stray.name,
        label=says,
        service=service.name,
        saw=f"EndpointSlice {stray.name} {says}; it lists {_listed(stray)}",
        fix=Fix(
            "tie the slice to the Service",
            kubectl("label", "endpointslice", stray.name, pair, "--overwrite", namespace=stray.namespace),
        ),
    )


def _without_slices(look: Look, asked: Question) -> Service | None:
    """The Service that was asked about, where people fill its endpoints and no slice is tied to it."""
    service = handmade_service(look, asked)
    return None if service is None or look(asks.slices_of(asked)) else service


def _stray_slice(look: Look, service: Service) -> EndpointSlice | None:
    """The slice that belongs to no Service there is, and to this one by its name, its label's spelling or its ports."""
    everything = look(asks.slices_in(service.namespace))
    services = look.if_known(asks.services_in(service.namespace))
    if services is None:
        return None
    names = {s.name for s in services}
    strays = [s for s in everything if not s.by_controller and s.service not in names and s.endpoints]
    for each in strays:
        if _named_for(each, names) == service.name or _misspelt(each, names) == service.name:
            return each
    waiting = [s for s in services if not s.selector and not s.is_alias and s.address]
    fitting = [s for s in strays if not s.service and _ports_fit(s, service)]
    only_one = len(fitting) == 1 and len([s for s in waiting if _ports_fit(fitting[0], s)]) == 1
    return fitting[0] if only_one and not _named_for(fitting[0], names) else None


def _named_for(each: EndpointSlice, services: set[str]) -> str:
    """The Service whose name begins the slice's; the longest, as `web-db-1` is meant for `web-db`, not for `web`."""
    meant = [name for name in services if each.name == name or each.name.startswith(f"{name}-")]
    return max(meant, key=len, default="")


def _misspelt(each: EndpointSlice, services: set[str]) -> str:
    close = difflib.get_close_matches(each.service, sorted(services), n=1, cutoff=ENOUGH_ALIKE) if each.service else []
    return close[0] if close else ""


def _ports_fit(each: EndpointSlice, service: Service) -> bool:
    return bool(service.ports) and all(
        (found := each.port_for(port.name, port.protocol)) is not None
        and found.port == (port.target_number or found.port)
        for port in service.ports
    )


def _listed(each: EndpointSlice) -> str:
    return ", ".join(e.address for e in each.endpoints[:3]) or "no address"


PORT_NAME_MISMATCH = Cause(
    code="slice-port-name-mismatch",
    title="A slice's port does not bear the name of the Service's port",
    says="Port {found} of {object} does not match port {wanted} of Service {service}.",
    means="Ports are matched by name and protocol, an absent name included: this port has no endpoint and refuses.",
    symptom="The Service refuses connections on a port although its EndpointSlice lists ready addresses.",
    apart="With slice-unusable the ports agree and the addresses are what is passed over.",
    mend="Give the slice's port the name and protocol of the Service's port.",
)


@explains(Hop.ENDPOINTS, PORT_NAME_MISMATCH)
def slice_port_name_mismatch(look: Look, asked: Question) -> Finding | None:
    """Addresses that could be used, in slices none of which has a port of the Service port's name and protocol."""
    service = handmade_service(look, asked)
    if service is None or service.headless:
        return None  # a headless name gives addresses whatever the ports are called
    slices = [s for s in look(asks.slices_of(asked)) if _of_a_family(s, service) and any(e.ready for e in s.endpoints)]
    wanted = [p for p in ports_asked(service, asked) if not any(s.port_for(p.name, p.protocol) for s in slices)]
    if not slices or not wanted:
        return None
    port, each = wanted[0], slices[0]
    all_of_them = len(wanted) == len(ports_asked(service, asked))
    place, found, fix = _mend_port(look, each, port, service)
    return PORT_NAME_MISMATCH.confirmed(
        at=place.at,
        found=found,
        object=f"{place.at.kind} {place.at.name}",
        wanted=_spelt(port.name, port.protocol),
        service=service.name,
        effect=Effect.BREAKS if all_of_them else Effect.DEGRADES,
        saw=f"EndpointSlice {each.name} has ports {_all_spelt(each)}",
        fix=fix,
    )


def _mend_port(look: Look, each: EndpointSlice, port: ServicePort, service: Service) -> tuple[Place, str, Fix]:
    """The place to change, what stands there now, and the change."""
    index = _likeliest(each, port, service)
    if index is None:
        entry = {"name": port.name, "port": port.target_number or port.port, "protocol": port.protocol}
        place = Place(each.at.at("ports"), "/ports/-" if each.ports else "/ports")
        return place, "list", place.replace(entry if each.ports else [entry], "add the port to the slice")
    found = each.ports[index]
    part, value = ("name", port.name) if found.name != port.name else ("protocol", port.protocol)
    place = place_of_port(look, each, index, part)
    title = f"call the port {port.name!r}" if part == "name" else f"make it {port.protocol}"
    return place, _spelt(found.name, found.protocol), place.replace(value, title)


def _likeliest(each: EndpointSlice, port: ServicePort, service: Service) -> int | None:
    """The slice port that was meant: none that a Service port uses; the right number first, then the likest name."""
    used = {(p.name, p.protocol) for p in service.ports}
    free = [(i, p) for i, p in enumerate(each.ports) if (p.name, p.protocol) not in used]

    def likeness(found: SlicePort) -> tuple[bool, bool, float]:
        alike = difflib.SequenceMatcher(None, found.name, port.name).ratio()
        return found.protocol == port.protocol, found.port in (port.target_number, port.port), alike

    return max(free, key=lambda item: likeness(item[1]))[0] if free else None


def _all_spelt(each: EndpointSlice) -> str:
    return ", ".join(_spelt(p.name, p.protocol) for p in each.ports) or "none"


def _spelt(name: str, protocol: str) -> str:
    return f"{name}/{protocol}" if name else f"without name/{protocol}"


def _of_a_family(each: EndpointSlice, service: Service) -> bool:
    return each.address_type in (service.ip_families or ("IPv4", "IPv6"))


UNUSABLE = Cause(
    code="slice-unusable",
    title="The EndpointSlice is tied to the Service and cannot be used",
    says="{object} of Service {service} cannot be used: {why}.",
    means="Proxies pass such endpoints over, so the Service has none left and refuses every connection.",
    symptom="The Service refuses every connection although an EndpointSlice bears its label.",
    apart="With slice-port-name-mismatch the addresses are usable and the port is not found.",
    mend="Make a slice of the Service's address family with ready addresses; a slice's addressType cannot be changed.",
)


@explains(Hop.ENDPOINTS, UNUSABLE)
def slice_unusable(look: Look, asked: Question) -> Finding | None:
    """Every slice of the Service is of a wrong type, or has no ready address."""
    service = handmade_service(look, asked)
    slices = look(asks.slices_of(asked)) if service else ()
    if service is None or not slices:
        return None
    usable = [s for s in slices if _of_a_family(s, service) and any(e.ready and e.address for e in s.endpoints)]
    if usable:
        return None
    each = max(slices, key=lambda s: (_of_a_family(s, service), bool(s.endpoints)))
    field, why, fixes = _what_is_wrong(look, each, service)
    owner = mirrored_from(look, each)
    at = owner.at.at("subsets") if owner else each.at.at(field)
    return UNUSABLE.confirmed(
        at=at,
        object=f"{at.kind} {at.name}",
        service=service.name,
        why=why,
        fixes=fixes,
        saw=f"EndpointSlice {each.name}: addressType {each.address_type}, {_conditions(each.endpoints)}",
    )


def _conditions(endpoints: tuple[Endpoint, ...]) -> str:
    ready = sum(1 for e in endpoints if e.ready)
    return f"{ready} of {len(endpoints)} endpoints ready"


def _what_is_wrong(look: Look, each: EndpointSlice, service: Service) -> tuple[str, str, tuple[Fix, ...]]:
    families = " and ".join(service.ip_families) or "IPv4"
    if each.address_type == "FQDN":
        why = f"its addressType is FQDN ({_listed(each)}), which proxies do not resolve"
        return "addressType", why, (*_alias_instead(each, service), make_slice(service))
    if not _of_a_family(each, service):
        return (
            "addressType",
            f"its addresses are {each.address_type}, the Service is {families}",
            (make_slice(service),),
        )
    if not each.endpoints:
        return "endpoints", "it lists no address", (_add_address(each),)
    index = next(i for i, e in enumerate(each.endpoints) if not e.ready or not e.address)
    field = f"endpoints[{index}].conditions.ready"
    why = "none of its addresses is marked ready"
    owner = mirrored_from(look, each)
    if owner is not None:
        return field, why, _move_to_ready(owner)
    operations = [
        {"op": "add", "path": f"/endpoints/{i}/conditions", "value": {"ready": True}}
        for i in range(len(each.endpoints))
    ]
    command = json_patch("endpointslice", each.name, operations, each.namespace)
    return field, why, (Fix("mark the addresses ready", command),)


def _alias_instead(each: EndpointSlice, service: Service) -> tuple[Fix, ...]:
    """A name is what an ExternalName Service is for; it maps no ports, so only where none is mapped."""
    name = each.endpoints[0].address if each.endpoints else ""
    mapped = any((found := each.port_for(p.name, p.protocol)) is None or found.port != p.port for p in service.ports)
    if not name or mapped:
        return ()
    body = {"spec": {"type": "ExternalName", "externalName": name}}
    title = f"make the Service an alias of {name} (its ClusterIP goes)"
    return (Fix(title, patch("service", service.name, body, service.namespace), Risk.DISRUPTIVE),)


def _add_address(each: EndpointSlice) -> Fix:
    stand_in = UNKNOWN_ADDRESS.get(each.address_type, UNKNOWN_ADDRESS["IPv4"])
    place = Place(each.at, "/endpoints")
    return place.replace(
        [{"addresses": [stand_in]}], "list the backend's address", PUT_ADDRESS.format(address=stand_in)
    )


def _move_to_ready(owner: Endpoints) -> tuple[Fix, ...]:
    """Endpoints tell ready addresses from others by the list in which they stand."""
    subsets = [
        {
            "addresses": [{"ip": ip} for ip in (*s.addresses, *s.not_ready)],
            "ports": [{k: v for k, v in vars(p).items() if v} for p in s.ports],
        }
        for s in owner.subsets
    ]
    return (Place(owner.at, "/subsets").replace(subsets, "mark the addresses ready"),) if subsets else ()


NOT_MIRRORED = Cause(
    code="endpoints-not-mirrored",
    title="The Endpoints object is not mirrored into slices",
    says="Endpoints {service} lists {addresses}, and {why}, so no EndpointSlice carries them.",
    means="Proxies read EndpointSlices alone: the Service has no endpoints and refuses every connection.",
    symptom="The Service refuses every connection although its v1 Endpoints object lists addresses.",
    apart="With selectorless-no-slice neither kind of object lists an address.",
    mend="Let the Endpoints be mirrored, or better: list the addresses in an EndpointSlice.",
)


@explains(Hop.ENDPOINTS, NOT_MIRRORED)
def endpoints_not_mirrored(look: Look, asked: Question) -> Finding | None:
    """Addresses stand in the old object and in no slice, and the object says why."""
    service = _without_slices(look, asked)
    if service is None:
        return None
    old = look(endpoints_named(service.namespace, service.name))
    if old is None or not old.addresses:
        return None
    marks = (("labels", SKIP_MIRROR_LABEL, "label"), ("annotations", LEADER_ANNOTATION, "annotate"))
    for kind, key, verb in marks:
        if key in getattr(old, kind) and (kind != "labels" or old.labels[key] == "true"):
            unmark = kubectl(verb, "endpoints", old.name, f"{key}-", namespace=old.namespace)
            return NOT_MIRRORED.confirmed(
                at=old.at.at(f"metadata.{kind}[{key}]"),
                service=service.name,
                addresses=", ".join(old.addresses[:3]),
                why=f"the {kind.removesuffix('s')} {key} keeps it from being mirrored",
                fixes=(Fix("let it be mirrored", unmark), make_slice(service, old.addresses)),
            )
    return None
