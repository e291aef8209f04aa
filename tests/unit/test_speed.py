"""What many connects say: packets lost on the way, a program that does not take its connections, a busy machine."""

from __future__ import annotations

import pytest

from kubectl_netdebug.causes.outside_speed import Speed
from kubectl_netdebug.net.outcome import Attempt, Outcome

QUICK = Attempt(Outcome.CONNECTED, 2.0)
LATE = Attempt(Outcome.CONNECTED, 1030.0)
LOST = Attempt(Outcome.TIMED_OUT, 3000.0)


@pytest.mark.parametrize(
    ("attempts", "sent_again", "overflowed", "lossy", "full"),
    [
        ((QUICK, QUICK), 0, 0, False, False),
        ((QUICK, LATE), 1, 0, True, False),
        ((QUICK, LOST), 2, 0, True, False),
        ((QUICK, LATE), 0, 0, False, False),
        ((QUICK, LATE), 1, 1, False, True),
        ((QUICK, QUICK), 0, 1, False, False),
    ],
    ids=("well", "lost-once", "lost", "late-on-a-busy-machine", "full-queue", "full-for-others"),
)
def test_late_connects(
    attempts: tuple[Attempt, ...], sent_again: int, overflowed: int, lossy: bool, full: bool
) -> None:
    speed = Speed(None, attempts, None, None, sent_again, overflowed)
    assert (speed.lossy, speed.full) == (lossy, full)
    if full:
        assert "queue" in speed.words
