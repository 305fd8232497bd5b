"""The plan of a connection race, by a scripted clock."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnet._values.race import Race, interleave


def play(delay: float, outcomes: list[tuple[float | None, str]]) -> list[tuple[float, str, int]]:
    """Run a race over attempts that each take some seconds and then do something.

    :param outcomes: ``(seconds, "connects" or "fails")`` for each attempt, in their order;
        ``None`` seconds for one that is never answered.
    :returns: what happened: ``(time, what, attempt)``.
    """
    race = Race(count=len(outcomes), delay=delay)
    history: list[tuple[float, str, int]] = []
    ends: dict[int, float] = {}
    now = 0.0

    def advance() -> None:
        for action, number in race.advance(now):
            history.append((now, action, number))
            if action == "start" and outcomes[number][0] is not None:
                ends[number] = now + outcomes[number][0]

    advance()
    while True:
        moments = [*ends.values(), *([race.due] if race.due is not None else [])]
        if not moments:
            return history
        now = min(moments)
        for number in sorted(ends, key=ends.__getitem__):
            if ends[number] > now:
                continue
            del ends[number]
            history.append((now, outcomes[number][1], number))
            if outcomes[number][1] == "connects":
                return history
            race.failed(number, now)
        if race.lost:
            history.append((now, "lost", -1))
            return history
        advance()


def starts(history: list[tuple[float, str, int]]) -> list[tuple[float, int]]:
    return [(time, number) for time, what, number in history if what == "start"]


# -- the order of the addresses ------------------------------------------------------------


def addresses(text: str) -> list[tuple[str, int]]:
    """``"4a 6b"`` for an IPv4 address ``a`` and an IPv6 address ``b``."""
    return [(each[1:], int(each[0])) for each in text.split()]


@pytest.mark.parametrize(
    ("given", "order"),
    [
        ("", ""),
        ("4a", "4a"),
        ("6a 6b 6c", "6a 6b 6c"),
        ("6a 6b 4c 4d", "6a 4c 6b 4d"),
        ("4a 4b 6c 6d", "4a 6c 4b 6d"),
        ("4a 6b 6c 6d", "4a 6b 6c 6d"),
        ("6a 6b 6c 4d", "6a 4d 6b 6c"),
        ("6a 4b", "6a 4b"),
        ("4a 6b", "4a 6b"),
        ("4a 6b 4c 6d 6e", "4a 6b 4c 6d 6e"),
        ("4a 4a 6b 4a 6b 6c", "4a 6b 6c"),
    ],
)
def test_families_take_turns_and_each_address_is_tried_once(given: Any, order: Any) -> None:
    assert list(interleave(addresses(given))) == addresses(order)


@given(st.lists(st.tuples(st.integers(0, 99).map(str), st.sampled_from([4, 6]))))
def test_interleaving_loses_nothing_and_keeps_the_order_within_a_family(given: Any) -> None:
    order = list(interleave(given))
    given = list(dict.fromkeys(given))
    assert sorted(order) == sorted(given)
    for family in (4, 6):
        assert [a for a in order if a[1] == family] == [a for a in given if a[1] == family]
    if given:
        assert order[0] == given[0]
    fewer = min(sum(f == 4 for _, f in given), sum(f == 6 for _, f in given))
    turns = [family for _, family in order[: 2 * fewer]]
    assert all(one != next_ for one, next_ in zip(turns, turns[1:]))


# -- who starts when -----------------------------------------------------------------------


def test_the_first_attempt_starts_at_once() -> None:
    race = Race(count=3, delay=0.25)
    assert race.advance(now=10.0) == [("start", 0)]
    assert race.due == 10.25


def test_the_only_attempt_has_no_clock() -> None:
    race = Race(count=1, delay=0.25)
    assert race.advance(now=0.0) == [("start", 0)]
    assert race.due is None
    assert race.advance(now=100.0) == []


def test_an_attempt_that_connects_in_time_is_the_only_one() -> None:
    assert play(0.25, [(0.2, "connects"), (0.1, "connects")]) == [
        (0.0, "start", 0),
        (0.2, "connects", 0),
    ]


def test_a_slow_attempt_stays_in_the_race_beside_the_next() -> None:
    assert play(0.25, [(0.375, "connects"), (None, "hangs")]) == [
        (0.0, "start", 0),
        (0.25, "timeout", 0),
        (0.25, "start", 1),
        (0.375, "connects", 0),
    ]


def test_the_next_attempt_wins_against_a_hanging_one() -> None:
    assert play(0.25, [(None, "hangs"), (0.125, "connects")]) == [
        (0.0, "start", 0),
        (0.25, "timeout", 0),
        (0.25, "start", 1),
        (0.375, "connects", 1),
    ]


def test_a_failure_starts_the_next_attempt_without_delay() -> None:
    assert play(0.25, [(0.125, "fails"), (0.125, "connects")]) == [
        (0.0, "start", 0),
        (0.125, "fails", 0),
        (0.125, "start", 1),
        (0.25, "connects", 1),
    ]


def test_the_delay_counts_from_the_latest_start() -> None:
    history = play(0.25, [(0.125, "fails"), (None, "hangs"), (None, "hangs"), (None, "hangs")])
    assert starts(history) == [(0.0, 0), (0.125, 1), (0.375, 2), (0.625, 3)]


def test_every_attempt_but_the_last_is_reported_as_slow() -> None:
    history = play(0.25, [(None, "hangs")] * 4)
    assert [number for _, what, number in history if what == "timeout"] == [0, 1, 2]
    assert starts(history) == [(0.0, 0), (0.25, 1), (0.5, 2), (0.75, 3)]


def test_a_slow_attempt_that_fails_does_not_shorten_the_time_of_the_one_after_it() -> None:
    history = play(1.0, [(1.5, "fails"), (None, "hangs"), (None, "hangs")])
    assert starts(history) == [(0.0, 0), (1.0, 1), (2.0, 2)]


def test_the_race_is_lost_when_the_last_attempt_has_failed() -> None:
    history = play(0.25, [(0.125, "fails"), (0.125, "fails")])
    assert history[-1] == (0.25, "lost", -1)


def test_the_race_is_not_lost_while_a_slow_attempt_runs() -> None:
    race = Race(count=2, delay=0.25)
    race.advance(0.0)
    race.advance(0.25)
    race.failed(1, 0.3)
    assert not race.lost
    race.failed(0, 0.5)
    assert race.lost


def test_running_says_who_is_in_the_race() -> None:
    race = Race(count=3, delay=0.25)
    race.advance(0.0)
    race.advance(0.25)
    assert set(race.running) == {0, 1}
    race.failed(1, 0.3)
    race.advance(0.3)
    assert set(race.running) == {0, 2}


def test_a_clock_that_is_late_starts_one_attempt_only() -> None:
    race = Race(count=3, delay=0.25)
    race.advance(0.0)
    assert race.advance(5.0) == [("timeout", 0), ("start", 1)]
    assert race.due == 5.25


def test_looking_early_changes_nothing() -> None:
    race = Race(count=2, delay=0.25)
    race.advance(0.0)
    assert race.advance(0.1) == []
    assert race.due == 0.25


OUTCOMES = st.tuples(
    st.one_of(st.none(), st.integers(0, 64).map(lambda n: n / 16)),
    st.sampled_from(["connects", "fails"]),
)


@given(st.lists(OUTCOMES, min_size=1, max_size=6))
def test_the_rules_hold_in_any_race(outcomes: Any) -> None:
    delay = 0.5
    history = play(delay, outcomes)
    begun = starts(history)
    times = [time for time, _, _ in history]
    assert times == sorted(times)
    # In order, each once, and never more than the delay apart.
    assert [number for _, number in begun] == list(range(len(begun)))
    assert all(later - earlier <= delay for (earlier, _), (later, _) in zip(begun, begun[1:]))
    # Earlier than the delay only because of a failure.
    failures = [time for time, what, _ in history if what == "fails"]
    for (earlier, _), (later, _) in zip(begun, begun[1:]):
        assert later - earlier == delay or later in failures
    reported = [number for _, what, number in history if what == "timeout"]
    assert len(set(reported)) == len(reported)
    connecting = [t + o[0] for (t, n) in begun if (o := outcomes[n])[0] is not None
                  and o[1] == "connects"]  # fmt: skip
    if history[-1][1] == "connects":
        assert history[-1][0] == min(connecting)
    elif history[-1][1] == "lost":
        assert all(kind == "fails" and seconds is not None for seconds, kind in outcomes)
