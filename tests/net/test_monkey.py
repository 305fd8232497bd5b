"""gnet.monkey: legacy code connects through gnet."""

from __future__ import annotations

import http.client
import socket as std_socket
import sys
from collections.abc import Callable, Iterator
from socket import create_connection
from typing import Any

import gevent
import pytest
from gevent import socket as gevent_socket

import gnet
from gnet import monkey, wsgi
from gnet.errors import IPBlockedError
from tests.conftest import PATCHED
from tests.helpers.blackhole import blackhole
from tests.helpers.peers import python, run
from tests.helpers.servers import echoing, has_ipv6, place_at

ORIGINAL = create_connection.__code__


@pytest.fixture(autouse=True)
def unpatched() -> Iterator[None]:
    yield
    monkey.unpatch()


@pytest.fixture
def port() -> Iterator[int]:
    """An echo server's, at 127.0.0.1."""
    with echoing() as server:
        yield place_at(server)[0]


def resolving(*addresses: str) -> Callable[..., Any]:
    """A lookup hook; ``asked`` are the names that it was asked for."""
    answers = [(each, gnet.is_ip(each)) for each in addresses]

    def lookup(hostname: str, *, all: bool = False, **options: Any) -> Any:
        lookup.asked.append(hostname)  # type: ignore[attr-defined]
        return answers if all else answers[0]

    lookup.asked = []  # type: ignore[attr-defined]
    return lookup


def blocking(*networks: str) -> gnet.BlockList:
    block_list = gnet.BlockList()
    for each in networks:
        address, _, prefix = each.partition("/")
        block_list.add_subnet(address, int(prefix), "ipv6" if ":" in address else "ipv4")
    return block_list


def echoes(sock: Any) -> bool:
    """Whether it is connected to the echo server; closes it."""
    with sock:
        sock.sendall(b"echo")
        return bool(sock.recv(4) == b"echo")


# -- create_connection ----------------------------------------------------------------------------


def test_nothing_is_patched_before_it_is_asked_for() -> None:
    assert not monkey.is_patched()
    program = (
        "import socket, sys; code = socket.create_connection.__code__; "
        "finders = sys.meta_path[:]; import gnet.monkey; "
        "assert code is socket.create_connection.__code__; "
        "assert 'connect' not in vars(socket.socket); assert finders == sys.meta_path"
    )
    assert run(*python(program)).status == 0


@pytest.mark.parametrize(
    "call",
    [
        lambda address: std_socket.create_connection(address),
        lambda address: create_connection(address),
        lambda address: gevent_socket.create_connection(address),
    ],
    ids=["by module", "by an earlier import", "gevent's"],
)
def test_create_connection_connects_through_gnet(call: Callable[..., Any], port: int) -> None:
    lookup = resolving("127.0.0.1")
    with monkey.patch(lookup=lookup):
        assert echoes(call(("some.name", port)))
    assert lookup.asked == ["some.name"]  # type: ignore[attr-defined]
    with pytest.raises(std_socket.gaierror):
        call(("some.name.invalid", port))


def test_the_socket_is_what_the_caller_expects(port: int) -> None:
    monkey.patch()
    with std_socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
        assert isinstance(sock, gevent_socket.socket)
        assert isinstance(sock, std_socket.socket) is PATCHED
        assert sock.gettimeout() == 5
        assert sock.getpeername() == ("127.0.0.1", port)
        assert (sock.family, sock.type) == (std_socket.AF_INET, std_socket.SOCK_STREAM)
    with std_socket.create_connection(("127.0.0.1", port)) as sock:
        assert sock.gettimeout() is None


@pytest.mark.skipif(PATCHED, reason="a thread's socket is gevent's there")
def test_a_thread_without_a_hub_gets_a_plain_socket_and_no_hub(port: int) -> None:
    def in_thread() -> tuple[type, bool, Any]:
        with std_socket.create_connection(("localhost", port), timeout=5) as sock:
            sock.sendall(b"echo")
            return type(sock), sock.recv(4) == b"echo", gevent._hub_local.get_hub_if_exists()

    with monkey.patch():
        assert gevent.get_hub().threadpool.apply(in_thread) == (std_socket.socket, True, None)


def test_the_addresses_are_raced(port: int) -> None:
    lookup = resolving("127.0.0.2", "127.0.0.1")
    with blackhole("127.0.0.2", port), monkey.patch(lookup=lookup):
        assert echoes(std_socket.create_connection(("some.name", port)))
    one_by_one = monkey.patch(lookup=lookup, auto_select_family=False)
    with blackhole("127.0.0.2", port), one_by_one, pytest.raises(TimeoutError):
        std_socket.create_connection(("some.name", port), timeout=0.3)


def test_the_default_timeout_is_the_modules(port: int) -> None:
    monkey.patch()
    before = std_socket.getdefaulttimeout()
    std_socket.setdefaulttimeout(3)
    try:
        with std_socket.create_connection(("127.0.0.1", port)) as sock:
            assert sock.gettimeout() == 3
    finally:
        std_socket.setdefaulttimeout(before)


def test_a_timeout_is_for_all_of_the_connecting() -> None:
    monkey.patch()
    with blackhole() as hole, pytest.raises(TimeoutError, match="^timed out$"):
        std_socket.create_connection((hole.host, hole.port), timeout=0.02)


def test_a_lookup_that_hangs_is_timed_out(port: int) -> None:
    def lookup(hostname: str, **options: Any) -> Any:
        gevent.event.Event().wait()

    monkey.patch(lookup=lookup)
    with pytest.raises(TimeoutError):
        std_socket.create_connection(("some.name", port), timeout=0.02)


@pytest.mark.parametrize(
    ("timeout", "error"), [(0, BlockingIOError), (-1, ValueError)], ids=["zero", "negative"]
)
def test_an_impossible_timeout_fails_as_ever(
    timeout: float, error: type[Exception], port: int
) -> None:
    monkey.patch()
    with pytest.raises(error):
        std_socket.create_connection(("127.0.0.1", port), timeout=timeout)


def test_a_refusal_is_a_refusal() -> None:
    with gevent_socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        monkey.patch(lookup=resolving("127.0.0.1", "127.0.0.2"))
        with pytest.raises(ConnectionRefusedError):
            std_socket.create_connection(("some.name", port))
        if sys.version_info >= (3, 11):
            with pytest.raises(ExceptionGroup) as caught:  # noqa: F821
                std_socket.create_connection(("some.name", port), all_errors=True)
            assert len(caught.value.exceptions) == 2


def test_the_source_address_is_the_callers_or_the_patchs(port: int) -> None:
    monkey.patch(local_address="127.0.0.3")
    with std_socket.create_connection(("127.0.0.1", port)) as sock:
        assert sock.getsockname()[0] == "127.0.0.3"
    for source in ("127.0.0.4", 0), ("localhost", 0):
        with std_socket.create_connection(("127.0.0.1", port), source_address=source) as sock:
            assert sock.getsockname()[0] == source[0].replace("localhost", "127.0.0.1")


def test_a_port_may_be_a_services_name() -> None:
    monkey.patch(lookup=resolving("127.0.0.1"))
    with pytest.raises(OSError, match="refused") as caught:
        std_socket.create_connection(("some.name", "echo"))
    error: Any = caught.value
    assert (error.address, error.port) == ("127.0.0.1", 7)


def test_http_client_is_unchanged_and_cooperative() -> None:
    def hello(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
        start_response("200 OK", [])
        return [b"hello"]

    server = wsgi.WSGIServer(hello)
    server.listen(0, "127.0.0.1")
    with server, monkey.patch(lookup=resolving("127.0.0.1")):
        connection = http.client.HTTPConnection("some.name", place_at(server)[0], timeout=5)
        for _ in range(2):
            connection.request("GET", "/")
            assert connection.getresponse().read() == b"hello"
        connection.close()


# -- the block list -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["127.0.0.1", "some.name", "127.1", "2130706433"])
def test_create_connection_is_kept_from_a_forbidden_address(name: str, port: int) -> None:
    lookup = resolving("127.0.0.1") if name == "some.name" else None
    with monkey.patch(lookup=lookup, block_list=blocking("127.0.0.0/8")):
        with pytest.raises(IPBlockedError) as caught:
            std_socket.create_connection((name, port))
        assert isinstance(caught.value, PermissionError)


def test_what_is_allowed_beside_what_is_forbidden_is_taken(port: int) -> None:
    lookup = resolving("10.0.0.1", "127.0.0.1")
    with monkey.patch(lookup=lookup, block_list=blocking("10.0.0.0/8")):
        assert echoes(std_socket.create_connection(("some.name", port)))


SOCKETS = [
    pytest.param(std_socket.socket, id="socket's"),
    pytest.param(gevent_socket.socket, id="gevent's"),
]


@pytest.mark.parametrize("kind", SOCKETS)
@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "127.1", "2130706433"])
def test_a_socket_that_connects_itself_is_kept_from_it_too(
    kind: type, name: str, port: int
) -> None:
    with monkey.patch(block_list=blocking("127.0.0.0/8")), kind() as sock:
        with pytest.raises(IPBlockedError):
            sock.connect((name, port))
        with pytest.raises(IPBlockedError):
            sock.connect_ex((name, port))


@pytest.mark.skipif(not has_ipv6(), reason="no IPv6 on this machine's loopback")
@pytest.mark.parametrize("address", ["::1", "::ffff:127.0.0.1"])
def test_the_guard_knows_ipv6(address: str, port: int) -> None:
    block_list = blocking("127.0.0.0/8", "::1/128")
    with monkey.patch(block_list=block_list), gevent_socket.socket(std_socket.AF_INET6) as sock:
        with pytest.raises(IPBlockedError):
            sock.connect((address, port))
        with pytest.raises(IPBlockedError):
            sock.connect((address, port, 0, 0))


@pytest.mark.parametrize("kind", SOCKETS)
def test_the_guard_leaves_everything_else_alone(kind: type, port: int) -> None:
    with monkey.patch(block_list=blocking("10.0.0.0/8")):
        with kind() as sock:
            sock.connect(("localhost", port))
            assert sock.getpeername() == ("127.0.0.1", port)
        with kind(std_socket.AF_INET, std_socket.SOCK_DGRAM) as sock:
            sock.connect(("10.0.0.1", 53))
        with kind() as sock, pytest.raises(TypeError):
            sock.connect(1)
        with kind() as sock, pytest.raises((TypeError, ValueError)):
            sock.connect(("localhost",))
        with kind(std_socket.AF_UNIX) as sock, pytest.raises(FileNotFoundError):
            sock.connect("/no/such/path")


def test_a_rule_that_is_added_later_counts(port: int) -> None:
    block_list = gnet.BlockList()
    with monkey.patch(block_list=block_list):
        assert echoes(std_socket.create_connection(("127.0.0.1", port)))
        block_list.add_address("127.0.0.1")
        with pytest.raises(IPBlockedError):
            std_socket.create_connection(("127.0.0.1", port))


# -- patching and unpatching ----------------------------------------------------------------------


def state() -> tuple[Any, ...]:
    kinds = std_socket.socket, gevent_socket.socket
    return (
        create_connection.__code__,
        gevent_socket.create_connection.__code__,
        [
            vars(kind).get(name)
            for kind in kinds
            for name in ("connect", "connect_ex", "sendto", "sendmsg")
        ],
        list(sys.meta_path),
    )


def test_unpatch_leaves_everything_as_it_was() -> None:
    before = state()
    monkey.patch(block_list=gnet.BlockList())
    monkey.patch(local_address="127.0.0.1")
    assert monkey.is_patched()
    assert state() != before
    monkey.unpatch()
    monkey.unpatch()
    assert not monkey.is_patched()
    assert state() == before


def test_patches_nest(port: int) -> None:
    outer, inner = blocking("10.0.0.0/8"), blocking("127.0.0.0/8")
    before = state()
    with monkey.patch(block_list=outer):
        between = state()
        with monkey.patch(block_list=inner), pytest.raises(IPBlockedError):
            std_socket.create_connection(("127.0.0.1", port))
        with monkey.patch(), gevent_socket.socket() as sock:
            sock.connect(("127.0.0.1", port))
        assert state()[:2] == between[:2]
        assert echoes(std_socket.create_connection(("127.0.0.1", port)))
    assert state() == before


def test_patches_may_end_in_any_order(port: int) -> None:
    before = state()
    forbidding, allowing = monkey.patch(block_list=blocking("127.0.0.0/8")), monkey.patch()
    with allowing:
        with forbidding:
            pass
        assert monkey.is_patched()
        assert echoes(std_socket.create_connection(("127.0.0.1", port)))
    assert not monkey.is_patched()
    assert state() == before


def test_unpatch_ends_a_patch_that_is_in_a_with_statement() -> None:
    with monkey.patch():
        with monkey.patch():
            monkey.unpatch()
        assert not monkey.is_patched()
    assert not monkey.is_patched()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"lookup": 1}, TypeError),
        ({"block_list": ["127.0.0.1"]}, TypeError),
        ({"auto_select_family": "yes"}, TypeError),
        ({"local_address": "here"}, ValueError),
        ({"local_address": 1}, TypeError),
    ],
    ids=str,
)
def test_bad_options_are_refused_and_nothing_is_patched(
    options: dict[str, Any], error: type[Exception]
) -> None:
    with pytest.raises(error, match=next(iter(options))):
        monkey.patch(**options)
    assert not monkey.is_patched()


ORDERS = {
    "gevent first": "import gevent.monkey; gevent.monkey.patch_all(); patch()",
    "gnet first": "patch(); import gevent.monkey; gevent.monkey.patch_all()",
    "gevent in between": (
        "patch(); import gevent.monkey; gevent.monkey.patch_all(); gnet.monkey.unpatch(); patch()"
    ),
}
ANY_ORDER = """
import gnet, gnet.monkey

def lookup(hostname, *, all=False, **options):
    return [("127.0.0.1", 4)] if all else ("127.0.0.1", 4)

blocked = gnet.BlockList()
blocked.add_address("127.0.0.2")

def patch():
    gnet.monkey.patch(lookup=lookup, block_list=blocked)

{order}

import gevent.socket, socket
from gnet.errors import IPBlockedError
server = gnet.create_server(lambda sock: sock.pipe(sock)).listen(0, "127.0.0.1")
port = server.address().port
with socket.create_connection(("some.name", port)) as sock:
    assert type(sock) is socket.socket is gevent.socket.socket
    sock.sendall(b"echo")
    assert sock.recv(4) == b"echo"
for attempt in socket.create_connection, socket.socket().connect:
    try:
        attempt(("127.0.0.2", port))
    except IPBlockedError:
        pass
    else:
        raise AssertionError(attempt)
gnet.monkey.unpatch()
try:
    socket.create_connection(("some.name.invalid", port))
except socket.gaierror:
    pass
server.close()
"""


@pytest.mark.parametrize("order", ORDERS)
def test_any_order_with_gevents_patching_will_do(order: str) -> None:
    outcome = run(*python(ANY_ORDER.format(order=ORDERS[order])))
    assert (outcome.status, outcome.complaints.decode()) == (0, "")


REPLACED = """
import socket
from functools import partial
socket.create_connection = partial(socket.create_connection, timeout=3)
import gnet.monkey
try:
    gnet.monkey.patch()
except RuntimeError as error:
    print(error)
"""


def test_what_cannot_be_patched_says_what_to_do() -> None:
    outcome = run(*python(REPLACED))
    assert b"call gnet.monkey.patch() before" in outcome.output
