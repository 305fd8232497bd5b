"""``gnet lookup``, against a name server of the tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.helpers.commands import gnet_command, run_gnet
from tests.helpers.dnsserver import DNSServer, silent
from tests.helpers.peers import run


@pytest.fixture
def server() -> Iterator[DNSServer]:
    with DNSServer() as server:
        server.add("www.test", "A", "192.0.2.1", "192.0.2.2")
        server.add("www.test", "AAAA", "2001:db8::1")
        server.add("www.test", "TXT", '"one text" " in two pieces"', '"another"')
        server.add("test", "MX", "10 mail.test.")
        server.add("_http._tcp.test", "SRV", "1 2 8080 www.test.")
        server.add("1.2.0.192.in-addr.arpa", "PTR", "www.test.")
        yield server


def at(server: DNSServer) -> tuple[str, str]:
    return "--server", f"127.0.0.1:{server.port}"


@pytest.mark.parametrize(
    ("question", "lines"),
    [
        (("www.test", "A"), ["192.0.2.1", "192.0.2.2"]),
        (("www.test", "aaaa"), ["2001:db8::1"]),
        (("www.test", "TXT"), ["another", "one text in two pieces"]),
        (("test", "MX"), ["10 mail.test"]),
        (("_http._tcp.test", "SRV"), ["1 2 8080 www.test"]),
        (("192.0.2.1", "PTR"), ["www.test"]),
        (("1.2.0.192.in-addr.arpa", "PTR"), ["www.test"]),
    ],
)
def test_it_prints_a_line_for_each_record(
    question: tuple[str, str], lines: list[str], server: DNSServer
) -> None:
    outcome = run_gnet("lookup", *question, *at(server))
    assert (sorted(outcome.output.decode().splitlines()), *outcome[1:]) == (lines, b"", 0)


def test_it_prints_the_addresses_of_a_name(server: DNSServer) -> None:
    outcome = run_gnet("lookup", "www.test", *at(server))
    assert sorted(outcome.output.decode().split()) == ["192.0.2.1", "192.0.2.2", "2001:db8::1"]
    assert outcome.status == 0


def test_what_a_terminal_would_obey_is_printed_as_an_escape(server: DNSServer) -> None:
    server.add("evil.test", "TXT", r'"\027[2J\255"')
    outcome = run_gnet("lookup", "evil.test", "TXT", *at(server))
    assert outcome == (b"\\x1b[2J\\udcff\n", b"", 0)


def test_a_name_that_does_not_exist_is_an_error_of_one_line(server: DNSServer) -> None:
    outcome = run_gnet("lookup", "nobody.test", *at(server))
    assert outcome == (b"", b"gnet: getaddrinfo ENOTFOUND nobody.test\n", 1)


def test_records_that_a_name_does_not_have_are_an_error_of_one_line(server: DNSServer) -> None:
    outcome = run_gnet("lookup", "www.test", "MX", *at(server))
    assert outcome == (b"", b"gnet: queryMx ENODATA www.test\n", 1)


def test_a_server_that_does_not_answer_is_an_error_of_one_line(server: DNSServer) -> None:
    server.udp = [silent]
    outcome = run_gnet("lookup", "www.test", "A", *at(server), "--timeout", "0.1")
    assert outcome == (b"", b"gnet: queryA ETIMEOUT www.test\n", 1)


def test_it_is_quiet_when_nobody_reads_its_output(server: DNSServer) -> None:
    command = gnet_command("lookup", "www.test", "A", *at(server))
    script = '{ "$@"; echo "status $?" >&2; } | true'
    assert run("sh", "-c", script, "sh", *command) == (b"", b"status 0\n", 0)
