"""The open connections of a server."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from weakref import WeakSet

from .._values.weak_sets import members

__all__ = ["Connections"]


class Connections:
    """The open connections of a server: those that it keeps, and those that the program does."""

    __slots__ = ("_kept", "_others", "add")

    def __init__(self) -> None:
        self._kept: set[Any] = set()
        #: Keep a connection.
        self.add = self._kept.add
        self._others: WeakSet[Any] = WeakSet()

    def __len__(self) -> int:
        return len(self._kept) + len(self._others)

    def __iter__(self) -> Iterator[Any]:
        yield from list(self._kept)
        yield from list(self._others)

    def __contains__(self, sock: object) -> bool:
        return sock in self._kept or sock in self._others

    def snapshot(self) -> list[Any]:
        """All of them; may be called from any thread."""
        before = list(self._kept)
        others = members(self._others)
        kept = list(self._kept)
        if not others and len(before) == len(kept):
            return kept
        # One that goes from the one set to the other is in one of them at least.
        return list({*before, *others, *kept})

    def remove(self, sock: Any) -> bool:
        """Forget a connection; tells whether it was one."""
        if sock in self._kept:
            self._kept.remove(sock)
        elif sock in self._others:
            self._others.remove(sock)
        else:
            return False
        return True

    def take_back(self, sock: Any) -> None:
        """Keep a connection that the program has forgotten."""
        self._kept.add(sock)
        self._others.discard(sock)

    def clear(self) -> None:
        self._kept.clear()
        self._others.clear()

    def keep(self, sock: Any, keep: bool) -> None:
        """Keep a connection that is open, or leave that to the program."""
        if keep and sock in self._others:
            self.take_back(sock)
        elif not keep and sock in self._kept:
            self._others.add(sock)
            self._kept.discard(sock)
