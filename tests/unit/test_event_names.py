"""A listener for an event that no emitter of gnet's has is warned of, once."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator
from typing import Any, get_args

import pytest

import gnet
from gnet._values import event_names
from gnet._values.event_names import EmitterEvent, ServerEvent, SocketEvent
from gnet.errors import UnknownEventWarning


class Server(gnet.Server):
    """A program's own, which may have events of its own."""


@pytest.fixture(autouse=True)
def nothing_was_warned_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_names, "_warned", set())


@pytest.fixture
def seen() -> Iterator[list[warnings.WarningMessage]]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield caught


@pytest.mark.parametrize(
    ("kind", "names"), [(gnet.Socket, SocketEvent), (gnet.Server, ServerEvent)]
)
def test_checkers_know_the_events_that_are_documented(kind: type, names: Any) -> None:
    emits = re.search(r"Emits (.*?)\n\n", kind.__doc__ or "", re.DOTALL)
    assert emits is not None
    documented = set(re.findall(r"``(\w+)\(", emits[1]))
    assert documented | set(get_args(EmitterEvent)) == set(get_args(names))


@pytest.mark.parametrize("name", sorted(event_names.KNOWN))
def test_a_known_event_is_not_warned_of(name: str, seen: list[Any]) -> None:
    for kind in gnet.Socket, gnet.Server:
        emitter: Any = kind()
        emitter.on(name, print)
    assert seen == []


@pytest.mark.parametrize(
    ("kind", "name", "text"),
    [
        (gnet.Server, "conection", "a gnet.Server emits; did you mean 'connection'?"),
        (gnet.Socket, "peerEnd", "a gnet.Socket emits; did you mean 'peer_end'?"),
        (gnet.Socket, "xyzzy", "a gnet.Socket emits"),
    ],
)
def test_an_unknown_one_is_and_says_what_was_meant(
    kind: Any, name: str, text: str, seen: list[warnings.WarningMessage]
) -> None:
    kind().on(name, print)
    [warning] = seen
    assert warning.category is UnknownEventWarning
    assert str(warning.message) == f"{name!r} is no event that {text}"
    assert warning.filename == __file__


@pytest.mark.parametrize(
    "method", ["on", "once", "add_listener", "prepend_listener", "prepend_once_listener"]
)
def test_every_way_to_add_a_listener_is(method: str, seen: list[Any]) -> None:
    getattr(gnet.Socket(), method)("dta", print)
    getattr(gnet.Server(), method)("dta")(print)
    assert [each.filename for each in seen] == [__file__, __file__]


def test_once_for_each_class_and_name(seen: list[Any]) -> None:
    for _ in range(3):
        for name in "dta", "clse":
            for kind in gnet.Socket, gnet.Server:
                emitter: Any = kind()
                emitter.on(name, print)
    assert len(seen) == 4


def test_a_program_may_have_events_of_its_own(seen: list[Any]) -> None:
    for emitter in Server(), gnet.EventEmitter():
        own: Any = emitter
        own.on("conection", print)
    assert seen == []


def test_names_that_are_made_are_not_kept_for_ever(seen: list[Any]) -> None:
    server: Any = gnet.Server()
    for number in range(1000):
        server.on(f"made-{number}", print)
    assert len(seen) == len(event_names._warned) == event_names.MOST_WARNINGS
