"""The gate of a server behind proxies: it reads who the client is, then lets it in.

Nothing but the header is taken from the kernel: what stands behind it is the connection's.
"""

from __future__ import annotations

import _socket
from time import monotonic
from typing import Any

from .._core.block_list import BlockList
from .._loop.timers import start_timer
from .._transport.protocol import READ, Watcher
from .._values import arguments
from .._values.backoff import Backoff
from .._values.proxy_header import MAX_BYTES, is_header, read_header
from ..errors import type_error
from .entrance import Entrant, Stage, Step

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


class ProxyGate(Stage):
    """Reads the PROXY header of new connections, in the hub.

    :param mode: ``"require"`` or ``"optional"``.
    :param trusted: whose headers are believed; a header of anybody else closes the connection.
    """

    __slots__ = ("_mode", "_trusted")

    reason = "proxy_protocol"

    def __init__(self, mode: str, trusted: BlockList | None) -> None:
        if not isinstance(mode, str):
            raise arguments.wrong_kind("proxy_protocol", mode, "a str")
        if mode not in MODES:
            raise arguments.wrong_value("proxy_protocol", mode, "'require' or 'optional'")
        if not isinstance(trusted, BlockList):
            raise type_error(
                'The "trusted_proxies" argument must be a gnet.BlockList: a header of anybody '
                f"could claim any address. Received {trusted!r}"
            )
        self._mode = mode
        self._trusted = trusted

    def enter(self, entrant: Entrant) -> str | Step:
        remote = entrant.remote
        # A Unix socket's peer is of this machine: its permissions say who that may be.
        trusted = not isinstance(remote, tuple) or self._trusted.holds(remote[0])
        if not trusted and self._mode == "require":
            return self.reason
        return _Header(entrant, self.reason, trusted, self._mode == "optional")


class _Header(Step):
    """The header of one connection, which has not come yet."""

    __slots__ = (
        "_backoff", "_due", "_header", "_loop", "_optional", "_over", "_pause_timer", "_trusted",
        "_undecided", "_watcher",
    )  # fmt: skip

    def __init__(self, entrant: Entrant, reason: str, trusted: bool, optional: bool) -> None:
        super().__init__(entrant, reason)
        self._loop = entrant.entrance.loop.loop
        self._trusted = trusted
        self._optional = optional
        # The part of it that has come.
        self._header = b""
        self._due = monotonic() + HEADER_SECONDS
        # Something has come, which may begin a header.
        self._undecided = False
        self._backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)
        self._pause_timer: Any = None
        self._over = False
        self._watcher: Watcher = entrant.wire.watch(self._loop, READ)
        self._watch()
        entrant.limit(OPTIONAL_SECONDS if optional else HEADER_SECONDS)

    def stop(self) -> None:
        self._stop_pause()
        self._watcher.close()
        self._over = True

    def too_late(self) -> None:
        if self._optional and not self._undecided and not self._header:
            # Not a byte has come.
            self.entrant.go_on()
        else:
            super().too_late()

    def _watch(self) -> None:
        # Not directly: a signal's exception in it would stop the watcher for ever.
        self._watcher.start(self._loop.run_callback, self._readable)

    def _readable(self) -> None:
        """In the hub: there is something, or the end."""
        try:
            if not self._over and self._pause_timer is None:
                self._look()
        except BaseException:
            # It may have come between reading and keeping what was read.
            self.entrant.drop(self.reason)
            raise

    def _look(self) -> None:
        try:
            size = MAX_BYTES - len(self._header)
            data = self.entrant.wire.recv(size, _socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            self.entrant.drop(self.reason)
            return
        begins = is_header(self._header + data) if data else False
        if begins is False and self._optional and not self._header:
            self.entrant.go_on()
        elif begins is False or (begins and not self._trusted):
            self.entrant.drop(self.reason)
        elif begins is None and self._optional:
            self._look_again()
        else:
            self._take(self._header + data)

    def _look_again(self) -> None:
        """Whether it is a header cannot be said yet, so it must stay in the kernel."""
        if not self._undecided:
            self._undecided = True
            self.entrant.limit(self._due - monotonic())
        self._pause_timer = start_timer(self._loop, self._backoff.pause(), self._pause_over)
        self._watcher.stop()

    def _pause_over(self) -> None:
        if not self._over:
            self._watch()
            self._stop_pause()

    def _stop_pause(self) -> None:
        if self._pause_timer is not None:
            self._pause_timer.close()
            self._pause_timer = None

    def _take(self, data: bytes) -> None:
        """It is a header, or no connection of ours; take what has come of it, and no more."""
        try:
            header = read_header(data)
        except ValueError:
            self.entrant.drop(self.reason)
            return
        size = len(data) if header is None else header.size
        self.entrant.wire.recv(size - len(self._header))
        if header is None:
            self._header = data
            self.entrant.limit(self._due - monotonic())
            return
        if header.source is not None:
            self.entrant.proxy = self.entrant.remote
            self.entrant.remote, self.entrant.local = header.source, header.destination
        self.entrant.go_on()
