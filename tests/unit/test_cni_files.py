"""CNI files of a node, and the reservations of its address management."""

from __future__ import annotations

import json

import pytest

from kubectl_netdebug.net.cni_conf import hide, read_confs, read_programs, used, with_portmap
from kubectl_netdebug.net.ipam import holds, read_reservations, read_sandboxes, size_of

CHAIN = {
    "cniVersion": "1.0.0",
    "name": "pods",
    "plugins": [
        {
            "type": "bridge",
            "bridge": "cni0",
            "ipam": {"type": "host-local", "dataDir": "/var/ipam", "ranges": [[{"subnet": "10.1.2.0/24"}]]},
        },
        {"type": "portmap"},
    ],
}
ONE, TWO = "a" * 64, "b" * 64


def _files(**files: str) -> str:
    return "\n".join(f"==> /etc/cni/net.d/{name.replace('__', '.')} <==\n{text}\n" for name, text in files.items())


def test_the_first_file_by_name_is_used_and_read() -> None:
    found = read_confs(_files(b__conflist=json.dumps(CHAIN), a__conf=json.dumps({"type": "ptp", "name": "other"})))
    first = used(found)
    assert first is not None
    assert (first.path, first.plugins) == ("/etc/cni/net.d/a.conf", ("ptp",))
    chain = found[1]
    assert (chain.name, chain.plugins, chain.bridge) == ("pods", ("bridge", "portmap", "host-local"), "cni0")
    assert (chain.subnets, chain.data_dir, chain.narrow, chain.wrong) == (("10.1.2.0/24",), "/var/ipam", False, "")


def test_an_old_form_with_a_part_of_a_subnet() -> None:
    ipam = {"type": "host-local", "subnet": "10.1.0.0/16", "rangeStart": "10.1.0.9", "rangeEnd": "10.1.0.11"}
    (conf,) = read_confs(_files(a__conf=json.dumps({"type": "macvlan", "name": "x", "ipam": ipam})))
    assert conf.narrow
    assert conf.host_local
    assert conf.subnets == ("10.1.0.0/16",)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "empty"),
        ("{", "not valid JSON"),
        ("[]", "no JSON object"),
        ('{"name": "x", "plugins": []}', "lists no plugins"),
        ('{"name": "x", "plugins": [{}]}', "no type"),
        ('{"type": "bridge"}', "no name"),
        ('{"cniVersion": "9.0.1", "name": "x", "type": "bridge"}', 'no cniVersion "9.0.1"'),
        ('{"name": "x", "plugins": 7}', "lists no plugins"),
    ],
)
def test_what_is_wrong_with_a_file(text: str, why: str) -> None:
    (conf,) = read_confs(_files(a__conflist=text))
    assert why in conf.wrong


def test_a_file_that_was_put_aside_is_no_configuration() -> None:
    found = read_confs("file /etc/cni/net.d/10-x.conflist.bak\nfile /etc/cni/net.d/calico-kubeconfig\n")
    assert [conf.path for conf in found] == ["/etc/cni/net.d/10-x.conflist.bak"]
    assert used(found) is None


def test_values_that_may_be_credentials_are_hidden() -> None:
    old = (
        '{"policy": {"k8s_auth_token": "eyJhbGciOi", "k8s_client_certificate": "/x"}, "name": "a", "etcd_key": "k\\"q"}'
    )
    (line,) = hide([old])
    shown = json.loads(line)
    assert shown["policy"] == {"k8s_auth_token": "hidden", "k8s_client_certificate": "hidden"}
    assert (shown["name"], shown["etcd_key"]) == ("a", "hidden")


def test_programs_that_are_there_and_run() -> None:
    found = read_programs(
        "/opt/cni/bin total 9\n"
        "/opt/cni/bin -rwxr-xr-x 1 root root 4321 Nov 23 19:56 bridge\n"
        "/opt/cni/bin -rw-r--r-- 1 root root 4321 Nov 23 19:56 ptp\n"
        "/opt/cni/bin -rwxr-xr-x 1 root root 0 Nov 23 19:56 empty\n"
        "/opt/cni/bin drwxr-xr-x 2 root root 40 Nov 23 19:56 old\n"
    )
    assert [(p.path, p.runs) for p in found] == [
        ("/opt/cni/bin/bridge", True),
        ("/opt/cni/bin/ptp", False),
        ("/opt/cni/bin/empty", False),
    ]


def test_reservations_against_sandboxes() -> None:
    held = read_reservations(f"pods 10.1.2.3 {ONE} eth0\npods 10.1.2.4 {TWO} eth0\npods lock\npods 10.1.2.5\n")
    assert [(r.address, r.sandbox[:1]) for r in held] == [("10.1.2.3", "a"), ("10.1.2.4", "b"), ("10.1.2.5", "")]
    known = read_sandboxes(f"by ctr\n{ONE} known\n{TWO} known\n{ONE} running\n")
    assert known.complete
    assert known.runs(held[0])
    assert known.has(held[1])
    assert not known.runs(held[1])
    assert not known.has(held[2])


def test_the_table_of_crictl() -> None:
    known = read_sandboxes(
        "by crictl\nPOD ID   CREATED   STATE   NAME   NAMESPACE   ATTEMPT   RUNTIME\n"
        f"{ONE}   2 minutes ago   Ready   web   shop   0   (default)\n"
        f"{TWO}   About an hour ago   NotReady   job   shop   1   (default)\n"
    )
    assert [(s.id[:1], s.running) for s in known.known] == [("a", True), ("b", False)]


def test_a_list_from_control_groups_proves_no_absence() -> None:
    assert not read_sandboxes(f"by cgroups\n{ONE} running\n").complete
    assert not read_sandboxes("by ctr\n").complete
    assert not read_sandboxes("").complete


def test_sizes_of_ranges() -> None:
    assert (size_of("10.0.0.0/28"), size_of("10.0.0.3-10.0.0.4"), size_of("nonsense")) == (13, 2, 0)
    assert size_of("10.0.0.3-10.0.0.4,10.0.1.1-10.0.1.1") == 3
    assert holds("10.0.0.3-10.0.0.4", "10.0.0.4")
    assert not holds("10.0.0.3-10.0.0.4", "10.0.0.5")
    assert holds("fd00::/64", "fd00::7")
    assert not holds("10.0.0.0/8", "fd00::7")
    assert not holds("x", "10.0.0.1")


def test_portmap_is_added_once_and_only_where_the_whole_file_is_known() -> None:
    bare = {"cniVersion": "1.0.0", "name": "lab", "plugins": [{"type": "bridge"}, {"type": "portmap"}]}
    text = _files(a__conflist=json.dumps(bare), b__conf=json.dumps({"type": "ptp", "name": "other"}))
    (conf, other) = read_confs(text)
    assert (conf.maps_ports, conf.is_list, other.is_list) == (False, True, False)
    wanted = with_portmap(text, conf.path)
    (mended,) = read_confs(f"==> {conf.path} <==\n{wanted}\n")
    assert mended.maps_ports
    assert mended.plugins == ("bridge", "portmap")
    assert not with_portmap(text, other.path)
    secret = _files(a__conflist=json.dumps({**bare, "token": "t"}))
    assert not with_portmap("\n".join(hide(secret.splitlines())), conf.path)
