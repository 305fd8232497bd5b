"""Objects that are not whole: a call raises, and neither the process nor another object dies."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import sys
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import gevent
import pytest

import gnet
from gnet._core.dispatcher import Dispatcher, dispatcher
from tests.helpers.peers import run
from tests.net.conftest import Net
from tests.test_compiled import ROOT, built

OBJECTS = 1500


@pytest.mark.limit(100)
@pytest.mark.parametrize("pure", ["0", "1"], ids=["compiled", "pure"])
@pytest.mark.parametrize("seed", [1, 2])
def test_whatever_is_misused_the_process_lives(
    seed: int, pure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if pure == "0" and not built():
        pytest.skip("gnet is not compiled here")
    monkeypatch.setenv("GNET_PURE", pure)
    monkeypatch.chdir(ROOT)
    program = (sys.executable, "-m", "tests.helpers.misuse", str(seed), str(OBJECTS))
    done = run(*program, limit=90)
    assert (done.status, done.output) == (0, b"END" + os.linesep.encode()), done.complaints


class Forgetful(gnet.Socket):
    def __init__(self) -> None:
        self.name = "no super().__init__()"


class Parsed(gnet.Server):
    def __init__(self) -> None:
        self.name = "no super().__init__()"


@pytest.mark.parametrize("make", [Forgetful, lambda: gnet.Socket.__new__(gnet.Socket)])
@pytest.mark.parametrize(
    "call",
    [
        lambda it: it.set_timeout(1), lambda it: it.write(b"x"), lambda it: it.sendall(b"x"),
        lambda it: it.recv(), lambda it: it.end(), lambda it: it.cork(),
        lambda it: it.destroy(), lambda it: it.close(),
        lambda it: it.on("data", print), lambda it: it.emit("data"), lambda it: it.pipe(it),
        lambda it: it.connect(1), lambda it: it.wait("close"),
        lambda it: it.pause(), lambda it: it.ref(), lambda it: it.makefile("rb").read(1),
    ],
)  # fmt: skip
def test_a_socket_that_was_never_initialised_raises(
    make: Callable[[], Any], call: Callable[[Any], object]
) -> None:
    made = make()
    with pytest.raises((AttributeError, TypeError, KeyError, OSError)):
        call(made)


@pytest.mark.parametrize(
    "call", [lambda it: it.listen(0), lambda it: it.close(), lambda it: it.on("close", print)]
)
def test_a_server_that_was_never_initialised_raises(call: Callable[[Any], object]) -> None:
    with pytest.raises((AttributeError, TypeError)):
        call(Parsed())


def test_a_socket_that_is_in_use_is_not_initialised_again(net: Net) -> None:
    client, accepted = net.pair()
    for sock in (client, accepted):
        with pytest.raises(RuntimeError, match="in use"):
            sock.__init__()  # type: ignore[misc]
    client.sendall(b"still there")
    assert accepted.recv() == b"still there"


def test_a_descriptor_stays_its_owners_when_a_socket_is_not_initialised_again(tcp: Net) -> None:
    client, _ = tcp.pair()
    read, write = os.pipe()
    with pytest.raises(RuntimeError, match="in use"):
        client.__init__(fd=read)  # type: ignore[misc]
    assert os.fstat(read)
    for fd in (read, write):
        os.close(fd)


def test_a_socket_that_is_not_used_yet_or_any_more_may_be_initialised_again(tcp: Net) -> None:
    sock = gnet.Socket()
    sock.__init__(allow_half_open=True)  # type: ignore[misc]
    server = tcp.server(lambda sock: sock.end(b"hello"))
    for _ in range(2):
        sock.connect(*tcp.target(server))
        assert sock.recv() == b"hello"
        sock.destroy()
        sock.wait("close")
        sock.__init__()  # type: ignore[misc]
    assert not sock.destroyed


def test_a_server_that_listens_is_not_initialised_again(tcp: Net) -> None:
    server = tcp.server(lambda sock: sock.end(b"hello"))
    with pytest.raises(RuntimeError, match="in use"):
        server.__init__()  # type: ignore[misc]
    assert tcp.connect(server).recv() == b"hello"


def test_a_dispatcher_is_not_initialised_again() -> None:
    with pytest.raises(RuntimeError, match="in use"):
        Dispatcher.__init__(dispatcher(), gevent.get_hub())


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_neither_a_socket_nor_a_server_can_be_copied(
    tcp: Net, copied: Callable[[Any], object]
) -> None:
    server = tcp.server(lambda sock: sock.pipe(sock))
    client = tcp.connect(server)
    client.wait("connect")
    fd = client.fileno()
    for made in (client, server, client._loop):
        with pytest.raises(TypeError, match="cannot pickle"):
            copied(made)
    gc.collect()
    assert client.fileno() == fd
    client.sendall(b"still there")
    assert client.recv() == b"still there"


class Finalised(gnet.Socket):
    """Its finaliser does not call its base's."""

    finalised = 0

    def __del__(self) -> None:
        Finalised.finalised += 1


class Mixin:
    def __del__(self) -> None:
        raise RuntimeError("in a finaliser")


class Mixed(Mixin, gnet.Socket):
    pass


def test_a_subclass_with_its_own_finaliser_is_closed_all_the_same(tcp: Net) -> None:
    server = tcp.server()
    sock = Finalised()
    sock.connect(*tcp.target(server))
    sock.wait("connect")
    before, gone = Finalised.finalised, weakref.ref(sock)
    held = sock._loop._holds
    with pytest.warns(ResourceWarning, match=r"unclosed <tests.Finalised"):
        del sock
        gc.collect()
    assert (Finalised.finalised, gone()) == (before + 1, None)
    tcp.turns()
    assert dispatcher()._holds == held - 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_finaliser_that_raises_closes_the_connection_too(tcp: Net) -> None:
    server = tcp.server()
    peers = []
    server.on("connection", peers.append)
    sock = Mixed()
    sock.connect(*tcp.target(server))
    sock.wait("connect")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        del sock
        gc.collect()
    tcp.turns()
    assert peers[0].recv() == b""


@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_a_descriptor_never_goes_before_its_watchers(tcp: Net) -> None:
    """libev aborts the process when it comes across such a one."""
    for attribute in ("_read_watcher", "_write_watcher", "_wire"):
        client, accepted = tcp.pair()
        client.on("data", lambda data: None)
        client.write(bytes(5_000_000))
        setattr(client, attribute, None)
        client.destroy()
        accepted.destroy()
        del client, accepted
        gc.collect()
        tcp.turns()
    client, accepted = tcp.pair()
    client.sendall(b"others go on")
    assert accepted.recv() == b"others go on"
