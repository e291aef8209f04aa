"""Linux namespaces: a machine is a set of them (network, mount, host name, processes) kept by a sleeping process."""

import ctypes
import json
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.lab.laboratory.errors import LabError
from tests.lab.laboratory.paths import Run
from tests.lab.laboratory.process import MARK, Process
from tests.lab.laboratory.shell import attempt, output

# From <linux/sched.h>; Python has os.unshare and os.setns only since 3.12.
NEW_MOUNT, NEW_UTS, NEW_PID, NEW_NET = 0x00020000, 0x04000000, 0x20000000, 0x40000000

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# Python ignores these; a program it becomes must not inherit that.
_RESTORED = (signal.SIGPIPE, signal.SIGXFSZ)

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Namespace:
    """One machine. `init` is its process 1: when it ends, the kernel ends all others and frees everything."""

    name: str
    init: Process

    def command(self, argv: Sequence[str], flags: str = "nmup") -> list[str]:
        """The command that runs `argv` inside; `flags` are those of nsenter(1)."""
        return ["nsenter", "-t", str(self.init.pid), *(f"-{flag}" for flag in flags), "--", *argv]

    def run(self, script: str, flags: str = "nmup") -> str:
        """The output of a shell script run inside. Raises LabError when it fails."""
        return output(self.command(["sh", "-ec", script], flags), env={**os.environ, "PATH": PATH})

    def succeeds(self, argv: Sequence[str]) -> bool:
        return attempt(self.command(argv)).returncode == 0


def create(run: Run, name: str) -> Namespace:
    """Makes a machine called `name` with its loopback up, and records it."""
    init = Process.of(_detached(_unshare, _become_init(run)))
    namespace = Namespace(name, init)
    (run.namespaces / f"{name}.json").write_text(json.dumps(asdict(init)))
    # Private first: nothing mounted in here may show outside. -n: no note of it in the host's /run.
    namespace.run(f"mount -n --make-rprivate / && mount -n -t proc proc /proc && hostname {name} && ip link set lo up")
    return namespace


def load(run: Run, name: str) -> Namespace:
    """The machine as recorded. Raises LabError when there is none or it has ended."""
    record = run.namespaces / f"{name}.json"
    if not record.exists():
        raise LabError(f"cluster {run.name} has no machine named {name}")
    namespace = Namespace(name, Process(**json.loads(record.read_text())))
    if not namespace.init.alive:
        raise LabError(f"the machine {name} of cluster {run.name} has ended: run `netlab down` first")
    return namespace


def recorded(run: Run) -> dict[str, Process]:
    """Process 1 of each machine, alive or not."""
    return {path.stem: Process(**json.loads(path.read_text())) for path in sorted(run.namespaces.glob("*.json"))}


def spawn(run: Run, namespace: Namespace, argv: Sequence[str], env: Mapping[str, str], log: Path) -> Process:
    """Starts a program inside, away from terminal and environment of the caller; its output goes to `log`."""

    def become(_: int) -> None:
        _join(descriptor, NEW_NET | NEW_UTS | NEW_MOUNT)
        os.setsid()
        _redirect(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644))
        os.chdir("/")
        restore_signals()
        os.execve(argv[0], list(argv), {"PATH": PATH, "HOME": "/root", **env, MARK: str(run.root)})

    with _pidfd(namespace) as descriptor:
        return _adopted(lambda: _join(descriptor, NEW_PID), become)


def call(namespace: Namespace, argv: Sequence[str], env: Mapping[str, str]) -> int:
    """Runs a program inside as the caller's own: terminal inherited, signals passed on. Returns its exit status."""
    with _pidfd(namespace) as descriptor:
        _join(descriptor, NEW_PID)
        child = os.fork()
        if child == 0:
            _guarded(lambda: _exec_inside(descriptor, argv, env))
    # The terminal's own signals reach the child directly; whatever is sent to us alone is passed on.
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2):
        signal.signal(number, lambda received, _: os.kill(child, received))
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def restore_signals() -> None:
    """Undoes what Python changed, before becoming another program."""
    for number in _RESTORED:
        signal.signal(number, signal.SIG_DFL)


def _exec_inside(descriptor: int, argv: Sequence[str], env: Mapping[str, str]) -> None:
    _libc.prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG: do not outlive the launcher
    _join(descriptor, NEW_NET | NEW_UTS | NEW_MOUNT)
    os.chdir("/")
    restore_signals()
    try:
        os.execvpe(argv[0], list(argv), dict(env))
    except FileNotFoundError:
        os.write(2, f"netlab: {argv[0]}: not found\n".encode())
        os._exit(127)


def _become_init(run: Run) -> Callable[[int], None]:
    def become(_: int) -> None:
        os.setsid()
        _redirect(os.open(os.devnull, os.O_RDWR))
        os.chdir("/")
        restore_signals()
        # An ignored SIGCHLD makes the kernel reap every orphan that falls to process 1.
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        os.execve("/bin/sleep", ["sleep", "infinity"], {MARK: str(run.root)})

    return become


def _detached(prepare: Callable[[], None], become: Callable[[int], None]) -> int:
    """Forks, prepares, forks again and becomes another program; returns its pid once that has succeeded.

    The second fork is what a new process namespace applies to. `become` is given a pipe that closes by itself when
    the program starts, so reading to its end both waits for that and brings any error."""
    reading, writing = os.pipe()
    first = os.fork()
    if first == 0:
        _guarded(lambda: _second_fork(prepare, become, writing), writing)
    os.close(writing)
    with open(reading) as pipe:
        report = pipe.read()
    os.waitpid(first, 0)
    pid, _, error = report.partition("\n")
    if error or not pid.isdigit():
        raise LabError(f"could not start a program in a namespace: {error or pid}")
    return int(pid)


def _adopted(prepare: Callable[[], None], become: Callable[[int], None]) -> Process:
    """Like `_detached`, but leaves the program to process 1 of its namespace.

    An orphan falls to process 1 of its *parent's* namespace. So that this is the machine's and not the host's, which
    may be slow to reap, a process within the namespace comes between and ends once the program's pid is known."""
    waiting, release = os.pipe()

    def stand_between(writing: int) -> None:
        if os.fork() == 0:
            _guarded(lambda: become(writing), writing)
        os.close(writing)
        os.close(release)
        os.read(waiting, 1)
        os._exit(0)

    try:
        between = _detached(prepare, stand_between)
        (pid,) = Path(f"/proc/{between}/task/{between}/children").read_text().split()
        return Process.of(int(pid))
    finally:
        os.close(waiting)
        os.close(release)


def _second_fork(prepare: Callable[[], None], become: Callable[[int], None], writing: int) -> None:
    prepare()
    child = os.fork()
    if child == 0:
        _guarded(lambda: become(writing), writing)
    os.write(writing, f"{child}\n".encode())
    os._exit(0)


def _guarded(action: Callable[[], None], writing: int = 2) -> None:
    """Runs `action` in a forked child, which must never return into the parent's code."""
    try:
        action()
    except BaseException as error:
        os.write(writing, f"\n{error}".encode())
    finally:
        os._exit(126)


def _redirect(descriptor: int) -> None:
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)


def _unshare() -> None:
    _check(_libc.unshare(NEW_MOUNT | NEW_UTS | NEW_PID | NEW_NET), "unshare")


def _join(descriptor: int, kinds: int) -> None:
    """Enters the given kinds of namespace of the process behind a pidfd (setns(2), Linux 5.8)."""
    _check(_libc.setns(descriptor, kinds), "enter the namespaces of a machine")


@contextmanager
def _pidfd(namespace: Namespace) -> Iterator[int]:
    """To be opened before entering a process namespace, where the pid means another process or none."""
    descriptor = os.pidfd_open(namespace.init.pid)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _check(result: int, what: str) -> None:
    if result:
        number = ctypes.get_errno()
        raise OSError(number, f"cannot {what}: {os.strerror(number)}")
