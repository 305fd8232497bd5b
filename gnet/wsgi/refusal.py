"""What a request is refused with: a status, and a reason for the log."""

from __future__ import annotations

from http import HTTPStatus

__all__ = ["BrokenOffError", "RequestError", "SlowBodyError", "error_page"]


class RequestError(OSError):
    """A request is malformed, too large, or not to be answered.

    Reads of ``wsgi.input`` raise it for a body; where it leaves the application, that is no bug
    of the application's, and the client is answered with its status.

    :ivar status: the status of the answer.
    :ivar code: ``"ERR_HTTP_REQUEST"``.
    """

    code = "ERR_HTTP_REQUEST"

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class BrokenOffError(RequestError):
    """The client has left in the middle of a request."""

    def __init__(self) -> None:
        super().__init__(400, "the stream ends within a request")


class SlowBodyError(RequestError, TimeoutError):
    """A body comes in slower than ``min_body_rate``."""

    def __init__(self) -> None:
        super().__init__(408, "the body comes in too slowly")


def error_page(status: int, head_only: bool = False) -> bytes:
    """A whole response that says nothing but its status, and ends the connection."""
    phrase = HTTPStatus(status).phrase
    body = f"{status} {phrase}\n".encode()
    head = (
        f"HTTP/1.1 {status} {phrase}\r\n"
        "Content-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    ).encode()
    return head if head_only else head + body
