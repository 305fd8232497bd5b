"""Under gnet.monkey, legacy code meets its errors, its names and its own functions as before."""

from __future__ import annotations

import errno
import os
import socket as std_socket
import sys
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import gevent
import pytest
from gevent import socket as gevent_socket
from gevent.threadpool import ThreadPool

import gnet
from gnet import monkey
from gnet.errors import IPBlockedError
from gnet.monkey import connecting, lookups
from tests.conftest import PATCHED
from tests.helpers.lookups import failing
from tests.helpers.servers import echoing, place_at

Run = Callable[[Callable[[], Any]], Any]

#: gevent's, and the standard library's or what gevent has put in its place.
CALLS = [
    pytest.param(
        lambda *args, **options: std_socket.create_connection(*args, **options), id="socket's"
    ),
    pytest.param(
        lambda *args, **options: gevent_socket.create_connection(*args, **options), id="gevent's"
    ),
]


@pytest.fixture(autouse=True)
def unpatched() -> Iterator[None]:
    yield
    monkey.unpatch()


@pytest.fixture(params=["with a hub", "plain"])
def within(request: pytest.FixtureRequest) -> Run:
    """Runs a function in a thread that has a hub, or in one that has none."""
    if request.param == "with a hub":
        return lambda function: function()
    if PATCHED:
        pytest.skip("every thread that blocks has a hub there")
    return in_a_new_thread


def in_a_new_thread(function: Callable[[], Any]) -> Any:
    """In none that has a hub by an earlier call of gevent's, or keeps the one that it gets."""
    pool = ThreadPool(1)
    try:
        return pool.apply(function)
    finally:
        pool.kill()


@pytest.fixture
def port() -> Iterator[int]:
    """An echo server's, at 127.0.0.1."""
    with echoing() as server:
        yield place_at(server)[0]


@pytest.fixture
def closed() -> Iterator[int]:
    """A port at which nobody listens."""
    with gevent_socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def failure(call: Callable[..., Any], *args: Any, **options: Any) -> Any:
    try:
        call(*args, **options)
    except Exception as exc:
        return exc
    raise AssertionError("it did not fail")


# -- errors ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("call", CALLS)
def test_errors_say_what_the_system_says(call: Any, closed: int, within: Run) -> None:
    monkey.patch()
    error = within(lambda: failure(call, ("127.0.0.1", closed)))
    assert type(error) is ConnectionRefusedError
    assert str(error) == f"[Errno {errno.ECONNREFUSED}] {os.strerror(errno.ECONNREFUSED)}"
    # And has gnet's fields besides.
    assert (error.code, error.syscall) == ("ECONNREFUSED", "connect")
    assert (error.address, error.port) == ("127.0.0.1", closed)


def test_an_address_to_connect_from_that_is_not_ours_says_what_the_system_says(
    port: int, within: Run
) -> None:
    monkey.patch()
    address = ("127.0.0.1", port)
    error = within(
        lambda: failure(std_socket.create_connection, address, source_address=("192.0.2.1", 0))
    )
    assert (error.errno, error.strerror) == (errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))


def test_a_name_that_is_not_found_says_what_the_system_says(within: Run) -> None:
    with pytest.raises(std_socket.gaierror) as before:
        std_socket.getaddrinfo("no-such-name.invalid", 80)
    monkey.patch()
    error = within(lambda: failure(std_socket.create_connection, ("no-such-name.invalid", 80)))
    assert type(error) is std_socket.gaierror
    assert (error.errno, str(error)) == (before.value.errno, str(before.value))
    assert error.hostname == "no-such-name.invalid"
    assert isinstance(error.code, str)


def test_the_error_of_a_lookup_hook_is_passed_on(within: Run) -> None:
    raised = OSError("the hook's own")
    monkey.patch(lookup=failing(raised))
    options = {"all_errors": True} if sys.version_info >= (3, 11) else {}
    error = within(lambda: failure(std_socket.create_connection, ("some.name", 80), **options))
    assert error is raised
    assert str(error) == "the hook's own"


@pytest.mark.skipif(sys.version_info < (3, 11), reason="there are no groups of exceptions")
@pytest.mark.parametrize("call", CALLS)
def test_all_errors_of_one_address_are_a_group_too(call: Any, closed: int, within: Run) -> None:
    def go(*args: Any, **options: Any) -> list[tuple[type, str]]:
        group = within(lambda: failure(call, *args, all_errors=True, **options))
        assert type(group) is ExceptionGroup  # noqa: F821
        assert group.message == "create_connection failed"
        return [(type(each), str(each)) for each in group.exceptions]

    before = go(("127.0.0.1", closed))
    monkey.patch()
    assert go(("127.0.0.1", closed)) == before
    assert [kind for kind, _ in go(("127.0.0.1", closed), timeout=0)] == [BlockingIOError]
    blocked = gnet.BlockList()
    blocked.add_address("127.0.0.1")
    monkey.patch(block_list=blocked)
    assert [kind for kind, _ in go(("127.0.0.1", closed))] == [IPBlockedError]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="there are no groups of exceptions")
def test_a_lookups_error_is_in_no_group(within: Run) -> None:
    monkey.patch()
    address = ("no-such-name.invalid", 80)
    error = within(lambda: failure(std_socket.create_connection, address, all_errors=True))
    assert type(error) is std_socket.gaierror


# -- names ----------------------------------------------------------------------------------------

NO_NAMES = ["t" * 64, "a..b", ".a", "ü" * 64, "ü..b"]


@pytest.mark.parametrize("host", NO_NAMES)
@pytest.mark.parametrize("call", CALLS)
def test_a_name_that_can_be_none_is_a_unicode_error(call: Any, host: str, within: Run) -> None:
    # As it is without: "label empty or too long".
    monkey.patch()
    assert isinstance(within(lambda: failure(call, (host, 80))), UnicodeError)


@pytest.mark.parametrize("host", [*NO_NAMES, "bü-.test", "☃.test", "ü" * 5000])
def test_a_name_that_can_be_none_is_urllib3s_own_error(host: str, within: Run) -> None:
    connection = pytest.importorskip("urllib3.util.connection")
    exceptions = pytest.importorskip("urllib3.exceptions")
    monkey.patch()
    error = within(lambda: failure(connection.create_connection, (host, 80)))
    assert type(error) is exceptions.LocationParseError
    assert str(error) == f"Failed to parse: '{host}', label empty or too long"


@pytest.mark.parametrize("host", ["☃.test", "bü-.test"])
def test_a_name_that_idna_2008_refuses_is_a_unicode_error(host: str, within: Run) -> None:
    monkey.patch()
    assert isinstance(
        within(lambda: failure(std_socket.create_connection, (host, 80))), UnicodeError
    )


def test_a_name_is_asked_for_in_the_form_of_idna_2008(
    port: int, within: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def system(host: str, *args: Any) -> Any:
        asked.append(host)
        return [(std_socket.AF_INET, 1, 6, "", ("127.0.0.1", port))]

    monkeypatch.setattr(lookups, "_system", lambda plain: system)
    monkey.patch()
    within(lambda: std_socket.create_connection(("faß.example", port)).close())
    assert asked == ["xn--fa-hia.example"]


# -- what the program has put in the place of the system's ----------------------------------------


class Pinning:
    """A getaddrinfo() of a program's own; ``asked`` is how it was called."""

    def __init__(self, *answer: Any) -> None:
        self.answer = list(answer)
        self.asked: list[Any] = []

    def __call__(self, *args: Any, **options: Any) -> Any:
        self.asked.append((args, options))
        return self.answer


def place(host: str, port: int, *more: int) -> Any:
    family = std_socket.AF_INET6 if ":" in host else std_socket.AF_INET
    return family, std_socket.SOCK_STREAM, std_socket.IPPROTO_TCP, "", (host, port, *more)


def echoes(sock: Any) -> bool:
    """Whether it is connected to the echo server; closes it."""
    with sock:
        sock.sendall(b"echo")
        return bool(sock.recv(4) == b"echo")


@pytest.mark.parametrize("host", ["pinned.test", "faß.test", "192.0.2.1", "a..b"])
def test_a_getaddrinfo_of_the_programs_own_is_asked(
    host: str, port: int, within: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinning = Pinning(place("127.0.0.1", port))
    monkeypatch.setattr(std_socket, "getaddrinfo", pinning)
    monkey.patch()
    # The port is the answer's as well.
    assert within(lambda: echoes(std_socket.create_connection((host, 1))))
    assert pinning.asked == [((host, 1, 0, std_socket.SOCK_STREAM), {})]


def test_one_that_wraps_the_systems_is_the_programs_own(
    port: int, within: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    import functools

    real = std_socket.getaddrinfo

    @functools.wraps(real)
    def wrapper(host: Any, *args: Any, **options: Any) -> Any:
        return real("127.0.0.1" if host == "pinned.test" else host, *args, **options)

    monkeypatch.setattr(std_socket, "getaddrinfo", wrapper)
    monkey.patch()
    assert within(lambda: echoes(std_socket.create_connection(("pinned.test", port))))


def test_gevents_function_asks_gevents_getaddrinfo(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinning = Pinning(place("127.0.0.1", port))
    monkeypatch.setattr(gevent_socket, "getaddrinfo", pinning)
    monkey.patch()
    assert echoes(gevent_socket.create_connection(("pinned.test", port)))
    assert len(pinning.asked) == 1


def test_urllib3_asks_it_with_its_family(
    port: int, within: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = pytest.importorskip("urllib3.util.connection")
    monkeypatch.setattr(connection, "allowed_gai_family", lambda: std_socket.AF_INET)
    pinning = Pinning(place("127.0.0.1", port))
    monkeypatch.setattr(std_socket, "getaddrinfo", pinning)
    monkey.patch()
    assert within(lambda: echoes(connection.create_connection(("[pinned.test]", port))))
    asked = ("pinned.test", port, std_socket.AF_INET, std_socket.SOCK_STREAM)
    assert pinning.asked == [(asked, {})]


def test_what_it_answers_is_raced_and_asked_about(
    port: int, within: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinning = Pinning(place("10.0.0.1", port), place("localhost", port))
    monkeypatch.setattr(std_socket, "getaddrinfo", pinning)
    blocked = gnet.BlockList()
    blocked.add_subnet("10.0.0.0", 8)
    with monkey.patch(block_list=blocked):
        assert within(lambda: echoes(std_socket.create_connection(("pinned.test", port))))
        blocked.add_address("127.0.0.1")
        error = within(lambda: failure(std_socket.create_connection, ("pinned.test", port)))
        assert type(error) is IPBlockedError


def test_a_lookup_of_the_patch_goes_before_it(
    port: int, within: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinning = Pinning()
    monkeypatch.setattr(std_socket, "getaddrinfo", pinning)
    monkey.patch(lookup=lambda name, **options: [("127.0.0.1", 4)] if options["all"] else None)
    assert within(lambda: echoes(std_socket.create_connection(("pinned.test", port))))
    assert pinning.asked == []


@pytest.mark.parametrize("answer", [[], [(std_socket.AF_UNIX, 1, 0, "", "/path")]])
def test_an_empty_answer_says_so(
    answer: Any, within: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(std_socket, "getaddrinfo", Pinning(*answer))
    monkey.patch()
    error = within(lambda: failure(std_socket.create_connection, ("pinned.test", 80)))
    assert (type(error), str(error)) == (OSError, "getaddrinfo returns an empty list")


def test_what_it_raises_is_what_the_caller_gets(
    within: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    raised = RuntimeError("no network in tests")
    monkeypatch.setattr(std_socket, "getaddrinfo", mock.Mock(side_effect=raised))
    monkey.patch()
    error = within(lambda: failure(std_socket.create_connection, ("pinned.test", 80)))
    assert error is raised


def test_one_that_hangs_is_timed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(std_socket, "getaddrinfo", lambda *args: gevent.event.Event().wait())
    monkey.patch()
    error = failure(std_socket.create_connection, ("pinned.test", 80), timeout=0.02)
    assert (type(error), str(error)) == (TimeoutError, "timed out")
    other = gevent.Timeout(0.02)
    with pytest.raises(gevent.Timeout) as caught, other:
        std_socket.create_connection(("pinned.test", 80), timeout=20)
    assert caught.value is other


def test_a_zone_of_an_answer_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(std_socket, "getaddrinfo", Pinning(place("fe80::1", 80, 0, 4294967)))
    tried: list[Any] = []
    monkeypatch.setattr(connecting, "_dial", lambda goal, *rest: tried.append(goal) or mock.Mock())
    monkey.patch()
    std_socket.create_connection(("pinned.test", 80))
    assert tried[0].options["lookup"]("pinned.test") == ("fe80::1%4294967", 6)


@pytest.mark.parametrize("base", [std_socket.socket, gevent_socket.socket])
def test_a_socket_class_of_the_programs_own_connects_itself(
    base: Any, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Proxied(base):  # type: ignore[misc]
        def connect(self, address: Any) -> Any:
            return super().connect(("127.0.0.1", port))

    # What gevent's function, which is socket's there, looks at.
    monkeypatch.setattr(gevent_socket if PATCHED else std_socket, "socket", Proxied)
    with monkey.patch():
        with std_socket.create_connection(("192.0.2.1", 80), timeout=5) as sock:
            assert isinstance(sock, Proxied)
        if sys.version_info >= (3, 11):
            std_socket.create_connection(("192.0.2.1", 80), timeout=5, all_errors=True).close()
    blocked = gnet.BlockList()
    blocked.add_address("127.0.0.1")
    with monkey.patch(block_list=blocked), pytest.raises(IPBlockedError):
        std_socket.create_connection(("192.0.2.1", 80), timeout=5)


def test_urllib3s_function_connects_by_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    connection = pytest.importorskip("urllib3.util.connection")
    made = mock.Mock()
    scoped = ("a::b", 80, 0, 42)
    monkeypatch.setattr(std_socket, "socket", mock.Mock(return_value=made))
    pinning = Pinning((std_socket.AF_INET6, 1, 6, "", scoped))
    monkeypatch.setattr(std_socket, "getaddrinfo", pinning)
    with monkey.patch():
        assert connection.create_connection(("a::b%iface", 80), socket_options=[(6, 1, 1)]) is made
    made.connect.assert_called_once_with(scoped)
    made.setsockopt.assert_called_once_with(6, 1, 1)


# -- further doors --------------------------------------------------------------------------------


KINDS = [
    pytest.param(std_socket.socket, id="socket's"),
    pytest.param(gevent_socket.socket, id="gevent's"),
]
FASTOPEN = getattr(std_socket, "MSG_FASTOPEN", 0x20000000)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.1", b"127.0.0.1"])
def test_sending_to_a_forbidden_address_does_not_connect(kind: Any, host: Any, port: int) -> None:
    blocked = gnet.BlockList()
    blocked.add_subnet("127.0.0.0", 8)
    with monkey.patch(block_list=blocked), kind() as sock:
        for send in (
            lambda: sock.sendto(b"x", FASTOPEN, (host, port)),
            lambda: sock.sendto(b"x", (host, port)),
            lambda: sock.sendmsg([b"x"], [], FASTOPEN, (host, port)),
        ):
            with pytest.raises(IPBlockedError):
                send()
        with pytest.raises(OSError, match="connected"):
            sock.getpeername()


@pytest.mark.parametrize("kind", KINDS)
def test_sending_is_otherwise_as_ever(kind: Any) -> None:
    blocked = gnet.BlockList()
    blocked.add_subnet("10.0.0.0", 8)
    with monkey.patch(block_list=blocked):
        with kind() as sock, std_socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            sock.connect(("127.0.0.1", port))
            sock.sendmsg([b"ec"])
            sock.sendmsg([b"h"], [], 0)
            sock.sendmsg([b"o"], [], 0, None)
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.recv(4, std_socket.MSG_WAITALL) == b"echo"
            for args in (), (b"x",), (b"x", 0, ("127.0.0.1", port), 4):
                with pytest.raises(TypeError):
                    sock.sendto(*args)
            with pytest.raises(TypeError):
                sock.sendto(b"x", None)
        with kind(std_socket.AF_INET, std_socket.SOCK_DGRAM) as datagrams:
            datagrams.bind(("127.0.0.1", 0))
            blocked.add_address("127.0.0.1")
            # Datagrams make no connection.
            datagrams.sendto(b"x", datagrams.getsockname())
            assert datagrams.recv(1) == b"x"


@pytest.mark.skipif(sys.platform != "linux", reason="Linux sends with the first packet")
@pytest.mark.parametrize("kind", KINDS)
def test_a_fast_open_to_an_allowed_address_connects(kind: Any) -> None:
    blocked = gnet.BlockList()
    blocked.add_subnet("10.0.0.0", 8)
    listener = std_socket.create_server(("127.0.0.1", 0))
    with monkey.patch(block_list=blocked), kind() as sock, listener:
        try:
            sock.sendto(b"echo", FASTOPEN, ("localhost", listener.getsockname()[1]))
        except OSError as exc:
            # It is not to be had here, or under way.
            if exc.errno not in (errno.EOPNOTSUPP, errno.EINPROGRESS, errno.EPIPE):
                raise
        else:
            accepted, _ = listener.accept()
            with accepted:
                assert accepted.recv(4, std_socket.MSG_WAITALL) == b"echo"
