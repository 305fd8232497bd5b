"""What servers share through Redis, with the real one: gone, stopped, and back again."""

from __future__ import annotations

import copy
import json
import logging
import os
import signal
import textwrap
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import gevent
import pytest

import gnet
import gnet.shared
from tests.clients.conftest import daemon
from tests.clients.test_databases_tls import own_address
from tests.helpers.peers import python, running
from tests.helpers.servers import place_at, raw_client, receive_all, send_end, serving
from tests.helpers.turns import until

pytest.importorskip("redis")

from gnet.shared import RedisBlockList, RedisRate, redis_client

pytestmark = pytest.mark.limit(60)


class Redis:
    """A Redis that comes and goes; it remembers what it was told."""

    def __init__(self, directory: Path) -> None:
        path = directory / "redis"
        self.url = f"unix://{path}"
        self._command = [
            "redis-server", "--port", "0", "--unixsocket", str(path), "--dir", str(directory),
            "--save", "", "--appendonly", "yes", "--notify-keyspace-events", "Ks",
        ]  # fmt: skip
        self._running = ExitStack()
        self._pid = 0

    def start(self) -> None:
        ready = b"eady to accept connections"
        self._pid = self._running.enter_context(daemon(*self._command, ready=ready))

    def stop(self) -> None:
        self.signal(signal.SIGCONT)
        self._running.close()

    def signal(self, number: int) -> None:
        os.kill(self._pid, number)


@pytest.fixture
def redis(directory: Path) -> Iterator[Redis]:
    server = Redis(directory)
    server.start()
    yield server
    server.stop()
    # Patched, os.close() closes when the loop has looked for events, which a timer makes it do.
    gevent.sleep(0.001)


@pytest.fixture
def client(redis: Redis) -> Iterator[Any]:
    with redis_client(redis.url, decode_responses=True) as client:
        yield client


@pytest.fixture
def kept() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def lists(kept: ExitStack, redis: Redis, count: int = 2, **options: Any) -> list[RedisBlockList]:
    """So many copies of one list, as many processes have them."""
    settings: Any = {"refresh": 60, **options}
    return [
        kept.enter_context(RedisBlockList(redis.url, "blocked", **settings)) for _ in range(count)
    ]


# -- block lists ----------------------------------------------------------------------------------


def test_a_change_of_one_is_a_change_of_all(redis: Redis, kept: ExitStack) -> None:
    one, other = lists(kept, redis)
    one.add_address("192.0.2.7", note="a guess")
    assert one.check("192.0.2.7")
    until(lambda: other.check("192.0.2.7"))
    assert other.notes == {"Address: IPv4 192.0.2.7": "a guess"}
    other.add_cidr("2001:db8::/32")
    other.add_range("10.0.0.1", "10.0.0.9")
    until(lambda: len(one) == 3)
    assert sorted(one.rules) == sorted(other.rules)
    assert other.remove_address("192.0.2.7") is True
    assert one.remove_address("192.0.2.7") is False
    until(lambda: len(one) == 2)
    one.replace(["198.51.100.0/24", "2001:db8::/32"])
    until(lambda: not other.check("10.0.0.1"))
    assert other.blocks("198.51.100.1")
    other.from_json(["Address: IPv4 192.0.2.8"])
    until(lambda: len(one) == 3)
    one.clear()
    until(lambda: len(other) == 0)


def test_the_set_is_what_others_write_and_read(
    redis: Redis, kept: ExitStack, client: Any, caplog: pytest.LogCaptureFixture
) -> None:
    client.sadd("blocked", "192.0.2.7", "10.1.2.3/8", "junk")
    (one,) = lists(kept, redis, 1)
    assert sorted(one.rules) == ["Address: IPv4 192.0.2.7", "Subnet: IPv4 10.0.0.0/8"]
    assert one.remove_subnet("10.0.0.0", 8)
    one.add_addresses(["::1"])
    assert client.smembers("blocked") == {"192.0.2.7", "::1", "junk"}
    # Without a word: Redis itself tells, where it is configured to.
    client.sadd("blocked", "192.0.2.8")
    until(lambda: one.check("192.0.2.8"))
    assert [record.message for record in caplog.records if "junk" in record.message] == [
        f"a member of 'blocked' at {redis.url} is no rule: "
        "The \"address\" argument must be an IPv4 address. Received 'junk'"
    ]


def test_what_was_not_published_is_read_in_time(
    redis: Redis, kept: ExitStack, client: Any
) -> None:
    client.config_set("notify-keyspace-events", "")
    (one,) = lists(kept, redis, 1, refresh=0.05)
    client.sadd("blocked", "192.0.2.8")
    until(lambda: one.check("192.0.2.8"))
    assert one.age is not None
    assert one.age < 10


def test_a_rule_ends_by_its_ttl_everywhere(redis: Redis, kept: ExitStack, client: Any) -> None:
    one, other = lists(kept, redis)
    one.add_address("192.0.2.7", ttl=0.3, note="soon over")
    until(lambda: other.check("192.0.2.7"))
    until(lambda: not one.check("192.0.2.7") and not other.check("192.0.2.7"))
    assert one.remove_address("192.0.2.7") is False
    assert client.keys("blocked*") == []
    one.add_address("192.0.2.7", ttl=60)
    until(lambda: other.check("192.0.2.7"))
    one.add_address("192.0.2.7")
    until(lambda: other.to_json() == ["Address: IPv4 192.0.2.7"])


def test_the_copy_goes_on_while_redis_is_away(
    redis: Redis, kept: ExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = lists(kept, redis)
    one.add_address("192.0.2.7")
    until(lambda: other.check("192.0.2.7"))
    redis.stop()
    until(lambda: "goes on with the rules it has" in caplog.text)
    assert one.check("192.0.2.7")
    with pytest.raises(ConnectionError, match="the block list 'blocked' at unix://"):
        one.add_address("192.0.2.8")
    assert not one.check("192.0.2.8")
    redis.start()
    until(lambda: caplog.text.count("is there again") == 2)
    # Once for each list, however often it was tried.
    assert caplog.text.count("goes on with the rules it has") == 2
    other.add_address("192.0.2.9")
    until(lambda: one.check("192.0.2.9"))
    assert one.check("192.0.2.7")


def test_a_redis_that_says_nothing_is_away(redis: Redis, kept: ExitStack) -> None:
    one, other = lists(kept, redis, refresh=0.05, timeout=0.3)
    one.add_address("192.0.2.7")
    until(lambda: other.check("192.0.2.7"))
    redis.signal(signal.SIGSTOP)
    with pytest.raises(TimeoutError, match="the block list 'blocked' at unix://"):
        one.add_address("192.0.2.8")
    assert other.check("192.0.2.7")
    until(lambda: (other.age or 0) > 0.5)
    redis.signal(signal.SIGCONT)
    until(lambda: (other.age or 0) < 0.3)
    one.add_address("192.0.2.9")
    until(lambda: other.check("192.0.2.9"))


def test_without_redis_a_list_begins_empty(
    redis: Redis, kept: ExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    redis.stop()
    (one,) = lists(kept, redis, 1)
    assert (len(one), one.age) == (0, None)
    assert caplog.text.count("goes on with the rules it has") == 1
    redis.start()
    until(lambda: one.age is not None)
    assert caplog.text.count("is there again") == 1


def test_a_file_may_be_everybodys(redis: Redis, kept: ExitStack, tmp_path: Path) -> None:
    one, other = lists(kept, redis)
    file = tmp_path / "blocked"
    file.write_text("192.0.2.0/24\n")
    one.load(file)
    until(lambda: other.check("192.0.2.1"))


def test_a_list_of_those_who_may(redis: Redis, kept: ExitStack) -> None:
    one, other = lists(kept, redis, mode="allow")
    one.add_address("127.0.0.1")
    until(lambda: not other.check("127.0.0.1"))
    with pytest.raises(ValueError, match="'allow', as for the list"):
        one.from_json([{"mode": "block"}])


def test_a_server_and_a_client_ask_it(redis: Redis, kept: ExitStack) -> None:
    one, other = lists(kept, redis)
    with serving(greet, block_list=one) as server:
        assert knock(server) == "in"
        other.add_address("127.0.0.1")
        until(lambda: one.check("127.0.0.1"))
        assert knock(server) == "out"
        with pytest.raises(OSError, match="ERR_IP_BLOCKED|[Bb]lock"):
            gnet.connect(*place_at(server), block_list=other).wait("connect")


def test_it_keeps_no_program_and_ends_with_its_list(redis: Redis, client: Any) -> None:
    one = RedisBlockList(redis.url, "blocked")
    client.ping()
    with RedisRate(redis.url, "rate", 1):
        assert gnet.run(timeout=30)
    until(lambda: client.pubsub_numsub("blocked") == [("blocked", 1)])
    del one
    until(lambda: client.pubsub_numsub("blocked") == [("blocked", 0)])


def test_a_closed_list_stays_as_it_is(redis: Redis, kept: ExitStack) -> None:
    one, other = lists(kept, redis)
    other.add_address("192.0.2.7")
    until(lambda: one.check("192.0.2.7"))
    one.close()
    one.close()
    other.clear()
    assert one.check("192.0.2.7")


def test_a_list_is_not_copied(redis: Redis, kept: ExitStack) -> None:
    (one,) = lists(kept, redis, 1)
    with pytest.raises(TypeError, match="make another one with its URL and key"):
        copy.copy(one)
    assert json.dumps(one.to_json()) == "[]"


# -- rates ----------------------------------------------------------------------------------------


def greet(sock: gnet.Socket) -> None:
    sock.end("hello")


def knock(server: gnet.Server) -> str:
    """Connect; gives ``"in"``, or ``"out"``."""
    with raw_client(place_at(server)) as client:
        send_end(client)
        try:
            return "in" if receive_all(client) else "out"
        except ConnectionResetError:
            return "out"


def rated(kept: ExitStack, redis: Redis, **options: Any) -> gnet.Server:
    """One of several servers that share a rate: three in a thousand seconds."""
    shared = RedisRate(redis.url, "rate", 3, 1000, **{"timeout": 5, **options})
    kept.enter_context(shared)
    server: gnet.Server = kept.enter_context(
        serving(greet, max_connection_rate_per_address=shared)
    )
    return server


def test_a_rate_is_that_of_all_servers(redis: Redis, kept: ExitStack, client: Any) -> None:
    one, other = rated(kept, redis), rated(kept, redis)
    reasons: list[str] = []
    one.on("drop", lambda info: reasons.append(info.reason))
    outcomes = [knock(server) for server in (one, other, one, other, one, other)]
    assert outcomes == ["in", "in", "in", "out", "out", "out"]
    assert reasons == ["rate"]
    # Redis forgets the bucket when it is full.
    assert client.keys("rate*") == [f"rate:{0x7F000001}"]
    assert 0 < client.ttl(f"rate:{0x7F000001}") <= 1000
    client.delete(f"rate:{0x7F000001}")
    third = rated(kept, redis)
    assert knock(third) == "in"


def test_many_at_once_are_asked_for_together(redis: Redis, kept: ExitStack, client: Any) -> None:
    server = rated(kept, redis)
    clients = [gevent.spawn(knock, server) for _ in range(30)]
    assert [each.get() for each in clients].count("in") == 3
    assert client.info("commandstats")["cmdstat_eval"]["calls"] < 30


def test_without_redis_a_server_goes_on_with_what_it_knew(
    redis: Redis, kept: ExitStack, caplog: pytest.LogCaptureFixture
) -> None:
    one, other = rated(kept, redis), rated(kept, redis)
    assert [knock(one), knock(one)] == ["in", "in"]
    redis.stop()
    # Of the bucket that is left to it.
    assert [knock(one), knock(one)] == ["in", "out"]
    assert [knock(other) for _ in range(4)] == ["in", "in", "in", "out"]
    assert caplog.text.count("is each process' own meanwhile") == 2
    redis.start()
    until(lambda: caplog.text.count("is there again") == 2)
    third = rated(kept, redis)
    assert [knock(third), knock(third)] == ["in", "out"]


def test_a_redis_that_says_nothing_holds_nobody_up_for_long(redis: Redis, kept: ExitStack) -> None:
    server = rated(kept, redis, timeout=0.2)
    assert knock(server) == "in"
    redis.signal(signal.SIGSTOP)
    with gevent.Timeout(5):
        assert [knock(server) for _ in range(3)] == ["in", "in", "out"]
    redis.signal(signal.SIGCONT)


def test_a_closed_rate_is_the_servers_own(redis: Redis, kept: ExitStack) -> None:
    shared = RedisRate(redis.url, "rate", 3, 1000)
    with serving(greet, max_connection_rate_per_address=shared) as server:
        shared.close()
        shared.close()
        assert [knock(server) for _ in range(4)] == ["in", "in", "in", "out"]


def test_a_rate_belongs_to_its_thread(redis: Redis) -> None:
    def ask() -> None:
        with pytest.raises(RuntimeError, match="belongs to the thread"):
            shared.ask(1, print)

    with RedisRate(redis.url, "rate", 3) as shared:
        gevent.get_hub().threadpool.apply(ask)


# -- the documentation, clients, and bad input ----------------------------------------------------


def test_the_example_of_the_module_runs(redis: Redis) -> None:
    text = (gnet.shared.__doc__ or "").partition("::\n")[2].partition("\nThe ")[0]
    text = textwrap.dedent(text).replace("redis://127.0.0.1:6379/0", redis.url)
    text = text.replace("8124", "0")
    text = text.replace("gnet.run()", "print(server.port, flush=True)\ngnet.run()")
    with running(*python(text)) as process:
        place = int(process.line()), "127.0.0.1"
        with raw_client(place) as client:
            assert receive_all(client) == b"hello\n"
        with redis_client(redis.url) as client:
            client.sadd("blocked", "127.0.0.1")
        until(lambda: refuses(place))
        process.signal(signal.SIGTERM)
        assert process.wait().complaints == b""


def refuses(place: tuple[int, str]) -> bool:
    with raw_client(place) as client:
        return receive_all(client) == b""


def test_a_client_blocks_its_own_greenlet_only(redis: Redis, client: Any) -> None:
    waiting = gevent.spawn(client.xread, {"stream": "$"}, block=5000)
    until(lambda: client.info("clients")["blocked_clients"] == 1)
    client.xadd("stream", {"text": "hello"})
    ((_, ((_, fields),)),) = waiting.get()
    assert fields == {"text": "hello"}


@pytest.mark.parametrize(
    ("make", "error", "text"),
    [
        (lambda: RedisBlockList(1, "k"), TypeError, '"url" argument must be a str'),
        (lambda: RedisBlockList("a:1", "k"), ValueError, "begins with redis://"),
        (lambda: RedisBlockList("redis://a", 1), TypeError, '"key" argument must be a str'),
        (lambda: RedisBlockList("redis://a", "k", "x"), ValueError, "'block' or 'allow'"),
        (lambda: RedisBlockList("redis://a", "k", refresh=0), ValueError, "refresh"),
        (lambda: RedisBlockList("redis://a", "k", timeout=0), ValueError, "timeout"),
        (lambda: RedisRate("redis://a", "k", "3"), TypeError, "a number of connections"),
        (lambda: RedisRate("redis://a", "k", 0), ValueError, "above 0 connections"),
        (lambda: RedisRate("redis://a", "k", 1, 0), ValueError, "above 0 seconds"),
        (lambda: RedisRate("redis://a", "k", 1, timeout=None), TypeError, "timeout"),
        (lambda: RedisRate("http://me:secret@a", "k", 1), ValueError, r"//\*\*\*@a'"),
        (lambda: redis_client(b"redis://a"), TypeError, '"url" argument must be a str'),
        (lambda: redis_client("//a"), ValueError, "begins with redis://"),
    ],
)
def test_wrong_arguments_are_named(make: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        make()


def test_a_password_is_not_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    for url in "redis://:secret@127.0.0.1:1/0", "redis://127.0.0.1:1/0?password=secret":
        with RedisBlockList(url, "blocked"):
            pass
    assert "goes on with the rules it has" in caplog.text
    assert "secret" not in caplog.text


# -- over TCP and TLS -----------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["redis", "rediss"])
def test_redis_may_be_elsewhere(scheme: str, directory: Path) -> None:
    authority = pytest.importorskip("tests.helpers.authority")
    cert, key = directory / "cert.pem", directory / "key.pem"
    authority.write_pair(authority.issue(own_address()), cert, key)
    authority.authority().cert_pem.write_to_path(directory / "ca.pem")
    ports = ["--port", "0", "--tls-port", "6390"] if scheme == "rediss" else ["--port", "6390"]
    options = [
        *ports, "--bind", own_address(), "--save", "", "--dir", str(directory),
        "--tls-cert-file", str(cert), "--tls-key-file", str(key), "--tls-auth-clients", "no",
    ]  # fmt: skip
    url = f"{scheme}://{own_address()}:6390/3"
    if scheme == "rediss":
        url += f"?ssl_ca_certs={directory / 'ca.pem'}"
    with (
        daemon("redis-server", *options, ready=b"eady to accept connections"),
        redis_client(url) as client,
        RedisBlockList(url, "blocked") as one,
        RedisBlockList(url, "blocked") as other,
    ):
        one.add_address("192.0.2.7")
        assert client.smembers("blocked") == {b"192.0.2.7"}
        until(lambda: other.check("192.0.2.7"))
