"""Ten thousand Services: cut down and compared for one of them in a bounded time and memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from kubectl_netdebug.net import proxy_iptables, proxy_nft
from kubectl_netdebug.net.iptables import read_saved
from kubectl_netdebug.net.nftables import read_ruleset
from kubectl_netdebug.net.proxy_reduce import reduce_iptables, reduce_nft
from tests.unit import rulesets

SERVICES = 10_000
ROOT = Path(__file__).parent.parent.parent

MEASURE = """
import json, sys, time
from kubectl_netdebug.net import proxy_iptables, proxy_nft
from kubectl_netdebug.net.iptables import read_saved
from kubectl_netdebug.net.nftables import read_ruleset
from kubectl_netdebug.net.proxy_reduce import reduce_iptables, reduce_nft
from tests.unit import rulesets
from tests.unit.memory import peak

path, mode = sys.argv[1:]
port = rulesets.service(4710)
begin = time.process_time()
for line in open(path):
    len(line.split())
words = time.process_time() - begin
begin = time.process_time()
with open(path) as lines:
    if mode == "iptables":
        rules = proxy_iptables.port_rules(read_saved(reduce_iptables(lines, (port,))), port)
    else:
        rules = proxy_nft.port_rules(read_ruleset(reduce_nft(lines, (port,))), port)
seconds = time.process_time() - begin
found = [t.place for t in rules.ways[0].targets]
print(json.dumps({"seconds": seconds, "words": words, "found": found, "bytes": peak()}))
"""


def measure(path: Path, mode: str) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(path), mode], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return dict(json.loads(done.stdout))


@pytest.mark.parametrize("mode", ["iptables", "nftables"])
def test_a_large_rule_set_is_read_within_its_budget(mode: str, tmp_path: Path) -> None:
    path = tmp_path / "rules"
    with path.open("w") as file:
        for line in rulesets.iptables_lines(SERVICES) if mode == "iptables" else rulesets.nft_lines(SERVICES):
            file.write(line + "\n")
    measured = measure(path, mode)
    assert [tuple(place) for place in measured["found"]] == rulesets.endpoints(4710)
    assert measured["bytes"] < 100_000_000
    # Splitting every line into words is the yardstick, so that a slow or busy machine changes nothing.
    assert measured["seconds"] < 6 * measured["words"]


@pytest.mark.parametrize("comments", [True, False])
@pytest.mark.parametrize("number", [0, 7, 199])
def test_reduced_to_one_of_many(number: int, comments: bool) -> None:
    port = rulesets.service(number)
    text = reduce_iptables(rulesets.iptables_lines(200, comments), (port,))
    saved = read_saved(text)
    assert len(text) < 5000
    assert saved.services == 199
    found = proxy_iptables.port_rules(saved, port)
    assert all([t.place for t in way.targets] == rulesets.endpoints(number) for way in found.ways)
    assert "192.0.2.0/24" in text
    assert found == proxy_iptables.port_rules(read_saved(rulesets.iptables_lines(200, comments)), port)


@pytest.mark.parametrize("number", [0, 7, 199])
def test_listing_reduced_to_one_of_many(number: int) -> None:
    port = rulesets.service(number)
    text = reduce_nft(rulesets.nft_lines(200), (port,))
    assert len(text) < 3000
    found = proxy_nft.port_rules(read_ruleset(text), port)
    assert all([t.place for t in way.targets] == rulesets.endpoints(number) for way in found.ways)
    assert len(found.ways) == (2 if number % 10 == 0 else 1)
    assert "192.0.2.0/24" in text
