"""Connections to Redis: redis-py's, over gnet's sockets, so that nothing has to be patched."""

from __future__ import annotations

import logging
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from time import monotonic
from typing import TYPE_CHECKING, Any

import gevent

from .._socket.creating import create_connection as connect
from .._values import arguments
from .._values.backoff import Backoff

if TYPE_CHECKING:
    from types import ModuleType

__all__ = ["Outage", "Place", "client_of", "library"]

# An idle connection is asked for a sign of life after so many seconds.
KEEP_ALIVE_SECONDS = 30.0

# Between tries to reach Redis again, in seconds.
FIRST_PAUSE = 0.1
LONGEST_PAUSE = 1.0

_log = logging.getLogger("gnet.shared")


def library() -> ModuleType:
    """redis-py.

    :raises ImportError: it is not installed.
    """
    try:
        return import_module("redis")
    except ImportError as exc:
        text = 'gnet.shared needs redis: pip install "gevent-net[redis]"'
        raise ImportError(text, name="redis") from exc


class _OverGnet:
    """What makes a class of redis-py's connections one over gnet's sockets."""

    def _connect(self: Any) -> Any:
        limit = self.socket_connect_timeout
        path = getattr(self, "path", None)
        if path is not None:
            sock = connect(path=path, connect_timeout=limit)
        else:
            sock = connect(
                self.port,
                self.host,
                connect_timeout=limit,
                no_delay=True,
                keep_alive=True,
                keep_alive_initial_delay=KEEP_ALIVE_SECONDS,
                tls=_context(self),
            )
        try:
            sock.wait("ready")
        except BaseException:
            sock.destroy()
            raise
        # An idle one is no reason for a program to go on.
        sock.unref()
        sock.settimeout(self.socket_timeout)
        self.socket = sock
        return sock

    def can_read(self, timeout: float = 0) -> Any:
        # There is no timeout of zero; this one is over in the next turn of the loop.
        return super().can_read(timeout or 0.001)  # type: ignore[misc]


def _context(connection: Any) -> ssl.SSLContext | None:
    """What the settings of redis-py's say about TLS, where it is to be spoken."""
    if not isinstance(connection, library().SSLConnection):
        return None
    context = ssl.create_default_context(
        cafile=connection.ca_certs, capath=connection.ca_path, cadata=connection.ca_data
    )
    context.check_hostname = connection.check_hostname
    context.verify_mode = connection.cert_reqs
    if connection.certfile:
        context.load_cert_chain(
            connection.certfile, connection.keyfile, connection.certificate_password
        )
    return context


@cache
def _over_gnet(base: Any) -> Any:
    return type(base.__name__, (_OverGnet, base), {})


def _settings(url: Any) -> dict[str, Any]:
    """What redis-py makes of a URL, with a class of connections over gnet."""
    redis = library()
    arguments.string("url", url)
    try:
        settings: dict[str, Any] = redis.connection.parse_url(url)
    except ValueError as exc:
        right = "a URL that begins with redis://, rediss:// or unix://"
        raise arguments.wrong_value("url", _without_password(url), right) from exc
    base = settings.pop("connection_class", redis.Connection)
    # What came with later versions of the protocol is not needed, and older servers lack it.
    return {"protocol": 2, **settings, "connection_class": _over_gnet(base)}


def _without_password(url: str) -> str:
    return re.sub(r"//[^/]*@", "//***@", url.partition("?")[0])


def client_of(url: str, options: dict[str, Any]) -> Any:
    """:func:`gnet.shared.redis_client`, its options in a ``dict``."""
    redis = library()
    settings = _settings(url)
    pool = redis.ConnectionPool(**{**settings, **options})
    client = redis.Redis(connection_pool=pool)
    # As redis-py has it for a pool that it has made itself.
    client.auto_close_connection_pool = True
    return client


class Place:
    """Where a Redis is.

    :param url: as redis-py takes it.
    :param timeout: how long one answer may take, and connecting, in seconds.
    :ivar failures: what a call to it may raise.
    :ivar db: the number of the data base.
    """

    def __init__(self, url: Any, timeout: Any) -> None:
        settings = _settings(url)
        seconds = arguments.positive_seconds("timeout", timeout)
        self._class = settings.pop("connection_class")
        self._settings = settings
        self._settings.update(
            protocol=2,
            socket_timeout=seconds,
            socket_connect_timeout=seconds,
            decode_responses=True,
            encoding_errors="backslashreplace",
        )
        self.db: int = int(settings.get("db", 0))
        self.failures: tuple[type[Exception], ...] = (library().RedisError, OSError)
        self._text = _without_password(url)

    def __str__(self) -> str:
        return self._text

    @contextmanager
    def opened(self) -> Iterator[Any]:
        """A connection, for one block."""
        connection = self._class(**self._settings)
        try:
            connection.connect()
            yield connection
        finally:
            connection.disconnect()

    @staticmethod
    def ask(connection: Any, *command: Any) -> Any:
        """Send a command; gives the answer."""
        connection.send_command(*command)
        return connection.read_response()


class Outage:
    """Whether a Redis is there, which is told in the log when that changes.

    :param place: the Redis.
    :param meanwhile: what goes on without it, for the text.
    :ivar since: since when it is not there, by ``monotonic()``; ``None``: it is.
    """

    def __init__(self, place: Place, meanwhile: str) -> None:
        self.since: float | None = None
        self._place = place
        self._meanwhile = meanwhile
        self._backoff = Backoff(FIRST_PAUSE, LONGEST_PAUSE)

    def begins(self, error: BaseException) -> None:
        """It is not there."""
        if self.since is None:
            self.since = monotonic()
            _log.warning("%s: %s; %s", self._place, error or type(error), self._meanwhile)

    def pause(self) -> None:
        """Block until it may be tried again; longer each time, until it is there."""
        gevent.sleep(self._backoff.pause(), ref=False)

    def ends(self) -> None:
        """It is there."""
        self._backoff.reset()
        if self.since is not None:
            seconds = monotonic() - self.since
            self.since = None
            _log.warning("%s is there again, after %.1f s", self._place, seconds)
