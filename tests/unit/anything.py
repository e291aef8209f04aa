"""Strategies: plain JSON, JSON with the shape of Kubernetes objects, and keys of facts."""

from __future__ import annotations

import dataclasses
import typing
from typing import Any

from hypothesis import strategies as st

from kubectl_netdebug.model import facts
from kubectl_netdebug.model.facts import Answer, FactKey, Known, Unknown, Why

KINDS: list[type[FactKey]] = sorted(facts._KINDS.values(), key=lambda kind: kind.__name__)

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3)
)

_BY_TYPE: dict[Any, st.SearchStrategy[Any]] = {str: st.text(), int: st.integers(), bool: st.booleans()}
_BY_TYPE[tuple[str, ...]] = st.lists(st.text(), max_size=3).map(tuple)


@st.composite
def keys(draw: st.DrawFn) -> FactKey:
    kind = draw(st.sampled_from(KINDS))
    hints = typing.get_type_hints(kind)
    return kind(**{field.name: draw(_BY_TYPE[hints[field.name]]) for field in dataclasses.fields(kind)})


answers: st.SearchStrategy[Answer] = st.builds(Known, json_values, st.floats(0, 1e6), st.text()) | st.builds(
    Unknown, st.sampled_from(Why), st.text(), st.text(), st.floats(0, 1e6)
)

# Words that readers of objects look for, so that the odd value sits where somebody reads it.
_WORDS = """
metadata spec status name namespace labels annotations uid ownerReferences controller kind creationTimestamp
deletionTimestamp type clusterIP clusterIPs ipFamilies selector ports port protocol targetPort nodePort appProtocol
externalName externalIPs loadBalancer ingress ip hostname sessionAffinity publishNotReadyAddresses app addressType
endpoints addresses conditions ready serving terminating nodeName targetRef containers initContainers
ephemeralContainers containerStatuses state waiting running terminated lastState startedAt finishedAt exitCode reason
message phase podIP podIPs hostNetwork readinessGates conditionType hostAliases hostnames image containerPort env value
envFrom configMapRef secretRef readinessProbe livenessProbe httpGet tcpSocket path scheme timeoutSeconds restartCount
restartPolicy items subsets series count lastObservedTime lastTimestamp eventTime involvedObject regarding fieldPath
images names addresses address nodeInfo operatingSystem podCIDR podCIDRs unschedulable replicas template matchLabels
lastTransitionTime internalTrafficPolicy externalTrafficPolicy outcome ms detail files tcp tcp6 udp udp6 data
""".split()  # noqa: SIM905

_odd = scalars | st.sampled_from(
    [
        "True",
        "Ready",
        "IPv4",
        "TCP",
        "web",
        "80",
        "http",
        "9" * 5000,
        "٣",
        "²",
        "-1",
        "2026-01-01T00:00:00Z",
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "10.0.0.1",
        "::1",
        "None",
        "1e999",
        "\x1b[2J",
    ]
)
objects = st.recursive(
    _odd,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_WORDS), inner, max_size=6),
    max_leaves=40,
)
