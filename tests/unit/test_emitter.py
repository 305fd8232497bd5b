"""EventEmitter, on its own: no loop, but where somebody waits."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import gevent
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnet import EventEmitter


@pytest.fixture
def emitter() -> EventEmitter:
    return EventEmitter()


class Log(list[Any]):
    """Makes listeners that write down their calls."""

    def listener(self, name: str) -> Callable[..., None]:
        def listener(*args: Any) -> None:
            self.append((name, *args))

        listener.__name__ = name
        return listener


@pytest.fixture
def log() -> Log:
    return Log()


# -- on, emit ------------------------------------------------------------------------------


def test_listeners_are_called_in_the_order_of_their_adding(
    emitter: EventEmitter, log: Log
) -> None:
    for name in "abc":
        emitter.on("event", log.listener(name))
    emitter.emit("event")
    assert log == [("a",), ("b",), ("c",)]


def test_emit_passes_all_its_arguments(emitter: EventEmitter, log: Log) -> None:
    emitter.on("event", log.listener("a"))
    emitter.emit("event", 1, "two", None)
    assert log == [("a", 1, "two", None)]


def test_emit_says_whether_there_was_a_listener(emitter: EventEmitter, log: Log) -> None:
    assert emitter.emit("event") is False
    emitter.on("event", log.listener("a"))
    assert emitter.emit("event") is True
    assert emitter.emit("another") is False


def test_a_listener_hears_its_own_event_only(emitter: EventEmitter, log: Log) -> None:
    emitter.on("one", log.listener("a"))
    emitter.emit("other", 1)
    assert log == []


@pytest.mark.parametrize(
    "method", ["on", "once", "add_listener", "prepend_listener", "prepend_once_listener"]
)
def test_adding_a_listener_returns_the_emitter(
    emitter: EventEmitter, log: Log, method: Any
) -> None:
    assert getattr(emitter, method)("event", log.listener("a")) is emitter


@pytest.mark.parametrize("method", ["off", "remove_listener"])
def test_removing_a_listener_returns_the_emitter(
    emitter: EventEmitter, log: Log, method: Any
) -> None:
    a = log.listener("a")
    emitter.on("event", a)
    assert getattr(emitter, method)("event", a) is emitter
    assert getattr(emitter, method)("event", a) is emitter
    assert emitter.remove_all_listeners() is emitter
    assert emitter.remove_all_listeners("event") is emitter


def test_on_and_off_have_their_long_names(emitter: EventEmitter, log: Log) -> None:
    a = log.listener("a")
    emitter.add_listener("event", a)
    emitter.emit("event")
    emitter.remove_listener("event", a)
    emitter.emit("event")
    assert log == [("a",)]


def test_a_listener_that_was_added_twice_is_called_twice(emitter: EventEmitter, log: Log) -> None:
    a = log.listener("a")
    emitter.on("event", a).on("event", a)
    emitter.emit("event")
    assert log == [("a",), ("a",)]
    assert emitter.listener_count("event") == 2


def test_off_removes_one_registration_at_a_time_the_latest_first(
    emitter: EventEmitter, log: Log
) -> None:
    a, b = log.listener("a"), log.listener("b")
    emitter.on("event", a).on("event", b).on("event", a)
    emitter.off("event", a)
    assert emitter.listeners("event") == [a, b]
    emitter.off("event", a)
    assert emitter.listeners("event") == [b]


def test_off_of_what_is_not_there_is_silent(emitter: EventEmitter, log: Log) -> None:
    a, b = log.listener("a"), log.listener("b")
    emitter.off("event", a)
    emitter.on("event", b)
    emitter.off("event", a)
    emitter.off("another", b)
    assert emitter.listeners("event") == [b]


def test_bound_methods_are_removed_by_equality(emitter: EventEmitter) -> None:
    class Holder:
        def __init__(self) -> None:
            self.calls = 0

        def listener(self) -> None:
            self.calls += 1

    holder = Holder()
    emitter.on("event", holder.listener)
    emitter.emit("event")
    emitter.off("event", holder.listener)
    emitter.emit("event")
    assert holder.calls == 1


@pytest.mark.parametrize(
    "method",
    [
        "on",
        "add_listener",
        "once",
        "prepend_listener",
        "prepend_once_listener",
        "off",
        "remove_listener",
    ],
)
@pytest.mark.parametrize("listener", [1, "text", object(), []])
def test_what_cannot_be_called_is_no_listener(
    emitter: EventEmitter, method: Any, listener: Any
) -> None:
    with pytest.raises(TypeError) as caught:
        getattr(emitter, method)("event", listener)
    assert caught.value.code == "ERR_INVALID_ARG_TYPE"
    assert "listener" in str(caught.value)
    assert emitter.listener_count("event") == 0


# -- once, prepend -------------------------------------------------------------------------


def test_once_is_called_for_the_first_emit_only(emitter: EventEmitter, log: Log) -> None:
    emitter.once("event", log.listener("a"))
    assert emitter.emit("event", 1) is True
    assert emitter.emit("event", 2) is False
    assert log == [("a", 1)]


def test_a_once_listener_is_gone_before_it_is_called(emitter: EventEmitter, log: Log) -> None:
    counts = []

    def listener(*_: Any) -> None:
        counts.append(emitter.listener_count("event"))
        emitter.emit("event")

    emitter.once("event", listener)
    emitter.emit("event")
    assert counts == [0]


def test_a_once_listener_can_be_removed_by_the_function_that_was_given(
    emitter: EventEmitter, log: Log
) -> None:
    a = log.listener("a")
    emitter.once("event", a)
    emitter.off("event", a)
    assert emitter.emit("event") is False
    assert log == []


def test_a_once_listener_that_raises_is_removed_nevertheless(emitter: EventEmitter) -> None:
    def listener() -> None:
        raise KeyError("once")

    emitter.once("event", listener)
    with pytest.raises(KeyError, match="once"):
        emitter.emit("event")
    assert emitter.listener_count("event") == 0


def test_prepended_listeners_come_first(emitter: EventEmitter, log: Log) -> None:
    emitter.on("event", log.listener("a"))
    emitter.prepend_listener("event", log.listener("b"))
    emitter.prepend_once_listener("event", log.listener("c"))
    emitter.emit("event")
    emitter.emit("event")
    assert log == [("c",), ("b",), ("a",), ("b",), ("a",)]


def test_once_twice_calls_twice_and_no_more(emitter: EventEmitter, log: Log) -> None:
    a = log.listener("a")
    emitter.once("event", a).once("event", a)
    emitter.emit("event")
    emitter.emit("event")
    assert log == [("a",), ("a",)]


# -- decorators ----------------------------------------------------------------------------


def test_on_without_a_listener_is_a_decorator_that_leaves_the_function(
    emitter: EventEmitter,
) -> None:
    calls = []

    @emitter.on("event")
    def listener(*args: Any) -> None:
        calls.append(args)

    emitter.emit("event", 1)
    emitter.emit("event", 2)
    assert calls == [(1,), (2,)]
    listener(3)
    assert calls[-1] == (3,)
    assert emitter.listeners("event") == [listener]


def test_the_other_three_decorate_as_well(emitter: EventEmitter, log: Log) -> None:
    @emitter.on("event")
    def first() -> None:
        log.append("on")

    @emitter.once("event")
    def second() -> None:
        log.append("once")

    @emitter.prepend_listener("event")
    def third() -> None:
        log.append("prepend")

    @emitter.prepend_once_listener("event")
    def fourth() -> None:
        log.append("prepend_once")

    emitter.emit("event")
    emitter.emit("event")
    assert log == ["prepend_once", "prepend", "on", "once", "prepend", "on"]
    assert all(callable(each) for each in (first, second, third, fourth))


def test_decorators_can_be_stacked(emitter: EventEmitter, log: Log) -> None:
    @emitter.on("one")
    @emitter.on("two")
    def listener() -> None:
        log.append("call")

    emitter.emit("one")
    emitter.emit("two")
    assert log == ["call", "call"]


def test_a_decorated_thing_has_to_be_callable(emitter: EventEmitter) -> None:
    with pytest.raises(TypeError) as caught:
        emitter.on("event")(5)
    assert caught.value.code == "ERR_INVALID_ARG_TYPE"


# -- while an event is emitted -------------------------------------------------------------


def test_a_listener_added_during_an_emit_hears_the_next_one(
    emitter: EventEmitter, log: Log
) -> None:
    def adder() -> None:
        log.append("adder")
        emitter.on("event", log.listener("late"))

    emitter.once("event", adder)
    emitter.emit("event")
    assert log == ["adder"]
    emitter.emit("event")
    assert log == ["adder", ("late",)]


def test_a_listener_removed_during_an_emit_still_hears_that_one(
    emitter: EventEmitter, log: Log
) -> None:
    second = log.listener("second")

    def remover() -> None:
        emitter.off("event", second)
        log.append("remover")

    emitter.on("event", remover)
    emitter.on("event", second)
    emitter.emit("event")
    assert log == ["remover", ("second",)]
    emitter.emit("event")
    assert log == ["remover", ("second",), "remover"]


def test_a_listener_that_removes_itself_makes_no_other_miss_the_event(
    emitter: EventEmitter, log: Log
) -> None:
    def first() -> None:
        emitter.off("event", first)
        log.append("first")

    emitter.on("event", first)
    emitter.on("event", log.listener("second"))
    emitter.on("event", log.listener("third"))
    emitter.emit("event")
    assert log == ["first", ("second",), ("third",)]


def test_remove_all_listeners_during_an_emit_does_not_cut_it_short(
    emitter: EventEmitter, log: Log
) -> None:
    def first() -> None:
        emitter.remove_all_listeners("event")

    emitter.on("event", first)
    emitter.on("event", log.listener("second"))
    emitter.emit("event")
    assert log == [("second",)]
    assert emitter.emit("event") is False


def test_an_event_emitted_by_a_listener_is_delivered_at_once(
    emitter: EventEmitter, log: Log
) -> None:
    def outer() -> None:
        log.append("outer begins")
        emitter.emit("inner")
        log.append("outer ends")

    emitter.on("outer", outer)
    emitter.on("outer", log.listener("second"))
    emitter.on("inner", log.listener("inner"))
    emitter.emit("outer")
    assert log == ["outer begins", ("inner",), "outer ends", ("second",)]


def test_the_same_event_emitted_by_its_listener_calls_a_later_once_listener_once(
    emitter: EventEmitter, log: Log
) -> None:
    def again() -> None:
        emitter.off("event", again)
        emitter.emit("event")

    emitter.on("event", again)
    emitter.once("event", log.listener("once"))
    emitter.emit("event")
    assert log == [("once",)]


def test_an_exception_of_a_listener_leaves_emit_when_the_rest_has_been_called(
    emitter: EventEmitter, log: Log
) -> None:
    def first() -> None:
        raise LookupError("mine")

    emitter.on("event", first)
    emitter.on("event", log.listener("second"))
    with pytest.raises(LookupError, match="mine"):
        emitter.emit("event")
    assert log == [("second",)]
    assert emitter.listener_count("event") == 2


# -- what is there -------------------------------------------------------------------------


def test_listeners_gives_the_functions_that_were_added(emitter: EventEmitter, log: Log) -> None:
    a, b, c = (log.listener(name) for name in "abc")
    emitter.on("event", a).once("event", b).prepend_once_listener("event", c)
    assert emitter.listeners("event") == [c, a, b]
    assert emitter.listeners("another") == []


def test_listeners_gives_a_copy(emitter: EventEmitter, log: Log) -> None:
    emitter.on("event", log.listener("a"))
    emitter.listeners("event").clear()
    assert emitter.listener_count("event") == 1


def test_listener_count_counts_the_registrations_of_one_event(
    emitter: EventEmitter, log: Log
) -> None:
    a = log.listener("a")
    emitter.on("one", a).once("one", a).on("two", a)
    assert emitter.listener_count("one") == 2
    assert emitter.listener_count("two") == 1
    assert emitter.listener_count("three") == 0


def test_event_names_are_those_that_have_listeners_in_the_order_of_their_adding(
    emitter: EventEmitter, log: Log
) -> None:
    a = log.listener("a")
    emitter.on("one", a).on("two", a).once("three", a).on("one", a)
    assert list(emitter.event_names()) == ["one", "two", "three"]
    emitter.off("two", a)
    emitter.emit("three")
    assert list(emitter.event_names()) == ["one"]
    emitter.remove_all_listeners()
    assert list(emitter.event_names()) == []


def test_remove_all_listeners_of_one_event_leaves_the_others(
    emitter: EventEmitter, log: Log
) -> None:
    emitter.on("one", log.listener("a")).on("two", log.listener("b"))
    emitter.remove_all_listeners("one")
    assert list(emitter.event_names()) == ["two"]
    emitter.remove_all_listeners("never heard of")
    assert list(emitter.event_names()) == ["two"]


def test_remove_all_listeners_without_an_event_removes_those_of_all(
    emitter: EventEmitter, log: Log
) -> None:
    emitter.on("one", log.listener("a")).once("two", log.listener("b"))
    emitter.remove_all_listeners()
    assert emitter.emit("one") is False
    assert emitter.emit("two") is False


# -- "new_listener", "remove_listener" -----------------------------------------------------


def test_new_listener_tells_the_event_and_the_function_that_was_given(
    emitter: EventEmitter, log: Log
) -> None:
    a, b = log.listener("a"), log.listener("b")
    emitter.on("new_listener", log.listener("new"))
    emitter.on("event", a)
    emitter.once("event", b)
    assert log == [("new", "event", a), ("new", "event", b)]


def test_new_listener_comes_before_the_listener_is_there(emitter: EventEmitter, log: Log) -> None:
    counts = []
    emitter.on("new_listener", lambda event, _: counts.append(emitter.listener_count(event)))
    emitter.on("event", log.listener("a"))
    emitter.on("event", log.listener("b"))
    assert counts == [0, 1]


def test_what_a_new_listener_listener_adds_comes_first(emitter: EventEmitter, log: Log) -> None:
    def insert(event: str, _: Any) -> None:
        if event == "event":
            emitter.on("event", log.listener("b"))

    emitter.once("new_listener", insert)
    emitter.on("event", log.listener("a"))
    emitter.emit("event")
    assert log == [("b",), ("a",)]


def test_remove_listener_comes_when_the_listener_has_gone(emitter: EventEmitter, log: Log) -> None:
    counts = []
    a, b = log.listener("a"), log.listener("b")
    emitter.on("remove_listener", lambda event, _: counts.append(emitter.listener_count(event)))
    emitter.on("remove_listener", log.listener("removed"))
    emitter.on("event", a).once("event", b)
    emitter.off("event", a)
    emitter.off("event", b)
    assert log == [("removed", "event", a), ("removed", "event", b)]
    assert counts == [1, 0]


def test_remove_listener_is_not_emitted_for_what_was_not_there(
    emitter: EventEmitter, log: Log
) -> None:
    emitter.on("remove_listener", log.listener("removed"))
    emitter.off("event", log.listener("a"))
    assert log == []


def test_remove_listener_is_emitted_for_a_once_listener_that_has_been_called(
    emitter: EventEmitter, log: Log
) -> None:
    a = log.listener("a")
    emitter.on("remove_listener", log.listener("removed"))
    emitter.once("event", a)
    emitter.emit("event")
    assert log == [("removed", "event", a), ("a",)]


def test_remove_all_listeners_tells_each_removal_the_latest_first(
    emitter: EventEmitter, log: Log
) -> None:
    a, b = log.listener("a"), log.listener("b")
    emitter.on("event", a).on("event", b)
    emitter.on("remove_listener", log.listener("removed"))
    emitter.remove_all_listeners("event")
    assert log == [("removed", "event", b), ("removed", "event", a)]


def test_remove_all_listeners_of_all_events_tells_the_removals_too(
    emitter: EventEmitter, log: Log
) -> None:
    a, b = log.listener("a"), log.listener("b")
    emitter.on("remove_listener", log.listener("removed"))
    emitter.on("one", a).on("two", b)
    emitter.remove_all_listeners()
    assert sorted(event for _, event, _ in log) == ["one", "two"]
    assert list(emitter.event_names()) == []


# -- "error" -------------------------------------------------------------------------------


def test_an_error_that_nobody_hears_is_raised(emitter: EventEmitter) -> None:
    error = ValueError("mine")
    with pytest.raises(ValueError, match="mine") as caught:
        emitter.emit("error", error)
    assert caught.value is error


def test_an_error_that_somebody_hears_is_not_raised(emitter: EventEmitter, log: Log) -> None:
    error = ValueError("mine")
    emitter.on("error", log.listener("a"))
    assert emitter.emit("error", error) is True
    assert log == [("a", error)]


@pytest.mark.parametrize("args", [(), ("no exception",), (None,)])
def test_an_unheard_error_that_is_no_exception_raises_one_all_the_same(
    emitter: EventEmitter, args: Any
) -> None:
    with pytest.raises(Exception) as caught:
        emitter.emit("error", *args)
    assert isinstance(caught.value, Exception)


# -- wait ----------------------------------------------------------------------------------


def test_wait_gives_the_arguments_of_the_event_as_a_tuple(emitter: EventEmitter) -> None:
    gevent.spawn(emitter.emit, "event", 1, "two")
    assert emitter.wait("event") == (1, "two")


def test_wait_gives_an_empty_tuple_for_an_event_without_arguments(emitter: EventEmitter) -> None:
    gevent.spawn(emitter.emit, "event")
    assert emitter.wait("event", timeout=5) == ()


def test_wait_raises_an_error_that_comes_first(emitter: EventEmitter) -> None:
    error = OSError("mine")
    gevent.spawn(emitter.emit, "error", error)
    with pytest.raises(OSError, match="mine") as caught:
        emitter.wait("event")
    assert caught.value is error


def test_wait_for_the_error_itself_gives_it(emitter: EventEmitter) -> None:
    error = OSError("mine")
    gevent.spawn(emitter.emit, "error", error)
    assert emitter.wait("error") == (error,)


def test_an_error_after_the_event_is_not_the_waits(emitter: EventEmitter, log: Log) -> None:
    def both() -> None:
        emitter.emit("event", 1)
        emitter.emit("error", OSError("late"))

    emitter.on("error", log.listener("error"))
    gevent.spawn(both)
    assert emitter.wait("event") == (1,)
    assert len(log) == 1


def test_wait_raises_timeout_error_when_its_time_is_over(emitter: EventEmitter) -> None:
    with pytest.raises(TimeoutError) as caught:
        emitter.wait("event", timeout=0.01)
    assert caught.value.code == "ETIMEDOUT"
    assert "event" in str(caught.value)


def test_wait_with_no_time_at_all_raises_timeout_error(emitter: EventEmitter) -> None:
    with pytest.raises(TimeoutError):
        emitter.wait("event", timeout=0)


@pytest.mark.parametrize("timeout", ["1", True, [], object()])
def test_a_timeout_of_a_wrong_kind_is_a_type_error(emitter: EventEmitter, timeout: Any) -> None:
    with pytest.raises(TypeError) as caught:
        emitter.wait("event", timeout=timeout)
    assert caught.value.code == "ERR_INVALID_ARG_TYPE"
    assert "timeout" in str(caught.value)


@pytest.mark.parametrize("timeout", [-1, float("nan"), float("inf")])
def test_a_timeout_of_a_wrong_value_is_a_value_error(emitter: EventEmitter, timeout: Any) -> None:
    with pytest.raises(ValueError, match="timeout") as caught:
        emitter.wait("event", timeout=timeout)
    assert caught.value.code == "ERR_OUT_OF_RANGE"


@pytest.mark.parametrize("ending", ["event", "error", "timeout", "kill", "gevent.Timeout"])
def test_a_wait_leaves_no_listener_behind_however_it_ends(
    emitter: EventEmitter, ending: Any
) -> None:
    def waiter() -> None:
        limit = gevent.Timeout(0.01 if ending == "gevent.Timeout" else 5, False)
        with limit, contextlib.suppress(OSError):
            emitter.wait("event", timeout=0.01 if ending == "timeout" else None)

    waiting = gevent.spawn(waiter)
    gevent.sleep(0)
    assert emitter.listener_count("event") == 1
    if ending == "event":
        emitter.emit("event")
    elif ending == "error":
        emitter.emit("error", OSError("mine"))
    elif ending == "kill":
        waiting.kill()
    waiting.join()
    assert emitter.event_names() == []


def test_any_number_of_greenlets_wait_for_one_event(emitter: EventEmitter) -> None:
    waiting = [gevent.spawn(emitter.wait, "event") for _ in range(5)]
    gevent.sleep(0)
    emitter.emit("event", 7)
    gevent.joinall(waiting, timeout=5)
    assert [each.value for each in waiting] == [(7,)] * 5


def test_an_error_goes_to_every_waiting_greenlet(emitter: EventEmitter) -> None:
    def waiter() -> BaseException | None:
        try:
            emitter.wait("event")
        except OSError as exc:
            return exc
        return None

    error = OSError("mine")
    waiting = [gevent.spawn(waiter) for _ in range(3)]
    gevent.sleep(0)
    emitter.emit("error", error)
    gevent.joinall(waiting, timeout=5)
    assert [each.value for each in waiting] == [error] * 3


# -- as a whole ----------------------------------------------------------------------------


def test_an_emitter_can_be_a_base_class_that_never_calls_it() -> None:
    class Door(EventEmitter):
        def __init__(self) -> None:
            super().__init__()
            self.open = False

    door = Door()
    door.on("opened", lambda: setattr(door, "open", True))
    door.emit("opened")
    assert door.open


EVENTS = ("one", "two")
NAMES = "abc"
STEPS = st.one_of(
    st.tuples(
        st.sampled_from(
            ["on", "once", "prepend_listener", "prepend_once_listener", "off", "add_listener"]
        ),
        st.sampled_from(EVENTS),
        st.sampled_from(NAMES),
    ),
    st.tuples(st.just("emit"), st.sampled_from(EVENTS), st.integers()),
    st.tuples(st.just("remove_all_listeners"), st.sampled_from([*EVENTS, None])),
)


class Model:
    """An emitter without any cunning: a list of (name, once) for each event."""

    def __init__(self) -> None:
        self.lists: dict[str, list[tuple[str, bool]]] = {event: [] for event in EVENTS}
        self.log: list[Any] = []

    def apply(self, step: tuple[Any, ...]) -> None:
        action, event, *rest = step
        if action == "remove_all_listeners":
            for each in EVENTS if event is None else [event]:
                self.lists[each] = []
            return
        registered = self.lists[event]
        if action == "emit":
            self.lists[event] = [each for each in registered if not each[1]]
            self.log += [(name, rest[0]) for name, _ in registered]
        elif action == "off":
            for index in range(len(registered) - 1, -1, -1):
                if registered[index][0] == rest[0]:
                    del registered[index]
                    break
        else:
            at = 0 if action.startswith("prepend") else len(registered)
            registered.insert(at, (rest[0], "once" in action))


@given(st.lists(STEPS, max_size=40))
def test_any_sequence_of_calls_does_what_a_plain_list_would_do(steps: Any) -> None:
    emitter, model, log = EventEmitter(), Model(), Log()
    listeners = {name: log.listener(name) for name in NAMES}
    for step in steps:
        action, *args = step
        model.apply(step)
        if action not in ("emit", "remove_all_listeners"):
            args[1] = listeners[args[1]]
        getattr(emitter, action)(*args)
        assert log == model.log
        for event in EVENTS:
            expected = [listeners[name] for name, _ in model.lists[event]]
            assert emitter.listeners(event) == expected
            assert emitter.listener_count(event) == len(expected)
        assert sorted(emitter.event_names()) == [e for e in EVENTS if model.lists[e]]
