"""Where everything lies on disk."""

import os
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
MANIFESTS = Path(__file__).resolve().parent / "manifests"


@dataclass(frozen=True)
class Home:
    """The cache that all clusters share."""

    root: Path

    @staticmethod
    def find() -> "Home":
        """$NETLAB, or ~/.cache/netlab."""
        return Home(Path(os.environ.get("NETLAB") or Path.home() / ".cache" / "netlab").absolute())

    @property
    def bin(self) -> Path:
        return self.root / "bin"

    @property
    def src(self) -> Path:
        return self.root / "src"

    @property
    def person_path(self) -> Path:
        """The directory that `netlab run` puts on PATH. Not `bin`, whose CNI plugin is called `bridge` too."""
        return self.root / "path"

    @property
    def stamps(self) -> Path:
        return self.root / "stamps"

    @property
    def calico_crds(self) -> Path:
        return self.root / "calico-crds"

    @property
    def stores(self) -> Path:
        """Imported image stores, one directory for each content key."""
        return self.root / "images"

    @property
    def locks(self) -> Path:
        return self.root / "locks"

    @property
    def runs(self) -> Path:
        return self.root / "run"

    def run(self, name: str) -> "Run":
        return Run(self.runs / name, name)


@dataclass(frozen=True)
class Run:
    """The directory of one cluster; `down` deletes it whole."""

    root: Path
    name: str

    @property
    def spec(self) -> Path:
        return self.root / "cluster.json"

    @property
    def ready(self) -> Path:
        """Exists once the cluster has come up whole."""
        return self.root / "ready"

    @property
    def namespaces(self) -> Path:
        return self.root / "namespaces"

    @property
    def components(self) -> Path:
        return self.root / "components"

    @property
    def logs(self) -> Path:
        return self.root / "log"

    @property
    def pki(self) -> Path:
        return self.root / "pki"

    @property
    def etcd(self) -> Path:
        return self.root / "etcd"

    @property
    def world(self) -> Path:
        return self.root / "world"

    @property
    def kubectl_cache(self) -> Path:
        return self.root / "kubectl-cache"

    def node(self, node: str) -> Path:
        return self.root / "nodes" / node

    def kubeconfig(self, user: str) -> Path:
        return self.root / "kubeconfig" / f"{user}.kubeconfig"

    def log(self, component: str) -> Path:
        return self.logs / f"{component}.log"

    def make(self) -> None:
        for directory in (self.namespaces, self.components, self.logs, self.pki, self.etcd, self.world):
            directory.mkdir(parents=True, exist_ok=True)
        self.kubeconfig("x").parent.mkdir(exist_ok=True)
        self.etcd.chmod(0o700)
        self.pki.chmod(0o700)
