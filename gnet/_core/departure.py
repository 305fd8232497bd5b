"""The peer's leaving, noticed ahead of what is still unread."""

from __future__ import annotations

import _socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from greenlet import getcurrent, greenlet

from ..errors import PeerEndError
from .states import END_MET, LEFT, OPEN, SHUT
from .writing import Writing

__all__ = ["Departure"]


class _Peer:
    """Who awaits a peer's end ahead of what is unread.

    :ivar watched: whether the hub's :class:`PeerWatch` has the socket.
    :ivar hidden: whether this end reads no more, which looks the same as the peer's end.
    :ivar cut: whether that is so for this side only: the kernel would receive more.
    :ivar ended: whether the end has come.
    :ivar greenlets: those to interrupt when it comes.
    """

    __slots__ = ("cut", "ended", "greenlets", "hidden", "watched")

    def __init__(self) -> None:
        self.watched = False
        self.hidden = False
        self.cut = False
        self.ended = False
        self.greenlets: list[greenlet] = []


class Departure(Writing):
    """A host that notices when its peer leaves."""

    __slots__ = ("_peer",)

    # Who awaits the peer's end ahead of what is unread.
    _peer: _Peer | None

    @contextmanager
    def interrupt_on_peer_end(self) -> Iterator[None]:
        """Interrupt the calling greenlet inside the ``with`` block when the peer leaves.

        A call in which the greenlet is blocked, a slow query for example, raises
        :class:`~gnet.errors.PeerEndError` as soon as the peer has ended or reset, even while
        input is unread, and when the connection is closed at this end. On other systems than
        Linux, an end is noticed only when nothing unread stands before it.

        :raises PeerEndError: the peer has left.
        """
        peer = self._watch_peer()
        me = getcurrent()
        peer.greenlets.append(me)
        try:
            ended = self._receiving >= END_MET and not peer.hidden
            if peer.ended or ended or self._life >= SHUT:
                raise self._own(PeerEndError())
            yield
        finally:
            peer.greenlets.remove(me)

    def _watch_peer(self) -> _Peer:
        """Notice the peer's end from now on, although input may be unread."""
        self._check_thread()
        peer = self._peer
        if peer is None:
            peer = self._peer = _Peer()
        unwatched = not (peer.watched or peer.hidden)
        wire = self._wire
        if unwatched and self._life == OPEN and wire is not None and wire.PEER_END:
            peer.watched = True
            self._loop.peers.add(wire, self)
        return peer

    def _hide_peer(self) -> None:
        """This end is about to shut down its reading side."""
        self._unwatch_peer()
        if self._peer is None:
            self._peer = _Peer()
        self._peer.hidden = True

    def _cut_peer(self) -> None:
        """What the peer sends from now on is not read, though the kernel still takes it."""
        self._hide_peer()
        assert self._peer is not None
        self._peer.cut = True

    def _is_cut(self) -> bool:
        return self._peer is not None and self._peer.cut

    def _end_cut(self) -> None:
        """Have a flow meet the end of what is read: it waits for the kernel's."""
        assert self._peer is not None
        self._peer.cut = False
        with suppress(OSError):
            self._wire.shutdown(_socket.SHUT_RD)  # type: ignore[union-attr]

    def _unwatch_peer(self) -> None:
        peer = self._peer
        if peer is not None and peer.watched and self._wire is not None:
            peer.watched = False
            self._loop.peers.remove(self._wire)

    @contextmanager
    def _peer_unwatched(self) -> Iterator[None]:
        """For what takes the descriptor away. Where that is refused, the peer is watched again."""
        peer = self._peer
        watched = peer is not None and peer.watched
        self._unwatch_peer()
        try:
            yield
        except OSError:
            if watched:
                self._watch_peer()
            raise

    def _note_peer_end(self) -> None:
        self._peer_has_ended()

    def _peer_has_ended(self) -> None:
        """The peer has ended or reset."""
        peer = self._peer
        if peer is not None and not peer.hidden:
            self._peer_is_gone(peer, tell=True)

    def _peer_is_gone(self, peer: _Peer, tell: bool) -> None:
        if peer.ended:
            return
        peer.ended = True
        if tell:
            self._report_later("peer_end")
        for blocked in peer.greenlets:
            self._loop.loop.run_callback(self._interrupt_greenlet, peer, blocked)

    def _interrupt_greenlet(self, peer: _Peer, blocked: greenlet) -> None:
        # Also when the socket has dialled again meanwhile, and has another peer.
        if blocked in peer.greenlets:
            blocked.throw(self._own(PeerEndError()))

    def _leave_peer(self, peer: _Peer) -> None:
        """The connection is over: a reset is the peer's leaving, too."""
        self._unwatch_peer()
        reset = isinstance(self._error, ConnectionError) and self._owner < LEFT
        self._peer_is_gone(peer, tell=reset)
