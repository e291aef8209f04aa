"""One command at a time where two would spoil each other's work."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager

from tests.lab.laboratory.errors import LabError
from tests.lab.laboratory.paths import Home


@contextmanager
def locked(home: Home, name: str, other: str, wait: bool = False) -> Iterator[None]:
    """Holds the lock; when `other` holds it, waits or raises LabError. The kernel frees it with the process."""
    home.locks.mkdir(parents=True, exist_ok=True)
    with (home.locks / name).open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise LabError(f"{other} is running already") from None
        yield
