"""An ingress controller, brought to a cluster that is up only when something asks for it: it takes long to build."""

import json
import tempfile
from pathlib import Path

from tests.lab.laboratory import build, images, namespaces, recipes, shell
from tests.lab.laboratory.errors import LabError
from tests.lab.laboratory.paths import Home
from tests.lab.laboratory.spec import Spec

IMAGE = f"docker.io/library/traefik:{recipes.TRAEFIK}"
CTR = ["--address", "/run/containerd/containerd.sock", "-n", "k8s.io", "images"]


def bring(home: Home, name: str) -> None:
    """Builds the program unless it is there, and puts its image on every node that lacks it."""
    run = home.run(name)
    lacking = [node for node in [each.name for each in Spec.load(run).nodes] if not _has(home, run, node)]
    if not lacking:
        return
    build.build(home, ("traefik",), quiet=True)
    with tempfile.TemporaryDirectory(prefix="netlab-ingress-") as folder:
        archive = Path(folder) / "image.tar"
        images.write([images.traefik(home, IMAGE)], archive)
        for node in lacking:
            command = [str(home.bin / "ctr"), *CTR, "import", str(archive)]
            if namespaces.call(namespaces.load(run, node), command, {}):
                raise LabError(f"the image of the ingress controller could not be imported on {node}")


def gateway_definitions() -> Path:
    """The folder with the Gateway API's resource definitions, of the release that Traefik is built with."""
    said = shell.output(["go", "mod", "download", "-json", f"sigs.k8s.io/gateway-api@{recipes.GATEWAY_API}"])
    return Path(json.loads(said)["Dir"]) / "config" / "crd" / "standard"


def _has(home: Home, run: object, node: str) -> bool:
    listing = namespaces.load(run, node).run(f"{home.bin}/ctr {' '.join(CTR)} ls -q")  # type: ignore[arg-type]
    return IMAGE in listing.split()
