"""The gate of a server behind proxies: it reads who the client is, then lets it in.

Nothing but the header is taken from the kernel: what stands behind it is the connection's.
"""

from __future__ import annotations

import _socket
from collections.abc import Callable
from time import monotonic
from typing import Any

from .._core.dispatcher import Dispatcher
from .._loop.timers import Deadline, start_timer
from .._transport.protocol import READ, Transport, Watcher
from .._values import arguments
from .._values.blocklist import BlockList
from .._values.proxy_header import MAX_BYTES, ProxyHeader, is_header, read_header
from ..errors import type_error

__all__ = ["ProxyGate"]

#: How long a proxy may take for its header, in seconds.
HEADER_SECONDS = 5.0
#: How long ``"optional"`` waits for the first byte, which shows whether there is a header.
OPTIONAL_SECONDS = 0.2
# A byte or two that may begin a header, or not, stay in the kernel, and the wire readable: the
# pauses until it is looked at again, doubled from the first to the longest.
FIRST_PAUSE = 0.005
LONGEST_PAUSE = 0.1

MODES = ("require", "optional")

Admit = Callable[[Transport, Any, Any], object]
Refuse = Callable[[Transport, Any, str], object]


class ProxyGate:
    """Reads the PROXY header of new connections, in the hub.

    :param loop: the dispatcher.
    :param mode: ``"require"`` or ``"optional"``.
    :param trusted: whose headers are believed; a header of anybody else closes the connection.
    """

    __slots__ = ("_loop", "_mode", "_trusted", "waiting")

    def __init__(self, loop: Dispatcher, mode: str, trusted: BlockList | None) -> None:
        if not isinstance(mode, str):
            raise arguments.wrong_kind("proxy_protocol", mode, "a str")
        if mode not in MODES:
            raise arguments.wrong_value("proxy_protocol", mode, "'require' or 'optional'")
        if not isinstance(trusted, BlockList):
            raise type_error(
                'The "trusted_proxies" argument must be a gnet.BlockList: a header of anybody '
                f"could claim any address. Received {trusted!r}"
            )
        self._loop = loop
        self._mode = mode
        self._trusted = trusted
        self.waiting: set[_Entrant] = set()

    def enter(self, wire: Transport, remote: Any, admit: Admit, refuse: Refuse) -> None:
        """Find out whose connection it is.

        :param admit: called with the wire, the client's address, and the address that it
            connected to, or ``None``.
        :param refuse: called with the wire, the peer's address and the reason to close it.
        """
        # A Unix socket's peer is of this machine: its permissions say who that may be.
        trusted = not isinstance(remote, tuple) or self._trusted.blocks(remote[0])
        if not trusted and self._mode == "require":
            refuse(wire, remote, "proxy_protocol")
            return
        self.waiting.add(_Entrant(self, wire, remote, trusted, admit, refuse))

    @property
    def loop(self) -> Dispatcher:
        return self._loop

    @property
    def optional(self) -> bool:
        return self._mode == "optional"

    def close(self) -> None:
        """Close the connections that wait for their header."""
        for entrant in list(self.waiting):
            entrant.refuse()


class _Entrant:
    """One connection whose header has not come yet."""

    __slots__ = (
        "__weakref__", "_admit", "_deadline", "_gate", "_header", "_limit", "_pause",
        "_pause_timer", "_refuse", "_remote", "_trusted", "_undecided", "_watcher", "_wire",
    )  # fmt: skip

    def __init__(
        self,
        gate: ProxyGate,
        wire: Transport,
        remote: Any,
        trusted: bool,
        admit: Admit,
        refuse: Refuse,
    ) -> None:
        self._gate = gate
        self._wire = wire
        self._remote = remote
        self._trusted = trusted
        self._admit = admit
        self._refuse = refuse
        # The part of it that has come.
        self._header = b""
        self._deadline = monotonic() + HEADER_SECONDS
        # Something has come, which may begin a header.
        self._undecided = False
        self._pause = FIRST_PAUSE
        self._pause_timer: Any = None
        self._watcher: Watcher = wire.watch(gate.loop.loop, READ)
        self._limit: Deadline | None = None
        self._watch()
        seconds = OPTIONAL_SECONDS if gate.optional else HEADER_SECONDS
        self._limit = Deadline(gate.loop.timers, seconds, self, "_too_late")

    def _watch(self) -> None:
        # Not directly: a signal's exception in it would stop the watcher for ever.
        self._watcher.start(self._gate.loop.loop.run_callback, self._readable)

    def _readable(self) -> None:
        """In the hub: there is something, or the end."""
        try:
            if self in self._gate.waiting and self._pause_timer is None:
                self._look()
        except BaseException:
            # It may have come between reading and keeping what was read.
            self.refuse()
            raise

    def _look(self) -> None:
        try:
            data = self._wire.recv(MAX_BYTES - len(self._header), _socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            self.refuse()
            return
        begins = is_header(self._header + data) if data else False
        if begins is False and self._gate.optional and not self._header:
            self._let_in(None)
        elif begins is False or (begins and not self._trusted):
            self.refuse()
        elif begins is None and self._gate.optional:
            self._look_again()
        else:
            self._take(self._header + data)

    def _look_again(self) -> None:
        """Whether it is a header cannot be said yet, so it must stay in the kernel."""
        if not self._undecided:
            self._undecided = True
            self._limit_to(self._deadline - monotonic())
        self._pause_timer = start_timer(self._gate.loop.loop, self._pause, self._go_on)
        self._watcher.stop()
        self._pause = min(self._pause * 2, LONGEST_PAUSE)

    def _go_on(self) -> None:
        if self in self._gate.waiting:
            self._watch()
            self._stop_pause()

    def _stop_pause(self) -> None:
        if self._pause_timer is not None:
            self._pause_timer.close()
            self._pause_timer = None

    def _limit_to(self, seconds: float) -> None:
        if self._limit is not None:
            self._limit.cancel()
        self._limit = Deadline(self._gate.loop.timers, max(0.0, seconds), self, "refuse")

    def _take(self, data: bytes) -> None:
        """It is a header, or no connection of ours; take what has come of it, and no more."""
        try:
            header = read_header(data)
        except ValueError:
            self.refuse()
            return
        size = len(data) if header is None else header.size
        self._wire.recv(size - len(self._header))
        if header is not None:
            self._let_in(header)
            return
        self._header = data
        self._limit_to(self._deadline - monotonic())

    def _too_late(self) -> None:
        """Not a byte has come."""
        if self._gate.optional:
            self._let_in(None)
        else:
            self.refuse()

    def _leave(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None
        self._stop_pause()
        self._watcher.close()
        self._gate.waiting.discard(self)

    def _let_in(self, header: ProxyHeader | None) -> None:
        self._leave()
        if header is None or header.source is None:
            self._admit(self._wire, self._remote, None)
        else:
            self._admit(self._wire, header.source, header.destination)

    def refuse(self) -> None:
        """Close the connection, unless it has been let in."""
        if self in self._gate.waiting:
            self._leave()
            self._refuse(self._wire, self._remote, "proxy_protocol")
