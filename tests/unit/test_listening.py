"""What listens on a node, as `ss` of several versions prints it, with the Pods that hold it."""

from __future__ import annotations

from kubectl_netdebug.net.listening import Held, read_listeners

SS = """\
Netid State  Recv-Q Send-Q Local Address:Port  Peer Address:PortProcess
udp   UNCONN 0      0      127.0.0.53%lo:53         0.0.0.0:*    users:(("systemd-resolve",pid=612,fd=13))
udp   UNCONN 0      0            0.0.0.0:36421      0.0.0.0:*
tcp   LISTEN 0      4096       127.0.0.1:10249      0.0.0.0:*    users:(("kube-proxy",pid=83,fd=13))
tcp   LISTEN 0      4096               *:31999            *:*    users:(("x y",pid=90,fd=3),("x y",pid=91,fd=3))
tcp   LISTEN 0      128             [::]:22            [::]:*    users:(("sshd",pid=70,fd=4))
tcp   ESTAB  0      0         172.30.0.1:22       172.30.0.9:999 users:(("sshd",pid=71,fd=4))
tcp   LISTEN 0      4096      172.30.0.1:9100       0.0.0.0:*    users:(("node_exporter",pid=1204,fd=3))
tcp   LISTEN 0      1   a broken:line
owner 1204 pod1f0a9f52_8a2b_4b1c_9c5d_0123456789ab
owner 90 podnonsense
"""


def _at(port: int) -> list[Held]:
    return [held for held in read_listeners(SS) if held.socket.port == port]


def test_a_socket_stands_once_for_each_process() -> None:
    assert [held.words for held in _at(31999)] == ["x y (pid 90)", "x y (pid 91)"]
    assert all(held.socket.reachable_at("172.30.0.1") for held in _at(31999))


def test_a_socket_without_a_process_is_the_kernels() -> None:
    (held,) = _at(36421)
    assert (held.words, held.socket.protocol) == ("the kernel", "UDP")


def test_the_pod_of_a_process_is_known_by_its_control_group() -> None:
    (held,) = _at(9100)
    assert held.pod == "1f0a9f52-8a2b-4b1c-9c5d-0123456789ab"
    assert not _at(31999)[0].pod


def test_devices_are_no_part_of_an_address_and_connections_do_not_listen() -> None:
    assert _at(53)[0].socket.loopback
    assert [held.socket.address for held in _at(22)] == ["::"]
    assert len(read_listeners(SS)) == 7
