"""A cluster's worker, in its own process: how it gets its handles, and how it stops."""

from __future__ import annotations

import _socket
import errno
import json
import os
import signal
from time import monotonic
from typing import Any

import gevent

from .. import dns
from .._core.dispatcher import dispatcher
from .._core.emitter import EventEmitter
from .._processes.channel import Channel, Message
from .._server import bind
from .._server.server import Server
from .._transport import unix_path
from .._transport.stream_socket import Wire
from .._values import arguments
from .._values.addresses import is_ip
from .._values.report import guarded
from ..errors import late_import, system_error
from .figures import Reporter
from .shared_listeners import ERROR, PLACE, Place, error_fields, error_of

__all__ = ["ENVIRONMENT", "EXIT_SECONDS", "LAST_SECONDS", "Member", "current", "join"]

#: The variable that tells a process that it is a worker.
ENVIRONMENT = "GNET_CLUSTER"

#: What is left of the program has so long to come to its end when the servers have closed, in
#: seconds.
EXIT_SECONDS = 2.0
#: Connections that did not end by themselves are ended, and have so long, in seconds.
LAST_SECONDS = 1.0


#: What a primary says: the fields of each kind of message, with their types.
_KINDS_OF_PRIMARY: dict[str, dict[str, Any]] = {
    "message": {"value": object},
    "stop": {"grace": (int, float, type(None)), "drain": bool},
    "count": {"number": int, "place": (PLACE, type(None))},
    "live": {"number": int},
}


class Share:
    """The worker's share in a handle of the primary's."""

    def __init__(self, member: Member, place: Place) -> None:
        self._member = member
        self.place = place

    def listening(self) -> None:
        self._member.listening(self.place)

    def close(self) -> None:
        self._member.give_back(self.place)

    def count_connections(self) -> int:
        return self._member.count_connections(self.place)


class Member(EventEmitter):
    """This process as a worker of its cluster.

    Emits ``message(value)`` with what the primary has sent, and ``disconnect()`` when the worker
    has been told to stop, or the primary has gone. Listen to ``'disconnect'`` to end what would
    not end by itself.

    :ivar id: the worker's number, which no other worker of the cluster has or had.
    """

    def __init__(self, wire: Wire, number: int, grace: float | None) -> None:
        super().__init__()
        self.id = number
        self._grace = grace
        self._loop = dispatcher()
        self._places: set[Place] = set()
        # Also of those that have closed and still have connections.
        self._servers: dict[Server, Place] = {}
        self._stopping: list[gevent.Greenlet[..., None]] = []
        # What the listeners of 'disconnect' run in.
        self._told: gevent.Greenlet[..., None] | None = None
        self._was_terminated = False
        self._main_has_returned = False
        self._signals: list[Any] = []
        # Waiting for messages is no reason to go on.
        self._channel = Channel(
            wire,
            self._receive,
            self._primary_gone,
            ref=False,
            kinds=_KINDS_OF_PRIMARY,
            error=ERROR,
        )
        self._channel.post("online")
        self._reporter = Reporter(self._channel, self._loop)

    def __repr__(self) -> str:
        return f"<gnet.cluster worker {self.id}>"

    def send(self, value: Any) -> None:
        """Send a message to the primary, whose :class:`gnet.cluster.Worker` emits it.

        From Node's ``process.send()``.

        :param value: any value that JSON can express.
        """
        self._channel.post("message", value=value)

    def disconnect(self, grace: float | None = None) -> None:
        """Stop this worker for good: it has finished, and is not replaced.

        Its servers stop accepting. When their connections have ended by themselves, or ``grace``
        seconds have passed, the process exits. From Node's ``worker.disconnect()``.

        :param grace: how long the connections have, in seconds; ``None``: the cluster's grace.
        """
        limit = arguments.limit("grace", grace)
        self._stop(self._grace if limit is None else limit, drain=True, code=0)

    # -- handles ------------------------------------------------------------------------------

    def take(
        self,
        server: Server,
        host: str | None,
        port: int | None,
        path: str | None,
        fd: int | None,
        options: bind.ListenOptions,
    ) -> bind.Bound:
        """Get a handle from the primary, for a server to listen.

        :raises OSError: it cannot be bound, or the primary has gone.
        """
        if path is not None:
            unix_path.address_of(path, "listen")
        elif host is not None and not is_ip(host):
            host, _ = dns.lookup(host)
        place = self._place(host, None if path is not None else port or 0, path, fd)
        self._places.add(place)
        try:
            answer = self._ask("listen", place=place, options=options)
            if answer.fd is None:
                raise system_error(errno.EMFILE, "listen", path or host, port)
        except BaseException:
            # It may have been given all the same, behind the back of who waits no more.
            self.give_back(place)
            raise
        self._forget_closed_servers()
        self._servers[server] = place
        return bind.Bound(Wire.adopt(answer.fd), share=Share(self, place))

    def _place(
        self, host: str | None, port: int | None, path: str | None, fd: int | None
    ) -> Place:
        number = 0
        while (place := Place(host, port, path, fd, number)) in self._places:
            number += 1
        return place

    def listening(self, place: Place) -> None:
        """A server listens there, with the handle that it was given."""
        self._channel.post("listening", place=place)

    def give_back(self, place: Place) -> None:
        """A server does not listen there any more."""
        self._places.discard(place)
        # One that stops is replaced, and the handle kept for its replacement.
        if not self._stopping:
            self._channel.post("close", place=place)

    def count_connections(self, place: Place) -> int:
        """Block for the number of connections of all workers' servers there."""
        answer = self._ask("count", expects={"count": int}, place=place).drop()
        return int(answer.fields["count"])

    def _ask(self, kind: str, **fields: Any) -> Message:
        answer = self._channel.ask(kind, **fields)
        if "error" in answer.fields:
            answer.drop()
            raise error_of(answer.fields["error"])
        return answer

    def _connections(self, place: Place | None) -> int:
        self._forget_closed_servers()
        return sum(
            len(server.connections)
            for server, its_place in self._servers.items()
            if place is None or place == its_place
        )

    def _forget_closed_servers(self) -> None:
        for server in list(self._servers):
            if not server.listening and not server.connections:
                del self._servers[server]

    # -- messages -----------------------------------------------------------------------------

    def _receive(self, message: Message) -> None:
        fields = message.fields
        if message.kind == "message":
            self.emit("message", fields["value"])
        elif message.kind == "stop":
            self._stop(fields["grace"], fields["drain"], code=0)
        elif message.kind == "count":
            place = fields["place"]
            count = self._connections(None if place is None else Place(*place))
            self._channel.answer(message, count=count)
        elif message.kind == "live":
            self._answer_live(message)

    def _answer_live(self, question: Message) -> None:
        """Give the primary a connection for the live view."""
        try:
            with late_import():
                from ..live.control import line_to_here  # for who looks, alone
            theirs = line_to_here()
        except OSError as exc:
            self._channel.answer(question, error=error_fields(exc))
            return
        try:
            self._channel.answer(question, theirs)
        except OSError as exc:
            self._channel.answer(question, error=error_fields(exc))
        finally:
            _socket.close(theirs)

    def _primary_gone(self) -> None:
        # Nobody would replace this worker, and the next primary could not bind its ports.
        self._stop(self._grace, drain=False, code=1)

    # -- the end ------------------------------------------------------------------------------

    def handle_signals(self) -> None:
        """``SIGTERM`` stops this worker; ``SIGINT`` and ``SIGHUP`` are for the primary.

        A terminal sends these two to the whole group of processes.
        """
        self._signals = [
            gevent.signal_handler(signal.SIGTERM, self._terminated),
            # Not SIG_IGN, which the programs that the worker starts would inherit.
            gevent.signal_handler(signal.SIGINT, _ignore),
            gevent.signal_handler(signal.SIGHUP, _ignore),  # type: ignore[attr-defined,unused-ignore]
        ]

    def _terminated(self) -> None:
        # Not when the primary has said so, too: a service manager signals all processes.
        grace = 0.0 if self._was_terminated else self._grace
        self._was_terminated = True
        self._stop(grace, drain=False, code=128 + signal.SIGTERM)

    def _stop(self, grace: float | None, drain: bool, code: int) -> None:
        """Stop in the background. A second call may make it quicker."""
        if self._told is None:
            self._told = gevent.spawn(self._deliver, "disconnect")
        self._stopping.append(gevent.spawn(self._stop_now, self._told, grace, drain, code))

    def _stop_now(
        self, told: gevent.Greenlet[..., None], grace: float | None, drain: bool, code: int
    ) -> None:
        servers = [each for each in self._loop.kept if isinstance(each, Server)]
        for server in servers:
            server._retire()
        if drain:
            _wait_closed(servers, grace)
            grace = LAST_SECONDS
        gevent.joinall([gevent.spawn(server.shutdown, grace) for server in servers])
        deadline = monotonic() + EXIT_SECONDS
        told.join(EXIT_SECONDS)
        if not self._main_has_returned:
            # It may be about to: what it waited for has ended.
            gevent.sleep(max(0.0, deadline - monotonic()))
        # In a forked child of this process its copy of this greenlet has nothing to end.
        if current is self:
            # From a greenlet this goes to the main greenlet, through whatever it waits in.
            raise SystemExit(code)

    def _deliver(self, event: str) -> None:
        guarded(self._loop.hub, self, self.emit, event)

    def main_has_returned(self) -> None:
        """The worker has begun all that it does: block until nothing is left of it."""
        self._main_has_returned = True
        self._channel.post("ready")
        self._loop.run(None)
        # It has ended because it was told to: the exit code says so.
        gevent.joinall(self._stopping)

    def leave_in_child(self) -> None:
        """In a forked child, which is no worker."""
        global current
        current = bind.ask_primary = None
        self._reporter.close()
        for handler in self._signals:
            handler.cancel()


def _wait_closed(servers: list[Server], grace: float | None) -> None:
    deadline = None if grace is None else monotonic() + grace
    for server in servers:
        try:
            server.wait_closed(None if deadline is None else max(0.0, deadline - monotonic()))
        except TimeoutError:
            return


def _ignore() -> None:
    pass


#: What :func:`join` has given.
current: Member | None = None


def join() -> Member | None:
    """Join the cluster that has started this process; ``None`` if none has."""
    global current
    settings = json.loads(os.environ.pop(ENVIRONMENT, "null"))
    if settings is None:
        return None
    fd = settings["fd"]
    try:
        wire = Wire.adopt(fd)
    except OSError:
        # Inherited from a worker that has never joined: the descriptor was not.
        return None
    os.set_inheritable(fd, False)
    if wire.family != _socket.AF_UNIX:  # type: ignore[attr-defined,unused-ignore]
        wire.detach()
        return None
    if not unix_path.is_peer_trusted(wire):
        # An environment that somebody else has made, with a descriptor of theirs.
        wire.close()
        return None
    member = Member(wire, settings["id"], settings["grace"])
    member.handle_signals()
    bind.ask_primary = member.take
    current = member
    return member
