"""How long whoever tries again waits before that."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gnet._values.backoff import Backoff


def test_the_pauses_double_up_to_the_longest() -> None:
    backoff = Backoff(0.1, 10)
    pauses = [backoff.pause() for _ in range(10)]
    assert pauses[:4] == [0.1, 0.2, 0.4, 0.8]
    assert pauses[-1] == 10


def test_the_first_try_may_come_at_once() -> None:
    backoff = Backoff(0.1, 10, at_once=True)
    assert [backoff.pause() for _ in range(4)] == [0, 0.1, 0.2, 0.4]


def test_behind_a_success_it_begins_anew() -> None:
    for at_once in (False, True):
        backoff = Backoff(0.1, 10, at_once)
        series = [backoff.pause() for _ in range(5)]
        backoff.reset()
        assert [backoff.pause() for _ in range(5)] == series


@given(st.lists(st.booleans(), min_size=1), st.booleans())
def test_a_pause_is_never_longer_than_twice_the_one_before(
    successes: list[bool], at_once: bool
) -> None:
    backoff = Backoff(0.1, 10, at_once)
    before = 0.0
    for success in successes:
        if success:
            backoff.reset()
        pause = backoff.pause()
        assert 0 <= pause <= min(max(0.1, 2 * before), 10)
        before = pause
