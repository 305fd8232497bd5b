"""Where to connect: lists of targets, services, and whom TLS has to meet there."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gevent
import pytest
from gevent.event import Event

import gnet
from gnet.dns import SRV, Resolver
from gnet.dns.services import in_order
from gnet.errors import DeadlineError
from tests.helpers.authority import client_context, issue, server_context
from tests.helpers.blackhole import blackhole, refusing
from tests.helpers.counts import descriptors
from tests.helpers.dnsserver import DNSServer, wait_for_queries
from tests.helpers.servers import path_at, place_at, serving

SERVICE = "_echo._tcp.example.test"


def port_of(server: gnet.Server) -> int:
    return int(place_at(server)[0])


def reached(sock: gnet.Socket) -> int | None:
    """The port of the peer that it has come to."""
    with sock:
        return sock.remote_port


def failure(sock: gnet.Socket) -> Any:
    with pytest.raises(OSError) as caught:
        sock.wait("connect", 5)
    return caught.value


# -- lists -------------------------------------------------------------------------------------


def test_the_first_that_accepts_is_the_peer() -> None:
    with serving() as first, serving() as second:
        targets = [("127.0.0.1", port_of(first)), ("127.0.0.1", port_of(second))]
        assert reached(gnet.connect(targets)) == port_of(first)


def test_each_form_of_a_target(tmp_path: Path) -> None:
    place = path_at(tmp_path)
    with serving() as tcp, serving(at=place), refusing() as (closed, _):
        port = port_of(tcp)
        forms: list[Any] = [f"localhost:{port}", f"127.0.0.1:{port}", ("127.0.0.1", port), port]
        for form in forms:
            assert reached(gnet.connect([f"127.0.0.1:{closed}", form])) == port
        for form in (f"unix:{place[0]}", Path(place[0])):
            with gnet.connect([("127.0.0.1", closed), form]) as sock:
                assert sock.getpeername() == place[0]


def test_an_ipv6_address_in_a_list_has_brackets() -> None:
    with serving(at=(0, "::1")) as server:
        assert reached(gnet.connect([f"[::1]:{port_of(server)}"])) == port_of(server)


def test_a_silent_host_holds_up_the_next_for_the_delay_only() -> None:
    with blackhole() as hole, serving() as server:
        sock = gnet.connect(
            [(hole.host, hole.port), ("127.0.0.1", port_of(server))],
            auto_select_family_attempt_timeout=0.02,
        )
        assert reached(sock) == port_of(server)
        assert sock.auto_select_family_attempted_addresses == [
            f"{hole.host}:{hole.port}",
            f"127.0.0.1:{port_of(server)}",
        ]


def test_a_lookup_that_takes_its_time_holds_up_the_next_for_the_delay_only() -> None:
    never = Event()

    def lookup(hostname: str, **options: Any) -> Any:
        if hostname == "slow.test":
            never.wait()
        return [("127.0.0.1", 4)]

    with serving() as server:
        port = port_of(server)
        sock = gnet.connect(
            [("slow.test", port), ("fast.test", port)],
            lookup=lookup, auto_select_family_attempt_timeout=0.02,
        )  # fmt: skip
        assert reached(sock) == port


def test_a_refusing_host_lets_the_next_start_at_once() -> None:
    with refusing() as (closed, host), serving() as server:
        sock = gnet.connect(
            [(host, closed), ("127.0.0.1", port_of(server))],
            auto_select_family_attempt_timeout=60,
        )
        assert reached(sock) == port_of(server)


def test_all_errors_in_the_order_of_the_targets(tmp_path: Path) -> None:
    def lookup(hostname: str, **options: Any) -> Any:
        raise gevent.socket.gaierror(gevent.socket.EAI_NONAME, "no")

    missing = path_at(tmp_path)[0]
    with refusing() as (one, host), refusing("127.0.0.1") as (two, _):
        error = failure(
            gnet.connect(
                [(host, one), ("nowhere.test", 1), f"unix:{missing}", (host, two)], lookup=lookup
            )
        )
    assert isinstance(error, gnet.AggregateError)
    assert [each.code for each in error.errors] == [
        "ECONNREFUSED", "ENOTFOUND", "ENOENT", "ECONNREFUSED",
    ]  # fmt: skip
    assert [getattr(each, "port", None) for each in error.errors] == [one, None, None, two]
    assert error.code == "ECONNREFUSED"


def test_one_target_fails_with_its_plain_error() -> None:
    with refusing() as (port, host):
        error = failure(gnet.connect([(host, port)]))
    assert type(error) is ConnectionRefusedError
    assert error.port == port


def test_a_host_of_several_addresses_has_its_errors_beside_the_others() -> None:
    def lookup(hostname: str, **options: Any) -> Any:
        return [("127.0.0.1", 4), ("::1", 6)]

    with refusing() as (port, host):
        error = failure(gnet.connect([("several.test", port), (host, port)], lookup=lookup))
    assert [each.address for each in error.errors] == ["127.0.0.1", "::1", "127.0.0.1"]


def test_connect_timeout_is_for_all_targets_together() -> None:
    with blackhole() as one, blackhole() as two:
        sock = gnet.connect(
            [(one.host, one.port), (two.host, two.port)],
            connect_timeout=0.05, auto_select_family_attempt_timeout=0.01,
        )  # fmt: skip
        error = failure(sock)
    assert isinstance(error, DeadlineError)
    assert error.deadline == "connect_timeout"


@pytest.mark.parametrize("end", ["destroy", "close"])
def test_giving_up_closes_every_attempt(end: str) -> None:
    before = len(descriptors())
    with blackhole() as one, blackhole() as two:
        inside = len(descriptors())
        sock = gnet.connect(
            [(one.host, one.port), (two.host, two.port)], auto_select_family_attempt_timeout=0.01
        )
        while len(sock.auto_select_family_attempted_addresses or ()) < 2:
            sock.wait("connection_attempt")
        getattr(sock, end)()
        assert len(descriptors()) == inside
        sock.wait("close")
    assert len(descriptors()) == before


def test_a_block_list_refuses_some_of_the_targets() -> None:
    blocked = gnet.BlockList()
    blocked.add_address("127.0.0.2")
    with serving() as server:
        port = port_of(server)
        sock = gnet.connect([("127.0.0.2", port), ("127.0.0.1", port)], block_list=blocked)
        assert reached(sock) == port
        assert sock.remote_address == "127.0.0.1"


def test_the_listener_may_stand_behind_the_list(must_call: Any) -> None:
    with serving() as server:
        sock = gnet.connect([("127.0.0.1", port_of(server))], must_call())
        must_call.wait()
        sock.destroy()


@pytest.mark.skipif(sys.platform == "win32", reason="a reset of what is being connected")
def test_a_reset_that_was_asked_for_while_connecting_comes_to_a_path_as_well(
    tmp_path: Path,
) -> None:
    place = path_at(tmp_path)
    with serving(at=place):
        sock = gnet.connect([f"unix:{place[0]}"])
        with pytest.raises(TypeError):
            sock.reset_and_destroy()
        sock.destroy()
        sock = gnet.connect([f"unix:{place[0]}", ("127.0.0.1", 1)])
        sock.reset_and_destroy()
        assert sock.wait("close") == (False,)


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        ([], ValueError), (["host"], ValueError), (["/run/x"], ValueError),
        (["a:99999"], ValueError), (["unix:"], ValueError), (["[::g]:1"], ValueError),
        ([1.5], TypeError), ([None], TypeError), ([["a:1"]], TypeError), ([True], TypeError),
    ],
)  # fmt: skip
def test_what_is_no_target(target: Any, kind: type[Exception]) -> None:
    with pytest.raises(kind) as caught:
        gnet.connect(target)
    assert caught.value.code.startswith("ERR_")  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "options",
    [
        {"target": [1], "host": "localhost"}, {"target": [1], "port": 1},
        {"target": [1], "path": "/run/x"}, {"srv": SERVICE, "port": 1},
        {"srv": SERVICE, "target": 1}, {"srv": SERVICE, "target": [1]},
        {"srv": SERVICE, "host": "localhost"}, {"srv": 5}, {"srv": SERVICE, "resolver": 5},
        {"target": 1, "resolver": 5}, {"target": [1], "session": 5, "tls": True},
    ],
)  # fmt: skip
def test_contradictions(options: dict[str, Any]) -> None:
    with pytest.raises(TypeError) as caught:
        gnet.connect(**options)
    assert caught.value.code == "ERR_INVALID_ARG_TYPE"  # type: ignore[attr-defined]


def test_a_descriptor_is_for_one_target() -> None:
    with gevent.socket.socket() as given:
        with pytest.raises(TypeError, match="one target"):
            gnet.connect([("127.0.0.1", 1)], handle=given)
        assert given.fileno() >= 0


# -- TLS ---------------------------------------------------------------------------------------


def test_each_target_has_to_be_itself() -> None:
    def lookup(hostname: str, **options: Any) -> Any:
        return [("127.0.0.1", 4)]

    with (
        refusing() as (closed, _),
        serving(tls=server_context(issue("two.test"))) as server,
    ):
        port = port_of(server)
        for name, code in (("two.test", None), ("three.test", "ERR_TLS_CERT_ALTNAME_INVALID")):
            sock = gnet.connect(
                [("one.test", closed), (name, port)], tls=client_context(), lookup=lookup
            )
            if code is None:
                with sock:
                    assert sock.servername == name
            else:
                with pytest.raises(OSError) as caught:
                    sock.wait("secure_connect", 5)
                assert caught.value.code == code  # type: ignore[attr-defined]


# -- services ----------------------------------------------------------------------------------


@pytest.fixture
def names() -> Iterator[DNSServer]:
    with DNSServer() as server:
        yield server


def resolver(names: DNSServer) -> Resolver:
    return Resolver([f"127.0.0.1:{names.port}"], hosts=None, search=[])


def test_a_service_is_found_by_its_name(names: DNSServer) -> None:
    with serving() as server, refusing() as (closed, _):
        names.add(SERVICE, "SRV", f"20 0 {port_of(server)} b.test.", f"10 0 {closed} a.test.")
        names.add("a.test", "A", "127.0.0.1")
        names.add("b.test", "A", "127.0.0.1")
        sock = gnet.connect(srv=SERVICE, resolver=resolver(names))
        assert reached(sock) == port_of(server)
        assert sock.auto_select_family_attempted_addresses == [
            f"127.0.0.1:{closed}",
            f"127.0.0.1:{port_of(server)}",
        ]


def test_the_resolver_whose_lookup_was_given_is_asked(names: DNSServer) -> None:
    with serving() as server:
        names.add(SERVICE, "SRV", f"10 0 {port_of(server)} a.test.")
        names.add("a.test", "A", "127.0.0.1")
        sock = gnet.connect(srv=SERVICE, lookup=resolver(names).lookup)
        assert reached(sock) == port_of(server)


def test_a_service_is_asked_for_again_when_its_time_is_over(names: DNSServer) -> None:
    with serving() as one, serving() as two:
        names.add(SERVICE, "SRV", f"10 0 {port_of(one)} a.test.", ttl=0)
        names.add("a.test", "A", "127.0.0.1")
        asked = resolver(names)
        assert reached(gnet.connect(srv=SERVICE, resolver=asked)) == port_of(one)
        names.add(SERVICE, "SRV", f"10 0 {port_of(two)} a.test.", ttl=300)
        assert reached(gnet.connect(srv=SERVICE, resolver=asked)) == port_of(two)
        names.remove(SERVICE, "SRV")
        assert reached(gnet.connect(srv=SERVICE, resolver=asked)) == port_of(two)


@pytest.mark.parametrize("record", [None, "0 0 0 ."])
def test_a_service_that_there_is_not(names: DNSServer, record: str | None) -> None:
    if record is not None:
        names.add(SERVICE, "SRV", record)
    sock = gnet.connect(srv=SERVICE, resolver=resolver(names))
    error = failure(sock)
    assert (error.code, error.hostname) == ("ENOTFOUND", SERVICE)


def test_a_name_without_such_records_is_no_service(names: DNSServer) -> None:
    names.add(SERVICE, "TXT", "text")
    error = failure(gnet.connect(srv=SERVICE, resolver=resolver(names)))
    assert (error.code, error.hostname) == ("ENOTFOUND", SERVICE)


def test_connect_timeout_holds_while_the_service_is_asked_for(names: DNSServer) -> None:
    names.udp = [lambda query, reply: []]
    sock = gnet.connect(srv=SERVICE, resolver=resolver(names), connect_timeout=0.05)
    wait_for_queries(names, 1)
    assert isinstance(failure(sock), DeadlineError)


@pytest.mark.parametrize(
    ("target", "certified", "good"),
    [
        ("a.example.test", "a.example.test", True),
        ("example.test", "example.test", True),
        # Who forges the records has a certificate of his own, and none of the domain.
        ("a.evil.test", "a.evil.test", False),
        ("a.other.test", "example.test", True),
    ],
)
def test_a_host_of_a_service_has_to_be_of_its_domain(
    names: DNSServer, target: str, certified: str, good: bool
) -> None:
    with serving(tls=server_context(issue(certified))) as server:
        names.add(SERVICE, "SRV", f"10 0 {port_of(server)} {target}.")
        names.add(target, "A", "127.0.0.1")
        sock = gnet.connect(srv=SERVICE, resolver=resolver(names), tls=client_context())
        if good:
            with sock:
                assert sock.authorized
        else:
            with pytest.raises(OSError) as caught:
                sock.wait("secure_connect", 5)
            assert caught.value.code == "ERR_TLS_CERT_ALTNAME_INVALID"  # type: ignore[attr-defined]


def test_a_name_of_the_servers_that_was_given_holds_for_every_host(names: DNSServer) -> None:
    with serving(tls=server_context()) as server:
        names.add(SERVICE, "SRV", f"10 0 {port_of(server)} a.example.test.")
        names.add("a.example.test", "A", "127.0.0.1")
        sock = gnet.connect(
            srv=SERVICE, resolver=resolver(names), tls=client_context(),
            server_hostname="localhost",
        )  # fmt: skip
        with sock:
            assert sock.servername == "localhost"


@pytest.mark.parametrize("srv", ["redis", "_redis.example", "_redis._tcp", "redis._tcp.example"])
def test_what_is_no_name_of_a_service(srv: str) -> None:
    with pytest.raises(ValueError, match="_redis._tcp.example.com"):
        gnet.connect(srv=srv)


def ordered(records: list[SRV], draw: Callable[[int], int]) -> list[str]:
    return [each.name for each in in_order(records, draw)]


def test_a_lower_priority_comes_first_and_a_higher_weight_has_the_better_chance() -> None:
    records = [SRV("c", 1, 20, 9), SRV("b", 1, 10, 3), SRV("a", 1, 10, 1), SRV("z", 1, 10, 0)]
    assert ordered(records, lambda most: 0) == ["z", "a", "b", "c"]
    assert ordered(records, lambda most: most) == ["b", "a", "z", "c"]
    firsts = [ordered(records, lambda most, n=n: min(n, most))[0] for n in range(5)]  # type: ignore[misc]
    assert firsts == ["z", "a", "b", "b", "b"]
