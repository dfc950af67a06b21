"""The machine that a pickle is a program for, with an allow-list: nothing is imported, called or run. No torch here.

It has a stack and a memo. Here it knows plain values, containers of them,
and names; a name that is called becomes what `rebuild` makes of it by hand, or a `Stub` that holds its arguments. A
name that nobody allowed ends the reading.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any

from ...errors import printable
from .parts import Budget, Reference, Refused, Stub, Unfinished, key, mapping, shown

Rebuild = Callable[[tuple[Any, ...], Budget], Any]
"""Makes what a call of an allowed name stands for, from its arguments."""

_MAX_NAME = 300


class Machine:
    """One reading of one pickle.

    rebuild: what calls of allowed names make.  classes: names whose objects become stubs; one that ends in a dot
    stands for all below it.  persistent: what a persistent identifier stands for; without it there are none.
    """

    def __init__(
        self,
        rebuild: Mapping[str, Rebuild],
        classes: Collection[str],
        budget: Budget,
        persistent: Callable[[Any], Any] | None = None,
    ) -> None:
        self.rebuild = rebuild
        self.classes = frozenset(classes)
        self.budget = budget
        self.persistent = persistent
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.aliases: dict[int, list[int]] = {}

    def known(self, name: str) -> bool:
        """Whether the name may stand in a file."""
        if name in self.rebuild or name in self.classes:
            return True
        parents = name.split(".")
        return any(".".join(parents[:count]) + "." in self.classes for count in range(1, len(parents)))

    def refer(self, module: Any, name: Any) -> None:
        """Push a name. Raises `Refused` if nobody allowed it."""
        if not isinstance(module, str) or not isinstance(name, str) or len(module) + len(name) > _MAX_NAME:
            raise Refused("it asks for something by a name that is none")
        whole = f"{module}.{name}"
        if not self.known(whole):
            raise Refused(f"it asks for {printable(whole)}, which is not among what is read")
        self.stack.append(Reference(whole))

    def call(self, function: Any, arguments: Any, keywords: Any = None) -> Any:
        """What a call of a name stands for."""
        if not isinstance(function, Reference) or not isinstance(arguments, tuple):
            raise Refused(f"it calls what is no name: {shown(function)}")
        if function.name in self.rebuild:
            if keywords:
                raise Refused(f"it calls {printable(function.name)} with keywords")
            return self.rebuild[function.name](arguments, self.budget)
        if keywords is not None and not isinstance(keywords, dict):
            raise Refused(f"it calls {printable(function.name)} with keywords that are none")
        return Stub(function.name, arguments, keywords or {})

    def marked(self) -> list[Any]:
        """The values above the last mark, which goes."""
        values, self.stack = self.stack, self.below.pop()
        return values

    def remember(self, key: int) -> None:
        if not 0 <= key < 2**32:
            raise Refused("its memo has a place beyond all bounds")
        value = self.memo[key] = self.stack[-1]
        if isinstance(value, Unfinished):
            self.aliases.setdefault(id(value), []).append(key)

    def build(self) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, dict):
            return  # attributes of an OrderedDict, such as `_metadata` of a state dict, say nothing of tensors
        if not isinstance(target, Unfinished):
            raise Refused(f"it gives a state to what takes none: {shown(target)}")
        self.stack[-1] = finished = target.built(state)
        if finished is not target:
            for key in self.aliases.pop(id(target), ()):
                self.memo[key] = finished

    def extend(self, values: list[Any]) -> None:
        target = self.stack[-1]
        items = target.items if isinstance(target, Stub) else target
        if not isinstance(items, list):
            raise Refused(f"it appends to what is no list: {shown(target)}")
        items.extend(values)

    def update(self, values: list[Any]) -> None:
        target = self.stack[-1]
        entries = target.entries if isinstance(target, Stub) else target
        if not isinstance(entries, dict):
            raise Refused(f"it sets keys of what has none: {shown(target)}")
        entries.update(mapping(values))

    def add(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, set):
            raise Refused(f"it adds to what is no set: {shown(target)}")
        target.update(map(key, values))
