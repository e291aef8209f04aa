"""What the laboratory needs from Debian, and which program needs it."""

import os
import shutil
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tests.lab.laboratory.errors import LabError
from tests.lab.laboratory.namespaces import PATH


@dataclass(frozen=True)
class Requirement:
    """A package, shown to be there by a program or a file of it."""

    package: str
    proof: str
    wanted_by: str

    @property
    def met(self) -> bool:
        if self.proof.startswith("/"):
            return Path(self.proof).exists()
        return shutil.which(self.proof, path=f"{PATH}:{os.environ.get('PATH', '')}") is not None


RUNNING = (
    Requirement("runc", "runc", "containerd"),
    Requirement("iptables", "xtables-nft-multi", "kube-proxy, Felix, the portmap plugin, the tools image"),
    Requirement("nftables", "nft", "kube-proxy, the tools image"),
    Requirement("ipset", "ipset", "Felix, the tools image"),
    Requirement("conntrack", "conntrack", "kube-proxy, the tools image"),
    Requirement("iproute2", "ip", "the network between the machines, the tools image"),
    Requirement("util-linux", "nsenter", "every command on a machine"),
    Requirement("mount", "mount", "the nodes' file systems, kubelet"),
    Requirement("hostname", "hostname", "the machines' names"),
    Requirement("procps", "sysctl", "the machines' kernel settings, the tools image"),
    Requirement("openssl", "openssl", "the certificates, the tools image"),
    Requirement("curl", "curl", "the tools image"),
    Requirement("bind9-dnsutils", "dig", "the tools image"),
    Requirement("netcat-openbsd", "nc.openbsd", "the tools image"),
    Requirement("netcat-traditional", "nc.traditional", "every image with a shell"),
    Requirement("ethtool", "ethtool", "the tools image"),
    Requirement("tcpdump", "tcpdump", "the tools image"),
    Requirement("bash", "bash", "the tools image"),
)
BUILDING = (Requirement("golang-go", "go", "every part that is built"),)
BUILDING_CALICO = (
    Requirement("gcc", "gcc", "building Felix"),
    Requirement("libc6-dev", "/usr/include/stdlib.h", "building Felix"),
    Requirement("libpcap-dev", "/usr/include/pcap/pcap.h", "building Felix"),
    Requirement("libelf-dev", "/usr/include/libelf.h", "building Felix"),
    Requirement("libbpf-dev", "/usr/include/bpf/bpf.h", "building Felix"),
)


def ensure(requirements: Iterable[Requirement], install: bool = False) -> None:
    """Raises LabError with exit 2 and the command that helps when packages are missing, or installs them."""
    missing = [each for each in requirements if not each.met]
    if not missing:
        return
    names = sorted({each.package for each in missing})
    command = f"apt-get install -y --no-install-recommends {' '.join(names)}"
    if not install:
        lines = "\n".join(f"    {each.package:<16} for {each.wanted_by}" for each in missing)
        raise LabError(
            f"packages are missing:\n{lines}\nInstall them with\n    {command}\nor with `netlab build --install`.",
            code=2,
        )
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for step in ("apt-get update", command):
        if subprocess.run(step.split(), env=environment).returncode:
            raise LabError(f"`{step}` failed", code=2)
    ensure(missing)
