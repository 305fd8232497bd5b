"""The gate of a server behind proxies: it reads who the client is, then lets it in.

Nothing but the header is taken from the kernel: what stands behind it is the connection's.
"""

from __future__ import annotations

import _socket
from collections.abc import Callable
from time import monotonic
from typing import Any

from . import _validate
from ._dispatch import Dispatcher
from ._proxyheader import MAX_BYTES, ProxyHeader, is_header, read_header
from ._wire import READ, Wire
from .blocklist import BlockList
from .errors import type_error

__all__ = ["ProxyGate"]

#: How long a proxy may take for its header, in seconds.
HEADER_SECONDS = 5.0
#: How long ``"optional"`` waits for the first byte, which shows whether there is a header.
OPTIONAL_SECONDS = 0.2
# A part of a header stays in the kernel, and the wire readable: it is looked at that often.
LOOK_AGAIN_SECONDS = 0.005

MODES = ("require", "optional")

Admit = Callable[[Wire, Any, Any], object]
Refuse = Callable[[Wire, Any, str], object]


class ProxyGate:
    """Reads the PROXY header of new connections, in the hub.

    :param loop: the dispatcher.
    :param mode: ``"require"`` or ``"optional"``.
    :param trusted: whose headers are believed; a header of anybody else closes the connection.
    """

    __slots__ = ("_loop", "_mode", "_trusted", "waiting")

    def __init__(self, loop: Dispatcher, mode: str, trusted: BlockList | None) -> None:
        if not isinstance(mode, str):
            raise _validate.wrong_kind("proxy_protocol", mode, "a str")
        if mode not in MODES:
            raise _validate.wrong_value("proxy_protocol", mode, "'require' or 'optional'")
        if not isinstance(trusted, BlockList):
            raise type_error(
                'The "trusted_proxies" argument must be a gnet.BlockList: a header of anybody '
                f"could claim any address. Received {trusted!r}"
            )
        self._loop = loop
        self._mode = mode
        self._trusted = trusted
        self.waiting: set[_Entrant] = set()

    def enter(self, wire: Wire, remote: Any, admit: Admit, refuse: Refuse) -> None:
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
        "_admit", "_gate", "_refuse", "_remote", "_started", "_timer", "_trusted", "_watcher",
        "_wire",
    )  # fmt: skip

    def __init__(
        self, gate: ProxyGate, wire: Wire, remote: Any, trusted: bool, admit: Admit, refuse: Refuse
    ) -> None:
        self._gate = gate
        self._wire = wire
        self._remote = remote
        self._trusted = trusted
        self._admit = admit
        self._refuse = refuse
        self._started = monotonic()
        self._timer: Any = None
        self._watcher: Any = wire.watch(gate.loop.loop, READ)
        self._watcher.start(self._look)
        self._wait(OPTIONAL_SECONDS if gate.optional else HEADER_SECONDS, self._too_late)

    def _wait(self, seconds: float, then: Callable[[], None]) -> None:
        self._stop_timer()
        self._timer = self._gate.loop.loop.timer(seconds)
        self._timer.start(then)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.close()
            self._timer = None

    def _look(self) -> None:
        try:
            data = self._wire.recv(MAX_BYTES, _socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            self.refuse()
            return
        begins = is_header(data) if data else False
        late = monotonic() - self._started > HEADER_SECONDS
        if begins is False and self._gate.optional:
            self._let_in(None)
        elif begins is False or late or (begins and not self._trusted):
            self.refuse()
        else:
            self._read(data)

    def _read(self, data: bytes) -> None:
        try:
            header = read_header(data)
        except ValueError:
            self.refuse()
            return
        if header is None:
            self._watcher.stop()
            self._wait(LOOK_AGAIN_SECONDS, self._look)
            return
        self._wire.recv(header.size)
        self._let_in(header)

    def _too_late(self) -> None:
        """Not a byte has come."""
        if self._gate.optional:
            self._let_in(None)
        else:
            self.refuse()

    def _leave(self) -> None:
        self._stop_timer()
        self._watcher.close()
        self._gate.waiting.discard(self)

    def _let_in(self, header: ProxyHeader | None) -> None:
        self._leave()
        if header is None or header.source is None:
            self._admit(self._wire, self._remote, None)
        else:
            self._admit(self._wire, header.source, header.destination)

    def refuse(self) -> None:
        """Close the connection."""
        self._leave()
        self._refuse(self._wire, self._remote, "proxy_protocol")
