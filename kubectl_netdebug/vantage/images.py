"""Images that are on a node already, so that probing needs no pull."""

from __future__ import annotations

from collections.abc import Sequence

from kubectl_netdebug.kube import errors
from kubectl_netdebug.kube.session import Session
from kubectl_netdebug.model.objects.node import read_node
from kubectl_netdebug.vantage import resources

DEFAULT_IMAGE = "docker.io/library/busybox:1.37"
SMALL_FIRST = ("busybox", "netshoot", "nettools", "alpine", "agnhost")
"""Images with a shell and a way to connect, the smallest first."""

RICH_FIRST = ("netshoot", "nettools", "busybox", "alpine")
"""Images with tools to read a node with, the richest first; the node's own tools are preferred to all of them."""


def image_on_node(session: Session, node: str, known: Sequence[str]) -> str:
    """The first known image that the node reports as present; '' where none is, or nodes may not be read."""
    try:
        images = read_node(session.get(resources.path("nodes", "", node), deadline=5.0)).images
    except errors.KubeError:
        return ""
    tagged = [image for image in images if "@" not in image]
    for name in known:
        for image in tagged:
            if image.rsplit("/", 1)[-1].split(":", 1)[0] == name:
                return image
    return ""
