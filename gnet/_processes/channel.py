"""Messages and descriptors between two processes of one program.

A message is a line of JSON on a Unix socket; a descriptor travels with it (``SCM_RIGHTS``).
Nothing here blocks but :meth:`Channel.ask`.

Whatever the other process sends, no descriptor of it is left open: those that come with what is no
message, or with a message that needs none, are closed, and so is the channel.
"""

from __future__ import annotations

import _socket
import array
import errno
import json
import os
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial
from itertools import count
from types import MappingProxyType
from typing import Any, ClassVar, NamedTuple, cast
from weakref import WeakSet

from gevent.event import AsyncResult

from .._core.dispatcher import dispatcher
from .._loop.timers import wait_patiently
from .._transport.protocol import READ, WRITE
from .._transport.sigpipe import NO_SIGNAL
from .._transport.stream_socket import Wire
from ..errors import annotate, system_error, wait_timeout

__all__ = ["Channel", "Message"]

READ_BYTES = 65536

_INT_BYTES = array.array("i").itemsize
_ANSWER = "answer"


class Message(NamedTuple):
    """A message that has arrived.

    :ivar kind: what it is about.
    :ivar fields: its values.
    :ivar fd: the descriptor that came with it, the receiver's to close; or ``None``.
    """

    kind: str
    fields: dict[str, Any]
    fd: int | None

    def drop(self) -> Message:
        """Close the descriptor, which nobody wants; gives the message without it."""
        if self.fd is None:
            return self
        _socket.close(self.fd)
        return self._replace(fd=None)


class Channel:
    """One end of the connection between the two processes.

    :param wire: the socket.
    :param receive: called with each :class:`Message`, in a borrowed greenlet.
    :param lost: called, in a borrowed greenlet, when the other process has gone.
    :param ref: whether the channel keeps the loop running.
    :param kinds: the kinds of messages that ``receive`` is called with, and of each the fields
        with their types, or what :mod:`gnet._processes.kinds` has in their place; another closes
        the channel. ``None`` for all kinds.
    :param error: the type of the field ``error`` of an answer, which may stand for all others.
    :param max_bytes: a longer message closes the channel.
    """

    #: The open channels of this process: what a forked child must close.
    opened: ClassVar[WeakSet[Channel]] = WeakSet()

    def __init__(
        self,
        wire: Wire,
        receive: Callable[[Message], object],
        lost: Callable[[], object],
        *,
        ref: bool = True,
        kinds: Mapping[str, Mapping[str, Any]] | None = None,
        error: Any = object,
        max_bytes: int | None = None,
    ) -> None:
        self._wire = wire
        self._error = error
        self._kinds = kinds
        self._max_bytes = max_bytes
        self._receive = receive
        self._lost = lost
        self._ref = ref
        self._loop = dispatcher()
        self._received = b""
        self._fds: deque[int | None] = deque()
        self._out: deque[tuple[memoryview, int | None]] = deque()
        self._numbers = count(1)
        # What is waited for, and the fields of an answer to that.
        self._asked: dict[int, tuple[AsyncResult[Any], Mapping[str, Any]]] = {}
        self._reading = self._loop.loop.io(wire.fileno(), READ, ref=ref)
        self._writing = self._loop.loop.io(wire.fileno(), WRITE, ref=ref)
        # Not directly: a signal's exception in it would stop the watcher for ever.
        self._reading.start(self._loop.loop.run_callback, self._readable)
        Channel.opened.add(self)

    @property
    def closed(self) -> bool:
        """Whether nothing can be sent any more."""
        return self._wire.fileno() < 0

    # -- sending ------------------------------------------------------------------------------

    def post(self, kind: str, fd: int | None = None, **fields: Any) -> None:
        """Send a message, without ever blocking. When the other process has gone, it is lost.

        :param kind: what it is about.
        :param fd: a descriptor to go with it; it stays the caller's.
        :param fields: its values; whatever JSON has a notation for.
        :raises OSError: ``EMFILE``, this process has no descriptor left for a copy of ``fd``.
        """
        line = json.dumps({"kind": kind, "with_fd": fd is not None, **fields}).encode() + b"\n"
        if self.closed:
            return
        # Of its own, as the caller may close it before it is sent.
        self._out.append((memoryview(line), None if fd is None else _duplicate(fd)))
        self._flush()

    def _flush(self) -> None:
        if self.closed:
            return
        try:
            while self._out:
                line, fd = self._out[0]
                sent = self._wire.sendmsg([line], _rights(fd), NO_SIGNAL)  # type: ignore[arg-type,call-arg,unused-ignore]
                # The descriptor has gone with the first byte.
                if fd is not None:
                    _socket.close(fd)
                self._out[0] = (line[sent:], None)
                if sent == len(line):
                    self._out.popleft()
            self._writing.stop()
        except BlockingIOError:
            self._writing.start(self._loop.loop.run_callback, self._flush)
        except OSError:
            # The reading side meets the end, and says so.
            self._drop_unsent()

    def _drop_unsent(self) -> None:
        while self._out:
            _, fd = self._out.popleft()
            if fd is not None:
                _socket.close(fd)
        self._writing.stop()

    # -- questions ----------------------------------------------------------------------------

    def ask(
        self,
        kind: str,
        limit: float | None = None,
        expects: Mapping[str, Any] = MappingProxyType({}),
        **fields: Any,
    ) -> Message:
        """Send a message and block until it is answered. A descriptor is the caller's to close.

        :param kind: what it is about.
        :param limit: how long to wait at the most, in seconds; ``None`` for no limit.
        :param expects: the fields of an answer, with their types; another one closes the channel.
        :param fields: its values.
        :returns: the answer.
        :raises TimeoutError: the time is over.
        :raises OSError: ``EPIPE``, the other process has gone; ``EPROTO``, it has sent what is no
            message.
        """
        number = next(self._numbers)
        answer: AsyncResult[Any] = AsyncResult()
        self._asked[number] = answer, expects
        # Somebody waits: that the loop has nothing else to do is no reason to end.
        self._reading.ref = True
        try:
            if self.closed:
                raise _gone()
            self.post(kind, number=number, **fields)
            if not wait_patiently(answer, limit):
                raise wait_timeout(kind, limit)
            return cast(Message, answer.get())
        except BaseException:
            # It may have come just when the caller was interrupted.
            if answer.successful():
                cast(Message, answer.value).drop()
            raise
        finally:
            self._asked.pop(number, None)
            self._reading.ref = self._ref or bool(self._asked)

    def answer(self, question: Message, fd: int | None = None, **fields: Any) -> None:
        """Answer a message of the other process' :meth:`ask`."""
        self.post(_ANSWER, fd, number=question.fields["number"], **fields)

    # -- receiving ----------------------------------------------------------------------------

    def read_rest(self) -> None:
        """Take what has arrived by now, of a process that has ended."""
        while self._readable():
            pass

    def _readable(self) -> bool:
        """In the hub: something has arrived. Tells whether more may have."""
        if self.closed:
            return False
        try:
            data, ancillary, flags, _ = self._wire.recvmsg(  # type: ignore[attr-defined,unused-ignore]
                READ_BYTES,
                _socket.CMSG_SPACE(_INT_BYTES),  # type: ignore[attr-defined,unused-ignore]
                getattr(_socket, "MSG_CMSG_CLOEXEC", 0),
            )
        except BlockingIOError:
            return False
        except OSError:
            data, ancillary, flags = b"", [], 0
        for level, kind, packed in ancillary:
            if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):  # type: ignore[attr-defined,unused-ignore]
                self._fds.extend(_unpacked(packed))
        if flags & _socket.MSG_CTRUNC and not ancillary:
            # This process has no descriptor left for the one that was sent.
            self._fds.append(None)
        if not data:
            self._end(errno.EPIPE)
            return False
        *lines, self._received = (self._received + data).split(b"\n")
        messages: list[Message] = []
        try:
            for line in lines:
                messages.append(self._read(json.loads(line)))
                self._check(messages[-1])
            self._check_rest()
        except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
            # This is no process of the program.
            for message in messages:
                message.drop()
            self._end(errno.EPROTO)
            return False
        for message in messages:
            self._arrived(message)
        return True

    def _read(self, fields: dict[str, Any]) -> Message:
        kind, with_fd = fields.pop("kind"), fields.pop("with_fd")
        return Message(kind, fields, self._fds.popleft() if with_fd else None)

    def _check(self, message: Message) -> None:
        """Raise an error for what is no message of the program's."""
        if message.kind == _ANSWER:
            fields = self._fields_of_answer(message)
        else:
            fields = {} if self._kinds is None else self._kinds[message.kind]
        for name, kind in fields.items():
            if not isinstance(message.fields[name], kind):
                raise TypeError(f"a {name} of another type")

    def _fields_of_answer(self, message: Message) -> Mapping[str, Any]:
        if "error" in message.fields:
            return {"number": int, "error": self._error}
        asked = self._asked.get(message.fields["number"])
        return {"number": int, **(asked[1] if asked is not None else {})}

    def _check_rest(self) -> None:
        """What is left belongs to the message that has not come yet, and to no other."""
        # A descriptor comes with the first byte of its message.
        if len(self._fds) > bool(self._received):
            raise ValueError("a descriptor without a message")
        if self._max_bytes is not None and len(self._received) > self._max_bytes:
            raise ValueError("a message that is too long")

    def _arrived(self, message: Message) -> None:
        if message.kind != _ANSWER:
            if self._kinds is not None:
                # None of them has a descriptor.
                message = message.drop()
            self._loop.defer(partial(self._receive, message))
            return
        asked = self._asked.get(message.fields["number"])
        if asked is None or asked[0].ready():
            message.drop()
        else:
            asked[0].set(message)

    def _end(self, number: int) -> None:
        """The other process has gone, or is not to be talked to any more."""
        self.close(number)
        self._loop.defer(self._lost)

    def close(self, number: int = errno.EPIPE) -> None:
        """Close this end. Whoever waits for an answer raises.

        :param number: the ``errno`` of what it raises.
        """
        if self.closed:
            return
        Channel.opened.discard(self)
        self._reading.close()
        self._drop_unsent()
        self._writing.close()
        self._wire.close()
        for fd in self._fds:
            if fd is not None:
                _socket.close(fd)
        self._fds.clear()
        for waiting, _ in self._asked.values():
            if not waiting.ready():
                waiting.set_exception(system_error(number, "ask"))

    @classmethod
    def close_inherited(cls) -> None:
        """In a forked child: the channels are the parent's."""
        for channel in list(cls.opened):
            channel._asked.clear()
            channel.close()


def _duplicate(fd: int) -> int:
    try:
        return os.dup(fd)
    except OSError as exc:
        raise annotate(exc, "dup") from None


def _gone() -> OSError:
    return system_error(errno.EPIPE, "ask")


def _rights(fd: int | None) -> list[tuple[int, int, bytes]]:
    if fd is None:
        return []
    return [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, array.array("i", [fd]).tobytes())]  # type: ignore[attr-defined,unused-ignore]


def _unpacked(packed: bytes) -> list[int]:
    fds = array.array("i", packed[: len(packed) - len(packed) % _INT_BYTES]).tolist()
    for fd in fds:
        # Where the system has no flag for it, it is inheritable at first.
        os.set_inheritable(fd, False)
    return fds


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=Channel.close_inherited)
