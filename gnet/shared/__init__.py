"""What servers on many machines share through Redis: a block list, and a rate for each address.

``pip install "gevent-net[redis]"`` brings redis-py, whose connections are gnet's here: nothing has
to be patched, and a greenlet that waits for Redis holds up no other one::

    import gnet
    from gnet.shared import RedisBlockList, RedisRate

    redis = "redis://127.0.0.1:6379/0"
    blocked = RedisBlockList(redis, "blocked")
    rate = RedisRate(redis, "rate", 20, per=60)     # twenty a minute of one address

    server = gnet.create_server(block_list=blocked, max_connection_rate_per_address=rate)
    server.on("connection", lambda sock: sock.end("hello\\n"))
    server.listen(8124)
    gnet.run()

The truth is in Redis. Each process has a copy that it asks, and that goes on serving when Redis is
away: :doc:`/howto-many-machines`.
"""

from __future__ import annotations

from typing import Any

from .block_list import RedisBlockList
from .connections import client_of
from .rate import RedisRate

__all__ = ["RedisBlockList", "RedisRate", "redis_client"]


def redis_client(url: str, **options: Any) -> Any:
    """A client of redis-py's whose connections are gnet's sockets.

    A greenlet that waits for an answer, or for a message, holds up no other one. Nothing has to be
    patched.

    :param url: ``redis://``, ``rediss://`` or ``unix://``, as redis-py takes it.
    :param options: those of redis-py's connections, ``decode_responses`` and ``socket_timeout``
        for example.
    :returns: a ``redis.Redis``; its ``close()`` closes the connections.
    :raises ImportError: redis-py is not installed.
    :raises TypeError: ``url`` is not a ``str``.
    :raises ValueError: it is not such a URL.
    """
    return client_of(url, options)
