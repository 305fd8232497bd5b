"""What keeps a program in ``gnet.run()`` while it is open (contract, rule 11)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._dispatch import Dispatcher
from .emitter import EventEmitter

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Held"]


class Held(EventEmitter):
    """An emitter that :func:`gnet.run` waits for, unless it was told not to."""

    __slots__ = ("_holding", "_loop", "_refed")

    _loop: Dispatcher

    def __init__(self, loop: Dispatcher) -> None:
        super().__init__()
        self._loop = loop
        self._refed = True
        self._holding = False

    def ref(self) -> Self:
        """Undo :meth:`unref`. From Node's ``socket.ref()`` and ``server.ref()``."""
        self._refed = True
        self._update_hold()
        return self

    def unref(self) -> Self:
        """Let :func:`gnet.run` return although this is open. From Node's ``unref()``."""
        self._refed = False
        self._update_hold()
        return self

    def _holds(self) -> bool:
        """Whether it keeps the program in :func:`gnet.run` now."""
        raise NotImplementedError

    def _update_hold(self) -> None:
        holds = self._holds()
        if holds != self._holding:
            self._holding = holds
            if holds:
                self._loop.hold()
            else:
                self._loop.release()
