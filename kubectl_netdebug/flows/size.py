"""Whether large packets pass where small ones do: judged where something answers HTTP on another node, or outside."""

from __future__ import annotations

from kubectl_netdebug.causes.fabric_size import LARGER, sizes
from kubectl_netdebug.model.hop import Hop, Outcome, passed, skipped, warned
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.question import Question
from kubectl_netdebug.model.step import Step


def size_step(after: tuple[Hop, ...]) -> Step:
    """For flows about connections. `after` are the hops that tell whether anything connects."""
    return Step(Hop.SIZE, "large packets", _large, after=after, essential=False)


def _large(look: Look, asked: Question) -> Outcome:
    """A request that fills a packet, to one place of each far node."""
    measured = sizes(look, asked)
    if not measured:
        return skipped("nothing on another node answers HTTP")
    stuck = [each for each in measured if each.stuck]
    if stuck:
        saw = f"a request that is {LARGER} bytes longer gets no answer from {stuck[0].place}"
        return warned(saw, (len(measured) - len(stuck), len(measured)))
    return passed(f"requests of {LARGER} bytes more pass")
