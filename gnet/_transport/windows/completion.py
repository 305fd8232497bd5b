"""The end of overlapped operations, told to the loop: a completion port, a thread, a watcher.

libuv watches sockets only. For named pipes a thread waits at a completion port of the hub's and
wakes the loop by an async watcher: 0.7 ms a round trip under Wine, where a wait in the hub's
thread pool for each operation took 2 ms. Windows only.
"""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import gevent

assert sys.platform == "win32"

import _overlapped  # type: ignore[import-not-found]  # noqa: E402
import _winapi  # noqa: E402

from ..._values.originals import original  # noqa: E402

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["CompletionPort", "Operation", "completion_port"]

#: Told that an operation has ended: Windows' number of its error, and how many bytes it moved.
Notify = Callable[[int, int], None]

# The address in the packet that ends the thread: no structure has it, and a null pointer is an
# error to the standard library.
_END = 1


class Operation:
    """An overlapped operation.

    :ivar overlapped: the standard library's object for it, which has its buffer.
    :ivar notify: called in the hub when it has ended; ``None``: nobody wants to know.
    """

    __slots__ = ("notify", "overlapped")

    def __init__(self, notify: Notify) -> None:
        self.overlapped: Any = _overlapped.Overlapped(_overlapped.NULL)
        self.notify: Notify | None = notify

    def abandon(self) -> None:
        """Cancel it if it has not ended, and tell nobody."""
        self.notify = None
        self.overlapped.cancel()


class CompletionPort:
    """The completion port of a hub and the thread that waits at it.

    They are there while a pipe of the hub's is open.
    """

    __slots__ = ("_done", "_handle", "_hub", "_operations", "_users", "_wake", "loop")

    def __init__(self, hub: Any) -> None:
        self._hub = hub
        self.loop = hub.loop
        self._handle: int = _overlapped.CreateIoCompletionPort(
            _overlapped.INVALID_HANDLE_VALUE, _overlapped.NULL, 0, 1
        )
        # By the address of the structure that Windows knows it by. An operation stays here until
        # its packet comes: till then Windows may write to its memory.
        self._operations: dict[int, Operation] = {}
        self._done: deque[tuple[Operation | None, int, int]] = deque()
        self._users = 0
        self._wake = self.loop.async_(ref=False)
        self._wake.start(self._deliver)
        # A thread of the system's also where gevent has patched threads into greenlets.
        original("_thread", "start_new_thread")(
            _collect, (self._handle, self._operations, self._done, self._wake.send)
        )

    def attach(self, handle: int) -> None:
        """Have the operations of a file end here."""
        _overlapped.CreateIoCompletionPort(handle, self._handle, 0, 0)

    def acquire(self) -> Self:
        """Keep the thread until :meth:`release`."""
        self._users += 1
        return self

    def release(self) -> None:
        """Undo one :meth:`acquire`. The last one ends the thread, when no operation is left."""
        self._users -= 1
        if not self._users:
            self._hub.gnet_completion_port = None
            # The loop has to stay for the thread's last word.
            self._wake.ref = True
            _overlapped.PostQueuedCompletionStatus(self._handle, 0, 0, _END)

    def start(self, call: Callable[[Any], object], notify: Notify) -> Operation | None:
        """Start an operation.

        :param call: given the overlapped object, it makes the system call.
        :param notify: called in the hub when the operation has ended.
        :returns: the operation; ``None`` when there was nothing to wait for.
        :raises OSError: it has failed at once.
        """
        operation = Operation(notify)
        address = operation.overlapped.address
        # First of all: its packet may come before the call has returned.
        self._operations[address] = operation
        try:
            # True from ConnectNamedPipe: connected already, and no packet comes.
            if not call(operation.overlapped):
                return operation
        except BaseException:
            del self._operations[address]
            raise
        del self._operations[address]
        return None

    def _deliver(self) -> None:
        """In the hub: tell of what has ended."""
        done = self._done
        try:
            while done:
                operation, error, size = done.popleft()
                if operation is None:
                    self._wake.close()
                elif operation.notify is not None:
                    operation.notify(error, size)
        finally:
            if done:
                # A signal's exception has come through here: the rest must still be told.
                self._wake.send()


def _collect(
    port: int,
    operations: dict[int, Operation],
    done: deque[tuple[Operation | None, int, int]],
    wake: Callable[[], None],
) -> None:
    """The thread: take packets from the port until it is told to end and none can come."""
    ending = False
    while operations or not ending:
        packet = _overlapped.GetQueuedCompletionStatus(port, _overlapped.INFINITE)
        error, size, _, address = packet
        if address == _END:
            ending = True
            continue
        # None: it is not gnet's. A handle that was detached still has its operations end here.
        operation = operations.pop(address, None)
        if operation is not None and operation.notify is not None:
            done.append((operation, error, size))
            wake()
        # Till the next packet the thread must not keep the wire of this one alive.
        del operation
    _winapi.CloseHandle(port)
    done.append((None, 0, 0))
    wake()


def completion_port() -> CompletionPort:
    """The completion port of the calling thread's hub, to be released when it is not needed."""
    hub: Any = gevent.get_hub()
    port: CompletionPort | None = getattr(hub, "gnet_completion_port", None)
    if port is None:
        port = hub.gnet_completion_port = CompletionPort(hub)
    return port.acquire()
