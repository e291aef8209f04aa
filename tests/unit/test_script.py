"""The script of connects, run by real shells against real sockets."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubectl_netdebug.net.outcome import Outcome
from kubectl_netdebug.vantage.script import NO_TOOL, Target, batch, classify, read_batch, socket_files

NONCE = "4f1d0c2b7a9e8d63"
TOOLS = ("cut", "date", "grep", "cat", "printf", "head", "tr", "true", "sleep", "touch", "timeout")
SHELLS = {name: path for name in ("dash", "bash", "busybox", "sh") if (path := shutil.which(name))}


@pytest.fixture
def tools(tmp_path: Path) -> Path:
    """A folder for PATH with what every image has, and nothing that connects."""
    folder = tmp_path / "tools"
    folder.mkdir()
    for name in TOOLS:
        found = shutil.which(name)
        assert found, name
        (folder / name).symlink_to(found)
    return folder


@pytest.fixture
def listening() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def closed() -> Iterator[int]:
    """A port that is taken, and on which nobody listens."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield unused.getsockname()[1]


def run(shell: str, tools: Path, targets: list[Target], seconds: int = 2) -> str:
    prefix = [SHELLS[shell], "sh"] if shell == "busybox" else [SHELLS[shell]]
    ran = subprocess.run(
        [*prefix, "-c", batch(targets, NONCE, seconds)],
        env={"PATH": str(tools)},
        cwd=tools,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
    )
    assert ran.stderr == b""
    return ran.stdout.decode("utf-8", "replace")


def add_nc(tools: Path, text: str | None = None) -> None:
    """The nc of busybox, or one that is played."""
    if text is None:
        busybox = shutil.which("busybox")
        if busybox is None or "nc" not in subprocess.check_output([busybox, "--list"], text=True).split():
            pytest.skip("no busybox with nc here")
        (tools / "nc").symlink_to(busybox)
    else:
        (tools / "nc").write_text(f"#!/bin/sh\n{text}\n")
        (tools / "nc").chmod(0o755)


each_shell = pytest.mark.parametrize("shell", SHELLS)


@each_shell
def test_connected_and_refused_with_nc(shell: str, tools: Path, listening: int, closed: int) -> None:
    add_nc(tools)
    targets = [Target("TCP", "127.0.0.1", listening), Target("TCP", "127.0.0.1", closed)] * 3
    attempts = read_batch(run(shell, tools, targets), NONCE, targets)

    assert [a.outcome for a in attempts if a] == [Outcome.CONNECTED, Outcome.REFUSED] * 3
    assert all(0 <= a.milliseconds < 5000 for a in attempts if a)


@each_shell
def test_connected_and_refused_with_bash_alone(shell: str, tools: Path, listening: int, closed: int) -> None:
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("no bash here")
    (tools / "bash").symlink_to(bash)
    targets = [Target("TCP", "127.0.0.1", listening), Target("TCP", "127.0.0.1", closed)]
    attempts = read_batch(run(shell, tools, targets), NONCE, targets)

    assert [a.outcome for a in attempts if a] == [Outcome.CONNECTED, Outcome.REFUSED]


@each_shell
@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
def test_without_any_tool_it_says_so(shell: str, tools: Path, protocol: str) -> None:
    if shell == "busybox":
        pytest.skip("a busybox shell finds its own nc without PATH")
    targets = [Target(protocol, "127.0.0.1", 80)]
    (attempt,) = read_batch(run(shell, tools, targets), NONCE, targets)

    assert attempt
    assert (attempt.outcome, attempt.detail) == (Outcome.OTHER, NO_TOOL)


def test_udp_tells_refused_from_silent(tools: Path) -> None:
    add_nc(tools)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server, socket.socket(type=socket.SOCK_DGRAM) as gone:
        server.bind(("127.0.0.1", 0))
        gone.bind(("127.0.0.1", 0))
        silent, refused = server.getsockname()[1], gone.getsockname()[1]
        gone.close()
        targets = [Target("UDP", "127.0.0.1", silent), Target("UDP", "127.0.0.1", refused)]
        attempts = read_batch(run("sh", tools, targets), NONCE, targets)

    assert attempts[0]
    assert attempts[1]
    if attempts[0].detail == NO_TOOL:
        pytest.skip("the nc of this machine does not do UDP")
    assert attempts[0].outcome is Outcome.SILENT
    assert attempts[1].outcome in (Outcome.REFUSED, Outcome.SILENT)  # some nc do not tell


def test_a_date_without_nanoseconds_still_measures(tools: Path) -> None:
    (tools / "date").unlink()
    (tools / "date").write_text("#!/bin/sh\necho 1700000000\n")
    (tools / "date").chmod(0o755)
    add_nc(tools, 'case "$1" in -h|--help) echo "-z    scan";; *) sleep 0.3; exit 1;; esac')
    targets = [Target("TCP", "127.0.0.1", 80)]
    (attempt,) = read_batch(run("sh", tools, targets), NONCE, targets)

    assert attempt
    assert 200 <= attempt.milliseconds < 5000


HOSTILE_HOSTS = [
    "$(touch pwned)",
    "`touch pwned`",
    "127.0.0.1; touch pwned",
    "127.0.0.1' ; touch pwned; '",
    '127.0.0.1" ; touch pwned; "',
    "127.0.0.1\ntouch pwned\n",
    "127.0.0.1 & touch pwned",
    "-e touch pwned",
    "-c",
    "--help",
    "%s%n$0",
    "*",
    "",
]


@each_shell
@pytest.mark.parametrize("tool", ["nc", "bash", "none"])
def test_hosts_are_never_run(shell: str, tools: Path, tool: str, listening: int) -> None:
    if tool == "nc":
        add_nc(tools)
    elif tool == "bash":
        (tools / "bash").symlink_to(shutil.which("bash") or pytest.skip("no bash here"))
    hosts = [*HOSTILE_HOSTS, "127.0.0.1"]
    targets = [Target("TCP", host, listening) for host in hosts]
    output = run(shell, tools, targets, seconds=1)
    attempts = read_batch(output, NONCE, targets)

    assert not (tools / "pwned").exists()
    assert output.rstrip().endswith(f"{NONCE} end")
    options = [attempt for host, attempt in zip(hosts, attempts, strict=True) if host.startswith("-")]
    assert [a.outcome for a in options if a] == [Outcome.NAME_ERROR] * 3
    if tool != "none":
        assert attempts[-1]
        assert attempts[-1].outcome is Outcome.CONNECTED


def test_what_a_tool_prints_cannot_pass_for_a_result(tools: Path) -> None:
    """A server's greeting, say, with a guess at the frame in it, over many lines and with every kind of line end."""
    guess = "0123456789abcdef 1 1 0 nc-z: \\n\\r1 1 0 nc-z: open\\v\\f\\033[2J end"
    add_nc(tools, f'case "$1" in -h|--help) echo "-z    scan";; *) printf "{guess}"; exit 1;; esac')
    targets = [Target("TCP", "10.0.0.1", 80), Target("TCP", "10.0.0.2", 80)]
    attempts = read_batch(run("sh", tools, targets), NONCE, targets)

    assert [a.outcome for a in attempts if a] == [Outcome.OTHER, Outcome.OTHER]
    assert all("\x1b" not in a.detail for a in attempts if a)


@given(st.text(), st.lists(st.integers(0, 3), max_size=4))
def test_only_lines_with_the_nonce_count(noise: str, indexes: list[int]) -> None:
    targets = [Target("TCP", "10.0.0.1", 80)] * 4
    frames = "".join(f"\n{NONCE} {index} 12 0 nc-z: \n" for index in indexes)
    found = read_batch(noise.replace(NONCE, "") + frames + noise.replace(NONCE, ""), NONCE, targets)

    assert [index for index, attempt in enumerate(found) if attempt] == sorted(set(indexes))


def test_a_frame_for_nobody_is_passed_over() -> None:
    targets = [Target("TCP", "10.0.0.1", 80)]

    assert read_batch(f"{NONCE} 7 12 0 nc-z: \n{NONCE} -1 12 0 nc-z: ", NONCE, targets) == [None]


@given(st.sampled_from(["TCP", "UDP"]), st.floats(-1e9, 1e9), st.integers(0, 255), st.text(), st.text())
def test_every_ending_has_an_outcome(protocol: str, milliseconds: float, code: int, tool: str, words: str) -> None:
    attempt = classify(protocol, milliseconds, code, tool, words)

    assert attempt.milliseconds >= 0
    assert len(attempt.detail) <= 200
    assert protocol == "TCP" or not attempt.outcome.connected, "a datagram that was sent proves nothing"


@pytest.mark.parametrize(
    ("code", "milliseconds", "words", "outcome"),
    [
        (0, 1, "", Outcome.CONNECTED),
        (1, 1, "nc: 10.0.0.1 (10.0.0.1:80): Connection refused", Outcome.REFUSED),
        (1, 1, "Ncat: Connection refused.", Outcome.REFUSED),
        (1, 2003, "nc: 10.0.0.1 (10.0.0.1:80): Operation timed out", Outcome.TIMED_OUT),
        (1, 2003, "nc: connect to 10.0.0.1 port 80 (tcp) timed out: Operation now in progress", Outcome.TIMED_OUT),
        (1, 2003, "", Outcome.TIMED_OUT),
        (1, 3, "TIMEOUT", Outcome.TIMED_OUT),
        (1, 3, "nc: 10.0.0.1 (10.0.0.1:80): No route to host", Outcome.HOST_UNREACHABLE),
        (1, 3, "nc: 10.0.0.1 (10.0.0.1:80): Host is unreachable", Outcome.HOST_UNREACHABLE),
        (1, 3, "nc: 10.0.0.1 (10.0.0.1:80): Network is unreachable", Outcome.NET_UNREACHABLE),
        (1, 3, "nc: 10.0.0.1 (10.0.0.1:80): Network unreachable", Outcome.NET_UNREACHABLE),
        (1, 3, "nc: bad address 'nowhere'", Outcome.NAME_ERROR),
        (1, 3, 'nc: getaddrinfo for host "nowhere" port 80: Name or service not known', Outcome.NAME_ERROR),
        (1, 3, "nc: 10.0.0.1 (10.0.0.1:80): Operation not permitted", Outcome.NOT_PERMITTED),
        (1, 3, "nc: 10.0.0.1: Connection reset by peer", Outcome.RESET),
        (1, 3, "nc: connect: Cannot assign requested address", Outcome.NO_LOCAL_ADDRESS),
        (1, 3, "something new", Outcome.OTHER),
    ],
)
def test_words_of_many_tools(code: int, milliseconds: float, words: str, outcome: Outcome) -> None:
    assert classify("TCP", milliseconds, code, "nc-z", words).outcome is outcome


def test_socket_tables_are_told_apart() -> None:
    """As `cat` of all four gives them; headers as Linux prints them."""
    rest = "00000000:00000000 00:00000000 00000000     0        0"
    nobody, anybody = "0" * 32, "00000000"
    tables = {
        "tcp": f"   0: 0100007F:1F90 {anybody}:0000 0A {rest} 1 1\n",
        "tcp6": f"   0: {nobody}:0050 {nobody}:0000 0A {rest} 2 1\n",
        "udp": f"  42: {anybody}:0035 {anybody}:0000 07 {rest} 3 2 0 0\n",
        "udp6": f"  43: {nobody}:0035 {nobody}:0000 07 {rest} 4 2 0 0\n",
    }
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode"
    head6 = head.replace("local_address rem_address  ", f"local_address{' ' * 25}remote_address{' ' * 25}")
    heads = {"tcp": head, "tcp6": head6, "udp": f"{head} ref pointer drops", "udp6": f"{head6} ref pointer drops"}

    assert socket_files("".join(f"{heads[name]}\n{tables[name]}" for name in tables)) == tables
    # Empty tables have their headers alone; IPv6 may be off.
    assert socket_files(f"{heads['tcp']}\n{heads['udp']}\n{tables['udp']}") == {"udp": tables["udp"]}


@pytest.mark.skipif(not os.path.exists("/proc/net/udp"), reason="no /proc/net here")
def test_the_socket_tables_of_this_machine() -> None:
    names = [name for name in ("tcp", "tcp6", "udp", "udp6") if os.path.exists(f"/proc/net/{name}")]
    with socket.create_server(("127.0.0.1", 0)), socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(("127.0.0.1", 0))
        whole = {name: Path(f"/proc/net/{name}").read_text() for name in names}
        files = socket_files("".join(whole.values()))

    without_heads = {name: text.splitlines()[1:] for name, text in whole.items()}
    assert {name: text.splitlines() for name, text in files.items()} == {k: v for k, v in without_heads.items() if v}
    assert {"tcp", "udp"} <= files.keys()
