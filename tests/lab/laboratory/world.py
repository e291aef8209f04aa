"""The outside: a DNS server and a web server beyond the cluster's router."""

from tests.lab.laboratory import components
from tests.lab.laboratory.namespaces import Namespace
from tests.lab.laboratory.paths import Home, Run
from tests.lab.laboratory.spec import OUTSIDE_DNS, OUTSIDE_HOST

COREFILE = """
.:53 {{
    bind {address}
    errors
    file {zone} .
}}
"""

# A whole root zone: what is not listed does not exist (NXDOMAIN, not to be cached for long).
ZONE = f"""
$ORIGIN .
$TTL 30
. IN SOA ns.lab. admin.lab. 1 60 60 60 5
. IN NS ns.lab.
ns.lab. IN A {OUTSIDE_DNS}
example.lab. IN A {OUTSIDE_HOST}
www.example.lab. IN A {OUTSIDE_HOST}
db.example.lab. IN A {OUTSIDE_HOST}
"""


def start(home: Home, run: Run, machine: Namespace) -> None:
    (run.world / "zone").write_text(ZONE)
    (run.world / "Corefile").write_text(COREFILE.format(address=OUTSIDE_DNS, zone=run.world / "zone"))
    components.start(run, "world-dns", machine, [f"{home.bin}/coredns", "-conf", f"{run.world}/Corefile"])
    components.start(run, "world-web", machine, [f"{home.bin}/agnhost", "netexec", "--http-port=80"])
