"""Lists that were read whole, and the facts that they answer: what a live read of the API would have given.

A scan asks thousands of questions about the same few lists. Each is read once; selections by label or field are then
made here, by indexes, with the API server's own meaning of the selectors that causes use.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from kubectl_netdebug.model.facts import Answer, FactKey, Known, Object, Objects, Unknown
from kubectl_netdebug.model.objects import tree

Raw = Mapping[str, Any]

EVERYWHERE = ""
"""In place of a namespace: all of them, and what has none."""


class Lists:
    """Whole lists by resource and namespace. Not for several threads at once."""

    def __init__(self) -> None:
        self._held: dict[tuple[str, str], _Held | Unknown] = {}

    def hold(self, resource: str, namespace: str, items: Iterable[Raw]) -> None:
        """Takes in all objects of a resource in a namespace, or everywhere."""
        held = [*items]
        self._held[resource, namespace] = _Held(held)
        if namespace == EVERYWHERE:
            for home, some in _by_namespace(held).items():
                self._held[resource, home] = _Held(some)

    def lack(self, resource: str, namespace: str, why: Unknown) -> None:
        """Notes that a list cannot be had."""
        self._held[resource, namespace] = why

    def drop(self, resource: str, namespace: str) -> None:
        """Forgets a list, so that its memory can be used again."""
        self._held.pop((resource, namespace), None)

    def items(self, resource: str, namespace: str = EVERYWHERE) -> list[Raw] | None:
        """All objects that are held; None where the list is not."""
        held = self._of(resource, namespace)
        return held.items if isinstance(held, _Held) else None

    def answer(self, key: FactKey) -> Answer | None:
        """The fact, None where these lists do not tell it."""
        if not isinstance(key, Object | Objects):
            return None
        held = self._of(key.resource, key.namespace)
        if held is None or isinstance(held, Unknown):
            return held
        if isinstance(key, Object):
            return Known(held.named(key.name))
        found = held.chosen(key.labels, key.fields)
        return None if found is None else Known({"items": found, "complete": True})

    def _of(self, resource: str, namespace: str) -> _Held | Unknown | None:
        held = self._held.get((resource, namespace))
        if held is None and namespace and isinstance(self._held.get((resource, EVERYWHERE)), _Held):
            return _NOTHING
        return held


class _Held:
    """One list with the indexes that were needed so far."""

    def __init__(self, items: list[Raw]) -> None:
        self.items = items
        self._names: dict[str, Raw] | None = None
        self._labels: dict[str, dict[str, list[Raw]]] = {}
        self._fields: dict[str, dict[str, list[Raw]]] = {}

    def named(self, name: str) -> Raw | None:
        if self._names is None:
            self._names = {tree.text(item, "metadata", "name"): item for item in self.items}
        return self._names.get(name)

    def chosen(self, labels: str, fields: str) -> list[Raw] | None:
        """The objects that both selectors match; None for a selector that is not understood here."""
        wanted_labels, wanted_fields = _pairs(labels), _pairs(fields)
        if wanted_labels is None or wanted_fields is None:
            return None
        groups = [self._labelled(key).get(value, []) for key, value in wanted_labels]
        groups += [self._with_field(path).get(value, []) for path, value in wanted_fields]
        if not groups:
            return self.items
        shortest = min(groups, key=len)
        others = [{id(item) for item in group} for group in groups if group is not shortest]
        return [item for item in shortest if all(id(item) in other for other in others)]

    def _labelled(self, key: str) -> dict[str, list[Raw]]:
        if key not in self._labels:
            self._labels[key] = self._grouped("metadata", "labels", key)
        return self._labels[key]

    def _with_field(self, path: str) -> dict[str, list[Raw]]:
        if path not in self._fields:
            self._fields[path] = self._grouped(*path.split("."))
        return self._fields[path]

    def _grouped(self, *path: str) -> dict[str, list[Raw]]:
        groups: dict[str, list[Raw]] = {}
        for item in self.items:
            groups.setdefault(tree.text(item, *path), []).append(item)
        return groups


_NOTHING = _Held([])


def _by_namespace(items: list[Raw]) -> dict[str, list[Raw]]:
    homes: dict[str, list[Raw]] = {}
    for item in items:
        home = tree.text(item, "metadata", "namespace")
        if home:
            homes.setdefault(home, []).append(item)
    return homes


def _pairs(selector: str) -> list[tuple[str, str]] | None:
    """`a=b,c=d` and `a in (b)` as pairs; None for what else a selector may be."""
    pairs = []
    for part in filter(None, selector.split(",")):
        key, equals, value = part.partition("=")
        if not equals:
            key, inside, value = part.partition(" in (")
            if not inside or not value.endswith(")"):
                return None
            value = value[:-1]
        if key.endswith("!") or value.startswith("=") or not value:
            return None
        pairs.append((key.strip(), value))
    return pairs
