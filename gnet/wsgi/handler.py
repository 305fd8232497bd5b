"""One connection's requests: each is read, given to the application, and answered."""

from __future__ import annotations

from contextlib import nullcontext
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

import gevent
from greenlet import GreenletExit

from . import access, environ
from .body import Body, Input, body_of
from .head import Head
from .intake import Intake, Limits
from .refusal import BrokenOffError, RequestError, error_page
from .response import Response, ResponseError
from .threads import RemoteResponse, Threads

if TYPE_CHECKING:
    from .._socket.socket import Socket

__all__ = ["SERVING", "UPGRADED", "WAITING", "WSGIHandler", "run_application"]

#: What a connection is at: none of its requests, one, or another protocol.
WAITING, SERVING, UPGRADED = "waiting", "serving", "upgraded"


class Host(Protocol):
    """What a handler has to know of its server, a :class:`gnet.wsgi.WSGIServer`."""

    application: Any
    environ: dict[str, Any]
    error_log: Any
    log: Any
    request_limits: Limits
    allow_connect: bool
    interrupt_on_disconnect: bool
    ends_waiting: bool
    thread_pool: Threads | None

    @property
    def listening(self) -> bool: ...

    def report(self, what: str, sock: Socket, error: BaseException) -> None: ...


class WSGIHandler:
    """The requests of one connection, one after another.

    :ivar socket: the connection.
    :ivar server: its server.
    :ivar state: ``"waiting"`` for a request, ``"serving"`` one, or ``"upgraded"`` to another
        protocol.
    """

    __slots__ = ("_address", "_base", "_body", "_intake", "server", "socket", "state")

    def __init__(self, socket: Socket, server: Host) -> None:
        self.socket: Socket = socket
        self.server: Host = server
        self.state: str = WAITING
        self._intake = Intake(socket, server.request_limits, server.allow_connect)
        self._base = environ.of_connection(server.environ, socket)
        self._address: str = self._base["REMOTE_ADDR"]
        self._body: Body | None = None

    def handle(self) -> None:
        """Answer requests until one side wants to end."""
        try:
            while self._handle_one():
                pass
        finally:
            self._intake.close()

    def _handle_one(self) -> bool:
        """Wait for a request and answer it; tells whether there may be another."""
        self.state = WAITING
        if self.server.ends_waiting:
            return False
        intake = self._intake
        try:
            if not intake.await_request():
                return False
            self.state = SERVING
            begin = intake.rest
            head = intake.read_head()
            if head is None:
                return False
        except RequestError as exc:
            self._refuse(exc, begin)
            return False
        except OSError:
            # Reset, or idle for too long: nobody waits for an answer.
            return False
        return self._answer(head)

    # -- one request --------------------------------------------------------------------------

    def _answer(self, head: Head) -> bool:
        begun = monotonic()
        trailers: list[tuple[str, str]] = []
        response = Response(self.socket, head, self._may_go_on)
        body = None
        try:
            body = self._body = body_of(head, self._intake, self.server.request_limits, trailers)
            if head.expects_continue:
                body.announce = partial(self._send_continue, response)
            values = environ.of_request(self._base, head)
            values["gnet.trailers"] = trailers
            values["gnet.response_trailers"] = response.trailers
            self._run(values, head, body, response)
        except BaseException as exc:
            self._failed(exc, head, response)
            response.keep_alive = False
        finally:
            self._body = None
            if body is not None and not body.ended and not response.keep_alive:
                body.close()
        if self.server.log is not None:
            self._log(head, response, monotonic() - begun)
        if response.taken and not self.socket.destroyed:
            self._hand_over()
            return False
        if not response.keep_alive or body is None:
            return False
        return body.ended or self._pass_over(body)

    def _run(self, values: dict[str, Any], head: Head, body: Body, response: Response) -> None:
        """Have the application answer."""
        server, sock = self.server, self.socket
        if head.upgrade:
            self.state = UPGRADED
            values["gnet.head"] = self._intake.rest
            # What libraries of WebSockets look for.
            values["werkzeug.socket"] = sock
            idle_timeout = sock.timeout
            sock.set_timeout(None)
        interrupted = server.interrupt_on_disconnect and not head.upgrade
        with sock.interrupt_on_peer_end() if interrupted else nullcontext():
            if server.thread_pool is None:
                values["wsgi.input"] = Input(body)
                run_application(server.application, values, response)
            else:
                server.thread_pool.run(partial(self._run_in_thread, values, body, response))
        if head.upgrade and not response.taken:
            self.state = SERVING
            sock.set_timeout(idle_timeout)

    def _run_in_thread(
        self, values: dict[str, Any], body: Body, response: Response, call: Any
    ) -> None:
        """In a thread of the pool."""
        values["wsgi.input"] = Input(body, call)
        run_application(self.server.application, values, RemoteResponse(response, call))

    def _may_go_on(self) -> bool:
        """Whether there may be another request behind this one."""
        body = self._body
        usable = body is not None and (body.ended or body.can_be_passed_over)
        return usable and self.server.listening

    def _send_continue(self, response: Response) -> None:
        # Behind the head of the answer it would be in the middle of that.
        if not response.started and not self._intake.rest:
            self.socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")

    def _pass_over(self, body: Body) -> bool:
        try:
            return body.pass_over()
        except OSError:
            return False
        finally:
            body.close()

    def _hand_over(self) -> None:
        """The application has taken the connection, and has returned."""
        sock = self.socket
        if not self.server.listening:
            sock._finish_up()
        if sock.listener_count("data"):
            # From here on it is as any other connection in event style.
            sock._step("unhandle")
            sock.wait("close")

    # -- what went wrong ----------------------------------------------------------------------

    def _failed(self, exc: BaseException, head: Head, response: Response) -> None:
        """The request was not answered as it should have been."""
        sock = self.socket
        if isinstance(exc, (GreenletExit, *gevent.get_hub().SYSTEM_ERROR)):
            raise exc
        if isinstance(exc, RequestError):
            self._refuse(exc, head.line.encode(), response)
        elif isinstance(exc, OSError) and sock._owns(exc):
            if sock.writable_length:
                # A slow reader has had its time; close() would give it as much as it likes.
                sock.destroy()
        else:
            if isinstance(exc, ResponseError):
                self._complain(f"{exc}: {head.line}")
            else:
                what = f"{head.method} {head.target.partition('?')[0]}"
                self.server.report(what, sock, exc)
            self._break_off(500, head, response)

    def _refuse(self, exc: RequestError, begin: bytes, response: Response | None = None) -> None:
        """Say what is wrong with a request, and to its client no more than the status."""
        if not isinstance(exc, BrokenOffError):
            self._complain(f"{exc.status}, {exc}", begin)
        self._break_off(exc.status, None, response)

    def _break_off(self, status: int, head: Head | None, response: Response | None) -> None:
        sock = self.socket
        try:
            if response is None or not response.started:
                if response is not None:
                    response.code = status
                sock.sendall(error_page(status, head is not None and head.method == "HEAD"))
            elif response.ends_with_connection:
                # A clean end would tell that this was all.
                sock.destroy(None) if sock.remote_port is None else sock.reset_and_destroy()
        except OSError:
            pass

    def _complain(self, what: str, begin: bytes = b"") -> None:
        self.server.error_log.write(access.error_line(self._address, what, begin))

    def _log(self, head: Head, response: Response, seconds: float) -> None:
        line = access.access_line(self._address, head.line, response.code, response.sent, seconds)
        self.server.log.write(line)


def run_application(application: Any, values: dict[str, Any], response: Any) -> None:
    """Call an application, and send what it returns."""
    result = application(values, response.start_response)
    try:
        response.send_all(result)
    finally:
        close = getattr(result, "close", None)
        if close is not None:
            close()
