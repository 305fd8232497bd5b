"""A pool of threads for applications that block otherwise than through gevent.

A connection belongs to its greenlet, in the thread of the loop. Whatever an application does to
it from a thread of the pool, a read of its input or a write, is done there, while the thread
waits.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from gevent.event import Event
from gevent.hub import get_hub
from gevent.threadpool import ThreadPool

from .._values.originals import original
from .files import FileWrapper
from .response import Response

__all__ = ["RemoteResponse", "Threads"]

# The system's own, also where the standard library's is gevent's.
_allocate_lock = original("_thread", "allocate_lock")


class _Call:
    """What a thread has the greenlet do; it waits until that has been done."""

    __slots__ = ("_args", "_done", "_error", "_function", "_result")

    def __init__(self, function: Callable[..., Any], args: tuple[Any, ...]) -> None:
        self._function = function
        self._args = args
        self._result: Any = None
        self._error: BaseException | None = None
        self._done = _allocate_lock()
        self._done.acquire()

    def run(self) -> None:
        """In the greenlet: do it. What interrupts that is the thread's to hear of."""
        try:
            self._result = self._function(*self._args)
        except BaseException as exc:
            self._error = exc
        self._done.release()

    def fail(self, error: BaseException) -> None:
        """In the greenlet: the connection is not to be used any more."""
        self._error = error
        self._done.release()

    def wait(self) -> Any:
        """In the thread: block for the result."""
        self._done.acquire()
        if self._error is not None:
            error, self._error = self._error, None
            raise error
        return self._result


class _Bridge:
    """From one thread of the pool, for one request, to the connection's greenlet."""

    def __init__(self) -> None:
        self._calls: deque[_Call] = deque()
        self._news = Event()
        self._wake = get_hub().loop.run_callback_threadsafe

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        """In the thread: have the greenlet call a function; gives what that does."""
        call = _Call(function, args)
        self._calls.append(call)
        self._wake(self._news.set)
        return call.wait()

    def run(self, function: Callable[[Callable[..., Any]], object]) -> BaseException | None:
        """In the thread: call the function; gives what it raises, which is nobody's there."""
        try:
            function(self.call)
        except BaseException as exc:
            return exc
        return None

    def serve(self, result: Any) -> None:
        """In the greenlet: do what the thread asks for, until that has ended."""
        result.rawlink(lambda _: self._news.set())
        interrupted: BaseException | None = None
        while True:
            try:
                if not result.ready():
                    self._news.wait()
            except BaseException as exc:
                # The thread goes on, and hears of it when it next uses the connection.
                interrupted = interrupted or exc
            self._news.clear()
            while self._calls:
                call = self._calls.popleft()
                if interrupted is None:
                    call.run()
                else:
                    call.fail(interrupted)
            if result.ready():
                error = interrupted or result.get()
                if error is not None:
                    raise error
                return


class Threads:
    """The threads.

    :param size: how many applications run at once; the other requests wait.
    """

    def __init__(self, size: int) -> None:
        self._pool = ThreadPool(size)

    def run(self, function: Callable[[Callable[..., Any]], object]) -> None:
        """Call a function in a thread; block this greenlet until it has returned.

        :param function: called with what has this greenlet call another function.
        :raises BaseException: what the function has raised, or has interrupted this greenlet.
        """
        bridge = _Bridge()
        bridge.serve(self._pool.spawn(bridge.run, function))

    def close(self) -> None:
        """End the threads; what they are at is waited for in the background."""
        self._pool.kill()


class RemoteResponse:
    """A response for a thread of the pool: the connection's greenlet sends the bytes."""

    __slots__ = ("_call", "_response")

    def __init__(self, response: Response, call: Callable[..., Any]) -> None:
        self._response = response
        self._call = call

    def start_response(
        self, status: str, headers: list[tuple[str, str]], exc_info: Any = None
    ) -> Callable[[bytes], None]:
        """As :meth:`Response.start_response`."""
        self._response.start_response(status, headers, exc_info)
        return self.write

    def write(self, data: bytes) -> None:
        """As :meth:`Response.write`."""
        self._call(self._response.write, data)

    def send_all(self, body: Any) -> None:
        """As :meth:`Response.send_all`; an iterator of the application's runs here."""
        if type(body) in (list, tuple, FileWrapper):
            self._call(self._response.send_all, body)
            return
        for data in body:
            self.write(data)
        self._call(self._response.finish)
