r"""WSGI applications on a gnet server, through the request handler of gevent's ``pywsgi``.

.. code-block:: python

    import gnet
    from gnet import wsgi

    def application(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return [b"hello\n"]

    with wsgi.WSGIServer(application).listen(0) as server:
        with gnet.connect(server.address().port) as sock:
            sock.sendall(b"GET / HTTP/1.0\r\n\r\n")
            print(*sock.makefile(), sep="")

``wsgi.serve(application, 8124)`` serves until the process is told to end. The server is a
:class:`gnet.Server`: it listens on ports, paths and descriptors, has limits and block lists, and
lives beside any other server in one process.

An application that blocks other than through gevent blocks the whole process: have
``gevent.monkey.patch_all()`` run first.

**Upgrades.** A request for an upgrade (RFC 9110, section 7.8), a WebSocket's for example, has two
more keys in its ``environ``: ``"gnet.socket"`` is the connection, a :class:`gnet.Socket`, without
an idle timeout; ``"gnet.head"`` are the bytes that came with the request and belong to the new
protocol, mostly ``b""``. The application answers with ``101`` through ``start_response`` and
``write``, or on the socket itself, and has the connection until it returns. If it has left
``'data'`` listeners on the socket, the connection lives on until its ``'close'``.

From PEP 3333, RFC 9112, and Node's ``http``: *server.close()*, *server.headersTimeout*, *Event:
'upgrade'*.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from gevent import Timeout, pywsgi

from . import __version__, _validate
from ._serve import serve_with
from .server import Server
from .socket import Socket

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["WSGIHandler", "WSGIServer", "serve"]

_SLOW = ("408", b"HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")

#: How long a client may send or take nothing while it is waited for, in seconds.
IDLE_SECONDS = 60.0
#: How long the head of a request may take from its first byte on, in seconds.
HEADER_SECONDS = 60.0


# What the handler shares with gevent's, gevent's types do not say.
_Handler: Any = pywsgi.WSGIHandler


class WSGIHandler(_Handler):  # type: ignore[misc]
    """The requests of one connection, one after another."""

    socket: Socket
    server: WSGIServer
    response_headers: list[tuple[bytes, bytes]]
    # Whether the current request asks for another protocol.
    _upgrade = False
    _deadline: Timeout

    def handle_one_request(self) -> Any:
        server, sock = self.server, self.socket
        # What a previous request has left must not be taken for this one's.
        self.code = self.status = self._orig_status = None
        self._upgrade = False
        if not self._await_request():
            return None
        idle_timeout = sock.timeout
        self._deadline = Timeout.start_new(server.header_timeout)
        server._busy.add(sock)
        try:
            result = super().handle_one_request()
        except Timeout as exc:
            if exc is not self._deadline:
                raise
            return _SLOW
        finally:
            self._deadline.close()
            server._busy.discard(sock)
        if self._upgrade:
            if self.code == 101 or self.status is None:
                self._hand_over()
                return None
            # What has come behind the request is another one.
            self.rfile.give_back(self._head)
            sock.set_timeout(idle_timeout)
        return result

    def _await_request(self) -> bool:
        """Block until a request begins; tells whether one does."""
        server, sock = self.server, self.socket
        if not server.listening:
            return False
        server._idle.add(sock)
        try:
            return bool(self.rfile.peek(1))
        except OSError:
            # Reset, or idle for too long: nobody waits for an answer.
            return False
        finally:
            server._idle.discard(sock)

    def get_environ(self) -> dict[str, Any]:
        # The head of the request is complete.
        self._deadline.close()
        sock = self.socket
        environ: dict[str, Any] = super().get_environ()
        environ.setdefault("SERVER_NAME", sock.local_address or "localhost")
        environ.setdefault("SERVER_PORT", str(sock.local_port or 80))
        environ.setdefault("REMOTE_ADDR", "")
        self._upgrade = self._connection_upgrade_requested()
        if self._upgrade:
            environ["gnet.socket"] = sock
            environ["gnet.head"] = self._head = self.rfile.take_ahead()
            sock.set_timeout(None)
            # It has no body that a shutdown could cut off, and may last for long.
            self.server._busy.discard(sock)
        return environ

    def _connection_upgrade_requested(self) -> bool:
        # gevent's takes the list of tokens for one, and raw bytes for the body of a request that
        # has one.
        headers = self.headers
        if self.content_length or "transfer-encoding" in headers or "upgrade" not in headers:
            return False
        tokens = headers.get("connection", "").lower().split(",")
        return "upgrade" in (token.strip() for token in tokens)

    def finalize_headers(self) -> None:
        if self.code == 101:
            # It has no length: what follows is the other protocol's.
            self.connection_upgraded = self.close_connection = True
            return
        if not self.server.listening:
            self.close_connection = True
        super().finalize_headers()
        if self.close_connection:
            kept = [each for each in self.response_headers if each[0].lower() != b"connection"]
            self.response_headers = [*kept, (b"Connection", b"close")]

    def _hand_over(self) -> None:
        """The application has taken the connection, and has returned."""
        sock = self.socket
        if not self.server.listening:
            sock._finish_up()
        if sock.listener_count("data"):
            # From here on it is as any other connection in event style.
            sock._handled = False
            sock.wait("close")

    # -- errors: those of the network are no bugs of the application ---------------------------

    def handle_error(self, t: Any, v: Any, tb: Any) -> None:
        if self._is_networks(v):
            self.close_connection = True
            if self.socket.writable_length:
                # A slow reader has had its time; close() would give it as much as it likes.
                self.socket.destroy()
        else:
            super().handle_error(t, v, tb)

    def _handle_client_error(self, ex: BaseException) -> Any:
        if self._is_networks(ex):
            self.close_connection = True
            return _SLOW if isinstance(ex, TimeoutError) else None
        return super()._handle_client_error(ex)

    def _is_networks(self, error: Any) -> bool:
        return isinstance(error, OSError) and self.socket._owns(error)


class WSGIServer(Server):
    """A server that has a WSGI application answer HTTP requests.

    It emits what :class:`gnet.Server` emits. A ``'connection'`` listener may set a connection
    up; the first request is read when it has returned.

    ``close()`` ends the idle keep-alive connections as well, and ``shutdown(grace)`` finishes
    the requests in flight: every response from then on says ``Connection: close``.

    :param application: the WSGI application.
    :param log: where a line per request goes: an object with ``write()``, or a
        :class:`logging.Logger`; default: nowhere.
    :param error_log: where errors of clients go, and what the application writes to
        ``wsgi.errors``: as ``log``; default: the standard error.
    :param environ: values for the ``environ`` of every request.
    :param idle_timeout: how long a client may send or take nothing while it is waited for, in
        seconds; ``None`` for no limit. It closes idle keep-alive connections, and slow ones.
    :param header_timeout: how long a client may take to send the head of a request, in seconds;
        ``None`` for no limit.
    :param options: those of :class:`gnet.Server`. ``no_delay`` is ``True`` by default.
    :raises TypeError: an argument of the wrong kind.
    :raises ValueError: an argument of the wrong value.
    """

    __slots__ = (
        "_busy", "_idle", "application", "environ", "error_log", "header_timeout", "idle_timeout",
        "log",
    )  # fmt: skip

    #: What handles a connection; called with the socket, the peer's address and the server.
    handler_class: Callable[..., Any] = WSGIHandler
    #: The class of an ``environ``; PEP 3333 wants it to be ``dict`` itself.
    environ_class = dict
    # What gevent's handler prints an environ as.
    secure_environ_class = pywsgi.WSGISecureEnviron

    def __init__(
        self,
        application: Callable[..., Any],
        *,
        log: Any = None,
        error_log: Any = None,
        environ: dict[str, Any] | None = None,
        idle_timeout: float | None = IDLE_SECONDS,
        header_timeout: float | None = HEADER_SECONDS,
        **options: Any,
    ) -> None:
        self.application = _validate.function("application", application)
        self.idle_timeout = _validate.seconds("idle_timeout", idle_timeout)
        self.header_timeout = _validate.seconds("header_timeout", header_timeout)
        self.log = _Nowhere() if log is None else _writable("log", log, logging.INFO)
        if error_log is None:
            # A program may have been started without a standard error.
            error_log = sys.stderr or _Nowhere()
        self.error_log = _writable("error_log", error_log, logging.ERROR)
        options.setdefault("no_delay", True)
        super().__init__(end_on_return=True, **options)
        #: What the ``environ`` of every request begins with.
        self.environ = self.environ_class(pywsgi.WSGIServer.base_env)
        self.environ["SERVER_SOFTWARE"] += f" gnet/{__version__}"
        self.environ.update({"wsgi.url_scheme": "http", "wsgi.errors": self.error_log})
        self.environ.update(environ or {})
        # The connections that wait for a request, and those that are at one.
        self._idle: set[Socket] = set()
        self._busy: set[Socket] = set()

    @property
    def loop(self) -> Any:
        """The loop of gevent's hub, for the handler: errors of the application go there."""
        return self._loop.loop

    def get_environ(self) -> dict[str, Any]:
        """The beginning of a request's ``environ``, for the handler."""
        return self.environ_class(self.environ)

    def emit(self, event: str, *args: Any) -> bool:
        if event != "connection":
            return super().emit(event, *args)
        (sock,) = args
        sock.set_timeout(self.idle_timeout)
        super().emit(event, sock)
        remote = sock.remote_address
        handler = self.handler_class(sock, (remote, sock.remote_port) if remote else "", self)
        handler.handle()
        return True

    emit.__doc__ = Server.emit.__doc__

    def close(self, callback: Callable[..., object] | None = None) -> Self:
        """Stop accepting, and end the idle keep-alive connections.

        ``'close'`` is emitted when the last connection has closed. From Node's
        ``server.close()`` of ``http``.

        :param callback: as for :meth:`gnet.Server.close`.
        :returns: the server.
        """
        super().close(callback)
        for sock in list(self._idle):
            sock._finish_up()
        return self

    def _finish_up(self, sock: Socket) -> None:
        # A request in flight is read to its end and answered; then its connection closes.
        if sock not in self._busy:
            super()._finish_up(sock)


def serve(
    application: Callable[..., Any],
    target: Any = None,
    host: Any = None,
    *,
    grace: float | None = 30.0,
    **options: Any,
) -> int:
    """Serve a WSGI application; block until the server has closed.

    In the main thread, SIGTERM and SIGINT have it shut down: the requests in flight are
    finished. A second signal does not wait.

    :param application: the WSGI application.
    :param target: as for :meth:`gnet.Server.listen`.
    :param host: as for :meth:`gnet.Server.listen`.
    :param grace: how long the requests have after a signal, in seconds; ``None``: no limit.
    :param options: those of :class:`WSGIServer` and of :meth:`gnet.Server.listen`.
    :returns: how many connections were destroyed after a signal.
    """
    return serve_with(partial(WSGIServer, application), target, host, grace, options)


class _Nowhere:
    """A log that nobody wants."""

    def write(self, line: str) -> None:
        """Forget it."""


def _writable(name: str, log: Any, level: int) -> Any:
    """What has ``write()``, for a log of any kind."""
    if callable(getattr(log, "write", None)):
        return log
    if callable(getattr(log, "log", None)):
        return pywsgi.LoggingLogAdapter(log, level)
    raise _validate.wrong_kind(name, log, "an object with write(), or a logging.Logger")
