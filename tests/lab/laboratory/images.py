"""The container images, put together from this machine's programs and the laboratory's own.

An image is a list of layers, a layer a map of paths. What an image holds is described first (`Entry`), so that its
content can be told from that description without reading the files."""

import hashlib
import io
import json
import platform
import shutil
import tarfile
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from tests.lab.laboratory.errors import LabError
from tests.lab.laboratory.paths import Home
from tests.lab.laboratory.shell import attempt, output

PAUSE = "registry.k8s.io/pause:3.10.1"
COREDNS = "registry.k8s.io/coredns/coredns:v1.15.0"
AGNHOST = "registry.k8s.io/e2e-test-images/agnhost:2.59"
BUSYBOX = "docker.io/library/busybox:1.37"
NETTOOLS = "lab.local/nettools:1"

TOOLS = ["ip", "bridge", "tc", "ss", "nft", "xtables-nft-multi", "xtables-legacy-multi", "ipset", "conntrack"]
TOOLS += ["tcpdump", "curl", "dig", "sysctl", "ethtool", "nsenter", "openssl", "bash", "nc.openbsd"]
IPTABLES = [f"{name}{action}" for name in ("iptables", "ip6tables") for action in ("", "-save", "-restore")]
IPTABLES_NFT = [*IPTABLES, *(name.replace("tables", "tables-nft") for name in IPTABLES)]
IPTABLES_LEGACY = [name.replace("tables", "tables-legacy") for name in IPTABLES]

USERS = b"""root:x:0:0:root:/:/bin/sh
tcpdump:x:100:100:tcpdump:/:/bin/false
nobody:x:65534:65534:nobody:/:/bin/false
nonroot:x:65532:65532:nonroot:/:/bin/sh
"""
GROUPS = b"root:x:0:\ntcpdump:x:100:\nnogroup:x:65534:\nnonroot:x:65532:\n"


@dataclass(frozen=True)
class Entry:
    """A file of a layer: a copy of `source`, or given bytes, or a symbolic link."""

    source: Path | None = None
    data: bytes = b""
    link: str = ""
    mode: int = 0o755

    @property
    def identity(self) -> str:
        """Says what the file holds; a copied file is known by its size and time of change."""
        if self.source is None:
            return f"{self.link}|{self.mode}|{hashlib.sha256(self.data).hexdigest()}"
        status = self.source.stat()
        return f"{self.source}|{self.mode}|{status.st_size}|{status.st_mtime_ns}"


Layer = dict[str, Entry]


@dataclass(frozen=True)
class Image:
    name: str
    layers: list[Layer]
    entrypoint: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)


def describe(home: Home) -> list[Image]:
    """Every image that a node holds, in terms of files that exist now."""
    base = _busybox(home)
    return [
        Image(PAUSE, [base], entrypoint=["/bin/sleep", "infinity"]),
        Image(BUSYBOX, [base], command=["/bin/sh"]),
        Image(COREDNS, [{"coredns": Entry(home.bin / "coredns")}], entrypoint=["/coredns"]),
        Image(AGNHOST, [base, {"agnhost": Entry(home.bin / "agnhost")}], entrypoint=["/agnhost"]),
        Image(NETTOOLS, [base, _tools()], command=["/bin/sh"]),
    ]


def traefik(home: Home, name: str) -> Image:
    """The ingress controller, which no node holds from the start."""
    return Image(name, [_busybox(home), {"traefik": Entry(home.bin / "traefik")}], entrypoint=["/traefik"])


def key(images: Iterable[Image]) -> str:
    """A short name for exactly this content."""
    description = [
        [image.name, image.entrypoint, image.command]
        + [sorted((path, entry.identity) for path, entry in layer.items()) for layer in image.layers]
        for image in images
    ]
    return hashlib.sha256(json.dumps([_FORMAT, description]).encode()).hexdigest()[:16]


_FORMAT = 1  # to be raised when `write` changes what it makes of the same description


def write(images: Iterable[Image], path: Path) -> None:
    """An archive in the OCI image layout (github.com/opencontainers/image-spec) that holds all the images."""
    blobs: dict[str, bytes] = {}
    made: dict[int, str] = {}

    def blob(data: bytes) -> str:
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        blobs[digest] = data
        return digest

    def layer_blob(layer: Layer) -> str:
        if id(layer) not in made:
            made[id(layer)] = blob(_archive(layer))
        return made[id(layer)]

    manifests = []
    for image in images:
        layers = [layer_blob(layer) for layer in image.layers]
        config = blob(json.dumps(_config(image, layers)).encode())
        manifest = {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": _descriptor("application/vnd.oci.image.config.v1+json", config, blobs),
            "layers": [_descriptor("application/vnd.oci.image.layer.v1.tar", layer, blobs) for layer in layers],
        }
        entry = _descriptor(manifest["mediaType"], blob(json.dumps(manifest).encode()), blobs)
        names = {"io.containerd.image.name": image.name, "org.opencontainers.image.ref.name": image.name}
        manifests.append({**entry, "annotations": names})
    index = json.dumps({"schemaVersion": 2, "manifests": manifests}).encode()
    with tarfile.open(path, "w") as archive:
        _add(archive, "oci-layout", b'{"imageLayoutVersion":"1.0.0"}')
        _add(archive, "index.json", index)
        for digest, data in blobs.items():
            _add(archive, f"blobs/sha256/{digest.removeprefix('sha256:')}", data)


def _descriptor(kind: object, digest: str, blobs: dict[str, bytes]) -> dict[str, object]:
    return {"mediaType": kind, "digest": digest, "size": len(blobs[digest])}


def _config(image: Image, layers: list[str]) -> dict[str, object]:
    # usr first: where both have a program, the real one comes before busybox's.
    config: dict[str, object] = {"Env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"]}
    if image.entrypoint:
        config["Entrypoint"] = image.entrypoint
    if image.command:
        config["Cmd"] = image.command
    return {
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine()),
        "os": "linux",
        "config": config,
        "rootfs": {"type": "layers", "diff_ids": layers},
    }


def _archive(layer: Layer) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        directories: set[str] = set()
        for path, entry in sorted(layer.items()):
            for directory in reversed([str(parent) for parent in Path(path).parents if str(parent) != "."]):
                if directory not in directories:
                    directories.add(directory)
                    info = tarfile.TarInfo(directory)
                    info.type, info.mode = tarfile.DIRTYPE, 0o1777 if directory == "tmp" else 0o755
                    archive.addfile(info)
            if entry.link:
                info = tarfile.TarInfo(path)
                info.type, info.linkname = tarfile.SYMTYPE, entry.link
                archive.addfile(info)
            else:
                _add(archive, path, entry.source.read_bytes() if entry.source else entry.data, entry.mode)
    return buffer.getvalue()


def _add(archive: tarfile.TarFile, path: str, data: bytes, mode: int = 0o644) -> None:
    info = tarfile.TarInfo(path)
    info.size, info.mode = len(data), mode
    archive.addfile(info, io.BytesIO(data))


NC = b"""\
#!/bin/sh
six= runs=
for word; do case $word in *:*:*) six=6;; -e) runs=e;; esac; done
case $six$runs in
  6) exec nc.openbsd "$@";;
  6e) exec busybox nc "$@";;
  *) exec nc.traditional "$@";;
esac
"""


def _busybox(home: Home) -> Layer:
    """Busybox with its applets. Debian's static one dies in getaddrinfo, so this is the dynamic one with its
    libraries, whichever of the two is installed."""
    program = _dynamic_busybox(home)
    layer = {
        "bin/busybox": Entry(program),
        "tmp/.keep": Entry(mode=0o644),
        "etc/passwd": Entry(data=USERS, mode=0o644),
        "etc/group": Entry(data=GROUPS, mode=0o644),
        "etc/nsswitch.conf": Entry(data=b"hosts: files dns\n", mode=0o644),
    }
    for applet in output([str(program), "--list"]).split():
        if applet != "busybox":
            layer[f"bin/{applet}"] = Entry(link="busybox")
    # Debian leaves UDP out of busybox's nc. The one in the image that people have does what netcat's first version did,
    # over IPv6 as well; of Debian's, one cannot do either.
    kinds = {f"bin/{name}": _which(name) for name in ("nc.traditional", "nc.openbsd")}
    layer |= {path: Entry(kind) for path, kind in kinds.items()}
    layer["bin/nc"] = Entry(data=NC)
    libraries = _libraries([program, *kinds.values()])
    c_library = next(Path(path) for path in libraries if path.endswith("/libc.so.6"))
    for library in ("libnss_dns.so.2", "libnss_files.so.2", "libresolv.so.2"):
        libraries[str(c_library.with_name(library))] = Entry(Path("/", c_library.with_name(library)).resolve())
    return layer | libraries


def _dynamic_busybox(home: Home) -> Path:
    installed = Path("/bin/busybox")
    if installed.exists() and _libraries([installed]):
        return installed
    unpacked = home.root / "busybox"
    if not (unpacked / "bin/busybox").exists():
        unpacked.mkdir(parents=True, exist_ok=True)
        download = "apt-get download -q busybox"
        script = f"{download} || {{ apt-get update -q && {download}; }}\ndpkg-deb -x busybox_*.deb ."
        output(["sh", "-ec", f'cd "$0"; {script}', str(unpacked)])
    return unpacked / "bin/busybox"


def _tools() -> Layer:
    """The network tools with their libraries, iptables' extensions and OpenSSL's configuration."""
    programs = {tool: _which(tool) for tool in TOOLS}
    layer = {f"usr/bin/{tool}": Entry(path) for tool, path in programs.items()}
    layer |= {f"usr/bin/{name}": Entry(link="xtables-nft-multi") for name in IPTABLES_NFT}
    layer |= {f"usr/bin/{name}": Entry(link="xtables-legacy-multi") for name in IPTABLES_LEGACY}
    layer |= {"bin/bash": Entry(link="../usr/bin/bash")}
    layer |= {"usr/bin/nc": Entry(programs["nc.openbsd"])}  # the one that speaks IPv6
    extensions = sorted(Path("/usr/lib").glob("*/xtables/*.so"))
    layer |= {str(path).lstrip("/"): Entry(path) for path in extensions}
    data = [*Path("/etc/iproute2").glob("*"), Path("/etc/protocols"), Path("/etc/services"), Path("/etc/ethertypes")]
    layer |= {str(path).lstrip("/"): Entry(path, mode=0o644) for path in data if path.is_file()}
    layer["usr/lib/ssl/openssl.cnf"] = Entry(Path("/etc/ssl/openssl.cnf"), mode=0o644)
    return layer | _libraries([*programs.values(), *extensions])


def _which(program: str) -> Path:
    path = shutil.which(program, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if path is None:
        raise LabError(f"the program {program} is not installed", code=2)
    return Path(path).resolve()


def _libraries(programs: list[Path]) -> Layer:
    """The shared libraries that ldd(1) names, under the paths where the loader looks for them."""
    found = {}
    for line in attempt(["ldd", *map(str, programs)]).stdout.splitlines():
        path = next((word for word in line.split() if word.startswith("/")), "")
        if path and not path.endswith(":"):
            found[path.lstrip("/")] = Entry(Path(path).resolve())
    return found
