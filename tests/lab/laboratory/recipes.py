"""How each part is built from Go modules: pure data, so that a hash of it tells whether a part is up to date."""

import hashlib
import json
from dataclasses import asdict, dataclass, field

KUBERNETES = "v1.37.2"
CONTAINERD = "v2.4.2"
COREDNS = "v1.15.0"
CNI_PLUGINS = "v1.9.1"
CALICO = "v1.11.0-cni-plugin.0.20250813170300-a0db560f0520"
CALICO_MODULE = "github.com/projectcalico/calico"
CALICO_KUBERNETES = "v0.29.15"
TRAEFIK = "v3.7.13"
GATEWAY_API = "v1.6.1"
TRAEFIK_MODULE = "github.com/traefik/traefik/v3"
LEGO = "github.com/go-acme/lego/v5"
LEGO_VERSION = "v5.4.1"
GO = "1.26.0"

OUT = "@OUT@"
"""Stands in a command for the directory that receives the programs."""

STRIP = "-s -w"


@dataclass(frozen=True)
class Step:
    argv: list[str]
    env: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Recipe:
    """A part: the files of its Go module, the commands run there, and what each program must be made of."""

    name: str
    files: dict[str, str]
    steps: list[Step]
    programs: dict[str, tuple[str, str]]

    @property
    def hash(self) -> str:
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


def kubernetes() -> Recipe:
    """Kubernetes' programs and etcd, by small main packages of our own: `go install` refuses a module whose go.mod
    has `replace`, and k8s.io/kubernetes replaces every one of its staging repositories."""
    staging = _words(
        """
        api apiextensions-apiserver apimachinery apiserver cli-runtime client-go cloud-provider
        cluster-bootstrap code-generator component-base component-helpers controller-manager cri-api
        cri-client cri-streaming streaming csi-translation-lib dynamic-resource-allocation
        endpointslice externaljwt kms kube-aggregator kube-controller-manager kube-proxy
        kube-scheduler kubectl kubelet metrics mount-utils pod-security-admission sample-apiserver
        """
    )
    version = KUBERNETES.removeprefix("v1.")
    replaced = [f"replace k8s.io/{module} => k8s.io/{module} v0.{version}" for module in staging]
    commands = {
        "kube-apiserver": "NewAPIServerCommand()",
        "kube-controller-manager": "NewControllerManagerCommand()",
        "kube-scheduler": "NewSchedulerCommand()",
        "kube-proxy": "NewProxyCommand()",
        "kubelet": "NewKubeletCommand(context.Background())",
    }
    files = {f"{name}/main.go": _kubernetes_main(name, call) for name, call in commands.items()}
    files["etcd/main.go"] = _ETCD_MAIN
    files["tools.go"] = _tools("k8s.io/kubernetes/cmd/kubectl", "k8s.io/kubernetes/test/images/agnhost")
    files["go.mod"] = _module("kubernetes", [f"require k8s.io/kubernetes {KUBERNETES}", *replaced])
    names = "k8s.io/component-base/version"
    stamp = f"-X {names}.gitVersion={KUBERNETES} -X {names}.gitMajor=1"
    stamp += f" -X {names}.gitMinor={version.split('.')[0]} -X {names}.gitTreeState=clean"
    build = ["go", "build", "-trimpath", "-o", f"{OUT}/", "-ldflags", f"{STRIP} {stamp}"]
    static = {"CGO_ENABLED": "0"}
    steps = [
        Step(["go", "mod", "tidy"]),
        Step([*build, "./..."], static),
        Step([*build, "k8s.io/kubernetes/cmd/kubectl", "k8s.io/kubernetes/test/images/agnhost"], static),
    ]
    programs = dict.fromkeys([*commands, "kubectl", "agnhost"], ("k8s.io/kubernetes", KUBERNETES))
    return Recipe("kubernetes", files, steps, {**programs, "etcd": ("go.etcd.io/etcd/server/v3", "v3")})


def containers() -> Recipe:
    """containerd, the reference CNI plugins and CoreDNS: modules that `go install` takes as they are."""
    plugins, daemon = "github.com/containernetworking/plugins", "github.com/containerd/containerd/v2"
    sources = {
        plugins: (CNI_PLUGINS, ["main/bridge", "main/ptp", "main/loopback", "ipam/host-local", "meta/portmap"]),
        daemon: (CONTAINERD, ["containerd", "ctr", "containerd-shim-runc-v2"]),
    }
    folders = {plugins: "plugins", daemon: "cmd"}
    env = {"CGO_ENABLED": "0", "GOBIN": OUT}
    steps: list[Step] = []
    programs: dict[str, tuple[str, str]] = {}
    for module, (version, packages) in sources.items():
        steps += [
            Step(["go", "install", f"{module}/{folders[module]}/{package}@{version}"], env) for package in packages
        ]
        programs |= {package.rpartition("/")[2]: (module, version) for package in packages}
    steps.append(Step(["go", "install", "-ldflags", STRIP, f"github.com/coredns/coredns@{COREDNS}"], env))
    return Recipe("containers", {}, steps, {**programs, "coredns": ("github.com/coredns/coredns", COREDNS)})


def calico() -> Recipe:
    """Calico's agent and CNI plugin, with the Kubernetes libraries that its own go.mod replaces."""
    staging = _words(
        """
        api apiextensions-apiserver apimachinery apiserver cli-runtime client-go cloud-provider
        cluster-bootstrap code-generator component-base component-helpers controller-manager cri-api
        csi-translation-lib endpointslice kube-aggregator kube-controller-manager kube-proxy
        kube-scheduler kubectl kubelet legacy-cloud-providers metrics mount-utils
        pod-security-admission sample-apiserver
        """
    )
    replaced = {f"k8s.io/{module}": CALICO_KUBERNETES for module in staging} | {
        "k8s.io/kubernetes": CALICO_KUBERNETES.replace("v0", "v1"),
        "github.com/projectcalico/api": "v0.0.0-20240708202104-e3f70b269c2c",
        "sigs.k8s.io/knftables": "v0.0.17-0.20240627140917-8d2660d78107",
    }
    lines = [f"replace {module} => {module} {version}" for module, version in replaced.items()]
    agent, plugin = f"{CALICO_MODULE}/felix/cmd/calico-felix", f"{CALICO_MODULE}/cni-plugin/cmd/calico"
    files = {
        "go.mod": _module("calico", [f"require {CALICO_MODULE} {CALICO}", *lines]),
        "tools.go": _tools(plugin, agent),
    }
    build = ["go", "build", "-ldflags", STRIP, "-o", f"{OUT}/"]
    steps = [
        Step([*build, agent], {"GOFLAGS": "-mod=mod", "CGO_ENABLED": "1"}),
        Step([*build, plugin], {"GOFLAGS": "-mod=mod", "CGO_ENABLED": "0"}),
    ]
    programs = dict.fromkeys(("calico-felix", "calico"), (CALICO_MODULE, CALICO))
    return Recipe("calico", files, steps, programs)


def traefik() -> Recipe:
    """Traefik, which serves Ingresses and the Gateway API. Its go.mod replaces modules, so it is built as a dependency.

    Left out: its web pages, and the hundred DNS providers of its certificate client, which are most of its code.
    """
    source = f'$(go mod download -json {TRAEFIK_MODULE}@{TRAEFIK} | sed -n \'s/.*"Dir": "\\(.*\\)".*/\\1/p\')'
    lego = f'$(go mod download -json {LEGO}@{LEGO_VERSION} | sed -n \'s/.*"Dir": "\\(.*\\)".*/\\1/p\')'
    own = [f"require {TRAEFIK_MODULE} {TRAEFIK}", f"replace {LEGO} => ./lego"]
    edits = [
        "s|^module .*|module netlab/traefik|",
        "s|=> ./pkg/config/dynamic/ext|=> ./ext|",
        # The version of this fork that Traefik asks for is not served by the public proxy; the one before it fits.
        "s|containous/go-http-auth v.*|containous/go-http-auth v0.4.1-0.20200324110947-a37a7636d23e|",
    ]
    prepare = [
        f"source={source}; lego={lego}",
        "sed " + " ".join(f"-e '{edit}'" for edit in edits) + ' "$source/go.mod" > go.mod',
        *(f"echo '{line}' >> go.mod" for line in own),
        'grep -v go-http-auth "$source/go.sum" > go.sum',
        'cp -r "$lego" lego && chmod -R u+w lego && rm -rf lego/providers/dns/*',
        "cp stub/dns.go lego/providers/dns/dns.go && rm -r stub",
    ]
    files = {
        "ext/go.mod": "module github.com/traefik/traefik/dynamic/ext\n\ngo 1.26.0\n",
        "ext/ext.go": _TRAEFIK_EXT,
        "stub/dns.go": _LEGO_DNS,
        "tools.go": _tools(f"{TRAEFIK_MODULE}/cmd/traefik"),
    }
    build = [
        "go",
        "build",
        "-mod=mod",
        "-trimpath",
        "-ldflags",
        STRIP,
        "-o",
        f"{OUT}/",
        f"{TRAEFIK_MODULE}/cmd/traefik",
    ]
    steps = [Step(["sh", "-ec", "\n".join(prepare)]), Step(build, {"CGO_ENABLED": "0"})]
    return Recipe("traefik", files, steps, {"traefik": (TRAEFIK_MODULE, TRAEFIK)})


def _words(text: str) -> list[str]:
    return text.split()


def _module(name: str, lines: list[str]) -> str:
    return "\n".join([f"module netlab/{name}", f"go {GO}", *lines]) + "\n"


def _tools(*packages: str) -> str:
    """A file that no build takes, but which makes the module know the packages."""
    imports = "".join(f'\t_ "{package}"\n' for package in packages)
    return f"//go:build tools\n\npackage tools\n\nimport (\n{imports})\n"


def _kubernetes_main(name: str, call: str) -> str:
    context = '\t"context"\n' if "context." in call else ""
    return f"""package main

import (
{context}\t"os"

\t"k8s.io/component-base/cli"
\t_ "k8s.io/component-base/logs/json/register"
\t_ "k8s.io/component-base/metrics/prometheus/clientgo"
\t_ "k8s.io/component-base/metrics/prometheus/version"
\t"k8s.io/kubernetes/cmd/{name}/app"
)

func main() {{ os.Exit(cli.Run(app.{call})) }}
"""


_ETCD_MAIN = """package main

import (
\t"os"

\t"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
"""


_TRAEFIK_EXT = """package ext

type HTTP struct{}
type Router struct{}

func (in *HTTP) DeepCopyInto(out *HTTP)     { *out = *in }
func (in *Router) DeepCopyInto(out *Router) { *out = *in }
"""

_LEGO_DNS = """package dns

import (
\t"fmt"

\t"github.com/go-acme/lego/v5/challenge"
)

func NewDNSChallengeProviderByName(name string) (challenge.Provider, error) {
\treturn nil, fmt.Errorf("unrecognized DNS provider: %s", name)
}
"""
