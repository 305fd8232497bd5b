"""What keeps a program in ``gnet.run()`` while it is open (contract, rule 11)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .._loop.loops import gone_error
from .._transport import stream_socket
from .._values import bare
from ..errors import coded
from .dispatcher import Dispatcher
from .emitter import EventEmitter, Listener
from .ledger import Closed

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["Held"]


class Held(EventEmitter):
    """An emitter that :func:`gnet.run` waits for, unless it was told not to."""

    __slots__ = ("_holding", "_loop", "_refed")

    _loop: Dispatcher

    def __init__(self, loop: Dispatcher) -> None:
        self._check_unused()
        super().__init__()
        self._refed = True
        self._holding = False
        self._join(loop)

    def _check_unused(self) -> None:
        if self._in_use():
            # It would forget its descriptor and its watchers.
            raise RuntimeError(f"__init__() was called again on {self!r}, which is in use")

    def _join(self, loop: Dispatcher) -> None:
        """Belong to a dispatcher, and to its thread."""
        bare.forget_dict(self)
        self._loop = loop
        if loop.members is not None:
            loop.members.add(self)

    def _in_use(self) -> bool:
        """Whether it has what a second ``__init__()`` would forget."""
        return False

    def __getstate__(self) -> Any:
        # As in socket.socket: two objects would share a descriptor, and both close it.
        raise TypeError(f"cannot pickle or copy a {type(self).__name__!r} object")

    # -- threads (api: a socket belongs to the thread that made it) ---------------------------

    def _check_thread(self) -> None:
        """Refuse a call from a thread that it does not belong to."""
        if self._loop.thread != stream_socket.this_thread():
            self._foreign()

    def _foreign(self) -> None:
        """The calling thread is another one."""
        if not self._loop.gone:
            raise coded(
                RuntimeError(
                    f"{self!r} belongs to another thread: gnet.call_in() has a function run there"
                ),
                "ERR_WRONG_THREAD",
            )
        if not self._is_over():
            raise gone_error()

    def _is_over(self) -> bool:
        """Whether it is closed, so that its calls find that out for themselves."""
        raise NotImplementedError

    def _counts(self) -> Closed:
        """What is counted of a connection that has closed."""
        raise NotImplementedError

    def emit(self, event: str, *args: Any) -> bool:
        # By hand: servers and sockets have one method each, between which Cython would look.
        if self._loop.thread != stream_socket.this_thread():
            self._foreign()
        return self._emit(event, args)

    emit.__doc__ = EventEmitter.emit.__doc__

    def off(self, event: str, listener: Listener) -> Self:
        self._check_thread()
        return super().off(event, listener)

    off.__doc__ = EventEmitter.off.__doc__

    remove_listener = off

    def remove_all_listeners(self, event: str | None = None) -> Self:
        self._check_thread()
        return super().remove_all_listeners(event)

    remove_all_listeners.__doc__ = EventEmitter.remove_all_listeners.__doc__

    def _listen(self, event: str, listener: Any, once: bool, first: bool) -> Any:
        if self._loop.thread != stream_socket.this_thread():
            self._foreign()
        # By its name: super() looks it up anew for each listener.
        return EventEmitter._listen(self, event, listener, once, first)

    def _listening(self, event: str) -> None:
        self._first_listener(event)

    def _first_listener(self, event: str) -> None:
        """An event has got its first listener; for those that are not compiled."""

    # -- what keeps the program ---------------------------------------------------------------

    def ref(self) -> Self:
        """Undo :meth:`unref`. From Node's ``socket.ref()`` and ``server.ref()``."""
        self._check_thread()
        self._refed = True
        self._update_hold()
        return self

    def unref(self) -> Self:
        """Let :func:`gnet.run` return although this is open. From Node's ``unref()``."""
        self._check_thread()
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
