"""Commands that mend something on a node: a debugging Pod there, with an image that the node has already."""

from __future__ import annotations

from kubectl_netdebug.causes import asks
from kubectl_netdebug.model.command import Command, Fix, Risk, kubectl
from kubectl_netdebug.model.look import Look

IMAGES = ("netshoot", "nettools", "busybox", "alpine")
"""Names of images that hold a shell and `chroot`, the ones with most tools first."""

DEBUGGERS = ("-l", "app.kubernetes.io/managed-by=kubectl-debug")
"""The Pods that `kubectl debug node/…` makes."""


def on_node(look: Look, node: str, *argv: str) -> Command:
    """A command in the node's own file system and network. Without `-it`: it works where kubelets cannot be reached.

    kubectl gives its Pod a random name and leaves it there, so its end is awaited and it is deleted by its label. One
    whose command failed stays, with its log; such a one of before is not waited for.
    """
    debug = ("debug", f"node/{node}", "--profile=sysadmin", f"--image={_image(look, node)}")
    wait = ("wait", "pod", *DEBUGGERS, f"--field-selector=spec.nodeName={node},status.phase!=Failed", "--timeout=60s")
    delete = ("delete", "pod", *DEBUGGERS, f"--field-selector=spec.nodeName={node},status.phase=Succeeded")
    return Command(
        (*debug, "--", "chroot", "/host", *argv),
        then=(kubectl(*wait, "--for=jsonpath={.status.phase}=Succeeded"), kubectl(*delete)),
    )


def mend_on_node(
    look: Look, node: str, title: str, *argv: str, risk: Risk = Risk.REVERSIBLE, not_pasteable: str = ""
) -> Fix:
    """A fix that is such a command."""
    return Fix(title, on_node(look, node, *argv), risk, not_pasteable)


def _image(look: Look, node: str) -> str:
    found = next((n for n in look.if_known(asks.nodes()) or () if n.name == node), None)
    present = [image for image in (found.images if found else ()) if "@" not in image]
    for name in IMAGES:
        for image in present:
            if image.rsplit("/", 1)[-1].partition(":")[0] == name:
                return image
    return "busybox:1.37"
