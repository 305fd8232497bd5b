"""What keeps a program in ``gnet.run()`` while it is open (contract, rule 11)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

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
        if self._in_use():
            # It would forget its descriptor and its watchers.
            raise RuntimeError(f"__init__() was called again on {self!r}, which is in use")
        super().__init__()
        self._loop = loop
        self._refed = True
        self._holding = False

    def _in_use(self) -> bool:
        """Whether it has what a second ``__init__()`` would forget."""
        return False

    def __getstate__(self) -> Any:
        # As in socket.socket: two objects would share a descriptor, and both close it.
        raise TypeError(f"cannot pickle or copy a {type(self).__name__!r} object")

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
