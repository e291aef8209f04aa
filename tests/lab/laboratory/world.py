"""The outside: name server, web servers, TLS with good and bad certificates, proxies beyond the cluster's router."""

import sys
from pathlib import Path

from tests.lab.laboratory import components, world_pki
from tests.lab.laboratory.namespaces import Namespace
from tests.lab.laboratory.paths import Home, Run
from tests.lab.laboratory.spec import OUTSIDE_DNS, OUTSIDE_HOST, OUTSIDE_HOST6

OUTSIDE_TLS = "203.0.113.11"
"""TLS on 443 with the certificate that the name in the client's greeting asks for."""
OUTSIDE_SLOW = "203.0.113.12"
"""HTTP on 8080 that thinks before it answers."""
OUTSIDE_PROXY = "203.0.113.20"
"""A proxy on 3128 that lets everybody through."""
OUTSIDE_LOCKED_PROXY = "203.0.113.21"
"""A proxy on 3128 that asks for a password."""
OUTSIDE_INTERCEPTOR = "203.0.113.30"
"""TLS on 443 that makes a certificate for whatever name is asked, as an inspecting middlebox does."""

ADDRESSES = (OUTSIDE_TLS, OUTSIDE_SLOW, OUTSIDE_PROXY, OUTSIDE_LOCKED_PROXY, OUTSIDE_INTERCEPTOR)

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
good.example.lab. IN A {OUTSIDE_TLS}
expired.example.lab. IN A {OUTSIDE_TLS}
wrong.example.lab. IN A {OUTSIDE_TLS}
own.example.lab. IN A {OUTSIDE_TLS}
slow.example.lab. IN A {OUTSIDE_SLOW}
six.example.lab. IN AAAA {OUTSIDE_HOST6}
both.example.lab. IN A {OUTSIDE_HOST}
both.example.lab. IN AAAA {OUTSIDE_HOST6}
proxy.example.lab. IN A {OUTSIDE_PROXY}
locked-proxy.example.lab. IN A {OUTSIDE_LOCKED_PROXY}
"""

# Names for load balancers that cases imitate: whatever.lb44.example.lab is 192.0.2.44, and whatever.old.example.lab is
# an address of before, which nobody has any more.
ZONE += "".join(f"*.lb{number}.example.lab. IN A 192.0.2.{number}\n" for number in range(10, 251))
ZONE += "*.old.example.lab. IN A 203.0.113.99\n"

SERVERS = Path(__file__).resolve().parent / "world_servers.py"


def start(home: Home, run: Run, machine: Namespace) -> None:
    resolver = run.world / "resolv.conf"
    resolver.write_text(f"nameserver {OUTSIDE_DNS}\n")
    machine.run(
        "\n".join(f"ip addr add {address}/32 dev lo" for address in ADDRESSES)
        + f"\nmount -n --bind {resolver} /etc/resolv.conf"
    )
    (run.world / "zone").write_text(ZONE)
    (run.world / "Corefile").write_text(COREFILE.format(address=OUTSIDE_DNS, zone=run.world / "zone"))
    world_pki.create(run.world)
    components.start(run, "world-dns", machine, [f"{home.bin}/coredns", "-conf", f"{run.world}/Corefile"])
    components.start(run, "world-web", machine, [f"{home.bin}/agnhost", "netexec", "--http-port=80"])
    for name, arguments in {
        "world-tls": ["tls", str(run.world), f"{OUTSIDE_HOST}:443", f"{OUTSIDE_TLS}:443"],
        "world-db": ["mute", f"{OUTSIDE_HOST}:5432"],
        "world-slow": ["slow", f"{OUTSIDE_SLOW}:8080"],
        "world-proxy": ["proxy", f"{OUTSIDE_PROXY}:3128"],
        "world-locked-proxy": ["proxy", f"{OUTSIDE_LOCKED_PROXY}:3128", "--locked"],
        "world-interceptor": ["intercept", str(run.world), f"{OUTSIDE_INTERCEPTOR}:443"],
    }.items():
        components.start(run, name, machine, [sys.executable, "-I", str(SERVERS), *arguments])
