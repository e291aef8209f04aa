"""What listens on a node, and which process holds it: the reading `listeners`, which is `ss -lntup` and owners."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kubectl_netdebug.net.address import is_address
from kubectl_netdebug.net.procnet import Listener

_PROTOCOLS = {"tcp": "TCP", "udp": "UDP"}
_USER = re.compile(r'\("((?:[^"\\]|\\.)*)",pid=(\d+)')
_OWNER = re.compile(r"owner (\d+) pod([0-9a-f_-]{32,36})")


@dataclass(frozen=True)
class Held:
    """A listening socket of a node. `process` is '' and `pid` 0 where the kernel itself listens.

    `pod` is the unique id by which the process's control group names its Pod; '' for programs of the host.
    """

    socket: Listener
    process: str = ""
    pid: int = 0
    pod: str = ""

    @property
    def words(self) -> str:
        """`haproxy (pid 812)`."""
        return f"{self.process} (pid {self.pid})" if self.pid else "the kernel"


def read_listeners(text: str) -> tuple[Held, ...]:
    """Every listening socket. Lines that are not understood are passed over."""
    owners = {int(match[1]): match[2].replace("_", "-") for match in map(_OWNER.fullmatch, text.splitlines()) if match}
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 6 or words[0] not in _PROTOCOLS or words[1] not in ("LISTEN", "UNCONN"):
            continue
        address, _, port = words[4].rpartition(":")
        address = _plain(address)
        if not port.isdecimal() or int(port) > 65535 or not address:
            continue
        socket = Listener(_PROTOCOLS[words[0]], address, int(port), 0)
        users = [(name, int(pid)) for name, pid in _USER.findall(line)]
        found += [Held(socket, name, pid, owners.get(pid, "")) for name, pid in users] or [Held(socket)]
    return tuple(found)


def _plain(address: str) -> str:
    """The address without its device: `*` is that of IPv6, which takes IPv4 as well; '' where it is none."""
    bare = address.strip("[]").partition("%")[0].strip("[]")
    bare = "::" if bare == "*" else bare
    return bare if is_address(bare) else ""
