r"""WSGI applications on a gnet server: HTTP/1.1 that may face the internet.

.. code-block:: python

    import gnet
    from gnet import wsgi

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello\n"]

    with wsgi.WSGIServer(application).listen(0) as server:
        with gnet.connect(server.port) as sock:
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            print(*sock.makefile(), sep="")

``wsgi.serve(application, 8124)`` serves until the process is told to end. The server is a
:class:`gnet.Server`: it listens on ports, paths and descriptors, has limits and block lists, and
lives beside any other server in one process. It needs the package httptools, which
``pip install "gevent-net[wsgi]"`` brings: llhttp, Node's parser, reads the requests.

An application that blocks, and does not do it through gevent, blocks the whole process: call
``gevent.monkey.patch_all()`` first, or use ``threads``. When an application holds the loop for
more than a second, the log ``gnet`` gets a warning with its stack, once.

**What is refused.** Requests that two readers could understand differently: with two lengths, a
length beside a transfer coding, codings other than ``chunked``, spaces where none belong,
malformed line ends, control characters, no ``Host`` or two. The answer is 400 or a more precise
status, says nothing else, and ends the connection; ``error_log`` has the reason. Bytes of a body
are never a request.

**The environ** has PEP 3333's keys, and ``wsgi.input_terminated``; over TLS ``HTTPS``,
``SSL_CLIENT_VERIFY`` (``"SUCCESS"`` or ``"NONE"``) and the client's certificate in
``SSL_CLIENT_CERT``, if it has shown one; ``REMOTE_PORT``,
``REQUEST_URI`` and ``RAW_URI``, the target as it was sent; ``"gnet.socket"``, the connection, a
:class:`gnet.Socket`; ``"gnet.trailers"``, a list of the fields behind a body in chunks, as soon as
the body was read to its end; and ``"gnet.response_trailers"``, a list for such fields of the
response, which are sent behind chunks to clients that want them. Fields whose names have an
underscore are left out, because they could pass for another field.

**Upgrades.** A request for an upgrade (RFC 9110, section 7.8), to a WebSocket for example, has one
more key in its ``environ``: ``"gnet.head"`` has the bytes that came with the request and belong to
the new protocol, mostly ``b""``. Its socket has no idle timeout. The application answers with
``101`` through ``start_response`` and ``write``, or on the socket itself, and owns the connection
until it returns. If it has left ``'data'`` listeners on the socket, the connection lives on until
its ``'close'``. The same is true of ``CONNECT`` with ``allow_connect``.

From PEP 3333, RFC 9110 and 9112, and Node's ``http``: *server.close()*, *server.headersTimeout*,
*Event: 'upgrade'*.
"""

from __future__ import annotations

import _socket
import logging
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from .. import __version__
from .._server import bind
from .._server.serve import serve_with
from .._server.server import Server
from .._socket.socket import Socket
from .._values import arguments
from .._values.report import handler_failed, report
from .._values.suggestions import names, option_error, suggesting
from .access import Nowhere, writable
from .files import FileWrapper
from .handler import UPGRADED, WAITING, WSGIHandler, run_application
from .intake import Limits
from .options import WSGIOptions, WSGIServeOptions
from .refusal import RequestError
from .stall import StallWatch
from .threads import Threads

if TYPE_CHECKING:
    from typing_extensions import Self, Unpack

    from .._server.options import ServerSettings

__all__ = ["RequestError", "WSGIHandler", "WSGIServer", "serve"]

#: How long a client may send or take nothing while it is waited for, in seconds.
IDLE_SECONDS = 60.0
#: How long the head of a request may take from its first byte on, in seconds.
HEADER_SECONDS = 10.0
#: How large the head of a request may be, in bytes, and how many fields it may have.
MAX_HEADER_BYTES = 65536
MAX_HEADERS = 100

_SERVE_OPTIONS = names(WSGIServeOptions)


class WSGIServer(Server):
    """A server whose HTTP requests a WSGI application answers.

    It emits what :class:`gnet.Server` emits. A ``'connection'`` listener may set a connection
    up; the first request is read when it has returned.

    :param application: the WSGI application.
    :param log: gets a line for each request: an object with ``write()``, or a
        :class:`logging.Logger`. Default: no log.
    :param error_log: gets the errors of clients, and what the application writes to
        ``wsgi.errors``; of the same kind as ``log``. Default: the standard error.
    :param environ: values for the ``environ`` of every request.
    :param idle_timeout: how long a client may send or take nothing while it is waited for, in
        seconds; ``None`` for no limit. It closes idle keep-alive connections, and slow ones.
    :param header_timeout: how long a client may take to send the head of a request, from its
        first byte to its last, in seconds; ``None`` for no limit. Then it is answered with 408.
    :param min_body_rate: the minimum of bytes a second in which a body must come while it is
        waited for, from the third second on; ``None``, the default, for no limit. When a body is
        slower, a read of it raises :class:`RequestError`, which is a :class:`TimeoutError`, too.
    :param max_body: the maximum size of a body, in bytes; ``None``, the default, for no limit. A
        larger one is answered with 413: before the application is called if its length is
        announced, and otherwise by the exception that a read raises.
    :param max_header_bytes: the maximum size of a head, in bytes; a larger one is answered with
        431, and a first line above that, or above 8192 bytes, with 414.
    :param max_headers: the maximum number of fields in a head; more are answered with 431.
    :param interrupt_on_disconnect: raise :class:`~gnet.errors.PeerEndError` in an application
        when its client leaves, wherever it is blocked. A client that ends only its own side
        looks the same.
    :param threads: call the application in a pool with this many threads; ``None``, the default,
        calls it in the connection's greenlet.
    :param allow_connect: pass ``CONNECT`` to the application, as an upgrade; otherwise it is
        answered with 501.
    :param options: those of :class:`gnet.Server`, without ``end_on_return``. ``no_delay`` is
        ``True`` by default.
    :raises TypeError: an argument is of the wrong kind.
    :raises ValueError: an argument has a wrong value.
    """

    __slots__ = (
        "_handlers", "_stall_watch", "allow_connect", "application", "ends_waiting", "environ",
        "error_log", "idle_timeout", "interrupt_on_disconnect", "log", "request_limits",
        "thread_pool", "threads",
    )  # fmt: skip

    #: What handles a connection; called with the socket and the server.
    handler_class: Callable[..., Any] = WSGIHandler

    @suggesting("WSGIServer()", WSGIOptions)
    def __init__(
        self,
        application: Callable[..., Any],
        *,
        log: Any = None,
        error_log: Any = None,
        environ: dict[str, Any] | None = None,
        idle_timeout: float | None = IDLE_SECONDS,
        header_timeout: float | None = HEADER_SECONDS,
        min_body_rate: float | None = None,
        max_body: int | None = None,
        max_header_bytes: int = MAX_HEADER_BYTES,
        max_headers: int = MAX_HEADERS,
        interrupt_on_disconnect: bool = False,
        threads: int | None = None,
        allow_connect: bool = False,
        **options: Unpack[ServerSettings],
    ) -> None:
        flag, integer = arguments.flag, arguments.integer
        self.application: Callable[..., Any] = arguments.function("application", application)
        self.idle_timeout: float | None = arguments.seconds("idle_timeout", idle_timeout)
        #: What a request may cost.
        self.request_limits: Limits = Limits(
            arguments.seconds("header_timeout", header_timeout),
            _rate("min_body_rate", min_body_rate),
            None if max_body is None else integer("max_body", max_body, 0, 2**63 - 1),
            integer("max_header_bytes", max_header_bytes, 1, 2**31 - 1),
            integer("max_headers", max_headers, 0, 2**31 - 1),
        )
        self.interrupt_on_disconnect: bool = flag(
            "interrupt_on_disconnect", interrupt_on_disconnect
        )
        self.threads: int | None = (
            None if threads is None else integer("threads", threads, 1, 2**16)
        )
        self.allow_connect: bool = flag("allow_connect", allow_connect)
        #: Where a line per request goes, or ``None``.
        self.log: Any = None if log is None else writable("log", log, logging.INFO)
        if error_log is None:
            # A program may have been started without a standard error.
            error_log = sys.stderr or Nowhere()
        self.error_log: Any = writable("error_log", error_log, logging.ERROR)
        options.setdefault("no_delay", True)
        super().__init__(end_on_return=True, **options)
        #: What the ``environ`` of every request begins with.
        self.environ: dict[str, Any] = {
            "SCRIPT_NAME": "",
            "SERVER_SOFTWARE": f"gnet/{__version__}",
            "GATEWAY_INTERFACE": "CGI/1.1",
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http" if options.get("tls") is None else "https",
            "wsgi.errors": self.error_log,
            "wsgi.multithread": threads is not None,
            "wsgi.multiprocess": bind.ask_primary is not None,
            "wsgi.run_once": False,
            "wsgi.input_terminated": True,
            "wsgi.file_wrapper": FileWrapper,
            **(environ or {}),
        }
        self._handlers: dict[Socket, Any] = {}
        #: Whether the connections that wait for a request are at their end.
        self.ends_waiting: bool = False
        #: The threads, while the server needs them.
        self.thread_pool: Threads | None = None
        self._stall_watch: StallWatch | None = None

    @property
    def header_timeout(self) -> float | None:
        """How long the head of a request may take, in seconds, or ``None``."""
        return self.request_limits.header_timeout

    def report(self, what: str, sock: Socket, error: BaseException) -> None:
        """Tell of what an application has raised."""
        handler_failed(self._loop.hub, sock, error)
        report(self._loop.hub, what, error)

    # -- connections --------------------------------------------------------------------------

    def _start(self, bound: bind.Bound) -> None:
        self.ends_waiting = False
        super()._start(bound)

    def _begin_serving(self) -> None:
        """There is a first connection: have what applications need."""
        if self.threads is not None and self.thread_pool is None:
            self.thread_pool = Threads(self.threads)
        if self._stall_watch is None and self.thread_pool is None:
            wake = self._loop.loop.run_callback_threadsafe
            self._stall_watch = StallWatch(wake, run_application.__code__)

    def _end_serving(self) -> None:
        """Let go of what applications need, if this was the last of them."""
        if self._handlers or self._is_open():
            return
        pool, self.thread_pool = self.thread_pool, None
        if pool is not None:
            pool.close()
        watch, self._stall_watch = self._stall_watch, None
        if watch is not None:
            watch.stop()

    def _emit_close(self, period: int) -> None:
        super()._emit_close(period)
        self._end_serving()

    def emit(self, event: Any, *args: Any) -> bool:
        if event != "connection":
            return super().emit(event, *args)
        (sock,) = args
        sock.set_timeout(self.idle_timeout)
        super().emit("connection", sock)
        if not self._handlers:
            self._begin_serving()
        handler = self._handlers[sock] = self.handler_class(sock, self)
        try:
            handler.handle()
        finally:
            del self._handlers[sock]
            if not self._handlers:
                self._end_serving()
        return True

    emit.__doc__ = Server.emit.__doc__

    # -- the end ------------------------------------------------------------------------------

    def close(self, callback: Callable[..., object] | None = None) -> Self:
        """Stop accepting, and end the idle keep-alive connections.

        ``'close'`` is emitted when the last connection has closed. From Node's
        ``server.close()`` of ``http``.

        :param callback: as for :meth:`gnet.Server.close`.
        :returns: the server.
        """
        self.ends_waiting = True
        super().close(callback)
        for sock, handler in list(self._handlers.items()):
            if handler.state is WAITING:
                # In the kernel: a client that is idle is not waited for.
                with suppress(OSError):
                    sock.shutdown(_socket.SHUT_RD)
        return self

    def shutdown(self, grace: float | None = None) -> int:
        """Stop accepting, finish the requests, and destroy what is left after some time.

        Every response says ``Connection: close`` from now on. With a ``grace``, the server also
        answers requests that come meanwhile on connections that were accepted before, since a
        client that has just sent one cannot know. Without a grace, connections that wait for a
        request end at once. Upgraded connections end as in :meth:`gnet.Server.shutdown`.

        :param grace: how long the requests have, in seconds; ``None`` for no limit.
        :returns: how many connections were destroyed, idle ones not counted.
        """
        if not grace and (self.listening or self._handlers):
            arguments.limit("grace", grace)
            self.close()
        return super().shutdown(grace)

    def _stop_listening(self) -> None:
        if self._acceptor is not None and not self.ends_waiting:
            self._acceptor.drain()
        super()._stop_listening()

    def _finish_up(self, sock: Socket) -> None:
        handler = self._handlers.get(sock)
        if handler is not None and handler.state is UPGRADED:
            super()._finish_up(sock)

    def _force(self, left: set[Socket]) -> int:
        for sock in left:
            handler = self._handlers.get(sock)
            if handler is not None and handler.state is WAITING:
                # Those that have asked for nothing lose nothing.
                sock.destroy()
        return super()._force(left)


def serve(
    application: Callable[..., Any],
    target: Any = None,
    host: Any = None,
    *,
    grace: float | None = 30.0,
    **options: Unpack[WSGIServeOptions],
) -> int:
    """Serve a WSGI application; block until the server has closed.

    In the main thread, SIGTERM and SIGINT shut the server down: it finishes the requests in
    flight, and those that still come on connections that are already there. A second signal ends
    the waiting.

    :param application: the WSGI application.
    :param target: as for :meth:`gnet.Server.listen`.
    :param host: as for :meth:`gnet.Server.listen`.
    :param grace: how long the requests have after a signal, in seconds; ``None``: no limit.
    :param options: those of :class:`WSGIServer` and of :meth:`gnet.Server.listen`.
    :returns: how many connections were destroyed after a signal.
    """
    if not options.keys() <= _SERVE_OPTIONS:
        raise option_error("gnet.wsgi.serve()", options, _SERVE_OPTIONS)
    given: Any = options
    return serve_with(partial(WSGIServer, application), target, host, grace, given)


def _rate(name: str, value: Any) -> float | None:
    """A number above zero, or ``None``."""
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise arguments.wrong_kind(name, value, "a number of bytes a second")
    if not 0 < value < float("inf"):
        raise arguments.wrong_value(name, value, "above 0 bytes a second", "ERR_OUT_OF_RANGE")
    return value
