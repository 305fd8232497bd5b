"""BoundSocket: a place that is taken now, to listen there or connect from there later."""

from __future__ import annotations

import errno
import gc
import os
import socket
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import gnet
from gnet.errors import HandleAdoptedError, SocketClosedError
from tests.helpers.servers import closing, place_at, serving

posix = pytest.mark.skipif(sys.platform == "win32", reason="its paths are those of Unix sockets")


def is_adopted(bound: gnet.BoundSocket) -> bool:
    """Whether every use of it says that it is another's now."""
    calls: tuple[Callable[[], object], ...] = (bound.address, lambda: bound.fd, bound.close)
    for call in calls:
        with pytest.raises(HandleAdoptedError) as caught:
            call()
        assert caught.value.code == "ERR_SOCKET_HANDLE_ADOPTED"
    return "adopted" in repr(bound)


def test_it_has_its_address_at_once() -> None:
    with gnet.BoundSocket(0, "127.0.0.1") as bound:
        address = bound.address()
        assert isinstance(address, gnet.AddressInfo)
        assert address[:2] == ("127.0.0.1", "IPv4")
        assert address.port > 0
        assert bound.fd >= 0
        assert repr(bound) == f"<gnet.BoundSocket 127.0.0.1:{address.port}>"
    with pytest.raises(SocketClosedError):
        bound.address()
    bound.close()
    assert "closed" in repr(bound)


@pytest.mark.parametrize("form", ["positions", "tuple", "keyword", "nothing"])
def test_the_forms_of_an_address(form: str) -> None:
    makes: dict[str, Callable[[], gnet.BoundSocket]] = {
        "positions": lambda: gnet.BoundSocket(0, "127.0.0.1"),
        "tuple": lambda: gnet.BoundSocket(("127.0.0.1", 0)),
        "keyword": lambda: gnet.BoundSocket(host="127.0.0.1", port=0),
        "nothing": gnet.BoundSocket,
    }
    with makes[form]() as bound:
        address = bound.address()
        assert isinstance(address, gnet.AddressInfo)
        assert address.address == ("0.0.0.0" if form == "nothing" else "127.0.0.1")


def test_a_port_that_is_taken_is_an_error_at_once_and_free_again_behind_close() -> None:
    bound = gnet.BoundSocket(0, "127.0.0.1")
    address = bound.address()
    assert isinstance(address, gnet.AddressInfo)
    with pytest.raises(OSError) as caught:
        gnet.BoundSocket(address.port, "127.0.0.1")
    assert caught.value.errno == errno.EADDRINUSE
    assert caught.value.syscall == "bind"  # type: ignore[attr-defined]
    assert caught.value.port == address.port  # type: ignore[attr-defined]
    bound.close()
    gnet.BoundSocket(address.port, "127.0.0.1").close()


def test_a_server_listens_on_it() -> None:
    bound = gnet.BoundSocket(0, "127.0.0.1")
    address = bound.address()
    with serving(lambda sock: sock.end("hello"), at=(bound,)) as server:
        assert server.address() == address
        assert is_adopted(bound)
        with gnet.connect(*place_at(server)) as sock:
            assert b"".join(sock) == b"hello"
        with pytest.raises(HandleAdoptedError):
            gnet.Server().listen(bound)
        with pytest.raises(HandleAdoptedError):
            gnet.connect(*place_at(server), handle=bound)


def test_a_server_that_cannot_listen_leaves_it_to_its_owner() -> None:
    with gnet.BoundSocket(0, "127.0.0.1") as bound:
        server = gnet.Server()
        with pytest.raises(TypeError):
            server.listen(bound, backlog="many")
        assert isinstance(bound.address(), gnet.AddressInfo)


def test_a_port_is_served_again_at_once() -> None:
    # Connections that were served leave their port in TIME_WAIT.
    port: Any = 0
    for _ in range(2):
        bound = gnet.BoundSocket(port, "127.0.0.1")
        with serving(lambda sock: sock.end("x"), at=(bound,)) as server:
            port = server.port
            with gnet.connect(*place_at(server)) as sock:
                assert b"".join(sock) == b"x"
            sock.wait("close")


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_client_connects_from_it(host: str) -> None:
    bound = gnet.BoundSocket(0, "127.0.0.1")
    address = bound.address()
    assert isinstance(address, gnet.AddressInfo)
    with serving() as server, gnet.connect(server.port, host, handle=bound) as sock:
        assert is_adopted(bound)
        assert sock.local_port == address.port
        (served,) = server.connections or server.wait("connection")
        assert served.remote_port == address.port


def test_another_local_address_beside_it_is_refused_and_costs_nothing() -> None:
    bound = gnet.BoundSocket(0, "127.0.0.1")
    sock = gnet.Socket(handle=bound)
    with closing(sock), pytest.raises(TypeError, match="local_port"):
        sock.connect(1, local_port=1)


def test_what_connect_refuses_leaves_it_to_its_owner() -> None:
    with gnet.BoundSocket(0, "127.0.0.1") as bound:
        with pytest.raises(TypeError):
            gnet.connect(1, handle=bound, no_delay="yes")  # type: ignore[arg-type]
        assert bound.fd >= 0


@pytest.mark.parametrize(
    ("arguments", "error", "name"),
    [
        ((0, "localhost"), ValueError, "host"),
        ((65536,), ValueError, "port"),
        ((print,), TypeError, "target"),
        (("1.2.3.4:80",), ValueError, "host and port"),
    ],
)
def test_what_is_wrong_is_named(arguments: Any, error: Any, name: str) -> None:
    with pytest.raises(error, match=name):
        gnet.BoundSocket(*arguments)
    with pytest.raises(TypeError, match="ipv6_only"):
        gnet.BoundSocket(0, ipv6only=True)  # type: ignore[call-arg]


def test_one_that_is_forgotten_is_closed_with_a_warning() -> None:
    bound: Any = gnet.BoundSocket(0, "127.0.0.1")
    fd = bound.fd
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        del bound
        gc.collect()
    assert [each.category for each in caught] == [ResourceWarning]
    if sys.platform != "win32":
        with pytest.raises(OSError, match="Bad file"):
            os.fstat(fd)


@pytest.mark.skipif(not hasattr(socket, "SO_REUSEPORT"), reason="there is no SO_REUSEPORT")
def test_reuse_port_lets_another_one_have_it() -> None:
    with gnet.BoundSocket(0, "127.0.0.1", reuse_port=True) as first:
        address = first.address()
        assert isinstance(address, gnet.AddressInfo)
        with gnet.BoundSocket(address.port, "127.0.0.1", reuse_port=True) as second:
            assert second.address() == address


# -- paths ---------------------------------------------------------------------------------------


@posix
def test_a_path_is_there_and_goes_with_it(tmp_path: Path) -> None:
    path = str(tmp_path / "a.sock")
    with gnet.BoundSocket(path, writable_all=True) as bound:
        assert bound.address() == path
        assert os.stat(path).st_mode & 0o222 == 0o222
        with pytest.raises(OSError) as caught:
            gnet.BoundSocket(path=path)
        assert caught.value.errno == errno.EADDRINUSE
    assert not os.path.exists(path)


@posix
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has abstract names")
def test_an_abstract_name_leaves_no_file() -> None:
    name = f"\0gnet-test-bound-{os.getpid()}"
    with gnet.BoundSocket(name) as bound:
        assert bound.address() == name


@posix
def test_a_server_listens_on_a_path_and_removes_its_file(tmp_path: Path) -> None:
    path = str(tmp_path / "b.sock")
    bound = gnet.BoundSocket(path=path)
    with serving(lambda sock: sock.end("hi"), at=(bound,)) as server:
        assert server.address() == path
        assert is_adopted(bound)
        with gnet.connect(path) as sock:
            assert b"".join(sock) == b"hi"
    assert not os.path.exists(path)


@posix
def test_a_client_has_a_name_of_its_own_whose_file_goes_with_it(tmp_path: Path) -> None:
    name, path = str(tmp_path / "me.sock"), str(tmp_path / "c.sock")
    bound = gnet.BoundSocket(name)
    with serving(at=(path,)) as server, gnet.connect(path, handle=bound) as sock:
        assert sock.address() == name
        (served,) = server.connections or server.wait("connection")
        assert served.getpeername() == name
        assert os.path.exists(name)
        sock.destroy()
        assert not os.path.exists(name)


@pytest.mark.skipif(sys.platform != "win32", reason="there it is a named pipe")
def test_a_path_is_refused_on_windows() -> None:
    with pytest.raises(OSError) as caught:
        gnet.BoundSocket(r"\\.\pipe\gnet-test-bound")
    assert caught.value.errno == errno.ENOTSUP
