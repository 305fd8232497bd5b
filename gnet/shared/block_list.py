"""A block list that many processes share."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any, NoReturn
from weakref import finalize

import gevent
from gevent.event import Event

from .._core.block_list import BlockList
from .._values import arguments, block_rules
from .connections import Outage, Place
from .rule_set import SharedRules

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["RedisBlockList"]


class RedisBlockList(BlockList):
    """A :class:`gnet.BlockList` whose rules are those of a set in Redis.

    It is asked like any other: a check looks into a copy in this process. A change is made in
    Redis first, blocks its greenlet until that has answered, and holds then in this process; all
    others are told at once by publish and subscribe. With Redis away the copy goes on with the
    rules that it has, each for as long as its ``ttl`` says, which is told once in the log
    ``gnet.shared``; a change raises, and changes nothing.

    The members of the set are CIDRs, addresses, and texts as in :attr:`rules`; whoever adds some
    in another way publishes anything in the channel ``key``, or waits for the next reading. A
    member that is none of these is told in the log, and left out. Ends by ``ttl`` and notes are in
    ``KEY:ends`` and ``KEY:notes``. Hits are counted by each process for itself.

    It follows Redis in a greenlet of the thread that has made it, which keeps no program running,
    until :meth:`close`, or until nobody refers to the list any more. Also a context manager.

    :param url: ``redis://``, ``rediss://`` or ``unix://``, as redis-py takes it.
    :param key: that of the set.
    :param mode: as for :class:`gnet.BlockList`.
    :param refresh: the rules are read again after so many seconds also when nothing was published:
        so old are they at the most while Redis is there.
    :param timeout: how long an answer of Redis may take before it counts as away, in seconds. The
        first reading is waited for, once; without it the list begins with no rules.
    :raises ImportError: redis-py is not installed.
    :raises TypeError: an argument is of the wrong kind.
    :raises ValueError: an argument has a wrong value.
    """

    def __init__(
        self,
        url: str,
        key: str,
        mode: str = "block",
        *,
        refresh: float = 10.0,
        timeout: float = 1.0,
    ) -> None:
        super().__init__(mode)
        key = arguments.string("key", key)
        seconds = arguments.positive_seconds("refresh", refresh)
        place = Place(url, timeout)
        rules = SharedRules(place, key)
        self._store = rules
        self._follower = _Follower(rules, place, key, seconds)
        self._end = finalize(self, self._follower.stop)
        self._end.atexit = False
        self._follower.tried.wait()

    @property
    def age(self) -> float | None:
        """How many seconds ago the rules were read from Redis; ``None``: they never were."""
        read_at = self._follower.read_at
        return None if read_at is None else monotonic() - read_at

    def from_json(self, data: str | list[Any] | tuple[Any, ...]) -> None:
        """As :meth:`gnet.BlockList.from_json`; of another mode than the list's is an error."""
        mode, entries = block_rules.from_json(data)
        if mode is not None and mode != self.mode:
            raise arguments.wrong_value("mode", mode, f"{self.mode!r}, as for the list")
        self._store.add(reversed(entries))

    def close(self) -> None:
        """Follow Redis no more; the rules stay as they are. Again, it does nothing."""
        self._end()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self.close()

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a RedisBlockList cannot be copied; make another one with its URL and key")


class _Follower:
    """What has the copy follow the set.

    :ivar tried: set when the rules were read, or that has failed.
    :ivar read_at: when they were read last, by ``monotonic()``.
    """

    def __init__(self, rules: SharedRules, place: Place, key: str, refresh: float) -> None:
        self.tried = Event()
        self.read_at: float | None = None
        self._rules = rules
        self._place = place
        # The second one is Redis' own, where it is configured to tell.
        self._channels = (key, f"__keyspace@{place.db}__:{key}")
        self._refresh = refresh
        self._outage = Outage(place, f"the block list {key!r} goes on with the rules it has")
        self._greenlet = gevent.spawn(self._follow)

    def stop(self) -> None:
        self._greenlet.kill(block=False)

    def _follow(self) -> None:
        while True:
            try:
                with self._place.opened() as news, self._place.opened() as connection:
                    self._subscribe(news)
                    while True:
                        self._rules.follow(connection)
                        self.read_at = monotonic()
                        self.tried.set()
                        self._outage.ends()
                        self._await_news(news.socket)
            except self._place.failures as exc:
                self._outage.begins(exc)
            self.tried.set()
            self._outage.pause()

    def _subscribe(self, news: Any) -> None:
        """Ahead of the reading, so that no change falls between the two."""
        news.send_command("SUBSCRIBE", *self._channels)
        for _ in self._channels:
            news.read_response()
        news.socket.settimeout(self._refresh)

    @staticmethod
    def _await_news(sock: Any) -> None:
        """Wait until something is published, or for long enough.

        What it says does not matter: the rules are read again, once for all that has come.
        """
        try:
            if not sock.recv():
                raise ConnectionResetError("the connection has ended")
        except TimeoutError:
            pass
