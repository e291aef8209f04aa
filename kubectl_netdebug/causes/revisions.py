"""What a workload looked like before its last change, so that undoing it is offered only where that can help."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from kubectl_netdebug.causes import asks
from kubectl_netdebug.model.command import Fix, kubectl
from kubectl_netdebug.model.finding import ObjectRef
from kubectl_netdebug.model.look import Look
from kubectl_netdebug.model.objects import tree
from kubectl_netdebug.model.objects.pod import Pod

REVISION = "deployment.kubernetes.io/revision"
RESTARTED = "kubectl.kubernetes.io/restartedAt"
ROLLOUT = 3600.0
"""Seconds after a revision was made within which its Pods count as made by that rollout, not replaced later."""

Part = Callable[[Mapping[str, Any]], Any]


@dataclass(frozen=True)
class Revision:
    """One revision of a Pod template."""

    name: str
    number: int
    template: Mapping[str, Any]
    created: datetime | None

    @property
    def spec(self) -> Mapping[str, Any]:
        """The Pod spec in it."""
        spec = tree.dig(self.template, "spec")
        return spec if isinstance(spec, Mapping) else {}

    @property
    def restarted(self) -> str:
        """When `kubectl rollout restart` made it, or ''."""
        return tree.text(self.template, "metadata", "annotations", RESTARTED)


@dataclass(frozen=True)
class Change:
    """The last change of a template that the Pod in question was made by."""

    before: Revision
    after: Revision

    def touched(self, part: Part) -> bool:
        """Whether it changed this part of the Pod spec."""
        return bool(part(self.before.spec) != part(self.after.spec))

    @property
    def visible(self) -> bool:
        """Whether undoing it can make a difference: it did more than restart the same template.

        Values of environment variables are not known here, so two templates that look alike may differ in one.
        """
        return self.before.spec != self.after.spec or self.before.restarted == self.after.restarted


def last_change(look: Look, owner: ObjectRef, pod: Pod) -> Change | None:
    """The change that made this Pod, if it was the last one, is fresh, and what was before is still known."""
    revisions = _history(look, owner)
    if len(revisions) < 2:
        return None
    after, before = revisions[0], revisions[1]
    if not _made_by(pod, after) or _replaced_later(pod, after):
        return None
    return Change(before, after)


def undo(owner: ObjectRef, change: Change) -> Fix:
    """Back to the revision before."""
    by_hand = " (and delete its broken Pod: a StatefulSet waits for that one)" if owner.kind == "StatefulSet" else ""
    return Fix(
        f"undo the last change: back to revision {change.before.number}{by_hand}",
        kubectl("rollout", "undo", owner.short, f"--to-revision={change.before.number}", namespace=owner.namespace),
    )


def undo_of(look: Look, owner: ObjectRef, pod: Pod, part: Part) -> Fix | None:
    """Undoing the last change, where that one changed this part of the Pod spec."""
    change = last_change(look, owner, pod)
    return undo(owner, change) if change and change.touched(part) else None


def _history(look: Look, owner: ObjectRef) -> list[Revision]:
    """The revisions that the cluster still keeps, the newest first."""
    if owner.kind == "Deployment":
        found = look.if_known(asks.objects_in("replicasets.apps", owner.namespace)) or []
        revisions = [_of_replica_set(raw) for raw in found if _owned(raw, owner)]
    elif owner.kind in ("StatefulSet", "DaemonSet"):
        found = look.if_known(asks.objects_in("controllerrevisions.apps", owner.namespace)) or []
        revisions = [_of_controller(raw) for raw in found if _owned(raw, owner)]
    else:
        return []
    return sorted(revisions, key=lambda revision: -revision.number)


def _owned(raw: Mapping[str, Any], owner: ObjectRef) -> bool:
    owners = tree.entries(raw, "metadata", "ownerReferences")
    return any(tree.text(o, "kind") == owner.kind and tree.text(o, "name") == owner.name for o in owners)


def _of_replica_set(raw: Mapping[str, Any]) -> Revision:
    number = tree.text(raw, "metadata", "annotations", REVISION)
    return _revision(raw, int(number) if number.isdecimal() else 0, tree.dig(raw, "spec", "template"))


def _of_controller(raw: Mapping[str, Any]) -> Revision:
    return _revision(raw, tree.number(raw, "revision"), tree.dig(raw, "data", "spec", "template"))


def _revision(raw: Mapping[str, Any], number: int, template: Any) -> Revision:
    return Revision(
        name=tree.text(raw, "metadata", "name"),
        number=number,
        template=template if isinstance(template, Mapping) else {},
        created=tree.when(raw, "metadata", "creationTimestamp"),
    )


def _made_by(pod: Pod, revision: Revision) -> bool:
    if pod.owner_kind == "ReplicaSet":
        return pod.owner_name == revision.name
    label = pod.labels.get("controller-revision-hash", "")
    return bool(label) and (revision.name == label or revision.name.endswith(f"-{label}"))


def _replaced_later(pod: Pod, revision: Revision) -> bool:
    """The rollout was long over when this Pod was made, so the template served well and something else has changed."""
    if pod.created is None or revision.created is None:
        return False
    return (pod.created - revision.created).total_seconds() > ROLLOUT
