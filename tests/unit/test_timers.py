"""Idle timers, on the real loop and, where the times are long, on one that is driven by hand."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import gevent
import pytest
from gevent.event import Event

from gnet._loop import timers as timers_module
from gnet._loop.timers import IdleTimer, IdleTimers


class Owner:
    """Writes down when it expires."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.times: list[float] = []
        self.expired = Event()

    def _idle_expired(self) -> None:
        self.times.append(self._clock())
        self.expired.set()


class Clock:
    """A loop with one kind of watcher, and the time that goes with it."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.made: list[FakeTimer] = []

    def monotonic(self) -> float:
        return self.now

    def timer(self, after: float, repeat: float = 0.0, ref: bool = True, **_: Any) -> FakeTimer:
        timer = FakeTimer(self, after)
        self.made.append(timer)
        return timer

    def update_now(self) -> None:
        pass

    @property
    def active(self) -> list[FakeTimer]:
        return [each for each in self.made if each.active]

    def pass_time(self, seconds: float) -> None:
        """Let time pass; every timer that is due in between fires at its moment."""
        end = self.now + seconds
        while True:
            due = [each for each in self.active if each.at <= end]
            if not due:
                break
            first = min(due, key=lambda each: each.at)
            self.now = max(self.now, first.at)
            first.fire()
        self.now = end


class FakeTimer:
    def __init__(self, clock: Clock, after: float) -> None:
        self.clock, self.after = clock, after
        self.active = False
        self.at = 0.0
        self.callback: Callable[..., Any] = lambda: None
        self.args: tuple[Any, ...] = ()

    def start(self, callback: Callable[..., Any], *args: Any, **_: Any) -> None:
        self.callback, self.args = callback, args
        self.at, self.active = self.clock.now + self.after, True

    def again(self, callback: Callable[..., Any], *args: Any, **_: Any) -> None:
        self.start(callback, *args)

    def fire(self) -> None:
        self.active = False
        self.callback(*self.args)

    def stop(self) -> None:
        self.active = False

    close = stop


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for name in ("monotonic", "time"):
        if callable(getattr(timers_module, name, None)):
            monkeypatch.setattr(timers_module, name, clock.monotonic)
    if getattr(timers_module, "time", None) is time:
        monkeypatch.setattr(timers_module, "time", type("T", (), {"monotonic": clock.monotonic}))
    return clock


@pytest.fixture
def timers(clock: Clock) -> IdleTimers:
    return IdleTimers(clock)


def test_a_timer_expires_once_when_its_time_is_over(clock: Clock, timers: IdleTimers) -> None:
    owner = Owner(clock.monotonic)
    timer = IdleTimer(timers, owner, 5.0)
    clock.pass_time(4.9)
    assert owner.times == []
    clock.pass_time(100)
    assert owner.times == [pytest.approx(1005.0, abs=0.01)]
    timer.cancel()


def test_activity_puts_it_off(clock: Clock, timers: IdleTimers) -> None:
    owner = Owner(clock.monotonic)
    timer = IdleTimer(timers, owner, 5.0)
    clock.pass_time(3)
    timer.touch()
    clock.pass_time(3)
    timer.touch()
    clock.pass_time(4.9)
    assert owner.times == []
    clock.pass_time(0.2)
    assert owner.times == [pytest.approx(1011.0, abs=0.01)]


def test_activity_after_it_has_expired_starts_it_again(clock: Clock, timers: IdleTimers) -> None:
    owner = Owner(clock.monotonic)
    timer = IdleTimer(timers, owner, 5.0)
    clock.pass_time(20)
    timer.touch()
    clock.pass_time(20)
    assert owner.times == [pytest.approx(1005.0, abs=0.01), pytest.approx(1025.0, abs=0.01)]


def test_a_cancelled_timer_never_expires(clock: Clock, timers: IdleTimers) -> None:
    owner = Owner(clock.monotonic)
    timer = IdleTimer(timers, owner, 5.0)
    timer.cancel()
    timer.cancel()
    clock.pass_time(100)
    assert owner.times == []


def test_restarting_gives_it_another_time_longer_or_shorter(
    clock: Clock, timers: IdleTimers
) -> None:
    owner = Owner(clock.monotonic)
    timer = IdleTimer(timers, owner, 5.0)
    clock.pass_time(3)
    timer.restart(10.0)
    clock.pass_time(9)
    assert owner.times == []
    timer.restart(1.0)
    clock.pass_time(2)
    assert owner.times == [pytest.approx(1013.0, abs=0.01)]
    assert timer.seconds == 1.0


def test_all_timers_together_cost_one_watcher(clock: Clock, timers: IdleTimers) -> None:
    owner = Owner(clock.monotonic)
    every = [IdleTimer(timers, owner, 5.0 + number / 100) for number in range(1000)]
    assert len(clock.active) == 1
    for timer in every:
        timer.touch()
    assert len(clock.active) == 1
    clock.pass_time(100)
    assert len(owner.times) == 1000
    assert owner.times == sorted(owner.times)
    assert clock.active == []


def test_no_watcher_is_left_when_the_last_timer_is_cancelled(
    clock: Clock, timers: IdleTimers
) -> None:
    owner = Owner(clock.monotonic)
    every = [IdleTimer(timers, owner, 5.0) for _ in range(10)]
    for timer in every:
        timer.cancel()
    clock.pass_time(6)
    assert clock.active == []
    assert owner.times == []


def test_a_shorter_time_is_not_kept_waiting_by_a_longer_one(
    clock: Clock, timers: IdleTimers
) -> None:
    slow, quick = Owner(clock.monotonic), Owner(clock.monotonic)
    IdleTimer(timers, slow, 60.0)
    clock.pass_time(1)
    IdleTimer(timers, quick, 2.0)
    clock.pass_time(2.1)
    assert quick.times == [pytest.approx(1003.0, abs=0.01)]
    assert slow.times == []
    clock.pass_time(100)
    assert slow.times == [pytest.approx(1060.0, abs=0.01)]


def test_an_owner_may_cancel_and_make_timers_while_it_expires(
    clock: Clock, timers: IdleTimers
) -> None:
    later = Owner(clock.monotonic)
    victim = Owner(clock.monotonic)

    class Busy(Owner):
        def _idle_expired(self) -> None:
            super()._idle_expired()
            cancelled.cancel()
            IdleTimer(timers, later, 1.0)

    busy = Busy(clock.monotonic)
    IdleTimer(timers, busy, 5.0)
    cancelled = IdleTimer(timers, victim, 5.0)
    clock.pass_time(10)
    assert busy.times == [pytest.approx(1005.0, abs=0.01)]
    assert victim.times == []
    assert later.times == [pytest.approx(1006.0, abs=0.01)]


def test_many_restarts_leave_no_pile_behind(clock: Clock, timers: IdleTimers) -> None:
    owner = Owner(clock.monotonic)
    timer = IdleTimer(timers, owner, 5.0)
    for _ in range(20_000):
        timer.restart(5.0)
        timer.touch()
    assert len(timers._heap) < 1000
    clock.pass_time(5.1)
    assert len(owner.times) == 1


def test_it_works_on_the_real_loop() -> None:
    timers = IdleTimers(gevent.get_hub().loop)
    owner = Owner(time.monotonic)
    began = time.monotonic()
    timer = IdleTimer(timers, owner, 0.05)
    assert owner.expired.wait(5)
    assert 0.045 <= owner.times[0] - began < 5
    timer.cancel()
    assert len(owner.times) == 1
