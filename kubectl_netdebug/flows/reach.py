"""Steps that need a connection: the socket in the Pod, every Pod directly, the Service's own address."""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.causes.backends import (
    MOST_BACKENDS,
    backends_asked,
    client_pod,
    in_use,
)
from kubectl_netdebug.causes.reach import refusing, tried, untranslated
from kubectl_netdebug.causes.talk import mute
from kubectl_netdebug.causes.virtual import virtual_attempts
from kubectl_netdebug.model.hop import Outcome, State, failed, passed, skipped, unknown, warned
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.net.outcome import Attempt, tally
from kubectl_netdebug.net.outcome import Outcome as End


def socket(look: Look, asked: Question) -> Outcome:
    """Whether the Pods listen where the Service sends: looked into only where a connection was refused."""
    attempts = tried(look, asked)
    if not attempts:
        return skipped("no backend")
    works = any(attempt.outcome.connected for _, attempt in attempts)
    if not any(attempt.outcome in (End.REFUSED, End.SILENT) for _, attempt in attempts):
        return passed("accepts connections") if works else skipped("not judged: no backend answers at all")
    looked_into = refusing(look, asked)
    if not looked_into:
        return skipped("not judged: the sockets of the Pods could not be read")
    deaf = next((each for each in looked_into if not each.is_open), None)
    if deaf is None:
        backend = looked_into[0].backend
        return passed(f"{backend.pod} listens on {backend.port}/{backend.protocol}")
    where = f"{deaf.backend.port}/{deaf.backend.protocol}"
    saw = f"nothing listens on {where} for the address of {deaf.pod.name}; listening: {deaf.seen}"
    return warned(saw) if works else failed(saw)


def each_backend(look: Look, asked: Question) -> Outcome:
    """Every Pod directly: does it accept, and does it answer where its port speaks HTTP?"""
    attempts = tried(look, asked)
    if not attempts:
        return skipped("no backend")
    judged = judge([attempt for _, attempt in attempts], len(backends_asked(look, asked)))
    if judged.state is not State.PASS:
        return judged
    silent = mute(look, asked)
    if not silent:
        return judged
    addresses = {b.address for b, _ in attempts}
    good = len(addresses - {each.backend.address for each in silent})
    saw = f"{silent[0].backend.label} accepts connections and does not answer"
    return (warned if good else failed)(saw, (good, len(addresses)))


def address(look: Look, asked: Question) -> Outcome:
    """What a client meets that uses the Service's name and port."""
    service = look(asks.the_service(asked))
    if service is None:
        return skipped("there is no Service")
    if service.headless:
        return _port_as_typed(look, asked)
    if not service.address:
        return skipped("no address of its own: clients use the endpoints directly")
    if not in_use(backends_asked(look, asked)):
        return skipped("no endpoint is ready, so it has nowhere to lead")
    tries = [attempt for _, attempt in virtual_attempts(look, asked)]
    return judge(tries)


def _port_as_typed(look: Look, asked: Question) -> Outcome:
    """A headless name leads to the Pods themselves, so a port typed as the Service's is met at the Pods unchanged."""
    doubtful = untranslated(look, asked)
    if not doubtful:
        return skipped("no address of its own: clients use the endpoints directly")
    client = client_pod(look, asked)
    tries = look.all([asks.connect(client, b.address, b.service_port.port, b.protocol) for b in doubtful])
    return judge(list(tries))


def judge(attempts: list[Attempt], total: int = 0) -> Outcome:
    """All connected, some, or none; silence after UDP says nothing either way. They are a sample of `total`."""
    good = [a for a in attempts if a.outcome.connected]
    silent = [a for a in attempts if a.outcome is End.SILENT]
    counts = (len(good), len(attempts))
    sampled = f" (the first {MOST_BACKENDS} of {total})" if total > MOST_BACKENDS else ""
    if len(good) + len(silent) == len(attempts):
        if not good:
            return unknown("UDP: sent, nothing came back, which a healthy server may do")
        slowest = max(a.milliseconds for a in good)
        mute = f"; {len(silent)} silent over UDP, as they may be" if silent else ""
        saw = f"{len(good)} of {len(attempts) - len(silent)} connected, {slowest:.0f} ms at most{mute}{sampled}"
        return passed(saw, counts)
    saw = tally(attempts) + sampled
    return warned(saw, counts) if good or silent else failed(saw, counts)
