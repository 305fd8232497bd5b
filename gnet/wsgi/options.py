"""The options of a WSGI server, by name: one definition for programs and checkers."""

from __future__ import annotations

from typing import Any

from .._server.options import ListeningOptions, ServerSettings

__all__ = ["WSGIOptions", "WSGIServeOptions"]


class WSGIOptions(ServerSettings, total=False):
    """Those of :class:`gnet.wsgi.WSGIServer`."""

    log: Any
    error_log: Any
    environ: dict[str, Any] | None
    idle_timeout: float | None
    header_timeout: float | None
    min_body_rate: float | None
    max_body: int | None
    max_header_bytes: int
    max_headers: int
    interrupt_on_disconnect: bool
    threads: int | None
    allow_connect: bool


class WSGIServeOptions(WSGIOptions, ListeningOptions, total=False):
    """Those of :func:`gnet.wsgi.serve`."""

    backlog: Any
