"""Options before bind and connect: options=, control=, mptcp=, and those that have a name."""

from __future__ import annotations

import errno
import os
import socket
import sys
from pathlib import Path
from typing import Any

import gevent
import pytest

import gnet
from gnet import errors
from tests.helpers.blackhole import blackhole
from tests.helpers.servers import closing, pair, place_at, raw_listener, serving

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the options are Linux'")

BUSY = (socket.SOL_SOCKET, socket.SO_PRIORITY, 5)
BIND_ADDRESS_NO_PORT = (socket.IPPROTO_IP, 24, 1)


def priority(fd: int) -> int:
    """The option that the tests set, of a descriptor."""
    with socket.socket(fileno=os.dup(fd)) as sock:
        return sock.getsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY)


class Seen:
    """A control() that notes how it found its descriptor."""

    def __init__(self) -> None:
        self.priorities: list[int] = []
        self.bound: list[Any] = []

    def __call__(self, fd: int) -> None:
        self.priorities.append(priority(fd))
        with socket.socket(fileno=os.dup(fd)) as sock:
            self.bound.append(sock.getsockname())


# -- connect() -----------------------------------------------------------------------------------


def test_options_are_set_and_control_is_called_before_bind_and_connect() -> None:
    seen = Seen()
    with serving() as server:
        sock = gnet.connect(
            *place_at(server), options=[BUSY, list(BIND_ADDRESS_NO_PORT)], control=seen,
            local_address="127.0.0.1",
        )  # fmt: skip
        with closing(sock), sock:
            assert seen.priorities == [5], "options come ahead of control"
            assert seen.bound == [("0.0.0.0", 0)], "and both ahead of bind"
            assert sock.getsockopt(*BUSY[:2]) == 5
            assert sock.getsockopt(*BIND_ADDRESS_NO_PORT[:2]) == 1


def test_each_attempt_has_them() -> None:
    seen = Seen()
    with blackhole() as hole, raw_listener((hole.port, "127.0.0.2")) as listener:
        port = listener.getsockname()[1]
        sock = gnet.connect(
            port, "many.example", options=[BUSY], control=seen,
            lookup=lambda *_, **__: [("127.0.0.1", 4), ("127.0.0.2", 4)],
            auto_select_family_attempt_timeout=0.05,
        )  # fmt: skip
        with closing(sock), sock:
            assert seen.priorities == [5, 5]


def test_a_path_has_them_too(tmp_path: Path) -> None:
    seen = Seen()
    path = str(tmp_path / "a.sock")
    with serving(at=(path,)), gnet.connect(path, options=[BUSY], control=seen) as sock:
        assert seen.priorities == [5]
        assert sock.getsockopt(*BUSY[:2]) == 5


def test_an_option_that_the_system_refuses_is_the_attempts_error() -> None:
    with serving() as server:
        sock = gnet.connect(*place_at(server), options=[(socket.IPPROTO_TCP, 9999, 1)])
        with closing(sock), pytest.raises(OSError) as caught:
            sock.wait("connect")
        assert caught.value.errno == errno.ENOPROTOOPT
        assert caught.value.code == "ENOPROTOOPT"  # type: ignore[attr-defined]
        assert caught.value.syscall == "setsockopt"  # type: ignore[attr-defined]


@pytest.mark.parametrize("error", [ValueError("mine"), PermissionError(errno.EPERM, "mine")])
def test_what_control_raises_is_passed_on_as_that_object(error: Exception) -> None:
    def control(fd: int) -> None:
        raise error

    with serving() as server:
        sock = gnet.connect(*place_at(server), control=control)
        with pytest.raises(type(error)) as heard:
            sock.wait("connect")
        assert heard.value is error
        if isinstance(error, OSError):
            assert errors.code_of(error) == "EPERM"
        with pytest.raises(type(error)) as caught:
            gnet.Server().listen(0, control=control)
        assert caught.value is error


def test_control_may_block() -> None:
    with serving() as server:
        sock = gnet.connect(*place_at(server), control=lambda fd: gevent.sleep(0.01))
        with closing(sock), sock:
            assert sock.ready_state == "open"


# -- listen() ------------------------------------------------------------------------------------


def test_a_listening_socket_has_them_before_it_is_bound(tmp_path: Path) -> None:
    for place in ((0, "127.0.0.1"), (str(tmp_path / "b.sock"),)):
        seen = Seen()
        server = gnet.Server()
        server.listen(*place, options=[BUSY], control=seen)
        assert seen.priorities == [5]
        assert seen.bound in ([("0.0.0.0", 0)], [""])
        server.close()


def test_options_that_connections_inherit() -> None:
    server = gnet.Server()
    server.listen(0, "127.0.0.1", options=[(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 7000)])
    with server, gnet.connect(server.port, "127.0.0.1"):
        (served,) = server.connections or server.wait("connection")
        assert served.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 7000


def test_listen_fails_of_an_option_as_of_anything_else() -> None:
    server = gnet.Server()
    with pytest.raises(OSError) as caught:
        server.listen(0, "127.0.0.1", options=[(socket.IPPROTO_TCP, 9999, 1)])
    assert caught.value.syscall == "setsockopt"  # type: ignore[attr-defined]
    assert not server.listening
    heard = []
    server.on("error", heard.append)
    server.listen(0, "127.0.0.1", options=[(socket.IPPROTO_TCP, 9999, 1)])
    gnet.run(1)
    assert [each.code for each in heard] == ["ENOPROTOOPT"]


# -- wrong kinds and values ----------------------------------------------------------------------

WRONG = [
    ({"options": "abc"}, TypeError),
    ({"options": [(1, 2)]}, TypeError),
    ({"options": [(1, "2", 3)]}, TypeError),
    ({"options": [(True, 2, 3)]}, TypeError),
    ({"options": [(1, 2, "x")]}, TypeError),
    ({"options": [(1, 2, 2**31)]}, ValueError),
    ({"options": [(2**31, 2, 1)]}, ValueError),
    ({"control": 1}, TypeError),
    ({"mptcp": "yes"}, TypeError),
]


@pytest.mark.parametrize(("options", "error"), WRONG)
def test_what_is_wrong_is_named_before_anything_is_opened(options: Any, error: Any) -> None:
    (name,) = options
    calls = (
        lambda: gnet.connect(1, **options),
        lambda: gnet.Server().listen(0, **options),
        lambda: gnet.BoundSocket(0, **options),
    )
    for call in calls:
        with pytest.raises(error, match=f'"{name}"'):
            call()


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"type_of_service": 256}, ValueError),
        ({"type_of_service": "1"}, TypeError),
        ({"user_timeout": -1}, ValueError),
        ({"user_timeout": 2147484}, ValueError),
        ({"user_timeout": "1"}, TypeError),
        ({"congestion": ""}, ValueError),
        ({"congestion": "x" * 16}, ValueError),
        ({"congestion": "caf\xe9"}, ValueError),
        ({"congestion": b"cubic"}, TypeError),
    ],
)
def test_the_options_with_a_name_are_checked_by_the_constructor(options: Any, error: Any) -> None:
    (name,) = options
    for call in (gnet.Socket, lambda **given: gnet.connect(1, **given)):
        with pytest.raises(error, match=f'"{name}"'):
            call(**options)


# -- those with a name ---------------------------------------------------------------------------


def congestion_of(sock: gnet.Socket) -> bytes:
    name: bytes = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, 16)
    return name.rstrip(b"\0")


def test_type_of_service_user_timeout_and_congestion_reach_the_kernel() -> None:
    with pair((0, "127.0.0.1"), type_of_service=0x10, user_timeout=2.5, congestion="reno") as (
        client,
        _,
    ):
        assert client.get_type_of_service() == 0x10
        assert client.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 2500
        assert congestion_of(client) == b"reno"


def test_they_are_set_on_a_socket_that_is_taken_over() -> None:
    with raw_listener() as listener, socket.create_connection(listener.getsockname()) as peer:
        sock = gnet.Socket(handle=peer, type_of_service=8, user_timeout=1, congestion="reno")
        with closing(sock):
            assert sock.get_type_of_service() == 8
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 1000
            assert congestion_of(sock) == b"reno"


def test_a_congestion_control_that_the_system_lacks_fails_the_connection() -> None:
    with serving() as server:
        sock = gnet.connect(*place_at(server), congestion="nosuch")
        with pytest.raises(OSError) as caught:
            sock.wait("connect")
        assert caught.value.syscall == "setsockopt"  # type: ignore[attr-defined]
        assert caught.value.errno == errno.ENOENT
    with raw_listener() as listener, socket.create_connection(listener.getsockname()) as peer:
        taken = gnet.Socket(handle=peer, congestion="nosuch")
        with pytest.raises(FileNotFoundError) as missing:
            taken.wait("close")
        assert missing.value.code == "ENOENT"  # type: ignore[attr-defined]


def test_they_stay_for_the_next_connection_and_mean_nothing_to_a_path(tmp_path: Path) -> None:
    path = str(tmp_path / "c.sock")
    with serving(at=(path,)), serving() as server:
        sock = gnet.connect(path, user_timeout=3, congestion="reno", type_of_service=4)
        with sock:
            pass
        sock.wait("close")
        with closing(sock), sock.connect(*place_at(server)):
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 3000


def test_a_system_without_an_option_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import _socket

    for name, options in (
        ("TCP_USER_TIMEOUT", {"user_timeout": 1}),
        ("TCP_CONGESTION", {"congestion": "reno"}),
    ):
        monkeypatch.delattr(_socket, name)
        with pytest.raises(OSError, match=next(iter(options))) as caught:
            gnet.Socket(**options)  # type: ignore[arg-type]
        assert caught.value.errno == errno.ENOTSUP
        assert caught.value.code == "ERR_FEATURE_UNAVAILABLE_ON_PLATFORM"  # type: ignore[attr-defined]


# -- Multipath TCP and vsock ---------------------------------------------------------------------

MPTCP = 262


def has_mptcp() -> bool:
    """Whether the kernel has it."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, MPTCP).close()
    except OSError:
        return False
    return True


@pytest.mark.skipif(not has_mptcp(), reason="this kernel has no Multipath TCP")
@pytest.mark.parametrize("other", [False, True])
def test_mptcp_at_either_end(other: bool) -> None:
    server = gnet.Server(lambda sock: sock.pipe(sock))
    server.listen(0, "127.0.0.1", mptcp=True)
    with server, gnet.connect(server.port, "127.0.0.1", mptcp=other) as sock:
        assert sock.proto == (MPTCP if other else 0)
        # What a pipe moves inside the kernel elsewhere.
        sock.sendall(b"x" * 300_000)
        received = 0
        while received < 300_000:
            received += len(sock.recv())
        sock.end()


def test_without_the_kernels_it_is_plain_tcp(monkeypatch: pytest.MonkeyPatch) -> None:
    from gnet._transport import stream_socket

    monkeypatch.setattr(stream_socket, "_MPTCP", 9999)
    with pair((0, "127.0.0.1"), mptcp=True) as (client, _):
        assert client.proto == 0


def vsock() -> socket.socket:
    """A socket of vsock, connected to nobody."""
    try:
        return socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
    except OSError:
        pytest.skip("this kernel has no vsock")


def test_a_handle_of_vsock_has_an_address() -> None:
    plain = vsock()
    plain.bind((socket.VMADDR_CID_ANY, socket.VMADDR_PORT_ANY))
    port = plain.getsockname()[1]
    any_machine = str(socket.VMADDR_CID_ANY)
    sock = gnet.Socket(handle=plain)
    assert f"vsock:{any_machine}:{port}" in repr(sock)
    assert sock.address() == gnet.AddressInfo(any_machine, "vsock", port)
    assert (sock.local_address, sock.local_port, sock.local_family) == (
        any_machine, port, "vsock"
    )  # fmt: skip
    assert sock.remote_address is None
    assert sock.ready_state == "closed"
    sock.destroy()


def test_a_server_listens_on_vsock() -> None:
    plain = vsock()
    plain.bind((socket.VMADDR_CID_ANY, socket.VMADDR_PORT_ANY))
    port = plain.getsockname()[1]
    with gnet.create_server() as server:
        server.listen(plain)
        assert server.address() == gnet.AddressInfo(str(socket.VMADDR_CID_ANY), "vsock", port)
        assert server.port == port
        assert str(port) in repr(server)
