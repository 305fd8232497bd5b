"""A chat whose rooms span machines, behind HAProxy and over Redis.

    python examples/rooms.py HOST PORT REDIS_URL

Each machine runs one, HAProxy (``examples/rooms.cfg``) spreads the clients, and Redis has what is
said. Lines of a client, and what it is told:

``join ROOM NAME SINCE``
    Come in. ``SINCE`` is the last message that the client has seen, ``0`` for all of them.
``say NUMBER TEXT``
    Say something. ``ack NUMBER`` comes when it is in Redis, from where nothing is lost. A client
    that gets none says it again, on another connection if need be: it is said once all the same.
``msg ID TEXT``
    Somebody has said something, here or on another machine.

A stream of Redis remembers what was said in a room, and publish and subscribe tell that there is
something new. A machine that was away from Redis reads on where it was.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import gevent
from redis import RedisError

import gnet
from gnet.shared import RedisBlockList, RedisRate, redis_client

LONGEST_LINE = 1000
PROXIES = "127.0.0.0/8"
# A client that resends what was said an hour ago says it twice.
SAY = """
if redis.call('SET', KEYS[2], '', 'NX', 'EX', 3600) then
    redis.call('XADD', KEYS[1], 'MAXLEN', '~', 100000, '*', 'text', ARGV[1])
    redis.call('PUBLISH', KEYS[1], '')
end
"""


def order(message_id: str) -> tuple[int, ...]:
    return tuple(map(int, message_id.split("-")))


class Member:
    """A connection in a room: it gets each message once, in their order."""

    def __init__(self, sock: gnet.Socket, since: str) -> None:
        self.sock = sock
        self.seen = since

    def hear(self, messages: list[Any]) -> None:
        for message_id, fields in messages:
            if order(message_id) > order(self.seen) and self.sock.writable:
                self.seen = message_id
                self.sock.write(f"msg {message_id} {fields['text']}\n")


class Rooms:
    """The rooms that somebody on this machine is in, by the keys of their streams."""

    def __init__(self, redis: Any) -> None:
        self.redis = redis
        self.members: dict[str, set[Member]] = {}

    def follow(self) -> None:
        """Tell the members of what is new in their rooms, for ever."""
        while True:
            try:
                with self.redis.pubsub() as news:
                    news.psubscribe("room:*")
                    # Whatever was said before that, or was not told of.
                    for key in list(self.members):
                        self.catch_up(key)
                    while (message := news.get_message(timeout=5)) is not None:
                        if message["channel"] in self.members:
                            self.catch_up(message["channel"])
            except RedisError as error:
                print(f"without Redis: {error}", file=sys.stderr)
                gevent.sleep(0.2)

    def catch_up(self, key: str) -> None:
        # Who comes meanwhile may lack more than what is asked for.
        members = list(self.members.get(key, ()))
        if members:
            oldest = min((member.seen for member in members), key=order)
            messages = self.redis.xrange(key, f"({oldest}")
            for member in members:
                member.hear(messages)

    def join(self, key: str, member: Member) -> None:
        self.members.setdefault(key, set()).add(member)
        insist(self.catch_up, key)

    def leave(self, key: str, member: Member) -> None:
        self.members[key].discard(member)
        if not self.members[key]:
            del self.members[key]


def insist(ask: Callable[..., object], *args: object) -> None:
    """Ask Redis, and again until it has answered: the client waits for what depends on it."""
    while True:
        try:
            ask(*args)
            return
        except RedisError:
            gevent.sleep(0.2)


def main(host: str, port: str, url: str) -> None:
    redis = redis_client(url, decode_responses=True, socket_timeout=2, socket_connect_timeout=2)
    rooms = Rooms(redis)
    following = gevent.spawn(rooms.follow)
    blocked = RedisBlockList(url, "blocked")
    rate = RedisRate(url, "rate", 50, per=10)
    proxies = gnet.BlockList()
    proxies.add_cidr(PROXIES)

    def talk(sock: gnet.Socket) -> None:
        line = sock.readline(LONGEST_LINE).decode()
        if not line:
            return
        _, room, name, since = line.split()
        order(since)
        key, member = f"room:{room}", Member(sock, since)
        sock.write(f"* {host} has you in {room}\n")
        rooms.join(key, member)
        try:
            while line := sock.readline(LONGEST_LINE).decode().rstrip("\n"):
                _, number, text = line.split(" ", 2)
                said = f"said:{name}:{number}"
                insist(redis.eval, SAY, 2, key, said, f"{name}: {text}")
                sock.write(f"ack {number}\n")
        finally:
            rooms.leave(key, member)

    def handle(sock: gnet.Socket) -> None:
        try:
            talk(sock)
        except ValueError:
            ban(str(sock.remote_address))
        except ConnectionError:
            pass

    def ban(address: str) -> None:
        """Whose line is no chatter's is let in by no machine for ten minutes."""
        try:
            blocked.add_addresses([address], ttl=600, note="broke the protocol")
        except OSError as error:
            print(error, file=sys.stderr)

    server = gnet.create_server(
        handle,
        end_on_return=True,
        no_delay=True,
        proxy_protocol="require",
        trusted_proxies=proxies,
        block_list=blocked,
        max_connection_rate_per_address=rate,
        write_limit=1_000_000,
    )
    server.listen(int(port), host)
    print("listening on", server.port, flush=True)
    # After SIGTERM it lets nobody in, which HAProxy notices, and ends its connections. The clients
    # come to another machine, and say there what was not acknowledged here.
    gnet.run(signals=True, grace=5)
    following.kill()
    for each in blocked, rate, redis:
        each.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
