"""Server: what it listens to, its options, its end."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import stat
import struct
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import gevent
import pytest
from gevent import monkey, socket, subprocess
from gevent.event import AsyncResult, Event
from gevent.queue import Queue

import gnet
from tests.helpers.counts import descriptors
from tests.helpers.servers import on_one_port, port_of, raw_bound

if TYPE_CHECKING:
    from tests.helpers.calls import Call, Calls
    from tests.net.conftest import Net

# The one of gevent's, where it is patched in, closes only when the loop next looks for events.
close = monkey.get_original("os", "close")

# An address of TEST-NET-3 (RFC 5737), which this host does not have.
NOT_MINE = "203.0.113.7"


def greets(sock: gnet.Socket) -> None:
    sock.end(b"hello")


@pytest.fixture
def server(tcp: Net) -> gnet.Server:
    """A server that greets, and that does not listen yet."""
    return tcp.keep(gnet.Server(greets))  # type: ignore[no-any-return]


def answer(address: Any) -> bytes:
    """What the server at ``address`` says to one who connects."""
    if isinstance(address, gnet.AddressInfo):
        family = socket.AF_INET6 if address.family == "IPv6" else socket.AF_INET
        address = (
            {"::": "::1", "0.0.0.0": "127.0.0.1"}.get(address.address, address.address),
            (address.port),
        )
    else:
        family = socket.AF_UNIX
    with socket.socket(family) as peer:
        peer.connect(address)
        return read_all(peer)


def read_all(peer: Any) -> bytes:
    found = b""
    while data := peer.recv(65536):
        found += data
    return found


def unread(fd: int) -> int:
    """How many bytes stand in the kernel for a descriptor."""
    import array
    import fcntl
    import termios

    count = array.array("i", [0])
    fcntl.ioctl(fd, termios.FIONREAD, count)
    return count[0]


def run_python(text: str, *prefix: str, **options: Any) -> str:
    """Run a program in an interpreter of its own, and give what it printed."""
    command = [*prefix, sys.executable, "-c", textwrap.dedent(text)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
    assert done.returncode == 0, done.stdout.decode()
    return done.stdout.decode()


# -- what it listens to --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "options"),
    [
        ((0, "127.0.0.1"), {}),
        (("0", "127.0.0.1"), {}),
        ((("127.0.0.1", 0),), {}),
        ((), {"port": 0, "host": "127.0.0.1"}),
        ((), {"port": "0", "host": "127.0.0.1"}),
        ((), {"port": "0x0", "host": "127.0.0.1"}),
        ((0,), {"host": "127.0.0.1"}),
        ((0, "localhost"), {}),
        ((0, "127.0.0.1", 16), {}),
        ((0, "127.0.0.1"), {"backlog": 16, "exclusive": True}),
        ((("::1", 0),), {}),
        ((0, "::1"), {}),
        ((0, None), {}),
        ((0,), {}),
        ((), {}),
    ],
    ids=repr,
)
def test_listening_to_a_port(server: gnet.Server, args: Any, options: Any) -> None:
    assert server.listen(*args, **options) is server
    assert server.listening
    address = server.address()
    assert isinstance(address, gnet.AddressInfo)
    assert address.port > 0
    assert answer(address) == b"hello"


@pytest.mark.parametrize("form", ["str", "PathLike", "keyword", "keyword PathLike", "backlog"])
def test_listening_to_a_path(server: gnet.Server, directory: Path, form: Any) -> None:
    path = directory / "echo.sock"
    {
        "str": lambda: server.listen(str(path)),
        "PathLike": lambda: server.listen(path),
        "keyword": lambda: server.listen(path=str(path)),
        "keyword PathLike": lambda: server.listen(path=path),
        "backlog": lambda: server.listen(str(path), 16),
    }[form]()
    assert server.listening
    assert server.address() == str(path)
    assert answer(str(path)) == b"hello"


def test_the_port_goes_before_the_path_where_both_are_given(
    server: gnet.Server, directory: Path
) -> None:
    server.listen(port=0, host="127.0.0.1", path=str(directory / "ignored.sock"))
    assert isinstance(server.address(), gnet.AddressInfo)
    assert list(directory.iterdir()) == []


def bound(directory: Path, kind: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX if kind == "unix" else socket.AF_INET)
    sock.bind(str(directory / "bound.sock") if kind == "unix" else ("127.0.0.1", 0))
    return sock


@pytest.mark.parametrize("kind", ["ipv4", "unix"])
@pytest.mark.parametrize("listening", [False, True])
def test_listening_to_a_bound_socket(
    server: gnet.Server, directory: Path, kind: Any, listening: Any
) -> None:
    sock = bound(directory, kind)
    if listening:
        sock.listen(5)
    place = sock.getsockname()
    server.listen(sock)
    address = server.address()
    assert address == (place if kind == "unix" else (place[0], "IPv4", place[1]))
    assert answer(address) == b"hello"


def test_listening_to_a_socket_of_the_standard_library(server: gnet.Server) -> None:
    import _socket

    sock = _socket.socket(_socket.AF_INET, _socket.SOCK_STREAM)
    sock.bind(("127.0.0.1", 0))
    port = sock.getsockname()[1]
    server.listen(sock)
    assert server.address().port == port
    assert answer(server.address()) == b"hello"


class WithFd:
    def __init__(self, fd: int) -> None:
        self.fd = fd


class WithFileno:
    def __init__(self, fd: int) -> None:
        self._fd = fd

    def fileno(self) -> int:
        return self._fd


@pytest.mark.parametrize("form", ["object with fd", "object with fileno()", "keyword"])
@pytest.mark.parametrize("kind", ["ipv4", "unix"])
def test_listening_to_a_descriptor(
    server: gnet.Server, directory: Path, form: Any, kind: Any
) -> None:
    sock = bound(directory, kind)
    place = sock.getsockname()
    fd = sock.detach()
    if form == "keyword":
        server.listen(fd=fd)
    else:
        server.listen(WithFd(fd) if form == "object with fd" else WithFileno(fd))
    address = server.address()
    assert (address if kind == "unix" else address.port) == (place if kind == "unix" else place[1])
    assert answer(address) == b"hello"


def test_listening_to_another_server_shares_its_port(tcp: Net, must_call: Calls) -> None:
    seen: Queue[str] = Queue()

    def listener(name: str) -> Callable[[gnet.Socket], None]:
        return lambda sock: (seen.put(name), sock.destroy())

    one = tcp.server(listener("one"))
    two = tcp.keep(gnet.Server(listener("two")))
    two.listen(one)
    assert two.listening
    assert two.address() == one.address()
    one.close()
    one.wait_closed(5)
    assert two.listening
    tcp.peer(two)
    assert seen.get() == "two"


@pytest.mark.parametrize("kind", ["ipv4", "unix"])
def test_closing_a_server_that_listens_to_anothers_place_leaves_that_one_listening(
    tcp: Net, directory: Path, kind: Any
) -> None:
    one = tcp.keep(gnet.Server(greets))
    one.listen(*((0, "127.0.0.1") if kind == "ipv4" else (str(directory / "one.sock"),)))
    two = gnet.Server(greets).listen(one)
    two.close()
    two.wait_closed(5)
    assert answer(one.address()) == b"hello"


def test_a_descriptor_that_is_no_listening_place_is_an_error_with_a_code(
    server: gnet.Server,
) -> None:
    read, write = os.pipe()
    try:
        with pytest.raises((OSError, TypeError, ValueError)) as caught:
            server.listen(fd=read)
        assert isinstance(caught.value.code, str)
        assert not server.listening
    finally:
        close(write)
        with contextlib.suppress(OSError):
            close(read)


def test_a_descriptor_that_is_not_open_is_ebadf(server: gnet.Server) -> None:
    fd = os.dup(0)
    close(fd)
    with pytest.raises(OSError) as caught:
        server.listen(fd=fd)
    assert caught.value.code == "EBADF"
    server.listen(0, "127.0.0.1")
    assert server.listening


# -- the listener, by its position ---------------------------------------------------------


@pytest.mark.parametrize(
    "form",
    [
        lambda server, f: server.listen(f),
        lambda server, f: server.listen(0, f),
        lambda server, f: server.listen(0, "127.0.0.1", f),
        lambda server, f: server.listen(0, "127.0.0.1", 16, f),
        lambda server, f: server.listen(("127.0.0.1", 0), f),
        lambda server, f: server.listen(0, listening_listener=f),
        lambda server, f: server.listen(port=0, listening_listener=f),
    ],
    ids=["(f)", "(port,f)", "(port,host,f)", "(port,host,backlog,f)", "(tuple,f)", "kw", "kws"],
)
def test_a_callable_is_the_listener_wherever_it_may_stand(
    server: gnet.Server, must_call: Calls, form: Any
) -> None:
    listener = must_call()
    form(server, listener)
    assert listener.count == 0
    must_call.wait()
    assert listener.args == ()
    assert server.listening


def test_a_callable_behind_a_path_is_the_listener(
    server: gnet.Server, directory: Path, must_call: Calls
) -> None:
    server.listen(str(directory / "a.sock"), must_call())
    must_call.wait()
    server.close()
    server.listen(str(directory / "b.sock"), 16, must_call())
    must_call.wait()


def test_the_listening_listener_is_for_one_listen_only(
    server: gnet.Server, must_call: Calls
) -> None:
    server.listen(0, "127.0.0.1", must_call())
    must_call.wait()
    server.close()
    server.wait_closed(5)
    server.listen(0, "127.0.0.1")
    server.wait("listening", 5)


def test_the_listener_of_a_failed_listen_is_not_called_by_a_later_one(
    tcp: Net, server: gnet.Server, must_not_call: Callable[..., Call], must_call: Calls
) -> None:
    other = tcp.server()
    port = other.address().port
    server.on("error", must_call())
    server.listen(port, "127.0.0.1", must_not_call())
    must_call.wait()
    server.listen(0, "127.0.0.1")
    server.wait("listening", 5)
    tcp.turns()


# -- options -------------------------------------------------------------------------------


def listen_backlog(sock: Any) -> int:
    """The length of the queue of a listening TCP socket: Linux tells it as tcpi_sacked."""
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 32)
    return int(struct.unpack_from("I", info, 28)[0])


@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux' TCP_INFO")
@pytest.mark.parametrize(
    ("args", "options", "expected"),
    [
        ((), {}, 511),
        ((None, 7), {}, 7),
        ((7,), {}, 7),
        ((), {"backlog": 9}, 9),
        ((), {"backlog": 0}, 0),
    ],
)
def test_backlog_is_the_length_of_the_queue(
    tcp: Net, directory: Path, args: Any, options: Any, expected: Any
) -> None:
    sock = bound(directory, "ipv4")
    with sock.dup() as looking:
        server = tcp.keep(gnet.Server())
        server.listen(sock, *args, **options)
        limit = int(Path("/proc/sys/net/core/somaxconn").read_text())
        assert listen_backlog(looking) == min(expected, limit)


def test_a_port_without_a_host_is_both_families_port(server: gnet.Server) -> None:
    server.listen(0)
    address = server.address()
    assert address.address == "::"
    assert address.family == "IPv6"
    for host in ("127.0.0.1", "::1"):
        with socket.create_connection((host, address.port)) as peer:
            assert read_all(peer) == b"hello"


def test_a_client_over_ipv4_has_a_mapped_address_at_a_server_of_both_families(tcp: Net) -> None:
    arrivals: Queue[gnet.Socket] = Queue()
    server = tcp.keep(gnet.Server(arrivals.put)).listen(0)
    with socket.create_connection(("127.0.0.1", server.address().port)):
        sock = arrivals.get()
        assert sock.remote_address == "::ffff:127.0.0.1"
        assert sock.remote_family == "IPv6"
        sock.destroy()


@pytest.mark.parametrize("host", ["::", None])
def test_ipv6_only_does_not_take_ipv4(host: Any) -> None:
    with on_one_port(
        # Nobody else has the port on IPv4 then.
        lambda port: raw_bound((port, "127.0.0.1")),
        lambda port: gnet.create_server(greets).listen(port, host, ipv6_only=True),
    ) as (bound, _):
        port = port_of(bound)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port))
        with socket.create_connection(("::1", port)) as peer:
            assert read_all(peer) == b"hello"


def test_ipv6_only_leaves_the_port_to_a_server_on_ipv4() -> None:
    with on_one_port(
        lambda port: gnet.create_server().listen(port, "::", ipv6_only=True),
        lambda port: gnet.create_server().listen(port, "0.0.0.0"),
    ) as servers:
        assert [server.listening for server in servers] == [True, True]


WITHOUT_IPV6 = """
    import ctypes, platform, struct, sys

    # A filter of system calls: socket(AF_INET6, ...) fails with EAFNOSUPPORT.
    number = {"x86_64": 41, "aarch64": 198}[platform.machine()]
    code = [(0x20, 0, 0, 0), (0x15, 0, 3, number), (0x20, 0, 0, 16), (0x15, 0, 1, 10),
            (0x06, 0, 0, 0x50000 | 97), (0x06, 0, 0, 0x7FFF0000)]
    text = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *each) for each in code))
    libc = ctypes.CDLL(None, use_errno=True)

    class Program(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

    program = Program(len(code), ctypes.addressof(text))
    if libc.prctl(38, 1, 0, 0, 0) or libc.prctl(22, 2, ctypes.byref(program), 0, 0):
        print("no filters"); sys.exit()
    import socket
    try:
        socket.socket(socket.AF_INET6)
    except OSError:
        pass
    else:
        print("no filters"); sys.exit()

    import gnet
    server = gnet.Server()
    server.listen(0)
    assert server.address().address == "0.0.0.0", server.address()
    with socket.create_connection(("127.0.0.1", server.address().port)):
        pass
    for options in ({"host": "::"}, {"ipv6_only": True}):
        other = gnet.Server()
        try:
            other.listen(0, **options)
        except OSError as exc:
            assert exc.code == "EAFNOSUPPORT", exc
        else:
            assert options != {"host": "::"}, "an address that was asked for is not replaced"
            other.close()
    server.close()
    assert gnet.run(5)
    print("fell back")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="filters Linux' system calls")
def test_without_ipv6_a_port_without_a_host_is_ipv4s() -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, sys.path))}
    said = run_python(WITHOUT_IPV6, env=environment).strip()
    if said == "no filters":
        pytest.skip("the system calls cannot be filtered here")
    assert said == "fell back"


@pytest.mark.skipif(not hasattr(socket, "SO_REUSEPORT"), reason="there is no SO_REUSEPORT")
def test_reuse_port_lets_two_servers_have_one_port(tcp: Net) -> None:
    one = tcp.keep(gnet.Server(greets)).listen(0, "127.0.0.1", reuse_port=True)
    port = one.address().port
    two = tcp.keep(gnet.Server(greets)).listen(port, "127.0.0.1", reuse_port=True)
    assert two.address() == one.address()
    one.close()
    one.wait_closed(5)
    assert answer(two.address()) == b"hello"


def test_without_reuse_port_the_second_server_is_refused(tcp: Net) -> None:
    one = tcp.keep(gnet.Server(greets)).listen(0, "127.0.0.1", reuse_port=True)
    with pytest.raises(OSError, match="EADDRINUSE"):
        gnet.Server().listen(one.address().port, "127.0.0.1")


def test_a_port_can_be_listened_to_again_while_old_connections_linger(
    tcp: Net, server: gnet.Server
) -> None:
    server.listen(0, "127.0.0.1")
    port = server.address().port
    # The server ends first, so its side goes to TIME_WAIT.
    assert answer(server.address()) == b"hello"
    server.close()
    server.wait_closed(5)
    server.listen(port, "127.0.0.1")
    assert server.listening


SIGNALS: list[Callable[[], tuple[Any, Callable[[], object]]]] = [
    lambda: (lambda e: (e, e.set))(Event()),
    lambda: (lambda r: (r, lambda: r.set(None)))(AsyncResult()),
    lambda: (lambda e: (gevent.spawn(e.wait), e.set))(Event()),
]


@pytest.mark.parametrize("make", SIGNALS, ids=["Event", "AsyncResult", "Greenlet"])
def test_a_signal_closes_the_server(
    server: gnet.Server, must_call: Calls, must_not_call: Callable[..., Call], make: Any
) -> None:
    signal, abort = make()
    server.on("close", must_call())
    server.on("error", must_not_call())
    server.listen(0, "127.0.0.1", signal=signal)
    server.wait("listening", 5)
    abort()
    must_call.wait()
    assert not server.listening


def test_a_signal_that_was_there_before_closes_the_server_at_once(
    server: gnet.Server, must_call: Calls, must_not_call: Callable[..., Call]
) -> None:
    signal = Event()
    signal.set()
    server.on("close", must_call())
    server.on("error", must_not_call())
    server.listen(0, "127.0.0.1", signal=signal)
    must_call.wait()
    assert not server.listening


def test_a_signal_of_an_earlier_listen_does_not_close_a_later_one(
    tcp: Net, server: gnet.Server
) -> None:
    signal = Event()
    server.listen(0, "127.0.0.1", signal=signal)
    server.close()
    server.wait_closed(5)
    server.listen(0, "127.0.0.1")
    signal.set()
    tcp.turns()
    assert server.listening


# -- what fails ----------------------------------------------------------------------------


@pytest.fixture
def unprivileged() -> Iterator[None]:
    """Not root, for the time of a test."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def in_use(tcp: Net, directory: Path) -> tuple[tuple[Any, ...], dict[str, Any]]:
    address = tcp.server().address()
    return (address.port, address.address), {
        "code": "EADDRINUSE",
        "errno": errno.EADDRINUSE,
        "syscall": "listen",
        "address": address.address,
        "port": address.port,
    }


def path_in_use(tcp: Net, directory: Path) -> tuple[tuple[Any, ...], dict[str, Any]]:
    path = str(directory / "used.sock")
    tcp.keep(gnet.Server()).listen(path)
    return (path,), {
        "code": "EADDRINUSE",
        "errno": errno.EADDRINUSE,
        "syscall": "listen",
        "address": path,
    }


def not_mine(tcp: Net, directory: Path) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return (0, NOT_MINE), {
        "code": "EADDRNOTAVAIL",
        "syscall": "listen",
        "address": NOT_MINE,
        "port": 0,
    }


def too_long(tcp: Net, directory: Path) -> tuple[tuple[Any, ...], dict[str, Any]]:
    path = str(directory / ("x" * 120))
    return (path,), {"code": "EINVAL", "errno": errno.EINVAL, "address": path}


def no_directory(tcp: Net, directory: Path) -> tuple[tuple[Any, ...], dict[str, Any]]:
    path = str(directory / "none" / "a.sock")
    return (path,), {"syscall": "listen", "address": path}


def no_such_host(tcp: Net, directory: Path) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return (0, f"{'x' * 64}.test"), {"code": "ENOTFOUND", "hostname": f"{'x' * 64}.test"}


FAILURES = [in_use, path_in_use, not_mine, too_long, no_directory, no_such_host]


@pytest.mark.parametrize("failure", FAILURES)
def test_a_listen_that_fails_raises_where_nobody_hears_the_error(
    tcp: Net, directory: Path, server: gnet.Server, failure: Any, must_call: Calls
) -> None:
    args, fields = failure(tcp, directory)
    before = descriptors()
    with pytest.raises(OSError) as caught:
        server.listen(*args)
    check_failure(caught.value, fields)
    assert descriptors() == before
    assert not server.listening
    assert server.address() is None
    # It can be called again.
    server.listen(0, "127.0.0.1", must_call())
    assert answer(server.address()) == b"hello"


@pytest.mark.parametrize("failure", FAILURES)
def test_a_listen_that_fails_emits_the_error_where_it_is_heard(
    tcp: Net,
    directory: Path,
    server: gnet.Server,
    failure: Any,
    must_call: Calls,
    must_not_call: Callable[..., Call],
) -> None:
    args, fields = failure(tcp, directory)
    before = descriptors()
    heard = must_call()
    server.on("error", heard)
    server.on("listening", must_not_call())
    server.on("close", must_not_call())
    assert server.listen(*args) is server
    assert heard.count == 0
    must_call.wait()
    check_failure(heard.args[0], fields)
    assert descriptors() == before
    assert not server.listening
    server.remove_all_listeners()
    server.on("connection", greets)
    server.listen(0, "127.0.0.1")
    assert answer(server.address()) == b"hello"


def check_failure(error: OSError, fields: dict[str, Any]) -> None:
    for name, value in fields.items():
        assert getattr(error, name) == value, name
    message = str(error)
    assert error.code in message
    if "port" in fields:
        # Node's form, with the system's words between the code and the place.
        assert f"listen {fields['code']}: " in message
        assert message.endswith(f" {fields['address']}:{fields['port']}")
    elif "address" in fields:
        assert fields["address"] in message
    if fields.get("code") == "EINVAL":
        assert "107" in message or "103" in message or "108" in message
    if "hostname" in fields:
        assert isinstance(error, socket.gaierror)


def test_a_listener_that_is_attached_after_a_failed_listen_would_be_too_late(
    tcp: Net, server: gnet.Server
) -> None:
    port = tcp.server().address().port
    with pytest.raises(OSError, match="EADDRINUSE"):
        server.listen(port, "127.0.0.1")


def test_a_port_of_the_privileged_is_eacces(server: gnet.Server, unprivileged: None) -> None:
    first = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if first < 2:
        pytest.skip("every port is everybody's")
    with pytest.raises(
        PermissionError, match="listen EACCES: permission denied 127.0.0.1:1"
    ) as caught:
        server.listen(1, "127.0.0.1")
    assert caught.value.code == "EACCES"
    assert caught.value.port == 1
    server.listen(0, "127.0.0.1")
    assert server.listening


def test_a_path_in_a_directory_of_somebody_else_is_eacces(
    server: gnet.Server, directory: Path, request: pytest.FixtureRequest
) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root, to make a directory that is not ours")
    request.getfixturevalue("unprivileged")
    path = str(directory / "a.sock")
    with pytest.raises(PermissionError, match="listen EACCES") as caught:
        server.listen(path)
    assert caught.value.code == "EACCES"
    assert caught.value.address == path


def test_listening_twice_is_an_error_even_where_errors_are_heard(
    server: gnet.Server, must_not_call: Callable[..., Call]
) -> None:
    server.on("error", must_not_call())
    server.listen(0, "127.0.0.1")
    address = server.address()
    with pytest.raises(Exception, match="more than once") as caught:
        server.listen(0, "127.0.0.1")
    assert caught.value.code == "ERR_SERVER_ALREADY_LISTEN"
    assert server.address() == address
    assert answer(address) == b"hello"


# -- address, listening, close -------------------------------------------------------------


def test_bound_is_bound(server: gnet.Server, must_call: Calls) -> None:
    assert server.address() is None
    assert not server.listening
    server.on("listening", must_call(lambda: addresses.append(server.address())))
    addresses = []
    server.listen(0, "127.0.0.1")
    assert server.listening
    address = server.address()
    assert address == ("127.0.0.1", "IPv4", address.port)
    must_call.wait()
    assert addresses == [address]
    server.close()
    assert not server.listening
    assert server.address() is None


def test_address_names_its_parts() -> None:
    with gnet.Server().listen(0, "::1") as server:
        address = server.address()
        assert (address.address, address.family) == ("::1", "IPv6")
        assert isinstance(address.port, int)


def test_listening_comes_after_listen_has_returned(server: gnet.Server, must_call: Calls) -> None:
    server.listen(0, "127.0.0.1")
    server.on("listening", must_call())
    must_call.wait()


def test_listen_and_close_in_one_turn_emit_no_listening(
    tcp: Net, server: gnet.Server, must_call: Calls, must_not_call: Callable[..., Call]
) -> None:
    server.on("listening", must_not_call())
    server.on("close", must_call())
    server.listen(0, "127.0.0.1")
    server.close()
    must_call.wait()
    tcp.turns()


def test_close_returns_the_server_and_calls_back_without_an_error(
    server: gnet.Server, must_call: Calls
) -> None:
    server.listen(0, "127.0.0.1")
    called = must_call()
    assert server.close(called) is server
    assert called.count == 0
    must_call.wait()
    assert called.args in ((), (None,))


def test_closing_what_is_not_open_tells_the_callback(
    server: gnet.Server, must_call: Calls
) -> None:
    called = must_call()
    server.close(called)
    assert called.count == 0
    must_call.wait()
    (error,) = called.args
    assert error.code == "ERR_SERVER_NOT_RUNNING"


def test_closing_twice_tells_the_second_callback(server: gnet.Server, must_call: Calls) -> None:
    server.listen(0, "127.0.0.1")
    first, second = must_call(), must_call()
    server.close(first)
    server.close(second)
    must_call.wait()
    assert first.args in ((), (None,))
    assert second.args[0].code == "ERR_SERVER_NOT_RUNNING"


def test_close_stops_accepting_at_once_and_keeps_what_is_connected(tcp: Net) -> None:
    sock, peer = tcp.accepted()
    server = next(each for each in tcp._made if isinstance(each, gnet.Server))
    address = server.address()
    closed = Event()
    server.close(lambda *_: closed.set())
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.address, address.port))
    peer.sendall(b"still")
    assert sock.recv() == b"still"
    tcp.turns()
    assert not closed.is_set()
    assert server.connections == {sock}
    sock.destroy()
    assert closed.wait(5)
    assert server.connections == frozenset()


def test_close_is_emitted_after_the_last_connections_close(tcp: Net) -> None:
    order: list[str] = []
    sock, _ = tcp.accepted()
    server = next(each for each in tcp._made if isinstance(each, gnet.Server))
    sock.on("close", lambda had_error: order.append("connection"))
    server.on("close", lambda: order.append("server"))
    server.close()
    sock.destroy()
    server.wait_closed(5)
    tcp.turns()
    assert order == ["connection", "server"]


def test_a_closed_server_listens_again_even_before_close_has_been_emitted(
    server: gnet.Server,
) -> None:
    server.listen(0, "127.0.0.1")
    server.close()
    server.listen(0, "127.0.0.1")
    assert server.listening
    assert answer(server.address()) == b"hello"


def test_a_server_may_be_closed_by_its_connection_listener(tcp: Net, must_call: Calls) -> None:
    def only(sock: gnet.Socket) -> None:
        server.close()
        sock.end(b"last")

    server = tcp.server(only)
    server.on("close", must_call())
    assert answer(server.address()) == b"last"
    must_call.wait()


# -- connections ---------------------------------------------------------------------------


def test_connections_is_a_frozenset_of_the_open_ones(net: Net) -> None:
    server = net.server()
    assert server.connections == frozenset()
    assert isinstance(server.connections, frozenset)
    peers = [net.peer(server) for _ in range(3)]
    while len(server.connections) < 3:
        server.wait("connection", 5)
    assert all(isinstance(each, gnet.Socket) for each in server.connections)
    held = server.connections
    for peer in peers:
        peer.close()
    for each in held:
        each.destroy()
        each.wait("close", 5)
    assert server.connections == frozenset()
    assert len(held) == 3


def test_get_connections_returns_their_number(tcp: Net) -> None:
    tcp.accepted()
    server = next(each for each in tcp._made if isinstance(each, gnet.Server))
    assert server.get_connections() == 1


def test_get_connections_calls_back(tcp: Net, must_call: Calls) -> None:
    tcp.accepted()
    server = next(each for each in tcp._made if isinstance(each, gnet.Server))
    called = must_call()
    assert server.get_connections(called) is server
    assert called.count == 0
    must_call.wait()
    assert called.args == (None, 1)


def test_a_connection_knows_its_addresses(tcp: Net) -> None:
    sock, peer = tcp.accepted()
    assert (sock.remote_address, sock.remote_port) == peer.getsockname()
    assert (sock.local_address, sock.local_port) == peer.getpeername()
    assert sock.remote_family == sock.local_family == "IPv4"
    assert sock.address() == (sock.local_address, "IPv4", sock.local_port)


def test_one_connection_more_than_max_connections_is_dropped(tcp: Net, must_call: Calls) -> None:
    server = tcp.server()
    server.max_connections = 1
    dropped = must_call()
    server.on("drop", dropped)
    first = tcp.peer(server)
    sock = server.wait("connection", 5)[0] if not server.connections else set(server.connections)
    second = tcp.peer(server)
    must_call.wait()
    (info,) = dropped.args
    local, remote = second.getpeername(), second.getsockname()
    assert (info.local_address, info.local_port, info.local_family) == (*local, "IPv4")
    assert (info.remote_address, info.remote_port, info.remote_family) == (*remote, "IPv4")
    assert ends(second)
    assert len(server.connections) == 1
    assert sock
    first.close()


def ends(peer: Any) -> bool:
    """Whether the peer is at its end, by a FIN or by a reset, with nothing before."""
    try:
        return peer.recv(1) == b""
    except ConnectionResetError:
        return True


def test_a_place_that_has_become_free_is_given_to_the_next(tcp: Net) -> None:
    arrivals: Queue[gnet.Socket] = Queue()
    server = tcp.server(arrivals.put)
    server.max_connections = 1
    tcp.peer(server)
    sock = arrivals.get()
    assert ends(tcp.peer(server))
    sock.destroy()
    sock.wait("close", 5)
    tcp.peer(server)
    assert arrivals.get() is not sock


def test_max_connections_of_zero_drops_all(
    net: Net, must_not_call: Callable[..., Call], must_call: Calls
) -> None:
    server = net.server(must_not_call())
    server.max_connections = 0
    assert server.max_connections == 0
    dropped = must_call(times=2)
    server.on("drop", dropped)
    assert ends(net.peer(server))
    assert ends(net.peer(server))
    must_call.wait()
    assert server.connections == frozenset()
    if not net.is_tcp:
        assert dropped.args in ((), (None,)) or set(dropped.args[0]) == {None}


def test_max_connections_is_none_by_default_and_may_be_set_back_to_it(tcp: Net) -> None:
    server = tcp.server(greets)
    assert server.max_connections is None
    server.max_connections = 0
    assert ends(tcp.peer(server))
    server.max_connections = None
    assert read_all(tcp.peer(server)) == b"hello"


def test_drop_max_connection_is_a_flag_that_is_off() -> None:
    server = gnet.Server()
    assert server.drop_max_connection is False
    server.drop_max_connection = True
    assert server.drop_max_connection is True


def test_a_blocked_address_does_not_become_a_connection(
    tcp: Net, must_not_call: Callable[..., Call]
) -> None:
    blocked = gnet.BlockList()
    blocked.add_address("127.0.0.1")
    server = tcp.server(must_not_call(), block_list=blocked)
    assert ends(tcp.peer(server))
    assert server.connections == frozenset()


def test_the_block_list_is_asked_for_each_connection(tcp: Net) -> None:
    blocked = gnet.BlockList()
    server = tcp.server(greets, block_list=blocked)
    assert read_all(tcp.peer(server)) == b"hello"
    blocked.add_subnet("127.0.0.0", 8)
    assert ends(tcp.peer(server))


def test_an_ipv4_rule_blocks_the_mapped_address_of_a_server_of_both_families(
    tcp: Net, must_not_call: Callable[..., Call]
) -> None:
    blocked = gnet.BlockList()
    blocked.add_address("127.0.0.1")
    server = tcp.keep(gnet.Server(must_not_call(), block_list=blocked)).listen(0)
    with socket.create_connection(("127.0.0.1", server.address().port)) as peer:
        assert ends(peer)


def test_a_path_has_no_address_to_block(directory: Path) -> None:
    blocked = gnet.BlockList()
    blocked.add_subnet("0.0.0.0", 0)
    path = str(directory / "a.sock")
    with gnet.Server(greets, block_list=blocked).listen(path):
        assert answer(path) == b"hello"


# -- options of the connections ------------------------------------------------------------


@pytest.mark.parametrize("no_delay", [True, False])
def test_no_delay_is_given_to_each_connection(tcp: Net, no_delay: Any) -> None:
    sock, _ = tcp.accepted(no_delay=no_delay)
    assert bool(sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)) is no_delay


def test_keep_alive_is_given_to_each_connection(tcp: Net) -> None:
    sock, _ = tcp.accepted(keep_alive=True, keep_alive_initial_delay=12)
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 12
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) == 10
    assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL) == 1


def test_keep_alive_is_off_by_default(tcp: Net) -> None:
    sock, _ = tcp.accepted()
    assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0


def test_tcp_options_do_no_harm_to_a_path(net: Net) -> None:
    server = net.server(greets, no_delay=True, keep_alive=True, keep_alive_initial_delay=12)
    assert read_all(net.peer(server)) == b"hello"


@pytest.mark.parametrize("half_open", [True, False])
def test_allow_half_open_is_given_to_each_connection(net: Net, half_open: Any) -> None:
    sock, _ = net.accepted(allow_half_open=half_open)
    assert sock.allow_half_open is half_open


def test_high_water_mark_is_given_to_each_connection(net: Net) -> None:
    sock, _ = net.accepted(high_water_mark=3)
    sock.cork()
    assert sock.write(b"ab") is True
    assert sock.write(b"c") is False


def test_pause_on_connect_reads_nothing(net: Net) -> None:
    sock, peer = net.accepted(pause_on_connect=True)
    assert sock.is_paused()
    seen: list[bytes] = []
    sock.on("data", seen.append)
    peer.sendall(b"waiting")
    net.turns()
    assert seen == []
    assert sock.bytes_read == 0
    assert unread(sock.fileno()) == 7
    sock.resume()
    sock.wait("data", 5)
    assert seen == [b"waiting"]
    assert not sock.is_paused()


def test_a_connection_is_not_paused_without_pause_on_connect(tcp: Net) -> None:
    sock, peer = tcp.accepted()
    assert not sock.is_paused()
    peer.sendall(b"x")
    assert sock.wait("data", 5) == (b"x",)


CHILD = """
    import socket, sys
    with socket.socket(fileno=int(sys.argv[1])) as sock:
        found = b""
        while not found.endswith(b"\\n"):
            found += sock.recv(100)
        sock.sendall(b"child read " + found)
"""


def test_a_paused_connection_is_handed_to_another_process_with_nothing_read(net: Net) -> None:
    sock, peer = net.accepted(pause_on_connect=True)
    server = next(each for each in net._made if isinstance(each, gnet.Server))
    peer.sendall(b"first ")
    net.turns()
    fd = sock.detach()
    try:
        assert sock.fileno() == -1
        child = subprocess.Popen(
            [sys.executable, "-c", textwrap.dedent(CHILD), str(fd)], pass_fds=[fd]
        )
    finally:
        close(fd)
    peer.sendall(b"second\n")
    assert read_all(peer) == b"child read first second\n"
    assert child.wait() == 0
    net.turns()
    assert server.connections == frozenset()


# -- waiting for the end -------------------------------------------------------------------


def test_serve_forever_blocks_until_the_server_has_closed(tcp: Net) -> None:
    server = tcp.server(greets)
    serving = gevent.spawn(server.serve_forever)
    assert answer(server.address()) == b"hello"
    assert not serving.ready()
    server.close()
    serving.join(5)
    assert serving.successful()


def test_wait_closed_waits_for_the_last_connection(tcp: Net) -> None:
    sock, _ = tcp.accepted()
    server = next(each for each in tcp._made if isinstance(each, gnet.Server))
    server.close()
    with pytest.raises(TimeoutError) as caught:
        server.wait_closed(0.02)
    assert caught.value.code == "ETIMEDOUT"
    sock.destroy()
    server.wait_closed(5)


@pytest.mark.parametrize("listened", [False, True])
def test_wait_closed_returns_at_once_where_nothing_is_open(
    server: gnet.Server, listened: Any
) -> None:
    if listened:
        server.listen(0, "127.0.0.1")
        server.close()
        server.wait_closed(5)
    server.wait_closed(5)


def test_wait_closed_without_time_raises_where_something_is_open(tcp: Net) -> None:
    server = tcp.server()
    with pytest.raises(TimeoutError):
        server.wait_closed(0)


def test_with_closes_and_waits() -> None:
    with gnet.Server(greets).listen(0, "127.0.0.1") as server:
        assert server.listening
        assert answer(server.address()) == b"hello"
    assert not server.listening
    assert server.connections == frozenset()


def test_with_on_a_closed_server_returns_at_once() -> None:
    with gnet.Server() as server:
        pass
    with server:
        server.listen(0, "127.0.0.1")
        server.close()
    assert not server.listening


def test_with_waits_for_the_connections(tcp: Net) -> None:
    arrivals: Queue[gnet.Socket] = Queue()
    order: list[str] = []

    def leave() -> None:
        with gnet.Server(arrivals.put).listen(0, "127.0.0.1") as server:
            places.append(server.address())
            arrived.set()
            go.wait()
        order.append("left")

    places: list[Any] = []
    arrived, go = Event(), Event()
    leaving = gevent.spawn(leave)
    arrived.wait()
    peer = tcp.keep(socket.create_connection((places[0].address, places[0].port)))
    sock = arrivals.get()
    go.set()
    tcp.turns()
    order.append("destroyed")
    sock.destroy()
    leaving.join(5)
    assert order == ["destroyed", "left"]
    assert ends(peer)


def test_shutdown_ends_the_connections_after_what_is_queued(net: Net) -> None:
    sock, peer = net.accepted()
    server = next(each for each in net._made if isinstance(each, gnet.Server))
    sock.write(b"last words")
    ending = gevent.spawn(server.shutdown)
    assert read_all(peer) == b"last words"
    assert not server.listening
    peer.close()
    ending.join(5)
    assert ending.successful()
    server.wait_closed(5)
    assert sock.destroyed


def test_shutdown_destroys_what_is_left_after_its_grace(tcp: Net) -> None:
    # allow_half_open, and a peer that does not end: this connection never ends by itself.
    sock, peer = tcp.accepted(allow_half_open=True)
    server = next(each for each in tcp._made if isinstance(each, gnet.Server))
    with gevent.Timeout(5):
        server.shutdown(grace=0.02)
    server.wait_closed(5)
    assert sock.destroyed
    assert ends(peer)


def test_shutdown_without_grace_at_all_destroys_at_once(tcp: Net) -> None:
    sock, peer = tcp.accepted()
    server = next(each for each in tcp._made if isinstance(each, gnet.Server))
    with gevent.Timeout(5):
        server.shutdown(grace=0)
    server.wait_closed(5)
    assert sock.destroyed
    assert ends(peer)


def test_shutdown_of_what_is_not_open_returns_at_once(server: gnet.Server) -> None:
    with gevent.Timeout(5):
        server.shutdown()
        server.shutdown(1)


# -- end_on_return, serve ------------------------------------------------------------------


def test_end_on_return_closes_each_connection_when_its_listener_returns(net: Net) -> None:
    def handler(sock: gnet.Socket) -> None:
        sock.write(b"x" * 300_000)

    server = net.server(handler, end_on_return=True)
    peer = net.peer(server)
    assert len(read_all(peer)) == 300_000


def test_end_on_return_destroys_a_connection_whose_listener_raises(
    net: Net, hub_errors: list[BaseException]
) -> None:
    errors: Queue[BaseException] = Queue()

    def handler(sock: gnet.Socket) -> None:
        sock.on("error", errors.put)
        raise LookupError("mine")

    server = net.server(handler, end_on_return=True)
    assert ends(net.peer(server))
    assert isinstance(errors.get(), LookupError)
    assert ends(net.peer(server))


def test_an_exception_of_a_handler_that_nobody_hears_is_reported(
    tcp: Net, hub_errors: list[BaseException]
) -> None:
    def handler(sock: gnet.Socket) -> None:
        raise LookupError("mine")

    server = tcp.server(handler, end_on_return=True)
    assert ends(tcp.peer(server))
    tcp.turns()
    assert [type(each) for each in hub_errors] == [LookupError]
    hub_errors.clear()


def test_without_end_on_return_a_connection_outlives_its_listener(tcp: Net) -> None:
    sock, peer = tcp.accepted()
    tcp.turns()
    assert not sock.destroyed
    sock.end(b"later")
    assert read_all(peer) == b"later"


def test_the_handler_of_end_on_return_has_a_greenlet_of_gevents(
    tcp: Net, must_call: Calls
) -> None:
    def handler(sock: gnet.Socket) -> None:
        assert isinstance(gevent.getcurrent(), gevent.Greenlet)
        assert sock.recv() == b"x"

    server = tcp.server(must_call(handler), end_on_return=True)
    peer = tcp.peer(server)
    peer.sendall(b"x")
    assert ends(peer)


def test_serve_listens_and_blocks_until_the_server_has_closed(directory: Path) -> None:
    def shout(sock: gnet.Socket) -> None:
        for line in sock.makefile("rb"):
            sock.sendall(line.upper())

    path = str(directory / "shout.sock")
    stop = Event()
    serving = gevent.spawn(gnet.serve, shout, path, signal=stop)
    with gevent.Timeout(5):
        while not os.path.exists(path):
            gevent.sleep(0)
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(path)
        peer.sendall(b"one\ntwo\n")
        peer.shutdown(socket.SHUT_WR)
        assert read_all(peer) == b"ONE\nTWO\n"
    assert not serving.ready()
    stop.set()
    serving.join(5)
    assert serving.successful()
    assert serving.value == 0
    assert not os.path.exists(path)


def test_serve_takes_the_options_of_the_server_and_of_listen(directory: Path) -> None:
    path = directory / "a.sock"
    stop, seen = Event(), Queue()

    def handler(sock: gnet.Socket) -> None:
        seen.put((sock.allow_half_open, stat.S_IMODE(path.stat().st_mode) & 0o222))
        stop.set()

    serving = gevent.spawn(
        gnet.serve, handler, path, allow_half_open=True, writable_all=True, signal=stop, backlog=3
    )
    with gevent.Timeout(5):
        while not path.exists():
            gevent.sleep(0)
    with socket.socket(socket.AF_UNIX) as peer:
        peer.connect(str(path))
        assert read_all(peer) == b""
    assert seen.get() == (True, 0o222)
    serving.join(5)
    assert serving.successful()


def test_serve_that_is_killed_closes_its_server(directory: Path) -> None:
    path = str(directory / "a.sock")
    serving = gevent.spawn(gnet.serve, greets, path)
    with gevent.Timeout(5):
        while not os.path.exists(path):
            gevent.sleep(0)
    serving.kill()
    assert not os.path.exists(path)


def test_serve_raises_what_listen_raises(tcp: Net) -> None:
    port = tcp.server().address().port
    with pytest.raises(OSError, match="EADDRINUSE"):
        gnet.serve(greets, port, "127.0.0.1")


# -- references ----------------------------------------------------------------------------


def test_an_open_server_keeps_run_and_a_closed_one_does_not(server: gnet.Server) -> None:
    assert gnet.run(5) is True
    server.listen(0, "127.0.0.1")
    assert gnet.run(0.01) is False
    server.close()
    assert gnet.run(5) is True


def test_unref_lets_run_return_and_ref_keeps_it_again(tcp: Net) -> None:
    server = tcp.server()
    assert server.unref() is server
    assert server.unref() is server
    assert gnet.run(5) is True
    assert server.listening
    assert server.ref() is server
    assert gnet.run(0.01) is False


def test_unref_before_listen_counts(server: gnet.Server) -> None:
    server.unref()
    server.listen(0, "127.0.0.1")
    assert gnet.run(5) is True
    assert answer(server.address()) == b"hello"


def test_run_returns_after_the_last_close(server: gnet.Server, must_call: Calls) -> None:
    server.listen(0, "127.0.0.1")
    closed = must_call()
    server.on("close", closed)
    server.on("listening", server.close)
    assert gnet.run(5) is True
    assert closed.count == 1


# -- names, and addresses with a zone ------------------------------------------------------


def test_an_empty_host_is_no_host(server: gnet.Server) -> None:
    server.listen(0, "")
    assert answer(server.address()) == b"hello"
    assert server.address() == ("::", "IPv6", server.address().port)


class SlowResolver:
    """A resolver of gevent's hub that answers when it is let go."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.entered, self.gate = Event(), Event()

    def getaddrinfo(self, host: Any, port: Any, *args: Any, **kwargs: Any) -> Any:
        self.asked.append(host if isinstance(host, str) else host.decode())
        self.entered.set()
        self.gate.wait()
        kind = (socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP, "")
        return [(*kind, ("127.0.0.1", 0))]

    def close(self) -> None:
        pass


@pytest.fixture
def resolver(monkeypatch: pytest.MonkeyPatch) -> SlowResolver:
    resolver = SlowResolver()
    monkeypatch.setattr(gevent.get_hub(), "resolver", resolver)
    return resolver


def test_listening_to_a_name_asks_the_hubs_resolver_and_blocks_its_greenlet_only(
    server: gnet.Server, resolver: SlowResolver
) -> None:
    listening = gevent.spawn(server.listen, 0, "some.host")
    resolver.entered.wait()
    assert resolver.asked == ["some.host"]
    assert not server.listening
    resolver.gate.set()
    listening.join(5)
    assert listening.successful()
    assert server.address().address == "127.0.0.1"
    assert answer(server.address()) == b"hello"


def test_closing_while_the_name_is_looked_up_opens_nothing(
    tcp: Net, server: gnet.Server, resolver: SlowResolver, must_not_call: Callable[..., Call]
) -> None:
    server.on("listening", must_not_call())
    before = descriptors()
    listening = gevent.spawn(server.listen, 0, "some.host")
    resolver.entered.wait()
    server.close()
    resolver.gate.set()
    listening.join(5)
    tcp.turns()
    assert not server.listening
    assert server.address() is None
    assert descriptors() == before
    server.remove_all_listeners("listening")
    server.listen(0, "127.0.0.1")
    assert answer(server.address()) == b"hello"


def test_a_signal_while_the_name_is_looked_up_opens_nothing(
    tcp: Net, server: gnet.Server, resolver: SlowResolver, must_not_call: Callable[..., Call]
) -> None:
    server.on("listening", must_not_call())
    before, abort = descriptors(), Event()
    listening = gevent.spawn(server.listen, 0, "some.host", signal=abort)
    resolver.entered.wait()
    abort.set()
    tcp.turns()
    resolver.gate.set()
    listening.join(5)
    tcp.turns()
    assert not server.listening
    assert descriptors() == before


def test_a_second_listen_while_the_name_is_looked_up_is_refused(
    server: gnet.Server, resolver: SlowResolver
) -> None:
    def second() -> str:
        try:
            server.listen(0, "some.host")
        except Exception as exc:
            return str(getattr(exc, "code", exc))
        return "listening"

    before = descriptors()
    calls = [gevent.spawn(second), gevent.spawn(second)]
    resolver.entered.wait()
    gevent.sleep(0)
    resolver.gate.set()
    gevent.joinall(calls, timeout=5)
    assert sorted(each.value for each in calls) == ["ERR_SERVER_ALREADY_LISTEN", "listening"]
    assert answer(server.address()) == b"hello"
    server.close()
    server.wait_closed(5)
    assert descriptors() == before


def test_a_killed_listen_leaves_the_server_as_it_was(
    server: gnet.Server, resolver: SlowResolver
) -> None:
    before = descriptors()
    listening = gevent.spawn(server.listen, 0, "some.host")
    resolver.entered.wait()
    listening.kill()
    assert not server.listening
    assert descriptors() == before
    server.listen(0, "127.0.0.1")
    assert server.listening


def link_local() -> str | None:
    """A link-local address of this host with its zone."""
    table = Path("/proc/net/if_inet6")
    for line in table.read_text().splitlines() if table.exists() else []:
        number, _, _, scope, _, zone = line.split()
        if scope == "20":
            return f"{socket.inet_ntop(socket.AF_INET6, bytes.fromhex(number))}%{zone}"
    return None


@pytest.mark.skipif(link_local() is None, reason="this host has no link-local address")
def test_a_link_local_address_needs_its_zone(server: gnet.Server) -> None:
    host = link_local()
    assert host is not None
    server.listen(0, host)
    address = server.address()
    assert address.address.split("%")[0] == host.split("%")[0]
    with gnet.connect(address.port, host) as sock:
        assert sock.recv() == b"hello"
        assert sock.remote_address is not None
        assert sock.remote_address.split("%")[0] == host.split("%")[0]


# -- when descriptors run out, signals come, and handlers are killed -----------------------


@pytest.fixture
def no_descriptors() -> Iterator[Callable[[], None]]:
    """A function after whose call nothing can be opened, until the test ends."""
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    held: list[int] = []

    def exhaust() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(descriptors()) + 1, hard))
        with contextlib.suppress(OSError):
            while True:
                held.append(os.dup(0))

    yield exhaust
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    for fd in held:
        close(fd)


def test_a_server_survives_a_lack_of_descriptors_without_spinning(
    tcp: Net, no_descriptors: Callable[[], None], hub_errors: list[BaseException]
) -> None:
    resource = pytest.importorskip("resource")
    server = tcp.server(greets)
    errors: list[Any] = []
    server.on("error", errors.append)
    host, _, port = server.address()
    peers = [tcp.keep(socket.socket()) for _ in range(5)]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    no_descriptors()
    for peer in peers:
        peer.connect((host, port))
    began = time.process_time()
    gevent.sleep(0.5)
    assert time.process_time() - began < 0.2
    assert server.listening
    assert len(errors) <= 1, "one report for a burst"
    assert all(each.code == "EMFILE" for each in errors)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    served = 0
    for peer in peers:
        # Who came while there was no descriptor is served late, or was turned away.
        with contextlib.suppress(ConnectionResetError):
            served += read_all(peer) == b"hello"
    assert read_all(tcp.peer(server)) == b"hello"
    hub_errors.clear()


@pytest.mark.parametrize("call", ["close", "shutdown"])
def test_a_signal_handler_may_end_the_server(tcp: Net, call: str, must_call: Calls) -> None:
    sock, peer = tcp.accepted()
    server = next(each for each in tcp._made if isinstance(each, gnet.Server))
    handled = must_call(lambda *args: getattr(server, call)())
    before = signal.signal(signal.SIGUSR1, handled)
    server.on("close", must_call())
    try:
        gevent.spawn(os.kill, os.getpid(), signal.SIGUSR1)
        handled.wait()
        assert not server.listening
        if call == "close":
            sock.end()
        assert ends(peer)
        peer.close()
        must_call.wait()
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_a_killed_handler_still_closes_its_connection(tcp: Net) -> None:
    handlers: Queue[gevent.Greenlet] = Queue()

    def handler(sock: gnet.Socket) -> None:
        handlers.put(gevent.getcurrent())
        sock.recv()

    server = tcp.server(handler, end_on_return=True)
    peer = tcp.peer(server)
    handlers.get().kill()
    assert ends(peer)
    peer.close()
    tcp.turns()
    assert server.connections == frozenset()


def test_a_timeout_that_leaves_a_handler_closes_its_connection(
    tcp: Net, hub_errors: list[BaseException]
) -> None:
    def handler(sock: gnet.Socket) -> None:
        with gevent.Timeout(0.01):
            sock.recv()

    server = tcp.server(handler, end_on_return=True)
    assert ends(tcp.peer(server))
    tcp.turns()
    assert server.connections == frozenset()
    assert server.listening
    hub_errors.clear()


def test_an_exception_of_one_connections_listener_leaves_the_others_alone(
    tcp: Net, hub_errors: list[BaseException]
) -> None:
    arrivals: Queue[gnet.Socket] = Queue()

    def listener(sock: gnet.Socket) -> None:
        arrivals.put(sock)
        if len(server.connections) == 2:
            raise LookupError("mine")

    server = tcp.server(listener)
    first = tcp.peer(server)
    sock = arrivals.get()
    assert ends(tcp.peer(server))
    sock.end(b"alive")
    assert read_all(first) == b"alive"
    assert server.listening
    tcp.turns()
    assert [type(each) for each in hub_errors] == [LookupError]
    hub_errors.clear()


def test_server_and_socket_can_be_base_classes(tcp: Net) -> None:
    class Counting(gnet.Server):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.count = 0
            self.on("connection", self.counted)

        def counted(self, sock: gnet.Socket) -> None:
            self.count += 1
            sock.end(b"hello")

    server = tcp.keep(Counting()).listen(0, "127.0.0.1")
    assert answer(server.address()) == b"hello"
    assert server.count == 1


def test_the_repr_of_a_server_says_where_it_listens(tcp: Net, directory: Path) -> None:
    server = tcp.server()
    assert str(server.address().port) in repr(server)
    path = str(directory / "a.sock")
    assert path in repr(tcp.keep(gnet.Server()).listen(path))
    assert "closed" in repr(gnet.Server())


def test_a_burst_of_connections_is_served(net: Net) -> None:
    server = net.server(greets)
    peers = [net.peer(server) for _ in range(200)]
    assert all(read_all(peer) == b"hello" for peer in peers)


def test_connections_do_not_starve_other_greenlets(tcp: Net) -> None:
    server = tcp.server(greets)
    for _ in range(100):
        tcp.peer(server)
    turns = 0

    def count() -> None:
        nonlocal turns
        while True:
            turns += 1
            gevent.sleep(0)

    counting = tcp.keep(gevent.spawn(count))
    assert read_all(tcp.peer(server)) == b"hello"
    assert turns > 1
    counting.kill()
