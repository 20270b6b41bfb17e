"""Things by name: what a folder's modules enter themselves into, so that one more is one new file."""

import importlib
import pkgutil
from collections.abc import Callable, Hashable
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
T = TypeVar("T")


class Registry(Generic[K, V]):
    """Entries of one ``kind`` by key; the modules of ``package`` are imported the first time that keys are asked for.

    ``spell`` writes a key in messages.
    """

    def __init__(self, kind: str, package: str, *, spell: Callable[[K], str] = str) -> None:
        self.kind = kind
        self._package = package
        self._spell = spell
        self._entries: dict[K, V] = {}
        self._complete = False

    def add(self, key: K, entry: V) -> None:
        """Enter something; ``ValueError`` if the key is taken."""
        if key in self._entries:
            raise ValueError(f"{self.kind} '{self._spell(key)}' is registered already")
        self._entries[key] = entry

    def register(self, key: K) -> Callable[[T], T]:
        """Return a decorator that enters what it decorates."""

        def enter(entry: T) -> T:
            self.add(key, entry)  # type: ignore[arg-type]  # the decorated thing keeps its own, narrower type
            return entry

        return enter

    def keys(self) -> tuple[K, ...]:
        """Return all keys, in order."""
        if not self._complete:
            for module in pkgutil.iter_modules(importlib.import_module(self._package).__path__):
                importlib.import_module(f"{self._package}.{module.name}")
            self._complete = True
        return tuple(sorted(self._entries, key=self._spell))

    def __getitem__(self, key: K) -> V:
        """Return an entry; ``ValueError`` lists the known keys."""
        if key not in self.keys():
            known = ", ".join(map(self._spell, self.keys())) or "none"
            raise ValueError(f"unknown {self.kind} '{self._spell(key)}': expected one of {known}")
        return self._entries[key]
