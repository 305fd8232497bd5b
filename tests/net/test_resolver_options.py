"""What ``resolv.conf`` and the environment say, obeyed on the wire."""

from __future__ import annotations

import socket as std_socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import gevent
import pytest
from gevent import socket
from gevent.event import Event

from gnet.dns import Resolver, resolv_conf
from tests.helpers.dnsserver import (
    DNSServer,
    failing,
    honest,
    released,
    silent,
    wait_for_queries,
)

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="Windows has its registry")

A = ("127.0.0.9", 4)
Configure = Callable[..., Any]


@pytest.fixture
def server() -> Iterator[DNSServer]:
    with DNSServer() as server:
        server.add("four.test", "A", "127.0.0.9")
        server.add("four.test", "AAAA", "::1")
        yield server


@pytest.fixture
def second(server: DNSServer) -> Iterator[DNSServer]:
    """Another one, at the same port of another address."""
    while True:
        try:
            second = DNSServer("127.0.0.2", server.port)
        except OSError:
            pytest.skip("the port is taken there")
        with second:
            second.add("four.test", "A", "127.0.0.9")
            yield second
        return


@pytest.fixture
def configure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, server: DNSServer) -> Configure:
    """Makes a resolver of a system that has this ``resolv.conf``."""
    monkeypatch.delenv("LOCALDOMAIN", raising=False)
    monkeypatch.delenv("RES_OPTIONS", raising=False)
    monkeypatch.setattr(std_socket, "gethostname", lambda: "host")

    def configure(*lines: str, **options: Any) -> Resolver:
        file = tmp_path / "resolv.conf"
        file.write_text("\n".join(lines) + "\n")
        monkeypatch.setattr(resolv_conf, "PATH", str(file))
        return Resolver(port=server.port, hosts=None, cache=False, **options)

    return configure


def failure(call: Callable[..., Any], *args: Any, **options: Any) -> Any:
    with pytest.raises(socket.gaierror) as caught:
        call(*args, **options)
    return caught.value


def test_timeout_is_each_servers_for_each_try(server: DNSServer, configure: Configure) -> None:
    server.udp = [silent]
    resolver = configure("nameserver 127.0.0.1", "options timeout:1 attempts:2")
    start = time.monotonic()
    assert failure(resolver.resolve4, "four.test").code == "ETIMEOUT"
    assert 1.99 <= time.monotonic() - start < 5
    assert len(server.asked) == 2


def test_attempts_is_how_often_a_server_is_asked(server: DNSServer, configure: Configure) -> None:
    server.udp = [failing("SERVFAIL")]
    resolver = configure("nameserver 127.0.0.1", "options attempts:5")
    assert failure(resolver.resolve4, "four.test").code == "ESERVFAIL"
    assert len(server.asked) == 5


def test_what_the_program_says_goes_before_the_file(
    server: DNSServer, configure: Configure
) -> None:
    server.udp = [silent]
    lines = ("nameserver 127.0.0.1", "options timeout:30 attempts:5")
    start = time.monotonic()
    assert failure(configure(*lines, timeout=0.2, tries=1).resolve4, "x.test").code == "ETIMEOUT"
    assert time.monotonic() - start < 3
    assert len(server.asked) == 1


def test_rotate_begins_each_question_with_the_next_server(
    server: DNSServer, second: DNSServer, configure: Configure
) -> None:
    resolver = configure("nameserver 127.0.0.1", "nameserver 127.0.0.2", "options rotate")
    for _ in range(6):
        resolver.resolve4("four.test")
    assert len(server.asked) == len(second.asked) == 3


def test_use_vc_asks_over_tcp_only(server: DNSServer, configure: Configure) -> None:
    resolver = configure("nameserver 127.0.0.1", "options use-vc")
    assert resolver.lookup("four.test", family=4) == A
    assert [transport for _, _, transport in server.asked] == ["tcp"]


@pytest.mark.parametrize(
    ("options", "payload", "trusts"),
    [
        ("", -1, False),
        ("edns0", 1232, False),
        ("trust-ad", -1, True),
        ("edns0 trust-ad", 1232, True),
    ],
)
def test_edns0_and_trust_ad_are_said_in_the_question(
    server: DNSServer, configure: Configure, options: str, payload: int, trusts: bool
) -> None:
    seen = []

    def note(query: Any, reply: Any) -> list[bytes]:
        seen.append((query.payload if query.edns >= 0 else -1, bool(query.flags & dns.flags.AD)))
        return honest(query, reply)

    server.udp = [note]
    resolver = configure("nameserver 127.0.0.1", f"options {options}")
    assert resolver.lookup("four.test", family=4) == A
    assert seen == [(payload, trusts)]


def bad_version(query: Any, reply: Any) -> list[bytes]:
    """BADVERS, which has bits in the message's last record."""
    failure = dns.message.make_response(query)
    if query.edns < 0:
        return honest(query, reply)
    failure.set_rcode(dns.rcode.BADVERS)
    return [failure.to_wire()]


def without_extensions(query: Any, reply: Any) -> list[bytes]:
    """What a server of before 1999 says."""
    return failing("FORMERR")(query, reply) if query.edns >= 0 else honest(query, reply)  # type: ignore[return-value]


@pytest.mark.parametrize("behaviour", [bad_version, without_extensions])
def test_a_server_that_does_not_know_the_extension_is_asked_without(
    server: DNSServer, configure: Configure, behaviour: Any
) -> None:
    server.udp = [behaviour]
    resolver = configure("nameserver 127.0.0.1", "options edns0")
    assert resolver.lookup("four.test", family=4) == A
    assert len(server.asked) == 2


def test_single_request_asks_for_one_family_after_the_other(
    server: DNSServer, configure: Configure
) -> None:
    gate = Event()
    server.udp = [released(gate), honest]
    resolver = configure("nameserver 127.0.0.1", "options single-request")
    asking = gevent.spawn(resolver.lookup, "four.test", all=True)
    wait_for_queries(server, 1)
    gevent.idle()
    assert len(server.asked) == 1
    gate.set()
    assert A in asking.get(timeout=10)
    assert len(server.asked) == 2


def test_no_aaaa_asks_for_ipv4_only(server: DNSServer, configure: Configure) -> None:
    resolver = configure("nameserver 127.0.0.1", "options no-aaaa")
    assert resolver.lookup("four.test", all=True) == [A]
    assert failure(resolver.lookup, "four.test", family=6).code == "ENOTFOUND"
    assert {rdtype for _, rdtype, _ in server.asked} == {"A"}
    # Who asks for the records by name has them.
    assert resolver.resolve6("four.test") == ["::1"]


def test_the_environment_is_obeyed(
    server: DNSServer, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure()
    monkeypatch.setenv("LOCALDOMAIN", "test")
    monkeypatch.setenv("RES_OPTIONS", "use-vc")
    resolver = configure("nameserver 127.0.0.1", "search elsewhere.test")
    assert resolver.lookup("four", family=4) == A
    assert server.asked == [("four.test", "A", "tcp")]


def test_a_short_name_is_looked_for_in_the_hosts_own_domain(
    server: DNSServer, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    configure()
    monkeypatch.setattr(std_socket, "gethostname", lambda: "host.test")
    assert configure("nameserver 127.0.0.1").lookup("four", family=4) == A
    assert server.asked == [("four.test", "A", "udp")]


@pytest.mark.parametrize("first", ["fe80::1%no-such-zone", "fe80::1%4294967", "fe80::1"])
def test_a_name_server_behind_no_interface_is_passed_over(
    server: DNSServer, configure: Configure, first: str
) -> None:
    resolver = configure(f"nameserver {first}", "nameserver 127.0.0.1")
    with gevent.Timeout(4):
        assert resolver.lookup("four.test", family=4) == A


def test_name_servers_behind_no_interface_refuse_and_are_asked_when_there_is_one(
    server: DNSServer, configure: Configure, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolver = configure("nameserver fe80::1%no-such-zone")
    with gevent.Timeout(4):
        error = failure(resolver.lookup, "four.test")
    assert (error.code, error.hostname) == ("ECONNREFUSED", "four.test")
    here = (socket.AF_INET, ("127.0.0.1", server.port))
    monkeypatch.setattr("gnet.dns.nameserver.NameServer._place", here)
    assert resolver.lookup("four.test", family=4) == A
