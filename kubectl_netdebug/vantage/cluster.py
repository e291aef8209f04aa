"""The source of facts of a live run: sends each key to the vantage point that can answer it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping

from kubectl_netdebug.engine.describe import describe
from kubectl_netdebug.engine.source import Job
from kubectl_netdebug.kube.session import Session
from kubectl_netdebug.model.facts import (
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
    MayProbe,
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
from kubectl_netdebug.vantage import api, local, local_talk
from kubectl_netdebug.vantage.api_calls import ApiVantage
from kubectl_netdebug.vantage.consent import Consent
from kubectl_netdebug.vantage.pipe import PipeVantage
from kubectl_netdebug.vantage.pod import PodVantage
from kubectl_netdebug.vantage.probe import LIFETIME, ProbeContainers

API_LIMIT = 20.0
LOOKUP_LIMIT = 3.0
"""Seconds for this machine's resolver, which may wait for a dead name server for long."""

POD_LIMIT = 45.0
"""Seconds for one job in a Pod: its container may have to be pulled and started first."""


class ClusterSource:
    """Answers from a live cluster. `probes` counts what was run in Pods or connected from here."""

    def __init__(self, session: Session, consent: Consent, image: str = "") -> None:
        self._session = session
        self._consent = consent
        self.containers = ProbeContainers(session, image)
        self._pods = PodVantage(session, self.containers)
        self._pipes = PipeVantage(session, self.containers)
        self._api_calls = ApiVantage(session, self.containers)
        self.probes = 0

    def plan(self, keys: Iterable[FactKey]) -> list[Job]:
        """One job a read, one a Pod for all its connects, one for its UDP lookups, one for every other probe."""
        jobs: list[Job] = []
        connects: dict[tuple[str, str], list[Connect]] = defaultdict(list)
        lookups: dict[tuple[str, str], list[Lookup]] = defaultdict(list)
        for key in keys:
            refusal = self._refusal(key)
            if refusal is not None:
                jobs.append(_at_once(key, refusal))
            elif isinstance(key, MayProbe):
                jobs.append(_at_once(key, self._consent.may_be_had() or Known(True)))
            elif isinstance(key, Connect):
                connects[key.namespace, key.pod].append(key)
            elif isinstance(key, Lookup) and key.transport == "UDP":
                lookups[key.namespace, key.pod].append(key)
            else:
                jobs.append(self._job(key))
        jobs += [self._connects(namespace, pod, group) for (namespace, pod), group in connects.items()]
        jobs += [self._lookups(namespace, pod, asked) for (namespace, pod), asked in lookups.items()]
        return jobs

    def _refusal(self, key: FactKey) -> Unknown | None:
        if key.price is Price.LOCAL and self._consent.forbidden:
            return self._consent.may_be_had()
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

    def _job(self, key: FactKey) -> Job:
        if isinstance(key, api.READS):
            return Job(describe(key), (key,), lambda: {key: api.fetch(self._session, key)}, API_LIMIT)
        self.probes += 1
        limit = LOOKUP_LIMIT if isinstance(key, LookupFromHere) else POD_LIMIT
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


def _at_once(key: FactKey, answer: Answer) -> Job:
    fetch: Callable[[], Mapping[FactKey, Answer]] = lambda: {key: answer}  # noqa: E731 - typed closure
    return Job(describe(key), (key,), fetch, API_LIMIT)
