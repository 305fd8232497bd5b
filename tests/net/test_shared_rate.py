"""A rate that servers share: a connection waits in the entrance until somebody else has said."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from pathlib import Path
from typing import Any

import gevent
import gevent.queue
import pytest

import gnet
from gnet._values.token_buckets import SharedRate
from tests.helpers.servers import path_at, place_at, raw_client, receive_all, send_end, serving

Answer = Callable[[bool], object]


class Others(SharedRate):
    """Those who know; a test answers for them."""

    def __init__(self, at_once: bool | None = None) -> None:
        self.at_once = at_once
        self.asked: gevent.queue.Queue[tuple[Hashable, Answer]] = gevent.queue.Queue()

    def ask(self, key: Hashable, answered: Answer) -> bool | None:
        self.asked.put((key, answered))
        return self.at_once

    def answer(self, allowed: bool) -> Hashable:
        key, answered = self.asked.get()
        gevent.get_hub().loop.run_callback(answered, allowed)
        return key


def knock(server: gnet.Server) -> str:
    """Connect; gives ``"in"``, or ``"out"``."""
    with raw_client(place_at(server)) as client:
        send_end(client)
        return "in" if receive_all(client) else "out"


def greet(sock: gnet.Socket) -> None:
    sock.end("hello")


@pytest.mark.parametrize(("allowed", "outcome"), [(True, "in"), (False, "out")])
def test_what_others_say_later_holds(allowed: bool, outcome: str) -> None:
    others = Others()
    reasons: list[str] = []
    with serving(greet, max_connection_rate_per_address=others) as server:
        server.on("drop", lambda info: reasons.append(info.reason))
        client = gevent.spawn(knock, server)
        assert others.answer(allowed) == 0x7F000001
        assert client.get() == outcome
    assert reasons == ([] if allowed else ["rate"])


@pytest.mark.parametrize(("allowed", "outcome"), [(True, "in"), (False, "out")])
def test_what_others_say_at_once_holds(allowed: bool, outcome: str) -> None:
    with serving(greet, max_connection_rate_per_address=Others(allowed)) as server:
        assert knock(server) == outcome


def test_who_waits_for_others_holds_up_nobody() -> None:
    others = Others()
    with serving(greet, max_connection_rate_per_address=others) as server:
        first, second = gevent.spawn(knock, server), gevent.spawn(knock, server)
        (_, one), (_, other) = others.asked.get(), others.asked.get()
        gevent.get_hub().loop.run_callback(other, True)
        gevent.wait([first, second], count=1)
        assert (first.ready(), second.ready()).count(True) == 1
        gevent.get_hub().loop.run_callback(one, False)
        assert sorted([first.get(), second.get()]) == ["in", "out"]


def test_an_answer_that_comes_when_the_server_has_closed_is_too_late() -> None:
    others = Others()
    with serving(greet, max_connection_rate_per_address=others) as server:
        client = gevent.spawn(knock, server)
        _, answered = others.asked.get()
        server.close()
        assert client.get() == "out"
        gevent.get_hub().loop.run_callback(answered, True)
        server.wait("close")
        assert not server.connections


def test_whom_the_rate_of_all_refuses_is_not_asked_for() -> None:
    others = Others(True)
    options: Any = {"max_connection_rate": 0.001, "max_connection_rate_per_address": others}
    with serving(greet, **options) as server:
        assert [knock(server) for _ in range(2)] == ["in", "out"]
    assert others.asked.qsize() == 1


def test_the_rate_of_all_is_asked_again_behind_the_answer() -> None:
    others = Others()
    options: Any = {"max_connection_rate": 0.001, "max_connection_rate_per_address": others}
    with serving(greet, **options) as server:
        clients = [gevent.spawn(knock, server) for _ in range(2)]
        answers = [others.asked.get()[1] for _ in clients]
        for answered in answers:
            gevent.get_hub().loop.run_callback(answered, True)
        assert sorted(client.get() for client in clients) == ["in", "out"]


def test_who_is_refused_for_his_address_takes_no_token_of_all() -> None:
    others = Others()
    options: Any = {"max_connection_rate": 0.001, "max_connection_rate_per_address": others}
    with serving(greet, **options) as server:
        for allowed in False, True:
            client = gevent.spawn(knock, server)
            others.answer(allowed)
            assert client.get() == ("in" if allowed else "out")


def test_a_path_has_no_address_to_ask_for(tmp_path: Path) -> None:
    place = path_at(tmp_path)
    with serving(greet, place, max_connection_rate_per_address=Others()) as server:
        client = gnet.connect(*place_at(server))
        assert client.recv() == b"hello"
        client.close()
