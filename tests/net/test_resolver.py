"""The resolver, against a name server that does what the test wants."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dns.message
import gevent
import pytest
from dns.rdatatype import RdataType
from gevent import GreenletExit, monkey, socket
from gevent.event import Event
from gevent.queue import Queue

from gnet import dns as gdns
from gnet.dns import Resolver, destinations, nameserver, questions, resolv_conf, resolver
from gnet.errors import code_of
from tests.helpers.blackhole import blackhole
from tests.helpers.counts import descriptors
from tests.helpers.dnsserver import (
    Behaviour,
    DNSServer,
    by_type,
    echo,
    failing,
    garbage,
    honest,
    noise,
    released,
    silent,
    then,
    truncated,
    wait_for_queries,
    with_code,
    wrong_id,
    wrong_question,
)

A, AAAA = ("127.0.0.9", 4), ("::1", 6)


HAS_IPV6 = destinations._has_route(AAAA)


@pytest.fixture(autouse=True)
def routes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tests' machine has routes of both families, whatever the real one has."""
    monkeypatch.setattr(destinations, "_has_route", lambda address: True)


@pytest.fixture
def server() -> Iterator[DNSServer]:
    with DNSServer() as server:
        server.add("both.test", "A", "127.0.0.9")
        server.add("both.test", "AAAA", "::1")
        server.add("four.test", "A", "127.0.0.9")
        yield server


@pytest.fixture
def second() -> Iterator[DNSServer]:
    with DNSServer() as second:
        second.add("four.test", "A", "127.0.0.2")
        yield second


@pytest.fixture
def unreachable_port() -> Iterator[int]:
    """A UDP port where nobody answers, and that nobody else can take."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
        # Connected elsewhere, it takes nothing from us: the kernel refuses what we send.
        sock.connect(("127.0.0.1", 9))
        yield port


@pytest.fixture
def pass_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Move the clock of the resolver forward."""
    offset = 0.0

    def advance(seconds: float) -> None:
        nonlocal offset
        offset += seconds

    def monotonic() -> float:
        return time.monotonic() + offset

    for module in (resolver, questions, nameserver):
        monkeypatch.setattr(module, "monotonic", monotonic)
    return advance


def resolver_of(*servers: DNSServer, **options: Any) -> Resolver:
    # One try, which has all of the time: a busy machine would make it two, and tests count them.
    options = {"timeout": 5, "tries": 1, "search": [], "ndots": 1, "hosts": None, **options}
    return Resolver([f"127.0.0.1:{each.port}" for each in servers], **options)


def then_standing_still(seconds: float) -> Behaviour:
    """The right answer, behind which the whole process stands still."""

    def behaviour(query: Any, reply: Any) -> Iterator[bytes]:
        yield reply.to_wire()
        monkey.get_original("time", "sleep")(seconds)

    return behaviour


def failure(call: Callable[..., Any], *args: Any, **options: Any) -> Any:
    with pytest.raises(socket.gaierror) as caught:
        call(*args, **options)
    return caught.value


# -- addresses ------------------------------------------------------------------------------------


def test_a_lookup_gives_the_first_address_and_its_family(server: DNSServer) -> None:
    assert resolver_of(server).lookup("four.test") == A


def test_a_lookup_for_all_gives_each_address_once_ipv6_first(server: DNSServer) -> None:
    assert resolver_of(server).lookup("both.test", all=True) == [AAAA, A]


@pytest.mark.parametrize(("family", "found"), [(4, A), ("IPv4", A), (6, AAAA), ("IPv6", AAAA)])
def test_a_family_limits_what_is_asked_and_found(
    server: DNSServer, family: Any, found: Any
) -> None:
    assert resolver_of(server).lookup("both.test", family=family) == found
    assert len(server.asked) == 1


def test_ipv4_comes_first_where_the_system_has_no_route_for_ipv6(
    server: DNSServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(destinations, "_has_route", lambda address: address[1] == 4)
    assert resolver_of(server).lookup("both.test", all=True) == [A, AAAA]


def test_both_families_are_asked_for_at_the_same_time(server: DNSServer) -> None:
    gate = Event()
    server.udp = [released(gate)]
    lookup = gevent.spawn(resolver_of(server).lookup, "both.test", all=True)
    asked = wait_for_queries(server, 2)
    gate.set()
    assert {each[1] for each in asked} == {"A", "AAAA"}
    assert lookup.get(timeout=10) == [AAAA, A]


def test_one_family_is_enough(server: DNSServer) -> None:
    server.udp = [by_type(AAAA=failing("SERVFAIL"))]
    assert resolver_of(server).lookup("both.test", all=True) == [A]


def test_known_addresses_do_not_wait_long_for_those_of_the_other_family(
    server: DNSServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "_OTHER_FAMILY_SECONDS", 0.05)
    server.udp = [by_type(AAAA=silent)]
    with gevent.Timeout(5):
        assert resolver_of(server, timeout=60).lookup("both.test", all=True) == [A]


@pytest.mark.parametrize(
    ("literal", "family"), [("192.0.2.1", 4), ("2001:db8::1", 6), ("fe80::1%x", 6)]
)
def test_an_address_answers_itself(server: DNSServer, literal: str, family: int) -> None:
    assert resolver_of(server).lookup(literal, family=4) == (literal, family)
    assert server.asked == []


@pytest.mark.parametrize("name", ["localhost", "LOCALHOST.", "db.localhost"])
def test_localhost_is_this_host_without_a_question(server: DNSServer, name: str) -> None:
    assert resolver_of(server).lookup(name, family=4) == ("127.0.0.1", 4)
    assert resolver_of(server).lookup(name, family=6) == ("::1", 6)
    assert server.asked == []


def test_localhost_is_not_asked_for_where_the_hosts_file_has_one_family_of_it(
    server: DNSServer, tmp_path: Path
) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 localhost\n")
    resolver = resolver_of(server, hosts=hosts)
    assert resolver.lookup("localhost", all=True) == [("127.0.0.1", 4)]
    assert resolver.lookup("localhost", family=6) == ("::1", 6)
    assert server.asked == []


@pytest.mark.parametrize("name", ["", ".", "a..test", ".test", "x" * 64 + ".test", "a\0.test"])
def test_what_can_be_no_name_is_not_found_and_not_asked_for(server: DNSServer, name: str) -> None:
    error = failure(resolver_of(server).lookup, name)
    assert (error.code, error.hostname, error.syscall) == ("ENOTFOUND", name, "getaddrinfo")
    assert server.asked == []


def test_a_name_beyond_ascii_is_asked_for_in_the_form_of_idna_2008(server: DNSServer) -> None:
    server.add("xn--bcher-kva.test", "A", "127.0.0.9")
    server.add("xn--fa-hia.test", "TXT", "sharp")
    resolver = resolver_of(server)
    assert resolver.lookup("Bücher.test") == A
    assert resolver.resolve_txt("faß.test") == [["sharp"]]


def test_search_domains_may_be_beyond_ascii(server: DNSServer) -> None:
    server.add("db.xn--fa-hia.test", "A", "127.0.0.9")
    assert resolver_of(server, search=["faß.test"]).lookup("db", family=4) == A


def test_a_backslash_in_a_name_is_a_character_like_others(server: DNSServer) -> None:
    assert failure(resolver_of(server).lookup, r"a\046b.test").code == "ENOTFOUND"
    assert server.asked[0][0] == r"a\\046b.test"


def test_ipv4_addresses_are_mapped_where_ipv6_is_wanted_and_missing(server: DNSServer) -> None:
    resolver = resolver_of(server)
    assert resolver.lookup("four.test", family=6, hints=gdns.V4MAPPED) == ("::ffff:127.0.0.9", 6)
    assert resolver.lookup("both.test", family=6, hints=gdns.V4MAPPED, all=True) == [AAAA]
    both = gdns.V4MAPPED | gdns.ALL
    found = resolver.lookup("both.test", family=6, hints=both, all=True)
    assert found == [AAAA, ("::ffff:127.0.0.9", 6)]


def test_addrconfig_leaves_out_a_family_that_the_machine_does_not_have(
    server: DNSServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(destinations, "_configured", lambda family: family == 4)
    resolver = resolver_of(server)
    assert resolver.lookup("both.test", hints=gdns.ADDRCONFIG, all=True) == [A]
    assert (
        failure(resolver.lookup, "both.test", family=6, hints=gdns.ADDRCONFIG).code == "ENOTFOUND"
    )


def test_addrconfig_leaves_out_nothing_on_a_machine_of_loopback_addresses(
    server: DNSServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(destinations, "_configured", lambda family: False)
    found = resolver_of(server).lookup("both.test", hints=gdns.ADDRCONFIG, all=True)
    assert found == [AAAA, A]


# -- the hosts file -------------------------------------------------------------------------------


def test_the_hosts_file_comes_first(server: DNSServer, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("# ours\n127.0.0.77  four.test alias  # first\n127.0.0.78 FOUR.test.\n")
    resolver = resolver_of(server, hosts=str(hosts))
    found = [("127.0.0.77", 4), ("127.0.0.78", 4)]
    assert resolver.lookup("four.test", all=True) == found
    assert resolver.lookup("Alias") == found[0]
    assert server.asked == []


def test_the_hosts_file_is_read_again_when_it_has_changed(
    server: DNSServer, tmp_path: Path
) -> None:
    hosts = tmp_path / "hosts"
    resolver = resolver_of(server, hosts=str(hosts))
    assert resolver.lookup("four.test") == A
    hosts.write_text("127.0.0.77 four.test\n")
    assert resolver.lookup("four.test") == ("127.0.0.77", 4)
    hosts.write_text("127.0.0.177 four.test\n")
    assert resolver.lookup("four.test") == ("127.0.0.177", 4)
    hosts.unlink()
    assert resolver.lookup("four.test") == A


def test_dns_is_asked_for_a_family_that_the_hosts_file_does_not_have(
    server: DNSServer, tmp_path: Path
) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.77 both.test\n")
    assert resolver_of(server, hosts=str(hosts)).lookup("both.test", family=6) == AAAA


# -- search domains -------------------------------------------------------------------------------


def names_asked(server: DNSServer) -> list[str]:
    return [each[0] for each in server.asked]


def test_a_short_name_is_looked_for_in_the_search_domains_first(server: DNSServer) -> None:
    resolver = resolver_of(server, search=["corp.test", "test"])
    assert resolver.lookup("four", family=4) == A
    assert names_asked(server) == ["four.corp.test", "four.test"]


def test_a_name_with_enough_dots_is_looked_for_in_the_search_domains_last(
    server: DNSServer,
) -> None:
    server.add("db.eu.corp.test", "A", "127.0.0.9")
    resolver = resolver_of(server, search=["corp.test"])
    assert resolver.lookup("db.eu", family=4) == A
    assert names_asked(server) == ["db.eu", "db.eu.corp.test"]
    del server.asked[:]
    resolver = resolver_of(server, search=["corp.test"], ndots=2)
    assert resolver.lookup("db.eu", family=4) == A
    assert names_asked(server) == ["db.eu.corp.test"]


def test_a_name_with_a_final_dot_means_itself(server: DNSServer) -> None:
    resolver = resolver_of(server, search=["test"])
    assert failure(resolver.lookup, "four.", family=4).code == "ENOTFOUND"
    assert names_asked(server) == ["four"]


def test_the_error_says_the_most_that_was_learnt_from_all_search_domains(
    server: DNSServer,
) -> None:
    resolver = resolver_of(server, search=["a.test", "b.test"])
    server.add("x.a.test", "TXT", "here")
    assert failure(resolver.lookup, "x", family=4).code == "ENODATA"
    server.udp = [*[failing("SERVFAIL")] * 3, honest]
    assert failure(resolver.lookup, "y", family=4).code == "ESERVFAIL"
    assert names_asked(server)[-2:] == ["y.b.test", "y"]


@pytest.mark.parametrize("code", ["REFUSED", "SERVFAIL"])
def test_a_domain_that_a_server_refuses_or_fails_for_is_passed_over(
    server: DNSServer, code: str
) -> None:
    server.add("x.b.test", "A", "127.0.0.9")
    server.udp = [failing(code), honest]
    resolver = resolver_of(server, search=["a.test", "b.test"])
    assert resolver.lookup("x", family=4) == A
    server.udp = [failing(code)]
    assert failure(resolver.lookup, "y", family=4).code == f"E{code}"
    assert names_asked(server)[2:] == ["y.a.test", "y.b.test", "y"]


def test_a_format_that_a_server_does_not_understand_ends_the_search(server: DNSServer) -> None:
    server.udp = [failing("FORMERR")]
    resolver = resolver_of(server, search=["a.test", "b.test"])
    assert failure(resolver.lookup, "x", family=4).code == "EFORMERR"
    assert names_asked(server) == ["x.a.test"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has its registry")
def test_the_systems_settings_are_those_of_resolv_conf(
    server: DNSServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    conf = tmp_path / "resolv.conf"
    conf.write_text("nameserver 127.0.0.1\nsearch corp.test test\noptions ndots:2\n")
    monkeypatch.setattr(resolv_conf, "PATH", str(conf))
    server.add("a.b.test", "A", "127.0.0.9")
    assert Resolver(port=server.port, hosts=None).lookup("a.b", family=4) == A
    assert names_asked(server) == ["a.b.corp.test", "a.b.test"]


# -- aliases --------------------------------------------------------------------------------------


def add_chain(server: DNSServer) -> None:
    server.add("www.test", "CNAME", "web.test.", ttl=60)
    server.add("web.test", "CNAME", "four.test.", ttl=20)


@pytest.mark.parametrize(("recursive", "questions"), [(True, 1), (False, 3)])
def test_aliases_are_followed_by_the_server_or_by_the_resolver(
    server: DNSServer, recursive: bool, questions: int
) -> None:
    add_chain(server)
    server.recursive = recursive
    assert resolver_of(server).lookup("www.test", family=4) == A
    assert len(server.asked) == questions


@pytest.mark.parametrize("recursive", [True, False])
def test_an_alias_holds_no_longer_than_its_shortest_part(
    server: DNSServer, recursive: bool, pass_time: Callable[[float], None]
) -> None:
    add_chain(server)
    server.recursive = recursive
    resolver = resolver_of(server)
    resolver.lookup("www.test", family=4)
    asked = len(server.asked)
    pass_time(19)
    resolver.lookup("www.test", family=4)
    assert len(server.asked) == asked
    pass_time(2)
    resolver.lookup("www.test", family=4)
    assert len(server.asked) == 2 * asked


@pytest.mark.parametrize("recursive", [True, False])
@pytest.mark.parametrize("length", [1, 2, 5])
def test_aliases_in_a_circle_are_a_failure_of_the_server(
    server: DNSServer, recursive: bool, length: int
) -> None:
    for number in range(length):
        server.add(f"n{number}.test", "CNAME", f"n{(number + 1) % length}.test.")
    server.recursive = recursive
    assert failure(resolver_of(server).lookup, "n0.test", family=4).code == "ESERVFAIL"
    assert len(server.asked) <= length


def test_an_endless_chain_of_aliases_ends(server: DNSServer) -> None:
    for number in range(100):
        server.add(f"n{number}.test", "CNAME", f"n{number + 1}.test.")
    server.recursive = False
    assert failure(resolver_of(server).lookup, "n0.test", family=4).code == "ESERVFAIL"
    assert len(server.asked) < 20


@pytest.mark.parametrize(("soa", "questions"), [(None, 2), ((60, 60), 1)])
def test_an_alias_of_what_has_no_such_records_has_no_data(
    server: DNSServer, soa: tuple[int, int] | None, questions: int
) -> None:
    server.add("alias.test", "CNAME", "four.test.")
    server.soa = soa
    assert failure(resolver_of(server).lookup, "alias.test", family=6).code == "ENODATA"
    assert len(server.asked) == questions


def test_an_alias_of_nothing_is_not_found(server: DNSServer) -> None:
    server.add("alias.test", "CNAME", "nothing.test.")
    assert failure(resolver_of(server).lookup, "alias.test").code == "ENOTFOUND"
    assert resolver_of(server).resolve_cname("alias.test") == ["nothing.test"]


# -- errors ---------------------------------------------------------------------------------------


def test_a_name_that_does_not_exist_is_not_found(server: DNSServer) -> None:
    error = failure(resolver_of(server).lookup, "nothing.test")
    assert (error.code, error.errno) == ("ENOTFOUND", socket.EAI_NONAME)
    assert error.strerror == "getaddrinfo ENOTFOUND nothing.test"


def test_a_name_without_records_of_the_type_has_no_data(server: DNSServer) -> None:
    error = failure(resolver_of(server).resolve_mx, "four.test")
    assert (error.code, error.syscall, error.hostname) == ("ENODATA", "queryMx", "four.test")
    assert failure(resolver_of(server).lookup, "four.test", family=6).code == "ENODATA"


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("SERVFAIL", "ESERVFAIL"),
        ("REFUSED", "EREFUSED"),
        ("FORMERR", "EFORMERR"),
        ("NOTIMP", "ENOTIMP"),
        ("YXDOMAIN", "EBADRESP"),
    ],
)
def test_a_servers_failure_keeps_its_name(server: DNSServer, said: str, code: str) -> None:
    server.udp = [failing(said)]
    assert failure(resolver_of(server).lookup, "four.test").code == code


def test_records_beside_an_error_code_do_not_count(server: DNSServer) -> None:
    server.udp = [with_code("NXDOMAIN")]
    assert failure(resolver_of(server).lookup, "four.test").code == "ENOTFOUND"
    server.udp = [with_code("SERVFAIL")]
    assert failure(resolver_of(server).lookup, "four.test").code == "ESERVFAIL"


def test_silence_is_a_timeout_and_takes_as_long_as_allowed(server: DNSServer) -> None:
    server.udp = [silent]
    start = time.monotonic()
    error = failure(resolver_of(server, timeout=1, tries=2).resolve4, "four.test")
    assert (error.code, error.syscall) == ("ETIMEOUT", "queryA")
    assert 0.99 <= time.monotonic() - start < 5
    assert len(server.asked) == 2


def test_the_timeout_is_for_all_servers_and_search_domains_together(
    server: DNSServer, second: DNSServer
) -> None:
    server.udp = second.udp = [silent]
    start = time.monotonic()
    resolver = resolver_of(server, second, timeout=0.3, search=["a.test", "b.test"])
    assert failure(resolver.lookup, "x").code == "ETIMEOUT"
    assert 0.29 <= time.monotonic() - start < 3


@pytest.mark.skipif(sys.platform == "win32", reason="Windows does not always tell")
def test_a_closed_port_refuses(unreachable_port: int) -> None:
    resolver = Resolver(["127.0.0.1"], unreachable_port, hosts=None, search=[])
    with gevent.Timeout(4):
        error = failure(resolver.lookup, "four.test")
    assert (error.code, error.errno) == ("ECONNREFUSED", socket.EAI_AGAIN)


def test_what_cannot_be_read_is_a_bad_response(server: DNSServer) -> None:
    server.udp = [garbage]
    with gevent.Timeout(4):
        assert failure(resolver_of(server).lookup, "four.test").code == "EBADRESP"


# -- tries and servers ----------------------------------------------------------------------------


def test_a_lost_message_is_sent_again(server: DNSServer) -> None:
    server.udp = [silent, silent, honest]
    assert resolver_of(server, timeout=2, tries=3).lookup("four.test", family=4) == A
    assert len(server.asked) == 3


@pytest.mark.parametrize("behaviour", [silent, failing("SERVFAIL"), failing("REFUSED"), garbage])
def test_the_next_server_is_asked_when_one_fails(
    server: DNSServer, second: DNSServer, behaviour: Any
) -> None:
    server.udp = [behaviour]
    resolver = resolver_of(server, second, timeout=1)
    assert resolver.lookup("four.test", family=4) == ("127.0.0.2", 4)


def test_the_next_server_is_asked_when_one_cannot_be_reached(
    server: DNSServer, unreachable_port: int
) -> None:
    resolver = Resolver(
        [f"127.0.0.1:{unreachable_port}", "127.0.0.1"], server.port, hosts=None, search=[]
    )
    assert resolver.lookup("four.test", family=4) == A


def test_a_name_that_does_not_exist_is_an_answer(server: DNSServer, second: DNSServer) -> None:
    resolver = resolver_of(server, second)
    assert failure(resolver.lookup, "nothing.test").code == "ENOTFOUND"
    assert second.asked == []


def test_the_server_that_answered_last_is_asked_first(
    server: DNSServer, second: DNSServer
) -> None:
    server.udp = [failing("SERVFAIL")]
    resolver = resolver_of(server, second, cache=False)
    resolver.lookup("four.test", family=4)
    resolver.lookup("four.test", family=4)
    assert (len(server.asked), len(second.asked)) == (1, 2)


@pytest.mark.skipif(not HAS_IPV6, reason="this machine has no IPv6")
def test_a_name_server_may_be_at_an_ipv6_address() -> None:
    with DNSServer("::1") as server:
        server.add("four.test", "A", "127.0.0.9")
        for nameserver, port in ((f"[::1]:{server.port}", 1), ("::1", server.port)):
            resolver = Resolver([nameserver], port, hosts=None, search=[])
            assert resolver.lookup("four.test", family=4) == A


# -- false answers --------------------------------------------------------------------------------


@pytest.mark.parametrize("behaviour", [noise, wrong_id, wrong_question, echo])
def test_what_is_no_answer_to_the_question_is_dropped(server: DNSServer, behaviour: Any) -> None:
    server.udp = [then(behaviour, honest)]
    assert resolver_of(server).lookup("four.test", family=4) == A
    server.udp = [behaviour]
    resolver = resolver_of(server, timeout=0.1, cache=False)
    assert failure(resolver.lookup, "four.test", family=4).code == "ETIMEOUT"


def test_an_answer_from_another_address_is_dropped(server: DNSServer) -> None:
    def forge(query: Any, reply: Any) -> list[bytes]:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as forger:
            forger.bind(("127.0.0.1", 0))
            forger.sendto(reply.to_wire(), server.clients[-1])
        return []

    server.udp = [forge]
    resolver = resolver_of(server, timeout=0.1)
    assert failure(resolver.lookup, "four.test", family=4).code == "ETIMEOUT"


def test_an_answer_that_comes_late_is_not_taken_for_the_next_questions(
    server: DNSServer,
) -> None:
    gate = Event()
    server.udp = [released(gate), silent]
    # So long that a busy machine asks the second time.
    resolver = resolver_of(server, tries=2, timeout=2, cache=False)
    first = gevent.spawn(failure, resolver.lookup, "four.test", family=4)
    wait_for_queries(server, 2)
    gate.set()
    assert first.get(timeout=10).code == "ETIMEOUT"


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_an_answer_that_is_there_when_the_time_is_over_is_in_time(
    server: DNSServer, transport: str
) -> None:
    server.udp = [truncated]
    setattr(server, transport, [then_standing_still(1.1)])
    resolver = resolver_of(server, timeout=1)
    assert resolver.lookup("four.test", family=4) == A
    assert [each[2] for each in server.asked] == ["udp", "tcp"][: 1 + (transport == "tcp")]


def test_addresses_of_the_other_family_that_are_there_are_in_time(
    server: DNSServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "_OTHER_FAMILY_SECONDS", 0.2)
    gate = Event()
    server.udp = [by_type(AAAA=released(gate, then_standing_still(0.3)))]
    read: Queue[Any] = Queue()
    read_answer = questions.read_answer

    def noting(*args: Any) -> Any:
        read.put(args[-1])
        return read_answer(*args)

    monkeypatch.setattr(questions, "read_answer", noting)
    lookup = gevent.spawn(resolver_of(server).lookup, "both.test", all=True)
    assert read.get() == RdataType.A
    gate.set()
    assert lookup.get() == [AAAA, A]


def test_false_answers_do_not_make_the_time_longer(
    server: DNSServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nameserver, "_MOST_LATE", 3)
    sent = []

    def flood(query: Any, reply: Any) -> Iterator[bytes]:
        reply.id ^= 1
        while True:
            sent.append(True)
            yield reply.to_wire()
            # The resolver has its turn.
            gevent.sleep(0)

    server.udp = [flood]
    resolver = resolver_of(server, timeout=0.1)
    assert failure(resolver.lookup, "four.test", family=4).code == "ETIMEOUT"
    assert len(sent) > 3


def test_every_question_has_an_id_and_a_port_of_its_own(server: DNSServer) -> None:
    ids = set()

    def note(query: Any, reply: Any) -> list[bytes]:
        ids.add(query.id)
        return honest(query, reply)

    server.udp = [note]
    resolver = resolver_of(server, cache=False)
    for _ in range(20):
        resolver.lookup("four.test", family=4)
    assert len(ids) > 10
    assert len({port for _, port in server.clients}) > 10


# -- TCP ------------------------------------------------------------------------------------------


def test_an_answer_that_does_not_fit_is_asked_for_over_tcp(server: DNSServer) -> None:
    addresses = [f"127.0.{number // 250}.{number % 250 + 1}" for number in range(2000)]
    server.add("many.test", "A", *addresses)
    server.udp = [truncated]
    found = resolver_of(server).lookup("many.test", family=4, all=True)
    assert sorted(found) == sorted((each, 4) for each in addresses)
    assert [each[2] for each in server.asked] == ["udp", "tcp"]


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (silent, "EBADRESP"),
        (garbage, "EBADRESP"),
        (wrong_id, "EBADRESP"),
        (failing("SERVFAIL"), "ESERVFAIL"),
        (released(Event()), "ETIMEOUT"),
    ],
)
def test_what_goes_wrong_over_tcp_is_told(server: DNSServer, behaviour: Any, code: str) -> None:
    server.udp, server.tcp = [truncated], [behaviour]
    resolver = resolver_of(server, timeout=0.3 if code == "ETIMEOUT" else 5)
    assert failure(resolver.lookup, "four.test", family=4).code == code


def test_a_server_that_does_not_answer_over_tcp_is_waited_for_no_longer_than_the_timeout() -> None:
    with blackhole() as hole, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        datagrams.bind((hole.host, hole.port))

        def answer() -> None:
            wire, client = datagrams.recvfrom(65535)
            query = dns.message.from_wire(wire)
            datagrams.sendto(*truncated(query, dns.message.make_response(query)), client)

        answering = gevent.spawn(answer)
        resolver = Resolver([hole.host], hole.port, timeout=0.3, tries=1, hosts=None)
        assert failure(resolver.resolve4, "four.test.").code == "ETIMEOUT"
        answering.get()


# -- the cache ------------------------------------------------------------------------------------


def test_an_answer_is_kept_for_its_time_to_live(
    server: DNSServer, pass_time: Callable[[float], None]
) -> None:
    server.add("short.test", "A", "127.0.0.9", ttl=30)
    resolver = resolver_of(server)
    for after, asked in ((0, 1), (29, 1), (2, 2), (29, 2)):
        pass_time(after)
        assert resolver.lookup("SHORT.test", family=4) == A
        assert len(server.asked) == asked


def test_an_answer_without_time_to_live_is_not_kept(server: DNSServer) -> None:
    server.add("now.test", "A", "127.0.0.9", ttl=0)
    resolver = resolver_of(server)
    for asked in (1, 2):
        assert resolver.lookup("now.test", family=4) == A
        assert len(server.asked) == asked


@pytest.mark.parametrize(
    ("soa", "kept"), [((30, 600), 30), ((600, 20), 20), ((10**6, 10**6), 10800)]
)
@pytest.mark.parametrize(
    ("name", "code"), [("nothing.test", "ENOTFOUND"), ("four.test", "ENODATA")]
)
def test_that_there_is_nothing_is_kept_as_long_as_the_zone_says(
    server: DNSServer,
    pass_time: Callable[[float], None],
    soa: tuple[int, int],
    kept: int,
    name: str,
    code: str,
) -> None:
    server.soa = soa
    resolver = resolver_of(server)
    for after, asked in ((0, 1), (kept - 1, 1), (2, 2)):
        pass_time(after)
        assert failure(resolver.resolve6, name).code == code
        assert len(server.asked) == asked


def test_that_there_is_nothing_is_not_kept_where_the_zone_says_nothing(server: DNSServer) -> None:
    resolver = resolver_of(server)
    for asked in (1, 2):
        assert failure(resolver.resolve4, "nothing.test").code == "ENOTFOUND"
        assert len(server.asked) == asked


def test_a_name_that_does_not_exist_has_no_records_of_other_types_either(
    server: DNSServer,
) -> None:
    server.soa = (60, 60)
    resolver = resolver_of(server)
    assert failure(resolver.resolve4, "nothing.test").code == "ENOTFOUND"
    assert failure(resolver.resolve_mx, "nothing.test").code == "ENOTFOUND"
    assert len(server.asked) == 1


def test_a_failure_is_not_kept(server: DNSServer) -> None:
    server.udp = [failing("SERVFAIL"), honest]
    resolver = resolver_of(server)
    assert failure(resolver.lookup, "four.test", family=4).code == "ESERVFAIL"
    assert resolver.lookup("four.test", family=4) == A


def test_the_cache_can_be_left_out_bounded_and_cleared(server: DNSServer) -> None:
    server.add("other.test", "A", "127.0.0.9")

    def questions(resolver: Resolver, *names: str) -> int:
        del server.asked[:]
        for name in names:
            assert resolver.lookup(name, family=4) == A
        return len(server.asked)

    for cache in (False, 0):
        assert questions(resolver_of(server, cache=cache), "four.test", "four.test") == 2
    one = resolver_of(server, cache=1)
    assert questions(one, "four.test", "four.test", "other.test", "four.test") == 3
    resolver = resolver_of(server)
    assert questions(resolver, "four.test", "other.test", "four.test", "other.test") == 2
    resolver.clear_cache()
    assert questions(resolver, "four.test") == 1


def test_what_a_caller_does_with_an_answer_leaves_the_cache_alone(server: DNSServer) -> None:
    server.add("text.test", "TXT", '"a" "b"')
    resolver = resolver_of(server)
    resolver.resolve_txt("text.test")[0].append("c")
    resolver.lookup("four.test", all=True).clear()
    assert resolver.resolve_txt("text.test") == [["a", "b"]]
    assert resolver.lookup("four.test", all=True) == [A]


# -- many greenlets -------------------------------------------------------------------------------


def test_equal_questions_on_their_way_are_asked_once(server: DNSServer) -> None:
    gate = Event()
    server.udp = [released(gate)]
    resolver = resolver_of(server, cache=False)
    lookups = [gevent.spawn(resolver.lookup, "four.test", family=4) for _ in range(10)]
    wait_for_queries(server, 1)
    gate.set()
    assert [each.get(timeout=10) for each in lookups] == [A] * 10
    assert len(server.asked) == 1


def test_a_question_goes_on_while_anyone_waits_for_it(server: DNSServer) -> None:
    gate = Event()
    server.udp = [released(gate)]
    resolver = resolver_of(server)
    killed = gevent.spawn(resolver.lookup, "four.test", family=4)
    other = gevent.spawn(resolver.lookup, "four.test", family=4)
    wait_for_queries(server, 1)
    killed.kill()
    gate.set()
    assert other.get(timeout=10) == A
    assert len(server.asked) == 1


@pytest.mark.parametrize("over_tcp", [False, True])
@pytest.mark.parametrize("end", ["timeout", "kill", "cancel"])
def test_a_lookup_that_is_ended_leaves_nothing_behind(
    server: DNSServer, over_tcp: bool, end: str
) -> None:
    server.udp = [truncated if over_tcp else silent]
    server.tcp = [released(Event())]
    resolver = resolver_of(server, timeout=600)
    lookup = gevent.spawn(_how_it_ends, resolver)
    wait_for_queries(server, 4 if over_tcp else 2)
    if end == "cancel":
        resolver.cancel()
    else:
        # A Timeout that runs out is thrown into its greenlet just so.
        lookup.kill(gevent.Timeout if end == "timeout" else GreenletExit)
    assert lookup.get(timeout=10) == end
    server.udp = [honest]
    assert resolver.lookup("both.test", all=True) == [AAAA, A]


def _how_it_ends(resolver: Resolver) -> str:
    try:
        resolver.lookup("both.test")
    except gevent.Timeout:
        return "timeout"
    except GreenletExit:
        return "kill"
    except socket.gaierror as exc:
        return "cancel" if code_of(exc) == "ECANCELLED" else str(exc)
    return "an answer"


def test_many_lookups_share_a_bounded_number_of_descriptors(
    server: DNSServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(questions, "_MAX_QUESTIONS", 8)
    before = len(descriptors())
    most = 0

    def watched(query: Any, reply: Any) -> list[bytes]:
        nonlocal most
        most = max(most, len(descriptors()))
        return honest(query, reply)

    server.udp = [watched]
    for number in range(100):
        server.add(f"n{number}.test", "A", f"127.0.1.{number + 1}")
    resolver = resolver_of(server, timeout=30)
    lookups = [gevent.spawn(resolver.lookup, f"n{number}.test") for number in range(100)]
    found = [each.get(timeout=30) for each in lookups]
    assert found == [(f"127.0.1.{number + 1}", 4) for number in range(100)]
    assert most <= before + 8


def test_a_lookup_does_not_hold_up_other_greenlets(server: DNSServer) -> None:
    gate = Event()
    server.udp = [released(gate)]
    resolver = resolver_of(server)
    slow = gevent.spawn(resolver.lookup, "four.test", family=4)
    wait_for_queries(server, 1)
    server.udp = [honest]
    assert resolver.lookup("both.test", family=4) == A
    assert not slow.ready()
    gate.set()
    assert slow.get(timeout=10) == A


def test_a_resolver_serves_several_threads(server: DNSServer) -> None:
    gate = Event()
    server.udp = [released(gate)]
    resolver = resolver_of(server)

    def in_a_thread() -> Any:
        try:
            return resolver.lookup("four.test", family=4)
        finally:
            gevent.get_hub().destroy(destroy_loop=True)

    lookups = [gevent.get_hub().threadpool.spawn(in_a_thread) for _ in range(2)]
    wait_for_queries(server, 2)
    gate.set()
    assert [each.get(timeout=10) for each in lookups] == [A, A]


def test_a_machine_without_descriptors_says_so(
    server: DNSServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(*args: Any) -> Any:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("gnet.dns.nameserver._gsocket.socket", none_left)
    assert failure(resolver_of(server).lookup, "four.test").code == "EMFILE"


# -- records --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rdtype", "texts", "found"),
    [
        ("A", ["127.0.0.9"], ["127.0.0.9"]),
        ("AAAA", ["::1"], ["::1"]),
        ("CNAME", ["other.test."], ["other.test"]),
        ("NS", ["ns.test."], ["ns.test"]),
        ("PTR", ["host.test."], ["host.test"]),
        ("MX", ["10 mail.test."], [("mail.test", 10)]),
        ("MX", ["0 ."], [("", 0)]),
        ("SRV", ["1 2 8124 echo.test."], [("echo.test", 8124, 1, 2)]),
        ("TXT", ['"v=spf1 " "-all"'], [["v=spf1 ", "-all"]]),
        ("TXT", [r'"\195\188\255"'], [["ü\udcff"]]),
        (
            "SOA",
            ["ns.test. admin.test. 1 2 3 4 5"],
            [("ns.test", "admin.test", 1, 2, 3, 4, 5)],
        ),
        (
            "NAPTR",
            ['100 10 "u" "E2U+sip" "!^.*$!sip:a@b!" .'],
            [("u", "E2U+sip", "!^.*$!sip:a@b!", "", 100, 10)],
        ),
        ("CAA", ['0 issue "ca.test"'], [(0, "issue", "ca.test")]),
        ("SSHFP", ["1 1 " + 20 * "ab"], ["1 1 " + 20 * "ab"]),
    ],
)
def test_records_have_the_shapes_of_nodes_dns(
    server: DNSServer, rdtype: str, texts: list[str], found: list[Any]
) -> None:
    server.add("shape.test", rdtype, *texts)
    assert resolver_of(server).resolve("shape.test", rdtype) == found
    assert resolver_of(server).resolve("shape.test", rdtype.lower()) == found


def test_each_common_type_has_a_method(server: DNSServer) -> None:
    for rdtype, text in {
        "A": "127.0.0.9",
        "AAAA": "::1",
        "MX": "10 mail.test.",
        "SRV": "1 2 8124 echo.test.",
        "TXT": '"text"',
        "NS": "ns.test.",
        "PTR": "host.test.",
        "SOA": "ns.test. admin.test. 1 2 3 4 5",
        "NAPTR": '1 2 "u" "s" "r" .',
        "CAA": '0 issue "ca.test"',
    }.items():
        server.add("all.test", rdtype, text)
    resolver = resolver_of(server)
    assert resolver.resolve("all.test") == resolver.resolve4("all.test") == ["127.0.0.9"]
    assert resolver.resolve6("all.test") == ["::1"]
    assert resolver.resolve_mx("all.test")[0].exchange == "mail.test"
    assert resolver.resolve_srv("all.test")[0].port == 8124
    assert resolver.resolve_txt("all.test") == [["text"]]
    assert resolver.resolve_ns("all.test") == ["ns.test"]
    assert resolver.resolve_ptr("all.test") == ["host.test"]
    assert resolver.resolve_soa("all.test").hostmaster == "admin.test"
    assert resolver.resolve_naptr("all.test")[0].service == "s"
    assert resolver.resolve_caa("all.test")[0].value == "ca.test"


def test_the_root_can_be_asked_for(server: DNSServer) -> None:
    server.add(".", "NS", "a.root.test.")
    assert resolver_of(server, search=["test"]).resolve(".", "NS") == ["a.root.test"]


@pytest.mark.parametrize("rdtype", ["NONE", "nonsense", "ANY", "AXFR", "OPT", ""])
def test_a_type_that_is_none_of_records_is_refused(server: DNSServer, rdtype: str) -> None:
    with pytest.raises(ValueError, match="rdtype") as caught:
        resolver_of(server).resolve("four.test", rdtype)
    assert caught.value.code == "ERR_INVALID_ARG_VALUE"  # type: ignore[attr-defined]
    assert server.asked == []


def test_an_address_leads_back_to_its_names(server: DNSServer) -> None:
    server.add("9.0.0.127.in-addr.arpa", "PTR", "nine.test.", "neuf.test.")
    server.add("1." + "0." * 31 + "ip6.arpa", "PTR", "one.test.")
    resolver = resolver_of(server)
    assert sorted(resolver.reverse("127.0.0.9")) == ["neuf.test", "nine.test"]
    assert resolver.reverse("::1") == resolver.reverse("0:0::1%lo") == ["one.test"]
    error = failure(resolver.reverse, "192.0.2.1")
    assert (error.code, error.syscall, error.hostname) == (
        "ENOTFOUND",
        "getHostByAddr",
        "192.0.2.1",
    )


def test_the_hosts_file_leads_back_to_names_first(server: DNSServer, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.9 nine.test nine\n::1 one.test\n127.0.0.9 nine.test\n")
    resolver = resolver_of(server, hosts=str(hosts))
    assert resolver.reverse("127.0.0.9") == ["nine.test", "nine"]
    assert resolver.reverse("0::0:1") == ["one.test"]
    assert server.asked == []


def test_only_an_address_leads_back(server: DNSServer) -> None:
    with pytest.raises(ValueError, match=r"four\.test") as caught:
        resolver_of(server).reverse("four.test")
    assert caught.value.code == "ERR_INVALID_IP_ADDRESS"  # type: ignore[attr-defined]


# -- arguments ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "code"),
    [
        ({"nameservers": "127.0.0.1"}, TypeError, "ERR_INVALID_ARG_TYPE"),
        ({"nameservers": 53}, TypeError, "ERR_INVALID_ARG_TYPE"),
        ({"nameservers": [b"127.0.0.1"]}, TypeError, "ERR_INVALID_ARG_TYPE"),
        ({"nameservers": []}, ValueError, "ERR_INVALID_ARG_VALUE"),
        ({"nameservers": ["ns.test"]}, ValueError, "ERR_INVALID_IP_ADDRESS"),
        ({"nameservers": ["127.0.0.1:99999"]}, ValueError, "ERR_INVALID_IP_ADDRESS"),
        ({"nameservers": ["fe80::1%no-such-zone"]}, ValueError, "ERR_INVALID_IP_ADDRESS"),
        ({"port": 70000}, ValueError, "ERR_SOCKET_BAD_PORT"),
        ({"port": None}, TypeError, "ERR_INVALID_ARG_TYPE"),
        ({"timeout": 0}, ValueError, "ERR_OUT_OF_RANGE"),
        ({"timeout": "5"}, TypeError, "ERR_INVALID_ARG_TYPE"),
        ({"cache": -1}, ValueError, "ERR_OUT_OF_RANGE"),
        ({"cache": "yes"}, TypeError, "ERR_INVALID_ARG_TYPE"),
        ({"tries": 0}, ValueError, "ERR_OUT_OF_RANGE"),
        ({"tries": 11}, ValueError, "ERR_OUT_OF_RANGE"),
        ({"tries": True}, TypeError, "ERR_INVALID_ARG_TYPE"),
        ({"search": "test"}, TypeError, "ERR_INVALID_ARG_TYPE"),
        ({"search": ["a..b"]}, ValueError, "ERR_INVALID_ARG_VALUE"),
        ({"ndots": 16}, ValueError, "ERR_OUT_OF_RANGE"),
        ({"hosts": 1}, TypeError, "ERR_INVALID_ARG_TYPE"),
    ],
)
def test_bad_options_are_refused_by_name(
    options: dict[str, Any], error: type[Exception], code: str
) -> None:
    [name] = options
    with pytest.raises(error, match=name) as caught:
        Resolver(**options)
    assert caught.value.code == code  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"hostname": b"four.test"}, TypeError),
        ({"family": 5}, ValueError),
        ({"hints": 1 << 30}, ValueError),
        ({"hints": "ALL"}, TypeError),
        ({"all": "yes"}, TypeError),
    ],
)
def test_bad_arguments_of_a_lookup_are_refused(
    server: DNSServer, options: dict[str, Any], error: type[Exception]
) -> None:
    [name] = options
    with pytest.raises(error, match=name):
        resolver_of(server).lookup(**{"hostname": "four.test", **options})
    assert server.asked == []


def test_a_resolver_without_options_has_the_systems_settings() -> None:
    assert Resolver().lookup("127.0.0.1") == ("127.0.0.1", 4)
