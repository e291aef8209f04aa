"""The source of facts of a live run: sends each key to the vantage point that can answer it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from kubectl_netdebug.engine.describe import describe
from kubectl_netdebug.engine.source import Job
from kubectl_netdebug.kube.session import Session
from kubectl_netdebug.model.facts import (
    NODE_PLACE,
    Answer,
    ApiCall,
    Connect,
    ConnectFromHere,
    FactKey,
    Http,
    HttpFromHere,
    Known,
    LocalNetworks,
    Lookup,
    LookupFromHere,
    MayLookAtNodes,
    MayProbe,
    NodeMoved,
    NodeText,
    PodFile,
    PodToken,
    Price,
    Sockets,
    SourceFromHere,
    Tls,
    TlsFromHere,
    Unknown,
    Why,
)
from kubectl_netdebug.model.result import Change
from kubectl_netdebug.vantage import api, local, local_talk
from kubectl_netdebug.vantage.api_calls import ApiVantage
from kubectl_netdebug.vantage.consent import Consent
from kubectl_netdebug.vantage.node import NodeVantage
from kubectl_netdebug.vantage.node_pod import FIRST_NAMESPACE, NodePods
from kubectl_netdebug.vantage.node_pod import LIFETIME as NODE_LIFETIME
from kubectl_netdebug.vantage.pipe import PipeVantage
from kubectl_netdebug.vantage.pod import PodVantage
from kubectl_netdebug.vantage.probe import LIFETIME, ProbeContainers

API_LIMIT = 20.0
LOOKUP_LIMIT = 3.0
"""Seconds for this machine's resolver, which may wait for a dead name server for long."""

NODE_LIMIT = 75.0
"""Seconds for one script on a node, its Pod's start included."""

POD_LIMIT = 45.0
"""Seconds for one job in a Pod: its container may have to be pulled and started first."""


class ClusterSource:
    """Answers from a live cluster. `probes` counts what was run in Pods or connected from here."""

    def __init__(
        self, session: Session, consent: Consent, image: str = "", *, namespace: str = "", node_image: str = ""
    ) -> None:
        self._session = session
        self._consent = consent
        self._node_pods = NodePods(session, namespace, node_image)
        self.containers = ProbeContainers(
            session, image, self._node_pods if consent.nodes_allowed else None, untouched=consent.from_nodes_alone
        )
        self._pods = PodVantage(session, self.containers)
        self._nodes = NodeVantage(session, self._node_pods, self._pods)
        self._pipes = PipeVantage(session, self.containers)
        self._api_calls = ApiVantage(session, self.containers)
        self.probes = 0

    @property
    def changes(self) -> tuple[Change, ...]:
        """What this run added to the cluster."""
        return (*self.containers.changes, *self._node_pods.changes)

    def close(self) -> None:
        """Removes what can be removed. Never raises."""
        self._node_pods.close()

    def plan(self, keys: Iterable[FactKey]) -> list[Job]:
        """One job a read, one a Pod for all its connects, one for its UDP lookups, one for every other probe."""
        jobs: list[Job] = []
        connects: dict[tuple[str, str], list[Connect]] = defaultdict(list)
        lookups: dict[tuple[str, str], list[Lookup]] = defaultdict(list)
        readings: dict[str, list[NodeText]] = defaultdict(list)
        for key in keys:
            refusal = self._refusal(key)
            if refusal is not None:
                jobs.append(_at_once(key, refusal))
            elif isinstance(key, MayProbe):
                jobs.append(_at_once(key, self._consent.may_be_had() or Known(True)))
            elif isinstance(key, MayLookAtNodes):
                jobs.append(_at_once(key, self._consent.allows_nodes_already() or Known(True)))
            elif isinstance(key, NodeText):
                readings[key.node].append(key)
            elif isinstance(key, Connect):
                connects[key.namespace, key.pod].append(key)
            elif isinstance(key, Lookup) and key.transport == "UDP":
                lookups[key.namespace, key.pod].append(key)
            else:
                jobs.append(self._job(key))
        jobs += [self._connects(namespace, pod, group) for (namespace, pod), group in connects.items()]
        jobs += [self._lookups(namespace, pod, asked) for (namespace, pod), asked in lookups.items()]
        jobs += [self._readings(node, asked) for node, asked in readings.items()]
        return jobs

    def _refusal(self, key: FactKey) -> Unknown | None:
        if key.price is Price.LOCAL and self._consent.forbidden:
            return self._consent.may_be_had()
        node = _node_of(key)
        if node:
            refusal = self._consent.for_node(
                f"To look at node {node}, a privileged Pod is made there (host network and process list, reads only), "
                f"in namespace {FIRST_NAMESPACE} where that is allowed. It is deleted at the end of this run and ends "
                f"by itself within {NODE_LIFETIME // 60} minutes. The same holds for other nodes on the path. "
                "Needs: create, get and delete pods, create pods/exec there."
            )
            if refusal is None and self._consent.nodes_allowed is False:
                self._consent.nodes_allowed = True
                self.containers.allow_nodes(self._node_pods)
            return refusal
        if key.price is Price.POD:
            pod = f"{getattr(key, 'namespace', '')}/{getattr(key, 'pod', '')}"
            return self._consent.for_pod(
                f"To connect from Pod {pod}, one container is added to it (non-root, no rights, ends by itself within "
                f"{LIFETIME // 60} minutes; its record stays until the Pod goes); where that is refused, a "
                "shell of its own is used. "
                "Needs: patch pods/ephemeralcontainers, create pods/exec."
            )
        return None

    def _connects(self, namespace: str, pod: str, keys: list[Connect]) -> Job:
        self.probes += len(keys)
        return Job(f"connect from {pod}", tuple(keys), lambda: self._pods.connects(namespace, pod, keys), POD_LIMIT)

    def _lookups(self, namespace: str, pod: str, keys: list[Lookup]) -> Job:
        self.probes += len(keys)
        return Job(
            f"ask for names from {pod}", tuple(keys), lambda: self._pods.lookups(namespace, pod, keys), POD_LIMIT
        )

    def _readings(self, node: str, keys: list[NodeText]) -> Job:
        return Job(f"read node {node}", tuple(keys), lambda: self._nodes.readings(node, keys), NODE_LIMIT)

    def _job(self, key: FactKey) -> Job:
        if isinstance(key, api.READS):
            return Job(describe(key), (key,), lambda: {key: api.fetch(self._session, key)}, API_LIMIT)
        self.probes += 1
        limit = LOOKUP_LIMIT if isinstance(key, LookupFromHere) else NODE_LIMIT if _node_of(key) else POD_LIMIT
        return Job(describe(key), (key,), lambda: {key: self._probe(key)}, limit)

    def _probe(self, key: FactKey) -> Answer:
        match key:
            case Sockets():
                return self._pods.sockets(key)
            case PodFile():
                return self._pods.file(key)
            case Tls():
                return self._pipes.tls(key)
            case Http():
                return self._pipes.http(key)
            case Lookup():
                return self._pipes.lookup(key)
            case NodeMoved():
                return self._nodes.moved(key)
            case PodToken():
                return self._api_calls.token(key)
            case ApiCall():
                return self._api_calls.call(key)
            case ConnectFromHere():
                return local.connect(key)
            case HttpFromHere():
                return local_talk.http_get(key)
            case TlsFromHere():
                return local_talk.handshake(key)
            case LookupFromHere():
                return local.lookup(key)
            case LocalNetworks():
                return local.networks(key)
            case SourceFromHere():
                return local.source(key)
        return Unknown(Why.ERROR, f"nobody can answer {describe(key)}")


def _node_of(key: FactKey) -> str:
    """The node that a key is about, '' where it is about none."""
    if isinstance(key, NodeText | NodeMoved):
        return key.node
    pod = str(getattr(key, "pod", ""))
    return pod.removeprefix(NODE_PLACE) if pod.startswith(NODE_PLACE) else ""


def _at_once(key: FactKey, answer: Answer) -> Job:
    fetch: Callable[[], Mapping[FactKey, Answer]] = lambda: {key: answer}  # noqa: E731 - typed closure
    return Job(describe(key), (key,), fetch, API_LIMIT)
