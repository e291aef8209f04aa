from __future__ import annotations

from typing import Any

from kubectl_netdebug.model.objects.calico_ipam import IPPool, lies_in_pool, read_block, read_pool


def raw_block(**changes: Any) -> dict[str, Any]:
    attributes = [
        {"handle_id": "net.one", "secondary": {"namespace": "shop", "pod": "web", "node": "n1"}},
        {"handle_id": "tunnel-n1", "secondary": {"type": "vxlanTunnelAddress", "node": "n1"}},
    ]
    spec = {"cidr": "10.1.0.4/30", "affinity": "host:n1", "allocations": [1, None, 0, None], "attributes": attributes}
    return {"metadata": {"name": "10-1-0-4-30"}, "spec": {**spec, **changes}}


def test_a_block_tells_whose_its_addresses_are() -> None:
    block = read_block(raw_block())

    assert block is not None
    assert (block.node, block.size, block.free) == ("n1", 4, 2)
    assert [(each.address, each.place, each.handle, each.pod) for each in block.allocations] == [
        ("10.1.0.4", 0, "tunnel-n1", ""),
        ("10.1.0.6", 2, "net.one", "web"),
    ]


def test_a_block_without_a_range_or_on_its_way_out_is_none() -> None:
    assert read_block(raw_block(cidr="nonsense")) is None
    assert read_block(raw_block(deleted=True)) is None
    assert read_block(raw_block(allocations="nonsense")) is None


def test_a_place_that_names_no_attribute_is_taken_by_nobody_known() -> None:
    block = read_block(raw_block(allocations=[7, True, -1, 10**30]))

    assert block is not None
    assert [(each.place, each.handle, each.pod) for each in block.allocations] == [(0, "", ""), (3, "", "")]


def test_a_pool_is_read() -> None:
    spec = {"cidr": "10.1.0.0/24", "disabled": True, "nodeSelector": "all()", "allowedUses": ["Tunnel"]}
    pool = read_pool({"metadata": {"name": "p"}, "spec": spec})

    assert (pool.name, pool.size, pool.disabled, pool.for_pods) == ("p", 256, True, False)
    assert read_pool({}).size == 0


def test_a_block_lies_in_the_pool_that_holds_all_of_it() -> None:
    block = read_block(raw_block())

    assert block is not None
    for cidr, expected in (
        *(("10.1.0.0/24", True), ("10.1.0.4/30", True), ("10.1.0.4/31", False)),
        *(("10.2.0.0/24", False), ("fd00::/64", False), ("", False)),
    ):
        assert lies_in_pool(block, IPPool("p", cidr, False, "", True)) is expected
