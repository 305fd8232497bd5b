"""The states of a socket: what must hold of every step, whatever has come before it."""

from __future__ import annotations

import ast
import importlib.util
import inspect
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

import gnet
from gnet._core import states
from gnet._core.states import (
    CLOSED,
    CONNECTING,
    END_MET,
    END_TOLD,
    EVENTS,
    FACTS,
    FAILED,
    FINISH_TOLD,
    HALF_OPEN,
    IDLE,
    JOINT_RULES,
    LADDERS,
    LEFT,
    LISTENERS,
    OPEN,
    QUEUED,
    READABLE,
    SENT,
    SHUT,
    TABLE,
    UNMADE,
    WAITING,
    WRITABLE,
    State,
    step,
)

DOCS = Path(__file__).parent.parent.parent / "docs"

BEGIN = State(IDLE, UNMADE, WRITABLE, LISTENERS)

# What needs an open connection, or tells somebody of one.
NEEDS_A_CONNECTION = {
    "_deliver_end", "_deliver_finish", "_deliver_close", "_send_end", "_flush", "_linger",
    "_publish_closed", "_note_peer_end",
}  # fmt: skip


# What ends a connection at once, as nobody listens to its ends.
UNHEARD = ("end_unheard", "return_unheard", "discard_unheard")


class Step(NamedTuple):
    """Where an event leads to, and what is done."""

    life: int
    receiving: int
    sending: int
    owner: int
    actions: tuple[str, ...]


def reachable() -> Iterator[tuple[State, str, Step]]:
    """Every event in every state that a socket comes to, whatever the facts are each time."""
    seen, todo = {BEGIN[:4]}, [BEGIN[:4]]
    while todo:
        rungs = todo.pop()
        for facts in range(1 << len(FACTS)):
            for event in EVENTS:
                done = Step(*step(event, *rungs, facts))
                yield State(*rungs, facts), event, done
                if done[:4] not in seen:
                    seen.add(done[:4])
                    todo.append(done[:4])


Steps = list[tuple[State, str, Step]]


@pytest.fixture(scope="module")
def steps() -> Steps:
    # Not while the tests are collected: a million objects would be in the heap of every child that
    # another test forks.
    return list(reachable())


def test_all_states_are_walked(steps: Steps) -> None:
    assert len({state[:4] for state, _, _ in steps}) > 100
    for number, rungs in enumerate(LADDERS.values()):
        assert {state[number] for state, _, _ in steps} == {*range(len(rungs))}


def test_every_row_is_of_use(steps: Steps) -> None:
    for row in TABLE:
        assert any(event in row.events and states.fits(row, state) for state, event, _ in steps)
    for row in JOINT_RULES:
        assert any(
            event in row.events and states.fits(row, State(*done[:4], state.facts))
            for state, event, done in steps
        )


def test_an_unknown_event_is_an_error() -> None:
    with pytest.raises(KeyError):
        step("vanish", *BEGIN)


def test_every_action_is_a_method(steps: Steps) -> None:
    for _, _, done in steps:
        for action in done.actions:
            assert callable(getattr(gnet.Socket, action))


def test_a_ladder_is_climbed_and_a_new_connection_begins_at_the_bottom(steps: Steps) -> None:
    for state, event, done in steps:
        if event == "connect" and state.life == CLOSED:
            assert done[:4] == (CONNECTING, UNMADE, WRITABLE, LISTENERS)
            continue
        assert done.sending >= state.sending
        assert done.life >= state.life
        assert done.receiving >= state.receiving
        # A handler may leave the connection to its listeners, and a call is told of a loss.
        assert done.owner >= state.owner or event in ("unhandle", "hear_loss")


def test_close_comes_once_and_last(steps: Steps) -> None:
    for state, event, done in steps:
        told = "_deliver_close" in done.actions
        assert told == (event == "tell_close" and state.life == SHUT)
        assert told <= (done.life == CLOSED)
        # Where nobody listens to the ends, 'tell_close' follows at once.
        later = event not in UNHEARD and done.life == SHUT != state.life
        assert ("_tell_close_later" in done.actions) == later


def test_nothing_happens_to_what_is_closed_but_a_new_connection(steps: Steps) -> None:
    for state, event, done in steps:
        if state.life == CLOSED and event != "connect":
            assert done.life == CLOSED
            assert set(done.actions) <= {"_update_kept"}
            assert done.receiving == state.receiving
            assert done.sending == state.sending


def test_what_has_shut_has_nothing_more_to_do_than_to_tell(steps: Steps) -> None:
    telling = {"_deliver_end", "_deliver_finish", "_deliver_close", "_update_kept"}
    for state, event, done in steps:
        if state.life == SHUT and event != "abandon":
            assert set(done.actions) <= telling


def test_a_connection_shuts_once_and_lets_go_of_all_it_has_before_anybody_is_told(
    steps: Steps,
) -> None:
    for state, event, done in steps:
        shuts = event in ("shut", *UNHEARD) and done.life == SHUT != state.life
        assert ("_release" in done.actions) == shuts
        if event in UNHEARD:
            assert set(done.actions) <= {
                "_publish_closed", "_stop_timers", "_release", "_update_hold"
            }  # fmt: skip
        elif shuts:
            order = [*done.actions]
            assert order.index("_release") < order.index("_interrupt")
            assert order.index("_interrupt") < order.index("_tell_close_later")
            assert order[-1] == "_tell_close_later"
            assert ("_tell_error_later" in order) == bool(state.facts & FAILED)
            assert ("_publish_closed" in order) == (state.life == OPEN)
            dials = state.life == CONNECTING and not state.facts & WAITING
            assert ("_publish_failed" in order) == dials


def test_no_read_and_no_end_behind_the_end(steps: Steps) -> None:
    for state, event, done in steps:
        if state.receiving >= END_MET and not (event == "connect" and state.life == CLOSED):
            assert done.receiving >= END_MET
            assert "_note_peer_end" not in done.actions
        told = "_deliver_end" in done.actions
        met = state.receiving == END_MET and done.receiving == END_TOLD
        assert told == (met and event not in UNHEARD)
        if event in UNHEARD and done.receiving != state.receiving:
            assert (state.life, done.life) == (OPEN, SHUT)
        assert told <= (event == "tell_end")


def test_nothing_is_received_before_there_is_a_connection(steps: Steps) -> None:
    for state, _, done in steps:
        if done.receiving != UNMADE:
            assert done.life >= OPEN
        if state.receiving == UNMADE and done.receiving == READABLE:
            assert done.life == OPEN


def test_no_write_and_no_finish_behind_the_end_of_this_side(steps: Steps) -> None:
    for state, event, done in steps:
        again = event == "connect" and state.life == CLOSED
        if state.sending != WRITABLE and not again:
            assert done.sending != WRITABLE
            assert "_take_corks" not in done.actions
        told = "_deliver_finish" in done.actions
        over = state.sending == SENT and done.sending == FINISH_TOLD and not again
        assert told == (over and event not in UNHEARD)
        if told:
            assert not (state.life == SHUT and state.facts & FAILED)


def test_finish_comes_when_everything_is_sent(steps: Steps) -> None:
    later = {"_tell_finish_later", "_tell_finish"}
    for state, event, done in steps:
        unsaid = event in ("without_writing", *UNHEARD)
        sent = state.sending < SENT <= done.sending and not unsaid
        assert sent == bool(later & set(done.actions))
        if (sent and event != "all_sent") or (event in UNHEARD and done.life != state.life):
            assert not state.facts & QUEUED


def test_what_is_done_to_a_connection_is_done_to_an_open_one(steps: Steps) -> None:
    for state, event, done in steps:
        needed = NEEDS_A_CONNECTION & set(done.actions)
        if event in ("tell_end", "tell_close", "tell_finish"):
            continue
        if needed:
            assert OPEN in (state.life, done.life)


def test_both_sides_told_is_the_end_of_the_connection(steps: Steps) -> None:
    for state, event, done in steps:
        if event in ("heard_end", "heard_finish"):
            over = done.receiving == END_TOLD and done.sending == FINISH_TOLD
            assert ("_shut" in done.actions) == (over and state.life == OPEN)


def test_who_answers_the_peers_end(steps: Steps) -> None:
    for state, event, done in steps:
        if event == "heard_end" and state.life == OPEN and state.receiving == END_TOLD:
            owner = LADDERS["owner"][state.owner]
            answers = owner not in ("caller", "handler") and not state.facts & HALF_OPEN
            if state.sending == WRITABLE:
                assert (done.sending != WRITABLE) == answers
            else:
                assert done.sending == state.sending


def test_what_the_program_has_left_is_never_kept_open(steps: Steps) -> None:
    for state, event, done in steps:
        if state.facts & QUEUED and state.sending >= SENT:
            # There is no such state: who has ended can queue nothing more.
            continue
        if event == "close" and state.life < SHUT:
            assert done.owner >= LEFT
            assert done.sending != WRITABLE or "_shut" in done.actions
            ended = {"_shut", "_shut_later", "_linger", "_flush"} & set(done.actions)
            # What is being sent, or connected to be sent, ends in 'all_sent'.
            assert ended or done.sending < SENT
        if event == "all_sent" and state.owner >= LEFT and done.sending != state.sending:
            assert {"_shut_later", "_linger"} & set(done.actions)


def test_only_one_place_moves_a_socket() -> None:
    fields = {"_life", "_receiving", "_sending", "_owner"}
    package = Path(gnet.__file__).parent
    rooms = (package / name for name in ("_core", "_socket", "_server"))
    sources = [path for room in rooms for path in sorted(room.glob("*.py"))]
    writes = {
        f"{path.name}: {function.name}"
        for path in sources
        for function in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, ast.Attribute)
        and isinstance(node.ctx, ast.Store)
        and node.attr in fields
        # A deadline has an owner, too.
        and path.name not in ("watchdog.py", "emitter.py")
    }
    assert writes == {"connection.py: _renew", "host.py: _step"}


def test_the_page_of_the_docs_is_drawn_from_the_table() -> None:
    drawn = _draw_states().page()
    assert drawn == (DOCS / "states.rst").read_text(encoding="utf-8"), (
        "docs/states.rst is out of date: python docs/draw_states.py"
    )


def _draw_states() -> ModuleType:
    spec = importlib.util.spec_from_file_location("draw_states", DOCS / "draw_states.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_names_of_the_rungs_are_those_of_the_constants() -> None:
    for rungs in LADDERS.values():
        for number, name in enumerate(rungs):
            assert getattr(states, name.upper().replace(" ", "_")) == number


def test_what_a_socket_says_of_itself_is_its_state() -> None:
    sock = gnet.Socket()
    assert inspect.isdatadescriptor(type(sock).destroyed)
    assert (sock.pending, sock.connecting, sock.destroyed, sock.closed) == (
        True, False, False, False,
    )  # fmt: skip
    assert (sock.readable, sock.writable) == (True, True)
    sock.destroy()
    assert (sock.pending, sock.destroyed, sock.closed) == (True, True, False)
    assert sock.wait("close") == (False,)
    assert sock.closed
