"""A terminal that goes away: an ssh connection that breaks, a window that is closed under `nohup`.

Its end says so by end-of-file for ever, and every write fails. A program that takes no notice reads in circles, and
waits for ever for its writer; and what it made in the cluster stays.
"""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections.abc import Callable

STREAMS = (0, 1, 2)


def watch(gone: Callable[[], object]) -> None:
    """Calls `gone`, on a thread of its own, once the terminal of standard input has hung up.

    Before, all three streams are led to where everything can be written and nothing comes from, so that the way out
    is free. Nothing is watched where standard input is no terminal, or the system has no poll.
    """
    if hasattr(select, "poll") and _is_terminal(0):
        threading.Thread(target=_wait, args=(gone,), name="hangup", daemon=True).start()


def _wait(gone: Callable[[], object]) -> None:
    poll = select.poll()
    poll.register(0, 0)  # a hang-up is told without being asked for
    while not any(what & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, what in poll.poll()):
        pass
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in STREAMS:
        with contextlib.suppress(OSError):
            os.dup2(nowhere, stream)
    gone()


def _is_terminal(stream: int) -> bool:
    try:
        return os.isatty(stream)
    except OSError:
        return False
