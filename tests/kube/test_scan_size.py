"""What a scan costs against the size of a cluster: time against parsing the same bytes, and memory at its peak."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.contract.repository import ROOT
from tests.kube.big import Pages, cluster, serve
from tests.kube.fakeapi import FakeApi

MOST_TIMES_PARSING = 10
MOST_BYTES = 150 * 1024 * 1024

CHILD = """
import json, sys, time
from pathlib import Path
from tests.unit.memory import peak
from kubectl_netdebug.cli.main import main
began = time.process_time()
code = main(["scan", "-A", "-o", "json"])
seconds, held = time.process_time() - began, peak()
began = time.process_time()
for page in sorted(Path(sys.argv[1]).iterdir()):
    json.loads(page.read_bytes())
print(json.dumps({"code": code, "seconds": seconds, "parsing": time.process_time() - began, "peak": held}))
"""


def measured(pages: Pages, folder: Path) -> dict[str, float]:
    kept = folder / "pages"
    kept.mkdir()
    for number, page in enumerate(page for some in pages.values() for page in some):
        (kept / f"{number:05}").write_bytes(page)
    with FakeApi() as api:
        serve(api, pages)
        env = {**os.environ, "PYTHONPATH": str(ROOT), "KUBECONFIG": str(api.kubeconfig(folder)), "HOME": str(folder)}
        ran = subprocess.run(
            [sys.executable, "-c", CHILD, str(kept)], env=env, capture_output=True, text=True, timeout=500, cwd=folder
        )
    assert ran.returncode == 0, ran.stderr
    printed = ran.stdout.splitlines()
    result = json.loads("\n".join(printed[:-1]))
    return {**json.loads(printed[-1]), "objects": len(result["objects"]), "reads": result["run"]["apiCalls"]}


@pytest.mark.timeout(600)
def test_a_big_healthy_cluster_costs_little_more_than_reading_it(tmp_path: Path) -> None:
    cost = measured(cluster(2000, 4000, 40_000), tmp_path)

    assert cost["code"] == 0
    assert cost["objects"] == 0
    assert cost["seconds"] <= MOST_TIMES_PARSING * cost["parsing"], cost
    assert cost["peak"] <= MOST_BYTES, cost


@pytest.mark.timeout(600)
def test_cost_grows_with_what_is_broken_not_with_the_rest(tmp_path: Path) -> None:
    costs = []
    for services in (500, 2000):
        folder = tmp_path / str(services)
        folder.mkdir()
        costs.append(measured(cluster(100, services, services * 5, broken=10), folder))

    assert [cost["objects"] for cost in costs] == [10, 10]
    # The pages of three lists more; what is read about the ten is the same.
    assert costs[1]["reads"] - costs[0]["reads"] <= 8, costs
