"""``async def`` is refused wherever a listener or callback is given: it would never be run."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock, MagicMock, Mock

import pytest

import gnet
from gnet import wsgi


async def coroutine(*args: Any, **options: Any) -> None:
    raise AssertionError("this is never run")


async def generator(*args: Any) -> AsyncIterator[None]:
    yield


class Object:
    async def method(self, *args: Any) -> None: ...

    @classmethod
    async def of_the_class(cls, *args: Any) -> None: ...

    @staticmethod
    async def static(*args: Any) -> None: ...

    async def __call__(self, *args: Any) -> None: ...


class Heir(Object):
    pass


class Plain:
    def method(self, *args: Any) -> None: ...

    def __call__(self, *args: Any) -> None: ...


ASYNC = [
    coroutine,
    generator,
    Object().method,
    Object.of_the_class,
    Object.static,
    Object(),
    Heir(),
    partial(coroutine, 1),
    partial(partial(Object().method), 1),
    AsyncMock(),
]
PLAIN = [print, [].append, lambda *args: None, Plain(), Plain().method, Mock(), MagicMock(), dict]


@pytest.mark.parametrize("listener", ASYNC, ids=repr)
def test_every_kind_of_async_function_is_refused(listener: Any) -> None:
    emitter = gnet.EventEmitter()
    with pytest.raises(TypeError, match="listener.*async function") as caught:
        emitter.on("event", listener)
    assert caught.value.code == "ERR_INVALID_ARG_TYPE"  # type: ignore[attr-defined]
    assert emitter.event_names() == []


@pytest.mark.parametrize("listener", PLAIN, ids=repr)
def test_every_other_callable_is_taken(listener: Any) -> None:
    emitter = gnet.EventEmitter()
    assert emitter.on("event", listener).listeners("event") == [listener]


def decorator(emitter: gnet.EventEmitter) -> None:
    emitter.on("event")(coroutine)


WAYS: dict[str, Callable[[], object]] = {
    "on": lambda: gnet.EventEmitter().on("event", coroutine),
    "add_listener": lambda: gnet.EventEmitter().add_listener("event", coroutine),
    "once": lambda: gnet.EventEmitter().once("event", coroutine),
    "prepend_listener": lambda: gnet.EventEmitter().prepend_listener("event", coroutine),
    "prepend_once_listener": lambda: gnet.EventEmitter().prepend_once_listener("event", coroutine),
    "decorator": lambda: decorator(gnet.EventEmitter()),
    "create_server": lambda: gnet.create_server(coroutine),
    "Server": lambda: gnet.Server(coroutine),
    "serve": lambda: gnet.serve(coroutine, 0),
    "listen": lambda: gnet.Server().listen(0, listening_listener=coroutine),
    "listen, in the host's place": lambda: gnet.Server().listen(0, coroutine),
    "listen, in the backlog's place": lambda: gnet.Server().listen(0, "127.0.0.1", coroutine),
    "Server.close": lambda: gnet.Server().close(coroutine),
    "get_connections": lambda: gnet.Server().get_connections(coroutine),
    "connect": lambda: gnet.connect(1, "127.0.0.1", coroutine),
    "connect, in the host's place": lambda: gnet.connect(1, coroutine),
    "lookup": lambda: gnet.connect(1, "a.test", lookup=coroutine),
    "write": lambda: gnet.Socket().write(b"", callback=coroutine),
    "write, in the encoding's place": lambda: gnet.Socket().write("", coroutine),
    "end": lambda: gnet.Socket().end(b"", callback=coroutine),
    "end, in the data's place": lambda: gnet.Socket().end(coroutine),
    "set_timeout": lambda: gnet.Socket().set_timeout(1, coroutine),
    "OnRead": lambda: gnet.OnRead(bytearray(1), coroutine),
    "OnRead's buffer": lambda: gnet.OnRead(coroutine, lambda size, buffer: None),
    "WSGIServer": lambda: wsgi.WSGIServer(coroutine),
}


@pytest.mark.parametrize("way", WAYS)
def test_it_is_refused_by_every_call_that_takes_a_function(way: str) -> None:
    with pytest.raises(TypeError, match="async function"):
        WAYS[way]()


def test_a_refused_listener_leaves_nothing_open(tmp_path: Path) -> None:
    server = gnet.Server()
    with pytest.raises(TypeError):
        server.listen(str(tmp_path / "socket"), coroutine)
    assert not server.listening
    assert not (tmp_path / "socket").exists()
